/* queries_answer.c - rows as one block of bytes: numbers of columns and rows, a cell of 16 bytes for each value, a place for each name,
 * then texts and blobs. A cell has its type and length, and the number or the place of its bytes. */
#include "queries.h"

#include <string.h>

typedef struct cell {
    uint64_t head; /* length * 8 + type */
    uint64_t what; /* the number, or an offset into the bytes */
} cell;

typedef struct head {
    uint32_t columns, rows;
} head;

typedef struct buffer {
    unsigned char *at;
    size_t bytes, room;
} buffer;

static bool append(buffer *self, const void *data, size_t bytes)
{
    if (self->at == NULL || self->room - self->bytes < bytes) {
        const size_t room = self->room + bytes < 128 ? 256 : (self->room + bytes) * 2;
        unsigned char *const more = sqlite3_realloc64(self->at, room);
        if (more == NULL) return false;
        self->at = more;
        self->room = room;
    }
    memcpy(self->at + self->bytes, data, bytes);
    self->bytes += bytes;
    return true;
}

/* Texts and blobs, with a NUL behind them. */
static bool append_bytes(buffer *self, const void *data, size_t bytes, uint64_t *offset)
{
    *offset = self->bytes;
    return (bytes == 0 || (data != NULL && append(self, data, bytes))) && append(self, "", 1);
}

static bool append_cell(buffer *cells, buffer *bytes, sqlite3_stmt *row, int column)
{
    const int type = sqlite3_column_type(row, column);
    cell made = {.head = (uint64_t)type};
    if (type == SQLITE_INTEGER) {
        const int64_t number = sqlite3_column_int64(row, column);
        memcpy(&made.what, &number, sizeof number);
    } else if (type == SQLITE_FLOAT) {
        const double number = sqlite3_column_double(row, column);
        memcpy(&made.what, &number, sizeof number);
    } else if (type != SQLITE_NULL) {
        const void *const data = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(row, column) : sqlite3_column_blob(row, column);
        const size_t length = (size_t)sqlite3_column_bytes(row, column);
        made.head |= (uint64_t)length << 3;
        if (!append_bytes(bytes, data, length, &made.what)) return false;
    }
    return append(cells, &made, sizeof made);
}

static bool append_names(buffer *places, buffer *bytes, sqlite3_stmt *prepared, int columns)
{
    for (int i = 0; i < columns; i++) {
        const char *const name = sqlite3_column_name(prepared, i);
        uint64_t place;
        if (name == NULL || !append_bytes(bytes, name, strlen(name), &place) || !append(places, &place, sizeof place)) return false;
    }
    return true;
}

int acre_queries_collect_rows(sqlite3_stmt *prepared, unsigned char **owned, size_t *length)
{
    buffer cells = {0}, bytes = {0};
    head first = {0};
    bool has_memory = true;
    int status = sqlite3_step(prepared);
    const int columns = sqlite3_column_count(prepared); /* as it is prepared by now */
    for (; status == SQLITE_ROW && has_memory && first.rows < UINT32_MAX; status = has_memory ? sqlite3_step(prepared) : status) {
        for (int i = 0; i < columns && has_memory; i++) has_memory = append_cell(&cells, &bytes, prepared, i);
        first.rows++;
    }
    first.columns = (uint32_t)columns;
    has_memory = has_memory && append_names(&cells, &bytes, prepared, columns);
    *length = sizeof first + cells.bytes + bytes.bytes;
    *owned = has_memory && status == SQLITE_DONE ? sqlite3_malloc64(*length) : NULL;
    if (*owned != NULL) {
        memcpy(*owned, &first, sizeof first);
        if (cells.bytes > 0) memcpy(*owned + sizeof first, cells.at, cells.bytes);
        if (bytes.bytes > 0) memcpy(*owned + sizeof first + cells.bytes, bytes.at, bytes.bytes);
    }
    sqlite3_free(cells.at);
    sqlite3_free(bytes.at);
    if (!has_memory || (status == SQLITE_DONE && *owned == NULL)) return SQLITE_NOMEM;
    return status == SQLITE_DONE ? SQLITE_OK : status == SQLITE_ROW ? SQLITE_TOOBIG : status;
}

void acre_queries_point_answer(acre_sqlite_answer *answer, const void *bytes)
{
    head first;
    memcpy(&first, bytes, sizeof first);
    answer->bytes = bytes;
    answer->column_count = first.columns;
    answer->row_count = first.rows;
}

static const unsigned char *bytes_of(const acre_sqlite_answer *answer, uint64_t offset)
{
    const size_t cells = (size_t)answer->row_count * answer->column_count;
    return answer->bytes + sizeof(head) + cells * sizeof(cell) + answer->column_count * sizeof(uint64_t) + offset;
}

acre_sqlite_value acre_sqlite_answer_value(const acre_sqlite_answer *answer, uint32_t row, uint32_t column)
{
    acre_sqlite_value value = {.type = ACRE_SQLITE_NULL};
    if (answer == NULL || answer->bytes == NULL || row >= answer->row_count || column >= answer->column_count) return value;
    cell found;
    memcpy(&found, answer->bytes + sizeof(head) + ((size_t)row * answer->column_count + column) * sizeof found, sizeof found);
    value.type = (acre_sqlite_type)(found.head & 7);
    if (value.type == ACRE_SQLITE_INTEGER) {
        memcpy(&value.integer, &found.what, sizeof value.integer);
    } else if (value.type == ACRE_SQLITE_REAL) {
        memcpy(&value.real, &found.what, sizeof value.real);
    } else if (value.type != ACRE_SQLITE_NULL) {
        value.bytes = (size_t)(found.head >> 3);
        value.data = bytes_of(answer, found.what);
    }
    return value;
}

const char *acre_sqlite_answer_name(const acre_sqlite_answer *answer, uint32_t column)
{
    if (answer == NULL || answer->bytes == NULL || column >= answer->column_count) return "";
    uint64_t place;
    const size_t cells = (size_t)answer->row_count * answer->column_count;
    memcpy(&place, answer->bytes + sizeof(head) + cells * sizeof(cell) + column * sizeof place, sizeof place);
    return (const char *)bytes_of(answer, place);
}

void acre_sqlite_answer_close(acre_sqlite_answer *answer)
{
    if (answer == NULL) return;
    if (answer->held.entry != NULL) acre_query_cache_release(answer->cache, &answer->held);
    sqlite3_free(answer->owned);
    *answer = (acre_sqlite_answer){0};
}
