/* malloc_check.c - whether a file is a malloc replacement, before anything runs on it.
 *
 * The dynamic linker leaves out what it cannot preload, with a line on standard error, and the program runs on as if nothing had been
 * asked for. So this tool starts itself once with the file preloaded, and asks there whose malloc it has. Nothing less tells: a file may be
 * a library that loads and defines no malloc, and opened by dlopen many a malloc fails for lack of room for its thread-local variables.
 */
#include "command.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_BYTES = 1024 };

int answer_malloc_check(const char *path)
{
    struct stat asked, found;
    Dl_info owner;
    void *const function = dlsym(RTLD_DEFAULT, "malloc");
    if (function == NULL || dladdr(function, &owner) == 0) return EXIT_FAILED;
    if (stat(owner.dli_fname, &found) != 0 || stat(path, &asked) != 0) return EXIT_FAILED;
    return asked.st_dev == found.st_dev && asked.st_ino == found.st_ino ? EXIT_SUCCESS : EXIT_FAILED;
}

/* Both streams of the child go to `answer`. Returns its wait status, -1 when there was none. */
static int ask(const char *path, char answer[ANSWER_BYTES])
{
    int ends[2];
    size_t length = 0;
    answer[0] = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    const pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)setenv("LD_PRELOAD", path, 1);
        (void)execl("/proc/self/exe", "acre", MALLOC_CHECK_OPTION, path, (char *)NULL);
        _exit(EXIT_NOT_FOUND);
    }
    close(ends[1]);
    for (ssize_t got = 1; child > 0 && got > 0 && length + 1 < ANSWER_BYTES; length += (size_t)(got > 0 ? got : 0))
        got = read(ends[0], answer + length, ANSWER_BYTES - 1 - length);
    close(ends[0]);
    answer[length] = 0;
    int status = -1;
    if (child > 0 && waitpid(child, &status, 0) != child) status = -1;
    return status;
}

/* The reason in a line of the dynamic linker: what stands in its last parentheses, or the line without its head. */
static const char *reason_in(char *line)
{
    char *const from = strstr(line, "preloaded (");
    char *const to = from != NULL ? strstr(from, "): ignored") : NULL;
    line[strcspn(line, "\n")] = 0;
    if (to == NULL) return line;
    *to = 0;
    return from + strlen("preloaded (");
}

bool is_malloc_library(const char *command_name, const char *option, const char *path)
{
    char answer[ANSWER_BYTES];
    char *const real = realpath(path, NULL);
    if (real == NULL) {
        (void)complain_usage(command_name, "%s '%s': %s", option, path, strerror(errno));
        return false;
    }
    const int status = ask(real, answer);
    free(real);
    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS && answer[0] == 0) return true;
    if (status != -1 && WIFSIGNALED(status))
        (void)complain_usage(command_name, "%s '%s': a program with it preloaded is killed by signal %d", option, path, WTERMSIG(status));
    else if (answer[0] != 0) (void)complain_usage(command_name, "%s '%s' can't be preloaded: %s", option, path, reason_in(answer));
    else (void)complain_usage(command_name, "%s '%s' is no malloc replacement: it defines no malloc", option, path);
    return false;
}
