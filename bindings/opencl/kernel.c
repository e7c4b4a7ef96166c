/* kernel.c - what a kernel needs against what the device has, before it is launched. */
#include "opencl/context.h"

enum { NAME_BYTES_MAX = 128 };

static acre_status read_need(const acre_opencl *cl, cl_kernel kernel, const acre_opencl_launch *launch, acre_opencl_need *need)
{
    cl_ulong local_bytes = 0, private_bytes = 0;
    size_t items = 0;
    const opencl_calls *const c = &cl->calls;
    cl_int error = c->clGetKernelWorkGroupInfo(kernel, cl->device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local_bytes, &local_bytes, NULL);
    if (error == CL_SUCCESS) error = c->clGetKernelWorkGroupInfo(kernel, cl->device, CL_KERNEL_WORK_GROUP_SIZE, sizeof items, &items, NULL);
    if (error != CL_SUCCESS) return acre_opencl_status("clGetKernelWorkGroupInfo", error);
    (void)c->clGetKernelWorkGroupInfo(kernel, cl->device, CL_KERNEL_PRIVATE_MEM_SIZE, sizeof private_bytes, &private_bytes,
                                      NULL); /* may be unknown */
    *need = (acre_opencl_need){.local_bytes = local_bytes + launch->local_bytes, .private_bytes = private_bytes, .group_items_max = items};
    for (uint32_t i = 0; i < launch->constant_count; i++) need->constant_bytes += launch->constant_bytes[i];
    return ACRE_OK;
}

static acre_status check_memory(const acre_opencl *cl, const char *name, const acre_opencl_launch *launch, const acre_opencl_need *need)
{
    const acre_opencl_facts *const f = &cl->facts;
    if (launch->local_bytes > f->local_bytes || need->local_bytes > f->local_bytes)
        return acre_fail(
            ACRE_NO_MEMORY, "opencl: kernel '%s' needs %llu bytes of local memory, %llu of them for arguments: device '%s' has %llu", name,
            (unsigned long long)need->local_bytes, (unsigned long long)launch->local_bytes, f->name, (unsigned long long)f->local_bytes);
    if (launch->constant_count > f->constant_count)
        return acre_fail(ACRE_NO_MEMORY, "opencl: kernel '%s' has %u constant arguments: device '%s' has %u", name, launch->constant_count,
                         f->name, f->constant_count);
    for (uint32_t i = 0; i < launch->constant_count; i++)
        if (launch->constant_bytes[i] > f->constant_bytes)
            return acre_fail(ACRE_NO_MEMORY,
                             "opencl: kernel '%s' needs %llu bytes of constant memory for its argument %u: device '%s' has %llu", name,
                             (unsigned long long)launch->constant_bytes[i], i, f->name, (unsigned long long)f->constant_bytes);
    return ACRE_OK;
}

static acre_status check_group(const acre_opencl *cl, const char *name, const acre_opencl_launch *launch, const acre_opencl_need *need)
{
    uint64_t items = 1;
    for (uint32_t i = 0; i < launch->dimension_count; i++) {
        if (launch->group_items[i] == 0) return acre_fail(ACRE_INVALID, "opencl: kernel '%s': a group of 0 items in dimension %u", name, i);
        if (launch->group_items[i] > need->group_items_max / items)
            return acre_fail(ACRE_NO_MEMORY,
                             "opencl: kernel '%s' with a group of %llu x %llu x %llu items: device '%s' can have %llu with what it needs",
                             name, (unsigned long long)launch->group_items[0],
                             (unsigned long long)(launch->dimension_count > 1 ? launch->group_items[1] : 1),
                             (unsigned long long)(launch->dimension_count > 2 ? launch->group_items[2] : 1), cl->facts.name,
                             (unsigned long long)need->group_items_max);
        items *= launch->group_items[i];
    }
    return ACRE_OK;
}

acre_status acre_opencl_check_kernel(acre_opencl *cl, struct _cl_kernel *kernel, const acre_opencl_launch *launch, acre_opencl_need *need)
{
    if (cl == NULL || kernel == NULL || launch == NULL || (launch->constant_count > 0 && launch->constant_bytes == NULL))
        return acre_fail(ACRE_INVALID, "opencl: check of a kernel: NULL");
    if (launch->dimension_count > 3) return acre_fail(ACRE_INVALID, "opencl: check of a kernel: %u dimensions", launch->dimension_count);
    char name[NAME_BYTES_MAX] = "";
    acre_opencl_need found = {.local_bytes = 0};
    (void)cl->calls.clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name - 1, name, NULL);
    acre_status status = read_need(cl, kernel, launch, &found);
    if (status == ACRE_OK && need != NULL) *need = found;
    if (status == ACRE_OK) status = check_memory(cl, name, launch, &found);
    if (status == ACRE_OK) status = check_group(cl, name, launch, &found);
    return status;
}
