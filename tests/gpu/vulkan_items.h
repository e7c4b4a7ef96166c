/* vulkan_items.h - buffers and images with contents that can be told apart, byte for byte. */
#ifndef ACRE_TESTS_GPU_VULKAN_ITEMS_H
#define ACRE_TESTS_GPU_VULKAN_ITEMS_H

#include "vulkan_help.h"

enum { ITEM_BYTES_MAX = 1 << 20, ITEM_LAYERS = 2, ITEM_LEVELS = 3 };

typedef struct item {
    acre_gpu_memory memory; /* 0: there is none */
    VkBuffer buffer;
    VkImage image; /* one of the two; images are in the layout SHADER_READ_ONLY_OPTIMAL */
    VkBufferCreateInfo buffer_info;
    VkImageCreateInfo image_info;
    uint32_t bytes; /* of contents */
    uint32_t seed;
} item;

/* The buffer through which contents come and go, mapped. */
void items_open(acre_vulkan *acre);
void items_close(void);

acre_status item_make_buffer(acre_vulkan *acre, item *i, uint32_t bytes);
acre_status item_make_buffer_in(acre_vulkan *acre, item *i, uint32_t bytes, acre_gpu_pool *pool);
/* An image of four bytes a texel, with ITEM_LEVELS mip levels and ITEM_LAYERS layers. */
acre_status item_make_image(acre_vulkan *acre, item *i, uint32_t width, uint32_t height);
void item_destroy(acre_vulkan *acre, item *i);

void item_write(item *i, uint32_t seed);
/* Whether it still has what was written. */
bool item_is_intact(const item *i);

#endif
