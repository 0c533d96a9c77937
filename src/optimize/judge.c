#include "optimize/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES_MIN = 200, RESAMPLES_MAX = 1000, RESAMPLED_ROWS = 4000000, MEASURES = 3 };

static int by_score(const void *a, const void *b, void *context)
{
    const float *scores = context;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    if (scores[i] != scores[k]) return scores[i] < scores[k] ? -1 : 1;
    return i < k ? -1 : i > k;
}

static double log_loss(double p)
{
    const double edge = 0x1p-52;
    return -log(fmin(fmax(p, edge), 1 - edge));
}

static void judge_row(const struct lp_bundle *bundle, const float *scores, double y, struct lp_judged *j, uint32_t r)
{
    uint32_t outputs = bundle->output_count, best = 0;
    double sum = 0;
    if (bundle->task == LP_TASK_BINARY) {
        double p = (double)scores[0];
        j->loss[r] = log_loss(y == 1 ? p : 1 - p);
        j->right[r] = (p >= bundle->threshold) == (y == 1);
    } else if (bundle->task == LP_TASK_MULTICLASS) {
        for (uint32_t o = 0; o < outputs; o++) {
            sum += (double)scores[o];
            if (scores[o] > scores[best]) best = o;
        }
        /* Sigmoids beside each other are no distribution until they are divided by their sum. */
        j->loss[r] = log_loss(sum > 0 ? (double)scores[(uint32_t)y] / sum : 0);
        j->right[r] = best == (uint32_t)y;
    } else {
        j->loss[r] = ((double)scores[0] - y) * ((double)scores[0] - y);
    }
}

/* Each row as often as `times` says; NULL: once. */
static struct lp_quality measure(const struct lp_judged *j, const double *y, uint32_t rows, bool regression,
                                 const uint16_t *times)
{
    double loss = 0, right = 0, all = 0;
    for (uint32_t r = 0; r < rows; r++) {
        double weight = times != NULL ? times[r] : 1;
        loss += weight * j->loss[r];
        right += weight * j->right[r];
        all += weight;
    }
    struct lp_quality quality = {regression ? sqrt(loss / all) : loss / all, NAN, regression ? NAN : right / all};
    if (j->order == NULL) return quality;
    double below = 0, ones = 0, zeros = 0, group_ones = 0, group_zeros = 0;
    for (uint32_t i = 0; i <= rows; i++) {
        if (i == rows || !j->equal[i]) {
            below += group_ones * (zeros + group_zeros / 2);
            ones += group_ones;
            zeros += group_zeros;
            group_ones = group_zeros = 0;
        }
        if (i == rows) break;
        uint32_t r = j->order[i];
        double weight = times != NULL ? times[r] : 1;
        if (y[r] == 1) group_ones += weight;
        else group_zeros += weight;
    }
    if (ones > 0 && zeros > 0) quality.auc = below / (ones * zeros);
    return quality;
}

enum lp_code lp_judge(const struct lp_bundle *bundle, const float *scores, const double *y, uint32_t rows,
                      struct lp_judged *ret_judged, struct lp_error *err)
{
    bool binary = bundle->task == LP_TASK_BINARY;
    for (size_t i = 0; i < (size_t)rows * bundle->output_count; i++)
        if (!isfinite(scores[i]))
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "row %zu scores %g", i / bundle->output_count + 1,
                           (double)scores[i]);
    struct lp_judged j = {.loss = calloc((size_t)rows + 1, sizeof *j.loss),
                          .right = calloc((size_t)rows + 1, 1),
                          .order = binary ? calloc((size_t)rows + 1, sizeof *j.order) : NULL,
                          .equal = binary ? calloc((size_t)rows + 1, 1) : NULL};
    if (j.loss == NULL || j.right == NULL || (binary && (j.order == NULL || j.equal == NULL))) {
        lp_judged_done(&j);
        return lp_fail_memory(err, rows * sizeof *j.loss);
    }
    for (uint32_t r = 0; r < rows; r++) judge_row(bundle, scores + (size_t)r * bundle->output_count, y[r], &j, r);
    for (uint32_t r = 0; binary && r < rows; r++) j.order[r] = r;
    if (binary) qsort_r(j.order, rows, sizeof *j.order, by_score, (void *)(uintptr_t)scores);
    for (uint32_t i = 1; binary && i < rows; i++) j.equal[i] = scores[j.order[i]] == scores[j.order[i - 1]];
    j.quality = measure(&j, y, rows, bundle->task == LP_TASK_REGRESSION, NULL);
    *ret_judged = j;
    return LP_OK;
}

void lp_judged_done(struct lp_judged *judged)
{
    free(judged->loss);
    free(judged->right);
    free(judged->order);
    free(judged->equal);
    *judged = (struct lp_judged){.loss = NULL};
}

/* splitmix64 (S. Vigna 2015): the same resamples for the same rows. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Resamples in which a measure is not defined are passed over. */
static struct lp_interval interval_of(double whole, double *values, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (isfinite(values[i])) values[kept++] = values[i];
    struct lp_interval interval = {whole, NAN, NAN};
    if (kept == 0 || !isfinite(whole)) return interval;
    qsort(values, kept, sizeof *values, by_value);
    interval.low = values[(uint32_t)(0.025 * (kept - 1))];
    interval.high = values[(uint32_t)ceil(0.975 * (kept - 1))];
    return interval;
}

struct resampling {
    const struct lp_judged *judged;
    const double *y;
    uint32_t count, rows, resamples;
    bool regression;
    uint16_t *times;
    double *values; /* [variant][MEASURES][resamples] */
};

static void resample(struct resampling *s, uint32_t number, uint64_t *random)
{
    memset(s->times, 0, s->rows * sizeof *s->times);
    for (uint32_t r = 0; r < s->rows; r++) {
        uint16_t *times = &s->times[((draw(random) >> 32) * s->rows) >> 32];
        *times = (uint16_t)(*times + (*times < UINT16_MAX));
    }
    struct lp_quality first = measure(&s->judged[0], s->y, s->rows, s->regression, s->times);
    for (uint32_t v = 1; v < s->count; v++) {
        struct lp_quality quality = measure(&s->judged[v], s->y, s->rows, s->regression, s->times);
        double *to = s->values + (size_t)v * MEASURES * s->resamples + number;
        to[0] = quality.loss - first.loss;
        to[s->resamples] = quality.auc - first.auc;
        to[2 * (size_t)s->resamples] = quality.accuracy - first.accuracy;
    }
}

enum lp_code lp_judge_differences(const struct lp_judged *judged, uint32_t count, const double *y, uint32_t rows,
                                  bool regression, struct lp_differences *ret_differences, struct lp_error *err)
{
    uint32_t n = RESAMPLED_ROWS / rows;
    n = n < RESAMPLES_MIN ? RESAMPLES_MIN : n > RESAMPLES_MAX ? RESAMPLES_MAX : n;
    struct resampling s = {judged, y, count, rows, n, regression, NULL, NULL};
    uint64_t random = rows;
    s.times = malloc(((size_t)rows + 1) * sizeof *s.times);
    s.values = calloc((size_t)count * MEASURES * n, sizeof *s.values);
    enum lp_code rc = s.times != NULL && s.values != NULL ? LP_OK : lp_fail_memory(err, count * n * sizeof(double));
    for (uint32_t i = 0; rc == LP_OK && count > 1 && i < n; i++) resample(&s, i, &random);
    const struct lp_quality *first = &judged[0].quality;
    for (uint32_t v = 0; rc == LP_OK && v < count; v++) {
        const struct lp_quality *q = &judged[v].quality;
        double *values = s.values + (size_t)v * MEASURES * n;
        ret_differences[v].loss = interval_of(q->loss - first->loss, values, n);
        ret_differences[v].auc = interval_of(q->auc - first->auc, values + n, n);
        ret_differences[v].accuracy = interval_of(q->accuracy - first->accuracy, values + 2 * (size_t)n, n);
    }
    free(s.times);
    free(s.values);
    return rc;
}
