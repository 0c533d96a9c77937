#include "score/scorer.h"

#include "decode/json.h"

#include <stdlib.h>

enum { SCRATCH_FIRST_BYTES = 4096 };

struct lp_scorer {
    const struct lp_model *model; /* borrowed */
    uint32_t rows_max;
    struct lp_json_plan *json;
    struct lp_record record; /* owned arrays */
    double *row;             /* [column_count] */
    struct lp_clean_counts *counts;
    struct lp_infer *infer;
};

static enum lp_code take_record(struct lp_scorer *scorer, struct lp_error *err)
{
    const struct lp_model *model = scorer->model;
    size_t numbers = 1, texts = 1;
    for (uint32_t i = 0; i < model->want_count; i++) {
        if (model->wants[i].type == LP_WANT_TEXT) texts++;
        else numbers += model->wants[i].width;
    }
    size_t columns = (size_t)model->bundle->column_count + 1, features = (size_t)model->bundle->feature_count + 1;
    scorer->record.numbers = calloc(numbers, sizeof *scorer->record.numbers);
    scorer->record.texts = calloc(texts, sizeof *scorer->record.texts);
    scorer->record.scratch = malloc(SCRATCH_FIRST_BYTES);
    scorer->record.scratch_bytes = SCRATCH_FIRST_BYTES;
    scorer->row = calloc(columns, sizeof *scorer->row);
    scorer->counts = calloc(features, sizeof *scorer->counts);
    if (scorer->record.numbers == NULL || scorer->record.texts == NULL || scorer->record.scratch == NULL ||
        scorer->row == NULL || scorer->counts == NULL)
        return lp_fail_memory(err, (numbers + columns) * sizeof(double) + texts * sizeof(struct lp_span) +
                                       features * sizeof(struct lp_clean_counts) + SCRATCH_FIRST_BYTES);
    return LP_OK;
}

enum lp_code lp_scorer_new(const struct lp_model *model, uint32_t rows_max, struct lp_scorer **ret_scorer,
                           struct lp_error *err)
{
    struct lp_scorer *scorer = calloc(1, sizeof *scorer);
    if (scorer == NULL) return lp_fail_memory(err, sizeof *scorer);
    enum lp_code rc;
    scorer->model = model;
    scorer->rows_max = rows_max;
    LP_GUARD(lp_json_plan_new(model->wants, model->want_count, &scorer->json, err));
    LP_GUARD(take_record(scorer, err));
    LP_GUARD(lp_infer_new(model->plan, rows_max, &scorer->infer, err));
    *ret_scorer = scorer;
    return LP_OK;
out:
    lp_scorer_free(scorer);
    return rc;
}

void lp_scorer_free(struct lp_scorer *scorer)
{
    if (scorer == NULL) return;
    lp_json_plan_free(scorer->json);
    free(scorer->record.numbers);
    free(scorer->record.texts);
    free(scorer->record.scratch);
    free(scorer->row);
    free(scorer->counts);
    lp_infer_free(scorer->infer);
    free(scorer);
}

const struct lp_model *lp_scorer_model(const struct lp_scorer *scorer) { return scorer->model; }

enum lp_code lp_scorer_rows(struct lp_scorer *scorer, const double *rows, uint32_t row_count, float *margins,
                            float *scores, struct lp_error *err)
{
    if (row_count > scorer->rows_max)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "score: %u rows, this scorer was made for %u: split the call",
                       row_count, scorer->rows_max);
    lp_infer_run(scorer->infer, rows, row_count, margins, scores);
    return LP_OK;
}

/* Unescaped text is never longer than the record. */
static enum lp_code fit_scratch(struct lp_scorer *scorer, size_t bytes, struct lp_error *err)
{
    if (bytes > LP_SCORER_RECORD_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_SKIP_RECORD, "score: a record of %zu bytes, at most %d are allowed", bytes,
                       LP_SCORER_RECORD_MAX_BYTES);
    if (bytes <= scorer->record.scratch_bytes) return LP_OK;
    unsigned char *larger = realloc(scorer->record.scratch, bytes);
    if (larger == NULL) return lp_fail_memory(err, bytes);
    scorer->record.scratch = larger;
    scorer->record.scratch_bytes = bytes;
    return LP_OK;
}

enum lp_code lp_scorer_json(struct lp_scorer *scorer, struct lp_span record, float *margins, float *scores,
                            struct lp_error *err)
{
    uint32_t missing;
    LP_TRY(fit_scratch(scorer, record.size, err));
    LP_TRY(lp_json_plan_run(scorer->json, record, &scorer->record, err));
    LP_TRY(lp_cleaner_run(scorer->model->cleaner, scorer->record.numbers, scorer->record.texts, scorer->row, NULL, 0,
                          scorer->counts, &missing, err));
    lp_infer_run(scorer->infer, scorer->row, 1, margins, scores);
    return lp_model_check_scores(scorer->model, scores, 1, err);
}
