/* self.c - see self.h. */
#include "os/self.h"
#include "base/format.h"
#include "os/shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CONTENTS_PAGES_MAX = 512 };

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static const char *take_hex(const char *at, const char *end, uint64_t *value)
{
    *value = 0;
    for (; at < end && hex_digit(*at) >= 0; at++) *value = *value << 4 | (uint64_t)hex_digit(*at);
    return at;
}

static const char *next_word(const char *at, const char *end)
{
    while (at < end && *at != ' ' && *at != '\n') at++;
    while (at < end && *at == ' ') at++;
    return at;
}

/* ---- mappings ---- */

typedef struct mapping_list {
    void (*take)(void *context, const acre_os_mapping *mapping);
    void *context;
} mapping_list;

/* A line is "begin-end rwxp offset device inode    path". */
static void take_line(void *context, const char *line, size_t length)
{
    const mapping_list *const list = context;
    const char *const end = line + length;
    uint64_t first, last, inode = 0;
    const char *at = take_hex(line, end, &first);
    if (at == line || at == end || *at != '-') return; /* the rest of a line that was too long */
    at = next_word(take_hex(at + 1, end, &last), end);
    if (end - at < 4) return;
    const char *const rights = at;
    at = next_word(next_word(next_word(at, end), end), end);
    (void)take_hex(at, end, &inode); /* decimal digits are hexadecimal ones, and 0 is 0 */
    list->take(list->context, &(acre_os_mapping){
                                  .begin = (uintptr_t)first,
                                  .end = (uintptr_t)last,
                                  .is_readable = rights[0] == 'r',
                                  .is_writable = rights[1] == 'w',
                                  .is_shared = rights[3] == 's',
                                  .is_anonymous = inode == 0,
                              });
}

acre_status acre_os_each_mapping(void (*take)(void *context, const acre_os_mapping *mapping), void *context)
{
    mapping_list list = {.take = take, .context = context};
    return acre_read_lines("/proc/self/maps", take_line, &list);
}

/* ---- contents ---- */

size_t acre_os_read_own(uintptr_t address, void *buffer, size_t size)
{
    const int saved = errno;
    const struct iovec to = {.iov_base = buffer, .iov_len = size}, from = {.iov_base = (void *)address, .iov_len = size};
    const ssize_t got = process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    errno = saved;
    return got < 0 ? 0 : (size_t)got;
}

int acre_os_open_contents(void)
{
    const int saved = errno;
    const int descriptor = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    errno = saved;
    return descriptor;
}

bool acre_os_has_contents(int descriptor, uintptr_t address, size_t page_count, bool *has_contents)
{
    static const uint64_t present = UINT64_C(1) << 63, swapped = UINT64_C(1) << 62;
    uint64_t entries[CONTENTS_PAGES_MAX];
    if (page_count > CONTENTS_PAGES_MAX) return false;
    const int saved = errno;
    const size_t bytes = page_count * sizeof entries[0];
    const off_t offset = (off_t)(address / (uintptr_t)sysconf(_SC_PAGESIZE) * sizeof entries[0]);
    const bool is_read = pread(descriptor, entries, bytes, offset) == (ssize_t)bytes;
    errno = saved;
    for (size_t i = 0; is_read && i < page_count; i++) has_contents[i] = (entries[i] & (present | swapped)) != 0;
    return is_read;
}

/* ---- threads ---- */

/* The kernel's struct linux_dirent64, whose name is not a header's. */
typedef struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
} directory_entry;

/* "number argument*6 stack-pointer program-counter", or "running". 0: not known. */
static uintptr_t stack_pointer_of(const char *thread)
{
    enum { STACK_POINTER_WORD = 7 };
    char path[64], text[256];
    (void)acre_format(path, sizeof path, "/proc/self/task/%s/syscall", thread);
    const size_t length = acre_read_file(path, text, sizeof text);
    const char *const end = text + length;
    const char *at = text;
    if (length == 0 || text[0] == 'r') return 0;
    /* A thread that waits outside of a system call (a page fault) has -1 there, and no arguments. */
    const unsigned words = text[0] == '-' ? 1 : STACK_POINTER_WORD;
    for (unsigned i = 0; i < words; i++) at = next_word(at, end);
    uint64_t value = 0;
    if (end - at > 2) (void)take_hex(at + 2, end, &value);
    return (uintptr_t)value;
}

size_t acre_os_waiting_stacks(uintptr_t *pointers, size_t count_max)
{
    union {
        char bytes[4096];
        uint64_t alignment;
    } buffer;
    const int saved = errno;
    char own[24];
    size_t count = 0;
    (void)acre_format(own, sizeof own, "%u", acre_thread_id());
    const int directory = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory >= 0) {
        for (long got; (got = syscall(SYS_getdents64, directory, buffer.bytes, sizeof buffer.bytes)) > 0;) {
            for (long at = 0; at < got && count < count_max;) {
                const directory_entry *const entry = (const directory_entry *)(const void *)(buffer.bytes + at);
                at += entry->length;
                if (entry->name[0] == '.' || strcmp(entry->name, own) == 0) continue;
                const uintptr_t pointer = stack_pointer_of(entry->name);
                if (pointer != 0) pointers[count++] = pointer;
            }
        }
        close(directory);
    }
    errno = saved;
    return count;
}
