/* test_database.c - a real SQLite on the page cache: the same answers as without, threads on one budget, memory that fails. */
#include "support/test.h"

#include <acre/sqlite.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

enum { ROW_COUNT = 20000, THREAD_COUNT = 4, ROUND_COUNT = 30 };

static char path[64];

static int note_row(void *context, int count, char **values, char **names)
{
    uint64_t *const sum = context;
    (void)names;
    for (int i = 0; i < count; i++)
        for (const char *c = values[i] == NULL ? "NULL" : values[i]; *c != 0; c++) *sum = *sum * 31 + (unsigned char)*c;
    return 0;
}

static uint64_t answer(sqlite3 *db, const char *sql)
{
    uint64_t sum = 7;
    char *message = NULL;
    if (sqlite3_exec(db, sql, note_row, &sum, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
    return sum;
}

static uint64_t do_some_of_everything(const char *file, int cache_size)
{
    sqlite3 *db;
    char sql[200];
    uint64_t sum = 0;
    unlink(file);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    snprintf(sql, sizeof sql, "pragma cache_size = %d; pragma synchronous = off", cache_size);
    answer(db, sql);
    answer(db, "create table t(k integer primary key, a, b); create index ta on t(a)");
    snprintf(sql, sizeof sql,
             "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) "
             "insert into t select i, (i * 7919) %% 10007, printf('%%.*c', i %% 200, 'x') from n",
             ROW_COUNT);
    answer(db, sql);
    sum ^= answer(db, "select count(*), sum(a), sum(length(b)) from t");
    answer(db, "begin; update t set b = b || a where a % 3 = 0; delete from t where a % 7 = 0; savepoint s");
    answer(db, "update t set a = a + 1; rollback to s; commit");
    sum ^= answer(db, "select a, count(*) from t group by a % 100 order by 2, 1");
    answer(db, "begin; delete from t where k < 5000; rollback");
    sum ^= answer(db, "select x.a, y.b from t x join t y on x.a = y.k where x.k % 50 = 0 order by 1, 2");
    answer(db, "create temp table u as select * from t where k % 2; create index temp.ua on u(b)");
    sum ^= answer(db, "select sum(length(b)), count(distinct a) from u");
    answer(db, "vacuum");
    sum ^= answer(db, "pragma integrity_check");
    sum ^= answer(db, "select * from t where k % 97 = 3");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return sum;
}

static void answers_are_those_of_sqlite_alone(void **state)
{
    static const int cache_sizes[] = {1, 10, 100, 2000};
    (void)state;
    assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
    const uint64_t right = do_some_of_everything(path, 100);
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        for (unsigned budget = 0; budget < 2; budget++) {
            assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
            const acre_sqlite_options options = {
                .policy = (acre_policy_kind)kind, .budget_bytes = budget * 300000, .keeps_malloc = kind % 2};
            assert_int_equal(acre_sqlite_install(&options), ACRE_OK);
            for (unsigned i = 0; i < 4; i += kind == 0 ? 1 : 3) assert_int_equal(do_some_of_everything(path, cache_sizes[i]), right);
        }
    }
}

/* SQLite calls a database malformed when a block of its malloc begins where a page ends. */
static void no_block_begins_where_a_page_ends(void **state)
{
    (void)state;
    assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
    assert_int_equal(acre_sqlite_install(NULL), ACRE_OK);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
    void *blocks[500];
    for (int i = 0; i < 500; i++) {
        blocks[i] = sqlite3_malloc(i % 2 == 0 ? 4096 : i);
        assert_int_equal((uintptr_t)blocks[i] % 16, 8);
        assert_true(sqlite3_msize(blocks[i]) >= (sqlite3_uint64)(i % 2 == 0 ? 4096 : i));
    }
    for (int i = 0; i < 500; i++) {
        blocks[i] = sqlite3_realloc(blocks[i], 5000 + i);
        assert_int_equal((uintptr_t)blocks[i] % 16, 8);
        sqlite3_free(blocks[i]);
    }
}

static void *read_and_write(void *argument)
{
    sqlite3 *db;
    char sql[200];
    const int number = *(int *)argument;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 60000);
    for (int i = 0; i < ROUND_COUNT; i++) {
        snprintf(sql, sizeof sql, "update t set b = '%d' where k %% 1000 = %d", i, number);
        if (i % 3 == 0) answer(db, sql);
        answer(db, "select sum(length(b)) from t");
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return NULL;
}

static void threads_share_a_budget(void **state)
{
    pthread_t threads[THREAD_COUNT];
    int numbers[THREAD_COUNT];
    acre_sqlite_figures figures;
    sqlite3 *db;
    (void)state;
    assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
    assert_int_equal(acre_sqlite_install(&(acre_sqlite_options){.budget_bytes = 500000}), ACRE_OK);
    do_some_of_everything(path, 100);
    for (int i = 0; i < THREAD_COUNT; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_write, &numbers[i]), 0);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(acre_sqlite_set_budget(300000 + (uint64_t)i * 2000), ACRE_OK);
        acre_sqlite_read_figures(&figures);
        usleep(1000);
    }
    for (int i = 0; i < THREAD_COUNT; i++) pthread_join(threads[i], NULL);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *const good[] = {(char[]){"ok"}};
    const uint64_t ok = answer(db, "pragma integrity_check");
    uint64_t expected = 7;
    note_row(&expected, 1, (char **)good, NULL);
    assert_int_equal(ok, expected);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void sixteen_connections_stay_within_one_budget(void **state)
{
    enum { CONNECTIONS = 16, BUDGET = 4 << 20 };
    sqlite3 *connections[CONNECTIONS];
    acre_sqlite_figures figures;
    uint64_t first = 0;
    (void)state;
    assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
    assert_int_equal(acre_sqlite_install(&(acre_sqlite_options){.budget_bytes = BUDGET}), ACRE_OK);
    do_some_of_everything(path, 100);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(sqlite3_open(path, &connections[i]), SQLITE_OK);
        answer(connections[i], "pragma cache_size = 4000");
        const uint64_t sum = answer(connections[i], "select sum(length(b)), sum(a), count(*) from t");
        if (i == 0) first = sum;
        assert_int_equal(sum, first);
        acre_sqlite_read_figures(&figures);
        assert_in_range(figures.page_bytes, 1, BUDGET);
    }
    assert_true(figures.page_bytes > BUDGET * 9 / 10);
    for (int i = 0; i < CONNECTIONS; i++) assert_int_equal(sqlite3_close(connections[i]), SQLITE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_sqlite_alone),
        cmocka_unit_test(no_block_begins_where_a_page_ends),
        cmocka_unit_test(threads_share_a_budget),
        cmocka_unit_test(sixteen_connections_stay_within_one_budget),
    };
    snprintf(path, sizeof path, "/tmp/acre-test-database-%d", (int)getpid());
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failures;
}
