/* Proofs of embedded/partition.c, over any real-time heap: one that returns what acre/realtime.h promises, and nothing more. */
#include "../proof.h"
#include "embedded/partition.c"

enum { BLOCK_AT = 8, USABLE_MAX = 28, MEMORY_BYTES = 44 };

typedef struct bytes {
    unsigned char at[MEMORY_BYTES];
} bytes;
bytes nondet_bytes(void);

static bytes memory;         /* of the block, and of what is around it */
static bytes other_memory;   /* where a realloc may move it to */
static unsigned char *place; /* the block in use; NULL: none */
static size_t usable_bytes;
static size_t watched; /* the byte of a block that a proof looks at */
static unsigned heap_calls;

static void *block_of(bytes *in, size_t size)
{
    if (size > USABLE_MAX || nondet_bool()) return NULL;
    place = in->at + BLOCK_AT;
    usable_bytes = nondet_size();
    assume(usable_bytes >= size && usable_bytes <= USABLE_MAX && usable_bytes % 4 == 0); /* as those of all engines */
    return place;
}

void *acre_realtime_alloc(acre_realtime *heap, size_t size)
{
    heap_calls++;
    return block_of(&memory, size);
}

void *acre_realtime_alloc_aligned(acre_realtime *heap, size_t size, size_t alignment) { return acre_realtime_alloc(heap, size); }

void *acre_realtime_realloc(acre_realtime *heap, void *block, size_t size)
{
    const size_t usable_before = usable_bytes;
    const unsigned char byte = watched < usable_before ? ((unsigned char *)block)[watched] : 0;
    heap_calls++;
    unsigned char *const moved = block_of(nondet_bool() ? &other_memory : &memory, size);
    if (moved != NULL && moved != block && watched < usable_before && watched < size) moved[watched] = byte;
    return moved;
}

acre_status acre_realtime_free(acre_realtime *heap, void *block)
{
    heap_calls++;
    return nondet_bool() ? ACRE_OK : ACRE_BAD_POINTER;
}

size_t acre_realtime_usable_size(const acre_realtime *heap, const void *block) { return block == place ? usable_bytes : 0; }

acre_status acre_realtime_walk(acre_realtime *heap, acre_realtime_visitor *visitor, void *context)
{
    if (place != NULL) (void)visit(context, place, usable_bytes);
    return ACRE_OK;
}

acre_status acre_realtime_init(acre_realtime *heap, const acre_realtime_options *options, void *at, size_t bytes) { return ACRE_OK; }
size_t acre_realtime_block_bytes(acre_realtime_engine engine, size_t size) { return size; }
acre_status acre_realtime_read_figures(const acre_realtime *heap, acre_realtime_figures *figures) { return ACRE_OK; }

/* ---- any partition ---- */

static acre_partition partition;
static uint64_t now;
static uint64_t started;
static bool is_read;

static uint64_t read_clock(void)
{
    now += nondet_u32();
    if (!is_read) started = now;
    is_read = true;
    return now;
}

static void any_partition(void)
{
    partition = (acre_partition){.memory = memory.at, .mark = nondet_u32(), .is_inside = nondet_bool()};
    memory = nondet_bytes();
    other_memory = nondet_bytes();
    partition.options.owner = nondet_u32();
    partition.options.others_may = nondet_u32();
    partition.options.contract.clock = nondet_bool() ? read_clock : NULL;
    partition.options.contract.alloc_cost_max = nondet_u64();
    partition.options.contract.free_cost_max = nondet_u64();
    partition.options.contract.leak_count_max = nondet_size();
}

/* Whether `caller` may do that, by the options as acre/partition.h tells them. */
static bool is_allowed(uint32_t caller, uint32_t right)
{
    return caller == partition.options.owner || (partition.options.others_may & right) == right;
}

/* What a call that is over must have left: breaches exactly of the cost, and the door open. */
static void assert_settled(acre_partition_breach breach, uint64_t cost_max)
{
    const uint64_t cost = partition.options.contract.clock == NULL ? 0 : now - started;
    assert(!partition.is_inside);
    assert(partition.breach_counts[breach] == (cost_max > 0 && cost > cost_max));
}

/* One report of what is out since `mark`, with room for one row. */
static acre_leak leak;
static size_t leak_count_since(uint32_t mark)
{
    acre_leak_report report = {.leaks = &leak, .capacity = 1};
    (void)acre_partition_leaks(&partition, mark, &report);
    return report.count;
}

/* PROOF partition_alloc
 *   property: who may not, or comes while a call is interrupted, does not reach the heap and changes nothing but its count; else the
 *             block keeps all of its bytes, none outside of it is written, the report names caller, call site and size from its mark
 *             on and not from a later one, and the contract is broken exactly when the clock says so
 *   bound:    blocks of at most 28 bytes, of a multiple of 4 as those of all engines
 *   assumes:  the heap does what acre/realtime.h says
 *   options:  --unwind 3
 */
void prove_partition_alloc(void)
{
    any_partition();
    const bool was_inside = partition.is_inside;
    const uint32_t caller = nondet_u32();
    const size_t size = nondet_size(), which = nondet_size();
    assume(which < MEMORY_BYTES);
    const unsigned char byte_before = memory.at[which];
    const void *const site = &leak;
    unsigned char *const block = acre_partition_alloc_at(&partition, caller, size, site);
    if (was_inside || !is_allowed(caller, ACRE_PARTITION_ALLOC)) {
        assert(block == NULL && heap_calls == 0 && partition.is_inside == was_inside);
        assert(partition.denied_count == !was_inside);
        return;
    }
    assert(partition.denied_count == 0);
    assert_settled(ACRE_PARTITION_ALLOC_COST, partition.options.contract.alloc_cost_max);
    if (block == NULL) return;
    if (which < BLOCK_AT + size || which >= BLOCK_AT + usable_bytes) assert(memory.at[which] == byte_before);
    assert(acre_partition_usable_size(&partition, block) >= size);
    assert(leak_count_since(partition.mark) == 1);
    assert(leak.owner == caller && leak.site == site && leak.block_count == 1 && leak.bytes >= size);
    if (partition.mark < UINT32_MAX) assert(leak_count_since(acre_partition_mark(&partition)) == 0);
}

/* PROOF partition_free
 *   property: who may not, or comes while a call is interrupted, does not reach the heap; else the heap's answer is returned, and the
 *             contract is broken exactly when the clock says so
 *   bound:    unbounded
 *   assumes:  the heap does what acre/realtime.h says
 */
void prove_partition_free(void)
{
    any_partition();
    const bool was_inside = partition.is_inside;
    const uint32_t caller = nondet_u32();
    const acre_status status = acre_partition_free(&partition, caller, memory.at + BLOCK_AT);
    if (was_inside || !is_allowed(caller, ACRE_PARTITION_FREE)) {
        assert(status == (was_inside ? ACRE_BUSY : ACRE_DENIED) && heap_calls == 0 && partition.is_inside == was_inside);
        return;
    }
    assert(heap_calls == 1 && (status == ACRE_OK || status == ACRE_BAD_POINTER));
    assert_settled(ACRE_PARTITION_FREE_COST, partition.options.contract.free_cost_max);
}

/* PROOF partition_realloc
 *   property: a block that becomes longer or shorter, moved or not, keeps the bytes that both lengths have, its caller, its call site
 *             and its mark; one that can't is as it was
 *   bound:    blocks of at most 28 bytes, of a multiple of 4 as those of all engines
 *   assumes:  the heap does what acre/realtime.h says; the contract has no limits
 *   options:  --unwind 3
 */
void prove_partition_realloc(void)
{
    any_partition();
    partition.is_inside = false;
    partition.options.contract = (acre_partition_contract){.clock = NULL};
    const tag before = {.site = nondet_bool() ? &place : NULL, .caller = nondet_u32(), .mark = nondet_u32()};
    const size_t new_size = nondet_size();
    unsigned char *const block = memory.at + BLOCK_AT;
    watched = nondet_size();
    place = block;
    usable_bytes = nondet_size();
    assume(usable_bytes >= sizeof before && usable_bytes <= USABLE_MAX && usable_bytes % 4 == 0);
    assume(watched < usable_bytes - sizeof before && watched < new_size);
    memcpy(tag_of(block, usable_bytes), &before, sizeof before);
    const unsigned char byte = block[watched];

    unsigned char *const moved = acre_partition_realloc(&partition, partition.options.owner, block, new_size);
    assert(place == (moved != NULL ? moved : block) && place[watched] == byte);
    assert(moved == NULL || acre_partition_usable_size(&partition, moved) >= new_size);
    tag after;
    memcpy(&after, tag_of(place, usable_bytes), sizeof after);
    assert(after.site == before.site && after.caller == before.caller && after.mark == before.mark);
}
