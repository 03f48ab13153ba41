/* Small tools: clocks, whole writes, whole reads of small files, building JSON, and the runner's own few lines. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const stream_name[STREAMS] = {"out", "err", "index"};

int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The length of the well-formed UTF-8 sequence at `s`, or 0. */
static size_t utf8_length(const unsigned char *s) {
    if (s[0] < 0x80)
        return 1;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/* Dropped rather than waited for: whoever reads our stderr must not be able to stop the attempt. */
void say(const char *format, ...) {
    char line[1024] = "winslow-run: ";
    size_t head = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    int said = vsnprintf(line + head, sizeof line - head - 1, format, arguments);
    va_end(arguments);
    if (said < 0)
        return;
    size_t end = head + (size_t)said;
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    line[end] = 0;
    for (size_t i = head, len; i < end; i += len ? len : 1) { /* names come from outside: one line of text it stays */
        len = utf8_length((unsigned char *)line + i);
        if (len == 0)
            line[i] = '?';
        else if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    }
    line[end++] = '\n';
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) && write(STDERR_FILENO, line, end) < 0)
        return;
}

bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t done = write(fd, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        data += done;
        len -= (size_t)done;
    }
    return true;
}

bool pwrite_all(int fd, const char *data, size_t len, uint64_t at) {
    while (len > 0) {
        ssize_t done = pwrite(fd, data, len, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            errno = EIO;
        if (done <= 0)
            return false;
        data += done;
        len -= (size_t)done;
        at += (uint64_t)done;
    }
    return true;
}

bool bytes_add(struct bytes *bytes, const char *data, size_t len) {
    if (bytes->cap - bytes->len <= len) {
        size_t cap = bytes->cap ? bytes->cap : 4096;
        while (cap - bytes->len <= len)
            cap *= 2;
        char *grown = realloc(bytes->data, cap);
        if (!grown)
            return false;
        bytes->data = grown;
        bytes->cap = cap;
    }
    if (len)
        memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    bytes->data[bytes->len] = 0; /* so that it may be read as a string, too */
    return true;
}

void bytes_free(struct bytes *bytes) {
    free(bytes->data);
    *bytes = (struct bytes){0};
}

/* Opened anew every time: on NFS only that shows what another host has written. Returns 0 or an errno. A process of
 * the stage may have put a FIFO, a device or a link there: none of them may hold or mislead us. */
int read_file(int dir, const char *name, size_t limit, struct bytes *into) {
    into->len = 0;
    if (!bytes_add(into, "", 0))
        return ENOMEM;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno;
    struct stat about;
    int error = 0;
    if (fstat(fd, &about) < 0)
        error = errno;
    else if (!S_ISREG(about.st_mode))
        error = S_ISDIR(about.st_mode) ? EISDIR : EINVAL;
    char chunk[16384];
    while (!error) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            error = errno;
        if (got <= 0)
            break;
        if (into->len + (size_t)got > limit)
            error = EFBIG;
        else if (!bytes_add(into, chunk, (size_t)got))
            error = ENOMEM;
    }
    close(fd);
    return error;
}

void text_add(struct text *text, const char *format, ...) {
    size_t room = sizeof text->data - text->len;
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text->data + text->len, room, format, arguments);
    va_end(arguments);
    if (len > 0)
        text->len += (size_t)len < room ? (size_t)len : room - 1;
}

void text_add_string(struct text *text, const char *string) {
    text_add(text, "\"");
    for (const unsigned char *s = (const unsigned char *)string; *s;) {
        size_t len = utf8_length(s);
        if (len == 0) {
            text_add(text, "\\ufffd");
            s++;
        } else if (*s == '"' || *s == '\\') {
            text_add(text, "\\%c", *s++);
        } else if (*s < 0x20 || *s == 0x7f) {
            text_add(text, "\\u%04x", *s++);
        } else {
            text_add(text, "%.*s", (int)len, (const char *)s);
            s += len;
        }
    }
    text_add(text, "\"");
}

void text_add_time(struct text *text, int64_t time_us) {
    if (time_us <= 0) {
        text_add(text, "null");
        return;
    }
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm utc;
    char date[40];
    if (!gmtime_r(&seconds, &utc) || !strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc)) {
        text_add(text, "null");
        return;
    }
    text_add(text, "\"%s.%06dZ\"", date, (int)(time_us % 1000000));
}
