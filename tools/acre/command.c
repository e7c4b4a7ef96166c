/* command.c - see command.h. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void complain_list(const char *command_name, const char *format, va_list arguments)
{
    fflush(stdout);
    fprintf(stderr, "acre%s%s: ", command_name[0] != 0 ? " " : "", command_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void complain(const char *command_name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain_list(command_name, format, arguments);
    va_end(arguments);
}

int complain_usage(const char *command_name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain_list(command_name, format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try 'acre%s%s --help'.\n", command_name[0] != 0 ? " " : "", command_name);
    return EXIT_USAGE;
}

bool parse_bytes(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *suffix;
        int shift;
    } units[] = {
        {"", 0},     {"B", 0},  {"K", 10},  {"KB", 10},  {"KiB", 10}, {"M", 20},  {"MB", 20},
        {"MiB", 20}, {"G", 30}, {"GB", 30}, {"GiB", 30}, {"T", 40},   {"TB", 40}, {"TiB", 40},
    };
    char *end;
    if (text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    const double value = strtod(text, &end);
    if (errno != 0) return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].suffix) != 0) continue;
        const double scaled = ldexp(value, units[i].shift);
        if (scaled >= ldexp(1, 63)) return false;
        *bytes = (uint64_t)scaled;
        return true;
    }
    return false;
}

bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    char *end;
    if (text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0 || number < least || number > most) return false;
    *value = number;
    return true;
}

bool parse_seconds(const char *text, double least, double *seconds)
{
    enum { SECONDS_MAX = 24 * 60 * 60 };
    char *end;
    if (text[0] < '0' || text[0] > '9') return false;
    const double value = strtod(text, &end);
    if (*end != 0 || !(value >= least) || value > SECONDS_MAX) return false;
    *seconds = value;
    return true;
}

static char *next_buffer(size_t *size)
{
    enum { BUFFER_COUNT = 16, BUFFER_BYTES = 40 };
    static char buffers[BUFFER_COUNT][BUFFER_BYTES];
    static unsigned turn;
    *size = BUFFER_BYTES;
    return buffers[turn++ % BUFFER_COUNT];
}

/* Three digits that count, in the largest unit that leaves at least 1. */
static const char *scaled_text(double value, const char *const *units, const double *steps, size_t count)
{
    size_t size, unit = 0;
    char *const text = next_buffer(&size);
    while (unit + 1 < count && value >= steps[unit] * 0.9995) value /= steps[unit++];
    const bool is_whole = unit == 0 || value >= 99.95;
    snprintf(text, size, is_whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

const char *bytes_text(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    static const double steps[] = {1024, 1024, 1024, 1024};
    return scaled_text((double)bytes, units, steps, 5);
}

const char *duration_text(uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s", "min", "h"};
    static const double steps[] = {1000, 1000, 1000, 60, 60};
    return scaled_text((double)ns, units, steps, 6);
}

const char *count_text(uint64_t count)
{
    size_t size;
    char digits[24];
    char *const text = next_buffer(&size);
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *at = text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *at++ = ',';
        *at++ = digits[i];
    }
    *at = 0;
    return text;
}

static size_t columns_of(const char *text, size_t length)
{
    size_t columns = 0;
    for (size_t i = 0; i < length; i++) columns += ((unsigned char)text[i] & 0xc0) != 0x80; /* not the second byte of a letter */
    return columns;
}

void print_words(const char *first, const char *next, const char *text)
{
    size_t column = columns_of(first, strlen(first));
    fputs(first, stdout);
    for (bool is_first = true; *text != 0; is_first = false) {
        const size_t length = strcspn(text, " ");
        const size_t columns = columns_of(text, length);
        if (!is_first && column + 1 + columns > LINE_COLUMNS) {
            printf("\n%s", next);
            column = columns_of(next, strlen(next));
        } else if (!is_first) {
            putchar(' ');
            column++;
        }
        fwrite(text, 1, length, stdout);
        column += columns;
        text += length;
        if (*text == ' ') text++;
    }
    putchar('\n');
}

const char *counted_text(uint64_t count, const char *one, const char *many)
{
    size_t size;
    char *const number = must_copy(count_text(count)); /* the other buffer is one of the same array */
    char *const text = next_buffer(&size);
    snprintf(text, size, "%s %s", number, count == 1 ? one : many);
    free(number);
    return text;
}

static void *checked(void *memory, size_t size)
{
    if (memory == NULL && size > 0) {
        fprintf(stderr, "acre: out of memory (%zu bytes)\n", size);
        exit(EXIT_TOOL);
    }
    return memory;
}

void *must_alloc(size_t size) { return checked(malloc(size), size); }
void *must_calloc(size_t count, size_t size) { return checked(calloc(count, size), count); }
void *must_realloc(void *old, size_t size) { return checked(realloc(old, size), size); }
char *must_copy(const char *text) { return checked(strdup(text), 1); }

char *must_copy_part(const char *text, size_t length)
{
    char *const copy = must_calloc(1, length + 1); /* ends in a 0 */
    memcpy(copy, text, length);
    return copy;
}

char *must_print(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    va_end(arguments);
    return checked(text, 1);
}

void *grow_array(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return array;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    return must_realloc(array, *capacity * size);
}

/* Makes the file and removes it again. */
static bool can_create(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return errno == EEXIST; /* a link to a file that is still to be made */
    close(fd);
    return unlink(path) == 0;
}

static bool can_change(const char *path, mode_t mode)
{
    if (!S_ISREG(mode) && !S_ISDIR(mode)) return access(path, W_OK) == 0; /* opening a pipe would wait for its reader */
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static bool is_standard_output(const char *path) { return strcmp(path, "-") == 0; }

bool can_write(const char *command_name, const char *path)
{
    struct stat facts;
    if (is_standard_output(path)) return true;
    if (stat(path, &facts) == 0 ? can_change(path, facts.st_mode) : can_create(path)) return true;
    complain(command_name, "'%s' can't be written: %s", path, strerror(errno));
    return false;
}

int open_output_fd(const char *path)
{
    if (!is_standard_output(path)) return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    fflush(stdout);
    return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
}

FILE *open_output(const char *path)
{
    const int fd = open_output_fd(path);
    return fd < 0 ? NULL : fdopen(fd, "w");
}

/* Beside the tool in the build tree, or below the prefix where it is installed. */
char *find_own_file(const char *name)
{
    static const char *const places[] = {".",
                                         "../../bindings/preload",
                                         "../../bindings/sqlite",
                                         "../../bindings/um",
                                         ("../" ACRE_LIBRARY_FOLDER "/acre"),
                                         ("../" ACRE_LIBRARY_FOLDER),
                                         "../lib"};
    char folder[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (length <= 0) return NULL;
    folder[length] = 0;
    *strrchr(folder, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char *const path = must_print("%s/%s/%s", folder, places[i], name);
        char *const real = access(path, R_OK) == 0 ? realpath(path, NULL) : NULL;
        free(path);
        if (real != NULL) return real;
    }
    return NULL;
}

char *find_malloc_library(const char *command_name, const char *chosen)
{
    if (chosen == NULL) {
        char *const found = find_own_file("libacre-malloc.so");
        if (found == NULL) complain(command_name, "libacre-malloc.so is not found beside this tool; name it with --library");
        return found;
    }
    char *const path = realpath(chosen, NULL);
    if (path == NULL) complain(command_name, "--library '%s': %s", chosen, strerror(errno));
    return path;
}

char *find_bench_programs(void)
{
    char tool[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", tool, sizeof tool - 1);
    if (length <= 0) return NULL;
    tool[length] = 0;
    *strrchr(tool, '/') = 0;
    char *const folder = must_print("%s/../../bench/heap", tool);
    char *const load = must_print("%s/workload", folder);
    const bool is_there = access(load, X_OK) == 0;
    free(load);
    if (is_there) return folder;
    free(folder);
    return NULL;
}
