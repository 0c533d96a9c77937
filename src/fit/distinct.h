/* About how many different values a stream has: HyperLogLog (P. Flajolet, E. Fusy, O. Gandouet, F. Meunier, 2007). */
#ifndef LP_FIT_DISTINCT_H
#define LP_FIT_DISTINCT_H

#include <stdint.h>
#include <string.h>

enum { LP_DISTINCT_BITS = 12, LP_DISTINCT_REGISTERS = 1 << LP_DISTINCT_BITS };

/** Standard error 1.04 / sqrt(4096) = 1.6 %; better below 10,000, where empty registers are counted. */
struct lp_distinct {
    unsigned char registers[LP_DISTINCT_REGISTERS];
};

/** Every bit depends on every bit (the finalizer of MurmurHash3, A. Appleby, public domain). */
static inline uint64_t lp_mix64(uint64_t x)
{
    x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

/** Of a double; -0 is 0. */
static inline uint64_t lp_hash_number(double value)
{
    uint64_t bits;
    value += 0.0;
    memcpy(&bits, &value, sizeof bits);
    return lp_mix64(bits);
}

/** @param hash a value's, well mixed */
static inline void lp_distinct_add(struct lp_distinct *distinct, uint64_t hash)
{
    uint64_t rest = hash << LP_DISTINCT_BITS | UINT64_C(1) << (LP_DISTINCT_BITS - 1);
    unsigned char rank = (unsigned char)(__builtin_clzll(rest) + 1);
    unsigned char *at = &distinct->registers[hash >> (64 - LP_DISTINCT_BITS)];
    if (rank > *at) *at = rank; /* seldom, once there were many */
}

/** As if one had seen the values of both. */
void lp_distinct_merge(struct lp_distinct *distinct, const struct lp_distinct *other);
double lp_distinct_count(const struct lp_distinct *distinct);

#endif
