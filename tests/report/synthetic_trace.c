/* synthetic_trace.c - see synthetic_trace.h. */
#include "synthetic_trace.h"
#include "meter/event.h"
#include "meter/gauges.h"
#include "trace_writer.h"

#include <stdbool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool is_true, const char *what)
{
    if (is_true) return;
    fprintf(stderr, "synthetic trace: %s failed: %s\n", what, acre_last_error());
    exit(1);
}

typedef struct frame_buffer {
    uint8_t bytes[TRACE_FRAME_RAW_BYTES_MAX];
    size_t used;
    acre_event_coder coder;
    uint64_t start;
} frame_buffer;

static frame_buffer *begin(uint64_t time)
{
    static frame_buffer buffer;
    buffer.used = 0;
    buffer.start = time;
    buffer.coder = (acre_event_coder){.time = time};
    return &buffer;
}

static void add(frame_buffer *to, acre_event event)
{
    const size_t length = acre_event_encode(&to->coder, &event, event.time, to->bytes + to->used, sizeof to->bytes - to->used);
    must(length > 0, "encoding");
    to->used += length;
}

static void finish(trace_writer *writer, frame_buffer *from, uint32_t process, uint32_t thread)
{
    const trace_frame frame = {.kind = TRACE_EVENTS, .process = process, .thread = thread, .start_ticks = from->start,
                               .end_ticks = from->coder.time};
    must(trace_writer_put(writer, &frame, from->bytes, from->used) == ACRE_OK, "writing");
}

static void introduce(trace_writer *writer, uint32_t index, uint32_t process_id, const char *program)
{
    uint8_t raw[256];
    const size_t length = strlen(program);
    const trace_process facts = {.process_id = process_id, .parent_process_id = 1, .program_bytes = (uint32_t)length,
                                 .command_bytes = (uint32_t)length + 1, .start_ticks = 1};
    memcpy(raw, &facts, sizeof facts);
    memcpy(raw + sizeof facts, program, length);
    memcpy(raw + sizeof facts + length, program, length + 1);
    must(trace_writer_put(writer, &(trace_frame){.kind = TRACE_PROCESS, .process = index}, raw, sizeof facts + 2 * length + 1) ==
             ACRE_OK, "writing");
}

/* Events of one looping thread, in several frames, which are written last first: the reader has to sort them. */
static void write_thread(trace_writer *writer, uint32_t thread)
{
    enum { FRAME_COUNT = 3 };
    for (int part = FRAME_COUNT; part-- > 0;) {
        const int first = LOOP_COUNT / FRAME_COUNT * part, end = LOOP_COUNT / FRAME_COUNT * (part + 1);
        frame_buffer *const buffer = begin((uint64_t)(1 + first) * 2 * STEP_NS);
        for (int i = first; i < end; i++) {
            const uint64_t time = (uint64_t)(1 + i) * 2 * STEP_NS, address = (uint64_t)thread << 32 | (uint64_t)(i % 7) << 8;
            add(buffer, (acre_event){.op = ACRE_EVENT_ALLOC, .time = time, .address = address, .size = LOOP_BYTES, .stack = 1});
            if (thread == 11 && i % (LOOP_COUNT / LEAK_COUNT) == 0)
                add(buffer, (acre_event){.op = ACRE_EVENT_CALLOC, .time = time + 1, .address = (uint64_t)(i + 1) << 20,
                                         .size = LEAK_BYTES, .stack = 2});
            if (i == 5) add(buffer, (acre_event){.op = UNKNOWN_OP, .time = time + 1, .payload = "later", .payload_bytes = 5});
            add(buffer, (acre_event){.op = ACRE_EVENT_FREE, .time = time + STEP_NS, .address = address});
        }
        finish(writer, buffer, 0, thread);
    }
}

/* What process 0 finds at its end; also a block that the trace does not know. */
static void write_scan(trace_writer *writer, uint32_t thread)
{
    const uint64_t time = (uint64_t)(LOOP_COUNT + 1) * 2 * STEP_NS;
    frame_buffer *const buffer = begin(time);
    add(buffer, (acre_event){.op = ACRE_EVENT_UNREACHABLE, .time = time, .address = 0x123450});
    for (uint64_t i = 0; i < LOST_COUNT; i++)
        add(buffer, (acre_event){.op = ACRE_EVENT_UNREACHABLE, .time = time, .address = (i * (LOOP_COUNT / LEAK_COUNT) + 1) << 20});
    add(buffer, (acre_event){.op = ACRE_EVENT_SCAN, .time = time, .size = 1 << 20});
    finish(writer, buffer, 0, thread);
}

void write_synthetic_trace(const char *path)
{
    static const uint64_t stacks[2][3] = {{0x401010, 0x402010, 0x403010}, {0x401020, 0x402020, 0x403010}};
    trace_writer *writer = NULL;
    const trace_header header = {.ticks_per_second = 1000000000u, .start_unix_ns = UINT64_C(1700000000000000000)};
    must(trace_writer_open(&writer, path, &header) == ACRE_OK, "creating");
    introduce(writer, 0, 100, "/nowhere/first");
    introduce(writer, 1, 101, "/nowhere/second");

    frame_buffer *buffer = begin(1);
    add(buffer, (acre_event){.op = ACRE_EVENT_MODULE, .time = 1, .address = 0x400000, .size = 0x10000, .payload = "/nowhere/first",
                             .payload_bytes = 14});
    for (uint32_t i = 0; i < 2; i++)
        add(buffer,
            (acre_event){.op = ACRE_EVENT_STACK, .time = 1, .stack = i + 1, .payload = stacks[i], .payload_bytes = sizeof stacks[i]});
    finish(writer, buffer, 0, 0);
    write_thread(writer, 11);
    write_thread(writer, 12);
    write_scan(writer, 12);

    buffer = begin(1);
    for (uint64_t i = 0; i <= 60; i++) {
        const uint64_t time = 1 + i * 100 * STEP_NS;
        add(buffer, (acre_event){.op = ACRE_EVENT_GAUGE, .time = time, .kind = ACRE_GAUGE_COMMITTED_BYTES, .size = (i + 1) * 4096});
        add(buffer, (acre_event){.op = ACRE_EVENT_GAUGE, .time = time, .kind = ACRE_GAUGE_RSS_BYTES, .size = (i + 200) * 4096});
    }
    finish(writer, buffer, 0, TRACE_GAUGE_THREAD);

    buffer = begin(10);
    add(buffer, (acre_event){.op = ACRE_EVENT_NEW, .time = 10, .address = 0x1000, .size = OTHER_BYTES});
    add(buffer, (acre_event){.op = ACRE_EVENT_FREE, .time = 20, .address = 0x9000});
    finish(writer, buffer, 1, 21);

    const trace_process_end end = {.end_ticks = (uint64_t)(LOOP_COUNT + 1) * 2 * STEP_NS, .is_finished = 1, .wait_status = 0};
    must(trace_writer_put(writer, &(trace_frame){.kind = TRACE_PROCESS_END}, &end, sizeof end) == ACRE_OK, "writing");
    must(trace_writer_close(writer) == ACRE_OK, "closing");
}
