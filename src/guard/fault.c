/* fault.c - see acre/guard.h. The handler and its context are one pair, so they change under a lock. */
#include "guard/fault.h"
#include "base/format.h"
#include "os/os.h"

#include <assert.h>

static acre_lock lock;
static acre_fault_handler the_handler;
static void *the_context;
acre_fault_hooks acre_fault_hooks_of_process;

static const struct {
    const char *word;
    const char *sentence;
} kinds[ACRE_FAULT_KIND_COUNT] = {
    [ACRE_FAULT_DOUBLE_FREE] = {"double-free", "the block is free already"},
    [ACRE_FAULT_FOREIGN_FREE] = {"foreign-free", "the address belongs to no block of this heap"},
    [ACRE_FAULT_INTERIOR_FREE] = {"interior-free", "the address lies inside of a block"},
    [ACRE_FAULT_ORDER_FREE] = {"order-free", "another block has to go first"},
    [ACRE_FAULT_OVERFLOW] = {"overflow", "beyond the end of the block"},
    [ACRE_FAULT_UNDERFLOW] = {"underflow", "in front of the block"},
    [ACRE_FAULT_USE_AFTER_FREE] = {"use-after-free", "the block is free"},
    [ACRE_FAULT_SIZE_MISMATCH] = {"size-mismatch", "the block has another size or alignment"},
    [ACRE_FAULT_KIND_MISMATCH] = {"kind-mismatch", "malloc goes with free, new with delete"},
    [ACRE_FAULT_PROTECTION] = {"protection", "the domain has no right to it"},
};

static const char *const touches[] = {
    [ACRE_TOUCH_UNKNOWN] = "access", [ACRE_TOUCH_READ] = "read", [ACRE_TOUCH_WRITE] = "write", [ACRE_TOUCH_EXECUTE] = "execution"};

void acre_guard_set_handler(acre_fault_handler handler, void *context)
{
    acre_lock_take(&lock);
    the_handler = handler;
    the_context = context;
    acre_lock_drop(&lock);
}

const char *acre_fault_kind_text(acre_fault_kind kind) { return (unsigned)kind < ACRE_FAULT_KIND_COUNT ? kinds[kind].word : "unknown"; }

/* An access that a domain has no right to: what the other kinds have no words for. */
static size_t protection_text(const acre_fault *fault, char *text, size_t size)
{
    if (fault->is_nowhere) {
        return acre_format(text, size, "acre: domain '%s': an access that it has no right to; the processor does not say where",
                           fault->domain_name != NULL ? fault->domain_name : "?");
    }
    size_t length = acre_format(text, size, "acre: domain '%s': %s of 0x%llx: ", fault->domain_name != NULL ? fault->domain_name : "?",
                                touches[fault->touch], (unsigned long long)fault->address);
    if (fault->owner_name == NULL) return length + acre_format(text + length, size - length, "it is nobody's memory");
    return length + acre_format(text + length, size - length, "%s ('%s' of domain '%s', %llu bytes at 0x%llx; offset %lld)",
                                kinds[fault->kind].sentence, fault->heap_name, fault->owner_name, (unsigned long long)fault->size_bytes,
                                (unsigned long long)fault->block, (long long)fault->offset);
}

size_t acre_fault_text(const acre_fault *fault, char *text, size_t size)
{
    assert(fault != NULL && (unsigned)fault->kind < ACRE_FAULT_KIND_COUNT);
    if (fault->kind == ACRE_FAULT_PROTECTION) return protection_text(fault, text, size);
    size_t length = acre_format(text, size, "acre: heap '%s': %s of 0x%llx: %s", fault->heap_name, fault->operation,
                                (unsigned long long)fault->address, kinds[fault->kind].sentence);
    if (fault->block != 0) {
        length += acre_format(text + length, size - length, " (block 0x%llx of %llu bytes", (unsigned long long)fault->block,
                              (unsigned long long)fault->size_bytes);
        if (fault->has_asked) {
            length += acre_format(text + length, size - length, ", asked for %llu; %s at offset %lld",
                                  (unsigned long long)fault->asked_bytes, touches[fault->touch], (long long)fault->offset);
        }
        if (fault->told_bytes != 0) {
            length += acre_format(text + length, size - length, ", told %llu", (unsigned long long)fault->told_bytes);
        }
        length += acre_format(text + length, size - length, ")");
    }
    return length;
}

/* ---- JSON ---- */

static size_t quoted(char *text, size_t size, const char *what)
{
    size_t length = acre_format(text, size, "\"");
    for (; *what != 0; what++) {
        const unsigned c = (unsigned char)*what;
        if (c == '"' || c == '\\')
            length += acre_format(text + length, size - length, "\\%c", (int)c);
        else if (c < ' ')
            length += acre_format(text + length, size - length, " ");
        else
            length += acre_format(text + length, size - length, "%c", (int)c);
    }
    return length + acre_format(text + length, size - length, "\"");
}

/* What is known of a return address; 0: it is acre's own, which says nothing. */
static size_t frame_text(const void *pc, char *text, size_t size)
{
    if (acre_fault_hooks_of_process.name != NULL) return acre_fault_hooks_of_process.name(pc, text, size);
    return acre_format(text, size, "0x%llx", (unsigned long long)(uintptr_t)pc);
}

static size_t json_site(const char *name, const acre_site *site, char *text, size_t size)
{
    size_t length = acre_format(text, size, ",\"%s\":[", name);
    bool is_first = true;
    for (uint32_t i = 0; i < site->count && i < ACRE_SITE_FRAMES_MAX; i++) {
        char frame[200];
        if (frame_text(site->pcs[i], frame, sizeof frame) == 0) continue;
        if (!is_first) length += acre_format(text + length, size - length, ",");
        length += quoted(text + length, size - length, frame);
        is_first = false;
    }
    return length + acre_format(text + length, size - length, "]");
}

size_t acre_fault_json(const acre_fault *fault, char *text, size_t size)
{
    size_t length = acre_format(text, size, "{\"kind\":\"%s\",\"heap\":", acre_fault_kind_text(fault->kind));
    length += quoted(text + length, size - length, fault->heap_name);
    length += acre_format(text + length, size - length, ",\"operation\":");
    length += quoted(text + length, size - length, fault->operation);
    length += acre_format(text + length, size - length, ",\"address\":\"0x%llx\",\"block\":\"0x%llx\",\"size\":%llu",
                          (unsigned long long)fault->address, (unsigned long long)fault->block, (unsigned long long)fault->size_bytes);
    if (fault->has_asked) {
        length += acre_format(text + length, size - length, ",\"asked\":%llu,\"offset\":%lld,\"access\":\"%s\"",
                              (unsigned long long)fault->asked_bytes, (long long)fault->offset, touches[fault->touch]);
    }
    if (fault->kind == ACRE_FAULT_PROTECTION) {
        length += acre_format(text + length, size - length, ",\"access\":\"%s\",\"offset\":%lld,\"domain\":", touches[fault->touch],
                              (long long)fault->offset);
        length += quoted(text + length, size - length, fault->domain_name != NULL ? fault->domain_name : "?");
        length += acre_format(text + length, size - length, ",\"owner\":");
        length += quoted(text + length, size - length, fault->owner_name != NULL ? fault->owner_name : "");
    }
    if (fault->told_bytes != 0)
        length += acre_format(text + length, size - length, ",\"told\":%llu", (unsigned long long)fault->told_bytes);
    length += json_site("alloc_site", &fault->alloc_site, text + length, size - length);
    length += json_site("free_site", &fault->free_site, text + length, size - length);
    length += json_site("use_site", &fault->use_site, text + length, size - length);
    return length + acre_format(text + length, size - length, "}");
}

/* ---- reporting ---- */

static void print_site(const char *what, const acre_site *site)
{
    unsigned shown = 0;
    for (uint32_t i = 0; i < site->count && i < ACRE_SITE_FRAMES_MAX; i++) {
        char line[260], frame[200];
        if (frame_text(site->pcs[i], frame, sizeof frame) == 0) continue;
        const size_t length = acre_format(line, sizeof line, "acre:   %s %s\n", shown++ == 0 ? what : "          ", frame);
        acre_os_write_error(line, length);
    }
}

static void print(const acre_fault *fault)
{
    char text[400];
    size_t length = acre_fault_text(fault, text, sizeof text - 1);
    text[length++] = '\n';
    acre_os_write_error(text, length);
    print_site("seen in   ", &fault->use_site);
    print_site("allocated ", &fault->alloc_site);
    print_site("freed in  ", &fault->free_site);
}

/* True when the handler lets the program go on. */
static bool is_handled(acre_fault *fault)
{
    if (fault->use_site.count == 0 && acre_fault_hooks_of_process.capture != NULL) {
        acre_fault_hooks_of_process.capture(&fault->use_site);
    }
    if (acre_fault_hooks_of_process.record != NULL) acre_fault_hooks_of_process.record(fault);
    acre_lock_take(&lock);
    const acre_fault_handler handler = the_handler;
    void *const context = the_context;
    acre_lock_drop(&lock);
    return handler != NULL && handler(context, fault);
}

void acre_fault_report(const acre_fault *fault)
{
    acre_fault told = *fault;
    if (is_handled(&told)) return;
    print(&told);
    acre_os_abort("acre: the program is ended because of this");
}

void acre_fault_announce(const acre_fault *fault)
{
    acre_fault told = *fault;
    if (!is_handled(&told)) print(&told);
}
