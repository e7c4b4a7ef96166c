/* test_crash.c - the power fails at thousands of random moments of random work: afterwards nothing on the devices is ahead of the log, and
 * recovery gives exactly the state of the log's durable part.
 *
 *     test_crash                 CUT_COUNT cuts, none of which may find a fault
 *     test_crash --must-fail     of a pool with a planted bug: cuts until one finds it
 *     test_crash --must-fail-in-recovery, --must-fail-beside-a-latch     the same with the cuts that such bugs need
 */
#include "database/pages.h"

#include <stdio.h>

#if defined(__SANITIZE_THREAD__) /* slow, and one thread has nothing to find */
enum { CUT_COUNT = 200, THREAD_CUT_COUNT = 100, TWO_CUTS_COUNT = 100 };
#elif defined(__SANITIZE_ADDRESS__)
enum { CUT_COUNT = 4000, THREAD_CUT_COUNT = 400, TWO_CUTS_COUNT = 400 };
#else
enum { CUT_COUNT = 12000, THREAD_CUT_COUNT = 1000, TWO_CUTS_COUNT = 1000 };
#endif
enum { THREAD_COUNT = 3, PAGE_COUNT = 48, STEP_COUNT_MAX = 600, CUT_AFTER_MAX = 500, CELL_COUNT = 8 * CELLS_OF_SECTOR };

typedef struct scene {
    simulated_world world;
    simulated_device data, area;
    test_log log;
    acre_buffer_pool_options options;
    acre_buffer_pool *pool;
    uint32_t file;
    uint64_t random;
    uint64_t redo_lsn; /* what is up to here need not be replayed */
    uint64_t seed;
} scene;

static uint64_t total_cut_count, total_torn_count, total_lost_record_count;

static void fail_cut(const scene *s, const char *what, uint64_t a, uint64_t b)
{
    print_message("seed %llu: %s: %llu, %llu\n", (unsigned long long)s->seed, what, (unsigned long long)a, (unsigned long long)b);
}

static void open_pool(scene *s)
{
    assert_int_equal(acre_buffer_pool_open(&s->options, &s->pool), ACRE_OK);
    assert_int_equal(acre_buffer_pool_add_file(s->pool, &s->data.device, PAGE_COUNT, &s->file), ACRE_OK);
}

static void open_scene(scene *s, uint64_t seed)
{
    static const acre_policy_kind kinds[] = {ACRE_POLICY_LRU, ACRE_POLICY_CLOCK, ACRE_POLICY_S3_FIFO, ACRE_POLICY_TWO_QUEUE,
                                             ACRE_POLICY_ADAPTIVE};
    memset(s, 0, sizeof *s);
    s->seed = seed;
    simulated_world_init(&s->world, seed);
    s->random = s->world.random ^ 0x5555;
    s->world.cut_at = 1 + next_random(&s->random) % CUT_AFTER_MAX;
    const bool is_large = seed % 5 == 0;
    const bool has_images = seed % 2 == 0;
    s->options = (acre_buffer_pool_options){.page_bytes = is_large ? 8192 : 4096,
                                            .frame_count = 16 + (uint32_t)(next_random(&s->random) % 16),
                                            .frame_count_max = 40,
                                            .policy = kinds[next_random(&s->random) % 5],
                                            .has_checksum = true,
                                            .is_mapped = seed % 7 == 0,
                                            .log = &test_log_ops,
                                            .log_context = &s->log,
                                            .log_distance_max = seed % 3 == 0 ? 40 : 0,
                                            .torn_pages = has_images ? ACRE_TORN_IMAGES : ACRE_TORN_DOUBLE_WRITE,
                                            .double_write = &s->area.device};
    simulated_open(&s->data, &s->world, (uint64_t)PAGE_COUNT * s->options.page_bytes);
    simulated_open(&s->area, &s->world, 2 << 20);
    test_log_open(&s->log, &s->world);
    open_pool(s);
}

static void close_scene(scene *s)
{
    assert_int_equal(acre_buffer_pool_close(s->pool), ACRE_OK);
    simulated_close(&s->data);
    simulated_close(&s->area);
    test_log_close(&s->log);
}

static void random_step(scene *s, uint64_t number)
{
    const acre_page_id id = acre_page(s->file, (uint32_t)((number >> 8) % PAGE_COUNT));
    uint64_t lsn = 0;
    acre_page_ref ref;
    acre_page_id ahead[6];
    switch (number % 32) {
    case 0:
        (void)acre_buffer_pool_checkpoint(s->pool, NULL);
        break;
    case 1:
    case 2:
        (void)test_log_flush(&s->log, test_log_last(&s->log));
        break;
    case 3:
    case 4:
    case 5:
        (void)acre_buffer_pool_clean(s->pool, 0);
        break;
    case 6:
        for (uint32_t i = 0; i < 6; i++) ahead[i] = acre_page(s->file, (uint32_t)((number >> 8) + i * (number >> 60)) % PAGE_COUNT);
        (void)acre_buffer_pool_prefetch(s->pool, ahead, 6);
        break;
    case 7:
        (void)acre_buffer_pool_flush(s->pool, id);
        break;
    case 8:
        (void)acre_buffer_pool_resize(s->pool, 16 + (uint32_t)((number >> 20) % 25));
        break;
    case 9:
    case 10:
        if (acre_buffer_pool_fix(s->pool, id, ACRE_FIX_SHARED, &ref) == ACRE_OK) (void)acre_buffer_pool_unfix(&ref, 0);
        break;
    default:
        (void)change_page(s->pool, &s->log, id, s->options.page_bytes, (uint32_t)((number >> 20) % CELL_COUNT), number, &lsn);
    }
}

/* No sector of the device has an LSN that the log did not have durable when the power failed. */
static bool is_behind_the_log(const scene *s)
{
    for (uint64_t at = 0; at < s->data.capacity_bytes; at += SECTOR) {
        const uint64_t lsn = page_lsn(s->data.durable + at, 0);
        if (lsn <= s->log.durable_lsn) continue;
        fail_cut(s, "a page on the device is ahead of the log", lsn, s->log.durable_lsn);
        return false;
    }
    return true;
}

static bool replay(scene *s)
{
    const size_t bytes = s->options.page_bytes;
    for (uint64_t lsn = s->redo_lsn + 1; lsn <= s->log.durable_lsn; lsn++) {
        const log_record *const record = &s->log.records[lsn - 1];
        acre_page_ref ref;
        acre_status status = acre_buffer_pool_fix(s->pool, record->id, ACRE_FIX_EXCLUSIVE, &ref);
        const bool is_torn = status == ACRE_CORRUPT;
        if (is_torn && s->options.torn_pages == ACRE_TORN_IMAGES && record->image == NULL) continue; /* its image follows */
        if (is_torn && record->image != NULL) {
            total_torn_count++;
            status = acre_buffer_pool_fix(s->pool, record->id, ACRE_FIX_NEW, &ref);
        }
        if (status != ACRE_OK) {
            fail_cut(s, "a page cannot be fixed in recovery: status, page", (uint64_t)status, record->id);
            return false;
        }
        const bool is_needed = is_torn || page_lsn(ref.page, 0) < lsn;
        if (is_needed) apply_record(ref.page, bytes, record, lsn);
        /* The LSN of an image is that of its record: what it has comes before. */
        if (acre_buffer_pool_unfix(&ref, is_needed ? lsn : 0) != ACRE_OK) return false;
    }
    return true;
}

static bool is_the_logs_state(scene *s)
{
    const size_t bytes = s->options.page_bytes;
    unsigned char *const model = calloc(PAGE_COUNT, bytes);
    bool is_right = true;
    for (uint64_t lsn = 1; lsn <= s->log.durable_lsn; lsn++) {
        const log_record *const record = &s->log.records[lsn - 1];
        apply_record(model + (uint32_t)record->id * bytes, bytes, record, lsn);
    }
    for (uint32_t page = 0; page < PAGE_COUNT && is_right; page++) {
        acre_page_ref ref;
        const acre_status status = acre_buffer_pool_fix(s->pool, acre_page(s->file, page), ACRE_FIX_SHARED, &ref);
        if (status != ACRE_OK) {
            fail_cut(s, "a page cannot be fixed after recovery: status, page", (uint64_t)status, page);
            is_right = false;
            break;
        }
        is_right = memcmp(ref.page + 4, model + page * bytes + 4, bytes - 4) == 0;
        if (!is_right) fail_cut(s, "a page is not as the log has it: its LSN, the page", page_lsn(ref.page, 0), page);
        (void)acre_buffer_pool_unfix(&ref, 0);
    }
    free(model);
    return is_right;
}

static bool recover(scene *s)
{
    open_pool(s);
    if (s->options.torn_pages == ACRE_TORN_DOUBLE_WRITE) {
        uint32_t count = 0;
        if (acre_buffer_pool_repair(s->pool, &count) != ACRE_OK) return false;
        total_torn_count += count;
    }
    s->log.is_replayed = true;
    const bool is_right = replay(s) && is_the_logs_state(s);
    s->log.is_replayed = false;
    return is_right;
}

static bool has_power(scene *s)
{
    pthread_mutex_lock(&s->world.lock);
    const bool is_on = !s->world.is_off;
    pthread_mutex_unlock(&s->world.lock);
    return is_on;
}

static void *work(void *context)
{
    scene *const s = context;
    uint64_t random = __atomic_fetch_add(&s->random, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED) | 1;
    for (int step = 0; step < STEP_COUNT_MAX && has_power(s); step++) random_step(s, next_random(&random));
    return NULL;
}

static void forget_what_was_not_durable(test_log *log)
{
    while (log->last_lsn > log->durable_lsn) free(log->records[--log->last_lsn].image);
}

/* True: the cut did no harm. */
static bool survives_a_cut(uint64_t seed, unsigned thread_count)
{
    scene *const s = malloc(sizeof *s);
    open_scene(s, seed);
    acre_buffer_pool_figures figures;
    if (thread_count == 1) {
        for (int step = 0; step < STEP_COUNT_MAX && !s->world.is_off; step++) random_step(s, next_random(&s->random));
    } else {
        pthread_t threads[THREAD_COUNT];
        for (unsigned i = 0; i < thread_count; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, s), 0);
        for (unsigned i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
    }
    assert_int_equal(acre_buffer_pool_read_figures(s->pool, &figures), ACRE_OK);
    s->redo_lsn = figures.checkpoint_lsn;
    total_cut_count += s->world.is_off;
    s->world.is_off = true;
    assert_int_equal(acre_buffer_pool_close(s->pool), ACRE_OK);
    s->world.is_off = false;
    s->world.cut_at = 0;
    total_lost_record_count += s->log.last_lsn - s->log.durable_lsn;
    simulated_restart(&s->data);
    simulated_restart(&s->area);
    bool is_right = is_behind_the_log(s);
    forget_what_was_not_durable(&s->log);
    if (is_right) {
        is_right = recover(s);
        /* A second failure at once, with nothing done since: the same state again. */
        if (is_right && seed % 4 == 0) {
            assert_int_equal(acre_buffer_pool_close(s->pool), ACRE_OK);
            simulated_restart(&s->data);
            simulated_restart(&s->area);
            is_right = recover(s);
        }
    } else {
        open_pool(s);
    }
    close_scene(s);
    free(s);
    return is_right;
}

static void no_cut_loses_a_committed_page_or_is_ahead_of_the_log(void **state)
{
    for (uint64_t seed = 1; seed <= CUT_COUNT; seed++) assert_true(survives_a_cut(seed, 1));
    print_message("%llu cuts while working, %llu torn pages repaired, %llu records lost that were not durable\n",
                  (unsigned long long)total_cut_count, (unsigned long long)total_torn_count, (unsigned long long)total_lost_record_count);
    assert_true(total_cut_count > CUT_COUNT / 6 * 5);
    assert_true(total_torn_count > CUT_COUNT / 100);
}

/* The same with threads in each other's way: not the same in every run. */
static void no_cut_of_several_threads_does_harm(void **state)
{
    for (uint64_t seed = 1; seed <= THREAD_CUT_COUNT; seed++) assert_true(survives_a_cut(seed, THREAD_COUNT));
}

/* The power fails after the record of a change is durable and before its page is unfixed. Recovery changes the page and writes it,
 * and the power fails again: half of it is there. */
static bool survives_two_cuts(uint64_t seed)
{
    bool is_right = true;
    scene *const s = malloc(sizeof *s);
    acre_page_ref ref;
    acre_buffer_pool_figures figures;
    uint64_t lsn;
    open_scene(s, seed);
    s->world.cut_at = 0;
    for (uint32_t page = 0; page < PAGE_COUNT; page++)
        assert_int_equal(change_page(s->pool, &s->log, acre_page(s->file, page), s->options.page_bytes, page, seed, &lsn), ACRE_OK);
    assert_int_equal(acre_buffer_pool_checkpoint(s->pool, NULL), ACRE_OK);
    const log_record record = {.id = acre_page(s->file, (uint32_t)(seed % PAGE_COUNT)), .cell = 7, .value = seed + 1};
    assert_int_equal(acre_buffer_pool_fix(s->pool, record.id, ACRE_FIX_EXCLUSIVE, &ref), ACRE_OK);
    lsn = test_log_append(&s->log, record);
    apply_record(ref.page, s->options.page_bytes, &record, lsn);
    assert_int_equal(test_log_flush(&s->log, lsn), ACRE_OK);
    s->world.is_off = true;
    assert_int_equal(acre_buffer_pool_unfix(&ref, lsn), ACRE_OK);
    assert_int_equal(acre_buffer_pool_read_figures(s->pool, &figures), ACRE_OK);
    s->redo_lsn = figures.checkpoint_lsn;
    for (unsigned cut = 0; cut < 2 && is_right; cut++) {
        assert_int_equal(acre_buffer_pool_close(s->pool), ACRE_OK);
        s->world.is_off = false;
        s->world.cut_at = 0;
        simulated_restart(&s->data);
        simulated_restart(&s->area);
        forget_what_was_not_durable(&s->log);
        is_right = recover(s);
        s->world.cut_at = s->world.event_count + 2; /* the page is written, and not made durable */
        (void)acre_buffer_pool_flush(s->pool, record.id);
    }
    close_scene(s);
    free(s);
    return is_right;
}

static void a_record_whose_page_was_not_unfixed_survives_two_cuts(void **state)
{
    for (uint64_t seed = 2; seed <= TWO_CUTS_COUNT; seed += 2) assert_true(survives_two_cuts(seed)); /* even ones: with images */
}

static void the_planted_bug_is_found_in_recovery(void **state)
{
    uint64_t seed = 2;
    while (seed <= TWO_CUTS_COUNT && survives_two_cuts(seed)) seed += 2;
    assert_true(seed <= TWO_CUTS_COUNT);
}

/* The power fails after a checkpoint that met a page which somebody held: it must not have ended as if that were written. */
static bool survives_a_cut_beside_a_latch(void)
{
    scene *const s = malloc(sizeof *s);
    acre_page_ref ref;
    acre_buffer_pool_figures figures;
    uint64_t lsn = 0;
    open_scene(s, 1);
    s->world.cut_at = 0;
    const acre_page_id id = acre_page(s->file, 7);
    assert_int_equal(change_page(s->pool, &s->log, id, s->options.page_bytes, 3, 99, &lsn), ACRE_OK);
    assert_int_equal(test_log_flush(&s->log, lsn), ACRE_OK);
    assert_int_equal(acre_buffer_pool_fix(s->pool, id, ACRE_FIX_EXCLUSIVE, &ref), ACRE_OK);
    const acre_status status = acre_buffer_pool_checkpoint(s->pool, NULL);
    s->world.is_off = true;
    assert_int_equal(acre_buffer_pool_unfix(&ref, 0), ACRE_OK);
    assert_int_equal(acre_buffer_pool_read_figures(s->pool, &figures), ACRE_OK);
    s->redo_lsn = figures.checkpoint_lsn;
    assert_int_equal(acre_buffer_pool_close(s->pool), ACRE_OK);
    s->world.is_off = false;
    simulated_restart(&s->data);
    simulated_restart(&s->area);
    const bool is_right = recover(s) && status == ACRE_BUSY;
    close_scene(s);
    free(s);
    return is_right;
}

static void no_checkpoint_forgets_a_latched_page(void **state) { assert_true(survives_a_cut_beside_a_latch()); }

static void the_planted_bug_is_found_beside_a_latch(void **state) { assert_false(survives_a_cut_beside_a_latch()); }

static void the_planted_bug_is_found(void **state)
{
    uint64_t seed = 1;
    while (seed <= CUT_COUNT && survives_a_cut(seed, 1)) seed++;
    assert_true(seed <= CUT_COUNT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest good[] = {cmocka_unit_test(no_cut_loses_a_committed_page_or_is_ahead_of_the_log),
                                      cmocka_unit_test(a_record_whose_page_was_not_unfixed_survives_two_cuts),
                                      cmocka_unit_test(no_cut_of_several_threads_does_harm),
                                      cmocka_unit_test(no_checkpoint_forgets_a_latched_page)};
    const struct CMUnitTest bad[] = {cmocka_unit_test(the_planted_bug_is_found)};
    const struct CMUnitTest bad_beside_a_latch[] = {cmocka_unit_test(the_planted_bug_is_found_beside_a_latch)};
    const struct CMUnitTest bad_in_recovery[] = {cmocka_unit_test(the_planted_bug_is_found_in_recovery)};
    const char *const how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "--must-fail") == 0) return cmocka_run_group_tests(bad, NULL, NULL);
    if (strcmp(how, "--must-fail-in-recovery") == 0) return cmocka_run_group_tests(bad_in_recovery, NULL, NULL);
    if (strcmp(how, "--must-fail-beside-a-latch") == 0) return cmocka_run_group_tests(bad_beside_a_latch, NULL, NULL);
    return cmocka_run_group_tests(good, NULL, NULL);
}
