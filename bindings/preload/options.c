/* options.c - see options.h.
 *
 *     ACRE_PURGE   when free memory goes back to the system: `thread` (the default: while the program sleeps, too), or `calls` (only when
 *                  the program frees or calls malloc_trim)
 *
 * and ACRE_GUARD, ACRE_GUARD_REPORT: see acre/guard.h.
 */
#include "options.h"
#include "base/format.h"
#include "guard/fault.h"
#include "guard/level.h"
#include "heap/guarded.h"
#include "heap/purge.h"
#include "os/os.h"
#include "unwind.h"

#include <dlfcn.h>
#include <string.h>

static void say_not_followed(const char *name, const char *value, const char *right)
{
    char text[300];
    const size_t length = acre_format(text, sizeof text, "acre: %s='%s' is not followed: it is one of %s\n", name, value, right);
    acre_os_write_error(text, length);
}

/* ---- the guard ---- */

static char report_path[512];
static acre_lock report_lock;

/* At L1 stacks are read only when there is a fault to report, at L3 first with the first block in guard pages, which a short program never
 * has: the library is loaded then. */
static size_t unwind(void **pcs, size_t count_max)
{
    static int is_loaded; /* 1 yes, 2 no */
    if (is_loaded == 0) is_loaded = acre_unwind_load() ? 1 : 2;
    return is_loaded == 1 ? acre_unwind(pcs, count_max) : 0;
}

/* MODULE+OFFSET, and the function where its name is known. */
static size_t name_frame(const void *pc, char *text, size_t size)
{
    Dl_info info, own;
    if (dladdr((const char *)pc - 1, &info) == 0) return acre_format(text, size, "0x%llx", (unsigned long long)(uintptr_t)pc);
    if (dladdr((const void *)&report_path, &own) != 0 && own.dli_fbase == info.dli_fbase) return 0;
    const unsigned long long offset = (unsigned long long)((const char *)pc - (const char *)info.dli_fbase);
    if (info.dli_sname == NULL) return acre_format(text, size, "%s+0x%llx", info.dli_fname, offset);
    return acre_format(text, size, "%s+0x%llx (%s)", info.dli_fname, offset, info.dli_sname);
}

static void append_fault(const acre_fault *fault)
{
    static char text[8192];
    acre_lock_take(&report_lock);
    size_t length = acre_fault_json(fault, text, sizeof text - 1);
    text[length++] = '\n';
    if (acre_os_append(report_path, text, length) != ACRE_OK) {
        length = acre_format(text, sizeof text, "acre: ACRE_GUARD_REPORT: %s\n", acre_last_error());
        acre_os_write_error(text, length);
    }
    acre_lock_drop(&report_lock);
}

static void follow_guard(acre_heap *heap)
{
    const char *const guard = acre_os_environment("ACRE_GUARD");
    const char *const report = acre_os_environment("ACRE_GUARD_REPORT");
    acre_guard_level level;
    acre_guard_limits limits = {.pages_one_in = 0};
    acre_fault_hooks_of_process.name = name_frame;
    if (report != NULL && report[0] != 0) {
        (void)acre_format(report_path, sizeof report_path, "%s", report);
        acre_fault_hooks_of_process.record = append_fault;
    }
    if (guard == NULL || guard[0] == 0) return;
    if (!acre_guard_read(guard, &level, &limits)) {
        say_not_followed("ACRE_GUARD", guard, ACRE_GUARD_TEXTS);
        return;
    }
    if (level == ACRE_GUARD_L0) return;
    if (level == ACRE_GUARD_L2) {
        void *pcs[2];
        (void)unwind(pcs, 2); /* which loads it now, and not within a malloc */
    }
    acre_guard_set_unwinder(unwind);
    if (acre_guard_open(heap, level, &limits) != ACRE_OK) {
        char text[400];
        const size_t length = acre_format(text, sizeof text, "acre: ACRE_GUARD='%s' is not followed: %s\n", guard, acre_last_error());
        acre_os_write_error(text, length);
    }
}

void acre_follow_options(void)
{
    const char *const purge = acre_os_environment("ACRE_PURGE");
    const bool is_by_calls = purge != NULL && strcmp(purge, "calls") == 0;
    if (purge != NULL && !is_by_calls && strcmp(purge, "thread") != 0) say_not_followed("ACRE_PURGE", purge, "thread, calls");
    acre_heap *const heap = acre_process_heap();
    if (heap == NULL) return;
    if (!is_by_calls) acre_purge_use_thread(heap);
    follow_guard(heap);
}
