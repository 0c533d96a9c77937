/*
 * [-] digits [. digits] of 1 to 16 characters behind the sign, below 2^53 as an integer. The characters are shuffled to
 * the upper end of a vector without the point, zeros before them; pairs of digits, then fours, then eights are added up
 * (W. Mula, "SIMD-ized faster parse of unsigned integers"). What they are divided by carries the sign; the last steps
 * and the divisions follow four at a time, since one waits longer for its own than the rest takes. Both operands are
 * exact, so that each quotient is the double nearest to the text (W. Clinger, 1990). Whether all were such texts is
 * asked once a batch: the scalar code takes one that was not. Reads 16 bytes from the field's begin.
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

/* Sixteen of these from the number of digits on: the digit of each place, below 0 where there is none. */
static const signed char ramp[32] = {-16, -15, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1,
                                     0,   1,   2,   3,   4,   5,   6,   7,  8,  9,  10, 11, 12, 13, 14, 15};
/* Sixteen of these from the number of decimals on: places behind the point are one character further on. */
static const signed char steps[32] = {[16] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

struct batch {
    __m128i fours[BATCH]; /* four integers of four digits, the first one's first */
    double divisors[BATCH];
    __m128i others; /* not 0: a character that is no digit */
    uint32_t empty; /* highest bit: a text without digits */
};

/* `bytes` of 1 to 16, without the sign. */
static inline void take(struct batch *batch, uint32_t at, const unsigned char *text, uint32_t bytes, uint32_t negative)
{
    __m128i from = _mm_loadu_si128((const __m128i *)(const void *)text);
    unsigned points = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(from, _mm_set1_epi8('.')));
    unsigned point = (unsigned)__builtin_ctz(points | 1u << bytes); /* the first one; `bytes` when there is none */
    unsigned digit_count = bytes - (point < bytes), decimals = digit_count - point;
    __m128i places = _mm_add_epi8(_mm_loadu_si128((const __m128i *)(const void *)(ramp + digit_count)),
                                  _mm_loadu_si128((const __m128i *)(const void *)(steps + decimals)));
    __m128i digits = _mm_shuffle_epi8(_mm_sub_epi8(from, _mm_set1_epi8('0')), places);
    batch->others = _mm_or_si128(batch->others, _mm_subs_epu8(digits, _mm_set1_epi8(9)));
    batch->empty |= digit_count - 1;
    __m128i twos = _mm_maddubs_epi16(digits, _mm_set1_epi16(1 << 8 | 10));
    batch->fours[at] = _mm_madd_epi16(twos, _mm_set1_epi32(1 << 16 | 100));
    batch->divisors[at] = tens[negative][decimals];
}

/* Integers below 2^53 as doubles: their halves in the mantissas of 2^84 and 2^52, which are then taken away. */
static inline __m256d doubles_of(__m256i integers)
{
    __m256i low = _mm256_blend_epi32(integers, _mm256_castpd_si256(_mm256_set1_pd(0x1p52)), 0xaa);
    __m256i high = _mm256_xor_si256(_mm256_srli_epi64(integers, 32), _mm256_castpd_si256(_mm256_set1_pd(0x1p84)));
    return _mm256_add_pd(_mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(0x1p84 + 0x1p52)),
                         _mm256_castsi256_pd(low));
}

/* Four numbers; false: one has more than 53 bits. */
static inline bool divide(const struct batch *batch, uint32_t at, double *numbers)
{
    const __m256i *fours = (const __m256i *)(const void *)(batch->fours + at);
    __m256i packed = _mm256_packus_epi32(_mm256_loadu_si256(fours), _mm256_loadu_si256(fours + 1));
    __m256i eights = _mm256_madd_epi16(packed, _mm256_set1_epi32(1 << 16 | 10000));
    eights = _mm256_permute4x64_epi64(eights, 0xd8); /* packing went by halves */
    __m256i integers =
        _mm256_add_epi64(_mm256_mul_epu32(eights, _mm256_set1_epi64x(100000000)), _mm256_srli_epi64(eights, 32));
    _mm256_storeu_pd(numbers, _mm256_div_pd(doubles_of(integers), _mm256_loadu_pd(batch->divisors + at)));
    __m256i high = _mm256_srli_epi64(integers, 53);
    return _mm256_testz_si256(high, high) != 0;
}

/* The first `count`; the last ones go through a place of their own, so that nothing is written behind `numbers`. */
static bool divide_all(struct batch *batch, uint32_t count, double *numbers)
{
    bool good = true;
    uint32_t i = 0, left = count % 4;
    for (; i + 4 <= count; i += 4) good &= divide(batch, i, numbers + i);
    if (left > 0) {
        double last[4];
        for (uint32_t k = left; k < 4; k++) {
            batch->fours[i + k] = _mm_setzero_si128();
            batch->divisors[i + k] = 1;
        }
        good &= divide(batch, i, last);
        for (uint32_t k = 0; k < left; k++) numbers[i + k] = last[k];
    }
    return good && _mm_testz_si128(batch->others, batch->others) && batch->empty >> 31 == 0;
}

uint32_t lp_csv_numbers_avx2(const struct lp_csv_field *fields, const int32_t *columns, uint32_t count, double *numbers)
{
    struct batch batch;
    for (uint32_t begin = 0; begin < count; begin += BATCH) {
        uint32_t size = count - begin < BATCH ? count - begin : BATCH, i = 0;
        batch.others = _mm_setzero_si128();
        batch.empty = 0;
        for (; i < size; i++) {
            int32_t column = columns[begin + i];
            const struct lp_csv_field *field = &fields[column < 0 ? 0 : column];
            if (column < 0 || field->bytes == 0) {
                batch.fours[i] = _mm_setzero_si128();
                batch.divisors[i] = (double)NAN;
                continue;
            }
            uint32_t negative = *field->text == '-', bytes = field->bytes - negative;
            if (bytes - 1 >= 16) break;
            take(&batch, i, field->text + negative, bytes, negative);
        }
        if (!divide_all(&batch, i, numbers + begin)) {
            uint32_t done = lp_csv_numbers_scalar(fields, columns + begin, i, numbers + begin);
            if (done < i) return begin + done;
        }
        if (i < size) return begin + i;
    }
    return count;
}
