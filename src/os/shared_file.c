/* shared_file.c - see shared_file.h. */
#include "os/shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Growing past RLIMIT_FSIZE raises SIGXFSZ, which would end the program that is observed. */
static int reserve(int fd, size_t old_bytes, size_t new_bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && new_bytes > limit.rlim_cur)
        return EFBIG;
    int error;
    do error = posix_fallocate(fd, (off_t)old_bytes, (off_t)(new_bytes - old_bytes));
    while (error == EINTR);
    return error;
}

static acre_status fail(int error, const char *path, const char *what)
{
    const acre_status status = error == EEXIST                                       ? ACRE_BUSY
                               : error == ENOSPC || error == EFBIG || error == ENOMEM ? ACRE_NO_MEMORY
                                                                                      : ACRE_IO;
    return acre_fail(status, "file '%s': %s failed (errno %d)", path, what, error);
}

acre_status acre_shared_file_create(const char *path, size_t size_bytes, size_t mapped_bytes, void **memory)
{
    const int saved = errno;
    acre_status status = ACRE_OK;
    int error = 0;
    void *map = MAP_FAILED;
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        status = fail(errno, path, "create");
        goto out;
    }
    error = reserve(fd, 0, size_bytes);
    if (error != 0) {
        status = fail(error, path, "reserving its size");
        goto out_unlink;
    }
    map = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED) {
        status = fail(errno, path, "mmap");
        goto out_unlink;
    }
    *memory = map;
    goto out_close;

out_unlink:
    unlink(path);
out_close:
    close(fd);
out:
    errno = saved;
    return status;
}

acre_status acre_shared_file_grow(const char *path, size_t old_bytes, size_t new_bytes)
{
    const int saved = errno;
    acre_status status = ACRE_OK;
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        status = fail(errno, path, "open");
    } else {
        const int error = reserve(fd, old_bytes, new_bytes);
        if (error != 0) status = fail(error, path, "growing");
        close(fd);
    }
    errno = saved;
    return status;
}

acre_status acre_shared_file_map(const char *path, size_t mapped_bytes, void **memory)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return fail(errno, path, "open");
    void *const map = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    const int error = errno;
    close(fd);
    if (map == MAP_FAILED) return fail(error, path, "mmap");
    *memory = map;
    return ACRE_OK;
}

void acre_shared_file_unmap(void *memory, size_t mapped_bytes) { munmap(memory, mapped_bytes); }

void *acre_private_pages(size_t size_bytes)
{
    const int saved = errno;
    void *const memory =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    return memory == MAP_FAILED ? NULL : memory;
}

void acre_private_pages_release(void *memory, size_t size_bytes) { munmap(memory, size_bytes); }

acre_status acre_read_lines(const char *path, void (*take)(void *context, const char *line, size_t length), void *context)
{
    char buffer[4096];
    size_t held = 0; /* bytes at the front of the buffer that end no line */
    const int saved = errno;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const acre_status status = fail(errno, path, "open");
        errno = saved;
        return status;
    }
    for (;;) {
        const ssize_t got = read(fd, buffer + held, sizeof buffer - held);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        held += (size_t)got;

        size_t begin = 0;
        for (char *end; (end = memchr(buffer + begin, '\n', held - begin)) != NULL;) {
            take(context, buffer + begin, (size_t)(end - buffer) - begin);
            begin = (size_t)(end - buffer) + 1;
        }
        if (begin == 0 && held == sizeof buffer) {
            take(context, buffer, held);
            begin = held;
        }
        memmove(buffer, buffer + begin, held - begin);
        held -= begin;
    }
    if (held > 0) take(context, buffer, held);
    close(fd);
    errno = saved;
    return ACRE_OK;
}

size_t acre_read_file(const char *path, char *buffer, size_t size)
{
    const int saved = errno;
    size_t length = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        for (ssize_t got; length < size; length += (size_t)got) {
            got = read(fd, buffer + length, size - length);
            if (got <= 0) break;
        }
        close(fd);
    }
    errno = saved;
    return length;
}

size_t acre_read_link(const char *path, char *buffer, size_t size)
{
    const int saved = errno;
    const ssize_t length = readlink(path, buffer, size);
    errno = saved;
    return length < 0 ? 0 : (size_t)length;
}

bool acre_is_mapped(uintptr_t address, size_t length)
{
    enum { PAGE_COUNT_MAX = 64 };
    unsigned char residency[PAGE_COUNT_MAX];
    const uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = address & ~(page_bytes - 1);
    const uintptr_t end = (address + length + page_bytes - 1) & ~(page_bytes - 1);
    if (end <= first || (end - first) / page_bytes > PAGE_COUNT_MAX) return false;

    const int saved = errno;
    const bool is_mapped = mincore((void *)first, end - first, residency) == 0;
    errno = saved;
    return is_mapped;
}

uint32_t acre_parent_process_id(void) { return (uint32_t)getppid(); }
uint32_t acre_thread_id(void) { return (uint32_t)syscall(SYS_gettid); }
