/* fault.h - where acre's own code reports a caller's bug. */
#ifndef ACRE_GUARD_FAULT_H
#define ACRE_GUARD_FAULT_H

#include <acre/guard.h>

/* Describes the fault to the handler. Returns only when the handler lets the program go on. Call it with no lock held. */
void acre_fault_report(const acre_fault *fault);

#endif
