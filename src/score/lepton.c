/* The public API: thin names over model and scorer. */
#include "lepton/lepton.h"

#include "core/version.h"
#include "score/scorer.h"

#include <stdlib.h>

enum { BUNDLE_MAX_BYTES = 2000000000 };

const char *lepton_version(void) { return lp_version(); }

enum lp_code lepton_model_open(const char *path, struct lp_model **ret_model, struct lp_error *err)
{
    const struct lp_model_options options = {.bundle_max_bytes = BUNDLE_MAX_BYTES};
    struct lp_model *model = NULL;
    LP_TRY(lp_infer_setup(err));
    LP_TRY(lp_model_load(path, &options, &model, err));
    enum lp_code rc = lp_model_verify(model, err);
    if (rc == LP_OK) *ret_model = model;
    else lp_model_unref(model);
    return rc;
}

struct lp_model *lepton_model_ref(struct lp_model *model) { return lp_model_ref(model); }
void lepton_model_unref(struct lp_model *model) { lp_model_unref(model); }

const char *lepton_model_manifest(const struct lp_model *model) { return model->bundle->manifest_json; }
const char *lepton_model_name(const struct lp_model *model) { return model->bundle->name; }
const char *lepton_model_version(const struct lp_model *model) { return model->bundle->version; }
uint32_t lepton_model_feature_count(const struct lp_model *model) { return model->bundle->feature_count; }

const char *lepton_model_feature_name(const struct lp_model *model, uint32_t index)
{
    return index < model->bundle->feature_count ? model->bundle->features[index].name : NULL;
}

uint32_t lepton_model_column_count(const struct lp_model *model) { return model->bundle->column_count; }
uint32_t lepton_model_output_count(const struct lp_model *model) { return model->bundle->output_count; }

enum lp_code lepton_scorer_new(struct lp_model *model, uint32_t rows_max, struct lp_scorer **ret_scorer,
                               struct lp_error *err)
{
    LP_TRY(lp_scorer_new(model, rows_max, ret_scorer, err));
    lp_model_ref(model);
    return LP_OK;
}

void lepton_scorer_free(struct lp_scorer *scorer)
{
    if (scorer == NULL) return;
    /* The reference taken in lepton_scorer_new; the model itself is not const, only the scorer's view of it. */
    struct lp_model *model = (struct lp_model *)(uintptr_t)lp_scorer_model(scorer);
    lp_scorer_free(scorer);
    lp_model_unref(model);
}

enum lp_code lepton_score_rows(struct lp_scorer *scorer, const double *rows, uint32_t row_count, float *scores,
                               struct lp_error *err)
{
    return lp_scorer_rows(scorer, rows, row_count, NULL, scores, err);
}

enum lp_code lepton_score_json(struct lp_scorer *scorer, const char *record, size_t record_bytes, float *scores,
                               struct lp_error *err)
{
    return lp_scorer_json(scorer, lp_span_of(record, record_bytes), NULL, scores, err);
}
