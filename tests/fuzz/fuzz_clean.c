/*
 * Cleaning: features and a record made from the input. A cleaner of all features (which merges neighbours into runs)
 * must do what cleaners of one feature each do: columns, observed values, counters, refusal.
 */
// stages: clean
#include "clean/clean.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FEATURES_MAX = 12, COLUMNS_MAX = 128, SLOTS_MAX = 64 };

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t byte(struct input *in)
{
    if (in->size == 0) return 0;
    in->size--;
    return *in->data++;
}

/* Mostly small numbers, now and then any bits of a double. */
static double number(struct input *in)
{
    uint8_t kind = byte(in);
    if (kind < 224) return (double)((int8_t)byte(in)) / 16.0;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | byte(in);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static const char *const words[] = {"", "a", "bb", "ccc", "dddd"};
static const double edges[] = {-2, -0.5, 0, 3}, targets[] = {0.25, -1, 7, 0.5, 2};

static void make_feature(struct input *in, struct lp_feature *f)
{
    uint8_t kind = byte(in), rules = byte(in), more = byte(in);
    *f = (struct lp_feature){.name = "f", .from = "f", .width = 1};
    f->kind = kind % 4 == 3 ? LP_FEATURE_VECTOR : kind % 4 == 2 ? LP_FEATURE_CATEGORY : LP_FEATURE_NUMBER;
    f->missing = (enum lp_missing)(rules % 5);
    f->outlier = (enum lp_outlier)(rules / 5 % 4);
    f->normalize = (enum lp_normalize)(rules / 20 % 6);
    f->encoding = (enum lp_encoding)(more % 5);
    f->target_values = targets;
    f->target_prior = 0.125;
    f->unknown_bucket = more / 5 % 2 || f->encoding == LP_ENCODING_TARGET;
    f->vocabulary_count = more / 10 % 5;
    f->vocabulary = words;
    if (kind >= 192) f->kind = kind % 2 == 0 ? LP_FEATURE_TEXT : LP_FEATURE_TIME;
    if (f->kind == LP_FEATURE_VECTOR) f->width = more % 6;
    f->missing_value = number(in);
    f->low = number(in);
    f->high = number(in);
    f->center = number(in);
    f->scale = number(in);
    f->column_count = f->kind == LP_FEATURE_VECTOR ? f->width : 1;
    if (f->kind == LP_FEATURE_CATEGORY && f->encoding == LP_ENCODING_ONEHOT)
        f->column_count = f->vocabulary_count + f->unknown_bucket;
    if (f->kind == LP_FEATURE_CATEGORY && f->encoding == LP_ENCODING_HASH_ONEHOT) f->column_count = f->vocabulary_count;
    if (f->kind == LP_FEATURE_VECTOR && f->normalize == LP_NORMALIZE_BUCKETS) f->normalize = LP_NORMALIZE_NONE;
    if (f->kind == LP_FEATURE_NUMBER && f->normalize == LP_NORMALIZE_BUCKETS) {
        f->bucket_edges = edges;
        f->bucket_edge_count = 1 + more % 4;
        f->column_count = f->bucket_edge_count + 1;
    }
    if (f->kind == LP_FEATURE_TEXT) {
        f->ngram_low = 1 + rules % 3;
        f->ngram_high = f->ngram_low + rules / 3 % 3;
        f->ngram_characters = more % 2;
        f->ngram_unit_length = more / 2 % 2;
        f->column_count = f->vocabulary_count;
    }
    if (f->kind == LP_FEATURE_TIME) {
        f->column_count = 0;
        for (int part = 0; part < LP_TIME_PARTS; part++) {
            f->time_parts[part] = (more >> part & 1) != 0;
            if (f->time_parts[part]) f->column_count += lp_time_part_columns((enum lp_time_part)part);
        }
    }
    f->column_count += f->missing == LP_MISSING_INDICATOR;
}

static double numbers[SLOTS_MAX];
static struct lp_span texts[SLOTS_MAX];

/* What one feature comes to. */
struct cleaned {
    double columns[COLUMNS_MAX], observed;
    bool missing, clipped, unknown, refused;
};

static double normalized(const struct lp_feature *f, double x)
{
    if (f->normalize == LP_NORMALIZE_NONE || f->normalize == LP_NORMALIZE_BUCKETS) return x;
    if (f->normalize == LP_NORMALIZE_LOG1P) return log1p(x);
    if (isnan(x)) return x;
    return f->scale == 0 ? 0 : (x - f->center) / f->scale;
}

/* An outlier that its feature neither refuses nor keeps. */
static double settle(const struct lp_feature *f, double x, bool *clipped)
{
    if (f->outlier == LP_OUTLIER_MISSING) return NAN;
    x = x < f->low ? f->low : x > f->high ? f->high : x;
    if (isinf(x)) return NAN;
    *clipped = true;
    return x;
}

static void clean_number(const struct lp_feature *f, const double *values, struct cleaned *out)
{
    bool fills = f->missing != LP_MISSING_KEEP && f->missing != LP_MISSING_REJECT;
    out->observed = NAN;
    for (uint32_t i = 0; i < f->width; i++) {
        double x = values[i];
        bool outside = x < f->low || x > f->high || isinf(x);
        out->refused |= outside && f->outlier == LP_OUTLIER_REJECT;
        if (out->refused) return;
        if (outside && f->outlier != LP_OUTLIER_KEEP) x = settle(f, x, &out->clipped);
        if (f->normalize == LP_NORMALIZE_LOG1P && x <= -1) x = NAN;
        if (f->kind == LP_FEATURE_NUMBER) out->observed = x;
        out->missing |= isnan(x);
        double y = normalized(f, isnan(x) && fills ? f->missing_value : x);
        uint32_t bucket = 0;
        while (bucket < f->bucket_edge_count && y >= f->bucket_edges[bucket]) bucket++;
        for (uint32_t k = 0; k <= f->bucket_edge_count; k++) out->columns[i + k] = isnan(y) ? y : (double)(k == bucket);
        if (f->bucket_edge_count == 0) out->columns[i] = y;
    }
    if (f->missing == LP_MISSING_INDICATOR) out->columns[f->width + f->bucket_edge_count] = out->missing;
    out->refused = out->missing && f->missing == LP_MISSING_REJECT;
}

static uint32_t index_of(const struct lp_feature *f, struct lp_span text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < text.size; i++) hash = (hash ^ text.data[i]) * UINT64_C(1099511628211);
    if (f->encoding == LP_ENCODING_HASH || f->encoding == LP_ENCODING_HASH_ONEHOT)
        return (uint32_t)(hash % f->vocabulary_count);
    uint32_t index = 0;
    while (index < f->vocabulary_count && !lp_span_is(text, f->vocabulary[index])) index++;
    return index;
}

static double target(const struct lp_feature *f, double index)
{
    bool known = index >= 0 && index < f->vocabulary_count;
    return known ? f->target_values[(uint32_t)index] : f->target_prior;
}

/* A missing category's column i. */
static double filler(const struct lp_feature *f, uint32_t i)
{
    if (f->missing == LP_MISSING_KEEP) return NAN;
    if (f->encoding == LP_ENCODING_TARGET)
        return f->missing == LP_MISSING_INDICATOR ? f->target_prior : target(f, f->missing_value);
    if (f->encoding == LP_ENCODING_HASH || f->encoding == LP_ENCODING_INDEX) return f->missing_value;
    return f->missing == LP_MISSING_VALUE && f->missing_value >= i && f->missing_value < i + 1.0;
}

static void clean_text(const struct lp_feature *f, struct lp_span text, struct cleaned *out)
{
    bool hashed = f->encoding == LP_ENCODING_HASH || f->encoding == LP_ENCODING_HASH_ONEHOT;
    bool onehot = f->encoding == LP_ENCODING_ONEHOT || f->encoding == LP_ENCODING_HASH_ONEHOT;
    uint32_t index = index_of(f, text), columns = 1;
    if (onehot) columns = f->vocabulary_count + (!hashed && f->unknown_bucket);
    out->unknown = text.data != NULL && !hashed && index == f->vocabulary_count;
    out->missing = text.data == NULL || (out->unknown && !f->unknown_bucket);
    out->observed = out->missing ? (double)NAN : (double)index;
    out->refused = out->missing && f->missing == LP_MISSING_REJECT;
    for (uint32_t i = 0; i < columns; i++)
        out->columns[i] = out->missing                        ? filler(f, i)
                          : onehot                            ? (double)(i == index)
                          : f->encoding == LP_ENCODING_TARGET ? target(f, index)
                                                              : (double)index;
    if (f->missing == LP_MISSING_INDICATOR) out->columns[columns] = out->missing;
}

/* Zeros may differ in sign: a constant feature is 0 in one way or another. */
static void same(const double *a, const double *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (isnan(a[i]) ? !isnan(b[i]) : a[i] != b[i]) abort();
}

/* What can be said without doing it again (tests/cli/test_features.py does): what is missing, refused, not a number. */
static void check_derived(const struct lp_feature *f, uint32_t slot, const double *row,
                          const struct lp_clean_counts *counts, bool done)
{
    bool text = f->kind == LP_FEATURE_TEXT;
    bool missing =
        text ? texts[slot].data == NULL : !(numbers[slot] >= -62135596800000 && numbers[slot] < 253402300800000);
    if (counts->missing != missing || (counts->rejected > 0) != (missing && f->missing == LP_MISSING_REJECT)) abort();
    if (!done) return;
    uint32_t columns = f->column_count - (f->missing == LP_MISSING_INDICATOR);
    double square = 0;
    for (uint32_t i = 0; i < columns; i++) {
        double x = row[f->column + i];
        if ((missing && f->missing == LP_MISSING_KEEP) != (isnan(x) != 0) || x < (text ? 0 : -1)) abort();
        square += x * x;
    }
    if (text && f->ngram_unit_length && square > 0 && fabs(square - 1) > 1e-9) abort();
    if (columns < f->column_count && row[f->column + columns] != missing) abort();
}

static void compare(const struct lp_bundle *bundle, const uint32_t *slots, const struct lp_cleaner *cleaner)
{
    static double row[COLUMNS_MAX], observed[FEATURES_MAX];
    struct lp_clean_counts counts[FEATURES_MAX] = {0};
    struct lp_error err;
    uint32_t missing_count = 0, missing = 0;
    enum lp_code rc = lp_cleaner_run(cleaner, numbers, texts, row, observed, 1, counts, &missing_count, &err);
    if (rc != LP_OK && (rc != LP_E_REFUSED || err.action != LP_SKIP_RECORD)) abort();
    for (uint32_t i = 0; i < bundle->feature_count; i++) {
        const struct lp_feature *f = &bundle->features[i];
        struct cleaned want = {0};
        if (f->kind == LP_FEATURE_TEXT || f->kind == LP_FEATURE_TIME) {
            check_derived(f, slots[i], row, &counts[i], rc == LP_OK);
            if (counts[i].rejected > 0) return;
            missing += counts[i].missing > 0;
            continue;
        }
        if (f->kind == LP_FEATURE_CATEGORY) clean_text(f, texts[slots[i]], &want);
        else clean_number(f, numbers + slots[i], &want);
        if (want.refused != (counts[i].rejected > 0) || (want.refused && rc == LP_OK)) abort();
        if (want.refused) return;
        if (counts[i].missing != want.missing || counts[i].clipped != want.clipped || counts[i].unknown != want.unknown)
            abort();
        missing += want.missing;
        if (rc != LP_OK) continue;
        same(want.columns, row + f->column, f->column_count);
        same(&want.observed, &observed[i], 1);
    }
    if (rc != LP_OK || missing != missing_count) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct lp_feature features[FEATURES_MAX];
    uint32_t slots[FEATURES_MAX], next_number = 0, next_text = 0;
    struct lp_bundle bundle = {.features = features, .feature_count = byte(&in) % (FEATURES_MAX + 1)};
    for (uint32_t i = 0; i < bundle.feature_count; i++) {
        make_feature(&in, &features[i]);
        features[i].column = bundle.column_count;
        bundle.column_count += features[i].column_count;
        bool text = features[i].kind == LP_FEATURE_CATEGORY || features[i].kind == LP_FEATURE_TEXT;
        slots[i] = text ? next_text++ : next_number;
        if (!text) next_number += features[i].width;
    }
    if (bundle.column_count > COLUMNS_MAX || next_number > SLOTS_MAX) return 0;
    for (uint32_t i = 0; i < next_number; i++) numbers[i] = number(&in);
    for (uint32_t i = 0; i < next_text; i++) {
        uint8_t word = byte(&in);
        texts[i] = word % 6 == 5 ? (struct lp_span){0} : lp_span_text(words[word % 6]);
    }
    struct lp_cleaner *cleaner;
    struct lp_error err;
    if (lp_cleaner_new(&bundle, slots, &cleaner, &err) != LP_OK) return 0;
    compare(&bundle, slots, cleaner);
    lp_cleaner_free(cleaner);
    return 0;
}
