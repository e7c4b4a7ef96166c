/* os.h - everything acre asks of an operating system. The only room with system calls and platform #ifdefs.
 *
 * linux.c implements it for Linux; freestanding.c for a machine without an operating system, where pages come from
 * nowhere (every acre_os_pages_* fails) and a lock spins. All functions are thread safe and none of them allocates.
 */
#ifndef ACRE_OS_OS_H
#define ACRE_OS_OS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- pages ---- */

size_t acre_os_page_size(void);

/* Bytes of address space that the process may still take, UINT64_MAX when nothing limits it (RLIMIT_AS). */
uint64_t acre_os_address_space_limit(void);

/* Bytes of memory that the machine has, 0 when nobody knows. */
uint64_t acre_os_memory_of_machine(void);

/* Resident memory of the process, and the least of what machine, cgroup and limits let it have; bytes. */
acre_status acre_os_memory_budget(uint64_t *used_bytes, uint64_t *limit_bytes);

/* How much of the last ten seconds somebody waited for memory, in the control group of the process or on the machine; percent. 0
 * when the kernel does not tell. */
unsigned acre_os_memory_pressure(void);

/* Address space without memory: touching it is a fault. `alignment` is a power of two >= the page size. */
acre_status acre_os_reserve(size_t size, size_t alignment, void **address);
acre_status acre_os_release(void *address, size_t size);

/* Makes a range that is reserved new: no memory behind it, no access, no advice. */
acre_status acre_os_reserve_again(void *address, size_t size);

typedef enum acre_os_access { ACRE_OS_NONE, ACRE_OS_READ, ACRE_OS_READ_WRITE, ACRE_OS_READ_EXECUTE, ACRE_OS_ALL } acre_os_access;
acre_status acre_os_protect(void *address, size_t size, acre_os_access access);

/* Gives the memory behind private pages back; they read as zero afterwards. */
acre_status acre_os_purge(void *address, size_t size);
/* The same for `count` pieces, in as few calls of the system as it takes. The first failure; the other pieces are tried all the same. */
acre_status acre_os_purge_pieces(void *const *pieces, size_t count, size_t piece_bytes);

/* Of a reserved range, makes [begin, begin + bytes) usable, which reads as zero, and leaves the rest without access; and takes access and
 * memory away from all of it. By markers in the page table where the kernel has them (MADV_GUARD_INSTALL, Linux 6.13), so that the range
 * remains one mapping; else by protection. `is_fresh`: the range was never opened. */
acre_status acre_os_open_guarded(void *range, size_t size, void *begin, size_t bytes, bool is_fresh);
acre_status acre_os_close_guarded(void *range, size_t size);

/* Moves the pages of private anonymous memory to another reserved place; the old place reads as zero afterwards. */
acre_status acre_os_move_pages(void *from, void *to, size_t size);

typedef enum acre_os_advice {
    ACRE_OS_HUGE,       /* use huge pages here */
    ACRE_OS_NO_HUGE,    /* never use huge pages here */
    ACRE_OS_SEQUENTIAL, /* read in order, soon */
    ACRE_OS_RANDOM,     /* read in no order */
    ACRE_OS_WILL_NEED,  /* bring it in */
    ACRE_OS_COLD,       /* first candidate for reclaim */
    ACRE_OS_PAGE_OUT,   /* reclaim it */
} acre_os_advice;
acre_status acre_os_advise(void *address, size_t size, acre_os_advice advice);

/* Binds pages to a NUMA node. ACRE_UNSUPPORTED where the kernel has none. */
acre_status acre_os_bind_node(void *address, size_t size, unsigned node);

/* ---- files and shared memory, by descriptor ---- */

acre_status acre_os_open_file(const char *path, uint64_t size, int *descriptor);
acre_status acre_os_open_shared(const char *name, uint64_t size, int *descriptor); /* memfd */
acre_status acre_os_open_secret(uint64_t size, int *descriptor);                   /* memfd_secret */
acre_status acre_os_map_shared(int descriptor, uint64_t size, void **address);
acre_status acre_os_map_shared_at(int descriptor, uint64_t offset, uint64_t size, void *address); /* in place of what is mapped there */
acre_status acre_os_fill_hole(int descriptor, uint64_t offset, uint64_t size); /* makes sure that a write finds room */
acre_status acre_os_punch_hole(int descriptor, uint64_t offset, uint64_t size);
acre_status acre_os_flush(void *address, size_t size); /* msync: returns when the bytes are durable */
void acre_os_close(int descriptor);

/* ---- time ---- */

uint64_t acre_os_now_ns(void); /* monotonic */
void acre_os_sleep_ns(uint64_t duration_ns);

/* ---- threads ---- */

/* A lock of one word: free to take without a system call when nobody holds it. Not recursive. Zero is unlocked. */
typedef struct acre_lock {
    uint32_t state; /* 0 free, 1 held, 2 held and somebody sleeps on it */
} acre_lock;

void acre_lock_wait(acre_lock *lock); /* the slow path of acre_lock_take */
void acre_lock_wake(acre_lock *lock); /* the slow path of acre_lock_drop */

static inline bool acre_lock_try(acre_lock *lock)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(&lock->state, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void acre_lock_take(acre_lock *lock)
{
    if (!acre_lock_try(lock)) acre_lock_wait(lock);
}

static inline void acre_lock_drop(acre_lock *lock)
{
    if (__atomic_exchange_n(&lock->state, 0, __ATOMIC_RELEASE) == 2) acre_lock_wake(lock);
}

/* Sleeps until acre_os_wake on the same word, or `timeout_ns` have passed; returns at once when `*word` is not `seen`.
 * May return early. */
void acre_os_wait(uint32_t *word, uint32_t seen, uint64_t timeout_ns);
void acre_os_wake(uint32_t *word);

/* True while the process has never had a second thread; false also where nobody knows. May turn false only inside the calling
 * thread itself. */
#if __STDC_HOSTED__ && defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
#include <sys/single_threaded.h>
static inline bool acre_os_is_single_threaded(void) { return __libc_single_threaded; }
#else
static inline bool acre_os_is_single_threaded(void) { return false; }
#endif

/* A place from which thread-local variables of the initial-exec kind lie at the same distance in every thread: the thread pointer where the
 * compiler gives it, else `variable`, which is one of them. */
#if defined(__x86_64__) && defined(__has_builtin)
#if __has_builtin(__builtin_thread_pointer)
#define ACRE_OS_HAS_THREAD_POINTER
#endif
#endif
static inline char *acre_os_thread_base(void *variable)
{
#ifdef ACRE_OS_HAS_THREAD_POINTER
    (void)variable;
    return __builtin_thread_pointer();
#else
    return variable;
#endif
}

/* Starts a detached thread that runs `work(argument)` with every signal blocked. */
acre_status acre_os_start_thread(void (*work)(void *), void *argument);

/* `at_exit(argument)` runs when the calling thread ends, if `argument` was set (not NULL) for this thread. */
typedef unsigned acre_os_thread_key;
acre_status acre_os_thread_key_create(acre_os_thread_key *key, void (*at_exit)(void *));
acre_status acre_os_thread_key_set(acre_os_thread_key key, void *argument);

/* The three run around every fork of the process, in the thread that forks. */
acre_status acre_os_at_fork(void (*before)(void), void (*in_parent)(void), void (*in_child)(void));

/* ---- the process ---- */

/* NULL when unset, and for a program that runs with raised rights (setuid). */
const char *acre_os_environment(const char *name);

uint64_t acre_os_process_id(void);

/* From now on `fault` hears of every access to memory that is refused, in a signal handler, before what was set for the signal happens.
 * `access`: 'r', 'w', or '?' where the processor does not tell. */
acre_status acre_os_on_fault(void (*fault)(uintptr_t address, char access));

/* What a handler of SIGSEGV or SIGBUS was given: where the access was, from which instruction, and of which kind ('r', 'w', 'x', '?').
 * False: somebody sent the signal. */
bool acre_os_read_trap(const void *info, const void *context, uintptr_t *address, uintptr_t *pc, char *access);

/* Appends text to a file, which is made if need be, in one write. */
acre_status acre_os_append(const char *path, const char *text, size_t length);

/* Writes to standard error without buffering; for messages in places where stdio may not be called. */
void acre_os_write_error(const char *text, size_t length);

/* Writes the text as one line on standard error and aborts. */
_Noreturn void acre_os_abort(const char *format, ...) ACRE_PRINTF(1, 2);

#endif
