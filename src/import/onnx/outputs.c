/* The numeric outputs as the margin; a last softmax or sigmoid as the link; features that nothing reads go. */
#include "import/graph_passes.h"
#include "import/onnx/private.h"

#include <string.h>

static enum lp_code flat(struct lp_onnx *onnx, const struct lp_onnx_value *value, uint32_t *ret_value,
                         uint32_t *ret_width, struct lp_error *err)
{
    if (value->kind != LP_ONNX_ROW)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "output `%.64s` does not depend on the record's numbers",
                       value->name);
    if (value->is_quantized || value->dynamic != 0 || value->accumulated != 0)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "output `%.64s` is quantized: a DequantizeLinear is missing",
                       value->name);
    LP_TRY(lp_graph_elements(value->rank, value->dims, ret_width, err));
    return lp_onnx_reshape(onnx, value->graph_value, value->rank, value->dims, 1, ret_width, ret_value, err);
}

static enum lp_code join(struct lp_onnx *onnx, uint32_t count, uint32_t *values, uint32_t width, uint32_t *ret_value,
                         struct lp_error *err)
{
    if (count == 1) {
        *ret_value = values[0];
        return LP_OK;
    }
    lp_buffer_format(&onnx->draft->notes, "%u outputs: they follow one another in the score\n", count);
    const struct lp_graph_op op = {.kind = LP_GRAPH_CONCAT, .input_count = count, .rank = 1, .dims = {width}};
    return lp_onnx_emit(onnx, op, values, ret_value, err);
}

static enum lp_code read_margin(struct lp_onnx *onnx, uint32_t *ret_value, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    uint32_t *values = lp_onnx_take(onnx, graph->n_output, sizeof *values, err), count = 0, total = 0, width = 0;
    if (values == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < graph->n_output; i++) {
        const struct lp_onnx_value *value = &onnx->values[lp_onnx_find(onnx, graph->output[i]->name)];
        if (!lp_onnx_output_counts(onnx, i)) {
            lp_buffer_format(&onnx->draft->notes, "output `%.64s` is left out: labels, beside numbers\n", value->name);
            continue;
        }
        LP_TRY(flat(onnx, value, &values[count++], &width, err));
        total += width;
        if (total > LP_BUNDLE_OUTPUTS_MAX)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d numbers are put out", LP_BUNDLE_OUTPUTS_MAX);
    }
    onnx->draft->output_count = total;
    return join(onnx, count, values, total, ret_value, err);
}

/* --- the link --- */

static void read_link(struct lp_draft *draft, uint32_t *value)
{
    if (draft->output_count == 2 && lp_graph_take_two_classes(&draft->graph, value)) draft->output_count = 1;
    bool several = draft->output_count > 1;
    enum lp_link link = lp_graph_take_link(&draft->graph, value);
    if (link == LP_LINK_IDENTITY) return;
    draft->link = link;
    draft->task = several ? LP_TASK_MULTICLASS : LP_TASK_BINARY;
}

/* Names of scores, where they are those that a classifier of the model has. */
static void read_labels(struct lp_draft *draft)
{
    bool several = draft->output_count > 1;
    if (draft->task == LP_TASK_REGRESSION && several && draft->label_count == draft->output_count)
        draft->task = LP_TASK_MULTICLASS;
    bool fits = several ? draft->label_count == draft->output_count : draft->label_count == 2;
    if (draft->task == LP_TASK_REGRESSION || !fits) draft->label_count = 0;
}

/* --- features --- */

static uint32_t width_of(const struct lp_draft_feature *feature) { return feature->width > 0 ? feature->width : 1; }

/* A slice of `features` lies in one feature: its first column says which. */
static void mark_used(const struct lp_draft *draft, bool *used)
{
    for (uint32_t i = 0; i < draft->graph.count; i++) {
        const struct lp_graph_op *op = &draft->graph.ops[i];
        if (op->kind != LP_GRAPH_SLICE || op->inputs[0] != LP_GRAPH_FEATURES) continue;
        for (uint32_t k = 0; k < draft->feature_count; k++)
            if (op->start >= draft->features[k].column &&
                op->start < draft->features[k].column + width_of(&draft->features[k]))
                used[k] = true;
    }
}

static enum lp_code drop_unused(struct lp_draft *draft, struct lp_error *err)
{
    uint32_t *moved = lp_storage_take(&draft->storage, (size_t)draft->column_count + 1, sizeof *moved, err);
    bool *used = lp_storage_take(&draft->storage, draft->feature_count, sizeof *used, err);
    uint32_t kept = 0, columns = 0;
    if (moved == NULL || used == NULL) return lp_failed(err->code);
    mark_used(draft, used);
    for (uint32_t i = 0; i < draft->feature_count; i++) {
        struct lp_draft_feature feature = draft->features[i];
        if (!used[i]) {
            lp_buffer_format(&draft->notes, "input `%.64s` is left out: nothing reads it\n", feature.name);
            continue;
        }
        for (uint32_t c = 0; c < width_of(&feature); c++) moved[feature.column + c] = columns + c;
        feature.column = columns;
        columns += width_of(&feature);
        draft->features[kept++] = feature;
    }
    if (kept == 0) return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "the outputs do not depend on the inputs");
    draft->feature_count = kept;
    draft->column_count = columns;
    for (uint32_t i = 0; i < draft->graph.count; i++) {
        struct lp_graph_op *op = &draft->graph.ops[i];
        if (op->kind != LP_GRAPH_SLICE || op->inputs[0] != LP_GRAPH_FEATURES) continue;
        uint32_t width = op->end - op->start;
        op->start = moved[op->start];
        op->end = op->start + width;
    }
    return LP_OK;
}

static void mark_rejecting(struct lp_draft *draft, const bool *keeps)
{
    for (uint32_t i = 0; i < draft->feature_count; i++)
        for (uint32_t c = 0; c < width_of(&draft->features[i]); c++)
            if (!keeps[draft->features[i].column + c]) draft->features[i].rejects_missing = true;
}

enum lp_code lp_onnx_outputs_read(struct lp_onnx *onnx, struct lp_error *err)
{
    struct lp_draft *draft = onnx->draft;
    uint32_t value;
    LP_TRY(read_margin(onnx, &value, err));
    LP_TRY(lp_graph_simplify(&draft->graph, &value, err));
    read_link(draft, &value);
    read_labels(draft);
    LP_TRY(lp_graph_sweep(&draft->graph, &value, err));
    LP_TRY(drop_unused(draft, err));
    LP_TRY(lp_graph_whole_features(&draft->graph, draft->column_count, &value, err));
    bool *keeps = lp_storage_take(&draft->storage, draft->column_count, sizeof *keeps, err);
    if (keeps == NULL) return lp_failed(err->code);
    LP_TRY(lp_graph_find_keeps(&draft->graph, draft->column_count, keeps, err));
    mark_rejecting(draft, keeps);
    if (draft->graph.count > LP_BUNDLE_OPS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%u ops, at most %d are allowed", draft->graph.count,
                       LP_BUNDLE_OPS_MAX);
    return LP_OK;
}
