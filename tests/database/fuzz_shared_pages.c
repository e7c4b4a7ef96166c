/* fuzz_shared_pages.c - any sequence of operations by two openings of pages that processes share, with tickets that are used late: what is
 * read is the last that was told, and everything stays valid. */
#undef NDEBUG
#include <acre/shared_pages.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_BYTES = 512, PAGE_COUNT = 16, KEY_COUNT = 32, SET_COUNT = 2, TICKET_COUNT = 4 };

/* Kept for all inputs: opening takes longer than a run. */
static acre_shared_pages *openings[2];
static uint32_t sets[SET_COUNT];

/* What the page says where it is kept. */
static unsigned char kept[SET_COUNT][KEY_COUNT][PAGE_BYTES];

/* What somebody has read from there, and not put yet. */
typedef struct late {
    acre_shared_ticket ticket;
    unsigned char page[PAGE_BYTES];
    uint32_t set, number;
} late;

static void open_all(void)
{
    char name[40];
    (void)snprintf(name, sizeof name, "fuzz-%d", (int)getpid());
    const acre_shared_pages_options options = {.name = name, .bytes = PAGE_COUNT * PAGE_BYTES, .page_bytes = PAGE_BYTES};
    for (int i = 0; i < 2; i++) {
        assert(acre_shared_pages_open(&options, &openings[i]) == ACRE_OK);
        for (uint64_t set = 0; set < SET_COUNT; set++)
            assert(acre_shared_pages_join(openings[i], (uint64_t[]){set, 7}, &sets[set]) == ACRE_OK);
    }
}

static void close_all(void)
{
    for (int i = 0; i < 2; i++) (void)acre_shared_pages_close(openings[i]);
}

static void read_it(acre_shared_pages *by, uint32_t set, uint32_t number, size_t at, size_t bytes)
{
    unsigned char page[PAGE_BYTES];
    if (acre_shared_pages_read(by, sets[set], number, at, page, bytes, NULL)) assert(memcmp(page, kept[set][number] + at, bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    late lates[TICKET_COUNT] = {{.number = KEY_COUNT}, {.number = KEY_COUNT}, {.number = KEY_COUNT}, {.number = KEY_COUNT}};
    if (openings[0] == NULL) {
        open_all();
        (void)atexit(close_all);
    }
    for (uint32_t set = 0; set < SET_COUNT; set++) acre_shared_pages_drop(openings[0], sets[set]);
    for (size_t i = 0; i + 3 < length; i += 4) {
        acre_shared_pages *const by = openings[data[i] >> 7];
        const uint32_t set = data[i] >> 6 & 1, number = data[i + 1] % KEY_COUNT;
        const size_t at = (size_t)data[i + 2] * 2, bytes = (PAGE_BYTES - at) * data[i + 3] / 255;
        late *const l = &lates[data[i + 3] % TICKET_COUNT];
        switch (data[i] % 8) {
        case 0: /* is read from where it is kept */
            l->ticket = acre_shared_pages_begin(by, sets[set]);
            memcpy(l->page, kept[set][number], PAGE_BYTES);
            l->set = set;
            l->number = number;
            break;
        case 1:
        case 2: /* and put, by anybody, at any time, and again */
            if (l->number < KEY_COUNT) (void)acre_shared_pages_put(by, sets[l->set], l->number, l->page, &l->ticket, data[i + 2] % 2 == 0);
            break;
        case 3:
            memset(kept[set][number] + at, data[i + 3], bytes);
            acre_shared_pages_change(by, sets[set], number, at, kept[set][number] + at, bytes);
            break;
        case 4:
            memset(kept[set][number], data[i + 3], PAGE_BYTES);
            acre_shared_pages_change(by, sets[set], number, 0, NULL, PAGE_BYTES);
            break;
        case 5: /* others write, and somebody notices */
            if (data[i + 2] % 8 == 0) {
                memset(kept[set], data[i + 3], sizeof kept[set]);
                acre_shared_pages_drop(by, sets[set]);
            }
            break;
        default:
            read_it(by, set, number, at, bytes);
        }
    }
    for (uint32_t set = 0; set < SET_COUNT; set++)
        for (uint32_t number = 0; number < KEY_COUNT; number++) read_it(openings[1], set, number, 0, PAGE_BYTES);
    assert(acre_shared_pages_is_valid(openings[0]));
    return 0;
}
