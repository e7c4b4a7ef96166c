/* checked.c - memcpy, memmove, memset and the strings' copies, with a look at both ends: does what is read and written lie in one block
 * that is in use?
 *
 * Loaded beside libacre-malloc by `acre run --guard`, and only then. What belongs to no heap (stacks, data) is not looked at. Each call
 * costs 12 instructions twice, mostly. The copying itself is the C library's.
 *
 * Until the C library's functions have been found (constructors of other libraries may come first), plain loops copy, unchecked. What
 * libacre-malloc itself copies and fills, blocks that are free among it, is not checked either.
 */
#include "heap/bounds.h"

#include <acre/guard.h>

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* NULL without libacre-malloc. */
#pragma weak acre_bounds_of_window
#pragma weak acre_check
#pragma weak acre_check_access

typedef void *copy_function(void *to, const void *from, size_t size);
typedef void *fill_function(void *to, int byte, size_t size);

static copy_function *real_memcpy, *real_memmove;
static fill_function *real_memset;
static uintptr_t heap_begin, heap_end; /* code and data of libacre-malloc */

/* ---- plain ---- */

static void *plain_copy(void *to, const void *from, size_t size)
{
    volatile char *const target = to;
    const char *const source = from;
    if ((uintptr_t)to <= (uintptr_t)from) {
        for (size_t i = 0; i < size; i++) target[i] = source[i];
    } else {
        for (size_t i = size; i-- > 0;) target[i] = source[i];
    }
    return to;
}

static void *plain_fill(void *to, int byte, size_t size)
{
    volatile char *const target = to;
    for (size_t i = 0; i < size; i++) target[i] = (char)byte;
    return to;
}

/* ---- finding ---- */

static int find_heap(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    uintptr_t begin = UINTPTR_MAX, end = 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *const part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD) continue;
        const uintptr_t at = info->dlpi_addr + part->p_vaddr;
        if (at < begin) begin = at;
        if (at + part->p_memsz > end) end = at + part->p_memsz;
    }
    if ((uintptr_t)acre_check < begin || (uintptr_t)acre_check >= end) return 0;
    heap_begin = begin;
    heap_end = end;
    return 1;
}

__attribute__((constructor(101))) static void find(void)
{
    /* without libacre-malloc there is nothing to check */
    if (acre_check == NULL || acre_check_access == NULL || &acre_bounds_of_window == NULL) return;
    (void)dl_iterate_phdr(find_heap, NULL);
    *(void **)&real_memmove = dlsym(RTLD_NEXT, "memmove");
    *(void **)&real_memset = dlsym(RTLD_NEXT, "memset");
    *(void **)&real_memcpy = dlsym(RTLD_NEXT, "memcpy");
}

/* ---- checking ---- */

/* The fault is reported; where a handler lets the program go on, the call is made as it was asked for. */
__attribute__((noinline)) static void look_again(const void *at, size_t size, acre_touch touch, const char *operation, const void *caller)
{
    if (acre_check(at, size) || (uintptr_t)caller - heap_begin < heap_end - heap_begin) return;
    (void)acre_check_access(at, size, touch, operation);
}

static inline void check(const void *at, size_t size, acre_touch touch, const char *operation, const void *caller)
{
    if (__builtin_expect(!acre_bounds_allow(&acre_bounds_of_window, (uintptr_t)at, size), 0))
        look_again(at, size, touch, operation, caller);
}

static inline void *copy(copy_function *real, void *to, const void *from, size_t size, const char *operation, const void *caller)
{
    if (real == NULL) return plain_copy(to, from, size);
    check(from, size, ACRE_TOUCH_READ, operation, caller);
    check(to, size, ACRE_TOUCH_WRITE, operation, caller);
    return real(to, from, size);
}

static inline void *fill(void *to, int byte, size_t size, const void *caller)
{
    if (real_memset == NULL) return plain_fill(to, byte, size);
    check(to, size, ACRE_TOUCH_WRITE, "memset", caller);
    return real_memset(to, byte, size);
}

/* Copies a string of at most `max` bytes, and the 0. Returns where that went. */
static inline char *copy_string(char *to, const char *from, size_t max, const char *operation, const void *caller)
{
    const size_t length = strnlen(from, max);
    if (real_memcpy != NULL) {
        check(from, length + (length < max), ACRE_TOUCH_READ, operation, caller);
        check(to, length + 1, ACRE_TOUCH_WRITE, operation, caller);
    }
    (void)(real_memcpy != NULL ? real_memcpy : plain_copy)(to, from, length);
    to[length] = 0;
    return to + length;
}

static inline char *copy_padded(char *to, const char *from, size_t size, const void *caller)
{
    const size_t length = strnlen(from, size);
    if (real_memcpy != NULL) {
        check(from, length + (length < size), ACRE_TOUCH_READ, "strncpy", caller);
        check(to, size, ACRE_TOUCH_WRITE, "strncpy", caller);
    }
    (void)(real_memcpy != NULL ? real_memcpy : plain_copy)(to, from, length);
    (void)(real_memset != NULL ? real_memset : plain_fill)(to + length, 0, size - length);
    return to;
}

#define CALLER __builtin_return_address(0)

EXPORT void *memcpy(void *to, const void *from, size_t size) { return copy(real_memcpy, to, from, size, "memcpy", CALLER); }
EXPORT void *memmove(void *to, const void *from, size_t size) { return copy(real_memmove, to, from, size, "memmove", CALLER); }
EXPORT void *memset(void *to, int byte, size_t size) { return fill(to, byte, size, CALLER); }
EXPORT void *mempcpy(void *to, const void *from, size_t size)
{
    return (char *)copy(real_memcpy, to, from, size, "mempcpy", CALLER) + size;
}
EXPORT char *strcpy(char *to, const char *from)
{
    (void)copy_string(to, from, SIZE_MAX, "strcpy", CALLER);
    return to;
}
EXPORT char *stpcpy(char *to, const char *from) { return copy_string(to, from, SIZE_MAX, "stpcpy", CALLER); }
EXPORT char *strncpy(char *to, const char *from, size_t size) { return copy_padded(to, from, size, CALLER); }
EXPORT char *strcat(char *to, const char *from)
{
    (void)copy_string(to + strlen(to), from, SIZE_MAX, "strcat", CALLER);
    return to;
}
EXPORT char *strncat(char *to, const char *from, size_t size)
{
    (void)copy_string(to + strlen(to), from, size, "strncat", CALLER);
    return to;
}

/* The names that _FORTIFY_SOURCE gives them, with what the compiler knew of the room. */
extern _Noreturn void __chk_fail(void) __attribute__((weak)); /* of glibc: ends the program with a message */
extern _Noreturn void abort(void);

static _Noreturn void fail(void)
{
    if (__chk_fail != NULL) __chk_fail();
    abort();
}

EXPORT void *__memcpy_chk(void *to, const void *from, size_t size, size_t room);
EXPORT void *__memmove_chk(void *to, const void *from, size_t size, size_t room);
EXPORT void *__mempcpy_chk(void *to, const void *from, size_t size, size_t room);
EXPORT void *__memset_chk(void *to, int byte, size_t size, size_t room);
EXPORT char *__strcpy_chk(char *to, const char *from, size_t room);
EXPORT char *__stpcpy_chk(char *to, const char *from, size_t room);
EXPORT char *__strncpy_chk(char *to, const char *from, size_t size, size_t room);
EXPORT char *__strcat_chk(char *to, const char *from, size_t room);
EXPORT char *__strncat_chk(char *to, const char *from, size_t size, size_t room);

void *__memcpy_chk(void *to, const void *from, size_t size, size_t room)
{
    if (size > room) fail();
    return copy(real_memcpy, to, from, size, "memcpy", CALLER);
}

void *__memmove_chk(void *to, const void *from, size_t size, size_t room)
{
    if (size > room) fail();
    return copy(real_memmove, to, from, size, "memmove", CALLER);
}

void *__mempcpy_chk(void *to, const void *from, size_t size, size_t room)
{
    if (size > room) fail();
    return (char *)copy(real_memcpy, to, from, size, "mempcpy", CALLER) + size;
}

void *__memset_chk(void *to, int byte, size_t size, size_t room)
{
    if (size > room) fail();
    return fill(to, byte, size, CALLER);
}

char *__strcpy_chk(char *to, const char *from, size_t room)
{
    if (strlen(from) >= room) fail();
    (void)copy_string(to, from, SIZE_MAX, "strcpy", CALLER);
    return to;
}

char *__stpcpy_chk(char *to, const char *from, size_t room)
{
    if (strlen(from) >= room) fail();
    return copy_string(to, from, SIZE_MAX, "stpcpy", CALLER);
}

char *__strncpy_chk(char *to, const char *from, size_t size, size_t room)
{
    if (size > room) fail();
    return copy_padded(to, from, size, CALLER);
}

char *__strcat_chk(char *to, const char *from, size_t room)
{
    const size_t length = strlen(to);
    if (length >= room || strlen(from) >= room - length) fail();
    (void)copy_string(to + length, from, SIZE_MAX, "strcat", CALLER);
    return to;
}

char *__strncat_chk(char *to, const char *from, size_t size, size_t room)
{
    const size_t length = strlen(to);
    if (length >= room || strnlen(from, size) >= room - length) fail();
    (void)copy_string(to + length, from, size, "strncat", CALLER);
    return to;
}
