/*
 * From a graph of named values to steps. Every op reads one value, so what leads to the margin is a chain: it is walked
 * back from the last op, other ops are dropped, and two buffers in turn hold all values.
 */
#include "infer/plan.h"

#include <string.h>

/* The op whose output op i reads, or LP_PLAN_NO_OP for the features. A name used again means its latest value. */
static enum lp_code find_input(const struct lp_bundle *bundle, uint32_t i, uint32_t *ret_op, struct lp_error *err)
{
    const char *name = bundle->ops[i].input;
    for (uint32_t before = i; before-- > 0;) {
        if (strcmp(bundle->ops[before].output, name) != 0) continue;
        *ret_op = before;
        return LP_OK;
    }
    if (strcmp(name, "features") != 0)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u reads %s, which no op before it makes", i, name);
    *ret_op = LP_PLAN_NO_OP;
    return LP_OK;
}

static enum lp_code check_dense(const struct lp_op *op, uint32_t i, struct lp_error *err)
{
    if (op->weight == NULL || op->weight->dtype != LP_DTYPE_F32 ||
        op->weight->count != (uint64_t)op->in_width * op->out_width ||
        (op->bias != NULL && (op->bias->dtype != LP_DTYPE_F32 || op->bias->count != op->out_width)))
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u: weight or bias do not have its shape %u x %u", i,
                       op->in_width, op->out_width);
    return LP_OK;
}

static enum lp_code check_op(const struct lp_bundle *bundle, uint32_t i, uint32_t input, struct lp_error *err)
{
    const struct lp_op *op = &bundle->ops[i];
    uint32_t width = input == LP_PLAN_NO_OP ? bundle->column_count : bundle->ops[input].out_width;
    if (op->in_width == 0 || op->out_width == 0 || width != op->in_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u wants %u values, %s has %u", i, op->in_width,
                       op->input, width);
    if (op->kind == LP_OP_DENSE) return check_dense(op, i, err);
    if (op->kind != LP_OP_ACTIVATION || op->activation > LP_ACTIVATION_SOFTPLUS)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "plan: op %u is not in this release", i);
    if (op->in_width != op->out_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                       "plan: op %u: an activation keeps the width, this one goes from %u to %u", i, op->in_width,
                       op->out_width);
    return LP_OK;
}

/* The chain's ops, from the features to the margin, one step each, written from the end of steps backwards. */
static enum lp_code walk_back(struct lp_plan *plan, uint32_t *ret_first, struct lp_error *err)
{
    const struct lp_bundle *bundle = plan->bundle;
    uint32_t first = bundle->op_count, op = bundle->op_count - 1;
    while (op != LP_PLAN_NO_OP) {
        uint32_t input;
        LP_TRY(find_input(bundle, op, &input, err));
        LP_TRY(check_op(bundle, op, input, err));
        plan->steps[--first] = (struct lp_plan_step){.op = op, .activation_op = LP_PLAN_NO_OP};
        op = input;
    }
    *ret_first = first;
    return LP_OK;
}

/* An activation right behind a dense layer that has none of its own belongs to the layer's step. */
static bool joins(const struct lp_bundle *bundle, const struct lp_plan_step *before, const struct lp_op *op)
{
    return op->kind == LP_OP_ACTIVATION && bundle->ops[before->op].kind == LP_OP_DENSE &&
           bundle->ops[before->op].activation == LP_ACTIVATION_NONE && before->activation_op == LP_PLAN_NO_OP;
}

static void place_steps(struct lp_plan *plan, uint32_t first)
{
    const struct lp_bundle *bundle = plan->bundle;
    uint32_t buffer = 0;
    for (uint32_t i = first; i < bundle->op_count; i++) {
        struct lp_plan_step step = plan->steps[i];
        const struct lp_op *op = &bundle->ops[step.op];
        if (plan->step_count > 0 && joins(bundle, &plan->steps[plan->step_count - 1], op)) {
            plan->steps[plan->step_count - 1].activation_op = step.op;
            continue;
        }
        step.input = buffer;
        if (op->kind == LP_OP_DENSE) buffer = 1 - buffer;
        step.output = buffer;
        if (plan->buffer_widths[buffer] < op->out_width) plan->buffer_widths[buffer] = op->out_width;
        plan->steps[plan->step_count++] = step;
    }
    plan->output = buffer;
}

enum lp_code lp_plan_schedule(struct lp_plan *plan, struct lp_error *err)
{
    const struct lp_bundle *bundle = plan->bundle;
    uint32_t first;
    if (bundle->op_count == 0 || bundle->ops[bundle->op_count - 1].out_width != bundle->output_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: the graph does not end in %u margins",
                       bundle->output_count);
    LP_TRY(walk_back(plan, &first, err));
    plan->buffer_widths[0] = bundle->column_count;
    place_steps(plan, first);
    return LP_OK;
}
