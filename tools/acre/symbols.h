/* symbols.h - from return addresses to functions, files and lines, with elfutils. Not thread safe.
 *
 * Works on the files that the trace names, as they are when the report is made. A module that is gone leaves its name and
 * an offset. Names are demangled when libstdc++ is there.
 */
#ifndef ACRE_TOOL_SYMBOLS_H
#define ACRE_TOOL_SYMBOLS_H

#include "trace_reader.h"

typedef struct symbol_frame {
    const char *function; /* never NULL: "libfoo.so+0x1234" when nothing better is known */
    const char *file;     /* NULL: unknown */
    const char *module;   /* base name of the file that the code is from; "" unknown */
    uint32_t line;        /* 0: unknown */
    bool is_inlined;      /* into the next frame */
} symbol_frame;

typedef struct symbols symbols;

/* For one process; `info` must outlive it. */
symbols *symbols_open(const trace_process_info *info);
void symbols_close(symbols *self);

/* The frames of a return address, innermost first: the functions that are inlined there, then the function itself. At least
 * one. They stay valid until symbols_close. Cached: O(1) for an address seen before. */
const symbol_frame *symbols_at(symbols *self, uint64_t return_address, size_t *count);

#endif
