/* patterns.c - access patterns of programs on a device whose memory is too small for them: the modelled time of each set of rules.
 *
 *     patterns [--small]
 *
 * The costs of a fault and of a byte are those that follow from GPGPU-Sim UVMSmart's log of hotspot (docs/um.md); a touch of memory that is
 * used where it is costs 1 us and its bytes, an assumption. The host has written everything before. tools/acre/um_patterns.h says what the
 * patterns are; `acre um replay --pattern all --oversubscribe 100,110,125,150` has all figures of these runs.
 */
#include "um_patterns.h"

#include <acre/um.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(void)
{
    (void)fprintf(stderr, "patterns: %s\n", acre_last_error());
    exit(1);
}

typedef struct device {
    acre_um *um;
    unsigned place;
    uint64_t at;
} device;

static bool use(void *context, uint64_t at, uint64_t bytes, bool is_write)
{
    device *const d = context;
    return acre_um_touch(d->um, d->place, d->at + at, bytes, is_write) == ACRE_OK;
}

static acre_um_figures run(unsigned pattern, const char *rules, uint64_t bytes, unsigned percent)
{
    device d = {0};
    acre_um_options options = {.bytes_max = bytes, .is_modelled = true};
    const acre_um_place place = {
        .name = "device",
        .capacity_bytes = bytes * 100 / percent / ACRE_UM_BLOCK_BYTES * ACRE_UM_BLOCK_BYTES,
        .costs = {.fault_ns = 46389, .in_bytes_per_s = 7430000000, .out_bytes_per_s = 7430000000, .remote_ns = 1000}};
    acre_um_figures before, figures;
    if (acre_um_rules_named(rules, &options.rules) != ACRE_OK || acre_um_open(&options, &d.um) != ACRE_OK ||
        acre_um_add_place(d.um, &place, &d.place) != ACRE_OK || acre_um_allocate(d.um, bytes, &d.at) != ACRE_OK ||
        acre_um_touch(d.um, ACRE_UM_HOME, d.at, bytes, true) != ACRE_OK || acre_um_read_figures(d.um, d.place, &before) != ACRE_OK)
        fail();
    if (!um_pattern_run(pattern, bytes, use, &d) || acre_um_read_figures(d.um, d.place, &figures) != ACRE_OK) fail();
    figures.clock_ns -= before.clock_ns;
    acre_um_close(d.um);
    return figures;
}

int main(int argc, char **argv)
{
    static const unsigned percents[] = {100, 110, 125, 150};
    const bool is_small = argc > 1 && strcmp(argv[1], "--small") == 0;
    const uint64_t bytes = (uint64_t)(is_small ? 12 : 48) << 20;
    unsigned better = 0, worse = 0, rows = 0;
    double product = 0;
    printf("%u MiB; modelled ms, and of acre: faults, MiB in and out, touches used elsewhere, of tree's time\n%-8s %5s",
           (unsigned)(bytes >> 20), "pattern", "size");
    for (unsigned r = 0; acre_um_rules_name(r) != NULL; r++) printf(" %9s", acre_um_rules_name(r));
    printf("\n");
    for (unsigned pattern = 0; um_pattern_name(pattern) != NULL; pattern++) {
        for (unsigned i = 0; i < 4; i++) {
            double ours = 0, tree = 0;
            acre_um_figures figures = {0};
            printf("%-8s %4u%%", um_pattern_name(pattern), percents[i]);
            for (unsigned r = 0; acre_um_rules_name(r) != NULL; r++) {
                const acre_um_figures f = run(pattern, acre_um_rules_name(r), bytes, percents[i]);
                const double ms = (double)f.clock_ns / 1e6;
                printf(" %9.2f", ms);
                (void)fflush(stdout);
                if (strcmp(acre_um_rules_name(r), "tree") == 0) tree = ms;
                if (strcmp(acre_um_rules_name(r), "acre") != 0) continue;
                ours = ms;
                figures = f;
            }
            printf("   %7llu %6llu %6llu %8llu %6.3f\n", (unsigned long long)figures.fault_count,
                   (unsigned long long)figures.in_bytes >> 20, (unsigned long long)figures.out_bytes >> 20,
                   (unsigned long long)figures.remote_count, ours / tree);
            if (percents[i] == 100) continue;
            rows++;
            better += ours < tree;
            worse += ours > tree * 1.05;
            product += log(ours / tree);
        }
    }
    printf("acre is faster than tree in %u of %u rows, and more than 5 %% slower in %u; geometric mean %.3f\n", better, rows, worse,
           exp(product / rows));
    return 0;
}
