/* page_faults.h - page faults that the program serves itself: by userfaultfd, where threads wait until a page is there, or by the signal
 * that an access without permission raises.
 *
 * The memory is a shared one (acre_os_open_shared), so that contents can be read and written by its descriptor while nobody has access. */
#ifndef ACRE_OS_PAGE_FAULTS_H
#define ACRE_OS_PAGE_FAULTS_H

#include "os/os.h"

typedef struct acre_page_faults {
    int descriptor;      /* -1: closed */
    unsigned char *bell; /* a page that is watched: who rings touches it */
    bool is_blocking;
    bool serves_kernel; /* also accesses of the kernel, as of read(2) into the memory; else those fail with EFAULT */
    bool tells_moves;
} acre_page_faults;

typedef enum acre_page_event_kind {
    ACRE_PAGE_MISSING,
    ACRE_PAGE_PROTECTED, /* it is there, and somebody wants to write it */
    ACRE_PAGE_MOVED,     /* the program moved the addresses (mremap) */
} acre_page_event_kind;

typedef struct acre_page_event {
    acre_page_event_kind kind;
    bool is_write;
    uintptr_t address;
    uintptr_t to;   /* of MOVED */
    uint64_t bytes; /* of MOVED */
} acre_page_event;

/* ACRE_UNSUPPORTED: there is no userfaultfd for this process that write-protects shared memory (Linux 5.19). */
acre_status acre_page_faults_open(acre_page_faults *faults);
void acre_page_faults_close(acre_page_faults *faults);

/* No event comes any more, and who waits or rings goes on: to what the page table says. Pages are filled and protected for nobody. */
void acre_page_faults_stop(acre_page_faults *faults);

/* From now on, faults of the range are served; and no longer. */
acre_status acre_page_faults_watch(acre_page_faults *faults, void *address, size_t size);

enum { ACRE_PAGE_EVENTS_MAX = 256 };

/* For one thread at a time. Waits for events up to `timeout_ns` (UINT64_MAX: for ever). ACRE_BUSY: the time is up, with no event. *rang:
 * somebody rings, and goes on. */
acre_status acre_page_faults_read(acre_page_faults *faults, uint64_t timeout_ns, acre_page_event events[ACRE_PAGE_EVENTS_MAX],
                                  unsigned *count, bool *rang);

/* Waits until a reader has heard it, or the descriptor is closed. */
void acre_page_faults_ring(acre_page_faults *faults);

typedef enum acre_page_result {
    ACRE_PAGES_DONE,
    ACRE_PAGES_BUSY,  /* the program is changing its addresses: to be tried again once the events were read */
    ACRE_PAGES_THERE, /* a page is there already */
    ACRE_PAGES_GONE,  /* the addresses are no longer the program's */
    ACRE_PAGES_FAILED /* of memory; acre_last_error has the reason */
} acre_page_result;

/* Copies contents to pages that are missing (`bytes` NULL: zeros), and wakes who waits for them. `*done` is how far it got. */
acre_page_result acre_page_faults_fill(acre_page_faults *faults, void *address, const void *bytes, size_t size, bool is_writable,
                                       size_t *done);

/* Makes pages that are there such that who writes one waits; and no longer, which wakes who does. */
acre_page_result acre_page_faults_protect(acre_page_faults *faults, void *address, size_t size);
acre_page_result acre_page_faults_allow(acre_page_faults *faults, void *address, size_t size);

/* Who waits there, tries again. */
void acre_page_faults_wake(acre_page_faults *faults, void *address, size_t size);

/* ---- by signal ---- */

/* `serve` is asked about every access that is refused, in its thread, in a signal handler; true: it is to be tried again. `access` as for
 * acre_os_on_fault. What was set for the signal hears of the others. */
acre_status acre_page_faults_by_signal(bool (*serve)(uintptr_t address, char access));

/* ---- contents by descriptor ---- */

acre_status acre_page_contents_read(int descriptor, uint64_t offset, void *bytes, size_t size);
acre_status acre_page_contents_write(int descriptor, uint64_t offset, const void *bytes, size_t size); /* NULL: zeros */

/* All of the range is mapped by somebody. */
bool acre_os_is_mapped(void *address, size_t size);

/* What a parent waits for after fork: the child passes, or ends. `gate` is made before it. */
acre_status acre_os_open_gate(int gate[2]);
void acre_os_wait_at_gate(int gate[2]); /* the parent */
void acre_os_pass_gate(int gate[2]);    /* the child */

/* Takes addresses that nobody has; without access. ACRE_BUSY: somebody has some of them. */
acre_status acre_os_reserve_at(void *address, size_t size);

/* A child of fork does not get the range. */
acre_status acre_os_keep_from_children(void *address, size_t size);

#endif
