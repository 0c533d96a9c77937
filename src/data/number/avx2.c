/*
 * [-] digits [. digits] of 1 to 16 characters behind the sign, up to 2^53 as an integer. The characters are shuffled to
 * the upper end of a vector without the point, zeros before them; pairs of digits, then fours, then eights are added up
 * (W. Mula, "SIMD-ized faster parse of unsigned integers"). What they are divided by carries the sign; the divisions
 * follow four at a time, since one waits longer for its own than the rest takes. Both operands are exact, so that each
 * quotient is the double nearest to the text (W. Clinger, 1990). Anything else is left to the caller.
 * Reads 16 bytes from the field's begin.
 */
#include "data/number/number.h"
#include "decode/json_number.h"

#include <immintrin.h>
#include <math.h>

enum { BATCH = 64, PLACES = 17 };

#define TENS(s)                                                                                                   \
    s 1e0, s 1e1, s 1e2, s 1e3, s 1e4, s 1e5, s 1e6, s 1e7, s 1e8, s 1e9, s 1e10, s 1e11, s 1e12, s 1e13, s 1e14, \
        s 1e15, s 1e16
static const double tens[2][PLACES] = {{TENS(+)}, {TENS(-)}};

/* The digits as one integer, and what to divide them by. */
static inline bool parse(const unsigned char *text, uint32_t bytes, uint64_t *ret_digits, double *ret_divisor)
{
    const __m128i iota = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint32_t negative = *text == '-';
    text += negative;
    bytes -= negative;
    if (bytes - 1 >= 16) return false;
    __m128i from = _mm_loadu_si128((const __m128i *)(const void *)text);
    unsigned points = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(from, _mm_set1_epi8('.')));
    unsigned point = (unsigned)__builtin_ctz(points | 1u << bytes); /* the first one; `bytes` when there is none */
    unsigned digit_count = bytes - (point < bytes);
    /* Where the digit of each place is: negative places are zeros, those behind the point are one further on. */
    __m128i places = _mm_sub_epi8(iota, _mm_set1_epi8((char)(16 - digit_count)));
    places = _mm_sub_epi8(places, _mm_cmpgt_epi8(places, _mm_set1_epi8((char)(point - 1))));
    __m128i digits = _mm_shuffle_epi8(_mm_sub_epi8(from, _mm_set1_epi8('0')), places);
    __m128i others = _mm_subs_epu8(digits, _mm_set1_epi8(9));
    __m128i twos = _mm_maddubs_epi16(digits, _mm_set1_epi16(1 << 8 | 10));
    __m128i fours = _mm_madd_epi16(twos, _mm_set1_epi32(1 << 16 | 100));
    __m128i packed = _mm_packus_epi32(fours, fours);
    uint64_t eights = (uint64_t)_mm_cvtsi128_si64(_mm_madd_epi16(packed, _mm_set1_epi32(1 << 16 | 10000)));
    *ret_digits = (eights & UINT32_MAX) * 100000000u + (eights >> 32);
    *ret_divisor = tens[negative][digit_count - point];
    return _mm_testz_si128(others, others) && digit_count > 0 && *ret_digits <= UINT64_C(1) << 53;
}

/* Integers up to 2^53 as doubles: their halves in the mantissas of 2^84 and 2^52, which are then taken away. */
static inline __m256d doubles_of(__m256i integers)
{
    __m256i low = _mm256_blend_epi32(integers, _mm256_castpd_si256(_mm256_set1_pd(0x1p52)), 0xaa);
    __m256i high = _mm256_xor_si256(_mm256_srli_epi64(integers, 32), _mm256_castpd_si256(_mm256_set1_pd(0x1p84)));
    return _mm256_add_pd(_mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(0x1p84 + 0x1p52)),
                         _mm256_castsi256_pd(low));
}

static void divide(const uint64_t *digits, const double *divisors, uint32_t count, double *numbers)
{
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256d x = doubles_of(_mm256_loadu_si256((const __m256i *)(const void *)(digits + i)));
        _mm256_storeu_pd(numbers + i, _mm256_div_pd(x, _mm256_loadu_pd(divisors + i)));
    }
    for (; i < count; i++) numbers[i] = (double)(int64_t)digits[i] / divisors[i];
}

uint32_t lp_csv_numbers_avx2(const struct lp_csv_field *fields, const int32_t *columns, uint32_t count, double *numbers)
{
    uint64_t digits[BATCH];
    double divisors[BATCH];
    for (uint32_t begin = 0; begin < count; begin += BATCH) {
        uint32_t size = count - begin < BATCH ? count - begin : BATCH, i = 0;
        for (; i < size; i++) {
            int32_t column = columns[begin + i];
            const struct lp_csv_field *field = &fields[column < 0 ? 0 : column];
            digits[i] = 0;
            divisors[i] = (double)NAN;
            if (column >= 0 && field->bytes > 0 && !parse(field->text, field->bytes, &digits[i], &divisors[i])) break;
        }
        divide(digits, divisors, i, numbers + begin);
        if (i < size) return begin + i;
    }
    return count;
}
