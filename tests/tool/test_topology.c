/* test_topology.c - what `acre topology --json` prints, against hwloc and against what any machine's memory can do.
 * The tool's path is the first argument. */
#include "os/fault_probe.h"
#include "support/test.h"

#include <acre/space.h>
#include <hwloc.h>
#include <jansson.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *tool;

static json_t *run_topology(const char *options)
{
    char command[1024];
    assert_true(snprintf(command, sizeof command, "'%s' topology %s", tool, options) < (int)sizeof command);
    FILE *const output = popen(command, "r");
    assert_non_null(output);
    json_error_t error;
    json_t *const json = json_loadf(output, 0, &error);
    assert_int_equal(pclose(output), 0);
    if (json == NULL) fail_msg("line %d: %s", error.line, error.text);
    return json;
}

static json_int_t figure(const json_t *memory, const char *name, const char **source)
{
    const json_t *const f = json_object_get(memory, name);
    *source = json_string_value(json_object_get(f, "source"));
    assert_non_null(*source);
    return json_integer_value(json_object_get(f, "value"));
}

static bool is_kind(const json_t *memory, const char *kind)
{
    return strcmp(json_string_value(json_object_get(memory, "kind")), kind) == 0;
}

static void capacities_of_nodes_are_those_of_hwloc(void **state)
{
    (void)state;
    hwloc_topology_t topology;
    assert_int_equal(hwloc_topology_init(&topology), 0);
    assert_int_equal(hwloc_topology_load(topology), 0);
    json_t *const machine = run_topology("--json --no-measure");
    hwloc_obj_t node = NULL;
    size_t i;
    json_t *memory;
    const char *source;
    json_array_foreach(json_object_get(machine, "children"), i, memory)
    {
        if (!is_kind(memory, "node")) continue;
        node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node);
        assert_non_null(node);
        assert_int_equal(figure(memory, "capacity_bytes", &source), node->attr->numanode.local_memory);
        assert_string_equal(source, "reported");
    }
    assert_non_null(node);
    assert_null(hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node));
    json_decref(machine);
    hwloc_topology_destroy(topology);
}

static void check_speed(const json_t *memory)
{
    const char *source;
    const json_int_t rate = figure(memory, "read_bytes_per_s", &source);
    assert_string_not_equal(source, "unknown");
    assert_in_range(rate, 100 * 1000 * 1000, 10LL * 1000 * 1000 * 1000 * 1000);
    const json_int_t latency = figure(memory, "latency_ns", &source);
    assert_string_not_equal(source, "unknown");
    assert_in_range(latency, 1, 10 * 1000);
}

static void every_node_and_cache_has_a_speed_that_memory_can_have(void **state)
{
    (void)state;
    json_t *const machine = run_topology("--json");
    size_t i, j;
    json_t *memory, *cache;
    const char *source;
    json_array_foreach(json_object_get(machine, "children"), i, memory)
    {
        if (!is_kind(memory, "node")) continue;
        check_speed(memory);
        const json_int_t node_latency = figure(memory, "latency_ns", &source);
        json_array_foreach(json_object_get(memory, "children"), j, cache)
        {
            check_speed(cache);
            /* A first-level cache that is not faster than memory: then something else was measured. The last level of a
             * busy machine is shared with programs that push our lines out of it, so nothing is asked of that. */
            if (j == 0) assert_true(figure(cache, "latency_ns", &source) < node_latency);
        }
    }
    json_decref(machine);
}

/* One thread reads its first-level cache several times as fast as memory. Where it does not, the loop was measured: its additions, or
 * its registers on the stack. What firmware promises for a node is for all threads, so only what was measured is compared. */
static void first_level_caches_are_read_much_faster_than_memory(void **state)
{
    (void)state;
    json_t *const machine = run_topology("--json");
    size_t i;
    json_t *memory;
    const char *source;
    json_array_foreach(json_object_get(machine, "children"), i, memory)
    {
        if (!is_kind(memory, "node")) continue;
        const json_t *const cache = json_array_get(json_object_get(memory, "children"), 0);
        const json_int_t rate = figure(memory, "read_bytes_per_s", &source);
        if (cache == NULL || strcmp(source, "measured") != 0) continue;
        assert_true(figure(cache, "read_bytes_per_s", &source) > 2 * rate);
    }
    json_decref(machine);
}

/* The one child of `memory` that is of the kind. */
static json_t *child_of(const json_t *memory, const char *kind)
{
    json_t *found = NULL, *child;
    size_t i;
    json_array_foreach(json_object_get(memory, "children"), i, child)
    {
        if (!is_kind(child, kind)) continue;
        assert_null(found);
        found = child;
    }
    if (found == NULL) fail_msg("no '%s'", kind);
    return found;
}

static bool can(const json_t *space, const char *capability)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(space, "capabilities"), i, name) if (strcmp(json_string_value(name), capability) == 0) return true;
    return false;
}

static void every_kind_of_space_is_there_with_what_it_can_do(void **state)
{
    (void)state;
    static const char *const kinds[] = {"pages", "static", "file", "shared", "secret", "reserved", "handles"};
    json_t *const machine = run_topology("--json");
    const json_t *const spaces = child_of(machine, "spaces");
    const char *source;
    assert_int_equal(sizeof kinds / sizeof kinds[0], ACRE_SPACE_KIND_COUNT);
    for (size_t i = 0; i < ACRE_SPACE_KIND_COUNT; i++) {
        const json_t *const space = child_of(spaces, kinds[i]);
        assert_string_equal(kinds[i], acre_space_kind_text((acre_space_kind)i));
        const char *const note = json_string_value(json_object_get(space, "note"));
        if (note != NULL && strncmp(note, "not available", 13) == 0) continue; /* secret memory, on many kernels */
        assert_true(json_integer_value(json_object_get(space, "grain_bytes")) > 0);
        assert_int_equal(json_array_size(json_object_get(space, "page_bytes")), 1);
    }
    assert_true(can(child_of(spaces, "pages"), "host access") && can(child_of(spaces, "pages"), "purge"));
    assert_true(can(child_of(spaces, "static"), "fixed") && !can(child_of(spaces, "static"), "purge"));
    assert_true(can(child_of(spaces, "file"), "persistent"));
    assert_true(can(child_of(spaces, "handles"), "device access") && !can(child_of(spaces, "handles"), "host access"));
    assert_true(figure(child_of(spaces, "pages"), "capacity_bytes", &source) > 0);
    (void)figure(child_of(spaces, "handles"), "read_bytes_per_s", &source);
    assert_string_equal(source, "unknown");
    check_speed(child_of(spaces, "pages"));
    check_speed(child_of(spaces, "shared"));
    json_decref(machine);
}

static const json_t *named(const json_t *memory, const char *kind, const char *name)
{
    json_t *child;
    size_t i;
    json_array_foreach(json_object_get(memory, "children"), i,
                       child) if (is_kind(child, kind) &&
                                  strcmp(json_string_value(json_object_get(child, "name")), name) == 0) return child;
    fail_msg("no %s '%s'", kind, name);
    return NULL;
}

static void places_of_unified_memory_are_those_of_the_machine(void **state)
{
    (void)state;
    json_t *const machine = run_topology("--json --no-measure");
    const json_t *const places = child_of(machine, "unified memory");
    const char *source;
    const json_int_t host = figure(named(places, "place", "host memory"), "capacity_bytes", &source);
    assert_in_range(host, 1 << 20, figure(machine, "capacity_bytes", &source));
    struct statvfs facts;
    const char *const told = getenv("TMPDIR"), *const folder = told != NULL && told[0] != 0 ? told : "/tmp";
    char name[256];
    assert_int_equal(statvfs(folder, &facts), 0);
    assert_true(snprintf(name, sizeof name, "file in %s", folder) < (int)sizeof name);
    assert_int_equal(figure(named(places, "place", name), "capacity_bytes", &source), facts.f_blocks * facts.f_frsize);
    /* Devices: as many as the machine has with memory of their own. */
    size_t i, device_count = 0;
    json_t *child;
    json_array_foreach(json_object_get(machine, "children"), i, child) device_count += is_kind(child, "device");
    assert_in_range(json_array_size(json_object_get(places, "children")), 3, 3 + device_count);
    json_decref(machine);
}

/* What the question answers is what this process can do. */
static void who_serves_page_faults_is_found_out_and_shown(void **state)
{
    (void)state;
    json_t *const machine = run_topology("--json --no-measure");
    const char *const note = json_string_value(json_object_get(child_of(child_of(machine, "unified memory"), "page faults"), "note"));
    const uint32_t flags = acre_os_fault_service();
    const int service = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | 1); /* faults of the program alone: nobody is refused */
    assert_true(flags & ACRE_FAULT_SIGNAL);
    assert_non_null(strstr(note, "SIGSEGV"));
    assert_int_equal((flags & ACRE_FAULT_USERFAULTFD) != 0, service >= 0);
    assert_int_equal(strstr(note, "userfaultfd, ") != NULL || strcmp(note, "SIGSEGV, userfaultfd") == 0, service >= 0);
    if (geteuid() == 0 && service >= 0) assert_true(flags & ACRE_FAULT_KERNEL);
    for (unsigned bit = 0; service < 0 && bit < ACRE_FAULT_SERVICE_BITS; bit++) assert_int_equal(flags >> bit & 1, bit == 0);
    if (service >= 0) (void)close(service);
    json_decref(machine);
}

static void the_tree_fits_80_columns_in_letters_of_any_locale(void **state)
{
    (void)state;
    static const char *const locales[] = {"C", "C.UTF-8"}, *const options[] = {"--no-measure", ""};
    for (size_t i = 0; i < 2; i++) {
        char command[1024];
        char line[1024];
        assert_true(snprintf(command, sizeof command, "LC_ALL=%s '%s' topology %s", locales[i], tool, options[i]) < (int)sizeof command);
        FILE *const output = popen(command, "r");
        assert_non_null(output);
        while (fgets(line, sizeof line, output) != NULL) {
            size_t columns = 0;
            for (const char *at = line; *at != 0 && *at != '\n'; at++) columns += ((unsigned char)*at & 0xc0) != 0x80;
            if (columns > 80) fail_msg("%zu columns: %s", columns, line);
        }
        assert_int_equal(pclose(output), 0);
    }
}

static void without_measuring_no_figure_is_called_measured(void **state)
{
    (void)state;
    json_t *const machine = run_topology("--json --no-measure");
    char *const text = json_dumps(machine, 0);
    assert_non_null(strstr(text, "\"reported\""));
    assert_null(strstr(text, "\"measured\""));
    free(text);
    json_decref(machine);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) return 2;
    tool = arguments[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacities_of_nodes_are_those_of_hwloc),
        cmocka_unit_test(every_node_and_cache_has_a_speed_that_memory_can_have),
        cmocka_unit_test(first_level_caches_are_read_much_faster_than_memory),
        cmocka_unit_test(every_kind_of_space_is_there_with_what_it_can_do),
        cmocka_unit_test(places_of_unified_memory_are_those_of_the_machine),
        cmocka_unit_test(who_serves_page_faults_is_found_out_and_shown),
        cmocka_unit_test(the_tree_fits_80_columns_in_letters_of_any_locale),
        cmocka_unit_test(without_measuring_no_figure_is_called_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
