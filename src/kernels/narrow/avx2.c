/* AVX2: 4 doubles at a time, two of them a round; the tail one by one. */
#include "kernels/narrow/narrow.h"

#include <immintrin.h>

enum { LANES = 4 };

static void run(const double *x, size_t count, float *y)
{
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        __m128 a = _mm256_cvtpd_ps(_mm256_loadu_pd(x + i)), b = _mm256_cvtpd_ps(_mm256_loadu_pd(x + i + LANES));
        _mm256_storeu_ps(y + i, _mm256_set_m128(b, a));
    }
    for (; i < count; i++) y[i] = (float)x[i];
}

const struct lp_narrow_kernel lp_narrow_f64_avx2 = {"avx2", run};
