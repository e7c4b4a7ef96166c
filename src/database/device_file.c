/* device_file.c - a file or block device: through a ring where the system grants one, else by one call a request.
 *
 * Of a ring one thread at a time pushes (lock `submitting`) and one at a time reaps (lock `reaping`); the two go on side by side. Who wants
 * to reap while another does sleeps until that one has reaped something, since that may be what he waits for. What does not fit the ring
 * waits in a list and follows when something has come to an end. A request that was cut short is finished by plain calls: it happens at the
 * end of the file and where the device is full.
 */
#include "base/bits.h"
#include "base/status.h"
#include "os/file_io.h"
#include "os/os.h"

#include <acre/device.h>
#include <acre/space.h>
#include <string.h>

enum { REAP_COUNT = 64, DEPTH_DEFAULT = 128, DEPTH_MAX = 1024, DIRECT_ALIGNMENT = 4096 };

_Static_assert(sizeof(acre_device_part) == sizeof(acre_os_part) &&
                   offsetof(acre_device_part, size_bytes) == offsetof(acre_os_part, size_bytes),
               "parts are handed on as they are");

typedef struct ring_device {
    acre_ring ring;
    acre_lock submitting;
    acre_lock reaping;
    uint32_t in_flight;                /* submitted and not reaped, those that wait included */
    uint32_t in_ring;                  /* given to the ring and not reaped */
    acre_device_request *first, *last; /* wait for room in the ring; under `submitting` */
    uint32_t reaped_count;             /* what a thread sleeps on that wants to reap too */
    uint32_t sleeper_count;
} ring_device;

static const acre_os_part *parts_of(const acre_device_request *request) { return (const acre_os_part *)(const void *)request->parts; }

static uint64_t size_of(const acre_device_request *request)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < request->part_count; i++) bytes += request->parts[i].size_bytes;
    return bytes;
}

/* What is missing of a read lies beyond the end of the file. */
static void fill_with_zeros(acre_device_request *request)
{
    uint64_t skipped = request->done_bytes;
    for (uint32_t i = 0; i < request->part_count; i++) {
        const acre_device_part *const part = &request->parts[i];
        const uint64_t kept = skipped < part->size_bytes ? skipped : part->size_bytes;
        memset((char *)part->bytes + kept, 0, part->size_bytes - (size_t)kept);
        skipped -= kept;
    }
    request->done_bytes = size_of(request);
}

static bool is_at_end(const acre_device *device, const acre_device_request *request)
{
    uint64_t end = 0;
    return request->done_bytes > 0 && acre_file_size(device->descriptor, &end) == ACRE_OK && request->offset + request->done_bytes >= end;
}

/* Moves what is left of a request by calls, and says how it ended. */
static void finish_by_calls(const acre_device *device, acre_device_request *request)
{
    int error = 0;
    if (request->verb == ACRE_DEVICE_FLUSH) {
        error = acre_file_flush(device->descriptor);
    } else if (request->verb == ACRE_DEVICE_READ && is_at_end(device, request)) {
        fill_with_zeros(request);
    } else {
        request->done_bytes = acre_file_move(device->descriptor, request->verb == ACRE_DEVICE_WRITE, parts_of(request), request->part_count,
                                             request->offset, request->done_bytes, &error);
        if (error == 0) fill_with_zeros(request);
    }
    request->system_error = error;
    request->status = acre_file_status(error);
}

/* ---- by calls ---- */

static void calls_submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        finish_by_calls(device, requests[i]);
        requests[i]->done(requests[i]);
    }
}

static acre_status file_size(acre_device *device, uint64_t *bytes) { return acre_file_size(device->descriptor, bytes); }
static acre_status file_resize(acre_device *device, uint64_t bytes) { return acre_file_resize(device->descriptor, bytes); }
static void calls_close(acre_device *device) { acre_os_close(device->descriptor); }

static const acre_device_ops calls_ops = {
    .size_bytes = sizeof(acre_device_ops), .submit = calls_submit, .size = file_size, .resize = file_resize, .close = calls_close};

/* ---- by a ring ---- */

static bool push(ring_device *d, acre_device_request *request)
{
    if (__atomic_load_n(&d->in_ring, __ATOMIC_RELAXED) >= d->ring.depth) return false;
    const acre_ring_verb verb = request->verb == ACRE_DEVICE_READ    ? ACRE_RING_READ
                                : request->verb == ACRE_DEVICE_WRITE ? ACRE_RING_WRITE
                                                                     : ACRE_RING_FLUSH;
    if (!acre_ring_push(&d->ring, verb, parts_of(request), request->part_count, request->offset, request)) return false;
    (void)__atomic_fetch_add(&d->in_ring, 1, __ATOMIC_RELEASE); /* the request is seen by who reaps it; it is submitted afterwards */
    return true;
}

/* Under `submitting`. */
static void push_waiting(ring_device *d)
{
    while (d->first != NULL && push(d, d->first)) d->first = d->first->next;
    if (d->first == NULL) d->last = NULL;
}

static void wait_in_line(ring_device *d, acre_device_request *request)
{
    request->next = NULL;
    if (d->last == NULL)
        d->first = request;
    else
        d->last->next = request;
    d->last = request;
}

static void ring_submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    ring_device *const d = device->implementation;
    (void)__atomic_fetch_add(&d->in_flight, (uint32_t)count, __ATOMIC_RELAXED);
    acre_lock_take(&d->submitting);
    push_waiting(d);
    for (size_t i = 0; i < count; i++)
        if (d->first != NULL || !push(d, requests[i])) wait_in_line(d, requests[i]);
    (void)acre_ring_submit(&d->ring); /* what the kernel does not take follows with the next one, or at a poll */
    acre_lock_drop(&d->submitting);
}

/* True: it is done. False: it was begun again. */
static bool take_result(acre_device *device, acre_device_request *request, int32_t result)
{
    ring_device *const d = device->implementation;
    if (result < 0 && acre_file_is_interrupted(-result)) {
        acre_lock_take(&d->submitting);
        wait_in_line(d, request);
        acre_lock_drop(&d->submitting);
        return false;
    }
    if (result < 0) {
        request->system_error = -result;
        request->status = acre_file_status(-result);
        return true;
    }
    if (request->verb == ACRE_DEVICE_FLUSH) return true;
    request->done_bytes = (uint64_t)result;
    if (request->done_bytes < size_of(request)) finish_by_calls(device, request);
    return true;
}

/* Under `reaping`. */
static unsigned reap(ring_device *d, acre_ring_result *results, uint64_t wait_ns)
{
    unsigned count = acre_ring_reap(&d->ring, results, REAP_COUNT);
    if (count == 0 && wait_ns > 0) {
        acre_ring_wait(&d->ring, wait_ns);
        count = acre_ring_reap(&d->ring, results, REAP_COUNT);
    }
    return count;
}

static size_t ring_poll(acre_device *device, uint64_t wait_ns)
{
    ring_device *const d = device->implementation;
    if (__atomic_load_n(&d->in_flight, __ATOMIC_RELAXED) == 0) return 0;
    const uint32_t seen = __atomic_load_n(&d->reaped_count, __ATOMIC_ACQUIRE);
    if (!acre_lock_try(&d->reaping)) {
        if (wait_ns == 0) return 0;
        (void)__atomic_fetch_add(&d->sleeper_count, 1, __ATOMIC_SEQ_CST);
        acre_os_wait(&d->reaped_count, seen, acre_min_size(wait_ns, 1000000));
        (void)__atomic_fetch_sub(&d->sleeper_count, 1, __ATOMIC_RELAXED);
        return 0;
    }
    acre_ring_result results[REAP_COUNT];
    const unsigned count = reap(d, results, wait_ns);
    (void)__atomic_fetch_sub(&d->in_ring, count, __ATOMIC_ACQ_REL);
    acre_lock_drop(&d->reaping);
    size_t done_count = 0;
    for (unsigned i = 0; i < count; i++) {
        acre_device_request *const request = results[i].tag;
        if (!take_result(device, request, results[i].result)) continue;
        (void)__atomic_fetch_sub(&d->in_flight, 1, __ATOMIC_RELAXED);
        request->done(request);
        done_count++;
    }
    (void)__atomic_fetch_add(&d->reaped_count, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&d->sleeper_count, __ATOMIC_SEQ_CST) > 0) acre_os_wake(&d->reaped_count);
    acre_lock_take(&d->submitting);
    push_waiting(d);
    if (d->ring.unsubmitted_count > 0) (void)acre_ring_submit(&d->ring);
    acre_lock_drop(&d->submitting);
    return done_count;
}

static acre_status ring_use_memory(acre_device *device, void *memory, size_t bytes)
{
    ring_device *const d = device->implementation;
    acre_lock_take(&d->submitting);
    const acre_status status = acre_ring_use_memory(&d->ring, memory, bytes);
    acre_lock_drop(&d->submitting);
    return status;
}

static size_t whole_pages(size_t bytes) { return (size_t)acre_align_up(bytes, acre_os_page_size()); }

static void ring_close(acre_device *device)
{
    ring_device *const d = device->implementation;
    acre_ring_close(&d->ring);
    acre_os_close(device->descriptor);
    (void)acre_os_release(d, whole_pages(sizeof *d));
}

static const acre_device_ops ring_ops = {.size_bytes = sizeof(acre_device_ops),
                                         .submit = ring_submit,
                                         .poll = ring_poll,
                                         .size = file_size,
                                         .resize = file_resize,
                                         .use_memory = ring_use_memory,
                                         .close = ring_close};

static acre_status open_ring(uint32_t depth, int file, ring_device **opened)
{
    void *memory = NULL;
    const size_t bytes = whole_pages(sizeof(ring_device));
    acre_status status = acre_os_reserve(bytes, acre_os_page_size(), &memory);
    if (status != ACRE_OK) return status;
    status = acre_os_protect(memory, bytes, ACRE_OS_READ_WRITE);
    if (status == ACRE_OK) status = acre_ring_open(&((ring_device *)memory)->ring, depth, file);
    if (status != ACRE_OK) {
        (void)acre_os_release(memory, bytes);
        return status;
    }
    *opened = memory;
    return ACRE_OK;
}

acre_status acre_device_open_file(acre_device *device, const char *path, const acre_device_file_options *options)
{
    static const acre_device_file_options defaults;
    if (device == NULL || path == NULL) return acre_fail(ACRE_INVALID, "device: a NULL");
    if (options == NULL) options = &defaults;
    if ((unsigned)options->way > ACRE_DEVICE_CALLS || options->depth > DEPTH_MAX) {
        return acre_fail(ACRE_INVALID, "device '%s': way %u, depth %u: at most %d and %d", path, (unsigned)options->way, options->depth,
                         (int)ACRE_DEVICE_CALLS, (int)DEPTH_MAX);
    }
    bool is_direct = !options->is_cached;
    int file = -1;
    acre_status status = acre_file_open(path, &is_direct, &file);
    if (status != ACRE_OK) return status;
    ring_device *ring = NULL;
    if (options->way != ACRE_DEVICE_CALLS) {
        status = open_ring(options->depth == 0 ? DEPTH_DEFAULT : options->depth, file, &ring);
        if (status != ACRE_OK && options->way == ACRE_DEVICE_RING) {
            acre_os_close(file);
            return status;
        }
    }
    status = acre_device_init(device, ring != NULL ? &ring_ops : &calls_ops, "file", is_direct ? DIRECT_ALIGNMENT : 1);
    device->descriptor = file;
    device->implementation = ring;
    return status;
}

bool acre_device_has_ring(const acre_device *device) { return device != NULL && device->ops == &ring_ops; }
