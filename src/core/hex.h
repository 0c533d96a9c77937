/* Hexadecimal digits, in either case. */
#ifndef LP_CORE_HEX_H
#define LP_CORE_HEX_H

/** The value of a digit, or -1; any char or byte may be asked. */
static inline int lp_hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** The value of the four digits at text[0] (the UTF-16 unit of \uXXXX), or -1. */
static inline int lp_hex_unit(const char *text)
{
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = lp_hex_digit(text[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

#endif
