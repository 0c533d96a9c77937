/* Reference: the formula. */
#include "kernels/normalize/normalize.h"

static bool each(const double *x, const struct lp_normalize_each *by, uint32_t count, double *y)
{
    bool inside = true;
    for (uint32_t i = 0; i < count; i++) {
        inside &= x[i] >= by->low[i] && x[i] <= by->high[i];
        y[i] = (x[i] - by->center[i]) / by->scale[i];
    }
    return inside;
}

static bool same(const double *x, const struct lp_normalize_same *by, uint32_t count, double *y)
{
    bool inside = true;
    for (uint32_t i = 0; i < count; i++) {
        inside &= x[i] >= by->low && x[i] <= by->high;
        y[i] = (x[i] - by->center) / by->scale;
    }
    return inside;
}

const struct lp_normalize_kernel lp_normalize_f64_scalar = {"scalar", each, same};
