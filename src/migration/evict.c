/* evict.c - what goes to make room in a place.
 *
 * A place's policy works on units of pages: slot i is unit i of all that can be allocated, so nothing has to be found. Its contents go home
 * only if they are newer than home's copy and nobody else has them.
 */
#include "migration/core.h"

static uint32_t unit_of(const acre_um *um, const um_block *block, unsigned page)
{
    return (um_block_number(um, block) * ACRE_BLOCK_PAGES + page) / um->rules.unit_pages;
}

static um_block *block_of_unit(acre_um *um, uint32_t unit, unsigned *first)
{
    const uint64_t page = (uint64_t)unit * um->rules.unit_pages;
    *first = (unsigned)(page % ACRE_BLOCK_PAGES);
    return &um->blocks[page / ACRE_BLOCK_PAGES];
}

static acre_page_mask mask_of_unit(const acre_um *um, unsigned first)
{
    acre_page_mask mask = {{0}};
    acre_mask_add_range(&mask, first, um->rules.unit_pages);
    return mask;
}

acre_status acre_um_open_eviction(acre_um *um, um_place *place)
{
    const uint32_t units = um->block_count * (ACRE_BLOCK_PAGES / um->rules.unit_pages);
    if (place->capacity_pages == UINT64_MAX) return ACRE_OK;
    if (um->rules.eviction == ACRE_UM_EVICT_RANDOM) {
        place->units = acre_meta_alloc(&um->meta, (size_t)units * sizeof *place->units);
        place->unit_at = acre_meta_alloc(&um->meta, (size_t)units * sizeof *place->unit_at);
        return place->units == NULL || place->unit_at == NULL ? ACRE_NO_MEMORY : ACRE_OK;
    }
    const uint64_t capacity = place->capacity_pages / um->rules.unit_pages;
    uint64_t *const keys = acre_meta_alloc(&um->meta, (size_t)units * sizeof *keys);
    if (keys == NULL) return ACRE_NO_MEMORY;
    for (uint32_t i = 0; i < units; i++) keys[i] = i;
    const acre_policy_options options = {.kind = um->rules.policy,
                                         .capacity = (acre_policy_slot)acre_min_size(capacity, units),
                                         .capacity_max = units,
                                         .keys = keys,
                                         .effort = units};
    const size_t bytes = acre_policy_bytes(&options);
    void *const memory = bytes == 0 ? NULL : acre_meta_alloc(&um->meta, bytes);
    if (memory == NULL) return ACRE_NO_MEMORY;
    return acre_policy_init(&place->policy, &options, memory, bytes);
}

/* ---- units ---- */

static bool unit_is_used(const um_place *place, uint32_t unit)
{
    return place->unit_at[unit] < place->unit_count && place->units[place->unit_at[unit]] == unit;
}

static void use_unit(acre_um *um, um_place *place, uint32_t unit)
{
    if (place->policy != NULL) {
        if (acre_policy_holds(place->policy, unit)) {
            acre_policy_hit(place->policy, unit);
        } else {
            acre_policy_admit(place->policy, unit, acre_policy_miss(place->policy, unit));
        }
    } else if (place->units != NULL && !unit_is_used(place, unit)) {
        place->unit_at[unit] = place->unit_count;
        place->units[place->unit_count++] = unit;
    }
}

static void drop_unit(um_place *place, uint32_t unit)
{
    if (place->policy != NULL) {
        acre_policy_forget(place->policy, unit);
    } else if (place->units != NULL && unit_is_used(place, unit)) {
        const uint32_t last = place->units[--place->unit_count];
        place->units[place->unit_at[unit]] = last;
        place->unit_at[last] = place->unit_at[unit];
    }
}

void acre_um_note_use(acre_um *um, um_block *block, unsigned page, unsigned place)
{
    um_place *const p = &um->places[place];
    if (p->policy != NULL) acre_policy_hit(p->policy, unit_of(um, block, page));
}

void acre_um_note_arrival(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place)
{
    um_place *const p = &um->places[place];
    acre_mask_unite(&block->resident[place], pages);
    p->used_pages += acre_mask_count(pages);
    assert(p->used_pages <= p->capacity_pages);
    if (p->used_pages * ACRE_UM_PAGE_BYTES > p->figures.used_bytes_max) p->figures.used_bytes_max = p->used_pages * ACRE_UM_PAGE_BYTES;
    if (p->capacity_pages == UINT64_MAX) return;
    for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page += um->rules.unit_pages)
        if (acre_mask_count_range(pages, page, um->rules.unit_pages) > 0) use_unit(um, p, unit_of(um, block, page));
}

void acre_um_note_departure(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place)
{
    um_place *const p = &um->places[place];
    acre_mask_subtract(&block->resident[place], pages);
    p->used_pages -= acre_mask_count(pages);
    acre_page_mask unused = *pages;
    acre_mask_intersect(&unused, &block->ahead);
    p->figures.wasted_pages += acre_mask_count(&unused);
    block->wasted_pages += acre_mask_count(&unused);
    acre_mask_subtract(&block->ahead, pages);
    if (p->frames != NULL && acre_mask_is_empty(&block->resident[place])) acre_frames_give_back(p->frames, um_block_number(um, block));
    if (p->capacity_pages == UINT64_MAX) return;
    for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page += um->rules.unit_pages)
        if (acre_mask_count_range(pages, page, um->rules.unit_pages) > 0 &&
            acre_mask_count_range(&block->resident[place], page, um->rules.unit_pages) == 0)
            drop_unit(p, unit_of(um, block, page));
}

/* ---- going ---- */

/* Of `pages`, those that are newer than home's copy and in no place but this one and home. */
static acre_page_mask only_here(const acre_um *um, const um_block *block, const acre_page_mask *pages, unsigned place)
{
    acre_page_mask mask = *pages;
    acre_mask_intersect(&mask, &block->dirty);
    for (unsigned i = 1; i < um->place_count; i++)
        if (i != place) acre_mask_subtract(&mask, &block->resident[i]);
    return mask;
}

acre_status acre_um_evict_pages(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place)
{
    const acre_page_mask saved = only_here(um, block, pages, place);
    unsigned count = 0;
    for (unsigned first = 0; acre_mask_next_run(&saved, &first, &count); first += count) {
        unsigned done;
        const acre_status status = acre_um_copy_pages(um, block, first, count, place, ACRE_UM_HOME, &done);
        if (status != ACRE_OK) return status;
        acre_page_mask run = {{0}};
        acre_mask_add_range(&run, first, count);
        acre_mask_unite(&block->resident[ACRE_UM_HOME], &run);
        acre_mask_subtract(&block->dirty, &run);
    }
    for (unsigned first = 0; acre_mask_next_run(pages, &first, &count); first += count) acre_um_discard(um, block, first, count, place);
    acre_um_note_departure(um, block, pages, place);
    if (um->options.is_modelled) acre_um_free_later(um, &um->places[place], acre_mask_count(pages));
    return ACRE_OK;
}

typedef struct victim_search {
    acre_um *um;
    const um_block *kept;
    const acre_page_mask *keep;
} victim_search;

/* Pages of a block that must not go. */
static acre_page_mask kept_of(const victim_search *search, const um_block *block)
{
    acre_page_mask kept = acre_um_kept_of(search->um, block);
    if (block == search->kept) acre_mask_unite(&kept, search->keep);
    return kept;
}

static bool is_kept(const victim_search *search, uint32_t unit)
{
    unsigned first;
    const acre_page_mask kept = kept_of(search, block_of_unit(search->um, unit, &first));
    return acre_mask_count_range(&kept, first, search->um->rules.unit_pages) > 0;
}

static acre_verdict look(void *context, acre_policy_slot unit) { return is_kept(context, unit) ? ACRE_KEEP : ACRE_EVICT; }

static uint32_t random_below(acre_um *um, uint32_t bound)
{
    um->random ^= um->random << 13;
    um->random ^= um->random >> 7;
    um->random ^= um->random << 17;
    return (uint32_t)((um->random >> 32) * bound >> 32);
}

/* A unit that may go; ACRE_POLICY_NO_SLOT: there is none. */
static uint32_t choose(um_place *place, victim_search *search)
{
    if (place->policy != NULL) {
        const acre_policy_slot unit = acre_policy_evict(place->policy, 0, look, search);
        return unit == ACRE_POLICY_NO_SLOT ? UINT32_MAX : unit;
    }
    if (place->unit_count == 0) return UINT32_MAX;
    const uint32_t start = random_below(search->um, place->unit_count);
    for (uint32_t i = 0; i < place->unit_count; i++) {
        const uint32_t unit = place->units[(start + i) % place->unit_count];
        if (!is_kept(search, unit)) return unit;
    }
    return UINT32_MAX;
}

acre_status acre_um_make_room(acre_um *um, unsigned place, uint64_t pages, const um_block *kept, const acre_page_mask *keep)
{
    um_place *const p = &um->places[place];
    victim_search search = {um, kept, keep};
    if (p->capacity_pages == UINT64_MAX) return ACRE_OK;
    while (p->capacity_pages - p->used_pages < pages || acre_um_lacks_frame(um, kept, place)) {
        unsigned first;
        const uint32_t unit = choose(p, &search);
        if (unit == UINT32_MAX) {
            return acre_fail(ACRE_NO_MEMORY, "unified memory: '%s': %llu pages are wanted, %llu are free of %llu, and no other can go",
                             p->name, (unsigned long long)pages, (unsigned long long)(p->capacity_pages - p->used_pages),
                             (unsigned long long)p->capacity_pages);
        }
        um_block *const block = block_of_unit(um, unit, &first);
        acre_page_mask go = mask_of_unit(um, first);
        acre_mask_intersect(&go, &block->resident[place]);
        if (um->rules.evicts_by_density) acre_density_give(&block->resident[place], &go, UM_GIVE_PERCENT, block->page_count, &go);
        const acre_page_mask kept_there = kept_of(&search, block);
        acre_mask_subtract(&go, &kept_there);
        const uint64_t count = acre_mask_count(&go);
        const acre_status status = acre_um_evict_pages(um, block, &go, place);
        if (status != ACRE_OK) {
            /* It is in the place as before: the policy took its unit out of use. */
            if (p->policy != NULL) acre_policy_admit(p->policy, unit, 0);
            return status;
        }
        acre_mask_unite(&block->lost, &go);
        block->round_trips++;
        block->evicted_pages += count;
        p->figures.evicted_pages += count;
        p->figures.evicted_units++;
        if (um->rules.migration != ACRE_UM_FIRST_TOUCH) acre_mask_unite(&block->remote, &go);
    }
    return ACRE_OK;
}

bool acre_um_eviction_is_valid(const acre_um *um, unsigned place)
{
    const um_place *const p = &um->places[place];
    if (p->capacity_pages == UINT64_MAX) return true;
    if (p->policy != NULL && !acre_policy_is_valid(p->policy)) return false;
    for (uint32_t i = 0; i < um->block_count; i++) {
        for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page += um->rules.unit_pages) {
            const uint32_t unit = unit_of(um, &um->blocks[i], page);
            const bool is_used = p->policy != NULL ? acre_policy_holds(p->policy, unit) : unit_is_used(p, unit);
            if (is_used != (acre_mask_count_range(&um->blocks[i].resident[place], page, um->rules.unit_pages) > 0)) return false;
        }
    }
    return true;
}
