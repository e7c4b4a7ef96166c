/* buffers.c - sub-buffers of the manager's blocks, buffers over the host's memory, images, and shared virtual memory. */
#include "opencl/context.h"

#include <stdlib.h>
#include <string.h>

enum { KIND_PLACED, KIND_WRAPPED, KIND_IMAGE };

enum { SVM_ALIGNMENT_BYTES_MAX = 128 };

static acre_status is_null(const char *verb) { return acre_fail(ACRE_INVALID, "opencl: %s: NULL", verb); }

/* ---- what is in use ---- */

static acre_status make_room(acre_opencl *cl, acre_block_table *table)
{
    (void)cl;
    return acre_block_table_grow(table) ? ACRE_OK : acre_fail(ACRE_NO_MEMORY, "opencl: no host memory for one more buffer");
}

/* Takes what `buffer` is into the table; a failure gives it back to OpenCL. */
static acre_status note_buffer(acre_opencl *cl, const acre_opencl_buffer *buffer, uint32_t kind)
{
    pthread_mutex_lock(&cl->lock);
    const acre_status status = make_room(cl, &cl->buffers);
    if (status == ACRE_OK)
        acre_block_table_insert(&cl->buffers,
                                &(acre_device_block){.address = (uintptr_t)buffer->mem, .size_bytes = buffer->memory, .kind = kind});
    pthread_mutex_unlock(&cl->lock);
    if (status != ACRE_OK) (void)cl->calls.clReleaseMemObject(buffer->mem);
    return status;
}

acre_status acre_opencl_free(acre_opencl *cl, acre_opencl_buffer *buffer)
{
    if (cl == NULL || buffer == NULL) return is_null("free");
    pthread_mutex_lock(&cl->lock);
    acre_device_block *const block = acre_block_table_find(&cl->buffers, (uintptr_t)buffer->mem);
    const acre_gpu_memory memory = block == NULL ? 0 : block->size_bytes;
    acre_status status = ACRE_OK;
    if (block == NULL)
        status = acre_fail(ACRE_BAD_POINTER, "opencl: free: %p is no buffer in use", (void *)buffer->mem);
    else
        status = acre_opencl_status("clReleaseMemObject", cl->calls.clReleaseMemObject(buffer->mem));
    if (status == ACRE_OK && block != NULL) acre_block_table_remove(&cl->buffers, block);
    pthread_mutex_unlock(&cl->lock);
    if (status != ACRE_OK) return status;
    memset(buffer, 0, sizeof *buffer);
    return acre_gpu_free(cl->gpu, memory);
}

/* ---- buffers ---- */

acre_status acre_opencl_alloc(acre_opencl *cl, uint64_t size_bytes, acre_opencl_buffer *buffer)
{
    if (cl == NULL || buffer == NULL) return is_null("alloc");
    const acre_gpu_request request = {.size_bytes = size_bytes, .alignment_bytes = cl->facts.alignment_bytes};
    acre_gpu_memory_info info;
    acre_opencl_buffer made = {.size_bytes = size_bytes};
    cl_int error;
    acre_status status = acre_gpu_alloc(cl->gpu, &request, &made.memory);
    if (status != ACRE_OK) return status;
    status = acre_gpu_read_memory(cl->gpu, made.memory, &info);
    if (status == ACRE_OK) {
        const cl_buffer_region region = {.origin = info.offset_bytes, .size = size_bytes};
        made.mem =
            cl->calls.clCreateSubBuffer((cl_mem)(uintptr_t)info.handle, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
        status = made.mem == NULL ? acre_opencl_status("clCreateSubBuffer", error) : note_buffer(cl, &made, KIND_PLACED);
    }
    if (status != ACRE_OK) {
        (void)acre_gpu_free(cl->gpu, made.memory);
        return status;
    }
    *buffer = made;
    return ACRE_OK;
}

acre_status acre_opencl_wrap(acre_opencl *cl, void *host, uint64_t size_bytes, acre_opencl_buffer *buffer)
{
    if (cl == NULL || buffer == NULL || host == NULL) return is_null("wrap");
    const uint32_t alignment = cl->facts.alignment_bytes;
    if (size_bytes == 0 || size_bytes % alignment != 0 || (uintptr_t)host % alignment != 0)
        return acre_fail(ACRE_INVALID, "opencl: wrap: %llu bytes at %p: device '%s' wants multiples of %u", (unsigned long long)size_bytes,
                         host, cl->facts.name, alignment);
    cl_int error;
    acre_opencl_buffer made = {.size_bytes = size_bytes};
    made.mem = cl->calls.clCreateBuffer(cl->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, size_bytes, host, &error);
    if (made.mem == NULL) return acre_opencl_status("clCreateBuffer", error);
    const acre_status status = note_buffer(cl, &made, KIND_WRAPPED);
    if (status == ACRE_OK) *buffer = made;
    return status;
}

/* ---- images ---- */

static acre_status check_format(acre_opencl *cl, cl_mem_object_type type, const cl_image_format *wanted)
{
    cl_uint count = 0;
    cl_int error = cl->calls.clGetSupportedImageFormats(cl->context, CL_MEM_READ_WRITE, type, 0, NULL, &count);
    if (error != CL_SUCCESS) return acre_opencl_status("clGetSupportedImageFormats", error);
    cl_image_format *const formats = calloc(count + 1u, sizeof *formats);
    if (formats == NULL) return acre_fail(ACRE_NO_MEMORY, "opencl: no host memory for %u formats", count);
    error = cl->calls.clGetSupportedImageFormats(cl->context, CL_MEM_READ_WRITE, type, count, formats, NULL);
    bool is_found = false;
    for (cl_uint i = 0; i < count && error == CL_SUCCESS; i++)
        is_found |= formats[i].image_channel_order == wanted->image_channel_order &&
                    formats[i].image_channel_data_type == wanted->image_channel_data_type;
    free(formats);
    if (error != CL_SUCCESS) return acre_opencl_status("clGetSupportedImageFormats", error);
    return is_found ? ACRE_OK
                    : acre_fail(ACRE_UNSUPPORTED, "opencl: image: order 0x%x with type 0x%x is not a format of device '%s'",
                                wanted->image_channel_order, wanted->image_channel_data_type, cl->facts.name);
}

/* Of a format that is not known here, OpenCL has to judge. */
uint64_t acre_opencl_pixel_bytes(uint32_t order, uint32_t type)
{
    unsigned channels = 0;
    switch (order) {
    case CL_R:
    case CL_A:
    case CL_INTENSITY:
    case CL_LUMINANCE:
    case CL_DEPTH:
        channels = 1;
        break;
    case CL_RG:
    case CL_RA:
        channels = 2;
        break;
    case CL_RGBA:
    case CL_BGRA:
    case CL_ARGB:
    case CL_ABGR:
    case CL_sRGBA:
    case CL_sBGRA:
        channels = 4;
        break;
    default:
        return 0;
    }
    switch (type) {
    case CL_SNORM_INT8:
    case CL_UNORM_INT8:
    case CL_SIGNED_INT8:
    case CL_UNSIGNED_INT8:
        return channels;
    case CL_SNORM_INT16:
    case CL_UNORM_INT16:
    case CL_SIGNED_INT16:
    case CL_UNSIGNED_INT16:
    case CL_HALF_FLOAT:
        return channels * 2;
    case CL_SIGNED_INT32:
    case CL_UNSIGNED_INT32:
    case CL_FLOAT:
        return channels * 4;
    default:
        return 0;
    }
}

/* A row is no longer than its pitch, a slice no longer than its own. After check_size. */
static acre_status check_pitches(const acre_opencl_image *image)
{
    const uint64_t row_bytes = image->width * acre_opencl_pixel_bytes(image->channel_order, image->channel_type);
    const uint64_t row_pitch = image->row_pitch_bytes == 0 ? row_bytes : image->row_pitch_bytes;
    if (row_pitch < row_bytes)
        return acre_fail(ACRE_INVALID, "opencl: image: a pitch of %llu bytes for rows of %llu", (unsigned long long)row_pitch,
                         (unsigned long long)row_bytes);
    if (image->slice_pitch_bytes != 0 && image->slice_pitch_bytes / image->height < row_pitch)
        return acre_fail(ACRE_INVALID, "opencl: image: a pitch of %llu bytes for slices of %llu rows of %llu",
                         (unsigned long long)image->slice_pitch_bytes, (unsigned long long)image->height, (unsigned long long)row_pitch);
    return ACRE_OK;
}

static acre_status check_size(const acre_opencl *cl, const acre_opencl_image *image)
{
    const acre_opencl_facts *const f = &cl->facts;
    const bool is_volume = image->depth > 0;
    const uint64_t width_max = is_volume ? f->volume_width : f->image_width, height_max = is_volume ? f->volume_height : f->image_height;
    const unsigned long long w = image->width, h = image->height, d = image->depth;
    if (w == 0 || h == 0) return acre_fail(ACRE_INVALID, "opencl: image: %llu x %llu pixels", w, h);
    if (image->host == NULL && (image->row_pitch_bytes != 0 || image->slice_pitch_bytes != 0))
        return acre_fail(ACRE_INVALID, "opencl: image: a pitch without contents");
    if (!is_volume && image->slice_pitch_bytes != 0) return acre_fail(ACRE_INVALID, "opencl: image: a pitch of slices, and one slice");
    if (!f->has_images) return acre_fail(ACRE_UNSUPPORTED, "opencl: image: device '%s' has none", f->name);
    if (w > width_max || h > height_max || (is_volume && d > f->volume_depth))
        return acre_fail(ACRE_UNSUPPORTED, "opencl: image: %llu x %llu x %llu pixels: device '%s' has up to %llu x %llu x %llu", w, h, d,
                         f->name, (unsigned long long)width_max, (unsigned long long)height_max,
                         (unsigned long long)(is_volume ? f->volume_depth : 0));
    return ACRE_OK;
}

acre_status acre_opencl_image_alloc(acre_opencl *cl, const acre_opencl_image *image, acre_opencl_buffer *buffer)
{
    if (cl == NULL || image == NULL || buffer == NULL) return is_null("image");
    const cl_mem_object_type type = image->depth > 0 ? CL_MEM_OBJECT_IMAGE3D : CL_MEM_OBJECT_IMAGE2D;
    const cl_image_format format = {.image_channel_order = image->channel_order, .image_channel_data_type = image->channel_type};
    acre_status status = check_size(cl, image);
    if (status == ACRE_OK) status = check_format(cl, type, &format);
    if (status == ACRE_OK) status = check_pitches(image);
    if (status != ACRE_OK) return status;
    const cl_image_desc desc = {.image_type = type,
                                .image_width = image->width,
                                .image_height = image->height,
                                .image_depth = image->depth,
                                .image_row_pitch = image->row_pitch_bytes,
                                .image_slice_pitch = image->slice_pitch_bytes};
    const cl_mem_flags flags = CL_MEM_READ_WRITE | (image->host != NULL ? CL_MEM_COPY_HOST_PTR : 0);
    acre_opencl_buffer made = {.mem = NULL};
    cl_int error;
    made.mem = cl->calls.clCreateImage(cl->context, flags, &format, &desc, image->host, &error);
    if (made.mem == NULL) return acre_opencl_status("clCreateImage", error);
    status = note_buffer(cl, &made, KIND_IMAGE);
    if (status == ACRE_OK) *buffer = made;
    return status;
}

/* ---- shared virtual memory ---- */

acre_status acre_opencl_svm_alloc(acre_opencl *cl, uint64_t size_bytes, uint32_t alignment_bytes, bool is_fine, void **pointer)
{
    if (cl == NULL || pointer == NULL) return is_null("svm");
    if (is_fine ? !cl->facts.has_fine_svm : !cl->facts.has_coarse_svm)
        return acre_fail(ACRE_UNSUPPORTED, "opencl: device '%s' has no %s shared virtual memory", cl->facts.name,
                         is_fine ? "fine" : "coarse");
    if (size_bytes == 0 || (alignment_bytes & (alignment_bytes - 1)) != 0 || alignment_bytes > SVM_ALIGNMENT_BYTES_MAX)
        return acre_fail(ACRE_INVALID, "opencl: svm: %llu bytes, aligned to %u", (unsigned long long)size_bytes, alignment_bytes);
    if (size_bytes > cl->facts.block_bytes_max)
        return acre_fail(ACRE_NO_MEMORY, "opencl: svm: %llu bytes: device '%s' gives %llu at a time", (unsigned long long)size_bytes,
                         cl->facts.name, (unsigned long long)cl->facts.block_bytes_max);
    const cl_svm_mem_flags flags = CL_MEM_READ_WRITE | (is_fine ? CL_MEM_SVM_FINE_GRAIN_BUFFER : 0);
    pthread_mutex_lock(&cl->lock);
    acre_status status = make_room(cl, &cl->svm);
    void *const found = status == ACRE_OK ? cl->calls.clSVMAlloc(cl->context, flags, size_bytes, alignment_bytes) : NULL;
    if (status == ACRE_OK && found == NULL)
        status = acre_fail(ACRE_NO_MEMORY, "opencl: clSVMAlloc: no %llu bytes, %llu are in use", (unsigned long long)size_bytes,
                           (unsigned long long)cl->svm_bytes);
    if (status == ACRE_OK) {
        acre_block_table_insert(&cl->svm, &(acre_device_block){.address = (uintptr_t)found, .size_bytes = size_bytes});
        cl->svm_bytes += size_bytes;
        *pointer = found;
    }
    pthread_mutex_unlock(&cl->lock);
    return status;
}

acre_status acre_opencl_svm_free(acre_opencl *cl, void *pointer)
{
    if (cl == NULL) return is_null("svm free");
    pthread_mutex_lock(&cl->lock);
    acre_device_block *const block = acre_block_table_find(&cl->svm, (uintptr_t)pointer);
    if (block != NULL) {
        cl->svm_bytes -= block->size_bytes;
        acre_block_table_remove(&cl->svm, block);
        cl->calls.clSVMFree(cl->context, pointer);
    }
    pthread_mutex_unlock(&cl->lock);
    return block != NULL ? ACRE_OK : acre_fail(ACRE_BAD_POINTER, "opencl: svm free: %p is no shared memory in use", pointer);
}
