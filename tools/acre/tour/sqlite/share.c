/* share.c - four connections of one process, or of four, each of which runs the same statements, one statement by each after the other;
 * nothing of the database is in memory before. Then one changes rows and all is checked, through the same VFS and through SQLite's own.
 *
 * "bytes read" are what was read from the file by the process; "bytes held" are pages of connections and blocks of the pool, each counted
 * where it is. */
#include "program.h"

#include <acre/sqlite_vfs.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTION_COUNT = 4, POOL_BYTES = 64 << 20, PAGE_BYTES = 4096 }; /* pages are SQLite's and the pool's */

/* From the system's cache, as far as the file system does that. */
static void drop_from_memory(const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    (void)fdatasync(file);
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(file);
}

/* All rows of the next statement; returns what comes after it. */
static const char *run_next(sqlite3 *db, const char *sql, uint64_t *answers)
{
    sqlite3_stmt *statement;
    const char *rest;
    check(db, sqlite3_prepare_v2(db, sql, -1, &statement, &rest));
    if (statement == NULL) return rest; /* blanks */
    int status;
    while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const unsigned char *const text = sqlite3_column_text(statement, i);
            if (text != NULL) *answers = fnv_add(*answers, text, (size_t)sqlite3_column_bytes(statement, i) + 1);
        }
    }
    check(db, status);
    check(db, sqlite3_finalize(statement));
    return rest;
}

static void run_on_all(sqlite3 **connections, const char *sql, uint64_t *answers)
{
    while (*sql != 0) {
        const char *rest = sql;
        for (int i = 0; i < CONNECTION_COUNT; i++) rest = run_next(connections[i], sql, &answers[i]);
        sql = rest;
    }
}

static const char changes[] =
    "UPDATE item SET price = price + 1 WHERE owner < 100; INSERT INTO sale(item, count) SELECT id, 1 FROM item WHERE id < 5000";

static uint64_t status_of(sqlite3 *db, int what)
{
    int now = 0, most = 0;
    check(db, sqlite3_db_status(db, what, &now, &most, 0));
    return (uint64_t)now;
}

static int take_word(void *is_ok, int count, char **values, char **names)
{
    (void)names;
    *(int *)is_ok = count == 1 && values[0] != NULL && strcmp(values[0], "ok") == 0;
    return 0;
}

static int is_intact(sqlite3 *db)
{
    int is_ok = 0;
    check(db, sqlite3_exec(db, "PRAGMA integrity_check", take_word, &is_ok, NULL));
    return is_ok;
}

/* What one process, or all, have to say. */
typedef struct outcome {
    uint64_t answers, read_bytes, request_count, held_bytes, shared_bytes, ahead_count, ahead_used_count;
    double seconds;
    int is_whole, has_more;
} outcome;

static void print_outcome(const char *path, const outcome *o)
{
    sqlite3 *const db = open_through(path, "unix");
    const int is_whole = o->is_whole && is_intact(db);
    uint64_t sum = FNV_BEGIN;
    (void)run_next(db, "SELECT sum(price), sum(id * (1 + owner)), (SELECT sum(item * (1 + count)) FROM sale) FROM item", &sum);
    check(db, sqlite3_close(db));
    printf("answers: %llu\nleft: %llu\nis whole: %d\nseconds: %.6f\n", (unsigned long long)o->answers, (unsigned long long)sum, is_whole,
           o->seconds);
    const unsigned long long held_bytes = o->held_bytes + o->shared_bytes;
    printf("bytes read: %llu\nrequests: %llu\nbytes held: %llu\n", (unsigned long long)o->read_bytes, (unsigned long long)o->request_count,
           held_bytes);
    printf("read ahead: %llu\nread ahead and used: %llu\n", (unsigned long long)o->ahead_count, (unsigned long long)o->ahead_used_count);
}

int share_command(char **words)
{
    const char *const path = words[0], *const vfs = words[2];
    const int is_acre = strcmp(vfs, "acre") == 0;
    const char *const text = read_text(words[1]);
    char sql[64];
    sqlite3 *connections[CONNECTION_COUNT];
    uint64_t answers[CONNECTION_COUNT], read_bytes = 0, held_bytes = 0, request_count = 0;
    acre_sqlite_vfs_figures figures = {.connection_count = 0};
    (void)snprintf(sql, sizeof sql, "PRAGMA cache_size = %ld", strtol(words[3], NULL, 10));
    if (is_acre) must(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = POOL_BYTES, .is_not_default = true}));
    drop_from_memory(path);
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        connections[i] = open_through(path, vfs);
        answers[i] = FNV_BEGIN;
        run(connections[i], sql);
    }
    const double begin = cpu_seconds();
    run_on_all(connections, text, answers);
    const double used = cpu_seconds() - begin;
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        const uint64_t misses = status_of(connections[i], SQLITE_DBSTATUS_CACHE_MISS);
        request_count += misses;
        read_bytes += misses * PAGE_BYTES;
        held_bytes += status_of(connections[i], SQLITE_DBSTATUS_CACHE_USED);
    }
    if (is_acre) {
        must(acre_sqlite_vfs_read_figures(&figures));
        request_count = figures.pool.read_request_count;
        read_bytes = figures.pool.read_count * PAGE_BYTES;
        held_bytes += (uint64_t)(figures.pool.frame_count - figures.pool.free_count) * PAGE_BYTES;
    }
    run(connections[0], changes);
    int is_whole = is_intact(connections[1]);
    for (int i = 1; i < CONNECTION_COUNT; i++) is_whole &= answers[i] == answers[0];
    for (int i = 0; i < CONNECTION_COUNT; i++) check(connections[i], sqlite3_close(connections[i]));
    if (is_acre) must(acre_sqlite_vfs_unregister());
    print_outcome(path, &(outcome){.answers = answers[0],
                                   .is_whole = is_whole,
                                   .seconds = used,
                                   .read_bytes = read_bytes,
                                   .request_count = request_count,
                                   .held_bytes = held_bytes,
                                   .ahead_count = figures.prefetch_count,
                                   .ahead_used_count = figures.prefetch_used_count});
    return 0;
}

/* ---- four processes ---- */

typedef struct participant {
    pid_t process;
    int to, from;
} participant;

static void tell_all(int to, const outcome *o)
{
    if (write(to, o, sizeof *o) != sizeof *o) _exit(2);
}

/* For each byte that comes: the next statement ('n'), the changes ('c'), or a look at all ('i'); then how things stand. */
static void take_part(char **words, int from, int to)
{
    char sql[64], what, name[40];
    outcome o = {.answers = FNV_BEGIN};
    acre_sqlite_vfs_figures figures;
    (void)snprintf(name, sizeof name, "tour-%d", (int)getppid());
    must(acre_sqlite_vfs_register(&(acre_sqlite_vfs_options){.pool_bytes = POOL_BYTES, .shared_name = name, .is_not_default = true}));
    const char *next = read_text(words[1]);
    sqlite3 *const db = open_through(words[0], "acre");
    (void)snprintf(sql, sizeof sql, "PRAGMA cache_size = %ld", strtol(words[3], NULL, 10));
    run(db, sql);
    while (read(from, &what, 1) == 1) {
        const double begin = cpu_seconds();
        if (what == 'n') next = run_next(db, next, &o.answers);
        if (what == 'n') o.seconds += cpu_seconds() - begin;
        if (what == 'c') run(db, changes);
        must(acre_sqlite_vfs_read_figures(&figures));
        o.has_more = *next != 0;
        o.is_whole = what != 'i' || is_intact(db);
        o.read_bytes = (figures.shared.put_count + figures.shared.refuse_count) * PAGE_BYTES;
        o.request_count = figures.shared_request_count;
        o.held_bytes = status_of(db, SQLITE_DBSTATUS_CACHE_USED);
        o.shared_bytes = (uint64_t)figures.shared.page_count * PAGE_BYTES;
        o.ahead_count = figures.prefetch_count;
        o.ahead_used_count = figures.prefetch_used_count;
        tell_all(to, &o);
    }
    check(db, sqlite3_close(db));
    must(acre_sqlite_vfs_unregister());
    _exit(0);
}

static participant begin_participant(char **words, const participant *others, int other_count)
{
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0) abort();
    const participant made = {.process = fork(), .to = to[1], .from = from[0]};
    if (made.process < 0) abort();
    if (made.process == 0) {
        for (int i = 0; i < other_count; i++) (void)close(others[i].to);
        (void)close(to[1]);
        (void)close(from[0]);
        take_part(words, to[0], from[1]);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    return made;
}

static outcome ask(const participant *p, char what)
{
    outcome o = {.is_whole = 0};
    if (write(p->to, &what, 1) != 1 || read(p->from, &o, sizeof o) != sizeof o) abort();
    return o;
}

int share_by_processes_command(char **words)
{
    participant all[CONNECTION_COUNT];
    outcome each[CONNECTION_COUNT], sum = {.is_whole = 1};
    drop_from_memory(words[0]);
    for (int i = 0; i < CONNECTION_COUNT; i++) all[i] = begin_participant(words, all, i);
    do
        for (int i = 0; i < CONNECTION_COUNT; i++) each[i] = ask(&all[i], 'n');
    while (each[0].has_more);
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        sum.is_whole &= each[i].answers == each[0].answers;
        sum.seconds += each[i].seconds;
        sum.read_bytes += each[i].read_bytes;
        sum.request_count += each[i].request_count;
        sum.held_bytes += each[i].held_bytes;
        sum.ahead_count += each[i].ahead_count;
        sum.ahead_used_count += each[i].ahead_used_count;
    }
    sum.answers = each[0].answers;
    sum.shared_bytes = each[CONNECTION_COUNT - 1].shared_bytes;
    (void)ask(&all[0], 'c');
    sum.is_whole &= ask(&all[1], 'i').is_whole;
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        int status = 1;
        (void)close(all[i].to);
        (void)close(all[i].from);
        sum.is_whole &= waitpid(all[i].process, &status, 0) == all[i].process && status == 0;
    }
    print_outcome(words[0], &sum);
    return 0;
}
