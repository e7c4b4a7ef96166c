/* guard.h - what is allowed, and what happens when somebody does something else.
 *
 * A *fault* is a bug of the caller that acre has seen: a block freed twice, a pointer that is nobody's, a write behind a block. It is
 * described once, to a handler; the default handler writes the description to standard error and aborts the process.
 *
 * How much is looked for is the *level* of a heap (acre_heap_options.guard; behind malloc: the environment, below). At L0, which always
 * holds, nothing is added to any call. At L1 and L2 the thread finds its magazines empty and full, so that every call takes the slow path,
 * which checks. L3 looks at one allocation in so many and leaves the others as they are.
 *
 *     level  what is found                                                       when
 *     L0     free and realloc of what is no block, or inside of one              a small block: when its word is given back; else at once
 *            double free                                                         the same
 *     L1     both                                                                at once
 *            overflow into the bytes between the size asked for and the          at free, realloc, acre_heap_check, exit
 *            block's end (the canary), and underflow from the next block
 *            another size or alignment in free_sized and operator delete;        at free
 *            new and free mixed
 *            memcpy and its family beyond a block (programs under acre run)      at the call
 *     L2     overflow of every block, since each has a canary                    as at L1
 *            write to a freed block: it waits, poisoned, in the quarantine       when it leaves, at acre_heap_check, exit
 *            use of contents that were never written shows: they are 0xA5        in the program's own results
 *     L3     of one block in so many: read or write behind it, in front of       at the access
 *            it, and after it was freed: it ends at a page without access
 *
 * What the levels need beside the blocks: L1 a byte for 16 bytes of the heap; L2 five, the quarantine, and 16 bytes a block; L3 64 MiB
 * of address space, of which the guarded blocks' pages are backed. All of it lies apart from the blocks, so L1 and L2 work over spaces
 * without host access, too, but for canary and poison.
 *
 * Limits. Canary: not where the size is a multiple of the block's (16, 32, ... bytes) at L1; of blocks above 8 KiB only up to the end of
 * the page. Poison: the first 64 KiB of a block. A write that happens to put there what was there is not seen. A block that is larger than
 * half the quarantine does not wait. L1 and L2 take no notice of blocks that were handed out before the level was set.
 *
 * The environment of programs on libacre-malloc:
 *
 *     ACRE_GUARD=L1 | L2 | L3[:1/N]        N from 1 to 1000000, 1000 if it is not there; `L1+L3:1/N` and `L2+L3:1/N` have both
 *     ACRE_GUARD_REPORT=FILE               each fault is also appended to FILE, a JSON object a line
 *
 * `acre run --guard L2 -- PROGRAM` sets them.
 *
 * Example: examples/guard.c.
 */
#ifndef ACRE_GUARD_H
#define ACRE_GUARD_H

#include <acre/space.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum acre_fault_kind {
    ACRE_FAULT_DOUBLE_FREE,    /* the block is free already */
    ACRE_FAULT_FOREIGN_FREE,   /* the address belongs to no heap of ours */
    ACRE_FAULT_INTERIOR_FREE,  /* the address lies inside a block, not at its beginning */
    ACRE_FAULT_ORDER_FREE,     /* another block has to go before this one: a stack, a ring */
    ACRE_FAULT_OVERFLOW,       /* bytes behind the block were written; or an access that was checked, or met a guard page, lies there */
    ACRE_FAULT_UNDERFLOW,      /* bytes in front of the block were written or read */
    ACRE_FAULT_USE_AFTER_FREE, /* a freed block was written, or an access that was checked or met a guard page lies in one */
    ACRE_FAULT_SIZE_MISMATCH,  /* freed with another size or alignment than it was allocated with */
    ACRE_FAULT_KIND_MISMATCH,  /* malloc and operator delete, or new and free */
    ACRE_FAULT_PROTECTION,     /* an access that the domain that did it has no right to: see domain.h */
} acre_fault_kind;

#define ACRE_FAULT_KIND_COUNT (ACRE_FAULT_PROTECTION + 1)

typedef enum acre_touch { ACRE_TOUCH_UNKNOWN, ACRE_TOUCH_READ, ACRE_TOUCH_WRITE, ACRE_TOUCH_EXECUTE } acre_touch;

enum { ACRE_SITE_FRAMES_MAX = 12 };

/* Where something happened: return addresses, innermost first. count 0: not known. */
typedef struct acre_site {
    void *pcs[ACRE_SITE_FRAMES_MAX];
    uint32_t count;
} acre_site;

typedef struct acre_fault {
    acre_fault_kind kind;
    const char *heap_name;
    acre_addr address;     /* what the caller passed, or the byte that was hit */
    acre_addr block;       /* beginning of the block it belongs to, 0 when there is none */
    uint64_t size_bytes;   /* room of that block */
    const char *operation; /* "free", "realloc", ... */
    bool has_asked;        /* of a heap that checks: `asked_bytes` is known */
    uint64_t asked_bytes;  /* the size that was asked for */
    int64_t offset;        /* of the access, from the block's beginning */
    uint64_t told_bytes;   /* SIZE_MISMATCH: what free was told; checked accesses: how many bytes */
    acre_touch touch;
    const char *domain_name; /* PROTECTION: who did it, */
    const char *owner_name;  /* and whose memory it is; NULL: nobody's */
    bool is_nowhere;         /* PROTECTION: the processor does not say where the access was */
    acre_site alloc_site; /* from L2 on, and of guarded pages, where stacks can be read: see acre_guard_set_unwinder */
    acre_site free_site;
    acre_site use_site; /* of the call that is at fault, or found it */
} acre_fault;

/* How much is checked: see above. */
typedef enum acre_guard_level {
    ACRE_GUARD_L0,
    ACRE_GUARD_L1, /* includes L0 */
    ACRE_GUARD_L2, /* includes L1 */
    ACRE_GUARD_L3, /* guard pages for one block in so many, L0 for the others */
} acre_guard_level;

/* What 0 means is in brackets. */
typedef struct acre_guard_limits {
    uint64_t quarantine_bytes; /* L2: freed blocks wait until so much was freed after them [8 MiB], */
    uint64_t quarantine_ns;    /* and no longer than this, looked at with every free [60 s] */
    uint32_t pages_one_in;     /* L3: one allocation in so many, up to 28 KiB [1000]. With L1 and L2: guard pages beside them [none] */
} acre_guard_limits;

enum { ACRE_PAGES_ONE_IN_MAX = 1000000 };

/* Returns true when the program may go on: a free that is at fault then has no effect; one that only found a fault (overflow, use after
 * free, mismatch) goes on. May be called in any thread, with no lock of acre held, and must not use the heap at fault. After an access to a
 * guard page it runs in a signal handler, and the signal's default action follows whatever it returns. */
typedef bool (*acre_fault_handler)(void *context, const acre_fault *fault);

/* Sets the process's handler; NULL sets the default back. Thread safe. */
ACRE_API void acre_guard_set_handler(acre_fault_handler handler, void *context);

/* Reads the calling thread's return addresses, innermost first, and returns how many. glibc's backtrace can serve. */
typedef size_t (*acre_guard_unwinder)(void **pcs, size_t count_max);

/* From here on faults tell the stack, and heaps that are made keep those of alloc and free: at L2 for all blocks, else for those in guard
 * pages. NULL: no more. libacre-malloc sets libunwind's. Before threads start. */
ACRE_API void acre_guard_set_unwinder(acre_guard_unwinder unwinder);

/* Writes a fault as one sentence, as the default handler prints it. Returns its length. `size` > 0. */
ACRE_API size_t acre_fault_text(const acre_fault *fault, char *text, size_t size);

/* The same as a JSON object in one line. */
ACRE_API size_t acre_fault_json(const acre_fault *fault, char *text, size_t size);

/* A word for the kind: "double-free", ... */
ACRE_API const char *acre_fault_kind_text(acre_fault_kind kind);

/* True unless [address, address + size) touches a block of a heap over pages without lying inside of one that is in use: by the size that
 * was asked for where the heap has level L1 or L2, else by the block's room. What belongs to no heap is true. 6 instructions
 * for what lies outside of all heaps, O(1) always (O(size / 16 KiB) above 8 KiB). Thread safe. */
ACRE_API bool acre_check(const void *address, size_t size);

/* The same, and reports the fault. False: there was one, and the handler lets the program go on. */
ACRE_API bool acre_check_access(const void *address, size_t size, acre_touch touch, const char *operation);

#ifdef __cplusplus
}
#endif
#endif
