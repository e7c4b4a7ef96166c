/* cache_input.h - the bytes of a file, as it is or unpacked: gzip, xz and zstd are known by how they begin. One buffer, whatever the
 * length.
 *
 * Each failure is acre_last_error(), and names the file and the place: of unpacked bytes in what a reader of lines or records finds, of the
 * file's bytes where unpacking fails. Not thread safe.
 */
#ifndef ACRE_TOOL_CACHE_INPUT_H
#define ACRE_TOOL_CACHE_INPUT_H

#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cache_input cache_input;

enum { CACHE_INPUT_LOOK_BYTES = 64 * 1024 };

/* ACRE_IO: can't be read. */
acre_status cache_input_open(cache_input **out, const char *path);

/* The same for bytes in memory, which must stay there; of what they unpack to only `limit_bytes` are given. */
acre_status cache_input_open_memory(cache_input **out, const char *name, const uint8_t *bytes, size_t length, uint64_t limit_bytes);
void cache_input_close(cache_input *input);

/* What comes next, up to CACHE_INPUT_LOOK_BYTES, without taking it; less only at the end. The bytes stay until the next call. */
acre_status cache_input_look(cache_input *input, const uint8_t **bytes, size_t *length);

/* Takes `length` bytes of those. */
void cache_input_take(cache_input *input, size_t length);

/* How many unpacked bytes were taken: where the next one is. */
uint64_t cache_input_place(const cache_input *input);

/* How much of the file was read, from 0 to 1; 0 when its length is not known. */
double cache_input_share(const cache_input *input);

/* "", "gzip", "xz" or "zstd". */
const char *cache_input_packing(const cache_input *input);
const char *cache_input_name(const cache_input *input);

#endif
