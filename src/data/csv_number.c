/* Numbers of CSV fields. */
#include "data/private.h"
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
    } words[] = {{"true", 1}, {"false", 0}, {"nan", NAN}, {"inf", INFINITY}, {"infinity", INFINITY}};
    bool negative = *text == '-', sign = negative || *text == '+';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text + (i < 2 ? 0 : sign), words[i].word) != 0) continue;
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

bool lp_data_number(const unsigned char *text, size_t bytes, double *ret_number)
{
    const unsigned char *end = text + bytes + LP_BYTES_PADDING;
    double number;
    if (lp_json_number_quick(text, end, &number) == text + bytes) {
        *ret_number = number;
        return true;
    }
    return parse_slowly(text, bytes, ret_number);
}
