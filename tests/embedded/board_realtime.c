/* board_realtime.c - how many instructions alloc and free of the real-time engines take on a microcontroller, at most, in a region of 256
 * KiB: random programs, and the program that makes the way through the trees long. None may take more than the longest path says.
 *
 * boards:  m3
 * sources: src/alloc/block.c src/alloc/half_fit.c src/alloc/tight.c
 * flags:   -DNDEBUG
 */
#include "board.h"

#include "alloc/half_fit.h"
#include "alloc/tight.h"

enum {
    BYTES = 256 << 10,
    SLOTS = 2048,
    STEPS = 40000,
    /* The longest paths through the machine code of gcc 12.2, as objdump shows it. */
    TIGHT_ALLOC_MAX = 297,
    TIGHT_FREE_MAX = 263,
    FAST_ALLOC_MAX = 66,
    FAST_FREE_MAX = 109,
};

static _Alignas(16) unsigned char memory[BYTES];
static void *slots[SLOTS];
static acre_tight tight;
static acre_half_fit fast;
static uint64_t state = 88172645463325252u;
static uint32_t empty_count;

static uint32_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

typedef struct engine {
    bool is_fast;
    uint32_t alloc_max;
    uint32_t free_max;
} engine;

/* What a call takes itself, the return of the function included. */
static __attribute__((noinline, noclone)) void *nothing(void *heap, size_t size)
{
    __asm__ volatile("" : : "r"(size));
    return heap;
}

/* Counts one call, less what an empty function takes, and its return. */
#define COUNTED(greatest, result, call)                                                                                                    \
    do {                                                                                                                                   \
        const uint32_t start = board_count();                                                                                              \
        (result) = (call);                                                                                                                 \
        const uint32_t count = board_count_since(start) - empty_count + 1;                                                                 \
        if (count > (greatest)) (greatest) = count;                                                                                        \
    } while (0)

static void *take(engine *e, size_t size)
{
    void *block;
    if (e->is_fast)
        COUNTED(e->alloc_max, block, acre_half_fit_alloc(&fast, size));
    else
        COUNTED(e->alloc_max, block, acre_tight_alloc(&tight, size));
    return block;
}

static bool give(engine *e, void *block)
{
    acre_status status;
    if (e->is_fast)
        COUNTED(e->free_max, status, acre_half_fit_free(&fast, block));
    else
        COUNTED(e->free_max, status, acre_tight_free(&tight, block));
    return status == ACRE_OK;
}

static bool is_valid(const engine *e) { return e->is_fast ? acre_half_fit_is_valid(&fast) : acre_tight_is_valid(&tight); }

static size_t any_size(int mix)
{
    const uint32_t number = next_random();
    switch (mix) {
    case 0: return 1 + number % 256;
    case 1: return (8u << number % 9) + (number >> 8) % (8u << number % 9);
    default: return number % 8 == 0 ? 512 + (number >> 8) % 1025 : 8 + (number >> 8) % 57;
    }
}

static bool run_random(engine *e, int mix)
{
    for (uint32_t i = 0; i < STEPS; i++) {
        const uint32_t slot = next_random() % SLOTS;
        if (slots[slot] != NULL) {
            if (!give(e, slots[slot])) return false;
            slots[slot] = NULL;
        } else {
            slots[slot] = take(e, any_size(mix));
        }
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (slots[i] != NULL && !give(e, slots[i])) return false;
        slots[i] = NULL;
    }
    return is_valid(e);
}

/* The longest ways of tight: the block found is in the last tree, in a chunk with three more holes, all shorter; what is left of it begins
 * in another tree. The block is as long as that: so the first part of the heap is full, of blocks of one unit apart. */
static bool run_long_way(engine *e)
{
    void *edges[6];
    uint32_t count = 0;
    /* Fill all but the last 34 KiB; then holes of 2 units, and a long one at the end that crosses into the last window. */
    void *const filler = take(e, BYTES - (43 << 10));
    if (filler == NULL) return false;
    for (uint32_t shift = 0; shift < 16; shift++) {
        void *pads[16];
        uint32_t pad_count = 0;
        for (uint32_t i = 0; i < shift; i++) pads[pad_count++] = take(e, 12);
        void *holes[4];
        for (uint32_t i = 0; i < 3; i++) {
            holes[i] = take(e, 12);
            edges[count++] = take(e, 12);
        }
        void *const large = take(e, 30000); /* in the chunk of the holes; a free one joins what is behind */
        for (uint32_t i = 0; i < 3; i++) {
            if (!give(e, holes[i])) return false;
        }
        if (!give(e, large)) return false;
        for (uint32_t size = 200; size < 32000; size += 600) {
            void *const block = take(e, size);
            if (block == NULL || !give(e, block)) return false;
        }
        while (count > 0) {
            if (!give(e, edges[--count])) return false;
        }
        while (pad_count > 0) {
            if (!give(e, pads[--pad_count])) return false;
        }
    }
    return give(e, filler) && is_valid(e);
}

static bool report(const char *name, const engine *e, uint32_t alloc_max, uint32_t free_max)
{
    board_write(name);
    board_write(": alloc ");
    board_write_number(e->alloc_max);
    board_write(" of at most ");
    board_write_number(alloc_max);
    board_write(", free ");
    board_write_number(e->free_max);
    board_write(" of at most ");
    board_write_number(free_max);
    board_write("\n");
    return e->alloc_max <= alloc_max && e->free_max <= free_max;
}

int board_main(void)
{
    engine of_tight = {.is_fast = false};
    engine of_fast = {.is_fast = true};
    const uint32_t start = board_count();
    if (nothing(&tight, 0) == NULL) return 1;
    empty_count = board_count_since(start);
    if (acre_tight_init(&tight, memory, BYTES) != ACRE_OK) return 2;
    for (int mix = 0; mix < 3; mix++) {
        if (!run_random(&of_tight, mix)) return 3;
    }
    if (!run_long_way(&of_tight)) return 4;
    if (acre_half_fit_init(&fast, memory, BYTES) != ACRE_OK) return 5;
    for (int mix = 0; mix < 3; mix++) {
        if (!run_random(&of_fast, mix)) return 6;
    }
    const bool is_tight_good = report("tight", &of_tight, TIGHT_ALLOC_MAX, TIGHT_FREE_MAX);
    const bool is_fast_good = report("fast", &of_fast, FAST_ALLOC_MAX, FAST_FREE_MAX);
    return is_tight_good && is_fast_good ? 0 : 7;
}
