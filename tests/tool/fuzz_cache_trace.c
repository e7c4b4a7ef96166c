/* fuzz_cache_trace.c - libFuzzer: no bytes make a reader of cache traces misbehave. The first byte chooses the format (or none, so that it
 * is found out) and whether the rest is packed first, since hardly any input gets through a checksum. */
#include "cache_keys.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { UNPACKED_BYTES_MAX = 1 << 18, IS_PACKED = 0x80, HAS_COLUMN = 0x40 };

static uint8_t *pack(const uint8_t *bytes, size_t *length)
{
    const size_t room = *length + *length / 100 + 64;
    uint8_t *const packed = malloc(room);
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (uInt)*length, .next_out = packed, .avail_out = (uInt)room};
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK || deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
    *length = z.total_out;
    (void)deflateEnd(&z);
    return packed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > UNPACKED_BYTES_MAX) return 0;
    const uint8_t how = data[0];
    const cache_trace_options options = {.format = (cache_format)(how % CACHE_FORMAT_COUNT),
                                         .column = (how & HAS_COLUMN) != 0 ? "2" : NULL};
    size_t length = size - 1;
    uint8_t *const copy = malloc(length + 1), *packed = NULL;
    cache_input *input = NULL;
    cache_keys keys;
    cache_trace_info info = {0};
    memcpy(copy, data + 1, length);
    if ((how & IS_PACKED) != 0) packed = pack(copy, &length);
    cache_keys_begin(&keys, 1, 64);
    if (cache_input_open_memory(&input, "fuzz", packed != NULL ? packed : copy, length, UNPACKED_BYTES_MAX) == ACRE_OK)
        (void)cache_trace_read(input, &options, cache_keys_take, &keys, &info);
    if (keys.object_count > 64) abort();
    cache_input_close(input);
    cache_keys_end(&keys);
    free(info.warning);
    free(packed);
    free(copy);
    return 0;
}
