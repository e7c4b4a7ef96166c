/* page_faults.c - see page_faults.h. */
#include "os/page_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#define NEEDED_FEATURES ((uint64_t)(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_WP_HUGETLBFS_SHMEM))

/* Where the kernel's own accesses need a right that we lack, those of the program do without. */
static int open_descriptor(bool *serves_kernel)
{
    *serves_kernel = true;
    int descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 && errno == EPERM) {
        const int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
        if (device >= 0) {
            descriptor = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
            (void)close(device);
        }
    }
    if (descriptor < 0) {
        *serves_kernel = false;
        descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    }
    return descriptor;
}

static acre_status open_bell(acre_page_faults *faults)
{
    void *const bell = mmap(NULL, acre_os_page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bell == MAP_FAILED) return acre_fail(ACRE_NO_MEMORY, "a page for a bell cannot be had (errno %d)", errno);
    faults->bell = bell;
    return acre_page_faults_watch(faults, bell, acre_os_page_size());
}

acre_status acre_page_faults_open(acre_page_faults *faults)
{
    const int saved_errno = errno;
    *faults = (acre_page_faults){.descriptor = -1};
    faults->descriptor = open_descriptor(&faults->serves_kernel);
    if (faults->descriptor < 0) return acre_fail(ACRE_UNSUPPORTED, "this process may not use userfaultfd (errno %d)", errno);
    struct uffdio_api api = {.api = UFFD_API, .features = NEEDED_FEATURES | UFFD_FEATURE_EVENT_REMAP};
    faults->tells_moves = ioctl(faults->descriptor, UFFDIO_API, &api) == 0;
    if (!faults->tells_moves) {
        api = (struct uffdio_api){.api = UFFD_API, .features = NEEDED_FEATURES};
        if (ioctl(faults->descriptor, UFFDIO_API, &api) != 0) {
            const int error = errno;
            acre_page_faults_close(faults);
            return acre_fail(ACRE_UNSUPPORTED, "this kernel's userfaultfd does not write-protect shared memory (errno %d)", error);
        }
    }
    const acre_status status = open_bell(faults);
    if (status != ACRE_OK) acre_page_faults_close(faults);
    errno = saved_errno;
    return status;
}

void acre_page_faults_stop(acre_page_faults *faults)
{
    if (faults->descriptor >= 0) (void)close(faults->descriptor);
    faults->descriptor = -1;
}

void acre_page_faults_close(acre_page_faults *faults)
{
    acre_page_faults_stop(faults);
    if (faults->bell != NULL) (void)munmap(faults->bell, acre_os_page_size());
    faults->bell = NULL;
}

acre_status acre_page_faults_watch(acre_page_faults *faults, void *address, size_t size)
{
    struct uffdio_register range = {.range = {(uintptr_t)address, size}, .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP};
    if (ioctl(faults->descriptor, UFFDIO_REGISTER, &range) == 0) return ACRE_OK;
    return acre_fail(errno == ENOMEM ? ACRE_NO_MEMORY : ACRE_UNSUPPORTED, "faults of %zu bytes at %p cannot be served (errno %d)", size,
                     address, errno);
}

static bool read_event(const struct uffd_msg *message, acre_page_event *event)
{
    if (message->event == UFFD_EVENT_PAGEFAULT) {
        const bool is_write = (message->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0;
        const bool is_there = (message->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) != 0;
        *event = (acre_page_event){.kind = is_there ? ACRE_PAGE_PROTECTED : ACRE_PAGE_MISSING,
                                   .is_write = is_write || is_there,
                                   .address = (uintptr_t)message->arg.pagefault.address};
        return true;
    }
    *event = (acre_page_event){.kind = ACRE_PAGE_MOVED,
                               .address = (uintptr_t)message->arg.remap.from,
                               .to = (uintptr_t)message->arg.remap.to,
                               .bytes = message->arg.remap.len};
    return message->event == UFFD_EVENT_REMAP;
}

/* A reader with all the time in the world sleeps in read() itself, which takes one call of the system less than to poll before. */
static ssize_t read_messages(acre_page_faults *faults, uint64_t timeout_ns, void *messages, size_t size)
{
    const bool is_blocking = timeout_ns == UINT64_MAX;
    if (faults->is_blocking != is_blocking) {
        if (fcntl(faults->descriptor, F_SETFL, is_blocking ? 0 : O_NONBLOCK) != 0) return -1;
        faults->is_blocking = is_blocking;
    }
    if (!is_blocking) {
        struct pollfd from = {.fd = faults->descriptor, .events = POLLIN};
        const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u), .tv_nsec = (long)(timeout_ns % 1000000000u)};
        if (ppoll(&from, 1, &timeout, NULL) <= 0) return 0;
    }
    return read(faults->descriptor, messages, size);
}

/* The page is there, which lets go on who touches it, and is not, for the next. */
static void answer_bell(acre_page_faults *faults)
{
    struct uffdio_zeropage zero = {.range = {(uintptr_t)faults->bell, acre_os_page_size()}};
    (void)ioctl(faults->descriptor, UFFDIO_ZEROPAGE, &zero);
}

acre_status acre_page_faults_read(acre_page_faults *faults, uint64_t timeout_ns, acre_page_event events[ACRE_PAGE_EVENTS_MAX],
                                  unsigned *count, bool *rang)
{
    struct uffd_msg messages[ACRE_PAGE_EVENTS_MAX];
    *count = 0;
    const ssize_t bytes = read_messages(faults, timeout_ns, messages, sizeof messages);
    if (bytes <= 0) return bytes == 0 || errno == EAGAIN || errno == EINTR ? ACRE_BUSY : acre_fail(ACRE_IO, "faults cannot be read");
    for (size_t i = 0; i < (size_t)bytes / sizeof *messages; i++) {
        if (!read_event(&messages[i], &events[*count])) continue;
        if (events[*count].address - (uintptr_t)faults->bell < acre_os_page_size()) {
            answer_bell(faults);
            *rang = true;
        } else {
            ++*count;
        }
    }
    return ACRE_OK;
}

void acre_page_faults_ring(acre_page_faults *faults) { (void)*(volatile unsigned char *)faults->bell; }

static acre_page_result result_of(int error, const char *what, const void *address, size_t size)
{
    switch (error) {
    case EAGAIN:
        return ACRE_PAGES_BUSY;
    case EEXIST:
        return ACRE_PAGES_THERE;
    case ENOENT:
    case ESRCH:
        return ACRE_PAGES_GONE;
    default:
        (void)acre_fail(error == ENOMEM ? ACRE_NO_MEMORY : ACRE_IO, "%s of %zu bytes at %p (errno %d)", what, size, address, error);
        return ACRE_PAGES_FAILED;
    }
}

/* What was never written can be copied from here; the kernel's own way to make zeros cannot protect them at the same time. */
static const unsigned char zeros[1 << 16] __attribute__((aligned(4096)));

acre_page_result acre_page_faults_fill(acre_page_faults *faults, void *address, const void *bytes, size_t size, bool is_writable,
                                       size_t *done)
{
    *done = 0;
    if (faults->descriptor < 0) return ACRE_PAGES_GONE;
    while (*done < size) {
        const size_t left = size - *done;
        struct uffdio_copy copy = {.dst = (uintptr_t)address + *done,
                                   .src = bytes == NULL ? (uintptr_t)zeros : (uintptr_t)bytes + *done,
                                   .len = bytes == NULL && left > sizeof zeros ? sizeof zeros : left,
                                   .mode = is_writable ? 0 : UFFDIO_COPY_MODE_WP};
        const int error = ioctl(faults->descriptor, UFFDIO_COPY, &copy) == 0 ? 0 : errno;
        if (copy.copy > 0) *done += (size_t)copy.copy;
        if (error == 0 || error == EINTR || (error == EAGAIN && copy.copy > 0)) continue;
        return result_of(error, "copy", (char *)address + *done, size - *done);
    }
    return ACRE_PAGES_DONE;
}

static acre_page_result set_protection(acre_page_faults *faults, void *address, size_t size, uint64_t mode)
{
    struct uffdio_writeprotect change = {.range = {(uintptr_t)address, size}, .mode = mode};
    if (faults->descriptor < 0 || ioctl(faults->descriptor, UFFDIO_WRITEPROTECT, &change) == 0) return ACRE_PAGES_DONE;
    return result_of(errno, "protection", address, size);
}

acre_page_result acre_page_faults_protect(acre_page_faults *faults, void *address, size_t size)
{
    return set_protection(faults, address, size, UFFDIO_WRITEPROTECT_MODE_WP);
}

acre_page_result acre_page_faults_allow(acre_page_faults *faults, void *address, size_t size)
{
    return set_protection(faults, address, size, 0);
}

void acre_page_faults_wake(acre_page_faults *faults, void *address, size_t size)
{
    struct uffdio_range range = {(uintptr_t)address, size};
    (void)ioctl(faults->descriptor, UFFDIO_WAKE, &range);
}

/* ---- by signal ---- */

static bool (*serve_access)(uintptr_t address, char access);
static struct sigaction actions_before[2]; /* SIGSEGV, SIGBUS */

static void on_signal(int number, siginfo_t *info, void *context)
{
    const int saved_errno = errno;
    const struct sigaction *const before = &actions_before[number == SIGBUS];
    uintptr_t address, pc;
    char access;
    const bool is_served = acre_os_read_trap(info, context, &address, &pc, &access) && serve_access(address, access);
    errno = saved_errno;
    if (is_served) return;
    if ((before->sa_flags & SA_SIGINFO) != 0) {
        before->sa_sigaction(number, info, context);
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(number);
    } else {
        (void)sigaction(number, before, NULL);
        if (info->si_code <= 0) (void)raise(number); /* somebody sent it */
    }
    errno = saved_errno;
}

acre_status acre_page_faults_by_signal(bool (*serve)(uintptr_t address, char access))
{
    static uint32_t is_set;
    if (__atomic_exchange_n(&is_set, 1, __ATOMIC_ACQ_REL) != 0) return ACRE_OK;
    serve_access = serve;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGSEGV, &action, &actions_before[0]) == 0 && sigaction(SIGBUS, &action, &actions_before[1]) == 0) return ACRE_OK;
    return acre_fail(ACRE_IO, "no handler for accesses without permission can be set (errno %d)", errno);
}

/* ---- contents by descriptor ---- */

acre_status acre_page_contents_read(int descriptor, uint64_t offset, void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t read_bytes = pread(descriptor, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (read_bytes < 0 && errno == EINTR) continue;
        if (read_bytes <= 0) return acre_fail(ACRE_IO, "contents of %zu bytes cannot be read (errno %d)", size, errno);
        done += (size_t)read_bytes;
    }
    return ACRE_OK;
}

acre_status acre_page_contents_write(int descriptor, uint64_t offset, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const void *const from = bytes == NULL ? zeros : (const unsigned char *)bytes + done;
        const size_t piece = bytes == NULL && size - done > sizeof zeros ? sizeof zeros : size - done;
        const ssize_t written = pwrite(descriptor, from, piece, (off_t)(offset + done));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            return acre_fail(errno == ENOSPC || errno == ENOMEM ? ACRE_NO_MEMORY : ACRE_IO,
                             "contents of %zu bytes cannot be written (errno %d)", size, errno);
        }
        done += (size_t)written;
    }
    return ACRE_OK;
}

bool acre_os_is_mapped(void *address, size_t size)
{
    unsigned char page[512];
    for (size_t done = 0; done < size; done += sizeof page * 4096) {
        const size_t piece = size - done < sizeof page * 4096 ? size - done : sizeof page * 4096;
        if (mincore((char *)address + done, piece, page) != 0) return false;
    }
    return true;
}

acre_status acre_os_reserve_at(void *address, size_t size)
{
    void *const got = mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == address) return ACRE_OK;
    const int error = errno;
    if (got != MAP_FAILED) (void)munmap(got, size); /* a kernel before 4.17 */
    return acre_fail(ACRE_BUSY, "%zu bytes at %p are taken (errno %d)", size, address, got == MAP_FAILED ? error : 0);
}

acre_status acre_os_keep_from_children(void *address, size_t size)
{
    if (madvise(address, size, MADV_DONTFORK) == 0) return ACRE_OK;
    return acre_fail(ACRE_IO, "%zu bytes at %p cannot be kept from children (errno %d)", size, address, errno);
}

acre_status acre_os_open_gate(int gate[2])
{
    if (pipe2(gate, O_CLOEXEC) == 0) return ACRE_OK;
    gate[0] = gate[1] = -1;
    return acre_fail(ACRE_IO, "no pipe to a child can be made (errno %d)", errno);
}

void acre_os_wait_at_gate(int gate[2])
{
    char byte;
    if (gate[0] < 0) return;
    (void)close(gate[1]);
    while (read(gate[0], &byte, 1) < 0 && errno == EINTR) {}
    (void)close(gate[0]);
}

void acre_os_pass_gate(int gate[2])
{
    if (gate[0] < 0) return;
    while (write(gate[1], "", 1) < 0 && errno == EINTR) {}
    (void)close(gate[0]);
    (void)close(gate[1]);
}
