/* Convolution and pooling. */
#include "infer/plan.h"

#include <stdlib.h>

static void run_conv2d(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    step->conv2d.kernel->run(&step->conv2d.shape, lp_frame_at(frame, &step->inputs[0]), frame->row_count,
                             lp_frame_at(frame, &step->output), frame->scratch);
    if (step->activation != NULL) lp_step_activate(step, frame);
}

static enum lp_code pack_conv2d(struct lp_plan_step *step, const struct lp_op *op, void *to, struct lp_error *err)
{
    const float *weight;
    float *owned;
    LP_TRY(lp_step_weight(op, &weight, &owned, err));
    step->conv2d.kernel->pack(&step->conv2d.shape, weight, op->bias != NULL ? op->bias->data : NULL, to);
    step->conv2d.shape.packed = to;
    free(owned);
    return LP_OK;
}

static size_t scratch_conv2d(const struct lp_plan_step *step, uint32_t row_count)
{
    (void)row_count;
    return step->conv2d.kernel->scratch_bytes(&step->conv2d.shape);
}

enum lp_code lp_bind_conv2d(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                            struct lp_error *err)
{
    const struct lp_op *act = step->activation_op != LP_PLAN_NONE ? &plan->bundle->ops[step->activation_op] : op;
    const struct lp_window *window = &op->window;
    step->run = run_conv2d;
    step->flush = true;
    step->conv2d.kernel = lp_conv2d_select(plan->cpu);
    step->kernel = step->conv2d.kernel->name;
    step->conv2d.shape = (struct lp_conv2d){.channels = op->in.dims[0],
                                            .height = op->in.dims[1],
                                            .width = op->in.dims[2],
                                            .out_channels = op->shape.dims[0],
                                            .out_height = op->shape.dims[1],
                                            .out_width = op->shape.dims[2],
                                            .kernel = {window->kernel[0], window->kernel[1]},
                                            .strides = {window->strides[0], window->strides[1]},
                                            .dilations = {window->dilations[0], window->dilations[1]},
                                            .pad_top = window->pads[0],
                                            .pad_left = window->pads[1],
                                            .group = window->group,
                                            .x_stride = step->inputs[0].stride,
                                            .y_stride = step->output.stride,
                                            .relu = act->activation == LP_ACTIVATION_RELU};
    size_t floats = step->conv2d.kernel->packed_floats(&step->conv2d.shape);
    if (floats == 0 || floats > SIZE_MAX / sizeof(float) / 4)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "plan: op %u: the convolution is too large", step->op);
    step->packed_bytes = floats * sizeof(float);
    step->pack = pack_conv2d;
    step->scratch_bytes = scratch_conv2d;
    return LP_OK;
}

static void run_pool(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    step->pool.run(&step->pool.shape, lp_frame_at(frame, &step->inputs[0]), frame->row_count,
                   lp_frame_at(frame, &step->output));
}

enum lp_code lp_bind_pool(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op, struct lp_error *err)
{
    const struct lp_pool2d_kernel *kernel = lp_pool2d_select(plan->cpu);
    const struct lp_window *window = &op->window;
    (void)err;
    step->run = run_pool;
    step->kernel = kernel->name;
    step->pool.run = kernel->run;
    step->pool.shape = (struct lp_pool2d){.channels = op->in.dims[0],
                                          .height = op->in.dims[1],
                                          .width = op->in.dims[2],
                                          .out_height = op->shape.dims[1],
                                          .out_width = op->shape.dims[2],
                                          .kernel = {window->kernel[0], window->kernel[1]},
                                          .strides = {window->strides[0], window->strides[1]},
                                          .dilations = {window->dilations[0], window->dilations[1]},
                                          .pads = {window->pads[0], window->pads[1], window->pads[2], window->pads[3]},
                                          .average = window->average,
                                          .count_pad = window->count_pad,
                                          .x_stride = step->inputs[0].stride,
                                          .y_stride = step->output.stride};
    return LP_OK;
}
