/* Steps that fold axes, or divide by what folding them gives. */
#include "infer/plan.h"

#include <math.h>
#include <string.h>

static void run_softmax_last(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *in = &step->inputs[0], *out = &step->output;
    const struct lp_axis_loops *axis = &step->softmax.axis;
    const float *x = lp_frame_at(frame, in);
    float *y = lp_frame_at(frame, out);
    if (in->stride == in->width && out->stride == out->width) {
        step->softmax.run(x, frame->row_count * axis->outer, axis->count, y);
        return;
    }
    for (uint32_t r = 0; r < frame->row_count; r++, x += in->stride, y += out->stride)
        step->softmax.run(x, axis->outer, axis->count, y);
}

/* An axis that others follow: each of its lines goes through the scratch. */
static void run_softmax_strided(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_axis_loops *axis = &step->softmax.axis;
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output), *line = frame->scratch;
    for (uint32_t r = 0; r < frame->row_count; r++, x += step->inputs[0].stride, y += step->output.stride)
        for (uint32_t i = 0; i < axis->outer * axis->inner; i++) {
            size_t at = (size_t)(i / axis->inner) * axis->count * axis->inner + i % axis->inner;
            for (uint32_t k = 0; k < axis->count; k++) line[k] = x[at + (size_t)k * axis->inner];
            step->softmax.run(line, 1, axis->count, line);
            for (uint32_t k = 0; k < axis->count; k++) y[at + (size_t)k * axis->inner] = line[k];
        }
}

static size_t scratch_softmax(const struct lp_plan_step *step, uint32_t row_count)
{
    (void)row_count;
    return step->softmax.axis.count * sizeof(float);
}

enum lp_code lp_bind_softmax(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                             struct lp_error *err)
{
    const struct lp_activation_kernel *best = NULL;
    (void)err;
    step->softmax.axis = (struct lp_axis_loops){.outer = (uint32_t)lp_shape_before(&op->in, op->axis),
                                                .count = op->in.dims[op->axis],
                                                .inner = (uint32_t)lp_shape_after(&op->in, op->axis)};
    step->softmax.run = op->kind == LP_OP_SOFTMAX ? lp_softmax_select(plan->cpu) : lp_log_softmax_select(plan->cpu);
    lp_activation_kernels(plan->cpu, &best, 1);
    step->kernel = best->name;
    step->run = step->softmax.axis.inner == 1 ? run_softmax_last : run_softmax_strided;
    if (step->softmax.axis.inner > 1) step->scratch_bytes = scratch_softmax;
    return LP_OK;
}

static void run_norm(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *in = &step->inputs[0], *out = &step->output;
    const float *x = lp_frame_at(frame, in);
    float *y = lp_frame_at(frame, out);
    if (in->stride == in->width && out->stride == out->width) {
        step->norm.run(&step->norm.shape, x, frame->row_count * step->norm.count, y);
        return;
    }
    for (uint32_t r = 0; r < frame->row_count; r++, x += in->stride, y += out->stride)
        step->norm.run(&step->norm.shape, x, step->norm.count, y);
}

enum lp_code lp_bind_norm(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op, struct lp_error *err)
{
    const struct lp_norm_kernel *kernel = lp_norm_select(plan->cpu);
    uint32_t groups = (uint32_t)lp_shape_before(&op->in, op->axis);
    (void)err;
    step->run = run_norm;
    step->kernel = kernel->name;
    step->norm.run = kernel->run;
    step->norm.count = groups;
    step->norm.shape = (struct lp_norm){.width = op->in_width / groups,
                                        .weight = op->weight != NULL ? op->weight->data : NULL,
                                        .bias = op->bias != NULL ? op->bias->data : NULL,
                                        .epsilon = (float)op->epsilon};
    return LP_OK;
}

/* Sums in double: a value may have a million elements. */
static double begin_of(enum lp_reduce function)
{
    switch (function) {
    case LP_REDUCE_PROD: return 1;
    case LP_REDUCE_MAX:
    case LP_REDUCE_LOG_SUM_EXP: return (double)-INFINITY;
    case LP_REDUCE_MIN: return (double)INFINITY;
    default: return 0;
    }
}

static double fold(enum lp_reduce function, double all, double x)
{
    switch (function) {
    case LP_REDUCE_SUM:
    case LP_REDUCE_MEAN: return all + x;
    case LP_REDUCE_MAX:
    case LP_REDUCE_LOG_SUM_EXP: return x > all || isnan(x) ? x : all; /* its first pass: the maximum */
    case LP_REDUCE_MIN: return x < all || isnan(x) ? x : all;
    case LP_REDUCE_PROD: return all * x;
    case LP_REDUCE_L1: return all + fabs(x);
    case LP_REDUCE_L2:
    case LP_REDUCE_SUM_SQUARE: return all + x * x;
    }
    return all;
}

static float end_of(enum lp_reduce function, double all, uint32_t folded)
{
    if (function == LP_REDUCE_MEAN) all /= folded;
    if (function == LP_REDUCE_L2) all = sqrt(all);
    return (float)all;
}

/* Every element of a row into the one it folds to: all[place] = op(all[place], x). */
#define EACH(step, x, statement)                                                              \
    do {                                                                                      \
        const uint32_t *n = (step)->reduce.counts, *s = (step)->reduce.y_steps;               \
        const float *from = (x);                                                              \
        for (uint32_t i0 = 0; i0 < n[0]; i0++)                                                \
            for (uint32_t i1 = 0; i1 < n[1]; i1++)                                            \
                for (uint32_t i2 = 0; i2 < n[2]; i2++) {                                      \
                    size_t place = (size_t)i0 * s[0] + (size_t)i1 * s[1] + (size_t)i2 * s[2]; \
                    for (uint32_t i3 = 0; i3 < n[3]; i3++, place += s[3]) {                   \
                        double value = (double)*from++;                                       \
                        statement;                                                            \
                    }                                                                         \
                }                                                                             \
    } while (0)

/* log(sum(exp(x - max))) + max; an infinite maximum is the answer. */
static void finish_log_sum_exp(const struct lp_plan_step *step, const float *x, const double *max, double *sum,
                               float *y)
{
    uint32_t width = step->output.width;
    for (uint32_t i = 0; i < width; i++) sum[i] = 0;
    EACH(step, x, sum[place] += isinf(max[place]) ? 0 : exp(value - max[place]));
    for (uint32_t i = 0; i < width; i++) y[i] = (float)(isinf(max[i]) ? max[i] : max[i] + log(sum[i]));
}

static void run_reduce(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    enum lp_reduce function = step->reduce.function;
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    uint32_t width = step->output.width;
    double *all = frame->scratch;
    for (uint32_t r = 0; r < frame->row_count; r++, x += step->inputs[0].stride, y += step->output.stride) {
        for (uint32_t i = 0; i < width; i++) all[i] = begin_of(function);
        if (function == LP_REDUCE_SUM || function == LP_REDUCE_MEAN) EACH(step, x, all[place] += value);
        else EACH(step, x, all[place] = fold(function, all[place], value));
        if (function == LP_REDUCE_LOG_SUM_EXP) finish_log_sum_exp(step, x, all, all + width, y);
        else
            for (uint32_t i = 0; i < width; i++) y[i] = end_of(function, all[i], step->reduce.folded);
    }
}

static size_t scratch_reduce(const struct lp_plan_step *step, uint32_t row_count)
{
    (void)row_count;
    return 2 * (size_t)step->output.width * sizeof(double);
}

enum lp_code lp_bind_reduce(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                            struct lp_error *err)
{
    uint32_t y_step = 1, skipped = LP_VALUE_RANK_MAX - op->in.rank;
    (void)plan;
    (void)err;
    step->run = run_reduce;
    step->kernel = "c";
    step->reduce.function = op->reduce;
    step->reduce.folded = op->in_width / op->out_width;
    for (uint32_t i = 0; i < LP_VALUE_RANK_MAX; i++) step->reduce.counts[i] = 1;
    for (uint32_t i = op->in.rank; i-- > 0;) {
        bool folded = (op->axes >> i & 1) != 0;
        step->reduce.counts[skipped + i] = op->in.dims[i];
        step->reduce.y_steps[skipped + i] = folded ? 0 : y_step;
        if (!folded) y_step *= op->in.dims[i];
    }
    step->scratch_bytes = scratch_reduce;
    return LP_OK;
}

/* ai.onnx.ml.Normalizer: max is the largest value, not the largest magnitude; nothing is divided by 0. */
static float unit_of(enum lp_unit unit, const float *x, uint32_t count)
{
    double all = unit == LP_UNIT_MAX ? (double)-INFINITY : 0;
    for (uint32_t i = 0; i < count; i++) {
        double value = (double)x[i];
        if (unit == LP_UNIT_MAX) all = value > all || isnan(value) ? value : all;
        else all += unit == LP_UNIT_L1 ? fabs(value) : value * value;
    }
    if (unit == LP_UNIT_L2) all = sqrt(all);
    return all == 0 ? 1.0f : (float)all;
}

static void run_unit(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    uint32_t count = step->unit.count;
    for (uint32_t r = 0; r < frame->row_count; r++, x += step->inputs[0].stride, y += step->output.stride)
        for (uint32_t g = 0; g < step->unit.outer; g++) {
            float by = unit_of(step->unit.norm, x + (size_t)g * count, count);
            for (uint32_t i = 0; i < count; i++) y[(size_t)g * count + i] = x[(size_t)g * count + i] / by;
        }
}

enum lp_code lp_bind_unit(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op, struct lp_error *err)
{
    uint32_t last = op->in.rank - 1;
    (void)plan;
    (void)err;
    step->run = run_unit;
    step->kernel = "c";
    step->unit.outer = (uint32_t)lp_shape_before(&op->in, last);
    step->unit.count = op->in.dims[last];
    step->unit.norm = op->unit;
    return LP_OK;
}
