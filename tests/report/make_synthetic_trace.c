/* make_synthetic_trace.c - writes the synthetic trace to the file that is named. */
#include "synthetic_trace.h"

#include <stdio.h>

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) {
        fprintf(stderr, "usage: make-synthetic-trace FILE\n");
        return 2;
    }
    write_synthetic_trace(arguments[1]);
    return 0;
}
