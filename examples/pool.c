/* pool.c - packets from a pool: made by a signal handler (a firmware's interrupt handler), used by the main program. */
#include <acre/pool.h>
#include <signal.h>
#include <stdio.h>

typedef struct packet {
    int number;
    char text[60];
} packet;

ACRE_POOL_DEFINE(packets, packet, 4);

static packet *volatile arrived;
static volatile sig_atomic_t dropped_count;

/* An interrupt: takes a slot without waiting for anybody. */
static void on_interrupt(int number)
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
    if (signal(SIGINT, on_interrupt) == SIG_ERR) return 1;
    for (int i = 0; i < 4; i++) {
        if (raise(SIGINT) != 0 || arrived == NULL) return 1;
        kept[i] = arrived;
        arrived = NULL;
    }
    (void)raise(SIGINT); /* there is no slot left */

    if (acre_pool_free(&packets, kept[1]) != ACRE_OK) return 1;
    if (acre_pool_free(&packets, kept[1]) != ACRE_BAD_POINTER) return 1;        /* twice */
    if (acre_pool_free(&packets, &kept[2]->text) != ACRE_BAD_POINTER) return 1; /* not the beginning */

    acre_pool_figures figures;
    if (acre_pool_read_figures(&packets, &figures) != ACRE_OK) return 1;
    printf("%u of %u slots in use, at most %u; %d dropped, %u frees refused\n", (unsigned)figures.used, (unsigned)figures.count,
           (unsigned)figures.used_max, (int)dropped_count, (unsigned)figures.refused_count);
    return figures.used == 3 && figures.refused_count == 2 && dropped_count == 1 ? 0 : 1;
}
