/* fault_probe.h - who could serve page faults in this process, as the system says: nothing is set up, and nothing is left open. */
#ifndef ACRE_OS_FAULT_PROBE_H
#define ACRE_OS_FAULT_PROBE_H

#include <stdint.h>

/* What acre_os_fault_service finds, as bits. */
typedef enum acre_fault_service {
    ACRE_FAULT_SIGNAL = 1 << 0,         /* a handler of SIGSEGV gets refused accesses */
    ACRE_FAULT_USERFAULTFD = 1 << 1,    /* threads wait until a page is there: faults of the program itself */
    ACRE_FAULT_KERNEL = 1 << 2,         /* those of system calls as well, such as read(2) into the memory */
    ACRE_FAULT_DEVICE = 1 << 3,         /* by /dev/userfaultfd; else by the system call */
    ACRE_FAULT_WRITE_PROTECT = 1 << 4,  /* writes of pages that are there: anonymous memory */
    ACRE_FAULT_SHARED = 1 << 5,         /* missing pages of shared memory */
    ACRE_FAULT_SHARED_PROTECT = 1 << 6, /* writes there */
    ACRE_FAULT_MINOR = 1 << 7,          /* pages of shared memory that have contents, but no entry in the page table */
    ACRE_FAULT_HUGE = 1 << 8,           /* huge pages of a pool */
    ACRE_FAULT_MOVES = 1 << 9,          /* mremap, munmap and madvise are told */
    ACRE_FAULT_THREADS = 1 << 10,       /* which thread it was */
    ACRE_FAULT_POISON = 1 << 11,        /* a page can be made to raise SIGBUS */
    ACRE_FAULT_MOVE = 1 << 12,          /* a page can be moved to where it is missing, without a copy */
} acre_fault_service;

enum { ACRE_FAULT_SERVICE_BITS = 13 };

/* A few system calls. */
uint32_t acre_os_fault_service(void);

#endif
