/* preload.c - installs the page cache, and the VFS if it is asked for, in a program that is not to be changed, as ACRE_SQLITE says: words
 * NAME=VALUE with spaces between.
 *
 *     policy=NAME     as acre_policy_name has them
 *     budget=BYTES    for all connections
 *     malloc=off      SQLite keeps its own malloc
 *     record=FILE     which pages are asked for, for `acre cache`
 *     vfs=on          databases are read through the VFS of acre/sqlite_vfs.h; of that are
 *     pool=BYTES block=BYTES pool_policy=NAME way=ring|calls direct=on prefetch=off
 *
 * SQLite has a default VFS only when it is initialized, and may not be configured afterwards: so the VFS is registered when the program
 * opens its first database, by the functions that open one, which stand before SQLite's own here. */
#include <acre/sqlite.h>
#include <acre/sqlite_vfs.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static acre_sqlite_options options = {.policy = ACRE_POLICY_ADAPTIVE};
static acre_sqlite_vfs_options vfs_options = {.policy = ACRE_POLICY_ADAPTIVE};
static bool has_vfs;

static bool read_number(const char *value, uint64_t *number)
{
    char *rest;
    errno = 0;
    *number = strtoull(value, &rest, 10);
    return errno == 0 && *rest == 0 && rest != value;
}

static bool read_choice(const char *value, const char *yes, const char *no, bool *is_yes)
{
    *is_yes = strcmp(value, yes) == 0;
    return *is_yes || strcmp(value, no) == 0;
}

static bool read_block(const char *value)
{
    uint64_t bytes = 0;
    const bool is_number = read_number(value, &bytes) && bytes <= UINT32_MAX;
    vfs_options.block_bytes = (uint32_t)bytes;
    return is_number;
}

static bool read_way(const char *value)
{
    bool is_ring = false;
    const bool is_way = read_choice(value, "ring", "calls", &is_ring);
    vfs_options.way = is_ring ? ACRE_DEVICE_RING : ACRE_DEVICE_CALLS;
    return is_way;
}

/* Whether one word of ACRE_SQLITE is understood. */
static bool follow(char *word)
{
    char *value = strchr(word, '=');
    if (value == NULL) return false;
    *value++ = 0;
    if (strcmp(word, "policy") == 0) return acre_policy_named(value, &options.policy) == ACRE_OK;
    if (strcmp(word, "malloc") == 0) return read_choice(value, "off", "on", &options.keeps_malloc);
    if (strcmp(word, "budget") == 0) return read_number(value, &options.budget_bytes);
    if (strcmp(word, "vfs") == 0) return read_choice(value, "on", "off", &has_vfs);
    if (strcmp(word, "pool") == 0) return read_number(value, &vfs_options.pool_bytes);
    if (strcmp(word, "block") == 0) return read_block(value);
    if (strcmp(word, "pool_policy") == 0) return acre_policy_named(value, &vfs_options.policy) == ACRE_OK;
    if (strcmp(word, "way") == 0) return read_way(value);
    if (strcmp(word, "shared") == 0) {
        vfs_options.shared_name = value;
        return true;
    }
    if (strcmp(word, "direct") == 0) return read_choice(value, "on", "off", &vfs_options.is_direct);
    if (strcmp(word, "prefetch") == 0) return read_choice(value, "off", "on", &vfs_options.has_no_prefetch);
    if (strcmp(word, "record") != 0) return false;
    options.record_path = value;
    return true;
}

__attribute__((constructor)) static void install(void)
{
    static char text[512];
    const char *given = getenv("ACRE_SQLITE");
    char *rest = text;
    if (given != NULL && strlen(given) < sizeof text) {
        memcpy(text, given, strlen(given) + 1);
        for (char *word; (word = strsep(&rest, " ")) != NULL;)
            if (*word != 0 && !follow(word)) fprintf(stderr, "acre: ACRE_SQLITE: '%s' is not followed\n", word);
    }
    if (acre_sqlite_install(&options) != ACRE_OK) fprintf(stderr, "acre: %s\n", acre_last_error());
}

/* ---- the functions that open a database ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void register_vfs(void)
{
    if (acre_sqlite_vfs_register(&vfs_options) == ACRE_OK) return;
    fprintf(stderr, "acre: %s\n", acre_last_error());
    has_vfs = false;
}

/* After sqlite3_shutdown the default is SQLite's own again. */
static void see_to_vfs(void)
{
    if (!has_vfs) return;
    (void)pthread_once(&once, register_vfs);
    if (!has_vfs || sqlite3_initialize() != SQLITE_OK) return;
    sqlite3_vfs *const ours = sqlite3_vfs_find("acre");
    const sqlite3_vfs *const now = sqlite3_vfs_find(NULL);
    if (ours != NULL && now != NULL && strcmp(now->zName, "unix") == 0) (void)sqlite3_vfs_register(ours, 1);
}

typedef int (*open_function)(const void *path, sqlite3 **db);
typedef int (*open_v2_function)(const char *path, sqlite3 **db, int flags, const char *vfs);

static void *own(const char *name)
{
    see_to_vfs();
    return dlsym(RTLD_NEXT, name);
}

__attribute__((visibility("default"))) int sqlite3_open(const char *path, sqlite3 **db)
{
    open_function next;
    *(void **)&next = own("sqlite3_open");
    return next(path, db);
}

__attribute__((visibility("default"))) int sqlite3_open16(const void *path, sqlite3 **db)
{
    open_function next;
    *(void **)&next = own("sqlite3_open16");
    return next(path, db);
}

__attribute__((visibility("default"))) int sqlite3_open_v2(const char *path, sqlite3 **db, int flags, const char *vfs)
{
    open_v2_function next;
    *(void **)&next = own("sqlite3_open_v2");
    return next(path, db, flags, vfs);
}
