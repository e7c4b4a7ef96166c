/* command.h - what the subcommands of acre share: how they are listed, how they complain, how they read numbers.
 *
 * A subcommand is one file with one function and one line in the table of main.c.
 */
#ifndef ACRE_TOOL_COMMAND_H
#define ACRE_TOOL_COMMAND_H

#include <acre/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes of the tool itself; `acre run` otherwise ends as the program did. As env(1) and timeout(1) have them. */
enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TOOL = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

typedef struct command {
    const char *name;
    const char *summary; /* one line for `acre --help` */
    int (*run)(int argument_count, char **arguments); /* arguments[0] is the subcommand's name */
} command;

int command_run(int argument_count, char **arguments);
int command_report(int argument_count, char **arguments);
int command_replay(int argument_count, char **arguments);
int command_cache(int argument_count, char **arguments);
int command_plan(int argument_count, char **arguments);
int command_tour(int argument_count, char **arguments);
int command_bench(int argument_count, char **arguments);
int command_prove(int argument_count, char **arguments);
int command_stats(int argument_count, char **arguments);
int command_top(int argument_count, char **arguments);
int command_wcet(int argument_count, char **arguments);
int command_topology(int argument_count, char **arguments);
int command_gpu(int argument_count, char **arguments);
int command_um(int argument_count, char **arguments);

/* "acre run: <sentence>" to stderr. */
void complain(const char *command_name, const char *format, ...) ACRE_PRINTF(2, 3);

/* The same, then "Try 'acre run --help'."; returns EXIT_USAGE. */
int complain_usage(const char *command_name, const char *format, ...) ACRE_PRINTF(2, 3);

/* "512", "64K", "1.5M", "2GiB" as bytes (powers of 1024). False when `text` is nothing of the kind or too large. */
bool parse_bytes(const char *text, uint64_t *bytes);

/* A whole number in [least, most]. */
bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *value);

/* Seconds, at least `least` and at most a day; decimals are allowed. */
bool parse_seconds(const char *text, double least, double *seconds);

/* 1536 -> "1.5 KiB", 250000 -> "250 us", 12345 -> "12,345", into one of sixteen buffers that are used in turn. */
const char *bytes_text(uint64_t bytes);
const char *duration_text(uint64_t ns);
const char *count_text(uint64_t count);

enum { LINE_COLUMNS = 80 };

/* Prints `text`, whose words single blanks part, in lines of at most LINE_COLUMNS where words allow it. The first line begins with
 * `first`, the others with `next`. Columns are letters, not bytes of UTF-8. */
void print_words(const char *first, const char *next, const char *text);

/* 1, "block", "blocks" -> "1 block"; 2000 -> "2,000 blocks", in the same buffers; words of at most 12 letters. */
const char *counted_text(uint64_t count, const char *one, const char *many);

/* Could a file be written there? Else a message that names it. Nothing is changed: no file is made, none is emptied. "-" is standard
 * output. */
bool can_write(const char *command_name, const char *path);

/* Opens a file to be written, emptied, or for "-" standard output; NULL with errno. It is to be closed either way. */
FILE *open_output(const char *path);

/* The same as a descriptor, -1 with errno. */
int open_output_fd(const char *path);

/* The path of a library or program of acre's own by its file name, near this tool; to be freed, NULL: it is not there. */
char *find_own_file(const char *name);

/* The path of libacre-malloc.so: `chosen` made absolute, or where it is installed or built; to be freed. NULL after a
 * message. */
char *find_malloc_library(const char *command_name, const char *chosen);

/* Whether the file at `path`, which `option` names, can be preloaded and then is the malloc of a program. False after a message; the exit
 * code is then EXIT_USAGE. Starts this tool once more, with MALLOC_CHECK_OPTION. */
bool is_malloc_library(const char *command_name, const char *option, const char *path);

/* What that process answers: its exit code, 0 when its malloc comes from the file at `path`. */
int answer_malloc_check(const char *path);
#define MALLOC_CHECK_OPTION "--is-my-malloc"

/* The folder of a build where the loads of bench/heap are, seen from the tool in it; to be freed. NULL: this tool is in none. */
char *find_bench_programs(void);

/* malloc and friends that end the tool with a message instead of returning NULL. */
void *must_alloc(size_t size);
void *must_calloc(size_t count, size_t size);
void *must_realloc(void *old, size_t size);
char *must_copy(const char *text);
char *must_copy_part(const char *text, size_t length);
char *must_print(const char *format, ...) ACRE_PRINTF(1, 2);

/* Makes room for one more element of `size` bytes in an array of `count`; doubles. Returns the array. */
void *grow_array(void *array, size_t count, size_t *capacity, size_t size);

#endif
