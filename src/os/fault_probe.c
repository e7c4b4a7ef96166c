/* fault_probe.c - see fault_probe.h. */
#include "os/fault_probe.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of some systems: Linux 6.6 and 6.8. */
#define FEATURE_POISON ((uint64_t)1 << 14)
#define FEATURE_MOVE   ((uint64_t)1 << 16)

/* A descriptor, and who may use it; -1. The call that serves the kernel's faults is refused without rights, unless the system allows it to
 * all (vm.unprivileged_userfaultfd). */
static int open_service(uint32_t *flags)
{
    enum { USER_FAULTS_ONLY = 1 };
    *flags = ACRE_FAULT_USERFAULTFD | ACRE_FAULT_KERNEL;
    int service = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (service >= 0) return service;
    const int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device >= 0) {
        service = ioctl(device, _IO(0xAA, 0x00), O_CLOEXEC | O_NONBLOCK);
        (void)close(device);
        *flags |= ACRE_FAULT_DEVICE;
        if (service >= 0) return service;
    }
    *flags = ACRE_FAULT_USERFAULTFD;
    service = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_FAULTS_ONLY);
    if (service < 0) *flags = 0;
    return service;
}

static uint32_t flags_of(uint64_t features)
{
    static const struct {
        uint64_t features; /* all of them */
        uint32_t flag;
    } table[] = {
        {UFFD_FEATURE_PAGEFAULT_FLAG_WP, ACRE_FAULT_WRITE_PROTECT},
        {UFFD_FEATURE_MISSING_SHMEM, ACRE_FAULT_SHARED},
        {UFFD_FEATURE_WP_HUGETLBFS_SHMEM, ACRE_FAULT_SHARED_PROTECT},
        {UFFD_FEATURE_MINOR_SHMEM, ACRE_FAULT_MINOR},
        {UFFD_FEATURE_MISSING_HUGETLBFS, ACRE_FAULT_HUGE},
        {UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP, ACRE_FAULT_MOVES},
        {UFFD_FEATURE_THREAD_ID, ACRE_FAULT_THREADS},
        {FEATURE_POISON, ACRE_FAULT_POISON},
        {FEATURE_MOVE, ACRE_FAULT_MOVE},
    };
    uint32_t flags = 0;
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
        if ((features & table[i].features) == table[i].features) flags |= table[i].flag;
    return flags;
}

uint32_t acre_os_fault_service(void)
{
    uint32_t flags;
    const int service = open_service(&flags);
    if (service < 0) return ACRE_FAULT_SIGNAL;
    struct uffdio_api api = {.api = UFFD_API};
    if (ioctl(service, UFFDIO_API, &api) == 0) flags |= flags_of(api.features);
    (void)close(service);
    return flags | ACRE_FAULT_SIGNAL;
}
