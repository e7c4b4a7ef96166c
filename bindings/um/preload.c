/* preload.c - libacre-um.so: large allocations of a program that it is preloaded into lie in unified memory, and so may be larger together
 * than the memory they get.
 *
 * Allocations of less than ACRE_UM_FROM bytes are the next malloc's, whichever that is. By the environment:
 *
 *     ACRE_UM_ROOM      bytes that may be in memory as they are (default: half of the machine's)
 *     ACRE_UM_HOME      where the rest waits: `compressed` (the default), `memory`, or a folder for a file
 *     ACRE_UM_RULES     by name, see acre_um_rules_named (default: acre)
 *     ACRE_UM_BYTES     that all of these allocations may have together (default: 32 times the room, at least 1 GiB)
 *     ACRE_UM_FROM      bytes of the smallest allocation that is taken (default: 1048576)
 *     ACRE_UM_FAULTS    `any` (the default), `userfaultfd` or `signals`
 *     ACRE_UM_REPORT    a file to which a line of JSON is appended when the program ends
 *
 * What is wrong with them is told on standard error, and the program runs without. Nobody here allocates, nor touches a page that faults:
 * what runs in the thread that serves faults must not wait for one.
 */
#include "base/format.h"
#include "base/bits.h"
#include "home.h"
#include "os/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT    __attribute__((visibility("default")))
#define BYTES_MAX ((uint64_t)1 << 40)
#define BYTES_MIN ((uint64_t)1 << 30)
enum { BLOCKS = (int)(BYTES_MAX / ACRE_UM_BLOCK_BYTES), FROM_BYTES = 1 << 20, EARLY_BYTES = 1 << 16, TIMES_ROOM = 32 };

static acre_um *um; /* NULL: nothing is taken */
static unsigned window;
static unsigned char *base;
static uint64_t from_bytes = FROM_BYTES;
static uint64_t bytes_max;     /* of addresses: what is known of each unit of them costs memory */
static uint64_t sizes[BLOCKS]; /* of the allocation that begins in a block, as it was asked for */
static acre_um_contents home;
static acre_space home_space;
static bool has_home_space;
static const char *report_path;
static uint64_t taken_count, taken_bytes, taken_bytes_max; /* atomics */

/* ---- the next malloc ---- */

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);
static void *(*next_memalign)(size_t, size_t);
static size_t (*next_usable_size)(void *);

/* What is asked for while the next malloc is looked for. Never given back. */
static unsigned char early[EARLY_BYTES] __attribute__((aligned(16)));
static size_t early_used;

static void *early_alloc(size_t size)
{
    const size_t bytes = (size + 15) / 16 * 16;
    const size_t at = __atomic_fetch_add(&early_used, bytes, __ATOMIC_RELAXED);
    return at + bytes <= sizeof early ? early + at : NULL;
}

static bool is_early(const void *block)
{
    return (const unsigned char *)block >= early && (const unsigned char *)block < early + sizeof early;
}

static void find(const char *name, void *pointer)
{
    void *const found = dlsym(RTLD_NEXT, name);
    memcpy(pointer, &found, sizeof found);
}

static bool find_next(void)
{
    static __thread bool is_looking __attribute__((tls_model("initial-exec")));
    if (next_usable_size != NULL) return true;
    if (is_looking) return false;
    is_looking = true;
    find("malloc", &next_malloc);
    find("calloc", &next_calloc);
    find("realloc", &next_realloc);
    find("free", &next_free);
    find("memalign", &next_memalign);
    find("malloc_usable_size", &next_usable_size);
    is_looking = false;
    return next_usable_size != NULL;
}

/* ---- large allocations ---- */

static bool is_ours(const void *block)
{
    return um != NULL && (const unsigned char *)block >= base && (const unsigned char *)block < base + bytes_max;
}

static uint64_t *size_of(const void *block) { return &sizes[(uint64_t)((const unsigned char *)block - base) / ACRE_UM_BLOCK_BYTES]; }

/* Zeros. NULL: the next malloc is to be asked. */
static void *take(size_t size)
{
    uint64_t at;
    if (um == NULL || size < from_bytes || size > bytes_max) return NULL;
    /* Whole blocks, so that it can grow to their end in its place. */
    if (acre_um_allocate(um, acre_align_up(size, ACRE_UM_BLOCK_BYTES), &at) != ACRE_OK) return NULL;
    sizes[at / ACRE_UM_BLOCK_BYTES] = size;
    (void)__atomic_fetch_add(&taken_count, 1, __ATOMIC_RELAXED);
    const uint64_t now = __atomic_add_fetch(&taken_bytes, size, __ATOMIC_RELAXED);
    uint64_t most = __atomic_load_n(&taken_bytes_max, __ATOMIC_RELAXED);
    while (now > most && !__atomic_compare_exchange_n(&taken_bytes_max, &most, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return base + at;
}

static void give(void *block)
{
    const uint64_t at = (uint64_t)((unsigned char *)block - base);
    const uint64_t size = at % ACRE_UM_BLOCK_BYTES == 0 ? *size_of(block) : 0;
    if (size != 0) *size_of(block) = 0;
    if (size == 0 || acre_um_free(um, at) != ACRE_OK) acre_os_abort("acre: free(%p): no allocation begins there", block);
    (void)__atomic_fetch_sub(&taken_bytes, size, __ATOMIC_RELAXED);
}

static void *resize(void *block, size_t size)
{
    const uint64_t old = *size_of(block);
    if (size >= from_bytes && size <= acre_align_up(old, ACRE_UM_BLOCK_BYTES) && size > old / 2) {
        *size_of(block) = size;
        (void)__atomic_fetch_add(&taken_bytes, size - old, __ATOMIC_RELAXED);
        return block;
    }
    void *const moved = malloc(size);
    if (moved == NULL) return NULL;
    memcpy(moved, block, acre_min_size(size, old));
    give(block);
    return moved;
}

/* ---- the C allocation functions ---- */

EXPORT void *malloc(size_t size)
{
    void *const block = take(size);
    if (acre_unlikely(block != NULL)) return block;
    if (acre_unlikely(next_malloc == NULL) && !find_next()) return early_alloc(size);
    return next_malloc(size);
}

EXPORT void free(void *block)
{
    if (acre_unlikely(is_ours(block))) {
        give(block);
    } else if (!is_early(block) && find_next() && next_free != NULL) {
        next_free(block);
    }
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    void *const block = take(bytes);
    if (acre_unlikely(block != NULL)) return block;
    if (acre_unlikely(next_calloc == NULL) && !find_next()) return early_alloc(bytes);
    return next_calloc(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    if (block == NULL) return malloc(size);
    if (acre_unlikely(is_ours(block))) {
        if (size != 0) return resize(block, size);
        give(block);
        return NULL;
    }
    const bool was_early = is_early(block);
    if (!was_early && size < from_bytes) return find_next() ? next_realloc(block, size) : NULL;
    if (!find_next()) return NULL;
    void *const moved = take(size);
    if (moved == NULL && !was_early) return next_realloc(block, size);
    void *const into = moved != NULL ? moved : next_malloc(size);
    if (into == NULL) return NULL;
    const size_t old = was_early ? (size_t)(early + sizeof early - (unsigned char *)block) : next_usable_size(block);
    memcpy(into, block, acre_min_size(size, old));
    free(block);
    return into;
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    void *const block = alignment <= ACRE_UM_BLOCK_BYTES ? take(size) : NULL;
    if (acre_unlikely(block != NULL)) return block;
    return find_next() ? next_memalign(alignment, size) : NULL;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (acre_is_power_of_two(alignment)) return memalign(alignment, size);
    errno = EINVAL;
    return NULL;
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    if (!acre_is_power_of_two(alignment) || alignment % sizeof(void *) != 0) return EINVAL;
    const int saved_errno = errno;
    void *const made = memalign(alignment, size);
    errno = saved_errno;
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}

EXPORT void *valloc(size_t size) { return memalign(acre_os_page_size(), size); }

EXPORT void *pvalloc(size_t size)
{
    const size_t page = acre_os_page_size();
    return size > SIZE_MAX - page ? NULL : memalign(page, (size_t)acre_align_up(size, page));
}

EXPORT size_t malloc_usable_size(void *block)
{
    if (is_ours(block)) return (size_t)acre_align_up(*size_of(block), ACRE_UM_BLOCK_BYTES);
    return block == NULL || is_early(block) || !find_next() ? 0 : next_usable_size(block);
}

/* ---- beginning and end ---- */

static void say(const char *what)
{
    char text[400];
    const size_t length = acre_format(text, sizeof text, "acre: unified memory is not used: %s\n", what);
    acre_os_write_error(text, acre_min_size(length, sizeof text - 1));
}

static bool read_bytes(const char *name, uint64_t least, uint64_t *bytes)
{
    const char *const text = acre_os_environment(name);
    if (text == NULL || text[0] == 0) return true;
    char *end;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*end == 0 && value >= least && value <= BYTES_MAX) {
        *bytes = value;
        return true;
    }
    char what[200];
    (void)acre_format(what, sizeof what, "%s='%s': a number of bytes from %llu", name, text, (unsigned long long)least);
    say(what);
    return false;
}

static acre_status open_home(const char *name)
{
    if (strcmp(name, "compressed") == 0) return um_home_open_compressed(bytes_max, &home);
    if (strcmp(name, "memory") != 0) return um_home_open_file(name, bytes_max, &home);
    has_home_space = true;
    return acre_space_open_pages(&home_space, NULL);
}

static const char *setting(const char *name, const char *otherwise)
{
    const char *const text = acre_os_environment(name);
    return text == NULL || text[0] == 0 ? otherwise : text;
}

static acre_status open_um(uint64_t room_bytes, acre_um **opened)
{
    const char *const faults = setting("ACRE_UM_FAULTS", "any");
    acre_um_options options = {.bytes_max = bytes_max};
    acre_um_place place = {.name = "memory", .capacity_bytes = room_bytes, .faults = ACRE_UM_PAGE_FAULTS};
    if (strcmp(faults, "userfaultfd") == 0) {
        place.faults = ACRE_UM_USERFAULTFD;
    } else if (strcmp(faults, "signals") == 0) {
        place.faults = ACRE_UM_SIGNALS;
    } else if (strcmp(faults, "any") != 0) {
        return acre_fail(ACRE_INVALID, "ACRE_UM_FAULTS='%s': any, userfaultfd or signals", faults);
    }
    acre_status status = acre_um_rules_named(setting("ACRE_UM_RULES", "acre"), &options.rules);
    if (status == ACRE_OK) status = open_home(setting("ACRE_UM_HOME", "compressed"));
    if (status != ACRE_OK) return status;
    options.home = has_home_space ? &home_space : NULL;
    options.home_contents = home;
    status = acre_um_open(&options, opened);
    if (status == ACRE_OK) status = acre_um_add_place(*opened, &place, &window);
    return status;
}

static __attribute__((constructor)) void begin(void)
{
    uint64_t room_bytes = acre_align_up(acre_os_memory_of_machine() / 2, ACRE_UM_BLOCK_BYTES), at;
    acre_um *opened = NULL;
    (void)find_next();
    if (!read_bytes("ACRE_UM_ROOM", 2 * ACRE_UM_BLOCK_BYTES, &room_bytes) || !read_bytes("ACRE_UM_FROM", 4096, &from_bytes)) return;
    bytes_max = acre_min_size(acre_max_size(room_bytes * TIMES_ROOM, BYTES_MIN), BYTES_MAX);
    if (!read_bytes("ACRE_UM_BYTES", room_bytes, &bytes_max)) return;
    bytes_max = acre_align_up(bytes_max, ACRE_UM_BLOCK_BYTES);
    acre_status status = open_um(room_bytes, &opened);
    /* Where the window begins is known once something is allocated. */
    if (status == ACRE_OK) status = acre_um_allocate(opened, 1, &at);
    if (status == ACRE_OK) base = (unsigned char *)acre_um_pointer(opened, window, at) - at;
    if (status == ACRE_OK) status = acre_um_free(opened, at);
    if (status != ACRE_OK) {
        say(acre_last_error());
        return;
    }
    if (!acre_um_serves_kernel(opened, window)) {
        static const char text[] =
            "acre: unified memory: calls of the system fail that read or write large allocations (EFAULT): the kernel lets "
            "this user serve only the program's own faults, see vm.unprivileged_userfaultfd\n";
        acre_os_write_error(text, sizeof text - 1);
    }
    report_path = acre_os_environment("ACRE_UM_REPORT");
    __atomic_store_n(&um, opened, __ATOMIC_RELEASE);
}

static __attribute__((destructor)) void end(void)
{
    static char text[2048];
    acre_um_figures f;
    um_home_figures waiting = {0};
    if (um == NULL || report_path == NULL || acre_um_read_figures(um, window, &f) != ACRE_OK) return;
    um_home_read_figures(&waiting);
    const unsigned long long numbers[] = {
        acre_os_process_id(), taken_count,        taken_bytes_max, f.used_bytes_max, f.batch_count,   f.fault_count,
        f.write_fault_count,  f.zero_bytes,       f.in_bytes,      f.out_bytes,      f.evicted_pages, f.evicted_units,
        f.thrashed_pages,     f.prefetched_pages, f.call_count,    f.stall_ns,       f.failure_count, waiting.page_count_max,
        waiting.bytes_max,    waiting.page_count, waiting.bytes};
    static const char *const names[] = {"process",       "allocations",  "allocated_bytes_max", "used_bytes_max",    "batches",
                                        "faults",        "write_faults", "new_bytes",           "in_bytes",          "out_bytes",
                                        "evicted_pages", "evictions",    "returned_pages",      "prefetched_pages",  "system_calls",
                                        "serving_ns",    "failures",     "waiting_pages_max",   "waiting_bytes_max", "waiting_pages",
                                        "waiting_bytes"};
    size_t length = acre_format(text, sizeof text, "{");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        length += acre_format(text + length, sizeof text - length, "%s\"%s\": %llu", i == 0 ? "" : ", ", names[i], numbers[i]);
    length += acre_format(text + length, sizeof text - length, "}\n");
    if (acre_os_append(report_path, text, length) != ACRE_OK) say(acre_last_error());
}
