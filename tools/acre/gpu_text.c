/* gpu_text.c - see gpu_devices.h: devices as text of at most 80 columns, and as JSON. */
#include "gpu_devices.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>

/* ---- text ---- */

static const char *mark_of(acre_source source) { return source == ACRE_SOURCE_MEASURED ? "*" : source == ACRE_SOURCE_PROFILE ? "^" : " "; }

static void print_figure(int columns, acre_figure figure, acre_gpu_figure_kind kind)
{
    const char *text = "-";
    if (figure.source != ACRE_SOURCE_UNKNOWN)
        text = kind == ACRE_GPU_BANKS        ? count_text(figure.value)
               : kind == ACRE_GPU_LATENCY_NS ? duration_text(figure.value)
                                             : bytes_text(figure.value);
    const char *const mark = mark_of(figure.source);
    printf("%*s%s", columns - 1, text, *mark == ' ' && kind == ACRE_GPU_LATENCY_NS ? "" : mark); /* no blank at the end of the line */
}

static void print_levels(const acre_gpu_hierarchy *h)
{
    static const int columns[ACRE_GPU_FIGURE_COUNT] = {12, 7, 8, 8, 12, 10};
    printf("  %-10s%11s %6s %7s %7s %11s %9s\n", "memory", "capacity", "banks", "line", "sector", "bytes/s", "latency");
    for (int i = 0; i < ACRE_GPU_LEVEL_COUNT; i++) {
        const acre_gpu_level *const level = &h->levels[i];
        if (!acre_gpu_level_is_known(level)) continue;
        printf("  %-10s", acre_gpu_level_text((acre_gpu_level_kind)i));
        for (int k = 0; k < ACRE_GPU_FIGURE_COUNT; k++) print_figure(columns[k], level->figures[k], (acre_gpu_figure_kind)k);
        putchar('\n');
        if (level->note[0] != 0) print_words("      ", "      ", level->note);
    }
}

static void print_heaps(const acre_gpu_hierarchy *h)
{
    for (uint32_t i = 0; i < h->heap_count; i++) {
        const acre_gpu_heap_figures *const heap = &h->heaps[i];
        printf("  heap %u: %s%s", i, bytes_text(heap->size_bytes.value),
               (heap->flags & ACRE_GPU_DEVICE_LOCAL) != 0 ? ", device-local" : "");
        if (heap->used_bytes.source != ACRE_SOURCE_UNKNOWN) printf(", %s used", bytes_text(heap->used_bytes.value));
        if (heap->limit_bytes.source != ACRE_SOURCE_UNKNOWN)
            printf(", budget %s", bytes_text(heap->limit_bytes.value));
        else
            printf(", budget unknown");
        putchar('\n');
        for (uint32_t k = 0; k < h->type_count; k++) {
            if (h->types[k].heap != i) continue;
            char *const flags = gpu_flags_text(h->types[k].flags);
            char *const first = must_print("    type %u: ", k);
            print_words(first, "            ", *flags != 0 ? flags : "no flags");
            free(first);
            free(flags);
        }
    }
}

static void print_curve(const gpu_device *device)
{
    if (device->curve_count == 0) return;
    char *text = must_copy("");
    for (size_t i = 0; i < device->curve_count; i++) {
        const gpu_curve_point *const point = &device->curve[i];
        char *const longer = must_print("%s%s%s %llu.%llu ns", text, i > 0 ? ", " : "", bytes_text(point->bytes),
                                        (unsigned long long)point->latency_ps / 1000, (unsigned long long)point->latency_ps % 1000 / 100);
        free(text);
        text = longer;
    }
    print_words("  latency*: ", "    ", text);
    free(text);
}

/* Of the profile, only texts that a figure of the device is from. */
static void print_titles(const gpu_device *device)
{
    const gpu_profile *const p = device->profile;
    if (p == NULL) return;
    bool is_used[GPU_TITLES_MAX + 1] = {false};
    for (size_t i = 0; i < ACRE_GPU_LEVEL_COUNT; i++)
        for (size_t k = 0; k < ACRE_GPU_FIGURE_COUNT; k++)
            if (device->hierarchy.levels[i].figures[k].source == ACRE_SOURCE_PROFILE) is_used[p->level_titles[i][k]] = true;
    if (device->hierarchy.unit_count.source == ACRE_SOURCE_PROFILE) is_used[p->unit_title] = true;
    if (device->hierarchy.warp_items.source == ACRE_SOURCE_PROFILE) is_used[p->warp_title] = true;
    char *const first = must_print("of %s, from", p->hierarchy.name);
    print_words("  ^ ", "    ", first);
    free(first);
    print_words("    ", "    ", p->path);
    for (size_t i = 0; i < p->title_count; i++)
        if (is_used[i + 1]) print_words("    - ", "      ", p->titles[i]);
}

/* "108^ compute units"; "" where it is unknown. To be freed. */
static char *known_text(acre_figure figure, const char *what)
{
    if (figure.source == ACRE_SOURCE_UNKNOWN) return must_copy("");
    const char *const mark = mark_of(figure.source);
    return must_print("%s%s %s", count_text(figure.value), *mark == ' ' ? "" : mark, what);
}

static void print_device(const gpu_device *device)
{
    const acre_gpu_hierarchy *const h = &device->hierarchy;
    char *const title = must_print("%s: %s", h->api, h->name);
    print_words("", "  ", title);
    free(title);
    char *const what = must_print("%s%s%s",
                                  h->is_software     ? "the processor computes"
                                  : h->is_integrated ? "memory of the host"
                                                     : "memory of its own",
                                  h->driver[0] != 0 ? "; driver " : "", h->driver);
    print_words("  ", "  ", what);
    free(what);
    char *const units = known_text(h->unit_count, "compute units"), *const items = known_text(h->warp_items, "items go in step");
    char *const both = must_print("%s%s%s", units, *units != 0 && *items != 0 ? ", " : "", items);
    if (*both != 0) print_words("  ", "  ", both);
    free(units);
    free(items);
    free(both);
    print_levels(h);
    print_heaps(h);
    if (h->granularity_bytes.source != ACRE_SOURCE_UNKNOWN)
        printf("  buffers and images apart by %s, flushes of %s\n", bytes_text(h->granularity_bytes.value),
               bytes_text(h->atom_bytes.value));
    print_curve(device);
    if (device->not_measured != NULL) printf("  not measured: %s\n", device->not_measured);
    print_titles(device);
    putchar('\n');
}

void gpu_print(const gpu_devices *found)
{
    for (size_t i = 0; i < found->count; i++) print_device(&found->items[i]);
    for (int i = 0; i < GPU_API_COUNT; i++)
        if (found->reasons[i] != NULL) printf("%s: %s\n", gpu_api_text((gpu_api)i), found->reasons[i]);
    if (found->count > 0) puts("*: measured here. ^: from a profile. -: unknown. Else the driver reports it.");
}

/* ---- JSON ---- */

/* `title`: 1 + that of the profile; used where the figure is from it. */
static json_t *figure_json(const gpu_profile *profile, acre_figure figure, unsigned char title)
{
    if (figure.source == ACRE_SOURCE_UNKNOWN) return json_pack("{s:n, s:s}", "value", "source", "unknown");
    json_t *const json = json_pack("{s:I, s:s}", "value", (json_int_t)figure.value, "source", acre_source_text(figure.source));
    if (figure.source == ACRE_SOURCE_PROFILE && profile != NULL && title > 0)
        json_object_set_new(json, "title", json_string(profile->titles[title - 1]));
    return json;
}

static json_t *levels_json(const gpu_device *device)
{
    const gpu_profile *const p = device->profile;
    json_t *const list = json_array();
    for (int i = 0; i < ACRE_GPU_LEVEL_COUNT; i++) {
        const acre_gpu_level *const level = &device->hierarchy.levels[i];
        if (!acre_gpu_level_is_known(level)) continue;
        json_t *const json = json_pack("{s:s}", "name", acre_gpu_level_text((acre_gpu_level_kind)i));
        for (int k = 0; k < ACRE_GPU_FIGURE_COUNT; k++)
            json_object_set_new(json, acre_gpu_figure_text((acre_gpu_figure_kind)k),
                                figure_json(p, level->figures[k], p == NULL ? 0 : p->level_titles[i][k]));
        if (level->note[0] != 0) json_object_set_new(json, "note", json_string(level->note));
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *flags_json(uint32_t flags)
{
    json_t *const list = json_array();
    for (unsigned bit = 0; bit < 32; bit++) {
        if ((flags >> bit & 1) == 0) continue;
        char *const name = gpu_flags_text(1u << bit);
        if (*name != 0) json_array_append_new(list, json_string(name));
        free(name);
    }
    return list;
}

static json_t *heaps_json(const acre_gpu_hierarchy *h)
{
    json_t *const list = json_array();
    for (uint32_t i = 0; i < h->heap_count; i++) {
        const acre_gpu_heap_figures *const heap = &h->heaps[i];
        json_t *const types = json_array();
        for (uint32_t k = 0; k < h->type_count; k++)
            if (h->types[k].heap == i)
                json_array_append_new(types, json_pack("{s:i, s:o}", "type", (int)k, "flags", flags_json(h->types[k].flags)));
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o}", "size_bytes", figure_json(NULL, heap->size_bytes, 0),
                                              "used_bytes", figure_json(NULL, heap->used_bytes, 0), "budget_bytes",
                                              figure_json(NULL, heap->limit_bytes, 0), "flags", flags_json(heap->flags), "types", types));
    }
    return list;
}

static json_t *device_json(const gpu_device *device)
{
    const acre_gpu_hierarchy *const h = &device->hierarchy;
    const gpu_profile *const p = device->profile;
    json_t *const curve = json_array();
    for (size_t i = 0; i < device->curve_count; i++)
        json_array_append_new(curve, json_pack("{s:I, s:f}", "bytes", (json_int_t)device->curve[i].bytes, "latency_ns",
                                               (double)device->curve[i].latency_ps / 1000));
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s*, s:s*, s:s*}", "api",
                     gpu_api_text(device->api), "version", h->api, "name", h->name, "driver", h->driver, "is_software", (int)h->is_software,
                     "is_integrated", (int)h->is_integrated, "unit_count", figure_json(p, h->unit_count, p == NULL ? 0 : p->unit_title),
                     "warp_items", figure_json(p, h->warp_items, p == NULL ? 0 : p->warp_title), "granularity_bytes",
                     figure_json(NULL, h->granularity_bytes, 0), "atom_bytes", figure_json(NULL, h->atom_bytes, 0), "levels",
                     levels_json(device), "heaps", heaps_json(h), "latency_curve", curve, "profile", p == NULL ? NULL : p->path,
                     "profile_device", p == NULL ? NULL : p->hierarchy.name, "not_measured", device->not_measured);
}

json_t *gpu_json(const gpu_devices *found)
{
    json_t *const devices = json_array();
    json_t *const missing = json_object();
    for (size_t i = 0; i < found->count; i++) json_array_append_new(devices, device_json(&found->items[i]));
    for (int i = 0; i < GPU_API_COUNT; i++)
        if (found->reasons[i] != NULL) json_object_set_new(missing, gpu_api_text((gpu_api)i), json_string(found->reasons[i]));
    return json_pack("{s:o, s:o}", "devices", devices, "missing", missing);
}
