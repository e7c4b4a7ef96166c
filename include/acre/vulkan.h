/* vulkan.h - device memory of Vulkan: buffers and images with their memory in one call, and their defragmentation, over acre/gpu.h.
 *
 *     acre_vulkan *vulkan;
 *     acre_vulkan_open(&(acre_vulkan_options){.instance = instance, .physical_device = physical, .device = device,
 *                                             .get_instance_proc_addr = vkGetInstanceProcAddr}, &vulkan);
 *
 *     VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = 65536, .usage = ...};
 *     VkBuffer buffer;
 *     acre_gpu_memory memory;
 *     acre_vulkan_create_buffer(vulkan, &info, &(acre_gpu_request){.host_access = ACRE_GPU_HOST_WRITES}, &buffer, &memory);
 *     ...                                                     acre_gpu_map, acre_gpu_flush ... of `memory`
 *     acre_vulkan_destroy_buffer(vulkan, buffer, memory);
 *     acre_vulkan_close(vulkan);
 *
 * All else is acre/gpu.h, on the manager that acre_vulkan_gpu gives: pools, budgets, reports, JSON. A block is a VkDeviceMemory, so
 * info.handle of acre_gpu_read_memory is one, and `extension` of a request or pool is a chain of structures for pNext of
 * VkMemoryAllocateInfo.
 *
 * The library is not linked to Vulkan: it calls what get_instance_proc_addr gives. It needs Vulkan 1.1, of the instance and of the device.
 *
 * What must not be done twice at a time: two calls about one resource. All other functions may be called by any thread.
 *
 * Example: examples/vulkan.c.
 */
#ifndef ACRE_VULKAN_H
#define ACRE_VULKAN_H

#include <acre/gpu.h>
#include <acre/scheduler.h>
#include <vulkan/vulkan_core.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_vulkan acre_vulkan;

/* Of the device, what the program has enabled at vkCreateDevice. Without a bit the library does without. */
#define ACRE_VULKAN_BUDGET         (1u << 0) /* VK_EXT_memory_budget: what all programs use of a heap; else blocks are counted */
#define ACRE_VULKAN_PRIORITY       (1u << 1) /* VK_EXT_memory_priority and its feature */
#define ACRE_VULKAN_ADDRESS        (1u << 2) /* the feature bufferDeviceAddress: each block can hold buffers that have an address */
#define ACRE_VULKAN_FD             (1u << 3) /* VK_KHR_external_memory_fd */
#define ACRE_VULKAN_HOST_POINTER   (1u << 4) /* VK_EXT_external_memory_host */
#define ACRE_VULKAN_SPARSE_BINDING (1u << 5) /* the feature sparseBinding */

typedef struct acre_vulkan_options {
    VkInstance instance;
    VkPhysicalDevice physical_device;
    VkDevice device;
    PFN_vkGetInstanceProcAddr get_instance_proc_addr;
    PFN_vkGetDeviceProcAddr get_device_proc_addr; /* NULL: what the instance gives */
    uint32_t enabled;                             /* ACRE_VULKAN_BUDGET ... */
    const VkAllocationCallbacks *callbacks;       /* for each call of Vulkan that takes them; NULL: none. Stays the caller's */
    const acre_gpu_options *gpu;                  /* of the manager; NULL: its defaults */
    VkQueue queue;                                /* for copies between addresses of a space and for movers, without which neither works: no
                                                   * other thread uses it while they do. NULL: none */
    uint32_t queue_family;                        /* that it is of */
} acre_vulkan_options;

/* Opens a manager over the device, which stays the caller's and has to outlive it. ACRE_INVALID: a handle or function that is NULL;
 * ACRE_UNSUPPORTED: Vulkan 1.0, or an extension of `enabled` without its functions; else as acre_gpu_open. */
ACRE_API acre_status acre_vulkan_open(const acre_vulkan_options *options, acre_vulkan **vulkan);

/* ACRE_BUSY while there are allocations or pools; nothing is closed then. Closing NULL is ACRE_OK. */
ACRE_API acre_status acre_vulkan_close(acre_vulkan *vulkan);

/* The manager, valid until acre_vulkan_close. */
ACRE_API acre_gpu *acre_vulkan_gpu(const acre_vulkan *vulkan);

/* ---- Buffers and images ---- */

/* Creates a resource, allocates memory for it and binds that. Of `request`, size, content and ACRE_GPU_TRANSFER_ONLY are filled in from the
 * resource, alignment is at least the resource's, and type_mask at most its. A block of its own is taken where the driver requires one, and
 * tried where it prefers one. On failure nothing is left. ACRE_INVALID: NULL, size 0, or a resource that is sparse or disjoint (whose
 * memory is the program's to bind); ACRE_NO_MEMORY, ACRE_IO (the device is lost), and what else acre_gpu_alloc gives. */
ACRE_API acre_status acre_vulkan_create_buffer(acre_vulkan *vulkan, const VkBufferCreateInfo *info, const acre_gpu_request *request,
                                               VkBuffer *buffer, acre_gpu_memory *memory);
ACRE_API acre_status acre_vulkan_create_image(acre_vulkan *vulkan, const VkImageCreateInfo *info, const acre_gpu_request *request,
                                              VkImage *image, acre_gpu_memory *memory);

/* Destroys it and frees its memory; either may be none. The device must not be using it. ACRE_BAD_POINTER, ACRE_BUSY: as acre_gpu_free, and
 * nothing was destroyed. */
ACRE_API acre_status acre_vulkan_destroy_buffer(acre_vulkan *vulkan, VkBuffer buffer, acre_gpu_memory memory);
ACRE_API acre_status acre_vulkan_destroy_image(acre_vulkan *vulkan, VkImage image, acre_gpu_memory memory);

/* Allocates for a resource of the program, without binding it: as above else. */
ACRE_API acre_status acre_vulkan_alloc_for_buffer(acre_vulkan *vulkan, VkBuffer buffer, const acre_gpu_request *request,
                                                  acre_gpu_memory *memory);
ACRE_API acre_status acre_vulkan_alloc_for_image(acre_vulkan *vulkan, VkImage image, const acre_gpu_request *request,
                                                 acre_gpu_memory *memory);

/* Binds to memory that is there, `offset_bytes` within it: several resources may share it (aliasing), if no two are used at a time.
 * ACRE_INVALID: the type will not do for the resource, or its alignment; ACRE_OUT_OF_BOUNDS: it does not fit; ACRE_BAD_POINTER;
 * ACRE_NO_MEMORY, ACRE_IO. Memory that was allocated for one resource alone (is_dedicated) takes no other. */
ACRE_API acre_status acre_vulkan_bind_buffer(acre_vulkan *vulkan, VkBuffer buffer, acre_gpu_memory memory, uint64_t offset_bytes);
ACRE_API acre_status acre_vulkan_bind_image(acre_vulkan *vulkan, VkImage image, acre_gpu_memory memory, uint64_t offset_bytes);

/* Creates a resource in memory that is there; to be destroyed with `memory` 0. Errors as of binding. */
ACRE_API acre_status acre_vulkan_create_buffer_in(acre_vulkan *vulkan, const VkBufferCreateInfo *info, acre_gpu_memory memory,
                                                  uint64_t offset_bytes, VkBuffer *buffer);
ACRE_API acre_status acre_vulkan_create_image_in(acre_vulkan *vulkan, const VkImageCreateInfo *info, acre_gpu_memory memory,
                                                 uint64_t offset_bytes, VkImage *image);

/* ---- Defragmentation that moves ---- */

/* What lies in an allocation, as its owner tells it. The create info is that which it was created with, pNext and all; it has to stay until
 * the moves have ended, and the library keeps none of it. */
typedef struct acre_vulkan_resource {
    VkBuffer buffer; /* a buffer, with TRANSFER_SRC and TRANSFER_DST in its usage ... */
    const VkBufferCreateInfo *buffer_info;
    VkImage image; /* ... or an image with both */
    const VkImageCreateInfo *image_info;
    VkImageLayout layout;       /* that it is in; UNDEFINED: its contents are not needed, and not copied */
    VkImageAspectFlags aspects; /* that its format has; 0: color */
} acre_vulkan_resource;

typedef struct acre_vulkan_owner {
    /* Tells what lies in `memory`; false: it stays where it is. (Memory that never moves is better allocated with ACRE_GPU_PINNED.) */
    bool (*describe)(void *context, acre_gpu_memory memory, acre_vulkan_resource *resource);
    /* It lies in `after` from now on, of which buffer or image is new; `before` is destroyed when this returns. To be written anew:
     * descriptors, views, addresses and pointers. */
    void (*moved)(void *context, acre_gpu_memory memory, const acre_vulkan_resource *before, const acre_vulkan_resource *after);
    void *context;
} acre_vulkan_owner;

typedef struct acre_vulkan_moves_options {
    acre_gpu_pool *pool; /* NULL: the manager's blocks of `type` */
    uint32_t type;
    uint32_t move_count_max; /* of these moves; 0: 64 */
    uint64_t bytes_max;      /* that they copy together; 0: no limit */
    uint64_t wanted_bytes;   /* of a free extent that is to arise; 0: as many blocks as can be become empty */
} acre_vulkan_moves_options;

typedef struct acre_vulkan_moves acre_vulkan_moves; /* that are under way */

/* Plans moves (acre_gpu_plan_moves), creates each resource anew at its new place, and records the copies into `commands`, with barriers
 * that wait for all work before and that all work behind waits for. The program submits them and, behind its fence, calls
 * acre_vulkan_end_moves; if it does not submit them, acre_vulkan_cancel_moves. Until then the old resources may be read and not written,
 * and an image that moves is, behind these commands, in the layout TRANSFER_SRC_OPTIMAL.
 *
 * Again and again with `bytes_max` it works in small pieces, one a frame. `*moves` is NULL when nothing is to be gained, or when the owner
 * lets nothing move. `gain` (NULL: not asked for) is the plan's. `commands` belong to a queue of the family that owns the resources.
 * ACRE_BUSY: moves of this pool are under way; ACRE_INVALID; ACRE_NO_MEMORY. O(extents). */
ACRE_API acre_status acre_vulkan_begin_moves(acre_vulkan *vulkan, const acre_vulkan_moves_options *options, const acre_vulkan_owner *owner,
                                             VkCommandBuffer commands, acre_vulkan_moves **moves, acre_gpu_gain *gain);

/* The copies are done: tells the owner of each, destroys what was and frees its place; blocks that are empty go back to the driver. Returns
 * how many bytes moved. NULL: 0. */
ACRE_API uint64_t acre_vulkan_end_moves(acre_vulkan_moves *moves);

/* The commands are not executed: all stays as it was. They name resources that are gone then, so the command buffer is to be reset or
 * freed. */
ACRE_API void acre_vulkan_cancel_moves(acre_vulkan_moves *moves);

/* The same as a job of a scheduler, on the queue of acre_vulkan_options: each step submits a piece of at most options->bytes_max, or ends
 * one that the device is through with. The owner is called by whoever runs the job. It is due when acre_scheduler_ask says so, and done
 * when nothing is to be gained, or when a piece has failed. ACRE_UNSUPPORTED: there is no such queue. */
typedef struct acre_vulkan_mover acre_vulkan_mover;

typedef struct acre_vulkan_mover_figures {
    uint64_t piece_count, moved_bytes;
    acre_status status; /* of the last piece */
} acre_vulkan_mover_figures;

ACRE_API acre_status acre_vulkan_open_mover(acre_vulkan *vulkan, const acre_vulkan_moves_options *options, const acre_vulkan_owner *owner,
                                            acre_vulkan_mover **mover);
ACRE_API acre_job *acre_vulkan_mover_job(acre_vulkan_mover *mover);                                       /* for acre_scheduler_add */
ACRE_API void acre_vulkan_read_mover(const acre_vulkan_mover *mover, acre_vulkan_mover_figures *figures); /* by the thread that runs it */

/* Its job is in no scheduler any more. Waits for a piece that is under way and ends it. NULL does nothing. */
ACRE_API void acre_vulkan_close_mover(acre_vulkan_mover *mover);

/* ---- Memory shared with others ---- */

/* A file descriptor of the memory, the caller's to close. It must have been allocated with a VkExportMemoryAllocateInfo of that type as its
 * `extension`, or come from such a pool: then the descriptor is of the whole block. ACRE_UNSUPPORTED: without ACRE_VULKAN_FD; ACRE_IO. */
ACRE_API acre_status acre_vulkan_export_fd(acre_vulkan *vulkan, acre_gpu_memory memory, VkExternalMemoryHandleTypeFlagBits kind, int *fd);

/* Memory behind a file descriptor that this or another program exported, of that many bytes; on success the descriptor is Vulkan's. For
 * buffers and images that are created with VkExternalMemoryBufferCreateInfo or its like. ACRE_INVALID: it is no such descriptor. */
ACRE_API acre_status acre_vulkan_import_fd(acre_vulkan *vulkan, int fd, VkExternalMemoryHandleTypeFlagBits kind,
                                           const acre_gpu_request *request, acre_gpu_memory *memory);

/* Memory of the host as memory of the device, without a copy: `pointer` and request->size_bytes are multiples of what the device says
 * (minImportedHostPointerAlignment, as a rule a page). It must stay until acre_gpu_free. ACRE_UNSUPPORTED: without
 * ACRE_VULKAN_HOST_POINTER. */
ACRE_API acre_status acre_vulkan_import_host(acre_vulkan *vulkan, void *pointer, const acre_gpu_request *request, acre_gpu_memory *memory);

/* ---- Buffers that grow in place ---- */

typedef struct acre_vulkan_growing acre_vulkan_growing;

/* A sparse buffer: it has addresses for all of info->size, and memory for as much as acre_vulkan_resize_growing says, none at first.
 * `request` is for each piece. `queue` can bind sparse memory (VK_QUEUE_SPARSE_BINDING_BIT) and is used by one thread at a time while a
 * call lasts. ACRE_UNSUPPORTED: without ACRE_VULKAN_SPARSE_BINDING. */
ACRE_API acre_status acre_vulkan_open_growing(acre_vulkan *vulkan, const VkBufferCreateInfo *info, const acre_gpu_request *request,
                                              VkQueue queue, acre_vulkan_growing **growing);

/* Its first `size_bytes`, rounded up to pages of the device, get memory; pieces wholly beyond lose theirs, so the device must not be using
 * them. What was there stays where it is. Waits for the queue. ACRE_INVALID: more than info->size; ACRE_NO_MEMORY: all stays as it was. */
ACRE_API acre_status acre_vulkan_resize_growing(acre_vulkan_growing *growing, uint64_t size_bytes);

ACRE_API VkBuffer acre_vulkan_growing_buffer(const acre_vulkan_growing *growing);
ACRE_API uint64_t acre_vulkan_growing_bytes(const acre_vulkan_growing *growing); /* that have memory */

/* Destroys the buffer and frees its memory; the device must not be using it. NULL does nothing. */
ACRE_API void acre_vulkan_close_growing(acre_vulkan_growing *growing);

#ifdef __cplusplus
}
#endif
#endif
