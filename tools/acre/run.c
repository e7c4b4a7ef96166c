/* run.c - `acre run`: starts a program on acre's heap, collects what it records, and makes the report when it ends.
 *
 * The program keeps its standard streams, its terminal, its exit code and its signals: those sent to acre are passed on, and
 * when the program is killed by a signal, acre ends by the same one. Signals that the terminal sends reach both by
 * themselves, so only signals from another process are passed on.
 */
#include "collector.h"
#include "command.h"
#include "guard/level.h"
#include "outputs.h"
#include "os/os.h"
#include "os/ticks.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SAMPLE_BYTES_DEFAULT = 512 * 1024,
    ROUND_NS_MIN = 10 * 1000 * 1000, /* while nothing is to be taken: a fiftieth of the time that the program has run, within these */
    ROUND_NS_MAX = 100 * 1000 * 1000, /* bounds: often enough for its curves; every 10 ms would cost 1.7 % of a CPU */
    BUSY_ROUND_NS = 3 * 1000 * 1000,
    CALIBRATE_NS = 5 * 1000 * 1000,
};

typedef struct run_options {
    outputs wanted;
    const char *record_path; /* NULL: sampled, and the trace is removed afterwards */
    const char *library_path;
    const char *guard; /* NULL: as the environment says */
    const char *guard_report_path;
    uint64_t sample_bytes;
    bool has_html_path, no_html;
    char **program; /* and its arguments */
} run_options;

static void print_help(void)
{
    printf("Usage: acre run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n\n"
           "Runs PROGRAM on acre's heap and reports what happened to its memory.\n\n"
           "  --sample BYTES         record about one allocation in BYTES allocated (default %d KiB); the cost is small\n"
           "  --record FILE          record every allocation and keep the trace in FILE (see 'acre report', 'acre replay')\n"
           "  --guard LEVEL          check what the program does with its heap: L1, L2, or L3 (1 block in 1000); see acre(1)\n"
           "  --guard-report FILE    append each fault found to FILE, a JSON object a line\n"
           "  --library FILE         the malloc replacement, when it is not found beside acre\n"
           OUTPUT_OPTIONS_HELP
           "\nThe exit code is the program's. 125: acre itself failed; 126, 127: the program can't be executed, is not found.\n",
           SAMPLE_BYTES_DEFAULT / 1024);
}

enum { OPTION_SAMPLE = 1, OPTION_RECORD, OPTION_LIBRARY, OPTION_GUARD, OPTION_GUARD_REPORT, OPTION_HELP };

/* Returns -1 when the program is to be run, else the exit code. */
static int parse_options(run_options *options, int argument_count, char **arguments)
{
    static const struct option names[] = {
        {"sample", required_argument, NULL, OPTION_SAMPLE},
        {"record", required_argument, NULL, OPTION_RECORD},
        {"library", required_argument, NULL, OPTION_LIBRARY},
        {"guard", required_argument, NULL, OPTION_GUARD},
        {"guard-report", required_argument, NULL, OPTION_GUARD_REPORT},
        {"help", no_argument, NULL, OPTION_HELP},
        OUTPUT_LONG_OPTIONS,
        {0},
    };
    bool has_sample = false;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, "+:h", names, NULL)) != -1;) {
        switch (option) {
        case OPTION_SAMPLE:
            has_sample = true;
            if (!parse_bytes(optarg, &options->sample_bytes) || options->sample_bytes == 0)
                return complain_usage("run", "--sample '%s' is no number of bytes above 0, for example 512K", optarg);
            break;
        case OPTION_RECORD: options->record_path = optarg; break;
        case OPTION_LIBRARY:
            options->library_path = optarg;
            if (!is_malloc_library("run", "--library", optarg)) return EXIT_USAGE;
            break;
        case OPTION_GUARD: {
            acre_guard_level level;
            acre_guard_limits limits;
            options->guard = optarg;
            if (!acre_guard_read(optarg, &level, &limits))
                return complain_usage("run", "--guard '%s' is none of " ACRE_GUARD_TEXTS, optarg);
            break;
        }
        case OPTION_GUARD_REPORT: options->guard_report_path = optarg; break;
        case 'h':
        case OPTION_HELP: print_help(); return EXIT_SUCCESS;
        case '?':
            if (optopt != 0 && optopt < OPTION_SAMPLE + 64) return complain_usage("run", "unknown option '-%c'", optopt);
            return complain_usage("run", "unknown option '%s'", arguments[optind - 1]);
        case ':': return complain_usage("run", "option '%s' needs a value", arguments[optind - 1]);
        default:
            if (!outputs_take_option(&options->wanted, "run", option, optarg)) return EXIT_USAGE;
            options->has_html_path |= option == OUTPUT_HTML;
            options->no_html |= option == OUTPUT_NO_HTML;
        }
    }
    if (optind == argument_count) return complain_usage("run", "which program?");
    if (has_sample && options->record_path != NULL)
        return complain_usage("run", "--sample and --record exclude each other: --record takes every allocation");
    if (options->record_path != NULL && strcmp(options->record_path, "-") == 0)
        return complain_usage("run", "--record '-': a trace needs a file, it is read again for the report");
    if (options->guard_report_path != NULL && strcmp(options->guard_report_path, "-") == 0)
        return complain_usage("run", "--guard-report '-': it needs a file; what is found is told on standard error as well");
    if (options->has_html_path && options->no_html)
        return complain_usage("run", "--report and --no-html exclude each other");
    options->program = arguments + optind;
    if (options->record_path != NULL) options->sample_bytes = 0;
    return -1;
}

/* --- where things are --- */

/* Shared memory when there is some, because it is written at the speed of memory. */
static char *make_directory(void)
{
    const char *const temporary = getenv("TMPDIR");
    const char *const places[] = {"/dev/shm", temporary, "/tmp"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (places[i] == NULL || places[i][0] == 0) continue;
        char *const path = must_print("%s/acre-XXXXXX", places[i]);
        if (mkdtemp(path) != NULL) return path;
        free(path);
    }
    complain("run", "no folder for the recording can be made in /dev/shm, $TMPDIR or /tmp: %s", strerror(errno));
    return NULL;
}

/* --- signals --- */

static volatile sig_atomic_t program_id;

static void pass_on(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    const int saved = errno;
    if (info->si_code <= 0 && program_id > 0) (void)kill(program_id, signal_number); /* > 0: the kernel, for a terminal */
    errno = saved;
}

static const int passed_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGCONT};

static void (*old_pipe_action)(int);

static void catch_signals(void)
{
    old_pipe_action = signal(SIGPIPE, SIG_IGN); /* whoever reads the summary may go; the cleaning up is still done */
    const struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (size_t i = 0; i < sizeof passed_signals / sizeof passed_signals[0]; i++) {
        struct sigaction old;
        /* What acre was told to ignore (nohup), the program shall ignore as well. */
        if (sigaction(passed_signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue;
        (void)sigaction(passed_signals[i], &action, NULL);
    }
}

static void release_signals(void)
{
    (void)signal(SIGPIPE, old_pipe_action);
    for (size_t i = 0; i < sizeof passed_signals / sizeof passed_signals[0]; i++) {
        struct sigaction old;
        if (sigaction(passed_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            (void)signal(passed_signals[i], SIG_DFL);
    }
}

/* Ends acre as the program ended. */
static void die_by(int signal_number)
{
    sigset_t set;
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0}); /* the program's core is the one of interest */
    (void)signal(signal_number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(signal_number);
}

/* --- the program --- */

/* The library that bounds memcpy and its family lies beside the other one, or in a build folder of its own; NULL: it does not. */
static char *find_checked_library(const char *library)
{
    static const char *const places[] = {"libacre-checked.so", "../checked/libacre-checked.so"};
    const int folder_length = (int)(strrchr(library, '/') - library); /* a real path has one */
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char *const path = must_print("%.*s/%s", folder_length, library, places[i]);
        char *const real = access(path, R_OK) == 0 ? realpath(path, NULL) : NULL;
        free(path);
        if (real != NULL) return real;
    }
    complain("run", "memcpy and its family are not checked: libacre-checked.so is not found beside '%s'", library);
    return NULL;
}

static bool checks_copies(const run_options *options)
{
    return options->guard != NULL && (options->guard[1] == '1' || options->guard[1] == '2');
}

static void set_guard(const run_options *options)
{
    if (options->guard != NULL) (void)setenv("ACRE_GUARD", options->guard, 1);
    if (options->guard_report_path == NULL) return;
    char *const folder = options->guard_report_path[0] == '/' ? NULL : getcwd(NULL, 0); /* the program may go to another */
    char *const path = folder == NULL ? must_copy(options->guard_report_path) : must_print("%s/%s", folder, options->guard_report_path);
    (void)setenv("ACRE_GUARD_REPORT", path, 1);
    free(path);
    free(folder);
}

static void set_environment(const run_options *options, const char *library, const char *directory)
{
    const char *const old = getenv("LD_PRELOAD");
    char *const checked = checks_copies(options) ? find_checked_library(library) : NULL;
    char *const own = checked != NULL ? must_print("%s:%s", checked, library) : must_copy(library);
    char *const preload = old != NULL && old[0] != 0 ? must_print("%s:%s", old, own) : must_copy(own);
    free(checked);
    free(own);
    set_guard(options);
    char sample[24];
    snprintf(sample, sizeof sample, "%llu", (unsigned long long)options->sample_bytes);
    (void)setenv("LD_PRELOAD", preload, 1);
    (void)setenv("ACRE_RECORD_DIR", directory, 1);
    (void)setenv("ACRE_SAMPLE_BYTES", sample, 1);
    free(preload);
}

/* Starts the program; -1 with errno when it can't be executed. The pipe closes by itself when exec succeeds. */
static pid_t start(const run_options *options, const char *library, const char *directory, const sigset_t *old_mask)
{
    int report[2], error = 0;
    if (pipe2(report, O_CLOEXEC) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
        release_signals();
        (void)sigprocmask(SIG_SETMASK, old_mask, NULL);
        set_environment(options, library, directory);
        (void)execvp(options->program[0], options->program);
        error = errno;
        (void)!write(report[1], &error, sizeof error);
        _exit(EXIT_NOT_FOUND);
    }
    program_id = child;
    close(report[1]);
    if (child > 0 && read(report[0], &error, sizeof error) == sizeof error) {
        (void)waitpid(child, NULL, 0);
        errno = error;
        close(report[0]);
        return -1;
    }
    close(report[0]);
    return child;
}

/* The program itself loads it, and records without stacks where it is missing. */
static void complain_without_unwinder(void)
{
    void *const unwinder = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    if (unwinder == NULL) complain("run", "call sites stay unknown: libunwind.so.8 is not installed (Debian's package libunwind8)");
    else (void)dlclose(unwinder);
}

static uint64_t round_ns(uint64_t age_ns)
{
    if (age_ns / 50 < ROUND_NS_MIN) return ROUND_NS_MIN;
    return age_ns / 50 < ROUND_NS_MAX ? age_ns / 50 : ROUND_NS_MAX;
}

/* Collects until the program ends; returns its wait status. */
static int watch(collector *from, pid_t child)
{
    const uint64_t start_ns = acre_os_now_ns();
    sigset_t child_ended;
    struct rusage usage = {0};
    int status = 0;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    for (;;) {
        const bool is_busy = collector_round(from);
        const pid_t ended = wait4(child, &status, WNOHANG, &usage);
        if (ended == child || (ended < 0 && errno != EINTR)) break;
        const struct timespec pause = {.tv_nsec = is_busy ? BUSY_ROUND_NS : (long)round_ns(acre_os_now_ns() - start_ns)};
        (void)sigtimedwait(&child_ended, NULL, &pause);
    }
    program_id = 0;
    collector_finish(from, status, (uint64_t)usage.ru_maxrss * 1024);
    return status;
}

static uint64_t unix_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The trace is begun when the program has started: one that does not start leaves an older trace as it is. */
static int collect(const char *directory, const char *trace_path, const trace_header *header, pid_t child, int *wait_status)
{
    trace_writer *writer = NULL;
    if (trace_writer_open(&writer, trace_path, header) != ACRE_OK) {
        complain("run", "%s", acre_last_error());
        while (waitpid(child, wait_status, 0) < 0 && errno == EINTR) {}
        return EXIT_TOOL;
    }
    collector *const from = collector_open(directory, writer);
    collector_expect(from, (uint32_t)child);
    *wait_status = watch(from, child);
    collector_close(from);
    if (trace_writer_close(writer) != ACRE_OK) complain("run", "%s", acre_last_error());
    return EXIT_SUCCESS;
}

static int record(const run_options *options, const char *library, const char *directory, const char *trace_path,
                  int *wait_status)
{
    const acre_clock clock = acre_clock_of_machine();
    const trace_header header = {
        .ticks_per_second = acre_ticks_per_second(clock, CALIBRATE_NS),
        .start_ticks = acre_ticks(clock),
        .start_unix_ns = unix_ns(),
        .sample_bytes = options->sample_bytes,
    };
    sigset_t block, old_mask;
    sigemptyset(&block);
    sigaddset(&block, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &block, &old_mask);
    catch_signals();

    complain_without_unwinder();
    int result = EXIT_SUCCESS;
    const pid_t child = start(options, library, directory, &old_mask);
    if (child < 0) {
        result = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
        complain("run", "'%s': %s", options->program[0], strerror(errno));
    } else {
        result = collect(directory, trace_path, &header, child, wait_status);
    }
    (void)sigprocmask(SIG_SETMASK, &old_mask, NULL);
    return result;
}

static void remove_directory(const char *directory)
{
    char *const command_path = must_print("%s/trace", directory);
    (void)unlink(command_path);
    free(command_path);
    if (rmdir(directory) != 0 && errno == ENOTEMPTY)
        complain("run", "a process that outlives the program still records in '%s'", directory);
}

/* What is only found out after the program has run would be a pity. */
static bool can_write_all(const run_options *options)
{
    if (options->record_path != NULL && !can_write("run", options->record_path)) return false;
    if (options->guard_report_path != NULL && !can_write("run", options->guard_report_path)) return false;
    return outputs_can_be_written("run", &options->wanted);
}

int command_run(int argument_count, char **arguments)
{
    run_options options = {.sample_bytes = SAMPLE_BYTES_DEFAULT};
    const int parsed = parse_options(&options, argument_count, arguments);
    if (parsed >= 0 || options.program == NULL) return parsed;

    int wait_status = 0;
    outputs_result found = {0};
    char *const page = options.has_html_path || options.no_html ? NULL : outputs_default_page(options.program[0]);
    if (page != NULL) options.wanted.html_path = page;
    char *const library = can_write_all(&options) ? find_malloc_library("run", options.library_path) : NULL;
    char *const directory = library != NULL ? make_directory() : NULL;
    if (directory == NULL) {
        free(library);
        free(page);
        return EXIT_TOOL;
    }
    char *const trace_path =
        options.record_path != NULL ? must_copy(options.record_path) : must_print("%s/trace", directory);
    int result = record(&options, library, directory, trace_path, &wait_status);
    if (result == EXIT_SUCCESS && outputs_want_any(&options.wanted))
        result = outputs_make("run", trace_path, &options.wanted, &found);
    remove_directory(directory);
    free(trace_path);
    free(directory);
    free(library);
    free(page);
    if (result == EXIT_NOT_FOUND || result == EXIT_NOT_EXECUTABLE) return result;
    if (WIFSIGNALED(wait_status)) die_by(WTERMSIG(wait_status));
    if (WIFSIGNALED(wait_status)) return 128 + WTERMSIG(wait_status); /* a signal whose default is not death */
    if (WEXITSTATUS(wait_status) == 0 && result != EXIT_SUCCESS) return result;
    if (WEXITSTATUS(wait_status) == 0 && found.is_leak_unknown) return EXIT_TOOL;
    if (WEXITSTATUS(wait_status) == 0 && options.wanted.has_leak_exit_code && found.leak_count > 0)
        return (int)options.wanted.leak_exit_code;
    return WEXITSTATUS(wait_status);
}
