/* Dense layers in float, int8 and bfloat16, and products of two values. */
#include "infer/plan.h"

#include <stdlib.h>
#include <string.h>

static struct lp_layer_rows rows_of(const struct lp_plan_step *step, uint32_t in, uint32_t out)
{
    const struct lp_operand *x = &step->inputs[0], *y = &step->output;
    uint32_t groups = x->width / in;
    bool touch = x->stride == x->width && y->stride == (size_t)groups * out;
    return (struct lp_layer_rows){.groups = groups, .together = groups == 1 || touch};
}

static void run_f32(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_dense_layer *layer = &step->dense.layer;
    const struct lp_layer_rows *rows = &step->dense.rows;
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    if (rows->together) step->dense.kernel->run(layer, x, frame->row_count * rows->groups, y);
    for (uint32_t r = 0; r < frame->row_count && !rows->together; r++)
        step->dense.kernel->run(layer, x + r * step->inputs[0].stride, rows->groups, y + r * step->output.stride);
    if (step->activation != NULL) lp_step_activate(step, frame);
}

static void run_f32_doubles(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    step->dense.kernel->run_doubles(&step->dense.layer, frame->rows + step->inputs[0].column, frame->row_count,
                                    lp_frame_at(frame, &step->output));
    if (step->activation != NULL) lp_step_activate(step, frame);
}

bool lp_dense_reads_doubles(const struct lp_plan *plan, const struct lp_op *op)
{
    bool floats = op->weight != NULL && (op->weight->dtype == LP_DTYPE_F32 || op->weight->dtype == LP_DTYPE_F16);
    return floats && op->in.rank == 1 && op->out_width >= 2 && op->out_width <= LP_DENSE_DOUBLES_OUT_MAX &&
           lp_dense_select(plan->cpu)->run_doubles != NULL;
}

static void run_i8(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_dense_i8_layer *layer = &step->dense_i8.layer;
    const struct lp_layer_rows *rows = &step->dense_i8.rows;
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    if (rows->together) step->dense_i8.kernel->run(layer, x, frame->row_count * rows->groups, y, frame->scratch);
    for (uint32_t r = 0; r < frame->row_count && !rows->together; r++)
        step->dense_i8.kernel->run(layer, x + r * step->inputs[0].stride, rows->groups, y + r * step->output.stride,
                                   frame->scratch);
    if (step->activation != NULL) lp_step_activate(step, frame);
}

static void run_bf16(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_dense_bf16_layer *layer = &step->dense_bf16.layer;
    const struct lp_layer_rows *rows = &step->dense_bf16.rows;
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    if (rows->together) step->dense_bf16.kernel->run(layer, x, frame->row_count * rows->groups, y, frame->scratch);
    for (uint32_t r = 0; r < frame->row_count && !rows->together; r++)
        step->dense_bf16.kernel->run(layer, x + r * step->inputs[0].stride, rows->groups, y + r * step->output.stride,
                                     frame->scratch);
    if (step->activation != NULL) lp_step_activate(step, frame);
}

static const float *bias_of(const struct lp_op *op) { return op->bias != NULL ? op->bias->data : NULL; }

enum lp_code lp_step_weight(const struct lp_op *op, const float **ret_weight, float **ret_owned, struct lp_error *err)
{
    *ret_owned = NULL;
    *ret_weight = op->weight->data;
    if (op->weight->dtype == LP_DTYPE_F32) return LP_OK;
    size_t bytes = (size_t)op->weight->count * sizeof **ret_owned;
    *ret_owned = malloc(bytes);
    if (*ret_owned == NULL) return lp_fail_memory(err, bytes);
    lp_tensor_widen(op->weight, *ret_owned);
    *ret_weight = *ret_owned;
    return LP_OK;
}

static enum lp_code pack_f32(struct lp_plan_step *step, const struct lp_op *op, void *to, struct lp_error *err)
{
    const float *weight;
    float *owned;
    LP_TRY(lp_step_weight(op, &weight, &owned, err));
    step->dense.kernel->pack(weight, bias_of(op), step->dense.layer.in_width, step->dense.layer.out_width, to);
    step->dense.layer.packed = to;
    free(owned);
    return LP_OK;
}

static enum lp_code pack_i8(struct lp_plan_step *step, const struct lp_op *op, void *to, struct lp_error *err)
{
    (void)err;
    step->dense_i8.kernel->pack(op->weight->data, op->scale->data, (uint32_t)op->scale->count, bias_of(op),
                                step->dense_i8.layer.in_width, step->dense_i8.layer.out_width, to);
    step->dense_i8.layer.packed = to;
    return LP_OK;
}

static enum lp_code pack_bf16(struct lp_plan_step *step, const struct lp_op *op, void *to, struct lp_error *err)
{
    (void)err;
    step->dense_bf16.kernel->pack(op->weight->data, bias_of(op), step->dense_bf16.layer.in_width,
                                  step->dense_bf16.layer.out_width, to);
    step->dense_bf16.layer.packed = to;
    return LP_OK;
}

/* The rows of one call: a row of values may be several of the layer. */
static uint32_t call_rows(const struct lp_plan_step *step, uint32_t in, uint32_t row_count)
{
    return row_count * (step->inputs[0].width / in);
}

static size_t scratch_i8(const struct lp_plan_step *step, uint32_t row_count)
{
    uint32_t in = step->dense_i8.layer.in_width;
    return step->dense_i8.kernel->scratch_bytes(in, call_rows(step, in, row_count));
}

static size_t scratch_bf16(const struct lp_plan_step *step, uint32_t row_count)
{
    uint32_t in = step->dense_bf16.layer.in_width;
    return step->dense_bf16.kernel->scratch_bytes(in, call_rows(step, in, row_count));
}

/* Floats from a layer's row to its next: those of the value for one layer row a row, else side by side (0). */
static size_t stride_of(const struct lp_operand *operand, bool single) { return single ? operand->stride : 0; }

static void bind_f32(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op, uint32_t in, uint32_t out,
                     bool relu)
{
    bool single = step->inputs[0].width == in;
    bool doubles = step->inputs[0].of_features && lp_dense_reads_doubles(plan, op);
    step->run = doubles ? run_f32_doubles : run_f32;
    step->dense.kernel = lp_dense_select(plan->cpu);
    step->kernel = step->dense.kernel->name;
    step->dense.rows = rows_of(step, in, out);
    step->dense.layer = (struct lp_dense_layer){.in_width = in,
                                                .out_width = out,
                                                .x_stride = stride_of(&step->inputs[0], single),
                                                .y_stride = stride_of(&step->output, single),
                                                .relu = relu};
    if (doubles) step->dense.layer.x_stride = plan->bundle->column_count;
    size_t floats = step->dense.kernel->packed_floats(in, out);
    step->packed_bytes = floats < SIZE_MAX / sizeof(float) ? floats * sizeof(float) : 0;
    step->pack = pack_f32;
}

static void bind_i8(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op, uint32_t in, uint32_t out,
                    bool relu)
{
    bool single = step->inputs[0].width == in;
    step->run = run_i8;
    step->dense_i8.kernel = lp_dense_i8_select(plan->cpu);
    step->kernel = step->dense_i8.kernel->name;
    step->dense_i8.rows = rows_of(step, in, out);
    step->dense_i8.layer = (struct lp_dense_i8_layer){.in_width = in,
                                                      .out_width = out,
                                                      .x_stride = stride_of(&step->inputs[0], single),
                                                      .y_stride = stride_of(&step->output, single),
                                                      .relu = relu,
                                                      .dynamic = op->input_scale == 0,
                                                      .input_scale = (float)op->input_scale,
                                                      .input_zero_point = op->input_zero};
    step->packed_bytes = step->dense_i8.kernel->packed_bytes(in, out);
    step->pack = pack_i8;
    step->scratch_bytes = scratch_i8;
}

static void bind_bf16(struct lp_plan *plan, struct lp_plan_step *step, uint32_t in, uint32_t out, bool relu)
{
    bool single = step->inputs[0].width == in;
    step->run = run_bf16;
    step->dense_bf16.kernel = lp_dense_bf16_select(plan->cpu);
    step->kernel = step->dense_bf16.kernel->name;
    step->dense_bf16.rows = rows_of(step, in, out);
    step->dense_bf16.layer = (struct lp_dense_bf16_layer){.in_width = in,
                                                          .out_width = out,
                                                          .x_stride = stride_of(&step->inputs[0], single),
                                                          .y_stride = stride_of(&step->output, single),
                                                          .relu = relu};
    step->packed_bytes = step->dense_bf16.kernel->packed_bytes(in, out);
    step->pack = pack_bf16;
    step->scratch_bytes = scratch_bf16;
}

static enum lp_code check_layer(const struct lp_plan_step *step, const struct lp_op *op, struct lp_error *err)
{
    const struct lp_tensor *weight = op->weight;
    uint32_t in = op->in.dims[op->in.rank - 1], out = op->shape.dims[op->shape.rank - 1];
    if (weight == NULL || weight->count != (uint64_t)in * out || (op->bias != NULL && op->bias->count != out) ||
        (op->bias != NULL && op->bias->dtype != LP_DTYPE_F32) ||
        (uint64_t)op->in_width / in != (uint64_t)op->out_width / out)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u: weight or bias do not have its shape %u x %u",
                       step->op, in, out);
    return LP_OK;
}

enum lp_code lp_bind_dense(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                           struct lp_error *err)
{
    uint32_t in = op->in.dims[op->in.rank - 1], out = op->shape.dims[op->shape.rank - 1];
    const struct lp_op *act = step->activation_op != LP_PLAN_NONE ? &plan->bundle->ops[step->activation_op] : op;
    bool relu = act->activation == LP_ACTIVATION_RELU;
    LP_TRY(check_layer(step, op, err));
    step->flush = true;
    switch (op->weight->dtype) {
    case LP_DTYPE_F32:
    case LP_DTYPE_F16: bind_f32(plan, step, op, in, out, relu); break;
    case LP_DTYPE_I8: bind_i8(plan, step, op, in, out, relu); break;
    case LP_DTYPE_BF16: bind_bf16(plan, step, in, out, relu); break;
    default:
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u: its weight is %s", step->op,
                       lp_dtype_name(op->weight->dtype));
    }
    if (step->packed_bytes == 0)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "plan: op %u: the layer is too large", step->op);
    return LP_OK;
}

static void run_matmul(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const float *a = lp_frame_at(frame, &step->inputs[0]), *b = lp_frame_at(frame, &step->inputs[1]);
    float *y = lp_frame_at(frame, &step->output);
    for (uint32_t i = 0; i < step->matmul.counts[0]; i++)
        for (uint32_t j = 0; j < step->matmul.counts[1]; j++)
            step->matmul.run(&step->matmul.shape, a + i * step->matmul.a_steps[0] + j * step->matmul.a_steps[1],
                             b + i * step->matmul.b_steps[0] + j * step->matmul.b_steps[1], frame->row_count,
                             y + i * step->matmul.y_steps[0] + j * step->matmul.y_steps[1]);
}

/* Steps along the two axes before a matrix, 0 where a value has one element for all. */
static void leading_steps(const struct lp_shape *shape, size_t matrix, size_t ret_steps[2])
{
    uint32_t rank = shape->rank, near = rank > 2 ? shape->dims[rank - 3] : 1, far = rank > 3 ? shape->dims[0] : 1;
    ret_steps[1] = near > 1 ? matrix : 0;
    ret_steps[0] = far > 1 ? matrix * near : 0;
}

static struct lp_shape shape_of(const struct lp_plan *plan, uint32_t value)
{
    if (value > 0) return plan->bundle->ops[value - 1].shape;
    return (struct lp_shape){.rank = 1, .dims = {plan->bundle->column_count}};
}

enum lp_code lp_bind_matmul(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                            struct lp_error *err)
{
    const struct lp_shape *a = &op->in, *y = &op->shape;
    struct lp_shape b = shape_of(plan, op->inputs[1]);
    uint32_t m = y->dims[y->rank - 2], n = y->dims[y->rank - 1], k = a->dims[a->rank - 1];
    const struct lp_matmul_kernel *kernel = lp_matmul_select(plan->cpu);
    (void)err;
    step->run = run_matmul;
    step->kernel = kernel->name;
    step->flush = true;
    step->matmul.run = kernel->run;
    step->matmul.shape = (struct lp_matmul){.m = m,
                                            .k = k,
                                            .n = n,
                                            .transpose_b = op->transpose,
                                            .a_stride = step->inputs[0].stride,
                                            .b_stride = step->inputs[1].stride,
                                            .y_stride = step->output.stride};
    step->matmul.counts[0] = y->rank > 3 ? y->dims[0] : 1;
    step->matmul.counts[1] = y->rank > 2 ? y->dims[y->rank - 3] : 1;
    leading_steps(a, (size_t)m * k, step->matmul.a_steps);
    leading_steps(&b, (size_t)k * n, step->matmul.b_steps);
    leading_steps(y, (size_t)m * n, step->matmul.y_steps);
    return LP_OK;
}
