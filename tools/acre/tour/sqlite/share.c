/* share.c - four connections of one process, each of which runs the same statements, one statement by each after the other; nothing of the
 * database is in memory before. Then one changes rows and all is checked, through the same VFS and through SQLite's own.
 *
 * "bytes read" are what was read from the file by the process; "bytes held" are pages of connections and blocks of the pool, each counted
 * where it is. */
#include "program.h"

#include <acre/sqlite_vfs.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTION_COUNT = 4, POOL_BYTES = 64 << 20, PAGE_BYTES = 4096 }; /* pages are SQLite's and the pool's */

/* From the system's cache, as far as the file system does that. */
static void drop_from_memory(const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    (void)fdatasync(file);
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(file);
}

/* All rows of the next statement; returns what comes after it. */
static const char *run_next(sqlite3 *db, const char *sql, uint64_t *answers)
{
    sqlite3_stmt *statement;
    const char *rest;
    check(db, sqlite3_prepare_v2(db, sql, -1, &statement, &rest));
    if (statement == NULL) return rest; /* blanks */
    int status;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const unsigned char *const text = sqlite3_column_text(statement, i);
            if (text != NULL) *answers = fnv_add(*answers, text, (size_t)sqlite3_column_bytes(statement, i) + 1);
        }
    }
    check(db, status);
    check(db, sqlite3_finalize(statement));
    return rest;
}

static void run_on_all(sqlite3 **connections, const char *sql, uint64_t *answers)
{
    while (*sql != 0) {
        const char *rest = sql;
        for (int i = 0; i < CONNECTION_COUNT; i++) rest = run_next(connections[i], sql, &answers[i]);
        sql = rest;
    }
}

static uint64_t status_of(sqlite3 *db, int what)
{
    int now = 0, most = 0;
    check(db, sqlite3_db_status(db, what, &now, &most, 0));
    return (uint64_t)now;
}

static int take_word(void *is_ok, int count, char **values, char **names)
{
    (void)names;
    *(int *)is_ok = count == 1 && values[0] != NULL && strcmp(values[0], "ok") == 0;
    return 0;
}

static int is_intact(sqlite3 *db)
{
    int is_ok = 0;
    check(db, sqlite3_exec(db, "PRAGMA integrity_check", take_word, &is_ok, NULL));
    return is_ok;
}

int share_command(char **words)
{
    const char *const path = words[0], *const vfs = words[2];
    const int is_acre = strcmp(vfs, "acre") == 0;
    const char *const text = read_text(words[1]);
    char sql[64];
    sqlite3 *connections[CONNECTION_COUNT];
    uint64_t answers[CONNECTION_COUNT], read_bytes = 0, held_bytes = 0, request_count = 0;
    acre_sqlite_vfs_figures figures = {.connection_count = 0};
    (void)snprintf(sql, sizeof sql, "PRAGMA cache_size = %ld", strtol(words[3], NULL, 10));
    if (is_acre) must(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = POOL_BYTES, .is_not_default = true}));
    drop_from_memory(path);
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        connections[i] = open_through(path, vfs);
        answers[i] = FNV_BEGIN;
        run(connections[i], sql);
    }
    const double begin = cpu_seconds();
    run_on_all(connections, text, answers);
    const double used = cpu_seconds() - begin;
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        const uint64_t misses = status_of(connections[i], SQLITE_DBSTATUS_CACHE_MISS);
        request_count += misses;
        read_bytes += misses * PAGE_BYTES;
        held_bytes += status_of(connections[i], SQLITE_DBSTATUS_CACHE_USED);
    }
    if (is_acre) {
        must(acre_sqlite_vfs_read_figures(&figures));
        request_count = figures.pool.read_request_count;
        read_bytes = figures.pool.read_count * PAGE_BYTES;
        held_bytes += (uint64_t)(figures.pool.frame_count - figures.pool.free_count) * PAGE_BYTES;
    }
    run(connections[0],
        "UPDATE item SET price = price + 1 WHERE owner < 100; INSERT INTO sale(item, count) SELECT id, 1 FROM item WHERE id < 5000");
    int is_whole = is_intact(connections[1]);
    for (int i = 1; i < CONNECTION_COUNT; i++) is_whole &= answers[i] == answers[0];
    for (int i = 0; i < CONNECTION_COUNT; i++) check(connections[i], sqlite3_close(connections[i]));
    if (is_acre) must(acre_sqlite_vfs_unregister());
    sqlite3 *const db = open_through(path, "unix");
    is_whole &= is_intact(db);
    uint64_t sum = FNV_BEGIN;
    (void)run_next(db, "SELECT sum(price), sum(id * (1 + owner)), (SELECT sum(item * (1 + count)) FROM sale) FROM item", &sum);
    check(db, sqlite3_close(db));
    printf("answers: %llu\nleft: %llu\nis whole: %d\nseconds: %.6f\n", (unsigned long long)answers[0], (unsigned long long)sum, is_whole,
           used);
    printf("bytes read: %llu\nrequests: %llu\nbytes held: %llu\n", (unsigned long long)read_bytes, (unsigned long long)request_count,
           (unsigned long long)held_bytes);
    printf("read ahead: %llu\nread ahead and used: %llu\n", (unsigned long long)figures.prefetch_count,
           (unsigned long long)figures.prefetch_used_count);
    return 0;
}
