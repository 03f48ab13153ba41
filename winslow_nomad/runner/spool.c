/* The spool: the exact log on the local disk, written by MAIN and read by the carrier.
 *
 * Files are made under a name with the token and take their plain names only after the claim is won, so that a second
 * runner of the same allocation cannot harm the spool of the first. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MERGE_US 10000 /* adjacent reads of one stream within this time share an index record */

static void early_name(char *name, size_t room, int stream, const char *token) {
    snprintf(name, room, ".%s-%s", stream_name[stream], token);
}

static bool make_directories(const char *path) {
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST) {
            int error = errno;
            struct stat about;
            if (stat(part, &about) == 0 && S_ISDIR(about.st_mode))
                continue; /* a read-only root says EROFS for a directory that is there */
            errno = error;
            return false;
        }
    }
    return true;
}

bool spool_make(struct spool *spool, struct board *board, const struct options *options) {
    *spool = (struct spool){.dir = -1, .fd = {-1, -1, -1}};
    if (!make_directories(options->spool))
        return false;
    spool->dir = open(options->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->dir < 0)
        return false;
    for (int stream = 0; stream < STREAMS; stream++) {
        char name[64];
        early_name(name, sizeof name, stream, board->token);
        spool->fd[stream] = openat(spool->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (spool->fd[stream] < 0) {
            int error = errno;
            spool_discard(spool, board, options);
            errno = error;
            return false;
        }
    }
    return true;
}

void spool_publish(const struct spool *spool, const char *token) {
    for (int stream = 0; stream < STREAMS; stream++) {
        char name[64];
        early_name(name, sizeof name, stream, token);
        if (renameat(spool->dir, name, spool->dir, stream_name[stream]) < 0 && errno != ENOENT)
            say("the spool file %s keeps its first name: %s", name, strerror(errno));
    }
}

/* Only our own files go: one under the plain name may be another runner's. */
void spool_discard(const struct spool *spool, struct board *board, const struct options *options) {
    for (int stream = 0; stream < STREAMS; stream++) {
        char name[64];
        early_name(name, sizeof name, stream, board->token);
        unlinkat(spool->dir, name, 0);
        struct stat ours, there;
        if (spool->fd[stream] >= 0 && fstat(spool->fd[stream], &ours) == 0 &&
            fstatat(spool->dir, stream_name[stream], &there, AT_SYMLINK_NOFOLLOW) == 0 && ours.st_ino == there.st_ino &&
            ours.st_dev == there.st_dev)
            unlinkat(spool->dir, stream_name[stream], 0);
    }
    if (atomic_load(&board->outcome) != OUTCOME_NONE)
        rmdir(options->spool);
}

bool spool_append(const struct spool *spool, struct board *board, int stream, const char *data, size_t len) {
    uint64_t at = atomic_load(&board->written[stream]);
    if (!pwrite_all(spool->fd[stream], data, len, at))
        return false;
    atomic_store(&board->written[stream], at + len);
    return true;
}

/* Moves what is in a pipe into the spool within the kernel, so that at any moment a byte is either in the pipe or in the
 * file: a runner killed between the two could not tell the carrier what it had in its hands. Returns the bytes moved, 0 at
 * the end of the pipe, -1 with errno. */
ssize_t spool_splice(const struct spool *spool, struct board *board, int stream, int pipe, size_t most) {
    uint64_t written = atomic_load(&board->written[stream]);
    off_t at = (off_t)written;
    ssize_t moved = splice(pipe, NULL, spool->fd[stream], &at, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved > 0)
        atomic_store(&board->written[stream], written + (uint64_t)moved);
    return moved;
}

static uint64_t not_indexed(struct board *board, int stream) {
    return atomic_load(&board->written[stream]) - atomic_load(&board->indexed[stream]);
}

bool spool_index_pending(struct board *board) {
    return not_indexed(board, OUT) || not_indexed(board, ERR);
}

bool spool_index_flush(const struct spool *spool, struct board *board) {
    int stream = board->pending.stream;
    uint64_t written = atomic_load(&board->written[stream]), length = written - atomic_load(&board->indexed[stream]);
    while (length > 0) { /* both architectures are little-endian, as the format is */
        uint32_t part = length < UINT32_MAX ? (uint32_t)length : UINT32_MAX;
        struct index_record record = {board->pending.time_us, part, (uint32_t)stream + 1};
        if (!spool_append(spool, board, INDEX, (const char *)&record, sizeof record))
            return false;
        atomic_fetch_add(&board->indexed[stream], part);
        length -= part;
    }
    return true;
}

/* Says that bytes of `stream`, read at `time_us`, are about to be appended. */
bool spool_index(const struct spool *spool, struct board *board, int stream, int64_t time_us) {
    uint64_t now = (uint64_t)time_us, since = board->pending.time_us;
    if (spool_index_pending(board)) {
        if (board->pending.stream == stream && now >= since && now - since < MERGE_US)
            return true;
        if (!spool_index_flush(spool, board))
            return false;
    }
    board->pending.time_us = now;
    board->pending.stream = stream;
    return true;
}
