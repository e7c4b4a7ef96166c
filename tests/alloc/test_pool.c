/* test_pool.c - pools against the simplest model, frees of what is no slot, slots under many threads. */
#include "support/test.h"

#include <acre/pool.h>
#include <acre/status.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

enum { STEP_COUNT = 200000, INJECTED_COUNT = 100000, THREAD_COUNT = 8, OPERATION_COUNT = 1000000, LARGEST = 4160 };

typedef struct bytes_3 {
    char bytes[3];
} bytes_3;
typedef struct bytes_40 {
    uint64_t words[5];
} bytes_40;
typedef struct aligned_64 {
    _Alignas(64) char bytes[100];
} aligned_64;

ACRE_POOL_DEFINE(single, uint64_t, 1);
ACRE_POOL_DEFINE(characters, char, 64);
ACRE_POOL_DEFINE(odd, bytes_3, 65);
ACRE_POOL_DEFINE(forties, bytes_40, 200);
ACRE_POOL_DEFINE(lines, aligned_64, 130);
ACRE_POOL_DEFINE(largest, uint32_t, LARGEST);

static acre_pool *const pools[] = {&single, &characters, &odd, &forties, &lines, &largest};
enum { POOL_COUNT = sizeof pools / sizeof *pools };

static acre_pool_figures figures_of(const acre_pool *pool)
{
    acre_pool_figures figures;
    assert_int_equal(acre_pool_read_figures(pool, &figures), ACRE_OK);
    return figures;
}

/* ---- the model: which slots are out, and which have been ---- */

typedef struct model {
    acre_pool *pool;
    acre_pool_figures start;
    char *base;
    bool is_out[LARGEST];
    bool is_known[LARGEST];
    uint32_t used, used_max;
} model;

static void model_open(model *m, acre_pool *pool)
{
    memset(m, 0, sizeof *m);
    m->pool = pool;
    m->start = figures_of(pool);
    m->base = (char *)pool->base;
    m->used_max = m->start.used_max;
    for (uint32_t i = 0; i < m->start.used_max; i++) m->is_known[i] = true;
    assert_int_equal(m->start.used, 0);
}

/* The lowest slot that has been out, else the lowest new one; the count when all are out. */
static uint32_t expected(const model *m)
{
    for (uint32_t i = 0; i < m->start.count; i++)
        if (m->is_known[i] && !m->is_out[i]) return i;
    for (uint32_t i = 0; i < m->start.count; i++)
        if (!m->is_known[i]) return i;
    return m->start.count;
}

static void alloc_one(model *m, bool tries)
{
    void *slot = m;
    const uint32_t index = expected(m);
    if (tries) {
        assert_int_equal(acre_pool_try(m->pool, &slot), index < m->start.count ? ACRE_OK : ACRE_NO_MEMORY);
    } else {
        slot = acre_pool_alloc(m->pool);
    }
    if (index == m->start.count) {
        assert_null(slot);
        return;
    }
    assert_ptr_equal(slot, m->base + index * m->start.slot_bytes);
    memset(slot, (int)index, m->start.slot_bytes); /* what a slot holds is nothing to the pool */
    m->is_out[index] = m->is_known[index] = true;
    if (++m->used > m->used_max) m->used_max = m->used;
}

static void free_one(model *m, uint32_t index)
{
    for (; !m->is_out[index]; index = (index + 1) % m->start.count) {}
    assert_int_equal(acre_pool_free(m->pool, m->base + index * m->start.slot_bytes), ACRE_OK);
    m->is_out[index] = false;
    m->used--;
}

static void compare(const model *m)
{
    const acre_pool_figures figures = figures_of(m->pool);
    uint32_t span = 0;
    for (uint32_t i = 0; i < m->start.count; i++) {
        acre_pool_slot slot;
        const size_t offset = i % m->start.slot_bytes;
        assert_int_equal(acre_pool_find(m->pool, m->base + i * m->start.slot_bytes + offset, &slot), ACRE_OK);
        assert_true(slot.index == i && slot.offset == offset && slot.is_out == m->is_out[i]);
        if (m->is_out[i]) span = i + 1;
    }
    assert_true(acre_pool_is_valid(m->pool));
    assert_int_equal(figures.used, m->used);
    assert_int_equal(figures.used_max, m->used_max);
    assert_int_equal(figures.span, span);
    assert_int_equal(figures.holes, span - m->used);
}

static void a_pool_behaves_like_the_model(void **state)
{
    (void)state;
    static model m;
    uint64_t random = 7;
    for (size_t p = 0; p < POOL_COUNT; p++) {
        model_open(&m, pools[p]);
        uint32_t target = m.start.count / 2;
        const int step_count = p + 1 == POOL_COUNT ? STEP_COUNT / 10 : STEP_COUNT; /* the model's search is slow */
        for (int step = 0; step < step_count; step++) {
            const uint64_t number = next_random(&random);
            if (step % 1000 == 0) {
                target = (uint32_t)(number >> 20) % (m.start.count + 2);
                compare(&m);
            }
            if (m.used == 0 || number % 100 < (m.used < target ? 70u : 30u)) alloc_one(&m, number % 7 == 0);
            else free_one(&m, (uint32_t)(number >> 32) % m.start.count);
        }
        while (m.used < m.start.count) alloc_one(&m, false);
        alloc_one(&m, true);
        alloc_one(&m, false);
        compare(&m);
        while (m.used > 0) free_one(&m, (uint32_t)(next_random(&random) >> 32) % m.start.count);
        compare(&m);
    }
}

static void a_free_of_what_is_no_slot_in_use_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static model m;
    uint64_t random = 11;
    char on_the_stack = 0;
    for (size_t p = 0; p < POOL_COUNT; p++) {
        model_open(&m, pools[p]);
        const uint32_t out_count = m.start.count / 2 + 1;
        while (m.used < out_count) alloc_one(&m, false);
        if (m.used > 3) free_one(&m, m.used / 2); /* and a hole */
        const uint64_t sum_before = m.pool->summary ^ m.pool->first;
        uint32_t refused = 0;
        for (uint32_t i = 0; i < INJECTED_COUNT; i++) {
            const uint64_t number = next_random(&random);
            const uint32_t index = (uint32_t)(number >> 32) % m.start.count;
            const size_t bytes = m.start.slot_bytes;
            char *bad = NULL;
            switch (number % 8) {
            case 0: bad = (char *)(uintptr_t)next_random(&random); break;                        /* anywhere */
            case 1: bad = m.base + index * bytes + 1 + (number >> 8) % (bytes + 1); break;       /* inside, or the next */
            case 2: bad = m.base - 1 - (number >> 8) % 1000; break;                              /* in front */
            case 3: bad = m.base + (m.start.count + (number >> 8) % 1000) * bytes; break;        /* behind, in step with it */
            case 4: bad = &on_the_stack; break;
            case 5: bad = (char *)pools[(p + 1) % POOL_COUNT]->base; break;                      /* a slot of another pool */
            default: bad = m.base + index * bytes; break;                                        /* a slot, if it is not out */
            }
            const uintptr_t distance = (uintptr_t)bad - (uintptr_t)m.base;
            if (distance % bytes == 0 && distance / bytes < m.start.count && m.is_out[distance / bytes]) continue;
            if (bad == NULL) continue;
            assert_int_equal(acre_pool_free(m.pool, bad), ACRE_BAD_POINTER);
            refused++;
        }
        assert_true(refused > INJECTED_COUNT / 3);
        assert_int_equal(figures_of(m.pool).refused_count - m.start.refused_count, refused);
        assert_int_equal(m.pool->summary ^ m.pool->first, sum_before);
        compare(&m);
        while (m.used > 0) {
            const uint32_t index = (uint32_t)(next_random(&random) >> 32) % m.start.count;
            if (!m.is_out[index]) continue;
            free_one(&m, index);
            assert_int_equal(acre_pool_free(m.pool, m.base + index * m.start.slot_bytes), ACRE_BAD_POINTER); /* twice */
        }
    }
}

static void null_is_ignored_and_bad_arguments_are_refused(void **state)
{
    (void)state;
    acre_pool_figures figures;
    acre_pool_slot slot;
    const uint32_t refused = figures_of(&forties).refused_count;
    assert_int_equal(acre_pool_free(&forties, NULL), ACRE_OK);
    assert_int_equal(figures_of(&forties).refused_count, refused);
    assert_int_equal(acre_pool_read_figures(NULL, &figures), ACRE_INVALID);
    assert_int_equal(acre_pool_read_figures(&forties, NULL), ACRE_INVALID);
    assert_int_equal(acre_pool_find(NULL, &forties, &slot), ACRE_INVALID);
    assert_int_equal(acre_pool_find(&forties, (void *)forties.base, NULL), ACRE_INVALID);
    assert_int_equal(acre_pool_find(&forties, (char *)forties.base - 1, &slot), ACRE_BAD_POINTER);
    assert_non_null(strstr(acre_last_error(), "pool 'forties': 0x"));
    assert_int_equal(acre_pool_find(&forties, (char *)forties.base + 200 * sizeof(bytes_40), &slot), ACRE_BAD_POINTER);
}

static void a_pool_that_is_full_says_so_and_counts_it(void **state)
{
    (void)state;
    void *slot = acre_pool_alloc(&single);
    void *none = slot;
    assert_non_null(slot);
    const uint32_t failed = figures_of(&single).failed_count;
    assert_null(acre_pool_alloc(&single));
    assert_int_equal(acre_pool_try(&single, &none), ACRE_NO_MEMORY);
    assert_null(none);
    assert_int_equal(figures_of(&single).failed_count, failed + 2);
    assert_int_equal(acre_pool_free(&single, slot), ACRE_OK);
}

static void damage_is_seen_by_is_valid(void **state)
{
    (void)state;
    acre_pool_word words[4] = {0};
    acre_pool whole = forties;
    whole.words = words;
    whole.first = 0;
    whole.summary = 0;
    whole.handed_out[0] = ACRE_POOL_WORD_BITS;
    whole.handed_out[1] = 70;
    assert_true(acre_pool_is_valid(&whole));
    acre_pool broken = whole;
    broken.handed_out[0]--; /* far ones before all near ones */
    assert_false(acre_pool_is_valid(&broken));
    broken = whole;
    broken.handed_out[1] = 1000;
    assert_false(acre_pool_is_valid(&broken));
    broken = whole;
    broken.inverse += 2;
    assert_false(acre_pool_is_valid(&broken));
    broken = whole;
    broken.summary = 1; /* a word that is not there */
    assert_false(acre_pool_is_valid(&broken));
    words[0] = 1; /* a free slot that the summary does not know */
    assert_false(acre_pool_is_valid(&whole));
    words[0] = 0;
    words[1] = 1; /* a slot that was never handed out is free */
    whole.summary = ~(acre_pool_word)0 << (ACRE_POOL_WORD_BITS - 2);
    assert_false(acre_pool_is_valid(&whole));
    words[1] = ~(acre_pool_word)0 << (ACRE_POOL_WORD_BITS - 6);
    assert_true(acre_pool_is_valid(&whole));
}

static void the_compiler_finds_the_inverse_of_every_size(void **state)
{
    (void)state;
    for (acre_pool_word size = 1; size <= 1 << 20; size++) {
        const acre_pool_word shift = ACRE_POOL_SHIFT(ACRE_POOL_EVEN(size));
        assert_int_equal((size >> shift) % 2, 1);
        assert_int_equal(ACRE_POOL_ODD(size), size >> shift);
        assert_int_equal(ACRE_POOL_INVERSE(ACRE_POOL_ODD(size)) * (size >> shift), 1);
    }
}

/* ---- threads ---- */

typedef struct owned {
    uint64_t owner; /* 0: nobody */
    uint64_t number;
} owned;

ACRE_POOL_DEFINE(shared, owned, 200);
enum { HELD_MAX = 16 };

typedef struct worker {
    uint64_t id, random;
    uint64_t alloc_count, full_count, trouble;
} worker;

static void *use_shared(void *argument)
{
    worker *const w = argument;
    owned *held[HELD_MAX];
    unsigned count = 0;
    for (uint64_t i = 0; i < OPERATION_COUNT; i++) {
        const uint64_t number = next_random(&w->random);
        if (count < HELD_MAX && (count == 0 || number % 2 == 0)) {
            void *slot = NULL;
            if (number % 8 == 0) (void)!acre_pool_try(&shared, &slot);
            else slot = acre_pool_alloc(&shared);
            owned *const got = slot;
            if (got == NULL) {
                w->full_count += number % 8 != 0;
                continue;
            }
            w->trouble += got->owner != 0;
            got->owner = w->id;
            got->number = i;
            held[count++] = got;
            w->alloc_count++;
        } else {
            owned *const gone = held[--count];
            w->trouble += gone->owner != w->id;
            gone->owner = 0;
            w->trouble += acre_pool_free(&shared, gone) != ACRE_OK;
            if (number % 64 == 0 && (number >> 8) % 2 == 0) w->trouble += acre_pool_free(&shared, (char *)gone + 8) != ACRE_BAD_POINTER;
        }
    }
    while (count > 0) {
        held[--count]->owner = 0;
        w->trouble += acre_pool_free(&shared, held[count]) != ACRE_OK;
    }
    return NULL;
}

static void slots_under_eight_threads_are_neither_lost_nor_doubled(void **state)
{
    (void)state;
    pthread_t threads[THREAD_COUNT];
    worker workers[THREAD_COUNT];
    for (uint64_t i = 0; i < THREAD_COUNT; i++) {
        workers[i] = (worker){.id = i + 1, .random = 0x1234567 * (i + 1)};
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared, &workers[i]), 0);
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].trouble, 0);
        assert_int_equal(workers[i].full_count, 0); /* there are more slots than all can hold */
        assert_true(workers[i].alloc_count > OPERATION_COUNT / 4);
    }
    const acre_pool_figures figures = figures_of(&shared);
    assert_true(acre_pool_is_valid(&shared));
    assert_int_equal(figures.used, 0);
    assert_true(figures.used_max <= 200);
    void *slots[200];
    for (int i = 0; i < 200; i++) { /* all of them are there */
        slots[i] = acre_pool_alloc(&shared);
        assert_non_null(slots[i]);
        assert_int_equal(((owned *)slots[i])->owner, 0);
    }
    assert_null(acre_pool_alloc(&shared));
    for (int i = 0; i < 200; i++) assert_int_equal(acre_pool_free(&shared, slots[i]), ACRE_OK);
}

/* ---- a signal handler, which is to a thread what an interrupt handler is to a main program ---- */

ACRE_POOL_DEFINE(signalled, owned, 100);
static owned *volatile held_by_handler;
static volatile sig_atomic_t handled_count, handler_trouble;

static void handle(int number)
{
    (void)number;
    handled_count++;
    owned *const slot = held_by_handler;
    if (slot != NULL) {
        if (slot->owner != 2) handler_trouble = 1;
        slot->owner = 0;
        if (acre_pool_free(&signalled, slot) != ACRE_OK) handler_trouble = 1;
        held_by_handler = NULL;
    } else {
        void *got;
        if (acre_pool_try(&signalled, &got) != ACRE_OK) return;
        held_by_handler = got;
        if (held_by_handler->owner != 0) handler_trouble = 1;
        held_by_handler->owner = 2;
    }
}

static void a_signal_handler_may_use_the_pool_of_what_it_interrupts(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = handle};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &(struct itimerval){.it_interval = {0, 100}, .it_value = {0, 100}}, NULL), 0);
    owned *held[90];
    for (int round = 0; round < 1000000 && handled_count < 1000; round++) {
        for (int i = 0; i < 90; i++) {
            held[i] = acre_pool_alloc(&signalled);
            assert_non_null(held[i]);
            assert_int_equal(held[i]->owner, 0);
            held[i]->owner = 1;
        }
        for (int i = 90; i-- > 0;) {
            held[i]->owner = 0;
            assert_int_equal(acre_pool_free(&signalled, held[i]), ACRE_OK);
        }
    }
    assert_int_equal(setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 0}}, NULL), 0);
    assert_true(handled_count >= 1000);
    assert_int_equal(handler_trouble, 0);
    if (held_by_handler != NULL) assert_int_equal(acre_pool_free(&signalled, held_by_handler), ACRE_OK);
    assert_int_equal(figures_of(&signalled).used, 0);
    assert_true(acre_pool_is_valid(&signalled));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_behaves_like_the_model),
        cmocka_unit_test(a_free_of_what_is_no_slot_in_use_is_refused_and_changes_nothing),
        cmocka_unit_test(null_is_ignored_and_bad_arguments_are_refused),
        cmocka_unit_test(a_pool_that_is_full_says_so_and_counts_it),
        cmocka_unit_test(damage_is_seen_by_is_valid),
        cmocka_unit_test(the_compiler_finds_the_inverse_of_every_size),
        cmocka_unit_test(slots_under_eight_threads_are_neither_lost_nor_doubled),
        cmocka_unit_test(a_signal_handler_may_use_the_pool_of_what_it_interrupts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
