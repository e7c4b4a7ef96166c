/* plan.c - `acre plan`: from a trace or a list of wishes to what a firmware is compiled with. */
#include "plan.h"

#include "command.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { POOLS_DEFAULT = 12, POOLS_MAX = 32, GRAIN_DEFAULT = 8, RESERVE_DEFAULT = 10 };

static void print_help(void)
{
    printf("Usage: acre plan pools [OPTIONS] TRACE\n"
           "       acre plan arena [OPTIONS] TRACE\n"
           "       acre plan domains [OPTIONS] FILE\n\n"
           "pools: the slot sizes and counts of memory pools that serve the allocations of\n"
           "TRACE in the fewest bytes, and their definitions in C. TRACE is of 'acre run\n"
           "--record', or text with lines 'alloc ID BYTES' and 'free ID'.\n\n"
           "  --pools N         at most so many pools (default %d)\n"
           "  --grain BYTES     slots are a multiple of it (default %d)\n"
           "  --process PID     which process of the trace (default: that with most events)\n\n"
           "arena: the smallest arena with which each engine of acre/realtime.h completes\n"
           "TRACE, found by replay, the one that is proved to be enough for any order of\n"
           "such allocs and frees, and the definition in C of the smallest.\n\n"
           "  --engine LIST     of tight, fast, best, worst, buddy (default: all)\n"
           "  --reserve N       so many per cent more are defined (default %d)\n"
           "  --process PID     as above\n\n"
           "domains: the registers of a memory protection unit for each domain of FILE, as\n"
           "C. FILE has lines 'domain NAME', 'window BASE SIZE', and\n"
           "'range NAME BASE|anywhere SIZE OWNER RIGHTS [device] [privileged RIGHTS]\n"
           "[grant DOMAIN RIGHTS]...'; rights are of the letters rwx, or '-'.\n\n"
           "  --mpu UNIT        v7m-8, v7m-16, v6m-8, v8m-8, v8m-16, pmp-16, pages-4096\n"
           "                    (default: v7m-8)\n"
           "  --expose BYTES    so much may be opened beside what a domain asks for\n"
           "                    (default 0)\n\n"
           "all of them:\n"
           "  --json            as JSON\n",
           POOLS_DEFAULT, GRAIN_DEFAULT, RESERVE_DEFAULT);
}

int command_plan(int argument_count, char **arguments)
{
    static const struct option names[] = {
        {"pools", required_argument, NULL, 'n'},   {"grain", required_argument, NULL, 'g'},
        {"process", required_argument, NULL, 'p'}, {"mpu", required_argument, NULL, 'm'},
        {"engine", required_argument, NULL, 'E'},  {"reserve", required_argument, NULL, 'r'},
        {"expose", required_argument, NULL, 'e'},  {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    plan_options options = {.pool_count = POOLS_DEFAULT,
                            .grain_bytes = GRAIN_DEFAULT,
                            .engines = "all",
                            .reserve_percent = RESERVE_DEFAULT,
                            .unit = "v7m-8"};
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, ":h", names, NULL)) != -1;) {
        switch (option) {
        case 'n':
            if (!parse_number(optarg, 1, POOLS_MAX, &options.pool_count))
                return complain_usage("plan", "--pools '%s' is no number from 1 to %d", optarg, (int)POOLS_MAX);
            break;
        case 'g':
            if (!parse_bytes(optarg, &options.grain_bytes) || options.grain_bytes == 0 || options.grain_bytes > 4096)
                return complain_usage("plan", "--grain '%s' is no size from 1 to 4096", optarg);
            break;
        case 'p':
            if (!parse_number(optarg, 1, UINT32_MAX, &options.process_id))
                return complain_usage("plan", "--process '%s' is no process number", optarg);
            break;
        case 'E':
            options.engines = optarg;
            break;
        case 'r':
            if (!parse_number(optarg, 0, 1000, &options.reserve_percent))
                return complain_usage("plan", "--reserve '%s' is no number from 0 to 1000", optarg);
            break;
        case 'm':
            options.unit = optarg;
            break;
        case 'e':
            if (!parse_bytes(optarg, &options.expose_bytes)) return complain_usage("plan", "--expose '%s' is no size", optarg);
            break;
        case 'j':
            options.is_json = true;
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("plan", "option '%s' needs a value", arguments[optind - 1]);
        default:
            return complain_usage("plan", "unknown option '%s'", arguments[optind - 1]);
        }
    }
    if (argument_count - optind != 2) return complain_usage("plan", "what is planned and one file are needed");
    const char *const what = arguments[optind];
    options.path = arguments[optind + 1];
    if (strcmp(what, "pools") == 0) return plan_pools(&options);
    if (strcmp(what, "arena") == 0) return plan_arena(&options);
    if (strcmp(what, "domains") == 0) return plan_domains(&options);
    return complain_usage("plan", "'%s' can't be planned: pools, arena, domains", what);
}
