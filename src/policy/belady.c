/* belady.c - see belady.h. */
#include "policy/belady.h"

#include <string.h>

static size_t words_of(size_t count) { return (count + ACRE_WORD_BITS - 1) / ACRE_WORD_BITS; }

size_t acre_belady_bytes(uint32_t request_count)
{
    size_t total = 0, count = request_count == 0 ? 1 : request_count;
    do {
        count = words_of(count);
        total += count;
    } while (count > 1);
    return total * sizeof(acre_word);
}

void acre_belady_next_uses(uint32_t *next, const uint32_t *objects, uint32_t request_count, uint32_t *last, uint32_t object_count)
{
    for (uint32_t i = 0; i < object_count; i++) last[i] = ACRE_BELADY_NEVER;
    for (uint32_t i = request_count; i-- > 0;) {
        assert(objects[i] < object_count);
        next[i] = last[objects[i]];
        last[objects[i]] = i;
    }
}

void acre_belady_init(acre_belady *belady, uint32_t request_count, uint32_t capacity, void *memory)
{
    acre_word *words = memory;
    assert(capacity > 0 && request_count <= ACRE_BELADY_REQUEST_MAX);
    *belady = (acre_belady){.request_count = request_count, .capacity = capacity};
    memset(memory, 0, acre_belady_bytes(request_count));
    size_t count = request_count == 0 ? 1 : request_count;
    do {
        count = words_of(count);
        assert(belady->level_count < ACRE_BELADY_LEVELS_MAX);
        belady->levels[belady->level_count++] = words;
        words += count;
    } while (count > 1);
}

static void set(acre_belady *belady, uint32_t number)
{
    for (unsigned i = 0; i < belady->level_count; i++) {
        acre_word *const word = &belady->levels[i][number / ACRE_WORD_BITS];
        const bool was_empty = *word == 0;
        *word |= (acre_word)1 << number % ACRE_WORD_BITS;
        if (!was_empty) return;
        number /= ACRE_WORD_BITS;
    }
}

static void clear(acre_belady *belady, uint32_t number)
{
    for (unsigned i = 0; i < belady->level_count; i++) {
        acre_word *const word = &belady->levels[i][number / ACRE_WORD_BITS];
        *word &= ~((acre_word)1 << number % ACRE_WORD_BITS);
        if (*word != 0) return;
        number /= ACRE_WORD_BITS;
    }
}

static uint32_t largest(const acre_belady *belady)
{
    uint32_t number = 0;
    for (unsigned i = belady->level_count; i-- > 0;) {
        const acre_word word = belady->levels[i][number];
        number = number * ACRE_WORD_BITS + (ACRE_WORD_BITS - 1 - acre_word_leading_zeros(word));
    }
    return number;
}

static void evict(acre_belady *belady)
{
    if (belady->never_count > 0)
        belady->never_count--;
    else
        clear(belady, largest(belady));
    belady->held_count--;
}

bool acre_belady_access(acre_belady *belady, uint32_t request, uint32_t next)
{
    assert(request < belady->request_count && next > request);
    const bool is_hit = belady->levels[0][request / ACRE_WORD_BITS] >> request % ACRE_WORD_BITS & 1;
    if (is_hit)
        clear(belady, request);
    else if (belady->held_count == belady->capacity)
        evict(belady);
    belady->held_count += !is_hit;
    if (next == ACRE_BELADY_NEVER)
        belady->never_count++;
    else
        set(belady, next);
    assert(belady->held_count <= belady->capacity && belady->never_count <= belady->held_count);
    return is_hit;
}

bool acre_belady_is_valid(const acre_belady *belady)
{
    size_t count = words_of(belady->request_count == 0 ? 1 : belady->request_count);
    uint64_t held = belady->never_count;
    for (size_t i = 0; i < count; i++) held += acre_word_count(belady->levels[0][i]);
    if (held != belady->held_count || held > belady->capacity) return false;
    for (unsigned level = 1; level < belady->level_count; level++) {
        for (size_t i = 0; i < count; i++) {
            const bool is_marked = belady->levels[level][i / ACRE_WORD_BITS] >> i % ACRE_WORD_BITS & 1;
            if (is_marked != (belady->levels[level - 1][i] != 0)) return false;
        }
        count = words_of(count);
    }
    return count == 1;
}
