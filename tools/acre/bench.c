/* bench.c - `acre bench`: acre's heap and its placing of device memory beside their peers, through the scripts bench/NAME/compare, and a
 * page with plots of what they found.
 *
 * The loads and the comparisons belong to the source tree and its build folder, which an installed acre does not have: it is told so.
 */
#include "command.h"
#include "exports.h"
#include "tour_page.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char help[] = "Usage: acre bench heap|gpu [OPTIONS]\n"
                           "\n"
                           "heap: classic loads on malloc and real programs, on acre and on every other\n"
                           "malloc there is: CPU time and peak resident memory (interleaved, medians),\n"
                           "instructions of a malloc and a free, and what is still held of memory that was\n"
                           "freed. Losses are listed too. Takes a quarter of an hour.\n"
                           "\n"
                           "gpu: how device memory is carved, beside VulkanMemoryAllocator where\n"
                           "scripts/get-vma has fetched it: instructions of an alloc and a free, how full a\n"
                           "block gets before one fails, after how much use, and with how many bytes moved.\n"
                           "Takes two minutes.\n"
                           "\n"
                           "  --only LIST     heap: parts (workloads, programs, instructions, idle), loads\n"
                           "                  and programs, by commas\n"
                           "  --rounds N      how often each is measured (5); gpu: with so many seeds\n"
                           "  --json FILE     every figure\n"
                           "  --page FILE     where the page with the plots goes (acre-bench.html; ''\n"
                           "                  for none)\n"
                           "  --library FILE  heap: the malloc replacement, when not the one built\n"
                           "  --source DIR    acre's source (" ACRE_SOURCE_FOLDER ")\n"
                           "  -h, --help      print this\n";

typedef struct bench_options {
    const char *name, *only, *rounds, *json, *page, *library, *source;
} bench_options;

static bool is_of_heap(const bench_options *wanted) { return strcmp(wanted->name, "heap") == 0; }

/* Returns -1 when the benchmark is to be run, else the exit code. */
static int parse_options(bench_options *wanted, int argument_count, char **arguments)
{
    static const struct option options[] = {
        {"only", required_argument, NULL, 'o'},    {"rounds", required_argument, NULL, 'r'},
        {"json", required_argument, NULL, 'j'},    {"page", required_argument, NULL, 'p'},
        {"source", required_argument, NULL, 's'},  {"help", no_argument, NULL, 'h'},
        {"library", required_argument, NULL, 'l'}, {NULL, 0, NULL, 0},
    };
    uint64_t number = 0;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, ":h", options, NULL)) != -1;) {
        switch (option) {
        case 'o':
            wanted->only = optarg;
            break;
        case 'r':
            if (!parse_number(optarg, 1, 99, &number)) return complain_usage("bench", "--rounds '%s' is no number from 1 to 99", optarg);
            wanted->rounds = optarg;
            break;
        case 'j':
            wanted->json = optarg;
            break;
        case 'p':
            wanted->page = optarg;
            break;
        case 'l':
            wanted->library = optarg;
            if (!is_malloc_library("bench", "--library", optarg)) return EXIT_USAGE;
            break;
        case 's':
            wanted->source = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("bench", "option '%s' needs a value", arguments[optind - 1]);
        default:
            return complain_usage("bench", "unknown option '%s'", arguments[optind - 1]);
        }
    }
    if (optind == argument_count) return complain_usage("bench", "which benchmark? There are 'heap' and 'gpu'");
    wanted->name = arguments[optind];
    if (argument_count - optind != 1 || (!is_of_heap(wanted) && strcmp(wanted->name, "gpu") != 0))
        return complain_usage("bench", "'%s' is no benchmark; there are 'heap' and 'gpu'", arguments[argument_count - 1]);
    if (!is_of_heap(wanted) && (wanted->only != NULL || wanted->library != NULL))
        return complain_usage("bench", "--only and --library are for 'heap'");
    return -1;
}

/* Runs the comparison; its exit code, or EXIT_TOOL after a message. */
static int compare(const bench_options *wanted, const char *binaries, const char *library, const char *json)
{
    enum { WORD_COUNT_MAX = 16 };
    char *words[WORD_COUNT_MAX];
    int count = 0;
    char *const script = must_print("%s/bench/%s/compare", wanted->source, wanted->name);
    const bool is_heap = is_of_heap(wanted);
    const char *const given[][2] = {{"--binaries", is_heap ? binaries : NULL},
                                    {"--library", library},
                                    {"--json", json},
                                    {"--only", wanted->only},
                                    {is_heap ? "--rounds" : "--seeds", wanted->rounds}};
    words[count++] = must_copy(script);
    if (!is_heap) words[count++] = must_print("%s/../gpu/mixes", binaries);
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        if (given[i][1] == NULL) continue;
        words[count++] = must_copy(given[i][0]);
        words[count++] = must_copy(given[i][1]);
    }
    words[count] = NULL;
    pid_t child = 0;
    int status = 0;
    const int code = posix_spawn(&child, script, NULL, NULL, words, environ);
    if (code != 0) complain("bench", "'%s': %s; --source tells where acre's source is", script, strerror(code));
    for (int i = 0; i < count; i++) free(words[i]);
    free(script);
    if (code != 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return EXIT_TOOL;
    return WEXITSTATUS(status);
}

/* What was found becomes the page, and the file that was asked for. */
static int show(const bench_options *wanted, const char *path)
{
    json_error_t error;
    int result = EXIT_SUCCESS;
    json_t *const document = json_load_file(path, 0, &error);
    if (document == NULL) {
        complain("bench", "the figures can't be read: %s", error.text);
        return EXIT_TOOL;
    }
    json_object_set_new(document, "version", json_string(ACRE_VERSION));
    if (wanted->json != NULL && export_json(document, wanted->json) != ACRE_OK) {
        complain("bench", "%s", acre_last_error());
        result = EXIT_TOOL;
    }
    if (wanted->page != NULL && *wanted->page != 0) {
        if (export_tour_page(document, wanted->page) != ACRE_OK) {
            complain("bench", "%s", acre_last_error());
            result = EXIT_TOOL;
        } else if (strcmp(wanted->page, "-") != 0) {
            char *const page = realpath(wanted->page, NULL);
            printf("The page with the plots: %s\n", page != NULL ? page : wanted->page);
            free(page);
        }
    }
    json_decref(document);
    return result;
}

int command_bench(int argument_count, char **arguments)
{
    bench_options wanted = {.name = "heap", .page = "acre-bench.html", .source = ACRE_SOURCE_FOLDER};
    const int parsed = parse_options(&wanted, argument_count, arguments);
    if (parsed >= 0) return parsed;

    if (wanted.json != NULL && !can_write("bench", wanted.json)) return EXIT_TOOL;
    if (wanted.page != NULL && *wanted.page != 0 && !can_write("bench", wanted.page)) return EXIT_TOOL;
    char figures[] = "/tmp/acre-bench-XXXXXX";
    const int file = mkstemp(figures);
    if (file < 0) {
        complain("bench", "no file for the figures can be made in /tmp: %s", strerror(errno));
        return EXIT_TOOL;
    }
    close(file);
    char *const library = is_of_heap(&wanted) ? find_malloc_library("bench", wanted.library) : NULL;
    const bool has_library = library != NULL || !is_of_heap(&wanted);
    char *const binaries = has_library ? find_bench_programs() : NULL;
    if (has_library && binaries == NULL)
        complain("bench", "the loads are not built beside this tool: use the acre of a build folder, build/tools/acre/acre");
    int result = binaries != NULL ? compare(&wanted, binaries, library, figures) : EXIT_TOOL;
    if (result == EXIT_SUCCESS) result = show(&wanted, figures);
    unlink(figures);
    free(binaries);
    free(library);
    return result;
}
