/* reach.c - see reach.h.
 *
 * Two bits for every 16 bytes of the heap, at the place of a block's beginning: it is marked (something points to it), and it has been
 * looked into. Blocks that are marked wait on a stack of fixed size; when that is full a block keeps its mark alone, and is found by going
 * through all marks later. Blocks that a thread holds ready in a magazine are out by the heap's bits and yet nobody's: they get both bits
 * first.
 *
 * Small blocks are read where they lie if all of the heap is readable memory. What may be moved or given back under the reader's eyes
 * (everything else) is copied by the kernel, which fails where a load would fault.
 */
#include "heap/reach.h"
#include "base/atomic.h"
#include "base/status.h"
#include "heap/cache.h"
#include "heap/registry.h"
#include "os/self.h"
#include "os/shared_file.h"
#include "space/window.h"

#include <string.h>

enum {
    STACK_COUNT = 64 * 1024,      /* blocks that wait */
    EXCLUDED_COUNT = 64 * 1024,
    POINTER_COUNT = 4096,         /* stack pointers */
    COPY_BYTES = 64 * 1024,
    LOOKS_MIN = 3, /* after the first, where other threads go on meanwhile */
    LOOKS_MAX = 6,
    PAUSE_NS = 3 * 1000 * 1000, /* before the first of these, doubled each time: longer than a thread mostly waits for its turn */
    LOOK_PAGES = 512,             /* whose contents are asked for at a time */
    DIRECT_BYTES_MAX = 1024 * 1024, /* larger blocks may be moved by the kernel: the heap does so from this size on */
};

/* Asking for the contents of this much takes a second. Who maps more has most of it empty, and does not want to wait. */
#define ROOTS_BYTES_MAX ((uint64_t)256 << 30)

typedef struct range {
    acre_addr begin, end;
} range;

/* The part of a region that has been used, and where its bits begin. */
typedef struct part {
    acre_addr begin, end;
    uint64_t first_bit;
} part;

typedef struct scan {
    acre_heap *heap;
    acre_addr low, high; /* all parts lie in [low, high) */
    part *parts;         /* in the order of addresses */
    size_t part_count;
    size_t last_part;    /* where the last address was found */
    range last_large;    /* the same for a large block, whose beginning takes a search */
    uint64_t *marked;
    uint64_t *seen;
    uint64_t *suspects;  /* what no look before this one has marked */
    uint64_t suspect_count;
    unsigned look_count; /* that are over */
    range *stack;
    size_t depth;
    bool has_overflown;
    bool is_plain;       /* all of the parts is readable memory */
    uint64_t readable_bytes; /* of the parts */
    uint64_t mapped_bytes;   /* that may hold roots */
    range *excluded;
    size_t excluded_count;
    uintptr_t *pointers; /* of stacks, the calling thread's first */
    size_t pointer_count;
    uint8_t *copy;
    int contents;        /* the descriptor */
    uint64_t root_bytes;
} scan;

/* ---- bits ---- */

static part *part_of(scan *self, acre_addr address)
{
    if (address < self->low || address >= self->high) return NULL;
    if (address >= self->parts[self->last_part].begin && address < self->parts[self->last_part].end) return &self->parts[self->last_part];
    size_t low = 0, high = self->part_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (self->parts[middle].end <= address) low = middle + 1;
        else high = middle;
    }
    if (low == self->part_count || address < self->parts[low].begin) return NULL;
    self->last_part = low;
    return &self->parts[low];
}

/* Sets the bit of the block at `base`; true when it was set before, or there is none. */
static bool set_bit(scan *self, uint64_t *bits, acre_addr base)
{
    const part *const in = part_of(self, base);
    if (in == NULL) return true;
    const uint64_t index = in->first_bit + (base - in->begin) / ACRE_BLOCK_BYTES_MIN, bit = UINT64_C(1) << index % 64;
    const bool was_set = (bits[index / 64] & bit) != 0;
    bits[index / 64] |= bit;
    return was_set;
}

static bool has_bit(scan *self, const uint64_t *bits, acre_addr base)
{
    const part *const in = part_of(self, base);
    if (in == NULL) return true;
    const uint64_t index = in->first_bit + (base - in->begin) / ACRE_BLOCK_BYTES_MIN;
    return (bits[index / 64] >> index % 64 & 1) != 0;
}

/* ---- marking ---- */

/* What a word says, if it is the address of a block. */
static inline void look_at_word(scan *self, acre_addr word)
{
    if (word - self->low >= self->high - self->low) return;
    acre_block block;
    if (word >= self->last_large.begin && word < self->last_large.end) return; /* marked when it became the last */
    if (part_of(self, word) == NULL || !acre_heap_block_of(self->heap, word, &block, NULL) || !block.is_out) return;
    if (block.size_bytes > ACRE_SMALL_BYTES_MAX) self->last_large = (range){block.base, block.base + block.size_bytes};
    if (set_bit(self, self->marked, block.base)) return;
    if (self->depth == STACK_COUNT) self->has_overflown = true;
    else self->stack[self->depth++] = (range){block.base, block.base + block.size_bytes};
}

static void look_at_words(scan *self, const void *begin, size_t bytes)
{
    const acre_addr *const words = begin;
    for (size_t i = 0; i < bytes / sizeof *words; i++) look_at_word(self, words[i]);
}

/* A range of memory of which nothing is known: pages without contents are left out, others copied. Returns the bytes that were read. */
static uint64_t look_at_range(scan *self, acre_addr begin, acre_addr end)
{
    const size_t page_bytes = acre_os_page_size();
    bool has_contents[LOOK_PAGES];
    uint64_t read_bytes = 0;
    for (acre_addr at = acre_align_down(begin, page_bytes); at < end;) {
        const size_t count = acre_min_size((size_t)((end - at + page_bytes - 1) / page_bytes), LOOK_PAGES);
        if (!acre_os_has_contents(self->contents, (uintptr_t)at, count, has_contents)) return read_bytes;
        for (size_t i = 0; i < count;) {
            size_t run = 0;
            while (i + run < count && run < COPY_BYTES / page_bytes && has_contents[i + run]) run++;
            const acre_addr from = acre_max_size(at + i * page_bytes, begin), to = acre_min_size(at + (i + run) * page_bytes, end);
            const size_t got = from < to ? acre_os_read_own((uintptr_t)from, self->copy, (size_t)(to - from)) : 0;
            look_at_words(self, self->copy, got);
            read_bytes += got;
            i += acre_max_size(run, 1);
        }
        at += count * page_bytes;
    }
    return read_bytes;
}

/* Where the part of a block ends that was asked for: behind it lies what was there before, full of addresses. Of a large block this is
 * known, though another thread may be changing it. */
static acre_addr end_of(const scan *self, range block)
{
    if (block.end - block.begin <= ACRE_SMALL_BYTES_MAX) return block.end;
    const uint64_t asked_bytes = acre_load_figure(&acre_page_map_span(self->heap->map, block.begin)->size_bytes);
    return acre_min_size(block.end, block.begin + asked_bytes);
}

static void look_into_block(scan *self, range block)
{
    const part *const in = part_of(self, block.begin);
    if (in == NULL || set_bit(self, self->seen, block.begin)) return;
    const acre_addr end = acre_min_size(end_of(self, block), in->end);
    if (self->is_plain && end - block.begin < DIRECT_BYTES_MAX)
        look_at_words(self, (const void *)(uintptr_t)block.begin, (size_t)(end - block.begin));
    else (void)look_at_range(self, block.begin, end);
}

static void drain(scan *self)
{
    while (self->depth > 0) look_into_block(self, self->stack[--self->depth]);
}

/* ---- all blocks ---- */

typedef void block_action(scan *self, const acre_block *block, bool is_told, void *context);

/* Every block that is out. The class of each unit is read anew, because other threads may be changing the runs. */
static void each_block(scan *self, block_action *action, void *context)
{
    for (size_t i = 0; i < self->part_count; i++) {
        for (acre_addr at = self->parts[i].begin; at < self->parts[i].end;) {
            acre_block block;
            acre_addr next = acre_align_down(at, ACRE_UNIT_BYTES) + ACRE_UNIT_BYTES;
            bool is_told = false;
            if (acre_heap_block_of(self->heap, at, &block, &is_told)) {
                next = acre_max_size(block.base + block.size_bytes, at + ACRE_BLOCK_BYTES_MIN);
                if (block.is_out && block.base == at) action(self, &block, is_told, context);
            }
            at = next;
        }
    }
}

static void look_if_marked(scan *self, const acre_block *block, bool is_told, void *context)
{
    (void)is_told;
    (void)context;
    if (!has_bit(self, self->marked, block->base)) return;
    look_into_block(self, (range){block->base, block->base + block->size_bytes});
    drain(self);
}

/* Until no marked block is left that was not looked into. */
static void finish_marking(scan *self)
{
    drain(self);
    while (self->has_overflown) {
        self->has_overflown = false;
        each_block(self, look_if_marked, NULL);
    }
}

static void take_ready(void *context, acre_addr block)
{
    scan *const self = context;
    if (part_of(self, block) == NULL) return;
    (void)set_bit(self, self->marked, block);
    (void)set_bit(self, self->seen, block);
}

/* ---- roots ---- */

static void exclude(void *taker, const void *begin, size_t bytes)
{
    scan *const self = taker;
    if (bytes == 0 || self->excluded_count == EXCLUDED_COUNT) return;
    self->excluded[self->excluded_count++] = (range){(uintptr_t)begin, (uintptr_t)begin + bytes};
}

/* A stack is read from its thread's stack pointer on, which stands somewhere in its mapping. Where there are two, nothing is known. */
static acre_addr first_in_use(const scan *self, const acre_os_mapping *mapping)
{
    enum { RED_ZONE_BYTES = 128 }; /* below the pointer, of the x86-64 ABI */
    acre_addr first = mapping->begin;
    size_t count = 0;
    for (size_t i = 0; i < self->pointer_count; i++) {
        if (self->pointers[i] < mapping->begin || self->pointers[i] >= mapping->end) continue;
        first = acre_align_down(self->pointers[i], sizeof(acre_addr)) - (i == 0 ? 0 : RED_ZONE_BYTES);
        count++;
    }
    return count == 1 ? acre_max_size(first, mapping->begin) : mapping->begin;
}

/* [begin, end) without what is excluded. */
static void look_at_roots(scan *self, acre_addr begin, acre_addr end)
{
    while (begin < end) {
        range first = {end, end};
        for (size_t i = 0; i < self->excluded_count; i++) {
            const range *const other = &self->excluded[i];
            if (other->end > begin && other->begin < first.begin) first = *other;
        }
        if (first.begin > begin) self->root_bytes += look_at_range(self, begin, first.begin);
        begin = first.end;
        drain(self);
    }
}

static bool may_hold_roots(const acre_os_mapping *mapping)
{
    return mapping->is_readable && !mapping->is_shared && (mapping->is_writable || mapping->is_anonymous);
}

static void take_mapping(void *context, const acre_os_mapping *mapping)
{
    scan *const self = context;
    if (may_hold_roots(mapping)) look_at_roots(self, first_in_use(self, mapping), mapping->end);
}

static void count_readable(void *context, const acre_os_mapping *mapping)
{
    scan *const self = context;
    if (!mapping->is_readable) return;
    if (may_hold_roots(mapping)) self->mapped_bytes += mapping->end - mapping->begin;
    for (size_t i = 0; i < self->part_count; i++) {
        const acre_addr begin = acre_max_size(self->parts[i].begin, mapping->begin), end = acre_min_size(self->parts[i].end, mapping->end);
        if (begin < end) self->readable_bytes += end - begin;
    }
}

/* ---- making and unmaking ---- */

/* Regions come to the front of their list and never go. */
static size_t count_regions(const acre_heap *heap)
{
    size_t count = 0;
    for (const acre_region *region = acre_load_pointer(&heap->arena.regions); region != NULL; region = region->next) count++;
    return count;
}

static void add_part(scan *self, const acre_region *region)
{
    const part added = {.begin = region->base, .end = region->base + (acre_load_relaxed(&region->used_count) << ACRE_UNIT_SHIFT)};
    if (added.begin == added.end) return;
    size_t at = self->part_count++;
    for (; at > 0 && self->parts[at - 1].begin > added.begin; at--) self->parts[at] = self->parts[at - 1];
    self->parts[at] = added;
}

/* Lays the parts out; returns how many bits they need. */
static uint64_t take_parts(scan *self, size_t region_count)
{
    const acre_region *region = acre_load_pointer(&self->heap->arena.regions);
    uint64_t bit_count = 0;
    for (size_t i = 0; i < region_count && region != NULL; i++, region = region->next) add_part(self, region);
    for (size_t i = 0; i < self->part_count; i++) {
        self->parts[i].first_bit = bit_count;
        bit_count += (self->parts[i].end - self->parts[i].begin) / ACRE_BLOCK_BYTES_MIN;
    }
    if (self->part_count > 0) {
        self->low = self->parts[0].begin;
        self->high = self->parts[self->part_count - 1].end;
    }
    return bit_count;
}

/* One piece of private memory for everything but the bits. Nothing of it stands on the stack, where it would be a root. */
typedef struct workspace {
    scan scan;
    range stack[STACK_COUNT];
    range excluded[EXCLUDED_COUNT];
    uintptr_t pointers[POINTER_COUNT];
    uint8_t copy[COPY_BYTES];
    part parts[];
} workspace;

static void exclude_meta(scan *self, const acre_meta *meta)
{
    const acre_meta_chunk *chunk = NULL;
    for (size_t bytes = 0; (chunk = acre_meta_next_chunk(meta, chunk, &bytes)) != NULL;) exclude(self, chunk, bytes);
}

typedef struct sweep {
    acre_reach_found *found;
    void *context;
    acre_reach_figures figures;
} sweep;

static bool is_unreachable(scan *self, const acre_block *block)
{
    return !has_bit(self, self->marked, block->base) && (self->look_count == 0 || has_bit(self, self->suspects, block->base));
}

static void tell_if_unreachable(scan *self, const acre_block *block, bool is_told, void *context)
{
    sweep *const to = context;
    if (!is_unreachable(self, block)) return;
    to->figures.all_count++;
    to->figures.all_bytes += end_of(self, (range){block->base, block->base + block->size_bytes}) - block->base;
    if (!is_told) return;
    to->figures.unreachable_count++;
    to->found(to->context, block);
}

static void suspect(scan *self, const acre_block *block, bool is_told, void *context)
{
    (void)is_told;
    if (!is_unreachable(self, block)) return;
    (void)set_bit(self, context, block->base);
    self->suspect_count++;
}

static acre_status mark_all(scan *self, uintptr_t own_frame)
{
    for (const acre_cache *cache = acre_load_pointer(&self->heap->caches); cache != NULL; cache = cache->next)
        acre_cache_each_ready(cache, take_ready, self);
    self->pointers[0] = own_frame;
    self->pointer_count = 1 + acre_os_waiting_stacks(self->pointers + 1, POINTER_COUNT - 1);
    /* A stack that lies in a block, as a coroutine's does, is in use. */
    for (size_t i = 0; i < self->pointer_count; i++) look_at_word(self, self->pointers[i]);

    uint64_t all_bytes = 0;
    self->root_bytes = self->readable_bytes = self->mapped_bytes = 0;
    for (size_t i = 0; i < self->part_count; i++) all_bytes += self->parts[i].end - self->parts[i].begin;
    acre_status status = acre_os_each_mapping(count_readable, self);
    self->is_plain = self->readable_bytes == all_bytes;
    if (status == ACRE_OK && self->mapped_bytes > ROOTS_BYTES_MAX)
        status = acre_fail(ACRE_UNSUPPORTED, "%llu GiB are mapped, at most %llu are looked through",
                           (unsigned long long)(self->mapped_bytes >> 30), (unsigned long long)(ROOTS_BYTES_MAX >> 30));
    if (status == ACRE_OK) status = acre_os_each_mapping(take_mapping, self);
    finish_marking(self);
    return status;
}

static acre_status can_look(const scan *self)
{
    if (self->contents < 0) return acre_fail(ACRE_UNSUPPORTED, "/proc/self/pagemap cannot be read");
    if (acre_os_read_own((uintptr_t)self, self->copy, 1) != 1)
        return acre_fail(ACRE_UNSUPPORTED, "the kernel does not let the process read itself (process_vm_readv)");
    return ACRE_OK;
}

/* Do other threads use the heap? */
static bool has_company(const acre_heap *heap)
{
    unsigned count = 0;
    for (const acre_cache *cache = acre_load_pointer(&heap->caches); cache != NULL; cache = cache->next)
        count += __atomic_load_n(&cache->is_used, __ATOMIC_RELAXED);
    return count > 1;
}

/* What a thread is about to store somewhere, or to free, lies in its registers as long as it does not get on: so it is given time, and
 * what was unmarked is looked at again. What is unmarked becomes a suspect: its bits take the place of those of what was seen. */
static acre_status look_again(scan *self, uintptr_t own_frame, size_t bit_bytes)
{
    memset(self->seen, 0, bit_bytes);
    self->suspect_count = 0;
    each_block(self, suspect, self->seen);
    uint64_t *const fresh = self->suspects;
    self->suspects = self->seen;
    self->seen = fresh;
    self->look_count++;
    self->last_large = (range){0};
    memset(self->marked, 0, bit_bytes);
    memset(self->seen, 0, bit_bytes);
    if (self->suspect_count == 0) return ACRE_OK;
    acre_os_sleep_ns((uint64_t)PAUSE_NS << (self->look_count - 1));
    return mark_all(self, own_frame);
}

static acre_status mark_until_sure(scan *self, uintptr_t own_frame, size_t bit_bytes)
{
    acre_status status = mark_all(self, own_frame);
    if (!has_company(self->heap)) return status;
    bool is_sure = false;
    while (status == ACRE_OK && !is_sure && self->look_count < LOOKS_MAX) {
        const uint64_t count_before = self->suspect_count;
        status = look_again(self, own_frame, bit_bytes);
        is_sure = self->suspect_count == 0 || (self->suspect_count == count_before && self->look_count >= LOOKS_MIN);
    }
    return status;
}

typedef struct request {
    acre_heap *heap;
    acre_reach_exclude *exclude;
    acre_reach_found *found;
    void *context;
} request;

static acre_status look(scan *self, const request *wanted, size_t region_count, uintptr_t own_frame, acre_reach_figures *figures)
{
    const size_t bit_bytes = (size_t)(take_parts(self, region_count) / 64 + 1) * sizeof(uint64_t);
    self->marked = acre_private_pages(3 * bit_bytes);
    if (self->marked == NULL) return acre_fail(ACRE_NO_MEMORY, "no memory for %zu bytes of marks", 3 * bit_bytes);
    self->seen = self->marked + bit_bytes / sizeof(uint64_t);
    self->suspects = self->seen + bit_bytes / sizeof(uint64_t);

    exclude(self, self->marked, 3 * bit_bytes);
    for (size_t i = 0; i < self->part_count; i++)
        exclude(self, (const void *)(uintptr_t)self->parts[i].begin, (size_t)(self->parts[i].end - self->parts[i].begin));
    exclude_meta(self, &wanted->heap->meta);
    exclude_meta(self, acre_host_map_meta());
    exclude(self, &acre_host_map, sizeof acre_host_map); /* where the window begins there is a block, and both say where that is */
    exclude(self, acre_window_of_process(), sizeof(acre_window));
    wanted->exclude(wanted->context, exclude, self);
    const acre_status status = mark_until_sure(self, own_frame, bit_bytes);
    sweep to = {.found = wanted->found, .context = wanted->context};
    if (status == ACRE_OK) each_block(self, tell_if_unreachable, &to);
    *figures = to.figures;
    figures->root_bytes = self->root_bytes;
    figures->is_all_known = status == ACRE_OK && !self->heap->has_lost_ready;
    acre_private_pages_release(self->marked, 3 * bit_bytes);
    return status;
}

/* Not inlined: its frame, from which on the stack is read, lies below the caller's with the registers, and above everything that is found
 * out here. */
__attribute__((noinline)) static acre_status set_up_and_look(const request *wanted, acre_reach_figures *figures)
{
    const size_t region_count = count_regions(wanted->heap);
    const size_t work_bytes = sizeof(workspace) + region_count * sizeof(part);
    workspace *const work = acre_private_pages(work_bytes);
    if (work == NULL) return acre_fail(ACRE_NO_MEMORY, "no memory for %zu bytes of work", work_bytes);
    scan *const self = &work->scan;
    *self = (scan){.heap = wanted->heap,
                   .stack = work->stack,
                   .excluded = work->excluded,
                   .pointers = work->pointers,
                   .copy = work->copy,
                   .parts = work->parts,
                   .contents = acre_os_open_contents()};
    acre_status status = can_look(self);
    exclude(self, work, work_bytes);
    if (status == ACRE_OK) status = look(self, wanted, region_count, (uintptr_t)__builtin_frame_address(0), figures);
    if (self->contents >= 0) acre_os_close(self->contents);
    acre_private_pages_release(work, work_bytes);
    return status;
}

acre_status acre_heap_find_unreachable(acre_heap *heap, acre_reach_exclude *exclude_more, acre_reach_found *found, void *context,
                                       acre_reach_figures *figures)
{
    const request wanted = {.heap = heap, .exclude = exclude_more, .found = found, .context = context};
    *figures = (acre_reach_figures){0};
    __builtin_unwind_init(); /* the registers that a function must keep go into this frame */
    const acre_status status = set_up_and_look(&wanted, figures);
    __asm__ volatile("" : : : "memory"); /* the frame stays until then */
    return status;
}
