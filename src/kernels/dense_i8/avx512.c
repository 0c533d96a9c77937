/*
 * Rows to u8 with AVX-512, 16 values at a time, tails masked. Bounds are applied before rounding: they are whole, so it
 * is the same. Values behind the row are written as zeros up to the next 64 bytes.
 */
#include "kernels/dense_i8/private.h"

#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

enum { LANES = 16 };

static inline __mmask16 tail_mask(size_t left) { return (__mmask16)(left >= LANES ? 0xFFFFu : (1u << left) - 1u); }

/* The row's scale and zero point; NaN as scale: the row has no result. */
static float dynamic_scale(const float *x, uint32_t width, int32_t *ret_zero)
{
    __m512 low = _mm512_setzero_ps(), high = low;
    __mmask16 nan = 0;
    for (uint32_t k = 0; k < width; k += LANES) {
        __m512 v = _mm512_maskz_loadu_ps(tail_mask(width - k), x + k);
        low = _mm512_min_ps(low, v);
        high = _mm512_max_ps(high, v);
        nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    }
    float bottom = _mm512_reduce_min_ps(low), range = _mm512_reduce_max_ps(high) - bottom;
    *ret_zero = 0;
    if (nan != 0 || !(range <= FLT_MAX)) return NAN;
    float scale = range < 255.0f * FLT_MIN ? 1.0f : range / 255.0f;
    __m128 zero = _mm_min_ss(_mm_set_ss(-bottom / scale), _mm_set_ss(255.0f));
    *ret_zero = _mm_cvtss_si32(zero);
    return scale;
}

/*
 * x / scale where it matters for rounding; NaN is only looked for there, where it always is. reduce: what rounding to a
 * whole number takes away, 0 of infinity.
 */
static inline __m512 quotient(__m512 x, __m512 inverse, __m512 scale, __mmask16 *nan)
{
    __m512 product = _mm512_mul_ps(x, inverse);
    __m512 off = _mm512_abs_ps(_mm512_reduce_ps(product, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    __mmask16 doubtful = _mm512_cmp_ps_mask(off, _mm512_set1_ps(LP_DENSE_I8_SURE), _CMP_NLE_UQ);
    if (__builtin_expect(doubtful == 0, 1)) return product;
    *nan |= _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_div_ps(x, scale);
}

static __mmask16 quantize_row(const float *x, uint32_t width, float scale, int32_t zero, unsigned char *to,
                              size_t row_bytes)
{
    __m512 inverse = _mm512_set1_ps(lp_dense_i8_inverse(scale)), by = _mm512_set1_ps(scale),
           low = _mm512_set1_ps((float)-zero), high = _mm512_set1_ps((float)(255 - zero));
    __m512i offset = _mm512_set1_epi32(zero);
    __mmask16 nan = 0;
    uint32_t k = 0;
    for (; k < width; k += LANES) {
        __mmask16 mask = tail_mask(width - k);
        __m512 v = quotient(_mm512_maskz_loadu_ps(mask, x + k), inverse, by, &nan);
        v = _mm512_min_ps(_mm512_max_ps(v, low), high);
        __m512i q = _mm512_maskz_add_epi32(mask, _mm512_cvtps_epi32(v), offset);
        _mm_store_si128((__m128i *)(void *)(to + k), _mm512_cvtepi32_epi8(q));
    }
    for (; k < row_bytes; k += LANES) _mm_store_si128((__m128i *)(void *)(to + k), _mm_setzero_si128());
    return nan;
}

void lp_dense_i8_quantize_avx512(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count,
                                 const struct lp_dense_i8_rows *rows)
{
    size_t x_stride = lp_dense_i8_x_stride(layer);
    for (uint32_t r = 0; r < row_count; r++, x += x_stride) {
        int32_t zero = layer->input_zero_point;
        float scale = layer->dynamic ? dynamic_scale(x, layer->in_width, &zero) : layer->input_scale;
        unsigned char *to = rows->values + r * rows->row_bytes;
        if (!(scale > 0.0f)) memset(to, 0, rows->row_bytes);
        else if (quantize_row(x, layer->in_width, scale, zero, to, rows->row_bytes) != 0) scale = NAN;
        rows->scales[r] = scale;
        rows->zeros[r] = zero;
    }
}
