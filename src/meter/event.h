/* event.h - what happened to memory, and its encoding: the one event format of every system and every tool.
 *
 * An encoded event frames itself, so that a reader skips what it does not know:
 *
 *     head     1 byte   bits 0-4 operation; bit 5: 0; bit 6: the second group follows; bit 7: a payload follows
 *     shape    1 byte   four 2-bit codes: field i is 1 << code bytes long
 *     group 1           time (ticks since the last event), address (difference to the last event), size, stack
 *     [shape]
 *     [group 2]         weight, alignment, old address (difference to address), kind << 16 | space
 *     [payload]         its length in 2 bytes, then the bytes
 *
 * Most events of a recording are frees, and allocations of a size at a stack that has asked for that size before. They have a short
 * form of 3 to 8 bytes:
 *
 *     head     1 byte   bit 5: 1; bits 0-1: bytes of the address less 1; bit 2: the time has 2 bytes; bit 3: an allocation
 *     time     1, 2     time since the last event, in ACRE_EVENT_TIME_STEP ticks
 *     [known]  1        allocations: which operation, size and stack (see acre_event_known)
 *     address  1 to 4   difference to the last event's, in 16 bytes
 *
 * Differences are zigzag coded; numbers are little endian. Writing a field is one store and one addition, without a branch: some 3 ns
 * an event. An encoder needs no memory but its acre_event_coder.
 *
 * Freestanding, no allocation, not thread safe: a coder belongs to one stream.
 */
#ifndef ACRE_METER_EVENT_H
#define ACRE_METER_EVENT_H

#include <stddef.h>
#include <stdint.h>

typedef enum acre_event_op {
    ACRE_EVENT_NONE = 0,
    ACRE_EVENT_ALLOC,       /* malloc: address, size */
    ACRE_EVENT_CALLOC,      /* the same, zeroed */
    ACRE_EVENT_REALLOC,     /* old_address is given up for address; old_address 0: a first allocation */
    ACRE_EVENT_ALIGNED,     /* with alignment */
    ACRE_EVENT_NEW,         /* C++ operator new */
    ACRE_EVENT_FREE,        /* address; size where the caller named it */
    ACRE_EVENT_MARK,        /* a moment that the program names: payload is its text */
    ACRE_EVENT_GAUGE,       /* kind is the gauge (acre_gauge), size its value */
    ACRE_EVENT_STACK,       /* defines stack id `stack`: payload is its return addresses, 8 bytes each, innermost first */
    ACRE_EVENT_MODULE,      /* code at [address, address + size), mapped from offset `alignment` of file `payload` */
    ACRE_EVENT_DEFINE,      /* names a system's event: kind is its number, payload "name: field, field, ..." */
    ACRE_EVENT_SYSTEM,      /* an event that a DEFINE names: kind, and any of the fields */
    ACRE_EVENT_UNREACHABLE, /* nothing points to the block `address` any more */
    ACRE_EVENT_SCAN,        /* which blocks are unreachable was looked for: size is the bytes of roots; payload: why it could not be, if so;
                               kind 1: `alignment` is how many there are in all, `old_address` the bytes in them */
    ACRE_EVENT_OP_COUNT
} acre_event_op;

/* Kinds of SYSTEM events that acre itself defines. */
enum {
    ACRE_EVENT_KIND_DEVICE =
        1, /* memory of a device: address is what stands for it, used again later; size is its bytes, 0: it was freed */
};
#define ACRE_EVENT_DEVICE_DEFINITION "device memory: address, size (0: freed)"

enum {
    ACRE_EVENT_OP_MAX = 31,        /* what the head can carry: room for operations of later versions */
    ACRE_EVENT_PAYLOAD_MAX = 4096, /* bytes */
    ACRE_EVENT_FIXED_BYTES_MAX = 1 + 2 * (1 + 4 * 8) + 2,
    ACRE_EVENT_SLACK_BYTES = 8,     /* the encoder may write this far past the event that it returns */
    ACRE_EVENT_SHORT_BYTES_MAX = 8, /* of the short form */
    ACRE_EVENT_TIME_STEP = 8,       /* ticks: a time that is no multiple of this after the last event's has no short form */
    ACRE_EVENT_KNOWN_COUNT = 256,
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
    uint32_t stack;       /* call site: the id that a STACK event defines; 0: unknown */
    uint32_t kind;        /* below 2^32; see the operation */
    uint32_t thread;      /* filled in by readers: a stream belongs to one thread */
    uint16_t space;       /* the memory space, 0 = the host's */
    uint8_t op;           /* acre_event_op */
    const void *payload;  /* of payload_bytes; when decoded, inside the decoded buffer */
    size_t payload_bytes; /* at most ACRE_EVENT_PAYLOAD_MAX */
} acre_event;

/* What was asked for: every allocation in the long form that has neither second group nor payload is kept here, at a place that
 * its contents give, and the short form names it by that place. */
typedef struct acre_event_known {
    uint64_t size;
    uint32_t stack;
    uint32_t op; /* 0: the entry is empty */
} acre_event_known;

/* What the differences refer to. Zero it, and set `time` to the first event's base, at the start of every stream piece. */
typedef struct acre_event_coder {
    uint64_t time;
    uint64_t address;
    acre_event_known known[ACRE_EVENT_KNOWN_COUNT];
} acre_event_coder;

/* Writes `event` as of `ticks` (its own time is not looked at) to `out`, which has `room` bytes. Returns its length, or 0
 * when room is less than ACRE_EVENT_FIXED_BYTES_MAX + ACRE_EVENT_SLACK_BYTES + payload (then nothing has changed). A time
 * before the coder's counts as the coder's. O(payload). */
size_t acre_event_encode(acre_event_coder *coder, const acre_event *event, uint64_t ticks, uint8_t *out, size_t room);

/* The short forms of an allocation by malloc, calloc or operator new, and of a free. `out` has room for
 * ACRE_EVENT_SHORT_BYTES_MAX + ACRE_EVENT_SLACK_BYTES. They return the length, or 0 when the event has no short form (then nothing has
 * changed); acre_event_encode tries them itself. O(1). */
size_t acre_event_encode_alloc(acre_event_coder *coder, unsigned op, uint64_t ticks, uint64_t address, uint64_t size, uint32_t stack,
                               uint8_t *out);
size_t acre_event_encode_free(acre_event_coder *coder, uint64_t ticks, uint64_t address, uint8_t *out);

/* Reads one event from [in, in + length) into `*event`; its time is in ticks. Returns the bytes read, or 0 when they end
 * within the event or are no event (operation 0, payload too long). Bytes may come from anywhere. O(1). */
size_t acre_event_decode(acre_event_coder *coder, const uint8_t *in, size_t length, acre_event *event);

static inline int acre_event_is_allocation(unsigned op) { return op >= ACRE_EVENT_ALLOC && op <= ACRE_EVENT_NEW; }

#endif
