/* firmware.c - the fourth stop: examples/firmware is built for three boards and booted in QEMU, and what it says is read.
 *
 * Which boards there are goes by the cross compilers and emulators that are installed. */
#include "command.h"
#include "job.h"
#include "tour.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_HERE = 77, COUNT_COUNT = 5 };

typedef struct firmware_board {
    const char *name, *title;
} firmware_board;

/* On how many boards it ran, and did not do as it should. */
typedef struct tally {
    int all, not_caught, not_ended, not_named;
} tally;

static bool says(const char *text, const char *sentence) { return strstr(text, sentence) != NULL; }

/* Whether the overflow was told as an access to the first byte behind the memory of its domain. */
static bool is_caught(const char *text)
{
    unsigned long long address = 0, block = 1;
    const char *const sentence = strstr(text, "acre: domain 'radio': "), *const end = sentence == NULL ? NULL : strchr(sentence, '\n');
    if (end == NULL) return false;
    const char *const of = strstr(sentence, " of 0x"), *const at = strstr(sentence, "'filter memory' of domain 'filter', 4096 bytes at 0x");
    if (of == NULL || at == NULL || of > end || at > end) return false;
    address = strtoull(of + strlen(" of "), NULL, 16);
    block = strtoull(strstr(at, " at 0x") + strlen(" at "), NULL, 16);
    return address == block && address != 0 && says(text, "kernel: 'radio' is ended");
}

/* The numbers of the line on instructions, as they are. */
static json_t *counts_of(const char *text)
{
    static const char *const names[COUNT_COUNT] = {"domain switch", "pool alloc", "pool free", "heap alloc", "heap free"};
    json_t *const counts = json_object();
    const char *at = strstr(text, "instructions: ");
    for (int i = 0; at != NULL && i < COUNT_COUNT; i++) {
        at = strstr(at, names[i]);
        if (at == NULL) break;
        json_object_set_new(counts, names[i], json_integer(strtoll(at + strlen(names[i]), NULL, 10)));
    }
    return counts;
}

static const char *figure(const json_t *counts, const char *name)
{
    return count_text((uint64_t)json_integer_value(json_object_get(counts, name)));
}

/* What `size` of the compiler says of the image; 0: it says nothing. */
static uint64_t bytes_of(const char *size_program, const char *image)
{
    const char *const words[] = {size_program, image, NULL};
    char text[1024];
    tour_job started = tour_job_start(words, "");
    const char *const line = tour_job_end(&started, text, sizeof text) == 0 ? strchr(text, '\n') : NULL;
    return line == NULL ? 0 : strtoull(line, NULL, 10);
}

/* Why it can't run here is left in `reason`. */
static void boot(tour_state *tour, const char *run, const firmware_board *board, tally *of, json_t *details, char **reason)
{
    char *const image = must_print("%s/%s.elf", tour_scratch(tour), board->name);
    const char *const words[] = {"timeout", "60", run, board->name, image, NULL};
    static char text[16 * 1024];
    tour_progress(tour, "%s boots", board->title);
    tour_job started = tour_job_start(words, "");
    const int status = tour_job_end(&started, text, sizeof text);
    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE) {
        text[strcspn(text, "\n")] = 0;
        free(*reason);
        *reason = must_print("%s: not booted: %s", board->title, text);
    } else {
        const bool is_riscv = strcmp(board->name, "rv32") == 0;
        json_t *const counts = counts_of(text);
        of->all++;
        of->not_caught += !is_caught(text);
        of->not_ended += !(status == 0 && says(text, "filter: 64 samples, sum 30858, ended by itself\n"));
        of->not_named +=
            !(says(text, "filter: leak: 2 of heap 'filter', kind 'alarm'") && says(text, "filter: leak: 2 of pool 'samples'\n"));
        json_object_set_new(counts, "code bytes",
                            json_integer((json_int_t)bytes_of(is_riscv ? "riscv64-unknown-elf-size" : "arm-none-eabi-size", image)));
        tour_say(tour,
                 "%s: %s bytes of code and constants; instructions: domain switch %s, pool alloc %s and free %s, heap alloc %s and "
                 "free %s",
                 board->title, figure(counts, "code bytes"), figure(counts, "domain switch"), figure(counts, "pool alloc"),
                 figure(counts, "pool free"), figure(counts, "heap alloc"), figure(counts, "heap free"));
        const char *const fault = strstr(text, "acre: domain 'radio': ");
        if (fault != NULL) json_object_set_new(counts, "fault", json_stringn(fault, strcspn(fault, "\n")));
        json_object_set_new(details, board->name, counts);
    }
    free(image);
}

static void visit(tour_state *tour)
{
    static const firmware_board boards[] = {{"m3", "Cortex-M3"}, {"m33", "Cortex-M33"}, {"rv32", "RISC-V"}};
    char *const run = must_print("%s/examples/firmware/run", ACRE_SOURCE_FOLDER);
    json_t *const details = json_object();
    tally of = {0};
    if (access(run, X_OK) != 0) {
        tour_skip(tour, "the firmware is only in acre's source, which is not where this tool was built from");
    } else {
        char *reasons[3] = {NULL};
        for (int i = 0; i < 3; i++) boot(tour, run, &boards[i], &of, details, &reasons[i]);
        if (of.all == 0 && reasons[0] != NULL) tour_skip(tour, reasons[0]);
        for (int i = 0; i < 3; i++) {
            if (of.all > 0 && reasons[i] != NULL) tour_say(tour, "%s", reasons[i]);
            free(reasons[i]);
        }
    }
    if (of.all > 0) {
        const char *const fault = json_string_value(json_object_get(json_object_get(details, "m3"), "fault"));
        if (fault != NULL) tour_say(tour, "the planted overflow, on the Cortex-M3: %s", fault);
        tour_promise(tour, "overflows that are not caught, or told with another address", of.not_caught, 0, "boards");
        tour_promise(tour, "tasks that do not run to their end beside it", of.not_ended, 0, "boards");
        tour_promise(tour, "leaks of heap and pool that are not named", of.not_named, 0, "boards");
    }
    json_object_set_new(details, "count", json_integer(of.all));
    tour_detail(tour, "boards", details);
    free(run);
}

TOUR_STOP("firmware", "a firmware in QEMU: what its protection and its pool catch", 40, visit)
