/* records.h - records of one size with names that hold a generation, in a space that is reserved once and committed as they are needed.
 *
 * A name is the record's number and its generation; that of a record that was dropped is refused, unless the record has been used 2^31
 * times since. A record begins with an acre_record, and does not move. Take and drop are O(1); the caller holds a lock around both. Finding
 * needs none, as long as nobody drops the same record meanwhile.
 */
#ifndef ACRE_GPU_RECORDS_H
#define ACRE_GPU_RECORDS_H

#include <acre/space.h>
#include <stdbool.h>

typedef struct acre_record {
    uint32_t state; /* generation, and in the lowest bit whether it is in use */
    uint32_t next;  /* spare: the next spare one's number, 0 if there is none */
} acre_record;

typedef struct acre_records {
    acre_space *space;
    acre_addr base;
    unsigned char *memory;
    uint64_t reserved_bytes;
    uint64_t committed_bytes;
    uint32_t record_bytes;
    uint32_t count_max;
    uint32_t made_count; /* numbers 1 to made_count have been in use */
    uint32_t used_count;
    uint32_t spare;
} acre_records;

acre_status acre_records_open(acre_records *records, acre_space *space, uint32_t record_bytes, uint32_t count_max);
void acre_records_close(acre_records *records);

/* A record, zero behind its acre_record; NULL: there are count_max, or the space is full. */
void *acre_record_take(acre_records *records);
void acre_record_drop(acre_records *records, void *record);

uint64_t acre_record_name(const acre_records *records, const void *record);

/* The record in use of a number; NULL: there is none. */
void *acre_record_at(const acre_records *records, uint32_t number);

/* NULL: a name of no record in use. */
void *acre_record_find(const acre_records *records, uint64_t name);

#endif
