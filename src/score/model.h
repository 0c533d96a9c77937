/* A model ready to serve: bundle, wants, cleaner and plan in one immutable, reference-counted object. */
#ifndef LP_SCORE_MODEL_H
#define LP_SCORE_MODEL_H

#include "clean/clean.h"
#include "core/error.h"
#include "decode/want.h"
#include "infer/infer.h"
#include "model/bundle.h"

#include <stdint.h>

struct lp_model {
    const struct lp_bundle *bundle;
    const struct lp_cleaner *cleaner;
    const struct lp_plan *plan;
    /* One want a feature, in feature order; slots are set as lp_decoder_new assigns them (numbers and texts in order),
     * so that wants appended after them do not move these. */
    uint32_t want_count;
    const struct lp_want *wants;
    const uint32_t *feature_slots;
    uint64_t bytes; /* heap held by this model, for the test that counts them over swaps */
};

struct lp_model_options {
    uint64_t bundle_max_bytes;
    bool require_golden;
    const char *sha256; /* lp_model_load, borrowed: see lp_bundle_load_exactly; NULL: any file */
};

/**
 * Load, check and prepare; reference count 1. Does not run the golden rows: lp_model_verify does.
 * @return what lp_bundle_load, lp_cleaner_new and lp_plan_new return; LP_E_REFUSED without the golden rows required
 */
LP_MUST_USE enum lp_code lp_model_load(const char *path, const struct lp_model_options *options,
                                       struct lp_model **ret_model, struct lp_error *err);
/** As lp_model_load, taking the bundle (also on failure); options NULL: the defaults. */
LP_MUST_USE enum lp_code lp_model_new(struct lp_bundle *bundle, const struct lp_model_options *options,
                                      struct lp_model **ret_model, struct lp_error *err);

/**
 * Score the golden records through decode (JSON), clean and infer and compare: |got - want| <= atol + rtol * |want| for
 * margins and scores. LP_E_MISMATCH names the row, the output, both numbers. Also warms the plan up.
 */
LP_MUST_USE enum lp_code lp_model_verify(const struct lp_model *model, struct lp_error *err);

/** Thread-safe; _unref accepts NULL. A pointer read from shared memory must be referenced under the lock that guards
 * it. */
struct lp_model *lp_model_ref(struct lp_model *model);
void lp_model_unref(struct lp_model *model);

/** Models alive and the bytes they hold, process-wide; for /metrics and the leak test. */
void lp_model_totals(uint64_t *ret_count, uint64_t *ret_bytes);

/**
 * Scores of one record, [row_count][output_count], are finite. What is not comes of a feature beyond the model's range.
 * @return LP_E_REFUSED (skip the record) naming the output, and its row when there are several
 */
LP_MUST_USE enum lp_code lp_model_check_scores(const struct lp_model *model, const float *scores, uint32_t row_count,
                                               struct lp_error *err);

/** Label of a row's scores: binary by threshold, multiclass by the largest, else -1. */
int32_t lp_model_label(const struct lp_model *model, const float *scores);

#endif
