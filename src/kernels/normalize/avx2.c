/*
 * AVX2: 4 doubles at a time; the tail is the last 4 elements once more (y does not overlap x, so the same values are
 * written), fewer than 4 go one by one. Exact: the scalar kernel's bits.
 */
#include "kernels/normalize/normalize.h"

#include <immintrin.h>
#include <stddef.h>

enum { LANES = 4 };

struct four {
    __m256d low, high, center, scale;
};

/* All ones where x is inside. */
static inline __m256d step(const double *x, struct four by, double *y)
{
    __m256d v = _mm256_loadu_pd(x);
    _mm256_storeu_pd(y, _mm256_div_pd(_mm256_sub_pd(v, by.center), by.scale));
    return _mm256_and_pd(_mm256_cmp_pd(v, by.low, _CMP_GE_OQ), _mm256_cmp_pd(v, by.high, _CMP_LE_OQ));
}

static inline struct four load(const struct lp_normalize_each *by, size_t i)
{
    return (struct four){_mm256_loadu_pd(by->low + i), _mm256_loadu_pd(by->high + i), _mm256_loadu_pd(by->center + i),
                         _mm256_loadu_pd(by->scale + i)};
}

static bool each(const double *x, const struct lp_normalize_each *by, uint32_t count, double *y)
{
    if (count < LANES) return lp_normalize_f64_scalar.each(x, by, count, y);
    size_t last = count - LANES;
    __m256d inside = step(x + last, load(by, last), y + last);
    for (size_t i = 0; i < last; i += LANES) inside = _mm256_and_pd(inside, step(x + i, load(by, i), y + i));
    return _mm256_movemask_pd(inside) == 15;
}

static bool copy(const double *x, const struct four by, size_t last, double *y)
{
    __m256d inside = _mm256_castsi256_pd(_mm256_set1_epi64x(-1));
    for (size_t i = 0;; i = i + LANES < last ? i + LANES : last) {
        __m256d v = _mm256_loadu_pd(x + i);
        _mm256_storeu_pd(y + i, v);
        v = _mm256_and_pd(_mm256_cmp_pd(v, by.low, _CMP_GE_OQ), _mm256_cmp_pd(v, by.high, _CMP_LE_OQ));
        inside = _mm256_and_pd(inside, v);
        if (i == last) return _mm256_movemask_pd(inside) == 15;
    }
}

static bool same(const double *x, const struct lp_normalize_same *by, uint32_t count, double *y)
{
    if (count < LANES) return lp_normalize_f64_scalar.same(x, by, count, y);
    size_t last = count - LANES;
    const struct four all = {_mm256_set1_pd(by->low), _mm256_set1_pd(by->high), _mm256_set1_pd(by->center),
                             _mm256_set1_pd(by->scale)};
    if (by->center == 0.0 && by->scale == 1.0) return copy(x, all, last, y);
    __m256d inside = step(x + last, all, y + last);
    for (size_t i = 0; i < last; i += LANES) inside = _mm256_and_pd(inside, step(x + i, all, y + i));
    return _mm256_movemask_pd(inside) == 15;
}

const struct lp_normalize_kernel lp_normalize_f64_avx2 = {"avx2", each, same};
