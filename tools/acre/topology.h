/* topology.h - the memories of the machine as a tree, each figure with where it comes from. */
#ifndef ACRE_TOOL_TOPOLOGY_H
#define ACRE_TOOL_TOPOLOGY_H

#include <acre/space.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEMORY_PAGE_SIZES_MAX = 6 };

typedef struct memory memory;
struct memory {
    char *name;
    const char *kind;          /* "machine", "node", "cache", "spaces", "huge pages", "file system", "swap", "limit", "device",
                                  "device memory", "device heap", "unified memory", "place", "page faults"; of a
                                  space: what acre_space_kind_text says */
    char *note;                /* what a number cannot say; NULL: nothing */
    acre_figure capacity_bytes;
    acre_figure used_bytes;
    acre_figure read_bytes_per_s; /* one thread */
    acre_figure write_bytes_per_s;
    acre_figure copy_bytes_per_s;
    acre_figure latency_ns;    /* of one dependent read */
    uint64_t page_bytes[MEMORY_PAGE_SIZES_MAX];
    size_t page_size_count;
    bool is_space;             /* a kind of space; the two below are for these alone, and 0 where it cannot be opened */
    uint32_t capabilities;     /* ACRE_CAP_... */
    uint64_t grain_bytes;
    memory *first_child;
    memory *next;
};

/* Adds a memory as the last child of `parent` (NULL: a root). Ends the tool when there is no memory for it. */
memory *memory_add(memory *parent, const char *kind, char *name);
void memory_free(memory *root);

acre_figure reported(uint64_t value);

/* The kinds of spaces. Those of host memory that acre makes itself are measured with `measured_bytes` of it; 0: nothing is. */
void add_spaces(memory *machine, uint64_t measured_bytes);

/* The name of the capability 1 << bit, NULL where there is none. */
const char *capability_text(unsigned bit);

/* What the operating system offers besides: pools of huge pages, file systems in memory, swap, limits. */
void add_os_memories(memory *machine);

/* The places that unified memory (acre/um.h) could use, out of all that has been added, and who could serve faults there. */
void add_places(memory *machine);

/* One thread, best of several passes over `size` bytes at `buffer`, which the caller has put where it wants to measure. */
acre_figure measure_read(const void *buffer, size_t size);
acre_figure measure_write(void *buffer, size_t size);
acre_figure measure_copy(void *buffer, size_t size); /* the lower half to the upper one */
acre_figure measure_latency(void *buffer, size_t size);

/* The tree on standard output. */
void print_topology(const memory *machine);

#endif
