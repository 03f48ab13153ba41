/* The two records that decide: `claim` (who may run the attempt) and `end.json` (how it ended).
 *
 * Both are decided by one atomic creation of a name on the share: O_EXCL for the claim, link(2) for the end. NFS may tell
 * the winner of a link that it lost, so on EEXIST the token is read back. */
#define _GNU_SOURCE
#include "runner.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool holds_token(const struct bytes *content, const char *token) {
    char field[64];
    snprintf(field, sizeof field, "\"token\":\"%s\"", token);
    return memmem(content->data, content->len, field, strlen(field)) != NULL;
}

bool claim_is_ours(int dir, const char *token) {
    struct bytes content = {0};
    bool ours = read_file(dir, "claim", 65536, &content) == 0 && holds_token(&content, token);
    bytes_free(&content);
    return ours;
}

static void claim_text(struct text *text, const struct board *board, const char *owner) {
    struct utsname system;
    struct bytes boot = {0};
    bool named = uname(&system) == 0;
    if (read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 256, &boot) != 0)
        bytes_add(&boot, "", 0);
    if (boot.data)
        boot.data[strcspn(boot.data, "\n")] = 0;
    text_add(text, "{\"format\":1,\"token\":\"%s\",\"kind\":\"runner\",\"host\":", board->token);
    text_add_string(text, named ? system.nodename : "");
    text_add(text, ",\"boot_id\":");
    text_add_string(text, boot.data ? boot.data : "");
    text_add(text, ",\"pid\":%d,\"pid_start\":%llu,\"owner\":", (int)board->main_pid,
             (unsigned long long)board->main_start);
    text_add_string(text, owner);
    text_add(text, ",\"time\":");
    text_add_time(text, now_us());
    text_add(text, "}\n");
    bytes_free(&boot);
}

/* Tells whoever looks into the attempt that this runner came, found another's claim, and ran nothing. Best effort. */
static void note_refusal(int dir, const char *name_after, const struct bytes *seen) {
    char name[120] = "refused-";
    size_t len = strlen(name);
    for (const char *c = name_after; *c && len < sizeof name - 1; c++)
        name[len++] = isalnum((unsigned char)*c) || strchr("._-", *c) ? *c : '_';
    name[len] = 0;
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0 || !write_all(fd, seen->data, seen->len))
        say("cannot write %s: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static enum claim_state judge_found_claim(int dir, struct board *board, const char *owner) {
    struct bytes seen = {0};
    int error = read_file(dir, "claim", 65536, &seen);
    enum claim_state state = CLAIM_REFUSED;
    if (error && error != EFBIG && error != EACCES && error != EISDIR && error != EINVAL && error != ELOOP) {
        snprintf(board->reason, sizeof board->reason, "a claim exists but cannot be read: %s", strerror(error));
        state = CLAIM_UNUSABLE;
    } else if (!error && holds_token(&seen, board->token)) {
        state = CLAIM_WON;
    } else {
        snprintf(board->reason, sizeof board->reason, "%.*s", (int)(seen.len < 900 ? seen.len : 900), seen.data);
        note_refusal(dir, owner[0] ? owner : board->token, &seen);
    }
    bytes_free(&seen);
    return state;
}

/* Once the name is ours, nothing but its content is missing: errors are retried until `give_up` says otherwise. */
enum claim_state claim_take(int dir, struct board *board, const char *owner, bool (*give_up)(void *), void *context) {
    int fd = -1, said = 0;
    struct text text = {.len = 0};
    claim_text(&text, board, owner);
    if (!atomic_load(&board->claim)) {
        fd = openat(dir, "claim", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0 && errno == EEXIST)
            return judge_found_claim(dir, board, owner);
        if (fd < 0) {
            snprintf(board->reason, sizeof board->reason, "cannot make the claim: %s", strerror(errno));
            return CLAIM_UNUSABLE;
        }
        atomic_store(&board->claim, CLAIM_MADE);
    }
    for (;;) {
        if (fd < 0)
            fd = openat(dir, "claim", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && pwrite_all(fd, text.data, text.len, 0) && ftruncate(fd, (off_t)text.len) == 0 && fsync(fd) == 0 &&
            (fsync(dir) == 0 || errno == EINVAL)) {
            close(fd);
            return CLAIM_WON;
        }
        if (errno != said)
            say("cannot write the claim that is ours: %s; trying on", strerror(said = errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
        if (give_up(context)) {
            snprintf(board->reason, sizeof board->reason, "the claim could not be written: %s", strerror(said));
            return CLAIM_UNUSABLE;
        }
    }
}

static void end_text(struct text *text, const struct board *board) {
    const struct end_record *end = &board->end;
    text_add(text, "{\"format\":1,\"token\":\"%s\",\"by\":\"runner\",\"cause\":\"%s\",\"code\":", board->token, end->cause);
    text_add(text, end->code >= 0 ? "%d" : "null", end->code);
    text_add(text, ",\"signal\":");
    text_add(text, end->signal > 0 ? "%d" : "null", end->signal);
    text_add(text, ",\"started\":");
    text_add_time(text, end->started_us);
    text_add(text, ",\"ended\":");
    text_add_time(text, end->ended_us);
    text_add(text, ",\"cpu_seconds\":%.3f,\"peak_memory_bytes\":%llu,\"log\":{\"out\":%llu,\"err\":%llu,\"index\":%llu}",
             end->cpu_seconds, (unsigned long long)atomic_load(&board->peak_memory),
             (unsigned long long)atomic_load(&board->written[OUT]), (unsigned long long)atomic_load(&board->written[ERR]),
             (unsigned long long)atomic_load(&board->written[INDEX]));
    text_add(text, ",\"message\":");
    if (end->has_message)
        text_add_string(text, end->message);
    else
        text_add(text, "null");
    text_add(text, "}\n");
}

static bool write_new(int dir, const char *name, const struct text *text) {
    /* never O_TRUNC: after a carrier was killed between link and unlink this name IS end.json */
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return false;
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return false;
    bool done = write_all(fd, text->data, text->len) && fsync(fd) == 0;
    int error = errno;
    if (close(fd) < 0 && done)
        return false;
    errno = error;
    return done;
}

/* OUTCOME_NONE with *error set: to be tried again. */
enum outcome end_publish(int dir, struct board *board, int *error) {
    char temporary[64];
    snprintf(temporary, sizeof temporary, ".end-%s", board->token);
    struct text text = {.len = 0};
    end_text(&text, board);
    enum outcome outcome = OUTCOME_NONE;
    if (!write_new(dir, temporary, &text)) {
        *error = errno;
        return OUTCOME_NONE;
    }
    int linked = linkat(dir, temporary, dir, "end.json", 0);
    if (linked < 0 && (errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP || errno == EMLINK))
        linked = (int)syscall(SYS_renameat2, dir, temporary, dir, "end.json", 1 /* RENAME_NOREPLACE */);
    if (linked == 0) {
        outcome = OUTCOME_PUBLISHED;
    } else if (errno == EEXIST) {
        struct bytes seen = {0};
        *error = read_file(dir, "end.json", 1 << 20, &seen);
        if (!*error)
            outcome = holds_token(&seen, board->token) ? OUTCOME_PUBLISHED : OUTCOME_LOST;
        bytes_free(&seen);
    } else {
        *error = errno;
    }
    if (outcome != OUTCOME_NONE) {
        unlinkat(dir, temporary, 0);
        fsync(dir);
    }
    return outcome;
}
