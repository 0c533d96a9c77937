/* Reading primitives with bounds checks; NULL means "not there". Private to src/decode/avro*.c; all inline, no ISA. */
#ifndef LP_DECODE_AVRO_READ_H
#define LP_DECODE_AVRO_READ_H

#include "core/utf8.h"
#include "decode/avro_value.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the decoder reads Avro's little-endian floats in place"
#endif

#define LP_LIKELY(x) __builtin_expect(!!(x), 1)
#define LP_UNLIKELY(x) __builtin_expect(!!(x), 0)

static inline int64_t lp_avro_zigzag(uint64_t bits) { return (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1); }

static inline uint64_t lp_avro_load64(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Byte by byte: near the end of the body, and above eight bytes. NULL: cut short, or past 64 bits. */
static __attribute__((noinline, unused)) const unsigned char *
lp_avro_varint_slow(const unsigned char *p, const unsigned char *end, uint64_t *ret_bits)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        uint64_t byte = *p++;
        if (shift == 63 && byte > 1) return NULL;
        bits |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_bits = bits;
            return p;
        }
    }
    return NULL;
}

/*
 * A varint of up to eight bytes without a loop: the first clear high bit of the word gives the length, and three steps
 * close the gaps between the 7-bit groups. One and two bytes have branches of their own: predicted, they let the next
 * field begin before this one's length is known.
 */
static inline __attribute__((always_inline)) const unsigned char *
lp_avro_varint(const unsigned char *p, const unsigned char *end, uint64_t *ret_bits)
{
    if (LP_UNLIKELY(end - p < 8)) return lp_avro_varint_slow(p, end, ret_bits);
    uint64_t word = lp_avro_load64(p);
    if ((word & 0x80) == 0) {
        *ret_bits = word & 0x7f;
        return p + 1;
    }
    if ((word & 0x8000) == 0) {
        *ret_bits = (word & 0x7f) | (word >> 1 & 0x3f80);
        return p + 2;
    }
    uint64_t stops = ~word & UINT64_C(0x8080808080808080);
    if (LP_UNLIKELY(stops == 0)) return lp_avro_varint_slow(p, end, ret_bits);
    word &= stops ^ (stops - 1);
    word &= UINT64_C(0x7f7f7f7f7f7f7f7f);
    word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
    word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
    word = (word & UINT64_C(0x000000000fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
    *ret_bits = word;
    return p + (((unsigned)__builtin_ctzll(stops) + 1) >> 3);
}

static inline __attribute__((always_inline)) const unsigned char *
lp_avro_read_long(const unsigned char *p, const unsigned char *end, int64_t *ret_value)
{
    uint64_t bits = 0;
    p = lp_avro_varint(p, end, &bits);
    *ret_value = lp_avro_zigzag(bits);
    return p;
}

/* At most five bytes and 32 bits. */
static inline __attribute__((always_inline)) const unsigned char *
lp_avro_read_int(const unsigned char *p, const unsigned char *end, int64_t *ret_value)
{
    uint64_t bits = 0;
    const unsigned char *next = lp_avro_varint(p, end, &bits);
    *ret_value = lp_avro_zigzag(bits);
    if (LP_UNLIKELY(next == NULL || bits > UINT32_MAX || next - p > 5)) return NULL;
    return next;
}

typedef float lp_avro_f32 __attribute__((aligned(1), may_alias)); /* a float anywhere in a body */
typedef double lp_avro_f64 __attribute__((aligned(1), may_alias));

static inline void lp_avro_widen(const unsigned char *restrict from, double *restrict to, uint32_t count)
{
    const lp_avro_f32 *values = (const lp_avro_f32 *)from;
    for (uint32_t i = 0; i < count; i++) to[i] = (double)values[i];
}

#endif
