/* window.c - see window.h. */
#include "migration/window.h"

#include <assert.h>

enum { PAGE_BYTES = 4096, ALIGNMENT = 2 << 20 };

/* The address of `at` when the window begins at `base`, and for how many of `size` bytes the addresses go on from there. */
static uintptr_t locate(const um_window *window, uintptr_t base, uint64_t at, uint64_t size, uint64_t *piece)
{
    *piece = size;
    for (unsigned i = window->move_count; i-- > 0;) {
        const uint64_t begin = window->moves[i].at, end = begin + window->moves[i].bytes;
        if (at >= begin && at < end) {
            if (end - at < *piece) *piece = end - at;
            return window->moves[i].to + (at - begin);
        }
        if (begin > at && begin - at < *piece) *piece = begin - at;
    }
    return base + at;
}

static unsigned char *address_of(const um_window *window, uint64_t at, uint64_t size, uint64_t *piece)
{
    return (unsigned char *)locate(window, (uintptr_t)window->base, at, size, piece);
}

static acre_status map(um_window *window)
{
    const acre_status status = acre_os_map_shared_at(window->memory, 0, window->bytes, window->base);
    if (status != ACRE_OK) return status;
    (void)acre_os_keep_from_children(window->base, window->bytes); /* else they would share it, and nobody serves their faults */
    return window->source == NULL ? acre_os_protect(window->base, window->bytes, ACRE_OS_NONE)
                                  : acre_page_faults_watch(window->source, window->base, window->bytes);
}

acre_status acre_window_open(um_window *window, uint64_t bytes, acre_page_faults *source)
{
    void *base;
    *window = (um_window){.bytes = bytes, .memory = -1, .source = source};
    acre_status status = acre_os_reserve(bytes, ALIGNMENT, &base);
    if (status != ACRE_OK) return status;
    window->base = base;
    status = acre_os_open_shared("unified memory", bytes, &window->memory);
    if (status == ACRE_OK) status = map(window);
    if (status != ACRE_OK) acre_window_close(window);
    return status;
}

void acre_window_close(um_window *window)
{
    if (window->base != NULL) (void)acre_os_release(window->base, window->bytes);
    for (unsigned i = 0; i < window->move_count; i++) (void)acre_os_release((void *)window->moves[i].to, window->moves[i].bytes);
    if (window->memory >= 0) acre_os_close(window->memory);
    *window = (um_window){.memory = -1};
}

/* ---- contents ---- */

static acre_status set_access(um_window *window, uint64_t at, uint64_t size, acre_os_access access)
{
    acre_status status = ACRE_OK;
    for (uint64_t piece = 0; size > 0; at += piece, size -= piece) {
        unsigned char *const address = address_of(window, at, size, &piece);
        const acre_status one = acre_os_protect(address, piece, access);
        window->call_count++;
        if (one != ACRE_OK && acre_os_is_mapped(address, piece)) status = one;
    }
    return status;
}

/* A page that nobody knows of is in the way: the program made it, at an address that was moved, or after its own MADV_REMOVE. */
static acre_status clear_page(um_window *window, uint64_t at)
{
    window->call_count++;
    return acre_os_punch_hole(window->memory, at, PAGE_BYTES);
}

static acre_status fill_piece(um_window *window, uint64_t at, const unsigned char *bytes, uint64_t size, bool is_writable, uint64_t *done)
{
    uint64_t piece;
    unsigned char *const address = address_of(window, at, size, &piece);
    size_t filled;
    const acre_page_result result = acre_page_faults_fill(window->source, address, bytes, piece, is_writable, &filled);
    window->call_count++;
    *done = filled;
    switch (result) {
    case ACRE_PAGES_DONE:
        return ACRE_OK;
    case ACRE_PAGES_THERE:
        return clear_page(window, at + filled);
    case ACRE_PAGES_GONE: /* kept all the same, for who reads it by other ways */
        *done = piece;
        return acre_page_contents_write(window->memory, at + filled, bytes == NULL ? NULL : bytes + filled, piece - filled);
    case ACRE_PAGES_BUSY:
        return ACRE_BUSY;
    case ACRE_PAGES_FAILED:
        break;
    }
    return acre_last_status();
}

acre_status acre_window_fill(um_window *window, uint64_t at, const void *bytes, uint64_t size, bool is_writable, uint64_t *done)
{
    *done = 0;
    if (window->source == NULL) {
        acre_status status = acre_page_contents_write(window->memory, at, bytes, size);
        window->call_count++;
        if (status == ACRE_OK) status = set_access(window, at, size, is_writable ? ACRE_OS_READ_WRITE : ACRE_OS_READ);
        if (status == ACRE_OK) *done = size;
        return status;
    }
    while (*done < size) {
        uint64_t filled = 0;
        const unsigned char *const from = bytes == NULL ? NULL : (const unsigned char *)bytes + *done;
        const acre_status status = fill_piece(window, at + *done, from, size - *done, is_writable, &filled);
        *done += filled;
        if (status != ACRE_OK) return status;
    }
    return ACRE_OK;
}

acre_status acre_window_protect(um_window *window, uint64_t at, uint64_t size)
{
    if (window->source == NULL) return set_access(window, at, size, ACRE_OS_READ);
    for (uint64_t piece = 0; size > 0; at += piece, size -= piece) {
        unsigned char *const address = address_of(window, at, size, &piece);
        const acre_page_result result = acre_page_faults_protect(window->source, address, piece);
        window->call_count++;
        if (result == ACRE_PAGES_BUSY) return ACRE_BUSY;
        if (result == ACRE_PAGES_FAILED) return acre_last_status();
    }
    return ACRE_OK;
}

void acre_window_allow(um_window *window, uint64_t at, uint64_t size)
{
    if (window->source == NULL) {
        (void)set_access(window, at, size, ACRE_OS_READ_WRITE);
        return;
    }
    for (uint64_t piece = 0; size > 0; at += piece, size -= piece) {
        unsigned char *const address = address_of(window, at, size, &piece);
        window->call_count++;
        /* On failure who writes faults again, and is heard of again. */
        if (acre_page_faults_allow(window->source, address, piece) != ACRE_PAGES_DONE)
            acre_page_faults_wake(window->source, address, piece);
    }
}

acre_status acre_window_read(um_window *window, uint64_t at, void *bytes, uint64_t size)
{
    window->call_count++;
    return acre_page_contents_read(window->memory, at, bytes, size);
}

void acre_window_drop(um_window *window, uint64_t at, uint64_t size)
{
    if (window->source == NULL) (void)set_access(window, at, size, ACRE_OS_NONE);
    window->call_count++;
    if (acre_os_punch_hole(window->memory, at, size) != ACRE_OK) acre_window_refuse(window, at, size); /* rather than what is old */
}

void acre_window_settle(um_window *window, uint64_t at, uint64_t size, bool is_writable)
{
    for (uint64_t piece = 0; size > 0; at += piece, size -= piece) {
        unsigned char *const address = address_of(window, at, size, &piece);
        size_t done;
        window->call_count++;
        if (acre_page_faults_fill(window->source, address, NULL, piece, is_writable, &done) == ACRE_PAGES_DONE) continue;
        acre_page_faults_wake(window->source, address, piece);
    }
}

/* ---- who waits ---- */

void acre_window_wake(um_window *window, uint64_t at, uint64_t size)
{
    if (window->source == NULL) return;
    for (uint64_t piece = 0; size > 0; at += piece, size -= piece) {
        unsigned char *const address = address_of(window, at, size, &piece);
        acre_page_faults_wake(window->source, address, piece);
        window->call_count++;
    }
}

void acre_window_refuse(um_window *window, uint64_t at, uint64_t size)
{
    (void)set_access(window, at, size, ACRE_OS_NONE);
    acre_window_wake(window, at, size);
}

void acre_window_accept(um_window *window, uint64_t at, uint64_t size)
{
    if (window->source != NULL) (void)set_access(window, at, size, ACRE_OS_READ_WRITE);
}

/* ---- pages of another window ---- */

static acre_status map_part(um_window *window, int memory, uint64_t at, uint64_t size)
{
    const acre_status status = acre_os_map_shared_at(memory, at, size, window->base + at);
    window->call_count++;
    if (status == ACRE_OK) (void)acre_os_keep_from_children(window->base + at, size);
    return status;
}

acre_status acre_window_show(um_window *window, uint64_t at, uint64_t size, const um_window *other)
{
    if (window->move_count > 0) return acre_fail(ACRE_UNSUPPORTED, "unified memory: the program moved some of its addresses");
    const acre_status status = map_part(window, other->memory, at, size);
    if (status == ACRE_OK) acre_window_wake(window, at, size);
    return status;
}

acre_status acre_window_hide(um_window *window, uint64_t at, uint64_t size)
{
    unsigned char *const address = window->base + at;
    const acre_status status = map_part(window, window->memory, at, size);
    if (status != ACRE_OK) return status;
    return window->source == NULL ? acre_os_protect(address, size, ACRE_OS_NONE) : acre_page_faults_watch(window->source, address, size);
}

/* ---- what the program does with the addresses ---- */

bool acre_window_find(const um_window *window, uintptr_t address, uint64_t *at)
{
    for (unsigned i = window->move_count; i-- > 0;) {
        const uintptr_t to = window->moves[i].to;
        if (address < to || address - to >= window->moves[i].bytes) continue;
        *at = window->moves[i].at + (address - to);
        return true;
    }
    *at = address - (uintptr_t)window->base;
    return address >= (uintptr_t)window->base && *at < window->bytes;
}

void acre_window_note_move(um_window *window, uintptr_t from, uintptr_t to, uint64_t bytes)
{
    uint64_t at;
    if (!acre_window_find(window, from, &at)) return;
    if (window->move_count == UM_MOVES_MAX) { /* nobody could find it: an access ends with a signal rather than with what is not there */
        (void)acre_os_protect((void *)to, bytes, ACRE_OS_NONE);
        return;
    }
    window->moves[window->move_count].at = at;
    window->moves[window->move_count].bytes = bytes;
    window->moves[window->move_count++].to = to;
}

acre_status acre_window_mend(um_window *window, uint64_t at, uint64_t size)
{
    unsigned kept = 0;
    bool was_moved = false;
    for (unsigned i = 0; i < window->move_count; i++) {
        const bool is_in = window->moves[i].at < at + size && at < window->moves[i].at + window->moves[i].bytes;
        if (is_in) {
            (void)acre_os_release((void *)window->moves[i].to, window->moves[i].bytes);
            was_moved = true;
        } else {
            window->moves[kept++] = window->moves[i];
        }
    }
    window->move_count = kept;
    return !was_moved && acre_os_is_mapped(window->base + at, size) ? ACRE_OK : acre_window_hide(window, at, size);
}

acre_status acre_window_keep_addresses(um_window *window)
{
    window->move_count = 0;
    return acre_os_reserve_at(window->base, window->bytes);
}

acre_status acre_window_renew(um_window *window, acre_page_faults *source, int *memory)
{
    *memory = window->memory;
    window->memory = -1;
    window->source = source;
    const acre_status status = acre_os_open_shared("unified memory", window->bytes, &window->memory);
    return status != ACRE_OK ? status : map(window);
}

acre_status acre_window_put_back(um_window *window, uint64_t at, const void *bytes, uint64_t size)
{
    const acre_status status = acre_page_contents_write(window->memory, at, bytes, size);
    if (status != ACRE_OK || window->source != NULL) return status;
    return set_access(window, at, size, ACRE_OS_READ_WRITE);
}
