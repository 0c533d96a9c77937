/* Rows to time a model with. */
#ifndef LP_CMD_BENCH_ROWS_H
#define LP_CMD_BENCH_ROWS_H

#include "core/error.h"
#include "model/bundle.h"

#include <stdint.h>

/**
 * Cleaned rows, the same at every call: a column that trees compare is drawn from its thresholds with a spread, ids of
 * embeddings from their tables, others evenly from -2 to 2, where normalized values are. No value is missing.
 * @param ret_rows [row_count][column_count], to free
 */
LP_MUST_USE enum lp_code lp_bench_rows(const struct lp_bundle *bundle, uint32_t row_count, double **ret_rows,
                                       struct lp_error *err);

#endif
