/* board_pool_interrupt.c - what an interrupt handler may call, and what it may not: debug builds say so.
 *
 * boards:  m0 m3 m33
 * sources: src/alloc/pool.c src/base/status.c src/base/format.c src/os/freestanding.c
 */
#include "board.h"

#include <acre/pool.h>

ACRE_POOL_DEFINE(numbers, uint32_t, 40);

static volatile uint32_t trouble, handled_count;

/* The results of all calls, in this context. */
static void call_all(acre_status status_of_looks)
{
    acre_pool_figures figures;
    acre_pool_slot slot;
    void *tried = NULL;
    void *const got = acre_pool_alloc(&numbers);
    if (got == NULL || acre_pool_try(&numbers, &tried) != ACRE_OK) trouble |= 1;
    if (acre_pool_find(&numbers, got, &slot) != status_of_looks) trouble |= 2;
    if (acre_pool_read_figures(&numbers, &figures) != status_of_looks) trouble |= 4;
    if (acre_pool_free(&numbers, got) != ACRE_OK || acre_pool_free(&numbers, tried) != ACRE_OK) trouble |= 8;
    if (acre_pool_free(&numbers, got) != ACRE_BAD_POINTER) trouble |= 16;
}

void board_systick(void)
{
    handled_count++;
    call_all(ACRE_DENIED);
}

int board_main(void)
{
    call_all(ACRE_OK);
    board_systick_every(2000);
    while (handled_count < 10) {}
    board_systick_every(0);
    call_all(ACRE_OK);
    board_write_number(trouble);
    board_write(" is wrong\n");
    return trouble == 0 ? 0 : 1;
}
