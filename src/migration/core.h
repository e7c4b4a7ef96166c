/* core.h - what the files of this room share: blocks, places, and who does what.
 *
 *     um.c        opening, allocating, advice, touches: the public functions
 *     faults.c    page faults of the process: threads and signals
 *     service.c   a fault is served: what comes with it, and how it comes
 *     evict.c     what goes to make room
 *     place.c     contents and time of a place: the only file that copies
 *     window.c    addresses behind which a page is only while it is in the place
 *     frames.c    blocks in a space that the host has no addresses of
 *
 * Invariants of a block, see acre_um_is_valid: a page that is dirty is not good at home, and is in some place; in places other than home a
 * page is in one at a time, unless the block is read mostly; what is beyond page_count is nowhere. A unit of a place's eviction policy
 * is in use exactly when one of its pages is in the place; a block has a frame of a place that has frames exactly then, too.
 */
#ifndef ACRE_MIGRATION_CORE_H
#define ACRE_MIGRATION_CORE_H

#include "alloc/meta.h"
#include "base/status.h"
#include "migration/frames.h"
#include "migration/window.h"
#include "policy/density.h"
#include "policy/thrash.h"

#include <acre/prefetch.h>
#include <acre/um.h>

enum { UM_UNITS = ACRE_BLOCK_PAGES / ACRE_BIG_PAGE_PAGES };

/* Of the pages of a block. */
typedef struct um_thrash {
    acre_thrash pages[ACRE_BLOCK_PAGES];
    acre_thrash_epoch epoch;
    struct um_thrash *next_spare;
} um_thrash;

typedef struct um_block {
    acre_page_mask resident[ACRE_UM_PLACE_MAX]; /* good contents; of home also such as nobody may use, since the page is elsewhere too */
    acre_page_mask dirty;                       /* newer than home's */
    acre_page_mask remote;                      /* used where they are by who is elsewhere */
    acre_page_mask ahead;                       /* brought without having been touched, and not touched since */
    acre_page_mask lost;                        /* had to go at some time */
    acre_page_mask shown;                       /* used through a window of another place */
    uint64_t ready_ns[UM_UNITS];                /* modelled: when the last transfer of some of these pages ends */
    uint16_t remote_counts[UM_UNITS];           /* touches that were used elsewhere */
    uint64_t evicted_pages, wasted_pages;       /* so far, see acre_um_block_figures */
    um_thrash *thrash;                          /* NULL: no page has been in two places */
    uint32_t round_trips;                       /* how often something of it had to go */
    uint32_t page_count;                        /* 0: not allocated */
    uint32_t range_blocks;                      /* in the first block of a range: how many it has; else 0 */
    uint8_t preferred;                          /* place + 1; 0: none is */
    uint8_t accessed_by;                        /* a bit a place */
    bool is_read_mostly;
    bool is_streamed; /* was brought ahead of a stream, and not touched since */
    bool is_refused;  /* an access to one of its pages ended with a signal */
} um_block;

enum { UM_SHOWN_MAX = 64, UM_GOING_MAX = 16, UM_GIVE_PERCENT = 50 };

typedef struct um_place {
    char name[32];
    uint64_t capacity_pages; /* UINT64_MAX: all fits */
    uint64_t used_pages;
    acre_space *space; /* NULL: no contents, a window, or frames */
    acre_addr base;
    um_window *window;                /* NULL: nobody faults here */
    const acre_um_contents *contents; /* of home: NULL but where they are no memory */
    um_frames *frames;                /* NULL: the host has addresses of it */
    acre_um_costs costs;
    uint64_t in_free_ns, out_free_ns; /* modelled: when the copy engines are free */
    uint64_t room_ns;                 /* modelled: what comes cannot begin to before */
    struct {
        uint64_t pages, end_ns;
    } going[UM_GOING_MAX]; /* modelled: pages that are free when their contents have gone, the first to end first */
    unsigned going_count;
    uint64_t going_pages;
    /* Units that go: */
    acre_policy *policy; /* NULL: everything fits, or at random */
    uint32_t *units;     /* at random: those in use, in any order */
    uint32_t *unit_at;   /* at random: where a unit is in `units` */
    uint32_t unit_count;
    acre_prefetcher *streams;
    unsigned level;                        /* adaptive: 0 a page, 1 64 KiB, 2 by density */
    unsigned probe_count;                  /* adaptive: faults at a low level */
    uint64_t judged_useful, judged_wasted; /* figures when the level was last judged */
    acre_um_figures figures;
} um_place;

struct acre_um {
    acre_um_options options;
    acre_um_rules rules; /* without zeros */
    acre_meta meta;
    acre_space pages; /* when options.meta is NULL */
    acre_lock lock;
    um_block *blocks;
    uint32_t block_count;
    um_place places[ACRE_UM_PLACE_MAX];
    unsigned place_count;
    uint64_t now_ns;               /* modelled */
    uint64_t kept_first, kept_end; /* pages, counted over all blocks, which stay where they are while a touch of them is served */
    uint64_t random;
    acre_thrash_lapse lapse;
    um_thrash *spare_thrash;
    acre_page_mask opened;    /* of the block that is served: pages of a window that come such that they can be written */
    unsigned char *staging;   /* a block's bytes; NULL: were never needed */
    struct um_faults *faults; /* NULL: no place faults */
    bool is_parents;          /* in a child of fork: contents are the parent's, and nothing is done here */
    struct {
        uint32_t block, page;
    } shown[UM_SHOWN_MAX]; /* the pages of all that are */
    unsigned shown_count;
};

/* ---- small questions ---- */

static inline um_block *um_block_at(acre_um *um, uint64_t at) { return &um->blocks[at / ACRE_UM_BLOCK_BYTES]; }
static inline unsigned um_page_in_block(uint64_t at) { return (unsigned)(at / ACRE_UM_PAGE_BYTES % ACRE_BLOCK_PAGES); }
static inline uint32_t um_block_number(const acre_um *um, const um_block *block) { return (uint32_t)(block - um->blocks); }

static inline uint64_t um_now_ns(const acre_um *um) { return um->options.is_modelled ? um->now_ns : acre_os_now_ns(); }

/* The page is in some place other than home and `but`. */
static inline bool acre_um_is_elsewhere(const acre_um *um, const um_block *block, unsigned page, unsigned but)
{
    for (unsigned i = 1; i < um->place_count; i++)
        if (i != but && acre_mask_has(&block->resident[i], page)) return true;
    return false;
}

/* The place whose copy of the page is the newest: home if no other has one. */
static inline unsigned acre_um_holder_of(const acre_um *um, const um_block *block, unsigned page)
{
    for (unsigned i = 1; i < um->place_count; i++)
        if (acre_mask_has(&block->resident[i], page)) return i;
    return ACRE_UM_HOME;
}

/* The host has no addresses of what is in the place. */
static inline bool acre_um_is_hidden(const acre_um *um, unsigned place)
{
    return um->places[place].frames != NULL || um->places[place].contents != NULL;
}

/* Whoever works in `place` could use the page where it is, if that is elsewhere. */
static inline bool acre_um_can_reach(const acre_um *um, const um_block *block, unsigned page, unsigned place)
{
    return !acre_um_is_hidden(um, place) && !acre_um_is_hidden(um, acre_um_holder_of(um, block, page));
}

/* Pages of the block can come to the place only when another block has gone. */
static inline bool acre_um_lacks_frame(const acre_um *um, const um_block *block, unsigned place)
{
    return um->places[place].frames != NULL && acre_frames_lack(um->places[place].frames, um_block_number(um, block));
}

/* The page can be used by who works in `place` without a fault, and without going elsewhere. */
static inline bool acre_um_is_here(const acre_um *um, const um_block *block, unsigned page, unsigned place, bool is_write)
{
    if (place != ACRE_UM_HOME)
        return acre_mask_has(&block->resident[place], page) && !(is_write && acre_um_is_elsewhere(um, block, page, place));
    if (!acre_mask_has(&block->resident[ACRE_UM_HOME], page)) return false;
    return (block->is_read_mostly && !is_write) || !acre_um_is_elsewhere(um, block, page, place);
}

/* Pages of the block that are being touched. */
static inline acre_page_mask acre_um_kept_of(const acre_um *um, const um_block *block)
{
    const uint64_t begin = (uint64_t)um_block_number(um, block) * ACRE_BLOCK_PAGES;
    const uint64_t first = acre_max_size(um->kept_first, begin);
    const uint64_t end = acre_min_size(um->kept_end, begin + ACRE_BLOCK_PAGES);
    acre_page_mask kept = {{0}};
    if (first < end) acre_mask_add_range(&kept, (unsigned)(first - begin), (unsigned)(end - first));
    return kept;
}

/* ---- place.c ---- */

enum { UM_NOWHERE = ACRE_UM_PLACE_MAX };

/* Copies pages between two places, `from` UM_NOWHERE zeros. Changes no mask. Modelled: lets the time of it pass, and nobody wait. On
 * failure *done pages, the first, are there all the same. */
acre_status acre_um_copy_pages(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned from, unsigned to, unsigned *done);

/* Room for the pages of a block in `staging`. */
acre_status acre_um_make_staging(acre_um *um);

/* The bytes at `at` in a place; NULL: there are no contents. */
void *acre_um_address(const acre_um *um, unsigned place, uint64_t at);

/* The contents of pages of a place are not needed. */
void acre_um_discard(acre_um *um, um_block *block, unsigned first, unsigned count, unsigned place);

/* Modelled: pages go, which are free when what is on its way out now has gone; and pages come, into what is free soonest. */
void acre_um_free_later(acre_um *um, um_place *place, uint64_t pages);
void acre_um_take_free(acre_um *um, um_place *place, uint64_t pages);

/* A page of a window that is pinned there is used through other windows, too, until its pin ends or it has to go. False: it cannot be. */
bool acre_um_show_page(acre_um *um, um_block *block, unsigned page, unsigned place);
void acre_um_hide_pages(acre_um *um, um_block *block, unsigned first, unsigned count);
void acre_um_hide_unpinned(acre_um *um);

/* Pages of a window are written from now on: it lets them be. */
void acre_um_open_pages(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place);

/* Accesses to the block that ended with a signal may be made again. */
void acre_um_accept_block(acre_um *um, um_block *block);

/* ---- faults.c ---- */

/* Before the first place gets a window. Not under the lock. */
acre_status acre_um_open_faults(acre_um *um);

/* Gives a place a window. */
acre_status acre_um_open_window(acre_um *um, um_place *place, acre_um_fault_source source);

/* No fault is served any more; the windows are closed. Not under the lock. */
void acre_um_close_windows(acre_um *um);

/* ---- evict.c ---- */

acre_status acre_um_open_eviction(acre_um *um, um_place *place);
bool acre_um_eviction_is_valid(const acre_um *um, unsigned place);

/* Makes room for `pages` pages in `place`; none of `keep` of `kept` goes. ACRE_NO_MEMORY: there is nothing that may go. */
acre_status acre_um_make_room(acre_um *um, unsigned place, uint64_t pages, const um_block *kept, const acre_page_mask *keep);

/* Lets pages of a block go from a place: contents that are nowhere else are copied home first. On failure all are there as before. */
acre_status acre_um_evict_pages(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place);

/* Pages have come to `place`, have gone, or were touched: masks, counts and the units of its policy. */
void acre_um_note_arrival(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place);
void acre_um_note_departure(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place);
void acre_um_note_use(acre_um *um, um_block *block, unsigned page, unsigned place);

/* ---- service.c ---- */

/* Serves faults on pages of one block in one place. Then each is there, or is marked to be used where it is. ACRE_BUSY, in real time and
 * with `may_wait`: who asks is to wait for a lapse, and ask again. */
acre_status acre_um_serve(acre_um *um, um_block *block, const acre_page_mask *faulted, unsigned place, bool is_write, bool may_wait);

/* Pages of a window that are there are written for the first time since they came. */
void acre_um_serve_writes(acre_um *um, um_block *block, const acre_page_mask *faulted, unsigned place);

/* Brings pages that nobody asked for; no other page goes for them when `only_free`. */
acre_status acre_um_bring_ahead(acre_um *um, um_block *block, const acre_page_mask *pages, unsigned place, bool only_free);

/* Of pages that several places have a copy of, all but one go. */
acre_status acre_um_make_single(acre_um *um, um_block *block);

/* A touch of a page that is there; and of one that is used where it is: false, it has to be served after all. */
void acre_um_use_here(acre_um *um, um_block *block, unsigned page, unsigned place, bool is_write);
bool acre_um_use_there(acre_um *um, um_block *block, unsigned page, unsigned place, uint64_t bytes, bool is_write);

/* Somebody has reached a block that was brought ahead of a stream. */
void acre_um_go_on_ahead(acre_um *um, um_block *block, unsigned place);

#endif
