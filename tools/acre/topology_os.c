/* topology_os.c - see topology.h: what Linux offers besides nodes and spaces, read from /proc and /sys. What is not there is left out. */
#include "topology.h"

#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The first number in a file. */
static bool read_number(const char *path, uint64_t *value)
{
    FILE *const file = fopen(path, "re");
    if (file == NULL) return false;
    char text[64];
    const char *const line = fgets(text, sizeof text, file);
    fclose(file);
    if (line == NULL) return false;
    char *end;
    errno = 0;
    *value = strtoull(line, &end, 10);
    return errno == 0 && end != line; /* "max" is no number */
}

static void add_page_size(memory *m, uint64_t bytes)
{
    if (m->page_size_count < MEMORY_PAGE_SIZES_MAX) m->page_bytes[m->page_size_count++] = bytes;
}

/* The pools that have to be filled before anybody can use them. */
static void add_huge_page_pools(memory *machine)
{
    static const char folder[] = "/sys/kernel/mm/hugepages";
    DIR *const directory = opendir(folder);
    if (directory == NULL) return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        static const char prefix[] = "hugepages-";
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0) continue;
        const uint64_t page_bytes = strtoull(entry->d_name + sizeof prefix - 1, NULL, 10) * 1024;
        uint64_t page_count = 0;
        uint64_t free_count = 0;
        char *const all = must_print("%s/%s/nr_hugepages", folder, entry->d_name);
        char *const unused = must_print("%s/%s/free_hugepages", folder, entry->d_name);
        if (read_number(all, &page_count) && read_number(unused, &free_count)) {
            memory *const pool = memory_add(machine, "huge pages", must_print("pool of %s pages", bytes_text(page_bytes)));
            add_page_size(pool, page_bytes);
            pool->capacity_bytes = reported(page_count * page_bytes);
            pool->used_bytes = reported((page_count - free_count) * page_bytes);
            if (page_count == 0) pool->note = must_copy("empty: nr_hugepages is 0");
        }
        free(all);
        free(unused);
    }
    closedir(directory);
}

static bool has_option(const char *options, const char *wanted)
{
    const size_t length = strlen(wanted);
    for (const char *at = options; at != NULL && *at != 0; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, wanted, length) == 0 && (at[length] == 0 || at[length] == ',' || at[length] == '=')) return true;
    }
    return false;
}

/* "/dev/shm" is a child named "/dev/shm (tmpfs)". */
static bool has_child(const memory *parent, const char *folder)
{
    const size_t length = strlen(folder);
    for (const memory *child = parent->first_child; child != NULL; child = child->next) {
        if (strncmp(child->name, folder, length) == 0 && child->name[length] == ' ') return true;
    }
    return false;
}

/* File systems whose files are memory: in RAM, in huge pages, or mapped straight from persistent memory. */
static void add_file_systems(memory *machine)
{
    FILE *const mounts = setmntent("/proc/self/mounts", "re");
    if (mounts == NULL) return;
    for (const struct mntent *mount; (mount = getmntent(mounts)) != NULL;) {
        const bool is_dax = has_option(mount->mnt_opts, "dax");
        if (strcmp(mount->mnt_type, "tmpfs") != 0 && strcmp(mount->mnt_type, "hugetlbfs") != 0 && !is_dax) continue;
        if (has_child(machine, mount->mnt_dir)) continue; /* mounted over: what lies below cannot be reached */
        struct statvfs figures;
        if (access(mount->mnt_dir, W_OK) != 0 || statvfs(mount->mnt_dir, &figures) != 0) continue;
        memory *const m = memory_add(machine, "file system", must_print("%s (%s)", mount->mnt_dir, mount->mnt_type));
        m->capacity_bytes = reported((uint64_t)figures.f_blocks * figures.f_frsize);
        m->used_bytes = reported((uint64_t)(figures.f_blocks - figures.f_bfree) * figures.f_frsize);
        if (is_dax) m->note = must_copy("DAX: mapped without a copy");
    }
    endmntent(mounts);
}

static void add_swap(memory *machine)
{
    FILE *const file = fopen("/proc/swaps", "re");
    if (file == NULL) return;
    char line[512];
    memory *swap = NULL;
    for (bool is_head = true; fgets(line, sizeof line, file) != NULL; is_head = false) {
        if (is_head) continue;
        char *rest = NULL;
        const char *const name = strtok_r(line, " \t", &rest);
        const char *const type = strtok_r(NULL, " \t", &rest);
        const char *const size = strtok_r(NULL, " \t", &rest);
        const char *const used = strtok_r(NULL, " \t", &rest);
        if (name == NULL || type == NULL || size == NULL || used == NULL) continue;
        const bool is_zram = strstr(name, "zram") != NULL;
        swap = memory_add(machine, "swap", must_copy(name));
        swap->capacity_bytes = reported(strtoull(size, NULL, 10) * 1024);
        swap->used_bytes = reported(strtoull(used, NULL, 10) * 1024);
        swap->note = must_print("%s", is_zram ? "compressed memory" : type);
    }
    fclose(file);
    if (swap != NULL) return;
    swap = memory_add(machine, "swap", must_copy("swap"));
    swap->capacity_bytes = reported(0);
    swap->note = must_copy("none");
}

/* The least that a control group above this process allows; version 2, then version 1. */
static void add_limit(memory *machine)
{
    FILE *const file = fopen("/proc/self/cgroup", "re");
    if (file == NULL) return;
    char line[1024];
    uint64_t least = UINT64_MAX;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        const bool is_second = strncmp(line, "0::", 3) == 0;
        if (!is_second && strstr(line, ":memory:") == NULL) continue;
        char *const path = must_copy(strchr(strchr(line, ':') + 1, ':') + 1);
        for (;;) { /* from the group itself up to the root */
            uint64_t limit;
            char *const name = must_print("/sys/fs/cgroup%s%s%s/%s", is_second ? "" : "/memory", *path == '/' ? "" : "/", path,
                                          is_second ? "memory.max" : "memory.limit_in_bytes");
            if (read_number(name, &limit) && limit < least) least = limit;
            free(name);
            char *const slash = strrchr(path, '/');
            if (slash == NULL || path[1] == 0) break;
            slash[slash == path ? 1 : 0] = 0;
        }
        free(path);
    }
    fclose(file);
    if (least >= (uint64_t)1 << 60) return; /* version 1 writes "no limit" as a very large number */
    memory *const limit = memory_add(machine, "limit", must_copy("control group"));
    limit->capacity_bytes = reported(least);
}

void add_os_memories(memory *machine)
{
    add_huge_page_pools(machine);
    add_file_systems(machine);
    add_swap(machine);
    add_limit(machine);
}
