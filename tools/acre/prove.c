/* prove.c - `acre prove`: runs the proofs of the source tree that this acre was built from, through proofs/run.
 *
 * The proofs are about source, so they need it: an installed acre is told where it is by --source.
 */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: acre prove [OPTIONS] [NAME...]\n"
    "\n"
    "Proves properties of acre's source with CBMC and Spin: all of them, or those\n"
    "named. Prints tool, result, CPU seconds, property, bound, assumptions of each. A\n"
    "tool that is not here gives 'not run'; scripts/get-cbmc fetches CBMC.\n"
    "\n"
    "  --mutants      plant the listed bugs and see that the proofs notice them\n"
    "  --json         print JSON\n"
    "  --cases        print a line a case, as ./check counts them\n"
    "  --list         print the names of the proofs\n"
    "  --source DIR   acre's source (" ACRE_SOURCE_FOLDER ")\n"
    "  -h, --help     print this\n"
    "\n"
    "The exit status is 0 when everything asked for is proven, 1 when not, 2 for a\n"
    "mistake in the call.\n";

int command_prove(int argument_count, char **arguments)
{
    static const struct option options[] = {
        {"mutants", no_argument, NULL, 'm'},       {"json", no_argument, NULL, 'j'}, {"list", no_argument, NULL, 'l'},
        {"cases", no_argument, NULL, 'c'},
        {"source", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0},
    };
    const char *source = ACRE_SOURCE_FOLDER;
    /* proofs/run, its options and names, and the NULL of execv: never more than what we were given and one. */
    char **const passed = must_calloc((size_t)argument_count + 2, sizeof *passed);
    int passed_count = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'm':
        case 'j':
        case 'c':
        case 'l': passed[passed_count++] = arguments[optind - 1]; break;
        case 's': source = optarg; break;
        case 'h':
            fputs(help, stdout);
            free(passed);
            return EXIT_SUCCESS;
        default:
            free(passed);
            return complain_usage("prove", "'%s': no such option, or its argument is missing", arguments[optind - 1]);
        }
    }
    for (int i = optind; i < argument_count; i++) passed[passed_count++] = arguments[i];

    passed[0] = must_print("%s/proofs/run", source);
    (void)execv(passed[0], passed);
    complain("prove", "%s: %s; --source tells where acre's source is", passed[0], strerror(errno));
    free(passed[0]);
    free(passed);
    return EXIT_USAGE;
}
