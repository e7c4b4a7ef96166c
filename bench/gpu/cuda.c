/* cuda.c - libacre-cuda on the CUDA device that is there: every call with contents that kernels write and compare, then what its pools, its
 * growth and its managed memory cost beside the driver's own.
 *
 *     cuda [PART...]     check, pairs, mixes, growth, managed, faults; all of them
 *
 * Ways of pairs and mixes: acre's pool that keeps everything, and one that keeps nothing over a synchronisation; acre's with the driver's
 * pool in it; the driver's default pool, which keeps nothing over a synchronisation unless somebody said so; a pool of the driver that
 * keeps everything; cuMemAlloc and cuMemFree. A stream is synchronised every 64 pairs. Times are of the host's clock, medians of rounds in
 * which the ways take turns. Managed memory is at most 1 GiB, and never more than a quarter of what is free. Without a device it says so
 * and ends with 0. ACRE_BENCH_QUICK=1: little of everything. */
#include "cuda_check.h"
#include "cuda_program.h"
#include "sizes.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MAX = 4, THREADS_MAX = 4, ROUNDS_MAX = 9, PAIRS_BETWEEN = 64 };

static acre_cuda *cuda;
static bool is_quick;
static cu_stream streams[STREAMS_MAX];

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return count == 0 ? 0 : values[count / 2];
}

/* ---- ways to allocate ---- */

typedef struct way {
    const char *name;
    bool (*open)(struct way *way);
    bool (*take)(struct way *way, cu_stream stream, uint64_t size_bytes, cu_pointer *pointer);
    bool (*give)(struct way *way, cu_stream stream, cu_pointer pointer);
    bool (*synchronise)(struct way *way, cu_stream stream);
    bool (*trim)(struct way *way);
    bool (*close)(struct way *way);
    uint64_t kept_bytes;
    bool is_drivers, is_there;
    acre_cuda_pool *ours;
    cu_pool theirs;
} way;

static bool open_ours(way *w)
{
    return ACRE(acre_cuda_pool_create(
        cuda, &(acre_cuda_pool_options){.release_threshold_bytes = w->kept_bytes, .is_drivers = w->is_drivers, .free_count_max = 65536},
        &w->ours));
}

static bool take_ours(way *w, cu_stream stream, uint64_t size_bytes, cu_pointer *pointer)
{
    acre_cuda_block block;
    if (acre_cuda_pool_alloc(w->ours, stream, size_bytes, &block) != ACRE_OK) return program_wrong("cuda: %s", acre_last_error());
    *pointer = block.address;
    return true;
}

static bool give_ours(way *w, cu_stream stream, cu_pointer pointer)
{
    return acre_cuda_pool_free(w->ours, stream, pointer) == ACRE_OK || program_wrong("cuda: %s", acre_last_error());
}

static bool synchronise_ours(way *w, cu_stream stream) { return ACRE(acre_cuda_pool_synchronise(w->ours, stream)); }
static bool trim_ours(way *w) { return ACRE(acre_cuda_pool_trim(w->ours, 0)); }
static bool close_ours(way *w) { return ACRE(acre_cuda_pool_destroy(w->ours)); }

static bool open_default(way *w)
{
    w->is_there = program.calls.alloc_async != NULL && program.calls.free_async != NULL && program.calls.default_pool != NULL;
    return !w->is_there || DRIVER(default_pool, &w->theirs, program.device);
}

static bool take_default(way *w, cu_stream stream, uint64_t size_bytes, cu_pointer *pointer)
{
    (void)w;
    return DRIVER(alloc_async, pointer, size_bytes, stream);
}

static bool give_async(way *w, cu_stream stream, cu_pointer pointer)
{
    (void)w;
    return DRIVER(free_async, pointer, stream);
}

static bool synchronise(way *w, cu_stream stream)
{
    (void)w;
    return DRIVER(stream_synchronize, stream);
}

static bool trim_theirs(way *w) { return DRIVER(pool_trim, w->theirs, 0); }

static bool open_kept(way *w)
{
    const cu_pool_props props = {.type = CU_ALLOCATION_PINNED, .location = {CU_LOCATION_DEVICE, program.device}};
    w->is_there = program.calls.pool_create != NULL && program.calls.pool_alloc != NULL && program.calls.free_async != NULL;
    return !w->is_there ||
           (DRIVER(pool_create, &w->theirs, &props) && DRIVER(pool_set, w->theirs, CU_POOL_RELEASE_THRESHOLD, &w->kept_bytes));
}

static bool take_kept(way *w, cu_stream stream, uint64_t size_bytes, cu_pointer *pointer)
{
    return DRIVER(pool_alloc, pointer, size_bytes, w->theirs, stream);
}

static bool close_kept(way *w) { return DRIVER(pool_destroy, w->theirs); }

static bool open_plain(way *w) { return w->is_there; }

static bool take_plain(way *w, cu_stream stream, uint64_t size_bytes, cu_pointer *pointer)
{
    (void)w;
    (void)stream;
    return DRIVER(mem_alloc, pointer, size_bytes);
}

static bool give_plain(way *w, cu_stream stream, cu_pointer pointer)
{
    (void)w;
    (void)stream;
    return DRIVER(mem_free, pointer);
}

static bool do_nothing(way *w) { return w->is_there; }

enum { WAY_OURS, WAY_OURS_NOT_KEPT, WAY_OURS_DRIVERS, WAY_DEFAULT, WAY_KEPT, WAY_PLAIN, WAY_COUNT };

#define OURS open_ours, take_ours, give_ours, synchronise_ours, trim_ours, close_ours
static way ways[WAY_COUNT] = {
    [WAY_OURS] = {"acre", OURS, .kept_bytes = UINT64_MAX, .is_there = true},
    [WAY_OURS_NOT_KEPT] = {"acre, 0 kept", OURS, .is_there = true},
    [WAY_OURS_DRIVERS] = {"acre, driver's", OURS, .kept_bytes = UINT64_MAX, .is_drivers = true, .is_there = true},
    [WAY_DEFAULT] = {"default pool", open_default, take_default, give_async, synchronise, trim_theirs, do_nothing, .kept_bytes = 0},
    [WAY_KEPT] = {"driver's, kept", open_kept, take_kept, give_async, synchronise, trim_theirs, close_kept, .kept_bytes = UINT64_MAX},
    [WAY_PLAIN] = {"cuMemAlloc", open_plain, take_plain, give_plain, synchronise, do_nothing, do_nothing, .is_there = true},
};

/* ---- pairs ---- */

/* Seconds of a pair. */
static bool time_pairs(way *w, uint64_t size_bytes, unsigned pairs, bool has_work, double *pair_s)
{
    const double start = program_seconds();
    for (unsigned i = 0; i < pairs; i++) {
        cu_pointer pointer;
        if (!w->take(w, streams[0], size_bytes, &pointer)) return false;
        if (has_work && !program_fill(streams[0], pointer, 64, i)) return false;
        if (!w->give(w, streams[0], pointer)) return false;
        if (i % PAIRS_BETWEEN == PAIRS_BETWEEN - 1 && !w->synchronise(w, streams[0])) return false;
    }
    *pair_s = (program_seconds() - start) / pairs;
    return w->synchronise(w, streams[0]);
}

static bool measure_size(uint64_t size_bytes, bool has_work)
{
    double seconds[WAY_COUNT][ROUNDS_MAX], medians[WAY_COUNT];
    const int rounds = is_quick ? 1 : ROUNDS_MAX;
    for (int i = 0; i < WAY_COUNT; i++)
        if (!ways[i].open(&ways[i])) return false;
    for (int round = -1; round < rounds; round++)
        for (int i = 0; i < WAY_COUNT; i++) {
            const unsigned pairs = is_quick ? 64 : i == WAY_PLAIN || round < 0 ? 128 : 1024;
            if (ways[i].is_there && !time_pairs(&ways[i], size_bytes, pairs, has_work, &seconds[i][round < 0 ? 0 : round])) return false;
        }
    printf("%8" PRIu64 " %s%s", size_bytes < 1024 ? size_bytes : size_bytes >> 10, size_bytes < 1024 ? "B  " : "KiB",
           has_work ? " *" : "  ");
    for (int i = 0; i < WAY_COUNT; i++) {
        medians[i] = ways[i].is_there ? median(seconds[i], rounds) : 0;
        if (ways[i].is_there && !ways[i].close(&ways[i])) return false;
        if (ways[i].is_there)
            printf(" %14.2f", medians[i] * 1e6);
        else
            printf(" %14s", "-");
    }
    if (ways[WAY_KEPT].is_there)
        printf(" %8.2f %8.2f", medians[WAY_OURS] / medians[WAY_KEPT], medians[WAY_OURS_NOT_KEPT] / medians[WAY_DEFAULT]);
    printf(" %8.3f\n", medians[WAY_OURS] / medians[WAY_PLAIN]);
    (void)fflush(stdout);
    return true;
}

static bool run_pairs(void)
{
    static const uint64_t sizes[] = {256, 65536, 2 << 20, 64 << 20};
    printf("\nmicroseconds of an alloc and a free in one stream (*: with a kernel that uses the block)\n%14s", "");
    for (int i = 0; i < WAY_COUNT; i++) printf(" %14s", ways[i].name);
    printf(" %8s %8s %8s\n", "/kept", "/default", "/plain");
    for (int has_work = 0; has_work < 2; has_work++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            if (!measure_size(sizes[i], has_work != 0)) return false;
    return true;
}

/* ---- mixes ---- */

enum { LIVE_COUNT = 1024, QUICK_BYTES_MAX = 1 << 20 };

typedef struct mixer {
    way *way;
    unsigned steps, live_count, stream_first, stream_count;
    uint64_t seed, live_bytes_max;
    bool is_good;
} mixer;

typedef struct piece {
    cu_pointer pointer;
    uint64_t size_bytes;
    cu_stream stream;
} piece;

/* A free block is taken of a random slot, or one in use is given back in the stream that it was taken in; half of the slots are in use. */
static bool mix(mixer *m)
{
    piece *const live = calloc(m->live_count, sizeof *live);
    uint64_t live_bytes = 0, random = m->seed;
    bool is_good = live != NULL;
    for (unsigned step = 0; step < m->steps + m->live_count && is_good; step++) {
        const uint64_t drawn = next_random(&random);
        piece *const slot = &live[step < m->steps ? drawn % m->live_count : step - m->steps];
        if (slot->size_bytes > 0) {
            is_good = m->way->give(m->way, slot->stream, slot->pointer);
            live_bytes -= slot->size_bytes;
            slot->size_bytes = 0;
        } else if (step < m->steps) {
            uint64_t size_bytes = draw_gpu(&random);
            if (is_quick && size_bytes > QUICK_BYTES_MAX) size_bytes = QUICK_BYTES_MAX;
            slot->stream = streams[m->stream_first + (drawn >> 32) % m->stream_count];
            is_good = m->way->take(m->way, slot->stream, size_bytes, &slot->pointer);
            slot->size_bytes = size_bytes;
            live_bytes += size_bytes;
            if (live_bytes > m->live_bytes_max) m->live_bytes_max = live_bytes;
        }
        if (step % 256 == 255) is_good &= m->way->synchronise(m->way, streams[m->stream_first]);
    }
    free(live);
    return is_good;
}

static void *run_mixer(void *context)
{
    mixer *const m = context;
    m->is_good = program_enter() && mix(m);
    program_leave();
    return NULL;
}

/* Each thread has its share of the streams and of the blocks; all use one pool. */
static bool run_mix(way *w, unsigned thread_count, unsigned stream_count, uint64_t *live_bytes_max)
{
    pthread_t threads[THREADS_MAX];
    mixer mixers[THREADS_MAX];
    bool is_good = true;
    *live_bytes_max = 0;
    for (unsigned i = 0; i < thread_count; i++) {
        const unsigned own = stream_count / thread_count;
        mixers[i] = (mixer){.way = w,
                            .steps = (is_quick                ? 1000
                                      : w == &ways[WAY_PLAIN] ? 4000
                                                              : 40000) /
                                     thread_count,
                            .live_count = LIVE_COUNT / thread_count,
                            .stream_first = own == 0 ? i % stream_count : i * own,
                            .stream_count = own == 0 ? 1 : own,
                            .seed = 88172645463325252U + i};
        if (pthread_create(&threads[i], NULL, run_mixer, &mixers[i]) != 0) return program_wrong("cuda: no thread");
    }
    for (unsigned i = 0; i < thread_count; i++) {
        is_good &= pthread_join(threads[i], NULL) == 0 && mixers[i].is_good;
        *live_bytes_max += mixers[i].live_bytes_max;
    }
    for (unsigned i = 0; i < stream_count; i++) is_good &= w->synchronise(w, streams[i]);
    return is_good;
}

static double mebibytes(uint64_t before, uint64_t after) { return before > after ? (double)(before - after) / 1048576 : 0; }

static bool measure_mix(unsigned thread_count, unsigned stream_count)
{
    double kept_us = 0, default_us = 0;
    printf("%u thread%s, %u stream%s\n", thread_count, thread_count == 1 ? "" : "s", stream_count, stream_count == 1 ? "" : "s");
    for (int i = WAY_COUNT - 1; i >= 0; i--) { /* the peers first: acre's ratios follow */
        way *const w = &ways[i];
        uint64_t live_bytes_max;
        if (!w->open(w)) return false;
        if (!w->is_there) continue;
        const uint64_t before = program_free_bytes();
        const double start = program_seconds();
        if (!run_mix(w, thread_count, stream_count, &live_bytes_max)) return false;
        const unsigned steps = is_quick ? 1000 : i == WAY_PLAIN ? 4000 : 40000;
        const unsigned calls = steps + LIVE_COUNT / 2; /* what is in use at the end goes back, too */
        const double step_us = (program_seconds() - start) * 1e6 / calls;
        const uint64_t held = program_free_bytes();
        acre_cuda_pool_figures figures = {.held_bytes = 0};
        uint64_t held_max = 0;
        if (w->ours != NULL && !ACRE(acre_cuda_pool_read_figures(w->ours, &figures))) return false;
        if (w->theirs != NULL && !DRIVER(pool_get, w->theirs, CU_POOL_RESERVED_HIGH, &held_max)) return false;
        if (w->ours != NULL) held_max = figures.held_bytes_max;
        const double trim_start = program_seconds();
        if (!w->trim(w)) return false;
        const double trim_ms = (program_seconds() - trim_start) * 1e3;
        const uint64_t trimmed = program_free_bytes();
        if (!w->close(w)) return false;
        if (i == WAY_KEPT) kept_us = step_us;
        if (i == WAY_DEFAULT) default_us = step_us;
        const double peer_us = i == WAY_OURS || i == WAY_OURS_DRIVERS ? kept_us : i == WAY_OURS_NOT_KEPT ? default_us : 0;
        printf("  %-14s %8.2f us a call", w->name, step_us);
        if (peer_us > 0) printf(", %5.2f of the driver's", step_us / peer_us);
        printf("; live at most %.0f MiB, held at most %.0f (%.2f); held at the end %.0f, after the trim (%.2f ms) %.0f\n",
               (double)live_bytes_max / 1048576, (double)held_max / 1048576, (double)held_max / (double)live_bytes_max,
               mebibytes(before, held), trim_ms, mebibytes(before, trimmed));
        if (w->ours != NULL && !w->is_drivers)
            printf("    same %" PRIu64 ", followed %" PRIu64 ", passed %" PRIu64 ", waited %" PRIu64 ", of the driver %" PRIu64
                   ", back %" PRIu64 ", stalls %" PRIu64 "\n",
                   figures.same_count, figures.followed_count, figures.passed_count, figures.waited_count, figures.driver_count,
                   figures.released_count, figures.stall_count);
        w->ours = NULL;
        w->theirs = NULL;
        (void)fflush(stdout);
    }
    return true;
}

static bool run_mixes(void)
{
    printf("\n256 B to 64 MiB (sizes.h), 1,024 slots of which half are in use, no work in the streams\n");
    return measure_mix(1, 1) && measure_mix(1, 4) && measure_mix(4, 4) && measure_mix(4, 1);
}

/* ---- growth ---- */

static bool time_growth(uint64_t end_bytes, uint64_t step_bytes, uint64_t driver_step, double *seconds)
{
    acre_cuda_growth *growth;
    if (!ACRE(acre_cuda_growth_open(cuda, end_bytes, driver_step, &growth))) return false;
    const double start = program_seconds();
    for (uint64_t bytes = step_bytes; bytes <= end_bytes; bytes += step_bytes)
        if (!ACRE(acre_cuda_growth_resize(growth, bytes))) return false;
    *seconds = program_seconds() - start;
    return ACRE(acre_cuda_growth_close(growth));
}

static bool time_copies(uint64_t end_bytes, uint64_t step_bytes, double *seconds)
{
    cu_pointer old = 0, new;
    const double start = program_seconds();
    for (uint64_t bytes = step_bytes; bytes <= end_bytes; bytes += step_bytes) {
        if (!DRIVER(mem_alloc, &new, bytes)) return false;
        if (old != 0 && (!DRIVER(copy, new, old, bytes - step_bytes) || !DRIVER(stream_synchronize, NULL) || !DRIVER(mem_free, old)))
            return false;
        old = new;
    }
    *seconds = program_seconds() - start;
    return DRIVER(mem_free, old);
}

static bool run_growth(void)
{
    acre_cuda_facts facts;
    if (!ACRE(acre_cuda_query(cuda, &facts)) || !facts.has_growth) return true;
    const uint64_t end = is_quick ? 8 << 20 : (uint64_t)4 << 30, step = is_quick ? 1 << 20 : 64 << 20;
    double ours[3], granules[3], theirs[3];
    for (int i = 0; i < 3; i++)
        if (!time_growth(end, step, step, &ours[i]) || !time_growth(end, step, 0, &granules[i]) || !time_copies(end, step, &theirs[i]))
            return false;
    const double one = median(ours, 3), many = median(granules, 3), copied = median(theirs, 3);
    printf("\nan array grows to %" PRIu64 " MiB by %" PRIu64 " at a time: growth %.2f ms in steps of that length, %.2f in steps of %" PRIu64
           " KiB; cuMemAlloc, copy and cuMemFree %.2f ms: %.2f and %.2f of it, and %" PRIu64 " MiB at most against %" PRIu64 "\n",
           end >> 20, step >> 20, one * 1e3, many * 1e3, facts.granule_bytes >> 10, copied * 1e3, one / copied, many / copied, end >> 20,
           (2 * end - step) >> 20);
    return true;
}

/* ---- managed memory ---- */

typedef struct hint {
    const char *name;
    int advice, also; /* -1: none */
    bool is_prefetched;
    acre_cuda_kind kind;
} hint;

static const hint hints[] = {
    {"no hint", -1, -1, false, ACRE_CUDA_MANAGED},
    {"prefetch", -1, -1, true, ACRE_CUDA_MANAGED},
    {"prefer device", ACRE_CUDA_PREFER_DEVICE, -1, false, ACRE_CUDA_MANAGED},
    {"prefer host", ACRE_CUDA_PREFER_HOST, -1, false, ACRE_CUDA_MANAGED},
    {"device uses", ACRE_CUDA_DEVICE_USES, -1, false, ACRE_CUDA_MANAGED},
    {"prefer host, device uses", ACRE_CUDA_PREFER_HOST, ACRE_CUDA_DEVICE_USES, false, ACRE_CUDA_MANAGED},
    {"mapped", -1, -1, false, ACRE_CUDA_MAPPED},
    {"pinned, copied", -1, -1, false, ACRE_CUDA_PINNED},
    {"read mostly", ACRE_CUDA_READ_MOSTLY, -1, false, ACRE_CUDA_MANAGED},
    {"read mostly, prefetch", ACRE_CUDA_READ_MOSTLY, -1, true, ACRE_CUDA_MANAGED},
};
/* Each page that the host writes takes its copy away from the device, one by one. */
enum { SLOW_SCALE = 32 };

static void host_write(uint32_t *a, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) a[i] = (uint32_t)i;
}

static uint64_t host_sum(const uint32_t *a, uint64_t count)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) sum += a[i];
    return sum;
}

enum { HOST_WRITES, DEVICE_READS, HOST_WRITES_AGAIN, DEVICE_WRITES, DEVICE_WRITES_AGAIN, HOST_READS, TURN_COUNT };

/* Before a kernel: pages are told to come, or bytes are copied. */
static bool bring(const hint *h, const acre_cuda_memory *memory, cu_pointer device, uint64_t bytes)
{
    if (h->is_prefetched) return ACRE(acre_cuda_prefetch(cuda, memory, 0, bytes, false, streams[0]));
    return h->kind != ACRE_CUDA_PINNED || DRIVER(copy_to, device, memory->host, bytes);
}

static bool take_turns(const hint *h, const acre_cuda_memory *memory, cu_pointer at, uint64_t count, double seconds[TURN_COUNT])
{
    const uint64_t bytes = count * sizeof(uint32_t);
    uint64_t sum = 0;
    double start = program_seconds();
    host_write(memory->host, count);
    seconds[HOST_WRITES] = program_seconds() - start;
    start = program_seconds();
    if (!bring(h, memory, at, bytes) || !program_sum(streams[0], at, count, &sum)) return false;
    seconds[DEVICE_READS] = program_seconds() - start;
    if (sum != program_sum_of(count, 0, false)) return program_wrong("cuda: %s: the device read something else", h->name);
    start = program_seconds();
    host_write(memory->host, count);
    seconds[HOST_WRITES_AGAIN] = program_seconds() - start;
    for (int turn = DEVICE_WRITES; turn <= DEVICE_WRITES_AGAIN; turn++) {
        start = program_seconds();
        if (turn == DEVICE_WRITES && !bring(h, memory, at, bytes)) return false;
        if (!program_step(streams[0], at, count) || !DRIVER(stream_synchronize, streams[0])) return false;
        seconds[turn] = program_seconds() - start;
    }
    start = program_seconds();
    if (h->kind == ACRE_CUDA_PINNED && !DRIVER(copy_from, memory->host, at, bytes)) return false;
    sum = host_sum(memory->host, count);
    seconds[HOST_READS] = program_seconds() - start;
    uint64_t wanted = 0;
    for (uint64_t i = 0; i < count; i++) wanted += ((uint32_t)i * 3 + 1) * 3 + 1;
    return sum == wanted || program_wrong("cuda: %s: the host read something else", h->name);
}

static bool measure_hint(const hint *h, uint64_t count)
{
    enum { ROUNDS = 3 };
    const uint64_t bytes = count * sizeof(uint32_t);
    double all[TURN_COUNT][ROUNDS], seconds[TURN_COUNT] = {0};
    const int rounds = is_quick ? 1 : ROUNDS;
    for (int round = 0; round < rounds; round++) {
        acre_cuda_memory memory;
        cu_pointer device = 0;
        if (!ACRE(acre_cuda_alloc(cuda, h->kind, bytes, &memory))) return false;
        if (h->kind == ACRE_CUDA_PINNED && !DRIVER(mem_alloc, &device, bytes)) return false;
        if (h->advice >= 0 && !ACRE(acre_cuda_advise(cuda, &memory, 0, bytes, (acre_cuda_advice)h->advice))) return false;
        if (h->also >= 0 && !ACRE(acre_cuda_advise(cuda, &memory, 0, bytes, (acre_cuda_advice)h->also))) return false;
        if (!take_turns(h, &memory, device != 0 ? device : memory.address, count, seconds)) return false;
        for (int turn = 0; turn < TURN_COUNT; turn++) all[turn][round] = seconds[turn];
        if (device != 0 && !DRIVER(mem_free, device)) return false;
        if (!ACRE(acre_cuda_free(cuda, &memory))) return false;
    }
    printf("%-26s %5" PRIu64, h->name, bytes >> 20);
    for (int turn = 0; turn < TURN_COUNT; turn++) {
        const double s = median(all[turn], rounds);
        printf(" %9.2f %7.2f", s * 1e3, (double)bytes / s * 1e-9);
    }
    printf("\n");
    (void)fflush(stdout);
    return true;
}

static bool run_managed(void)
{
    static const char *const turns[TURN_COUNT] = {"host writes", "device reads", "host writes", "device r+w", "r+w again", "host reads"};
    acre_cuda_facts facts;
    const uint64_t bytes = is_quick ? 4 << 20 : (uint64_t)1 << 30;
    if (!ACRE(acre_cuda_query(cuda, &facts)) || !facts.has_managed || !facts.migrates_managed || program_free_bytes() / 4 < bytes) {
        printf("\nskip: managed memory does not migrate here, or the device is full\n");
        return true;
    }
    printf("\nmanaged memory: MiB, and for each turn ms and GB/s of its bytes, hints and copies included\n%-32s", "");
    for (int turn = 0; turn < TURN_COUNT; turn++) printf(" %17s", turns[turn]);
    printf("\n");
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (!measure_hint(&hints[i], bytes / sizeof(uint32_t) / (hints[i].advice == ACRE_CUDA_READ_MOSTLY ? SLOW_SCALE : 1))) return false;
    return true;
}

/* ---- faults ---- */

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* One thread of the device writes a word in every `stride` bytes of memory that the host has written, or that nobody has. */
static bool measure_faults(uint64_t stride, uint64_t count, bool is_written, acre_cuda_kind kind)
{
    const uint64_t bytes = stride * count, words = stride / sizeof(uint32_t);
    acre_cuda_memory memory, times;
    if (!ACRE(acre_cuda_alloc(cuda, kind, bytes, &memory)) ||
        !ACRE(acre_cuda_alloc(cuda, ACRE_CUDA_MAPPED, count * sizeof(uint64_t), &times)))
        return false;
    if (is_written) memset(memory.host, 1, bytes);
    const double start = program_seconds();
    if (!program_launch(streams[0], KERNEL_TOUCH, (void *[]){&memory.address, (void *)&words, &count, &times.address}) ||
        !DRIVER(stream_synchronize, streams[0]))
        return false;
    const double seconds = program_seconds() - start;
    uint64_t *const ns = times.host;
    uint64_t slow = 0, sum_ns = 0;
    for (uint64_t i = 0; i < count; i++)
        if (ns[i] >= 5000) {
            slow++;
            sum_ns += ns[i];
        }
    printf("  every %7" PRIu64 " bytes, %5" PRIu64 " times, %-20s %9.1f us each, %8.2f ms in all; %" PRIu64
           " of 5 us or more, %.1f us each",
           stride, count,
           kind == ACRE_CUDA_DEVICE   ? "device memory:"
           : kind == ACRE_CUDA_MAPPED ? "mapped:"
           : is_written               ? "the host wrote it:"
                                      : "nobody wrote it:",
           seconds * 1e6 / (double)count, seconds * 1e3, slow, slow == 0 ? 0.0 : (double)sum_ns * 1e-3 / (double)slow);
    printf("; first ones");
    for (uint64_t i = 0; i < 8 && i < count; i++) printf(" %.1f", (double)ns[i] * 1e-3);
    qsort(ns, count, sizeof *ns, compare_numbers);
    const uint64_t middle = count / 2, high = count * 9 / 10;
    printf("; median %.1f, 90 %% %.1f, most %.1f\n", (double)ns[middle] * 1e-3, (double)ns[high] * 1e-3, (double)ns[count - 1] * 1e-3);
    (void)fflush(stdout);
    return ACRE(acre_cuda_free(cuda, &memory)) && ACRE(acre_cuda_free(cuda, &times));
}

static bool run_faults(void)
{
    acre_cuda_facts facts;
    const unsigned scale = is_quick ? 64 : 1;
    if (!ACRE(acre_cuda_query(cuda, &facts)) || !facts.migrates_managed || program_free_bytes() < (uint64_t)4 << 30) return true;
    printf("\nfaults of one thread that reads, writes and waits for each write\n");
    return measure_faults(4096, 8192 / scale, true, ACRE_CUDA_MAPPED) && measure_faults(4096, 8192 / scale, false, ACRE_CUDA_DEVICE) &&
           measure_faults(2 << 20, 512 / scale, false, ACRE_CUDA_DEVICE) && measure_faults(4096, 8192 / scale, true, ACRE_CUDA_MANAGED) &&
           measure_faults(65536, 2048 / scale, true, ACRE_CUDA_MANAGED) && measure_faults(2 << 20, 512 / scale, true, ACRE_CUDA_MANAGED) &&
           measure_faults(4096, 8192 / scale, false, ACRE_CUDA_MANAGED) && measure_faults(65536, 2048 / scale, false, ACRE_CUDA_MANAGED) &&
           measure_faults(2 << 20, 512 / scale, false, ACRE_CUDA_MANAGED);
}

/* ---- parts ---- */

static bool is_one_process;

static bool run_check(void) { return check_all(cuda, &(check_options){.is_one_process = is_one_process, .scale = is_quick ? 16 : 1}); }

static const struct {
    const char *name;
    bool (*run)(void);
} parts[] = {{"check", run_check},   {"pairs", run_pairs},     {"mixes", run_mixes},
             {"growth", run_growth}, {"managed", run_managed}, {"faults", run_faults}};

enum { PART_COUNT = sizeof parts / sizeof *parts };

static int part_named(const char *name)
{
    int part = 0;
    while (part < PART_COUNT && strcmp(parts[part].name, name) != 0) part++;
    return part;
}

static bool run_parts(int count, char **names)
{
    bool is_right = true;
    for (int i = 0; i < PART_COUNT; i++) {
        bool is_wanted = count == 0;
        for (int k = 0; k < count; k++) is_wanted |= part_named(names[k]) == i;
        if (is_wanted && !parts[i].run()) is_right = program_wrong("cuda: %s: something is wrong", parts[i].name);
    }
    return is_right;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: cuda [check] [pairs] [mixes] [growth] [managed] [faults]\n");
    return 2;
}

int main(int argument_count, char **arguments)
{
    const char *const quick = getenv("ACRE_BENCH_QUICK");
    const bool is_import = argument_count == 4 && strcmp(arguments[1], "--import") == 0;
    is_quick = quick != NULL && quick[0] == '1';
    is_one_process = argument_count > 1 && strcmp(arguments[1], "--one-process") == 0;
    const int first = 1 + is_one_process;
    for (int i = first; i < argument_count && !is_import; i++)
        if (part_named(arguments[i]) == PART_COUNT) return usage();
    const acre_status status = acre_cuda_open(NULL, &cuda);
    if (status == ACRE_UNSUPPORTED) {
        printf("skip: %s\n", acre_last_error());
        return 0;
    }
    if (status != ACRE_OK) return !program_wrong("cuda: %s", acre_last_error());
    if (!program_open()) return 1;
    bool is_right;
    if (is_import)
        is_right = check_import(cuda, arguments[2], strtoull(arguments[3], NULL, 10));
    else {
        for (int i = 0; i < STREAMS_MAX; i++)
            if (!DRIVER(stream_create, &streams[i], CU_STREAM_NON_BLOCKING)) return 1;
        is_right = run_parts(argument_count - first, arguments + first);
        for (int i = 0; i < STREAMS_MAX; i++) is_right &= DRIVER(stream_destroy, streams[i]);
    }
    is_right &= ACRE(acre_cuda_close(cuda));
    program_close();
    return !is_right;
}
