/* gpu_profile.c - see gpu_devices.h: reads profiles of devices, a statement a line. docs/gpu-info.md is the format.
 *
 * A figure names the text that it is from, and that text has to be named above it: so there is no figure without a source.
 */
#include "gpu_devices.h"

#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 512, FILE_LINES_MAX = 1000 };

typedef struct reader {
    const char *command_name;
    gpu_profile *profile;
    size_t line;
} reader;

#define REFUSE(reader, ...) (complain_at(reader, must_print(__VA_ARGS__)), false)

static void complain_at(const reader *self, char *reason)
{
    complain(self->command_name, "%s:%zu: %s", self->profile->path, self->line, reason);
    free(reason);
}

/* The word at the beginning of *text, which then stands behind it and its blanks; the word ends with 0. "" at the end. */
static char *take_word(char **text)
{
    char *const word = *text;
    char *const end = word + strcspn(word, " ");
    *text = end + strspn(end, " ");
    *end = 0;
    return word;
}

static unsigned char title_of(const gpu_profile *profile, const char *key)
{
    for (size_t i = 0; i < profile->title_count; i++)
        if (strcmp(profile->keys[i], key) == 0) return (unsigned char)(i + 1);
    return 0;
}

static bool read_source(reader *self, char *rest)
{
    gpu_profile *const p = self->profile;
    const char *const key = take_word(&rest);
    if (*key == 0 || *rest == 0) return REFUSE(self, "'source' needs a word and the title of a text");
    if (title_of(p, key) != 0) return REFUSE(self, "source '%s' is there already", key);
    if (p->title_count == GPU_TITLES_MAX) return REFUSE(self, "more than %d sources", GPU_TITLES_MAX);
    p->keys[p->title_count] = must_copy(key);
    p->titles[p->title_count++] = must_copy(rest);
    return true;
}

/* VALUE SOURCE. Bytes may have K, M, G or T behind them; nothing else may. */
static bool read_figure(reader *self, char *rest, bool is_bytes, acre_figure *figure, unsigned char *title)
{
    const char *const value = take_word(&rest);
    const char *const key = take_word(&rest);
    uint64_t number = 0;
    if (figure->source != ACRE_SOURCE_UNKNOWN) return REFUSE(self, "this figure is there already");
    if (!(is_bytes ? parse_bytes(value, &number) : parse_number(value, 1, UINT64_MAX, &number)) || number == 0)
        return REFUSE(self, is_bytes ? "'%s' is no size" : "'%s' is no number from 1", value);
    if (*key == 0) return REFUSE(self, "the figure has no source");
    if (*rest != 0) return REFUSE(self, "'%s' is not expected", rest);
    *title = title_of(self->profile, key);
    if (*title == 0) return REFUSE(self, "'%s' is no source named above", key);
    *figure = (acre_figure){.value = number, .source = ACRE_SOURCE_PROFILE};
    return true;
}

static bool read_level(reader *self, acre_gpu_level_kind kind, char *rest)
{
    acre_gpu_level *const level = &self->profile->hierarchy.levels[kind];
    const char *const name = take_word(&rest);
    if (strcmp(name, "note") == 0) {
        if (*rest == 0 || strlen(rest) >= sizeof level->note) return REFUSE(self, "a note has 1 to %zu bytes", sizeof level->note - 1);
        gpu_set_text(level->note, "%s", rest);
        return true;
    }
    for (int k = 0; k < ACRE_GPU_FIGURE_COUNT; k++) {
        if (strcmp(name, acre_gpu_figure_text((acre_gpu_figure_kind)k)) != 0) continue;
        const bool is_bytes = k == ACRE_GPU_CAPACITY_BYTES || k == ACRE_GPU_LINE_BYTES || k == ACRE_GPU_SECTOR_BYTES;
        return read_figure(self, rest, is_bytes, &level->figures[k], &self->profile->level_titles[kind][k]);
    }
    return REFUSE(self, "'%s' is no figure of a level", name);
}

static bool read_statement(reader *self, char *rest)
{
    gpu_profile *const p = self->profile;
    const char *const name = take_word(&rest);
    if (strcmp(name, "device") == 0) {
        if (*rest == 0 || p->hierarchy.name[0] != 0) return REFUSE(self, "'device' is wanted once, with a name");
        gpu_set_text(p->hierarchy.name, "%s", rest);
        return true;
    }
    if (strcmp(name, "match") == 0) {
        if (*rest == 0 || p->match_count == GPU_MATCHES_MAX)
            return REFUSE(self, "'match' needs part of a name, at most %d times", GPU_MATCHES_MAX);
        p->matches[p->match_count++] = must_copy(rest);
        return true;
    }
    if (strcmp(name, "source") == 0) return read_source(self, rest);
    if (strcmp(name, "unit_count") == 0) return read_figure(self, rest, false, &p->hierarchy.unit_count, &p->unit_title);
    if (strcmp(name, "warp_items") == 0) return read_figure(self, rest, false, &p->hierarchy.warp_items, &p->warp_title);
    for (int i = 0; i < ACRE_GPU_LEVEL_COUNT; i++)
        if (strcmp(name, acre_gpu_level_text((acre_gpu_level_kind)i)) == 0) return read_level(self, (acre_gpu_level_kind)i, rest);
    return REFUSE(self, "'%s' is neither a level nor a statement", name);
}

static bool read_line(reader *self, char *line)
{
    size_t length = strlen(line);
    if (length > 0 && line[length - 1] == '\n')
        line[--length] = 0;
    else if (length == LINE_BYTES_MAX - 1)
        return REFUSE(self, "longer than %d bytes", LINE_BYTES_MAX - 2);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ') return REFUSE(self, "byte %zu is no text", i + 1);
    while (length > 0 && line[length - 1] == ' ') line[--length] = 0;
    char *const text = line + strspn(line, " ");
    return *text == 0 || *text == '#' || read_statement(self, text);
}

static bool read_lines(reader *self, FILE *file)
{
    char line[LINE_BYTES_MAX];
    while (fgets(line, sizeof line, file) != NULL) {
        if (++self->line > FILE_LINES_MAX) return REFUSE(self, "more than %d lines", FILE_LINES_MAX);
        if (!read_line(self, line)) return false;
    }
    if (ferror(file) != 0) return REFUSE(self, "%s", strerror(errno));
    self->line = self->line > 0 ? self->line : 1;
    return self->profile->hierarchy.name[0] != 0 || REFUSE(self, "the file ends without 'device'");
}

gpu_profile *gpu_profile_read(const char *command_name, const char *path)
{
    FILE *const file = fopen(path, "re");
    if (file == NULL) {
        complain(command_name, "%s: %s", path, strerror(errno));
        return NULL;
    }
    gpu_profile *const profile = must_calloc(1, sizeof *profile);
    profile->path = must_copy(path);
    reader self = {.command_name = command_name, .profile = profile};
    const bool is_good = read_lines(&self, file);
    (void)fclose(file);
    if (is_good) return profile;
    gpu_profile_free(profile);
    return NULL;
}

void gpu_profile_free(gpu_profile *profile)
{
    if (profile == NULL) return;
    for (size_t i = 0; i < profile->match_count; i++) free(profile->matches[i]);
    for (size_t i = 0; i < profile->title_count; i++) {
        free(profile->keys[i]);
        free(profile->titles[i]);
    }
    free(profile->path);
    free(profile);
}

/* Where profiles lie: in the build beside the tool, or where it is installed; to be freed. */
static char *find_folder(void)
{
    static const char *const places[] = {"gpu", "../share/acre/gpu"};
    char folder[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (length <= 0) return NULL;
    folder[length] = 0;
    *strrchr(folder, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char *const path = must_print("%s/%s", folder, places[i]);
        if (access(path, X_OK) == 0) return path;
        free(path);
    }
    return NULL;
}

static bool is_profile(const struct dirent *entry)
{
    const char *const ending = strrchr(entry->d_name, '.');
    return ending != NULL && strcmp(ending, ".gpu") == 0;
}

/* Where memory is of quite another size, it is another device of the same name. A driver tells up to a fifth less than the data sheet. */
static bool is_of_size(const acre_gpu_hierarchy *profile, const acre_gpu_hierarchy *device)
{
    const acre_figure sheet = profile->levels[ACRE_GPU_LEVEL_GLOBAL].figures[ACRE_GPU_CAPACITY_BYTES];
    const acre_figure told = device->levels[ACRE_GPU_LEVEL_GLOBAL].figures[ACRE_GPU_CAPACITY_BYTES];
    if (sheet.source == ACRE_SOURCE_UNKNOWN || told.source == ACRE_SOURCE_UNKNOWN) return true;
    return told.value >= sheet.value / 5 * 4 && told.value <= sheet.value + sheet.value / 20;
}

/* A match is whole words, behind which the name ends or goes on in parentheses: an "RTX 4090 Laptop GPU" is no "RTX 4090". */
static bool is_match(const gpu_profile *profile, const acre_gpu_hierarchy *device)
{
    if (!is_of_size(&profile->hierarchy, device)) return false;
    for (size_t i = 0; i < profile->match_count; i++) {
        const char *const at = strstr(device->name, profile->matches[i]);
        if (at == NULL || (at != device->name && at[-1] != ' ')) continue;
        const char *const behind = at + strlen(profile->matches[i]);
        if (*behind == 0 || strncmp(behind, " (", 2) == 0) return true;
    }
    return false;
}

bool gpu_profile_find(const char *command_name, const acre_gpu_hierarchy *device, gpu_profile **profile)
{
    char *const folder = find_folder();
    DIR *const files = folder == NULL ? NULL : opendir(folder);
    bool is_good = true;
    *profile = NULL;
    for (const struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        if (!is_profile(entry)) continue;
        char *const path = must_print("%s/%s", folder, entry->d_name);
        gpu_profile *const candidate = gpu_profile_read(command_name, path);
        free(path);
        if (candidate == NULL)
            is_good = false;
        else if (*profile == NULL && is_match(candidate, device))
            *profile = candidate;
        else
            gpu_profile_free(candidate);
    }
    if (files != NULL) (void)closedir(files);
    free(folder);
    return is_good;
}

void gpu_profile_apply(gpu_device *device, gpu_profile *profile)
{
    (void)acre_gpu_hierarchy_fill(&device->hierarchy, &profile->hierarchy); /* neither is NULL */
    device->profile = profile;
}
