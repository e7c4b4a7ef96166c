/* board_partition.c - four partitions under load on microcontrollers: what one of them does to its own quota changes neither the failures
 * nor the instructions nor the places of the other three. A contract of instructions holds at what its worst call took, and is broken with
 * one instruction less.
 *
 * boards:  m3 m33 rv32
 * sources: src/alloc/block.c src/alloc/buddy.c src/alloc/half_fit.c src/alloc/tight.c src/embedded/realtime.c src/embedded/partition.c
 * flags:   -DNDEBUG
 */
#include "board.h"

#include <acre/partition.h>

enum { OWNER_COUNT = 4, GREEDY = 3, SLOT_COUNT = 20, BLOCK_BYTES_MAX = 200, STEPS = 20000, BYTES = 224 << 10 };

static _Alignas(16) unsigned char memory[BYTES];
static acre_realtime heap;
static acre_partition partitions[OWNER_COUNT];
static void *slots[OWNER_COUNT][SLOT_COUNT];

typedef struct outcome {
    uint32_t alloc_max[OWNER_COUNT];
    uint32_t free_max[OWNER_COUNT];
    uint32_t failure_count[OWNER_COUNT];
    uint32_t places;
} outcome;

static uint32_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/* Instructions since the program began, as a contract wants them. */
static uint64_t read_instructions(void)
{
    static uint64_t total;
    static uint32_t last;
    total += board_count_since(last);
    last = board_count();
    return total;
}

static bool make_partitions(acre_realtime_engine engine, uint64_t alloc_cost_max)
{
    const acre_realtime_options of_heap = {.name = "all"};
    const size_t block_bytes = acre_partition_block_bytes(engine, BLOCK_BYTES_MAX);
    const size_t quota = acre_realtime_bound(engine, SLOT_COUNT * block_bytes, block_bytes);
    if (acre_realtime_init(&heap, &of_heap, memory, BYTES) != ACRE_OK) return false;
    for (uint32_t i = 0; i < OWNER_COUNT; i++) {
        acre_partition_options options = {.owner = i, .engine = engine, .quota_bytes = i == GREEDY ? 16384 : quota};
        options.contract.alloc_cost_max = alloc_cost_max;
        options.contract.clock = alloc_cost_max > 0 ? read_instructions : NULL;
        if (acre_partition_init(&partitions[i], &options, &heap) != ACRE_OK) return false;
        for (uint32_t k = 0; k < SLOT_COUNT; k++) slots[i][k] = NULL;
    }
    return true;
}

static void keep_greatest(uint32_t *greatest, uint32_t count)
{
    if (count > *greatest) *greatest = count;
}

/* The greedy one takes all it can get, and gives some of it back to ask anew. */
static void be_greedy(uint64_t *random, outcome *of)
{
    void **const slot = &slots[GREEDY][next_random(random) % SLOT_COUNT];
    if (*slot != NULL && next_random(random) % 4 == 0) (void)acre_partition_free(&partitions[GREEDY], GREEDY, *slot);
    *slot = acre_partition_alloc(&partitions[GREEDY], GREEDY, next_random(random) % 4000);
    of->failure_count[GREEDY] += *slot == NULL;
}

static bool run(acre_realtime_engine engine, bool with_greed, uint64_t alloc_cost_max, outcome *of)
{
    uint64_t random = 88172645463325252u;
    uint64_t greed = 5;
    *of = (outcome){.places = 2166136261u};
    if (!make_partitions(engine, alloc_cost_max)) return false;
    for (uint32_t i = 0; i < STEPS; i++) {
        const uint32_t owner = next_random(&random) % GREEDY;
        void **const slot = &slots[owner][next_random(&random) % SLOT_COUNT];
        const uint32_t size = 1 + next_random(&random) % BLOCK_BYTES_MAX;
        if (with_greed) be_greedy(&greed, of);
        if (*slot != NULL) {
            const uint32_t start = board_count();
            const acre_status status = acre_partition_free(&partitions[owner], owner, *slot);
            keep_greatest(&of->free_max[owner], board_count_since(start));
            if (status != ACRE_OK) return false;
            *slot = NULL;
        } else {
            const uint32_t start = board_count();
            *slot = acre_partition_alloc(&partitions[owner], owner, size);
            keep_greatest(&of->alloc_max[owner], board_count_since(start));
            of->failure_count[owner] += *slot == NULL;
            of->places = (of->places ^ (uint32_t)((unsigned char *)*slot - memory)) * 16777619u;
        }
    }
    return true;
}

static bool report(const char *name, const outcome *alone, const outcome *beside_greed)
{
    bool is_same = alone->places == beside_greed->places;
    for (uint32_t i = 0; i < GREEDY; i++) {
        is_same &= alone->alloc_max[i] == beside_greed->alloc_max[i] && alone->free_max[i] == beside_greed->free_max[i];
        is_same &= alone->failure_count[i] == 0 && beside_greed->failure_count[i] == 0;
        board_write(i == 0 ? name : "");
        board_write(i == 0 ? ": alloc, free " : "; ");
        board_write_number(beside_greed->alloc_max[i]);
        board_write(", ");
        board_write_number(beside_greed->free_max[i]);
    }
    board_write(is_same ? "; the same alone and beside one with " : "; NOT as alone; failures of the greedy one: ");
    board_write_number(beside_greed->failure_count[GREEDY]);
    board_write(" failures\n");
    return is_same && beside_greed->failure_count[GREEDY] > STEPS / 10;
}

/* Breaches of the first partition under a contract of so many instructions; its worst call goes to `worst`. -1: a call failed. */
static int64_t breaches_of(uint64_t alloc_cost_max, uint64_t *worst)
{
    outcome of;
    acre_partition_figures figures;
    if (!run(ACRE_REALTIME_TIGHT, true, alloc_cost_max, &of)) return -1;
    if (acre_partition_read_figures(&partitions[0], &figures) != ACRE_OK) return -1;
    *worst = figures.alloc_cost_worst;
    return figures.breach_counts[ACRE_PARTITION_ALLOC_COST];
}

static bool holds_contract(void)
{
    uint64_t worst;
    uint64_t again;
    if (breaches_of(100000, &worst) != 0) return false;
    board_write("tight: a contract of ");
    board_write_number(worst);
    board_write(" instructions, its clock included, holds");
    if (breaches_of(worst, &again) != 0 || again != worst) return false;
    const int64_t breach_count = breaches_of(worst - 1, &again);
    board_write("; with one less it is broken ");
    board_write_number((uint64_t)breach_count);
    board_write(" times\n");
    return breach_count > 0;
}

int board_main(void)
{
    outcome alone;
    outcome beside_greed;
    if (!run(ACRE_REALTIME_TIGHT, false, 0, &alone) || !run(ACRE_REALTIME_TIGHT, true, 0, &beside_greed)) return 1;
    if (!report("tight", &alone, &beside_greed)) return 2;
    if (!run(ACRE_REALTIME_FAST, false, 0, &alone) || !run(ACRE_REALTIME_FAST, true, 0, &beside_greed)) return 3;
    if (!report("fast", &alone, &beside_greed)) return 4;
    return holds_contract() ? 0 : 5;
}
