/* um_run.h - `acre um run`. */
#ifndef ACRE_TOOL_UM_RUN_H
#define ACRE_TOOL_UM_RUN_H

/* arguments[0] is "run". The exit code. */
int um_run(int argument_count, char **arguments);

#endif
