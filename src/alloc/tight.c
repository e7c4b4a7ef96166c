/* tight.c - see alloc/tight.h. Looking for a block goes down the trees; a block that comes or goes changes lengths on one way up. The steps
 * of these ways are macros, because the longest path through the machine code is what this engine promises, and a loop has none.
 *
 * In a chunk's bits the highest of 16 is the first unit, so that counting leading zeros finds the lowest address. */
#include "alloc/tight.h"

#include <string.h>

enum {
    CHUNK_UNITS = 16,
    WINDOW_UNITS = 256,
    WINDOW_BYTES = 64,       /* of a record */
    FIRST_CHUNK = 16,        /* its node in the tree of a window */
    LENGTH_BYTE_MAX = 255,   /* that and more */
    FIRST_NODE = 4,          /* of the forest */
};
#define ROOT      ACRE_TIGHT_ROOT_COUNT /* the node of the first one */
#define FIRST_BIT 0x80000000u /* of a chunk's bits in the upper half of a word */

/* A step for each level of the forest, of which there is an even number. */
#define TWO_LEVELS(count, above, STEP)                                                                                                     \
    if ((count) > (above)) { STEP STEP }
#if ACRE_REALTIME_REGION_BYTES_MAX <= (16 << 10)
#define LEVEL_COUNT_MAX 0
#define EACH_LEVEL(count, STEP)
#elif ACRE_REALTIME_REGION_BYTES_MAX <= (256 << 10)
#define LEVEL_COUNT_MAX 4
#define EACH_LEVEL(count, STEP) TWO_LEVELS(count, 0, STEP) TWO_LEVELS(count, 2, STEP)
#else
#define LEVEL_COUNT_MAX 12
#define EACH_LEVEL(count, STEP)                                                                                                            \
    TWO_LEVELS(count, 0, STEP) TWO_LEVELS(count, 2, STEP) TWO_LEVELS(count, 4, STEP) TWO_LEVELS(count, 6, STEP)                            \
    TWO_LEVELS(count, 8, STEP) TWO_LEVELS(count, 10, STEP)
#endif

static unsigned char *window_at(const acre_tight *tight, uint32_t window) { return tight->windows + (size_t)window * WINDOW_BYTES; }

/* The bits of a chunk: they stand where its node times two points to. */
static uint16_t *bits_of(unsigned char *window, uint32_t chunk) { return (uint16_t *)(void *)window + chunk; }

static uint32_t byte_of(uint32_t units) { return units > LENGTH_BYTE_MAX ? LENGTH_BYTE_MAX : units; }

/* ---- what is free comes and goes ---- */

/* The longest free block of a chunk is shorter than it was: `longest` is now the greatest header there, or 0. */
static __attribute__((noinline)) void lower(acre_tight *tight, unsigned char *window, uint32_t chunk, uint32_t longest)
{
    uint32_t units = byte_of(acre_block_size(longest));
    uint32_t node = chunk;
#define LOWER_BYTE                                                                                                                         \
    {                                                                                                                                      \
        window[node] = (unsigned char)units;                                                                                               \
        const uint32_t beside = window[node ^ 1];                                                                                          \
        if (beside > units) units = beside;                                                                                                \
        node >>= 1;                                                                                                                        \
    }
    LOWER_BYTE LOWER_BYTE LOWER_BYTE LOWER_BYTE
    if (units == LENGTH_BYTE_MAX) return; /* the one long block of the window is still there */
    acre_tight_length *const tops = tight->tops;
    node = (uint32_t)(window - tight->windows) / WINDOW_BYTES + (ROOT << tight->level_count);
    tops[node] = (acre_tight_length)units;
#define LOWER_TOP                                                                                                                          \
    {                                                                                                                                      \
        const uint32_t beside = tops[node ^ 1];                                                                                            \
        if (beside > units) units = beside;                                                                                                \
        node >>= 1;                                                                                                                        \
        tops[node] = (acre_tight_length)units;                                                                                             \
    }
    EACH_LEVEL(tight->level_count, LOWER_TOP)
}

/* A free block of at least 2 units begins at `unit`, or has become longer. */
static __attribute__((noinline)) void insert(acre_tight *tight, uint32_t unit, uint32_t units)
{
    uint32_t node = unit / WINDOW_UNITS;
    unsigned char *const window = window_at(tight, node);
    uint32_t chunk = unit / CHUNK_UNITS % 16 + FIRST_CHUNK;
    const uint32_t byte = byte_of(units);
    *bits_of(window, chunk) = (uint16_t)(*bits_of(window, chunk) | 0x8000u >> unit % CHUNK_UNITS);
#define RAISE_BYTE                                                                                                                         \
    {                                                                                                                                      \
        if (window[chunk] >= byte) goto raised;                                                                                            \
        window[chunk] = (unsigned char)byte;                                                                                               \
        chunk >>= 1;                                                                                                                       \
    }
    RAISE_BYTE RAISE_BYTE RAISE_BYTE RAISE_BYTE
raised:; /* a long block may have become longer: that shows above only */
    acre_tight_length *const tops = tight->tops;
    node += ROOT << tight->level_count;
#define RAISE_TOP                                                                                                                          \
    {                                                                                                                                      \
        if (tops[node] >= units) return;                                                                                                   \
        tops[node] = (acre_tight_length)units;                                                                                             \
        node >>= 1;                                                                                                                        \
    }
    RAISE_TOP
#if LEVEL_COUNT_MAX > 0
    RAISE_TOP RAISE_TOP RAISE_TOP RAISE_TOP
#endif
#if LEVEL_COUNT_MAX > 4
    RAISE_TOP RAISE_TOP RAISE_TOP RAISE_TOP RAISE_TOP RAISE_TOP RAISE_TOP RAISE_TOP
#endif
}

/* Takes the next block of `set`, the bits of a chunk, into `longest`. Of at most 4 blocks one is left out. */
#define TAKE_INTO_LONGEST                                                                                                                  \
    {                                                                                                                                      \
        if (set == 0) goto looked;                                                                                                         \
        const uint32_t next = (uint32_t)__builtin_clz(set);                                                                                \
        set &= ~(FIRST_BIT >> next);                                                                                                       \
        if (first[2 * next] > longest) longest = first[2 * next];                                                                          \
    }

/* No free block begins at `unit` from now on; one of at least 2 units did. */
static void withdraw(acre_tight *tight, uint32_t unit)
{
    unsigned char *const window = window_at(tight, unit / WINDOW_UNITS);
    const uint32_t chunk = unit / CHUNK_UNITS % 16 + FIRST_CHUNK;
    const uint32_t *const first = acre_block_at(tight->base, unit - unit % CHUNK_UNITS);
    const uint16_t bits = (uint16_t)(*bits_of(window, chunk) & ~(0x8000u >> unit % CHUNK_UNITS));
    uint32_t set = (uint32_t)bits << 16;
    uint32_t longest = 0;
    *bits_of(window, chunk) = bits;
    TAKE_INTO_LONGEST TAKE_INTO_LONGEST TAKE_INTO_LONGEST
looked:
    lower(tight, window, chunk, longest);
}

/* ---- alloc ---- */

/* The block at `header` has been withdrawn: its first `units` of `length` units come into use, the rest stays free. */
ACRE_BLOCK_INLINE void *use(acre_tight *tight, uint32_t *header, uint32_t unit, uint32_t length, uint32_t units)
{
    uint32_t *const behind = header + (size_t)units * 2;
    *header = acre_block_word(units, ACRE_BLOCK_USED, header);
    if (length == units) {
        *behind ^= ACRE_BLOCK_TURN;
    } else {
        acre_block_write_free(behind, length - units);
        if (length - units > 1) insert(tight, unit + units, length - units);
    }
    tight->live_units += units;
    return header + 1;
}

void *acre_tight_alloc(acre_tight *tight, size_t size)
{
    if (size > ACRE_REALTIME_REGION_BYTES_MAX) return NULL;
    const uint32_t units = acre_block_units(size);
    const acre_tight_length *const tops = tight->tops;
    uint32_t node;
#define TRY_ROOT(number)                                                                                                                   \
    if (tops[node = ROOT + (number)] >= units) goto found_root;
    TRY_ROOT(0) TRY_ROOT(1) TRY_ROOT(2) TRY_ROOT(3) TRY_ROOT(4) TRY_ROOT(5) TRY_ROOT(6) TRY_ROOT(7)
    return NULL;
found_root:;
    /* To the left, or one further when what is there is too short: the difference is negative then. */
#define SEEK_TOP node = 2 * node + ((tops[2 * node] - units) >> 31);
    EACH_LEVEL(tight->level_count, SEEK_TOP)
    node -= ROOT << tight->level_count;

    unsigned char *const window = window_at(tight, node);
    const uint32_t byte = byte_of(units);
    uint32_t chunk = 1;
#define SEEK_BYTE chunk = 2 * chunk + ((window[2 * chunk] - byte) >> 31);
    SEEK_BYTE SEEK_BYTE SEEK_BYTE SEEK_BYTE

    /* One of at most four blocks of the chunk is long enough; the others are what is left. */
    const uint32_t chunk_unit = node * WINDOW_UNITS + chunk * CHUNK_UNITS - WINDOW_UNITS;
    uint32_t *const first = acre_block_at(tight->base, chunk_unit);
    uint32_t set = (uint32_t)*bits_of(window, chunk) << 16;
    uint32_t longest = 0;
    uint32_t at;
    uint32_t word;
#define TRY_BLOCK(or_then)                                                                                                                 \
    at = (uint32_t)__builtin_clz(set);                                                                                                     \
    set &= ~(FIRST_BIT >> at);                                                                                                             \
    word = first[2 * at];                                                                                                                  \
    if (word >= units << ACRE_BLOCK_SIZE_SHIFT) goto or_then;                                                                              \
    if (word > longest) longest = word;
    TRY_BLOCK(found_first) TRY_BLOCK(found_second) TRY_BLOCK(found_third)
    at = (uint32_t)__builtin_clz(set);
    word = first[2 * at];
    goto looked;
found_first:
    TAKE_INTO_LONGEST
found_second:
    TAKE_INTO_LONGEST
found_third:
    TAKE_INTO_LONGEST
looked:
    *bits_of(window, chunk) = (uint16_t)(*bits_of(window, chunk) & ~(0x8000u >> at));
    lower(tight, window, chunk, longest);
    return use(tight, first + (size_t)at * 2, chunk_unit + at, acre_block_size(word), units);
}

static void *use_at(acre_tight *tight, uint32_t unit, uint32_t units)
{
    uint32_t *const header = acre_block_at(tight->base, unit);
    const uint32_t length = acre_block_size(*header);
    withdraw(tight, unit);
    return use(tight, header, unit, length, units);
}

/* The lowest of the shortest free blocks of `units_min` units or more, of which there is one. */
static uint32_t find_shortest(const acre_tight *tight, uint32_t units_min)
{
    const uint32_t window_count = (tight->unit_count + WINDOW_UNITS - 1) / WINDOW_UNITS;
    uint32_t best = tight->unit_count;
    uint32_t best_word = UINT32_MAX;
    for (uint32_t i = 0; i < window_count; i++) {
        if (tight->tops[(ROOT << tight->level_count) + i] < units_min) continue;
        unsigned char *const window = window_at(tight, i);
        for (uint32_t chunk = FIRST_CHUNK; chunk < 2 * FIRST_CHUNK; chunk++) {
            if (window[chunk] < byte_of(units_min)) continue;
            const uint32_t chunk_unit = i * WINDOW_UNITS + (chunk - FIRST_CHUNK) * CHUNK_UNITS;
            for (uint32_t set = (uint32_t)*bits_of(window, chunk) << 16; set != 0;) {
                const uint32_t at = (uint32_t)__builtin_clz(set);
                const uint32_t word = *acre_block_at(tight->base, chunk_unit + at);
                set &= ~(FIRST_BIT >> at);
                if (acre_block_size(word) >= units_min && acre_block_size(word) < acre_block_size(best_word)) {
                    best = chunk_unit + at;
                    best_word = word;
                }
            }
        }
    }
    return best;
}

/* The lowest free block of `units_min` units or more, of which there is one: the way of acre_tight_alloc, in loops. */
static uint32_t find_lowest(const acre_tight *tight, uint32_t units_min)
{
    uint32_t node = ROOT;
    while (tight->tops[node] < units_min) node++;
    for (uint32_t level = 0; level < tight->level_count; level++) node = 2 * node + (tight->tops[2 * node] < units_min ? 1 : 0);
    node -= ROOT << tight->level_count;
    unsigned char *const window = window_at(tight, node);
    uint32_t chunk = 1;
    while (chunk < FIRST_CHUNK) chunk = 2 * chunk + (window[2 * chunk] < byte_of(units_min) ? 1 : 0);
    const uint32_t chunk_unit = node * WINDOW_UNITS + chunk * CHUNK_UNITS - WINDOW_UNITS;
    uint32_t set = (uint32_t)*bits_of(window, chunk) << 16;
    uint32_t at = (uint32_t)__builtin_clz(set);
    while (acre_block_size(*acre_block_at(tight->base, chunk_unit + at)) < units_min) {
        set &= ~(FIRST_BIT >> at);
        at = (uint32_t)__builtin_clz(set);
    }
    return chunk_unit + at;
}

void *acre_tight_alloc_best(acre_tight *tight, size_t size)
{
    if (size > ACRE_REALTIME_REGION_BYTES_MAX || acre_block_units(size) > acre_tight_longest(tight)) return NULL;
    return use_at(tight, find_shortest(tight, acre_block_units(size)), acre_block_units(size));
}

void *acre_tight_alloc_worst(acre_tight *tight, size_t size)
{
    const uint32_t longest = acre_tight_longest(tight);
    if (size > ACRE_REALTIME_REGION_BYTES_MAX || acre_block_units(size) > longest) return NULL;
    return use_at(tight, find_lowest(tight, longest), acre_block_units(size));
}

/* ---- free, and what changes a block ---- */

acre_status acre_tight_free(acre_tight *tight, void *block)
{
    acre_block_around at;
    const acre_status status = acre_block_look(tight->base, tight->unit_count, block, &at);
    if (status != ACRE_OK) return status;
    tight->live_units -= at.end - at.unit;
    *at.header = 0;
    if (at.more > 0)
        *at.behind = 0;
    else
        *at.behind ^= ACRE_BLOCK_TURN;
    const uint32_t unit = at.unit - at.back;
    const uint32_t units = at.end + at.more - unit;
    acre_block_write_free(acre_block_at(tight->base, unit), units);
    if (at.more > 1) withdraw(tight, at.end);
    insert(tight, unit, units);
    return ACRE_OK;
}

acre_status acre_tight_resize(acre_tight *tight, void *block, size_t size)
{
    acre_block_around at;
    const acre_status status = acre_block_look(tight->base, tight->unit_count, block, &at);
    if (status != ACRE_OK) return status;
    if (size > ACRE_REALTIME_REGION_BYTES_MAX) return ACRE_NO_MEMORY;
    const uint32_t units = acre_block_units(size);
    const uint32_t length = at.end + at.more - at.unit;
    const uint32_t units_before = at.end - at.unit;
    if (units > length) return ACRE_NO_MEMORY;
    if (units == units_before) return ACRE_OK;
    if (at.more > 0)
        *at.behind = 0;
    else
        *at.behind ^= ACRE_BLOCK_TURN;
    if (at.more > 1) withdraw(tight, at.end);
    *at.header = acre_block_word(units, ACRE_BLOCK_USED, at.header) ^ (at.back > 0 ? ACRE_BLOCK_TURN : 0);
    uint32_t *const behind = at.header + (size_t)units * 2;
    if (length == units) {
        *behind ^= ACRE_BLOCK_TURN; /* whose block before it was free, and is not */
    } else {
        acre_block_write_free(behind, length - units);
        if (length - units > 1) insert(tight, at.unit + units, length - units);
    }
    tight->live_units += units - units_before;
    return ACRE_OK;
}

void *acre_tight_cut_front(acre_tight *tight, void *block, uint32_t units)
{
    uint32_t *const header = (uint32_t *)block - 1;
    uint32_t *const moved = header + (size_t)units * 2;
    const uint32_t length = acre_block_size(*header);
    assert(units > 0 && length - units >= ACRE_BLOCK_UNITS_MIN);
    acre_block_write_free(header, units);
    *moved = acre_block_word(length - units, ACRE_BLOCK_USED, moved) ^ ACRE_BLOCK_TURN;
    if (units > 1) insert(tight, (uint32_t)((unsigned char *)header - tight->base) / ACRE_UNIT_BYTES, units);
    tight->live_units -= units;
    return moved + 1;
}

/* ---- the life of a heap ---- */

uint32_t acre_tight_longest(const acre_tight *tight)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < ROOT; i++) {
        if (tight->tops[ROOT + i] > longest) longest = tight->tops[ROOT + i];
    }
    return longest;
}

/* How a region whose bytes begin at a multiple of 8 is shared out: tops, windows, and at its end the heap. */
typedef struct layout {
    uint32_t level_count;
    uint32_t tops_bytes;
    uint32_t unit_count;
} layout;

ACRE_BLOCK_INLINE layout layout_of(uint32_t bytes)
{
    /* A window takes 2112 bytes. */
    const uint32_t window_count = (bytes - bytes / 32) / 2048; /* or one more */
    layout made = {.level_count = 0};
#if LEVEL_COUNT_MAX > 0
    while (ROOT << made.level_count <= window_count) made.level_count += 2;
#endif
    /* The lowest level has the nodes of the windows, and up to 8 more, so that the last one has a neighbour and all roots are there. */
    made.tops_bytes = ((ROOT << made.level_count) + (window_count | (ROOT - 1)) + 1) * (uint32_t)sizeof(acre_tight_length);
    /* A unit takes 8 1/4 bytes with its part of a record. The last window has a whole tree and the last chunk all of its bits, of 34 bytes;
     * the last header, and that headers stand where they do, take up to 12. */
    made.unit_count = (bytes - made.tops_bytes - 46) * 4 / 33;
    return made;
}

uint32_t acre_tight_unit_count(size_t bytes)
{
    return bytes > ACRE_REALTIME_REGION_BYTES_MAX || bytes < ACRE_TIGHT_BYTES_MIN ? 0 : layout_of((uint32_t)bytes).unit_count;
}

acre_status acre_tight_init(acre_tight *tight, void *memory, size_t bytes)
{
    if (bytes > ACRE_REALTIME_REGION_BYTES_MAX || bytes < ACRE_TIGHT_BYTES_MIN) return ACRE_INVALID;
    const uint32_t padding = (uint32_t)(0 - (uintptr_t)memory) % ACRE_UNIT_BYTES;
    unsigned char *const start = (unsigned char *)memory + padding;
    const uint32_t room = (uint32_t)bytes - padding;
    const layout made = layout_of(room);
    /* Backwards: the last header, 4 before the last multiple of 8, and the units before it. */
    const uint32_t control_bytes = (room - 8) / 8 * 8 + ACRE_BLOCK_HEADER_BYTES - made.unit_count * ACRE_UNIT_BYTES;
    tight->base = start + control_bytes;
    tight->windows = start + made.tops_bytes;
    tight->tops = (acre_tight_length *)(void *)start;
    tight->unit_count = made.unit_count;
    tight->level_count = made.level_count;
    tight->live_units = 0;
    memset(start, 0, control_bytes);
    memset(tight->tops + FIRST_NODE, 0xff, FIRST_NODE * sizeof *tight->tops);
    uint32_t *const end = acre_block_at(tight->base, made.unit_count);
    acre_block_write_free(acre_block_at(tight->base, 0), made.unit_count);
    *end = acre_block_word(0, ACRE_BLOCK_USED, end) ^ ACRE_BLOCK_TURN;
    insert(tight, 0, made.unit_count);
    return ACRE_OK;
}

/* ---- whether all is right ---- */

/* What a chunk's bits and byte must be. */
static bool chunk_is_valid(const acre_tight *tight, const uint32_t *set_bits, unsigned char *window, uint32_t chunk, uint32_t chunk_unit)
{
    uint32_t longest = 0;
    uint32_t bits = 0;
    for (uint32_t at = 0; at < CHUNK_UNITS && chunk_unit + at < tight->unit_count; at++) {
        if ((*set_bits >> at & 1) == 0) continue;
        const uint32_t units = acre_block_size(*acre_block_at(tight->base, chunk_unit + at));
        bits |= 0x8000u >> at;
        if (units > longest) longest = units;
    }
    return *bits_of(window, chunk) == bits && window[chunk] == byte_of(longest);
}

/* The tree of a window; `*longest` is how long its longest block is. */
static bool window_is_valid(const acre_tight *tight, uint32_t number, uint32_t *unit, uint32_t *longest)
{
    unsigned char *const window = window_at(tight, number);
    *longest = 0;
    for (uint32_t chunk = FIRST_CHUNK; chunk < 2 * FIRST_CHUNK; chunk++) {
        const uint32_t chunk_unit = number * WINDOW_UNITS + (chunk - FIRST_CHUNK) * CHUNK_UNITS;
        if (chunk_unit >= tight->unit_count) {
            if (window[chunk] != 0) return false;
            continue;
        }
        uint32_t starts = 0;
        for (; *unit < chunk_unit + CHUNK_UNITS && *unit < tight->unit_count;) {
            const uint32_t *const header = acre_block_at(tight->base, *unit);
            const uint32_t units = acre_block_size(*header);
            if (acre_block_kind(*header, header) == ACRE_BLOCK_FREE && units > 1) {
                starts |= 1u << (*unit - chunk_unit);
                if (units > *longest) *longest = units;
            }
            *unit += units;
        }
        if (!chunk_is_valid(tight, &starts, window, chunk, chunk_unit)) return false;
    }
    for (uint32_t node = 2; node < FIRST_CHUNK; node++) {
        const unsigned char left = window[2 * node];
        const unsigned char right = window[2 * node + 1];
        if (window[node] != (left > right ? left : right)) return false;
    }
    return true;
}

bool acre_tight_is_valid(const acre_tight *tight)
{
    const uint32_t window_count = (tight->unit_count + WINDOW_UNITS - 1) / WINDOW_UNITS;
    const uint32_t first = ROOT << tight->level_count;
    if (!acre_block_row_is_valid(tight->base, tight->unit_count, tight->live_units)) return false;
    if (first < window_count) return false;
    uint32_t unit = 0;
    for (uint32_t i = 0; i < window_count; i++) {
        uint32_t longest;
        if (!window_is_valid(tight, i, &unit, &longest) || tight->tops[first + i] != longest) return false;
    }
    for (uint32_t node = ROOT; node < first; node++) {
        /* Of the last level there are only as many nodes as windows, and one beside an odd one. */
        const uint32_t end = first + window_count + window_count % 2;
        const uint32_t left = 2 * node < first || 2 * node < end ? tight->tops[2 * node] : 0;
        const uint32_t right = 2 * node < first || 2 * node < end ? tight->tops[2 * node + 1] : 0;
        if (tight->tops[node] != (left > right ? left : right)) return false;
    }
    for (uint32_t node = FIRST_NODE; node < ROOT; node++) {
        if (tight->tops[node] != (acre_tight_length)UINT32_MAX) return false;
    }
    return true;
}
