/* moves.c - carries out a plan of moves: resources anew at their new places, copies in a command buffer, and the owner is told.
 *
 * A move ends as it was planned when the owner describes what lies there and the new resource can be made; else its memory stays. Nothing
 * of the old state is touched before acre_vulkan_end_moves, so until then all can be cancelled. */
#include "functions.h"

#include <stdlib.h>

enum { MOVES_DEFAULT = 64, MOVES_MAX = 1 << 16, MIP_LEVELS_MAX = 32 };

typedef struct move {
    acre_vulkan_resource before, after; /* after: the handle of the new resource, VK_NULL_HANDLE when it stays */
    uint64_t size_bytes;
} move;

struct acre_vulkan_moves {
    acre_vulkan *vulkan;
    acre_vulkan_owner owner;
    acre_gpu_pool *pool;
    uint32_t type;
    uint32_t count;
    acre_gpu_move *plan; /* `count` of them */
    move *moves;         /* likewise */
};

static bool moves_at_all(const move *m) { return m->after.buffer != VK_NULL_HANDLE || m->after.image != VK_NULL_HANDLE; }

static void destroy(const acre_vulkan *v, const acre_vulkan_resource *resource)
{
    if (resource->buffer != VK_NULL_HANDLE) v->DestroyBuffer(v->device, resource->buffer, v->callbacks);
    if (resource->image != VK_NULL_HANDLE) v->DestroyImage(v->device, resource->image, v->callbacks);
}

/* ---- the new resource ---- */

static bool make_buffer(const acre_vulkan *v, const acre_gpu_move *plan, acre_vulkan_resource *after)
{
    if (v->CreateBuffer(v->device, after->buffer_info, v->callbacks, &after->buffer) != VK_SUCCESS) {
        after->buffer = VK_NULL_HANDLE;
        return false;
    }
    const VkBindBufferMemoryInfo bind = {.sType = VK_STRUCTURE_TYPE_BIND_BUFFER_MEMORY_INFO,
                                         .buffer = after->buffer,
                                         .memory = acre_vulkan_memory_of(plan->to),
                                         .memoryOffset = plan->to_offset_bytes};
    return v->BindBufferMemory2(v->device, 1, &bind) == VK_SUCCESS;
}

static bool make_image(const acre_vulkan *v, const acre_gpu_move *plan, acre_vulkan_resource *after)
{
    if (v->CreateImage(v->device, after->image_info, v->callbacks, &after->image) != VK_SUCCESS) {
        after->image = VK_NULL_HANDLE;
        return false;
    }
    const VkBindImageMemoryInfo bind = {.sType = VK_STRUCTURE_TYPE_BIND_IMAGE_MEMORY_INFO,
                                        .image = after->image,
                                        .memory = acre_vulkan_memory_of(plan->to),
                                        .memoryOffset = plan->to_offset_bytes};
    return v->BindImageMemory2(v->device, 1, &bind) == VK_SUCCESS;
}

/* What could be neither copied nor made anew stays. */
static bool can_move(const acre_vulkan_resource *r)
{
    if (r->buffer != VK_NULL_HANDLE) {
        const VkBufferUsageFlags both = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
        return r->image == VK_NULL_HANDLE && r->buffer_info != NULL && (r->buffer_info->usage & both) == both && r->buffer_info->flags == 0;
    }
    const VkImageUsageFlags both = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
    return r->image != VK_NULL_HANDLE && r->image_info != NULL && (r->image_info->usage & both) == both &&
           (r->image_info->flags & (VK_IMAGE_CREATE_SPARSE_BINDING_BIT | VK_IMAGE_CREATE_DISJOINT_BIT)) == 0 &&
           r->image_info->mipLevels <= MIP_LEVELS_MAX && r->layout != VK_IMAGE_LAYOUT_PREINITIALIZED;
}

static void make(const acre_vulkan *v, const acre_vulkan_owner *owner, const acre_gpu_move *plan, move *m)
{
    acre_gpu_memory_info info;
    if (acre_gpu_read_memory(v->gpu, plan->memory, &info) != ACRE_OK || !owner->describe(owner->context, plan->memory, &m->before) ||
        !can_move(&m->before))
        return;
    m->size_bytes = info.size_bytes;
    m->after = m->before;
    m->after.buffer = VK_NULL_HANDLE;
    m->after.image = VK_NULL_HANDLE;
    if (m->before.buffer != VK_NULL_HANDLE ? make_buffer(v, plan, &m->after) : make_image(v, plan, &m->after)) return;
    destroy(v, &m->after);
    m->after.buffer = VK_NULL_HANDLE;
    m->after.image = VK_NULL_HANDLE;
}

/* ---- the copies ---- */

static void wait_for_all(const acre_vulkan *v, VkCommandBuffer commands)
{
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    v->CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static void let_all_wait(const acre_vulkan *v, VkCommandBuffer commands)
{
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT};
    v->CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                          &barrier, 0, NULL, 0, NULL);
}

static VkImageAspectFlags aspects_of(const acre_vulkan_resource *r) { return r->aspects == 0 ? VK_IMAGE_ASPECT_COLOR_BIT : r->aspects; }

static VkImageMemoryBarrier change_of(const acre_vulkan_resource *r, VkImageLayout from, VkImageLayout to)
{
    return (VkImageMemoryBarrier){
        .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
        .oldLayout = from,
        .newLayout = to,
        .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .image = r->image,
        .subresourceRange = {.aspectMask = aspects_of(r), .levelCount = VK_REMAINING_MIP_LEVELS, .layerCount = VK_REMAINING_ARRAY_LAYERS},
    };
}

static uint32_t halved(uint32_t extent, uint32_t times) { return extent >> times == 0 ? 1 : extent >> times; }

static void copy_image(const acre_vulkan *v, VkCommandBuffer commands, const move *m)
{
    if (m->before.layout == VK_IMAGE_LAYOUT_UNDEFINED) return;
    const VkPipelineStageFlags all = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    const VkImageMemoryBarrier to_copy[] = {change_of(&m->before, m->before.layout, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL),
                                            change_of(&m->after, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL)};
    v->CmdPipelineBarrier(commands, all, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 2, to_copy);
    const VkImageCreateInfo *const info = m->before.image_info;
    VkImageCopy levels[MIP_LEVELS_MAX];
    for (uint32_t level = 0; level < info->mipLevels; level++) {
        const VkImageSubresourceLayers layers = {.aspectMask = aspects_of(&m->before), .mipLevel = level, .layerCount = info->arrayLayers};
        levels[level] = (VkImageCopy){
            .srcSubresource = layers,
            .dstSubresource = layers,
            .extent = {halved(info->extent.width, level), halved(info->extent.height, level), halved(info->extent.depth, level)},
        };
    }
    v->CmdCopyImage(commands, m->before.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, m->after.image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                    info->mipLevels, levels);
    const VkImageMemoryBarrier as_before = change_of(&m->after, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, m->before.layout);
    v->CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, all, 0, 0, NULL, 0, NULL, 1, &as_before);
}

static void copy_buffer(const acre_vulkan *v, VkCommandBuffer commands, const move *m)
{
    const VkBufferCopy all = {.size = m->before.buffer_info->size};
    v->CmdCopyBuffer(commands, m->before.buffer, m->after.buffer, 1, &all);
}

/* ---- the whole ---- */

static void release(acre_vulkan_moves *moves)
{
    free(moves->plan);
    free(moves->moves);
    free(moves);
}

/* Tells the manager how each move ended. */
static void end_plan(acre_vulkan_moves *moves, bool is_done)
{
    for (uint32_t i = 0; i < moves->count; i++)
        moves->plan[i].outcome = is_done && moves_at_all(&moves->moves[i]) ? ACRE_GPU_MOVE_DONE : ACRE_GPU_MOVE_NOT;
    (void)acre_gpu_end_moves(moves->vulkan->gpu, moves->pool, moves->type, moves->plan, moves->count);
}

static acre_vulkan_moves *new_moves(acre_vulkan *v, const acre_vulkan_moves_options *options, const acre_vulkan_owner *owner,
                                    uint32_t count)
{
    acre_vulkan_moves *const moves = calloc(1, sizeof *moves);
    if (moves == NULL) return NULL;
    *moves = (acre_vulkan_moves){.vulkan = v, .owner = *owner, .pool = options->pool, .type = options->type};
    moves->plan = calloc(count, sizeof *moves->plan);
    moves->moves = calloc(count, sizeof *moves->moves);
    if (moves->plan != NULL && moves->moves != NULL) return moves;
    release(moves);
    return NULL;
}

acre_status acre_vulkan_begin_moves(acre_vulkan *vulkan, const acre_vulkan_moves_options *options, const acre_vulkan_owner *owner,
                                    VkCommandBuffer commands, acre_vulkan_moves **moves, acre_gpu_gain *gain)
{
    if (vulkan == NULL || options == NULL || owner == NULL || owner->describe == NULL || owner->moved == NULL || commands == NULL ||
        moves == NULL)
        return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    if (options->move_count_max > MOVES_MAX)
        return acre_fail(ACRE_INVALID, "vulkan: %u moves at a time are more than %u", options->move_count_max, (unsigned)MOVES_MAX);
    uint32_t count = options->move_count_max == 0 ? MOVES_DEFAULT : options->move_count_max;
    acre_vulkan_moves *const self = new_moves(vulkan, options, owner, count);
    if (self == NULL) return acre_fail(ACRE_NO_MEMORY, "vulkan: no host memory for %u moves", count);
    acre_gpu_gain promised;
    const acre_status status =
        acre_gpu_plan_moves(vulkan->gpu, options->pool, options->type, options->bytes_max == 0 ? UINT64_MAX : options->bytes_max,
                            options->wanted_bytes, self->plan, &count, gain == NULL ? &promised : gain);
    if (status != ACRE_OK) {
        release(self);
        return status;
    }
    self->count = count;
    uint32_t made_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        make(vulkan, owner, &self->plan[i], &self->moves[i]);
        made_count += moves_at_all(&self->moves[i]);
    }
    *moves = NULL;
    if (made_count == 0) {
        if (count > 0) end_plan(self, false);
        release(self);
        return ACRE_OK;
    }
    wait_for_all(vulkan, commands);
    for (uint32_t i = 0; i < count; i++) {
        const move *const m = &self->moves[i];
        if (m->after.buffer != VK_NULL_HANDLE) copy_buffer(vulkan, commands, m);
        if (m->after.image != VK_NULL_HANDLE) copy_image(vulkan, commands, m);
    }
    let_all_wait(vulkan, commands);
    *moves = self;
    return ACRE_OK;
}

/* The manager may have to leave one where it was: when it cannot map the new place of memory that is always mapped. */
static bool is_at_its_new_place(const acre_vulkan_moves *moves, const acre_gpu_move *plan)
{
    acre_gpu_memory_info info;
    return acre_gpu_read_memory(moves->vulkan->gpu, plan->memory, &info) == ACRE_OK && info.handle == plan->to &&
           info.offset_bytes == plan->to_offset_bytes;
}

uint64_t acre_vulkan_end_moves(acre_vulkan_moves *moves)
{
    if (moves == NULL) return 0;
    uint64_t moved_bytes = 0;
    end_plan(moves, true); /* first, so that the owner finds memory where it is from now on */
    for (uint32_t i = 0; i < moves->count; i++) {
        const move *const m = &moves->moves[i];
        if (!moves_at_all(m)) continue;
        if (!is_at_its_new_place(moves, &moves->plan[i])) {
            destroy(moves->vulkan, &m->after);
            continue;
        }
        moves->owner.moved(moves->owner.context, moves->plan[i].memory, &m->before, &m->after);
        destroy(moves->vulkan, &m->before);
        moved_bytes += m->size_bytes;
    }
    release(moves);
    return moved_bytes;
}

void acre_vulkan_cancel_moves(acre_vulkan_moves *moves)
{
    if (moves == NULL) return;
    for (uint32_t i = 0; i < moves->count; i++)
        if (moves_at_all(&moves->moves[i])) destroy(moves->vulkan, &moves->moves[i].after);
    end_plan(moves, false);
    release(moves);
}
