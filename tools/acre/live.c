/* live.c - see live.h.
 *
 * The memory is read through /proc/PID/mem, opened once: then the kernel asks once whether we may, and the file stays that of the
 * program that was found. When the process ends or starts another program it reads as nothing, even if its number
 * is given to somebody else. (process_vm_readv would follow the number.)
 *
 * Foreign memory is not trusted: every count has a bound, every pointer is only ever used to read at.
 */
#include "live.h"
#include "command.h"
#include "heap/cache.h"
#include "heap/live.h"
#include "os/note.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MODULE_COUNT_MAX = 8,       /* libraries of one process that have acre in them */
    SEGMENT_COUNT_MAX = 64,     /* of a program or library */
    NOTE_BYTES_MAX = 64 * 1024, /* of one segment of notes */
    CACHE_COUNT_MAX = 1 << 20,  /* threads of a heap: a list that was torn may be a ring */
    REGION_COUNT_MAX = 1 << 20,
    SPAN_CHUNK = 1024, /* descriptors that are read at a time */
};

struct live_process {
    uint64_t pid;
    int memory;
    char *name;
    acre_live modules[MODULE_COUNT_MAX];
    size_t module_count;
    uint8_t **host_root; /* as large as a process's; only the slots that were looked at are filled */
    acre_cache *cache;   /* room for what is read */
    acre_heap *heap;
    acre_span *spans;
};

/* ---- reading ---- */

static bool read_at(const live_process *process, const void *address, void *to, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t count = pread(process->memory, (char *)to + done, size - done, (off_t)((uintptr_t)address + done));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        done += (size_t)count;
    }
    return true;
}

/* A text in the process, as much of it as there is room for. What is not printable becomes '?'. */
static void read_text(const live_process *process, const char *address, char *text, size_t size)
{
    size_t length = 0;
    for (; length + 1 < size && read_at(process, address + length, text + length, 1) && text[length] != 0; length++)
        if ((unsigned char)text[length] < ' ' || (unsigned char)text[length] == 127) text[length] = '?';
    text[length] = 0;
}

/* ---- finding acre ---- */

/* The address that acre's note in a segment of notes names, 0 if it has none. */
static uintptr_t find_note(const live_process *process, uintptr_t segment, size_t size)
{
    if (size > NOTE_BYTES_MAX) return 0;
    char *const notes = must_alloc(size + 1);
    uintptr_t found = 0;
    const bool is_read = read_at(process, (const void *)segment, notes, size);
    for (size_t at = 0; is_read && at + sizeof(Elf64_Nhdr) <= size && found == 0;) {
        Elf64_Nhdr head;
        memcpy(&head, notes + at, sizeof head);
        if (head.n_namesz > size || head.n_descsz > size) break;
        const size_t name = at + sizeof head, body = name + (size_t)acre_align_up(head.n_namesz, 4);
        if (body + head.n_descsz > size) break;
        int32_t distance;
        if (head.n_type == ACRE_OS_NOTE_LIVE && head.n_namesz == sizeof ACRE_OS_NOTE_NAME && head.n_descsz == sizeof distance &&
            memcmp(notes + name, ACRE_OS_NOTE_NAME, sizeof ACRE_OS_NOTE_NAME) == 0) {
            memcpy(&distance, notes + body, sizeof distance);
            found = segment + body + (uintptr_t)(intptr_t)distance;
        }
        at = body + (size_t)acre_align_up(head.n_descsz, 4);
    }
    free(notes);
    return found;
}

/* The address that acre's note in the program or library mapped at `start` names, 0 if it has none. */
static uintptr_t find_in_module(const live_process *process, uintptr_t start)
{
    Elf64_Ehdr head;
    Elf64_Phdr segments[SEGMENT_COUNT_MAX];
    if (!read_at(process, (const void *)start, &head, sizeof head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof segments[0] || head.e_phnum > SEGMENT_COUNT_MAX ||
        !read_at(process, (const void *)(start + head.e_phoff), segments, head.e_phnum * sizeof segments[0]))
        return 0;
    uintptr_t found = 0, base = start;
    for (size_t i = 0; i < head.e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0) base = start - segments[i].p_vaddr;
    }
    for (size_t i = 0; i < head.e_phnum && found == 0; i++) {
        if (segments[i].p_type == PT_NOTE) found = find_note(process, base + segments[i].p_vaddr, segments[i].p_memsz);
    }
    return found;
}

static acre_status check_live(const live_process *process, const acre_live *live)
{
    static const uint32_t layout[] = ACRE_LIVE_LAYOUT;
    if (live->version == ACRE_LIVE_VERSION && live->layout_count == ACRE_LIVE_LAYOUT_COUNT &&
        memcmp(live->layout, layout, sizeof layout) == 0)
        return ACRE_OK;
    return acre_fail(ACRE_UNSUPPORTED,
                     "process %" PRIu64 " (%s) runs on another version of acre than this tool's (" ACRE_VERSION
                     "): use the acre that it was started with",
                     process->pid, process->name);
}

static acre_status find_modules(live_process *process)
{
    char *const path = must_print("/proc/%" PRIu64 "/maps", process->pid);
    FILE *const maps = fopen(path, "re");
    free(path);
    if (maps == NULL)
        return acre_fail(ACRE_DENIED, "the memory map of process %" PRIu64 " can't be read: %s", process->pid, strerror(errno));
    acre_status status = ACRE_OK;
    char *line = NULL;
    size_t capacity = 0;
    bool has_memory = false;
    while (status == ACRE_OK && process->module_count < MODULE_COUNT_MAX && getline(&line, &capacity, maps) > 0) {
        const uintptr_t start = strtoull(line, NULL, 16);
        const char *const rights = strchr(line, ' ');
        has_memory = true;
        if (rights == NULL || rights[1] != 'r') continue;
        const uintptr_t address = find_in_module(process, start);
        acre_live *const live = &process->modules[process->module_count];
        /* A library's file that is only being read (by a debugger) has the note as well, but not where it says. */
        if (address == 0 || !read_at(process, (const void *)address, live, sizeof *live) ||
            memcmp(live->magic, ACRE_LIVE_MAGIC, sizeof live->magic) != 0)
            continue;
        status = check_live(process, live);
        process->module_count++;
    }
    free(line);
    fclose(maps);
    if (status != ACRE_OK) return status;
    if (!has_memory)
        return acre_fail(ACRE_INVALID, "process %" PRIu64 " (%s) has ended, or is a part of the kernel", process->pid, process->name);
    if (process->module_count == 0)
        return acre_fail(ACRE_UNSUPPORTED,
                         "process %" PRIu64 " (%s) does not run on acre: start it with 'acre run', or with libacre-malloc.so in LD_PRELOAD",
                         process->pid, process->name);
    return ACRE_OK;
}

static char *read_name(uint64_t pid)
{
    char text[64] = "?";
    char *const path = must_print("/proc/%" PRIu64 "/comm", pid);
    FILE *const file = fopen(path, "re");
    free(path);
    if (file != NULL) {
        if (fgets(text, sizeof text, file) != NULL) text[strcspn(text, "\n")] = 0;
        fclose(file);
    }
    return must_copy(text);
}

/* Why the memory of a process can't be opened. */
static acre_status why_not(uint64_t pid, const char *name, int error)
{
    struct stat folder;
    char *const path = must_print("/proc/%" PRIu64, pid);
    const bool is_there = stat(path, &folder) == 0;
    free(path);
    if (!is_there || error == ENOENT || error == ESRCH) return acre_fail(ACRE_INVALID, "there is no process %" PRIu64, pid);
    if (error != EACCES && error != EPERM)
        return acre_fail(ACRE_IO, "process %" PRIu64 " (%s) can't be read: %s", pid, name, strerror(error));
    if (folder.st_uid != geteuid())
        return acre_fail(ACRE_DENIED, "process %" PRIu64 " (%s) is another user's: only that user or root may read it", pid, name);
    return acre_fail(ACRE_DENIED,
                     "the kernel does not let this user read process %" PRIu64
                     " (%s): it is protected, or kernel.yama.ptrace_scope is not 0; root may",
                     pid, name);
}

acre_status live_open(live_process **process_out, uint64_t pid)
{
    char *const path = must_print("/proc/%" PRIu64 "/mem", pid);
    const int memory = open(path, O_RDONLY | O_CLOEXEC);
    const int error = errno;
    free(path);
    char *const name = read_name(pid);
    if (memory < 0) {
        const acre_status status = why_not(pid, name, error);
        free(name);
        return status;
    }
    live_process *const process = must_calloc(1, sizeof *process);
    process->pid = pid;
    process->memory = memory;
    process->name = name;
    process->host_root = must_calloc(ACRE_HOST_SLOT_COUNT, sizeof *process->host_root);
    process->cache = must_alloc(sizeof *process->cache);
    process->heap = must_alloc(sizeof *process->heap);
    process->spans = must_alloc(SPAN_CHUNK * sizeof *process->spans);
    const acre_status status = find_modules(process);
    if (status == ACRE_OK)
        *process_out = process;
    else
        live_close(process);
    return status;
}

/* ---- one heap ---- */

/* A map of the process, with room for its slots here: nothing that it points to may be touched. */
typedef struct far_map {
    acre_page_map map;
    uint8_t **far_root;
    uint8_t *own_root[1]; /* of a heap over a space of fixed size */
} far_map;

static bool read_map(const live_process *process, const acre_page_map *address, far_map *map)
{
    if (!read_at(process, address, &map->map, sizeof map->map)) return false;
    const bool is_host = map->map.slot_count == ACRE_HOST_SLOT_COUNT;
    if (!is_host && map->map.slot_count != 1) return false;
    if (map->map.slot_shift < ACRE_UNIT_SHIFT || map->map.slot_shift > 63 || map->map.slot_units == 0) return false;
    map->far_root = map->map.root;
    map->map.root = is_host ? process->host_root : map->own_root;
    return true;
}

/* Where the descriptor of a unit lies in the process, and how many more follow it there; NULL: nowhere. */
static const acre_span *far_span(const live_process *process, far_map *map, acre_addr address, uint64_t *count)
{
    const uint64_t slot = (address - map->map.base) >> map->map.slot_shift;
    if (slot >= map->map.slot_count) return NULL;
    if (!read_at(process, &map->far_root[slot], &map->map.root[slot], sizeof map->map.root[slot])) return NULL;
    size_t unit = 0;
    if (acre_page_map_leaf(&map->map, address, &unit) == NULL) return NULL;
    *count = map->map.slot_units - unit;
    return acre_page_map_span(&map->map, address); /* an address, worked out and not followed */
}

static void count_run(const acre_span *run, const acre_size_class *classes, live_heap *heap)
{
    if (run->kind == ACRE_SPAN_LARGE) {
        heap->large_count++;
        heap->large_bytes += (uint64_t)run->unit_count << ACRE_UNIT_SHIFT;
    }
    const unsigned class = run->class & (unsigned)(ACRE_CLASS_WATCHED - 1);
    if (run->kind != ACRE_SPAN_SMALL || class < ACRE_CLASS_FIRST || class > ACRE_CLASS_COUNT) return;
    const int capacity = classes[class].capacity, free_count = acre_span_free_count(run->state);
    const int counted = free_count < 0 ? 0 : free_count > capacity ? capacity : free_count;
    heap->classes[class].span_count++;
    heap->classes[class].free_count += (uint64_t)counted;
    heap->classes[class].live_count += (uint64_t)(capacity - counted); /* what threads hold ready is taken off later */
}

/* A region's runs, one after another: each tells where the next begins. */
static void read_region(const live_process *process, far_map *map, const acre_region *region, const acre_size_class *classes,
                        live_heap *heap)
{
    uint64_t first = 0, count = 0; /* units whose descriptors are in process->spans */
    for (uint64_t unit = 0; unit < region->used_count;) {
        if (unit < first || unit >= first + count) {
            first = unit;
            const acre_span *const spans = far_span(process, map, region->base + (unit << ACRE_UNIT_SHIFT), &count);
            if (spans == NULL) return;
            if (count > SPAN_CHUNK) count = SPAN_CHUNK;
            if (count > region->used_count - unit) count = region->used_count - unit;
            if (!read_at(process, spans, process->spans, (size_t)count * sizeof *spans)) return;
        }
        const acre_span *const run = &process->spans[unit - first];
        count_run(run, classes, heap);
        unit += run->unit_count > 0 ? run->unit_count : 1; /* 0: it has just been joined with the one before */
    }
}

/* What the threads hold ready, from their magazines. */
static void read_caches(const live_process *process, const acre_heap *from, live_heap *heap)
{
    acre_cache *const cache = process->cache;
    const acre_cache *at = from->caches;
    for (size_t i = 0; at != NULL && i < CACHE_COUNT_MAX && read_at(process, at, cache, sizeof *cache); i++, at = cache->next) {
        heap->thread_count += cache->is_used != 0;
        for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class ++) {
            const acre_magazine *const magazine = &cache->magazines[class];
            const uint64_t most = acre_magazine_capacity(class);
            const uint64_t popped = ((uintptr_t)magazine->top - (uintptr_t)magazine->bottom) / sizeof(acre_addr);
            const uint64_t room = ((uintptr_t)magazine->end - (uintptr_t)magazine->put) / sizeof(acre_addr);
            /* Between two stores of the thread a difference may be anything. */
            heap->classes[class].ready_count += (popped <= most ? popped : 0) + (room <= most ? most - room : 0);
        }
    }
}

static bool read_heap(const live_process *process, const acre_live *live, const acre_heap *address, live_heap *heap)
{
    acre_heap *const from = process->heap;
    acre_size_class classes[ACRE_CLASS_COUNT + 1];
    far_map map;
    if (!read_at(process, address, from, sizeof *from) || !read_at(process, live->classes, classes, sizeof classes)) return false;
    read_text(process, from->name, heap->name, sizeof heap->name);
    heap->reserved_bytes = from->arena.figures.reserved_bytes;
    heap->committed_bytes = from->arena.figures.committed_bytes;
    heap->used_bytes = from->arena.figures.run_bytes;
    heap->dirty_bytes = from->arena.figures.dirty_bytes;
    heap->purged_bytes_total = from->arena.figures.purged_bytes;
    heap->run_count_total = from->arena.take_count;
    heap->metadata_bytes = from->meta.reserved_bytes;
    if (!read_map(process, from->map, &map)) return from->arena.regions == NULL;

    acre_region region;
    const acre_region *at = from->arena.regions;
    for (size_t i = 0; at != NULL && i < REGION_COUNT_MAX && read_at(process, at, &region, sizeof region); i++, at = region.next)
        read_region(process, &map, &region, classes, heap);
    read_caches(process, from, heap);
    heap->live_bytes = heap->large_bytes;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class ++) {
        live_class *const one = &heap->classes[class];
        one->block_bytes = classes[class].block_bytes;
        if (one->ready_count > one->live_count) one->ready_count = one->live_count;
        one->live_count -= one->ready_count;
        heap->live_bytes += one->live_count * one->block_bytes;
        heap->ready_bytes += one->ready_count * one->block_bytes;
    }
    return true;
}

/* ---- the process ---- */

static uint64_t resident_bytes(uint64_t pid)
{
    char text[256] = "";
    char *const path = must_print("/proc/%" PRIu64 "/statm", pid);
    FILE *const file = fopen(path, "re");
    free(path);
    if (file == NULL) return 0;
    char *second = NULL;
    if (fgets(text, sizeof text, file) != NULL) (void)strtoull(text, &second, 10);
    const uint64_t pages = second != NULL ? strtoull(second, NULL, 10) : 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

acre_status live_read(live_process *process, live_figures *figures)
{
    struct timespec now;
    size_t capacity = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    *figures = (live_figures){.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
                              .resident_bytes = resident_bytes(process->pid)};
    for (size_t m = 0; m < process->module_count; m++) {
        const acre_live *const live = &process->modules[m];
        acre_heap *addresses[ACRE_HEAP_COUNT_MAX];
        acre_page_map map;
        acre_meta meta;
        if (live->heap_count_max != ACRE_HEAP_COUNT_MAX || !read_at(process, live->heaps, addresses, sizeof addresses)) continue;
        for (unsigned index = 0; index < ACRE_HEAP_COUNT_MAX; index++) {
            if (addresses[index] == NULL) continue;
            figures->heaps = grow_array(figures->heaps, figures->heap_count, &capacity, sizeof *figures->heaps);
            live_heap *const heap = &figures->heaps[figures->heap_count];
            *heap = (live_heap){.index = (unsigned)m * ACRE_HEAP_COUNT_MAX + index};
            if (read_heap(process, live, addresses[index], heap)) figures->heap_count++; /* else it has just been destroyed */
        }
        if (read_at(process, live->host_map, &map, sizeof map) && map.meta != NULL && read_at(process, map.meta, &meta, sizeof meta))
            figures->map_bytes += meta.reserved_bytes;
    }
    /* Its memory is gone when it has ended; asked last, since it may end at any time. */
    uint64_t word;
    if (read_at(process, process->modules[0].heaps, &word, sizeof word)) return ACRE_OK;
    live_free(figures);
    return acre_fail(ACRE_UNREACHABLE, "process %" PRIu64 " (%s) has ended, or has started another program", process->pid, process->name);
}

live_rates live_rates_of(const live_figures *before, const live_figures *after, const live_heap *heap)
{
    const double seconds = (double)(after->time_ns - before->time_ns) * 1e-9;
    for (size_t i = 0; i < before->heap_count && seconds > 0; i++) {
        const live_heap *const was = &before->heaps[i];
        if (was->index != heap->index || was->run_count_total > heap->run_count_total) continue;
        return (live_rates){
            .live_bytes = ((double)heap->live_bytes - (double)was->live_bytes) / seconds,
            .committed_bytes = ((double)heap->committed_bytes - (double)was->committed_bytes) / seconds,
            .purged_bytes = (double)(heap->purged_bytes_total - was->purged_bytes_total) / seconds,
            .run_count = (double)(heap->run_count_total - was->run_count_total) / seconds,
        };
    }
    return (live_rates){0};
}

const char *live_name(const live_process *process) { return process->name; }
uint64_t live_id(const live_process *process) { return process->pid; }

void live_free(live_figures *figures)
{
    free(figures->heaps);
    *figures = (live_figures){.heaps = NULL};
}

void live_close(live_process *process)
{
    if (process == NULL) return;
    (void)close(process->memory);
    free(process->name);
    free(process->host_root);
    free(process->cache);
    free(process->heap);
    free(process->spans);
    free(process);
}
