/* A draft and its spec as a bundle: manifest and tensors. */
#include "import/import.h"

#include "model/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS_MAX = 32, NAME_BYTES = 48 };

/* Tensors by their names; texts of vocabularies that are too long for the manifest are among them. */
struct tensors {
    struct lp_tensor *items; /* grows: a feature may need two */
    size_t count, capacity;
    json_t *names;           /* keeps the names */
    struct lp_buffer *texts; /* [texts_count] bytes of vocabularies and their offsets */
    size_t texts_count;
};

static const char *const tasks[] = {"binary", "multiclass", "regression", "ranking"};
static const char *const links[] = {"identity", "sigmoid", "softmax", "exp", "signed_square", "log1p_exp", "hinge"};

static bool add_tensor(struct tensors *tensors, const char *name, enum lp_dtype dtype, const void *data, uint64_t rows,
                       uint64_t columns)
{
    if (tensors->count == tensors->capacity) {
        size_t capacity = tensors->capacity * 2 + TENSORS_MAX;
        struct lp_tensor *grown = realloc(tensors->items, capacity * sizeof *grown);
        if (grown == NULL) return false;
        tensors->items = grown;
        tensors->capacity = capacity;
    }
    json_t *text = json_string(name);
    if (json_array_append_new(tensors->names, text) != 0) return false;
    tensors->items[tensors->count++] = (struct lp_tensor){.name = json_string_value(text),
                                                          .dtype = dtype,
                                                          .rank = columns > 0 ? 2 : 1,
                                                          .dims = {rows, columns},
                                                          .count = rows * (columns > 0 ? columns : 1),
                                                          .data = data};
    return true;
}

static bool add_array(struct tensors *tensors, const char *name, enum lp_dtype dtype, const struct lp_buffer *buffer)
{
    size_t element = dtype == LP_DTYPE_F64 ? 8 : dtype == LP_DTYPE_U8 ? 1 : 4;
    return add_tensor(tensors, name, dtype, buffer->data, buffer->size / element, 0);
}

static json_t *trees_op(const struct lp_draft *draft, struct tensors *tensors)
{
    const struct lp_forest *f = &draft->forest;
    bool vector = f->leaf_width > 1, good = true;
    uint64_t leaves = f->leaf_value.size / sizeof(double) / f->leaf_width;
    json_t *op = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:f, s:{s:s}, s:{s:s, s:s, s:s, s:s, s:s, s:s}, s:{s:s}}", "op", "trees", "input",
        "features", "output", "margin", "library", draft->compare == LP_TREES_XGBOOST ? "xgboost" : "lightgbm",
        "outputs", (int)draft->output_count, "divisor", draft->divisor, "trees", "root", "trees.root", "nodes",
        "column", "nodes.column", "threshold", "nodes.threshold", "left", "nodes.left", "right", "nodes.right", "flags",
        "nodes.flags", "index", "nodes.index", "leaves", "value", "leaves.value");
    good &= add_array(tensors, "trees.root", LP_DTYPE_I32, &f->root);
    good &= add_array(tensors, "nodes.column", LP_DTYPE_I32, &f->column);
    good &= add_array(tensors, "nodes.threshold", LP_DTYPE_F64, &f->threshold);
    good &= add_array(tensors, "nodes.left", LP_DTYPE_I32, &f->left);
    good &= add_array(tensors, "nodes.right", LP_DTYPE_I32, &f->right);
    good &= add_array(tensors, "nodes.flags", LP_DTYPE_U8, &f->flags);
    good &= add_array(tensors, "nodes.index", LP_DTYPE_I32, &f->index);
    good &= add_tensor(tensors, "leaves.value", LP_DTYPE_F64, f->leaf_value.data, leaves, vector ? f->leaf_width : 0);
    if (!vector) {
        good &= add_array(tensors, "trees.output", LP_DTYPE_I32, &f->output);
        json_object_set_new(json_object_get(op, "trees"), "output", json_string("trees.output"));
    }
    if (f->set_begin.size > sizeof(uint32_t)) {
        good &= add_array(tensors, "sets.begin", LP_DTYPE_I32, &f->set_begin);
        good &= add_array(tensors, "sets.words", LP_DTYPE_I32, &f->set_words);
        json_object_set_new(op, "sets", json_pack("{s:s, s:s}", "begin", "sets.begin", "words", "sets.words"));
    }
    if (f->is_linear) {
        good &= add_array(tensors, "linear.begin", LP_DTYPE_I32, &f->linear_begin);
        good &= add_array(tensors, "linear.column", LP_DTYPE_I32, &f->linear_column);
        good &= add_array(tensors, "linear.coefficient", LP_DTYPE_F64, &f->linear_coefficient);
        good &= add_array(tensors, "linear.constant", LP_DTYPE_F64, &f->linear_constant);
        json_object_set_new(json_object_get(op, "leaves"), "linear",
                            json_pack("{s:s, s:s, s:s, s:s}", "begin", "linear.begin", "column", "linear.column",
                                      "coefficient", "linear.coefficient", "constant", "linear.constant"));
    }
    if (draft->base != NULL) {
        good &= add_tensor(tensors, "trees.base", LP_DTYPE_F64, draft->base, draft->output_count, 0);
        json_object_set_new(op, "base", json_pack("{s:s}", "tensor", "trees.base"));
    }
    if (good) return op;
    json_decref(op);
    return NULL;
}

static json_t *dense_op(const struct lp_draft *draft, struct tensors *tensors)
{
    bool good =
        add_tensor(tensors, "linear.weight", LP_DTYPE_F32, draft->weight, draft->column_count, draft->output_count) &&
        add_tensor(tensors, "linear.bias", LP_DTYPE_F32, draft->bias, draft->output_count, 0);
    if (!good) return NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "dense", "input", "features", "output", "margin", "weight",
                     "linear.weight", "bias", "linear.bias");
}

/* A vocabulary beyond what a manifest holds becomes tensors: bytes and offsets. */
static enum lp_code spill(json_t *feature, size_t index, struct tensors *tensors, struct lp_error *err)
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
    if (bytes->failed || offsets->failed || !add_array(tensors, bytes_name, LP_DTYPE_U8, bytes) ||
        !add_array(tensors, offsets_name, LP_DTYPE_I32, offsets) ||
        json_object_set_new(encode, "vocabulary", named) != 0)
        return lp_fail_memory(err, bytes->size);
    return LP_OK;
}

static enum lp_code make_manifest(const struct lp_draft *draft, json_t *spec, const json_t *golden,
                                  struct tensors *tensors, json_t **ret_manifest, struct lp_error *err)
{
    json_t *features = json_object_get(spec, "features"), *feature;
    size_t index;
    json_array_foreach(features, index, feature) { LP_TRY(spill(feature, index, tensors, err)); }
    json_t *op = draft->is_linear ? dense_op(draft, tensors) : trees_op(draft, tensors);
    json_t *output =
        json_pack("{s:s, s:O*}", "link", links[draft->link], "threshold", json_object_get(spec, "threshold"));
    if (draft->link_scale != 1) json_object_set_new(output, "scale", json_real(draft->link_scale));
    char step[LP_DRAFT_SOURCE_BYTES + 32];
    snprintf(step, sizeof step, "imported from %s", draft->source);
    json_t *manifest = json_pack("{s:i, s:O, s:O, s:s, s:O*, s:{s:n, s:[s]}, s:{s:s}, s:O, s:[o], s:o, s:O*}", "format",
                                 1, "name", json_object_get(spec, "name"), "version", json_object_get(spec, "version"),
                                 "task", tasks[draft->task], "labels", json_object_get(spec, "labels"), "lineage",
                                 "parent", "steps", step, "training", "tool", draft->source, "features", features,
                                 "graph", op, "output", output, "golden", golden);
    if (manifest == NULL) return lp_fail_memory(err, 0);
    *ret_manifest = manifest;
    return LP_OK;
}

/* As a worker will: every check of the loader, and the columns are the model's. */
static enum lp_code check_bundle(const struct lp_draft *draft, struct lp_span bytes, struct lp_error *err)
{
    struct lp_bundle *bundle;
    LP_TRY(lp_bundle_parse(bytes, &bundle, err));
    uint32_t columns = bundle->column_count, names = 0;
    bool same = bundle->feature_count == draft->column_count;
    for (uint32_t i = 0; same && i < draft->column_count; i++)
        names +=
            strcmp(bundle->features[i].name, draft->features[i].name) == 0 && bundle->features[i].column_count != 1;
    lp_bundle_free(bundle);
    if (columns != draft->column_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "the features have %u columns, the model %u", columns,
                       draft->column_count);
    if (names > 0) return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%u features do not have one column each", names);
    return LP_OK;
}

enum lp_code lp_import_encode(const struct lp_draft *draft, const json_t *spec, const json_t *golden,
                              struct lp_buffer *out, struct lp_error *err)
{
    struct tensors tensors = {.names = json_array()};
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
