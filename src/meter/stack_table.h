/* stack_table.h - which stacks have an id already: a growing hash table from the hash of a stack to its id.
 *
 * The return addresses themselves are not kept. Two stacks with the same 64-bit hash get the same id: with a million
 * different stacks that happens once in some 37 million recordings.
 *
 * Not thread safe. Find and insert O(1) expected; growing copies the table.
 */
#ifndef ACRE_METER_STACK_TABLE_H
#define ACRE_METER_STACK_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct stack_table_slot {
    uint64_t hash; /* 0: empty */
    uint64_t id;
} stack_table_slot;

typedef struct stack_table {
    stack_table_slot *slots; /* own pages; NULL while empty */
    size_t slot_count;       /* a power of two; at least a quarter of the slots is empty */
    uint32_t used_count;
} stack_table;

/* From the outermost frame inwards, so that stacks with the same outer frames share the work: the hash of frames i ... is
 * stack_hash_step of that of frames i + 1 ..., which for none is 0. */
static inline uint64_t stack_hash_step(uint64_t outer, const void *pc)
{
    const uint64_t hash = (outer ^ (uint64_t)(uintptr_t)pc) * UINT64_C(0x9E3779B97F4A7C15);
    const uint64_t mixed = hash ^ hash >> 29;
    return mixed != 0 ? mixed : 1;
}

uint64_t stack_hash(void *const *pcs, size_t count);

/* The id kept for `hash`, 0 when there is none. */
uint32_t stack_table_find(const stack_table *table, uint64_t hash);

/* Gives `hash`, which is not in the table, the next id (1, 2, ...); 0 when there is no memory. */
uint32_t stack_table_add(stack_table *table, uint64_t hash);

void stack_table_clear(stack_table *table);

#endif
