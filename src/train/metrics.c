#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CALIBRATION_BINS = 15 };

const char *const lp_metrics_names[LP_METRICS_COUNT] = {
    "loss", "accuracy", "auc", "log_loss", "f1", "calibration_error", "rmse", "r2", "mae"};

bool lp_metrics_rises(int index)
{
    const char *name = lp_metrics_names[index];
    return strcmp(name, "accuracy") == 0 || strcmp(name, "auc") == 0 || strcmp(name, "f1") == 0 ||
           strcmp(name, "r2") == 0;
}

double lp_train_sigmoid(double margin)
{
    double e = exp(-fabs(margin));
    return (margin < 0 ? e : 1) / (1 + e);
}

static double weight_of(const struct lp_metrics_rows *rows, uint32_t r)
{
    return rows->weight != NULL ? (double)rows->weight[r] : 1;
}

/* A float's bits so that unsigned numbers sort as the floats do; -0 as 0, NaN last. */
static uint32_t sort_key(float value)
{
    uint32_t bits;
    value += 0.0f;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value)) return UINT32_MAX;
    return bits >> 31 != 0 ? ~bits : bits | 1u << 31;
}

uint32_t *lp_metrics_order(const float *margins, uint32_t rows)
{
    enum { BITS = 11, BUCKETS = 1 << BITS, PASSES = 3 };
    uint32_t *order = malloc((rows + 1) * sizeof *order), *other = malloc((rows + 1) * sizeof *other);
    for (uint32_t r = 0; order != NULL && r < rows; r++) order[r] = r;
    for (int pass = 0; pass < PASSES && order != NULL && other != NULL; pass++) {
        size_t at[BUCKETS + 1] = {0};
        int shift = pass * BITS;
        for (uint32_t r = 0; r < rows; r++) at[(sort_key(margins[r]) >> shift & (BUCKETS - 1)) + 1]++;
        for (int b = 0; b < BUCKETS; b++) at[b + 1] += at[b];
        for (uint32_t r = 0; r < rows; r++)
            other[at[sort_key(margins[order[r]]) >> shift & (BUCKETS - 1)]++] = order[r];
        uint32_t *swap = order;
        order = other;
        other = swap;
    }
    if (other == NULL) {
        free(order);
        order = NULL;
    }
    free(other);
    return order;
}

/* Ordered rows: the weight of pairs (a 1 above a 0), ties half, and of all such pairs. */
static void count_pairs(const struct lp_metrics_rows *rows, const uint32_t *order, uint32_t count, double *right,
                        double *pairs)
{
    double below = 0, zeros = 0, ones = 0;
    for (uint32_t i = 0; i < count;) {
        double tied[2] = {0, 0};
        float margin = rows->margins[order[i]];
        for (; i < count && (rows->margins[order[i]] == margin || isnan(margin)); i++)
            tied[rows->y[order[i]] > 0.5f] += weight_of(rows, order[i]);
        *right += tied[1] * (below + tied[0] / 2);
        below += tied[0];
        zeros += tied[0];
        ones += tied[1];
    }
    *pairs += zeros * ones;
}

static enum lp_code auc_all(const struct lp_metrics_rows *rows, double *ret_auc, struct lp_error *err)
{
    double right = 0, pairs = 0;
    uint32_t *order = lp_metrics_order(rows->margins, rows->rows);
    if (order == NULL) return lp_fail_memory(err, rows->rows * sizeof *order);
    count_pairs(rows, order, rows->rows, &right, &pairs);
    free(order);
    *ret_auc = pairs > 0 ? right / pairs : NAN;
    return LP_OK;
}

/* Rows by group, by margin within each: the order by margin, then a stable counting sort by group. */
static enum lp_code auc_groups(const struct lp_metrics_rows *rows, double *ret_auc, struct lp_error *err)
{
    uint32_t groups = 0, n = rows->rows;
    for (uint32_t r = 0; r < n; r++)
        if (rows->group[r] >= groups) groups = rows->group[r] + 1;
    uint32_t *order = lp_metrics_order(rows->margins, n), *sorted = malloc((n + 1) * sizeof *sorted);
    size_t *at = calloc((size_t)groups + 2, sizeof *at);
    double right = 0, pairs = 0;
    bool good = order != NULL && sorted != NULL && at != NULL;
    for (uint32_t r = 0; good && r < n; r++) at[rows->group[r] + 2]++;
    for (uint32_t g = 0; good && g < groups; g++) at[g + 2] += at[g + 1];
    for (uint32_t r = 0; good && r < n; r++) sorted[at[rows->group[order[r]] + 1]++] = order[r];
    for (uint32_t g = 0; good && g < groups; g++)
        count_pairs(rows, sorted + at[g], (uint32_t)(at[g + 1] - at[g]), &right, &pairs);
    free(order);
    free(sorted);
    free(at);
    *ret_auc = pairs > 0 ? right / pairs : NAN;
    return good ? LP_OK : lp_fail_memory(err, n * sizeof *order);
}

struct bin {
    double weight, score, hits;
};

static void add_to_bin(struct bin *bins, double score, double hit, double weight)
{
    int b = (int)(score * CALIBRATION_BINS);
    b = b < 0 ? 0 : b >= CALIBRATION_BINS ? CALIBRATION_BINS - 1 : b;
    bins[b].weight += weight;
    bins[b].score += weight * score;
    bins[b].hits += weight * hit;
}

static double bins_error(const struct bin *bins, double total)
{
    double error = 0;
    for (int b = 0; b < CALIBRATION_BINS; b++) error += fabs(bins[b].score - bins[b].hits);
    return error / total;
}

static void run_binary(const struct lp_metrics_rows *rows, double total, struct lp_metrics *m)
{
    double right = 0, log_loss = 0, true_positive = 0, positive = 0, said = 0;
    struct bin bins[CALIBRATION_BINS] = {{0}};
    for (uint32_t r = 0; r < rows->rows; r++) {
        double w = weight_of(rows, r), p = lp_train_sigmoid((double)rows->margins[r]), y = (double)rows->y[r];
        bool says = (float)p >= (float)rows->threshold, is = y > 0.5;
        double kept = fmin(fmax(p, 0x1p-52), 1 - 0x1p-52);
        right += says == is ? w : 0;
        true_positive += says && is ? w : 0;
        positive += is ? w : 0;
        said += says ? w : 0;
        log_loss -= w * (y * log(kept) + (1 - y) * log1p(-kept));
        add_to_bin(bins, p, y, w);
    }
    m->accuracy = right / total;
    m->log_loss = log_loss / total;
    m->f1 = positive + said > 0 ? 2 * true_positive / (positive + said) : NAN;
    m->calibration_error = bins_error(bins, total);
}

static uint32_t largest(const float *row, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (row[i] > row[best]) best = i;
    return best;
}

static double probability(const float *row, uint32_t count, uint32_t of)
{
    double top = (double)row[largest(row, count)], sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += exp((double)row[i] - top);
    return exp((double)row[of] - top) / sum;
}

static enum lp_code run_classes(const struct lp_metrics_rows *rows, double total, struct lp_metrics *m,
                                struct lp_error *err)
{
    uint32_t k = rows->outputs, seen = 0;
    double right = 0, log_loss = 0, f1 = 0, *hits = calloc(3 * (size_t)k, sizeof *hits);
    struct bin bins[CALIBRATION_BINS] = {{0}};
    if (hits == NULL) return lp_fail_memory(err, 3 * k * sizeof *hits);
    double *said = hits + k, *is = said + k;
    for (uint32_t r = 0; r < rows->rows; r++) {
        const float *row = rows->margins + (size_t)r * k;
        uint32_t best = largest(row, k), y = (uint32_t)rows->y[r];
        double w = weight_of(rows, r);
        right += best == y ? w : 0;
        hits[y] += best == y ? w : 0;
        said[best] += w;
        is[y] += w;
        log_loss -= w * log(fmax(probability(row, k, y), 0x1p-52));
        add_to_bin(bins, probability(row, k, best), best == y, w);
    }
    for (uint32_t c = 0; c < k; c++) {
        if (said[c] + is[c] <= 0) continue;
        f1 += 2 * hits[c] / (said[c] + is[c]);
        seen++;
    }
    m->accuracy = right / total;
    m->log_loss = log_loss / total;
    m->f1 = f1 / seen;
    m->calibration_error = bins_error(bins, total);
    free(hits);
    return LP_OK;
}

static void run_numbers(const struct lp_train_loss *loss, const struct lp_metrics_rows *rows, double total,
                        struct lp_metrics *m)
{
    double mean = 0, squares = 0, absolute = 0, spread = 0;
    for (uint32_t r = 0; r < rows->rows; r++) mean += weight_of(rows, r) * (double)rows->y[r] / total;
    for (uint32_t r = 0; r < rows->rows; r++) {
        double w = weight_of(rows, r), y = (double)rows->y[r], z = (double)rows->margins[r];
        double e = (loss->kind == LP_LOSS_POISSON ? exp(z) : z) - y;
        squares += w * e * e;
        absolute += w * fabs(e);
        spread += w * (y - mean) * (y - mean);
    }
    m->rmse = sqrt(squares / total);
    m->mae = absolute / total;
    m->r2 = spread > 0 ? 1 - squares / spread : NAN;
}

enum lp_code lp_metrics_run(const struct lp_train_loss *loss, const struct lp_metrics_rows *rows,
                            struct lp_metrics *ret_metrics, struct lp_error *err)
{
    struct lp_metrics m = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    double total = 0;
    for (uint32_t r = 0; r < rows->rows; r++) total += weight_of(rows, r);
    if (!(total > 0)) {
        *ret_metrics = m;
        return LP_OK;
    }
    if (loss->kind != LP_LOSS_BPR)
        m.loss = lp_loss_run(loss, rows->margins, rows->outputs, rows->y, rows->weight, rows->rows, 1, NULL) / total;
    switch (loss->kind) {
    case LP_LOSS_BINARY:
        run_binary(rows, total, &m);
        LP_TRY(auc_all(rows, &m.auc, err));
        break;
    case LP_LOSS_CATEGORICAL: LP_TRY(run_classes(rows, total, &m, err)); break;
    case LP_LOSS_BPR: LP_TRY(rows->group != NULL ? auc_groups(rows, &m.auc, err) : auc_all(rows, &m.auc, err)); break;
    case LP_LOSS_SQUARED:
    case LP_LOSS_HUBER:
    case LP_LOSS_POISSON: run_numbers(loss, rows, total, &m); break;
    }
    *ret_metrics = m;
    return LP_OK;
}

enum lp_code lp_metrics_best_threshold(const struct lp_metrics_rows *rows, double *ret_threshold, struct lp_error *err)
{
    uint32_t *order = lp_metrics_order(rows->margins, rows->rows);
    if (order == NULL) return lp_fail_memory(err, rows->rows * sizeof *order);
    double positive = 0, said = 0, hits = 0, best = -1, threshold = 0.5;
    for (uint32_t r = 0; r < rows->rows; r++) positive += rows->y[r] > 0.5f ? weight_of(rows, r) : 0;
    for (uint32_t i = rows->rows; i-- > 0;) {
        uint32_t r = order[i];
        said += weight_of(rows, r);
        hits += rows->y[r] > 0.5f ? weight_of(rows, r) : 0;
        if (i > 0 && rows->margins[order[i - 1]] == rows->margins[r]) continue;
        double f1 = 2 * hits / (positive + said);
        if (f1 < best) continue;
        best = f1;
        /* Half way to the next score, so that a rounding in serving does not turn a label. */
        double here = lp_train_sigmoid((double)rows->margins[r]);
        threshold = i > 0 ? (here + lp_train_sigmoid((double)rows->margins[order[i - 1]])) / 2 : here / 2;
    }
    free(order);
    *ret_threshold = positive > 0 && positive < said ? threshold : 0.5;
    return LP_OK;
}
