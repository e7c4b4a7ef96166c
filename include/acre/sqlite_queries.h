/* sqlite_queries.h - answers of SQLite statements, given again as long as no table that they were read from has changed.
 *
 *     acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = cache});           one for the program
 *     acre_sqlite_attach(queries, db, NULL, &connection);                                           for each sqlite3 that it opens
 *     ...
 *     acre_sqlite_query(connection, "SELECT name FROM users WHERE id = ?1", &id, 1, NULL, &answer); instead of prepare, bind and step
 *     acre_sqlite_answer_value(&answer, 0, 0).data
 *     acre_sqlite_answer_close(&answer);
 *
 * Which tables a statement reads and writes is asked of SQLite itself (its authorizer), through views, triggers and foreign keys; nothing
 * is parsed. An answer is kept by acre/query_cache.h under the text of the statement, the parameters with their types, and the databases
 * that the connection has attached. Any number of connections share one cache, also those to different files.
 *
 * Promise: what acre_sqlite_query gives was true at some moment between its call and its return, for commits of attached connections
 * (whatever way they run their statements), of others in this process, and of other processes. `stale_ns` is the only exception, for who
 * asks for it. Functions and collations that are registered after acre_sqlite_attach are out of sight: attach once more, or use
 * acre_sqlite_changed. The answers of a database are kept as long as a connection is attached to it.
 *
 * Run each time, and never kept: what writes, PRAGMA, EXPLAIN, functions that are not SQLITE_DETERMINISTIC and those of date and time (they
 * may be asked for 'now'), functions and collations of the program's own (see `dialect`), temporary and virtual tables, sqlite_schema and
 * its like, everything inside a transaction or while another statement of the connection is being read, and all of a connection in
 * exclusive locking mode, with read_uncommitted, or with a temporary view.
 *
 * Foreign writers are seen by what SQLite itself looks at: the header of the wal-index in WAL mode (six loads for each database), the
 * change counter of the file in the other journal modes (one read of 12 bytes). After a change that is not of an attached connection
 * everything of that database is old. `has_no_foreign_writers` leaves this out; then acre_sqlite_changed has to follow what SQLite tells
 * nobody, as sqlite3_backup_step into the database.
 *
 * A statement that the program runs itself (sqlite3_exec, sqlite3_step) and that writes is compiled once more when its text is new, to hear
 * which tables it writes; parameters keep texts few.
 *
 * Attaching takes the connection's authorizer, trace, commit and rollback hook. The program's own go into acre_sqlite_attachment.
 *
 * Threads: a connection may be used as SQLite's threading mode says; connections are independent of one another, and so are queries. Needs
 * SQLite 3.39 or later; belongs to libacre-sqlite.
 *
 * Example: examples/sqlite_queries.c.
 */
#ifndef ACRE_SQLITE_QUERIES_H
#define ACRE_SQLITE_QUERIES_H

#include <acre/query_cache.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3; /* of sqlite3.h */

typedef struct acre_sqlite_queries acre_sqlite_queries;
typedef struct acre_sqlite_connection acre_sqlite_connection;

typedef struct acre_sqlite_queries_options {
    acre_query_cache *cache;      /* outlives the queries; may have other users, whose objects are numbers of their own */
    bool has_no_foreign_writers;  /* all that write are connections attached to these queries: hits do not look at the file */
    uint32_t statement_count_max; /* prepared statements kept for each connection; 0: 128 */
} acre_sqlite_queries_options;

/* The program's own callbacks, which are called after those of acre, with the same arguments as if SQLite called them. NULL: none. */
typedef struct acre_sqlite_attachment {
    uint64_t dialect; /* a number for the functions and collations that the program has registered at this connection: connections of one
                       * number have the same ones, and those marked SQLITE_DETERMINISTIC can be kept. 0: statements with functions that are
                       * not SQLite's own are run each time, and so is everything when there are collations that are not */
    int (*authorize)(void *context, int action, const char *first, const char *second, const char *database, const char *trigger);
    void *authorize_context;
    int (*trace)(unsigned event, void *context, void *p, void *x);
    void *trace_context;
    unsigned trace_events; /* SQLITE_TRACE_STMT and its like */
    int (*commit)(void *context);
    void *commit_context;
    void (*rollback)(void *context);
    void *rollback_context;
} acre_sqlite_attachment;

typedef enum acre_sqlite_type { /* SQLite's numbers */
                                ACRE_SQLITE_INTEGER = 1,
                                ACRE_SQLITE_REAL = 2,
                                ACRE_SQLITE_TEXT = 3, /* UTF-8 */
                                ACRE_SQLITE_BLOB = 4,
                                ACRE_SQLITE_NULL = 5,
} acre_sqlite_type;

typedef struct acre_sqlite_value {
    acre_sqlite_type type;
    size_t bytes; /* of text, without a NUL, and of a blob */
    union {
        int64_t integer;
        double real;
        const void *data; /* a text that is given has a NUL behind it; one that is taken needs none */
    };
} acre_sqlite_value;

typedef struct acre_sqlite_wishes {
    bool is_uncached;           /* runs the statement; keeps nothing */
    uint64_t stale_ns, wait_ns; /* as in acre_query_wishes */
    uint64_t ttl_ns;            /* of an answer that is filled in; 0: it does not expire. Times are in steps of some milliseconds */
} acre_sqlite_wishes;

typedef struct acre_sqlite_answer {
    uint32_t row_count, column_count;
    acre_query_outcome outcome; /* HIT, STALE, MISS: it was run and offered to the cache; BUSY: it was run, and not offered */
    const unsigned char *bytes; /* the rest is acre's */
    acre_query_answer held;
    acre_query_cache *cache;
    void *owned;
} acre_sqlite_answer;

/* ACRE_INVALID: a NULL. ACRE_NO_MEMORY. */
ACRE_API acre_status acre_sqlite_queries_open(acre_sqlite_queries **queries, const acre_sqlite_queries_options *options);

/* All connections are detached. NULL is ignored. What is in the cache stays until it is evicted. */
ACRE_API void acre_sqlite_queries_close(acre_sqlite_queries *queries);

/* Once for each connection, before its first statement that is to be noticed; functions and collations are registered, and no transaction
 * is open. `attachment` may be NULL. ACRE_INVALID: a NULL. ACRE_BUSY: a transaction is open. ACRE_NO_MEMORY. */
ACRE_API acre_status acre_sqlite_attach(acre_sqlite_queries *queries, struct sqlite3 *db, const acre_sqlite_attachment *attachment,
                                        acre_sqlite_connection **connection);

/* Before sqlite3_close. Gives the callbacks of the attachment back to SQLite. Answers stay. ACRE_BUSY: a write transaction is open, and
 * nothing was done. NULL is ignored. */
ACRE_API acre_status acre_sqlite_detach(acre_sqlite_connection *connection);

/* Runs one statement, whatever it is, or gives the answer that is kept. `parameters` are bound to ?1 and on; what has no parameter is NULL.
 * `wishes` may be NULL. Returns SQLite's code: SQLITE_OK, or an error, and then sqlite3_errmsg tells more and the answer is empty. Codes of
 * its own: SQLITE_MISUSE: a NULL, or more than one statement; SQLITE_RANGE: more parameters than the statement has; SQLITE_BUSY: a function
 * that this very statement calls asks for it again; SQLITE_NOMEM. After SQLITE_OK acre_sqlite_answer_close has to follow. A hit costs
 * O(text + parameters + databases + tables). */
ACRE_API int acre_sqlite_query(acre_sqlite_connection *connection, const char *sql, const acre_sqlite_value *parameters,
                               size_t parameter_count, const acre_sqlite_wishes *wishes, acre_sqlite_answer *answer);

/* Row and column count from 0; NULL when there is no such row or column. Valid until the answer is closed. O(1). */
ACRE_API acre_sqlite_value acre_sqlite_answer_value(const acre_sqlite_answer *answer, uint32_t row, uint32_t column);

/* The name of a column, "" when there is no such column. O(1). */
ACRE_API const char *acre_sqlite_answer_name(const acre_sqlite_answer *answer, uint32_t column);

/* Any thread; the connection may be gone, the cache may not. An answer that is all 0 is ignored. O(1). */
ACRE_API void acre_sqlite_answer_close(acre_sqlite_answer *answer);

/* Everything of this connection's databases that is kept is old: after changes that SQLite tells nobody. O(databases). */
ACRE_API void acre_sqlite_changed(acre_sqlite_connection *connection);

#ifdef __cplusplus
}
#endif
#endif
