/* fuzz_trace.c - libFuzzer: no bytes make the trace reader or the analysis misbehave.
 *
 * Checksums would stop nearly every input at the door, so half of the inputs get theirs put right first.
 */
#include "analysis.h"
#include "trace_reader.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void correct_checksums(uint8_t *bytes, size_t size)
{
    if (size < sizeof(trace_header)) return;
    const uint32_t check = (uint32_t)crc32(0, bytes, offsetof(trace_header, check));
    memcpy(bytes + offsetof(trace_header, check), &check, sizeof check);
    for (size_t at = sizeof(trace_header); size - at >= sizeof(trace_frame);) {
        trace_frame frame;
        memcpy(&frame, bytes + at, sizeof frame);
        if (frame.stored_bytes > size - at - sizeof frame) return;
        frame.stored_check = (uint32_t)crc32(0, bytes + at + sizeof frame, frame.stored_bytes);
        frame.check = (uint32_t)crc32(0, (const Bytef *)&frame, offsetof(trace_frame, check));
        memcpy(bytes + at, &frame, sizeof frame);
        at += sizeof frame + frame.stored_bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    trace_reader *reader = NULL;
    if (size == 0) return 0;
    uint8_t *const bytes = malloc(size);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] % 2 == 0) correct_checksums(bytes, size - 1);
    if (trace_reader_open_memory(&reader, "fuzz", bytes, size - 1) == ACRE_OK) {
        for (uint32_t i = 0; i < trace_process_count(reader) && i < 8; i++) analysis_free(analysis_of_process(reader, i));
        trace_reader_close(reader);
    }
    free(bytes);
    return 0;
}
