/* planted_leak.c - a program whose memory is known: remember_session leaks one block in three, load_index allocates most.
 *
 * usage: planted-leak [exit N | kill N | wait | cat | fork | start]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSION_COUNT = 3000, SESSION_BYTES = 200, INDEX_COUNT = 20000, INDEX_BYTES = 64 };

static void *volatile sink;

__attribute__((noinline)) static void *remember_session(void) { return malloc(SESSION_BYTES); }

__attribute__((noinline)) static void **load_index(void)
{
    void **const index = malloc(INDEX_COUNT * sizeof *index);
    for (int i = 0; i < INDEX_COUNT; i++) index[i] = malloc(INDEX_BYTES);
    return index;
}

__attribute__((noinline)) static void serve(void)
{
    for (int i = 0; i < SESSION_COUNT; i++) {
        sink = remember_session();
        if (i % 3 != 0) free(sink);
        if (i % 100 == 0) usleep(500);
    }
}

static void on_signal(int number) { _exit(number == SIGTERM ? 43 : 44); }

int main(int argument_count, char **arguments)
{
    const char *const what = argument_count > 1 ? arguments[1] : "";
    const int number = argument_count > 2 ? (int)strtol(arguments[2], NULL, 10) : 0;
    if (strcmp(what, "start") == 0) {
        const pid_t child = fork();
        if (child == 0) execl(arguments[0], arguments[0], (char *)NULL);
        (void)waitpid(child, NULL, 0);
        return 0;
    }
    void **const index = load_index();
    serve();
    for (int i = 0; i < INDEX_COUNT; i++) free(index[i]);
    free(index);
    if (strcmp(what, "exit") == 0) return number;
    if (strcmp(what, "kill") == 0) (void)raise(number);
    if (strcmp(what, "wait") == 0) {
        (void)signal(SIGTERM, on_signal);
        puts("waiting");
        fflush(stdout);
        for (;;) pause();
    }
    if (strcmp(what, "cat") == 0)
        for (int c; (c = getchar()) != EOF;) putchar(c);
    if (strcmp(what, "fork") == 0) {
        const pid_t child = fork();
        if (child == 0) {
            sink = remember_session();
            _exit(0);
        }
        (void)waitpid(child, NULL, 0);
    }
    return 0;
}
