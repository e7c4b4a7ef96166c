/* test_query_races.c - four threads, each with a connection of its own to one database, ask and write: no answer is older than the last
 * write that had returned before it was asked for.
 *
 * Every number in the database only grows. Who has written one notes it when SQLite has returned; who asks looks at the notes first, and
 * what is given must not be behind them. Changes are made through acre_sqlite_query, by statements beside it, in transactions, by triggers,
 * by cascades, by emptying a table, in a table without rowids, and by a connection that is not attached. Now and then all threads stop, and
 * all answers are compared with those of a connection without the cache.
 *
 * usage: test_query_races MODE [--must-fail]      the journal mode; over code with a planted bug, which has to be found
 *        ACRE_QUERY_RACES=N                       so many statements, instead of some seconds of them
 */
#include <acre/sqlite_queries.h>

#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, TABLES = 4, ROWS = 32, SECONDS = 4, MUST_FAIL_SECONDS = 60, WRITE_SHARE = 24, STRANGE_SHARE = 40, QUIET_MS = 700 };
/* What is noted: the rows of each table, and what belongs to a table as a whole. */
enum { COPY = ROWS, CHILD, EMPTIED, ROWLESS, NOTES = ROWLESS + 8 };

static char path[80];
static const char *mode;
static acre_query_cache *cache;
static acre_sqlite_queries *queries;
static uint64_t notes[TABLES][NOTES]; /* atomic */
static uint64_t operation_count, operations_max, end_ns;
static uint64_t stale_count, wrong_count, hit_count, write_count, strange_count, quiet_count; /* atomic */
static bool must_fail;
static bool is_ended;            /* atomic */
static pthread_rwlock_t at_work; /* who wants all to stop goes first */

typedef struct worker {
    pthread_t thread;
    unsigned number;
    uint64_t random;
    sqlite3 *db, *plain;
    acre_sqlite_connection *connection;
} worker;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(sqlite3 *db, const char *sql)
{
    fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
    abort();
}

static int yield(void *context, int count)
{
    (void)context;
    if (count < 20)
        (void)sched_yield();
    else
        (void)usleep(100);
    return count < 1000000;
}

static void note(unsigned table, unsigned what, uint64_t number)
{
    uint64_t seen = __atomic_load_n(&notes[table][what], __ATOMIC_RELAXED);
    while (seen < number && !__atomic_compare_exchange_n(&notes[table][what], &seen, number, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        continue;
}

static uint64_t noted(unsigned table, unsigned what) { return __atomic_load_n(&notes[table][what], __ATOMIC_ACQUIRE); }

static void execute(sqlite3 *db, const char *sql)
{
    int status;
    while ((status = sqlite3_exec(db, sql, NULL, NULL, NULL)) == SQLITE_BUSY) (void)sched_yield();
    if (status != SQLITE_OK) die(db, sql);
}

static sqlite3 *open_database(void)
{
    char sql[64];
    sqlite3 *db;
    if (sqlite3_open(path, &db) != SQLITE_OK) die(db, path);
    (void)sqlite3_busy_handler(db, yield, NULL);
    snprintf(sql, sizeof sql, "pragma journal_mode = %s", mode);
    execute(db, sql);
    execute(db, "pragma synchronous = off; pragma foreign_keys = on");
    return db;
}

static void make_tables(sqlite3 *db)
{
    static const char pattern[] =
        "create table t#(id integer primary key, n); create table copy#(n); insert into copy# values(0);"
        "create table parent#(n integer primary key);"
        "create table child#(n references parent# on update cascade); insert into parent# values(0); insert into child# values(0);"
        "create table emptied#(n); insert into emptied# values(0); create table rowless#(k primary key, n) without rowid;"
        "create view v# as select id, n from t#; create trigger tt# after update on t# when new.id = 0 begin update copy# set n = "
        "new.n; end;"
        "with recursive i(x) as (select 0 union all select x + 1 from i where x < 31) insert into t# select x, 0 from i;"
        "with recursive i(x) as (select 0 union all select x + 1 from i where x < 7) insert into rowless# select x, 0 from i";
    char sql[sizeof pattern];
    for (unsigned table = 0; table < TABLES; table++) {
        memcpy(sql, pattern, sizeof pattern);
        for (char *at = sql; *at != 0; at++)
            if (*at == '#') *at = (char)('0' + table);
        execute(db, sql);
    }
}

/* --- writing --- */

/* One number that is written, and returned by SQLite. */
static uint64_t write_returning(worker *self, const char *sql, bool is_through)
{
    acre_sqlite_answer answer;
    int status;
    uint64_t number = 0;
    if (is_through) {
        while ((status = acre_sqlite_query(self->connection, sql, NULL, 0, NULL, &answer)) == SQLITE_BUSY) (void)sched_yield();
        if (status != SQLITE_OK) die(self->db, sql);
        number = (uint64_t)acre_sqlite_answer_value(&answer, 0, 0).integer;
        acre_sqlite_answer_close(&answer);
        return number;
    }
    sqlite3_stmt *prepared;
    if (sqlite3_prepare_v2(self->db, sql, -1, &prepared, NULL) != SQLITE_OK) die(self->db, sql);
    while ((status = sqlite3_step(prepared)) == SQLITE_BUSY) (void)sqlite3_reset(prepared);
    if (status != SQLITE_ROW) die(self->db, sql);
    number = (uint64_t)sqlite3_column_int64(prepared, 0);
    if (self->random % 4 != 0 && sqlite3_step(prepared) != SQLITE_DONE) die(self->db, sql); /* else it is sqlite3_finalize that commits */
    if (sqlite3_finalize(prepared) != SQLITE_OK) die(self->db, sql);
    return number;
}

static uint64_t read_plainly(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *prepared;
    uint64_t number = 0;
    int status;
    if (sqlite3_prepare_v2(db, sql, -1, &prepared, NULL) != SQLITE_OK) die(db, sql);
    while ((status = sqlite3_step(prepared)) == SQLITE_BUSY) (void)sqlite3_reset(prepared);
    if (status == SQLITE_ROW) number = (uint64_t)sqlite3_column_int64(prepared, 0);
    (void)sqlite3_finalize(prepared);
    return number;
}

static void write_row(worker *self, unsigned table, unsigned row, bool is_through)
{
    char sql[100];
    snprintf(sql, sizeof sql, "update t%u set n = n + 1 where id = %u returning n", table, row);
    const uint64_t number = write_returning(self, sql, is_through);
    note(table, row, number);
    if (row == 0) note(table, COPY, number); /* by the trigger */
}

static void write_in_transaction(worker *self, unsigned table, unsigned other)
{
    char sql[200];
    uint64_t numbers[3];
    execute(self->db, "begin immediate");
    snprintf(sql, sizeof sql, "update parent%u set n = n + 1 returning n", table); /* and the child's, by the cascade */
    numbers[0] = write_returning(self, sql, true);
    snprintf(sql, sizeof sql, "select n from emptied%u", table);
    numbers[1] = read_plainly(self->db, sql) + 1;
    snprintf(sql, sizeof sql, "delete from emptied%u; insert into emptied%u values(%llu)", table, table, (unsigned long long)numbers[1]);
    execute(self->db, sql);
    snprintf(sql, sizeof sql, "savepoint s; update t%u set n = n + 5; rollback to s; release s", other);
    execute(self->db, sql);
    const unsigned key = (unsigned)(self->random / 512 % 8);
    snprintf(sql, sizeof sql, "update rowless%u set n = n + 1 where k = %u returning n", other, key);
    numbers[2] = write_returning(self, sql, false);
    if (self->random % 16 == 3) {
        execute(self->db, "rollback");
        return;
    }
    execute(self->db, "commit");
    note(table, CHILD, numbers[0]);
    note(table, EMPTIED, numbers[1]);
    note(other, ROWLESS + key, numbers[2]);
}

static void write_strangely(worker *self, unsigned table, unsigned row)
{
    char sql[200];
    execute(self->plain, "begin immediate");
    snprintf(sql, sizeof sql, "select n + 1 from t%u where id = %u", table, row);
    const uint64_t number = read_plainly(self->plain, sql);
    snprintf(sql, sizeof sql, "update t%u set n = %llu where id = %u; commit", table, (unsigned long long)number, row);
    execute(self->plain, sql);
    note(table, row, number);
    if (row == 0) note(table, COPY, number);
    __atomic_fetch_add(&strange_count, 1, __ATOMIC_RELAXED);
}

static void change_schema(worker *self, unsigned table)
{
    char sql[200];
    snprintf(sql, sizeof sql, "create index if not exists i%u on t%u(n); drop view v%u; create view v%u as select id, n from t%u", table,
             table, table, table, table);
    execute(self->db, "begin immediate");
    execute(self->db, sql);
    execute(self->db, "commit");
    snprintf(sql, sizeof sql, "drop index if exists i%u", table);
    execute(self->db, sql);
}

static void write_something(worker *self)
{
    const uint64_t random = self->random / 64;
    const unsigned table = (unsigned)(random % TABLES), row = (unsigned)(random / 8 % ROWS), other = (unsigned)(random / 1024 % TABLES);
    __atomic_fetch_add(&write_count, 1, __ATOMIC_RELAXED);
    if (random / 4096 % STRANGE_SHARE == 0)
        write_strangely(self, table, row);
    else if (random / 4096 % 1000 == 1)
        change_schema(self, table);
    else if (random / 4096 % 4 == 0)
        write_in_transaction(self, table, other);
    else
        write_row(self, table, row, random / 65536 % 2 == 0);
}

/* --- asking --- */

typedef struct question {
    char sql[100];
    uint64_t least;
} question;

static void make_question(uint64_t random, question *made)
{
    const unsigned table = (unsigned)(random % TABLES), row = (unsigned)(random / 8 % ROWS), other = (unsigned)(random / 512 % TABLES);
    made->least = 0;
    switch (random / 8192 % 8) {
    case 0:
        snprintf(made->sql, sizeof made->sql, "select sum(n) from v%u", table);
        for (unsigned i = 0; i < ROWS; i++) made->least += noted(table, i);
        break;
    case 1:
        snprintf(made->sql, sizeof made->sql, "select a.n + b.n from t%u a, t%u b where a.id = %u and b.id = 0", table, other, row);
        made->least = noted(table, row) + noted(other, 0);
        break;
    case 2:
        snprintf(made->sql, sizeof made->sql, "select n from copy%u", table);
        made->least = noted(table, COPY);
        break;
    case 3:
        snprintf(made->sql, sizeof made->sql, "select n from child%u", table);
        made->least = noted(table, CHILD);
        break;
    case 4:
        snprintf(made->sql, sizeof made->sql, "select max(n) from emptied%u", table);
        made->least = noted(table, EMPTIED);
        break;
    case 5:
        snprintf(made->sql, sizeof made->sql, "select n from rowless%u where k = %u", table, row % 8);
        made->least = noted(table, ROWLESS + row % 8);
        break;
    default:
        snprintf(made->sql, sizeof made->sql, "select n from t%u where id = %u", table, row);
        made->least = noted(table, row);
        break;
    }
}

static void ask_something(worker *self)
{
    question asked;
    acre_sqlite_answer answer;
    int status;
    const acre_sqlite_wishes wishes = {.wait_ns = self->random % 8 == 0 ? 1000000 : 0};
    make_question(self->random / 64, &asked);
    while ((status = acre_sqlite_query(self->connection, asked.sql, NULL, 0, &wishes, &answer)) == SQLITE_BUSY)
        make_question(self->random / 64, &asked);
    if (status != SQLITE_OK) die(self->db, asked.sql);
    const acre_sqlite_value given = acre_sqlite_answer_value(&answer, 0, 0);
    if (answer.row_count != 1 || given.type != ACRE_SQLITE_INTEGER) __atomic_fetch_add(&wrong_count, 1, __ATOMIC_RELAXED);
    if ((uint64_t)given.integer < asked.least) __atomic_fetch_add(&stale_count, 1, __ATOMIC_RELAXED);
    if (answer.outcome == ACRE_QUERY_HIT) __atomic_fetch_add(&hit_count, 1, __ATOMIC_RELAXED);
    acre_sqlite_answer_close(&answer);
}

static bool is_over(void)
{
    const uint64_t count = __atomic_fetch_add(&operation_count, 1, __ATOMIC_RELAXED);
    if (must_fail && __atomic_load_n(&stale_count, __ATOMIC_RELAXED) > 0) return true;
    if (operations_max > 0) return count >= operations_max;
    return (count % 64 == 0 && now_ns() > end_ns) || __atomic_load_n(&is_ended, __ATOMIC_RELAXED);
}

static void *work(void *context)
{
    worker *const self = context;
    for (;;) {
        (void)pthread_rwlock_rdlock(&at_work);
        const bool is_last = is_over();
        if (!is_last && next_random(&self->random) % WRITE_SHARE == 0)
            write_something(self);
        else if (!is_last)
            ask_something(self);
        (void)pthread_rwlock_unlock(&at_work);
        if (is_last) break;
    }
    __atomic_store_n(&is_ended, true, __ATOMIC_RELAXED);
    return NULL;
}

/* Nobody is at work: answers are those of a connection without the cache. */
static void compare_all(acre_sqlite_connection *connection, sqlite3 *db)
{
    question asked;
    acre_sqlite_answer answer;
    for (uint64_t kind = 0; kind < 8; kind++) {
        for (uint64_t i = 0; i < 2048; i += 5) {
            make_question(kind * 8192 + i, &asked);
            if (acre_sqlite_query(connection, asked.sql, NULL, 0, NULL, &answer) != SQLITE_OK) die(db, asked.sql);
            const uint64_t given = (uint64_t)acre_sqlite_answer_value(&answer, 0, 0).integer;
            acre_sqlite_answer_close(&answer);
            if (given != read_plainly(db, asked.sql)) __atomic_fetch_add(&stale_count, 1, __ATOMIC_RELAXED);
        }
    }
    quiet_count++;
}

int main(int argument_count, char **arguments)
{
    const char *const count_text = getenv("ACRE_QUERY_RACES");
    static worker workers[THREADS];
    acre_query_figures figures;
    mode = argument_count > 1 ? arguments[1] : "wal";
    must_fail = argument_count > 2 && strcmp(arguments[2], "--must-fail") == 0;
    operations_max = count_text == NULL || must_fail ? 0 : strtoull(count_text, NULL, 10);
    snprintf(path, sizeof path, "/tmp/acre-test-query-races-%d", (int)getpid());
    const acre_query_cache_options options = {.bytes_max = 4 << 20, .shard_count = 4, .fill_ns_max = 1000000000};
    if (acre_query_cache_open(&cache, &options) != ACRE_OK) abort();
    if (acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = cache}) != ACRE_OK) abort();
    sqlite3 *const db = open_database();
    make_tables(db);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (worker){.number = i, .random = 88172645463325252u + i * 7919u, .db = open_database(), .plain = open_database()};
        if (acre_sqlite_attach(queries, workers[i].db, NULL, &workers[i].connection) != ACRE_OK) abort();
    }
    pthread_rwlockattr_t attributes;
    if (pthread_rwlockattr_init(&attributes) != 0 ||
        pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) != 0 ||
        pthread_rwlock_init(&at_work, &attributes) != 0)
        abort();
    const uint64_t begin_ns = now_ns();
    end_ns = begin_ns + (must_fail ? MUST_FAIL_SECONDS : SECONDS) * UINT64_C(1000000000);
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) abort();
    while (!__atomic_load_n(&is_ended, __ATOMIC_RELAXED)) {
        (void)usleep(QUIET_MS * 1000);
        (void)pthread_rwlock_wrlock(&at_work);
        compare_all(workers[0].connection, workers[0].plain);
        (void)pthread_rwlock_unlock(&at_work);
    }
    for (unsigned i = 0; i < THREADS; i++) (void)pthread_join(workers[i].thread, NULL);
    compare_all(workers[0].connection, workers[0].plain);
    const double seconds = (double)(now_ns() - begin_ns) / 1e9;
    for (unsigned i = 0; i < THREADS; i++) {
        if (acre_sqlite_detach(workers[i].connection) != ACRE_OK || sqlite3_close(workers[i].db) != SQLITE_OK ||
            sqlite3_close(workers[i].plain) != SQLITE_OK)
            abort();
    }
    if (sqlite3_close(db) != SQLITE_OK || acre_query_cache_read_figures(cache, &figures) != ACRE_OK) abort();
    const bool is_valid = acre_query_cache_is_valid(cache);
    printf("%s, %.1f s: %llu statements, %llu of them writes and %llu by strangers; %llu hits, %llu misses, %llu busy, %llu outdated; %llu "
           "filled "
           "in, %llu refused as changed; %llu times all compared\n",
           mode, seconds, (unsigned long long)operation_count, (unsigned long long)write_count, (unsigned long long)strange_count,
           (unsigned long long)hit_count, (unsigned long long)figures.misses, (unsigned long long)figures.busy,
           (unsigned long long)figures.outdated, (unsigned long long)figures.fills, (unsigned long long)figures.refused_changed,
           (unsigned long long)quiet_count);
    printf("%llu answers were older than what was done before they were asked for, %llu were none%s\n", (unsigned long long)stale_count,
           (unsigned long long)wrong_count, is_valid ? "" : "; the cache is damaged");
    acre_sqlite_queries_close(queries);
    acre_query_cache_close(cache);
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char name[100];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    if (must_fail) return stale_count > 0 ? 0 : 1;
    const bool is_used = hit_count > operation_count / 20 && write_count > 20 && strange_count > 0;
    if (!is_used) puts("the cache was hardly used: the test says nothing");
    return stale_count == 0 && wrong_count == 0 && is_valid && is_used ? 0 : 1;
}
