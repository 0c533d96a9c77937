#include "publish/json_write.h"

#include "core/shortest.h"

#include <math.h>

void lp_json_key(struct lp_buffer *out, bool is_first, const char *name)
{
    size_t length = strlen(name);
    unsigned char *at = lp_buffer_reserve(out, length + 4);
    if (at == NULL) return;
    at[0] = is_first ? '{' : ',';
    at[1] = '"';
    memcpy(at + 2, name, length);
    at[length + 2] = '"';
    at[length + 3] = ':';
    out->size += length + 4;
}

static bool is_plain(struct lp_span text)
{
    bool plain = true;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = text.data[i];
        plain &= c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    }
    return plain;
}

void lp_json_text(struct lp_buffer *out, struct lp_span text)
{
    if (text.data == NULL) {
        lp_buffer_append(out, "null", 4);
        return;
    }
    if (!is_plain(text)) {
        lp_buffer_json_string(out, text);
        return;
    }
    unsigned char *at = lp_buffer_reserve(out, text.size + 2);
    if (at == NULL) return;
    at[0] = '"';
    memcpy(at + 1, text.data, text.size);
    at[text.size + 1] = '"';
    out->size += text.size + 2;
}

void lp_json_integer(struct lp_buffer *out, int64_t value)
{
    enum { DIGITS_MAX = 20 };
    char text[DIGITS_MAX];
    char *at = text + DIGITS_MAX;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) *--at = '-';
    lp_buffer_append(out, at, (size_t)(text + DIGITS_MAX - at));
}

static size_t write_float(unsigned char *at, float value)
{
    if (isfinite(value)) return lp_shortest_float((char *)at, value);
    memcpy(at, "null", 4);
    return 4;
}

void lp_json_float(struct lp_buffer *out, float value)
{
    unsigned char *at = lp_buffer_reserve(out, LP_SHORTEST_FLOAT_BYTES);
    if (at != NULL) out->size += write_float(at, value);
}

void lp_json_floats(struct lp_buffer *out, const float *values, size_t count)
{
    enum { CHUNK = 16 }; /* room is made for so many at a time */
    lp_buffer_append(out, "[", 1);
    for (size_t first = 0; first < count; first += CHUNK) {
        size_t end = count - first < CHUNK ? count : first + CHUNK;
        unsigned char *start = lp_buffer_reserve(out, CHUNK * (LP_SHORTEST_FLOAT_BYTES + 1)), *at = start;
        if (start == NULL) return;
        for (size_t i = first; i < end; i++) {
            at += write_float(at, values[i]);
            *at++ = i + 1 < count ? ',' : ']';
        }
        out->size += (size_t)(at - start);
    }
    if (count == 0) lp_buffer_append(out, "]", 1);
}

void lp_json_double(struct lp_buffer *out, double value)
{
    if (isfinite(value)) lp_buffer_double(out, value);
    else lp_buffer_append(out, "null", 4);
}

void lp_json_hash(struct lp_buffer *out, uint64_t prefix)
{
    unsigned char *at = lp_buffer_reserve(out, 18);
    if (at == NULL) return;
    at[0] = at[17] = '"';
    for (int i = 0; i < 16; i++) at[i + 1] = (unsigned char)"0123456789abcdef"[prefix >> (60 - 4 * i) & 15];
    out->size += 18;
}
