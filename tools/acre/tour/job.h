/* job.h - a program that a stop of the tour starts, and what it says. */
#ifndef ACRE_TOOL_TOUR_JOB_H
#define ACRE_TOOL_TOUR_JOB_H

#include <stddef.h>
#include <sys/types.h>

typedef struct tour_job {
    pid_t child; /* -1: it did not start */
    int output;  /* the end of a pipe where both its streams come out */
} tour_job;

/* Starts words[0], found by PATH, with `preload` preloaded ("": nothing); the last word is NULL. Its input is empty. */
tour_job tour_job_start(const char *const *words, const char *preload);

/* Waits for its end and returns its wait status, -1 when it did not start. `text` is the beginning of what it said; NULL: nobody wants
 * it. */
int tour_job_end(tour_job *job, char *text, size_t size);

#endif
