/* meter.c - see acre/meter.h. The lock is held while the list changes and while it is read, never while a thread counts. */
#include <acre/meter.h>

#include "base/status.h"
#include "os/os.h"

#include <string.h>

static acre_lock *lock_of(acre_meter *meter)
{
    _Static_assert(sizeof(acre_lock) == sizeof meter->lock, "the public struct holds the lock as its word");
    return (acre_lock *)&meter->lock;
}

void acre_meter_init(acre_meter *meter, const char *name)
{
    memset(meter, 0, sizeof *meter);
    meter->name = name;
}

/* Where the list points to `thread`, or to its end. */
static acre_meter_thread **link_of(acre_meter *meter, const acre_meter_thread *thread)
{
    acre_meter_thread **link = &meter->threads;
    while (*link != NULL && *link != thread) link = &(*link)->next;
    return link;
}

acre_status acre_meter_join(acre_meter *meter, acre_meter_thread *thread)
{
    acre_lock_take(lock_of(meter));
    const bool is_known = *link_of(meter, thread) != NULL;
    if (!is_known) {
        memset(thread, 0, sizeof *thread);
        thread->next = meter->threads;
        meter->threads = thread;
    }
    acre_lock_drop(lock_of(meter));
    return is_known ? acre_fail(ACRE_INVALID, "meter '%s': thread %p has joined already", meter->name, (void *)thread) : ACRE_OK;
}

static void add(acre_meter_counts *counts, acre_histogram *alloc_ns, acre_histogram *free_ns, const acre_meter_thread *of)
{
    counts->alloc_count += acre_count_read(&of->counts.alloc_count);
    counts->free_count += acre_count_read(&of->counts.free_count);
    counts->failed_count += acre_count_read(&of->counts.failed_count);
    counts->alloc_bytes += acre_count_read(&of->counts.alloc_bytes);
    counts->free_bytes += acre_count_read(&of->counts.free_bytes);
    acre_histogram_merge(alloc_ns, &of->alloc_ns);
    acre_histogram_merge(free_ns, &of->free_ns);
}

acre_status acre_meter_leave(acre_meter *meter, acre_meter_thread *thread)
{
    acre_lock_take(lock_of(meter));
    acre_meter_thread **const link = link_of(meter, thread);
    const bool is_known = *link != NULL;
    if (is_known) {
        *link = thread->next;
        add(&meter->left.counts, &meter->left.alloc_ns, &meter->left.free_ns, thread);
    }
    acre_lock_drop(lock_of(meter));
    return is_known ? ACRE_OK : acre_fail(ACRE_INVALID, "meter '%s': thread %p has not joined", meter->name, (void *)thread);
}

void acre_meter_set_committed(acre_meter *meter, uint64_t bytes) { acre_count_set(&meter->committed_bytes, bytes); }

/* A block may be freed by another thread than took it, and that thread be read first: then it looks freed before taken. */
static uint64_t difference(uint64_t more, uint64_t less) { return more > less ? more - less : 0; }

void acre_meter_read(acre_meter *meter, acre_meter_figures *figures)
{
    memset(figures, 0, sizeof *figures);
    acre_lock_take(lock_of(meter));
    add(&figures->counts, &figures->alloc_ns, &figures->free_ns, &meter->left);
    for (const acre_meter_thread *thread = meter->threads; thread != NULL; thread = thread->next)
        add(&figures->counts, &figures->alloc_ns, &figures->free_ns, thread);
    acre_lock_drop(lock_of(meter));

    figures->live_bytes = difference(figures->counts.alloc_bytes, figures->counts.free_bytes);
    figures->live_count = difference(figures->counts.alloc_count, figures->counts.free_count);
    figures->committed_bytes = acre_count_read(&meter->committed_bytes);
    if (figures->committed_bytes > 0) {
        const uint64_t idle = difference(figures->committed_bytes, figures->live_bytes);
        /* Divided first where the product would not fit. */
        figures->fragmentation = (uint32_t)(idle <= UINT64_MAX / 1000 ? idle * 1000 / figures->committed_bytes
                                                                      : idle / (figures->committed_bytes / 1000));
    }
}
