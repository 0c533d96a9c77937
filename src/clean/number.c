/* Numbers and vectors, every rule of their features. */
#include "clean/cleaner.h"

#include <math.h>

double lp_clean_normalize(const struct lp_clean_feature *f, double x)
{
    switch (f->spec->normalize) {
    case LP_NORMALIZE_NONE:
    case LP_NORMALIZE_BUCKETS: return x;
    case LP_NORMALIZE_LOG1P: return x > -1.0 ? log1p(x) : NAN;
    case LP_NORMALIZE_ZSCORE:
    case LP_NORMALIZE_MINMAX:
    case LP_NORMALIZE_ROBUST: break;
    }
    return f->scale_is_zero ? (isnan(x) ? x : 0.0) : (x - f->spec->center) / f->spec->scale;
}

static enum lp_code refuse(const struct lp_clean_feature *f, struct lp_clean_counts *counts, struct lp_error *err,
                           const char *what, double x)
{
    counts->rejected++;
    return lp_fail_field(err, LP_E_REFUSED, LP_SKIP_RECORD, f->spec->name,
                         "feature %s (from %s): %g is outside [%g, %g]%s", f->spec->name, f->spec->from, x,
                         f->spec->low, f->spec->high, what);
}

/* `lost` is the value that a rule made missing, NaN when none was there. */
static enum lp_code refuse_missing(const struct lp_clean_feature *f, struct lp_clean_counts *counts, double lost,
                                   struct lp_error *err)
{
    if (lost < f->low || lost > f->high) return refuse(f, counts, err, " and so missing", lost);
    counts->rejected++;
    if (isnan(lost))
        return lp_fail_field(err, LP_E_REFUSED, LP_SKIP_RECORD, f->spec->name, "feature %s (from %s): missing",
                             f->spec->name, f->spec->from);
    return lp_fail_field(err, LP_E_REFUSED, LP_SKIP_RECORD, f->spec->name,
                         "feature %s (from %s): %g has no log1p and so is missing", f->spec->name, f->spec->from, lost);
}

/* What an outlier becomes. An infinite value has nothing to be clipped to where the bound is open: it is missing. */
static double bring_inside(const struct lp_clean_feature *f, double x, bool *clipped)
{
    if (f->spec->outlier != LP_OUTLIER_CLIP) return NAN;
    double bound = x < f->low ? f->spec->low : f->spec->high;
    *clipped |= isfinite(bound);
    return isfinite(bound) ? bound : NAN;
}

enum lp_code lp_clean_number(const struct lp_clean_feature *f, const double *values, double *row, double *observed,
                             struct lp_clean_counts *counts, uint32_t *missing_count, struct lp_error *err)
{
    bool missing = false, clipped = false;
    double seen = NAN, lost = NAN;
    for (uint32_t i = 0; i < f->spec->width; i++) {
        double x = values[i];
        if (x < f->low || x > f->high) {
            if (f->spec->outlier == LP_OUTLIER_REJECT) return refuse(f, counts, err, "", x);
            x = bring_inside(f, x, &clipped);
        }
        double y = lp_clean_normalize(f, x);
        /* log1p makes missing what it is not defined for. */
        if (isnan(x) || (isnan(y) && f->spec->normalize == LP_NORMALIZE_LOG1P)) {
            missing = true;
            if (!isnan(values[i])) lost = values[i];
            x = NAN;
            y = f->fill;
        }
        if (f->spec->normalize == LP_NORMALIZE_BUCKETS) lp_clean_bucket(f->spec, y, row);
        else row[i] = y;
        seen = x;
    }
    if (f->indicator) row[f->columns] = missing ? 1.0 : 0.0;
    counts->clipped += clipped;
    counts->missing += missing;
    *missing_count += missing;
    if (missing && f->spec->missing == LP_MISSING_REJECT) return refuse_missing(f, counts, lost, err);
    if (observed != NULL) *observed = f->spec->kind == LP_FEATURE_VECTOR ? NAN : seen;
    return LP_OK;
}
