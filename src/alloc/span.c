/* span.c - see span.h. Each function is one step of the protocol: no loop but over the words of a fresh span. */
#include "alloc/span.h"
#include "alloc/shared_word.h"

/* The generation survives in the descriptor from span to span; everything else of the state begins anew. */
static acre_word next_generation(acre_word state)
{
    const acre_word generation_mask = ~(acre_word)(ACRE_SPAN_GENERATION - 1);
    return (state & generation_mask) + ACRE_SPAN_GENERATION;
}

void acre_span_init(acre_span *span, unsigned class, acre_word *words)
{
    assert(span->kind == ACRE_SPAN_SMALL);
    span->class = (uint8_t)class;
    span->words = words;
    span->previous = span->next = NULL;
    span->units_before = 0;

    const unsigned capacity = acre_span_capacity(span);
    const size_t last = acre_span_word_count(span) - 1;
    for (size_t i = 0; i < last; i++) words[i] = ACRE_WORD_ALL;
    words[last] = acre_word_first(capacity - (unsigned)last * ACRE_WORD_BITS);
    acre_store_release(&span->state, next_generation(span->state) | ACRE_SPAN_OWNED | (ACRE_SPAN_COUNT_BIAS + capacity));
    assert(acre_span_is_valid(span));
}

bool acre_span_is_valid(const acre_span *span)
{
    const unsigned class = acre_span_size_class(span);
    if (span->kind != ACRE_SPAN_SMALL || class < ACRE_CLASS_FIRST || class > ACRE_CLASS_COUNT) return false;
    if (span->words == NULL || span->units_before != 0) return false;
    if (span->unit_count != acre_size_classes[class].unit_count) return false;
    if ((span->state & ACRE_SPAN_OWNED) != 0 && (span->state & ACRE_SPAN_LISTED) != 0) return false;

    unsigned free_bits = 0;
    const size_t word_count = acre_span_word_count(span);
    for (size_t i = 0; i < word_count; i++) free_bits += acre_word_count(acre_load_relaxed(&span->words[i]));
    const unsigned in_last = acre_span_capacity(span) - (unsigned)(word_count - 1) * ACRE_WORD_BITS;
    const bool has_stray_bits = (span->words[word_count - 1] & ~acre_word_first(in_last)) != 0;
    return !has_stray_bits && acre_span_free_count(span->state) == (int)free_bits;
}

acre_word acre_span_claim(acre_span *span, size_t index, unsigned count)
{
    assert(index < acre_span_word_count(span) && count > 0);
    const acre_word available = acre_load_acquire(&span->words[index]);
    if (available == 0) return 0;
    const unsigned available_count = acre_word_count(available);
    acre_word rest = 0;
    if (count < available_count) {
        rest = available;
        for (unsigned i = 0; i < count; i++) rest &= rest - 1; /* without the lowest */
    } else {
        count = available_count;
    }
    /* Only the owner clears bits, so those it saw are still set. */
    (void)acre_fetch_and(&span->words[index], ~(available & ~rest));
    (void)acre_fetch_add(&span->state, (acre_word)0 - count);
    return available & ~rest;
}

acre_word acre_span_give_bits(acre_span *span, size_t index, acre_word mask)
{
    assert(index < acre_span_word_count(span) && mask != 0);
    const acre_word free_already = acre_load_relaxed(&span->words[index]) & mask;
    if (acre_unlikely(free_already != 0)) return free_already;
    /* Two threads that free the same block at once both pass the test above; the second sees it here. */
    return acre_fetch_or(&span->words[index], mask) & mask;
}

acre_span_duty acre_span_give_count(acre_span *span, unsigned count, acre_word *after)
{
    const int capacity = (int)acre_span_capacity(span); /* read before the count lets the span go */
    const acre_word before = acre_fetch_add(&span->state, count);
    *after = before + count;
    if ((before & ACRE_SPAN_OWNED) != 0) return ACRE_DUTY_NONE;
    const int free_before = acre_span_free_count(before);
    if ((before & ACRE_SPAN_LISTED) == 0) {
        return free_before <= 0 && free_before + (int)count > 0 ? ACRE_DUTY_LIST : ACRE_DUTY_NONE;
    }
    return free_before + (int)count == capacity ? ACRE_DUTY_RETIRE : ACRE_DUTY_NONE;
}

void acre_span_recount(acre_span *span)
{
    unsigned free_bits = 0;
    for (size_t i = 0; i < acre_span_word_count(span); i++) free_bits += acre_word_count(span->words[i]);
    span->state = (span->state & ~(acre_word)ACRE_SPAN_COUNT_MASK) | (ACRE_SPAN_COUNT_BIAS + free_bits);
}

acre_span_duty acre_span_disown(acre_span *span)
{
    const acre_word before = acre_fetch_and(&span->state, ~(acre_word)ACRE_SPAN_OWNED);
    assert((before & ACRE_SPAN_OWNED) != 0);
    return acre_span_free_count(before) > 0 ? ACRE_DUTY_LIST : ACRE_DUTY_NONE;
}

bool acre_span_list(acre_span *span)
{
    const acre_word before = acre_fetch_or(&span->state, ACRE_SPAN_LISTED);
    assert((before & (ACRE_SPAN_OWNED | ACRE_SPAN_LISTED)) == 0);
    return acre_span_free_count(before) < (int)acre_span_capacity(span);
}

bool acre_span_may_retire(const acre_span *span, acre_word after) { return acre_load_acquire(&span->state) == after; }

void acre_span_own(acre_span *span)
{
    /* LISTED goes and OWNED comes in one step: the two bits are neighbours, so subtracting one makes the other. */
    const acre_word before = acre_fetch_add(&span->state, (acre_word)ACRE_SPAN_OWNED - ACRE_SPAN_LISTED);
    assert((before & ACRE_SPAN_LISTED) != 0 && (before & ACRE_SPAN_OWNED) == 0);
    (void)before;
}

bool acre_span_may_mesh(const acre_span *into, const acre_span *span)
{
    for (size_t i = 0; i < acre_span_word_count(span); i++) {
        if ((acre_span_out(into, i) & acre_span_out(span, i)) != 0) return false;
    }
    return true;
}

bool acre_span_mesh(acre_span *into, acre_span *span, uint32_t number)
{
    assert((into->state & span->state & ACRE_SPAN_LISTED) != 0 && acre_span_may_mesh(into, span));
    unsigned count = 0;
    for (size_t i = 0; i < acre_span_word_count(span); i++) {
        const acre_word out = acre_span_out(span, i);
        into->words[i] &= ~out;
        count += acre_word_count(out);
    }
    into->state -= count;
    const bool is_full = acre_span_free_count(into->state) == 0;
    if (is_full) into->state -= ACRE_SPAN_LISTED;
    span->state -= ACRE_SPAN_LISTED;
    span->kind = ACRE_SPAN_MESHED;
    span->previous = into;
    span->meshed = into->meshed;
    into->meshed = number;
    assert(acre_span_is_valid(into));
    return is_full;
}

void acre_span_retire(acre_span *span)
{
    assert(acre_span_free_count(span->state) == (int)acre_span_capacity(span));
    acre_store_release(&span->state, next_generation(span->state));
    span->words = NULL;
}
