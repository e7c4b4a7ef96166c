/* frames.h - the memory of a place whose space the host has no addresses of: frames of 2 MiB, one for each block that has a page there.
 *
 * Contents go through the space's map, or through calls that the program gave. A frame is taken when the first page of its block comes, and
 * is free when the last has gone.
 */
#ifndef ACRE_MIGRATION_FRAMES_H
#define ACRE_MIGRATION_FRAMES_H

#include "alloc/meta.h"

#include <acre/um.h>

typedef struct um_frames {
    acre_space *space;
    acre_um_contents contents; /* all NULL: by mapping */
    acre_addr *addresses;      /* of the frames */
    uint32_t *of_block;        /* frame + 1; 0: none */
    uint32_t *spare;           /* frames that no block has */
    uint32_t count, spare_count, block_count;
} um_frames;

/* `count` frames for so many blocks. On failure nothing is held but memory of `meta`. */
acre_status acre_frames_open(um_frames *frames, acre_meta *meta, const acre_um_place *place, uint32_t count, uint32_t block_count);
void acre_frames_close(um_frames *frames);

/* The block needs one, and there is none. */
bool acre_frames_lack(const um_frames *frames, uint32_t block);
void acre_frames_take(um_frames *frames, uint32_t block);
void acre_frames_give_back(um_frames *frames, uint32_t block);

/* The address of a byte of the block; it has a frame. */
acre_addr acre_frames_address(const um_frames *frames, uint32_t block, uint64_t offset);

/* Contents of a block that has a frame; on failure those in the frame are undefined. `bytes` NULL: zeros, which needs the mapping. */
acre_status acre_frames_write(um_frames *frames, uint32_t block, uint64_t offset, const void *bytes, uint64_t size);
acre_status acre_frames_read(um_frames *frames, uint32_t block, uint64_t offset, void *bytes, uint64_t size);

/* Every frame belongs to one block, or to none. O(blocks). */
bool acre_frames_are_valid(const um_frames *frames);

#endif
