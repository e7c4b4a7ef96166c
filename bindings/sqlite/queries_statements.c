/* queries_statements.c - what statements read, write and call, as SQLite's authorizer tells it while it compiles them.
 *
 * A connection knows a number of statements by their text: those that it runs for acre_sqlite_query, which stay prepared, and those that
 * the program runs itself, which are compiled once more just to hear what they write. Whatever is not understood makes a statement one that
 * is run each time, and whose changes are to everything. */
#include "queries.h"

#include <string.h>

/* --- lists of names --- */

/* An entry is one string, or two. */
static size_t entry_bytes(const char *at, bool is_pair)
{
    const size_t first = strlen(at) + 1;
    return is_pair ? first + strlen(at + first) + 1 : first;
}

static bool holds(const names *self, const char *entry, bool is_pair)
{
    const size_t bytes = entry_bytes(entry, is_pair);
    for (const char *at = self->text, *const end = self->text + self->bytes; at < end; at += entry_bytes(at, is_pair))
        if (entry_bytes(at, is_pair) == bytes && memcmp(at, entry, bytes) == 0) return true;
    return false;
}

/* `first` and `second`, which may be NULL: a database and a table, or a function. */
static bool add_name(names *self, const char *first, const char *second)
{
    const size_t first_bytes = strlen(first) + 1, bytes = first_bytes + (second == NULL ? 0 : strlen(second) + 1);
    if (self->room - self->bytes < bytes) {
        const size_t room = (self->room + bytes) * 2;
        char *const more = sqlite3_realloc64(self->text, room);
        if (more == NULL) return false;
        self->text = more;
        self->room = room;
    }
    char *const at = self->text + self->bytes;
    memcpy(at, first, first_bytes);
    if (second != NULL) memcpy(at + first_bytes, second, bytes - first_bytes);
    if (holds(self, at, second != NULL)) return true;
    self->bytes += bytes;
    self->count++;
    return true;
}

static void next_name(const char **at, const char **name)
{
    *name = *at;
    *at += strlen(*at) + 1;
}

/* --- the authorizer --- */

static void note_read(statement *self, const char *schema, const char *table)
{
    if (table == NULL)
        self->does |= DOES_OTHER;
    else if (!add_name(&self->reads, schema == NULL ? "" : schema, table)) /* of a table without a column, SQLite does not say which one */
        self->does |= HAS_FAILED;
}

static bool is_of_sqlite(const char *table) { return sqlite3_strnicmp(table, "sqlite_", 7) == 0; }

static void note_write(statement *self, const char *schema, const char *table)
{
    if (schema == NULL || table == NULL || (is_of_sqlite(table) && strcmp(schema, "temp") != 0))
        self->does |= WRITES_UNKNOWN;
    else if (!add_name(&self->writes, schema, table))
        self->does |= HAS_FAILED;
}

static void note(statement *self, int action, const char *first, const char *second, const char *schema)
{
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        break;
    case SQLITE_READ:
        note_read(self, schema, first);
        break;
    case SQLITE_FUNCTION:
        if (second == NULL || !add_name(&self->functions, second, NULL)) self->does |= HAS_FAILED;
        break;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        note_write(self, schema, first);
        break;
    case SQLITE_PRAGMA:
        self->does |= DOES_OTHER | DOES_SETTINGS;
        break;
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        self->does |= DOES_OTHER | DOES_TRANSACTION;
        break;
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_DROP_TEMP_TABLE:
    case SQLITE_DROP_TEMP_TRIGGER:
    case SQLITE_DROP_TEMP_VIEW:
        self->does |= DOES_OTHER | DOES_SCHEMA;
        break;
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        self->does |= DOES_OTHER | DOES_SETTINGS;
        break;
    default:
        self->does |= DOES_OTHER | DOES_SCHEMA | WRITES_UNKNOWN;
        break; /* CREATE and DROP, and what other versions of SQLite have */
    }
}

int acre_queries_authorize(void *connection, int action, const char *first, const char *second, const char *schema, const char *trigger)
{
    acre_sqlite_connection *const self = connection;
    if (self->internal_depth > 0 && self->collecting == NULL) return SQLITE_OK;
    const bool is_ours = self->internal_depth > 0; /* compiled once more: the program has answered before */
    int verdict = SQLITE_OK;
    if (!is_ours && self->attachment.authorize != NULL)
        verdict = self->attachment.authorize(self->attachment.authorize_context, action, first, second, schema, trigger);
    if (self->collecting != NULL) {
        note(self->collecting, action, first, second, schema);
        if (verdict == SQLITE_IGNORE) self->collecting->does |= IS_TOLD_IGNORE;
    }
    if (!is_ours) self->authorized_count++;
    if (!is_ours && action == SQLITE_PRAGMA)
        self->must_examine = self->may_be_closed = true; /* some do what they do while they are compiled */
    return verdict;
}

/* --- statements that are known --- */

static uint64_t hash_of(const char *text, size_t bytes)
{
    uint64_t hash = bytes, word;
    for (; bytes >= sizeof word; text += sizeof word, bytes -= sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 32;
    }
    word = 0;
    for (size_t i = 0; i < bytes; i++) word = word << 8 | (unsigned char)text[i];
    hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
    return hash ^ hash >> 32;
}

static const char *sql_of(const statement *self) { return self->key + self->context_bytes; }

statement *acre_queries_find_statement(acre_sqlite_connection *self, const char *sql, size_t bytes)
{
    const uint64_t hash = hash_of(sql, bytes);
    statement *found = self->chains[hash % CHAINS];
    while (found != NULL && (found->hash != hash || found->sql_bytes != bytes || memcmp(sql_of(found), sql, bytes) != 0))
        found = found->next;
    if (found != NULL) found->used = ++self->use_clock;
    return found;
}

static void free_statement(statement *gone)
{
    (void)sqlite3_finalize(gone->prepared);
    sqlite3_free(gone->reads.text);
    sqlite3_free(gone->writes.text);
    sqlite3_free(gone->functions.text);
    sqlite3_free(gone->objects);
    sqlite3_free(gone->written);
    sqlite3_free(gone->key);
    sqlite3_free(gone);
}

void acre_queries_drop_statement(acre_sqlite_connection *self, statement *gone)
{
    statement **place = &self->chains[gone->hash % CHAINS];
    while (*place != gone) place = &(*place)->next;
    *place = gone->next;
    self->statement_counts[gone->is_for_running]--;
    free_statement(gone);
}

void acre_queries_drop_statements(acre_sqlite_connection *self)
{
    for (int i = 0; i < CHAINS; i++) {
        for (statement *at = self->chains[i], *next; at != NULL; at = next) {
            next = at->next;
            if (at->is_running) {
                at->is_outdated = true; /* dropped by who runs it */
                at->is_resolved = false;
            } else {
                acre_queries_drop_statement(self, at);
            }
        }
    }
}

/* Those that are only known for what they do take no room from those that are prepared. */
static void make_room(acre_sqlite_connection *self, bool is_for_running)
{
    statement *oldest = NULL;
    if (self->statement_counts[is_for_running] < self->queries->statement_count_max) return;
    for (int i = 0; i < CHAINS; i++)
        for (statement *at = self->chains[i]; at != NULL; at = at->next)
            if (!at->is_running && at->is_for_running == is_for_running && (oldest == NULL || at->used < oldest->used)) oldest = at;
    if (oldest != NULL) acre_queries_drop_statement(self, oldest);
}

/* Only blanks and comments. */
static bool is_empty(acre_sqlite_connection *self, const char *tail)
{
    sqlite3_stmt *rest = NULL;
    if (*tail == 0) return true;
    const int status = sqlite3_prepare_v2(self->db, tail, -1, &rest, NULL);
    const bool has_more = rest != NULL || status != SQLITE_OK;
    (void)sqlite3_finalize(rest);
    return !has_more;
}

static int compile(acre_sqlite_connection *self, statement *made, const char *sql, bool is_for_running)
{
    const char *tail = "";
    statement *const outer = self->collecting;
    self->collecting = made;
    if (!is_for_running) self->internal_depth++;
    int status = sqlite3_prepare_v3(self->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made->prepared, &tail);
    self->collecting = NULL;
    if (status == SQLITE_OK && is_for_running) {
        self->internal_depth++;
        if (!is_empty(self, tail)) status = SQLITE_MISUSE;
        self->internal_depth--;
    }
    if (status == SQLITE_OK && made->prepared == NULL) made->does |= DOES_OTHER; /* nothing but blanks */
    if (!is_for_running) {
        (void)sqlite3_finalize(made->prepared);
        made->prepared = NULL;
        self->internal_depth--;
    }
    self->collecting = outer;
    return status;
}

statement *acre_queries_make_statement(acre_sqlite_connection *self, const char *sql, size_t bytes, bool is_for_running, int *status)
{
    statement *const made = sqlite3_malloc64(sizeof *made);
    *status = SQLITE_NOMEM;
    if (made == NULL) return NULL;
    *made = (statement){.hash = hash_of(sql, bytes),
                        .context_bytes = self->context_bytes,
                        .sql_bytes = bytes,
                        .used = ++self->use_clock,
                        .is_for_running = is_for_running};
    made->key = sqlite3_malloc64(made->context_bytes + bytes + 1);
    if (made->key != NULL) {
        if (made->context_bytes > 0) memcpy(made->key, self->context, made->context_bytes);
        memcpy(made->key + made->context_bytes, sql, bytes);
        made->key[made->context_bytes + bytes] = 0;
        *status = compile(self, made, sql_of(made), is_for_running);
    }
    if (*status != SQLITE_OK) {
        free_statement(made);
        return NULL;
    }
    make_room(self, is_for_running);
    made->next = self->chains[made->hash % CHAINS];
    self->chains[made->hash % CHAINS] = made;
    self->statement_counts[is_for_running]++;
    return made;
}

/* --- what answers are made from --- */

database *acre_queries_database_named(acre_sqlite_connection *self, const char *name)
{
    for (uint32_t i = 0; i < self->database_count; i++)
        if (sqlite3_stricmp(self->databases[i].name, name) == 0) return &self->databases[i];
    return NULL;
}

/* It may go better the next time. */
static bool is_passing(int status)
{
    const int kind = status & 0xff;
    return kind == SQLITE_BUSY || kind == SQLITE_LOCKED || kind == SQLITE_NOMEM || kind == SQLITE_INTERRUPT || kind == SQLITE_IOERR ||
           kind == SQLITE_SCHEMA;
}

int64_t acre_queries_ask(acre_sqlite_connection *self, const char *format, const char *name, const char *parameter, int64_t missing)
{
    sqlite3_stmt *asked = NULL;
    int64_t answer = missing;
    char *const sql = sqlite3_mprintf(format, name);
    statement *const outer = self->collecting;
    self->internal_depth++;
    self->collecting = NULL;
    int status = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(self->db, sql, -1, &asked, NULL);
    if (status == SQLITE_OK && parameter != NULL) status = sqlite3_bind_text(asked, 1, parameter, -1, SQLITE_STATIC);
    if (status == SQLITE_OK) status = sqlite3_step(asked);
    if (status == SQLITE_ROW)
        answer = sqlite3_column_int64(asked, 0);
    else if (status != SQLITE_DONE)
        answer = INT64_MIN;
    if (is_passing(status)) self->must_ask_again = true;
    (void)sqlite3_finalize(asked);
    self->collecting = outer;
    self->internal_depth--;
    sqlite3_free(sql);
    return answer;
}

/* -1: there is none of that name; 0: one that cannot be kept. Only tables that lie in the file can, and views, whose tables are told, too.
 */
static int64_t look_at_table(acre_sqlite_connection *self, const char *schema, const char *table)
{
    return acre_queries_ask(self,
                            "SELECT type = 'view' OR (type = 'table' AND rootpage > 0) FROM \"%w\".sqlite_schema "
                            "WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
                            schema, table, -1);
}

static bool is_kept_table(acre_sqlite_connection *self, const char *schema, const char *table)
{
    if (is_of_sqlite(table)) return false;
    if (*schema != 0) return acre_queries_database_named(self, schema) != NULL && look_at_table(self, schema, table) == 1;
    bool is_there = false;
    for (uint32_t i = 0; i < self->database_count; i++) {
        const int64_t found = look_at_table(self, self->databases[i].name, table);
        if (found != -1 && found != 1) return false;
        is_there = is_there || found == 1;
    }
    return is_there && look_at_table(self, "temp", table) == -1;
}

static bool is_of_time(const char *function)
{
    static const char *const known[] = {"date",     "time",         "datetime",     "julianday",         "unixepoch",
                                        "strftime", "current_date", "current_time", "current_timestamp", "timediff"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (sqlite3_stricmp(known[i], function) == 0) return true;
    return false;
}

static const char *text_of(sqlite3_stmt *row, int column)
{
    const char *const text = (const char *)sqlite3_column_text(row, column);
    return text == NULL ? "" : text;
}

/* A row of PRAGMA function_list. SQLite does not mark its aggregates and window functions as deterministic, which they are. */
static bool is_kept_kind(const acre_sqlite_connection *self, sqlite3_stmt *row)
{
    const bool is_sqlites = sqlite3_column_int(row, 1) != 0, is_scalar = strcmp(text_of(row, 2), "s") == 0;
    const bool is_deterministic = (sqlite3_column_int(row, 5) & SQLITE_DETERMINISTIC) != 0;
    return (is_sqlites || self->attachment.dialect != 0) && (is_deterministic || (is_sqlites && !is_scalar));
}

/* Looks through the rows of a PRAGMA. The table-valued functions of the same name would be shorter, but SQLite keeps a pointer in them that
 * sqlite3_deserialize makes dangle. */
static bool all_rows(acre_sqlite_connection *self, const char *sql, bool (*is_good)(acre_sqlite_connection *, sqlite3_stmt *, const char *),
                     const char *with)
{
    sqlite3_stmt *asked = NULL;
    bool are_good = true;
    statement *const outer = self->collecting;
    self->internal_depth++;
    self->collecting = NULL;
    int status = sqlite3_prepare_v2(self->db, sql, -1, &asked, NULL);
    if (status == SQLITE_OK)
        while ((status = sqlite3_step(asked)) == SQLITE_ROW) are_good = is_good(self, asked, with) && are_good;
    (void)sqlite3_finalize(asked);
    self->collecting = outer;
    self->internal_depth--;
    if (is_passing(status)) self->must_ask_again = true;
    return are_good && status == SQLITE_DONE;
}

static bool is_another_or_kept(acre_sqlite_connection *self, sqlite3_stmt *row, const char *function)
{
    if (sqlite3_stricmp(text_of(row, 0), function) != 0) return true;
    self->has_found = true;
    return is_kept_kind(self, row);
}

static bool is_kept_function(acre_sqlite_connection *self, const char *function)
{
    self->has_found = false;
    return !is_of_time(function) && all_rows(self, "PRAGMA function_list", is_another_or_kept, function) && self->has_found;
}

static bool is_collation_of_sqlite(acre_sqlite_connection *self, sqlite3_stmt *row, const char *unused)
{
    const char *const name = text_of(row, 1);
    (void)self;
    (void)unused;
    return strcmp(name, "BINARY") == 0 || strcmp(name, "NOCASE") == 0 || strcmp(name, "RTRIM") == 0;
}

static bool are_kept_names(acre_sqlite_connection *self, const statement *checked)
{
    const char *at = checked->reads.text, *schema, *table, *function;
    for (uint32_t i = 0; i < checked->reads.count; i++) {
        next_name(&at, &schema);
        next_name(&at, &table);
        if (!is_kept_table(self, schema, table)) return false;
    }
    at = checked->functions.text;
    for (uint32_t i = 0; i < checked->functions.count; i++) {
        next_name(&at, &function);
        if (!is_kept_function(self, function)) return false;
    }
    return self->attachment.dialect != 0 || all_rows(self, "PRAGMA collation_list", is_collation_of_sqlite, NULL);
}

static bool add_objects(acre_sqlite_connection *self, statement *checked)
{
    const uint32_t count = self->database_count * (checked->reads.count + 1);
    const char *at = checked->reads.text, *schema, *table;
    if (count > OBJECTS_MAX) return false;
    checked->objects = sqlite3_malloc64((count + 1) * sizeof *checked->objects);
    self->must_ask_again = checked->objects == NULL;
    if (checked->objects == NULL) return false;
    for (uint32_t i = 0; i < self->database_count; i++)
        checked->objects[checked->object_count++] = acre_queries_object(self->databases[i].file, NULL);
    for (uint32_t i = 0; i < checked->reads.count; i++) {
        next_name(&at, &schema);
        next_name(&at, &table);
        for (uint32_t k = 0; k < self->database_count; k++) {
            const database *const at_database = &self->databases[k];
            if (*schema == 0 || sqlite3_stricmp(at_database->name, schema) == 0)
                checked->objects[checked->object_count++] = acre_queries_object(at_database->file, table);
        }
    }
    return true;
}

void acre_queries_check_statement(acre_sqlite_connection *self, statement *checked)
{
    sqlite3_stmt *const prepared = checked->prepared;
    self->must_ask_again = false;
    checked->is_kept = prepared != NULL && checked->does == 0 && checked->writes.count == 0 && sqlite3_stmt_readonly(prepared) &&
                       sqlite3_stmt_isexplain(prepared) == 0 && sqlite3_column_count(prepared) > 0 && are_kept_names(self, checked) &&
                       add_objects(self, checked);
    checked->is_checked = !self->must_ask_again;
}

/* --- what it writes --- */

bool acre_queries_resolve_writes(acre_sqlite_connection *self, statement *resolved)
{
    const char *at = resolved->writes.text, *schema, *table;
    if (resolved->is_resolved) return true;
    if ((resolved->does & (WRITES_UNKNOWN | HAS_FAILED)) != 0 || resolved->writes.count == 0) return false;
    uint64_t *const written = sqlite3_malloc64(resolved->writes.count * sizeof *written);
    if (written == NULL) return false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < resolved->writes.count; i++) {
        next_name(&at, &schema);
        next_name(&at, &table);
        if (strcmp(schema, "temp") == 0) continue;
        const database *const found = acre_queries_database_named(self, schema);
        if (found == NULL) {
            sqlite3_free(written);
            return false;
        }
        written[count++] = acre_queries_object(found->file, table);
    }
    sqlite3_free(resolved->written);
    resolved->written = written;
    resolved->written_count = count;
    return resolved->is_resolved = true;
}
