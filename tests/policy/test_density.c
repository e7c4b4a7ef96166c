/* test_density.c - the density rule against the plainest reading of it, page by page. */
#include "policy/density.h"

#include "support/test.h"

#ifdef __SANITIZE_THREAD__
enum { MASK_COUNT = 20000 };
#elif defined(__SANITIZE_ADDRESS__)
enum { MASK_COUNT = 50000 };
#else
enum { MASK_COUNT = 1000000 };
#endif

/* Pages as bytes: is_there[512]. */
typedef struct plain_set {
    bool has[ACRE_BLOCK_PAGES];
} plain_set;

static plain_set plain_of(const acre_page_mask *mask)
{
    plain_set set;
    for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page++) set.has[page] = acre_mask_has(mask, page);
    return set;
}

static bool is_same(const acre_page_mask *mask, const plain_set *set)
{
    for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page++)
        if (acre_mask_has(mask, page) != set->has[page]) return false;
    return true;
}

/* Sums of the tree from its leaves up, and for each page a walk to the root. */
static plain_set reference_bring(const plain_set *resident, const plain_set *faulted, unsigned threshold, unsigned page_count)
{
    static unsigned sums[10][ACRE_BLOCK_PAGES];
    plain_set bring = *faulted;
    for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page++) {
        bool is_asked = false;
        const unsigned big = page / ACRE_BIG_PAGE_PAGES * ACRE_BIG_PAGE_PAGES;
        for (unsigned i = big; i < big + ACRE_BIG_PAGE_PAGES; i++) is_asked |= faulted->has[i];
        sums[0][page] = page < page_count && (resident->has[page] || is_asked);
    }
    for (unsigned level = 1; level < 10; level++)
        for (unsigned node = 0; node < ACRE_BLOCK_PAGES >> level; node++)
            sums[level][node] = sums[level - 1][2 * node] + sums[level - 1][2 * node + 1];
    for (unsigned page = 0; page < page_count; page++) {
        if (!faulted->has[page]) continue;
        for (unsigned level = 0; level < 10; level++) {
            const unsigned begin = page >> level << level;
            const unsigned end = begin + (1u << level) < page_count ? begin + (1u << level) : page_count;
            if (sums[level][page >> level] * 100 <= (end - begin) * threshold) continue;
            for (unsigned i = begin; i < end; i++) bring.has[i] = true;
        }
    }
    for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page++) bring.has[page] = bring.has[page] && !resident->has[page];
    return bring;
}

static plain_set reference_give(const plain_set *resident, const plain_set *taken, unsigned threshold, unsigned page_count)
{
    plain_set left = *resident, give = *resident;
    for (unsigned page = 0; page < page_count; page++) left.has[page] = left.has[page] && !taken->has[page];
    for (unsigned page = 0; page < page_count; page++) {
        for (unsigned size = ACRE_BIG_PAGE_PAGES; taken->has[page] && size <= ACRE_BLOCK_PAGES; size *= 2) {
            const unsigned begin = page / size * size;
            const unsigned end = begin + size < page_count ? begin + size : page_count;
            unsigned count = 0;
            for (unsigned i = begin; i < end; i++) count += left.has[i];
            for (unsigned i = begin; i < end && count * 100 < (end - begin) * threshold; i++) left.has[i] = false;
        }
    }
    for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page++) give.has[page] = give.has[page] && !left.has[page];
    return give;
}

/* Sparse, dense, in runs or full. */
static acre_page_mask random_mask(uint64_t *random, unsigned page_count)
{
    acre_page_mask mask = {{0}}, all = {{0}};
    const unsigned kind = (unsigned)(next_random(random) % 5);
    for (unsigned i = 0; i < ACRE_MASK_WORDS; i++) {
        mask.words[i] = next_random(random);
        for (unsigned k = 0; k < 3 && kind < 2; k++) {
            const uint64_t other = next_random(random);
            mask.words[i] = kind == 0 ? mask.words[i] & other : mask.words[i] | other;
        }
    }
    if (kind == 2) memset(&mask, 0, sizeof mask);
    if (kind >= 2) {
        for (unsigned i = 0; i < 1 + next_random(random) % 4; i++) {
            const unsigned first = (unsigned)(next_random(random) % page_count);
            acre_mask_add_range(&mask, first, 1 + (unsigned)(next_random(random) % (page_count - first)));
        }
    }
    acre_mask_add_range(&all, 0, page_count);
    acre_mask_intersect(&mask, &all);
    return mask;
}

static void what_comes_is_that_of_the_tree(void **state)
{
    uint64_t random = 7;
    for (unsigned i = 0; i < MASK_COUNT; i++) {
        const unsigned page_count = i % 3 ? ACRE_BLOCK_PAGES : 1 + (unsigned)(next_random(&random) % ACRE_BLOCK_PAGES);
        const unsigned threshold = 1 + i % 100;
        const acre_page_mask resident = random_mask(&random, page_count);
        acre_page_mask faulted = random_mask(&random, page_count), bring;
        acre_mask_subtract(&faulted, &resident);
        if (i % 2) { /* as most faults are: one page */
            const unsigned page = (unsigned)(next_random(&random) % page_count);
            faulted = (acre_page_mask){{0}};
            if (!acre_mask_has(&resident, page)) acre_mask_add(&faulted, page);
        }
        acre_density_bring(&resident, &faulted, threshold, page_count, &bring);
        const plain_set there = plain_of(&resident), asked = plain_of(&faulted);
        const plain_set expected = reference_bring(&there, &asked, threshold, page_count);
        assert_true(is_same(&bring, &expected));
    }
}

static void what_goes_leaves_no_group_less_than_half_full(void **state)
{
    uint64_t random = 11;
    for (unsigned i = 0; i < MASK_COUNT / 5; i++) {
        const unsigned page_count = i % 3 ? ACRE_BLOCK_PAGES : 1 + (unsigned)(next_random(&random) % ACRE_BLOCK_PAGES);
        const acre_page_mask resident = random_mask(&random, page_count);
        acre_page_mask taken = {{0}}, give;
        acre_mask_add(&taken, (unsigned)(next_random(&random) % page_count));
        acre_mask_grow(&taken, ACRE_BIG_PAGE_PAGES, page_count);
        acre_mask_intersect(&taken, &resident);
        acre_density_give(&resident, &taken, i % 101, page_count, &give);
        const plain_set there = plain_of(&resident), gone = plain_of(&taken);
        const plain_set expected = reference_give(&there, &gone, i % 101, page_count);
        assert_true(is_same(&give, &expected));
    }
}

static void a_block_touched_in_order_comes_in_six_pieces(void **state)
{
    static const unsigned pieces[] = {16, 16, 32, 64, 128, 256};
    acre_page_mask resident = {{0}};
    unsigned piece = 0;
    for (unsigned page = 0; page < ACRE_BLOCK_PAGES; page++) {
        if (acre_mask_has(&resident, page)) continue;
        acre_page_mask faulted = {{0}}, bring;
        acre_mask_add(&faulted, page);
        acre_density_bring(&resident, &faulted, 51, ACRE_BLOCK_PAGES, &bring);
        assert_true(piece < 6);
        assert_int_equal(acre_mask_count(&bring), pieces[piece++]);
        acre_mask_unite(&resident, &bring);
    }
    assert_int_equal(piece, 6);
}

static void runs_and_counts_are_those_of_the_pages(void **state)
{
    uint64_t random = 3;
    for (unsigned i = 0; i < 2000; i++) {
        const acre_page_mask mask = random_mask(&random, ACRE_BLOCK_PAGES);
        const plain_set set = plain_of(&mask);
        plain_set seen = {{false}};
        unsigned count = 0, total = 0;
        for (unsigned first = 0; acre_mask_next_run(&mask, &first, &count); first += count) {
            assert_true(count > 0 && (first == 0 || !set.has[first - 1]) && (first + count == ACRE_BLOCK_PAGES || !set.has[first + count]));
            for (unsigned page = first; page < first + count; page++) seen.has[page] = true;
            total += count;
        }
        assert_memory_equal(&seen, &set, sizeof set);
        assert_int_equal(total, acre_mask_count(&mask));
        const unsigned from = (unsigned)(next_random(&random) % ACRE_BLOCK_PAGES);
        const unsigned length = 1 + (unsigned)(next_random(&random) % (ACRE_BLOCK_PAGES - from));
        unsigned expected = 0;
        for (unsigned page = from; page < from + length; page++) expected += set.has[page];
        assert_int_equal(acre_mask_count_range(&mask, from, length), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_is_that_of_the_tree),
        cmocka_unit_test(what_goes_leaves_no_group_less_than_half_full),
        cmocka_unit_test(a_block_touched_in_order_comes_in_six_pieces),
        cmocka_unit_test(runs_and_counts_are_those_of_the_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
