/* Gather: rows of a constant table by computed numbers (an embedding), or constant places of a computed value. */
#include "import/onnx/lower.h"

#include <math.h>
#include <string.h>

/* The table as [rows, width], F32 or the file's floats of 16 bits. */
static enum lp_code read_table(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_onnx_constant *data,
                               const struct lp_tensor **ret_table, struct lp_error *err)
{
    const struct lp_tensor *whole = NULL;
    struct lp_tensor *table = lp_storage_take(&onnx->draft->storage, 1, sizeof *table, err);
    if (table == NULL) return lp_failed(err->code);
    const struct lp_tensor half = {.dtype = data->type == LP_ONNX_FLOAT16 ? LP_DTYPE_F16 : LP_DTYPE_BF16,
                                   .count = data->count,
                                   .data = data->data};
    if (data->type == LP_ONNX_FLOAT16 || data->type == LP_ONNX_BFLOAT16) whole = &half; /* exact as it is */
    else LP_TRY(lp_onnx_tensor(onnx, data, &whole, err));
    if (data->count == 0) return lp_onnx_bad(node, err, "the table is empty");
    for (uint64_t i = 0; lp_onnx_type_whole(data->type) && i < data->count; i++)
        if (fabs(lp_onnx_number_at(data, i)) > 0x1p24)
            return lp_onnx_refuse(node, err, "whole numbers beyond 2^24 in a table");
    *table = *whole;
    table->rank = 2;
    table->dims[0] = data->dims[0];
    table->dims[1] = data->count / data->dims[0];
    *ret_table = table;
    return LP_OK;
}

static enum lp_code lower_embedding(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                    struct lp_onnx_constant *data, const struct lp_onnx_value *ids,
                                    struct lp_error *err)
{
    struct lp_onnx_value flat, made = {.kind = LP_ONNX_ROW, .type = data->type};
    const struct lp_tensor *table = NULL;
    uint32_t count = 0, dims[LP_ONNX_RANK_MAX + LP_GRAPH_RANK_MAX], rank = 0, elements;
    LP_TRY(lp_graph_elements(ids->rank, ids->dims, &count, err));
    LP_TRY(read_table(onnx, node, data, &table, err));
    if (table->dims[1] > LP_BUNDLE_COLUMNS_MAX) return lp_onnx_refuse(node, err, "a table's row is too wide");
    for (uint32_t i = 0; i < ids->rank; i++) dims[rank++] = ids->dims[i];
    for (uint32_t i = 1; i < data->rank; i++) dims[rank++] = (uint32_t)data->dims[i];
    LP_TRY(lp_graph_elements(rank, dims, &elements, err));
    LP_TRY(lp_onnx_emit_reshape(onnx, ids, 1, &count, &flat, err));
    const struct lp_graph_op op = {.kind = LP_GRAPH_EMBEDDING,
                                   .function = LP_GRAPH_NONE,
                                   .input_count = 1,
                                   .rank = 2,
                                   .dims = {count, (uint32_t)table->dims[1]},
                                   .weight = table,
                                   .padding_index = -1};
    LP_TRY(lp_onnx_emit(onnx, op, &flat.graph_value, &made.graph_value, err));
    made.rank = 2;
    memcpy(made.dims, op.dims, sizeof made.dims);
    LP_TRY(lp_onnx_emit_reshape(onnx, &made, rank, dims, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* Indices count from the end where they are negative. */
static enum lp_code read_indices(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                 const struct lp_onnx_constant *indices, uint64_t length, int64_t **ret_indices,
                                 struct lp_error *err)
{
    if (!lp_onnx_type_whole(indices->type) || indices->has_batch || indices->count > LP_ONNX_FOLDED_MAX)
        return lp_onnx_bad(node, err, "its indices are not whole numbers");
    int64_t *list = lp_storage_take(&onnx->draft->storage, indices->count, sizeof *list, err);
    if (list == NULL) return lp_failed(err->code);
    for (uint64_t i = 0; i < indices->count; i++) {
        list[i] = lp_onnx_whole_at(indices, i);
        if (list[i] < -(int64_t)length || list[i] >= (int64_t)length)
            return lp_onnx_bad(node, err, "index %lld of %llu", (long long)list[i], (unsigned long long)length);
        list[i] += list[i] < 0 ? (int64_t)length : 0;
    }
    *ret_indices = list;
    return LP_OK;
}

/* Axis `axis` becomes the axes of the indices. */
static uint32_t gathered_dims(uint32_t rank, const uint64_t *dims, uint32_t axis,
                              const struct lp_onnx_constant *indices, uint64_t *ret_dims)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < axis; i++) ret_dims[count++] = dims[i];
    for (uint32_t i = 0; i < indices->rank; i++) ret_dims[count++] = indices->dims[i];
    for (uint32_t i = axis + 1; i < rank; i++) ret_dims[count++] = dims[i];
    return count;
}

static enum lp_code pick_known(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                               const struct lp_onnx_constant *data, uint32_t axis,
                               const struct lp_onnx_constant *indices, struct lp_onnx_constant **ret_constant,
                               struct lp_error *err)
{
    uint64_t dims[2 * LP_ONNX_RANK_MAX];
    int64_t *list = NULL;
    struct lp_onnx_constant *made = NULL;
    LP_TRY(read_indices(onnx, node, indices, data->dims[axis], &list, err));
    uint32_t rank = gathered_dims(data->rank, data->dims, axis, indices, dims);
    if (rank > LP_ONNX_RANK_MAX) return lp_onnx_refuse(node, err, "%u axes", rank);
    LP_TRY(lp_onnx_pick(onnx, node, data, axis, list, indices->count, &made, err));
    return lp_onnx_reshaped(onnx, made, rank, dims, ret_constant, err);
}

static bool are_consecutive(const int64_t *indices, uint64_t count)
{
    for (uint64_t i = 1; i < count; i++)
        if (indices[i] != indices[i - 1] + 1) return false;
    return true;
}

static enum lp_code pick_rows(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *data,
                              uint32_t axis, const struct lp_onnx_constant *indices, struct lp_error *err)
{
    struct lp_onnx_value picked = *data;
    struct lp_graph_op op = {.input_count = 1, .rank = data->rank, .axis = axis, .step = 1};
    uint64_t wide[LP_GRAPH_RANK_MAX] = {0}, dims[LP_GRAPH_RANK_MAX + LP_ONNX_RANK_MAX];
    uint32_t narrow[LP_GRAPH_RANK_MAX], elements;
    int64_t *list = NULL;
    LP_TRY(read_indices(onnx, node, indices, data->dims[axis], &list, err));
    if (indices->count == 0) return lp_onnx_refuse(node, err, "no indices");
    memcpy(op.dims, data->dims, sizeof op.dims);
    op.dims[axis] = picked.dims[axis] = indices->count > LP_BUNDLE_COLUMNS_MAX ? UINT32_MAX : (uint32_t)indices->count;
    if (are_consecutive(list, indices->count)) {
        op.kind = LP_GRAPH_SLICE;
        op.start = (uint32_t)list[0];
        op.end = op.start + op.dims[axis];
    } else {
        struct lp_tensor *tensor;
        void *to = NULL;
        LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_I64, 1, &indices->count, &tensor, &to, err));
        memcpy(to, list, indices->count * sizeof *list);
        op.kind = LP_GRAPH_GATHER;
        op.indices = tensor;
    }
    if (op.kind == LP_GRAPH_GATHER || op.dims[axis] != data->dims[axis])
        LP_TRY(lp_onnx_emit(onnx, op, &data->graph_value, &picked.graph_value, err));
    for (uint32_t i = 0; i < data->rank; i++) wide[i] = data->dims[i];
    uint32_t rank = gathered_dims(data->rank, wide, axis, indices, dims);
    if (rank > LP_GRAPH_RANK_MAX) return lp_onnx_refuse(node, err, "%u axes beside the batch", rank);
    for (uint32_t i = 0; i < rank; i++) narrow[i] = (uint32_t)dims[i];
    LP_TRY(lp_graph_elements(rank, narrow, &elements, err));
    LP_TRY(lp_onnx_emit_reshape(onnx, &picked, rank, narrow, &picked, err));
    lp_onnx_bind_value(onnx, node, 0, &picked);
    return LP_OK;
}

enum lp_code lp_onnx_lower_gather(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *data = lp_onnx_input(onnx, node, 0), *ids = NULL;
    struct lp_onnx_constant *indices = NULL, *columns = NULL;
    int64_t axis;
    uint32_t at = 0;
    if (data == NULL) return lp_onnx_bad(node, err, "input 0 is missing");
    LP_TRY(lp_onnx_int(node, "axis", 0, &axis, err));
    if (data->kind == LP_ONNX_CONSTANT) {
        LP_TRY(lp_onnx_axis(node, axis, data->known->rank, &at, err));
        if (at != 0) return lp_onnx_refuse(node, err, "axis %u of a constant by computed numbers", at);
        LP_TRY(lp_onnx_row(onnx, node, 1, &ids, err));
        return lower_embedding(onnx, node, data->known, ids, err);
    }
    LP_TRY(lp_onnx_row_axis(node, data, axis, &at, err));
    LP_TRY(lp_onnx_known(onnx, node, 1, &indices, err));
    if (data->kind != LP_ONNX_TEXT) {
        LP_TRY(lp_onnx_row(onnx, node, 0, &data, err));
        return pick_rows(onnx, node, data, at, indices, err);
    }
    LP_TRY(lp_onnx_text_columns(onnx, data, &columns, err));
    LP_TRY(pick_known(onnx, node, columns, at, indices, &columns, err));
    if (columns->rank > LP_GRAPH_RANK_MAX) return lp_onnx_refuse(node, err, "%u axes", columns->rank);
    lp_onnx_bind_columns(onnx, node, 0, columns);
    return LP_OK;
}

enum lp_code lp_onnx_fold_gather(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL, *indices = NULL, *made = NULL;
    int64_t axis;
    uint32_t at = 0;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(lp_onnx_known(onnx, node, 1, &indices, err));
    LP_TRY(lp_onnx_int(node, "axis", 0, &axis, err));
    LP_TRY(lp_onnx_axis(node, axis, data->rank, &at, err));
    LP_TRY(pick_known(onnx, node, data, at, indices, &made, err));
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}
