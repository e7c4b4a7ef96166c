/* summary.c - what `acre run` says on the terminal when the program has ended. */
#include "command.h"
#include "exports.h"

#include <libsmartcols.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SITE_ROWS = 8,
    LEAK_ROWS = 3,
    STACK_ROWS = 6,
    PROCESS_ROWS = 12,
    BAR_WIDTH = 24,
    WIDTH_DEFAULT = 80,
    WIDTH_MAX = 140,
    TEXT_BYTES = 1024,
};

static size_t width_of(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return WIDTH_DEFAULT;
    return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

/* Sentences, broken at blanks so that no line is longer than WIDTH_DEFAULT, unless a word is. */
static void ACRE_PRINTF(2, 3) print_text(FILE *out, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t column = 0;
    for (const char *word = text; *word != 0;) {
        const size_t length = strcspn(word, " \n");
        if (column > 0 && column + 1 + length > WIDTH_DEFAULT) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column > 0 ? " " : "", (int)length, word);
        word += length;
        if (*word == '\n') {
            fputc('\n', out);
            column = 0;
        }
        if (*word != 0) word++;
    }
}

static struct libscols_table *new_table(FILE *out)
{
    struct libscols_table *const table = scols_new_table();
    if (table == NULL) exit(EXIT_TOOL);
    scols_table_set_stream(table, out);
    scols_table_set_termwidth(table, width_of(out));
    scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
    return table;
}

static void add_column(struct libscols_table *table, const char *name, int flags)
{
    if (scols_table_new_column(table, name, (flags & SCOLS_FL_TRUNC) != 0 ? 0.5 : 0, flags) == NULL) exit(EXIT_TOOL);
}

static void add_row(struct libscols_table *table, const char *const *cells, size_t count)
{
    struct libscols_line *const line = scols_table_new_line(table, NULL);
    if (line == NULL) exit(EXIT_TOOL);
    for (size_t i = 0; i < count; i++)
        if (scols_line_set_data(line, i, cells[i]) != 0) exit(EXIT_TOOL);
}

static void print_table(struct libscols_table *table, FILE *out)
{
    fflush(out);
    scols_print_table(table);
    scols_unref_table(table);
}

static const char *peak_live_text(const analysis *figures)
{
    return analysis_is_empty(figures) ? "unknown" : bytes_text((uint64_t)analysis_peak_live(figures));
}

static const char *resident_text(const analysis *figures)
{
    const uint64_t bytes = analysis_peak_of(figures, ACRE_GAUGE_RSS_BYTES);
    return bytes > 0 ? bytes_text(bytes) : "unknown";
}

static double leaked_bytes(const analysis *figures)
{
    return figures->knows_all_leaks ? (double)figures->all_leaked_bytes : figures->leaked_bytes;
}

static const char *leaked_text(const analysis *figures)
{
    return figures->has_scan ? bytes_text((uint64_t)leaked_bytes(figures)) : "unknown";
}

static void print_processes(const run_report *report, FILE *out)
{
    struct libscols_table *const table = new_table(out);
    static const char *const names[] = {"PROCESS", "PEAK LIVE", "PEAK RSS", "ALLOCATED", "ALLOCATIONS", "NOT FREED", "LEAKED"};
    for (size_t i = 0; i < 7; i++) add_column(table, names[i], i == 0 ? SCOLS_FL_TRUNC : SCOLS_FL_RIGHT);
    double allocated = 0, count = 0, remaining = 0, leaked = 0;
    for (uint32_t i = 0; i < report->count; i++) {
        const analysis *const figures = report->profiles[i]->figures;
        allocated += figures->allocated_bytes;
        count += figures->allocated_count;
        remaining += figures->live_bytes;
        leaked += leaked_bytes(figures);
        if (i >= PROCESS_ROWS) continue;
        char *const name = must_print("%u %s", figures->info->process.process_id, figures->info->name);
        const char *const cells[] = {name,
                                     peak_live_text(figures),
                                     resident_text(figures),
                                     bytes_text((uint64_t)figures->allocated_bytes),
                                     count_text((uint64_t)llround(figures->allocated_count)),
                                     bytes_text((uint64_t)figures->live_bytes),
                                     leaked_text(figures)};
        add_row(table, cells, 7);
        free(name);
    }
    char *const name = report->count > PROCESS_ROWS ? must_print("all %u (%d shown)", report->count, PROCESS_ROWS)
                                                    : must_print("all %u", report->count);
    const char *const cells[] = {name, "", "", bytes_text((uint64_t)allocated), count_text((uint64_t)llround(count)),
                                 bytes_text((uint64_t)remaining), bytes_text((uint64_t)leaked)};
    add_row(table, cells, 7);
    free(name);
    fprintf(out, "\n%u processes, the one with the highest peak first:\n", report->count);
    print_table(table, out);
}

static const char *stacks_text(uint32_t count) { return counted_text(count, "call stack", "call stacks"); }
static const char *blocks_text(double count) { return counted_text((uint64_t)llround(count), "block", "blocks"); }

/* "+- 3.1 KiB" for an estimate, "" for an exact figure. */
static char *error_text(double variance)
{
    return variance > 0 ? must_print(" (estimate, +- %s)", bytes_text((uint64_t)sqrt(variance))) : must_copy("");
}

static void print_totals(const profile *self, FILE *out)
{
    const analysis *const figures = self->figures;
    const uint64_t committed = analysis_peak_of(figures, ACRE_GAUGE_COMMITTED_BYTES);
    const double fragmentation = profile_fragmentation_at_peak(self);
    char *const allocated_error = error_text(figures->variance_allocated);
    char *const live_error = error_text(figures->variance_live);

    fprintf(out, "  peak live      %10s", peak_live_text(figures));
    if (!analysis_is_empty(figures)) fprintf(out, "   %.2f s after the start", (double)(figures->peak_ns - figures->begin_ns) / 1e9);
    fputc('\n', out);
    if (committed > 0) fprintf(out, "  peak committed %10s   memory that the heap held\n", bytes_text(committed));
    if (figures->has_gauge[ACRE_GAUGE_DEVICE_TAKEN_PEAK_BYTES]) {
        fprintf(out, "  peak device    %10s   memory of devices, in %s taken of drivers\n",
                bytes_text(figures->gauge_peaks[ACRE_GAUGE_DEVICE_PEAK_BYTES]),
                bytes_text(figures->gauge_peaks[ACRE_GAUGE_DEVICE_TAKEN_PEAK_BYTES]));
    }
    fprintf(out, "  peak RSS       %10s   the whole process, code and stacks included\n", resident_text(figures));
    if (fragmentation >= 0)
        fprintf(out, "  fragmentation  %9.1f%%   of the peak committed memory held no live block\n", fragmentation * 100);
    if (analysis_is_empty(figures)) {
        fputs("  allocated         unknown   too little for a sample\n", out);
    } else {
        fprintf(out, "  allocated      %10s   in %s%s\n", bytes_text((uint64_t)figures->allocated_bytes),
                counted_text((uint64_t)llround(figures->allocated_count), "allocation", "allocations"), allocated_error);
        fprintf(out, "  not freed      %10s   in %s%s\n", bytes_text((uint64_t)figures->live_bytes), blocks_text(figures->live_count),
                live_error);
    }
    free(allocated_error);
    free(live_error);
}

static char *site_text(const call_site *site)
{
    const symbol_frame frame = {.function = site->function, .file = site->file, .module = site->module, .line = site->line};
    return profile_frame_text(&frame);
}

static void print_sites(const profile *self, FILE *out)
{
    if (self->site_count == 0) return;
    struct libscols_table *const table = new_table(out);
    static const char *const names[] = {"ALLOCATED", "AT PEAK", "NOT FREED", "COUNT", "MEAN LIFE", "CALL SITE"};
    for (size_t i = 0; i < 6; i++) add_column(table, names[i], i == 5 ? SCOLS_FL_TRUNC : SCOLS_FL_RIGHT);
    for (uint32_t i = 0; i < self->site_count && i < SITE_ROWS; i++) {
        const call_site *const site = &self->sites[i];
        char *const place = site_text(site);
        const char *const cells[] = {bytes_text((uint64_t)site->bytes[MEASURE_ALLOCATED]),
                                     bytes_text((uint64_t)fmax(site->bytes[MEASURE_PEAK], 0)),
                                     bytes_text((uint64_t)fmax(site->bytes[MEASURE_END], 0)),
                                     count_text((uint64_t)llround(site->allocated_count)),
                                     site->freed_count > 0 ? duration_text((uint64_t)(site->life_sum_ns / site->freed_count))
                                                           : "never freed",
                                     place};
        add_row(table, cells, 6);
        free(place);
    }
    fprintf(out, "\nWho allocates most (%s):\n", counted_text(self->site_count, "call site", "call sites"));
    print_table(table, out);
}

typedef struct stack_print {
    FILE *out;
    unsigned rows;
} stack_print;

static void print_frame(void *context, const symbol_frame *frame)
{
    stack_print *const print = context;
    if (print->rows++ >= STACK_ROWS) return;
    char *const text = profile_frame_text(frame);
    fprintf(print->out, "      %s %s\n", print->rows == 1 ? "at" : "by", text);
    free(text);
}

static void print_stack(const profile *self, uint32_t stack, FILE *out)
{
    stack_print print = {.out = out};
    profile_for_each_frame(self, stack, print_frame, &print);
    if (print.rows > STACK_ROWS) fprintf(out, "      ... %u more\n", print.rows - STACK_ROWS);
}

static void print_unfreed(const profile *self, const unfreed *of, FILE *out)
{
    fprintf(out, "  %s in %s, %.0f%% of it from the later half of its time\n", bytes_text((uint64_t)of->bytes), blocks_text(of->count),
            of->growth * 100);
    print_stack(self, of->stack, out);
}

/* In a sampled run the process has counted all blocks that nothing points to, but only of samples is it known who made them. */
static void print_sampled_leaks(const profile *self, FILE *out)
{
    const analysis *const figures = self->figures;
    char *const error = error_text(figures->variance_leaked);
    if (self->leak_count > 0 && figures->knows_all_leaks)
        print_text(out, "Of these, samples tell of %s in %s%s:\n", bytes_text((uint64_t)figures->leaked_bytes),
                   blocks_text(figures->leaked_count), error);
    else if (self->leak_count > 0)
        print_text(out, "\nLeaked: %s in %s that nothing points to any more%s; only what was sampled was looked at.\n",
                   bytes_text((uint64_t)figures->leaked_bytes), blocks_text(figures->leaked_count), error);
    else if (figures->knows_all_leaks)
        fputs("None of them was sampled, so who made them is not known: --record FILE tells.\n", out);
    else
        fputs("\nNo sampled block is lost; --record FILE looks at all.\n", out);
    free(error);
}

static void print_leak_total(const profile *self, FILE *out)
{
    const analysis *const figures = self->figures;
    if (figures->knows_all_leaks && figures->all_leaked_count == 0) {
        fputs("\nNo leak: something points to every block that was not freed.\n", out);
        return;
    }
    if (figures->knows_all_leaks)
        fprintf(out, "\nLeaked: %s in %s that nothing points to any more.\n", bytes_text(figures->all_leaked_bytes),
                blocks_text((double)figures->all_leaked_count));
    if (figures->is_sampled) print_sampled_leaks(self, out);
}

/* What the process found when it looked at its end which blocks are still pointed to. */
static void print_leaks(const profile *self, FILE *out)
{
    const analysis *const figures = self->figures;
    print_leak_total(self, out);
    for (uint32_t i = 0; i < self->leak_count && i < LEAK_ROWS; i++) {
        const unfreed *const leak = &self->unfreed[i];
        fprintf(out, "  %s in %s of %s\n", bytes_text((uint64_t)leak->leaked_bytes), blocks_text(leak->leaked_count),
                count_text((uint64_t)llround(leak->allocated_count)));
        print_stack(self, leak->stack, out);
    }

    const double reachable_bytes = figures->live_bytes - figures->leaked_bytes;
    if (reachable_bytes >= 1)
        fprintf(out, "\nStill reachable at the end: %s in %s%s.\n", bytes_text((uint64_t)reachable_bytes),
                blocks_text(figures->live_count - figures->leaked_count), figures->is_sampled ? " (estimate)" : "");
    if (self->suspect_count > 0) fprintf(out, "Reachable, and growing all the time (%s):\n", stacks_text(self->suspect_count));
    for (uint32_t i = self->leak_count; i < self->leak_count + self->suspect_count && i < self->leak_count + LEAK_ROWS; i++)
        print_unfreed(self, &self->unfreed[i], out);
}

/* Without that: what kept growing. */
static void print_suspects(const profile *self, FILE *out)
{
    if (self->suspect_count > 0)
        fprintf(out, "\nNot freed, and growing all the time (%u of %s): look here for a leak.\n", self->suspect_count,
                stacks_text(self->unfreed_count));
    else
        fprintf(out, "\nNot freed at the end, though nothing that kept growing (%s):\n", stacks_text(self->unfreed_count));
    const uint32_t count = self->suspect_count > 0 ? self->suspect_count : self->unfreed_count;
    for (uint32_t i = 0; i < count && i < LEAK_ROWS; i++) print_unfreed(self, &self->unfreed[i], out);
    print_text(out, "Whether something still points to them is not known: %s.\n", profile_no_scan_reason(self));
}

static void print_remains(const profile *self, bool is_sampled, FILE *out)
{
    if (self->figures->has_scan && (is_sampled || self->unfreed_count > 0)) print_leaks(self, out);
    else if (analysis_is_empty(self->figures))
        print_text(out, "\nWhat was not freed is not known: no allocation was sampled. --record FILE tells.\n");
    else if (self->unfreed_count == 0)
        fputs(is_sampled ? "\nEvery block that was sampled was freed.\n" : "\nEverything was freed.\n", out);
    else print_suspects(self, out);
}

static void print_bar(FILE *out, double share)
{
    const int width = (int)lround(share * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++) fputc(i < width ? '#' : ' ', out);
}

static void print_sizes(const analysis *figures, FILE *out)
{
    double most = 0;
    for (unsigned i = 0; i < ANALYSIS_SIZE_BUCKETS; i++) most = fmax(most, figures->sizes[i].allocated_count);
    if (most <= 0) return;
    fputs("\nSizes (allocations):\n", out);
    for (unsigned i = 0; i < ANALYSIS_SIZE_BUCKETS; i++) {
        const size_bucket *const bucket = &figures->sizes[i];
        if (bucket->allocated_count < most / 200) continue;
        fprintf(out, "  up to %9s ", bytes_text(UINT64_C(1) << i));
        print_bar(out, bucket->allocated_count / most);
        fprintf(out, " %s\n", count_text((uint64_t)llround(bucket->allocated_count)));
    }
}

static void print_lives(const analysis *figures, FILE *out)
{
    enum { STEP = 4 }; /* buckets of a factor of 16 are enough for a terminal */
    double sums[ANALYSIS_LIFE_BUCKETS / STEP] = {0}, most = figures->never_freed_count;
    for (unsigned i = 0; i < ANALYSIS_LIFE_BUCKETS; i++) sums[i / STEP] += figures->lives[i].count;
    for (unsigned i = 0; i < ANALYSIS_LIFE_BUCKETS / STEP; i++) most = fmax(most, sums[i]);
    if (most <= 0) return;
    fputs("\nLifetimes (allocations):\n", out);
    for (unsigned i = 0; i < ANALYSIS_LIFE_BUCKETS / STEP; i++) {
        if (sums[i] <= 0) continue;
        fprintf(out, "  up to %9s ", duration_text(UINT64_C(1) << ((i + 1) * STEP)));
        print_bar(out, sums[i] / most);
        fprintf(out, " %s\n", count_text((uint64_t)llround(sums[i])));
    }
    if (figures->never_freed_count > 0) {
        fputs("  never freed     ", out);
        print_bar(out, figures->never_freed_count / most);
        fprintf(out, " %s\n", count_text((uint64_t)llround(figures->never_freed_count)));
    }
}

/* What the reader should know before believing the figures. */
static void print_cautions(const run_report *report, FILE *out)
{
    const uint64_t sample_bytes = trace_header_of(report->reader)->sample_bytes;
    uint64_t dropped = 0, doubled = 0, audited = 0, wrong = 0;
    for (uint32_t i = 0; i < report->count; i++) {
        const analysis *const figures = report->profiles[i]->figures;
        dropped += figures->info->end.dropped_count;
        doubled += figures->doubled_count;
        audited += figures->info->end.stack_audit_count;
        wrong += figures->info->end.stack_wrong_count;
    }
    if (report->damage != NULL) print_text(out, "\nThe trace is not whole, and read as far as it is sound: %s\n", report->damage);
    if (dropped > 0)
        print_text(out, "\nLost, because the collector could not keep up: %s. Figures are too low.\n",
                   counted_text(dropped, "event", "events"));
    if (doubled > 0)
        print_text(out, "\nHanded out without a free before: %s. Some events are missing.\n", counted_text(doubled, "block", "blocks"));
    if (wrong > 0)
        print_text(out, "\n%s of %s cached stacks that were checked named a wrong caller.\n", count_text(wrong), count_text(audited));
    if (sample_bytes > 0)
        print_text(out, "\nSampled: about one allocation in %s was recorded, so call sites and blocks not freed are estimates. "
                        "'acre run --record FILE' records all.\n", bytes_text(sample_bytes));
}

void print_summary(const run_report *report, FILE *out)
{
    if (report->count == 0) {
        fputs("\nacre: the program was not observed (is it statically linked, or setuid?)\n", out);
        return;
    }
    const profile *const biggest = report->profiles[0];
    const trace_process_info *const info = biggest->figures->info;
    fputs("\n--- acre ", out);
    for (int i = 0; i < 61; i++) fputc('-', out);
    if (report->count > 1) print_processes(report, out);
    char *const ending = profile_ending_text(biggest);
    fprintf(out, "\n%s (process %u), %.2f s%s%s\n", info->name, info->process.process_id, (double)(info->end_ns - info->start_ns) / 1e9,
            info->end.wait_status > 0 ? ", " : "", info->end.wait_status > 0 ? ending : "");
    free(ending);
    print_totals(biggest, out);
    print_sites(biggest, out);
    print_remains(biggest, trace_header_of(report->reader)->sample_bytes > 0, out);
    print_sizes(biggest->figures, out);
    print_lives(biggest->figures, out);
    print_cautions(report, out);
}
