/* board_pool_small.c - board_pool.c with pools of one level.
 *
 * boards:  m0 m3 rv32
 * sources: src/alloc/pool.c src/base/status.c src/base/format.c src/os/freestanding.c
 * flags:   -DNDEBUG -DACRE_POOL_SMALL
 */
#include "board_pool.c"
