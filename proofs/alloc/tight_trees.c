/* Proofs of the trees of alloc/tight.c: any bytes of a window, any lengths in a forest of 32 windows below its roots. */
#define ACRE_REALTIME_REGION_BYTES_MAX (256 << 10)
#include "../proof.h"
#include "alloc/tight.c"

enum { LEVELS = 2, LEAF = 32, WINDOWS = 1 };

static unsigned char windows[WINDOWS * WINDOW_BYTES];
static acre_tight_length tops[2 * LEAF];
static acre_tight heap;

static uint32_t greater(uint32_t a, uint32_t b) { return a > b ? a : b; }

static bool window_tree_is_valid(const unsigned char *window)
{
    for (uint32_t node = 2; node < FIRST_CHUNK; node++) {
        if (window[node] != greater(window[2 * node], window[2 * node + 1])) return false;
    }
    return true;
}

static bool forest_is_valid(void)
{
    for (uint32_t node = ROOT; node < LEAF; node++) {
        if (tops[node] != greater(tops[2 * node], tops[2 * node + 1])) return false;
    }
    return true;
}

/* A window and the forest agree. */
static bool leaf_is_valid(uint32_t number)
{
    const unsigned char *const window = windows + number * WINDOW_BYTES;
    const uint32_t longest = greater(window[2], window[3]);
    return longest == LENGTH_BYTE_MAX ? tops[LEAF + number] >= LENGTH_BYTE_MAX : tops[LEAF + number] == longest;
}

static void any_trees(uint32_t number)
{
    for (uint32_t i = 0; i < WINDOWS * WINDOW_BYTES; i++) windows[i] = (unsigned char)nondet_u32();
    for (uint32_t i = 0; i < 2 * LEAF; i++) tops[i] = (acre_tight_length)nondet_u32();
    for (uint32_t i = FIRST_NODE; i < ROOT; i++) tops[i] = UINT16_MAX;
    heap = (acre_tight){.windows = windows, .tops = tops, .level_count = LEVELS};
    assume(window_tree_is_valid(windows + number * WINDOW_BYTES) && forest_is_valid() && leaf_is_valid(number));
}

/* PROOF tight_lower
 *   property: when the longest block of a chunk is shorter than it was, every node is the greater of those below it again, the chunk's is
 *             what it should be, and the window's length is exact or, where one block of 255 units or more is left, as it was
 *   bound:    a forest of 32 windows
 *   assumes:  the chunk has not become longer; a length is less than 2^15, as in any region with narrow headers
 *   options:  --unwind 130
 */
void prove_tight_lower(void)
{
    const uint32_t number = nondet_u32();
    const uint32_t chunk = nondet_u32();
    const uint32_t longest = nondet_u32();
    assume(number < WINDOWS && chunk >= FIRST_CHUNK && chunk < 2 * FIRST_CHUNK);
    any_trees(number);
    unsigned char *const window = windows + number * WINDOW_BYTES;
    assume(byte_of(acre_block_size(longest)) <= window[chunk]);
    const uint32_t length_before = tops[LEAF + number];
    lower(&heap, window, chunk, longest);
    assert(window[chunk] == byte_of(acre_block_size(longest)));
    assert(window_tree_is_valid(window) && forest_is_valid() && leaf_is_valid(number));
    assert(greater(window[2], window[3]) < LENGTH_BYTE_MAX || tops[LEAF + number] == length_before);
}

/* PROOF tight_insert
 *   property: when a free block comes or grows, every node is the greater of those below it again, the window's length counts it, its bit
 *             is set and no other is changed
 *   bound:    a forest of 32 windows
 *   assumes:  a length is less than 2^15, as in any region with narrow headers
 *   options:  --unwind 130
 */
void prove_tight_insert(void)
{
    const uint32_t unit = nondet_u32();
    const uint32_t units = nondet_u32();
    assume(unit < WINDOWS * WINDOW_UNITS && units >= 2 && units < 1u << 15);
    const uint32_t number = unit / WINDOW_UNITS;
    any_trees(number);
    unsigned char *const window = windows + number * WINDOW_BYTES;
    const uint32_t chunk = FIRST_CHUNK + unit / CHUNK_UNITS % 16;
    const uint32_t length_before = tops[LEAF + number];
    const uint32_t byte_before = window[chunk];
    const uint16_t bits_before = *bits_of(window, chunk);
    insert(&heap, unit, units);
    assert(tops[LEAF + number] == greater(length_before, units));
    assert(window[chunk] == greater(byte_before, byte_of(units)));
    assert(*bits_of(window, chunk) == (bits_before | 0x8000 >> unit % 16));
    assert(window_tree_is_valid(window) && forest_is_valid() && leaf_is_valid(number));
}
