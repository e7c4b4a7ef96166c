/* churn.c - threads that allocate, resize, write, copy, hand over and free at random, and make no mistake: a heap that checks must stay
 * silent.
 *
 *     churn OPERATIONS [THREADS]      of all threads together; 4 threads. With ACRE_BENCH_QUICK set a million operations
 *
 * Only the C library: which malloc it runs on, and how that checks, is what is preloaded. Each block holds its size and is full of one
 * byte, so that damage by the heap itself would be seen, too.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 64, OWN_COUNT = 400, SHARED_COUNT = 512 };

typedef struct held {
    unsigned char *bytes;
    size_t size;
} held;

static held *shared[SHARED_COUNT]; /* changed by exchange: whoever takes one owns it */
static uint64_t operation_count;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void fail(const char *what)
{
    fprintf(stderr, "churn: %s\n", what);
    abort();
}

/* The ends of a block; all of it would make a test of memset. */
static void mark(const held *block)
{
    const size_t ends = block->size < 64 ? block->size : 64;
    memset(block->bytes, (int)(block->size & 255), ends);
    memset(block->bytes + block->size - ends, (int)(block->size & 255), ends);
}

static void check(const held *block)
{
    if (block->size == 0) return;
    const unsigned char byte = (unsigned char)(block->size & 255);
    if (block->bytes[0] != byte || block->bytes[block->size - 1] != byte) fail("a block has lost its contents");
}

static size_t random_size(uint64_t number)
{
    switch (number % 32) {
    case 0: return (number >> 8) % 40000;
    case 1: return (number >> 8) % 9000;
    case 2: return 0;
    case 3: return (size_t)16 << (number >> 8) % 8;
    default: return 1 + (number >> 8) % 300;
    }
}

static void fill(held *block, uint64_t number)
{
    block->size = random_size(number);
    switch (number >> 40 & 7) {
    case 0: block->bytes = calloc(1, block->size); break;
    case 1: block->bytes = aligned_alloc((size_t)16 << (number >> 50) % 8, block->size); break;
    default: block->bytes = malloc(block->size);
    }
    if (block->bytes == NULL) fail("no memory");
    mark(block);
}

static void resize(held *block, uint64_t number)
{
    check(block);
    const size_t size = random_size(number) + 1;
    unsigned char *const bytes = realloc(block->bytes, size);
    if (bytes == NULL) fail("no memory");
    if (block->size > 0 && bytes[0] != (unsigned char)(block->size & 255)) fail("realloc has lost the contents");
    *block = (held){.bytes = bytes, .size = size};
    mark(block);
}

static void empty(held *block)
{
    if (block->bytes != NULL) check(block);
    free(block->bytes);
    *block = (held){.bytes = NULL};
}

/* What one thread allocated another frees. */
static void hand_over(held *block, uint64_t number)
{
    held *const carrier = malloc(sizeof *carrier);
    if (carrier == NULL) fail("no memory");
    *carrier = *block;
    *block = (held){.bytes = NULL};
    held *const other = __atomic_exchange_n(&shared[number % SHARED_COUNT], carrier, __ATOMIC_ACQ_REL);
    if (other == NULL) return;
    empty(other);
    free(other);
}

static void *work(void *seed)
{
    uint64_t random = (uintptr_t)seed;
    held blocks[OWN_COUNT] = {{.bytes = NULL}};
    for (uint64_t i = 0; i < operation_count; i++) {
        const uint64_t number = next_random(&random);
        held *const block = &blocks[(number >> 32) % OWN_COUNT];
        if (block->bytes == NULL)
            fill(block, next_random(&random));
        else if (number % 8 == 0)
            resize(block, next_random(&random));
        else if (number % 8 == 1)
            hand_over(block, number >> 8);
        else
            empty(block);
    }
    for (int i = 0; i < OWN_COUNT; i++) empty(&blocks[i]);
    return NULL;
}

int main(int argument_count, char **arguments)
{
    const bool is_quick = getenv("ACRE_BENCH_QUICK") != NULL;
    const uint64_t total = argument_count > 1 && !is_quick ? strtoull(arguments[1], NULL, 10) : 1000000;
    const unsigned long thread_count = argument_count > 2 ? strtoul(arguments[2], NULL, 10) : 4;
    if (total == 0 || thread_count == 0 || thread_count > THREADS_MAX) {
        fprintf(stderr, "usage: churn OPERATIONS [THREADS], at most %d threads\n", THREADS_MAX);
        return 2;
    }
    operation_count = total / thread_count + 1;
    pthread_t threads[THREADS_MAX];
    for (uintptr_t i = 0; i < thread_count; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(i * 7919 + 1)) != 0) fail("no thread");
    for (unsigned long i = 0; i < thread_count; i++) (void)pthread_join(threads[i], NULL);
    for (int i = 0; i < SHARED_COUNT; i++) {
        if (shared[i] == NULL) continue;
        empty(shared[i]);
        free(shared[i]);
    }
    return 0;
}
