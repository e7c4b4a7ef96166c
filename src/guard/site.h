/* site.h - call sites that blocks keep: a stack has a number, and a block keeps four bytes.
 *
 * A table of fixed size that is only added to: find and add are O(1) expected and lock free. When it is full further stacks have number
 * 0, "not known".
 */
#ifndef ACRE_GUARD_SITE_H
#define ACRE_GUARD_SITE_H

#include <acre/guard.h>

enum { ACRE_SITE_TABLE_COUNT = 32768 };

typedef struct acre_site_entry {
    uint64_t hash; /* 0: unused, or being filled in when site.count is 0 */
    acre_site site;
} acre_site_entry;

/* True when stacks are read. */
bool acre_sites_are_kept(void);

/* The stack of the caller; count 0 when stacks are not read, or while the unwinder itself allocates. */
void acre_site_capture(acre_site *site);

/* The number of the caller's stack in a table of ACRE_SITE_TABLE_COUNT zeroed entries; 0: none. */
uint32_t acre_site_keep(acre_site_entry *table);

/* What a number stands for. */
acre_site acre_site_get(const acre_site_entry *table, uint32_t number);

#endif
