/* density.c - see density.h.
 *
 * Two groups of the tree that share a page contain one another. So the widest group around a page is that of each page in it, and pages
 * that lie in a group which was brought already need no look of their own.
 */
#include "policy/density.h"

void acre_mask_add_range(acre_page_mask *mask, unsigned first, unsigned count)
{
    assert(first + count <= ACRE_BLOCK_PAGES);
    for (unsigned i = 0; i < ACRE_MASK_WORDS; i++) mask->words[i] |= acre_mask_piece(i, first, count);
}

unsigned acre_mask_count(const acre_page_mask *mask) { return acre_mask_count_range(mask, 0, ACRE_BLOCK_PAGES); }

unsigned acre_mask_count_range(const acre_page_mask *mask, unsigned first, unsigned count)
{
    unsigned sum = 0;
    assert(count > 0 && first + count <= ACRE_BLOCK_PAGES);
    for (unsigned i = first / 64; i <= (first + count - 1) / 64; i++) {
        const uint64_t word = mask->words[i] & acre_mask_piece(i, first, count);
        if (word != 0) sum += word == ~(uint64_t)0 ? 64 : acre_bits_count(word); /* most are all or nothing */
    }
    return sum;
}

/* The first page from `page` on that is in the set (or is not, if `flip` is all ones); 512 if there is none. */
static unsigned next_page(const acre_page_mask *mask, unsigned page, uint64_t flip)
{
    while (page < ACRE_BLOCK_PAGES) {
        const uint64_t word = (mask->words[page / 64] ^ flip) >> page % 64;
        if (word != 0) return page + (unsigned)__builtin_ctzll(word);
        page = (page / 64 + 1) * 64;
    }
    return ACRE_BLOCK_PAGES;
}

bool acre_mask_next_run(const acre_page_mask *mask, unsigned *first, unsigned *count)
{
    *first = next_page(mask, *first, 0);
    if (*first == ACRE_BLOCK_PAGES) return false;
    *count = next_page(mask, *first, ~(uint64_t)0) - *first;
    return true;
}

static unsigned clipped(unsigned first, unsigned count, unsigned page_count)
{
    return first + count <= page_count ? count : page_count - first;
}

void acre_mask_grow(acre_page_mask *mask, unsigned group_pages, unsigned page_count)
{
    assert(acre_is_power_of_two(group_pages) && group_pages <= ACRE_BLOCK_PAGES && page_count <= ACRE_BLOCK_PAGES);
    unsigned page = 0;
    while ((page = next_page(mask, page, 0)) < page_count) {
        const unsigned first = page & ~(group_pages - 1);
        acre_mask_add_range(mask, first, clipped(first, group_pages, page_count));
        page = first + group_pages;
    }
}

void acre_density_bring(const acre_page_mask *resident, const acre_page_mask *faulted, unsigned threshold_percent, unsigned page_count,
                        acre_page_mask *bring)
{
    assert(page_count > 0 && page_count <= ACRE_BLOCK_PAGES && threshold_percent > 0 && threshold_percent <= 100);
    acre_page_mask present = *faulted;
    acre_mask_grow(&present, ACRE_BIG_PAGE_PAGES, page_count);
    acre_mask_unite(&present, resident);
    *bring = *faulted;
    unsigned page = 0;
    while ((page = next_page(faulted, page, 0)) < page_count) {
        unsigned first = page;
        unsigned count = 1;
        for (unsigned size = 1; size <= ACRE_BLOCK_PAGES && size < 2 * page_count; size *= 2) {
            const unsigned begin = page & ~(size - 1);
            const unsigned length = clipped(begin, size, page_count);
            if (acre_mask_count_range(&present, begin, length) * 100 <= length * threshold_percent) continue;
            first = begin;
            count = length;
        }
        acre_mask_add_range(bring, first, count);
        page = first + count;
    }
    acre_mask_subtract(bring, resident);
}

void acre_density_give(const acre_page_mask *resident, const acre_page_mask *taken, unsigned threshold_percent, unsigned page_count,
                       acre_page_mask *give)
{
    assert(page_count > 0 && page_count <= ACRE_BLOCK_PAGES && threshold_percent <= 100);
    acre_page_mask left = *resident;
    acre_mask_subtract(&left, taken);
    unsigned page = 0;
    while ((page = next_page(taken, page, 0)) < page_count) {
        for (unsigned size = ACRE_BIG_PAGE_PAGES; size <= ACRE_BLOCK_PAGES && size < 2 * page_count; size *= 2) {
            const unsigned begin = page & ~(size - 1);
            const unsigned length = clipped(begin, size, page_count);
            if (acre_mask_count_range(&left, begin, length) * 100 >= length * threshold_percent) continue;
            for (unsigned i = 0; i < ACRE_MASK_WORDS; i++) left.words[i] &= ~acre_mask_piece(i, begin, length);
        }
        page++;
    }
    *give = *resident;
    acre_mask_subtract(give, &left);
}
