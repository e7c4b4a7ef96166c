/* test_pages.c - SQLite's page cache, by the rules of its interface: any sequence of calls against a plain array of pages. */
#include "support/test.h"

#include "pages.h"

enum { PAGE_BYTES = 512, EXTRA_BYTES = 40, KEY_MAX = 300, STEP_COUNT = 200000 };

static const sqlite3_pcache_methods2 *const m = &acre_sqlite_pages;

/* What the cache must still have: pages that are pinned, with their contents. Others may be there or not. */
typedef struct model {
    sqlite3_pcache *cache;
    sqlite3_pcache_page *pinned[KEY_MAX + 1];
    uint64_t contents[KEY_MAX + 1]; /* of the page when it was last written; 0: never */
    int length;
    bool is_purgeable;
} model;

static void open_model(model *o, bool is_purgeable, int length)
{
    memset(o, 0, sizeof *o);
    o->cache = m->xCreate(PAGE_BYTES, EXTRA_BYTES, is_purgeable);
    assert_non_null(o->cache);
    m->xCachesize(o->cache, length);
    o->length = length;
    o->is_purgeable = is_purgeable;
}

static unsigned pinned_count(const model *o)
{
    unsigned count = 0;
    for (unsigned key = 1; key <= KEY_MAX; key++) count += o->pinned[key] != NULL;
    return count;
}

/* Fetches; what is found must be what was written, what is new must have its extra bytes zeroed. */
static void fetch(model *o, unsigned key, int create_flag, uint64_t value)
{
    sqlite3_pcache_page *there = m->xFetch(o->cache, key, 0);
    sqlite3_pcache_page *p = there != NULL ? there : m->xFetch(o->cache, key, create_flag);
    if (o->pinned[key] != NULL) assert_ptr_equal(p, o->pinned[key]);
    if (!o->is_purgeable && o->contents[key] != 0) assert_non_null(there);
    if (there == NULL && create_flag == 0) assert_null(p);
    if (create_flag == 2) assert_non_null(p);
    if (p == NULL) return;
    if (there != NULL) {
        assert_int_equal(*(uint64_t *)p->pBuf, o->contents[key]);
    } else {
        for (unsigned i = 0; i < EXTRA_BYTES; i++) assert_int_equal(((unsigned char *)p->pExtra)[i], 0);
        memset(p->pBuf, 0x5a, PAGE_BYTES);
        memset(p->pExtra, 0x5a, EXTRA_BYTES);
        *(uint64_t *)p->pBuf = o->contents[key] = value;
    }
    assert_int_equal((uintptr_t)p->pBuf % 8, 0);
    assert_int_equal((uintptr_t)p->pExtra % 8, 0);
    o->pinned[key] = p;
}

static void unpin(model *o, unsigned key, int is_to_go)
{
    if (o->pinned[key] == NULL) return;
    m->xUnpin(o->cache, o->pinned[key], is_to_go);
    o->pinned[key] = NULL;
    if (is_to_go) o->contents[key] = 0;
}

static void rekey(model *o, unsigned from, unsigned to)
{
    if (o->pinned[from] == NULL || o->pinned[to] != NULL || from == to) return;
    m->xRekey(o->cache, o->pinned[from], from, to);
    o->pinned[to] = o->pinned[from];
    o->contents[to] = o->contents[from];
    o->pinned[from] = NULL;
    o->contents[from] = 0;
}

static void truncate_from(model *o, unsigned limit)
{
    m->xTruncate(o->cache, limit);
    for (unsigned key = limit; key <= KEY_MAX; key++) {
        o->pinned[key] = NULL;
        o->contents[key] = 0;
        assert_null(m->xFetch(o->cache, key, 0));
    }
}

static void any_call(model *o, uint64_t *random, uint64_t step)
{
    const uint64_t r = next_random(random);
    const unsigned key = 1 + (unsigned)(r >> 8) % KEY_MAX;
    switch (r % 64) {
    case 0:
        if (r >> 32 & 1) truncate_from(o, key);
        break;
    case 1:
        m->xCachesize(o->cache, o->length = 1 + (int)(r >> 32) % 100);
        break;
    case 2:
        m->xShrink(o->cache);
        if (o->is_purgeable) assert_int_equal(m->xPagecount(o->cache), pinned_count(o));
        break;
    case 3:
        rekey(o, key, 1 + (unsigned)(r >> 32) % KEY_MAX);
        break;
    default:
        if (r & 64)
            fetch(o, key, (int)(r >> 40) % 3, step + 1);
        else
            unpin(o, key, (r >> 32) % 32 == 0);
    }
    /* Once nothing more is pinned than fits, no more is kept than that. */
    const unsigned pinned = pinned_count(o);
    const int count = m->xPagecount(o->cache);
    assert_true(count >= (int)pinned);
    if (o->is_purgeable && pinned == 0 && o->length > 0) assert_true(count <= o->length);
}

static void any_sequence_of_calls_keeps_pinned_pages_and_their_contents(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        acre_sqlite_set_up_pages(acre_heap_of_process(), (acre_policy_kind)kind, 0, NULL);
        for (int is_purgeable = 0; is_purgeable < 2; is_purgeable++) {
            uint64_t random = 11 + kind;
            model o;
            open_model(&o, is_purgeable, 20);
            for (uint64_t step = 0; step < STEP_COUNT / 10; step++) any_call(&o, &random, step);
            m->xDestroy(o.cache);
        }
    }
}

static void several_caches_stay_within_one_budget(void **state)
{
    enum { CACHES = 5, BUDGET = 100 * 1024 };
    model o[CACHES];
    uint64_t random = 3;
    acre_sqlite_figures figures;
    (void)state;
    acre_sqlite_set_up_pages(acre_heap_of_process(), ACRE_POLICY_ADAPTIVE, BUDGET, NULL);
    for (unsigned i = 0; i < CACHES; i++) open_model(&o[i], true, 0);
    for (uint64_t step = 0; step < STEP_COUNT; step++) {
        model *const one = &o[(step >> 6) % CACHES];
        const unsigned key = 1 + (unsigned)next_random(&random) % KEY_MAX;
        fetch(one, key, 2, step + 1);
        unpin(one, key, 0);
        if (step % 1000 == 0) {
            acre_sqlite_read_figures(&figures);
            assert_in_range(figures.page_bytes, 1, BUDGET);
            assert_int_equal(figures.cache_count, CACHES);
        }
    }
    acre_sqlite_read_figures(&figures);
    assert_true(figures.page_bytes > BUDGET * 9 / 10);
    /* A smaller budget holds at once; what is pinned stays. */
    for (unsigned key = 1; key <= 20; key++) fetch(&o[0], key, 2, key);
    assert_int_equal(acre_sqlite_set_budget(ACRE_SQLITE_BUDGET_BYTES_MIN), ACRE_OK);
    acre_sqlite_read_figures(&figures);
    assert_in_range(figures.page_bytes, 1, ACRE_SQLITE_BUDGET_BYTES_MIN);
    assert_int_equal(figures.pinned_count, 20);
    for (unsigned i = 0; i < CACHES; i++) m->xDestroy(o[i].cache);
    acre_sqlite_read_figures(&figures);
    assert_int_equal(figures.page_count, 0);
    assert_int_equal(figures.cache_count, 0);
}

static void pages_that_are_easy_to_have_are_refused_when_nine_tenths_are_pinned(void **state)
{
    model o;
    (void)state;
    acre_sqlite_set_up_pages(acre_heap_of_process(), ACRE_POLICY_ADAPTIVE, 0, NULL);
    open_model(&o, true, 20);
    for (unsigned key = 1; key <= 18; key++) fetch(&o, key, 1, key);
    assert_int_equal(pinned_count(&o), 18);
    assert_null(m->xFetch(o.cache, 19, 1));
    for (unsigned key = 19; key <= 100; key++) fetch(&o, key, 2, key);
    assert_int_equal(m->xPagecount(o.cache), 100);
    for (unsigned key = 1; key <= 100; key++) unpin(&o, key, 0);
    assert_int_equal(m->xPagecount(o.cache), 20);
    m->xDestroy(o.cache);
}

static void the_first_pages_to_go_are_those_that_were_used_least_lately(void **state)
{
    enum { PAGES = 200, GONE = 60 };
    model o;
    (void)state;
    acre_sqlite_set_up_pages(acre_heap_of_process(), ACRE_POLICY_LRU, 0, NULL);
    open_model(&o, true, PAGES);
    for (unsigned key = 1; key <= PAGES; key++) {
        fetch(&o, key, 2, key);
        unpin(&o, key, 0);
    }
    /* By 7 each time: in another order than that of their slots, and those that go are not the first ones. */
    for (unsigned i = 0; i < PAGES; i++) {
        fetch(&o, 1 + i * 7 % PAGES, 0, 0);
        unpin(&o, 1 + i * 7 % PAGES, 0);
    }
    m->xCachesize(o.cache, PAGES - GONE);
    assert_int_equal(m->xPagecount(o.cache), PAGES - GONE);
    for (unsigned i = 0; i < PAGES; i++) {
        const bool is_there = m->xFetch(o.cache, 1 + i * 7 % PAGES, 0) != NULL;
        assert_int_equal(is_there, i >= GONE);
    }
    m->xDestroy(o.cache);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    assert_int_equal(acre_sqlite_install(&(acre_sqlite_options){.policy = (acre_policy_kind)99}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_install(&(acre_sqlite_options){.budget_bytes = 1000}), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "1000"));
    acre_sqlite_set_up_pages(acre_heap_of_process(), ACRE_POLICY_LRU, 0, NULL);
    assert_int_equal(acre_sqlite_set_budget(1), ACRE_INVALID);
    assert_int_equal(acre_sqlite_set_budget(1 << 20), ACRE_UNSUPPORTED);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
    assert_int_equal(acre_sqlite_install(NULL), ACRE_BUSY);
    assert_int_equal(sqlite3_shutdown(), SQLITE_OK);
    assert_int_equal(acre_sqlite_install(NULL), ACRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_sequence_of_calls_keeps_pinned_pages_and_their_contents),
        cmocka_unit_test(several_caches_stay_within_one_budget),
        cmocka_unit_test(pages_that_are_easy_to_have_are_refused_when_nine_tenths_are_pinned),
        cmocka_unit_test(the_first_pages_to_go_are_those_that_were_used_least_lately),
        cmocka_unit_test(bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
