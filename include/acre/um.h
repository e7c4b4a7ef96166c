/* um.h - unified memory in user space: one range of memory whose pages are where they are used, between any two memories.
 *
 * A *place* is a memory with a capacity: the host's, a device's, a file, or one that is only modelled. Place 0 is *home*: all fits there.
 * What is allocated has one address in all places. Whoever works in a place *touches* pages: one that is not there is a *fault*, and is
 * brought, with others that the prefetch rule expects to be touched; what has to go for that, the eviction rule chooses. The rules are
 * plain functions of what is where, of the faults and of the clock, so the same code serves real faults and replays.
 *
 *     acre_um_open(&(acre_um_options){.bytes_max = 1 << 30, .home = &file_space}, &um);
 *     acre_um_add_place(um, &(acre_um_place){.name = "near", .capacity_bytes = 64 << 20, .space = &pages}, &near_place);
 *     acre_um_allocate(um, 512 << 20, &at);
 *     acre_um_touch(um, near_place, at, 4096, true);              now these bytes may be written ...
 *     memcpy(acre_um_pointer(um, near_place, at), "hello", 6);    ... until the next call that brings something there
 *
 * A page has contents in one place or in several. Home's copy of a page that is elsewhere stays good until the page is written there, so
 * a page that was only read goes for nothing. In places other than home it is in one at a time, unless it is *read mostly*: then each
 * reader has a copy, and a write takes the others away. What was never written reads as zero, and is copied from nowhere.
 *
 * With costs for each place (`costs`, acre_um_costs) time is modelled: a clock of its own goes on with each touch, and the figures say how
 * long the work would have taken there. Such places need no memory behind them.
 *
 * Threads: any, at any time; one works at a time. Costs: a touch of a page that is there takes 12 to 60 ns by the rules. Memory: 1 KiB for
 * each 2 MiB that is allocated, and what acre_policy_bytes says for each unit of eviction and place.
 *
 * A place can be in memory that the host has no addresses of, as that of a device: acre_um_frame tells where its pages are
 * (examples/um_opencl.c).
 *
 * Sources of the rules: docs/um.md.
 *
 * Example: examples/um.c.
 */
#ifndef ACRE_UM_H
#define ACRE_UM_H

#include <acre/policy.h>
#include <acre/space.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_UM_PAGE_BYTES  4096u
#define ACRE_UM_BLOCK_BYTES (2u << 20) /* what is allocated begins at a multiple of that */
#define ACRE_UM_PLACE_MAX   4u
#define ACRE_UM_HOME        0u

typedef struct acre_um acre_um;

/* ---- the rules ---- */

typedef enum acre_um_prefetch {
    ACRE_UM_PREFETCH_NONE,     /* the page that was asked for */
    ACRE_UM_PREFETCH_BIG_PAGE, /* the 64 KiB around it */
    ACRE_UM_PREFETCH_DENSITY,  /* the widest group around it of which more than density_percent is there: NVIDIA's */
    ACRE_UM_PREFETCH_ADAPTIVE, /* by density, less where what was brought is not used; whole blocks ahead of streams */
} acre_um_prefetch;

typedef enum acre_um_migration {
    ACRE_UM_FIRST_TOUCH,        /* a page that is touched comes */
    ACRE_UM_THRESHOLD,          /* it is used where it is until its 64 KiB have been touched access_threshold times */
    ACRE_UM_ADAPTIVE_THRESHOLD, /* the same, with a threshold that grows as the place fills and with each time that its block had to go */
} acre_um_migration;

typedef enum acre_um_eviction {
    ACRE_UM_EVICT_BY_POLICY, /* units that `policy` chooses */
    ACRE_UM_EVICT_RANDOM,    /* any unit */
} acre_um_eviction;

typedef struct acre_um_rules {
    acre_um_prefetch prefetch;
    uint32_t density_percent; /* 1 to 100; 0 means 51, NVIDIA's */
    acre_um_migration migration;
    uint32_t access_threshold; /* 0 means 256, NVIDIA's; 8 for the adaptive one */
    acre_um_eviction eviction;
    acre_policy_kind policy;
    uint32_t unit_pages;    /* what goes at once: 1, 16 or 512 pages; 0 means 512 */
    bool evicts_by_density; /* units of 16 pages, and with them each group that is left less than half full */
    uint32_t free_percent;  /* of a place are kept free ahead of time: 0 to 50 */
    bool ignores_thrashing; /* else a page that two places take from each other is left where it is for a while, see docs/um.md */
    uint64_t lapse_ns;      /* of that: 0 means 500,000 */
    bool adapts_lapse;      /* it grows and shrinks with the time after which pages are taken back: 5 us to 500 ms */
    bool remembers_waits;   /* a page that thrashes again is left sooner, until its block was quiet for 2,000 lapses */
} acre_um_rules;

/* Rules by name: "demand" (4 KiB, LRU of pages), "64k", "nvidia" (density, blocks in the order of their coming), "lru" (density, blocks by
 * use), "tree" (density both ways), "delayed" (adaptive threshold), "acre" (the default). ACRE_INVALID: none of these, or a NULL. */
ACRE_API acre_status acre_um_rules_named(const char *name, acre_um_rules *rules);

/* The names, one by one; NULL after the last. */
ACRE_API const char *acre_um_rules_name(unsigned number);

/* ---- opening ---- */

/* Who hears of a touch of a page that is not there. */
typedef enum acre_um_fault_source {
    ACRE_UM_TOUCHES,     /* acre_um_touch says so */
    ACRE_UM_PAGE_FAULTS, /* the processor: whichever of the following there is */
    ACRE_UM_USERFAULTFD, /* a thread serves faults, in batches, by Linux's userfaultfd (5.19); who touches waits */
    ACRE_UM_SIGNALS,     /* the handler of SIGSEGV serves them, one at a time, in the thread that touches */
} acre_um_fault_source;

/* A fault could not be served: `why` is the sentence of acre_last_error. True: try again. False: the access ends with SIGSEGV. Not called
 * in a signal handler, but for ACRE_UM_SIGNALS. No lock is held. */
typedef bool (*acre_um_failure)(void *context, unsigned place, uint64_t at, acre_status status, const char *why);

/* How contents reach what the host can neither address nor map: home in a file or compressed, a buffer of OpenCL. Each returns when it is
 * done, and is called under the lock of the acre_um, which it must not call; for whole pages, at most 2 MiB. `at` is the number that
 * acre_um_allocate gives, or of a place with a space the address there. Bytes are the host's; they must not be such as fault here. */
typedef struct acre_um_contents {
    acre_status (*write)(void *context, uint64_t at, const void *bytes, uint64_t size); /* NULL, of home alone: zeros. On failure each page
                                                                                         * is as before, or as wanted */
    acre_status (*read)(void *context, uint64_t at, void *bytes, uint64_t size);        /* what was written last */
    void (*discard)(void *context, uint64_t at, uint64_t size); /* of home: it will not be read before it is written. NULL: no need */
    void *context;
    bool is_shared; /* home: with a child of fork, which does without what faults: acre_um_free and _close do nothing to it there, and
                     * whatever else is ACRE_UNSUPPORTED */
} acre_um_contents;

typedef struct acre_um_options {
    uint64_t bytes_max;             /* that can be allocated at one time; a multiple of ACRE_UM_BLOCK_BYTES, up to 16 TiB */
    acre_um_rules rules;            /* all zero: density, blocks by the policy `adaptive`, first touch */
    acre_space *home;               /* contents of place 0: `bytes_max` of it are reserved. NULL: no contents, places are models */
    acre_um_contents home_contents; /* instead of `home`: nobody works there then. All NULL: there are none */
    acre_space *meta;               /* for what is known of the blocks: host memory. NULL: pages of the host */
    bool is_modelled;               /* time is that of the places' costs; else it is the system's */
    uint64_t random_seed;
    acre_um_failure on_failure; /* NULL: the reason goes to standard error */
    void *failure_context;
} acre_um_options;

/* What a modelled place costs. */
typedef struct acre_um_costs {
    uint64_t fault_ns;                        /* from a fault to the beginning of its transfer */
    uint64_t transfer_ns;                     /* of each run of pages, beside its bytes */
    uint64_t in_bytes_per_s, out_bytes_per_s; /* both ways at once; 0: no time at all */
    uint64_t remote_ns;                       /* a touch of a page that is used where it is */
    uint64_t access_ns;                       /* a touch of a page that is here */
} acre_um_costs;

typedef struct acre_um_place {
    const char *name;        /* copied, at most 31 characters */
    uint64_t capacity_bytes; /* at least 4 MiB; 0: all fits */
    acre_space *space; /* contents: `bytes_max` of its addresses are reserved, and memory committed as it is needed. NULL in an acre_um
                        * without contents. Of a space without ACRE_CAP_HOST_ACCESS (acre_gpu_open_space) frames of 2 MiB are
                        * reserved, as many as the capacity has: acre_um_frame. Rules with units of 512 pages only */
    acre_um_contents contents;   /* of such a space; all NULL: it is mapped (ACRE_CAP_MAP) */
    acre_um_costs costs;         /* of a modelled place */
    acre_um_fault_source faults; /* but for ACRE_UM_TOUCHES the place has memory of its own (`space` is NULL), at addresses that the program
                                  * uses without further ado: acre_um_pointer. Not in an acre_um whose time is modelled */
} acre_um_place;

/* ACRE_INVALID: a NULL, options out of their ranges. ACRE_NO_MEMORY. Nothing is held then. */
ACRE_API acre_status acre_um_open(const acre_um_options *options, acre_um **um);

/* Gives all back; the spaces stay the caller's. Contents are lost. NULL is allowed. */
ACRE_API void acre_um_close(acre_um *um);

/* ACRE_INVALID: a NULL, a capacity, a space where there are no contents, or none where there are, or one that the host cannot reach, or not
 * under these rules. ACRE_NO_MEMORY: also for more than ACRE_UM_PLACE_MAX places. O(1), and a call of the space for each frame. */
ACRE_API acre_status acre_um_add_place(acre_um *um, const acre_um_place *place, unsigned *number);

/* The costs of home, for whoever works there; those of the others are in acre_um_place. */
ACRE_API acre_status acre_um_set_home_costs(acre_um *um, const acre_um_costs *costs);

/* ---- memory ---- */

/* `bytes` of zeros at `*at`, a number that is the same in each place: a multiple of ACRE_UM_BLOCK_BYTES, rounded up to whole pages.
 * ACRE_INVALID: a NULL, 0 bytes. ACRE_NO_MEMORY: nothing of that length is left of bytes_max. O(allocated ranges). */
ACRE_API acre_status acre_um_allocate(acre_um *um, uint64_t bytes, uint64_t *at);

/* ACRE_INVALID: nothing was allocated at `at`. O(blocks). */
ACRE_API acre_status acre_um_free(acre_um *um, uint64_t at);

/* The bytes at `at`, up to the end of their page, for who works in `place`: there, or where they are used. NULL when there are no contents,
 * no such place, or nothing is allocated there. To be used between acre_um_touch and the next call. O(1). */
ACRE_API void *acre_um_pointer(acre_um *um, unsigned place, uint64_t at);

/* The place faults, and the kernel's own accesses are served, too: read() into it works. Else those fail with EFAULT. O(1). */
ACRE_API bool acre_um_serves_kernel(acre_um *um, unsigned place);

/* Where the byte at `at` is in the space of a place that the host has no addresses of; up to the end of the 2 MiB the bytes follow, those
 * of pages that are there. To be used as acre_um_pointer's, which is NULL there: who works in such a place uses pages nowhere else, and
 * nobody else uses pages there. ACRE_INVALID: as acre_um_touch, or another kind of place. ACRE_BAD_POINTER: the page is not there. O(1). */
ACRE_API acre_status acre_um_frame(acre_um *um, unsigned place, uint64_t at, acre_addr *address);

/* Whoever works in `place` uses [at, at + bytes), and writes it: brings what is not there. Each page of it is in the place until another
 * call moves something, or is to be used where it is: acre_um_where says which. At most half of the place's capacity in one call.
 * ACRE_INVALID: not allocated, no such place, too much. ACRE_NO_MEMORY, ACRE_IO: a copy failed; no contents are lost, and what was brought
 * before stays. O(pages). */
ACRE_API acre_status acre_um_touch(acre_um *um, unsigned place, uint64_t at, uint64_t bytes, bool is_write);

/* The place whose copy of the page at `at` is to be used by who works in `place`. ACRE_INVALID as above. O(1). */
ACRE_API acre_status acre_um_where(acre_um *um, unsigned place, uint64_t at, unsigned *used);

/* Brings [at, at + bytes) to `place` ahead of its use; what does not fit stays. Errors as acre_um_touch. */
ACRE_API acre_status acre_um_prefetch_to(acre_um *um, unsigned place, uint64_t at, uint64_t bytes);

typedef enum acre_um_advice {
    ACRE_UM_READ_MOSTLY, /* each reader has a copy */
    ACRE_UM_NORMAL,      /* takes back what was advised */
    ACRE_UM_PREFERRED,   /* the pages are to be in `place`: others use them there once they are */
    ACRE_UM_ACCESSED_BY, /* whoever works in `place` uses them where they are */
} acre_um_advice;

/* For the blocks in which [at, at + bytes) lies. Errors as acre_um_touch. O(blocks). */
ACRE_API acre_status acre_um_advise(acre_um *um, uint64_t at, uint64_t bytes, acre_um_advice advice, unsigned place);

/* ---- what happened ---- */

typedef struct acre_um_figures {
    uint64_t touch_count;      /* pages touched */
    uint64_t fault_count;      /* of these, not there */
    uint64_t batch_count;      /* faults that were served together count once */
    uint64_t remote_count;     /* touches of pages that were used elsewhere */
    uint64_t in_bytes;         /* copied to places other than home */
    uint64_t zero_bytes;       /* brought there without a copy */
    uint64_t out_bytes;        /* copied home */
    uint64_t evicted_pages;    /* had to go for others */
    uint64_t evicted_units;    /* rounds of that */
    uint64_t thrashed_pages;   /* brought again after they had to go */
    uint64_t prefetched_pages; /* brought without having been touched */
    uint64_t useful_pages;     /* of these, touched before they went */
    uint64_t wasted_pages;     /* of these, not */
    uint64_t throttle_count;   /* times that somebody had to wait because a page went to and fro */
    uint64_t pin_count;        /* pages that were left where they were because of that */
    uint64_t stall_ns;         /* modelled: that touches waited; of a place that faults: in which faults were served */
    uint64_t clock_ns;         /* modelled: the time of all; else 0 */
    uint64_t used_bytes;       /* of the place, now */
    uint64_t used_bytes_max;
    /* Of a place that faults. There, touches of pages that are there are not seen: touch_count is that of acre_um_touch, and what was
     * brought ahead counts neither as useful nor as wasted. */
    uint64_t write_fault_count; /* first writes of pages that are there */
    uint64_t call_count;        /* of the system, for contents and their protection */
    uint64_t failure_count;     /* faults that could not be served */
} acre_um_figures;

/* Of one place. ACRE_INVALID: a NULL, no such place. O(1). */
ACRE_API acre_status acre_um_read_figures(acre_um *um, unsigned place, acre_um_figures *figures);

/* How many pages of the block at `at` are in `place`. O(1). */
ACRE_API acre_status acre_um_resident_pages(acre_um *um, unsigned place, uint64_t at, uint32_t *pages);

typedef struct acre_um_block_figures {
    uint32_t pages;          /* that are allocated */
    uint32_t resident_pages; /* in the place */
    uint32_t unused_pages;   /* of these, brought without having been touched, and not touched since */
    uint64_t evicted_pages;  /* had to go for others so far, from any place */
    uint64_t wasted_pages;   /* went so far without having been touched, from any place */
} acre_um_block_figures;

/* Of the block at `at`, for pictures. Errors as acre_um_touch. O(1). */
ACRE_API acre_status acre_um_read_block(acre_um *um, unsigned place, uint64_t at, acre_um_block_figures *figures);

/* Every invariant. For tests. O(blocks). */
ACRE_API bool acre_um_is_valid(acre_um *um);

#ifdef __cplusplus
}
#endif
#endif
