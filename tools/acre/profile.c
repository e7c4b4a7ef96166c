/* profile.c - see profile.h. */
#include "profile.h"
#include "command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { FRAMES_MAX = 512, SUSPECT_BLOCKS_MIN = 10 };

/* --- frames --- */

void profile_for_each_frame(const profile *self, uint32_t stack, profile_take_frame *take, void *context)
{
    if (stack >= self->figures->info->stack_count) return;
    const trace_stack *const found = &self->figures->info->stacks[stack];
    for (uint32_t i = 0; i < found->count; i++) {
        size_t count;
        const symbol_frame *const frames = symbols_at(self->names, found->pcs[i], &count);
        for (size_t k = 0; k < count; k++) take(context, &frames[k]);
    }
}

typedef struct frame_list {
    symbol_frame frames[FRAMES_MAX];
    size_t count;
} frame_list;

static void append_frame(void *context, const symbol_frame *frame)
{
    frame_list *const list = context;
    if (list->count < FRAMES_MAX) list->frames[list->count++] = *frame;
}

static bool starts_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Functions whose callers are meant when one asks who allocates: the malloc family, C++'s containers, the C library, and
 * the helpers that so many programs have around malloc. */
static bool is_wrapper(const symbol_frame *frame)
{
    static const char *const beginnings[] = {"operator new", "std::", "__gnu_cxx::", "void* std::", "malloc", "calloc",
                                             "realloc", "aligned_alloc", "posix_memalign", "memalign", "reallocarray",
                                             "xmalloc", "xcalloc", "xrealloc", "xstrdup", "xmemdup", "g_malloc", "g_realloc",
                                             "g_slice_", "g_strdup", "g_new", "zmalloc", "zcalloc", "zrealloc", "ztrymalloc",
                                             "sqlite3MemMalloc", "sqlite3Malloc", "sqlite3_malloc", "mallocWithAlarm"};
    static const char *const modules[] = {"libc.so", "libc-", "libstdc++.so", "ld-linux", "libacre-malloc"};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
        if (starts_with(frame->function, beginnings[i])) return true;
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        if (starts_with(frame->module, modules[i])) return true;
    return false;
}

static symbol_frame site_frame_of(const frame_list *list)
{
    if (list->count == 0) return (symbol_frame){.function = "(unknown caller)", .module = ""};
    for (size_t i = 0; i < list->count; i++)
        if (!is_wrapper(&list->frames[i]) && strcmp(list->frames[i].function, "_start") != 0) return list->frames[i];
    return list->frames[0];
}

char *profile_frame_text(const symbol_frame *frame)
{
    if (frame->file != NULL) {
        const char *const slash = strrchr(frame->file, '/');
        return must_print("%s (%s:%u)", frame->function, slash != NULL ? slash + 1 : frame->file, frame->line);
    }
    if (frame->module[0] != 0) return must_print("%s [%s]", frame->function, frame->module);
    return must_copy(frame->function);
}

/* --- call sites --- */

static bool is_same_text(const char *a, const char *b) { return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0); }

static uint32_t hash_site(const symbol_frame *frame)
{
    uint32_t hash = 2166136261u ^ frame->line;
    for (const char *c = frame->function; *c != 0; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
    return hash;
}

typedef struct site_index {
    uint32_t *slots; /* index of a site + 1; 0: free */
    size_t slot_count;
} site_index;

static uint32_t find_or_add_site(profile *self, site_index *index, const symbol_frame *frame)
{
    size_t at = hash_site(frame) & (index->slot_count - 1);
    for (; index->slots[at] != 0; at = (at + 1) & (index->slot_count - 1)) {
        const call_site *const site = &self->sites[index->slots[at] - 1];
        if (site->line == frame->line && is_same_text(site->function, frame->function) &&
            is_same_text(site->file, frame->file) && is_same_text(site->module, frame->module))
            return index->slots[at] - 1;
    }
    self->sites[self->site_count] =
        (call_site){.function = frame->function, .file = frame->file, .module = frame->module, .line = frame->line};
    index->slots[at] = ++self->site_count;
    return self->site_count - 1;
}

/* --- the flame tree --- */

static uint32_t child_of(profile *self, size_t *capacity, uint32_t parent, const symbol_frame *frame)
{
    for (uint32_t at = self->nodes[parent].first_child; at != 0; at = self->nodes[at].next_sibling)
        if (is_same_text(self->nodes[at].function, frame->function) && is_same_text(self->nodes[at].module, frame->module))
            return at;
    self->nodes = grow_array(self->nodes, self->node_count, capacity, sizeof *self->nodes);
    const uint32_t added = self->node_count++;
    self->nodes[added] = (flame_node){
        .function = frame->function,
        .module = frame->module,
        .next_sibling = self->nodes[parent].first_child,
    };
    self->nodes[parent].first_child = added;
    return added;
}

static void add_bytes(flame_node *node, const double *bytes)
{
    for (int m = 0; m < MEASURE_COUNT; m++) node->bytes[m] += bytes[m];
}

static void add_to_flame(profile *self, size_t *capacity, const frame_list *list, const double *bytes)
{
    static const symbol_frame unknown = {.function = "(unknown caller)", .module = ""};
    uint32_t node = 0;
    add_bytes(&self->nodes[0], bytes);
    if (list->count == 0) {
        node = child_of(self, capacity, 0, &unknown);
        add_bytes(&self->nodes[node], bytes);
    }
    for (size_t i = list->count; i-- > 0;) {
        node = child_of(self, capacity, node, &list->frames[i]);
        add_bytes(&self->nodes[node], bytes);
    }
}

/* --- what was not freed --- */

/* Blocks that a program takes once and keeps come in a burst, the contents of a cache that it renews are recent; what a leak
 * leaves is spread over the time since it began. A stack is suspect when it has left several blocks, a part of them in each
 * half of that time, not just a few of very many, and enough to matter. */
static bool is_suspect(const stack_figures *stack, double growth, double peak_bytes)
{
    const double growth_least = 0.2, growth_most = 0.9, kept_share_least = 0.05, size_least = 0.005;
    return stack->live_count >= SUSPECT_BLOCKS_MIN && growth >= growth_least && growth <= growth_most &&
           stack->live_count >= kept_share_least * stack->allocated_count && stack->live_bytes >= size_least * peak_bytes;
}

static void add_unfreed(profile *self, size_t *capacity, uint32_t stack, uint32_t site)
{
    const stack_figures *const figures = &self->figures->stacks[stack];
    const double growth = figures->late_live_bytes / figures->live_bytes;
    self->unfreed = grow_array(self->unfreed, self->unfreed_count, capacity, sizeof *self->unfreed);
    unfreed *const added = &self->unfreed[self->unfreed_count++];
    *added = (unfreed){
        .stack = stack,
        .site = site,
        .count = figures->live_count,
        .bytes = figures->live_bytes,
        .error_bytes = sqrt(figures->variance_live),
        .leaked_count = figures->leaked_count,
        .leaked_bytes = figures->leaked_bytes,
        .allocated_count = figures->allocated_count,
        .growth = growth,
        .is_suspect = is_suspect(figures, growth, self->figures->peak_live_bytes),
    };
    if (added->leaked_count > 0) self->leak_count++;
    else self->suspect_count += added->is_suspect;
}

static int compare_unfreed(const void *left, const void *right)
{
    const unfreed *const a = left, *const b = right;
    if (a->leaked_bytes != b->leaked_bytes) return a->leaked_bytes > b->leaked_bytes ? -1 : 1;
    if (a->is_suspect != b->is_suspect) return a->is_suspect ? -1 : 1;
    return a->bytes > b->bytes ? -1 : a->bytes < b->bytes;
}

static const call_site *sort_base; /* qsort hands its comparison no context */

static int compare_sites(const void *left, const void *right)
{
    const call_site *const a = &sort_base[*(const uint32_t *)left], *const b = &sort_base[*(const uint32_t *)right];
    return a->bytes[MEASURE_ALLOCATED] > b->bytes[MEASURE_ALLOCATED]   ? -1
           : a->bytes[MEASURE_ALLOCATED] < b->bytes[MEASURE_ALLOCATED] ? 1
                                                                        : 0;
}

/* What was not freed names its site by its number, which sorting changes. */
static void sort_sites(profile *self)
{
    const uint32_t count = self->site_count;
    uint32_t *const order = must_calloc(count + 1, sizeof *order), *const place = must_calloc(count + 1, sizeof *place);
    call_site *const sorted = must_calloc(count + 1, sizeof *sorted);
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    sort_base = self->sites;
    qsort(order, count, sizeof *order, compare_sites);
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = self->sites[order[i]];
        place[order[i]] = i;
    }
    for (uint32_t i = 0; i < self->unfreed_count; i++) self->unfreed[i].site = place[self->unfreed[i].site];
    free(self->sites);
    free(order);
    free(place);
    self->sites = sorted;
}

static void add_stack(profile *self, site_index *index, size_t *node_capacity, size_t *unfreed_capacity, uint32_t stack)
{
    const stack_figures *const figures = &self->figures->stacks[stack];
    frame_list list = {.count = 0};
    if (figures->allocated_bytes <= 0 && figures->allocated_count <= 0) return;

    profile_for_each_frame(self, stack, append_frame, &list);
    const symbol_frame frame = site_frame_of(&list);
    const uint32_t site_number = find_or_add_site(self, index, &frame);
    call_site *const site = &self->sites[site_number];
    const double bytes[MEASURE_COUNT] = {
        [MEASURE_ALLOCATED] = figures->allocated_bytes,
        [MEASURE_PEAK] = figures->peak_bytes,
        [MEASURE_END] = figures->live_bytes,
    };
    if (site->bytes[MEASURE_ALLOCATED] <= 0 ||
        figures->allocated_bytes > self->figures->stacks[site->heaviest_stack].allocated_bytes)
        site->heaviest_stack = stack;
    for (int m = 0; m < MEASURE_COUNT; m++) site->bytes[m] += bytes[m];
    site->allocated_count += figures->allocated_count;
    site->live_count += figures->live_count;
    site->freed_count += figures->freed_count;
    site->life_sum_ns += figures->life_sum_ns;
    site->variance_allocated += figures->variance_allocated;
    add_to_flame(self, node_capacity, &list, bytes);
    if (figures->live_bytes >= 1) add_unfreed(self, unfreed_capacity, stack, site_number);
}

profile *profile_of_process(trace_reader *reader, uint32_t index)
{
    profile *const self = must_calloc(1, sizeof *self);
    self->index = index;
    self->figures = analysis_of_process(reader, index);
    self->names = symbols_open(self->figures->info);

    const uint32_t stack_count = self->figures->stack_count;
    size_t node_capacity = 16, unfreed_capacity = 0;
    site_index sites = {.slot_count = 64};
    while (sites.slot_count < (size_t)stack_count * 2) sites.slot_count *= 2;
    sites.slots = must_calloc(sites.slot_count, sizeof *sites.slots);
    self->sites = must_calloc(stack_count + 1, sizeof *self->sites);
    self->nodes = must_calloc(node_capacity, sizeof *self->nodes);
    self->nodes[0] = (flame_node){.function = "all", .module = ""};
    self->node_count = 1;
    for (uint32_t i = 0; i < stack_count; i++) add_stack(self, &sites, &node_capacity, &unfreed_capacity, i);
    sort_sites(self);
    if (self->unfreed_count > 0) qsort(self->unfreed, self->unfreed_count, sizeof *self->unfreed, compare_unfreed);
    free(sites.slots);
    return self;
}

void profile_free(profile *self)
{
    symbols_close(self->names);
    analysis_free(self->figures);
    free(self->sites);
    free(self->unfreed);
    free(self->nodes);
    free(self);
}

char *profile_ending_text(const profile *self)
{
    const trace_process_info *const info = self->figures->info;
    if (!info->has_end) return must_copy("not known: the recording was cut off");
    const int status = info->end.wait_status;
    if (status != -1 && WIFEXITED(status)) return must_print("exit code %d", WEXITSTATUS(status));
    if (status != -1 && WIFSIGNALED(status))
        return must_print("killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return must_copy(info->end.is_finished ? "ended by itself" : "ended without a goodbye: killed, or by _exit or exec");
}

const char *profile_no_scan_reason(const profile *self)
{
    if (self->figures->scan_failure != NULL) return self->figures->scan_failure;
    if (!self->figures->info->has_end) return "the recording was cut off";
    return "the process did not end by returning from main or by exit, but was killed, or ended by _exit or exec";
}

double profile_fragmentation_at_peak(const profile *self)
{
    const double committed = (double)analysis_peak_of(self->figures, ACRE_GAUGE_COMMITTED_BYTES);
    const double live = analysis_peak_live(self->figures);
    if (committed <= 0 || analysis_is_empty(self->figures)) return -1;
    return live >= committed ? 0 : 1 - live / committed;
}
