/* sqlite_vfs.c - eight connections read one database through one pool: what the first one has read, no other one reads again. */
#define _POSIX_C_SOURCE 200809L /* mkstemp */
#include <acre/sqlite_vfs.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONNECTION_COUNT = 8 };

static int run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    int status = sqlite3_exec(db, sql, NULL, NULL, &message);
    if (status != SQLITE_OK) fprintf(stderr, "%s: %s\n", sql, message);
    sqlite3_free(message);
    return status;
}

int main(void)
{
    char path[] = "/tmp/acre-sqlite-XXXXXX";
    sqlite3 *connections[CONNECTION_COUNT];
    int failures = 0, file = mkstemp(path);
    if (file < 0 || close(file) != 0) return 1;
    if (acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = 32 << 20}) != ACRE_OK) {
        fprintf(stderr, "%s\n", acre_last_error());
        return 1;
    }
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        failures += sqlite3_open(path, &connections[i]) != SQLITE_OK;
        failures += run(connections[i], "pragma cache_size = 50") != SQLITE_OK; /* pages: the connection's own copies */
    }
    failures += run(connections[0], "create table t(k integer primary key, v); "
                                    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000) "
                                    "insert into t select i, hex(randomblob(50)) from n") != SQLITE_OK;
    for (int i = 0; i < CONNECTION_COUNT; i++) failures += run(connections[i], "select max(v) from t") != SQLITE_OK;

    acre_sqlite_vfs_figures figures;
    if (acre_sqlite_vfs_read_figures(&figures) != ACRE_OK) return 1;
    printf("%" PRIu32 " connections, %" PRIu32 " database; %" PRIu64 " blocks read by %" PRIu64 " requests, found in the pool %" PRIu64
           " times\n",
           figures.connection_count, figures.file_count, figures.pool.read_count, figures.pool.read_request_count, figures.pool.hit_count);
    for (int i = 0; i < CONNECTION_COUNT; i++) failures += sqlite3_close(connections[i]) != SQLITE_OK;
    unlink(path);
    failures += acre_sqlite_vfs_unregister() != ACRE_OK;
    return failures != 0 || figures.pool.hit_count < 5 * figures.pool.read_count;
}
