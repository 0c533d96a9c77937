/*
 * [-] digits [. digits] of 1 to 16 characters behind the sign. The characters are shuffled to the upper end of a vector
 * without the point, zeros before them; pairs of digits, then fours, then eights are added up (W. Mula, "SIMD-ized
 * faster parse of unsigned integers"). Anything else is left to the caller. Reads 16 bytes from the field's begin.
 */
#include "data/number/number.h"
#include "decode/json_number.h"

#include <immintrin.h>
#include <math.h>

static inline bool parse(const unsigned char *text, uint32_t bytes, double *ret_number)
{
    const __m128i iota = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint64_t negative = *text == '-';
    text += negative;
    bytes -= (uint32_t)negative;
    if (bytes - 1 >= 16) return false;
    __m128i from = _mm_loadu_si128((const __m128i *)(const void *)text);
    unsigned points = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(from, _mm_set1_epi8('.')));
    unsigned point = (unsigned)__builtin_ctz(points | 1u << bytes); /* the first one; `bytes` when there is none */
    unsigned digit_count = bytes - (point < bytes);
    /* Where the digit of each place is: negative places are zeros, those behind the point are one further on. */
    __m128i places = _mm_sub_epi8(iota, _mm_set1_epi8((char)(16 - digit_count)));
    places = _mm_sub_epi8(places, _mm_cmpgt_epi8(places, _mm_set1_epi8((char)(point - 1))));
    __m128i digits = _mm_shuffle_epi8(_mm_sub_epi8(from, _mm_set1_epi8('0')), places);
    __m128i nine = _mm_set1_epi8(9);
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(digits, nine), nine)) != 0xffff || digit_count == 0) return false;
    __m128i twos = _mm_maddubs_epi16(digits, _mm_set1_epi16(1 << 8 | 10));
    __m128i fours = _mm_madd_epi16(twos, _mm_set1_epi32(1 << 16 | 100));
    __m128i packed = _mm_packus_epi32(fours, fours);
    uint64_t eights = (uint64_t)_mm_cvtsi128_si64(_mm_madd_epi16(packed, _mm_set1_epi32(1 << 16 | 10000)));
    uint64_t value = (eights & UINT32_MAX) * 100000000u + (eights >> 32);
    double number = lp_json_quotient(value, digit_count - point);
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits |= negative << 63; /* as good as random: no branch */
    memcpy(ret_number, &bits, sizeof bits);
    return true;
}

uint32_t lp_csv_numbers_avx2(const struct lp_csv_field *fields, const int32_t *columns, uint32_t count, double *numbers)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct lp_csv_field *field = &fields[columns[i] < 0 ? 0 : columns[i]];
        if (columns[i] < 0 || field->bytes == 0) numbers[i] = (double)NAN;
        else if (!parse(field->text, field->bytes, &numbers[i])) return i;
    }
    return count;
}
