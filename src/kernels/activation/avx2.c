/*
 * AVX2 + FMA: 8 values at a time, the tail masked in load and store. exp: n = round(x / ln 2), r = x - n ln 2 in two
 * parts, exp(r) - 1 by polynomial, 2^n as a product of two powers of two, so that denormals come out right. The
 * argument is never positive. Operand order of max keeps NaN. gelu (erf) and softplus are the scalar kernel's.
 */
#include "kernels/activation/activation.h"

#include <immintrin.h>

enum { LANES = 8 };
#define INLINE static inline __attribute__((always_inline))
#define SET(value) _mm256_set1_ps(value)

/* All ones in the first `left` lanes. */
INLINE __m256i tail_mask(size_t left)
{
    int32_t lanes = left >= LANES ? LANES : (int32_t)left;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* For x <= 0: exp(r) - 1 with |r| <= ln(2) / 2, and the n of x = n ln 2 + r. At the clamp exp(x) rounds to 0. */
INLINE __m256 reduced(__m256 x, __m256 *ret_n)
{
    x = _mm256_max_ps(SET(-104.0f), x);
    __m256 n =
        _mm256_round_ps(_mm256_mul_ps(x, SET(1.44269504088896341f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, SET(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, SET(-2.12194440e-4f), r);
    __m256 p = SET(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, SET(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, SET(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, SET(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, SET(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, SET(5.0000001201e-1f));
    *ret_n = n;
    return _mm256_fmadd_ps(_mm256_mul_ps(r, r), p, r);
}

/* v * 2^n for whole n in [-150, 0]: neither half leaves the range of normal exponents. */
INLINE __m256 scale(__m256 v, __m256 n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i bias = _mm256_set1_epi32(127), rest = _mm256_sub_epi32(whole, half);
    __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(v, a), b);
}

/* For x <= 0. */
INLINE __m256 exponential(__m256 x)
{
    __m256 n, m = reduced(x, &n);
    return scale(_mm256_add_ps(m, SET(1.0f)), n);
}

/* For x <= 0: 2^n m + (2^n - 1), exact in its second part. What it gives for x > 0 means nothing. */
INLINE __m256 expm1_negative(__m256 x)
{
    __m256 n, m = reduced(x, &n);
    __m256 power = scale(SET(1.0f), n);
    return _mm256_fmadd_ps(power, m, _mm256_sub_ps(power, SET(1.0f)));
}

INLINE __m256 magnitude(__m256 x) { return _mm256_andnot_ps(SET(-0.0f), x); }
INLINE __m256 negative(__m256 x) { return _mm256_xor_ps(x, SET(-0.0f)); }
INLINE __m256 below_zero(__m256 x) { return _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LT_OQ); }

INLINE __m256 relu(__m256 x, __m256 alpha)
{
    (void)alpha;
    return _mm256_max_ps(_mm256_setzero_ps(), x);
}
INLINE __m256 leaky_relu(__m256 x, __m256 alpha) { return _mm256_blendv_ps(x, _mm256_mul_ps(alpha, x), below_zero(x)); }
INLINE __m256 elu(__m256 x, __m256 alpha)
{
    return _mm256_blendv_ps(x, _mm256_mul_ps(alpha, expm1_negative(x)), below_zero(x));
}
INLINE __m256 hyperbolic(__m256 x, __m256 alpha)
{
    (void)alpha;
    __m256 a = magnitude(x), m = expm1_negative(_mm256_mul_ps(a, SET(-2.0f)));
    __m256 t = magnitude(_mm256_div_ps(m, _mm256_add_ps(m, SET(2.0f))));
    return _mm256_or_ps(t, _mm256_and_ps(x, SET(-0.0f)));
}
INLINE __m256 sigmoid(__m256 x, __m256 alpha)
{
    (void)alpha;
    __m256 e = exponential(negative(magnitude(x)));
    return _mm256_div_ps(_mm256_blendv_ps(SET(1.0f), e, below_zero(x)), _mm256_add_ps(e, SET(1.0f)));
}
INLINE __m256 gelu_tanh(__m256 x, __m256 alpha)
{
    __m256 slope = _mm256_fmadd_ps(_mm256_mul_ps(x, x), SET(0.07135481627159942f), SET(1.5957691216057308f));
    return _mm256_mul_ps(x, sigmoid(_mm256_mul_ps(x, slope), alpha));
}
INLINE __m256 silu(__m256 x, __m256 alpha) { return _mm256_mul_ps(x, sigmoid(x, alpha)); }

#define RUN(name, of)                                                                                           \
    static void name(const float *x, size_t count, float alpha, float beta, float *y)                           \
    {                                                                                                           \
        (void)beta;                                                                                             \
        size_t i = 0;                                                                                           \
        for (; i + LANES <= count; i += LANES) _mm256_storeu_ps(y + i, of(_mm256_loadu_ps(x + i), SET(alpha))); \
        if (i == count) return;                                                                                 \
        __m256i mask = tail_mask(count - i);                                                                    \
        _mm256_maskstore_ps(y + i, mask, of(_mm256_maskload_ps(x + i, mask), SET(alpha)));                      \
    }
RUN(run_relu, relu)
RUN(run_leaky_relu, leaky_relu)
RUN(run_elu, elu)
RUN(run_tanh, hyperbolic)
RUN(run_sigmoid, sigmoid)
RUN(run_gelu_tanh, gelu_tanh)
RUN(run_silu, silu)

INLINE float reduce(__m256 v, int add)
{
    __m128 b = _mm256_castps256_ps128(v), c = _mm256_extractf128_ps(v, 1);
    b = add ? _mm_add_ps(b, c) : _mm_max_ps(b, c);
    c = _mm_movehl_ps(b, b);
    b = add ? _mm_add_ps(b, c) : _mm_max_ps(b, c);
    c = _mm_movehdup_ps(b);
    return _mm_cvtss_f32(add ? _mm_add_ss(b, c) : _mm_max_ss(b, c));
}

static void softmax_row(const float *x, uint32_t width, float *y)
{
    __m256 low = SET(-__builtin_inff()), max = low, sum = _mm256_setzero_ps();
    for (uint32_t i = 0; i < width; i += LANES) {
        __m256i mask = tail_mask(width - i);
        max = _mm256_max_ps(_mm256_blendv_ps(low, _mm256_maskload_ps(x + i, mask), _mm256_castsi256_ps(mask)), max);
    }
    __m256 top = SET(reduce(max, 0));
    for (uint32_t i = 0; i < width; i += LANES) {
        __m256i mask = tail_mask(width - i);
        __m256 e = exponential(_mm256_sub_ps(_mm256_maskload_ps(x + i, mask), top));
        _mm256_maskstore_ps(y + i, mask, e);
        sum = _mm256_add_ps(sum, _mm256_and_ps(e, _mm256_castsi256_ps(mask)));
    }
    __m256 total = SET(reduce(sum, 1));
    for (uint32_t i = 0; i < width; i += LANES) {
        __m256i mask = tail_mask(width - i);
        _mm256_maskstore_ps(y + i, mask, _mm256_div_ps(_mm256_maskload_ps(y + i, mask), total));
    }
}

static void softmax(const float *x, uint32_t row_count, uint32_t width, float *y)
{
    for (uint32_t r = 0; r < row_count; r++) softmax_row(x + (size_t)r * width, width, y + (size_t)r * width);
}

const struct lp_activation_kernel lp_activation_f32_avx2 = {
    .name = "avx2",
    .run = {[LP_ACT_RELU] = run_relu,
            [LP_ACT_LEAKY_RELU] = run_leaky_relu,
            [LP_ACT_ELU] = run_elu,
            [LP_ACT_TANH] = run_tanh,
            [LP_ACT_SIGMOID] = run_sigmoid,
            [LP_ACT_GELU_TANH] = run_gelu_tanh,
            [LP_ACT_SILU] = run_silu},
    .softmax = softmax,
};
