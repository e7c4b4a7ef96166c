/* domain.c - see acre/domain.h. Wishes that touch and have the same rights become one *stretch*; each stretch has a price list, the fewest
 * bytes that it exposes with so many entries; and the best choice of all of them is found stretch by stretch. */
#include "base/bits.h"
#include "base/status.h"
#include "guard/mpu.h"

#include <string.h>

enum { ADDRESS_BITS = 32, ROUNDING_SHIFT_MAX = 28 };
#define NO_WAY (~(uint64_t)0)

acre_status acre_mpu_named(const char *name, acre_mpu *unit)
{
    static const struct {
        const char *prefix;
        acre_mpu unit;
    } kinds[] = {
        {"v7m-", {.kind = ACRE_MPU_V7M, .grain_bytes = 32}},
        {"v6m-", {.kind = ACRE_MPU_V7M, .grain_bytes = 256}},
        {"v8m-", {.kind = ACRE_MPU_V8M, .grain_bytes = 32}},
        {"pmp-", {.kind = ACRE_MPU_PMP, .grain_bytes = 4}},
        {"pages-", {.kind = ACRE_MPU_PAGES, .entry_count = ACRE_WISHES_MAX}},
    };
    if (name == NULL || unit == NULL) return acre_fail(ACRE_INVALID, "a memory protection unit: no name, or nowhere to put it");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *at = name;
        for (const char *prefix = kinds[i].prefix; *prefix != 0 && *prefix == *at; prefix++) at++;
        if (at[-(at != name)] != '-') continue; /* it did not match to its end */
        uint64_t number = 0;
        for (; *at >= '0' && *at <= '9' && number < (uint64_t)1 << ADDRESS_BITS; at++) number = 10 * number + (uint64_t)(*at - '0');
        const bool is_pages = kinds[i].unit.kind == ACRE_MPU_PAGES;
        if (*at != 0 || number == 0 || (is_pages ? !acre_is_power_of_two(number) || number > 1u << 30 : number > ACRE_MPU_ENTRIES_MAX))
            break;
        *unit = kinds[i].unit;
        *(is_pages ? &unit->grain_bytes : &unit->entry_count) = (uint32_t)number;
        return ACRE_OK;
    }
    return acre_fail(ACRE_INVALID, "'%s' is no memory protection unit: v7m-8, v6m-8, v8m-8, pmp-16, pages-4096; at most %d regions", name,
                     (int)ACRE_MPU_ENTRIES_MAX);
}

/* ---- wishes ---- */

typedef struct stretch {
    uint64_t base;
    uint64_t end;
    uint64_t lowest; /* as far as it may be rounded: the stretches beside it */
    uint64_t highest;
    uint32_t attributes;
    uint32_t wish;                                 /* the first of them */
    uint64_t exposed[ACRE_MPU_ENTRIES_MAX + 1];    /* with so many entries; NO_WAY */
    uint8_t rounding[ACRE_MPU_ENTRIES_MAX + 1][2]; /* shifts of the base and of the end */
} stretch;

static const char *rights_text(unsigned rights, char *text)
{
    char *at = text;
    if (rights == ACRE_RIGHTS_ANY) return "any";
    if ((rights & ACRE_RIGHT_READ) != 0) *at++ = 'r';
    if ((rights & ACRE_RIGHT_WRITE) != 0) *at++ = 'w';
    if ((rights & ACRE_RIGHT_EXECUTE) != 0) *at++ = 'x';
    if (at == text) *at++ = '-';
    *at = 0;
    return text;
}

static const char *name_of(const acre_wish *wish) { return wish->name != NULL ? wish->name : "?"; }

static const char *const kind_texts[] = {"ARMv7-M unit", "ARMv8-M unit", "RISC-V PMP", "host with pages"};

static acre_status check_wish(const acre_mpu *unit, const acre_wish *wish)
{
    const uint64_t limit = unit->kind == ACRE_MPU_PAGES ? ~(uint64_t)0 : ((uint64_t)1 << ADDRESS_BITS) - 1; /* the last address */
    const unsigned all = ACRE_RIGHT_READ | ACRE_RIGHT_WRITE | ACRE_RIGHT_EXECUTE;
    if (wish->size_bytes == 0 || wish->base > limit || wish->size_bytes - 1 > limit - wish->base || (wish->user & ~all) != 0 ||
        (wish->privileged != ACRE_RIGHTS_ANY && (wish->privileged & ~all) != 0)) {
        return acre_fail(ACRE_INVALID,
                         "wish '%s': %llu bytes at 0x%llx with rights 0x%x and 0x%x: empty, out of the address space, or no rights",
                         name_of(wish), (unsigned long long)wish->size_bytes, (unsigned long long)wish->base, (unsigned)wish->user,
                         (unsigned)wish->privileged);
    }
    return ACRE_OK;
}

static acre_status find_attributes(const acre_mpu *unit, const acre_wish *wish, uint32_t *attributes)
{
    bool can = wish->privileged == ACRE_RIGHTS_ANY; /* a host's kernel */
    *attributes = wish->user;
    if (unit->kind == ACRE_MPU_V7M) can = acre_v7m_attributes(wish, attributes);
    if (unit->kind == ACRE_MPU_V8M) can = acre_v8m_attributes(wish, attributes);
    if (unit->kind == ACRE_MPU_PMP) can = acre_pmp_attributes(wish, attributes);
    if (can) return ACRE_OK;
    char user[4], privileged[4];
    return acre_fail(ACRE_UNSUPPORTED, "wish '%s': rights %s for unprivileged and %s for privileged code: the %s has no such pair",
                     name_of(wish), rights_text(wish->user, user), rights_text(wish->privileged, privileged), kind_texts[unit->kind]);
}

/* Makes stretches of the wishes, in the order of their addresses. */
static acre_status make_stretches(const acre_mpu *unit, const acre_wish *wishes, size_t wish_count, stretch *stretches,
                                  uint32_t *stretch_count)
{
    uint8_t order[ACRE_WISHES_MAX];
    for (size_t i = 0; i < wish_count; i++) {
        const acre_status status = check_wish(unit, &wishes[i]);
        if (status != ACRE_OK) return status;
        size_t place = i;
        for (; place > 0 && wishes[order[place - 1]].base > wishes[i].base; place--) order[place] = order[place - 1];
        order[place] = (uint8_t)i;
    }
    uint32_t count = 0;
    for (size_t i = 0; i < wish_count; i++) {
        const acre_wish *const wish = &wishes[order[i]];
        uint32_t attributes;
        const acre_status status = find_attributes(unit, wish, &attributes);
        if (status != ACRE_OK) return status;
        stretch *const before = count == 0 ? NULL : &stretches[count - 1];
        const uint64_t end = wish->base + wish->size_bytes;
        if (before != NULL && wish->base < before->end) {
            return acre_fail(ACRE_INVALID, "wish '%s' at 0x%llx begins inside of '%s'", name_of(wish), (unsigned long long)wish->base,
                             name_of(&wishes[order[i - 1]]));
        }
        if (before != NULL && before->end == wish->base && before->attributes == attributes) {
            before->end = end;
            continue;
        }
        stretches[count] = (stretch){.base = wish->base,
                                     .end = end,
                                     .attributes = attributes,
                                     .wish = order[i],
                                     .lowest = before == NULL ? 0 : before->end,
                                     .highest = (uint64_t)1 << ADDRESS_BITS};
        if (before != NULL) before->highest = wish->base;
        count++;
    }
    *stretch_count = count;
    return ACRE_OK;
}

/* ---- the price list of a stretch ---- */

static uint32_t cover(const acre_mpu *unit, const stretch *of, uint64_t base, uint64_t end, uint32_t first, uint64_t previous_end,
                      acre_mpu_entry *entries, uint32_t entry_max)
{
    if (unit->kind == ACRE_MPU_V7M) return acre_v7m_cover(unit, base, end, of->attributes, unit->first_entry + first, entries, entry_max);
    if (unit->kind == ACRE_MPU_V8M) return acre_v8m_cover(unit, base, end, of->attributes, entries, entry_max);
    return acre_pmp_cover(unit, base, end, of->attributes, previous_end, entries, entry_max);
}

static uint64_t rounded_base(const stretch *of, unsigned shift) { return acre_align_down(of->base, (uint64_t)1 << shift); }
static uint64_t rounded_end(const stretch *of, unsigned shift) { return acre_align_up(of->end, (uint64_t)1 << shift); }

static void price(const acre_mpu *unit, stretch *of, uint64_t expose_bytes_max)
{
    for (uint32_t n = 0; n <= ACRE_MPU_ENTRIES_MAX; n++) of->exposed[n] = NO_WAY;
    for (unsigned low = 0; low <= ROUNDING_SHIFT_MAX; low++) {
        const uint64_t base = rounded_base(of, low);
        if (base < of->lowest || of->base - base > expose_bytes_max) break;
        if (low > 0 && base == rounded_base(of, low - 1)) continue;
        for (unsigned high = 0; high <= ROUNDING_SHIFT_MAX; high++) {
            const uint64_t end = rounded_end(of, high);
            const uint64_t exposed = of->base - base + (end - of->end);
            if (end > of->highest || exposed > expose_bytes_max) break;
            if (high > 0 && end == rounded_end(of, high - 1)) continue;
            const uint32_t count = cover(unit, of, base, end, 0, 0, NULL, 0);
            if (count == 0 || count > unit->entry_count || exposed >= of->exposed[count]) continue;
            of->exposed[count] = exposed;
            of->rounding[count][0] = (uint8_t)low;
            of->rounding[count][1] = (uint8_t)high;
        }
    }
}

/* ---- the plan ---- */

/* The number of entries for each stretch so that together they fit and expose fewest bytes. False: there is none. */
static bool choose(const stretch *stretches, uint32_t stretch_count, uint32_t entry_count, uint64_t expose_bytes_max, uint8_t *chosen)
{
    uint64_t best[ACRE_MPU_ENTRIES_MAX + 1]; /* of the stretches so far, with at most so many entries */
    uint8_t taken[ACRE_WISHES_MAX][ACRE_MPU_ENTRIES_MAX + 1];
    (void)memset(best, 0, sizeof best);
    for (uint32_t i = 0; i < stretch_count; i++) {
        for (uint32_t left = entry_count + 1; left-- > 0;) {
            uint64_t least = NO_WAY;
            for (uint32_t n = 1; n <= left; n++) {
                const uint64_t own = stretches[i].exposed[n], others = best[left - n];
                if (own == NO_WAY || others == NO_WAY || own + others >= least) continue;
                least = own + others;
                taken[i][left] = (uint8_t)n;
            }
            best[left] = least;
        }
    }
    if (best[entry_count] == NO_WAY || best[entry_count] > expose_bytes_max) return false;
    for (uint32_t i = stretch_count, left = entry_count; i-- > 0; left -= chosen[i]) chosen[i] = taken[i][left];
    return true;
}

static void put(acre_domain_plan *plan, const stretch *of, uint32_t entries_for_it, uint64_t *previous_end)
{
    const uint64_t base = rounded_base(of, of->rounding[entries_for_it][0]), end = rounded_end(of, of->rounding[entries_for_it][1]);
    plan->entry_count += cover(&plan->unit, of, base, end, plan->entry_count, *previous_end, plan->entries + plan->entry_count,
                               ACRE_MPU_ENTRIES_MAX - plan->entry_count);
    *previous_end = end;
    if (base == of->base && end == of->end) return;
    plan->exposures[plan->exposure_count++] = (acre_exposure){.wish = of->wish, .base = base, .size_bytes = end - base};
    plan->exposed_bytes += of->base - base + (end - of->end);
}

/* Entries that are not used are off, and known by their number. */
static void put_rest(acre_domain_plan *plan)
{
    for (uint32_t i = plan->entry_count; i < plan->unit.entry_count; i++) {
        const uint32_t number = plan->unit.kind == ACRE_MPU_V7M ? 1u << 4 | (plan->unit.first_entry + i) : 0;
        plan->entries[i] = (acre_mpu_entry){.base = number};
    }
}

/* On a host each wish is a call of its own, and only its ends matter. */
static acre_status plan_pages(const acre_wish *wishes, const stretch *stretches, uint32_t stretch_count, uint64_t expose_bytes_max,
                              acre_domain_plan *plan)
{
    const unsigned shift = acre_log2_floor(plan->unit.grain_bytes);
    uint64_t end_before = 0;
    for (uint32_t i = 0; i < stretch_count; i++) {
        const stretch *const of = &stretches[i];
        const uint64_t base = rounded_base(of, shift), end = rounded_end(of, shift);
        plan->exposed_bytes += of->base - base + (end - of->end);
        if (base < end_before || plan->exposed_bytes > expose_bytes_max) {
            return acre_fail(ACRE_UNSUPPORTED, "wish '%s': 0x%llx to 0x%llx does not end at pages of %u bytes", name_of(&wishes[of->wish]),
                             (unsigned long long)of->base, (unsigned long long)of->end, (unsigned)plan->unit.grain_bytes);
        }
        end_before = end;
        if (base != of->base || end != of->end)
            plan->exposures[plan->exposure_count++] = (acre_exposure){.wish = of->wish, .base = base, .size_bytes = end - base};
    }
    plan->entry_count = stretch_count;
    return ACRE_OK;
}

acre_status acre_domain_make_plan(const acre_mpu *unit, const acre_wish *wishes, size_t wish_count, uint64_t expose_bytes_max,
                                  acre_domain_plan *plan)
{
    if (unit == NULL || plan == NULL || (wishes == NULL && wish_count > 0) || wish_count > ACRE_WISHES_MAX ||
        (unsigned)unit->kind > ACRE_MPU_PAGES || unit->entry_count > ACRE_MPU_ENTRIES_MAX || !acre_is_power_of_two(unit->grain_bytes)) {
        return acre_fail(ACRE_INVALID, "a plan of %zu wishes: no unit, no wishes, nowhere to put it, or more than %d", wish_count,
                         (int)ACRE_WISHES_MAX);
    }
    stretch stretches[ACRE_WISHES_MAX];
    uint32_t stretch_count = 0;
    acre_status status = make_stretches(unit, wishes, wish_count, stretches, &stretch_count);
    if (status != ACRE_OK) return status;
    acre_domain_plan made = {.unit = *unit};
    if (unit->kind == ACRE_MPU_PAGES) {
        status = plan_pages(wishes, stretches, stretch_count, expose_bytes_max, &made);
        if (status == ACRE_OK) *plan = made;
        return status;
    }
    for (uint32_t i = 0; i < stretch_count; i++) {
        price(unit, &stretches[i], expose_bytes_max);
        bool has_way = false;
        for (uint32_t n = 1; n <= unit->entry_count; n++) has_way = has_way || stretches[i].exposed[n] != NO_WAY;
        if (!has_way) {
            return acre_fail(ACRE_UNSUPPORTED,
                             "wish '%s': the %s has no way to cut out 0x%llx to 0x%llx with %u entries and %llu bytes beside it",
                             name_of(&wishes[stretches[i].wish]), kind_texts[unit->kind], (unsigned long long)stretches[i].base,
                             (unsigned long long)stretches[i].end, (unsigned)unit->entry_count, (unsigned long long)expose_bytes_max);
        }
    }
    uint8_t chosen[ACRE_WISHES_MAX];
    if (!choose(stretches, stretch_count, unit->entry_count, expose_bytes_max, chosen)) {
        return acre_fail(ACRE_UNSUPPORTED, "%zu wishes: %u entries of the %s are too few with %llu bytes beside them", wish_count,
                         (unsigned)unit->entry_count, kind_texts[unit->kind], (unsigned long long)expose_bytes_max);
    }
    uint64_t previous_end = 0;
    for (uint32_t i = 0; i < stretch_count; i++) put(&made, &stretches[i], chosen[i], &previous_end);
    put_rest(&made);
    *plan = made;
    return ACRE_OK;
}

/* ---- placing ---- */

static acre_cut cut_of(const acre_mpu *unit, uint64_t size)
{
    if (unit->kind == ACRE_MPU_V7M) return acre_v7m_cut(unit, size);
    if (unit->kind != ACRE_MPU_PMP) return (acre_cut){acre_align_up(size, unit->grain_bytes), unit->grain_bytes, 0};
    const uint64_t room = size <= 4 ? 4 : (uint64_t)1 << acre_log2_ceil(size);
    return (acre_cut){room, room, 0};
}

/* The lowest place from `at` on that the cut allows. */
static uint64_t allowed_place(const acre_cut *cut, uint64_t at)
{
    const uint64_t place = acre_align_up(at, cut->alignment);
    if (cut->border == 0 || place / cut->border == (place + cut->room_bytes - 1) / cut->border) return place;
    return acre_align_up(place, cut->border);
}

acre_status acre_domain_place(const acre_mpu *unit, acre_addr base, uint64_t size_bytes, acre_wish *wishes, size_t wish_count,
                              uint64_t *room_bytes, uint64_t *wasted_bytes)
{
    uint64_t wasted = 0;
    if (wasted_bytes != NULL) *wasted_bytes = 0;
    if (unit == NULL || (wishes == NULL && wish_count > 0) || wish_count > ACRE_WISHES_MAX || !acre_is_power_of_two(unit->grain_bytes) ||
        base > (uint64_t)1 << 62 || size_bytes > (uint64_t)1 << 62) {
        return acre_fail(ACRE_INVALID, "placing %zu wishes in %llu bytes at 0x%llx: no unit, no wishes, more than %d, or too many bytes",
                         wish_count, (unsigned long long)size_bytes, (unsigned long long)base, (int)ACRE_WISHES_MAX);
    }
    acre_cut cuts[ACRE_WISHES_MAX];
    uint64_t places[ACRE_WISHES_MAX];
    bool is_placed[ACRE_WISHES_MAX];
    for (size_t i = 0; i < wish_count; i++) {
        is_placed[i] = wishes[i].base != ACRE_PLACE_ANYWHERE;
        if (wishes[i].size_bytes == 0 || wishes[i].size_bytes > (uint64_t)1 << 62)
            return acre_fail(ACRE_INVALID, "wish '%s' has %llu bytes", name_of(&wishes[i]), (unsigned long long)wishes[i].size_bytes);
        cuts[i] = is_placed[i] ? (acre_cut){wishes[i].size_bytes, 1, 0} : cut_of(unit, wishes[i].size_bytes);
        places[i] = wishes[i].base;
        if (room_bytes != NULL) room_bytes[i] = cuts[i].room_bytes;
    }
    for (;;) {
        size_t next = wish_count; /* the one with the most room that has no place yet */
        for (size_t i = 0; i < wish_count; i++)
            if (!is_placed[i] && (next == wish_count || cuts[i].room_bytes > cuts[next].room_bytes)) next = i;
        if (next == wish_count) break;
        uint64_t place = allowed_place(&cuts[next], base);
        for (size_t i = 0; i < wish_count;) { /* each that is in the way moves it further, and then all are asked again */
            const bool is_in_the_way = is_placed[i] && place < places[i] + cuts[i].room_bytes && places[i] < place + cuts[next].room_bytes;
            if (is_in_the_way) place = allowed_place(&cuts[next], places[i] + cuts[i].room_bytes);
            i = is_in_the_way ? 0 : i + 1;
        }
        if (place < base || cuts[next].room_bytes > size_bytes || place - base > size_bytes - cuts[next].room_bytes) {
            return acre_fail(ACRE_NO_MEMORY, "wish '%s' of %llu bytes takes %llu: %llu bytes at 0x%llx have no such place left",
                             name_of(&wishes[next]), (unsigned long long)wishes[next].size_bytes, (unsigned long long)cuts[next].room_bytes,
                             (unsigned long long)size_bytes, (unsigned long long)base);
        }
        places[next] = place;
        is_placed[next] = true;
        wasted += cuts[next].room_bytes - wishes[next].size_bytes;
    }
    for (size_t i = 0; i < wish_count; i++) wishes[i].base = places[i];
    if (wasted_bytes != NULL) *wasted_bytes = wasted;
    return ACRE_OK;
}

/* ---- owners ---- */

static uint8_t rights_of(const acre_owned_range *range, uint16_t domain)
{
    if (range->owner == domain) return range->rights;
    for (size_t i = 0; i < range->grant_count; i++)
        if (range->grants[i].domain == domain) return range->grants[i].rights;
    return 0;
}

size_t acre_domain_wishes(const acre_owned_range *ranges, size_t range_count, uint16_t domain, acre_wish *wishes, size_t wish_max)
{
    size_t count = 0;
    for (size_t i = 0; i < range_count; i++) {
        const uint8_t rights = rights_of(&ranges[i], domain);
        if (rights == 0) continue;
        if (count < wish_max) {
            wishes[count] = (acre_wish){.name = ranges[i].name,
                                        .base = ranges[i].base,
                                        .size_bytes = ranges[i].size_bytes,
                                        .user = rights,
                                        .privileged = ranges[i].privileged,
                                        .is_device = ranges[i].is_device};
        }
        count++;
    }
    return count;
}

/* ---- faults ---- */

bool acre_trap_of_cortex_m(uint32_t cfsr, uint32_t mmfar, uint32_t pc, acre_trap *trap)
{
    enum { IACCVIOL = 1, DACCVIOL = 2, MUNSTKERR = 8, MSTKERR = 16, MLSPERR = 32, MMARVALID = 128 };
    if (trap == NULL || (cfsr & (IACCVIOL | DACCVIOL | MUNSTKERR | MSTKERR | MLSPERR)) == 0) return false;
    *trap = (acre_trap){.pc = pc};
    if ((cfsr & MMARVALID) != 0) {
        trap->has_address = true;
        trap->address = mmfar;
    } else if ((cfsr & IACCVIOL) != 0) { /* what was to be executed */
        trap->has_address = true;
        trap->address = pc;
        trap->touch = ACRE_TOUCH_EXECUTE;
    }
    return true;
}

bool acre_trap_of_riscv(uint32_t mcause, uint32_t mtval, uint32_t mepc, acre_trap *trap)
{
    enum { INSTRUCTION_ACCESS = 1, LOAD_ACCESS = 5, STORE_ACCESS = 7 };
    if (trap == NULL || (mcause != INSTRUCTION_ACCESS && mcause != LOAD_ACCESS && mcause != STORE_ACCESS)) return false;
    *trap = (acre_trap){.has_address = true, .address = mtval, .pc = mepc};
    trap->touch = mcause == INSTRUCTION_ACCESS ? ACRE_TOUCH_EXECUTE : mcause == LOAD_ACCESS ? ACRE_TOUCH_READ : ACRE_TOUCH_WRITE;
    return true;
}

uint32_t acre_trap_skip_bytes(acre_mpu_kind kind, uint16_t first_bits)
{
    const bool is_long = kind == ACRE_MPU_PMP ? (first_bits & 3) == 3 : first_bits >> 11 >= 0x1d;
    return is_long ? 4 : 2;
}

void acre_trap_describe(const acre_trap *trap, const acre_owned_range *ranges, size_t range_count, const char *const *domain_names,
                        uint16_t domain, acre_fault *fault)
{
    *fault = (acre_fault){.kind = ACRE_FAULT_PROTECTION,
                          .heap_name = "memory",
                          .operation = "access",
                          .address = trap->address,
                          .touch = trap->touch,
                          .domain_name = domain_names[domain],
                          .is_nowhere = !trap->has_address,
                          .use_site = {.pcs = {(void *)(uintptr_t)trap->pc}, .count = 1}};
    for (size_t i = 0; trap->has_address && i < range_count; i++) {
        if (trap->address - ranges[i].base >= ranges[i].size_bytes) continue;
        fault->heap_name = ranges[i].name;
        fault->block = ranges[i].base;
        fault->size_bytes = ranges[i].size_bytes;
        fault->offset = (int64_t)(trap->address - ranges[i].base);
        fault->owner_name = domain_names[ranges[i].owner];
    }
}
