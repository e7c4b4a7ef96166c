/* gpu.c - the sixth stop: 10,000 buffers and images on a Vulkan device are made and filled, most of them go, the others move together piece
 * by piece, and each byte is compared. Without a GPU the device is lavapipe, in software, and says so.
 */
#include "command.h"
#include "gpu_picture.h"
#include "job.h"
#include "tour.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 4096, NO_DEVICE = 77 };

/* What stands behind a name at the beginning of a line; NULL: there is none. */
static const char *behind(const char *text, const char *name)
{
    const size_t length = strlen(name);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += line != text;
        if (strncmp(line, name, length) == 0 && line[length] == ' ') return line + length + 1;
    }
    return NULL;
}

static double figure(const char *text, const char *name)
{
    const char *const at = behind(text, name);
    return at == NULL ? -1 : strtod(at, NULL);
}

/* Every block before and after the moves, as the scene dumped them. */
static void show(tour_state *tour)
{
    static const char *const names[] = {"before", "after"};
    json_t *const pictures = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_error_t error;
        char *why = NULL;
        char *const path = must_print("%s/%s.json", tour_scratch(tour), names[i]);
        char *const title = must_print("Every block %s the moves", names[i]);
        json_t *const dump = json_load_file(path, 0, &error);
        json_t *const picture = dump == NULL ? NULL : gpu_picture_of(dump, title, &why);
        if (picture != NULL)
            json_array_append_new(pictures, picture);
        else
            tour_say(tour, "no picture of the blocks %s the moves: %s", names[i], why != NULL ? why : error.text);
        json_decref(dump);
        free(why);
        free(title);
        free(path);
    }
    tour_detail(tour, "pictures", pictures);
}

static void tell(tour_state *tour, const char *text)
{
    static const char *const names[] = {"made",  "left",        "left_bytes", "block_bytes_before", "block_bytes_after",
                                        "moves", "moved_bytes", "pieces",     "longest_ms",         "wrong"};
    const char *const device = behind(text, "device");
    json_t *const figures = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) json_object_set_new(figures, names[i], json_real(figure(text, names[i])));
    if (device != NULL) json_object_set_new(figures, "device", json_stringn(device, strcspn(device, "\n")));
    tour_detail(tour, "scene", figures);
    const double mib = 1 << 20, left = figure(text, "left_bytes");
    tour_say(tour, "on %.*s: of %.0f buffers and images %.0f are left, %.1f MiB in %.1f", device == NULL ? 0 : (int)strcspn(device, "\n"),
             device == NULL ? "" : device, figure(text, "made"), figure(text, "left"), left / mib,
             figure(text, "block_bytes_before") / mib);
    tour_say(tour, "%.0f moves of %.1f MiB in %.0f pieces, the longest %.1f ms, then %.1f MiB", figure(text, "moves"),
             figure(text, "moved_bytes") / mib, figure(text, "pieces"), figure(text, "longest_ms"),
             figure(text, "block_bytes_after") / mib);
    tour_promise(tour, "buffers and images that lost a byte", figure(text, "wrong"), 0, "of them");
    tour_promise(tour, "memory taken for what is left, after the moves", figure(text, "block_bytes_after") / left, 1.5, "times");
    tour_promise(tour, "bytes moved for that", figure(text, "moved_bytes") / left, 1, "of what is left");
}

static void visit(tour_state *tour)
{
    char *const folder = find_bench_programs();
    char *const scene = folder == NULL ? NULL : must_print("%s/../gpu/scene", folder);
    if (scene == NULL || access(scene, X_OK) != 0) {
        tour_skip(tour, "its scene is only in a build folder, where Vulkan was found");
    } else {
        const char *const words[] = {scene, "10000", "--figures", "--dumps", tour_scratch(tour), NULL};
        static char text[OUTPUT_BYTES];
        tour_progress(tour, "10,000 buffers and images");
        tour_job started = tour_job_start(words, "");
        const int status = tour_job_end(&started, text, sizeof text);
        if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == NO_DEVICE)
            tour_skip(tour, "there is no Vulkan device here");
        else if (figure(text, "wrong") < 0)
            tour_promise(tour, "scenes that did not end", 1, 0, "of one");
        else {
            tell(tour, text);
            show(tour);
        }
    }
    free(scene);
    free(folder);
}

TOUR_STOP("gpu", "device memory: 10,000 buffers and images move on Vulkan", 60, visit)
