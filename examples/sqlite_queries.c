/* sqlite_queries.c - two connections to one database: an answer is given again until the other one changes what it was read from. */
#define _POSIX_C_SOURCE 200809L /* mkstemp */
#include <acre/sqlite_queries.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int run(sqlite3 *db, const char *sql)
{
    const int status = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (status != SQLITE_OK) fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
    return status;
}

/* What all orders of a customer cost. */
static int64_t ask(acre_sqlite_connection *connection, int64_t customer)
{
    static const char sql[] = "select sum(price * count) from orders join items using (item) where customer = ?1";
    const acre_sqlite_value parameter = {.type = ACRE_SQLITE_INTEGER, .integer = customer};
    acre_sqlite_answer answer;
    if (acre_sqlite_query(connection, sql, &parameter, 1, NULL, &answer) != SQLITE_OK) return -1;
    const int64_t total = acre_sqlite_answer_value(&answer, 0, 0).integer;
    printf("%s: %lld, %s\n", acre_sqlite_answer_name(&answer, 0), (long long)total,
           answer.outcome == ACRE_QUERY_HIT ? "as it was kept" : "run by SQLite");
    acre_sqlite_answer_close(&answer);
    return total;
}

int main(void)
{
    char path[] = "/tmp/acre-sqlite-queries-XXXXXX", name[40];
    const int file = mkstemp(path);
    sqlite3 *reader, *writer;
    acre_query_cache *cache;
    acre_sqlite_queries *queries;
    acre_sqlite_connection *reading, *writing;
    if (file < 0 || close(file) != 0 || sqlite3_open(path, &reader) != SQLITE_OK || sqlite3_open(path, &writer) != SQLITE_OK) return 1;
    if (acre_query_cache_open(&cache, &(acre_query_cache_options){.bytes_max = 1 << 20}) != ACRE_OK ||
        acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = cache}) != ACRE_OK ||
        acre_sqlite_attach(queries, reader, NULL, &reading) != ACRE_OK || acre_sqlite_attach(queries, writer, NULL, &writing) != ACRE_OK) {
        fprintf(stderr, "%s\n", acre_last_error());
        return 1;
    }
    int failures = run(writer, "pragma journal_mode = wal; create table items(item integer primary key, price);"
                               "create table orders(customer, item, count); create table visits(customer);"
                               "insert into items values(1, 5), (2, 7); insert into orders values(1, 1, 3), (1, 2, 1), (2, 2, 2)");
    failures += ask(reading, 1) != 22;
    failures += ask(reading, 1) != 22;
    failures += run(writer, "insert into visits values(1)"); /* another table: what is kept stays */
    failures += ask(reading, 1) != 22;
    failures += run(writer, "update items set price = 6 where item = 1");
    failures += ask(reading, 1) != 25;
    acre_query_figures figures;
    failures += acre_query_cache_read_figures(cache, &figures) != ACRE_OK || figures.hits < 1;
    failures += acre_sqlite_detach(reading) != ACRE_OK || acre_sqlite_detach(writing) != ACRE_OK;
    failures += sqlite3_close(reader) != SQLITE_OK || sqlite3_close(writer) != SQLITE_OK;
    acre_sqlite_queries_close(queries);
    acre_query_cache_close(cache);
    unlink(path);
    static const char *const ends[] = {"wal", "shm"};
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s-%s", path, ends[i]);
        unlink(name);
    }
    return failures != 0;
}
