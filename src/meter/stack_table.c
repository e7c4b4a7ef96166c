/* stack_table.c - see stack_table.h. Linear probing. */
#include "meter/stack_table.h"
#include "os/shared_file.h"

#include <assert.h>
#include <stdbool.h>

enum { SLOT_COUNT_MIN = 1024 };

uint64_t stack_hash(void *const *pcs, size_t count)
{
    uint64_t hash = 0;
    while (count > 0) hash = stack_hash_step(hash, pcs[--count]);
    return hash;
}

static stack_table_slot *slot_of(stack_table_slot *slots, size_t slot_count, uint64_t hash)
{
    size_t at = hash & (slot_count - 1);
    while (slots[at].hash != 0 && slots[at].hash != hash) at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

uint32_t stack_table_find(const stack_table *table, uint64_t hash)
{
    return table->slots == NULL ? 0 : (uint32_t)slot_of(table->slots, table->slot_count, hash)->id;
}

static bool grow(stack_table *table)
{
    const size_t slot_count = table->slot_count == 0 ? SLOT_COUNT_MIN : table->slot_count * 2;
    stack_table_slot *const slots = acre_private_pages(slot_count * sizeof *slots);
    if (slots == NULL) return false;

    for (size_t i = 0; i < table->slot_count; i++)
        if (table->slots[i].hash != 0) *slot_of(slots, slot_count, table->slots[i].hash) = table->slots[i];
    const uint32_t used_count = table->used_count;
    stack_table_clear(table);
    *table = (stack_table){.slots = slots, .slot_count = slot_count, .used_count = used_count};
    return true;
}

uint32_t stack_table_add(stack_table *table, uint64_t hash)
{
    if (table->used_count >= table->slot_count / 4 * 3 && !grow(table)) return 0;
    stack_table_slot *const slot = slot_of(table->slots, table->slot_count, hash);
    assert(slot->hash == 0);
    *slot = (stack_table_slot){.hash = hash, .id = ++table->used_count};
    return (uint32_t)slot->id;
}

void stack_table_clear(stack_table *table)
{
    if (table->slots != NULL) acre_private_pages_release(table->slots, table->slot_count * sizeof *table->slots);
    *table = (stack_table){0};
}
