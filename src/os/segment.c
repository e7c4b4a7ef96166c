/* segment.c - a file in /dev/shm, its flock, robust mutexes, /proc/ID/stat. */
#include "os/segment.h"

#include "os/shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static acre_status fail(const acre_segment *segment, const char *what, int error)
{
    const acre_status status = error == ENOSPC || error == ENOMEM || error == EFBIG ? ACRE_NO_MEMORY : ACRE_UNSUPPORTED;
    return acre_fail(status, "shared memory '%s': %s failed (errno %d)", segment->path, what, error);
}

void acre_segment_lock(const acre_segment *segment)
{
    while (flock(segment->descriptor, LOCK_EX) != 0 && errno == EINTR) {}
}

void acre_segment_unlock(const acre_segment *segment) { (void)flock(segment->descriptor, LOCK_UN); }

static acre_status map(acre_segment *segment, size_t bytes)
{
    segment->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, segment->descriptor, 0);
    segment->bytes = segment->memory == MAP_FAILED ? 0 : bytes;
    return segment->memory == MAP_FAILED ? fail(segment, "mmap", errno) : ACRE_OK;
}

acre_status acre_segment_open(acre_segment *segment, const char *name)
{
    struct stat facts = {0};
    *segment = (acre_segment){.descriptor = -1};
    /* Processes that do not see each other in /proc must not meet here. */
    struct stat of_processes;
    if (stat("/proc/self/ns/pid", &of_processes) != 0)
        return acre_fail(ACRE_UNSUPPORTED, "shared memory '%s': there is no /proc (errno %d)", name, errno);
    (void)snprintf(segment->path, sizeof segment->path, "/dev/shm/acre-%u-%llx-%s", (unsigned)geteuid(),
                   (unsigned long long)of_processes.st_ino, name);
    /* The last one to close it takes it away: whoever has opened that file meanwhile has waited in vain. */
    do {
        if (segment->descriptor >= 0) (void)close(segment->descriptor);
        segment->descriptor = open(segment->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (segment->descriptor < 0) return fail(segment, "open", errno);
        acre_segment_lock(segment);
        if (fstat(segment->descriptor, &facts) != 0) facts.st_nlink = 1;
    } while (facts.st_nlink == 0);
    acre_status status = ACRE_OK;
    if (!S_ISREG(facts.st_mode) || facts.st_uid != geteuid() || (facts.st_mode & 077) != 0)
        status = acre_fail(ACRE_INVALID, "shared memory '%s': it is another user's, or others may write to it", segment->path);
    else if (facts.st_size > 0)
        status = map(segment, (size_t)facts.st_size);
    if (status != ACRE_OK) (void)close(segment->descriptor);
    return status;
}

acre_status acre_segment_lay_out(acre_segment *segment, size_t bytes)
{
    if (segment->bytes > 0) (void)munmap(segment->memory, segment->bytes);
    segment->bytes = 0;
    if (ftruncate(segment->descriptor, 0) != 0) return fail(segment, "ftruncate", errno);
    /* A touch of memory that the file system does not have is fatal: all of it is taken now. */
    const int error = posix_fallocate(segment->descriptor, 0, (off_t)bytes);
    if (error == 0) return map(segment, bytes);
    (void)!ftruncate(segment->descriptor, 0);
    return fail(segment, "taking its room", error);
}

void acre_segment_close(acre_segment *segment, bool is_last)
{
    if (is_last) (void)unlink(segment->path);
    if (segment->bytes > 0) (void)munmap(segment->memory, segment->bytes);
    (void)close(segment->descriptor);
    *segment = (acre_segment){.descriptor = -1};
}

/* ---- the lock ---- */

bool acre_shared_lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t kind;
    if (pthread_mutexattr_init(&kind) != 0) return false;
    const bool is_made = pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0 &&
                         pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0 && pthread_mutex_init(lock, &kind) == 0;
    (void)pthread_mutexattr_destroy(&kind);
    return is_made;
}

acre_shared_lock_result acre_shared_lock_take(pthread_mutex_t *lock, uint32_t wait_ms)
{
    int error = pthread_mutex_trylock(lock);
    if (error == EBUSY) {
        struct timespec end;
        (void)clock_gettime(CLOCK_REALTIME, &end);
        const uint64_t ns = (uint64_t)end.tv_nsec + (uint64_t)wait_ms * 1000000;
        end.tv_sec += (time_t)(ns / 1000000000);
        end.tv_nsec = (long)(ns % 1000000000);
        error = pthread_mutex_timedlock(lock, &end);
    }
    return error == 0 ? ACRE_SHARED_LOCK_TAKEN : error == EOWNERDEAD ? ACRE_SHARED_LOCK_ORPHANED : ACRE_SHARED_LOCK_LATE;
}

void acre_shared_lock_mend(pthread_mutex_t *lock) { (void)pthread_mutex_consistent(lock); }
void acre_shared_lock_give(pthread_mutex_t *lock) { (void)pthread_mutex_unlock(lock); }

/* ---- processes ---- */

/* Fields of /proc/ID/stat, counted as in proc(5): from the third on, behind the name in brackets. */
enum { STATE = 3, FLAGS = 9, THREAD_COUNT = 20, START_TIME = 22, START_STACK = 28, FIELD_COUNT = 29 };
#define FLAG_EXITING 4u /* PF_EXITING: set before the process closes its files */

static bool read_fields(uint64_t id, uint64_t *fields)
{
    char path[40], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)id);
    text[acre_read_file(path, text, sizeof text - 1)] = 0;
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ') return false;
    at += 2;
    fields[STATE] = (unsigned char)*at++;
    for (unsigned i = STATE + 1; i < FIELD_COUNT; i++) {
        char *rest;
        fields[i] = strtoull(at, &rest, 10); /* some are negative, none of ours */
        if (rest == at) return false;
        at = rest;
    }
    return true;
}

bool acre_process_self(acre_process *self)
{
    uint64_t fields[FIELD_COUNT];
    const uint64_t id = (uint64_t)getpid();
    if (!read_fields(id, fields)) return false;
    *self = (acre_process){id, fields[START_TIME], fields[START_STACK]};
    return true;
}

acre_process_state acre_process_look(const acre_process *process)
{
    uint64_t fields[FIELD_COUNT];
    if (process->id == 0) return ACRE_PROCESS_ENDED;
    if (!read_fields(process->id, fields))
        return kill((pid_t)process->id, 0) != 0 && errno == ESRCH ? ACRE_PROCESS_ENDED : ACRE_PROCESS_UNKNOWN;
    if (fields[START_TIME] != process->start_time) return ACRE_PROCESS_ENDED;
    if (fields[STATE] == 'Z' && fields[THREAD_COUNT] <= 1) return ACRE_PROCESS_ENDED;
    if (fields[STATE] == 'Z' || fields[STATE] == 'X' || (fields[FLAGS] & FLAG_EXITING) != 0 || fields[START_STACK] == 0)
        return ACRE_PROCESS_UNKNOWN;
    return fields[START_STACK] == process->stack ? ACRE_PROCESS_RUNNING : ACRE_PROCESS_ENDED;
}
