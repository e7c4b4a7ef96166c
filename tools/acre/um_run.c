/* um_run.c - `acre um run`: a program whose large allocations lie in unified memory (libacre-um.so), so that they may be larger together
 * than the memory that they get. What happened is told afterwards.
 */
#include "command.h"
#include "um_run.h"

#include <acre/um.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM_BYTES_MIN ((uint64_t)2 * ACRE_UM_BLOCK_BYTES)
enum { FROM_BYTES_MIN = 4096 };

typedef struct run_options {
    uint64_t room_bytes, from_bytes; /* 0: the library's own */
    const char *home, *rules, *faults;
    const char *json_path;
    char **program;
} run_options;

static void print_help(void)
{
    printf("Usage: acre um run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n\n"
           "Runs a program whose large allocations are paged by acre: of them, as much is in\n"
           "memory as the room allows, and the rest waits at home. So a program ends that\n"
           "needs more memory than it gets. Ends as the program does.\n\n"
           "  --room BYTES      that may be in memory, 4M at least (default: half of the\n"
           "                    machine's)\n"
           "  --home HOME       where the rest waits: 'compressed', which is memory;\n"
           "                    'memory'; or file:FOLDER, for a file that has no name and is\n"
           "                    gone with the program (default: compressed)\n"
           "  --rules NAME      acre, nvidia, lru, tree, 64k, demand, random or delayed\n"
           "                    (default: acre). docs/um.md says what each does\n"
           "  --from BYTES      the smallest allocation that counts as large (default: 1M)\n"
           "  --faults SOURCE   any, userfaultfd or signals (default: any, which takes the\n"
           "                    first of the two that there is)\n"
           "  --json FILE       the figures as JSON ('-': standard output) instead of the\n"
           "                    lines on standard error\n\n"
           "Allocations are those of malloc and its family; what a program gets by mmap stays\n"
           "as it is. With a file, a child of fork that goes on without exec does without.\n");
}

static int take_home(run_options *options, const char *text)
{
    if (strcmp(text, "compressed") == 0 || strcmp(text, "memory") == 0) {
        options->home = text;
        return -1;
    }
    if (strncmp(text, "file:", 5) != 0 || text[5] == 0)
        return complain_usage("um run", "--home '%s': compressed, memory or file:FOLDER", text);
    options->home = text + 5;
    if (options->home[0] == '/' || access(options->home, W_OK | X_OK) != 0) return -1;
    char *const folder = realpath(options->home, NULL); /* the program may go to another */
    if (folder != NULL) options->home = folder;
    return -1;
}

/* -1: goes on. */
static int parse_options(run_options *options, int argument_count, char **arguments)
{
    static const struct option names[] = {
        {"room", required_argument, NULL, 'm'},  {"home", required_argument, NULL, 'o'},
        {"rules", required_argument, NULL, 'r'}, {"from", required_argument, NULL, 'f'},
        {"json", required_argument, NULL, 'j'},  {"faults", required_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},        {0},
    };
    int result = -1;
    acre_um_rules rules;
    opterr = 0;
    for (int option; result < 0 && (option = getopt_long(argument_count, arguments, "+:h", names, NULL)) != -1;) {
        switch (option) {
        case 'm':
            if (!parse_bytes(optarg, &options->room_bytes) || options->room_bytes < ROOM_BYTES_MIN)
                return complain_usage("um run", "--room '%s': bytes, 4M at least", optarg);
            break;
        case 'f':
            if (!parse_bytes(optarg, &options->from_bytes) || options->from_bytes < FROM_BYTES_MIN)
                return complain_usage("um run", "--from '%s': bytes, 4K at least", optarg);
            break;
        case 'o':
            result = take_home(options, optarg);
            break;
        case 'r':
            if (acre_um_rules_named(optarg, &rules) != ACRE_OK)
                return complain_usage("um run", "--rules '%s': there are none of that name", optarg);
            options->rules = optarg;
            break;
        case 'F':
            if (strcmp(optarg, "any") != 0 && strcmp(optarg, "userfaultfd") != 0 && strcmp(optarg, "signals") != 0)
                return complain_usage("um run", "--faults '%s': any, userfaultfd or signals", optarg);
            options->faults = optarg;
            break;
        case 'j':
            options->json_path = optarg;
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("um run", "%s wants a value", arguments[optind - 1]);
        default:
            return complain_usage("um run", "'%s' is no option", arguments[optind - 1]);
        }
    }
    if (result < 0 && optind == argument_count) return complain_usage("um run", "which program?");
    options->program = arguments + optind;
    return result;
}

/* ---- the program ---- */

static void set_bytes(const char *name, uint64_t bytes)
{
    char *const text = must_print("%llu", (unsigned long long)bytes);
    if (bytes != 0) (void)setenv(name, text, 1);
    free(text);
}

static void set_text(const char *name, const char *text)
{
    if (text != NULL) (void)setenv(name, text, 1);
}

static void set_environment(const run_options *options, const char *library, const char *report)
{
    const char *const old = getenv("LD_PRELOAD");
    char *const preload = old != NULL && old[0] != 0 ? must_print("%s:%s", library, old) : must_copy(library);
    set_bytes("ACRE_UM_ROOM", options->room_bytes);
    set_bytes("ACRE_UM_FROM", options->from_bytes);
    set_text("ACRE_UM_HOME", options->home);
    set_text("ACRE_UM_RULES", options->rules);
    set_text("ACRE_UM_FAULTS", options->faults);
    set_text("ACRE_UM_REPORT", report);
    set_text("LD_PRELOAD", preload);
    free(preload);
}

/* The wait status; -1 after a message, with the exit code in *code. */
static int run_program(const run_options *options, const char *library, const char *report, struct rusage *usage, int *code)
{
    int pipe_ends[2], error = 0, status = 0;
    *code = EXIT_TOOL;
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) return -1;
    const pid_t child = fork();
    if (child < 0) error = errno;
    if (child == 0) {
        set_environment(options, library, report);
        (void)execvp(options->program[0], options->program);
        error = errno;
        (void)!write(pipe_ends[1], &error, sizeof error);
        _exit(EXIT_NOT_FOUND);
    }
    (void)close(pipe_ends[1]);
    /* A terminal's signals are the program's, which ends or not; this tool tells what happened either way. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGQUIT, SIG_IGN);
    const bool has_failed = child < 0 || read(pipe_ends[0], &error, sizeof error) == (ssize_t)sizeof error;
    (void)close(pipe_ends[0]);
    while (child > 0 && wait4(child, &status, 0, usage) < 0 && errno == EINTR) {}
    if (!has_failed) return status;
    *code = error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    complain("um run", "'%s': %s", options->program[0], strerror(error));
    return -1;
}

/* ---- what happened ---- */

static uint64_t number(const json_t *process, const char *name) { return (uint64_t)json_integer_value(json_object_get(process, name)); }

static void print_process(const json_t *process)
{
    (void)fprintf(stderr, "acre um run: process %llu, %s\n", (unsigned long long)number(process, "process"),
                  counted_text(number(process, "allocations"), "allocation", "allocations"));
    (void)fprintf(stderr, "  allocated  %s at most at a time; in memory %s of them, waiting %s in %s\n",
                  bytes_text(number(process, "allocated_bytes_max")), bytes_text(number(process, "used_bytes_max")),
                  bytes_text(number(process, "waiting_pages_max") * ACRE_UM_PAGE_BYTES), bytes_text(number(process, "waiting_bytes_max")));
    (void)fprintf(stderr, "  faults     %s, first writes of pages that were read %s; calls of the system %s; served in %s\n",
                  count_text(number(process, "faults")), count_text(number(process, "write_faults")),
                  count_text(number(process, "system_calls")), duration_text(number(process, "serving_ns")));
    (void)fprintf(stderr, "  moved      new %s, in %s, of which %s again; out %s\n", bytes_text(number(process, "new_bytes")),
                  bytes_text(number(process, "in_bytes")), bytes_text(number(process, "returned_pages") * ACRE_UM_PAGE_BYTES),
                  bytes_text(number(process, "out_bytes")));
    if (number(process, "failures") > 0)
        (void)fprintf(stderr, "  FAILED     %s could not be served\n", counted_text(number(process, "failures"), "fault", "faults"));
}

static bool write_json(const char *path, const json_t *processes)
{
    FILE *const out = open_output(path);
    const bool is_written = out != NULL && json_dumpf(processes, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF;
    if (out != NULL && fclose(out) != 0) return false;
    if (!is_written) complain("um run", "'%s' cannot be written: %s", path, strerror(errno));
    return is_written;
}

/* A line for each process that ended; one that allocated nothing large says nothing. */
static bool tell(const run_options *options, const char *report, const struct rusage *usage)
{
    json_t *const processes = json_array();
    FILE *const in = fopen(report, "r");
    char line[4096];
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        json_t *const process = json_loads(line, 0, NULL);
        if (process != NULL && number(process, "allocations") > 0) (void)json_array_append(processes, process);
        json_decref(process);
    }
    if (in != NULL) (void)fclose(in);
    bool is_done = true;
    if (options->json_path != NULL) {
        is_done = write_json(options->json_path, processes);
    } else {
        size_t i;
        json_t *process;
        json_array_foreach(processes, i, process) print_process(process);
        if (json_array_size(processes) == 0) (void)fprintf(stderr, "acre um run: nothing large was allocated\n");
        (void)fprintf(stderr, "  resident   %s at most, with all else that the program has\n",
                      bytes_text((uint64_t)usage->ru_maxrss * 1024));
    }
    json_decref(processes);
    return is_done;
}

int um_run(int argument_count, char **arguments)
{
    run_options options = {.room_bytes = 0};
    const int parsed = parse_options(&options, argument_count, arguments);
    if (parsed >= 0 || options.program == NULL) return parsed;
    if (options.json_path != NULL && !can_write("um run", options.json_path)) return EXIT_TOOL;
    char *const library = find_own_file("libacre-um.so");
    if (library == NULL) {
        complain("um run", "libacre-um.so is not found beside this tool");
        return EXIT_TOOL;
    }
    const char *const folder = getenv("TMPDIR");
    char *const report = must_print("%s/acre-um-XXXXXX", folder == NULL ? "/tmp" : folder);
    const int file = mkostemp(report, O_CLOEXEC);
    int code = EXIT_TOOL, status = -1;
    struct rusage usage = {.ru_maxrss = 0};
    if (file < 0)
        complain("um run", "'%s': %s", report, strerror(errno));
    else
        status = run_program(&options, library, report, &usage, &code);
    if (status >= 0 && !tell(&options, report, &usage) && status == 0) status = -1;
    if (file >= 0) (void)close(file);
    if (file >= 0) (void)unlink(report);
    free(report);
    free(library);
    if (status < 0) return code;
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    return WEXITSTATUS(status);
}
