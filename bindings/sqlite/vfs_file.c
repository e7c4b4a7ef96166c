/* vfs_file.c - the methods of a connection's file: what keeps the pool right is done around those of the VFS below. See vfs.h. */
#include "vfs.h"

#include <string.h>

static vfs_connection *connection(sqlite3_file *file) { return (vfs_connection *)file; }
static const sqlite3_io_methods *methods_below(sqlite3_file *file) { return vfs_below(connection(file))->pMethods; }

/* NULL: all is left to the VFS below. */
static vfs_file *file_of(const vfs_connection *c)
{
    return c->file != NULL && c->file->is_pooled && !c->is_left && c->generation == acre_vfs.generation ? c->file : NULL;
}

/* ---- what the file is, by the VFS below ---- */

static void set_size(vfs_file *file, uint64_t bytes) { __atomic_store_n(&file->size_bytes, bytes, __ATOMIC_RELEASE); }

/* Under file->lock. An unknown size is 0: no read is within it. */
static int look_at_size(vfs_connection *c)
{
    sqlite3_int64 bytes = 0;
    const int status = vfs_below(c)->pMethods->xFileSize(vfs_below(c), &bytes);
    set_size(c->file, status != SQLITE_OK || bytes < 0 ? 0 : (uint64_t)bytes);
    return status;
}

/* ---- what is known, by this process or by all that share it ---- */

/* Under file->lock. NULL: it is shared, and cannot be had in time. */
static vfs_known *take_known(vfs_file *file)
{
    if (!file->is_shared) return &file->own;
    vfs_known *const known = acre_shared_pages_lock(acre_vfs.shared, file->set);
    if (known == NULL) {
        __atomic_store_n(&file->is_out, true, __ATOMIC_RELAXED);
        acre_vfs_blocks_drop(file);
    }
    return known;
}

static void give_known(const vfs_file *file, const vfs_known *known)
{
    if (file->is_shared && known != NULL) acre_shared_pages_unlock(acre_vfs.shared);
}

/* Before the first write of a transaction with a rollback journal: if it does not come to its end, whoever begins a lease is to know. */
static void unsettle(vfs_file *file)
{
    if (file->is_unsettled) return;
    pthread_mutex_lock(&file->lock);
    vfs_known *const known = take_known(file);
    if (known != NULL) known->is_settled = false;
    file->is_unsettled = true;
    give_known(file, known);
    pthread_mutex_unlock(&file->lock);
}

/* The transaction has come to its end, and the journal is no more. */
static void settle(vfs_file *file)
{
    if (!file->is_unsettled) return;
    pthread_mutex_lock(&file->lock);
    vfs_known *const known = take_known(file);
    if (known != NULL) known->is_settled = known->has_stamp;
    file->is_unsettled = false;
    give_known(file, known);
    pthread_mutex_unlock(&file->lock);
}

/* Under file->lock. */
static bool others_have(const vfs_file *file, uint32_t mark)
{
    return file->is_shared && acre_shared_pages_others(acre_vfs.shared, file->set, mark);
}

/* Under file->lock; a mark is made while what is known is locked. */
static void set_mark(const vfs_file *file, uint32_t mark, bool is_made)
{
    if (file->is_shared) acre_shared_pages_mark(acre_vfs.shared, file->set, mark, is_made);
}

/* The file is what is known of it. A mark of a WAL says nothing once all locks were given back: the WAL may have been one of many. */
static void begin_knowing(vfs_file *file, vfs_known *known, const unsigned char *stamp)
{
    const bool is_over = known->wal_mark != 0 && !others_have(file, MARK_HOLDER);
    if (is_over || !known->has_stamp || !known->is_settled || known->size_bytes != file->size_bytes ||
        memcmp(known->stamp, stamp, sizeof known->stamp) != 0)
        acre_vfs_blocks_drop(file);
    memcpy(known->stamp, stamp, sizeof known->stamp);
    known->has_stamp = true;
    known->is_settled = true;
    known->size_bytes = file->size_bytes;
    if (is_over) known->wal_mark = 0;
    set_mark(file, MARK_HOLDER, true);
}

/* Under file->lock. The first SHARED lock: is it the file that we knew? */
static int begin_lease(vfs_connection *c)
{
    vfs_file *const file = c->file;
    unsigned char header[STAMP_END] = {0};
    int status = vfs_below(c)->pMethods->xRead(vfs_below(c), header, STAMP_END, 0);
    if (status == SQLITE_IOERR_SHORT_READ) status = SQLITE_OK;
    if (status == SQLITE_OK) status = look_at_size(c);
    if (status != SQLITE_OK) return status;
    __atomic_store_n(&file->seen_mark, 0, __ATOMIC_RELEASE);
    vfs_known *const known = take_known(file);
    if (known == NULL) return SQLITE_OK;
    begin_knowing(file, known, header + STAMP_AT);
    give_known(file, known);
    file->is_unsettled = false;
    __atomic_store_n(&file->is_out, false, __ATOMIC_RELAXED);
    return SQLITE_OK;
}

/* Under file->lock. What is being read counts no more. */
static void end_lease(vfs_file *file)
{
    (void)__atomic_add_fetch(&file->lease, 1, __ATOMIC_ACQ_REL);
    set_mark(file, MARK_HOLDER, false);
}

/* ---- the wal-index, as SQLite's wal.c lays it out: words of the header's first copy, and of what follows the second ---- */

enum { WAL_VERSION_WORD = 0, WAL_SALT_WORD = 8, WAL_BACKFILL_WORD = 24, WAL_VERSION = 3007000 };
enum { WAL_CHECKPOINT_LOCK = 1, WAL_RECOVER_LOCK = 2, WAL_READ_LOCK = 3 };

static uint32_t wal_word(const volatile uint32_t *index, size_t word) { return __atomic_load_n(index + word, __ATOMIC_ACQUIRE); }

/* What the database has of this WAL. Different for different numbers of frames, and as good as surely for different salts. */
static uint64_t wal_mark(const volatile uint32_t *index)
{
    const uint64_t salts = (uint64_t)wal_word(index, WAL_SALT_WORD) << 32 | wal_word(index, WAL_SALT_WORD + 1);
    const uint64_t mark = salts + wal_word(index, WAL_BACKFILL_WORD) * 0x9e3779b97f4a7c15u;
    return mark == 0 ? 1 : mark;
}

/* Under file->lock. While somebody keeps others from changing it, what has changed is of this somebody, who has told of all writes. */
static void adopt_mark(vfs_connection *c)
{
    vfs_file *const file = c->file;
    const uint64_t mark = wal_mark(c->wal_index);
    vfs_known *const known = take_known(file);
    if (known != NULL && mark != known->wal_mark) {
        if (file->adopter_count == 0 && !others_have(file, MARK_ADOPTER)) acre_vfs_blocks_drop(file);
        known->wal_mark = mark;
    }
    if (known != NULL && mark != file->seen_mark) {
        (void)look_at_size(c); /* unknown: the VFS below reads, and tells what is wrong */
        known->size_bytes = file->size_bytes;
        __atomic_store_n(&file->seen_mark, mark, __ATOMIC_RELEASE);
    }
    give_known(file, known);
}

/* Under file->lock. */
static void begin_adopting(vfs_connection *c)
{
    vfs_file *const file = c->file;
    adopt_mark(c);
    file->adopter_count++;
    c->is_adopter = true;
    const vfs_known *const known = take_known(file);
    if (known != NULL) set_mark(file, MARK_ADOPTER, true);
    give_known(file, known);
}

/* Has another process checkpointed? */
static void look_at_wal(vfs_connection *c)
{
    if (c->wal_index == NULL) return;
    if (wal_mark(c->wal_index) == __atomic_load_n(&c->file->seen_mark, __ATOMIC_ACQUIRE)) return;
    pthread_mutex_lock(&c->file->lock);
    adopt_mark(c);
    pthread_mutex_unlock(&c->file->lock);
}

static bool is_exclusive(int flags) { return (flags & SQLITE_SHM_EXCLUSIVE) != 0; }

/* A connection that keeps all others from checkpointing or from restarting the WAL. */
static bool is_adopting(int first, int count, int flags)
{
    return is_exclusive(flags) && ((first == WAL_CHECKPOINT_LOCK && count == 1) || (first > WAL_READ_LOCK && count > 1));
}

/* The wal-index is made anew from the WAL, whoever has written that. */
static bool is_recovering(int first, int count, int flags)
{
    return is_exclusive(flags) && first <= WAL_RECOVER_LOCK && first + count > WAL_RECOVER_LOCK;
}

/* ---- methods ---- */

/* Under file->lock. */
static void leave(vfs_connection *c)
{
    if (c->lock != SQLITE_LOCK_NONE && --c->file->holder_count == 0) end_lease(c->file);
    c->lock = SQLITE_LOCK_NONE;
}

/* Under file->lock. */
static void end_adopting(vfs_connection *c)
{
    if (c->is_adopter && c->wal_index != NULL) adopt_mark(c);
    if (c->is_adopter && --c->file->adopter_count == 0) set_mark(c->file, MARK_ADOPTER, false);
    c->is_adopter = false;
}

static int close_file(sqlite3_file *base)
{
    vfs_connection *const c = connection(base);
    if (c->file != NULL && c->generation == acre_vfs.generation) {
        pthread_mutex_lock(&c->file->lock);
        end_adopting(c);
        leave(c);
        pthread_mutex_unlock(&c->file->lock);
    }
    const int status = methods_below(base)->xClose(vfs_below(c));
    sqlite3_free(c->ahead.prefetcher);
    sqlite3_free(c->ahead.buffer);
    if (c->generation == acre_vfs.generation) acre_vfs_forget(c->file);
    base->pMethods = NULL;
    return status;
}

static int read_file(sqlite3_file *base, void *to, int bytes, sqlite3_int64 at)
{
    vfs_connection *const c = connection(base);
    vfs_file *const file = file_of(c);
    if (file != NULL) {
        if (c->lock != SQLITE_LOCK_NONE && bytes > 0 && at >= 0 &&
            (c->wal_index == NULL || wal_word(c->wal_index, WAL_VERSION_WORD) == WAL_VERSION)) {
            look_at_wal(c);
            if (!__atomic_load_n(&file->is_out, __ATOMIC_RELAXED) && acre_vfs_blocks_read(file, &c->ahead, to, (uint64_t)at, (size_t)bytes))
                return SQLITE_OK;
        }
        vfs_count(&acre_vfs.counts.below_read, 1);
    }
    return methods_below(base)->xRead(vfs_below(c), to, bytes, at);
}

/* What was written of the header is what we know of it. */
static void note_header(vfs_known *known, const void *from, uint64_t at, size_t bytes, bool is_well)
{
    if (at >= STAMP_END) return;
    if (!is_well || at > STAMP_AT || at + bytes < STAMP_END)
        known->has_stamp = false;
    else
        memcpy(known->stamp, (const unsigned char *)from + (STAMP_AT - at), sizeof known->stamp);
}

static int write_file(sqlite3_file *base, const void *from, int bytes, sqlite3_int64 at)
{
    vfs_connection *const c = connection(base);
    vfs_file *const file = file_of(c);
    if (file != NULL && c->wal_index == NULL) unsettle(file);
    const int status = methods_below(base)->xWrite(vfs_below(c), from, bytes, at);
    if (file == NULL || bytes <= 0 || at < 0) return status;
    const bool is_well = status == SQLITE_OK;
    acre_vfs_blocks_wrote(file, is_well ? from : NULL, (uint64_t)at, (size_t)bytes);
    const uint64_t end = (uint64_t)at + (uint64_t)bytes;
    if (is_well && end <= __atomic_load_n(&file->size_bytes, __ATOMIC_ACQUIRE) && at >= STAMP_END) return status;
    pthread_mutex_lock(&file->lock);
    vfs_known *const known = take_known(file);
    if (!is_well)
        (void)look_at_size(c);
    else if (end > file->size_bytes)
        set_size(file, end);
    if (known != NULL) {
        note_header(known, from, (uint64_t)at, (size_t)bytes, is_well);
        known->size_bytes = file->size_bytes;
    }
    give_known(file, known);
    pthread_mutex_unlock(&file->lock);
    return status;
}

static int truncate_file(sqlite3_file *base, sqlite3_int64 bytes)
{
    vfs_connection *const c = connection(base);
    vfs_file *const file = file_of(c);
    const uint64_t before = file == NULL ? 0 : __atomic_load_n(&file->size_bytes, __ATOMIC_ACQUIRE);
    if (file != NULL && c->wal_index == NULL) unsettle(file);
    const int status = methods_below(base)->xTruncate(vfs_below(c), bytes);
    if (file == NULL) return status;
    if (bytes >= 0 && (uint64_t)bytes < before) acre_vfs_blocks_wrote(file, NULL, (uint64_t)bytes, (size_t)(before - (uint64_t)bytes));
    pthread_mutex_lock(&file->lock);
    vfs_known *const known = take_known(file);
    if (status != SQLITE_OK)
        (void)look_at_size(c);
    else if (bytes >= 0 && (uint64_t)bytes < file->size_bytes)
        set_size(file, (uint64_t)bytes);
    if (known != NULL) known->size_bytes = file->size_bytes;
    give_known(file, known);
    pthread_mutex_unlock(&file->lock);
    return status;
}

static int sync_file(sqlite3_file *base, int flags) { return methods_below(base)->xSync(vfs_below(connection(base)), flags); }

static int size_of_file(sqlite3_file *base, sqlite3_int64 *bytes)
{
    return methods_below(base)->xFileSize(vfs_below(connection(base)), bytes);
}

static int lock_file(sqlite3_file *base, int level)
{
    vfs_connection *const c = connection(base);
    int status = methods_below(base)->xLock(vfs_below(c), level);
    vfs_file *const file = file_of(c);
    if (status != SQLITE_OK || level <= c->lock || file == NULL) return status;
    if (c->lock == SQLITE_LOCK_NONE) {
        pthread_mutex_lock(&file->lock);
        if (file->holder_count == 0) status = begin_lease(c);
        file->holder_count += status == SQLITE_OK;
        pthread_mutex_unlock(&file->lock);
    }
    if (status == SQLITE_OK)
        c->lock = level;
    else
        (void)methods_below(base)->xUnlock(vfs_below(c), SQLITE_LOCK_NONE);
    return status;
}

static int unlock_file(sqlite3_file *base, int level)
{
    vfs_connection *const c = connection(base);
    vfs_file *const file = file_of(c);
    if (file != NULL && level < c->lock) {
        pthread_mutex_lock(&file->lock);
        /* The next transaction says so anew: others may have begun a lease before it. */
        if (c->lock == SQLITE_LOCK_EXCLUSIVE) file->is_unsettled = false;
        if (level == SQLITE_LOCK_NONE)
            leave(c);
        else
            c->lock = level;
        pthread_mutex_unlock(&file->lock);
    }
    return methods_below(base)->xUnlock(vfs_below(c), level);
}

static int check_reserved_lock(sqlite3_file *base, int *is_reserved)
{
    return methods_below(base)->xCheckReservedLock(vfs_below(connection(base)), is_reserved);
}

/* A hint may make the file longer: what lies beyond the size that we know is left to the VFS below. */
static int control_file(sqlite3_file *base, int verb, void *argument)
{
    const int status = methods_below(base)->xFileControl(vfs_below(connection(base)), verb, argument);
    if (verb == SQLITE_FCNTL_COMMIT_PHASETWO && file_of(connection(base)) != NULL) settle(connection(base)->file);
    if (verb == SQLITE_FCNTL_VFSNAME && status == SQLITE_OK) {
        char **const name = argument;
        *name = sqlite3_mprintf("acre/%z", *name);
    }
    return status;
}

static int sector_size(sqlite3_file *base) { return methods_below(base)->xSectorSize(vfs_below(connection(base))); }

/* Writes that are seen together or not at all would have to be seen so in the pool, too. */
static int characteristics(sqlite3_file *base)
{
    return methods_below(base)->xDeviceCharacteristics(vfs_below(connection(base))) & ~SQLITE_IOCAP_BATCH_ATOMIC;
}

/* ---- shared memory ---- */

static int map_shm(sqlite3_file *base, int region, int bytes, int is_extended, volatile void **memory)
{
    vfs_connection *const c = connection(base);
    const int status = methods_below(base)->xShmMap(vfs_below(c), region, bytes, is_extended, memory);
    if (file_of(c) == NULL || region != 0) return status;
    if (status == SQLITE_OK || status == SQLITE_READONLY) {
        c->wal_index = *memory;
    } else if (status != SQLITE_NOMEM && status != SQLITE_BUSY) { /* SQLite may go on without, or with a copy of its own */
        pthread_mutex_lock(&c->file->lock);
        end_adopting(c);
        leave(c);
        pthread_mutex_unlock(&c->file->lock);
        c->is_left = true;
    }
    return status;
}

static int lock_shm(sqlite3_file *base, int first, int count, int flags)
{
    vfs_connection *const c = connection(base);
    vfs_file *const file = file_of(c);
    const bool is_known = file != NULL && c->wal_index != NULL;
    if (is_known && (flags & SQLITE_SHM_UNLOCK) != 0 && is_adopting(first, count, flags)) {
        pthread_mutex_lock(&file->lock);
        end_adopting(c);
        pthread_mutex_unlock(&file->lock);
    }
    const int status = methods_below(base)->xShmLock(vfs_below(c), first, count, flags);
    if (!is_known || status != SQLITE_OK || (flags & SQLITE_SHM_LOCK) == 0) return status;
    look_at_wal(c);
    if (is_recovering(first, count, flags)) { /* the database may be anything, too */
        pthread_mutex_lock(&file->lock);
        end_adopting(c);
        acre_vfs_blocks_drop(file);
        (void)look_at_size(c);
        pthread_mutex_unlock(&file->lock);
    }
    if (is_adopting(first, count, flags) && !c->is_adopter) {
        pthread_mutex_lock(&file->lock);
        begin_adopting(c);
        pthread_mutex_unlock(&file->lock);
    }
    return status;
}

static void barrier_shm(sqlite3_file *base)
{
    vfs_connection *const c = connection(base);
    methods_below(base)->xShmBarrier(vfs_below(c));
    if (file_of(c) != NULL) look_at_wal(c);
}

static int unmap_shm(sqlite3_file *base, int is_deleted)
{
    vfs_connection *const c = connection(base);
    if (file_of(c) != NULL) {
        pthread_mutex_lock(&c->file->lock);
        end_adopting(c);
        pthread_mutex_unlock(&c->file->lock);
    }
    c->wal_index = NULL;
    return methods_below(base)->xShmUnmap(vfs_below(c), is_deleted);
}

/* Version 2 has no xFetch: SQLite maps nothing then. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_of_file,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved_lock,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_shm,
    .xShmLock = lock_shm,
    .xShmBarrier = barrier_shm,
    .xShmUnmap = unmap_shm,
};

static sqlite3_io_methods methods_without_shm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_methods(void)
{
    methods_without_shm = methods;
    methods_without_shm.iVersion = 1;
}

const sqlite3_io_methods *acre_vfs_methods(const sqlite3_io_methods *below)
{
    (void)pthread_once(&once, make_methods);
    return below->iVersion >= 2 && below->xShmMap != NULL ? &methods : &methods_without_shm;
}
