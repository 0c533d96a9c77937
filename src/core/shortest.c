/* Schubfach for binary32, whose quantities carry the names they have in the paper or in IEEE 754; doubles by search. */
#include "core/shortest.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POWER_MIN = -31, HIDDEN_BIT = 1 << 23, EXPONENT_BIAS = 150, PLAIN_MIN = -3, PLAIN_MAX = 16 };
enum { NINE = 9, COPIED = 9 }; /* digits of a float at most; copied whole, whatever their number is */
enum { SEVENTEEN = 17 };       /* digits of a double at most */

static const uint64_t powers[] = {
#include "core/shortest_powers.inc"
};

static const uint32_t tens[] = {10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

/* value = digits * 10^exponent */
struct decimal {
    uint32_t digits;
    int32_t exponent;
};

static int32_t floor_log2_of_power10(int32_t k) { return (k * 1741647) >> 19; }

/* floor(log10(2^q)), or floor(log10(3/4 * 2^q)) where the gap below is half the one above. */
static int32_t floor_log10_of_power2(int32_t q, bool is_lower_closer)
{
    return (q * 1262611 - (is_lower_closer ? 524031 : 0)) >> 22;
}

/* The product's upper 32 bits, with the lowest bit set when anything was cut off. */
static uint32_t round_to_odd(uint64_t g, uint32_t cp)
{
    unsigned __int128 product = (unsigned __int128)g * cp;
    return (uint32_t)(product >> 64) | ((uint32_t)(product >> 32) > 1);
}

static struct decimal shortest(uint32_t significand, uint32_t exponent)
{
    uint32_t c = exponent != 0 ? significand | HIDDEN_BIT : significand;
    int32_t q = exponent != 0 ? (int32_t)exponent - EXPONENT_BIAS : 1 - EXPONENT_BIAS;
    if (q <= 0 && q > -24 && (c & ((1u << -q) - 1)) == 0) return (struct decimal){c >> -q, 0};

    bool is_even = (c & 1) == 0, is_lower_closer = significand == 0 && exponent > 1;
    int32_t k = floor_log10_of_power2(q, is_lower_closer);
    int32_t h = q + floor_log2_of_power10(-k) + 1;
    uint64_t g = powers[-k - POWER_MIN];
    uint32_t lower = round_to_odd(g, (4 * c - 2 + is_lower_closer) << h) + !is_even;
    uint32_t middle = round_to_odd(g, (4 * c) << h);
    uint32_t upper = round_to_odd(g, (4 * c + 2) << h) - !is_even;

    uint32_t s = middle / 4;
    if (s >= 10) {
        uint32_t tenth = s / 10;
        bool is_down_inside = lower <= 40 * tenth, is_up_inside = 40 * tenth + 40 <= upper;
        if (is_down_inside != is_up_inside) return (struct decimal){tenth + is_up_inside, k + 1};
    }
    bool is_down_inside = lower <= 4 * s, is_up_inside = 4 * s + 4 <= upper;
    if (is_down_inside != is_up_inside) return (struct decimal){s + is_up_inside, k};
    uint32_t half = 4 * s + 2;
    return (struct decimal){s + (middle > half || (middle == half && (s & 1) != 0)), k};
}

/* Nine digits with leading zeros, in constant time: the number of digits is not predictable, so no loop depends on it.
 */
static void write_nine(char text[static NINE], uint32_t digits)
{
    uint32_t high = digits / 10000, low = digits % 10000, top = high / 10000, middle = high % 10000;
    text[0] = (char)('0' + top);
    memcpy(text + 1, pairs + 2 * (middle / 100), 2);
    memcpy(text + 3, pairs + 2 * (middle % 100), 2);
    memcpy(text + 5, pairs + 2 * (low / 100), 2);
    memcpy(text + 7, pairs + 2 * (low % 100), 2);
}

static uint32_t digit_count(uint32_t digits)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < NINE - 1; i++) count += digits >= tens[i];
    return count;
}

/* From every digit on, `copied` bytes can be read: a constant, so that no copy is a call. */
static inline __attribute__((always_inline)) size_t write_scientific(char *text, const char *digits, uint32_t count,
                                                                     int32_t point, uint32_t copied)
{
    int32_t exponent = point - 1;
    uint32_t size = (uint32_t)(exponent < 0 ? -exponent : exponent);
    memcpy(text + 1, digits, copied);
    text[0] = text[1];
    text[1] = '.';
    char *at = text + (count > 1 ? count + 1 : 1);
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    if (size >= 100) *at++ = (char)('0' + size / 100);
    memcpy(at, pairs + size % 100 * 2, 2);
    return (size_t)(at - text) + 2;
}

/* digits with the decimal point after `point` of them (0 or below: behind leading zeros). */
static inline __attribute__((always_inline)) size_t write_plain(char *text, const char *digits, uint32_t count,
                                                                int32_t point, uint32_t copied)
{
    if (point <= 0) {
        memcpy(text, "0.0000", 6);
        memcpy(text + 2 - point, digits, copied);
        return (size_t)(2 - point) + count;
    }
    memcpy(text, digits, copied);
    if ((uint32_t)point >= count) {
        memset(text + count, '0', (uint32_t)point - count);
        return (size_t)point;
    }
    text[point] = '.';
    memcpy(text + point + 1, digits + point, copied);
    return (size_t)count + 1;
}

static inline __attribute__((always_inline)) size_t write_layout(char *text, const char *digits, uint32_t count,
                                                                 int32_t point, uint32_t copied)
{
    while (digits[count - 1] == '0') count--;
    bool is_plain = point >= PLAIN_MIN && point <= PLAIN_MAX;
    return is_plain ? write_plain(text, digits, count, point, copied)
                    : write_scientific(text, digits, count, point, copied);
}

static size_t write_word(char *text, const char *word)
{
    size_t length = strlen(word);
    memcpy(text, word, length);
    return length;
}

size_t lp_shortest_float(char *text, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t significand = bits & (HIDDEN_BIT - 1), exponent = bits >> 23 & 0xff;
    if (exponent == 0xff) return write_word(text, significand != 0 ? "nan" : bits >> 31 ? "-inf" : "inf");
    size_t sign = bits >> 31;
    text[0] = '-';
    text += sign;
    if (exponent == 0 && significand == 0) return sign + write_word(text, "0");
    struct decimal d = shortest(significand, exponent);
    char nine[NINE + COPIED * 2] = {0};
    write_nine(nine, d.digits);
    uint32_t count = digit_count(d.digits);
    return sign + write_layout(text, nine + NINE - count, count, (int32_t)count + d.exponent, COPIED);
}

/* The digits without their point, and where the point belongs, of a text "d.ddde-05"; its value is `value` or not. */
static bool take_digits(const char *text, uint32_t count, double value, char *ret_digits, int32_t *ret_point)
{
    bool has_point = count > 1;
    ret_digits[0] = text[0];
    if (has_point) memcpy(ret_digits + 1, text + 2, count - 1);
    *ret_point = (int32_t)strtol(text + count + has_point + 1, NULL, 10) + 1;
    return strtod(text, NULL) == value;
}

/* Below a power of two doubles stand twice as close as above it: where the closest text is too far below, the next one
 * above may still be near enough. A text whose last digit would carry is a shorter one, and that was not near enough.
 */
static bool take_above(char *text, uint32_t count, double value, char *ret_digits, int32_t *ret_point)
{
    if (text[count] == '9') return false;
    text[count]++;
    return take_digits(text, count, value, ret_digits, ret_point);
}

size_t lp_shortest_double(char *text, double value)
{
    if (!isfinite(value)) return write_word(text, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
    size_t sign = signbit(value) != 0;
    text[0] = '-';
    text += sign;
    if (value == 0) return sign + write_word(text, "0");
    double size = fabs(value);
    /* Fifteen digits survive any normal double, so that what is shorter shows as zeros at their end. */
    uint32_t count = size >= DBL_MIN ? DBL_DIG : 1;
    char shown[LP_SHORTEST_DOUBLE_BYTES], digits[2 * SEVENTEEN] = {0};
    int32_t point = 0;
    for (;; count++) {
        snprintf(shown, sizeof shown, "%.*e", (int)count - 1, size);
        if (take_digits(shown, count, size, digits, &point) || count == SEVENTEEN) break;
        if (count > DBL_DIG && take_above(shown, count, size, digits, &point)) break;
    }
    return sign + write_layout(text, digits, count, point, SEVENTEEN);
}
