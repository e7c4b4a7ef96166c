/* format.h - printf for places where libc's may not be called: inside malloc, in a signal handler, on a microcontroller.
 *
 * It knows %s %c %d %u %x %zu %zx %lld %llu %llx %p %%, and no widths or flags. It never allocates and never fails: a
 * text that does not fit is cut, and always ends in 0.
 */
#ifndef ACRE_BASE_FORMAT_H
#define ACRE_BASE_FORMAT_H

#include <acre/status.h>
#include <stdarg.h>
#include <stddef.h>

/* Writes at most `size` bytes, the ending 0 included; `size` > 0. Returns the length of what was written. O(length). */
size_t acre_format_list(char *text, size_t size, const char *format, va_list arguments);
size_t acre_format(char *text, size_t size, const char *format, ...) ACRE_PRINTF(3, 4);

#endif
