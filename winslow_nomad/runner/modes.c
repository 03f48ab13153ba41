/* For images that run as another user: opens what the stage left to everyone, so that Winslow can copy and delete it. */
#define _GNU_SOURCE
#include "runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEEPEST 4000

static void open_tree(int parent, const char *name, unsigned depth, uid_t self, unsigned *failed) {
    struct stat about;
    if (fstatat(parent, name, &about, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK(about.st_mode))
        return;
    mode_t mode = (about.st_mode & 07777) | 0666;
    if (S_ISDIR(about.st_mode) || (about.st_mode & 0111))
        mode |= 0111;
    bool ours = self == 0 || about.st_uid == self;
    if (ours && mode != (about.st_mode & 07777) && fchmodat(parent, name, mode, 0) < 0)
        (*failed)++;
    if (!S_ISDIR(about.st_mode))
        return;
    if (depth >= DEEPEST) {
        (*failed)++;
        return;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        (*failed)++;
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            open_tree(dirfd(dir), entry->d_name, depth + 1, self, failed);
    closedir(dir);
}

void open_modes(int dir) {
    static const char *const trees[] = {"workspace", "output", "log"};
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++)
        open_tree(dir, trees[i], 0, geteuid(), &failed);
    if (failed)
        say("%u files or folders could not be opened to others", failed);
}
