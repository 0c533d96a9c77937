/* Count, mean, variance, smallest and largest of numbers, stable and mergeable. */
#ifndef LP_FIT_MOMENTS_H
#define LP_FIT_MOMENTS_H

#include <stdint.h>

/**
 * Welford's sums, merged pairwise (T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for
 * computing sample variances", 1979). Long double, so that the squares of 1e+-300 are there.
 */
struct lp_moments {
    uint64_t count;
    double shift; /* one of the numbers: the mean is shift + offset, so that 1e9 +- 1e-3 loses nothing */
    long double offset;
    long double m2; /* sum of (x - mean)^2 */
    double min, max;
};

/** Of `count` finite numbers, at least 1: two passes, the second corrected (Bjorck 1970). About 0.7 ns a number. */
void lp_moments_of(const double *values, uint32_t count, struct lp_moments *ret_moments);
/** As if all numbers of both had been seen; the order of merging changes the last bits only. */
void lp_moments_merge(struct lp_moments *moments, const struct lp_moments *other);

double lp_moments_mean(const struct lp_moments *moments);
/** sqrt(m2 / count), as numpy's std and scikit-learn's StandardScaler; 0 of none. */
double lp_moments_std(const struct lp_moments *moments);

/** Sums of pairs, for a correlation; merged likewise. */
struct lp_comoments {
    uint64_t count;
    double shift_x, shift_y;
    long double offset_x, offset_y, m2_x, m2_y, m_xy;
};
void lp_comoments_of(const double *x, const double *y, uint32_t count, struct lp_comoments *ret_comoments);
void lp_comoments_merge(struct lp_comoments *comoments, const struct lp_comoments *other);
/** Pearson's r; NaN where one of the two is constant or there are no two pairs. */
double lp_comoments_correlation(const struct lp_comoments *comoments);

#endif
