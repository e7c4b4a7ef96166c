/* page.c - the report as one HTML file that needs nothing else: template, styles, scripts and data in it. */
#include "exports.h"
#include "command.h"
#include "page.h"
#include "page_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Inside a script element only "</" could end it and "<!--" change how it is read. */
static int write_escaped(const char *text, size_t length, void *context)
{
    FILE *const out = context;
    for (size_t i = 0; i < length; i++)
        if ((text[i] == '<' ? fputs("\\u003c", out) : fputc(text[i], out)) == EOF) return -1;
    return 0;
}

acre_status write_page(const page_template *template, const json_t *document, const char *path)
{
    FILE *const out = open_output(path);
    if (out == NULL) return acre_fail(ACRE_IO, "'%s' can't be created: %s", path, strerror(errno));

    bool is_written = fwrite(template->head, 1, template->head_size, out) == template->head_size;
    is_written &= json_dump_callback(document, write_escaped, out, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0;
    is_written &= fwrite(template->tail, 1, template->tail_size, out) == template->tail_size;
    is_written &= ferror(out) == 0;
    is_written &= fclose(out) == 0;
    return is_written ? ACRE_OK : acre_fail(ACRE_IO, "'%s' can't be written: %s", path, strerror(errno));
}

acre_status export_page(const json_t *document, const char *path)
{
    const page_template template = {page_head, sizeof page_head, page_tail, sizeof page_tail};
    return write_page(&template, document, path);
}
