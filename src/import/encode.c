/* A draft and its spec as a bundle: manifest and tensors. */
#include "import/encode_private.h"
#include "import/import.h"

#include "model/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 48 };

static const char *const tasks[] = {"binary", "multiclass", "regression", "ranking"};
static const char *const links[] = {"identity", "sigmoid", "softmax", "exp", "signed_square", "log1p_exp", "hinge"};

static json_t *trees_op(const struct lp_draft *draft, struct lp_encode *tensors)
{
    const struct lp_encode_trees trees = {.forest = &draft->forest,
                                          .compare = draft->compare,
                                          .output_count = draft->output_count,
                                          .base = draft->base,
                                          .divisor = draft->divisor,
                                          .prefix = ""};
    json_t *op = lp_encode_trees(tensors, &trees);
    json_object_set_new(op, "input", json_string("features"));
    json_object_set_new(op, "output", json_string("margin"));
    return op;
}

static json_t *dense_op(const struct lp_draft *draft, struct lp_encode *tensors)
{
    bool good = lp_encode_matrix(tensors, "linear.weight", LP_DTYPE_F32, draft->weight, draft->column_count,
                                 draft->output_count) &&
                lp_encode_matrix(tensors, "linear.bias", LP_DTYPE_F32, draft->bias, draft->output_count, 0);
    if (!good) return NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "dense", "input", "features", "output", "margin", "weight",
                     "linear.weight", "bias", "linear.bias");
}

static json_t *make_graph(const struct lp_draft *draft, struct lp_encode *tensors)
{
    if (draft->is_network) return lp_encode_graph(tensors, &draft->graph);
    json_t *op = draft->is_linear ? dense_op(draft, tensors) : trees_op(draft, tensors);
    return op != NULL ? json_pack("[o]", op) : NULL;
}

/* A vocabulary beyond what a manifest holds becomes tensors: bytes and offsets. */
static enum lp_code spill(json_t *feature, size_t index, struct lp_encode *tensors, struct lp_error *err)
{
    json_t *encode = json_object_get(feature, "encode"), *words = json_object_get(encode, "vocabulary"), *word;
    size_t count = json_array_size(words), i;
    char bytes_name[NAME_BYTES], offsets_name[NAME_BYTES];
    if (count <= LP_BUNDLE_INLINE_MAX) return LP_OK;
    struct lp_buffer *bytes = &tensors->texts[tensors->texts_count++],
                     *offsets = &tensors->texts[tensors->texts_count++];
    lp_buffer_init(bytes, INT32_MAX);
    lp_buffer_init(offsets, SIZE_MAX / 2);
    json_array_foreach(words, i, word)
    {
        int32_t at = (int32_t)bytes->size;
        lp_buffer_append(offsets, &at, sizeof at);
        lp_buffer_append(bytes, json_string_value(word), json_string_length(word));
    }
    int32_t end = (int32_t)bytes->size;
    lp_buffer_append(offsets, &end, sizeof end);
    snprintf(bytes_name, sizeof bytes_name, "vocabulary.%zu", index);
    snprintf(offsets_name, sizeof offsets_name, "vocabulary.%zu.offsets", index);
    json_t *named = json_pack("{s:s, s:s}", "tensor", bytes_name, "offsets", offsets_name);
    if (bytes->failed || offsets->failed || !lp_encode_array(tensors, bytes_name, LP_DTYPE_U8, bytes) ||
        !lp_encode_array(tensors, offsets_name, LP_DTYPE_I32, offsets) ||
        json_object_set_new(encode, "vocabulary", named) != 0)
        return lp_fail_memory(err, bytes->size);
    return LP_OK;
}

static enum lp_code make_manifest(const struct lp_draft *draft, json_t *spec, const json_t *golden,
                                  struct lp_encode *tensors, json_t **ret_manifest, struct lp_error *err)
{
    json_t *features = json_object_get(spec, "features"), *feature;
    size_t index;
    json_array_foreach(features, index, feature) { LP_TRY(spill(feature, index, tensors, err)); }
    json_t *graph = make_graph(draft, tensors);
    json_t *output =
        json_pack("{s:s, s:O*}", "link", links[draft->link], "threshold", json_object_get(spec, "threshold"));
    if (draft->link_scale != 1) json_object_set_new(output, "scale", json_real(draft->link_scale));
    char step[LP_DRAFT_SOURCE_BYTES + 32];
    snprintf(step, sizeof step, "imported from %s", draft->source);
    json_t *manifest = json_pack("{s:i, s:O, s:O, s:s, s:O*, s:{s:n, s:[s]}, s:{s:s}, s:O, s:o, s:o, s:O*}", "format",
                                 1, "name", json_object_get(spec, "name"), "version", json_object_get(spec, "version"),
                                 "task", tasks[draft->task], "labels", json_object_get(spec, "labels"), "lineage",
                                 "parent", "steps", step, "training", "tool", draft->source, "features", features,
                                 "graph", graph, "output", output, "golden", golden);
    if (manifest == NULL) return lp_fail_memory(err, 0);
    *ret_manifest = manifest;
    return LP_OK;
}

static uint32_t columns_of(const struct lp_draft *draft, const char *name)
{
    for (uint32_t i = 0; i < draft->feature_count; i++)
        if (strcmp(draft->features[i].name, name) == 0)
            return draft->features[i].width > 0 ? draft->features[i].width : 1;
    return 0;
}

/* As a worker will: every check of the loader, and the columns are the model's. */
static enum lp_code check_bundle(const struct lp_draft *draft, struct lp_span bytes, struct lp_error *err)
{
    struct lp_bundle *bundle;
    LP_TRY(lp_bundle_parse(bytes, &bundle, err));
    uint32_t columns = bundle->column_count, names = 0;
    bool same = bundle->feature_count == draft->feature_count;
    for (uint32_t i = 0; same && i < draft->feature_count; i++) {
        const struct lp_feature *feature = &bundle->features[i];
        bool placed = strcmp(feature->name, draft->features[i].name) == 0;
        names += placed && feature->column_count != columns_of(draft, feature->name);
    }
    lp_bundle_free(bundle);
    if (columns != draft->column_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "the features have %u columns, the model %u", columns,
                       draft->column_count);
    if (names > 0)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%u features do not have as many columns as the model's", names);
    return LP_OK;
}

enum lp_code lp_import_encode(const struct lp_draft *draft, const json_t *spec, const json_t *golden,
                              struct lp_buffer *out, struct lp_error *err)
{
    struct lp_encode tensors = {.names = json_array()};
    json_t *copy = json_deep_copy(spec), *manifest = NULL;
    char *text = NULL;
    size_t begin = out->size;
    enum lp_code rc;
    tensors.texts = calloc(2 * json_array_size(json_object_get(copy, "features")) + 1, sizeof *tensors.texts);
    if (tensors.names == NULL || copy == NULL || tensors.texts == NULL) LP_GUARD(lp_fail_memory(err, 0));
    LP_GUARD(make_manifest(draft, copy, golden, &tensors, &manifest, err));
    text = json_dumps(manifest, JSON_COMPACT | JSON_REAL_PRECISION(17));
    rc = text != NULL ? lp_bundle_encode(text, tensors.items, (uint32_t)tensors.count, out, err)
                      : lp_fail_memory(err, 0);
    if (rc == LP_OK) rc = check_bundle(draft, lp_span_of(out->data + begin, out->size - begin), err);
out:
    for (size_t i = 0; i < tensors.texts_count; i++) lp_buffer_done(&tensors.texts[i]);
    free(tensors.texts);
    free(tensors.items);
    free(text);
    json_decref(tensors.names);
    json_decref(manifest);
    json_decref(copy);
    return rc;
}
