/* queries.h - what the files of the cached statements share.
 *
 * queries.c has the ways of a query and of a commit; queries_files.c knows in which state a database file is; queries_statements.c what a
 * statement reads and writes; queries_answer.c how rows lie in a value of the cache. */
#ifndef ACRE_SQLITE_QUERIES_INTERNAL_H
#define ACRE_SQLITE_QUERIES_INTERNAL_H

#include <acre/sqlite_queries.h>
#include <pthread.h>
#include <sqlite3.h>

enum { DATABASES_MAX = 16, STAMP_WORDS = 6, OBJECTS_MAX = ACRE_QUERY_OBJECTS_MAX - DATABASES_MAX };

/* --- files --- */

typedef enum file_kind { KIND_NONE = 0, KIND_WAL, KIND_JOURNAL, KIND_MEMORY } file_kind;

/* A state of a database as others see it. No state comes back after another one. */
typedef struct stamp {
    uint64_t kind;
    uint64_t words[STAMP_WORDS];
} stamp;

/* A database that at least one attached connection has open. */
typedef struct database_file {
    struct database_file *next;
    uint64_t device, inode; /* 0: of one connection alone */
    uint64_t number;        /* no other file of this process has had it */
    unsigned use_count;
    uint64_t generation; /* atomic: changes with what may have changed the schema */
    pthread_mutex_t lock;
    bool is_known;                      /* of what follows */
    stamp known;                        /* up to this state every change is in the versions of the cache, or is that of `commit` */
    uint64_t commit, serial, commit_ns; /* `commit`: the commit of an attached connection that has not been heard to end; 0: none */
} database_file;

/* A database of a connection. */
typedef struct database {
    char *name;
    database_file *file;
    file_kind kind;
    bool is_outdated; /* the file is in another journal mode than it was */
    sqlite3 *db;
    sqlite3_file *handle;
    const uint64_t *wal_index; /* its header, in memory that is shared with other processes */
    bool is_accounted;
    stamp accounted; /* a state that was `known` */
    uint64_t generation, commit;
    bool is_wide;         /* all of it is between begin_write and end_write */
    sqlite3_stmt *cookie; /* PRAGMA schema_version */
    int64_t cookie_seen;
} database;

struct acre_sqlite_queries {
    acre_query_cache *cache;
    bool has_no_foreign_writers;
    uint32_t statement_count_max;
    pthread_mutex_t lock; /* of what follows */
    database_file *files;
    acre_sqlite_connection *connections;
    uint32_t open_commits; /* atomic: commits whose end has not been told */
};

uint64_t acre_queries_object(const database_file *file, const char *table); /* NULL: the database itself */
database_file *acre_queries_take_file(acre_sqlite_queries *queries, uint64_t device, uint64_t inode);
void acre_queries_drop_file(acre_sqlite_queries *queries, database_file *file);
database_file *acre_queries_find_file(acre_sqlite_queries *queries, uint64_t device, uint64_t inode);

/* What is visible in the database by now is in the versions of the cache. False: it is not sure. `is_locked`: this connection is reading.
 */
bool acre_queries_is_accounted(acre_sqlite_queries *queries, database *self, bool is_locked);
/* From before a commit is visible to after it. `may_look`: the database is open as it was. */
void acre_queries_begin_commit(acre_sqlite_queries *queries, database *self, bool may_look);
void acre_queries_end_commit(acre_sqlite_queries *queries, database *self, bool may_look, bool is_done);
/* Everything of the file is old. */
void acre_queries_outdate_file(acre_sqlite_queries *queries, database_file *file);

/* --- statements --- */

enum {
    DOES_OTHER = 1,        /* what cannot be kept: PRAGMA, BEGIN, ... */
    DOES_SCHEMA = 2,       /* changes tables */
    DOES_SETTINGS = 4,     /* PRAGMA, ATTACH, DETACH */
    WRITES_UNKNOWN = 8,    /* not only tables that are known */
    HAS_FAILED = 16,       /* there was no memory to note it all */
    IS_TOLD_IGNORE = 32,   /* the program's authorizer hides a column */
    DOES_TRANSACTION = 64, /* BEGIN and its like, which write nothing themselves */
};

typedef struct names {
    char *text; /* "database\0table\0", one behind the other; of functions "name\0" */
    size_t bytes, room;
    uint32_t count;
} names;

typedef struct statement {
    struct statement *next; /* of its chain */
    uint64_t hash, used;
    sqlite3_stmt *prepared;                                            /* NULL: it is only known what it does */
    bool is_for_running, is_running, is_outdated, is_checked, is_kept; /* is_kept: its answers may be */
    unsigned does;
    names reads, writes, functions;
    uint64_t *objects; /* that an answer is made from; when is_checked and is_kept */
    uint32_t object_count;
    uint64_t *written; /* when is_resolved */
    uint32_t written_count;
    bool is_resolved;
    size_t context_bytes, sql_bytes;
    char *key; /* the context, then the text with a NUL, which does not count */
} statement;

enum { CHAINS = 256 };

typedef struct changes {
    uint64_t *objects;
    size_t count, room;
    bool is_noted;  /* of each statement it is known what it writes, if only in temporary tables */
    bool is_wide;   /* not so: all databases, and perhaps their schema */
    bool is_unsure; /* triggers may have changed: all of the databases, but not the schema */
} changes;

struct acre_sqlite_connection {
    acre_sqlite_queries *queries;
    acre_sqlite_connection *next; /* of the queries */
    sqlite3 *db;
    acre_sqlite_attachment attachment;
    database databases[DATABASES_MAX];
    uint32_t database_count;
    bool is_kept; /* answers of this connection may be */
    bool must_examine;
    bool has_found;         /* a function, in SQLite's list */
    bool must_ask_again;    /* something could not be asked, because of a lock or of memory */
    bool may_be_closed;     /* and the databases may not be those that are known, or closed */
    unsigned char *context; /* of keys */
    size_t context_bytes;

    unsigned internal_depth; /* statements of ours run */
    statement *collecting;
    uint64_t authorized_count;
    statement *chains[CHAINS];
    uint32_t statement_counts[2]; /* only known, prepared */
    uint64_t use_clock;

    changes changes;    /* of the transaction */
    bool is_committing; /* atomic */
    bool was_rolled_back;
    size_t announced_count; /* of the objects of changes */
    uint32_t commit_count;  /* databases */
    int writes_before;      /* pages that SQLite had written */
    statement *running;
    const void *last_begun, *writer; /* of its statements */
};

int acre_queries_authorize(void *connection, int action, const char *first, const char *second, const char *schema, const char *trigger);
statement *acre_queries_find_statement(acre_sqlite_connection *self, const char *sql, size_t bytes);
/* NULL: `status` says why. `is_for_running`: it stays prepared. */
statement *acre_queries_make_statement(acre_sqlite_connection *self, const char *sql, size_t bytes, bool is_for_running, int *status);
void acre_queries_drop_statement(acre_sqlite_connection *self, statement *gone);
void acre_queries_drop_statements(acre_sqlite_connection *self);
/* Finds out whether answers may be kept, and what they are made from. No transaction is open. */
void acre_queries_check_statement(acre_sqlite_connection *self, statement *checked);
/* Finds out what it writes. False: not known. */
bool acre_queries_resolve_writes(acre_sqlite_connection *self, statement *resolved);
database *acre_queries_database_named(acre_sqlite_connection *self, const char *name);
/* The first column of the first row as a number; `missing` if there is no row, INT64_MIN if that fails. A "%w" of `format` is `name`. */
int64_t acre_queries_ask(acre_sqlite_connection *self, const char *format, const char *name, const char *parameter, int64_t missing);

/* --- answers --- */

/* Steps to the end. `owned` is to be freed by sqlite3_free. */
int acre_queries_collect_rows(sqlite3_stmt *prepared, unsigned char **owned, size_t *bytes);
void acre_queries_point_answer(acre_sqlite_answer *answer, const void *bytes);

#endif
