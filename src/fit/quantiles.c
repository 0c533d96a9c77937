#include "fit/quantiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 8 };

void lp_quantiles_init(struct lp_quantiles *quantiles, uint32_t k, uint64_t seed)
{
    *quantiles = (struct lp_quantiles){.k = k, .coins = seed, .exact = true};
}

void lp_quantiles_done(struct lp_quantiles *quantiles)
{
    for (uint32_t i = 0; i < LP_QUANTILES_LEVELS_MAX; i++) free(quantiles->levels[i].values);
    *quantiles = (struct lp_quantiles){0};
}

/* SplitMix64 (S. Vigna, public domain). */
static uint64_t draw(struct lp_quantiles *quantiles)
{
    uint64_t z = quantiles->coins += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* k at the highest level, two thirds of that a level below. */
static uint32_t capacity_of(const struct lp_quantiles *quantiles, uint32_t level)
{
    double capacity = quantiles->k;
    for (uint32_t i = level + 1; i < quantiles->level_count && capacity > CAPACITY_MIN; i++) capacity *= 2.0 / 3;
    return capacity > CAPACITY_MIN ? (uint32_t)ceil(capacity) : CAPACITY_MIN;
}

/* Merge `count` sorted values, taken from `from` in steps of `step`, into a level: from the back, in place. */
static enum lp_code merge_into(struct lp_quantiles_level *level, const double *from, uint32_t count, uint32_t step,
                               struct lp_error *err)
{
    uint32_t wanted = level->count + count;
    if (wanted > level->capacity) {
        uint32_t capacity = wanted + wanted / 2;
        double *grown = realloc(level->values, capacity * sizeof *grown);
        if (grown == NULL) return lp_fail_memory(err, capacity * sizeof *grown);
        level->values = grown;
        level->capacity = capacity;
    }
    uint32_t i = level->count, j = count;
    double *to = level->values + wanted;
    while (j > 0) {
        double value = from[(size_t)(j - 1) * step];
        if (i > 0 && level->values[i - 1] > value) {
            *--to = level->values[--i];
        } else {
            *--to = value;
            j--;
        }
    }
    level->count = wanted;
    return LP_OK;
}

static enum lp_code raise_levels(struct lp_quantiles *quantiles, uint32_t level, struct lp_error *err)
{
    if (level >= LP_QUANTILES_LEVELS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than 2^%d values", LP_QUANTILES_LEVELS_MAX);
    if (quantiles->level_count <= level) quantiles->level_count = level + 1;
    return LP_OK;
}

/* Every other value of an even number of them goes up; an odd one stays. */
static enum lp_code compact(struct lp_quantiles *quantiles, uint32_t index, struct lp_error *err)
{
    LP_TRY(raise_levels(quantiles, index + 1, err));
    struct lp_quantiles_level *level = &quantiles->levels[index];
    uint64_t coins = draw(quantiles);
    uint32_t odd = level->count & 1, first = odd != 0 && (coins & 2) != 0; /* the one that stays: either end */
    LP_TRY(merge_into(&quantiles->levels[index + 1], level->values + first + (coins & 1), level->count / 2, 2, err));
    if (odd != 0 && first == 0) level->values[0] = level->values[level->count - 1];
    level->count = odd;
    quantiles->exact = false;
    return LP_OK;
}

static enum lp_code compact_full(struct lp_quantiles *quantiles, struct lp_error *err)
{
    for (uint32_t i = 0; i < quantiles->level_count; i++)
        if (quantiles->levels[i].count > capacity_of(quantiles, i)) LP_TRY(compact(quantiles, i, err));
    return LP_OK;
}

/* Nearly all are in their places. */
static void insert_all(double *values, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        double value = values[i];
        uint32_t at = i;
        for (; at > 0 && values[at - 1] > value; at--) values[at] = values[at - 1];
        values[at] = value;
    }
}

enum lp_code lp_quantiles_add_sorted(struct lp_quantiles *quantiles, double *values, uint32_t count,
                                     struct lp_error *err)
{
    if (count == 0) return LP_OK;
    uint32_t level = 0;
    while (count >> level > quantiles->k) level++;
    LP_TRY(raise_levels(quantiles, level, err));
    uint32_t step = UINT32_C(1) << level, groups = count / step, whole = groups * step;
    uint32_t offset = level > 0 ? (uint32_t)(draw(quantiles) & (step - 1)) : 0;
    for (uint32_t i = 0; i < groups; i++) values[i] = values[offset + i * step];
    insert_all(values, groups);
    LP_TRY(merge_into(&quantiles->levels[level], values, groups, 1, err));
    /* The rest are the largest: they stand for themselves. */
    insert_all(values + whole, count - whole);
    if (whole < count) LP_TRY(merge_into(&quantiles->levels[0], values + whole, count - whole, 1, err));
    if (level > 0) quantiles->exact = false;
    quantiles->count += count;
    return compact_full(quantiles, err);
}

enum lp_code lp_quantiles_merge(struct lp_quantiles *quantiles, const struct lp_quantiles *other, struct lp_error *err)
{
    if (other->count == 0) return LP_OK;
    LP_TRY(raise_levels(quantiles, other->level_count - 1, err));
    for (uint32_t i = 0; i < other->level_count; i++)
        LP_TRY(merge_into(&quantiles->levels[i], other->levels[i].values, other->levels[i].count, 1, err));
    quantiles->count += other->count;
    quantiles->exact &= other->exact;
    return compact_full(quantiles, err);
}

double lp_quantiles_error(const struct lp_quantiles *quantiles)
{
    /* The constant that Apache DataSketches measured for the same algorithm with this c. */
    return quantiles->exact ? 0 : 2.296 / pow(quantiles->k, 0.9723);
}

/* --- asking --- */

struct weighted {
    double value;
    uint64_t weight;
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct weighted *)a)->value, y = ((const struct weighted *)b)->value;
    return (x > y) - (x < y);
}

enum lp_code lp_quantiles_look(const struct lp_quantiles *quantiles, double min, double max,
                               struct lp_quantiles_view *ret_view, struct lp_error *err)
{
    struct lp_quantiles_view view = {.min = min, .max = max};
    uint32_t count = 0;
    for (uint32_t i = 0; i < quantiles->level_count; i++) count += quantiles->levels[i].count;
    struct weighted *all = calloc((size_t)count + 1, sizeof *all);
    view.values = calloc((size_t)count + 1, sizeof *view.values);
    view.weights = calloc((size_t)count + 1, sizeof *view.weights);
    if (all == NULL || view.values == NULL || view.weights == NULL) {
        free(all);
        lp_quantiles_view_done(&view);
        return lp_fail_memory(err, (size_t)count * sizeof *all);
    }
    for (uint32_t i = 0; i < quantiles->level_count; i++)
        for (uint32_t k = 0; k < quantiles->levels[i].count; k++)
            all[view.count++] = (struct weighted){quantiles->levels[i].values[k], UINT64_C(1) << i};
    qsort(all, count, sizeof *all, by_value);
    for (uint32_t i = 0; i < count; i++) {
        view.total += all[i].weight;
        view.values[i] = all[i].value;
        view.weights[i] = view.total;
    }
    free(all);
    *ret_view = view;
    return LP_OK;
}

void lp_quantiles_view_done(struct lp_quantiles_view *view)
{
    free(view->values);
    free(view->weights);
    *view = (struct lp_quantiles_view){0};
}

/* The value at position `at` of the whole sorted stream, from 0. */
static double value_at(const struct lp_quantiles_view *view, uint64_t at)
{
    uint32_t low = 0, high = view->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (view->weights[middle] > at) high = middle;
        else low = middle + 1;
    }
    return view->values[low];
}

double lp_quantiles_at(const struct lp_quantiles_view *view, double q)
{
    if (view->count == 0) return NAN;
    if (q <= 0) return view->min;
    if (q >= 1) return view->max;
    double position = q * (double)(view->total - 1), whole = floor(position), part = position - whole;
    double a = value_at(view, (uint64_t)whole), b = part > 0 ? value_at(view, (uint64_t)whole + 1) : a;
    /* As numpy's _lerp: from the nearer end. */
    return part < 0.5 ? a + (b - a) * part : b - (b - a) * (1 - part);
}

double lp_quantiles_below(const struct lp_quantiles_view *view, double x)
{
    uint32_t low = 0, high = view->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (view->values[middle] < x) low = middle + 1;
        else high = middle;
    }
    return low > 0 ? (double)view->weights[low - 1] : 0;
}
