/* arenas.c - the smallest arena in which a program runs to its end, in parts of what it has in use at its peak: five mixes of sizes, each
 * 60,000 blocks of which at most 256, and 64 KiB, are in use at one time, freed in bursts of random length. The same programs for all
 * heaps; every byte of control data counts. Built for 32-bit addresses, as microcontrollers have them, where the compiler can. */
#include "heaps.h"

#include <stdio.h>

enum { BLOCK_COUNT = 60000, SLOT_COUNT = 256, LIVE_BYTES_MAX = 65536, OPERATION_COUNT_MAX = 4 * BLOCK_COUNT };

typedef struct operation {
    uint32_t size; /* 0: a free */
    uint32_t slot;
} operation;

static operation operations[OPERATION_COUNT_MAX];
static size_t operation_count;
static size_t peak_bytes;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint32_t uniform(uint64_t n) { return 1 + (uint32_t)(n % 256); }

static uint32_t log_uniform(uint64_t n) /* 8 to 4096: a power of two and a place on the way to the next */
{
    const uint32_t power = 3 + (uint32_t)(n % 9);
    return (1u << power) + (uint32_t)((n >> 8) % (1u << power)) + (uint32_t)(power == 11 && (n >> 8) % (1u << power) == (1u << power) - 1);
}

static uint32_t small_and_large(uint64_t n) { return n % 8 == 0 ? 512 + (uint32_t)((n >> 8) % 1025) : 8 + (uint32_t)((n >> 8) % 57); }

static uint32_t fixed(uint64_t n)
{
    static const uint16_t sizes[] = {24, 40, 64, 100, 160, 256, 400, 640, 1000, 1500, 2048};
    return sizes[n % 11];
}

static uint32_t powers(uint64_t n) { return 16u << n % 8; }

typedef struct mix {
    const char *name;
    uint32_t (*size)(uint64_t number);
} mix;

static const mix mixes[] = {
    {"1..256", uniform}, {"8..4K log", log_uniform}, {"8..64/1.5K", small_and_large}, {"11 sizes", fixed}, {"2^4..2^11", powers}};
enum { MIX_COUNT = sizeof mixes / sizeof *mixes };

static uint32_t slot_sizes[SLOT_COUNT];
static size_t live_bytes;

static size_t live_count;

static void note_free(uint32_t slot)
{
    if (slot_sizes[slot] == 0) return;
    live_bytes -= slot_sizes[slot];
    live_count--;
    slot_sizes[slot] = 0;
    operations[operation_count++] = (operation){.slot = slot};
}

/* The program: blocks are added until one does not fit in slots or bytes, or, now and then, before; then a random number of random ones
 * goes. */
static void make_program(const mix *of, uint64_t seed)
{
    uint64_t random = seed;
    memset(slot_sizes, 0, sizeof slot_sizes);
    operation_count = peak_bytes = live_bytes = live_count = 0;
    uint32_t next = 0;
    for (int i = 0; i < BLOCK_COUNT; i++) {
        const uint32_t size = of->size(next_random(&random) >> 16);
        while (live_count == SLOT_COUNT || live_bytes + size > LIVE_BYTES_MAX || next_random(&random) % 200 == 0) {
            for (uint64_t k = 1 + next_random(&random) % SLOT_COUNT; k > 0; k--) note_free((uint32_t)(next_random(&random) >> 16) %
                SLOT_COUNT);
        }
        while (slot_sizes[next] != 0) next = (next + 1) % SLOT_COUNT;
        slot_sizes[next] = size;
        live_bytes += size;
        live_count++;
        operations[operation_count++] = (operation){.size = size, .slot = next};
        if (live_bytes > peak_bytes) peak_bytes = live_bytes;
        if (operation_count + 2 * SLOT_COUNT > OPERATION_COUNT_MAX) abort();
    }
}

static bool completes(any_heap *h, size_t bytes)
{
    void *slots[SLOT_COUNT] = {NULL};
    bool is_done = true;
    if (!heap_open(h, bytes)) return false;
    for (size_t i = 0; is_done && i < operation_count; i++) {
        const operation *const o = &operations[i];
        if (o->size == 0) {
            heap_free(h, slots[o->slot]);
        } else {
            slots[o->slot] = heap_alloc(h, o->size);
            is_done = slots[o->slot] != NULL;
        }
    }
    heap_close(h);
    return is_done;
}

/* To 64 bytes. */
static size_t smallest_arena(any_heap *h)
{
    size_t low = 0;
    size_t high = 4 * LIVE_BYTES_MAX;
    if (!completes(h, high)) return 0;
    while (high - low > 64) {
        const size_t middle = low + (high - low) / 2;
        if (completes(h, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* The same programs for all heaps: one for each number that the random ones begin with. */
static void make_program_of(size_t index, int run) { make_program(&mixes[index], (uint64_t)(run + 1) * 0x9e3779b97f4a7c15u); }

int main(int argument_count, char **arguments)
{
    const int run_count = argument_count > 1 ? (int)strtol(arguments[1], NULL, 10) : 5;
    printf("smallest arena / peak of what is in use, mean of %d runs (addresses of %zu bits)\n%-14s", run_count, sizeof(void *) * 8, "");
    for (size_t i = 0; i < MIX_COUNT; i++) printf("%12s", mixes[i].name);
    putchar('\n');
    for (size_t k = 0; k < HEAP_COUNT; k++) {
        double of_blocks[MIX_COUNT] = {0};
        printf("%-14s", heaps[k].name);
        for (size_t i = 0; i < MIX_COUNT; i++) {
            double sum = 0;
            for (int run = 0; run < run_count; run++) {
                make_program_of(i, run);
                const size_t bytes = smallest_arena(&heaps[k]);
                if (bytes == 0) return 1;
                sum += (double)bytes / (double)peak_bytes;
                if (heaps[k].engine == ACRE_REALTIME_TIGHT && completes(&heaps[k], bytes))
                    of_blocks[i] += (double)heaps[k].heap.capacity_bytes / (double)peak_bytes;
            }
            printf("%12.3f", sum / run_count);
        }
        putchar('\n');
        if (heaps[k].engine != ACRE_REALTIME_TIGHT) continue;
        printf("%-14s", "  its blocks"); /* the same arenas without control data */
        for (size_t i = 0; i < MIX_COUNT; i++) printf("%12.3f", of_blocks[i] / run_count);
        putchar('\n');
    }
    return 0;
}
