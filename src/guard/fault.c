/* fault.c - see acre/guard.h. The handler and its context are one pair, so they change under a lock. */
#include "guard/fault.h"
#include "base/format.h"
#include "os/os.h"

#include <assert.h>

static acre_lock lock;
static acre_fault_handler the_handler;
static void *the_context;

static const char *const kind_texts[ACRE_FAULT_KIND_COUNT] = {
    [ACRE_FAULT_DOUBLE_FREE] = "the block is free already",
    [ACRE_FAULT_FOREIGN_FREE] = "the address belongs to no block of this heap",
    [ACRE_FAULT_INTERIOR_FREE] = "the address lies inside of a block",
    [ACRE_FAULT_ORDER_FREE] = "another block has to go first",
};

void acre_guard_set_handler(acre_fault_handler handler, void *context)
{
    acre_lock_take(&lock);
    the_handler = handler;
    the_context = context;
    acre_lock_drop(&lock);
}

size_t acre_fault_text(const acre_fault *fault, char *text, size_t size)
{
    assert(fault != NULL && (unsigned)fault->kind < ACRE_FAULT_KIND_COUNT);
    size_t length = acre_format(text, size, "acre: heap '%s': %s of 0x%llx: %s", fault->heap_name, fault->operation,
                                (unsigned long long)fault->address, kind_texts[fault->kind]);
    if (fault->block != 0) {
        length += acre_format(text + length, size - length, " (block 0x%llx of %llu bytes)", (unsigned long long)fault->block,
                              (unsigned long long)fault->size_bytes);
    }
    return length;
}

void acre_fault_report(const acre_fault *fault)
{
    acre_lock_take(&lock);
    const acre_fault_handler handler = the_handler;
    void *const context = the_context;
    acre_lock_drop(&lock);
    if (handler != NULL && handler(context, fault)) return;

    char text[300];
    (void)acre_fault_text(fault, text, sizeof text);
    acre_os_abort("%s", text);
}
