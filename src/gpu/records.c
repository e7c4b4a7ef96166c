/* records.c - see gpu/records.h. */
#include "gpu/records.h"
#include "base/bits.h"
#include "base/status.h"

#include <string.h>

enum { COMMIT_BYTES = 65536 };

static acre_record *record_at(const acre_records *records, uint32_t number)
{
    return (acre_record *)(void *)(records->memory + (size_t)(number - 1) * records->record_bytes);
}

acre_status acre_records_open(acre_records *records, acre_space *space, uint32_t record_bytes, uint32_t count_max)
{
    assert(record_bytes >= sizeof(acre_record) && record_bytes % 8 == 0 && count_max > 0);
    *records = (acre_records){.space = space, .record_bytes = record_bytes, .count_max = count_max};
    records->reserved_bytes = acre_align_up((uint64_t)count_max * record_bytes, space->info.grain_bytes);
    const acre_status status = acre_space_reserve(space, records->reserved_bytes, space->info.grain_bytes, NULL, &records->base);
    if (status != ACRE_OK) return status;
    records->memory = acre_space_pointer(space, records->base);
    return ACRE_OK;
}

void acre_records_close(acre_records *records)
{
    if (records->memory == NULL) return;
    (void)acre_space_release(records->space, records->base, records->reserved_bytes);
    records->memory = NULL;
}

static bool make_room(acre_records *records)
{
    uint64_t more = records->reserved_bytes - records->committed_bytes;
    const uint64_t step = acre_align_up(COMMIT_BYTES, records->space->info.grain_bytes);
    if (more > step) more = step;
    if (more == 0 || acre_space_commit(records->space, records->base + records->committed_bytes, more) != ACRE_OK) return false;
    records->committed_bytes += more;
    return true;
}

void *acre_record_take(acre_records *records)
{
    uint32_t number = records->spare;
    acre_record *record;
    if (number != 0) {
        record = record_at(records, number);
        records->spare = record->next;
    } else {
        if (records->made_count == records->count_max) return NULL;
        if ((uint64_t)(records->made_count + 1) * records->record_bytes > records->committed_bytes && !make_room(records)) return NULL;
        number = records->made_count + 1;
        __atomic_store_n(&records->made_count, number, __ATOMIC_RELAXED);
        record = record_at(records, number);
        record->state = 0;
    }
    records->used_count++;
    memset(record + 1, 0, records->record_bytes - sizeof *record);
    record->next = 0;
    __atomic_store_n(&record->state, record->state | 1, __ATOMIC_RELAXED);
    return record;
}

void acre_record_drop(acre_records *records, void *pointer)
{
    acre_record *const record = pointer;
    assert((record->state & 1) != 0 && records->used_count > 0);
    __atomic_store_n(&record->state, (record->state | 1) + 1, __ATOMIC_RELAXED); /* the next generation, not in use */
    record->next = records->spare;
    records->spare = (uint32_t)(((unsigned char *)pointer - records->memory) / records->record_bytes) + 1;
    records->used_count--;
}

uint64_t acre_record_name(const acre_records *records, const void *pointer)
{
    const acre_record *const record = pointer;
    const uint32_t number = (uint32_t)(((const unsigned char *)pointer - records->memory) / records->record_bytes) + 1;
    return (uint64_t)record->state << 32 | number;
}

void *acre_record_at(const acre_records *records, uint32_t number)
{
    if (number == 0 || number > __atomic_load_n(&records->made_count, __ATOMIC_RELAXED)) return NULL;
    acre_record *const record = record_at(records, number);
    return (__atomic_load_n(&record->state, __ATOMIC_RELAXED) & 1) != 0 ? record : NULL;
}

void *acre_record_find(const acre_records *records, uint64_t name)
{
    acre_record *const record = acre_record_at(records, (uint32_t)name);
    return record != NULL && __atomic_load_n(&record->state, __ATOMIC_RELAXED) == (uint32_t)(name >> 32) ? record : NULL;
}
