/* Ops that nothing needs, aliases of `features`, the link, columns that may be missing. */
#include "import/graph_passes.h"

#include <string.h>

static void mark_needed(const struct lp_graph *graph, uint32_t value, bool *needed)
{
    if (value != LP_GRAPH_FEATURES) needed[value - 1] = true;
    for (uint32_t i = graph->count; i-- > 0;)
        for (uint32_t k = 0; needed[i] && k < graph->ops[i].input_count; k++)
            if (graph->ops[i].inputs[k] != LP_GRAPH_FEATURES) needed[graph->ops[i].inputs[k] - 1] = true;
}

/* Keep the marked ops, in order. */
static enum lp_code compact(struct lp_graph *graph, const bool *needed, uint32_t *value, struct lp_error *err)
{
    uint32_t *moved = lp_storage_take(graph->storage, (size_t)graph->count + 1, sizeof *moved, err), kept = 0;
    if (moved == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < graph->count; i++) {
        if (!needed[i]) continue;
        const struct lp_graph_op op = graph->ops[i];
        for (uint32_t k = 0; k < op.input_count; k++) op.inputs[k] = moved[op.inputs[k]];
        graph->ops[kept++] = op;
        moved[i + 1] = kept;
    }
    graph->count = kept;
    *value = moved[*value];
    return LP_OK;
}

static enum lp_code copy_features(struct lp_graph *graph, uint32_t *value, uint32_t rank, const uint32_t *dims,
                                  struct lp_error *err)
{
    uint32_t features = LP_GRAPH_FEATURES;
    struct lp_graph_op op = {.kind = LP_GRAPH_RESHAPE, .input_count = 1, .inputs = &features, .rank = rank};
    memcpy(op.dims, dims, rank * sizeof *dims);
    return lp_graph_add(graph, &op, value, err);
}

/* A number a row has shape [1] in a bundle. */
static bool same_in_bundle(const struct lp_graph_op *a, const struct lp_graph_op *b)
{
    bool one = (a->rank == 0 && b->rank == 1 && b->dims[0] == 1) || (b->rank == 0 && a->rank == 1 && a->dims[0] == 1);
    return one || (a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0);
}

/* A reshape reads what is behind the reshapes before it, and is nothing where that has its shape. */
static void skip_reshapes(struct lp_graph *graph, uint32_t *alias)
{
    for (uint32_t i = 0; i < graph->count; i++) {
        struct lp_graph_op *op = &graph->ops[i];
        for (uint32_t k = 0; k < op->input_count; k++) op->inputs[k] = alias[op->inputs[k]];
        alias[i + 1] = i + 1;
        if (op->kind != LP_GRAPH_RESHAPE || op->inputs[0] == LP_GRAPH_FEATURES) continue;
        const struct lp_graph_op *from = &graph->ops[op->inputs[0] - 1];
        if (from->kind == LP_GRAPH_RESHAPE) op->inputs[0] = from->inputs[0];
        if (op->inputs[0] != LP_GRAPH_FEATURES && same_in_bundle(op, &graph->ops[op->inputs[0] - 1]))
            alias[i + 1] = op->inputs[0];
    }
}

enum lp_code lp_graph_sweep(struct lp_graph *graph, uint32_t *value, struct lp_error *err)
{
    bool *needed = lp_storage_take(graph->storage, (size_t)graph->count + 1, sizeof *needed, err);
    uint32_t *alias = lp_storage_take(graph->storage, (size_t)graph->count + 1, sizeof *alias, err);
    if (needed == NULL || alias == NULL) return lp_failed(err->code);
    skip_reshapes(graph, alias);
    *value = alias[*value];
    mark_needed(graph, *value, needed);
    return compact(graph, needed, value, err);
}

enum lp_code lp_graph_whole_features(struct lp_graph *graph, uint32_t column_count, uint32_t *value,
                                     struct lp_error *err)
{
    bool *needed = lp_storage_take(graph->storage, (size_t)graph->count + 1, sizeof *needed, err);
    uint32_t *alias = lp_storage_take(graph->storage, (size_t)graph->count + 1, sizeof *alias, err);
    if (needed == NULL || alias == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < graph->count; i++) {
        struct lp_graph_op *op = &graph->ops[i];
        for (uint32_t k = 0; k < op->input_count; k++) op->inputs[k] = alias[op->inputs[k]];
        bool whole = op->kind == LP_GRAPH_SLICE && op->inputs[0] == LP_GRAPH_FEATURES && op->start == 0 &&
                     op->end == column_count && op->step == 1;
        alias[i + 1] = whole ? LP_GRAPH_FEATURES : i + 1;
    }
    *value = alias[*value];
    mark_needed(graph, *value, needed);
    LP_TRY(compact(graph, needed, value, err));
    return *value == LP_GRAPH_FEATURES ? copy_features(graph, value, 1, &column_count, err) : LP_OK;
}

/* The margin is flattened anyway. */
static void skip_last_reshape(const struct lp_graph *graph, uint32_t *value)
{
    while (*value != LP_GRAPH_FEATURES && graph->ops[*value - 1].kind == LP_GRAPH_RESHAPE &&
           graph->ops[*value - 1].inputs[0] != LP_GRAPH_FEATURES)
        *value = graph->ops[*value - 1].inputs[0];
}

enum lp_link lp_graph_take_link(struct lp_graph *graph, uint32_t *value)
{
    skip_last_reshape(graph, value);
    if (*value == LP_GRAPH_FEATURES) return LP_LINK_IDENTITY;
    struct lp_graph_op *op = &graph->ops[*value - 1];
    bool softmax =
        op->kind == LP_GRAPH_SOFTMAX && op->function == LP_GRAPH_SOFTMAX_OF && op->rank == 1 && op->dims[0] > 1;
    bool sigmoid = op->function == LP_GRAPH_SIGMOID;
    if (softmax || (sigmoid && op->kind == LP_GRAPH_ACTIVATION)) *value = op->inputs[0];
    else if (sigmoid) op->function = LP_GRAPH_NONE; /* behind a dense or a convolution */
    else return LP_LINK_IDENTITY;
    return softmax ? LP_LINK_SOFTMAX : LP_LINK_SIGMOID;
}

/* --- NaN --- */

/* NaN passes unchanged, or is not looked at: what reads the result decides. */
static bool moves(enum lp_graph_kind kind)
{
    return kind == LP_GRAPH_SLICE || kind == LP_GRAPH_RESHAPE || kind == LP_GRAPH_CONCAT || kind == LP_GRAPH_GATHER ||
           kind == LP_GRAPH_TRANSPOSE;
}

enum lp_code lp_graph_find_keeps(const struct lp_graph *graph, uint32_t column_count, bool *keeps, struct lp_error *err)
{
    /* needs[v]: a number of value v must not be missing. */
    bool *needs = lp_storage_take(graph->storage, (size_t)graph->count + 1, sizeof *needs, err);
    if (needs == NULL) return lp_failed(err->code);
    needs[graph->count] = true; /* the margin */
    for (uint32_t c = 0; c < column_count; c++) keeps[c] = true;
    for (uint32_t i = graph->count; i-- > 0;) {
        const struct lp_graph_op *op = &graph->ops[i];
        bool defined = op->kind == LP_GRAPH_TREES || op->kind == LP_GRAPH_IMPUTE;
        bool strict = !defined && (!moves(op->kind) || needs[i + 1]);
        bool slice = op->kind == LP_GRAPH_SLICE && op->inputs[0] == LP_GRAPH_FEATURES;
        for (uint32_t c = op->start; slice && strict && c < op->end; c++) keeps[c] = false;
        for (uint32_t k = 0; !slice && strict && k < op->input_count; k++) needs[op->inputs[k]] = true;
    }
    for (uint32_t c = 0; needs[LP_GRAPH_FEATURES] && c < column_count; c++) keeps[c] = false;
    return LP_OK;
}
