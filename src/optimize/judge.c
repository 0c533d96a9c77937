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

/* Rows of label 0 by group: those of group g from begin[g] to begin[g + 1]. */
static enum lp_code list_zeros(const struct lp_truth *t, uint32_t **ret_begin, uint32_t **ret_zeros,
                               struct lp_error *err)
{
    uint32_t *begin = calloc((size_t)t->group_count + 3, sizeof *begin), *zeros = calloc(t->rows + 1u, sizeof *zeros);
    if (begin == NULL || zeros == NULL) {
        free(begin);
        free(zeros);
        return lp_fail_memory(err, t->rows * sizeof *zeros);
    }
    for (uint32_t r = 0; r < t->rows; r++) begin[(t->group != NULL ? t->group[r] : 0) + 2] += t->y[r] != 1;
    for (uint32_t g = 2; g < t->group_count + 3; g++) begin[g] += begin[g - 1];
    for (uint32_t r = 0; r < t->rows; r++)
        if (t->y[r] != 1) zeros[begin[(t->group != NULL ? t->group[r] : 0) + 1]++] = r;
    *ret_begin = begin;
    *ret_zeros = zeros;
    return LP_OK;
}

static enum lp_code judge_pairs(const float *scores, const struct lp_truth *t, struct lp_judged *j,
                                struct lp_error *err)
{
    uint32_t *begin, *zeros;
    LP_TRY(list_zeros(t, &begin, &zeros, err));
    for (uint32_t r = 0; r < t->rows; r++) {
        uint32_t g = t->group != NULL ? t->group[r] : 0, all = begin[g + 1] - begin[g];
        j->pairs[r] = t->y[r] != 1 ? 0 : all < LP_JUDGE_PAIRS_MAX ? all : LP_JUDGE_PAIRS_MAX;
        for (uint32_t i = 0; i < j->pairs[r]; i++) {
            double z0 = (double)scores[zeros[begin[g] + (uint64_t)i * all / j->pairs[r]]], z1 = (double)scores[r];
            j->loss[r] += (fmax(z0 - z1, 0) + log1p(exp(-fabs(z0 - z1)))) / j->pairs[r];
            j->wins[r] += z1 > z0 ? 1 : z1 == z0 ? 0.5 : 0;
        }
    }
    free(begin);
    free(zeros);
    return LP_OK;
}

static struct lp_quality measure_pairs(const struct lp_judged *j, uint32_t rows, const uint16_t *times)
{
    double loss = 0, all = 0, wins = 0, pairs = 0;
    for (uint32_t r = 0; r < rows; r++) {
        double weight = j->pairs[r] == 0 ? 0 : times != NULL ? times[r] : 1;
        loss += weight * j->loss[r];
        all += weight;
        wins += weight * j->wins[r];
        pairs += weight * j->pairs[r];
    }
    return (struct lp_quality){loss / all, wins / pairs, NAN};
}

/* Each row as often as `times` says; NULL: once. */
static struct lp_quality measure(const struct lp_judged *j, const double *y, uint32_t rows, bool regression,
                                 const uint16_t *times)
{
    double loss = 0, right = 0, all = 0;
    if (j->pairs != NULL) return measure_pairs(j, rows, times);
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

static enum lp_code take_room(struct lp_judged *j, uint32_t rows, bool binary, bool ranking, struct lp_error *err)
{
    *j = (struct lp_judged){.loss = calloc((size_t)rows + 1, sizeof *j->loss),
                            .right = calloc((size_t)rows + 1, 1),
                            .order = binary ? calloc((size_t)rows + 1, sizeof *j->order) : NULL,
                            .equal = binary ? calloc((size_t)rows + 1, 1) : NULL,
                            .wins = ranking ? calloc((size_t)rows + 1, sizeof *j->wins) : NULL,
                            .pairs = ranking ? calloc((size_t)rows + 1, sizeof *j->pairs) : NULL};
    bool good = j->loss != NULL && j->right != NULL && (!binary || (j->order != NULL && j->equal != NULL)) &&
                (!ranking || (j->wins != NULL && j->pairs != NULL));
    return good ? LP_OK : lp_fail_memory(err, rows * sizeof *j->loss);
}

static void sort_rows(struct lp_judged *j, const float *scores, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++) j->order[r] = r;
    qsort_r(j->order, rows, sizeof *j->order, by_score, (void *)(uintptr_t)scores);
    for (uint32_t i = 1; i < rows; i++) j->equal[i] = scores[j->order[i]] == scores[j->order[i - 1]];
}

enum lp_code lp_judge(const struct lp_bundle *bundle, const float *scores, const struct lp_truth *truth,
                      struct lp_judged *ret_judged, struct lp_error *err)
{
    uint32_t rows = truth->rows;
    bool binary = bundle->task == LP_TASK_BINARY, ranking = bundle->task == LP_TASK_RANKING;
    struct lp_judged j;
    for (size_t i = 0; i < (size_t)rows * bundle->output_count; i++)
        if (!isfinite(scores[i]))
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "row %zu scores %g", i / bundle->output_count + 1,
                           (double)scores[i]);
    enum lp_code rc = take_room(&j, rows, binary, ranking, err);
    if (rc == LP_OK && ranking) rc = judge_pairs(scores, truth, &j, err);
    if (rc != LP_OK) {
        lp_judged_done(&j);
        return rc;
    }
    for (uint32_t r = 0; !ranking && r < rows; r++)
        judge_row(bundle, scores + (size_t)r * bundle->output_count, truth->y[r], &j, r);
    if (binary) sort_rows(&j, scores, rows);
    j.quality = measure(&j, truth->y, rows, bundle->task == LP_TASK_REGRESSION, NULL);
    *ret_judged = j;
    return LP_OK;
}

void lp_judged_done(struct lp_judged *judged)
{
    free(judged->loss);
    free(judged->right);
    free(judged->order);
    free(judged->equal);
    free(judged->wins);
    free(judged->pairs);
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
    const struct lp_truth *truth;
    uint32_t count, units, resamples; /* units: rows, or groups */
    bool regression;
    uint16_t *times, *unit_times; /* [rows], [units] */
    double *values;               /* [variant][MEASURES][resamples] */
};

static void resample(struct resampling *s, uint32_t number, uint64_t *random)
{
    const struct lp_truth *t = s->truth;
    bool groups = s->unit_times != s->times;
    memset(s->unit_times, 0, s->units * sizeof *s->unit_times);
    for (uint32_t u = 0; u < s->units; u++) {
        uint16_t *times = &s->unit_times[((draw(random) >> 32) * s->units) >> 32];
        *times = (uint16_t)(*times + (*times < UINT16_MAX));
    }
    for (uint32_t r = 0; groups && r < t->rows; r++) s->times[r] = s->unit_times[t->group[r]];
    struct lp_quality first = measure(&s->judged[0], t->y, t->rows, s->regression, s->times);
    for (uint32_t v = 1; v < s->count; v++) {
        struct lp_quality quality = measure(&s->judged[v], t->y, t->rows, s->regression, s->times);
        double *to = s->values + (size_t)v * MEASURES * s->resamples + number;
        to[0] = quality.loss - first.loss;
        to[s->resamples] = quality.auc - first.auc;
        to[2 * (size_t)s->resamples] = quality.accuracy - first.accuracy;
    }
}

enum lp_code lp_judge_differences(const struct lp_judged *judged, uint32_t count, const struct lp_truth *truth,
                                  bool regression, struct lp_differences *ret_differences, struct lp_error *err)
{
    uint32_t rows = truth->rows, n = RESAMPLED_ROWS / rows;
    n = n < RESAMPLES_MIN ? RESAMPLES_MIN : n > RESAMPLES_MAX ? RESAMPLES_MAX : n;
    bool groups = truth->group != NULL && truth->group_count > 1;
    struct resampling s = {.judged = judged,
                           .truth = truth,
                           .count = count,
                           .units = groups ? truth->group_count : rows,
                           .resamples = n,
                           .regression = regression};
    uint64_t random = rows;
    s.times = malloc(((size_t)rows + 1) * sizeof *s.times);
    s.unit_times = groups ? malloc(((size_t)s.units + 1) * sizeof *s.times) : s.times;
    s.values = calloc((size_t)count * MEASURES * n, sizeof *s.values);
    bool good = s.times != NULL && s.unit_times != NULL && s.values != NULL;
    enum lp_code rc = good ? LP_OK : lp_fail_memory(err, count * n * sizeof(double));
    for (uint32_t i = 0; rc == LP_OK && count > 1 && i < n; i++) resample(&s, i, &random);
    const struct lp_quality *first = &judged[0].quality;
    for (uint32_t v = 0; rc == LP_OK && v < count; v++) {
        const struct lp_quality *q = &judged[v].quality;
        double *values = s.values + (size_t)v * MEASURES * n;
        ret_differences[v].loss = interval_of(q->loss - first->loss, values, n);
        ret_differences[v].auc = interval_of(q->auc - first->auc, values + n, n);
        ret_differences[v].accuracy = interval_of(q->accuracy - first->accuracy, values + 2 * (size_t)n, n);
    }
    if (groups) free(s.unit_times);
    free(s.times);
    free(s.values);
    return rc;
}
