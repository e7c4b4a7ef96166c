/* fake_device.c - see fake_device.h. Frame i is at (i + 1) * 2^32. */
#include "fake_device.h"

#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_SHIFT = 32, FRAME = ACRE_UM_BLOCK_BYTES, GRAIN = 65536 };

static fake_device *device_of(acre_space *space) { return (fake_device *)(void *)space; }

static acre_status fails(fake_device *device, const char *what)
{
    return ++*device->call_count == device->fail_at ? acre_fail(ACRE_IO, "the test refuses this %s", what) : ACRE_OK;
}

unsigned char *fake_device_bytes(const fake_device *device, acre_addr address)
{
    const uint64_t number = (address >> FRAME_SHIFT) - 1, offset = address & (((uint64_t)1 << FRAME_SHIFT) - 1);
    if (number >= FAKE_FRAMES_MAX || device->frames[number] == NULL || offset >= FRAME) {
        (void)fprintf(stderr, "the device has nothing at %llx\n", (unsigned long long)address);
        abort();
    }
    return device->frames[number] + offset;
}

static acre_status query(acre_space *space, acre_space_info *info)
{
    *info = space->info;
    return ACRE_OK;
}

static acre_status reserve(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints, acre_addr *address)
{
    fake_device *const device = device_of(space);
    (void)alignment;
    (void)hints;
    if (device->frame_count == device->frame_count_max || size != FRAME) return acre_fail(ACRE_NO_MEMORY, "the device is full");
    const acre_status status = fails(device, "reserve");
    if (status != ACRE_OK) return status;
    for (uint32_t i = 0; i < FAKE_FRAMES_MAX; i++) {
        if (device->frames[i] != NULL) continue;
        device->frames[i] = malloc(FRAME);
        if (device->frames[i] == NULL) abort();
        memset(device->frames[i], 0xA5, FRAME); /* nobody promised zeros */
        device->frame_count++;
        *address = (uint64_t)(i + 1) << FRAME_SHIFT;
        return ACRE_OK;
    }
    abort();
}

static acre_status release(acre_space *space, acre_addr address, uint64_t size)
{
    fake_device *const device = device_of(space);
    if (size != FRAME || device->mapped != NULL) device->mistakes++;
    free(fake_device_bytes(device, address));
    device->frames[(address >> FRAME_SHIFT) - 1] = NULL;
    device->frame_count--;
    return ACRE_OK;
}

static acre_status map(acre_space *space, acre_addr address, uint64_t size, void **pointer)
{
    fake_device *const device = device_of(space);
    const acre_status status = fails(device, "map");
    if (status != ACRE_OK) return status;
    if (device->mapped != NULL || size != FRAME) device->mistakes++;
    device->mapped = malloc(size);
    if (device->mapped == NULL) abort();
    device->mapped_at = address;
    memcpy(device->mapped, fake_device_bytes(device, address), size);
    *pointer = device->mapped;
    return ACRE_OK;
}

static acre_status unmap(acre_space *space, void *pointer, uint64_t size)
{
    fake_device *const device = device_of(space);
    if (pointer != device->mapped || size != FRAME) device->mistakes++;
    free(device->mapped);
    device->mapped = NULL;
    return ACRE_OK;
}

static acre_status flush(acre_space *space, acre_addr address, uint64_t size, acre_domain domain)
{
    fake_device *const device = device_of(space);
    const acre_status status = fails(device, "flush");
    if (domain != ACRE_DOMAIN_DEVICE || device->mapped == NULL) device->mistakes++;
    /* Of a flush that fails, half is done. */
    memcpy(fake_device_bytes(device, address), device->mapped + (address - device->mapped_at), status == ACRE_OK ? size : size / 2);
    return status;
}

static acre_status write_bytes(void *context, acre_addr to, const void *bytes, uint64_t size)
{
    fake_device *const device = context;
    const acre_status status = fails(device, "write");
    memcpy(fake_device_bytes(device, to), bytes, status == ACRE_OK ? size : size / 2);
    return status;
}

static acre_status read_bytes(void *context, acre_addr from, void *bytes, uint64_t size)
{
    fake_device *const device = context;
    const acre_status status = fails(device, "read");
    if (status == ACRE_OK) memcpy(bytes, fake_device_bytes(device, from), size);
    return status;
}

acre_um_contents fake_device_contents(fake_device *device)
{
    return (acre_um_contents){.write = write_bytes, .read = read_bytes, .context = device};
}

void fake_device_open(fake_device *device, bool can_map, uint64_t *call_count, uint64_t fail_at)
{
    static const acre_space_ops ops[2] = {{.size_bytes = sizeof(acre_space_ops), .query = query, .reserve = reserve, .release = release},
                                          {.size_bytes = sizeof(acre_space_ops),
                                           .query = query,
                                           .reserve = reserve,
                                           .release = release,
                                           .map = map,
                                           .unmap = unmap,
                                           .flush = flush}};
    memset(device, 0, sizeof *device);
    device->space = (acre_space){.ops = &ops[can_map],
                                 .name = "fake device",
                                 .info = {.kind = ACRE_SPACE_HANDLE,
                                          .capabilities = ACRE_CAP_DEVICE_ACCESS | (can_map ? ACRE_CAP_MAP | ACRE_CAP_FLUSH : 0),
                                          .page_bytes = GRAIN,
                                          .grain_bytes = GRAIN},
                                 .descriptor = -1};
    device->call_count = call_count;
    device->fail_at = fail_at;
    device->frame_count_max = FAKE_FRAMES_MAX;
}

void fake_device_close(fake_device *device)
{
    if (device->frame_count == 0 && device->mapped == NULL && device->mistakes == 0) return;
    (void)fprintf(stderr, "the device: %u frames are left, %llu mistakes\n", device->frame_count, (unsigned long long)device->mistakes);
    abort();
}
