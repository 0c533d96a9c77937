/* A file or stdin as a sliding window of bytes, bounded. */
#ifndef LP_DATA_BYTES_H
#define LP_DATA_BYTES_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stddef.h>

enum { LP_BYTES_PADDING = 64 }; /* behind the window's capacity: a reader may look there, and put a sentinel */

struct lp_bytes {
    const char *name; /* for error texts; borrowed */
    int file;
    bool waits; /* a pipe or a terminal: reading may block */
    bool at_end;
    unsigned char *data; /* owned */
    size_t begin, end;   /* of what was read and not taken */
    size_t capacity, max;
    void (*idle)(void *context); /* called before a read that may block; NULL: nothing */
    void *idle_context;
};

/** Open `path`, or stdin for "-"; the window never holds more than max_bytes. */
LP_MUST_USE enum lp_code lp_bytes_open(struct lp_bytes *bytes, const char *path, size_t max_bytes,
                                       struct lp_error *err);
void lp_bytes_close(struct lp_bytes *bytes);

/** Read until `wanted` bytes are in the window or the input ends. LP_E_LIMIT past the maximum, LP_E_IO. */
LP_MUST_USE enum lp_code lp_bytes_fill(struct lp_bytes *bytes, size_t wanted, struct lp_error *err);

static inline size_t lp_bytes_left(const struct lp_bytes *bytes) { return bytes->end - bytes->begin; }
static inline const unsigned char *lp_bytes_at(const struct lp_bytes *bytes) { return bytes->data + bytes->begin; }
/** Let go of the first `count` bytes of the window. */
static inline void lp_bytes_take(struct lp_bytes *bytes, size_t count) { bytes->begin += count; }

/**
 * The next line without its end (\n or \r\n), taken from the window and valid until the next call.
 * *ret_line.data is NULL at the end of the input.
 */
LP_MUST_USE enum lp_code lp_bytes_line(struct lp_bytes *bytes, struct lp_span *ret_line, struct lp_error *err);

#endif
