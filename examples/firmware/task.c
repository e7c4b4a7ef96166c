/* task.c - what all tasks use: their heap, the calls, and the last look. Runs without privileges, in the domain of the caller. */
#include "firmware.h"

static void hear_of_fragmentation(void *context, const acre_realtime *heap, uint32_t per_mille)
{
    (void)heap;
    (void)per_mille;
    ((task_result *)context)->alarm_count++;
}

void task_open_heap(task_memory *own, const char *name)
{
    const acre_realtime_options options = {.name = name,
                                           .engine = ACRE_REALTIME_TIGHT,
                                           .alarm = hear_of_fragmentation,
                                           .alarm_context = &own->result,
                                           .fragmentation_limit_per_mille = FRAGMENTATION_LIMIT_PER_MILLE};
    if (acre_realtime_init(&own->heap, &options, own->arena, sizeof own->arena) != ACRE_OK) task_end();
}

static void note_fragmentation(task_memory *own)
{
    acre_realtime_figures figures;
    if (acre_realtime_read_figures(&own->heap, &figures) != ACRE_OK) return;
    if (figures.fragmentation_per_mille > own->result.fragmentation_max) own->result.fragmentation_max = figures.fragmentation_per_mille;
}

void *task_alloc(task_memory *own, kind of, size_t size)
{
    uint32_t *const block = acre_realtime_alloc(&own->heap, size);
    if (block != NULL) *block = of;
    note_fragmentation(own);
    return block;
}

void task_free(task_memory *own, void *block)
{
    if (acre_realtime_free(&own->heap, block) != ACRE_OK) task_end();
    note_fragmentation(own);
}

sample *task_receive(void)
{
    uint32_t slot = 0;
    while (slot == 0) slot = port_ask(CALL_RECEIVE, 0);
    return (sample *)(uintptr_t)slot;
}

acre_status task_give_back(sample *slot) { return (acre_status)port_ask(CALL_GIVE_BACK, (uint32_t)(uintptr_t)slot); }
void task_end(void) { (void)port_ask(CALL_END, 0); }

static bool count_block(void *context, void *block, size_t usable_bytes)
{
    task_result *const result = context;
    const uint32_t of = *(const uint32_t *)block;
    if (of >= KIND_COUNT) return true;
    result->left_count[of]++;
    result->left_bytes[of] += (uint32_t)usable_bytes;
    return true;
}

void task_last_look(task_memory *own)
{
    task_result *const result = &own->result;
    acre_realtime_figures figures;
    result->is_whole = acre_realtime_walk(&own->heap, count_block, result) == ACRE_OK;
    if (acre_realtime_read_figures(&own->heap, &figures) == ACRE_OK) {
        result->is_proved = figures.is_proved && figures.failure_count == 0;
        result->live_bytes_peak = (uint32_t)figures.live_bytes_peak;
        result->request_bytes_max = (uint32_t)figures.request_bytes_max;
    }
    result->is_looked_at = true;
}
