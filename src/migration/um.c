/* um.c - see um.h. */
#include "base/format.h"
#include "migration/core.h"

#include <string.h>

#define BYTES_MAX ((uint64_t)16 << 40)
enum { CAPACITY_BYTES_MIN = 2 * ACRE_UM_BLOCK_BYTES, LAPSE_NS = 500000, THRESHOLD = 256, ADAPTIVE_THRESHOLD = 8, DENSITY_PERCENT = 51 };

/* ---- rules ---- */

static const struct {
    const char *name;
    acre_um_rules rules;
} named_rules[] = {
    {"acre",
     {.prefetch = ACRE_UM_PREFETCH_ADAPTIVE,
      .policy = ACRE_POLICY_ADAPTIVE,
      .migration = ACRE_UM_ADAPTIVE_THRESHOLD,
      .adapts_lapse = true,
      .remembers_waits = true}},
    {"nvidia", {.prefetch = ACRE_UM_PREFETCH_DENSITY, .policy = ACRE_POLICY_FIFO}},
    {"lru", {.prefetch = ACRE_UM_PREFETCH_DENSITY, .policy = ACRE_POLICY_LRU}},
    {"tree",
     {.prefetch = ACRE_UM_PREFETCH_DENSITY, .policy = ACRE_POLICY_LRU, .unit_pages = ACRE_BIG_PAGE_PAGES, .evicts_by_density = true}},
    {"64k", {.prefetch = ACRE_UM_PREFETCH_BIG_PAGE, .policy = ACRE_POLICY_LRU, .unit_pages = ACRE_BIG_PAGE_PAGES}},
    {"demand", {.prefetch = ACRE_UM_PREFETCH_NONE, .policy = ACRE_POLICY_LRU, .unit_pages = 1}},
    {"random", {.prefetch = ACRE_UM_PREFETCH_DENSITY, .eviction = ACRE_UM_EVICT_RANDOM}},
    {"delayed", {.prefetch = ACRE_UM_PREFETCH_DENSITY, .policy = ACRE_POLICY_LRU, .migration = ACRE_UM_ADAPTIVE_THRESHOLD}},
};

const char *acre_um_rules_name(unsigned number)
{
    return number < sizeof named_rules / sizeof *named_rules ? named_rules[number].name : NULL;
}

acre_status acre_um_rules_named(const char *name, acre_um_rules *rules)
{
    if (name == NULL || rules == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    for (unsigned i = 0; acre_um_rules_name(i) != NULL; i++) {
        if (strcmp(named_rules[i].name, name) != 0) continue;
        *rules = named_rules[i].rules;
        return ACRE_OK;
    }
    return acre_fail(ACRE_INVALID, "unified memory: no rules are called '%s'; acre_um_rules_name has their names", name);
}

static acre_status complete_rules(const acre_um_rules *given, acre_um_rules *rules)
{
    *rules = *given;
    if (rules->density_percent == 0) rules->density_percent = DENSITY_PERCENT;
    if (rules->access_threshold == 0)
        rules->access_threshold = rules->migration == ACRE_UM_ADAPTIVE_THRESHOLD ? ADAPTIVE_THRESHOLD : THRESHOLD;
    if (rules->unit_pages == 0) rules->unit_pages = ACRE_BLOCK_PAGES;
    if (rules->lapse_ns == 0) rules->lapse_ns = LAPSE_NS;
    if (rules->density_percent > 100)
        return acre_fail(ACRE_INVALID, "unified memory: a density of %u percent: 1 to 100", (unsigned)rules->density_percent);
    if (rules->unit_pages != 1 && rules->unit_pages != ACRE_BIG_PAGE_PAGES && rules->unit_pages != ACRE_BLOCK_PAGES)
        return acre_fail(ACRE_INVALID, "unified memory: units of %u pages: 1, 16 or 512", (unsigned)rules->unit_pages);
    if (rules->evicts_by_density && rules->unit_pages != ACRE_BIG_PAGE_PAGES)
        return acre_fail(ACRE_INVALID, "unified memory: eviction by density needs units of 16 pages, not %u", (unsigned)rules->unit_pages);
    if (rules->free_percent > 50)
        return acre_fail(ACRE_INVALID, "unified memory: %u percent kept free: 0 to 50", (unsigned)rules->free_percent);
    if ((unsigned)rules->prefetch > ACRE_UM_PREFETCH_ADAPTIVE || (unsigned)rules->migration > ACRE_UM_ADAPTIVE_THRESHOLD ||
        (unsigned)rules->eviction > ACRE_UM_EVICT_RANDOM || (unsigned)rules->policy >= ACRE_POLICY_KIND_COUNT) {
        return acre_fail(ACRE_INVALID, "unified memory: there is no such rule: prefetch %u, migration %u, eviction %u, policy %u",
                         (unsigned)rules->prefetch, (unsigned)rules->migration, (unsigned)rules->eviction, (unsigned)rules->policy);
    }
    return ACRE_OK;
}

/* ---- opening ---- */

static bool has_contents(const acre_um *um) { return um->places[ACRE_UM_HOME].space != NULL || um->places[ACRE_UM_HOME].contents != NULL; }

static acre_status attach_space(acre_um *um, um_place *place, acre_space *space)
{
    if (space == NULL || place->frames != NULL) return ACRE_OK;
    if (!(space->info.capabilities & ACRE_CAP_HOST_ACCESS))
        return acre_fail(ACRE_INVALID, "unified memory: '%s': the space '%s' has no addresses of the host", place->name, space->name);
    const acre_status status = acre_space_reserve(space, um->options.bytes_max, ACRE_UM_BLOCK_BYTES, NULL, &place->base);
    if (status == ACRE_OK) place->space = space;
    return status;
}

/* A place in a space that the host has no addresses of. */
static acre_status open_frames(acre_um *um, um_place *place, const acre_um_place *options)
{
    if (options->space == NULL || (options->space->info.capabilities & ACRE_CAP_HOST_ACCESS) != 0) return ACRE_OK;
    if (um->rules.unit_pages != ACRE_BLOCK_PAGES)
        return acre_fail(ACRE_INVALID, "unified memory: '%s': in the space '%s' blocks of 512 pages go as a whole, not units of %u",
                         place->name, options->space->name, (unsigned)um->rules.unit_pages);
    if (place->capacity_pages != UINT64_MAX) place->capacity_pages -= place->capacity_pages % ACRE_BLOCK_PAGES;
    const uint64_t count = acre_min_size(place->capacity_pages / ACRE_BLOCK_PAGES, um->block_count);
    um_frames *const frames = acre_meta_alloc(&um->meta, sizeof *frames);
    if (frames == NULL) return ACRE_NO_MEMORY;
    const acre_status status = acre_frames_open(frames, &um->meta, options, (uint32_t)count, um->block_count);
    if (status == ACRE_OK) place->frames = frames;
    return status;
}

static void detach_space(acre_um *um, um_place *place)
{
    if (place->frames != NULL) acre_frames_close(place->frames);
    if (place->space != NULL) (void)acre_space_release(place->space, place->base, um->options.bytes_max);
}

static acre_status open_streams(acre_um *um, um_place *place)
{
    if (um->rules.prefetch != ACRE_UM_PREFETCH_ADAPTIVE) return ACRE_OK;
    const size_t bytes = acre_prefetch_bytes(NULL);
    void *const memory = acre_meta_alloc(&um->meta, bytes);
    if (memory == NULL) return ACRE_NO_MEMORY;
    return acre_prefetch_init(&place->streams, NULL, memory, bytes);
}

static acre_status open_places(acre_um *um)
{
    um_place *const home = &um->places[ACRE_UM_HOME];
    acre_format(home->name, sizeof home->name, "home");
    home->capacity_pages = UINT64_MAX;
    um->place_count = 1;
    um->blocks = acre_meta_alloc(&um->meta, um->block_count * sizeof *um->blocks);
    if (um->blocks == NULL) return ACRE_NO_MEMORY;
    home->contents = um->options.home_contents.write == NULL ? NULL : &um->options.home_contents;
    return attach_space(um, home, um->options.home);
}

acre_status acre_um_open(const acre_um_options *options, acre_um **um)
{
    acre_um_rules rules;
    acre_space pages;
    acre_meta meta;
    if (options == NULL || um == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    if (options->bytes_max == 0 || options->bytes_max % ACRE_UM_BLOCK_BYTES != 0 || options->bytes_max > BYTES_MAX)
        return acre_fail(ACRE_INVALID, "unified memory: %llu bytes at most: a multiple of 2 MiB up to 16 TiB",
                         (unsigned long long)options->bytes_max);
    const acre_um_contents *const contents = &options->home_contents;
    if ((contents->write == NULL) != (contents->read == NULL) ||
        (contents->write != NULL && (options->home != NULL || options->is_modelled)))
        return acre_fail(ACRE_INVALID, "unified memory: contents of home: write and read, no space for it, and no modelled time");
    acre_status status = complete_rules(&options->rules, &rules);
    if (status != ACRE_OK) return status;
    if (options->meta == NULL) {
        status = acre_space_open_pages(&pages, NULL);
        if (status != ACRE_OK) return status;
    }
    acre_um *made = NULL;
    status = acre_meta_init(&meta, options->meta == NULL ? &pages : options->meta);
    if (status == ACRE_OK) {
        made = acre_meta_alloc(&meta, sizeof *made);
        if (made == NULL) status = ACRE_NO_MEMORY;
    }
    if (status != ACRE_OK) {
        if (options->meta == NULL) acre_space_close(&pages);
        return status;
    }
    made->options = *options;
    made->rules = rules;
    made->random = options->random_seed * 2 + 1;
    made->lapse.ns = !rules.adapts_lapse ? rules.lapse_ns
                                         : acre_max_size(acre_min_size(rules.lapse_ns, ACRE_THRASH_LAPSE_NS_MAX), ACRE_THRASH_LAPSE_NS_MIN);
    made->block_count = (uint32_t)(options->bytes_max / ACRE_UM_BLOCK_BYTES);
    if (options->meta == NULL) made->pages = pages;
    made->meta = meta;
    if (options->meta == NULL) made->meta.space = &made->pages;
    status = open_places(made);
    if (status != ACRE_OK) {
        acre_um_close(made);
        return status;
    }
    *um = made;
    return ACRE_OK;
}

void acre_um_close(acre_um *um)
{
    if (um == NULL) return;
    acre_um_close_windows(um);
    for (unsigned i = 0; i < um->place_count && !um->is_parents; i++) detach_space(um, &um->places[i]);
    acre_space pages = um->pages;
    acre_meta meta = um->meta;
    const bool is_own = um->options.meta == NULL;
    if (is_own) meta.space = &pages;
    acre_meta_destroy(&meta);
    if (is_own) acre_space_close(&pages);
}

static acre_status add_place(acre_um *um, const acre_um_place *options, unsigned *number)
{
    if (um->place_count == ACRE_UM_PLACE_MAX)
        return acre_fail(ACRE_NO_MEMORY, "unified memory: '%s': there are %u places", options->name, (unsigned)ACRE_UM_PLACE_MAX);
    um_place *const place = &um->places[um->place_count];
    memset(place, 0, sizeof *place);
    acre_format(place->name, sizeof place->name, "%s", options->name);
    place->capacity_pages = options->capacity_bytes == 0 ? UINT64_MAX : options->capacity_bytes / ACRE_UM_PAGE_BYTES;
    place->costs = options->costs;
    place->level = 2;
    acre_status status = acre_um_open_eviction(um, place);
    if (status == ACRE_OK) status = open_streams(um, place);
    if (status == ACRE_OK) status = open_frames(um, place, options);
    if (status == ACRE_OK) status = attach_space(um, place, options->space);
    if (status == ACRE_OK && options->faults != ACRE_UM_TOUCHES) status = acre_um_open_window(um, place, options->faults);
    if (status == ACRE_OK) *number = um->place_count++;
    return status;
}

acre_status acre_um_add_place(acre_um *um, const acre_um_place *place, unsigned *number)
{
    if (um == NULL || place == NULL || place->name == NULL || number == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    if (place->capacity_bytes != 0 && place->capacity_bytes < CAPACITY_BYTES_MIN)
        return acre_fail(ACRE_INVALID, "unified memory: '%s': a capacity of %llu bytes: 4 MiB at least", place->name,
                         (unsigned long long)place->capacity_bytes);
    if ((unsigned)place->faults > ACRE_UM_SIGNALS)
        return acre_fail(ACRE_INVALID, "unified memory: '%s': there is no source of faults %u", place->name, (unsigned)place->faults);
    const bool is_window = place->faults != ACRE_UM_TOUCHES;
    if (is_window && (place->space != NULL || um->options.is_modelled))
        return acre_fail(ACRE_INVALID, "unified memory: '%s': a place that faults has %s", place->name,
                         place->space != NULL ? "memory of its own, and no space" : "no modelled time");
    if ((place->space != NULL || is_window) != has_contents(um))
        return acre_fail(ACRE_INVALID, "unified memory: '%s': home has %s, and the place has %s", place->name,
                         has_contents(um) ? "contents" : "none", place->space != NULL || is_window ? "some" : "none");
    acre_status status = is_window ? acre_um_open_faults(um) : ACRE_OK;
    if (status != ACRE_OK) return status;
    acre_lock_take(&um->lock);
    status = add_place(um, place, number);
    acre_lock_drop(&um->lock);
    return status;
}

acre_status acre_um_set_home_costs(acre_um *um, const acre_um_costs *costs)
{
    if (um == NULL || costs == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    acre_lock_take(&um->lock);
    um->places[ACRE_UM_HOME].costs = *costs;
    acre_lock_drop(&um->lock);
    return ACRE_OK;
}

/* ---- memory ---- */

static acre_status refuse_child(void)
{
    return acre_fail(ACRE_UNSUPPORTED, "unified memory: in a child of fork there is none whose home the parent uses, too");
}

static uint32_t find_blocks(const acre_um *um, uint32_t count)
{
    uint32_t run = 0;
    for (uint32_t i = 0; i < um->block_count; i++) {
        run = um->blocks[i].page_count == 0 ? run + 1 : 0;
        if (run == count) return i + 1 - count;
    }
    return UINT32_MAX;
}

acre_status acre_um_allocate(acre_um *um, uint64_t bytes, uint64_t *at)
{
    if (um == NULL || at == NULL || bytes == 0) return acre_fail(ACRE_INVALID, "unified memory: a NULL, or 0 bytes");
    if (bytes > um->options.bytes_max)
        return acre_fail(ACRE_NO_MEMORY, "unified memory: %llu bytes: there are %llu", (unsigned long long)bytes,
                         (unsigned long long)um->options.bytes_max);
    uint64_t pages = (bytes + ACRE_UM_PAGE_BYTES - 1) / ACRE_UM_PAGE_BYTES;
    const uint32_t count = (uint32_t)((pages + ACRE_BLOCK_PAGES - 1) / ACRE_BLOCK_PAGES);
    if (um->is_parents) return refuse_child();
    acre_lock_take(&um->lock);
    const uint32_t first = find_blocks(um, count);
    for (uint32_t i = 0; i < count && first != UINT32_MAX; i++) {
        um_block *const block = &um->blocks[first + i];
        acre_um_accept_block(um, block);
        *block = (um_block){.page_count = (uint32_t)acre_min_size(pages, ACRE_BLOCK_PAGES)};
        pages -= block->page_count;
    }
    if (first != UINT32_MAX) um->blocks[first].range_blocks = count;
    acre_lock_drop(&um->lock);
    if (first == UINT32_MAX)
        return acre_fail(ACRE_NO_MEMORY, "unified memory: no %u blocks of 2 MiB are free side by side", (unsigned)count);
    *at = (uint64_t)first * ACRE_UM_BLOCK_BYTES;
    return ACRE_OK;
}

static void free_block(acre_um *um, um_block *block)
{
    unsigned count = 0;
    for (unsigned place = 0; place < um->place_count; place++) {
        const acre_page_mask here = block->resident[place];
        for (unsigned first = 0; acre_mask_next_run(&here, &first, &count); first += count) acre_um_discard(um, block, first, count, place);
        if (place != ACRE_UM_HOME) acre_um_note_departure(um, block, &here, place);
    }
    if (block->thrash != NULL) {
        block->thrash->next_spare = um->spare_thrash;
        um->spare_thrash = block->thrash;
    }
    *block = (um_block){.is_refused = block->is_refused};
}

/* What the program did to the addresses itself is undone. */
static void mend_windows(acre_um *um, uint64_t at, uint64_t bytes)
{
    for (unsigned place = 1; place < um->place_count; place++)
        if (um->places[place].window != NULL) (void)acre_window_mend(um->places[place].window, at, bytes);
}

acre_status acre_um_free(acre_um *um, uint64_t at)
{
    if (um == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    if (um->is_parents) return ACRE_OK; /* what there was has stayed with the parent */
    acre_lock_take(&um->lock);
    const bool is_one = at < um->options.bytes_max && at % ACRE_UM_BLOCK_BYTES == 0 && um_block_at(um, at)->range_blocks != 0;
    if (is_one) {
        um_block *const first = um_block_at(um, at);
        const uint32_t count = first->range_blocks;
        for (uint32_t i = 0; i < count; i++) free_block(um, first + i);
        mend_windows(um, at, (uint64_t)count * ACRE_UM_BLOCK_BYTES);
    }
    acre_lock_drop(&um->lock);
    return is_one ? ACRE_OK : acre_fail(ACRE_INVALID, "unified memory: nothing was allocated at %llx", (unsigned long long)at);
}

/* ---- touching ---- */

/* Under the lock. */
static acre_status check_range(const acre_um *um, unsigned place, uint64_t at, uint64_t bytes)
{
    if (um->is_parents) return refuse_child();
    if (place >= um->place_count)
        return acre_fail(ACRE_INVALID, "unified memory: there is no place %u: 0 to %u", place, um->place_count - 1);
    if (bytes == 0 || at >= um->options.bytes_max || bytes > um->options.bytes_max - at)
        return acre_fail(ACRE_INVALID, "unified memory: %llu bytes at %llx: at least 1, and not beyond %llx", (unsigned long long)bytes,
                         (unsigned long long)at, (unsigned long long)um->options.bytes_max);
    for (uint64_t block = at / ACRE_UM_BLOCK_BYTES; block <= (at + bytes - 1) / ACRE_UM_BLOCK_BYTES; block++) {
        const uint64_t end = acre_min_size(at + bytes, (block + 1) * ACRE_UM_BLOCK_BYTES);
        if (end <= block * ACRE_UM_BLOCK_BYTES + (uint64_t)um->blocks[block].page_count * ACRE_UM_PAGE_BYTES) continue;
        return acre_fail(ACRE_INVALID, "unified memory: %llu bytes at %llx are not allocated as a whole", (unsigned long long)bytes,
                         (unsigned long long)at);
    }
    return ACRE_OK;
}

/* Of [at, at + bytes), what lies in the block of `at`: its pages. */
static unsigned pages_in_block(uint64_t at, uint64_t bytes)
{
    const unsigned first = um_page_in_block(at);
    const uint64_t last = acre_min_size((at % ACRE_UM_BLOCK_BYTES + bytes - 1) / ACRE_UM_PAGE_BYTES, ACRE_BLOCK_PAGES - 1);
    return (unsigned)last - first + 1;
}

/* Of one page, `bytes` of it. ACRE_BUSY: to be tried again a lapse later. */
static acre_status touch_page(acre_um *um, um_block *block, unsigned page, unsigned place, uint64_t bytes, bool is_write, bool may_wait)
{
    for (;;) {
        if (acre_um_is_here(um, block, page, place, is_write)) {
            acre_um_use_here(um, block, page, place, is_write);
            if (block->is_streamed && place != ACRE_UM_HOME) acre_um_go_on_ahead(um, block, place);
            return ACRE_OK;
        }
        if (acre_mask_has(&block->remote, page) && acre_um_use_there(um, block, page, place, bytes, is_write)) return ACRE_OK;
        acre_page_mask faulted = {{0}};
        acre_mask_add(&faulted, page);
        const acre_status status = acre_um_serve(um, block, &faulted, place, is_write, may_wait);
        if (status != ACRE_OK || acre_um_is_here(um, block, page, place, is_write)) return status;
    }
}

static acre_status touch(acre_um *um, unsigned place, uint64_t at, uint64_t bytes, bool is_write)
{
    acre_status status = check_range(um, place, at, bytes);
    bool may_wait = true;
    if (status == ACRE_OK && um->places[place].capacity_pages != UINT64_MAX &&
        bytes > um->places[place].capacity_pages * ACRE_UM_PAGE_BYTES / 2) {
        return acre_fail(ACRE_INVALID, "unified memory: '%s': a touch of %llu bytes: at most half of its %llu at once",
                         um->places[place].name, (unsigned long long)bytes,
                         (unsigned long long)um->places[place].capacity_pages * ACRE_UM_PAGE_BYTES);
    }
    const uint64_t begin = at, end = at + bytes;
    while (at < end && status == ACRE_OK) {
        const uint64_t piece = acre_min_size(end - at, ACRE_UM_PAGE_BYTES - at % ACRE_UM_PAGE_BYTES);
        um->kept_first = begin / ACRE_UM_PAGE_BYTES;
        um->kept_end = (end + ACRE_UM_PAGE_BYTES - 1) / ACRE_UM_PAGE_BYTES;
        status = touch_page(um, um_block_at(um, at), um_page_in_block(at), place, piece, is_write, may_wait);
        if (status == ACRE_BUSY) { /* somebody else may go on meanwhile, and free it */
            um->kept_first = um->kept_end = 0;
            const uint64_t lapse_ns = um->lapse.ns;
            acre_lock_drop(&um->lock);
            acre_os_sleep_ns(lapse_ns);
            acre_lock_take(&um->lock);
            may_wait = false;
            status = check_range(um, place, at, end - at);
            continue;
        }
        if (status != ACRE_OK) break;
        may_wait = true;
        um->places[place].figures.touch_count++;
        at += piece;
    }
    um->kept_first = um->kept_end = 0;
    return status;
}

acre_status acre_um_touch(acre_um *um, unsigned place, uint64_t at, uint64_t bytes, bool is_write)
{
    if (um == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    acre_lock_take(&um->lock);
    const acre_status status = touch(um, place, at, bytes, is_write);
    acre_lock_drop(&um->lock);
    return status;
}

/* Under the lock; allocated. */
static unsigned where(const acre_um *um, unsigned place, uint64_t at)
{
    const um_block *const block = &um->blocks[at / ACRE_UM_BLOCK_BYTES];
    const unsigned page = um_page_in_block(at);
    return acre_um_is_here(um, block, page, place, false) ? place : acre_um_holder_of(um, block, page);
}

acre_status acre_um_where(acre_um *um, unsigned place, uint64_t at, unsigned *used)
{
    if (um == NULL || used == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    acre_lock_take(&um->lock);
    const acre_status status = check_range(um, place, at, 1);
    if (status == ACRE_OK) *used = where(um, place, at);
    acre_lock_drop(&um->lock);
    return status;
}

void *acre_um_pointer(acre_um *um, unsigned place, uint64_t at)
{
    if (um == NULL) return NULL;
    acre_lock_take(&um->lock);
    void *pointer = NULL;
    if (check_range(um, place, at, 1) == ACRE_OK)
        pointer = acre_um_address(um, um->places[place].window != NULL ? place : where(um, place, at), at);
    acre_lock_drop(&um->lock);
    return pointer;
}

bool acre_um_serves_kernel(acre_um *um, unsigned place)
{
    if (um == NULL) return false;
    acre_lock_take(&um->lock);
    const um_window *const window = place < um->place_count ? um->places[place].window : NULL;
    const bool is_served = window != NULL && window->source != NULL && window->source->serves_kernel;
    acre_lock_drop(&um->lock);
    return is_served;
}

acre_status acre_um_frame(acre_um *um, unsigned place, uint64_t at, acre_addr *address)
{
    if (um == NULL || address == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    acre_lock_take(&um->lock);
    acre_status status = check_range(um, place, at, 1);
    if (status == ACRE_OK) {
        const um_block *const block = um_block_at(um, at);
        if (um->places[place].frames == NULL) {
            status = acre_fail(ACRE_INVALID, "unified memory: '%s' has no frames: acre_um_pointer tells where its pages are",
                               um->places[place].name);
        } else if (!acre_mask_has(&block->resident[place], um_page_in_block(at))) {
            status = acre_fail(ACRE_BAD_POINTER, "unified memory: the page at %llx is not in '%s'", (unsigned long long)at,
                               um->places[place].name);
        } else {
            *address = acre_frames_address(um->places[place].frames, um_block_number(um, block), at % ACRE_UM_BLOCK_BYTES);
        }
    }
    acre_lock_drop(&um->lock);
    return status;
}

acre_status acre_um_prefetch_to(acre_um *um, unsigned place, uint64_t at, uint64_t bytes)
{
    if (um == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    acre_lock_take(&um->lock);
    acre_status status = check_range(um, place, at, bytes);
    while (bytes > 0 && status == ACRE_OK) {
        const uint64_t piece = acre_min_size(bytes, ACRE_UM_BLOCK_BYTES - at % ACRE_UM_BLOCK_BYTES);
        acre_page_mask pages = {{0}};
        acre_mask_add_range(&pages, um_page_in_block(at), pages_in_block(at, piece));
        status = acre_um_bring_ahead(um, um_block_at(um, at), &pages, place, true);
        at += piece;
        bytes -= piece;
    }
    acre_lock_drop(&um->lock);
    return status;
}

acre_status acre_um_advise(acre_um *um, uint64_t at, uint64_t bytes, acre_um_advice advice, unsigned place)
{
    if (um == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    if ((unsigned)advice > ACRE_UM_ACCESSED_BY) return acre_fail(ACRE_INVALID, "unified memory: there is no advice %u", (unsigned)advice);
    acre_lock_take(&um->lock);
    acre_status status = check_range(um, place, at, bytes);
    for (uint64_t i = at / ACRE_UM_BLOCK_BYTES; status == ACRE_OK && i <= (at + bytes - 1) / ACRE_UM_BLOCK_BYTES; i++) {
        um_block *const block = &um->blocks[i];
        switch (advice) {
        case ACRE_UM_READ_MOSTLY:
            block->is_read_mostly = true;
            break;
        case ACRE_UM_PREFERRED:
            block->preferred = (uint8_t)(place + 1);
            break;
        case ACRE_UM_ACCESSED_BY:
            block->accessed_by |= (uint8_t)(1u << place);
            break;
        case ACRE_UM_NORMAL:
            status = acre_um_make_single(um, block);
            if (status != ACRE_OK) break;
            block->is_read_mostly = false;
            block->preferred = 0;
            block->accessed_by = 0;
            block->remote = (acre_page_mask){{0}};
            break;
        }
    }
    acre_lock_drop(&um->lock);
    return status;
}

/* ---- what happened ---- */

acre_status acre_um_read_figures(acre_um *um, unsigned place, acre_um_figures *figures)
{
    if (um == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    acre_lock_take(&um->lock);
    const bool is_one = place < um->place_count;
    if (is_one) {
        *figures = um->places[place].figures;
        figures->clock_ns = um->options.is_modelled ? um->now_ns : 0;
        figures->used_bytes = um->places[place].used_pages * ACRE_UM_PAGE_BYTES;
        figures->call_count = um->places[place].window == NULL ? 0 : um->places[place].window->call_count;
    }
    acre_lock_drop(&um->lock);
    return is_one ? ACRE_OK : acre_fail(ACRE_INVALID, "unified memory: there is no place %u", place);
}

acre_status acre_um_resident_pages(acre_um *um, unsigned place, uint64_t at, uint32_t *pages)
{
    if (um == NULL || pages == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    acre_lock_take(&um->lock);
    const acre_status status = check_range(um, place, at, 1);
    if (status == ACRE_OK) *pages = acre_mask_count(&um_block_at(um, at)->resident[place]);
    acre_lock_drop(&um->lock);
    return status;
}

acre_status acre_um_read_block(acre_um *um, unsigned place, uint64_t at, acre_um_block_figures *figures)
{
    if (um == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "unified memory: a NULL");
    acre_lock_take(&um->lock);
    const acre_status status = check_range(um, place, at, 1);
    if (status == ACRE_OK) {
        const um_block *const block = um_block_at(um, at);
        acre_page_mask unused = block->ahead;
        acre_mask_intersect(&unused, &block->resident[place]);
        *figures = (acre_um_block_figures){.pages = block->page_count,
                                           .resident_pages = acre_mask_count(&block->resident[place]),
                                           .unused_pages = acre_mask_count(&unused),
                                           .evicted_pages = block->evicted_pages,
                                           .wasted_pages = block->wasted_pages};
    }
    acre_lock_drop(&um->lock);
    return status;
}

static bool is_subset(const acre_page_mask *part, const acre_page_mask *whole)
{
    acre_page_mask rest = *part;
    acre_mask_subtract(&rest, whole);
    return acre_mask_is_empty(&rest);
}

static bool block_is_valid(const acre_um *um, const um_block *block)
{
    acre_page_mask all = {{0}}, elsewhere = {{0}};
    if (block->page_count > ACRE_BLOCK_PAGES) return false;
    acre_mask_add_range(&all, 0, block->page_count);
    for (unsigned i = 0; i < um->place_count; i++) {
        if (!is_subset(&block->resident[i], &all)) return false;
        acre_page_mask twice = block->resident[i];
        acre_mask_intersect(&twice, &elsewhere);
        if (!block->is_read_mostly && !acre_mask_is_empty(&twice)) return false;
        if (i != ACRE_UM_HOME) acre_mask_unite(&elsewhere, &block->resident[i]);
    }
    acre_page_mask stale = block->dirty;
    acre_mask_intersect(&stale, &block->resident[ACRE_UM_HOME]);
    return acre_mask_is_empty(&stale) && is_subset(&block->dirty, &elsewhere) && is_subset(&block->ahead, &elsewhere) &&
           is_subset(&block->remote, &all);
}

/* A block has a frame exactly when it has a page there. */
static bool frames_are_valid(const acre_um *um, unsigned place)
{
    const um_frames *const frames = um->places[place].frames;
    for (uint32_t i = 0; i < um->block_count; i++)
        if ((frames->of_block[i] != 0) != !acre_mask_is_empty(&um->blocks[i].resident[place])) return false;
    return acre_frames_are_valid(frames);
}

static bool is_valid(const acre_um *um)
{
    uint64_t used[ACRE_UM_PLACE_MAX] = {0};
    for (uint32_t i = 0; i < um->block_count; i++) {
        if (!block_is_valid(um, &um->blocks[i])) return false;
        for (unsigned place = 1; place < um->place_count; place++) used[place] += acre_mask_count(&um->blocks[i].resident[place]);
    }
    for (unsigned place = 1; place < um->place_count; place++) {
        const um_place *const p = &um->places[place];
        if (used[place] != p->used_pages || p->used_pages > p->capacity_pages) return false;
        if (p->frames != NULL && !frames_are_valid(um, place)) return false;
        if (!acre_um_eviction_is_valid(um, place)) return false;
    }
    return true;
}

bool acre_um_is_valid(acre_um *um)
{
    if (um == NULL) return false;
    acre_lock_take(&um->lock);
    const bool is_right = is_valid(um);
    acre_lock_drop(&um->lock);
    return is_right;
}
