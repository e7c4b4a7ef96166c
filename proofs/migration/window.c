/* Proofs of migration/window.c: where a number of unified memory is among the addresses of a window, some of which the program
 * has moved. */
#include "../proof.h"

#include "migration/window.c"

enum { MOVES = 2 };

/* Any window with addresses that were moved up to twice; each move keeps what is behind it together. */
static um_window any_window(void)
{
    um_window window = {.base = (unsigned char *)nondet_word(), .bytes = nondet_u64(), .move_count = nondet_unsigned()};
    assume(window.bytes > 0 && window.bytes <= (uint64_t)1 << 7 && (uintptr_t)window.base <= (uint64_t)1 << 10);
    assume(window.move_count <= MOVES);
    for (unsigned i = 0; i < MOVES; i++) {
        window.moves[i].at = nondet_u64();
        window.moves[i].bytes = nondet_u64();
        window.moves[i].to = nondet_word();
        assume(window.moves[i].at < window.bytes && window.moves[i].bytes > 0);
        assume(window.moves[i].bytes <= window.bytes - window.moves[i].at && window.moves[i].to <= (uint64_t)1 << 10);
    }
    return window;
}

/* Where a number is by the definition: at the last move that has it, else from the beginning of the window. */
static uintptr_t place_of(const um_window *window, uintptr_t base, uint64_t at)
{
    uintptr_t address = base + at;
    for (unsigned i = 0; i < MOVES; i++)
        if (i < window->move_count && at >= window->moves[i].at && at - window->moves[i].at < window->moves[i].bytes)
            address = window->moves[i].to + (at - window->moves[i].at);
    return address;
}

/* PROOF window_address
 *   property: a range of numbers is cut into pieces of at least a byte and no more than is left, and each byte of a piece is where the last
 *             move that has it says
 *   bound:    two moves, a window of 128 bytes below 1 KiB
 *   assumes:  the range lies in the window
 *   options:  --unwind 3
 */
void prove_window_address(void)
{
    const um_window window = any_window();
    const uint64_t at = nondet_u64(), size = nondet_u64(), byte = nondet_u64();
    uint64_t piece;
    assume(at < window.bytes && size > 0 && size <= window.bytes - at);
    const uintptr_t base = nondet_word();
    assume(base <= (uint64_t)1 << 10);
    const uintptr_t address = locate(&window, base, at, size, &piece);
    assert(piece > 0 && piece <= size);
    assume(byte < piece);
    assert(address + byte == place_of(&window, base, at + byte));
}

/* PROOF window_find
 *   property: an address leads to the number of the newest range that is there; one outside all of them to none
 *   bound:    two moves, a window of 128 bytes below 1 KiB
 *   assumes:  nothing
 *   options:  --unwind 3
 */
void prove_window_find(void)
{
    const um_window window = any_window();
    const uintptr_t address = nondet_word();
    uint64_t at;
    if (!acre_window_find(&window, address, &at)) {
        assert(address < (uintptr_t)window.base || address - (uintptr_t)window.base >= window.bytes);
        for (unsigned i = 0; i < MOVES; i++)
            assert(i >= window.move_count || address < window.moves[i].to ||
                   address - window.moves[i].to >= window.moves[i].bytes);
        return;
    }
    assert(at < window.bytes);
    bool is_there = address == (uintptr_t)window.base + at;
    for (unsigned i = 0; i < MOVES; i++)
        is_there = is_there || (i < window.move_count && at >= window.moves[i].at && at - window.moves[i].at < window.moves[i].bytes &&
                                address == window.moves[i].to + (at - window.moves[i].at));
    assert(is_there);
}
