/* test_kill.c - a process that works on a pool over a real file, with its log in another, is killed or stopped at random moments: whatever
 * it had acknowledged is there afterwards.
 *
 * The log is a file of records of 32 bytes, appended by one write and made durable by fdatasync. What is acknowledged goes through a pipe.
 */
#include "database/pages.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KILL_COUNT = 40, PAGE_COUNT = 300, PAGE_BYTES = 4096, CELL_COUNT = 8 * CELLS_OF_SECTOR };

typedef struct file_record {
    uint64_t lsn, id, cell, value;
} file_record;

typedef struct file_log {
    int file;
    uint64_t last_lsn, durable_lsn;
} file_log;

static const char *const data_path = "acre-kill-data";
static const char *const area_path = "acre-kill-area";
static const char *const log_path = "acre-kill-log";
static const char *const redo_path = "acre-kill-redo";

static uint64_t log_durable(void *context) { return ((const file_log *)context)->durable_lsn; }
static uint64_t log_last(void *context) { return ((const file_log *)context)->last_lsn; }

static acre_status log_flush(void *context, uint64_t lsn)
{
    file_log *const log = context;
    (void)lsn;
    if (fdatasync(log->file) != 0) return ACRE_IO;
    log->durable_lsn = log->last_lsn;
    return ACRE_OK;
}

static const acre_log_ops log_ops = {
    .size_bytes = sizeof(acre_log_ops), .durable_lsn = log_durable, .flush = log_flush, .last_lsn = log_last};

static void write_redo(uint64_t lsn)
{
    char other[64];
    (void)snprintf(other, sizeof other, "%s.new", redo_path);
    const int file = open(other, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (write(file, &lsn, sizeof lsn) != sizeof lsn || fdatasync(file) != 0 || rename(other, redo_path) != 0) _exit(9);
    close(file);
}

static uint64_t read_redo(void)
{
    uint64_t lsn = 0;
    const int file = open(redo_path, O_RDONLY);
    if (file < 0) return 0;
    assert_int_equal(read(file, &lsn, sizeof lsn), sizeof lsn);
    close(file);
    return lsn;
}

typedef struct scene {
    acre_device data, area;
    acre_buffer_pool *pool;
    uint32_t file;
    file_log log;
} scene;

static bool open_scene(scene *s)
{
    memset(s, 0, sizeof *s);
    s->log.file = open(log_path, O_RDWR | O_CREAT, 0600);
    s->log.last_lsn = s->log.durable_lsn = (uint64_t)lseek(s->log.file, 0, SEEK_END) / sizeof(file_record);
    const acre_buffer_pool_options options = {.frame_count = 64,
                                              .has_checksum = true,
                                              .log = &log_ops,
                                              .log_context = &s->log,
                                              .log_distance_max = 2000,
                                              .torn_pages = ACRE_TORN_DOUBLE_WRITE,
                                              .double_write = &s->area};
    return acre_device_open_file(&s->data, data_path, NULL) == ACRE_OK && acre_device_open_file(&s->area, area_path, NULL) == ACRE_OK &&
           acre_buffer_pool_open(&options, &s->pool) == ACRE_OK &&
           acre_buffer_pool_add_file(s->pool, &s->data, PAGE_COUNT, &s->file) == ACRE_OK;
}

static void close_scene(scene *s)
{
    assert_int_equal(acre_buffer_pool_close(s->pool), ACRE_OK);
    acre_device_close(&s->data);
    acre_device_close(&s->area);
    close(s->log.file);
}

/* What the child does until it is killed. */
static void work(uint64_t seed, int acknowledge)
{
    scene s;
    if (!open_scene(&s)) _exit(1);
    uint64_t random = seed * 7919 + 1;
    uint64_t redo_lsn = read_redo();
    for (uint64_t step = 1;; step++) {
        const uint64_t number = next_random(&random);
        const acre_page_id id = acre_page(s.file, (uint32_t)((number >> 8) % PAGE_COUNT));
        acre_page_ref ref;
        if (acre_buffer_pool_fix(s.pool, id, ACRE_FIX_EXCLUSIVE, &ref) != ACRE_OK) _exit(2);
        const file_record record = {.lsn = s.log.last_lsn + 1, .id = id, .cell = (number >> 30) % CELL_COUNT, .value = number};
        if (pwrite(s.log.file, &record, sizeof record, (off_t)(s.log.last_lsn * sizeof record)) != sizeof record) _exit(3);
        s.log.last_lsn++;
        set_cell(ref.page, (uint32_t)record.cell, record.value);
        set_page_lsn(ref.page, PAGE_BYTES, record.lsn);
        if (acre_buffer_pool_unfix(&ref, record.lsn) != ACRE_OK) _exit(4);
        if (step % 32 == 0) {
            if (log_flush(&s.log, record.lsn) != ACRE_OK) _exit(5);
            if (write(acknowledge, &record.lsn, sizeof record.lsn) != sizeof record.lsn) _exit(6);
        }
        (void)acre_buffer_pool_clean(s.pool, 0);
        acre_buffer_pool_figures figures;
        if (acre_buffer_pool_read_figures(s.pool, &figures) != ACRE_OK || figures.error_count > 0) _exit(7);
        if (figures.checkpoint_lsn > redo_lsn) {
            redo_lsn = figures.checkpoint_lsn;
            write_redo(redo_lsn);
        }
    }
}

/* Replays the log and compares all pages with what it says from its beginning on. */
static void recover_and_compare(uint64_t acknowledged_lsn)
{
    scene s;
    assert_true(open_scene(&s));
    assert_true(s.log.last_lsn >= acknowledged_lsn);
    assert_int_equal(acre_buffer_pool_repair(s.pool, NULL), ACRE_OK);
    unsigned char *const model = calloc(PAGE_COUNT, PAGE_BYTES);
    const uint64_t redo_lsn = read_redo();
    for (uint64_t lsn = 1; lsn <= s.log.durable_lsn; lsn++) {
        file_record record;
        assert_int_equal(pread(s.log.file, &record, sizeof record, (off_t)((lsn - 1) * sizeof record)), sizeof record);
        assert_int_equal(record.lsn, lsn);
        unsigned char *const page = model + (uint32_t)record.id * (size_t)PAGE_BYTES;
        set_cell(page, (uint32_t)record.cell, record.value);
        set_page_lsn(page, PAGE_BYTES, lsn);
        if (lsn <= redo_lsn) continue;
        acre_page_ref ref;
        assert_int_equal(acre_buffer_pool_fix(s.pool, record.id, ACRE_FIX_EXCLUSIVE, &ref), ACRE_OK);
        const bool is_needed = page_lsn(ref.page, 0) < lsn;
        if (is_needed) {
            set_cell(ref.page, (uint32_t)record.cell, record.value);
            set_page_lsn(ref.page, PAGE_BYTES, lsn);
        }
        assert_int_equal(acre_buffer_pool_unfix(&ref, is_needed ? lsn : 0), ACRE_OK);
    }
    for (uint32_t page = 0; page < PAGE_COUNT; page++) {
        acre_page_ref ref;
        assert_int_equal(acre_buffer_pool_fix(s.pool, acre_page(s.file, page), ACRE_FIX_SHARED, &ref), ACRE_OK);
        assert_memory_equal(ref.page + 4, model + page * (size_t)PAGE_BYTES + 4, PAGE_BYTES - 4);
        assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
    }
    uint64_t lsn = 0;
    assert_int_equal(acre_buffer_pool_checkpoint(s.pool, &lsn), ACRE_OK);
    write_redo(lsn);
    free(model);
    close_scene(&s);
}

static void pause_ms(long milliseconds)
{
    const struct timespec time = {.tv_nsec = milliseconds * 1000000};
    (void)nanosleep(&time, NULL);
}

static void remove_files(void)
{
    (void)unlink(data_path);
    (void)unlink(area_path);
    (void)unlink(log_path);
    (void)unlink(redo_path);
}

static void a_killed_process_loses_nothing_it_had_acknowledged(void **state)
{
    remove_files();
    uint64_t random = 4711;
    uint64_t acknowledged_lsn = 0;
    for (int i = 0; i < KILL_COUNT; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            work((uint64_t)i + 1, ends[1]);
        }
        close(ends[1]);
        pause_ms(10 + (long)(next_random(&random) % 60));
        if (i % 4 == 3) { /* stopped in the middle of whatever it does, for a while, and on again */
            for (int k = 0; k < 3; k++) {
                assert_int_equal(kill(child, SIGSTOP), 0);
                pause_ms(20);
                assert_int_equal(kill(child, SIGCONT), 0);
                pause_ms(5);
            }
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* and had not ended by itself, on an error */
        uint64_t lsn = 0;
        while (read(ends[0], &lsn, sizeof lsn) == sizeof lsn) acknowledged_lsn = lsn;
        close(ends[0]);
        recover_and_compare(acknowledged_lsn);
    }
    print_message("%d times killed, %llu changes acknowledged\n", (int)KILL_COUNT, (unsigned long long)acknowledged_lsn);
    assert_true(acknowledged_lsn > 1000);
    remove_files();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_killed_process_loses_nothing_it_had_acknowledged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
