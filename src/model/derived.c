/* Features that are made of others or taken apart: texts as n-grams, times as parts, crosses of categories. */
#include "model/array.h"
#include "model/manifest.h"

#include <string.h>

enum { NGRAM_MAX = 8, BUCKETS_MAX = 1 << 16, CROSS_MAX = 8 };

/* A text that is missing has no n-gram: zeros; `keep` would say it is not known. */
static enum lp_code read_text_missing(const struct lp_node *node, struct lp_feature *feature, struct lp_error *err)
{
    static const char *const members[] = {"policy", NULL};
    static const char *const policies[] = {"empty", "indicator", "reject", "keep"};
    static const enum lp_missing meanings[] = {LP_MISSING_VALUE, LP_MISSING_INDICATOR, LP_MISSING_REJECT,
                                               LP_MISSING_KEEP};
    struct lp_node missing;
    size_t policy;
    LP_TRY(lp_node_object(node, "missing", members, &missing, err));
    feature->missing = LP_MISSING_KEEP;
    if (missing.json == NULL) return LP_OK;
    LP_TRY(lp_node_choice(&missing, "policy", LP_CHOICE(policies), NULL, &policy, err));
    feature->missing = meanings[policy];
    return LP_OK;
}

enum lp_code lp_text_read(const struct lp_node *node, struct lp_feature *feature, struct lp_error *err)
{
    static const char *const members[] = {"method", "unit", "low", "high", "buckets", "norm", NULL};
    static const char *const methods[] = {"ngrams"}, *const units[] = {"word", "character"},
                             *const norms[] = {"none", "l2"};
    struct lp_node encode;
    size_t method, unit, norm;
    json_int_t low, high, buckets;
    LP_TRY(lp_node_object(node, "encode", members, &encode, err));
    if (encode.json == NULL) return LP_BAD(err, "%s: `encode` is missing: a text needs one", node->where);
    LP_TRY(lp_node_choice(&encode, "method", LP_CHOICE(methods), NULL, &method, err));
    LP_TRY(lp_node_choice(&encode, "unit", LP_CHOICE(units), NULL, &unit, err));
    LP_TRY(lp_node_choice(&encode, "norm", LP_CHOICE(norms), NULL, &norm, err));
    LP_TRY(lp_node_whole(&encode, "low", 1, NGRAM_MAX, &low, err));
    LP_TRY(lp_node_whole(&encode, "high", low, NGRAM_MAX, &high, err));
    LP_TRY(lp_node_whole(&encode, "buckets", 1, BUCKETS_MAX, &buckets, err));
    LP_TRY(read_text_missing(node, feature, err));
    feature->width = 1;
    feature->scale = 1;
    feature->ngram_low = (uint32_t)low;
    feature->ngram_high = (uint32_t)high;
    feature->ngram_characters = unit == 1;
    feature->ngram_unit_length = norm == 1;
    feature->vocabulary_count = (uint32_t)buckets;
    feature->column_count = feature->vocabulary_count + (feature->missing == LP_MISSING_INDICATOR);
    return LP_OK;
}

enum lp_code lp_time_read(const struct lp_node *node, struct lp_feature *feature, struct lp_error *err)
{
    static const char *const names[LP_TIME_PARTS] = {
        [LP_TIME_HOUR] = "hour",   [LP_TIME_WEEKDAY] = "weekday", [LP_TIME_WEEKEND] = "weekend",
        [LP_TIME_MONTH] = "month", [LP_TIME_SEASON] = "season",
    };
    const json_t *parts, *item;
    size_t index;
    LP_TRY(lp_missing_read_number(node, feature, err));
    LP_TRY(lp_node_array(node, "parts", &parts, err));
    json_array_foreach(parts, index, item)
    {
        const char *name = json_string_value(item);
        size_t part = 0;
        while (part < LP_TIME_PARTS && (name == NULL || strcmp(name, names[part]) != 0)) part++;
        if (part == LP_TIME_PARTS)
            return LP_BAD(err, "%s: `parts`[%zu] is none of hour, weekday, weekend, month, season", node->where, index);
        if (feature->time_parts[part]) return LP_BAD(err, "%s: `parts` names %s twice", node->where, name);
        feature->time_parts[part] = true;
        feature->column_count += lp_time_part_columns((enum lp_time_part)part);
    }
    if (feature->column_count == 0) return LP_BAD(err, "%s: `parts` is empty", node->where);
    feature->width = 1;
    feature->scale = 1;
    feature->column_count += feature->missing == LP_MISSING_INDICATOR;
    return LP_OK;
}

static enum lp_code find_crossed(const struct lp_bundle *bundle, const struct lp_node *node, const char *name,
                                 const struct lp_feature *self, uint32_t *ret_index, struct lp_error *err)
{
    for (uint32_t i = 0; name != NULL && i < bundle->feature_count; i++) {
        const struct lp_feature *other = &bundle->features[i];
        if (strcmp(other->name, name) != 0) continue;
        if (other == self || other->kind != LP_FEATURE_CATEGORY || other->cross_count > 0)
            return LP_BAD(err, "%s: `cross` names `%.64s`: another category that is no cross is needed", node->where,
                          name);
        *ret_index = i;
        return LP_OK;
    }
    return LP_BAD(err, "%s: `cross` names `%.64s`, which is no feature", node->where, name != NULL ? name : "");
}

enum lp_code lp_cross_read(struct lp_bundle *bundle, const json_t *json, struct lp_feature *feature,
                           struct lp_error *err)
{
    struct lp_node node;
    const json_t *names;
    if (json_object_get(json, "cross") == NULL) return LP_OK;
    LP_TRY(lp_node_init(&node, json, NULL, err, "feature `%.64s`", feature->name));
    LP_TRY(lp_node_array(&node, "cross", &names, err));
    size_t count = json_array_size(names);
    if (count == 0 || count > CROSS_MAX)
        return LP_BAD(err, "%s: `cross` has %zu names: 1 to %d", node.where, count, CROSS_MAX);
    if (feature->encoding != LP_ENCODING_HASH && feature->encoding != LP_ENCODING_HASH_ONEHOT)
        return LP_BAD(err, "%s: `cross` needs encode method hash or hash_onehot", node.where);
    if (feature->missing == LP_MISSING_VALUE)
        return LP_BAD(err, "%s: a cross has no value for what is missing: indicator, reject or keep", node.where);
    uint32_t *cross = lp_storage_take(bundle->storage, count, sizeof *cross, err);
    if (cross == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < count; i++)
        LP_TRY(find_crossed(bundle, &node, json_string_value(json_array_get(names, i)), feature, &cross[i], err));
    feature->cross = cross;
    feature->cross_count = (uint32_t)count;
    return LP_OK;
}
