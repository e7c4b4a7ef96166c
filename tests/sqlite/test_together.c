/* test_together.c - page cache, VFS and kept answers in one program: what this process and another one write is seen at once by all. */
#include "support/test.h"

#include <acre/sqlite.h>
#include <acre/sqlite_queries.h>
#include <acre/sqlite_vfs.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 30, ROWS = 500 };

static char path[64];

static void run(sqlite3 *db, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s: %s", sql, error);
}

static int64_t ask(acre_sqlite_connection *connection, acre_query_outcome *outcome)
{
    acre_sqlite_answer answer;
    assert_int_equal(acre_sqlite_query(connection, "SELECT sum(a), count(*) FROM t", NULL, 0, NULL, &answer), SQLITE_OK);
    const int64_t sum = acre_sqlite_answer_value(&answer, 0, 0).integer;
    assert_int_equal(acre_sqlite_answer_value(&answer, 0, 1).integer, ROWS);
    *outcome = answer.outcome;
    acre_sqlite_answer_close(&answer);
    return sum;
}

static void write_in_another_process(void)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execlp("sqlite3", "sqlite3", "-cmd", ".timeout 5000", path, "UPDATE t SET a = a + 10", NULL);
        _exit(9);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void use_all_of_them(const char *mode)
{
    sqlite3 *readers[2], *writer;
    acre_query_cache *cache;
    acre_sqlite_queries *queries;
    acre_sqlite_connection *connections[2];
    char text[80];
    (void)snprintf(path, sizeof path, "acre-test-together-%d.db", (int)getpid());
    assert_int_equal(sqlite3_open(path, &writer), SQLITE_OK);
    (void)snprintf(text, sizeof text, "PRAGMA journal_mode = %s", mode);
    run(writer, text);
    run(writer, "CREATE TABLE t(a, b)");
    run(writer,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT i, hex(zeroblob(50)) FROM n");
    assert_int_equal(acre_query_cache_open(&cache, &(acre_query_cache_options){.bytes_max = 1 << 20}), ACRE_OK);
    assert_int_equal(acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = cache}), ACRE_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sqlite3_open(path, &readers[i]), SQLITE_OK);
        assert_int_equal(acre_sqlite_attach(queries, readers[i], NULL, &connections[i]), ACRE_OK);
    }
    int64_t sum = ROWS * (ROWS + 1) / 2;
    unsigned hit_count = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        acre_query_outcome outcome;
        for (unsigned i = 0; i < 6; i++) {
            assert_int_equal(ask(connections[i % 2], &outcome), sum);
            hit_count += outcome == ACRE_QUERY_HIT;
        }
        if (round % 3 == 0) {
            run(writer, "UPDATE t SET a = a + 1"); /* not attached */
            sum += ROWS;
        } else if (round % 3 == 1) {
            run(readers[round % 2], "UPDATE t SET a = a + 2"); /* attached */
            sum += 2 * ROWS;
        } else {
            write_in_another_process();
            sum += 10 * ROWS;
        }
        if (round % 5 == 0) run(writer, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    assert_true(hit_count > ROUNDS * 3);
    acre_sqlite_vfs_figures figures;
    assert_int_equal(acre_sqlite_vfs_read_figures(&figures), ACRE_OK);
    assert_true(figures.pool.hit_count > 0 && figures.connection_count == 3);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(acre_sqlite_detach(connections[i]), ACRE_OK);
        assert_int_equal(sqlite3_close(readers[i]), SQLITE_OK);
    }
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
    acre_sqlite_queries_close(queries);
    acre_query_cache_close(cache);
    unlink(path);
}

static void all_see_what_anybody_writes(void **state)
{
    (void)state;
    assert_int_equal(acre_sqlite_install(&(acre_sqlite_options){.budget_bytes = 1 << 20}), ACRE_OK);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = 1 << 20}), ACRE_OK);
    use_all_of_them("wal");
    use_all_of_them("delete");
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_see_what_anybody_writes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
