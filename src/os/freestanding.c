/* freestanding.c - os.h for a machine without an operating system: static memory only, one thread of execution. */
#include "os/os.h"

void acre_lock_wait(acre_lock *lock)
{
    while (!acre_lock_try(lock)) {} /* held by an interrupted context on another core */
}

void acre_lock_wake(acre_lock *lock) { (void)lock; }

size_t acre_os_page_size(void) { return 4096; }

void acre_os_write_error(const char *text, size_t length)
{
    (void)text;
    (void)length;
}

_Noreturn void acre_os_abort(const char *format, ...)
{
    (void)format;
    __builtin_trap();
}
