/* test_vfs_kill.c - a process that writes through the VFS is killed a thousand times: at a random write, sync, truncation or deletion,
 * before or after it, or at any moment. Each time the database is intact, and every transaction that was acknowledged is there, whole.
 *
 * The survivor reads through the VFS, too, over a pool that was filled before the kill. Transaction n appends row n, and adds n to a row of
 * each table; the sums tell whether a transaction is there as a whole. */
#include "sqlite/shim.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { KILL_COUNT = 100 };
#else
enum { KILL_COUNT = 1000 };
#endif
enum { CALLS_MAX = 120, TRANSACTIONS_MAX = 60 };

typedef struct shared {
    uint64_t acknowledged;
} shared;

static shared *both;
static char path[64];
static bool is_shared;
static uint64_t calls_left;

/* In the child: the end comes at one of its calls that change something. */
static int count_calls(shim_call call)
{
    const bool is_change = call == SHIM_WRITE || call == SHIM_TRUNCATE || call == SHIM_SYNC || call == SHIM_DELETE;
    if (is_change && calls_left > 0 && --calls_left == 0) (void)kill(getpid(), SIGKILL);
    return SQLITE_OK;
}

static void must(sqlite3 *db, const char *sql)
{
    uint64_t sum;
    if (try_answer(db, sql, &sum) == SQLITE_OK) return;
    fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
    _exit(3);
}

/* Never returns, but by its end. */
static void write_until_killed(uint64_t random, bool is_killed_by_calls)
{
    sqlite3 *db;
    char sql[300];
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "acre") != SQLITE_OK) _exit(2);
    must(db, "pragma synchronous = off; pragma wal_autocheckpoint = 10; pragma cache_size = 10");
    calls_left = is_killed_by_calls ? 1 + next_random(&random) % CALLS_MAX : 0;
    const uint64_t first = (uint64_t)number(db, "select count(*) from log") + 1;
    for (uint64_t n = first; n < first + TRANSACTIONS_MAX || calls_left > 0; n++) {
        const uint64_t what = next_random(&random);
        (void)snprintf(sql, sizeof sql,
                       "begin; insert into log values(%llu, zeroblob(%u)); update a set v = v + %llu, f = zeroblob(%u) where k = %u;"
                       "update b set v = v + %llu where k = %u; commit",
                       (unsigned long long)n, (unsigned)(what >> 40) % 700, (unsigned long long)n, (unsigned)(what >> 8) % 900,
                       (unsigned)(what >> 20) % 100, (unsigned long long)n, (unsigned)(what >> 30) % 100);
        must(db, sql);
        __atomic_store_n(&both->acknowledged, n, __ATOMIC_RELEASE);
        if (what % 32 == 7) must(db, "pragma wal_checkpoint(truncate)");
        if (what % 64 == 9) must(db, "delete from log where n > 1e9; vacuum");
    }
    (void)kill(getpid(), SIGKILL);
}

static void check(sqlite3 *db)
{
    assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
    const uint64_t count = (uint64_t)number(db, "select count(*) from log");
    assert_true(count >= both->acknowledged);
    assert_true(count <= both->acknowledged + 1); /* committed, and killed before it could say so */
    assert_int_equal(number(db, "select ifnull(max(n), 0) from log"), count);
    assert_int_equal(number(db, "select sum(v) from a"), count * (count + 1) / 2);
    assert_int_equal(number(db, "select sum(v) from b"), count * (count + 1) / 2);
    both->acknowledged = count;
}

static void begin_anew(const char *mode, unsigned page_bytes)
{
    char sql[300];
    remove_database(path);
    sqlite3 *const db = open_by(path, "unix");
    (void)snprintf(sql, sizeof sql,
                   "pragma page_size = %u; pragma journal_mode = %s; pragma synchronous = off; create table log(n integer primary key, f);"
                   "create table a(k integer primary key, v, f); create table b(k integer primary key, v); create index bv on b(v)",
                   page_bytes, mode);
    answer(db, sql);
    answer(db, "begin; with recursive n(i) as (select 0 union all select i + 1 from n where i < 99) insert into a select i, 0, "
               "zeroblob(300) from n;"
               "insert into b select k, v from a; commit");
    close_db(db);
    both->acknowledged = 0;
}

static void die_and_check(sqlite3 *db, uint64_t *random)
{
    const bool is_killed_by_calls = next_random(random) % 4 != 0;
    const uint64_t seed = next_random(random);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) write_until_killed(seed, is_killed_by_calls);
    if (!is_killed_by_calls) {
        (void)usleep((unsigned)(next_random(random) % 6000));
        (void)kill(child, SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) fail_msg("the writer ended by itself: %d", WEXITSTATUS(status));
    check(db);
}

static void a_killed_process_leaves_an_intact_database_with_all_it_acknowledged(void **state)
{
    static const char *const modes[] = {"delete", "wal", "truncate", "persist"};
    uint64_t random = 4711, count = 0;
    sqlite3 *db = NULL;
    (void)state;
    both = mmap(NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(both != MAP_FAILED);
    register_shim(count_calls);
    const acre_sqlite_vfs_options options = {.pool_bytes = 1 << 20, .below = "unix-shim", .shared_name = is_shared ? path : NULL};
    assert_int_equal(acre_sqlite_vfs_register(&options), ACRE_OK);
    for (unsigned i = 0; i < KILL_COUNT; i++) {
        if (i % 50 == 0) {
            if (db != NULL) close_db(db);
            count += both->acknowledged;
            begin_anew(modes[i / 50 % 4], 1024u << i / 50 % 3);
            db = NULL;
        }
        if (i % 10 == 0) { /* the survivor's connection outlives most of the killed */
            if (db != NULL) close_db(db);
            db = open_by(path, "acre");
            answer(db, "pragma cache_size = 5");
            check(db);
        }
        die_and_check(db, &random);
    }
    close_db(db);
    count += both->acknowledged;
    print_message("%d times killed, %llu transactions\n", (int)KILL_COUNT, (unsigned long long)count);
    assert_true(count > KILL_COUNT);
    const acre_sqlite_vfs_figures figures = vfs_figures();
    assert_int_equal(figures.left_count, 0);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

/* With --shared the pool is one that the killed and the survivor share. */
int main(int count, char **words)
{
    is_shared = count > 1 && strcmp(words[1], "--shared") == 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_killed_process_leaves_an_intact_database_with_all_it_acknowledged)};
    (void)snprintf(path, sizeof path, "acre-test-kill-%d", (int)getpid());
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    remove_database(path);
    return failures;
}
