/* gpu.c - the sixth stop: 10,000 buffers and images on a Vulkan device are made and filled, most of them go, the others move together piece
 * by piece, and each byte is compared; kernels of OpenCL work on pooled buffers, and each byte of their results is compared. Without a GPU
 * the devices are lavapipe and PoCL, in software, and say so.
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

static void tell_kernels(tour_state *tour, const char *text)
{
    static const char *const names[] = {"made", "bytes", "block_bytes", "of_driver", "reused", "wrong"};
    const char *const device = behind(text, "device");
    json_t *const figures = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) json_object_set_new(figures, names[i], json_real(figure(text, names[i])));
    tour_detail(tour, "kernels", figures);
    tour_say(tour, "OpenCL on %.*s: %.0f results of %.1f MiB through %.0f temporary blocks, which were reused %.0f times",
             device == NULL ? 0 : (int)strcspn(device, "\n"), device == NULL ? "" : device, figure(text, "made"),
             figure(text, "bytes") / (1 << 20), figure(text, "of_driver"), figure(text, "reused"));
    tour_promise(tour, "results of kernels over pooled buffers that are wrong", figure(text, "wrong"), 0, "of them");
}

/* Runs a program of bench/gpu and hands on what it said. False: it was not built, or has no device, and nothing was told. */
static bool run(tour_state *tour, const char *const *words, const char *failed, void (*tell_of)(tour_state *, const char *))
{
    static char text[OUTPUT_BYTES];
    if (access(words[0], X_OK) != 0) return false;
    tour_job started = tour_job_start(words, "");
    const int status = tour_job_end(&started, text, sizeof text);
    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == NO_DEVICE) return false;
    if (figure(text, "wrong") < 0)
        tour_promise(tour, failed, 1, 0, "of one");
    else
        tell_of(tour, text);
    return true;
}

static void tell_scene(tour_state *tour, const char *text)
{
    tell(tour, text);
    show(tour);
}

static void visit(tour_state *tour)
{
    char *const folder = find_bench_programs();
    if (folder == NULL) {
        tour_skip(tour, "its programs are only in a build folder");
        return;
    }
    char *const scene = must_print("%s/../gpu/scene", folder), *const kernels = must_print("%s/../gpu/kernels", folder);
    const char *const scene_words[] = {scene, "10000", "--figures", "--dumps", tour_scratch(tour), NULL};
    const char *const kernels_words[] = {kernels, "1000", "--figures", NULL};
    tour_progress(tour, "10,000 buffers and images");
    const bool has_vulkan = run(tour, scene_words, "scenes that did not end", tell_scene);
    tour_progress(tour, "1,000 results of kernels");
    const bool has_opencl = run(tour, kernels_words, "kernels that did not end", tell_kernels);
    if (!has_vulkan && !has_opencl)
        tour_skip(tour, "neither Vulkan nor OpenCL was found at build, or has a device");
    else if (!has_vulkan)
        tour_say(tour, "no scene of Vulkan: it was not found at build, or has no device");
    else if (!has_opencl)
        tour_say(tour, "no kernels of OpenCL: it was not found at build, or has no device");
    free(kernels);
    free(scene);
    free(folder);
}

TOUR_STOP("gpu", "device memory: 10,000 things move on Vulkan; kernels of OpenCL", 60, visit)
