/* format.c - see format.h. One pass over the format; `put` is the only place that knows where the text ends. */
#include "base/format.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct output {
    char *text;
    size_t length; /* always < size */
    size_t size;
} output;

static void put(output *out, char c)
{
    if (out->length + 1 < out->size) out->text[out->length++] = c;
}

static void put_text(output *out, const char *text)
{
    for (const char *c = text != NULL ? text : "(null)"; *c != 0; c++) put(out, *c);
}

static void put_number(output *out, uint64_t value, unsigned base)
{
    char digits[20]; /* 2^64 has 20 decimal digits */
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0) put(out, digits[--count]);
}

static void put_signed(output *out, int64_t value)
{
    if (value < 0) put(out, '-');
    put_number(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

/* The number of `l` or `z` before a conversion tells how wide its argument is. */
static uint64_t next_unsigned(va_list *arguments, int longs, bool is_size)
{
    if (is_size) return va_arg(*arguments, size_t);
    if (longs == 2) return va_arg(*arguments, unsigned long long);
    if (longs == 1) return va_arg(*arguments, unsigned long);
    return va_arg(*arguments, unsigned);
}

static int64_t next_signed(va_list *arguments, int longs)
{
    if (longs == 2) return va_arg(*arguments, long long);
    if (longs == 1) return va_arg(*arguments, long);
    return va_arg(*arguments, int);
}

size_t acre_format_list(char *text, size_t size, const char *format, va_list arguments)
{
    assert(text != NULL && size > 0 && format != NULL);
    output out = {.text = text, .length = 0, .size = size};
    va_list rest;
    va_copy(rest, arguments);

    for (const char *c = format; *c != 0; c++) {
        if (*c != '%') {
            put(&out, *c);
            continue;
        }
        int longs = 0;
        bool is_size = false;
        for (c++; *c == 'l' || *c == 'z'; c++) {
            if (*c == 'z') is_size = true;
            else longs++;
        }
        switch (*c) {
        case 's': put_text(&out, va_arg(rest, const char *)); break;
        case 'c': put(&out, (char)va_arg(rest, int)); break;
        case 'd': put_signed(&out, next_signed(&rest, longs)); break;
        case 'u': put_number(&out, next_unsigned(&rest, longs, is_size), 10); break;
        case 'x': put_number(&out, next_unsigned(&rest, longs, is_size), 16); break;
        case 'p':
            put_text(&out, "0x");
            put_number(&out, (uint64_t)(uintptr_t)va_arg(rest, void *), 16);
            break;
        case '%': put(&out, '%'); break;
        default: assert(!"a conversion that format.h does not list"); c--; break;
        }
    }
    va_end(rest);
    out.text[out.length] = 0;
    return out.length;
}

size_t acre_format(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t length = acre_format_list(text, size, format, arguments);
    va_end(arguments);
    return length;
}
