/* prefetch.c - streams, strides and pairs, each judged by what became of its predictions.
 *
 * Streams are found by the key that they expect next, so that any number can be mixed. A key that no stream expects begins one, in the
 * place of the stream that has not been used for longest (a clock). A context has its last key and the distance from the one before. Pairs:
 * the last few keys that were missing are causes of the one that is missing now; each cause has two followers with a count of how often
 * they came, of which the weaker one is replaced when its count has sunk to none (as Mithril, Yang and others 2017, in small).
 *
 * Outstanding predictions are a ring with an index of keys; one that is asked for leaves a hole. */
#include "base/bits.h"
#include "base/status.h"
#include "policy/index.h"

#include <acre/prefetch.h>
#include <string.h>

enum {
    RUN_MIN = 2,
    RUN_TOP = 1024,
    RUN_PARTS = 2,
    STRIDE_DEPTH_MAX = 16,
    FOLLOWERS = 2,
    CAUSES = 3,
    COUNT_SURE = 2,
    COUNT_TOP = 7,
    JUDGED = 64
};

typedef struct stream {
    uint64_t next;   /* the key that is expected */
    uint64_t issued; /* the last key that was predicted; below next when there is none */
    uint16_t run;    /* keys in sequence, up to RUN_TOP */
    uint8_t depth;
    bool is_used : 1;  /* in this round of the clock */
    bool is_known : 1; /* by the index */
} stream;

typedef struct context {
    uint64_t last;
    uint64_t stride; /* modulo 2^64 */
    uint32_t number;
    uint8_t run, depth;
    bool is_used;
} context;

typedef struct pair {
    uint64_t cause;
    uint64_t followers[FOLLOWERS];
    uint8_t counts[FOLLOWERS];
    bool is_used;
} pair;

typedef struct prediction {
    uint8_t source;  /* + 1; 0: a hole */
    bool is_phantom; /* of a source that is off: nobody brought it */
} prediction;

typedef struct judge {
    acre_prefetch_figures figures;
    uint8_t useful, resolved; /* of the last predictions, up to JUDGED */
} judge;

struct acre_prefetcher {
    stream *streams;
    context *contexts;
    pair *pairs;
    prediction *predictions;
    acre_index stream_index, prediction_index;
    judge judges[ACRE_PREFETCH_SOURCE_COUNT];
    uint64_t missed[CAUSES]; /* the last keys that were missing, the latest first */
    acre_policy_slot stream_count, context_count, pair_count, outstanding, hand, newest;
    uint8_t missed_count, depth_max;
};

static acre_policy_slot or_default(acre_policy_slot count, acre_policy_slot fallback) { return count == 0 ? fallback : count; }

static void lay_out(acre_prefetcher *p, const acre_prefetch_options *options, acre_carver *carver)
{
    *p = (acre_prefetcher){
        .stream_count = or_default(options->stream_count, 64),
        .context_count = or_default(options->context_count, 64),
        .pair_count = or_default(options->pair_count, 1024),
        .outstanding = or_default(options->outstanding, 256),
        .depth_max = options->depth_max == 0 ? 16 : options->depth_max,
    };
    (void)acre_carve(carver, 1, sizeof *p);
    p->streams = acre_carve(carver, p->stream_count, sizeof *p->streams);
    p->contexts = acre_carve(carver, p->context_count, sizeof *p->contexts);
    p->pairs = acre_carve(carver, p->pair_count, sizeof *p->pairs);
    p->predictions = acre_carve(carver, p->outstanding, sizeof *p->predictions);
    acre_index_lay_out(&p->stream_index, carver, p->stream_count, p->stream_count);
    acre_index_lay_out(&p->prediction_index, carver, p->outstanding, p->outstanding);
}

static bool are_valid(const acre_prefetch_options *options)
{
    return options->stream_count <= ACRE_PREFETCH_COUNT_MAX && options->context_count <= ACRE_PREFETCH_COUNT_MAX &&
           options->pair_count <= ACRE_PREFETCH_COUNT_MAX && options->outstanding <= ACRE_PREFETCH_COUNT_MAX &&
           options->depth_max <= ACRE_PREFETCH_DEPTH_MAX;
}

size_t acre_prefetch_bytes(const acre_prefetch_options *options)
{
    static const acre_prefetch_options defaults = {.depth_max = 0};
    acre_carver carver = {NULL, 0};
    acre_prefetcher any;
    if (options == NULL) options = &defaults;
    if (!are_valid(options)) return 0;
    lay_out(&any, options, &carver);
    return carver.used_bytes;
}

acre_status acre_prefetch_init(acre_prefetcher **prefetcher, const acre_prefetch_options *options, void *memory, size_t bytes)
{
    static const acre_prefetch_options defaults = {.depth_max = 0};
    if (prefetcher == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "prefetcher: the place for it, or its memory, is NULL");
    if (options == NULL) options = &defaults;
    if (!are_valid(options))
        return acre_fail(ACRE_INVALID, "prefetcher: a count of %u, %u, %u, %u is above %u, or the depth of %u above %u",
                         (unsigned)options->stream_count, (unsigned)options->context_count, (unsigned)options->pair_count,
                         (unsigned)options->outstanding, (unsigned)ACRE_PREFETCH_COUNT_MAX, options->depth_max, ACRE_PREFETCH_DEPTH_MAX);
    size_t needed = acre_prefetch_bytes(options);
    if (bytes < needed || (uintptr_t)memory % sizeof(uint64_t) != 0)
        return acre_fail(ACRE_INVALID, "prefetcher: %zu bytes at %p are not %zu bytes aligned to 8", bytes, memory, needed);
    memset(memory, 0, needed);
    acre_carver carver = {memory, 0};
    *prefetcher = memory;
    lay_out(*prefetcher, options, &carver);
    for (unsigned i = 0; i < ACRE_PREFETCH_SOURCE_COUNT; i++) (*prefetcher)->judges[i].figures.is_on = true;
    return ACRE_OK;
}

/* ---- what became of predictions ---- */

/* A source is told what became of one of its predictions. */
static void resolve(acre_prefetcher *p, const prediction *what, bool was_useful)
{
    judge *j = p->judges + what->source - 1;
    if (!what->is_phantom) {
        j->figures.useful_count += was_useful;
        j->figures.polluting_count += !was_useful;
    }
    j->useful = (uint8_t)(j->useful + was_useful);
    if (++j->resolved < JUDGED) return;
    if (what->source - 1 != ACRE_PREFETCH_EXPECTED) j->figures.is_on = j->figures.is_on ? j->useful * 4 >= JUDGED : j->useful * 2 >= JUDGED;
    j->useful = 0;
    j->resolved = 0;
}

/* Whether `key` had been predicted. */
static bool take_prediction(acre_prefetcher *p, uint64_t key)
{
    acre_policy_slot place = acre_index_find(&p->prediction_index, acre_fingerprint(key));
    if (place == ACRE_POLICY_NO_SLOT) return false;
    acre_index_remove(&p->prediction_index, place);
    resolve(p, p->predictions + place, true);
    p->predictions[place].source = 0;
    return true;
}

/* Remembers a prediction in the place of the oldest one. True: it is to be brought. */
static bool predict(acre_prefetcher *p, uint64_t key, acre_prefetch_source source)
{
    uint32_t fingerprint = acre_fingerprint(key);
    if (acre_index_find(&p->prediction_index, fingerprint) != ACRE_POLICY_NO_SLOT) return false;
    prediction *oldest = p->predictions + p->newest;
    if (oldest->source != 0) {
        acre_index_remove(&p->prediction_index, p->newest);
        resolve(p, oldest, false);
    }
    bool is_on = p->judges[source].figures.is_on;
    *oldest = (prediction){.source = (uint8_t)(source + 1), .is_phantom = !is_on};
    acre_index_insert(&p->prediction_index, p->newest, fingerprint);
    p->newest = (acre_policy_slot)(p->newest + 1 == p->outstanding ? 0 : p->newest + 1);
    p->judges[source].figures.issued_count += is_on;
    return is_on;
}

/* Where predicted keys go. */
typedef struct output {
    uint64_t *keys;
    size_t count, count_max;
} output;

static void put(acre_prefetcher *p, output *out, uint64_t key, acre_prefetch_source source)
{
    if (out->count < out->count_max && predict(p, key, source)) out->keys[out->count++] = key;
}

/* ---- sequences ---- */

static void expect(acre_prefetcher *p, acre_policy_slot number, uint64_t next)
{
    stream *s = p->streams + number;
    if (s->is_known) acre_index_remove(&p->stream_index, number);
    s->next = next;
    s->is_known = true;
    acre_index_insert(&p->stream_index, number, acre_fingerprint(next));
}

/* The place of the stream that was not used for longest. Two rounds are enough, since each clears what it passes. */
static acre_policy_slot oldest_stream(acre_prefetcher *p)
{
    for (;;) {
        acre_policy_slot number = p->hand;
        p->hand = (acre_policy_slot)(number + 1 == p->stream_count ? 0 : number + 1);
        if (!p->streams[number].is_used) return number;
        p->streams[number].is_used = false;
    }
}

static void follow_sequence(acre_prefetcher *p, uint64_t key, bool was_predicted, output *out)
{
    acre_policy_slot number = acre_index_find(&p->stream_index, acre_fingerprint(key));
    if (number == ACRE_POLICY_NO_SLOT || p->streams[number].next != key) {
        number = oldest_stream(p);
        expect(p, number, key + 1);
        p->streams[number].run = 1;
        p->streams[number].depth = 1;
        p->streams[number].issued = key;
        return;
    }
    stream *s = p->streams + number;
    s->is_used = true;
    expect(p, number, key + 1);
    s->run = (uint16_t)(s->run < RUN_TOP ? s->run + 1 : RUN_TOP);
    if (s->run < RUN_MIN) return;
    uint32_t depth = s->run / RUN_PARTS; /* no further ahead than half of what was seen */
    if (was_predicted && depth > s->depth) s->depth = (uint8_t)(depth < p->depth_max ? depth : p->depth_max);
    if (s->issued - key > p->depth_max) s->issued = key; /* it has fallen behind, or wrapped */
    if (s->issued - key > s->depth / 2u) return;         /* many at a time: they make one request */
    while (s->issued - key < s->depth && out->count < out->count_max) put(p, out, ++s->issued, ACRE_PREFETCH_SEQUENCE);
}

/* ---- strides ---- */

static void follow_stride(acre_prefetcher *p, uint64_t key, uint32_t number, bool was_predicted, output *out)
{
    context *c = p->contexts + ((uint64_t)acre_mix32(number) * p->context_count >> 32);
    if (!c->is_used || c->number != number) {
        *c = (context){.last = key, .number = number, .is_used = true};
        return;
    }
    uint64_t stride = key - c->last;
    if (stride == 0) return;
    bool is_same = stride == c->stride;
    c->run = is_same ? (uint8_t)(c->run < RUN_MIN ? c->run + 1 : RUN_MIN) : 1;
    const uint8_t depth_max = p->depth_max < STRIDE_DEPTH_MAX ? p->depth_max : STRIDE_DEPTH_MAX;
    c->depth = !is_same || c->depth == 0 ? 1 : was_predicted && c->depth < depth_max ? (uint8_t)(c->depth + 1) : c->depth;
    c->stride = stride;
    c->last = key;
    for (unsigned i = 1; stride != 1 && c->run >= RUN_MIN && i <= c->depth; i++) put(p, out, key + i * stride, ACRE_PREFETCH_STRIDE);
}

/* ---- pairs ---- */

static pair *pair_of(const acre_prefetcher *p, uint64_t cause)
{
    return p->pairs + ((uint64_t)acre_fingerprint(cause) * p->pair_count >> 32);
}

/* `follower` was missing soon after `cause` was. */
static void learn_pair(acre_prefetcher *p, uint64_t cause, uint64_t follower)
{
    pair *known = pair_of(p, cause);
    if (!known->is_used || known->cause != cause) *known = (pair){.cause = cause, .is_used = true};
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        if (known->counts[i] > 0 && known->followers[i] == follower) {
            known->counts[i] = (uint8_t)(known->counts[i] < COUNT_TOP ? known->counts[i] + 1 : COUNT_TOP);
            return;
        }
    }
    /* An empty place, else of the weakest the one that came last: what follows first is the likeliest. */
    unsigned weakest = 0;
    for (unsigned i = 1; i < FOLLOWERS; i++)
        if (known->counts[weakest] != 0 && known->counts[i] <= known->counts[weakest]) weakest = i;
    if (known->counts[weakest] > 0) known->counts[weakest]--;
    if (known->counts[weakest] == 0) {
        known->followers[weakest] = follower;
        known->counts[weakest] = 1;
    }
}

static void follow_pairs(acre_prefetcher *p, uint64_t key, bool is_new, output *out)
{
    const pair *known = pair_of(p, key);
    for (unsigned i = 0; i < FOLLOWERS && known->is_used && known->cause == key; i++) {
        if (known->counts[i] >= COUNT_SURE && known->followers[i] != key) put(p, out, known->followers[i], ACRE_PREFETCH_PAIR);
    }
    if (!is_new) return;
    for (unsigned i = 0; i < p->missed_count; i++) {
        if (p->missed[i] != key && p->missed[i] + 1 != key) learn_pair(p, p->missed[i], key);
    }
    for (unsigned i = CAUSES - 1; i > 0; i--) p->missed[i] = p->missed[i - 1];
    p->missed[0] = key;
    p->missed_count = (uint8_t)(p->missed_count < CAUSES ? p->missed_count + 1 : CAUSES);
}

/* ---- the interface ---- */

size_t acre_prefetch_access(acre_prefetcher *p, uint64_t key, uint32_t context_number, bool was_missing, uint64_t *keys, size_t count_max)
{
    output out = {.keys = keys, .count_max = count_max};
    bool was_predicted = take_prediction(p, key);
    follow_sequence(p, key, was_predicted, &out);
    follow_stride(p, key, context_number, was_predicted, &out);
    follow_pairs(p, key, was_missing || was_predicted, &out);
    return out.count;
}

void acre_prefetch_expect(acre_prefetcher *p, uint64_t key) { (void)predict(p, key, ACRE_PREFETCH_EXPECTED); }

acre_status acre_prefetch_read_figures(const acre_prefetcher *p, acre_prefetch_source source, acre_prefetch_figures *figures)
{
    if (p == NULL || figures == NULL || (unsigned)source >= ACRE_PREFETCH_SOURCE_COUNT)
        return acre_fail(ACRE_INVALID, "prefetcher: it or the figures are NULL, or source %u is not below %u", (unsigned)source,
                         ACRE_PREFETCH_SOURCE_COUNT);
    *figures = p->judges[source].figures;
    return ACRE_OK;
}

bool acre_prefetch_is_valid(const acre_prefetcher *p)
{
    for (acre_policy_slot i = 0; i < p->stream_count; i++) {
        const stream *s = p->streams + i;
        if (s->is_known && (p->stream_index.nodes[i].fingerprint != acre_fingerprint(s->next) || s->depth > p->depth_max ||
                            acre_index_find(&p->stream_index, acre_fingerprint(s->next)) == ACRE_POLICY_NO_SLOT))
            return false;
    }
    uint64_t live = 0, open = 0;
    for (acre_policy_slot i = 0; i < p->outstanding; i++) {
        const prediction *what = p->predictions + i;
        live += what->source != 0 && !what->is_phantom;
        if (what->source > ACRE_PREFETCH_SOURCE_COUNT ||
            (what->source != 0 && acre_index_find(&p->prediction_index, p->prediction_index.nodes[i].fingerprint) == ACRE_POLICY_NO_SLOT))
            return false;
    }
    for (unsigned i = 0; i < ACRE_PREFETCH_SOURCE_COUNT; i++) {
        const acre_prefetch_figures *f = &p->judges[i].figures;
        open += f->issued_count - f->useful_count - f->polluting_count;
    }
    return open == live && p->newest < p->outstanding && p->hand < p->stream_count && p->missed_count <= CAUSES;
}
