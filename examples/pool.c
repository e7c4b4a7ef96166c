/* pool.c - packets from a pool: made by an interrupt handler, used by the main program. */
#include <acre/pool.h>
#include <stdio.h>

typedef struct packet {
    int number;
    char text[60];
} packet;

ACRE_POOL_DEFINE(packets, packet, 4);

static packet *volatile arrived;
static volatile int dropped_count;

/* What the hardware calls in a firmware, at any time; here main does. It takes a slot without waiting for anybody. */
static void receive(int number)
{
    void *slot;
    if (arrived != NULL || acre_pool_try(&packets, &slot) != ACRE_OK) {
        dropped_count++;
        return;
    }
    packet *const p = slot;
    p->number = number;
    arrived = p;
}

int main(void)
{
    packet *kept[4];
    for (int i = 0; i < 4; i++) {
        receive(i);
        if (arrived == NULL) return 1;
        kept[i] = arrived;
        arrived = NULL;
    }
    receive(4); /* there is no slot left */

    if (acre_pool_free(&packets, kept[1]) != ACRE_OK) return 1;
    if (acre_pool_free(&packets, kept[1]) != ACRE_BAD_POINTER) return 1;        /* twice */
    if (acre_pool_free(&packets, &kept[2]->text) != ACRE_BAD_POINTER) return 1; /* not the beginning */

    acre_pool_figures figures;
    if (acre_pool_read_figures(&packets, &figures) != ACRE_OK) return 1;
    printf("%u of %u slots in use, at most %u; %d dropped, %u frees refused\n", (unsigned)figures.used, (unsigned)figures.count,
           (unsigned)figures.used_max, dropped_count, (unsigned)figures.refused_count);
    return figures.used == 3 && figures.refused_count == 2 && dropped_count == 1 ? 0 : 1;
}
