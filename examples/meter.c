/* meter.c - an allocator of the program's own is metered: two threads count, a reader adds up, a contract tells what was not kept. */
#include <acre/histogram.h>
#include <acre/meter.h>
#include <pthread.h>
#include <stdio.h>

enum { PACKET_BYTES = 1500, PACKET_COUNT = 1000 };

static acre_meter meter;

/* The nanoseconds are made up here; a program takes them from its clock. */
static void *serve(void *slowest_ns)
{
    static _Thread_local acre_meter_thread mine; /* a thread has one for each meter, and alone writes to it */
    if (acre_meter_join(&meter, &mine) != ACRE_OK) return NULL;
    for (uint64_t i = 1; i <= PACKET_COUNT; i++) {
        acre_meter_count_alloc(&mine, PACKET_BYTES, 40 + i % 20);
        acre_meter_count_free(&mine, PACKET_BYTES, 25);
    }
    acre_meter_count_alloc(&mine, PACKET_BYTES, *(const uint64_t *)slowest_ns); /* and is never freed */
    acre_meter_leave(&meter, &mine); /* what it counted stays counted */
    return NULL;
}

static void on_breach(void *context, const char *sentence)
{
    printf("broken: %s\n", sentence);
    ++*(int *)context;
}

int main(void)
{
    static acre_meter_figures figures;
    uint64_t slowest_ns[2] = {300, 5000};
    pthread_t threads[2];
    acre_meter_init(&meter, "packets");
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, serve, &slowest_ns[i]) != 0) return 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    acre_meter_set_committed(&meter, 64 * PACKET_BYTES);

    acre_meter_read(&meter, &figures);
    printf("%llu allocations: half took at most %llu ns, 999 in 1000 at most %llu, the slowest %llu; %llu bytes are live\n",
           (unsigned long long)figures.counts.alloc_count, (unsigned long long)acre_histogram_percentile(&figures.alloc_ns, 500000),
           (unsigned long long)acre_histogram_percentile(&figures.alloc_ns, 999000), (unsigned long long)figures.alloc_ns.max,
           (unsigned long long)figures.live_bytes);

    int broken_count = 0;
    const acre_contract contract = {
        .limits = ACRE_LIMIT_ALLOC_NS | ACRE_LIMIT_LEAK_COUNT | ACRE_LIMIT_LIVE_BYTES,
        .alloc_ns_max = 2000,
        .live_bytes_max = 1 << 20, /* the one that is kept; leak_count_max is 0 */
        .on_breach = on_breach,
        .context = &broken_count,
    };
    return acre_contract_check(&contract, &meter) == ACRE_BREACH && broken_count == 2 ? 0 : 1;
}
