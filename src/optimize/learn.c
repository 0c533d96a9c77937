#include "optimize/learn.h"

#include "core/version.h"
#include "train/export.h"
#include "train/job.h"
#include "train/split.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MIN = 20, TOOL_BYTES = 64 };
static const double valid_share = 0.1;

static enum lp_code choose_loss(const struct lp_bundle *bundle, struct lp_train_loss *ret_loss, struct lp_error *err)
{
    struct lp_train_loss loss = {.outputs = bundle->output_count, .delta = 1};
    bool one = bundle->output_count == 1;
    if (bundle->task == LP_TASK_BINARY && bundle->link == LP_LINK_SIGMOID && one) loss.kind = LP_LOSS_BINARY;
    else if (bundle->task == LP_TASK_MULTICLASS && bundle->link == LP_LINK_SOFTMAX) loss.kind = LP_LOSS_CATEGORICAL;
    else if (bundle->task == LP_TASK_REGRESSION && bundle->link == LP_LINK_IDENTITY && one) loss.kind = LP_LOSS_SQUARED;
    else if (bundle->task == LP_TASK_REGRESSION && bundle->link == LP_LINK_EXP && one) loss.kind = LP_LOSS_POISSON;
    else if (bundle->task == LP_TASK_RANKING && bundle->link == LP_LINK_IDENTITY && one) loss.kind = LP_LOSS_BPR;
    else
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "learning is for binary models with link sigmoid, several classes with softmax, regressions of "
                       "one number with identity or exp, and rankings");
    *ret_loss = loss;
    return LP_OK;
}

static enum lp_code take_rows(struct lp_learn *l, struct lp_error *err)
{
    size_t width = l->rows.column_count, count = l->rows.row_count;
    l->x = malloc(count * width * sizeof *l->x + 1);
    l->y = malloc(count * sizeof *l->y + 1);
    if (l->x == NULL || l->y == NULL) return lp_fail_memory(err, count * width * sizeof *l->x);
    for (size_t i = 0; i < count * width; i++) {
        l->x[i] = (float)l->rows.rows[i];
        if (!isfinite(l->x[i]))
            return lp_fail(
                err, LP_E_UNSUPPORTED, LP_FATAL,
                "record %zu has a feature that is missing and kept so, or beyond the floats: a network cannot "
                "learn from it (column %zu of the cleaned row)",
                i / width + 1, i % width);
    }
    for (size_t i = 0; i < count; i++) l->y[i] = (float)l->rows.y[i];
    free(l->rows.rows);
    l->rows.rows = NULL;
    return LP_OK;
}

static void scale_label(struct lp_learn *l)
{
    double mean = 0, square = 0;
    for (uint32_t r = 0; r < l->rows.row_count; r++) mean += (l->rows.y[r] - mean) / (r + 1);
    for (uint32_t r = 0; r < l->rows.row_count; r++) square += (l->rows.y[r] - mean) * (l->rows.y[r] - mean);
    l->label_mean = mean;
    l->label_scale = square > 0 ? sqrt(square / l->rows.row_count) : 1;
}

static enum lp_code split(struct lp_learn *l, struct lp_error *err)
{
    bool groups = l->rows.group != NULL && l->rows.groups.count > 1;
    const struct lp_split_rule rule = {.kind = groups ? LP_SPLIT_GROUP : LP_SPLIT_RANDOM, .share = valid_share};
    struct lp_split_rows rows = {.row_count = l->rows.row_count, .group = l->rows.group, .seed = l->seed};
    bool classes = l->loss.kind == LP_LOSS_BINARY || l->loss.kind == LP_LOSS_CATEGORICAL;
    uint32_t *class_of = classes ? calloc((size_t)rows.row_count + 1, sizeof *class_of) : NULL;
    if (classes && class_of == NULL) return lp_fail_memory(err, rows.row_count * sizeof *class_of);
    for (uint32_t r = 0; classes && r < rows.row_count; r++) class_of[r] = (uint32_t)l->rows.y[r];
    rows.class_of = class_of;
    rows.class_count = l->loss.kind == LP_LOSS_BINARY ? 2 : l->loss.outputs;
    enum lp_code rc = lp_split_run(&rule, &rows, &l->order, &l->valid_count, err);
    free(class_of);
    return rc;
}

static enum lp_code set_up(const char *path, const char *label, const char *group, const struct lp_model *model,
                           struct lp_learn *l, struct lp_error *err)
{
    LP_TRY(choose_loss(model->bundle, &l->loss, err));
    LP_TRY(lp_valid_read(path, model, label, group, &l->rows, err));
    if (l->rows.row_count < ROWS_MIN)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%u rows, at least %d are needed to learn from", l->rows.row_count,
                       ROWS_MIN);
    LP_TRY(take_rows(l, err));
    if (l->loss.kind == LP_LOSS_SQUARED) scale_label(l);
    LP_TRY(split(l, err));
    l->data = (struct lp_train_data){.row_count = l->rows.row_count,
                                     .column_count = l->rows.column_count,
                                     .x = l->x,
                                     .x_row = l->rows.column_count,
                                     .y = l->y,
                                     .group = l->rows.group};
    return LP_OK;
}

enum lp_code lp_learn_open(const char *path, const char *label, const char *group, const struct lp_model *model,
                           uint64_t seed, struct lp_learn *ret_learn, struct lp_error *err)
{
    *ret_learn = (struct lp_learn){.label_scale = 1, .link_scale = model->bundle->link_scale, .seed = seed};
    enum lp_code rc = set_up(path, label, group, model, ret_learn, err);
    return rc == LP_OK || strstr(err->text, path) != NULL ? rc : lp_error_wrap(err, "%s", path);
}

void lp_learn_done(struct lp_learn *learn)
{
    lp_valid_done(&learn->rows);
    free(learn->x);
    free(learn->y);
    free(learn->order);
    *learn = (struct lp_learn){.x = NULL};
}

static uint64_t mix(uint64_t hash, float value)
{
    uint32_t bits;
    value += 0.0f; /* -0 is 0 */
    memcpy(&bits, &value, sizeof bits);
    hash = (hash ^ bits) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

enum lp_code lp_learn_count_known(const struct lp_learn *l, const struct lp_valid *valid, uint32_t *ret_count,
                                  struct lp_error *err)
{
    size_t width = valid->column_count, rows = l->data.row_count;
    uint64_t *known = malloc(rows * sizeof *known + 1);
    if (known == NULL) return lp_fail_memory(err, rows * sizeof *known);
    for (size_t r = 0; r < rows; r++) {
        known[r] = mix(0, l->y[r]);
        for (size_t c = 0; c < width; c++) known[r] = mix(known[r], l->x[r * width + c]);
    }
    qsort(known, rows, sizeof *known, by_hash);
    *ret_count = 0;
    for (size_t r = 0; r < valid->row_count; r++) {
        uint64_t hash = mix(0, (float)valid->y[r]);
        for (size_t c = 0; c < width; c++) hash = mix(hash, (float)valid->rows[r * width + c]);
        *ret_count += bsearch(&hash, known, rows, sizeof *known, by_hash) != NULL;
    }
    free(known);
    return LP_OK;
}

enum lp_code lp_learn_new(const struct lp_learn *l, const struct lp_net_spec *spec, const struct lp_knobs *knobs,
                          struct lp_train_options *options, struct lp_trainer **ret_trainer, struct lp_error *err)
{
    uint32_t train = l->data.row_count - l->valid_count;
    const struct lp_train_split rows = {l->order, l->order + train, train, l->valid_count};
    *options = (struct lp_train_options){.loss = l->loss,
                                         .optimizer = LP_OPTIMIZER_ADAM,
                                         .rate = knobs->rate,
                                         .beta1 = 0.9,
                                         .beta2 = 0.999,
                                         .epsilon = 1e-8,
                                         .l2 = knobs->l2,
                                         .schedule = LP_SCHEDULE_COSINE,
                                         .schedule_factor = 1,
                                         .epochs = knobs->epochs,
                                         .batch_rows = lp_job_batch(l->data.row_count),
                                         .patience = knobs->patience,
                                         .hold_zeros = knobs->hold_zeros,
                                         .seed = l->seed,
                                         .label_shift = l->label_mean,
                                         .label_scale = l->label_scale,
                                         .threshold = 0.5,
                                         .context = knobs->context,
                                         .should_stop = knobs->should_stop};
    options->threads = lp_job_threads(spec, options->batch_rows);
    return lp_trainer_new(spec, &l->data, &rows, options, ret_trainer, err);
}

/* The tensors that the graph named: members of its ops, of trees one level deeper. */
static void remove_graph(struct lp_draft *draft)
{
    size_t index;
    json_t *op;
    json_array_foreach(draft->graph, index, op)
    {
        const char *key, *inner;
        json_t *value, *part;
        json_object_foreach(op, key, value)
        {
            lp_draft_remove(draft, json_string_value(value));
            json_object_foreach(value, inner, part) lp_draft_remove(draft, json_string_value(part));
        }
    }
}

static json_t *make_training(const struct lp_learn *l)
{
    char tool[TOOL_BYTES];
    snprintf(tool, sizeof tool, "lepton %s (%s)", lp_version(), lp_version_commit());
    return json_pack("{s:I, s:I, s:s}", "rows", (json_int_t)(l->data.row_count - l->valid_count), "seed",
                     (json_int_t)l->seed, "tool", tool);
}

static enum lp_code fill(const struct lp_learn *l, struct lp_draft *draft, const struct lp_export_graph *graph,
                         struct lp_bundle **ret_bundle, struct lp_error *err)
{
    struct lp_buffer bytes;
    lp_buffer_init(&bytes, SIZE_MAX / 2);
    json_t *output = json_object_get(draft->manifest, "output");
    remove_graph(draft);
    json_object_del(output, "calibration");
    json_object_del(output, "baseline");
    bool good = json_object_set(draft->manifest, "graph", graph->graph) == 0 &&
                json_object_set_new(draft->manifest, "training", make_training(l)) == 0;
    draft->graph = json_object_get(draft->manifest, "graph");
    enum lp_code rc = good ? LP_OK : lp_fail_memory(err, 0);
    for (uint32_t i = 0; rc == LP_OK && i < graph->count; i++) rc = lp_draft_put(draft, &graph->items[i], err);
    if (rc == LP_OK) rc = lp_draft_encode(draft, &bytes, err);
    if (rc == LP_OK) rc = lp_bundle_parse(lp_buffer_span(&bytes), ret_bundle, err);
    lp_buffer_done(&bytes);
    return rc;
}

enum lp_code lp_learn_export(const struct lp_learn *l, const struct lp_bundle *parent, const struct lp_net *net,
                             struct lp_bundle **ret_bundle, struct lp_error *err)
{
    struct lp_export_graph graph;
    struct lp_draft *draft;
    LP_TRY(lp_export_graph_init(&graph, net, l->label_scale / l->link_scale, l->label_mean / l->link_scale, err));
    enum lp_code rc = lp_draft_new(parent, &draft, err);
    if (rc == LP_OK) {
        rc = fill(l, draft, &graph, ret_bundle, err);
        lp_draft_free(draft);
    }
    lp_export_graph_done(&graph);
    return rc;
}
