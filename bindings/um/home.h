/* home.h - where the pages of a program wait that have no room beside it: a file without a name, or memory in which they are compressed. */
#ifndef ACRE_UM_HOME_H
#define ACRE_UM_HOME_H

#include <acre/um.h>

/* In a folder; on the disk while something is there, and gone with the process. ACRE_IO: no file can be made there. */
acre_status um_home_open_file(const char *folder, uint64_t bytes_max, acre_um_contents *home);

/* In memory, each page by LZ4; one that does not get shorter by a sixteenth as it is, one of zeros not at all. */
acre_status um_home_open_compressed(uint64_t bytes_max, acre_um_contents *home);

typedef struct um_home_figures {
    uint64_t page_count, page_count_max; /* that wait here */
    uint64_t zero_count;                 /* of these, zeros */
    uint64_t bytes, bytes_max;           /* that they take */
} um_home_figures;

void um_home_read_figures(um_home_figures *figures);

#endif
