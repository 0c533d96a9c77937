/* Texts as small numbers, in the order of their first use. */
#ifndef LP_TRAIN_WORDS_H
#define LP_TRAIN_WORDS_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_words {
    uint32_t count, max;
    char **texts;    /* [count], owned, zero-terminated */
    uint32_t *slots; /* open addressing: number + 1, 0 is free */
    uint32_t slot_count, capacity;
    bool full; /* a text beyond the maximum was asked for */
};

void lp_words_init(struct lp_words *words, uint32_t max);
void lp_words_done(struct lp_words *words);
/** Number of a text, UINT32_MAX when the words are full. LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_words_take(struct lp_words *words, struct lp_span text, uint32_t *ret_number,
                                       struct lp_error *err);

#endif
