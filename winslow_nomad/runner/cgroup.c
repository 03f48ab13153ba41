/* What the kernel says of the container's memory: how often it killed a process in it for want of memory, and what the
 * limit is. Of use only where the runner is the first process of a container: there the files are the container's own. */
#define _GNU_SOURCE
#include "runner.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define V2 "/sys/fs/cgroup/"
#define V1 "/sys/fs/cgroup/memory/"

static bool first_process(void) {
    return getpid() == 1;
}

/* The number after `key` in one of two files, of which only one exists; 0: there is none. */
static uint64_t number(const char *v2, const char *v1, const char *key) {
    struct bytes content = {0};
    uint64_t found = 0;
    if (read_file(AT_FDCWD, v2, 65536, &content) == 0 || read_file(AT_FDCWD, v1, 65536, &content) == 0) {
        size_t len = strlen(key);
        for (const char *line = content.data; line; line = strchr(line, '\n')) {
            line += *line == '\n';
            if (!strncmp(line, key, len) && line[len] >= '0' && line[len] <= '9')
                found = strtoull(line + len, NULL, 10);
        }
    }
    bytes_free(&content);
    return found;
}

uint64_t memory_kills(void) {
    return first_process() ? number(V2 "memory.events", V1 "memory.oom_control", "oom_kill ") : 0;
}

uint64_t memory_limit(void) {
    return first_process() ? number(V2 "memory.max", V1 "memory.limit_in_bytes", "") : 0;
}
