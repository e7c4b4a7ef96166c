/* cortex_m.c - start-up for the Cortex-M boards of QEMU, text by semihosting, instructions by SysTick under -icount. */
#include "board.h"
#include <stddef.h>

/* The script says at how many MHz SysTick runs on the board: QEMU's -icount shift=10 lets an instruction take 1,024 ns. */
#define NS_PER_INSTRUCTION 1024u
#define TICKS_MASK         0xffffffu

enum { SYS_WRITE0 = 4, SYS_EXIT = 0x18, EXIT_OK = 0x20026, EXIT_ERROR = 0x20023 };

typedef struct systick {
    volatile uint32_t control, reload, value, calibration;
} systick;
#define SYSTICK ((systick *)0xe000e010)

extern uint32_t board_stack_top[], board_data_load[], board_data[], board_data_end[], board_bss[], board_bss_end[];

static int semihost(int call, const void *argument)
{
    register int r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_write(const char *text) { semihost(SYS_WRITE0, text); }

_Noreturn void board_exit(int code)
{
    semihost(SYS_EXIT, (const void *)(uintptr_t)(code == 0 ? EXIT_OK : EXIT_ERROR));
    for (;;) {}
}

uint32_t board_count(void) { return SYSTICK->value; }

/* It counts down. */
uint32_t board_count_since(uint32_t start)
{
    const uint64_t ticks = (start - SYSTICK->value) & TICKS_MASK;
    const uint32_t per_thousand = BOARD_MHZ * NS_PER_INSTRUCTION; /* ticks of a thousand instructions */
    return (uint32_t)((ticks * 1000 + per_thousand / 2) / per_thousand);
}

static void count_instructions(void)
{
    SYSTICK->control = 0;
    SYSTICK->reload = TICKS_MASK;
    SYSTICK->value = 0;
    SYSTICK->control = 5; /* on, by the processor's clock */
}

void board_systick_every(uint32_t instructions)
{
    if (instructions == 0) {
        count_instructions();
        return;
    }
    SYSTICK->control = 0;
    SYSTICK->reload = (uint32_t)((uint64_t)instructions * BOARD_MHZ * NS_PER_INSTRUCTION / 1000) & TICKS_MASK;
    SYSTICK->value = 0;
    SYSTICK->control = 7;
}

__attribute__((weak)) void board_systick(void) {}
__attribute__((weak)) void board_pendsv(void) {}

__attribute__((weak)) void board_fault(uint32_t *frame)
{
    board_write("fault at ");
    board_write_number(frame[6]);
    board_write("\n");
    board_exit(3);
}

/* Gives board_fault the frame, whichever stack it lies on. */
__attribute__((naked)) static void fault_entry(void)
{
    __asm__ volatile(".syntax unified\n mov r0, lr\n lsls r0, r0, #29\n bmi 1f\n mrs r0, msp\n b 2f\n"
                     "1: mrs r0, psp\n 2: ldr r1, =board_fault\n bx r1\n .ltorg");
}

_Noreturn void board_start(void);
_Noreturn void board_start(void)
{
    for (uint32_t *to = board_data, *from = board_data_load; to < board_data_end; to++, from++) *to = *from;
    for (uint32_t *to = board_bss; to < board_bss_end; to++) *to = 0;
    count_instructions();
    board_exit(board_main());
}

typedef void handler(void);
extern handler *const board_vectors[16];
__attribute__((section(".vectors"), used)) handler *const board_vectors[16] = {
    (handler *)board_stack_top, (handler *)board_start, [2] = fault_entry, /* NMI */
    [3] = fault_entry,                                                     /* hard fault */
    [4] = fault_entry,                                                     /* memory management */
    [5] = fault_entry,                                                     /* bus */
    [6] = fault_entry,                                                     /* usage */
    [7] = fault_entry,                                                     /* secure (ARMv8-M) */
    [11] = fault_entry,         [14] = board_pendsv,    [15] = board_systick,
};
