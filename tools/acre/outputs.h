/* outputs.h - what `acre run` and `acre report` make of a trace, and the options that say so. */
#ifndef ACRE_TOOL_OUTPUTS_H
#define ACRE_TOOL_OUTPUTS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct outputs {
    const char *html_path; /* NULL: none */
    const char *json_path;
    const char *csv_path;
    const char *collapsed_path;
    const char *pprof_path;
    bool is_quiet;         /* no summary on stderr */
    bool has_leak_exit_code;
    uint64_t leak_exit_code;
} outputs;

typedef struct outputs_result {
    /* Blocks of all processes that nothing pointed to at the end; where a process could not look, those that it did not free. */
    uint64_t leak_count;
    bool is_leak_unknown; /* there is none among what is known, but that is not enough to say that there is none; has been said */
    bool is_damaged; /* the trace was read in part only */
} outputs_result;

/* False when nobody asks for anything that would need the trace to be read. */
bool outputs_want_any(const outputs *wanted);

/* Could everything that is asked for be written? To be asked before a program runs for it. False after a message. */
bool outputs_can_be_written(const char *command_name, const outputs *wanted);

/* Reads the trace and makes everything that is asked for. Returns EXIT_SUCCESS, or EXIT_TOOL after a message. */
int outputs_make(const char *command_name, const char *trace_path, const outputs *wanted, outputs_result *result);

/* The getopt_long options of outputs: val is in [OUTPUT_OPTION_FIRST, OUTPUT_OPTION_END). */
enum {
    OUTPUT_OPTION_FIRST = 1000,
    OUTPUT_HTML = OUTPUT_OPTION_FIRST,
    OUTPUT_JSON,
    OUTPUT_CSV,
    OUTPUT_COLLAPSED,
    OUTPUT_PPROF,
    OUTPUT_LEAK_EXIT_CODE,
    OUTPUT_QUIET,
    OUTPUT_NO_HTML,
    OUTPUT_OPTION_END,
};
#define OUTPUT_LONG_OPTIONS                                              \
    {"report", required_argument, NULL, OUTPUT_HTML},                    \
    {"json", required_argument, NULL, OUTPUT_JSON},                      \
    {"csv", required_argument, NULL, OUTPUT_CSV},                        \
    {"collapsed", required_argument, NULL, OUTPUT_COLLAPSED},            \
    {"pprof", required_argument, NULL, OUTPUT_PPROF},                    \
    {"leak-exit-code", required_argument, NULL, OUTPUT_LEAK_EXIT_CODE},  \
    {"no-html", no_argument, NULL, OUTPUT_NO_HTML},                      \
    {"quiet", no_argument, NULL, OUTPUT_QUIET}

#define OUTPUT_OPTIONS_HELP                                                                          \
    "  --report FILE.html     where the page goes (default: acre-PROGRAM.html, then acre-PROGRAM-2.html ...)\n" \
    "  --no-html              no page\n"                                                              \
    "  --json FILE            everything that the page shows, as JSON ('-', here and below: standard output)\n" \
    "  --csv FILE             one line for each call site\n"                                          \
    "  --collapsed FILE       collapsed stacks of allocated bytes, for flame graph tools\n"           \
    "  --pprof FILE           a profile for pprof (gzip'ed protobuf)\n"                               \
    "  --leak-exit-code N     exit with N (1 to 255) when the program itself ends with 0 and has leaked: with blocks that\n" \
    "                         nothing points to, or in a process that was killed, with blocks that were not freed\n" \
    "                         (where that can't be known, acre fails)\n" \
    "  --quiet                no summary\n"

/* Takes one of the options above; false after a message about its value. */
bool outputs_take_option(outputs *wanted, const char *command_name, int option, const char *value);

/* "acre-NAME.html" in the current directory, or with a number when that exists. To be freed. */
char *outputs_default_page(const char *program);

#endif
