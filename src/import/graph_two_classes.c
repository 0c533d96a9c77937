/* Two probabilities that are one: 1 - p and p, as scikit-learn's exporters write a binary classifier. */
#include "import/graph_passes.h"

static struct lp_graph_op *maker(struct lp_graph *graph, uint32_t value)
{
    return value == LP_GRAPH_FEATURES ? NULL : &graph->ops[value - 1];
}

/* One number in another shape is the same number. */
static uint32_t behind_reshapes(struct lp_graph *graph, uint32_t value)
{
    const struct lp_graph_op *op = maker(graph, value);
    while (op != NULL && op->kind == LP_GRAPH_RESHAPE) {
        value = op->inputs[0];
        op = maker(graph, value);
    }
    return value;
}

static bool is_single(const struct lp_graph_op *op)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < op->rank; i++) count *= op->dims[i];
    return count == 1;
}

static bool is_sigmoid(const struct lp_graph_op *op)
{
    return op != NULL && op->function == LP_GRAPH_SIGMOID && is_single(op) &&
           (op->kind == LP_GRAPH_ACTIVATION || op->kind == LP_GRAPH_DENSE);
}

/* 1 - p */
static bool is_rest(struct lp_graph *graph, uint32_t value, uint32_t p)
{
    const struct lp_graph_op *op = maker(graph, value);
    return op != NULL && op->kind == LP_GRAPH_BINARY && op->function == LP_GRAPH_SUB && op->reverse &&
           op->constant != NULL && op->constant->count == 1 && *(const float *)op->constant->data == 1 &&
           behind_reshapes(graph, op->inputs[0]) == p;
}

/* The sigmoid of -x, where p is that of x */
static bool is_mirror(struct lp_graph *graph, uint32_t value, uint32_t p)
{
    const struct lp_graph_op *op = maker(graph, value), *other = maker(graph, p);
    if (!is_sigmoid(op) || op->kind != LP_GRAPH_ACTIVATION || other->kind != LP_GRAPH_ACTIVATION) return false;
    const struct lp_graph_op *negative = maker(graph, behind_reshapes(graph, op->inputs[0]));
    return negative != NULL && negative->kind == LP_GRAPH_ACTIVATION && negative->function == LP_GRAPH_NEG &&
           behind_reshapes(graph, negative->inputs[0]) == behind_reshapes(graph, other->inputs[0]);
}

bool lp_graph_take_two_classes(struct lp_graph *graph, uint32_t *value)
{
    const struct lp_graph_op *both = maker(graph, behind_reshapes(graph, *value));
    if (both == NULL || both->kind != LP_GRAPH_CONCAT || both->input_count != 2) return false;
    uint32_t rest = behind_reshapes(graph, both->inputs[0]), p = behind_reshapes(graph, both->inputs[1]);
    if (!is_sigmoid(maker(graph, p)) || (!is_rest(graph, rest, p) && !is_mirror(graph, rest, p))) return false;
    *value = p;
    return true;
}
