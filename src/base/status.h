/* status.h - how acre's own code reports a failure: `return acre_fail(ACRE_INVALID, "pool '%s': ...", name);` */
#ifndef ACRE_BASE_STATUS_H
#define ACRE_BASE_STATUS_H

#include <acre/status.h>

/* Keeps the sentence for acre_last_error() of this thread and returns `status`. Conversions: see base/format.h. */
acre_status acre_fail(acre_status status, const char *format, ...) ACRE_PRINTF(2, 3);

#endif
