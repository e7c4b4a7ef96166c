/* queries.c - a shop's statements by two connections in turn, and on the copy of the database the same ones through acre/sqlite_queries.h:
 * four kinds of questions, mostly about the same things, one write in 1,000 statements, and one write in ten of those by a connection that
 * the query cache knows nothing of. What SQLite answered without it is kept, and each answer that the cache gives is compared with that.
 *
 * The peer's statements are prepared once, as a careful program has it. */
#include "program.h"

#include <acre/sqlite_queries.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { STATEMENT_COUNT = 60000, KIND_COUNT = 6, ASK_COUNT = 4, CONNECTION_COUNT = 2, WRITE_EVERY = 1000, CACHE_BYTES = 16 << 20 };

static const char *const kinds[KIND_COUNT] = {
    "SELECT name, price, owner FROM item WHERE id = ?1",
    "SELECT count(*), sum(price), max(name) FROM item WHERE owner = ?1 % 1009",
    "SELECT sum(count), count(DISTINCT item) FROM sale WHERE id BETWEEN ?1 AND ?1 + 200",
    "SELECT i.name, sum(s.count * i.price) FROM sale s JOIN item i ON i.id = s.item WHERE s.id BETWEEN ?1 AND ?1 + 50 GROUP BY 1 LIMIT 5",
    "UPDATE item SET price = price + 1 WHERE id = ?1",
    "INSERT INTO sale(item, count) VALUES(?1, 3)",
};

typedef struct statement {
    int kind;
    int64_t key;
    bool is_foreign; /* by a connection that is not attached */
} statement;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Four keys of five are among 50. */
static statement statement_at(int number, uint64_t *random)
{
    const uint64_t word = next_random(random);
    statement one = {.kind = (int)(word % ASK_COUNT), .key = 1 + (int64_t)(word / 16 % (word / 4 % 4 != 0 ? 50 : 40000))};
    if (number % WRITE_EVERY != WRITE_EVERY - 1) return one;
    one.kind = ASK_COUNT + (int)(word % (KIND_COUNT - ASK_COUNT));
    one.is_foreign = number / WRITE_EVERY % 10 == 9;
    return one;
}

static uint64_t add_value(uint64_t hash, int type, const void *data, size_t bytes)
{
    hash = fnv_add(hash, &type, sizeof type);
    return fnv_add(hash, data, bytes);
}

static uint64_t ask_sqlite(sqlite3 *db, sqlite3_stmt *prepared, int64_t key)
{
    uint64_t hash = FNV_BEGIN;
    int status;
    check(db, sqlite3_bind_int64(prepared, 1, key));
    while ((status = sqlite3_step(prepared)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(prepared); i++) {
            const int type = sqlite3_column_type(prepared, i);
            const int64_t integer = sqlite3_column_int64(prepared, i);
            const double real = sqlite3_column_double(prepared, i);
            if (type == SQLITE_INTEGER) hash = add_value(hash, type, &integer, sizeof integer);
            if (type == SQLITE_FLOAT) hash = add_value(hash, type, &real, sizeof real);
            if (type == SQLITE_NULL) hash = add_value(hash, type, NULL, 0);
            if (type == SQLITE_TEXT)
                hash = add_value(hash, type, sqlite3_column_text(prepared, i), (size_t)sqlite3_column_bytes(prepared, i));
        }
    }
    check(db, status);
    check(db, sqlite3_reset(prepared));
    return hash;
}

static uint64_t ask_acre(acre_sqlite_connection *connection, sqlite3 *db, const statement *one)
{
    uint64_t hash = FNV_BEGIN;
    const acre_sqlite_value parameter = {.type = ACRE_SQLITE_INTEGER, .integer = one->key};
    acre_sqlite_answer answer;
    check(db, acre_sqlite_query(connection, kinds[one->kind], &parameter, 1, NULL, &answer));
    for (uint32_t row = 0; row < answer.row_count; row++) {
        for (uint32_t i = 0; i < answer.column_count; i++) {
            const acre_sqlite_value value = acre_sqlite_answer_value(&answer, row, i);
            if (value.type == ACRE_SQLITE_INTEGER) hash = add_value(hash, (int)value.type, &value.integer, sizeof value.integer);
            if (value.type == ACRE_SQLITE_REAL) hash = add_value(hash, (int)value.type, &value.real, sizeof value.real);
            if (value.type == ACRE_SQLITE_NULL) hash = add_value(hash, (int)value.type, NULL, 0);
            if (value.type == ACRE_SQLITE_TEXT) hash = add_value(hash, (int)value.type, value.data, value.bytes);
        }
    }
    acre_sqlite_answer_close(&answer);
    return hash;
}

static sqlite3 *open_shop(const char *path)
{
    sqlite3 *const db = open_through(path, "unix");
    run(db, "PRAGMA journal_mode = wal; PRAGMA cache_size = -16000");
    return db;
}

/* Runs all statements plainly; what they answered is put into `answers`. */
static double run_plainly(const char *path, uint64_t *answers)
{
    sqlite3 *connections[CONNECTION_COUNT];
    sqlite3_stmt *prepared[CONNECTION_COUNT][KIND_COUNT];
    uint64_t random = 88172645463325252;
    for (int c = 0; c < CONNECTION_COUNT; c++) {
        connections[c] = open_shop(path);
        for (int kind = 0; kind < KIND_COUNT; kind++)
            check(connections[c], sqlite3_prepare_v2(connections[c], kinds[kind], -1, &prepared[c][kind], NULL));
    }
    const double begin = cpu_seconds();
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        const statement one = statement_at(i, &random);
        const int c = i % CONNECTION_COUNT;
        answers[i] = ask_sqlite(connections[c], prepared[c][one.kind], one.key);
    }
    const double used = cpu_seconds() - begin;
    for (int c = 0; c < CONNECTION_COUNT; c++) {
        for (int kind = 0; kind < KIND_COUNT; kind++) check(connections[c], sqlite3_finalize(prepared[c][kind]));
        check(connections[c], sqlite3_close(connections[c]));
    }
    return used;
}

/* The same through the cache; returns how many answers were not those. */
static int run_kept(const char *path, const uint64_t *answers, double *used, acre_query_figures *figures)
{
    acre_query_cache *cache;
    acre_sqlite_queries *queries;
    sqlite3 *databases[CONNECTION_COUNT], *const other = open_shop(path);
    sqlite3_stmt *foreign[KIND_COUNT] = {NULL};
    acre_sqlite_connection *connections[CONNECTION_COUNT];
    uint64_t random = 88172645463325252;
    int different = 0;
    must(acre_query_cache_open(&cache, &(acre_query_cache_options){.bytes_max = CACHE_BYTES}));
    must(acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = cache}));
    for (int c = 0; c < CONNECTION_COUNT; c++) {
        databases[c] = open_shop(path);
        must(acre_sqlite_attach(queries, databases[c], NULL, &connections[c]));
    }
    for (int kind = ASK_COUNT; kind < KIND_COUNT; kind++) check(other, sqlite3_prepare_v2(other, kinds[kind], -1, &foreign[kind], NULL));
    const double begin = cpu_seconds();
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        const statement one = statement_at(i, &random);
        const int c = i % CONNECTION_COUNT;
        const uint64_t answer =
            one.is_foreign ? ask_sqlite(other, foreign[one.kind], one.key) : ask_acre(connections[c], databases[c], &one);
        different += answer != answers[i];
    }
    *used = cpu_seconds() - begin;
    must(acre_query_cache_read_figures(cache, figures));
    for (int kind = 0; kind < KIND_COUNT; kind++) check(other, sqlite3_finalize(foreign[kind]));
    for (int c = 0; c < CONNECTION_COUNT; c++) {
        must(acre_sqlite_detach(connections[c]));
        check(databases[c], sqlite3_close(databases[c]));
    }
    check(other, sqlite3_close(other));
    acre_sqlite_queries_close(queries);
    acre_query_cache_close(cache);
    return different;
}

int queries_command(char **words)
{
    uint64_t *const answers = must_have(calloc(STATEMENT_COUNT, sizeof *answers));
    acre_query_figures figures;
    double kept = 0;
    const double plain = run_plainly(words[0], answers);
    const int different = run_kept(words[1], answers, &kept, &figures);
    printf("statements: %d\nwrites: %d\ndifferent: %d\n", (int)STATEMENT_COUNT, (int)(STATEMENT_COUNT / WRITE_EVERY), different);
    printf("hits: %llu\noutdated: %llu\nplain seconds: %.6f\nkept seconds: %.6f\nbytes: %llu\n", (unsigned long long)figures.hits,
           (unsigned long long)figures.outdated, plain, kept, (unsigned long long)figures.bytes);
    free(answers);
    return 0;
}
