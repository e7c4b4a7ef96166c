/* board.h - what a program finds that runs on bare metal in QEMU: text, an end, a counter of instructions, two interrupts.
 *
 * Such a program is a file tests/ROOM/board_NAME.c. Its first comment says where it runs and what is compiled with it:
 *
 *     boards:  m3 m4
 *     sources: src/alloc/stack.c src/base/status.c
 *     flags:   -DNDEBUG                                 (optional)
 *
 * scripts/steps/boards runs them all, tests/support/board/board one. It is compiled with -Os. */
#ifndef ACRE_TESTS_BOARD_H
#define ACRE_TESTS_BOARD_H

#include <stdint.h>

void board_write(const char *text);
void board_write_number(uint64_t number);

/* Ends the program. Code 0: all is well. */
_Noreturn void board_exit(int code);

/* What a program is: called once, with interrupts on. What it returns is its code. */
int board_main(void);

/* Instructions since some time in the past, exact, because QEMU runs with -icount. Differences are good for 500,000 instructions (on a
 * Cortex-M the counter has 24 bits). What the two calls cost themselves is what a difference of two calls in a row says. */
uint32_t board_count(void);
uint32_t board_count_since(uint32_t start);

#ifdef __ARM_ARCH
/* The program's own, if it has them. SysTick counts instructions, so a program that wants its interrupt has no board_count meanwhile. */
void board_systick(void);
void board_pendsv(void);
/* Called with the frame that the exception pushed (r0 to r3, r12, lr, pc, xpsr); the default one prints and ends with code 3. */
void board_fault(uint32_t *frame);

/* SysTick interrupts every so many instructions, from now on; 0: never again. */
void board_systick_every(uint32_t instructions);
static inline void board_pend_pendsv(void) { *(volatile uint32_t *)0xe000ed04 = 1u << 28; }
#endif

#endif
