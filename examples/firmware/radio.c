/* radio.c - the task that sends frames: the readings of its antenna as hexadecimal digits in a line. Each frame has one reading more. */
#include "firmware.h"

enum { FRAME_COUNT = 12, DIGITS = 8, LISTEN_COUNT = 5000 };

typedef struct frame {
    uint32_t of; /* a kind */
    uint32_t count;
    uint32_t readings[];
} frame;

/* Planted overflow: nobody asks how long the line is. Eight readings fill it. */
static char *write_reading(char *line, uint32_t reading)
{
    for (int shift = 4 * (DIGITS - 1); shift >= 0; shift -= 4) *line++ = "0123456789abcdef"[reading >> shift & 15];
    return line;
}

static void send(task_memory *own, uint32_t number)
{
    frame *const f = task_alloc(own, KIND_FRAME, sizeof *f + number * sizeof f->readings[0]);
    if (f == NULL) task_end();
    f->count = number;
    for (uint32_t i = 0; i < number; i++) f->readings[i] = number * 0x01010101u + i;
    char *end = own->line;
    for (uint32_t i = 0; i < number; i++) end = write_reading(end, f->readings[i]);
    for (const char *at = own->line; at < end; at++) own->result.sum += (uint8_t)*at; /* what a receiver would check */
    task_free(own, f);
}

/* Before it sends it hears whether others do. It asks nobody for time, and gets as much as the timer lets it have. */
static void listen(void)
{
    for (volatile uint32_t i = 0; i < LISTEN_COUNT; i++) {}
}

void radio(task_memory *own)
{
    task_open_heap(own, "radio");
    for (uint32_t number = 1; number <= FRAME_COUNT; number++) {
        listen();
        send(own, number);
        own->result.done_count++;
    }
}
