/* AVX-512: 8 doubles at a time, the tail masked in load and store. */
#include "kernels/narrow/narrow.h"

#include <immintrin.h>

enum { LANES = 8 };

static void run(const double *x, size_t count, float *y)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) _mm256_storeu_ps(y + i, _mm512_cvtpd_ps(_mm512_loadu_pd(x + i)));
    if (i == count) return;
    __mmask8 mask = (__mmask8)((1u << (count - i)) - 1);
    _mm256_mask_storeu_ps(y + i, mask, _mm512_cvtpd_ps(_mm512_maskz_loadu_pd(mask, x + i)));
}

const struct lp_narrow_kernel lp_narrow_f64_avx512 = {"avx512", run};
