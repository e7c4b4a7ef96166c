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

/* As much as one instruction reads; the compiler makes several of it where the machine has no such wide ones. */
typedef uint64_t vector __attribute__((vector_size(32)));

typedef void pass(void *buffer, size_t size, uint64_t round);

static void read_pass(void *buffer, size_t size, uint64_t round)
{
    (void)round;
    const vector *const vectors = buffer;
    vector a = {0}, b = {0}, c = {0}, d = {0}; /* independent, so that additions do not wait for one another */
    for (size_t i = 0; i + 4 <= size / sizeof *vectors; i += 4) {
        a += vectors[i];
        b += vectors[i + 1];
        c += vectors[i + 2];
        d += vectors[i + 3];
    }
    a += b + c + d;
    sink = a[0] + a[1] + a[2] + a[3];
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
    for (size_t i = 0; i < line_count; i++) words[i * words_a_line] = i;
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
    for (size_t i = 0; i < line_count && i < WARM_LINES_MAX; i++) at = words[at * words_a_line];
    double best_ns = 1e18;
    const uint64_t start = acre_os_now_ns();
    for (unsigned round = 0; round < PASSES_MIN || acre_os_now_ns() - start < measure_ns; round++) {
        const uint64_t before = acre_os_now_ns();
        for (uint64_t i = 0; i < steps; i++) at = words[at * words_a_line];
        const double ns = (double)(acre_os_now_ns() - before) / (double)steps;
        if (ns < best_ns) best_ns = ns;
    }
    sink = at;
    return measured(best_ns < 1 ? 1 : (uint64_t)(best_ns + 0.5));
}
