/* spans.c - how far adversaries drive a heap: the span in parts of M = 64 KiB, with blocks of at most 4 KiB (tests/support/adversary.h).
 * Regions of acre may have 32 MiB in this program, since the spans of others need room to be seen. */
#include "heaps.h"
#include "support/adversary.h"

#include <stdio.h>

enum { ARENA_BYTES = (32 << 20) - (1 << 10) };

int main(void)
{
    printf("span / M under adversaries, M = %d, n = %d\n%-14s%16s%12s\n", ADVERSARY_LIVE_BYTES, ADVERSARY_REQUEST_BYTES, "",
           "pin remainder", "doubling");
    for (size_t k = 0; k < HEAP_COUNT; k++) {
        any_heap *const h = &heaps[k];
        if (h->engine == ACRE_REALTIME_BEST) continue; /* its search is linear: hours */
        if (!heap_open(h, ARENA_BYTES)) return 1;
        unsigned char *const first = heap_alloc(h, 1);
        heap_free(h, first);
        adversary a = {.alloc = heap_alloc, .free = heap_free, .heap = h, .base = first - h->header_bytes, .header_bytes = h->header_bytes};
        size_t pin_span = 0;
        bool has_failed = false;
        for (size_t hole = 3396; hole <= 4032; hole += 24) {
            for (size_t pin = 8; pin <= 24; pin += 4) {
                const size_t span = adversary_pin_remainder(&a, hole, pin);
                if (span > pin_span) pin_span = span;
                has_failed = has_failed || a.has_failed;
            }
        }
        printf("%-14s%15.2f%s", h->name, (double)pin_span / ADVERSARY_LIVE_BYTES, has_failed ? "+" : " ");
        const size_t span = adversary_doubling(&a);
        printf("%12.2f%s\n", (double)span / ADVERSARY_LIVE_BYTES, a.has_failed ? "+" : "");
        heap_close(h);
    }
    puts("+: and then there was no room in 32 MiB");
    return 0;
}
