/* segment.h - memory by name that processes of one user share, a lock in it that survives the death of its holder, and whether a process
 * that left its mark there is still the same one, and still running. */
#ifndef ACRE_OS_SEGMENT_H
#define ACRE_OS_SEGMENT_H

#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct acre_segment {
    int descriptor;
    void *memory;
    size_t bytes; /* 0: nobody has laid it out */
    char path[176];
} acre_segment;

/* Opens or makes the segment, and keeps others from opening it until acre_segment_unlock. What is there is mapped. ACRE_UNSUPPORTED: the
 * system has no such memory. ACRE_INVALID: it is another user's. */
acre_status acre_segment_open(acre_segment *segment, const char *name);

/* Gives it another size, all zeros. While it is locked, and nobody else has it. ACRE_NO_MEMORY: there is no room, and its size is 0. */
acre_status acre_segment_lay_out(acre_segment *segment, size_t bytes);

void acre_segment_unlock(const acre_segment *segment);

/* `is_last`: nobody else has it, and it goes. While it is locked, which ends. */
void acre_segment_close(acre_segment *segment, bool is_last);

/* Locks it again, for acre_segment_close. */
void acre_segment_lock(const acre_segment *segment);

/* ---- the lock ---- */

typedef enum acre_shared_lock_result { ACRE_SHARED_LOCK_TAKEN, ACRE_SHARED_LOCK_ORPHANED, ACRE_SHARED_LOCK_LATE } acre_shared_lock_result;

/* In memory that processes share. False: the system has no such lock. */
bool acre_shared_lock_init(pthread_mutex_t *lock);

/* Waits for `wait_ms` at most. ORPHANED: it is the caller's, whose holder before ended with it. */
acre_shared_lock_result acre_shared_lock_take(pthread_mutex_t *lock, uint32_t wait_ms);

/* After ORPHANED, when what the lock guards is in order again. */
void acre_shared_lock_mend(pthread_mutex_t *lock);
void acre_shared_lock_give(pthread_mutex_t *lock);

/* ---- processes ---- */

/* A program that runs: another one in the same process, by exec, is another. */
typedef struct acre_process {
    uint64_t id, start_time, stack;
} acre_process;

bool acre_process_self(acre_process *self);

/* UNKNOWN: it is about to end, or only its first thread has, or it cannot be seen. Of one that is RUNNING the kernel has not closed any
 * files yet because it ends. */
typedef enum acre_process_state { ACRE_PROCESS_RUNNING, ACRE_PROCESS_ENDED, ACRE_PROCESS_UNKNOWN } acre_process_state;
acre_process_state acre_process_look(const acre_process *process);

#endif
