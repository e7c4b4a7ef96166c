/* opencl.c - what page faults cost a kernel of OpenCL that knows nothing of them: `a[i] = a[i] * 3 + 1`, with PoCL's threads as the device.
 *
 *     opencl [--small]
 *
 * For each rule and each way to bind the memory: faults, the time of a run that takes them and of one that takes none, medians of five; and
 * the same with room for a quarter, where each run takes them.
 */
#include "opencl_kernel.h"

#include <acre/um.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = ACRE_UM_PAGE_BYTES, ROUNDS = 5 };

static uint64_t bytes = (uint64_t)64 << 20;

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "opencl: %s: %s\n", what, acre_last_error());
    exit(1);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct rule {
    const char *name;
    acre_um_rules rules;
} rule;

static void fill_home(acre_um *um, uint64_t at)
{
    for (uint64_t i = 0; i < bytes; i += PAGE) {
        if (acre_um_touch(um, ACRE_UM_HOME, at + i, PAGE, true) != ACRE_OK) fail("touch");
        memset(acre_um_pointer(um, ACRE_UM_HOME, at + i), 1, PAGE);
    }
}

/* Two runs, in ms. */
static void measure(const rule *row, enum kernel_binding binding, uint64_t capacity, double ms[2], acre_um_figures *figures)
{
    acre_space home;
    acre_um *um;
    unsigned place;
    uint64_t at;
    const acre_um_options options = {.bytes_max = bytes, .rules = row->rules, .home = &home};
    const acre_um_place device = {.name = "device", .capacity_bytes = capacity, .faults = ACRE_UM_USERFAULTFD};
    if (acre_space_open_pages(&home, NULL) != ACRE_OK || acre_um_open(&options, &um) != ACRE_OK) fail("open");
    if (acre_um_add_place(um, &device, &place) != ACRE_OK || acre_um_allocate(um, bytes, &at) != ACRE_OK) fail("add_place");
    fill_home(um, at);
    uint32_t *const numbers = acre_um_pointer(um, place, at);
    if (!kernel_bind(binding, numbers, bytes / sizeof *numbers)) fail("the device refuses the memory");
    if (acre_um_read_figures(um, place, figures) != ACRE_OK || figures->fault_count != 0) fail("faults before the first run");
    for (unsigned run = 0; run < 2; run++) {
        ms[run] = (double)kernel_run() / 1e6;
        if (run == 0 && acre_um_read_figures(um, place, figures) != ACRE_OK) fail("figures");
    }
    for (uint64_t i = 0; i < bytes / sizeof *numbers; i += PAGE / sizeof *numbers)
        if (numbers[i] != (0x01010101u * 3 + 1) * 3 + 1) fail("a result is wrong");
    kernel_unbind();
    acre_um_close(um);
    acre_space_close(&home);
}

static void print_row(const rule *row, enum kernel_binding binding, uint64_t capacity)
{
    double first[ROUNDS], second[ROUNDS];
    acre_um_figures figures;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double ms[2];
        measure(row, binding, capacity, ms, &figures);
        first[round] = ms[0];
        second[round] = ms[1];
    }
    qsort(first, ROUNDS, sizeof *first, compare);
    qsort(second, ROUNDS, sizeof *second, compare);
    const double ms = first[ROUNDS / 2];
    printf("%-12s  %-8s  %4llu MiB  %7llu  %7llu  %7llu  %9.1f  %10.1f  %8.1f\n", binding == BOUND_AS_SVM ? "SVM pointer" : "USE_HOST_PTR",
           row->name, (unsigned long long)(capacity == 0 ? bytes : capacity) >> 20, (unsigned long long)figures.fault_count,
           (unsigned long long)figures.batch_count, (unsigned long long)figures.write_fault_count, ms, second[ROUNDS / 2],
           ms * 1e3 / (double)figures.batch_count);
}

int main(int count, char **arguments)
{
    rule rules[] = {{.name = "demand"},
                    {.name = "64k"},
                    {.name = "2 MiB", .rules = {.prefetch = ACRE_UM_PREFETCH_DENSITY, .density_percent = 1, .policy = ACRE_POLICY_FIFO}},
                    {.name = "nvidia"}};
    if (count > 1 && strcmp(arguments[1], "--small") == 0) bytes = (uint64_t)16 << 20;
    if (!kernel_find()) {
        printf("skip: there is no OpenCL here\n");
        return 0;
    }
    if (!kernel_open()) fail("the kernel");
    printf("%s, %u threads, %llu MiB\n\n", kernel_device_name(), kernel_threads(), (unsigned long long)(bytes >> 20));
    printf("bound by      rules         room   faults  batches   writes  first, ms  second, ms  us/batch\n");
    for (unsigned quarter = 0; quarter < 2; quarter++) {
        for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++) {
            if (rules[i].name[0] != '2' && acre_um_rules_named(rules[i].name, &rules[i].rules) != ACRE_OK) fail("rules");
            for (unsigned binding = 0; binding < BINDING_COUNT; binding++)
                print_row(&rules[i], (enum kernel_binding)binding, quarter ? bytes / 4 : 0);
        }
    }
    kernel_close();
    return 0;
}
