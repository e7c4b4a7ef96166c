/* board_page_cache.c - 32 pages of a device in 2 KiB of memory beside the frames, on microcontrollers: with each policy what is read is
 * what was written; what they take and what a hit costs is printed.
 *
 * boards:  m0 m3 rv32
 * sources: src/embedded/page_cache.c src/base/status.c src/base/format.c src/os/freestanding.c
 * sources: src/policy/adaptive.c src/policy/arc.c src/policy/car.c src/policy/clock.c src/policy/lirs.c src/policy/lru.c
 * sources: src/policy/policy.c src/policy/s3_fifo.c src/policy/sieve.c src/policy/two_queue.c src/policy/w_tinylfu.c
 */
#include "board.h"

#include <acre/page_cache.h>
#include <string.h>

enum { FRAMES = 32, PAGE_BYTES = 16, PAGES = 150, STEPS = 5000, MEMORY_BYTES = 2048 };

static uint8_t flash[PAGES][PAGE_BYTES];
static uint8_t model[PAGES];
static uint32_t frames[FRAMES][PAGE_BYTES / 4];
static uint64_t memory[MEMORY_BYTES / 8];

static acre_status read_flash(void *device, uint32_t page, void *bytes)
{
    (void)device;
    memcpy(bytes, flash[page], PAGE_BYTES);
    return ACRE_OK;
}

static acre_status write_flash(void *device, uint32_t page, const void *bytes)
{
    (void)device;
    memcpy(flash[page], bytes, PAGE_BYTES);
    return ACRE_OK;
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static bool use(acre_page_cache *cache, uint32_t page, uint8_t value)
{
    void *bytes;
    if (acre_page_cache_fix(cache, page, ACRE_PAGE_READ, &bytes) != ACRE_OK) return false;
    uint8_t *const cells = bytes;
    const bool is_right = cells[0] == model[page] && cells[PAGE_BYTES - 1] == model[page];
    if (value != 0) {
        memset(cells, value, PAGE_BYTES);
        model[page] = value;
    }
    return acre_page_cache_unfix(cache, bytes, value != 0) == ACRE_OK && is_right;
}

static bool run(acre_policy_kind kind, size_t bytes, const acre_page_cache_options *options)
{
    uint32_t random = 7;
    acre_page_cache *cache;
    acre_page_cache_figures figures;
    memset(flash, 0, sizeof flash);
    memset(model, 0, sizeof model);
    if (acre_page_cache_init(&cache, options, memory, bytes) != ACRE_OK) return false;
    for (uint32_t step = 0; step < STEPS; step++) {
        const uint32_t a = next_random(&random) % PAGES, b = next_random(&random) % PAGES;
        if (!use(cache, a < b ? a : b, (uint8_t)(step % 3 == 0 ? step : 0))) return false;
    }
    if (!acre_page_cache_is_valid(cache) || acre_page_cache_flush(cache) != ACRE_OK) return false;
    for (uint32_t page = 0; page < PAGES; page++)
        if (flash[page][3] != model[page]) return false;
    (void)acre_page_cache_read_figures(cache, &figures);
    (void)use(cache, 3, 0);
    const uint32_t start = board_count();
    const bool is_right = use(cache, 3, 0);
    const uint32_t cost = board_count_since(start);
    board_write(acre_policy_name(kind));
    board_write(": bytes ");
    board_write_number(bytes);
    board_write(", misses ");
    board_write_number(figures.miss_count);
    board_write(", instructions of fix and unfix ");
    board_write_number(cost);
    board_write("\n");
    return is_right;
}

int board_main(void)
{
    acre_page_cache_options options = {
        .frame_count = FRAMES, .page_bytes = PAGE_BYTES, .page_count = PAGES, .frames = frames, .read = read_flash, .write = write_flash};
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        options.policy = (acre_policy_kind)kind;
        const size_t bytes = acre_page_cache_bytes(&options);
        if (bytes > MEMORY_BYTES) {
            board_write(acre_policy_name((acre_policy_kind)kind));
            board_write(": takes more: bytes ");
            board_write_number(bytes);
            board_write("\n");
            if (kind != ACRE_POLICY_ADAPTIVE) return 2;
        } else if (!run((acre_policy_kind)kind, bytes, &options)) {
            return 1;
        }
    }
    return 0;
}
