/* sqlite.c - eight connections share one budget of 2 MiB. */
#define _POSIX_C_SOURCE 200809L /* mkstemp */
#include <acre/sqlite.h>
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
    if (acre_sqlite_install(&(acre_sqlite_options){.budget_bytes = 2 << 20}) != ACRE_OK) {
        fprintf(stderr, "%s\n", acre_last_error());
        return 1;
    }
    for (int i = 0; i < CONNECTION_COUNT; i++) failures += sqlite3_open(path, &connections[i]) != SQLITE_OK;
    failures += run(connections[0], "create table t(k integer primary key, v); "
                                    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000) "
                                    "insert into t select i, hex(randomblob(50)) from n") != SQLITE_OK;
    for (int i = 0; i < CONNECTION_COUNT; i++) failures += run(connections[i], "select max(v) from t") != SQLITE_OK;
    acre_sqlite_figures figures;
    acre_sqlite_read_figures(&figures);
    printf("%" PRIu64 " caches hold %" PRIu64 " pages, %" PRIu64 " of %" PRIu64 " bytes; %" PRIu64 " hits, %" PRIu64 " misses\n",
           figures.cache_count, figures.page_count, figures.page_bytes, figures.budget_bytes, figures.hit_count, figures.miss_count);
    for (int i = 0; i < CONNECTION_COUNT; i++) failures += sqlite3_close(connections[i]) != SQLITE_OK;
    unlink(path);
    return failures != 0 || figures.page_bytes > figures.budget_bytes;
}
