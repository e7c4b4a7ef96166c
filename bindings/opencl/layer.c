/* layer.c - programs that are not to be changed: a layer of the OpenCL loader (OPENCL_LAYERS) that takes their buffers from acre.
 *
 * Where the device has the host's memory, a buffer or an image for which the program brings no memory lies in a block of host memory
 * (CL_MEM_USE_HOST_PTR). Elsewhere a buffer is a sub-buffer of a block of the context's manager, and images are passed on. So is all else,
 * and everything on NVIDIA's devices, unless blocks are asked for: their driver (580.159) ends the program when of two sub-buffers that
 * overlap and were both used the older one is released first, and a place may have its next buffer before the driver is through with the
 * last. What is passed on is counted. What the program asks about a memory object is answered as if it were one of its own.
 *
 * A place is free when OpenCL has destroyed the last memory object on it, which is after the last command that uses it: a destructor
 * callback tells. Such a callback may not call OpenCL, so places go into a list, which the next object empties.
 *
 * Invariant: `objects` has each memory object of ours that OpenCL has not destroyed. A context's manager stays until the process ends, and
 * keeps the context. */
#include "opencl/context.h"

#include "base/bits.h"

#include <CL/cl_layer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_ALIGNMENT_BYTES = 4096, NAME_BYTES_MAX = 128, VENDOR_BYTES_MAX = 256 };

/* The place of a buffer, of its sub-buffers, or of an image. */
typedef struct place {
    acre_gpu *gpu; /* that it is a memory of */
    acre_gpu_memory memory;
    unsigned object_count;
    struct place *next; /* of those that are free */
} place;

/* A memory object that the program has. */
typedef struct object {
    place *at;
    cl_mem handle, parent; /* parent: of a sub-buffer, as the program sees it */
    cl_mem_flags flags;    /* as the program gave them */
    size_t offset;         /* in the parent */
} object;

static const cl_icd_dispatch *target;
static bool wants_blocks; /* sub-buffers, even where the device has the host's memory */
static cl_icd_dispatch dispatch;
static opencl_calls target_calls;

static struct {
    pthread_mutex_t lock; /* of what follows */
    acre_block_table objects, contexts;
    place *free_places;
    uint64_t buffer_count, sub_buffer_count, image_count, passed_count; /* made */
    uint64_t buffer_bytes, image_bytes, live_count;
} layer = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Blocks of host memory for images. */
static acre_gpu_driver host_driver;
static acre_gpu *host_gpu;

/* ---- contexts ---- */

static bool has_safe_sub_buffers(cl_device_id device)
{
    char vendor[VENDOR_BYTES_MAX] = "";
    if (target->clGetDeviceInfo(device, CL_DEVICE_VENDOR, sizeof vendor - 1, vendor, NULL) != CL_SUCCESS) return false;
    return strstr(vendor, "NVIDIA") == NULL;
}

static acre_opencl *open_owner(cl_context context)
{
    cl_device_id device;
    size_t bytes = 0;
    if (target->clGetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &bytes) != CL_SUCCESS || bytes != sizeof device)
        return NULL; /* one device */
    if (target->clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof device, &device, NULL) != CL_SUCCESS) return NULL;
    if (!wants_blocks && !has_safe_sub_buffers(device)) return NULL;
    acre_opencl *owner = NULL;
    return acre_opencl_open_over(&target_calls, &(acre_opencl_options){.context = context, .device = device}, &owner) == ACRE_OK ? owner
                                                                                                                                 : NULL;
}

/* The manager of a context; NULL: there can be none, and nothing is placed. */
static acre_opencl *owner_of(cl_context context)
{
    pthread_mutex_lock(&layer.lock);
    acre_device_block *const found = acre_block_table_find(&layer.contexts, (uintptr_t)context);
    acre_opencl *owner = found == NULL ? NULL : found->owner;
    if (found == NULL && context != NULL && acre_block_table_grow(&layer.contexts)) {
        owner = open_owner(context);
        if (owner != NULL) acre_block_table_insert(&layer.contexts, &(acre_device_block){.address = (uintptr_t)context, .owner = owner});
    }
    pthread_mutex_unlock(&layer.lock);
    return owner;
}

/* ---- places and objects ---- */

static void free_places(void)
{
    pthread_mutex_lock(&layer.lock);
    place *at = layer.free_places;
    layer.free_places = NULL;
    pthread_mutex_unlock(&layer.lock);
    while (at != NULL) {
        place *const next = at->next;
        (void)acre_gpu_free(at->gpu, at->memory);
        free(at);
        at = next;
    }
}

/* One object less is there. Under the lock. */
static void leave(place *at)
{
    if (--at->object_count > 0) return;
    at->next = layer.free_places;
    layer.free_places = at;
}

/* A place for `request`; NULL: there is none. */
static place *new_place(acre_gpu *gpu, const acre_gpu_request *request, acre_gpu_memory_info *info)
{
    free_places();
    place *const at = calloc(1, sizeof *at);
    if (at == NULL) return NULL;
    at->gpu = gpu;
    if (acre_gpu_alloc(gpu, request, &at->memory) != ACRE_OK) {
        free(at);
        return NULL;
    }
    (void)acre_gpu_read_memory(gpu, at->memory, info);
    return at;
}

static void drop_place(place *at)
{
    (void)acre_gpu_free(at->gpu, at->memory);
    free(at);
}

static void CL_CALLBACK destroyed(cl_mem handle, void *data)
{
    object *const self = data;
    (void)handle;
    pthread_mutex_lock(&layer.lock);
    acre_device_block *const found = acre_block_table_find(&layer.objects, (uintptr_t)self->handle);
    if (found != NULL && found->owner == self) acre_block_table_remove(&layer.objects, found);
    layer.live_count--;
    leave(self->at);
    pthread_mutex_unlock(&layer.lock);
    free(self);
}

/* The object that a handle of the program is; false: it is none of ours. */
static bool find_object(cl_mem handle, object *copy)
{
    pthread_mutex_lock(&layer.lock);
    const acre_device_block *const found = acre_block_table_find(&layer.objects, (uintptr_t)handle);
    if (found != NULL) *copy = *(const object *)found->owner;
    pthread_mutex_unlock(&layer.lock);
    return found != NULL;
}

/* `model`, whose handle was just made, becomes one of ours; false: it does not, and the handle is released, and the place, if it was the
 * first. */
static bool note_object(const object *model)
{
    object *const self = malloc(sizeof *self);
    if (self != NULL) *self = *model;
    pthread_mutex_lock(&layer.lock);
    const bool has_room = self != NULL && acre_block_table_grow(&layer.objects);
    model->at->object_count++;
    pthread_mutex_unlock(&layer.lock);
    if (!has_room || target->clSetMemObjectDestructorCallback(model->handle, destroyed, self) != CL_SUCCESS) {
        (void)target->clReleaseMemObject(model->handle);
        free(self);
        pthread_mutex_lock(&layer.lock);
        leave(model->at);
        pthread_mutex_unlock(&layer.lock);
        return false;
    }
    pthread_mutex_lock(&layer.lock);
    /* Another thread may have taken the room meanwhile. Without a place in the table the object works, but questions show what it is. */
    if (acre_block_table_grow(&layer.objects))
        acre_block_table_insert(&layer.objects, &(acre_device_block){.address = (uintptr_t)self->handle, .owner = self});
    layer.live_count++;
    pthread_mutex_unlock(&layer.lock);
    return true;
}

static void count_passed(void)
{
    pthread_mutex_lock(&layer.lock);
    layer.passed_count++;
    pthread_mutex_unlock(&layer.lock);
}

/* ---- blocks of host memory ---- */

static acre_status host_query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    (void)driver;
    *device = (acre_gpu_device){.name = "host",
                                .heap_count = 1,
                                .type_count = 1,
                                .heaps = {{.size_bytes = SIZE_MAX / 2, .flags = ACRE_GPU_DEVICE_LOCAL}},
                                .types = {{.flags = ACRE_GPU_DEVICE_LOCAL | ACRE_GPU_HOST_VISIBLE | ACRE_GPU_HOST_COHERENT}},
                                .granularity_bytes = 1,
                                .atom_bytes = 1};
    return ACRE_OK;
}

static acre_status host_allocate(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle)
{
    (void)driver;
    void *const block = aligned_alloc(HOST_ALIGNMENT_BYTES, acre_align_up(request->size_bytes, HOST_ALIGNMENT_BYTES));
    *handle = (uintptr_t)block;
    return block == NULL ? acre_fail(ACRE_NO_MEMORY, "opencl layer: no host memory for %llu bytes", (unsigned long long)request->size_bytes)
                         : ACRE_OK;
}

static void host_free(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes)
{
    (void)driver;
    (void)type;
    (void)size_bytes;
    free((void *)(uintptr_t)handle);
}

static const acre_gpu_driver_ops host_ops = {
    .size_bytes = sizeof host_ops, .query = host_query, .allocate = host_allocate, .free = host_free};

static void *host_pointer(const acre_gpu_memory_info *info) { return (unsigned char *)(uintptr_t)info->handle + info->offset_bytes; }

/* ---- buffers ---- */

/* Of what is placed; in memory of the host contents may come along, too. */
#define HOST_FLAGS (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)
#define KNOWN_FLAGS                                                                                                                        \
    (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS)

/* Flags of a sub-buffer: 0 inherits what the block may do, which is everything. */
static cl_mem make_sub_buffer(const place *at, cl_mem_flags flags, size_t offset, size_t bytes, cl_int *error)
{
    acre_gpu_memory_info info;
    if (acre_gpu_read_memory(at->gpu, at->memory, &info) != ACRE_OK) return NULL;
    const cl_buffer_region region = {.origin = info.offset_bytes + offset, .size = bytes};
    return target->clCreateSubBuffer((cl_mem)(uintptr_t)info.handle, flags == 0 ? CL_MEM_READ_WRITE : flags, CL_BUFFER_CREATE_TYPE_REGION,
                                     &region, error);
}

static bool has_at_most_one(cl_mem_flags flags) { return (flags & (flags - 1)) == 0; }

/* Flags of what can be placed, that do not contradict one another. */
static bool are_known(cl_mem_flags flags, bool is_host, const void *contents)
{
    const cl_mem_flags known = KNOWN_FLAGS | (is_host ? HOST_FLAGS : 0);
    return (flags & ~known) == 0 && has_at_most_one(flags & (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY)) &&
           has_at_most_one(flags & (CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS)) &&
           (contents != NULL) == ((flags & CL_MEM_COPY_HOST_PTR) != 0);
}

/* What OpenCL is told of a memory object over the host's memory. */
static cl_mem_flags host_flags(cl_mem_flags flags)
{
    const cl_mem_flags rest = flags & ~(cl_mem_flags)HOST_FLAGS;
    return (rest == 0 ? CL_MEM_READ_WRITE : rest) | CL_MEM_USE_HOST_PTR;
}

static cl_mem_flags own_flags(cl_mem_flags flags) { return (flags & ~(cl_mem_flags)HOST_FLAGS) == 0 ? flags | CL_MEM_READ_WRITE : flags; }

static bool uses_host(const acre_opencl *owner) { return owner->facts.shares_host_memory && host_gpu != NULL && !wants_blocks; }

/* NULL: it cannot be placed, for whatever reason; OpenCL is asked then, and says what is wrong. */
static cl_mem place_buffer(cl_context context, cl_mem_flags flags, size_t bytes, const void *contents)
{
    acre_opencl *const owner = bytes == 0 ? NULL : owner_of(context);
    const bool is_host = owner != NULL && uses_host(owner);
    if (owner == NULL || bytes > owner->facts.block_bytes_max || !are_known(flags, is_host, contents)) return NULL;
    const acre_gpu_request request = {.size_bytes = bytes,
                                      .alignment_bytes = is_host ? HOST_ALIGNMENT_BYTES : owner->facts.alignment_bytes};
    acre_gpu_memory_info info;
    place *const at = new_place(is_host ? host_gpu : owner->gpu, &request, &info);
    if (at == NULL) return NULL;
    if (contents != NULL) memcpy(host_pointer(&info), contents, bytes);
    cl_int error;
    cl_mem handle = is_host ? target->clCreateBuffer(context, host_flags(flags), bytes, host_pointer(&info), &error)
                            : make_sub_buffer(at, flags, 0, bytes, &error);
    if (handle == NULL) {
        drop_place(at);
        return NULL;
    }
    if (!note_object(&(object){.at = at, .handle = handle, .flags = own_flags(flags)})) return NULL;
    pthread_mutex_lock(&layer.lock);
    layer.buffer_count++;
    layer.buffer_bytes += bytes;
    pthread_mutex_unlock(&layer.lock);
    return handle;
}

static cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t bytes, void *host, cl_int *error)
{
    cl_mem placed = place_buffer(context, flags, bytes, host);
    if (placed != NULL) {
        if (error != NULL) *error = CL_SUCCESS;
        return placed;
    }
    count_passed();
    return target->clCreateBuffer(context, flags, bytes, host, error);
}

static cl_mem CL_API_CALL create_buffer_with_properties(cl_context context, const cl_mem_properties *properties, cl_mem_flags flags,
                                                        size_t bytes, void *host, cl_int *error)
{
    if (properties == NULL || properties[0] == 0) return create_buffer(context, flags, bytes, host, error);
    count_passed();
    return target->clCreateBufferWithProperties(context, properties, flags, bytes, host, error);
}

/* A part of one of ours is a part of it where the driver makes such, against the standard, and else a part of its block. NVIDIA's driver
 * (580.159) makes them, and falls over parts of one buffer that overlap. A part of a part is refused. */
static cl_mem CL_API_CALL create_sub_buffer(cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *error)
{
    object whole;
    size_t whole_bytes = 0;
    const cl_buffer_region *const region = info;
    cl_int result;
    if (!find_object(parent, &whole) || whole.at->gpu == host_gpu || type != CL_BUFFER_CREATE_TYPE_REGION || region == NULL)
        return target->clCreateSubBuffer(parent, flags, type, info, error);
    if (error == NULL) error = &result;
    *error = CL_INVALID_MEM_OBJECT;
    if (whole.parent != NULL) return NULL;
    (void)target->clGetMemObjectInfo(parent, CL_MEM_SIZE, sizeof whole_bytes, &whole_bytes, NULL);
    *error = region->size == 0 ? CL_INVALID_BUFFER_SIZE : CL_INVALID_VALUE;
    if (region->size == 0 || region->origin > whole_bytes || region->size > whole_bytes - region->origin) return NULL;
    cl_mem handle = target->clCreateSubBuffer(parent, flags, type, region, error);
    if (handle == NULL) handle = make_sub_buffer(whole.at, flags == 0 ? whole.flags : flags, region->origin, region->size, error);
    if (handle == NULL) return NULL;
    *error = CL_OUT_OF_HOST_MEMORY;
    if (!note_object(&(object){
            .at = whole.at, .handle = handle, .parent = parent, .flags = flags == 0 ? whole.flags : flags, .offset = region->origin}))
        return NULL;
    *error = CL_SUCCESS;
    pthread_mutex_lock(&layer.lock);
    layer.sub_buffer_count++;
    pthread_mutex_unlock(&layer.lock);
    return handle;
}

/* ---- images ---- */

static uint64_t image_bytes(const cl_image_format *format, const cl_image_desc *desc)
{
    const uint64_t pixel_bytes = acre_opencl_pixel_bytes(format->image_channel_order, format->image_channel_data_type);
    const bool is_volume = desc->image_type == CL_MEM_OBJECT_IMAGE3D;
    const uint64_t width = desc->image_width, height = desc->image_height, depth = is_volume ? desc->image_depth : 1;
    if ((desc->image_type != CL_MEM_OBJECT_IMAGE2D && !is_volume) || desc->buffer != NULL || desc->num_mip_levels != 0 ||
        desc->num_samples != 0 || desc->image_row_pitch != 0 || desc->image_slice_pitch != 0)
        return 0;
    if (width == 0 || height == 0 || depth == 0 || width > UINT32_MAX || height > UINT16_MAX || depth > UINT16_MAX / 16) return 0;
    return width * height * depth * pixel_bytes;
}

static cl_mem place_image(cl_context context, cl_mem_flags flags, const cl_image_format *format, const cl_image_desc *desc,
                          const void *contents)
{
    const uint64_t bytes = format == NULL || desc == NULL || !are_known(flags, true, contents) ? 0 : image_bytes(format, desc);
    const acre_opencl *const owner = bytes == 0 ? NULL : owner_of(context);
    if (owner == NULL || !owner->facts.shares_host_memory || host_gpu == NULL) return NULL;
    acre_gpu_memory_info info;
    place *const at = new_place(host_gpu, &(acre_gpu_request){.size_bytes = bytes, .alignment_bytes = HOST_ALIGNMENT_BYTES}, &info);
    if (at == NULL) return NULL;
    void *const host = host_pointer(&info);
    if (contents != NULL) memcpy(host, contents, bytes);
    cl_int error;
    cl_mem handle = target->clCreateImage(context, host_flags(flags), format, desc, host, &error);
    if (handle == NULL) {
        drop_place(at);
        return NULL;
    }
    if (!note_object(&(object){.at = at, .handle = handle, .flags = own_flags(flags)})) return NULL;
    pthread_mutex_lock(&layer.lock);
    layer.image_count++;
    layer.image_bytes += bytes;
    pthread_mutex_unlock(&layer.lock);
    return handle;
}

static cl_mem CL_API_CALL create_image(cl_context context, cl_mem_flags flags, const cl_image_format *format, const cl_image_desc *desc,
                                       void *host, cl_int *error)
{
    cl_mem placed = place_image(context, flags, format, desc, host);
    if (placed != NULL) {
        if (error != NULL) *error = CL_SUCCESS;
        return placed;
    }
    count_passed();
    return target->clCreateImage(context, flags, format, desc, host, error);
}

static cl_mem CL_API_CALL create_image_with_properties(cl_context context, const cl_mem_properties *properties, cl_mem_flags flags,
                                                       const cl_image_format *format, const cl_image_desc *desc, void *host, cl_int *error)
{
    if (properties == NULL || properties[0] == 0) return create_image(context, flags, format, desc, host, error);
    count_passed();
    return target->clCreateImageWithProperties(context, properties, flags, format, desc, host, error);
}

static cl_mem CL_API_CALL create_image_2d(cl_context context, cl_mem_flags flags, const cl_image_format *format, size_t width,
                                          size_t height, size_t pitch, void *host, cl_int *error)
{
    const cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = width, .image_height = height, .image_row_pitch = pitch};
    return create_image(context, flags, format, &desc, host, error);
}

static cl_mem CL_API_CALL create_image_3d(cl_context context, cl_mem_flags flags, const cl_image_format *format, size_t width,
                                          size_t height, size_t depth, size_t row_pitch, size_t slice_pitch, void *host, cl_int *error)
{
    const cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE3D,
                                .image_width = width,
                                .image_height = height,
                                .image_depth = depth,
                                .image_row_pitch = row_pitch,
                                .image_slice_pitch = slice_pitch};
    return create_image(context, flags, format, &desc, host, error);
}

/* ---- questions ---- */

static cl_int answer(const void *value, size_t bytes, size_t room_bytes, void *place_for_it, size_t *bytes_out)
{
    if (place_for_it != NULL && room_bytes < bytes) return CL_INVALID_VALUE;
    if (place_for_it != NULL) memcpy(place_for_it, value, bytes);
    if (bytes_out != NULL) *bytes_out = bytes;
    return CL_SUCCESS;
}

/* What would show that the object is part of a block, or lies in memory of the host. */
static cl_int CL_API_CALL get_mem_object_info(cl_mem handle, cl_mem_info info, size_t room_bytes, void *value, size_t *bytes_out)
{
    object found;
    void *const nothing = NULL;
    if (!find_object(handle, &found)) return target->clGetMemObjectInfo(handle, info, room_bytes, value, bytes_out);
    switch (info) {
    case CL_MEM_FLAGS:
        return answer(&found.flags, sizeof found.flags, room_bytes, value, bytes_out);
    case CL_MEM_HOST_PTR:
        return answer(&nothing, sizeof nothing, room_bytes, value, bytes_out);
    case CL_MEM_ASSOCIATED_MEMOBJECT:
        return answer(&found.parent, sizeof found.parent, room_bytes, value, bytes_out);
    case CL_MEM_OFFSET:
        return answer(&found.offset, sizeof found.offset, room_bytes, value, bytes_out);
    default:
        return target->clGetMemObjectInfo(handle, info, room_bytes, value, bytes_out);
    }
}

/* ---- the layer ---- */

ACRE_API cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t room_bytes, void *value, size_t *bytes_out)
{
    static const char text[] = "acre";
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    switch (name) {
    case CL_LAYER_API_VERSION:
        return answer(&version, sizeof version, room_bytes, value, bytes_out);
    case CL_LAYER_NAME:
        return answer(text, sizeof text, room_bytes, value, bytes_out);
    default:
        return CL_INVALID_VALUE;
    }
}

/* Whether ACRE_OPENCL has a word. */
static bool is_wished(const char *word)
{
    const char *const wishes = getenv("ACRE_OPENCL");
    return wishes != NULL && strstr(wishes, word) != NULL;
}

/* ACRE_OPENCL=report: a line about what was placed, when the process ends. */
__attribute__((destructor)) static void report(void)
{
    if (target == NULL || !is_wished("report")) return;
    (void)fprintf(stderr,
                  "acre: %" PRIu64 " buffers of %" PRIu64 " bytes and %" PRIu64 " parts of them, %" PRIu64 " images of %" PRIu64
                  " bytes; %" PRIu64 " memory objects passed on; %" PRIu64 " were not released\n",
                  layer.buffer_count, layer.buffer_bytes, layer.sub_buffer_count, layer.image_count, layer.image_bytes, layer.passed_count,
                  layer.live_count);
}

ACRE_API cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *below, cl_uint *count_out, const cl_icd_dispatch **layer_out)
{
    const size_t needed = offsetof(cl_icd_dispatch, clCreateImageWithProperties) / sizeof(void *) + 1,
                 known = sizeof dispatch / sizeof(void *);
    const size_t shared = count < known ? count : known;
    if (below == NULL || count_out == NULL || layer_out == NULL || count < needed) return CL_INVALID_VALUE;
    memcpy(&dispatch, below, shared * sizeof(void *));
    target = below;
#define TAKE(is_needed, name) target_calls.name = below->name;
    ACRE_OPENCL_CALLS(TAKE)
#undef TAKE
    wants_blocks = is_wished("blocks");
    host_driver = (acre_gpu_driver){&host_ops, "host"};
    if (acre_gpu_open(&host_driver, NULL, &host_gpu) != ACRE_OK) host_gpu = NULL; /* images are passed on */
    dispatch.clCreateBuffer = create_buffer;
    dispatch.clCreateBufferWithProperties = create_buffer_with_properties;
    dispatch.clCreateSubBuffer = create_sub_buffer;
    dispatch.clCreateImage = create_image;
    dispatch.clCreateImageWithProperties = create_image_with_properties;
    dispatch.clCreateImage2D = create_image_2d;
    dispatch.clCreateImage3D = create_image_3d;
    dispatch.clGetMemObjectInfo = get_mem_object_info;
    *layer_out = &dispatch;
    *count_out = (cl_uint)shared;
    return CL_SUCCESS;
}
