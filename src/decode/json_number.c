#include "decode/json_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    EXPONENT_MAX = 1 << 30, /* saturates; texts that could bring it back into range would need a gigabyte of zeros */
    WORD_DIGITS = 19,       /* always fit in 64 bits */
    EXACT_DIGITS_MAX = 800, /* beyond 767 significant digits only "is there a nonzero digit" matters */
    MANTISSA_BITS = 52,
    EXPONENT_BIAS = 1023,
};

const unsigned char *lp_json_number_exponent(const unsigned char *p, int64_t *ret_exponent, struct lp_json_fault *fault)
{
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    if (!lp_json_is_digit(*p)) return lp_json_fail(fault, p, "an exponent without digits");
    int64_t value = 0;
    for (; lp_json_is_digit(*p); p++)
        if (value < EXPONENT_MAX) value = value * 10 + (*p - '0');
    *ret_exponent = negative ? -value : value;
    return p;
}

/* Bits of the positive double nearest to digits * 10^exponent: the Eisel-Lemire algorithm (Lemire 2021, section 5; that
 * 128 bits always decide for 64-bit digits: Mushtak and Lemire, "Fast number parsing without fallback", 2023). */
static uint64_t eisel_lemire(uint64_t digits, int64_t exponent)
{
    const uint64_t infinity = (uint64_t)0x7ff << MANTISSA_BITS;
    if (digits == 0 || exponent < LP_JSON_POWER_MIN) return 0;
    if (exponent > LP_JSON_POWER_MAX) return infinity;
    int zeros = __builtin_clzll(digits);
    digits <<= zeros;
    const uint64_t *power = lp_json_powers[exponent - LP_JSON_POWER_MIN];
    unsigned __int128 product = (unsigned __int128)digits * power[0];
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if ((high & 0x1ff) == 0x1ff) { /* the 55 bits that count are not yet certain */
        uint64_t more = (uint64_t)(((unsigned __int128)digits * power[1]) >> 64);
        low += more;
        high += low < more;
    }
    int top = (int)(high >> 63), shift = top + 64 - MANTISSA_BITS - 3;
    uint64_t mantissa = high >> shift;
    /* floor(exponent * log2(10)) in fixed point */
    int binary = (int)((217706 * exponent) >> 16) + 63 + top - zeros + EXPONENT_BIAS;
    if (binary <= 0) { /* subnormal, or nothing at all */
        if (1 - binary >= 64) return 0;
        mantissa >>= 1 - binary;
        return (mantissa + (mantissa & 1)) >> 1; /* a carry out of the mantissa is the smallest normal number */
    }
    /* Exactly between two doubles (possible for small powers only): to the even one. */
    if (low <= 1 && exponent >= -4 && exponent <= 23 && (mantissa & 3) == 1 && mantissa << shift == high)
        mantissa &= ~(uint64_t)1;
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >= (uint64_t)2 << MANTISSA_BITS) {
        mantissa = (uint64_t)1 << MANTISSA_BITS;
        binary++;
    }
    if (binary >= 0x7ff) return infinity;
    return (mantissa & (((uint64_t)1 << MANTISSA_BITS) - 1)) | (uint64_t)binary << MANTISSA_BITS;
}

/* The significant digits of a long number: the first `capacity`, the exponent of the last of them. */
struct digits {
    char text[EXACT_DIGITS_MAX + 1]; /* room for the sticky digit */
    size_t count;
    int64_t dropped; /* digits of the number after those in text */
    bool more;       /* one of the dropped is not 0 */
};

static void collect_digits(const struct lp_json_number *number, struct digits *ret)
{
    *ret = (struct digits){.count = 0};
    for (const unsigned char *p = number->first; lp_json_is_digit(*p) || *p == '.'; p++) {
        if (*p == '.' || (*p == '0' && ret->count == 0)) continue;
        if (ret->count < EXACT_DIGITS_MAX) {
            ret->text[ret->count++] = (char)*p;
        } else {
            ret->dropped++;
            ret->more |= *p != '0';
        }
    }
}

/* The C library rounds correctly; without a decimal point in the text it does so in every locale. */
static double by_library(struct digits *digits, int64_t exponent)
{
    char text[EXACT_DIGITS_MAX + 32];
    if (digits->more) {
        digits->text[digits->count++] = '1';
        digits->dropped--;
    }
    snprintf(text, sizeof text, "%.*se%lld", (int)digits->count, digits->text, (long long)(exponent + digits->dropped));
    return strtod(text, NULL);
}

static double long_value(const struct lp_json_number *number)
{
    struct digits digits;
    collect_digits(number, &digits);
    uint64_t word = 0;
    size_t used = digits.count < WORD_DIGITS ? digits.count : WORD_DIGITS;
    for (size_t i = 0; i < used; i++) word = word * 10 + (uint64_t)(digits.text[i] - '0');
    int64_t exponent = number->exponent + digits.dropped + (int64_t)(digits.count - used);
    uint64_t low = eisel_lemire(word, exponent);
    /* The number lies between word and word + 1: when both round to one double, so does it. */
    if (digits.count > used && eisel_lemire(word + 1, exponent) != low) return by_library(&digits, number->exponent);
    return lp_json_decimal(word, exponent);
}

/* Leading zeros are no digits of value: 0.0012345678901234567 still fits the word. */
static bool fits_word(const struct lp_json_number *number)
{
    size_t zeros = 0;
    const unsigned char *p = number->first;
    for (; *p == '0' || *p == '.'; p++) zeros += *p == '0';
    return number->digit_count - zeros <= WORD_DIGITS;
}

double lp_json_decimal(uint64_t digits, int64_t exponent)
{
    uint64_t bits = eisel_lemire(digits, exponent);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double lp_json_number_value(struct lp_json_number number)
{
    bool fits = number.digit_count <= WORD_DIGITS || fits_word(&number);
    double value = fits ? lp_json_decimal(number.digits, number.exponent) : long_value(&number);
    return number.negative ? -value : value;
}
