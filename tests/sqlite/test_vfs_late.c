/* test_vfs_late.c - reads ahead that end too late: after the lock under which they began was given back, or after a write to their blocks.
 * What they have brought is not what the database says, and must not be seen.
 *
 * The device of the ring is one of the test's: it reads a large request at once or only when it is polled for, and ends it only then. With
 * --must-fail, a build with a planted bug, the test is passed when something wrong was seen. */
#include "sqlite/vfs_help.h"

#include "vfs.h"

enum { ROW_COUNT = 12000, HELD_MAX = 16, HELD_PARTS_MIN = 8 };

static char path[64];
static bool must_fail;
static bool is_read_at_once;
static acre_device *held_own; /* where what is held is read */
static acre_device_request *held[HELD_MAX];
static size_t held_count;

static void read_into(const acre_device_request *request)
{
    acre_device_request copy = *request;
    assert_int_equal(acre_device_do(held_own, &copy), ACRE_OK);
}

static void held_submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    held_own = device->implementation;
    for (size_t i = 0; i < count; i++) {
        if (requests[i]->part_count < HELD_PARTS_MIN || held_count == HELD_MAX) {
            assert_int_equal(acre_device_submit(held_own, &requests[i], 1), ACRE_OK);
            continue;
        }
        if (is_read_at_once) read_into(requests[i]);
        held[held_count++] = requests[i];
    }
}

static size_t held_poll(acre_device *device, uint64_t wait_ns)
{
    const size_t count = held_count;
    (void)device;
    (void)wait_ns;
    held_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_read_at_once) read_into(held[i]);
        held[i]->status = ACRE_OK;
        held[i]->done(held[i]);
    }
    return count;
}

static acre_status held_size(acre_device *device, uint64_t *bytes) { return acre_device_size(device->implementation, bytes); }
static void held_close(acre_device *device)
{
    acre_device_close(device->implementation);
    free(device->implementation);
}
static const acre_device_ops held_ops = {
    .size_bytes = sizeof held_ops, .submit = held_submit, .poll = held_poll, .size = held_size, .close = held_close};

static acre_status open_held(acre_device *device, const char *name, const acre_device_file_options *options)
{
    acre_device_file_options o = *options;
    if (o.way == ACRE_DEVICE_CALLS) return acre_device_open_file(device, name, &o);
    o.way = ACRE_DEVICE_CALLS;
    acre_device *const own = calloc(1, sizeof *own);
    assert_int_equal(acre_device_open_file(own, name, &o), ACRE_OK);
    assert_int_equal(acre_device_init(device, &held_ops, "held", 1), ACRE_OK);
    device->implementation = own;
    return ACRE_OK;
}

static void make_database(const char *mode)
{
    char sql[300];
    remove_database(path);
    sqlite3 *const db = open_by(path, "unix");
    (void)snprintf(
        sql, sizeof sql,
        "pragma journal_mode = %s; pragma synchronous = off; create table t(k integer primary key, v); "
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) insert into t select i, printf('%%0900d', i) from n",
        mode, (int)ROW_COUNT);
    answer(db, sql);
    close_db(db);
}

/* Reads rows in sequence until something is held, and stays within the statement. Returns the row. */
static sqlite3_stmt *scan_until_held(sqlite3 *db, int64_t *row)
{
    sqlite3_stmt *scan;
    assert_int_equal(sqlite3_prepare_v2(db, "select k from t where v >= '0'", -1, &scan, NULL), SQLITE_OK);
    while (held_count == 0 && sqlite3_step(scan) == SQLITE_ROW) *row = sqlite3_column_int64(scan, 0);
    assert_true(held_count > 0);
    return scan;
}

static uint64_t held_begin(void) { return held[0]->offset; }
static uint64_t held_end(void) { return held[held_count - 1]->offset + (uint64_t)held[held_count - 1]->part_count * 4096; }

/* What a process leaves of a transaction that it did not end, and what the roll-back makes of it: the header is as it was. */
static void change_file(uint64_t begin, uint64_t end, unsigned char *saved, bool is_back)
{
    FILE *const file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)begin, SEEK_SET), 0);
    if (!is_back) {
        assert_int_equal(fread(saved, 1, end - begin, file), end - begin);
        assert_int_equal(fseek(file, (long)begin, SEEK_SET), 0);
    }
    unsigned char *const bytes = malloc(end - begin);
    memset(bytes, 0x5a, end - begin);
    assert_int_equal(fwrite(is_back ? saved : bytes, 1, end - begin, file), end - begin);
    free(bytes);
    assert_int_equal(fclose(file), 0);
}

static void begin(void)
{
    acre_vfs_open_device = open_held;
    assert_int_equal(acre_sqlite_vfs_register(NULL), ACRE_OK);
}

static void end(void)
{
    assert_int_equal(acre_sqlite_vfs_unregister(), ACRE_OK);
    acre_vfs_open_device = acre_device_open_file;
}

static bool sees(sqlite3 *db, const char *sql, int64_t expected)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value == expected;
}

static void a_read_that_ends_after_its_lock_is_not_seen(void **state)
{
    int64_t row = 0;
    (void)state;
    make_database("delete");
    is_read_at_once = false;
    begin();
    sqlite3 *const db = open_by(path, "acre");
    answer(db, "pragma cache_size = 5");
    sqlite3_stmt *const scan = scan_until_held(db, &row);
    assert_int_equal(sqlite3_finalize(scan), SQLITE_OK); /* and no lock any more */
    const uint64_t first = held_begin(), last = held_end();
    unsigned char *const saved = malloc(last - first);
    change_file(first, last, saved, false);
    (void)acre_buffer_pool_poll(acre_vfs.pool); /* here it is read, and ends */
    change_file(first, last, saved, true);
    free(saved);
    const bool is_right = sees(db, "select count(*) from t where v >= '0'", ROW_COUNT);
    close_db(db);
    end();
    assert_int_equal(held_count, 0);
    assert_int_equal(is_right, !must_fail);
}

static void a_read_that_was_overtaken_by_a_write_is_not_seen(void **state)
{
    char sql[200];
    int64_t row = 0;
    (void)state;
    make_database("wal");
    is_read_at_once = true;
    begin();
    sqlite3 *const writer = open_by(path, "acre"), *const reader = open_by(path, "acre");
    answer(writer, "pragma synchronous = off; pragma wal_autocheckpoint = 0");
    answer(reader, "pragma cache_size = 5");
    /* What lies a little after the place where the scan will begin to read ahead, is in the WAL. */
    sqlite3_stmt *scan = scan_until_held(reader, &row);
    assert_int_equal(sqlite3_finalize(scan), SQLITE_OK);
    (void)acre_buffer_pool_poll(acre_vfs.pool);
    close_db(reader);
    close_db(writer);
    end();
    begin();
    sqlite3 *const again = open_by(path, "acre"), *const other = open_by(path, "acre");
    answer(other, "pragma synchronous = off; pragma wal_autocheckpoint = 0");
    answer(again, "pragma cache_size = 5");
    const int64_t from = row + 4;
    (void)snprintf(sql, sizeof sql, "update t set v = 'new' || v where k between %lld and %lld", (long long)from, (long long)from + 400);
    answer(other, sql);
    /* The writer's own reads have put the blocks into the pool: they have to be read anew. */
    pthread_mutex_lock(&acre_vfs.files->lock);
    acre_vfs_blocks_drop(acre_vfs.files);
    pthread_mutex_unlock(&acre_vfs.files->lock);
    assert_int_equal(acre_buffer_pool_resize(acre_vfs.pool, 16), ACRE_OK);
    assert_int_equal(acre_buffer_pool_resize(acre_vfs.pool, 1024), ACRE_OK);
    held_count = 0;
    scan = scan_until_held(again, &row);
    answer(other, "pragma wal_checkpoint(passive)");
    (void)acre_buffer_pool_poll(acre_vfs.pool); /* what was read before the checkpoint comes now */
    assert_int_equal(sqlite3_finalize(scan), SQLITE_OK);
    answer(other, "pragma wal_checkpoint(truncate)");
    (void)snprintf(sql, sizeof sql, "select count(*) from t where v like 'new%%'");
    const bool is_right = sees(again, sql, 401);
    close_db(again);
    close_db(other);
    end();
    assert_int_equal(is_right, !must_fail);
}

int main(int count, char **words)
{
    const struct CMUnitTest lock[] = {cmocka_unit_test(a_read_that_ends_after_its_lock_is_not_seen)};
    const struct CMUnitTest write[] = {cmocka_unit_test(a_read_that_was_overtaken_by_a_write_is_not_seen)};
    const char *const what = count > 1 ? words[1] : "";
    must_fail = *what != 0;
    (void)snprintf(path, sizeof path, "acre-test-late-%d", (int)getpid());
    int failures = 0;
    if (strcmp(what, "--must-fail-after-a-write") != 0) failures += cmocka_run_group_tests(lock, NULL, NULL);
    if (strcmp(what, "--must-fail-after-a-lock") != 0) failures += cmocka_run_group_tests(write, NULL, NULL);
    remove_database(path);
    return failures;
}
