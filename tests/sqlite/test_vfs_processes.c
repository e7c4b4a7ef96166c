/* test_vfs_processes.c - a process writes, checkpoints, vacuums, changes the journal mode, and is killed; another reads all the while
 * through a pool, and must see each transaction whole, and at once when it is acknowledged.
 *
 * Transaction n gives all rows the number n. What is acknowledged stands in memory that both share. With --must-fail, a build with a
 * planted bug, the test is passed when something wrong was seen. */
#include "sqlite/vfs_help.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { LIFE_COUNT = 12 };
#else
enum { LIFE_COUNT = 25 };
#endif
enum { ROW_COUNT = 120, READER_COUNT = 2, LIFE_MS = 40 };

typedef struct shared {
    uint64_t acknowledged;
    uint64_t checkpoint_count;
} shared;

static shared *both;
static char path[64];
static bool must_fail;
static uint64_t wrong_count;

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void must(sqlite3 *db, const char *sql)
{
    uint64_t sum;
    int status;
    while ((status = try_answer(db, sql, &sum)) == SQLITE_BUSY) (void)usleep(100);
    if (status == SQLITE_OK) return;
    fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
    _exit(3);
}

/* The other process: as any program would, through SQLite's own VFS. Never returns. */
static void write_on_and_on(uint64_t random)
{
    sqlite3 *db;
    char sql[200];
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix") != SQLITE_OK) _exit(2);
    sqlite3_busy_timeout(db, 60000);
    must(db, "pragma synchronous = off; pragma cache_size = 10; pragma wal_autocheckpoint = 30");
    for (uint64_t n = both->acknowledged + 1;; n++) {
        const uint64_t what = next_random(&random);
        (void)snprintf(sql, sizeof sql, "update t set n = %llu, v = printf('%%0%ud', n)", (unsigned long long)n,
                       100 + (unsigned)(what >> 8) % 300);
        must(db, "begin immediate");
        must(db, sql);
        must(db, "commit");
        __atomic_store_n(&both->acknowledged, n, __ATOMIC_RELEASE);
        if (what % 8 == 0) must(db, "pragma wal_checkpoint(passive)");
        if (what % 16 == 1) (void)sqlite3_exec(db, "pragma wal_checkpoint(truncate)", NULL, NULL, NULL);
        if (what % 32 == 2) must(db, "vacuum");
        if (what % 2 == 1) (void)usleep(300);
    }
}

static void note_wrong(const char *what, uint64_t expected, int64_t got)
{
    wrong_count++;
    if (!must_fail) fail_msg("%s: at least %llu was expected, and there was %lld", what, (unsigned long long)expected, (long long)got);
}

/* One snapshot: all rows have one number, and none that is older than what was acknowledged before. */
static void look(sqlite3 *db)
{
    const uint64_t least = __atomic_load_n(&both->acknowledged, __ATOMIC_ACQUIRE);
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(db, "select min(n), max(n), count(*), min(cast(v as integer)) from t", -1, &statement, NULL);
    if (status == SQLITE_OK) status = sqlite3_step(statement);
    if (status == SQLITE_ROW) {
        const int64_t low = sqlite3_column_int64(statement, 0), high = sqlite3_column_int64(statement, 1);
        if ((uint64_t)low < least) note_wrong("an old row", least, low);
        if (low != high || sqlite3_column_int(statement, 2) != ROW_COUNT) note_wrong("half a transaction", (uint64_t)high, low);
    } else if (status != SQLITE_BUSY && status != SQLITE_LOCKED) {
        note_wrong(sqlite3_errmsg(db), 0, status);
    }
    (void)sqlite3_finalize(statement);
}

/* In the last lives of a group the journal may become a WAL while all are connected; the way back takes a connection that is alone. */
static void change_mode(sqlite3 *db, int life)
{
    static const char *const modes[] = {"pragma journal_mode = delete", "pragma journal_mode = wal", "pragma journal_mode = truncate",
                                        "pragma journal_mode = persist"};
    uint64_t sum;
    const int status = try_answer(db, life % 5 == 4 ? modes[1] : modes[life / 5 % 4], &sum);
    if (status != SQLITE_OK && !must_fail) fail_msg("journal mode: %s", sqlite3_errmsg(db));
}

static void open_readers(sqlite3 **readers, int life)
{
    for (int i = 0; i < READER_COUNT; i++) {
        if (life > 0) close_db(readers[i]);
    }
    for (int i = 0; i < READER_COUNT; i++) {
        readers[i] = open_by(path, "acre");
        answer(readers[i], "pragma cache_size = 2");
        sqlite3_busy_timeout(readers[i], 60000);
        if (i == 0) change_mode(readers[0], life);
    }
}

static void live(sqlite3 **readers, uint64_t *random)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) write_on_and_on(next_random(random) | 1);
    const uint64_t end = now_ms() + LIFE_MS + next_random(random) % LIFE_MS;
    while (now_ms() < end && (!must_fail || wrong_count == 0)) look(readers[next_random(random) % READER_COUNT]);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) fail_msg("the writer ended by itself: %d", WEXITSTATUS(status));
}

static void what_another_process_has_committed_is_seen_whole_and_at_once(void **state)
{
    sqlite3 *readers[READER_COUNT];
    uint64_t random = 77;
    (void)state;
    both = mmap(NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(both != MAP_FAILED);
    remove_database(path);
    sqlite3 *const first = open_by(path, "unix");
    answer(first,
           "pragma page_size = 1024; pragma journal_mode = wal; create table t(k integer primary key, n, v); create index tn on t(n)");
    answer(first, "with recursive n(i) as (select 1 union all select i + 1 from n where i < 120) insert into t select i, 0, "
                  "hex(zeroblob(100)) from n");
    close_db(first);
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = 1 << 20}), ACRE_OK);
    for (int life = 0; life < LIFE_COUNT && (!must_fail || wrong_count == 0); life++) {
        if (life % 5 == 0) open_readers(readers, life);
        live(readers, &random);
        for (int i = 0; i < READER_COUNT; i++) look(readers[i]); /* rolls back or recovers what the killed one has left */
        if (life % 4 == 3 && !must_fail) assert_int_equal(answer(readers[1], "pragma integrity_check"), sum_of_text("ok"));
        if (life % 5 == 3) change_mode(readers[0], life + 1);
    }
    const acre_sqlite_vfs_figures figures = vfs_figures();
    print_message("%llu transactions, %llu drops, %llu blocks read again, %llu hits\n", (unsigned long long)both->acknowledged,
                  (unsigned long long)figures.drop_count, (unsigned long long)figures.stale_count,
                  (unsigned long long)figures.pool.hit_count);
    assert_int_equal(figures.left_count, 0);
    assert_true(figures.pool.hit_count > 0);
    for (int i = 0; i < READER_COUNT; i++) close_db(readers[i]);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    if (must_fail) assert_true(wrong_count > 0);
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_another_process_has_committed_is_seen_whole_and_at_once)};
    must_fail = count > 1 && strcmp(words[1], "--must-fail") == 0;
    (void)snprintf(path, sizeof path, "acre-test-processes-%d", (int)getpid());
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    remove_database(path);
    return failures;
}
