/* random_use.h - a sequence of calls of acre/um.h, made from bytes, beside the plainest model of it: an array. */
#ifndef ACRE_TESTS_RANDOM_USE_H
#define ACRE_TESTS_RANDOM_USE_H

#include <acre/um.h>
#include <stddef.h>
#include <stdint.h>

/* Fails as assert does. `fail_at`: that call of a space's commit, or of a device, fails, and none after it; 0: none does. Returns how many
 * there were. */
uint64_t use_um_at_random(const uint8_t *bytes, size_t count, uint64_t fail_at);

#endif
