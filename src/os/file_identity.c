/* file_identity.c - by device and inode. */
#include "os/file_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool take_identity(const struct stat *facts, acre_file_identity *identity)
{
    *identity = (acre_file_identity){.device = facts->st_dev, .inode = facts->st_ino};
    return S_ISREG(facts->st_mode);
}

bool acre_file_identify(const char *path, acre_file_identity *identity)
{
    struct stat facts;
    return stat(path, &facts) == 0 && take_identity(&facts, identity);
}

int acre_file_open_identified(const char *path, acre_file_identity *identity)
{
    struct stat facts;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    if (fstat(file, &facts) == 0 && take_identity(&facts, identity)) return file;
    (void)close(file);
    return -1;
}

void acre_file_close_identified(int descriptor) { (void)close(descriptor); }
