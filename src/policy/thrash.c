/* thrash.c - see thrash.h. */
#include "policy/thrash.h"

acre_thrash_verdict acre_thrash_fault(acre_thrash *page, unsigned place, uint64_t now_ns, uint64_t lapse_ns)
{
    if (acre_thrash_is_pinned(page, now_ns)) return ACRE_THRASH_PIN;
    if (!acre_thrash_is_event(page, place, now_ns, lapse_ns)) {
        *page = (acre_thrash){.moved_ns = now_ns, .place = (uint8_t)(place + 1)};
        return ACRE_THRASH_MOVE;
    }
    if (page->event_count < ACRE_THRASH_EVENTS) page->event_count++;
    if (page->event_count < ACRE_THRASH_EVENTS) {
        page->moved_ns = now_ns;
        page->place = (uint8_t)(place + 1);
        return ACRE_THRASH_MOVE;
    }
    if (page->wait_count < ACRE_THRASH_WAITS) {
        page->wait_count++;
        page->moved_ns = now_ns + lapse_ns;
        page->place = (uint8_t)(place + 1);
        return ACRE_THRASH_WAIT;
    }
    page->is_pinned = true;
    page->moved_ns = now_ns + ACRE_THRASH_PIN_LAPSES * lapse_ns;
    return ACRE_THRASH_PIN;
}

acre_thrash_verdict acre_thrash_fault_remembering(acre_thrash *page, unsigned place, uint64_t now_ns, uint64_t lapse_ns)
{
    const uint8_t wait_count = page->wait_count;
    const acre_thrash_verdict verdict = acre_thrash_fault(page, place, now_ns, lapse_ns);
    if (page->wait_count < wait_count) page->wait_count = wait_count;
    return verdict;
}

void acre_thrash_vote(acre_thrash_lapse *lapse, const acre_thrash *page, unsigned place, uint64_t now_ns)
{
    if (page->is_pinned || page->place == 0 || page->place == place + 1 || now_ns < page->moved_ns) return;
    const uint64_t after_ns = now_ns - page->moved_ns;
    if (after_ns >= lapse->ns) {
        lapse->votes += after_ns < 2 * lapse->ns;
    } else {
        lapse->votes -= after_ns < lapse->ns / 2;
    }
    if (lapse->votes > -ACRE_THRASH_VOTES && lapse->votes < ACRE_THRASH_VOTES) return;
    lapse->ns = lapse->votes > 0 ? lapse->ns + lapse->ns / ACRE_THRASH_STEP : lapse->ns - lapse->ns / ACRE_THRASH_STEP;
    if (lapse->ns < ACRE_THRASH_LAPSE_NS_MIN) lapse->ns = ACRE_THRASH_LAPSE_NS_MIN;
    if (lapse->ns > ACRE_THRASH_LAPSE_NS_MAX) lapse->ns = ACRE_THRASH_LAPSE_NS_MAX;
    lapse->votes = 0;
}

bool acre_thrash_forgets(acre_thrash_epoch *epoch, bool is_event, uint64_t now_ns, uint64_t epoch_ns)
{
    const bool is_over = epoch->event_ns != 0 && epoch->reset_count < ACRE_THRASH_RESETS && now_ns >= epoch->event_ns + epoch_ns;
    if (is_over) {
        epoch->reset_count++;
        epoch->event_ns = 0;
    }
    if (is_event) epoch->event_ns = now_ns;
    return is_over;
}
