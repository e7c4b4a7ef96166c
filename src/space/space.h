/* space.h - what the kinds of spaces share: see acre/space.h for the interface itself. */
#ifndef ACRE_SPACE_SPACE_H
#define ACRE_SPACE_SPACE_H

#include <acre/space.h>

/* Fills in what every kind has, and checks the table against the capabilities. */
acre_status acre_space_init(acre_space *space, const acre_space_ops *ops, const char *name,
                            const acre_space_info *info);

/* Reserve and release of the kinds that own one range [base, base + size_bytes): a bump over it. A release makes room
 * only at the end of what is taken, which is all that the engines need: they keep what they have. O(1). */
acre_status acre_range_reserve(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints,
                               acre_addr *address);
acre_status acre_range_release(acre_space *space, acre_addr address, uint64_t size);
acre_status acre_range_query(acre_space *space, acre_space_info *info);

#endif
