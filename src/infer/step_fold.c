/* Steps that divide by what folding an axis gives. */
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
