/* vfs_help.h - what the tests of the VFS share: SQL that must work, answers as sums. */
#ifndef ACRE_TESTS_SQLITE_VFS_HELP_H
#define ACRE_TESTS_SQLITE_VFS_HELP_H

#include "support/test.h"

#include <acre/sqlite_vfs.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

static inline int sum_row(void *context, int count, char **values, char **names)
{
    uint64_t *const sum = context;
    (void)names;
    for (int i = 0; i < count; i++)
        for (const char *c = values[i] == NULL ? "NULL" : values[i]; *c != 0; c++) *sum = *sum * 31 + (unsigned char)*c;
    return 0;
}

/* The sum of the rows, or the error's code. */
static inline int try_answer(sqlite3 *db, const char *sql, uint64_t *sum)
{
    *sum = 7;
    return sqlite3_exec(db, sql, sum_row, sum, NULL);
}

static inline uint64_t answer(sqlite3 *db, const char *sql)
{
    uint64_t sum;
    if (try_answer(db, sql, &sum) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    return sum;
}

static inline uint64_t sum_of_text(const char *text)
{
    uint64_t sum = 7;
    char *value = (char *)(uintptr_t)text;
    (void)sum_row(&sum, 1, &value, NULL);
    return sum;
}

static inline int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    if (sqlite3_step(statement) != SQLITE_ROW) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    const int64_t value = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    return value;
}

static inline sqlite3 *open_by(const char *path, const char *vfs)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
    return db;
}

static inline void close_db(sqlite3 *db) { assert_int_equal(sqlite3_close(db), SQLITE_OK); }

static inline void remove_database(const char *path)
{
    static const char *const ends[] = {"", "-journal", "-wal", "-shm"};
    char name[128];
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
}

static inline acre_sqlite_vfs_figures vfs_figures(void)
{
    acre_sqlite_vfs_figures figures;
    assert_int_equal(acre_sqlite_vfs_read_figures(&figures), ACRE_OK);
    return figures;
}

#endif
