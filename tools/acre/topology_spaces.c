/* topology_spaces.c - see topology.h: every kind of space that acre opens, with what can be done there.
 *
 * Each is opened as a program would open it, small, or as large as measuring needs. What a figure depends on (the disk of a file, the
 * array of a program) is said in words, and the figure stays unknown.
 */
#include "topology.h"

#include "command.h"
#include "os/os.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SPACE_BYTES = 64 * 1024 };

const char *capability_text(unsigned bit)
{
    static const char *const texts[] = {"host access", "device access", "coherent", "persistent", "shared",  "secret", "remote",
                                        "zeroed",      "fixed",         "commit",   "purge",      "protect", "map",    "copy",
                                        "fill",        "flush",         "advise",   "budget",     "move",
                                        "alias"};
    return bit < sizeof texts / sizeof texts[0] ? texts[bit] : NULL;
}

static memory *add_space(memory *parent, acre_space_kind kind, const char *name)
{
    memory *const added = memory_add(parent, acre_space_kind_text(kind), must_copy(name));
    added->is_space = true;
    return added;
}

/* What the space says of itself; then it is closed. `status` is what opening it gave. */
static void take_facts(memory *m, acre_space *space, acre_status status)
{
    acre_space_info info;
    if (status == ACRE_OK) {
        status = acre_space_query(space, &info);
        if (status != ACRE_OK) acre_space_close(space);
    }
    if (status != ACRE_OK) {
        free(m->note);
        m->note = must_print("not available: %s", acre_last_error());
        return;
    }
    m->capabilities = info.capabilities;
    m->grain_bytes = info.grain_bytes;
    m->page_bytes[m->page_size_count++] = info.page_bytes;
    if (m->read_bytes_per_s.source == ACRE_SOURCE_UNKNOWN) m->read_bytes_per_s = info.bandwidth_bytes_per_s;
    if (m->latency_ns.source == ACRE_SOURCE_UNKNOWN) m->latency_ns = info.latency_ns;
    /* The size that we chose for it is no fact about the machine. */
    if ((info.capabilities & ACRE_CAP_FIXED) == 0) m->capacity_bytes = info.capacity_bytes;
    acre_space_close(space);
}

static void measure_space(memory *m, acre_space *space, uint64_t size)
{
    acre_addr at;
    if (size == 0 || acre_space_reserve(space, size, acre_os_page_size(), NULL, &at) != ACRE_OK) return;
    if (acre_space_commit(space, at, size) == ACRE_OK) {
        void *const buffer = acre_space_pointer(space, at);
        memset(buffer, 1, (size_t)size);
        m->write_bytes_per_s = measure_write(buffer, (size_t)size);
        m->copy_bytes_per_s = measure_copy(buffer, (size_t)size);
        m->read_bytes_per_s = measure_read(buffer, (size_t)size);
        m->latency_ns = measure_latency(buffer, (size_t)size);
    }
    (void)acre_space_release(space, at, size);
}

static char *huge_page_setting(void)
{
    FILE *const file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    char text[64] = "";
    if (file == NULL) return NULL;
    const char *const line = fgets(text, sizeof text, file);
    fclose(file);
    const char *const from = line == NULL ? NULL : strchr(text, '[');
    const size_t length = from == NULL ? 0 : strcspn(from + 1, "]");
    return length > 0 ? must_print("transparent huge pages: %.*s", (int)length, from + 1) : NULL;
}

static void add_pages(memory *parent, uint64_t measured_bytes)
{
    memory *const m = add_space(parent, ACRE_SPACE_PAGES, "anonymous pages");
    acre_space space;
    const acre_status status = acre_space_open_pages(&space, NULL);
    m->note = huge_page_setting();
    if (status == ACRE_OK) measure_space(m, &space, measured_bytes);
    take_facts(m, &space, status);
}

static void add_static(memory *parent)
{
    static uint64_t array[64];
    memory *const m = add_space(parent, ACRE_SPACE_STATIC, "array of a program");
    acre_space space;
    m->note = must_copy("as large and as fast as the array that it is given");
    take_facts(m, &space, acre_space_open_static(&space, array, sizeof array));
}

static void add_file(memory *parent)
{
    memory *const m = add_space(parent, ACRE_SPACE_FILE, "mapped file");
    acre_space space = {0};
    char path[] = "/tmp/acre-topology-XXXXXX";
    const int file = mkstemp(path);
    if (file < 0) {
        m->note = must_copy("not tried: no file can be made in /tmp");
        return;
    }
    m->note = must_copy("as large and as fast as the file system that it lies in");
    const acre_status status = acre_space_open_file(&space, path, SPACE_BYTES);
    (void)unlink(path);
    (void)close(file);
    take_facts(m, &space, status);
}

static void add_shared(memory *parent, uint64_t measured_bytes)
{
    memory *const m = add_space(parent, ACRE_SPACE_SHARED, "shared memory");
    acre_space space;
    const uint64_t size = measured_bytes > 0 ? measured_bytes : SPACE_BYTES;
    const acre_status status = acre_space_open_shared(&space, "acre-topology", size);
    if (status == ACRE_OK) measure_space(m, &space, measured_bytes);
    take_facts(m, &space, status);
}

static void add_secret(memory *parent)
{
    memory *const m = add_space(parent, ACRE_SPACE_SECRET, "secret memory");
    acre_space space;
    struct rlimit limit;
    take_facts(m, &space, acre_space_open_secret(&space, SPACE_BYTES));
    if (m->note != NULL || getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    m->capacity_bytes = reported(limit.rlim_cur);
    m->note = must_copy("its capacity is the limit on locked memory");
}

static void add_reserved(memory *parent)
{
    memory *const m = add_space(parent, ACRE_SPACE_RESERVED, "reserved addresses");
    acre_space space;
    m->note = must_copy("never backed by memory: a touch is a fault");
    take_facts(m, &space, acre_space_open_reserved(&space, SPACE_BYTES));
    const uint64_t limit = acre_os_address_space_limit();
    if (limit != UINT64_MAX) m->capacity_bytes = reported(limit);
}

static void add_handles(memory *parent)
{
    memory *const m = add_space(parent, ACRE_SPACE_HANDLE, "handles");
    acre_space space;
    m->note = must_copy("numbers for memory elsewhere: as large and as fast as that");
    take_facts(m, &space, acre_space_open_handles(&space, 0, SPACE_BYTES));
}

void add_spaces(memory *machine, uint64_t measured_bytes)
{
    memory *const spaces = memory_add(machine, "spaces", must_copy("spaces that acre opens"));
    add_pages(spaces, measured_bytes);
    add_static(spaces);
    add_file(spaces);
    add_shared(spaces, measured_bytes);
    add_secret(spaces);
    add_reserved(spaces);
    add_handles(spaces);
}
