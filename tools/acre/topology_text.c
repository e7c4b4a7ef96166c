/* topology_text.c - see topology.h: the tree as text, at most 80 columns wide.
 *
 * A memory is a row of figures, and below it, indented, what no column holds: its pages, what can be done there, a note.
 */
#include "topology.h"

#include "command.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_COLUMNS = 33, PREFIX_BYTES = 128 };

/* Branches of the tree, as the terminal can draw them; each is as wide as the others. */
typedef struct branches {
    const char *inner, *last, *passing, *none;
} branches;

static const branches lines = {"├─ ", "└─ ", "│  ", "   "};
static const branches ascii = {"|- ", "`- ", "|  ", "   "};
enum { BRANCH_COLUMNS = 3 };

typedef struct writer {
    const branches *branch;
    char prefix[PREFIX_BYTES]; /* of what lies below the memory being written */
    size_t depth;
} writer;

/* A measured figure is marked, so that nobody takes it for what the maker promises. */
static void print_figure(int columns, acre_figure figure, bool is_time)
{
    const char *text = "-";
    if (figure.source != ACRE_SOURCE_UNKNOWN) text = is_time ? duration_text(figure.value) : bytes_text(figure.value);
    const char *const mark = figure.source == ACRE_SOURCE_MEASURED ? "*" : is_time ? "" : " "; /* a time ends the line */
    printf("%*s%s", columns - 1, text, mark);
}

/* Below the row of a memory. */
static void print_detail(const writer *self, const char *text, bool has_children)
{
    char indent[PREFIX_BYTES + 8];
    snprintf(indent, sizeof indent, "%s%s", self->prefix, has_children ? self->branch->passing : self->branch->none);
    print_words(indent, indent, text);
}

static void add_text(char **text, const char *separator, char *more)
{
    char *const longer = must_print("%s%s%s", *text, **text != 0 ? separator : "", more);
    free(*text);
    free(more);
    *text = longer;
}

static void print_details(const writer *self, const memory *m)
{
    const bool has_children = m->first_child != NULL;
    char *text = must_copy("");
    for (size_t i = 0; i < m->page_size_count; i++)
        add_text(&text, ", ", must_print("%s%s", i == 0 ? "page " : "", bytes_text(m->page_bytes[i])));
    if (m->grain_bytes > 0) add_text(&text, ", ", must_print("grain %s", bytes_text(m->grain_bytes)));
    if (m->used_bytes.source != ACRE_SOURCE_UNKNOWN) add_text(&text, "; ", must_print("%s used", bytes_text(m->used_bytes.value)));
    if (*text != 0) print_detail(self, text, has_children);
    if (m->note != NULL) print_detail(self, m->note, has_children);
    free(text);
    text = must_copy("");
    for (unsigned bit = 0; capability_text(bit) != NULL; bit++)
        if ((m->capabilities >> bit & 1) != 0) add_text(&text, ", ", must_copy(capability_text(bit)));
    if (*text != 0) print_detail(self, text, has_children);
    free(text);
}

static bool has_figure(const memory *m)
{
    return m->is_space || m->capacity_bytes.source != ACRE_SOURCE_UNKNOWN || m->read_bytes_per_s.source != ACRE_SOURCE_UNKNOWN;
}

/* The name; where it is longer than its column, the figures stand below it. */
static void print_row(const writer *self, const char *branch, const memory *m)
{
    const size_t columns = self->depth * BRANCH_COLUMNS + strlen(m->name); /* a wider letter only moves the figures */
    printf("%s%s%s", self->prefix, branch, m->name);
    if (has_figure(m)) {
        if (columns >= NAME_COLUMNS) printf("\n%*s", NAME_COLUMNS, "");
        else printf("%*s", (int)(NAME_COLUMNS - columns), "");
        print_figure(9, m->capacity_bytes, false);
        print_figure(10, m->read_bytes_per_s, false);
        print_figure(10, m->write_bytes_per_s, false);
        print_figure(10, m->copy_bytes_per_s, false);
        print_figure(8, m->latency_ns, true);
    }
    putchar('\n');
}

/* As deep as the machine: nodes and their caches. */
static void print_memory(writer *self, const memory *m, bool is_root)
{
    const bool is_last = m->next == NULL;
    const size_t length = strlen(self->prefix);
    print_row(self, is_root ? "" : is_last ? self->branch->last : self->branch->inner, m);
    if (!is_root) snprintf(self->prefix + length, sizeof self->prefix - length, "%s", is_last ? self->branch->none : self->branch->passing);
    print_details(self, m);
    self->depth++;
    for (const memory *child = m->first_child; child != NULL; child = child->next) print_memory(self, child, false);
    self->depth--;
    self->prefix[length] = 0;
}

void print_topology(const memory *machine)
{
    (void)setlocale(LC_CTYPE, "");
    writer self = {.branch = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? &lines : &ascii};
    printf("%-*s%9s%10s%10s%10s%8s\n", NAME_COLUMNS, "memory", "capacity ", "read/s ", "write/s ", "copy/s ", "latency");
    print_memory(&self, machine, true);
    puts("\n*: measured here by one thread, the best of several passes; else reported by\n"
         "firmware or the kernel. -: unknown.");
}
