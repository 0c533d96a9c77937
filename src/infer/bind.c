/* Which kernel runs a step. */
#include "infer/plan.h"

static lp_step_bind *const binds[LP_OP_COUNT] = {
    [LP_OP_DENSE] = lp_bind_dense,
    [LP_OP_ACTIVATION] = lp_bind_activation,
    [LP_OP_TREES] = lp_bind_trees,
    [LP_OP_SOFTMAX] = lp_bind_softmax,
    [LP_OP_LOG_SOFTMAX] = lp_bind_softmax,
    [LP_OP_ADD] = lp_bind_binary,
    [LP_OP_SUB] = lp_bind_binary,
    [LP_OP_MUL] = lp_bind_binary,
    [LP_OP_DIV] = lp_bind_binary,
    [LP_OP_MIN] = lp_bind_binary,
    [LP_OP_MAX] = lp_bind_binary,
    [LP_OP_POW] = lp_bind_binary,
    [LP_OP_MATMUL] = lp_bind_matmul,
    [LP_OP_CONCAT] = lp_bind_concat,
    [LP_OP_SLICE] = lp_bind_slice,
    [LP_OP_GATHER] = lp_bind_gather,
    [LP_OP_RESHAPE] = NULL, /* always a view */
    [LP_OP_TRANSPOSE] = lp_bind_transpose,
    [LP_OP_REDUCE] = lp_bind_reduce,
    [LP_OP_EMBEDDING] = lp_bind_embedding,
    [LP_OP_ONEHOT] = lp_bind_onehot,
    [LP_OP_MAP] = lp_bind_map,
    [LP_OP_IMPUTE] = lp_bind_impute,
    [LP_OP_UNIT] = lp_bind_unit,
    [LP_OP_NORM] = lp_bind_norm,
    [LP_OP_CONV2D] = lp_bind_conv2d,
    [LP_OP_POOL] = lp_bind_pool,
    [LP_OP_QUANTIZE] = lp_bind_quantize,
    [LP_OP_ONNXRUNTIME] = lp_bind_onnxruntime,
};

/* The activation's function; relu happens in a layer's store. */
static enum lp_code bind_activation(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                                    struct lp_error *err)
{
    enum lp_activation_kind kind;
    bool layer = op->kind == LP_OP_DENSE || op->kind == LP_OP_CONV2D;
    const struct lp_op *act = step->activation_op != LP_PLAN_NONE ? &plan->bundle->ops[step->activation_op] : op;
    if ((!layer && op->kind != LP_OP_ACTIVATION) || act->activation == LP_ACTIVATION_NONE) return LP_OK;
    if (layer && act->activation == LP_ACTIVATION_RELU) return LP_OK;
    if (act->activation == LP_ACTIVATION_PRELU && !layer) return LP_OK;
    if (!lp_activation_kernel_of(act, &kind, &step->alpha, &step->beta))
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "plan: op %u has an unknown activation", step->op);
    step->activation = lp_activation_select(plan->cpu, kind, &step->act_kernel);
    return LP_OK;
}

enum lp_code lp_plan_bind(struct lp_plan *plan, struct lp_plan_step *step, struct lp_error *err)
{
    const struct lp_op *op = &plan->bundle->ops[step->op];
    if ((size_t)op->kind >= LP_OP_COUNT || binds[op->kind] == NULL)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "plan: op %u is of no known kind", step->op);
    step->work = op->work;
    LP_TRY(bind_activation(plan, step, op, err));
    return binds[op->kind](plan, step, op, err);
}
