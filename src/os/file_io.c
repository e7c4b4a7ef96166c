/* file_io.c - files by preadv and pwritev, and a ring by the three system calls of io_uring, without liburing.
 *
 * The kernel and we share two rings of entries. We write the tail of the submission ring and the head of the completion ring, each with
 * release, after the entries it speaks of were written or read; the kernel does the same on its sides. */
#include "os/file_io.h"
#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(acre_os_part) == sizeof(struct iovec), "a part is an iovec");
_Static_assert(offsetof(acre_os_part, size_bytes) == offsetof(struct iovec, iov_len), "a part is an iovec");

acre_status acre_file_status(int system_error)
{
    if (system_error == 0) return ACRE_OK;
    return system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG ? ACRE_NO_MEMORY : ACRE_IO;
}

bool acre_file_is_interrupted(int system_error) { return system_error == EINTR || system_error == EAGAIN || system_error == ECANCELED; }

acre_status acre_file_open(const char *path, bool *is_direct, int *descriptor)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC;
    int file = -1;
    if (*is_direct) {
        file = open(path, flags | O_DIRECT, 0600);
        if (file < 0 && errno == EINVAL) *is_direct = false;
    }
    if (!*is_direct) file = open(path, flags, 0600);
    if (file < 0) return acre_fail(ACRE_IO, "%s: cannot be opened (errno %d)", path, errno);
    *descriptor = file;
    return ACRE_OK;
}

acre_status acre_file_open_unnamed(const char *folder, uint64_t bytes, int *descriptor)
{
    const int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) return acre_fail(ACRE_IO, "%s: no file without a name can be made there (errno %d)", folder, errno);
    if (ftruncate(file, (off_t)bytes) != 0) {
        const int error = errno;
        (void)close(file);
        return acre_fail(ACRE_IO, "%s: a file of %llu bytes cannot be made there (errno %d)", folder, (unsigned long long)bytes, error);
    }
    *descriptor = file;
    return ACRE_OK;
}

uint64_t acre_file_move(int descriptor, bool is_write, const acre_os_part *parts, unsigned part_count, uint64_t offset, uint64_t done_bytes,
                        int *error)
{
    *error = 0;
    for (;;) {
        struct iovec left[ACRE_OS_PARTS_MAX];
        unsigned count = 0;
        uint64_t skipped = done_bytes;
        for (unsigned i = 0; i < part_count && i < ACRE_OS_PARTS_MAX; i++) {
            if (skipped >= parts[i].size_bytes) {
                skipped -= parts[i].size_bytes;
                continue;
            }
            left[count].iov_base = (char *)parts[i].bytes + skipped;
            left[count++].iov_len = parts[i].size_bytes - (size_t)skipped;
            skipped = 0;
        }
        if (count == 0) return done_bytes;
        const off_t at = (off_t)(offset + done_bytes);
        const ssize_t moved = is_write ? pwritev(descriptor, left, (int)count, at) : preadv(descriptor, left, (int)count, at);
        if (moved < 0 && errno == EINTR) continue;
        if (moved < 0) {
            *error = errno;
            return done_bytes;
        }
        if (moved == 0) {
            if (is_write) *error = ENOSPC;
            return done_bytes;
        }
        done_bytes += (uint64_t)moved;
        uint64_t end = 0; /* a direct read from an end that is not aligned would be refused */
        if (!is_write && acre_file_size(descriptor, &end) == ACRE_OK && offset + done_bytes >= end) return done_bytes;
    }
}

int acre_file_flush(int descriptor) { return fdatasync(descriptor) == 0 ? 0 : errno; }

acre_status acre_file_size(int descriptor, uint64_t *bytes)
{
    const off_t end = lseek(descriptor, 0, SEEK_END); /* also right for block devices */
    if (end < 0) return acre_fail(ACRE_IO, "size of a file: cannot be told (errno %d)", errno);
    *bytes = (uint64_t)end;
    return ACRE_OK;
}

acre_status acre_file_resize(int descriptor, uint64_t bytes)
{
    if (ftruncate(descriptor, (off_t)bytes) == 0) return ACRE_OK;
    const int code = errno;
    const acre_status status = code == EINVAL ? ACRE_UNSUPPORTED : acre_file_status(code);
    return acre_fail(status, "a file cannot be made %llu bytes long (errno %d)", (unsigned long long)bytes, code);
}

/* ---- a ring ---- */

static int ring_setup(unsigned depth, struct io_uring_params *parameters) { return (int)syscall(SYS_io_uring_setup, depth, parameters); }

static int ring_register(const acre_ring *ring, unsigned what, const void *argument, unsigned count)
{
    return (int)syscall(SYS_io_uring_register, ring->descriptor, what, argument, count);
}

static int ring_enter(const acre_ring *ring, unsigned submit_count, unsigned wait_count, unsigned flags, const void *argument, size_t size)
{
    return (int)syscall(SYS_io_uring_enter, ring->descriptor, submit_count, wait_count, flags, argument, size);
}

/* The file, and a table of memory with nothing in it, so that entries can be set while requests are in flight (Linux 5.19). */
static void ring_register_all(acre_ring *ring)
{
    ring->has_fixed_file = ring_register(ring, IORING_REGISTER_FILES, &ring->file, 1) == 0;
    struct io_uring_rsrc_register table;
    memset(&table, 0, sizeof table);
    table.nr = ACRE_RING_MEMORY_MAX;
    table.flags = IORING_RSRC_REGISTER_SPARSE;
    ring->has_memory_table = ring_register(ring, IORING_REGISTER_BUFFERS2, &table, sizeof table) == 0;
}

acre_status acre_ring_open(acre_ring *ring, unsigned depth, int file)
{
    memset(ring, 0, sizeof *ring);
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    parameters.flags = IORING_SETUP_CLAMP;
    ring->descriptor = ring_setup(depth, &parameters);
    if (ring->descriptor < 0) return acre_fail(ACRE_UNSUPPORTED, "io_uring: the system grants none (errno %d)", errno);
    const unsigned needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
    if ((parameters.features & needed) != needed) {
        close(ring->descriptor);
        return acre_fail(ACRE_UNSUPPORTED, "io_uring: needs Linux 5.11 or later (features %x)", (unsigned)parameters.features);
    }
    const size_t sq_bytes = parameters.sq_off.array + parameters.sq_entries * sizeof(uint32_t);
    const size_t cq_bytes = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    ring->rings_bytes = acre_max_size(sq_bytes, cq_bytes);
    ring->sqes_bytes = parameters.sq_entries * sizeof(struct io_uring_sqe);
    const int access = PROT_READ | PROT_WRITE;
    ring->rings = mmap(NULL, ring->rings_bytes, access, MAP_SHARED | MAP_POPULATE, ring->descriptor, IORING_OFF_SQ_RING);
    ring->sqes = mmap(NULL, ring->sqes_bytes, access, MAP_SHARED | MAP_POPULATE, ring->descriptor, (off_t)IORING_OFF_SQES);
    if (ring->rings == MAP_FAILED || ring->sqes == MAP_FAILED) {
        if (ring->rings != MAP_FAILED) (void)munmap(ring->rings, ring->rings_bytes);
        if (ring->sqes != MAP_FAILED) (void)munmap(ring->sqes, ring->sqes_bytes);
        close(ring->descriptor);
        return acre_fail(ACRE_NO_MEMORY, "io_uring: its rings cannot be mapped (errno %d)", errno);
    }
    char *const base = ring->rings;
    ring->sq_head = (uint32_t *)(void *)(base + parameters.sq_off.head);
    ring->sq_tail_shared = (uint32_t *)(void *)(base + parameters.sq_off.tail);
    ring->sq_array = (uint32_t *)(void *)(base + parameters.sq_off.array);
    ring->cq_head = (uint32_t *)(void *)(base + parameters.cq_off.head);
    ring->cq_tail = (uint32_t *)(void *)(base + parameters.cq_off.tail);
    ring->cqes = base + parameters.cq_off.cqes;
    ring->sq_mask = parameters.sq_entries - 1;
    ring->cq_mask = parameters.cq_entries - 1;
    ring->depth = parameters.sq_entries;
    ring->file = file;
    for (uint32_t i = 0; i < parameters.sq_entries; i++) ring->sq_array[i] = i;
    ring_register_all(ring);
    return ACRE_OK;
}

void acre_ring_close(acre_ring *ring)
{
    (void)munmap(ring->sqes, ring->sqes_bytes);
    (void)munmap(ring->rings, ring->rings_bytes);
    close(ring->descriptor);
    ring->descriptor = -1;
}

/* The piece of memory that has all of a part, or -1. */
static int memory_of(const acre_ring *ring, const acre_os_part *part)
{
    const uintptr_t begin = (uintptr_t)part->bytes;
    for (unsigned i = 0; i < ring->memory_count; i++)
        if (begin >= ring->memory[i].begin && part->size_bytes <= ring->memory[i].end - begin && begin < ring->memory[i].end) return (int)i;
    return -1;
}

bool acre_ring_push(acre_ring *ring, acre_ring_verb verb, const acre_os_part *parts, unsigned part_count, uint64_t offset, void *tag)
{
    if (ring->sq_tail - __atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE) >= ring->depth) return false;
    struct io_uring_sqe *const entry = (struct io_uring_sqe *)ring->sqes + (ring->sq_tail & ring->sq_mask);
    memset(entry, 0, sizeof *entry);
    entry->fd = ring->has_fixed_file ? 0 : ring->file;
    entry->flags = ring->has_fixed_file ? IOSQE_FIXED_FILE : 0;
    entry->user_data = (uintptr_t)tag;
    if (verb == ACRE_RING_FLUSH) {
        entry->opcode = IORING_OP_FSYNC;
        entry->fsync_flags = IORING_FSYNC_DATASYNC;
    } else {
        const int memory = part_count == 1 ? memory_of(ring, parts) : -1;
        entry->off = offset;
        if (memory >= 0) {
            entry->opcode = verb == ACRE_RING_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
            entry->addr = (uintptr_t)parts->bytes;
            entry->len = (uint32_t)parts->size_bytes;
            entry->buf_index = (uint16_t)memory;
        } else {
            entry->opcode = verb == ACRE_RING_READ ? IORING_OP_READV : IORING_OP_WRITEV;
            entry->addr = (uintptr_t)parts;
            entry->len = part_count;
        }
    }
    ring->sq_tail++;
    ring->unsubmitted_count++;
    return true;
}

bool acre_ring_submit(acre_ring *ring)
{
    __atomic_store_n(ring->sq_tail_shared, ring->sq_tail, __ATOMIC_RELEASE);
    while (ring->unsubmitted_count > 0) {
        const int taken = ring_enter(ring, ring->unsubmitted_count, 0, 0, NULL, 0);
        if (taken < 0 && errno == EINTR) continue;
        if (taken <= 0) return false;
        ring->unsubmitted_count -= (unsigned)taken;
    }
    return true;
}

unsigned acre_ring_reap(acre_ring *ring, acre_ring_result *results, unsigned count)
{
    uint32_t head = __atomic_load_n(ring->cq_head, __ATOMIC_RELAXED);
    const uint32_t tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
    unsigned found = 0;
    for (; head != tail && found < count; head++, found++) {
        const struct io_uring_cqe *const entry = (const struct io_uring_cqe *)ring->cqes + (head & ring->cq_mask);
        results[found].tag = (void *)(uintptr_t)entry->user_data;
        results[found].result = entry->res;
    }
    __atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
    return found;
}

void acre_ring_wait(acre_ring *ring, uint64_t wait_ns)
{
    const struct __kernel_timespec limit = {.tv_sec = (long long)(wait_ns / 1000000000u), .tv_nsec = (long long)(wait_ns % 1000000000u)};
    struct io_uring_getevents_arg argument;
    memset(&argument, 0, sizeof argument);
    argument.ts = (uintptr_t)&limit;
    (void)ring_enter(ring, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument, sizeof argument);
}

static bool set_memory(acre_ring *ring, unsigned at, void *memory, size_t bytes)
{
    const struct iovec piece = {.iov_base = memory, .iov_len = bytes};
    const uint64_t tag = 0;
    struct io_uring_rsrc_update2 update;
    memset(&update, 0, sizeof update);
    update.offset = at;
    update.data = (uintptr_t)&piece;
    update.tags = (uintptr_t)&tag;
    update.nr = 1;
    return ring_register(ring, IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof update) == 1;
}

acre_status acre_ring_use_memory(acre_ring *ring, void *memory, size_t bytes)
{
    if (memory == NULL) {
        while (ring->memory_count > 0) (void)set_memory(ring, --ring->memory_count, NULL, 0);
        return ACRE_OK;
    }
    if (!ring->has_memory_table) return acre_fail(ACRE_UNSUPPORTED, "io_uring: memory is registered from Linux 5.19 on");
    if (ring->memory_count == ACRE_RING_MEMORY_MAX)
        return acre_fail(ACRE_INVALID, "io_uring: at most %d pieces of memory", (int)ACRE_RING_MEMORY_MAX);
    if (!set_memory(ring, ring->memory_count, memory, bytes))
        return acre_fail(acre_file_status(errno), "io_uring: %zu bytes of memory cannot be registered (errno %d)", bytes, errno);
    ring->memory[ring->memory_count].begin = (uintptr_t)memory;
    ring->memory[ring->memory_count++].end = (uintptr_t)memory + bytes;
    return ACRE_OK;
}
