/* gpu.c - `acre gpu info`: which memories the devices of Vulkan, OpenCL and CUDA have, each figure with its source; and the way to `acre
 * gpu picture`. */
#include "gpu_devices.h"
#include "gpu_picture.h"

#include "command.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "Usage: acre gpu info [OPTIONS]\n"
                           "       acre gpu picture [OPTIONS] FILE     (acre gpu picture --help)\n"
                           "\n"
                           "Lists the devices of Vulkan, OpenCL and CUDA with their memories, from global\n"
                           "memory to registers, and their heaps, types and budgets. Each figure is reported\n"
                           "by the driver, measured here, from a profile, or unknown.\n"
                           "\n"
                           "  --measure        run small kernels on each OpenCL device (some seconds)\n"
                           "  --profile FILE   take what is unknown from this profile, for every device;\n"
                           "                   else from the one that has the device's name, if there is one\n"
                           "  --json FILE      write JSON to FILE instead (-: standard output)\n"
                           "  -h, --help       print this\n";

typedef struct gpu_options {
    bool may_measure;
    const char *profile;
    const char *json;
} gpu_options;

/* -1: go on. */
static int parse_options(gpu_options *wanted, int argument_count, char **arguments)
{
    static const struct option options[] = {{"measure", no_argument, NULL, 'm'},
                                            {"profile", required_argument, NULL, 'p'},
                                            {"json", required_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, ":h", options, NULL)) != -1;) {
        switch (option) {
        case 'm':
            wanted->may_measure = true;
            break;
        case 'p':
            wanted->profile = optarg;
            break;
        case 'j':
            wanted->json = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("gpu", "'%s' needs a value", arguments[optind - 1]);
        default:
            return complain_usage("gpu", "'%s' is no option", arguments[optind - 1]);
        }
    }
    if (optind == argument_count) return complain_usage("gpu", "what is to be done? There are 'info' and 'picture'");
    if (strcmp(arguments[optind], "info") != 0) return complain_usage("gpu", "'%s' is neither 'info' nor 'picture'", arguments[optind]);
    if (optind + 1 < argument_count) return complain_usage("gpu", "'%s' is not expected", arguments[optind + 1]);
    return -1;
}

/* A profile that is named is read for each device again: each owns its own. */
static bool apply_profiles(gpu_devices *found, const char *path)
{
    for (size_t i = 0; i < found->count; i++) {
        gpu_profile *profile = NULL;
        if (path != NULL)
            profile = gpu_profile_read("gpu", path);
        else if (!gpu_profile_find("gpu", &found->items[i].hierarchy, &profile))
            return false;
        if (path != NULL && profile == NULL) return false;
        if (profile != NULL) gpu_profile_apply(&found->items[i], profile);
    }
    return true;
}

static bool write_json(const gpu_devices *found, const char *path)
{
    json_t *const json = gpu_json(found);
    FILE *const file = open_output(path);
    bool is_written = json != NULL && file != NULL && json_dumpf(json, file, JSON_INDENT(2)) == 0 && fputc('\n', file) != EOF;
    if (file != NULL && fclose(file) != 0) is_written = false;
    json_decref(json);
    if (!is_written) complain("gpu", "'%s' could not be written", path);
    return is_written;
}

int command_gpu(int argument_count, char **arguments)
{
    gpu_options wanted = {.json = NULL};
    if (argument_count > 1 && strcmp(arguments[1], "picture") == 0) return gpu_picture_command(argument_count - 1, arguments + 1);
    const int parsed = parse_options(&wanted, argument_count, arguments);
    if (parsed >= 0) return parsed;
    /* Errors of the caller's file first: they need no device. */
    gpu_profile *const named = wanted.profile == NULL ? NULL : gpu_profile_read("gpu", wanted.profile);
    if (wanted.profile != NULL && named == NULL) return EXIT_USAGE;
    gpu_profile_free(named);
    if (wanted.json != NULL && !can_write("gpu", wanted.json)) return EXIT_USAGE;

    gpu_devices found = gpu_find(wanted.may_measure ? GPU_MEASURED : GPU_FULL);
    int status = apply_profiles(&found, wanted.profile) ? EXIT_SUCCESS : EXIT_TOOL;
    if (status == EXIT_SUCCESS) {
        if (wanted.json == NULL)
            gpu_print(&found);
        else if (!write_json(&found, wanted.json))
            status = EXIT_FAILED;
    }
    gpu_devices_free(&found);
    return status;
}
