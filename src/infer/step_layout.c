/* Steps that move elements: what could not become a view. */
#include "infer/plan.h"

#include <string.h>

static void copy(float *to, const float *from, size_t count)
{
    if (count == 1) *to = *from;
    else memcpy(to, from, count * sizeof *to);
}

/* Parts that were written in place are where they belong already. */
static void run_concat(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    uint32_t outer = step->pick.axis.outer;
    size_t block = step->output.width / outer, column = 0;
    for (uint32_t k = 0; k < step->input_count; k++) {
        const struct lp_operand *part = &step->inputs[k];
        const float *x = lp_frame_at(frame, part);
        float *y = lp_frame_at(frame, &step->output) + column;
        size_t run = part->width / outer;
        column += run;
        if (x == y) continue;
        for (uint32_t r = 0; r < frame->row_count; r++, x += part->stride, y += step->output.stride)
            for (uint32_t i = 0; i < outer; i++) copy(y + i * block, x + i * run, run);
    }
}

enum lp_code lp_bind_concat(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                            struct lp_error *err)
{
    (void)plan;
    (void)err;
    step->run = run_concat;
    step->kernel = "copy";
    step->pick.axis.outer = (uint32_t)lp_shape_before(&op->shape, op->axis);
    return LP_OK;
}

static struct lp_axis_loops loops_of(const struct lp_op *op)
{
    return (struct lp_axis_loops){.outer = (uint32_t)lp_shape_before(&op->in, op->axis),
                                  .count = op->in.dims[op->axis],
                                  .inner = (uint32_t)lp_shape_after(&op->in, op->axis)};
}

static void run_slice(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_axis_loops *axis = &step->pick.axis;
    uint32_t kept = step->output.width / (axis->outer * axis->inner);
    size_t inner = axis->inner, block = axis->count * inner;
    const float *x = lp_frame_at(frame, &step->inputs[0]) + step->pick.start * inner;
    float *y = lp_frame_at(frame, &step->output);
    for (uint32_t r = 0; r < frame->row_count; r++, x += step->inputs[0].stride, y += step->output.stride) {
        float *to = y;
        for (uint32_t i = 0; i < axis->outer; i++)
            for (uint32_t k = 0; k < kept; k++, to += inner)
                copy(to, x + i * block + (size_t)k * step->pick.step * inner, inner);
    }
}

/* What neighbours in a step of 1 are is one run. */
enum lp_code lp_bind_slice(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                           struct lp_error *err)
{
    (void)plan;
    (void)err;
    step->run = run_slice;
    step->kernel = "copy";
    step->pick.axis = loops_of(op);
    step->pick.start = op->start;
    step->pick.step = op->step;
    return LP_OK;
}

static void run_gather(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_axis_loops *axis = &step->pick.axis;
    const uint32_t *indices = step->packed;
    uint32_t kept = step->output.width / (axis->outer * axis->inner);
    size_t inner = axis->inner, block = axis->count * inner;
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    for (uint32_t r = 0; r < frame->row_count; r++, x += step->inputs[0].stride, y += step->output.stride) {
        float *to = y;
        for (uint32_t i = 0; i < axis->outer; i++)
            for (uint32_t k = 0; k < kept; k++, to += inner) copy(to, x + i * block + indices[k] * inner, inner);
    }
}

static enum lp_code pack_gather(struct lp_plan_step *step, const struct lp_op *op, void *to, struct lp_error *err)
{
    uint32_t *indices = to;
    (void)err;
    for (uint64_t i = 0; i < op->indices->count; i++)
        indices[i] = op->indices->dtype == LP_DTYPE_I64 ? (uint32_t)((const int64_t *)op->indices->data)[i]
                                                        : (uint32_t)((const int32_t *)op->indices->data)[i];
    step->packed = to;
    return LP_OK;
}

enum lp_code lp_bind_gather(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                            struct lp_error *err)
{
    (void)plan;
    (void)err;
    step->run = run_gather;
    step->kernel = "copy";
    step->pick.axis = loops_of(op);
    step->packed_bytes = (size_t)op->indices->count * sizeof(uint32_t);
    step->pack = pack_gather;
    return LP_OK;
}

static void transpose_row(const struct lp_plan_step *step, const float *x, float *y)
{
    const uint32_t *n = step->transpose.counts;
    const size_t *s = step->transpose.steps;
    for (uint32_t i = 0; i < n[0]; i++)
        for (uint32_t j = 0; j < n[1]; j++)
            for (uint32_t k = 0; k < n[2]; k++) {
                const float *from = x + i * s[0] + j * s[1] + k * s[2];
                for (uint32_t l = 0; l < n[3]; l++) *y++ = from[l * s[3]];
            }
}

static void run_transpose(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    for (uint32_t r = 0; r < frame->row_count; r++, x += step->inputs[0].stride, y += step->output.stride)
        transpose_row(step, x, y);
}

enum lp_code lp_bind_transpose(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                               struct lp_error *err)
{
    uint32_t skipped = LP_VALUE_RANK_MAX - op->in.rank;
    (void)plan;
    (void)err;
    step->run = run_transpose;
    step->kernel = "copy";
    for (uint32_t i = 0; i < LP_VALUE_RANK_MAX; i++) step->transpose.counts[i] = 1;
    for (uint32_t i = 0; i < op->in.rank; i++) {
        step->transpose.counts[skipped + i] = op->shape.dims[i];
        step->transpose.steps[skipped + i] = (size_t)lp_shape_after(&op->in, op->perm[i]);
    }
    return LP_OK;
}
