/*
 * AVX-512: 16 values at a time, the tail masked in load and store. exp: n = round(x / ln 2), r = x - n ln 2 in two
 * parts, exp(r) - 1 by polynomial, 2^n by vscalefps (denormals come out right). The argument is never positive. Operand
 * order of max keeps NaN. gelu (erf) and softplus are the scalar kernel's.
 */
#include "kernels/activation/activation.h"

#include <immintrin.h>

enum { LANES = 16 };
#define INLINE static inline __attribute__((always_inline))
#define SET(value) _mm512_set1_ps(value)

INLINE __mmask16 tail_mask(size_t left) { return (__mmask16)(left >= LANES ? 0xFFFFu : (1u << left) - 1u); }

/* For x <= 0: exp(r) - 1 with |r| <= ln(2) / 2, and the n of x = n ln 2 + r. At the clamp exp(x) rounds to 0. */
INLINE __m512 reduced(__m512 x, __m512 *ret_n)
{
    x = _mm512_max_ps(SET(-104.0f), x);
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, SET(1.44269504088896341f)), _MM_FROUND_TO_NEAREST_INT);
    __m512 r = _mm512_fnmadd_ps(n, SET(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, SET(-2.12194440e-4f), r);
    __m512 p = SET(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, SET(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, SET(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, SET(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, SET(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, SET(5.0000001201e-1f));
    *ret_n = n;
    return _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, r);
}

/* For x <= 0. */
INLINE __m512 exponential(__m512 x)
{
    __m512 n, m = reduced(x, &n);
    return _mm512_scalef_ps(_mm512_add_ps(m, SET(1.0f)), n);
}

/* For x <= 0: 2^n m + (2^n - 1), exact in its second part. What it gives for x > 0 means nothing. */
INLINE __m512 expm1_negative(__m512 x)
{
    __m512 n, m = reduced(x, &n);
    __m512 power = _mm512_scalef_ps(SET(1.0f), n);
    return _mm512_fmadd_ps(power, m, _mm512_sub_ps(power, SET(1.0f)));
}

INLINE __m512 magnitude(__m512 x) { return _mm512_abs_ps(x); }
INLINE __m512 negative(__m512 x) { return _mm512_xor_ps(x, SET(-0.0f)); }
INLINE __mmask16 below_zero(__m512 x) { return _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ); }

INLINE __m512 relu(__m512 x, __m512 alpha)
{
    (void)alpha;
    return _mm512_max_ps(_mm512_setzero_ps(), x);
}
INLINE __m512 leaky_relu(__m512 x, __m512 alpha) { return _mm512_mask_mul_ps(x, below_zero(x), alpha, x); }
INLINE __m512 elu(__m512 x, __m512 alpha) { return _mm512_mask_mul_ps(x, below_zero(x), alpha, expm1_negative(x)); }
INLINE __m512 hyperbolic(__m512 x, __m512 alpha)
{
    (void)alpha;
    __m512 a = magnitude(x), m = expm1_negative(_mm512_mul_ps(a, SET(-2.0f)));
    __m512 t = magnitude(_mm512_div_ps(m, _mm512_add_ps(m, SET(2.0f))));
    return _mm512_or_ps(t, _mm512_and_ps(x, SET(-0.0f)));
}
INLINE __m512 sigmoid(__m512 x, __m512 alpha)
{
    (void)alpha;
    __m512 e = exponential(negative(magnitude(x)));
    return _mm512_div_ps(_mm512_mask_mov_ps(SET(1.0f), below_zero(x), e), _mm512_add_ps(e, SET(1.0f)));
}
INLINE __m512 gelu_tanh(__m512 x, __m512 alpha)
{
    __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(x, x), SET(0.07135481627159942f), SET(1.5957691216057308f));
    return _mm512_mul_ps(x, sigmoid(_mm512_mul_ps(x, slope), alpha));
}
INLINE __m512 silu(__m512 x, __m512 alpha) { return _mm512_mul_ps(x, sigmoid(x, alpha)); }

#define RUN(name, of)                                                                               \
    static void name(const float *x, size_t count, float alpha, float beta, float *y)               \
    {                                                                                               \
        (void)beta;                                                                                 \
        for (size_t i = 0; i < count; i += LANES) {                                                 \
            __mmask16 mask = tail_mask(count - i);                                                  \
            _mm512_mask_storeu_ps(y + i, mask, of(_mm512_maskz_loadu_ps(mask, x + i), SET(alpha))); \
        }                                                                                           \
    }
RUN(run_relu, relu)
RUN(run_leaky_relu, leaky_relu)
RUN(run_elu, elu)
RUN(run_tanh, hyperbolic)
RUN(run_sigmoid, sigmoid)
RUN(run_gelu_tanh, gelu_tanh)
RUN(run_silu, silu)

static void softmax_row(const float *x, uint32_t width, float *y)
{
    __m512 low = SET(-__builtin_inff()), max = low, sum = _mm512_setzero_ps();
    for (uint32_t i = 0; i < width; i += LANES)
        max = _mm512_max_ps(_mm512_mask_loadu_ps(low, tail_mask(width - i), x + i), max);
    __m512 top = SET(_mm512_reduce_max_ps(max));
    for (uint32_t i = 0; i < width; i += LANES) {
        __mmask16 mask = tail_mask(width - i);
        __m512 e = exponential(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), top));
        _mm512_mask_storeu_ps(y + i, mask, e);
        sum = _mm512_mask_add_ps(sum, mask, sum, e);
    }
    __m512 total = SET(_mm512_reduce_add_ps(sum));
    for (uint32_t i = 0; i < width; i += LANES) {
        __mmask16 mask = tail_mask(width - i);
        _mm512_mask_storeu_ps(y + i, mask, _mm512_div_ps(_mm512_maskz_loadu_ps(mask, y + i), total));
    }
}

static void softmax(const float *x, uint32_t row_count, uint32_t width, float *y)
{
    for (uint32_t r = 0; r < row_count; r++) softmax_row(x + (size_t)r * width, width, y + (size_t)r * width);
}

const struct lp_activation_kernel lp_activation_f32_avx512 = {
    .name = "avx512",
    .run = {[LP_ACT_RELU] = run_relu,
            [LP_ACT_LEAKY_RELU] = run_leaky_relu,
            [LP_ACT_ELU] = run_elu,
            [LP_ACT_TANH] = run_tanh,
            [LP_ACT_SIGMOID] = run_sigmoid,
            [LP_ACT_GELU_TANH] = run_gelu_tanh,
            [LP_ACT_SILU] = run_silu},
    .softmax = softmax,
};
