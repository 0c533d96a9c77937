/* Categories: encoding, vocabulary, and what a missing one becomes. */
#include "core/hash.h"
#include "model/array.h"
#include "model/manifest.h"

#include <string.h>

enum { HASH_COLUMNS_MAX = 1 << 16 };

static const char *const encodings[] = {
    [LP_ENCODING_ONEHOT] = "onehot",           [LP_ENCODING_INDEX] = "index",   [LP_ENCODING_HASH] = "hash",
    [LP_ENCODING_HASH_ONEHOT] = "hash_onehot", [LP_ENCODING_TARGET] = "target",
};

static enum lp_code read_vocabulary(struct lp_bundle *bundle, const struct lp_node *encode, struct lp_feature *feature,
                                    struct lp_error *err)
{
    static const char *const members[] = {"tensor", "offsets", NULL};
    if (json_is_object(json_object_get(encode->json, "vocabulary"))) {
        struct lp_node source;
        LP_TRY(lp_node_object(encode, "vocabulary", members, &source, err));
        LP_TRY(lp_array_texts(bundle, &source, LP_BUNDLE_COLUMNS_MAX, &feature->vocabulary, &feature->vocabulary_count,
                              err));
    } else {
        LP_TRY(
            lp_array_words(bundle, encode, "vocabulary", false, &feature->vocabulary, &feature->vocabulary_count, err));
    }
    if (feature->vocabulary_count == 0) return LP_BAD(err, "%s: `vocabulary` is empty", encode->where);
    LP_TRY(lp_array_check_distinct(feature->vocabulary, feature->vocabulary_count, encode->where, err));
    feature->unknown_bucket = true;
    return lp_node_flag_or(encode, "unknown", &feature->unknown_bucket, err);
}

static enum lp_code read_target(struct lp_bundle *bundle, const struct lp_node *encode, struct lp_feature *feature,
                                struct lp_error *err)
{
    LP_TRY(read_vocabulary(bundle, encode, feature, err));
    uint32_t count;
    LP_TRY(lp_array_numbers(bundle, encode, "values", &feature->target_values, &count, err));
    if (count != feature->vocabulary_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %u values for a vocabulary of %u", encode->where, count,
                       feature->vocabulary_count);
    return lp_node_number(encode, "prior", &feature->target_prior, err);
}

static enum lp_code read_encoding(struct lp_bundle *bundle, const struct lp_node *node, struct lp_feature *feature,
                                  struct lp_error *err)
{
    static const char *const word_members[] = {"method", "vocabulary", "unknown", NULL};
    static const char *const hash_members[] = {"method", "buckets", NULL};
    static const char *const target_members[] = {"method", "vocabulary", "values", "prior", NULL};
    static const char *const *const members[] = {
        [LP_ENCODING_ONEHOT] = word_members,   [LP_ENCODING_INDEX] = word_members,
        [LP_ENCODING_HASH] = hash_members,     [LP_ENCODING_HASH_ONEHOT] = hash_members,
        [LP_ENCODING_TARGET] = target_members,
    };
    struct lp_node encode;
    size_t method;
    LP_TRY(lp_node_object(node, "encode", NULL, &encode, err));
    if (encode.json == NULL) return LP_BAD(err, "%s: `encode` is missing: a category needs one", node->where);
    LP_TRY(lp_node_choice(&encode, "method", LP_CHOICE(encodings), NULL, &method, err));
    feature->encoding = (enum lp_encoding)method;
    LP_TRY(lp_node_object(node, "encode", members[method], &encode, err));
    if (feature->encoding == LP_ENCODING_TARGET) return read_target(bundle, &encode, feature, err);
    bool columns = feature->encoding == LP_ENCODING_HASH_ONEHOT;
    if (feature->encoding != LP_ENCODING_HASH && !columns) return read_vocabulary(bundle, &encode, feature, err);
    json_int_t buckets;
    LP_TRY(lp_node_whole(&encode, "buckets", 1, columns ? HASH_COLUMNS_MAX : INT32_MAX, &buckets, err));
    feature->vocabulary_count = (uint32_t)buckets;
    return LP_OK;
}

static enum lp_code index_of(const struct lp_node *missing, const char *text, struct lp_feature *feature,
                             struct lp_error *err)
{
    if (feature->vocabulary == NULL) { /* hashed */
        feature->missing_value = (double)(lp_fnv1a64(lp_span_text(text)) % feature->vocabulary_count);
        return LP_OK;
    }
    uint32_t index = 0;
    while (index < feature->vocabulary_count && strcmp(feature->vocabulary[index], text) != 0) index++;
    if (index == feature->vocabulary_count && !feature->unknown_bucket)
        return LP_BAD(err, "%s: `value` `%.64s` is not in the vocabulary, and there is no unknown bucket",
                      missing->where, text);
    feature->missing_value = (double)index;
    return LP_OK;
}

static enum lp_code read_missing(const struct lp_node *node, struct lp_feature *feature, struct lp_error *err)
{
    static const char *const members[] = {"policy", "value", NULL};
    static const char *const policies[] = {"value", "indicator", "reject", "keep"};
    static const enum lp_missing meanings[] = {LP_MISSING_VALUE, LP_MISSING_INDICATOR, LP_MISSING_REJECT,
                                               LP_MISSING_KEEP};
    struct lp_node missing;
    size_t policy;
    LP_TRY(lp_node_object(node, "missing", members, &missing, err));
    feature->missing = LP_MISSING_KEEP;
    if (missing.json == NULL) return LP_OK;
    LP_TRY(lp_node_choice(&missing, "policy", LP_CHOICE(policies), NULL, &policy, err));
    feature->missing = meanings[policy];
    if (feature->missing == LP_MISSING_VALUE) {
        const char *text;
        LP_TRY(lp_node_word(&missing, "value", &text, err));
        return index_of(&missing, text, feature, err);
    }
    if (lp_node_has(&missing, "value"))
        return LP_BAD(err, "%s: `value` has no meaning with policy %s", missing.where, policies[policy]);
    return LP_OK;
}

enum lp_code lp_category_read(struct lp_bundle *bundle, const struct lp_node *node, struct lp_feature *feature,
                              struct lp_error *err)
{
    feature->width = 1;
    LP_TRY(read_encoding(bundle, node, feature, err));
    LP_TRY(read_missing(node, feature, err));
    uint32_t bins = feature->vocabulary_count;
    feature->column_count = 1;
    if (feature->encoding == LP_ENCODING_ONEHOT)
        feature->column_count = feature->vocabulary_count + feature->unknown_bucket;
    if (feature->encoding == LP_ENCODING_HASH_ONEHOT) feature->column_count = feature->vocabulary_count;
    if (feature->vocabulary != NULL) bins++;
    feature->column_count += feature->missing == LP_MISSING_INDICATOR;
    return lp_baseline_read_category(bundle, node, bins, &feature->baseline, err);
}
