/* Element-wise steps: activations, two operands that broadcast, imputation, fake quantization. */
#include "infer/plan.h"

#include <math.h>
#include <string.h>

static const enum lp_activation_kind activation_kinds[LP_ACTIVATION_COUNT] = {
    [LP_ACTIVATION_NONE] = LP_ACT_COUNT,
    [LP_ACTIVATION_RELU] = LP_ACT_RELU,
    [LP_ACTIVATION_LEAKY_RELU] = LP_ACT_LEAKY_RELU,
    [LP_ACTIVATION_ELU] = LP_ACT_ELU,
    [LP_ACTIVATION_TANH] = LP_ACT_TANH,
    [LP_ACTIVATION_SIGMOID] = LP_ACT_SIGMOID,
    [LP_ACTIVATION_GELU] = LP_ACT_GELU,
    [LP_ACTIVATION_GELU_TANH] = LP_ACT_GELU_TANH,
    [LP_ACTIVATION_SILU] = LP_ACT_SILU,
    [LP_ACTIVATION_SOFTPLUS] = LP_ACT_SOFTPLUS,
    [LP_ACTIVATION_SELU] = LP_ACT_SELU,
    [LP_ACTIVATION_CELU] = LP_ACT_CELU,
    [LP_ACTIVATION_PRELU] = LP_ACT_COUNT,
    [LP_ACTIVATION_SOFTSIGN] = LP_ACT_SOFTSIGN,
    [LP_ACTIVATION_HARD_SIGMOID] = LP_ACT_HARD_SIGMOID,
    [LP_ACTIVATION_HARD_SILU] = LP_ACT_HARD_SILU,
    [LP_ACTIVATION_MISH] = LP_ACT_MISH,
    [LP_ACTIVATION_THRESHOLDED_RELU] = LP_ACT_THRESHOLDED_RELU,
    [LP_ACTIVATION_CLIP] = LP_ACT_CLIP,
    [LP_ACTIVATION_EXP] = LP_ACT_EXP,
    [LP_ACTIVATION_LOG] = LP_ACT_LOG,
    [LP_ACTIVATION_SQRT] = LP_ACT_SQRT,
    [LP_ACTIVATION_ABS] = LP_ACT_ABS,
    [LP_ACTIVATION_NEG] = LP_ACT_NEG,
    [LP_ACTIVATION_RECIPROCAL] = LP_ACT_RECIPROCAL,
    [LP_ACTIVATION_ERF] = LP_ACT_ERF,
    [LP_ACTIVATION_FLOOR] = LP_ACT_FLOOR,
    [LP_ACTIVATION_CEIL] = LP_ACT_CEIL,
    [LP_ACTIVATION_ROUND] = LP_ACT_ROUND,
    [LP_ACTIVATION_SIGN] = LP_ACT_SIGN,
};

bool lp_activation_kernel_of(const struct lp_op *op, enum lp_activation_kind *ret_kind, float *ret_alpha,
                             float *ret_beta)
{
    if ((size_t)op->activation >= LP_ACTIVATION_COUNT || activation_kinds[op->activation] == LP_ACT_COUNT) return false;
    bool clip = op->activation == LP_ACTIVATION_CLIP;
    *ret_kind = activation_kinds[op->activation];
    *ret_alpha = (float)(clip ? op->low : op->alpha);
    *ret_beta = (float)(clip ? op->high : op->beta);
    return true;
}

bool lp_activation_is_smooth(enum lp_activation activation)
{
    switch (activation) {
    case LP_ACTIVATION_PRELU:
    case LP_ACTIVATION_LOG:
    case LP_ACTIVATION_SQRT:
    case LP_ACTIVATION_RECIPROCAL:
    case LP_ACTIVATION_FLOOR:
    case LP_ACTIVATION_CEIL:
    case LP_ACTIVATION_ROUND:
    case LP_ACTIVATION_SIGN: return false;
    default: return true;
    }
}

void lp_step_activate(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *at = &step->output;
    float *y = lp_frame_at(frame, at);
    if (at->stride == at->width) {
        step->activation(y, (size_t)frame->row_count * at->width, step->alpha, step->beta, y);
        return;
    }
    for (uint32_t r = 0; r < frame->row_count; r++, y += at->stride)
        step->activation(y, at->width, step->alpha, step->beta, y);
}

static bool side_by_side(const struct lp_operand *x, const struct lp_operand *y)
{
    return x->stride == x->width && y->stride == y->width && x->width == y->width;
}

static void run_activation(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *in = &step->inputs[0], *out = &step->output;
    const float *x = lp_frame_at(frame, in);
    float *y = lp_frame_at(frame, out);
    bool whole = side_by_side(in, out);
    uint32_t runs = whole ? 1 : frame->row_count;
    size_t count = whole ? (size_t)frame->row_count * in->width : in->width;
    for (uint32_t r = 0; r < runs; r++, x += in->stride, y += out->stride)
        step->activation(x, count, step->alpha, step->beta, y);
}

enum lp_code lp_bind_activation(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                                struct lp_error *err)
{
    (void)plan;
    if (op->activation == LP_ACTIVATION_PRELU) return lp_bind_prelu(plan, step, op, err);
    if (step->activation == NULL)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "plan: op %u has an unknown activation", step->op);
    step->run = run_activation;
    step->kernel = step->act_kernel;
    step->flush = lp_activation_is_smooth(op->activation);
    return LP_OK;
}

/* One row; a and b are its operands in the kernel's order. */
static void run_loops(const struct lp_plan_step *step, const float *a, const float *b, float *y)
{
    const struct lp_binary_loops *loops = &step->binary.loops;
    for (uint32_t i = 0; i < loops->counts[0]; i++)
        for (uint32_t j = 0; j < loops->counts[1]; j++)
            for (uint32_t k = 0; k < loops->counts[2]; k++, y += loops->inner)
                step->binary.run(a + i * loops->a_steps[0] + j * loops->a_steps[1] + k * loops->a_steps[2],
                                 loops->a_step,
                                 b + i * loops->b_steps[0] + j * loops->b_steps[1] + k * loops->b_steps[2],
                                 loops->b_step, loops->inner, y);
}

static void run_binary(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *first = &step->inputs[0];
    const float *x = lp_frame_at(frame, first), *z = step->binary.constant;
    size_t x_stride = first->stride, z_stride = 0;
    float *y = lp_frame_at(frame, &step->output);
    if (z == NULL) {
        z = lp_frame_at(frame, &step->inputs[1]);
        z_stride = step->inputs[1].stride;
    }
    const struct lp_binary_loops *loops = &step->binary.loops;
    if (loops->whole) {
        size_t count = (size_t)frame->row_count * step->output.width;
        if (step->binary.reverse) step->binary.run(z, loops->a_step, x, loops->b_step, count, y);
        else step->binary.run(x, loops->a_step, z, loops->b_step, count, y);
        return;
    }
    for (uint32_t r = 0; r < frame->row_count; r++, x += x_stride, z += z_stride, y += step->output.stride)
        run_loops(step, step->binary.reverse ? z : x, step->binary.reverse ? x : z, y);
}

/* Steps of an operand by the output's axes, 0 where it has one element for all of them. */
static void broadcast_steps(const struct lp_shape *operand, const struct lp_shape *out, size_t *ret_steps)
{
    size_t step = 1;
    for (uint32_t i = 0; i < out->rank; i++) {
        uint32_t dim = i < operand->rank ? operand->dims[operand->rank - 1 - i] : 1;
        ret_steps[out->rank - 1 - i] = dim > 1 ? step : 0;
        step *= dim;
    }
}

/* Axes merge where both operands go on as they began; what is left are loops around the innermost run. */
static void find_loops(const struct lp_shape *a, const struct lp_shape *b, const struct lp_shape *out,
                       struct lp_binary_loops *ret_loops)
{
    size_t a_steps[LP_VALUE_RANK_MAX], b_steps[LP_VALUE_RANK_MAX],
        kept_a[LP_VALUE_RANK_MAX] = {0}, kept_b[LP_VALUE_RANK_MAX] = {0}, counts[LP_VALUE_RANK_MAX];
    uint32_t kept = 0;
    broadcast_steps(a, out, a_steps);
    broadcast_steps(b, out, b_steps);
    for (uint32_t i = out->rank; i-- > 0;) { /* from the innermost */
        size_t count = out->dims[i];
        if (count == 1) continue;
        if (kept > 0 && a_steps[i] == kept_a[kept - 1] * counts[kept - 1] &&
            b_steps[i] == kept_b[kept - 1] * counts[kept - 1]) {
            counts[kept - 1] *= count;
            continue;
        }
        kept_a[kept] = a_steps[i];
        kept_b[kept] = b_steps[i];
        counts[kept++] = count;
    }
    *ret_loops = (struct lp_binary_loops){.counts = {1, 1, 1}, .inner = 1};
    if (kept == 0) return;
    ret_loops->inner = counts[0];
    ret_loops->a_step = kept_a[0];
    ret_loops->b_step = kept_b[0];
    for (uint32_t i = 1; i < kept; i++) {
        ret_loops->counts[3 - i] = (uint32_t)counts[i];
        ret_loops->a_steps[3 - i] = kept_a[i];
        ret_loops->b_steps[3 - i] = kept_b[i];
    }
}

static struct lp_shape constant_shape(const struct lp_tensor *constant)
{
    struct lp_shape shape = {.rank = constant->rank > 0 ? constant->rank : 1, .dims = {1}};
    for (uint32_t i = 0; i < constant->rank; i++) shape.dims[i] = (uint32_t)constant->dims[i];
    return shape;
}

/* One run over all rows: operands as wide as the output side by side, or a constant of one element. */
static void find_whole(struct lp_plan_step *step, const struct lp_op *op)
{
    struct lp_binary_loops *loops = &step->binary.loops;
    const struct lp_operand *y = &step->output;
    bool x_fits = side_by_side(&step->inputs[0], y);
    bool z_fits = step->binary.constant != NULL ? op->constant->count == 1 : side_by_side(&step->inputs[1], y);
    if (!x_fits || !z_fits || y->stride != y->width) return;
    size_t z_step = step->binary.constant != NULL ? 0 : 1;
    loops->whole = true;
    loops->a_step = step->binary.reverse ? z_step : 1;
    loops->b_step = step->binary.reverse ? 1 : z_step;
}

static void bind_operands(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                          enum lp_binary_kind kind)
{
    struct lp_shape other;
    step->run = run_binary;
    step->binary.run = lp_binary_select(plan->cpu, kind, &step->kernel);
    if (op->constant != NULL) {
        other = constant_shape(op->constant);
        step->binary.constant = op->constant->data;
        step->binary.reverse = op->reverse;
    } else {
        uint32_t value = op->inputs[1];
        other = value > 0 ? plan->bundle->ops[value - 1].shape : (struct lp_shape){1, {plan->bundle->column_count}};
    }
    if (step->binary.reverse) find_loops(&other, &op->in, &op->shape, &step->binary.loops);
    else find_loops(&op->in, &other, &op->shape, &step->binary.loops);
    find_whole(step, op);
}

enum lp_code lp_bind_binary(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                            struct lp_error *err)
{
    static const enum lp_binary_kind kinds[LP_OP_COUNT] = {
        [LP_OP_ADD] = LP_BINARY_ADD, [LP_OP_SUB] = LP_BINARY_SUB, [LP_OP_MUL] = LP_BINARY_MUL,
        [LP_OP_DIV] = LP_BINARY_DIV, [LP_OP_MIN] = LP_BINARY_MIN, [LP_OP_MAX] = LP_BINARY_MAX,
        [LP_OP_POW] = LP_BINARY_POW};
    (void)err;
    bind_operands(plan, step, op, kinds[op->kind]);
    return LP_OK;
}

enum lp_code lp_bind_prelu(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                           struct lp_error *err)
{
    (void)err;
    bind_operands(plan, step, op, LP_BINARY_PRELU);
    return LP_OK;
}

static void run_impute(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const float *x = lp_frame_at(frame, &step->inputs[0]), *filler = step->packed;
    float *y = lp_frame_at(frame, &step->output), missing = step->impute.missing;
    bool nan = isnan(missing);
    for (uint32_t r = 0; r < frame->row_count; r++, x += step->inputs[0].stride, y += step->output.stride)
        for (uint32_t i = 0; i < step->output.width; i++)
            y[i] = (nan ? isnan(x[i]) : x[i] == missing) ? filler[i] : x[i];
}

/* The constant, once for each element. */
static enum lp_code pack_impute(struct lp_plan_step *step, const struct lp_op *op, void *to, struct lp_error *err)
{
    struct lp_shape constant = constant_shape(op->constant);
    size_t steps[LP_VALUE_RANK_MAX];
    uint32_t at[LP_VALUE_RANK_MAX] = {0};
    float *filler = to;
    (void)err;
    broadcast_steps(&constant, &op->shape, steps);
    for (uint32_t i = 0; i < op->out_width; i++) {
        size_t offset = 0;
        for (uint32_t axis = 0; axis < op->shape.rank; axis++) offset += at[axis] * steps[axis];
        filler[i] = ((const float *)op->constant->data)[offset];
        for (uint32_t axis = op->shape.rank; axis-- > 0 && ++at[axis] == op->shape.dims[axis];) at[axis] = 0;
    }
    step->packed = to;
    return LP_OK;
}

enum lp_code lp_bind_impute(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                            struct lp_error *err)
{
    (void)plan;
    (void)err;
    step->run = run_impute;
    step->kernel = "c";
    step->impute.missing = (float)op->filler;
    step->packed_bytes = (size_t)op->out_width * sizeof(float);
    step->pack = pack_impute;
    return LP_OK;
}

/* The bounds are whole, so that they may come before the rounding; NaN passes all four. */
static void run_quantize(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    bool whole = step->inputs[0].stride == step->output.width && step->output.stride == step->output.width;
    size_t count = whole ? (size_t)frame->row_count * step->output.width : step->output.width;
    for (uint32_t r = 0; r < (whole ? 1 : frame->row_count); r++) {
        step->quantize.divide(x, 1, &step->quantize.quantum, 0, count, y);
        step->quantize.clip(y, count, step->quantize.low, step->quantize.high, y);
        step->quantize.round(y, count, 0.0f, 0.0f, y);
        step->quantize.multiply(y, 1, &step->quantize.quantum, 0, count, y);
        x += step->inputs[0].stride;
        y += step->output.stride;
    }
}

enum lp_code lp_bind_quantize(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                              struct lp_error *err)
{
    (void)err;
    step->run = run_quantize;
    step->quantize.quantum = (float)op->quantum;
    step->quantize.low = (float)(op->low - op->zero);
    step->quantize.high = (float)(op->high - op->zero);
    step->quantize.divide = lp_binary_select(plan->cpu, LP_BINARY_DIV, &step->kernel);
    step->quantize.multiply = lp_binary_select(plan->cpu, LP_BINARY_MUL, NULL);
    step->quantize.clip = lp_activation_select(plan->cpu, LP_ACT_CLIP, NULL);
    step->quantize.round = lp_activation_select(plan->cpu, LP_ACT_ROUND, NULL);
    return LP_OK;
}
