/* prefetch.c - three readers of one file at a time: what each will read next is predicted, and what is read at random is not. */
#include <acre/prefetch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    size_t bytes = acre_prefetch_bytes(NULL);
    void *memory = malloc(bytes);
    acre_prefetcher *prefetcher;
    if (memory == NULL || acre_prefetch_init(&prefetcher, NULL, memory, bytes) != ACRE_OK) {
        fprintf(stderr, "%s\n", acre_last_error());
        return 1;
    }
    uint64_t keys[16], random = 1, asked_count = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t pages[] = {i, 500000 + i, 900000 - 8 * i, random >> 40}; /* two sequences, a stride of -8, no pattern */
        for (uint32_t reader = 0; reader < 4; reader++)
            asked_count += acre_prefetch_access(prefetcher, pages[reader], reader, true, keys, 16);
    }
    acre_prefetch_figures sequence, stride;
    acre_prefetch_read_figures(prefetcher, ACRE_PREFETCH_SEQUENCE, &sequence);
    acre_prefetch_read_figures(prefetcher, ACRE_PREFETCH_STRIDE, &stride);
    printf("%" PRIu64 " pages ahead of 40000 accesses: %" PRIu64 " of %" PRIu64 " in sequences and %" PRIu64 " of %" PRIu64
           " along strides were used\n",
           asked_count, sequence.useful_count, sequence.issued_count, stride.useful_count, stride.issued_count);
    free(memory);
    return 0;
}
