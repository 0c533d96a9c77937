/* What a path names: one file, stdin, or the files of a directory. */
#ifndef LP_DATA_INPUT_H
#define LP_DATA_INPUT_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_inputs {
    char **paths; /* owned, [count], sorted */
    uint32_t count;
    uint64_t total_bytes; /* 0: not known */
    bool seekable;
};

/** LP_E_NOT_FOUND (no such path, or a directory without files), LP_E_IO, LP_E_LIMIT, LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_inputs_find(const char *path, struct lp_inputs *ret_inputs, struct lp_error *err);
void lp_inputs_done(struct lp_inputs *inputs);

#endif
