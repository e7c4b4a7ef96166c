/* test_event.c - events are read back as they were written, and no bytes make the decoder step out of its buffer. */
#include "meter/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 1 << 16 };

static uint64_t random_value(void)
{
    const uint64_t wide = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
    return wide >> (rand() % 64);
}

static acre_event random_event(void)
{
    static char payload[ACRE_EVENT_PAYLOAD_MAX];
    acre_event event = {
        .address = random_value(),
        .size = random_value(),
        .stack = (uint32_t)random_value(),
        .op = (uint8_t)(1 + rand() % ACRE_EVENT_OP_MAX),
    };
    if (rand() % 3 == 0) {
        event.weight_bytes = random_value();
        event.alignment = random_value();
        event.old_address = random_value();
        event.kind = (uint32_t)random_value();
        event.space = (uint16_t)random_value();
    }
    if (rand() % 8 == 0) {
        event.payload_bytes = (size_t)rand() % sizeof payload;
        for (size_t i = 0; i < event.payload_bytes; i++) payload[i] = (char)rand();
        event.payload = payload;
    }
    return event;
}

static void assert_same(const acre_event *a, const acre_event *b)
{
    assert_int_equal(a->address, b->address);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->stack, b->stack);
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->weight_bytes, b->weight_bytes);
    assert_int_equal(a->alignment, b->alignment);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->space, b->space);
    assert_int_equal(a->payload_bytes, b->payload_bytes);
    if (b->payload_bytes > 0) assert_memory_equal(a->payload, b->payload, b->payload_bytes);
}

static void random_events_are_read_back_as_written(void **state)
{
    (void)state;
    static uint8_t bytes[ROOM];
    srand(1);
    for (int step = 0; step < 20000; step++) {
        const uint64_t base = random_value();
        acre_event_coder writer = {.time = base}, reader = {.time = base};
        uint64_t now = base;
        size_t at = 0, read_at = 0;
        acre_event events[4];
        for (size_t i = 0; i < 4; i++) {
            events[i] = random_event();
            now += random_value() >> 8;
            events[i].time = now;
            const size_t length = acre_event_encode(&writer, &events[i], now, bytes + at, sizeof bytes - at);
            assert_true(length > 0);
            at += length;
            acre_event back;
            const size_t got = acre_event_decode(&reader, bytes + read_at, length, &back);
            assert_int_equal(got, length);
            assert_same(&back, &events[i]);
            if (events[i].old_address != 0) assert_int_equal(back.old_address, events[i].old_address);
            assert_int_equal(back.time, events[i].time > base ? events[i].time : base);
            read_at += got;
        }
    }
}

/* Frees, and allocations by few requests: those of a real program. */
static acre_event usual_event(void)
{
    static const uint8_t ops[] = {ACRE_EVENT_ALLOC, ACRE_EVENT_CALLOC, ACRE_EVENT_NEW};
    acre_event event = {.op = ACRE_EVENT_FREE, .address = (uint64_t)(rand() % 100000) * 16};
    if (rand() % 2 == 0) {
        event.op = ops[rand() % 3];
        event.size = (uint64_t)(rand() % 20) * 8;
        event.stack = 1 + (uint32_t)rand() % 5;
    }
    if (rand() % 100 == 0) event.address = random_value();
    return event;
}

static void usual_events_are_short_and_are_read_back_as_written(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    uint8_t bytes[ACRE_EVENT_FIXED_BYTES_MAX + ACRE_EVENT_SLACK_BYTES];
    acre_event_coder writer = {0}, reader = {0};
    uint64_t now = 0, byte_count = 0;
    srand(3);
    for (int step = 0; step < COUNT; step++) {
        acre_event event = usual_event(), back;
        now += (uint64_t)(rand() % 400) * (rand() % 50 != 0 ? ACRE_EVENT_TIME_STEP : 1) << (rand() % 200 == 0 ? 20 : 0);
        const size_t length = acre_event_encode(&writer, &event, now, bytes, sizeof bytes);
        assert_true(length > 0);
        byte_count += length;
        assert_int_equal(acre_event_decode(&reader, bytes, length, &back), length);
        assert_same(&back, &event);
        assert_int_equal(back.time, now);
    }
    assert_true(byte_count < 7 * COUNT);
}

static void a_short_form_without_a_request_before_it_is_no_event(void **state)
{
    (void)state;
    uint8_t bytes[ACRE_EVENT_FIXED_BYTES_MAX + ACRE_EVENT_SLACK_BYTES];
    acre_event_coder writer = {0}, fresh = {0};
    acre_event back;
    const acre_event event = {.op = ACRE_EVENT_ALLOC, .address = 160, .size = 24, .stack = 3};
    (void)acre_event_encode(&writer, &event, 8, bytes, sizeof bytes);
    const size_t length = acre_event_encode(&writer, &event, 16, bytes, sizeof bytes);
    assert_int_equal(length, 4);
    assert_int_equal(acre_event_decode(&fresh, bytes, length, &back), 0);
}

static void a_time_before_the_last_one_counts_as_the_last_one(void **state)
{
    (void)state;
    uint8_t bytes[128];
    acre_event_coder writer = {.time = 1000}, reader = {.time = 1000};
    acre_event back;
    const size_t length = acre_event_encode(&writer, &(acre_event){.op = ACRE_EVENT_FREE}, 10, bytes, sizeof bytes);
    assert_int_equal(acre_event_decode(&reader, bytes, length, &back), length);
    assert_int_equal(back.time, 1000);
}

static void an_event_without_room_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    uint8_t bytes[ACRE_EVENT_FIXED_BYTES_MAX + ACRE_EVENT_SLACK_BYTES];
    acre_event_coder writer = {.time = 7, .address = 9};
    const acre_event event = {.op = ACRE_EVENT_ALLOC, .address = 100, .size = 5};
    assert_int_equal(acre_event_encode(&writer, &event, 50, bytes, sizeof bytes - 1), 0);
    assert_int_equal(writer.time, 7);
    assert_int_equal(writer.address, 9);
    assert_true(acre_event_encode(&writer, &event, 50, bytes, sizeof bytes) > 0);
}

static void assert_no_part_is_an_event(const acre_event_coder *before, const uint8_t *bytes, size_t length)
{
    for (size_t cut = 0; cut < length; cut++) {
        acre_event_coder reader = *before;
        acre_event back;
        /* A copy of exactly that length lets the address sanitizer see a step past its end. */
        uint8_t *const copy = malloc(cut + 1);
        memcpy(copy, bytes, cut);
        assert_int_equal(acre_event_decode(&reader, copy, cut, &back), 0);
        free(copy);
    }
}

static void an_event_cut_anywhere_is_no_event(void **state)
{
    (void)state;
    uint8_t bytes[256];
    acre_event_coder writer = {0};
    const acre_event_coder fresh = {0};
    const acre_event event = {.op = ACRE_EVENT_SYSTEM, .address = 1234567, .size = 77, .kind = 3, .weight_bytes = 1 << 20,
                              .payload = "payload", .payload_bytes = 7};
    assert_no_part_is_an_event(&fresh, bytes, acre_event_encode(&writer, &event, 5, bytes, sizeof bytes));

    const acre_event repeated = {.op = ACRE_EVENT_NEW, .address = 1234560, .size = 77, .stack = 9};
    (void)acre_event_encode(&writer, &repeated, 13, bytes, sizeof bytes);
    const acre_event_coder before = writer;
    const acre_event again = {.op = ACRE_EVENT_NEW, .address = 123456000, .size = 77, .stack = 9};
    assert_no_part_is_an_event(&before, bytes, acre_event_encode(&writer, &again, 13 + 8 * 300, bytes, sizeof bytes));
}

static void random_bytes_are_decoded_within_their_bounds(void **state)
{
    (void)state;
    srand(2);
    for (int step = 0; step < 20000; step++) {
        const size_t length = (size_t)(rand() % 200);
        uint8_t *const bytes = malloc(length + 1);
        for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)rand();
        acre_event_coder reader = {0};
        for (size_t at = 0, got = 1; got > 0; at += got) {
            acre_event event;
            got = acre_event_decode(&reader, bytes + at, length - at, &event);
            assert_true(at + got <= length);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_events_are_read_back_as_written),
        cmocka_unit_test(usual_events_are_short_and_are_read_back_as_written),
        cmocka_unit_test(a_short_form_without_a_request_before_it_is_no_event),
        cmocka_unit_test(a_time_before_the_last_one_counts_as_the_last_one),
        cmocka_unit_test(an_event_without_room_is_refused_and_changes_nothing),
        cmocka_unit_test(an_event_cut_anywhere_is_no_event),
        cmocka_unit_test(random_bytes_are_decoded_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
