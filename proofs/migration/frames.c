/* Proofs of migration/frames.c: which frame a block has. */
#include "../proof.h"

#include "migration/frames.c"

enum { BLOCKS = 3, FRAMES = 2 };

static uint32_t of_block[BLOCKS], spare[FRAMES];

/* Any state in which each frame belongs to one block, or to none. */
static um_frames any_frames(void)
{
    um_frames frames = {.of_block = of_block, .spare = spare, .count = FRAMES, .block_count = BLOCKS, .spare_count = nondet_u32()};
    for (unsigned i = 0; i < BLOCKS; i++) of_block[i] = nondet_u32();
    for (unsigned i = 0; i < FRAMES; i++) spare[i] = nondet_u32();
    assume(frames.spare_count <= FRAMES && acre_frames_are_valid(&frames));
    return frames;
}

/* PROOF frames_take
 *   property: a block that does not lack a frame has one afterwards, its own if it had one; each frame belongs to one block or to
 *             none, and no other block's has changed
 *   bound:    three blocks, two frames
 *   assumes:  the state is valid
 *   options:  --unwind 5
 */
void prove_frames_take(void)
{
    um_frames frames = any_frames();
    const uint32_t block = nondet_u32(), other = nondet_u32();
    assume(block < BLOCKS && other < BLOCKS && other != block && !acre_frames_lack(&frames, block));
    const uint32_t had = of_block[block], others = of_block[other];
    acre_frames_take(&frames, block);
    assert(of_block[block] != 0 && (had == 0 || of_block[block] == had));
    assert(of_block[other] == others);
    assert(acre_frames_are_valid(&frames));
}

/* PROOF frames_give_back
 *   property: the block has no frame afterwards; each frame belongs to one block or to none, and no other block's has changed
 *   bound:    three blocks, two frames
 *   assumes:  the state is valid
 *   options:  --unwind 5
 */
void prove_frames_give_back(void)
{
    um_frames frames = any_frames();
    const uint32_t block = nondet_u32(), other = nondet_u32();
    assume(block < BLOCKS && other < BLOCKS && other != block);
    const uint32_t others = of_block[other];
    acre_frames_give_back(&frames, block);
    assert(of_block[block] == 0 && of_block[other] == others);
    assert(acre_frames_are_valid(&frames));
}
