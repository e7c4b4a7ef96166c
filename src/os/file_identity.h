/* file_identity.h - which file is it that a path leads to. Compiled into libraries beside libacre that need it. */
#ifndef ACRE_OS_FILE_IDENTITY_H
#define ACRE_OS_FILE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct acre_file_identity {
    uint64_t device, inode;
} acre_file_identity;

/* False: there is none, or it is no regular file. */
bool acre_file_identify(const char *path, acre_file_identity *identity);

/* The same of a file that is opened for reading, and never made: -1 or its descriptor. */
int acre_file_open_identified(const char *path, acre_file_identity *identity);
void acre_file_close_identified(int descriptor);

#endif
