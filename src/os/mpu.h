/* mpu.h - how the two registers of a region are written in the fewest instructions, and when they are in force. */
#ifndef ACRE_OS_MPU_H
#define ACRE_OS_MPU_H

#include <stdint.h>

#if defined(__ARM_ARCH) && __ARM_ARCH >= 7 && __ARM_ARCH_PROFILE == 'M'

/* Two words that lie side by side: with one instruction, which gcc does not always find. */
static inline void acre_os_load_both(const uint32_t *from, uint32_t *first, uint32_t *second)
{
    __asm__("ldrd %0, %1, %2" : "=r"(*first), "=r"(*second) : "m"(*(const uint32_t(*)[2])from));
}

/* RBAR and RASR: the fourth and fifth word of the unit. */
static inline void acre_os_store_region(volatile uint32_t *registers, uint32_t base, uint32_t attributes)
{
    __asm__ volatile("strd %0, %1, [%2, #12]" : : "r"(base), "r"(attributes), "r"(registers) : "memory");
}

static inline void acre_os_mpu_barrier(void) { __asm__ volatile("dsb\n isb" : : : "memory"); }

#else

static inline void acre_os_load_both(const uint32_t *from, uint32_t *first, uint32_t *second)
{
    *first = from[0];
    *second = from[1];
}

static inline void acre_os_store_region(volatile uint32_t *registers, uint32_t base, uint32_t attributes)
{
    registers[3] = base;
    registers[4] = attributes;
}

#if defined(__ARM_ARCH) && __ARM_ARCH_PROFILE == 'M'
static inline void acre_os_mpu_barrier(void) { __asm__ volatile("dsb\n isb" : : : "memory"); }
#else
static inline void acre_os_mpu_barrier(void) {}
#endif

#endif
#endif
