/* level.h - safety levels as text, as ACRE_GUARD and `acre run --guard` have them. */
#ifndef ACRE_GUARD_LEVEL_H
#define ACRE_GUARD_LEVEL_H

#include <acre/guard.h>

#define ACRE_GUARD_TEXTS "L0, L1, L2, L3[:1/N], L1+L3[:1/N], L2+L3[:1/N] with N from 1 to 1000000"

/* False: it is none of these, and nothing is set. */
bool acre_guard_read(const char *text, acre_guard_level *level, acre_guard_limits *limits);

#endif
