/* window.c - see window.h. */
#include "space/window.h"
#include "base/status.h"

#define GRAIN_BYTES      ((uint64_t)256 * 1024 * 1024)
#define GRAIN_BYTES_MIN  ((uint64_t)1024 * 1024)
#define WINDOW_BYTES_MIN ((uint64_t)64 * 1024 * 1024 * 1024)
#define WINDOW_BYTES_MAX (GRAIN_BYTES * ACRE_WINDOW_GRAINS_MAX)

static acre_window process_window;
static uint32_t is_open;

/* A limit on the address space is shared with stacks and libraries: take it in small pieces, and little of it in advance. */
static void choose_sizes(acre_window *window)
{
    const uint64_t limit = acre_os_address_space_limit();
    window->grain_bytes = GRAIN_BYTES;
    if (limit / 32 < GRAIN_BYTES) {
        const uint64_t piece = (uint64_t)1 << acre_log2_floor(acre_max_size(limit / 32, 1));
        window->grain_bytes = acre_max_size(piece, GRAIN_BYTES_MIN);
        window->size_bytes = 4 * window->grain_bytes;
        return;
    }
    const uint64_t memory = acre_min_size(acre_os_memory_of_machine(), WINDOW_BYTES_MAX / 2);
    const uint64_t wish = acre_max_size((uint64_t)1 << acre_log2_ceil(2 * memory), WINDOW_BYTES_MIN);
    window->size_bytes = acre_min_size(wish, acre_align_down(limit / 8, GRAIN_BYTES));
}

acre_window *acre_window_of_process(void)
{
    acre_window *const window = &process_window;
    if (acre_likely(__atomic_load_n(&is_open, __ATOMIC_ACQUIRE) != 0)) return window;
    acre_lock_take(&window->lock);
    if (is_open == 0) {
        choose_sizes(window);
        void *base = NULL;
        while (window->size_bytes >= window->grain_bytes &&
               acre_os_reserve((size_t)window->size_bytes, (size_t)window->grain_bytes, &base) != ACRE_OK) {
            window->size_bytes = acre_align_down(window->size_bytes / 2, window->grain_bytes);
        }
        if (base == NULL) window->size_bytes = 0;
        window->base = (uintptr_t)base;
        __atomic_store_n(&is_open, 1, __ATOMIC_RELEASE);
    }
    acre_lock_drop(&window->lock);
    return window;
}

static bool is_taken(const acre_window *window, uint64_t grain)
{
    return (window->taken[grain / ACRE_WORD_BITS] >> (grain % ACRE_WORD_BITS) & 1) != 0;
}

static void mark(acre_window *window, uint64_t first, uint64_t count, bool taken)
{
    for (uint64_t grain = first; grain < first + count; grain++) {
        const acre_word bit = (acre_word)1 << (grain % ACRE_WORD_BITS);
        assert(is_taken(window, grain) != taken);
        window->taken[grain / ACRE_WORD_BITS] ^= bit;
    }
}

bool acre_window_take(acre_window *window, uint64_t size, uint64_t alignment, acre_addr *address)
{
    assert(size > 0 && size % window->grain_bytes == 0 && acre_is_power_of_two(alignment));
    const uint64_t count = size / window->grain_bytes;
    const uint64_t grain_count = window->size_bytes / window->grain_bytes;
    bool is_found = false;
    acre_lock_take(&window->lock);
    uint64_t length = 0; /* of the free stretch that ends here */
    for (uint64_t grain = 0; grain < grain_count && !is_found; grain++) {
        const bool may_begin = length > 0 || ((window->base + grain * window->grain_bytes) & (alignment - 1)) == 0;
        length = is_taken(window, grain) || !may_begin ? 0 : length + 1;
        if (length < count) continue;
        is_found = true;
        mark(window, grain + 1 - count, count, true);
        *address = window->base + (grain + 1 - count) * window->grain_bytes;
    }
    acre_lock_drop(&window->lock);
    return is_found;
}

acre_status acre_window_give(acre_window *window, acre_addr address, uint64_t size)
{
    assert(acre_window_has(window, address) && size % window->grain_bytes == 0);
    /* What cannot be made anew stays taken: address space is lost, and nothing else. */
    const acre_status status = acre_os_reserve_again((void *)(uintptr_t)address, (size_t)size);
    if (status != ACRE_OK) return status;
    acre_lock_take(&window->lock);
    mark(window, (address - window->base) / window->grain_bytes, size / window->grain_bytes, false);
    acre_lock_drop(&window->lock);
    return ACRE_OK;
}

void acre_window_shrink(acre_window *window)
{
    acre_lock_take(&window->lock);
    uint64_t grain_count = window->size_bytes / window->grain_bytes;
    while (grain_count > 0 && !is_taken(window, grain_count - 1)) grain_count--;
    const uint64_t kept = grain_count * window->grain_bytes;
    const uint64_t size = window->size_bytes;
    if (kept < size && acre_os_release((void *)(uintptr_t)(window->base + kept), (size_t)(size - kept)) == ACRE_OK) {
        acre_store_figure(&window->size_bytes, kept);
    }
    acre_lock_drop(&window->lock);
}
