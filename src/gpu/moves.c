/* moves.c - defragmentation: which allocations should go where, so that a wished free extent arises or a block becomes empty.
 *
 * A free extent of so many bytes arises in a *window*: neighbouring extents of one block, of which those in use can go elsewhere. Of all
 * windows the one with the fewest bytes in use is the cheapest; two pointers that go through the block once find it. What is free in the
 * window is held, so that no place in it is chosen, then a place is looked for each of the others, the largest first. If one has none, the
 * next cheapest window is tried.
 */
#include "gpu/manager.h"

#include "alloc/offset_allocator.h"
#include "base/bits.h"
#include "base/status.h"

#include <stdlib.h>

enum { WINDOWS_MAX = 8, SIZE_STEPS = 40 };
#define WANTED_MAX ((uint64_t)1 << 60) /* no block is so long */

typedef struct plan {
    acre_gpu_pool *pool;
    acre_gpu_move *moves;
    uint32_t count;
    uint32_t count_max;
    uint64_t bytes;
    uint64_t bytes_max;
} plan;

typedef struct window {
    acre_gpu_block *block;
    uint64_t begin;
    uint64_t end;
    uint64_t cost; /* bytes in use */
} window;

static bool is_movable(const acre_gpu_entry *entry)
{
    const uint32_t lasting = (entry->flags & ACRE_GPU_MAPPED) != 0 ? 1 : 0;
    return (entry->flags & (ACRE_GPU_PINNED | ACRE_GPU_PARTING)) == 0 && entry->to_block == NULL && entry->map_count <= lasting;
}

static acre_gpu_entry *entry_of_move(const plan *p, const acre_gpu_move *move)
{
    return acre_record_find(&p->pool->gpu->entries, move->memory);
}

/* ---- one move ---- */

/* What an entry needs elsewhere. */
static acre_gpu_need need_of(const acre_gpu_entry *entry, const acre_offset_extent *extent, const acre_gpu_request *request)
{
    return (acre_gpu_need){.request = request,
                           .size_bytes = extent->size_bytes,
                           .alignment_bytes = (uint64_t)1 << entry->alignment_shift,
                           .priority_permille = entry->block->priority_permille};
}

static acre_status find_place(const plan *p, const acre_gpu_entry *entry, const acre_gpu_need *need, acre_gpu_block **block,
                              acre_offset_block *place, uint64_t *offset)
{
    for (acre_gpu_block *each = p->pool->first; each != NULL; each = each->next) {
        if (each->is_dedicated || each->is_kept_free || each->priority_permille != entry->block->priority_permille) continue;
        *block = each;
        if (each->entry_count > 0 && acre_gpu_place_in(each, need, ACRE_OFFSET_BEST_FIT, place, offset) == ACRE_OK) return ACRE_OK;
    }
    return ACRE_NO_MEMORY;
}

static acre_status plan_move(plan *p, acre_gpu_entry *entry)
{
    static const acre_gpu_request any = {0};
    acre_offset_extent extent;
    acre_offset_block place = 0;
    acre_gpu_block *block = NULL;
    uint64_t offset = 0;
    acre_status status = acre_offset_read(&entry->block->offsets, entry->place, &extent);
    if (status != ACRE_OK || p->count == p->count_max || extent.size_bytes > p->bytes_max - p->bytes) return ACRE_NO_MEMORY;
    const acre_gpu_need need = need_of(entry, &extent, &any);
    status = find_place(p, entry, &need, &block, &place, &offset);
    if (status != ACRE_OK) return status;
    acre_gpu_must(acre_offset_set_user(&block->offsets, place, (uintptr_t)entry | ACRE_GPU_WORD_TARGET));
    entry->to_block = block;
    entry->to_place = place;
    p->moves[p->count++] = (acre_gpu_move){.memory = acre_record_name(&p->pool->gpu->entries, entry),
                                           .to = block->handle,
                                           .to_offset_bytes = offset,
                                           .outcome = ACRE_GPU_MOVE_NOT};
    p->bytes += extent.size_bytes;
    return status;
}

static void forget_target(acre_gpu_entry *entry)
{
    acre_gpu_leave_place(entry->to_block, entry->to_place);
    entry->to_block = NULL;
    entry->to_place = 0;
}

/* Takes back all moves from number `count` on. */
static void take_back(plan *p, uint32_t count)
{
    while (p->count > count) {
        acre_gpu_entry *const entry = entry_of_move(p, &p->moves[--p->count]);
        acre_offset_extent extent;
        acre_gpu_must(acre_offset_read(&entry->to_block->offsets, entry->to_place, &extent));
        p->bytes -= extent.size_bytes;
        forget_target(entry);
    }
}

/* ---- a free extent of a wished size ---- */

/* The cheapest window of a block that costs more than the one tried last, or as much and lies higher. */
static void find_window(acre_gpu_block *block, uint64_t wanted, const window *tried, window *best)
{
    acre_offset_extent left;
    acre_offset_extent right;
    const acre_offset_allocator *const offsets = &block->offsets;
    uint32_t l = acre_offset_step(offsets, 0, &left);
    uint32_t r = l;
    uint64_t cost = 0; /* of those from l up to the one before r */
    right = left;
    while (l != 0) {
        bool is_blocked = false;
        while (r != 0 && right.offset + right.size_bytes - left.offset < wanted && !is_blocked) {
            const acre_gpu_entry *const entry = acre_gpu_entry_of(&right);
            is_blocked = right.is_out && (entry == NULL || !is_movable(entry));
            if (right.is_out) cost += right.size_bytes;
            r = acre_offset_step(offsets, r, &right);
        }
        if (!is_blocked && r == 0) return;
        const acre_gpu_entry *const last = is_blocked ? NULL : acre_gpu_entry_of(&right);
        if (!is_blocked && right.is_out && (last == NULL || !is_movable(last))) {
            cost += right.size_bytes;
            r = acre_offset_step(offsets, r, &right);
            is_blocked = true;
        }
        if (is_blocked) { /* no window has that one in it */
            l = r;
            left = right;
            cost = 0;
            continue;
        }
        const uint64_t whole = cost + (right.is_out ? right.size_bytes : 0);
        const bool is_later = tried->block == NULL || whole > tried->cost ||
                              (whole == tried->cost && (block > tried->block || (block == tried->block && left.offset > tried->begin)));
        const bool is_better = best->block == NULL || whole < best->cost;
        if (is_later && is_better) *best = (window){.block = block, .begin = left.offset, .end = left.offset + wanted, .cost = whole};
        if (l == r) { /* this one alone is long enough */
            r = acre_offset_step(offsets, r, &right);
            l = r;
            left = right;
            cost = 0;
            continue;
        }
        if (left.is_out) cost -= left.size_bytes;
        l = acre_offset_step(offsets, l, &left);
    }
}

static void release_holds(acre_gpu_pool *pool)
{
    while (pool->hold != 0) {
        acre_offset_extent extent;
        acre_gpu_must(acre_offset_read(&pool->hold_block->offsets, pool->hold, &extent));
        acre_gpu_leave_place(pool->hold_block, pool->hold);
        pool->hold = extent.user >> ACRE_GPU_WORD_BITS;
    }
    pool->hold_block = NULL;
}

/* Holds a free part of the window. Its word has the name of the one held before it beside the two bits: a name has 61. */
static acre_status hold(acre_gpu_pool *pool, acre_gpu_block *block, uint64_t offset, uint64_t size_bytes)
{
    acre_offset_block place = 0;
    acre_status status = acre_offset_alloc_at(&block->offsets, offset, size_bytes, &place);
    if (status != ACRE_OK) return status;
    acre_gpu_must(acre_offset_set_user(&block->offsets, place, pool->hold << ACRE_GPU_WORD_BITS | ACRE_GPU_WORD_HOLD));
    block->used_bytes += size_bytes;
    pool->hold_block = block;
    pool->hold = place;
    return status;
}

/* Holds what is free in the window, and notes in the moves who is to go, with the size instead of an offset. */
static acre_status collect(plan *p, const window *w, uint32_t *count)
{
    acre_offset_extent extent;
    const acre_offset_allocator *const offsets = &w->block->offsets;
    *count = 0;
    for (uint32_t i = acre_offset_step(offsets, 0, &extent); i != 0 && extent.offset < w->end; i = acre_offset_step(offsets, i, &extent)) {
        if (extent.offset < w->begin) continue;
        if (extent.is_out) {
            if (p->count + *count == p->count_max) return ACRE_NO_MEMORY;
            p->moves[p->count + *count] = (acre_gpu_move){.memory = acre_record_name(&p->pool->gpu->entries, acre_gpu_entry_of(&extent)),
                                                          .to_offset_bytes = extent.size_bytes};
            ++*count;
            continue;
        }
        const uint64_t left = w->end - extent.offset;
        const uint64_t held = extent.size_bytes < left ? extent.size_bytes : acre_align_up(left, ACRE_GPU_GRANULE_BYTES);
        const acre_status status = hold(p->pool, w->block, extent.offset, held);
        if (status != ACRE_OK) return status;
    }
    return ACRE_OK;
}

static int larger_first(const void *one, const void *other)
{
    const acre_gpu_move *const a = one;
    const acre_gpu_move *const b = other;
    return a->to_offset_bytes > b->to_offset_bytes ? -1 : a->to_offset_bytes < b->to_offset_bytes;
}

/* Finds places for all that is in the window, or for nothing. */
static acre_status clear_window(plan *p, const window *w)
{
    const uint32_t before = p->count;
    uint32_t count = 0;
    acre_status status = collect(p, w, &count);
    if (status == ACRE_OK) qsort(p->moves + before, count, sizeof *p->moves, larger_first);
    for (uint32_t i = 0; i < count && status == ACRE_OK; i++) status = plan_move(p, entry_of_move(p, &p->moves[p->count]));
    if (status == ACRE_OK) return status;
    take_back(p, before);
    release_holds(p->pool);
    return status;
}

/* A free extent of `wanted` bytes: true when the moves for it are planned, or it is there already. */
static bool plan_extent(plan *p, uint64_t wanted)
{
    window tried = {0};
    for (unsigned i = 0; i < WINDOWS_MAX; i++) {
        window best = {0};
        for (acre_gpu_block *block = p->pool->first; block != NULL; block = block->next)
            if (!block->is_dedicated && block->size_bytes >= wanted) find_window(block, wanted, &tried, &best);
        if (best.block == NULL || best.cost > p->bytes_max - p->bytes) return false;
        if (best.cost == 0 || clear_window(p, &best) == ACRE_OK) return true;
        tried = best;
    }
    return false;
}

/* ---- empty blocks ---- */

static bool plan_block(plan *p, acre_gpu_block *block)
{
    const uint32_t before = p->count;
    acre_offset_extent extent;
    acre_status status = ACRE_OK;
    block->is_kept_free = true;
    for (uint32_t i = acre_offset_step(&block->offsets, 0, &extent); i != 0 && status == ACRE_OK;
         i = acre_offset_step(&block->offsets, i, &extent)) {
        acre_gpu_entry *const entry = acre_gpu_entry_of(&extent);
        if (!extent.is_out) continue;
        status = entry == NULL || !is_movable(entry) ? ACRE_NO_MEMORY : plan_move(p, entry);
    }
    if (status == ACRE_OK) return true;
    take_back(p, before);
    block->is_kept_free = false;
    return false;
}

/* The emptiest first: the list has them at its end. */
static uint64_t plan_blocks(plan *p)
{
    uint64_t freed = 0;
    for (acre_gpu_block *block = p->pool->last; block != NULL && p->pool->block_count > 1; block = block->previous) {
        if (block->is_dedicated || block->entry_count == 0 || block->used_bytes > p->bytes_max - p->bytes) continue;
        if (plan_block(p, block)) freed += block->size_bytes;
    }
    return freed;
}

/* ---- public ---- */

/* In blocks that stay, when a plan is made. */
static uint64_t largest_extent(const acre_gpu_pool *pool, uint64_t *free_bytes)
{
    uint64_t largest = 0;
    *free_bytes = 0;
    for (const acre_gpu_block *block = pool->first; block != NULL; block = block->next) {
        acre_offset_figures figures;
        if (block->is_dedicated || block->is_kept_free || acre_offset_read_figures(&block->offsets, &figures) != ACRE_OK) continue;
        const uint64_t free_in_it = figures.size_bytes - figures.block_bytes;
        if (figures.largest_free_bytes > largest) largest = figures.largest_free_bytes;
        if (free_in_it > *free_bytes) *free_bytes = free_in_it; /* of the block that has most */
    }
    return largest;
}

/* Steps down from what is free in a block to an extent that the moves allow. */
static uint64_t plan_largest_extent(plan *p, uint64_t largest, uint64_t free_bytes)
{
    uint64_t wanted = free_bytes;
    for (unsigned i = 0; i < SIZE_STEPS && wanted > largest + largest / 8; i++, wanted -= wanted / 8)
        if (plan_extent(p, wanted)) return wanted;
    return largest;
}

static acre_status find_pool(acre_gpu *gpu, acre_gpu_pool **pool, uint32_t type, const char *operation)
{
    if (gpu == NULL) return acre_fail(ACRE_INVALID, "gpu: %s: the manager is NULL", operation);
    if (*pool == NULL) {
        if (type >= gpu->device.type_count)
            return acre_fail(ACRE_INVALID, "gpu '%s': %s: type %u of %u", gpu->driver->name, operation, type, gpu->device.type_count);
        *pool = gpu->by_type[type];
    }
    if ((*pool)->gpu != gpu) return acre_fail(ACRE_INVALID, "gpu '%s': %s: the pool is another manager's", gpu->driver->name, operation);
    if ((*pool)->options.kind == ACRE_GPU_POOL_GENERAL) return ACRE_OK;
    return acre_fail(ACRE_UNSUPPORTED, "gpu '%s': %s: pool '%s' is linear or of slabs", gpu->driver->name, operation, (*pool)->name);
}

acre_status acre_gpu_plan_moves(acre_gpu *gpu, acre_gpu_pool *pool, uint32_t type, uint64_t bytes_max, uint64_t wanted_bytes,
                                acre_gpu_move *moves, uint32_t *count, acre_gpu_gain *gain)
{
    acre_gpu_gain ignored;
    if (count == NULL || moves == NULL) return acre_fail(ACRE_INVALID, "gpu: plan moves: a NULL");
    const uint32_t count_max = *count;
    *count = 0;
    if (gain == NULL) gain = &ignored;
    *gain = (acre_gpu_gain){0};
    const acre_status status = find_pool(gpu, &pool, type, "plan moves");
    if (status != ACRE_OK) return status;
    plan p = {.pool = pool, .moves = moves, .count_max = count_max, .bytes_max = bytes_max};
    acre_lock_take(&pool->lock);
    if (pool->move_count > 0) {
        acre_lock_drop(&pool->lock);
        return acre_fail(ACRE_BUSY, "gpu '%s': plan moves: a plan of this pool is not ended", gpu->driver->name);
    }
    uint64_t free_bytes = 0;
    const uint64_t wanted = acre_align_up(wanted_bytes < WANTED_MAX ? wanted_bytes : WANTED_MAX, ACRE_GPU_GRANULE_BYTES);
    gain->largest_extent_bytes = gain->largest_extent_after_bytes = largest_extent(pool, &free_bytes);
    if (wanted > 0) {
        if (plan_extent(&p, wanted) && wanted > gain->largest_extent_bytes) gain->largest_extent_after_bytes = wanted;
    } else {
        gain->freed_block_bytes = plan_blocks(&p);
        gain->largest_extent_after_bytes =
            p.count > 0 ? largest_extent(pool, &free_bytes) : plan_largest_extent(&p, gain->largest_extent_bytes, free_bytes);
    }
    gain->moved_bytes = p.bytes;
    pool->move_count = p.count;
    *count = p.count;
    acre_lock_drop(&pool->lock);
    return ACRE_OK;
}

static acre_status end_move(acre_gpu_entry *entry, const acre_gpu_move *move)
{
    switch (move->outcome) {
    case ACRE_GPU_MOVE_DONE: {
        const acre_status status = acre_gpu_change_place(entry);
        if (status != ACRE_OK) return status;
        entry->to_block = NULL;
        entry->to_place = 0;
        return ACRE_OK;
    }
    case ACRE_GPU_MOVE_FREED:
        forget_target(entry);
        while (entry->map_count > 0) {
            entry->map_count--;
            acre_gpu_unmap_block(entry->block);
        }
        acre_gpu_leave(entry);
        return ACRE_OK;
    default:
        forget_target(entry);
        return ACRE_OK;
    }
}

acre_status acre_gpu_end_moves(acre_gpu *gpu, acre_gpu_pool *pool, uint32_t type, const acre_gpu_move *moves, uint32_t count)
{
    acre_status status = find_pool(gpu, &pool, type, "end moves");
    if (status != ACRE_OK) return status;
    if (moves == NULL && count > 0) return acre_fail(ACRE_INVALID, "gpu '%s': end moves: a NULL", gpu->driver->name);
    acre_lock_take(&pool->lock);
    for (uint32_t i = 0; i < count; i++) {
        acre_gpu_entry *const entry = acre_record_find(&gpu->entries, moves[i].memory);
        if (entry == NULL || entry->to_block == NULL || entry->to_block->pool != pool || moves[i].outcome > ACRE_GPU_MOVE_FREED) {
            status = acre_fail(ACRE_INVALID, "gpu '%s': end moves: number %u is part of no plan of this pool, or its outcome is %u",
                               gpu->driver->name, i, moves[i].outcome);
            continue;
        }
        const acre_status ended = end_move(entry, &moves[i]);
        if (ended != ACRE_OK) {
            status = ended; /* it could not be mapped in its new place: it stays */
            forget_target(entry);
        }
        pool->move_count--;
        if (moves[i].outcome == ACRE_GPU_MOVE_FREED) acre_gpu_drop_entry(gpu, entry);
    }
    if (pool->move_count == 0) {
        release_holds(pool);
        for (acre_gpu_block *block = pool->first; block != NULL; block = block->next) block->is_kept_free = false;
        (void)acre_gpu_drop_empty(pool, 0);
    }
    acre_lock_drop(&pool->lock);
    return status;
}
