/* What kind of a place a directory is: how long a small durable write takes, how a file is copied there, what is free.
 * For `winslow doctor --nomad`, which runs it inside of a container on each node. Prints lines `key=value`; leaves
 * nothing behind. Copies are tried, not guessed: an NFS client falls back silently. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WRITES 20
#define SIZE (16u << 20)
#define PIECE (1u << 20)
#define FICLONE_ 0x40049409 /* ioctl_ficlone(2) */

static const char *const names[] = {"probe-small", "probe-from", "probe-clone", "probe-range", "probe-through"};
enum { SMALL, FROM, CLONE, RANGE, THROUGH, FILES };
static bool made[FILES]; /* what was there before stays */

static int make(int dir, int file) {
    int fd = openat(dir, names[file], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    made[file] = made[file] || fd >= 0;
    return fd;
}

static bool small_writes(int dir) {
    char data[512];
    memset(data, 'x', sizeof data);
    int64_t began = now_us();
    for (int i = 0; i < WRITES; i++) {
        int fd = make(dir, SMALL);
        if (fd < 0)
            return false;
        bool good = write_all(fd, data, sizeof data) && fsync(fd) == 0;
        close(fd);
        if (unlinkat(dir, names[SMALL], 0) < 0 || !good)
            return false;
    }
    printf("write_us=%lld\n", (long long)(now_us() - began) / WRITES);
    return true;
}

/* Bytes that no file system leaves out or makes smaller. */
static bool fill(int fd, char *buffer) {
    uint64_t state = (uint64_t)now_us() | 1;
    for (uint32_t done = 0; done < SIZE; done += PIECE) {
        for (uint32_t i = 0; i < PIECE; i += sizeof state) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            memcpy(buffer + i, &state, sizeof state);
        }
        if (!write_all(fd, buffer, PIECE))
            return false;
    }
    return fsync(fd) == 0;
}

static bool clone_file(int from, int to, char *buffer) {
    (void)buffer;
    return ioctl(to, FICLONE_, from) == 0;
}

static bool copy_range(int from, int to, char *buffer) {
    (void)buffer;
    int64_t in = 0, out = 0;
    while (out < SIZE) {
        long got = syscall(SYS_copy_file_range, from, &in, to, &out, (size_t)(SIZE - out), 0u);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got < 0 ? errno : EIO;
            return false;
        }
    }
    return true;
}

static bool copy_through(int from, int to, char *buffer) {
    for (off_t at = 0; at < SIZE;) {
        ssize_t got = pread(from, buffer, PIECE, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || !pwrite_all(to, buffer, (size_t)got, (uint64_t)at)) {
            errno = got ? errno : EIO;
            return false;
        }
        at += got;
    }
    return true;
}

/* Microseconds until the copy is on disk, or the errno that kept it from being made. */
static void try_copy(const char *way, int dir, int file, int from, char *buffer, bool (*copy)(int, int, char *)) {
    int to = make(dir, file);
    int error = to < 0 ? errno : 0;
    int64_t began = now_us();
    if (!error) {
        posix_fadvise(from, 0, 0, POSIX_FADV_DONTNEED); /* what is read comes from the server again */
        error = copy(from, to, buffer) && fsync(to) == 0 ? 0 : errno;
        close(to);
    }
    if (error)
        printf("%s_error=%s\n", way, strerror(error));
    else
        printf("%s_us=%lld\n", way, (long long)(now_us() - began));
}

/* How often this machine has had an NFS server copy by itself; -1: nothing of NFS is mounted here. */
static long long server_copies(void) {
    FILE *file = fopen("/proc/self/mountstats", "re");
    char line[512];
    long long count, sum = -1;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, " COPY: %lld", &count) == 1 || sscanf(line, " CLONE: %lld", &count) == 1)
            sum = (sum < 0 ? 0 : sum) + count;
    if (file)
        fclose(file);
    return sum;
}

static bool copies(int dir, char *buffer) {
    int from = make(dir, FROM);
    if (from < 0)
        return false;
    bool good = fill(from, buffer);
    int error = errno;
    if (good) {
        printf("copied=%u\n", SIZE);
        try_copy("clone", dir, CLONE, from, buffer, clone_file);
        long long before = server_copies();
        try_copy("range", dir, RANGE, from, buffer, copy_range);
        if (before >= 0)
            printf("by_server=%lld\n", server_copies() - before);
        try_copy("through", dir, THROUGH, from, buffer, copy_through);
    }
    close(from);
    errno = error;
    return good;
}

int probe(const char *path) {
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *buffer = malloc(PIECE);
    struct statvfs space;
    bool good = dir >= 0 && buffer && small_writes(dir) && copies(dir, buffer) && fstatvfs(dir, &space) == 0;
    int error = errno;
    for (int file = 0; file < FILES; file++)
        if (made[file])
            unlinkat(dir, names[file], 0);
    free(buffer);
    if (!good) {
        say("%s: %s", path, strerror(error));
        return EXIT_OWN_FAILURE;
    }
    printf("free=%llu\ntotal=%llu\n", (unsigned long long)space.f_bavail * space.f_frsize,
           (unsigned long long)space.f_blocks * space.f_frsize);
    return fflush(stdout) == 0 ? 0 : EXIT_OWN_FAILURE;
}
