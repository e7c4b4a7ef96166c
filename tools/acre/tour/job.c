/* job.c - see job.h. */
#include "job.h"
#include "command.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORD_COUNT_MAX = 8 };

tour_job tour_job_start(const char *const *words, const char *preload)
{
    tour_job started = {.child = -1, .output = -1};
    int ends[2];
    char *copies[WORD_COUNT_MAX] = {NULL};
    if (pipe2(ends, O_CLOEXEC) != 0) return started;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    setenv("LD_PRELOAD", preload, 1);
    copies[0] = must_copy(words[0]);
    for (size_t i = 1; words[i] != NULL && i + 1 < WORD_COUNT_MAX; i++) copies[i] = must_copy(words[i]);
    if (posix_spawnp(&started.child, copies[0], &actions, NULL, copies, environ) != 0) started.child = -1;
    for (size_t i = 0; i < WORD_COUNT_MAX; i++) free(copies[i]);
    unsetenv("LD_PRELOAD");
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    started.output = ends[0];
    return started;
}

int tour_job_end(tour_job *job, char *text, size_t size)
{
    char rest[1024];
    size_t length = 0;
    int status = -1;
    for (ssize_t count = 1; job->output >= 0 && count > 0;) {
        const bool is_wanted = text != NULL && length + 1 < size;
        count = is_wanted ? read(job->output, text + length, size - 1 - length) : read(job->output, rest, sizeof rest);
        if (is_wanted && count > 0) length += (size_t)count;
    }
    if (text != NULL) text[length] = 0;
    if (job->output >= 0) close(job->output);
    return job->child > 0 && waitpid(job->child, &status, 0) == job->child ? status : -1;
}
