/* The hot path: runs of plain numbers in two short loops, everything else one feature at a time. */
#include "clean/cleaner.h"

#include <math.h>

struct cursor {
    const double *numbers;
    const struct lp_span *texts;
    double *row;
    double *observed; /* NULL: nobody watches */
    uint32_t observed_stride;
    struct lp_clean_counts *counts;
    uint32_t missing_count;
};

static double *observed_of(const struct cursor *at, uint32_t feature)
{
    return at->observed != NULL ? at->observed + (size_t)feature * at->observed_stride : NULL;
}

static enum lp_code clean_feature(const struct lp_cleaner *cleaner, uint32_t index, struct cursor *at,
                                  struct lp_error *err)
{
    const struct lp_clean_feature *f = &cleaner->features[index];
    double *row = at->row + f->spec->column;
    double *observed = observed_of(at, index);
    if (f->spec->kind == LP_FEATURE_CATEGORY)
        return lp_clean_category(f, at->texts[f->slot], row, observed, &at->counts[index], &at->missing_count, err);
    return lp_clean_number(f, at->numbers + f->slot, row, observed, &at->counts[index], &at->missing_count, err);
}

/*
 * Division, not a product with the reciprocal: the bits are those of the formula. A NaN fails both comparisons, so one
 * flag says whether any value needs its feature's rules. The flag is 64 bits wide to fit the vector lanes of doubles.
 */
static uint64_t normalize_all(const double *restrict x, const double *restrict low, const double *restrict high,
                              const double *restrict center, const double *restrict scale, double *restrict row,
                              uint32_t count)
{
    uint64_t outside = 0;
    for (uint32_t i = 0; i < count; i++) {
        outside |= (x[i] >= low[i] ? UINT64_C(0) : UINT64_C(1)) | (x[i] <= high[i] ? UINT64_C(0) : UINT64_C(1));
        row[i] = (x[i] - center[i]) / scale[i];
    }
    return outside;
}

static enum lp_code clean_numbers(const struct lp_cleaner *cleaner, const struct lp_clean_step *step, struct cursor *at,
                                  struct lp_error *err)
{
    uint32_t first = step->feature;
    const struct lp_clean_feature *f = &cleaner->features[first];
    const double *x = at->numbers + f->slot;
    uint64_t outside = normalize_all(x, cleaner->low + first, cleaner->high + first, cleaner->center + first,
                                     cleaner->scale + first, at->row + f->spec->column, step->count);
    if (at->observed != NULL)
        for (uint32_t i = 0; i < step->count; i++) *observed_of(at, first + i) = x[i];
    if (__builtin_expect(outside == 0, 1)) return LP_OK;
    for (uint32_t i = 0; i < step->count; i++) {
        if (x[i] >= cleaner->low[first + i] && x[i] <= cleaner->high[first + i]) continue;
        LP_TRY(clean_feature(cleaner, first + i, at, err));
    }
    return LP_OK;
}

static uint64_t normalize_vector(const struct lp_clean_feature *f, double center, double scale,
                                 const double *restrict x, double *restrict row)
{
    uint64_t outside = 0;
    double low = f->low, high = f->high;
    uint32_t width = f->spec->width;
    for (uint32_t i = 0; i < width; i++) {
        outside |= (x[i] >= low ? UINT64_C(0) : UINT64_C(1)) | (x[i] <= high ? UINT64_C(0) : UINT64_C(1));
        row[i] = (x[i] - center) / scale;
    }
    return outside;
}

static enum lp_code clean_vector(const struct lp_cleaner *cleaner, uint32_t index, struct cursor *at,
                                 struct lp_error *err)
{
    const struct lp_clean_feature *f = &cleaner->features[index];
    uint64_t outside = normalize_vector(f, cleaner->center[index], cleaner->scale[index], at->numbers + f->slot,
                                        at->row + f->spec->column);
    if (__builtin_expect(outside != 0, 0)) return clean_feature(cleaner, index, at, err);
    if (at->observed != NULL) *observed_of(at, index) = NAN;
    return LP_OK;
}

enum lp_code lp_cleaner_run(const struct lp_cleaner *cleaner, const double *numbers, const struct lp_span *texts,
                            double *row, double *observed, uint32_t observed_stride, struct lp_clean_counts *counts,
                            uint32_t *ret_missing_count, struct lp_error *err)
{
    struct cursor at = {numbers, texts, row, observed, observed_stride, counts, 0};
    for (uint32_t i = 0; i < cleaner->step_count; i++) {
        const struct lp_clean_step *step = &cleaner->steps[i];
        switch (step->kind) {
        case LP_CLEAN_NUMBERS: LP_TRY(clean_numbers(cleaner, step, &at, err)); break;
        case LP_CLEAN_VECTOR: LP_TRY(clean_vector(cleaner, step->feature, &at, err)); break;
        case LP_CLEAN_FEATURE: LP_TRY(clean_feature(cleaner, step->feature, &at, err)); break;
        }
    }
    *ret_missing_count = at.missing_count;
    return LP_OK;
}
