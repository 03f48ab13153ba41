/* MAIN: the parent of the command. Drains its pipes into the spool, reaps, forwards signals, obeys `control` (which the
 * carrier reads for it), enforces timeout and memory, kills what is left of the tree, and says how it ended.
 *
 * It never opens anything on the share and never waits for the carrier, except at the very end. */
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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIPE_BYTES (1 << 20)
#define SAMPLE_MS 500
#define DRAIN_MS 2000 /* for pipes that something outside the tree still holds open */
#define HOLD_US 700   /* a stream of many small writes is read in batches of this time */
#define NEVER INT64_MAX

enum step { STEP_WAITING, STEP_STARTING, STEP_RUNNING, STEP_SWEEPING, STEP_DRAINING, STEP_PUBLISHING };

struct run {
    struct board *board;
    const struct options *options;
    struct spool *spool;
    enum step step;
    int signals, socket, report;
    int pipe_out[2], pipe_err[2];
    pid_t carrier, command;
    struct launch launch;
    struct launch_failure failure;
    bool failed_to_start, command_ended, stop_asked;
    int status; /* of the command, from wait */
    const char *cause; /* why it is being ended; NULL: by itself */
    bool killing;
    int seen_control;
    int64_t carrier_started, carrier_again, carrier_wait;
    unsigned early_deaths;
    int64_t timeout_at, grace_at, sample_at, kill_at, kill_wait, dead_at, retry_at, complain_at, give_up_at;
    double cpu_seconds;
    uint64_t kills_before; /* for want of memory, in this container */
    uint64_t largest; /* peak resident size of any one process, in bytes */
    char *buffer;
    size_t held[2]; /* read from the pipe but not taken by the spool yet; of one stream at a time */
    bool open[2], told_full, no_splice;
    int retry_stream; /* with retry_at: the spool did not take something of this stream */
    unsigned small_reads[2];
    ssize_t half_pipe;
    int64_t hold_us[2];
};

static int64_t mono_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int *read_end(struct run *run, int stream) {
    return stream == OUT ? &run->pipe_out[0] : &run->pipe_err[0];
}

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void notify(struct run *run, const char *word) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char message[PATH_MAX + 16];
    if (!run->options->notify || strlen(run->options->notify) >= sizeof address.sun_path)
        return;
    strcpy(address.sun_path, run->options->notify);
    int len = snprintf(message, sizeof message, "%s %s", word, run->options->attempt);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (len > 0 && sendto(fd, message, (size_t)len < sizeof message ? (size_t)len : sizeof message - 1,
                          MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address) < 0)
        say("nobody listens at %s: %s", run->options->notify, strerror(errno));
    close(fd);
}

/* ------------------------------------------------------------------------------------------------ the carrier */

static void wake_carrier(struct run *run) {
    char wake = 'm';
    if (run->socket >= 0 && send(run->socket, &wake, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return; /* full: it has enough to wake up for; broken: SIGCHLD tells */
}

static void start_carrier(struct run *run) {
    int pair[2];
    run->carrier_started = now_ms();
    run->carrier_again = NEVER;
    bytes_free(&run->launch.command);
    bytes_free(&run->launch.environment);
    bytes_free(&run->launch.confine);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        say("cannot make a socket pair: %s", strerror(errno));
        run->carrier_again = now_ms() + 1000;
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        close(run->signals);
        close_end(&run->report);
        close_end(&run->pipe_out[1]);
        close_end(&run->pipe_err[1]);
        carrier(run->board, run->options, run->spool, pair[1], (int[]){run->pipe_out[0], run->pipe_err[0]});
    }
    close(pair[1]);
    if (pid < 0) {
        say("cannot start the carrier: %s", strerror(errno));
        close(pair[0]);
        run->carrier_again = now_ms() + 1000;
        return;
    }
    run->socket = pair[0];
    run->carrier = pid;
}

static void carrier_ended(struct run *run, int status) {
    struct board *board = run->board;
    int claim = atomic_load(&board->claim);
    close_end(&run->socket);
    run->carrier = 0;
    if (claim == CLAIM_REFUSED || claim == CLAIM_UNUSABLE || atomic_load(&board->outcome) != OUTCOME_NONE)
        return;
    int64_t lived = now_ms() - run->carrier_started;
    if (WIFSIGNALED(status))
        say("the carrier was killed by signal %d; starting another", WTERMSIG(status));
    else
        say("the carrier ended with %d; starting another", WEXITSTATUS(status));
    run->carrier_wait = lived > 1000 ? 0 : run->carrier_wait ? run->carrier_wait * 2 : 10;
    if (run->carrier_wait > 2000)
        run->carrier_wait = 2000;
    run->carrier_again = now_ms() + run->carrier_wait;
    if (run->step == STEP_WAITING && ++run->early_deaths >= 20) {
        strcpy(board->reason, "the carrier cannot live here");
        atomic_store(&board->claim, CLAIM_UNUSABLE);
    }
}

/* ------------------------------------------------------------------------------------------------ ending */

static void note_rusage(struct run *run, const struct rusage *usage) {
    run->cpu_seconds += (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
                        (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
    if ((uint64_t)usage->ru_maxrss * 1024 > run->largest)
        run->largest = (uint64_t)usage->ru_maxrss * 1024;
}

static void sweep_now(struct run *run) {
    run->killing = true;
    run->kill_at = 0;
    run->kill_wait = 0;
}

static void reap(struct run *run) {
    int status;
    struct rusage usage;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
        if (pid == run->carrier) {
            carrier_ended(run, status);
            continue;
        }
        note_rusage(run, &usage);
        if (run->killing)
            run->kill_at = 0;
        if (pid == run->command && !run->command_ended) {
            run->command_ended = true;
            run->status = status;
        }
    }
}

/* The kernel ends the largest process of a container that is full, which is the command or a child of it. A command that
 * lives with that and succeeds has succeeded. */
static bool killed_for_memory(const struct run *run) {
    bool failed = run->command_ended && !(WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0);
    return failed && !run->cause && memory_kills() > run->kills_before;
}

static void publish(struct run *run) {
    struct board *board = run->board;
    struct end_record end = {.code = -1, .started_us = board->started_us, .ended_us = now_us(),
                             .cpu_seconds = run->cpu_seconds};
    if (killed_for_memory(run)) {
        run->cause = "out_of_memory";
        end.has_message = true;
        uint64_t limit = memory_limit();
        snprintf(end.message, sizeof end.message, limit ? "the container had used all of its %llu bytes of memory" :
                 "there was no memory left for the container", (unsigned long long)limit);
    }
    const char *cause = run->cause ? run->cause : "exit";
    if (run->failed_to_start && (!run->cause || run->failure.text[0])) {
        cause = run->cause ? run->cause : "exec_failed";
        end.has_message = true;
        snprintf(end.message, sizeof end.message, "%s", run->failure.text);
        if (!run->cause)
            end.code = run->failure.exit_status;
    } else if (run->command_ended && WIFEXITED(run->status)) {
        end.code = WEXITSTATUS(run->status);
    } else if (run->command_ended && WIFSIGNALED(run->status)) {
        end.signal = WTERMSIG(run->status);
    }
    snprintf(end.cause, sizeof end.cause, "%s", cause);
    if (!end.has_message && run->cause && !strcmp(run->cause, "out_of_memory")) {
        end.has_message = true;
        snprintf(end.message, sizeof end.message, "more than the allowed %llu bytes of memory were in use: %llu",
                 (unsigned long long)run->options->memory, (unsigned long long)atomic_load(&board->peak_memory));
    } else if (!end.has_message && run->cause && !strcmp(run->cause, "timeout")) {
        end.has_message = true;
        snprintf(end.message, sizeof end.message, "not done after the allowed %g seconds", run->options->timeout);
    }
    uint64_t peak = atomic_load(&board->peak_memory);
    if (run->largest > peak && (!run->options->memory || peak == 0))
        atomic_store(&board->peak_memory, run->largest);
    board->end = end;
    atomic_store(&board->cpu_ms, (uint64_t)(run->cpu_seconds * 1000));
    atomic_store(&board->phase, PHASE_ENDED);
    run->step = STEP_PUBLISHING;
    run->killing = false;
    wake_carrier(run);
    double seconds = end.started_us ? (double)(end.ended_us - end.started_us) / 1e6 : 0;
    char how[64] = "without having run";
    if (end.code >= 0)
        snprintf(how, sizeof how, "with %d", end.code);
    else if (end.signal)
        snprintf(how, sizeof how, "by signal %d", end.signal);
    say("%s: ended %s after %.3f s; log out %llu, err %llu bytes%s%s", end.cause, how, seconds,
        (unsigned long long)atomic_load(&board->written[OUT]), (unsigned long long)atomic_load(&board->written[ERR]),
        end.has_message ? "; " : "", end.has_message ? end.message : "");
}

static void nothing_to_run(struct run *run) {
    run->failed_to_start = true;
    close_end(&run->pipe_out[1]);
    close_end(&run->pipe_err[1]);
    publish(run);
}

static void kill_tree(struct run *run) {
    if (run->command && !run->command_ended)
        kill(-run->command, SIGKILL);
    sweep_now(run);
}

static void ask_politely(struct run *run) {
    if (kill(-run->command, SIGTERM) < 0 && errno == ESRCH)
        kill(run->command, SIGTERM); /* between fork and setsid */
    kill(-run->command, SIGCONT);
}

/* Ends the command for a reason. What has ended already keeps its own end. It is asked once, though `control` and the
 * driver's own signal both say so: to many a program a second one means "at once", without the checkpoint. */
static void stop(struct run *run, const char *cause) {
    bool hard = strcmp(cause, "stopped") != 0 && strcmp(cause, "timeout") != 0;
    run->stop_asked = true;
    reap(run);
    if (run->step == STEP_WAITING) {
        if (!run->cause || !strcmp(cause, "superseded") || !strcmp(run->cause, "stopped"))
            run->cause = cause;
        if (run->grace_at == NEVER)
            run->grace_at = now_ms() + (int64_t)(run->options->grace * 1000);
        return;
    }
    if (run->step > STEP_RUNNING || run->command_ended)
        return;
    if (hard) {
        if (!run->cause || !strcmp(cause, "superseded") || !strcmp(run->cause, "stopped"))
            run->cause = cause;
        kill_tree(run);
        return;
    }
    if (!run->cause) {
        run->cause = cause;
        run->grace_at = now_ms() + (int64_t)(run->options->grace * 1000);
        say("%s: asking the command to end, at most %g s", cause, run->options->grace);
        ask_politely(run);
    }
}

/* ------------------------------------------------------------------------------------------------ starting */

static void start_command(struct run *run) {
    run->launch.workdir = run->options->workdir;
    run->launch.confined = run->options->confine != NULL;
    run->launch.inherit = run->options->inherit;
    run->kills_before = memory_kills();
    atomic_store(&run->board->input_taken, true);
    if (run->cause || !launch_prepare(&run->launch, &run->failure)) {
        wake_carrier(run);
        nothing_to_run(run);
        return;
    }
    int report[2] = {-1, -1};
    int close_in_child[] = {run->socket, run->signals};
    pid_t pid = launch_start(&run->launch, run->pipe_out, run->pipe_err, report, close_in_child, 2);
    if (pid < 0) {
        run->failure = (struct launch_failure){.error = errno, .exit_status = EXIT_CANNOT_RUN};
        snprintf(run->failure.text, sizeof run->failure.text, "cannot start a process: %s", strerror(errno));
        nothing_to_run(run);
        return;
    }
    run->board->command_start = process_start(pid);
    atomic_store(&run->board->command_pid, pid);
    run->command = pid;
    run->report = report[0];
    run->step = STEP_STARTING;
    close_end(&run->pipe_out[1]);
    close_end(&run->pipe_err[1]);
}

static void read_report(struct run *run) {
    struct launch_failure why;
    for (;;) {
        ssize_t got = read(run->report, &why, sizeof why);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        if (got != (ssize_t)sizeof why)
            break;
        why.text[sizeof why.text - 1] = 0;
        if (why.exit_status == 0) {
            say("%s", why.text);
            continue;
        }
        run->failure = why;
        run->failed_to_start = true;
    }
    close_end(&run->report);
    if (run->failed_to_start)
        return; /* the child ends now; reap() sees it */
    run->step = STEP_RUNNING;
    run->board->started_us = now_us();
    atomic_store(&run->board->phase, PHASE_RUNNING);
    wake_carrier(run); /* it may drop the environment now */
    int64_t now = now_ms();
    if (run->options->timeout > 0)
        run->timeout_at = now + (int64_t)(run->options->timeout * 1000);
    if (run->options->memory)
        run->sample_at = now;
    say("started process %d: %s", (int)run->command, run->launch.argv[0]);
    notify(run, "started");
    if (run->launch.environment.data)
        memset(run->launch.environment.data, 0, run->launch.environment.len);
}

static void read_socket(struct run *run) {
    static char packet[CHUNK + 1];
    for (ssize_t got; run->socket >= 0 && (got = recv(run->socket, packet, sizeof packet, MSG_DONTWAIT)) > 0;) {
        if (run->step != STEP_WAITING)
            continue;
        size_t len = (size_t)got - 1;
        bool kept = true;
        switch (packet[0]) {
        case 'c':
            kept = bytes_add(&run->launch.command, packet + 1, len);
            break;
        case 'e':
            kept = bytes_add(&run->launch.environment, packet + 1, len);
            break;
        case 'l':
            kept = bytes_add(&run->launch.confine, packet + 1, len);
            break;
        case 'x':
            snprintf(run->failure.text, sizeof run->failure.text, "%.*s", (int)len, packet + 1);
            run->failure.exit_status = EXIT_CANNOT_RUN;
            atomic_store(&run->board->input_taken, true);
            nothing_to_run(run);
            break;
        case 'g':
            say("claimed %s as %s", run->options->attempt, run->board->token);
            switch (atomic_load(&run->board->control)) {
            case CONTROL_TERMINATE:
                stop(run, "stopped");
                break;
            case CONTROL_KILL:
                stop(run, "killed");
                break;
            case CONTROL_SUPERSEDED:
                stop(run, "superseded");
                break;
            default:
                break;
            }
            run->seen_control = atomic_load(&run->board->control);
            start_command(run);
            break;
        default:
            break;
        }
        if (!kept) {
            snprintf(run->failure.text, sizeof run->failure.text, "no memory for the command");
            run->failure.exit_status = EXIT_CANNOT_RUN;
            nothing_to_run(run);
        }
    }
}

static void obey_control(struct run *run) {
    int word = atomic_load(&run->board->control);
    if (run->step == STEP_WAITING || word == run->seen_control)
        return;
    run->seen_control = word;
    if (word == CONTROL_TERMINATE)
        stop(run, "stopped");
    else if (word == CONTROL_KILL)
        stop(run, "killed");
    else if (word == CONTROL_SUPERSEDED)
        stop(run, "superseded");
}

static void read_signals(struct run *run) {
    struct signalfd_siginfo info;
    while (read(run->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
        case SIGQUIT:
            if (run->step == STEP_PUBLISHING && run->give_up_at == NEVER) {
                run->give_up_at = now_ms() + (int64_t)(run->options->grace * 1000);
                say("asked to stop; trying to publish the end for %g s more", run->options->grace);
            }
            stop(run, "stopped");
            break;
        case SIGHUP:
        case SIGUSR1:
        case SIGUSR2:
            if (run->command && !run->command_ended && run->step == STEP_RUNNING)
                kill(-run->command, (int)info.ssi_signo);
            break;
        default:
            break;
        }
    }
}

/* ------------------------------------------------------------------------------------------------ the log */

static bool spool_has_room(struct run *run) {
    uint64_t waiting = 0;
    for (int stream = OUT; stream <= ERR; stream++)
        waiting += atomic_load(&run->board->written[stream]) - atomic_load(&run->board->durable[stream]);
    bool room = waiting < run->options->spool_limit;
    if (!room && !run->told_full)
        say("the spool is full: the command waits until the share has taken more of its log");
    run->told_full = !room;
    return room;
}

/* A busy writer of small pieces: let it fill the pipe for a moment, as long as the other stream is silent. */
static void hold_back(struct run *run, int stream, ssize_t got) {
    int64_t now = mono_us();
    int other = stream == OUT ? ERR : OUT;
    run->small_reads[other] = 0;
    run->hold_us[other] = 0;
    bool soon = now < run->hold_us[stream] + 2000;
    run->small_reads[stream] = got < run->half_pipe && (soon || !run->hold_us[stream]) ? run->small_reads[stream] + 1 : 0;
    run->hold_us[stream] = run->small_reads[stream] > 8 ? now + HOLD_US : now;
}

static void spool_troubles(struct run *run, int stream) {
    if (run->retry_at == NEVER)
        say("the spool cannot be written: %s; the command waits", strerror(errno));
    run->retry_at = now_ms() + 200;
    run->retry_stream = stream;
}

static void spool_took(struct run *run) {
    run->retry_at = NEVER;
    if (atomic_exchange(&run->board->carrier_sleeps, false))
        wake_carrier(run);
}

/* For spools on file systems that cannot splice: what was read and does not fit is held and tried again. */
static void keep(struct run *run, int stream) {
    if (!spool_append(run->spool, run->board, stream, run->buffer, run->held[stream])) {
        spool_troubles(run, stream);
        return;
    }
    run->held[stream] = 0;
    atomic_store(&run->board->in_hand[stream], false);
    spool_took(run);
}

static void drain(struct run *run, int stream) {
    if (run->held[stream]) {
        keep(run, stream);
        return;
    }
    if (!spool_index(run->spool, run->board, stream, now_us())) {
        spool_troubles(run, stream);
        return;
    }
    int end = *read_end(run, stream);
    ssize_t got = run->no_splice ? -1 : spool_splice(run->spool, run->board, stream, end, PIPE_BYTES);
    bool in_spool = !run->no_splice;
    if (got < 0 && (run->no_splice || errno == EINVAL || errno == ENOSYS || errno == EPERM)) {
        run->no_splice = true;
        in_spool = false;
        atomic_store(&run->board->in_hand[stream], true);
        got = read(end, run->buffer, PIPE_BYTES);
        if (got <= 0)
            atomic_store(&run->board->in_hand[stream], false);
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        run->retry_at = NEVER;
        return;
    }
    if (got < 0) {
        spool_troubles(run, stream);
        return;
    }
    if (got == 0) {
        run->open[stream] = false;
        run->retry_at = NEVER;
        close_end(read_end(run, stream));
        return;
    }
    if (in_spool) {
        spool_took(run);
    } else {
        run->held[stream] = (size_t)got;
        keep(run, stream);
    }
    hold_back(run, stream, got);
}

static void run_timers(struct run *run) {
    int64_t now = now_ms();
    if (now >= run->carrier_again)
        start_carrier(run);
    if (now >= run->timeout_at) {
        run->timeout_at = NEVER;
        stop(run, "timeout");
    }
    if (now >= run->grace_at && run->step != STEP_WAITING) {
        run->grace_at = NEVER;
        reap(run);
        if (!run->command_ended && run->step <= STEP_RUNNING) {
            say("the command did not end in time; killing it");
            if (run->cause && !strcmp(run->cause, "stopped"))
                run->cause = "killed";
            kill_tree(run);
        }
    }
    if (now >= run->sample_at && run->step == STEP_RUNNING) {
        struct usage usage = tree_usage(getpid(), run->carrier, true);
        atomic_store(&run->board->memory_now, usage.memory);
        if (usage.memory > atomic_load(&run->board->peak_memory))
            atomic_store(&run->board->peak_memory, usage.memory);
        run->sample_at = now + SAMPLE_MS;
        if (usage.memory > run->options->memory && !run->killing)
            stop(run, "out_of_memory");
    }
    if (now >= run->retry_at)
        drain(run, run->retry_stream);
}

/* Kills until nothing is left; a process that cannot die (in the kernel, on a dead share) is waited for: as long as it
 * exists the attempt has not ended. */
static void sweep(struct run *run) {
    int64_t now = now_ms();
    if (!run->killing || now < run->kill_at)
        return;
    unsigned left = tree_kill(getpid(), run->carrier);
    reap(run);
    if (left == 0 && run->step == STEP_SWEEPING) {
        run->killing = false;
        run->step = STEP_DRAINING;
        run->dead_at = now;
        return;
    }
    run->kill_wait = run->kill_wait ? run->kill_wait * 2 : 1;
    if (run->kill_wait > 500)
        run->kill_wait = 500;
    run->kill_at = left ? now + run->kill_wait : now + 50;
    if (run->complain_at == 0)
        run->complain_at = now + 10000;
    if (left && now >= run->complain_at) {
        say("%u processes do not die; waiting for them", left);
        run->complain_at = now + 60000;
    }
}

static void advance(struct run *run) {
    if (run->step == STEP_STARTING && run->command_ended && run->report >= 0)
        read_report(run);
    if ((run->step == STEP_STARTING || run->step == STEP_RUNNING) && run->command_ended) {
        run->step = STEP_SWEEPING;
        run->grace_at = run->timeout_at = run->sample_at = NEVER;
        sweep_now(run);
    }
    sweep(run);
    if (run->step == STEP_DRAINING && run->retry_at == NEVER) {
        if (!run->open[OUT] && !run->open[ERR]) {
            if (spool_index_flush(run->spool, run->board))
                publish(run);
        } else if (now_ms() - run->dead_at >= DRAIN_MS && spool_has_room(run)) {
            say("something outside still holds the log open; not waiting for it");
            for (int stream = OUT; stream <= ERR; stream++) {
                if (!run->open[stream])
                    continue;
                drain(run, stream);
                if (run->retry_at != NEVER)
                    return;
                run->open[stream] = false;
                close_end(read_end(run, stream));
            }
        }
    }
}

static int64_t next_event_us(struct run *run, bool paused) {
    int64_t next = run->timeout_at, now = now_ms();
    const int64_t others[] = {run->grace_at, run->sample_at, run->retry_at, run->carrier_again, run->give_up_at,
                              run->killing ? run->kill_at : NEVER,
                              run->step == STEP_DRAINING && run->dead_at + DRAIN_MS > now ? run->dead_at + DRAIN_MS : NEVER};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i] < next)
            next = others[i];
    int64_t wait = next == NEVER ? NEVER : next <= now ? 0 : (next - now) * 1000;
    if (spool_index_pending(run->board) && wait > 10000)
        wait = 10000;
    if ((paused || run->step == STEP_DRAINING) && wait > 20000)
        wait = 20000;
    return wait;
}

static void wait_for_events(struct run *run) {
    bool holding = run->retry_at != NEVER;
    bool room = (run->open[OUT] || run->open[ERR]) && spool_has_room(run);
    int64_t wait = next_event_us(run, !room && (run->open[OUT] || run->open[ERR]));
    struct pollfd polled[5] = {{.fd = run->signals, .events = POLLIN},
                               {.fd = run->socket, .events = POLLIN},
                               {.fd = run->report, .events = POLLIN},
                               {.fd = -1, .events = POLLIN},
                               {.fd = -1, .events = POLLIN}};
    int64_t now = mono_us();
    for (int stream = OUT; stream <= ERR; stream++) {
        if (!run->open[stream] || !room || holding)
            continue;
        if (run->hold_us[stream] > now) {
            if (run->hold_us[stream] - now < wait)
                wait = run->hold_us[stream] - now;
            continue;
        }
        polled[3 + stream].fd = *read_end(run, stream);
    }
    struct timespec timeout = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
    int ready = ppoll(polled, 5, wait == NEVER ? NULL : &timeout, NULL);
    if (ready < 0)
        return;
    for (int stream = OUT; stream <= ERR; stream++) /* the other stream has spoken: no more holding back */
        if (polled[3 + stream].revents && run->hold_us[stream == OUT ? ERR : OUT] > now && !holding) {
            int first = stream == OUT ? ERR : OUT;
            if (run->open[first])
                drain(run, first);
        }
    for (int stream = OUT; stream <= ERR; stream++)
        if (polled[3 + stream].revents && run->open[stream] && run->retry_at == NEVER)
            drain(run, stream);
    if (spool_index_pending(run->board) && (uint64_t)now_us() - run->board->pending.time_us > 10000 &&
        spool_index_flush(run->spool, run->board) && atomic_exchange(&run->board->carrier_sleeps, false))
        wake_carrier(run);
    if (polled[1].revents & (POLLIN | POLLHUP)) {
        read_socket(run);
        if (polled[1].revents & POLLHUP)
            close_end(&run->socket); /* SIGCHLD follows */
    }
    if (polled[2].revents)
        read_report(run);
    if (polled[0].revents)
        read_signals(run);
}

static int exit_status(struct run *run) {
    if (run->cause && !strcmp(run->cause, "timeout"))
        return EXIT_TIMEOUT;
    if (run->failed_to_start && !run->cause)
        return run->failure.exit_status;
    if (run->command_ended && !run->failed_to_start)
        return WIFEXITED(run->status) ? WEXITSTATUS(run->status) : 128 + WTERMSIG(run->status);
    return run->cause && !strcmp(run->cause, "stopped") ? 128 + SIGTERM : 128 + SIGKILL;
}

static bool prepare(struct run *run) {
    sigset_t handled;
    sigemptyset(&handled);
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        signal(numbers[i], SIG_DFL); /* an ignored SIGCHLD would keep us from reaping */
        sigaddset(&handled, numbers[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error like a full disk */
    if (sigprocmask(SIG_BLOCK, &handled, NULL) < 0)
        return false;
    run->signals = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signals < 0 || pipe2(run->pipe_out, O_CLOEXEC) < 0 || pipe2(run->pipe_err, O_CLOEXEC) < 0)
        return false;
    for (int stream = OUT; stream <= ERR; stream++) {
        int end = *read_end(run, stream);
        fcntl(end, F_SETFL, O_NONBLOCK);
        fcntl(end, F_SETPIPE_SZ, PIPE_BYTES); /* refused beyond the user's quota: then it stays small */
        run->half_pipe = fcntl(end, F_GETPIPE_SZ) / 2;
        fchmod(end, 0622);                    /* a command that changes its user may still reopen /dev/stderr */
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 && getpid() != 1) /* under an emulator */
        say("no subreaper here (%s): what the command detaches may outlive it", strerror(errno));
    run->buffer = malloc(PIPE_BYTES);
    return run->buffer != NULL;
}

int supervise(struct board *board, const struct options *options, struct spool *spool) {
    struct run run = {.board = board, .options = options, .spool = spool, .signals = -1, .socket = -1, .report = -1,
                      .pipe_out = {-1, -1}, .pipe_err = {-1, -1}, .timeout_at = NEVER, .grace_at = NEVER,
                      .sample_at = NEVER, .retry_at = NEVER, .carrier_again = NEVER, .give_up_at = NEVER,
                      .open = {true, true}};
    if (!prepare(&run)) {
        say("cannot set up: %s", strerror(errno));
        spool_discard(spool, board, options);
        return EXIT_OWN_FAILURE;
    }
    start_carrier(&run);
    bool published_spool = false;
    for (;;) {
        int claim = atomic_load(&board->claim);
        if (claim == CLAIM_REFUSED || claim == CLAIM_UNUSABLE) {
            say(claim == CLAIM_REFUSED ? "refused: the claim is held by another: %s" : "%s", board->reason);
            spool_discard(spool, board, options);
            return claim == CLAIM_REFUSED ? EXIT_REFUSED : EXIT_OWN_FAILURE;
        }
        if (claim == CLAIM_WON && !published_spool) {
            spool_publish(spool, board->token);
            published_spool = true;
        }
        int outcome = atomic_load(&board->outcome);
        if (outcome != OUTCOME_NONE && run.carrier == 0) {
            say(outcome == OUTCOME_PUBLISHED ? "the end is published" : "another end is there already; it is left alone");
            notify(&run, "ended");
            spool_discard(spool, board, options);
            return exit_status(&run);
        }
        int64_t now = now_ms();
        if (now >= run.give_up_at || (run.step == STEP_WAITING && now >= run.grace_at)) {
            say("the share does not answer; leaving without an end record");
            if (run.carrier > 0)
                kill(run.carrier, SIGKILL);
            notify(&run, "ended");
            return exit_status(&run);
        }
        wait_for_events(&run);
        reap(&run);
        obey_control(&run);
        run_timers(&run);
        advance(&run);
    }
}
