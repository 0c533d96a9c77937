/* A step that another library computes. */
#include "infer/plan.h"

static void run_onnxruntime(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    lp_onnxruntime_run(step->onnxruntime.session, frame->rows, frame->row_stride, frame->row_count,
                       lp_frame_at(frame, &step->output), step->output.stride, frame->scratch);
}

static size_t scratch_onnxruntime(const struct lp_plan_step *step, uint32_t row_count)
{
    return lp_onnxruntime_scratch_bytes(step->onnxruntime.session, row_count);
}

enum lp_code lp_bind_onnxruntime(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                                 struct lp_error *err)
{
    const struct lp_span bytes = lp_span_of(op->weight->data, op->weight->count);
    LP_TRY(lp_onnxruntime_new(op->foreign, bytes, op->out_width, &step->onnxruntime.session, err));
    plan->bytes += bytes.size; /* what the library holds it does not say: at least the weights */
    step->run = run_onnxruntime;
    step->kernel = "onnxruntime";
    step->scratch_bytes = scratch_onnxruntime;
    return LP_OK;
}
