/* test.h - what every test includes: cmocka, and the headers that it needs before it. */
#ifndef ACRE_TESTS_SUPPORT_TEST_H
#define ACRE_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Numbers that look random and are the same in every run. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* How many of `count` random steps to do: an eighth where each takes fifty times as long (./check memcheck sets ACRE_TEST_SHORT). */
static inline int steps_of(int count) { return getenv("ACRE_TEST_SHORT") != NULL ? count / 8 : count; }

#endif
