#include "import/graph.h"

#include <stdlib.h>
#include <string.h>

static const char *const function_names[LP_GRAPH_FUNCTION_COUNT] = {
    [LP_GRAPH_NONE] = "none",
    [LP_GRAPH_RELU] = "relu",
    [LP_GRAPH_LEAKY_RELU] = "leaky_relu",
    [LP_GRAPH_ELU] = "elu",
    [LP_GRAPH_SELU] = "selu",
    [LP_GRAPH_CELU] = "celu",
    [LP_GRAPH_PRELU] = "prelu",
    [LP_GRAPH_TANH] = "tanh",
    [LP_GRAPH_SIGMOID] = "sigmoid",
    [LP_GRAPH_GELU] = "gelu",
    [LP_GRAPH_GELU_TANH] = "gelu_tanh",
    [LP_GRAPH_SILU] = "silu",
    [LP_GRAPH_SOFTPLUS] = "softplus",
    [LP_GRAPH_SOFTSIGN] = "softsign",
    [LP_GRAPH_HARD_SIGMOID] = "hard_sigmoid",
    [LP_GRAPH_HARD_SILU] = "hard_silu",
    [LP_GRAPH_MISH] = "mish",
    [LP_GRAPH_THRESHOLDED_RELU] = "thresholded_relu",
    [LP_GRAPH_CLIP] = "clip",
    [LP_GRAPH_EXP] = "exp",
    [LP_GRAPH_LOG] = "log",
    [LP_GRAPH_SQRT] = "sqrt",
    [LP_GRAPH_ABS] = "abs",
    [LP_GRAPH_NEG] = "neg",
    [LP_GRAPH_RECIPROCAL] = "reciprocal",
    [LP_GRAPH_ERF] = "erf",
    [LP_GRAPH_FLOOR] = "floor",
    [LP_GRAPH_CEIL] = "ceil",
    [LP_GRAPH_ROUND] = "round",
    [LP_GRAPH_SIGN] = "sign",
    [LP_GRAPH_SOFTMAX_OF] = "softmax",
    [LP_GRAPH_LOG_SOFTMAX_OF] = "log_softmax",
    [LP_GRAPH_ADD] = "add",
    [LP_GRAPH_SUB] = "sub",
    [LP_GRAPH_MUL] = "mul",
    [LP_GRAPH_DIV] = "div",
    [LP_GRAPH_POW] = "pow",
    [LP_GRAPH_MIN] = "min",
    [LP_GRAPH_MAX] = "max",
    [LP_GRAPH_SUM] = "sum",
    [LP_GRAPH_MEAN] = "mean",
    [LP_GRAPH_PROD] = "prod",
    [LP_GRAPH_L1] = "l1",
    [LP_GRAPH_L2] = "l2",
    [LP_GRAPH_SUM_SQUARE] = "sum_square",
    [LP_GRAPH_LOG_SUM_EXP] = "log_sum_exp",
    [LP_GRAPH_AVERAGE] = "average",
};

enum { OPS_START = 64, OPS_MAX = 16 * LP_BUNDLE_OPS_MAX /* before they are simplified */ };

void lp_graph_init(struct lp_graph *graph, struct lp_bundle_storage *storage)
{
    *graph = (struct lp_graph){.storage = storage};
}

void lp_graph_done(struct lp_graph *graph)
{
    for (uint32_t i = 0; i < graph->trees_count; i++) {
        lp_forest_done(&graph->trees[i]->forest);
        free(graph->trees[i]);
    }
    free(graph->trees);
    free(graph->ops);
    *graph = (struct lp_graph){0};
}

const char *lp_graph_function_name(enum lp_graph_function function) { return function_names[function]; }

enum lp_code lp_graph_elements(uint32_t rank, const uint32_t *dims, uint32_t *ret_count, struct lp_error *err)
{
    uint64_t count = 1;
    if (rank > LP_GRAPH_RANK_MAX)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "%u axes beside the batch, at most %d are in this release",
                       rank, LP_GRAPH_RANK_MAX);
    for (uint32_t i = 0; i < rank; i++) {
        count *= dims[i];
        if (count == 0 || count > LP_BUNDLE_COLUMNS_MAX)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "a shape of %s elements a row: 1 to %d are allowed",
                           count == 0 ? "no" : "too many", LP_BUNDLE_COLUMNS_MAX);
    }
    *ret_count = (uint32_t)count;
    return LP_OK;
}

static enum lp_code grow(struct lp_graph *graph, struct lp_error *err)
{
    if (graph->count < graph->capacity) return LP_OK;
    if (graph->count >= OPS_MAX) return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d ops", OPS_MAX);
    uint32_t capacity = graph->capacity * 2 + OPS_START;
    struct lp_graph_op *grown = realloc(graph->ops, capacity * sizeof *grown);
    if (grown == NULL) return lp_fail_memory(err, capacity * sizeof *grown);
    graph->ops = grown;
    graph->capacity = capacity;
    return LP_OK;
}

enum lp_code lp_graph_add(struct lp_graph *graph, const struct lp_graph_op *op, uint32_t *ret_value,
                          struct lp_error *err)
{
    uint32_t elements;
    LP_TRY(lp_graph_elements(op->rank, op->dims, &elements, err));
    LP_TRY(grow(graph, err));
    uint32_t *inputs = lp_storage_take(graph->storage, op->input_count, sizeof *inputs, err);
    if (inputs == NULL) return lp_failed(err->code);
    memcpy(inputs, op->inputs, op->input_count * sizeof *inputs);
    graph->ops[graph->count] = *op;
    graph->ops[graph->count].inputs = inputs;
    *ret_value = ++graph->count;
    return LP_OK;
}

enum lp_code lp_graph_trees_new(struct lp_graph *graph, size_t bytes_max, struct lp_graph_trees **ret_trees,
                                struct lp_error *err)
{
    struct lp_graph_trees **grown = realloc(graph->trees, (graph->trees_count + 1) * sizeof *grown);
    if (grown == NULL) return lp_fail_memory(err, sizeof *grown);
    graph->trees = grown;
    struct lp_graph_trees *trees = calloc(1, sizeof *trees);
    if (trees == NULL) return lp_fail_memory(err, sizeof *trees);
    trees->divisor = 1;
    lp_forest_init(&trees->forest, bytes_max);
    graph->trees[graph->trees_count++] = trees;
    *ret_trees = trees;
    return LP_OK;
}
