/* connections.c - see connections.h. */
#include "connections.h"
#include "command.h"
#include "job.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAY_COUNT = 4, OUTPUT_BYTES = 4096 };

double figure_behind(const char *text, const char *name)
{
    const char *const at = strstr(text, name);
    return at == NULL ? -1 : strtod(at + strlen(name), NULL);
}

static bool run_words(const char *const *words, char *text)
{
    tour_job started = tour_job_start(words, "");
    return tour_job_end(&started, text, OUTPUT_BYTES) == 0;
}

/* The path of a new database, to be freed; it is there when the shell has run. */
static char *make_database(tour_state *tour, const char *name, const char *making)
{
    char text[OUTPUT_BYTES];
    char *const path = must_print("%s/%s.db", tour_scratch(tour), name), *const read = must_print(".read %s", making);
    const char *const words[] = {"sqlite3", path, read, NULL};
    (void)unlink(path);
    (void)run_words(words, text);
    free(read);
    return path;
}

/* ---- one pool ---- */

typedef struct way {
    const char *name, *command, *vfs, *pages;
    char text[OUTPUT_BYTES];
    uint64_t database_bytes;
    bool has_run;
} way;

static uint64_t size_of_file(const char *path)
{
    FILE *const file = fopen(path, "re");
    if (file == NULL) return 0;
    const long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : 0;
    (void)fclose(file);
    return size > 0 ? (uint64_t)size : 0;
}

static void run_way(tour_state *tour, const char *program, const char *making, const char *asking, way *one)
{
    char *const path = make_database(tour, "shared", making);
    const char *const words[] = {program, one->command, path, asking, one->vfs, one->pages, NULL};
    one->database_bytes = size_of_file(path);
    one->has_run = run_words(words, one->text);
    free(path);
}

static bool is_same(const way *one, const way *other)
{
    const char *const end = strstr(other->text, "seconds: "); /* what is before are answers */
    return one->has_run && end != NULL && strncmp(one->text, other->text, (size_t)(end - other->text)) == 0;
}

static uint64_t count_behind(const way *one, const char *name)
{
    const double figure = figure_behind(one->text, name);
    return figure > 0 ? (uint64_t)figure : 0;
}

void show_shared_pool(tour_state *tour, const char *making, const char *asking, json_t *tables)
{
    static way ways[WAY_COUNT] = {
        {.name = "SQLite's own, 100 pages for each", .command = "share", .vfs = "unix", .pages = "100"},
        {.name = "SQLite's own, all pages for each", .command = "share", .vfs = "unix", .pages = "5000"},
        {.name = "acre's VFS, 100 pages for each", .command = "share", .vfs = "acre", .pages = "100"},
        {.name = "the same, each a process of its own", .command = "share-processes", .vfs = "acre", .pages = "100"}};
    char *const program = find_own_file("acre-tour-sqlite");
    const way *const all = &ways[1], *const acre = &ways[2], *const processes = &ways[3];
    int different = 0;
    if (program == NULL) {
        tour_say(tour, "several connections are not shown: acre-tour-sqlite is not found beside the tool");
        return;
    }
    json_t *const rows = json_array();
    for (int i = 0; i < WAY_COUNT; i++) {
        way *const one = &ways[i];
        tour_progress(tour, "four connections: %s", one->name);
        run_way(tour, program, making, asking, one);
        const bool is_right = is_same(one, &ways[0]) && figure_behind(one->text, "is whole: ") == 1;
        different += !is_right;
        char *const time = must_print("%.2f s", figure_behind(one->text, "seconds: "));
        json_array_append_new(rows, json_pack("[s, s, s, s, s, s]", one->name, bytes_text(count_behind(one, "bytes read: ")),
                                              count_text(count_behind(one, "requests: ")), bytes_text(count_behind(one, "bytes held: ")),
                                              time, is_right ? "yes" : "no"));
        free(time);
    }
    free(program);
    json_array_append_new(tables,
                          json_pack("{s:s, s:[s, s, s, s, s, s], s:o}", "title", "Four connections to one database, the same statements",
                                    "heads", "pages come through", "read from the file", "requests", "memory held", "CPU time",
                                    "same answers, intact", "rows", rows));
    tour_promise(tour, "ways to read whose answers differ, or that leave another or a damaged database", different, 0, "ways");
    if (different != 0) return;
    tour_say(
        tour,
        "four connections to a database of %s: acre's VFS reads %s in %s requests (%s blocks ahead, %s of them used) and holds %s; SQLite "
        "with 100 pages for each reads %s in %s, with all pages for each it holds %s",
        bytes_text(acre->database_bytes), bytes_text(count_behind(acre, "bytes read: ")), count_text(count_behind(acre, "requests: ")),
        count_text(count_behind(acre, "read ahead: ")), count_text(count_behind(acre, "read ahead and used: ")),
        bytes_text(count_behind(acre, "bytes held: ")), bytes_text(count_behind(&ways[0], "bytes read: ")),
        count_text(count_behind(&ways[0], "requests: ")), bytes_text(count_behind(all, "bytes held: ")));
    tour_promise(tour, "bytes that four connections read through acre's VFS",
                 figure_behind(acre->text, "bytes read: ") / (double)acre->database_bytes, 1.05, "of the database's size");
    tour_promise(tour, "bytes that they hold", figure_behind(acre->text, "bytes held: ") / figure_behind(all->text, "bytes held: "), 0.5,
                 "of what SQLite's caches hold");
    tour_promise(tour, "bytes that four processes read by one pool",
                 figure_behind(processes->text, "bytes read: ") / (double)processes->database_bytes, 1.05, "of the database's size");
}

/* ---- answers ---- */

void show_kept_answers(tour_state *tour, const char *making, json_t *tables)
{
    char text[OUTPUT_BYTES] = "";
    char *const program = find_own_file("acre-tour-sqlite");
    if (program == NULL) return; /* said above */
    char *const plain_path = make_database(tour, "plain", making), *const kept_path = make_database(tour, "kept", making);
    const char *const words[] = {program, "queries", plain_path, kept_path, NULL};
    tour_progress(tour, "answers of SQLite that are kept");
    const bool has_run = run_words(words, text);
    free(program);
    free(plain_path);
    free(kept_path);
    tour_promise(tour, "answers of the query cache that were not SQLite's", has_run ? figure_behind(text, "different: ") : 1, 0, "answers");
    if (!has_run) return;
    const double plain = figure_behind(text, "plain seconds: "), kept = figure_behind(text, "kept seconds: ");
    const double asked = figure_behind(text, "statements: ") - figure_behind(text, "writes: ");
    const uint64_t statements = (uint64_t)figure_behind(text, "statements: "), bytes = (uint64_t)figure_behind(text, "bytes: ");
    char *const share = must_print("%.1f %%", 100 * figure_behind(text, "hits: ") / asked);
    char *const plain_time = must_print("%.2f s", plain), *const kept_time = must_print("%.2f s", kept);
    tour_say(tour,
             "%s statements by two connections, %s of them writes, some by a connection that the query cache knows nothing of: %s of the "
             "answers "
             "were kept ones, in %s; %s of CPU instead of %s",
             count_text(statements), count_text((uint64_t)figure_behind(text, "writes: ")), share, bytes_text(bytes), kept_time,
             plain_time);
    tour_promise(tour, "CPU time with answers that are kept", kept / plain, 0.8, "of SQLite's alone");
    json_array_append_new(tables,
                          json_pack("{s:s, s:[s, s, s], s:[[s, s, s], [s, s, s]]}", "title", "One shop's statements, each answer compared",
                                    "heads", "answered by", "CPU time", "kept answers", "rows", "SQLite", plain_time, "-",
                                    "acre's query cache and SQLite", kept_time, share));
    free(share);
    free(plain_time);
    free(kept_time);
}
