/* Reductions over axes of a value. */
#include "infer/plan.h"

#include <math.h>
#include <string.h>

enum { LANES = 8, FLOAT_SUMS_MAX = 128 }; /* additions one after the other in float; more go through double */

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

/* Sums over axes that lie side by side, few enough for float: lanes of a run, or a run for each of many rows. */
static void sum_run(const float *x, uint32_t count, bool squares, float *y)
{
    float lanes[LANES] = {0}, all = 0;
    uint32_t k = 0;
    for (; k + LANES <= count; k += LANES)
        for (uint32_t l = 0; l < LANES; l++) lanes[l] += squares ? x[k + l] * x[k + l] : x[k + l];
    for (; k < count; k++) all += squares ? x[k] * x[k] : x[k];
    for (uint32_t half = LANES / 2; half > 0; half /= 2)
        for (uint32_t l = 0; l < half; l++) lanes[l] += lanes[l + half];
    *y = lanes[0] + all;
}

/* Columns in blocks that stay in registers. */
static void sum_rows(const float *restrict x, uint32_t count, uint32_t inner, bool squares, float *restrict y)
{
    uint32_t at = 0;
    for (; at + LANES <= inner; at += LANES) {
        float all[LANES] = {0};
        for (uint32_t k = 0; k < count; k++) {
            const float *from = x + (size_t)k * inner + at;
            for (uint32_t l = 0; l < LANES; l++) all[l] += squares ? from[l] * from[l] : from[l];
        }
        memcpy(y + at, all, sizeof all);
    }
    for (; at < inner; at++) {
        float all = 0;
        for (uint32_t k = 0; k < count; k++) {
            float value = x[(size_t)k * inner + at];
            all += squares ? value * value : value;
        }
        y[at] = all;
    }
}

static void run_sum(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_axis_loops *axis = &step->reduce.axis;
    enum lp_reduce function = step->reduce.function;
    bool squares = function == LP_REDUCE_L2 || function == LP_REDUCE_SUM_SQUARE;
    const float *x = lp_frame_at(frame, &step->inputs[0]);
    float *y = lp_frame_at(frame, &step->output);
    for (uint32_t r = 0; r < frame->row_count; r++, x += step->inputs[0].stride, y += step->output.stride) {
        for (uint32_t g = 0; g < axis->outer; g++) {
            const float *from = x + (size_t)g * axis->count * axis->inner;
            if (axis->inner == 1) sum_run(from, axis->count, squares, y + g);
            else sum_rows(from, axis->count, axis->inner, squares, y + (size_t)g * axis->inner);
        }
        for (uint32_t i = 0; i < step->output.width && function == LP_REDUCE_MEAN; i++) y[i] /= (float)axis->count;
        for (uint32_t i = 0; i < step->output.width && function == LP_REDUCE_L2; i++) y[i] = sqrtf(y[i]);
    }
}

/* The folded axes as one, where nothing kept lies between them; axes of one element are nothing. */
static bool find_sum(const struct lp_op *op, struct lp_axis_loops *ret_axis)
{
    struct lp_axis_loops axis = {1, 1, 1};
    for (uint32_t i = 0; i < op->in.rank; i++) {
        uint32_t dim = op->in.dims[i];
        bool folded = (op->axes >> i & 1) != 0;
        if (dim == 1) continue;
        if (folded && axis.inner > 1) return false;
        if (folded) axis.count *= dim;
        else if (axis.count > 1) axis.inner *= dim;
        else axis.outer *= dim;
    }
    *ret_axis = axis;
    bool sums = op->reduce == LP_REDUCE_SUM || op->reduce == LP_REDUCE_MEAN || op->reduce == LP_REDUCE_L2 ||
                op->reduce == LP_REDUCE_SUM_SQUARE;
    return sums && axis.count <= (axis.inner == 1 ? LANES * FLOAT_SUMS_MAX : FLOAT_SUMS_MAX);
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
    if (find_sum(op, &step->reduce.axis)) {
        step->run = run_sum;
        return LP_OK;
    }
    step->scratch_bytes = scratch_reduce;
    return LP_OK;
}
