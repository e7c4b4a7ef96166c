/* event.h - what happened to memory, and its encoding: the one event format of every system and every tool.
 *
 * An encoded event frames itself, so that a reader skips what it does not know:
 *
 *     head     1 byte   bits 0-5 operation; bit 6: the second group follows; bit 7: a payload follows
 *     shape    1 byte   four 2-bit codes: field i is 1 << code bytes long
 *     group 1           time (ticks since the last event), address (difference to the last event), size, stack
 *     [shape]
 *     [group 2]         weight, alignment, old address (difference to address), kind << 16 | space
 *     [payload]         its length in 2 bytes, then the bytes
 *
 * Differences are zigzag coded; numbers are little endian. Writing a field is one 8-byte store and one addition, without
 * a branch: an allocation takes about 10 bytes and 5 ns. An encoder needs no memory but its acre_event_coder.
 *
 * Freestanding, no allocation, not thread safe: a coder belongs to one stream.
 */
#ifndef ACRE_METER_EVENT_H
#define ACRE_METER_EVENT_H

#include <stddef.h>
#include <stdint.h>

typedef enum acre_event_op {
    ACRE_EVENT_NONE = 0,
    ACRE_EVENT_ALLOC,   /* malloc: address, size */
    ACRE_EVENT_CALLOC,  /* the same, zeroed */
    ACRE_EVENT_REALLOC, /* old_address is given up for address; old_address 0: a first allocation */
    ACRE_EVENT_ALIGNED, /* with alignment */
    ACRE_EVENT_NEW,     /* C++ operator new */
    ACRE_EVENT_FREE,    /* address; size where the caller named it */
    ACRE_EVENT_MARK,    /* a moment that the program names: payload is its text */
    ACRE_EVENT_GAUGE,   /* kind is the gauge (acre_gauge), size its value */
    ACRE_EVENT_STACK,   /* defines stack id `stack`: payload is its return addresses, 8 bytes each, innermost first */
    ACRE_EVENT_MODULE,  /* code at [address, address + size), mapped from offset `alignment` of file `payload` */
    ACRE_EVENT_DEFINE,  /* names a system's event: kind is its number, payload "name: field, field, ..." */
    ACRE_EVENT_SYSTEM,  /* an event that a DEFINE names: kind, and any of the fields */
    ACRE_EVENT_OP_COUNT
} acre_event_op;

enum {
    ACRE_EVENT_OP_MAX = 63,         /* what the head can carry: room for operations of later versions */
    ACRE_EVENT_PAYLOAD_MAX = 4096,  /* bytes */
    ACRE_EVENT_FIXED_BYTES_MAX = 1 + 2 * (1 + 4 * 8) + 2,
    ACRE_EVENT_SLACK_BYTES = 8,     /* the encoder may write this far past the event that it returns */
};

/* Fields that an operation does not name are 0. */
typedef struct acre_event {
    uint64_t time;         /* ticks of the recording's clock when written, nanoseconds since its start when read from a
                              trace; 0 when given to acre_recorder_put means: read the clock */
    uint64_t address;      /* the block, or the object's identity in its space */
    uint64_t size;         /* bytes asked for */
    uint64_t weight_bytes; /* of a sample: the bytes that it stands for; 0: an exact event */
    uint64_t alignment;    /* bytes, 0 = the default */
    uint64_t old_address;
    uint32_t stack;        /* call site: the id that a STACK event defines; 0: unknown */
    uint32_t kind;         /* below 2^32; see the operation */
    uint32_t thread;       /* filled in by readers: a stream belongs to one thread */
    uint16_t space;        /* the memory space, 0 = the host's */
    uint8_t op;            /* acre_event_op */
    const void *payload;   /* of payload_bytes; when decoded, inside the decoded buffer */
    size_t payload_bytes;  /* at most ACRE_EVENT_PAYLOAD_MAX */
} acre_event;

/* What the differences refer to. Zero it, and set `time` to the first event's base, at the start of every stream piece. */
typedef struct acre_event_coder {
    uint64_t time;
    uint64_t address;
} acre_event_coder;

/* Writes `event` as of `ticks` (its own time is not looked at) to `out`, which has `room` bytes. Returns its length, or 0
 * when room is less than ACRE_EVENT_FIXED_BYTES_MAX + ACRE_EVENT_SLACK_BYTES + payload (then nothing has changed). A time
 * before the coder's counts as the coder's. O(payload). */
size_t acre_event_encode(acre_event_coder *coder, const acre_event *event, uint64_t ticks, uint8_t *out, size_t room);

/* Reads one event from [in, in + length) into `*event`; its time is in ticks. Returns the bytes read, or 0 when they end
 * within the event or are no event (operation 0, payload too long). Bytes may come from anywhere. O(1). */
size_t acre_event_decode(acre_event_coder *coder, const uint8_t *in, size_t length, acre_event *event);

static inline int acre_event_is_allocation(unsigned op) { return op >= ACRE_EVENT_ALLOC && op <= ACRE_EVENT_NEW; }

#endif
