/* outputs.c - see outputs.h. */
#include "outputs.h"
#include "command.h"
#include "exports.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool outputs_take_option(outputs *wanted, const char *command_name, int option, const char *value)
{
    switch (option) {
    case OUTPUT_HTML: wanted->html_path = value; break;
    case OUTPUT_JSON: wanted->json_path = value; break;
    case OUTPUT_CSV: wanted->csv_path = value; break;
    case OUTPUT_COLLAPSED: wanted->collapsed_path = value; break;
    case OUTPUT_PPROF: wanted->pprof_path = value; break;
    case OUTPUT_QUIET: wanted->is_quiet = true; break;
    case OUTPUT_NO_HTML: wanted->html_path = NULL; break;
    case OUTPUT_LEAK_EXIT_CODE:
        wanted->has_leak_exit_code = true;
        if (parse_number(value, 1, 255, &wanted->leak_exit_code)) break;
        (void)complain_usage(command_name, "--leak-exit-code '%s' is no number from 1 to 255", value);
        return false;
    }
    return true;
}

char *outputs_default_page(const char *program)
{
    enum { TRIES = 10000 };
    const char *const slash = strrchr(program, '/');
    const char *const name = slash != NULL ? slash + 1 : program;
    for (int i = 1; i < TRIES; i++) {
        char *const path = i == 1 ? must_print("acre-%s.html", name) : must_print("acre-%s-%d.html", name, i);
        if (access(path, F_OK) != 0) return path;
        free(path);
    }
    return must_print("acre-%s-last.html", name);
}

static int compare_profiles(const void *left, const void *right)
{
    const profile *const a = *(profile *const *)left, *const b = *(profile *const *)right;
    const double peak_a = analysis_peak_live(a->figures), peak_b = analysis_peak_live(b->figures);
    if (peak_a != peak_b) return peak_a > peak_b ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void show_progress(uint32_t done, uint32_t count)
{
    if (!isatty(STDERR_FILENO)) return;
    if (done < count) fprintf(stderr, "\racre: reading process %u of %u ...", done + 1, count);
    else fputs("\r\033[K", stderr);
}

static run_report read_report(trace_reader *reader)
{
    const uint32_t count = trace_process_count(reader);
    run_report report = {.reader = reader, .profiles = must_calloc(count + 1, sizeof(profile *))};
    for (uint32_t i = 0; i < count; i++) {
        show_progress(i, count);
        report.profiles[report.count++] = profile_of_process(reader, i);
    }
    if (count > 0) show_progress(count, count);
    qsort(report.profiles, report.count, sizeof(profile *), compare_profiles);
    report.damage = trace_damage(reader); /* after reading: events are looked at then */
    return report;
}

/* Tells of a failure; true when there is none. */
static bool is_written(const char *command_name, acre_status status)
{
    if (status != ACRE_OK) complain(command_name, "%s", acre_last_error());
    return status == ACRE_OK;
}

static bool write_all(const char *command_name, const run_report *report, const outputs *wanted)
{
    bool is_good = true;
    json_t *const document = wanted->html_path != NULL || wanted->json_path != NULL ? report_to_json(report) : NULL;
    if (wanted->html_path != NULL) is_good &= is_written(command_name, export_page(document, wanted->html_path));
    if (wanted->json_path != NULL) is_good &= is_written(command_name, export_json(document, wanted->json_path));
    if (wanted->csv_path != NULL) is_good &= is_written(command_name, export_csv(report, wanted->csv_path));
    if (wanted->collapsed_path != NULL) is_good &= is_written(command_name, export_collapsed(report, wanted->collapsed_path));
    if (wanted->pprof_path != NULL) is_good &= is_written(command_name, export_pprof(report, wanted->pprof_path));
    if (document != NULL) json_decref(document);
    return is_good;
}

bool outputs_can_be_written(const char *command_name, const outputs *wanted)
{
    const char *const paths[] = {wanted->html_path, wanted->json_path, wanted->csv_path, wanted->collapsed_path, wanted->pprof_path};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i] != NULL && !can_write(command_name, paths[i])) return false;
    return true;
}

static uint64_t leak_count_of(const analysis *figures)
{
    if (figures->knows_all_leaks) return figures->all_leaked_count;
    return (uint64_t)llround(figures->has_scan ? figures->leaked_count : figures->live_count);
}

/* Why it is not known whether the program has leaked when no leak was found; NULL when it is. The program is the process whose end was
 * seen: children come and go as they like. */
static const char *why_leaks_are_unknown(const run_report *report)
{
    for (uint32_t i = 0; i < report->count; i++) {
        const analysis *const figures = report->profiles[i]->figures;
        if (!figures->info->has_end || figures->info->end.wait_status == -1) continue;
        if (!figures->is_sampled || figures->knows_all_leaks) return NULL;
        return figures->has_scan ? "only blocks that were sampled were looked at" : profile_no_scan_reason(report->profiles[i]);
    }
    return "the program was not observed (is it statically linked, or setuid?)";
}

static outputs_result result_of(const run_report *report)
{
    outputs_result result = {.is_damaged = report->damage != NULL};
    for (uint32_t i = 0; i < report->count; i++) result.leak_count += leak_count_of(report->profiles[i]->figures);
    return result;
}

bool outputs_want_any(const outputs *wanted)
{
    return !wanted->is_quiet || wanted->has_leak_exit_code || wanted->html_path != NULL || wanted->json_path != NULL ||
           wanted->csv_path != NULL || wanted->collapsed_path != NULL || wanted->pprof_path != NULL;
}

int outputs_make(const char *command_name, const char *trace_path, const outputs *wanted, outputs_result *result)
{
    trace_reader *reader = NULL;
    *result = (outputs_result){0};
    if (trace_reader_open(&reader, trace_path) != ACRE_OK) {
        complain(command_name, "%s", acre_last_error());
        return EXIT_TOOL;
    }
    run_report report = read_report(reader);
    *result = result_of(&report);
    if (!wanted->is_quiet) print_summary(&report, stderr);
    const bool is_good = write_all(command_name, &report, wanted);
    if (wanted->html_path != NULL && strcmp(wanted->html_path, "-") != 0 && is_good && !wanted->is_quiet)
        fprintf(stderr, "\nReport: %s\n", wanted->html_path);

    if (wanted->has_leak_exit_code && result->leak_count == 0) {
        const char *const why = why_leaks_are_unknown(&report);
        result->is_leak_unknown = why != NULL;
        if (why != NULL) complain(command_name, "whether the program has leaked is not known: %s", why);
    }
    for (uint32_t i = 0; i < report.count; i++) profile_free(report.profiles[i]);
    free(report.profiles);
    trace_reader_close(reader);
    return is_good ? EXIT_SUCCESS : EXIT_TOOL;
}
