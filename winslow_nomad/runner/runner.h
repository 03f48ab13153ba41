/* What every file of the runner shares: the board, the options, and the small tools.
 *
 * Two processes work for one attempt. MAIN (supervise.c) is the parent of the command; it never touches the share, so a
 * dead file server cannot stop it. The CARRIER (carrier.c) does everything on the share and may hang there. They share
 * one page of memory, the board, which outlives either of them: a new carrier continues from it, and a carrier whose
 * MAIN was killed ends the attempt from it. */
#ifndef WINSLOW_RUNNER_H
#define WINSLOW_RUNNER_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef RUNNER_VERSION /* build.py gives one that tells the sources */
#define RUNNER_VERSION "1"
#endif

enum { OUT, ERR, INDEX, STREAMS }; /* the three files of a log; OUT and ERR are pipes as well */
extern const char *const stream_name[STREAMS];

enum exit_status { EXIT_REFUSED = 90, EXIT_TIMEOUT = 124, EXIT_OWN_FAILURE = 125, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

enum phase { PHASE_WAITING, PHASE_RUNNING, PHASE_ENDED };
enum claim_state { CLAIM_NONE, CLAIM_MADE, CLAIM_WON, CLAIM_REFUSED, CLAIM_UNUSABLE };
enum outcome { OUTCOME_NONE, OUTCOME_PUBLISHED, OUTCOME_LOST };
enum control { CONTROL_UNKNOWN, CONTROL_RUN, CONTROL_TERMINATE, CONTROL_KILL, CONTROL_SUPERSEDED };

struct end_record {
    char cause[24];
    int code;   /* -1: none */
    int signal; /* 0: none */
    int64_t started_us, ended_us; /* 0: never started */
    double cpu_seconds;
    bool has_message;
    char message[1024];
};

struct index_record { /* one line of log/index, little-endian */
    uint64_t time_us;
    uint32_t length;
    uint32_t stream; /* 1 out, 2 err */
};

struct board {
    /* written by MAIN */
    char token[33];
    pid_t main_pid;
    uint64_t main_start;
    _Atomic int phase;
    _Atomic uint64_t written[STREAMS]; /* bytes in the spool files */
    _Atomic uint64_t indexed[2];       /* of these, told by records in the spool's index; the rest belongs to `pending` */
    struct {
        uint64_t time_us;
        int stream;
    } pending; /* the read, or merged reads, that the index does not tell of yet; at most one stream has such */
    _Atomic bool in_hand[2];           /* MAIN may hold bytes that are neither in the pipe nor in the spool */
    _Atomic bool input_taken;          /* MAIN has command and environment; `environment` may go */
    _Atomic pid_t command_pid;
    uint64_t command_start;
    int64_t started_us;
    struct end_record end; /* valid in PHASE_ENDED */
    /* written by the carrier */
    _Atomic int claim;
    char reason[1024]; /* with CLAIM_REFUSED and CLAIM_UNUSABLE */
    _Atomic int control;
    _Atomic uint64_t durable[STREAMS]; /* bytes known to be safe on the share */
    _Atomic int outcome;
    _Atomic uint64_t beats;
    _Atomic int64_t seen_ms; /* when the carrier last went round its loop */
    double progress;         /* < 0: unknown */
    bool open_modes;
    char mark[512]; /* "WINSLOW_ATTEMPT=..." of the command, for finding left-over processes */
    /* by both */
    _Atomic bool carrier_sleeps; /* MAIN wakes it when there is something to carry */
    _Atomic uint64_t peak_memory, memory_now;
    _Atomic uint64_t cpu_ms; /* last known, for an end that MAIN cannot tell any more */
};

struct options {
    const char *attempt, *spool, *owner, *confine, *notify, *workdir;
    double timeout, grace, heartbeat; /* seconds; timeout 0: none */
    uint64_t memory, spool_limit;     /* bytes; memory 0: no limit */
    bool inherit;                     /* the command also gets the runner's own environment (launch.c) */
};

struct bytes {
    char *data;
    size_t len, cap;
};

struct text { /* a record being built; never longer than its room */
    char data[8192];
    size_t len;
};

/* spool.c: the local copy of the log */
struct spool {
    int dir;
    int fd[STREAMS];
};
bool spool_make(struct spool *spool, struct board *board, const struct options *options);
void spool_publish(const struct spool *spool, const char *token);
void spool_discard(const struct spool *spool, struct board *board, const struct options *options);
bool spool_append(const struct spool *spool, struct board *board, int stream, const char *data, size_t len);
ssize_t spool_splice(const struct spool *spool, struct board *board, int stream, int pipe, size_t most);
bool spool_index(const struct spool *spool, struct board *board, int stream, int64_t time_us); /* before append */
bool spool_index_pending(struct board *board);
bool spool_index_flush(const struct spool *spool, struct board *board);

/* launch.c: from argv and environment to a process */
struct launch {
    char **argv, **env;
    struct bytes command, environment, confine;
    const char *workdir;
    bool confined, inherit;
};
struct launch_failure { /* what the child says through the pipe when it cannot exec */
    int error;
    int exit_status;
    char text[512];
};
bool launch_prepare(struct launch *launch, struct launch_failure *why);
pid_t launch_start(const struct launch *launch, const int pipe_out[2], const int pipe_err[2], int report[2],
                   const int *close_in_child, size_t close_count);

/* landlock.c */
bool landlock_apply(const char *entries, size_t len, char *message, size_t room);

/* tree.c: the processes below MAIN, and what is left of them when MAIN is gone */
struct usage {
    uint64_t memory;
    double cpu_seconds;
    unsigned processes;
};
uint64_t process_start(pid_t pid);
unsigned tree_kill(pid_t root, pid_t spare);
struct usage tree_usage(pid_t root, pid_t spare, bool proportional);
unsigned tree_kill_marked(const char *mark, pid_t session, uint64_t session_start);

/* cgroup.c: what the kernel says of the container's memory; 0 outside of one */
uint64_t memory_kills(void);
uint64_t memory_limit(void);

/* claim.c: the records that decide who an attempt belongs to and how it ended */
enum claim_state claim_take(int dir, struct board *board, const char *owner, bool (*give_up)(void *), void *context);
bool claim_is_ours(int dir, const char *token);
enum outcome end_publish(int dir, struct board *board, int *error);

/* copy.c: spool -> share */
struct copy {
    int fd[STREAMS];
    uint64_t at[STREAMS], target[STREAMS], punched[STREAMS];
    char *buffer;
    bool cannot_punch;
};
void copy_start(struct copy *copy);
void copy_close(struct copy *copy);
bool copy_complete(const struct copy *copy, struct board *board);
int copy_round(struct copy *copy, int dir, const struct spool *spool, struct board *board);

/* progress.c */
double progress_in_log(const char *data, size_t len);
double progress_in_file(int dir);

/* carrier.c and supervise.c */
#define CHUNK 32768
_Noreturn void carrier(struct board *board, const struct options *options, const struct spool *spool, int socket,
                       const int read_ends[2]);
int supervise(struct board *board, const struct options *options, struct spool *spool);
void open_modes(int dir); /* modes.c */
int probe(const char *path); /* probe.c; the exit status */

/* util.c */
int64_t now_ms(void);      /* monotonic */
int64_t now_us(void);      /* since the epoch */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool write_all(int fd, const char *data, size_t len);
bool pwrite_all(int fd, const char *data, size_t len, uint64_t at);
int read_file(int dir, const char *name, size_t limit, struct bytes *into);
bool bytes_add(struct bytes *bytes, const char *data, size_t len);
void bytes_free(struct bytes *bytes);
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_string(struct text *text, const char *string);
void text_add_time(struct text *text, int64_t time_us);

#endif
