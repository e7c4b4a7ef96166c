/* database.c - the fifth stop: which pages a real SQLite asks for is recorded there and then, each replacement policy is given that, and
 * then the same program runs with SQLite's own page cache, with acre's by LRU, with acre's default, and through acre's VFS. Several
 * connections and kept answers are in connections.c. */
#include "cache_replay.h"
#include "command.h"
#include "connections.h"
#include "job.h"
#include "tour.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CACHE_PAGES = 100, SIZE_COUNT = 16, CACHES = 4, OUTPUT_BYTES_MAX = 64 * 1024 };

/* Tables larger than the cache, whose rows some queries use often, others once. */
static const char making[] =
    "PRAGMA cache_size = 100;\nPRAGMA synchronous = off;\n"
    "CREATE TABLE item(id INTEGER PRIMARY KEY, owner INT, name TEXT, price REAL);\n"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)\n"
    "  INSERT INTO item SELECT i, i * 7919 % 1009, 'name-' || hex(i * 31 % 40009), i * 0.5 FROM n;\n"
    "CREATE INDEX item_owner ON item(owner);\nCREATE INDEX item_name ON item(name);\n"
    "CREATE TABLE sale(id INTEGER PRIMARY KEY, item INT, count INT);\nBEGIN;\n"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)\n"
    "  INSERT INTO sale SELECT i, 1 + (i * i * 31 + i) % 40000 * (i % 5 = 0) + (i % 500) * (i % 5 <> 0), i % 7 FROM n;\nCOMMIT;\n";
static const char asking[] =
    "SELECT count(*), sum(price) FROM item WHERE name LIKE 'name-3%';\n"
    "SELECT sum(i.price * s.count) FROM sale s JOIN item i ON i.id = s.item;\n"
    "SELECT owner, count(*), sum(price) FROM item GROUP BY owner ORDER BY 3 DESC LIMIT 3;\n"
    "SELECT sum(i.price) FROM sale s JOIN item i ON i.id = s.item WHERE s.id % 3 = 0;\n"
    "SELECT count(*) FROM sale s JOIN item i ON i.id = s.item JOIN item k ON k.name = i.name WHERE s.id < 20000;\n";
static const char ending[] = "UPDATE item SET price = price + 1 WHERE owner < 100;\n"
                             "SELECT sum(i.price * s.count) FROM sale s JOIN item i ON i.id = s.item WHERE s.id > 20000;\n"
                             "PRAGMA integrity_check;\n.stats on\nSELECT count(*) FROM item;\n";

typedef struct run {
    const char *name, *options; /* of ACRE_SQLITE; NULL: SQLite's own cache */
    char text[OUTPUT_BYTES_MAX];
    double misses, seconds;
    bool has_run;
} run;

static double cpu_seconds_of_children(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* The shell over the script, on a new database, with the library preloaded if the run has options. */
static void run_shell(tour_state *tour, const char *library, run *one)
{
    char *const database = must_print("%s/tour.db", tour_scratch(tour)), *const read =
                                                                             must_print(".read %s/script.sql", tour_scratch(tour));
    const char *const words[] = {"sqlite3", database, read, NULL};
    (void)unlink(database);
    if (one->options != NULL) setenv("ACRE_SQLITE", one->options, 1);
    const double before = cpu_seconds_of_children();
    tour_job started = tour_job_start(words, one->options == NULL ? "" : library);
    one->has_run = tour_job_end(&started, one->text, sizeof one->text) == 0;
    one->seconds = cpu_seconds_of_children() - before;
    unsetenv("ACRE_SQLITE");
    one->misses = figure_behind(one->text, "Page cache misses:");
    char *const stats = strstr(one->text, "Memory Used:"); /* what is before are the answers */
    if (stats != NULL) *stats = 0;
    free(database);
    free(read);
}

/* Parts of the script in the tour's folder, "" for none; the path, to be freed, NULL: it cannot be written. */
static char *write_script(tour_state *tour, const char *name, const char *first, const char *second, const char *third)
{
    char *const path = must_print("%s/%s.sql", tour_scratch(tour), name);
    FILE *const file = fopen(path, "we");
    const bool is_whole = file != NULL && fprintf(file, "%s%s%s", first, second, third) > 0;
    if (file != NULL && fclose(file) == 0 && is_whole) return path;
    free(path);
    return NULL;
}

/* ---- the curves ---- */

static bool read_trace(const char *path, cache_keys *keys)
{
    cache_input *input = NULL;
    cache_trace_info info = {.warning = NULL};
    const cache_trace_options options = {.format = CACHE_FORMAT_BE64};
    cache_keys_begin(keys, 1, 0);
    if (cache_input_open(&input, path) != ACRE_OK) return false;
    const bool is_read = cache_trace_read(input, &options, cache_keys_take, keys, &info) == ACRE_OK && keys->object_count > 0;
    cache_input_close(input);
    free(info.warning);
    return is_read;
}

/* Misses of each policy over sizes up to all pages, for the plot; and the best of each at the size of the runs. */
static void draw_curves(tour_state *tour, const cache_keys *keys)
{
    static cache_job jobs[CACHE_RULE_COUNT][SIZE_COUNT];
    uint32_t *const next_uses = cache_next_uses(keys);
    json_t *const places = json_array(), *const series = json_array();
    for (unsigned rule = 0; rule < CACHE_RULE_COUNT; rule++) {
        for (unsigned i = 0; i < SIZE_COUNT; i++) {
            const uint32_t capacity = i == 0 ? CACHE_PAGES : keys->object_count * i / SIZE_COUNT;
            jobs[rule][i] = (cache_job){.keys = keys,
                                        .next_uses = rule == CACHE_RULE_OPT ? next_uses : NULL,
                                        .rule = rule,
                                        .capacity = capacity < 2 ? 2 : capacity};
        }
    }
    cache_replay(&jobs[0][0], (size_t)CACHE_RULE_COUNT * SIZE_COUNT, 2, NULL, NULL);
    const double requests = (double)keys->request_count;
    for (unsigned i = 1; i < SIZE_COUNT; i++) json_array_append_new(places, json_integer(jobs[0][i].capacity));
    unsigned best = ACRE_POLICY_LRU;
    for (unsigned rule = 0; rule < CACHE_RULE_COUNT; rule++) {
        json_t *const values = json_array();
        for (unsigned i = 1; i < SIZE_COUNT; i++) json_array_append_new(values, json_real((double)jobs[rule][i].miss_count / requests));
        json_array_append_new(series, json_pack("{s:s, s:o}", "name", cache_rule_name(rule), "values", values));
        if (rule != ACRE_POLICY_ADAPTIVE && rule != CACHE_RULE_OPT && jobs[rule][0].miss_count < jobs[best][0].miss_count) best = rule;
    }
    tour_detail(tour, "lines",
                json_pack("[{s:s, s:s, s:b, s:o, s:o}]", "title", "Page cache misses of the recorded SQLite, by pages in the cache", "x",
                          "pages", "is_log", 0, "places", places, "series", series));
    tour_say(tour,
             "recorded: %s page requests, %s pages; with %d pages LRU misses %.2f %%, adaptive %.2f, the best fixed policy (%s) %.2f, one "
             "that knows the future %.2f",
             count_text(keys->request_count), count_text(keys->object_count), CACHE_PAGES,
             100 * (double)jobs[ACRE_POLICY_LRU][0].miss_count / requests,
             100 * (double)jobs[ACRE_POLICY_ADAPTIVE][0].miss_count / requests, cache_rule_name(best),
             100 * (double)jobs[best][0].miss_count / requests, 100 * (double)jobs[CACHE_RULE_OPT][0].miss_count / requests);
    tour_promise(tour, "misses of the adaptive policy on the recorded pages",
                 (double)jobs[ACRE_POLICY_ADAPTIVE][0].miss_count / (double)jobs[best][0].miss_count, 1.05, "of the best fixed policy");
    free(next_uses);
}

/* ---- the runs ---- */

static void compare(tour_state *tour, const char *library, json_t *tables)
{
    static run runs[CACHES] = {{.name = "SQLite's own"},
                               {.name = "acre, LRU", .options = "policy=lru"},
                               {.name = "acre, adaptive", .options = "policy=adaptive"},
                               {.name = "acre, adaptive, its VFS", .options = "policy=adaptive vfs=on"}};
    json_t *const figures = json_array();
    int different = 0;
    for (int i = 0; i < CACHES; i++) {
        tour_progress(tour, "SQLite with the cache: %s", runs[i].name);
        run_shell(tour, library, &runs[i]);
        different += !runs[i].has_run || strcmp(runs[i].text, runs[0].text) != 0;
        json_array_append_new(figures, json_pack("[s, s, s]", runs[i].name, count_text((uint64_t)(runs[i].misses < 0 ? 0 : runs[i].misses)),
                                                 runs[i].has_run ? "yes" : "no"));
        tour_say(tour, "cache of %d pages, %s: %s misses, %.2f s of CPU", CACHE_PAGES, runs[i].name, count_text((uint64_t)runs[i].misses),
                 runs[i].seconds);
    }
    tour_promise(tour, "answers that differ from SQLite's own", different, 0, "runs");
    tour_promise(tour, "misses of a real SQLite on acre's page cache", runs[2].misses / runs[0].misses, 0.95, "of its own cache's");
    json_array_append_new(tables, json_pack("{s:s, s:[s, s, s], s:o}", "title", "One workload, the page cache of 100 pages", "heads",
                                            "cache", "misses", "same answers", "rows", figures));
}

static void visit(tour_state *tour)
{
    char *const library = find_own_file("libacre-sqlite-preload.so");
    char *const trace = must_print("%s/pages.be64", tour_scratch(tour)), *const script =
                                                                             write_script(tour, "script", making, asking, ending);
    char *const first = write_script(tour, "making", making, "", ""), *const second = write_script(tour, "asking", asking, "", "");
    char *const options = must_print("policy=lru record=%s", trace);
    static run recorded;
    recorded = (run){.name = "recorded", .options = options};
    cache_keys keys = {.count = 0};
    if (library == NULL) {
        tour_skip(tour, "libacre-sqlite-preload.so is not found: it is built where SQLite's headers are (libsqlite3-dev)");
    } else if (script == NULL || first == NULL || second == NULL) {
        tour_skip(tour, "its script cannot be written");
    } else {
        tour_progress(tour, "pages of SQLite are recorded");
        run_shell(tour, library, &recorded);
        if (!recorded.has_run || recorded.misses < 0) {
            tour_skip(tour, "the sqlite3 shell does not run here");
        } else if (!read_trace(trace, &keys)) {
            tour_skip(tour, acre_last_error());
        } else {
            draw_curves(tour, &keys);
            json_t *const tables = json_array();
            compare(tour, library, tables);
            show_shared_pool(tour, first, second, tables);
            show_kept_answers(tour, first, tables);
            tour_detail(tour, "tables", tables);
        }
        cache_keys_end(&keys);
    }
    free(library);
    free(trace);
    free(script);
    free(first);
    free(second);
    free(options);
}

TOUR_STOP("database", "a real SQLite on acre: policies, page cache, VFS, kept answers", 50, visit)
