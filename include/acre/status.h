/* status.h - the one error type of acre.
 *
 * Every function that can fail returns an acre_status (or NULL, with errno set, in the malloc family). Besides the
 * code, each thread keeps the sentence of its last failure, with the names and values in it:
 *
 *     if (acre_space_commit(space, at, size) != ACRE_OK) puts(acre_last_error());
 *     -> space 'pages': commit of 65536 bytes at 0x7f0000004000: out of memory (errno 12)
 *
 * Example: examples/space.c.
 */
#ifndef ACRE_STATUS_H
#define ACRE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ACRE_API __attribute__((visibility("default")))
#define ACRE_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#define ACRE_MUST_USE __attribute__((warn_unused_result))
#define ACRE_SELDOM __attribute__((cold)) /* seldom called: what leads there is laid out as the exception */
#else
#define ACRE_API
#define ACRE_PRINTF(format_index, first_argument)
#define ACRE_MUST_USE
#define ACRE_SELDOM
#endif

typedef enum acre_status {
    ACRE_OK = 0,
    ACRE_NO_MEMORY,     /* the space, the budget or the meta space is exhausted; nothing was changed */
    ACRE_INVALID,       /* an argument is outside its documented range; nothing was changed */
    ACRE_BAD_POINTER,   /* not an address of ours, not the start of a block, or freed already */
    ACRE_OUT_OF_BOUNDS, /* an access past the block that it belongs to */
    ACRE_DENIED,        /* the caller has no right to do that */
    ACRE_BORROWED,      /* somebody still holds a reference */
    ACRE_MOVED,         /* the block lives elsewhere by now */
    ACRE_BUSY,          /* in use; try again later */
    ACRE_TIMEOUT,       /* the time given was not enough */
    ACRE_UNSUPPORTED,   /* the capability bit of this operation is not set */
    ACRE_IO,            /* the operating system or the device failed; the sentence has its error number */
    ACRE_CORRUPT,       /* data read back is not what was written */
    ACRE_BREACH,        /* a contract is broken */
    ACRE_UNREACHABLE,   /* a node does not answer */
} acre_status;

#define ACRE_STATUS_COUNT (ACRE_UNREACHABLE + 1)

/* The name of a status in words, for example "out of memory". Never NULL: an unknown number gives "unknown status".
 * Thread safe. O(1). */
ACRE_API const char *acre_status_text(acre_status status);

/* The sentence of the calling thread's last failure, "" if there was none. Valid until the thread's next failure.
 * A success does not clear it. Thread safe. O(1). */
ACRE_API const char *acre_last_error(void);

/* The status that belongs to acre_last_error(), ACRE_OK if there was none. Thread safe. O(1). */
ACRE_API acre_status acre_last_status(void);

/* For libraries that are built on acre: keeps the sentence for acre_last_error() of this thread, and returns `status`. Conversions: %s %c
 * %d %u %x %zu %zx %lld %llu %llx %p %%, without widths or flags. Thread safe. O(length). */
ACRE_API acre_status acre_fail(acre_status status, const char *format, ...) ACRE_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
