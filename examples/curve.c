/* How large should a cache be? A live miss-ratio curve tells while the cache runs, whatever its size is. */
#include <acre/curve.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    const acre_curve_options options = {.keys_max = 4096, .share = 100};
    const size_t bytes = acre_curve_bytes(&options);
    void *const memory = malloc(bytes);
    acre_curve *curve;
    if (memory == NULL || acre_curve_init(&curve, &options, memory, bytes) != ACRE_OK) return 1;

    /* A program that mostly uses 1,000 things, and now and then goes through 20,000. */
    uint64_t random = 1;
    for (uint64_t i = 0; i < 400000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        acre_curve_access(curve, i % 5 == 0 ? 1000 + i / 5 % 20000 : (random >> 33) % 1000);
    }

    const uint64_t sizes[] = {250, 500, 1000, 2000, 10000, 30000};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    uint32_t misses[COUNT];
    if (acre_curve_read(curve, sizes, misses, COUNT) != ACRE_OK) {
        puts(acre_last_error());
        return 1;
    }
    for (size_t i = 0; i < COUNT; i++)
        printf("%6llu entries: %4.1f%% of the requests miss\n", (unsigned long long)sizes[i], misses[i] / 1e4);
    free(memory);
    return 0;
}
