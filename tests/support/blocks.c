/* blocks.c - see blocks.h. */
#include "support/blocks.h"

void model_open(model_blocks *model, const acre_space *space)
{
    model->count = 0;
    model->space = space;
    model->has_memory = (space->info.capabilities & ACRE_CAP_HOST_ACCESS) != 0;
}

void model_add(model_blocks *model, acre_addr base, uint64_t size, uint64_t alignment, uint8_t fill)
{
    const uint64_t room = size > 0 ? size : 1;
    assert_true(base != 0 && base % alignment == 0 && model->count < MODEL_BLOCK_COUNT_MAX);
    if (model->space->size_bytes != 0) {
        assert_true(base >= model->space->base && base + room <= model->space->base + model->space->size_bytes);
    }
    for (size_t i = 0; i < model->count; i++) {
        const model_block *const other = &model->blocks[i];
        assert_true(base + room <= other->base || other->base + (other->size > 0 ? other->size : 1) <= base);
    }
    model->blocks[model->count++] = (model_block){.base = base, .size = size, .fill = fill};
    if (model->has_memory) memset((void *)(uintptr_t)base, fill, (size_t)size);
}

void model_check(const model_blocks *model, size_t at)
{
    if (!model->has_memory) return;
    const model_block *const block = &model->blocks[at];
    const uint8_t *const bytes = (const uint8_t *)(uintptr_t)block->base;
    for (uint64_t i = 0; i < block->size; i++) {
        if (bytes[i] != block->fill) assert_int_equal(bytes[i], block->fill);
    }
}

void model_cut(model_blocks *model, size_t count)
{
    assert_true(count <= model->count);
    while (model->count > count) model_check(model, --model->count);
}

void model_shift(model_blocks *model)
{
    assert_true(model->count > 0);
    model_check(model, 0);
    model->count--;
    memmove(&model->blocks[0], &model->blocks[1], model->count * sizeof model->blocks[0]);
}
