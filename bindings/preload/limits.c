/* limits.c - a program that limits its own address space.
 *
 * The window where heaps lie is address space that was taken in advance, and would count against the limit at once: what is not in use
 * of it is given back first. A limit that is there from the start is known when the window is made.
 */
#undef _FILE_OFFSET_BITS /* 64 makes glibc's headers give both names of each function to one of them */
#include "space/window.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int set(pid_t process, int resource, const void *limit, void *before)
{
    const bool is_own = process == 0 || process == getpid();
    if (resource == RLIMIT_AS && limit != NULL && is_own) acre_window_shrink(acre_window_of_process());
    return (int)syscall(SYS_prlimit64, process, resource, limit, before);
}

/* Names of glibc; where rlimit is 64 bits wide, as here, those with 64 are the same functions. */
EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) { return set(0, (int)resource, limit, NULL); }

EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit) { return set(0, (int)resource, limit, NULL); }

EXPORT int prlimit(pid_t process, __rlimit_resource_t resource, const struct rlimit *limit, struct rlimit *before)
{
    return set(process, (int)resource, limit, before);
}

EXPORT int prlimit64(pid_t process, __rlimit_resource_t resource, const struct rlimit64 *limit, struct rlimit64 *before)
{
    return set(process, (int)resource, limit, before);
}
