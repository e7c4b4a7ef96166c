/* pages.h - a log in memory, pages that tell who wrote them, and what recovery does with both. For tests of the buffer pool.
 *
 * Each sector of 512 bytes of a page has the LSN of the page's last change at its byte 8; cells of 8 bytes follow from byte 16 on. A record
 * sets one cell, or is the image of a page. */
#ifndef ACRE_TESTS_DATABASE_PAGES_H
#define ACRE_TESTS_DATABASE_PAGES_H

#include "support/simulated.h"
#include "support/test.h"

#include <acre/buffer_pool.h>

enum { SECTOR = 512, CELLS_OF_SECTOR = 62 };

typedef struct log_record {
    acre_page_id id;
    uint32_t cell;
    uint64_t value;
    unsigned char *image;
} log_record;

typedef struct test_log {
    simulated_world *world; /* whose power it shares; NULL: it cannot fail */
    log_record *records;    /* that of LSN n is records[n - 1] */
    uint64_t last_lsn, durable_lsn;
    size_t room;
    uint64_t flush_count;
    bool fails;
    bool is_replayed; /* images are there already */
    pthread_mutex_t lock;
} test_log;

static inline void test_log_open(test_log *log, simulated_world *world)
{
    memset(log, 0, sizeof *log);
    log->world = world;
    pthread_mutex_init(&log->lock, NULL);
}

static inline void test_log_close(test_log *log)
{
    for (uint64_t i = 0; i < log->last_lsn; i++) free(log->records[i].image);
    free(log->records);
}

static inline uint64_t test_log_append(test_log *log, log_record record)
{
    pthread_mutex_lock(&log->lock);
    if (log->last_lsn == log->room) {
        log->room = log->room * 2 + 64;
        log->records = realloc(log->records, log->room * sizeof *log->records);
    }
    log->records[log->last_lsn++] = record;
    const uint64_t lsn = log->last_lsn;
    pthread_mutex_unlock(&log->lock);
    return lsn;
}

static inline acre_status test_log_flush(void *context, uint64_t lsn)
{
    test_log *const log = context;
    pthread_mutex_lock(&log->lock);
    acre_status status = log->fails ? ACRE_IO : ACRE_OK;
    if (log->world != NULL) {
        pthread_mutex_lock(&log->world->lock);
        if (++log->world->event_count == log->world->cut_at) log->world->is_off = true;
        if (log->world->is_off) status = ACRE_IO;
        pthread_mutex_unlock(&log->world->lock);
    }
    log->flush_count++;
    if (status == ACRE_OK && lsn > log->durable_lsn) log->durable_lsn = lsn < log->last_lsn ? lsn : log->last_lsn;
    pthread_mutex_unlock(&log->lock);
    return status;
}

static inline uint64_t test_log_durable(void *context)
{
    test_log *const log = context;
    pthread_mutex_lock(&log->lock);
    const uint64_t lsn = log->durable_lsn;
    pthread_mutex_unlock(&log->lock);
    return lsn;
}

static inline uint64_t test_log_last(void *context)
{
    test_log *const log = context;
    pthread_mutex_lock(&log->lock);
    const uint64_t lsn = log->last_lsn;
    pthread_mutex_unlock(&log->lock);
    return lsn;
}

static inline uint64_t page_lsn(const unsigned char *page, size_t sector)
{
    uint64_t lsn;
    memcpy(&lsn, page + sector * SECTOR + 8, sizeof lsn);
    return lsn;
}

static inline void set_page_lsn(unsigned char *page, size_t bytes, uint64_t lsn)
{
    for (size_t at = 0; at < bytes; at += SECTOR) memcpy(page + at + 8, &lsn, sizeof lsn);
}

static inline void set_cell(unsigned char *page, uint32_t cell, uint64_t value)
{
    memcpy(page + (size_t)(cell / CELLS_OF_SECTOR) * SECTOR + 16 + (size_t)(cell % CELLS_OF_SECTOR) * 8, &value, sizeof value);
}

static inline acre_status test_log_append_image(void *context, acre_page_id id, const void *page, size_t bytes, uint64_t *lsn)
{
    test_log *const log = context;
    *lsn = 0;
    if (log->is_replayed) return ACRE_OK;
    if (log->fails) return ACRE_IO;
    unsigned char *const image = malloc(bytes);
    memcpy(image, page, bytes);
    *lsn = test_log_append(log, (log_record){.id = id, .image = image});
    return ACRE_OK;
}

static const acre_log_ops test_log_ops = {.size_bytes = sizeof(acre_log_ops),
                                          .durable_lsn = test_log_durable,
                                          .flush = test_log_flush,
                                          .last_lsn = test_log_last,
                                          .append_image = test_log_append_image};

static inline void apply_record(unsigned char *page, size_t bytes, const log_record *record, uint64_t lsn)
{
    if (record->image != NULL)
        memcpy(page + 4, record->image + 4, bytes - 4); /* the checksum is the pool's */
    else
        set_cell(page, record->cell, record->value);
    if (record->image == NULL) set_page_lsn(page, bytes, lsn);
}

/* Fixes the page, logs the change and makes it. */
static inline acre_status change_page(acre_buffer_pool *pool, test_log *log, acre_page_id id, size_t bytes, uint32_t cell, uint64_t value,
                                      uint64_t *lsn)
{
    acre_page_ref ref;
    acre_status status = acre_buffer_pool_fix(pool, id, ACRE_FIX_EXCLUSIVE, &ref);
    if (status != ACRE_OK) return status;
    const log_record record = {.id = id, .cell = cell, .value = value};
    *lsn = test_log_append(log, record);
    apply_record(ref.page, bytes, &record, *lsn);
    return acre_buffer_pool_unfix(&ref, *lsn);
}

#endif
