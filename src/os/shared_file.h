/* shared_file.h - a file mapped by two processes, and the few facts about a process that stand in /proc.
 *
 * Used inside the program under observation, so nothing here allocates, keeps a descriptor open or leaves errno changed.
 */
#ifndef ACRE_OS_SHARED_FILE_H
#define ACRE_OS_SHARED_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Creates `path`, which must not exist, reserves its first `size_bytes` on the device, and maps `mapped_bytes` of it
 * (at least size_bytes) shared at `*memory`. Touching what lies past the reserved size is fatal until
 * acre_shared_file_grow has reserved it. ACRE_BUSY: the path exists. ACRE_NO_MEMORY: no room for it. ACRE_IO: the rest. */
acre_status acre_shared_file_create(const char *path, size_t size_bytes, size_t mapped_bytes, void **memory);

/* Reserves [old_bytes, new_bytes) of the file, which is opened again by its path. Errors as above. */
acre_status acre_shared_file_grow(const char *path, size_t old_bytes, size_t new_bytes);

/* Maps the file at `path` shared and writable; `*size_bytes` is its length. For the process that reads it. */
acre_status acre_shared_file_map(const char *path, size_t mapped_bytes, void **memory);

void acre_shared_file_unmap(void *memory, size_t mapped_bytes);

/* Memory of this process alone, zeroed, not counted until touched. NULL when there is none. */
void *acre_private_pages(size_t size_bytes);
void acre_private_pages_release(void *memory, size_t size_bytes);

/* Hands the file at `path` to `take` piece by piece, each ending at a line's end except perhaps the last. The piece is
 * valid during the call. For /proc files. Lines longer than 4095 bytes are cut in two. */
acre_status acre_read_lines(const char *path, void (*take)(void *context, const char *line, size_t length), void *context);

/* Reads at most `size` bytes of a file, or the target of a link, to `buffer`. Returns how many; 0 when that fails. */
size_t acre_read_file(const char *path, char *buffer, size_t size);
size_t acre_read_link(const char *path, char *buffer, size_t size);

/* Are all pages that [address, address + length) touches mapped? At most 64 pages; more counts as no. One system call. */
bool acre_is_mapped(uintptr_t address, size_t length);

uint32_t acre_parent_process_id(void);
uint32_t acre_thread_id(void);

#endif
