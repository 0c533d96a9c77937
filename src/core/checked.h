/* Arithmetic on untrusted sizes: false means overflow. */
#ifndef LP_CORE_CHECKED_H
#define LP_CORE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

static inline bool lp_checked_add(size_t a, size_t b, size_t *ret_sum)
{
    return !__builtin_add_overflow(a, b, ret_sum);
}
static inline bool lp_checked_mul(size_t a, size_t b, size_t *ret_product)
{
    return !__builtin_mul_overflow(a, b, ret_product);
}

#endif
