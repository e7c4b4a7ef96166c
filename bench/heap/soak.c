/* soak.c - a program whose habits change, for a long time: what it holds at the end of each phase, over what it uses.
 *
 *     soak SECONDS [PHASE_SECONDS]
 *
 * Each phase (5 s) draws what is allocated anew: a range of sizes between 64 bytes and 16 KiB, how much is live (32 to 256 MiB), and
 * whether old blocks or any blocks are replaced. It begins by freeing or making blocks until that much is live, replaces blocks until
 * its time is over, and then the program sleeps half a second. At the end of each phase a line is printed: live and resident KiB, and their
 * ratio; at the end of all the geometric mean and the largest. Blocks are written to, and their contents checked when they are freed. The
 * table of blocks is not from the heap, and does not count.
 */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_COUNT_MAX = 8 * 1024 * 1024 };

typedef struct block {
    unsigned char *bytes;
    size_t size;
} block;

static block *blocks; /* a ring when the oldest go first */
static size_t block_count;
static size_t live_bytes;
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 11;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double resident_kib(void)
{
    char text[4096];
    const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (length <= 0) return 0;
    text[length] = 0;
    const char *const at = strstr(text, "VmRSS:");
    return at == NULL ? 0 : strtod(at + 6, NULL);
}

static unsigned char mark_of(const block *b) { return (unsigned char)((uintptr_t)b->bytes >> 4 ^ b->size); }

static void make(block *b, size_t size)
{
    *b = (block){.bytes = malloc(size), .size = size};
    if (b->bytes == NULL) abort();
    memset(b->bytes, mark_of(b), size);
    live_bytes += size;
}

static void unmake(block *b)
{
    const unsigned char mark = mark_of(b);
    if (b->bytes[0] != mark || b->bytes[b->size / 2] != mark || b->bytes[b->size - 1] != mark) {
        fprintf(stderr, "soak: the contents of a block of %zu bytes have changed\n", b->size);
        abort();
    }
    live_bytes -= b->size;
    free(b->bytes);
}

int main(int argument_count, char **arguments)
{
    const double seconds = argument_count > 1 ? strtod(arguments[1], NULL) : 0;
    const double phase_seconds = argument_count > 2 ? strtod(arguments[2], NULL) : 5;
    if (argument_count > 3 || seconds <= 0 || phase_seconds <= 0) {
        fputs("usage: soak SECONDS [PHASE_SECONDS]\n", stderr);
        return 2;
    }
    blocks = mmap(NULL, BLOCK_COUNT_MAX * sizeof *blocks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (blocks == MAP_FAILED) return 1;
    memset(blocks, 1, BLOCK_COUNT_MAX * sizeof *blocks); /* resident from the start: not counted */
    const double base_kib = resident_kib(), end_s = now_s() + seconds;
    double log_sum = 0, largest = 0;
    int phase_count = 0;
    while (now_s() < end_s) {
        const size_t size_min = (size_t)64 << next_random() % 5;
        const size_t size_max = size_min << (1 + next_random() % 4);
        const size_t live_target = ((size_t)32 << next_random() % 4) * 1024 * 1024;
        const int by_age = next_random() % 2 == 0;
        const double phase_end_s = now_s() + phase_seconds;
        size_t oldest = 0;
        for (size_t step = 0; step % 256 != 0 || now_s() < phase_end_s; step++) {
            const size_t size = size_min + next_random() % (size_max - size_min);
            if (live_bytes > live_target + size_max) {
                const size_t at = next_random() % block_count;
                unmake(&blocks[at]);
                blocks[at] = blocks[--block_count];
            } else if (live_bytes < live_target && block_count < BLOCK_COUNT_MAX) {
                make(&blocks[block_count++], size);
            } else {
                const size_t at = by_age ? oldest++ % block_count : next_random() % block_count;
                unmake(&blocks[at]);
                make(&blocks[at], size);
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 500 * 1000 * 1000}, NULL);
        const double live_kib = (double)live_bytes / 1024;
        const double ratio = (resident_kib() - base_kib) / live_kib;
        log_sum += log(ratio);
        phase_count++;
        if (ratio > largest) largest = ratio;
        printf("phase %d: sizes %zu to %zu, %s: live %.0f KiB, resident %.0f KiB, ratio %.3f\n", phase_count, size_min, size_max,
               by_age ? "oldest first" : "any first", live_kib, resident_kib() - base_kib, ratio);
        fflush(stdout);
    }
    printf("%d phases: geometric mean %.3f, largest %.3f\n", phase_count, exp(log_sum / phase_count), largest);
    return 0;
}
