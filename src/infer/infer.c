/* One lane's buffers, and rows through the steps. */
#include "infer/infer.h"

#include "core/checked.h"
#include "core/denormals.h"
#include "infer/calibrate.h"
#include "infer/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TREE_MARGINS_MAX = 64 * 1024 };

struct lp_infer {
    const struct lp_plan *plan;
    uint32_t chunk_rows;
    float *arena;   /* [chunk_rows][row_floats]: each root's rows one after the other */
    float *margins; /* [chunk_rows][output_count], where the arena's are not side by side, or of trees */
    double *sums;   /* trees: [chunk_rows][output_count] */
    double *rows;   /* candidates: [chunk_rows][column_count] */
    void *scratch;  /* of the step that needs most */
    uint64_t step_rows;
};

static void *take(size_t count, size_t element_bytes, struct lp_error *err)
{
    size_t bytes;
    void *taken = NULL;
    if (!lp_checked_mul(count > 0 ? count : 1, element_bytes, &bytes) || lp_plan_align(bytes) == 0)
        (void)lp_failed(lp_fail(err, LP_E_LIMIT, LP_FATAL, "infer: the net is too large for one chunk of rows"));
    else if ((taken = aligned_alloc(LP_PLAN_ALIGN_BYTES, lp_plan_align(bytes))) == NULL)
        (void)lp_failed(lp_fail_memory(err, bytes));
    if (taken != NULL) memset(taken, 0, lp_plan_align(bytes));
    return taken;
}

static size_t scratch_bytes(const struct lp_infer *infer)
{
    const struct lp_plan *plan = infer->plan;
    size_t most = plan->trees != NULL ? lp_trees_scratch_bytes(plan->trees) : 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct lp_plan_step *step = &plan->steps[i];
        size_t bytes = step->scratch_bytes != NULL ? step->scratch_bytes(step, infer->chunk_rows) : 0;
        if (bytes > most) most = bytes;
    }
    return most;
}

/* Trees alone: margins in double, cut into chunks only where they would be large. */
static uint32_t tree_rows(const struct lp_plan *plan, uint32_t rows_max)
{
    size_t rows = TREE_MARGINS_MAX / plan->bundle->output_count;
    return rows < 1 ? 1 : rows < rows_max ? (uint32_t)rows : rows_max;
}

static enum lp_code take_buffers(struct lp_infer *infer, struct lp_error *err)
{
    const struct lp_plan *plan = infer->plan;
    size_t rows = infer->chunk_rows, outputs = rows * plan->bundle->output_count;
    bool apart = plan->trees != NULL || plan->margin.stride != plan->margin.width;
    size_t scratch = scratch_bytes(infer);
    if (rows > 0 && plan->row_floats > SIZE_MAX / rows)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "infer: the net is too large for one chunk of rows");
    infer->arena = take(rows * plan->row_floats, sizeof *infer->arena, err);
    if (infer->arena == NULL) return lp_failed(err->code);
    if (apart && (infer->margins = take(outputs, sizeof *infer->margins, err)) == NULL) return lp_failed(err->code);
    if (plan->trees != NULL && (infer->sums = take(outputs, sizeof *infer->sums, err)) == NULL)
        return lp_failed(err->code);
    if (plan->has_items && (infer->rows = take(rows * plan->bundle->column_count, sizeof *infer->rows, err)) == NULL)
        return lp_failed(err->code);
    if (scratch > 0 && (infer->scratch = take(scratch, 1, err)) == NULL) return lp_failed(err->code);
    return LP_OK;
}

enum lp_code lp_infer_new(const struct lp_plan *plan, uint32_t rows_max, struct lp_infer **ret_infer,
                          struct lp_error *err)
{
    if (rows_max == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "infer: rows_max is 0: allow at least one row");
    struct lp_infer *infer = calloc(1, sizeof *infer);
    if (infer == NULL) return lp_fail_memory(err, sizeof *infer);
    infer->plan = plan;
    infer->chunk_rows = plan->trees != NULL ? tree_rows(plan, rows_max) : lp_plan_chunk_rows(plan, rows_max);
    enum lp_code rc = take_buffers(infer, err);
    if (rc == LP_OK) *ret_infer = infer;
    else lp_infer_free(infer);
    return rc;
}

void lp_infer_free(struct lp_infer *infer)
{
    if (infer == NULL) return;
    free(infer->arena);
    free(infer->margins);
    free(infer->sums);
    free(infer->rows);
    free(infer->scratch);
    free(infer);
}

uint64_t lp_infer_step_rows(const struct lp_infer *infer) { return infer->step_rows; }

static void load_rows(const struct lp_plan *plan, const struct lp_frame *frame)
{
    if (plan->prefetch_count > 0) lp_plan_prefetch(plan, frame);
    if (!plan->reads_floats) return;
    plan->narrow(frame->rows, frame->row_count * frame->row_stride, lp_frame_at(frame, &plan->features));
}

/* Steps [first, end). */
static void run_steps(struct lp_infer *infer, const struct lp_frame *frame, uint32_t first, uint32_t end)
{
    const struct lp_plan *plan = infer->plan;
    uint32_t mode = lp_denormals_mode();
    bool flushes = false;
    for (uint32_t i = first; i < end; i++) {
        const struct lp_plan_step *step = &plan->steps[i];
        if (step->flush != flushes) lp_denormals_set(mode, flushes = step->flush);
        step->run(step, frame);
    }
    if (flushes) lp_denormals_set(mode, false);
    infer->step_rows += (uint64_t)(end - first) * frame->row_count;
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
    if (plan->bundle->calibration.count > 0) {
        lp_calibrate(&plan->bundle->calibration, margins, count, scores);
        return;
    }
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
    lp_trees_run(infer->plan->trees, rows, row_count, bundle->column_count, infer->sums, infer->scratch);
    float *out = margins != NULL ? margins : infer->margins;
    for (size_t i = 0; i < count; i++) out[i] = (float)infer->sums[i];
    apply_link(infer->plan, out, row_count, scores);
}

/* Margins side by side: the arena's own, or gathered. */
static const float *collect_margins(const struct lp_infer *infer, const struct lp_frame *frame)
{
    const struct lp_operand *at = &infer->plan->margin;
    const float *from = lp_frame_at(frame, at);
    if (at->stride == at->width) return from;
    for (uint32_t r = 0; r < frame->row_count; r++, from += at->stride)
        memcpy(infer->margins + (size_t)r * at->width, from, at->width * sizeof *from);
    return infer->margins;
}

static void finish_chunk(const struct lp_infer *infer, const struct lp_frame *frame, float *margins, float *scores)
{
    const float *output = collect_margins(infer, frame);
    size_t count = (size_t)frame->row_count * infer->plan->bundle->output_count;
    if (margins != NULL) memcpy(margins, output, count * sizeof *margins);
    apply_link(infer->plan, output, frame->row_count, scores);
}

static struct lp_frame frame_of(const struct lp_infer *infer, const double *rows, uint32_t row_count)
{
    return (struct lp_frame){.arena = infer->arena,
                             .chunk_rows = infer->chunk_rows,
                             .row_count = row_count,
                             .rows = rows,
                             .row_stride = infer->plan->bundle->column_count,
                             .scratch = infer->scratch};
}

static void run_chunk(struct lp_infer *infer, const double *rows, uint32_t row_count, float *margins, float *scores)
{
    const struct lp_plan *plan = infer->plan;
    if (plan->trees != NULL) {
        run_trees(infer, rows, row_count, margins, scores);
        return;
    }
    struct lp_frame frame = frame_of(infer, rows, row_count);
    load_rows(plan, &frame);
    run_steps(infer, &frame, 0, plan->step_count);
    finish_chunk(infer, &frame, margins, scores);
}

/* The next chunk's rows of those that are left. */
static uint32_t next_rows(const struct lp_infer *infer, uint32_t left)
{
    return left < infer->chunk_rows ? left : infer->chunk_rows;
}

void lp_infer_run(struct lp_infer *infer, const double *rows, uint32_t row_count, float *margins, float *scores)
{
    const struct lp_bundle *bundle = infer->plan->bundle;
    for (uint32_t done = 0, count; done < row_count; done += count) {
        size_t outputs = (size_t)done * bundle->output_count;
        count = next_rows(infer, row_count - done);
        run_chunk(infer, rows + (size_t)done * bundle->column_count, count, margins != NULL ? margins + outputs : NULL,
                  scores + outputs);
    }
}

/* Whole rows of candidates: the record's columns and their own. */
static void merge_rows(const struct lp_infer *infer, const double *record, const double *items, uint32_t count)
{
    const struct lp_plan *plan = infer->plan;
    uint32_t columns = plan->bundle->column_count;
    double *to = infer->rows;
    for (uint32_t r = 0; r < count; r++, items += columns, to += columns)
        for (uint32_t i = 0; i < columns; i++) to[i] = plan->item_columns[i] ? items[i] : record[i];
}

/* What was computed of the record's one row, for every row of a chunk. */
static void spread_crossings(const struct lp_plan *plan, const struct lp_frame *frame, uint32_t rows)
{
    for (uint32_t k = 0; k < plan->crossing_count; k++) {
        const struct lp_operand *at = &plan->crossings[k];
        float *first = lp_frame_at(frame, at);
        for (uint32_t r = 1; r < rows; r++) memcpy(first + r * at->stride, first, at->width * sizeof *first);
    }
}

/* Nothing is of a candidate: one row is computed and copied. */
static void repeat_record(struct lp_infer *infer, const double *record, uint32_t count, float *margins, float *scores)
{
    uint32_t outputs = infer->plan->bundle->output_count;
    if (count == 0) return;
    run_chunk(infer, record, 1, margins, scores);
    for (uint32_t r = 1; r < count; r++) {
        memcpy(scores + (size_t)r * outputs, scores, outputs * sizeof *scores);
        if (margins != NULL) memcpy(margins + (size_t)r * outputs, margins, outputs * sizeof *margins);
    }
}

void lp_infer_run_candidates(struct lp_infer *infer, const double *record, const double *items, uint32_t item_count,
                             float *margins, float *scores)
{
    const struct lp_plan *plan = infer->plan;
    if (!plan->has_items) {
        repeat_record(infer, record, item_count, margins, scores);
        return;
    }
    for (uint32_t done = 0, count; done < item_count; done += count) {
        size_t outputs = (size_t)done * plan->bundle->output_count;
        count = next_rows(infer, item_count - done);
        merge_rows(infer, record, items + (size_t)done * plan->bundle->column_count, count);
        if (plan->trees != NULL) {
            run_trees(infer, infer->rows, count, margins != NULL ? margins + outputs : NULL, scores + outputs);
            continue;
        }
        struct lp_frame frame = frame_of(infer, infer->rows, count);
        load_rows(plan, &frame);
        if (done == 0) {
            frame.row_count = 1;
            run_steps(infer, &frame, 0, plan->record_step_count);
            frame.row_count = count;
            spread_crossings(plan, &frame, count);
        }
        run_steps(infer, &frame, plan->record_step_count, plan->step_count);
        finish_chunk(infer, &frame, margins != NULL ? margins + outputs : NULL, scores + outputs);
    }
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void lp_infer_time(struct lp_infer *infer, const double *rows, uint32_t row_count, double *ret_ns)
{
    const struct lp_plan *plan = infer->plan;
    for (uint32_t i = 0; i < plan->step_count; i++) ret_ns[i] = 0;
    for (uint32_t done = 0, count; done < row_count; done += count) {
        count = next_rows(infer, row_count - done);
        struct lp_frame frame = frame_of(infer, rows + (size_t)done * plan->bundle->column_count, count);
        load_rows(plan, &frame);
        for (uint32_t i = 0; i < plan->step_count; i++) {
            double before = now_ns();
            run_steps(infer, &frame, i, i + 1);
            ret_ns[i] += now_ns() - before;
        }
    }
}
