/* cortex_m.c - the port to ARMv7-M and ARMv8-M: PendSV switches, SVC calls, SysTick ticks, a memory management fault is a refused access.
 *
 * A context: psp, control, the code of the exception's return, r4 to r11; the processor pushes the others on the stack of the task, with
 * the rights of the task. What the kernel saves it saves in its own memory: a stack pointer that a task has set to somewhere else does
 * no harm. */
#include "firmware.h"

#define IS_V8 (__ARM_ARCH >= 8)

static volatile uint32_t *const mpu = (volatile uint32_t *)0xe000ed90; /* MPU_TYPE, MPU_CTRL, ... */
#define SHPR2 (*(volatile uint32_t *)0xe000ed1c)
#define SHPR3 (*(volatile uint32_t *)0xe000ed20)
#define SHCSR (*(volatile uint32_t *)0xe000ed24)
#define CFSR  (*(volatile uint32_t *)0xe000ed28)
#define MMFAR (*(volatile uint32_t *)0xe000ed34)
#define MAIR0 (*(volatile uint32_t *)0xe000edc0)

enum { PSP, CONTROL, RETURN };                 /* of a context */
enum { R0 = 0, LR = 5, PC, PSR, FRAME_WORDS }; /* of what the processor pushes */
enum { EXCEPTION_SVC = 11 };

const char *const port_unit = IS_V8 ? "v8m-4" : "v7m-4"; /* four regions are enough, and quicker to switch than eight */

/* The flash. */
void port_find_code(acre_addr *base, uint64_t *size_bytes)
{
    extern uint32_t vectors[] __asm__("board_vectors");
    *base = (uintptr_t)vectors;
    *size_bytes = 0x10000;
}

void port_set_up(void)
{
    SHCSR |= 1u << 16;         /* memory management faults are exceptions of their own, the most urgent ones */
    SHPR3 = 0x40e00000u;       /* then SysTick; PendSV comes last */
    SHPR2 = 0x80000000u;       /* SVC in between: the timer interrupts calls */
    if (IS_V8) MAIR0 = 0x00ff; /* attribute 0: normal memory, 1: device */
    mpu[1] = 5;                /* on; privileged code has what no region names */
}

void port_switch_domain(const acre_domain_plan *from, const acre_domain_plan *to)
{
    if (IS_V8)
        acre_domain_switch_v8m(from, to, mpu);
    else
        acre_domain_switch_v7m(from, to, mpu);
}

void port_start(context *at, void (*entry)(task_memory *), task_memory *own)
{
    uint32_t *const frame = (uint32_t *)(own->stack + STACK_BYTES) - FRAME_WORDS;
    for (int i = 0; i < FRAME_WORDS; i++) frame[i] = 0;
    frame[R0] = (uint32_t)(uintptr_t)own;
    frame[LR] = (uint32_t)(uintptr_t)task_end;
    frame[PC] = (uint32_t)(uintptr_t)entry & ~1u;
    frame[PSR] = 1u << 24; /* Thumb */
    *at = (context){.registers = {[PSP] = (uint32_t)(uintptr_t)frame, [CONTROL] = 1, [RETURN] = 0xfffffffd}};
}

__attribute__((naked)) uint32_t port_ask(uint32_t call, uint32_t argument) { __asm__ volatile("svc 0\n bx lr"); }

void port_request_switch(void) { board_pend_pendsv(); }
void port_tick_every(uint32_t instructions) { board_systick_every(instructions); }
void port_wait(void) { __asm__ volatile("wfi"); }

void board_systick(void) { kernel_tick(); }

__attribute__((naked)) void board_pendsv(void)
{
    __asm__ volatile("ldr r1, =kernel_running\n ldr r1, [r1]\n"
                     "mrs r0, psp\n mrs r2, control\n mov r3, lr\n stmia r1, {r0, r2-r11}\n"
                     "bl kernel_switch\n"
                     "ldr r1, =kernel_running\n ldr r1, [r1]\n"
                     "ldmia r1, {r0, r2-r11}\n msr psp, r0\n msr control, r2\n isb\n bx r3\n .ltorg");
}

/* Calls and faults: the start-up of the board brings both here. */
void board_fault(uint32_t *frame)
{
    const context *const caller = kernel_running;
    uint32_t exception, psp;
    acre_trap trap;
    __asm__ volatile("mrs %0, ipsr\n mrs %1, psp" : "=r"(exception), "=r"(psp));
    if (exception == EXCEPTION_SVC) {
        const uint32_t result = kernel_call(frame[0], frame[1]);
        if (kernel_running == caller) frame[R0] = result;
        return;
    }
    if (psp != (uint32_t)(uintptr_t)frame || !acre_trap_of_cortex_m(CFSR, MMFAR, frame[PC], &trap)) {
        say("kernel: exception %u at %u, CFSR %u\n", exception, frame[PC], CFSR);
        board_exit(3);
    }
    CFSR = CFSR; /* a bit is cleared by writing it */
    const uint32_t skip_bytes = kernel_refused(&trap);
    if (kernel_running == caller) frame[PC] += skip_bytes;
}
