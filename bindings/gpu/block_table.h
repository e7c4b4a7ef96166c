/* block_table.h - blocks by address: open addressing, at most half full. Address 0 is no block. All operations O(1) on average. */
#ifndef ACRE_BINDINGS_GPU_BLOCK_TABLE_H
#define ACRE_BINDINGS_GPU_BLOCK_TABLE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct acre_device_block {
    uint64_t address, size_bytes;
    void *owner;
    uint32_t kind;
} acre_device_block;

typedef struct acre_block_table {
    acre_device_block *slots;
    size_t slot_count, count;
} acre_block_table;

static inline size_t acre_block_table_place(const acre_block_table *table, uint64_t address)
{
    size_t place = (size_t)((address >> 4) * 0x9e3779b97f4a7c15u >> 20) & (table->slot_count - 1);
    while (table->slots[place].address != 0 && table->slots[place].address != address) place = (place + 1) & (table->slot_count - 1);
    return place;
}

/* The block that begins there, or NULL. */
static inline acre_device_block *acre_block_table_find(const acre_block_table *table, uint64_t address)
{
    if (table->slot_count == 0 || address == 0) return NULL;
    acre_device_block *const block = &table->slots[acre_block_table_place(table, address)];
    return block->address == 0 ? NULL : block;
}

/* Room for one more; false: no memory, and nothing has changed. */
static inline bool acre_block_table_grow(acre_block_table *table)
{
    if (table->count < table->slot_count / 2) return true;
    acre_block_table larger = {.slot_count = table->slot_count == 0 ? 64 : table->slot_count * 2, .count = table->count};
    larger.slots = calloc(larger.slot_count, sizeof *larger.slots);
    if (larger.slots == NULL) return false;
    for (size_t i = 0; i < table->slot_count; i++) {
        const acre_device_block *const block = &table->slots[i];
        if (block->address != 0) larger.slots[acre_block_table_place(&larger, block->address)] = *block;
    }
    free(table->slots);
    *table = larger;
    return true;
}

/* After acre_block_table_grow; no block begins there. */
static inline void acre_block_table_insert(acre_block_table *table, const acre_device_block *block)
{
    const size_t place = acre_block_table_place(table, block->address);
    assert(table->count < table->slot_count / 2 && block->address != 0 && table->slots[place].address == 0);
    table->slots[place] = *block;
    table->count++;
}

/* A block that acre_block_table_find gave. What follows it in its run is put in again. */
static inline void acre_block_table_remove(acre_block_table *table, acre_device_block *block)
{
    const size_t mask = table->slot_count - 1;
    block->address = 0;
    table->count--;
    for (size_t next = ((size_t)(block - table->slots) + 1) & mask; table->slots[next].address != 0; next = (next + 1) & mask) {
        const acre_device_block other = table->slots[next];
        table->slots[next].address = 0;
        table->slots[acre_block_table_place(table, other.address)] = other;
    }
}

/* Some block, or NULL when there is none. */
static inline const acre_device_block *acre_block_table_any(const acre_block_table *table)
{
    for (size_t i = 0; i < table->slot_count; i++)
        if (table->slots[i].address != 0) return &table->slots[i];
    return NULL;
}

#endif
