#include "decode/json_scan.h"

#include "core/hex.h"
#include "core/utf8.h"
#include "decode/json.h"
#include "decode/json_number.h"

/* First byte that needs a look: quote, backslash, control or not ASCII; `end` when there is none. */
static const unsigned char *find_special(const unsigned char *p, const unsigned char *end)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i special =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')), _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
        special = _mm_or_si128(special, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask != 0) return p + __builtin_ctz(mask);
    }
#elif defined(LP_JSON_WORDS)
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    for (; end - p >= 8; p += 8) {
        uint64_t word = lp_json_load(p), quote = word ^ ones * '"', slash = word ^ ones * '\\';
        uint64_t hit = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word) | word;
        if ((hit & tops) != 0) return p + __builtin_ctzll(hit & tops) / 8;
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20 && *p < 0x80) p++;
    return p;
}

/* Past the escape whose backslash is at p. */
static const unsigned char *check_escape(const unsigned char *p, const unsigned char *end, struct lp_json_fault *fault)
{
    if (end - p < 2) return lp_json_fail(fault, p, "a string that does not end");
    if (p[1] != 'u') {
        if (p[1] == 0 || strchr("\"\\/bfnrt", p[1]) == NULL)
            return lp_json_fail(fault, p, "an escape that JSON does not have");
        return p + 2;
    }
    int unit = end - p >= 6 ? lp_hex_unit((const char *)p + 2) : -1;
    if (unit < 0) return lp_json_fail(fault, p, "\\u without four hexadecimal digits");
    if (unit < 0xd800 || unit > 0xdfff) return p + 6;
    int low = unit < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? lp_hex_unit((const char *)p + 8) : -1;
    if (low < 0xdc00 || low > 0xdfff) return lp_json_fail(fault, p, "half a surrogate pair");
    return p + 12;
}

/* Past the UTF-8 sequence at p. */
static const unsigned char *check_utf8(const unsigned char *p, const unsigned char *end, struct lp_json_fault *fault)
{
    size_t bytes = lp_utf8_sequence(p, (size_t)(end - p));
    return bytes > 0 ? p + bytes : lp_json_fail(fault, p, "bytes that are not UTF-8");
}

const unsigned char *lp_json_string_rest(const unsigned char *p, const unsigned char *end, bool *ret_escaped,
                                         struct lp_json_fault *fault)
{
    const unsigned char *start = p;
    while (p != NULL) {
        p = find_special(p, end);
        if (p == end) return lp_json_fail(fault, start - 1, "a string that does not end");
        if (*p == '"') return p;
        if (*p < 0x20) return lp_json_fail(fault, p, "a control character in a string");
        if (*p == '\\') {
            *ret_escaped = true;
            p = check_escape(p, end, fault);
            continue;
        }
        while (p != NULL && p < end && *p >= 0x80) p = check_utf8(p, end, fault);
    }
    return NULL;
}

/* The code point of the escape whose backslash is at *p; moves *p past it. */
static uint32_t take_escape(const unsigned char **p)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    const unsigned char *at = *p;
    if (at[1] != 'u') {
        const char *name = strchr(names, at[1]);
        *p = at + 2;
        return name != NULL ? (uint32_t)values[name - names] : at[1];
    }
    uint32_t unit = (uint32_t)lp_hex_unit((const char *)at + 2);
    *p = at + 6;
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    *p = at + 12;
    return 0x10000 + ((unit - 0xd800) << 10) + ((uint32_t)lp_hex_unit((const char *)at + 8) - 0xdc00);
}

size_t lp_json_unescape(struct lp_span raw, unsigned char *ret)
{
    const unsigned char *p = raw.data, *end = raw.data + raw.size;
    size_t used = 0;
    while (p < end) {
        if (*p == '\\') used += lp_utf8_put(take_escape(&p), ret + used);
        else ret[used++] = *p++;
    }
    return used;
}

static const unsigned char *skip_scalar(const unsigned char *p, const unsigned char *end, struct lp_json_fault *fault)
{
    bool escaped = false;
    struct lp_json_number number;
    switch (*p) {
    case '"': p = lp_json_string(p + 1, end, &escaped, fault); return p != NULL ? p + 1 : NULL;
    case 't': return lp_json_literal(p, end, "true", 4, fault);
    case 'f': return lp_json_literal(p, end, "false", 5, fault);
    case 'n': return lp_json_literal(p, end, "null", 4, fault);
    default: break;
    }
    if (*p == '-' || lp_json_is_digit(*p)) return lp_json_number_scan(p, end, &number, fault);
    return lp_json_fail(fault, p, "neither a string, number, object, array, true, false nor null");
}

/* Past a key and its colon, to the value. */
static const unsigned char *skip_key(const unsigned char *p, const unsigned char *end, struct lp_json_fault *fault)
{
    bool escaped = false;
    if (*p != '"') return lp_json_fail(fault, p, "a key that is not a string");
    p = lp_json_string(p + 1, end, &escaped, fault);
    if (p == NULL) return NULL;
    p = lp_json_blanks(p + 1);
    if (*p != ':') return lp_json_fail(fault, p, "no colon after a key");
    return lp_json_blanks(p + 1);
}

const unsigned char *lp_json_skip(const unsigned char *p, const unsigned char *end, unsigned depth,
                                  struct lp_json_fault *fault)
{
    uint64_t objects = 0; /* one bit a container opened here, innermost lowest: 1 an object, 0 an array */
    unsigned level = 0;
    for (;;) {
        if (objects & 1) p = skip_key(p, end, fault);
        if (p == NULL) return NULL;
        if (*p == '{' || *p == '[') {
            if (depth + level >= LP_JSON_DEPTH_MAX) return lp_json_fail(fault, p, "nested more than 64 deep");
            objects = objects << 1 | (*p == '{');
            level++;
            p = lp_json_blanks(p + 1);
            if (*p != (objects & 1 ? '}' : ']')) continue;
        } else {
            p = skip_scalar(p, end, fault);
            if (p == NULL) return NULL;
        }
        for (;; p++) { /* each turn closes a container */
            if (level == 0) return p;
            if (p == end) return lp_json_fail(fault, p, "more containers opened than closed");
            p = lp_json_blanks(p);
            if (*p == ',') break;
            if (*p != (objects & 1 ? '}' : ']'))
                return lp_json_fail(fault, p, "neither a comma nor the matching bracket");
            objects >>= 1;
            level--;
        }
        p = lp_json_blanks(p + 1);
    }
}
