/* rv32.c - the port to a RISC-V hart with machine and user mode: one trap handler saves everything, the timer of the CLINT ticks, and
 * physical memory protection keeps tasks apart. The kernel runs in machine mode, which is not limited.
 *
 * A context: pc, x1 to x31, mstatus. mscratch has the address of the one whose registers are in the processor. */
#include "firmware.h"

enum { PC, RA, SP, A0 = 10, A1, STATUS = 32 };                                        /* of a context */
enum { INTERRUPTS = 1 << 3, INTERRUPTS_BEFORE = 1 << 7, PRIVILEGE_BEFORE = 3 << 11 }; /* of mstatus */
enum { TIMER = 1 << 7 };                                                              /* of mie */
enum { CAUSE_CALL = 8 };
static const uint32_t cause_timer = 0x80000007;

static volatile uint32_t *const timer = (volatile uint32_t *)0x0200bff8, *const timer_end = (volatile uint32_t *)0x02004000;
static uint32_t tick_count;
static volatile bool is_switch_requested;
static _Alignas(16) uint8_t handler_stack[4096];
void *const rv32_handler_sp = handler_stack + sizeof handler_stack;

const char *const port_unit = "pmp-8";

void port_find_code(acre_addr *base, uint64_t *size_bytes)
{
    extern uint8_t board_entry[], board_code_end[];
    *base = (uintptr_t)board_entry;
    *size_bytes = (uint64_t)(board_code_end - board_entry);
}

/* First nothing is open, then the new domain: no instant has rights of both. */
void port_switch_domain(const acre_domain_plan *from, const acre_domain_plan *to)
{
    const acre_mpu_entry *const e = to->entries;
    (void)from;
    __asm__ volatile("csrw pmpcfg0, zero\n csrw pmpcfg1, zero");
    __asm__ volatile("csrw pmpaddr0, %0\n csrw pmpaddr1, %1\n csrw pmpaddr2, %2\n csrw pmpaddr3, %3"
                     :
                     : "r"(e[0].base), "r"(e[1].base), "r"(e[2].base), "r"(e[3].base));
    __asm__ volatile("csrw pmpaddr4, %0\n csrw pmpaddr5, %1\n csrw pmpaddr6, %2\n csrw pmpaddr7, %3"
                     :
                     : "r"(e[4].base), "r"(e[5].base), "r"(e[6].base), "r"(e[7].base));
    __asm__ volatile("csrw pmpcfg0, %0\n csrw pmpcfg1, %1\n sfence.vma"
                     :
                     : "r"(e[0].attributes | e[1].attributes << 8 | e[2].attributes << 16 | e[3].attributes << 24),
                       "r"(e[4].attributes | e[5].attributes << 8 | e[6].attributes << 16 | e[7].attributes << 24));
}

void port_start(context *at, void (*entry)(task_memory *), task_memory *own)
{
    *at = (context){.registers = {[PC] = (uint32_t)(uintptr_t)entry,
                                  [RA] = (uint32_t)(uintptr_t)task_end,
                                  [SP] = (uint32_t)(uintptr_t)(own->stack + STACK_BYTES),
                                  [A0] = (uint32_t)(uintptr_t)own,
                                  [STATUS] = INTERRUPTS_BEFORE}}; /* to user mode, with interrupts on */
}

__attribute__((naked)) uint32_t port_ask(uint32_t call, uint32_t argument) { __asm__ volatile("ecall\n ret"); }

void port_request_switch(void) { is_switch_requested = true; }
void port_wait(void) { __asm__ volatile("wfi"); }

/* The upper half is never reached in the minutes that this runs. */
void port_tick_every(uint32_t instructions)
{
    tick_count = instructions * 1024 / 100; /* 10 MHz; QEMU lets an instruction take 1,024 ns */
    timer_end[1] = instructions == 0 ? ~0u : 0;
    timer_end[0] = timer[0] + tick_count;
    __asm__ volatile("csrw mie, %0" : : "r"(instructions == 0 ? 0 : TIMER));
}

/* Called with interrupts off, on a stack of its own. Returns whose turn it is. */
context *rv32_trap(void);
context *rv32_trap(void)
{
    context *const caller = kernel_running;
    uint32_t *const registers = caller->registers;
    uint32_t cause, value;
    acre_trap trap;
    __asm__ volatile("csrr %0, mcause\n csrr %1, mtval" : "=r"(cause), "=r"(value));
    if (cause == cause_timer) {
        timer_end[0] += tick_count;
        kernel_tick();
    } else if (cause == CAUSE_CALL) {
        registers[PC] += 4;
        const uint32_t result = kernel_call(registers[A0], registers[A1]);
        if (kernel_running == caller) registers[A0] = result;
    } else if ((registers[STATUS] & PRIVILEGE_BEFORE) == 0 && acre_trap_of_riscv(cause, value, registers[PC], &trap)) {
        const uint32_t skip_bytes = kernel_refused(&trap);
        if (kernel_running == caller) registers[PC] += skip_bytes;
    } else {
        say("kernel: trap %u at %u, value %u\n", cause, registers[PC], value);
        board_exit(3);
    }
    if (is_switch_requested) {
        is_switch_requested = false;
        kernel_switch();
    }
    return kernel_running;
}

#define EACH_REGISTER(act)                                                                                                                 \
    act(1) act(2) act(3) act(4) act(5) act(6) act(7) act(8) act(9) act(10) act(11) act(12) act(13) act(14) act(15) act(16) act(17) act(18) \
        act(19) act(20) act(21) act(22) act(23) act(24) act(25) act(26) act(27) act(28) act(29) act(30)
#define SAVE(n)  "sw x" #n ", 4*" #n "(x31)\n"
#define LOAD(n)  "lw x" #n ", 4*" #n "(x31)\n"
#define SAVE_ALL EACH_REGISTER(SAVE)
#define LOAD_ALL EACH_REGISTER(LOAD)

__attribute__((naked, aligned(4))) static void trap_entry(void)
{
    __asm__ volatile("csrrw x31, mscratch, x31\n" SAVE_ALL "csrr x5, mscratch\n sw x5, 4*31(x31)\n"
                     "csrr x5, mepc\n sw x5, 0(x31)\n csrr x5, mstatus\n sw x5, 4*32(x31)\n"
                     "la x5, rv32_handler_sp\n lw sp, 0(x5)\n call rv32_trap\n"
                     "mv x31, a0\n csrw mscratch, x31\n"
                     "lw x5, 0(x31)\n csrw mepc, x5\n lw x5, 4*32(x31)\n csrw mstatus, x5\n" LOAD_ALL "lw x31, 4*31(x31)\n mret");
}

void port_set_up(void)
{
    __asm__ volatile("csrw mscratch, %0\n csrw mtvec, %1\n csrs mstatus, %2" : : "r"(kernel_running), "r"(trap_entry), "r"(INTERRUPTS));
}
