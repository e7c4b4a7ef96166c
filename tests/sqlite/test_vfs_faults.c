/* test_vfs_faults.c - memory that cannot be had, and calls of the system that fail: at each point once, and from each point on. Whatever
 * SQLite says, the database is intact afterwards, and has what was committed.
 *
 * Every seventeenth point, fewer under sanitizers; `--all`: each one, in some minutes. Each transaction moves something from one row to
 * another, and notes itself; so the sum tells whether one is there in half. */
#include "sqlite/shim.h"

#include "vfs.h"

#include <acre/sqlite.h>
#include <sys/wait.h>

#ifdef __SANITIZE_THREAD__
enum { STRIDE = 61 };
#elif defined(__SANITIZE_ADDRESS__)
enum { STRIDE = 31 };
#else
enum { STRIDE = 17 };
#endif
enum { TRANSACTION_COUNT = 6, ROW_COUNT = 60 };

static char path[64];
static uint64_t stride = STRIDE;

/* What is to fail: the call number `at`, and those after it if it lasts. */
static struct fault {
    uint64_t count, at;
    bool lasts;
    int status;
    bool is_on;
} memory_fault, call_fault, device_fault;

static bool is_due(struct fault *fault)
{
    if (!fault->is_on) return false;
    fault->count++;
    return fault->at != 0 && (fault->lasts ? fault->count >= fault->at : fault->count == fault->at);
}

static void arm(struct fault *fault, uint64_t at, bool lasts, int status)
{
    *fault = (struct fault){.at = at, .lasts = lasts, .status = status, .is_on = true};
}

/* ---- memory ---- */

static sqlite3_mem_methods own_memory;
static void *fail_malloc(int bytes) { return is_due(&memory_fault) ? NULL : own_memory.xMalloc(bytes); }
static void *fail_realloc(void *block, int bytes) { return is_due(&memory_fault) ? NULL : own_memory.xRealloc(block, bytes); }

static void wrap_memory(void)
{
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &own_memory), SQLITE_OK);
    sqlite3_mem_methods failing = own_memory;
    failing.xMalloc = fail_malloc;
    failing.xRealloc = fail_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
}

/* ---- calls below ---- */

static int fail_call(shim_call call)
{
    if (!is_due(&call_fault)) return SQLITE_OK;
    if (call_fault.status == SQLITE_FULL && call != SHIM_WRITE && call != SHIM_TRUNCATE) return SQLITE_OK;
    static const int statuses[] = {
        [SHIM_OPEN] = SQLITE_CANTOPEN,    [SHIM_DELETE] = SQLITE_IOERR_DELETE, [SHIM_ACCESS] = SQLITE_IOERR_ACCESS,
        [SHIM_READ] = SQLITE_IOERR_READ,  [SHIM_WRITE] = SQLITE_IOERR_WRITE,   [SHIM_TRUNCATE] = SQLITE_IOERR_TRUNCATE,
        [SHIM_SYNC] = SQLITE_IOERR_FSYNC, [SHIM_SIZE] = SQLITE_IOERR_FSTAT,    [SHIM_LOCK] = SQLITE_IOERR_LOCK,
        [SHIM_MAP] = SQLITE_IOERR_SHMMAP,
    };
    return call_fault.status == SQLITE_FULL ? SQLITE_FULL : statuses[call];
}

/* ---- the pool's devices ---- */

typedef struct failing_device {
    acre_device own;
} failing_device;

static void failing_submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    failing_device *const f = device->implementation;
    for (size_t i = 0; i < count; i++) {
        if (is_due(&device_fault)) {
            requests[i]->status = ACRE_IO;
            requests[i]->system_error = 5;
            requests[i]->done(requests[i]);
        } else {
            assert_int_equal(acre_device_submit(&f->own, &requests[i], 1), ACRE_OK);
        }
    }
}
static size_t failing_poll(acre_device *device, uint64_t wait_ns)
{
    return acre_device_poll(&((failing_device *)device->implementation)->own, wait_ns);
}
static acre_status failing_size(acre_device *device, uint64_t *bytes)
{
    return acre_device_size(&((failing_device *)device->implementation)->own, bytes);
}
static void failing_close(acre_device *device)
{
    failing_device *const f = device->implementation;
    acre_device_close(&f->own);
    free(f);
}
static const acre_device_ops failing_ops = {
    .size_bytes = sizeof failing_ops, .submit = failing_submit, .poll = failing_poll, .size = failing_size, .close = failing_close};

static acre_status open_failing(acre_device *device, const char *name, const acre_device_file_options *options)
{
    if (is_due(&device_fault)) return ACRE_IO;
    failing_device *const f = calloc(1, sizeof *f);
    const acre_status status = acre_device_open_file(&f->own, name, options);
    if (status != ACRE_OK) {
        free(f);
        return status;
    }
    assert_int_equal(acre_device_init(device, &failing_ops, "failing", f->own.alignment_bytes), ACRE_OK);
    device->implementation = f;
    return ACRE_OK;
}

/* ---- work ---- */

static unsigned row_bytes = 400;

static void make_database(const char *mode)
{
    char sql[200];
    remove_database(path);
    sqlite3 *const db = open_by(path, "acre");
    (void)snprintf(sql, sizeof sql, "pragma page_size = 1024; pragma journal_mode = %s; pragma synchronous = off", mode);
    answer(db, sql);
    answer(db, "create table t(k integer primary key, v, f); create index tv on t(v); create table log(n integer primary key)");
    (void)snprintf(
        sql, sizeof sql,
        "with recursive n(i) as (select 0 union all select i + 1 from n where i < 59) insert into t select i, 100, zeroblob(%u) from n",
        row_bytes);
    answer(db, sql);
    close_db(db);
}

/* Commits what it can; returns how many transactions were acknowledged. `*is_sure`: none has failed in its commit. */
static uint64_t work(bool *is_sure)
{
    sqlite3 *db = NULL;
    char sql[300];
    uint64_t sum = 0, count = 0;
    *is_sure = true;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "acre") == SQLITE_OK) {
        (void)sqlite3_exec(db, "pragma cache_size = 3; pragma wal_autocheckpoint = 8", NULL, NULL, NULL);
        for (unsigned i = 1; i <= TRANSACTION_COUNT; i++) {
            (void)snprintf(sql, sizeof sql,
                           "begin immediate; insert into log values(%u); update t set v = v - %u, f = zeroblob(%u) where k %% 7 = %u;"
                           "update t set v = v + %u where k %% 7 = %u; select sum(v), sum(length(f)) from t",
                           i, i, 300 + i * 30, i % 3, i, 3 + i % 3);
            int status = try_answer(db, sql, &sum);
            if (status == SQLITE_OK) {
                status = try_answer(db, "commit", &sum);
                if (status != SQLITE_OK) *is_sure = false;
            }
            count += status == SQLITE_OK;
            if (status != SQLITE_OK && sqlite3_get_autocommit(db) == 0) (void)sqlite3_exec(db, "rollback", NULL, NULL, NULL);
            if (i == 4) (void)sqlite3_exec(db, "vacuum", NULL, NULL, NULL);
        }
    }
    (void)sqlite3_close(db);
    return count;
}

/* Nothing fails any more. */
static void check(uint64_t count, bool is_sure, const char *what, uint64_t at)
{
    sqlite3 *const db = open_by(path, "acre");
    const int64_t sum = number(db, "select sum(v) from t");
    const uint64_t found = (uint64_t)number(db, "select count(*) from log");
    if (sum != (int64_t)ROW_COUNT * 100 + number(db, "select ifnull(sum(n * ((select count(*) from t where k % 7 = 3 + n % 3) - "
                                                     "(select count(*) from t where k % 7 = n % 3))), 0) from log"))
        fail_msg("%s %llu: half a transaction is there", what, (unsigned long long)at);
    if (found < count || (is_sure && found != count))
        fail_msg("%s %llu: %llu transactions, and %llu are there", what, (unsigned long long)at, (unsigned long long)count,
                 (unsigned long long)found);
    if (answer(db, "pragma integrity_check") != sum_of_text("ok")) fail_msg("%s %llu: not intact", what, (unsigned long long)at);
    close_db(db);
    /* And so says SQLite alone. */
    sqlite3 *const alone = open_by(path, "unix");
    assert_int_equal(answer(alone, "pragma integrity_check"), sum_of_text("ok"));
    assert_int_equal(number(alone, "select count(*) from log"), found);
    assert_int_equal(number(alone, "select sum(v) from t"), sum);
    close_db(alone);
}

/* Everything with a failure at each point until there is none left to fail. */
static void fail_everywhere(struct fault *fault, const char *what, const char *mode, bool lasts, int status)
{
    uint64_t at = 1, failed_count = 0;
    for (;; at += stride) {
        bool is_sure = true;
        make_database(mode);
        arm(fault, at, lasts, status);
        const uint64_t count = work(&is_sure);
        const bool was_reached = fault->count >= at;
        fault->is_on = false;
        failed_count += count < TRANSACTION_COUNT;
        check(count, is_sure, what, at);
        if (!was_reached) break;
    }
    print_message("%s, %s, %s: %llu points, %llu of them felt\n", what, mode, lasts ? "from then on" : "once",
                  (unsigned long long)(at / stride), (unsigned long long)failed_count);
    assert_true(at > stride);
    if (fault != &device_fault)
        assert_true(failed_count > 0);
    else
        assert_int_equal(failed_count, 0); /* the VFS below is asked */
    assert_int_equal(vfs_figures().connection_count, 0);
    assert_int_equal(vfs_figures().file_count, 0);
}

static void begin(void)
{
    register_shim(fail_call);
    acre_vfs_open_device = open_failing;
    assert_int_equal(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = 40 * 4096, .below = "unix-shim"}), ACRE_OK);
}

static void end(void)
{
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    acre_vfs_open_device = acre_device_open_file;
}

static void no_memory_leaves_the_database_intact(void **state)
{
    (void)state;
    for (int is_installed = 0; is_installed < 2; is_installed++) {
        assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
        if (is_installed) assert_int_equal(acre_sqlite_install(NULL), ACRE_OK);
        wrap_memory();
        begin();
        for (int mode = 0; mode < 2; mode++)
            for (int lasts = 0; lasts < 2; lasts++)
                fail_everywhere(&memory_fault, is_installed ? "acre's malloc" : "malloc", mode ? "wal" : "delete", lasts, SQLITE_NOMEM);
        end();
        assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
        assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &own_memory), SQLITE_OK);
    }
}

static void failing_calls_leave_the_database_intact(void **state)
{
    (void)state;
    begin();
    for (int mode = 0; mode < 2; mode++) {
        for (int lasts = 0; lasts < 2; lasts++) {
            shim_writes_half = false;
            fail_everywhere(&call_fault, "a call", mode ? "wal" : "delete", lasts, SQLITE_IOERR);
            shim_writes_half = true;
            fail_everywhere(&call_fault, "half a write", mode ? "wal" : "persist", lasts, SQLITE_IOERR);
            fail_everywhere(&call_fault, "a full disk", mode ? "wal" : "truncate", lasts, SQLITE_FULL);
        }
    }
    end();
}

static void failing_reads_of_the_pool_are_done_by_the_vfs_below(void **state)
{
    (void)state;
    row_bytes = 9000; /* more than the pool takes */
    begin();
    for (int mode = 0; mode < 2; mode++)
        for (int lasts = 0; lasts < 2; lasts++)
            fail_everywhere(&device_fault, "the pool's read", mode ? "wal" : "delete", lasts, SQLITE_IOERR);
    end();
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_leaves_the_database_intact),
        cmocka_unit_test(failing_calls_leave_the_database_intact),
        cmocka_unit_test(failing_reads_of_the_pool_are_done_by_the_vfs_below),
    };
    if (count > 1 && strcmp(words[1], "--all") == 0) stride = 1;
    /* In memory, where it can be: no power fails here. */
    (void)snprintf(path, sizeof path, "%sacre-test-faults-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : "", (int)getpid());
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    remove_database(path);
    return failures;
}
