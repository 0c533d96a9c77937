/* FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): offset 14695981039346656037, prime 1099511628211. */
#ifndef LP_CORE_HASH_H
#define LP_CORE_HASH_H

#include "core/span.h"

#include <stdint.h>

#define LP_FNV1A64_START UINT64_C(14695981039346656037)

static inline uint64_t lp_fnv1a64_add(uint64_t hash, unsigned char byte)
{
    return (hash ^ byte) * UINT64_C(1099511628211);
}

static inline uint64_t lp_fnv1a64(struct lp_span text)
{
    uint64_t hash = LP_FNV1A64_START;
    for (size_t i = 0; i < text.size; i++) hash = lp_fnv1a64_add(hash, text.data[i]);
    return hash;
}

#endif
