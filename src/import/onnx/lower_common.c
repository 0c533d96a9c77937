#include "import/onnx/lower.h"
#include "import/onnx/private.h"

#include <string.h>

enum lp_code lp_onnx_list(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *name, uint32_t i,
                          const int64_t **ret_wholes, size_t *ret_count, struct lp_error *err)
{
    struct lp_onnx_constant *constant = NULL;
    if (lp_onnx_input(onnx, node, i) == NULL) return lp_onnx_ints(node, name, ret_wholes, ret_count, err);
    LP_TRY(lp_onnx_known(onnx, node, i, &constant, err));
    if (constant->type == LP_ONNX_INT64) {
        *ret_wholes = constant->data != NULL ? constant->data : (const void *)"\0\0\0\0\0\0\0";
        *ret_count = constant->count;
        return LP_OK;
    }
    if (!lp_onnx_type_whole(constant->type)) return lp_onnx_bad(node, err, "`%s` are not whole numbers", name);
    struct lp_onnx_constant *wide = NULL;
    LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_INT64, constant->rank, constant->dims, &wide, err));
    for (uint64_t k = 0; k < constant->count; k++) lp_onnx_put_whole(wide, k, lp_onnx_whole_at(constant, k));
    *ret_wholes = wide->data;
    *ret_count = wide->count;
    return LP_OK;
}

enum lp_code lp_onnx_axis(const struct lp_onnx_node *node, int64_t axis, uint32_t rank, uint32_t *ret_axis,
                          struct lp_error *err)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return lp_onnx_bad(node, err, "axis %lld of %u", (long long)axis, rank);
    *ret_axis = (uint32_t)(axis < 0 ? axis + rank : axis);
    return LP_OK;
}

enum lp_code lp_onnx_row_axis(const struct lp_onnx_node *node, const struct lp_onnx_value *value, int64_t axis,
                              uint32_t *ret_axis, struct lp_error *err)
{
    uint32_t at = 0;
    LP_TRY(lp_onnx_axis(node, axis, value->rank + 1, &at, err));
    if (at == 0) return lp_onnx_refuse(node, err, "axis 0 is the batch: a record would depend on its neighbours");
    *ret_axis = at - 1;
    return LP_OK;
}

enum lp_code lp_onnx_operand(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_onnx_constant *constant,
                             uint32_t rank, const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    const struct lp_tensor *whole = NULL;
    LP_TRY(lp_onnx_tensor(onnx, constant, &whole, err));
    if (constant->rank < rank) {
        *ret_tensor = whole;
        return LP_OK;
    }
    if (constant->rank > rank || constant->dims[0] != 1)
        return lp_onnx_refuse(node, err, "a constant that has the batch as an axis");
    struct lp_tensor *inner = lp_storage_take(&onnx->draft->storage, 1, sizeof *inner, err);
    if (inner == NULL) return lp_failed(err->code);
    *inner = *whole;
    inner->rank = whole->rank - 1;
    memmove(inner->dims, inner->dims + 1, inner->rank * sizeof *inner->dims);
    *ret_tensor = inner;
    return LP_OK;
}

enum lp_code lp_onnx_broadcast(const struct lp_onnx_node *node, uint32_t a_rank, const uint32_t *a, uint32_t b_rank,
                               const uint32_t *b, uint32_t *ret_rank, uint32_t *ret_dims, struct lp_error *err)
{
    uint32_t rank = a_rank > b_rank ? a_rank : b_rank;
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t x = i < rank - a_rank ? 1 : a[i - (rank - a_rank)], y = i < rank - b_rank ? 1 : b[i - (rank - b_rank)];
        if (x != y && x != 1 && y != 1) return lp_onnx_bad(node, err, "shapes of %u and %u at axis %u", x, y, i + 1);
        ret_dims[i] = x == 1 ? y : x;
    }
    *ret_rank = rank;
    return LP_OK;
}

static enum lp_code small_dims(const struct lp_onnx_node *node, const struct lp_tensor *tensor, uint32_t *dims,
                               struct lp_error *err)
{
    if (tensor->rank > LP_GRAPH_RANK_MAX)
        return lp_onnx_refuse(node, err, "a constant of %u axes beside the batch", tensor->rank);
    for (uint32_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] == 0 || tensor->dims[i] > LP_BUNDLE_COLUMNS_MAX)
            return lp_onnx_bad(node, err, "a constant's axis of %llu", (unsigned long long)tensor->dims[i]);
        dims[i] = (uint32_t)tensor->dims[i];
    }
    return LP_OK;
}

/* An op of one row value; the result is of its type and the op's shape. */
static enum lp_code emit_of(struct lp_onnx *onnx, struct lp_graph_op op, const struct lp_onnx_value *a,
                            struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_onnx_value made = {.kind = LP_ONNX_ROW, .type = a->type, .rank = op.rank};
    memcpy(made.dims, op.dims, sizeof made.dims);
    op.input_count = 1;
    LP_TRY(lp_onnx_emit(onnx, op, &a->graph_value, &made.graph_value, err));
    *ret_value = made;
    return LP_OK;
}

enum lp_code lp_onnx_emit_constant(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                   enum lp_graph_function function, const struct lp_onnx_value *a,
                                   const struct lp_tensor *constant, bool reverse, struct lp_onnx_value *ret_value,
                                   struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_BINARY, .function = function, .constant = constant, .reverse = reverse};
    uint32_t dims[LP_GRAPH_RANK_MAX];
    LP_TRY(small_dims(node, constant, dims, err));
    LP_TRY(lp_onnx_broadcast(node, a->rank, a->dims, constant->rank, dims, &op.rank, op.dims, err));
    return emit_of(onnx, op, a, ret_value, err);
}

enum lp_code lp_onnx_emit_binary(struct lp_onnx *onnx, const struct lp_onnx_node *node, enum lp_graph_function function,
                                 const struct lp_onnx_value *a, const struct lp_onnx_value *b,
                                 struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_BINARY, .function = function, .input_count = 2};
    const uint32_t inputs[] = {a->graph_value, b->graph_value};
    struct lp_onnx_value made = {.kind = LP_ONNX_ROW, .type = a->type};
    if (a->rank != b->rank)
        return lp_onnx_refuse(node, err, "inputs of %u and %u axes: the batch of one would lie on an axis of the other",
                              a->rank + 1, b->rank + 1);
    LP_TRY(lp_onnx_broadcast(node, a->rank, a->dims, b->rank, b->dims, &op.rank, op.dims, err));
    made.rank = op.rank;
    memcpy(made.dims, op.dims, sizeof made.dims);
    LP_TRY(lp_onnx_emit(onnx, op, inputs, &made.graph_value, err));
    *ret_value = made;
    return LP_OK;
}

enum lp_code lp_onnx_emit_activation(struct lp_onnx *onnx, struct lp_graph_op op, const struct lp_onnx_value *a,
                                     struct lp_onnx_value *ret_value, struct lp_error *err)
{
    op.rank = a->rank;
    memcpy(op.dims, a->dims, sizeof op.dims);
    return emit_of(onnx, op, a, ret_value, err);
}

enum lp_code lp_onnx_emit_transpose(struct lp_onnx *onnx, const struct lp_onnx_value *a, const uint32_t *perm,
                                    struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_TRANSPOSE, .rank = a->rank, .axis_count = a->rank};
    bool moved = false;
    for (uint32_t i = 0; i < a->rank; i++) {
        op.axes[i] = perm[i];
        op.dims[i] = a->dims[perm[i]];
        moved |= perm[i] != i;
    }
    if (moved) return emit_of(onnx, op, a, ret_value, err);
    *ret_value = *a;
    return LP_OK;
}

enum lp_code lp_onnx_emit_reshape(struct lp_onnx *onnx, const struct lp_onnx_value *a, uint32_t rank,
                                  const uint32_t *dims, struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_onnx_value made = {.kind = LP_ONNX_ROW, .type = a->type, .rank = rank};
    LP_TRY(lp_onnx_reshape(onnx, a->graph_value, a->rank, a->dims, rank, dims, &made.graph_value, err));
    memcpy(made.dims, dims, rank * sizeof *dims);
    *ret_value = made;
    return LP_OK;
}

enum lp_code lp_onnx_transposed(struct lp_onnx *onnx, const struct lp_tensor *tensor,
                                const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    uint64_t rows = tensor->dims[0], columns = tensor->dims[1];
    const uint64_t dims[] = {columns, rows};
    struct lp_tensor *made;
    void *data = NULL;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 2, dims, &made, &data, err));
    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t k = 0; k < columns; k++)
            ((float *)data)[k * rows + i] = ((const float *)tensor->data)[i * columns + k];
    *ret_tensor = made;
    return LP_OK;
}

/* 0 for every record: no key is its first column, or it is and its value is 0 too. */
static enum lp_code zero_of_row(struct lp_onnx *onnx, struct lp_onnx_value *ret_value, struct lp_error *err)
{
    const uint64_t dims[] = {1};
    struct lp_tensor *keys, *values;
    void *data = NULL;
    struct lp_onnx_value made = {.kind = LP_ONNX_ROW, .type = LP_ONNX_FLOAT};
    uint32_t column = 0;
    if (onnx->draft->column_count == 0) return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "a model without inputs");
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F64, 1, dims, &keys, &data, err));
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 1, dims, &values, &data, err));
    LP_TRY(lp_onnx_features_slice(onnx, 0, 1, &column, err));
    const struct lp_graph_op op = {.kind = LP_GRAPH_MAP, .input_count = 1, .keys = keys, .values = values};
    LP_TRY(lp_onnx_emit(onnx, op, &column, &made.graph_value, err));
    *ret_value = made;
    return LP_OK;
}

enum lp_code lp_onnx_spread(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_onnx_constant *constant,
                            struct lp_onnx_value *ret_value, struct lp_error *err)
{
    const struct lp_tensor *tensor = NULL;
    struct lp_onnx_value zero;
    bool one = constant->rank > 0 && constant->dims[0] == 1;
    if (!one || (!constant->is_spread && onnx->batch != 1))
        return lp_onnx_refuse(node, err, "a constant that has the batch as an axis");
    LP_TRY(lp_onnx_operand(onnx, node, constant, constant->rank, &tensor, err));
    LP_TRY(zero_of_row(onnx, &zero, err));
    return lp_onnx_emit_constant(onnx, node, LP_GRAPH_ADD, &zero, tensor, false, ret_value, err);
}

/* --- constants of constants --- */

enum lp_code lp_onnx_join(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_onnx_constant *const *parts,
                          uint32_t count, uint32_t axis, struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    const struct lp_onnx_constant *first = parts[0];
    uint64_t dims[LP_ONNX_RANK_MAX], before = 1, after = 1;
    size_t bytes = lp_onnx_type_bytes(first->type), at = 0;
    bool batch = false;
    memcpy(dims, first->dims, sizeof dims);
    dims[axis] = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool fits = parts[i]->rank == first->rank && parts[i]->type == first->type;
        for (uint32_t k = 0; fits && k < first->rank; k++) fits = k == axis || parts[i]->dims[k] == dims[k];
        if (!fits || __builtin_add_overflow(dims[axis], parts[i]->dims[axis], &dims[axis]))
            return lp_onnx_bad(node, err, "its inputs have other shapes or types than the first");
        batch |= parts[i]->has_batch;
    }
    struct lp_onnx_constant *made = NULL;
    LP_TRY(lp_onnx_constant_new(onnx, first->type, first->rank, dims, &made, err));
    for (uint32_t k = 0; k < axis; k++) before *= dims[k];
    for (uint32_t k = axis + 1; k < first->rank; k++) after *= dims[k];
    if (made->count > 0 && before > (uint64_t)4 * LP_ONNX_FOLDED_MAX / count)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%u constants to join in %llu pieces each", count,
                       (unsigned long long)before);
    unsigned char *to = (unsigned char *)(uintptr_t)made->data;
    for (uint64_t outer = 0; made->count > 0 && outer < before; outer++)
        for (uint32_t i = 0; i < count; i++) {
            size_t part = parts[i]->dims[axis] * after * bytes;
            if (part > 0) memcpy(to + at, (const unsigned char *)parts[i]->data + outer * part, part);
            at += part;
        }
    made->has_batch = batch;
    for (uint32_t i = 0; i < count; i++) made->is_spread |= parts[i]->is_spread && axis > 0;
    *ret_constant = made;
    return LP_OK;
}

enum lp_code lp_onnx_pick(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_constant *data,
                          uint32_t axis, const int64_t *indices, uint64_t count, struct lp_onnx_constant **ret_constant,
                          struct lp_error *err)
{
    uint64_t dims[LP_ONNX_RANK_MAX], before = 1, after = 1, length = data->dims[axis];
    size_t bytes = lp_onnx_type_bytes(data->type);
    memcpy(dims, data->dims, sizeof dims);
    dims[axis] = count;
    for (uint64_t i = 0; i < count; i++)
        if (indices[i] < -(int64_t)length || indices[i] >= (int64_t)length)
            return lp_onnx_bad(node, err, "index %lld of %llu", (long long)indices[i], (unsigned long long)length);
    struct lp_onnx_constant *made = NULL;
    LP_TRY(lp_onnx_constant_new(onnx, data->type, data->rank, dims, &made, err));
    for (uint32_t k = 0; k < axis; k++) before *= dims[k];
    for (uint32_t k = axis + 1; k < data->rank; k++) after *= dims[k];
    unsigned char *to = (unsigned char *)(uintptr_t)made->data;
    for (uint64_t outer = 0; made->count > 0 && outer < before; outer++)
        for (uint64_t i = 0; i < count; i++, to += after * bytes) {
            uint64_t index = (uint64_t)(indices[i] < 0 ? indices[i] + (int64_t)length : indices[i]);
            memcpy(to, (const unsigned char *)data->data + (outer * length + index) * after * bytes, after * bytes);
        }
    for (uint64_t i = 0; data->has_batch && i < made->count; i++)
        made->has_batch |= lp_onnx_whole_at(made, i) == LP_ONNX_BATCH;
    *ret_constant = made;
    return LP_OK;
}

enum lp_code lp_onnx_reshaped(struct lp_onnx *onnx, const struct lp_onnx_constant *data, uint32_t rank,
                              const uint64_t *dims, struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    struct lp_onnx_constant *made = lp_storage_take(&onnx->draft->storage, 1, sizeof *made, err);
    if (made == NULL) return lp_failed(err->code);
    *made = *data;
    made->floats = NULL;
    made->quantized = NULL;
    made->rank = rank;
    memcpy(made->dims, dims, rank * sizeof *dims);
    *ret_constant = made;
    return LP_OK;
}

enum lp_code lp_onnx_text_columns(struct lp_onnx *onnx, const struct lp_onnx_value *text,
                                  struct lp_onnx_constant **ret_columns, struct lp_error *err)
{
    uint64_t dims[LP_GRAPH_RANK_MAX];
    for (uint32_t i = 0; i < text->rank; i++) dims[i] = text->dims[i];
    struct lp_onnx_constant *made = NULL;
    LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_UINT32, text->rank, dims, &made, err));
    memcpy((void *)(uintptr_t)made->data, text->columns, made->count * sizeof *text->columns);
    *ret_columns = made;
    return LP_OK;
}

void lp_onnx_bind_columns(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                          const struct lp_onnx_constant *columns)
{
    uint32_t dims[LP_ONNX_RANK_MAX];
    for (uint32_t k = 0; k < columns->rank; k++) dims[k] = (uint32_t)columns->dims[k];
    lp_onnx_bind_text(onnx, node, i, columns->data, columns->rank, dims);
}

void lp_onnx_put_whole(struct lp_onnx_constant *constant, uint64_t i, int64_t whole)
{
    void *data = (void *)(uintptr_t)constant->data;
    if (!lp_onnx_type_whole(constant->type)) {
        lp_onnx_put_number(constant, i, (double)whole);
        return;
    }
    if (constant->type == LP_ONNX_BOOL) whole = whole != 0;
    switch (lp_onnx_type_bytes(constant->type)) {
    case 1: ((uint8_t *)data)[i] = (uint8_t)whole; break;
    case 2: ((uint16_t *)data)[i] = (uint16_t)whole; break;
    case 4: ((uint32_t *)data)[i] = (uint32_t)whole; break;
    default: ((uint64_t *)data)[i] = (uint64_t)whole; break;
    }
}

void lp_onnx_put_number(struct lp_onnx_constant *constant, uint64_t i, double number)
{
    void *data = (void *)(uintptr_t)constant->data;
    if (constant->type == LP_ONNX_FLOAT) ((float *)data)[i] = (float)number;
    else if (constant->type == LP_ONNX_DOUBLE) ((double *)data)[i] = number;
    else if (lp_onnx_type_whole(constant->type)) {
        const double one[] = {number};
        const struct lp_onnx_constant as = {.type = LP_ONNX_DOUBLE, .count = 1, .data = one};
        lp_onnx_put_whole(constant, i, lp_onnx_whole_at(&as, 0));
    }
}
