/* Element-wise ops: two operands that broadcast, imputation, fake quantization. */
#include "model/graph.h"

#include <math.h>

static enum lp_code read_constant(struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op,
                                  struct lp_shape *ret_shape, struct lp_error *err)
{
    LP_TRY(lp_weight_read(bundle, node, "constant", 1u << LP_DTYPE_F32, &op->constant, err));
    return lp_constant_shape(node, op->constant, ret_shape, err);
}

enum lp_code lp_binary_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                            struct lp_op *op, struct lp_error *err)
{
    if (op->input_count == 2) return lp_shape_broadcast(node, &inputs[0], &inputs[1], &op->shape, err);
    struct lp_shape constant;
    LP_TRY(read_constant(bundle, node, op, &constant, err));
    LP_TRY(lp_node_flag_or(node, "reverse", &op->reverse, err));
    return lp_shape_broadcast(node, &inputs[0], &constant, &op->shape, err);
}

enum lp_code lp_impute_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                            struct lp_op *op, struct lp_error *err)
{
    struct lp_shape constant, shape;
    LP_TRY(read_constant(bundle, node, op, &constant, err));
    LP_TRY(lp_shape_broadcast(node, &inputs[0], &constant, &shape, err));
    if (shape.rank != op->in.rank || lp_shape_count(&shape) != op->in_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: constant `%.64s` is larger than the input", node->where,
                       op->constant->name);
    op->filler = NAN;
    return lp_node_number_or(node, "missing", &op->filler, err);
}

enum lp_code lp_quantize_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                              struct lp_op *op, struct lp_error *err)
{
    json_int_t zero = 0, low, high;
    (void)bundle;
    (void)inputs;
    LP_TRY(lp_node_number(node, "scale", &op->quantum, err));
    if (!((float)op->quantum > 0 && isfinite((float)op->quantum)))
        return LP_BAD(err, "%s: `scale` is %g: it must be above 0 and fit in a float", node->where, op->quantum);
    LP_TRY(lp_node_whole(node, "low", -(1 << 16), 1 << 16, &low, err));
    LP_TRY(lp_node_whole(node, "high", -(1 << 16), 1 << 16, &high, err));
    if (lp_node_has(node, "zero_point")) LP_TRY(lp_node_whole(node, "zero_point", low, high, &zero, err));
    if (low > high) return LP_BAD(err, "%s: `low` is above `high`", node->where);
    op->zero = (double)zero;
    op->low = (double)low;
    op->high = (double)high;
    return LP_OK;
}
