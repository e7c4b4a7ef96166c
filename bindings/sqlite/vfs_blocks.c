/* vfs_blocks.c - the blocks of a database in the pool: tags, the device that notes them, reads, writes, reading ahead. See vfs.h. */
#include "vfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 3, CHANGES_MAX = 1024, LOAD_COUNT = 256, BATCH = 16, CHUNK_SHIFT = 14, RING_UNKNOWN = 0, RING_OPEN, RING_NONE };

#define BLOCKS_MIN ((uint64_t)1 << 24) /* words and tags of so many take 256 MiB of address space */

acre_status (*acre_vfs_open_device)(acre_device *device, const char *path, const acre_device_file_options *options) = acre_device_open_file;

/* ThreadSanitizer takes an optimistic reader for a mistake. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define READ_MODE ACRE_FIX_SHARED
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define READ_MODE ACRE_FIX_SHARED
#endif
#ifndef READ_MODE
#define READ_MODE ACRE_FIX_OPTIMISTIC
#endif

/* ---- tags ---- */

/* Bit 0 of a tag: it was read ahead and not used yet. */
#define TAG_AHEAD ((uint64_t)1)

static uint64_t next_number(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

static uint64_t load_number(const uint64_t *number) { return __atomic_load_n(number, __ATOMIC_ACQUIRE); }
static void store_tag(const vfs_file *file, uint64_t block, uint64_t tag) { __atomic_store_n(&file->tags[block], tag, __ATOMIC_RELEASE); }
static bool has_tag(const vfs_file *file, uint64_t block, uint64_t epoch) { return load_number(&file->tags[block]) >> 1 == epoch; }

void acre_vfs_blocks_drop(vfs_file *file)
{
    if (file->is_shared)
        acre_shared_pages_drop(acre_vfs.shared, file->set);
    else
        __atomic_store_n(&file->epoch, next_number(), __ATOMIC_RELEASE);
    vfs_count(&acre_vfs.counts.drop, 1);
}

/* ---- the device ---- */

/* What the calling thread has the pool read, and how often it did. */
static _Thread_local enum { LOAD_ONE, LOAD_SEVERAL, LOAD_AHEAD } load_kind;
static _Thread_local uint64_t load_count;

typedef struct load {
    acre_device_request inner;
    acre_device_request *outer;
    vfs_file *file;
    uint64_t ticket, epoch, lease;
    bool is_ahead;
    struct load *next;
} load;

static load loads[LOAD_COUNT];
static load *free_loads;
static pthread_mutex_t loads_lock = PTHREAD_MUTEX_INITIALIZER;
static bool has_loads;

static load *take_load(void)
{
    pthread_mutex_lock(&loads_lock);
    for (unsigned i = 0; i < LOAD_COUNT && !has_loads; i++) {
        loads[i].next = free_loads;
        free_loads = &loads[i];
    }
    has_loads = true;
    load *const taken = free_loads;
    if (taken != NULL) free_loads = taken->next;
    pthread_mutex_unlock(&loads_lock);
    return taken;
}

static void give_load(load *l)
{
    if (l < loads || l >= loads + LOAD_COUNT) return;
    pthread_mutex_lock(&loads_lock);
    l->next = free_loads;
    free_loads = l;
    pthread_mutex_unlock(&loads_lock);
}

void acre_vfs_blocks_in_child(void)
{
    (void)pthread_mutex_init(&loads_lock, NULL);
    free_loads = NULL;
    has_loads = false;
}

static uint64_t first_block(const load *l) { return l->inner.offset >> acre_vfs.block_shift; }

static void load_done(acre_device_request *inner)
{
    load *const l = inner->context;
    acre_device_request *const outer = l->outer;
    const bool is_good = inner->status == ACRE_OK && load_number(&l->file->lease) == l->lease;
    const uint64_t tag = is_good ? l->epoch << 1 | (l->is_ahead ? TAG_AHEAD : 0) : 0;
    for (uint32_t i = 0; i < inner->part_count; i++) {
        uint64_t ticket = l->ticket << 1;
        (void)__atomic_compare_exchange_n(&l->file->tags[first_block(l) + i], &ticket, tag, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    outer->status = inner->status;
    outer->system_error = inner->system_error;
    outer->done_bytes = inner->done_bytes;
    give_load(l);
    outer->done(outer);
}

/* Begins one read on `device`; `l` lives until it is done. */
static void begin_load(vfs_file *file, acre_device *device, load *l, acre_device_request *outer)
{
    *l = (load){.outer = outer, .file = file, .ticket = next_number(), .is_ahead = load_kind == LOAD_AHEAD};
    l->epoch = load_number(&file->epoch);
    l->lease = load_number(&file->lease);
    l->inner = (acre_device_request){.verb = outer->verb,
                                     .part_count = outer->part_count,
                                     .parts = outer->parts,
                                     .offset = outer->offset,
                                     .done = load_done,
                                     .context = l};
    for (uint32_t i = 0; i < outer->part_count; i++) store_tag(file, first_block(l) + i, l->ticket << 1);
    acre_device_request *const inner = &l->inner;
    if (acre_device_submit(device, &inner, 1) != ACRE_OK) {
        inner->status = ACRE_IO;
        load_done(inner);
    }
}

static void device_submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    vfs_file *const file = device->implementation;
    const bool has_ring = load_kind != LOAD_ONE && __atomic_load_n(&file->ring_state, __ATOMIC_ACQUIRE) == RING_OPEN;
    if (load_kind == LOAD_ONE) load_count += count;
    for (size_t i = 0; i < count && load_kind == LOAD_AHEAD; i++) vfs_count(&acre_vfs.counts.prefetch, requests[i]->part_count);
    for (size_t i = 0; i < count; i++) {
        load here;
        load *const l = has_ring ? take_load() : NULL;
        begin_load(file, l != NULL ? &file->ring : &file->calls, l != NULL ? l : &here, requests[i]);
    }
}

static size_t device_poll(acre_device *device, uint64_t wait_ns)
{
    vfs_file *const file = device->implementation;
    return __atomic_load_n(&file->ring_state, __ATOMIC_ACQUIRE) == RING_OPEN ? acre_device_poll(&file->ring, wait_ns) : 0;
}

static acre_status device_size(acre_device *device, uint64_t *bytes)
{
    vfs_file *const file = device->implementation;
    return acre_device_size(&file->calls, bytes);
}

static void device_close(acre_device *device)
{
    vfs_file *const file = device->implementation;
    acre_device_close(&file->ring);
    acre_device_close(&file->calls);
}

/* Without use_memory: a ring that knew the frames would have the kernel pin them all. */
static const acre_device_ops device_ops = {
    .size_bytes = sizeof(acre_device_ops), .submit = device_submit, .poll = device_poll, .size = device_size, .close = device_close};

static acre_status open_device(const vfs_file *file, acre_device *device, acre_device_way way)
{
    char path[40];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file->descriptor);
    const acre_device_file_options options = {.way = way, .is_cached = !acre_vfs.options.is_direct};
    return acre_vfs_open_device(device, path, &options);
}

static void open_ring(vfs_file *file)
{
    pthread_mutex_lock(&file->lock);
    if (file->ring_state == RING_UNKNOWN) {
        const bool is_open = acre_vfs.options.way != ACRE_DEVICE_CALLS && open_device(file, &file->ring, ACRE_DEVICE_RING) == ACRE_OK;
        __atomic_store_n(&file->ring_state, is_open ? RING_OPEN : RING_NONE, __ATOMIC_RELEASE);
        __atomic_store_n(&acre_vfs.counts.has_ring, is_open, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&file->lock);
}

/* ---- opening ---- */

static bool take_tags(vfs_file *file)
{
    const uint64_t grain = acre_vfs.tag_space.info.grain_bytes;
    const uint64_t bytes = (file->block_count * sizeof(uint64_t) + grain - 1) / grain * grain;
    acre_addr at = 0;
    if (acre_space_reserve(&acre_vfs.tag_space, bytes, grain, NULL, &at) != ACRE_OK) return false;
    if (acre_space_commit(&acre_vfs.tag_space, at, bytes) != ACRE_OK) {
        (void)acre_space_release(&acre_vfs.tag_space, at, bytes);
        return false;
    }
    file->tags = acre_space_pointer(&acre_vfs.tag_space, at);
    file->tags_bytes = bytes;
    return true;
}

static void give_tags(vfs_file *file) { (void)acre_space_release(&acre_vfs.tag_space, (uintptr_t)file->tags, file->tags_bytes); }

bool acre_vfs_blocks_open(vfs_file *file, const char *path)
{
    acre_file_identity identity;
    uint64_t bytes = 0;
    file->descriptor = acre_file_open_identified(path, &identity);
    if (file->descriptor < 0) return false;
    if (identity.inode != file->identity.inode || identity.device != file->identity.device ||
        open_device(file, &file->calls, ACRE_DEVICE_CALLS) != ACRE_OK)
        goto no_calls;
    if (acre_vfs.shared != NULL) {
        if (!acre_vfs_shared_open(file)) goto no_tags;
        return true;
    }
    if (acre_device_size(&file->calls, &bytes) != ACRE_OK ||
        acre_device_init(&file->device, &device_ops, "sqlite", file->calls.alignment_bytes) != ACRE_OK)
        goto no_tags;
    file->device.implementation = file;
    file->block_count = bytes >> acre_vfs.block_shift << 2;
    if (file->block_count < BLOCKS_MIN) file->block_count = BLOCKS_MIN;
    if (file->block_count > UINT32_MAX) file->block_count = UINT32_MAX;
    if (!take_tags(file)) goto no_tags;
    if (acre_buffer_pool_add_file(acre_vfs.pool, &file->device, file->block_count, &file->number) != ACRE_OK) goto no_number;
    acre_vfs_blocks_drop(file);
    file->is_pooled = true;
    return true;

no_number:
    give_tags(file);
no_tags:
    acre_device_close(&file->calls);
no_calls:
    acre_file_close_identified(file->descriptor);
    return false;
}

void acre_vfs_blocks_close(vfs_file *file)
{
    if (!file->is_pooled) return;
    if (file->is_shared) {
        acre_vfs_shared_close(file);
        acre_device_close(&file->calls);
        acre_file_close_identified(file->descriptor);
        return;
    }
    if (acre_buffer_pool_remove_file(acre_vfs.pool, file->number) != ACRE_OK) {
        fprintf(stderr, "acre: sqlite vfs: %s\n", acre_last_error());
        abort(); /* somebody reads a database that no connection has open */
    }
    acre_device_close(&file->device);
    give_tags(file);
    acre_file_close_identified(file->descriptor);
    file->is_pooled = false;
}

/* ---- reading ahead ---- */

static bool begin_ahead(vfs_ahead *ahead)
{
    const acre_prefetch_options options = {
        .stream_count = 16, .context_count = 1, .pair_count = 16, .outstanding = 4 * WANTED_MAX, .depth_max = WANTED_MAX};
    const size_t bytes = acre_prefetch_bytes(&options);
    void *const memory = sqlite3_malloc64(bytes);
    ahead->is_off = memory == NULL || acre_prefetch_init(&ahead->prefetcher, &options, memory, bytes) != ACRE_OK;
    return !ahead->is_off;
}

static size_t bring(vfs_file *file, vfs_ahead *ahead, const uint32_t *blocks, size_t count, bool is_ahead)
{
    acre_page_id pages[WANTED_MAX];
    if (file->is_shared) return acre_vfs_shared_bring(file, ahead, blocks, count, is_ahead);
    for (size_t i = 0; i < count; i++) pages[i] = acre_page(file->number, blocks[i]);
    if (__atomic_load_n(&file->ring_state, __ATOMIC_ACQUIRE) == RING_UNKNOWN) open_ring(file);
    load_kind = is_ahead ? LOAD_AHEAD : LOAD_SEVERAL;
    const size_t brought = acre_buffer_pool_prefetch(acre_vfs.pool, pages, count);
    load_kind = LOAD_ONE;
    return brought;
}

static unsigned chunk_shift(void) { return acre_vfs.block_shift < CHUNK_SHIFT ? CHUNK_SHIFT - acre_vfs.block_shift : 0; }

/* The blocks of the chunks that are wanted and lie within the file, as many at a time as make one request. */
static void bring_wanted(vfs_file *file, vfs_ahead *ahead)
{
    uint32_t blocks[WANTED_MAX];
    size_t count = 0;
    const unsigned shift = chunk_shift();
    uint64_t end = load_number(&file->size_bytes) >> acre_vfs.block_shift; /* whole ones */
    if (end > file->block_count) end = file->block_count;
    for (uint32_t i = 0; i < ahead->wanted_count; i++) {
        for (uint64_t block = ahead->wanted[i] << shift; block < (ahead->wanted[i] + 1) << shift && block < end; block++) {
            blocks[count++] = (uint32_t)block;
            if (count < WANTED_MAX) continue;
            (void)bring(file, ahead, blocks, count, true);
            count = 0;
        }
    }
    if (count > 0) (void)bring(file, ahead, blocks, count, true);
    ahead->wanted_count = 0;
}

/* A block that was not there, or that was read ahead, has been asked for. Prediction is by chunks of blocks, so that it looks far enough
 * ahead. What is predicted is brought in one go when there is enough of it, or nothing is there. */
static void look_ahead(vfs_file *file, vfs_ahead *ahead, uint64_t block, bool was_missing)
{
    const uint64_t chunk = block >> chunk_shift();
    if (acre_vfs.options.has_no_prefetch || ahead->is_off || ahead->last == chunk + 1) return;
    if (ahead->prefetcher == NULL && !begin_ahead(ahead)) return;
    ahead->last = chunk + 1;
    uint64_t keys[WANTED_MAX];
    const size_t count = acre_prefetch_access(ahead->prefetcher, chunk, 0, was_missing, keys, WANTED_MAX - ahead->wanted_count);
    for (size_t i = 0; i < count; i++)
        if (keys[i] < UINT32_MAX) ahead->wanted[ahead->wanted_count++] = keys[i];
    if (ahead->wanted_count >= BATCH || (was_missing && ahead->wanted_count > 0)) bring_wanted(file, ahead);
}

/* ---- reading ---- */

/* A block that is in the pool and old is read again; one that has left it meanwhile is read by the fix. */
static bool read_again(vfs_file *file, uint64_t block)
{
    acre_page_ref ref;
    if (acre_buffer_pool_fix(acre_vfs.pool, acre_page(file->number, (uint32_t)block), ACRE_FIX_EXCLUSIVE, &ref) != ACRE_OK) return false;
    const acre_device_part part = {.bytes = ref.page, .size_bytes = (size_t)1 << acre_vfs.block_shift};
    acre_device_request read = {.verb = ACRE_DEVICE_READ, .parts = &part, .part_count = 1, .offset = block << acre_vfs.block_shift};
    acre_status status = ACRE_OK;
    if (!has_tag(file, block, load_number(&file->epoch))) { /* else another thread has done it */
        status = acre_device_do(&file->device, &read);
        vfs_count(&acre_vfs.counts.stale, 1);
    }
    if (acre_buffer_pool_unfix(&ref, 0) != ACRE_OK) return false;
    return status == ACRE_OK;
}

static bool copy_from_block(vfs_file *file, vfs_ahead *ahead, uint64_t block, size_t begin, size_t bytes, unsigned char *to)
{
    if (file->is_shared) {
        bool was_ahead = false, was_missing = false;
        if (!acre_vfs_shared_copy(file, ahead, block, begin, bytes, to, &was_ahead, &was_missing)) return false;
        if (was_ahead || was_missing) look_ahead(file, ahead, block, was_missing);
        return true;
    }
    const uint64_t loads_before = load_count;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        acre_page_ref ref;
        if (acre_buffer_pool_fix(acre_vfs.pool, acre_page(file->number, (uint32_t)block), READ_MODE, &ref) != ACRE_OK) return false;
        const uint64_t epoch = load_number(&file->epoch);
        const uint64_t tag = load_number(&file->tags[block]);
        const bool is_new = tag >> 1 == epoch;
        if (is_new) memcpy(to, ref.page + begin, bytes);
        const bool is_good = is_new && acre_buffer_pool_validate(&ref) && has_tag(file, block, epoch);
        if (acre_buffer_pool_unfix(&ref, 0) != ACRE_OK) return false;
        if (is_good) {
            const bool was_ahead = (tag & TAG_AHEAD) != 0;
            const bool was_missing = load_count != loads_before;
            if (was_ahead) {
                uint64_t seen = tag;
                (void)__atomic_compare_exchange_n(&file->tags[block], &seen, tag & ~TAG_AHEAD, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
                vfs_count(&acre_vfs.counts.prefetch_used, 1);
            }
            if (was_ahead || was_missing) look_ahead(file, ahead, block, was_missing);
            return true;
        }
        if (!is_new && !read_again(file, block)) return false;
    }
    return false;
}

/* A page of several blocks is brought by one request. */
static void bring_together(vfs_file *file, vfs_ahead *ahead, uint64_t first, uint64_t last)
{
    uint32_t blocks[WANTED_MAX];
    size_t count = 0;
    const uint64_t epoch = load_number(&file->epoch);
    for (uint64_t block = first; block <= last && count < WANTED_MAX; block++) {
        const bool is_there =
            file->is_shared ? acre_shared_pages_has(acre_vfs.shared, file->set, (uint32_t)block) : has_tag(file, block, epoch);
        if (!is_there) blocks[count++] = (uint32_t)block;
    }
    if (count > 1) (void)bring(file, ahead, blocks, count, false);
}

bool acre_vfs_blocks_read(vfs_file *file, vfs_ahead *ahead, void *to, uint64_t at, size_t bytes)
{
    const unsigned shift = acre_vfs.block_shift;
    const size_t block_bytes = (size_t)1 << shift;
    const uint64_t size_bytes = load_number(&file->size_bytes);
    if (bytes == 0 || at > size_bytes || bytes > size_bytes - at || (at + bytes - 1) >> shift >= file->block_count) return false;
    const uint64_t first = at >> shift, last = (at + bytes - 1) >> shift;
    if (last > first) bring_together(file, ahead, first, last);
    unsigned char *out = to;
    for (uint64_t block = first; block <= last; block++) {
        const size_t begin = block == first ? (size_t)(at & (block_bytes - 1)) : 0;
        const size_t left = bytes - (size_t)(out - (unsigned char *)to);
        const size_t part = left < block_bytes - begin ? left : block_bytes - begin;
        if (!copy_from_block(file, ahead, block, begin, part, out)) return false;
        out += part;
    }
    return true;
}

/* ---- writing ---- */

/* The block is as written, if it was good before and nobody has it. */
static bool update_block(vfs_file *file, uint64_t block, size_t begin, size_t bytes, const unsigned char *from, uint64_t epoch)
{
    acre_page_ref ref;
    const bool is_whole = bytes == (size_t)1 << acre_vfs.block_shift;
    const unsigned mode = (is_whole ? ACRE_FIX_NEW : ACRE_FIX_EXCLUSIVE) | ACRE_FIX_TRY;
    if (acre_buffer_pool_fix(acre_vfs.pool, acre_page(file->number, (uint32_t)block), mode, &ref) != ACRE_OK) return false;
    memcpy(ref.page + begin, from, bytes);
    if (is_whole) store_tag(file, block, epoch << 1);
    return acre_buffer_pool_unfix(&ref, 0) == ACRE_OK;
}

void acre_vfs_blocks_wrote(vfs_file *file, const void *from, uint64_t at, size_t bytes)
{
    const unsigned shift = acre_vfs.block_shift;
    const size_t block_bytes = (size_t)1 << shift;
    const uint64_t epoch = load_number(&file->epoch);
    const unsigned char *next = from;
    if (file->is_shared && from == NULL && bytes >> shift > CHANGES_MAX) {
        acre_vfs_blocks_drop(file);
        return;
    }
    for (uint64_t done = 0; done < bytes;) {
        const uint64_t block = (at + done) >> shift;
        const size_t begin = (size_t)((at + done) & (block_bytes - 1));
        const size_t part = bytes - done < block_bytes - begin ? (size_t)(bytes - done) : block_bytes - begin;
        if (block >= file->block_count) return;
        if (file->is_shared)
            acre_vfs_shared_wrote(file, block, begin, next, part);
        else if (next == NULL || !has_tag(file, block, epoch) || !update_block(file, block, begin, part, next, epoch))
            store_tag(file, block, 0);
        if (next != NULL) next += part;
        done += part;
    }
}
