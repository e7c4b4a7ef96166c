/* cache_trace.h - what a cache was asked for: reads traces of every usual format, one key after the other.
 *
 * Which number of a record is the key, and so what counts as one entry of the cache, docs/cache.md says for each format, and which ones
 * tell writes from reads; sizes and times are not looked at. No format is trusted: what does not fit is an error with its place and value.
 */
#ifndef ACRE_TOOL_CACHE_TRACE_H
#define ACRE_TOOL_CACHE_TRACE_H

#include "cache_input.h"

typedef enum cache_format {
    CACHE_FORMAT_AUTO = 0,  /* by the file's name, else by what is in it */
    CACHE_FORMAT_NUMBERS,   /* text: a number a line; lines `*` part phases */
    CACHE_FORMAT_CSV,       /* text: columns, with or without a line of names */
    CACHE_FORMAT_ADDRESSES, /* text: `l` or `s`, 0xaddress, gap */
    CACHE_FORMAT_ACCESSES,  /* text: a number, `r` or `w` */
    CACHE_FORMAT_BE32,      /* big-endian numbers */
    CACHE_FORMAT_BE64,
    CACHE_FORMAT_ORACLE_GENERAL, /* libCacheSim's: little-endian {u32 time, u64 id, u32 size, i64 next} */
    CACHE_FORMAT_VSCSI,          /* VMware's vscsiStats, versions 1 and 2 */
    CACHE_FORMAT_ACRE,           /* `acre run --record` */
} cache_format;

enum { CACHE_FORMAT_COUNT = 10 };

const char *cache_format_name(cache_format format);

/* False: no format is called like that. */
bool cache_format_named(const char *name, cache_format *format);

typedef struct cache_trace_options {
    cache_format format;
    const char *column;  /* csv: name or number, from 1, of the column with the keys; NULL: see docs/cache.md */
    uint64_t process_id; /* acre: 0 means the process with the most events */
} cache_trace_options;

typedef struct cache_trace_info {
    cache_format format;
    uint64_t request_count;
    bool is_write; /* the request whose key is being given; false where the format does not tell */
    char *warning; /* part of the trace is missing; NULL if not. To be freed */
} cache_trace_info;

/* False: enough, reading ends there. */
typedef bool cache_trace_take(void *context, uint64_t key);

/* Gives each key to `take`, in order. ACRE_INVALID: options that do not fit this trace, or an empty one. ACRE_CORRUPT: it is damaged.
 * ACRE_IO, ACRE_NO_MEMORY. */
acre_status cache_trace_read(cache_input *input, const cache_trace_options *options, cache_trace_take *take, void *context,
                             cache_trace_info *info);

#endif
