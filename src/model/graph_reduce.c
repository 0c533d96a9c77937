/* Ops that fold axes, or divide by what folding them gives. */
#include "model/graph.h"

#include <math.h>

static enum lp_code read_axes(const struct lp_node *node, struct lp_op *op, struct lp_error *err)
{
    uint32_t axes[LP_VALUE_RANK_MAX];
    const json_t *array;
    LP_TRY(lp_node_array(node, "axes", &array, err));
    size_t count = json_array_size(array);
    if (count < 1 || count > op->in.rank)
        return LP_BAD(err, "%s: `axes` has %zu entries: 1 to %u are allowed", node->where, count, op->in.rank);
    LP_TRY(lp_wholes_read(node, "axes", count, 0, (json_int_t)op->in.rank - 1, axes, err));
    for (size_t i = 0; i < count; i++) {
        if ((op->axes >> axes[i] & 1) != 0) return LP_BAD(err, "%s: `axes` has %u twice", node->where, axes[i]);
        op->axes |= 1u << axes[i];
    }
    return LP_OK;
}

enum lp_code lp_reduce_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                            struct lp_op *op, struct lp_error *err)
{
    static const char *const functions[] = {[LP_REDUCE_SUM] = "sum",
                                            [LP_REDUCE_MEAN] = "mean",
                                            [LP_REDUCE_MAX] = "max",
                                            [LP_REDUCE_MIN] = "min",
                                            [LP_REDUCE_PROD] = "prod",
                                            [LP_REDUCE_L1] = "l1",
                                            [LP_REDUCE_L2] = "l2",
                                            [LP_REDUCE_SUM_SQUARE] = "sum_square",
                                            [LP_REDUCE_LOG_SUM_EXP] = "log_sum_exp"};
    struct lp_shape shape = {.rank = 0};
    bool keep = false;
    size_t function;
    (void)bundle;
    (void)inputs;
    LP_TRY(lp_node_choice(node, "function", LP_CHOICE(functions), NULL, &function, err));
    LP_TRY(read_axes(node, op, err));
    LP_TRY(lp_node_flag_or(node, "keep", &keep, err));
    op->reduce = (enum lp_reduce)function;
    for (uint32_t i = 0; i < op->in.rank; i++) {
        bool folded = (op->axes >> i & 1) != 0;
        if (!folded || keep) shape.dims[shape.rank++] = folded ? 1 : op->in.dims[i];
    }
    if (shape.rank == 0) shape.dims[shape.rank++] = 1;
    op->shape = shape;
    op->work = op->in_width;
    return LP_OK;
}

enum lp_code lp_unit_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                          struct lp_op *op, struct lp_error *err)
{
    static const char *const norms[] = {[LP_UNIT_L1] = "l1", [LP_UNIT_L2] = "l2", [LP_UNIT_MAX] = "max"};
    size_t norm;
    (void)bundle;
    (void)inputs;
    LP_TRY(lp_node_choice(node, "norm", LP_CHOICE(norms), NULL, &norm, err));
    op->unit = (enum lp_unit)norm;
    return LP_OK;
}

static enum lp_code read_scaling(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                 uint64_t count, const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    if (!lp_node_has(node, key)) return LP_OK;
    LP_TRY(lp_weight_read(bundle, node, key, 1u << LP_DTYPE_F32, ret_tensor, err));
    if ((*ret_tensor)->count != count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %s `%.64s` has %llu elements, not %llu", node->where, key,
                       (*ret_tensor)->name, (unsigned long long)(*ret_tensor)->count, (unsigned long long)count);
    return LP_OK;
}

enum lp_code lp_norm_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                          struct lp_op *op, struct lp_error *err)
{
    LP_TRY(lp_axis_read(node, &inputs[0], &op->axis, err));
    uint64_t count = lp_shape_after(&op->in, op->axis) * op->in.dims[op->axis];
    LP_TRY(read_scaling(bundle, node, "weight", count, &op->weight, err));
    LP_TRY(read_scaling(bundle, node, "bias", count, &op->bias, err));
    op->epsilon = 1e-5;
    LP_TRY(lp_node_number_or(node, "epsilon", &op->epsilon, err));
    if (!(op->epsilon >= 0 && isfinite((float)op->epsilon)))
        return LP_BAD(err, "%s: `epsilon` is %g: it must be finite and not negative", node->where, op->epsilon);
    op->work = 4 * (uint64_t)op->in_width;
    return LP_OK;
}
