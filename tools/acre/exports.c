/* exports.c - call sites as CSV, and collapsed stacks. */
#include "exports.h"
#include "command.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static acre_status close_checked(FILE *out, const char *path)
{
    const bool has_failed = ferror(out) != 0;
    if (fclose(out) != 0 || has_failed) return acre_fail(ACRE_IO, "'%s' can't be written: %s", path, strerror(errno));
    return ACRE_OK;
}

/* RFC 4180: a field with a comma, a quote or a line end stands in quotes, in which a quote is doubled. */
static void print_field(FILE *out, const char *text)
{
    if (text == NULL) return;
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const char *c = text; *c != 0; c++) {
        if (*c == '"') fputc('"', out);
        fputc(*c, out);
    }
    fputc('"', out);
}

acre_status export_csv(const run_report *report, const char *path)
{
    FILE *const out = open_output(path);
    if (out == NULL) return acre_fail(ACRE_IO, "'%s' can't be created: %s", path, strerror(errno));
    fputs("process_id,program,function,file,line,module,allocated_bytes,allocated_bytes_error,allocated_count,peak_bytes,"
          "unfreed_bytes,unfreed_count,mean_life_ns\r\n", out);
    for (uint32_t p = 0; p < report->count; p++) {
        const profile *const self = report->profiles[p];
        for (uint32_t i = 0; i < self->site_count; i++) {
            const call_site *const site = &self->sites[i];
            fprintf(out, "%u,", self->figures->info->process.process_id);
            print_field(out, self->figures->info->name);
            fputc(',', out);
            print_field(out, site->function);
            fputc(',', out);
            print_field(out, site->file);
            fprintf(out, ",%u,", site->line);
            print_field(out, site->module);
            fprintf(out, ",%.0f,%.0f,%.0f,%.0f,%.0f,%.0f,", site->bytes[MEASURE_ALLOCATED], sqrt(site->variance_allocated),
                    site->allocated_count, site->bytes[MEASURE_PEAK], site->bytes[MEASURE_END], site->live_count);
            if (site->freed_count > 0) fprintf(out, "%.0f", site->life_sum_ns / site->freed_count);
            fputs("\r\n", out);
        }
    }
    return close_checked(out, path);
}

typedef struct name_list {
    const char *names[512];
    size_t count;
} name_list;

static void append_name(void *context, const symbol_frame *frame)
{
    name_list *const list = context;
    if (list->count < sizeof list->names / sizeof list->names[0]) list->names[list->count++] = frame->function;
}

/* A frame's name must hold no ';'; nothing else is special. */
static void print_name(FILE *out, const char *name)
{
    for (const char *c = name; *c != 0; c++) fputc(*c == ';' ? ',' : *c == '\n' ? ' ' : *c, out);
}

acre_status export_collapsed(const run_report *report, const char *path)
{
    FILE *const out = open_output(path);
    if (out == NULL) return acre_fail(ACRE_IO, "'%s' can't be created: %s", path, strerror(errno));
    for (uint32_t p = 0; p < report->count; p++) {
        const profile *const self = report->profiles[p];
        for (uint32_t stack = 0; stack < self->figures->stack_count; stack++) {
            const double bytes = self->figures->stacks[stack].allocated_bytes;
            name_list list = {.count = 0};
            if (bytes < 1) continue;
            profile_for_each_frame(self, stack, append_name, &list);
            print_name(out, self->figures->info->name);
            if (list.count == 0) fputs(";(unknown caller)", out);
            for (size_t i = list.count; i-- > 0;) {
                fputc(';', out);
                print_name(out, list.names[i]);
            }
            fprintf(out, " %.0f\n", bytes);
        }
    }
    return close_checked(out, path);
}
