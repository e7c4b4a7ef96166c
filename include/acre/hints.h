/* hints.h - what a caller may say about a block. A hint never changes whether a call succeeds, only where and how well.
 * Example: examples/hints.c.
 */
#ifndef ACRE_HINTS_H
#define ACRE_HINTS_H

#include <stdint.h>

typedef enum acre_lifetime {
    ACRE_LIFETIME_UNKNOWN,
    ACRE_LIFETIME_SHORT, /* freed within the call or the request that made it */
    ACRE_LIFETIME_LONG,  /* lives about as long as the program */
    ACRE_LIFETIME_PHASE, /* freed together with its neighbours */
} acre_lifetime;

typedef enum acre_hotness { ACRE_HOTNESS_UNKNOWN, ACRE_HOT, ACRE_COLD } acre_hotness;

typedef enum acre_access {
    ACRE_ACCESS_UNKNOWN,
    ACRE_ACCESS_HOST,        /* mostly by the CPU */
    ACRE_ACCESS_DEVICE,      /* mostly by a device */
    ACRE_ACCESS_READ_MOSTLY, /* written once */
    ACRE_ACCESS_SEQUENTIAL,
    ACRE_ACCESS_RANDOM,
} acre_access;

typedef enum acre_huge_pages { ACRE_HUGE_DEFAULT, ACRE_HUGE_PREFER, ACRE_HUGE_NEVER } acre_huge_pages;

/* All zero means "nothing is known"; NULL means the same wherever a pointer to hints is taken. */
typedef struct acre_hints {
    uint8_t lifetime;    /* acre_lifetime */
    uint8_t hotness;     /* acre_hotness */
    uint8_t access;      /* acre_access */
    uint8_t huge_pages;  /* acre_huge_pages */
    uint16_t tag;        /* the caller's own number for reports; 0 is none */
    uint16_t isolation;  /* blocks of different numbers never share a page; 0 is shared */
} acre_hints;

#endif
