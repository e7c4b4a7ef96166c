/* main.c - acre-tour-sqlite: what the tour shows of SQLite on acre that no shell can do: several connections in one process, and answers
 * that are kept.
 *
 *     acre-tour-sqlite share DATABASE SQL unix|acre PAGES      see share.c
 *     acre-tour-sqlite share-processes DATABASE SQL acre PAGES
 *     acre-tour-sqlite queries DATABASE COPY                   see queries.c
 *
 * Each prints lines "name: figure", and ends with 1 after a message when something goes wrong. */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Noreturn void end_with(const char *message)
{
    (void)fprintf(stderr, "acre-tour-sqlite: %s\n", message);
    exit(1);
}

void must(acre_status status)
{
    if (status != ACRE_OK) end_with(acre_last_error());
}

void check(sqlite3 *db, int status)
{
    if (status != SQLITE_OK && status != SQLITE_ROW && status != SQLITE_DONE)
        end_with(db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(status));
}

void run(sqlite3 *db, const char *sql) { check(db, sqlite3_exec(db, sql, NULL, NULL, NULL)); }

sqlite3 *open_through(const char *path, const char *vfs)
{
    sqlite3 *db = NULL;
    check(db, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, vfs));
    run(db, "PRAGMA synchronous = off");
    return db;
}

void *must_have(void *memory)
{
    if (memory == NULL) end_with("no memory");
    return memory;
}

const char *read_text(const char *path)
{
    static char text[65536];
    FILE *const file = fopen(path, "re");
    if (file == NULL) end_with("the SQL cannot be read");
    const size_t length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = 0;
    return text;
}

double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int count, char **words)
{
    if (count == 6 && strcmp(words[1], "share") == 0) return share_command(words + 2);
    if (count == 6 && strcmp(words[1], "share-processes") == 0) return share_by_processes_command(words + 2);
    if (count == 4 && strcmp(words[1], "queries") == 0) return queries_command(words + 2);
    end_with("share or share-processes DATABASE SQL VFS PAGES, or queries DATABASE COPY");
}
