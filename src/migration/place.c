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

static acre_addr address_of(const acre_um *um, unsigned place, const um_block *block, unsigned first)
{
    return um->places[place].base + (uint64_t)um_block_number(um, block) * ACRE_UM_BLOCK_BYTES + (uint64_t)first * ACRE_UM_PAGE_BYTES;
}

static acre_status copy_contents(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned from, unsigned to)
{
    acre_space *const space = um->places[to].space;
    const acre_addr target = address_of(um, to, block, first);
    const uint64_t bytes = (uint64_t)count * ACRE_UM_PAGE_BYTES;
    const acre_status status = acre_space_commit(space, target, bytes);
    if (status != ACRE_OK) return status;
    unsigned char *const into = acre_space_pointer(space, target);
    if (from == UM_NOWHERE) {
        memset(into, 0, bytes);
    } else {
        memcpy(into, acre_space_pointer(um->places[from].space, address_of(um, from, block, first)), bytes);
    }
    return ACRE_OK;
}

acre_status acre_um_copy_pages(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned from, unsigned to)
{
    assert(from != to && count > 0 && first + count <= block->page_count);
    if (um->places[to].space != NULL) {
        const acre_status status = copy_contents(um, block, first, count, from, to);
        if (status != ACRE_OK) return status;
    }
    const uint64_t bytes = (uint64_t)count * ACRE_UM_PAGE_BYTES;
    if (from == UM_NOWHERE) {
        um->places[to].figures.zero_bytes += bytes;
        return ACRE_OK;
    }
    if (um->options.is_modelled) pass_time(um, block, first, count, from, to);
    if (to != ACRE_UM_HOME) um->places[to].figures.in_bytes += bytes;
    if (from != ACRE_UM_HOME) um->places[from].figures.out_bytes += bytes;
    return ACRE_OK;
}

void acre_um_discard(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned place)
{
    acre_space *const space = um->places[place].space;
    if (space == NULL || !(space->info.capabilities & ACRE_CAP_PURGE)) return;
    (void)acre_space_purge(space, address_of(um, place, block, first),
                           (uint64_t)count * ACRE_UM_PAGE_BYTES); /* what is left there harms nobody */
}

void *acre_um_address(const acre_um *um, unsigned place, uint64_t at)
{
    return um->places[place].space == NULL ? NULL : acre_space_pointer(um->places[place].space, um->places[place].base + at);
}
