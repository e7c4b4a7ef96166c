/* trace_writer.c - see trace_writer.h. */
#include "trace_writer.h"
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* It runs beside the program: a third of the time of level 1, and a third more bytes. */
enum { COMPRESSION_LEVEL = -8 };

struct trace_writer {
    FILE *file;
    char *path;
    ZSTD_CCtx *compressor;
    uint8_t *stored;
    acre_status status;
};

static acre_status fail(trace_writer *writer)
{
    writer->status = acre_fail(ACRE_IO, "trace '%s': write failed: %s", writer->path, strerror(errno));
    return writer->status;
}

acre_status trace_writer_open(trace_writer **out, const char *path, const trace_header *header)
{
    trace_header whole = *header;
    whole.magic = TRACE_MAGIC;
    whole.version = TRACE_VERSION;
    whole.header_bytes = sizeof whole;
    whole.check = (uint32_t)crc32(0, (const Bytef *)&whole, offsetof(trace_header, check));

    FILE *const file = fopen(path, "wbe");
    if (file == NULL) return acre_fail(ACRE_IO, "trace '%s': can't be created: %s", path, strerror(errno));
    trace_writer *const writer = must_calloc(1, sizeof *writer);
    *writer = (trace_writer){
        .file = file,
        .path = must_copy(path),
        .compressor = ZSTD_createCCtx(),
        .stored = must_alloc(ZSTD_compressBound(TRACE_FRAME_RAW_BYTES_MAX)),
    };
    if (fwrite(&whole, sizeof whole, 1, file) != 1) {
        const acre_status status = fail(writer);
        (void)trace_writer_close(writer);
        return status;
    }
    *out = writer;
    return ACRE_OK;
}

acre_status trace_writer_put(trace_writer *writer, const trace_frame *frame, const void *raw, size_t raw_bytes)
{
    assert(raw_bytes <= TRACE_FRAME_RAW_BYTES_MAX);
    if (writer->status != ACRE_OK) return writer->status;

    size_t stored_bytes = 0;
    if (raw_bytes > 0) {
        stored_bytes = ZSTD_compressCCtx(writer->compressor, writer->stored, ZSTD_compressBound(raw_bytes), raw, raw_bytes,
                                         COMPRESSION_LEVEL);
        if (ZSTD_isError(stored_bytes))
            return acre_fail(ACRE_IO, "trace '%s': %s", writer->path, ZSTD_getErrorName(stored_bytes));
    }
    trace_frame whole = *frame;
    whole.magic = TRACE_FRAME_MAGIC;
    whole.raw_bytes = (uint32_t)raw_bytes;
    whole.stored_bytes = (uint32_t)stored_bytes;
    whole.stored_check = (uint32_t)crc32(0, writer->stored, (uInt)stored_bytes);
    whole.check = (uint32_t)crc32(0, (const Bytef *)&whole, offsetof(trace_frame, check));
    if (fwrite(&whole, sizeof whole, 1, writer->file) != 1 ||
        fwrite(writer->stored, 1, stored_bytes, writer->file) != stored_bytes)
        return fail(writer);
    return ACRE_OK;
}

acre_status trace_writer_close(trace_writer *writer)
{
    (void)trace_writer_put(writer, &(trace_frame){.kind = TRACE_END}, NULL, 0);
    if (fclose(writer->file) != 0 && writer->status == ACRE_OK) (void)fail(writer);
    const acre_status status = writer->status;
    ZSTD_freeCCtx(writer->compressor);
    free(writer->stored);
    free(writer->path);
    free(writer);
    return status;
}
