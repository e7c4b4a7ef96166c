/* realtime.c - a heap for firmware in an array: how much is enough, what a free refuses, and whether it is still proved. */
#include <acre/realtime.h>
#include <stdio.h>

static uint64_t bytes[2048];

/* Set up by the first request: nothing to call before. */
ACRE_STATIC_ARENA(messages, 4096, ACRE_REALTIME_FAST);

int main(void)
{
    acre_realtime heap;
    acre_realtime_figures figures;
    /* A program with at most 20 frames of up to 100 bytes in use at one time. */
    const size_t frame_bytes = acre_realtime_block_bytes(ACRE_REALTIME_TIGHT, 100);
    const size_t need = acre_realtime_bound(ACRE_REALTIME_TIGHT, 20 * frame_bytes, frame_bytes);
    printf("20 frames take %zu bytes, and with %zu no order of allocs and frees can fail\n", 20 * frame_bytes, need);
    if (need > sizeof bytes) return 1;
    if (acre_realtime_init(&heap, &(acre_realtime_options){.name = "frames", .engine = ACRE_REALTIME_TIGHT}, bytes, need) != ACRE_OK)
        return 1;

    void *frames[20];
    for (int i = 0; i < 20; i++) frames[i] = acre_realtime_alloc(&heap, 100);
    for (int i = 0; i < 20; i += 2) {
        if (acre_realtime_free(&heap, frames[i]) != ACRE_OK) return 1;
    }
    printf("freed twice: %s\n", acre_status_text(acre_realtime_free(&heap, frames[0])));
    ((char *)frames[3])[-1] ^= 1; /* an overrun of the block before would do that */
    printf("header overwritten: %s\n", acre_status_text(acre_realtime_free(&heap, frames[3])));
    ((char *)frames[3])[-1] ^= 1;

    acre_realtime_read_figures(&heap, &figures);
    printf("%zu bytes in use, %zu at the peak; the largest of %zu free bytes are %zu: fragmentation %u per mille\n", figures.live_bytes,
           figures.live_bytes_peak, figures.free_bytes, figures.largest_bytes, (unsigned)figures.fragmentation_per_mille);
    printf("enough for every program like that: %s\n", figures.is_proved ? "yes" : "no");
    void *const large = acre_realtime_alloc(&heap, 2000);
    printf("and with a block of 2000 bytes: %s\n", acre_realtime_is_proved(&heap) ? "yes" : "no");

    char *const text = acre_realtime_alloc(&messages, 30);
    return large != NULL && text != NULL && acre_realtime_free(&messages, text) == ACRE_OK ? 0 : 1;
}
