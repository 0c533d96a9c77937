/*
 * The model's inputs as features: a number, a vector (flattened), or a category for each text. Each is a slice of
 * `features`; those that nothing reads are taken out at the end (outputs.c).
 */
#include "import/onnx/private.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = LP_NAME_MAX_BYTES + 1 };

static enum lp_code read_shape(struct lp_onnx *onnx, const Onnx__ValueInfo *info, struct lp_onnx_value *value,
                               struct lp_error *err)
{
    const Onnx__TensorType *tensor = info->type != NULL ? info->type->tensor_type : NULL;
    if (tensor == NULL || tensor->shape == NULL)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "no shape: export the model with the shapes of its inputs");
    const Onnx__Shape *shape = tensor->shape;
    if (tensor->elem_type == LP_ONNX_DOUBLE || tensor->elem_type == LP_ONNX_FLOAT16 ||
        tensor->elem_type == LP_ONNX_BFLOAT16)
        lp_buffer_format(&onnx->draft->notes, "input `%.64s`: computed in float32, not in its own precision\n",
                         value->name);
    value->type = (enum lp_onnx_type)tensor->elem_type;
    if (lp_onnx_type_bytes(value->type) == 0)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "element type %d is not in this release", tensor->elem_type);
    if (shape->n_dim == 0 || shape->n_dim > LP_GRAPH_RANK_MAX + 1)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "%zu axes: the batch and at most %d more are in this release",
                       shape->n_dim, LP_GRAPH_RANK_MAX);
    int64_t batch = shape->dim[0]->value_case == ONNX__DIMENSION__VALUE_DIM_VALUE ? shape->dim[0]->dim_value : -1;
    if (batch <= 0) onnx->batch = -1;
    else if (onnx->batch == 0) onnx->batch = batch;
    else if (onnx->batch != batch) onnx->batch = -1;
    value->rank = (uint32_t)shape->n_dim - 1;
    for (uint32_t i = 0; i < value->rank; i++) {
        const Onnx__Dimension *dim = shape->dim[i + 1];
        if (dim->value_case != ONNX__DIMENSION__VALUE_DIM_VALUE)
            return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                           "axis %u is not fixed: only the batch, the first axis, may be open", i + 1);
        if (dim->dim_value < 1 || dim->dim_value > LP_BUNDLE_COLUMNS_MAX)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "axis %u is %lld: 1 to %d are allowed", i + 1,
                           (long long)dim->dim_value, LP_BUNDLE_COLUMNS_MAX);
        value->dims[i] = (uint32_t)dim->dim_value;
    }
    return LP_OK;
}

static enum lp_code take_columns(struct lp_onnx *onnx, uint32_t width, uint32_t *ret_column, struct lp_error *err)
{
    struct lp_draft *draft = onnx->draft;
    if (width > LP_BUNDLE_COLUMNS_MAX - draft->column_count)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d numbers a record", LP_BUNDLE_COLUMNS_MAX);
    *ret_column = draft->column_count;
    draft->column_count += width;
    return LP_OK;
}

static enum lp_code add_feature(struct lp_onnx *onnx, const char *name, uint32_t width, struct lp_error *err)
{
    struct lp_draft *draft = onnx->draft;
    size_t size = strlen(name);
    if (draft->feature_count == LP_BUNDLE_FEATURES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d features", LP_BUNDLE_FEATURES_MAX);
    if (size == 0 || size > LP_NAME_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "a name of %zu bytes, 1 to %d are allowed", size, LP_NAME_MAX_BYTES);
    struct lp_draft_feature *feature = &draft->features[draft->feature_count++];
    *feature = (struct lp_draft_feature){.width = width};
    feature->name = lp_storage_text(&draft->storage, name, size, err);
    return feature->name != NULL ? LP_OK : lp_failed(err->code);
}

enum lp_code lp_onnx_features_slice(struct lp_onnx *onnx, uint32_t begin, uint32_t end, uint32_t *ret_value,
                                    struct lp_error *err)
{
    const uint32_t features = LP_GRAPH_FEATURES;
    const struct lp_graph_op op = {.kind = LP_GRAPH_SLICE,
                                   .input_count = 1,
                                   .rank = 1,
                                   .dims = {end - begin},
                                   .start = begin,
                                   .end = end,
                                   .step = 1};
    return lp_onnx_emit(onnx, op, &features, ret_value, err);
}

static enum lp_code add_numbers(struct lp_onnx *onnx, struct lp_onnx_value *value, uint32_t width, struct lp_error *err)
{
    uint32_t begin = 0, flat;
    LP_TRY(add_feature(onnx, value->name, width > 1 ? width : 0, err));
    LP_TRY(take_columns(onnx, width, &begin, err));
    onnx->draft->features[onnx->draft->feature_count - 1].column = begin;
    LP_TRY(lp_onnx_features_slice(onnx, begin, begin + width, &flat, err));
    value->kind = LP_ONNX_ROW;
    return lp_onnx_reshape(onnx, flat, 1, &width, value->rank, value->dims, &value->graph_value, err);
}

/* Texts have no numbers until an encoder gives them a vocabulary: lp_onnx_text_index. */
static enum lp_code add_texts(struct lp_onnx *onnx, struct lp_onnx_value *value, uint32_t count, struct lp_error *err)
{
    char name[NAME_BYTES + 16];
    uint32_t *columns = lp_onnx_take(onnx, count, sizeof *columns, err), column = 0;
    if (columns == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        if (strlen(value->name) > LP_NAME_MAX_BYTES) return lp_fail(err, LP_E_LIMIT, LP_FATAL, "too long a name");
        snprintf(name, sizeof name, count > 1 ? "%s[%u]" : "%s", value->name, i);
        columns[i] = onnx->draft->feature_count;
        LP_TRY(add_feature(onnx, name, 0, err));
        onnx->draft->features[columns[i]].is_element = count > 1;
        LP_TRY(take_columns(onnx, 1, &column, err));
        onnx->draft->features[columns[i]].column = column;
        onnx->draft->features[columns[i]].is_text = true;
    }
    value->kind = LP_ONNX_TEXT;
    value->columns = columns;
    return LP_OK;
}

enum lp_code lp_onnx_inputs_read(struct lp_onnx *onnx, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    onnx->draft->features = lp_onnx_take(onnx, LP_BUNDLE_FEATURES_MAX, sizeof *onnx->draft->features, err);
    if (onnx->draft->features == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < graph->n_input; i++) {
        struct lp_onnx_value *value = &onnx->values[lp_onnx_find(onnx, graph->input[i]->name)];
        uint32_t width = 0;
        if (value->kind != LP_ONNX_UNKNOWN) continue; /* an initializer */
        enum lp_code rc = read_shape(onnx, graph->input[i], value, err);
        if (rc == LP_OK) rc = lp_graph_elements(value->rank, value->dims, &width, err);
        if (rc == LP_OK)
            rc = value->type == LP_ONNX_STRING ? add_texts(onnx, value, width, err)
                                               : add_numbers(onnx, value, width, err);
        if (rc != LP_OK) return lp_error_wrap(err, "input `%.64s`", value->name);
    }
    return LP_OK;
}

static bool same_words(const struct lp_draft_feature *feature, const struct lp_span *words, uint32_t count)
{
    bool same = feature->vocabulary_count == count;
    for (uint32_t i = 0; same && i < count; i++) same = lp_span_is(words[i], feature->vocabulary[i]);
    return same;
}

enum lp_code lp_onnx_text_index(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t column,
                                const struct lp_span *words, uint32_t word_count, uint32_t *ret_value,
                                struct lp_error *err)
{
    struct lp_draft_feature *feature = &onnx->draft->features[column];
    if (word_count == 0) return lp_onnx_bad(node, err, "no words for `%.64s`", feature->name);
    if (feature->vocabulary_count == 0) {
        const char **vocabulary = lp_onnx_take(onnx, word_count, sizeof *vocabulary, err);
        if (vocabulary == NULL) return lp_failed(err->code);
        for (uint32_t i = 0; i < word_count; i++) {
            if (words[i].size > 0 && memchr(words[i].data, '\0', words[i].size) != NULL)
                return lp_onnx_bad(node, err, "word %u of `%.64s` has a zero byte", i, feature->name);
            vocabulary[i] = lp_storage_text(
                &onnx->draft->storage, words[i].data != NULL ? (const void *)words[i].data : "", words[i].size, err);
            if (vocabulary[i] == NULL) return lp_failed(err->code);
        }
        feature->vocabulary = vocabulary;
        feature->vocabulary_count = word_count;
        feature->unknown_bucket = true;
        feature->rejects_missing = true;
    }
    if (!same_words(feature, words, word_count))
        return lp_onnx_refuse(node, err, "`%.64s` has two vocabularies", feature->name);
    return lp_onnx_features_slice(onnx, feature->column, feature->column + 1, ret_value, err);
}
