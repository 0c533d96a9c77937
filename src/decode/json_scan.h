/*
 * Scanning JSON text: blanks, strings, literals, and whole values that nobody wants.
 *
 * Every function here relies on one promise of the caller: `end` is one past a '}' that is the last byte of the text.
 * No token but '}' itself contains that byte, so that scans for the end of blanks, digits and literals stop there
 * without a bounds check, and after any token but a closing one `p < end` holds. Strings may contain '}' and are
 * bounded by `end`. After '}' or ']' the caller compares with `end` before it reads on.
 */
#ifndef LP_DECODE_JSON_SCAN_H
#define LP_DECODE_JSON_SCAN_H

#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LP_JSON_WORDS 1 /* eight bytes at a time as one integer, first byte lowest */
#endif

/** What is wrong, and at which byte. Written by whoever returns NULL. */
struct lp_json_fault {
    const char *what; /* static text, continues "the JSON is broken at byte N: " */
    const unsigned char *at;
};

static inline const unsigned char *lp_json_fail(struct lp_json_fault *fault, const unsigned char *at, const char *what)
{
    fault->what = what;
    fault->at = at;
    return NULL;
}

static inline uint64_t lp_json_load(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/** Past blanks. */
static inline const unsigned char *lp_json_blanks(const unsigned char *p)
{
    while (__builtin_expect(*p <= ' ', 0) && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/**
 * The closing quote of a string, everything before it checked: escapes, surrogate pairs, UTF-8 (RFC 3629), no controls.
 *
 * @param p           first byte after the opening quote
 * @param ret_escaped set true when there is an escape, else left
 */
const unsigned char *lp_json_string_rest(const unsigned char *p, const unsigned char *end, bool *ret_escaped,
                                         struct lp_json_fault *fault);

/* As lp_json_string_rest; short plain strings without a call. */
static inline const unsigned char *lp_json_string(const unsigned char *p, const unsigned char *end, bool *ret_escaped,
                                                  struct lp_json_fault *fault)
{
#ifdef __SSE2__
    if (end - p >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* Signed: controls and everything from 0x80 on are below 0x20. */
        __m128i special =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')), _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
        unsigned quotes = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
        unsigned others = (unsigned)_mm_movemask_epi8(special);
        /* The first quote comes before every other special byte. */
        if (quotes != 0 && (others & (quotes ^ (quotes - 1))) == 0) return p + __builtin_ctz(quotes);
    }
#endif
    return lp_json_string_rest(p, end, ret_escaped, fault);
}

/**
 * Unescape a string that lp_json_string has checked.
 *
 * @param raw    what stands between the quotes
 * @param ret    [raw.size] bytes; not terminated
 * @return bytes written, never more than raw.size
 */
size_t lp_json_unescape(struct lp_span raw, unsigned char *ret);

/** Past `true`, `false` or `null` when the text has `word` here, else NULL and a fault. */
static inline const unsigned char *lp_json_literal(const unsigned char *p, const unsigned char *end, const char *word,
                                                   size_t size, struct lp_json_fault *fault)
{
    if ((size_t)(end - p) > size && memcmp(p, word, size) == 0) return p + size;
    return lp_json_fail(fault, p, "neither a string, number, object, array, true, false nor null");
}

/**
 * Past a value, checked but not kept.
 *
 * @param p     its first byte
 * @param depth containers open around it, at least 1
 */
const unsigned char *lp_json_skip(const unsigned char *p, const unsigned char *end, unsigned depth,
                                  struct lp_json_fault *fault);

#endif
