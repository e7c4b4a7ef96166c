/* status.c - see acre/status.h. The sentence lives in thread-local storage, so that a failure never allocates. */
#include "base/status.h"
#include "base/format.h"

#include <stddef.h>

enum { SENTENCE_SIZE_BYTES = 240 };

#if defined(__STDC_HOSTED__) && __STDC_HOSTED__
#define PER_THREAD _Thread_local
#else
#define PER_THREAD /* one thread of execution */
#endif

static PER_THREAD char last_sentence[SENTENCE_SIZE_BYTES];
static PER_THREAD acre_status last_status;

static const char *const texts[ACRE_STATUS_COUNT] = {
    [ACRE_OK] = "ok",
    [ACRE_NO_MEMORY] = "out of memory",
    [ACRE_INVALID] = "invalid argument",
    [ACRE_BAD_POINTER] = "bad pointer",
    [ACRE_OUT_OF_BOUNDS] = "out of bounds",
    [ACRE_DENIED] = "denied",
    [ACRE_BORROWED] = "borrowed",
    [ACRE_MOVED] = "moved",
    [ACRE_BUSY] = "busy",
    [ACRE_TIMEOUT] = "timeout",
    [ACRE_UNSUPPORTED] = "unsupported",
    [ACRE_IO] = "input/output error",
    [ACRE_CORRUPT] = "corrupt",
    [ACRE_BREACH] = "contract broken",
    [ACRE_UNREACHABLE] = "unreachable",
};

const char *acre_status_text(acre_status status)
{
    if ((unsigned)status >= ACRE_STATUS_COUNT) return "unknown status";
    return texts[status];
}

const char *acre_last_error(void) { return last_sentence; }

acre_status acre_last_status(void) { return last_status; }

acre_status acre_fail(acre_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)acre_format_list(last_sentence, sizeof last_sentence, format, arguments);
    va_end(arguments);
    last_status = status;
    return status;
}
