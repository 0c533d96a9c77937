/*
 * OneHotEncoder and LabelEncoder of ai.onnx.ml. Texts are categories of the record: the encoder's keys become the
 * feature's vocabulary, and what is computed with is the position in it.
 */
#include "import/onnx/ml.h"

#include <math.h>
#include <string.h>

enum { TEXTS_MAX = 4096 /* values that one concat takes; each is compared with all words */ };

static enum lp_code make_floats(struct lp_onnx *onnx, uint32_t count, const struct lp_tensor **ret_tensor,
                                float **ret_numbers, struct lp_error *err)
{
    struct lp_tensor *tensor;
    void *data;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 1, (const uint64_t[]){count}, &tensor, &data, err));
    *ret_tensor = tensor;
    *ret_numbers = data;
    return LP_OK;
}

/* What an encoder knows: numbers or texts. */
struct keys {
    uint32_t count;
    const struct lp_span *texts; /* NULL: numbers */
    double *numbers;             /* of texts: 0, 1, ... */
};

static enum lp_code map(struct lp_onnx *onnx, struct lp_ml_row *row, const struct keys *keys, const float *values,
                        float otherwise, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_MAP, .input_count = 1, .rank = row->rank, .alpha = (double)otherwise};
    struct lp_tensor *numbers;
    void *data;
    float *to;
    memcpy(op.dims, row->dims, sizeof op.dims);
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F64, 1, (const uint64_t[]){keys->count}, &numbers, &data, err));
    memcpy(data, keys->numbers, keys->count * sizeof *keys->numbers);
    LP_TRY(make_floats(onnx, keys->count, &op.values, &to, err));
    memcpy(to, values, keys->count * sizeof *values);
    op.keys = numbers;
    return lp_onnx_emit(onnx, op, &row->value, &row->value, err);
}

/* Texts as positions in the encoder's keys: the row of their shape. */
static enum lp_code text_positions(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                   const struct lp_onnx_value *texts, const struct keys *keys,
                                   struct lp_ml_row *ret_row, struct lp_error *err)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < texts->rank; i++) count *= texts->dims[i];
    if (count > TEXTS_MAX)
        return lp_onnx_refuse(node, err, "%u texts a record: at most %d are in this release", count, TEXTS_MAX);
    struct lp_ml_row *rows = lp_storage_take(&onnx->draft->storage, count, sizeof *rows, err), row;
    if (rows == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = (struct lp_ml_row){.rank = 1, .dims = {1}};
        LP_TRY(lp_onnx_text_index(onnx, node, texts->columns[i], keys->texts, keys->count, &rows[i].value, err));
    }
    LP_TRY(lp_ml_concat(onnx, rows, count, &row, err));
    LP_TRY(lp_ml_reshape(onnx, &row, texts->rank, texts->dims, err));
    *ret_row = row;
    return LP_OK;
}

/* Input 0 in the terms of the keys' numbers. */
static enum lp_code read_input(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct keys *keys,
                               struct lp_ml_row *ret_row, struct lp_error *err)
{
    struct lp_onnx_value *value = lp_onnx_input(onnx, node, 0);
    bool texts = value != NULL && value->kind == LP_ONNX_TEXT;
    if (texts && keys->texts == NULL)
        return lp_onnx_refuse(node, err, "input `%.64s` is texts, its keys are numbers", value->name);
    if (texts) return text_positions(onnx, node, value, keys, ret_row, err);
    if (keys->texts != NULL) return lp_onnx_refuse(node, err, "its keys are texts, its input is not");
    return lp_ml_input(onnx, node, 0, ret_row, err);
}

/* A key is a float: others could not be told from their neighbours. */
static enum lp_code number_keys(struct lp_onnx *onnx, const struct lp_onnx_node *node, const int64_t *wholes,
                                uint32_t count, struct keys *keys, struct lp_error *err)
{
    keys->numbers = lp_storage_take(&onnx->draft->storage, count, sizeof *keys->numbers, err);
    if (keys->numbers == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        int64_t whole = wholes != NULL ? wholes[i] : (int64_t)i;
        keys->numbers[i] = (double)whole;
        if (whole > 1 << 24 || whole < -(1 << 24))
            return lp_onnx_refuse(node, err, "key %lld: whole numbers beyond 2^24 are not in this release",
                                  (long long)whole);
    }
    keys->count = count;
    return LP_OK;
}

/* As ONNX Runtime compares a float with whole numbers: cut towards zero. */
static enum lp_code cut(struct lp_onnx *onnx, struct lp_ml_row *row, struct lp_error *err)
{
    struct lp_ml_row sign = *row;
    LP_TRY(lp_ml_activate(onnx, &sign, LP_GRAPH_SIGN, 0, 0, err));
    LP_TRY(lp_ml_activate(onnx, row, LP_GRAPH_ABS, 0, 0, err));
    LP_TRY(lp_ml_activate(onnx, row, LP_GRAPH_FLOOR, 0, 0, err));
    return lp_ml_binary(onnx, row, LP_GRAPH_MUL, &sign, err);
}

/* zeros=0: a value that is no key is an error. NaN in all its columns makes the record a bad one. */
static enum lp_code reject_others(struct lp_onnx *onnx, struct lp_ml_row *row, const struct keys *keys,
                                  struct lp_error *err)
{
    float *zeros = lp_storage_take(&onnx->draft->storage, keys->count, sizeof *zeros, err);
    if (zeros == NULL) return lp_failed(err->code);
    LP_TRY(map(onnx, row, keys, zeros, -1, err));
    return lp_ml_activate(onnx, row, LP_GRAPH_SQRT, 0, 0, err);
}

/* [n] positions -> [n, keys]. */
static enum lp_code expand(struct lp_onnx *onnx, struct lp_ml_row *row, const struct keys *keys, bool zeros,
                           struct lp_error *err)
{
    struct lp_ml_row others = *row;
    struct lp_graph_op op = {.kind = LP_GRAPH_ONEHOT, .input_count = 1, .rank = 2, .dims = {row->dims[0], keys->count}};
    float *numbers;
    LP_TRY(make_floats(onnx, keys->count, &op.values, &numbers, err));
    for (uint32_t i = 0; i < keys->count; i++) numbers[i] = (float)keys->numbers[i];
    LP_TRY(lp_onnx_emit(onnx, op, &row->value, &row->value, err));
    row->rank = 2;
    row->dims[1] = keys->count;
    if (zeros) return LP_OK;
    LP_TRY(reject_others(onnx, &others, keys, err));
    LP_TRY(lp_ml_reshape(onnx, &others, 2, (const uint32_t[]){row->dims[0], 1}, err));
    return lp_ml_binary(onnx, row, LP_GRAPH_ADD, &others, err);
}

static enum lp_code one_hot(struct lp_onnx *onnx, struct lp_ml_row *row, const struct keys *keys, bool zeros,
                            struct lp_error *err)
{
    uint32_t count = 1, rank = row->rank, dims[LP_GRAPH_RANK_MAX + 1];
    memcpy(dims, row->dims, sizeof row->dims);
    for (uint32_t i = 0; i < rank; i++) count *= dims[i];
    LP_TRY(lp_ml_reshape(onnx, row, 1, &count, err));
    LP_TRY(expand(onnx, row, keys, zeros, err));
    if (rank == LP_GRAPH_RANK_MAX)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "more than %d axes beside the batch", LP_GRAPH_RANK_MAX);
    dims[rank] = keys->count;
    return lp_ml_reshape(onnx, row, rank + 1, dims, err);
}

enum lp_code lp_ml_one_hot(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_value *value = lp_onnx_input(onnx, node, 0);
    struct keys keys = {0};
    const int64_t *wholes;
    size_t text_count, whole_count;
    int64_t zeros;
    struct lp_ml_row row;
    LP_TRY(lp_onnx_texts(onnx, node, "cats_strings", &keys.texts, &text_count, err));
    LP_TRY(lp_onnx_ints(node, "cats_int64s", &wholes, &whole_count, err));
    LP_TRY(lp_onnx_int(node, "zeros", 1, &zeros, err));
    if ((text_count == 0) == (whole_count == 0) || text_count + whole_count > LP_BUNDLE_COLUMNS_MAX)
        return lp_onnx_bad(node, err, "%zu texts and %zu numbers as categories", text_count, whole_count);
    if (whole_count > 0) keys.texts = NULL;
    LP_TRY(number_keys(onnx, node, whole_count > 0 ? wholes : NULL, (uint32_t)(text_count + whole_count), &keys, err));
    LP_TRY(read_input(onnx, node, &keys, &row, err));
    if (whole_count > 0 && !lp_onnx_type_whole(value->type)) LP_TRY(cut(onnx, &row, err));
    LP_TRY(one_hot(onnx, &row, &keys, zeros != 0, err));
    lp_ml_bind(onnx, node, 0, &row);
    return LP_OK;
}

/* --- LabelEncoder --- */

/* One of keys_* or values_*, whatever its kind. */
struct column {
    size_t count;
    const struct lp_span *texts; /* NULL: none */
    double *numbers;
};

static enum lp_code copy_numbers(struct lp_onnx *onnx, const struct lp_onnx_constant *from, struct column *column,
                                 struct lp_error *err)
{
    double *numbers = lp_storage_take(&onnx->draft->storage, from->count, sizeof *numbers, err);
    if (numbers == NULL) return lp_failed(err->code);
    for (uint64_t i = 0; i < from->count; i++) numbers[i] = lp_onnx_number_at(from, i);
    column->numbers = numbers;
    column->count = (size_t)from->count;
    return LP_OK;
}

/* @param names <what>_strings, _int64s, _floats, _tensor */
static enum lp_code read_column(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *const names[4],
                                struct column *column, struct lp_error *err)
{
    const struct lp_span *texts;
    const int64_t *wholes;
    const float *floats;
    size_t text_count, whole_count, float_count;
    struct lp_onnx_constant *tensor;
    LP_TRY(lp_onnx_texts(onnx, node, names[0], &texts, &text_count, err));
    LP_TRY(lp_onnx_ints(node, names[1], &wholes, &whole_count, err));
    LP_TRY(lp_onnx_floats(node, names[2], &floats, &float_count, err));
    LP_TRY(lp_onnx_tensor_attribute(onnx, node, names[3], &tensor, err));
    int kinds = (text_count > 0) + (whole_count > 0) + (float_count > 0) + (tensor != NULL && tensor->count > 0);
    if (kinds != 1) return lp_onnx_bad(node, err, "`%s` and its like: %d are given", names[0], kinds);
    *column = (struct column){.count = text_count, .texts = texts};
    if (text_count > 0) return LP_OK;
    column->texts = NULL;
    if (tensor != NULL && tensor->count > 0 && tensor->type == LP_ONNX_STRING) {
        *column = (struct column){.count = (size_t)tensor->count, .texts = tensor->data};
        return LP_OK;
    }
    if (tensor != NULL && tensor->count > 0) return copy_numbers(onnx, tensor, column, err);
    column->count = whole_count + float_count;
    double *numbers = lp_storage_take(&onnx->draft->storage, column->count, sizeof *numbers, err);
    if (numbers == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < column->count; i++) numbers[i] = whole_count > 0 ? (double)wholes[i] : (double)floats[i];
    column->numbers = numbers;
    return LP_OK;
}

/* What a value that is no key becomes. Kinds of defaults that are not the values' are passed over. */
static enum lp_code read_default(struct lp_onnx *onnx, const struct lp_onnx_node *node, bool wholes, double *ret_number,
                                 struct lp_error *err)
{
    struct lp_onnx_constant *tensor;
    int64_t whole;
    LP_TRY(lp_onnx_tensor_attribute(onnx, node, "default_tensor", &tensor, err));
    if (tensor != NULL && tensor->count == 1 && tensor->type != LP_ONNX_STRING) {
        *ret_number = lp_onnx_number_at(tensor, 0);
        return LP_OK;
    }
    if (!wholes) return lp_onnx_float(node, "default_float", -0.0, ret_number, err);
    LP_TRY(lp_onnx_int(node, "default_int64", -1, &whole, err));
    *ret_number = (double)whole;
    return LP_OK;
}

/*
 * A NaN among the keys: missing values become a number that is no key, which stands for it; before version 4 nothing
 * equals NaN, and the number leads to the default.
 */
static enum lp_code replace_missing(struct lp_onnx *onnx, struct lp_ml_row *row, struct keys *keys, float *values,
                                    uint32_t at, bool meets, struct lp_error *err)
{
    double most = 0;
    float *number;
    for (uint32_t i = 0; i < keys->count; i++)
        if (i != at && fabs(keys->numbers[i]) > most) most = fabs(keys->numbers[i]);
    const float standing = (float)(2 * most + 1);
    if (!isfinite(standing)) return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "a key of %g beside NaN", most);
    uint32_t last = keys->count - 1;
    keys->numbers[at] = meets ? (double)standing : keys->numbers[last];
    if (!meets) {
        values[at] = values[last];
        keys->count = last;
    }
    struct lp_graph_op op = {.kind = LP_GRAPH_IMPUTE, .input_count = 1, .rank = row->rank, .alpha = (double)NAN};
    memcpy(op.dims, row->dims, sizeof op.dims);
    LP_TRY(make_floats(onnx, 1, &op.constant, &number, err));
    *number = standing;
    return lp_onnx_emit(onnx, op, &row->value, &row->value, err);
}

static enum lp_code check_numbers(const struct lp_onnx_node *node, const struct keys *keys, const struct column *values,
                                  uint32_t *ret_missing, struct lp_error *err)
{
    *ret_missing = keys->count;
    for (uint32_t i = 0; i < keys->count; i++) {
        if (!isfinite((float)values->numbers[i])) return lp_onnx_refuse(node, err, "a value is not finite");
        if (keys->texts != NULL) continue;
        if (isnan(keys->numbers[i]) && *ret_missing == keys->count) *ret_missing = i;
        else if ((double)(float)keys->numbers[i] != keys->numbers[i])
            return lp_onnx_refuse(node, err, "key %.17g is no float", keys->numbers[i]);
    }
    return LP_OK;
}

static enum lp_code encode(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct keys *keys,
                           const struct column *values, double otherwise, struct lp_error *err)
{
    struct lp_ml_row row;
    uint32_t missing;
    float *numbers = lp_storage_take(&onnx->draft->storage, keys->count, sizeof *numbers, err);
    if (numbers == NULL) return lp_failed(err->code);
    LP_TRY(check_numbers(node, keys, values, &missing, err));
    LP_TRY(read_input(onnx, node, keys, &row, err));
    for (uint32_t i = 0; i < keys->count; i++) numbers[i] = (float)values->numbers[i];
    if (!isfinite((float)otherwise)) return lp_onnx_refuse(node, err, "its default, %g, is not finite", otherwise);
    if (missing < keys->count) LP_TRY(replace_missing(onnx, &row, keys, numbers, missing, node->opset >= 4, err));
    LP_TRY(map(onnx, &row, keys, numbers, (float)otherwise, err));
    lp_ml_bind(onnx, node, 0, &row);
    return LP_OK;
}

/* Version 1: texts to their positions. */
static enum lp_code encode_classes(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct keys keys = {0};
    struct column values = {0};
    size_t count;
    int64_t otherwise;
    LP_TRY(lp_onnx_texts(onnx, node, "classes_strings", &keys.texts, &count, err));
    LP_TRY(lp_onnx_int(node, "default_int64", -1, &otherwise, err));
    if (count == 0 || count > LP_BUNDLE_COLUMNS_MAX) return lp_onnx_bad(node, err, "%zu classes", count);
    LP_TRY(number_keys(onnx, node, NULL, (uint32_t)count, &keys, err));
    values.numbers = keys.numbers;
    return encode(onnx, node, &keys, &values, (double)otherwise, err);
}

enum lp_code lp_ml_label_encoder(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    static const char *const key_names[] = {"keys_strings", "keys_int64s", "keys_floats", "keys_tensor"};
    static const char *const value_names[] = {"values_strings", "values_int64s", "values_floats", "values_tensor"};
    struct column from, to;
    struct keys keys = {0};
    double otherwise;
    if (node->opset < 2) return encode_classes(onnx, node, err);
    LP_TRY(read_column(onnx, node, key_names, &from, err));
    LP_TRY(read_column(onnx, node, value_names, &to, err));
    if (from.count != to.count || from.count > INT32_MAX)
        return lp_onnx_bad(node, err, "%zu keys of %zu values", from.count, to.count);
    if (to.texts != NULL) return lp_onnx_refuse(node, err, "it gives texts, which are no numbers");
    keys.count = (uint32_t)from.count;
    keys.texts = from.texts;
    if (from.texts != NULL) LP_TRY(number_keys(onnx, node, NULL, keys.count, &keys, err));
    else keys.numbers = from.numbers;
    const Onnx__Attribute *whole = lp_onnx_attribute(node, "values_int64s");
    LP_TRY(read_default(onnx, node, whole != NULL, &otherwise, err));
    return encode(onnx, node, &keys, &to, otherwise, err);
}
