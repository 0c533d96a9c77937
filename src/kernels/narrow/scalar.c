/* Reference. The compiler makes vectors of the baseline's registers of it. */
#include "kernels/narrow/narrow.h"

static void run(const double *restrict x, size_t count, float *restrict y)
{
    for (size_t i = 0; i < count; i++) y[i] = (float)x[i];
}

const struct lp_narrow_kernel lp_narrow_f64_scalar = {"scalar", run};
