/* partition.c - see acre/partition.h. A partition is a real-time heap in a block of another one. What it adds: who calls, what a call
 * costs, and a tag in the last bytes of each block, where its length is known from its header. */
#include <acre/partition.h>

#include <string.h>

/* At the end of each block, of any alignment. */
typedef struct tag {
    const void *site;
    uint32_t caller;
    uint32_t mark; /* the last one before it was allocated */
} tag;

static size_t with_tag(size_t size) { return size > SIZE_MAX - sizeof(tag) ? size : size + sizeof(tag); }

static unsigned char *tag_of(void *block, size_t usable_bytes) { return (unsigned char *)block + usable_bytes - sizeof(tag); }

static bool is_made(const acre_partition *partition) { return partition != NULL && partition->memory != NULL; }

/* ---- the contract ---- */

/* Every call that changes a partition stands between enter and leave. */
static bool enter(acre_partition *partition)
{
    if (partition->is_inside) return false;
    partition->is_inside = true;
    return true;
}

static void leave(acre_partition *partition) { partition->is_inside = false; }

static void break_contract(acre_partition *partition, acre_partition_breach breach, uint64_t figure)
{
    const acre_partition_options *const options = &partition->options;
    partition->breach_counts[breach]++;
    if (options->broken != NULL) options->broken(options->broken_context, partition, breach, figure);
}

/* The heap in the partition calls this inside of an operation; the contract is looked at when the clock has been read. */
static void note_alarm(void *context, const acre_realtime *heap, uint32_t fragmentation_per_mille)
{
    acre_partition *const partition = context;
    (void)heap;
    partition->alarm_per_mille = fragmentation_per_mille;
}

static uint64_t time_of(const acre_partition *partition)
{
    return partition->options.contract.clock == NULL ? 0 : partition->options.contract.clock();
}

/* What the call that began at `start` has come to. */
static void settle(acre_partition *partition, acre_partition_breach breach, uint64_t start)
{
    const acre_partition_contract *const contract = &partition->options.contract;
    const uint64_t cost = time_of(partition) - start;
    const bool is_alloc = breach == ACRE_PARTITION_ALLOC_COST;
    uint64_t *const worst = is_alloc ? &partition->alloc_cost_worst : &partition->free_cost_worst;
    const uint64_t cost_max = is_alloc ? contract->alloc_cost_max : contract->free_cost_max;
    if (cost > *worst) *worst = cost;
    if (cost_max > 0 && cost > cost_max) break_contract(partition, breach, cost);
    if (partition->alarm_per_mille > 0) break_contract(partition, ACRE_PARTITION_FRAGMENTATION, partition->alarm_per_mille);
    partition->alarm_per_mille = 0;
}

/* ---- its life ---- */

acre_status acre_partition_init(acre_partition *partition, const acre_partition_options *options, acre_realtime *heap)
{
    if (partition == NULL || options == NULL || heap == NULL) return ACRE_INVALID;
    if ((unsigned)options->engine >= ACRE_REALTIME_ENGINE_COUNT) return ACRE_INVALID;
    if (options->quota_bytes < ACRE_REALTIME_BYTES_MIN || (options->alignment & (options->alignment - 1)) != 0) return ACRE_INVALID;
    void *const memory = options->alignment == 0 ? acre_realtime_alloc(heap, options->quota_bytes)
                                                 : acre_realtime_alloc_aligned(heap, options->quota_bytes, options->alignment);
    if (memory == NULL) return ACRE_NO_MEMORY;

    acre_partition made = {.options = *options, .heap = heap, .memory = memory};
    const uint32_t limit = options->contract.fragmentation_limit_per_mille;
    if (made.options.name == NULL) made.options.name = "partition";
    const acre_realtime_options of_blocks = {.name = made.options.name,
                                             .engine = options->engine,
                                             .alarm = limit > 0 ? note_alarm : NULL,
                                             .alarm_context = partition,
                                             .fragmentation_limit_per_mille = limit};
    const acre_status status = acre_realtime_init(&made.blocks, &of_blocks, memory, options->quota_bytes);
    if (status == ACRE_OK)
        *partition = made;
    else
        (void)acre_realtime_free(heap, memory);
    return status;
}

acre_status acre_partition_end(acre_partition *partition)
{
    if (!is_made(partition)) return ACRE_INVALID;
    if (!enter(partition)) return ACRE_BUSY;
    acre_status status = ACRE_BREACH;
    if (partition->blocks.block_count > partition->options.contract.leak_count_max) {
        break_contract(partition, ACRE_PARTITION_LEAK, partition->blocks.block_count);
    } else {
        status = acre_realtime_free(partition->heap, partition->memory);
        if (status == ACRE_OK) partition->memory = NULL;
    }
    leave(partition);
    return status;
}

/* ---- blocks ---- */

/* False, and counted, when the caller has no right to do that. */
static bool may(acre_partition *partition, uint32_t caller, uint32_t right)
{
    if (caller == partition->options.owner || (partition->options.others_may & right) != 0) return true;
    partition->denied_count++;
    return false;
}

void *acre_partition_alloc_at(acre_partition *partition, uint32_t caller, size_t size, const void *site)
{
    if (!is_made(partition) || !enter(partition)) return NULL;
    void *block = NULL;
    const uint64_t start = time_of(partition);
    if (may(partition, caller, ACRE_PARTITION_ALLOC)) {
        block = acre_realtime_alloc(&partition->blocks, with_tag(size));
        if (block != NULL) {
            const tag mine = {.site = site, .caller = caller, .mark = partition->mark};
            memcpy(tag_of(block, acre_realtime_usable_size(&partition->blocks, block)), &mine, sizeof mine);
        }
        settle(partition, ACRE_PARTITION_ALLOC_COST, start);
    }
    leave(partition);
    return block;
}

void *acre_partition_alloc(acre_partition *partition, uint32_t caller, size_t size)
{
    return acre_partition_alloc_at(partition, caller, size, __builtin_return_address(0));
}

acre_status acre_partition_free(acre_partition *partition, uint32_t caller, void *block)
{
    if (!is_made(partition)) return ACRE_INVALID;
    if (!enter(partition)) return ACRE_BUSY;
    acre_status status = ACRE_DENIED;
    const uint64_t start = time_of(partition);
    if (may(partition, caller, ACRE_PARTITION_FREE)) {
        status = acre_realtime_free(&partition->blocks, block);
        settle(partition, ACRE_PARTITION_FREE_COST, start);
    }
    leave(partition);
    return status;
}

static void *resize(acre_partition *partition, void *block, size_t size)
{
    tag mine;
    const size_t usable = acre_realtime_usable_size(&partition->blocks, block);
    if (usable < sizeof mine) return NULL; /* no block of ours */
    memcpy(&mine, tag_of(block, usable), sizeof mine);
    void *const moved = acre_realtime_realloc(&partition->blocks, block, with_tag(size));
    if (moved != NULL) memcpy(tag_of(moved, acre_realtime_usable_size(&partition->blocks, moved)), &mine, sizeof mine);
    return moved;
}

void *acre_partition_realloc(acre_partition *partition, uint32_t caller, void *block, size_t size)
{
    if (block == NULL) return acre_partition_alloc_at(partition, caller, size, __builtin_return_address(0));
    if (!is_made(partition) || !enter(partition)) return NULL;
    void *moved = NULL;
    const uint64_t start = time_of(partition);
    if (may(partition, caller, ACRE_PARTITION_ALLOC)) {
        moved = resize(partition, block, size);
        settle(partition, ACRE_PARTITION_ALLOC_COST, start);
    }
    leave(partition);
    return moved;
}

size_t acre_partition_usable_size(const acre_partition *partition, const void *block)
{
    const size_t usable = is_made(partition) ? acre_realtime_usable_size(&partition->blocks, block) : 0;
    return usable < sizeof(tag) ? 0 : usable - sizeof(tag);
}

size_t acre_partition_block_bytes(acre_realtime_engine engine, size_t size)
{
    return acre_realtime_block_bytes(engine, with_tag(size == 0 ? 1 : size));
}

/* ---- figures ---- */

void *acre_partition_memory(const acre_partition *partition, size_t *bytes)
{
    const bool is_there = is_made(partition);
    if (bytes != NULL) *bytes = is_there ? partition->options.quota_bytes : 0;
    return is_there ? partition->memory : NULL;
}

acre_status acre_partition_read_figures(const acre_partition *partition, acre_partition_figures *figures)
{
    if (!is_made(partition) || figures == NULL) return ACRE_INVALID;
    figures->alloc_cost_worst = partition->alloc_cost_worst;
    figures->free_cost_worst = partition->free_cost_worst;
    figures->denied_count = partition->denied_count;
    memcpy(figures->breach_counts, partition->breach_counts, sizeof figures->breach_counts);
    return acre_realtime_read_figures(&partition->blocks, &figures->heap);
}

/* ---- leaks ---- */

uint32_t acre_partition_mark(acre_partition *partition) { return is_made(partition) ? ++partition->mark : 0; }

typedef struct search {
    const acre_partition *partition;
    acre_leak_report *report;
    uint32_t mark;
    size_t block_count;
    bool is_left_out;
} search;

static acre_leak *row_of(const search *s, const tag *of)
{
    acre_leak_report *const report = s->report;
    const char *const name = s->partition->options.name;
    for (size_t i = 0; i < report->count; i++) {
        acre_leak *const leak = &report->leaks[i];
        if (leak->site == of->site && leak->owner == of->caller && leak->partition == name) return leak;
    }
    if (report->count == report->capacity) return NULL;
    acre_leak *const added = &report->leaks[report->count++];
    *added = (acre_leak){.partition = name, .owner = of->caller, .site = of->site};
    return added;
}

static bool visit(void *context, void *block, size_t usable_bytes)
{
    search *const s = context;
    tag of;
    memcpy(&of, tag_of(block, usable_bytes), sizeof of);
    if (of.mark < s->mark) return true;
    s->block_count++;
    acre_leak *const leak = row_of(s, &of);
    if (leak == NULL) {
        s->report->left_out_count++;
        s->is_left_out = true;
        return true;
    }
    leak->block_count++;
    leak->bytes += usable_bytes - sizeof of;
    return true;
}

acre_status acre_partition_leaks(acre_partition *partition, uint32_t mark, acre_leak_report *report)
{
    if (!is_made(partition) || report == NULL || (report->leaks == NULL && report->capacity > 0)) return ACRE_INVALID;
    if (!enter(partition)) return ACRE_BUSY;
    search s = {.partition = partition, .report = report, .mark = mark};
    acre_status status = acre_realtime_walk(&partition->blocks, visit, &s);
    if (s.block_count > partition->options.contract.leak_count_max) {
        break_contract(partition, ACRE_PARTITION_LEAK, s.block_count);
        if (status == ACRE_OK) status = s.is_left_out ? ACRE_NO_MEMORY : ACRE_BREACH;
    } else if (status == ACRE_OK && s.is_left_out) {
        status = ACRE_NO_MEMORY;
    }
    leave(partition);
    return status;
}
