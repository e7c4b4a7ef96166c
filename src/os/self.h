/* self.h - the process's own memory as the kernel tells of it: what is mapped, what of that has contents, where its threads' stacks end,
 * and reads that cannot fault.
 *
 * For a look at everything that the program has, so nothing here allocates, takes a lock, or leaves errno changed.
 */
#ifndef ACRE_OS_SELF_H
#define ACRE_OS_SELF_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct acre_os_mapping {
    uintptr_t begin, end;
    bool is_readable, is_writable, is_shared;
    bool is_anonymous; /* no file behind it */
} acre_os_mapping;

/* Hands every mapping to `take`, lowest first. ACRE_IO: /proc/self/maps cannot be read. */
acre_status acre_os_each_mapping(void (*take)(void *context, const acre_os_mapping *mapping), void *context);

/* Copies up to `size` bytes; returns how many there are before the first page that cannot be read. 0 also where the kernel does not allow
 * such reads. */
size_t acre_os_read_own(uintptr_t address, void *buffer, size_t size);

/* A descriptor for acre_os_has_contents, closed with acre_os_close; -1 where the kernel has none. */
int acre_os_open_contents(void);

/* For `page_count` pages (at most 512) from `address` on, a multiple of the page size: has_contents[i] is whether page i lies in memory or
 * swap. A page that was never written has none. False: it is not known. */
bool acre_os_has_contents(int descriptor, uintptr_t address, size_t page_count, bool *has_contents);

/* The stack pointers of the process's other threads that wait in the kernel; returns how many, at most `count_max`. Those that run, or
 * of which the kernel does not tell, are left out. */
size_t acre_os_waiting_stacks(uintptr_t *pointers, size_t count_max);

#endif
