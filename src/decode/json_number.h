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
    size_t digit_count;         /* leading zeros included */
    bool negative;
};

/** The value where the quick exact way does not apply. Never allocates; independent of the locale; +-inf on overflow.
 */
double lp_json_number_value(struct lp_json_number number);

/** As lp_json_number_value for digits * 10^exponent, digits below 10^19. */
double lp_json_decimal(uint64_t digits, int64_t exponent);

/** Past the digits of an exponent, its value in ret_exponent; NULL and a fault where the syntax is broken. */
const unsigned char *lp_json_number_exponent(const unsigned char *p, int64_t *ret_exponent,
                                             struct lp_json_fault *fault);

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
    n.digit_count = count;
    if ((*p | 0x20) == 'e') {
        int64_t exponent; /* a variable of its own, so that the number can stay in registers */
        p = lp_json_number_exponent(p + 1, &exponent, fault);
        if (p == NULL) return NULL;
        n.exponent += exponent;
    }
    *ret_number = n;
    return p;
}

/**
 * digits * 10^-places rounded once, for places up to 19: when the digits are below 2^53 they and the power of ten are
 * exact doubles, and one division rounds (W. Clinger, "How to read floating point numbers accurately", 1990).
 */
static inline double lp_json_quotient(uint64_t digits, size_t places)
{
    static const double tens[20] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
                                    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19};
    if (__builtin_expect(digits > (uint64_t)1 << 53, 0)) return lp_json_decimal(digits, -(int64_t)places);
    return (double)(int64_t)digits / tens[places];
}

/** The double nearest to the text, ties to even. */
static inline double lp_json_number_double(const struct lp_json_number *number)
{
    if (number->digit_count > 19 || number->exponent > 0 || number->exponent < -19)
        return lp_json_number_value(*number);
    double value = lp_json_quotient(number->digits, (size_t)-number->exponent);
    return number->negative ? -value : value;
}

/**
 * The usual number in one go: no exponent, up to 19 digits. NULL: it is not that, or broken; lp_json_number_scan tells.
 *
 * @param p   any byte
 * @param end as in json_scan.h
 */
static inline __attribute__((always_inline)) const unsigned char *
lp_json_number_quick(const unsigned char *p, const unsigned char *end, double *ret_value)
{
    bool negative = *p == '-';
    const unsigned char *first = p + negative, *point = first + 1;
    uint64_t digits = 0;
    size_t count = 0, places = 0;
    if (*first != '0') {
        point = lp_json_digits(first, end, &digits);
        count = (size_t)(point - first);
        if (count == 0) return NULL;
    }
    p = point;
    if (*p == '.') {
        p = lp_json_digits(point + 1, end, &digits);
        places = (size_t)(p - point) - 1;
        if (places == 0) return NULL;
    }
    if (count + places > 19 || (*p | 0x20) == 'e' || lp_json_is_digit(*p)) return NULL;
    double value = lp_json_quotient(digits, places);
    *ret_value = negative ? -value : value;
    return p;
}

#endif
