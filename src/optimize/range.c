/* What goes into each dense layer, from a graph cut off in front of it. */
#include "optimize/shrink.h"

#include "infer/infer.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 4096, RUN_ROWS = 256 };
static const double tail = 0.0005;

/* Only what leads to `value` stays: a graph has no op without use. Ops read values made before them. */
static enum lp_code keep_way_to(const struct lp_bundle *bundle, uint32_t value, json_t *graph, struct lp_error *err)
{
    bool *needed = calloc((size_t)bundle->op_count + 1, sizeof *needed);
    if (needed == NULL) return lp_fail_memory(err, bundle->op_count);
    needed[value] = true;
    for (uint32_t op = bundle->op_count; op-- > 0;) {
        if (!needed[op + 1]) json_array_remove(graph, op);
        for (uint32_t i = 0; needed[op + 1] && i < bundle->ops[op].input_count; i++)
            needed[bundle->ops[op].inputs[i]] = true;
    }
    free(needed);
    return LP_OK;
}

/* The graph up to `value`, its output taken as it is. */
static enum lp_code cut(const struct lp_bundle *bundle, uint32_t value, struct lp_bundle **ret_cut,
                        struct lp_error *err)
{
    static const char *const gone[] = {"labels", "lineage", "training"};
    struct lp_draft *draft;
    struct lp_buffer bytes;
    lp_buffer_init(&bytes, SIZE_MAX / 2);
    LP_TRY(lp_draft_new(bundle, &draft, err));
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) json_object_del(draft->manifest, gone[i]);
    json_object_set_new(draft->manifest, "task", json_string("regression"));
    json_object_set_new(draft->manifest, "output", json_pack("{s:s}", "link", "identity"));
    enum lp_code rc = keep_way_to(bundle, value, draft->graph, err);
    if (rc == LP_OK) rc = lp_draft_encode(draft, &bytes, err);
    if (rc == LP_OK) rc = lp_bundle_parse(lp_buffer_span(&bytes), ret_cut, err);
    lp_buffer_done(&bytes);
    lp_draft_free(draft);
    return rc;
}

static enum lp_code run_cut(const struct lp_bundle *bundle, const double *rows, uint32_t row_count, float *values,
                            struct lp_error *err)
{
    struct lp_plan *plan = NULL;
    struct lp_infer *infer = NULL;
    size_t width = bundle->output_count;
    float *scores = malloc(RUN_ROWS * width * sizeof *scores);
    enum lp_code rc = scores != NULL ? lp_plan_new(bundle, &plan, err) : lp_fail_memory(err, RUN_ROWS * width);
    if (rc == LP_OK) rc = lp_infer_new(plan, RUN_ROWS, &infer, err);
    for (uint32_t at = 0; rc == LP_OK && at < row_count; at += RUN_ROWS) {
        uint32_t count = row_count - at < RUN_ROWS ? row_count - at : RUN_ROWS;
        lp_infer_run(infer, rows + (size_t)at * bundle->column_count, count, values + at * width, scores);
    }
    lp_infer_free(infer);
    lp_plan_free(plan);
    free(scores);
    return rc;
}

/* From each end, bins until the tail is full; never past zero, which is always in the range. */
static void find_middle(const float *values, size_t count, struct lp_range *range)
{
    uint64_t bins[BINS] = {0};
    double width = ((double)range->high - (double)range->low) / BINS, left = tail * (double)count;
    range->middle_low = range->low;
    range->middle_high = range->high;
    if (!(width > 0)) return;
    for (size_t i = 0; i < count; i++) {
        double bin = ((double)values[i] - (double)range->low) / width;
        bins[bin < BINS - 1 ? (int)bin : BINS - 1]++;
    }
    int first = 0, last = BINS;
    for (uint64_t seen = bins[0]; (double)seen <= left && first < BINS - 1; seen += bins[first]) first++;
    for (uint64_t seen = bins[BINS - 1]; (double)seen <= left && last > 1; seen += bins[last - 1]) last--;
    range->middle_low = fminf(0.0f, (float)((double)range->low + first * width));
    range->middle_high = fmaxf(0.0f, (float)((double)range->low + last * width));
}

static enum lp_code find_range(const float *values, size_t count, struct lp_range *range, struct lp_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "a layer's input is %g on the data", (double)values[i]);
        range->low = fminf(range->low, values[i]);
        range->high = fmaxf(range->high, values[i]);
    }
    find_middle(values, count, range);
    range->known = true;
    return LP_OK;
}

static enum lp_code measure_op(const struct lp_bundle *bundle, const struct lp_op *op, const double *rows,
                               uint32_t row_count, struct lp_range *range, struct lp_error *err)
{
    uint32_t value = op->inputs[0];
    size_t count = (size_t)row_count * op->in_width;
    struct lp_bundle *front = NULL;
    float *values = malloc(count * sizeof *values);
    enum lp_code rc = values != NULL ? LP_OK : lp_fail_memory(err, count * sizeof *values);
    for (size_t i = 0; rc == LP_OK && value == 0 && i < count; i++) values[i] = (float)rows[i];
    if (rc == LP_OK && value > 0) rc = cut(bundle, value, &front, err);
    if (rc == LP_OK && value > 0) rc = run_cut(front, rows, row_count, values, err);
    if (rc == LP_OK) rc = find_range(values, count, range, err);
    lp_bundle_free(front);
    free(values);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "calibrating `%.64s`", op->weight->name);
}

enum lp_code lp_ranges_measure(const struct lp_bundle *bundle, const double *rows, uint32_t row_count,
                               struct lp_range *ret_ranges, struct lp_error *err)
{
    enum { VALUES_MAX = 1 << 25 };
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        const struct lp_op *op = &bundle->ops[i];
        ret_ranges[i] = (struct lp_range){.known = false};
        if (!lp_shrink_takes_int8(op)) continue;
        uint32_t most = VALUES_MAX / op->in_width, count = row_count < most ? row_count : most;
        LP_TRY(measure_op(bundle, op, rows, count, &ret_ranges[i], err));
    }
    return LP_OK;
}
