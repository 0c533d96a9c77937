#include "train/export.h"

#include "core/version.h"
#include "infer/calibrate.h"
#include "model/write.h"
#include "score/scorer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = LP_EXPORT_NAME_BYTES, FILE_MAX_BYTES = INT32_MAX };
static const double golden_rtol = 1e-4, golden_atol = 1e-5;

static const char *const tasks[] = {"binary", "multiclass", "regression", "ranking"};
static const char *const links[] = {"identity", "sigmoid", "softmax", "exp", "signed_square", "log1p_exp", "hinge"};
static const char *const activations[] = {"none",    "relu", "leaky_relu", "elu",  "tanh",
                                          "sigmoid", "gelu", "gelu_tanh",  "silu", "softplus"};

static float *add_tensor(struct lp_export_graph *t, uint64_t rows, uint64_t columns, const char *format, uint32_t index)
    __attribute__((format(printf, 4, 0)));
static float *add_tensor(struct lp_export_graph *t, uint64_t rows, uint64_t columns, const char *format, uint32_t index)
{
    uint64_t count = columns > 0 ? rows * columns : rows;
    float *data = calloc(count, sizeof *data);
    if (data == NULL) return NULL;
    snprintf(t->names[t->count], NAME_BYTES, format, index);
    t->items[t->count] = (struct lp_tensor){.name = t->names[t->count],
                                            .dtype = LP_DTYPE_F32,
                                            .rank = columns > 0 ? 2 : 1,
                                            .dims = {rows, columns},
                                            .count = count,
                                            .data = data};
    t->owned[t->count++] = data;
    return data;
}

static bool add_layer(const struct lp_net *net, double scale, double shift, uint32_t i, const char *input,
                      struct lp_export_graph *t)
{
    const struct lp_net_layer *layer = &net->spec.layers[i];
    const struct lp_net_dense *d = &net->dense[i];
    bool last = i + 1 == net->spec.layer_count;
    float *weight = add_tensor(t, d->in, d->out, "layer%u.weight", i);
    float *bias = weight != NULL ? add_tensor(t, d->out, 0, "layer%u.bias", i) : NULL;
    if (bias == NULL) return false;
    lp_net_fold(net, i, weight, bias);
    for (size_t k = 0; last && k < (size_t)d->in * d->out; k++) weight[k] = (float)(weight[k] * scale);
    for (uint32_t k = 0; last && k < d->out; k++) bias[k] = (float)(bias[k] * scale + shift);
    json_t *op =
        json_pack("{s:s, s:s, s:s, s:s, s:o}", "op", "dense", "input", input, "weight", t->names[t->count - 2], "bias",
                  t->names[t->count - 1], "output", last ? json_string("margin") : json_sprintf("hidden%u", i));
    if (layer->activation != LP_ACTIVATION_NONE)
        json_object_set_new(op, "activation", json_string(activations[layer->activation]));
    if (layer->activation == LP_ACTIVATION_LEAKY_RELU || layer->activation == LP_ACTIVATION_ELU)
        json_object_set_new(op, "alpha", json_real((double)layer->alpha));
    return json_array_append_new(t->graph, op) == 0;
}

static json_t *slice_op(uint32_t begin, uint32_t end, const char *output)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "op", "slice", "input", "features", "output", output,
                     "axis", 0, "start", (int)begin, "end", (int)end, "step", 1);
}

/* Plain columns in runs, then each table's row: the order that the network has. */
static bool add_tables(const struct lp_net *net, struct lp_export_graph *t)
{
    json_t *graph = t->graph;
    json_t *parts = json_array();
    char name[NAME_BYTES];
    bool good = parts != NULL;
    for (uint32_t i = 0; good && i < net->plain_count;) {
        uint32_t begin = net->plain[i], end = begin;
        while (i < net->plain_count && net->plain[i] == end) {
            end++;
            i++;
        }
        snprintf(name, sizeof name, "columns%u", begin);
        good = json_array_append_new(graph, slice_op(begin, end, name)) == 0 &&
               json_array_append_new(parts, json_string(name)) == 0;
    }
    for (uint32_t e = 0; good && e < net->spec.embedding_count; e++) {
        const struct lp_net_embedding *table = &net->embeddings[e];
        float *data = add_tensor(t, table->rows, table->width, "table%u", e);
        if (data == NULL) break;
        for (size_t r = 0; r < table->rows; r++)
            memcpy(data + r * table->width, lp_net_table_row(net, e, r), table->width * sizeof *data);
        snprintf(name, sizeof name, "index%u", e);
        good = json_array_append_new(graph, slice_op(table->column, table->column + 1, name)) == 0;
        json_array_append_new(graph,
                              json_pack("{s:s, s:s, s:o, s:s, s:s}", "op", "embedding", "input", name, "output",
                                        json_sprintf("embedded%u", e), "table", t->names[t->count - 1], "pool", "sum"));
        good = good && json_array_append_new(parts, json_sprintf("embedded%u", e)) == 0;
    }
    return good && json_array_append_new(graph, json_pack("{s:s, s:o, s:s, s:i}", "op", "concat", "inputs", parts,
                                                          "output", "input", "axis", 0)) == 0;
}

static bool make_graph(const struct lp_net *net, double scale, double shift, struct lp_export_graph *t)
{
    char input[NAME_BYTES] = "features";
    bool tables = net->spec.embedding_count > 0;
    if (tables && !add_tables(net, t)) return false;
    if (tables) snprintf(input, sizeof input, "input");
    for (uint32_t i = 0; i < net->spec.layer_count; i++) {
        if (!add_layer(net, scale, shift, i, input, t)) return false;
        snprintf(input, sizeof input, "hidden%u", i);
    }
    return true;
}

enum lp_code lp_export_graph_init(struct lp_export_graph *ret_graph, const struct lp_net *net, double scale,
                                  double shift, struct lp_error *err)
{
    uint32_t most = 2 * net->spec.layer_count + net->spec.embedding_count;
    struct lp_export_graph t = {.graph = json_array(),
                                .items = calloc(most, sizeof *t.items),
                                .names = calloc(most, sizeof *t.names),
                                .owned = calloc(most, sizeof *t.owned)};
    bool good = t.items != NULL && t.names != NULL && t.owned != NULL && t.graph != NULL;
    if (good && make_graph(net, scale, shift, &t)) {
        *ret_graph = t;
        return LP_OK;
    }
    lp_export_graph_done(&t);
    return lp_fail_memory(err, most * sizeof *t.items);
}

void lp_export_graph_done(struct lp_export_graph *graph)
{
    for (uint32_t i = 0; i < graph->count; i++) free(graph->owned[i]);
    free(graph->items);
    free(graph->names);
    free(graph->owned);
    json_decref(graph->graph);
    *graph = (struct lp_export_graph){.graph = NULL};
}

static json_t *make_manifest(const struct lp_export *what, json_t *graph)
{
    json_t *output = json_pack("{s:s}", "link", links[what->link]);
    if (what->task == LP_TASK_BINARY) json_object_set_new(output, "threshold", json_real(what->threshold));
    if (what->baseline != NULL) json_object_set(output, "baseline", (json_t *)(uintptr_t)what->baseline);
    if (what->calibration != NULL) json_object_set(output, "calibration", (json_t *)(uintptr_t)what->calibration);
    return json_pack("{s:i, s:s, s:s, s:s, s:O*, s:{s:n, s:O}, s:O, s:O, s:O, s:o, s:O*}", "format", 1, "name",
                     what->name, "version", what->version, "task", tasks[what->task], "labels", what->labels, "lineage",
                     "parent", "steps", what->steps, "training", what->training, "features", what->features, "graph",
                     graph, "output", output, "golden", what->golden);
}

enum lp_code lp_export_encode(const struct lp_export *what, struct lp_buffer *out, struct lp_error *err)
{
    struct lp_export_graph t;
    LP_TRY(lp_export_graph_init(&t, what->net, what->scale, what->shift, err));
    json_t *manifest = make_manifest(what, t.graph);
    char *text = manifest != NULL ? json_dumps(manifest, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    enum lp_code rc = text != NULL ? lp_bundle_encode(text, t.items, t.count, out, err) : lp_fail_memory(err, 0);
    free(text);
    json_decref(manifest);
    lp_export_graph_done(&t);
    return rc;
}

static enum lp_code open_model(struct lp_span bytes, struct lp_model **ret_model, struct lp_error *err)
{
    struct lp_bundle *bundle;
    LP_TRY(lp_infer_setup(err));
    LP_TRY(lp_bundle_parse(bytes, &bundle, err));
    return lp_model_new(bundle, NULL, ret_model, err);
}

static json_t *numbers(const float *values, uint32_t count)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++) json_array_append_new(array, json_real((double)values[i]));
    return array;
}

/* Where a calibration rises steeply, another processor's rounding of the margin would show in the score. */
static bool is_steady(const struct lp_bundle *bundle, float margin)
{
    const float step = 1e-5f + 1e-5f * fabsf(margin), around[2] = {margin - step, margin + step};
    float scores[2];
    if (bundle->calibration.count == 0) return true;
    lp_calibrate(&bundle->calibration, around, 2, scores);
    return (double)(scores[1] - scores[0]) <= golden_atol;
}

static bool all_finite(const float *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* Records that cleaning refuses, or whose score is not finite, are passed over: they are no examples. */
static enum lp_code score_records(struct lp_scorer *scorer, const char *records, uint32_t count, json_t *rows,
                                  struct lp_error *err)
{
    uint32_t outputs = lp_scorer_model(scorer)->bundle->output_count, infinite = 0;
    float *margins = calloc(2 * (size_t)outputs, sizeof *margins);
    if (margins == NULL) return lp_fail_memory(err, 2 * outputs * sizeof *margins);
    for (uint32_t i = 0; i < count; i++, records += strlen(records) + 1) {
        struct lp_error why;
        json_t *record = json_loads(records, 0, NULL);
        bool scored =
            lp_scorer_json(scorer, lp_span_text(records), margins, margins + outputs, &why) == LP_OK && record != NULL;
        bool finite = scored && all_finite(margins, 2 * outputs);
        infinite += scored && !finite;
        if (finite && is_steady(lp_scorer_model(scorer)->bundle, margins[0]))
            json_array_append_new(rows,
                                  json_pack("{s:O, s:o, s:o}", "record", record, "margin", numbers(margins, outputs),
                                            "score", numbers(margins + outputs, outputs)));
        json_decref(record);
    }
    free(margins);
    if (infinite == 0 || json_array_size(rows) > 0) return LP_OK;
    return lp_fail(err, LP_E_REFUSED, LP_FATAL,
                   "no score of %u rows is finite: the weights grew without bound; lower the learning rate, normalize "
                   "the features, or clip the gradient",
                   infinite);
}

enum lp_code lp_export_golden(struct lp_span bytes, const char *records, uint32_t count, json_t **ret_golden,
                              struct lp_error *err)
{
    struct lp_model *model = NULL;
    struct lp_scorer *scorer = NULL;
    char source[NAME_BYTES];
    json_t *rows = json_array();
    enum lp_code rc;
    if (rows == NULL) return lp_fail_memory(err, 0);
    LP_GUARD(open_model(bytes, &model, err));
    LP_GUARD(lp_scorer_new(model, 1, &scorer, err));
    LP_GUARD(score_records(scorer, records, count, rows, err));
    snprintf(source, sizeof source, "lepton %s", lp_version());
    *ret_golden = json_array_size(rows) == 0 ? NULL
                                             : json_pack("{s:s, s:f, s:f, s:O}", "source", source, "rtol", golden_rtol,
                                                         "atol", golden_atol, "rows", rows);
out:
    lp_scorer_free(scorer);
    lp_model_unref(model);
    json_decref(rows);
    return rc;
}

enum lp_code lp_export_verify(struct lp_span bytes, char *ret_sha256, struct lp_error *err)
{
    struct lp_model *model;
    LP_TRY(open_model(bytes, &model, err));
    enum lp_code rc = lp_model_verify(model, err);
    lp_sha256_text(model->bundle->sha256, ret_sha256);
    lp_model_unref(model);
    return rc;
}

static enum lp_code load_tensor(const struct lp_bundle *bundle, const char *name, uint64_t rows, uint64_t columns,
                                const float **ret_data, struct lp_error *err)
{
    const struct lp_tensor *tensor = lp_bundle_tensor(bundle, name);
    if (tensor == NULL) return lp_fail(err, LP_E_NOT_FOUND, LP_FATAL, "has no tensor `%s`", name);
    bool fits = tensor->dtype == LP_DTYPE_F32 && tensor->rank == (columns > 0 ? 2u : 1u) && tensor->dims[0] == rows &&
                (columns == 0 || tensor->dims[1] == columns);
    if (!fits)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "tensor `%s` is not F32 of %llu x %llu", name,
                       (unsigned long long)rows, (unsigned long long)(columns > 0 ? columns : 1));
    *ret_data = tensor->data;
    return LP_OK;
}

static enum lp_code load_layer(const struct lp_bundle *bundle, struct lp_net *net, uint32_t i, struct lp_error *err)
{
    const struct lp_net_dense *d = &net->dense[i];
    const float *weight, *bias;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "layer%u.weight", i);
    LP_TRY(load_tensor(bundle, name, d->in, d->out, &weight, err));
    snprintf(name, sizeof name, "layer%u.bias", i);
    LP_TRY(load_tensor(bundle, name, d->out, 0, &bias, err));
    lp_net_set_weight(net, i, weight);
    if (d->bias == SIZE_MAX)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "--init and --batch-norm do not go together: the bundle's layers are folded, and normalizing "
                       "them anew would undo what they learned; leave --batch-norm out");
    memcpy(net->params + d->bias, bias, d->out * sizeof *bias);
    return LP_OK;
}

enum lp_code lp_export_load(const char *path, struct lp_net *net, struct lp_error *err)
{
    struct lp_bundle *bundle;
    LP_TRY(lp_bundle_load(path, FILE_MAX_BYTES, &bundle, err));
    enum lp_code rc = LP_OK;
    for (uint32_t i = 0; rc == LP_OK && i < net->spec.layer_count; i++) rc = load_layer(bundle, net, i, err);
    for (uint32_t e = 0; rc == LP_OK && e < net->spec.embedding_count; e++) {
        const float *table;
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "table%u", e);
        rc = load_tensor(bundle, name, net->embeddings[e].rows, net->embeddings[e].width, &table, err);
        for (size_t r = 0; rc == LP_OK && r < net->embeddings[e].rows; r++)
            memcpy(lp_net_table_row(net, e, r), table + r * net->embeddings[e].width,
                   net->embeddings[e].width * sizeof *table);
    }
    lp_net_turn_all(net);
    lp_bundle_free(bundle);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "%s", path);
}
