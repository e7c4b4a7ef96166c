/* topology_measure.c - see topology.h. How fast memory is, seen from one thread that does nothing else.
 *
 * Latency is a walk along one random cycle through all cache lines of the buffer (Sattolo's algorithm), so that each read
 * waits for the one before it and no prefetcher knows the next. Bandwidth is the best of several passes: noise only slows.
 */
#include "topology.h"

#include "os/os.h"

#include <string.h>

enum { LINE_BYTES = 64, PASSES_MIN = 3, WARM_LINES_MAX = 1 << 19 };

static const uint64_t measure_ns = 10 * 1000 * 1000; /* how long each figure may take, beyond its first passes */

static volatile uint64_t sink; /* keeps the compiler from leaving reads out */

static acre_figure measured(uint64_t value) { return (acre_figure){.value = value, .source = ACRE_SOURCE_MEASURED}; }

/* 16 bytes: what one instruction reads on every 64-bit machine. Wider ones would be split there, and the halves of eight sums are more
 * than the registers that such a machine has: it would then measure stores to the stack. */
typedef uint64_t vector __attribute__((vector_size(16)));

typedef void pass(void *buffer, size_t size, uint64_t round);

static void read_pass(void *buffer, size_t size, uint64_t round)
{
    (void)round;
    const vector *const vectors = buffer;
    /* Eight sums, so that additions do not wait for one another: half of the registers. By name, since gcc keeps an array on the stack. */
    vector a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, g = {0}, h = {0};
    __asm__ volatile("" ::: "memory"); /* the reads of one pass are not those of the pass before */
    for (size_t i = 0; i + 8 <= size / sizeof *vectors; i += 8) {
        a += vectors[i];
        b += vectors[i + 1];
        c += vectors[i + 2];
        d += vectors[i + 3];
        e += vectors[i + 4];
        f += vectors[i + 5];
        g += vectors[i + 6];
        h += vectors[i + 7];
    }
    a += b + c + d + e + f + g + h;
    sink = a[0] + a[1];
}

static void write_pass(void *buffer, size_t size, uint64_t round) { memset(buffer, (int)(round & 0x7f), size); }

static void copy_pass(void *buffer, size_t size, uint64_t round)
{
    (void)round;
    memcpy((char *)buffer + size / 2, buffer, size / 2);
    sink = ((volatile unsigned char *)buffer)[size - 1];
}

/* Small buffers are passed over many times between two looks at the clock. */
static acre_figure best_of(pass *run, void *buffer, size_t size, size_t bytes_a_pass)
{
    const size_t repeat = 1 + 1024 * 1024 / size;
    const uint64_t start = acre_os_now_ns();
    uint64_t best_ns = UINT64_MAX;
    uint64_t now = start;
    for (uint64_t round = 0; round < PASSES_MIN || now - start < measure_ns; round++) {
        const uint64_t before = acre_os_now_ns();
        for (size_t i = 0; i < repeat; i++) run(buffer, size, round);
        now = acre_os_now_ns();
        if (now - before < best_ns) best_ns = now - before;
    }
    if (best_ns == 0) best_ns = 1;
    return measured((uint64_t)((double)bytes_a_pass * (double)repeat * 1e9 / (double)best_ns));
}

acre_figure measure_read(const void *buffer, size_t size) { return best_of(read_pass, (void *)(uintptr_t)buffer, size, size); }

acre_figure measure_write(void *buffer, size_t size) { return best_of(write_pass, buffer, size, size); }

acre_figure measure_copy(void *buffer, size_t size) { return best_of(copy_pass, buffer, size, size / 2); }

acre_figure measure_latency(void *buffer, size_t size)
{
    const size_t line_count = size / LINE_BYTES;
    const size_t words_a_line = LINE_BYTES / sizeof(uint64_t);
    uint64_t *const words = buffer;
    if (line_count < 2) return (acre_figure){0};
    /* What a line holds is the index of the next line's word itself, so that nothing but the read stands between two reads. */
    for (size_t i = 0; i < line_count; i++) words[i * words_a_line] = i * words_a_line;
    uint64_t random = 0x9e3779b97f4a7c15u;
    for (size_t i = line_count - 1; i > 0; i--) { /* Sattolo: one cycle through every line */
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const size_t other = (size_t)(random % i);
        const uint64_t swapped = words[i * words_a_line];
        words[i * words_a_line] = words[other * words_a_line];
        words[other * words_a_line] = swapped;
    }
    const uint64_t steps = 65536;
    uint64_t at = 0;
    /* What fits a cache is in it after once around; what does not fit need not be walked first. */
    for (size_t i = 0; i < line_count && i < WARM_LINES_MAX; i++) at = words[at];
    double best_ns = 1e18;
    const uint64_t start = acre_os_now_ns();
    for (unsigned round = 0; round < PASSES_MIN || acre_os_now_ns() - start < measure_ns; round++) {
        const uint64_t before = acre_os_now_ns();
        for (uint64_t i = 0; i < steps; i++) at = words[at];
        const double ns = (double)(acre_os_now_ns() - before) / (double)steps;
        if (ns < best_ns) best_ns = ns;
    }
    sink = at;
    return measured(best_ns < 1 ? 1 : (uint64_t)(best_ns + 0.5));
}
