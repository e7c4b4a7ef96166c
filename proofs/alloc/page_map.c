/* Proofs of alloc/page_map: the gate through which every pointer goes that a program hands back. */
#include "../proof.h"
#include "base/bits.h"
#include "alloc/page_map.c"
#include "alloc/size_class.c"

/* CBMC's own memset of a length that is not a constant is imprecise. */
void *memset(void *at, int value, size_t length)
{
    for (size_t i = 0; i < length; i++) ((unsigned char *)at)[i] = (unsigned char)value;
    return at;
}

/* The map calls these only to cover a range; what they do is proved with the arena and tested. */
void *acre_meta_alloc(acre_meta *meta, size_t size)
{
    (void)meta, (void)size;
    return NULL;
}
acre_status acre_fail(acre_status status, const char *format, ...)
{
    (void)format;
    return status;
}
void acre_lock_wait(acre_lock *lock) { (void)lock; }
void acre_lock_wake(acre_lock *lock) { (void)lock; }

enum { SLOTS_MAX = 3, UNITS_MAX = 4 };

static uint8_t leaves[SLOTS_MAX][2 * UNITS_MAX]; /* the class and state bytes of each slot */
static uint8_t *root[SLOTS_MAX];
static acre_page_map map;

/* Any map of the host's form with a few short slots, each covered or not. */
static void any_map(void)
{
    const unsigned units_shift = nondet_unsigned();
    assume(units_shift <= 2);
    map = (acre_page_map){.root = root,
                          .slot_count = nondet_size(),
                          .slot_units = (size_t)1 << units_shift,
                          .slot_shift = ACRE_UNIT_SHIFT + units_shift,
                          .base = nondet_u64()};
    assume(map.slot_count >= 1 && map.slot_count <= SLOTS_MAX && map.base % ACRE_UNIT_BYTES == 0);
    for (unsigned i = 0; i < SLOTS_MAX; i++) root[i] = nondet_bool() ? leaves[i] : NULL;
}

/* PROOF page_map_leaf
 *   property: any 64-bit number finds the leaf of its slot and its unit there, or nothing; no memory outside of the root is read
 *   bound:    unbounded in addresses; maps of at most 3 slots of 1, 2 or 4 units, anywhere
 *   assumes:  the map was made by acre_page_map_init_*
 *   options:  --unwind 4
 */
void prove_page_map_leaf(void)
{
    any_map();
    const acre_addr address = nondet_u64();
    size_t unit = 77;
    uint8_t *const leaf = acre_page_map_leaf(&map, address, &unit);
    const uint64_t offset = address - map.base; /* as the map wraps: below its base is far above it */
    const uint64_t slot = offset >> map.slot_shift;
    if (leaf == NULL) {
        assert(slot >= map.slot_count || root[slot] == NULL);
    } else {
        assert(slot < map.slot_count && leaf == root[slot] && unit < map.slot_units);
        const uint64_t start = ((uint64_t)slot << map.slot_shift) + ((uint64_t)unit << ACRE_UNIT_SHIFT);
        assert(start <= offset && offset - start < ACRE_UNIT_BYTES);
    }
    const unsigned class = acre_page_map_class(&map, address);
    assert(leaf == NULL ? class == ACRE_CLASS_NONE : class == leaf[unit]);
}

/* PROOF page_map_range
 *   property: a map of one range finds exactly the addresses of the range, each with the number of its unit
 *   bound:    unbounded: any range of whole units up to 2^48 bytes, any address
 *   assumes:  the range is covered
 */
void prove_page_map_range(void)
{
    const acre_addr base = nondet_u64();
    const uint64_t units = nondet_u64();
    assume(base % ACRE_UNIT_BYTES == 0 && units >= 1 && units <= (uint64_t)1 << 34);
    const uint64_t size = units << ACRE_UNIT_SHIFT;
    assume(base <= UINT64_MAX - size);
    uint8_t byte;
    uint8_t *one_root = &byte;
    acre_page_map_init_range(&map, &one_root, NULL, base, size);
    const acre_addr address = nondet_u64();
    size_t unit = 0;
    const uint8_t *const leaf = acre_page_map_leaf(&map, address, &unit);
    const bool is_inside = address >= base && address - base < size;
    assert((leaf != NULL) == is_inside);
    if (is_inside) assert(unit == (address - base) >> ACRE_UNIT_SHIFT);
}

/* PROOF page_map_host
 *   property: a map of the host knows every address a Linux program can have, and refuses the others
 *   bound:    unbounded: any address
 *   assumes:  47 bits of address
 */
void prove_page_map_host(void)
{
    acre_page_map_init_host(&map, root, NULL);
    assert(map.slot_count << map.slot_shift == (uint64_t)1 << ACRE_HOST_ADDRESS_BITS);
    assert((uint64_t)map.slot_units << ACRE_UNIT_SHIFT == (uint64_t)1 << map.slot_shift);
    const acre_addr address = nondet_u64();
    assume(address >> ACRE_HOST_ADDRESS_BITS != 0);
    size_t unit;
    assert(acre_page_map_leaf(&map, address, &unit) == NULL);
}

/* A map of two slots of two units, at a fixed place: what is proved is how a range is cut at the end of a slot. */
static size_t any_range_of_two_slots(acre_addr *start, size_t *count, size_t *other)
{
    map = (acre_page_map){.root = root, .slot_count = 2, .slot_units = 2, .slot_shift = ACRE_UNIT_SHIFT + 1};
    root[0] = leaves[0];
    root[1] = leaves[1];
    const size_t first = nondet_size();
    *count = nondet_size();
    *other = nondet_size();
    assume(first < 4 && *count <= 4 - first && *other < 4);
    *start = first << ACRE_UNIT_SHIFT;
    return first;
}

/* PROOF page_map_set_class
 *   property: setting the class of a range sets exactly those of its units, also across slots
 *   bound:    ranges in a map of 2 slots of 2 units
 *   assumes:  the range is covered
 *   options:  --unwind 5
 */
void prove_page_map_set_class(void)
{
    acre_addr start;
    size_t count, other;
    const size_t first = any_range_of_two_slots(&start, &count, &other);
    uint8_t *const class = &leaves[other / 2][other % 2];
    uint8_t *const state = &leaves[other / 2][2 + other % 2];
    *class = 3;
    *state = ACRE_UNIT_DIRTY;
    acre_page_map_set_class(&map, start, count, 9);
    assert(*class == (other >= first && other - first < count ? 9 : 3));
    assert(*state == ACRE_UNIT_DIRTY);
}

/* PROOF page_map_window
 *   property: a class that is set in the window is found for exactly the addresses of its units, and those outside are looked for in
 *             the leaves
 *   bound:    unbounded in addresses; a window of 4 units anywhere
 *   assumes:  a range lies in the window or outside of it, and is covered
 *   options:  --unwind 5
 */
void prove_page_map_window(void)
{
    static uint8_t window[UNITS_MAX];
    any_map();
    map.window_base = nondet_u64();
    map.window_units = UNITS_MAX;
    map.window_classes = window;
    assume(map.window_base % ACRE_UNIT_BYTES == 0 && map.window_base <= UINT64_MAX - UNITS_MAX * (uint64_t)ACRE_UNIT_BYTES);
    const size_t first = nondet_size(), count = nondet_size();
    assume(first < UNITS_MAX && count <= UNITS_MAX - first);
    acre_page_map_set_class(&map, map.window_base + ((acre_addr)first << ACRE_UNIT_SHIFT), count, 9);

    const acre_addr address = nondet_u64();
    const unsigned class = acre_page_map_class(&map, address);
    size_t unit = 0;
    const uint8_t *const leaf = acre_page_map_leaf(&map, address, &unit);
    const bool is_inside = address >= map.window_base && address - map.window_base < UNITS_MAX * (uint64_t)ACRE_UNIT_BYTES;
    const uint64_t at = (address - map.window_base) >> ACRE_UNIT_SHIFT;
    if (is_inside) assert(class == (at >= first && at - first < count ? 9 : 0));
    else assert(class == (leaf == NULL ? ACRE_CLASS_NONE : leaf[unit]));
}

/* PROOF page_map_set_dirty
 *   property: marking a range dirty or clean marks exactly its units, also across slots, and they are counted
 *   bound:    ranges in a map of 2 slots of 2 units
 *   assumes:  the range is covered
 *   options:  --unwind 5
 */
void prove_page_map_set_dirty(void)
{
    acre_addr start;
    size_t count, other;
    const size_t first = any_range_of_two_slots(&start, &count, &other);
    const bool is_dirty = nondet_bool();
    uint8_t *const class = &leaves[other / 2][other % 2];
    uint8_t *const state = &leaves[other / 2][2 + other % 2];
    *class = 3;
    *state = !is_dirty;
    acre_page_map_set_dirty(&map, start, count, is_dirty);
    assert(*state == (other >= first && other - first < count ? is_dirty : !is_dirty));
    assert(*class == 3);
    assert(acre_page_map_count_dirty(&map, start, count) == (is_dirty ? count : 0));
}
