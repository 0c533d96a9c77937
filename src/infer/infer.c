/* One lane's buffers, and rows through the steps. */
#include "infer/infer.h"

#include "core/checked.h"
#include "infer/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { BUFFER_ALIGN_FLOATS = 16, SCRATCH_ALIGN = 64, TREE_MARGINS_MAX = 64 * 1024 };

struct lp_infer {
    const struct lp_plan *plan;
    uint32_t chunk_rows;
    float *buffers[LP_PLAN_BUFFERS]; /* each [chunk_rows][width] inside `values` */
    float *values;
    double *margins; /* trees: [chunk_rows][output_count] */
    void *scratch;   /* trees */
};

static size_t buffer_floats(const struct lp_infer *infer, uint32_t buffer)
{
    size_t floats = (size_t)infer->chunk_rows * infer->plan->buffer_widths[buffer];
    return (floats + BUFFER_ALIGN_FLOATS - 1) / BUFFER_ALIGN_FLOATS * BUFFER_ALIGN_FLOATS;
}

static enum lp_code take_buffers(struct lp_infer *infer, struct lp_error *err)
{
    size_t total = 0, bytes;
    for (uint32_t i = 0; i < LP_PLAN_BUFFERS; i++) {
        if (!lp_checked_add(total, buffer_floats(infer, i), &total))
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "infer: the net is too large for one chunk of rows");
    }
    if (!lp_checked_mul(total, sizeof(float), &bytes))
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "infer: the net is too large for one chunk of rows");
    infer->values = aligned_alloc(BUFFER_ALIGN_FLOATS * sizeof(float), bytes);
    if (infer->values == NULL) return lp_fail_memory(err, bytes);
    memset(infer->values, 0, bytes);
    float *at = infer->values;
    for (uint32_t i = 0; i < LP_PLAN_BUFFERS; at += buffer_floats(infer, i), i++) infer->buffers[i] = at;
    return LP_OK;
}

/* Margins in double, cut into chunks only where they would be large, and the kernel's scratch. */
static enum lp_code take_tree_buffers(struct lp_infer *infer, uint32_t rows_max, struct lp_error *err)
{
    const struct lp_plan *plan = infer->plan;
    size_t width = plan->bundle->output_count, rows = TREE_MARGINS_MAX / width;
    infer->chunk_rows = rows < 1 ? 1 : rows < rows_max ? (uint32_t)rows : rows_max;
    size_t bytes = infer->chunk_rows * width * sizeof *infer->margins;
    size_t scratch = (lp_trees_scratch_bytes(plan->trees) + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
    infer->margins = malloc(bytes);
    infer->values = malloc(bytes);
    infer->scratch = aligned_alloc(SCRATCH_ALIGN, scratch);
    if (infer->margins == NULL || infer->values == NULL || infer->scratch == NULL)
        return lp_fail_memory(err, 2 * bytes + scratch);
    return LP_OK;
}

enum lp_code lp_infer_new(const struct lp_plan *plan, uint32_t rows_max, struct lp_infer **ret_infer,
                          struct lp_error *err)
{
    if (rows_max == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "infer: rows_max is 0: allow at least one row");
    struct lp_infer *infer = calloc(1, sizeof *infer);
    if (infer == NULL) return lp_fail_memory(err, sizeof *infer);
    infer->plan = plan;
    infer->chunk_rows = lp_plan_chunk_rows(plan, rows_max);
    enum lp_code rc = plan->trees != NULL ? take_tree_buffers(infer, rows_max, err) : take_buffers(infer, err);
    if (rc == LP_OK) *ret_infer = infer;
    else lp_infer_free(infer);
    return rc;
}

void lp_infer_free(struct lp_infer *infer)
{
    if (infer == NULL) return;
    free(infer->values);
    free(infer->margins);
    free(infer->scratch);
    free(infer);
}

#if defined(__x86_64__)
/* Flush denormal results to zero, read denormal inputs as zero: they cost a dense layer ten times its time. */
enum { FLUSH_DENORMALS = 0x8040 };
static uint32_t flush_denormals(void)
{
    uint32_t before = _mm_getcsr();
    _mm_setcsr(before | FLUSH_DENORMALS);
    return before;
}
static void restore_denormals(uint32_t before) { _mm_setcsr(before); }
#else
static uint32_t flush_denormals(void) { return 0; }
static void restore_denormals(uint32_t before) { (void)before; }
#endif

static void to_float(const double *restrict from, size_t count, float *restrict to)
{
    for (size_t i = 0; i < count; i++) to[i] = (float)from[i];
}

static void run_step(const struct lp_infer *infer, const struct lp_plan_step *step, uint32_t row_count)
{
    const float *input = infer->buffers[step->input];
    float *output = infer->buffers[step->output];
    if (step->dense != NULL) {
        step->dense->run(&step->layer, input, row_count, output);
        input = output;
    }
    if (step->activation != NULL) step->activation(input, (size_t)row_count * step->out_width, step->alpha, 0.0f, output);
}

static void link_plainly(enum lp_link link, const float *margins, size_t count, float *scores)
{
    for (size_t i = 0; i < count; i++) {
        float x = margins[i];
        if (link == LP_LINK_EXP) scores[i] = expf(x);
        else if (link == LP_LINK_SIGNED_SQUARE) scores[i] = x < 0 ? -x * x : x * x;
        else if (link == LP_LINK_LOG1P_EXP) scores[i] = x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
        else scores[i] = x > 0 ? 1.0f : isnan(x) ? x : 0.0f;
    }
}

static void apply_link(const struct lp_plan *plan, const float *margins, uint32_t row_count, float *scores)
{
    uint32_t width = plan->bundle->output_count;
    size_t count = (size_t)row_count * width;
    float scale = (float)plan->bundle->link_scale;
    switch (plan->bundle->link) {
    case LP_LINK_IDENTITY: memcpy(scores, margins, count * sizeof *scores); break;
    case LP_LINK_SIGMOID:
        if (scale > 0 && scale != 1) { /* 0: a bundle that was not read from a file */
            for (size_t i = 0; i < count; i++) scores[i] = margins[i] * scale;
            margins = scores;
        }
        plan->sigmoid(margins, count, 0.0f, 0.0f, scores);
        break;
    case LP_LINK_SOFTMAX: plan->softmax(margins, row_count, width, scores); break;
    case LP_LINK_EXP:
    case LP_LINK_SIGNED_SQUARE:
    case LP_LINK_LOG1P_EXP:
    case LP_LINK_HINGE: link_plainly(plan->bundle->link, margins, count, scores); break;
    }
}

/* Denormals decide branches: they are not flushed here. */
static void run_trees(const struct lp_infer *infer, const double *rows, uint32_t row_count, float *margins,
                      float *scores)
{
    const struct lp_bundle *bundle = infer->plan->bundle;
    size_t count = (size_t)row_count * bundle->output_count;
    lp_trees_run(infer->plan->trees, rows, row_count, bundle->column_count, infer->margins, infer->scratch);
    float *out = margins != NULL ? margins : infer->values;
    for (size_t i = 0; i < count; i++) out[i] = (float)infer->margins[i];
    apply_link(infer->plan, out, row_count, scores);
}

static void run_chunk(const struct lp_infer *infer, const double *rows, uint32_t row_count, float *margins,
                      float *scores)
{
    const struct lp_plan *plan = infer->plan;
    if (plan->trees != NULL) {
        run_trees(infer, rows, row_count, margins, scores);
        return;
    }
    to_float(rows, (size_t)row_count * plan->bundle->column_count, infer->buffers[0]);
    uint32_t before = flush_denormals();
    for (uint32_t i = 0; i < plan->step_count; i++) run_step(infer, &plan->steps[i], row_count);
    restore_denormals(before);
    const float *output = infer->buffers[plan->output];
    if (margins != NULL) memcpy(margins, output, (size_t)row_count * plan->bundle->output_count * sizeof *margins);
    apply_link(plan, output, row_count, scores);
}

void lp_infer_run(struct lp_infer *infer, const double *rows, uint32_t row_count, float *margins, float *scores)
{
    const struct lp_bundle *bundle = infer->plan->bundle;
    for (uint32_t done = 0; done < row_count;) {
        uint32_t count = row_count - done < infer->chunk_rows ? row_count - done : infer->chunk_rows;
        size_t outputs = (size_t)done * bundle->output_count;
        run_chunk(infer, rows + (size_t)done * bundle->column_count, count, margins != NULL ? margins + outputs : NULL,
                  scores + outputs);
        done += count;
    }
}
