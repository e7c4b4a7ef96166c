/* board_same_addresses.c - blocks lie at the same addresses on every machine of 32 bits, and as on the host (test_same_addresses.c).
 *
 * boards:  m0 m3 m4 m7 m33 rv32
 * sources: src/alloc/block.c src/alloc/buddy.c src/alloc/half_fit.c src/alloc/tight.c
 * flags:   -DNDEBUG
 */
#include "board.h"
#include "same_addresses.h"

int board_main(void)
{
    const uint32_t hash = same_addresses();
    board_write("addresses: ");
    board_write_number(hash);
    board_write("\n");
    return hash == SAME_ADDRESSES ? 0 : 1;
}
