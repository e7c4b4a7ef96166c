/* random_use.c - see random_use.h. Every page that is touched has in the place that acre_um_where names what was last written to it; what
 * is counted is counted exactly. */
#include "random_use.h"

#include "base/status.h"
#include "fake_device.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 8, PAGES = BLOCKS * 512, RANGES_MAX = 4, PLACES = 3 };

/* ---- a space whose commit fails once ---- */

typedef struct failing_space {
    acre_space space, below;
    uint64_t *commit_count, fail_at;
} failing_space;

static acre_status query_below(acre_space *space, acre_space_info *info) { return acre_space_query(space->implementation, info); }

static acre_status reserve_below(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints, acre_addr *address)
{
    return acre_space_reserve(space->implementation, size, alignment, hints, address);
}

static acre_status release_below(acre_space *space, acre_addr address, uint64_t size)
{
    return acre_space_release(space->implementation, address, size);
}

static acre_status commit_below(acre_space *space, acre_addr address, uint64_t size)
{
    failing_space *const self = (failing_space *)space;
    if (++*self->commit_count == self->fail_at) return acre_fail(ACRE_NO_MEMORY, "the test refuses this commit");
    return acre_space_commit(space->implementation, address, size);
}

static acre_status purge_below(acre_space *space, acre_addr address, uint64_t size)
{
    return acre_space_purge(space->implementation, address, size);
}

static const acre_space_ops failing_ops = {.size_bytes = sizeof failing_ops,
                                           .query = query_below,
                                           .reserve = reserve_below,
                                           .release = release_below,
                                           .commit = commit_below,
                                           .purge = purge_below};

static void open_failing(failing_space *self, uint64_t *commit_count, uint64_t fail_at)
{
    memset(self, 0, sizeof *self);
    if (acre_space_open_pages(&self->below, NULL) != ACRE_OK) abort();
    self->space = self->below;
    self->space.ops = &failing_ops;
    self->space.implementation = &self->below;
    self->commit_count = commit_count;
    self->fail_at = fail_at;
}

/* ---- the sequence ---- */

typedef struct scene {
    const uint8_t *bytes;
    size_t left;
    acre_um *um;
    failing_space spaces[PLACES];
    fake_device devices[PLACES];
    bool is_device[PLACES], is_window[PLACES]; /* the place is in a device, not in a space */
    bool is_store;                             /* home has no addresses */
    uint64_t *call_count, fail_at;
    unsigned char *store;
    uint64_t ranges[RANGES_MAX], range_bytes[RANGES_MAX];
    uint64_t values[PAGES], next_value;
    uint64_t touches[PLACES];
} scene;

static void must(bool holds, const char *what)
{
    if (holds) return;
    (void)fprintf(stderr, "unified memory: %s: %s\n", what, acre_last_error());
    abort();
}

static unsigned next(scene *s)
{
    if (s->left == 0) return 0;
    s->left--;
    return *s->bytes++;
}

static acre_um_rules random_rules(scene *s)
{
    static const unsigned units[] = {1, 16, 512};
    acre_um_rules rules = {.prefetch = (acre_um_prefetch)(next(s) % 4),
                           .density_percent = next(s) % 101,
                           .migration = (acre_um_migration)(next(s) % 3),
                           .access_threshold = next(s) % 8,
                           .eviction = next(s) % 4 == 0 ? ACRE_UM_EVICT_RANDOM : ACRE_UM_EVICT_BY_POLICY,
                           .policy = (acre_policy_kind)(next(s) % ACRE_POLICY_KIND_COUNT),
                           .unit_pages = units[next(s) % 3],
                           .free_percent = next(s) % 4 == 0 ? next(s) % 51 : 0,
                           .ignores_thrashing = next(s) % 2,
                           .lapse_ns = next(s) % 2 ? 1 : 1000000000,
                           .adapts_lapse = next(s) % 2,
                           .remembers_waits = next(s) % 2};
    rules.evicts_by_density = rules.unit_pages == 16 && next(s) % 2;
    return rules;
}

/* ---- home without addresses ---- */

static bool store_fails(scene *s) { return ++*s->call_count == s->fail_at; }

static acre_status write_store(void *context, uint64_t at, const void *bytes, uint64_t size)
{
    scene *const s = context;
    const bool fails = store_fails(s);
    if (fails) size = size / ACRE_UM_PAGE_BYTES / 2 * ACRE_UM_PAGE_BYTES;
    if (bytes == NULL) {
        memset(s->store + at, 0, size);
    } else {
        memcpy(s->store + at, bytes, size);
    }
    return fails ? acre_fail(ACRE_NO_MEMORY, "the test refuses this write") : ACRE_OK;
}

static acre_status read_store(void *context, uint64_t at, void *bytes, uint64_t size)
{
    scene *const s = context;
    if (store_fails(s)) return acre_fail(ACRE_IO, "the test refuses this read");
    memcpy(bytes, s->store + at, size);
    return ACRE_OK;
}

static void discard_store(void *context, uint64_t at, uint64_t size) { memset(((scene *)context)->store + at, 0xEE, size); }

/* Time is not modelled then: a lapse is short. */
static void make_store(scene *s, acre_um_options *options)
{
    s->store = malloc(options->bytes_max);
    must(s->store != NULL, "memory");
    memset(s->store, 0xA5, options->bytes_max);
    options->home = NULL;
    options->home_contents = (acre_um_contents){.write = write_store, .read = read_store, .discard = discard_store, .context = s};
    options->is_modelled = false;
    options->rules.lapse_ns = 1;
}

/* A test of cmocka sets the signals anew; the library sets them once. */
static void serve_signals(void)
{
    static struct sigaction served[2];
    const int numbers[] = {SIGSEGV, SIGBUS};
    for (unsigned i = 0; i < 2; i++) {
        if (served[i].sa_sigaction == NULL) {
            (void)sigaction(numbers[i], NULL, &served[i]);
        } else {
            (void)sigaction(numbers[i], &served[i], NULL);
        }
    }
}

static void open_scene(scene *s, uint64_t *commit_count, uint64_t fail_at)
{
    for (unsigned i = 0; i < PLACES; i++) {
        open_failing(&s->spaces[i], commit_count, fail_at);
        fake_device_open(&s->devices[i], next(s) % 2, commit_count, fail_at);
    }
    /* Time is modelled, so that a lapse passes at once. */
    acre_um_options options = {.bytes_max = (uint64_t)BLOCKS * ACRE_UM_BLOCK_BYTES,
                               .rules = random_rules(s),
                               .home = &s->spaces[0].space,
                               .is_modelled = true,
                               .random_seed = next(s)};
    s->call_count = commit_count;
    s->fail_at = fail_at;
    s->is_store = next(s) % 3 == 0;
    if (s->is_store) make_store(s, &options);
    const bool has_windows = fail_at == 0 && next(s) % 3 == 0; /* who cannot have a page of a window ends by a signal */
    if (has_windows) {
        options.is_modelled = false;
        options.rules.lapse_ns = 1;
    }
    must(acre_um_open(&options, &s->um) == ACRE_OK, "open");
    for (unsigned i = 1; i < PLACES; i++) {
        acre_um_place place = {.name = "near",
                               .capacity_bytes = i == 2 && next(s) % 3 == 0 ? 0 : (uint64_t)(1 + next(s) % 3) * 4 << 20,
                               .space = &s->spaces[i].space,
                               .costs = {.fault_ns = 1000, .in_bytes_per_s = 1000000000, .out_bytes_per_s = next(s) % 2 * 1000000000u}};
        unsigned number = 0;
        s->is_device[i] = next(s) % 2 && options.rules.unit_pages == 512;
        if (s->is_device[i]) {
            place.space = &s->devices[i].space;
            if (!(place.space->info.capabilities & ACRE_CAP_MAP)) place.contents = fake_device_contents(&s->devices[i]);
        } else if (has_windows) {
            s->is_window[i] = true;
            place.space = NULL;
            place.faults = ACRE_UM_SIGNALS;
        }
        if (acre_um_add_place(s->um, &place, &number) != ACRE_OK) {
            must(s->is_device[i] && s->devices[i].frame_count == 0, "a place that fails");
            must(acre_um_add_place(s->um, &place, &number) == ACRE_OK, "add_place");
        }
        must(number == i, "the place's number");
    }
    if (s->is_window[1] || s->is_window[2]) serve_signals();
}

/* Of the page that whoever works in `place` uses. What is in a device is used there alone. */
static unsigned char *bytes_of_page(scene *s, unsigned place, uint64_t at)
{
    unsigned where = PLACES;
    acre_addr address = 0;
    at -= at % ACRE_UM_PAGE_BYTES;
    if (s->is_window[place]) return acre_um_pointer(s->um, place, at);
    must(acre_um_where(s->um, place, at, &where) == ACRE_OK && where < PLACES, "where");
    const bool has_none[PLACES] = {s->is_store, s->is_device[1], s->is_device[2]};
    must(where == place || !(has_none[where] || has_none[place]), "a page is used from where nobody reaches it");
    unsigned char *const bytes = acre_um_pointer(s->um, place, at);
    if (!has_none[where]) return bytes;
    if (where == ACRE_UM_HOME) {
        must(bytes == NULL, "a pointer to what has no address");
        return s->store + at;
    }
    must(bytes == NULL && acre_um_frame(s->um, where, at, &address) == ACRE_OK, "frame");
    must(address % ACRE_UM_BLOCK_BYTES == at % ACRE_UM_BLOCK_BYTES, "a block lies in one frame");
    return fake_device_bytes(&s->devices[where], address);
}

static void check_page(scene *s, unsigned place, uint64_t at)
{
    const unsigned char *const bytes = bytes_of_page(s, place, at);
    const uint64_t value = s->values[at / ACRE_UM_PAGE_BYTES];
    must(memcmp(bytes, &value, sizeof value) == 0 && memcmp(bytes + ACRE_UM_PAGE_BYTES - 8, &value, sizeof value) == 0, "contents");
}

static void write_page(scene *s, unsigned place, uint64_t at)
{
    unsigned char *const bytes = bytes_of_page(s, place, at);
    const uint64_t value = s->values[at / ACRE_UM_PAGE_BYTES] = ++s->next_value;
    memcpy(bytes, &value, sizeof value);
    memcpy(bytes + ACRE_UM_PAGE_BYTES - 8, &value, sizeof value);
}

static void touch_some(scene *s, unsigned range, bool is_write)
{
    const unsigned place = next(s) % PLACES;
    const uint64_t pages = (s->range_bytes[range] + ACRE_UM_PAGE_BYTES - 1) / ACRE_UM_PAGE_BYTES;
    const uint64_t first = ((uint64_t)next(s) * 256 + next(s)) * pages >> 16;
    uint64_t count = next(s) % 4 == 0 ? 1 + (uint64_t)next(s) : 1;
    if (count > pages - first) count = pages - first;
    const uint64_t at = s->ranges[range] + first * ACRE_UM_PAGE_BYTES;
    const bool by_faults = s->is_window[place] && next(s) % 4 > 0;
    if (!by_faults && acre_um_touch(s->um, place, at, count * ACRE_UM_PAGE_BYTES, is_write) != ACRE_OK) {
        acre_um_figures figures; /* what was touched before the failure is counted */
        must(acre_um_read_figures(s->um, place, &figures) == ACRE_OK, "figures");
        must(figures.touch_count - s->touches[place] < count, "touches before a failure");
        s->touches[place] = figures.touch_count;
        return;
    }
    if (!by_faults) s->touches[place] += count;
    for (uint64_t i = 0; i < count; i++) {
        check_page(s, place, at + i * ACRE_UM_PAGE_BYTES);
        if (is_write) write_page(s, place, at + i * ACRE_UM_PAGE_BYTES);
    }
}

static void allocate(scene *s, unsigned range)
{
    const uint64_t bytes = ((uint64_t)next(s) * 256 + next(s) + 1) * 96;
    if (acre_um_allocate(s->um, bytes, &s->ranges[range]) != ACRE_OK) return;
    s->range_bytes[range] = bytes;
    const uint64_t pages = (bytes + ACRE_UM_PAGE_BYTES - 1) / ACRE_UM_PAGE_BYTES;
    memset(&s->values[s->ranges[range] / ACRE_UM_PAGE_BYTES], 0, pages * sizeof *s->values);
}

static void check_figures(scene *s)
{
    uint64_t judged = 0, prefetched = 0;
    must(acre_um_is_valid(s->um), "invariants");
    for (unsigned place = 0; place < PLACES; place++) {
        acre_um_figures f;
        uint64_t used = 0;
        must(acre_um_read_figures(s->um, place, &f) == ACRE_OK, "figures");
        must(f.touch_count == s->touches[place], "touches");
        judged += f.useful_pages + f.wasted_pages;
        prefetched += f.prefetched_pages;
        for (unsigned i = 0; i < RANGES_MAX; i++) {
            for (uint64_t at = 0; at < s->range_bytes[i]; at += ACRE_UM_BLOCK_BYTES) {
                uint32_t pages = 0;
                must(acre_um_resident_pages(s->um, place, s->ranges[i] + at, &pages) == ACRE_OK, "resident pages");
                used += pages;
                acre_um_block_figures block;
                must(acre_um_read_block(s->um, place, s->ranges[i] + at, &block) == ACRE_OK, "figures of a block");
                must(block.resident_pages == pages && block.unused_pages <= pages && pages <= block.pages, "pages of a block");
            }
        }
        if (place != ACRE_UM_HOME) must(used * ACRE_UM_PAGE_BYTES == f.used_bytes && f.used_bytes <= f.used_bytes_max, "used bytes");
    }
    must(judged <= prefetched, "prefetched pages"); /* a copy for a reader may be used elsewhere first */
}

uint64_t use_um_at_random(const uint8_t *bytes, size_t count, uint64_t fail_at)
{
    static scene scenes;
    scene *const s = &scenes;
    uint64_t commit_count = 0;
    memset(s, 0, sizeof *s);
    s->bytes = bytes;
    s->left = count;
    open_scene(s, &commit_count, fail_at);
    while (s->left > 0) {
        const unsigned operation = next(s);
        const unsigned range = operation % RANGES_MAX;
        if (s->range_bytes[range] == 0) {
            allocate(s, range);
        } else if (operation < 220) {
            touch_some(s, range, operation / RANGES_MAX % 2);
        } else if (operation < 232) {
            (void)acre_um_prefetch_to(s->um, next(s) % PLACES, s->ranges[range], s->range_bytes[range]);
        } else if (operation < 248) {
            const acre_um_advice advice = (acre_um_advice)(next(s) % 4);
            (void)acre_um_advise(s->um, s->ranges[range], s->range_bytes[range], advice, next(s) % PLACES);
        } else {
            must(acre_um_free(s->um, s->ranges[range]) == ACRE_OK, "free");
            s->range_bytes[range] = 0;
        }
        if (s->left % 16 == 0) check_figures(s);
    }
    check_figures(s);
    /* All is as the model has it, read from home. */
    for (unsigned i = 0; i < RANGES_MAX; i++) {
        for (uint64_t at = 0; at < s->range_bytes[i]; at += ACRE_UM_PAGE_BYTES) {
            if (acre_um_touch(s->um, ACRE_UM_HOME, s->ranges[i] + at, 1, false) != ACRE_OK)
                must(acre_um_touch(s->um, ACRE_UM_HOME, s->ranges[i] + at, 1, false) == ACRE_OK, "the last touch");
            check_page(s, ACRE_UM_HOME, s->ranges[i] + at);
        }
    }
    acre_um_close(s->um);
    for (unsigned i = 0; i < PLACES; i++) {
        acre_space_close(&s->spaces[i].below);
        fake_device_close(&s->devices[i]);
    }
    free(s->store);
    return commit_count;
}
