/* Features: where they are, and how numbers and vectors are cleaned and normalized. */
#include "model/array.h"
#include "model/manifest.h"

#include <math.h>
#include <string.h>

static const char *const kinds[] = {
    [LP_FEATURE_NUMBER] = "number", [LP_FEATURE_CATEGORY] = "category", [LP_FEATURE_VECTOR] = "vector",
    [LP_FEATURE_TEXT] = "text",     [LP_FEATURE_TIME] = "time",
};
static const char *const missings[] = {
    [LP_MISSING_MEAN] = "mean",     [LP_MISSING_VALUE] = "value", [LP_MISSING_INDICATOR] = "indicator",
    [LP_MISSING_REJECT] = "reject", [LP_MISSING_KEEP] = "keep",
};
static const char *const outliers[] = {
    [LP_OUTLIER_KEEP] = "keep",
    [LP_OUTLIER_CLIP] = "clip",
    [LP_OUTLIER_MISSING] = "missing",
    [LP_OUTLIER_REJECT] = "reject",
};
static const char *const methods[] = {
    [LP_NORMALIZE_NONE] = "none",     [LP_NORMALIZE_ZSCORE] = "zscore", [LP_NORMALIZE_MINMAX] = "minmax",
    [LP_NORMALIZE_ROBUST] = "robust", [LP_NORMALIZE_LOG1P] = "log1p",   [LP_NORMALIZE_BUCKETS] = "buckets",
};

enum lp_code lp_missing_read_number(const struct lp_node *node, struct lp_feature *feature, struct lp_error *err)
{
    static const char *const members[] = {"policy", "value", NULL};
    struct lp_node missing;
    size_t policy;
    LP_TRY(lp_node_object(node, "missing", members, &missing, err));
    feature->missing = LP_MISSING_KEEP;
    if (missing.json == NULL) return LP_OK;
    LP_TRY(lp_node_choice(&missing, "policy", LP_CHOICE(missings), NULL, &policy, err));
    feature->missing = (enum lp_missing)policy;
    if (feature->missing != LP_MISSING_REJECT && feature->missing != LP_MISSING_KEEP)
        return lp_node_number(&missing, "value", &feature->missing_value, err);
    if (lp_node_has(&missing, "value"))
        return LP_BAD(err, "%s: `value` has no meaning with policy %s", missing.where, missings[policy]);
    return LP_OK;
}

static enum lp_code read_outlier(const struct lp_node *node, struct lp_feature *feature, struct lp_error *err)
{
    static const char *const members[] = {"policy", "low", "high", NULL};
    struct lp_node outlier;
    size_t policy = LP_OUTLIER_KEEP;
    LP_TRY(lp_node_object(node, "outlier", members, &outlier, err));
    feature->low = -INFINITY;
    feature->high = INFINITY;
    if (outlier.json != NULL) {
        LP_TRY(lp_node_choice(&outlier, "policy", LP_CHOICE(outliers), NULL, &policy, err));
        LP_TRY(lp_node_number_or(&outlier, "low", &feature->low, err));
        LP_TRY(lp_node_number_or(&outlier, "high", &feature->high, err));
    }
    feature->outlier = (enum lp_outlier)policy;
    if (feature->outlier == LP_OUTLIER_KEEP && (isfinite(feature->low) || isfinite(feature->high)))
        return LP_BAD(err, "%s: bounds have no meaning with policy keep", outlier.where);
    if (feature->low > feature->high)
        return LP_BAD(err, "%s: `low` %g is above `high` %g", outlier.where, feature->low, feature->high);
    return LP_OK;
}

static enum lp_code read_scale(const struct lp_node *at, const char *center, const char *spread,
                               struct lp_feature *feature, struct lp_error *err)
{
    LP_TRY(lp_node_number(at, center, &feature->center, err));
    LP_TRY(lp_node_number(at, spread, &feature->scale, err));
    if (feature->normalize == LP_NORMALIZE_MINMAX) feature->scale -= feature->center;
    if (!(feature->scale >= 0 && isfinite(feature->scale)))
        return LP_BAD(err, "%s: a spread of %g: it must be finite and not negative", at->where, feature->scale);
    return LP_OK;
}

static enum lp_code read_buckets(struct lp_bundle *bundle, const struct lp_node *at, struct lp_feature *feature,
                                 struct lp_error *err)
{
    if (feature->kind == LP_FEATURE_VECTOR) return LP_BAD(err, "%s: buckets are for single numbers", at->where);
    LP_TRY(lp_array_numbers(bundle, at, "edges", &feature->bucket_edges, &feature->bucket_edge_count, err));
    for (uint32_t i = 1; i < feature->bucket_edge_count; i++)
        if (!(feature->bucket_edges[i - 1] < feature->bucket_edges[i]))
            return LP_BAD(err, "%s: `edges`[%u] is not above the one before it", at->where, i);
    if (feature->bucket_edge_count == 0) return LP_BAD(err, "%s: `edges` is empty", at->where);
    if (feature->bucket_edge_count >= LP_BUNDLE_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: %u edges, fewer than %d are allowed", at->where,
                       feature->bucket_edge_count, LP_BUNDLE_COLUMNS_MAX);
    return LP_OK;
}

static enum lp_code read_normalize(struct lp_bundle *bundle, const struct lp_node *node, struct lp_feature *feature,
                                   struct lp_error *err)
{
    static const char *const members[][4] = {
        [LP_NORMALIZE_NONE] = {"method"},
        [LP_NORMALIZE_ZSCORE] = {"method", "mean", "std"},
        [LP_NORMALIZE_MINMAX] = {"method", "min", "max"},
        [LP_NORMALIZE_ROBUST] = {"method", "median", "iqr"},
        [LP_NORMALIZE_LOG1P] = {"method"},
        [LP_NORMALIZE_BUCKETS] = {"method", "edges"},
    };
    struct lp_node at;
    size_t method;
    feature->scale = 1;
    LP_TRY(lp_node_object(node, "normalize", NULL, &at, err));
    if (at.json == NULL) return LP_OK;
    LP_TRY(lp_node_choice(&at, "method", LP_CHOICE(methods), NULL, &method, err));
    feature->normalize = (enum lp_normalize)method;
    LP_TRY(lp_node_object(node, "normalize", members[method], &at, err));
    if (feature->normalize == LP_NORMALIZE_BUCKETS) return read_buckets(bundle, &at, feature, err);
    if (members[method][1] != NULL) return read_scale(&at, members[method][1], members[method][2], feature, err);
    bool fills = feature->missing != LP_MISSING_REJECT && feature->missing != LP_MISSING_KEEP;
    if (feature->normalize == LP_NORMALIZE_LOG1P && fills && feature->missing_value <= -1)
        return LP_BAD(err, "%s: the missing value %g has no log1p", node->where, feature->missing_value);
    return LP_OK;
}

static enum lp_code read_numeric(struct lp_bundle *bundle, const struct lp_node *node, struct lp_feature *feature,
                                 struct lp_error *err)
{
    json_int_t width = 1;
    if (feature->kind == LP_FEATURE_VECTOR) LP_TRY(lp_node_whole(node, "width", 1, LP_BUNDLE_COLUMNS_MAX, &width, err));
    feature->width = (uint32_t)width;
    LP_TRY(lp_missing_read_number(node, feature, err));
    LP_TRY(read_outlier(node, feature, err));
    LP_TRY(read_normalize(bundle, node, feature, err));
    uint32_t columns = feature->bucket_edge_count > 0 ? feature->bucket_edge_count + 1 : feature->width;
    feature->column_count = columns + (feature->missing == LP_MISSING_INDICATOR);
    return lp_baseline_read_number(bundle, node, &feature->baseline, err);
}

static enum lp_code read_feature(struct lp_bundle *bundle, const json_t *json, uint32_t index,
                                 struct lp_feature *feature, struct lp_error *err)
{
    static const char *const number_members[] = {"name",    "from",      "kind",     "missing",
                                                 "outlier", "normalize", "baseline", NULL};
    static const char *const category_members[] = {"name",   "from",  "kind",     "missing",
                                                   "encode", "cross", "baseline", NULL};
    static const char *const vector_members[] = {"name",    "from",    "kind",      "width",
                                                 "missing", "outlier", "normalize", NULL};
    static const char *const text_members[] = {"name", "from", "kind", "missing", "encode", NULL};
    static const char *const time_members[] = {"name", "from", "kind", "missing", "parts", NULL};
    static const char *const *const members[] = {number_members, category_members, vector_members, text_members,
                                                 time_members};
    struct lp_node node;
    size_t kind;
    LP_TRY(lp_node_init(&node, json, NULL, err, "features[%u]", index));
    LP_TRY(lp_node_text(&node, "name", LP_NAME_MAX_BYTES, bundle->storage, &feature->name, err));
    LP_TRY(lp_node_init(&node, json, NULL, err, "feature `%.64s`", feature->name));
    LP_TRY(lp_node_choice(&node, "kind", LP_CHOICE(kinds), NULL, &kind, err));
    feature->kind = (enum lp_feature_kind)kind;
    LP_TRY(lp_node_init(&node, json, members[kind], err, "feature `%.64s`", feature->name));
    LP_TRY(lp_node_text(&node, "from", LP_PATH_MAX_BYTES, bundle->storage, &feature->from, err));
    if (strstr(feature->from, "[]") != NULL)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "%s: `from` %.64s: candidate lists are not in this release",
                       node.where, feature->from);
    switch (feature->kind) {
    case LP_FEATURE_CATEGORY: return lp_category_read(bundle, &node, feature, err);
    case LP_FEATURE_TEXT: return lp_text_read(&node, feature, err);
    case LP_FEATURE_TIME: return lp_time_read(&node, feature, err);
    case LP_FEATURE_NUMBER:
    case LP_FEATURE_VECTOR: break;
    }
    return read_numeric(bundle, &node, feature, err);
}

static enum lp_code check_names(const struct lp_bundle *bundle, struct lp_error *err)
{
    const char **names = lp_storage_take(bundle->storage, bundle->feature_count, sizeof *names, err);
    if (names == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < bundle->feature_count; i++) names[i] = bundle->features[i].name;
    return lp_array_check_distinct(names, bundle->feature_count, "features", err);
}

enum lp_code lp_features_read(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err)
{
    const json_t *array;
    LP_TRY(lp_node_array(manifest, "features", &array, err));
    size_t count = json_array_size(array);
    if (count == 0) return LP_BAD(err, "%s: `features` is empty", manifest->where);
    if (count > LP_BUNDLE_FEATURES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu features, at most %d are allowed", count,
                       LP_BUNDLE_FEATURES_MAX);
    struct lp_feature *features = lp_storage_take(bundle->storage, count, sizeof *features, err);
    if (features == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        LP_TRY(read_feature(bundle, json_array_get(array, i), i, &features[i], err));
        features[i].column = bundle->column_count;
        if (features[i].column_count > LP_BUNDLE_COLUMNS_MAX - bundle->column_count)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "feature `%.64s`: the row has more than %d columns",
                           features[i].name, LP_BUNDLE_COLUMNS_MAX);
        bundle->column_count += features[i].column_count;
    }
    bundle->features = features;
    bundle->feature_count = (uint32_t)count;
    LP_TRY(check_names(bundle, err));
    for (uint32_t i = 0; i < count; i++) LP_TRY(lp_cross_read(bundle, json_array_get(array, i), &features[i], err));
    return LP_OK;
}
