/* queues.c - whole buffers in the order of in-order queues: a marker's event is recorded behind each free. */
#include "opencl/context.h"

#include <string.h>

static cl_event event_of(uint64_t number) { return (cl_event)(uintptr_t)number; }

static acre_status take(void *context, uint64_t size_bytes, uint64_t *address, void **owner)
{
    const acre_opencl *const cl = context;
    cl_int error;
    cl_mem mem = cl->calls.clCreateBuffer(cl->context, CL_MEM_READ_WRITE, size_bytes, NULL, &error);
    *address = (uintptr_t)mem;
    *owner = NULL;
    return mem == NULL ? acre_opencl_status("clCreateBuffer", error) : ACRE_OK;
}

static acre_status give(void *context, uint64_t address, void *owner)
{
    const acre_opencl *const cl = context;
    (void)owner;
    return acre_opencl_status("clReleaseMemObject", cl->calls.clReleaseMemObject((cl_mem)(uintptr_t)address));
}

/* Flushed, so that the event is reached without anybody waiting for it. */
static acre_status record(void *context, void *queue, uint64_t *number)
{
    const acre_opencl *const cl = context;
    cl_event event = NULL;
    const acre_status status =
        acre_opencl_status("clEnqueueMarkerWithWaitList", cl->calls.clEnqueueMarkerWithWaitList(queue, 0, NULL, &event));
    if (status != ACRE_OK) return status;
    *number = (uintptr_t)event;
    return acre_opencl_status("clFlush", cl->calls.clFlush(queue));
}

/* An event that ended in an error has passed, too: its commands do not run any more. */
static bool has_passed(void *context, uint64_t event)
{
    const acre_opencl *const cl = context;
    cl_int state = CL_QUEUED;
    return cl->calls.clGetEventInfo(event_of(event), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL) == CL_SUCCESS &&
           state <= CL_COMPLETE;
}

static acre_status stream_wait(void *context, void *queue, uint64_t number)
{
    const acre_opencl *const cl = context;
    cl_event event = event_of(number);
    return acre_opencl_status("clEnqueueBarrierWithWaitList", cl->calls.clEnqueueBarrierWithWaitList(queue, 1, &event, NULL));
}

static acre_status host_wait(void *context, uint64_t number)
{
    const acre_opencl *const cl = context;
    cl_event event = event_of(number);
    return acre_opencl_status("clWaitForEvents", cl->calls.clWaitForEvents(1, &event));
}

static acre_status synchronise(void *context, void *queue)
{
    const acre_opencl *const cl = context;
    return acre_opencl_status("clFinish", cl->calls.clFinish(queue));
}

static acre_status drop_event(void *context, uint64_t event)
{
    const acre_opencl *const cl = context;
    return acre_opencl_status("clReleaseEvent", cl->calls.clReleaseEvent(event_of(event)));
}

const acre_stream_pool_ops acre_opencl_pool_ops = {take, give, record, has_passed, stream_wait, host_wait, synchronise, drop_event, false};

/* ---- what callers call ---- */

static acre_status check_queue(const acre_opencl *cl, cl_command_queue queue)
{
    cl_command_queue_properties properties = 0;
    if (cl == NULL || queue == NULL) return acre_fail(ACRE_INVALID, "opencl queue: NULL");
    const cl_int error = cl->calls.clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL);
    if (error != CL_SUCCESS) return acre_opencl_status("clGetCommandQueueInfo", error);
    if (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE)
        return acre_fail(ACRE_UNSUPPORTED, "opencl queue: %p runs out of order: nothing comes behind anything", (void *)queue);
    return ACRE_OK;
}

acre_status acre_opencl_queue_alloc(acre_opencl *cl, struct _cl_command_queue *queue, uint64_t size_bytes, acre_opencl_buffer *buffer)
{
    if (buffer == NULL) return acre_fail(ACRE_INVALID, "opencl queue: NULL");
    acre_status status = check_queue(cl, queue);
    if (status == ACRE_OK && size_bytes > cl->facts.block_bytes_max)
        status = acre_fail(ACRE_NO_MEMORY, "opencl queue: %llu bytes: device '%s' gives %llu at a time", (unsigned long long)size_bytes,
                           cl->facts.name, (unsigned long long)cl->facts.block_bytes_max);
    if (status != ACRE_OK) return status;
    acre_device_block block;
    status = acre_stream_pool_alloc(cl->pool, queue, size_bytes, &block);
    if (status == ACRE_OK)
        *buffer = (acre_opencl_buffer){.mem = (cl_mem)(uintptr_t)block.address, .size_bytes = size_bytes, .block_bytes = block.size_bytes};
    return status;
}

acre_status acre_opencl_queue_free(acre_opencl *cl, struct _cl_command_queue *queue, acre_opencl_buffer *buffer)
{
    if (buffer == NULL) return acre_fail(ACRE_INVALID, "opencl queue: NULL");
    acre_status status = check_queue(cl, queue);
    if (status == ACRE_OK) status = acre_stream_pool_free(cl->pool, queue, (uintptr_t)buffer->mem);
    if (status == ACRE_OK) memset(buffer, 0, sizeof *buffer);
    return status;
}

acre_status acre_opencl_queue_finish(acre_opencl *cl, struct _cl_command_queue *queue)
{
    const acre_status status = check_queue(cl, queue);
    return status == ACRE_OK ? acre_stream_pool_synchronise(cl->pool, queue) : status;
}

acre_status acre_opencl_queue_forget(acre_opencl *cl, struct _cl_command_queue *queue)
{
    const acre_status status = check_queue(cl, queue);
    return status == ACRE_OK ? acre_stream_pool_forget(cl->pool, queue) : status;
}

acre_status acre_opencl_queue_trim(acre_opencl *cl, uint64_t keep_bytes)
{
    if (cl == NULL) return acre_fail(ACRE_INVALID, "opencl queue: NULL");
    (void)acre_stream_pool_trim(cl->pool, keep_bytes);
    return ACRE_OK;
}
