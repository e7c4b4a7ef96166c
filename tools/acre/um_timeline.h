/* um_timeline.h - what was where and when in a modelled place: columns of time, rows of addresses, for pictures.
 *
 * A row is a 2 MiB block, or as many as it takes so that UM_TIMELINE_ROWS are enough. A column begins as the shortest time that is of
 * interest; as often as there are UM_TIMELINE_COLUMNS, two become one. Costs of um_timeline_note: a look at the clock, and where a column
 * ends at each block.
 */
#ifndef ACRE_TOOL_UM_TIMELINE_H
#define ACRE_TOOL_UM_TIMELINE_H

#include <acre/um.h>
#include <jansson.h>

enum { UM_TIMELINE_ROWS = 32, UM_TIMELINE_COLUMNS = 200 };

/* Pages: of a row, when a column begins. */
typedef struct um_timeline_cell {
    uint32_t resident, unused; /* there; of these came unasked, and was not touched since */
    uint64_t evicted, wasted;  /* so far: had to go for others; went without having been touched */
} um_timeline_cell;

typedef struct um_timeline {
    acre_um *um; /* NULL: it has ended */
    unsigned place;
    uint64_t at, bytes;
    uint64_t begin_ns, interval_ns, end_ns; /* of the model's clock: begin, of a column, when it ended */
    uint64_t row_blocks;
    unsigned rows, columns;
    um_timeline_cell (*cells)[UM_TIMELINE_ROWS]; /* of each column, and one for the end */
} um_timeline;

/* Of `bytes` that begin at `at`. To be freed. */
void um_timeline_begin(um_timeline *self, acre_um *um, unsigned place, uint64_t at, uint64_t bytes, uint64_t interval_ns);
void um_timeline_note(um_timeline *self); /* after each touch */
void um_timeline_end(um_timeline *self);
void um_timeline_free(um_timeline *self);

/* For the page of the tour: {name, text, ns, interval_ns, bytes, row_bytes, full_bytes, resident, unused, evicted, wasted}: of the last
 * four one text a row, the highest addresses last, with a digit a column in hexadecimal: fifteenths of full_bytes, rounded up. These are a
 * block, or, where a row is several, the most that is in the place of any row. */
json_t *um_timeline_json(const um_timeline *self, const char *name, const char *text);

/* As strips of letters, at most 80 columns. */
void um_timeline_print(const um_timeline *self);

#endif
