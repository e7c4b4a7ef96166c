/* carve.h - lays arrays out one behind the other in memory of the caller. The same code finds out how much is needed: without memory it
 * only counts. */
#ifndef ACRE_POLICY_CARVE_H
#define ACRE_POLICY_CARVE_H

#include <acre/policy.h>

typedef struct acre_carver {
    unsigned char *memory; /* aligned to 8, or NULL */
    size_t used_bytes;
} acre_carver;

static inline void *acre_carve(acre_carver *carver, size_t count, size_t size)
{
    void *place = carver->memory == NULL ? NULL : carver->memory + carver->used_bytes;
    carver->used_bytes += (count * size + 7) & ~(size_t)7;
    return place;
}

#endif
