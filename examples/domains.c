/* domains.c - two tasks of a small device, each with its own memory: the registers of a Cortex-M that keep them apart, and what is told
 * when one of them goes too far. Runs anywhere: the planner needs no such processor. */
#include <acre/domain.h>
#include <stdio.h>

enum { READ = ACRE_RIGHT_READ, WRITE = ACRE_RIGHT_WRITE, EXECUTE = ACRE_RIGHT_EXECUTE, SENSOR = 0, RADIO = 1 };

static const char *const names[] = {"sensor", "radio"};
static const acre_grant all_run[] = {{RADIO, READ | EXECUTE}}, radio_reads[] = {{RADIO, READ}};
static const acre_owned_range ranges[] = {
    {"code", 0x00000000, 0x10000, SENSOR, READ | EXECUTE, ACRE_RIGHTS_ANY, false, 1, all_run},
    {"samples", 0x20000060, 320, SENSOR, READ | WRITE, ACRE_RIGHTS_ANY, false, 1, radio_reads},
    {"radio's stack", 0x20001000, 1536, RADIO, READ | WRITE, ACRE_RIGHTS_ANY, false, 0, NULL},
    {"antenna", 0x40006000, 0x1000, RADIO, READ | WRITE, ACRE_RIGHTS_ANY, true, 0, NULL},
};
enum { RANGE_COUNT = sizeof ranges / sizeof ranges[0] };

static bool print_plan(const acre_mpu *unit, uint16_t domain)
{
    acre_wish wishes[ACRE_WISHES_MAX];
    const size_t count = acre_domain_wishes(ranges, RANGE_COUNT, domain, wishes, ACRE_WISHES_MAX);
    acre_domain_plan plan;
    if (acre_domain_make_plan(unit, wishes, count, 0, &plan) != ACRE_OK) {
        puts(acre_last_error());
        return false;
    }
    printf("%s: %zu wishes, %u regions\n", names[domain], count, (unsigned)plan.entry_count);
    for (uint32_t i = 0; i < plan.entry_count; i++)
        printf("    RBAR 0x%08x  RASR 0x%08x\n", (unsigned)plan.entries[i].base, (unsigned)plan.entries[i].attributes);
    return true;
}

int main(void)
{
    acre_mpu unit;
    if (acre_mpu_named("v7m-8", &unit) != ACRE_OK || !print_plan(&unit, SENSOR) || !print_plan(&unit, RADIO)) return 1;

    /* The radio writes to the samples, which it may only read; the processor says so by CFSR, MMFAR and the pc that it pushed. */
    acre_trap trap;
    acre_fault fault;
    char text[300];
    if (!acre_trap_of_cortex_m(0x82, 0x20000064, 0x1234, &trap)) return 1;
    acre_trap_describe(&trap, ranges, RANGE_COUNT, names, RADIO, &fault);
    acre_fault_text(&fault, text, sizeof text);
    puts(text);

    /* What cannot be done is said, not rounded. */
    const acre_wish odd = {"odd", 0x20000001, 100, READ, ACRE_RIGHTS_ANY, false};
    acre_domain_plan plan;
    if (acre_domain_make_plan(&unit, &odd, 1, 0, &plan) == ACRE_OK) return 1;
    puts(acre_last_error());
    return 0;
}
