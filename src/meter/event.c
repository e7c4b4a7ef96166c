/* event.c - see event.h. */
#include "meter/event.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "put_field and take_field store numbers as they lie in memory: add a byte swap for a big-endian machine"
#endif

enum {
    OP_MASK = 31,
    IS_SHORT = 1 << 5,
    HAS_GROUP_2 = 1 << 6,
    HAS_PAYLOAD = 1 << 7,
    SHORT_HAS_LONG_TIME = 1 << 2, /* of a head with IS_SHORT; the bits that have no name here are 0 */
    SHORT_IS_ALLOC = 1 << 3,
    SHORT_ADDRESS_MASK = 3,
};

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

/* ---- the short form ---- */

static unsigned place_of(unsigned op, uint64_t size, uint32_t stack)
{
    const uint32_t mixed = ((uint32_t)size ^ (uint32_t)(size >> 32) ^ op << 24) * 0x9E3779B1u + stack * 0x85EBCA77u;
    return mixed >> 24;
}

static bool has_short_form(unsigned op) { return op == ACRE_EVENT_ALLOC || op == ACRE_EVENT_CALLOC || op == ACRE_EVENT_NEW; }

/* Head, time, the byte `known` if it is an allocation, address. */
static inline size_t put_short(acre_event_coder *coder, unsigned form, uint64_t ticks, unsigned known, uint64_t address, uint8_t *out)
{
    const uint64_t elapsed = ticks > coder->time ? ticks - coder->time : 0;
    const uint64_t moved = address - coder->address;
    const uint64_t steps = elapsed / ACRE_EVENT_TIME_STEP;
    /* The sign of a difference that is shifted right stays with it. */
    const uint64_t units = zigzag(moved >> 4 | (moved >> 63 != 0 ? UINT64_MAX << 60 : 0));
    if (((elapsed % ACRE_EVENT_TIME_STEP) | (moved & 15) | steps >> 16 | units >> 32) != 0) return 0;

    const unsigned address_code = (31u - (unsigned)__builtin_clz((uint32_t)units | 1)) / 8;
    const bool has_long_time = steps > UINT8_MAX;
    const uint16_t time_field = (uint16_t)steps;
    const uint32_t address_field = (uint32_t)units;
    uint8_t *at = out;
    *at++ = (uint8_t)(IS_SHORT | form | address_code | (has_long_time ? SHORT_HAS_LONG_TIME : 0));
    memcpy(at, &time_field, sizeof time_field);
    at += 1 + has_long_time;
    *at = (uint8_t)known;
    at += form == SHORT_IS_ALLOC;
    memcpy(at, &address_field, sizeof address_field);
    at += address_code + 1;
    coder->time += elapsed;
    coder->address = address;
    return (size_t)(at - out);
}

size_t acre_event_encode_alloc(acre_event_coder *coder, unsigned op, uint64_t ticks, uint64_t address, uint64_t size, uint32_t stack,
                               uint8_t *out)
{
    const unsigned place = place_of(op, size, stack);
    const acre_event_known *const known = &coder->known[place];
    if (known->size != size || known->stack != stack || known->op != op) return 0;
    return put_short(coder, SHORT_IS_ALLOC, ticks, place, address, out);
}

size_t acre_event_encode_free(acre_event_coder *coder, uint64_t ticks, uint64_t address, uint8_t *out)
{
    return put_short(coder, 0, ticks, 0, address, out);
}

static size_t encode_short(acre_event_coder *coder, const acre_event *event, uint64_t ticks, uint8_t *out)
{
    if (event->op == ACRE_EVENT_FREE && (event->size | event->stack) == 0)
        return acre_event_encode_free(coder, ticks, event->address, out);
    if (!has_short_form(event->op)) return 0;
    return acre_event_encode_alloc(coder, event->op, ticks, event->address, event->size, event->stack, out);
}

static void learn(acre_event_coder *coder, unsigned op, uint64_t size, uint32_t stack)
{
    if (!has_short_form(op)) return;
    coder->known[place_of(op, size, stack)] = (acre_event_known){.size = size, .stack = stack, .op = op};
}

/* ---- the long form ---- */

size_t acre_event_encode(acre_event_coder *coder, const acre_event *event, uint64_t ticks, uint8_t *out, size_t room)
{
    assert(event->op != ACRE_EVENT_NONE && event->op <= ACRE_EVENT_OP_MAX);
    assert(event->payload_bytes <= ACRE_EVENT_PAYLOAD_MAX);
    if (room < ACRE_EVENT_FIXED_BYTES_MAX + ACRE_EVENT_SLACK_BYTES + event->payload_bytes) return 0;

    const uint64_t kind_space = (uint64_t)event->kind << 16 | event->space;
    const bool has_group_2 = (event->weight_bytes | event->alignment | event->old_address | kind_space) != 0;
    const bool has_payload = event->payload_bytes > 0;
    const uint64_t elapsed = ticks > coder->time ? ticks - coder->time : 0;
    if (!has_group_2 && !has_payload) {
        const size_t short_bytes = encode_short(coder, event, ticks, out);
        if (short_bytes > 0) return short_bytes;
        learn(coder, event->op, event->size, event->stack);
    }

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

/* ---- reading ---- */

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

static size_t decode_short(acre_event_coder *coder, const uint8_t *in, size_t length, acre_event *event)
{
    const uint8_t head = in[0];
    const bool is_alloc = (head & SHORT_IS_ALLOC) != 0;
    const size_t time_bytes = (head & SHORT_HAS_LONG_TIME) != 0 ? 2 : 1;
    const size_t address_bytes = (size_t)(head & SHORT_ADDRESS_MASK) + 1;
    const size_t event_bytes = 1 + time_bytes + is_alloc + address_bytes;
    if ((head & ~(IS_SHORT | SHORT_IS_ALLOC | SHORT_HAS_LONG_TIME | SHORT_ADDRESS_MASK)) != 0 || length < event_bytes) return 0;

    uint16_t steps = 0;
    uint32_t units = 0;
    memcpy(&steps, in + 1, time_bytes);
    memcpy(&units, in + event_bytes - address_bytes, address_bytes);
    *event = (acre_event){
        .time = coder->time + (uint64_t)steps * ACRE_EVENT_TIME_STEP,
        .address = coder->address + unzigzag(units) * 16,
        .op = ACRE_EVENT_FREE,
    };
    if (is_alloc) {
        const acre_event_known *const known = &coder->known[in[1 + time_bytes]];
        if (known->op == ACRE_EVENT_NONE) return 0;
        event->op = (uint8_t)known->op;
        event->size = known->size;
        event->stack = known->stack;
    }
    coder->time = event->time;
    coder->address = event->address;
    return event_bytes;
}

size_t acre_event_decode(acre_event_coder *coder, const uint8_t *in, size_t length, acre_event *event)
{
    const uint8_t *at = in, *const end = in + length;
    uint64_t first[4], second[4] = {0};
    if (length == 0) return 0;

    const uint8_t head = *at++;
    if ((head & IS_SHORT) != 0) return decode_short(coder, in, length, event);
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
    if ((head & (HAS_GROUP_2 | HAS_PAYLOAD)) == 0) learn(coder, event->op, event->size, event->stack);
    coder->time = event->time;
    coder->address = address;
    return (size_t)(at - in);
}
