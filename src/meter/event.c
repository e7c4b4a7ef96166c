/* event.c - see event.h. */
#include "meter/event.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "put_field and take_field store numbers as they lie in memory: add a byte swap for a big-endian machine"
#endif

enum { HAS_GROUP_2 = 1 << 6, HAS_PAYLOAD = 1 << 7, OP_MASK = 63 };

static uint64_t zigzag(uint64_t difference) { return (difference << 1) ^ (0 - (difference >> 63)); }
static uint64_t unzigzag(uint64_t coded) { return (coded >> 1) ^ (0 - (coded & 1)); }

/* 0, 1, 2, 3 for values of at most 1, 2, 4, 8 bytes: two bits of the constant for each index of the highest byte. */
static unsigned length_code(uint64_t value)
{
    const unsigned highest_byte = (63u - (unsigned)__builtin_clzll(value | 1)) / 8;
    return (0xFFA4u >> (highest_byte * 2)) & 3;
}

static uint8_t *put_field(uint8_t *at, uint64_t value, unsigned code)
{
    memcpy(at, &value, 8);
    return at + ((size_t)1 << code);
}

static uint8_t *put_group(uint8_t *at, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const unsigned codes[4] = {length_code(a), length_code(b), length_code(c), length_code(d)};
    *at++ = (uint8_t)(codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6);
    at = put_field(at, a, codes[0]);
    at = put_field(at, b, codes[1]);
    at = put_field(at, c, codes[2]);
    return put_field(at, d, codes[3]);
}

size_t acre_event_encode(acre_event_coder *coder, const acre_event *event, uint64_t ticks, uint8_t *out, size_t room)
{
    assert(event->op != ACRE_EVENT_NONE && event->op <= ACRE_EVENT_OP_MAX);
    assert(event->payload_bytes <= ACRE_EVENT_PAYLOAD_MAX);
    if (room < ACRE_EVENT_FIXED_BYTES_MAX + ACRE_EVENT_SLACK_BYTES + event->payload_bytes) return 0;

    const uint64_t kind_space = (uint64_t)event->kind << 16 | event->space;
    const bool has_group_2 = (event->weight_bytes | event->alignment | event->old_address | kind_space) != 0;
    const bool has_payload = event->payload_bytes > 0;
    const uint64_t elapsed = ticks > coder->time ? ticks - coder->time : 0;

    uint8_t *at = out;
    *at++ = (uint8_t)(event->op | (has_group_2 ? HAS_GROUP_2 : 0) | (has_payload ? HAS_PAYLOAD : 0));
    at = put_group(at, elapsed, zigzag(event->address - coder->address), event->size, event->stack);
    if (has_group_2) {
        at = put_group(at, event->weight_bytes, event->alignment, zigzag(event->old_address - event->address), kind_space);
    }
    if (has_payload) {
        at = put_field(at, event->payload_bytes, 1);
        memcpy(at, event->payload, event->payload_bytes);
        at += event->payload_bytes;
    }
    coder->time += elapsed;
    coder->address = event->address;
    return (size_t)(at - out);
}

/* Bytes of the four fields that a shape announces. */
static size_t group_bytes(uint8_t shape)
{
    return ((size_t)1 << (shape & 3)) + ((size_t)1 << (shape >> 2 & 3)) + ((size_t)1 << (shape >> 4 & 3)) +
           ((size_t)1 << (shape >> 6));
}

/* Reads shape and fields; NULL when they do not lie before `end`. */
static const uint8_t *take_group(const uint8_t *at, const uint8_t *end, uint64_t fields[4])
{
    if (at == end) return NULL;
    const uint8_t shape = *at++;
    if ((size_t)(end - at) < group_bytes(shape)) return NULL;
    for (unsigned i = 0; i < 4; i++) {
        const size_t length = (size_t)1 << (shape >> (2 * i) & 3);
        fields[i] = 0;
        memcpy(&fields[i], at, length);
        at += length;
    }
    return at;
}

size_t acre_event_decode(acre_event_coder *coder, const uint8_t *in, size_t length, acre_event *event)
{
    const uint8_t *at = in, *const end = in + length;
    uint64_t first[4], second[4] = {0};
    if (length == 0) return 0;

    const uint8_t head = *at++;
    if ((head & OP_MASK) == ACRE_EVENT_NONE) return 0;
    at = take_group(at, end, first);
    if (at == NULL) return 0;
    const uint64_t address = coder->address + unzigzag(first[1]);
    *event = (acre_event){
        .time = coder->time + first[0],
        .address = address,
        .size = first[2],
        .stack = (uint32_t)first[3],
        .op = head & OP_MASK,
    };
    if ((head & HAS_GROUP_2) != 0) {
        at = take_group(at, end, second);
        if (at == NULL) return 0;
        event->weight_bytes = second[0];
        event->alignment = second[1];
        event->old_address = address + unzigzag(second[2]);
        event->kind = (uint32_t)(second[3] >> 16);
        event->space = (uint16_t)second[3];
    }
    if ((head & HAS_PAYLOAD) != 0) {
        if (end - at < 2) return 0;
        const size_t payload_bytes = (size_t)(at[0] | at[1] << 8);
        at += 2;
        if (payload_bytes > ACRE_EVENT_PAYLOAD_MAX || (size_t)(end - at) < payload_bytes) return 0;
        event->payload = at;
        event->payload_bytes = payload_bytes;
        at += payload_bytes;
    }
    coder->time = event->time;
    coder->address = address;
    return (size_t)(at - in);
}
