/* shim.h - a VFS between acre's and SQLite's own, called "unix-shim", that asks a function of the test before each call that reads, writes
 * or makes something, and does as it says. */
#ifndef ACRE_TESTS_SQLITE_SHIM_H
#define ACRE_TESTS_SQLITE_SHIM_H

#include "sqlite/vfs_help.h"

typedef enum shim_call {
    SHIM_OPEN,
    SHIM_DELETE,
    SHIM_ACCESS,
    SHIM_READ,
    SHIM_WRITE,
    SHIM_TRUNCATE,
    SHIM_SYNC,
    SHIM_SIZE,
    SHIM_LOCK,
    SHIM_MAP,
} shim_call;

/* SQLITE_OK, or what the call is to fail with. */
static int (*shim_ask)(shim_call call);
/* Half of what is written is there, though the call fails. */
static bool shim_writes_half;

typedef struct shim_file {
    sqlite3_file base;
} shim_file;

static sqlite3_file *shim_own(sqlite3_file *file) { return (sqlite3_file *)((shim_file *)file + 1); }
#define SHIM_OWN(file) (shim_own(file)->pMethods)

static int shim_close(sqlite3_file *f) { return SHIM_OWN(f)->xClose(shim_own(f)); }
static int shim_read(sqlite3_file *f, void *to, int bytes, sqlite3_int64 at)
{
    const int status = shim_ask(SHIM_READ);
    return status != SQLITE_OK ? status : SHIM_OWN(f)->xRead(shim_own(f), to, bytes, at);
}
static int shim_write(sqlite3_file *f, const void *from, int bytes, sqlite3_int64 at)
{
    const int status = shim_ask(SHIM_WRITE);
    if (status == SQLITE_OK) return SHIM_OWN(f)->xWrite(shim_own(f), from, bytes, at);
    if (shim_writes_half && bytes > 1) (void)SHIM_OWN(f)->xWrite(shim_own(f), from, bytes / 2, at);
    return status;
}
static int shim_truncate(sqlite3_file *f, sqlite3_int64 bytes)
{
    const int status = shim_ask(SHIM_TRUNCATE);
    return status != SQLITE_OK ? status : SHIM_OWN(f)->xTruncate(shim_own(f), bytes);
}
/* No power fails here. */
static int shim_sync(sqlite3_file *f, int flags)
{
    (void)f;
    (void)flags;
    return shim_ask(SHIM_SYNC);
}
static int shim_size(sqlite3_file *f, sqlite3_int64 *bytes)
{
    const int status = shim_ask(SHIM_SIZE);
    return status != SQLITE_OK ? status : SHIM_OWN(f)->xFileSize(shim_own(f), bytes);
}
static int shim_lock(sqlite3_file *f, int level)
{
    const int status = shim_ask(SHIM_LOCK);
    return status != SQLITE_OK ? status : SHIM_OWN(f)->xLock(shim_own(f), level);
}
static int shim_unlock(sqlite3_file *f, int level) { return SHIM_OWN(f)->xUnlock(shim_own(f), level); }
static int shim_reserved(sqlite3_file *f, int *is_reserved) { return SHIM_OWN(f)->xCheckReservedLock(shim_own(f), is_reserved); }
static int shim_control(sqlite3_file *f, int verb, void *argument) { return SHIM_OWN(f)->xFileControl(shim_own(f), verb, argument); }
static int shim_sector(sqlite3_file *f) { return SHIM_OWN(f)->xSectorSize(shim_own(f)); }
static int shim_characteristics(sqlite3_file *f) { return SHIM_OWN(f)->xDeviceCharacteristics(shim_own(f)); }
static int shim_map(sqlite3_file *f, int region, int bytes, int is_extended, volatile void **memory)
{
    const int status = shim_ask(SHIM_MAP);
    return status != SQLITE_OK ? status : SHIM_OWN(f)->xShmMap(shim_own(f), region, bytes, is_extended, memory);
}
static int shim_lock_shm(sqlite3_file *f, int first, int count, int flags)
{
    const int status = (flags & SQLITE_SHM_LOCK) != 0 ? shim_ask(SHIM_LOCK) : SQLITE_OK;
    return status != SQLITE_OK ? status : SHIM_OWN(f)->xShmLock(shim_own(f), first, count, flags);
}
static void shim_barrier(sqlite3_file *f) { SHIM_OWN(f)->xShmBarrier(shim_own(f)); }
static int shim_unmap(sqlite3_file *f, int is_deleted) { return SHIM_OWN(f)->xShmUnmap(shim_own(f), is_deleted); }

static const sqlite3_io_methods shim_methods = {
    2,           shim_close,    shim_read,    shim_write,  shim_truncate,        shim_sync, shim_size,     shim_lock,
    shim_unlock, shim_reserved, shim_control, shim_sector, shim_characteristics, shim_map,  shim_lock_shm, shim_barrier,
    shim_unmap,  NULL,          NULL};

static sqlite3_vfs shim_vfs;

static int shim_open(sqlite3_vfs *self, const char *path, sqlite3_file *f, int flags, int *got)
{
    sqlite3_vfs *const own = self->pAppData;
    f->pMethods = NULL;
    const int asked = shim_ask(SHIM_OPEN);
    if (asked != SQLITE_OK) return asked == SQLITE_IOERR ? SQLITE_CANTOPEN : asked;
    const int status = own->xOpen(own, path, shim_own(f), flags, got);
    if (shim_own(f)->pMethods != NULL) f->pMethods = &shim_methods;
    return status;
}
static int shim_delete(sqlite3_vfs *self, const char *path, int is_synced)
{
    sqlite3_vfs *const own = self->pAppData;
    const int status = shim_ask(SHIM_DELETE);
    return status != SQLITE_OK ? status : own->xDelete(own, path, is_synced);
}
static int shim_access(sqlite3_vfs *self, const char *path, int flags, int *result)
{
    sqlite3_vfs *const own = self->pAppData;
    const int status = shim_ask(SHIM_ACCESS);
    return status != SQLITE_OK ? status : own->xAccess(own, path, flags, result);
}

static inline void register_shim(int (*ask)(shim_call call))
{
    sqlite3_vfs *const own = sqlite3_vfs_find("unix");
    shim_ask = ask;
    shim_vfs = *own;
    shim_vfs.zName = "unix-shim";
    shim_vfs.pAppData = own;
    shim_vfs.pNext = NULL;
    shim_vfs.szOsFile = (int)sizeof(shim_file) + own->szOsFile;
    shim_vfs.xOpen = shim_open;
    shim_vfs.xDelete = shim_delete;
    shim_vfs.xAccess = shim_access;
    assert_int_equal(sqlite3_vfs_register(&shim_vfs, 0), SQLITE_OK);
}

#endif
