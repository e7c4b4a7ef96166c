/* status.h - how acre's own code reports a failure: `return acre_fail(ACRE_INVALID, "pool '%s': ...", name);` The conversions are those of
 * base/format.h. */
#ifndef ACRE_BASE_STATUS_H
#define ACRE_BASE_STATUS_H

#include <acre/status.h>

#endif
