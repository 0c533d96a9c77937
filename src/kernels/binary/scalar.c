/* Reference. The steps are tested outside the loops, so that the compiler makes vectors of the baseline's registers. */
#include "kernels/binary/binary.h"

#include <math.h>

#define OF(name) static inline __attribute__((always_inline)) float name(float a, float b)
OF(add) { return a + b; }
OF(sub) { return a - b; }
OF(mul) { return a * b; }
OF(quotient) { return a / b; }
/* The last choice is a sum, which is NaN when either is. */
OF(lesser) { return a < b ? a : b <= a ? b : a + b; }
OF(greater) { return a > b ? a : b >= a ? b : a + b; }
OF(power) { return b == 2.0f ? a * a : b == 1.0f ? a : powf(a, b); }
OF(prelu) { return a < 0.0f ? a * b : a; }

#define RUN(name, of)                                                                                      \
    static void name(const float *a, size_t a_step, const float *b, size_t b_step, size_t count, float *y) \
    {                                                                                                      \
        if (a_step != 0 && b_step != 0) {                                                                  \
            for (size_t i = 0; i < count; i++) y[i] = of(a[i], b[i]);                                      \
        } else if (a_step != 0) {                                                                          \
            float right = count > 0 ? *b : 0.0f;                                                           \
            for (size_t i = 0; i < count; i++) y[i] = of(a[i], right);                                     \
        } else {                                                                                           \
            float left = count > 0 ? *a : 0.0f;                                                            \
            for (size_t i = 0; i < count; i++) y[i] = of(left, b[i * b_step]);                             \
        }                                                                                                  \
    }
RUN(run_add, add)
RUN(run_sub, sub)
RUN(run_mul, mul)
RUN(run_div, quotient)
RUN(run_min, lesser)
RUN(run_max, greater)
RUN(run_pow, power)
RUN(run_prelu, prelu)

const struct lp_binary_kernel lp_binary_f32_scalar = {
    .name = "scalar",
    .run = {[LP_BINARY_ADD] = run_add,
            [LP_BINARY_SUB] = run_sub,
            [LP_BINARY_MUL] = run_mul,
            [LP_BINARY_DIV] = run_div,
            [LP_BINARY_MIN] = run_min,
            [LP_BINARY_MAX] = run_max,
            [LP_BINARY_POW] = run_pow,
            [LP_BINARY_PRELU] = run_prelu},
};
