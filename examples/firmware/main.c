/* main.c - starts the device, and says what came of it: its text goes where the board's text goes. */
#include "firmware.h"

#include <stdarg.h>

void say(const char *format, ...)
{
    va_list arguments;
    char letter[2] = "";
    va_start(arguments, format);
    for (const char *at = format; *at != 0; at++) {
        if (*at != '%') {
            letter[0] = *at;
            board_write(letter);
        } else if (*++at == 's') {
            board_write(va_arg(arguments, const char *));
        } else {
            board_write_number(va_arg(arguments, uint32_t));
        }
    }
    va_end(arguments);
}

/* ---- what it costs ---- */

enum { ROUNDS = 8 };

static uint32_t nothing;

static void note(uint32_t start, uint32_t *most)
{
    const uint32_t count = board_count_since(start) - nothing;
    if (count > *most) *most = count;
}

/* The most instructions that each call took, with the call itself, while nobody else runs. The heap has eight blocks at most. */
static void count_instructions(void)
{
    uint32_t empty = 0, change = 0, take = 0, put_back = 0, alloc = 0, release = 0;
    acre_realtime *const heap = &task_memories[FILTER].heap;
    void *blocks[ROUNDS];
    note(board_count(), &empty);
    nothing = empty;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t start = board_count();
        port_switch_domain(&kernel_plans[i % 2], &kernel_plans[1 - i % 2]);
        note(start, &change);
        start = board_count();
        void *const slot = acre_pool_alloc(&samples);
        note(start, &take);
        start = board_count();
        (void)acre_pool_free(&samples, slot);
        note(start, &put_back);
    }
    task_open_heap(&task_memories[FILTER], "filter");
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const uint32_t start = board_count();
        blocks[i] = acre_realtime_alloc(heap, 12 + 4 * i);
        note(start, &alloc);
    }
    for (uint32_t i = 0; i < ROUNDS; i++) { /* every other one first, so that holes meet */
        const uint32_t start = board_count();
        (void)acre_realtime_free(heap, blocks[(2 * i + 2 * i / ROUNDS) % ROUNDS]);
        note(start, &release);
    }
    say("instructions: domain switch %u, pool alloc %u, pool free %u, heap alloc %u, heap free %u\n", change, take, put_back, alloc,
        release);
}

/* ---- what came of it ---- */

static const char *const kind_names[KIND_COUNT] = {[KIND_READING] = "reading", [KIND_ALARM] = "alarm", [KIND_FRAME] = "frame"};

static void report(uint16_t task, const char *units)
{
    const task_result *const result = &task_memories[task].result;
    const char *const name = domain_names[task];
    const char *const what = kernel_is_at_fault(task) ? "held at its end" : "leak";
    say("%s: %u %s, sum %u, %s\n", name, result->done_count, units, result->sum,
        kernel_is_at_fault(task) ? "ended by a fault" : "ended by itself");
    if (!result->is_looked_at) return;
    say("%s: at most %u bytes of its heap in use, %u the largest: %s for any such program\n", name, result->live_bytes_peak,
        result->request_bytes_max, result->is_proved ? "proved to be enough" : "not proved to be enough");
    say("%s: fragmentation at most %u per mille, %u times over the limit of %u\n", name, result->fragmentation_max, result->alarm_count,
        (uint32_t)FRAGMENTATION_LIMIT_PER_MILLE);
    if (!result->is_whole) say("%s: its heap is damaged\n", name);
    for (uint32_t i = 0; i < KIND_COUNT; i++) {
        if (result->left_count[i] > 0)
            say("%s: %s: %u of heap '%s', kind '%s', %u bytes\n", name, what, result->left_count[i], name, kind_names[i],
                result->left_bytes[i]);
    }
    const uint32_t slots = kernel_leaked_slots(task);
    if (slots > 0) say("%s: %s: %u of pool '%s'\n", name, what, slots, samples.name);
}

int board_main(void)
{
    port_set_up();
    if (kernel_make_plans() != ACRE_OK) {
        say("%s\n", acre_last_error());
        return 1;
    }
    count_instructions();
    kernel_start();
    while (!kernel_is_done()) port_wait();
    port_tick_every(0);

    acre_pool_figures pool = {0};
    (void)acre_pool_read_figures(&samples, &pool);
    report(RADIO, "frames");
    report(FILTER, "samples");
    say("pool '%s': %u of %u slots at most in use, %u not to be had, %u frees refused\n", samples.name, pool.used_max, pool.count,
        pool.failed_count, pool.refused_count);
    say("%s\n", kernel_tick_count < STRAY_COUNT ? "kernel: its tick count is whole" : "kernel: its tick count was changed");
    return 0;
}
