/* install.c - gives SQLite its page cache, and a heap for the rest of its memory. */
#include "pages.h"

#include "base/status.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static acre_heap *heap;

/* SQLite asks for the size of a block with each call, so it stands before it. That also keeps blocks of a page's length away from the ends
 * of pages: see pages.c. */
typedef struct header {
    uint64_t size_bytes;
} header;

static void *take(int bytes)
{
    header *h = acre_heap_alloc(heap, (size_t)bytes + sizeof *h);
    if (h == NULL) return NULL;
    h->size_bytes = (uint64_t)bytes;
    return h + 1;
}

static void give(void *block) { acre_heap_free(heap, (header *)block - 1); }

static void *resize(void *block, int bytes)
{
    header *h = acre_heap_resize(heap, (header *)block - 1, (size_t)bytes + sizeof *h);
    if (h == NULL) return NULL;
    h->size_bytes = (uint64_t)bytes;
    return h + 1;
}

static int size_of(void *block) { return block == NULL ? 0 : (int)((header *)block - 1)->size_bytes; }

/* Blocks are multiples of 16 bytes, with their header. */
static int round_up(int bytes) { return (int)(((unsigned)bytes + sizeof(header) + 15) & ~15u) - (int)sizeof(header); }

static int begin(void *argument)
{
    (void)argument;
    return SQLITE_OK;
}

static void end(void *argument) { (void)argument; }

static const sqlite3_mem_methods memory = {
    .xMalloc = take, .xFree = give, .xRealloc = resize, .xSize = size_of, .xRoundup = round_up, .xInit = begin, .xShutdown = end};

static acre_status check_budget(uint64_t budget_bytes)
{
    if (budget_bytes < ACRE_SQLITE_BUDGET_BYTES_MIN)
        return acre_fail(ACRE_INVALID, "sqlite: a budget of %llu bytes is below %llu", (unsigned long long)budget_bytes,
                         (unsigned long long)ACRE_SQLITE_BUDGET_BYTES_MIN);
    return ACRE_OK;
}

/* SQLite is told. */
static acre_status configure(bool keeps_malloc)
{
    if (!keeps_malloc && sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK)
        return acre_fail(ACRE_BUSY, "sqlite: is in use already: its memory cannot be another's");
    if (sqlite3_config(SQLITE_CONFIG_PCACHE2, &acre_sqlite_pages) != SQLITE_OK)
        return acre_fail(ACRE_BUSY, "sqlite: is in use already: its page cache cannot be another's");
    return ACRE_OK;
}

acre_status acre_sqlite_install(const acre_sqlite_options *options)
{
    static const acre_sqlite_options defaults = {.policy = ACRE_POLICY_ADAPTIVE};
    if (options == NULL) options = &defaults;
    if (acre_policy_name(options->policy) == NULL) return acre_fail(ACRE_INVALID, "sqlite: policy %u is none", (unsigned)options->policy);
    if (options->budget_bytes != 0 && check_budget(options->budget_bytes) != ACRE_OK) return ACRE_INVALID;
    acre_status status = ACRE_OK;
    if (heap == NULL) status = acre_heap_create(&(acre_heap_options){.name = "sqlite"}, &heap);
    if (status != ACRE_OK) return status;
    FILE *record_file = NULL;
    if (options->record_path != NULL && (record_file = fopen(options->record_path, "wbe")) == NULL)
        return acre_fail(ACRE_IO, "sqlite: '%s' cannot be written: errno %d", options->record_path, errno);
    status = configure(options->keeps_malloc);
    if (status == ACRE_OK)
        acre_sqlite_set_up_pages(heap, options->policy, options->budget_bytes, record_file);
    else if (record_file != NULL)
        (void)fclose(record_file);
    return status;
}

acre_status acre_sqlite_set_budget(uint64_t budget_bytes)
{
    if (check_budget(budget_bytes) != ACRE_OK) return ACRE_INVALID;
    const acre_status status = acre_sqlite_set_pages_budget(budget_bytes);
    return status == ACRE_OK ? ACRE_OK : acre_fail(status, "sqlite: the page cache was installed without a budget");
}
