/* board_domains.c - what a plan says is what the processor does: each wish is probed one byte in front of it, at its first and last byte,
 * and one byte behind it, for reading, writing and execution, with and without privileges. The planner itself runs on the board.
 *
 * boards:  m3 m4 m7 m33 rv32
 * sources: src/guard/domain.c src/guard/mpu_v7m.c src/guard/mpu_v8m.c src/guard/mpu_pmp.c src/base/status.c src/base/format.c
 */
#include "board.h"
#include <acre/domain.h>

enum { R = ACRE_RIGHT_READ, W = ACRE_RIGHT_WRITE, X = ACRE_RIGHT_EXECUTE, ARENA_BYTES = 4096, STACK_BYTES = 4096 };

static uint8_t arena[ARENA_BYTES] __attribute__((aligned(ARENA_BYTES)));
extern uint32_t board_stack_top[];

typedef enum probe_kind { PROBE_READ, PROBE_WRITE, PROBE_EXECUTE } probe_kind;
static const unsigned right_of[] = {R, W, X};

/* Does the access, and says whether it was allowed; `trap`: what the processor said of it when it was not. */
static bool probe(probe_kind kind, bool is_privileged, uint32_t address, acre_trap *trap);

#ifdef __ARM_ARCH

#define IS_MACHINE_FREE 0
#define CODE_BASE       ((uint32_t)(uintptr_t)vectors_begin)
#define CODE_BYTES      0x10000
extern uint32_t vectors_begin[] __asm__("board_vectors");

static volatile uint32_t *const unit = (volatile uint32_t *)0xe000ed90;
#define SHCSR (*(volatile uint32_t *)0xe000ed24)
#define CFSR  (*(volatile uint32_t *)0xe000ed28)
#define MMFAR (*(volatile uint32_t *)0xe000ed34)

static volatile bool was_refused;
static acre_trap last_trap;

void board_fault(uint32_t *frame)
{
    uint32_t exception;
    __asm__ volatile("mrs %0, ipsr" : "=r"(exception));
    if (exception == 11) { /* the probe is done */
        __asm__ volatile("msr control, %0\n isb" : : "r"(0));
        return;
    }
    if (!acre_trap_of_cortex_m(CFSR, MMFAR, frame[6], &last_trap)) {
        board_write("exception ");
        board_write_number(exception);
        board_write(" is no protection fault: CFSR ");
        board_write_number(CFSR);
        board_write(" at ");
        board_write_number(frame[6]);
        board_write("\n");
        board_exit(3);
    }
    was_refused = true;
    /* The probes are one instruction of 16 bits; what could not be executed returns to where it was called. */
    if ((CFSR & 1) != 0)
        frame[6] = frame[5] & ~1u;
    else
        frame[6] += 2;
    CFSR = CFSR;
}

#define PROBE(name, instruction)                                                                                                           \
    __attribute__((naked, noinline)) static void name(uint32_t address, uint32_t control, uint32_t value)                                  \
    {                                                                                                                                      \
        __asm__ volatile("mov r3, lr\n msr control, r1\n isb\n" instruction "\n svc 0\n bx r3");                                           \
    }
PROBE(probe_read, "ldrb r2, [r0]")
PROBE(probe_write, "strb r2, [r0]")
PROBE(probe_execute, "adds r0, #1\n blx r0")

static bool probe(probe_kind kind, bool is_privileged, uint32_t address, acre_trap *trap)
{
    static void (*const probes[])(uint32_t, uint32_t, uint32_t) = {probe_read, probe_write, probe_execute};
    was_refused = false;
    probes[kind](address, is_privileged ? 0 : 1, *(volatile uint8_t *)(uintptr_t)address); /* what is written is what was there */
    *trap = last_trap;
    return !was_refused;
}

static void set_up(acre_mpu *mpu)
{
    const bool is_v8 = __ARM_ARCH >= 8;
    (void)acre_mpu_named(is_v8 ? "v8m-8" : "v7m-8", mpu);
    SHCSR |= 1u << 16;                              /* memory faults are exceptions of their own */
    *(volatile uint32_t *)0xe000edc0 = 0x000000ffu; /* MAIR0: normal memory, then device */
}

static void enforce(const acre_domain_plan *from, const acre_domain_plan *to)
{
    unit[1] = 5; /* on; privileged code has the background */
    if (__ARM_ARCH >= 8)
        acre_domain_switch_v8m(from, to, unit);
    else
        acre_domain_switch_v7m(from, to, unit);
}

#else

#define IS_MACHINE_FREE 1 /* machine mode is not limited */
#define CODE_BASE       ((uint32_t)0x80000000)
#define CODE_BYTES      ((uint32_t)(uintptr_t)arena - CODE_BASE) /* it lies in front of all data */

uint32_t saved_sp;
static uint32_t last_value;

/* Goes to user mode at `code` with the address in a0; the trap that ends it comes back here. Returns its cause. */
__attribute__((naked, noinline)) static uint32_t enter_user(uint32_t address, const void *code, uint32_t value)
{
    __asm__ volatile(
        "addi sp, sp, -64\n sw ra, 0(sp)\n sw s0, 4(sp)\n sw s1, 8(sp)\n sw gp, 12(sp)\n sw tp, 16(sp)\n"
        "la t0, saved_sp\n sw sp, 0(t0)\n la t0, 1f\n csrw mtvec, t0\n csrw mepc, a1\n li t1, 0x1800\n csrc mstatus, t1\n mret\n"
        ".balign 4\n1: csrr a0, mcause\n la t0, saved_sp\n lw sp, 0(t0)\n"
        "lw ra, 0(sp)\n lw s0, 4(sp)\n lw s1, 8(sp)\n lw gp, 12(sp)\n lw tp, 16(sp)\n addi sp, sp, 64\n ret");
}

__attribute__((naked)) static void user_read(void) { __asm__ volatile("lbu a1, 0(a0)\n ecall"); }
__attribute__((naked)) static void user_write(void) { __asm__ volatile("sb a2, 0(a0)\n ecall"); }
__attribute__((naked)) static void user_execute(void) { __asm__ volatile("jalr a0\n ecall"); }

static bool probe(probe_kind kind, bool is_privileged, uint32_t address, acre_trap *trap)
{
    static void (*const probes[])(void) = {user_read, user_write, user_execute};
    if (is_privileged) return true; /* machine mode may everything */
    const uint32_t cause = enter_user(address, (const void *)probes[kind], *(volatile uint8_t *)(uintptr_t)address);
    uint32_t value, pc;
    __asm__ volatile("csrr %0, mtval\n csrr %1, mepc" : "=r"(value), "=r"(pc));
    last_value = value;
    if (cause == 8) return true; /* it came to its call */
    if (!acre_trap_of_riscv(cause, value, pc, trap)) {
        board_write("a trap that is no protection fault\n");
        board_exit(3);
    }
    return false;
}

static void set_up(acre_mpu *mpu) { (void)acre_mpu_named("pmp-16", mpu); }

static void write_entry(uint32_t i, const acre_mpu_entry *entry)
{
    const uint32_t shift = i % 4 * 8, config = entry->attributes << shift, mask = 0xffu << shift;
#define ADDRESS(n)                                                                                                                         \
    case n:                                                                                                                                \
        __asm__ volatile("csrw pmpaddr" #n ", %0" : : "r"(entry->base));                                                                   \
        break;
    switch (i) {
        ADDRESS(0)
        ADDRESS(1) ADDRESS(2) ADDRESS(3) ADDRESS(4) ADDRESS(5) ADDRESS(6) ADDRESS(7) ADDRESS(8) ADDRESS(9) ADDRESS(10) ADDRESS(11)
            ADDRESS(12) ADDRESS(13) ADDRESS(14) ADDRESS(15)
    }
#define CONFIG(n)                                                                                                                          \
    case n:                                                                                                                                \
        __asm__ volatile("csrc pmpcfg" #n ", %0\n csrs pmpcfg" #n ", %1" : : "r"(mask), "r"(config));                                      \
        break;
    switch (i / 4) {
        CONFIG(0) CONFIG(1) CONFIG(2) CONFIG(3)
    }
}

static void enforce(const acre_domain_plan *from, const acre_domain_plan *to)
{
    (void)from;
    for (uint32_t i = 0; i < to->unit.entry_count; i++) write_entry(i, &to->entries[i]);
    __asm__ volatile("sfence.vma");
}

#endif

static unsigned probe_count, bad_count;

static void expect(const acre_wish *wish, probe_kind kind, bool is_privileged, uint32_t address, bool may)
{
    acre_trap trap = {0};
    probe_count++;
    const bool did = probe(kind, is_privileged, address, &trap);
    if (did == may && (did || (trap.has_address && trap.address == address))) return;
    bad_count++;
    board_write(wish->name);
    board_write(kind == PROBE_READ ? ": read" : kind == PROBE_WRITE ? ": write" : ": execution");
    board_write(is_privileged ? " with privileges at offset " : " at offset ");
    board_write_number(address - (uint32_t)wish->base);
    board_write(did ? " was allowed\n" : may ? " was refused\n" : " was told with another address\n");
}

/* Outside of its wishes unprivileged code has nothing, and privileged code all that the background has. */
static void probe_wish(const acre_wish *wish, const acre_wish *wishes, size_t count)
{
    for (int privileged = 0; privileged < 2; privileged++) {
        for (probe_kind kind = PROBE_READ; kind <= PROBE_EXECUTE; kind++) {
            const uint32_t step = kind == PROBE_EXECUTE ? 2 : 1; /* instructions lie at even addresses */
            const uint32_t first = (uint32_t)wish->base, end = (uint32_t)(wish->base + wish->size_bytes);
            const uint32_t places[] = {first - step, first, end - step, end};
            for (unsigned i = 0; i < 4; i++) {
                if (places[i] < (uint32_t)(uintptr_t)arena || places[i] >= (uint32_t)(uintptr_t)arena + ARENA_BYTES) continue;
                unsigned rights = privileged ? R | W | X : 0;
                for (size_t w = 0; w < count; w++) {
                    if (places[i] - wishes[w].base >= wishes[w].size_bytes) continue;
                    const unsigned any = IS_MACHINE_FREE ? R | W | X : wishes[w].user;
                    rights = !privileged ? wishes[w].user : wishes[w].privileged == ACRE_RIGHTS_ANY ? any : wishes[w].privileged;
                }
                expect(wish, kind, privileged != 0, places[i], (rights & right_of[kind]) != 0);
            }
        }
    }
}

#if defined(__ARM_ARCH) && __ARM_ARCH == 7
/* A function of one instruction, called in the same way. */
__attribute__((naked, noinline)) static void call_nothing(const acre_domain_plan *from, const acre_domain_plan *to,
                                                          volatile uint32_t *registers)
{
    __asm__ volatile("bx lr");
}

/* Four regions that all change, in a unit that has four for domains: at most 60 instructions, which the documents say. */
static bool count_switch_of_four(void)
{
    static uint32_t registers[5];
    static acre_domain_plan plans[2];
    for (uint32_t set = 0; set < 2; set++) {
        plans[set].unit.entry_count = plans[set].entry_count = 4;
        for (uint32_t i = 0; i < 4; i++) plans[set].entries[i] = (acre_mpu_entry){0x20000010 + set * 0x1000 + i, 0x130b0011 + set * 2};
    }
    uint32_t start = board_count();
    call_nothing(&plans[0], &plans[1], registers);
    const uint32_t nothing = board_count_since(start);
    start = board_count();
    acre_domain_switch_v7m(&plans[0], &plans[1], registers);
    const uint32_t count = board_count_since(start) - nothing + 1;
    board_write("a switch of four regions that change took ");
    board_write_number(count);
    board_write(" instructions\n");
    return count <= 60 && registers[3] == plans[1].entries[3].base && registers[4] == plans[1].entries[3].attributes;
}
#else
static bool count_switch_of_four(void) { return true; }
#endif

int board_main(void)
{
    const acre_addr at = (uintptr_t)arena;
    for (unsigned i = 0; i < ARENA_BYTES; i += 2) { /* an instruction that returns, everywhere */
#ifdef __ARM_ARCH
        arena[i] = 0x70, arena[i + 1] = 0x47; /* bx lr */
#else
        arena[i] = 0x82, arena[i + 1] = 0x80; /* c.jr ra */
#endif
    }
    const acre_wish common[] = {
        {"code", CODE_BASE, CODE_BYTES, R | X, ACRE_RIGHTS_ANY, false},
        {"stack", (uintptr_t)board_stack_top - STACK_BYTES, STACK_BYTES, R | W, ACRE_RIGHTS_ANY, false},
    };
    const acre_wish sets[2][4] = {
        {{"data", at + 96, 320, R | W, ACRE_RIGHTS_ANY, false},
         {"table", at + 448, 64, R, ACRE_RIGHTS_ANY, false},
         {"loaded", at + 1024, 1024, R | X, ACRE_RIGHTS_ANY, false},
         {"last", at + 4064, 32, R | W, ACRE_RIGHTS_ANY, false}},
        {{"first", at, 32, R, ACRE_RIGHTS_ANY, false},
         {"side", at + 32, 32, R | W, ACRE_RIGHTS_ANY, false},
#ifdef __ARM_ARCH
         {"kernel", at + 2048, 512, 0, R | W, false},
#else
         {"kernel", at + 2048, 12, R | X, ACRE_RIGHTS_ANY, false},
#endif
         {"end", at + 3584, 512, R, ACRE_RIGHTS_ANY, false}},
    };
    acre_mpu mpu;
    acre_domain_plan plans[2], none;
    set_up(&mpu);
    if (acre_domain_make_plan(&mpu, NULL, 0, 0, &none) != ACRE_OK) return 1;
    acre_wish wishes[2][6];
    for (unsigned set = 0; set < 2; set++) {
        for (unsigned i = 0; i < 6; i++) wishes[set][i] = i < 2 ? common[i] : sets[set][i - 2];
        if (acre_domain_make_plan(&mpu, wishes[set], 6, 0, &plans[set]) != ACRE_OK) {
            board_write(acre_last_error());
            return 1;
        }
    }
    const acre_domain_plan *in_force = &none;
    for (unsigned round = 0; round < 4; round++) {
        const unsigned set = round % 2;
        const uint32_t start = board_count();
        enforce(in_force, &plans[set]);
        const uint32_t count = board_count_since(start);
        in_force = &plans[set];
        if (round == 3) {
            board_write("a switch of ");
            board_write_number(plans[set].entry_count);
            board_write(" entries took ");
            board_write_number(count);
            board_write(" instructions\n");
        }
        for (unsigned i = 2; i < 6; i++) probe_wish(&wishes[set][i], wishes[set], 6);
    }
    board_write_number(probe_count);
    board_write(" probes, ");
    board_write_number(bad_count);
    board_write(" not as planned\n");
    return bad_count == 0 && probe_count > 100 && count_switch_of_four() ? 0 : 1;
}
