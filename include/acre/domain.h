/* domain.h - protection domains: who may do what with which memory, and the registers that make it so.
 *
 * A *domain* is a set of wishes: this memory, these rights, for unprivileged and for privileged code. A *planner* turns them into what a
 * memory protection unit understands, exactly or not at all: it returns the registers, or a refusal with the reason. Where the unit's
 * grain makes more memory accessible than was wished, that has to be allowed, byte by byte counted, and is reported.
 *
 *     static const acre_wish wishes[] = {
 *         {"code", 0x00000000, 0x10000, ACRE_RIGHT_READ | ACRE_RIGHT_EXECUTE, ACRE_RIGHTS_ANY},
 *         {"stack", 0x20001000, 0x00600, ACRE_RIGHT_READ | ACRE_RIGHT_WRITE, ACRE_RIGHTS_ANY},
 *     };
 *     acre_mpu unit;
 *     acre_domain_plan plan;
 *     acre_status status = acre_mpu_named("v7m-8", &unit);
 *     if (status == ACRE_OK) status = acre_domain_make_plan(&unit, wishes, 2, 0, &plan);
 *     if (status != ACRE_OK) puts(acre_last_error());
 *
 *     unit       rules
 *     v7m-N      ARMv7-M (Cortex-M3, M4, M7), N regions, at most 16: a power of two from 32 bytes on, aligned to itself; from 256 bytes on
 *                eighths of it can be left out. A wish may take several regions
 *     v6m-N      ARMv6-M (Cortex-M0+): the same from 256 bytes on
 *     v8m-N      ARMv8-M (Cortex-M33, ...), N regions, at most 16: any multiple of 32 bytes, one region a wish, regions do not overlap
 *     pmp-N      RISC-V physical memory protection, N entries, at most 16: a power of two from 8 bytes on in one entry, any multiple of 4
 *                bytes in two, or in one where it begins at the end of the one before. Machine mode is never limited
 *     pages-N    a host with pages of N bytes
 *
 * All memory that no wish names is out of reach of unprivileged code. Nothing here allocates; works without an operating system. Costs of
 * making a plan: O(wishes x N^2) for v7m, with a constant of some ten thousand steps, so plans are made once, best on the host:
 * `acre plan domains` prints them as initialisers.
 *
 * Thread safety: all functions work on the caller's memory. Interrupt level: any, but for acre_domain_switch_*, which belongs where
 * the domain is switched (the handler of the context switch).
 *
 * Example: examples/domains.c.
 */
#ifndef ACRE_DOMAIN_H
#define ACRE_DOMAIN_H

#include <acre/guard.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rights are sets of these. Execution and writing need reading on every unit. */
enum {
    ACRE_RIGHT_READ = 1,
    ACRE_RIGHT_WRITE = 2,
    ACRE_RIGHT_EXECUTE = 4,
    ACRE_RIGHTS_ANY = 0x80, /* for privileged code: whatever the unit makes of it */
};

enum { ACRE_WISHES_MAX = 16, ACRE_MPU_ENTRIES_MAX = 16 };

typedef struct acre_wish {
    const char *name; /* for messages and faults, not copied */
    acre_addr base;
    uint64_t size_bytes;
    uint8_t user;       /* rights of unprivileged code */
    uint8_t privileged; /* rights of privileged code, or ACRE_RIGHTS_ANY */
    bool is_device;     /* registers of a peripheral: accesses are neither cached nor put together */
} acre_wish;

typedef enum acre_mpu_kind { ACRE_MPU_V7M, ACRE_MPU_V8M, ACRE_MPU_PMP, ACRE_MPU_PAGES } acre_mpu_kind;

typedef struct acre_mpu {
    acre_mpu_kind kind;
    uint32_t first_entry; /* entries below are the system's */
    uint32_t entry_count; /* for plans: at most ACRE_MPU_ENTRIES_MAX; pages: no limit, ACRE_WISHES_MAX */
    uint32_t grain_bytes; /* v7m: the smallest region */
} acre_mpu;

/* The unit of a name as in the table above. ACRE_INVALID: there is none. */
ACRE_API acre_status acre_mpu_named(const char *name, acre_mpu *unit);

/* What goes into the hardware, for entry first_entry + i.
 *     v7m    RBAR with region number and VALID, RASR
 *     v8m    RBAR, RLAR
 *     pmp    pmpaddr, the byte of pmpcfg
 *     pages  not used: each wish is one call of mprotect */
typedef struct acre_mpu_entry {
    uint32_t base;
    uint32_t attributes;
} acre_mpu_entry;

/* Bytes beside a wish that the wish's rights open as well. */
typedef struct acre_exposure {
    uint32_t wish;
    acre_addr base; /* what is really covered */
    uint64_t size_bytes;
} acre_exposure;

typedef struct acre_domain_plan {
    acre_mpu unit;
    uint32_t entry_count;
    acre_mpu_entry entries[ACRE_MPU_ENTRIES_MAX];
    uint32_t exposure_count;
    acre_exposure exposures[ACRE_WISHES_MAX];
    uint64_t exposed_bytes; /* sum of what the exposures have beyond their wishes */
} acre_domain_plan;

/* Plans a domain. `expose_bytes_max`: so many bytes beside the wishes may be opened, 0 for none; they are fewest possible among the ways
 * that round both ends of a wish to powers of two, never bytes of another wish, and reported in the plan. ACRE_INVALID: NULL, too many
 * wishes, a wish that is empty, runs over the end of the address space or overlaps another. ACRE_UNSUPPORTED: the unit can't do it; the
 * sentence says what: rights, an end that is no multiple of the grain, too few entries. Nothing is in `plan` then. */
ACRE_API acre_status acre_domain_make_plan(const acre_mpu *unit, const acre_wish *wishes, size_t wish_count, uint64_t expose_bytes_max,
                                           acre_domain_plan *plan);

/* Chooses where wishes lie whose base is ACRE_PLACE_ANYWHERE: in [base, base + size_bytes), so that each takes one entry. A wish whose size
 * the unit can't cut out in one entry gets more room: its size_bytes is what it was, `room_bytes[i]` what it takes. Largest first, each at
 * the lowest place where it fits. ACRE_NO_MEMORY: the window is too small. `room_bytes` may be NULL. Returns in *wasted_bytes the sum of
 * room beyond sizes. */
#define ACRE_PLACE_ANYWHERE (~(acre_addr)0)
ACRE_API acre_status acre_domain_place(const acre_mpu *unit, acre_addr base, uint64_t size_bytes, acre_wish *wishes, size_t wish_count,
                                       uint64_t *room_bytes, uint64_t *wasted_bytes);

/* ---- owners, and who else may ---- */

typedef struct acre_grant {
    uint16_t domain;
    uint8_t rights;
} acre_grant;

/* Memory with an owner and a list of who else has which rights to it. */
typedef struct acre_owned_range {
    const char *name;
    acre_addr base;
    uint64_t size_bytes;
    uint16_t owner;     /* a domain */
    uint8_t rights;     /* the owner's */
    uint8_t privileged; /* as in acre_wish */
    bool is_device;     /* the same */
    uint8_t grant_count;
    const acre_grant *grants;
} acre_owned_range;

/* The wishes of a domain: of each range what it owns or was granted. Returns how many; those beyond `wish_max` are counted, not written. */
ACRE_API size_t acre_domain_wishes(const acre_owned_range *ranges, size_t range_count, uint16_t domain, acre_wish *wishes, size_t wish_max);

/* ---- switching ---- */

/* Makes `to` the plan in force instead of `from`, which is: at first a plan of no wishes, while no entry is on. Both are for the same unit.
 * Only entries that differ are written: first those of `from` are switched off, then those of `to` on, so at no instant are rights of both
 * open. At most 60 instructions for 4 regions that change, on a Cortex-M3 with a unit of 4 for domains. `registers`: 0xe000ed90, where
 * the unit's registers begin; the unit must be on. */
ACRE_API void acre_domain_switch_v7m(const acre_domain_plan *from, const acre_domain_plan *to, volatile uint32_t *registers);
ACRE_API void acre_domain_switch_v8m(const acre_domain_plan *from, const acre_domain_plan *to, volatile uint32_t *registers);

/* The same on a host, for the wishes of two plans for pages: one call of the system for each that differs, so microseconds, and for the
 * whole process, whose threads all run in one domain. Wishes that one list has and the other has not lose all access, or get it.
 * ACRE_INVALID: a NULL, or no ends of pages; ACRE_NO_MEMORY: what the system says; then access is closed to what had changed so far. Not
 * from a handler. */
ACRE_API acre_status acre_domain_switch_host(const acre_wish *from, size_t from_count, const acre_wish *to, size_t to_count);

/* ---- faults ---- */

/* What the processor says of an access that it refused. */
typedef struct acre_trap {
    bool has_address;
    acre_addr address; /* the byte */
    acre_addr pc;      /* of the instruction */
    acre_touch touch;
} acre_trap;

/* From the fault status registers of a Cortex-M: CFSR, MMFAR, and the pc that the exception pushed. False: it was no protection fault.
 * MMFAR counts only while its valid bit is set: a fault while registers were pushed has no address. The unit does not tell reads from
 * writes. */
ACRE_API bool acre_trap_of_cortex_m(uint32_t cfsr, uint32_t mmfar, uint32_t pc, acre_trap *trap);

/* From mcause, mtval and mepc of a RISC-V hart. False: it was no access fault. */
ACRE_API bool acre_trap_of_riscv(uint32_t mcause, uint32_t mtval, uint32_t mepc, acre_trap *trap);

/* From what a handler of SIGSEGV or SIGBUS is given: its siginfo_t and its third argument. False: no access was refused. */
ACRE_API bool acre_trap_of_signal(const void *info, const void *context, acre_trap *trap);

/* How long the instruction at `pc` is, whose first 16 bits are given: to go on behind it. Thumb and compressed RISC-V. */
ACRE_API uint32_t acre_trap_skip_bytes(acre_mpu_kind kind, uint16_t first_bits);

/* Describes a trap as a fault: kind ACRE_FAULT_PROTECTION, the range in which the address lies, its owner, the domain that did it.
 * `domain_names` is indexed by domain. A range that holds the address does not have to be there. */
ACRE_API void acre_trap_describe(const acre_trap *trap, const acre_owned_range *ranges, size_t range_count, const char *const *domain_names,
                                 uint16_t domain, acre_fault *fault);

#ifdef __cplusplus
}
#endif
#endif
