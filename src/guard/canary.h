/* canary.h - bytes with a known value, where nobody should write: behind a block (canary), and in a block that is free (poison).
 *
 * Short runs, which most canaries are, are written and compared by two words of one size that overlap, without a loop and without a byte
 * outside of the run. O(bytes).
 */
#ifndef ACRE_GUARD_CANARY_H
#define ACRE_GUARD_CANARY_H

#include "base/bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    ACRE_CANARY_BYTE = 0xac,
    ACRE_FRESH_BYTE = 0xa5, /* of a block that was handed out and not written yet */
    ACRE_FREED_BYTE = 0xdf, /* a pointer of these is no address */
};

static inline void acre_canary_put(void *run, size_t size)
{
    char *const begin = run, *const end = begin + size;
    const uint64_t pattern = UINT64_C(0x0101010101010101) * ACRE_CANARY_BYTE;
    if (size > 16) {
        (void)memset(run, ACRE_CANARY_BYTE, size);
    } else if (size >= 8) {
        memcpy(begin, &pattern, 8);
        memcpy(end - 8, &pattern, 8);
    } else if (size >= 4) {
        memcpy(begin, &pattern, 4);
        memcpy(end - 4, &pattern, 4);
    } else if (size > 0) { /* 1, 2, 3 */
        *begin = begin[size / 2] = end[-1] = (char)ACRE_CANARY_BYTE;
    }
}

/* True when all bytes of the run are `byte`. */
static inline bool acre_run_is_whole(const void *run, size_t size, uint8_t byte)
{
    const uint64_t pattern = UINT64_C(0x0101010101010101) * byte;
    const char *const begin = run, *const end = begin + size;
    if (size >= 8) {
        uint64_t word, differs = 0;
        for (const char *at = begin; at < end - 8; at += 8) {
            memcpy(&word, at, 8);
            differs |= word ^ pattern;
        }
        memcpy(&word, end - 8, 8);
        return (differs | (word ^ pattern)) == 0;
    }
    if (size >= 4) {
        uint32_t first, last;
        memcpy(&first, begin, 4);
        memcpy(&last, end - 4, 4);
        return ((first ^ (uint32_t)pattern) | (last ^ (uint32_t)pattern)) == 0;
    }
    return size == 0 || ((uint8_t)*begin == byte && (uint8_t)begin[size / 2] == byte && (uint8_t)end[-1] == byte);
}

/* Where the first and the last byte lie that are not `byte`. False: there is none. */
static inline bool acre_run_damage(const void *run, size_t size, uint8_t byte, size_t *first, size_t *last)
{
    const uint8_t *const bytes = run;
    size_t begin = 0, end = size;
    while (begin < size && bytes[begin] == byte) begin++;
    if (begin == size) return false;
    while (bytes[end - 1] == byte) end--;
    *first = begin;
    *last = end - 1;
    return true;
}

#endif
