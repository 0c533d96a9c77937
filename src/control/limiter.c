#include "control/limiter.h"

#include <stdlib.h>

static const uint64_t MINUTE_NS = UINT64_C(60000000000);

enum lp_code lp_limiter_init(struct lp_limiter *limiter, uint32_t max, struct lp_error *err)
{
    *limiter = (struct lp_limiter){.max = max < LP_LIMITER_MAX ? max : LP_LIMITER_MAX};
    if (limiter->max == 0) return LP_OK;
    limiter->times_ns = calloc(limiter->max, sizeof *limiter->times_ns);
    return limiter->times_ns != NULL ? LP_OK : lp_fail_memory(err, limiter->max * sizeof *limiter->times_ns);
}

void lp_limiter_done(struct lp_limiter *limiter)
{
    free(limiter->times_ns);
    *limiter = (struct lp_limiter){0};
}

bool lp_limiter_take(struct lp_limiter *limiter, uint64_t now_ns)
{
    if (limiter->max == 0) return true;
    if (limiter->count < limiter->max) {
        limiter->times_ns[limiter->count++] = now_ns;
        return true;
    }
    if (now_ns - limiter->times_ns[limiter->oldest] < MINUTE_NS) return false;
    limiter->times_ns[limiter->oldest] = now_ns;
    limiter->oldest = (limiter->oldest + 1) % limiter->max;
    return true;
}
