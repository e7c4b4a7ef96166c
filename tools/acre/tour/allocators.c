/* allocators.c - see allocators.h. */
#include "allocators.h"
#include "command.h"

#include <glob.h>
#include <stdlib.h>

static char *find_library(const char *name)
{
    glob_t found;
    char *path = NULL;
    char *const pattern = must_print("/usr/lib/*/%s", name);
    if (glob(pattern, 0, NULL, &found) == 0) path = must_copy(found.gl_pathv[0]);
    globfree(&found);
    free(pattern);
    return path;
}

int tour_find_allocators(tour_state *tour, tour_allocator *allocators)
{
    static const struct {
        const char *name, *library, *package;
    } peers[] = {{"mimalloc", "libmimalloc.so.2", "libmimalloc2.0"},
                 {"jemalloc", "libjemalloc.so.2", "libjemalloc2"},
                 {"tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"}};
    int count = 0;
    char *const ours = find_malloc_library("tour", NULL);
    if (ours == NULL) return 0;
    allocators[count++] = (tour_allocator){"acre", ours};
    allocators[count++] = (tour_allocator){"glibc", must_copy("")};
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        char *const path = find_library(peers[i].library);
        if (path != NULL)
            allocators[count++] = (tour_allocator){peers[i].name, path};
        else
            tour_say(tour, "%s is not compared: the package %s is not installed", peers[i].name, peers[i].package);
    }
    return count;
}

void tour_free_allocators(tour_allocator *allocators, int count)
{
    for (int i = 0; i < count; i++) free(allocators[i].path);
}
