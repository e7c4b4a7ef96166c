/* rv32.c - start-up for QEMU's RISC-V board `virt`: text by its serial port, the end by its test device, instructions by the CSR. */
#include "board.h"

#define SERIAL (*(volatile uint8_t *)0x10000000)
#define FINISH (*(volatile uint32_t *)0x100000)

enum { FINISH_OK = 0x5555, FINISH_ERROR = 0x3333 };

void board_write(const char *text)
{
    while (*text != 0) SERIAL = (uint8_t)*text++;
}

_Noreturn void board_exit(int code)
{
    FINISH = code == 0 ? FINISH_OK : (uint32_t)code << 16 | FINISH_ERROR;
    for (;;) {}
}

uint32_t board_count(void)
{
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

/* Under -icount QEMU's register counts nanoseconds of an instruction's 1,024. */
uint32_t board_count_since(uint32_t start) { return (board_count() - start) / 1024; }

__attribute__((weak, used)) void board_trap(void)
{
    board_write("trap\n");
    board_exit(3);
}

_Noreturn void board_start(void);
_Noreturn void board_start(void)
{
    extern uint32_t board_bss[], board_bss_end[];
    for (uint32_t *to = board_bss; to < board_bss_end; to++) *to = 0;
    board_exit(board_main());
}

void board_entry(void);
__attribute__((naked, section(".vectors"), used)) void board_entry(void)
{
    __asm__ volatile("la sp, board_stack_top\n la t0, 1f\n csrw mtvec, t0\n j board_start\n .balign 4\n1: j board_trap");
}
