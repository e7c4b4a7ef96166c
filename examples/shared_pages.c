/* Two processes read the same file; the second one finds in memory what the first has read. */
#include <acre/shared_pages.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE_COUNT = 100, PAGE_BYTES = 4096 };

/* Reads all pages; returns how many had to come from the file. */
static int read_all(const char *name, acre_shared_pages **pages)
{
    const acre_shared_pages_options options = {.name = name, .bytes = 1 << 20};
    const uint64_t identity[2] = {1, 2}; /* of a file: its device and inode */
    uint32_t set;
    int missing = 0;
    if (acre_shared_pages_open(&options, pages) != ACRE_OK || acre_shared_pages_join(*pages, identity, &set) != ACRE_OK) {
        fprintf(stderr, "%s\n", acre_last_error());
        return -1;
    }
    for (uint32_t number = 0; number < PAGE_COUNT; number++) {
        unsigned char page[PAGE_BYTES];
        if (acre_shared_pages_read(*pages, set, number, 0, page, sizeof page, NULL)) continue;
        const acre_shared_ticket ticket = acre_shared_pages_begin(*pages, set);
        memset(page, (int)number, sizeof page); /* here the file would be read */
        (void)acre_shared_pages_put(*pages, set, number, page, &ticket, false);
        missing++;
    }
    return missing;
}

int main(void)
{
    char name[40];
    (void)snprintf(name, sizeof name, "example-%d", (int)getpid());
    acre_shared_pages *pages = NULL, *of_child = NULL;
    const int first = read_all(name, &pages);
    const pid_t child = fork();
    if (child == 0) _exit(read_all(name, &of_child) == 0 && acre_shared_pages_close(of_child) == ACRE_OK ? 0 : 1);
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || first != PAGE_COUNT) return 1;
    if (acre_shared_pages_close(pages) != ACRE_OK) return 1;
    printf("the first process read %d pages, the second none\n", first);
    return 0;
}
