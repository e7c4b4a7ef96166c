/* vfs.c - the VFS beside SQLite's own, with reads by pread from the system's cache and with a mapping.
 *
 *     vfs [shared|processes|scan|write]      medians of alternated rounds; the database is made in the current folder
 *
 * shared: eight connections, each in a thread, read the same database, which is larger than their own caches: by scans, and by key.
 * processes: four processes scan it, and scan it again after one of them has committed; what they hold is theirs by smaps_rollup (Pss).
 * scan: one connection reads all of it, after the system's cache of it was dropped. write: one connection updates rows by key, with a
 * journal and a WAL. Processor time, user and system, is that of the whole process. ACRE_BENCH_QUICK=1: small and short. */
#include "measure.h"

#include <acre/sqlite_vfs.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUND_COUNT = 5, CONNECTION_COUNT = 8, PROCESS_COUNT = 4, ROW_BYTES = 900, CACHE_PAGES = 100 };

static const char *const path = "acre-bench-sqlite";
static uint32_t row_count;

/* One way to read. */
typedef struct way {
    const char *name;
    const char *begin; /* SQL */
    bool has_vfs;
    acre_sqlite_vfs_options options;
} way;

static const way own = {.name = "SQLite's own", .begin = "pragma mmap_size = 0"};
static const way mapped = {.name = "SQLite's own, mapped", .begin = "pragma mmap_size = 2000000000"};
static const way acre = {.name = "acre", .begin = "", .has_vfs = true, .options = {.pool_bytes = 512 << 20}};
static const way acre_shared = {
    .name = "acre, shared by processes", .begin = "", .has_vfs = true, .options = {.pool_bytes = 512 << 20, .shared_name = "acre-bench"}};
static const way acre_16 = {
    .name = "acre, blocks of 16 KiB", .begin = "", .has_vfs = true, .options = {.pool_bytes = 512 << 20, .block_bytes = 16384}};
static const way acre_direct = {.name = "acre, past the system's cache",
                                .begin = "",
                                .has_vfs = true,
                                .options = {.pool_bytes = 512 << 20, .block_bytes = 16384, .is_direct = true}};
static const way acre_alone = {
    .name = "acre, no prefetch", .begin = "", .has_vfs = true, .options = {.pool_bytes = 512 << 20, .has_no_prefetch = true}};

static void check(sqlite3 *db, int status)
{
    if (status == SQLITE_OK || status == SQLITE_ROW || status == SQLITE_DONE) return;
    fprintf(stderr, "%s\n", sqlite3_errmsg(db));
    abort();
}

static void run(sqlite3 *db, const char *sql) { check(db, sqlite3_exec(db, sql, NULL, NULL, NULL)); }

static sqlite3 *open_way(const way *w)
{
    sqlite3 *db;
    check(NULL, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, w->has_vfs ? "acre" : "unix"));
    char sql[100];
    (void)snprintf(sql, sizeof sql, "pragma cache_size = %d; pragma synchronous = off; %s", CACHE_PAGES, w->begin);
    run(db, sql);
    return db;
}

static void begin_way(const way *w)
{
    if (w->has_vfs) must(acre_sqlite_vfs_register(&w->options));
}

static void end_way(const way *w)
{
    if (w->has_vfs) must(acre_sqlite_vfs_unregister());
}

static int bind_random(sqlite3_stmt *statement, uint64_t *random)
{
    const uint64_t key = 1 + next_random(random) % row_count;
    return sqlite3_bind_int64(statement, 1, (sqlite3_int64)key);
}

static void make_database(void)
{
    sqlite3 *db;
    char sql[300];
    (void)unlink(path);
    check(NULL, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix"));
    (void)snprintf(
        sql, sizeof sql,
        "pragma synchronous = off; create table t(k integer primary key, n, v); with recursive n(i) as (select 1 union all select i + 1 "
        "from n where i < %u) insert into t select i, i %% 1000, randomblob(%d) from n",
        row_count, (int)ROW_BYTES);
    run(db, sql);
    check(NULL, sqlite3_close(db));
}

static double cpu_seconds(void) { return (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9; }
static double seconds(void) { return (double)clock_ns(CLOCK_MONOTONIC) / 1e9; }

/* ---- eight connections ---- */

typedef struct reader {
    pthread_t thread;
    sqlite3 *db;
    uint64_t random;
    uint32_t count;
    bool is_by_key;
} reader;

static void *read_all(void *argument)
{
    reader *const r = argument;
    sqlite3_stmt *statement;
    if (r->is_by_key) {
        check(r->db, sqlite3_prepare_v2(r->db, "select n, length(v) from t where k = ?1", -1, &statement, NULL));
        run(r->db, "begin");
        for (uint32_t i = 0; i < r->count; i++) {
            check(r->db, bind_random(statement, &r->random));
            check(r->db, sqlite3_step(statement));
            check(r->db, sqlite3_reset(statement));
        }
        run(r->db, "commit");
    } else {
        check(r->db, sqlite3_prepare_v2(r->db, "select sum(n) from t", -1, &statement, NULL));
        check(r->db, sqlite3_step(statement));
    }
    check(r->db, sqlite3_finalize(statement));
    return NULL;
}

typedef struct cost {
    double wall, cpu;
} cost;

static cost read_by_all(reader *readers, bool is_by_key)
{
    const double wall = seconds(), cpu = cpu_seconds();
    for (int i = 0; i < CONNECTION_COUNT; i++) {
        readers[i].is_by_key = is_by_key;
        readers[i].random = (uint64_t)i * 7919 + 1;
        readers[i].count = row_count / 4;
        if (pthread_create(&readers[i].thread, NULL, read_all, &readers[i]) != 0) abort();
    }
    for (int i = 0; i < CONNECTION_COUNT; i++) (void)pthread_join(readers[i].thread, NULL);
    return (cost){seconds() - wall, cpu_seconds() - cpu};
}

static void print_ratio(const char *what, const way *w, double value, double beside, const char *unit)
{
    printf("  %-32s %-30s %8.3f %s  %.2f of SQLite's own\n", what, w->name, value, unit, value / beside);
}

static void shared(void)
{
    const way *const ways[] = {&own, &mapped, &acre};
    enum { WAYS = sizeof ways / sizeof *ways };
    double wall[2][WAYS][ROUND_COUNT], cpu[2][WAYS][ROUND_COUNT];
    printf("%d connections and threads, a database of %u MiB, caches of %d pages, all of it in memory:\n", (int)CONNECTION_COUNT,
           row_count / 1024, (int)CACHE_PAGES);
    for (int round = 0; round < ROUND_COUNT; round++) {
        for (int i = 0; i < WAYS; i++) {
            reader readers[CONNECTION_COUNT] = {{.count = 0}};
            begin_way(ways[i]);
            for (int k = 0; k < CONNECTION_COUNT; k++) readers[k].db = open_way(ways[i]);
            (void)read_by_all(readers, false); /* whatever has to be read or mapped first */
            for (int is_by_key = 0; is_by_key < 2; is_by_key++) {
                const cost c = read_by_all(readers, is_by_key != 0);
                wall[is_by_key][i][round] = c.wall;
                cpu[is_by_key][i][round] = c.cpu;
            }
            for (int k = 0; k < CONNECTION_COUNT; k++) check(NULL, sqlite3_close(readers[k].db));
            end_way(ways[i]);
        }
    }
    for (int is_by_key = 0; is_by_key < 2; is_by_key++) {
        double first_wall = 0, first_cpu = 0;
        for (int i = 0; i < WAYS; i++) {
            const double w = median(wall[is_by_key][i], ROUND_COUNT), c = median(cpu[is_by_key][i], ROUND_COUNT);
            if (i == 0) first_wall = w, first_cpu = c;
            print_ratio(is_by_key ? "by key, wall" : "scan, wall", ways[i], w, first_wall, "s");
            print_ratio(is_by_key ? "by key, processor" : "scan, processor", ways[i], c, first_cpu, "s");
        }
    }
}

/* ---- processes ---- */

/* What a process has to say of a scan. */
typedef struct scan_report {
    double wall, cpu;
    uint64_t held_kib;
} scan_report;

/* Pss of the process, without files that others map, too: the pool's, SQLite's and what is shared of it, in parts. */
static uint64_t held_kib(void)
{
    static const char *const names[] = {"Pss_Anon:", "Pss_Shmem:"};
    char line[200];
    uint64_t sum = 0;
    FILE *const file = fopen("/proc/self/smaps_rollup", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        for (int i = 0; i < 2; i++)
            if (strncmp(line, names[i], strlen(names[i])) == 0) sum += strtoull(line + strlen(names[i]), NULL, 10);
    }
    if (file != NULL) (void)fclose(file);
    return sum;
}

/* For each byte that comes a scan, or, if it is a 'w', a transaction; then what it took. */
static void serve(const way *w, int from, int to)
{
    char what;
    begin_way(w);
    sqlite3 *const db = open_way(w);
    while (read(from, &what, 1) == 1) {
        const double wall = seconds(), cpu = cpu_seconds();
        run(db, what == 'w' ? "update t set n = n + 1 where k % 20000 = 7" : "select sum(n) from t");
        const scan_report report = {seconds() - wall, cpu_seconds() - cpu, held_kib()};
        if (write(to, &report, sizeof report) != sizeof report) abort();
    }
    check(NULL, sqlite3_close(db));
    end_way(w);
    _exit(0);
}

typedef struct server {
    pid_t process;
    int to, from;
} server;

static scan_report ask(const server *servers, int first, int count, char what)
{
    scan_report sum = {0};
    for (int i = first; i < first + count; i++)
        if (write(servers[i].to, &what, 1) != 1) abort();
    for (int i = first; i < first + count; i++) {
        scan_report report;
        if (read(servers[i].from, &report, sizeof report) != sizeof report) abort();
        sum.wall = report.wall > sum.wall ? report.wall : sum.wall;
        sum.cpu += report.cpu;
        sum.held_kib += report.held_kib;
    }
    return sum;
}

static server begin_server(const way *w, const server *others, int other_count)
{
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0) abort();
    (void)fflush(stdout);
    const server made = {.process = fork(), .to = to[1], .from = from[0]};
    if (made.process < 0) abort();
    if (made.process == 0) {
        for (int i = 0; i < other_count; i++) (void)close(others[i].to);
        (void)close(to[1]);
        (void)close(from[0]);
        serve(w, to[0], from[1]);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    return made;
}

static void processes(void)
{
    const way *const ways[] = {&own, &mapped, &acre, &acre_shared};
    enum { WAYS = sizeof ways / sizeof *ways };
    double first_cpu[WAYS][ROUND_COUNT], again[WAYS][ROUND_COUNT], after[WAYS][ROUND_COUNT], held[WAYS][ROUND_COUNT];
    printf("%d processes, a database of %u MiB in the system's cache, caches of %d pages; processor time of all:\n", (int)PROCESS_COUNT,
           row_count / 1024, (int)CACHE_PAGES);
    for (int round = 0; round < ROUND_COUNT; round++) {
        for (int i = 0; i < WAYS; i++) {
            server servers[PROCESS_COUNT];
            for (int k = 0; k < PROCESS_COUNT; k++) servers[k] = begin_server(ways[i], servers, k);
            (void)ask(servers, 0, 1, 's');
            first_cpu[i][round] = ask(servers, 1, PROCESS_COUNT - 1, 's').cpu;
            const scan_report once_more = ask(servers, 1, PROCESS_COUNT - 1, 's');
            again[i][round] = once_more.cpu;
            held[i][round] = (double)once_more.held_kib / 1024;
            (void)ask(servers, 0, 1, 'w');
            after[i][round] = ask(servers, 1, PROCESS_COUNT - 1, 's').cpu;
            for (int k = 0; k < PROCESS_COUNT; k++) {
                (void)close(servers[k].to);
                (void)close(servers[k].from);
                if (waitpid(servers[k].process, NULL, 0) != servers[k].process) abort();
            }
        }
    }
    for (int i = 0; i < WAYS; i++) {
        print_ratio("first scan of three after one", ways[i], median(first_cpu[i], ROUND_COUNT), median(first_cpu[0], ROUND_COUNT), "s");
        print_ratio("scan again", ways[i], median(again[i], ROUND_COUNT), median(again[0], ROUND_COUNT), "s");
        print_ratio("scan after a commit by another", ways[i], median(after[i], ROUND_COUNT), median(after[0], ROUND_COUNT), "s");
        printf("  %-32s %-30s %8.1f MiB\n", "held by three of them", ways[i]->name, median(held[i], ROUND_COUNT));
    }
}

/* ---- a cold scan ---- */

static void drop_cache(void)
{
    const int file = open(path, O_RDONLY);
    if (file < 0 || fdatasync(file) != 0 || posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) != 0 || close(file) != 0) abort();
}

static void scan(void)
{
    const way *const ways[] = {&own, &mapped, &acre_alone, &acre, &acre_16, &acre_direct};
    enum { WAYS = sizeof ways / sizeof *ways };
    double wall[WAYS][ROUND_COUNT], cpu[WAYS][ROUND_COUNT];
    bool has_ring = false;
    uint64_t prefetched = 0, used = 0;
    for (int round = 0; round < ROUND_COUNT; round++) {
        for (int i = 0; i < WAYS; i++) {
            drop_cache();
            begin_way(ways[i]);
            sqlite3 *const db = open_way(ways[i]);
            const double begin = seconds(), begin_cpu = cpu_seconds();
            run(db, "select sum(n) from t");
            wall[i][round] = seconds() - begin;
            cpu[i][round] = cpu_seconds() - begin_cpu;
            if (ways[i] == &acre) {
                acre_sqlite_vfs_figures figures;
                must(acre_sqlite_vfs_read_figures(&figures));
                has_ring = figures.has_ring;
                prefetched = figures.prefetch_count;
                used = figures.prefetch_used_count;
            }
            check(NULL, sqlite3_close(db));
            end_way(ways[i]);
        }
    }
    printf("a scan of %u MiB by one connection, nothing in memory before (%s; %llu blocks read ahead, %llu of them used):\n",
           row_count / 1024, has_ring ? "io_uring" : "no io_uring", (unsigned long long)prefetched, (unsigned long long)used);
    double first = 0, first_cpu = 0;
    for (int i = 0; i < WAYS; i++) {
        const double w = median(wall[i], ROUND_COUNT), c = median(cpu[i], ROUND_COUNT);
        if (i == 0) first = w, first_cpu = c;
        print_ratio("wall", ways[i], w, first, "s");
        print_ratio("processor", ways[i], c, first_cpu, "s");
    }
}

/* ---- writes ---- */

static double write_some(const way *w, const char *mode)
{
    sqlite3 *const db = open_way(w);
    sqlite3_stmt *statement;
    char sql[100];
    uint64_t random = 3;
    (void)snprintf(sql, sizeof sql, "pragma journal_mode = %s", mode);
    run(db, sql);
    run(db, "select sum(n) from t"); /* all of it is in memory */
    check(db, sqlite3_prepare_v2(db, "update t set n = n + 1 where k = ?1", -1, &statement, NULL));
    const double begin = cpu_seconds();
    for (uint32_t i = 0; i < row_count / 200; i++) {
        run(db, "begin");
        for (int k = 0; k < 20; k++) {
            check(db, bind_random(statement, &random));
            check(db, sqlite3_step(statement));
            check(db, sqlite3_reset(statement));
        }
        run(db, "commit");
    }
    const double used = cpu_seconds() - begin;
    check(db, sqlite3_finalize(statement));
    run(db, "pragma journal_mode = delete");
    check(NULL, sqlite3_close(db));
    return used;
}

static void writing(void)
{
    static const char *const modes[] = {"delete", "wal"};
    const way *const ways[] = {&own, &acre};
    double cpu[2][2][ROUND_COUNT];
    printf("transactions of 20 updates by key, one connection, not synchronous:\n");
    for (int round = 0; round < ROUND_COUNT; round++) {
        for (int i = 0; i < 2; i++) {
            for (int mode = 0; mode < 2; mode++) {
                begin_way(ways[i]);
                cpu[mode][i][round] = write_some(ways[i], modes[mode]);
                end_way(ways[i]);
            }
        }
    }
    for (int mode = 0; mode < 2; mode++) {
        const double first = median(cpu[mode][0], ROUND_COUNT);
        print_ratio(mode ? "WAL, processor" : "journal, processor", ways[0], first, first, "s");
        print_ratio(mode ? "WAL, processor" : "journal, processor", ways[1], median(cpu[mode][1], ROUND_COUNT), first, "s");
    }
}

int main(int count, char **words)
{
    const char *const what = count > 1 ? words[1] : "";
    row_count = is_quick() ? 20000 : 200000;
    make_database();
    if (*what == 0 || strcmp(what, "shared") == 0) shared();
    if (*what == 0 || strcmp(what, "processes") == 0) processes();
    if (*what == 0 || strcmp(what, "scan") == 0) scan();
    if (*what == 0 || strcmp(what, "write") == 0) writing();
    (void)unlink(path);
    return 0;
}
