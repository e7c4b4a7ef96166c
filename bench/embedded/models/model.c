/* model.c - see model.h: split, merge and records, which all models share. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_COUNT = 1 << 17 };

static model_block *new_block(model *m, uint32_t offset, uint32_t bytes)
{
    model_block *const block = m->unused;
    if (block == NULL) abort();
    m->unused = block->next;
    *block = (model_block){.offset = offset, .bytes = bytes, .is_free = true};
    return block;
}

static void drop_block(model *m, model_block *block)
{
    block->next = m->unused;
    m->unused = block;
}

bool model_open(model *m, size_t arena_bytes)
{
    if (arena_bytes < m->control_bytes + 64) return false;
    m->heap_bytes = (uint32_t)(arena_bytes - m->control_bytes) / 8 * 8;
    m->by_offset = calloc(m->heap_bytes / 4 + 1, sizeof *m->by_offset);
    model_block *const records = calloc(RECORD_COUNT, sizeof *records);
    if (m->by_offset == NULL || records == NULL) abort();
    m->records = records;
    m->unused = NULL;
    for (size_t i = RECORD_COUNT; i-- > 0;) drop_block(m, &records[i]);
    memset(m->lists, 0, sizeof m->lists);
    m->first = new_block(m, 0, m->heap_bytes);
    m->list(m, m->first);
    return true;
}

void model_close(model *m)
{
    free(m->by_offset);
    free(m->records);
}

void *model_alloc(model *m, size_t size)
{
    const uint32_t bytes = m->block_bytes(size);
    model_block *const block = m->find(m, bytes);
    if (block == NULL) return NULL;
    m->unlist(m, block);
    if (block->bytes - bytes >= m->rest_bytes_min) {
        model_block *const rest = new_block(m, block->offset + bytes, block->bytes - bytes);
        rest->below = block;
        rest->above = block->above;
        if (rest->above != NULL) rest->above->below = rest;
        block->above = rest;
        block->bytes = bytes;
        m->list(m, rest);
    }
    block->is_free = false;
    m->by_offset[block->offset / 4] = block;
    return (void *)(MODEL_BASE + block->offset + m->header_bytes);
}

/* `block` takes in the one above it. */
static void join(model *m, model_block *block)
{
    model_block *const gone = block->above;
    block->bytes += gone->bytes;
    block->above = gone->above;
    if (block->above != NULL) block->above->below = block;
    drop_block(m, gone);
}

void model_free(model *m, void *address)
{
    model_block *block = m->by_offset[((uintptr_t)address - MODEL_BASE - m->header_bytes) / 4];
    block->is_free = true;
    if (block->above != NULL && block->above->is_free) {
        m->unlist(m, block->above);
        join(m, block);
    }
    if (block->below != NULL && block->below->is_free) {
        block = block->below;
        m->unlist(m, block);
        join(m, block);
    }
    m->list(m, block);
}

void model_push(model_block **list, model_block *block)
{
    block->previous = NULL;
    block->next = *list;
    if (*list != NULL) (*list)->previous = block;
    *list = block;
}

void model_pull(model_block **list, model_block *block)
{
    if (block->next != NULL) block->next->previous = block->previous;
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        *list = block->next;
}
