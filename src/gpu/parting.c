/* parting.c - memory that was freed behind work of the device: it stays where it is until the device has got that far.
 *
 * The oldest are asked for first, and by each acre_gpu_alloc no more than a few; all of them when memory is out. Lock order:
 * `partings_lock` is held while fences are asked, and none of the manager's others with it.
 */
#include "gpu/manager.h"

#include "base/status.h"

enum { ASKS_OF_AN_ALLOC = 4 };

/* In the list from the oldest to the youngest. */
typedef struct parting {
    acre_record record;
    acre_gpu_entry *entry;
    acre_gpu_fence fence;
    struct parting *next;
} parting;

size_t acre_gpu_parting_bytes(void) { return sizeof(parting); }

acre_status acre_gpu_free_after(acre_gpu *gpu, acre_gpu_memory memory, const acre_gpu_fence *fence)
{
    if (gpu == NULL || fence == NULL || fence->has_passed == NULL) return acre_fail(ACRE_INVALID, "gpu: free after: a NULL");
    if (memory == 0) return ACRE_OK;
    acre_gpu_entry *const entry = acre_gpu_find(gpu, memory, "free after");
    if (entry == NULL) return ACRE_BAD_POINTER;
    acre_lock_take(&gpu->lock);
    parting *const part = acre_record_take(&gpu->partings);
    acre_lock_drop(&gpu->lock);
    if (part == NULL) return acre_fail(ACRE_NO_MEMORY, "gpu '%s': no room to note what is to be freed", gpu->driver->name);
    part->entry = entry;
    part->fence = *fence;
    part->next = NULL;
    acre_gpu_pool *const pool = entry->block->pool;
    acre_lock_take(&pool->lock);
    const bool is_moving = entry->to_block != NULL;
    /* Two threads that free it at once: one of them finds the flag. */
    const bool is_second = !is_moving && (__atomic_fetch_or(&entry->flags, ACRE_GPU_PARTING, __ATOMIC_RELAXED) & ACRE_GPU_PARTING) != 0;
    acre_lock_drop(&pool->lock);
    if (is_moving || is_second) {
        acre_lock_take(&gpu->lock);
        acre_record_drop(&gpu->partings, part);
        acre_lock_drop(&gpu->lock);
        return acre_fail(is_moving ? ACRE_BUSY : ACRE_BAD_POINTER, "gpu '%s': free after: memory %llx %s", gpu->driver->name,
                         (unsigned long long)memory, is_moving ? "is part of a plan of moves" : "was freed");
    }
    acre_lock_take(&gpu->partings_lock);
    *(gpu->last_parting == NULL ? &gpu->first_parting : &gpu->last_parting->next) = part;
    gpu->last_parting = part;
    acre_lock_drop(&gpu->partings_lock);
    return ACRE_OK;
}

/* Takes out of the list what has passed, by at most `ask_count` questions; `all`: goes on behind one that has not. */
static parting *take_passed(acre_gpu *gpu, uint32_t ask_count, bool all)
{
    parting *passed = NULL, *before = NULL;
    acre_lock_take(&gpu->partings_lock);
    for (parting *part = gpu->first_parting; part != NULL && ask_count > 0; ask_count--) {
        parting *const next = part->next;
        if (part->fence.has_passed(part->fence.context, part->fence.value)) {
            *(before == NULL ? &gpu->first_parting : &before->next) = next;
            if (gpu->last_parting == part) gpu->last_parting = before;
            part->next = passed;
            passed = part;
        } else if (all) {
            before = part;
        } else {
            break;
        }
        part = next;
    }
    acre_lock_drop(&gpu->partings_lock);
    return passed;
}

static uint64_t collect(acre_gpu *gpu, uint32_t ask_count, bool all)
{
    uint64_t bytes = 0;
    if (__atomic_load_n(&gpu->first_parting, __ATOMIC_RELAXED) == NULL) return 0;
    for (parting *part = take_passed(gpu, ask_count, all), *next; part != NULL; part = next) {
        next = part->next;
        bytes += part->entry->size_bytes;
        acre_gpu_free_entry(gpu, part->entry);
        acre_lock_take(&gpu->lock);
        acre_record_drop(&gpu->partings, part);
        acre_lock_drop(&gpu->lock);
    }
    return bytes;
}

void acre_gpu_collect_some(acre_gpu *gpu) { (void)collect(gpu, ASKS_OF_AN_ALLOC, false); }

uint64_t acre_gpu_collect(acre_gpu *gpu) { return gpu == NULL ? 0 : collect(gpu, UINT32_MAX, true); }
