/* test_domain.c - plans of domains against decoders of the registers that were written from the architecture manuals, byte by byte. */
#include "support/test.h"
#include <acre/domain.h>
#include <string.h>

/* Every store that a switch makes is looked at; the library has the same functions under their own names. */
static uint32_t unit_regions[16][2]; /* what the unit holds: base, attributes */
static uint32_t unit_number;
static unsigned store_count;
static void look_at_rights(void);
static void store_v7m(uint32_t base, uint32_t attributes)
{
    unit_number = base & 15;
    unit_regions[unit_number][0] = base & ~31u;
    store_count++;
    look_at_rights(); /* between the two stores, too */
    unit_regions[unit_number][1] = attributes;
    store_count++;
    look_at_rights();
}
#define ACRE_OS_MPU_H
static void acre_os_load_both(const uint32_t *from, uint32_t *first, uint32_t *second) { *first = from[0], *second = from[1]; }
static void acre_os_store_region(volatile uint32_t *registers, uint32_t base, uint32_t attributes) { store_v7m(base, attributes); }
static void acre_os_mpu_barrier(void) {}
#define acre_domain_switch_v7m traced_switch_v7m
#define acre_v7m_attributes    traced_v7m_attributes
#define acre_v7m_cover         traced_v7m_cover
#define acre_v7m_cut           traced_v7m_cut
void traced_switch_v7m(const acre_domain_plan *from, const acre_domain_plan *to, volatile uint32_t *registers);
#include "guard/mpu_v7m.c"
#undef acre_domain_switch_v7m

enum { R = ACRE_RIGHT_READ, W = ACRE_RIGHT_WRITE, X = ACRE_RIGHT_EXECUTE };

typedef struct rights {
    unsigned user;
    unsigned privileged;
} rights;

/* ---- decoders ---- */

/* ARM DDI 0403E, B3.5: the highest region that matches; without one, nothing for unprivileged code. Access permissions: table B3-15. */
static rights v7m_rights(const uint32_t regions[][2], unsigned count, uint32_t address)
{
    static const rights access[8] = {{0, 0}, {0, R | W}, {R, R | W}, {R | W, R | W}, {0, 0}, {0, R}, {R, R}, {R, R}};
    for (unsigned i = count; i-- > 0;) {
        const uint32_t attributes = regions[i][1];
        if ((attributes & 1) == 0) continue;
        const unsigned bits = (attributes >> 1 & 31) + 1;
        const uint64_t size = (uint64_t)1 << bits;
        const uint64_t offset = (uint64_t)address - (regions[i][0] & ~(size - 1));
        if (address < (regions[i][0] & ~(size - 1)) || offset >= size) continue;
        if (bits >= 8 && (attributes >> (8 + offset * 8 / size) & 1) != 0) continue;
        rights is = access[attributes >> 24 & 7];
        if ((attributes >> 28 & 1) == 0) {
            if (is.user & R) is.user |= X;
            if (is.privileged & R) is.privileged |= X;
        }
        return is;
    }
    return (rights){0, 0};
}

/* ARM DDI 0553, RBAR and RLAR; an address in two regions has no access at all. */
static rights v8m_rights(const acre_domain_plan *plan, uint32_t address)
{
    rights is = {0, 0};
    unsigned matches = 0;
    for (uint32_t i = 0; i < plan->unit.entry_count; i++) {
        const uint32_t base = plan->entries[i].base, limit = plan->entries[i].attributes;
        if ((limit & 1) == 0 || address < (base & ~31u) || address > (limit | 31u)) continue;
        matches++;
        const unsigned may = (base >> 2 & 1) != 0 ? R : R | W;
        const unsigned run = (base & 1) != 0 ? 0 : X;
        is.privileged = may | run;
        is.user = (base >> 1 & 1) != 0 ? may | run : 0;
    }
    return matches == 1 ? is : (rights){0, 0};
}

/* The RISC-V privileged architecture, 3.7.1: the lowest entry that matches. */
static unsigned pmp_rights(const acre_domain_plan *plan, uint32_t address)
{
    for (uint32_t i = 0; i < plan->unit.entry_count; i++) {
        const uint32_t config = plan->entries[i].attributes;
        const uint64_t up_to = (uint64_t)plan->entries[i].base << 2;
        uint64_t from = 0, end = 0;
        switch (config >> 3 & 3) {
        case 0:
            continue;
        case 1:
            from = i == 0 ? 0 : (uint64_t)plan->entries[i - 1].base << 2;
            end = up_to;
            break;
        case 2:
            from = up_to;
            end = from + 4;
            break;
        default: {
            uint64_t size = 8;
            for (uint32_t bits = plan->entries[i].base; (bits & 1) != 0; bits >>= 1) size *= 2;
            from = up_to & ~(size - 1);
            end = from + size;
        }
        }
        if (address >= from && address < end) return config & 7;
    }
    return 0;
}

static rights plan_rights(const acre_domain_plan *plan, uint32_t address)
{
    if (plan->unit.kind == ACRE_MPU_V8M) return v8m_rights(plan, address);
    if (plan->unit.kind == ACRE_MPU_PMP) return (rights){pmp_rights(plan, address), R | W | X};
    uint32_t regions[ACRE_MPU_ENTRIES_MAX][2] = {{0}};
    for (uint32_t i = 0; i < plan->unit.entry_count; i++) {
        assert_int_equal(plan->entries[i].base & 0x1f, 0x10 | (plan->unit.first_entry + i));
        regions[i][0] = plan->entries[i].base & ~31u;
        regions[i][1] = plan->entries[i].attributes;
    }
    return v7m_rights((const uint32_t(*)[2])regions, plan->unit.entry_count, address);
}

/* ---- random wishes ---- */

static uint64_t random_state = 88172645463325252u;
static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 20) % bound);
}

enum { WINDOW = 0x20000000, WINDOW_BYTES = 1 << 16 };

/* Wishes in ascending order, some side by side, at multiples of the grain. */
static size_t random_wishes(acre_wish *wishes, uint32_t grain, bool is_pmp)
{
    static const unsigned pairs[][2] = {{R | W, R | W}, {R, R}, {R | X, R | X}, {R | W, ACRE_RIGHTS_ANY}, {R, ACRE_RIGHTS_ANY}, {0, R | W}};
    const size_t count = 1 + random_below(5);
    uint32_t at = WINDOW + random_below(64) * grain;
    for (size_t i = 0; i < count; i++) {
        const unsigned *const pair = pairs[random_below(is_pmp ? 5 : 6)];
        const uint32_t size = (1 + random_below(1u << random_below(9))) * grain;
        wishes[i] = (acre_wish){.name = "w",
                                .base = at,
                                .size_bytes = size,
                                .user = (uint8_t)pair[0],
                                .privileged = is_pmp ? ACRE_RIGHTS_ANY : (uint8_t)pair[1],
                                .is_device = random_below(8) == 0};
        at += size + (random_below(3) == 0 ? 0 : random_below(40) * grain);
    }
    return count;
}

/* What a wish list says of an address, by itself; `is_exposed`: the plan says that it opens it, too. */
static bool is_right(const acre_domain_plan *plan, const acre_wish *wishes, size_t count, uint32_t address)
{
    rights want = {0, 0};
    bool is_any = false, is_wished = false;
    for (size_t i = 0; i < count; i++) {
        if (address - wishes[i].base >= wishes[i].size_bytes) continue;
        want = (rights){wishes[i].user, wishes[i].privileged};
        is_any = wishes[i].privileged == ACRE_RIGHTS_ANY;
        is_wished = true;
    }
    for (uint32_t i = 0; !is_wished && i < plan->exposure_count; i++) {
        if (address - plan->exposures[i].base >= plan->exposures[i].size_bytes) continue;
        want = (rights){wishes[plan->exposures[i].wish].user, wishes[plan->exposures[i].wish].privileged};
        is_any = want.privileged == ACRE_RIGHTS_ANY;
    }
    const rights is = plan_rights(plan, address);
    const bool is_pmp = plan->unit.kind == ACRE_MPU_PMP;
    return is.user == want.user && (is_any || is_pmp || is.privileged == want.privileged);
}

/* Every byte of the window, in steps of the unit's grain; the ends of each wish byte by byte. */
static void check_plan(const acre_domain_plan *plan, const acre_wish *wishes, size_t count)
{
    const uint32_t step = plan->unit.kind == ACRE_MPU_PMP ? 4 : 32;
    for (uint32_t at = 0; at < WINDOW_BYTES; at += step) assert_true(is_right(plan, wishes, count, WINDOW + at));
    for (size_t i = 0; i < count; i++) {
        for (int near = -40; near < 40; near++) {
            assert_true(is_right(plan, wishes, count, (uint32_t)wishes[i].base + (uint32_t)near));
            assert_true(is_right(plan, wishes, count, (uint32_t)(wishes[i].base + wishes[i].size_bytes) + (uint32_t)near));
        }
    }
}

static unsigned planned_count, refused_count;
static uint64_t exposed_sum;

static void plan_randomly(const char *name, uint32_t grain, uint64_t expose_bytes_max)
{
    acre_mpu unit;
    assert_int_equal(acre_mpu_named(name, &unit), ACRE_OK);
    planned_count = refused_count = 0;
    exposed_sum = 0;
    for (unsigned round = 0; round < 1000; round++) {
        acre_wish wishes[ACRE_WISHES_MAX];
        const size_t count = random_wishes(wishes, grain, unit.kind == ACRE_MPU_PMP);
        acre_domain_plan plan;
        if (acre_domain_make_plan(&unit, wishes, count, expose_bytes_max, &plan) != ACRE_OK) {
            assert_int_equal(acre_last_status(), ACRE_UNSUPPORTED);
            refused_count++;
            continue;
        }
        planned_count++;
        exposed_sum += plan.exposed_bytes;
        assert_true(plan.exposed_bytes <= expose_bytes_max && (expose_bytes_max > 0 || plan.exposure_count == 0));
        check_plan(&plan, wishes, count);
    }
    print_message("%s, grain %u, %u bytes beside: %u planned, %u refused, %u bytes exposed on average\n", name, (unsigned)grain,
                  (unsigned)expose_bytes_max, planned_count, refused_count,
                  planned_count == 0 ? 0 : (unsigned)(exposed_sum / planned_count));
}

static void plans_open_what_was_wished_and_nothing_else(void **state)
{
    plan_randomly("v7m-8", 32, 0);
    assert_true(planned_count > 400); /* of odd sizes some take too many regions */
    plan_randomly("v7m-16", 32, 0);
    assert_true(planned_count > 700);
    plan_randomly("v6m-8", 256, 0);
    assert_true(planned_count > 300);
    plan_randomly("v8m-8", 32, 0);
    assert_int_equal(planned_count, 1000); /* each takes one */
    plan_randomly("pmp-16", 4, 0);
    assert_int_equal(planned_count, 1000);
}

static void what_is_exposed_is_told_byte_by_byte(void **state)
{
    plan_randomly("v7m-8", 32, 4096);
    assert_true(planned_count > 950); /* where wishes lie close, there is nothing beside them */
    plan_randomly("v7m-8", 4, 256);
    assert_true(planned_count > 300 && exposed_sum > 0);
    plan_randomly("v8m-8", 4, 256);
    assert_true(planned_count > 300 && exposed_sum > 0);
    plan_randomly("pmp-8", 1, 64);
    assert_true(planned_count > 300 && exposed_sum > 0);
}

/* The fewest bytes that regions of a power of two would take: what a linker script does today. */
static uint64_t power_of_two_waste(uint64_t size)
{
    uint64_t room = 32;
    while (room < size) room *= 2;
    return room - size;
}

static void placing_wastes_less_than_powers_of_two(void **state)
{
    acre_mpu unit;
    assert_int_equal(acre_mpu_named("v7m-8", &unit), ACRE_OK);
    uint64_t wasted_sum = 0, plain_sum = 0;
    for (unsigned round = 0; round < 1000; round++) {
        acre_wish wishes[8];
        uint64_t room[8], wasted;
        const size_t count = 1 + random_below(8);
        for (size_t i = 0; i < count; i++) {
            wishes[i] = (acre_wish){.name = "w",
                                    .base = ACRE_PLACE_ANYWHERE,
                                    .size_bytes = 1 + random_below(1u << (4 + random_below(10))),
                                    .user = R | W,
                                    .privileged = ACRE_RIGHTS_ANY,
                                    .is_device = i % 2};
            plain_sum += power_of_two_waste(wishes[i].size_bytes);
        }
        assert_int_equal(acre_domain_place(&unit, WINDOW + 32, 1 << 20, wishes, count, room, &wasted), ACRE_OK);
        wasted_sum += wasted;
        for (size_t i = 0; i < count; i++) {
            assert_true(wishes[i].base >= WINDOW + 32 && room[i] >= wishes[i].size_bytes);
            for (size_t other = 0; other < i; other++)
                assert_true(wishes[i].base >= wishes[other].base + room[other] || wishes[other].base >= wishes[i].base + room[i]);
        }
        for (size_t i = 0; i < count; i++) wishes[i].size_bytes = room[i];
        acre_domain_plan plan;
        assert_int_equal(acre_domain_make_plan(&unit, wishes, count, 0, &plan), ACRE_OK);
        assert_true(plan.entry_count <= count);
    }
    print_message("placing wastes %u %% of what powers of two waste\n", (unsigned)(100 * wasted_sum / plain_sum));
    assert_true(10 * wasted_sum <= 6 * plain_sum);

    acre_wish much = {.name = "much", .base = ACRE_PLACE_ANYWHERE, .size_bytes = 4097, .user = R, .privileged = ACRE_RIGHTS_ANY};
    assert_int_equal(acre_domain_place(&unit, WINDOW, 5000, &much, 1, NULL, NULL), ACRE_NO_MEMORY);
    assert_non_null(strstr(acre_last_error(), "'much'"));
}

/* ---- switching ---- */

static const acre_domain_plan *switched_from, *switched_to;
static const acre_wish *edges;
static size_t edge_count;

/* At no instant may an address have a right that neither plan gives it, nor one of both where they differ. */
static void look_at_rights(void)
{
    for (size_t i = 0; i < edge_count; i++) {
        for (int end = 0; end < 4; end++) {
            const uint32_t address = (uint32_t)(edges[i].base + (end < 2 ? 0 : edges[i].size_bytes)) - (end % 2 == 0 ? 1 : 0);
            const rights is = v7m_rights((const uint32_t(*)[2])unit_regions, 16, address);
            const rights old = plan_rights(switched_from, address), new = plan_rights(switched_to, address);
            assert_true((is.user & ~(old.user | new.user)) == 0);
        }
    }
}

/* What is open that the new plan does not open, and what is open that the old one did not: never both at once. */
static bool has_both(void)
{
    bool has_old = false, has_new = false;
    for (size_t i = 0; i < edge_count; i++) {
        const uint32_t address = (uint32_t)edges[i].base;
        const rights is = v7m_rights((const uint32_t(*)[2])unit_regions, 16, address);
        const rights old = plan_rights(switched_from, address), new = plan_rights(switched_to, address);
        has_old = has_old || (is.user & old.user & ~new.user) != 0;
        has_new = has_new || (is.user & new.user & ~old.user) != 0;
    }
    return has_old && has_new;
}

static void a_switch_writes_what_differs_and_never_opens_both(void **state)
{
    for (int unit_kind = 0; unit_kind < 2; unit_kind++) {
        acre_mpu unit;
        assert_int_equal(acre_mpu_named(unit_kind == 0 ? "v7m-4" : "v7m-8", &unit), ACRE_OK);
        unit.first_entry = unit_kind == 0 ? 4 : 0;
        acre_domain_plan now;
        assert_int_equal(acre_domain_make_plan(&unit, NULL, 0, 0, &now), ACRE_OK);
        memset(unit_regions, 0, sizeof unit_regions);
        for (unsigned round = 0; round < 2000; round++) {
            static acre_wish wishes[ACRE_WISHES_MAX];
            acre_domain_plan next;
            const size_t count = random_wishes(wishes, 32, false);
            if (acre_domain_make_plan(&unit, wishes, count, 1 << 12, &next) != ACRE_OK) continue;
            switched_from = &now;
            switched_to = &next;
            edges = wishes;
            edge_count = count;
            store_count = 0;
            traced_switch_v7m(&now, &next, NULL);
            assert_false(has_both());
            unsigned changed = 0;
            for (uint32_t i = 0; i < unit.entry_count; i++) {
                changed += memcmp(&now.entries[i], &next.entries[i], sizeof next.entries[i]) != 0;
                assert_int_equal(unit_regions[unit.first_entry + i][0], next.entries[i].base & ~31u);
                assert_int_equal(unit_regions[unit.first_entry + i][1], next.entries[i].attributes);
            }
            assert_int_equal(store_count, 4 * changed);
            store_count = 0;
            traced_switch_v7m(&next, &next, NULL);
            assert_int_equal(store_count, 0);
            now = next;
        }
    }
}

static void a_switch_of_v8m_leaves_the_new_plan(void **state)
{
    acre_mpu unit;
    assert_int_equal(acre_mpu_named("v8m-8", &unit), ACRE_OK);
    const acre_wish one = {"one", WINDOW, 96, R, ACRE_RIGHTS_ANY, false},
                    two[] = {{"two", WINDOW + 64, 64, R | W, ACRE_RIGHTS_ANY, false}, {"three", WINDOW, 32, R | X, ACRE_RIGHTS_ANY, true}};
    acre_domain_plan from, to;
    uint32_t registers[5] = {0};
    assert_int_equal(acre_domain_make_plan(&unit, &one, 1, 0, &from), ACRE_OK);
    assert_int_equal(acre_domain_make_plan(&unit, two, 2, 0, &to), ACRE_OK);
    acre_domain_switch_v8m(&from, &to, registers);
    assert_int_equal(registers[2], 1); /* the last that was written */
    assert_int_equal(registers[3], to.entries[1].base);
    assert_int_equal(registers[4], to.entries[1].attributes);
    assert_int_equal(to.entries[0].attributes & 0xe, 2); /* MAIR's index for devices */
    registers[2] = 77;
    acre_domain_switch_v8m(&to, &to, registers);
    assert_int_equal(registers[2], 77);
}

/* ---- bad input ---- */

static void refuse(const char *name, acre_wish wish, uint64_t expose, acre_status status, const char *says)
{
    acre_mpu unit;
    acre_domain_plan plan;
    assert_int_equal(acre_mpu_named(name, &unit), ACRE_OK);
    memset(&plan, 0x5a, sizeof plan);
    const acre_domain_plan before = plan;
    assert_int_equal(acre_domain_make_plan(&unit, &wish, 1, expose, &plan), status);
    assert_memory_equal(&plan, &before, sizeof plan);
    if (strstr(acre_last_error(), says) == NULL) fail_msg("'%s' does not say '%s'", acre_last_error(), says);
}

static void what_a_unit_cannot_do_is_refused_with_the_reason(void **state)
{
    const uint8_t any = ACRE_RIGHTS_ANY;
    refuse("v7m-8", (acre_wish){"odd", WINDOW + 8, 64, R, any, false}, 0, ACRE_UNSUPPORTED, "'odd'");
    refuse("v8m-8", (acre_wish){"odd", WINDOW, 100, R, any, false}, 0, ACRE_UNSUPPORTED, "'odd'");
    refuse("v8m-8", (acre_wish){"odd", WINDOW, 100, R, any, false}, 27, ACRE_UNSUPPORTED, "27 bytes beside");
    refuse("pmp-8", (acre_wish){"odd", WINDOW, 3, R, any, false}, 0, ACRE_UNSUPPORTED, "'odd'");
    refuse("pages-4096", (acre_wish){"odd", WINDOW, 4095, R, any, false}, 0, ACRE_UNSUPPORTED, "pages of 4096");
    refuse("v8m-8", (acre_wish){"mixed", WINDOW, 64, R, R | W, false}, 0, ACRE_UNSUPPORTED,
           "rights r for unprivileged and rw for privileged");
    refuse("v7m-8", (acre_wish){"mixed", WINDOW, 64, R | W, R, false}, 0, ACRE_UNSUPPORTED, "no such pair");
    refuse("v7m-8", (acre_wish){"mixed", WINDOW, 64, R | X, R, false}, 0, ACRE_UNSUPPORTED, "no such pair");
    refuse("v7m-8", (acre_wish){"write only", WINDOW, 64, W, W, false}, 0, ACRE_UNSUPPORTED, "no such pair");
    refuse("pmp-8", (acre_wish){"machine", WINDOW, 64, R, R, false}, 0, ACRE_UNSUPPORTED, "no such pair");
    refuse("pmp-8", (acre_wish){"write only", WINDOW, 64, W, any, false}, 0, ACRE_UNSUPPORTED, "no such pair");
    refuse("v7m-8", (acre_wish){"empty", WINDOW, 0, R, any, false}, 0, ACRE_INVALID, "empty");
    refuse("v7m-8", (acre_wish){"over", 0xfffff000, 0x2000, R, any, false}, 0, ACRE_INVALID, "out of the address space");
    refuse("v7m-8", (acre_wish){"rights", WINDOW, 32, 8, any, false}, 0, ACRE_INVALID, "no rights");

    acre_mpu unit;
    acre_domain_plan plan;
    assert_int_equal(acre_mpu_named("v7m-2", &unit), ACRE_OK);
    const acre_wish wishes[] = {{"a", WINDOW, 64, R, any, false}, {"b", WINDOW + 32, 64, R, any, false}};
    assert_int_equal(acre_domain_make_plan(&unit, wishes, 2, 0, &plan), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "inside of 'a'"));
    const acre_wish far[] = {
        {"a", WINDOW, 32, R, any, false}, {"b", WINDOW + 1024, 32, R, any, false}, {"c", WINDOW + 4096, 32, R, any, false}};
    assert_int_equal(acre_domain_make_plan(&unit, far, 3, 0, &plan), ACRE_UNSUPPORTED);
    assert_non_null(strstr(acre_last_error(), "too few"));
    assert_int_equal(acre_domain_make_plan(NULL, far, 3, 0, &plan), ACRE_INVALID);
    assert_int_equal(acre_domain_make_plan(&unit, NULL, 3, 0, &plan), ACRE_INVALID);
    assert_int_equal(acre_domain_make_plan(&unit, far, ACRE_WISHES_MAX + 1, 0, &plan), ACRE_INVALID);
    assert_int_equal(acre_domain_place(NULL, 0, 0, NULL, 0, NULL, NULL), ACRE_INVALID);
    static const char *const bad[] = {
        "", "v7m", "v7m-", "v7m-0", "v7m-17", "v7m-8x", "x", "pages-100", "pages-0", "pmp-99999999999999999999", "v"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_int_equal(acre_mpu_named(bad[i], &unit), ACRE_INVALID);
    assert_int_equal(acre_mpu_named(NULL, &unit), ACRE_INVALID);
    /* The whole address space in one region, and its last bytes. */
    assert_int_equal(acre_mpu_named("v7m-1", &unit), ACRE_OK);
    const acre_wish all = {"all", 0, (uint64_t)1 << 32, R, any, false}, last = {"last", 0xffffffe0, 32, R, any, false};
    assert_int_equal(acre_domain_make_plan(&unit, &all, 1, 0, &plan), ACRE_OK);
    assert_int_equal(plan_rights(&plan, 0xffffffff).user, R);
    assert_int_equal(acre_domain_make_plan(&unit, &last, 1, 0, &plan), ACRE_OK);
    assert_int_equal(plan_rights(&plan, 0xffffffff).user, R);
    assert_int_equal(plan_rights(&plan, 0xffffffdf).user, 0);
}

/* ---- owners and faults ---- */

static const acre_grant grants[] = {{1, R}};
static const acre_owned_range ranges[] = {
    {.name = "samples",
     .base = WINDOW,
     .size_bytes = 256,
     .owner = 0,
     .rights = R | W,
     .privileged = ACRE_RIGHTS_ANY,
     .grant_count = 1,
     .grants = grants},
    {.name = "stack", .base = WINDOW + 512, .size_bytes = 512, .owner = 1, .rights = R | W, .privileged = ACRE_RIGHTS_ANY},
};
static const char *const names[] = {"sensor", "radio"};

static void a_domain_gets_what_it_owns_and_was_granted(void **state)
{
    acre_wish wishes[4];
    assert_int_equal(acre_domain_wishes(ranges, 2, 0, wishes, 4), 1);
    assert_true(wishes[0].base == WINDOW && wishes[0].user == (R | W));
    assert_int_equal(acre_domain_wishes(ranges, 2, 1, wishes, 4), 2);
    assert_true(wishes[0].user == R && wishes[1].user == (R | W) && strcmp(wishes[1].name, "stack") == 0);
    assert_int_equal(acre_domain_wishes(ranges, 2, 1, wishes, 1), 2);
    assert_int_equal(acre_domain_wishes(ranges, 2, 7, NULL, 0), 0);
}

static void a_trap_is_told_with_domain_owner_and_place(void **state)
{
    acre_trap trap;
    acre_fault fault;
    char text[300];
    assert_true(acre_trap_of_riscv(7, WINDOW + 516, 0x80000100, &trap));
    acre_trap_describe(&trap, ranges, 2, names, 0, &fault);
    assert_true(acre_fault_text(&fault, text, sizeof text) < sizeof text);
    assert_string_equal(
        text, "acre: domain 'sensor': write of 0x20000204: the domain has no right to it ('stack' of domain 'radio', 512 bytes at "
              "0x20000200; offset 4)");
    assert_true(acre_fault_json(&fault, text, sizeof text) < sizeof text);
    assert_non_null(strstr(text, "\"kind\":\"protection\""));
    assert_non_null(strstr(text, "\"access\":\"write\",\"offset\":4,\"domain\":\"sensor\",\"owner\":\"radio\""));

    assert_true(acre_trap_of_cortex_m(0x82, WINDOW + 256, 0x1000, &trap)); /* data access, address valid */
    assert_true(trap.has_address && trap.address == WINDOW + 256 && trap.pc == 0x1000);
    acre_trap_describe(&trap, ranges, 2, names, 1, &fault);
    assert_true(acre_fault_text(&fault, text, sizeof text) < sizeof text);
    assert_string_equal(text, "acre: domain 'radio': access of 0x20000100: it is nobody's memory");
    assert_true(acre_trap_of_cortex_m(0x10, WINDOW, 0x1000, &trap)); /* while pushing: MMFAR is not valid */
    assert_false(trap.has_address);
    acre_trap_describe(&trap, ranges, 2, names, 1, &fault);
    assert_true(acre_fault_text(&fault, text, sizeof text) < sizeof text);
    assert_non_null(strstr(text, "'radio': an access that it has no right to; the processor does not say where"));
    assert_true(acre_trap_of_cortex_m(0x01, WINDOW, 0x2000, &trap)); /* execution */
    assert_true(trap.has_address && trap.address == 0x2000 && trap.touch == ACRE_TOUCH_EXECUTE);
    assert_false(acre_trap_of_cortex_m(0x100, 0, 0, &trap)); /* a bus fault */
    assert_false(acre_trap_of_riscv(2, 0, 0, &trap));        /* an illegal instruction */
    assert_false(acre_trap_of_riscv(5, 0, 0, NULL));
    assert_int_equal(acre_trap_skip_bytes(ACRE_MPU_V7M, 0x7802), 2); /* ldrb */
    assert_int_equal(acre_trap_skip_bytes(ACRE_MPU_V8M, 0xe9d0), 4); /* ldrd */
    assert_int_equal(acre_trap_skip_bytes(ACRE_MPU_PMP, 0x4108), 2); /* c.lw */
    assert_int_equal(acre_trap_skip_bytes(ACRE_MPU_PMP, 0x2503), 4); /* lw */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_open_what_was_wished_and_nothing_else), cmocka_unit_test(what_is_exposed_is_told_byte_by_byte),
        cmocka_unit_test(placing_wastes_less_than_powers_of_two),      cmocka_unit_test(a_switch_writes_what_differs_and_never_opens_both),
        cmocka_unit_test(a_switch_of_v8m_leaves_the_new_plan),         cmocka_unit_test(what_a_unit_cannot_do_is_refused_with_the_reason),
        cmocka_unit_test(a_domain_gets_what_it_owns_and_was_granted),  cmocka_unit_test(a_trap_is_told_with_domain_owner_and_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
