/* topology_places.c - see topology.h: what the machine offers to unified memory: host memory, files, devices, and page faults. */
#include "topology.h"

#include "command.h"
#include "os/fault_probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

static void add_host(memory *places, const memory *machine)
{
    memory *const host = memory_add(places, "place", must_copy("host memory"));
    unsigned nodes = 0;
    uint64_t least = machine->capacity_bytes.value;
    for (const memory *one = machine->first_child; one != NULL; one = one->next) {
        if (strcmp(one->kind, "node") == 0) nodes++;
        if (strcmp(one->kind, "limit") == 0 && one->capacity_bytes.value < least) least = one->capacity_bytes.value;
    }
    host->capacity_bytes = reported(least);
    host->note = must_print("home, or a budget of it; %s", counted_text(nodes, "node", "nodes"));
}

/* Where files that nobody says a place for are made. */
static void add_file(memory *places)
{
    const char *const told = getenv("TMPDIR"), *const folder = told != NULL && told[0] != 0 ? told : "/tmp";
    struct statvfs figures;
    if (statvfs(folder, &figures) != 0) return;
    memory *const file = memory_add(places, "place", must_print("file in %.64s", folder));
    file->capacity_bytes = reported((uint64_t)figures.f_blocks * figures.f_frsize);
    file->used_bytes = reported((uint64_t)(figures.f_blocks - figures.f_bavail) * figures.f_frsize);
    file->note = must_print("home: %s are free", bytes_text((uint64_t)figures.f_bavail * figures.f_frsize));
}

/* A device has the memory that its largest heap has, or its global memory. */
static void add_device(memory *places, const memory *device)
{
    uint64_t largest = device->capacity_bytes.value;
    for (const memory *one = device->first_child; one != NULL; one = one->next)
        if (one->capacity_bytes.value > largest) largest = one->capacity_bytes.value;
    if (largest == 0) return;
    memory *const place = memory_add(places, "place", must_copy(device->name));
    place->capacity_bytes = reported(largest);
    place->note = must_print("%s%sin frames, or as a model", device->note == NULL ? "" : device->note, device->note == NULL ? "" : "; ");
}

static void add_faults(memory *places)
{
    static const char *const texts[ACRE_FAULT_SERVICE_BITS] = {"SIGSEGV",
                                                               "userfaultfd",
                                                               "accesses of the kernel, too",
                                                               "by /dev/userfaultfd",
                                                               "writes are told",
                                                               "shared memory",
                                                               "writes of it",
                                                               "its minor faults",
                                                               "huge pages",
                                                               "moves of addresses are told",
                                                               "thread number",
                                                               "poisoned pages",
                                                               "pages are moved"};
    const uint32_t flags = acre_os_fault_service();
    memory *const faults = memory_add(places, "page faults", must_copy("page faults"));
    char *text = must_copy("");
    for (unsigned bit = 0; bit < ACRE_FAULT_SERVICE_BITS; bit++) {
        if ((flags >> bit & 1) == 0) continue;
        char *const longer = must_print("%s%s%s", text, text[0] == 0 ? "" : ", ", texts[bit]);
        free(text);
        text = longer;
    }
    faults->note =
        (flags & ACRE_FAULT_USERFAULTFD) == 0 ? must_print("%s; there is no userfaultfd, or it is forbidden", text)
        : (flags & ACRE_FAULT_KERNEL) == 0
            ? must_print("%s; accesses of the kernel fail: they need root, vm.unprivileged_userfaultfd=1 or /dev/userfaultfd", text)
            : must_copy(text);
    free(text);
}

void add_places(memory *machine)
{
    memory *const places = memory_add(machine, "unified memory", must_copy("unified memory"));
    add_host(places, machine);
    add_file(places);
    for (const memory *one = machine->first_child; one != NULL; one = one->next)
        if (strcmp(one->kind, "device") == 0) add_device(places, one);
    add_faults(places);
}
