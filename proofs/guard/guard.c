/* Proofs of what a heap that checks keeps and looks at: guard/quarantine.h, guard/canary.h, guard/block_state.h, heap/bounds.h. */
#include "../proof.h"
#include <string.h>
#include "guard/block_state.h"
#include "guard/canary.h"
#include "guard/quarantine.h"
#include "heap/bounds.h"

/* ---- the quarantine ---- */

enum { CAPACITY = 4 };

static acre_waiting_block ring[CAPACITY];
static acre_quarantine quarantine;

/* The invariant: no more wait than there is room for, and their bytes are the sum. */
static bool quarantine_is_valid(void)
{
    uint64_t bytes = 0;
    const uint32_t count = acre_quarantine_count(&quarantine);
    if (count > CAPACITY) return false;
    for (uint32_t i = 0; i < CAPACITY; i++) {
        if (i < count) bytes += acre_quarantine_at(&quarantine, quarantine.first + i)->size_bytes;
    }
    return bytes == quarantine.bytes;
}

static acre_waiting_block any_block(void)
{
    return (acre_waiting_block){.block = nondet_u64(), .size_bytes = nondet_u32() & 0xff, .since_ns = nondet_u32()};
}

static void any_quarantine(void)
{
    for (unsigned i = 0; i < CAPACITY; i++) ring[i] = any_block();
    quarantine = (acre_quarantine){.ring = ring, .capacity = CAPACITY, .first = nondet_u32(), .next = nondet_u32(), .bytes = nondet_u32(),
                                   .bytes_max = nondet_u32(), .ns_max = nondet_u32()};
    assume(quarantine_is_valid());
}

/* PROOF quarantine_put
 *   property: a block that comes waits last, behind all that waited before, and the bytes that wait grow by its own
 *   bound:    unbounded in history; a ring of 4, sizes below 256
 *   assumes:  there is room, as after quarantine_take has refused
 *   options:  --unwind 5
 */
void prove_quarantine_put(void)
{
    any_quarantine();
    const uint32_t count = acre_quarantine_count(&quarantine), which = nondet_u32();
    assume(count < CAPACITY && which < count);
    const acre_waiting_block came = any_block(), other = *acre_quarantine_at(&quarantine, quarantine.first + which);
    acre_quarantine_put(&quarantine, came);
    assert(quarantine_is_valid() && acre_quarantine_count(&quarantine) == count + 1);
    assert(acre_quarantine_at(&quarantine, quarantine.next - 1)->block == came.block);
    assert(acre_quarantine_at(&quarantine, quarantine.first + which)->block == other.block);
}

/* PROOF quarantine_take
 *   property: the block that came first leaves, and only when too many bytes wait, the ring is full, it is too old or everybody is to
 *             leave; when none leaves there is room for the next
 *   bound:    unbounded in history; a ring of 4, sizes below 256, times and limits of 32 bits
 *   assumes:  nothing
 *   options:  --unwind 5
 */
void prove_quarantine_take(void)
{
    any_quarantine();
    const acre_quarantine before = quarantine;
    const uint32_t count = acre_quarantine_count(&quarantine);
    const acre_waiting_block oldest = *acre_quarantine_at(&quarantine, quarantine.first);
    const uint64_t now = nondet_u32();
    const bool everybody = nondet_bool();
    acre_waiting_block left = {.block = 0};
    const bool is_left = acre_quarantine_take(&quarantine, now, everybody, &left);
    const bool is_old = now >= oldest.since_ns && now - oldest.since_ns > before.ns_max;
    assert(is_left == (count > 0 && (everybody || before.bytes > before.bytes_max || count == CAPACITY || is_old)));
    assert(quarantine_is_valid());
    if (is_left) {
        assert(left.block == oldest.block && left.size_bytes == oldest.size_bytes);
        assert(acre_quarantine_count(&quarantine) == count - 1 && quarantine.next == before.next);
    } else {
        assert(acre_quarantine_count(&quarantine) < CAPACITY && quarantine.bytes == before.bytes);
    }
}

/* ---- the canary ---- */

enum { RUN_BYTES_MAX = 24, AROUND = 2 };

/* PROOF canary_put
 *   property: every byte of the run gets the canary's value and no byte outside of it changes
 *   bound:    runs of up to 16 bytes, which need no loop; longer ones are memset's
 *   assumes:  nothing
 */
void prove_canary_put(void)
{
    uint8_t bytes[16 + 2 * AROUND], before[16 + 2 * AROUND];
    const size_t size = nondet_size(), which = nondet_size();
    assume(size <= 16 && which < sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) before[i] = bytes[i] = (uint8_t)nondet_char();
    acre_canary_put(bytes + AROUND, size);
    const bool is_inside = which >= AROUND && which < AROUND + size;
    assert(bytes[which] == (is_inside ? ACRE_CANARY_BYTE : before[which]));
}

/* PROOF canary_whole
 *   property: a run is whole exactly when each of its bytes is; otherwise the first and the last damaged byte are told
 *   bound:    runs of up to 24 bytes
 *   assumes:  nothing
 *   options:  --unwind 26
 */
void prove_canary_whole(void)
{
    uint8_t bytes[RUN_BYTES_MAX];
    const size_t size = nondet_size(), which = nondet_size();
    assume(size <= RUN_BYTES_MAX && which < size);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)nondet_char();
    const bool is_whole = acre_run_is_whole(bytes, size, ACRE_CANARY_BYTE);
    size_t first = 0, last = 0;
    const bool is_damaged = acre_run_damage(bytes, size, ACRE_CANARY_BYTE, &first, &last);
    assert(is_whole != is_damaged);
    if (is_whole) assert(bytes[which] == ACRE_CANARY_BYTE);
    if (!is_damaged) return;
    assert(first <= last && last < size && bytes[first] != ACRE_CANARY_BYTE && bytes[last] != ACRE_CANARY_BYTE);
    assert(bytes[which] == ACRE_CANARY_BYTE || (which >= first && which <= last));
}

/* ---- sizes ---- */

/* PROOF block_size_kept
 *   property: of any size in any room the size that comes back is the one that was kept, with its state; a change of state keeps it; and
 *             only the block's own bytes change, of which none but the first looks like a block's beginning
 *   bound:    unbounded: all rooms up to 8 KiB
 *   assumes:  nothing
 */
void prove_block_size_kept(void)
{
    uint8_t bytes[4];
    for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)nondet_char();
    const uint8_t last = bytes[3], second = bytes[1], third = bytes[2];
    const uint64_t room = (nondet_u64() % 512 + 1) * ACRE_GRANULE_BYTES, slack = nondet_u64();
    const acre_block_state state = (acre_block_state)(nondet_unsigned() % ACRE_BLOCK_INNER);
    const acre_block_state next = (acre_block_state)(nondet_unsigned() % ACRE_BLOCK_INNER);
    assume(slack <= room);
    bytes[0] = acre_state_encode(bytes, room, state, slack);
    assert(acre_slack_decode(bytes, room, bytes[0]) == slack && acre_state_of(bytes[0]) == state);
    bytes[0] = acre_state_changed(bytes[0], next);
    assert(acre_slack_decode(bytes, room, bytes[0]) == slack && acre_state_of(bytes[0]) == next);
    assert(bytes[3] == last);
    assert(room > 16 ? acre_state_of(bytes[1]) == ACRE_BLOCK_INNER : bytes[1] == second);
    assert(room >= 1024 ? acre_state_of(bytes[2]) == ACRE_BLOCK_INNER : bytes[2] == third);
}

/* ---- bounds ---- */

enum { GRANULES = 8, BLOCK_AT = 2, BLOCK_BYTES_MAX = 64 };

acre_bounds acre_bounds_of_window;
static uint8_t reach[GRANULES];

/* PROOF bounds_allow
 *   property: of a block whose bounds were set, an access is allowed exactly when it lies inside, from any byte of the block on and for any
 *             size; once they are cleared none is; other blocks' bounds stay
 *   bound:    blocks of up to 64 bytes
 *   assumes:  nothing
 *   options:  --unwind 18
 */
void prove_bounds_allow(void)
{
    acre_bounds *const bounds = &acre_bounds_of_window;
    const uintptr_t base = (uintptr_t)1 << 32;
    *bounds = (acre_bounds){.base = base, .bytes = GRANULES * ACRE_GRANULE_BYTES, .reach = reach, .is_open = true};
    acre_bounds_make_tails(bounds);
    const uint8_t before = reach[BLOCK_AT - 1] = (uint8_t)nondet_char(), behind = reach[GRANULES - 1] = (uint8_t)nondet_char();
    const uintptr_t block = base + BLOCK_AT * ACRE_GRANULE_BYTES;
    const size_t asked = nondet_size(), offset = nondet_size(), size = nondet_size();
    assume(asked >= 1 && asked <= BLOCK_BYTES_MAX && offset < asked);
    acre_bounds_set(block, asked);
    assert(acre_bounds_allow(bounds, block + offset, size) == (size <= asked - offset));
    assert(reach[BLOCK_AT - 1] == before && reach[GRANULES - 1] == behind);
    acre_bounds_clear(block, asked);
    assume(size > 0);
    assert(!acre_bounds_allow(bounds, block + offset, size));
    assert(reach[BLOCK_AT - 1] == before && reach[GRANULES - 1] == behind);
}
