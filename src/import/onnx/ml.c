/* ai.onnx.ml: the table of what is lowered, and the preprocessors, which are a few ops each. */
#include "import/onnx/ml.h"

#include <math.h>
#include <string.h>

/* (x - offset) * scale, in float and in this order. */
static enum lp_code scaler(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const float *offset, *scale;
    size_t offsets, scales;
    struct lp_ml_row row;
    LP_TRY(lp_ml_input(onnx, node, 0, &row, err));
    LP_TRY(lp_onnx_floats(node, "offset", &offset, &offsets, err));
    LP_TRY(lp_onnx_floats(node, "scale", &scale, &scales, err));
    uint32_t width = row.rank > 0 ? row.dims[row.rank - 1] : 1;
    if ((offsets != 1 && offsets != width) || (scales != 1 && scales != width))
        return lp_onnx_bad(node, err, "%zu offsets and %zu scales for %u numbers", offsets, scales, width);
    LP_TRY(lp_ml_with(onnx, &row, LP_GRAPH_SUB, false, offset, offsets, err));
    LP_TRY(lp_ml_with(onnx, &row, LP_GRAPH_MUL, false, scale, scales, err));
    lp_ml_bind(onnx, node, 0, &row);
    return LP_OK;
}

static enum lp_code normalizer(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    static const struct {
        const char *name;
        enum lp_graph_function function;
    } norms[] = {{"MAX", LP_GRAPH_MAX}, {"L1", LP_GRAPH_L1}, {"L2", LP_GRAPH_L2}};
    struct lp_span norm;
    struct lp_ml_row row;
    LP_TRY(lp_ml_input(onnx, node, 0, &row, err));
    LP_TRY(lp_onnx_text(node, "norm", "MAX", &norm, err));
    if (row.rank != 1) return lp_onnx_refuse(node, err, "%u axes beside the batch: it defines one", row.rank);
    struct lp_graph_op op = {.kind = LP_GRAPH_UNIT, .input_count = 1, .rank = 1, .dims = {row.dims[0]}};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        if (lp_span_is(norm, norms[i].name)) op.function = norms[i].function;
    if (op.function == LP_GRAPH_NONE)
        return lp_onnx_bad(node, err, "norm `%.*s`", (int)(norm.size < 16 ? norm.size : 16), (const char *)norm.data);
    LP_TRY(lp_onnx_emit(onnx, op, &row.value, &row.value, err));
    lp_ml_bind(onnx, node, 0, &row);
    return LP_OK;
}

static enum lp_code impute(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_ml_row *row,
                           const float *numbers, size_t count, double missing, struct lp_error *err)
{
    struct lp_tensor *tensor;
    void *data;
    uint32_t width = row->rank > 0 ? row->dims[row->rank - 1] : 1;
    if (count != 1 && count != width) return lp_onnx_bad(node, err, "%zu imputed values for %u numbers", count, width);
    if (isinf(missing)) return lp_onnx_refuse(node, err, "infinity as what is missing");
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 1, (const uint64_t[]){count}, &tensor, &data, err));
    memcpy(data, numbers, count * sizeof *numbers);
    struct lp_graph_op op = {
        .kind = LP_GRAPH_IMPUTE, .input_count = 1, .rank = row->rank, .constant = tensor, .alpha = missing};
    memcpy(op.dims, row->dims, sizeof op.dims);
    return lp_onnx_emit(onnx, op, &row->value, &row->value, err);
}

static enum lp_code imputer(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const float *floats;
    const int64_t *wholes;
    size_t float_count, whole_count;
    struct lp_ml_row row;
    double missing;
    LP_TRY(lp_ml_input(onnx, node, 0, &row, err));
    LP_TRY(lp_onnx_floats(node, "imputed_value_floats", &floats, &float_count, err));
    LP_TRY(lp_onnx_ints(node, "imputed_value_int64s", &wholes, &whole_count, err));
    if ((float_count == 0) == (whole_count == 0))
        return lp_onnx_bad(node, err, "%zu and %zu imputed values", float_count, whole_count);
    LP_TRY(lp_onnx_float(node, "replaced_value_float", 0, &missing, err));
    if (whole_count > 0) {
        int64_t whole;
        float *copy = lp_storage_take(&onnx->draft->storage, whole_count, sizeof *copy, err);
        if (copy == NULL) return lp_failed(err->code);
        for (size_t i = 0; i < whole_count; i++) copy[i] = (float)wholes[i];
        LP_TRY(lp_onnx_int(node, "replaced_value_int64", 0, &whole, err));
        missing = (double)whole;
        floats = copy;
        float_count = whole_count;
    }
    LP_TRY(impute(onnx, node, &row, floats, float_count, missing, err));
    lp_ml_bind(onnx, node, 0, &row);
    return LP_OK;
}

/* x > threshold: the sign of the difference, which is 0 for equal numbers only, and 0 for those below. */
static enum lp_code binarizer(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_ml_row row;
    double threshold;
    LP_TRY(lp_ml_input(onnx, node, 0, &row, err));
    LP_TRY(lp_onnx_float(node, "threshold", 0, &threshold, err));
    const float number = (float)threshold;
    LP_TRY(lp_ml_with(onnx, &row, LP_GRAPH_SUB, false, &number, 1, err));
    LP_TRY(lp_ml_activate(onnx, &row, LP_GRAPH_SIGN, 0, 0, err));
    LP_TRY(lp_ml_activate(onnx, &row, LP_GRAPH_RELU, 0, 0, err));
    lp_ml_bind(onnx, node, 0, &row);
    return LP_OK;
}

static enum lp_code feature_vectorizer(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const int64_t *widths;
    size_t count;
    LP_TRY(lp_onnx_ints(node, "inputdimensions", &widths, &count, err));
    struct lp_ml_row *rows = lp_storage_take(&onnx->draft->storage, node->input_count + 1, sizeof *rows, err), row;
    if (rows == NULL) return lp_failed(err->code);
    if (count != node->input_count || count == 0)
        return lp_onnx_bad(node, err, "%zu widths of %u inputs", count, node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t width = 1;
        LP_TRY(lp_ml_input(onnx, node, i, &rows[i], err));
        for (uint32_t k = 0; k < rows[i].rank; k++) width *= rows[i].dims[k];
        if (widths[i] != width)
            return lp_onnx_refuse(node, err, "input %u has %u numbers, not the %lld that the node states", i, width,
                                  (long long)widths[i]);
        LP_TRY(lp_ml_reshape(onnx, &rows[i], 1, &width, err));
    }
    LP_TRY(lp_ml_concat(onnx, rows, node->input_count, &row, err));
    lp_ml_bind(onnx, node, 0, &row);
    return LP_OK;
}

/* Columns of texts, picked: still texts. */
static enum lp_code extract_texts(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                  const struct lp_onnx_value *texts, const int64_t *picks, uint32_t count,
                                  struct lp_error *err)
{
    uint32_t *columns = lp_storage_take(&onnx->draft->storage, count, sizeof *columns, err);
    if (columns == NULL) return lp_failed(err->code);
    if (texts->rank != 1) return lp_onnx_refuse(node, err, "texts of %u axes beside the batch", texts->rank);
    for (uint32_t i = 0; i < count; i++) columns[i] = texts->columns[picks[i]];
    lp_onnx_bind_text(onnx, node, 0, columns, 1, &count);
    return LP_OK;
}

static enum lp_code array_feature_extractor(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *from = lp_onnx_input(onnx, node, 0);
    struct lp_onnx_constant *picks;
    struct lp_tensor *tensor;
    void *data;
    LP_TRY(lp_onnx_known(onnx, node, 1, &picks, err));
    if (from == NULL || (from->kind != LP_ONNX_TEXT && from->kind != LP_ONNX_ROW))
        return lp_onnx_refuse(node, err, "its first input is not computed from the record");
    if (from->rank == 0 || !lp_onnx_type_whole(picks->type) || picks->count == 0)
        return lp_onnx_refuse(node, err, "%u axes beside the batch, %llu indices", from->rank,
                              (unsigned long long)picks->count);
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_I64, 1, (const uint64_t[]){picks->count}, &tensor, &data, err));
    uint32_t width = from->dims[from->rank - 1];
    int64_t *indices = data;
    for (uint64_t i = 0; i < picks->count; i++) {
        indices[i] = lp_onnx_whole_at(picks, i);
        if (indices[i] < 0 || indices[i] >= width)
            return lp_onnx_bad(node, err, "index %lld of %u", (long long)indices[i], width);
    }
    if (from->kind == LP_ONNX_TEXT) return extract_texts(onnx, node, from, indices, (uint32_t)picks->count, err);
    struct lp_ml_row row;
    LP_TRY(lp_ml_input(onnx, node, 0, &row, err));
    struct lp_graph_op op = {
        .kind = LP_GRAPH_GATHER, .input_count = 1, .rank = row.rank, .axis = row.rank - 1, .indices = tensor};
    row.dims[row.rank - 1] = (uint32_t)picks->count;
    memcpy(op.dims, row.dims, sizeof op.dims);
    LP_TRY(lp_onnx_emit(onnx, op, &row.value, &row.value, err));
    lp_onnx_bind_row(onnx, node, 0, from->type, row.value, row.rank, row.dims);
    return LP_OK;
}

/* A dictionary by label: the row as it is. */
static enum lp_code zip_map(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *value;
    size_t count;
    LP_TRY(lp_onnx_row(onnx, node, 0, &value, err));
    LP_TRY(lp_ml_labels(onnx, node, "classlabels_int64s", "classlabels_strings", &count, err));
    lp_onnx_bind_value(onnx, node, 0, value);
    return LP_OK;
}

const struct lp_onnx_op lp_onnx_ml_ops[] = {
    {"ArrayFeatureExtractor", array_feature_extractor, NULL},
    {"Binarizer", binarizer, NULL},
    {"FeatureVectorizer", feature_vectorizer, NULL},
    {"Imputer", imputer, NULL},
    {"LabelEncoder", lp_ml_label_encoder, NULL},
    {"LinearClassifier", lp_ml_linear_classifier, NULL},
    {"LinearRegressor", lp_ml_linear_regressor, NULL},
    {"Normalizer", normalizer, NULL},
    {"OneHotEncoder", lp_ml_one_hot, NULL},
    {"Scaler", scaler, NULL},
    {"TreeEnsemble", lp_ml_tree_ensemble, NULL},
    {"TreeEnsembleClassifier", lp_ml_tree_classifier, NULL},
    {"TreeEnsembleRegressor", lp_ml_tree_regressor, NULL},
    {"ZipMap", zip_map, NULL},
    {NULL, NULL, NULL},
};
