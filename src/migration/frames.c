/* frames.c - see frames.h. */
#include "migration/frames.h"

#include "base/status.h"

#include <assert.h>
#include <string.h>

/* ---- frames ---- */

static acre_status check_space(const acre_um_place *place)
{
    const acre_space *const space = place->space;
    const bool has_calls = place->contents.write != NULL && place->contents.read != NULL;
    if (!has_calls && (place->contents.write != NULL || place->contents.read != NULL))
        return acre_fail(ACRE_INVALID, "unified memory: '%s': calls for contents are two: write and read", place->name);
    if (!has_calls && !(space->info.capabilities & ACRE_CAP_MAP))
        return acre_fail(ACRE_INVALID,
                         "unified memory: '%s': the space '%s' has no addresses of the host and cannot be mapped: `contents` has to copy",
                         place->name, space->name);
    if (ACRE_UM_BLOCK_BYTES % space->info.grain_bytes != 0 || ACRE_UM_BLOCK_BYTES % space->info.page_bytes != 0)
        return acre_fail(ACRE_INVALID, "unified memory: '%s': the grain of the space '%s', %zu bytes, is no part of 2 MiB", place->name,
                         space->name, space->info.grain_bytes);
    return ACRE_OK;
}

static acre_status reserve_frame(um_frames *frames, acre_addr *address)
{
    acre_space *const space = frames->space;
    acre_status status = acre_space_reserve(space, ACRE_UM_BLOCK_BYTES, space->info.grain_bytes, NULL, address);
    if (status != ACRE_OK) return status;
    status = acre_space_commit(space, *address, ACRE_UM_BLOCK_BYTES);
    if (status != ACRE_OK) (void)acre_space_release(space, *address, ACRE_UM_BLOCK_BYTES);
    return status;
}

acre_status acre_frames_open(um_frames *frames, acre_meta *meta, const acre_um_place *place, uint32_t count, uint32_t block_count)
{
    acre_status status = check_space(place);
    if (status != ACRE_OK) return status;
    *frames = (um_frames){.space = place->space, .contents = place->contents, .block_count = block_count};
    frames->addresses = acre_meta_alloc(meta, count * sizeof *frames->addresses);
    frames->of_block = acre_meta_alloc(meta, block_count * sizeof *frames->of_block);
    frames->spare = acre_meta_alloc(meta, count * sizeof *frames->spare);
    if (frames->addresses == NULL || frames->of_block == NULL || frames->spare == NULL) return ACRE_NO_MEMORY;
    for (; frames->count < count; frames->count++) {
        status = reserve_frame(frames, &frames->addresses[frames->count]);
        if (status != ACRE_OK) {
            acre_frames_close(frames);
            return status;
        }
        frames->spare[frames->spare_count++] = frames->count;
    }
    return ACRE_OK;
}

void acre_frames_close(um_frames *frames)
{
    while (frames->count > 0) (void)acre_space_release(frames->space, frames->addresses[--frames->count], ACRE_UM_BLOCK_BYTES);
}

bool acre_frames_lack(const um_frames *frames, uint32_t block) { return frames->of_block[block] == 0 && frames->spare_count == 0; }

void acre_frames_take(um_frames *frames, uint32_t block)
{
    assert(!acre_frames_lack(frames, block));
    if (frames->of_block[block] == 0) frames->of_block[block] = frames->spare[--frames->spare_count] + 1;
}

void acre_frames_give_back(um_frames *frames, uint32_t block)
{
    if (frames->of_block[block] == 0) return;
    frames->spare[frames->spare_count++] = frames->of_block[block] - 1;
    frames->of_block[block] = 0;
}

acre_addr acre_frames_address(const um_frames *frames, uint32_t block, uint64_t offset)
{
    return frames->addresses[frames->of_block[block] - 1] + offset;
}

bool acre_frames_are_valid(const um_frames *frames)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < frames->spare_count; i++) {
        if (frames->spare[i] >= frames->count) return false;
        for (uint32_t other = i + 1; other < frames->spare_count; other++)
            if (frames->spare[i] == frames->spare[other]) return false;
    }
    for (uint32_t block = 0; block < frames->block_count; block++) {
        const uint32_t frame = frames->of_block[block];
        if (frame > frames->count) return false;
        for (uint32_t i = 0; i < frames->spare_count && frame != 0; i++)
            if (frames->spare[i] == frame - 1) return false;
        for (uint32_t other = block + 1; other < frames->block_count && frame != 0; other++)
            if (frames->of_block[other] == frame) return false;
        used += frame != 0;
    }
    return used + frames->spare_count == frames->count;
}

/* ---- contents ---- */

/* Whole pages of the space around a range. */
static acre_status flush(um_frames *frames, acre_addr at, uint64_t size)
{
    const uint64_t page = frames->space->info.page_bytes, first = at / page * page, end = (at + size + page - 1) / page * page;
    const uint32_t capabilities = frames->space->info.capabilities;
    if ((capabilities & ACRE_CAP_COHERENT) != 0 || (capabilities & ACRE_CAP_FLUSH) == 0) return ACRE_OK;
    return acre_space_flush(frames->space, first, end - first, ACRE_DOMAIN_DEVICE);
}

static acre_status map(um_frames *frames, uint32_t block, uint64_t offset, unsigned char **frame, unsigned char **bytes)
{
    void *pointer;
    const acre_status status = acre_space_map(frames->space, acre_frames_address(frames, block, 0), ACRE_UM_BLOCK_BYTES, &pointer);
    if (status != ACRE_OK) return status;
    *frame = pointer;
    *bytes = *frame + offset;
    return ACRE_OK;
}

acre_status acre_frames_write(um_frames *frames, uint32_t block, uint64_t offset, const void *bytes, uint64_t size)
{
    const acre_addr at = acre_frames_address(frames, block, offset);
    unsigned char *frame, *to;
    if (frames->contents.write != NULL) return frames->contents.write(frames->contents.context, at, bytes, size);
    acre_status status = map(frames, block, offset, &frame, &to);
    if (status != ACRE_OK) return status;
    if (bytes == NULL) {
        memset(to, 0, size);
    } else {
        memcpy(to, bytes, size);
    }
    status = flush(frames, at, size);
    const acre_status unmapped = acre_space_unmap(frames->space, frame, ACRE_UM_BLOCK_BYTES);
    return status != ACRE_OK ? status : unmapped;
}

acre_status acre_frames_read(um_frames *frames, uint32_t block, uint64_t offset, void *bytes, uint64_t size)
{
    unsigned char *frame, *from;
    if (frames->contents.read != NULL)
        return frames->contents.read(frames->contents.context, acre_frames_address(frames, block, offset), bytes, size);
    const acre_status status = map(frames, block, offset, &frame, &from);
    if (status != ACRE_OK) return status;
    memcpy(bytes, from, size);
    return acre_space_unmap(frames->space, frame, ACRE_UM_BLOCK_BYTES);
}
