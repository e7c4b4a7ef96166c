/* span.h - a run of units that holds the blocks of one size class, and the protocol by which threads share it.
 *
 * The descriptor lies in the meta space; the blocks are never touched. `words` has one bit a block: set = free. A block is
 * *out* from the moment its bit is claimed until it is given back, whether a program uses it or a magazine holds it.
 *
 * At any time a span is in one of four places:
 *
 *     OWNED    one thread takes blocks out of it, without a lock
 *     LISTED   it stands in the list of its class, for any thread to take over
 *     neither  all of its blocks are out; nobody but the blocks' holders knows it
 *     retired  given back to the arena
 *
 * Any thread gives blocks back at any time, by words and without a lock. The rules that make sure that a span is never lost
 * and never retired twice (proofs/spin/span.pml checks them in all interleavings):
 *
 *   1. give back: first the bits (a bit already set is a double free), then `state += count`. So free_count never exceeds
 *      the number of set bits, and when it equals the capacity nobody is about to touch the span any more. It may be
 *      below: the owner may claim a bit before the giver has counted it, so the field is biased and never borrows.
 *   2. whoever changes {OWNED or LISTED or free_count <= 0} to {not OWNED, not LISTED, free_count > 0} lists the span, or
 *      retires it if it is all free by then. That is a giver (DUTY_LIST) or the thread that disowns it.
 *   3. a giver that makes free_count reach the capacity while LISTED retires the span, if under the lock of the class
 *      `state` is still what it left there; the generation in it makes this test mean "nothing has happened since".
 *
 * Claim and give back are O(1) a word of the bitmap. Reading a span's list links needs the lock of its class.
 */
#ifndef ACRE_ALLOC_SPAN_H
#define ACRE_ALLOC_SPAN_H

#include "alloc/page_map.h"

typedef struct acre_region acre_region;

typedef enum acre_span_kind {
    ACRE_SPAN_NONE,     /* not the first unit of anything */
    ACRE_SPAN_FREE,     /* first unit of a free run */
    ACRE_SPAN_FREE_END, /* last unit of a free run of two or more; unit_count is the run's */
    ACRE_SPAN_SMALL,
    ACRE_SPAN_LARGE,
    ACRE_SPAN_MESHED, /* was SMALL; shows the memory of another span, which counts its blocks too */
} acre_span_kind;

struct acre_span {
    acre_word state; /* SMALL: generation, flags, free_count (below). Other kinds leave it alone: the generation goes on */
    union {
        acre_word *words;     /* SMALL, MESHED */
        uint64_t size_bytes;  /* LARGE: as asked for */
        uint64_t dirty_count; /* FREE: how many of its units are dirty */
    };
    acre_addr base;
    acre_span *previous; /* in a list of its class, or of free runs. MESHED: the span whose memory it shows */
    acre_span *next;
    acre_region *region;
    uint32_t unit_count;   /* this and the next: changed under the lock of the arena, which looks at its neighbours' */
    uint8_t kind;          /* acre_span_kind */
    uint8_t class;         /* SMALL: size class, with ACRE_CLASS_WATCHED. LARGE: the same bit or 0 */
    uint32_t units_before; /* SMALL: how many units before this one the span begins; 0 in the first */
    uint32_t meshed;       /* SMALL: the first span that shows its memory. MESHED: the next that does. Its number in the map and 1, or 0 */
};

_Static_assert(sizeof(void *) < 8 || sizeof(struct acre_span) == 64, "a descriptor is one line of the cache");

enum {
    ACRE_SPAN_COUNT_BITS = 16,
    ACRE_SPAN_COUNT_MASK = (1 << ACRE_SPAN_COUNT_BITS) - 1,
    ACRE_SPAN_COUNT_BIAS = 1 << (ACRE_SPAN_COUNT_BITS - 2), /* above any capacity, so that the field never borrows */
    ACRE_SPAN_OWNED = 1 << ACRE_SPAN_COUNT_BITS,
    ACRE_SPAN_LISTED = 2 << ACRE_SPAN_COUNT_BITS,
    ACRE_SPAN_GENERATION = 4 << ACRE_SPAN_COUNT_BITS,
};

typedef enum acre_span_duty {
    ACRE_DUTY_NONE,
    ACRE_DUTY_LIST,   /* take the lock of the class, then acre_span_list */
    ACRE_DUTY_RETIRE, /* take the lock of the class, then acre_span_may_retire */
} acre_span_duty;

static inline int acre_span_free_count(acre_word state)
{
    return (int)(state & ACRE_SPAN_COUNT_MASK) - ACRE_SPAN_COUNT_BIAS;
}

static inline unsigned acre_span_size_class(const acre_span *span)
{
    return span->class & (unsigned)(ACRE_CLASS_WATCHED - 1);
}

/* Whether each free of its blocks is to be told of. */
static inline bool acre_span_is_watched(const acre_span *span) { return (span->class & ACRE_CLASS_WATCHED) != 0; }

static inline unsigned acre_span_capacity(const acre_span *span)
{
    return acre_size_classes[acre_span_size_class(span)].capacity;
}

static inline size_t acre_span_word_count(const acre_span *span) { return ACRE_WORDS(acre_span_capacity(span)); }

/* Makes a fresh span out of a run of kind SMALL, OWNED by the caller, with every block free. */
void acre_span_init(acre_span *span, unsigned class, acre_word *words);

/* States every invariant that holds without the lock. Exact only while no other thread changes the span. */
bool acre_span_is_valid(const acre_span *span);

/* The owner takes up to `count` blocks out of word `index`, lowest addresses first, and returns them as a set.
 * An empty set means that the word has none free. */
acre_word acre_span_claim(acre_span *span, size_t index, unsigned count);

/* Gives the blocks in `mask` of word `index` back: step one of two. Returns those of them that were free already: not
 * empty means a double free, after which the caller must not go on. Any thread. */
acre_word acre_span_give_bits(acre_span *span, size_t index, acre_word mask);

/* Step two: counts `count` blocks whose bits have been given. After it the caller may touch the span no more, except for
 * its duty. `*after` is the state that this call left. Any thread. */
acre_span_duty acre_span_give_count(acre_span *span, unsigned count, acre_word *after);

/* The owner lets go of a span. ACRE_DUTY_LIST: take the lock of the class and list it. The owner only. */
acre_span_duty acre_span_disown(acre_span *span);

/* In the child of a fork, for a span whose owner may have been between claiming blocks and counting them: makes free_count the
 * number of free bits. No other thread exists. */
void acre_span_recount(acre_span *span);

/* Under the lock of the class: marks the span as listed. False: it is all free by now, and the caller must retire it
 * instead of putting it into the list. */
bool acre_span_list(acre_span *span);

/* Under the lock of the class, for a giver with ACRE_DUTY_RETIRE: true when the span is still as it was left, `after`. */
bool acre_span_may_retire(const acre_span *span, acre_word after);

/* Under the lock of the class: takes a listed span over; the caller takes it out of the list. */
void acre_span_own(acre_span *span);

/* Could the blocks that are out in both lie in the memory of one, without touching? Both of one class. O(words). */
bool acre_span_may_mesh(const acre_span *into, const acre_span *span);

/* Counts what is out in `span` as out in `into`, too, and makes `span` MESHED, whose number in the map and 1 is `number`: its words go on
 * to tell which blocks are out at its own addresses. Both are LISTED. `span` is no longer, and `into` is not when it has no free blocks
 * left, which is the answer: the caller takes them out of the list. No other thread uses them. */
bool acre_span_mesh(acre_span *into, acre_span *span, uint32_t number);

/* The span that counts the blocks of this one. */
static inline acre_span *acre_span_home(acre_span *span) { return acre_unlikely(span->kind == ACRE_SPAN_MESHED) ? span->previous : span; }

/* Does its memory show at other addresses, too? */
static inline bool acre_span_is_shared(const acre_span *span) { return span->meshed != 0 || span->kind == ACRE_SPAN_MESHED; }

/* The blocks of word `index` that are out. */
static inline acre_word acre_span_out(const acre_span *span, size_t index)
{
    const unsigned before = (unsigned)index * ACRE_WORD_BITS, capacity = acre_span_capacity(span);
    const acre_word blocks = capacity - before < ACRE_WORD_BITS ? acre_word_first(capacity - before) : ACRE_WORD_ALL;
    return ~acre_load_relaxed(&span->words[index]) & blocks;
}

/* The span becomes a plain run again; its generation goes on. Whoever retires it calls this under the lock of the class. */
void acre_span_retire(acre_span *span);

#endif
