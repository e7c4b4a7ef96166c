/* tour_page.h - the JSON document of the tour, or of `acre bench`, as an HTML page that needs nothing else. */
#ifndef ACRE_TOOL_TOUR_PAGE_H
#define ACRE_TOOL_TOUR_PAGE_H

#include <acre/status.h>
#include <jansson.h>

acre_status export_tour_page(const json_t *document, const char *path);

#endif
