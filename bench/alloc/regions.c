/* regions.c - one load on one allocator, a number of times: what bench/alloc/compare runs in turn.
 *
 *     regions LOAD ALLOCATOR OPERATIONS
 *
 * prints the CPU nanoseconds an operation took. An operation is one block that comes and goes, and its first word is written.
 *
 *     request       128 blocks of 8 to 256 bytes, given back together: a region's load
 *     request_48    the same, all of 48 bytes, which the compiler sees
 *     lifo          32 blocks of 8 to 256 bytes that go in reverse order, one by one: a stack's load
 *     fifo          64 blocks of 16 to 1500 bytes out at any time, the oldest goes for each that comes: a ring's load
 *
 * Without arguments it lists its pairs of load and allocator.
 */
#include <acre/region.h>
#include <acre/ring.h>
#include <acre/stack.h>

#include <obstack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if WITH_APR
#include <apr_pools.h>
#endif
#if WITH_TALLOC
#include <talloc.h>
#endif

enum { REQUEST_COUNT = 128, LIFO_COUNT = 32, FIFO_COUNT = 64, SIZE_COUNT = 1024 };

#define obstack_chunk_alloc malloc
#define obstack_chunk_free  free

static size_t small_sizes[SIZE_COUNT];
static size_t packet_sizes[SIZE_COUNT];
static acre_space pages;

static void *must(void *block)
{
    if (block == NULL) abort();
    return block;
}

/* The first word is written, as a program would; and the compiler may not leave the block out. */
static void use(void *block)
{
    *(size_t *)must(block) = 1;
    __asm__ volatile("" : : "g"(block) : "memory");
}

static void make_sizes(void)
{
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        small_sizes[i] = 8 + (random >> 20) % 249;
        packet_sizes[i] = 16 + (random >> 40) % 1485;
    }
}

static void must_be_ok(acre_status status)
{
    if (status == ACRE_OK) return;
    puts(acre_last_error());
    abort();
}

/* ---- request ---- */

#define REQUESTS(operations, size, allocate, give_all)                                                                                     \
    for (size_t done = 0; done < (operations); done += REQUEST_COUNT) {                                                                    \
        for (size_t i = 0; i < REQUEST_COUNT; i++) {                                                                                       \
            const size_t block_bytes = (size);                                                                                             \
            use(allocate);                                                                                                                 \
        }                                                                                                                                  \
        (give_all);                                                                                                                        \
    }
#define ANY_SMALL small_sizes[(done + i) % SIZE_COUNT]

static void request_region(size_t operations, bool is_48)
{
    acre_region region;
    must_be_ok(acre_region_create(&(acre_region_options){.space = &pages}, &region));
    const acre_region_mark mark = acre_region_position(&region);
    if (is_48)
        REQUESTS(operations, 48, acre_region_alloc(&region, block_bytes), must_be_ok(acre_region_rewind(&region, mark)))
    else
        REQUESTS(operations, ANY_SMALL, acre_region_alloc(&region, block_bytes), must_be_ok(acre_region_rewind(&region, mark)))
    acre_region_destroy(&region);
}

static void request_obstack(size_t operations, bool is_48)
{
    struct obstack stack;
    obstack_begin(&stack, 65536 - 64);
    void *const mark = obstack_alloc(&stack, 1);
    obstack_free(&stack, mark);
    if (is_48)
        REQUESTS(operations, 48, obstack_alloc(&stack, block_bytes), obstack_free(&stack, mark))
    else
        REQUESTS(operations, ANY_SMALL, obstack_alloc(&stack, block_bytes), obstack_free(&stack, mark))
    obstack_free(&stack, NULL);
}

static void request_malloc(size_t operations, bool is_48)
{
    for (size_t done = 0; done < operations; done += REQUEST_COUNT) {
        void *blocks[REQUEST_COUNT];
        for (size_t i = 0; i < REQUEST_COUNT; i++) use(blocks[i] = malloc(is_48 ? 48 : ANY_SMALL));
        for (size_t i = 0; i < REQUEST_COUNT; i++) free(blocks[i]);
    }
}

#if WITH_APR
static void request_apr(size_t operations, bool is_48)
{
    apr_pool_t *pool = NULL;
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS) abort();
    if (is_48)
        REQUESTS(operations, 48, apr_palloc(pool, block_bytes), apr_pool_clear(pool))
    else
        REQUESTS(operations, ANY_SMALL, apr_palloc(pool, block_bytes), apr_pool_clear(pool))
    apr_terminate();
}
#endif

#if WITH_TALLOC
static void request_talloc(size_t operations, bool is_48)
{
    void *const pool = talloc_pool(NULL, 65536);
    if (is_48)
        REQUESTS(operations, 48, talloc_size(pool, block_bytes), talloc_free_children(pool))
    else
        REQUESTS(operations, ANY_SMALL, talloc_size(pool, block_bytes), talloc_free_children(pool))
    talloc_free(pool);
}
#endif

/* ---- lifo ---- */

#define LIFO(operations, allocate, give)                                                                                                   \
    for (size_t done = 0; done < (operations); done += LIFO_COUNT) {                                                                       \
        static void *blocks[LIFO_COUNT];                                                                                                   \
        for (size_t i = 0; i < LIFO_COUNT; i++) {                                                                                          \
            const size_t block_bytes = ANY_SMALL;                                                                                          \
            use(blocks[i] = (allocate));                                                                                                   \
        }                                                                                                                                  \
        for (size_t i = LIFO_COUNT; i-- > 0;) (give);                                                                                      \
    }

static void lifo_stack(size_t operations, bool is_48)
{
    (void)is_48;
    acre_stack stack;
    must_be_ok(acre_stack_create(&(acre_stack_options){.space = &pages, .size_bytes = 65536}, &stack));
    LIFO(operations, acre_stack_alloc(&stack, block_bytes), must_be_ok(acre_stack_free(&stack, blocks[i])))
    acre_stack_destroy(&stack);
}

static void lifo_obstack(size_t operations, bool is_48)
{
    (void)is_48;
    struct obstack stack;
    obstack_begin(&stack, 65536 - 64);
    LIFO(operations, obstack_alloc(&stack, block_bytes), obstack_free(&stack, blocks[i]))
    obstack_free(&stack, NULL);
}

static void lifo_malloc(size_t operations, bool is_48)
{
    (void)is_48;
    LIFO(operations, malloc(block_bytes), free(blocks[i]))
}

/* ---- fifo ---- */

static void fifo_ring(size_t operations, bool is_48)
{
    (void)is_48;
    acre_ring ring;
    must_be_ok(acre_ring_create(&(acre_ring_options){.space = &pages, .size_bytes = 256 * 1024}, &ring));
    for (size_t i = 0; i < operations; i++) {
        use(acre_ring_alloc(&ring, packet_sizes[i % SIZE_COUNT]));
        acre_ring_publish(&ring);
        if (i < FIFO_COUNT) continue;
        acre_block oldest;
        if (acre_ring_peek(&ring, 0, &oldest)) must_be_ok(acre_ring_free(&ring, oldest.base));
    }
    acre_ring_destroy(&ring);
}

static void fifo_malloc(size_t operations, bool is_48)
{
    (void)is_48;
    void *blocks[FIFO_COUNT] = {NULL};
    for (size_t i = 0; i < operations; i++) {
        free(blocks[i % FIFO_COUNT]);
        use(blocks[i % FIFO_COUNT] = malloc(packet_sizes[i % SIZE_COUNT]));
    }
    for (size_t i = 0; i < FIFO_COUNT; i++) free(blocks[i]);
}

/* ---- */

static const struct pair {
    const char *load;
    const char *allocator;
    void (*run)(size_t operations, bool is_48);
} pairs[] = {
    {"request", "acre", request_region},    {"request", "obstack", request_obstack},    {"request", "malloc", request_malloc},
    {"request_48", "acre", request_region}, {"request_48", "obstack", request_obstack}, {"request_48", "malloc", request_malloc},
    {"lifo", "acre", lifo_stack},           {"lifo", "obstack", lifo_obstack},          {"lifo", "malloc", lifo_malloc},
    {"fifo", "acre", fifo_ring},            {"fifo", "malloc", fifo_malloc},
#if WITH_APR
    {"request", "apr", request_apr},        {"request_48", "apr", request_apr},
#endif
#if WITH_TALLOC
    {"request", "talloc", request_talloc},  {"request_48", "talloc", request_talloc},
#endif
};

int main(int argument_count, char **arguments)
{
    make_sizes();
    must_be_ok(acre_space_open_pages(&pages, NULL));
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (argument_count == 1) printf("%s %s\n", pairs[i].load, pairs[i].allocator);
        if (argument_count != 4 || strcmp(arguments[1], pairs[i].load) != 0 || strcmp(arguments[2], pairs[i].allocator) != 0) continue;
        const size_t operations = strtoull(arguments[3], NULL, 10);
        const clock_t start = clock();
        pairs[i].run(operations, strcmp(pairs[i].load, "request_48") == 0);
        printf("%.3f\n", (double)(clock() - start) * 1e9 / CLOCKS_PER_SEC / (double)operations);
        return 0;
    }
    return argument_count == 1 ? 0 : 2;
}
