/* test_vfs_processes.c - a process writes, checkpoints, vacuums, changes the journal mode, and is killed; another reads all the while
 * through a pool, and must see each transaction whole, and at once when it is acknowledged.
 *
 * Transaction n gives all rows the number n. What is acknowledged stands in memory that both share. With --shared the pool is shared, the
 * writers use it or do not, and there is one more reader of it, which is killed, too. With --must-fail, a build with a planted bug, the
 * test is passed when something wrong was seen. */
#include "sqlite/vfs_help.h"
#include "support/segments.h"

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
    uint64_t wrong_count; /* seen by the reader that is another process */
} shared;

static shared *both;
static char path[64];
static bool must_fail, is_shared;
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

/* The other process: as any program would, through SQLite's own VFS, or by the shared pool. Never returns. */
static void write_on_and_on(const char *vfs, uint64_t random)
{
    sqlite3 *db;
    char sql[200];
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs) != SQLITE_OK) _exit(2);
    sqlite3_busy_timeout(db, 60000);
    must(db, "pragma synchronous = off; pragma cache_size = 10; pragma wal_autocheckpoint = 30");
    for (uint64_t n = both->acknowledged + 1;; n++) {
        const uint64_t what = next_random(&random);
        (void)snprintf(sql, sizeof sql, "update t set n = %llu, v = printf('%%0%ud', n)", (unsigned long long)n,
                       100 + (unsigned)(what >> 8) % 300);
        must(db, "begin immediate");
        must(db, sql);
        if (is_shared && what % 4 == 3) { /* what is taken back was in the file, since the cache is small */
            must(db, "rollback");
            n--;
            continue;
        }
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
    (void)__atomic_fetch_add(&both->wrong_count, 1, __ATOMIC_RELAXED);
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

/* One more process with the shared pool. Never returns. */
static void read_on_and_on(void)
{
    for (unsigned i = 0;; i++) {
        sqlite3 *db;
        if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "acre") != SQLITE_OK) _exit(4);
        sqlite3_busy_timeout(db, 60000);
        for (unsigned k = 0; k < 1 + i % 50; k++) look(db);
        (void)sqlite3_close(db);
    }
}

/* A program that knows nothing of pools is the first to find what a killed one has left, and changes nothing else. */
static void let_a_stranger_look(void)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sqlite3 *db;
        if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix") != SQLITE_OK) _exit(5);
        must(db, "select count(*) from t");
        _exit(sqlite3_close(db));
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void end_process(pid_t child)
{
    int status = 0;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) note_wrong("a process that is to be killed ended by itself", 0, WEXITSTATUS(status));
}

static void live(sqlite3 **readers, uint64_t *random)
{
    const char *const vfs = is_shared && next_random(random) % 2 == 0 ? "acre" : "unix";
    const uint64_t seed = next_random(random) | 1;
    const pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) write_on_and_on(vfs, seed);
    const pid_t reader = is_shared ? fork() : 0;
    assert_true(reader >= 0);
    if (is_shared && reader == 0) read_on_and_on();
    const uint64_t end = now_ms() + LIFE_MS + next_random(random) % LIFE_MS;
    while (now_ms() < end && (!must_fail || wrong_count == 0)) look(readers[next_random(random) % READER_COUNT]);
    const bool reader_goes_first = next_random(random) % 2 == 0;
    if (is_shared && reader_goes_first) end_process(reader);
    end_process(writer);
    if (is_shared && next_random(random) % 2 == 0) let_a_stranger_look();
    if (is_shared && !reader_goes_first) end_process(reader);
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
    const acre_sqlite_vfs_options options = {.pool_bytes = 1 << 20, .shared_name = is_shared ? path : NULL};
    assert_int_equal(acre_sqlite_vfs_register(&options), ACRE_OK);
    for (int life = 0; life < LIFE_COUNT && (!must_fail || wrong_count == 0); life++) {
        if (life % 5 == 0) open_readers(readers, life);
        live(readers, &random);
        for (int i = 0; i < READER_COUNT; i++) look(readers[i]); /* rolls back or recovers what the killed one has left */
        if (life % 4 == 3 && !must_fail) assert_int_equal(answer(readers[1], "pragma integrity_check"), sum_of_text("ok"));
        if (life % 5 == 3) change_mode(readers[0], life + 1);
    }
    const acre_sqlite_vfs_figures figures = vfs_figures();
    const uint64_t hit_count = figures.pool.hit_count + figures.shared.hit_count;
    print_message("%llu transactions, %llu drops, %llu blocks read again, %llu hits, %llu refused, %llu times void, %llu late\n",
                  (unsigned long long)both->acknowledged, (unsigned long long)figures.drop_count, (unsigned long long)figures.stale_count,
                  (unsigned long long)hit_count, (unsigned long long)figures.shared.refuse_count,
                  (unsigned long long)figures.shared.void_count, (unsigned long long)figures.shared.late_count);
    assert_int_equal(figures.left_count, 0);
    assert_true(hit_count > 0);
    if (!must_fail) assert_int_equal(both->wrong_count, 0);
    for (int i = 0; i < READER_COUNT; i++) close_db(readers[i]);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    if (must_fail) assert_true(wrong_count > 0);
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_another_process_has_committed_is_seen_whole_and_at_once)};
    for (int i = 1; i < count; i++) {
        must_fail = must_fail || strcmp(words[i], "--must-fail") == 0;
        is_shared = is_shared || strcmp(words[i], "--shared") == 0;
    }
    (void)snprintf(path, sizeof path, "acre-test-processes-%d", (int)getpid());
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    remove_database(path);
    remove_segments(path);
    return failures;
}
