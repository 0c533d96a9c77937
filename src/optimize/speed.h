/* What a row costs on this core. */
#ifndef LP_OPTIMIZE_SPEED_H
#define LP_OPTIMIZE_SPEED_H

#include "infer/infer.h"

struct lp_speed {
    double ns;     /* a row, the best of many rounds */
    double p99_ns; /* a batch */
};

/**
 * Time batches of rows through plans that take turns, so that what disturbs one disturbs all. In CPU time of this
 * thread: what waits for a core is not counted.
 *
 * @param plans  [count]; the widths of all are those of the rows and `output_count`
 * @param rows   [row_count][column_count]; row_count >= batch
 * @param time_ms for all; each has at least 300 batches
 */
LP_MUST_USE enum lp_code lp_speed_measure(const struct lp_plan *const *plans, uint32_t count, const double *rows,
                                          uint32_t row_count, uint32_t column_count, uint32_t output_count,
                                          uint32_t batch, int64_t time_ms, struct lp_speed *ret_speeds,
                                          struct lp_error *err);

#endif
