/* The processes that belong to an attempt: finding, measuring and killing them.
 *
 * MAIN is a subreaper, so everything the command ever started is below MAIN, whatever it did to detach itself. Once MAIN
 * is gone that no longer holds; then the mark in the environment and the session tell. */
#define _GNU_SOURCE
#include "runner.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pids {
    pid_t *list;
    size_t count, cap;
};

static void pids_add(struct pids *pids, pid_t pid) {
    if (pids->count == pids->cap) {
        size_t cap = pids->cap ? pids->cap * 2 : 64;
        pid_t *grown = realloc(pids->list, cap * sizeof *grown);
        if (!grown)
            return;
        pids->list = grown;
        pids->cap = cap;
    }
    pids->list[pids->count++] = pid;
}

struct about {
    char state;
    pid_t parent, session;
    uint64_t start;
    double cpu_seconds; /* own, and of the children it has waited for */
    double waited_cpu_seconds;
    uint64_t resident;
};

static bool process_about(pid_t pid, struct about *about) {
    char path[48], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, line, sizeof line - 1);
    close(fd);
    if (len <= 0)
        return false;
    line[len] = 0;
    char *rest = strrchr(line, ')'); /* the name may hold anything */
    int parent, session;
    unsigned long long user, system, start;
    long long waited_user, waited_system, resident;
    if (!rest ||
        sscanf(rest + 1, " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %*d %*d %llu %*u %lld",
               &about->state, &parent, &session, &user, &system, &waited_user, &waited_system, &start, &resident) != 9)
        return false;
    double tick = (double)sysconf(_SC_CLK_TCK);
    about->parent = parent;
    about->session = session;
    about->start = start;
    about->waited_cpu_seconds = (double)(waited_user + waited_system) / tick;
    about->cpu_seconds = (double)(user + system) / tick + about->waited_cpu_seconds;
    about->resident = resident > 0 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    return true;
}

uint64_t process_start(pid_t pid) {
    struct about about;
    return process_about(pid, &about) ? about.start : 0;
}

/* Adds the children of one process; false when this kernel does not tell (no CONFIG_PROC_CHILDREN). */
static bool add_children(struct pids *pids, pid_t pid) {
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads)
        return true; /* it is gone */
    bool told = true;
    for (struct dirent *thread; told && (thread = readdir(threads));) {
        if (!isdigit((unsigned char)thread->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, thread->d_name);
        FILE *children = fopen(path, "re");
        if (!children) {
            told = errno != ENOENT || access("/proc/thread-self/children", F_OK) == 0;
            continue;
        }
        for (int child; fscanf(children, "%d", &child) == 1;)
            pids_add(pids, child);
        fclose(children);
    }
    closedir(threads);
    return told;
}

static void all_processes(struct pids *pids) {
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    for (struct dirent *entry; (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0]))
            pids_add(pids, (pid_t)atoi(entry->d_name));
    closedir(proc);
}

/* By the parent of every process: slower, works everywhere. */
static void descend_by_parent(struct pids *pids, pid_t root, pid_t spare) {
    struct pids all = {0};
    all_processes(&all);
    pid_t *parent = calloc(all.count + 1, sizeof *parent);
    for (size_t i = 0; parent && i < all.count; i++) {
        struct about about;
        parent[i] = process_about(all.list[i], &about) ? about.parent : 0;
    }
    pids->count = 0;
    for (size_t done = 0; parent && done <= pids->count; done++) {
        pid_t above = done == 0 ? root : pids->list[done - 1];
        for (size_t i = 0; i < all.count; i++)
            if (parent[i] == above && all.list[i] != spare)
                pids_add(pids, all.list[i]);
    }
    free(parent);
    free(all.list);
}

static struct pids descendants(pid_t root, pid_t spare) {
    struct pids pids = {0};
    if (!add_children(&pids, root)) {
        descend_by_parent(&pids, root, spare);
        return pids;
    }
    for (size_t i = 0; i < pids.count; i++) {
        if (pids.list[i] == spare) {
            pids.list[i--] = pids.list[--pids.count];
            continue;
        }
        if (!add_children(&pids, pids.list[i])) {
            descend_by_parent(&pids, root, spare);
            break;
        }
    }
    return pids;
}

/* Returns how many were there. Zombies count: they are gone once MAIN, or their parent, has reaped them. */
unsigned tree_kill(pid_t root, pid_t spare) {
    struct pids pids = descendants(root, spare);
    for (size_t i = 0; i < pids.count; i++)
        kill(pids.list[i], SIGKILL);
    free(pids.list);
    return (unsigned)pids.count;
}

static bool proportional_size(pid_t pid, uint64_t *size) {
    char path[48], line[4096];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, line, sizeof line - 1);
    close(fd);
    if (len <= 0)
        return false;
    line[len] = 0;
    char *pss = strstr(line, "\nPss:");
    if (!pss)
        return false;
    *size = strtoull(pss + 5, NULL, 10) * 1024;
    return true;
}

struct usage tree_usage(pid_t root, pid_t spare, bool proportional) {
    struct usage usage = {0};
    struct about about;
    if (process_about(root, &about))
        usage.cpu_seconds = about.waited_cpu_seconds;
    struct pids pids = descendants(root, spare);
    for (size_t i = 0; i < pids.count; i++) {
        if (!process_about(pids.list[i], &about))
            continue;
        uint64_t size = about.resident;
        if (proportional)
            proportional_size(pids.list[i], &size);
        usage.memory += size;
        usage.cpu_seconds += about.cpu_seconds;
        usage.processes++;
    }
    free(pids.list);
    return usage;
}

static bool carries_mark(pid_t pid, const char *mark) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct bytes environment = {0};
    char chunk[8192];
    bool fits = true;
    for (ssize_t got; fits && (got = read(fd, chunk, sizeof chunk)) > 0;)
        fits = environment.len < (4u << 20) && bytes_add(&environment, chunk, (size_t)got);
    close(fd);
    bool found = false;
    for (size_t at = 0; !found && at < environment.len; at += strlen(environment.data + at) + 1)
        found = strcmp(environment.data + at, mark) == 0;
    bytes_free(&environment);
    return found;
}

/* Kills every process with the mark, and those of the command's session that are not older than the command (session 0:
 * none by that). Returns how many live ones were seen. */
unsigned tree_kill_marked(const char *mark, pid_t session, uint64_t session_start) {
    struct pids pids = {0};
    all_processes(&pids);
    unsigned seen = 0;
    for (size_t i = 0; i < pids.count; i++) {
        pid_t pid = pids.list[i];
        struct about about;
        if (pid == getpid() || pid <= 1 || !process_about(pid, &about) || about.state == 'Z' || about.state == 'X' ||
            about.parent == getpid())
            continue;
        bool ours = (session > 0 && about.session == session && about.start >= session_start) ||
                    (mark[0] && carries_mark(pid, mark));
        if (!ours)
            continue;
        kill(pid, SIGKILL);
        seen++;
    }
    free(pids.list);
    return seen;
}
