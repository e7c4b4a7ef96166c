/* queries.c - what an answer from the cache costs, beside the same statement run by SQLite: prepared once, bound, stepped to its end, all
 * columns read.
 *
 * A point lookup and a join with an aggregate, over 100,000 items of 50 shops; with and without looking for foreign writers, in WAL mode
 * and with a rollback journal. What a connection pays for being attached: for a write and for a row that it reads itself. Then two threads
 * that read, and write once in 10, 100 and 1,000 statements. Median of the rounds, nanoseconds of CPU time a call; ACRE_BENCH_QUICK=1 for
 * fewer.
 */
#include <acre/sqlite_queries.h>

#include "../database/measure.h"

#include <pthread.h>
#include <sqlite3.h>
#include <unistd.h>

enum { ROUNDS = 9, ITEMS = 100000, SHOPS = 50, TABLES = 8, THREADS = 2 };

static char path[80];
static const char lookup[] = "select name, price, stock from items0 where id = ?1";
static const char aggregate[] =
    "select s.name, count(*), sum(i.price), max(i.stock) from items0 i join shops s on s.id = i.shop where i.shop = ?1";

static void check(sqlite3 *db, int status)
{
    if (status == SQLITE_OK || status == SQLITE_DONE || status == SQLITE_ROW) return;
    fprintf(stderr, "%s\n", sqlite3_errmsg(db));
    abort();
}

static sqlite3 *open_database(const char *mode)
{
    sqlite3 *db;
    char sql[80];
    check(NULL, sqlite3_open(path, &db));
    check(db, sqlite3_busy_timeout(db, 10000));
    snprintf(sql, sizeof sql, "pragma journal_mode = %s; pragma synchronous = off", mode);
    check(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
    return db;
}

static void fill(sqlite3 *db)
{
    char sql[400];
    check(db,
          sqlite3_exec(db,
                       "create table shops(id integer primary key, name); with recursive n(i) as (select 0 union all select i + 1 from n "
                       "where i < 49) insert into shops select i, 'shop ' || i from n",
                       NULL, NULL, NULL));
    for (int i = 0; i < TABLES; i++) {
        snprintf(
            sql, sizeof sql,
            "create table items%d(id integer primary key, shop, name, price, stock); create index shop%d on items%d(shop); with recursive "
            "n(i) as (select 0 union all select i + 1 from n where i < %d) insert into items%d select i, i %% %d, 'item ' || i, i * 1.5, 7 "
            "from n",
            i, i, i, i == 0 ? ITEMS - 1 : 9999, i, SHOPS);
        check(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
    }
}

static uint64_t sum; /* so that all is read */

static void run_plainly(sqlite3 *db, sqlite3_stmt *prepared, int64_t key)
{
    check(db, sqlite3_bind_int64(prepared, 1, key));
    int status;
    while ((status = sqlite3_step(prepared)) == SQLITE_ROW) {
        sum += sqlite3_column_text(prepared, 0)[0];
        for (int i = 1; i < sqlite3_column_count(prepared); i++) sum += (uint64_t)sqlite3_column_double(prepared, i);
    }
    check(db, status);
    check(db, sqlite3_reset(prepared));
}

static acre_query_outcome run_through(acre_sqlite_connection *connection, sqlite3 *db, const char *sql, int64_t key)
{
    const acre_sqlite_value parameter = {.type = ACRE_SQLITE_INTEGER, .integer = key};
    acre_sqlite_answer answer;
    check(db, acre_sqlite_query(connection, sql, &parameter, 1, NULL, &answer));
    for (uint32_t row = 0; row < answer.row_count; row++) {
        sum += *(const unsigned char *)acre_sqlite_answer_value(&answer, row, 0).data;
        for (uint32_t i = 1; i < answer.column_count; i++) sum += (uint64_t)acre_sqlite_answer_value(&answer, row, i).integer;
    }
    const acre_query_outcome outcome = answer.outcome;
    acre_sqlite_answer_close(&answer);
    return outcome;
}

/* --- one thread --- */

static double time_plain(sqlite3 *db, const char *sql, uint64_t keys, int calls)
{
    double rounds[ROUNDS];
    sqlite3_stmt *prepared;
    uint64_t random = 99;
    check(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, NULL));
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < calls; i++) run_plainly(db, prepared, (int64_t)(next_random(&random) % keys));
        rounds[round] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / calls;
    }
    check(db, sqlite3_finalize(prepared));
    return median(rounds, ROUNDS);
}

static double time_hits(acre_sqlite_connection *connection, sqlite3 *db, const char *sql, uint64_t keys, int calls)
{
    double rounds[ROUNDS];
    uint64_t random = 99, hits = 0;
    for (int again = 0; again < 3; again++)
        for (uint64_t key = 0; key < keys; key++) (void)run_through(connection, db, sql, (int64_t)key);
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < calls; i++) hits += run_through(connection, db, sql, (int64_t)(next_random(&random) % keys)) == ACRE_QUERY_HIT;
        rounds[round] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / calls;
    }
    if (hits < (uint64_t)ROUNDS * (uint64_t)calls * 99 / 100)
        printf("    only %llu of %llu were hits\n", (unsigned long long)hits, (unsigned long long)calls * ROUNDS);
    return median(rounds, ROUNDS);
}

static double time_misses(acre_sqlite_connection *connection, sqlite3 *db, const char *sql, uint64_t keys)
{
    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        acre_sqlite_changed(connection);
        const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (uint64_t key = 0; key < keys; key++) (void)run_through(connection, db, sql, (int64_t)key);
        rounds[round] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)keys;
    }
    return median(rounds, ROUNDS);
}

static acre_sqlite_queries *open_queries(acre_query_cache **cache, bool has_no_foreign_writers)
{
    acre_sqlite_queries *queries;
    must(acre_query_cache_open(cache, &(acre_query_cache_options){.bytes_max = 256 << 20}));
    must(acre_sqlite_queries_open(&queries,
                                  &(acre_sqlite_queries_options){.cache = *cache, .has_no_foreign_writers = has_no_foreign_writers}));
    return queries;
}

static double time_updates(sqlite3 *db, int calls)
{
    double rounds[ROUNDS];
    sqlite3_stmt *prepared;
    uint64_t random = 5;
    check(db, sqlite3_prepare_v3(db, "update items7 set stock = stock + 1 where id = ?1", -1, SQLITE_PREPARE_PERSISTENT, &prepared, NULL));
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < calls; i++) run_plainly(db, prepared, (int64_t)(next_random(&random) % 100));
        rounds[round] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / calls;
    }
    check(db, sqlite3_finalize(prepared));
    return median(rounds, ROUNDS);
}

static double time_rows(sqlite3 *db) { return time_plain(db, "select name, price from items0 where id >= ?1", 1, 1) / ITEMS; }

static void compare(const char *mode, int calls)
{
    acre_query_cache *cache;
    acre_sqlite_connection *connection;
    sqlite3 *const db = open_database(mode);
    const double plain_lookup = time_plain(db, lookup, 1000, calls), plain_all = time_plain(db, lookup, ITEMS, calls);
    const double plain_aggregate = time_plain(db, aggregate, SHOPS, calls / 500), update = time_updates(db, calls / 100),
                 row = time_rows(db);
    printf("journal_mode %s, run by SQLite: lookup %.0f ns of 1,000 keys, %.0f of %d; join and aggregate over 2,000 rows %.0f us; update "
           "%.1f us; "
           "a row %.0f ns\n",
           mode, plain_lookup, plain_all, (int)ITEMS, plain_aggregate / 1000, update / 1000, row);
    for (int has_none = 0; has_none < 2; has_none++) {
        acre_sqlite_queries *const queries = open_queries(&cache, has_none != 0);
        must(acre_sqlite_attach(queries, db, NULL, &connection));
        const double hit = time_hits(connection, db, lookup, 1000, calls),
                     hit_aggregate = time_hits(connection, db, aggregate, SHOPS, calls);
        const double hit_all = time_hits(connection, db, lookup, ITEMS, calls);
        printf("  %s: hit of the lookup %.0f ns (%.1f times as fast), of %d keys %.0f ns (%.1f), of the aggregate %.0f ns (%.0f); a miss "
               "with its "
               "fill %.0f ns\n",
               has_none ? "no foreign writers" : "foreign writers looked for", hit, plain_lookup / hit, (int)ITEMS, hit_all,
               plain_all / hit_all, hit_aggregate, plain_aggregate / hit_aggregate, time_misses(connection, db, lookup, 10000));
        printf("    what the connection runs itself: an update %.1f us, a row %.0f ns\n", time_updates(db, calls / 100) / 1000,
               time_rows(db));
        must(acre_sqlite_detach(connection));
        acre_sqlite_queries_close(queries);
        acre_query_cache_close(cache);
    }
    check(db, sqlite3_close(db));
}

/* --- two threads that read and write --- */

typedef struct worker {
    pthread_t thread;
    acre_sqlite_queries *queries; /* NULL: without */
    uint64_t random, write_share, hits;
    int calls;
} worker;

/* Half of the reads are lookups and half aggregates, over eight tables of 10,000 items and of 100,000; each write changes a row of one. */
static void *work(void *context)
{
    worker *const self = context;
    acre_sqlite_connection *connection = NULL;
    sqlite3 *const db = open_database("wal");
    sqlite3_stmt *prepared[TABLES][3];
    char sql[TABLES][3][200];
    for (int i = 0; i < TABLES; i++) {
        snprintf(sql[i][0], sizeof sql[i][0], "select name, price, stock from items%d where id = ?1", i);
        snprintf(sql[i][1], sizeof sql[i][1],
                 "select s.name, count(*), sum(i.price) from items%d i join shops s on s.id = i.shop where i.shop = ?1", i);
        snprintf(sql[i][2], sizeof sql[i][2], "update items%d set stock = stock + 1 where id = ?1", i);
        for (int k = 0; k < 3; k++) check(db, sqlite3_prepare_v3(db, sql[i][k], -1, SQLITE_PREPARE_PERSISTENT, &prepared[i][k], NULL));
    }
    if (self->queries != NULL) must(acre_sqlite_attach(self->queries, db, NULL, &connection));
    for (int i = 0; i < self->calls; i++) {
        const uint64_t random = next_random(&self->random), table = random / 128 % TABLES;
        const int kind = random % self->write_share == 0 ? 2 : (int)(random / 4096 % 2);
        const uint64_t keys = kind == 0 ? 200 : SHOPS;
        const int64_t key = (int64_t)((random >> 20) % keys * ((random >> 40) % keys) / keys); /* the lower ones more often */
        if (kind == 2 || connection == NULL)
            run_plainly(db, prepared[table][kind], key);
        else
            self->hits += run_through(connection, db, sql[table][kind], key) == ACRE_QUERY_HIT;
    }
    for (int i = 0; i < TABLES; i++)
        for (int k = 0; k < 3; k++) check(db, sqlite3_finalize(prepared[i][k]));
    must(acre_sqlite_detach(connection));
    check(db, sqlite3_close(db));
    return NULL;
}

static double time_mix(acre_sqlite_queries *queries, uint64_t write_share, int calls, double *hit_share)
{
    static worker workers[THREADS];
    uint64_t hits = 0;
    const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.queries = queries, .random = 77u + (uint64_t)i * 1001, .write_share = write_share, .calls = calls};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) abort();
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        hits += workers[i].hits;
    }
    *hit_share = (double)hits * (double)write_share / (double)(write_share - 1) / THREADS / calls;
    return (double)(clock_ns(CLOCK_MONOTONIC) - begin) / calls / THREADS;
}

int main(void)
{
    const int calls = is_quick() ? 2000 : 100000;
    snprintf(path, sizeof path, "/tmp/acre-bench-queries-%d", (int)getpid());
    sqlite3 *const db = open_database("wal");
    fill(db);
    compare("wal", calls);
    for (uint64_t write_share = 10; write_share <= 1000; write_share *= 10) {
        acre_query_cache *cache;
        double share;
        const double plain = time_mix(NULL, write_share, calls / 10, &share);
        acre_sqlite_queries *const queries = open_queries(&cache, false);
        const double kept = time_mix(queries, write_share, calls / 10, &share);
        printf("2 threads, one of %d statements a write, wall time a statement: run by SQLite %.1f us, through the cache %.1f us (%.2f "
               "times as "
               "fast), %.0f %% of reads hit\n",
               (int)write_share, plain / 1000, kept / 1000, plain / kept, share * 100);
        acre_sqlite_queries_close(queries);
        acre_query_cache_close(cache);
    }
    check(db, sqlite3_close(db));
    compare("delete", calls);
    char name[100];
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    return sum == 0;
}
