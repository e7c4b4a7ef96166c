/* thrash.c - see thrash.h. */
#include "policy/thrash.h"

acre_thrash_verdict acre_thrash_fault(acre_thrash *page, unsigned place, uint64_t now_ns, uint64_t lapse_ns)
{
    if (acre_thrash_is_pinned(page, now_ns)) return ACRE_THRASH_PIN;
    const bool is_event = !page->is_pinned && page->place != 0 && page->place != place + 1 && now_ns < page->moved_ns + lapse_ns;
    if (!is_event) {
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
