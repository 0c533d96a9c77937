/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing past U+10FFFF. */
#ifndef LP_CORE_UTF8_H
#define LP_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Bytes of the valid sequence at text[0], or 0. @param left bytes from there on, at least 1 */
static inline size_t lp_utf8_sequence(const unsigned char *text, size_t left)
{
    unsigned c = text[0];
    if (c < 0x80) return 1;
    size_t bytes = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (bytes == 0 || bytes > left) return 0;
    unsigned low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) return 0;
    for (size_t i = 2; i < bytes; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    return bytes;
}

/** lp_utf8_valid without its quick way: for texts that are not ASCII. */
bool lp_utf8_check(const unsigned char *text, size_t bytes);

/**
 * Is the whole text valid? ASCII goes eight bytes at a time.
 * @param end up to where memory may be read, at least text + bytes: what lies behind a short text saves its loop
 */
static inline bool lp_utf8_valid_before(const unsigned char *text, size_t bytes, const unsigned char *end)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t any, word;
    if (bytes >= 8) {
        memcpy(&any, text + bytes - 8, 8);
        for (size_t i = 0; i + 8 <= bytes; i += 8) {
            memcpy(&word, text + i, 8);
            any |= word;
        }
        if (__builtin_expect((any & high) == 0, 1)) return true;
    } else if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && __builtin_expect(end - text >= 8, 1)) {
        memcpy(&word, text, 8);
        if (__builtin_expect((word & high & ((UINT64_C(1) << (8 * bytes)) - 1)) == 0, 1)) return true;
    }
    return lp_utf8_check(text, bytes);
}

/** An empty text is valid; `text` may then be NULL. */
static inline bool lp_utf8_valid(const void *text, size_t bytes)
{
    return bytes == 0 || lp_utf8_valid_before(text, bytes, (const unsigned char *)text + bytes);
}

/** Write a code point (up to U+10FFFF, no surrogate) into at most four bytes; returns how many. */
size_t lp_utf8_put(uint32_t point, unsigned char *to);

#endif
