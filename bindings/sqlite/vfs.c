/* vfs.c - registers the VFS, and opens files: a database goes into the pool, everything else is the VFS below's. */
#include "vfs.h"

#include "base/status.h"

#include <string.h>

enum { POOL_BYTES_DEFAULT = 64 << 20, BLOCK_BYTES_DEFAULT = 4096, BLOCK_BYTES_MAX = 65536, FRAMES_MIN = 16 };

vfs_state acre_vfs = {.lock = PTHREAD_MUTEX_INITIALIZER};

static sqlite3_vfs vfs;
static bool is_registered;

static acre_status open_pool(void)
{
    const acre_sqlite_vfs_options *const o = &acre_vfs.options;
    if (o->shared_name != NULL) {
        const acre_shared_pages_options shared = {
            .name = acre_vfs.shared_name, .bytes = o->pool_bytes, .page_bytes = o->block_bytes, .policy = o->policy};
        return acre_shared_pages_open(&shared, &acre_vfs.shared);
    }
    const acre_buffer_pool_options options = {
        .page_bytes = o->block_bytes, .frame_count = (uint32_t)(o->pool_bytes >> acre_vfs.block_shift), .policy = o->policy};
    return acre_buffer_pool_open(&options, &acre_vfs.pool);
}

static void close_pool(void)
{
    if (acre_vfs.pool != NULL) (void)acre_buffer_pool_close(acre_vfs.pool);
    if (acre_vfs.shared != NULL) (void)acre_shared_pages_close(acre_vfs.shared);
    acre_vfs.pool = NULL;
    acre_vfs.shared = NULL;
}

static bool has_pool(void) { return acre_vfs.pool != NULL || acre_vfs.shared != NULL; }

/* ---- files ---- */

static vfs_file *find_file(acre_file_identity identity)
{
    vfs_file *file = acre_vfs.files;
    while (file != NULL && (file->identity.inode != identity.inode || file->identity.device != identity.device)) file = file->next;
    return file;
}

/* Under acre_vfs.lock. Makes it known; in the pool if it can be. */
static vfs_file *add_file(acre_file_identity identity, const char *path)
{
    vfs_file *const file = sqlite3_malloc64(sizeof *file);
    if (file == NULL) return NULL;
    memset(file, 0, sizeof *file);
    file->identity = identity;
    if (pthread_mutex_init(&file->lock, NULL) != 0) {
        sqlite3_free(file);
        return NULL;
    }
    if (has_pool()) (void)acre_vfs_blocks_open(file, path);
    file->next = acre_vfs.files;
    acre_vfs.files = file;
    return file;
}

void acre_vfs_forget(vfs_file *file)
{
    pthread_mutex_lock(&acre_vfs.lock);
    acre_vfs.counts.connection--;
    if (file != NULL && --file->connection_count == 0) {
        vfs_file **at = &acre_vfs.files;
        while (*at != file) at = &(*at)->next;
        *at = file->next;
        acre_vfs_blocks_close(file);
        (void)pthread_mutex_destroy(&file->lock);
        sqlite3_free(file);
    }
    pthread_mutex_unlock(&acre_vfs.lock);
}

/* Is what was opened still at the path? False, too, for a VFS that cannot say. */
static bool is_at_path(sqlite3_file *below)
{
    int has_moved = 1;
    return below->pMethods->xFileControl(below, SQLITE_FCNTL_HAS_MOVED, &has_moved) == SQLITE_OK && has_moved == 0;
}

/* Finds or makes the file of a connection. A database that is not in the pool is known all the same, so that no descriptor of it is
 * closed while it is open. */
static int find_or_add_file(vfs_connection *c, const char *path)
{
    acre_file_identity identity, again;
    if (!acre_file_identify(path, &identity)) return SQLITE_OK;
    vfs_file *file = find_file(identity);
    if (file == NULL) file = add_file(identity, path);
    if (file == NULL) return SQLITE_NOMEM;
    file->connection_count++;
    c->file = file;
    if (!is_at_path(vfs_below(c)) || !acre_file_identify(path, &again) || again.inode != identity.inode || again.device != identity.device)
        c->is_left = true;
    return SQLITE_OK;
}

static int open_database(vfs_connection *c, const char *path)
{
    pthread_mutex_lock(&acre_vfs.lock);
    if (!has_pool()) (void)open_pool(); /* in a child */
    const int status = find_or_add_file(c, path);
    acre_vfs.counts.connection += status == SQLITE_OK;
    if (status == SQLITE_OK && (c->file == NULL || !c->file->is_pooled || c->is_left)) acre_vfs.counts.left++;
    pthread_mutex_unlock(&acre_vfs.lock);
    return status;
}

static int open_file(sqlite3_vfs *self, const char *path, sqlite3_file *base, int flags, int *flags_got)
{
    vfs_connection *const c = (vfs_connection *)base;
    sqlite3_vfs *const below = self->pAppData;
    memset(c, 0, sizeof *c);
    if ((flags & SQLITE_OPEN_MAIN_DB) == 0 || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0 || path == NULL) {
        /* Nothing of ours stands between, not even the methods: the file of the VFS below is at the beginning. */
        return below->xOpen(below, path, base, flags, flags_got);
    }
    int status = below->xOpen(below, path, vfs_below(c), flags, flags_got);
    if (status != SQLITE_OK) {
        if (vfs_below(c)->pMethods != NULL) (void)vfs_below(c)->pMethods->xClose(vfs_below(c));
        return status;
    }
    c->generation = acre_vfs.generation;
    status = open_database(c, path);
    if (status != SQLITE_OK)
        (void)vfs_below(c)->pMethods->xClose(vfs_below(c));
    else
        base->pMethods = acre_vfs_methods(vfs_below(c)->pMethods);
    return status;
}

/* ---- the rest of a VFS ---- */

static sqlite3_vfs *below_of(const sqlite3_vfs *self) { return self->pAppData; }

static int delete_file(sqlite3_vfs *self, const char *path, int is_synced)
{
    return below_of(self)->xDelete(below_of(self), path, is_synced);
}
static int access_file(sqlite3_vfs *self, const char *path, int flags, int *result)
{
    return below_of(self)->xAccess(below_of(self), path, flags, result);
}
static int full_path(sqlite3_vfs *self, const char *path, int bytes, char *out)
{
    return below_of(self)->xFullPathname(below_of(self), path, bytes, out);
}
static void *open_library(sqlite3_vfs *self, const char *path) { return below_of(self)->xDlOpen(below_of(self), path); }
static void library_error(sqlite3_vfs *self, int bytes, char *out) { below_of(self)->xDlError(below_of(self), bytes, out); }
static void (*library_symbol(sqlite3_vfs *self, void *library, const char *name))(void)
{
    return below_of(self)->xDlSym(below_of(self), library, name);
}
static void close_library(sqlite3_vfs *self, void *library) { below_of(self)->xDlClose(below_of(self), library); }
static int random_bytes(sqlite3_vfs *self, int bytes, char *out) { return below_of(self)->xRandomness(below_of(self), bytes, out); }
static int sleep_for(sqlite3_vfs *self, int microseconds) { return below_of(self)->xSleep(below_of(self), microseconds); }
static int current_time(sqlite3_vfs *self, double *days) { return below_of(self)->xCurrentTime(below_of(self), days); }
static int last_error(sqlite3_vfs *self, int bytes, char *out) { return below_of(self)->xGetLastError(below_of(self), bytes, out); }
static int current_time_ms(sqlite3_vfs *self, sqlite3_int64 *ms) { return below_of(self)->xCurrentTimeInt64(below_of(self), ms); }
static int set_system_call(sqlite3_vfs *self, const char *name, sqlite3_syscall_ptr call)
{
    return below_of(self)->xSetSystemCall(below_of(self), name, call);
}
static sqlite3_syscall_ptr get_system_call(sqlite3_vfs *self, const char *name)
{
    return below_of(self)->xGetSystemCall(below_of(self), name);
}
static const char *next_system_call(sqlite3_vfs *self, const char *name) { return below_of(self)->xNextSystemCall(below_of(self), name); }

static sqlite3_vfs make_vfs(sqlite3_vfs *below)
{
    return (sqlite3_vfs){
        .iVersion = below->iVersion < 3 ? below->iVersion : 3,
        .szOsFile = (int)sizeof(vfs_connection) + below->szOsFile,
        .mxPathname = below->mxPathname,
        .zName = "acre",
        .pAppData = below,
        .xOpen = open_file,
        .xDelete = delete_file,
        .xAccess = access_file,
        .xFullPathname = full_path,
        .xDlOpen = below->xDlOpen == NULL ? NULL : open_library,
        .xDlError = library_error,
        .xDlSym = library_symbol,
        .xDlClose = close_library,
        .xRandomness = random_bytes,
        .xSleep = sleep_for,
        .xCurrentTime = current_time,
        .xGetLastError = last_error,
        .xCurrentTimeInt64 = current_time_ms,
        .xSetSystemCall = set_system_call,
        .xGetSystemCall = get_system_call,
        .xNextSystemCall = next_system_call,
    };
}

/* ---- registration ---- */

static void before_fork(void) { pthread_mutex_lock(&acre_vfs.lock); }
static void after_fork(void) { pthread_mutex_unlock(&acre_vfs.lock); }

/* The parent's locks, rings and reads in flight are not the child's: it begins anew, with a pool when it opens a database, and leaves what
 * was there as it is. */
static void in_child(void)
{
    acre_vfs.generation++;
    acre_vfs.files = NULL;
    acre_vfs.pool = NULL;
    acre_vfs.shared = NULL;
    acre_vfs.counts = (vfs_counts){0};
    acre_vfs_blocks_in_child();
    pthread_mutex_unlock(&acre_vfs.lock);
}

static acre_status check_options(acre_sqlite_vfs_options *o)
{
    if (o->pool_bytes == 0) o->pool_bytes = POOL_BYTES_DEFAULT;
    if (o->block_bytes == 0) o->block_bytes = BLOCK_BYTES_DEFAULT;
    if (o->block_bytes < BLOCK_BYTES_DEFAULT || o->block_bytes > BLOCK_BYTES_MAX || (o->block_bytes & (o->block_bytes - 1)) != 0)
        return acre_fail(ACRE_INVALID, "sqlite vfs: blocks of %u bytes: a power of two from 4096 to 65536", o->block_bytes);
    const uint64_t frame_count = o->pool_bytes / o->block_bytes;
    if (frame_count < FRAMES_MIN || frame_count > ACRE_BUFFER_POOL_FRAMES_MAX)
        return acre_fail(ACRE_INVALID, "sqlite vfs: a pool of %llu bytes: 16 to %u blocks of %u", (unsigned long long)o->pool_bytes,
                         ACRE_BUFFER_POOL_FRAMES_MAX, o->block_bytes);
    if (acre_policy_name(o->policy) == NULL) return acre_fail(ACRE_INVALID, "sqlite vfs: policy %u is none", (unsigned)o->policy);
    if (o->shared_name != NULL && (o->is_direct || strlen(o->shared_name) >= sizeof acre_vfs.shared_name))
        return acre_fail(ACRE_INVALID, "sqlite vfs: shared as '%s': not with is_direct, and no longer name than of %u", o->shared_name,
                         ACRE_SHARED_NAME_MAX);
    if ((unsigned)o->way > ACRE_DEVICE_CALLS) return acre_fail(ACRE_INVALID, "sqlite vfs: way %u is none", (unsigned)o->way);
    return ACRE_OK;
}

static acre_status find_below(const char *name)
{
    acre_vfs.below = sqlite3_vfs_find(name);
    if (acre_vfs.below == NULL || strncmp(acre_vfs.below->zName, "unix", 4) != 0)
        return acre_fail(ACRE_INVALID, "sqlite vfs: '%s' is no VFS that begins with 'unix'", name == NULL ? "(the default)" : name);
    return ACRE_OK;
}

static void set_block_shift(void)
{
    acre_vfs.block_shift = 12;
    while ((uint32_t)1 << acre_vfs.block_shift < acre_vfs.options.block_bytes) acre_vfs.block_shift++;
}

acre_status acre_sqlite_vfs_register(const acre_sqlite_vfs_options *options)
{
    static const acre_sqlite_vfs_options defaults = {.policy = ACRE_POLICY_ADAPTIVE};
    static bool has_fork_handlers;
    acre_sqlite_vfs_options o = options == NULL ? defaults : *options;
    acre_status status = check_options(&o);
    if (status != ACRE_OK) return status;
    if (is_registered) return acre_fail(ACRE_BUSY, "sqlite vfs: it is registered already");
    status = find_below(o.below);
    if (status != ACRE_OK) return status;
    acre_vfs.options = o;
    if (o.shared_name != NULL) memcpy(acre_vfs.shared_name, o.shared_name, strlen(o.shared_name) + 1);
    acre_vfs.counts = (vfs_counts){0};
    set_block_shift();
    status = acre_space_open_pages(&acre_vfs.tag_space, NULL);
    if (status == ACRE_OK) status = open_pool();
    if (status != ACRE_OK) return status;
    vfs = make_vfs(acre_vfs.below);
    if (!has_fork_handlers) has_fork_handlers = pthread_atfork(before_fork, after_fork, in_child) == 0;
    if (!has_fork_handlers || sqlite3_vfs_register(&vfs, !o.is_not_default) != SQLITE_OK) {
        close_pool();
        return acre_fail(ACRE_NO_MEMORY, "sqlite vfs: SQLite does not take it");
    }
    is_registered = true;
    return ACRE_OK;
}

acre_status acre_sqlite_vfs_unregister(void)
{
    if (!is_registered) return acre_fail(ACRE_INVALID, "sqlite vfs: it is not registered");
    pthread_mutex_lock(&acre_vfs.lock);
    const uint64_t connection_count = acre_vfs.counts.connection;
    if (connection_count == 0) {
        (void)sqlite3_vfs_unregister(&vfs);
        close_pool();
        is_registered = false;
    }
    pthread_mutex_unlock(&acre_vfs.lock);
    if (connection_count > 0) return acre_fail(ACRE_BUSY, "sqlite vfs: %llu connections are open", (unsigned long long)connection_count);
    return ACRE_OK;
}

acre_status acre_sqlite_vfs_read_figures(acre_sqlite_vfs_figures *figures)
{
    if (figures == NULL || !is_registered) return acre_fail(ACRE_INVALID, "sqlite vfs: a NULL, or it is not registered");
    const vfs_counts *const c = &acre_vfs.counts;
    memset(figures, 0, sizeof *figures);
    pthread_mutex_lock(&acre_vfs.lock);
    for (const vfs_file *file = acre_vfs.files; file != NULL; file = file->next) figures->file_count += file->is_pooled;
    figures->connection_count = (uint32_t)c->connection;
    figures->left_count = c->left;
    acre_status status = ACRE_OK;
    if (acre_vfs.pool != NULL) status = acre_buffer_pool_read_figures(acre_vfs.pool, &figures->pool);
    if (acre_vfs.shared != NULL) status = acre_shared_pages_read_figures(acre_vfs.shared, &figures->shared);
    pthread_mutex_unlock(&acre_vfs.lock);
    figures->below_read_count = __atomic_load_n(&c->below_read, __ATOMIC_RELAXED);
    figures->drop_count = __atomic_load_n(&c->drop, __ATOMIC_RELAXED);
    figures->stale_count = __atomic_load_n(&c->stale, __ATOMIC_RELAXED);
    figures->prefetch_count = __atomic_load_n(&c->prefetch, __ATOMIC_RELAXED);
    figures->prefetch_used_count = __atomic_load_n(&c->prefetch_used, __ATOMIC_RELAXED);
    figures->shared_request_count = __atomic_load_n(&c->shared_request, __ATOMIC_RELAXED);
    figures->has_ring = __atomic_load_n(&c->has_ring, __ATOMIC_RELAXED) != 0;
    return status;
}
