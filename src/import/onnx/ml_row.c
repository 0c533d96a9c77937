/* Small ops in the lowerings of ai.onnx.ml, one call each. */
#include "import/onnx/ml.h"

#include <string.h>

enum lp_code lp_ml_input(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                         struct lp_ml_row *ret_row, struct lp_error *err)
{
    struct lp_onnx_value *value;
    LP_TRY(lp_onnx_row(onnx, node, i, &value, err));
    *ret_row = (struct lp_ml_row){.value = value->graph_value, .rank = value->rank};
    memcpy(ret_row->dims, value->dims, sizeof ret_row->dims);
    return LP_OK;
}

void lp_ml_bind(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i, const struct lp_ml_row *row)
{
    lp_onnx_bind_row(onnx, node, i, LP_ONNX_FLOAT, row->value, row->rank, row->dims);
}

/* An op of the row's shape in and out. */
static struct lp_graph_op same(const struct lp_ml_row *row, enum lp_graph_kind kind, enum lp_graph_function function)
{
    struct lp_graph_op op = {.kind = kind, .function = function, .input_count = 1, .rank = row->rank};
    memcpy(op.dims, row->dims, sizeof op.dims);
    return op;
}

enum lp_code lp_ml_activate(struct lp_onnx *onnx, struct lp_ml_row *row, enum lp_graph_function function, double alpha,
                            double beta, struct lp_error *err)
{
    struct lp_graph_op op = same(row, LP_GRAPH_ACTIVATION, function);
    op.alpha = alpha;
    op.beta = beta;
    return lp_onnx_emit(onnx, op, &row->value, &row->value, err);
}

/* Numbers that change nothing: an op less. */
static bool is_neutral(enum lp_graph_function function, const float *numbers, size_t count)
{
    float neutral = function == LP_GRAPH_MUL ? 1 : 0;
    if (function != LP_GRAPH_MUL && function != LP_GRAPH_SUB) return false;
    for (size_t i = 0; i < count; i++)
        if (numbers[i] != neutral) return false;
    return true;
}

enum lp_code lp_ml_with(struct lp_onnx *onnx, struct lp_ml_row *row, enum lp_graph_function function, bool reverse,
                        const float *numbers, size_t count, struct lp_error *err)
{
    struct lp_graph_op op = same(row, LP_GRAPH_BINARY, function);
    struct lp_tensor *tensor;
    void *data;
    if (!reverse && is_neutral(function, numbers, count)) return LP_OK;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 1, (const uint64_t[]){count}, &tensor, &data, err));
    memcpy(data, numbers, count * sizeof *numbers);
    op.constant = tensor;
    op.reverse = reverse;
    return lp_onnx_emit(onnx, op, &row->value, &row->value, err);
}

enum lp_code lp_ml_binary(struct lp_onnx *onnx, struct lp_ml_row *row, enum lp_graph_function function,
                          const struct lp_ml_row *other, struct lp_error *err)
{
    struct lp_graph_op op = same(row, LP_GRAPH_BINARY, function);
    const uint32_t inputs[] = {row->value, other->value};
    op.input_count = 2;
    return lp_onnx_emit(onnx, op, inputs, &row->value, err);
}

enum lp_code lp_ml_reshape(struct lp_onnx *onnx, struct lp_ml_row *row, uint32_t rank, const uint32_t *dims,
                           struct lp_error *err)
{
    LP_TRY(lp_onnx_reshape(onnx, row->value, row->rank, row->dims, rank, dims, &row->value, err));
    row->rank = rank;
    memcpy(row->dims, dims, rank * sizeof *dims);
    return LP_OK;
}

enum lp_code lp_ml_concat(struct lp_onnx *onnx, const struct lp_ml_row *rows, uint32_t count, struct lp_ml_row *ret_row,
                          struct lp_error *err)
{
    uint32_t *inputs = lp_storage_take(&onnx->draft->storage, count, sizeof *inputs, err);
    struct lp_ml_row row = {.rank = 1};
    if (inputs == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        inputs[i] = rows[i].value;
        if (rows[i].dims[0] > LP_BUNDLE_COLUMNS_MAX - row.dims[0])
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d numbers", LP_BUNDLE_COLUMNS_MAX);
        row.dims[0] += rows[i].dims[0];
    }
    if (count == 1) {
        *ret_row = rows[0];
        return LP_OK;
    }
    struct lp_graph_op op = same(&row, LP_GRAPH_CONCAT, LP_GRAPH_NONE);
    op.input_count = count;
    LP_TRY(lp_onnx_emit(onnx, op, inputs, &row.value, err));
    *ret_row = row;
    return LP_OK;
}

enum lp_code lp_ml_dense(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_ml_row *row,
                         const float *coefficients, size_t coefficient_count, const float *intercepts, uint32_t targets,
                         struct lp_error *err)
{
    struct lp_tensor *weight, *bias;
    void *data;
    if (row->rank > 1) return lp_onnx_refuse(node, err, "%u axes beside the batch: it defines one", row->rank);
    const uint32_t width = row->rank > 0 ? row->dims[0] : 1;
    if (targets == 0 || coefficient_count != (uint64_t)targets * width)
        return lp_onnx_bad(node, err, "%zu coefficients for %u outputs of %u numbers", coefficient_count, targets,
                           width);
    LP_TRY(lp_ml_reshape(onnx, row, 1, &width, err));
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 2, (const uint64_t[]){width, targets}, &weight, &data, err));
    float *numbers = data;
    for (size_t i = 0; i < width; i++)
        for (size_t k = 0; k < targets; k++) numbers[i * targets + k] = coefficients[k * width + i];
    struct lp_graph_op op = {.kind = LP_GRAPH_DENSE, .input_count = 1, .rank = 1, .dims = {targets}, .weight = weight};
    if (intercepts != NULL) {
        LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 1, (const uint64_t[]){targets}, &bias, &data, err));
        memcpy(data, intercepts, targets * sizeof *intercepts);
        op.bias = bias;
    }
    LP_TRY(lp_onnx_emit(onnx, op, &row->value, &row->value, err));
    row->dims[0] = targets;
    return LP_OK;
}
