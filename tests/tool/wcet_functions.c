/* wcet_functions.c - functions whose longest path is known, and some that have none, for a microcontroller; see wcet.py. Those in assembler
 * are counted by hand: the count stands behind the name. Run on a board it counts the instructions of the longest path of each. */
#include "board.h"

#include <stddef.h>

#define NOINLINE __attribute__((noinline, used))
#define NAKED    __attribute__((naked, noinline, used))

int global;

/* ---- what every processor has ---- */

NOINLINE int straight(int a, int b) { return a * 3 + b; }
NOINLINE int branch(int a)
{
    if (a <= 3) return 0;
    *(volatile int *)&global = 1;
    *(volatile int *)&global = 2;
    return 1;
}
NOINLINE int calls(int a) { return straight(a, 2) + branch(a) + 1; }
NOINLINE int calls_last(int a) { return branch(a + 1); }
NOINLINE int leading_zeros(unsigned a) { return __builtin_clz(a); }

struct block {
    struct block *next;
    unsigned size;
};
NOINLINE struct block *first_fit(struct block *list, unsigned size)
{
    while (list != NULL && list->size < size) list = list->next;
    return list;
}
NOINLINE struct block *calls_first_fit(struct block *list) { return first_fit(list, 3) + 1; }
NOINLINE int recursive(int a) { return a < 2 ? 1 : recursive(a - 1) + recursive(a - 2); }
NOINLINE int by_pointer(int (*f)(int)) { return f(3) + 1; }
NOINLINE _Noreturn void stop(int a)
{
    *(volatile int *)&global = a;
    for (;;) {}
}
NOINLINE int may_stop(int a)
{
    if (a < 0) stop(a);
    return a * 2;
}

#ifdef __ARM_ARCH
#define THUMB(code) __asm__(".syntax unified\n" code)

NAKED void empty_1(void) { THUMB("bx lr"); }
NAKED void literal_in_between_3(void) { THUMB("ldr r0, 1f\n b 2f\n .align 2\n 1: .word 0xe7fee7fe\n 2: bx lr"); }
/* As a long call goes: push, ldr, mov, blx, the 1 of empty_1, pop. */
NAKED void known_register_6(void)
{
    THUMB("push {r3, lr}\n ldr r3, 1f\n mov r12, r3\n blx r12\n pop {r3, pc}\n .align 2\n 1: .word empty_1");
}
NAKED void unknown_register(void) { THUMB("push {r3, lr}\n ldr r3, [r0]\n blx r3\n pop {r3, pc}"); }
/* Another way leads between the load of the register and its use. */
NAKED void register_of_two_ways(void)
{
    THUMB("push {r4, lr}\n mov r3, r0\n cmp r1, #0\n beq 2f\n ldr r3, 1f\n 2: blx r3\n pop {r4, pc}\n .align 2\n 1: .word empty_1");
}
NAKED void masks_3_of_6(void) { THUMB("mrs r1, primask\n cpsid i\n ldr r2, [r0]\n str r2, [r0]\n msr primask, r1\n bx lr"); }
#endif

#ifdef __thumb2__
NAKED int if_then_6(int a) { THUMB("cmp r0, #5\n itte eq\n moveq r0, #1\n addeq r0, #2\n movne r0, #3\n bx lr"); }
/* Not taken: 5 instructions, with the add. Taken it is shorter. */
NAKED int returns_early_5(int a) { THUMB("cmp r0, #7\n it eq\n bxeq lr\n adds r0, #1\n bx lr"); }
NAKED int pops_early_7(int a)
{
    THUMB("push {r4, lr}\n cmp r0, #7\n it ne\n popne {r4, pc}\n adds r0, #1\n adds r0, #1\n pop {r4, pc}");
}
NAKED int compare_and_branch_4(int a) { THUMB("cbz r0, 1f\n adds r0, #1\n adds r0, #1\n 1: bx lr"); }
NAKED int branches_far_4(int a) { THUMB("adds r0, #1\n b.w compare_and_branch_far_2"); }
NAKED int compare_and_branch_far_2(int a) { THUMB("adds r0, #1\n bx lr"); }
NAKED int calls_if_9(int a) { THUMB("push {r4, lr}\n cmp r0, #0\n it ne\n blne compare_and_branch_4\n pop {r4, pc}"); }
/* The longest entry is the third: cmp, bhi, tbb, three adds, bx. */
NAKED int switches_7(int a)
{
    THUMB("cmp r0, #2\n bhi 4f\n tbb [pc, r0]\n 1: .byte (2f-1b)/2, (3f-1b)/2, (5f-1b)/2, 0\n 2: bx lr\n 3: adds r0, #1\n bx lr\n"
          "4: movs r0, #0\n bx lr\n 5: adds r0, #1\n adds r0, #1\n adds r0, #1\n bx lr");
}
NAKED int switches_without_bound(int a) { THUMB("tbb [pc, r0]\n 1: .byte (2f-1b)/2, (2f-1b)/2\n 2: bx lr"); }
NAKED int switches_with_another_way_in(int a)
{
    THUMB("cmp r1, #0\n beq 6f\n cmp r0, #1\n bhi 2f\n 6: tbb [pc, r0]\n 1: .byte (2f-1b)/2, (2f-1b)/2\n 2: bx lr");
}
NAKED int adds_exclusively_6(int *a) { THUMB("1: ldrex r1, [r0]\n adds r1, #1\n strex r2, r1, [r0]\n cmp r2, #0\n bne 1b\n bx lr"); }
NAKED int adds_exclusively_short_5(int *a)
{
    THUMB("1: ldrex r1, [r0]\n adds r1, #1\n strex r2, r1, [r0]\n cbnz r2, 2f\n bx lr\n 2: b 1b");
}
/* Goes round for what the word holds, not only for a refused store. */
NAKED int waits_exclusively(int *a) { THUMB("1: ldrex r1, [r0]\n cmp r1, #0\n bne 1b\n strex r2, r0, [r0]\n cmp r2, #0\n bne 1b\n bx lr"); }
/* The load stands in front of the loop: after one refusal the store is refused for ever. */
NAKED int stores_without_load(int *a) { THUMB("ldrex r1, [r0]\n 1: strex r2, r1, [r0]\n cmp r2, #0\n bne 1b\n bx lr"); }
/* The store may not have been done, and then r2 is what it was before. */
NAKED int stores_sometimes(int *a)
{
    THUMB("1: ldrex r1, [r0]\n cmp r1, #0\n it eq\n strexeq r2, r1, [r0]\n cmp r2, #0\n bne 1b\n bx lr");
}
NAKED int switches_below_a_bound_sometimes(int a)
{
    THUMB("cmp r1, #1\n it eq\n cmpeq r0, #1\n bhi 2f\n tbb [pc, r0]\n 1: .byte (2f-1b)/2, (2f-1b)/2\n 2: bx lr");
}
/* What is tested is not what the store said. */
NAKED int tests_another_register(int *a) { THUMB("1: ldrex r1, [r0]\n strex r2, r1, [r0]\n cmp r1, #0\n bne 1b\n bx lr"); }
#endif

#ifdef __riscv
NAKED void empty_1(void) { __asm__("ret"); }
NAKED int compressed_branch_4(int a) { __asm__("c.beqz a0, 1f\n c.addi a0, 1\n c.addi a0, 1\n 1: c.jr ra"); }
NAKED int calls_far_7(int a) { __asm__("addi sp, sp, -16\n sw ra, 12(sp)\n call empty_1\n lw ra, 12(sp)\n addi sp, sp, 16\n ret"); }
NAKED int calls_last_far_3(int a) { __asm__(".option push\n .option norelax\n tail empty_1\n .option pop"); }
NAKED int jumps_3(int a) { __asm__("c.j 1f\n c.nop\n 1: addi a0, a0, 1\n ret"); }
NAKED int adds_exclusively_5(int *a) { __asm__("1: lr.w a1, (a0)\n addi a1, a1, 1\n sc.w a2, a1, (a0)\n bnez a2, 1b\n ret"); }
NAKED int waits_exclusively(int *a) { __asm__("1: lr.w a1, (a0)\n bnez a1, 1b\n sc.w a2, a0, (a0)\n bnez a2, 1b\n ret"); }
NAKED int unknown_register(int a) { __asm__("jr a0"); }
NAKED int no_link_register(int a) { __asm__("mv t0, a0\n jr t0"); }
#endif

/* ---- counted where they run ---- */

#ifdef __riscv
#define CALL(f) "mv a0, %1\n mv a1, %2\n jal ra, " #f
#define SCRATCH "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "ra", "memory"
#else
#define CALL(f) "mov r0, %1\n mov r1, %2\n bl " #f
#define SCRATCH "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory"
#endif

#define COUNT(f, first, second)                                                                                                            \
    do {                                                                                                                                   \
        register uintptr_t a __asm__(REGISTER_A) = (uintptr_t)(first);                                                                     \
        register uintptr_t b __asm__(REGISTER_B) = (uintptr_t)(second);                                                                    \
        __asm__ volatile("" : "+r"(a), "+r"(b));                                                                                           \
        uint32_t start = board_count();                                                                                                    \
        __asm__ volatile(CALL(f) : "+r"(start) : "r"(a), "r"(b) : SCRATCH);                                                                \
        const uint32_t count = board_count_since(start);                                                                                   \
        board_write(#f " ");                                                                                                               \
        board_write_number(count);                                                                                                         \
        board_write("\n");                                                                                                                 \
    } while (0)
#ifdef __riscv
#define REGISTER_A "s2"
#define REGISTER_B "s3"
#else
#define REGISTER_A "r4"
#define REGISTER_B "r5"
#endif

int board_main(void)
{
    COUNT(empty_1, 0, 0); /* the first: what it has beyond 1 is the counting */
    COUNT(straight, 1, 2);
    COUNT(branch, 9, 0);
    COUNT(calls, 9, 0);
    COUNT(calls_last, 9, 0);
    COUNT(may_stop, 1, 0);
#ifdef __ARM_ARCH
    COUNT(literal_in_between_3, 0, 0);
    COUNT(known_register_6, 0, 0);
    COUNT(masks_3_of_6, &global, 0);
#endif
#ifdef __thumb2__
    COUNT(if_then_6, 5, 0);
    COUNT(returns_early_5, 1, 0);
    COUNT(pops_early_7, 7, 0);
    COUNT(compare_and_branch_4, 1, 0);
    COUNT(branches_far_4, 1, 0);
    COUNT(calls_if_9, 1, 0);
    COUNT(switches_7, 2, 0);
    COUNT(adds_exclusively_6, &global, 0);
    COUNT(adds_exclusively_short_5, &global, 0);
#endif
#ifdef __riscv
    COUNT(compressed_branch_4, 1, 0);
    COUNT(calls_last_far_3, 0, 0);
    COUNT(jumps_3, 0, 0);
    COUNT(adds_exclusively_5, &global, 0);
#endif
    return 0;
}
