/* um_timeline.c - see um_timeline.h. */
#include "um_timeline.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>

enum { LEVELS = 15, STRIPS_MAX = 12, STRIP_COLUMNS = 64 };

typedef um_timeline_cell column[UM_TIMELINE_ROWS];

static uint64_t now_ns(const um_timeline *self)
{
    acre_um_figures figures = {0};
    (void)acre_um_read_figures(self->um, self->place, &figures);
    return figures.clock_ns - self->begin_ns;
}

static uint64_t row_bytes(const um_timeline *self) { return self->row_blocks * ACRE_UM_BLOCK_BYTES; }

/* Of a row, which may end early. */
static uint64_t pages_of(const um_timeline *self, unsigned row)
{
    const uint64_t begin = row * row_bytes(self);
    const uint64_t end = begin + row_bytes(self) < self->bytes ? begin + row_bytes(self) : self->bytes;
    return (end - begin + ACRE_UM_PAGE_BYTES - 1) / ACRE_UM_PAGE_BYTES;
}

/* As much of a row as is drawn as all of it: rows of many blocks are hardly ever there as a whole. */
static uint64_t full_pages(const um_timeline *self)
{
    uint64_t most = 1;
    if (self->row_blocks == 1) return ACRE_UM_BLOCK_BYTES / ACRE_UM_PAGE_BYTES;
    for (unsigned at = 0; at <= self->columns; at++)
        for (unsigned row = 0; row < self->rows; row++)
            if (self->cells[at][row].resident > most) most = self->cells[at][row].resident;
    return most;
}

static void look(const um_timeline *self, column cells)
{
    memset(cells, 0, sizeof(column));
    for (uint64_t at = 0; at < self->bytes; at += ACRE_UM_BLOCK_BYTES) {
        um_timeline_cell *const cell = &cells[at / row_bytes(self)];
        acre_um_block_figures block = {0};
        (void)acre_um_read_block(self->um, self->place, self->at + at, &block);
        cell->resident += block.resident_pages;
        cell->unused += block.unused_pages;
        cell->evicted += block.evicted_pages;
        cell->wasted += block.wasted_pages;
    }
}

static void halve(um_timeline *self)
{
    for (unsigned i = 0; i < UM_TIMELINE_COLUMNS / 2; i++) memcpy(self->cells[i], self->cells[2 * i], sizeof(column));
    self->columns = UM_TIMELINE_COLUMNS / 2;
    self->interval_ns *= 2;
}

void um_timeline_begin(um_timeline *self, acre_um *um, unsigned place, uint64_t at, uint64_t bytes, uint64_t interval_ns)
{
    const uint64_t blocks = (bytes + ACRE_UM_BLOCK_BYTES - 1) / ACRE_UM_BLOCK_BYTES;
    *self = (um_timeline){.um = um, .place = place, .at = at, .bytes = bytes, .interval_ns = interval_ns == 0 ? 1 : interval_ns};
    self->row_blocks = (blocks + UM_TIMELINE_ROWS - 1) / UM_TIMELINE_ROWS;
    self->rows = (unsigned)((blocks + self->row_blocks - 1) / self->row_blocks);
    self->cells = must_calloc(UM_TIMELINE_COLUMNS + 1, sizeof *self->cells);
    self->begin_ns = now_ns(self);
    self->columns = 1;
    look(self, self->cells[0]);
}

/* Columns in which nothing began are as the one before them. */
static void go_on_to(um_timeline *self, uint64_t ns)
{
    while (ns / self->interval_ns >= self->columns) {
        if (self->columns == UM_TIMELINE_COLUMNS) {
            halve(self);
            continue;
        }
        memcpy(self->cells[self->columns], self->cells[self->columns - 1], sizeof(column));
        self->columns++;
    }
}

void um_timeline_note(um_timeline *self)
{
    const uint64_t ns = now_ns(self);
    if (ns / self->interval_ns < self->columns) return;
    go_on_to(self, ns);
    look(self, self->cells[self->columns - 1]);
}

void um_timeline_end(um_timeline *self)
{
    self->end_ns = now_ns(self);
    go_on_to(self, self->end_ns);
    look(self, self->cells[self->columns]);
    self->um = NULL;
}

void um_timeline_free(um_timeline *self)
{
    free(self->cells);
    *self = (um_timeline){0};
}

/* ---- for the page ---- */

typedef uint64_t question(const um_timeline *self, unsigned row, unsigned at);

static uint64_t resident_in(const um_timeline *self, unsigned row, unsigned at) { return self->cells[at][row].resident; }
static uint64_t unused_in(const um_timeline *self, unsigned row, unsigned at) { return self->cells[at][row].unused; }
static uint64_t evicted_in(const um_timeline *self, unsigned row, unsigned at)
{
    return self->cells[at + 1][row].evicted - self->cells[at][row].evicted;
}
static uint64_t wasted_in(const um_timeline *self, unsigned row, unsigned at)
{
    return self->cells[at + 1][row].wasted - self->cells[at][row].wasted;
}

static unsigned level_of(uint64_t part, uint64_t whole)
{
    const uint64_t level = whole == 0 ? 0 : (part * LEVELS + whole - 1) / whole;
    return level > LEVELS ? LEVELS : (unsigned)level;
}

/* Zeros at the end of a row are left out. */
static json_t *digits_of(const um_timeline *self, question *ask)
{
    json_t *const rows = json_array();
    const uint64_t full = full_pages(self);
    char digits[UM_TIMELINE_COLUMNS];
    for (unsigned row = 0; row < self->rows; row++) {
        size_t length = 0;
        for (unsigned at = 0; at < self->columns; at++) {
            digits[at] = "0123456789abcdef"[level_of(ask(self, row, at), pages_of(self, row) < full ? pages_of(self, row) : full)];
            if (digits[at] != '0') length = at + 1;
        }
        json_array_append_new(rows, json_stringn(digits, length));
    }
    return rows;
}

json_t *um_timeline_json(const um_timeline *self, const char *name, const char *text)
{
    const uint64_t full_bytes = full_pages(self) * ACRE_UM_PAGE_BYTES;
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "name", name, "text", text, "ns", (json_int_t)self->end_ns,
                     "interval_ns", (json_int_t)self->interval_ns, "bytes", (json_int_t)self->bytes, "row_bytes",
                     (json_int_t)row_bytes(self), "full_bytes", (json_int_t)full_bytes, "resident", digits_of(self, resident_in), "unused",
                     digits_of(self, unused_in), "evicted", digits_of(self, evicted_in), "wasted", digits_of(self, wasted_in));
}

/* ---- for the terminal ---- */

typedef struct strip {
    unsigned first, end; /* rows */
} strip;

/* Of the rows and columns that a letter stands for: the greatest share at one time, or what happened in all of it. */
static char letter_of(const um_timeline *self, strip rows, unsigned letter, unsigned letters, question *ask, bool is_event)
{
    static const char shades[] = " .:-=+*#%@";
    const unsigned begin = letter * self->columns / letters, end = (letter + 1) * self->columns / letters;
    uint64_t most = 0, all = 0, pages = 0;
    const uint64_t full = full_pages(self);
    for (unsigned row = rows.first; row < rows.end; row++) pages += pages_of(self, row) < full ? pages_of(self, row) : full;
    for (unsigned at = begin; at < end || at == begin; at++) {
        uint64_t here = 0;
        for (unsigned row = rows.first; row < rows.end; row++) here += ask(self, row, at);
        all += here;
        if (here > most) most = here;
    }
    const uint64_t part = is_event ? all : most;
    const size_t last = sizeof shades - 2;
    const size_t shade = pages == 0 ? 0 : (size_t)((part * last + pages - 1) / pages);
    return shades[shade < last ? shade : last];
}

static void print_strip(const um_timeline *self, const char *label, strip rows, question *ask, bool is_event)
{
    const unsigned letters = self->columns < STRIP_COLUMNS ? self->columns : STRIP_COLUMNS;
    printf("%11s |", label);
    for (unsigned i = 0; i < letters; i++) putchar(letter_of(self, rows, i, letters, ask, is_event));
    puts("|");
}

void um_timeline_print(const um_timeline *self)
{
    const unsigned strips = self->rows < STRIPS_MAX ? self->rows : STRIPS_MAX;
    const strip all = {0, self->rows};
    for (unsigned i = 0; i < strips; i++) {
        const strip rows = {i * self->rows / strips, (i + 1) * self->rows / strips};
        print_strip(self, bytes_text(rows.first * row_bytes(self)), rows, resident_in, false);
    }
    const unsigned letters = self->columns < STRIP_COLUMNS ? self->columns : STRIP_COLUMNS;
    const char *const end = duration_text(self->end_ns);
    printf("%11s  0%*s\n", "", (int)letters - 1, end);
    print_strip(self, "had to go", all, evicted_in, true);
    print_strip(self, "unused", all, wasted_in, true);
}
