/* Behind the last epoch: how good it is, and the bundle. */
#include "train/calibrate.h"
#include "train/export.h"
#include "train/job_private.h"
#include "train/record.h"

#include "core/version.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METRIC_NAME_BYTES = 512, BASELINE_BINS = 20, GOLDEN_ROWS = 16 };

static struct lp_metrics_rows valid_rows(const struct lp_job *job)
{
    return (struct lp_metrics_rows){.margins = job->margins,
                                    .y = job->valid_y,
                                    .weight = job->valid_weight,
                                    .group = job->valid_group,
                                    .rows = job->valid_count,
                                    .outputs = job->result->loss.outputs,
                                    .threshold = job->result->threshold};
}

static enum lp_code take_margins(struct lp_job *job, struct lp_trainer *trainer, struct lp_error *err)
{
    const struct lp_table *t = &job->result->table;
    uint32_t count = job->valid_count, outputs = job->result->loss.outputs;
    const uint32_t *rows = job->order + (t->row_count - count);
    job->margins = lp_train_floats((size_t)count * outputs);
    job->valid_y = lp_train_floats(count);
    job->valid_weight = t->weight != NULL ? lp_train_floats(count) : NULL;
    job->valid_group = t->group != NULL ? calloc((size_t)count + 1, sizeof *job->valid_group) : NULL;
    if (job->margins == NULL || job->valid_y == NULL || (t->weight != NULL && job->valid_weight == NULL) ||
        (t->group != NULL && job->valid_group == NULL))
        return lp_fail_memory(err, (size_t)count * outputs * sizeof(float));
    for (uint32_t i = 0; i < count; i++) {
        job->valid_y[i] = job->y[rows[i]];
        if (t->weight != NULL) job->valid_weight[i] = t->weight[rows[i]];
        if (t->group != NULL) job->valid_group[i] = t->group[rows[i]];
    }
    LP_TRY(lp_trainer_score(trainer, rows, count, job->margins, err));
    for (size_t i = 0; i < (size_t)count * outputs; i++)
        job->margins[i] = (float)((double)job->margins[i] * job->label_scale + job->label_mean);
    return LP_OK;
}

/* The margin whose sigmoid is the calibrated score: the measures take margins. */
static float calibrated_margin(const struct lp_job_result *result, float margin)
{
    const double *m = result->point_margins, *s = result->point_scores, x = (double)margin;
    uint32_t last = result->point_count - 1, i = 1;
    double score = x <= m[0] ? s[0] : s[last];
    while (i < last && m[i] < x) i++;
    if (x > m[0] && x < m[last]) score = s[i - 1] + (x - m[i - 1]) / (m[i] - m[i - 1]) * (s[i] - s[i - 1]);
    return (float)log(score / (1 - score));
}

static enum lp_code calibrate(struct lp_job *job, struct lp_error *err)
{
    struct lp_job_result *result = job->result;
    const struct lp_metrics_rows rows = valid_rows(job);
    if (result->task != LP_TASK_BINARY) return lp_fail(err, LP_E_INVALID, LP_FATAL, "--calibrate is for binary models");
    if (job->request->isotonic) {
        result->point_margins = calloc(LP_ISOTONIC_POINTS_MAX, sizeof(double));
        result->point_scores = calloc(LP_ISOTONIC_POINTS_MAX, sizeof(double));
        if (result->point_margins == NULL || result->point_scores == NULL)
            return lp_fail_memory(err, LP_ISOTONIC_POINTS_MAX * sizeof(double));
        LP_TRY(lp_isotonic_fit(&rows, result->point_margins, result->point_scores, &result->point_count, err));
        for (uint32_t i = 0; i < job->valid_count; i++) job->margins[i] = calibrated_margin(result, job->margins[i]);
        return LP_OK;
    }
    LP_TRY(lp_platt_fit(&rows, &result->platt_a, &result->platt_b, err));
    for (uint32_t i = 0; i < job->valid_count; i++)
        job->margins[i] = (float)((double)job->margins[i] * result->platt_a + result->platt_b);
    result->calibrated = true;
    return LP_OK;
}

/* Rows of one segment beside each other in copies. */
static enum lp_code judge_segment(const struct lp_job *job, uint32_t number, struct lp_job_segment *segment,
                                  struct lp_error *err)
{
    const struct lp_table *t = &job->result->table;
    uint32_t outputs = job->result->loss.outputs, count = 0, n = job->valid_count;
    const uint32_t *order = job->order + (t->row_count - n);
    float *margins = lp_train_floats((size_t)n * outputs), *y = lp_train_floats(n), *weight = lp_train_floats(n);
    enum lp_code rc = margins != NULL && y != NULL && weight != NULL ? LP_OK : lp_fail_memory(err, n);
    for (uint32_t i = 0; rc == LP_OK && i < n; i++) {
        if (t->segment[order[i]] != number) continue;
        memcpy(margins + (size_t)count * outputs, job->margins + (size_t)i * outputs, outputs * sizeof *margins);
        y[count] = job->valid_y[i];
        weight[count++] = job->valid_weight != NULL ? job->valid_weight[i] : 1;
    }
    const struct lp_metrics_rows rows = {.margins = margins,
                                         .y = y,
                                         .weight = weight,
                                         .rows = count,
                                         .outputs = outputs,
                                         .threshold = job->result->threshold};
    segment->name = t->segments.texts[number];
    segment->rows = count;
    if (rc == LP_OK) rc = lp_metrics_run(&job->result->loss, &rows, &segment->metrics, err);
    free(margins);
    free(y);
    free(weight);
    return rc;
}

enum lp_code lp_job_judge(struct lp_job *job, struct lp_trainer *trainer, struct lp_error *err)
{
    struct lp_job_result *result = job->result;
    if (job->valid_count == 0) {
        if (job->request->platt || job->request->isotonic || job->request->best_threshold)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "calibration and threshold choice need validation rows");
        return LP_OK;
    }
    LP_TRY(take_margins(job, trainer, err));
    if (job->request->platt || job->request->isotonic) LP_TRY(calibrate(job, err));
    const struct lp_metrics_rows before = valid_rows(job);
    if (job->request->best_threshold && result->task == LP_TASK_BINARY)
        LP_TRY(lp_metrics_best_threshold(&before, &result->threshold, err));
    const struct lp_metrics_rows rows = valid_rows(job);
    double loss =
        result->epoch_count > 0 && result->kept_epoch > 0 ? result->history[result->kept_epoch - 1].valid.loss : NAN;
    LP_TRY(lp_metrics_run(&result->loss, &rows, &result->valid, err));
    if (result->loss.kind == LP_LOSS_BPR) result->valid.loss = loss;
    if (result->table.segment == NULL) return LP_OK;
    result->segments = calloc((size_t)result->table.segments.count + 1, sizeof *result->segments);
    if (result->segments == NULL) return lp_fail_memory(err, result->table.segments.count);
    for (uint32_t i = 0; i < result->table.segments.count; i++)
        LP_TRY(judge_segment(job, i, &result->segments[result->segment_count++], err));
    return LP_OK;
}

static void put_metrics(json_t *object, const char *prefix, const struct lp_metrics *metrics)
{
    char name[METRIC_NAME_BYTES];
    for (int i = 0; i < LP_METRICS_COUNT; i++) {
        if (!isfinite(lp_metrics_at(metrics, i))) continue;
        snprintf(name, sizeof name, "%s%s", prefix, lp_metrics_names[i]);
        json_object_set_new(object, name, json_real(lp_metrics_at(metrics, i)));
    }
}

/* The gap of a measure: its largest value over the segments less its smallest. */
static void put_segments(const struct lp_job *job, json_t *object)
{
    const struct lp_job_result *result = job->result;
    char name[METRIC_NAME_BYTES];
    for (uint32_t i = 0; i < result->segment_count; i++) {
        snprintf(name, sizeof name, "segment.%.100s=%.200s.", job->request->segment, result->segments[i].name);
        put_metrics(object, name, &result->segments[i].metrics);
    }
    for (int m = 0; m < LP_METRICS_COUNT; m++) {
        double low = INFINITY, high = -INFINITY;
        for (uint32_t i = 0; i < result->segment_count; i++) {
            double value = lp_metrics_at(&result->segments[i].metrics, m);
            if (isfinite(value)) low = fmin(low, value);
            if (isfinite(value)) high = fmax(high, value);
        }
        snprintf(name, sizeof name, "segment.%.100s.gap.%s", job->request->segment, lp_metrics_names[m]);
        if (high >= low) json_object_set_new(object, name, json_real(high - low));
    }
}

static json_t *make_training(const struct lp_job *job)
{
    const struct lp_job_result *result = job->result;
    json_t *metrics = json_object();
    const char *slash = strrchr(job->request->data, '/');
    char tool[64];
    snprintf(tool, sizeof tool, "lepton %s (%s)", lp_version(), lp_version_commit());
    put_metrics(metrics, "valid.", &result->valid);
    if (result->kept_epoch > 0) {
        double loss = result->history[result->kept_epoch - 1].train_loss;
        if (isfinite(loss)) json_object_set_new(metrics, "train.loss", json_real(loss));
    }
    json_object_set_new(metrics, "epochs", json_integer(result->epoch_count));
    json_object_set_new(metrics, "kept_epoch", json_integer(result->kept_epoch));
    json_object_set_new(metrics, "valid.rows", json_integer(result->valid_rows));
    if (job->request->folds > 0) put_metrics(metrics, "folds.mean.", &result->fold_mean);
    if (job->request->folds > 0) put_metrics(metrics, "folds.deviation.", &result->fold_deviation);
    if (result->segment_count > 0) put_segments(job, metrics);
    json_t *training = json_pack("{s:I, s:I, s:s, s:o}", "rows", (json_int_t)result->train_rows, "seed",
                                 (json_int_t)job->request->train.seed, "tool", tool, "metrics", metrics);
    const char *name = slash != NULL ? slash + 1 : job->request->data;
    json_object_set_new(training, "data",
                        json_string(job->request->data_name != NULL ? job->request->data_name : name));
    if (job->request->data_sha256 != NULL)
        json_object_set_new(training, "data_sha256", json_string(job->request->data_sha256));
    return training;
}

/* Scores as serving gives them, in bins that hold about as many each; equal edges are one. */
static json_t *make_baseline(const struct lp_job *job)
{
    const struct lp_job_result *result = job->result;
    uint32_t n = job->valid_count;
    if (result->loss.outputs != 1 || n < BASELINE_BINS) return NULL;
    uint32_t *order = lp_metrics_order(job->margins, n);
    json_t *edges = json_array(), *counts = json_array();
    double last = -INFINITY;
    uint32_t begin = 0;
    for (uint32_t b = 1; order != NULL && b < BASELINE_BINS; b++) {
        uint32_t at = (uint32_t)((uint64_t)n * b / BASELINE_BINS);
        double margin = (double)job->margins[order[at]];
        double score = result->loss.kind == LP_LOSS_BINARY    ? lp_train_sigmoid(margin)
                       : result->loss.kind == LP_LOSS_POISSON ? exp(margin)
                                                              : margin;
        while (at > begin && job->margins[order[at - 1]] == job->margins[order[at]]) at--;
        score = (double)(float)score;
        if (at == begin || !(score > last)) continue;
        json_array_append_new(edges, json_real(score));
        json_array_append_new(counts, json_integer(at - begin));
        last = score;
        begin = at;
    }
    json_array_append_new(counts, json_integer(n - begin));
    free(order);
    return json_pack("{s:o, s:o}", "edges", edges, "counts", counts);
}

static json_t *make_calibration(const struct lp_job_result *result)
{
    json_t *margins = json_array(), *scores = json_array();
    for (uint32_t i = 0; i < result->point_count; i++) {
        json_array_append_new(margins, json_real(result->point_margins[i]));
        json_array_append_new(scores, json_real(result->point_scores[i]));
    }
    json_t *calibration = json_pack("{s:o, s:o}", "margins", margins, "scores", scores);
    if (result->point_count > 0) return calibration;
    json_decref(calibration);
    return NULL;
}

static enum lp_code make_golden(const struct lp_job *job, struct lp_span bytes, json_t **ret_golden,
                                struct lp_error *err)
{
    struct lp_buffer invented;
    const struct lp_buffer *records = &job->result->table.samples;
    uint32_t count = job->result->table.sample_count;
    enum lp_code rc = LP_OK;
    lp_buffer_init(&invented, SIZE_MAX / 2);
    for (uint32_t i = 0; job->request->no_golden_data && rc == LP_OK && i < GOLDEN_ROWS; i++) {
        rc = lp_record_invent(job->result->features, job->request->train.seed + i, &invented, err);
        records = &invented;
        count = i + 1;
    }
    if (rc == LP_OK) rc = lp_export_golden(bytes, (const char *)records->data, count, ret_golden, err);
    lp_buffer_done(&invented);
    return rc;
}

static enum lp_link link_of(const struct lp_job_result *result)
{
    switch (result->loss.kind) {
    case LP_LOSS_BINARY: return LP_LINK_SIGMOID;
    case LP_LOSS_CATEGORICAL: return LP_LINK_SOFTMAX;
    case LP_LOSS_POISSON: return LP_LINK_EXP;
    case LP_LOSS_SQUARED:
    case LP_LOSS_HUBER:
    case LP_LOSS_BPR: break;
    }
    return LP_LINK_IDENTITY;
}

/* Without golden rows first: they are what that bundle says. */
enum lp_code lp_job_write(struct lp_job *job, struct lp_trainer *trainer, struct lp_error *err)
{
    struct lp_job_result *result = job->result;
    json_t *training = make_training(job), *baseline = make_baseline(job), *golden = NULL;
    json_t *calibration = make_calibration(result);
    double scale = job->label_scale * (result->calibrated ? result->platt_a : 1);
    double shift = result->calibrated ? job->label_mean * result->platt_a + result->platt_b : job->label_mean;
    struct lp_export what = {.net = lp_trainer_net(trainer),
                             .features = result->feature_list,
                             .name = job->request->name,
                             .version = job->request->version,
                             .task = result->task,
                             .link = link_of(result),
                             .labels = result->labels,
                             .scale = scale,
                             .shift = shift,
                             .threshold = result->threshold,
                             .training = training,
                             .steps = job->request->steps,
                             .baseline = baseline,
                             .calibration = calibration};
    enum lp_code rc;
    LP_GUARD(lp_export_encode(&what, &result->bundle, err));
    LP_GUARD(make_golden(job, lp_buffer_span(&result->bundle), &golden, err));
    lp_buffer_clear(&result->bundle);
    what.golden = golden;
    LP_GUARD(lp_export_encode(&what, &result->bundle, err));
    rc = lp_export_verify(lp_buffer_span(&result->bundle), result->sha256, err);
out:
    json_decref(training);
    json_decref(baseline);
    json_decref(calibration);
    json_decref(golden);
    return rc;
}
