/* test_buffer_pool.c - the buffer pool over every kind of device: against the simplest model, from several threads, with faults, bad input
 * and too little memory. */
#include "database/devices.h"
#include "database/pages.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

typedef struct fixture {
    test_device device;
    acre_buffer_pool_options options;
    acre_buffer_pool *pool;
    uint32_t file;
} fixture;

static bool open_fixture(fixture *f, test_device_kind kind, acre_buffer_pool_options options, uint32_t page_count)
{
    memset(f, 0, sizeof *f);
    f->options = options;
    if (f->options.page_bytes == 0) f->options.page_bytes = PAGE_BYTES;
    if (!test_device_open(&f->device, kind, (uint64_t)page_count * f->options.page_bytes)) return false;
    assert_int_equal(acre_buffer_pool_open(&f->options, &f->pool), ACRE_OK);
    assert_int_equal(acre_buffer_pool_add_file(f->pool, f->device.device, page_count, &f->file), ACRE_OK);
    return true;
}

static void close_fixture(fixture *f)
{
    assert_true(acre_buffer_pool_is_valid(f->pool));
    assert_int_equal(acre_buffer_pool_close(f->pool), ACRE_OK);
    test_device_close(&f->device);
}

static acre_buffer_pool_figures figures_of(const fixture *f)
{
    acre_buffer_pool_figures figures;
    assert_int_equal(acre_buffer_pool_read_figures(f->pool, &figures), ACRE_OK);
    return figures;
}

static acre_page_ref fixed(const fixture *f, uint32_t page, unsigned mode)
{
    acre_page_ref ref;
    assert_int_equal(acre_buffer_pool_fix(f->pool, acre_page(f->file, page), mode, &ref), ACRE_OK);
    assert_int_equal((uintptr_t)ref.page % f->options.page_bytes, 0);
    return ref;
}

static void write_page(const fixture *f, uint32_t page, int byte)
{
    acre_page_ref ref = fixed(f, page, ACRE_FIX_EXCLUSIVE);
    memset(ref.page, byte, f->options.page_bytes);
    assert_int_equal(acre_buffer_pool_unfix(&ref, 1), ACRE_OK);
    assert_null(ref.page);
}

/* The last byte of a page, which no checksum is in. */
static int byte_of(const fixture *f, uint32_t page)
{
    acre_page_ref ref = fixed(f, page, ACRE_FIX_SHARED);
    const int byte = ref.page[f->options.page_bytes - 1];
    assert_int_equal(ref.page[8], byte);
    assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
    return byte;
}

static void a_page_is_found_as_it_was_left(void **state)
{
    static const uint32_t sizes[] = {4096, 16384, 65536};
    for (test_device_kind kind = 0; kind < DEVICE_KIND_COUNT; kind++) {
        for (size_t size = 0; size < 3; size++) {
            fixture f;
            if (!open_fixture(&f, kind, (acre_buffer_pool_options){.page_bytes = sizes[size], .frame_count = 16, .has_checksum = true},
                              100))
                continue;
            for (uint32_t page = 0; page < 100; page++) write_page(&f, page, (int)page + 1);
            for (uint32_t page = 0; page < 100; page++) assert_int_equal(byte_of(&f, page), (int)page + 1);
            assert_int_equal(acre_buffer_pool_checkpoint(f.pool, NULL), ACRE_OK);
            assert_int_equal(figures_of(&f).dirty_count, 0);
            assert_int_equal(acre_buffer_pool_remove_file(f.pool, f.file), ACRE_OK);
            assert_int_equal(figures_of(&f).free_count, 16);
            uint32_t file = 9;
            assert_int_equal(acre_buffer_pool_add_file(f.pool, f.device.device, 101, &file), ACRE_OK);
            assert_int_equal(file, f.file);
            for (uint32_t page = 0; page < 100; page++) assert_int_equal(byte_of(&f, page), (int)page + 1);
            assert_int_equal(byte_of(&f, 100), 0); /* never written */
            close_fixture(&f);
        }
    }
}

static void latches_keep_others_out(void **state)
{
    fixture f;
    assert_true(open_fixture(&f, DEVICE_SIMULATED, (acre_buffer_pool_options){.frame_count = 16}, 100));
    acre_page_ref other;
    acre_page_ref a = fixed(&f, 1, ACRE_FIX_SHARED);
    acre_page_ref b = fixed(&f, 1, ACRE_FIX_SHARED);
    assert_int_equal(acre_buffer_pool_fix(f.pool, acre_page(f.file, 1), ACRE_FIX_EXCLUSIVE | ACRE_FIX_TRY, &other), ACRE_BUSY);
    assert_null(other.page);
    assert_int_equal(acre_buffer_pool_upgrade(&a), ACRE_BUSY);
    assert_int_equal(acre_buffer_pool_unfix(&b, 5), ACRE_INVALID); /* shared, and changed? */
    assert_int_equal(acre_buffer_pool_unfix(&b, 0), ACRE_OK);
    assert_int_equal(acre_buffer_pool_unfix(&b, 0), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_upgrade(&a), ACRE_OK);
    assert_int_equal(acre_buffer_pool_fix(f.pool, acre_page(f.file, 1), ACRE_FIX_SHARED | ACRE_FIX_TRY, &other), ACRE_BUSY);
    assert_int_equal(acre_buffer_pool_fix(f.pool, acre_page(f.file, 1), ACRE_FIX_OPTIMISTIC | ACRE_FIX_TRY, &other), ACRE_BUSY);
    assert_int_equal(acre_buffer_pool_close(f.pool), ACRE_BUSY);
    assert_int_equal(acre_buffer_pool_remove_file(f.pool, f.file), ACRE_BUSY);
    assert_true(acre_buffer_pool_validate(&a));
    assert_int_equal(acre_buffer_pool_unfix(&a, 1), ACRE_OK);
    /* 251 share a page, and not one more. */
    acre_page_ref many[252];
    for (int i = 0; i < 251; i++) many[i] = fixed(&f, 2, ACRE_FIX_SHARED);
    assert_int_equal(acre_buffer_pool_fix(f.pool, acre_page(f.file, 2), ACRE_FIX_SHARED, &many[251]), ACRE_BUSY);
    for (int i = 0; i < 251; i++) assert_int_equal(acre_buffer_pool_unfix(&many[i], 0), ACRE_OK);
    close_fixture(&f);
}

static void an_optimistic_reader_hears_of_changes(void **state)
{
    fixture f;
    assert_true(open_fixture(&f, DEVICE_SIMULATED, (acre_buffer_pool_options){.frame_count = 16, .policy = ACRE_POLICY_FIFO}, 1000));
    write_page(&f, 3, 3);
    acre_page_ref reader = fixed(&f, 3, ACRE_FIX_OPTIMISTIC);
    acre_page_ref sharer = fixed(&f, 3, ACRE_FIX_SHARED);
    assert_true(acre_buffer_pool_validate(&reader)); /* readers do not disturb */
    assert_int_equal(acre_buffer_pool_upgrade(&reader), ACRE_BUSY);
    assert_int_equal(acre_buffer_pool_unfix(&sharer, 0), ACRE_OK);
    acre_page_ref writer = fixed(&f, 3, ACRE_FIX_EXCLUSIVE);
    assert_false(acre_buffer_pool_validate(&reader));
    assert_int_equal(acre_buffer_pool_unfix(&writer, 0), ACRE_OK);
    assert_false(acre_buffer_pool_validate(&reader));
    assert_int_equal(acre_buffer_pool_upgrade(&reader), ACRE_BUSY);
    assert_int_equal(acre_buffer_pool_unfix(&reader, 0), ACRE_OK);

    assert_int_equal(acre_buffer_pool_checkpoint(f.pool, NULL), ACRE_OK);
    reader = fixed(&f, 3, ACRE_FIX_OPTIMISTIC);
    for (uint32_t page = 100; page < 400; page++) (void)byte_of(&f, page); /* it is evicted */
    assert_false(acre_buffer_pool_validate(&reader));
    reader = fixed(&f, 3, ACRE_FIX_OPTIMISTIC);
    assert_int_equal(reader.page[100], 3);
    assert_int_equal(acre_buffer_pool_upgrade(&reader), ACRE_OK);
    assert_int_equal(acre_buffer_pool_unfix(&reader, 7), ACRE_OK);
    close_fixture(&f);
}

static void when_all_pages_are_fixed_a_miss_is_busy(void **state)
{
    for (acre_policy_kind kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        fixture f;
        assert_true(open_fixture(&f, DEVICE_SIMULATED, (acre_buffer_pool_options){.frame_count = 64, .policy = kind}, 1000));
        acre_page_ref refs[64];
        for (uint32_t i = 0; i < 64; i++) refs[i] = fixed(&f, i, i % 2 ? ACRE_FIX_SHARED : ACRE_FIX_EXCLUSIVE);
        acre_page_ref other;
        for (uint32_t i = 100; i < 200; i++)
            assert_int_equal(acre_buffer_pool_fix(f.pool, acre_page(f.file, i), ACRE_FIX_SHARED, &other), ACRE_BUSY);
        assert_int_equal(acre_buffer_pool_prefetch(f.pool, &(acre_page_id){acre_page(f.file, 200)}, 1), 0);
        assert_int_equal(figures_of(&f).busy_count, 100);
        for (uint32_t i = 0; i < 64; i++) assert_int_equal(acre_buffer_pool_unfix(&refs[i], 0), ACRE_OK);
        assert_int_equal(byte_of(&f, 100), 0);
        close_fixture(&f);
    }
}

static void the_log_is_asked_once_for_many_pages_and_before_them(void **state)
{
    fixture f;
    test_log log;
    test_log_open(&log, NULL);
    const acre_buffer_pool_options options = {.frame_count = 256, .log = &test_log_ops, .log_context = &log, .has_checksum = true};
    assert_true(open_fixture(&f, DEVICE_SIMULATED, options, 1000));
    uint64_t lsn = 0;
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(change_page(f.pool, &log, acre_page(f.file, i * 5), PAGE_BYTES, i, i, &lsn), ACRE_OK);
    log.fails = true;
    assert_int_equal(acre_buffer_pool_checkpoint(f.pool, &lsn), ACRE_IO);
    assert_int_equal(figures_of(&f).dirty_count, 200);
    assert_int_equal(figures_of(&f).write_count, 0);
    log.fails = false;
    log.flush_count = 0;
    assert_int_equal(acre_buffer_pool_checkpoint(f.pool, &lsn), ACRE_OK);
    assert_int_equal(lsn, 200);
    assert_int_equal(log.flush_count, 1);
    assert_int_equal(log.durable_lsn, 200);
    assert_int_equal(figures_of(&f).dirty_count, 0);
    assert_int_equal(figures_of(&f).checkpoint_lsn, 200);
    close_fixture(&f);
    test_log_close(&log);
}

static void a_page_that_is_not_what_was_written_is_reported(void **state)
{
    fixture f;
    assert_true(open_fixture(&f, DEVICE_SIMULATED,
                             (acre_buffer_pool_options){.frame_count = 16, .has_checksum = true, .checksum_offset = 4092}, 200));
    for (uint32_t page = 0; page < 100; page++) {
        acre_page_ref ref = fixed(&f, page, ACRE_FIX_NEW);
        memset(ref.page, (int)page + 1, PAGE_BYTES);
        assert_int_equal(acre_buffer_pool_unfix(&ref, 1), ACRE_OK);
    }
    assert_int_equal(acre_buffer_pool_checkpoint(f.pool, NULL), ACRE_OK);
    assert_int_equal(acre_buffer_pool_remove_file(f.pool, f.file), ACRE_OK);
    assert_int_equal(acre_buffer_pool_add_file(f.pool, f.device.device, 200, &f.file), ACRE_OK);
    unsigned char *const media = f.device.simulated.seen;
    uint64_t random = 3;
    for (uint32_t page = 0; page < 50; page++)
        media[page * PAGE_BYTES + next_random(&random) % PAGE_BYTES] ^= (unsigned char)(1 << page % 8);
    memcpy(media + 60 * PAGE_BYTES, media + 61 * PAGE_BYTES, PAGE_BYTES); /* written to the wrong place */
    acre_page_ref ref;
    for (uint32_t page = 0; page < 100; page++) {
        const bool is_wrong = page < 50 || page == 60;
        const acre_page_id id = acre_page(f.file, page);
        if (page % 2) (void)acre_buffer_pool_prefetch(f.pool, &id, 1); /* who read ahead does not hear of it, who fixes does */
        assert_int_equal(acre_buffer_pool_fix(f.pool, id, ACRE_FIX_SHARED, &ref), is_wrong ? ACRE_CORRUPT : ACRE_OK);
        if (is_wrong)
            assert_non_null(strstr(acre_last_error(), "not what was written"));
        else
            assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
    }
    assert_int_equal(figures_of(&f).corrupt_count, 51);
    ref = fixed(&f, 7, ACRE_FIX_NEW); /* it can be written anew */
    assert_int_equal(ref.page[5], 0);
    assert_int_equal(acre_buffer_pool_unfix(&ref, 1), ACRE_OK);
    close_fixture(&f);
}

static void pages_are_read_ahead_in_few_requests(void **state)
{
    for (test_device_kind kind = 0; kind < DEVICE_KIND_COUNT; kind++) {
        fixture f;
        if (!open_fixture(&f, kind, (acre_buffer_pool_options){.frame_count = 512, .has_checksum = true}, 1000)) continue;
        for (uint32_t page = 0; page < 1000; page++) write_page(&f, page, (int)(page % 251) + 1);
        assert_int_equal(acre_buffer_pool_checkpoint(f.pool, NULL), ACRE_OK);
        assert_int_equal(acre_buffer_pool_remove_file(f.pool, f.file), ACRE_OK);
        assert_int_equal(acre_buffer_pool_add_file(f.pool, f.device.device, 1000, &f.file), ACRE_OK);
        const acre_buffer_pool_figures before = figures_of(&f);
        acre_page_id ids[300];
        for (uint32_t i = 0; i < 300; i++) ids[i] = acre_page(f.file, i < 256 ? 500 + i : (i - 256) * 7);
        size_t done = acre_buffer_pool_prefetch(f.pool, ids, 300);
        while (done < 300) {
            (void)acre_buffer_pool_poll(f.pool);
            done += acre_buffer_pool_prefetch(f.pool, ids + done, 300 - done);
        }
        for (uint32_t i = 0; i < 300; i++) assert_int_equal(byte_of(&f, (uint32_t)ids[i]), (int)((uint32_t)ids[i] % 251) + 1);
        const acre_buffer_pool_figures after = figures_of(&f);
        assert_int_equal(after.prefetch_count - before.prefetch_count, 300);
        assert_int_equal(after.miss_count, before.miss_count);
        assert_in_range(after.read_request_count - before.read_request_count, 1, 4 + 44);
        close_fixture(&f);
    }
}

static void the_cleaner_keeps_frames_free(void **state)
{
    fixture f;
    const acre_buffer_pool_options options = {.frame_count = 256, .free_low = 20, .free_high = 40};
    assert_true(open_fixture(&f, DEVICE_SIMULATED, options, 2000));
    for (uint32_t page = 0; page < 256; page++) write_page(&f, page, 1);
    assert_int_equal(figures_of(&f).free_count, 0);
    while (acre_buffer_pool_clean(f.pool, 0) != ACRE_JOB_IDLE) {}
    assert_in_range(figures_of(&f).free_count, 40, 256);
    assert_in_range(figures_of(&f).dirty_count, 1, 216);
    for (uint32_t page = 300; page < 2000; page++) {
        write_page(&f, page, 1);
        if (page % 10 == 0)
            while (acre_buffer_pool_clean(f.pool, 0) != ACRE_JOB_IDLE) {}
        assert_true(figures_of(&f).free_count > 0);
    }
    assert_int_equal(figures_of(&f).foreground_write_count, 0);
    close_fixture(&f);
}

static void a_pool_that_was_made_smaller_is_not_emptied(void **state)
{
    fixture f;
    assert_true(
        open_fixture(&f, DEVICE_SIMULATED, (acre_buffer_pool_options){.frame_count = 4096, .free_low = 100, .free_high = 200}, 500));
    for (uint32_t page = 0; page < 500; page++) write_page(&f, page, 1);
    assert_int_equal(acre_buffer_pool_resize(f.pool, 64), ACRE_OK);
    for (uint32_t page = 0; page < 64; page++) (void)byte_of(&f, page);
    while (acre_buffer_pool_clean(f.pool, 0) != ACRE_JOB_IDLE) {}
    assert_in_range(figures_of(&f).free_count, 31, 63);
    for (uint32_t page = 0; page < 500; page++) assert_int_equal(byte_of(&f, page), 1);
    close_fixture(&f);
}

static void checkpoints_follow_the_log(void **state)
{
    fixture f;
    test_log log;
    test_log_open(&log, NULL);
    const acre_buffer_pool_options options = {.frame_count = 1024, .log = &test_log_ops, .log_context = &log, .log_distance_max = 1000};
    assert_true(open_fixture(&f, DEVICE_SIMULATED, options, 900));
    uint64_t lsn = 0;
    uint64_t written_max = 0;
    uint64_t written = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        assert_int_equal(change_page(f.pool, &log, acre_page(f.file, i * 7 % 900), PAGE_BYTES, i % 400, i, &lsn), ACRE_OK);
        if (i % 10 != 0) continue;
        (void)acre_buffer_pool_clean(f.pool, 0);
        const acre_buffer_pool_figures figures = figures_of(&f);
        assert_in_range(lsn - figures.checkpoint_lsn, 0, 1100);
        if (figures.write_count - written > written_max) written_max = figures.write_count - written;
        written = figures.write_count;
    }
    assert_in_range(figures_of(&f).checkpoint_count, 20, 45);
    assert_in_range(written_max, 1, 200); /* no bursts: 900 pages in one go would be one */
    close_fixture(&f);
    test_log_close(&log);
}

static void a_scheduler_can_run_the_cleaner(void **state)
{
    fixture f;
    assert_true(open_fixture(&f, DEVICE_SIMULATED, (acre_buffer_pool_options){.frame_count = 64, .free_low = 4, .free_high = 16}, 500));
    acre_scheduler scheduler;
    assert_int_equal(acre_scheduler_init(&scheduler), ACRE_OK);
    acre_job job = {.name = "cleaner", .step = acre_buffer_pool_clean, .context = f.pool, .period_ns = 1000000};
    assert_int_equal(acre_scheduler_add(&scheduler, &job), ACRE_OK);
    for (uint32_t page = 0; page < 64; page++) write_page(&f, page, 2);
    acre_scheduler_ask(&scheduler, &job);
    while (acre_scheduler_step(&scheduler, 1000000) == 0) {}
    assert_in_range(figures_of(&f).free_count, 16, 64);
    assert_int_equal(acre_scheduler_remove(&scheduler, &job), ACRE_OK);
    close_fixture(&f);
}

/* ---- model ---- */

enum { MODEL_PAGES = 200, MODEL_STEPS = 30000, HELD_MAX = 10 };

typedef struct model {
    unsigned char bytes[MODEL_PAGES];
    acre_page_ref held[HELD_MAX];
    uint32_t held_pages[HELD_MAX];
    int latches[MODEL_PAGES]; /* how many share it, -1: exclusive */
    size_t held_count;
} model;

static void model_fix(fixture *f, model *m, uint64_t number)
{
    const uint32_t page = (uint32_t)(number % MODEL_PAGES);
    const bool is_exclusive = number >> 40 & 1;
    acre_page_ref ref;
    const bool is_free = is_exclusive ? m->latches[page] == 0 : m->latches[page] >= 0;
    const unsigned mode = is_exclusive ? ACRE_FIX_EXCLUSIVE : ACRE_FIX_SHARED;
    acre_status status = acre_buffer_pool_fix(f->pool, acre_page(f->file, page), mode | ACRE_FIX_TRY, &ref);
    if (status == ACRE_BUSY && is_free) status = acre_buffer_pool_fix(f->pool, acre_page(f->file, page), mode, &ref); /* on its way in */
    assert_int_equal(status, is_free ? ACRE_OK : ACRE_BUSY);
    if (status != ACRE_OK) return;
    assert_int_equal(ref.page[8], m->bytes[page]);
    assert_int_equal(ref.page[f->options.page_bytes - 1], m->bytes[page]);
    m->latches[page] += is_exclusive ? -1 : 1;
    m->held[m->held_count] = ref;
    m->held_pages[m->held_count++] = page;
}

static void model_unfix(fixture *f, model *m, uint64_t number)
{
    const size_t at = (size_t)(number % m->held_count);
    const uint32_t page = m->held_pages[at];
    if (m->latches[page] == -1) {
        const bool is_changed = number >> 41 & 1;
        if (is_changed) {
            m->bytes[page] = (unsigned char)(number >> 16);
            memset(m->held[at].page, m->bytes[page], f->options.page_bytes);
        }
        assert_int_equal(acre_buffer_pool_unfix(&m->held[at], is_changed), ACRE_OK);
        m->latches[page] = 0;
    } else {
        assert_int_equal(acre_buffer_pool_unfix(&m->held[at], 0), ACRE_OK);
        m->latches[page]--;
    }
    m->held[at] = m->held[--m->held_count];
    m->held_pages[at] = m->held_pages[m->held_count];
}

static void model_read(fixture *f, model *m, uint64_t number)
{
    const uint32_t page = (uint32_t)(number % MODEL_PAGES);
    acre_page_ref ref;
    const unsigned mode = ACRE_FIX_OPTIMISTIC | (m->latches[page] == -1 ? ACRE_FIX_TRY : 0);
    const acre_status status = acre_buffer_pool_fix(f->pool, acre_page(f->file, page), mode, &ref);
    assert_int_equal(status, m->latches[page] == -1 ? ACRE_BUSY : ACRE_OK);
    if (status != ACRE_OK) return;
    assert_int_equal(ref.page[100], m->bytes[page]);
    assert_true(acre_buffer_pool_validate(&ref));
    assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
}

static void model_write_back(fixture *f, model *m, uint64_t number)
{
    const uint32_t page = (uint32_t)(number % MODEL_PAGES);
    if (number >> 50 & 1) {
        (void)acre_buffer_pool_clean(f->pool, 0);
    } else if (number >> 51 & 1) {
        if (m->latches[page] != -1) assert_int_equal(acre_buffer_pool_flush(f->pool, acre_page(f->file, page)), ACRE_OK);
    } else {
        while (m->held_count > 0) model_unfix(f, m, number >> 3);
        assert_int_equal(acre_buffer_pool_checkpoint(f->pool, NULL), ACRE_OK);
        if (f->device.path[0] != 0) return;
        for (uint32_t i = 0; i < MODEL_PAGES; i++)
            assert_int_equal(f->device.simulated.durable[(size_t)(i + 1) * f->options.page_bytes - 1], m->bytes[i]);
    }
}

static void random_use_behaves_like_the_model(test_device_kind kind, acre_policy_kind policy, bool is_checked, bool is_mapped)
{
    fixture f;
    const acre_buffer_pool_options options = {.frame_count = 40,
                                              .frame_count_max = 100,
                                              .policy = policy,
                                              .has_checksum = is_checked,
                                              .checksum_offset = 12,
                                              .is_mapped = is_mapped};
    if (!open_fixture(&f, kind, options, MODEL_PAGES)) return;
    model *const m = calloc(1, sizeof *m);
    uint64_t random = 11 + (uint64_t)policy;
    const int steps = steps_of(is_mapped ? MODEL_STEPS / 3 : MODEL_STEPS);
    for (int step = 0; step < steps; step++) {
        const uint64_t number = next_random(&random);
        const unsigned what = (unsigned)(number >> 56) % 64;
        if (what < 28 && m->held_count < HELD_MAX) {
            model_fix(&f, m, number);
        } else if (what < 56 && m->held_count > 0) {
            model_unfix(&f, m, number);
        } else if (what < 60) {
            model_read(&f, m, number);
        } else if (what == 60) {
            acre_page_id ids[8];
            for (uint32_t i = 0; i < 8; i++) ids[i] = acre_page(f.file, (uint32_t)(number + i * (number >> 60)) % MODEL_PAGES);
            (void)acre_buffer_pool_prefetch(f.pool, ids, 8);
        } else if (what == 61) {
            const acre_status status = acre_buffer_pool_resize(f.pool, 32 + (uint32_t)(number % 69));
            assert_true(status == ACRE_OK || (status == ACRE_BUSY && m->held_count > 0));
            if (status == ACRE_BUSY) assert_int_equal(acre_buffer_pool_resize(f.pool, 100), ACRE_OK);
        } else if (what == 62) {
            model_write_back(&f, m, number);
        }
        if (step % 500 == 0) {
            while (m->held_count > 0) model_unfix(&f, m, number);
            while (acre_buffer_pool_poll(f.pool) > 0) {}
            assert_true(acre_buffer_pool_is_valid(f.pool));
        }
    }
    while (m->held_count > 0) model_unfix(&f, m, 0);
    close_fixture(&f);
    free(m);
}

static void random_use_behaves_like_the_model_with_every_policy(void **state)
{
    for (acre_policy_kind kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++)
        random_use_behaves_like_the_model(DEVICE_SIMULATED, kind, kind % 2, false);
}

static void random_use_behaves_like_the_model_over_files(void **state)
{
    for (test_device_kind kind = DEVICE_CALLS; kind < DEVICE_KIND_COUNT; kind++)
        random_use_behaves_like_the_model(kind, ACRE_POLICY_CLOCK, true, false);
}

static void random_use_of_mapped_pages_behaves_like_the_model(void **state)
{
    for (test_device_kind kind = 0; kind < DEVICE_KIND_COUNT; kind++)
        random_use_behaves_like_the_model(kind, kind % 2 ? ACRE_POLICY_S3_FIFO : ACRE_POLICY_ADAPTIVE, true, true);
}

/* Where each page is, always, and that no more memory is behind them than frames. */
static void mapped_pages_have_their_places_and_no_memory_but_when_they_are_there(void **state)
{
    enum { FRAMES = 64, PAGES = 2000 };
    fixture f;
    assert_true(open_fixture(&f, DEVICE_SIMULATED, (acre_buffer_pool_options){.frame_count = FRAMES, .is_mapped = true}, PAGES));
    acre_page_ref ref = fixed(&f, 0, ACRE_FIX_SHARED);
    unsigned char *const first = ref.page;
    assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
    for (uint32_t page = 0; page < PAGES; page++) write_page(&f, page, (int)(page % 251));
    uint64_t random = 2;
    for (int i = 0; i < 5000; i++) {
        const uint32_t page = (uint32_t)(next_random(&random) % PAGES);
        ref = fixed(&f, page, ACRE_FIX_SHARED);
        assert_ptr_equal(ref.page, first + (size_t)page * PAGE_BYTES);
        assert_int_equal(ref.page[700], page % 251);
        assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
    }
    unsigned char present[PAGES];
    unsigned count = 0;
    assert_int_equal(mincore(first, (size_t)PAGES * PAGE_BYTES, present), 0);
    for (int i = 0; i < PAGES; i++) count += present[i] & 1;
    assert_in_range(count, FRAMES / 2, FRAMES);
    /* Neighbours that are fixed are one piece. */
    acre_page_ref neighbours[4];
    for (uint32_t i = 0; i < 4; i++) neighbours[i] = fixed(&f, 100 + i, ACRE_FIX_SHARED);
    for (size_t at = 0; at < 4 * PAGE_BYTES; at++) assert_int_equal(neighbours[0].page[at], 100 + at / PAGE_BYTES);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(acre_buffer_pool_unfix(&neighbours[i], 0), ACRE_OK);
    assert_int_equal(acre_buffer_pool_remove_file(f.pool, f.file), ACRE_OK);
    close_fixture(&f);
}

/* ---- faults ---- */

/* What fix and unfix said is done stays done, whatever the device does; a checkpoint that says OK has everything. */
static void faults_lose_nothing_that_was_acknowledged(void **state)
{
    uint64_t fault_count = 0;
    uint64_t doubtful_count = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        fixture f;
        const acre_buffer_pool_options options = {.frame_count = 20, .has_checksum = true, .policy = ACRE_POLICY_TWO_QUEUE};
        assert_true(open_fixture(&f, DEVICE_SIMULATED, options, 60));
        simulated_world *const world = &f.device.world;
        simulated_world_init(world, seed);
        world->read_error = seed % 3 == 0 ? 50 : 0;
        world->write_error = seed % 4 == 0 ? 100 : 0;
        world->write_short = seed % 5 == 0 ? 100 : 0;
        world->write_full = seed % 6 == 0 ? 100 : 0;
        world->flush_lost = seed % 7 == 0 ? 200 : 0;
        unsigned char bytes[60] = {0};
        uint64_t random = seed;
        bool is_doubtful = false;
        for (int step = 0; step < 400; step++) {
            const uint64_t number = next_random(&random);
            const uint32_t page = (uint32_t)(number >> 8) % 60;
            acre_page_ref ref;
            if (number % 50 == 0) {
                const uint64_t before = world->fault_count;
                const acre_status status = acre_buffer_pool_checkpoint(f.pool, NULL);
                if (is_doubtful) assert_int_not_equal(status, ACRE_OK);
                if (status == ACRE_OK) {
                    assert_int_equal(world->fault_count, before);
                    for (size_t i = 0; i < 60; i++) assert_int_equal(f.device.simulated.durable[i * PAGE_BYTES + 100], bytes[i]);
                } else if (strstr(acre_last_error(), "flush") != NULL) {
                    is_doubtful = true;
                }
            } else {
                const acre_status status = acre_buffer_pool_fix(f.pool, acre_page(f.file, page), ACRE_FIX_EXCLUSIVE, &ref);
                if (is_doubtful && status == ACRE_CORRUPT) continue; /* reported: the device lost it with the flush that failed */
                if (status != ACRE_OK) {
                    assert_true(status == ACRE_IO || status == ACRE_NO_MEMORY ||
                                (status == ACRE_CORRUPT && (world->write_short || world->write_full || world->write_error)));
                    continue;
                }
                if (!is_doubtful) assert_int_equal(ref.page[100], bytes[page]);
                bytes[page] = (unsigned char)number;
                memset(ref.page, (int)bytes[page], PAGE_BYTES);
                assert_int_equal(acre_buffer_pool_unfix(&ref, 1), ACRE_OK);
            }
        }
        fault_count += world->fault_count;
        doubtful_count += is_doubtful;
        world->read_error = world->write_error = world->write_short = world->write_full = world->flush_lost = 0;
        const acre_status status = acre_buffer_pool_checkpoint(f.pool, NULL);
        assert_int_equal(status, is_doubtful ? ACRE_IO : ACRE_OK);
        if (!is_doubtful)
            for (size_t i = 0; i < 60; i++) assert_int_equal(f.device.simulated.durable[i * PAGE_BYTES + 100], bytes[i]);
        close_fixture(&f);
    }
    assert_true(fault_count > 2000 && doubtful_count > 20);
}

/* ---- threads ---- */

enum { THREAD_PAGES = 150, THREAD_STEPS = 20000, THREAD_COUNT = 4 };

/* ThreadSanitizer takes what an optimistic reader does for a mistake: it reads what may be changing, and finds out afterwards. */
#ifdef __SANITIZE_THREAD__
#define READER_MODE ACRE_FIX_SHARED
#else
#define READER_MODE ACRE_FIX_OPTIMISTIC
#endif

typedef struct shared_scene {
    fixture f;
    test_log log;
    uint64_t increments; /* by all threads */
    bool is_over;
} shared_scene;

/* Two cells of each page count its changes, and are equal when it is at rest. */
static uint64_t cell_load(const unsigned char *page, size_t at)
{
    return __atomic_load_n((const uint64_t *)(const void *)(page + at), __ATOMIC_RELAXED);
}
static void cell_store(unsigned char *page, size_t at, uint64_t value)
{
    __atomic_store_n((uint64_t *)(void *)(page + at), value, __ATOMIC_RELAXED);
}

static void *change_and_read(void *context)
{
    shared_scene *const s = context;
    uint64_t random = (uintptr_t)&random ^ 0x1234567;
    const int steps = steps_of(THREAD_STEPS);
    for (int step = 0; step < steps; step++) {
        const uint64_t number = next_random(&random);
        const acre_page_id id = acre_page(s->f.file, (uint32_t)((number >> 8) % THREAD_PAGES));
        const unsigned mode = number % 4 == 0 ? ACRE_FIX_EXCLUSIVE : number % 4 == 1 ? ACRE_FIX_SHARED : READER_MODE;
        acre_page_ref ref;
        if (number % 64 == 5) {
            const acre_page_id ids[3] = {id, acre_page(s->f.file, 1), acre_page(s->f.file, 2)};
            (void)acre_buffer_pool_prefetch(s->f.pool, ids, 3);
        }
        const acre_status status = acre_buffer_pool_fix(s->f.pool, id, mode, &ref);
        if (status == ACRE_BUSY) continue;
        assert_int_equal(status, ACRE_OK);
        const uint64_t a = cell_load(ref.page, 8);
        const uint64_t b = cell_load(ref.page, 2000);
        if (mode == ACRE_FIX_EXCLUSIVE) {
            assert_int_equal(a, b);
            const uint64_t lsn = test_log_append(&s->log, (log_record){.id = id});
            cell_store(ref.page, 8, a + 1);
            cell_store(ref.page, 2000, b + 1);
            (void)__atomic_fetch_add(&s->increments, 1, __ATOMIC_RELAXED);
            assert_int_equal(acre_buffer_pool_unfix(&ref, lsn), ACRE_OK);
        } else {
            if (acre_buffer_pool_validate(&ref)) assert_int_equal(a, b);
            assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
        }
    }
    return NULL;
}

static void *look_after(void *context)
{
    shared_scene *const s = context;
    uint64_t random = 99;
    while (!__atomic_load_n(&s->is_over, __ATOMIC_ACQUIRE)) {
        const uint64_t number = next_random(&random);
        if (number % 16 == 0)
            assert_int_equal(acre_buffer_pool_checkpoint(s->f.pool, NULL), ACRE_OK);
        else if (number % 16 == 1)
            (void)acre_buffer_pool_resize(s->f.pool, 40 + (uint32_t)(number >> 8) % 60);
        else
            (void)acre_buffer_pool_clean(s->f.pool, 100000);
    }
    return NULL;
}

static void threads_share_the_pool(test_device_kind kind, acre_policy_kind policy, bool is_mapped)
{
    shared_scene *const s = calloc(1, sizeof *s);
    test_log_open(&s->log, NULL);
    const acre_buffer_pool_options options = {.frame_count = 64,
                                              .frame_count_max = 100,
                                              .policy = policy,
                                              .has_checksum = true,
                                              .is_mapped = is_mapped,
                                              .log = &test_log_ops,
                                              .log_context = &s->log,
                                              .log_distance_max = 5000};
    if (open_fixture(&s->f, kind, options, THREAD_PAGES)) {
        pthread_t threads[THREAD_COUNT];
        pthread_t helper;
        assert_int_equal(pthread_create(&helper, NULL, look_after, s), 0);
        for (int i = 0; i < THREAD_COUNT; i++) assert_int_equal(pthread_create(&threads[i], NULL, change_and_read, s), 0);
        for (int i = 0; i < THREAD_COUNT; i++) pthread_join(threads[i], NULL);
        __atomic_store_n(&s->is_over, true, __ATOMIC_RELEASE);
        pthread_join(helper, NULL);
        uint64_t sum = 0;
        for (uint32_t page = 0; page < THREAD_PAGES; page++) {
            acre_page_ref ref = fixed(&s->f, page, ACRE_FIX_SHARED);
            sum += cell_load(ref.page, 8);
            assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
        }
        assert_int_equal(sum, s->increments);
        close_fixture(&s->f);
    }
    test_log_close(&s->log);
    free(s);
}

static void threads_share_the_pool_over_a_simulated_device(void **state)
{
    threads_share_the_pool(DEVICE_SIMULATED, ACRE_POLICY_LRU, false);
}
static void threads_share_the_pool_over_a_ring(void **state) { threads_share_the_pool(DEVICE_RING, ACRE_POLICY_S3_FIFO, false); }
static void threads_share_mapped_pages(void **state) { threads_share_the_pool(DEVICE_SIMULATED, ACRE_POLICY_S3_FIFO, true); }
static void threads_share_the_pool_over_calls(void **state) { threads_share_the_pool(DEVICE_CACHED, ACRE_POLICY_CLOCK, false); }

/* ---- files that come and go while others look for what has been read ---- */

enum { VISITS = 100 };

typedef struct visitor {
    acre_device device; /* nothing is ever read from it, and a look takes its time */
    uint32_t look_count;
    bool is_open, was_late;
} visitor;

static size_t look_slowly(acre_device *device, uint64_t wait_ns)
{
    visitor *const v = device->implementation;
    (void)wait_ns;
    (void)__atomic_fetch_add(&v->look_count, 1, __ATOMIC_SEQ_CST);
    usleep(200);
    if (!__atomic_load_n(&v->is_open, __ATOMIC_SEQ_CST)) __atomic_store_n(&v->was_late, true, __ATOMIC_SEQ_CST);
    return 0;
}

static const acre_device_ops visitor_ops = {.size_bytes = sizeof visitor_ops, .poll = look_slowly};

typedef struct watch {
    acre_buffer_pool *pool;
    bool is_over;
} watch;

static void *keep_looking(void *context)
{
    watch *const w = context;
    while (!__atomic_load_n(&w->is_over, __ATOMIC_ACQUIRE)) (void)acre_buffer_pool_poll(w->pool);
    return NULL;
}

static void nobody_looks_at_a_device_whose_file_was_removed(void **state)
{
    (void)state;
    fixture f;
    visitor v = {.device = {.ops = &visitor_ops, .name = "visitor", .alignment_bytes = 512, .descriptor = -1}};
    pthread_t threads[2];
    v.device.implementation = &v;
    assert_true(open_fixture(&f, DEVICE_SIMULATED, (acre_buffer_pool_options){.frame_count = 16}, 100));
    watch w = {.pool = f.pool};
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, keep_looking, &w), 0);
    for (int visit = 0; visit < VISITS; visit++) {
        uint32_t file = 0;
        const uint32_t before = __atomic_load_n(&v.look_count, __ATOMIC_SEQ_CST);
        __atomic_store_n(&v.is_open, true, __ATOMIC_SEQ_CST);
        assert_int_equal(acre_buffer_pool_add_file(f.pool, &v.device, 10, &file), ACRE_OK);
        while (__atomic_load_n(&v.look_count, __ATOMIC_SEQ_CST) == before) sched_yield();
        assert_int_equal(acre_buffer_pool_remove_file(f.pool, file), ACRE_OK);
        __atomic_store_n(&v.is_open, false, __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&w.is_over, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_false(v.was_late);
    close_fixture(&f);
}

/* More threads than there are stripes: the others share one. */
static void *touch_some(void *context)
{
    const fixture *const f = context;
    for (uint32_t i = 0; i < 500; i++) {
        acre_page_ref ref;
        const acre_status status = acre_buffer_pool_fix(f->pool, acre_page(f->file, i * 7 % 100), ACRE_FIX_SHARED, &ref);
        assert_int_equal(status, ACRE_OK);
        assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
        if (i % 100 == 0) sched_yield();
    }
    return NULL;
}

static void many_threads_count_every_hit(void **state)
{
    enum { MANY = 100 };
    for (acre_policy_kind kind = ACRE_POLICY_LRU; kind <= ACRE_POLICY_CLOCK; kind++) {
        fixture f;
        assert_true(open_fixture(&f, DEVICE_SIMULATED, (acre_buffer_pool_options){.frame_count = 90, .policy = kind}, 100));
        pthread_t threads[MANY];
        for (int i = 0; i < MANY; i++) assert_int_equal(pthread_create(&threads[i], NULL, touch_some, &f), 0);
        for (int i = 0; i < MANY; i++) pthread_join(threads[i], NULL);
        const acre_buffer_pool_figures figures = figures_of(&f);
        assert_int_equal(figures.hit_count + figures.miss_count, MANY * 500);
        close_fixture(&f);
    }
}

/* Words of a file cost memory only where pages come in. */
static void use_four_billion_pages(bool is_mapped)
{
    test_device d;
    acre_buffer_pool *pool;
    uint32_t file;
    if (!test_device_open(&d, DEVICE_CALLS, 0)) return;
    const acre_buffer_pool_options options = {.frame_count = 32, .has_checksum = true, .is_mapped = is_mapped};
    assert_int_equal(acre_buffer_pool_open(&options, &pool), ACRE_OK);
    const acre_status status = acre_buffer_pool_add_file(pool, d.device, UINT32_MAX, &file);
    if (status == ACRE_OK) { /* the address space may be limited */
        for (uint32_t i = 0; i < 100; i++) {
            acre_page_ref ref;
            const acre_page_id id = acre_page(file, i * 1000000);
            assert_int_equal(acre_buffer_pool_fix(pool, id, ACRE_FIX_EXCLUSIVE, &ref), ACRE_OK);
            ref.page[50] = (unsigned char)i;
            assert_int_equal(acre_buffer_pool_unfix(&ref, 1), ACRE_OK);
        }
        assert_int_equal(acre_buffer_pool_checkpoint(pool, NULL), ACRE_OK);
        for (uint32_t i = 0; i < 100; i++) {
            acre_page_ref ref;
            assert_int_equal(acre_buffer_pool_fix(pool, acre_page(file, i * 1000000), ACRE_FIX_SHARED, &ref), ACRE_OK);
            assert_int_equal(ref.page[50], i);
            assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
        }
    } else {
        assert_int_equal(status, ACRE_NO_MEMORY);
    }
    assert_int_equal(acre_buffer_pool_close(pool), ACRE_OK);
    test_device_close(&d);
}

static void a_file_may_have_four_billion_pages(void **state)
{
    use_four_billion_pages(false);
    use_four_billion_pages(true);
}

/* ---- bad input, too little memory ---- */

static void bad_arguments_are_refused(void **state)
{
    acre_buffer_pool *pool = NULL;
    const acre_buffer_pool_options good = {.frame_count = 32, .policy = ACRE_POLICY_CLOCK};
    assert_int_equal(acre_buffer_pool_open(NULL, &pool), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_open(&good, NULL), ACRE_INVALID);
    static const acre_log_ops no_flush = {.size_bytes = sizeof(acre_log_ops), .durable_lsn = test_log_durable, .last_lsn = test_log_last};
    static const acre_log_ops no_image = {
        .size_bytes = sizeof(acre_log_ops), .durable_lsn = test_log_durable, .last_lsn = test_log_last, .flush = test_log_flush};
    const acre_buffer_pool_options bad[] = {
        {.frame_count = 15},
        {.frame_count = 32, .frame_count_max = 31},
        {.frame_count = ACRE_BUFFER_POOL_FRAMES_MAX + 1},
        {.frame_count = 32, .page_bytes = 2048},
        {.frame_count = 32, .page_bytes = 5000},
        {.frame_count = 32, .page_bytes = 131072},
        {.frame_count = 32, .policy = ACRE_POLICY_KIND_COUNT},
        {.frame_count = 32, .free_low = 3, .free_high = 3},
        {.frame_count = 32, .free_low = 3, .free_high = 17},
        {.frame_count = 32, .free_high = 3},
        {.frame_count = 32, .has_checksum = true, .checksum_offset = 2},
        {.frame_count = 32, .has_checksum = true, .checksum_offset = 4096},
        {.frame_count = 32, .log = &no_flush},
        {.frame_count = 32, .log_distance_max = 100},
        {.frame_count = 32, .torn_pages = 3},
        {.frame_count = 32, .torn_pages = ACRE_TORN_IMAGES},
        {.frame_count = 32, .torn_pages = ACRE_TORN_IMAGES, .log = &no_image},
        {.frame_count = 32, .torn_pages = ACRE_TORN_DOUBLE_WRITE},
        {.frame_count = 32, .gap_pages = 17},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_int_equal(acre_buffer_pool_open(&bad[i], &pool), ACRE_INVALID);
    assert_null(pool);

    fixture f;
    assert_true(open_fixture(&f, DEVICE_SIMULATED, good, 100));
    acre_page_ref ref;
    uint32_t number = 0;
    assert_int_equal(acre_buffer_pool_fix(NULL, 0, 0, &ref), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_fix(f.pool, 0, 0, NULL), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_fix(f.pool, acre_page(f.file, 100), ACRE_FIX_SHARED, &ref), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_fix(f.pool, acre_page(f.file + 1, 0), ACRE_FIX_SHARED, &ref), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_fix(f.pool, acre_page(1000, 0), ACRE_FIX_SHARED, &ref), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_fix(f.pool, 0, 4, &ref), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_unfix(NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_upgrade(NULL), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_upgrade(&ref), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_prefetch(NULL, NULL, 1), 0);
    assert_int_equal(acre_buffer_pool_prefetch(f.pool, &(acre_page_id){acre_page(f.file, 100)}, 1), 0);
    assert_int_equal(acre_buffer_pool_poll(NULL), 0);
    assert_int_equal(acre_buffer_pool_checkpoint(NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_flush(NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_flush(f.pool, acre_page(f.file, 100)), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_clean(NULL, 0), ACRE_JOB_DONE);
    assert_int_equal(acre_buffer_pool_repair(NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_repair(f.pool, NULL), ACRE_UNSUPPORTED);
    assert_int_equal(acre_buffer_pool_resize(NULL, 20), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_resize(f.pool, 15), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_resize(f.pool, 33), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_add_file(NULL, f.device.device, 1, &number), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_add_file(f.pool, NULL, 1, &number), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_add_file(f.pool, f.device.device, 1, NULL), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_add_file(f.pool, f.device.device, 0, &number), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_add_file(f.pool, f.device.device, (uint64_t)UINT32_MAX + 1, &number), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_remove_file(NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_remove_file(f.pool, f.file + 1), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_remove_file(f.pool, 64), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_read_figures(f.pool, NULL), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_close(NULL), ACRE_INVALID);
    for (uint32_t i = 1; i < ACRE_BUFFER_POOL_FILES_MAX; i++) {
        assert_int_equal(acre_buffer_pool_add_file(f.pool, f.device.device, 10, &number), ACRE_OK);
        assert_int_equal(number, i);
    }
    assert_int_equal(acre_buffer_pool_add_file(f.pool, f.device.device, 10, &number), ACRE_NO_MEMORY);
    close_fixture(&f);
}

static void too_little_memory_is_reported_and_nothing_kept(void **state)
{
    acre_buffer_pool *pool = NULL;
    /* A space of fixed size that the frames do not fit. */
    static unsigned char bytes[200000];
    acre_space space;
    assert_int_equal(acre_space_open_static(&space, bytes, sizeof bytes), ACRE_OK);
    acre_buffer_pool_options options = {.frame_count = 64, .policy = ACRE_POLICY_CLOCK, .space = &space};
    assert_int_equal(acre_buffer_pool_open(&options, &pool), ACRE_NO_MEMORY);
    options.frame_count = 32;
    assert_int_equal(acre_buffer_pool_open(&options, &pool), ACRE_OK);
    assert_int_equal(acre_buffer_pool_close(pool), ACRE_OK);
    acre_space_close(&space);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* Every limit on the address space, in steps, from what there is to enough. */
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    options = (acre_buffer_pool_options){.frame_count = 4096, .policy = ACRE_POLICY_LRU};
    unsigned refused_count = 0;
    bool is_open = false;
    for (uint64_t limit = 4 << 20; !is_open && limit < (uint64_t)4096 << 30; limit += limit / 8) {
        const struct rlimit small = {.rlim_cur = limit, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
        const acre_status status = acre_buffer_pool_open(&options, &pool);
        assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
        is_open = status == ACRE_OK;
        if (!is_open) {
            assert_int_equal(status, ACRE_NO_MEMORY);
            refused_count++;
        }
    }
    assert_true(is_open);
    assert_int_equal(acre_buffer_pool_close(pool), ACRE_OK);
    print_message("%u limits were too small\n", refused_count);
#endif
}

/* ---- a checkpoint that begins while the image of a page is taken ---- */

typedef struct image_scene {
    test_log log;
    acre_buffer_pool *pool;
    pthread_t checkpointer;
    unsigned image_count;
    bool begins;    /* with the next image */
    uint32_t asked; /* how often the log's last LSN was asked for */
} image_scene;

static void *checkpoint_once(void *context)
{
    image_scene *const s = context;
    (void)acre_buffer_pool_checkpoint(s->pool, NULL);
    return NULL;
}

static uint64_t scene_last(void *context)
{
    image_scene *const s = context;
    (void)__atomic_fetch_add(&s->asked, 1, __ATOMIC_SEQ_CST);
    return test_log_last(&s->log);
}

static uint64_t scene_durable(void *context) { return test_log_durable(&((image_scene *)context)->log); }
static acre_status scene_flush(void *context, uint64_t lsn) { return test_log_flush(&((image_scene *)context)->log, lsn); }

/* The image is in the log, the pool has not heard of it yet: a checkpoint looks at all frames in that moment. */
static acre_status scene_append_image(void *context, acre_page_id id, const void *page, size_t bytes, uint64_t *lsn)
{
    image_scene *const s = context;
    const acre_status status = test_log_append_image(&s->log, id, page, bytes, lsn);
    s->image_count++;
    if (s->begins) {
        s->begins = false;
        const uint32_t before = __atomic_load_n(&s->asked, __ATOMIC_SEQ_CST);
        assert_int_equal(pthread_create(&s->checkpointer, NULL, checkpoint_once, s), 0);
        while (__atomic_load_n(&s->asked, __ATOMIC_SEQ_CST) == before) sched_yield();
        usleep(50000); /* for its look at 16 frames */
    }
    return status;
}

static void a_checkpoint_during_an_image_makes_the_next_change_have_one_again(void **state)
{
    static const acre_log_ops ops = {.size_bytes = sizeof(acre_log_ops),
                                     .durable_lsn = scene_durable,
                                     .flush = scene_flush,
                                     .last_lsn = scene_last,
                                     .append_image = scene_append_image};
    image_scene s = {.begins = true};
    simulated_world world;
    simulated_device device;
    uint32_t file;
    uint64_t lsn = 0;
    (void)state;
    simulated_world_init(&world, 1);
    simulated_open(&device, &world, 64 * 4096);
    test_log_open(&s.log, NULL);
    const acre_buffer_pool_options options = {
        .page_bytes = 4096, .frame_count = 16, .has_checksum = true, .log = &ops, .log_context = &s, .torn_pages = ACRE_TORN_IMAGES};
    assert_int_equal(acre_buffer_pool_open(&options, &s.pool), ACRE_OK);
    assert_int_equal(acre_buffer_pool_add_file(s.pool, &device.device, 64, &file), ACRE_OK);
    assert_int_equal(change_page(s.pool, &s.log, acre_page(file, 3), 4096, 1, 1, &lsn), ACRE_OK);
    assert_int_equal(pthread_join(s.checkpointer, NULL), 0);
    assert_int_equal(s.image_count, 1);
    /* That image is before the checkpoint, so recovery does not see it. */
    assert_int_equal(change_page(s.pool, &s.log, acre_page(file, 3), 4096, 2, 2, &lsn), ACRE_OK);
    assert_int_equal(s.image_count, 2);
    assert_int_equal(change_page(s.pool, &s.log, acre_page(file, 3), 4096, 3, 3, &lsn), ACRE_OK);
    assert_int_equal(s.image_count, 2);
    assert_int_equal(acre_buffer_pool_close(s.pool), ACRE_OK);
    simulated_close(&device);
    test_log_close(&s.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_found_as_it_was_left),
        cmocka_unit_test(latches_keep_others_out),
        cmocka_unit_test(an_optimistic_reader_hears_of_changes),
        cmocka_unit_test(when_all_pages_are_fixed_a_miss_is_busy),
        cmocka_unit_test(the_log_is_asked_once_for_many_pages_and_before_them),
        cmocka_unit_test(a_page_that_is_not_what_was_written_is_reported),
        cmocka_unit_test(pages_are_read_ahead_in_few_requests),
        cmocka_unit_test(the_cleaner_keeps_frames_free),
        cmocka_unit_test(a_pool_that_was_made_smaller_is_not_emptied),
        cmocka_unit_test(checkpoints_follow_the_log),
        cmocka_unit_test(a_scheduler_can_run_the_cleaner),
        cmocka_unit_test(random_use_behaves_like_the_model_with_every_policy),
        cmocka_unit_test(random_use_behaves_like_the_model_over_files),
        cmocka_unit_test(random_use_of_mapped_pages_behaves_like_the_model),
        cmocka_unit_test(mapped_pages_have_their_places_and_no_memory_but_when_they_are_there),
        cmocka_unit_test(faults_lose_nothing_that_was_acknowledged),
        cmocka_unit_test(threads_share_the_pool_over_a_simulated_device),
        cmocka_unit_test(threads_share_the_pool_over_a_ring),
        cmocka_unit_test(threads_share_mapped_pages),
        cmocka_unit_test(threads_share_the_pool_over_calls),
        cmocka_unit_test(nobody_looks_at_a_device_whose_file_was_removed),
        cmocka_unit_test(many_threads_count_every_hit),
        cmocka_unit_test(a_file_may_have_four_billion_pages),
        cmocka_unit_test(a_checkpoint_during_an_image_makes_the_next_change_have_one_again),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(too_little_memory_is_reported_and_nothing_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
