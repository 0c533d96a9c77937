/* Borrowed byte ranges. A span never owns; data == NULL means "absent", size 0 with data means "empty". */
#ifndef LP_CORE_SPAN_H
#define LP_CORE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct lp_span {
    const unsigned char *data; /* borrowed; NULL: absent */
    size_t size;               /* bytes */
};

static inline struct lp_span lp_span_of(const void *data, size_t size)
{
    return (struct lp_span){.data = data, .size = size};
}

static inline struct lp_span lp_span_text(const char *text)
{
    return (struct lp_span){.data = (const unsigned char *)text, .size = text != NULL ? strlen(text) : 0};
}

static inline bool lp_span_equal(struct lp_span a, struct lp_span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool lp_span_is(struct lp_span a, const char *text) { return lp_span_equal(a, lp_span_text(text)); }

#endif
