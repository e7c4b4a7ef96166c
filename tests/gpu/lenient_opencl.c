/* lenient_opencl.c - a layer of the OpenCL loader that makes the driver look like NVIDIA's: by its vendor, and it makes parts of parts of
 * buffers, though the standard forbids it. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl_icd.h>
#include <CL/cl_layer.h>
#include <string.h>

#define LAYER __attribute__((visibility("default")))

static const cl_icd_dispatch *target;
static cl_icd_dispatch dispatch;

static cl_mem CL_API_CALL create_sub_buffer(cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *error)
{
    cl_mem whole = NULL;
    size_t offset = 0;
    if (target->clGetMemObjectInfo(parent, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof whole, &whole, NULL) != CL_SUCCESS || whole == NULL ||
        target->clGetMemObjectInfo(parent, CL_MEM_OFFSET, sizeof offset, &offset, NULL) != CL_SUCCESS)
        return target->clCreateSubBuffer(parent, flags, type, info, error);
    cl_buffer_region region;
    memcpy(&region, info, sizeof region);
    region.origin += offset;
    return target->clCreateSubBuffer(whole, flags, type, &region, error);
}

static cl_int CL_API_CALL get_device_info(cl_device_id device, cl_device_info info, size_t room_bytes, void *value, size_t *bytes_out)
{
    static const char vendor[] = "NVIDIA Corporation";
    if (info != CL_DEVICE_VENDOR || value == NULL || room_bytes < sizeof vendor)
        return target->clGetDeviceInfo(device, info, room_bytes, value, bytes_out);
    memcpy(value, vendor, sizeof vendor);
    return CL_SUCCESS;
}

LAYER cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t room_bytes, void *value, size_t *bytes_out)
{
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (name != CL_LAYER_API_VERSION || room_bytes < sizeof version) return CL_INVALID_VALUE;
    memcpy(value, &version, sizeof version);
    if (bytes_out != NULL) *bytes_out = sizeof version;
    return CL_SUCCESS;
}

LAYER cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *below, cl_uint *count_out, const cl_icd_dispatch **layer_out)
{
    const size_t known = sizeof dispatch / sizeof(void *);
    const size_t shared = count < known ? count : known;
    memcpy(&dispatch, below, shared * sizeof(void *));
    target = below;
    dispatch.clCreateSubBuffer = create_sub_buffer;
    dispatch.clGetDeviceInfo = get_device_info;
    *layer_out = &dispatch;
    *count_out = (cl_uint)shared;
    return CL_SUCCESS;
}
