/* `lineage` and `training`: nothing computes with them, but what is misspelt or of the wrong type is refused here too.
 */
#include "model/manifest.h"

#include <string.h>

enum { HEX_SHA256_CHARS = 2 * LP_SHA256_BYTES };

static enum lp_code check_hash(const struct lp_node *node, const char *key, struct lp_error *err)
{
    const char *hash;
    LP_TRY(lp_node_word(node, key, &hash, err));
    if (strlen(hash) != HEX_SHA256_CHARS || strspn(hash, "0123456789abcdef") != HEX_SHA256_CHARS)
        return LP_BAD(err, "%s: `%s` is not a SHA-256 in lower-case hexadecimal", node->where, key);
    return LP_OK;
}

static enum lp_code check_lineage(const struct lp_node *manifest, struct lp_error *err)
{
    static const char *const members[] = {"parent", "steps", NULL};
    struct lp_node lineage;
    LP_TRY(lp_node_object(manifest, "lineage", members, &lineage, err));
    const json_t *parent = json_object_get(lineage.json, "parent"), *steps;
    if (parent != NULL && !json_is_null(parent)) LP_TRY(check_hash(&lineage, "parent", err));
    if (!lp_node_has(&lineage, "steps")) return LP_OK;
    LP_TRY(lp_node_array(&lineage, "steps", &steps, err));
    for (size_t i = 0; i < json_array_size(steps); i++)
        if (!json_is_string(json_array_get(steps, i)))
            return LP_BAD(err, "%s: `steps`[%zu] is not a text", lineage.where, i);
    return LP_OK;
}

static enum lp_code check_metrics(const struct lp_node *training, struct lp_error *err)
{
    struct lp_node metrics;
    LP_TRY(lp_node_object(training, "metrics", NULL, &metrics, err));
    json_t *object = (json_t *)(uintptr_t)metrics.json; /* iterated, not changed */
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at))
        if (!json_is_number(json_object_iter_value(at)))
            return LP_BAD(err, "%s: `%.64s` is not a number", metrics.where, json_object_iter_key(at));
    return LP_OK;
}

static enum lp_code check_training(const struct lp_node *manifest, struct lp_error *err)
{
    static const char *const members[] = {"rows", "seed", "tool", "data", "data_sha256", "metrics", NULL};
    struct lp_node training;
    json_int_t whole;
    const char *word;
    LP_TRY(lp_node_object(manifest, "training", members, &training, err));
    if (lp_node_has(&training, "rows")) LP_TRY(lp_node_whole(&training, "rows", 0, INT64_MAX, &whole, err));
    if (lp_node_has(&training, "seed")) LP_TRY(lp_node_whole(&training, "seed", INT64_MIN, INT64_MAX, &whole, err));
    if (lp_node_has(&training, "tool")) LP_TRY(lp_node_word(&training, "tool", &word, err));
    if (lp_node_has(&training, "data")) LP_TRY(lp_node_word(&training, "data", &word, err));
    if (lp_node_has(&training, "data_sha256")) LP_TRY(check_hash(&training, "data_sha256", err));
    return check_metrics(&training, err);
}

enum lp_code lp_history_check(const struct lp_node *manifest, struct lp_error *err)
{
    LP_TRY(check_lineage(manifest, err));
    return check_training(manifest, err);
}
