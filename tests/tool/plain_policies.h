/* plain_policies.h - CAR and W-TinyLFU once more, as simple as their papers are, on the numbers of objects. Nothing is shared with src/. */
#ifndef ACRE_TEST_PLAIN_POLICIES_H
#define ACRE_TEST_PLAIN_POLICIES_H

#include <stddef.h>
#include <stdint.h>

/* Misses of a cache that is empty at first. Objects are below object_count. */
uint32_t plain_car_misses(const uint32_t *objects, size_t count, uint32_t object_count, uint32_t capacity);

/* With a window of a hundredth (one entry below 200), four fifths of the rest protected, and uses counted exactly, up to 15, where the
 * paper has a sketch; halved after ten uses an entry. */
uint32_t plain_w_tinylfu_misses(const uint32_t *objects, size_t count, uint32_t object_count, uint32_t capacity);

#endif
