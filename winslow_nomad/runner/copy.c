/* Carries the log from the spool to the share so that the share's copy is a true prefix at any moment.
 *
 * `durable` on the board is what fdatasync has confirmed. After an error everything behind it is written again, since a
 * failed write-back may have dropped pages. The index never tells of bytes that are not there: it is carried up to a
 * point only after the data up to a later point. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER (1u << 20)
#define ROUND (32u << 20)        /* per stream, so that control and heartbeat get their turn */
#define KEEP (64ull << 20)       /* stays in the spool behind the durable point */
#define PUNCH_STEP (4ull << 20)

void copy_start(struct copy *copy) {
    *copy = (struct copy){.fd = {-1, -1, -1}, .buffer = malloc(BUFFER)};
}

void copy_close(struct copy *copy) {
    for (int stream = 0; stream < STREAMS; stream++) {
        if (copy->fd[stream] >= 0)
            close(copy->fd[stream]);
        copy->fd[stream] = -1;
    }
}

bool copy_complete(const struct copy *copy, struct board *board) {
    for (int stream = 0; stream < STREAMS; stream++)
        if (copy->fd[stream] < 0 || atomic_load(&board->durable[stream]) != atomic_load(&board->written[stream]))
            return false;
    return true;
}

/* Continues from what is on the share: a carrier before this one may have written it. */
static int open_stream(struct copy *copy, int dir, struct board *board, int stream) {
    static const char *const path[STREAMS] = {"log/out", "log/err", "log/index"};
    if (mkdirat(dir, "log", 0755) < 0 && errno != EEXIST)
        return errno;
    int fd = openat(dir, path[stream], O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0)
        return errno;
    struct stat about;
    if (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode)) {
        int error = S_ISREG(about.st_mode) ? errno : EINVAL;
        close(fd);
        return error;
    }
    uint64_t size = (uint64_t)about.st_size, written = atomic_load(&board->written[stream]);
    if (size > written) { /* not ours: only what the process wrote may be there */
        if (ftruncate(fd, (off_t)written) < 0) {
            int error = errno;
            close(fd);
            return error;
        }
        size = written;
    }
    copy->fd[stream] = fd;
    copy->at[stream] = size;
    return 0;
}

static int copy_stream(struct copy *copy, const struct spool *spool, int stream) {
    uint64_t begin = copy->at[stream], end = copy->target[stream];
    if (end > begin + ROUND)
        end = begin + ROUND;
    while (copy->at[stream] < end) {
        uint64_t left = end - copy->at[stream];
        ssize_t got = pread(spool->fd[stream], copy->buffer, left < BUFFER ? left : BUFFER, (off_t)copy->at[stream]);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EIO;
        if (!pwrite_all(copy->fd[stream], copy->buffer, (size_t)got, copy->at[stream]))
            return errno;
        copy->at[stream] += (uint64_t)got;
    }
    return 0;
}

/* Looks at the last few kilobytes only, once per round. */
static void look_for_progress(struct copy *copy, const struct spool *spool, struct board *board, int stream) {
    char tail[4096];
    uint64_t at = copy->at[stream], from = at > sizeof tail ? at - sizeof tail : 0;
    ssize_t got = pread(spool->fd[stream], tail, (size_t)(at - from), (off_t)from);
    double progress = got > 0 ? progress_in_log(tail, (size_t)got) : -1;
    if (progress >= 0)
        board->progress = progress;
}

static int make_durable(struct copy *copy, struct board *board, int stream) {
    if (copy->at[stream] == atomic_load(&board->durable[stream]))
        return 0;
    if (fdatasync(copy->fd[stream]) < 0)
        return errno;
    atomic_store(&board->durable[stream], copy->at[stream]);
    return 0;
}

static void punch(struct copy *copy, const struct spool *spool, struct board *board, int stream) {
    uint64_t durable = atomic_load(&board->durable[stream]);
    if (durable < KEEP + PUNCH_STEP)
        return;
    uint64_t until = (durable - KEEP) / PUNCH_STEP * PUNCH_STEP;
    if (until <= copy->punched[stream])
        return;
    if (fallocate(spool->fd[stream], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)copy->punched[stream],
                  (off_t)(until - copy->punched[stream])) < 0 &&
        !copy->cannot_punch) {
        copy->cannot_punch = true;
        say("the spool's file system cannot give space back: %s", strerror(errno));
    }
    copy->punched[stream] = until;
}

/* After an error the next round begins with what is certain. A failed write-back may have left holes, hence the cut. */
static int step_back(struct copy *copy, struct board *board, int error) {
    for (int stream = 0; stream < STREAMS; stream++) {
        uint64_t durable = atomic_load(&board->durable[stream]);
        if (copy->fd[stream] >= 0 && copy->at[stream] > durable && ftruncate(copy->fd[stream], (off_t)durable) < 0)
            continue; /* the same bytes will be written there again */
    }
    copy_close(copy);
    return error;
}

/* One round; 0, or the errno of what failed. */
int copy_round(struct copy *copy, int dir, const struct spool *spool, struct board *board) {
    if (!copy->buffer && !(copy->buffer = malloc(BUFFER)))
        return ENOMEM;
    for (int stream = 0; stream < STREAMS; stream++)
        if (copy->fd[stream] < 0) {
            int error = open_stream(copy, dir, board, stream);
            if (error) {
                copy_close(copy);
                return error;
            }
        }
    bool reached = copy->at[OUT] >= copy->target[OUT] && copy->at[ERR] >= copy->target[ERR] &&
                   copy->at[INDEX] >= copy->target[INDEX];
    if (reached) { /* the index first: what it tells of is then within the others */
        copy->target[INDEX] = atomic_load(&board->written[INDEX]);
        copy->target[OUT] = atomic_load(&board->written[OUT]);
        copy->target[ERR] = atomic_load(&board->written[ERR]);
    }
    int error = 0;
    for (int stream = OUT; !error && stream <= ERR; stream++) {
        uint64_t before = copy->at[stream];
        error = copy_stream(copy, spool, stream);
        if (!error && copy->at[stream] != before)
            look_for_progress(copy, spool, board, stream);
    }
    for (int stream = OUT; !error && stream <= ERR; stream++)
        error = make_durable(copy, board, stream);
    if (!error && copy->at[OUT] >= copy->target[OUT] && copy->at[ERR] >= copy->target[ERR]) {
        error = copy_stream(copy, spool, INDEX);
        if (!error)
            error = make_durable(copy, board, INDEX);
    }
    if (error)
        return step_back(copy, board, error);
    for (int stream = 0; stream < STREAMS; stream++)
        punch(copy, spool, board, stream);
    return 0;
}
