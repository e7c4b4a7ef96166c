/* site.c - see site.h. */
#include "guard/site.h"
#include "guard/fault.h"

static acre_guard_unwinder the_unwinder;

/* The unwinder may allocate, which must not lead back here. */
static _Thread_local bool is_busy __attribute__((tls_model("initial-exec")));

void acre_guard_set_unwinder(acre_guard_unwinder unwinder)
{
    the_unwinder = unwinder;
    acre_fault_hooks_of_process.capture = unwinder != NULL ? acre_site_capture : NULL;
}

bool acre_sites_are_kept(void) { return the_unwinder != NULL; }

void acre_site_capture(acre_site *site)
{
    site->count = 0;
    if (the_unwinder == NULL || is_busy) return;
    is_busy = true;
    site->count = (uint32_t)the_unwinder(site->pcs, ACRE_SITE_FRAMES_MAX);
    is_busy = false;
    if (site->count > ACRE_SITE_FRAMES_MAX) site->count = ACRE_SITE_FRAMES_MAX;
}

static uint64_t hash_of(const acre_site *site)
{
    uint64_t hash = site->count;
    for (uint32_t i = 0; i < site->count; i++) {
        hash = (hash ^ (uint64_t)(uintptr_t)site->pcs[i]) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return hash != 0 ? hash : 1;
}

uint32_t acre_site_keep(acre_site_entry *table)
{
    enum { TRIES_MAX = 32 };
    acre_site site;
    if (table == NULL) return 0;
    acre_site_capture(&site);
    if (site.count == 0) return 0;
    const uint64_t hash = hash_of(&site);
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        const uint32_t index = (uint32_t)(hash + i) % ACRE_SITE_TABLE_COUNT;
        acre_site_entry *const entry = &table[index];
        uint64_t seen = __atomic_load_n(&entry->hash, __ATOMIC_ACQUIRE);
        if (seen == 0 && __atomic_compare_exchange_n(&entry->hash, &seen, hash, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            for (uint32_t frame = 0; frame < site.count; frame++) entry->site.pcs[frame] = site.pcs[frame];
            __atomic_store_n(&entry->site.count, site.count, __ATOMIC_RELEASE);
            return index + 1;
        }
        if (seen == hash) return index + 1;
    }
    return 0;
}

acre_site acre_site_get(const acre_site_entry *table, uint32_t number)
{
    acre_site site = {.count = 0};
    if (table == NULL || number == 0 || number > ACRE_SITE_TABLE_COUNT) return site;
    const acre_site_entry *const entry = &table[number - 1];
    if (__atomic_load_n(&entry->site.count, __ATOMIC_ACQUIRE) > 0) site = entry->site;
    return site;
}
