/* Confinement of the command by Landlock: read and execute beneath `ro:` paths, everything beneath `rw:` paths and /dev.
 *
 * Numbers are given here rather than taken from linux/landlock.h, since the header of the build machine says nothing
 * about the kernel that the attempt meets; what that kernel does not know is left out (best effort by ABI version). */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYS_CREATE_RULESET 444
#define SYS_ADD_RULE 445
#define SYS_RESTRICT_SELF 446
#define CREATE_RULESET_VERSION 1
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_ABI_1 ((1ull << 13) - 1)
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define FS_FOR_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

static bool allow(int ruleset, const char *path, uint64_t rights) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES; /* what cannot be reached is not allowed anyway */
    struct stat about;
    if (fstat(fd, &about) == 0 && !S_ISDIR(about.st_mode))
        rights &= FS_FOR_FILES;
    struct path_beneath rule = {.allowed = rights, .parent = fd};
    bool added = syscall(SYS_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return added;
}

/* False: the command must not start, and `message` says why. True with a message: it starts, but not confined. */
bool landlock_apply(const char *entries, size_t len, char *message, size_t room) {
    message[0] = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        snprintf(message, room, "cannot give up new privileges: %s", strerror(errno));
        return false;
    }
    long abi = syscall(SYS_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    if (abi < 1) {
        snprintf(message, room, "this kernel has no Landlock; the command runs without confinement");
        return true;
    }
    struct ruleset wanted = {.fs = FS_ABI_1};
    wanted.fs |= abi >= 2 ? FS_REFER : 0;
    wanted.fs |= abi >= 3 ? FS_TRUNCATE : 0;
    wanted.fs |= abi >= 5 ? FS_IOCTL_DEV : 0;
    wanted.scoped = abi >= 6 ? SCOPE_SIGNAL : 0;
    size_t size = abi >= 6 ? sizeof wanted : abi >= 4 ? 16 : 8;
    int ruleset = (int)syscall(SYS_CREATE_RULESET, &wanted, size, 0);
    if (ruleset < 0) {
        snprintf(message, room, "cannot make a Landlock ruleset: %s", strerror(errno));
        return false;
    }
    const uint64_t reading = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR;
    bool allowed = allow(ruleset, "/dev", wanted.fs);
    const char *entry = "/dev";
    for (size_t at = 0; allowed && at < len; at += strlen(entries + at) + 1) {
        entry = entries + at;
        if (!strncmp(entry, "ro:/", 4))
            allowed = allow(ruleset, entry + 3, reading);
        else if (!strncmp(entry, "rw:/", 4))
            allowed = allow(ruleset, entry + 3, wanted.fs);
        else if (entry[0]) {
            snprintf(message, room, "an entry of the confinement is neither ro:/ nor rw:/: %.100s", entry);
            close(ruleset);
            return false;
        }
    }
    if (!allowed)
        snprintf(message, room, "cannot allow %.200s by Landlock: %s", entry, strerror(errno));
    else if (syscall(SYS_RESTRICT_SELF, ruleset, 0) < 0) {
        snprintf(message, room, "cannot enter the Landlock ruleset: %s", strerror(errno));
        allowed = false;
    }
    close(ruleset);
    return allowed;
}
