#include "data/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_BYTES = 1 << 16 };

enum lp_code lp_bytes_open(struct lp_bytes *bytes, const char *path, size_t max_bytes, struct lp_error *err)
{
    bool standard = strcmp(path, "-") == 0;
    *bytes = (struct lp_bytes){.name = standard ? "stdin" : path, .max = max_bytes};
    bytes->file = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (bytes->file < 0)
        return lp_fail(err, errno == ENOENT ? LP_E_NOT_FOUND : LP_E_IO, LP_FATAL, "%s: cannot be opened: %s", path,
                       strerror(errno));
    struct stat info;
    bytes->waits = fstat(bytes->file, &info) != 0 || !S_ISREG(info.st_mode);
    return LP_OK;
}

void lp_bytes_close(struct lp_bytes *bytes)
{
    if (bytes->file > STDIN_FILENO) close(bytes->file);
    free(bytes->data);
    *bytes = (struct lp_bytes){0};
}

/* Room for at least one byte behind the window. */
static enum lp_code make_room(struct lp_bytes *bytes, struct lp_error *err)
{
    if (bytes->begin > 0) {
        memmove(bytes->data, bytes->data + bytes->begin, lp_bytes_left(bytes));
        bytes->end -= bytes->begin;
        bytes->begin = 0;
    }
    if (bytes->end < bytes->capacity) return LP_OK;
    if (bytes->capacity == bytes->max)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: a record of more than %zu bytes: is it the right file?",
                       bytes->name, bytes->max);
    size_t wanted = bytes->capacity == 0 ? FIRST_BYTES : bytes->capacity * 2;
    if (wanted > bytes->max) wanted = bytes->max;
    unsigned char *grown = realloc(bytes->data, wanted + LP_BYTES_PADDING);
    if (grown == NULL) return lp_fail_memory(err, wanted);
    bytes->data = grown;
    bytes->capacity = wanted;
    return LP_OK;
}

enum lp_code lp_bytes_fill(struct lp_bytes *bytes, size_t wanted, struct lp_error *err)
{
    while (lp_bytes_left(bytes) < wanted && !bytes->at_end) {
        if (bytes->end == bytes->capacity) LP_TRY(make_room(bytes, err));
        if (bytes->waits && bytes->idle != NULL) bytes->idle(bytes->idle_context);
        ssize_t got = read(bytes->file, bytes->data + bytes->end, bytes->capacity - bytes->end);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return lp_fail(err, LP_E_IO, LP_FATAL, "%s: cannot be read: %s", bytes->name, strerror(errno));
        bytes->at_end = got == 0;
        bytes->end += (size_t)got;
    }
    return LP_OK;
}

enum lp_code lp_bytes_line(struct lp_bytes *bytes, struct lp_span *ret_line, struct lp_error *err)
{
    const unsigned char *newline = NULL;
    size_t seen = 0;
    for (;;) {
        size_t left = lp_bytes_left(bytes);
        if (left > seen) newline = memchr(lp_bytes_at(bytes) + seen, '\n', left - seen);
        if (newline != NULL || bytes->at_end) break;
        seen = left;
        LP_TRY(lp_bytes_fill(bytes, left + 1, err));
    }
    size_t left = lp_bytes_left(bytes);
    if (left == 0) {
        *ret_line = (struct lp_span){0};
        return LP_OK;
    }
    size_t length = newline != NULL ? (size_t)(newline - lp_bytes_at(bytes)) : left;
    struct lp_span line = lp_span_of(lp_bytes_at(bytes), length);
    if (line.size > 0 && line.data[line.size - 1] == '\r') line.size--;
    lp_bytes_take(bytes, newline != NULL ? length + 1 : length);
    *ret_line = line;
    return LP_OK;
}
