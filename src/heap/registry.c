/* registry.c - see registry.h.
 *
 * A thread finds its cache of a heap by the heap's index, and trusts it only if the heap's serial number is still the
 * one it saw: so a heap can be destroyed while threads that once used it live on. The process's heap has index 0, and
 * its cache stands in acre_fast_cache as well.
 *
 * A thread that ends returns what it holds. What it still allocates or frees after that (other libraries' destructors) goes
 * without a cache.
 *
 * Around a fork every lock is held, in the order registry, heap, depots, arena, meta, map, window, so that the child finds every
 * list whole. The child's other threads are gone: their blocks held ready are lost to it, their spans are not.
 */
#include "heap/registry.h"
#include "base/status.h"
#include "heap/bounds.h"
#include "heap/cache.h"
#include "heap/guarded.h"
#include "heap/live.h"
#include "heap/purge.h"
#include "os/note.h"
#include "space/window.h"

#include <errno.h>

/* No block to pop, because every top points at a 0, and no room to push. Initialised by the linker: malloc may be called
 * before any constructor. */
static acre_addr no_blocks;
#define EMPTY                                                                                                                              \
    {                                                                                                                                      \
        .top = &no_blocks, .bottom = &no_blocks                                                                                            \
    }
#define EIGHT_EMPTY EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY
_Static_assert(ACRE_CLASS_COUNT < 8 * 8, "one EMPTY a class");
acre_cache acre_no_cache = {
    .magazines = {EIGHT_EMPTY, EIGHT_EMPTY, EIGHT_EMPTY, EIGHT_EMPTY, EIGHT_EMPTY, EIGHT_EMPTY, EIGHT_EMPTY, EIGHT_EMPTY}};

_Thread_local acre_cache *acre_fast_cache ACRE_FAST_TLS = &acre_no_cache;

acre_page_map acre_host_map;
uint8_t *acre_host_root[ACRE_HOST_SLOT_COUNT];

_Thread_local acre_thread_caches acre_thread ACRE_FAST_TLS;

#define OFFSET(class) ((class) * sizeof(acre_magazine))
_Static_assert(offsetof(acre_cache, magazines) == 0, "acre_magazine_offsets counts from the beginning of the cache");
const uint16_t acre_magazine_offsets[ACRE_TABLE_BYTES_MAX / 16 + 1] = {ACRE_CLASS_TABLE(OFFSET)};

static acre_lock registry_lock;
static acre_heap *heaps[ACRE_HEAP_COUNT_MAX];
static uint64_t last_serial;
static acre_os_thread_key exit_key;
static bool has_exit_key;

static acre_heap process_heap;
static acre_space process_meta_space;
static acre_meta host_map_meta;
static uint32_t process_heap_state; /* 0 not made, 1 made */
static acre_lock process_heap_lock;
static acre_lock host_map_lock;
static uint32_t is_host_map_ready;

/* ---- what is read from outside ---- */

ACRE_OS_NOTED const acre_live acre_live_of_process = {
    .magic = {'a', 'c', 'r', 'e', 'l', 'i', 'v', 'e'},
    .version = ACRE_LIVE_VERSION,
    .layout_count = ACRE_LIVE_LAYOUT_COUNT,
    .layout = ACRE_LIVE_LAYOUT,
    .heap_count_max = ACRE_HEAP_COUNT_MAX,
    .heaps = heaps,
    .host_map = &acre_host_map,
    .classes = acre_size_classes,
};
ACRE_OS_NOTE(acre_live_of_process);

/* ---- heaps ---- */

acre_page_map *acre_host_map_ready(void)
{
    if (__atomic_load_n(&is_host_map_ready, __ATOMIC_ACQUIRE) != 0) return &acre_host_map;
    acre_lock_take(&host_map_lock);
    if (is_host_map_ready == 0) {
        (void)acre_space_open_pages(&process_meta_space, NULL); /* fails for bad arguments only */
        (void)acre_meta_init(&host_map_meta, &process_meta_space);
        acre_page_map_init_host(&acre_host_map, acre_host_root, &host_map_meta);
        const acre_window *const window = acre_window_of_process();
        acre_page_map_open_window(&acre_host_map, window->base, window->size_bytes);
        __atomic_store_n(&is_host_map_ready, 1, __ATOMIC_RELEASE);
    }
    acre_lock_drop(&host_map_lock);
    return &acre_host_map;
}

acre_bounds acre_bounds_of_window __attribute__((visibility("default"))); /* libacre-checked looks into it */

void acre_bounds_open(void)
{
    acre_bounds *const bounds = &acre_bounds_of_window;
    const acre_window *const window = acre_window_of_process();
    acre_lock_take(&host_map_lock);
    if (!bounds->is_open && window->size_bytes != 0) {
        bounds->reach = acre_meta_alloc(&host_map_meta, (size_t)(window->size_bytes >> ACRE_GRANULE_SHIFT));
        bounds->is_open = bounds->reach != NULL;
    }
    if (bounds->is_open && bounds->bytes == 0) {
        acre_bounds_make_tails(bounds);
        bounds->base = (uintptr_t)window->base;
        __atomic_store_n(&bounds->bytes, (uintptr_t)window->size_bytes, __ATOMIC_RELEASE);
    }
    acre_lock_drop(&host_map_lock);
}

const acre_meta *acre_host_map_meta(void) { return &host_map_meta; }

acre_status acre_registry_add(acre_heap *heap)
{
    acre_status status = ACRE_INVALID;
    acre_lock_take(&registry_lock);
    /* Index 0 is kept for the process's heap, which may come last. */
    for (unsigned index = heap == &process_heap ? 0 : 1; index < ACRE_HEAP_COUNT_MAX; index++) {
        if (heaps[index] != NULL) continue;
        heap->index = index;
        heap->slot_offset = (char *)&acre_thread.slots[index] - acre_thread_base();
        heap->serial = ++last_serial;
        heaps[index] = heap;
        status = ACRE_OK;
        break;
    }
    acre_lock_drop(&registry_lock);
    if (status == ACRE_OK) return ACRE_OK;
    return acre_fail(ACRE_INVALID, "heap '%s': the process has %d heaps already", heap->name, ACRE_HEAP_COUNT_MAX);
}

void acre_registry_remove(acre_heap *heap)
{
    acre_lock_take(&registry_lock);
    assert(heaps[heap->index] == heap);
    heaps[heap->index] = NULL;
    acre_lock_drop(&registry_lock);
    if (acre_thread.slots[heap->index].serial == heap->serial) acre_thread.slots[heap->index].serial = 0;
}

acre_heap *acre_process_heap(void)
{
    if (acre_likely(__atomic_load_n(&process_heap_state, __ATOMIC_ACQUIRE) != 0)) return &process_heap;
    acre_lock_take(&process_heap_lock);
    if (process_heap_state == 0) {
        (void)acre_host_map_ready();
        static const acre_heap_options options = {.name = "malloc"};
        acre_meta meta;
        (void)acre_meta_init(&meta, &process_meta_space);
        if (acre_heap_init(&process_heap, &options, &meta) == ACRE_OK && acre_registry_add(&process_heap) == ACRE_OK) {
            __atomic_store_n(&process_heap_state, 1, __ATOMIC_RELEASE);
        }
    }
    acre_lock_drop(&process_heap_lock);
    return process_heap_state != 0 ? &process_heap : NULL;
}

acre_heap *acre_heap_of_process(void) { return acre_process_heap(); }

/* ---- threads ---- */

static void thread_ends(void *caches)
{
    acre_thread_caches *const those = caches;
    acre_fast_cache = &acre_no_cache;
    those->is_ending = true;
    for (unsigned index = 0; index < ACRE_HEAP_COUNT_MAX; index++) {
        acre_thread_slot *const slot = &those->slots[index];
        if (slot->serial == 0) continue;
        acre_lock_take(&registry_lock);
        const bool is_alive = heaps[index] != NULL && heaps[index]->serial == slot->serial;
        acre_lock_drop(&registry_lock);
        slot->serial = 0;
        if (is_alive) acre_cache_release(slot->cache);
    }
}

/* Does every call take the slow path, whatever is in the magazines? */
static bool is_slow(const acre_heap *heap) { return heap->is_slow || (heap->space->info.capabilities & ACRE_CAP_HOST_ACCESS) == 0; }

static acre_cache *open_cache(acre_heap *heap)
{
    if (acre_thread.is_ending) return NULL;
    acre_cache *const cache = acre_cache_acquire(heap);
    if (cache == NULL) return NULL;
    acre_thread_slot *const slot = &acre_thread.slots[heap->index];
    const bool is_first = slot->serial == 0;
    *slot = (acre_thread_slot){.cache = cache, .fast = is_slow(heap) ? &acre_no_cache : cache, .serial = heap->serial};

    /* From here on this thread can allocate, which the thread library may do in turn. */
    if (heap->index == 0) acre_fast_cache = slot->fast;
    acre_lock_take(&registry_lock);
    if (!has_exit_key) has_exit_key = acre_os_thread_key_create(&exit_key, thread_ends) == ACRE_OK;
    acre_lock_drop(&registry_lock);
    if (is_first && has_exit_key) (void)acre_os_thread_key_set(exit_key, &acre_thread);
    return cache;
}

acre_cache *acre_cache_of(acre_heap *heap)
{
    const acre_thread_slot *const slot = &acre_thread.slots[heap->index];
    if (acre_likely(slot->serial == heap->serial)) return slot->cache;
    return open_cache(heap);
}

/* ---- the process's heap behind malloc ---- */

/* While every call is told of, the magazines of this thread are behind the slow path. NULL: they are not, or it has none. */
static acre_cache *recorded_cache(acre_heap *heap)
{
    return heap != NULL && heap->is_recording && heap->guard == NULL ? acre_cache_of(heap) : NULL;
}

void *acre_alloc_slow(size_t size, acre_heap_op op)
{
    if (acre_likely(size <= ACRE_TABLE_BYTES_MAX && acre_fast_cache != &acre_no_cache)) {
        const acre_addr ready = acre_cache_change_round(acre_fast_cache, acre_class_table[(size + 15) / 16]);
        if (ready != 0) return (void *)(uintptr_t)ready;
    }
    acre_heap *const heap = acre_process_heap();
    if (heap != NULL && heap->guard != NULL && heap->guard->has_checks) {
        bool is_zero_too;
        const acre_addr checked = acre_guard_alloc(heap, size, ACRE_BLOCK_BYTES_MIN, op, &is_zero_too);
        if (acre_unlikely(checked == 0)) errno = ENOMEM;
        return (void *)(uintptr_t)checked;
    }
    acre_cache *const recorded = size <= ACRE_TABLE_BYTES_MAX ? recorded_cache(heap) : NULL;
    acre_addr address = 0;
    bool is_zero;
    if (recorded != NULL) address = acre_magazine_pop(&recorded->magazines[acre_class_table[(size + 15) / 16]]);
    if (acre_likely(address != 0)) {
        heap->observer(&(acre_heap_event){.op = op, .address = address, .size_bytes = size, .frame = __builtin_frame_address(0)});
        return (void *)(uintptr_t)address;
    }
    if (heap != NULL) address = acre_alloc_aligned(heap, size, ACRE_BLOCK_BYTES_MIN, op, &is_zero);
    if (acre_unlikely(address == 0)) errno = ENOMEM;
    return (void *)(uintptr_t)address;
}

void acre_free_slow(acre_addr address, const char *operation)
{
    const int saved_errno = errno; /* free leaves it alone */
    acre_heap *const heap = acre_process_heap();
    if (heap != NULL && heap->guard != NULL && heap->guard->has_checks) {
        acre_guard_free(heap, address, operation, NULL);
        acre_purge_ask(heap);
        errno = saved_errno;
        return;
    }
    acre_cache *const recorded = recorded_cache(heap);
    const unsigned class = acre_page_map_class(&acre_host_map, address);
    /* Whether it is a block is found out when the magazine is emptied, as without recording. */
    if (acre_likely(recorded != NULL && class != ACRE_CLASS_NONE && class <= ACRE_CLASS_COUNT)) {
        heap->observer(&(acre_heap_event){.op = ACRE_HEAP_OP_FREE, .address = address});
        acre_cache_push(recorded, class, address);
        acre_purge_ask(heap);
    } else if (heap != NULL) {
        acre_free_any(heap, address, operation, false);
        acre_purge_ask(heap);
    }
    errno = saved_errno;
}

void acre_free_slow_sized(acre_addr address, const char *operation, uint64_t size, uint64_t alignment)
{
    acre_heap *const heap = acre_process_heap();
    if (acre_likely(heap == NULL || heap->guard == NULL)) {
        acre_free_slow(address, operation);
        return;
    }
    const int saved_errno = errno;
    if (heap->guard->has_checks || acre_guard_has_page(heap, address))
        acre_guard_free(heap, address, operation, &(acre_free_claim){.size_bytes = size, .alignment = alignment});
    else
        acre_free_any(heap, address, operation, false);
    acre_purge_ask(heap);
    errno = saved_errno;
}

void acre_heap_follow_switches(acre_heap *heap)
{
    heap->is_slow = heap->is_recording || (heap->guard != NULL && heap->guard->has_checks);
    acre_thread_slot *const slot = &acre_thread.slots[heap->index];
    if (slot->serial != heap->serial || heap->serial == 0) return;
    slot->fast = is_slow(heap) ? &acre_no_cache : slot->cache;
    if (heap->index == 0) acre_fast_cache = slot->fast;
    acre_cache_restart_samples(slot->cache);
}

void acre_heap_observe(acre_heap *heap, acre_heap_observer *observer, uint64_t sample_bytes, bool is_recording)
{
    heap->observer = observer;
    heap->sample_bytes = is_recording ? 0 : sample_bytes;
    heap->is_recording = is_recording;
    acre_heap_follow_switches(heap);
}

/* ---- fork ---- */

typedef void lock_action(acre_lock *lock);

static void each_lock_of(acre_heap *heap, lock_action *action)
{
    if (heap->guard != NULL) action(&heap->guard->lock);
    action(&heap->lock);
    for (unsigned class = 0; class <= ACRE_CLASS_COUNT; class++) {
        action(&heap->depots[class].lock);
        action(&heap->watched_depots[class].lock);
    }
    action(&heap->arena.lock);
    action(&heap->meta.lock);
    if (heap->map == &heap->own_map) action(&heap->own_map.lock);
    if (heap->guard != NULL) action(&heap->guard->pool.lock);
}

static void each_lock(lock_action *action)
{
    for (unsigned index = 0; index < ACRE_HEAP_COUNT_MAX; index++) {
        if (heaps[index] != NULL) each_lock_of(heaps[index], action);
    }
    action(&acre_host_map.lock);
    action(&host_map_meta.lock);
    action(&acre_window_of_process()->lock);
}

static void take(acre_lock *lock) { acre_lock_take(lock); }
static void drop(acre_lock *lock) { acre_lock_drop(lock); }

static void before_fork(void)
{
    acre_lock_take(&process_heap_lock);
    acre_lock_take(&host_map_lock);
    acre_lock_take(&registry_lock);
    each_lock(take);
}

static void after_fork(void)
{
    each_lock(drop);
    acre_lock_drop(&registry_lock);
    acre_lock_drop(&host_map_lock);
    acre_lock_drop(&process_heap_lock);
}

static void after_fork_in_child(void)
{
    after_fork();
    for (unsigned index = 0; index < ACRE_HEAP_COUNT_MAX; index++) {
        if (heaps[index] == NULL) continue;
        heaps[index]->is_purge_asked = 0; /* the thread is not here */
        const acre_thread_slot *const slot = &acre_thread.slots[index];
        const bool has_mine = slot->serial == heaps[index]->serial;
        for (acre_cache *cache = heaps[index]->caches; cache != NULL; cache = cache->next) {
            if (cache->is_used != 0 && !(has_mine && slot->cache == cache)) acre_cache_abandon(cache);
        }
    }
}

acre_status acre_registry_handle_forks(void) { return acre_os_at_fork(before_fork, after_fork, after_fork_in_child); }
