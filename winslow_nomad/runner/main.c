/* winslow-run: the entry point of every attempt. Reads its arguments, frees itself from the share (a copy of the program
 * in memory, no inherited descriptors, no working directory there), makes the spool, and supervises. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IN_MEMORY "WINSLOW_RUN_IN_MEMORY"

extern char **environ;

static const char usage[] =
    "usage: winslow-run --attempt DIR --spool DIR [--owner TEXT] [--timeout SECONDS] [--grace SECONDS]\n"
    "         [--memory BYTES] [--spool-limit BYTES] [--confine FILE] [--notify SOCKET] [--heartbeat SECONDS]\n"
    "         [--workdir DIR] [--inherit]\n"
    "       winslow-run --probe DIR\n"
    "       winslow-run --version\n";

static bool seconds(const char *text, double least, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*value) && *value >= least && *value <= 1e9;
}

static bool size(const char *text, uint64_t *value) {
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && *value > 0 && *value <= INT64_MAX;
}

/* Nothing of the runner is relative to a working directory: it leaves that one, which may lie on the share. */
static const char *absolute(const char *path) {
    char here[PATH_MAX], *joined;
    if (!path || path[0] == '/')
        return path;
    if (!getcwd(here, sizeof here) || asprintf(&joined, "%s/%s", here, path) < 0)
        return path;
    return joined;
}

static bool wrong(const char *what, const char *value) {
    say("%s: %s", what, value);
    if (write(STDERR_FILENO, usage, sizeof usage - 1) < 0)
        return false;
    return false;
}

static bool read_arguments(int argc, char **argv, struct options *options) {
    static const struct option known[] = {
        {"attempt", required_argument, NULL, 'a'}, {"spool", required_argument, NULL, 's'},
        {"owner", required_argument, NULL, 'o'},   {"timeout", required_argument, NULL, 't'},
        {"grace", required_argument, NULL, 'g'},   {"memory", required_argument, NULL, 'm'},
        {"spool-limit", required_argument, NULL, 'l'}, {"confine", required_argument, NULL, 'c'},
        {"notify", required_argument, NULL, 'n'},  {"heartbeat", required_argument, NULL, 'h'},
        {"workdir", required_argument, NULL, 'w'}, {"inherit", no_argument, NULL, 'i'},
        {"probe", required_argument, NULL, 'p'},   {"version", no_argument, NULL, 'v'}, {NULL, 0, NULL, 0}};
    *options = (struct options){.owner = "", .grace = 30, .heartbeat = 10, .spool_limit = 1ull << 30};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        bool good = true;
        switch (option) {
        case 'a': options->attempt = optarg; break;
        case 's': options->spool = optarg; break;
        case 'o': options->owner = optarg; break;
        case 'c': options->confine = optarg; break;
        case 'n': options->notify = optarg; break;
        case 'w': options->workdir = optarg; break;
        case 'i': options->inherit = true; break;
        case 't': good = seconds(optarg, 0, &options->timeout); break;
        case 'g': good = seconds(optarg, 0, &options->grace); break;
        case 'h': good = seconds(optarg, 0.01, &options->heartbeat); break;
        case 'm': good = size(optarg, &options->memory); break;
        case 'l': good = size(optarg, &options->spool_limit); break;
        case 'p': exit(probe(optarg));
        case 'v':
            if (printf("winslow-run %s\n", RUNNER_VERSION) < 0)
                exit(EXIT_OWN_FAILURE);
            exit(fflush(stdout) == 0 ? 0 : EXIT_OWN_FAILURE);
        default: return wrong("unknown or incomplete option", argv[optind - 1]);
        }
        if (!good)
            return wrong("not a valid value", optarg);
    }
    if (optind < argc)
        return wrong("unexpected argument", argv[optind]);
    if (!options->attempt || !options->attempt[0])
        return wrong("missing", "--attempt DIR");
    if (!options->spool || !options->spool[0])
        return wrong("missing", "--spool DIR");
    if (strlen(options->owner) > 1024)
        return wrong("too long", "--owner");
    options->attempt = absolute(options->attempt);
    options->spool = absolute(options->spool);
    options->confine = absolute(options->confine);
    options->notify = absolute(options->notify);
    options->workdir = absolute(options->workdir);
    char *workspace;
    if (!options->workdir) {
        if (asprintf(&workspace, "%s/workspace", options->attempt) < 0)
            return wrong("no memory for", options->attempt);
        options->workdir = workspace;
    }
    return true;
}

/* The program lies on the share; once that stalls, the next page fault would stop us for good. */
static void move_into_memory(char **argv) {
    if (getenv(IN_MEMORY)) {
        unsetenv(IN_MEMORY);
        return;
    }
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0)
        return;
    int copy = memfd_create("winslow-run", MFD_CLOEXEC | 0x10u /* MFD_EXEC */);
    if (copy < 0)
        copy = memfd_create("winslow-run", MFD_CLOEXEC);
    struct stat about;
    off_t at = 0;
    if (copy >= 0 && fstat(self, &about) == 0) {
        while (at < about.st_size && sendfile(copy, self, &at, (size_t)(about.st_size - at)) > 0)
            ;
        if (at == about.st_size && setenv(IN_MEMORY, "1", 1) == 0)
            syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
    }
    unsetenv(IN_MEMORY); /* forbidden here: it runs from where it is */
    if (copy >= 0)
        close(copy);
    close(self);
}

static void close_inherited(void) {
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            break;
    if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
        return;
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
}

int main(int argc, char **argv) {
    struct options options;
    if (!read_arguments(argc, argv, &options))
        return EXIT_OWN_FAILURE;
    close_inherited();
    move_into_memory(argv);
    prctl(PR_SET_NAME, "winslow-run", 0, 0, 0);
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned char random[16];
    if (board == MAP_FAILED || getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        say("cannot start: %s", strerror(errno));
        return EXIT_OWN_FAILURE;
    }
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(board->token + 2 * i, 3, "%02x", random[i]);
    board->main_pid = getpid();
    board->main_start = process_start(getpid());
    board->progress = -1;
    struct spool spool;
    if (!spool_make(&spool, board, &options)) {
        say("cannot make the spool %s: %s", options.spool, strerror(errno));
        return EXIT_OWN_FAILURE;
    }
    if (chdir("/") < 0)
        say("cannot leave the working directory: %s", strerror(errno));
    return supervise(board, &options, &spool);
}
