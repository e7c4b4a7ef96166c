/* spaces.h - every kind of space, opened for a test, and one that fails when told to. */
#ifndef ACRE_TESTS_SUPPORT_SPACES_H
#define ACRE_TESTS_SUPPORT_SPACES_H

#include <acre/space.h>

enum { TEST_SPACE_COUNT = ACRE_SPACE_KIND_COUNT };

/* Opens the space of one kind with `size` bytes (pages have no size). Returns ACRE_UNSUPPORTED where the kernel lacks it. */
acre_status test_space_open(acre_space *space, acre_space_kind kind, uint64_t size);
void test_space_close(acre_space *space);

/* A space of fixed size over host memory, whose reserves and commits can be made to fail. */
typedef struct failing_space {
    acre_space space;
    void *bytes;
    uint64_t calls;       /* reserves and commits so far */
    uint64_t failing_call; /* this one fails, counted from 1; 0: none does */
    uint64_t reserved;    /* not released, in bytes */
} failing_space;

void failing_space_open(failing_space *failing, uint64_t size);
void failing_space_close(failing_space *failing);

#endif
