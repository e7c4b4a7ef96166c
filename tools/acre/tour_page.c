/* tour_page.c - the tour's page: its template and its data in one file. */
#include "tour_page.h"
#include "page.h"
#include "tour_parts.h"

acre_status export_tour_page(const json_t *document, const char *path)
{
    const page_template template = {page_head, sizeof page_head, page_tail, sizeof page_tail};
    return write_page(&template, document, path);
}
