/* workload.c - one load on malloc, a number of times: what bench/heap/compare runs on each allocator.
 *
 *     workload NAME OPERATIONS
 *
 * prints the CPU nanoseconds an operation took, all threads together, and the peak of resident memory in KiB. An operation is one
 * block that comes and goes. The loads with a source are written anew from its description:
 *
 *     larson         P. Larson, M. Krishnan: Memory allocation for long-running server applications, ISMM 1998
 *     xmalloc        C. Lever, D. Boreham: malloc() performance in a multithreaded Linux environment, USENIX 2000
 *     cache_scratch  E. Berger et al.: Hoard, ASPLOS 2000 (passive false sharing)
 *     cache_thrash   the same (active false sharing)
 *     mstress        D. Leijen: the stress test of mimalloc (blocks of mixed sizes kept, passed on and freed by any thread)
 *     mleak          the same author's: threads that come, allocate and go, one after another
 *     cfrac          D. Barrett, B. Zorn: Using lifetime predictors, PLDI 1993 (factoring by continued fractions, in small big numbers)
 *     sh6, sh8       MicroQuill's SmartHeap benchmarks: passes of sizes that rise and fall, the small ones more often, freed in part in
 *                    order and in part backwards; sh8 with larger sizes, and blocks that another thread frees
 *     alloc_test     S. Ignatchenko et al.: places filled and emptied at random, sizes and places by a power law
 *     rptest         M. Jansson: the benchmark of rpmalloc (each thread fills and empties in steps, and passes some blocks on)
 *     glibc_simple, glibc_thread   glibc's benchtests: one size in rows of a few lengths; slots at random, sizes by an inverse square
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREAD_COUNT = 2, PAGE_BYTES = 4096 };

static void *must(void *block)
{
    if (block == NULL) abort();
    return block;
}

/* The compiler may leave out a block that nobody looks at. */
static void look_at(void *block) { __asm__ volatile("" : : "g"(block) : "memory"); }

/* A block whose first word is written, as a program would. */
static void *make(size_t size)
{
    void *const block = must(malloc(size));
    memcpy(block, &size, sizeof size <= size ? sizeof size : size);
    look_at(block);
    return block;
}

/* Marsaglia's xorshift. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t random_below(uint64_t *state, size_t bound) { return (size_t)(next_random(state) >> 11) % bound; }

static void run_threads(void *(*body)(void *), void *contexts, size_t context_bytes, size_t count)
{
    pthread_t threads[8];
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, body, (char *)contexts + i * context_bytes) != 0) abort();
    }
    for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

/* ---- one thread ---- */

static void pair_32(size_t operations)
{
    for (size_t i = 0; i < operations; i++) free(make(32));
}

static void calloc_64(size_t operations)
{
    for (size_t i = 0; i < operations; i++) {
        void *const block = must(calloc(1, 64));
        look_at(block);
        free(block);
    }
}

static void burst_256(size_t operations)
{
    void *blocks[256];
    for (size_t done = 0; done < operations; done += 256) {
        for (size_t i = 0; i < 256; i++) blocks[i] = make(32);
        for (size_t i = 0; i < 256; i++) free(blocks[i]);
    }
}

/* What a C++ program calls. Without a library that has them, as with glibc alone, the C functions that they come down to. */
void *_Znwm(size_t size) __attribute__((weak));
void _ZdlPvm(void *block, size_t size) __attribute__((weak));

static void sized_free(size_t operations)
{
    enum { ROW_COUNT = 64 };
    void *blocks[ROW_COUNT];
    for (size_t done = 0; done < operations; done += ROW_COUNT) {
        for (size_t i = 0; i < ROW_COUNT; i++) {
            blocks[i] = _Znwm != NULL ? _Znwm(48) : must(malloc(48));
            look_at(blocks[i]);
        }
        for (size_t i = 0; i < ROW_COUNT; i++) {
            if (_ZdlPvm != NULL)
                _ZdlPvm(blocks[i], 48);
            else
                free(blocks[i]);
        }
    }
}

static void random_sizes(size_t operations, size_t live_count)
{
    uint64_t random = 88172645463325252u;
    void **const blocks = must(calloc(live_count, sizeof *blocks));
    for (size_t i = 0; i < live_count; i++) blocks[i] = make(16 + random_below(&random, 512));
    for (size_t i = 0; i < operations; i++) {
        void **const place = &blocks[random_below(&random, live_count)];
        free(*place);
        *place = make(16 + random_below(&random, 512));
    }
    for (size_t i = 0; i < live_count; i++) free(blocks[i]);
    free(blocks);
}

static void random_1024(size_t operations) { random_sizes(operations, 1024); }
static void random_20000(size_t operations) { random_sizes(operations, 20000); }
static void random_100000(size_t operations) { random_sizes(operations, 100000); }
static void random_1000000(size_t operations) { random_sizes(operations, 1000000); }

static void large_800k(size_t operations)
{
    for (size_t i = 0; i < operations; i++) {
        char *const block = make(800 * 1024);
        for (size_t at = 0; at < 800 * 1024; at += PAGE_BYTES) block[at] = 1;
        look_at(block);
        free(block);
    }
}

/* 64 texts that grow by turns, by half of what they are, from 16 bytes to 256 KiB. */
static void growth(size_t operations)
{
    enum { TEXT_COUNT = 64, TEXT_BYTES_MAX = 256 * 1024 };
    char *texts[TEXT_COUNT] = {NULL};
    size_t sizes[TEXT_COUNT] = {0};
    for (size_t i = 0; i < operations; i++) {
        const size_t at = i * 7 % TEXT_COUNT;
        if (sizes[at] > TEXT_BYTES_MAX) {
            free(texts[at]);
            texts[at] = NULL;
            sizes[at] = 0;
        }
        const size_t size = sizes[at] == 0 ? 16 : sizes[at] + sizes[at] / 2;
        texts[at] = must(realloc(texts[at], size));
        memset(texts[at] + sizes[at], 'x', size - sizes[at]);
        sizes[at] = size;
    }
    for (size_t i = 0; i < TEXT_COUNT; i++) free(texts[i]);
}

/* What an interpreter of a scripting language does: trees of tables with an array part each, and texts put together. */
typedef struct table {
    struct table **entries; /* two, or NULL */
    size_t count;
    char header[40];
} table;

static table *make_tree(unsigned depth, size_t *count)
{
    table *const node = make(sizeof *node);
    *node = (table){.count = depth};
    ++*count;
    if (depth == 0) return node;
    node->entries = make(2 * sizeof(table *));
    ++*count;
    for (size_t i = 0; i < 2; i++) node->entries[i] = make_tree(depth - 1, count); /* depth is 12 at most */
    return node;
}

static size_t free_tree(table *node)
{
    size_t count = 1;
    for (size_t i = 0; i < 2 && node->entries != NULL; i++) count += free_tree(node->entries[i]);
    free(node->entries);
    free(node);
    return count;
}

static void script(size_t operations)
{
    enum { WORD_COUNT = 5003, WORD_BYTES_MAX = 400 };
    char **const words = must(calloc(WORD_COUNT, sizeof *words));
    size_t done = 0;
    for (size_t round = 1; done < operations; round++) {
        table *const tree = make_tree(12, &done);
        for (size_t i = 0; i < 8192; i++) {
            char **const word = &words[(i * 7919 + round) % WORD_COUNT];
            const size_t length = *word == NULL ? 0 : strlen(*word);
            const size_t kept = length < WORD_BYTES_MAX ? length : 0;
            char *const longer = make(kept + 9); /* texts do not change: a longer one is a new one */
            if (kept > 0) memcpy(longer, *word, kept);
            memcpy(longer + kept, "12345678", 9);
            free(*word);
            *word = longer;
            done++;
        }
        look_at(&(size_t){free_tree(tree)});
    }
    for (size_t i = 0; i < WORD_COUNT; i++) free(words[i]);
    free(words);
}

/* The continued fraction of a square root, in numbers of up to 16 limbs that are made anew by every operation, as by hand-counted
 * references: the load is many small blocks of a short life. */
typedef struct number {
    uint32_t limb_count;
    uint32_t limbs[]; /* lowest first; the highest is not 0 */
} number;

enum { LIMB_COUNT_MAX = 16 };

static number *number_of(const uint32_t *limbs, size_t count)
{
    while (count > 0 && limbs[count - 1] == 0) count--;
    number *const made = make(sizeof *made + count * sizeof(uint32_t));
    made->limb_count = (uint32_t)count;
    memcpy(made->limbs, limbs, count * sizeof *limbs);
    return made;
}

/* a * b + c, cut to LIMB_COUNT_MAX limbs; `a` and `c` are used up. */
static number *multiply_add(number *a, uint32_t b, number *c)
{
    uint32_t limbs[LIMB_COUNT_MAX];
    uint64_t carry = 0;
    size_t count = 0;
    for (; count < LIMB_COUNT_MAX && (count < a->limb_count || count < c->limb_count || carry != 0); count++) {
        carry += (uint64_t)(count < a->limb_count ? a->limbs[count] : 0) * b;
        carry += count < c->limb_count ? c->limbs[count] : 0;
        limbs[count] = (uint32_t)carry;
        carry >>= 32;
    }
    free(a);
    free(c);
    return number_of(limbs, count);
}

static number *copy(const number *a) { return number_of(a->limbs, a->limb_count); }

static void cfrac(size_t operations)
{
    /* Of the square root of 1000003 * 1000033: whole part, remainder and divisor of each step fit 64 bits; the convergents do not. */
    const uint64_t square = 1000003u * (uint64_t)1000033, root = 1000017;
    uint64_t remainder = 0, divisor = 1, quotient = root;
    number *before = number_of((uint32_t[]){1}, 1), *now = number_of((uint32_t[]){(uint32_t)root}, 1);
    for (size_t done = 0; done < operations; done += 4) {
        remainder = divisor * quotient - remainder;
        divisor = (square - remainder * remainder) / divisor;
        quotient = (root + remainder) / divisor;
        number *const next = multiply_add(copy(now), (uint32_t)quotient, before);
        before = now;
        now = next;
        if (now->limb_count == LIMB_COUNT_MAX) { /* as large as they get: a new number to factor */
            free(before);
            free(now);
            before = number_of((uint32_t[]){1}, 1);
            now = number_of((uint32_t[]){(uint32_t)root}, 1);
        }
        number *const mark = copy(now);
        free(number_of(mark->limbs, mark->limb_count / 2));
        free(mark);
    }
    free(before);
    free(now);
}

static void glibc_simple(size_t operations)
{
    enum { ROW_BLOCKS_MAX = 1600 };
    static const size_t lengths[] = {25, 100, 400, ROW_BLOCKS_MAX};
    void **const blocks = must(calloc(ROW_BLOCKS_MAX, sizeof *blocks));
    for (size_t done = 0, kind = 0; done < operations; done += lengths[kind++ % 4]) {
        const size_t size = 16 + kind % 8 * 16;
        for (size_t i = 0; i < lengths[kind % 4]; i++) blocks[i] = make(size);
        for (size_t i = 0; i < lengths[kind % 4]; i++) free(blocks[i]);
    }
    free(blocks);
}

/* Places whose number and sizes whose value are the rarer the larger they are; what is in a block is written and read. */
static size_t by_power_law(uint64_t *random, unsigned bits)
{
    const size_t limit = (size_t)1 << random_below(random, bits + 1);
    return random_below(random, limit);
}

static void alloc_test(size_t operations)
{
    enum { PLACE_BITS = 15, SIZE_BITS = 13 };
    uint64_t random = 6364136223846793005u;
    char **const places = must(calloc((size_t)1 << PLACE_BITS, sizeof *places));
    size_t sum = 0;
    for (size_t i = 0; i < operations; i++) {
        char **const place = &places[((size_t)next_random(&random) >> 40) % ((size_t)1 << PLACE_BITS)];
        if (*place != NULL) {
            sum += (unsigned char)(*place)[0];
            free(*place);
            *place = NULL;
        } else {
            const size_t size = 16 + by_power_law(&random, SIZE_BITS);
            *place = make(size);
            memset(*place, (int)size, size < 256 ? size : 256);
        }
    }
    look_at(&sum);
    for (size_t i = 0; i < (size_t)1 << PLACE_BITS; i++) free(places[i]);
    free(places);
}

/* ---- several threads ---- */

/* A server: each thread has slots in which it replaces blocks at random; then it ends, and another takes the slots over. */
enum { SLOT_COUNT = 1000, SLOT_STEPS = 20000 };

typedef struct shop {
    void *slots[SLOT_COUNT];
    uint64_t random;
    size_t steps;
} shop;

static void *serve(void *context)
{
    shop *const mine = context;
    for (size_t i = 0; i < mine->steps; i++) {
        void **const slot = &mine->slots[random_below(&mine->random, SLOT_COUNT)];
        free(*slot);
        *slot = make(16 + random_below(&mine->random, 1000));
    }
    return NULL;
}

static void larson(size_t operations)
{
    shop *const shops = must(calloc(THREAD_COUNT, sizeof *shops));
    for (size_t i = 0; i < THREAD_COUNT; i++) shops[i].random = 1234567 + i;
    for (size_t done = 0; done < operations; done += (size_t)THREAD_COUNT * SLOT_STEPS) {
        for (size_t i = 0; i < THREAD_COUNT; i++) shops[i].steps = SLOT_STEPS;
        run_threads(serve, shops, sizeof *shops, THREAD_COUNT);
    }
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        for (size_t j = 0; j < SLOT_COUNT; j++) free(shops[i].slots[j]);
    }
    free(shops);
}

/* A producer fills batches, a consumer frees them. At most BATCHES_MAX wait, so that memory is bounded. */
enum { BATCH_BLOCKS = 120, BATCHES_MAX = 64 };

typedef struct batch {
    struct batch *next;
    void *blocks[BATCH_BLOCKS];
} batch;

typedef struct channel {
    pthread_mutex_t lock;
    pthread_cond_t has_changed;
    batch *first;
    size_t waiting_count;
    size_t left; /* batches that have not been made */
    int is_ended;
} channel;

static void *produce(void *context)
{
    channel *const to = *(channel **)context;
    uint64_t random = 4711;
    for (size_t made = 0; made < to->left; made++) {
        batch *const one = make(sizeof *one);
        for (size_t i = 0; i < BATCH_BLOCKS; i++) one->blocks[i] = make(8 + random_below(&random, 248));
        pthread_mutex_lock(&to->lock);
        while (to->waiting_count == BATCHES_MAX) pthread_cond_wait(&to->has_changed, &to->lock);
        one->next = to->first;
        to->first = one;
        to->waiting_count++;
        pthread_cond_broadcast(&to->has_changed);
        pthread_mutex_unlock(&to->lock);
    }
    pthread_mutex_lock(&to->lock);
    to->is_ended = 1;
    pthread_cond_broadcast(&to->has_changed);
    pthread_mutex_unlock(&to->lock);
    return NULL;
}

static void *consume(channel *from)
{
    for (;;) {
        pthread_mutex_lock(&from->lock);
        while (from->first == NULL && !from->is_ended) pthread_cond_wait(&from->has_changed, &from->lock);
        batch *const all = from->first;
        from->first = NULL;
        from->waiting_count = 0;
        pthread_cond_broadcast(&from->has_changed);
        pthread_mutex_unlock(&from->lock);
        if (all == NULL) return NULL;
        for (batch *one = all, *next; one != NULL; one = next) {
            next = one->next;
            for (size_t i = 0; i < BATCH_BLOCKS; i++) free(one->blocks[i]);
            free(one);
        }
    }
}

static void xmalloc(size_t operations)
{
    channel between = {.lock = PTHREAD_MUTEX_INITIALIZER, .has_changed = PTHREAD_COND_INITIALIZER, .left = operations / BATCH_BLOCKS};
    channel *end = &between;
    pthread_t producer;
    if (pthread_create(&producer, NULL, produce, (void *)&end) != 0) abort();
    consume(&between);
    pthread_join(producer, NULL);
}

/* Each thread frees a block that another one made beside the others', and then writes to one of its own. */
typedef struct scratch {
    void *given;
    size_t operations;
} scratch;

static void *write_often(void *context)
{
    scratch *const mine = context;
    free(mine->given);
    for (size_t i = 0; i < mine->operations; i++) {
        volatile char *const block = make(8);
        for (size_t j = 0; j < 800; j++) block[j % 8] = (char)(block[j % 8] + 1);
        free((void *)block);
    }
    return NULL;
}

static void cache_scratch(size_t operations)
{
    scratch all[THREAD_COUNT];
    for (size_t i = 0; i < THREAD_COUNT; i++) all[i] = (scratch){.given = make(8), .operations = operations / THREAD_COUNT};
    run_threads(write_often, all, sizeof all[0], THREAD_COUNT);
}

/* Blocks of mixed sizes, some kept, some passed on through places that all threads share. */
enum { SHARED_COUNT = 1000, KEPT_COUNT_MAX = 20000 };
static void *shared_places[SHARED_COUNT];

typedef struct stress {
    uint64_t random;
    size_t operations;
} stress;

static size_t mixed_size(uint64_t *random)
{
    const size_t kind = random_below(random, 1000);
    const size_t words = 1 + random_below(random, 16);
    if (kind == 0) return words * 64 * 1024;
    return kind < 10 ? words * 4096 : kind < 100 ? words * 128 : words * 8;
}

static void *stress_thread(void *context)
{
    stress *const mine = context;
    void **const kept = must(calloc(KEPT_COUNT_MAX, sizeof *kept));
    size_t kept_count = 0;
    for (size_t i = 0; i < mine->operations; i++) {
        void *block = make(mixed_size(&mine->random));
        const size_t what = random_below(&mine->random, 100);
        if (what < 25) {
            void **const place = &shared_places[random_below(&mine->random, SHARED_COUNT)];
            block = __atomic_exchange_n(place, block, __ATOMIC_ACQ_REL);
        } else if (what < 60 && kept_count < KEPT_COUNT_MAX) {
            kept[kept_count++] = block;
            block = NULL;
        }
        if (what >= 65 && kept_count > 0) {
            free(block);
            const size_t at = random_below(&mine->random, kept_count);
            block = kept[at];
            kept[at] = kept[--kept_count];
        }
        free(block);
    }
    while (kept_count > 0) free(kept[--kept_count]);
    free(kept);
    return NULL;
}

static void mstress(size_t operations)
{
    stress all[THREAD_COUNT];
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < THREAD_COUNT; i++) {
            all[i] = (stress){.random = 99991 * (1 + i + round * THREAD_COUNT), .operations = operations / THREAD_COUNT / 4};
        }
        run_threads(stress_thread, all, sizeof all[0], THREAD_COUNT);
    }
    for (size_t i = 0; i < SHARED_COUNT; i++) free(shared_places[i]);
}

/* Each thread makes a block, writes to it often and frees it: blocks of two threads that share a line slow both down. */
static void *thrash(void *context)
{
    const size_t operations = *(size_t *)context;
    for (size_t i = 0; i < operations; i++) {
        volatile char *const block = make(8);
        for (size_t j = 0; j < 800; j++) block[j % 8] = (char)(block[j % 8] + 1);
        free((void *)block);
    }
    return NULL;
}

static void cache_thrash(size_t operations)
{
    size_t shares[THREAD_COUNT];
    for (size_t i = 0; i < THREAD_COUNT; i++) shares[i] = operations / THREAD_COUNT;
    run_threads(thrash, shares, sizeof shares[0], THREAD_COUNT);
}

/* One thread after another: each leaves the heap as it found it, and memory may not grow with their number. */
enum { VISIT_BLOCKS = 1000 };

static void *visit(void *context)
{
    uint64_t random = *(uint64_t *)context;
    void *blocks[VISIT_BLOCKS];
    for (size_t i = 0; i < VISIT_BLOCKS; i++) blocks[i] = make(16 + random_below(&random, 1000));
    for (size_t i = 0; i < VISIT_BLOCKS; i++) free(blocks[i]);
    return NULL;
}

static void mleak(size_t operations)
{
    for (size_t done = 0; done < operations; done += VISIT_BLOCKS) {
        uint64_t seed = done + 1;
        run_threads(visit, &seed, sizeof seed, 1);
    }
}

/* Passes of sizes: up and down again, a size the more often the smaller it is. Of each pass a part is freed in order, a part backwards,
 * and a part stays for some passes; `other` is where another thread finds blocks to free. */
enum { PASS_BLOCKS = 2000, PASS_KEPT = 8 };

typedef struct passes {
    size_t operations;
    size_t size_max;
    void **given; /* PASS_BLOCKS places that all threads share, or NULL */
} passes;

static void give_away(void **given, size_t place, void *block)
{
    free(__atomic_exchange_n(&given[place % PASS_BLOCKS], block, __ATOMIC_ACQ_REL));
}

static void *rise_and_fall(void *context)
{
    const passes *const mine = context;
    void **const blocks = must(calloc((size_t)PASS_KEPT * PASS_BLOCKS, sizeof *blocks));
    for (size_t pass = 0, done = 0; done < mine->operations; pass++, done += PASS_BLOCKS) {
        void **const row = blocks + pass % PASS_KEPT * PASS_BLOCKS;
        for (size_t i = 0; i < PASS_BLOCKS; i++) {
            const size_t step = i < PASS_BLOCKS / 2 ? i : PASS_BLOCKS - i;
            const size_t often = i % 8 == 0 ? mine->size_max : i % 4 == 0 ? mine->size_max / 4 : mine->size_max / 16;
            free(row[i]); /* what has stayed since this row's last pass */
            row[i] = make(1 + step * often / (PASS_BLOCKS / 2));
        }
        for (size_t i = 0; i < PASS_BLOCKS / 2; i++) { /* in order, every other one */
            if (i % 2 == 0) continue;
            if (mine->given != NULL)
                give_away(mine->given, i, row[i]);
            else
                free(row[i]);
            row[i] = NULL;
        }
        for (size_t i = PASS_BLOCKS; i-- > PASS_BLOCKS / 2;) { /* backwards, three of four */
            if (i % 4 == 0) continue;
            free(row[i]);
            row[i] = NULL;
        }
    }
    for (size_t i = 0; i < (size_t)PASS_KEPT * PASS_BLOCKS; i++) free(blocks[i]);
    free(blocks);
    return NULL;
}

static void run_passes(size_t operations, size_t size_max, void **given)
{
    passes all[THREAD_COUNT];
    for (size_t i = 0; i < THREAD_COUNT; i++)
        all[i] = (passes){.operations = operations / THREAD_COUNT, .size_max = size_max, .given = given};
    run_threads(rise_and_fall, all, sizeof all[0], THREAD_COUNT);
}

static void sh6(size_t operations) { run_passes(operations, 1000, NULL); }

static void sh8(size_t operations)
{
    void **const given = must(calloc(PASS_BLOCKS, sizeof *given));
    run_passes(operations, 4000, given);
    for (size_t i = 0; i < PASS_BLOCKS; i++) free(given[i]);
    free(given);
}

/* Each thread has places: a step frees some of them at regular distances and fills as many, and now and then what was freed goes through
 * another thread. Sizes fall off linearly from 16 to 8,000 bytes. */
enum { PLACE_COUNT = 5000, STEP_BLOCKS = 500, CROSS_STEPS = 2 };
static void *crossing[THREAD_COUNT][STEP_BLOCKS];

typedef struct steps {
    size_t index;
    size_t operations;
} steps;

static size_t falling_size(uint64_t *random)
{
    const size_t a = random_below(random, 7984);
    const size_t b = random_below(random, 7984);
    return 16 + (a < b ? a : b);
}

static void *fill_and_empty(void *context)
{
    const steps *const mine = context;
    uint64_t random = 2862933555777941757u + mine->index;
    void **const places = must(calloc(PLACE_COUNT, sizeof *places));
    for (size_t step = 0, done = 0; done < mine->operations; step++, done += STEP_BLOCKS) {
        for (size_t i = 0; i < STEP_BLOCKS; i++) {
            void **const place = &places[(step * 7 + i * (PLACE_COUNT / STEP_BLOCKS)) % PLACE_COUNT];
            if (step % CROSS_STEPS == 0) /* the other thread's last one comes back for it */
                *place = __atomic_exchange_n(&crossing[(mine->index + 1) % THREAD_COUNT][i], *place, __ATOMIC_ACQ_REL);
            free(*place);
            *place = make(falling_size(&random));
        }
    }
    for (size_t i = 0; i < PLACE_COUNT; i++) free(places[i]);
    free(places);
    return NULL;
}

static void rptest(size_t operations)
{
    steps all[THREAD_COUNT];
    for (size_t i = 0; i < THREAD_COUNT; i++) all[i] = (steps){.index = i, .operations = operations / THREAD_COUNT};
    run_threads(fill_and_empty, all, sizeof all[0], THREAD_COUNT);
    for (size_t i = 0; i < (size_t)THREAD_COUNT * STEP_BLOCKS; i++) free(crossing[i / STEP_BLOCKS][i % STEP_BLOCKS]);
}

/* Slots at random, freed and filled; a size is the rarer the larger, by the inverse of its square, from 4 bytes to 32 KiB. */
static size_t inverse_square_size(uint64_t *random)
{
    /* x = 1 / (1/a - u (1/a - 1/b)) has that density between a and b. */
    const double u = (double)(next_random(random) >> 12) / 4503599627370496.0;
    return (size_t)(1 / (1.0 / 4 - u * (1.0 / 4 - 1.0 / 32768)));
}

static void *use_slots(void *context)
{
    shop *const mine = context;
    for (size_t i = 0; i < mine->steps; i++) {
        void **const slot = &mine->slots[random_below(&mine->random, SLOT_COUNT)];
        free(*slot);
        *slot = make(inverse_square_size(&mine->random));
    }
    return NULL;
}

static void glibc_thread(size_t operations)
{
    shop *const shops = must(calloc(THREAD_COUNT, sizeof *shops));
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        shops[i].random = 1442695040888963407u + i;
        shops[i].steps = operations / THREAD_COUNT;
    }
    run_threads(use_slots, shops, sizeof *shops, THREAD_COUNT);
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        for (size_t j = 0; j < SLOT_COUNT; j++) free(shops[i].slots[j]);
    }
    free(shops);
}

/* ---- running one ---- */

static long peak_kib(void)
{
    char text[4096];
    const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (length <= 0) return 0;
    text[length] = 0;
    const char *const at = strstr(text, "VmHWM:");
    return at == NULL ? 0 : strtol(at + 6, NULL, 10);
}

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argument_count, char **arguments)
{
    static const struct {
        const char *name;
        void (*run)(size_t operations);
    } loads[] = {{"pair_32", pair_32},
                 {"calloc_64", calloc_64},
                 {"burst_256", burst_256},
                 {"sized_free", sized_free},
                 {"random_1024", random_1024},
                 {"random_20000", random_20000},
                 {"random_100000", random_100000},
                 {"random_1000000", random_1000000},
                 {"large_800k", large_800k},
                 {"growth", growth},
                 {"script", script},
                 {"larson", larson},
                 {"xmalloc", xmalloc},
                 {"cache_scratch", cache_scratch},
                 {"cache_thrash", cache_thrash},
                 {"mstress", mstress},
                 {"mleak", mleak},
                 {"cfrac", cfrac},
                 {"sh6", sh6},
                 {"sh8", sh8},
                 {"alloc_test", alloc_test},
                 {"rptest", rptest},
                 {"glibc_simple", glibc_simple},
                 {"glibc_thread", glibc_thread}};
    const size_t operations = argument_count == 3 ? strtoull(arguments[2], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0] && operations > 0; i++) {
        if (strcmp(arguments[1], loads[i].name) != 0) continue;
        const double start = cpu_ns();
        loads[i].run(operations);
        const double ns = cpu_ns() - start;
        printf("%.3f %ld\n", ns / (double)operations, peak_kib());
        return 0;
    }
    fputs("usage: workload NAME OPERATIONS; see the table in main\n", stderr);
    return 2;
}
