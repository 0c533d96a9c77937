/* At most so many events in any minute. Not thread-safe. */
#ifndef LP_CONTROL_LIMITER_H
#define LP_CONTROL_LIMITER_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_LIMITER_MAX = 10000 };

struct lp_limiter {
    uint32_t max, count, oldest;
    uint64_t *times_ns; /* [max], a ring of the last events */
};

/** @param max events a minute, at most LP_LIMITER_MAX; 0: any number. LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_limiter_init(struct lp_limiter *limiter, uint32_t max, struct lp_error *err);
void lp_limiter_done(struct lp_limiter *limiter);

/** May one more happen now (monotonic clock)? True counts it. */
bool lp_limiter_take(struct lp_limiter *limiter, uint64_t now_ns);

#endif
