/* What `lepton optimize` shows: a table, JSON, a picture. */
#ifndef LP_CMD_OPTIMIZE_VIEW_H
#define LP_CMD_OPTIMIZE_VIEW_H

#include "optimize/optimize.h"

#include <stdbool.h>

/** @param pick NULL: none; @param price_per_core_hour 0: not asked */
void lp_optimize_print(const struct lp_optimized *optimized, const struct lp_variant *pick, double price_per_core_hour);

/** LP_E_MEMORY. */
LP_MUST_USE enum lp_code lp_optimize_print_json(const struct lp_optimized *optimized, const struct lp_variant *pick,
                                                double price_per_core_hour, struct lp_error *err);

/**
 * Loss over the price of a row, intervals as bars, the frontier as a line; by itself, or in a page with the table.
 * @return LP_E_IO, LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_optimize_draw(const struct lp_optimized *optimized, const struct lp_variant *pick,
                                          double price_per_core_hour, bool page, const char *path,
                                          struct lp_error *err);

#endif
