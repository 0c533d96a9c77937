/* What cleaning did to a record, feature by feature. */
#include "cmd/scorebook.h"

#include <math.h>

static void print_number(struct lp_buffer *out, double value)
{
    if (isfinite(value)) lp_buffer_double(out, value);
    else if (isnan(value)) lp_buffer_text(out, "null");
    else lp_buffer_text(out, value > 0 ? "\"inf\"" : "\"-inf\"");
}

static void print_numbers(struct lp_buffer *out, const double *values, uint32_t count)
{
    lp_buffer_text(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        lp_buffer_text(out, i > 0 ? "," : "");
        print_number(out, values[i]);
    }
    lp_buffer_text(out, "]");
}

static void print_raw(const struct lp_feature *feature, const struct lp_record *record, uint32_t slot,
                      struct lp_buffer *out)
{
    if (feature->kind == LP_FEATURE_VECTOR) {
        print_numbers(out, record->numbers + slot, feature->width);
    } else if (feature->kind == LP_FEATURE_NUMBER || feature->kind == LP_FEATURE_TIME) {
        print_number(out, record->numbers[slot]);
    } else if (record->texts[slot].data == NULL) {
        lp_buffer_text(out, "null");
    } else {
        lp_buffer_json_string(out, record->texts[slot]);
    }
}

/* The value that goes into normalization. */
static double cleaned_number(const struct lp_feature *feature, double observed)
{
    if (!isnan(observed) || feature->missing == LP_MISSING_KEEP || feature->missing == LP_MISSING_REJECT)
        return observed;
    return feature->missing_value;
}

static void print_category(const struct lp_feature *feature, double observed, struct lp_buffer *out)
{
    bool known = feature->vocabulary != NULL && observed >= 0 && observed < (double)feature->vocabulary_count;
    if (isnan(observed)) lp_buffer_text(out, "null");
    else if (known) lp_buffer_json_string(out, lp_span_text(feature->vocabulary[(uint32_t)observed]));
    else lp_buffer_format(out, "\"%s %.0f\"", feature->vocabulary != NULL ? "unknown bucket" : "bucket", observed);
}

static void why_missing(const struct lp_feature *feature, struct lp_buffer *out)
{
    static const char *const fillers[] = {"mean", "value", "indicator"};
    if (feature->missing > LP_MISSING_INDICATOR) {
        lp_buffer_text(out, "missing: kept");
    } else if (feature->kind == LP_FEATURE_CATEGORY || feature->kind == LP_FEATURE_TEXT) {
        lp_buffer_format(out, "missing: %s", fillers[feature->missing]);
    } else {
        lp_buffer_format(out, "missing: %s ", fillers[feature->missing]);
        lp_buffer_double(out, feature->missing_value);
    }
}

static void why_clipped(const struct lp_feature *feature, struct lp_buffer *out)
{
    lp_buffer_text(out, "outlier: clipped to [");
    lp_buffer_double(out, feature->low);
    lp_buffer_text(out, ", ");
    lp_buffer_double(out, feature->high);
    lp_buffer_text(out, "]");
}

static void why_normalized(const struct lp_feature *feature, struct lp_buffer *out)
{
    static const char *const names[] = {"", "mean", "min", "median"};
    static const char *const scales[] = {"", "std", "max - min", "iqr"};
    if (feature->normalize == LP_NORMALIZE_LOG1P) {
        lp_buffer_text(out, "log1p(x)");
        return;
    }
    if (feature->normalize == LP_NORMALIZE_BUCKETS) {
        lp_buffer_format(out, "its bucket of %u", feature->bucket_edge_count + 1);
        return;
    }
    if (feature->scale == 0.0) {
        lp_buffer_format(out, "0, as the feature was constant: %s 0", scales[feature->normalize]);
        return;
    }
    lp_buffer_format(out, "(x - %s ", names[feature->normalize]);
    lp_buffer_double(out, feature->center);
    lp_buffer_format(out, ") / %s ", scales[feature->normalize]);
    lp_buffer_double(out, feature->scale);
}

static void why_encoded(const struct lp_feature *feature, struct lp_buffer *out)
{
    static const char *const names[] = {"onehot", "index", "hash", "hash onehot", "target mean"};
    lp_buffer_format(out, "%s of %u", names[feature->encoding], feature->vocabulary_count);
    if (feature->cross_count > 0) lp_buffer_format(out, ", crossed with %u", feature->cross_count);
}

static void why_derived(const struct lp_feature *feature, struct lp_buffer *out)
{
    if (feature->kind == LP_FEATURE_TIME) lp_buffer_text(out, "parts of the date");
    else lp_buffer_format(out, "n-grams hashed to %u", feature->vocabulary_count);
}

/* Parts of one sentence. */
static void part(struct lp_buffer *out, size_t begin, void (*print)(const struct lp_feature *, struct lp_buffer *),
                 const struct lp_feature *feature)
{
    if (out->size > begin) lp_buffer_text(out, "; ");
    print(feature, out);
}

static void why_unknown(const struct lp_feature *feature, struct lp_buffer *out)
{
    lp_buffer_text(out, feature->unknown_bucket ? "unknown value: its own bucket" : "unknown value");
}

/* Holds nothing that JSON must escape. */
static void print_why(const struct lp_feature *feature, const struct lp_clean_counts *counts, struct lp_buffer *out)
{
    size_t begin = out->size;
    bool category = feature->kind == LP_FEATURE_CATEGORY;
    bool derived = feature->kind == LP_FEATURE_TEXT || feature->kind == LP_FEATURE_TIME;
    if (counts->clipped > 0) part(out, begin, why_clipped, feature);
    if (counts->unknown > 0) part(out, begin, why_unknown, feature);
    if (counts->missing > 0) part(out, begin, why_missing, feature);
    if (category) part(out, begin, why_encoded, feature);
    else if (derived) part(out, begin, why_derived, feature);
    else if (feature->normalize != LP_NORMALIZE_NONE) part(out, begin, why_normalized, feature);
    if (out->size == begin) lp_buffer_text(out, "as it is");
}

void lp_explain(const struct lp_bundle *bundle, const uint32_t *feature_slots, const struct lp_record *record,
                const double *row, const double *observed, const struct lp_clean_counts *counts, struct lp_buffer *out)
{
    lp_buffer_text(out, "[");
    for (uint32_t i = 0; i < bundle->feature_count; i++) {
        const struct lp_feature *feature = &bundle->features[i];
        lp_buffer_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        lp_buffer_json_string(out, lp_span_text(feature->name));
        lp_buffer_text(out, ",\"from\":");
        lp_buffer_json_string(out, lp_span_text(feature->from));
        lp_buffer_text(out, ",\"raw\":");
        print_raw(feature, record, feature_slots[i], out);
        if (feature->kind == LP_FEATURE_NUMBER || feature->kind == LP_FEATURE_CATEGORY)
            lp_buffer_text(out, ",\"cleaned\":");
        if (feature->kind == LP_FEATURE_NUMBER) print_number(out, cleaned_number(feature, observed[i]));
        if (feature->kind == LP_FEATURE_CATEGORY) print_category(feature, observed[i], out);
        lp_buffer_text(out, ",\"normalized\":");
        print_numbers(out, row + feature->column, feature->column_count);
        lp_buffer_text(out, ",\"why\":\"");
        print_why(feature, &counts[i], out);
        lp_buffer_text(out, "\"}");
    }
    lp_buffer_text(out, "]");
}
