/* The hot path: runs of plain numbers in one kernel call, everything else one feature at a time. */
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
    uint32_t *missing = &at->missing_count;
    if (f->spec->kind == LP_FEATURE_TEXT)
        return lp_clean_text(f, at->texts[f->slot], row, observed, &at->counts[index], missing, err);
    if (f->spec->kind == LP_FEATURE_TIME)
        return lp_clean_time(f, at->numbers[f->slot], row, observed, &at->counts[index], missing, err);
    if (f->spec->kind == LP_FEATURE_CATEGORY)
        return lp_clean_category(f, at->texts, row, observed, &at->counts[index], &at->missing_count, err);
    return lp_clean_number(f, at->numbers + f->slot, row, observed, &at->counts[index], &at->missing_count, err);
}

static inline void scatter(const double *restrict x, uint32_t count, double *restrict to, size_t stride)
{
    for (uint32_t i = 0; i < count; i++, to += stride) *to = x[i];
}

static enum lp_code clean_numbers(const struct lp_cleaner *cleaner, const struct lp_clean_step *step, struct cursor *at,
                                  struct lp_error *err)
{
    const double *x = at->numbers + step->slot;
    const uint32_t count = step->count;
    bool inside = cleaner->kernel->each(x, &step->by.each, count, at->row + step->column);
    double *observed = observed_of(at, step->feature);
    if (observed != NULL) scatter(x, count, observed, at->observed_stride);
    if (__builtin_expect(inside, 1)) return LP_OK;
    for (uint32_t i = 0; i < step->count; i++) {
        if (x[i] >= step->by.each.low[i] && x[i] <= step->by.each.high[i]) continue;
        LP_TRY(clean_feature(cleaner, step->feature + i, at, err));
    }
    return LP_OK;
}

static enum lp_code clean_vector(const struct lp_cleaner *cleaner, const struct lp_clean_step *step, struct cursor *at,
                                 struct lp_error *err)
{
    uint32_t width = cleaner->features[step->feature].spec->width;
    bool inside = cleaner->kernel->same(at->numbers + step->slot, &step->by.same, width, at->row + step->column);
    if (__builtin_expect(!inside, 0)) return clean_feature(cleaner, step->feature, at, err);
    if (at->observed != NULL) *observed_of(at, step->feature) = NAN;
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
        case LP_CLEAN_VECTOR: LP_TRY(clean_vector(cleaner, step, &at, err)); break;
        case LP_CLEAN_FEATURE: LP_TRY(clean_feature(cleaner, step->feature, &at, err)); break;
        }
    }
    *ret_missing_count = at.missing_count;
    return LP_OK;
}
