/* Text of `key=value` lines, and lists of numbers in it. Private to import/. */
#ifndef LP_IMPORT_LINES_H
#define LP_IMPORT_LINES_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_lines {
    struct lp_span bytes; /* borrowed */
    size_t at;
    uint32_t number; /* of the line that was read last, from 1 */
};

/** One line without its end; has_value: `text` was cut at its first =. */
struct lp_line {
    struct lp_span key, value;
    bool has_value;
};

/** False at the end. */
bool lp_lines_next(struct lp_lines *lines, struct lp_line *ret_line);

/** The next word of a text that spaces separate; false when there is none. */
bool lp_word_next(struct lp_span *text, struct lp_span *ret_word);

/** Words as numbers, appended to `to` (double); LP_E_INVALID names the word. */
LP_MUST_USE enum lp_code lp_words_doubles(struct lp_span text, const char *what, struct lp_buffer *to,
                                          struct lp_error *err);
/** Words as whole numbers from low to high, appended to `to` (int64_t). */
LP_MUST_USE enum lp_code lp_words_wholes(struct lp_span text, const char *what, int64_t low, int64_t high,
                                         struct lp_buffer *to, struct lp_error *err);

/** One number, the whole text. */
LP_MUST_USE enum lp_code lp_word_double(struct lp_span word, const char *what, double *ret_number,
                                        struct lp_error *err);
LP_MUST_USE enum lp_code lp_word_whole(struct lp_span word, const char *what, int64_t low, int64_t high,
                                       int64_t *ret_whole, struct lp_error *err);

#endif
