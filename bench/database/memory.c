/* memory.c - what the buffer pool costs without a disk: hits beside RocksDB's HyperClockCache, optimistic reads and replacement beside a
 * mapping as vmcache has it (Leis and others, SIGMOD 2023), a refusal when all is fixed, and the bytes that a page takes.
 *
 *     memory [hits|optimistic|replacement|busy]     medians of alternated rounds
 *
 * ACRE_BENCH_QUICK=1: small and short. */
#include "measure.h"
#ifdef WITH_ROCKSDB
#include "hyper_clock.h"
#endif

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

enum { ROUND_COUNT = 10, PAGE_BYTES = 4096, HOT_COUNT = 16, KIND_COUNT = 4 };

static const acre_policy_kind kinds[KIND_COUNT] = {ACRE_POLICY_ADAPTIVE, ACRE_POLICY_S3_FIFO, ACRE_POLICY_CLOCK, ACRE_POLICY_LRU};

/* A device whose every request is done at once, with whatever was in memory: it takes no time. */
static void no_submit(acre_device *device, acre_device_request *const *requests, size_t count)
{
    (void)device;
    for (size_t i = 0; i < count; i++) requests[i]->done(requests[i]);
}
static acre_status no_size(acre_device *device, uint64_t *bytes)
{
    (void)device;
    *bytes = 0;
    return ACRE_OK;
}
static void no_close(acre_device *device) { (void)device; }
static const acre_device_ops no_ops = {.size_bytes = sizeof(acre_device_ops), .submit = no_submit, .size = no_size, .close = no_close};

static void touch_all(acre_buffer_pool *pool, uint32_t page_count)
{
    for (uint32_t page = 0; page < page_count; page++) {
        acre_page_ref ref;
        must(acre_buffer_pool_fix(pool, page, ACRE_FIX_NEW, &ref));
        must(acre_buffer_pool_unfix(&ref, 0));
    }
}

/* ---- hits ---- */

typedef struct __attribute__((aligned(128))) hit_work { /* in lines of the thread's own */
    acre_buffer_pool *pool;                             /* NULL: the peer; none either: loads from memory of the thread's own */
    void *peer;
    uint32_t page_count;
    uint64_t operation_count;
    uint64_t random;
    double ns;
    acre_fix_mode mode;
} hit_work;

static void *hit(void *context)
{
    enum { OWN_WORDS = 4096 };
    hit_work *const w = context;
    volatile uint64_t own[OWN_WORDS];
    for (size_t i = 0; i < OWN_WORDS; i++) own[i] = i;
    const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < w->operation_count; i++) {
        const uint32_t page = (uint32_t)((next_random(&w->random) >> 32) * w->page_count >> 32);
        if (w->pool != NULL) {
            acre_page_ref ref;
            if (acre_buffer_pool_fix(w->pool, page, w->mode, &ref) != ACRE_OK) abort();
            if (w->mode == ACRE_FIX_OPTIMISTIC && !acre_buffer_pool_validate(&ref)) abort();
            (void)acre_buffer_pool_unfix(&ref, 0);
        } else if (w->peer == NULL) {
            for (unsigned at = page; at < page + 16; at++) w->random += own[at * 67 % OWN_WORDS];
        }
#ifdef WITH_ROCKSDB
        else if (!hyper_clock_touch(w->peer, page))
            abort();
#endif
    }
    w->ns = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)w->operation_count;
    return NULL;
}

/* The mean over the threads; the second one uses `second`. */
static double hit_ns(acre_buffer_pool *pool, acre_buffer_pool *second, void *peer, uint32_t page_count, unsigned thread_count,
                     uint64_t operation_count, acre_fix_mode mode)
{
    pthread_t threads[2];
    hit_work works[2];
    double sum = 0;
    for (unsigned i = 0; i < thread_count; i++) {
        works[i] = (hit_work){.pool = i == 0 ? pool : second,
                              .peer = peer,
                              .page_count = page_count,
                              .operation_count = operation_count,
                              .random = 77 + i,
                              .mode = mode};
        if (pthread_create(&threads[i], NULL, hit, &works[i]) != 0) abort();
        cpu_set_t core; /* each on its own: on one they would not be in each other's way */
        CPU_ZERO(&core);
        CPU_SET(i, &core);
        (void)pthread_setaffinity_np(threads[i], sizeof core, &core);
    }
    for (unsigned i = 0; i < thread_count; i++) {
        (void)pthread_join(threads[i], NULL);
        sum += works[i].ns;
    }
    return sum / thread_count;
}

static void print_hits(double figures[KIND_COUNT + 1][4], bool has_peer)
{
    for (size_t k = 0; k < KIND_COUNT + (has_peer ? 1u : 0u); k++) {
        const double *const f = figures[k];
        printf("%-22s %10.1f %10.1f %10.1f %10.1f", k < KIND_COUNT ? acre_policy_name(kinds[k]) : "HyperClockCache", f[0], f[1], f[2],
               f[3]);
        printf("   2 threads/1: hot %.2f, uniform %.2f", f[1] / f[0], f[3] / f[2]);
        const double *const peer = figures[KIND_COUNT];
        if (k < KIND_COUNT && has_peer)
            printf("   acre/peer: %.2f %.2f %.2f %.2f", f[0] / peer[0], f[1] / peer[1], f[2] / peer[2], f[3] / peer[3]);
        printf("\n");
    }
    if (!has_peer) printf("HyperClockCache: librocksdb-dev is not installed\n");
}

/* Threads that share nothing are slower together, too, by the machine's doing: the same with a pool for each thread, and with none. */
static void print_controls(acre_buffer_pool *pool, acre_device *device, uint32_t page_count)
{
    enum { TOGETHER, APART, TOGETHER_OPTIMISTIC, APART_OPTIMISTIC, LOADS, ROW_COUNT };
    const uint64_t operation_count = is_quick() ? 100000 : 2000000;
    const size_t round_count = is_quick() ? 1 : ROUND_COUNT;
    acre_buffer_pool *const second = open_pool(&(acre_buffer_pool_options){.frame_count = page_count}, device, page_count);
    touch_all(second, page_count);
    const struct {
        const char *name;
        acre_buffer_pool *first, *second;
        acre_fix_mode mode;
    } rows[ROW_COUNT] = {{"adaptive", pool, pool, ACRE_FIX_SHARED},
                         {"  a pool each", pool, second, ACRE_FIX_SHARED},
                         {"adaptive, optimistic", pool, pool, ACRE_FIX_OPTIMISTIC},
                         {"  a pool each", pool, second, ACRE_FIX_OPTIMISTIC},
                         {"16 loads of own memory", NULL, NULL, ACRE_FIX_SHARED}};
    double f[ROW_COUNT][4][ROUND_COUNT];
    double slower[ROW_COUNT][2][ROUND_COUNT]; /* by a second thread: hot, uniform */
    for (size_t round = 0; round < round_count; round++) {
        for (size_t row = 0; row < ROW_COUNT; row++) {
            for (unsigned column = 0; column < 4; column++)
                f[row][column][round] = hit_ns(rows[row].first, rows[row].second, NULL, column < 2 ? HOT_COUNT : page_count, 1 + column % 2,
                                               operation_count, rows[row].mode);
            for (unsigned kind = 0; kind < 2; kind++) slower[row][kind][round] = f[row][2 * kind + 1][round] / f[row][2 * kind][round];
        }
    }
    printf("threads together, and apart:\n");
    for (size_t row = 0; row < ROW_COUNT; row++) {
        printf("%-22s", rows[row].name);
        for (unsigned column = 0; column < 4; column++) printf(" %10.1f", median(f[row][column], round_count));
        printf("   2 threads/1: hot %.2f, uniform %.2f\n", median(slower[row][0], round_count), median(slower[row][1], round_count));
    }
    must(acre_buffer_pool_close(second));
}

static void print_bookkeeping(acre_device *device, uint32_t page_count)
{
    printf("\nbytes for a page in memory beside the page, ghosts and word included (and 8 of each that has been dirty):\n");
    for (acre_policy_kind kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        acre_buffer_pool *const pool =
            open_pool(&(acre_buffer_pool_options){.frame_count = page_count, .policy = kind}, device, page_count);
        acre_buffer_pool_figures read;
        must(acre_buffer_pool_read_figures(pool, &read));
        printf("  %s %.1f", acre_policy_name(kind), (double)read.bookkeeping_bytes / read.frame_count);
        must(acre_buffer_pool_close(pool));
    }
    printf("\n\n");
}

static void measure_hits(acre_device *device)
{
    const uint32_t page_count = is_quick() ? 2000 : 100000;
    const uint64_t operation_count = is_quick() ? 100000 : 4000000;
    const size_t round_count = is_quick() ? 1 : ROUND_COUNT;
    acre_buffer_pool *pools[KIND_COUNT];
    for (size_t k = 0; k < KIND_COUNT; k++) {
        pools[k] = open_pool(&(acre_buffer_pool_options){.frame_count = page_count, .policy = kinds[k]}, device, page_count);
        touch_all(pools[k], page_count);
    }
    void *peer = NULL;
#ifdef WITH_ROCKSDB
    peer = hyper_clock_open(page_count);
    if (peer == NULL) abort();
#endif
    printf("find, pin and unpin a page that is there, ns of CPU time; %u pages\n%-22s %10s %10s %10s %10s\n", page_count, "", "hot, 1",
           "hot, 2", "uniform, 1", "uniform, 2");
    const size_t peer_count = KIND_COUNT + (peer != NULL ? 1u : 0u);
    double figures[KIND_COUNT + 1][4];
    double rounds[KIND_COUNT + 1][4][ROUND_COUNT];
    for (size_t round = 0; round < round_count; round++)
        for (size_t k = 0; k < peer_count; k++)
            for (unsigned column = 0; column < 4; column++)
                rounds[k][column][round] = hit_ns(k < KIND_COUNT ? pools[k] : NULL, k < KIND_COUNT ? pools[k] : NULL, peer,
                                                  column < 2 ? HOT_COUNT : page_count, 1 + column % 2, operation_count, ACRE_FIX_SHARED);
    for (size_t k = 0; k < peer_count; k++)
        for (unsigned column = 0; column < 4; column++) figures[k][column] = median(rounds[k][column], round_count);
    print_hits(figures, peer != NULL);
    print_controls(pools[0], device, page_count);
#ifdef WITH_ROCKSDB
    hyper_clock_close(peer);
#endif
    print_bookkeeping(device, page_count);
    for (size_t k = 0; k < KIND_COUNT; k++) must(acre_buffer_pool_close(pools[k]));
}

/* ---- the peer of optimistic reads and replacement: a page is where its number says ---- */

/* A word has the state in its low 8 bits (below 253: how many share it) and a version above. */
typedef struct mapping {
    unsigned char *memory;
    uint64_t *words;
    uint32_t page_count;
} mapping;

enum { MAPPING_LOCKED = 253, MAPPING_EVICTED = 255 };

static void *anonymous(size_t bytes, int advice)
{
    void *const memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) abort();
    (void)madvise(memory, bytes, advice);
    return memory;
}

static mapping open_mapping(uint32_t page_count)
{
    return (mapping){.memory = anonymous((size_t)page_count * PAGE_BYTES, MADV_NOHUGEPAGE),
                     .words = anonymous((size_t)page_count * 8, MADV_HUGEPAGE),
                     .page_count = page_count};
}

static void close_mapping(const mapping *m)
{
    (void)munmap(m->memory, (size_t)m->page_count * PAGE_BYTES);
    (void)munmap(m->words, (size_t)m->page_count * 8);
}

/* What was read (0) tells where to read next, as in a tree. */
static double mapping_read_ns(const mapping *m, uint64_t operation_count)
{
    uint64_t random = 5;
    const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < operation_count; i++) {
        const uint64_t number = next_random(&random);
        const size_t page = (size_t)((number >> 32) * m->page_count >> 32);
        const uint64_t seen = __atomic_load_n(&m->words[page], __ATOMIC_ACQUIRE);
        if ((seen & 255) >= MAPPING_LOCKED) abort();
        uint64_t value;
        memcpy(&value, m->memory + page * PAGE_BYTES + (number & 0xff8), sizeof value);
#ifndef __SANITIZE_THREAD__ /* which does not know fences */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
        if (__atomic_load_n(&m->words[page], __ATOMIC_RELAXED) == seen) random += value;
    }
    return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)operation_count;
}

static double pool_read_ns(acre_buffer_pool *pool, uint32_t page_count, uint64_t operation_count)
{
    uint64_t random = 5;
    const uint64_t begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < operation_count; i++) {
        const uint64_t number = next_random(&random);
        const uint32_t page = (uint32_t)((number >> 32) * page_count >> 32);
        acre_page_ref ref;
        if (acre_buffer_pool_fix(pool, page, ACRE_FIX_OPTIMISTIC, &ref) != ACRE_OK) abort();
        uint64_t value;
        memcpy(&value, ref.page + (number & 0xff8), sizeof value);
        if (acre_buffer_pool_validate(&ref)) random += value;
    }
    return (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)operation_count;
}

static void measure_optimistic(acre_device *device)
{
    const uint32_t page_count = is_quick() ? 4096 : 262144;
    const uint64_t operation_count = is_quick() ? 100000 : 1500000;
    const size_t round_count = is_quick() ? 1 : ROUND_COUNT;
    const mapping m = open_mapping(page_count);
    for (size_t page = 0; page < page_count; page++) m.memory[page * PAGE_BYTES] = 0; /* its own memory, not the one page of zeros */
    for (size_t k = 0; k < KIND_COUNT; k++) {
        acre_buffer_pool *const pool =
            open_pool(&(acre_buffer_pool_options){.frame_count = page_count, .policy = kinds[k]}, device, page_count);
        touch_all(pool, page_count);
        double ours[ROUND_COUNT];
        double theirs[ROUND_COUNT];
        double ratios[ROUND_COUNT];
        for (size_t round = 0; round < round_count; round++) {
            ours[round] = pool_read_ns(pool, page_count, operation_count);
            theirs[round] = mapping_read_ns(&m, operation_count);
            ratios[round] = ours[round] / theirs[round];
        }
        printf("optimistic reads at random over %u MiB, each tells the next, %s: %.1f ns, mapping %.1f ns, ratio %.2f (medians of %zu "
               "rounds)\n",
               page_count / 256, acre_policy_name(kinds[k]), median(ours, round_count), median(theirs, round_count),
               median(ratios, round_count), round_count);
        must(acre_buffer_pool_close(pool));
    }
    close_mapping(&m);
}

/* ---- replacement, with a sibling that uses the other core and the same address space ---- */

static bool sibling_is_over;

static void *keep_busy(void *context)
{
    uint64_t sum = 0;
    while (!__atomic_load_n(&sibling_is_over, __ATOMIC_RELAXED)) sum += next_random(context);
    *(uint64_t *)context = sum;
    return NULL;
}

static double pool_replace_ns(acre_buffer_pool *pool, uint32_t first, uint32_t count)
{
    const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    for (uint32_t page = first; page < first + count; page++) {
        acre_page_ref ref;
        must(acre_buffer_pool_fix(pool, page, ACRE_FIX_EXCLUSIVE, &ref));
        ref.page[0] = 1; /* as a device would: mapped pages get their memory */
        must(acre_buffer_pool_unfix(&ref, 0));
    }
    return (double)(clock_ns(CLOCK_MONOTONIC) - begin) / count;
}

/* One page goes by madvise, one comes by a fault, from page `first` on. */
static double mapping_replace_ns(const mapping *m, uint32_t frame_count, uint32_t first, uint32_t count)
{
    const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    for (uint32_t i = first; i < first + count; i++) {
        const size_t gone = i % m->page_count;
        const size_t come = (i + frame_count) % m->page_count;
        m->words[gone] = MAPPING_LOCKED;
        (void)madvise(m->memory + gone * PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED);
        m->words[gone] = MAPPING_EVICTED;
        m->memory[come * PAGE_BYTES] = 1;
        m->words[come] = 0;
    }
    return (double)(clock_ns(CLOCK_MONOTONIC) - begin) / count;
}

static void measure_replacement(acre_device *device)
{
    const uint32_t frame_count = is_quick() ? 2048 : 65536;
    const uint32_t page_count = 8 * frame_count;
    const size_t round_count = is_quick() ? 1 : 5;
    acre_buffer_pool *pools[KIND_COUNT];
    for (size_t k = 0; k < KIND_COUNT; k++) {
        pools[k] = open_pool(&(acre_buffer_pool_options){.frame_count = frame_count, .policy = kinds[k]}, device, page_count);
        touch_all(pools[k], frame_count);
    }
    acre_buffer_pool *const mapped =
        open_pool(&(acre_buffer_pool_options){.frame_count = frame_count, .is_mapped = true}, device, page_count);
    (void)pool_replace_ns(mapped, 0, frame_count);
    const mapping m = open_mapping(page_count);
    memset(m.memory, 1, (size_t)frame_count * PAGE_BYTES);
    pthread_t sibling;
    uint64_t random = 1;
    sibling_is_over = false;
    if (pthread_create(&sibling, NULL, keep_busy, &random) != 0) abort();
    double ours[KIND_COUNT][ROUND_COUNT];
    double ours_mapped[ROUND_COUNT];
    double theirs[ROUND_COUNT];
    for (size_t round = 0; round < round_count; round++) {
        for (size_t k = 0; k < KIND_COUNT; k++)
            ours[k][round] = pool_replace_ns(pools[k], (uint32_t)(1 + round) * frame_count, frame_count);
        ours_mapped[round] = pool_replace_ns(mapped, (uint32_t)(1 + round) * frame_count, frame_count);
        theirs[round] = mapping_replace_ns(&m, frame_count, (uint32_t)round * frame_count, frame_count);
    }
    __atomic_store_n(&sibling_is_over, true, __ATOMIC_RELAXED);
    (void)pthread_join(sibling, NULL);
    const double peer = median(theirs, round_count);
    printf("\none page out, one in, with a sibling thread running, without the device's time:\n  mapping %.2f us", peer / 1000);
    for (size_t k = 0; k < KIND_COUNT; k++) {
        const double mine = median(ours[k], round_count);
        printf("; %s %.2f us (%.3f of it)", acre_policy_name(kinds[k]), mine / 1000, mine / peer);
        must(acre_buffer_pool_close(pools[k]));
    }
    const double mine = median(ours_mapped, round_count);
    printf("; adaptive, mapped %.2f us (%.3f of it)\n", mine / 1000, mine / peer);
    must(acre_buffer_pool_close(mapped));
    close_mapping(&m);
}

/* ---- everything is fixed ---- */

static void measure_busy(acre_device *device)
{
    const uint32_t frame_count = is_quick() ? 1000 : 65536;
    const uint32_t miss_count = is_quick() ? 100 : 20000;
    printf("\na miss when all pages but 8 are fixed, %u frames:\n", frame_count);
    acre_page_ref *const refs = malloc(frame_count * sizeof *refs);
    double *const ns = malloc(miss_count * sizeof *ns);
    if (refs == NULL || ns == NULL) abort();
    for (acre_policy_kind kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        acre_buffer_pool *const pool =
            open_pool(&(acre_buffer_pool_options){.frame_count = frame_count, .policy = kind}, device, 2 * frame_count);
        for (uint32_t page = 0; page < frame_count; page++) must(acre_buffer_pool_fix(pool, page, ACRE_FIX_SHARED, &refs[page]));
        for (uint32_t i = 0; i < 8; i++) must(acre_buffer_pool_unfix(&refs[i * (frame_count / 8)], 0));
        uint32_t busy_count = 0;
        uint32_t fixed_count = 0;
        acre_page_ref fixed[9];
        for (uint32_t i = 0; i < miss_count && fixed_count < 9; i++) {
            const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
            const acre_status status = acre_buffer_pool_fix(pool, frame_count + i % frame_count, ACRE_FIX_SHARED, &fixed[fixed_count]);
            if (status == ACRE_BUSY)
                ns[busy_count++] = (double)(clock_ns(CLOCK_MONOTONIC) - begin);
            else
                fixed_count++;
        }
        if (fixed_count > 8) abort();
        qsort(ns, busy_count, sizeof *ns, by_value);
        printf("  %-10s busy %u times: median %.2f us, p99 %.2f, p99.9 %.2f, most %.2f; %u of the 8 were found\n", acre_policy_name(kind),
               busy_count, ns[busy_count / 2] / 1000, ns[busy_count * 99 / 100] / 1000, ns[busy_count * 999 / 1000] / 1000,
               ns[busy_count - 1] / 1000, fixed_count);
        while (fixed_count > 0) must(acre_buffer_pool_unfix(&fixed[--fixed_count], 0));
        for (uint32_t page = 0; page < frame_count; page++)
            if (refs[page].page != NULL) must(acre_buffer_pool_unfix(&refs[page], 0));
        must(acre_buffer_pool_close(pool));
    }
    free(ns);
    free(refs);
}

int main(int argc, char **argv)
{
    static acre_device device;
    must(acre_device_init(&device, &no_ops, "none", 512));
    const char *const only = argc > 1 ? argv[1] : "";
    if (*only == 0 || strcmp(only, "hits") == 0) measure_hits(&device);
    if (*only == 0 || strcmp(only, "optimistic") == 0) measure_optimistic(&device);
    if (*only == 0 || strcmp(only, "replacement") == 0) measure_replacement(&device);
    if (*only == 0 || strcmp(only, "busy") == 0) measure_busy(&device);
    return 0;
}
