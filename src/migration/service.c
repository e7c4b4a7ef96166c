/* service.c - a fault is served: which pages stay where they are, which come with those that were asked for, and how they come. */
#include "migration/core.h"

#include <string.h>

enum { STREAM_BLOCKS_MAX = 16, JUDGE_PAGES = 1024, LEVEL_DENSITY = 2, PROBE_FAULTS = 16 };

/* ---- what was touched ---- */

static void let_others_go(acre_um *um, um_block *block, unsigned page, unsigned place)
{
    acre_page_mask one = {{0}};
    acre_mask_add(&one, page);
    for (unsigned i = 1; i < um->place_count; i++) {
        if (i == place || !acre_mask_has(&block->resident[i], page)) continue;
        acre_um_discard(um, block, page, 1, i);
        acre_um_note_departure(um, block, &one, i);
    }
}

/* What home keeps of pages that are written elsewhere is good for nothing, and where home is no memory of a space it is held for nothing:
 * compressed pages, blocks of a file. */
static void forget_at_home(acre_um *um, um_block *block, const acre_page_mask *pages)
{
    acre_page_mask stale = *pages;
    unsigned count = 0;
    if (um->places[ACRE_UM_HOME].contents == NULL) return;
    acre_mask_intersect(&stale, &block->resident[ACRE_UM_HOME]);
    for (unsigned first = 0; acre_mask_next_run(&stale, &first, &count); first += count)
        acre_um_discard(um, block, first, count, ACRE_UM_HOME);
    acre_mask_subtract(&block->resident[ACRE_UM_HOME], &stale);
}

/* The page is written in `place`, where it is: the only good copy from now on. */
static void write_here(acre_um *um, um_block *block, unsigned page, unsigned place)
{
    acre_page_mask one = {{0}};
    acre_mask_add(&one, page);
    let_others_go(um, block, page, place);
    if (um->places[place].window != NULL && !acre_mask_has(&block->dirty, page) && !acre_mask_has(&um->opened, page))
        acre_um_open_pages(um, block, &one, place);
    if (place == ACRE_UM_HOME) {
        acre_mask_add(&block->resident[ACRE_UM_HOME], page);
        acre_mask_remove(&block->dirty, page);
    } else {
        forget_at_home(um, block, &one);
        acre_mask_remove(&block->resident[ACRE_UM_HOME], page);
        acre_mask_add(&block->dirty, page);
    }
}

static void stall_until(acre_um *um, um_place *place, uint64_t end_ns)
{
    if (!um->options.is_modelled || end_ns <= um->now_ns) return;
    place->figures.stall_ns += end_ns - um->now_ns;
    um->now_ns = end_ns;
}

void acre_um_use_here(acre_um *um, um_block *block, unsigned page, unsigned place, bool is_write)
{
    um_place *const p = &um->places[place];
    stall_until(um, p, block->ready_ns[page / ACRE_BIG_PAGE_PAGES]);
    um->now_ns += p->costs.access_ns;
    if (acre_mask_has(&block->ahead, page)) {
        acre_mask_remove(&block->ahead, page);
        p->figures.useful_pages++;
    }
    acre_um_note_use(um, block, page, place);
    if (is_write) write_here(um, block, page, place);
}

static uint64_t threshold_of(const acre_um *um, const um_block *block, const um_place *place)
{
    if (um->rules.migration == ACRE_UM_THRESHOLD) return um->rules.access_threshold;
    /* Ganguly and others (IPDPS 2020), section 4: low while there is room, and higher with each time that the block had to go. */
    if (place->figures.evicted_units == 0) return (uint64_t)um->rules.access_threshold * place->used_pages / place->capacity_pages + 1;
    return (uint64_t)um->rules.access_threshold * (block->round_trips + 1);
}

/* The pages of the block come to `place` when they have been touched often enough. */
static bool counts_touches(const acre_um *um, const um_block *block, unsigned place)
{
    return um->rules.migration != ACRE_UM_FIRST_TOUCH && place != ACRE_UM_HOME && um->places[place].window == NULL &&
           um->places[place].frames == NULL && !(block->accessed_by >> place & 1) && block->preferred == 0;
}

/* By advice whoever works in `place` uses the page where it is. */
static bool is_advised(const acre_um *um, const um_block *block, unsigned page, unsigned place)
{
    if (um->places[place].window != NULL) return false; /* its addresses show what is in the place, and nothing else */
    if (!acre_um_can_reach(um, block, page, place)) return false;
    if (block->accessed_by >> place & 1) return true;
    return block->preferred != 0 && block->preferred != place + 1u && acre_um_holder_of(um, block, page) + 1u == block->preferred;
}

bool acre_um_use_there(acre_um *um, um_block *block, unsigned page, unsigned place, uint64_t bytes, bool is_write)
{
    um_place *const p = &um->places[place];
    const unsigned holder = acre_um_holder_of(um, block, page);
    const bool was_pinned = block->thrash != NULL && block->thrash->pages[page].is_pinned;
    const bool is_nowhere = holder == ACRE_UM_HOME && !acre_mask_has(&block->resident[ACRE_UM_HOME], page);
    if (is_nowhere || !acre_um_can_reach(um, block, page, place) ||
        (was_pinned && !acre_thrash_is_pinned(&block->thrash->pages[page], um_now_ns(um)))) {
        acre_mask_remove(&block->remote, page);
        return false;
    }
    const bool is_counted = !was_pinned && counts_touches(um, block, place);
    if (!was_pinned && !is_counted && !is_advised(um, block, page, place)) return false; /* others use it there */
    if (is_counted) {
        uint16_t *const count = &block->remote_counts[page / ACRE_BIG_PAGE_PAGES];
        if (*count < UINT16_MAX) ++*count;
        if (*count >= acre_min_size(threshold_of(um, block, p), UINT16_MAX)) return false;
    }
    if (is_write) write_here(um, block, page, holder);
    p->figures.remote_count++;
    if (um->options.is_modelled) {
        const uint64_t rate = p->costs.in_bytes_per_s;
        um->now_ns += p->costs.remote_ns + (rate == 0 ? 0 : (uint64_t)((double)bytes * 1e9 / (double)rate));
    }
    return true;
}

/* ---- bringing ---- */

static void mark_arrived(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned from, unsigned to)
{
    acre_page_mask run = {{0}};
    acre_mask_add_range(&run, first, count);
    acre_mask_subtract(&block->remote, &run);
    if (to == ACRE_UM_HOME) {
        acre_mask_unite(&block->resident[ACRE_UM_HOME], &run);
        acre_mask_subtract(&block->dirty, &run);
    } else {
        acre_page_mask again = run;
        acre_mask_intersect(&again, &block->lost);
        um->places[to].figures.thrashed_pages += acre_mask_count(&again);
        acre_um_note_arrival(um, block, &run, to);
    }
    if (from != UM_NOWHERE && from != ACRE_UM_HOME && !block->is_read_mostly) {
        acre_um_discard(um, block, first, count, from);
        acre_um_note_departure(um, block, &run, from);
    }
    for (unsigned unit = first / ACRE_BIG_PAGE_PAGES; unit <= (first + count - 1) / ACRE_BIG_PAGE_PAGES; unit++)
        block->remote_counts[unit] = 0;
}

static acre_status bring_from(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned from, unsigned to)
{
    unsigned count = 0;
    for (unsigned first = 0; acre_mask_next_run(pages, &first, &count); first += count) {
        unsigned done;
        const acre_status status = acre_um_copy_pages(um, block, first, count, from, to, &done);
        if (done > 0) mark_arrived(um, block, first, done, from, to);
        if (status != ACRE_OK) return status;
    }
    return ACRE_OK;
}

/* To home comes what is newer elsewhere; of the rest, the others' copies just go. */
static acre_status bring_home(acre_um *um, um_block *block, const acre_page_mask *pages)
{
    for (unsigned place = 1; place < um->place_count; place++) {
        acre_page_mask here = *pages, newer;
        acre_mask_intersect(&here, &block->resident[place]);
        newer = here;
        acre_mask_intersect(&newer, &block->dirty);
        acre_status status = bring_from(um, block, &newer, place, ACRE_UM_HOME);
        if (status != ACRE_OK) return status;
        if (block->is_read_mostly) continue;
        acre_mask_subtract(&here, &newer);
        status = acre_um_evict_pages(um, block, &here, place);
        if (status != ACRE_OK) return status;
    }
    acre_page_mask zeros = *pages; /* what was never written is not at home, wherever else it may be */
    acre_mask_subtract(&zeros, &block->resident[ACRE_UM_HOME]);
    return bring_from(um, block, &zeros, UM_NOWHERE, ACRE_UM_HOME);
}

/* There is room. Each page comes from where its newest copy is. */
static acre_status bring(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place)
{
    acre_page_mask left = *pages;
    if (place == ACRE_UM_HOME) return bring_home(um, block, pages);
    if (um->options.is_modelled) acre_um_take_free(um, &um->places[place], acre_mask_count(pages));
    for (unsigned from = 0; from <= um->place_count; from++) {
        /* Home is asked after the others, and what is nowhere comes last. */
        const unsigned source = from + 1 < um->place_count ? from + 1 : from + 1 == um->place_count ? ACRE_UM_HOME : UM_NOWHERE;
        acre_page_mask part = left;
        if (source == place) continue;
        if (source != UM_NOWHERE) acre_mask_intersect(&part, &block->resident[source]);
        acre_mask_subtract(&left, &part);
        const acre_status status = bring_from(um, block, &part, source, place);
        if (status != ACRE_OK) return status;
    }
    return ACRE_OK;
}

/* Pages came that nobody asked for. In a window nobody sees whether they are used. */
static void note_guess(acre_um *um, um_block *block, const acre_page_mask *guessed, unsigned place)
{
    acre_page_mask here = *guessed;
    acre_mask_intersect(&here, &block->resident[place]);
    um->places[place].figures.prefetched_pages += acre_mask_count(&here);
    if (um->places[place].window == NULL) acre_mask_unite(&block->ahead, &here);
}

acre_status acre_um_bring_ahead(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place, bool only_free)
{
    um_place *const p = &um->places[place];
    acre_page_mask wanted = *pages;
    acre_mask_subtract(&wanted, &block->resident[place]);
    const uint64_t count = acre_mask_count(&wanted);
    if (count == 0) return ACRE_OK;
    if (only_free && p->capacity_pages != UINT64_MAX && p->capacity_pages - p->used_pages < count) return ACRE_NO_MEMORY;
    if (only_free && acre_um_lacks_frame(um, block, place)) return ACRE_NO_MEMORY;
    acre_status status = place == ACRE_UM_HOME ? ACRE_OK : acre_um_make_room(um, place, count, block, pages);
    if (status == ACRE_OK) status = bring(um, block, &wanted, place);
    if (place == ACRE_UM_HOME) return status;
    note_guess(um, block, &wanted, place);
    return status;
}

acre_status acre_um_make_single(acre_um *um, um_block *block)
{
    for (unsigned place = um->place_count - 1; place > ACRE_UM_HOME; place--) {
        acre_page_mask others = {{0}};
        for (unsigned i = 1; i < place; i++) acre_mask_unite(&others, &block->resident[i]);
        acre_mask_intersect(&others, &block->resident[place]);
        const acre_status status = acre_um_evict_pages(um, block, &others, place);
        if (status != ACRE_OK) return status;
    }
    return ACRE_OK;
}

/* ---- what comes with a fault ---- */

/* Lowers the level of a place where little of what was brought is used, and raises it where most is. */
static void judge(um_place *place)
{
    const uint64_t useful = place->figures.useful_pages - place->judged_useful;
    const uint64_t wasted = place->figures.wasted_pages - place->judged_wasted;
    if (useful + wasted < JUDGE_PAGES) return;
    if (useful * 4 < useful + wasted) {
        if (place->level > 0) place->level--;
    } else if (useful * 2 > useful + wasted && place->level < LEVEL_DENSITY) {
        place->level++;
    }
    place->judged_useful = place->figures.useful_pages;
    place->judged_wasted = place->figures.wasted_pages;
}

static acre_page_mask present_in(const acre_um *um, const um_block *block, unsigned place)
{
    acre_page_mask present = block->resident[place];
    if (place != ACRE_UM_HOME) return present;
    for (unsigned i = 1; i < um->place_count; i++) acre_mask_subtract(&present, &block->resident[i]);
    return present;
}

/* Pages that this very touch uses where they are: they have to stay there until it is over. */
static acre_page_mask used_elsewhere(const acre_um *um, const um_block *block)
{
    acre_page_mask used = acre_um_kept_of(um, block);
    acre_mask_intersect(&used, &block->remote);
    return used;
}

static acre_page_mask what_comes(acre_um *um, const um_block *block, const acre_page_mask *faulted, unsigned place)
{
    const acre_page_mask present = present_in(um, block, place);
    acre_page_mask pages = *faulted;
    acre_um_prefetch rule = um->rules.prefetch;
    if (rule == ACRE_UM_PREFETCH_ADAPTIVE) {
        static const acre_um_prefetch levels[] = {ACRE_UM_PREFETCH_NONE, ACRE_UM_PREFETCH_BIG_PAGE, ACRE_UM_PREFETCH_DENSITY};
        um_place *const p = &um->places[place];
        const bool is_probe = p->level < LEVEL_DENSITY && ++p->probe_count % PROBE_FAULTS == 0;
        rule = levels[p->level + is_probe];
    }
    if (rule == ACRE_UM_PREFETCH_BIG_PAGE) acre_mask_grow(&pages, ACRE_BIG_PAGE_PAGES, block->page_count);
    if (rule == ACRE_UM_PREFETCH_DENSITY) acre_density_bring(&present, faulted, um->rules.density_percent, block->page_count, &pages);
    acre_mask_subtract(&pages, &present);
    /* Nobody's page is taken for a guess who holds it by right. */
    acre_page_mask held = used_elsewhere(um, block);
    if (block->preferred != 0 && block->preferred != place + 1u) acre_mask_unite(&held, &block->resident[block->preferred - 1]);
    if (block->thrash != NULL)
        for (unsigned page = 0; page < block->page_count; page++)
            if (acre_thrash_is_pinned(&block->thrash->pages[page], um_now_ns(um))) acre_mask_add(&held, page);
    acre_mask_subtract(&held, faulted);
    acre_mask_subtract(&pages, &held);
    acre_mask_unite(&pages, faulted);
    return pages;
}

/* Whole blocks that a stream is going to reach. */
static void run_ahead(acre_um *um, um_block *block, unsigned place, bool was_missing)
{
    um_place *const p = &um->places[place];
    uint64_t keys[STREAM_BLOCKS_MAX];
    if (p->streams == NULL || p->window != NULL) return; /* nobody sees whether what comes to a window is used */
    const uint64_t room = p->capacity_pages == UINT64_MAX ? STREAM_BLOCKS_MAX : p->capacity_pages / ACRE_BLOCK_PAGES / 8;
    const size_t count = acre_prefetch_access(p->streams, um_block_number(um, block), 0, was_missing, keys,
                                              acre_min_size(STREAM_BLOCKS_MAX, acre_max_size(room, 1)));
    if (p->level < LEVEL_DENSITY) return; /* a block that is reached is not a block that is used */
    for (size_t i = 0; i < count; i++) {
        if (keys[i] >= um->block_count) continue;
        um_block *const next = &um->blocks[keys[i]];
        if (next->page_count == 0 || next == block) continue;
        acre_page_mask pages = {{0}};
        acre_mask_add_range(&pages, 0, next->page_count);
        const acre_page_mask used = used_elsewhere(um, next);
        acre_mask_subtract(&pages, &used);
        for (unsigned other = 1; other < um->place_count; other++) acre_mask_subtract(&pages, &next->resident[other]);
        if (acre_mask_is_empty(&pages) || acre_um_bring_ahead(um, next, &pages, place, false) != ACRE_OK) continue;
        next->is_streamed = true;
    }
}

void acre_um_go_on_ahead(acre_um *um, um_block *block, unsigned place)
{
    block->is_streamed = false;
    run_ahead(um, block, place, false);
}

/* ---- what stays where it is ---- */

/* NULL: there is no memory for it, and the pages of the block go to and fro as they like. */
static um_thrash *thrash_of(acre_um *um, um_block *block)
{
    if (block->thrash != NULL) return block->thrash;
    if (um->spare_thrash != NULL) {
        block->thrash = um->spare_thrash;
        um->spare_thrash = block->thrash->next_spare;
        *block->thrash = (um_thrash){.next_spare = NULL};
    } else {
        block->thrash = acre_meta_alloc(&um->meta, sizeof *block->thrash);
    }
    return block->thrash;
}

/* Of pages that are nowhere, home makes zeros, so that they can be used there. */
static acre_status use_elsewhere(acre_um *um, um_block *block, const acre_page_mask *pages)
{
    acre_page_mask nowhere = *pages;
    for (unsigned i = 0; i < um->place_count; i++) acre_mask_subtract(&nowhere, &block->resident[i]);
    const acre_status status = bring_from(um, block, &nowhere, UM_NOWHERE, ACRE_UM_HOME);
    if (status == ACRE_OK) acre_mask_unite(&block->remote, pages);
    return status;
}

/* Who has waited for a page has it now, unless it was pinned meanwhile. */
static acre_thrash_verdict verdict_on(acre_um *um, um_thrash *thrash, unsigned number, unsigned place, bool has_waited)
{
    const uint64_t now_ns = um_now_ns(um);
    acre_thrash *const page = &thrash->pages[number];
    if (has_waited) return acre_thrash_is_pinned(page, now_ns) ? ACRE_THRASH_PIN : ACRE_THRASH_MOVE;
    if (um->rules.adapts_lapse) acre_thrash_vote(&um->lapse, page, place, now_ns);
    if (!um->rules.remembers_waits) return acre_thrash_fault(page, place, now_ns, um->lapse.ns);
    const bool is_event = acre_thrash_is_event(page, place, now_ns, um->lapse.ns);
    if (acre_thrash_forgets(&thrash->epoch, is_event, now_ns, ACRE_THRASH_EPOCH_LAPSES * um->lapse.ns))
        for (unsigned i = 0; i < ACRE_BLOCK_PAGES; i++) thrash->pages[i].wait_count = thrash->pages[i].is_pinned ? ACRE_THRASH_WAITS : 0;
    return acre_thrash_fault_remembering(page, place, now_ns, um->lapse.ns);
}

/* Takes out of `faulted` what is to be used where it is. `*waits`: of the rest, something is to be waited for. */
static acre_status leave_some(acre_um *um, um_block *block, acre_page_mask *faulted, unsigned place, bool has_waited, bool *waits)
{
    um_place *const p = &um->places[place];
    acre_page_mask stay = {{0}};
    unsigned count = 0;
    *waits = false;
    for (unsigned first = 0; acre_mask_next_run(faulted, &first, &count); first += count) {
        for (unsigned page = first; page < first + count; page++) {
            const bool is_elsewhere = acre_um_is_elsewhere(um, block, page, place);
            if (is_advised(um, block, page, place)) {
                acre_mask_add(&stay, page);
                continue;
            }
            if (um->rules.ignores_thrashing || block->is_read_mostly || (block->thrash == NULL && !is_elsewhere)) continue;
            um_thrash *const thrash = thrash_of(um, block);
            if (thrash == NULL) continue;
            const bool was_pinned = thrash->pages[page].is_pinned;
            const acre_thrash_verdict verdict = verdict_on(um, thrash, page, place, has_waited);
            if (verdict == ACRE_THRASH_PIN && !was_pinned) p->figures.pin_count++;
            if (verdict == ACRE_THRASH_PIN && acre_um_can_reach(um, block, page, place) &&
                (p->window == NULL || acre_um_show_page(um, block, page, place))) {
                acre_mask_add(&stay, page);
            } else if (verdict != ACRE_THRASH_MOVE) {
                *waits = true;
            }
        }
    }
    acre_mask_subtract(faulted, &stay);
    if (counts_touches(um, block, place)) {
        acre_page_mask all = {{0}}, early = {{0}};
        for (unsigned first = 0; acre_mask_next_run(faulted, &first, &count); first += count)
            for (unsigned page = first; page < first + count; page++)
                if (acre_um_can_reach(um, block, page, place) &&
                    block->remote_counts[page / ACRE_BIG_PAGE_PAGES] + 1u < acre_min_size(threshold_of(um, block, p), UINT16_MAX))
                    acre_mask_add(&early, page);
        acre_mask_subtract(faulted, &early);
        if (!acre_mask_is_empty(&early)) { /* one fault maps the block */
            acre_mask_add_range(&all, 0, block->page_count);
            for (unsigned i = 1; i < um->place_count; i++) acre_mask_subtract(&all, &block->resident[i]);
            acre_mask_unite(&early, &all);
            acre_mask_subtract(&early, faulted);
            acre_mask_unite(&stay, &early);
        }
    }
    return acre_mask_is_empty(&stay) ? ACRE_OK : use_elsewhere(um, block, &stay);
}

/* ---- first writes in a window ---- */

/* Pages that are going to be written with those that are: as many as the rule would bring with them. */
static acre_page_mask spread_writes(const acre_um *um, const um_block *block, const acre_page_mask *written)
{
    acre_page_mask pages = *written;
    if (um->rules.prefetch == ACRE_UM_PREFETCH_BIG_PAGE) acre_mask_grow(&pages, ACRE_BIG_PAGE_PAGES, block->page_count);
    if (um->rules.prefetch == ACRE_UM_PREFETCH_DENSITY || um->rules.prefetch == ACRE_UM_PREFETCH_ADAPTIVE)
        acre_density_bring(&block->dirty, written, um->rules.density_percent, block->page_count, &pages);
    return pages;
}

/* Of `coming`, the pages that are to be open for writing: those of a write and what goes with them; all where most of what is there was
 * written, since who reads there will write; and what is newer than home's anyway. */
static acre_page_mask what_opens(const acre_um *um, const um_block *block, const acre_page_mask *faulted, const acre_page_mask *coming,
                                 unsigned place, bool is_write)
{
    acre_page_mask pages = {{0}};
    if (um->places[place].window == NULL || block->is_read_mostly) return pages;
    if (is_write) {
        pages = spread_writes(um, block, faulted);
    } else {
        acre_page_mask dirty = block->dirty;
        acre_mask_intersect(&dirty, &block->resident[place]);
        if (acre_mask_count(&dirty) * 2 > acre_mask_count(&block->resident[place])) pages = *coming;
    }
    acre_mask_unite(&pages, &block->dirty);
    acre_mask_intersect(&pages, coming);
    return pages;
}

/* What came open counts as written. */
static void note_opened(acre_um *um, um_block *block, unsigned place)
{
    unsigned count = 0;
    acre_page_mask here = um->opened;
    acre_mask_intersect(&here, &block->resident[place]);
    forget_at_home(um, block, &here);
    for (unsigned first = 0; acre_mask_next_run(&here, &first, &count); first += count)
        for (unsigned page = first; page < first + count; page++) write_here(um, block, page, place);
    um->opened = (acre_page_mask){{0}};
}

void acre_um_serve_writes(acre_um *um, um_block *block, const acre_page_mask *faulted, unsigned place)
{
    acre_page_mask pages = block->is_read_mostly ? *faulted : spread_writes(um, block, faulted);
    acre_mask_intersect(&pages, &block->resident[place]);
    acre_mask_subtract(&pages, &block->dirty);
    acre_mask_unite(&pages, faulted); /* also what is dirty, of which readers elsewhere have copies */
    um->places[place].figures.write_fault_count += acre_mask_count(faulted);
    um->opened = pages;
    note_opened(um, block, place);
    acre_um_open_pages(um, block, &pages, place);
}

/* ---- serving ---- */

static acre_status free_ahead(acre_um *um, unsigned place, const um_block *kept, const acre_page_mask *keep)
{
    const um_place *const p = &um->places[place];
    if (um->rules.free_percent == 0 || p->capacity_pages == UINT64_MAX) return ACRE_OK;
    return acre_um_make_room(um, place, p->capacity_pages * um->rules.free_percent / 100, kept, keep);
}

acre_status acre_um_serve(acre_um *um, um_block *block, const acre_page_mask *asked, unsigned place, bool is_write, bool may_wait)
{
    um_place *const p = &um->places[place];
    acre_page_mask faulted = *asked;
    const bool is_first = acre_mask_is_empty(&block->resident[place]);
    bool waits = false;
    unsigned count = 0;
    p->figures.fault_count += acre_mask_count(&faulted);
    p->figures.batch_count++;
    um->now_ns += p->costs.fault_ns;
    p->figures.stall_ns += um->options.is_modelled ? p->costs.fault_ns : 0;
    acre_status status = leave_some(um, block, &faulted, place, !may_wait, &waits);
    if (status != ACRE_OK) return status;
    if (waits && may_wait) {
        p->figures.throttle_count++;
        if (!um->options.is_modelled) return ACRE_BUSY;
        stall_until(um, p, um->now_ns + um->lapse.ns);
    }
    if (!acre_mask_is_empty(&faulted)) {
        judge(p);
        acre_page_mask pages = what_comes(um, block, &faulted, place);
        acre_page_mask guessed = pages;
        acre_mask_subtract(&guessed, &faulted);
        if (place != ACRE_UM_HOME) acre_mask_subtract(&pages, &block->resident[place]); /* of which copies elsewhere have to go */
        if (place != ACRE_UM_HOME) status = acre_um_make_room(um, place, acre_mask_count(&pages), block, &pages);
        um->opened = what_opens(um, block, &faulted, &pages, place, is_write);
        if (status == ACRE_OK) status = bring(um, block, &pages, place);
        if (place != ACRE_UM_HOME) note_guess(um, block, &guessed, place);
        note_opened(um, block, place);
        if (status != ACRE_OK) return status;
        for (unsigned first = 0; acre_mask_next_run(&faulted, &first, &count); first += count)
            for (unsigned page = first; page < first + count; page++) acre_um_use_here(um, block, page, place, is_write);
        acre_um_accept_block(um, block);
        if (place != ACRE_UM_HOME) {
            block->is_streamed = false;
            if (is_first) run_ahead(um, block, place, true);
            (void)free_ahead(um, place, block, &pages);
        }
    }
    return ACRE_OK;
}
