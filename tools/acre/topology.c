/* topology.c - `acre topology`: every memory of the machine as a tree, with the source of each figure.
 *
 * hwloc tells what there is and what firmware says of it; what it does not say is measured here, on the node itself, by
 * one thread. A figure that is neither stays unknown: none is guessed.
 */
#include "topology.h"

#include "command.h"
#include "gpu_devices.h"

#include <getopt.h>
#include <hwloc.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { NODE_BUFFER_BYTES_MIN = 64 << 20, NODE_BUFFER_BYTES_MAX = 256 << 20 };

/* ---- the tree ---- */

memory *memory_add(memory *parent, const char *kind, char *name)
{
    memory *const added = must_calloc(1, sizeof *added);
    added->kind = kind;
    added->name = name;
    if (parent == NULL) return added;
    memory **end = &parent->first_child;
    while (*end != NULL) end = &(*end)->next;
    *end = added;
    return added;
}

/* The depth is that of the machine: nodes and their caches. */
void memory_free(memory *root)
{
    if (root == NULL) return;
    for (memory *child = root->first_child, *next; child != NULL; child = next) {
        next = child->next;
        memory_free(child);
    }
    free(root->name);
    free(root->note);
    free(root);
}

acre_figure reported(uint64_t value) { return (acre_figure){.value = value, .source = ACRE_SOURCE_REPORTED}; }

/* ---- what hwloc knows ---- */

/* A figure of firmware (HMAT), as hwloc passes it on. `unit` turns it into ours. */
static acre_figure from_firmware(hwloc_topology_t topology, hwloc_obj_t node, hwloc_memattr_id_t attribute, uint64_t unit)
{
    struct hwloc_location from = {.type = HWLOC_LOCATION_TYPE_CPUSET, .location.cpuset = node->cpuset};
    hwloc_uint64_t value;
    if (hwloc_memattr_get_value(topology, attribute, node, &from, 0, &value) != 0) return (acre_figure){0};
    return reported(value * unit);
}

static uint64_t largest_cache_bytes(hwloc_topology_t topology)
{
    uint64_t largest = 0;
    for (hwloc_obj_type_t type = HWLOC_OBJ_L1CACHE; type <= HWLOC_OBJ_L5CACHE; type++) {
        hwloc_obj_t cache = hwloc_get_obj_by_type(topology, type, 0);
        if (cache != NULL && cache->attr->cache.size > largest) largest = cache->attr->cache.size;
    }
    return largest;
}

/* A buffer on the node, in huge pages if the system has some, so that what is measured is memory and not its page tables. */
static void *buffer_on(hwloc_topology_t topology, hwloc_obj_t node, size_t size)
{
    void *const buffer = hwloc_alloc_membind(topology, size, node->nodeset, HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET);
    if (buffer == NULL) return NULL;
    (void)madvise(buffer, size, MADV_HUGEPAGE); /* advice: nothing is lost when it is refused */
    memset(buffer, 1, size);
    return buffer;
}

/* Caches of one branch: each with half its size worth of lines, which then stay in it. */
static void add_caches(memory *parent, hwloc_topology_t topology, hwloc_obj_t first_unit, void *buffer, size_t buffer_size)
{
    for (hwloc_obj_t at = first_unit; at != NULL; at = at->parent) {
        if (!hwloc_obj_type_is_dcache(at->type)) continue;
        const uint64_t size = at->attr->cache.size;
        memory *const cache = memory_add(parent, "cache", must_print("L%u cache", at->attr->cache.depth));
        cache->capacity_bytes = reported(size);
        const int count = hwloc_get_nbobjs_by_type(topology, at->type);
        const int sharing = hwloc_bitmap_weight(at->cpuset);
        cache->note = must_print("%d of them, %s by %d processor%s", count, "each used", sharing, sharing == 1 ? "" : "s");
        if (buffer == NULL || size / 2 > buffer_size || size == 0) continue;
        cache->latency_ns = measure_latency(buffer, size / 2);
        cache->read_bytes_per_s = measure_read(buffer, size / 2);
    }
}

/* Enough that the caches hold little of it. */
static size_t measured_bytes(hwloc_topology_t topology)
{
    const size_t size = 4 * (size_t)largest_cache_bytes(topology);
    if (size < NODE_BUFFER_BYTES_MIN) return NODE_BUFFER_BYTES_MIN;
    return size < NODE_BUFFER_BYTES_MAX ? size : NODE_BUFFER_BYTES_MAX;
}

static void add_node(memory *machine, hwloc_topology_t topology, hwloc_obj_t object, bool may_measure)
{
    memory *const node = memory_add(machine, "node", must_print("node %u", object->os_index));
    node->capacity_bytes = reported(object->attr->numanode.local_memory);
    for (unsigned i = 0; i < object->attr->numanode.page_types_len && i < MEMORY_PAGE_SIZES_MAX; i++) {
        node->page_bytes[node->page_size_count++] = object->attr->numanode.page_types[i].size;
    }
    node->read_bytes_per_s = from_firmware(topology, object, HWLOC_MEMATTR_ID_BANDWIDTH, 1024 * 1024); /* MiB/s */
    node->latency_ns = from_firmware(topology, object, HWLOC_MEMATTR_ID_LATENCY, 1);
    if (object->subtype != NULL) node->note = must_copy(object->subtype);

    hwloc_obj_t unit = hwloc_get_obj_inside_cpuset_by_type(topology, object->cpuset, HWLOC_OBJ_PU, 0);
    const size_t size = measured_bytes(topology);
    void *const buffer =
        may_measure && node->capacity_bytes.value / 8 >= size ? buffer_on(topology, object, size) : NULL;
    hwloc_bitmap_t before = hwloc_bitmap_alloc();
    if (before == NULL) complain("topology", "no memory: the thread stays where it is");
    /* From a processor of the node if it has one, else from where we are; in the end back to where we were. */
    const bool is_bound = buffer != NULL && unit != NULL && before != NULL &&
                          hwloc_get_cpubind(topology, before, HWLOC_CPUBIND_THREAD) == 0 &&
                          hwloc_set_cpubind(topology, unit->cpuset, HWLOC_CPUBIND_THREAD) == 0;
    if (buffer != NULL) {
        node->write_bytes_per_s = measure_write(buffer, size);
        node->copy_bytes_per_s = measure_copy(buffer, size);
        if (node->read_bytes_per_s.source == ACRE_SOURCE_UNKNOWN) node->read_bytes_per_s = measure_read(buffer, size);
        if (node->latency_ns.source == ACRE_SOURCE_UNKNOWN) node->latency_ns = measure_latency(buffer, size);
    }
    add_caches(node, topology, unit, buffer, size);
    if (is_bound) (void)hwloc_set_cpubind(topology, before, HWLOC_CPUBIND_THREAD);
    hwloc_bitmap_free(before);
    if (buffer != NULL) hwloc_free(topology, buffer, size);
}

/* Accelerators and persistent memory behind the input/output buses. */
static void add_devices(memory *machine, hwloc_topology_t topology)
{
    for (hwloc_obj_t device = NULL; (device = hwloc_get_next_osdev(topology, device)) != NULL;) {
        const hwloc_obj_osdev_type_t type = device->attr->osdev.type;
        const bool is_nvm = type == HWLOC_OBJ_OSDEV_BLOCK && device->subtype != NULL && strcmp(device->subtype, "NVM") == 0;
        if (type != HWLOC_OBJ_OSDEV_GPU && type != HWLOC_OBJ_OSDEV_COPROC && !is_nvm) continue;
        memory *const m = memory_add(machine, "device", must_copy(device->name != NULL ? device->name : "device"));
        if (device->subtype != NULL) m->note = must_copy(device->subtype);
        for (unsigned i = 0; i < device->infos_count; i++) {
            static const char suffix[] = "GlobalMemorySize"; /* CUDA, OpenCL, RSMI, Level Zero: in KiB */
            const char *const name = device->infos[i].name;
            const size_t length = strlen(name);
            if (length < sizeof suffix - 1 || strcmp(name + length - (sizeof suffix - 1), suffix) != 0) continue;
            m->capacity_bytes = reported(strtoull(device->infos[i].value, NULL, 10) * 1024);
        }
    }
}

/* The levels of a device that have figures, then its heaps; what is measured or of a profile, `acre gpu info` has. */
static void add_gpu_levels(memory *device, const acre_gpu_hierarchy *h)
{
    for (int i = 0; i < ACRE_GPU_LEVEL_COUNT; i++) {
        const acre_gpu_level *const level = &h->levels[i];
        if (!acre_gpu_level_is_known(level)) continue;
        memory *const m = memory_add(device, "device memory", must_copy(acre_gpu_level_text((acre_gpu_level_kind)i)));
        m->capacity_bytes = level->figures[ACRE_GPU_CAPACITY_BYTES];
        m->read_bytes_per_s = level->figures[ACRE_GPU_BYTES_PER_S];
        m->latency_ns = level->figures[ACRE_GPU_LATENCY_NS];
        if (level->note[0] != 0) m->note = must_copy(level->note);
    }
    for (uint32_t i = 0; i < h->heap_count; i++) {
        memory *const heap = memory_add(device, "device heap", must_print("heap %u", i));
        heap->capacity_bytes = h->heaps[i].size_bytes;
        heap->used_bytes = h->heaps[i].used_bytes;
        if (h->heaps[i].limit_bytes.source == ACRE_SOURCE_UNKNOWN) continue;
        heap->note = must_print("budget %s", bytes_text(h->heaps[i].limit_bytes.value));
    }
}

/* What Vulkan, OpenCL and CUDA find. An API that is missing is `acre gpu info`'s to tell. */
static void add_gpus(memory *machine)
{
    gpu_devices found = gpu_find(GPU_QUICK);
    for (size_t i = 0; i < found.count; i++) {
        const acre_gpu_hierarchy *const h = &found.items[i].hierarchy;
        memory *const device = memory_add(machine, "device", must_copy(h->name));
        device->note = must_print("%s%s", h->api, h->is_software ? ", the processor computes" : "");
        add_gpu_levels(device, h);
    }
    gpu_devices_free(&found);
}

static memory *read_machine(bool may_measure)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology) != 0) return NULL;
    (void)hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    if (hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return NULL;
    }
    memory *const machine = memory_add(NULL, "machine", must_copy("machine"));
    machine->capacity_bytes = reported(hwloc_get_root_obj(topology)->total_memory);
    for (hwloc_obj_t node = NULL; (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != NULL;) {
        add_node(machine, topology, node, may_measure);
    }
    add_devices(machine, topology);
    add_gpus(machine);
    const uint64_t size = measured_bytes(topology);
    add_spaces(machine, may_measure && machine->capacity_bytes.value / 8 >= size ? size : 0);
    add_os_memories(machine);
    add_places(machine);
    hwloc_topology_destroy(topology);
    return machine;
}

/* ---- as JSON ---- */

static json_t *figure_json(acre_figure figure)
{
    if (figure.source == ACRE_SOURCE_UNKNOWN) return json_pack("{s:n, s:s}", "value", "source", "unknown");
    return json_pack("{s:I, s:s}", "value", (json_int_t)figure.value, "source", acre_source_text(figure.source));
}

/* Null for a memory that is no space. */
static json_t *capabilities_json(const memory *m)
{
    if (!m->is_space) return json_null();
    json_t *const names = json_array();
    for (unsigned bit = 0; capability_text(bit) != NULL; bit++) {
        if ((m->capabilities >> bit & 1) != 0) json_array_append_new(names, json_string(capability_text(bit)));
    }
    return names;
}

static json_t *memory_json(const memory *m)
{
    json_t *const pages = json_array();
    for (size_t i = 0; i < m->page_size_count; i++) json_array_append_new(pages, json_integer((json_int_t)m->page_bytes[i]));
    json_t *const children = json_array();
    for (const memory *child = m->first_child; child != NULL; child = child->next) {
        json_array_append_new(children, memory_json(child));
    }
    return json_pack("{s:s, s:s, s:s*, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", m->name, "kind", m->kind, "note",
                     m->note, "capacity_bytes", figure_json(m->capacity_bytes), "used_bytes", figure_json(m->used_bytes),
                     "read_bytes_per_s", figure_json(m->read_bytes_per_s), "write_bytes_per_s",
                     figure_json(m->write_bytes_per_s), "copy_bytes_per_s", figure_json(m->copy_bytes_per_s), "latency_ns",
                     figure_json(m->latency_ns), "page_bytes", pages, "grain_bytes",
                     m->grain_bytes > 0 ? json_integer((json_int_t)m->grain_bytes) : json_null(), "capabilities",
                     capabilities_json(m), "children", children);
}

static const char help[] =
    "Usage: acre topology [OPTIONS]\n"
    "\n"
    "Shows every memory of the machine as a tree: nodes and caches, devices, the\n"
    "spaces that acre opens and what can be done there, huge pages, file systems in\n"
    "memory, swap, limits, and what of it unified memory can use; with capacity, page\n"
    "sizes, bandwidth and latency, each figure with its source.\n"
    "\n"
    "  --json         print JSON\n"
    "  --no-measure   leave unknown what firmware does not report\n"
    "  -h, --help     print this\n";

int command_topology(int argument_count, char **arguments)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"no-measure", no_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool is_json = false;
    bool may_measure = true;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'j': is_json = true; break;
        case 'n': may_measure = false; break;
        case 'h': fputs(help, stdout); return EXIT_SUCCESS;
        default: return complain_usage("topology", "'%s' is no option", arguments[optind - 1]);
        }
    }
    if (optind < argument_count) return complain_usage("topology", "'%s' is not expected", arguments[optind]);

    memory *const machine = read_machine(may_measure);
    if (machine == NULL) {
        complain("topology", "hwloc cannot read the topology of this machine");
        return EXIT_TOOL;
    }
    int status = EXIT_SUCCESS;
    if (is_json) {
        json_t *const json = memory_json(machine);
        if (json == NULL || json_dumpf(json, stdout, JSON_INDENT(2)) != 0) status = EXIT_FAILED;
        else putchar('\n');
        json_decref(json);
    } else {
        print_topology(machine);
    }
    memory_free(machine);
    return status;
}
