/* um_patterns.h - access patterns of programs on a device, each by its usual algorithm, over memory of any size.
 *
 *     bfs       breadth-first search of a random graph, as Rodinia's: each level goes over all vertices and follows the edges of some
 *     stencil   a grid in time steps: two grids change places, a third is only read
 *     layers    a network's weights forward and backward, three times: backpropagation
 *     chase     a list through all memory, its nodes in random order
 *     triad     a = b + s c, five times
 *     sparse    words at random, changed
 *
 * The same bytes give the same touches each time. `acre um replay --pattern` and bench/migration/patterns use these.
 */
#ifndef ACRE_TOOL_UM_PATTERNS_H
#define ACRE_TOOL_UM_PATTERNS_H

#include <stdbool.h>
#include <stdint.h>

/* False: that is all that is wanted. */
typedef bool um_touch(void *context, uint64_t at, uint64_t bytes, bool is_write);

/* The names, one by one; NULL after the last. */
const char *um_pattern_name(unsigned number);

/* Every touch of pattern `number` in [0, bytes), none over more than a page. False: `touch` said so, or there is no memory. */
bool um_pattern_run(unsigned number, uint64_t bytes, um_touch *touch, void *context);

#endif
