/* tour.h - the tour: each memory system does its real job on real input, and says which of its promises it kept.
 *
 * A stop is one file in this folder: it defines a function and names it with TOUR_STOP. Nothing else has to be told about it.
 */
#ifndef ACRE_TOOL_TOUR_H
#define ACRE_TOOL_TOUR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct tour_state tour_state;

typedef struct tour_stop {
    const char *name;  /* what the user types */
    const char *title; /* one line for --list: at most 65 columns */
    int order;         /* stops are visited from low to high */
    void (*visit)(tour_state *tour);
    struct tour_stop *next;
} tour_stop;

void tour_register(tour_stop *stop);

#define TOUR_STOP(stop_name, stop_title, stop_order, function)                                                         \
    static tour_stop stop_of_this_file = {                                                                             \
        .name = (stop_name), .title = (stop_title), .order = (stop_order), .visit = (function)};                       \
    __attribute__((constructor)) static void register_stop(void) { tour_register(&stop_of_this_file); }

/* One line of the table: what ran, how many bytes it needed, how long it took, and the best peer's figure beside it. */
typedef struct tour_row {
    const char *what;
    uint64_t bytes;
    double seconds;
    const char *peer;        /* name */
    const char *peer_figure; /* in words */
    bool is_kept;            /* the promise of this row */
    const char *promise;     /* in words */
} tour_row;

void tour_add_row(tour_state *tour, const tour_row *row);

/* A promise of the whole stop with its figure and bar: kept when figure <= bar. */
void tour_promise(tour_state *tour, const char *what, double figure, double bar, const char *unit);

/* Says something that is no promise. */
void tour_say(tour_state *tour, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The stop cannot do its job here: counted as skipped, with the reason. */
void tour_skip(tour_state *tour, const char *reason);

/* Puts `value` (taken over) into the stop's part of the JSON document, which the page is drawn from too. */
void tour_detail(tour_state *tour, const char *key, json_t *value);

/* A folder for the stop's files, removed after the tour. */
const char *tour_scratch(tour_state *tour);

/* How many interleaved rounds to measure, and whether to tell of progress. */
int tour_rounds(const tour_state *tour);
void tour_progress(tour_state *tour, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
