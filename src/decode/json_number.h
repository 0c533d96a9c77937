/* JSON numbers: syntax of RFC 8259 section 6, values as correctly rounded doubles. */
#ifndef LP_DECODE_JSON_NUMBER_H
#define LP_DECODE_JSON_NUMBER_H

#include "decode/json_scan.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_JSON_POWER_MIN = -342, LP_JSON_POWER_MAX = 308 };

/** 5^q to 128 bits, high word first, for q from LP_JSON_POWER_MIN on. */
extern const uint64_t lp_json_powers[LP_JSON_POWER_MAX - LP_JSON_POWER_MIN + 1][2];

/** A number's text taken apart. `digits` is exact up to 19 significant digits and wraps beyond. */
struct lp_json_number {
    const unsigned char *first; /* first digit */
    uint64_t digits;            /* integer and fraction read as one integer */
    int64_t exponent;           /* value = digits * 10^exponent */
    uint32_t digit_count;       /* leading zeros included; saturates */
    bool negative;
};

/** The value where the quick exact way does not apply. Never allocates; independent of the locale; +-inf on overflow.
 */
double lp_json_number_value(const struct lp_json_number *number) __attribute__((noinline));

/** Past the number's text, its parts in ret_number; NULL and a fault where the syntax is broken. */
const unsigned char *lp_json_number_exponent(const unsigned char *p, int64_t *exponent, struct lp_json_fault *fault);

static inline bool lp_json_is_digit(unsigned char c) { return (unsigned char)(c - '0') < 10; }

#ifdef LP_JSON_WORDS
/* How many digits the eight bytes begin with. One of the two sums sets bit 7 of a byte exactly when it is not in
 * '0'..'9'; carries and borrows start at such a byte only, so that the lowest flag is right. */
static inline unsigned lp_json_digit_run(uint64_t word)
{
    uint64_t other = ((word + 0x4646464646464646u) | (word - 0x3030303030303030u)) & 0x8080808080808080u;
    return other == 0 ? 8 : (unsigned)__builtin_ctzll(other) / 8;
}

/* Eight digits at once: pairs, then fours, then the eight (Lemire 2021, section 4; little-endian). */
static inline uint64_t lp_json_eight_digits(uint64_t word)
{
    word -= 0x3030303030303030u;
    word = word * 10 + (word >> 8);
    return (((word & 0x000000ff000000ffu) * 0x000f424000000064u) +
            (((word >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >>
           32;
}
#endif

/* Reads a run of digits into *digits; stops at the closing brace of the text at the latest. */
static inline const unsigned char *lp_json_digits(const unsigned char *p, const unsigned char *end, uint64_t *digits)
{
    uint64_t value = *digits;
#ifdef LP_JSON_WORDS
    static const uint64_t tens[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    while (end - p >= 8) {
        uint64_t word = lp_json_load(p);
        unsigned run = lp_json_digit_run(word);
        if (run == 8) {
            value = value * 100000000u + lp_json_eight_digits(word);
            p += 8;
            continue;
        }
        if (run > 0) {
            /* Shifted up, the digits have '0' - '0' in front of them once the bias is added to the empty bytes. */
            unsigned shift = 64 - 8 * run;
            word = word << shift | 0x3030303030303030u >> 8 * run;
            value = value * tens[run] + lp_json_eight_digits(word);
        }
        *digits = value;
        return p + run;
    }
#endif
    (void)end;
    for (; lp_json_is_digit(*p); p++) value = value * 10 + (uint64_t)(*p - '0');
    *digits = value;
    return p;
}

/**
 * @param p   first byte of the number ('-' or a digit, else a fault)
 * @param end as in json_scan.h
 * Cost: about 5 ns for six digits.
 */
static inline const unsigned char *lp_json_number_scan(const unsigned char *p, const unsigned char *end,
                                                       struct lp_json_number *ret_number, struct lp_json_fault *fault)
{
    struct lp_json_number n = {.negative = *p == '-'};
    p += n.negative;
    n.first = p;
    if (*p == '0') {
        p++;
        if (lp_json_is_digit(*p)) return lp_json_fail(fault, p, "a number with a leading zero");
    } else {
        p = lp_json_digits(p, end, &n.digits);
        if (p == n.first) return lp_json_fail(fault, p, "a number without digits");
    }
    size_t count = (size_t)(p - n.first);
    if (*p == '.') {
        const unsigned char *fraction = p + 1;
        p = lp_json_digits(fraction, end, &n.digits);
        if (p == fraction) return lp_json_fail(fault, p, "a decimal point without digits after it");
        count += (size_t)(p - fraction);
        n.exponent = fraction - p;
    }
    n.digit_count = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    *ret_number = n;
    if ((*p | 0x20) == 'e') return lp_json_number_exponent(p + 1, &ret_number->exponent, fault);
    return p;
}

/**
 * The double nearest to the text, ties to even.
 * Quick way (W. Clinger 1990): digits below 2^53 and a power of ten up to 22 are both exact doubles, so that one
 * multiplication or division rounds once.
 */
static inline double lp_json_number_double(const struct lp_json_number *number)
{
    static const double tens[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (number->digit_count > 19 || number->digits > (uint64_t)1 << 53 || number->exponent < -22 ||
        number->exponent > 22)
        return lp_json_number_value(number);
    double value = (double)(int64_t)number->digits;
    value = number->exponent < 0 ? value / tens[-number->exponent] : value * tens[number->exponent];
    return number->negative ? -value : value;
}

#endif
