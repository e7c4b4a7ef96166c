/* measure.c - runs a command and tells what it cost: CPU seconds, and the peak resident KiB of its largest process.
 *
 *     measure COMMAND [ARGUMENTS]
 *
 * The last line of standard error is `measured SECONDS KIB STATUS`, STATUS being the exit code or 128 + signal. A small program
 * starts it because the kernel counts the memory of whoever starts a process as part of that process's peak.
 */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argument_count, char **arguments)
{
    pid_t child = 0;
    if (argument_count < 2) {
        fputs("usage: measure COMMAND [ARGUMENTS]\n", stderr);
        return 2;
    }
    const int code = posix_spawnp(&child, arguments[1], NULL, NULL, arguments + 1, environ);
    if (code != 0) {
        fprintf(stderr, "measure: '%s': %s\n", arguments[1], strerror(code));
        return 127;
    }
    int status = 0;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) != child) return 1;
    const double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    const double parts = (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    const int result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(stderr, "measured %.6f %ld %d\n", seconds + parts, usage.ru_maxrss, result);
    return 0;
}
