/* operators.c - every form of C++ operator new and delete, by the names that the Itanium C++ ABI gives them.
 *
 * In C, so that the library needs no C++ runtime. A form that must not return NULL calls the program's new handler as the
 * standard asks, and throws std::bad_alloc through the C++ library of the program, which is there if it calls operator new.
 */
#include "heap/heap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

typedef void new_handler(void);
extern new_handler *_ZSt15get_new_handlerv(void) __attribute__((weak));        /* std::get_new_handler */
extern _Noreturn void _ZSt17__throw_bad_allocv(void) __attribute__((weak));    /* std::__throw_bad_alloc */

/* What is common to all forms: ask again as long as there is a handler, then throw or return NULL. */
static __attribute__((noinline)) void *try_again(size_t size, size_t alignment, bool may_fail)
{
    for (;;) {
        bool is_zero;
        acre_heap *const heap = acre_process_heap();
        const acre_addr address =
            heap == NULL ? 0 : acre_alloc_aligned(heap, size, alignment, ACRE_HEAP_OP_NEW, &is_zero);
        if (address != 0) return (void *)(uintptr_t)address;
        new_handler *const handler = _ZSt15get_new_handlerv != NULL ? _ZSt15get_new_handlerv() : NULL;
        if (handler == NULL) break;
        handler();
    }
    errno = ENOMEM;
    if (may_fail) return NULL;
    if (_ZSt17__throw_bad_allocv != NULL) _ZSt17__throw_bad_allocv();
    acre_os_abort("acre: operator new of %zu bytes: out of memory, and no C++ library to throw std::bad_alloc", size);
}

static inline void *new_block(size_t size, bool may_fail)
{
    void *const block = acre_fast_alloc(size, ACRE_HEAP_OP_NEW);
    return acre_likely(block != NULL) ? block : try_again(size, ACRE_BLOCK_BYTES_MIN, may_fail);
}

#define NEW(name)                                                                                                      \
    EXPORT void *name(size_t size);                                                                                    \
    EXPORT void *name(size_t size) { return new_block(size, false); }
#define NEW_NOTHROW(name)                                                                                              \
    EXPORT void *name(size_t size, const void *nothrow);                                                               \
    EXPORT void *name(size_t size, const void *nothrow)                                                                \
    {                                                                                                                  \
        (void)nothrow;                                                                                                 \
        return new_block(size, true);                                                                                  \
    }
#define NEW_ALIGNED(name)                                                                                              \
    EXPORT void *name(size_t size, size_t alignment);                                                                  \
    EXPORT void *name(size_t size, size_t alignment) { return try_again(size, alignment, false); }
#define NEW_ALIGNED_NOTHROW(name)                                                                                      \
    EXPORT void *name(size_t size, size_t alignment, const void *nothrow);                                             \
    EXPORT void *name(size_t size, size_t alignment, const void *nothrow)                                              \
    {                                                                                                                  \
        (void)nothrow;                                                                                                 \
        return try_again(size, alignment, true);                                                                       \
    }

NEW(_Znwm)
NEW(_Znam)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

#define DELETE(name)                                                                                                   \
    EXPORT void name(void *block);                                                                                     \
    EXPORT void name(void *block) { acre_fast_free(block, "operator delete"); }
#define DELETE_NOTHROW(name)                                                                                           \
    EXPORT void name(void *block, const void *nothrow);                                                                \
    EXPORT void name(void *block, const void *nothrow)                                                                 \
    {                                                                                                                  \
        (void)nothrow;                                                                                                 \
        acre_fast_free(block, "operator delete");                                                                      \
    }
#define DELETE_SIZED(name)                                                                                             \
    EXPORT void name(void *block, size_t size);                                                                        \
    EXPORT void name(void *block, size_t size) { acre_fast_free_sized(block, "operator delete", size, 0); }
#define DELETE_ALIGNED(name)                                                                                           \
    EXPORT void name(void *block, size_t alignment);                                                                   \
    EXPORT void name(void *block, size_t alignment) { acre_fast_free_sized(block, "operator delete", 0, alignment); }
#define DELETE_SIZED_ALIGNED(name)                                                                                     \
    EXPORT void name(void *block, size_t size, size_t alignment);                                                      \
    EXPORT void name(void *block, size_t size, size_t alignment)                                                       \
    {                                                                                                                  \
        acre_fast_free_sized(block, "operator delete", size, alignment);                                               \
    }
#define DELETE_ALIGNED_NOTHROW(name)                                                                                   \
    EXPORT void name(void *block, size_t alignment, const void *nothrow);                                              \
    EXPORT void name(void *block, size_t alignment, const void *nothrow)                                               \
    {                                                                                                                  \
        (void)nothrow;                                                                                                 \
        acre_fast_free_sized(block, "operator delete", 0, alignment);                                                  \
    }

DELETE(_ZdlPv)
DELETE(_ZdaPv)
DELETE_SIZED(_ZdlPvm)
DELETE_SIZED(_ZdaPvm)
DELETE_NOTHROW(_ZdlPvRKSt9nothrow_t)
DELETE_NOTHROW(_ZdaPvRKSt9nothrow_t)
DELETE_ALIGNED(_ZdlPvSt11align_val_t)
DELETE_ALIGNED(_ZdaPvSt11align_val_t)
DELETE_SIZED_ALIGNED(_ZdlPvmSt11align_val_t)
DELETE_SIZED_ALIGNED(_ZdaPvmSt11align_val_t)
DELETE_ALIGNED_NOTHROW(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE_ALIGNED_NOTHROW(_ZdaPvSt11align_val_tRKSt9nothrow_t)
