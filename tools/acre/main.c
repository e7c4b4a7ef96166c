/* main.c - the acre command: finds the subcommand and hands over. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

static const command commands[] = {
    {"run", "run a program on acre and report what happened to its memory", command_run},
    {"report", "make the report of a recorded trace again", command_report},
    {"replay", "replay a recorded trace on chosen allocators and compare them", command_replay},
    {"cache", "compare replacement policies on recorded traces of caches", command_cache},
    {"plan", "plan pools from a trace, and the registers of protection domains", command_plan},
    {"stats", "show what the heaps of a running process are now", command_stats},
    {"top", "watch the heaps of a running process", command_top},
    {"tour", "see each memory system at its real job, and which promises it keeps", command_tour},
    {"bench", "compare acre's heap with every other malloc there is", command_bench},
    {"prove", "prove properties of acre's source", command_prove},
    {"wcet", "bound the instructions of a program's functions", command_wcet},
    {"topology", "show every memory of the machine", command_topology},
    {"gpu", "show the memories of GPUs, and what lies in them", command_gpu},
    {"um", "run a program in less memory than it needs; replay traces by rules", command_um},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fputs("acre manages memory, and shows what a program does with it.\n\n"
          "Usage: acre COMMAND [OPTIONS] ...\n\nCommands:\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n'acre COMMAND --help' tells the options of a command, --version the version.\n"
          "First steps: acre run -- ls -l /\n", out);
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *const name = arguments[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(name, "--version") == 0) {
        puts("acre " ACRE_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(name, MALLOC_CHECK_OPTION) == 0 && argument_count == 3) return answer_malloc_check(arguments[2]); /* asked by this tool */
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0) return commands[i].run(argument_count - 1, arguments + 1);
    return complain_usage("", "'%s' is no command", name);
}
