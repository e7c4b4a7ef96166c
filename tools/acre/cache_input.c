/* cache_input.c - see cache_input.h. */
#include "cache_input.h"

#include "base/status.h"
#include "command.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

enum { RAW_BYTES = 64 * 1024, BUFFER_BYTES = 4 * CACHE_INPUT_LOOK_BYTES, XZ_MEMORY_BYTES = 512 * 1024 * 1024 };

typedef enum packing { PLAIN, GZIP, XZ, ZSTD } packing;

struct cache_input {
    char *name;
    FILE *file; /* NULL: `memory` */
    const uint8_t *memory;
    size_t memory_length;
    uint64_t file_length; /* 0: not known */
    uint64_t raw_taken;   /* bytes of the file that were read, or of the memory */
    uint8_t *raw;         /* what was read and not unpacked yet: [raw_begin, raw_end) */
    size_t raw_begin, raw_end;
    bool is_raw_end; /* nothing comes after it */
    packing packing;
    z_stream gzip;
    lzma_stream xz;
    ZSTD_DStream *zstd;
    bool is_between; /* gzip, zstd: one member or frame has ended and no other has begun */
    bool is_end;     /* all that can be unpacked is in the buffer */
    uint8_t *buffer; /* unpacked and not taken yet: [begin, end) */
    size_t begin, end;
    uint64_t taken;
    uint64_t limit;
};

static acre_status read_raw(cache_input *self)
{
    if (self->raw_begin < self->raw_end || self->is_raw_end) return ACRE_OK;
    self->raw_begin = 0;
    if (self->file != NULL) {
        self->raw_end = fread(self->raw, 1, RAW_BYTES, self->file);
        if (ferror(self->file) != 0) return acre_fail(ACRE_IO, "'%s' can't be read: %s", self->name, strerror(errno));
    } else {
        const size_t left = self->memory_length - (size_t)self->raw_taken;
        self->raw_end = left < RAW_BYTES ? left : RAW_BYTES;
        if (self->raw_end > 0) memcpy(self->raw, self->memory + self->raw_taken, self->raw_end);
    }
    self->raw_taken += self->raw_end;
    self->is_raw_end = self->raw_end == 0;
    return ACRE_OK;
}

static acre_status damaged(const cache_input *self, const char *what)
{
    const uint64_t at = self->raw_taken - (self->raw_end - self->raw_begin);
    return acre_fail(ACRE_CORRUPT, "'%s': %s data is damaged before byte %llu: %s", self->name, cache_input_packing(self),
                     (unsigned long long)at, what);
}

static acre_status unpack_gzip(cache_input *self)
{
    z_stream *const z = &self->gzip;
    if (self->is_between) {
        if (self->is_raw_end) {
            self->is_end = true;
            return ACRE_OK;
        }
        if (inflateReset(z) != Z_OK) return damaged(self, "no state");
        self->is_between = false;
    }
    z->next_in = self->raw + self->raw_begin;
    z->avail_in = (uInt)(self->raw_end - self->raw_begin);
    z->next_out = self->buffer + self->end;
    z->avail_out = (uInt)(BUFFER_BYTES - self->end);
    const int result = inflate(z, Z_NO_FLUSH);
    self->raw_begin = self->raw_end - z->avail_in;
    self->end = BUFFER_BYTES - z->avail_out;
    if (result == Z_STREAM_END) {
        self->is_between = true;
        return ACRE_OK;
    }
    if (result == Z_MEM_ERROR) return acre_fail(ACRE_NO_MEMORY, "'%s': no memory to unpack it", self->name);
    if (result != Z_OK && result != Z_BUF_ERROR) return damaged(self, z->msg != NULL ? z->msg : "no gzip data");
    return self->is_raw_end && z->avail_out > 0 ? damaged(self, "it is cut off") : ACRE_OK;
}

static acre_status unpack_xz(cache_input *self)
{
    lzma_stream *const xz = &self->xz;
    xz->next_in = self->raw + self->raw_begin;
    xz->avail_in = self->raw_end - self->raw_begin;
    xz->next_out = self->buffer + self->end;
    xz->avail_out = BUFFER_BYTES - self->end;
    const lzma_ret result = lzma_code(xz, self->is_raw_end ? LZMA_FINISH : LZMA_RUN);
    self->raw_begin = self->raw_end - xz->avail_in;
    self->end = BUFFER_BYTES - xz->avail_out;
    if (result == LZMA_STREAM_END) self->is_end = true;
    if (result == LZMA_OK || result == LZMA_STREAM_END) return ACRE_OK;
    if (result == LZMA_MEM_ERROR || result == LZMA_MEMLIMIT_ERROR)
        return acre_fail(ACRE_NO_MEMORY, "'%s': no memory to unpack it, or more than 512 MiB are needed", self->name);
    return damaged(self, result == LZMA_BUF_ERROR    ? "it is cut off"
                         : result == LZMA_DATA_ERROR ? "a checksum or a code is wrong"
                                                     : "no xz data");
}

static acre_status unpack_zstd(cache_input *self)
{
    if (self->is_raw_end && self->is_between) {
        self->is_end = true;
        return ACRE_OK;
    }
    ZSTD_inBuffer in = {self->raw, self->raw_end, self->raw_begin};
    ZSTD_outBuffer out = {self->buffer, BUFFER_BYTES, self->end};
    const size_t result = ZSTD_decompressStream(self->zstd, &out, &in);
    const bool is_stuck = self->is_raw_end && out.pos == self->end;
    self->raw_begin = in.pos;
    self->end = out.pos;
    if (ZSTD_isError(result)) return damaged(self, ZSTD_getErrorName(result));
    self->is_between = result == 0;
    return is_stuck && !self->is_between ? damaged(self, "it is cut off") : ACRE_OK;
}

static acre_status unpack_plain(cache_input *self)
{
    const size_t here = self->raw_end - self->raw_begin, room = BUFFER_BYTES - self->end;
    const size_t length = here < room ? here : room;
    memcpy(self->buffer + self->end, self->raw + self->raw_begin, length);
    self->raw_begin += length;
    self->end += length;
    self->is_end = self->is_raw_end;
    return ACRE_OK;
}

static acre_status unpack(cache_input *self)
{
    const acre_status status = read_raw(self);
    if (status != ACRE_OK) return status;
    switch (self->packing) {
    case GZIP:
        return unpack_gzip(self);
    case XZ:
        return unpack_xz(self);
    case ZSTD:
        return unpack_zstd(self);
    default:
        return unpack_plain(self);
    }
}

acre_status cache_input_look(cache_input *input, const uint8_t **bytes, size_t *length)
{
    if (input->end - input->begin < CACHE_INPUT_LOOK_BYTES && input->begin > 0) {
        memmove(input->buffer, input->buffer + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    while (input->end - input->begin < CACHE_INPUT_LOOK_BYTES && !input->is_end) {
        const acre_status status = unpack(input);
        if (status != ACRE_OK) return status;
    }
    const size_t here = input->end - input->begin;
    const uint64_t left = input->limit - input->taken;
    *bytes = input->buffer + input->begin;
    *length = here < CACHE_INPUT_LOOK_BYTES ? here : CACHE_INPUT_LOOK_BYTES;
    if (*length > left) *length = (size_t)left;
    return ACRE_OK;
}

void cache_input_take(cache_input *input, size_t length)
{
    input->begin += length;
    input->taken += length;
}

uint64_t cache_input_place(const cache_input *input) { return input->taken; }

double cache_input_share(const cache_input *input)
{
    return input->file_length == 0 ? 0 : (double)input->raw_taken / (double)input->file_length;
}

const char *cache_input_packing(const cache_input *input)
{
    static const char *const names[] = {"", "gzip", "xz", "zstd"};
    return names[input->packing];
}

const char *cache_input_name(const cache_input *input) { return input->name; }

static packing packing_of(const uint8_t *bytes, size_t length)
{
    static const uint8_t xz_magic[] = {0xfd, '7', 'z', 'X', 'Z', 0}, zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd},
                         gzip_magic[] = {0x1f, 0x8b, 8};
    if (length >= sizeof gzip_magic && memcmp(bytes, gzip_magic, sizeof gzip_magic) == 0) return GZIP;
    if (length >= sizeof xz_magic && memcmp(bytes, xz_magic, sizeof xz_magic) == 0) return XZ;
    if (length >= sizeof zstd_magic && memcmp(bytes, zstd_magic, sizeof zstd_magic) == 0) return ZSTD;
    return PLAIN;
}

static acre_status begin(cache_input *self)
{
    enum { ANY_WINDOW_WITH_GZIP_HEADER = 15 + 16 };
    self->raw = must_alloc(RAW_BYTES);
    self->buffer = must_alloc(BUFFER_BYTES);
    const acre_status status = read_raw(self);
    if (status != ACRE_OK) return status;
    self->packing = packing_of(self->raw, self->raw_end);
    bool is_ready = true;
    if (self->packing == GZIP) is_ready = inflateInit2(&self->gzip, ANY_WINDOW_WITH_GZIP_HEADER) == Z_OK;
    if (self->packing == XZ) is_ready = lzma_stream_decoder(&self->xz, XZ_MEMORY_BYTES, LZMA_CONCATENATED) == LZMA_OK;
    if (self->packing == ZSTD) is_ready = (self->zstd = ZSTD_createDStream()) != NULL;
    return is_ready ? ACRE_OK : acre_fail(ACRE_NO_MEMORY, "'%s': no memory to unpack it", self->name);
}

static acre_status opened(cache_input *self, cache_input **out)
{
    const acre_status status = begin(self);
    if (status == ACRE_OK)
        *out = self;
    else
        cache_input_close(self);
    return status;
}

acre_status cache_input_open(cache_input **out, const char *path)
{
    struct stat about;
    FILE *const file = fopen(path, "re");
    if (file == NULL) return acre_fail(ACRE_IO, "'%s' can't be read: %s", path, strerror(errno));
    cache_input *const self = must_calloc(1, sizeof *self);
    self->name = must_copy(path);
    self->file = file;
    self->limit = UINT64_MAX;
    if (fstat(fileno(file), &about) == 0 && S_ISREG(about.st_mode)) self->file_length = (uint64_t)about.st_size;
    return opened(self, out);
}

acre_status cache_input_open_memory(cache_input **out, const char *name, const uint8_t *bytes, size_t length, uint64_t limit_bytes)
{
    cache_input *const self = must_calloc(1, sizeof *self);
    self->name = must_copy(name);
    self->memory = bytes;
    self->memory_length = length;
    self->file_length = length;
    self->limit = limit_bytes;
    return opened(self, out);
}

void cache_input_close(cache_input *input)
{
    if (input == NULL) return;
    if (input->packing == GZIP) (void)inflateEnd(&input->gzip);
    if (input->packing == XZ) lzma_end(&input->xz);
    (void)ZSTD_freeDStream(input->zstd);
    if (input->file != NULL) (void)fclose(input->file);
    free(input->name);
    free(input->raw);
    free(input->buffer);
    free(input);
}
