/* disk.c - the buffer pool on a file, past the cache of the system, beside plain io_uring (liburing) with registered memory and file.
 *
 *     disk [reads|scan|checkpoint|foreground]     medians of alternated rounds; the file is made in the current folder
 *
 * ACRE_BENCH_QUICK=1: small and short. */
#include "measure.h"

#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <unistd.h>

enum { ROUND_COUNT = 5, PAGE_BYTES = 4096, DEPTH = 64, SCAN_BYTES = 256 << 10 };

static const char *const path = "acre-bench-pages";
static uint32_t page_count;

/* ---- the peer: a queue that is kept full ---- */

typedef struct plain {
    struct io_uring ring;
    unsigned char *memory;
    int file;
} plain;

static void open_plain(plain *p)
{
    p->file = open(path, O_RDWR | O_DIRECT);
    if (p->file < 0) abort();
    if (io_uring_queue_init(DEPTH, &p->ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) != 0 &&
        io_uring_queue_init(DEPTH, &p->ring, 0) != 0)
        abort();
    p->memory = aligned_alloc(2 << 20, (size_t)DEPTH * SCAN_BYTES);
    memset(p->memory, 0, (size_t)DEPTH * SCAN_BYTES); /* pages of zeros are good to the pool */
    const struct iovec memory = {.iov_base = p->memory, .iov_len = (size_t)DEPTH * SCAN_BYTES};
    if (io_uring_register_buffers(&p->ring, &memory, 1) != 0 || io_uring_register_files(&p->ring, &p->file, 1) != 0) abort();
}

static void close_plain(plain *p)
{
    io_uring_queue_exit(&p->ring);
    close(p->file);
    free(p->memory);
}

static void plain_push(plain *p, bool is_write, unsigned slot, uint64_t offset, unsigned bytes)
{
    struct io_uring_sqe *const entry = io_uring_get_sqe(&p->ring);
    unsigned char *const at = p->memory + (size_t)slot * SCAN_BYTES;
    if (is_write)
        io_uring_prep_write_fixed(entry, 0, at, bytes, offset, 0);
    else
        io_uring_prep_read_fixed(entry, 0, at, bytes, offset, 0);
    entry->flags |= IOSQE_FIXED_FILE;
    entry->user_data = slot;
}

/* Seconds for all of the requests, `depth` of them at a time; offsets are in units of `bytes`. */
static double plain_seconds(plain *p, bool is_write, const uint32_t *places, uint32_t count, unsigned bytes, unsigned depth)
{
    const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    uint32_t begun = 0;
    for (unsigned slot = 0; slot < depth && begun < count; slot++) plain_push(p, is_write, slot, (uint64_t)places[begun++] * bytes, bytes);
    for (uint32_t done = 0; done < count;) {
        if (io_uring_submit_and_wait(&p->ring, 1) < 0) abort();
        struct io_uring_cqe *entry;
        while (io_uring_peek_cqe(&p->ring, &entry) == 0) {
            if (entry->res != (int)bytes) abort();
            const unsigned slot = (unsigned)entry->user_data;
            io_uring_cqe_seen(&p->ring, entry);
            done++;
            if (begun < count) plain_push(p, is_write, slot, (uint64_t)places[begun++] * bytes, bytes);
        }
    }
    return (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9;
}

/* ---- help ---- */

static void make_file(void)
{
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    unsigned char *const chunk = malloc(1 << 20);
    if (chunk == NULL) abort();
    memset(chunk, 0, 1 << 20);
    for (uint32_t i = 0; i < page_count / 256; i++)
        if (write(file, chunk, 1 << 20) != 1 << 20) abort();
    if (file < 0 || fsync(file) != 0) abort();
    close(file);
    free(chunk);
}

static void shuffle(uint32_t *places, uint32_t count, uint64_t seed)
{
    uint64_t random = seed * 77 + 1;
    for (uint32_t i = count - 1; i > 0; i--) {
        const uint32_t other = (uint32_t)(next_random(&random) % (i + 1));
        const uint32_t kept = places[i];
        places[i] = places[other];
        places[other] = kept;
    }
}

static uint32_t *numbers(uint32_t count, bool is_shuffled, uint64_t seed)
{
    uint32_t *const places = calloc(count, sizeof *places);
    for (uint32_t i = 0; i < count; i++) places[i] = i;
    if (is_shuffled) shuffle(places, count, seed);
    return places;
}

/* Reads ahead by a list, with `depth` pages on their way, and fixes them in the order of the list. A depth of 0: not by a list. */
static double pool_read_seconds(acre_buffer_pool *pool, const uint32_t *places, uint32_t count, uint32_t depth, uint32_t step)
{
    acre_page_id *const ids = malloc(count * sizeof *ids);
    for (uint32_t i = 0; i < count; i++) ids[i] = places[i];
    const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    size_t ahead = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (depth > 0 && ahead < count && ahead <= (size_t)i + depth - step) {
            const size_t wanted = (size_t)i + depth - ahead;
            ahead += acre_buffer_pool_prefetch(pool, ids + ahead, ahead + wanted > count ? count - ahead : wanted);
        }
        acre_page_ref ref;
        must(acre_buffer_pool_fix(pool, ids[i], ACRE_FIX_SHARED, &ref));
        sum += ref.page[100];
        must(acre_buffer_pool_unfix(&ref, 0));
        if (ahead <= i) ahead = (size_t)i + 1;
    }
    const double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9;
    if (sum == 1) abort(); /* never: but the pages have to be looked at */
    free(ids);
    return seconds;
}

typedef enum order { RANDOM, SCAN, SCAN_FORESEEN } order;

static void measure_reads(order order)
{
    static const char *const names[] = {"cold random reads by prefetch lists", "scan by prefetch lists", "scan that the pool foresees"};
    const bool is_scan = order != RANDOM;
    const size_t round_count = is_quick() ? 1 : ROUND_COUNT;
    const uint32_t count = is_scan ? page_count : page_count < 100000 ? page_count : 100000;
    acre_device device;
    plain p;
    must(acre_device_open_file(&device, path, NULL));
    open_plain(&p);
    double ours[ROUND_COUNT];
    double theirs[ROUND_COUNT];
    double ratios[ROUND_COUNT];
    for (size_t round = 0; round < round_count; round++) {
        uint32_t *const places = numbers(page_count, !is_scan, round + 1);
        acre_buffer_pool *const pool =
            open_pool(&(acre_buffer_pool_options){.frame_count = 8192, .reads_ahead = order == SCAN_FORESEEN}, &device, page_count);
        ours[round] =
            count / (order == SCAN_FORESEEN ? pool_read_seconds(pool, places, count, 0, 0)
                                            : pool_read_seconds(pool, places, count, is_scan ? 1024 : DEPTH + 16, is_scan ? 256 : 16));
        must(acre_buffer_pool_close(pool));
        theirs[round] = is_scan ? count / plain_seconds(&p, false, places, count / (SCAN_BYTES / PAGE_BYTES), SCAN_BYTES, 4)
                                : count / plain_seconds(&p, false, places, count, PAGE_BYTES, DEPTH);
        ratios[round] = ours[round] / theirs[round];
        free(places);
    }
    printf("%s: pool %.0f pages/s, plain io_uring %s %.0f, ratio %.2f (medians of %zu rounds; ring: %s)\n", names[order],
           median(ours, round_count), is_scan ? "4 x 256 KiB" : "depth 64", median(theirs, round_count), median(ratios, round_count),
           round_count, acre_device_has_ring(&device) ? "yes" : "no");
    close_plain(&p);
    acre_device_close(&device);
}

/* ---- a checkpoint ---- */

static void measure_checkpoint(uint32_t dirty_count, uint32_t of_count, acre_torn_pages torn_pages)
{
    const size_t round_count = is_quick() ? 1 : ROUND_COUNT;
    acre_device device;
    acre_device area;
    plain p;
    must(acre_device_open_file(&device, path, NULL));
    must(acre_device_open_file(&area, "acre-bench-area", NULL));
    open_plain(&p);
    const acre_buffer_pool_options options = {
        .frame_count = of_count + 64, .has_checksum = true, .torn_pages = torn_pages, .double_write = &area};
    acre_buffer_pool *const pool = open_pool(&options, &device, page_count);
    uint32_t *const places = numbers(of_count, false, 0);
    (void)pool_read_seconds(pool, places, of_count, 1024, 256);
    double ours[ROUND_COUNT];
    double theirs[ROUND_COUNT];
    double ratios[ROUND_COUNT];
    acre_buffer_pool_figures before;
    acre_buffer_pool_figures after;
    must(acre_buffer_pool_read_figures(pool, &before));
    for (size_t round = 0; round < round_count; round++) {
        shuffle(places, of_count, round + 5);
        for (uint32_t i = 0; i < dirty_count; i++) {
            acre_page_ref ref;
            must(acre_buffer_pool_fix(pool, places[i], ACRE_FIX_EXCLUSIVE, &ref));
            ref.page[200]++;
            must(acre_buffer_pool_unfix(&ref, 1));
        }
        const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
        must(acre_buffer_pool_checkpoint(pool, NULL));
        ours[round] = dirty_count / ((double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9);
        const uint64_t flush_begin = clock_ns(CLOCK_MONOTONIC);
        (void)plain_seconds(&p, true, places, dirty_count, PAGE_BYTES, DEPTH);
        if (fdatasync(p.file) != 0) abort();
        theirs[round] = dirty_count / ((double)(clock_ns(CLOCK_MONOTONIC) - flush_begin) / 1e9);
        ratios[round] = ours[round] / theirs[round];
    }
    must(acre_buffer_pool_read_figures(pool, &after));
    printf("checkpoint of %u random dirty pages of %u%s: pool %.0f pages/s in runs of %.1f (%.2f pages written a dirty one), one-page "
           "writes at depth "
           "64 %.0f, ratio %.2f (medians of %zu rounds)\n",
           dirty_count, of_count, torn_pages == ACRE_TORN_DOUBLE_WRITE ? ", double write" : "", median(ours, round_count),
           (double)(after.write_count - before.write_count) / (double)(after.write_request_count - before.write_request_count),
           (double)(after.write_count - before.write_count) / ((double)dirty_count * (double)round_count), median(theirs, round_count),
           median(ratios, round_count), round_count);
    must(acre_buffer_pool_close(pool));
    close_plain(&p);
    acre_device_close(&device);
    acre_device_close(&area);
    unlink("acre-bench-area");
    free(places);
}

/* ---- what others feel of a checkpoint, and whether frames run out ---- */

typedef struct cleaner_work {
    acre_buffer_pool *pool;
    bool is_over;
} cleaner_work;

static void *clean(void *context)
{
    cleaner_work *const w = context;
    while (!__atomic_load_n(&w->is_over, __ATOMIC_ACQUIRE))
        if (acre_buffer_pool_clean(w->pool, 1000000) != ACRE_JOB_MORE) usleep(500);
    return NULL;
}

static void *make_checkpoints(void *context)
{
    cleaner_work *const w = context;
    while (!__atomic_load_n(&w->is_over, __ATOMIC_ACQUIRE)) must(acre_buffer_pool_checkpoint(w->pool, NULL));
    return NULL;
}

/* Fixes pages of memory; of each 5 fixes 4 change the page. Sorts the times. */
static void foreground_us(acre_buffer_pool *pool, uint32_t count, uint32_t fix_count, double *us)
{
    static uint64_t random = 9; /* goes on: other pages each time */
    for (uint32_t i = 0; i < fix_count; i++) {
        const uint64_t number = next_random(&random);
        acre_page_ref ref;
        const bool is_change = number % 5 != 0;
        const uint64_t begin = clock_ns(CLOCK_MONOTONIC);
        must(acre_buffer_pool_fix(pool, (number >> 32) * count >> 32, is_change ? ACRE_FIX_EXCLUSIVE : ACRE_FIX_SHARED, &ref));
        if (is_change) ref.page[300]++;
        must(acre_buffer_pool_unfix(&ref, is_change));
        us[i] = (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1000;
    }
    qsort(us, fix_count, sizeof *us, by_value);
}

static void measure_foreground(void)
{
    const uint32_t frame_count = page_count / 4;
    const uint32_t fix_count = is_quick() ? 2000 : 30000;
    acre_device device;
    must(acre_device_open_file(&device, path, NULL));
    acre_buffer_pool *const pool =
        open_pool(&(acre_buffer_pool_options){.frame_count = frame_count, .has_checksum = true}, &device, page_count);
    double *const us = malloc(fix_count * sizeof *us);
    /* The cleaner alone, with more pages than frames. */
    cleaner_work work = {.pool = pool};
    pthread_t thread;
    if (pthread_create(&thread, NULL, clean, &work) != 0) abort();
    foreground_us(pool, page_count, fix_count, us);
    foreground_us(pool, page_count, fix_count, us);
    acre_buffer_pool_figures figures;
    must(acre_buffer_pool_read_figures(pool, &figures));
    printf("4 of 5 fixes change a page, %u frames for %u pages, cleaner in a thread: p50 %.1f us, p99 %.1f; %llu misses, of which %llu "
           "wrote\n",
           frame_count, page_count, us[fix_count / 2], us[fix_count / 100 * 99], (unsigned long long)figures.miss_count,
           (unsigned long long)figures.foreground_write_count);
    const double idle_p99 = us[fix_count / 100 * 99];
    pthread_t checkpoints;
    if (pthread_create(&checkpoints, NULL, make_checkpoints, &work) != 0) abort();
    foreground_us(pool, page_count, fix_count, us);
    printf("the same during checkpoints without pause: p50 %.1f us, p99 %.1f, ratio of p99 %.2f\n", us[fix_count / 2],
           us[fix_count / 100 * 99], us[fix_count / 100 * 99] / idle_p99);
    __atomic_store_n(&work.is_over, true, __ATOMIC_RELEASE);
    (void)pthread_join(thread, NULL);
    (void)pthread_join(checkpoints, NULL);
    must(acre_buffer_pool_checkpoint(pool, NULL));
    must(acre_buffer_pool_close(pool));
    acre_device_close(&device);
    free(us);
}

int main(int argc, char **argv)
{
    const char *const only = argc > 1 ? argv[1] : "";
    page_count = is_quick() ? 16384 : 262144;
    const uint32_t dirty_count = page_count / 4;
    make_file();
    if (*only == 0 || strcmp(only, "reads") == 0) measure_reads(RANDOM);
    if (*only == 0 || strcmp(only, "scan") == 0) measure_reads(SCAN);
    if (*only == 0 || strcmp(only, "scan") == 0) measure_reads(SCAN_FORESEEN);
    if (*only == 0 || strcmp(only, "checkpoint") == 0) {
        measure_checkpoint(dirty_count, dirty_count * 5 / 4, ACRE_TORN_NEVER);
        measure_checkpoint(dirty_count, dirty_count * 2, ACRE_TORN_NEVER);
        measure_checkpoint(dirty_count, dirty_count * 4, ACRE_TORN_NEVER);
        measure_checkpoint(dirty_count, dirty_count * 2, ACRE_TORN_DOUBLE_WRITE);
    }
    if (*only == 0 || strcmp(only, "foreground") == 0) measure_foreground();
    unlink(path);
    return 0;
}
