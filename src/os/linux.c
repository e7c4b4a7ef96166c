/* linux.c - os.h for Linux with glibc or musl. */
#include "os/os.h"
#include "base/bits.h"
#include "base/format.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static acre_status fail_errno(acre_status status, const char *what, const void *address, size_t size)
{
    const int code = errno;
    acre_fail(status, "%s of %zu bytes at %p: %s (errno %d)", what, size, address,
              code == ENOMEM ? "out of memory" : "refused by the system", code);
    errno = code;
    return status;
}

/* ENOMEM and EAGAIN mean that memory is short (or a limit is reached); anything else is a failure of another kind. */
static acre_status memory_status(void) { return errno == ENOMEM || errno == EAGAIN || errno == ENOSPC ? ACRE_NO_MEMORY : ACRE_IO; }

/* ---- pages ---- */

size_t acre_os_page_size(void)
{
    static size_t page_size;
    size_t size = __atomic_load_n(&page_size, __ATOMIC_RELAXED);
    if (size == 0) {
        size = (size_t)getauxval(AT_PAGESZ);
        __atomic_store_n(&page_size, size, __ATOMIC_RELAXED);
    }
    return size;
}

/* The first number in a small file of the kernel's; false when there is none ("max", no such file). */
static bool read_number(const char *path, unsigned skipped_fields, uint64_t *number)
{
    char text[128];
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    const ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return false;
    text[length] = 0;

    const char *at = text;
    for (; skipped_fields > 0; skipped_fields--) {
        while (*at != 0 && *at != ' ') at++;
        while (*at == ' ') at++;
    }
    if (*at < '0' || *at > '9') return false;
    uint64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++) value = value * 10 + (uint64_t)(*at - '0');
    *number = value;
    return true;
}

uint64_t acre_os_memory_of_machine(void)
{
    struct sysinfo machine;
    return sysinfo(&machine) == 0 ? (uint64_t)machine.totalram * machine.mem_unit : 0;
}

unsigned acre_os_memory_pressure(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.pressure", "/proc/pressure/memory"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char text[64]; /* "some avg10=12.34 ..." */
        const int file = open(files[i], O_RDONLY | O_CLOEXEC);
        if (file < 0) continue;
        const ssize_t length = read(file, text, sizeof text - 1);
        close(file);
        text[length > 0 ? length : 0] = 0;
        const char *at = strstr(text, "avg10=");
        if (at == NULL) continue;
        unsigned percent = 0;
        for (at += 6; *at >= '0' && *at <= '9'; at++) percent = percent * 10 + (unsigned)(*at - '0');
        return percent;
    }
    return 0;
}

acre_status acre_os_memory_budget(uint64_t *used_bytes, uint64_t *limit_bytes)
{
    uint64_t resident_pages = 0;
    if (!read_number("/proc/self/statm", 1, &resident_pages)) {
        return acre_fail(ACRE_UNSUPPORTED, "memory budget: /proc/self/statm cannot be read");
    }
    const uint64_t memory = acre_os_memory_of_machine();
    uint64_t limit = acre_os_address_space_limit();
    if (memory != 0) limit = acre_min_size(limit, memory);
    uint64_t group_limit = 0;
    if (read_number("/sys/fs/cgroup/memory.max", 0, &group_limit)) limit = acre_min_size(limit, group_limit);
    *used_bytes = resident_pages * acre_os_page_size();
    *limit_bytes = limit;
    return ACRE_OK;
}

uint64_t acre_os_address_space_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return limit.rlim_cur;
}

acre_status acre_os_reserve(size_t size, size_t alignment, void **address)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *base = mmap(NULL, size, PROT_NONE, flags, -1, 0);
    if (base == MAP_FAILED) return fail_errno(memory_status(), "reserve", NULL, size);
    if (((uintptr_t)base & (alignment - 1)) == 0) {
        *address = base;
        return ACRE_OK;
    }
    /* Take enough to cut an aligned piece out of it, and give the two ends back. */
    munmap(base, size);
    if (size > SIZE_MAX - alignment) {
        return acre_fail(ACRE_NO_MEMORY, "reserve of %zu bytes aligned to %zu: larger than the address space", size, alignment);
    }
    const size_t larger = size + alignment - acre_os_page_size();
    base = mmap(NULL, larger, PROT_NONE, flags, -1, 0);
    if (base == MAP_FAILED) return fail_errno(memory_status(), "reserve", NULL, larger);
    char *const start = (char *)acre_align_up((uintptr_t)base, alignment);
    const size_t before = (size_t)(start - (char *)base);
    if (before > 0) munmap(base, before);
    if (larger - before > size) munmap(start + size, larger - before - size);
    *address = start;
    return ACRE_OK;
}

acre_status acre_os_reserve_again(void *address, size_t size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(address, size, PROT_NONE, flags, -1, 0) == MAP_FAILED) return fail_errno(memory_status(), "reserve", address, size);
    return ACRE_OK;
}

acre_status acre_os_release(void *address, size_t size)
{
    if (munmap(address, size) != 0) return fail_errno(ACRE_IO, "release", address, size);
    return ACRE_OK;
}

acre_status acre_os_protect(void *address, size_t size, acre_os_access access)
{
    static const int protections[] = {[ACRE_OS_NONE] = PROT_NONE,
                                      [ACRE_OS_READ] = PROT_READ,
                                      [ACRE_OS_READ_WRITE] = PROT_READ | PROT_WRITE,
                                      [ACRE_OS_READ_EXECUTE] = PROT_READ | PROT_EXEC,
                                      [ACRE_OS_ALL] = PROT_READ | PROT_WRITE | PROT_EXEC};
    if (mprotect(address, size, protections[access]) != 0) {
        return fail_errno(memory_status(), "protect", address, size);
    }
    return ACRE_OK;
}

acre_status acre_os_purge(void *address, size_t size)
{
    if (madvise(address, size, MADV_DONTNEED) != 0) return fail_errno(ACRE_IO, "purge", address, size);
    return ACRE_OK;
}

acre_status acre_os_purge_pieces(void *const *pieces, size_t count, size_t piece_bytes)
{
    enum { PIECES_MAX = 64, THIS_PROCESS = -10001 }; /* PIDFD_SELF_THREAD_GROUP: Linux 6.14 and later */
    static bool is_unknown;                          /* to the kernel */
    acre_status status = ACRE_OK;
    for (size_t done = 0; done < count;) {
        struct iovec vector[PIECES_MAX];
        const size_t some = acre_min_size(count - done, PIECES_MAX);
        for (size_t i = 0; i < some; i++) vector[i] = (struct iovec){.iov_base = pieces[done + i], .iov_len = piece_bytes};
        const long purged = __atomic_load_n(&is_unknown, __ATOMIC_RELAXED)
                                ? -1
                                : syscall(SYS_process_madvise, THIS_PROCESS, vector, some, MADV_DONTNEED, 0);
        if (purged < 0 && errno != EAGAIN && errno != EINTR) __atomic_store_n(&is_unknown, true, __ATOMIC_RELAXED);
        size_t whole = purged < 0 ? 0 : (size_t)purged / piece_bytes;
        for (; whole < some; whole++) { /* an older kernel, or a piece that cannot be purged */
            const acre_status one = acre_os_purge(pieces[done + whole], piece_bytes);
            if (status == ACRE_OK) status = one;
        }
        done += some;
    }
    return status;
}

/* Whether the kernel has markers for pages without access: 0 not known yet, 1 yes, 2 no. */
static int guard_marks;

static bool has_guard_marks(void *page)
{
    int marks = __atomic_load_n(&guard_marks, __ATOMIC_RELAXED);
    if (marks == 0) {
        marks = madvise(page, acre_os_page_size(), MADV_GUARD_INSTALL) == 0 ? 1 : 2;
        __atomic_store_n(&guard_marks, marks, __ATOMIC_RELAXED);
    }
    return marks == 1;
}

acre_status acre_os_open_guarded(void *range, size_t size, void *begin, size_t bytes, bool is_fresh)
{
    char *const end = (char *)begin + bytes, *const range_end = (char *)range + size;
    const int saved_errno = errno;
    int failed = 0;
    if (!has_guard_marks(range)) {
        failed = mprotect(begin, bytes, PROT_READ | PROT_WRITE);
    } else if (!is_fresh) {
        failed = madvise(begin, bytes, MADV_GUARD_REMOVE);
    } else {
        if (begin != range) failed = madvise(range, (size_t)((char *)begin - (char *)range), MADV_GUARD_INSTALL);
        if (failed == 0 && end != range_end) failed = madvise(end, (size_t)(range_end - end), MADV_GUARD_INSTALL);
        if (failed == 0 && begin == range) failed = madvise(begin, bytes, MADV_GUARD_REMOVE); /* the first look may have left a marker */
        if (failed == 0) failed = mprotect(range, size, PROT_READ | PROT_WRITE);
    }
    if (failed != 0) return fail_errno(memory_status(), "opening between guard pages", range, size);
    errno = saved_errno;
    return ACRE_OK;
}

acre_status acre_os_close_guarded(void *range, size_t size)
{
    const int saved_errno = errno;
    int failed;
    if (has_guard_marks(range)) {
        failed = madvise(range, size, MADV_GUARD_INSTALL);
    } else {
        failed = mprotect(range, size, PROT_NONE);
        if (failed == 0) failed = madvise(range, size, MADV_DONTNEED);
    }
    if (failed != 0) return fail_errno(ACRE_IO, "closing by guard pages", range, size);
    errno = saved_errno;
    return ACRE_OK;
}

acre_status acre_os_move_pages(void *from, void *to, size_t size)
{
    if (mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == MAP_FAILED) {
        /* EINVAL: a kernel before 5.7, which would leave a hole behind */
        return fail_errno(errno == EINVAL ? ACRE_UNSUPPORTED : memory_status(), "move of pages", from, size);
    }
    return ACRE_OK;
}

acre_status acre_os_advise(void *address, size_t size, acre_os_advice advice)
{
    static const int advices[] = {
        [ACRE_OS_HUGE] = MADV_HUGEPAGE,    [ACRE_OS_NO_HUGE] = MADV_NOHUGEPAGE, [ACRE_OS_SEQUENTIAL] = MADV_SEQUENTIAL,
        [ACRE_OS_RANDOM] = MADV_RANDOM,    [ACRE_OS_WILL_NEED] = MADV_WILLNEED, [ACRE_OS_COLD] = MADV_COLD,
        [ACRE_OS_PAGE_OUT] = MADV_PAGEOUT,
    };
    if (madvise(address, size, advices[advice]) != 0) return fail_errno(ACRE_IO, "advice", address, size);
    return ACRE_OK;
}

acre_status acre_os_bind_node(void *address, size_t size, unsigned node)
{
    enum { MPOL_BIND_MODE = 2 };
    if (node >= 64) return acre_fail(ACRE_INVALID, "NUMA node %u: at most 63", node);
    const unsigned long mask = 1ul << node;
    if (syscall(SYS_mbind, address, size, MPOL_BIND_MODE, &mask, 65ul, 0u) == 0) return ACRE_OK;
    if (errno == ENOSYS || errno == EPERM) return fail_errno(ACRE_UNSUPPORTED, "binding to a NUMA node", address, size);
    return acre_fail(ACRE_INVALID, "NUMA node %u: no such node (errno %d)", node, errno);
}

/* ---- files and shared memory ---- */

static acre_status sized(int file, uint64_t size, const char *what, int *descriptor)
{
    if (file < 0) return acre_fail(ACRE_IO, "%s: cannot be opened (errno %d)", what, errno);
    struct stat status;
    const bool is_large_enough = fstat(file, &status) == 0 && (uint64_t)status.st_size >= size;
    if (!is_large_enough && ftruncate(file, (off_t)size) != 0) {
        const int code = errno;
        close(file);
        return acre_fail(ACRE_NO_MEMORY, "%s: cannot be made %llu bytes long (errno %d)", what, (unsigned long long)size, code);
    }
    *descriptor = file;
    return ACRE_OK;
}

acre_status acre_os_open_file(const char *path, uint64_t size, int *descriptor)
{
    return sized(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), size, path, descriptor);
}

acre_status acre_os_open_shared(const char *name, uint64_t size, int *descriptor)
{
    return sized(memfd_create(name, MFD_CLOEXEC), size, name, descriptor);
}

acre_status acre_os_open_secret(uint64_t size, int *descriptor)
{
    const int file = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (file < 0) {
        return acre_fail(ACRE_UNSUPPORTED, "secret memory: the kernel has no memfd_secret here (errno %d)", errno);
    }
    return sized(file, size, "secret memory", descriptor);
}

acre_status acre_os_map_shared(int descriptor, uint64_t size, void **address)
{
    void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (base == MAP_FAILED) return fail_errno(memory_status(), "mapping of a file", NULL, (size_t)size);
    *address = base;
    return ACRE_OK;
}

acre_status acre_os_map_shared_at(int descriptor, uint64_t offset, uint64_t size, void *address)
{
    void *const base = mmap(address, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, (off_t)offset);
    if (base == MAP_FAILED) return fail_errno(memory_status(), "mapping of a file", address, (size_t)size);
    return ACRE_OK;
}

acre_status acre_os_fill_hole(int descriptor, uint64_t offset, uint64_t size)
{
    if (fallocate(descriptor, 0, (off_t)offset, (off_t)size) != 0 && errno != EOPNOTSUPP) {
        return fail_errno(memory_status(), "room in a file", NULL, (size_t)size);
    }
    return ACRE_OK;
}

acre_status acre_os_punch_hole(int descriptor, uint64_t offset, uint64_t size)
{
    if (fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size) != 0) {
        const acre_status status = errno == EOPNOTSUPP || errno == EINVAL ? ACRE_UNSUPPORTED : ACRE_IO;
        return fail_errno(status, "hole in a file", NULL, (size_t)size);
    }
    return ACRE_OK;
}

acre_status acre_os_flush(void *address, size_t size)
{
    if (msync(address, size, MS_SYNC) != 0) return fail_errno(ACRE_IO, "flush", address, size);
    return ACRE_OK;
}

void acre_os_close(int descriptor) { (void)close(descriptor); }

/* ---- time ---- */

uint64_t acre_os_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void acre_os_sleep_ns(uint64_t duration_ns)
{
    struct timespec rest = {.tv_sec = (time_t)(duration_ns / 1000000000u), .tv_nsec = (long)(duration_ns % 1000000000u)};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {}
}

/* ---- threads ---- */

void acre_lock_wait(acre_lock *lock)
{
    enum { SPIN_COUNT_MAX = 100 }; /* about the length of the longest section that is held often */
    for (int spin = 0; spin < SPIN_COUNT_MAX; spin++) {
        if (__atomic_load_n(&lock->state, __ATOMIC_RELAXED) == 0 && acre_lock_try(lock)) return;
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
    const int saved_errno = errno;
    while (__atomic_exchange_n(&lock->state, 2, __ATOMIC_ACQUIRE) != 0) {
        syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
    }
    errno = saved_errno;
}

void acre_lock_wake(acre_lock *lock)
{
    const int saved_errno = errno;
    syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved_errno;
}

void acre_os_wait(uint32_t *word, uint32_t seen, uint64_t timeout_ns)
{
    const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u), .tv_nsec = (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, timeout_ns == UINT64_MAX ? NULL : &timeout, NULL, 0);
}

void acre_os_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

typedef struct thread_start {
    void (*work)(void *);
    void *argument;
    uint32_t has_begun;
} thread_start;

static void *thread_main(void *start_pointer)
{
    thread_start *const start = start_pointer;
    void (*const work)(void *) = start->work;
    void *const argument = start->argument;
    __atomic_store_n(&start->has_begun, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &start->has_begun, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    work(argument);
    return NULL;
}

acre_status acre_os_start_thread(void (*work)(void *), void *argument)
{
    thread_start start = {.work = work, .argument = argument, .has_begun = 0};
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);

    pthread_t thread;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&thread, &attributes, thread_main, &start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (code != 0) return acre_fail(ACRE_NO_MEMORY, "a thread cannot be started (errno %d)", code);

    /* `start` lives on this stack: wait until the thread has read it. */
    while (__atomic_load_n(&start.has_begun, __ATOMIC_ACQUIRE) == 0) {
        syscall(SYS_futex, &start.has_begun, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    return ACRE_OK;
}

acre_status acre_os_thread_key_create(acre_os_thread_key *key, void (*at_exit)(void *))
{
    pthread_key_t made;
    const int code = pthread_key_create(&made, at_exit);
    if (code != 0) return acre_fail(ACRE_NO_MEMORY, "no thread key is left (errno %d)", code);
    *key = made;
    return ACRE_OK;
}

acre_status acre_os_thread_key_set(acre_os_thread_key key, void *argument)
{
    const int code = pthread_setspecific(key, argument);
    if (code != 0) return acre_fail(ACRE_NO_MEMORY, "thread key %u cannot be set (errno %d)", key, code);
    return ACRE_OK;
}

#ifdef __GLIBC__
extern void *__dso_handle; /* of this library: when it goes, its handlers do */
extern int __register_atfork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void), void *library);
#endif

acre_status acre_os_at_fork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void))
{
#ifdef __GLIBC__ /* what pthread_atfork calls; its own code would be linked behind all other, and bring 64 KiB of it into memory */
    const int code = __register_atfork(before, in_parent, in_child, __dso_handle);
#else
    const int code = pthread_atfork(before, in_parent, in_child);
#endif
    if (code != 0) return acre_fail(ACRE_NO_MEMORY, "fork handlers cannot be set (errno %d)", code);
    return ACRE_OK;
}

/* ---- the process ---- */

const char *acre_os_environment(const char *name) { return secure_getenv(name); }

uint64_t acre_os_process_id(void) { return (uint64_t)getpid(); }

/* ---- accesses that are refused ---- */

static void (*hear_of_fault)(uintptr_t address, char access);
static struct sigaction actions_before[2]; /* SIGSEGV, SIGBUS */

/* Bits 1 and 4 of a page fault's error code. */
static char access_of(const void *context)
{
#if defined(__x86_64__)
    const ucontext_t *const state = context;
    const long long error = state->uc_mcontext.gregs[REG_ERR];
    return (error & 2) != 0 ? 'w' : (error & 16) != 0 ? 'x' : 'r';
#else
    (void)context;
    return '?';
#endif
}

bool acre_os_read_trap(const void *info, const void *context, uintptr_t *address, uintptr_t *pc, char *access)
{
    const siginfo_t *const signal = info;
    if (signal->si_code <= 0) return false;
    *address = (uintptr_t)signal->si_addr;
    *access = access_of(context);
#if defined(__x86_64__)
    *pc = (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#else
    *pc = 0;
#endif
    return true;
}

/* Sets back what was there before, and returns: the access is made again, and what was there hears of it. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    const int saved_errno = errno;
    if (info->si_code > 0) hear_of_fault((uintptr_t)info->si_addr, access_of(context));
    (void)sigaction(number, &actions_before[number == SIGBUS], NULL);
    if (info->si_code <= 0) (void)raise(number); /* somebody sent it */
    errno = saved_errno;
}

acre_status acre_os_on_fault(void (*fault)(uintptr_t address, char access))
{
    static uint32_t is_set;
    if (__atomic_exchange_n(&is_set, 1, __ATOMIC_ACQ_REL) != 0) return ACRE_OK;
    hear_of_fault = fault;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    const int saved_errno = errno;
    if (sigaction(SIGSEGV, &action, &actions_before[0]) != 0 || sigaction(SIGBUS, &action, &actions_before[1]) != 0) {
        return acre_fail(ACRE_IO, "no handler for accesses to guard pages can be set (errno %d)", errno);
    }
    errno = saved_errno;
    return ACRE_OK;
}

acre_status acre_os_append(const char *path, const char *text, size_t length)
{
    const int saved_errno = errno;
    acre_status status = ACRE_OK;
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0 || write(descriptor, text, length) != (ssize_t)length) {
        status = acre_fail(ACRE_IO, "'%s' cannot be written (errno %d)", path, errno);
    }
    if (descriptor >= 0) (void)close(descriptor);
    errno = saved_errno;
    return status;
}

void acre_os_write_error(const char *text, size_t length)
{
    const int saved_errno = errno;
    while (length > 0) {
        const ssize_t written = write(STDERR_FILENO, text, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break; /* nobody can be told any more */
        text += written;
        length -= (size_t)written;
    }
    errno = saved_errno;
}

_Noreturn void acre_os_abort(const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    size_t length = acre_format_list(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    text[length++] = '\n';
    acre_os_write_error(text, length);
    abort();
}
