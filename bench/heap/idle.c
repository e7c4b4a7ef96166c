/* idle.c - what a program holds of the memory that it has freed, while it says nothing: bench/heap/compare runs it on each allocator.
 *
 *     idle PATTERN [BLOCKS]
 *
 * allocates blocks of 16 to 511 bytes, a million of them if nothing else is said, and frees them by the pattern:
 *
 *     all      every block
 *     runs     nine tenths: of each ten runs of 4,096 blocks in the order of their making, one stays
 *     random   nine tenths, each block with the same chance
 *
 * then sleeps three seconds, makes and frees 20,000 small blocks, and prints resident KiB: at the peak, after the sleep, at the end.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_COUNT = 1000000, RUN_BLOCKS = 4096, SMALL_COUNT = 20000 };

static long resident_kib(void)
{
    char text[4096];
    const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (length <= 0) return 0;
    text[length] = 0;
    const char *const at = strstr(text, "VmRSS:");
    return at == NULL ? 0 : strtol(at + 6, NULL, 10);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void *must_alloc(size_t size)
{
    void *const block = malloc(size);
    if (block == NULL) abort();
    return block;
}

static int stays(const char *pattern, size_t index, uint64_t random)
{
    if (strcmp(pattern, "runs") == 0) return index / RUN_BLOCKS % 10 == 0;
    return strcmp(pattern, "random") == 0 && (random >> 20) % 10 == 0;
}

int main(int argument_count, char **arguments)
{
    const char *const pattern = argument_count > 1 ? arguments[1] : "";
    const size_t block_count = argument_count > 2 ? strtoul(arguments[2], NULL, 10) : BLOCK_COUNT;
    if (argument_count > 3 || block_count == 0 ||
        (strcmp(pattern, "all") != 0 && strcmp(pattern, "runs") != 0 && strcmp(pattern, "random") != 0)) {
        fputs("usage: idle all|runs|random [BLOCKS]\n", stderr);
        return 2;
    }
    char **const blocks = must_alloc(block_count * sizeof *blocks);
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < block_count; i++) {
        const size_t size = 16 + (next_random(&random) >> 20) % 496;
        blocks[i] = must_alloc(size);
        memset(blocks[i], (int)i, size);
    }
    const long peak_kib = resident_kib();
    for (size_t i = 0; i < block_count; i++) {
        if (stays(pattern, i, next_random(&random))) continue;
        free(blocks[i]);
        blocks[i] = NULL;
    }
    nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
    const long idle_kib = resident_kib();
    for (size_t i = 0; i < SMALL_COUNT; i++) {
        void *const block = malloc(16 + i % 64);
        __asm__ volatile("" : : "g"(block) : "memory");
        free(block);
    }
    printf("%ld %ld %ld\n", peak_kib, idle_kib, resident_kib());
    for (size_t i = 0; i < block_count; i++) free(blocks[i]);
    free(blocks);
    return 0;
}
