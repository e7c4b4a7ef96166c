/* space.h - where bytes live, and what can be done with them there.
 *
 * A space hands out *ranges* of addresses: reserve takes address space, commit puts memory behind it, purge takes the
 * contents away, release gives everything back. What it cannot do it says: every optional operation is a bit of
 * `capabilities`, and calling one whose bit is not set returns ACRE_UNSUPPORTED.
 *
 * An address is a 64-bit number. Only where the capability ACRE_CAP_HOST_ACCESS is set is it a pointer of this process:
 * acre_space_pointer() makes it one. Sizes are bytes; ranges are whole multiples of `info.grain_bytes` unless said.
 *
 *     acre_space space;
 *     acre_space_open_pages(&space, NULL);
 *     acre_addr at;
 *     if (acre_space_reserve(&space, 1 << 20, 1 << 16, NULL, &at) == ACRE_OK &&
 *         acre_space_commit(&space, at, 1 << 16) == ACRE_OK)
 *         memcpy(acre_space_pointer(&space, at), "hello", 6);
 *     acre_space_close(&space);
 *
 * Thread safety: all operations on one space may be called from any thread, open and close excepted; two calls on
 * overlapping ranges are the caller's to order. Cost: one system call at most unless said.
 *
 * Example: examples/space.c.
 */
#ifndef ACRE_SPACE_H
#define ACRE_SPACE_H

#include <acre/hints.h>
#include <acre/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t acre_addr;

typedef enum acre_space_kind {
    ACRE_SPACE_PAGES,    /* anonymous pages of the host */
    ACRE_SPACE_STATIC,   /* an array of the caller: no memory of the operating system at all */
    ACRE_SPACE_FILE,     /* a mapped file */
    ACRE_SPACE_SHARED,   /* memory that other processes can map */
    ACRE_SPACE_SECRET,   /* pages that the kernel itself cannot read */
    ACRE_SPACE_RESERVED, /* address space that is never backed by memory */
    ACRE_SPACE_HANDLE,   /* addresses that are no pointers: a device, a remote node */
} acre_space_kind;

#define ACRE_SPACE_KIND_COUNT (ACRE_SPACE_HANDLE + 1)

/* Capabilities: what holds for the memory, then which optional operations there are. */
#define ACRE_CAP_HOST_ACCESS   (1u << 0)  /* an address is a pointer, and may be read and written after commit */
#define ACRE_CAP_DEVICE_ACCESS (1u << 1)
#define ACRE_CAP_COHERENT      (1u << 2)  /* no flush is needed for others to see a write */
#define ACRE_CAP_PERSISTENT    (1u << 3)  /* contents outlive the process */
#define ACRE_CAP_SHARED        (1u << 4)  /* other processes can see it */
#define ACRE_CAP_SECRET        (1u << 5)  /* not readable by the kernel, never swapped or dumped */
#define ACRE_CAP_REMOTE        (1u << 6)
#define ACRE_CAP_ZEROED        (1u << 7)  /* a range reads as zero after its first commit and after purge */
#define ACRE_CAP_FIXED         (1u << 8)  /* one range of fixed size; release does not make room */
#define ACRE_CAP_COMMIT        (1u << 9)  /* commit is needed before use (else it is accepted and does nothing) */
#define ACRE_CAP_PURGE         (1u << 10)
#define ACRE_CAP_PROTECT       (1u << 11)
#define ACRE_CAP_MAP           (1u << 12)
#define ACRE_CAP_COPY          (1u << 13)
#define ACRE_CAP_FILL          (1u << 14)
#define ACRE_CAP_FLUSH         (1u << 15)
#define ACRE_CAP_ADVISE        (1u << 16)
#define ACRE_CAP_BUDGET        (1u << 17)
#define ACRE_CAP_MOVE          (1u << 18) /* pages can be moved to another address without copying */
#define ACRE_CAP_ALIAS         (1u << 19) /* two addresses can show the same memory */

typedef enum acre_source {
    ACRE_SOURCE_UNKNOWN,  /* the value beside it is 0 and means nothing */
    ACRE_SOURCE_REPORTED, /* by the operating system, the firmware or a driver */
    ACRE_SOURCE_MEASURED, /* on this machine, by acre */
    ACRE_SOURCE_PROFILE,  /* a data file about hardware of that name */
} acre_source;

typedef struct acre_figure {
    uint64_t value;
    acre_source source;
} acre_figure;

typedef struct acre_space_info {
    acre_space_kind kind;
    uint32_t capabilities;              /* ACRE_CAP_... */
    size_t page_bytes;                  /* smallest range that purge and protect work on */
    size_t grain_bytes;                 /* smallest unit of reserve and commit; a power of two */
    acre_figure capacity_bytes;         /* what can be reserved at most */
    acre_figure bandwidth_bytes_per_s;  /* of reading, one thread */
    acre_figure latency_ns;             /* of one dependent read that misses every cache */
} acre_space_info;

typedef enum acre_protection { ACRE_PROTECT_NONE, ACRE_PROTECT_READ, ACRE_PROTECT_READ_WRITE } acre_protection;

typedef enum acre_advice {
    ACRE_ADVISE_HUGE_PAGES,
    ACRE_ADVISE_NO_HUGE_PAGES,
    ACRE_ADVISE_SEQUENTIAL,
    ACRE_ADVISE_RANDOM,
    ACRE_ADVISE_WILL_NEED,
    ACRE_ADVISE_COLD,
    ACRE_ADVISE_PAGE_OUT,
} acre_advice;

/* How far a flush goes. */
typedef enum acre_domain { ACRE_DOMAIN_DEVICE, ACRE_DOMAIN_PERSISTENT } acre_domain;

/* Where anonymous pages come from. */
typedef struct acre_pages_options {
    acre_huge_pages huge_pages; /* ACRE_HUGE_DEFAULT leaves it to the system's own setting */
    int numa_node;              /* -1: wherever the kernel likes; else a node number */
} acre_pages_options;

typedef struct acre_space acre_space;

/* What a new kind of space implements. The table is static, begins with its own size (so that a table compiled against
 * an older header still works: what lies past its size counts as NULL), and is never copied. `query`, `reserve` and
 * `release` are required; the others are NULL when their capability bit is not set. Arguments are checked before an
 * operation is called: sizes are not 0, multiples of the grain (of the page for purge and protect), and do not wrap.
 * An operation is reached for ranges of many blocks, never for a single block. */
typedef struct acre_space_ops {
    size_t size_bytes; /* sizeof(acre_space_ops) of the implementation */
    acre_status (*query)(acre_space *space, acre_space_info *info);
    acre_status (*reserve)(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints,
                           acre_addr *address);
    acre_status (*release)(acre_space *space, acre_addr address, uint64_t size);
    acre_status (*commit)(acre_space *space, acre_addr address, uint64_t size);
    acre_status (*purge)(acre_space *space, acre_addr address, uint64_t size);
    acre_status (*protect)(acre_space *space, acre_addr address, uint64_t size, acre_protection protection);
    acre_status (*map)(acre_space *space, acre_addr address, uint64_t size, void **pointer);
    acre_status (*unmap)(acre_space *space, void *pointer, uint64_t size);
    acre_status (*copy)(acre_space *space, acre_addr to, acre_addr from, uint64_t size);
    acre_status (*fill)(acre_space *space, acre_addr address, uint64_t size, uint8_t value);
    acre_status (*flush)(acre_space *space, acre_addr address, uint64_t size, acre_domain domain);
    acre_status (*advise)(acre_space *space, acre_addr address, uint64_t size, acre_advice advice);
    acre_status (*budget)(acre_space *space, uint64_t *used_bytes, uint64_t *limit_bytes);
    acre_status (*move)(acre_space *space, acre_addr to, acre_addr from, uint64_t size);
    void (*close)(acre_space *space);
    acre_status (*alias)(acre_space *space, acre_addr address, acre_addr target, uint64_t size);
} acre_space_ops;

/* Lives in memory of the caller and must not move while it is open. The fields are for implementations. */
struct acre_space {
    const acre_space_ops *ops;
    const char *name; /* for messages; not owned */
    acre_space_info info;
    acre_addr base;          /* kinds with one range: where it begins */
    uint64_t size_bytes;     /* kinds with one range: its length, else 0 */
    uint64_t reserved_bytes; /* kinds with one range: how much of it is taken, from its beginning */
    uint32_t lock;           /* orders reserve and release on kinds with one range */
    acre_pages_options pages; /* kind PAGES */
    void *implementation;    /* whatever a kind made elsewhere needs */
    int descriptor;          /* file descriptor, -1 when there is none */
};

/* ---- opening one: each fills `space`; on failure nothing is held ---- */

/* Anonymous pages. `options` NULL means default huge pages, any node. ACRE_INVALID for a node that does not exist (found
 * at the first commit). */
ACRE_API acre_status acre_space_open_pages(acre_space *space, const acre_pages_options *options);

/* The array `bytes` of `size` bytes, which stays the caller's. The usable range begins at the first multiple of 16 in it;
 * sizes below 64 are ACRE_INVALID. Needs no operating system. */
ACRE_API acre_status acre_space_open_static(acre_space *space, void *bytes, size_t size);

/* The file at `path`, made `size` bytes long when it is shorter, mapped shared. ACRE_IO when it cannot be opened,
 * ACRE_NO_MEMORY when it cannot grow, ACRE_INVALID when size is 0. */
ACRE_API acre_status acre_space_open_file(acre_space *space, const char *path, uint64_t size);

/* Memory that other processes can map: its descriptor is `space->descriptor`. `name` is for /proc only. */
ACRE_API acre_status acre_space_open_shared(acre_space *space, const char *name, uint64_t size);

/* Memory that even the kernel cannot read. ACRE_UNSUPPORTED where the kernel lacks memfd_secret. Counts against
 * RLIMIT_MEMLOCK. */
ACRE_API acre_status acre_space_open_secret(acre_space *space, uint64_t size);

/* Address space that is never backed: touching it is a fault. For engines whose memory is somewhere else. */
ACRE_API acre_status acre_space_open_reserved(acre_space *space, uint64_t size);

/* Addresses from `base` on that stand for memory elsewhere. `base` is a multiple of 64 KiB. No memory is used. */
ACRE_API acre_status acre_space_open_handles(acre_space *space, acre_addr base, uint64_t size);

/* Gives everything back that the space reserved itself (a space of kind PAGES does not know its ranges: release them
 * first). The file, the array stay. */
ACRE_API void acre_space_close(acre_space *space);

/* ---- using one ---- */

/* The facts about the space, as far as known. ACRE_INVALID when an argument is NULL. */
ACRE_API acre_status acre_space_query(acre_space *space, acre_space_info *info);

/* Takes a range of addresses; nothing may be touched before commit. `size` is rounded up to the grain by the caller:
 * ACRE_INVALID if it is 0 or no multiple, or `alignment` is no power of two. ACRE_NO_MEMORY when there is no room. */
ACRE_API acre_status acre_space_reserve(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints,
                                        acre_addr *address);

/* Gives back a whole range that one reserve returned. */
ACRE_API acre_status acre_space_release(acre_space *space, acre_addr address, uint64_t size);

/* Puts memory behind a reserved range. Idempotent. ACRE_NO_MEMORY: no part of the range is promised. */
ACRE_API acre_status acre_space_commit(acre_space *space, acre_addr address, uint64_t size);

/* Drops the contents and gives the memory back; the range stays committed. See ACRE_CAP_ZEROED for what it reads as. */
ACRE_API acre_status acre_space_purge(acre_space *space, acre_addr address, uint64_t size);

ACRE_API acre_status acre_space_protect(acre_space *space, acre_addr address, uint64_t size,
                                        acre_protection protection);

/* Makes a range readable and writable for the host, at `*pointer`, until unmap. */
ACRE_API acre_status acre_space_map(acre_space *space, acre_addr address, uint64_t size, void **pointer);
ACRE_API acre_status acre_space_unmap(acre_space *space, void *pointer, uint64_t size);

/* Copy and fill may have any size and address. The ranges of a copy must not overlap. O(size). */
ACRE_API acre_status acre_space_copy(acre_space *space, acre_addr to, acre_addr from, uint64_t size);
ACRE_API acre_status acre_space_fill(acre_space *space, acre_addr address, uint64_t size, uint8_t value);

/* Returns when writes to the range have reached the domain. */
ACRE_API acre_status acre_space_flush(acre_space *space, acre_addr address, uint64_t size, acre_domain domain);

ACRE_API acre_status acre_space_advise(acre_space *space, acre_addr address, uint64_t size, acre_advice advice);

/* How much of the space is in use and how much may be, in bytes. The limit moves with what others use. */
ACRE_API acre_status acre_space_budget(acre_space *space, uint64_t *used_bytes, uint64_t *limit_bytes);

/* Moves contents to another committed range without copying; the old range reads as zero. */
ACRE_API acre_status acre_space_move(acre_space *space, acre_addr to, acre_addr from, uint64_t size);

/* From now on a range shows the memory of the range at `target`, and its own goes back. A `target` that is `address` undoes it: the range
 * shows its own memory again, all zeros. The range at `target` must not be an alias itself. */
ACRE_API acre_status acre_space_alias(acre_space *space, acre_addr address, acre_addr target, uint64_t size);

/* The pointer for an address, NULL when the space has no ACRE_CAP_HOST_ACCESS. O(1). */
ACRE_API void *acre_space_pointer(const acre_space *space, acre_addr address);

/* "pages", "static", ... */
ACRE_API const char *acre_space_kind_text(acre_space_kind kind);

#ifdef __cplusplus
}
#endif
#endif
