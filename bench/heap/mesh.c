/* mesh.c - what is left of the memory of a million blocks when nine tenths of them, drawn at random, are freed: before and after
 * acre_heap_mesh. malloc has no such call, and holds all of it: compare --only idle.
 *
 *     mesh [BLOCKS]
 */
#include <acre/heap.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { BLOCK_COUNT = 1000000 };

static acre_space space;
static unsigned char **blocks;
static size_t *sizes;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 20;
}

static double memory_mib(void)
{
    struct stat status;
    return fstat(space.descriptor, &status) == 0 ? (double)status.st_blocks * 512 / (1 << 20) : 0;
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

int main(int argument_count, char **arguments)
{
    const size_t block_count = argument_count > 1 ? strtoul(arguments[1], NULL, 10) : BLOCK_COUNT;
    blocks = calloc(block_count, sizeof *blocks);
    sizes = calloc(block_count, sizeof *sizes);
    acre_heap *heap;
    if (blocks == NULL || sizes == NULL || acre_space_open_shared(&space, "mesh", (uint64_t)block_count * 1024 + (1 << 24)) != ACRE_OK ||
        acre_heap_create(&(acre_heap_options){.space = &space, .name = "mesh"}, &heap) != ACRE_OK) {
        fprintf(stderr, "mesh: %s\n", acre_last_error());
        return 1;
    }
    uint64_t random = 88172645463325252u;
    double live_bytes = 0;
    for (size_t i = 0; i < block_count; i++) {
        sizes[i] = 16 + next_random(&random) % 496;
        blocks[i] = acre_heap_alloc(heap, sizes[i]);
        if (blocks[i] == NULL) return 1;
        memset(blocks[i], (int)(i % 251), sizes[i]);
    }
    const double peak_mib = memory_mib();
    for (size_t i = 0; i < block_count; i++) {
        if (next_random(&random) % 10 != 0) {
            acre_heap_free(heap, blocks[i]);
            blocks[i] = NULL;
        } else {
            live_bytes += (double)sizes[i];
        }
    }
    acre_heap_flush(heap);
    (void)acre_heap_purge(heap, 0);
    const double freed_mib = memory_mib(), start_ms = now_ms();
    const acre_status status = acre_heap_mesh(heap, NULL);
    const double spent_ms = now_ms() - start_ms, meshed_mib = memory_mib();
    printf("%zu blocks of 16 to 511 bytes: %.1f MiB; nine tenths freed at random: %.1f MiB (%.0f %%), of it %.1f MiB in blocks\n",
           block_count, peak_mib, freed_mib, 100 * freed_mib / peak_mib, live_bytes / (1 << 20));
    printf("after acre_heap_mesh: %.1f MiB (%.0f %% of the peak) in %.0f ms%s%s\n", meshed_mib, 100 * meshed_mib / peak_mib, spent_ms,
           status == ACRE_OK ? "" : ": ", status == ACRE_OK ? "" : acre_last_error());
    for (size_t i = 0; i < block_count; i++) {
        for (size_t byte = 0; blocks[i] != NULL && byte < sizes[i]; byte++) {
            if (blocks[i][byte] == i % 251) continue;
            fprintf(stderr, "mesh: block %zu has changed at byte %zu\n", i, byte);
            return 1;
        }
        acre_heap_free(heap, blocks[i]);
    }
    acre_heap_destroy(heap);
    acre_space_close(&space);
    free(blocks);
    free(sizes);
    return 0;
}
