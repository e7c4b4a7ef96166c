/* device_replay.c - see device_replay.h. What a manager of device memory costs is what it takes of the device beyond what is asked for:
 * each one replays the trace over a device that has no memory, and what it took is noted after each step. What does not fit is counted, and
 * the program goes on without it.
 *
 * Two of them are acre's own. The caching allocator is a model of the rules of PyTorch's, as its documentation and issues tell them: sizes
 * are rounded to 512 bytes; up to 1 MiB come out of segments of 2 MiB, up to 10 MiB out of 20 MiB, larger ones get a segment of their own,
 * rounded to 2 MiB; the best fit among the free pieces of either kind is cut when 512 bytes, of a large one 1 MiB, are left over; free
 * neighbours join; segments that are all free go back only when the device is full. `driver` is a call of the driver for each allocation,
 * rounded to 2 MiB, as cuMemCreate has it. */
#include "device_replay.h"

#include "command.h"
#include "os/ticks.h"
#include "steps.h"

#include <acre/gpu.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MIB            ((uint64_t)1 << 20)
#define ALIGNMENT      256
#define SMALL_BYTES    MIB
#define MIDDLE_BYTES   (10 * MIB)
#define SMALL_SEGMENT  (2 * MIB)
#define MIDDLE_SEGMENT (20 * MIB)
#define ROUND_BYTES    512

typedef struct device {
    acre_gpu_driver driver;
    uint64_t size_bytes, taken_bytes;
} device;

/* ---- a device without memory ---- */

static device *device_of(acre_gpu_driver *driver) { return (device *)(void *)driver; }

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *description)
{
    *description = (acre_gpu_device){.name = "replay",
                                     .heap_count = 1,
                                     .type_count = 1,
                                     .heaps = {{.size_bytes = device_of(driver)->size_bytes, .flags = ACRE_GPU_DEVICE_LOCAL}},
                                     .types = {{.heap = 0, .flags = ACRE_GPU_DEVICE_LOCAL}},
                                     .granularity_bytes = 1,
                                     .atom_bytes = 1};
    return ACRE_OK;
}

static bool take(device *self, uint64_t bytes)
{
    if (bytes > self->size_bytes - self->taken_bytes) return false;
    self->taken_bytes += bytes;
    return true;
}

static acre_status allocate(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle)
{
    *handle = 1;
    return take(device_of(driver), request->size_bytes) ? ACRE_OK : ACRE_NO_MEMORY;
}

static void give_back(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes)
{
    (void)handle, (void)type;
    device_of(driver)->taken_bytes -= size_bytes;
}

static const acre_gpu_driver_ops driver_ops = {
    .size_bytes = sizeof(acre_gpu_driver_ops), .query = query, .allocate = allocate, .free = give_back};

/* ---- managers ---- */

typedef struct manager manager;

typedef struct manager_kind {
    const char *name;
    bool (*open)(manager *self);
    bool (*alloc)(manager *self, uint32_t object, uint64_t size);
    void (*free)(manager *self, uint32_t object);
    void (*close)(manager *self);
    acre_gpu_strategy strategy;
} manager_kind;

/* A piece of a segment of the caching allocator; neighbours in the segment, and free ones of a kind in no order. */
typedef struct piece {
    struct piece *lower, *upper;
    uint64_t size;
    uint64_t segment_bytes; /* of its segment */
    size_t slot;            /* free: where it stands in its kind's array */
    bool is_out, is_small;
} piece;

typedef struct pieces {
    piece **all;
    size_t count, capacity;
} pieces;

struct manager {
    const manager_kind *kind;
    device device;
    acre_gpu *gpu;
    acre_gpu_memory *memories; /* by object */
    piece **out;               /* by object */
    pieces free_small, free_large;
    uint64_t *sizes; /* by object; 0: not there */
    uint64_t live_bytes, live_max, taken_max, failure_count, ns;
};

static bool open_acre(manager *self)
{
    if (acre_gpu_open(&self->device.driver, NULL, &self->gpu) == ACRE_OK) return true;
    complain("replay", "%s", acre_last_error());
    return false;
}

static bool alloc_acre(manager *self, uint32_t object, uint64_t size)
{
    const acre_gpu_request request = {
        .size_bytes = size, .alignment_bytes = ALIGNMENT, .strategy = (uint8_t)self->kind->strategy, .flags = ACRE_GPU_PINNED};
    return acre_gpu_alloc(self->gpu, &request, &self->memories[object]) == ACRE_OK;
}

static void free_acre(manager *self, uint32_t object)
{
    if (acre_gpu_free(self->gpu, self->memories[object]) != ACRE_OK) abort();
}

static void close_acre(manager *self)
{
    if (acre_gpu_close(self->gpu) != ACRE_OK) abort();
}

/* ---- the caching allocator ---- */

static pieces *free_list(manager *self, bool is_small) { return is_small ? &self->free_small : &self->free_large; }

static void put_free(manager *self, piece *p)
{
    pieces *const list = free_list(self, p->is_small);
    list->all = grow_array(list->all, list->count, &list->capacity, sizeof *list->all);
    p->slot = list->count;
    list->all[list->count++] = p;
}

static void take_free(manager *self, const piece *p)
{
    pieces *const list = free_list(self, p->is_small);
    list->all[p->slot] = list->all[--list->count];
    list->all[p->slot]->slot = p->slot;
}

static uint64_t segment_for(uint64_t size)
{
    if (size <= SMALL_BYTES) return SMALL_SEGMENT;
    return size < MIDDLE_BYTES ? MIDDLE_SEGMENT : (size + SMALL_SEGMENT - 1) / SMALL_SEGMENT * SMALL_SEGMENT;
}

static piece *best_piece(const pieces *list, uint64_t size)
{
    piece *best = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (list->all[i]->size >= size && (best == NULL || list->all[i]->size < best->size)) best = list->all[i];
    return best;
}

static void give_back_segments(manager *self, pieces *list)
{
    for (size_t i = list->count; i > 0; i--) {
        piece *const p = list->all[i - 1];
        if (p->lower != NULL || p->upper != NULL) continue;
        take_free(self, p);
        self->device.taken_bytes -= p->segment_bytes;
        free(p);
    }
}

static bool open_caching(manager *self)
{
    (void)self;
    return true;
}

static bool alloc_caching(manager *self, uint32_t object, uint64_t size)
{
    const uint64_t rounded = (size + ROUND_BYTES - 1) / ROUND_BYTES * ROUND_BYTES;
    const bool is_small = rounded <= SMALL_BYTES;
    piece *p = best_piece(free_list(self, is_small), rounded);
    if (p == NULL) {
        const uint64_t segment = segment_for(rounded);
        if (!take(&self->device, segment)) {
            give_back_segments(self, &self->free_small);
            give_back_segments(self, &self->free_large);
            if (!take(&self->device, segment)) return false;
        }
        p = must_calloc(1, sizeof *p);
        *p = (piece){.size = segment, .segment_bytes = segment, .is_small = is_small};
    } else {
        take_free(self, p);
    }
    const uint64_t rest = p->size - rounded;
    if (is_small ? rest >= ROUND_BYTES : rest > SMALL_BYTES) {
        piece *const upper = must_calloc(1, sizeof *upper);
        *upper = (piece){.lower = p, .upper = p->upper, .size = rest, .segment_bytes = p->segment_bytes, .is_small = is_small};
        if (p->upper != NULL) p->upper->lower = upper;
        p->upper = upper;
        p->size = rounded;
        put_free(self, upper);
    }
    p->is_out = true;
    self->out[object] = p;
    return true;
}

/* Makes one free piece of two; the upper one goes. */
static piece *join(piece *lower, piece *upper)
{
    lower->size += upper->size;
    lower->upper = upper->upper;
    if (lower->upper != NULL) lower->upper->lower = lower;
    free(upper);
    return lower;
}

static void free_caching(manager *self, uint32_t object)
{
    piece *p = self->out[object];
    p->is_out = false;
    if (p->upper != NULL && !p->upper->is_out) {
        take_free(self, p->upper);
        p = join(p, p->upper);
    }
    if (p->lower != NULL && !p->lower->is_out) {
        take_free(self, p->lower);
        p = join(p->lower, p);
    }
    put_free(self, p);
}

static void close_caching(manager *self)
{
    give_back_segments(self, &self->free_small);
    give_back_segments(self, &self->free_large);
    free(self->free_small.all);
    free(self->free_large.all);
}

/* ---- the driver alone ---- */

static uint64_t driver_bytes(uint64_t size) { return (size + SMALL_SEGMENT - 1) / SMALL_SEGMENT * SMALL_SEGMENT; }

static bool open_driver(manager *self)
{
    (void)self;
    return true;
}

static bool alloc_driver(manager *self, uint32_t object, uint64_t size)
{
    (void)object;
    return take(&self->device, driver_bytes(size));
}

static void free_driver(manager *self, uint32_t object) { self->device.taken_bytes -= driver_bytes(self->sizes[object]); }
static void close_driver(manager *self) { (void)self; }

static const manager_kind kinds[] = {
    {"acre", open_acre, alloc_acre, free_acre, close_acre, ACRE_GPU_GOOD_FIT},
    {"acre, best fit", open_acre, alloc_acre, free_acre, close_acre, ACRE_GPU_BEST_FIT},
    {"caching (model)", open_caching, alloc_caching, free_caching, close_caching, ACRE_GPU_GOOD_FIT},
    {"driver (model)", open_driver, alloc_driver, free_driver, close_driver, ACRE_GPU_GOOD_FIT},
};
enum { MANAGERS = sizeof kinds / sizeof *kinds };

/* ---- the replay ---- */

static void release(manager *self, uint32_t object)
{
    if (self->sizes[object] == 0) return;
    self->kind->free(self, object);
    self->live_bytes -= self->sizes[object];
    self->sizes[object] = 0;
}

static void take_step(manager *self, const replay_step *step)
{
    release(self, step->object); /* a resized block is another one: nobody resizes on a device */
    if (step->op == ACRE_EVENT_FREE) return;
    const uint64_t size = step->size == 0 ? 1 : step->size;
    if (!self->kind->alloc(self, step->object, size)) {
        self->failure_count++;
        return;
    }
    self->sizes[step->object] = size;
    self->live_bytes += size;
    if (self->live_bytes > self->live_max) self->live_max = self->live_bytes;
    if (self->device.taken_bytes > self->taken_max) self->taken_max = self->device.taken_bytes;
}

static bool run_manager(manager *self, const manager_kind *kind, const replay_header *header, const replay_step *steps,
                        uint64_t device_bytes)
{
    const size_t objects = (size_t)header->object_count + 1;
    *self = (manager){.kind = kind, .device = {.driver = {.ops = &driver_ops, .name = "replay"}, .size_bytes = device_bytes}};
    self->memories = must_calloc(objects, sizeof *self->memories);
    self->out = must_calloc(objects, sizeof *self->out);
    self->sizes = must_calloc(objects, sizeof *self->sizes);
    const bool is_open = kind->open(self);
    if (is_open) {
        const uint64_t before = acre_os_now_ns();
        for (uint64_t i = 0; i < header->step_count; i++) take_step(self, &steps[i]);
        self->ns = acre_os_now_ns() - before;
        for (uint32_t object = 0; object < objects; object++) release(self, object);
        kind->close(self);
    }
    free(self->memories);
    free(self->out);
    free(self->sizes);
    return is_open;
}

static double ratio_of(const manager *self) { return self->live_max == 0 ? 0.0 : (double)self->taken_max / (double)self->live_max; }

static void print_table(const device_replay_options *options, const replay_header *header, const manager *managers)
{
    printf("%s: %s steps, peak live %s\n\n", options->trace_path, count_text(header->step_count), bytes_text(header->peak_live_bytes));
    printf("%-16s %12s %10s %10s %10s\n", "MANAGER", "TAKEN", "/ LIVE", "FAILURES", "NS / STEP");
    for (size_t i = 0; i < MANAGERS; i++) {
        const manager *const m = &managers[i];
        printf("%-16s %12s %10.3f %10s %10.0f\n", m->kind->name, bytes_text(m->taken_max), ratio_of(m), count_text(m->failure_count),
               header->step_count == 0 ? 0.0 : (double)m->ns / (double)header->step_count);
    }
    puts("\nTAKEN: of the device at most; LIVE: asked for at most, as far as it was had. The\n"
         "models know the rules of others, not their code; time is the managers' own, with\n"
         "no driver behind it.");
}

static json_t *document_of(const replay_header *header, const manager *managers)
{
    json_t *const rows = json_array();
    for (size_t i = 0; i < MANAGERS; i++) {
        const manager *const m = &managers[i];
        (void)json_array_append_new(rows, json_pack("{s:s, s:I, s:I, s:f, s:I, s:I}", "manager", m->kind->name, "taken_bytes",
                                                    (json_int_t)m->taken_max, "live_bytes", (json_int_t)m->live_max, "ratio", ratio_of(m),
                                                    "failures", (json_int_t)m->failure_count, "ns", (json_int_t)m->ns));
    }
    return json_pack("{s:s, s:I, s:I, s:o}", "kind", "acre replay --device", "steps", (json_int_t)header->step_count, "peak_live_bytes",
                     (json_int_t)header->peak_live_bytes, "managers", rows);
}

static bool write_json(const device_replay_options *options, const replay_header *header, const manager *managers)
{
    if (options->json_path == NULL) return true;
    json_t *const document = document_of(header, managers);
    bool is_written = false;
    if (strcmp(options->json_path, "-") == 0)
        is_written = json_dumpf(document, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
    else
        is_written = json_dump_file(document, options->json_path, JSON_INDENT(1)) == 0;
    json_decref(document);
    if (!is_written) complain("replay", "'%s' can't be written: %s", options->json_path, strerror(errno));
    return is_written;
}

int compare_device_managers(const device_replay_options *options)
{
    manager managers[MANAGERS];
    replay_header header = {0};
    replay_step *const steps = steps_of_file("replay", options->trace_path, options->process_id, true, &header);
    if (steps == NULL) return EXIT_FAILED;

    const uint64_t device_bytes = options->device_bytes != 0 ? options->device_bytes : (header.peak_live_bytes + (MIB << 10)) * 64;
    bool is_good = true;
    for (size_t i = 0; i < MANAGERS && is_good; i++) is_good = run_manager(&managers[i], &kinds[i], &header, steps, device_bytes);
    free(steps);
    if (!is_good) return EXIT_FAILED;
    if (options->json_path == NULL || strcmp(options->json_path, "-") != 0) print_table(options, &header, managers);
    return write_json(options, &header, managers) ? EXIT_SUCCESS : EXIT_FAILED;
}
