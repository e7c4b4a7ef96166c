/* queries.c - see acre/sqlite_queries.h.
 *
 * A query: its statement is found by its text, or compiled. If answers may be kept and no transaction is open, the cache is asked, once it
 * is sure that what is visible in the database files is accounted for in the versions (queries_files.c). A miss takes its turn before
 * SQLite begins to read; its answer is offered if all is accounted for afterwards, too.
 *
 * A commit: statements that begin add what they write to the changes of the transaction. The commit hook says begin_write for all of
 * them, before others can see the commit; the next event of the connection says end_write, at the latest that of the end of the statement
 * that committed. What is not known, or not sure, is a change of everything in the connection's databases. */
#include "queries.h"

#include "base/status.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { STATEMENTS_DEFAULT = 128, PARAMETER_BYTES = 256, CHANGES_MAX = 4096 };

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- opening and closing --- */

acre_status acre_sqlite_queries_open(acre_sqlite_queries **queries, const acre_sqlite_queries_options *options)
{
    if (queries == NULL || options == NULL || options->cache == NULL) return acre_fail(ACRE_INVALID, "sqlite queries: a NULL");
    acre_sqlite_queries *const self = sqlite3_malloc64(sizeof *self);
    if (self == NULL) return acre_fail(ACRE_NO_MEMORY, "sqlite queries: no memory");
    *self =
        (acre_sqlite_queries){.cache = options->cache,
                              .has_no_foreign_writers = options->has_no_foreign_writers,
                              .statement_count_max = options->statement_count_max == 0 ? STATEMENTS_DEFAULT : options->statement_count_max};
    if (pthread_mutex_init(&self->lock, NULL) != 0) {
        sqlite3_free(self);
        return acre_fail(ACRE_NO_MEMORY, "sqlite queries: no lock");
    }
    *queries = self;
    return ACRE_OK;
}

void acre_sqlite_queries_close(acre_sqlite_queries *queries)
{
    if (queries == NULL) return;
    (void)pthread_mutex_destroy(&queries->lock);
    sqlite3_free(queries);
}

/* --- changes of a transaction --- */

static void add_change(changes *self, uint64_t object)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->objects[i] == object) return;
    if (self->count == self->room) {
        const size_t room = self->room == 0 ? 16 : self->room * 2;
        uint64_t *const more = room > CHANGES_MAX ? NULL : sqlite3_realloc64(self->objects, room * sizeof *more);
        if (more == NULL) {
            self->is_wide = true;
            return;
        }
        self->objects = more;
        self->room = room;
    }
    self->objects[self->count++] = object;
}

static void clear_changes(changes *self)
{
    self->count = 0;
    self->is_noted = self->is_wide = self->is_unsure = false;
}

static bool has_changes(const changes *self) { return self->count > 0 || self->is_wide || self->is_unsure; }

static bool is_idle(acre_sqlite_connection *self)
{
    return sqlite3_get_autocommit(self->db) != 0 && sqlite3_txn_state(self->db, NULL) == SQLITE_TXN_NONE;
}

static bool is_writing(acre_sqlite_connection *self) { return sqlite3_txn_state(self->db, NULL) == SQLITE_TXN_WRITE; }

/* Its databases are as they were when they were examined, and no schema can have changed since. */
static bool is_up_to_date(const acre_sqlite_connection *self)
{
    if (self->must_examine) return false;
    for (uint32_t i = 0; i < self->database_count; i++) {
        const database *const at = &self->databases[i];
        if (at->is_outdated || at->generation != __atomic_load_n(&at->file->generation, __ATOMIC_ACQUIRE)) return false;
    }
    return true;
}

static bool find_inode(const char *path, uint64_t *device, uint64_t *inode)
{
    struct stat found;
    if (path == NULL || *path == 0 || stat(path, &found) != 0) return false;
    *device = (uint64_t)found.st_dev;
    *inode = (uint64_t)found.st_ino;
    return true;
}

/* Each database that is attached at this moment and that others may have answers of. */
static void outdate_attached(acre_sqlite_connection *self)
{
    const char *name;
    for (int i = 0; (name = sqlite3_db_name(self->db, i)) != NULL; i++) {
        uint64_t device, inode;
        if (i == 1 || !find_inode(sqlite3_db_filename(self->db, name), &device, &inode)) continue;
        database_file *const file = acre_queries_find_file(self->queries, device, inode);
        if (file == NULL) continue;
        acre_queries_outdate_file(self->queries, file);
        acre_queries_drop_file(self->queries, file);
    }
}

static void outdate_all(acre_sqlite_connection *self)
{
    for (uint32_t i = 0; i < self->database_count; i++) acre_queries_outdate_file(self->queries, self->databases[i].file);
    if (self->may_be_closed) outdate_attached(self);
}

/* The changes are done, and no commit told so. */
static void settle(acre_sqlite_connection *self)
{
    if (!has_changes(&self->changes) || sqlite3_get_autocommit(self->db) == 0 || is_writing(self)) return;
    if (self->changes.is_wide || self->changes.is_unsure) outdate_all(self);
    for (size_t i = 0; i < self->changes.count; i++) acre_query_cache_invalidate(self->queries->cache, self->changes.objects[i]);
    clear_changes(&self->changes);
}

/* --- a commit --- */

static int writes_of(acre_sqlite_connection *self)
{
    int count = 0, highest;
    return sqlite3_db_status(self->db, SQLITE_DBSTATUS_CACHE_WRITE, &count, &highest, 0) == SQLITE_OK ? count : 0;
}

/* The database is locked by this connection: nobody else can commit, and nobody sees this commit. */
static void begin_commit(acre_sqlite_connection *self)
{
    acre_sqlite_queries *const queries = self->queries;
    self->commit_count = 0;
    for (uint32_t i = 0; i < self->database_count; i++) {
        database *const at = &self->databases[i];
        at->is_wide = self->may_be_closed || sqlite3_txn_state(self->db, at->name) == SQLITE_TXN_WRITE;
        if (!at->is_wide) continue;
        acre_queries_begin_commit(queries, at, !self->may_be_closed);
        self->commit_count++;
    }
    /* A foreign change may have been one of triggers. */
    if (!is_up_to_date(self)) self->changes.is_unsure = true;
    if (!self->changes.is_noted && !self->changes.is_unsure) self->changes.is_wide = true;
    const bool is_wide = self->changes.is_wide || self->changes.is_unsure;
    for (uint32_t i = 0; i < self->database_count; i++) {
        database *const at = &self->databases[i];
        at->is_wide = at->is_wide && is_wide;
        if (at->is_wide) acre_query_cache_begin_write(queries->cache, acre_queries_object(at->file, NULL));
    }
    for (size_t i = 0; i < self->changes.count; i++) acre_query_cache_begin_write(queries->cache, self->changes.objects[i]);
    self->announced_count = self->changes.count;
    self->writes_before = writes_of(self);
    self->was_rolled_back = false;
    __atomic_fetch_add(&queries->open_commits, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&self->is_committing, true, __ATOMIC_RELAXED);
}

static void end_commit(acre_sqlite_connection *self)
{
    acre_sqlite_queries *const queries = self->queries;
    if (!__atomic_load_n(&self->is_committing, __ATOMIC_RELAXED)) return;
    const bool is_open = is_writing(self), is_done = !is_open && !self->was_rolled_back;
    const bool has_written = self->commit_count == 1 && writes_of(self) != self->writes_before;
    __atomic_store_n(&self->is_committing, false, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&queries->open_commits, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < self->database_count; i++) {
        database *const at = &self->databases[i];
        acre_queries_end_commit(queries, at, !self->may_be_closed, is_done && (has_written || at->kind == KIND_MEMORY));
        if (!at->is_wide) continue;
        at->is_wide = false;
        acre_query_cache_end_write(queries->cache, acre_queries_object(at->file, NULL));
        if (self->changes.is_wide) __atomic_fetch_add(&at->file->generation, 1, __ATOMIC_ACQ_REL);
    }
    if (self->changes.is_wide && self->may_be_closed) outdate_attached(self);
    for (size_t i = 0; i < self->announced_count; i++) acre_query_cache_end_write(queries->cache, self->changes.objects[i]);
    if (!is_open) clear_changes(&self->changes);
}

static int on_commit(void *context)
{
    acre_sqlite_connection *const self = context;
    if (self->attachment.commit != NULL) {
        const int refused = self->attachment.commit(self->attachment.commit_context);
        if (refused != 0) return refused;
    }
    end_commit(self);
    begin_commit(self);
    return 0;
}

static void on_rollback(void *context)
{
    acre_sqlite_connection *const self = context;
    self->was_rolled_back = true;
    if (__atomic_load_n(&self->is_committing, __ATOMIC_RELAXED))
        end_commit(self);
    else
        clear_changes(&self->changes);
    if (self->attachment.rollback != NULL) self->attachment.rollback(self->attachment.rollback_context);
}

/* A commit in sqlite3_reset or sqlite3_blob_close is told nobody. Who is not inside a call of SQLite has ended it. */
static void end_commits_of_others(acre_sqlite_queries *queries)
{
    (void)pthread_mutex_lock(&queries->lock);
    for (acre_sqlite_connection *at = queries->connections; at != NULL; at = at->next) {
        sqlite3_mutex *const mutex = sqlite3_db_mutex(at->db);
        if (!__atomic_load_n(&at->is_committing, __ATOMIC_RELAXED) || mutex == NULL || sqlite3_mutex_try(mutex) != SQLITE_OK) continue;
        if (!at->may_be_closed) { /* else the lock is needed again */
            end_commit(at);
            settle(at);
        }
        sqlite3_mutex_leave(mutex);
    }
    (void)pthread_mutex_unlock(&queries->lock);
}

/* --- examining a connection --- */

static void forget_databases(acre_sqlite_connection *self)
{
    for (uint32_t i = 0; i < self->database_count; i++) {
        database *const at = &self->databases[i];
        (void)sqlite3_finalize(at->cookie);
        acre_queries_drop_file(self->queries, at->file);
        sqlite3_free(at->name);
    }
    self->database_count = 0;
    sqlite3_free(self->context);
    self->context = NULL;
    self->context_bytes = 0;
}

static bool is_exclusive(acre_sqlite_connection *self, const char *name)
{
    sqlite3_stmt *asked = NULL;
    char *const sql = sqlite3_mprintf("PRAGMA \"%w\".locking_mode", name); /* reads nothing */
    const bool is_normal = sql != NULL && sqlite3_prepare_v2(self->db, sql, -1, &asked, NULL) == SQLITE_OK &&
                           sqlite3_step(asked) == SQLITE_ROW && sqlite3_stricmp((const char *)sqlite3_column_text(asked, 0), "normal") == 0;
    (void)sqlite3_finalize(asked);
    sqlite3_free(sql);
    return !is_normal;
}

/* Which kind it is, and where its state is to be seen. */
static file_kind look_at_kind(acre_sqlite_connection *self, database *at, const char *path)
{
    int has_moved = 0;
    unsigned char versions[4];
    void volatile *header = NULL;
    if (path == NULL || *path == 0) return KIND_MEMORY;
    if (sqlite3_uri_boolean(path, "immutable", 0) || sqlite3_uri_boolean(path, "nolock", 0) || is_exclusive(self, at->name))
        return KIND_NONE;
    if (sqlite3_file_control(self->db, at->name, SQLITE_FCNTL_HAS_MOVED, &has_moved) == SQLITE_OK && has_moved) return KIND_NONE;
    /* Opens the log and its index, if that is the journal mode. */
    if (acre_queries_ask(self, "SELECT count(*) FROM \"%w\".sqlite_schema", at->name, NULL, -1) < 0) return KIND_NONE;
    if (sqlite3_file_control(self->db, at->name, SQLITE_FCNTL_FILE_POINTER, &at->handle) != SQLITE_OK || at->handle == NULL ||
        at->handle->pMethods == NULL)
        return KIND_NONE;
    if (at->handle->pMethods->xRead(at->handle, versions, (int)sizeof versions, 16) != SQLITE_OK) return KIND_NONE;
    if (versions[3] != 2) return KIND_JOURNAL;
    if (at->handle->pMethods->iVersion < 2 || at->handle->pMethods->xShmMap == NULL) return KIND_NONE;
    if (at->handle->pMethods->xShmMap(at->handle, 0, 32768, 0, &header) != SQLITE_OK || header == NULL) return KIND_NONE;
    at->wal_index = (const uint64_t *)(uintptr_t)header;
    return KIND_WAL;
}

static bool add_database(acre_sqlite_connection *self, const char *name)
{
    database *const at = &self->databases[self->database_count];
    const char *const path = sqlite3_db_filename(self->db, name);
    uint64_t device = 0, inode = 0;
    if (self->database_count == DATABASES_MAX) return false;
    if (path != NULL && *path != 0 && !find_inode(path, &device, &inode)) return false;
    *at = (database){.db = self->db, .name = sqlite3_mprintf("%s", name)};
    self->must_ask_again = self->must_ask_again || at->name == NULL;
    if (at->name == NULL) return false;
    at->file = acre_queries_take_file(self->queries, device, inode);
    if (at->file == NULL) {
        self->must_ask_again = true;
        sqlite3_free(at->name);
        return false;
    }
    self->database_count++;
    at->generation = __atomic_load_n(&at->file->generation, __ATOMIC_ACQUIRE);
    at->kind = look_at_kind(self, at, path);
    char *const sql = sqlite3_mprintf("PRAGMA \"%w\".schema_version", name);
    self->internal_depth++;
    const bool is_good = sql != NULL && sqlite3_prepare_v3(self->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &at->cookie, NULL) == SQLITE_OK &&
                         sqlite3_step(at->cookie) == SQLITE_ROW;
    if (is_good) at->cookie_seen = sqlite3_column_int64(at->cookie, 0);
    (void)sqlite3_reset(at->cookie);
    self->internal_depth--;
    sqlite3_free(sql);
    self->must_ask_again = self->must_ask_again || !is_good;
    return is_good && at->kind != KIND_NONE;
}

/* What of a key is not the statement: which databases, how they are called, and what else changes answers. */
static bool make_context(acre_sqlite_connection *self, uint64_t settings)
{
    size_t bytes = 2 * sizeof(uint64_t);
    for (uint32_t i = 0; i < self->database_count; i++) bytes += strlen(self->databases[i].name) + 1 + sizeof(uint64_t);
    unsigned char *at = sqlite3_malloc64(bytes);
    self->must_ask_again = self->must_ask_again || at == NULL;
    if (at == NULL) return false;
    self->context = at;
    self->context_bytes = bytes;
    memcpy(at, &settings, sizeof settings);
    memcpy(at + sizeof settings, &self->attachment.dialect, sizeof self->attachment.dialect);
    at += 2 * sizeof settings;
    for (uint32_t i = 0; i < self->database_count; i++) {
        const size_t name_bytes = strlen(self->databases[i].name) + 1;
        memcpy(at, self->databases[i].name, name_bytes);
        memcpy(at + name_bytes, &self->databases[i].file->number, sizeof(uint64_t));
        at += name_bytes + sizeof(uint64_t);
    }
    return true;
}

static bool examine_databases(acre_sqlite_connection *self)
{
    static const char *const settings[] = {"PRAGMA full_column_names%s", "PRAGMA short_column_names%s",
                                           "PRAGMA reverse_unordered_selects%s"};
    uint64_t bits = 0;
    const char *name;
    bool is_kept = acre_queries_ask(self, "PRAGMA read_uncommitted%s", "", NULL, 1) == 0 &&
                   acre_queries_ask(self, "SELECT count(*) FROM temp.sqlite_schema WHERE type = 'view'%s", "", NULL, 1) == 0;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const int64_t value = acre_queries_ask(self, settings[i], "", NULL, -1);
        is_kept = is_kept && value >= 0;
        bits |= (uint64_t)(value != 0) << i;
    }
    for (int i = 0; (name = sqlite3_db_name(self->db, i)) != NULL; i++)
        if (i != 1 && !add_database(self, name)) is_kept = false; /* 1: temp */
    return make_context(self, bits) && is_kept;
}

/* No transaction is open. */
static void examine(acre_sqlite_connection *self)
{
    acre_queries_drop_statements(self);
    forget_databases(self);
    self->must_examine = self->may_be_closed = self->must_ask_again = false;
    self->internal_depth++;
    self->is_kept = examine_databases(self);
    self->internal_depth--;
    self->must_examine = self->must_ask_again;
}

/* Something has changed that may be the schema. False: it is. */
static bool has_same_schema(acre_sqlite_connection *self, database *at)
{
    const uint64_t generation = __atomic_load_n(&at->file->generation, __ATOMIC_ACQUIRE);
    if (at->is_outdated || at->cookie == NULL) return false;
    self->internal_depth++;
    const bool is_same = sqlite3_step(at->cookie) == SQLITE_ROW && sqlite3_column_int64(at->cookie, 0) == at->cookie_seen;
    (void)sqlite3_reset(at->cookie);
    self->internal_depth--;
    if (is_same) at->generation = generation;
    return is_same;
}

/* No transaction is open. */
static void bring_up_to_date(acre_sqlite_connection *self)
{
    bool must_examine = self->must_examine;
    for (uint32_t i = 0; i < self->database_count && !must_examine; i++) {
        database *const at = &self->databases[i];
        if (at->generation != __atomic_load_n(&at->file->generation, __ATOMIC_ACQUIRE) || at->is_outdated)
            must_examine = !has_same_schema(self, at);
    }
    if (must_examine) examine(self);
}

/* --- statements that begin and end --- */

static void note_writes(acre_sqlite_connection *self, statement *begun)
{
    self->changes.is_noted = true;
    if (begun == NULL || (begun->does & (WRITES_UNKNOWN | DOES_SCHEMA | DOES_SETTINGS | HAS_FAILED)) != 0 || begun->writes.count == 0) {
        self->changes.is_wide = true;
        return;
    }
    if (!is_up_to_date(self) || !acre_queries_resolve_writes(self, begun)) {
        self->changes.is_unsure = true;
        return;
    }
    for (uint32_t i = 0; i < begun->written_count; i++) add_change(&self->changes, begun->written[i]);
}

/* One that the program runs itself. Compiling is all that may be done here: what is read while it begins would hold a lock until it ends,
 * and SQLite does not wait for the lock to write while it has one to read. */
static statement *look_up(acre_sqlite_connection *self, const char *sql)
{
    int status;
    const size_t bytes = strlen(sql);
    statement *const found = acre_queries_find_statement(self, sql, bytes);
    return found != NULL ? found : acre_queries_make_statement(self, sql, bytes, false, &status);
}

static void note_begin(acre_sqlite_connection *self, sqlite3_stmt *begun, const char *text)
{
    end_commit(self);
    if (begun == self->last_begun && strncmp(text, "--", 2) == 0) return; /* a trigger of it */
    self->last_begun = begun;
    const bool is_reader = sqlite3_stmt_readonly(begun) != 0;
    if (is_reader && sqlite3_column_count(begun) > 0) return;
    const char *const sql = sqlite3_sql(begun);
    statement *const known = self->running != NULL && self->running->prepared == begun ? self->running
                             : sql == NULL                                             ? NULL
                                                                                       : look_up(self, sql);
    if (!is_reader && (known == NULL || (known->does & DOES_TRANSACTION) == 0)) note_writes(self, known); /* BEGIN IMMEDIATE is no reader */
    if (known == NULL || (known->does & (DOES_SETTINGS | HAS_FAILED)) != 0) self->may_be_closed = true;
    if (self->may_be_closed || (known->does & DOES_SCHEMA) != 0) self->must_examine = true;
    if (!is_reader && !self->may_be_closed && strncmp(text, "--", 2) != 0) self->writer = begun;
}

static void note_end(acre_sqlite_connection *self, const sqlite3_stmt *ended)
{
    if (ended == self->last_begun) self->last_begun = NULL;
    end_commit(self);
    settle(self);
    /* Only behind statements that are the program's own: sqlite3_deserialize has one that ends while the database is neither the old nor
     * the new one. */
    const bool may_ask = ended == self->writer;
    if (may_ask) self->writer = NULL;
    if (may_ask && !is_up_to_date(self) && is_idle(self)) bring_up_to_date(self);
}

static int on_trace(unsigned event, void *context, void *p, void *x)
{
    acre_sqlite_connection *const self = context;
    if (self->internal_depth > 0) return 0;
    if (event == SQLITE_TRACE_STMT) {
        note_begin(self, p, x);
    } else if (event == SQLITE_TRACE_PROFILE) {
        note_end(self, p);
    } else if (event == SQLITE_TRACE_ROW && sqlite3_sql(p) == NULL && !sqlite3_stmt_readonly(p)) {
        self->changes.is_unsure = true; /* a blob handle that may write */
    }
    const acre_sqlite_attachment *const next = &self->attachment;
    return next->trace != NULL && (next->trace_events & event) != 0 ? next->trace(event, next->trace_context, p, x) : 0;
}

/* --- attaching --- */

static void take_callbacks(acre_sqlite_connection *self)
{
    const unsigned events = SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE | SQLITE_TRACE_ROW | self->attachment.trace_events;
    (void)sqlite3_set_authorizer(self->db, acre_queries_authorize, self);
    (void)sqlite3_trace_v2(self->db, events, on_trace, self);
    (void)sqlite3_commit_hook(self->db, on_commit, self);
    (void)sqlite3_rollback_hook(self->db, on_rollback, self);
}

static void give_callbacks_back(acre_sqlite_connection *self)
{
    const acre_sqlite_attachment *const next = &self->attachment;
    (void)sqlite3_set_authorizer(self->db, next->authorize, next->authorize_context);
    (void)sqlite3_trace_v2(self->db, next->trace_events, next->trace, next->trace_context);
    (void)sqlite3_commit_hook(self->db, next->commit, next->commit_context);
    (void)sqlite3_rollback_hook(self->db, next->rollback, next->rollback_context);
}

acre_status acre_sqlite_attach(acre_sqlite_queries *queries, struct sqlite3 *db, const acre_sqlite_attachment *attachment,
                               acre_sqlite_connection **connection)
{
    if (queries == NULL || db == NULL || connection == NULL) return acre_fail(ACRE_INVALID, "sqlite queries: a NULL");
    acre_sqlite_connection *const self = sqlite3_malloc64(sizeof *self);
    if (self == NULL) return acre_fail(ACRE_NO_MEMORY, "sqlite queries: no memory for a connection");
    memset(self, 0, sizeof *self);
    self->queries = queries;
    self->db = db;
    if (attachment != NULL) self->attachment = *attachment;
    sqlite3_mutex_enter(sqlite3_db_mutex(db));
    const bool is_free = is_idle(self);
    if (is_free) {
        take_callbacks(self);
        examine(self);
    }
    sqlite3_mutex_leave(sqlite3_db_mutex(db));
    if (!is_free) {
        sqlite3_free(self);
        return acre_fail(ACRE_BUSY, "sqlite queries: the connection has a transaction open");
    }
    (void)pthread_mutex_lock(&queries->lock);
    self->next = queries->connections;
    queries->connections = self;
    (void)pthread_mutex_unlock(&queries->lock);
    *connection = self;
    return ACRE_OK;
}

static void forget_connection(acre_sqlite_connection *self)
{
    acre_sqlite_connection **place = &self->queries->connections;
    (void)pthread_mutex_lock(&self->queries->lock);
    while (*place != self) place = &(*place)->next;
    *place = self->next;
    (void)pthread_mutex_unlock(&self->queries->lock);
}

acre_status acre_sqlite_detach(acre_sqlite_connection *connection)
{
    if (connection == NULL) return ACRE_OK;
    sqlite3_mutex *const mutex = sqlite3_db_mutex(connection->db);
    sqlite3_mutex_enter(mutex);
    end_commit(connection);
    const bool is_busy = is_writing(connection);
    if (!is_busy) {
        forget_connection(connection);
        settle(connection);
        give_callbacks_back(connection);
        acre_queries_drop_statements(connection);
        forget_databases(connection);
    }
    sqlite3_mutex_leave(mutex);
    if (is_busy) return acre_fail(ACRE_BUSY, "sqlite queries: the connection is writing");
    sqlite3_free(connection->changes.objects);
    sqlite3_free(connection);
    return ACRE_OK;
}

void acre_sqlite_changed(acre_sqlite_connection *connection)
{
    if (connection == NULL) return;
    sqlite3_mutex_enter(sqlite3_db_mutex(connection->db));
    outdate_all(connection);
    sqlite3_mutex_leave(sqlite3_db_mutex(connection->db));
}

/* --- queries --- */

typedef struct request {
    const acre_sqlite_value *parameters;
    size_t parameter_count;
    const acre_sqlite_wishes *wishes;
    acre_sqlite_answer *answer;
} request;

static int bind(sqlite3_stmt *prepared, const request *asked)
{
    int status = SQLITE_OK;
    for (size_t i = 0; i < asked->parameter_count && status == SQLITE_OK; i++) {
        const acre_sqlite_value *const value = &asked->parameters[i];
        const int number = (int)i + 1;
        const void *const data = value->data != NULL ? value->data : "";
        switch (value->type) {
        case ACRE_SQLITE_INTEGER:
            status = sqlite3_bind_int64(prepared, number, value->integer);
            break;
        case ACRE_SQLITE_REAL:
            status = sqlite3_bind_double(prepared, number, value->real);
            break;
        case ACRE_SQLITE_TEXT:
            status = sqlite3_bind_text64(prepared, number, data, value->bytes, SQLITE_STATIC, SQLITE_UTF8);
            break;
        case ACRE_SQLITE_BLOB:
            status = sqlite3_bind_blob64(prepared, number, data, value->bytes, SQLITE_STATIC);
            break;
        case ACRE_SQLITE_NULL:
            break;
        default:
            status = SQLITE_MISUSE;
            break;
        }
    }
    return status;
}

/* Runs it, and gives the rows to the answer. `is_same`: it was not compiled anew meanwhile, so it reads what is known. */
static int run(acre_sqlite_connection *self, statement *asked, const request *with, size_t *bytes, bool *is_same)
{
    statement *const outer = self->running;
    const uint64_t authorized = self->authorized_count;
    unsigned char *owned = NULL;
    *bytes = 0;
    *is_same = true;
    if (asked->prepared == NULL) return SQLITE_OK; /* nothing but blanks */
    self->running = asked;
    asked->is_running = true;
    int status = bind(asked->prepared, with);
    if (status == SQLITE_OK) status = acre_queries_collect_rows(asked->prepared, &owned, bytes);
    *is_same = self->authorized_count == authorized && !asked->is_outdated;
    const int told = sqlite3_reset(asked->prepared); /* again with the error of the last step, for sqlite3_errmsg */
    if (status == SQLITE_OK && told != SQLITE_OK) status = told;
    (void)sqlite3_clear_bindings(asked->prepared);
    asked->is_running = false;
    self->running = outer;
    end_commit(self);
    settle(self);
    if (status != SQLITE_OK) {
        sqlite3_free(owned);
        return status;
    }
    with->answer->owned = owned;
    acre_queries_point_answer(with->answer, owned);
    return SQLITE_OK;
}

static int run_uncached(acre_sqlite_connection *self, statement *asked, const request *with)
{
    size_t bytes;
    bool is_same;
    with->answer->outcome = ACRE_QUERY_BUSY;
    const int status = run(self, asked, with, &bytes, &is_same);
    if (!is_same) acre_queries_drop_statement(self, asked);
    return status;
}

static bool is_all_accounted(acre_sqlite_connection *self, bool is_locked)
{
    bool is_good = true;
    for (uint32_t i = 0; i < self->database_count; i++)
        is_good = acre_queries_is_accounted(self->queries, &self->databases[i], is_locked) && is_good;
    return is_good;
}

static bool run_internal(acre_sqlite_connection *self, const char *sql)
{
    self->internal_depth++;
    const int status = sqlite3_exec(self->db, sql, NULL, NULL, NULL);
    self->internal_depth--;
    return status == SQLITE_OK;
}

/* Inside a transaction that reads, so that what the files show is what is committed. */
static int run_and_account(acre_sqlite_connection *self, statement *asked, const request *with)
{
    if (!run_internal(self, "BEGIN")) return run_uncached(self, asked, with);
    const int status = run_uncached(self, asked, with);
    for (uint32_t i = 0; i < self->database_count; i++)
        if (has_same_schema(self, &self->databases[i])) /* it is read from now on, if it was not before */
            (void)acre_queries_is_accounted(self->queries, &self->databases[i], true);
    if (!run_internal(self, "COMMIT")) (void)run_internal(self, "ROLLBACK");
    return status;
}

static size_t parameter_bytes_of(const request *asked)
{
    size_t bytes = 0;
    for (size_t i = 0; i < asked->parameter_count; i++) {
        const acre_sqlite_value *const value = &asked->parameters[i];
        bytes += 1 + sizeof(uint64_t) + (value->type == ACRE_SQLITE_TEXT || value->type == ACRE_SQLITE_BLOB ? value->bytes : 0);
    }
    return bytes;
}

static void write_parameters(const request *asked, unsigned char *at)
{
    for (size_t i = 0; i < asked->parameter_count; i++) {
        const acre_sqlite_value *const value = &asked->parameters[i];
        uint64_t word = 0;
        *at++ = (unsigned char)value->type;
        if (value->type == ACRE_SQLITE_INTEGER)
            memcpy(&word, &value->integer, sizeof word);
        else if (value->type == ACRE_SQLITE_REAL)
            memcpy(&word, &value->real, sizeof word);
        else if (value->type != ACRE_SQLITE_NULL)
            word = value->bytes;
        memcpy(at, &word, sizeof word);
        at += sizeof word;
        if ((value->type == ACRE_SQLITE_TEXT || value->type == ACRE_SQLITE_BLOB) && value->bytes > 0) {
            memcpy(at, value->data, value->bytes);
            at += value->bytes;
        }
    }
}

/* It is this thread's turn to run it. */
static int run_and_fill(acre_sqlite_connection *self, statement *asked, const request *with, acre_query_answer *turn)
{
    size_t bytes;
    bool is_same;
    const uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
    const int status = run(self, asked, with, &bytes, &is_same);
    if (status == SQLITE_OK && is_same && is_all_accounted(self, false)) {
        const acre_query_result result = {.value = with->answer->bytes,
                                          .value_bytes = bytes,
                                          .objects = asked->objects,
                                          .object_count = asked->object_count,
                                          .cost_ns = clock_ns(CLOCK_MONOTONIC) - begin_ns,
                                          .ttl_ns = with->wishes != NULL ? with->wishes->ttl_ns : 0};
        (void)acre_query_cache_fill(self->queries->cache, turn, &result, clock_ns(CLOCK_MONOTONIC_COARSE));
    } else {
        acre_query_cache_abandon(self->queries->cache, turn);
    }
    if (!is_same) acre_queries_drop_statement(self, asked);
    return status;
}

static int answer_with_key(acre_sqlite_connection *self, statement *asked, const request *with, const acre_query *key)
{
    acre_query_cache *const cache = self->queries->cache;
    acre_sqlite_answer *const answer = with->answer;
    const acre_query_wishes wishes = {.stale_ns = with->wishes != NULL ? with->wishes->stale_ns : 0,
                                      .wait_ns = with->wishes != NULL ? with->wishes->wait_ns : 0};
    acre_query_answer held;
    if (acre_query_cache_get(cache, key, clock_ns(CLOCK_MONOTONIC_COARSE), &wishes, &held) != ACRE_OK)
        return run_uncached(self, asked, with);
    answer->outcome = held.outcome;
    if (held.has_turn) {
        if (held.outcome == ACRE_QUERY_STALE) acre_query_cache_release(cache, &held); /* the one that is made is as old as none */
        answer->outcome = ACRE_QUERY_MISS;
        return run_and_fill(self, asked, with, &held);
    }
    if (held.outcome != ACRE_QUERY_HIT && held.outcome != ACRE_QUERY_STALE) return run_uncached(self, asked, with);
    answer->held = held;
    answer->cache = cache;
    acre_queries_point_answer(answer, held.value);
    return SQLITE_OK;
}

static int answer_from_cache(acre_sqlite_connection *self, statement *asked, const request *with)
{
    unsigned char parameters[PARAMETER_BYTES];
    const size_t bytes = parameter_bytes_of(with);
    unsigned char *const at = bytes <= sizeof parameters ? parameters : sqlite3_malloc64(bytes);
    if (at == NULL) return run_uncached(self, asked, with);
    write_parameters(with, at);
    const acre_query key = {asked->key, asked->context_bytes + asked->sql_bytes, at, bytes};
    const int status = answer_with_key(self, asked, with, &key);
    if (at != parameters) sqlite3_free(at);
    return status;
}

static int find_and_run(acre_sqlite_connection *self, const char *sql, const request *with)
{
    end_commit(self);
    const bool is_free = is_idle(self);
    const size_t bytes = strlen(sql);
    int status;
    if (is_free && !is_up_to_date(self)) bring_up_to_date(self);
    statement *asked = acre_queries_find_statement(self, sql, bytes);
    if (asked != NULL && asked->is_running) return SQLITE_BUSY;
    if (asked != NULL && !asked->is_for_running) {
        acre_queries_drop_statement(self, asked);
        asked = NULL;
    }
    if (asked == NULL) asked = acre_queries_make_statement(self, sql, bytes, true, &status);
    if (asked == NULL) return status;
    if (with->parameter_count > (size_t)sqlite3_bind_parameter_count(asked->prepared)) return SQLITE_RANGE;
    const bool may_be_kept = is_free && self->is_kept && !self->must_examine && (with->wishes == NULL || !with->wishes->is_uncached);
    if (may_be_kept && !asked->is_checked) acre_queries_check_statement(self, asked);
    if (!may_be_kept || !asked->is_kept) return run_uncached(self, asked, with);
    if (__atomic_load_n(&self->queries->open_commits, __ATOMIC_RELAXED) > 0) end_commits_of_others(self->queries);
    if (!is_all_accounted(self, false)) return run_and_account(self, asked, with);
    return answer_from_cache(self, asked, with);
}

int acre_sqlite_query(acre_sqlite_connection *connection, const char *sql, const acre_sqlite_value *parameters, size_t parameter_count,
                      const acre_sqlite_wishes *wishes, acre_sqlite_answer *answer)
{
    if (answer != NULL) *answer = (acre_sqlite_answer){0};
    if (connection == NULL || sql == NULL || answer == NULL || (parameters == NULL && parameter_count > 0)) return SQLITE_MISUSE;
    const request with = {parameters, parameter_count, wishes, answer};
    sqlite3_mutex *const mutex = sqlite3_db_mutex(connection->db);
    sqlite3_mutex_enter(mutex);
    const int status = find_and_run(connection, sql, &with);
    sqlite3_mutex_leave(mutex);
    if (status != SQLITE_OK) acre_sqlite_answer_close(answer);
    return status;
}
