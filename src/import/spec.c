/* The spec: what a team may say about a model's features and answers. */
#include "import/import.h"

#include <string.h>

/* A path that reads the field of exactly this name; of an element `name[i]` its place in the array `name`. */
static json_t *path_of(const struct lp_draft_feature *feature)
{
    struct lp_buffer text;
    lp_buffer_init(&text, 2 * LP_NAME_MAX_BYTES + 1);
    const char *name = feature->name, *element = feature->is_element ? strrchr(name, '[') : NULL;
    for (; *name != '\0'; name++) {
        if (strchr(".[]\\", *name) != NULL && (element == NULL || name < element)) lp_buffer_append(&text, "\\", 1);
        lp_buffer_append(&text, name, 1);
    }
    json_t *path = text.failed ? NULL : json_stringn((const char *)text.data, text.size);
    lp_buffer_done(&text);
    return path;
}

/* Missing goes on as NaN where the model defines it; gblinear passes over missing features: 0 adds nothing. */
static json_t *missing_of(const struct lp_draft *draft, const struct lp_draft_feature *feature)
{
    if (draft->is_linear) return json_pack("{s:s, s:i}", "policy", "value", "value", 0);
    return json_pack("{s:s}", "policy", feature->rejects_missing ? "reject" : "keep");
}

static json_t *number_feature(const struct lp_draft *draft, const struct lp_draft_feature *feature)
{
    json_t *made = json_pack("{s:s, s:o, s:s, s:o}", "name", feature->name, "from", path_of(feature), "kind",
                             feature->width > 0 ? "vector" : "number", "missing", missing_of(draft, feature));
    if (feature->width > 0) json_object_set_new(made, "width", json_integer(feature->width));
    return made;
}

/*
 * A category outside the vocabulary is a missing value, as LightGBM has it. XGBoost refuses such a row, but takes
 * missing ones, and a policy of `reject` would refuse both. An ONNX encoder has an answer of its own for it.
 */
static json_t *category_feature(const struct lp_draft *draft, const struct lp_draft_feature *feature)
{
    json_t *vocabulary = json_array();
    for (uint32_t i = 0; i < feature->vocabulary_count; i++)
        json_array_append_new(vocabulary, json_string(feature->vocabulary[i]));
    return json_pack("{s:s, s:o, s:s, s:o, s:{s:s, s:o, s:b}}", "name", feature->name, "from", path_of(feature), "kind",
                     "category", "missing", missing_of(draft, feature), "encode", "method", "index", "vocabulary",
                     vocabulary, "unknown", feature->unknown_bucket ? 1 : 0);
}

json_t *lp_import_spec(const struct lp_draft *draft, const char *name, const char *version)
{
    json_t *features = json_array();
    for (uint32_t i = 0; i < draft->feature_count; i++) {
        const struct lp_draft_feature *feature = &draft->features[i];
        json_t *made =
            feature->vocabulary_count > 0 ? category_feature(draft, feature) : number_feature(draft, feature);
        if (json_array_append_new(features, made) != 0) {
            json_decref(features);
            return NULL;
        }
    }
    json_t *labels = draft->label_count > 0 ? json_array() : NULL;
    for (uint32_t i = 0; i < draft->label_count; i++) json_array_append_new(labels, json_string(draft->labels[i]));
    return json_pack("{s:s, s:s, s:o, s:o*}", "name", name, "version", version, "features", features, "labels", labels);
}

static json_t *find_feature(const json_t *features, const char *name, size_t *ret_index)
{
    size_t index;
    json_t *feature;
    json_array_foreach(features, index, feature)
    {
        const char *here = json_string_value(json_object_get(feature, "name"));
        if (here == NULL || name == NULL || strcmp(here, name) != 0) continue;
        *ret_index = index;
        return feature;
    }
    return NULL;
}

enum lp_code lp_import_map(json_t *spec, const struct lp_import_mapping *mappings, uint32_t count, struct lp_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t index;
        json_t *feature = find_feature(json_object_get(spec, "features"), mappings[i].name, &index);
        if (feature == NULL)
            return lp_fail_field(err, LP_E_NOT_FOUND, LP_FATAL, mappings[i].name,
                                 "the model has no feature `%.64s`: --print-spec shows those it has", mappings[i].name);
        if (json_object_set_new(feature, "from", json_string(mappings[i].path)) != 0)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "the path of `%.64s` is not UTF-8", mappings[i].name);
    }
    return LP_OK;
}

static enum lp_code merge_features(json_t *spec, json_t *edited, struct lp_error *err)
{
    json_t *features = json_object_get(spec, "features"), *feature;
    size_t index, at, known = 0;
    if (!json_is_array(edited)) return lp_fail(err, LP_E_INVALID, LP_FATAL, "the spec's `features` is not an array");
    json_array_foreach(edited, index, feature)
    {
        if (!json_is_object(feature) || !json_is_string(json_object_get(feature, "name")))
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "features[%zu] of the spec has no name", index);
        known += find_feature(features, json_string_value(json_object_get(feature, "name")), &at) != NULL;
    }
    if (known < json_array_size(edited))
        return json_object_set(spec, "features", edited) == 0 ? LP_OK : lp_fail_memory(err, 0);
    json_array_foreach(edited, index, feature)
    {
        if (find_feature(features, json_string_value(json_object_get(feature, "name")), &at) != NULL &&
            json_array_set(features, at, feature) != 0)
            return lp_fail_memory(err, 0);
    }
    return LP_OK;
}

enum lp_code lp_import_merge(json_t *spec, const json_t *edited, struct lp_error *err)
{
    static const char *const known[] = {"name", "version", "labels", "threshold", "features"};
    const char *key;
    json_t *value;
    if (!json_is_object(edited)) return lp_fail(err, LP_E_INVALID, LP_FATAL, "the spec is not an object");
    json_object_foreach((json_t *)(uintptr_t)edited, key, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(key, known[i]) != 0) i++;
        if (i == sizeof known / sizeof *known)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "the spec has an unknown member `%.64s`", key);
        if (strcmp(key, "features") == 0) LP_TRY(merge_features(spec, value, err));
        else if (json_object_set(spec, key, value) != 0) return lp_fail_memory(err, 0);
    }
    return LP_OK;
}
