/* test_reach.c - the blocks that are found to be unreachable are those that the simplest search does not reach. */
#include "heap/reach.h"
#include "heap/registry.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

enum { NODE_COUNT = 3000, EDGE_COUNT = 4, ROOT_COUNT = 100, ROUND_COUNT = 20, MANY = 150000 };

/* Where the test itself keeps addresses, they must not look like any. */
#define HIDDEN UINT64_C(0x5555000000000000)

/* Words that look like addresses are left behind by what was called before: they may hide this many blocks. */
enum { HIDDEN_MAX = 5 };

static acre_heap *heap;
static void *volatile roots[ROOT_COUNT];
static uint64_t nodes[NODE_COUNT]; /* hidden */
static bool is_reachable[NODE_COUNT];
static uint64_t found[MANY]; /* hidden */
static size_t found_count;

static void hear(const acre_heap_event *event) { (void)event; }

static void exclude_nothing(void *context, acre_reach_take *take, void *taker)
{
    (void)context;
    (void)take;
    (void)taker;
}

static void take_found(void *context, const acre_block *block)
{
    (void)context;
    if (found_count < MANY) found[found_count++] = block->base ^ HIDDEN;
}

static size_t look(void)
{
    acre_reach_figures figures;
    found_count = 0;
    assert_int_equal(acre_heap_find_unreachable(heap, exclude_nothing, take_found, NULL, &figures), ACRE_OK);
    assert_int_equal(figures.unreachable_count, found_count);
    assert_int_equal(figures.all_count, found_count); /* the observer is told of everything */
    assert_true(figures.is_all_known && figures.all_bytes >= found_count * ACRE_BLOCK_BYTES_MIN);
    assert_true(figures.root_bytes > 0);
    return found_count;
}

static int open_heap(void **state)
{
    (void)state;
    heap = acre_process_heap();
    if (heap == NULL) return -1;
    acre_heap_observe(heap, hear, 0, true);
    return 0;
}

static void **node_at(size_t index) { return (void **)(uintptr_t)(nodes[index] ^ HIDDEN); }

static void make_nodes(uint64_t *random)
{
    for (size_t i = 0; i < NODE_COUNT; i++) {
        /* Small blocks, long ones, and now and then one that is not read where it lies. */
        const uint64_t kind = next_random(random) % 200;
        const size_t bytes = kind == 0 ? (size_t)1200 << 10 : kind < 10 ? 20000 : EDGE_COUNT * sizeof(void *) + (size_t)kind;
        void *const block = acre_heap_alloc(heap, bytes);
        assert_non_null(block);
        memset(block, 0, bytes);
        nodes[i] = (uintptr_t)block ^ HIDDEN;
    }
}

/* Links random nodes, each to fewer than one on average: many parts that hang together, none of them so large that a word which is left
 * behind somewhere hides most nodes. */
static void link_nodes(uint64_t *random, uint32_t (*edges)[EDGE_COUNT])
{
    for (size_t i = 0; i < NODE_COUNT; i++) {
        const size_t count = next_random(random) % 8 == 0 ? EDGE_COUNT - 1 : next_random(random) % 2;
        for (size_t k = 0; k < EDGE_COUNT; k++) edges[i][k] = k < count ? (uint32_t)(next_random(random) % NODE_COUNT) : UINT32_MAX;
        for (size_t k = 0; k < count; k++) node_at(i)[k] = (char *)node_at(edges[i][k]) + next_random(random) % EDGE_COUNT * sizeof(void *);
    }
}

static void reach_from(size_t root, uint32_t (*edges)[EDGE_COUNT])
{
    static uint32_t waiting[NODE_COUNT * EDGE_COUNT + 1];
    size_t count = 0;
    waiting[count++] = (uint32_t)root;
    while (count > 0) {
        const uint32_t at = waiting[--count];
        if (is_reachable[at]) continue;
        is_reachable[at] = true;
        for (size_t k = 0; k < EDGE_COUNT && edges[at][k] != UINT32_MAX; k++) waiting[count++] = edges[at][k];
    }
}

static size_t index_of(uint64_t hidden)
{
    for (size_t i = 0; i < NODE_COUNT; i++)
        if (nodes[i] == hidden) return i;
    return NODE_COUNT;
}

static void what_is_found_is_what_a_simple_search_does_not_reach(void **state)
{
    (void)state;
    static uint32_t edges[NODE_COUNT][EDGE_COUNT];
    uint64_t random = 11;
    for (int round = 0; round < ROUND_COUNT; round++) {
        make_nodes(&random);
        link_nodes(&random, edges);
        memset(is_reachable, 0, sizeof is_reachable);
        for (size_t i = 0; i < ROOT_COUNT; i++) {
            const size_t root = next_random(&random) % NODE_COUNT;
            roots[i] = node_at(root);
            reach_from(root, edges);
        }
        size_t unreachable_count = 0;
        for (size_t i = 0; i < NODE_COUNT; i++) unreachable_count += !is_reachable[i];
        assert_true(unreachable_count > 100 && unreachable_count < NODE_COUNT - 100);

        (void)look();
        size_t known_count = 0;
        for (size_t i = 0; i < found_count; i++) {
            const size_t index = index_of(found[i]);
            if (index == NODE_COUNT) continue; /* the runtime's */
            assert_false(is_reachable[index]);
            known_count++;
        }
        /* A word that hides one block hides what hangs on it. */
        assert_true(known_count <= unreachable_count && known_count + unreachable_count / 8 >= unreachable_count);
        for (size_t i = 0; i < NODE_COUNT; i++) acre_heap_free(heap, node_at(i));
        for (size_t i = 0; i < ROOT_COUNT; i++) roots[i] = NULL;
    }
}

static void more_blocks_than_can_wait_are_all_looked_into(void **state)
{
    (void)state;
    void **const all = acre_heap_alloc(heap, MANY / 2 * sizeof *all);
    assert_non_null(all);
    roots[0] = all;
    for (size_t i = 0; i < MANY / 2; i++) {
        void **const outer = acre_heap_alloc(heap, 16), **const inner = acre_heap_alloc(heap, 16);
        outer[0] = inner;
        inner[0] = NULL;
        all[i] = outer;
    }
    const size_t before = look();
    assert_true(before < 100);
    for (size_t i = 0; i < MANY / 2; i++) all[i] = (void *)((uintptr_t)all[i] ^ HIDDEN);
    assert_true(look() >= MANY - 2 * HIDDEN_MAX);
    for (size_t i = 0; i < MANY / 2; i++) {
        void **const outer = (void **)((uintptr_t)all[i] ^ HIDDEN);
        acre_heap_free(heap, outer[0]);
        acre_heap_free(heap, outer);
    }
    acre_heap_free(heap, all);
    roots[0] = NULL;
}

enum { HOLDER_COUNT = 20 };
static uint64_t holders[HOLDER_COUNT], helds[HOLDER_COUNT]; /* hidden */

__attribute__((noinline)) static void free_holders(void)
{
    for (size_t i = 0; i < HOLDER_COUNT; i++) {
        void **const holder = acre_heap_alloc(heap, 64), *const held = acre_heap_alloc(heap, 64);
        holder[3] = held;
        holders[i] = (uintptr_t)holder ^ HIDDEN;
        helds[i] = (uintptr_t)held ^ HIDDEN;
        roots[i] = holder;
    }
    for (size_t i = 0; i < HOLDER_COUNT; i++) acre_heap_free(heap, (void *)(uintptr_t)(holders[i] ^ HIDDEN));
}

static bool is_found(uint64_t hidden)
{
    for (size_t i = 0; i < found_count; i++)
        if (found[i] == hidden) return true;
    return false;
}

static void a_freed_block_is_not_found_and_holds_nothing(void **state)
{
    (void)state;
    free_holders();
    (void)look();
    size_t held_count = 0;
    for (size_t i = 0; i < HOLDER_COUNT; i++) {
        assert_false(is_found(holders[i]));
        held_count += is_found(helds[i]);
    }
    assert_true(held_count >= HOLDER_COUNT - HIDDEN_MAX);
    for (size_t i = 0; i < HOLDER_COUNT; i++) acre_heap_free(heap, (void *)(uintptr_t)(helds[i] ^ HIDDEN));
    for (size_t i = 0; i < HOLDER_COUNT; i++) roots[i] = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found_is_what_a_simple_search_does_not_reach),
        cmocka_unit_test(more_blocks_than_can_wait_are_all_looked_into),
        cmocka_unit_test(a_freed_block_is_not_found_and_holds_nothing),
    };
    return cmocka_run_group_tests(tests, open_heap, NULL);
}
