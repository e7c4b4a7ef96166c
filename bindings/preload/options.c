/* options.c - see options.h.
 *
 *     ACRE_PURGE   when free memory goes back to the system: `thread` (the default: while the program sleeps, too), or `calls` (only when
 *                  the program frees or calls malloc_trim)
 */
#include "options.h"
#include "base/format.h"
#include "heap/purge.h"
#include "os/os.h"

#include <string.h>

static void say_not_followed(const char *name, const char *value, const char *right)
{
    char text[300];
    const size_t length = acre_format(text, sizeof text, "acre: %s='%s' is not followed: it is one of %s\n", name, value, right);
    acre_os_write_error(text, length);
}

void acre_follow_options(void)
{
    const char *const purge = acre_os_environment("ACRE_PURGE");
    const bool is_by_calls = purge != NULL && strcmp(purge, "calls") == 0;
    if (purge != NULL && !is_by_calls && strcmp(purge, "thread") != 0) say_not_followed("ACRE_PURGE", purge, "thread, calls");
    acre_heap *const heap = acre_process_heap();
    if (heap != NULL && !is_by_calls) acre_purge_use_thread(heap);
}
