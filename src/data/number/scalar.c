/* Numbers of CSV fields. */
#include "data/number/number.h"
#include "decode/json_number.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_BYTES = 1024 }; /* no number needs more: 17 digits decide a double, 770 the hardest rounding */

static bool is_word(const char *text, double *ret_number)
{
    static const struct {
        const char *word;
        double number;
    } words[] = {{"true", 1},   {"false", 0},  {"na", NAN},  {"n/a", NAN},      {"#n/a", NAN},         {"<na>", NAN},
                 {"null", NAN}, {"none", NAN}, {"nan", NAN}, {"inf", INFINITY}, {"infinity", INFINITY}};
    enum { UNSIGNED = 8 }; /* the first ones take no sign */
    bool negative = *text == '-', sign = negative || *text == '+';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text + (i < UNSIGNED ? 0 : sign), words[i].word) != 0) continue;
        *ret_number = negative ? -words[i].number : words[i].number;
        return true;
    }
    return false;
}

/* [+-] digits [. digits] [e [+-] digits], a digit at least: strtod alone takes hexadecimal too. */
static bool is_decimal(const char *text)
{
    size_t digits = 0;
    text += *text == '-' || *text == '+';
    for (; isdigit((unsigned char)*text); text++) digits++;
    if (*text == '.')
        for (text++; isdigit((unsigned char)*text); text++) digits++;
    if (digits == 0) return false;
    if ((*text | 32) == 'e') {
        text++;
        text += *text == '-' || *text == '+';
        if (!isdigit((unsigned char)*text)) return false;
        while (isdigit((unsigned char)*text)) text++;
    }
    return *text == '\0';
}

static bool parse_slowly(const unsigned char *text, size_t bytes, double *ret_number)
{
    char copy[TEXT_BYTES];
    while (bytes > 0 && isspace(*text)) text++, bytes--;
    while (bytes > 0 && isspace(text[bytes - 1])) bytes--;
    if (bytes == 0 || bytes >= sizeof copy || memchr(text, '\0', bytes) != NULL) return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    if (is_word(copy, ret_number)) return true;
    if (!is_decimal(copy)) return false;
    *ret_number = strtod(copy, NULL);
    return true;
}

#ifdef LP_JSON_WORDS
/*
 * [-] digits [. digits] of at most 16 bytes without a branch on where the point is: the text moves to the upper end of
 * a 128-bit word (first character lowest), what is above it in the text moves over the point, and two times eight
 * digits become a number (decode/json_number.h). Zeros fill the lower end.
 */
static inline bool parse_short(const unsigned char *text, size_t bytes, double *ret_number)
{
    const uint64_t zeros = UINT64_C(0x3030303030303030), points = UINT64_C(0x2e2e2e2e2e2e2e2e);
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    bool negative = *text == '-';
    text += negative;
    bytes -= negative;
    if (bytes - 1 >= 16) return false;
    unsigned __int128 word = (unsigned __int128)lp_json_load(text + 8) << 64 | lp_json_load(text);
    const unsigned __int128 fill = (unsigned __int128)zeros << 64 | zeros;
    unsigned empty = 8 * (16 - (unsigned)bytes);
    word <<= empty;
    word |= empty != 0 ? fill >> (128 - empty) : 0;
    uint64_t low = (uint64_t)word, high = (uint64_t)(word >> 64);
    uint64_t low_points = ((low ^ points) - ones) & ~(low ^ points) & highs;
    uint64_t high_points = ((high ^ points) - ones) & ~(high ^ points) & highs;
    size_t places = 0;
    if ((low_points | high_points) != 0) {
        /* The lowest flag of a word is exact. */
        unsigned at = low_points != 0 ? (unsigned)__builtin_ctzll(low_points) - 7
                                      : 64 + (unsigned)__builtin_ctzll(high_points) - 7;
        unsigned __int128 before = word & (((unsigned __int128)1 << at) - 1);
        word = (word >> at >> 8 << 8 << at) | before << 8 | '0';
        low = (uint64_t)word;
        high = (uint64_t)(word >> 64);
        places = 15 - at / 8;
        if (bytes == 1) return false;
    }
    uint64_t other =
        (low + UINT64_C(0x4646464646464646)) | (low - zeros) | (high + UINT64_C(0x4646464646464646)) | (high - zeros);
    if ((other & highs) != 0) return false;
    uint64_t digits = lp_json_eight_digits(low) * 100000000u + lp_json_eight_digits(high);
    double number = lp_json_quotient(digits, places);
    /* The sign is as good as random: no branch. */
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits |= (uint64_t)negative << 63;
    memcpy(ret_number, &bits, sizeof bits);
    return true;
}
#endif

bool lp_data_number(const unsigned char *text, size_t bytes, double *ret_number)
{
#ifdef LP_JSON_WORDS
    if (__builtin_expect(parse_short(text, bytes, ret_number), 1)) return true;
#endif
    double number;
    if (lp_json_number_quick(text, text + bytes + LP_BYTES_PADDING, &number) == text + bytes) {
        *ret_number = number;
        return true;
    }
    return parse_slowly(text, bytes, ret_number);
}

uint32_t lp_csv_numbers_scalar(const struct lp_csv_field *fields, const int32_t *columns, uint32_t count,
                               double *numbers)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct lp_csv_field *field = &fields[columns[i] < 0 ? 0 : columns[i]];
        if (columns[i] < 0 || field->bytes == 0) numbers[i] = (double)NAN;
        else if (!lp_data_number(field->text, field->bytes, &numbers[i])) return i;
    }
    return count;
}
