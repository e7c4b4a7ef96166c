/* test_opencl_faults.c - a kernel of OpenCL on memory whose pages come when it touches them: PoCL's threads are the device. */
#include "opencl_kernel.h"
#include "support/test.h"

#include <acre/um.h>
#include <stdio.h>

#define MIB ((uint64_t)1 << 20)
enum { PAGE = ACRE_UM_PAGE_BYTES };

static const uint64_t bytes = 64 * MIB, pages = 64 * MIB / PAGE, blocks = 64 * MIB / ACRE_UM_BLOCK_BYTES;

typedef struct scene {
    acre_space home;
    acre_um *um;
    unsigned near;
    uint64_t at;
    uint32_t *numbers;
} scene;

static acre_um_fault_source source;

/* The rules of the research: 4 KiB, 64 KiB, 2 MiB, and the tree. */
static acre_um_rules rules_of(const char *name)
{
    acre_um_rules rules;
    if (strcmp(name, "2m") == 0)
        return (acre_um_rules){.prefetch = ACRE_UM_PREFETCH_DENSITY, .density_percent = 1, .policy = ACRE_POLICY_FIFO};
    assert_int_equal(acre_um_rules_named(name, &rules), ACRE_OK);
    return rules;
}

static acre_um_figures figures_of(const scene *s)
{
    acre_um_figures figures;
    assert_int_equal(acre_um_read_figures(s->um, s->near, &figures), ACRE_OK);
    return figures;
}

static uint32_t *home_page(const scene *s, uint64_t offset, bool is_write)
{
    assert_int_equal(acre_um_touch(s->um, ACRE_UM_HOME, s->at + offset, PAGE, is_write), ACRE_OK);
    uint32_t *const page = acre_um_pointer(s->um, ACRE_UM_HOME, s->at + offset);
    assert_non_null(page);
    return page;
}

static void open_scene(scene *s, const char *rules, uint64_t capacity)
{
    const acre_um_options options = {.bytes_max = bytes, .rules = rules_of(rules), .home = &s->home};
    assert_int_equal(acre_space_open_pages(&s->home, NULL), ACRE_OK);
    assert_int_equal(acre_um_open(&options, &s->um), ACRE_OK);
    const acre_um_place place = {.name = "device", .capacity_bytes = capacity, .faults = source};
    const acre_status status = acre_um_add_place(s->um, &place, &s->near);
    if (status == ACRE_UNSUPPORTED) skip(); /* this process may not use userfaultfd */
    assert_int_equal(status, ACRE_OK);
    assert_int_equal(acre_um_allocate(s->um, bytes, &s->at), ACRE_OK);
    for (uint64_t offset = 0; offset < bytes; offset += PAGE) {
        uint32_t *const page = home_page(s, offset, true);
        for (unsigned i = 0; i < PAGE / sizeof *page; i++) page[i] = (uint32_t)(offset / sizeof *page + i);
    }
    s->numbers = acre_um_pointer(s->um, s->near, s->at);
    assert_non_null(s->numbers);
}

static void close_scene(scene *s)
{
    kernel_unbind();
    assert_true(acre_um_is_valid(s->um));
    acre_um_close(s->um);
    acre_space_close(&s->home);
}

/* After so many runs, read at home. */
static void check_numbers(const scene *s, unsigned run_count)
{
    for (uint64_t offset = 0; offset < bytes; offset += PAGE) {
        const uint32_t *const page = home_page(s, offset, false);
        for (unsigned i = 0; i < PAGE / sizeof *page; i++) {
            uint32_t expected = (uint32_t)(offset / sizeof *page + i);
            for (unsigned run = 0; run < run_count; run++) expected = expected * 3 + 1;
            if (page[i] != expected) assert_int_equal(page[i], expected);
        }
    }
}

/* How many batches a rule takes for 64 MiB. By 64 KiB each batch brings one group of 16 pages at least, and none comes twice. By the tree,
 * in a block: a group is brought as a whole as soon as more than 51 percent of it are there, which is when one half is full and the other
 * has something. So a block takes 6 groups at least that somebody asked for, 1 for each doubling of 64 KiB. At most it takes 17, when each
 * second group comes first. */
static const struct {
    const char *rules;
    uint64_t faults_min, batches_max;
} rows[] = {{"demand", pages, pages}, {"64k", pages / 16, pages / 16}, {"2m", blocks, blocks}, {"nvidia", 6 * blocks, 17 * blocks}};

static void run_on(scene *s, enum kernel_binding binding, unsigned row)
{
    open_scene(s, rows[row].rules, 0);
    assert_true(kernel_bind(binding, s->numbers, bytes / sizeof *s->numbers));
    assert_int_equal(figures_of(s).fault_count, 0); /* who makes a buffer touches nothing */
    assert_int_equal(figures_of(s).in_bytes, 0);
    assert_true(kernel_run() > 0);
    const acre_um_figures first = figures_of(s);
    assert_int_equal(first.in_bytes, bytes); /* each page once, however many waited for it */
    assert_in_range(first.fault_count, rows[row].faults_min, rows[row].batches_max * kernel_threads());
    assert_true(first.batch_count <= rows[row].batches_max);
    if (row == 0) assert_int_equal(first.fault_count, pages);
    if (row == 2) assert_int_equal(first.batch_count, blocks);
    assert_int_equal(first.out_bytes + first.failure_count, 0);
    assert_true(kernel_run() > 0);
    const acre_um_figures second = figures_of(s);
    assert_int_equal(second.fault_count, first.fault_count);
    assert_int_equal(second.write_fault_count, first.write_fault_count);
    assert_int_equal(second.call_count, first.call_count);
    check_numbers(s, 2);
    assert_int_equal(figures_of(s).out_bytes, bytes);
    close_scene(s);
}

/* Four times as much as there is room for. */
static void run_in_a_quarter(scene *s, enum kernel_binding binding, unsigned row)
{
    open_scene(s, rows[row].rules, bytes / 4);
    assert_true(kernel_bind(binding, s->numbers, bytes / sizeof *s->numbers));
    assert_true(kernel_run() > 0 && kernel_run() > 0);
    const acre_um_figures figures = figures_of(s);
    assert_true(figures.in_bytes >= 2 * bytes - bytes / 4); /* the second run finds a quarter at most */
    assert_true(figures.used_bytes_max <= bytes / 4);
    assert_int_equal(figures.failure_count, 0);
    check_numbers(s, 2);
    close_scene(s);
}

static void run_all(acre_um_fault_source faults)
{
    source = faults;
    for (unsigned row = 0; row < sizeof rows / sizeof *rows; row++) {
        for (unsigned binding = 0; binding < BINDING_COUNT; binding++) {
            scene s;
            run_on(&s, (enum kernel_binding)binding, row);
            run_in_a_quarter(&s, (enum kernel_binding)binding, row);
        }
    }
}

static void a_kernel_takes_each_page_once(void **state)
{
    (void)state;
    run_all(ACRE_UM_USERFAULTFD);
}

/* One test: cmocka sets its own handler before each. */
static void by_signals_too(void **state)
{
    (void)state;
    run_all(ACRE_UM_SIGNALS);
}

int main(void)
{
    if (!kernel_find()) return 77; /* no OpenCL here: skipped */
    if (!kernel_open()) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_takes_each_page_once),
        cmocka_unit_test(by_signals_too),
    };
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    kernel_close();
    return failures;
}
