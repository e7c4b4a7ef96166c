/* test_page_cache.c - pages of a small device: against an array, with every policy, with a device that fails, and bad input. */
#include "support/test.h"

#include <acre/page_cache.h>

enum { PAGE_BYTES = 32, PAGE_COUNT = 300, FRAMES_MAX = 64, WORDS = PAGE_BYTES / 4 };

typedef struct storage {
    uint32_t words[PAGE_COUNT][WORDS]; /* as they are on the device */
    uint32_t synced[PAGE_COUNT];       /* the first words, at the last sync */
    uint32_t last_written;
    unsigned fails_in, sync_count; /* the next call but so many fails; 0: none */
    bool is_ascending;             /* since it was set, pages were written in their order */
} storage;

static bool fails(storage *s) { return s->fails_in > 0 && --s->fails_in == 0; }

static acre_status read_page(void *device, uint32_t page, void *bytes)
{
    storage *const s = device;
    if (fails(s)) return ACRE_IO;
    memcpy(bytes, s->words[page], PAGE_BYTES);
    return ACRE_OK;
}

static acre_status write_page(void *device, uint32_t page, const void *bytes)
{
    storage *const s = device;
    if (fails(s)) return ACRE_CORRUPT;
    if (page < s->last_written) s->is_ascending = false;
    s->last_written = page;
    memcpy(s->words[page], bytes, PAGE_BYTES);
    return ACRE_OK;
}

static acre_status sync_device(void *device)
{
    storage *const s = device;
    s->sync_count++;
    if (fails(s)) return ACRE_IO;
    for (unsigned i = 0; i < PAGE_COUNT; i++) s->synced[i] = s->words[i][0];
    return ACRE_OK;
}

static storage device;
static uint32_t frames[FRAMES_MAX][WORDS];

static acre_page_cache_options options_of(acre_policy_kind kind, acre_policy_slot frame_count)
{
    return (acre_page_cache_options){.policy = kind,
                                     .frame_count = frame_count,
                                     .page_bytes = PAGE_BYTES,
                                     .page_count = PAGE_COUNT,
                                     .frames = frames,
                                     .read = read_page,
                                     .write = write_page,
                                     .sync = sync_device,
                                     .device = &device};
}

static acre_page_cache *open_cache(const acre_page_cache_options *options, void **memory)
{
    acre_page_cache *cache = NULL;
    const size_t bytes = acre_page_cache_bytes(options);
    *memory = malloc(bytes);
    memset(&device, 0, sizeof device);
    assert_int_equal(acre_page_cache_init(&cache, options, *memory, bytes), ACRE_OK);
    return cache;
}

static acre_page_cache_figures figures_of(const acre_page_cache *cache)
{
    acre_page_cache_figures figures;
    assert_int_equal(acre_page_cache_read_figures(cache, &figures), ACRE_OK);
    return figures;
}

/* What each page's first word should be. */
typedef struct model {
    uint32_t words[PAGE_COUNT];
    void *fixed[4];
    uint32_t pages[4];
} model;

static void change(acre_page_cache *cache, model *m, uint32_t page, uint32_t value)
{
    void *bytes;
    const acre_status status = acre_page_cache_fix(cache, page, ACRE_PAGE_READ, &bytes);
    if (status != ACRE_OK) {
        assert_null(bytes);
        assert_true(status == ACRE_IO || status == ACRE_CORRUPT);
        return;
    }
    for (unsigned i = 0; i < WORDS; i++) assert_int_equal(((uint32_t *)bytes)[i], m->words[page]);
    if (value != 0) {
        for (unsigned i = 0; i < WORDS; i++) ((uint32_t *)bytes)[i] = value;
        m->words[page] = value;
    }
    assert_int_equal(acre_page_cache_unfix(cache, bytes, value != 0), ACRE_OK);
}

/* One of four pages that stay fixed for a while. */
static void hold(acre_page_cache *cache, model *m, unsigned i, uint32_t page)
{
    if (m->fixed[i] != NULL) {
        assert_int_equal(*(uint32_t *)m->fixed[i], m->words[m->pages[i]]);
        assert_int_equal(acre_page_cache_unfix(cache, m->fixed[i], false), ACRE_OK);
        m->fixed[i] = NULL;
    } else if (acre_page_cache_fix(cache, page, ACRE_PAGE_READ, &m->fixed[i]) == ACRE_OK) {
        m->pages[i] = page;
    }
}

static void drop(acre_page_cache *cache, model *m, uint32_t page)
{
    const acre_status status = acre_page_cache_drop(cache, page);
    if (status == ACRE_OK)
        m->words[page] = device.words[page][0];
    else
        assert_int_equal(status, ACRE_BUSY);
}

static void flush(acre_page_cache *cache, const model *m)
{
    device.last_written = 0;
    device.is_ascending = true;
    if (acre_page_cache_flush(cache) != ACRE_OK) return;
    assert_true(device.is_ascending);
    assert_int_equal(figures_of(cache).changed_count, 0);
    for (unsigned i = 0; i < PAGE_COUNT; i++) assert_int_equal(device.synced[i], m->words[i]);
}

static void run_model(acre_policy_kind kind, acre_policy_slot frame_count, bool has_failures)
{
    enum { STEPS = 20000 };
    const acre_page_cache_options options = options_of(kind, frame_count);
    void *memory;
    acre_page_cache *const cache = open_cache(&options, &memory);
    model m = {.fixed = {NULL}};
    uint64_t random = kind * 100u + frame_count;
    for (unsigned step = 1; step <= STEPS; step++) {
        const uint64_t r = next_random(&random);
        const uint32_t a = (uint32_t)(r >> 8) % PAGE_COUNT, b = (uint32_t)(r >> 24) % PAGE_COUNT, page = a < b ? a : b;
        if (has_failures && r % 50 == 0) device.fails_in = 1 + (unsigned)(r >> 40) % 3;
        switch (r >> 56) {
        case 0:
            flush(cache, &m);
            break;
        case 1:
            drop(cache, &m, page);
            break;
        case 2:
            hold(cache, &m, (unsigned)(r >> 48) % 4 % (frame_count / 2), page);
            break;
        default:
            change(cache, &m, page, r >> 55 & 1 ? step : 0);
        }
        if (step % 64 == 0) assert_true(acre_page_cache_is_valid(cache));
    }
    device.fails_in = 0;
    flush(cache, &m);
    const acre_page_cache_figures figures = figures_of(cache);
    assert_true(figures.hit_count > 0 && figures.evict_count > 0);
    assert_int_equal(figures.error_count > 0, has_failures);
    free(memory);
}

static void it_is_an_array_of_pages_with_every_policy(void **state)
{
    static const acre_policy_slot sizes[] = {2, 7, 32, FRAMES_MAX};
    (void)state;
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++)
        for (unsigned i = 0; i < 4; i++) run_model((acre_policy_kind)kind, sizes[i], false);
}

static void a_device_that_fails_loses_nothing_that_was_changed(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) run_model((acre_policy_kind)kind, 16, true);
}

static void fixed_pages_stay_and_a_full_cache_is_busy(void **state)
{
    (void)state;
    const acre_page_cache_options options = options_of(ACRE_POLICY_ADAPTIVE, 4);
    void *memory, *bytes[5];
    acre_page_cache *const cache = open_cache(&options, &memory);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(acre_page_cache_fix(cache, i, ACRE_PAGE_NEW, &bytes[i]), ACRE_OK);
    assert_int_equal(acre_page_cache_fix(cache, 4, ACRE_PAGE_READ, &bytes[4]), ACRE_BUSY);
    assert_null(bytes[4]);
    assert_int_equal(acre_page_cache_drop(cache, 2), ACRE_BUSY);
    assert_int_equal(acre_page_cache_unfix(cache, bytes[2], false), ACRE_OK);
    assert_int_equal(acre_page_cache_fix(cache, 4, ACRE_PAGE_READ, &bytes[4]), ACRE_OK);
    assert_ptr_equal(bytes[4], bytes[2]);
    for (unsigned i = 1; i < ACRE_PAGE_CACHE_FIXES_MAX; i++)
        assert_int_equal(acre_page_cache_fix(cache, 0, ACRE_PAGE_READ, &bytes[0]), ACRE_OK);
    assert_int_equal(acre_page_cache_fix(cache, 0, ACRE_PAGE_READ, &bytes[2]), ACRE_BUSY);
    assert_int_equal(figures_of(cache).fixed_count, 4);
    assert_true(acre_page_cache_is_valid(cache));
    free(memory);
}

static void what_is_new_is_zeros_and_not_read(void **state)
{
    (void)state;
    const acre_page_cache_options options = options_of(ACRE_POLICY_CLOCK, 4);
    void *memory, *bytes;
    acre_page_cache *const cache = open_cache(&options, &memory);
    device.words[9][0] = 77;
    assert_int_equal(acre_page_cache_fix(cache, 9, ACRE_PAGE_NEW, &bytes), ACRE_OK);
    assert_int_equal(*(uint32_t *)bytes, 0);
    assert_int_equal(acre_page_cache_unfix(cache, bytes, true), ACRE_OK);
    assert_int_equal(acre_page_cache_flush(cache), ACRE_OK);
    assert_int_equal(device.words[9][0], 0);
    assert_int_equal(device.sync_count, 1);
    device.fails_in = 1;
    assert_int_equal(acre_page_cache_flush(cache), ACRE_IO); /* the sync */
    free(memory);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    acre_page_cache_options bad[8];
    for (unsigned i = 0; i < 8; i++) bad[i] = options_of(ACRE_POLICY_LRU, 8);
    bad[0].frame_count = 1;
    bad[1].page_bytes = 30;
    bad[2].page_bytes = 0;
    bad[3].page_count = 0;
    bad[4].frames = NULL;
    bad[5].frames = (char *)frames + 2;
    bad[6].read = NULL;
    bad[7].policy = (acre_policy_kind)ACRE_POLICY_KIND_COUNT;
    uint64_t words[1024];
    acre_page_cache *cache = NULL;
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(acre_page_cache_bytes(&bad[i]), 0);
        assert_int_equal(acre_page_cache_init(&cache, &bad[i], words, sizeof words), ACRE_INVALID);
    }
    acre_page_cache_options good = options_of(ACRE_POLICY_LRU, 8);
    const size_t bytes = acre_page_cache_bytes(&good);
    assert_in_range(bytes, 1, sizeof words);
    assert_int_equal(acre_page_cache_bytes(NULL), 0);
    assert_int_equal(acre_page_cache_init(NULL, &good, words, bytes), ACRE_INVALID);
    assert_int_equal(acre_page_cache_init(&cache, &good, NULL, bytes), ACRE_INVALID);
    assert_int_equal(acre_page_cache_init(&cache, &good, words, bytes - 1), ACRE_INVALID);
    assert_int_equal(acre_page_cache_init(&cache, &good, (char *)words + 4, bytes), ACRE_INVALID);
    assert_null(cache);

    good.write = NULL;
    good.sync = NULL;
    assert_int_equal(acre_page_cache_init(&cache, &good, words, bytes), ACRE_OK);
    void *page;
    acre_page_cache_figures figures;
    assert_int_equal(acre_page_cache_fix(NULL, 0, ACRE_PAGE_READ, &page), ACRE_INVALID);
    assert_int_equal(acre_page_cache_fix(cache, 0, ACRE_PAGE_READ, NULL), ACRE_INVALID);
    assert_int_equal(acre_page_cache_fix(cache, PAGE_COUNT, ACRE_PAGE_READ, &page), ACRE_INVALID);
    assert_int_equal(acre_page_cache_fix(cache, 0, (acre_page_mode)2, &page), ACRE_INVALID);
    assert_int_equal(acre_page_cache_fix(cache, 0, ACRE_PAGE_READ, &page), ACRE_OK);
    assert_int_equal(acre_page_cache_unfix(NULL, page, false), ACRE_INVALID);
    assert_int_equal(acre_page_cache_unfix(cache, NULL, false), ACRE_INVALID);
    assert_int_equal(acre_page_cache_unfix(cache, (char *)page + 4, false), ACRE_INVALID);
    assert_int_equal(acre_page_cache_unfix(cache, frames[5], false), ACRE_INVALID);
    assert_int_equal(acre_page_cache_unfix(cache, (void *)((uintptr_t)frames - PAGE_BYTES), false), ACRE_INVALID);
    assert_int_equal(acre_page_cache_unfix(cache, page, true), ACRE_INVALID); /* it cannot be written */
    assert_int_equal(acre_page_cache_unfix(cache, page, false), ACRE_OK);
    assert_int_equal(acre_page_cache_unfix(cache, page, false), ACRE_INVALID);
    assert_int_equal(acre_page_cache_flush(NULL), ACRE_INVALID);
    assert_int_equal(acre_page_cache_flush(cache), ACRE_OK);
    assert_int_equal(acre_page_cache_drop(NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_page_cache_drop(cache, PAGE_COUNT), ACRE_INVALID);
    assert_int_equal(acre_page_cache_drop(cache, 200), ACRE_OK); /* not in memory */
    assert_int_equal(acre_page_cache_read_figures(NULL, &figures), ACRE_INVALID);
    assert_int_equal(acre_page_cache_read_figures(cache, NULL), ACRE_INVALID);
    assert_true(acre_page_cache_is_valid(cache));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_an_array_of_pages_with_every_policy),
        cmocka_unit_test(a_device_that_fails_loses_nothing_that_was_changed),
        cmocka_unit_test(fixed_pages_stay_and_a_full_cache_is_busy),
        cmocka_unit_test(what_is_new_is_zeros_and_not_read),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
