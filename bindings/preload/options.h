/* options.h - what the environment says about the heap behind malloc. */
#ifndef ACRE_PRELOAD_OPTIONS_H
#define ACRE_PRELOAD_OPTIONS_H

/* Follows the ACRE_... variables but those of recording. What is wrong in one is said on standard error, and the default holds. */
void acre_follow_options(void);

#endif
