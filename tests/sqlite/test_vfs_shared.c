/* test_vfs_shared.c - a pool that processes share: what each kind of end and of writing by one of them means for the blocks of the others.
 *
 * The test reads; children of fork, each a process with its own connections, write, roll back, checkpoint and are killed. With
 * --must-fail, a build with a planted bug, the test is passed when something wrong was seen. */
#include "sqlite/shim.h"
#include "support/segments.h"

#include "vfs.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { ROW_COUNT = 600 };

static char path[64];
static uint64_t writes_left; /* until the process ends itself; 0: it does not */
static void (*in_read)(void);

static int count_writes(shim_call call)
{
    if (call == SHIM_WRITE && writes_left > 0 && --writes_left == 0) (void)kill(getpid(), SIGKILL);
    return SQLITE_OK;
}

/* The device by which blocks are read: what is to happen once while one is, happens after its bytes were read. */
static void submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    acre_device *const own = device->implementation;
    for (size_t i = 0; i < count; i++) {
        void (*const done)(acre_device_request *) = requests[i]->done;
        acre_device_request copy = *requests[i];
        assert_int_equal(acre_device_do(own, &copy), ACRE_OK);
        void (*const once)(void) = in_read;
        in_read = NULL;
        if (once != NULL) once();
        requests[i]->status = ACRE_OK;
        requests[i]->done_bytes = copy.done_bytes;
        done(requests[i]);
    }
}

static size_t poll_none(acre_device *device, uint64_t wait_ns)
{
    (void)device;
    (void)wait_ns;
    return 0;
}

static acre_status size_of(acre_device *device, uint64_t *bytes) { return acre_device_size(device->implementation, bytes); }

static void close_own(acre_device *device)
{
    acre_device_close(device->implementation);
    free(device->implementation);
}

static const acre_device_ops ops = {.size_bytes = sizeof ops, .submit = submit, .poll = poll_none, .size = size_of, .close = close_own};

static acre_status open_watched(acre_device *device, const char *name, const acre_device_file_options *options)
{
    acre_device *const own = calloc(1, sizeof *own);
    assert_int_equal(acre_device_open_file(own, name, options), ACRE_OK);
    assert_int_equal(acre_device_init(device, &ops, "watched", 1), ACRE_OK);
    device->implementation = own;
    return ACRE_OK;
}

/* ---- scenes ---- */

/* Rows of about a quarter of a page of 1024 bytes, four of which make a block. */
static void make_database(const char *mode)
{
    char sql[400];
    remove_database(path);
    sqlite3 *const db = open_by(path, "unix");
    (void)snprintf(sql, sizeof sql,
                   "pragma page_size = 1024; pragma journal_mode = %s; create table t(k integer primary key, n, v); "
                   "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) insert into t select i, 2, "
                   "hex(zeroblob(100)) from n",
                   mode, (int)ROW_COUNT);
    answer(db, sql);
    close_db(db);
}

static void begin_sharing(void)
{
    acre_vfs_open_device = open_watched;
    const acre_sqlite_vfs_options options = {
        .pool_bytes = 4 << 20, .below = "unix-shim", .shared_name = path, .has_no_prefetch = true, .is_not_default = true};
    if (acre_sqlite_vfs_register(&options) != ACRE_OK) fail_msg("%s", acre_last_error());
}

static sqlite3 *open_reader(void)
{
    sqlite3 *const db = open_by(path, "acre");
    answer(db, "pragma cache_size = 3");
    return db;
}

/* Numbers begin with 2, so that none changes its length. */
static int64_t sum_of(sqlite3 *db) { return number(db, "select sum(n - 1) from t"); }

/* What a child does before it ends; false: something was not as it should be. */
typedef bool child_work(sqlite3 *db);

/* A process that does not outlive the test. */
static pid_t begin_process(void)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

/* A process that works on the database by a VFS, from its connection to the last. Returns how it ended. */
static int in_child(const char *vfs, child_work *work)
{
    const pid_t child = begin_process();
    if (child == 0) {
        sqlite3 *db;
        bool is_right = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs) == SQLITE_OK;
        is_right = is_right && sqlite3_exec(db, "pragma cache_size = 3; pragma synchronous = off; pragma wal_autocheckpoint = 0", NULL,
                                            NULL, NULL) == SQLITE_OK;
        is_right = is_right && work(db) && sqlite3_close(db) == SQLITE_OK;
        _exit(is_right ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void must_work(const char *vfs, child_work *work) { assert_int_equal(in_child(vfs, work), 0); }

static void must_be_killed(const char *vfs, child_work *work)
{
    const int status = in_child(vfs, work);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static bool does(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK; }

static bool looks(sqlite3 *db) { return does(db, "select sum(n) from t"); }
static bool adds_one(sqlite3 *db) { return does(db, "update t set n = n + 1"); }
static bool adds_to_some(sqlite3 *db) { return does(db, "update t set n = n + 1 where k > 590"); }
static bool takes_back(sqlite3 *db) { return does(db, "begin; update t set n = 77; rollback"); }

static bool finds_all_there(sqlite3 *db)
{
    acre_sqlite_vfs_figures figures;
    return looks(db) && acre_sqlite_vfs_read_figures(&figures) == ACRE_OK && figures.shared.hit_count > 30 &&
           figures.shared.miss_count == 0 && figures.drop_count == 0 && figures.shared.process_count == 2;
}

static bool is_killed_before_its_commit(sqlite3 *db)
{
    (void)does(db, "begin; update t set n = 77");
    return kill(getpid(), SIGKILL) != 0;
}

static bool adds_and_checkpoints(sqlite3 *db) { return adds_one(db) && does(db, "pragma wal_checkpoint(passive)"); }

static bool is_killed_while_it_checkpoints(sqlite3 *db)
{
    if (!adds_one(db)) return false;
    writes_left = 5;
    return does(db, "pragma wal_checkpoint(passive)");
}

/* All of them on the same page, or nearly. */
static bool changes_all_back_and_forth(sqlite3 *db)
{
    for (int i = 0; i < 10; i++)
        if (!does(db, "update t set n = n + 1 where k % 50 = 0") || !does(db, "update t set n = n - 1 where k % 50 = 0")) return false;
    return true;
}

/* Pipes: to the test, and from it. */
static int from_child[2], to_child[2];

static void open_pipes(void)
{
    assert_int_equal(pipe(from_child), 0);
    assert_int_equal(pipe(to_child), 0);
}

static void close_pipes(void)
{
    for (int i = 0; i < 2; i++) {
        (void)close(from_child[i]);
        (void)close(to_child[i]);
    }
}

static void wait_for_child(void)
{
    char sign;
    assert_int_equal(read(from_child[0], &sign, 1), 1);
}

static void let_child_go_on(void) { assert_int_equal(write(to_child[1], "x", 1), 1); }

static bool waits_for_test(void)
{
    char sign;
    return write(from_child[1], "x", 1) == 1 && read(to_child[0], &sign, 1) == 1;
}

/* Works like must_work, and goes on beside the test. */
static pid_t begin_child(const char *vfs, child_work *work)
{
    const pid_t child = begin_process();
    if (child > 0) return child;
    sqlite3 *db;
    const bool is_open = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs) == SQLITE_OK && does(db, "pragma wal_autocheckpoint = 0");
    _exit(is_open && work(db) && sqlite3_close(db) == SQLITE_OK ? 0 : 1);
}

static void end_child(pid_t child)
{
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- tests ---- */

static void what_one_process_has_read_all_have(void **state)
{
    static const char *const modes[] = {"delete", "wal"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        make_database(modes[i]);
        begin_sharing();
        sqlite3 *const db = open_reader();
        answer(db, "begin; select * from t"); /* a WAL is open anyhow */
        assert_int_equal(sum_of(db), ROW_COUNT);
        must_work("acre", finds_all_there);
        answer(db, "commit");
        must_work("acre", finds_all_there);
        close_db(db);
        assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    }
}

/* And read what they have changed. */
static void what_others_commit_leaves_the_blocks_good(void **state)
{
    static const char *const modes[] = {"delete", "truncate", "persist"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        make_database(modes[i]);
        begin_sharing();
        sqlite3 *const db = open_reader();
        assert_int_equal(sum_of(db), ROW_COUNT);
        const acre_sqlite_vfs_figures before = vfs_figures();
        must_work("acre", adds_to_some);
        assert_int_equal(sum_of(db), ROW_COUNT + 10);
        must_work("acre", adds_one);
        assert_int_equal(sum_of(db), 2 * ROW_COUNT + 10);
        must_work("acre", changes_all_back_and_forth);
        assert_int_equal(sum_of(db), 2 * ROW_COUNT + 10);
        acre_sqlite_vfs_figures figures = vfs_figures();
        assert_int_equal(figures.drop_count, before.drop_count);
        assert_int_equal(figures.shared.miss_count, before.shared.miss_count);
        /* One who does not tell. */
        must_work("unix", adds_one);
        assert_int_equal(sum_of(db), 3 * ROW_COUNT + 10);
        figures = vfs_figures();
        assert_int_equal(figures.drop_count, before.drop_count + 1);
        assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
        close_db(db);
        assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    }
}

static void what_others_checkpoint_leaves_the_blocks_good(void **state)
{
    (void)state;
    make_database("wal");
    begin_sharing();
    sqlite3 *const db = open_reader();
    assert_int_equal(sum_of(db), ROW_COUNT);
    must_work("acre", adds_and_checkpoints); /* begins the WAL, which is new to all */
    assert_int_equal(sum_of(db), 2 * ROW_COUNT);
    const acre_sqlite_vfs_figures before = vfs_figures();
    for (int i = 3; i < 6; i++) {
        must_work("acre", adds_and_checkpoints);
        assert_int_equal(sum_of(db), i * ROW_COUNT);
    }
    acre_sqlite_vfs_figures figures = vfs_figures();
    assert_int_equal(figures.drop_count, before.drop_count);
    assert_int_equal(figures.shared.miss_count, before.shared.miss_count);
    must_work("unix", adds_and_checkpoints);
    assert_int_equal(sum_of(db), 6 * ROW_COUNT);
    figures = vfs_figures();
    assert_int_equal(figures.drop_count, before.drop_count + 1);
    close_db(db);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void what_is_taken_back_makes_blocks_old(void **state)
{
    (void)state;
    make_database("delete");
    begin_sharing();
    sqlite3 *const db = open_reader();
    assert_int_equal(sum_of(db), ROW_COUNT);
    const acre_sqlite_vfs_figures before = vfs_figures();
    must_work("acre", takes_back);
    assert_int_equal(sum_of(db), ROW_COUNT);
    assert_int_equal(vfs_figures().drop_count, before.drop_count + 1);
    close_db(db);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

/* The header is as it was, when a stranger has rolled back. */
static void a_writer_that_is_killed_leaves_nothing(void **state)
{
    static const char *const visitors[] = {"unix", "acre", NULL};
    (void)state;
    for (int i = 0; i < 3; i++) {
        make_database("delete");
        begin_sharing();
        sqlite3 *const db = open_reader();
        assert_int_equal(sum_of(db), ROW_COUNT);
        must_be_killed("acre", is_killed_before_its_commit);
        if (visitors[i] != NULL) must_work(visitors[i], looks);
        assert_int_equal(sum_of(db), ROW_COUNT);
        assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
        close_db(db);
        assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    }
}

/* A statement that reads keeps the SHARED lock over a roll-back: the second transaction is one of the same lease, and another process has
 * had a look in between. */
static bool takes_back_and_is_killed_in_the_next(sqlite3 *db)
{
    sqlite3_stmt *reading;
    if (!does(db, "pragma cache_size = 3; pragma synchronous = off") ||
        sqlite3_prepare_v2(db, "select k from t", -1, &reading, NULL) != SQLITE_OK || sqlite3_step(reading) != SQLITE_ROW ||
        !takes_back(db) || !waits_for_test())
        return false;
    return is_killed_before_its_commit(db);
}

static void a_second_transaction_of_a_lease_is_unsettled_too(void **state)
{
    int status = 0;
    (void)state;
    make_database("delete");
    begin_sharing();
    open_pipes();
    sqlite3 *const db = open_reader();
    const pid_t child = begin_child("acre", takes_back_and_is_killed_in_the_next);
    wait_for_child();
    assert_int_equal(sum_of(db), ROW_COUNT);
    let_child_go_on();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    must_work("unix", looks); /* rolls back, and the header is as it was */
    assert_int_equal(sum_of(db), ROW_COUNT);
    assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
    close_db(db);
    close_pipes();
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

/* Its mark stays, and says nothing: what the wal-index tells next is another's. */
static void a_checkpoint_that_is_killed_leaves_nothing(void **state)
{
    static const char *const next[] = {"unix", "acre"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        make_database("wal");
        begin_sharing();
        sqlite3 *const db = open_reader();
        assert_int_equal(sum_of(db), ROW_COUNT);
        must_be_killed("acre", is_killed_while_it_checkpoints);
        assert_int_equal(sum_of(db), 2 * ROW_COUNT);
        must_work(next[i], adds_and_checkpoints);
        assert_int_equal(sum_of(db), 3 * ROW_COUNT);
        assert_int_equal(answer(db, "pragma integrity_check"), sum_of_text("ok"));
        close_db(db);
        assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    }
}

static bool looks_and_stays(sqlite3 *db) { return looks(db) && waits_for_test(); }

/* One that is empty looks like another. The file stays in the pool meanwhile by a connection that has no lock; the wal-index is made by a
 * stranger. */
static void a_wal_that_was_given_back_is_another(void **state)
{
    (void)state;
    make_database("wal");
    begin_sharing();
    open_pipes();
    sqlite3 *const idle = open_by(path, "acre");
    for (int i = 1; i < 4; i++) {
        const pid_t stranger = begin_child("unix", looks_and_stays);
        wait_for_child();
        sqlite3 *const db = open_reader();
        assert_int_equal(sum_of(db), i * ROW_COUNT);
        close_db(db);
        let_child_go_on();
        end_child(stranger);
        must_work("unix", adds_one);
    }
    close_db(idle);
    close_pipes();
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static int ask_test(void *context, int count)
{
    (void)context;
    return count == 0 && waits_for_test();
}

/* Everything is in the database, and a reader keeps the WAL from beginning anew: just then the test looks. */
static bool checkpoints_and_waits(sqlite3 *db)
{
    return adds_one(db) && waits_for_test() && sqlite3_busy_handler(db, ask_test, NULL) == SQLITE_OK &&
           does(db, "pragma wal_checkpoint(restart)");
}

static void a_checkpoint_under_way_leaves_the_blocks_good(void **state)
{
    (void)state;
    make_database("wal");
    begin_sharing();
    open_pipes();
    sqlite3 *const db = open_reader(), *const late = open_reader();
    must_work("acre", adds_and_checkpoints);
    assert_int_equal(sum_of(db), 2 * ROW_COUNT);
    const uint64_t drop_count = vfs_figures().drop_count;
    const pid_t child = begin_child("acre", checkpoints_and_waits);
    wait_for_child();
    answer(late, "begin; select n from t where k = 1");
    let_child_go_on();
    wait_for_child();
    assert_int_equal(sum_of(db), 3 * ROW_COUNT);
    assert_int_equal(vfs_figures().drop_count, drop_count);
    answer(late, "commit");
    let_child_go_on();
    end_child(child);
    assert_int_equal(sum_of(db), 3 * ROW_COUNT);
    assert_int_equal(vfs_figures().drop_count, drop_count);
    close_db(db);
    close_db(late);
    close_pipes();
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

static void checkpoint_by_another(void) { must_work("acre", adds_and_checkpoints); }

static void what_was_overtaken_by_a_checkpoint_is_not_shared(void **state)
{
    (void)state;
    make_database("wal");
    begin_sharing();
    sqlite3 *const db = open_reader();
    assert_int_equal(number(db, "select n from t where k = 1"), 2); /* the WAL is known */
    in_read = checkpoint_by_another;
    (void)sum_of(db);
    assert_null(in_read);
    assert_int_equal(sum_of(db), 2 * ROW_COUNT);
    assert_true(vfs_figures().shared.refuse_count > 0);
    close_db(db);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
}

/* A process that has the lock, and is stopped: the others read and write as SQLite does. */
static void a_process_that_is_stopped_with_the_lock_stops_nobody(void **state)
{
    (void)state;
    make_database("delete");
    begin_sharing();
    sqlite3 *const db = open_reader();
    assert_int_equal(sum_of(db), ROW_COUNT);
    open_pipes();
    const pid_t child = begin_process();
    if (child == 0) {
        acre_shared_pages *pages;
        const acre_shared_pages_options options = {.name = path, .bytes = 4 << 20};
        if (acre_shared_pages_open(&options, &pages) == ACRE_OK && acre_shared_pages_lock(pages, 0) != NULL) (void)waits_for_test();
        for (;;) (void)pause();
    }
    wait_for_child();
    answer(db, "update t set n = n + 1");
    assert_int_equal(sum_of(db), 2 * ROW_COUNT);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(sum_of(db), 2 * ROW_COUNT);
    must_work("acre", adds_one);
    assert_int_equal(sum_of(db), 3 * ROW_COUNT);
    assert_int_equal(vfs_figures().shared.void_count, 1);
    close_db(db);
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    close_pipes();
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    acre_sqlite_vfs_options options = {.shared_name = "with/slash"};
    assert_int_equal(acre_sqlite_vfs_register(&options), ACRE_INVALID);
    options = (acre_sqlite_vfs_options){.shared_name = path, .is_direct = true};
    assert_int_equal(acre_sqlite_vfs_register(&options), ACRE_INVALID);
    options = (acre_sqlite_vfs_options){.shared_name = path, .policy = ACRE_POLICY_ARC};
    assert_int_equal(acre_sqlite_vfs_register(&options), ACRE_INVALID);
    options = (acre_sqlite_vfs_options){.shared_name = "0123456789012345678901234567890123456789012345678901234567890123456789"};
    assert_int_equal(acre_sqlite_vfs_register(&options), ACRE_INVALID);
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_process_has_read_all_have),
        cmocka_unit_test(what_others_commit_leaves_the_blocks_good),
        cmocka_unit_test(what_others_checkpoint_leaves_the_blocks_good),
        cmocka_unit_test(what_is_taken_back_makes_blocks_old),
        cmocka_unit_test(a_writer_that_is_killed_leaves_nothing),
        cmocka_unit_test(a_second_transaction_of_a_lease_is_unsettled_too),
        cmocka_unit_test(a_checkpoint_that_is_killed_leaves_nothing),
        cmocka_unit_test(a_checkpoint_under_way_leaves_the_blocks_good),
        cmocka_unit_test(a_wal_that_was_given_back_is_another),
        cmocka_unit_test(what_was_overtaken_by_a_checkpoint_is_not_shared),
        cmocka_unit_test(a_process_that_is_stopped_with_the_lock_stops_nobody),
        cmocka_unit_test(bad_options_are_refused),
    };
    const bool must_fail = count > 1 && strcmp(words[1], "--must-fail") == 0;
    (void)snprintf(path, sizeof path, "acre-test-shared-%d", (int)getpid());
    register_shim(count_writes);
    if (must_fail && (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL))
        return 2; /* a failure is no news */
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    remove_database(path);
    remove_segments(path);
    if (must_fail) _exit(failures == 0); /* a test that fails leaves memory, which is no news either */
    return failures;
}
