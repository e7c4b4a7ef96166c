/* test_um.c - unified memory: random use against an array, published counts of faults, failing copies, bad input. */
#include "fake_device.h"
#include "random_use.h"

#include "os/os.h"
#include "support/test.h"

#include <pthread.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SEQUENCE_COUNT = 20, FAILURE_COUNT = 10 };
#else
enum { SEQUENCE_COUNT = 24, FAILURE_COUNT = 8 };
#endif
enum { SEQUENCE_BYTES = 1500, PAGE = ACRE_UM_PAGE_BYTES };
#define MIB ((uint64_t)1 << 20)

static void fill(uint8_t *bytes, size_t count, uint64_t seed)
{
    uint64_t random = seed * 2654435761u + 1;
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(next_random(&random) >> 32);
}

static void contents_are_those_of_an_array(void **state)
{
    uint8_t bytes[SEQUENCE_BYTES];
    for (uint64_t seed = 1; seed <= SEQUENCE_COUNT; seed++) {
        fill(bytes, sizeof bytes, seed);
        (void)use_um_at_random(bytes, sizeof bytes, 0);
    }
}

static void no_copy_that_fails_loses_anything(void **state)
{
    uint8_t bytes[SEQUENCE_BYTES];
    for (uint64_t seed = 1; seed <= 4; seed++) {
        fill(bytes, sizeof bytes, seed);
        const uint64_t count = use_um_at_random(bytes, sizeof bytes, 0);
        const uint64_t step = count / FAILURE_COUNT + 1;
        for (uint64_t at = 1; at <= count; at += step) (void)use_um_at_random(bytes, sizeof bytes, at);
    }
}

/* ---- a modelled device ---- */

typedef struct device {
    acre_um *um;
    unsigned place;
    uint64_t at;
} device;

/* `bytes` of managed memory, written by the host, and a device for `capacity_bytes` of it (0: for all). */
static device open_device(const char *name, uint64_t bytes, uint64_t capacity_bytes)
{
    device d;
    acre_um_options options = {.bytes_max = (bytes + 2 * MIB - 1) / (2 * MIB) * 2 * MIB, .is_modelled = true};
    const acre_um_place place = {
        .name = "device",
        .capacity_bytes = capacity_bytes,
        .costs = {.fault_ns = 46389, .in_bytes_per_s = 7430000000, .out_bytes_per_s = 7430000000, .remote_ns = 1000}};
    assert_int_equal(acre_um_rules_named(name, &options.rules), ACRE_OK);
    assert_int_equal(acre_um_open(&options, &d.um), ACRE_OK);
    assert_int_equal(acre_um_add_place(d.um, &place, &d.place), ACRE_OK);
    assert_int_equal(acre_um_allocate(d.um, bytes, &d.at), ACRE_OK);
    for (uint64_t i = 0; i < bytes; i += PAGE) assert_int_equal(acre_um_touch(d.um, ACRE_UM_HOME, d.at + i, PAGE, true), ACRE_OK);
    return d;
}

static acre_um_figures pass_over(const device *d, uint64_t bytes)
{
    acre_um_figures figures;
    for (uint64_t i = 0; i < bytes; i += PAGE) assert_int_equal(acre_um_touch(d->um, d->place, d->at + i, PAGE, false), ACRE_OK);
    assert_int_equal(acre_um_read_figures(d->um, d->place, &figures), ACRE_OK);
    return figures;
}

/* GPGPU-Sim UVMSmart's log of hotspot: research, section 4d. */
static void faults_and_times_are_the_published_ones(void **state)
{
    static const struct {
        const char *rules;
        uint64_t faults;
        double ms;
    } published[] = {{"demand", 3072, 144.2}, {"64k", 192, 10.6}, {"lru", 36, 3.40}};
    for (unsigned i = 0; i < 3; i++) {
        device d = open_device(published[i].rules, 12 * MIB, 0);
        const acre_um_figures f = pass_over(&d, 12 * MIB);
        assert_int_equal(f.fault_count, published[i].faults);
        assert_int_equal(f.in_bytes, 12 * MIB);
        assert_true((double)f.clock_ns / 1e6 > published[i].ms * 0.9 && (double)f.clock_ns / 1e6 < published[i].ms * 1.1);
        acre_um_close(d.um);
    }
    device d = open_device("lru", 64 * MIB, 0);
    assert_int_equal(pass_over(&d, 64 * MIB).fault_count, 192);
    acre_um_close(d.um);
}

static void two_passes_over_six_blocks_with_room_for_five(void **state)
{
    static const char *const rules[] = {"lru", "nvidia"};
    for (unsigned i = 0; i < 2; i++) {
        device d = open_device(rules[i], 12 * MIB, 10 * MIB);
        (void)pass_over(&d, 12 * MIB);
        const acre_um_figures f = pass_over(&d, 12 * MIB);
        assert_int_equal(f.fault_count, 72);
        assert_int_equal(f.evicted_units, 7);
        assert_int_equal(f.evicted_pages, 3584);
        assert_int_equal(f.thrashed_pages, 3072);
        assert_int_equal(f.out_bytes, 0); /* it was only read */
        uint64_t evicted = 0, wasted = 0, used = 0, unused = 0;
        for (uint64_t at = 0; at < 12 * MIB; at += 2 * MIB) {
            acre_um_block_figures block;
            assert_int_equal(acre_um_read_block(d.um, d.place, d.at + at, &block), ACRE_OK);
            evicted += block.evicted_pages;
            wasted += block.wasted_pages;
            used += block.resident_pages;
            unused += block.unused_pages;
        }
        assert_int_equal(evicted, f.evicted_pages);
        assert_int_equal(wasted, f.wasted_pages);
        assert_int_equal(used * PAGE, f.used_bytes);
        assert_int_equal(unused, f.prefetched_pages - f.useful_pages - f.wasted_pages);
        acre_um_close(d.um);
    }
}

static void ten_times_too_much_ends_with_the_right_result(void **state)
{
    for (unsigned i = 0; acre_um_rules_name(i) != NULL; i++) {
        acre_space home, near;
        acre_um *um;
        unsigned place;
        uint64_t at;
        acre_um_options options = {.bytes_max = 40 * MIB, .home = &home};
        const acre_um_place small = {.name = "small", .capacity_bytes = 4 * MIB, .space = &near};
        assert_int_equal(acre_um_rules_named(acre_um_rules_name(i), &options.rules), ACRE_OK);
        assert_int_equal(acre_space_open_pages(&home, NULL), ACRE_OK);
        assert_int_equal(acre_space_open_pages(&near, NULL), ACRE_OK);
        assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
        assert_int_equal(acre_um_add_place(um, &small, &place), ACRE_OK);
        assert_int_equal(acre_um_allocate(um, 40 * MIB, &at), ACRE_OK);
        for (uint64_t pass = 0; pass < 3; pass++) {
            for (uint64_t page = 0; page < 40 * MIB / PAGE; page++) {
                assert_int_equal(acre_um_touch(um, place, at + page * PAGE, PAGE, true), ACRE_OK);
                uint64_t *const word = acre_um_pointer(um, place, at + page * PAGE);
                assert_int_equal(*word, pass == 0 ? 0 : page * 3 + pass);
                *word = page * 3 + pass + 1;
            }
        }
        assert_true(acre_um_is_valid(um));
        acre_um_close(um);
        acre_space_close(&home);
        acre_space_close(&near);
    }
}

/* ---- two that share ---- */

static uint64_t bytes_of_ping_pong(bool ignores_thrashing, acre_um_figures *figures)
{
    acre_um *um;
    unsigned places[2];
    uint64_t at;
    acre_um_options options = {.bytes_max = 2 * MIB, .is_modelled = true, .rules = {.ignores_thrashing = ignores_thrashing}};
    const acre_um_place place = {.name = "one", .costs = {.fault_ns = 1000, .remote_ns = 100}};
    assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
    for (unsigned i = 0; i < 2; i++) assert_int_equal(acre_um_add_place(um, &place, &places[i]), ACRE_OK);
    assert_int_equal(acre_um_allocate(um, PAGE, &at), ACRE_OK);
    for (unsigned i = 0; i < 1000; i++) assert_int_equal(acre_um_touch(um, places[i % 2], at, 8, true), ACRE_OK);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(acre_um_read_figures(um, places[i], &figures[i]), ACRE_OK);
        bytes += figures[i].in_bytes;
    }
    assert_true(acre_um_is_valid(um));
    acre_um_close(um);
    return bytes;
}

static void a_page_that_goes_to_and_fro_stays(void **state)
{
    acre_um_figures f[2];
    const uint64_t without = bytes_of_ping_pong(true, f);
    assert_int_equal(without, 999 * (uint64_t)PAGE);
    const uint64_t with = bytes_of_ping_pong(false, f);
    assert_true(with * 10 <= without);
    assert_int_equal(f[0].throttle_count + f[1].throttle_count, 10);
    assert_int_equal(f[0].pin_count + f[1].pin_count, 1);
    assert_true(f[0].remote_count + f[1].remote_count > 400);
}

/* Two places write a page in turn, each `work_ns` after the other: copies, and what waiting took of the time. */
typedef struct dispute {
    uint64_t copies, remotes, stall_ns, clock_ns;
} dispute;

static dispute dispute_over_a_page(const acre_um_rules *rules, uint64_t work_ns)
{
    acre_um *um;
    unsigned places[2];
    uint64_t at;
    const acre_um_options options = {.bytes_max = 2 * MIB, .is_modelled = true, .rules = *rules};
    const acre_um_place place = {
        .name = "one", .costs = {.fault_ns = 1000, .remote_ns = work_ns + 100, .access_ns = work_ns, .in_bytes_per_s = 1000000000}};
    dispute d = {0};
    assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
    for (unsigned i = 0; i < 2; i++) assert_int_equal(acre_um_add_place(um, &place, &places[i]), ACRE_OK);
    assert_int_equal(acre_um_allocate(um, PAGE, &at), ACRE_OK);
    for (unsigned i = 0; i < 100000; i++) assert_int_equal(acre_um_touch(um, places[i % 2], at, 8, true), ACRE_OK);
    for (unsigned i = 0; i < 2; i++) {
        acre_um_figures f;
        assert_int_equal(acre_um_read_figures(um, places[i], &f), ACRE_OK);
        d.copies += f.in_bytes / PAGE;
        d.remotes += f.remote_count;
        d.stall_ns += f.stall_ns;
        d.clock_ns = f.clock_ns;
    }
    acre_um_close(um);
    return d;
}

static void waits_that_are_remembered_and_a_lapse_that_adapts_end_disputes_sooner(void **state)
{
    static const uint64_t works[] = {5000, 50000, 200000, 400000, 700000, 5000000, 600000000};
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        const dispute plain = dispute_over_a_page(&(acre_um_rules){0}, works[i]);
        const dispute adapts = dispute_over_a_page(&(acre_um_rules){.adapts_lapse = true}, works[i]);
        const dispute remembers = dispute_over_a_page(&(acre_um_rules){.adapts_lapse = true, .remembers_waits = true}, works[i]);
        if (works[i] > 1000000) { /* nobody calls that thrashing */
            assert_int_equal(remembers.copies, plain.copies);
            assert_int_equal(remembers.stall_ns, plain.stall_ns);
            continue;
        }
        assert_true(adapts.copies * 20 < 100000 && remembers.copies * 2 < plain.copies && remembers.stall_ns * 3 < plain.stall_ns);
        assert_true(remembers.clock_ns < plain.clock_ns);
        print_message("taken back after %llu us: %llu copies, %llu us of waiting; without %llu, %llu\n",
                      (unsigned long long)works[i] / 1000, (unsigned long long)remembers.copies,
                      (unsigned long long)remembers.stall_ns / 1000, (unsigned long long)plain.copies,
                      (unsigned long long)plain.stall_ns / 1000);
    }
}

static void who_reads_mostly_has_a_copy(void **state)
{
    acre_um *um;
    unsigned a, b, where;
    uint64_t at;
    const acre_um_options options = {.bytes_max = 2 * MIB, .is_modelled = true};
    assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "a"}, &a), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "b"}, &b), ACRE_OK);
    assert_int_equal(acre_um_allocate(um, 2 * MIB, &at), ACRE_OK);
    assert_int_equal(acre_um_advise(um, at, 2 * MIB, ACRE_UM_READ_MOSTLY, a), ACRE_OK);
    assert_int_equal(acre_um_touch(um, a, at, PAGE, true), ACRE_OK);
    for (unsigned i = 0; i < 100; i++) assert_int_equal(acre_um_touch(um, i % 2 ? a : b, at, PAGE, false), ACRE_OK);
    acre_um_figures f;
    assert_int_equal(acre_um_read_figures(um, b, &f), ACRE_OK);
    assert_int_equal(f.fault_count, 1);
    assert_int_equal(acre_um_touch(um, b, at, PAGE, true), ACRE_OK); /* takes the other away */
    assert_int_equal(acre_um_where(um, a, at, &where), ACRE_OK);
    assert_int_equal(where, b);
    assert_true(acre_um_is_valid(um));
    acre_um_close(um);
}

static void advice_says_where_pages_are_used(void **state)
{
    device d = open_device("lru", 4 * MIB, 0);
    unsigned where;
    acre_um_figures f;
    assert_int_equal(acre_um_advise(d.um, d.at, 2 * MIB, ACRE_UM_ACCESSED_BY, d.place), ACRE_OK);
    assert_int_equal(acre_um_touch(d.um, d.place, d.at, PAGE, true), ACRE_OK);
    assert_int_equal(acre_um_where(d.um, d.place, d.at, &where), ACRE_OK);
    assert_int_equal(where, ACRE_UM_HOME);
    assert_int_equal(acre_um_advise(d.um, d.at, 2 * MIB, ACRE_UM_NORMAL, d.place), ACRE_OK);
    assert_int_equal(acre_um_touch(d.um, d.place, d.at, PAGE, true), ACRE_OK);
    assert_int_equal(acre_um_where(d.um, d.place, d.at, &where), ACRE_OK);
    assert_int_equal(where, d.place);
    assert_int_equal(acre_um_advise(d.um, d.at, 2 * MIB, ACRE_UM_PREFERRED, d.place), ACRE_OK);
    assert_int_equal(acre_um_touch(d.um, ACRE_UM_HOME, d.at, PAGE, false), ACRE_OK); /* uses it there */
    assert_int_equal(acre_um_where(d.um, ACRE_UM_HOME, d.at, &where), ACRE_OK);
    assert_int_equal(where, d.place);
    assert_int_equal(acre_um_prefetch_to(d.um, d.place, d.at + 2 * MIB, 2 * MIB), ACRE_OK);
    assert_int_equal(acre_um_read_figures(d.um, d.place, &f), ACRE_OK);
    const uint64_t before = f.fault_count;
    assert_int_equal(acre_um_touch(d.um, d.place, d.at + 2 * MIB, 2 * MIB, false), ACRE_OK);
    assert_int_equal(acre_um_read_figures(d.um, d.place, &f), ACRE_OK);
    assert_int_equal(f.fault_count, before);
    assert_int_equal(f.useful_pages, 512);
    acre_um_close(d.um);
}

/* Advice for one place is none for another. */
static void who_was_not_advised_gets_the_page(void **state)
{
    acre_um *um;
    unsigned a, b, where;
    uint64_t at;
    assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = 2 * MIB, .is_modelled = true}, &um), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "a"}, &a), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "b"}, &b), ACRE_OK);
    assert_int_equal(acre_um_allocate(um, 2 * MIB, &at), ACRE_OK);
    assert_int_equal(acre_um_advise(um, at, 2 * MIB, ACRE_UM_ACCESSED_BY, b), ACRE_OK);
    assert_int_equal(acre_um_touch(um, a, at, PAGE, true), ACRE_OK);
    assert_int_equal(acre_um_touch(um, b, at, PAGE, true), ACRE_OK); /* uses it in a */
    assert_int_equal(acre_um_where(um, b, at, &where), ACRE_OK);
    assert_int_equal(where, a);
    assert_int_equal(acre_um_touch(um, ACRE_UM_HOME, at, PAGE, true), ACRE_OK);
    assert_int_equal(acre_um_where(um, ACRE_UM_HOME, at, &where), ACRE_OK);
    assert_int_equal(where, ACRE_UM_HOME);
    acre_um_close(um);
}

/* Room is made ahead of time; and eviction by density takes along what is left of a group. */
static void what_goes_is_what_the_rules_say(void **state)
{
    for (unsigned percent = 0; percent <= 50; percent += 25) {
        acre_um *um;
        unsigned place;
        uint64_t at;
        acre_um_figures f;
        const acre_um_options options = {
            .bytes_max = 16 * MIB, .is_modelled = true, .rules = {.policy = ACRE_POLICY_LRU, .free_percent = percent}};
        assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
        assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "a", .capacity_bytes = 8 * MIB}, &place), ACRE_OK);
        assert_int_equal(acre_um_allocate(um, 16 * MIB, &at), ACRE_OK);
        for (uint64_t i = 0; i < 16 * MIB; i += PAGE) assert_int_equal(acre_um_touch(um, place, at + i, PAGE, true), ACRE_OK);
        assert_int_equal(acre_um_read_figures(um, place, &f), ACRE_OK);
        assert_true(percent == 0 ? f.used_bytes == 8 * MIB : f.used_bytes <= 8 * MIB * (100 - percent) / 100);
        acre_um_close(um);
    }
    acre_um_figures by_density, by_unit;
    for (unsigned i = 0; i < 2; i++) { /* a page of each fourth 64 KiB: a group around one that goes is never half full */
        device d = open_device(i ? "tree" : "64k", 64 * MIB, 4 * MIB);
        for (uint64_t at = 0; at < 64 * MIB; at += 4 * 16 * PAGE)
            assert_int_equal(acre_um_touch(d.um, d.place, d.at + at, 8, false), ACRE_OK);
        assert_int_equal(acre_um_read_figures(d.um, d.place, i ? &by_density : &by_unit), ACRE_OK);
        acre_um_close(d.um);
    }
    assert_int_equal(by_unit.evicted_pages, by_unit.evicted_units * 16);
    assert_true(by_density.evicted_pages > by_density.evicted_units * 64);
}

/* Where little of what comes unasked is used, less comes. */
static void waste_lowers_what_comes(void **state)
{
    acre_um_figures f[2];
    for (unsigned i = 0; i < 2; i++) {
        acre_um *um;
        unsigned place;
        uint64_t at, random = 3;
        const acre_um_options options = {
            .bytes_max = 64 * MIB,
            .is_modelled = true,
            .rules = {.policy = ACRE_POLICY_LRU, .prefetch = i ? ACRE_UM_PREFETCH_ADAPTIVE : ACRE_UM_PREFETCH_DENSITY}};
        assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
        assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "a", .capacity_bytes = 8 * MIB}, &place), ACRE_OK);
        assert_int_equal(acre_um_allocate(um, 64 * MIB, &at), ACRE_OK);
        for (unsigned k = 0; k < 20000; k++)
            assert_int_equal(acre_um_touch(um, place, at + next_random(&random) % (64 * MIB), 1, false), ACRE_OK);
        assert_int_equal(acre_um_read_figures(um, place, &f[i]), ACRE_OK);
        acre_um_close(um);
    }
    assert_true(f[1].wasted_pages * 4 < f[0].wasted_pages);
}

static void a_threshold_leaves_pages_where_they_are(void **state)
{
    acre_um *um;
    unsigned place, where;
    uint64_t at;
    const acre_um_options options = {
        .bytes_max = 2 * MIB, .is_modelled = true, .rules = {.migration = ACRE_UM_THRESHOLD, .prefetch = ACRE_UM_PREFETCH_BIG_PAGE}};
    assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "a", .capacity_bytes = 4 * MIB}, &place), ACRE_OK);
    assert_int_equal(acre_um_allocate(um, 2 * MIB, &at), ACRE_OK);
    for (unsigned i = 1; i < 256; i++) assert_int_equal(acre_um_touch(um, place, at, 8, true), ACRE_OK);
    assert_int_equal(acre_um_where(um, place, at, &where), ACRE_OK);
    assert_int_equal(where, ACRE_UM_HOME);
    assert_int_equal(acre_um_touch(um, place, at, 8, true), ACRE_OK);
    assert_int_equal(acre_um_where(um, place, at, &where), ACRE_OK);
    assert_int_equal(where, place);
    assert_true(acre_um_is_valid(um));
    acre_um_close(um);
}

/* Sparse touches at 125 % of what there is; and a stream. */
static void an_adaptive_threshold_moves_less_where_little_is_used(void **state)
{
    acre_um_figures sparse[2], stream[2];
    for (unsigned i = 0; i < 2; i++) {
        device d = open_device(i ? "delayed" : "lru", 20 * MIB, 16 * MIB);
        uint64_t random = 5;
        for (unsigned k = 0; k < 20000; k++)
            assert_int_equal(acre_um_touch(d.um, d.place, d.at + next_random(&random) % (20 * MIB / 8) * 8, 8, true), ACRE_OK);
        assert_int_equal(acre_um_read_figures(d.um, d.place, &sparse[i]), ACRE_OK);
        acre_um_close(d.um);
        d = open_device(i ? "delayed" : "lru", 20 * MIB, 16 * MIB);
        for (unsigned pass = 0; pass < 4; pass++) stream[i] = pass_over(&d, 20 * MIB);
        acre_um_close(d.um);
    }
    assert_true(sparse[1].in_bytes * 2 <= sparse[0].in_bytes);
    assert_true((double)stream[1].clock_ns <= 1.05 * (double)stream[0].clock_ns);
}

static void streams_are_foreseen(void **state)
{
    device d = open_device("acre", 64 * MIB, 0), plain = open_device("lru", 64 * MIB, 0);
    const acre_um_figures f = pass_over(&d, 64 * MIB), other = pass_over(&plain, 64 * MIB);
    assert_true(f.fault_count * 4 < other.fault_count && f.clock_ns < other.clock_ns);
    acre_um_close(d.um);
    acre_um_close(plain.um);
}

/* ---- threads, bad input ---- */

typedef struct worker {
    acre_um *um;
    unsigned place;
    uint64_t at;
} worker;

static void *work(void *context)
{
    const worker *const w = context;
    uint64_t random = w->place + 1;
    for (unsigned i = 0; i < 3000; i++) {
        const uint64_t number = next_random(&random);
        if (acre_um_touch(w->um, w->place, w->at + number % (16 * MIB), 1, number >> 63) != ACRE_OK) return context;
    }
    return NULL;
}

static void threads_may_all_call(void **state)
{
    acre_um *um;
    uint64_t at;
    worker workers[3];
    pthread_t threads[3];
    const acre_um_options options = {.bytes_max = 16 * MIB, .is_modelled = true};
    assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
    assert_int_equal(acre_um_allocate(um, 16 * MIB, &at), ACRE_OK);
    for (unsigned i = 0; i < 3; i++) {
        workers[i] = (worker){um, 0, at};
        if (i > 0)
            assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "t", .capacity_bytes = 8 * MIB}, &workers[i].place), ACRE_OK);
    }
    for (unsigned i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    for (unsigned i = 0; i < 3; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_true(acre_um_is_valid(um));
    acre_um_close(um);
}

static void a_throttled_touch_waits_a_lapse(void **state)
{
    acre_um *um;
    unsigned places[2];
    uint64_t at;
    acre_um_figures f;
    const acre_um_options options = {.bytes_max = 2 * MIB, .rules = {.lapse_ns = 200000000}};
    assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
    for (unsigned i = 0; i < 2; i++) assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "x"}, &places[i]), ACRE_OK);
    assert_int_equal(acre_um_allocate(um, PAGE, &at), ACRE_OK);
    const uint64_t begin_ns = acre_os_now_ns();
    for (unsigned i = 0; i < 5; i++) assert_int_equal(acre_um_touch(um, places[i % 2], at, 8, true), ACRE_OK);
    assert_true(acre_os_now_ns() - begin_ns >= options.rules.lapse_ns);
    assert_int_equal(acre_um_read_figures(um, places[0], &f), ACRE_OK);
    assert_int_equal(f.throttle_count, 1);
    acre_um_close(um);
}

static void bad_input_is_refused(void **state)
{
    acre_um *um;
    unsigned place, where;
    uint32_t pages;
    acre_um_block_figures block;
    uint64_t at;
    acre_um_figures f;
    acre_um_rules rules;
    acre_space space;
    const acre_um_options good = {.bytes_max = 8 * MIB};
    assert_int_equal(acre_um_open(NULL, &um), ACRE_INVALID);
    assert_int_equal(acre_um_open(&good, NULL), ACRE_INVALID);
    static const uint64_t sizes[] = {0, 1, 3 * MIB, (uint64_t)17 << 40};
    for (unsigned i = 0; i < 4; i++) assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = sizes[i]}, &um), ACRE_INVALID);
    const acre_um_rules bad_rules[] = {{.density_percent = 101},          {.unit_pages = 2},
                                       {.evicts_by_density = true},       {.free_percent = 51},
                                       {.prefetch = (acre_um_prefetch)9}, {.migration = (acre_um_migration)9},
                                       {.eviction = (acre_um_eviction)9}, {.policy = (acre_policy_kind)99}};
    for (unsigned i = 0; i < sizeof bad_rules / sizeof *bad_rules; i++)
        assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = 8 * MIB, .rules = bad_rules[i]}, &um), ACRE_INVALID);
    assert_int_equal(acre_um_rules_named("none", &rules), ACRE_INVALID);
    assert_int_equal(acre_um_rules_named(NULL, &rules), ACRE_INVALID);
    assert_int_equal(acre_um_rules_named("acre", NULL), ACRE_INVALID);
    assert_null(acre_um_rules_name(1000));

    assert_int_equal(acre_space_open_handles(&space, 1 << 20, 64 * MIB), ACRE_OK);
    assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = 8 * MIB, .home = &space}, &um), ACRE_INVALID); /* no host access */
    assert_int_equal(acre_um_open(&good, &um), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, NULL, &place), ACRE_INVALID);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = NULL}, &place), ACRE_INVALID);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "x"}, NULL), ACRE_INVALID);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "x", .capacity_bytes = MIB}, &place), ACRE_INVALID);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "x", .space = &space}, &place), ACRE_INVALID);
    for (unsigned i = 1; i < ACRE_UM_PLACE_MAX; i++)
        assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "x", .capacity_bytes = 4 * MIB}, &place), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "x"}, &where), ACRE_NO_MEMORY);
    assert_int_equal(acre_um_set_home_costs(um, NULL), ACRE_INVALID);

    assert_int_equal(acre_um_allocate(um, 0, &at), ACRE_INVALID);
    assert_int_equal(acre_um_allocate(um, 1, NULL), ACRE_INVALID);
    assert_int_equal(acre_um_allocate(um, 9 * MIB, &at), ACRE_NO_MEMORY);
    assert_int_equal(acre_um_allocate(um, UINT64_MAX, &at), ACRE_NO_MEMORY);
    assert_int_equal(acre_um_allocate(um, 5 * MIB + 1, &at), ACRE_OK);
    uint64_t other;
    assert_int_equal(acre_um_allocate(um, 3 * MIB, &other), ACRE_NO_MEMORY);
    assert_int_equal(acre_um_touch(um, 7, at, 1, false), ACRE_INVALID);
    assert_int_equal(acre_um_touch(um, place, at, 0, false), ACRE_INVALID);
    assert_int_equal(acre_um_touch(um, place, at, 6 * MIB, false), ACRE_INVALID);
    assert_int_equal(acre_um_touch(um, place, at, 3 * MIB, false), ACRE_INVALID); /* more than half of the place */
    assert_int_equal(acre_um_touch(um, place, UINT64_MAX, 2, false), ACRE_INVALID);
    assert_int_equal(acre_um_touch(um, place, at, UINT64_MAX, false), ACRE_INVALID);
    assert_int_equal(acre_um_where(um, place, at, NULL), ACRE_INVALID);
    assert_int_equal(acre_um_where(um, 9, at, &where), ACRE_INVALID);
    assert_int_equal(acre_um_advise(um, at, 1, (acre_um_advice)9, 0), ACRE_INVALID);
    assert_int_equal(acre_um_advise(um, at + 7 * MIB, 1, ACRE_UM_NORMAL, 0), ACRE_INVALID);
    assert_int_equal(acre_um_prefetch_to(um, place, at, 9 * MIB), ACRE_INVALID);
    assert_int_equal(acre_um_read_figures(um, 9, &f), ACRE_INVALID);
    assert_int_equal(acre_um_read_figures(um, 0, NULL), ACRE_INVALID);
    assert_int_equal(acre_um_resident_pages(um, place, at + 7 * MIB, &pages), ACRE_INVALID);
    assert_int_equal(acre_um_read_block(um, place, at + 7 * MIB, &block), ACRE_INVALID);
    assert_int_equal(acre_um_read_block(um, 9, at, &block), ACRE_INVALID);
    assert_int_equal(acre_um_read_block(um, place, at, NULL), ACRE_INVALID);
    assert_null(acre_um_pointer(um, place, at));
    assert_int_equal(acre_um_free(um, at + 2 * MIB), ACRE_INVALID);
    assert_int_equal(acre_um_free(um, at), ACRE_OK);
    assert_int_equal(acre_um_free(um, at), ACRE_INVALID);
    assert_false(acre_um_is_valid(NULL));
    acre_um_close(um);
    acre_um_close(NULL);
    acre_space_close(&space);
}

/* ---- home that is no memory ---- */

enum { KEPT_PAGES = 16 * 256 };

static struct {
    unsigned char bytes[KEPT_PAGES * (size_t)PAGE];
    bool is_kept[KEPT_PAGES];
} store;

static uint64_t kept_count(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < KEPT_PAGES; i++) count += store.is_kept[i];
    return count;
}

static acre_status write_store(void *context, uint64_t at, const void *bytes, uint64_t size)
{
    (void)context;
    if (bytes != NULL) memcpy(store.bytes + at, bytes, size);
    if (bytes == NULL) memset(store.bytes + at, 0, size);
    for (uint64_t i = at; i < at + size; i += PAGE) store.is_kept[i / PAGE] = true;
    return ACRE_OK;
}

static acre_status read_store(void *context, uint64_t at, void *bytes, uint64_t size)
{
    (void)context;
    for (uint64_t i = at; i < at + size; i += PAGE) assert_true(store.is_kept[i / PAGE]);
    memcpy(bytes, store.bytes + at, size);
    return ACRE_OK;
}

static void discard_store(void *context, uint64_t at, uint64_t size)
{
    (void)context;
    for (uint64_t i = at; i < at + size; i += PAGE) store.is_kept[i / PAGE] = false;
}

/* Pages are used in the place whatever the rules say of a threshold: nobody else has an address of them. What is written there does not
 * wait at home, too. */
static void home_without_addresses_keeps_what_is_good(void **state)
{
    for (unsigned rule = 0; acre_um_rules_name(rule) != NULL; rule++) {
        acre_space pages;
        acre_um *um;
        unsigned place, where;
        uint64_t at;
        acre_um_figures f;
        acre_um_options options = {.bytes_max = 16 * MIB,
                                   .home_contents = {.write = write_store, .read = read_store, .discard = discard_store}};
        assert_int_equal(acre_um_rules_named(acre_um_rules_name(rule), &options.rules), ACRE_OK);
        assert_int_equal(acre_space_open_pages(&pages, NULL), ACRE_OK);
        assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
        assert_int_equal(acre_um_add_place(um, &(acre_um_place){.name = "a", .capacity_bytes = 4 * MIB, .space = &pages}, &place), ACRE_OK);
        assert_int_equal(acre_um_allocate(um, 16 * MIB, &at), ACRE_OK);
        for (unsigned pass = 0; pass < 3; pass++) {
            for (uint64_t i = 0; i < 16 * MIB; i += PAGE) {
                assert_int_equal(acre_um_touch(um, place, at + i, 8, true), ACRE_OK);
                assert_int_equal(acre_um_where(um, place, at + i, &where), ACRE_OK);
                assert_int_equal(where, place);
                uint64_t *const word = acre_um_pointer(um, place, at + i);
                assert_non_null(word);
                assert_int_equal(*word, pass == 0 ? 0 : i + pass);
                *word = i + pass + 1;
            }
        }
        for (uint64_t i = 0; i < 16 * MIB; i += PAGE) { /* and each page that is there now is written once more */
            assert_int_equal(acre_um_where(um, place, at + i, &where), ACRE_OK);
            if (where == place) assert_int_equal(acre_um_touch(um, place, at + i, 8, true), ACRE_OK);
        }
        assert_int_equal(acre_um_read_figures(um, place, &f), ACRE_OK);
        assert_int_equal(kept_count(), KEPT_PAGES - f.used_bytes / PAGE);
        assert_int_equal(acre_um_free(um, at), ACRE_OK);
        assert_int_equal(kept_count(), 0);
        acre_um_close(um);
        acre_space_close(&pages);
    }
}

/* ---- a device that the host has no addresses of ---- */

static void blocks_are_in_frames(void **state)
{
    for (unsigned can_map = 0; can_map < 2; can_map++) {
        acre_space home;
        fake_device fake;
        acre_um *um;
        unsigned place;
        uint64_t at, call_count = 0;
        acre_addr address, other;
        acre_um_figures f;
        fake_device_open(&fake, can_map, &call_count, 0);
        assert_int_equal(acre_space_open_pages(&home, NULL), ACRE_OK);
        assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = 32 * MIB, .home = &home}, &um), ACRE_OK);
        acre_um_place near_place = {.name = "device", .capacity_bytes = 9 * MIB, .space = &fake.space};
        if (!can_map) near_place.contents = fake_device_contents(&fake);
        assert_int_equal(acre_um_add_place(um, &near_place, &place), ACRE_OK);
        assert_int_equal(fake.frame_count, 4);
        assert_int_equal(acre_um_allocate(um, 32 * MIB, &at), ACRE_OK);
        /* One page of each block: frames are scarce long before pages. The device writes by itself. */
        for (uint64_t i = 0; i < 16; i++) {
            assert_int_equal(acre_um_touch(um, place, at + i * 2 * MIB + 5 * PAGE, PAGE, true), ACRE_OK);
            assert_int_equal(acre_um_frame(um, place, at + i * 2 * MIB + 5 * PAGE + 40, &address), ACRE_OK);
            assert_int_equal(acre_um_frame(um, place, at + i * 2 * MIB + 5 * PAGE, &other), ACRE_OK);
            assert_int_equal(address - other, 40);
            assert_null(acre_um_pointer(um, place, at + i * 2 * MIB + 5 * PAGE));
            assert_int_equal(*fake_device_bytes(&fake, address), 0);
            *fake_device_bytes(&fake, address) = (unsigned char)(i + 1);
            assert_true(acre_um_is_valid(um));
        }
        assert_int_equal(acre_um_read_figures(um, place, &f), ACRE_OK);
        assert_int_equal(f.evicted_units, 12);
        assert_int_equal(acre_um_frame(um, place, at, &address), ACRE_BAD_POINTER);
        assert_int_equal(acre_um_frame(um, ACRE_UM_HOME, at, &address), ACRE_INVALID);
        assert_int_equal(acre_um_frame(um, place, at + 32 * MIB, &address), ACRE_INVALID);
        assert_int_equal(acre_um_prefetch_to(um, place, at, 2 * MIB), ACRE_NO_MEMORY); /* nothing goes for it */
        for (uint64_t i = 0; i < 16; i++) {
            assert_int_equal(acre_um_touch(um, ACRE_UM_HOME, at + i * 2 * MIB + 5 * PAGE, PAGE, false), ACRE_OK);
            const unsigned char *const bytes = acre_um_pointer(um, ACRE_UM_HOME, at + i * 2 * MIB + 5 * PAGE);
            assert_int_equal(bytes[40], i + 1);
            assert_int_equal(bytes[41], 0);
        }
        acre_um_close(um);
        fake_device_close(&fake);
        acre_space_close(&home);
    }
}

/* Who failed to bring a block has no frame for it. */
static void a_copy_that_fails_takes_no_frame(void **state)
{
    for (unsigned can_map = 0; can_map < 2; can_map++) {
        acre_space home;
        fake_device fake;
        acre_um *um;
        unsigned place;
        uint64_t at, call_count = 0;
        acre_addr address;
        fake_device_open(&fake, can_map, &call_count, 0);
        assert_int_equal(acre_space_open_pages(&home, NULL), ACRE_OK);
        assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = 16 * MIB, .home = &home}, &um), ACRE_OK);
        acre_um_place near_place = {.name = "device", .capacity_bytes = 4 * MIB, .space = &fake.space};
        if (!can_map) near_place.contents = fake_device_contents(&fake);
        assert_int_equal(acre_um_add_place(um, &near_place, &place), ACRE_OK);
        assert_int_equal(acre_um_allocate(um, 16 * MIB, &at), ACRE_OK);
        for (uint64_t i = 0; i < 16 * MIB; i += 2 * MIB) {
            for (uint64_t fails = 1;; fails++) {
                fake.fail_at = call_count + fails;
                const acre_status status = acre_um_touch(um, place, at + i, PAGE, true);
                assert_true(acre_um_is_valid(um));
                if (status == ACRE_OK) break;
                assert_int_equal(status, ACRE_IO);
            }
            assert_int_equal(acre_um_frame(um, place, at + i, &address), ACRE_OK);
            *fake_device_bytes(&fake, address) = (unsigned char)(i / MIB + 1);
        }
        fake.fail_at = 0;
        for (uint64_t i = 0; i < 16 * MIB; i += 2 * MIB) {
            assert_int_equal(acre_um_touch(um, ACRE_UM_HOME, at + i, 1, false), ACRE_OK);
            assert_int_equal(*(unsigned char *)acre_um_pointer(um, ACRE_UM_HOME, at + i), i / MIB + 1);
        }
        acre_um_close(um);
        fake_device_close(&fake);
        acre_space_close(&home);
    }
}

static void must_be_used_in(acre_um *um, unsigned place, uint64_t at)
{
    unsigned where;
    assert_int_equal(acre_um_touch(um, place, at, 8, true), ACRE_OK);
    assert_int_equal(acre_um_where(um, place, at, &where), ACRE_OK);
    assert_int_equal(where, place);
}

/* Where others would use a page where it is, whoever works in a device has it there. */
static void a_device_has_what_it_uses(void **state)
{
    acre_space home, pages;
    fake_device fake;
    acre_um *um;
    unsigned far, place;
    uint64_t at, call_count = 0;
    acre_um_figures f;
    fake_device_open(&fake, true, &call_count, 0);
    assert_int_equal(acre_space_open_pages(&home, NULL), ACRE_OK);
    assert_int_equal(acre_space_open_pages(&pages, NULL), ACRE_OK);
    const acre_um_options options = {.bytes_max = 16 * MIB, .home = &home, .is_modelled = true};
    assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
    const acre_um_place host = {.name = "host", .space = &pages, .costs = {.fault_ns = 1000}};
    const acre_um_place device_place = {.name = "device", .space = &fake.space, .costs = {.fault_ns = 1000}};
    assert_int_equal(acre_um_add_place(um, &host, &far), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &device_place, &place), ACRE_OK);
    assert_int_equal(fake.frame_count, 8); /* all fits */
    assert_int_equal(acre_um_allocate(um, 16 * MIB, &at), ACRE_OK);
    for (unsigned i = 0; i < 100; i++) must_be_used_in(um, i % 2 ? place : ACRE_UM_HOME, at); /* though it goes to and fro */
    for (unsigned i = 0; i < 100; i++) assert_int_equal(acre_um_touch(um, i % 2 ? far : ACRE_UM_HOME, at + 2 * MIB, 8, true), ACRE_OK);
    assert_int_equal(acre_um_read_figures(um, far, &f), ACRE_OK);
    const acre_um_figures before = f;
    assert_int_equal(acre_um_touch(um, far, at + 2 * MIB, 8, true), ACRE_OK);
    assert_int_equal(acre_um_touch(um, ACRE_UM_HOME, at + 2 * MIB, 8, true), ACRE_OK);
    assert_int_equal(acre_um_read_figures(um, far, &f), ACRE_OK);
    assert_int_equal(f.in_bytes + f.out_bytes, before.in_bytes + before.out_bytes); /* it is pinned */
    must_be_used_in(um, place, at + 2 * MIB);
    for (acre_um_advice advice = ACRE_UM_PREFERRED; advice <= ACRE_UM_ACCESSED_BY; advice++) {
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(acre_um_advise(um, at + 4 * MIB, 2 * MIB, advice, i), ACRE_OK);
            must_be_used_in(um, place, at + 4 * MIB);
            must_be_used_in(um, i % 2, at + 4 * MIB);
        }
    }
    assert_true(acre_um_is_valid(um));
    acre_um_close(um);
    fake_device_close(&fake);
    acre_space_close(&pages);
    acre_space_close(&home);
}

static void a_space_that_nobody_reaches_is_refused(void **state)
{
    acre_space home;
    fake_device fake;
    acre_um *um;
    unsigned place;
    uint64_t call_count = 0;
    assert_int_equal(acre_space_open_pages(&home, NULL), ACRE_OK);
    fake_device_open(&fake, false, &call_count, 0);
    acre_um_place near_place = {.name = "device", .capacity_bytes = 8 * MIB, .space = &fake.space};
    assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = 32 * MIB, .home = &home}, &um), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &near_place, &place), ACRE_INVALID); /* it cannot be mapped */
    near_place.contents = fake_device_contents(&fake);
    near_place.contents.read = NULL;
    assert_int_equal(acre_um_add_place(um, &near_place, &place), ACRE_INVALID);
    near_place.contents = fake_device_contents(&fake);
    fake.frame_count_max = 3;
    assert_int_equal(acre_um_add_place(um, &near_place, &place), ACRE_NO_MEMORY);
    assert_int_equal(fake.frame_count, 0);
    fake.space.info.grain_bytes = 4 * MIB;
    assert_int_equal(acre_um_add_place(um, &near_place, &place), ACRE_INVALID);
    fake.space.info.grain_bytes = 65536;
    fake.frame_count_max = 4;
    assert_int_equal(acre_um_add_place(um, &near_place, &place), ACRE_OK);
    acre_um_close(um);
    fake_device_close(&fake);
    const acre_um_options small = {.bytes_max = 32 * MIB, .home = &home, .rules = {.unit_pages = 16}};
    assert_int_equal(acre_um_open(&small, &um), ACRE_OK);
    assert_int_equal(acre_um_add_place(um, &near_place, &place), ACRE_INVALID);
    acre_um_close(um);
    assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = 32 * MIB, .home = &fake.space}, &um), ACRE_INVALID);
    fake_device_close(&fake);
    acre_space_close(&home);
}

/* With meta spaces of every size up to what it takes. */
static void without_memory_nothing_is_held(void **state)
{
    static unsigned char bytes[1 << 20];
    bool has_opened = false;
    for (size_t size = 64; size <= sizeof bytes; size += 8192) {
        acre_space space;
        acre_um *um;
        unsigned place;
        assert_int_equal(acre_space_open_static(&space, bytes, size), ACRE_OK);
        const acre_um_options options = {.bytes_max = 8 * MIB, .meta = &space, .rules = {.prefetch = ACRE_UM_PREFETCH_ADAPTIVE}};
        const acre_status status = acre_um_open(&options, &um);
        assert_true(status == ACRE_OK || status == ACRE_NO_MEMORY);
        if (status == ACRE_OK) {
            const acre_status added = acre_um_add_place(um, &(acre_um_place){.name = "x", .capacity_bytes = 4 * MIB}, &place);
            assert_true(added == ACRE_OK || added == ACRE_NO_MEMORY);
            has_opened = added == ACRE_OK;
            assert_true(acre_um_is_valid(um));
            acre_um_close(um);
        }
        acre_space_close(&space);
    }
    assert_true(has_opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_are_those_of_an_array),
        cmocka_unit_test(no_copy_that_fails_loses_anything),
        cmocka_unit_test(faults_and_times_are_the_published_ones),
        cmocka_unit_test(two_passes_over_six_blocks_with_room_for_five),
        cmocka_unit_test(ten_times_too_much_ends_with_the_right_result),
        cmocka_unit_test(a_page_that_goes_to_and_fro_stays),
        cmocka_unit_test(waits_that_are_remembered_and_a_lapse_that_adapts_end_disputes_sooner),
        cmocka_unit_test(who_reads_mostly_has_a_copy),
        cmocka_unit_test(advice_says_where_pages_are_used),
        cmocka_unit_test(who_was_not_advised_gets_the_page),
        cmocka_unit_test(what_goes_is_what_the_rules_say),
        cmocka_unit_test(waste_lowers_what_comes),
        cmocka_unit_test(a_threshold_leaves_pages_where_they_are),
        cmocka_unit_test(an_adaptive_threshold_moves_less_where_little_is_used),
        cmocka_unit_test(streams_are_foreseen),
        cmocka_unit_test(threads_may_all_call),
        cmocka_unit_test(a_throttled_touch_waits_a_lapse),
        cmocka_unit_test(home_without_addresses_keeps_what_is_good),
        cmocka_unit_test(blocks_are_in_frames),
        cmocka_unit_test(a_copy_that_fails_takes_no_frame),
        cmocka_unit_test(a_device_has_what_it_uses),
        cmocka_unit_test(a_space_that_nobody_reaches_is_refused),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(without_memory_nothing_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
