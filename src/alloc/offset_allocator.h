/* offset_allocator.h - a walk over the extents of an offset allocator, one step at a time. */
#ifndef ACRE_ALLOC_OFFSET_ALLOCATOR_H
#define ACRE_ALLOC_OFFSET_ALLOCATOR_H

#include <acre/offset_allocator.h>

/* Describes the extent behind that of number `index`, the lowest one for 0. Returns its number, 0 if there is none. A number holds until
 * the allocator changes. O(1). */
uint32_t acre_offset_step(const acre_offset_allocator *offsets, uint32_t index, acre_offset_extent *extent);

#endif
