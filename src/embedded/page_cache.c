/* page_cache.c - see acre/page_cache.h. One index finds the frame of a page and keeps its number, as the fingerprint that it is a bijection
 * of, which is also all that the policy wants to know. Free frames are a list through the same nodes. */
#include "base/status.h"
#include "policy/index.h"
#include "policy/policy.h"

#include <acre/page_cache.h>
#include <assert.h>
#include <string.h>

enum { FRAMES_MIN = 2 };

struct acre_page_cache {
    acre_page_cache_options options;
    acre_policy *policy;
    acre_index index; /* by frame */
    uint8_t *fix_counts;
    uint8_t *are_changed;
    acre_policy_slot first_free, free_count; /* frame + 1; 0: there is none */
    acre_status write_status;                /* of the last eviction */
    acre_page_cache_figures figures;
};

static unsigned char *frame_at(const acre_page_cache *cache, acre_policy_slot frame)
{
    return (unsigned char *)cache->options.frames + (size_t)frame * cache->options.page_bytes;
}

static uint32_t page_in(const acre_page_cache *cache, acre_policy_slot frame)
{
    return (uint32_t)acre_fingerprint_key(cache->index.nodes[frame].fingerprint, 0);
}

/* ---- its life ---- */

static acre_status check_options(const acre_page_cache_options *o)
{
    if (o == NULL || o->frames == NULL || o->read == NULL) return acre_fail(ACRE_INVALID, "page cache: options, frames or read are NULL");
    if (o->frame_count < FRAMES_MIN || o->frame_count > ACRE_POLICY_CAPACITY_MAX)
        return acre_fail(ACRE_INVALID, "page cache: %u frames: %u to %u", (unsigned)o->frame_count, (unsigned)FRAMES_MIN,
                         (unsigned)ACRE_POLICY_CAPACITY_MAX);
    if (o->page_bytes == 0 || o->page_bytes % sizeof(uint32_t) != 0 || o->page_bytes > ACRE_PAGE_CACHE_PAGE_BYTES_MAX)
        return acre_fail(ACRE_INVALID, "page cache: pages of %u bytes: a multiple of 4 up to %u", (unsigned)o->page_bytes,
                         (unsigned)ACRE_PAGE_CACHE_PAGE_BYTES_MAX);
    if (o->page_count == 0) return acre_fail(ACRE_INVALID, "page cache: a device of no pages");
    if ((uintptr_t)o->frames % sizeof(uint32_t) != 0)
        return acre_fail(ACRE_INVALID, "page cache: frames at %p are not aligned to 4", o->frames);
    return acre_policy_name(o->policy) == NULL ? acre_fail(ACRE_INVALID, "page cache: no policy %u", (unsigned)o->policy) : ACRE_OK;
}

/* Where its arrays lie in the memory of `carver`, or how much there must be. */
static void lay_out(acre_page_cache *cache, const acre_page_cache_options *options, acre_carver *carver)
{
    *cache = (acre_page_cache){.options = *options};
    (void)acre_carve(carver, 1, sizeof *cache);
    acre_index_lay_out(&cache->index, carver, options->frame_count, options->frame_count);
    cache->fix_counts = acre_carve(carver, options->frame_count, 1);
    cache->are_changed = acre_carve(carver, options->frame_count, 1);
    const acre_policy_options of_policy = {.kind = options->policy,
                                           .capacity = options->frame_count,
                                           .keys = cache->index.nodes, /* their first members are fingerprints */
                                           .has_fingerprints = true,
                                           .key_stride_bytes = sizeof *cache->index.nodes};
    cache->policy = acre_policy_carve(&of_policy, carver, NULL);
}

size_t acre_page_cache_bytes(const acre_page_cache_options *options)
{
    acre_carver carver = {NULL, 0};
    acre_page_cache any;
    if (check_options(options) != ACRE_OK) return 0;
    lay_out(&any, options, &carver);
    return carver.used_bytes;
}

static void put_free(acre_page_cache *cache, acre_policy_slot frame)
{
    cache->index.nodes[frame].next = cache->first_free;
    cache->first_free = (acre_policy_slot)(frame + 1);
    cache->free_count++;
}

acre_status acre_page_cache_init(acre_page_cache **cache, const acre_page_cache_options *options, void *memory, size_t bytes)
{
    if (cache == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "page cache: the place for it, or its memory, is NULL");
    if (check_options(options) != ACRE_OK) return ACRE_INVALID;
    const size_t needed = acre_page_cache_bytes(options);
    if (bytes < needed || (uintptr_t)memory % sizeof(uint64_t) != 0)
        return acre_fail(ACRE_INVALID, "page cache: %zu bytes at %p are not %zu bytes aligned to 8", bytes, memory, needed);
    memset(memory, 0, needed);
    acre_carver carver = {memory, 0};
    lay_out(memory, options, &carver);
    *cache = memory;
    for (acre_policy_slot frame = options->frame_count; frame-- > 0;) put_free(*cache, frame);
    return ACRE_OK;
}

/* ---- to and from the device ---- */

static acre_status write_frame(acre_page_cache *cache, acre_policy_slot frame)
{
    const acre_status status = cache->options.write(cache->options.device, page_in(cache, frame), frame_at(cache, frame));
    cache->figures.write_count++;
    if (status == ACRE_OK)
        cache->are_changed[frame] = 0;
    else
        cache->figures.error_count++;
    return status;
}

/* A changed page is written at once when it is to go. */
static acre_verdict look(void *context, acre_policy_slot frame)
{
    acre_page_cache *const cache = context;
    if (cache->fix_counts[frame] > 0) return ACRE_KEEP;
    if (cache->are_changed[frame] == 0) return ACRE_EVICT;
    const acre_status status = write_frame(cache, frame);
    if (status != ACRE_OK) cache->write_status = status;
    return status == ACRE_OK ? ACRE_EVICT : ACRE_KEEP;
}

/* A frame that is in no list. */
static acre_status take_frame(acre_page_cache *cache, acre_policy_origin origin, acre_policy_slot *frame)
{
    if (cache->first_free != 0) {
        *frame = (acre_policy_slot)(cache->first_free - 1);
        cache->first_free = cache->index.nodes[*frame].next;
        cache->free_count--;
        return ACRE_OK;
    }
    cache->write_status = ACRE_OK;
    *frame = acre_policy_evict(cache->policy, origin, look, cache);
    if (*frame == ACRE_POLICY_NO_SLOT) {
        if (cache->write_status == ACRE_OK) return acre_fail(ACRE_BUSY, "page cache: pages are fixed wherever a frame was looked for");
        return acre_fail(cache->write_status, "page cache: changed pages cannot be written, and no other can go");
    }
    acre_index_remove(&cache->index, *frame);
    cache->figures.evict_count++;
    return ACRE_OK;
}

static acre_status bring(acre_page_cache *cache, uint32_t page, acre_page_mode mode, acre_policy_slot *frame)
{
    const acre_policy_origin origin = acre_policy_miss(cache->policy, page);
    acre_status status = take_frame(cache, origin, frame);
    cache->figures.miss_count++;
    if (status != ACRE_OK) return status;
    if (mode == ACRE_PAGE_NEW) {
        memset(frame_at(cache, *frame), 0, cache->options.page_bytes);
    } else {
        status = cache->options.read(cache->options.device, page, frame_at(cache, *frame));
        cache->figures.read_count++;
    }
    if (status != ACRE_OK) {
        cache->figures.error_count++;
        put_free(cache, *frame);
        return acre_fail(status, "page cache: page %u cannot be read", (unsigned)page);
    }
    acre_index_insert(&cache->index, *frame, acre_fingerprint(page));
    acre_policy_admit(cache->policy, *frame, origin);
    return ACRE_OK;
}

/* ---- using pages ---- */

acre_status acre_page_cache_fix(acre_page_cache *cache, uint32_t page, acre_page_mode mode, void **bytes)
{
    if (cache == NULL || bytes == NULL) return acre_fail(ACRE_INVALID, "page cache: it or the place for the page is NULL");
    *bytes = NULL;
    if (page >= cache->options.page_count || (unsigned)mode > ACRE_PAGE_NEW)
        return acre_fail(ACRE_INVALID, "page cache: page %u of %u, mode %u", (unsigned)page, (unsigned)cache->options.page_count,
                         (unsigned)mode);
    acre_policy_slot frame = acre_index_find(&cache->index, acre_fingerprint(page));
    if (frame != ACRE_POLICY_NO_SLOT) {
        if (cache->fix_counts[frame] == ACRE_PAGE_CACHE_FIXES_MAX)
            return acre_fail(ACRE_BUSY, "page cache: page %u is fixed %u times", (unsigned)page, ACRE_PAGE_CACHE_FIXES_MAX);
        acre_policy_hit(cache->policy, frame);
        cache->figures.hit_count++;
    } else {
        const acre_status status = bring(cache, page, mode, &frame);
        if (status != ACRE_OK) return status;
    }
    cache->fix_counts[frame]++;
    *bytes = frame_at(cache, frame);
    return ACRE_OK;
}

acre_status acre_page_cache_unfix(acre_page_cache *cache, void *bytes, bool is_changed)
{
    if (cache == NULL) return acre_fail(ACRE_INVALID, "page cache: it is NULL");
    const uintptr_t distance = (uintptr_t)bytes - (uintptr_t)cache->options.frames;
    const uintptr_t frame = distance / cache->options.page_bytes;
    if (frame >= cache->options.frame_count || distance % cache->options.page_bytes != 0 || cache->fix_counts[frame] == 0)
        return acre_fail(ACRE_INVALID, "page cache: %p is not a fixed page", bytes);
    if (is_changed && cache->options.write == NULL) return acre_fail(ACRE_INVALID, "page cache: a page was changed that cannot be written");
    if (is_changed) cache->are_changed[frame] = 1;
    cache->fix_counts[frame]--;
    return ACRE_OK;
}

/* The changed page with the lowest number from `page` on. */
static acre_policy_slot next_changed(const acre_page_cache *cache, uint32_t page)
{
    acre_policy_slot found = ACRE_POLICY_NO_SLOT;
    for (acre_policy_slot frame = 0; frame < cache->options.frame_count; frame++) {
        if (cache->are_changed[frame] == 0 || page_in(cache, frame) < page) continue;
        if (found == ACRE_POLICY_NO_SLOT || page_in(cache, frame) < page_in(cache, found)) found = frame;
    }
    return found;
}

acre_status acre_page_cache_flush(acre_page_cache *cache)
{
    if (cache == NULL) return acre_fail(ACRE_INVALID, "page cache: it is NULL");
    acre_status first = ACRE_OK;
    for (acre_policy_slot frame = next_changed(cache, 0); frame != ACRE_POLICY_NO_SLOT;) {
        const uint32_t page = page_in(cache, frame);
        const acre_status status = write_frame(cache, frame);
        if (status != ACRE_OK && first == ACRE_OK) first = acre_fail(status, "page cache: page %u cannot be written", (unsigned)page);
        frame = page == UINT32_MAX ? ACRE_POLICY_NO_SLOT : next_changed(cache, page + 1);
    }
    const acre_status synced = cache->options.sync == NULL ? ACRE_OK : cache->options.sync(cache->options.device);
    if (synced == ACRE_OK || first != ACRE_OK) return first;
    cache->figures.error_count++;
    return acre_fail(synced, "page cache: what was written cannot be made durable");
}

acre_status acre_page_cache_drop(acre_page_cache *cache, uint32_t page)
{
    if (cache == NULL || page >= cache->options.page_count)
        return acre_fail(ACRE_INVALID, "page cache: NULL, or no page %u", (unsigned)page);
    const acre_policy_slot frame = acre_index_find(&cache->index, acre_fingerprint(page));
    if (frame == ACRE_POLICY_NO_SLOT) return ACRE_OK;
    if (cache->fix_counts[frame] > 0) return acre_fail(ACRE_BUSY, "page cache: page %u is fixed", (unsigned)page);
    acre_policy_forget(cache->policy, frame);
    acre_index_remove(&cache->index, frame);
    cache->are_changed[frame] = 0;
    put_free(cache, frame);
    return ACRE_OK;
}

acre_status acre_page_cache_read_figures(const acre_page_cache *cache, acre_page_cache_figures *figures)
{
    if (cache == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "page cache: it or the figures are NULL");
    *figures = cache->figures;
    figures->used_count = (acre_policy_slot)(cache->options.frame_count - cache->free_count);
    for (acre_policy_slot frame = 0; frame < cache->options.frame_count; frame++) {
        figures->changed_count = (acre_policy_slot)(figures->changed_count + cache->are_changed[frame]);
        figures->fixed_count = (acre_policy_slot)(figures->fixed_count + (cache->fix_counts[frame] > 0));
    }
    return ACRE_OK;
}

bool acre_page_cache_is_valid(const acre_page_cache *cache)
{
    acre_policy_slot used = 0, free = 0;
    for (acre_policy_slot frame = 0; frame < cache->options.frame_count; frame++) {
        if (!acre_policy_holds(cache->policy, frame)) {
            if (cache->fix_counts[frame] > 0 || cache->are_changed[frame] != 0) return false;
            continue;
        }
        used++;
        const uint32_t page = page_in(cache, frame);
        if (page >= cache->options.page_count || acre_index_find(&cache->index, acre_fingerprint(page)) != frame) return false;
        if (cache->are_changed[frame] != 0 && cache->options.write == NULL) return false;
    }
    for (acre_policy_slot at = cache->first_free; at != 0; at = cache->index.nodes[at - 1].next)
        if (++free > cache->free_count || acre_policy_holds(cache->policy, (acre_policy_slot)(at - 1))) return false;
    return free == cache->free_count && used + free == cache->options.frame_count && used == cache->policy->count &&
           acre_policy_is_valid(cache->policy);
}
