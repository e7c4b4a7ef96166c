/* page.h - HTML pages that need nothing else: a template in two halves, with the JSON document between them. */
#ifndef ACRE_TOOL_PAGE_H
#define ACRE_TOOL_PAGE_H

#include <acre/status.h>
#include <jansson.h>
#include <stddef.h>

typedef struct page_template {
    const unsigned char *head; /* up to the data */
    size_t head_size;
    const unsigned char *tail;
    size_t tail_size;
} page_template;

/* ACRE_IO with a sentence when the file can't be written. */
acre_status write_page(const page_template *template, const json_t *document, const char *path);

#endif
