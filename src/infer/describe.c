/* What a plan says of itself: a line a step, and the table of `inspect --plan`. */
#include "infer/plan.h"

#include "core/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX_BYTES = LP_BUNDLE_OPS_MAX * 2048, SHAPE_BYTES = 64 };

static const struct lp_op *activation_of(const struct lp_plan *plan, const struct lp_plan_step *step)
{
    return &plan->bundle->ops[step->activation_op != LP_PLAN_NONE ? step->activation_op : step->op];
}

static bool is_layer(const struct lp_op *op) { return op->kind == LP_OP_DENSE || op->kind == LP_OP_CONV2D; }

static const char *shape_text(const struct lp_shape *shape, char *buffer)
{
    int used = snprintf(buffer, SHAPE_BYTES, "[");
    for (uint32_t i = 0; i < shape->rank; i++)
        used += snprintf(buffer + used, SHAPE_BYTES - (size_t)used, "%s%u", i > 0 ? "," : "", shape->dims[i]);
    snprintf(buffer + used, SHAPE_BYTES - (size_t)used, "]");
    return buffer;
}

/* Layers by what they multiply. */
static const char *kind_name(const struct lp_op *op)
{
    if (op->kind != LP_OP_DENSE) return lp_op_name(op->kind);
    return op->weight->dtype == LP_DTYPE_I8 ? "dense_i8" : op->weight->dtype == LP_DTYPE_BF16 ? "dense_bf16" : "dense";
}

static void describe_dense(struct lp_buffer *text, const struct lp_op *op, const char *kernel)
{
    bool plain = op->weight->dtype == LP_DTYPE_F32 || op->weight->dtype == LP_DTYPE_F16;
    lp_buffer_format(text, "dense %s %ux%u %s%s%s", op->weight->name, op->in.dims[op->in.rank - 1],
                     op->shape.dims[op->shape.rank - 1],
                     plain                              ? ""
                     : op->weight->dtype == LP_DTYPE_I8 ? "int8 "
                                                        : "bf16 ",
                     kernel, op->weight->dtype == LP_DTYPE_I8 && op->input_scale == 0 ? " dynamic" : "");
}

static void describe_step(struct lp_buffer *text, const struct lp_plan *plan, const struct lp_plan_step *step)
{
    const struct lp_op *op = &plan->bundle->ops[step->op], *act = activation_of(plan, step);
    char from[SHAPE_BYTES], to[SHAPE_BYTES];
    if (op->kind == LP_OP_DENSE) describe_dense(text, op, step->kernel);
    else if (op->kind == LP_OP_ACTIVATION)
        lp_buffer_format(text, "activation %s %s", lp_activation_name(op->activation), step->kernel);
    else
        lp_buffer_format(text, "%s %s %s %s %s", lp_op_name(op->kind),
                         op->weight != NULL ? op->weight->name : op->output, shape_text(&op->in, from),
                         shape_text(&op->shape, to), step->kernel);
    if (is_layer(op) && act->activation != LP_ACTIVATION_NONE)
        lp_buffer_format(text, ", %s %s", lp_activation_name(act->activation),
                         step->act_kernel != NULL ? step->act_kernel : "fused");
    lp_buffer_text(text, "\n");
}

static void describe_link(struct lp_buffer *text, const struct lp_plan *plan)
{
    static const char *const names[] = {"identity copy",        "sigmoid",        "softmax",     "exp libm",
                                        "signed_square scalar", "log1p_exp libm", "hinge scalar"};
    const char *kernel = "";
    bool vector = plan->bundle->link == LP_LINK_SIGMOID || plan->bundle->link == LP_LINK_SOFTMAX;
    (void)lp_activation_select(plan->cpu, LP_ACT_SIGMOID, &kernel);
    lp_buffer_format(text, "link %s%s%s\n", names[plan->bundle->link], vector ? " " : "", vector ? kernel : "");
}

static void describe_trees(struct lp_buffer *text, const struct lp_plan *plan)
{
    const struct lp_trees *trees = plan->bundle->ops[0].trees;
    lp_buffer_format(text, "trees %s %u with %u nodes, %s\n",
                     trees->compare == LP_TREES_XGBOOST ? "xgboost" : "lightgbm", trees->tree_count, trees->node_count,
                     lp_trees_describe(plan->trees));
}

/* A multiply-add is two operations. */
static bool multiplies(enum lp_op_kind kind)
{
    return kind == LP_OP_DENSE || kind == LP_OP_CONV2D || kind == LP_OP_MATMUL;
}

void lp_plan_step(const struct lp_plan *plan, uint32_t i, struct lp_plan_step_info *ret_info)
{
    const struct lp_plan_step *step = &plan->steps[i];
    const struct lp_op *op = &plan->bundle->ops[step->op];
    size_t table = op->kind == LP_OP_EMBEDDING ? op->weight->count * lp_dtype_bytes(op->weight->dtype) : 0;
    *ret_info = (struct lp_plan_step_info){
        .op = kind_name(op),
        .name = op->weight != NULL ? op->weight->name : plan->bundle->ops[step->op].output,
        .kernel = step->kernel,
        .part = step->part,
        .flops = step->work * (multiplies(op->kind) ? 2 : 1),
        .weight_bytes = step->packed_bytes + table,
        .multiplies = multiplies(op->kind),
    };
}

static void write_row(struct lp_buffer *text, const struct lp_plan *plan, uint32_t i)
{
    static const char *const parts[] = {"record", "item", "both"};
    const struct lp_plan_step *step = &plan->steps[i];
    const struct lp_op *op = &plan->bundle->ops[step->op], *act = activation_of(plan, step);
    struct lp_plan_step_info info;
    char from[SHAPE_BYTES], to[SHAPE_BYTES];
    lp_plan_step(plan, i, &info);
    bool fused = is_layer(op) && act->activation != LP_ACTIVATION_NONE;
    const char *name = op->kind == LP_OP_ACTIVATION ? lp_activation_name(op->activation) : info.op;
    lp_buffer_format(text, "%4u  %-12s %-18s %-18s %-9s %-11s %7zu+%-6zu %8u %10.4f  %s%s%s\n", i + 1, name,
                     shape_text(&op->in, from), shape_text(&op->shape, to), step->kernel,
                     fused ? lp_activation_name(act->activation) : "-", step->output.offset * sizeof(float),
                     step->output.column * sizeof(float), step->output.width * (uint32_t)sizeof(float),
                     (double)info.flops / 1e6, plan->has_items ? parts[step->part] : "", plan->has_items ? "  " : "",
                     info.name);
}

static void write_table(struct lp_buffer *text, const struct lp_plan *plan)
{
    uint64_t flops = 0;
    if (plan->trees != NULL) {
        describe_trees(text, plan);
        return;
    }
    lp_buffer_format(text, "%4s  %-12s %-18s %-18s %-9s %-11s %14s %8s %10s  %s%s\n", "step", "op", "input", "output",
                     "kernel", "activation", "place+column", "bytes", "MFLOP", plan->has_items ? "part  " : "", "name");
    for (uint32_t i = 0; i < plan->step_count; i++) {
        struct lp_plan_step_info info;
        write_row(text, plan, i);
        lp_plan_step(plan, i, &info);
        flops += info.flops;
    }
    lp_buffer_format(text,
                     "a row: %zu bytes of arena (%zu without sharing), %.4f MFLOP; packed %zu bytes; places are bytes "
                     "a row of a chunk\n",
                     plan->row_floats * sizeof(float), plan->unshared_floats * sizeof(float), (double)flops / 1e6,
                     plan->packed_bytes);
    if (plan->has_items)
        lp_buffer_format(text, "%u of %u steps are computed once a record\n", plan->record_step_count,
                         plan->step_count);
}

static enum lp_code take(struct lp_plan *plan, struct lp_buffer *text, char **ret_text, struct lp_error *err)
{
    /* A line is far shorter than the limit allows each op: only memory can have run out. */
    *ret_text = text->failed ? NULL : strndup((const char *)text->data, text->size);
    size_t bytes = text->size + 1;
    lp_buffer_done(text);
    if (*ret_text == NULL) return lp_fail_memory(err, bytes);
    plan->bytes += bytes;
    return LP_OK;
}

enum lp_code lp_plan_write(struct lp_plan *plan, struct lp_error *err)
{
    struct lp_buffer text;
    lp_buffer_init(&text, TEXT_MAX_BYTES);
    if (plan->trees != NULL) describe_trees(&text, plan);
    for (uint32_t i = 0; i < plan->step_count; i++) describe_step(&text, plan, &plan->steps[i]);
    describe_link(&text, plan);
    LP_TRY(take(plan, &text, &plan->description, err));
    lp_buffer_init(&text, TEXT_MAX_BYTES);
    write_table(&text, plan);
    return take(plan, &text, &plan->table, err);
}
