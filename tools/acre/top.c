/* top.c - `acre top PID`: the heaps of a running process on the terminal, each second anew, until q is pressed or it ends.
 *
 * Nine escape sequences that every terminal since the VT100 has are all that is drawn with, so no terminal library is needed. Where
 * there is no such terminal (TERM=dumb, a pipe, a file) a line is printed each second instead.
 *
 * The terminal is put back however the command ends; signals are let in only while it waits.
 */
#include "command.h"
#include "live.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "Usage: acre top [OPTIONS] PID\n"
    "\n"
    "The heaps of a running process, each second anew. Keys: q ends, s sorts by size of block, l by live bytes,\n"
    "f by free bytes, c by change. Without a terminal that can do it (TERM=dumb, a pipe) a line is printed each second.\n"
    "\n"
    "  --every SECONDS  how often it is read (1)\n"
    "  --count N        end after N readings\n"
    "  -h, --help       print this\n";

typedef struct class_row {
    live_class now; /* of all heaps */
    double change;  /* of live bytes, in a second */
} class_row;

typedef struct view {
    live_process *process;
    char order; /* the key that chose it */
    live_figures before, now;
    class_row rows[ACRE_CLASS_COUNT];
    size_t row_count;
} view;

/* ---- figures ---- */

static void add_up(const live_figures *figures, live_class *classes)
{
    for (size_t i = 0; i < figures->heap_count; i++) {
        for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class ++) {
            const live_class *const one = &figures->heaps[i].classes[class];
            live_class *const sum = &classes[class - ACRE_CLASS_FIRST];
            sum->block_bytes = one->block_bytes != 0 ? one->block_bytes : sum->block_bytes;
            sum->live_count += one->live_count;
            sum->ready_count += one->ready_count;
            sum->free_count += one->free_count;
            sum->span_count += one->span_count;
        }
    }
}

static double sort_value(const class_row *row, char order)
{
    switch (order) {
    case 's':
        return -(double)row->now.block_bytes;
    case 'f':
        return (double)((row->now.free_count + row->now.ready_count) * row->now.block_bytes);
    case 'c':
        return fabs(row->change);
    default:
        return (double)(row->now.live_count * row->now.block_bytes);
    }
}

static void make_rows(view *shown)
{
    live_class now[ACRE_CLASS_COUNT] = {{0}}, before[ACRE_CLASS_COUNT] = {{0}};
    const double seconds = (double)(shown->now.time_ns - shown->before.time_ns) * 1e-9;
    add_up(&shown->now, now);
    add_up(&shown->before, before);
    shown->row_count = 0;
    for (size_t i = 0; i < ACRE_CLASS_COUNT; i++) {
        if (now[i].span_count == 0) continue;
        const double more = (double)now[i].live_count - (double)before[i].live_count;
        const bool is_comparable = shown->before.heaps != NULL && seconds > 0;
        class_row row = {.now = now[i], .change = is_comparable ? more * (double)now[i].block_bytes / seconds : 0};
        /* Into its place: there are 59 at most. */
        size_t at = shown->row_count++;
        for (; at > 0 && sort_value(&shown->rows[at - 1], shown->order) < sort_value(&row, shown->order); at--)
            shown->rows[at] = shown->rows[at - 1];
        shown->rows[at] = row;
    }
}

/* Reads anew; the last reading becomes the one before. False after a message: the process has ended. */
static bool read_again(view *shown)
{
    live_figures next;
    if (live_read(shown->process, &next) != ACRE_OK) return false;
    live_free(&shown->before);
    shown->before = shown->now;
    shown->now = next;
    make_rows(shown);
    return true;
}

/* ---- as text ---- */

static const char *signed_text(double bytes)
{
    static char texts[4][48];
    static unsigned turn;
    char *const text = texts[turn++ % 4];
    snprintf(text, sizeof texts[0], "%c%s/s", bytes < 0 ? '-' : '+', bytes_text((uint64_t)fabs(bytes)));
    return text;
}

static void print_line(const view *shown)
{
    char clock[16];
    const time_t now = time(NULL);
    struct tm local;
    (void)strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
    for (size_t i = 0; i < shown->now.heap_count; i++) {
        const live_heap *const heap = &shown->now.heaps[i];
        const live_rates rates = live_rates_of(&shown->before, &shown->now, heap);
        printf("%s  heap '%s': live %s (%s), ready %s, dirty %s, committed %s, purged %s (%s), %" PRIu64 " thread%s", clock, heap->name,
               bytes_text(heap->live_bytes), signed_text(rates.live_bytes), bytes_text(heap->ready_bytes), bytes_text(heap->dirty_bytes),
               bytes_text(heap->committed_bytes), bytes_text(heap->purged_bytes_total), signed_text(rates.purged_bytes), heap->thread_count,
               heap->thread_count == 1 ? "" : "s");
        if (shown->row_count > 0)
            printf(", first block size %" PRIu64 ": %s live\n", shown->rows[0].now.block_bytes, count_text(shown->rows[0].now.live_count));
        else
            putchar('\n');
    }
    if (shown->now.heap_count == 0) printf("%s  no heap yet\n", clock);
    fflush(stdout);
}

/* ---- on the terminal ---- */

#define ENTER       "\033[?1049h\033[?25l" /* the other screen, without a cursor */
#define LEAVE       "\033[?25h\033[?1049l"
#define HOME        "\033[H"
#define CLEAR_LINE  "\033[K"
#define CLEAR_BELOW "\033[J"
#define BOLD        "\033[1m"
#define REVERSE     "\033[7m"
#define PLAIN       "\033[0m"

static struct termios terminal_before;
static bool is_terminal_ours;

static void leave_terminal(void)
{
    if (!is_terminal_ours) return;
    is_terminal_ours = false;
    fputs(LEAVE, stdout);
    fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before);
}

static void enter_terminal(void)
{
    struct termios keys = terminal_before;
    keys.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    keys.c_cc[VMIN] = 0;
    keys.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
    fputs(ENTER, stdout);
    is_terminal_ours = true;
}

/* One line of the screen; there are `*left` more. */
static void put_line(int *left, const char *style, const char *format, ...) ACRE_PRINTF(3, 4);
static void put_line(int *left, const char *style, const char *format, ...)
{
    if (--*left < 0) return;
    va_list arguments;
    va_start(arguments, format);
    fputs(style, stdout);
    vprintf(format, arguments);
    va_end(arguments);
    fputs(*left > 0 ? PLAIN CLEAR_LINE "\n" : PLAIN CLEAR_LINE, stdout);
}

static void draw(const view *shown)
{
    struct winsize size = {.ws_row = 0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) size.ws_row = 24;
    int left = size.ws_row;
    fputs(HOME "\033[?7l", stdout); /* what is too long for a line is cut */
    put_line(&left, BOLD, "acre top: process %" PRIu64 " (%s), %s resident      q: end   sort by s: size  l: live  f: free  c: change",
             live_id(shown->process), live_name(shown->process), bytes_text(shown->now.resident_bytes));
    for (size_t i = 0; i < shown->now.heap_count; i++) {
        const live_heap *const heap = &shown->now.heaps[i];
        const live_rates rates = live_rates_of(&shown->before, &shown->now, heap);
        put_line(&left, "", "heap '%s', %" PRIu64 " thread%s: live %s (%s), of it large %s in %s, ready %s, used %s", heap->name,
                 heap->thread_count, heap->thread_count == 1 ? "" : "s", bytes_text(heap->live_bytes), signed_text(rates.live_bytes),
                 bytes_text(heap->large_bytes), count_text(heap->large_count), bytes_text(heap->ready_bytes), bytes_text(heap->used_bytes));
        put_line(&left, "", "  committed %s (%s), dirty %s, purged %s (%s), metadata %s, %.0f runs/s", bytes_text(heap->committed_bytes),
                 signed_text(rates.committed_bytes), bytes_text(heap->dirty_bytes), bytes_text(heap->purged_bytes_total),
                 signed_text(rates.purged_bytes), bytes_text(heap->metadata_bytes), rates.run_count);
    }
    put_line(&left, "", "%s", "");
    put_line(&left, REVERSE, "%8s %14s %12s %14s %10s %10s %8s", "BLOCK", "LIVE BLOCKS", "LIVE BYTES", "CHANGE", "READY", "FREE", "SPANS");
    for (size_t i = 0; i < shown->row_count; i++) {
        const live_class *const one = &shown->rows[i].now;
        put_line(&left, "", "%8" PRIu64 " %14s %12s %14s %10s %10s %8s", one->block_bytes, count_text(one->live_count),
                 bytes_text(one->live_count * one->block_bytes), signed_text(shown->rows[i].change), count_text(one->ready_count),
                 count_text(one->free_count), count_text(one->span_count));
    }
    fputs(CLEAR_BELOW, stdout);
    fflush(stdout);
}

/* ---- waiting ---- */

static volatile sig_atomic_t caught;

static void catch (int signal_number)
{
    if (signal_number != SIGWINCH && signal_number != SIGCONT) caught = signal_number;
}

static const int ending_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

/* Signals are let in by `waiting_mask` only. */
static void catch_signals(sigset_t *waiting_mask)
{
    sigset_t blocked;
    const struct sigaction action = {.sa_handler = catch};
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof ending_signals / sizeof ending_signals[0]; i++) {
        struct sigaction old;
        if (sigaction(ending_signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue; /* nohup */
        sigaddset(&blocked, ending_signals[i]);
        (void)sigaction(ending_signals[i], &action, NULL);
    }
    sigaddset(&blocked, SIGWINCH);
    sigaddset(&blocked, SIGCONT);
    (void)sigaction(SIGWINCH, &action, NULL);
    (void)sigaction(SIGCONT, &action, NULL);
    (void)sigprocmask(SIG_BLOCK, &blocked, waiting_mask);
}

/* Ends, or stops, as the signal would have. Returns after a stop that has been continued. */
static void obey(int signal_number, bool is_screen)
{
    sigset_t one, old;
    leave_terminal();
    (void)signal(signal_number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, signal_number);
    (void)raise(signal_number);
    (void)sigprocmask(SIG_UNBLOCK, &one, &old);
    /* Only SIGTSTP comes back. */
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    (void)sigaction(signal_number, &(struct sigaction){.sa_handler = catch}, NULL);
    caught = 0;
    if (is_screen) enter_terminal();
}

typedef enum wake { WAKE_TIME, WAKE_DRAW, WAKE_QUIT } wake;

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Until `due`, a key, or a change of the window. */
static wake wait_until(view *shown, double due, bool is_screen, const sigset_t *waiting_mask)
{
    for (;;) {
        const double left = due - now_seconds();
        if (left <= 0) return WAKE_TIME;
        const struct timespec pause = {.tv_sec = (time_t)left, .tv_nsec = (long)((left - floor(left)) * 1e9)};
        struct pollfd keyboard = {.fd = STDIN_FILENO, .events = POLLIN};
        const int ready = ppoll(&keyboard, is_screen ? 1 : 0, &pause, waiting_mask);
        if (ready < 0 && errno == EINTR) {
            if (caught != 0) obey(caught, is_screen);
            if (is_screen) return WAKE_DRAW;
        }
        char key = 0;
        if (ready <= 0) continue;
        if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') return WAKE_QUIT; /* the terminal is gone, or q */
        if (key == 's' || key == 'l' || key == 'f' || key == 'c') {
            shown->order = key;
            make_rows(shown);
            return WAKE_DRAW;
        }
    }
}

static int watch(view *shown, double every_seconds, uint64_t count, bool is_screen)
{
    sigset_t waiting_mask;
    catch_signals(&waiting_mask);
    if (is_screen) {
        (void)atexit(leave_terminal);
        enter_terminal();
    }
    double due = now_seconds();
    for (uint64_t round = 0; round < count; round++) {
        if (!read_again(shown)) {
            leave_terminal();
            printf("%s\n", acre_last_error());
            return EXIT_SUCCESS;
        }
        due += every_seconds;
        if (!is_screen) print_line(shown);
        if (round + 1 == count) break;
        wake why = WAKE_DRAW;
        while (why == WAKE_DRAW) {
            if (is_screen) draw(shown);
            why = wait_until(shown, due, is_screen, &waiting_mask);
        }
        if (why == WAKE_QUIT) break;
        if (now_seconds() > due + every_seconds) due = now_seconds(); /* it was stopped */
    }
    leave_terminal();
    return EXIT_SUCCESS;
}

int command_top(int argument_count, char **arguments)
{
    static const struct option options[] = {{"every", required_argument, NULL, 'e'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    view shown = {.order = 'l'};
    double every_seconds = 1;
    uint64_t pid = 0, count = UINT64_MAX;
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argument_count, arguments, ":h", options, NULL)) != -1;) {
        switch (option) {
        case 'e':
            if (!parse_seconds(optarg, 0.01, &every_seconds))
                return complain_usage("top", "--every '%s' is no number of seconds from 0.01", optarg);
            break;
        case 'n':
            if (!parse_number(optarg, 1, UINT64_MAX, &count)) return complain_usage("top", "--count '%s' is no number above 0", optarg);
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case ':':
            return complain_usage("top", "option '%s' needs a value", arguments[optind - 1]);
        default:
            return complain_usage("top", "unknown option '%s'", arguments[optind - 1]);
        }
    }
    if (argument_count - optind != 1) return complain_usage("top", "which process? Its number is needed");
    if (!parse_number(arguments[optind], 1, INT32_MAX, &pid))
        return complain_usage("top", "'%s' is no number of a process", arguments[optind]);
    if (live_open(&shown.process, pid) != ACRE_OK) {
        complain("top", "%s", acre_last_error());
        return EXIT_FAILED;
    }
    const char *const terminal = getenv("TERM");
    const bool is_screen = terminal != NULL && strcmp(terminal, "dumb") != 0 && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) &&
                           tcgetattr(STDIN_FILENO, &terminal_before) == 0;
    const int result = watch(&shown, every_seconds, count, is_screen);
    live_free(&shown.before);
    live_free(&shown.now);
    live_close(shown.process);
    return result;
}
