/* freestanding.c - os.h for a machine without an operating system: static memory only, one thread of execution. */
#include "os/os.h"

void acre_lock_wait(acre_lock *lock)
{
    while (!acre_lock_try(lock)) {} /* held by an interrupted context on another core */
}

void acre_lock_wake(acre_lock *lock) { (void)lock; }

size_t acre_os_page_size(void) { return 4096; }

void acre_os_write_error(const char *text, size_t length)
{
    (void)text;
    (void)length;
}

_Noreturn void acre_os_abort(const char *format, ...)
{
    (void)format;
    __builtin_trap();
}

/* A Cortex-M0 has no exclusive load and store; the compiler calls these for what base/atomic.h and os/word.h ask. Interrupts are off for
 * the few instructions between load and store, and afterwards as they were before: `acre wcet` shows how many. They are right on one core
 * only. */
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && !defined(__ARM_FEATURE_LDREX)
static inline uint32_t turn_off(void)
{
    uint32_t before;
    __asm__ volatile("mrs %0, primask\n cpsid i" : "=r"(before) : : "memory");
    return before;
}

static inline void turn_back(uint32_t before) { __asm__ volatile("msr primask, %0" : : "r"(before) : "memory"); }

/* Their names in C are not the compiler's own, which it would not let be defined. */
uint32_t acre_os_exchange(volatile uint32_t *word, uint32_t value, int order) __asm__("__atomic_exchange_4");
uint32_t acre_os_add(volatile uint32_t *word, uint32_t addend, int order) __asm__("__atomic_fetch_add_4");
uint32_t acre_os_and(volatile uint32_t *word, uint32_t mask, int order) __asm__("__atomic_fetch_and_4");
uint32_t acre_os_or(volatile uint32_t *word, uint32_t mask, int order) __asm__("__atomic_fetch_or_4");
bool acre_os_compare_exchange(volatile uint32_t *word, uint32_t *seen, uint32_t value, bool is_weak, int order,
                              int order_else) __asm__("__atomic_compare_exchange_4");

#define CHANGE(name, new_value)                                                                                                            \
    uint32_t name(volatile uint32_t *word, uint32_t value, int order)                                                                      \
    {                                                                                                                                      \
        (void)order;                                                                                                                       \
        const uint32_t mask = turn_off();                                                                                                  \
        const uint32_t before = *word;                                                                                                     \
        *word = (new_value);                                                                                                               \
        turn_back(mask);                                                                                                                   \
        return before;                                                                                                                     \
    }
CHANGE(acre_os_exchange, value)
CHANGE(acre_os_add, before + value)
CHANGE(acre_os_and, before &value)
CHANGE(acre_os_or, before | value)

bool acre_os_compare_exchange(volatile uint32_t *word, uint32_t *seen, uint32_t value, bool is_weak, int order, int order_else)
{
    (void)is_weak;
    (void)order;
    (void)order_else;
    const uint32_t expected = *seen;
    const uint32_t mask = turn_off();
    const uint32_t before = *word;
    if (before == expected) *word = value;
    turn_back(mask);
    *seen = before;
    return before == expected;
}
#endif
