/* A byte buffer that writers append to. Grows up to a stated maximum; the steady path reuses it after _clear. */
#ifndef LP_CORE_BUFFER_H
#define LP_CORE_BUFFER_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lp_buffer {
    unsigned char *data; /* owned; NULL until the first append */
    size_t size;         /* bytes in use */
    size_t capacity;     /* bytes allocated */
    size_t max;          /* bytes it may grow to */
    bool failed;         /* an append did not fit or memory ran out; sticky until _clear */
};

void lp_buffer_init(struct lp_buffer *buffer, size_t max_bytes);
void lp_buffer_done(struct lp_buffer *buffer);
static inline void lp_buffer_clear(struct lp_buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

/** Room for `bytes` more, or NULL (and `failed`); the caller writes and then adds to `size`. */
unsigned char *lp_buffer_reserve(struct lp_buffer *buffer, size_t bytes);

/** Appends never fail visibly: check `failed` once at the end (lp_buffer_check). */
void lp_buffer_append(struct lp_buffer *buffer, const void *data, size_t bytes);
void lp_buffer_text(struct lp_buffer *buffer, const char *text);
void lp_buffer_format(struct lp_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** JSON string with quotes; invalid UTF-8 becomes U+FFFD. */
void lp_buffer_json_string(struct lp_buffer *buffer, struct lp_span text);
/** Shortest decimal text that reads back the same float/double, as core/shortest.h says; nan, inf, -inf by name. */
void lp_buffer_float(struct lp_buffer *buffer, float value);
void lp_buffer_double(struct lp_buffer *buffer, double value);

static inline struct lp_span lp_buffer_span(const struct lp_buffer *buffer)
{
    return lp_span_of(buffer->data, buffer->size);
}

/** LP_OK, or LP_E_LIMIT naming `what` when an append did not fit. */
LP_MUST_USE enum lp_code lp_buffer_check(const struct lp_buffer *buffer, const char *what, struct lp_error *err);

#endif
