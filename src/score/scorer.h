/* One thread's buffers for scoring with one model: JSON records or cleaned rows. Behind lepton_scorer_* of the public
 * API. */
#ifndef LP_SCORE_SCORER_H
#define LP_SCORE_SCORER_H

#include "core/span.h"
#include "score/model.h"

enum { LP_SCORER_RECORD_MAX_BYTES = 64 << 20 };

struct lp_scorer;

/** @param model borrowed: outlives the scorer; @param rows_max rows a call of lp_scorer_rows */
LP_MUST_USE enum lp_code lp_scorer_new(const struct lp_model *model, uint32_t rows_max, struct lp_scorer **ret_scorer,
                                       struct lp_error *err);
void lp_scorer_free(struct lp_scorer *scorer);
const struct lp_model *lp_scorer_model(const struct lp_scorer *scorer);

/** @param rows [row_count][column_count]; margins (NULL: not wanted) and scores out, [row_count][output_count].
 * @return LP_E_LIMIT past rows_max */
LP_MUST_USE enum lp_code lp_scorer_rows(struct lp_scorer *scorer, const double *rows, uint32_t row_count,
                                        float *margins, float *scores, struct lp_error *err);

/**
 * Decode, clean and score one JSON object. Allocates only when a record is larger than any before.
 * @param margins out, [output_count]; NULL: not wanted; @param scores out, [output_count]
 * @return LP_E_INVALID / LP_E_REFUSED with err->field for a bad record (a non-finite score too), LP_E_LIMIT
 */
LP_MUST_USE enum lp_code lp_scorer_json(struct lp_scorer *scorer, struct lp_span record, float *margins, float *scores,
                                        struct lp_error *err);

#endif
