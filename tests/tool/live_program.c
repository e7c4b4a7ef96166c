/* live_program.c - what live.py looks at: it holds blocks whose number is known, and does what its standard input says.
 *
 *     live_program [busy]
 *
 * 1,000 blocks of 100 bytes, 3 of a mebibyte, two threads with 500 blocks of 200 bytes each; and, where libacre is to be had, a heap named
 * `it's "mine"\` with 10 blocks of 64 bytes. After "free" it has freed the 1,000. `busy`: three threads allocate and free all the time.
 */
#include <acre/heap.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma weak acre_heap_create
#pragma weak acre_heap_alloc

enum { SMALL_COUNT = 1000, LARGE_COUNT = 3, OWN_COUNT = 10, THREAD_COUNT = 2, THREAD_BLOCKS = 500, BUSY_SLOTS = 2000 };

/* Volatile, so that no block is left out because nobody looks at it. */
static void *volatile small[SMALL_COUNT], *volatile large[LARGE_COUNT], *volatile own[OWN_COUNT];
static void *volatile held[THREAD_COUNT][THREAD_BLOCKS];
static pthread_barrier_t are_made;

static void *hold(void *blocks)
{
    for (size_t i = 0; i < THREAD_BLOCKS; i++) ((void *volatile *)blocks)[i] = malloc(200);
    pthread_barrier_wait(&are_made);
    pthread_barrier_wait(&are_made); /* for ever */
    return NULL;
}

static void *work(void *context)
{
    size_t random = *(size_t *)context;
    void **const slots = calloc(BUSY_SLOTS, sizeof *slots);
    for (;;) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        void **const slot = &slots[(random >> 33) % BUSY_SLOTS];
        free(*slot);
        *slot = malloc(random >> 60 == 0 ? 100000 : (random >> 40) % 3000);
    }
    return NULL;
}

int main(int argument_count, char **arguments)
{
    pthread_t threads[3];
    size_t seeds[3] = {1, 2, 3};
    if (argument_count > 1 && strcmp(arguments[1], "busy") == 0) {
        for (size_t i = 0; i < 3; i++) pthread_create(&threads[i], NULL, work, &seeds[i]);
        puts("ready");
        fflush(stdout);
        pthread_join(threads[0], NULL);
    }
    for (size_t i = 0; i < SMALL_COUNT; i++) small[i] = malloc(100);
    for (size_t i = 0; i < LARGE_COUNT; i++) large[i] = malloc(1 << 20);
    pthread_barrier_init(&are_made, NULL, THREAD_COUNT + 1);
    for (size_t i = 0; i < THREAD_COUNT; i++) pthread_create(&threads[i], NULL, hold, (void *)held[i]);
    pthread_barrier_wait(&are_made);
    acre_heap *heap;
    if (acre_heap_create != NULL && acre_heap_create(&(acre_heap_options){.name = "it's \"mine\"\\"}, &heap) == ACRE_OK) {
        for (size_t i = 0; i < OWN_COUNT; i++) own[i] = acre_heap_alloc(heap, 64);
    }
    puts("ready");
    fflush(stdout);
    char line[32];
    while (fgets(line, sizeof line, stdin) != NULL) {
        for (size_t i = 0; i < SMALL_COUNT && strcmp(line, "free\n") == 0; i++) {
            free(small[i]);
            small[i] = NULL;
        }
        puts("done");
        fflush(stdout);
    }
    return 0;
}
