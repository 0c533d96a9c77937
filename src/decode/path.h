/* Paths of wants, split into steps: `user.age`, `a[2]`, `m.key`, `odd\.name`. */
#ifndef LP_DECODE_PATH_H
#define LP_DECODE_PATH_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LP_PATH_BYTES_MAX = 1024,
    LP_PATH_STEPS_MAX = 64,
    LP_PATH_INDEX_MAX = 16 * 1024 * 1024 - 1,
};

/** One step down: into a record's field or a map's entry (key), or to an element of an array (index). */
struct lp_path_step {
    bool is_index;
    uint32_t index;     /* is_index */
    struct lp_span key; /* !is_index; unescaped, not terminated, owned by the path */
};

/** Caller's storage, no heap: about 3 KB. Keys point into `bytes`, so do not copy the struct. */
struct lp_path {
    uint32_t step_count;
    struct lp_path_step steps[LP_PATH_STEPS_MAX];
    unsigned char bytes[LP_PATH_BYTES_MAX];
};

/**
 * Split a path. A backslash takes `.`, `[`, `]` and itself literally; a path may begin with `[i]`.
 *
 * @param text borrowed for the call
 * @return LP_E_INVALID (empty path or step, bad index or escape), LP_E_LIMIT (longer than the limits above),
 *         LP_E_UNSUPPORTED for `items[]`; err->field is the path, the action LP_FATAL
 */
LP_MUST_USE enum lp_code lp_path_split(const char *text, struct lp_path *ret_path, struct lp_error *err);

#endif
