/* pages.h - what install.c knows of the page cache. */
#ifndef ACRE_BINDINGS_SQLITE_PAGES_H
#define ACRE_BINDINGS_SQLITE_PAGES_H

#include <acre/heap.h>
#include <acre/sqlite.h>
#include <sqlite3.h>
#include <stdio.h>

extern const sqlite3_pcache_methods2 acre_sqlite_pages;

/* Before SQLite calls any of them. `record_file` is taken over; NULL: nothing is recorded. */
void acre_sqlite_set_up_pages(acre_heap *heap, acre_policy_kind kind, uint64_t budget_bytes, FILE *record_file);

/* ACRE_UNSUPPORTED: there is no budget. */
acre_status acre_sqlite_set_pages_budget(uint64_t budget_bytes);

#endif
