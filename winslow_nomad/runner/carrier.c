/* The carrier: the only process that touches the share. It claims, hands command and environment to MAIN, reads
 * `control`, carries the log, writes the heartbeat and publishes the end. It may hang in any of these; MAIN goes on.
 *
 * When it is killed, MAIN starts another one, which continues from the board and from what is on the share. When MAIN is
 * killed, it ends what MAIN left behind and tells that the runner was lost. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_MS 40
#define HURRY (8u << 20) /* so much behind: no pause between rounds */
#define CONTROL_MS 1000
#define PATIENCE_MS 10000 /* for a control that holds no word, before the command has started */
#define ABSENT_MS 600000  /* a carrier alone does not wait longer for a directory that does not exist */
#define LARGEST_INPUT (64u << 20)

struct carrier {
    struct board *board;
    const struct options *options;
    struct spool spool;
    int socket, dir;
    int read_end[2];
    struct copy copy;
    int heartbeat;
    int said; /* the errno that was last told */
    int64_t reach_at, absent_at, copy_at, control_at, heartbeat_at, unlink_at, sweep_at, backoff;
    pid_t session; /* of the command, once MAIN is lost */
    unsigned quiet_sweeps;
    bool lost, swept, opened;
};

static bool main_is_gone(struct carrier *c) {
    struct pollfd socket = {.fd = c->socket, .events = POLLIN};
    if (c->lost)
        return true;
    if (getppid() != c->board->main_pid)
        return true;
    return poll(&socket, 1, 0) == 1 && (socket.revents & (POLLHUP | POLLERR));
}

static bool give_up_claim(void *context) {
    poll(NULL, 0, 200);
    return main_is_gone(context);
}

static void wake_main(struct carrier *c) {
    char wake = 'w';
    if (send(c->socket, &wake, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != EPIPE)
        say("the carrier cannot reach its runner: %s", strerror(errno));
}

static bool hand_over(struct carrier *c, char type, const struct bytes *bytes) {
    static char packet[CHUNK + 1];
    packet[0] = type;
    for (size_t at = 0; at < bytes->len; at += CHUNK) {
        size_t len = bytes->len - at < CHUNK ? bytes->len - at : CHUNK;
        memcpy(packet + 1, bytes->data + at, len);
        if (send(c->socket, packet, len + 1, MSG_NOSIGNAL) < 0)
            return false;
    }
    return true;
}

static enum control control_word(int dir, int *error) {
    struct bytes content = {0};
    enum control word = CONTROL_UNKNOWN;
    *error = read_file(dir, "control", 4096, &content);
    if (!*error && memchr(content.data, '\n', content.len)) { /* without its newline the word may be cut */
        *strchrnul(content.data, '\n') = 0;
        if (!strcmp(content.data, "run"))
            word = CONTROL_RUN;
        else if (!strcmp(content.data, "terminate"))
            word = CONTROL_TERMINATE;
        else if (!strcmp(content.data, "kill"))
            word = CONTROL_KILL;
        else if (!strcmp(content.data, "superseded"))
            word = CONTROL_SUPERSEDED;
    }
    bytes_free(&content);
    return word;
}

static void tell_trouble(struct carrier *c, const char *what, int error) {
    if (error && error != c->said)
        say("share: %s: %s; trying on", what, strerror(error));
    if (!error && c->said)
        say("share: back to normal");
    c->said = error;
}

/* A dead handle stays dead: look for the directory again by its path, and believe it only with our claim inside. */
static void look_again(struct carrier *c) {
    int dir = open(c->options->attempt, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    if (!claim_is_ours(dir, c->board->token)) {
        close(dir);
        return;
    }
    copy_close(&c->copy);
    if (c->heartbeat >= 0)
        close(c->heartbeat);
    c->heartbeat = -1;
    close(c->dir);
    c->dir = dir;
}

static bool handle_is_dead(int error) {
    return error == ESTALE || error == ENOTCONN || error == EBADF || error == ENODEV || error == ESHUTDOWN ||
           error == ENOENT || error == EIO;
}

static bool pause_for_retry(struct carrier *c, const char *what, int error) {
    tell_trouble(c, what, error);
    if (handle_is_dead(error))
        look_again(c);
    return !give_up_claim(c);
}

static _Noreturn void leave(struct carrier *c, enum claim_state state) {
    atomic_store(&c->board->claim, state);
    _exit(0);
}

static void refuse_input(struct carrier *c, const char *format, const char *what, const char *why) {
    char text[512];
    int len = snprintf(text, sizeof text, format, what, why);
    struct bytes bytes = {.data = text, .len = (size_t)len < sizeof text ? (size_t)len : sizeof text - 1};
    hand_over(c, 'x', &bytes);
}

/* True when read; false when there is nothing to run, which MAIN has then been told. */
static bool hand_over_file(struct carrier *c, const char *name, char type) {
    struct bytes content = {0};
    int error;
    while ((error = read_file(c->dir, name, LARGEST_INPUT, &content))) {
        bool final = error == ENOENT || error == EACCES || error == EPERM || error == EISDIR || error == EINVAL ||
                     error == ELOOP || error == EFBIG;
        if (final && error != ENOENT) {
            refuse_input(c, "cannot read %s: %s", name, strerror(error));
        } else if (final && claim_is_ours(c->dir, c->board->token)) { /* else the whole directory is away for a while */
            refuse_input(c, "cannot read %s: %s", name, strerror(error));
        } else if (pause_for_retry(c, name, error)) {
            continue;
        }
        bytes_free(&content);
        return false;
    }
    bool sent = hand_over(c, type, &content);
    if (type == 'e')
        for (size_t at = 0; at < content.len; at += strlen(content.data + at) + 1) {
            const char *entry = content.data + at;
            if (!strncmp(entry, "WINSLOW_ATTEMPT=", 16) && entry[16] && strlen(entry) < sizeof c->board->mark)
                strcpy(c->board->mark, entry);
            if (!strcmp(entry, "WINSLOW_OPEN_MODES=1"))
                c->board->open_modes = true;
        }
    if (content.data)
        memset(content.data, 0, content.cap); /* it may hold secrets */
    bytes_free(&content);
    return sent;
}

static void hand_over_input(struct carrier *c, const struct bytes *confine) {
    int64_t begin = now_ms();
    int error = 0;
    enum control word;
    if (!hand_over_file(c, "command", 'c') || !hand_over_file(c, "environment", 'e') || !hand_over(c, 'l', confine))
        return;
    while ((word = control_word(c->dir, &error)) == CONTROL_UNKNOWN && error != ENOENT && now_ms() - begin < PATIENCE_MS)
        if (!pause_for_retry(c, "control", error))
            return;
    if (word == CONTROL_UNKNOWN && error == ENOENT) {
        say("there is no control file; running");
        word = CONTROL_RUN;
    }
    if (word == CONTROL_UNKNOWN) {
        refuse_input(c, "cannot read %s: %s", "control", error ? strerror(error) : "it holds no known word");
        return;
    }
    atomic_store(&c->board->control, word);
    struct bytes go = {.data = "go", .len = 2};
    hand_over(c, 'g', &go);
}

static void claim(struct carrier *c) {
    struct bytes confine = {0};
    struct board *board = c->board;
    int error = 0;
    c->dir = open(c->options->attempt, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir < 0) {
        snprintf(board->reason, sizeof board->reason, "cannot open the attempt directory %.300s: %s", c->options->attempt,
                 strerror(errno));
        leave(c, CLAIM_UNUSABLE);
    }
    if (c->options->confine && (error = read_file(AT_FDCWD, c->options->confine, LARGEST_INPUT, &confine))) {
        snprintf(board->reason, sizeof board->reason, "cannot read the confinement %.300s: %s", c->options->confine,
                 strerror(error));
        leave(c, CLAIM_UNUSABLE);
    }
    if (main_is_gone(c))
        _exit(0);
    enum claim_state state = claim_take(c->dir, board, c->options->owner, give_up_claim, c);
    if (state != CLAIM_WON)
        leave(c, state);
    atomic_store(&board->claim, CLAIM_WON);
    hand_over_input(c, &confine);
    bytes_free(&confine);
}

/* ------------------------------------------------------------------------------------------------ recurring work */

/* A carrier that follows another one may find no attempt directory: the share may not be mounted at the moment. */
static bool reach_share(struct carrier *c, int64_t now) {
    if (c->dir >= 0)
        return true;
    if (now < c->reach_at)
        return false;
    c->dir = open(c->options->attempt, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir >= 0) {
        tell_trouble(c, "", 0);
        return true;
    }
    tell_trouble(c, "cannot open the attempt directory", errno);
    c->absent_at = errno != ENOENT ? 0 : c->absent_at ? c->absent_at : now;
    if (c->lost && c->swept && c->absent_at && now - c->absent_at > ABSENT_MS) {
        say("the runner was lost, and its attempt directory is gone");
        _exit(0);
    }
    c->reach_at = now + CONTROL_MS;
    return false;
}

static void drop_environment(struct carrier *c, int64_t now) {
    if (c->unlink_at == INT64_MAX || now < c->unlink_at || !(atomic_load(&c->board->input_taken) || c->lost))
        return;
    if (unlinkat(c->dir, "environment", 0) == 0 || errno == ENOENT) {
        c->unlink_at = INT64_MAX;
        return;
    }
    if (c->unlink_at == 0)
        say("cannot remove the environment: %s; trying on", strerror(errno));
    c->unlink_at = now + CONTROL_MS;
}

static void read_control(struct carrier *c, int64_t now) {
    if (now < c->control_at)
        return;
    c->control_at = now + CONTROL_MS;
    if (atomic_load(&c->board->phase) == PHASE_ENDED)
        return;
    int error;
    enum control word = control_word(c->dir, &error);
    if (handle_is_dead(error) && error != ENOENT)
        look_again(c);
    if (word != CONTROL_UNKNOWN && word != (enum control)atomic_load(&c->board->control)) {
        atomic_store(&c->board->control, word);
        wake_main(c);
    }
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The first ones follow sooner, so that a stage which has just begun shows how it fares. */
static int64_t pause_after_beat(const struct carrier *c) {
    uint64_t before = atomic_load(&c->board->beats);
    int64_t usual = (int64_t)(c->options->heartbeat * 1000);
    return before < 4 ? earlier(1000 << before, usual) : usual;
}

static void write_heartbeat(struct carrier *c, int64_t now) {
    struct board *board = c->board;
    if (now < c->heartbeat_at)
        return;
    c->heartbeat_at = now + pause_after_beat(c);
    if (!c->lost) {
        struct usage usage = tree_usage(board->main_pid, getpid(), false);
        atomic_store(&board->cpu_ms, (uint64_t)(usage.cpu_seconds * 1000));
        if (!c->options->memory) { /* else MAIN samples, more often */
            atomic_store(&board->memory_now, usage.memory);
            if (usage.memory > atomic_load(&board->peak_memory))
                atomic_store(&board->peak_memory, usage.memory);
        }
    }
    double progress = progress_in_file(c->dir);
    if (progress < 0)
        progress = board->progress;
    struct text text = {.len = 0};
    text_add(&text, "{\"counter\":%llu,\"cpu_seconds\":%.3f,\"memory_bytes\":%llu,\"progress\":",
             (unsigned long long)atomic_fetch_add(&board->beats, 1) + 1, (double)atomic_load(&board->cpu_ms) / 1000,
             (unsigned long long)atomic_load(&board->memory_now));
    text_add(&text, progress >= 0 ? "%g" : "null", progress);
    text_add(&text, "}\n");
    if (c->heartbeat < 0)
        c->heartbeat = openat(c->dir, "heartbeat", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (c->heartbeat >= 0 && pwrite_all(c->heartbeat, text.data, text.len, 0) &&
        ftruncate(c->heartbeat, (off_t)text.len) == 0 && fdatasync(c->heartbeat) == 0)
        return;
    int error = errno;
    if (error != c->said)
        tell_trouble(c, "cannot write the heartbeat", error);
    if (c->heartbeat >= 0)
        close(c->heartbeat);
    c->heartbeat = -1;
    if (handle_is_dead(error))
        look_again(c);
    c->heartbeat_at = now + CONTROL_MS;
}

static bool failed(struct carrier *c, const char *what, int error, int64_t now) {
    tell_trouble(c, what, error);
    if (!error) {
        c->backoff = 0;
        return false;
    }
    if (handle_is_dead(error))
        look_again(c);
    c->backoff = c->backoff ? c->backoff * 2 : 100;
    if (c->backoff > 5000)
        c->backoff = 5000;
    c->copy_at = now + c->backoff;
    return true;
}

static uint64_t left_to_copy(struct carrier *c) {
    uint64_t left = 0;
    for (int stream = 0; stream < STREAMS; stream++)
        left += atomic_load(&c->board->written[stream]) - atomic_load(&c->board->durable[stream]);
    return left;
}

static bool must_copy(struct carrier *c) {
    bool to_be_completed = c->copy.fd[OUT] < 0 || atomic_load(&c->board->phase) == PHASE_ENDED;
    return left_to_copy(c) > 0 || (to_be_completed && !copy_complete(&c->copy, c->board));
}

static void carry(struct carrier *c, int64_t now) {
    if (atomic_load(&c->board->phase) == PHASE_ENDED && !c->backoff)
        c->copy_at = now; /* the end does not wait for the next round: what follows this stage waits for it */
    if (now < c->copy_at || !must_copy(c))
        return;
    if (failed(c, "cannot write the log", copy_round(&c->copy, c->dir, &c->spool, c->board), now))
        return;
    bool hurry = atomic_load(&c->board->phase) == PHASE_ENDED || left_to_copy(c) > HURRY;
    c->copy_at = hurry ? 0 : now + COPY_MS;
}

static void finish(struct carrier *c, int64_t now) {
    if (atomic_load(&c->board->phase) != PHASE_ENDED || now < c->copy_at || !copy_complete(&c->copy, c->board))
        return;
    if (c->board->open_modes && !c->opened)
        open_modes(c->dir);
    c->opened = true;
    int error = 0;
    enum outcome outcome = end_publish(c->dir, c->board, &error);
    if (failed(c, "cannot publish the end", outcome == OUTCOME_NONE ? error : 0, now))
        return;
    drop_environment(c, INT64_MAX - 1);
    atomic_store(&c->board->outcome, outcome);
    if (c->lost) {
        say(outcome == OUTCOME_PUBLISHED ? "the runner was lost; its end is published" : "the runner was lost; another end is there");
        spool_discard(&c->spool, c->board, c->options);
    }
    _exit(0);
}

/* ------------------------------------------------------------------------------------------------ MAIN was killed */

/* What MAIN had written without telling, and what it had not read yet, still belongs to the log. */
static void take_over_log(struct carrier *c) {
    struct board *board = c->board;
    static char buffer[65536];
    for (int stream = OUT; stream <= ERR; stream++) {
        struct stat about;
        uint64_t known = atomic_load(&board->written[stream]);
        if (fstat(c->spool.fd[stream], &about) == 0 && (uint64_t)about.st_size > known &&
            spool_index(&c->spool, board, stream, now_us()))
            atomic_store(&board->written[stream], (uint64_t)about.st_size);
        while (c->read_end[stream] >= 0 && !atomic_load(&board->in_hand[stream])) { /* else a gap would come before it */
            ssize_t got = read(c->read_end[stream], buffer, sizeof buffer);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0) {
                if (got == 0) {
                    close(c->read_end[stream]);
                    c->read_end[stream] = -1;
                }
                break;
            }
            if (!spool_index(&c->spool, board, stream, now_us()) ||
                !spool_append(&c->spool, board, stream, buffer, (size_t)got)) {
                say("the spool cannot take what was left in the pipes: %s", strerror(errno));
                break;
            }
        }
    }
}

static void sweep_after_main(struct carrier *c, int64_t now) {
    struct board *board = c->board;
    if (!c->lost || c->swept || now < c->sweep_at)
        return;
    unsigned seen = tree_kill_marked(board->mark, c->session, board->command_start);
    take_over_log(c);
    c->quiet_sweeps = seen ? 0 : c->quiet_sweeps + 1;
    c->sweep_at = now + 20;
    if (c->quiet_sweeps < 3)
        return;
    c->swept = true;
    for (int stream = OUT; stream <= ERR; stream++)
        if (c->read_end[stream] >= 0)
            close(c->read_end[stream]);
    while (!spool_index_flush(&c->spool, board) && errno == EINTR)
        ;
    if (atomic_load(&board->phase) == PHASE_ENDED)
        return; /* MAIN had already said how it ended */
    struct end_record end = {.code = -1, .ended_us = now_us(), .started_us = board->started_us, .has_message = true};
    strcpy(end.cause, "runner_lost");
    end.cpu_seconds = (double)atomic_load(&board->cpu_ms) / 1000;
    strcpy(end.message, atomic_load(&board->phase) == PHASE_RUNNING ? "the runner was killed; what was left of the command was killed after it"
                                                                    : "the runner was killed before the command had started");
    board->end = end;
    atomic_store(&board->phase, PHASE_ENDED);
}

/* ------------------------------------------------------------------------------------------------ the loop */

static void rest(struct carrier *c) {
    int64_t now = now_ms(), next = c->dir < 0 ? c->reach_at : earlier(c->control_at, c->heartbeat_at);
    bool waiting = c->dir < 0 || must_copy(c) || atomic_load(&c->board->phase) == PHASE_ENDED;
    if (waiting && c->dir >= 0)
        next = earlier(next, c->copy_at);
    if (c->lost && !c->swept)
        next = earlier(next, c->sweep_at);
    atomic_store(&c->board->carrier_sleeps, !waiting);
    if (!waiting && must_copy(c))
        next = earlier(next, c->copy_at); /* it came between the look and the mark */
    int timeout = next <= now ? 0 : (int)(next - now);
    struct pollfd socket = {.fd = c->lost ? -1 : c->socket, .events = POLLIN};
    poll(&socket, 1, timeout);
    atomic_store(&c->board->carrier_sleeps, false);
    char wake[16];
    while (!c->lost && recv(c->socket, wake, sizeof wake, MSG_DONTWAIT) > 0)
        ;
}

_Noreturn void carrier(struct board *board, const struct options *options, const struct spool *spool, int socket,
                       const int read_ends[2]) {
    struct carrier c = {.board = board, .options = options, .spool = *spool, .socket = socket, .dir = -1, .heartbeat = -1,
                        .read_end = {read_ends[0], read_ends[1]}};
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* whoever kills MAIN's process group must not kill the one who can tell of it */
    prctl(PR_SET_NAME, "winslow-carrier", 0, 0, 0);
    umask(022);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    copy_start(&c.copy);
    if (!atomic_load(&board->input_taken)) {
        claim(&c);
    }
    for (;;) {
        int64_t now = now_ms();
        if (!c.lost && main_is_gone(&c)) {
            c.lost = true; /* after a long hang the session's number may be somebody else's: then only the mark counts */
            c.session = now - atomic_load(&board->seen_ms) < 5000 ? atomic_load(&board->command_pid) : 0;
        }
        sweep_after_main(&c, now);
        atomic_store(&board->seen_ms, now);
        if (reach_share(&c, now)) {
            drop_environment(&c, now);
            carry(&c, now);
            finish(&c, now_ms());
            read_control(&c, now);
            write_heartbeat(&c, now);
        }
        rest(&c);
    }
}
