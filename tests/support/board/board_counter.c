/* board_counter.c - the counter of instructions is exact: so many instructions in a row are counted as so many, on every board.
 *
 * boards: m0 m3 m4 m7 m33 rv32
 */
#include "board.h"

#define NOPS_10  "nop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\nnop\n"
#define NOPS_100 NOPS_10 NOPS_10 NOPS_10 NOPS_10 NOPS_10 NOPS_10 NOPS_10 NOPS_10 NOPS_10 NOPS_10

static uint32_t data = 7;
static uint32_t bss;

static uint32_t count_nothing(void)
{
    const uint32_t start = board_count();
    return board_count_since(start);
}

static uint32_t count_100(void)
{
    const uint32_t start = board_count();
    __asm__ volatile(NOPS_100);
    return board_count_since(start);
}

static uint32_t count_300(void)
{
    const uint32_t start = board_count();
    __asm__ volatile(NOPS_100 NOPS_100 NOPS_100);
    return board_count_since(start);
}

#ifdef __ARM_ARCH
static volatile uint32_t tick_count;
static volatile uint32_t pend_count;
void board_systick(void)
{
    tick_count++;
    board_pend_pendsv();
}
void board_pendsv(void) { pend_count++; }
#endif

int board_main(void)
{
    const uint32_t nothing = count_nothing();
    const uint32_t hundred = count_100() - nothing;
    const uint32_t three_hundred = count_300() - nothing;
    board_write("100 and 300 instructions are counted as ");
    board_write_number(hundred);
    board_write(" and ");
    board_write_number(three_hundred);
    board_write("\n");
    if (hundred != 100 || three_hundred != 300 || data != 7 || bss != 0) return 1;
#ifdef __ARM_ARCH
    board_systick_every(1000);
    for (uint32_t i = 0; i < 10000; i++) __asm__ volatile("nop");
    board_systick_every(0);
    board_write_number(tick_count);
    board_write(" interrupts\n");
    if (tick_count < 20 || pend_count != tick_count) return 1;
#endif
    return 0;
}
