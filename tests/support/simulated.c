/* simulated.c - see simulated.h. */
#include "support/simulated.h"
#include "support/test.h"

void simulated_world_init(simulated_world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->random = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 8; i++) (void)next_random(&world->random);
    pthread_mutex_init(&world->lock, NULL);
}

static bool happens(simulated_world *world, unsigned of_1000) { return of_1000 > 0 && next_random(&world->random) % 1000 < of_1000; }

/* Some sectors of a write, or all of them. */
static void apply(simulated_device *d, unsigned char *to, const simulated_write *write, bool is_whole)
{
    const uint64_t kind = next_random(&d->world->random) % 4; /* whole, nothing, or in pieces */
    for (size_t at = 0; at < write->size_bytes; at += SIMULATED_SECTOR_BYTES) {
        const size_t left = write->size_bytes - at;
        const size_t size = left < SIMULATED_SECTOR_BYTES ? left : SIMULATED_SECTOR_BYTES;
        const bool is_kept = is_whole || kind == 0 || (kind > 1 && next_random(&d->world->random) % 2 == 0);
        if (is_kept) memcpy(to + write->offset + at, write->bytes + at, size);
    }
}

static void forget_writes(simulated_device *d)
{
    for (size_t i = 0; i < d->write_count; i++) free(d->writes[i].bytes);
    d->write_count = 0;
}

static void keep_some_writes(simulated_device *d)
{
    for (size_t i = 0; i < d->write_count; i++) apply(d, d->durable, &d->writes[i], false);
    memcpy(d->seen, d->durable, (size_t)d->capacity_bytes);
    forget_writes(d);
}

static void remember_write(simulated_device *d, uint64_t offset, const unsigned char *bytes, size_t size)
{
    if (size == 0) return;
    if (d->write_count == d->write_room) {
        d->write_room = d->write_room * 2 + 16;
        d->writes = realloc(d->writes, d->write_room * sizeof *d->writes);
    }
    simulated_write *const write = &d->writes[d->write_count++];
    *write = (simulated_write){.offset = offset, .size_bytes = size, .bytes = malloc(size)};
    memcpy(write->bytes, bytes, size);
    memcpy(d->seen + offset, bytes, size);
    if (offset + size > d->size_bytes) d->size_bytes = offset + size;
}

static uint64_t bytes_of(const acre_device_request *request)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < request->part_count; i++) bytes += request->parts[i].size_bytes;
    return bytes;
}

static void end_with(simulated_device *d, acre_device_request *request, acre_status status, int error)
{
    request->status = status;
    request->system_error = error;
    if (status != ACRE_OK) d->world->fault_count++;
}

/* Moves the first `bytes` bytes. */
static void move_bytes(simulated_device *d, acre_device_request *request, uint64_t bytes)
{
    uint64_t at = request->offset;
    for (uint32_t i = 0; i < request->part_count && bytes > 0; i++) {
        const size_t size = request->parts[i].size_bytes < bytes ? request->parts[i].size_bytes : (size_t)bytes;
        if (request->verb == ACRE_DEVICE_WRITE) {
            remember_write(d, at, request->parts[i].bytes, size);
        } else {
            const uint64_t there = at >= d->capacity_bytes ? 0 : d->capacity_bytes - at < size ? d->capacity_bytes - at : size;
            memcpy(request->parts[i].bytes, d->seen + at, (size_t)there);
            memset((char *)request->parts[i].bytes + there, 0, size - (size_t)there);
        }
        at += size;
        bytes -= size;
        request->done_bytes += size;
    }
}

static void end_flush(simulated_device *d, acre_device_request *request)
{
    if (happens(d->world, d->world->flush_lost)) {
        keep_some_writes(d);
        end_with(d, request, ACRE_IO, 5);
    } else if (!d->world->is_lying) {
        for (size_t i = 0; i < d->write_count; i++) apply(d, d->durable, &d->writes[i], true);
        forget_writes(d);
    }
}

static void end_write(simulated_device *d, acre_device_request *request)
{
    simulated_world *const world = d->world;
    const uint64_t bytes = bytes_of(request);
    const bool is_full = happens(world, world->write_full) || request->offset + bytes > d->capacity_bytes;
    const bool is_short = happens(world, world->write_short);
    if (is_full || is_short || happens(world, world->write_error)) {
        const uint64_t fits = request->offset >= d->capacity_bytes ? 0 : d->capacity_bytes - request->offset;
        const uint64_t moved = next_random(&world->random) % (bytes / SIMULATED_SECTOR_BYTES + 1) * SIMULATED_SECTOR_BYTES;
        move_bytes(d, request, moved < fits ? moved : fits);
        end_with(d, request, is_full ? ACRE_NO_MEMORY : ACRE_IO, is_full ? 28 : 5);
    } else {
        move_bytes(d, request, bytes);
    }
}

/* One event. */
static void end_request(simulated_device *d, acre_device_request *request)
{
    simulated_world *const world = d->world;
    world->event_count++;
    if (world->event_count == world->cut_at) {
        world->is_off = true;
        if (request->verb == ACRE_DEVICE_WRITE && request->offset + bytes_of(request) <= d->capacity_bytes)
            move_bytes(d, request, bytes_of(request));
    }
    const bool has_failed = world->is_off || (request->verb == ACRE_DEVICE_READ && happens(world, world->read_error));
    if (has_failed)
        end_with(d, request, ACRE_IO, 5);
    else if (request->verb == ACRE_DEVICE_FLUSH)
        end_flush(d, request);
    else if (request->verb == ACRE_DEVICE_WRITE)
        end_write(d, request);
    else
        move_bytes(d, request, bytes_of(request));
}

static void simulated_submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    simulated_device *const d = device->implementation;
    pthread_mutex_lock(&d->world->lock);
    for (size_t i = 0; i < count; i++) {
        if (d->waiting_count == d->waiting_room) {
            d->waiting_room = d->waiting_room * 2 + 16;
            d->waiting = realloc(d->waiting, d->waiting_room * sizeof *d->waiting);
        }
        d->waiting[d->waiting_count++] = requests[i];
    }
    pthread_mutex_unlock(&d->world->lock);
}

static size_t simulated_poll(acre_device *device, uint64_t wait_ns)
{
    simulated_device *const d = device->implementation;
    acre_device_request *ended[8];
    size_t count = 0;
    pthread_mutex_lock(&d->world->lock);
    const size_t wanted = d->waiting_count == 0 ? 0 : 1 + next_random(&d->world->random) % 8;
    while (d->waiting_count > 0 && count < wanted) {
        const size_t at = (size_t)(next_random(&d->world->random) % d->waiting_count);
        ended[count] = d->waiting[at];
        d->waiting[at] = d->waiting[--d->waiting_count];
        end_request(d, ended[count++]);
    }
    pthread_mutex_unlock(&d->world->lock);
    for (size_t i = 0; i < count; i++) ended[i]->done(ended[i]);
    return count;
}

static acre_status simulated_size(acre_device *device, uint64_t *bytes)
{
    *bytes = ((const simulated_device *)device->implementation)->size_bytes;
    return ACRE_OK;
}

static acre_status simulated_resize(acre_device *device, uint64_t bytes)
{
    simulated_device *const d = device->implementation;
    if (bytes > d->capacity_bytes) return ACRE_NO_MEMORY;
    if (bytes < d->size_bytes) {
        memset(d->seen + bytes, 0, (size_t)(d->capacity_bytes - bytes));
        memset(d->durable + bytes, 0, (size_t)(d->capacity_bytes - bytes));
    }
    d->size_bytes = bytes;
    return ACRE_OK;
}

static void nothing_to_close(acre_device *device) { (void)device; }

static const acre_device_ops simulated_ops = {.size_bytes = sizeof(acre_device_ops),
                                              .submit = simulated_submit,
                                              .poll = simulated_poll,
                                              .size = simulated_size,
                                              .resize = simulated_resize,
                                              .close = nothing_to_close};

void simulated_open(simulated_device *device, simulated_world *world, uint64_t capacity_bytes)
{
    memset(device, 0, sizeof *device);
    assert_int_equal(acre_device_init(&device->device, &simulated_ops, "simulated", SIMULATED_SECTOR_BYTES), ACRE_OK);
    device->device.implementation = device;
    device->world = world;
    device->capacity_bytes = capacity_bytes;
    device->durable = calloc(1, (size_t)capacity_bytes);
    device->seen = calloc(1, (size_t)capacity_bytes);
}

void simulated_close(simulated_device *device)
{
    forget_writes(device);
    acre_device_close(&device->device);
    free(device->writes);
    free(device->waiting);
    free(device->durable);
    free(device->seen);
}

void simulated_restart(simulated_device *device)
{
    assert_int_equal(device->waiting_count, 0);
    keep_some_writes(device);
}
