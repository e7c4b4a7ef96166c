/* program.h - what the two parts of acre-tour-sqlite share. */
#ifndef ACRE_TOUR_SQLITE_PROGRAM_H
#define ACRE_TOUR_SQLITE_PROGRAM_H

#include <acre/status.h>

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

int share_command(char **words);
int share_by_processes_command(char **words);
int queries_command(char **words);

/* These end the program with a message when something goes wrong. */
void must(acre_status status);
void check(sqlite3 *db, int status);
void run(sqlite3 *db, const char *sql);
sqlite3 *open_through(const char *path, const char *vfs);
void *must_have(void *memory);
const char *read_text(const char *path); /* valid until the next call */
double cpu_seconds(void);

/* FNV-1a, which tells two answers apart. */
#define FNV_BEGIN UINT64_C(0xCBF29CE484222325)
static inline uint64_t fnv_add(uint64_t hash, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001B3);
    return hash;
}

#endif
