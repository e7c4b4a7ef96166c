/* fault.h - where acre's own code reports a caller's bug. */
#ifndef ACRE_GUARD_FAULT_H
#define ACRE_GUARD_FAULT_H

#include <acre/guard.h>

/* Describes the fault to the handler. Returns only when the handler lets the program go on. Call it with no lock held. */
void acre_fault_report(const acre_fault *fault);

/* The same, where the program ends in another way: returns in any case. */
void acre_fault_announce(const acre_fault *fault);

/* What a process with an operating system adds; any may be NULL. Set before threads start. */
typedef struct acre_fault_hooks {
    void (*capture)(acre_site *site);                        /* the stack of the caller */
    size_t (*name)(const void *pc, char *text, size_t size); /* writes what a return address belongs to; 0: it is to be left out */
    void (*record)(const acre_fault *fault);                 /* every fault, before the handler */
} acre_fault_hooks;

extern acre_fault_hooks acre_fault_hooks_of_process;

#endif
