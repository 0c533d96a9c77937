/* Statistics -> the feature list of a bundle. What a caller's spec says about a feature holds; the rest is fitted. */
#include "fit/private.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BINS = 10, /* of a baseline, and buckets */
    BUCKETS_MAX = 1000,
    VALUES_AS_BINS = 20,  /* so many different numbers are a bin each */
    ONEHOT_MAX = 64,      /* more values are an index, for an embedding */
    VOCABULARY_MAX = 999, /* what a manifest holds in JSON: a baseline counts all others, too */
    HASH_BUCKETS = 1024,
    TEXT_BUCKETS = 256,
};

static const double indicator_rate = 0.01, robust_reach = 5, heavy_ratio = 10, log_ratio = 50,
                    target_weight = 20; /* records that the prior counts as, beside a value's own */

static const char *word_of(const json_t *asked, const char *key, const char *member)
{
    return json_string_value(json_object_get(json_object_get(asked, key), member));
}

static double number_of(const json_t *asked, const char *key, const char *member, double otherwise)
{
    const json_t *value = json_object_get(json_object_get(asked, key), member);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* As a whole number; what no feature list allows stays so, and is refused by its reader. */
static json_int_t whole_of(const json_t *asked, const char *key, const char *member, json_int_t otherwise)
{
    return (json_int_t)fmin(fmax(number_of(asked, key, member, (double)otherwise), -1), INT32_MAX);
}

static json_t *real(double value) { return json_real(isfinite(value) ? value : value > 0 ? DBL_MAX : -DBL_MAX); }

/* --- numbers --- */

static json_t *number_baseline(const struct lp_fit *fit, const struct lp_fit_column *column)
{
    double edges[VALUES_AS_BINS], counts[VALUES_AS_BINS + 1];
    uint32_t edge_count = 0;
    if (column->view.count == 0) return NULL;
    if (column->value_count <= VALUES_AS_BINS) {
        for (uint32_t i = 1; i < column->value_count; i++) edges[edge_count++] = column->values[i].value;
    } else {
        for (int i = 1; i < BINS; i++) {
            double edge = lp_quantiles_at(&column->view, (double)i / BINS);
            double last = edge_count > 0 ? edges[edge_count - 1] : column->moments.min;
            if (edge > last) edges[edge_count++] = edge; /* ties make one bin */
        }
    }
    double below = 0;
    for (uint32_t i = 0; i <= edge_count; i++) {
        double upto = i < edge_count ? lp_quantiles_below(&column->view, edges[i]) : (double)column->view.total;
        counts[i] = upto - below;
        below = upto;
    }
    for (uint32_t i = 0; column->value_count <= VALUES_AS_BINS && i < column->value_count; i++)
        counts[i] = (double)column->values[i].count;
    json_t *edge_list = json_array(), *count_list = json_array();
    for (uint32_t i = 0; i < edge_count; i++) json_array_append_new(edge_list, real(edges[i]));
    for (uint32_t i = 0; i <= edge_count; i++) json_array_append_new(count_list, json_integer((json_int_t)counts[i]));
    return json_pack("{s:o, s:o, s:f}", "edges", edge_list, "counts", count_list, "missing_rate",
                     (double)column->missing / (double)fit->records);
}

static json_t *number_missing(const struct lp_fit *fit, const struct lp_fit_column *column, const json_t *asked,
                              double fill)
{
    const char *policy = word_of(asked, "missing", "policy");
    double rate = (double)column->missing / (double)fit->records;
    if (policy == NULL) policy = rate >= indicator_rate ? "indicator" : "mean";
    if (strcmp(policy, "reject") == 0 || strcmp(policy, "keep") == 0) return json_pack("{s:s}", "policy", policy);
    return json_pack("{s:s, s:o}", "policy", policy, "value", real(number_of(asked, "missing", "value", fill)));
}

/* Bounds: a caller's own, quantiles, or so many interquartile ranges beyond the quartiles, which is the default. */
static void find_bounds(const struct lp_fit_column *column, const json_t *asked, double *ret_low, double *ret_high)
{
    const struct lp_quantiles_view *view = &column->view;
    const json_t *quantiles = json_object_get(json_object_get(asked, "outlier"), "quantiles");
    if (json_array_size(quantiles) == 2) {
        *ret_low = lp_quantiles_at(view, json_number_value(json_array_get(quantiles, 0)));
        *ret_high = lp_quantiles_at(view, json_number_value(json_array_get(quantiles, 1)));
    } else {
        double low = lp_quantiles_at(view, 0.25), high = lp_quantiles_at(view, 0.75);
        double reach = number_of(asked, "outlier", "robust", robust_reach) * (high - low);
        *ret_low = low - reach;
        *ret_high = high + reach;
    }
    *ret_low = number_of(asked, "outlier", "low", *ret_low);
    *ret_high = number_of(asked, "outlier", "high", *ret_high);
}

static json_t *number_outlier(const struct lp_fit_column *column, const json_t *asked)
{
    const char *policy = word_of(asked, "outlier", "policy");
    bool told = json_object_get(asked, "outlier") != NULL;
    double spread = lp_quantiles_at(&column->view, 0.75) - lp_quantiles_at(&column->view, 0.25), low, high;
    /* Two values, or mostly one: there is no scale to say what is far away. */
    bool scaled = spread > 0 && column->value_count > 2;
    if (policy == NULL) policy = told || scaled ? "clip" : "keep";
    if (strcmp(policy, "keep") == 0 || column->view.count == 0) return json_pack("{s:s}", "policy", "keep");
    find_bounds(column, asked, &low, &high);
    return json_pack("{s:s, s:o, s:o}", "policy", policy, "low", real(low), "high", real(high));
}

/* Counts with a long tail are better off as logarithms; heavy tails on both sides by median and quartiles. */
static const char *pick_normalize(const struct lp_fit_column *column)
{
    const struct lp_quantiles_view *view = &column->view;
    double median = lp_quantiles_at(view, 0.5), spread = lp_quantiles_at(view, 0.75) - lp_quantiles_at(view, 0.25);
    if (column->value_count > LP_FIT_VALUES_MAX && column->moments.min >= 0 &&
        lp_quantiles_at(view, 0.999) > log_ratio * (median + 1))
        return "log1p";
    return spread > 0 && lp_moments_std(&column->moments) > heavy_ratio * spread ? "robust" : "zscore";
}

/* The caller's edges, or quantiles. */
static json_t *bucket_edges(const struct lp_fit_column *column, const json_t *asked)
{
    json_t *edges = json_deep_copy(json_object_get(json_object_get(asked, "normalize"), "edges"));
    double count = number_of(asked, "normalize", "count", BINS), last = column->moments.min;
    if (edges == NULL) {
        edges = json_array();
        for (double i = 1; i < count && i < BUCKETS_MAX; i++) {
            double edge = lp_quantiles_at(&column->view, i / count);
            if (edge > last) json_array_append_new(edges, real(edge));
            last = edge > last ? edge : last;
        }
        if (json_array_size(edges) == 0) json_array_append_new(edges, real(column->moments.max));
    }
    return json_pack("{s:s, s:o}", "method", "buckets", "edges", edges);
}

static json_t *number_normalize(const struct lp_fit_column *column, const json_t *asked)
{
    const struct lp_quantiles_view *view = &column->view;
    const struct lp_moments *m = &column->moments;
    const char *method = word_of(asked, "normalize", "method");
    if (method == NULL) method = m->count > 0 ? pick_normalize(column) : "none";
    if (strcmp(method, "zscore") == 0)
        return json_pack("{s:s, s:o, s:o}", "method", method, "mean",
                         real(number_of(asked, "normalize", "mean", lp_moments_mean(m))), "std",
                         real(number_of(asked, "normalize", "std", lp_moments_std(m))));
    if (strcmp(method, "minmax") == 0)
        return json_pack("{s:s, s:o, s:o}", "method", method, "min", real(number_of(asked, "normalize", "min", m->min)),
                         "max", real(number_of(asked, "normalize", "max", m->max)));
    if (strcmp(method, "robust") == 0)
        return json_pack(
            "{s:s, s:o, s:o}", "method", method, "median",
            real(number_of(asked, "normalize", "median", lp_quantiles_at(view, 0.5))), "iqr",
            real(number_of(asked, "normalize", "iqr", lp_quantiles_at(view, 0.75) - lp_quantiles_at(view, 0.25))));
    if (strcmp(method, "buckets") == 0) return bucket_edges(column, asked);
    return json_pack("{s:s}", "method", method);
}

static json_t *number_feature(const struct lp_fit *fit, const struct lp_fit_column *column, const json_t *asked)
{
    bool vector = column->kind == LP_FIT_VECTOR;
    double mean = column->moments.count > 0 ? lp_moments_mean(&column->moments) : 0;
    json_t *feature = json_pack("{s:s}", "kind", vector ? "vector" : "number");
    if (vector) json_object_set_new(feature, "width", json_integer(column->width));
    json_t *normalize = number_normalize(column, asked);
    /* In logarithms the middle is the median. */
    bool logarithm = strcmp(json_string_value(json_object_get(normalize, "method")), "log1p") == 0;
    json_object_set_new(feature, "missing",
                        number_missing(fit, column, asked, logarithm ? lp_quantiles_at(&column->view, 0.5) : mean));
    json_object_set_new(feature, "outlier", number_outlier(column, asked));
    json_object_set_new(feature, "normalize", normalize);
    json_t *baseline = vector ? NULL : number_baseline(fit, column);
    if (baseline != NULL) json_object_set_new(feature, "baseline", baseline);
    return feature;
}

/* --- categories --- */

static json_t *category_missing(const struct lp_fit *fit, const struct lp_fit_column *column, const json_t *asked)
{
    const char *policy = word_of(asked, "missing", "policy"), *value = word_of(asked, "missing", "value");
    double rate = (double)column->missing / (double)fit->records;
    if (policy == NULL) policy = rate >= indicator_rate ? "indicator" : "value";
    if (strcmp(policy, "value") != 0) return json_pack("{s:s}", "policy", policy);
    /* A text that is in no vocabulary is what nobody knows. */
    return json_pack("{s:s, s:s}", "policy", policy, "value", value != NULL ? value : "");
}

static json_t *hash_feature(const struct lp_fit *fit, const struct lp_fit_column *column, const json_t *asked)
{
    json_int_t buckets = whole_of(asked, "encode", "buckets", HASH_BUCKETS);
    const char *method = word_of(asked, "encode", "method");
    bool columns = method != NULL && strcmp(method, "hash_onehot") == 0;
    json_t *feature =
        json_pack("{s:s, s:o, s:{s:s, s:I}}", "kind", "category", "missing", category_missing(fit, column, asked),
                  "encode", "method", columns ? "hash_onehot" : "hash", "buckets", buckets);
    json_t *cross = json_object_get(asked, "cross");
    if (cross == NULL) return feature;
    /* What a cross lacks has no value of its own. */
    json_object_set_new(feature, "cross", json_deep_copy(cross));
    const char *policy = word_of(feature, "missing", "policy");
    if (policy == NULL || strcmp(policy, "value") == 0)
        json_object_set_new(feature, "missing", json_pack("{s:s}", "policy", "indicator"));
    return feature;
}

static json_t *category_feature(const struct lp_fit *fit, const struct lp_fit_column *column, const json_t *asked,
                                bool hashed)
{
    const char *method = word_of(asked, "encode", "method");
    bool told = method != NULL && strncmp(method, "hash", 4) == 0;
    bool target = method != NULL && strcmp(method, "target") == 0;
    if (hashed || told || json_object_get(asked, "cross") != NULL) return hash_feature(fit, column, asked);
    const struct lp_top_entry **top = lp_top_sorted(&column->top);
    if (top == NULL) return NULL;
    json_int_t most = whole_of(asked, "encode", "size", VOCABULARY_MAX), count = 0;
    if (most > VOCABULARY_MAX) most = VOCABULARY_MAX;
    json_t *vocabulary = json_array(), *counts = json_array(), *targets = json_array();
    double prior = 0, m2;
    if (target) lp_fit_label_sums(fit, &prior, &m2);
    double rest = (double)column->seen;
    for (uint32_t i = 0; i < column->top.count && count < most; i++) {
        /* Of a full sketch, only what was surely seen more than once is a word to know. */
        if (column->top.full && top[i]->count - top[i]->error < 2) continue;
        json_t *word = json_stringn(top[i]->text, top[i]->bytes);
        if (word == NULL || json_array_append_new(vocabulary, word) != 0) continue;
        json_array_append_new(counts, json_integer((json_int_t)top[i]->count));
        double sure = (double)(top[i]->count - top[i]->error);
        json_array_append_new(targets, real((top[i]->sum + prior * target_weight) / (sure + target_weight)));
        rest -= (double)top[i]->count;
        count++;
    }
    free(top);
    json_array_append_new(counts, json_integer(rest > 0 ? (json_int_t)rest : 0));
    if (count == 0) { /* nothing to know: the hash knows everything a little */
        json_decref(vocabulary);
        json_decref(counts);
        json_decref(targets);
        return hash_feature(fit, column, asked);
    }
    if (method == NULL) method = count <= ONEHOT_MAX ? "onehot" : "index";
    json_t *feature =
        json_pack("{s:s, s:o, s:{s:s, s:o, s:b}}", "kind", "category", "missing", category_missing(fit, column, asked),
                  "encode", "method", method, "vocabulary", vocabulary, "unknown", 1);
    json_t *encode = json_object_get(feature, "encode");
    if (target) {
        json_object_del(encode, "unknown");
        json_object_set(encode, "values", targets);
        json_object_set_new(encode, "prior", real(prior));
    }
    json_decref(targets);
    json_t *baseline =
        json_pack("{s:o, s:f}", "counts", counts, "missing_rate", (double)column->missing / (double)fit->records);
    if (column->seen > 0) json_object_set_new(feature, "baseline", baseline);
    else json_decref(baseline);
    return feature;
}

/* --- texts and times --- */

static json_t *text_feature(const struct lp_fit *fit, const struct lp_fit_column *column, const json_t *asked)
{
    const char *policy = word_of(asked, "missing", "policy"), *unit = word_of(asked, "encode", "unit");
    const char *norm = word_of(asked, "encode", "norm");
    bool gaps = (double)column->missing / (double)fit->records >= indicator_rate;
    return json_pack("{s:s, s:{s:s}, s:{s:s, s:s, s:I, s:I, s:I, s:s}}", "kind", "text", "missing", "policy",
                     policy != NULL ? policy
                     : gaps         ? "indicator"
                                    : "empty",
                     "encode", "method", "ngrams", "unit", unit != NULL ? unit : "word", "low",
                     whole_of(asked, "encode", "low", 1), "high", whole_of(asked, "encode", "high", 2), "buckets",
                     whole_of(asked, "encode", "buckets", TEXT_BUCKETS), "norm", norm != NULL ? norm : "l2");
}

/* The parts that the data's span can tell apart. */
static json_t *time_feature(const struct lp_fit *fit, const struct lp_fit_column *column, const json_t *asked)
{
    double days = (column->moments.max - column->moments.min) / 86400e3, median = lp_quantiles_at(&column->view, 0.5);
    json_t *parts = json_deep_copy(json_object_get(asked, "parts"));
    if (parts == NULL) {
        parts = json_array();
        if (!column->whole_days) json_array_append_new(parts, json_string("hour"));
        if (days >= 7) json_array_append_new(parts, json_string("weekday"));
        if (days >= 300) json_array_append_new(parts, json_string("season"));
        if (json_array_size(parts) == 0) json_array_append_new(parts, json_string("weekend"));
    }
    return json_pack("{s:s, s:o, s:o}", "kind", "time", "missing",
                     number_missing(fit, column, asked, isnan(median) ? 0 : floor(median)), "parts", parts);
}

/* --- all --- */

/* @param asked what the caller says about it; NULL: nothing */
static json_t *make_feature(const struct lp_fit *fit, const struct lp_fit_column *column,
                            const struct lp_fit_options *options, const json_t *asked)
{
    const char *name = json_string_value(json_object_get(asked, "name"));
    bool hashed = lp_fit_is_named(options->hash, options->hash_count, column->path);
    json_t *feature = NULL, *whole = json_object();
    switch (column->kind) {
    case LP_FIT_NUMBER:
    case LP_FIT_VECTOR: feature = number_feature(fit, column, asked); break;
    case LP_FIT_CATEGORY: feature = category_feature(fit, column, asked, hashed); break;
    case LP_FIT_TEXT: feature = text_feature(fit, column, asked); break;
    case LP_FIT_TIME: feature = time_feature(fit, column, asked); break;
    case LP_FIT_IDENTIFIER:
    case LP_FIT_CONSTANT:
    case LP_FIT_LABEL:
    case LP_FIT_DROPPED:
    case LP_FIT_OTHER: break;
    }
    json_object_set_new(whole, "name", json_string(name != NULL ? name : column->path));
    json_object_set_new(whole, "from", json_string(column->path));
    json_object_update(whole, feature);
    json_decref(feature);
    return whole;
}

bool lp_fit_is_feature(enum lp_fit_kind kind)
{
    return kind == LP_FIT_NUMBER || kind == LP_FIT_VECTOR || kind == LP_FIT_CATEGORY || kind == LP_FIT_TEXT ||
           kind == LP_FIT_TIME;
}

/* One feature a column, or each that the caller names; crosses come besides. */
static bool add_features(const struct lp_fit *fit, const struct lp_fit_column *column,
                         const struct lp_fit_options *options, json_t *features)
{
    size_t index;
    const json_t *asked;
    bool plain = lp_fit_asked_plain(fit, column->path) != NULL, good = true;
    if (!plain) good = json_array_append_new(features, make_feature(fit, column, options, NULL)) == 0;
    json_array_foreach(lp_fit_asked(fit, column->path), index, asked)
    {
        good &= json_array_append_new(features, make_feature(fit, column, options, asked)) == 0;
    }
    return good;
}

/* What a cross is made of is a category; anything else would leave it out in silence. */
static enum lp_code check_crosses(const struct lp_fit *fit, const struct lp_fit_column *column, struct lp_error *err)
{
    size_t index;
    const json_t *asked;
    json_array_foreach(lp_fit_asked(fit, column->path), index, asked)
    {
        if (json_object_get(asked, "cross") != NULL && column->kind != LP_FIT_CATEGORY)
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, column->path,
                                 "the spec crosses `%.64s`, a %s (%.100s): a cross is of categories", column->path,
                                 lp_fit_kind_name(column->kind), column->reason);
    }
    return LP_OK;
}

enum lp_code lp_fit_spec(const struct lp_fit *fit, const struct lp_fit_options *options, json_t **ret_spec,
                         struct lp_error *err)
{
    for (uint32_t i = 0; i < fit->column_count; i++) LP_TRY(check_crosses(fit, &fit->columns[i], err));
    json_t *features = json_array();
    for (uint32_t i = 0; i < fit->column_count; i++) {
        if (!lp_fit_is_feature(fit->columns[i].kind)) continue;
        if (add_features(fit, &fit->columns[i], options, features)) continue;
        json_decref(features);
        return lp_fail_memory(err, fit->column_count * sizeof(json_t));
    }
    if (json_array_size(features) == 0) {
        json_decref(features);
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: no column is a feature: %.64s is a %s (%.160s)", options->path,
                       fit->columns[0].path, lp_fit_kind_name(fit->columns[0].kind), fit->columns[0].reason);
    }
    *ret_spec = json_pack("{s:o}", "features", features);
    return *ret_spec != NULL ? LP_OK : lp_fail_memory(err, sizeof(json_t));
}
