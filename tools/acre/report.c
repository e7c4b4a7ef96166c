/* report.c - `acre report`: the report of a recorded trace, again. */
#include "command.h"
#include "outputs.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static void print_help(void)
{
    fputs("Usage: acre report [OPTIONS] TRACE\n\n"
          "Makes the report of a trace that 'acre run --record TRACE' has written.\n\n" OUTPUT_OPTIONS_HELP
          "\nA damaged or truncated trace is read as far as it is sound; the exit code is then 1.\n", stdout);
}

int command_report(int argument_count, char **arguments)
{
    static const struct option names[] = {{"help", no_argument, NULL, 'h'}, OUTPUT_LONG_OPTIONS, {0}};
    outputs wanted = {0};
    outputs_result found;
    bool no_html = false;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, ":h", names, NULL)) != -1;) {
        switch (option) {
        case 'h': print_help(); return EXIT_SUCCESS;
        case '?': return complain_usage("report", "unknown option '%s'", arguments[optind - 1]);
        case ':': return complain_usage("report", "option '%s' needs a value", arguments[optind - 1]);
        default:
            if (!outputs_take_option(&wanted, "report", option, optarg)) return EXIT_USAGE;
            no_html |= option == OUTPUT_NO_HTML;
        }
    }
    if (argument_count - optind != 1) return complain_usage("report", "one trace is needed, %d are given", argument_count - optind);

    char *const page = wanted.html_path == NULL && !no_html ? outputs_default_page(arguments[optind]) : NULL;
    if (page != NULL) wanted.html_path = page;
    const int result = !outputs_can_be_written("report", &wanted) ? EXIT_TOOL : outputs_make("report", arguments[optind], &wanted, &found);
    free(page);
    if (result != EXIT_SUCCESS) return result == EXIT_TOOL ? EXIT_FAILED : result;
    if (found.is_damaged || found.is_leak_unknown) return EXIT_FAILED;
    return wanted.has_leak_exit_code && found.leak_count > 0 ? (int)wanted.leak_exit_code : EXIT_SUCCESS;
}
