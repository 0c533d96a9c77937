/*
 * One vocabulary of float vectors for files compiled with AVX2, AVX-512 or NEON, so that an op's vector form is written
 * once (its lanes.inc) and compiled for each. Everything is static and inlined: include it from avx2.c, avx512.c and
 * neon.c only.
 *
 * `left` is how many values there are from a place on: at least 1, more than LANES means a whole vector. A partial load
 * reads nothing behind the last value and gives zeros there.
 */
#ifndef LP_KERNELS_LANES_H
#define LP_KERNELS_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline, unused))

#if defined(__aarch64__)

enum { LANES = 4 };
typedef float32x4_t lanes;
typedef uint32x4_t lanes_mask; /* all ones or zeros a lane */

INLINE lanes all_of(float value) { return vdupq_n_f32(value); }
INLINE lanes zeros(void) { return vdupq_n_f32(0.0f); }
INLINE lanes load(const float *from) { return vld1q_f32(from); }
INLINE lanes load_part(const float *from, size_t left)
{
    float part[LANES] = {0};
    if (left >= LANES) return vld1q_f32(from);
    memcpy(part, from, left * sizeof *from);
    return vld1q_f32(part);
}
INLINE void store(float *to, lanes v) { vst1q_f32(to, v); }
INLINE void store_part(float *to, size_t left, lanes v)
{
    float part[LANES];
    vst1q_f32(part, v);
    memcpy(to, part, (left >= LANES ? LANES : left) * sizeof *to);
}
INLINE lanes choose(lanes_mask where, lanes yes, lanes no) { return vbslq_f32(where, yes, no); }
INLINE lanes fill_behind(lanes v, size_t left, float value)
{
    const uint32_t index[LANES] = {0, 1, 2, 3};
    return choose(vcltq_u32(vld1q_u32(index), vdupq_n_u32((uint32_t)left)), v, all_of(value));
}
INLINE lanes plus(lanes a, lanes b) { return vaddq_f32(a, b); }
INLINE lanes minus(lanes a, lanes b) { return vsubq_f32(a, b); }
INLINE lanes times(lanes a, lanes b) { return vmulq_f32(a, b); }
INLINE lanes over(lanes a, lanes b) { return vdivq_f32(a, b); }
INLINE lanes root_of(lanes v) { return vsqrtq_f32(v); }
INLINE lanes fused(lanes a, lanes b, lanes c) { return vfmaq_f32(c, a, b); }
INLINE lanes fused_minus(lanes a, lanes b, lanes c) { return vfmsq_f32(c, a, b); }
INLINE lanes larger(lanes a, lanes b) { return choose(vcgtq_f32(a, b), a, b); }
INLINE lanes smaller(lanes a, lanes b) { return choose(vcltq_f32(a, b), a, b); }
INLINE lanes_mask less(lanes a, lanes b) { return vcltq_f32(a, b); }
INLINE lanes_mask at_most(lanes a, lanes b) { return vcleq_f32(a, b); }
INLINE lanes_mask equal(lanes a, lanes b) { return vceqq_f32(a, b); }
INLINE lanes_mask unordered(lanes a, lanes b) { return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))); }
INLINE lanes_mask either(lanes_mask a, lanes_mask b) { return vorrq_u32(a, b); }
INLINE lanes magnitude(lanes v) { return vabsq_f32(v); }
INLINE lanes negated(lanes v) { return vnegq_f32(v); }
INLINE lanes with_sign_of(lanes v, lanes sign) { return vbslq_f32(vdupq_n_u32(0x80000000u), sign, v); }
INLINE lanes nearest(lanes v) { return vrndnq_f32(v); }
INLINE lanes rounded_down(lanes v) { return vrndmq_f32(v); }
INLINE lanes rounded_up(lanes v) { return vrndpq_f32(v); }
/* For whole n in [-252, 254]: neither half leaves the range of normal exponents. */
INLINE lanes scaled(lanes v, lanes n)
{
    int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1), bias = vdupq_n_s32(127);
    lanes a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
    lanes b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23));
    return times(times(v, a), b);
}
INLINE lanes fraction_of(lanes v)
{
    uint32x4_t bits = vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0x007FFFFF));
    return vreinterpretq_f32_u32(vorrq_u32(bits, vdupq_n_u32(0x3F800000)));
}
INLINE lanes exponent_of(lanes v)
{
    int32x4_t biased = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(v), 23));
    return vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)));
}

/* Lane i to i + 2, i + 1. */
INLINE float sum_of(lanes v)
{
    float32x2_t halves = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(halves, 0) + vget_lane_f32(halves, 1);
}
INLINE float largest_of(lanes v) { return vmaxvq_f32(v); }
INLINE lanes sum_each(const lanes *v)
{
    float32x2_t halves[LANES];
    for (int i = 0; i < LANES; i++) halves[i] = vadd_f32(vget_low_f32(v[i]), vget_high_f32(v[i]));
    return vpaddq_f32(vcombine_f32(halves[0], halves[1]), vcombine_f32(halves[2], halves[3]));
}
/* Which of 2 * LANES values each lane takes. */
typedef uint8x16_t lanes_index;
INLINE lanes_index index_of(const int32_t *indices)
{
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++) bytes[i] = (uint8_t)(indices[i / 4] * 4 + i % 4);
    return vld1q_u8(bytes);
}
INLINE lanes picked(lanes a, lanes b, lanes_index index)
{
    const uint8x16x2_t both = {{vreinterpretq_u8_f32(a), vreinterpretq_u8_f32(b)}};
    return vreinterpretq_f32_u8(vqtbl2q_u8(both, index));
}
INLINE lanes evens_of(lanes a, lanes b) { return vuzp1q_f32(a, b); }
INLINE lanes odds_of(lanes a, lanes b) { return vuzp2q_f32(a, b); }

INLINE uint16x4_t load_words(const uint16_t *from, size_t left)
{
    uint16_t part[LANES] = {0};
    memcpy(part, from, (left >= LANES ? LANES : left) * sizeof *from);
    return vld1_u16(part);
}
INLINE lanes load_half(const uint16_t *from, size_t left)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(load_words(from, left)));
}
INLINE lanes load_bf16(const uint16_t *from, size_t left)
{
    return vreinterpretq_f32_u32(vshll_n_u16(load_words(from, left), 16));
}
INLINE lanes load_i8(const int8_t *from, size_t left)
{
    int8_t part[8] = {0};
    memcpy(part, from, left >= LANES ? LANES : left);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(part)))));
}

#elif defined(__AVX512F__) && !defined(LP_LANES_OF_8)

enum { LANES = 16 };
typedef __m512 lanes;
typedef __mmask16 lanes_mask; /* a choice a lane */

INLINE lanes_mask first_lanes(size_t left) { return (lanes_mask)(left >= LANES ? 0xFFFFu : (1u << left) - 1u); }
INLINE lanes all_of(float value) { return _mm512_set1_ps(value); }
INLINE lanes zeros(void) { return _mm512_setzero_ps(); }
INLINE lanes load(const float *from) { return _mm512_loadu_ps(from); }
INLINE lanes load_part(const float *from, size_t left) { return _mm512_maskz_loadu_ps(first_lanes(left), from); }
INLINE void store(float *to, lanes v) { _mm512_storeu_ps(to, v); }
INLINE void store_part(float *to, size_t left, lanes v) { _mm512_mask_storeu_ps(to, first_lanes(left), v); }
/* v with `value` behind its first `left` lanes. */
INLINE lanes fill_behind(lanes v, size_t left, float value)
{
    return _mm512_mask_mov_ps(all_of(value), first_lanes(left), v);
}
INLINE lanes plus(lanes a, lanes b) { return _mm512_add_ps(a, b); }
INLINE lanes minus(lanes a, lanes b) { return _mm512_sub_ps(a, b); }
INLINE lanes times(lanes a, lanes b) { return _mm512_mul_ps(a, b); }
INLINE lanes over(lanes a, lanes b) { return _mm512_div_ps(a, b); }
INLINE lanes root_of(lanes v) { return _mm512_sqrt_ps(v); }
/* a * b + c, and c - a * b, rounded once. */
INLINE lanes fused(lanes a, lanes b, lanes c) { return _mm512_fmadd_ps(a, b, c); }
INLINE lanes fused_minus(lanes a, lanes b, lanes c) { return _mm512_fnmadd_ps(a, b, c); }
/* The second operand when either is NaN. */
INLINE lanes larger(lanes a, lanes b) { return _mm512_max_ps(a, b); }
INLINE lanes smaller(lanes a, lanes b) { return _mm512_min_ps(a, b); }
INLINE lanes_mask less(lanes a, lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
INLINE lanes_mask at_most(lanes a, lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
INLINE lanes_mask equal(lanes a, lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
INLINE lanes_mask unordered(lanes a, lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
INLINE lanes_mask either(lanes_mask a, lanes_mask b) { return a | b; }
INLINE lanes choose(lanes_mask where, lanes yes, lanes no) { return _mm512_mask_mov_ps(no, where, yes); }
INLINE lanes magnitude(lanes v) { return _mm512_abs_ps(v); }
INLINE lanes negated(lanes v) { return _mm512_xor_ps(v, all_of(-0.0f)); }
INLINE lanes with_sign_of(lanes v, lanes sign)
{
    return _mm512_or_ps(_mm512_abs_ps(v), _mm512_and_ps(sign, all_of(-0.0f)));
}
INLINE lanes nearest(lanes v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE lanes rounded_down(lanes v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE lanes rounded_up(lanes v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
/* v * 2^n for whole n, denormals and overflow as a single rounding. */
INLINE lanes scaled(lanes v, lanes n) { return _mm512_scalef_ps(v, n); }
/* Fraction in [1, 2) and its exponent, of a positive finite value that is not denormal. */
INLINE lanes fraction_of(lanes v) { return _mm512_getmant_ps(v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src); }
INLINE lanes exponent_of(lanes v) { return _mm512_getexp_ps(v); }

/* Lane i to i + 8, i + 4, i + 2, i + 1. */
INLINE float sum_of(lanes v)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
INLINE float largest_of(lanes v) { return _mm512_reduce_max_ps(v); }

INLINE lanes fold8(lanes a, lanes b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}
INLINE lanes fold4(lanes a, lanes b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}
INLINE lanes fold2(lanes a, lanes b)
{
    __m512d p = _mm512_castps_pd(a), q = _mm512_castps_pd(b);
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)), _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
}
INLINE lanes fold1(lanes a, lanes b)
{
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}
/* The sums of LANES vectors, one a lane, each in sum_of's order. */
INLINE lanes sum_each(const lanes *v)
{
    lanes quad[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) quad[i] = fold4(fold8(v[i], v[i + 4]), fold8(v[i + 8], v[i + 12]));
    return fold1(fold2(quad[0], quad[1]), fold2(quad[2], quad[3]));
}
/* Which of 2 * LANES values each lane takes. */
typedef __m512i lanes_index;
INLINE lanes_index index_of(const int32_t *indices) { return _mm512_loadu_si512(indices); }
INLINE lanes picked(lanes a, lanes b, lanes_index index) { return _mm512_permutex2var_ps(a, index, b); }

/* The even and the odd values of two vectors in a row. */
INLINE lanes evens_of(lanes a, lanes b)
{
    const __m512i index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, index, b);
}
INLINE lanes odds_of(lanes a, lanes b)
{
    const __m512i index = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, index, b);
}

/* 16-bit and 8-bit values to float; `left` as above. */
INLINE lanes load_half(const uint16_t *from, size_t left)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(left), from));
}
INLINE lanes load_bf16(const uint16_t *from, size_t left)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first_lanes(left), from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
INLINE lanes load_i8(const int8_t *from, size_t left)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first_lanes(left), from)));
}

#else

enum { LANES = 8 };
typedef __m256 lanes;
typedef __m256 lanes_mask; /* all ones or zeros a lane */

INLINE __m256i first_lanes(size_t left)
{
    int32_t count = left >= LANES ? LANES : (int32_t)left;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE lanes all_of(float value) { return _mm256_set1_ps(value); }
INLINE lanes zeros(void) { return _mm256_setzero_ps(); }
INLINE lanes load(const float *from) { return _mm256_loadu_ps(from); }
INLINE lanes load_part(const float *from, size_t left)
{
    return left >= LANES ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, first_lanes(left));
}
INLINE void store(float *to, lanes v) { _mm256_storeu_ps(to, v); }
INLINE void store_part(float *to, size_t left, lanes v)
{
    if (left >= LANES) _mm256_storeu_ps(to, v);
    else _mm256_maskstore_ps(to, first_lanes(left), v);
}
INLINE lanes fill_behind(lanes v, size_t left, float value)
{
    return _mm256_blendv_ps(all_of(value), v, _mm256_castsi256_ps(first_lanes(left)));
}
INLINE lanes plus(lanes a, lanes b) { return _mm256_add_ps(a, b); }
INLINE lanes minus(lanes a, lanes b) { return _mm256_sub_ps(a, b); }
INLINE lanes times(lanes a, lanes b) { return _mm256_mul_ps(a, b); }
INLINE lanes over(lanes a, lanes b) { return _mm256_div_ps(a, b); }
INLINE lanes root_of(lanes v) { return _mm256_sqrt_ps(v); }
INLINE lanes fused(lanes a, lanes b, lanes c) { return _mm256_fmadd_ps(a, b, c); }
INLINE lanes fused_minus(lanes a, lanes b, lanes c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE lanes larger(lanes a, lanes b) { return _mm256_max_ps(a, b); }
INLINE lanes smaller(lanes a, lanes b) { return _mm256_min_ps(a, b); }
INLINE lanes_mask less(lanes a, lanes b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
INLINE lanes_mask at_most(lanes a, lanes b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
INLINE lanes_mask equal(lanes a, lanes b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
INLINE lanes_mask unordered(lanes a, lanes b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
INLINE lanes_mask either(lanes_mask a, lanes_mask b) { return _mm256_or_ps(a, b); }
INLINE lanes choose(lanes_mask where, lanes yes, lanes no) { return _mm256_blendv_ps(no, yes, where); }
INLINE lanes magnitude(lanes v) { return _mm256_andnot_ps(all_of(-0.0f), v); }
INLINE lanes negated(lanes v) { return _mm256_xor_ps(v, all_of(-0.0f)); }
INLINE lanes with_sign_of(lanes v, lanes sign)
{
    return _mm256_or_ps(magnitude(v), _mm256_and_ps(sign, all_of(-0.0f)));
}
INLINE lanes nearest(lanes v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE lanes rounded_down(lanes v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE lanes rounded_up(lanes v) { return _mm256_round_ps(v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
/* For whole n in [-252, 254]: neither half leaves the range of normal exponents. */
INLINE lanes scaled(lanes v, lanes n)
{
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i bias = _mm256_set1_epi32(127), rest = _mm256_sub_epi32(whole, half);
    __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(v, a), b);
}
INLINE lanes fraction_of(lanes v)
{
    __m256i bits = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x007FFFFF));
    return _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x3F800000)));
}
INLINE lanes exponent_of(lanes v)
{
    __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(v), 23);
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
}

/* Lane i to i + 4, i + 2, i + 1. */
INLINE float sum_of(lanes v)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
INLINE float largest_of(lanes v)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

INLINE lanes fold4(lanes a, lanes b)
{
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
INLINE lanes fold2(lanes a, lanes b)
{
    __m256d p = _mm256_castps_pd(a), q = _mm256_castps_pd(b);
    return _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(p, q)), _mm256_castpd_ps(_mm256_unpackhi_pd(p, q)));
}
INLINE lanes fold1(lanes a, lanes b)
{
    return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xDD));
}
INLINE lanes sum_each(const lanes *v)
{
    lanes pair[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) pair[i] = fold4(v[i], v[i + 4]);
    return fold1(fold2(pair[0], pair[1]), fold2(pair[2], pair[3]));
}
typedef __m256i lanes_index;
INLINE lanes_index index_of(const int32_t *indices)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)indices);
}
INLINE lanes picked(lanes a, lanes b, lanes_index index)
{
    /* Only the low three bits choose; the fourth, moved to the sign, says from which vector. */
    __m256 low = _mm256_permutevar8x32_ps(a, index), high = _mm256_permutevar8x32_ps(b, index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}
INLINE lanes evens_of(lanes a, lanes b)
{
    __m256d order = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(order, 0xD8));
}
INLINE lanes odds_of(lanes a, lanes b)
{
    __m256d order = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xDD));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(order, 0xD8));
}

INLINE __m128i load_words(const uint16_t *from, size_t left)
{
    uint16_t part[LANES] = {0};
    if (left >= LANES) return _mm_loadu_si128((const __m128i *)(const void *)from);
    memcpy(part, from, left * sizeof *from);
    return _mm_loadu_si128((const __m128i *)(const void *)part);
}
INLINE lanes load_half(const uint16_t *from, size_t left) { return _mm256_cvtph_ps(load_words(from, left)); }
INLINE lanes load_bf16(const uint16_t *from, size_t left)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_words(from, left)), 16));
}
INLINE lanes load_i8(const int8_t *from, size_t left)
{
    int8_t part[LANES] = {0};
    memcpy(part, from, left >= LANES ? LANES : left);
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)part)));
}

#endif
#endif
