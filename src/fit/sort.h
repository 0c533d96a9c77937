/* Sorting doubles without comparisons. */
#ifndef LP_FIT_SORT_H
#define LP_FIT_SORT_H

#include <stdint.h>

/**
 * Sort `count` finite doubles ascending; -0 becomes 0.
 *
 * Radix sort over the bits that differ, the highest 24 first; what those leave undecided is inserted, and when that
 * gets long (many values that share their high bits) all bits are sorted. Cost: about 6 ns a value, 20 at the worst.
 *
 * @param values  in/out, [count]
 * @param scratch [2 * count]
 */
void lp_sort_doubles(double *values, uint64_t *scratch, uint32_t count);

enum {
    LP_SORT_EXACTLY_MAX = 1024, /* so many are sorted in any case */
    LP_SORT_APART_MAX = 64,
};

/**
 * Bring finite doubles near to where they belong: what is out of order are neighbours among at most LP_SORT_APART_MAX,
 * whose order is the given one; -0 becomes 0. By shares of the range, in one step; where too many fall into one share
 * (outliers, few different values) it is sorted exactly. Cost: about 3 ns a value, 10 at the worst.
 *
 * @param scratch  [2 * count]
 * @param min, max of the values
 */
void lp_sort_roughly(double *values, uint64_t *scratch, uint32_t count, double min, double max);

#endif
