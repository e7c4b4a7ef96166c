/* queries_files.c - database files: which one it is, and whether all that was committed to it is in the versions of the cache.
 *
 * A stamp is a state of a database as SQLite's own readers tell it: in WAL mode the header of the wal-index, which a commit writes last; in
 * other modes the change counter in the file; for databases that are one connection's alone, its pager's data version. `known` is the last
 * state that is accounted for. An attached connection announces its commit while it holds SQLite's lock and tells its end; a state that is
 * one step further is then its own. Any other difference is a foreign change, and makes all of the database old.
 *
 * A change counter that is read without a lock may be that of a commit which fails afterwards, and come again: it can show a
 * difference, but it becomes `known` only under a lock, or behind a commit of our own. */
#include "queries.h"

#include <string.h>
#include <time.h>

enum {
    WAL_INDEX_CHANGE = 2, /* 32-bit words: where the header of the wal-index counts commits */
    WAL_READ_ATTEMPTS = 1000,
    HEADER_BEGIN = 16, /* of a database file: page size, versions of the format, reserved bytes, change counter */
    HEADER_BYTES = 12,
    FORMAT_WAL = 2,
};

#define COMMIT_NS_MAX UINT64_C(20000000) /* of a commit whose end was not told, since its statement was reset instead of stepped */

static uint64_t mixed(uint64_t value)
{
    value = (value ^ value >> 32) * UINT64_C(0xd6e8feb86659fd93);
    value = (value ^ value >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return value ^ value >> 32;
}

uint64_t acre_queries_object(const database_file *file, const char *table)
{
    uint64_t hash = mixed(file->number);
    for (; table != NULL && *table != 0; table++) {
        const unsigned char letter = (unsigned char)(*table >= 'A' && *table <= 'Z' ? *table - 'A' + 'a' : *table);
        hash = (hash ^ letter) * UINT64_C(0x100000001b3);
    }
    return table == NULL ? hash : mixed(hash);
}

/* --- which file --- */

static database_file *make_file(acre_sqlite_queries *queries, uint64_t device, uint64_t inode)
{
    static uint64_t number_last;
    database_file *const file = sqlite3_malloc64(sizeof *file);
    if (file == NULL) return NULL;
    *file = (database_file){.device = device, .inode = inode, .use_count = 1};
    file->number = __atomic_add_fetch(&number_last, 1, __ATOMIC_RELAXED);
    if (pthread_mutex_init(&file->lock, NULL) != 0) {
        sqlite3_free(file);
        return NULL;
    }
    file->next = queries->files;
    queries->files = file;
    return file;
}

static database_file *find(acre_sqlite_queries *queries, uint64_t device, uint64_t inode)
{
    database_file *file = queries->files;
    while (file != NULL && (file->inode == 0 || file->device != device || file->inode != inode)) file = file->next;
    return file;
}

/* As long as the file is one of a connection's databases, or SQLite has it open. */
database_file *acre_queries_find_file(acre_sqlite_queries *queries, uint64_t device, uint64_t inode)
{
    (void)pthread_mutex_lock(&queries->lock);
    database_file *const file = find(queries, device, inode);
    if (file != NULL) file->use_count++;
    (void)pthread_mutex_unlock(&queries->lock);
    return file;
}

database_file *acre_queries_take_file(acre_sqlite_queries *queries, uint64_t device, uint64_t inode)
{
    (void)pthread_mutex_lock(&queries->lock);
    database_file *file = inode == 0 ? NULL : find(queries, device, inode);
    if (file != NULL)
        file->use_count++;
    else
        file = make_file(queries, device, inode);
    (void)pthread_mutex_unlock(&queries->lock);
    return file;
}

void acre_queries_drop_file(acre_sqlite_queries *queries, database_file *file)
{
    (void)pthread_mutex_lock(&queries->lock);
    const bool is_last = --file->use_count == 0;
    if (is_last) {
        database_file **place = &queries->files;
        while (*place != file) place = &(*place)->next;
        *place = file->next;
    }
    (void)pthread_mutex_unlock(&queries->lock);
    if (!is_last) return;
    (void)pthread_mutex_destroy(&file->lock);
    sqlite3_free(file);
}

/* --- stamps --- */

static bool are_same(const stamp *a, const stamp *b) { return memcmp(a, b, sizeof *a) == 0; }

/* A commit writes the second copy, then the first one. Readers of SQLite take a state when both are the same. */
static bool read_wal_index(const database *self, stamp *seen)
{
    for (int attempt = 0; attempt < WAL_READ_ATTEMPTS; attempt++) {
        bool is_whole = true;
        for (int i = 0; i < STAMP_WORDS; i++) seen->words[i] = __atomic_load_n(&self->wal_index[i], __ATOMIC_ACQUIRE);
        for (int i = 0; i < STAMP_WORDS; i++)
            is_whole = is_whole && __atomic_load_n(&self->wal_index[STAMP_WORDS + i], __ATOMIC_ACQUIRE) == seen->words[i];
        if (is_whole) return true;
    }
    return false;
}

static bool read_change_counter(database *self, stamp *seen)
{
    unsigned char header[HEADER_BYTES];
    if (self->handle->pMethods == NULL || self->handle->pMethods->xRead(self->handle, header, HEADER_BYTES, HEADER_BEGIN) != SQLITE_OK)
        return false;
    self->is_outdated = header[3] == FORMAT_WAL; /* 19: the version that readers have to know */
    seen->words[0] = (uint64_t)header[8] << 24 | (uint64_t)header[9] << 16 | (uint64_t)header[10] << 8 | header[11];
    return !self->is_outdated;
}

static bool read_data_version(const database *self, stamp *seen)
{
    unsigned version = 0;
    if (sqlite3_file_control(self->db, self->name, SQLITE_FCNTL_DATA_VERSION, &version) != SQLITE_OK) return false;
    seen->words[0] = version;
    return true;
}

static bool read_stamp(database *self, stamp *seen)
{
    *seen = (stamp){.kind = self->kind};
    if (self->kind == KIND_WAL) return read_wal_index(self, seen);
    if (self->kind == KIND_JOURNAL) return read_change_counter(self, seen);
    return self->kind == KIND_MEMORY && read_data_version(self, seen);
}

static bool is_next(const stamp *before, const stamp *after)
{
    if (before->kind != after->kind) return false;
    if (before->kind != KIND_WAL) return (uint32_t)(after->words[0] - before->words[0]) == 1;
    uint32_t old[STAMP_WORDS * 2], young[STAMP_WORDS * 2];
    memcpy(old, before->words, sizeof old);
    memcpy(young, after->words, sizeof young);
    return young[WAL_INDEX_CHANGE] - old[WAL_INDEX_CHANGE] == 1;
}

/* --- what is accounted for --- */

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void outdate(acre_sqlite_queries *queries, database_file *file)
{
    acre_query_cache_invalidate(queries->cache, acre_queries_object(file, NULL));
    __atomic_fetch_add(&file->generation, 1, __ATOMIC_ACQ_REL);
}

void acre_queries_outdate_file(acre_sqlite_queries *queries, database_file *file) { outdate(queries, file); }

static bool is_looked_at(const acre_sqlite_queries *queries, const database *self)
{
    return !queries->has_no_foreign_writers || self->kind == KIND_MEMORY;
}

static bool is_at_last_stamp(const database *self)
{
    if (!self->is_accounted || self->kind != KIND_WAL) return false;
    for (int i = 0; i < STAMP_WORDS; i++)
        if (__atomic_load_n(&self->wal_index[i], __ATOMIC_ACQUIRE) != self->accounted.words[i]) return false;
    return true;
}

bool acre_queries_is_accounted(acre_sqlite_queries *queries, database *self, bool is_locked)
{
    stamp seen;
    if (!is_looked_at(queries, self)) return true;
    if (is_at_last_stamp(self)) return true;
    if (self->kind != KIND_WAL && self->is_accounted && read_stamp(self, &seen) && are_same(&seen, &self->accounted)) return true;
    database_file *const file = self->file;
    (void)pthread_mutex_lock(&file->lock);
    bool is_good = read_stamp(self, &seen); /* behind whatever is `known` */
    if (is_good && (!file->is_known || !are_same(&seen, &file->known))) {
        if (file->commit != 0 && file->is_known && now_ns() - file->commit_ns < COMMIT_NS_MAX) {
            is_good = false; /* may be its, or another's */
        } else {
            outdate(queries, file);
            file->commit = 0;
            file->known = seen;
            file->is_known = is_good = is_locked || self->kind != KIND_JOURNAL;
        }
    }
    if (is_good) self->accounted = seen;
    self->is_accounted = self->is_accounted || is_good;
    (void)pthread_mutex_unlock(&file->lock);
    return is_good;
}

void acre_queries_begin_commit(acre_sqlite_queries *queries, database *self, bool may_look)
{
    if (!is_looked_at(queries, self)) return;
    database_file *const file = self->file;
    stamp seen;
    (void)pthread_mutex_lock(&file->lock);
    if (!may_look || !read_stamp(self, &seen)) {
        outdate(queries, file);
        file->is_known = false;
    } else if (!file->is_known || !are_same(&seen, &file->known)) {
        outdate(queries, file);
        file->known = seen;
        file->is_known = self->kind != KIND_JOURNAL; /* whose counter may be that of this commit already */
    }
    self->commit = file->commit = ++file->serial;
    file->commit_ns = now_ns();
    (void)pthread_mutex_unlock(&file->lock);
}

void acre_queries_end_commit(acre_sqlite_queries *queries, database *self, bool may_look, bool is_done)
{
    database_file *const file = self->file;
    stamp seen;
    if (self->commit == 0) return;
    (void)pthread_mutex_lock(&file->lock);
    const bool is_open = file->commit == self->commit; /* else another has accounted for it */
    if (is_open) file->commit = 0;
    if (is_open && file->is_known) {
        if (!may_look || !read_stamp(self, &seen)) {
            outdate(queries, file);
            file->is_known = false;
        } else if (is_done && is_next(&file->known, &seen)) {
            file->known = seen;
        } else if (!are_same(&seen, &file->known)) {
            outdate(queries, file);
            file->known = seen;
            file->is_known = self->kind != KIND_JOURNAL;
        }
    }
    self->commit = 0;
    (void)pthread_mutex_unlock(&file->lock);
}
