/* plan_domains.c - `acre plan domains`: a list of ranges with owners and grants becomes the registers of each domain. */
#include "command.h"
#include "plan.h"

#include <acre/domain.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { DOMAINS_MAX = 16, RANGES_MAX = 64, NAME_BYTES = 32, GRANTS_MAX = DOMAINS_MAX };

typedef struct domain_file {
    const char *path;
    unsigned line;
    char domains[DOMAINS_MAX][NAME_BYTES];
    size_t domain_count;
    char names[RANGES_MAX][NAME_BYTES];
    acre_owned_range ranges[RANGES_MAX];
    acre_grant grants[RANGES_MAX][GRANTS_MAX];
    size_t range_count;
    uint64_t window_base, window_bytes;
} domain_file;

static bool complain_line(const domain_file *file, const char *what, const char *word)
{
    complain("plan", "%s: line %u: '%s' %s", file->path, file->line, word, what);
    return false;
}

static bool read_domain(const domain_file *file, const char *word, uint16_t *domain)
{
    for (size_t i = 0; i < file->domain_count; i++) {
        if (strcmp(file->domains[i], word) != 0) continue;
        *domain = (uint16_t)i;
        return true;
    }
    return complain_line(file, "is no domain above this line", word);
}

static bool read_rights(const domain_file *file, const char *word, uint8_t *rights)
{
    *rights = 0;
    for (const char *at = word; *at != 0; at++) {
        const unsigned right = *at == 'r' ? ACRE_RIGHT_READ : *at == 'w' ? ACRE_RIGHT_WRITE : *at == 'x' ? ACRE_RIGHT_EXECUTE : 0;
        if (right == 0 && strcmp(word, "-") != 0) return complain_line(file, "are no rights: letters of rwx, or '-'", word);
        *rights = (uint8_t)(*rights | right);
    }
    return true;
}

/* 0x20000000, 4096 or 64K. */
static bool read_number(const domain_file *file, const char *word, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtoull(word, &end, 0);
    if (*word >= '0' && *word <= '9' && errno == 0 && *end == 0) return true;
    return parse_bytes(word, number) || complain_line(file, "is no number", word);
}

static bool read_name(const domain_file *file, const char *word, char *name)
{
    if (strlen(word) >= NAME_BYTES) return complain_line(file, "is too long for a name", word);
    for (const char *at = word; *at != 0; at++) {
        const bool is_letter =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' || (at > word && *at >= '0' && *at <= '9');
        if (!is_letter) return complain_line(file, "is no name in C", word);
    }
    memcpy(name, word, strlen(word) + 1);
    return true;
}

static bool read_range(domain_file *file, char **words, size_t count)
{
    if (count < 6) return complain_line(file, "needs a name, a base or 'anywhere', a size, an owner and rights", words[0]);
    if (file->range_count == RANGES_MAX) return complain_line(file, "is one range too many", words[1]);
    acre_owned_range *const range = &file->ranges[file->range_count];
    acre_grant *const grants = file->grants[file->range_count];
    char *const name = file->names[file->range_count];
    *range = (acre_owned_range){.name = name, .base = ACRE_PLACE_ANYWHERE, .privileged = ACRE_RIGHTS_ANY, .grants = grants};
    if (!read_name(file, words[1], name) || (strcmp(words[2], "anywhere") != 0 && !read_number(file, words[2], &range->base)) ||
        !read_number(file, words[3], &range->size_bytes) || !read_domain(file, words[4], &range->owner) ||
        !read_rights(file, words[5], &range->rights)) {
        return false;
    }
    for (size_t i = 6; i < count; i++) {
        if (strcmp(words[i], "device") == 0) {
            range->is_device = true;
        } else if (strcmp(words[i], "privileged") == 0 && i + 1 < count) {
            if (!read_rights(file, words[++i], &range->privileged)) return false;
        } else if (strcmp(words[i], "grant") == 0 && i + 2 < count && range->grant_count < GRANTS_MAX) {
            acre_grant *const grant = &grants[range->grant_count++];
            if (!read_domain(file, words[i + 1], &grant->domain) || !read_rights(file, words[i + 2], &grant->rights)) return false;
            i += 2;
        } else {
            return complain_line(file, "is not 'device', 'privileged RIGHTS' or 'grant DOMAIN RIGHTS'", words[i]);
        }
    }
    file->range_count++;
    return true;
}

static bool read_line(domain_file *file, char *line)
{
    enum { WORDS_MAX = 64 };
    char *words[WORDS_MAX], *rest = NULL;
    size_t count = 0;
    line[strcspn(line, "#\n")] = 0;
    for (char *word = strtok_r(line, " \t\r", &rest); word != NULL && count < WORDS_MAX; word = strtok_r(NULL, " \t\r", &rest))
        words[count++] = word;
    if (count == 0) return true;
    if (strcmp(words[0], "range") == 0) return read_range(file, words, count);
    if (strcmp(words[0], "window") == 0 && count == 3)
        return read_number(file, words[1], &file->window_base) && read_number(file, words[2], &file->window_bytes);
    if (strcmp(words[0], "domain") != 0 || count != 2)
        return complain_line(file, "is not 'domain NAME', 'window BASE SIZE' or 'range ...'", words[0]);
    if (file->domain_count == DOMAINS_MAX) return complain_line(file, "is one domain too many", words[1]);
    if (!read_name(file, words[1], file->domains[file->domain_count])) return false;
    file->domain_count++;
    return true;
}

static bool read_file(domain_file *file)
{
    FILE *const in = fopen(file->path, "re");
    char line[1024];
    bool is_good = true;
    if (in == NULL) {
        complain("plan", "'%s' can't be read: %s", file->path, strerror(errno));
        return false;
    }
    while (is_good && fgets(line, sizeof line, in) != NULL) {
        file->line++;
        is_good = read_line(file, line);
    }
    (void)fclose(in);
    if (is_good && file->domain_count == 0) {
        complain("plan", "'%s' has no domain", file->path);
        return false;
    }
    return is_good;
}

/* Ranges that may lie anywhere get their places, and the room that they take there. */
static bool place(domain_file *file, const acre_mpu *unit, uint64_t *wasted_bytes)
{
    acre_wish wishes[ACRE_WISHES_MAX];
    uint64_t room[ACRE_WISHES_MAX];
    size_t which[ACRE_WISHES_MAX], count = 0;
    for (size_t i = 0; i < file->range_count; i++) {
        const acre_owned_range *const range = &file->ranges[i];
        const bool is_in_window = range->base - file->window_base < file->window_bytes;
        if (range->base != ACRE_PLACE_ANYWHERE && !is_in_window) continue;
        if (count == ACRE_WISHES_MAX) {
            complain("plan", "'%s': more than %d ranges in the window", file->path, (int)ACRE_WISHES_MAX);
            return false;
        }
        which[count] = i;
        wishes[count++] = (acre_wish){.name = range->name, .base = range->base, .size_bytes = range->size_bytes};
    }
    if (acre_domain_place(unit, file->window_base, file->window_bytes, wishes, count, room, wasted_bytes) != ACRE_OK) {
        complain("plan", "%s", acre_last_error());
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        file->ranges[which[i]].base = wishes[i].base;
        file->ranges[which[i]].size_bytes = room[i];
    }
    return true;
}

static const char *kind_name(acre_mpu_kind kind)
{
    static const char *const names[] = {"ACRE_MPU_V7M", "ACRE_MPU_V8M", "ACRE_MPU_PMP", "ACRE_MPU_PAGES"};
    return names[kind];
}

static void print_plan(const char *name, const acre_domain_plan *plan, const acre_wish *wishes, size_t wish_count)
{
    printf("\n/* %s:\n", name);
    for (size_t i = 0; i < wish_count; i++)
        printf(" *     %-16s 0x%08llx  %8llu bytes  %s%s%s\n", wishes[i].name, (unsigned long long)wishes[i].base,
               (unsigned long long)wishes[i].size_bytes, (wishes[i].user & ACRE_RIGHT_READ) != 0 ? "r" : "-",
               (wishes[i].user & ACRE_RIGHT_WRITE) != 0 ? "w" : "-", (wishes[i].user & ACRE_RIGHT_EXECUTE) != 0 ? "x" : "-");
    for (uint32_t i = 0; i < plan->exposure_count; i++)
        printf(" *     beside %s: all of 0x%08llx, %llu bytes, is opened\n", wishes[plan->exposures[i].wish].name,
               (unsigned long long)plan->exposures[i].base, (unsigned long long)plan->exposures[i].size_bytes);
    printf(" * %u entries, %llu bytes opened that were not asked for. */\n", (unsigned)plan->entry_count,
           (unsigned long long)plan->exposed_bytes);
    printf("const acre_domain_plan %s_plan = {.unit = {%s, %u, %u, %u}, .entry_count = %u", name, kind_name(plan->unit.kind),
           (unsigned)plan->unit.first_entry, (unsigned)plan->unit.entry_count, (unsigned)plan->unit.grain_bytes,
           (unsigned)plan->entry_count);
    if (plan->unit.kind != ACRE_MPU_PAGES) {
        printf(", .entries = {\n");
        for (uint32_t i = 0; i < plan->unit.entry_count; i++)
            printf("    {0x%08x, 0x%08x},\n", (unsigned)plan->entries[i].base, (unsigned)plan->entries[i].attributes);
        printf("}");
    }
    printf("};\n");
}

static json_t *plan_json(const acre_domain_plan *plan, const acre_wish *wishes, size_t wish_count)
{
    json_t *const entries = json_array(), *const list = json_array();
    for (uint32_t i = 0; plan->unit.kind != ACRE_MPU_PAGES && i < plan->unit.entry_count; i++)
        json_array_append_new(entries, json_pack("[I, I]", (json_int_t)plan->entries[i].base, (json_int_t)plan->entries[i].attributes));
    for (size_t i = 0; i < wish_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:i}", "name", wishes[i].name, "base", (json_int_t)wishes[i].base, "size",
                                              (json_int_t)wishes[i].size_bytes, "user", (int)wishes[i].user));
    return json_pack("{s:o, s:o, s:i, s:I}", "wishes", list, "entries", entries, "entry_count", (int)plan->entry_count, "exposed_bytes",
                     (json_int_t)plan->exposed_bytes);
}

int plan_domains(const plan_options *options)
{
    acre_mpu unit;
    if (acre_mpu_named(options->unit, &unit) != ACRE_OK) return complain_usage("plan", "--mpu: %s", acre_last_error());
    domain_file *const file = must_calloc(1, sizeof *file);
    file->path = options->path;
    uint64_t wasted_bytes = 0;
    int result = EXIT_FAILED;
    json_t *const plans = json_object();
    if (!read_file(file) || !place(file, &unit, &wasted_bytes)) goto out;
    if (!options->is_json) {
        printf("/* Planned for %s: what the memory protection unit holds while a domain runs. %llu bytes are lost to its grain. */\n"
               "#include <acre/domain.h>\n",
               options->unit, (unsigned long long)wasted_bytes);
    }
    for (size_t i = 0; i < file->domain_count; i++) {
        acre_wish wishes[ACRE_WISHES_MAX];
        acre_domain_plan plan;
        const size_t count = acre_domain_wishes(file->ranges, file->range_count, (uint16_t)i, wishes, ACRE_WISHES_MAX);
        if (count > ACRE_WISHES_MAX) {
            complain("plan", "domain '%s' has %zu ranges, more than %d", file->domains[i], count, (int)ACRE_WISHES_MAX);
            goto out;
        }
        if (acre_domain_make_plan(&unit, wishes, count, options->expose_bytes, &plan) != ACRE_OK) {
            complain("plan", "domain '%s': %s", file->domains[i], acre_last_error());
            goto out;
        }
        if (options->is_json)
            json_object_set_new(plans, file->domains[i], plan_json(&plan, wishes, count));
        else
            print_plan(file->domains[i], &plan, wishes, count);
    }
    result = EXIT_SUCCESS;
    if (options->is_json && (json_dumpf(plans, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF)) result = EXIT_FAILED;
out:
    json_decref(plans);
    free(file);
    return result;
}
