/* plain_policies.c - see plain_policies.h. */
#include "plain_policies.h"

#include <stdlib.h>

/* Queues of objects; an object is in one of them at most. Numbers from object_count on are the queues' own places. */
typedef struct queues {
    uint32_t *before, *after, *in; /* in: the queue + 1, 0: none */
    uint32_t lengths[4], object_count;
} queues;

static void queues_begin(queues *q, uint32_t object_count)
{
    *q = (queues){.object_count = object_count};
    q->before = calloc((size_t)object_count + 4, sizeof(uint32_t));
    q->after = calloc((size_t)object_count + 4, sizeof(uint32_t));
    q->in = calloc((size_t)object_count + 4, sizeof(uint32_t));
    if (q->before == NULL || q->after == NULL || q->in == NULL) abort();
    for (uint32_t i = object_count; i < object_count + 4; i++) q->before[i] = q->after[i] = i;
}

static void queues_end(queues *q)
{
    free(q->before);
    free(q->after);
    free(q->in);
}

static uint32_t oldest(const queues *q, unsigned queue) { return q->after[q->object_count + queue]; }

static void take_out(queues *q, uint32_t object)
{
    q->lengths[q->in[object] - 1]--;
    q->in[object] = 0;
    q->after[q->before[object]] = q->after[object];
    q->before[q->after[object]] = q->before[object];
}

static void put_last(queues *q, unsigned queue, uint32_t object)
{
    const uint32_t end = q->object_count + queue;
    q->lengths[queue]++;
    q->in[object] = queue + 1;
    q->before[object] = q->before[end];
    q->after[object] = end;
    q->after[q->before[end]] = object;
    q->before[end] = object;
}

static void move(queues *q, unsigned queue, uint32_t object)
{
    take_out(q, object);
    put_last(q, queue, object);
}

/* ---- CAR: Bansal and Modha 2004, figure 2, line by line ---- */

enum { T1, T2, B1, B2 };

static void replace(queues *q, unsigned char *was_used, double p)
{
    for (;;) {
        const unsigned clock = q->lengths[T1] >= (p > 1 ? p : 1) ? T1 : T2;
        const uint32_t head = oldest(q, clock);
        if (!was_used[head]) {
            move(q, clock == T1 ? B1 : B2, head);
            return;
        }
        was_used[head] = 0;
        move(q, T2, head);
    }
}

static double larger(double a, double b) { return a > b ? a : b; }

uint32_t plain_car_misses(const uint32_t *objects, size_t count, uint32_t object_count, uint32_t capacity)
{
    queues q;
    unsigned char *const was_used = calloc(object_count, 1);
    double p = 0;
    uint32_t misses = 0;
    if (was_used == NULL) abort();
    queues_begin(&q, object_count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t x = objects[i], in = q.in[x];
        if (in == T1 + 1 || in == T2 + 1) {
            was_used[x] = 1;
            continue;
        }
        misses++;
        if (q.lengths[T1] + q.lengths[T2] == capacity) {
            replace(&q, was_used, p);
            if (in == 0 && q.lengths[T1] + q.lengths[B1] == capacity)
                take_out(&q, oldest(&q, B1));
            else if (in == 0 && q.lengths[T1] + q.lengths[T2] + q.lengths[B1] + q.lengths[B2] == 2 * capacity)
                take_out(&q, oldest(&q, B2));
        }
        const double b1 = q.lengths[B1], b2 = q.lengths[B2];
        if (in == B1 + 1) p = p + larger(1, b2 / b1) < capacity ? p + larger(1, b2 / b1) : capacity;
        if (in == B2 + 1) p = larger(p - larger(1, b1 / b2), 0);
        if (in == 0)
            put_last(&q, T1, x);
        else
            move(&q, T2, x);
        was_used[x] = 0;
    }
    queues_end(&q);
    free(was_used);
    return misses;
}

/* ---- W-TinyLFU: Einziger, Friedman, Manes 2017 ---- */

enum { WINDOW, PROBATION, PROTECTED };

uint32_t plain_w_tinylfu_misses(const uint32_t *objects, size_t count, uint32_t object_count, uint32_t capacity)
{
    queues q;
    unsigned char *const uses = calloc(object_count, 1);
    const uint32_t window_max = capacity < 200 ? 1 : capacity / 100, protected_max = (capacity - window_max) * 4 / 5;
    uint64_t use_count = 0;
    uint32_t misses = 0;
    if (uses == NULL) abort();
    queues_begin(&q, object_count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t x = objects[i], in = q.in[x];
        if (uses[x] < 15) uses[x]++;
        if (++use_count == (uint64_t)10 * capacity) {
            for (uint32_t k = 0; k < object_count; k++) uses[k] /= 2;
            use_count /= 2;
        }
        if (in == WINDOW + 1) move(&q, WINDOW, x);
        if (in == PROBATION + 1 || in == PROTECTED + 1) move(&q, PROTECTED, x);
        if (q.lengths[PROTECTED] > protected_max) move(&q, PROBATION, oldest(&q, PROTECTED));
        if (in != 0) continue;
        misses++;
        put_last(&q, WINDOW, x);
        if (q.lengths[WINDOW] <= window_max) continue;
        const uint32_t candidate = oldest(&q, WINDOW);
        if (q.lengths[WINDOW] + q.lengths[PROBATION] + q.lengths[PROTECTED] <= capacity) {
            move(&q, PROBATION, candidate);
            continue;
        }
        const uint32_t victim = oldest(&q, q.lengths[PROBATION] > 0 ? PROBATION : PROTECTED);
        if (uses[candidate] > uses[victim]) {
            take_out(&q, victim);
            move(&q, PROBATION, candidate);
        } else {
            take_out(&q, candidate);
        }
    }
    queues_end(&q);
    free(uses);
    return misses;
}
