/* filter.c - the task that reads samples: four readings make a window, whose sum is kept; what is too large is an alarm. */
#include "firmware.h"

enum { WINDOW_COUNT = 4, VALUE_MAX = 1000, STRAY_AT = 4 };

typedef struct reading {
    uint32_t of; /* a kind */
    uint32_t number, value;
} reading;

typedef struct window {
    reading *readings[WINDOW_COUNT];
    uint32_t count;
} window;

static reading *keep(task_memory *own, kind of, const sample *from)
{
    reading *const kept = task_alloc(own, of, sizeof *kept);
    if (kept == NULL) return NULL;
    kept->number = from->number;
    kept->value = from->value;
    return kept;
}

static void use(task_memory *own, window *w, sample *from)
{
    if (from->is_spoilt) return; /* planted leak: the slot is not given back */
    /* Planted leak: who hears of an alarm should free it, but nobody does. */
    if (from->value > VALUE_MAX) (void)keep(own, KIND_ALARM, from);
    reading *const kept = keep(own, KIND_READING, from);
    if (kept == NULL || task_give_back(from) != ACRE_OK) task_end();
    w->readings[w->count++] = kept;
    if (w->count < WINDOW_COUNT) return;
    for (; w->count > 0; w->count--) {
        own->result.sum += w->readings[w->count - 1]->value;
        task_free(own, w->readings[w->count - 1]);
    }
}

void filter(task_memory *own)
{
    window w = {.count = 0};
    task_open_heap(own, "filter");
    for (; own->result.done_count < SAMPLE_COUNT; own->result.done_count++) {
        if (own->result.done_count == STRAY_AT) kernel_tick_count = STRAY_COUNT; /* planted: that is the kernel's */
        use(own, &w, task_receive());
    }
    for (uint32_t i = 0; i < w.count; i++) {
        own->result.sum += w.readings[i]->value;
        task_free(own, w.readings[i]);
    }
}
