#include "fit/sort.h"

#include <float.h>
#include <string.h>

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS, FIRST_DIGITS = 3, FEW = 64, MOVES_PER_VALUE = 8, BUCKETS = 2048 };

/* Doubles in the order of unsigned integers: negative ones turned over, the others above them. */
static inline uint64_t key_of(double value)
{
    uint64_t bits;
    value += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &value, sizeof bits);
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | UINT64_C(1) << 63);
}

static inline double value_of(uint64_t key)
{
    uint64_t bits = key ^ (key >> 63 != 0 ? UINT64_C(1) << 63 : UINT64_MAX);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/*
 * A stable pass over each of FIRST_DIGITS digits from bit `low` on; 256 places to write at stay in the first cache. The
 * keys are in `*keys` afterwards, which may be the other buffer.
 */
static void sort_digits(uint64_t **keys, uint64_t **other, uint32_t count, unsigned low)
{
    uint32_t begins[FIRST_DIGITS][DIGITS] = {{0}};
    for (uint32_t i = 0; i < count; i++)
        for (unsigned k = 0; k < FIRST_DIGITS; k++) begins[k][(*keys)[i] >> (low + k * DIGIT_BITS) & (DIGITS - 1)]++;
    for (unsigned k = 0; k < FIRST_DIGITS; k++) {
        unsigned shift = low + k * DIGIT_BITS;
        const uint64_t *from = *keys;
        uint64_t *to = *other;
        if (begins[k][from[0] >> shift & (DIGITS - 1)] == count) continue; /* all have the same */
        for (uint32_t d = 0, begin = 0; d < DIGITS; d++) {
            uint32_t size = begins[k][d];
            begins[k][d] = begin;
            begin += size;
        }
        for (uint32_t i = 0; i < count; i++) to[begins[k][from[i] >> shift & (DIGITS - 1)]++] = from[i];
        *other = *keys;
        *keys = to;
    }
}

/* By all bits from `low` up to `high`; the last digits may overlap those before, which changes nothing. */
static void sort_bits(uint64_t **keys, uint64_t **other, uint32_t count, unsigned low, unsigned high)
{
    const unsigned bits = FIRST_DIGITS * DIGIT_BITS;
    for (; low < high; low += bits) sort_digits(keys, other, count, low < 64 - bits ? low : 64 - bits);
}

/* False when it took more than `moves` steps: the order is then as it came out so far, nothing lost. */
static int insert_all(uint64_t *keys, uint32_t count, uint64_t moves)
{
    for (uint32_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        uint32_t at = i;
        for (; at > 0 && keys[at - 1] > key; at--) keys[at] = keys[at - 1];
        keys[at] = key;
        if (i - at > moves) return 0;
        moves -= i - at;
    }
    return 1;
}

void lp_sort_doubles(double *values, uint64_t *scratch, uint32_t count)
{
    uint64_t *keys = scratch, *other = scratch + count, any = 0;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = key_of(values[i]);
        any |= keys[i] ^ keys[0];
    }
    if (any != 0 && (count > FEW || !insert_all(keys, count, UINT64_MAX))) {
        unsigned high = 64 - (unsigned)__builtin_clzll(any), low = (unsigned)__builtin_ctzll(any);
        unsigned first = high - low > FIRST_DIGITS * DIGIT_BITS ? high - FIRST_DIGITS * DIGIT_BITS : low;
        sort_bits(&keys, &other, count, first, high);
        if (first > low && !insert_all(keys, count, (uint64_t)count * MOVES_PER_VALUE))
            sort_bits(&keys, &other, count, low, high);
    }
    for (uint32_t i = 0; i < count; i++) values[i] = value_of(keys[i]);
}

void lp_sort_roughly(double *values, uint64_t *scratch, uint32_t count, double min, double max)
{
    double scale = BUCKETS / (max - min), *to = (double *)(void *)scratch;
    if (count <= LP_SORT_EXACTLY_MAX || !(scale > 0 && scale <= DBL_MAX)) {
        lp_sort_doubles(values, scratch, count);
        return;
    }
    /* By the share of the range that is below: rising, whatever is rounded. */
    uint32_t begins[BUCKETS + 1] = {0};
    for (uint32_t i = 0; i < count; i++) begins[(int32_t)((values[i] - min) * scale)]++;
    for (uint32_t b = 0, begin = 0; b <= BUCKETS; b++) {
        uint32_t size = begins[b];
        begins[b] = begin;
        begin += size;
    }
    for (uint32_t i = 0; i < count; i++) to[begins[(int32_t)((values[i] - min) * scale)]++] = values[i] + 0.0;
    memcpy(values, to, count * sizeof *values);
    for (uint32_t b = 0, begin = 0; b <= BUCKETS; begin = begins[b++])
        if (begins[b] - begin > LP_SORT_APART_MAX) lp_sort_doubles(values + begin, scratch, begins[b] - begin);
}
