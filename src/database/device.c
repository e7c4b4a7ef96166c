/* device.c - the gate of devices: arguments are checked here, so that implementations need not. */
#include "base/bits.h"
#include "base/status.h"

#include <acre/device.h>

acre_status acre_device_init(acre_device *device, const acre_device_ops *ops, const char *name, uint32_t alignment_bytes)
{
    if (device == NULL || ops == NULL || name == NULL) return acre_fail(ACRE_INVALID, "device: a NULL");
    if (!acre_is_power_of_two(alignment_bytes) || ops->size_bytes < sizeof(acre_device_ops) || ops->submit == NULL || ops->size == NULL ||
        ops->close == NULL) {
        return acre_fail(ACRE_INVALID, "device '%s': alignment %u is no power of two, or an operation is missing", name, alignment_bytes);
    }
    *device = (acre_device){.ops = ops, .name = name, .alignment_bytes = alignment_bytes, .descriptor = -1};
    return ACRE_OK;
}

void acre_device_close(acre_device *device)
{
    if (device == NULL || device->ops == NULL) return;
    device->ops->close(device);
    device->ops = NULL;
}

static bool is_good(const acre_device *device, const acre_device_request *request)
{
    if (request == NULL || request->done == NULL || (unsigned)request->verb > ACRE_DEVICE_FLUSH) return false;
    if (request->verb == ACRE_DEVICE_FLUSH) return request->part_count == 0;
    if (request->part_count == 0 || request->part_count > ACRE_DEVICE_PARTS_MAX || request->parts == NULL) return false;
    const uint64_t mask = device->alignment_bytes - 1;
    if ((request->offset & mask) != 0 || request->offset > (uint64_t)1 << 62) return false;
    for (uint32_t i = 0; i < request->part_count; i++) {
        const acre_device_part *const part = &request->parts[i];
        if (part->bytes == NULL || part->size_bytes == 0 || (((uintptr_t)part->bytes | part->size_bytes) & mask) != 0) return false;
        if (part->size_bytes > (uint64_t)1 << 30) return false;
    }
    return true;
}

acre_status acre_device_submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    if (device == NULL || device->ops == NULL || (requests == NULL && count > 0)) return acre_fail(ACRE_INVALID, "device: a NULL");
    for (size_t i = 0; i < count; i++) {
        if (!is_good(device, requests[i]))
            return acre_fail(ACRE_INVALID, "device '%s': request %zu: a NULL, or no multiple of %u bytes", device->name, i,
                             device->alignment_bytes);
    }
    for (size_t i = 0; i < count; i++) {
        requests[i]->status = ACRE_OK;
        requests[i]->system_error = 0;
        requests[i]->done_bytes = 0;
        requests[i]->next = NULL;
    }
    if (count > 0) device->ops->submit(device, requests, count);
    return ACRE_OK;
}

size_t acre_device_poll(acre_device *device, uint64_t wait_ns)
{
    if (device == NULL || device->ops == NULL || device->ops->poll == NULL) return 0;
    return device->ops->poll(device, wait_ns);
}

static void note_done(acre_device_request *request) { __atomic_store_n((bool *)request->context, true, __ATOMIC_RELEASE); }

acre_status acre_device_do(acre_device *device, acre_device_request *request)
{
    enum { WAIT_NS = 10000000 };
    bool is_done = false;
    if (request == NULL) return acre_fail(ACRE_INVALID, "device: a NULL");
    request->done = note_done;
    request->context = &is_done;
    const acre_status status = acre_device_submit(device, &request, 1);
    if (status == ACRE_OK)
        while (!__atomic_load_n(&is_done, __ATOMIC_ACQUIRE)) (void)acre_device_poll(device, WAIT_NS);
    request->context = NULL;
    if (status != ACRE_OK) return status;
    if (request->status != ACRE_OK) {
        static const char *const verbs[] = {"read", "write", "flush"};
        return acre_fail(request->status, "device '%s': %s at %llu: %llu bytes done (errno %d)", device->name, verbs[request->verb],
                         (unsigned long long)request->offset, (unsigned long long)request->done_bytes, request->system_error);
    }
    return ACRE_OK;
}

acre_status acre_device_flush(acre_device *device)
{
    acre_device_request flush = {.verb = ACRE_DEVICE_FLUSH};
    return acre_device_do(device, &flush);
}

acre_status acre_device_size(acre_device *device, uint64_t *bytes)
{
    if (device == NULL || device->ops == NULL || bytes == NULL) return acre_fail(ACRE_INVALID, "device: a NULL");
    return device->ops->size(device, bytes);
}

acre_status acre_device_resize(acre_device *device, uint64_t bytes)
{
    if (device == NULL || device->ops == NULL) return acre_fail(ACRE_INVALID, "device: a NULL");
    if (device->ops->resize == NULL) return acre_fail(ACRE_UNSUPPORTED, "device '%s' has a fixed size", device->name);
    return device->ops->resize(device, bytes);
}

acre_status acre_device_use_memory(acre_device *device, void *memory, size_t bytes)
{
    if (device == NULL || device->ops == NULL) return acre_fail(ACRE_INVALID, "device: a NULL");
    return device->ops->use_memory == NULL ? ACRE_OK : device->ops->use_memory(device, memory, bytes);
}
