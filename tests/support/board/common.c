/* common.c - what is the same on every board: numbers as text, and what an assertion calls. */
#include "board.h"

void board_write_number(uint64_t number)
{
    char text[21];
    char *end = text + sizeof text - 1;
    *end = 0;
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    board_write(end);
}

static _Noreturn void fail(const char *file, int line, const char *condition)
{
    board_write(file);
    board_write(":");
    board_write_number((uint64_t)line);
    board_write(": assertion failed: ");
    board_write(condition);
    board_write("\n");
    board_exit(2);
}

/* The names that newlib and picolibc call. */
_Noreturn void __assert_func(const char *file, int line, const char *function, const char *condition);
_Noreturn void __assert_func(const char *file, int line, const char *function, const char *condition)
{
    (void)function;
    fail(file, line, condition);
}
