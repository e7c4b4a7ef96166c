/* window.h - the one range of addresses that regions of anonymous pages come from.
 *
 * With all of them in one place, a subtraction and a comparison tell whether any pointer may be a block of ours, and one load more
 * its class: see acre_page_map_class. The window is address space without memory, reserved once and never given back: twice
 * the memory of the machine, an eighth of what a limit on address space allows. What does not fit goes elsewhere.
 *
 * Taking and giving is first fit over a bitmap of grains, under a lock: it happens once in 256 MiB.
 */
#ifndef ACRE_SPACE_WINDOW_H
#define ACRE_SPACE_WINDOW_H

#include "base/atomic.h"
#include "os/os.h"

#include <acre/space.h>

enum { ACRE_WINDOW_GRAINS_MAX = 16384 };

typedef struct acre_window {
    acre_addr base;       /* a multiple of grain_bytes; 0 when there is no window */
    uint64_t size_bytes;  /* a multiple of grain_bytes */
    uint64_t grain_bytes; /* what a region takes at least: 256 MiB, or less under a limit. Set even without a window */
    acre_lock lock;
    acre_word taken[ACRE_WINDOW_GRAINS_MAX / (sizeof(acre_word) * 8)];
} acre_window;

/* The window of the process, reserved at the first call. Thread safe. */
acre_window *acre_window_of_process(void);

/* Takes `size` bytes, a multiple of the grain, at a multiple of `alignment`. False: there is no such room. O(grains). */
bool acre_window_take(acre_window *window, uint64_t size, uint64_t alignment, acre_addr *address);

static inline bool acre_window_has(const acre_window *window, acre_addr address)
{
    return address - window->base < acre_load_figure(&window->size_bytes);
}

/* Releases the end of the window that is not taken, for good: for a process that is about to have a limit on its address space. */
void acre_window_shrink(acre_window *window);

/* Gives back what one call of take returned; the memory behind it goes, and so do protection and advice. */
acre_status acre_window_give(acre_window *window, acre_addr address, uint64_t size);

#endif
