/* connections.h - what acre-tour-sqlite shows, for the stop about databases: connections that share one pool, and answers that are kept. */
#ifndef ACRE_TOOL_TOUR_CONNECTIONS_H
#define ACRE_TOOL_TOUR_CONNECTIONS_H

#include "tour.h"

/* The figure behind `name` in a text; -1 where it is not. */
double figure_behind(const char *text, const char *name);

/* Each makes its databases by `making`, a script of SQL in the tour's folder, says what it found, and appends a table to `tables`. */
void show_shared_pool(tour_state *tour, const char *making, const char *asking, json_t *tables);
void show_kept_answers(tour_state *tour, const char *making, json_t *tables);

#endif
