/* segments.h - what a test that was killed, or failed, has left in /dev/shm. */
#ifndef ACRE_TESTS_SUPPORT_SEGMENTS_H
#define ACRE_TESTS_SUPPORT_SEGMENTS_H

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

/* Of all layouts of that name. */
static inline void remove_segments(const char *name)
{
    char pattern[128];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "/dev/shm/acre-*-%s.*", name);
    if (glob(pattern, 0, NULL, &found) != 0) return;
    for (size_t i = 0; i < found.gl_pathc; i++) (void)unlink(found.gl_pathv[i]);
    globfree(&found);
}

#endif
