/* failing_malloc.h - host memory that fails at the k-th call, for what is linked with wrap_args of meson.build. For one file only. */
#ifndef ACRE_TESTS_GPU_FAILING_MALLOC_H
#define ACRE_TESTS_GPU_FAILING_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
/* The linker looks for them on behalf of a sanitizer's library, too. */
__attribute__((visibility("default"))) void *__wrap_malloc(size_t size);
__attribute__((visibility("default"))) void *__wrap_calloc(size_t count, size_t size);
__attribute__((visibility("default"))) void *__wrap_realloc(void *block, size_t size);

/* The k-th call from here on (from 1), and no other, fails; 0: none. */
static unsigned long malloc_calls, malloc_fail_at;

static bool is_malloc_due(void) { return ++malloc_calls == malloc_fail_at; }

void *__wrap_malloc(size_t size) { return is_malloc_due() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return is_malloc_due() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *block, size_t size) { return is_malloc_due() ? NULL : __real_realloc(block, size); }

static void fail_malloc_at(unsigned long call)
{
    malloc_calls = 0;
    malloc_fail_at = call;
}

#endif
