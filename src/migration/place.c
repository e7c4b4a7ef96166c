/* place.c - what the pages of a place consist of: their contents, in a space, and the time that moving them takes, where it is modelled. */
#include "migration/core.h"

#include <string.h>

/* ---- time ---- */

static uint64_t transfer_ns(const acre_um_costs *costs, uint64_t bytes, uint64_t bytes_per_s)
{
    return costs->transfer_ns + (bytes_per_s == 0 ? 0 : (uint64_t)((double)bytes * 1e9 / (double)bytes_per_s));
}

/* A transfer begins when its engine is free. Both ways go at once; a transfer between two places is one of each. */
static void pass_time(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned from, unsigned to)
{
    const uint64_t bytes = (uint64_t)count * ACRE_UM_PAGE_BYTES;
    uint64_t end_ns = um->now_ns;
    if (from != ACRE_UM_HOME) {
        um_place *const place = &um->places[from];
        const uint64_t begin_ns = acre_max_size(um->now_ns, place->out_free_ns);
        end_ns = place->out_free_ns = begin_ns + transfer_ns(&place->costs, bytes, place->costs.out_bytes_per_s);
    }
    if (to != ACRE_UM_HOME) {
        um_place *const place = &um->places[to];
        const uint64_t begin_ns = acre_max_size(end_ns, acre_max_size(place->in_free_ns, place->room_ns));
        end_ns = place->in_free_ns = begin_ns + transfer_ns(&place->costs, bytes, place->costs.in_bytes_per_s);
    }
    for (unsigned unit = first / ACRE_BIG_PAGE_PAGES; unit <= (first + count - 1) / ACRE_BIG_PAGE_PAGES; unit++)
        block->ready_ns[unit] = end_ns;
}

void acre_um_free_later(acre_um *um, um_place *place, uint64_t pages)
{
    if (place->capacity_pages == UINT64_MAX || place->out_free_ns <= um->now_ns) return;
    if (place->going_count == UM_GOING_MAX) { /* the first two become one, which ends as late as the second */
        place->going[1].pages += place->going[0].pages;
        memmove(place->going, place->going + 1, (UM_GOING_MAX - 1) * sizeof *place->going);
        place->going_count--;
    }
    place->going[place->going_count].pages = pages;
    place->going[place->going_count++].end_ns = place->out_free_ns;
    place->going_pages += pages;
}

void acre_um_take_free(acre_um *um, um_place *place, uint64_t pages)
{
    unsigned done = 0;
    if (place->capacity_pages == UINT64_MAX) return;
    while (done < place->going_count &&
           (place->going[done].end_ns <= um->now_ns || place->capacity_pages - place->used_pages < place->going_pages + pages)) {
        if (place->going[done].end_ns > place->room_ns) place->room_ns = place->going[done].end_ns;
        place->going_pages -= place->going[done++].pages;
    }
    place->going_count -= done;
    memmove(place->going, place->going + done, place->going_count * sizeof *place->going);
}

/* ---- contents ---- */

static uint64_t offset_of(const acre_um *um, const um_block *block, unsigned page)
{
    return (uint64_t)um_block_number(um, block) * ACRE_UM_BLOCK_BYTES + (uint64_t)page * ACRE_UM_PAGE_BYTES;
}

static acre_addr address_of(const acre_um *um, unsigned place, const um_block *block, unsigned page)
{
    return um->places[place].base + offset_of(um, block, page);
}

/* The contents of pages that are in a space; NULL: they are in a window, in frames, in no memory, or nowhere. */
static const unsigned char *contents_of(const acre_um *um, const um_block *block, unsigned first, unsigned place)
{
    if (place == UM_NOWHERE || um->places[place].space == NULL) return NULL;
    return acre_space_pointer(um->places[place].space, address_of(um, place, block, first));
}

acre_status acre_um_make_staging(acre_um *um)
{
    if (um->staging == NULL) um->staging = acre_meta_alloc(&um->meta, ACRE_UM_BLOCK_BYTES);
    return um->staging == NULL ? ACRE_NO_MEMORY : ACRE_OK;
}

/* Reads pages that have no addresses of the host. */
static acre_status read_pages(acre_um *um, const um_block *block, unsigned first, unsigned count, unsigned from, void *into)
{
    const um_place *const place = &um->places[from];
    const uint64_t at = offset_of(um, block, first), bytes = (uint64_t)count * ACRE_UM_PAGE_BYTES;
    if (place->window != NULL) return acre_window_read(place->window, at, into, bytes);
    if (place->frames != NULL)
        return acre_frames_read(place->frames, um_block_number(um, block), (uint64_t)first * ACRE_UM_PAGE_BYTES, into, bytes);
    return place->contents->read(place->contents->context, at, into, bytes);
}

static acre_status stage(acre_um *um, const um_block *block, unsigned first, unsigned count, unsigned from)
{
    const acre_status status = acre_um_make_staging(um);
    return status == ACRE_OK ? read_pages(um, block, first, count, from, um->staging) : status;
}

static acre_status copy_to_space(acre_um *um, const um_block *block, unsigned first, unsigned count, unsigned from, unsigned to)
{
    acre_space *const space = um->places[to].space;
    const acre_addr target = address_of(um, to, block, first);
    const uint64_t bytes = (uint64_t)count * ACRE_UM_PAGE_BYTES;
    const acre_status status = acre_space_commit(space, target, bytes);
    if (status != ACRE_OK) return status;
    unsigned char *const into = acre_space_pointer(space, target);
    const unsigned char *const contents = contents_of(um, block, first, from);
    if (from == UM_NOWHERE) {
        memset(into, 0, bytes);
    } else if (contents != NULL) {
        memcpy(into, contents, bytes);
    } else {
        return read_pages(um, block, first, count, from, into);
    }
    return ACRE_OK;
}

static acre_status copy_to_contents(acre_um *um, const um_block *block, unsigned first, unsigned count, unsigned from, unsigned to)
{
    const unsigned char *bytes = contents_of(um, block, first, from);
    if (bytes == NULL && from != UM_NOWHERE) {
        const acre_status status = stage(um, block, first, count, from);
        if (status != ACRE_OK) return status;
        bytes = um->staging;
    }
    return um->places[to].contents->write(um->places[to].contents->context, offset_of(um, block, first), bytes,
                                          (uint64_t)count * ACRE_UM_PAGE_BYTES);
}

static acre_status copy_to_frame(acre_um *um, const um_block *block, unsigned first, unsigned count, unsigned from, unsigned to)
{
    um_frames *const frames = um->places[to].frames;
    const uint64_t bytes = (uint64_t)count * ACRE_UM_PAGE_BYTES;
    const unsigned char *contents = contents_of(um, block, first, from);
    if (contents == NULL && (from != UM_NOWHERE || frames->contents.write != NULL)) {
        const acre_status status = from == UM_NOWHERE ? acre_um_make_staging(um) : stage(um, block, first, count, from);
        if (status != ACRE_OK) return status;
        if (from == UM_NOWHERE) memset(um->staging, 0, bytes);
        contents = um->staging;
    }
    if (acre_frames_lack(frames, um_block_number(um, block)))
        return acre_fail(ACRE_NO_MEMORY, "unified memory: '%s': no frame is free", um->places[to].name);
    acre_frames_take(frames, um_block_number(um, block));
    const acre_status status = acre_frames_write(frames, um_block_number(um, block), (uint64_t)first * ACRE_UM_PAGE_BYTES, contents, bytes);
    if (status != ACRE_OK && acre_mask_is_empty(&block->resident[to])) acre_frames_give_back(frames, um_block_number(um, block));
    return status;
}

/* Who waits for a page of a window goes on as soon as it is filled: then there must be no other to be seen. So a page goes from a window
 * before it comes to the next; what cannot come goes back. */
static acre_status take_from_window(acre_um *um, const um_block *block, unsigned first, unsigned count, unsigned from)
{
    const acre_status status = stage(um, block, first, count, from);
    if (status == ACRE_OK && !block->is_read_mostly)
        acre_window_drop(um->places[from].window, offset_of(um, block, first), (uint64_t)count * ACRE_UM_PAGE_BYTES);
    return status;
}

static void put_back(acre_um *um, const um_block *block, unsigned first, unsigned count, unsigned done, um_window *window)
{
    if (done == count || block->is_read_mostly) return;
    const uint64_t at = offset_of(um, block, first + done), bytes = (uint64_t)(count - done) * ACRE_UM_PAGE_BYTES;
    if (acre_window_put_back(window, at, um->staging + (uint64_t)done * ACRE_UM_PAGE_BYTES, bytes) != ACRE_OK)
        acre_os_abort("unified memory: %llu bytes that were on their way are lost: %s", (unsigned long long)bytes, acre_last_error());
    acre_window_wake(window, at, bytes);
}

/* Pages that are written at once come open. */
static acre_status fill_window(acre_um *um, const um_block *block, unsigned first, unsigned count, const unsigned char *contents,
                               unsigned to, unsigned *done)
{
    while (*done < count) {
        const bool is_open = acre_mask_has(&um->opened, first + *done);
        unsigned piece = 1;
        while (*done + piece < count && acre_mask_has(&um->opened, first + *done + piece) == is_open) piece++;
        uint64_t filled;
        const acre_status status = acre_window_fill(um->places[to].window, offset_of(um, block, first + *done),
                                                    contents == NULL ? NULL : contents + (uint64_t)*done * ACRE_UM_PAGE_BYTES,
                                                    (uint64_t)piece * ACRE_UM_PAGE_BYTES, is_open, &filled);
        *done += (unsigned)(filled / ACRE_UM_PAGE_BYTES);
        if (status != ACRE_OK) return status;
    }
    return ACRE_OK;
}

static acre_status copy_to_window(acre_um *um, const um_block *block, unsigned first, unsigned count, unsigned from, unsigned to,
                                  unsigned *done)
{
    const um_place *const source = from == UM_NOWHERE ? NULL : &um->places[from];
    if (source == NULL || source->space != NULL) return fill_window(um, block, first, count, contents_of(um, block, first, from), to, done);
    acre_status status = source->window != NULL ? take_from_window(um, block, first, count, from) : stage(um, block, first, count, from);
    if (status != ACRE_OK) return status;
    status = fill_window(um, block, first, count, um->staging, to, done);
    if (source->window != NULL) put_back(um, block, first, count, *done, source->window);
    return status;
}

acre_status acre_um_copy_pages(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned from, unsigned to, unsigned *done)
{
    assert(from != to && count > 0 && first + count <= block->page_count);
    acre_status status = ACRE_OK;
    *done = 0;
    if (from != UM_NOWHERE && um->places[from].window != NULL) { /* who writes there meanwhile would write what is lost */
        acre_um_hide_pages(um, block, first, count);
        status = acre_window_protect(um->places[from].window, offset_of(um, block, first), (uint64_t)count * ACRE_UM_PAGE_BYTES);
    }
    if (status != ACRE_OK) return status;
    if (um->places[to].window != NULL) {
        status = copy_to_window(um, block, first, count, from, to, done);
    } else {
        if (um->places[to].space != NULL) status = copy_to_space(um, block, first, count, from, to);
        if (um->places[to].contents != NULL) status = copy_to_contents(um, block, first, count, from, to);
        if (um->places[to].frames != NULL) status = copy_to_frame(um, block, first, count, from, to);
        if (status == ACRE_OK) *done = count;
    }
    if (*done == 0) return status;
    const uint64_t bytes = (uint64_t)*done * ACRE_UM_PAGE_BYTES;
    if (from == UM_NOWHERE) {
        um->places[to].figures.zero_bytes += bytes;
        return status;
    }
    if (um->options.is_modelled) pass_time(um, block, first, count, from, to);
    if (to != ACRE_UM_HOME) um->places[to].figures.in_bytes += bytes;
    if (from != ACRE_UM_HOME) um->places[from].figures.out_bytes += bytes;
    return status;
}

/* ---- pages that are used through another window ---- */

bool acre_um_show_page(acre_um *um, um_block *block, unsigned page, unsigned place)
{
    um_window *const from = um->places[acre_um_holder_of(um, block, page)].window;
    if (from == NULL || um->shown_count == UM_SHOWN_MAX || block->is_read_mostly) return false;
    if (acre_window_show(um->places[place].window, offset_of(um, block, page), ACRE_UM_PAGE_BYTES, from) != ACRE_OK) return false;
    if (!acre_mask_has(&block->shown, page)) {
        um->shown[um->shown_count].block = um_block_number(um, block);
        um->shown[um->shown_count++].page = page;
    }
    acre_mask_add(&block->shown, page);
    return true;
}

static void hide_page(acre_um *um, um_block *block, unsigned page)
{
    const unsigned holder = acre_um_holder_of(um, block, page);
    for (unsigned place = 1; place < um->place_count; place++)
        if (place != holder && um->places[place].window != NULL)
            (void)acre_window_hide(um->places[place].window, offset_of(um, block, page), ACRE_UM_PAGE_BYTES);
    acre_mask_remove(&block->shown, page);
    for (unsigned i = um->shown_count; i-- > 0;)
        if (um->shown[i].block == um_block_number(um, block) && um->shown[i].page == page) um->shown[i] = um->shown[--um->shown_count];
}

void acre_um_hide_pages(acre_um *um, um_block *block, unsigned first, unsigned count)
{
    if (acre_mask_is_empty(&block->shown)) return;
    for (unsigned page = first; page < first + count; page++)
        if (acre_mask_has(&block->shown, page)) hide_page(um, block, page);
}

void acre_um_hide_unpinned(acre_um *um)
{
    for (unsigned i = um->shown_count; i-- > 0;) {
        um_block *const block = &um->blocks[um->shown[i].block];
        const unsigned page = um->shown[i].page;
        if (block->thrash != NULL && acre_thrash_is_pinned(&block->thrash->pages[page], um_now_ns(um))) continue;
        acre_mask_remove(&block->remote, page);
        hide_page(um, block, page);
    }
}

void acre_um_open_pages(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place)
{
    unsigned count = 0;
    if (um->places[place].window == NULL) return;
    for (unsigned first = 0; acre_mask_next_run(pages, &first, &count); first += count)
        acre_window_allow(um->places[place].window, offset_of(um, block, first), (uint64_t)count * ACRE_UM_PAGE_BYTES);
}

void acre_um_accept_block(acre_um *um, um_block *block)
{
    if (!block->is_refused) return;
    block->is_refused = false;
    for (unsigned place = 1; place < um->place_count; place++)
        if (um->places[place].window != NULL) acre_window_accept(um->places[place].window, offset_of(um, block, 0), ACRE_UM_BLOCK_BYTES);
}

void acre_um_discard(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned place)
{
    const um_place *const p = &um->places[place];
    const uint64_t at = offset_of(um, block, first), bytes = (uint64_t)count * ACRE_UM_PAGE_BYTES;
    if (p->contents != NULL && p->contents->discard != NULL) p->contents->discard(p->contents->context, at, bytes);
    if (p->window != NULL) {
        acre_um_hide_pages(um, block, first, count);
        acre_window_drop(p->window, at, bytes);
    }
    if (p->space != NULL && (p->space->info.capabilities & ACRE_CAP_PURGE) != 0)
        (void)acre_space_purge(p->space, p->base + at, bytes); /* what is left there harms nobody */
}

void *acre_um_address(const acre_um *um, unsigned place, uint64_t at)
{
    if (um->places[place].window != NULL) return um->places[place].window->base + at;
    return um->places[place].space == NULL ? NULL : acre_space_pointer(um->places[place].space, um->places[place].base + at);
}
