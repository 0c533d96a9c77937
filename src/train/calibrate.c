#include "train/calibrate.h"

#include <math.h>
#include <stdlib.h>

struct sums {
    double value, gradient_a, gradient_b, aa, ab, bb;
};

static double weight_of(const struct lp_metrics_rows *rows, uint32_t r)
{
    return rows->weight != NULL ? (double)rows->weight[r] : 1;
}

static struct sums add_up(const struct lp_metrics_rows *rows, double high, double low, double a, double b)
{
    struct sums s = {.aa = 1e-12, .bb = 1e-12};
    for (uint32_t r = 0; r < rows->rows; r++) {
        double f = (double)rows->margins[r], w = weight_of(rows, r), t = rows->y[r] > 0.5f ? high : low;
        double z = a * f + b, p = lp_train_sigmoid(z), d = w * (p - t), h = w * p * (1 - p);
        s.value += w * (fmax(z, 0) + log1p(exp(-fabs(z))) - t * z);
        s.gradient_a += d * f;
        s.gradient_b += d;
        s.aa += h * f * f;
        s.ab += h * f;
        s.bb += h;
    }
    return s;
}

enum lp_code lp_platt_fit(const struct lp_metrics_rows *rows, double *ret_a, double *ret_b, struct lp_error *err)
{
    enum { STEPS = 100, HALVINGS = 40 };
    double ones = 0, zeros = 0, a = 1, b = 0;
    for (uint32_t r = 0; r < rows->rows; r++) *(rows->y[r] > 0.5f ? &ones : &zeros) += weight_of(rows, r);
    if (!(ones > 0) || !(zeros > 0))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "the validation part has one class: there is nothing to calibrate on");
    double high = (ones + 1) / (ones + 2), low = 1 / (zeros + 2);
    struct sums s = add_up(rows, high, low, a, b);
    for (int i = 0; i < STEPS && fabs(s.gradient_a) + fabs(s.gradient_b) > 1e-9 * (ones + zeros); i++) {
        double det = s.aa * s.bb - s.ab * s.ab;
        double da = -(s.bb * s.gradient_a - s.ab * s.gradient_b) / det;
        double db = -(s.aa * s.gradient_b - s.ab * s.gradient_a) / det, step = 1;
        int halvings = 0;
        struct sums next = add_up(rows, high, low, a + da, b + db);
        for (; !(next.value < s.value) && halvings < HALVINGS; halvings++) {
            step /= 2;
            next = add_up(rows, high, low, a + step * da, b + step * db);
        }
        if (halvings == HALVINGS) break;
        a += step * da;
        b += step * db;
        s = next;
    }
    if (!(a > 0) || !isfinite(b))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "the scores do not rise with the labels: calibration would turn them");
    *ret_a = a;
    *ret_b = b;
    return LP_OK;
}

/* A step: rows of neighbouring margins with one score. */
struct block {
    double first, last, weight, ones;
};

/* Rows of one margin begin a block; a block that is not above the one before it joins it. */
static uint32_t pool(const struct lp_metrics_rows *rows, const uint32_t *order, struct block *blocks)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint32_t r = order[i];
        double margin = (double)rows->margins[r], w = weight_of(rows, r), one = rows->y[r] > 0.5f ? w : 0;
        bool tied = count > 0 && blocks[count - 1].last == margin;
        if (!tied) blocks[count++] = (struct block){margin, margin, 0, 0};
        blocks[count - 1].weight += w;
        blocks[count - 1].ones += one;
        bool whole = i + 1 == rows->rows || rows->margins[order[i + 1]] != rows->margins[r];
        while (whole && count > 1) {
            struct block *low = &blocks[count - 2], *high = &blocks[count - 1];
            if (low->ones * high->weight < high->ones * low->weight) break;
            *low = (struct block){low->first, high->last, low->weight + high->weight, low->ones + high->ones};
            count--;
        }
    }
    return count;
}

static uint32_t put_points(const struct block *blocks, uint32_t count, double edge, double *margins, double *scores)
{
    uint32_t points = 0, most = LP_ISOTONIC_POINTS_MAX / 2, kept = count < most ? count : most;
    for (uint32_t i = 0; i < kept; i++) {
        const struct block *b = &blocks[kept > 1 ? (uint64_t)i * (count - 1) / (kept - 1) : 0];
        double score = fmin(fmax(b->ones / b->weight, edge), 1 - edge);
        margins[points] = b->first;
        scores[points++] = score;
        if (!(b->last > b->first)) continue;
        margins[points] = b->last;
        scores[points++] = score;
    }
    return points;
}

enum lp_code lp_isotonic_fit(const struct lp_metrics_rows *rows, double *ret_margins, double *ret_scores,
                             uint32_t *ret_count, struct lp_error *err)
{
    uint32_t *order = lp_metrics_order(rows->margins, rows->rows), count = 0;
    struct block *blocks = calloc((size_t)rows->rows + 1, sizeof *blocks);
    enum lp_code rc = LP_OK;
    if (order == NULL || blocks == NULL) rc = lp_fail_memory(err, rows->rows * sizeof *blocks);
    else count = pool(rows, order, blocks);
    if (rc == LP_OK && count < 2)
        rc =
            lp_fail(err, LP_E_INVALID, LP_FATAL,
                    "the validation part has one class, or its labels do not rise with the scores: there is nothing to "
                    "calibrate on");
    if (rc == LP_OK) *ret_count = put_points(blocks, count, 1.0 / (rows->rows + 2.0), ret_margins, ret_scores);
    free(order);
    free(blocks);
    return rc;
}
