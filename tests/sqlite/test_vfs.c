/* test_vfs.c - SQL through the VFS has the answers that it has through SQLite's own, whatever the sizes, with several connections; what
 * is in the pool is read without the VFS below. */
#include "sqlite/vfs_help.h"

#include <pthread.h>
#include <sys/wait.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { STEP_COUNT = 60, THREAD_ROUNDS = 15 };
#else
enum { STEP_COUNT = 70, THREAD_ROUNDS = 40 };
#endif
enum { CONNECTION_COUNT = 3, THREAD_COUNT = 4 };

static char path[64];

/* One of some statements, the same for the same random number. */
static void make_sql(uint64_t random, char *sql, size_t bytes)
{
    const unsigned k = (unsigned)(random >> 16) % 2000;
    const unsigned n = 1 + (unsigned)(random >> 32) % 60;
    switch (random % 12) {
    case 0:
        (void)snprintf(sql, bytes, "insert or replace into t select k * 7 %% 2000, b, a from t where k between %u and %u + %u", k, k, n);
        break;
    case 1:
        (void)snprintf(sql, bytes, "insert or replace into t values(%u, %u, printf('%%.*c', %u, 'z'))", k, n, n * 97);
        break;
    case 2:
        (void)snprintf(sql, bytes, "delete from t where k between %u and %u", k, k + n);
        break;
    case 3:
        (void)snprintf(sql, bytes, "update t set a = a || 'x', b = %u where k %% 50 = %u", k, n % 50);
        break;
    case 4:
        (void)snprintf(sql, bytes, "begin; delete from t where k < %u; insert or ignore into t values(1, 2, 3); rollback", k);
        break;
    case 5:
        (void)snprintf(sql, bytes, "%s", k % 8 == 0 ? "vacuum" : "pragma wal_checkpoint(truncate); select count(*) from t");
        break;
    case 6:
        (void)snprintf(sql, bytes, "select k, a, length(b) from t where k > %u order by k limit %u", k, n);
        break;
    case 7:
        (void)snprintf(sql, bytes, "select b, count(*) from t where a > 'a' group by b order by 1, 2");
        break;
    default:
        (void)snprintf(sql, bytes, "select sum(length(a)), sum(length(b)), count(*), max(k) from t where k > %u", k / 4);
    }
}

/* Sums of the answers of the same statements by connections in turn. */
static void do_steps(const char *vfs, const char *begin, uint64_t random, uint64_t *sums)
{
    sqlite3 *connections[CONNECTION_COUNT];
    char sql[300];
    remove_database(path);
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        connections[i] = open_by(path, vfs);
        answer(connections[i], begin);
        (void)sqlite3_exec(connections[i], i == 0 ? "pragma cache_size = 3" : "pragma cache_size = 20", NULL, NULL, NULL);
        if (i == 0) {
            answer(connections[i], "create table t(k integer primary key, a, b); create index ta on t(a, b)");
            answer(connections[i], "with recursive n(i) as (select 0 union all select i + 1 from n where i < 800) "
                                   "insert into t select i * 2, hex(i * 7919), printf('%.*c', i * 7 % 1500, 'y') from n");
        }
    }
    for (int step = 0; step < STEP_COUNT; step++) {
        make_sql(next_random(&random), sql, sizeof sql);
        sums[step] = answer(connections[next_random(&random) % CONNECTION_COUNT], sql);
    }
    assert_int_equal(answer(connections[1], "pragma integrity_check"), sum_of_text("ok"));
    for (int i = 0; i < CONNECTION_COUNT; i++) close_db(connections[i]);
}

static void answers_are_those_of_the_own_vfs(void **state)
{
    static const char *const modes[] = {"delete", "wal", "persist", "truncate"};
    static const uint32_t block_sizes[] = {4096, 16384, 65536, 8192};
    static const acre_policy_kind policies[] = {ACRE_POLICY_ADAPTIVE, ACRE_POLICY_LRU, ACRE_POLICY_S3_FIFO, ACRE_POLICY_CLOCK};
    uint64_t right[STEP_COUNT], got[STEP_COUNT];
    char begin[200];
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        const bool is_shared = i >= 16; /* the same once more */
        const uint64_t page_bytes = (uint64_t)512 << i % 8;
        (void)snprintf(begin, sizeof begin, "pragma page_size = %u; pragma journal_mode = %s; pragma synchronous = off",
                       (unsigned)page_bytes, modes[(i + i / 8) % 4]);
        const uint32_t block_bytes = block_sizes[(i / 2) % 4];
        const acre_sqlite_vfs_options options = {.pool_bytes = (i % 3 == 0 ? 16 : 200) * (uint64_t)block_bytes,
                                                 .block_bytes = block_bytes,
                                                 .policy = policies[is_shared ? i % 2 * 2 : i % 4],
                                                 .way = i % 2 == 0 ? ACRE_DEVICE_BEST : ACRE_DEVICE_CALLS,
                                                 .is_direct = i % 5 == 4 && !is_shared,
                                                 .shared_name = is_shared ? path : NULL,
                                                 .has_no_prefetch = i % 7 == 6,
                                                 .is_not_default = true};
        assert_int_equal(acre_sqlite_vfs_register(&options), ACRE_OK);
        do_steps("unix", begin, 100 + i, right);
        do_steps("acre", begin, 100 + i, got);
        for (int step = 0; step < STEP_COUNT; step++)
            if (got[step] != right[step]) fail_msg("%s: step %d has another answer", begin, step);
        const acre_sqlite_vfs_figures figures = vfs_figures();
        assert_int_equal(figures.connection_count, 0);
        assert_int_equal(figures.file_count, 0);
        assert_int_equal(figures.left_count, 0);
        assert_true((is_shared ? figures.shared.hit_count : figures.pool.hit_count) > 0);
        assert_int_equal(figures.pool.dirty_count, 0);
        assert_int_equal(figures.shared.set_count, 0);
        assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    }
}

static void make_table(sqlite3 *db, int rows)
{
    char sql[200];
    (void)snprintf(
        sql, sizeof sql,
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) insert into t select i, hex(randomblob(500)) from n",
        rows);
    answer(db, "pragma synchronous = off; create table t(k integer primary key, v)");
    answer(db, sql);
}

static void what_one_connection_has_read_all_have(void **state)
{
    sqlite3 *connections[8];
    (void)state;
    remove_database(path);
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
    for (int i = 0; i < 8; i++) {
        connections[i] = open_by(path, NULL);
        answer(connections[i], "pragma cache_size = 10");
        if (i == 0) make_table(connections[0], 3000);
    }
    char *name = NULL;
    assert_int_equal(sqlite3_file_control(connections[0], "main", SQLITE_FCNTL_VFSNAME, &name), SQLITE_OK);
    assert_string_equal(name, "acre/unix");
    sqlite3_free(name);
    const uint64_t sum = answer(connections[0], "select sum(length(v)), max(v) from t");
    const acre_sqlite_vfs_figures before = vfs_figures();
    for (int i = 1; i < 8; i++) assert_int_equal(answer(connections[i], "select sum(length(v)), max(v) from t"), sum);
    const acre_sqlite_vfs_figures after = vfs_figures();
    assert_int_equal(after.file_count, 1);
    assert_int_equal(after.connection_count, 8);
    assert_in_range(after.pool.read_count - before.pool.read_count, 0, 11); /* the first one had written some, and read none of them */
    assert_int_equal(after.drop_count, before.drop_count);
    assert_true(after.pool.hit_count - before.pool.hit_count > 7 * 500);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_BUSY);
    for (int i = 0; i < 8; i++) close_db(connections[i]);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

/* Checkpoints of this process are no reason to forget what is in the pool. */
static void own_checkpoints_drop_nothing(void **state)
{
    (void)state;
    remove_database(path);
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
    sqlite3 *const writer = open_by(path, NULL), *const reader = open_by(path, NULL);
    answer(writer, "pragma journal_mode = wal; pragma wal_autocheckpoint = 20");
    make_table(writer, 2000);
    answer(reader, "pragma cache_size = 10");
    answer(reader, "select sum(length(v)) from t");
    const acre_sqlite_vfs_figures before = vfs_figures();
    for (int i = 0; i < 100; i++) {
        char sql[100];
        (void)snprintf(sql, sizeof sql, "update t set v = 'new%d' where k %% 50 = %d", i, i % 50);
        answer(i % 2 == 0 ? writer : reader, sql);
        (void)snprintf(sql, sizeof sql, "select count(*) from t where v = 'new%d'", i);
        assert_int_equal(number(i % 2 == 0 ? reader : writer, sql), 40);
        if (i % 10 == 0) answer(writer, i % 20 == 0 ? "pragma wal_checkpoint(restart)" : "pragma wal_checkpoint(truncate)");
    }
    const acre_sqlite_vfs_figures after = vfs_figures();
    assert_int_equal(after.drop_count, before.drop_count);
    close_db(writer);
    close_db(reader);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void a_scan_is_read_ahead(void **state)
{
    (void)state;
    remove_database(path);
    sqlite3 *db = open_by(path, "unix");
    make_table(db, 6000);
    close_db(db);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.way = i == 0 ? ACRE_DEVICE_BEST : ACRE_DEVICE_CALLS}),
                         ACRE_OK);
        db = open_by(path, NULL);
        answer(db, "select sum(length(v)) from t");
        const acre_sqlite_vfs_figures figures = vfs_figures();
        assert_true(figures.prefetch_count > 1000);
        assert_true(figures.prefetch_used_count > figures.prefetch_count * 8 / 10);
        assert_true(figures.pool.read_request_count < figures.pool.read_count / 8);
        if (i == 1) assert_false(figures.has_ring);
        close_db(db);
        assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    }
}

static void a_database_that_is_made_anew_is_another(void **state)
{
    (void)state;
    remove_database(path);
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
    sqlite3 *const old = open_by(path, NULL);
    make_table(old, 100);
    assert_int_equal(number(old, "select count(*) from t"), 100);
    remove_database(path);
    sqlite3 *const new = open_by(path, NULL);
    make_table(new, 7);
    assert_int_equal(number(new, "select count(*) from t"), 7);
    assert_int_equal(number(old, "select count(*) from t"), 100);
    assert_int_equal(vfs_figures().file_count, 2);
    close_db(old);
    assert_int_equal(number(new, "select count(*) from t"), 7);
    close_db(new);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void more_databases_than_the_pool_takes_are_left_to_the_own_vfs(void **state)
{
    enum { COUNT = 70 };
    sqlite3 *connections[COUNT];
    char name[100];
    (void)state;
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "%s-%d", path, i);
        remove_database(name);
        connections[i] = open_by(name, NULL);
        make_table(connections[i], i + 1);
    }
    for (int i = 0; i < COUNT; i++) assert_int_equal(number(connections[i], "select count(*) from t"), i + 1);
    assert_int_equal(vfs_figures().file_count, ACRE_BUFFER_POOL_FILES_MAX);
    assert_int_equal(vfs_figures().left_count, COUNT - ACRE_BUFFER_POOL_FILES_MAX);
    for (int i = 0; i < COUNT; i++) {
        close_db(connections[i]);
        (void)snprintf(name, sizeof name, "%s-%d", path, i);
        remove_database(name);
    }
    assert_int_equal(vfs_figures().file_count, 0);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void *read_and_write(void *argument)
{
    sqlite3 *const db = open_by(path, NULL);
    char sql[200];
    const int mine = *(int *)argument;
    sqlite3_busy_timeout(db, 60000);
    answer(db, "pragma cache_size = 5; pragma synchronous = off");
    for (int i = 0; i < THREAD_ROUNDS; i++) {
        /* Each statement leaves all rows with one value. */
        (void)snprintf(sql, sizeof sql, "update t set v = printf('%%0200d', %d)", mine * 1000 + i);
        if (i % 3 == 0) answer(db, sql);
        assert_int_equal(number(db, "select count(distinct v) from t"), 1);
        if (i % 10 == 9) (void)sqlite3_exec(db, "pragma wal_checkpoint(restart)", NULL, NULL, NULL);
    }
    close_db(db);
    return NULL;
}

static void threads_see_what_was_committed_and_nothing_else(void **state)
{
    pthread_t threads[THREAD_COUNT];
    int numbers[THREAD_COUNT];
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        remove_database(path);
        assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = mode == 0 ? 20 * 4096 : 0}), ACRE_OK);
        sqlite3 *const db = open_by(path, NULL);
        answer(db,
               mode == 0 ? "pragma page_size = 1024; pragma journal_mode = delete" : "pragma page_size = 1024; pragma journal_mode = wal");
        make_table(db, 300);
        answer(db, "update t set v = printf('%0200d', 0)");
        for (int i = 0; i < THREAD_COUNT; i++) {
            numbers[i] = i + 1;
            assert_int_equal(pthread_create(&threads[i], NULL, read_and_write, &numbers[i]), 0);
        }
        for (int i = 0; i < THREAD_COUNT; i++) pthread_join(threads[i], NULL);
        assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
        assert_int_equal(vfs_figures().left_count, 0);
        close_db(db);
        assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    }
}

/* Opens and closes a database of its own, and one of all. */
static void *come_and_go(void *argument)
{
    char name[100], sql[100];
    const int mine = *(int *)argument;
    (void)snprintf(name, sizeof name, "%s-%d", path, mine);
    remove_database(name);
    for (int i = 0; i < THREAD_ROUNDS; i++) {
        sqlite3 *const own = open_by(name, NULL), *const common = open_by(path, NULL);
        sqlite3_busy_timeout(common, 60000);
        answer(own, "pragma cache_size = 3; pragma synchronous = off");
        answer(common, "pragma cache_size = 3; pragma synchronous = off");
        if (i == 0) make_table(own, 150);
        (void)snprintf(sql, sizeof sql, "update t set v = '%d' where k %% 10 = %d", i, i % 10);
        answer(own, sql);
        (void)snprintf(sql, sizeof sql, "select count(*) from t where v = '%d'", i);
        assert_int_equal(number(own, sql), 15);
        assert_int_equal(number(common, "select count(*) from t where v > ''"), 300);
        close_db(own);
        close_db(common);
    }
    remove_database(name);
    return NULL;
}

static void databases_come_and_go_while_others_are_read(void **state)
{
    static const acre_policy_kind policies[] = {ACRE_POLICY_ADAPTIVE, ACRE_POLICY_LRU, ACRE_POLICY_CLOCK};
    pthread_t threads[THREAD_COUNT];
    int numbers[THREAD_COUNT];
    (void)state;
    for (unsigned policy = 0; policy < 3; policy++) {
        remove_database(path);
        assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = 30 * 4096, .policy = policies[policy]}),
                         ACRE_OK);
        sqlite3 *const db = open_by(path, NULL);
        make_table(db, 300);
        close_db(db);
        for (int i = 0; i < THREAD_COUNT; i++) {
            numbers[i] = i + 1;
            assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &numbers[i]), 0);
        }
        for (int i = 0; i < THREAD_COUNT; i++) pthread_join(threads[i], NULL);
        assert_int_equal(vfs_figures().file_count, 0);
        assert_int_equal(vfs_figures().left_count, 0);
        assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    }
}

static void a_file_that_grows_by_chunks_does(void **state)
{
    int chunk_bytes = 100000;
    (void)state;
    remove_database(path);
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
    sqlite3 *const db = open_by(path, NULL), *const other = open_by(path, NULL);
    assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk_bytes), SQLITE_OK);
    make_table(db, 500);
    answer(other, "pragma cache_size = 3");
    for (int i = 0; i < 10; i++) {
        char sql[100];
        answer(db, "insert into t select k + 500, v from t where k <= 500");
        assert_int_equal(number(other, "select count(*) from t where v > ''"), 1000);
        (void)snprintf(sql, sizeof sql, "delete from t where k > 500; %s", i % 2 == 0 ? "vacuum" : "select 1");
        answer(i % 3 == 0 ? other : db, sql);
        assert_int_equal(number(other, "select count(*) from t where v > ''"), 500);
        assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
    }
    close_db(db);
    close_db(other);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void other_files_are_not_ours(void **state)
{
    (void)state;
    remove_database(path);
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
    sqlite3 *const memory = open_by(":memory:", NULL);
    make_table(memory, 10);
    sqlite3 *const db = open_by(path, NULL);
    make_table(db, 10);
    answer(db, "create temp table u as select * from t; attach '' as other; create table other.w as select * from t");
    assert_int_equal(number(db, "select count(*) from u, w"), 100);
    assert_int_equal(vfs_figures().connection_count, 1);
    close_db(memory);
    close_db(db);
    /* A connection that only reads has part in the pool, too. */
    sqlite3 *only_read;
    assert_int_equal(sqlite3_open_v2(path, &only_read, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(number(only_read, "select count(*) from t"), 10);
    assert_int_equal(vfs_figures().left_count, 0);
    assert_int_equal(vfs_figures().file_count, 1);
    close_db(only_read);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void a_child_has_a_pool_of_its_own(void **state)
{
    (void)state;
    remove_database(path);
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
    sqlite3 *const db = open_by(path, NULL);
    make_table(db, 1000);
    answer(db, "pragma cache_size = 5");
    assert_int_equal(number(db, "select count(*) from t"), 1000);
    const pid_t child = fork();
    if (child == 0) {
        sqlite3 *own;
        acre_sqlite_vfs_figures figures;
        bool is_right =
            sqlite3_open(path, &own) == SQLITE_OK && sqlite3_exec(own, "delete from t where k <= 100", NULL, NULL, NULL) == SQLITE_OK;
        is_right = is_right && sqlite3_exec(own, "pragma cache_size = 5; select sum(length(v)) from t", NULL, NULL, NULL) == SQLITE_OK;
        is_right =
            is_right && acre_sqlite_vfs_read_figures(&figures) == ACRE_OK && figures.file_count == 1 && figures.connection_count == 1;
        is_right = is_right && figures.pool.read_count > 100 && sqlite3_close(own) == SQLITE_OK;
        (void)sqlite3_close(db); /* which SQLite does not want, and programs do at their end */
        _exit(is_right ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(number(db, "select count(*) from t"), 900);
    assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
    close_db(db);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void a_wal_without_shared_memory_does(void **state)
{
    (void)state;
    remove_database(path);
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
    sqlite3 *db = open_by(path, NULL);
    answer(db, "pragma locking_mode = exclusive; pragma journal_mode = wal; pragma wal_autocheckpoint = 5; pragma cache_size = 5");
    make_table(db, 1000);
    for (int i = 1; i <= 30; i++) {
        char sql[100];
        (void)snprintf(sql, sizeof sql, "update t set v = 'a%d' where k %% 7 = %d", i, i % 7);
        answer(db, sql);
        (void)snprintf(sql, sizeof sql, "select count(*) from t where v = 'a%d'", i);
        assert_in_range(number(db, sql), 142, 143);
        if (i == 15)
            answer(db, "pragma journal_mode = delete; pragma locking_mode = normal; select count(*) from t; pragma journal_mode = wal");
        if (i == 20) answer(db, "vacuum; pragma locking_mode = exclusive");
    }
    close_db(db);
    db = open_by(path, NULL);
    assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
    close_db(db);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void bad_options_are_refused(void **state)
{
    acre_sqlite_vfs_figures figures;
    (void)state;
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_read_figures(&figures), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.block_bytes = 5000}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.block_bytes = 2048}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = 65535}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = UINT64_MAX}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.policy = (acre_policy_kind)99}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.way = (acre_device_way)9}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.below = "memdb"}), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "memdb"));
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.is_not_default = true}), ACRE_OK);
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_BUSY);
    assert_string_equal(sqlite3_vfs_find(NULL)->zName, "unix");
    assert_int_equal(acre_sqlite_vfs_read_figures(NULL), ACRE_INVALID);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    assert_null(sqlite3_vfs_find("acre"));
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_the_own_vfs),
        cmocka_unit_test(what_one_connection_has_read_all_have),
        cmocka_unit_test(own_checkpoints_drop_nothing),
        cmocka_unit_test(a_scan_is_read_ahead),
        cmocka_unit_test(a_database_that_is_made_anew_is_another),
        cmocka_unit_test(more_databases_than_the_pool_takes_are_left_to_the_own_vfs),
        cmocka_unit_test(threads_see_what_was_committed_and_nothing_else),
        cmocka_unit_test(databases_come_and_go_while_others_are_read),
        cmocka_unit_test(a_file_that_grows_by_chunks_does),
        cmocka_unit_test(other_files_are_not_ours),
        cmocka_unit_test(a_child_has_a_pool_of_its_own),
        cmocka_unit_test(a_wal_without_shared_memory_does),
        cmocka_unit_test(bad_options_are_refused),
    };
    (void)snprintf(path, sizeof path, "acre-test-vfs-%d", (int)getpid());
    /* A build with a planted bug is found by the first one. */
    const bool must_fail = count > 1 && strcmp(words[1], "--must-fail") == 0;
    const struct CMUnitTest first[] = {cmocka_unit_test(answers_are_those_of_the_own_vfs)};
    if (must_fail && (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL))
        return 2; /* a failure is no news */
    const int failures = must_fail ? cmocka_run_group_tests(first, NULL, NULL) == 0 : cmocka_run_group_tests(tests, NULL, NULL);
    remove_database(path);
    return failures;
}
