/* window.h - the memory of a place that faults: addresses of the process behind which a page is only while it is in the place.
 *
 * Contents are in shared memory, so that they are read and written by its descriptor: nobody here touches the addresses. A page that is
 * there and not dirty is write-protected, so that the first write is heard of. With userfaultfd whoever touches what is not there waits;
 * without, the signal's handler serves the fault in the thread that has it.
 */
#ifndef ACRE_MIGRATION_WINDOW_H
#define ACRE_MIGRATION_WINDOW_H

#include "os/page_faults.h"

enum { UM_MOVES_MAX = 16 };

typedef struct um_window {
    unsigned char *base;
    uint64_t bytes;
    int memory;
    acre_page_faults *source; /* NULL: by signal */
    struct {
        uint64_t at, bytes;
        uintptr_t to;
    } moves[UM_MOVES_MAX]; /* what the program moved elsewhere, the last one counts */
    unsigned move_count;
    uint64_t call_count; /* of the system, for contents and their protection */
} um_window;

acre_status acre_window_open(um_window *window, uint64_t bytes, acre_page_faults *source);
void acre_window_close(um_window *window);

/* Contents for pages that are not there; NULL: zeros. *done: bytes that are there then. ACRE_BUSY: the rest is to be tried again. */
acre_status acre_window_fill(um_window *window, uint64_t at, const void *bytes, uint64_t size, bool is_writable, uint64_t *done);

/* Who writes from now on waits; ACRE_BUSY: to be tried again. And no longer. */
acre_status acre_window_protect(um_window *window, uint64_t at, uint64_t size);
void acre_window_allow(um_window *window, uint64_t at, uint64_t size);

/* Of pages that are protected. */
acre_status acre_window_read(um_window *window, uint64_t at, void *bytes, uint64_t size);

/* The pages are there no more. */
void acre_window_drop(um_window *window, uint64_t at, uint64_t size);

/* Pages that are there by the books and were touched all the same: if the program dropped them (MADV_REMOVE) they are zeros. */
void acre_window_settle(um_window *window, uint64_t at, uint64_t size, bool is_writable);

/* Who waits for the pages tries again; or never gets them: its access ends with a signal. And may, again. */
void acre_window_wake(um_window *window, uint64_t at, uint64_t size);
void acre_window_refuse(um_window *window, uint64_t at, uint64_t size);
void acre_window_accept(um_window *window, uint64_t at, uint64_t size);

/* Who uses these addresses uses another window's pages, which are there; and faults again. */
acre_status acre_window_show(um_window *window, uint64_t at, uint64_t size, const um_window *other);
acre_status acre_window_hide(um_window *window, uint64_t at, uint64_t size);

/* Mends addresses that the program has unmapped or moved away: they are the window's again, with nothing there. */
acre_status acre_window_mend(um_window *window, uint64_t at, uint64_t size);

/* Where `address` is in the window. */
bool acre_window_find(const um_window *window, uintptr_t address, uint64_t *at);
void acre_window_note_move(um_window *window, uintptr_t from, uintptr_t to, uint64_t bytes);

/* In a child of fork, before anything else takes addresses there: they are the window's, without access. */
acre_status acre_window_keep_addresses(um_window *window);

/* In a child of fork: a window of its own, at the same addresses, with nothing there. What was there is in `*memory` as long as the parent
 * does nothing; the child closes it. */
acre_status acre_window_renew(um_window *window, acre_page_faults *source, int *memory);
acre_status acre_window_put_back(um_window *window, uint64_t at, const void *bytes, uint64_t size);

#endif
