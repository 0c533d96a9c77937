/* What a row costs on this core: the one way in which `optimize` and `bench` measure. */
#ifndef LP_OPTIMIZE_SPEED_H
#define LP_OPTIMIZE_SPEED_H

#include "infer/infer.h"

struct lp_speed {
    double ns;     /* a row: the median of many rounds */
    double p99_ns; /* a batch; NaN: not asked */
};

/** What is run: of the rows as many as fit a core's cache, as those of serving do, which come from cleaning. */
struct lp_speed_rows {
    const double *rows; /* [row_count][column_count] */
    uint32_t row_count, column_count, output_count;
    bool singles; /* time single batches too, for p99_ns */
};

/**
 * Time batches of rows through plans that take turns, so that what disturbs one disturbs all. A round is as many
 * batches as make a quarter of a millisecond: shorter ones say more of the clock than of the plan, and the least of
 * them most of all. In CPU time of this thread: what waits for a core is not counted.
 *
 * @param plans   [count]; the widths of all are those of the rows
 * @param batches [count] rows at once; row_count or fewer
 * @param time_ms for all; each has at least 5 rounds, and 50 single batches where a round is more than one
 */
LP_MUST_USE enum lp_code lp_speed_measure(const struct lp_plan *const *plans, const uint32_t *batches, uint32_t count,
                                          const struct lp_speed_rows *rows, int64_t time_ms,
                                          struct lp_speed *ret_speeds, struct lp_error *err);

#endif
