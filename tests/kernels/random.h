/* Numbers that are the same in every run. */
#ifndef TESTS_KERNELS_RANDOM_H
#define TESTS_KERNELS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t random_bits(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Below `limit`. */
static inline uint32_t random_below(uint32_t limit) { return (uint32_t)((random_bits() >> 20) % limit); }

/* In [-2, 2). */
static inline float random_float(void)
{
    return (float)((double)(random_bits() >> 11) / 9007199254740992.0 * 4.0 - 2.0);
}

static inline void random_floats(float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = random_float();
}

#endif
