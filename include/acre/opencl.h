/* opencl.h - memory of an OpenCL context: buffers out of few large ones, zero copy, shared virtual memory, images, blocks in the order of a
 * queue, and whether a kernel fits before it is launched.
 *
 *     acre_opencl *cl;
 *     acre_opencl_open(&(acre_opencl_options){.context = context, .device = device}, &cl);
 *     acre_opencl_buffer buffer;
 *     acre_opencl_alloc(cl, 1 << 20, &buffer);                     buffer.mem is a cl_mem like any other
 *     clSetKernelArg(kernel, 0, sizeof buffer.mem, &buffer.mem);
 *     ...
 *     acre_opencl_free(cl, &buffer);
 *
 * acre_opencl_alloc gives sub-buffers of blocks that acre/gpu.h manages, at multiples of what the device wants
 * (CL_DEVICE_MEM_BASE_ADDR_ALIGN). A sub-buffer has none of its own: clCreateSubBuffer of one is refused by OpenCL. acre_opencl_free is for
 * after the device's work: use the acre_opencl_queue_... calls where a free is to be ordered behind what is queued.
 *
 * The types of OpenCL are named by their structs, so that no header of OpenCL is needed here: struct _cl_mem * is cl_mem. libOpenCL.so.1 is
 * loaded when a context is opened. Programs that are not to be changed: libacre-opencl-layer.so, see docs/opencl.md.
 *
 * Thread safety: every call, on any thread; open and close of one context excepted.
 *
 * Errors: CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_RESOURCES and CL_OUT_OF_HOST_MEMORY are ACRE_NO_MEMORY; arguments that OpenCL refuses
 * ACRE_INVALID; what it lacks ACRE_UNSUPPORTED; all else ACRE_IO. acre_last_error() has the call and the number.
 *
 * Example: examples/opencl.c.
 */
#ifndef ACRE_OPENCL_H
#define ACRE_OPENCL_H

#include <acre/gpu.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct _cl_command_queue;
struct _cl_context;
struct _cl_device_id;
struct _cl_kernel;
struct _cl_mem;

typedef struct acre_opencl acre_opencl;

typedef struct acre_opencl_options {
    struct _cl_context *context;      /* is retained */
    struct _cl_device_id *device;     /* one of the context */
    const char *library_path;         /* NULL: libOpenCL.so.1 */
    uint64_t block_bytes;             /* of the large buffers; 0: as acre/gpu.h says */
    uint64_t release_threshold_bytes; /* of the queue's blocks: more is not kept beyond acre_opencl_queue_finish */
    bool reuses_same_queue_only;      /* of the queue's blocks; else also after the event, and behind a barrier */
} acre_opencl_options;

/* ACRE_UNSUPPORTED: no OpenCL here, or one before 1.2. ACRE_INVALID: NULL, or no context or device. */
ACRE_API acre_status acre_opencl_open(const acre_opencl_options *options, acre_opencl **cl);

/* ACRE_BUSY, with nothing done, while memory is in use. */
ACRE_API acre_status acre_opencl_close(acre_opencl *cl);

typedef struct acre_opencl_facts {
    char name[128];
    uint64_t global_bytes, block_bytes_max; /* of all memory, of one buffer */
    uint64_t local_bytes, constant_bytes;   /* of a work-group, of one constant argument */
    uint32_t constant_count;                /* of constant arguments */
    uint32_t alignment_bytes;               /* of a sub-buffer's beginning */
    uint64_t group_items;                   /* of a work-group, at most */
    bool has_images;
    uint64_t image_width, image_height;                 /* of 2D images, at most */
    uint64_t volume_width, volume_height, volume_depth; /* of 3D images */
    uint32_t pitch_alignment_pixels;                    /* of a 2D image in a buffer; 0: there is no such thing */
    bool has_coarse_svm, has_fine_svm;                  /* of buffers */
    bool has_svm_atomics;
    bool shares_host_memory; /* a buffer over the host's memory is not copied */
} acre_opencl_facts;

ACRE_API acre_status acre_opencl_query(acre_opencl *cl, acre_opencl_facts *facts);

/* The manager below acre_opencl_alloc, for its figures, reports and JSON. */
ACRE_API acre_gpu *acre_opencl_manager(acre_opencl *cl);

/* ---- buffers ---- */

typedef struct acre_opencl_buffer {
    struct _cl_mem *mem;
    uint64_t size_bytes;
    acre_gpu_memory memory; /* its place, of acre_opencl_alloc; else 0 */
    uint64_t block_bytes;   /* of the queue's blocks: the whole of it, which may be longer */
} acre_opencl_buffer;

/* A buffer that kernels read and write. ACRE_INVALID: 0 bytes. ACRE_NO_MEMORY: the sentence tells what is used and free. O(1). */
ACRE_API acre_status acre_opencl_alloc(acre_opencl *cl, uint64_t size_bytes, acre_opencl_buffer *buffer);

/* A buffer over memory of the caller (CL_MEM_USE_HOST_PTR), which stays the caller's. `host` and `size_bytes` must be multiples of the
 * facts' alignment_bytes: then a device that has the host's memory uses it where it is; else ACRE_INVALID. The host reads and writes it
 * between clEnqueueMapBuffer and clEnqueueUnmapMemObject. */
ACRE_API acre_status acre_opencl_wrap(acre_opencl *cl, void *host, uint64_t size_bytes, acre_opencl_buffer *buffer);

/* Of acre_opencl_alloc, wrap or image; the device has done with it. ACRE_BAD_POINTER: it is none, or was freed already. `*buffer` is
 * cleared. */
ACRE_API acre_status acre_opencl_free(acre_opencl *cl, acre_opencl_buffer *buffer);

/* ---- shared virtual memory ---- */

/* One address on host and device. Coarse: the host maps it (clEnqueueSVMMap) before it reads or writes; fine: it does not.
 * `alignment_bytes`: a power of two up to 128, or 0. ACRE_UNSUPPORTED: the device has none of that kind. */
ACRE_API acre_status acre_opencl_svm_alloc(acre_opencl *cl, uint64_t size_bytes, uint32_t alignment_bytes, bool is_fine, void **pointer);
/* ACRE_BAD_POINTER: it is none, or was freed already. */
ACRE_API acre_status acre_opencl_svm_free(acre_opencl *cl, void *pointer);

/* ---- images ---- */

typedef struct acre_opencl_image {
    uint32_t channel_order, channel_type; /* CL_RGBA, CL_FLOAT, ... */
    uint64_t width, height;               /* pixels */
    uint64_t depth;                       /* 0: the image is 2D */
    void *host;                           /* contents, which are copied; NULL: undefined */
    uint64_t row_pitch_bytes;             /* of `host`; 0: rows lie one behind the other */
    uint64_t slice_pitch_bytes;           /* of `host`, 3D; 0: as many rows as `height` */
} acre_opencl_image;

/* ACRE_INVALID: sizes of 0, pitches shorter than a row or a slice, pitches without `host`. ACRE_UNSUPPORTED: no images, a format that the
 * context does not have, or larger than the device can: the sentence has both. */
ACRE_API acre_status acre_opencl_image_alloc(acre_opencl *cl, const acre_opencl_image *image, acre_opencl_buffer *buffer);

/* ---- blocks in the order of a queue ---- */

/* A whole buffer for what is queued in `queue` hence; may be longer than asked for (block_bytes). ACRE_UNSUPPORTED: the queue is out of
 * order. */
ACRE_API acre_status acre_opencl_queue_alloc(acre_opencl *cl, struct _cl_command_queue *queue, uint64_t size_bytes,
                                             acre_opencl_buffer *buffer);

/* Free behind what is queued in `queue`, without waiting: the next block of this queue may be this one at once, that of another one after
 * the event, or behind a barrier. ACRE_BAD_POINTER: it is no such block in use. */
ACRE_API acre_status acre_opencl_queue_free(acre_opencl *cl, struct _cl_command_queue *queue, acre_opencl_buffer *buffer);

/* Waits for the queue (clFinish); what is held beyond the release threshold goes back. */
ACRE_API acre_status acre_opencl_queue_finish(acre_opencl *cl, struct _cl_command_queue *queue);
/* The same, before the caller releases the queue. */
ACRE_API acre_status acre_opencl_queue_forget(acre_opencl *cl, struct _cl_command_queue *queue);
/* What is free and has passed goes back until no more than `keep_bytes` are held, in use and free. */
ACRE_API acre_status acre_opencl_queue_trim(acre_opencl *cl, uint64_t keep_bytes);

typedef struct acre_opencl_figures {
    uint64_t buffer_count, svm_count, svm_bytes;                     /* in use; buffers: of alloc, wrap and image */
    uint64_t used_bytes, held_bytes, used_bytes_max, held_bytes_max; /* of the queue's blocks: in use; with what is free */
    uint64_t same_count, passed_count, waited_count, driver_count, released_count, stall_count;
} acre_opencl_figures;

ACRE_API acre_status acre_opencl_read_figures(acre_opencl *cl, acre_opencl_figures *figures);

/* ---- kernels ---- */

typedef struct acre_opencl_launch {
    uint32_t dimension_count;       /* 1 to 3; 0: the group is left to OpenCL */
    uint64_t group_items[3];        /* of the work-group */
    uint64_t local_bytes;           /* of __local arguments that are not set yet, together */
    const uint64_t *constant_bytes; /* of each __constant argument */
    uint32_t constant_count;
} acre_opencl_launch;

typedef struct acre_opencl_need {
    uint64_t local_bytes;     /* with the launch's */
    uint64_t private_bytes;   /* of a work-item, as far as OpenCL says */
    uint64_t constant_bytes;  /* of all constant arguments */
    uint64_t group_items_max; /* that this kernel can have on this device */
} acre_opencl_need;

/* Whether a kernel can be launched like that. ACRE_NO_MEMORY: it needs more local or constant memory than the device has, or more constant
 * arguments, or a larger group than it can have; the sentence names kernel, device and both numbers. `need` may be NULL. */
ACRE_API acre_status acre_opencl_check_kernel(acre_opencl *cl, struct _cl_kernel *kernel, const acre_opencl_launch *launch,
                                              acre_opencl_need *need);

#ifdef __cplusplus
}
#endif
#endif
