/* Reductions over axes beside the batch. */
#include "import/onnx/lower.h"

#include <string.h>

static const struct {
    const char *name;
    enum lp_graph_function function;
} reductions[] = {
    {"ReduceSum", LP_GRAPH_SUM},
    {"ReduceMean", LP_GRAPH_MEAN},
    {"ReduceMax", LP_GRAPH_MAX},
    {"ReduceMin", LP_GRAPH_MIN},
    {"ReduceProd", LP_GRAPH_PROD},
    {"ReduceL1", LP_GRAPH_L1},
    {"ReduceL2", LP_GRAPH_L2},
    {"ReduceSumSquare", LP_GRAPH_SUM_SQUARE},
    {"ReduceLogSumExp", LP_GRAPH_LOG_SUM_EXP},
    {"ReduceLogSum", LP_GRAPH_SUM},
};

static enum lp_graph_function reduction_of(const struct lp_onnx_node *node)
{
    size_t i = 0;
    while (i + 1 < sizeof reductions / sizeof *reductions && strcmp(reductions[i].name, node->op) != 0) i++;
    return reductions[i].function;
}

static enum lp_code emit_reduce(struct lp_onnx *onnx, enum lp_graph_function function,
                                const struct lp_onnx_value *input, uint32_t mask, bool keep,
                                struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_REDUCE, .function = function, .input_count = 1, .rank = input->rank};
    struct lp_onnx_value made = *input;
    uint32_t dims[LP_GRAPH_RANK_MAX], rank = 0;
    for (uint32_t i = 0; i < input->rank; i++) {
        bool folded = (mask >> i & 1) != 0;
        op.dims[i] = made.dims[i] = folded ? 1 : input->dims[i];
        if (folded) op.axes[op.axis_count++] = i;
        if (!folded || keep) dims[rank++] = op.dims[i];
    }
    LP_TRY(lp_onnx_emit(onnx, op, &input->graph_value, &made.graph_value, err));
    return lp_onnx_emit_reshape(onnx, &made, rank, dims, ret_value, err);
}

enum lp_code lp_onnx_lower_reduce(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    const int64_t *axes = NULL;
    int64_t keep, none_is_none;
    size_t count = 0;
    uint32_t mask = 0, at = 0;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    if (lp_onnx_type_whole(input->type) && reduction_of(node) == LP_GRAPH_MEAN)
        return lp_onnx_refuse(node, err, "the mean of whole numbers, which is cut");
    LP_TRY(lp_onnx_list(onnx, node, "axes", 1, &axes, &count, err));
    LP_TRY(lp_onnx_int(node, "keepdims", 1, &keep, err));
    LP_TRY(lp_onnx_int(node, "noop_with_empty_axes", 0, &none_is_none, err));
    if (count == 0 && none_is_none != 0) return lp_onnx_same(onnx, node, err);
    if (count == 0) return lp_onnx_refuse(node, err, "over all axes: the batch is one");
    if (count > input->rank + 1) return lp_onnx_bad(node, err, "%zu axes of %u", count, input->rank + 1);
    for (size_t i = 0; i < count; i++) {
        LP_TRY(lp_onnx_row_axis(node, input, axes[i], &at, err));
        mask |= 1u << at;
    }
    LP_TRY(emit_reduce(onnx, reduction_of(node), input, mask, keep != 0, &made, err));
    if (strcmp(node->op, "ReduceLogSum") == 0) {
        const struct lp_onnx_value sum = made;
        LP_TRY(lp_onnx_emit_activation(
            onnx, (struct lp_graph_op){.kind = LP_GRAPH_ACTIVATION, .function = LP_GRAPH_LOG}, &sum, &made, err));
    }
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* Every axis behind the channels. */
enum lp_code lp_onnx_lower_global_pool(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    uint32_t mask = 0;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    if (input->rank < 2) return lp_onnx_bad(node, err, "an input of %u axes", input->rank + 1);
    for (uint32_t i = 1; i < input->rank; i++) mask |= 1u << i;
    bool max = strcmp(node->op, "GlobalMaxPool") == 0;
    LP_TRY(emit_reduce(onnx, max ? LP_GRAPH_MAX : LP_GRAPH_MEAN, input, mask, true, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}
