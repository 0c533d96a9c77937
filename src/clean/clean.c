/* Compiling a bundle's features into steps. */
#include "clean/cleaner.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Columns of the value alone; 0 when the feature's own numbers do not fit together. */
static uint32_t value_columns(const struct lp_feature *f)
{
    uint64_t columns = 1;
    if (f->kind == LP_FEATURE_VECTOR) columns = f->width;
    else if (f->kind == LP_FEATURE_CATEGORY && f->encoding == LP_ENCODING_ONEHOT)
        columns = (uint64_t)f->vocabulary_count + (f->unknown_bucket ? 1 : 0);
    else if (f->kind == LP_FEATURE_CATEGORY && f->encoding == LP_ENCODING_HASH_ONEHOT) columns = f->vocabulary_count;
    else if (f->kind == LP_FEATURE_TEXT) columns = f->vocabulary_count;
    else if (f->kind == LP_FEATURE_NUMBER && f->normalize == LP_NORMALIZE_BUCKETS)
        columns = (uint64_t)f->bucket_edge_count + 1;
    if (f->kind == LP_FEATURE_TIME) {
        columns = 0;
        for (int part = 0; part < LP_TIME_PARTS; part++)
            columns += f->time_parts[part] ? lp_time_part_columns((enum lp_time_part)part) : 0;
    }
    return columns <= LP_BUNDLE_COLUMNS_MAX ? (uint32_t)columns : 0;
}

static enum lp_code fail_feature(const struct lp_feature *f, struct lp_error *err, const char *what)
{
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, f->name, "clean: feature %s: %s", f->name, what);
}

static enum lp_code compile_number(struct lp_clean_feature *f, struct lp_error *err)
{
    const struct lp_feature *spec = f->spec;
    if (isnan(spec->low) || isnan(spec->high) || spec->low > spec->high)
        return fail_feature(spec, err, "its bounds are not an interval: low must not be above high");
    bool keep = spec->outlier == LP_OUTLIER_KEEP;
    f->low = keep ? -INFINITY : fmax(spec->low, -DBL_MAX);
    f->high = keep ? INFINITY : fmin(spec->high, DBL_MAX);
    f->scale_is_zero = spec->scale == 0.0;
    bool fills = spec->missing != LP_MISSING_KEEP && spec->missing != LP_MISSING_REJECT;
    f->fill = fills ? lp_clean_normalize(f, spec->missing_value) : NAN;
    if (fills && isnan(f->fill))
        return fail_feature(spec, err, "what fills in for missing values is itself not a number once normalized");
    return LP_OK;
}

static enum lp_code compile_cross(struct lp_clean_feature *f, const uint32_t *feature_slots, size_t *bytes,
                                  struct lp_error *err)
{
    const struct lp_feature *spec = f->spec;
    if (spec->cross_count == 0) return LP_OK;
    f->cross_slots = calloc(spec->cross_count, sizeof *f->cross_slots);
    if (f->cross_slots == NULL) return lp_fail_memory(err, spec->cross_count * sizeof *f->cross_slots);
    for (uint32_t i = 0; i < spec->cross_count; i++) f->cross_slots[i] = feature_slots[spec->cross[i]];
    *bytes += spec->cross_count * sizeof *f->cross_slots;
    return LP_OK;
}

static enum lp_code compile_category(struct lp_clean_feature *f, const uint32_t *feature_slots, size_t *bytes,
                                     struct lp_error *err)
{
    const struct lp_feature *spec = f->spec;
    if (spec->vocabulary_count == 0) return fail_feature(spec, err, "its vocabulary is empty");
    f->fill = spec->missing == LP_MISSING_KEEP ? NAN : spec->missing_value;
    if (spec->missing != LP_MISSING_KEEP && spec->missing != LP_MISSING_REJECT && isnan(f->fill))
        return fail_feature(spec, err, "what fills in for missing values is not a number");
    bool fills = spec->missing == LP_MISSING_VALUE || spec->missing == LP_MISSING_MEAN;
    if (spec->encoding == LP_ENCODING_TARGET && fills && !(f->fill >= 0 && f->fill <= spec->vocabulary_count))
        return fail_feature(spec, err, "what fills in for missing values is no entry of its vocabulary");
    f->fill_index = LP_VOCABULARY_UNKNOWN;
    if (spec->missing == LP_MISSING_VALUE && spec->missing_value >= 0 && spec->missing_value < f->columns)
        f->fill_index = (uint32_t)spec->missing_value;
    if (spec->encoding == LP_ENCODING_HASH || spec->encoding == LP_ENCODING_HASH_ONEHOT)
        return compile_cross(f, feature_slots, bytes, err);
    size_t taken = 0;
    enum lp_code rc = lp_vocabulary_init(&f->vocabulary, spec->vocabulary, spec->vocabulary_count, &taken, err);
    if (rc != LP_OK) return lp_error_wrap(err, "clean: feature %s", spec->name);
    *bytes += taken;
    return LP_OK;
}

static enum lp_code compile_feature(struct lp_cleaner *cleaner, uint32_t index, const struct lp_bundle *bundle,
                                    const uint32_t *feature_slots, struct lp_error *err)
{
    const struct lp_feature *spec = &bundle->features[index];
    struct lp_clean_feature *f = &cleaner->features[index];
    *f = (struct lp_clean_feature){.spec = spec, .slot = feature_slots[index], .columns = value_columns(spec)};
    f->indicator = spec->missing == LP_MISSING_INDICATOR;
    if (f->columns == 0 || (spec->kind != LP_FEATURE_VECTOR && spec->width != 1) ||
        f->columns + f->indicator != spec->column_count || spec->column > bundle->column_count ||
        spec->column_count > bundle->column_count - spec->column)
        return fail_feature(spec, err, "its columns do not agree with its kind and the row");
    cleaner->low[index] = cleaner->high[index] = cleaner->center[index] = cleaner->scale[index] = 0;
    if (spec->kind == LP_FEATURE_CATEGORY) return compile_category(f, feature_slots, &cleaner->bytes, err);
    if (spec->kind == LP_FEATURE_TEXT || spec->kind == LP_FEATURE_TIME) return LP_OK;
    LP_TRY(compile_number(f, err));
    bool none = spec->normalize == LP_NORMALIZE_NONE;
    cleaner->low[index] = f->low;
    cleaner->high[index] = f->high;
    cleaner->center[index] = none ? 0.0 : spec->center;
    cleaner->scale[index] = none ? 1.0 : spec->scale;
    return LP_OK;
}

/* Does (x - center) / scale alone give the columns when the value is inside its bounds? */
static bool is_linear(const struct lp_clean_feature *f)
{
    bool numeric = f->spec->kind == LP_FEATURE_NUMBER || f->spec->kind == LP_FEATURE_VECTOR;
    return numeric && !f->indicator && f->spec->normalize != LP_NORMALIZE_LOG1P &&
           f->spec->normalize != LP_NORMALIZE_BUCKETS && (f->spec->normalize == LP_NORMALIZE_NONE || !f->scale_is_zero);
}

static bool continues(const struct lp_clean_feature *before, const struct lp_clean_feature *f)
{
    return f->slot == before->slot + 1 && f->spec->column == before->spec->column + 1;
}

static struct lp_clean_step make_step(const struct lp_cleaner *cleaner, uint32_t i)
{
    const struct lp_clean_feature *f = &cleaner->features[i];
    struct lp_clean_step step = {
        .kind = LP_CLEAN_FEATURE, .feature = i, .count = 1, .slot = f->slot, .column = f->spec->column};
    if (!is_linear(f)) return step;
    step.kind = f->spec->kind == LP_FEATURE_VECTOR ? LP_CLEAN_VECTOR : LP_CLEAN_NUMBERS;
    if (step.kind == LP_CLEAN_VECTOR)
        step.by.same = (struct lp_normalize_same){f->low, f->high, cleaner->center[i], cleaner->scale[i]};
    else
        step.by.each =
            (struct lp_normalize_each){cleaner->low + i, cleaner->high + i, cleaner->center + i, cleaner->scale + i};
    return step;
}

static void compile_steps(struct lp_cleaner *cleaner)
{
    for (uint32_t i = 0; i < cleaner->feature_count; i++) {
        const struct lp_clean_feature *f = &cleaner->features[i];
        struct lp_clean_step step = make_step(cleaner, i);
        struct lp_clean_step *last = cleaner->step_count > 0 ? &cleaner->steps[cleaner->step_count - 1] : NULL;
        if (last != NULL && step.kind == LP_CLEAN_NUMBERS && last->kind == LP_CLEAN_NUMBERS && continues(f - 1, f))
            last->count++;
        else cleaner->steps[cleaner->step_count++] = step;
    }
}

static enum lp_code take_arrays(struct lp_cleaner *cleaner, struct lp_error *err)
{
    size_t n = cleaner->feature_count > 0 ? cleaner->feature_count : 1;
    cleaner->features = calloc(n, sizeof *cleaner->features);
    cleaner->steps = calloc(n, sizeof *cleaner->steps);
    cleaner->low = calloc(n * 4, sizeof *cleaner->low);
    cleaner->bytes = sizeof *cleaner + n * (sizeof *cleaner->features + sizeof *cleaner->steps + 4 * sizeof(double));
    if (cleaner->features == NULL || cleaner->steps == NULL || cleaner->low == NULL)
        return lp_fail_memory(err, cleaner->bytes);
    cleaner->high = cleaner->low + n;
    cleaner->center = cleaner->high + n;
    cleaner->scale = cleaner->center + n;
    return LP_OK;
}

enum lp_code lp_cleaner_new(const struct lp_bundle *bundle, const uint32_t *feature_slots,
                            struct lp_cleaner **ret_cleaner, struct lp_error *err)
{
    if (bundle->feature_count > LP_BUNDLE_FEATURES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "clean: %u features, at most %d are allowed", bundle->feature_count,
                       LP_BUNDLE_FEATURES_MAX);
    struct lp_cleaner *cleaner = calloc(1, sizeof *cleaner);
    if (cleaner == NULL) return lp_fail_memory(err, sizeof *cleaner);
    enum lp_code rc;
    cleaner->kernel = lp_normalize_select(lp_cpu_get());
    cleaner->feature_count = bundle->feature_count;
    cleaner->column_count = bundle->column_count;
    LP_GUARD(take_arrays(cleaner, err));
    for (uint32_t i = 0; i < bundle->feature_count; i++)
        LP_GUARD(compile_feature(cleaner, i, bundle, feature_slots, err));
    compile_steps(cleaner);
    *ret_cleaner = cleaner;
    return LP_OK;
out:
    lp_cleaner_free(cleaner);
    return rc;
}

void lp_cleaner_free(struct lp_cleaner *cleaner)
{
    if (cleaner == NULL) return;
    for (uint32_t i = 0; cleaner->features != NULL && i < cleaner->feature_count; i++) {
        lp_vocabulary_done(&cleaner->features[i].vocabulary);
        free(cleaner->features[i].cross_slots);
    }
    free(cleaner->features);
    free(cleaner->steps);
    free(cleaner->low);
    free(cleaner);
}

size_t lp_cleaner_bytes(const struct lp_cleaner *cleaner) { return cleaner->bytes; }
