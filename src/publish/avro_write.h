/* Private to publish/: Avro's binary encoding through a cursor into reserved bytes; each returns the byte after. */
#ifndef LP_PUBLISH_AVRO_WRITE_H
#define LP_PUBLISH_AVRO_WRITE_H

#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { LP_AVRO_LONG_MAX_BYTES = 10 };

static inline unsigned char *lp_avro_long(unsigned char *at, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    while (zigzag > 0x7f) {
        *at++ = (unsigned char)(zigzag | 0x80);
        zigzag >>= 7;
    }
    *at++ = (unsigned char)zigzag;
    return at;
}

/** Branch of ["null", T]. */
static inline unsigned char *lp_avro_branch(unsigned char *at, bool is_present)
{
    *at = is_present ? 2 : 0;
    return at + 1;
}

static inline unsigned char *lp_avro_bytes(unsigned char *at, struct lp_span bytes)
{
    at = lp_avro_long(at, (int64_t)bytes.size);
    if (bytes.size > 0) memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static inline unsigned char *lp_avro_float(unsigned char *at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(bits >> (8 * i));
    return at + 4;
}

static inline unsigned char *lp_avro_double(unsigned char *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++) at[i] = (unsigned char)(bits >> (8 * i));
    return at + 8;
}

/** fixed(8) of the hash's first bytes, which the number holds big-endian. */
static inline unsigned char *lp_avro_hash(unsigned char *at, uint64_t prefix)
{
    for (int i = 0; i < 8; i++) at[i] = (unsigned char)(prefix >> (56 - 8 * i));
    return at + 8;
}

#endif
