/* Sorting doubles without comparisons. */
#ifndef LP_FIT_SORT_H
#define LP_FIT_SORT_H

#include <stdint.h>

/**
 * Sort `count` finite doubles ascending; -0 becomes 0.
 *
 * Radix sort over the bits that differ, the highest 22 first; what those leave undecided is inserted, and when that
 * gets long (many values that share their high bits) all bits are sorted. Cost: about 6 ns a value, 20 at the worst.
 *
 * @param values  in/out, [count]
 * @param scratch [2 * count]
 */
void lp_sort_doubles(double *values, uint64_t *scratch, uint32_t count);

#endif
