/* A bundle's golden rows through the whole way from JSON to score. */
#include "score/scorer.h"

#include <math.h>
#include <stdlib.h>

static enum lp_code compare(const struct lp_bundle *bundle, uint32_t row, const char *what, const float *got,
                            const double *want, struct lp_error *err)
{
    for (uint32_t i = 0; i < bundle->output_count; i++) {
        double allowed = bundle->golden_atol + bundle->golden_rtol * fabs(want[i]);
        /* Negated, so that NaN fails. */
        if (!(fabs((double)got[i] - want[i]) <= allowed))
            return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                           "golden row %u: %s %u is %.9g, the bundle says %.9g (rtol %g, atol %g)", row, what, i,
                           (double)got[i], want[i], bundle->golden_rtol, bundle->golden_atol);
    }
    return LP_OK;
}

static enum lp_code verify_rows(struct lp_scorer *scorer, const struct lp_bundle *bundle, float *margins, float *scores,
                                struct lp_error *err)
{
    for (uint32_t i = 0; i < bundle->golden_count; i++) {
        const struct lp_golden_row *row = &bundle->golden[i];
        enum lp_code rc = lp_scorer_json(scorer, lp_span_text(row->record), margins, scores, err);
        if (rc != LP_OK) {
            /* A golden row that cannot be scored is the bundle's fault, and retrying does not help. */
            err->action = LP_FATAL;
            return lp_error_wrap(err, "golden row %u", i);
        }
        LP_TRY(compare(bundle, i, "margin", margins, row->margin, err));
        LP_TRY(compare(bundle, i, "score", scores, row->score, err));
    }
    return LP_OK;
}

/* Touches every weight once, so that the first batch does not pay for page faults. */
static enum lp_code warm_up(struct lp_scorer *scorer, const struct lp_bundle *bundle, float *scores,
                            struct lp_error *err)
{
    double *row = calloc((size_t)bundle->column_count + 1, sizeof *row);
    if (row == NULL) return lp_fail_memory(err, ((size_t)bundle->column_count + 1) * sizeof *row);
    enum lp_code rc = lp_scorer_rows(scorer, row, 1, NULL, scores, err);
    free(row);
    return rc;
}

enum lp_code lp_model_verify(const struct lp_model *model, struct lp_error *err)
{
    const struct lp_bundle *bundle = model->bundle;
    struct lp_scorer *scorer = NULL;
    enum lp_code rc;
    float *outputs = calloc((size_t)bundle->output_count * 2 + 1, sizeof *outputs);
    if (outputs == NULL) LP_GUARD(lp_fail_memory(err, ((size_t)bundle->output_count * 2 + 1) * sizeof *outputs));
    LP_GUARD(lp_scorer_new(model, 1, &scorer, err));
    LP_GUARD(warm_up(scorer, bundle, outputs, err));
    LP_GUARD(verify_rows(scorer, bundle, outputs, outputs + bundle->output_count, err));
out:
    lp_scorer_free(scorer);
    free(outputs);
    return rc;
}
