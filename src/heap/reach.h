/* reach.h - which blocks of a heap nothing points to any more: what a program has leaked.
 *
 * A conservative mark and sweep. Every aligned word of the roots that is an address within a block that is out marks that block, also when
 * it points into its middle; so does every word of a marked block. The roots are all memory of the process that is private to it and
 * readable (data of all modules, stacks, thread-local data, memory that it mapped itself), and the registers of the calling thread. Not
 * among them are the free blocks of the heap, the heap's own maps, what the caller excludes, and the part of a stack below the stack
 * pointer of its thread, where that is known.
 *
 * It never writes to the program's memory and reads it so that it cannot fault; it takes no lock and allocates nothing from any heap. Its
 * own memory is a bit in 128 of the heap's, two or three times, and some 3 MiB.
 *
 * Limits. A number that looks like an address hides a leak; a pointer that is stored otherwise than as an aligned word of the address
 * (packed, encoded, in shared memory, in a file) does not count. Other threads go on while it looks: what they move from one place to
 * another in that time may be missed in both, and what stands in none but their registers is missed. So where other threads
 * use the heap, it looks several times, and only what was reachable at none of them is told: what is leaked stays so. O(memory in use).
 */
#ifndef ACRE_HEAP_REACH_H
#define ACRE_HEAP_REACH_H

#include "heap/heap.h"

typedef struct acre_reach_figures {
    uint64_t root_bytes;         /* of roots that were looked at */
    uint64_t unreachable_count;  /* blocks handed to `found` */
    uint64_t all_count;          /* of all blocks that nothing points to, also those that the observer was not told of */
    uint64_t all_bytes;          /* in these: small ones as rounded up to their class, large ones as asked for */
    bool is_all_known;           /* false in a child of a fork that lost what other threads held ready: those blocks look like leaks */
} acre_reach_figures;

/* Calls exclude(context, take, taker) first, which hands memory that is no root to take(taker, begin, bytes); then `found` for every block
 * that is out, that the heap's observer was told of, and that nothing points to. Both are called by the calling thread, and `found` may not
 * use the heap. The heap is one over pages. ACRE_NO_MEMORY: no room for its bits. ACRE_UNSUPPORTED, ACRE_IO: the kernel does not let the
 * process look at itself, or more than 256 GiB are mapped. */
typedef void acre_reach_take(void *taker, const void *begin, size_t bytes);
typedef void acre_reach_exclude(void *context, acre_reach_take *take, void *taker);
typedef void acre_reach_found(void *context, const acre_block *block);
acre_status acre_heap_find_unreachable(acre_heap *heap, acre_reach_exclude *exclude, acre_reach_found *found, void *context,
                                       acre_reach_figures *figures);

#endif
