/* guard.h - what is allowed, and what happens when somebody does something else.
 *
 * A *fault* is a bug of the caller that acre has seen: a block freed twice, a pointer that is nobody's. It is described
 * once, to a handler; the default handler writes the description to standard error and aborts the process.
 */
#ifndef ACRE_GUARD_H
#define ACRE_GUARD_H

#include <acre/space.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum acre_fault_kind {
    ACRE_FAULT_DOUBLE_FREE,   /* the block is free already */
    ACRE_FAULT_FOREIGN_FREE,  /* the address belongs to no heap of ours */
    ACRE_FAULT_INTERIOR_FREE, /* the address lies inside a block, not at its beginning */
    ACRE_FAULT_ORDER_FREE,    /* another block has to go before this one: a stack, a ring */
} acre_fault_kind;

#define ACRE_FAULT_KIND_COUNT (ACRE_FAULT_ORDER_FREE + 1)

typedef struct acre_fault {
    acre_fault_kind kind;
    const char *heap_name;
    acre_addr address;     /* what the caller passed */
    acre_addr block;       /* beginning of the block it belongs to, 0 when there is none */
    uint64_t size_bytes;   /* room of that block */
    const char *operation; /* "free", "realloc", ... */
} acre_fault;

/* How much is checked. Each level includes the ones before it. */
typedef enum acre_guard_level {
    ACRE_GUARD_L0, /* foreign and interior pointers, double free when a block's word is given back; costs nothing */
} acre_guard_level;

/* Returns true when the program may go on: the faulty call then has no effect. May be called in any thread, with no lock
 * of acre held, and must not use the heap at fault. */
typedef bool (*acre_fault_handler)(void *context, const acre_fault *fault);

/* Sets the process's handler; NULL sets the default back. Thread safe. */
ACRE_API void acre_guard_set_handler(acre_fault_handler handler, void *context);

/* Writes a fault as one sentence, as the default handler prints it. Returns its length. `size` > 0. */
ACRE_API size_t acre_fault_text(const acre_fault *fault, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
