/* From `command` and `environment` to a running process, with errors told in words through a pipe that exec closes. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define OPEN_MODES "WINSLOW_OPEN_MODES="

extern char **environ;

static bool fail(struct launch_failure *why, int exit_status, int error, const char *text) {
    why->error = error;
    why->exit_status = exit_status;
    snprintf(why->text, sizeof why->text, "%s", text);
    return false;
}

static char **split(struct bytes *bytes, size_t room, size_t *count) {
    size_t entries = room;
    for (size_t i = 0; i < bytes->len; i++)
        entries += bytes->data[i] == 0;
    char **list = calloc(entries + 1, sizeof *list);
    size_t n = 0;
    for (size_t at = 0; list && at < bytes->len; at += strlen(bytes->data + at) + 1)
        list[n++] = bytes->data + at;
    *count = n;
    return list;
}

/* What the place of execution put there for itself: the allocation's own variables, and what opens doors in its name. */
static bool is_private(const char *entry) {
    static const char *const beginnings[] = {"NOMAD_", "VAULT_TOKEN=", "CONSUL_TOKEN=", "CONSUL_HTTP_TOKEN=", OPEN_MODES};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (!strncmp(entry, beginnings[i], strlen(beginnings[i])))
            return true;
    return false;
}

static bool names(char **env, size_t count, const char *entry) {
    size_t len = strcspn(entry, "=") + 1;
    for (size_t i = 0; i < count; i++)
        if (!strncmp(env[i], entry, len))
            return true;
    return false;
}

static size_t inheritable(void) {
    size_t count = 0;
    while (environ[count])
        count++;
    return count;
}

bool launch_prepare(struct launch *launch, struct launch_failure *why) {
    struct bytes *command = &launch->command, *environment = &launch->environment;
    if (command->len == 0)
        return fail(why, EXIT_CANNOT_RUN, EINVAL, "the command is empty");
    if (command->data[command->len - 1] != 0)
        return fail(why, EXIT_CANNOT_RUN, EINVAL, "the command does not end in NUL: it was not written to its end");
    if (environment->len && environment->data[environment->len - 1] != 0)
        return fail(why, EXIT_CANNOT_RUN, EINVAL, "the environment does not end in NUL: it was not written to its end");
    if (launch->confine.len && launch->confine.data[launch->confine.len - 1] != 0)
        return fail(why, EXIT_CANNOT_RUN, EINVAL, "the confinement does not end in NUL: it was not written to its end");
    size_t count, kept = 0;
    size_t room = launch->inherit ? inheritable() : 0;
    launch->argv = split(command, 0, &count);
    launch->env = split(environment, room, &count);
    if (!launch->argv || !launch->env)
        return fail(why, EXIT_CANNOT_RUN, ENOMEM, "no memory for the command");
    for (size_t i = 0; i < count; i++)
        if (strncmp(launch->env[i], OPEN_MODES, strlen(OPEN_MODES)) != 0)
            launch->env[kept++] = launch->env[i];
    for (size_t own = kept, i = 0; i < room; i++) /* what the file sets comes first, and once */
        if (strchr(environ[i], '=') && !is_private(environ[i]) && !names(launch->env, own, environ[i]))
            launch->env[kept++] = environ[i];
    launch->env[kept] = NULL;
    if (launch->argv[0][0] == 0)
        return fail(why, EXIT_NOT_FOUND, ENOENT, "the command has an empty name");
    return true;
}

static const char *value_of(char **env, const char *name) {
    size_t len = strlen(name);
    for (; *env; env++)
        if (!strncmp(*env, name, len) && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

static _Noreturn void report_and_exit(int report, int exit_status, int error, const char *what, const char *name) {
    struct launch_failure why = {.error = error, .exit_status = exit_status};
    snprintf(why.text, sizeof why.text, "%s %.200s: %s", what, name, strerror(error));
    if (!write_all(report, (const char *)&why, sizeof why))
        _exit(exit_status);
    _exit(exit_status);
}

static void run_path(const struct launch *launch, int *worst, const char *path) {
    execve(path, launch->argv, launch->env);
    struct stat about;
    if (errno == ENOENT && stat(path, &about) == 0)
        errno = ELIBACC; /* it is there, what should load it is not */
    if (errno != ENOENT && errno != ENOTDIR)
        *worst = errno;
}

/* A script written on Windows: its first line ends in CR LF, and the kernel takes the CR for part of the name. */
static bool first_line_ends_in_cr(const char *path) {
    char line[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, line, sizeof line);
    close(fd);
    if (len < 2 || line[0] != '#' || line[1] != '!')
        return false;
    char *end = memchr(line, '\n', (size_t)len);
    return end && end[-1] == '\r';
}

static bool may_nobody_execute(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && !(about.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH));
}

static _Noreturn void run(const struct launch *launch, int report) {
    const char *name = launch->argv[0];
    int worst = ENOENT;
    if (strchr(name, '/')) {
        run_path(launch, &worst, name);
    } else {
        const char *path = value_of(launch->env, "PATH");
        if (!path)
            path = DEFAULT_PATH;
        for (const char *end; worst == ENOENT || worst == EACCES; path = end + 1) {
            end = strchrnul(path, ':');
            char candidate[PATH_MAX];
            int len = snprintf(candidate, sizeof candidate, "%.*s%s%s", (int)(end - path), path, end > path ? "/" : "./", name);
            if (len > 0 && (size_t)len < sizeof candidate)
                run_path(launch, &worst, candidate);
            if (!*end)
                break;
        }
    }
    if (worst == ENOENT)
        report_and_exit(report, EXIT_NOT_FOUND, ENOENT, "cannot run", name);
    if (worst == ELIBACC && first_line_ends_in_cr(name))
        report_and_exit(report, EXIT_NOT_FOUND, ENOENT,
                        "a script with the line ends of Windows; save it with those of Unix (LF):", name);
    if (worst == ELIBACC)
        report_and_exit(report, EXIT_NOT_FOUND, ENOENT, "the interpreter or loader is missing that is needed to run", name);
    if (worst == ENOEXEC)
        report_and_exit(report, EXIT_CANNOT_RUN, ENOEXEC,
                        "a program for another architecture, or a script without a #! line:", name);
    if (worst == EACCES && strchr(name, '/') && may_nobody_execute(name))
        report_and_exit(report, EXIT_CANNOT_RUN, EACCES,
                        "it is not executable; chmod +x it, or put its interpreter before it in the command:", name);
    report_and_exit(report, EXIT_CANNOT_RUN, worst, "cannot run", name);
}

static _Noreturn void child(const struct launch *launch, pid_t parent, int out, int err, int report) {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(EXIT_OWN_FAILURE);
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int empty[2];
    if (nothing < 0 && pipe2(empty, O_CLOEXEC) == 0) {
        close(empty[1]);
        nothing = empty[0];
    }
    if (dup2(nothing, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        report_and_exit(report, EXIT_CANNOT_RUN, errno, "cannot set up", "the standard streams");
    if (chdir(launch->workdir) < 0)
        report_and_exit(report, EXIT_CANNOT_RUN, errno, "cannot enter the working directory", launch->workdir);
    if (launch->confined) {
        struct launch_failure why = {.error = EPERM, .exit_status = EXIT_CANNOT_RUN};
        bool go_on = landlock_apply(launch->confine.data, launch->confine.len, why.text, sizeof why.text);
        if (go_on)
            why.exit_status = 0; /* a remark, no failure */
        if (why.text[0] && !write_all(report, (const char *)&why, sizeof why))
            _exit(EXIT_OWN_FAILURE);
        if (!go_on)
            _exit(EXIT_CANNOT_RUN);
    }
    run(launch, report);
}

/* Returns the process, or -1 with errno. What it has to say about its start comes through `report`, whose reading end
 * sees EOF once exec has succeeded. */
pid_t launch_start(const struct launch *launch, const int pipe_out[2], const int pipe_err[2], int report[2],
                   const int *close_in_child, size_t close_count) {
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < close_count; i++)
            close(close_in_child[i]); /* MAIN's end of the socket: the carrier must see EOF even if we hang before exec */
        child(launch, parent, pipe_out[1], pipe_err[1], report[1]);
    }
    int error = errno;
    close(report[1]);
    if (pid < 0)
        close(report[0]);
    errno = error;
    return pid;
}
