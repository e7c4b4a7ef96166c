/* faults.c - page faults of the process reach the rules: a thread takes them in batches from userfaultfd, or the handler of SIGSEGV one by
 * one.
 *
 * The thread never touches a window, nor waits for who might. A group is what is asked of one block in one place; it stays in the list
 * until it is served or refused, so that a thread that ends in the middle of its work leaves nobody behind: the next one goes on with the
 * list.
 */
#include "base/format.h"
#include "migration/core.h"

#include <string.h>

enum { GROUPS_MAX = 2 * ACRE_PAGE_EVENTS_MAX, LOOK_NS = 20000000 };

typedef struct um_group {
    uint32_t block;
    uint8_t place;
    bool has_waited; /* a lapse, because its pages go to and fro */
    bool was_asked;  /* its failure was told */
    acre_page_mask missing, missing_written, written;
    uint64_t due_ns; /* not to be served before */
    acre_status status;
} um_group;

enum { THREAD_NONE, THREAD_RUNS, THREAD_ENDED };

typedef struct um_faults {
    acre_page_faults source;
    bool has_source;
    bool has_heard_bell;
    uint32_t thread; /* a futex */
    um_window windows[ACRE_UM_PLACE_MAX];
    um_group groups[GROUPS_MAX];
    unsigned group_count;
    acre_um *next; /* of all that have windows */
} um_faults;

static acre_lock list_lock; /* taken before any lock of a um */
static acre_um *first_um;
static acre_os_thread_key thread_end;
static bool is_set_up; /* fork handlers and the key */

/* ---- one group ---- */

static void tell(const acre_um *um, unsigned place, uint64_t at, const char *why)
{
    char text[512];
    const size_t length =
        acre_format(text, sizeof text, "acre: unified memory: '%s': the page at %llx cannot be had, and its access ends: %s\n",
                    um->places[place].name, (unsigned long long)at, why);
    acre_os_write_error(text, length < sizeof text ? length : sizeof text - 1);
}

/* Without the lock. True: to be tried again. */
static bool ask(acre_um *um, unsigned place, uint64_t at, acre_status status)
{
    const char *const why = acre_last_error();
    if (um->options.on_failure != NULL) return um->options.on_failure(um->options.failure_context, place, at, status, why);
    tell(um, place, at, why);
    return false;
}

static uint64_t block_begin(uint32_t block) { return (uint64_t)block * ACRE_UM_BLOCK_BYTES; }

static acre_page_mask pages_of(const um_group *group)
{
    acre_page_mask all = group->missing;
    acre_mask_unite(&all, &group->missing_written);
    acre_mask_unite(&all, &group->written);
    return all;
}

static unsigned first_page(const acre_page_mask *mask)
{
    unsigned first = 0, count = 0;
    (void)acre_mask_next_run(mask, &first, &count);
    return first;
}

/* Pages that are asked for though they are here by our books: the program dropped them (MADV_REMOVE), or they came meanwhile. */
static void settle(um_window *window, um_block *block, uint64_t begin, const acre_page_mask *pages)
{
    unsigned count = 0;
    for (unsigned first = 0; acre_mask_next_run(pages, &first, &count); first += count)
        for (unsigned page = first; page < first + count; page++)
            acre_window_settle(window, begin + (uint64_t)page * ACRE_UM_PAGE_BYTES, ACRE_UM_PAGE_BYTES, acre_mask_has(&block->dirty, page));
}

static void refuse(um_window *window, um_block *block, uint64_t begin, const acre_page_mask *pages)
{
    unsigned count = 0;
    for (unsigned first = 0; acre_mask_next_run(pages, &first, &count); first += count)
        acre_window_refuse(window, begin + (uint64_t)first * ACRE_UM_PAGE_BYTES, (uint64_t)count * ACRE_UM_PAGE_BYTES);
    block->is_refused = true;
}

static acre_status serve_missing(acre_um *um, um_group *group, const acre_page_mask *asked, bool is_write)
{
    um_block *const block = &um->blocks[group->block];
    um_window *const window = um->places[group->place].window;
    acre_page_mask there = *asked, missing = *asked;
    acre_mask_intersect(&there, &block->resident[group->place]);
    acre_mask_subtract(&missing, &there);
    settle(window, block, block_begin(group->block), &there);
    if (acre_mask_is_empty(&missing)) return ACRE_OK;
    return acre_um_serve(um, block, &missing, group->place, is_write, !group->has_waited);
}

/* Under the lock. ACRE_BUSY: later. */
static acre_status serve_group(acre_um *um, um_group *group)
{
    um_block *const block = &um->blocks[group->block];
    um_window *const window = um->places[group->place].window;
    acre_page_mask all = {{0}}, outside = pages_of(group);
    acre_mask_add_range(&all, 0, block->page_count);
    acre_mask_subtract(&outside, &all);
    if (!acre_mask_is_empty(&outside)) { /* the program's fault: it is not allocated */
        refuse(window, block, block_begin(group->block), &outside);
        tell(um, group->place, block_begin(group->block) + (uint64_t)first_page(&outside) * ACRE_UM_PAGE_BYTES, "it is not allocated");
        acre_mask_intersect(&group->missing, &all);
        acre_mask_intersect(&group->missing_written, &all);
        acre_mask_intersect(&group->written, &all);
    }
    /* Who writes a page that had to go meanwhile brings it again. */
    acre_page_mask gone = group->written;
    acre_mask_subtract(&gone, &block->resident[group->place]);
    acre_mask_subtract(&group->written, &gone);
    acre_mask_unite(&group->missing_written, &gone);
    acre_mask_subtract(&group->missing, &group->missing_written);
    if (!acre_mask_is_empty(&group->written)) {
        acre_um_serve_writes(um, block, &group->written, group->place);
        group->written = (acre_page_mask){{0}};
    }
    acre_status status = serve_missing(um, group, &group->missing_written, true);
    if (status == ACRE_OK) group->missing_written = (acre_page_mask){{0}};
    if (status == ACRE_OK) status = serve_missing(um, group, &group->missing, false);
    return status;
}

/* ---- batches ---- */

static um_group *group_for(um_faults *faults, unsigned place, uint32_t block)
{
    for (unsigned i = 0; i < faults->group_count; i++)
        if (faults->groups[i].block == block && faults->groups[i].place == place) return &faults->groups[i];
    if (faults->group_count == GROUPS_MAX) return NULL;
    um_group *const group = &faults->groups[faults->group_count++];
    *group = (um_group){.block = block, .place = (uint8_t)place};
    return group;
}

static void add_event(acre_um *um, const acre_page_event *event)
{
    um_faults *const faults = um->faults;
    for (unsigned place = 1; place < um->place_count; place++) {
        um_window *const window = um->places[place].window;
        uint64_t at;
        if (window == NULL || !acre_window_find(window, event->address, &at)) continue;
        if (event->kind == ACRE_PAGE_MOVED) {
            acre_window_note_move(window, event->address, event->to, event->bytes);
            return;
        }
        um_group *const group = group_for(faults, place, (uint32_t)(at / ACRE_UM_BLOCK_BYTES));
        if (group == NULL) { /* it comes again */
            acre_window_wake(window, at / ACRE_UM_PAGE_BYTES * ACRE_UM_PAGE_BYTES, ACRE_UM_PAGE_BYTES);
            return;
        }
        acre_page_mask *const mask = event->kind == ACRE_PAGE_PROTECTED ? &group->written
                                     : event->is_write                  ? &group->missing_written
                                                                        : &group->missing;
        acre_mask_add(mask, um_page_in_block(at));
        return;
    }
}

/* Serves what is due; `*failed`: a group that is to be told of. */
static void serve_due(acre_um *um, um_group **failed)
{
    um_faults *const faults = um->faults;
    uint64_t now_ns = 0;
    *failed = NULL;
    for (unsigned i = 0; i < faults->group_count;) {
        um_group *const group = &faults->groups[i];
        if (group->due_ns > now_ns) now_ns = acre_os_now_ns();
        if (group->due_ns > now_ns) {
            i++;
            continue;
        }
        const uint64_t begin_ns = acre_os_now_ns();
        group->status = serve_group(um, group);
        um->places[group->place].figures.stall_ns += acre_os_now_ns() - begin_ns;
        if (group->status == ACRE_OK) {
            *group = faults->groups[--faults->group_count];
            continue;
        }
        if (group->status != ACRE_BUSY) {
            um->places[group->place].figures.failure_count++;
            *failed = group;
            return;
        }
        group->due_ns = acre_os_now_ns() + (group->has_waited ? 0 : um->lapse.ns);
        group->has_waited = true;
        i++;
    }
}

static void tell_failure(acre_um *um, um_group *group)
{
    const acre_page_mask pages = pages_of(group);
    const uint64_t at = block_begin(group->block) + (uint64_t)first_page(&pages) * ACRE_UM_PAGE_BYTES;
    const unsigned place = group->place;
    const uint32_t block = group->block;
    const bool is_asked_again = group->was_asked;
    group->was_asked = true; /* whoever ends this thread now is not asked a second time */
    acre_lock_drop(&um->lock);
    const bool is_tried_again = !is_asked_again && ask(um, place, at, group->status);
    acre_lock_take(&um->lock);
    group = group_for(um->faults, place, block);
    if (group == NULL) return;
    group->was_asked = false;
    if (is_tried_again) return;
    const acre_page_mask refused = pages_of(group);
    refuse(um->places[place].window, &um->blocks[block], block_begin(block), &refused);
    *group = um->faults->groups[--um->faults->group_count];
}

static uint64_t until_due_ns(const um_faults *faults)
{
    uint64_t first_ns = UINT64_MAX;
    for (unsigned i = 0; i < faults->group_count; i++)
        if (faults->groups[i].due_ns < first_ns) first_ns = faults->groups[i].due_ns;
    const uint64_t now_ns = first_ns == UINT64_MAX ? 0 : acre_os_now_ns();
    return first_ns == UINT64_MAX ? first_ns : first_ns > now_ns ? first_ns - now_ns : 0;
}

static void serve_faults(void *argument)
{
    acre_um *const um = argument;
    um_faults *const faults = um->faults;
    acre_page_event events[ACRE_PAGE_EVENTS_MAX];
    uint64_t timeout_ns = 0; /* another may have left something */
    (void)acre_os_thread_key_set(thread_end, um);
    for (bool rang = false; !rang;) {
        unsigned count = 0;
        um_group *failed;
        (void)acre_page_faults_read(&faults->source, timeout_ns, events, &count, &rang);
        faults->has_heard_bell = rang; /* also if this thread ends below */
        acre_lock_take(&um->lock);
        for (unsigned i = 0; i < count; i++) add_event(um, &events[i]);
        acre_um_hide_unpinned(um);
        for (serve_due(um, &failed); failed != NULL; serve_due(um, &failed)) tell_failure(um, failed);
        timeout_ns = acre_min_size(until_due_ns(faults), um->shown_count == 0 ? UINT64_MAX : LOOK_NS);
        acre_lock_drop(&um->lock);
    }
}

/* ---- the thread's beginning and end ---- */

/* Nobody serves faults any more: who waits, and who comes, is told so by a signal. Nothing is lost; acre_um_touch and acre_um_pointer with
 * home go on. */
static void give_up(acre_um *um)
{
    acre_lock_take(&um->lock);
    for (unsigned place = 1; place < um->place_count; place++)
        if (um->places[place].window != NULL) acre_window_refuse(um->places[place].window, 0, um->options.bytes_max);
    acre_page_faults_stop(&um->faults->source); /* also for who rings */
    acre_lock_drop(&um->lock);
}

/* In the thread that ends: because somebody rang, or by its own in a function of the program. */
static void at_thread_end(void *argument)
{
    acre_um *const um = argument;
    um_faults *const faults = um->faults;
    static const char text[] = "acre: unified memory: its thread has ended, and no other can be started: accesses to it end\n";
    if (!faults->has_heard_bell && acre_os_start_thread(serve_faults, um) == ACRE_OK) return;
    if (!faults->has_heard_bell) {
        acre_os_write_error(text, sizeof text - 1);
        give_up(um);
    }
    __atomic_store_n(&faults->thread, THREAD_ENDED, __ATOMIC_RELEASE);
    acre_os_wake(&faults->thread);
}

static acre_status start(acre_um *um)
{
    um_faults *const faults = um->faults;
    acre_status status = acre_page_faults_open(&faults->source);
    if (status != ACRE_OK) return status;
    faults->thread = THREAD_RUNS;
    status = acre_os_start_thread(serve_faults, um);
    faults->has_source = status == ACRE_OK;
    if (status != ACRE_OK) {
        faults->thread = THREAD_NONE;
        acre_page_faults_close(&faults->source);
    }
    return status;
}

/* ---- signals ---- */

/* Under the lock. */
static acre_status serve_access(acre_um *um, unsigned place, uint64_t at, char access, bool may_wait)
{
    um_block *const block = um_block_at(um, at);
    acre_page_mask page = {{0}};
    acre_mask_add(&page, um_page_in_block(at));
    if (um_page_in_block(at) >= block->page_count)
        return acre_fail(ACRE_BAD_POINTER, "unified memory: '%s': nothing is allocated at %llx", um->places[place].name,
                         (unsigned long long)at);
    const bool is_there = acre_mask_has(&block->resident[place], um_page_in_block(at));
    const bool is_write = access == 'w' || (access == '?' && is_there);
    if (!is_there) return acre_um_serve(um, block, &page, place, is_write, may_wait);
    if (acre_os_is_mapped(acre_um_address(um, place, at), ACRE_UM_PAGE_BYTES)) { /* else it would be tried for ever */
        if (is_write) acre_um_serve_writes(um, block, &page, place);
        return ACRE_OK;
    }
    return acre_fail(ACRE_BAD_POINTER, "unified memory: '%s': the program has unmapped what was at %llx", um->places[place].name,
                     (unsigned long long)at);
}

static bool find_window(uintptr_t address, acre_um **um, unsigned *place, uint64_t *at)
{
    acre_lock_take(&list_lock);
    for (*um = first_um; *um != NULL; *um = (*um)->faults->next) {
        for (*place = 1; *place < (*um)->place_count; ++*place) {
            const um_window *const window = (*um)->places[*place].window;
            if (window == NULL || window->source != NULL || !acre_window_find(window, address, at)) continue;
            acre_lock_drop(&list_lock);
            return true;
        }
    }
    acre_lock_drop(&list_lock);
    return false;
}

/* In a signal handler. */
static bool on_access(uintptr_t address, char access)
{
    acre_um *um;
    unsigned place;
    uint64_t at;
    if (!find_window(address, &um, &place, &at) || um->is_parents) return false;
    at = at / ACRE_UM_PAGE_BYTES * ACRE_UM_PAGE_BYTES;
    for (bool may_wait = true;; may_wait = false) {
        acre_lock_take(&um->lock);
        acre_um_hide_unpinned(um);
        const uint64_t begin_ns = acre_os_now_ns();
        const acre_status status = serve_access(um, place, at, access, may_wait);
        um->places[place].figures.stall_ns += acre_os_now_ns() - begin_ns;
        if (status != ACRE_OK && status != ACRE_BUSY) um->places[place].figures.failure_count++;
        const uint64_t lapse_ns = um->lapse.ns;
        acre_lock_drop(&um->lock);
        if (status == ACRE_OK) return true;
        if (status == ACRE_BUSY) {
            acre_os_sleep_ns(lapse_ns);
        } else if (!ask(um, place, at, status)) {
            return false;
        }
    }
}

/* ---- fork ---- */

static int fork_gate[2];
static bool fork_is_held; /* nobody writes in the parent until the child has passed the gate */

/* A home that the parent goes on to write is no home for two: a child does without. */
static bool home_is_shared(const acre_um *um)
{
    const um_place *const home = &um->places[ACRE_UM_HOME];
    if (home->contents != NULL) return home->contents->is_shared;
    return (home->space->info.capabilities & (ACRE_CAP_SHARED | ACRE_CAP_PERSISTENT)) != 0;
}

/* Of all windows, lets nobody write, so that the child can copy what was there at the time of the fork; and lets them again. False:
 * somebody may write meanwhile. */
static bool hold_writers(acre_um *um, bool holds)
{
    bool is_held = true;
    for (unsigned place = 1; place < um->place_count; place++) {
        for (uint32_t i = 0; i < um->block_count && um->places[place].window != NULL; i++) {
            um_block *const block = &um->blocks[i];
            acre_page_mask written = block->dirty;
            unsigned count = 0;
            acre_mask_intersect(&written, &block->resident[place]);
            if (!holds) acre_um_open_pages(um, block, &written, place);
            for (unsigned first = 0; holds && acre_mask_next_run(&written, &first, &count); first += count)
                if (acre_window_protect(um->places[place].window, block_begin(i) + (uint64_t)first * ACRE_UM_PAGE_BYTES,
                                        (uint64_t)count * ACRE_UM_PAGE_BYTES) != ACRE_OK)
                    is_held = false;
        }
    }
    return is_held;
}

static void before_fork(void)
{
    acre_lock_take(&list_lock);
    fork_is_held = true;
    for (acre_um *um = first_um; um != NULL; um = um->faults->next) {
        acre_lock_take(&um->lock);
        if (!home_is_shared(um) && !hold_writers(um, true)) fork_is_held = false;
    }
    if (first_um != NULL && acre_os_open_gate(fork_gate) != ACRE_OK) fork_is_held = false;
}

static void drop_locks(void)
{
    for (acre_um *um = first_um; um != NULL; um = um->faults->next) acre_lock_drop(&um->lock);
    acre_lock_drop(&list_lock);
}

static void in_parent(void)
{
    if (first_um != NULL) acre_os_wait_at_gate(fork_gate);
    for (acre_um *um = first_um; um != NULL; um = um->faults->next)
        if (!home_is_shared(um)) (void)hold_writers(um, false);
    drop_locks();
}

/* Contents of the parent's window: the parent waits until this is done. */
static acre_status copy_window(acre_um *um, unsigned place, int memory)
{
    um_window *const window = um->places[place].window;
    const acre_status made = acre_um_make_staging(um);
    if (made != ACRE_OK) return made;
    for (uint32_t i = 0; i < um->block_count; i++) {
        um_block *const block = &um->blocks[i];
        unsigned count = 0;
        for (unsigned first = 0; acre_mask_next_run(&block->resident[place], &first, &count); first += count) {
            const uint64_t at = block_begin(i) + (uint64_t)first * ACRE_UM_PAGE_BYTES, bytes = (uint64_t)count * ACRE_UM_PAGE_BYTES;
            acre_status status = acre_page_contents_read(memory, at, um->staging, bytes);
            if (status == ACRE_OK) status = acre_window_put_back(window, at, um->staging, bytes);
            if (status != ACRE_OK) return status;
        }
        acre_page_mask clean = block->resident[place];
        acre_mask_subtract(&clean, &block->dirty);
        for (unsigned first = 0; acre_mask_next_run(&clean, &first, &count); first += count)
            (void)acre_window_protect(window, block_begin(i) + (uint64_t)first * ACRE_UM_PAGE_BYTES, (uint64_t)count * ACRE_UM_PAGE_BYTES);
    }
    return ACRE_OK;
}

static acre_status take_over(acre_um *um, bool has_addresses)
{
    um_faults *const faults = um->faults;
    const bool had_source = faults->has_source;
    faults->group_count = 0;
    faults->has_heard_bell = false;
    um->shown_count = 0;
    for (uint32_t i = 0; i < um->block_count; i++) {
        acre_mask_subtract(&um->blocks[i].remote, &um->blocks[i].shown);
        um->blocks[i].shown = (acre_page_mask){{0}};
    }
    faults->has_source = false;
    faults->thread = THREAD_NONE;
    if (had_source) acre_page_faults_close(&faults->source);
    acre_status status = has_addresses && fork_is_held && !home_is_shared(um) ? ACRE_OK : ACRE_UNSUPPORTED;
    if (status == ACRE_OK && had_source) status = start(um);
    for (unsigned place = 1; place < um->place_count && status == ACRE_OK; place++) {
        um_window *const window = um->places[place].window;
        int memory;
        if (window == NULL) continue;
        status = acre_window_renew(window, window->source == NULL ? NULL : &faults->source, &memory);
        if (status == ACRE_OK) status = copy_window(um, place, memory);
        acre_os_close(memory);
    }
    um->is_parents = status != ACRE_OK;
    return status;
}

/* The child's first threads and mappings would come to lie where windows were. */
static bool keep_addresses(void)
{
    bool has_all = true;
    for (acre_um *um = first_um; um != NULL; um = um->faults->next)
        for (unsigned place = 1; place < um->place_count; place++)
            if (um->places[place].window != NULL && acre_window_keep_addresses(um->places[place].window) != ACRE_OK) has_all = false;
    return has_all;
}

static void in_child(void)
{
    const bool has_addresses = keep_addresses();
    for (acre_um *um = first_um; um != NULL; um = um->faults->next) {
        char text[512];
        if (take_over(um, has_addresses) == ACRE_OK || home_is_shared(um)) continue;
        const size_t length = acre_format(text, sizeof text, "acre: unified memory: a child does without it: %s\n", acre_last_error());
        acre_os_write_error(text, length < sizeof text ? length : sizeof text - 1);
    }
    if (first_um != NULL) acre_os_pass_gate(fork_gate);
    drop_locks();
}

/* ---- windows ---- */

/* Under the lock of the list. */
static acre_status set_up(void)
{
    if (is_set_up) return ACRE_OK;
    acre_status status = acre_os_thread_key_create(&thread_end, at_thread_end);
    if (status == ACRE_OK) status = acre_os_at_fork(before_fork, in_parent, in_child);
    is_set_up = status == ACRE_OK;
    return status;
}

/* Under both locks. */
static acre_status make_faults(acre_um *um)
{
    const acre_status status = set_up();
    if (status != ACRE_OK) return status;
    um_faults *const faults = acre_meta_alloc(&um->meta, sizeof *faults);
    if (faults == NULL) return ACRE_NO_MEMORY;
    faults->source = (acre_page_faults){.descriptor = -1};
    faults->next = first_um;
    um->faults = faults;
    first_um = um;
    return ACRE_OK;
}

acre_status acre_um_open_faults(acre_um *um)
{
    acre_lock_take(&list_lock);
    acre_lock_take(&um->lock);
    const acre_status status = um->faults != NULL ? ACRE_OK : make_faults(um);
    acre_lock_drop(&um->lock);
    acre_lock_drop(&list_lock);
    return status;
}

acre_status acre_um_open_window(acre_um *um, um_place *place, acre_um_fault_source source)
{
    acre_status status = ACRE_OK;
    um_faults *const faults = um->faults;
    if (source != ACRE_UM_SIGNALS && !faults->has_source) status = start(um);
    const bool by_signal = source == ACRE_UM_SIGNALS || (source == ACRE_UM_PAGE_FAULTS && status == ACRE_UNSUPPORTED);
    if (by_signal) status = acre_page_faults_by_signal(on_access);
    if (status != ACRE_OK) return status;
    um_window *const window = &faults->windows[place - um->places];
    status = acre_window_open(window, um->options.bytes_max, by_signal ? NULL : &faults->source);
    if (status == ACRE_OK) place->window = window;
    return status;
}

void acre_um_close_windows(acre_um *um)
{
    um_faults *const faults = um->faults;
    if (faults == NULL) return;
    acre_lock_take(&list_lock);
    acre_um **link = &first_um;
    while (*link != um) link = &(*link)->faults->next;
    *link = faults->next;
    acre_lock_drop(&list_lock);
    if (__atomic_load_n(&faults->thread, __ATOMIC_ACQUIRE) == THREAD_RUNS) acre_page_faults_ring(&faults->source);
    while (__atomic_load_n(&faults->thread, __ATOMIC_ACQUIRE) == THREAD_RUNS) acre_os_wait(&faults->thread, THREAD_RUNS, 100000000);
    for (unsigned place = 1; place < um->place_count; place++)
        if (um->places[place].window != NULL) acre_window_close(um->places[place].window);
    acre_page_faults_close(&faults->source);
}
