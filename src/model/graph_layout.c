/* Ops that move elements and compute nothing. */
#include "model/graph.h"

#include <string.h>

enum lp_code lp_concat_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                            struct lp_op *op, struct lp_error *err)
{
    char texts[2][LP_SHAPE_TEXT_BYTES];
    uint64_t along = 0;
    (void)bundle;
    LP_TRY(lp_axis_read(node, &inputs[0], &op->axis, err));
    for (uint32_t i = 0; i < op->input_count; i++) {
        struct lp_shape same = inputs[i];
        same.dims[op->axis] = inputs[0].dims[op->axis];
        if (memcmp(&same, &inputs[0], sizeof same) != 0)
            return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %s and %s differ beside axis %u", node->where,
                           lp_shape_text(&inputs[0], texts[0]), lp_shape_text(&inputs[i], texts[1]), op->axis);
        along += inputs[i].dims[op->axis];
    }
    op->shape.dims[op->axis] = along <= UINT32_MAX ? (uint32_t)along : UINT32_MAX;
    return LP_OK;
}

enum lp_code lp_slice_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                           struct lp_op *op, struct lp_error *err)
{
    json_int_t start, end, step = 1;
    (void)bundle;
    LP_TRY(lp_axis_read(node, &inputs[0], &op->axis, err));
    json_int_t dim = inputs[0].dims[op->axis];
    LP_TRY(lp_node_whole(node, "start", 0, dim - 1, &start, err));
    LP_TRY(lp_node_whole(node, "end", start + 1, dim, &end, err));
    if (lp_node_has(node, "step")) LP_TRY(lp_node_whole(node, "step", 1, dim, &step, err));
    op->start = (uint32_t)start;
    op->end = (uint32_t)end;
    op->step = (uint32_t)step;
    op->shape.dims[op->axis] = (uint32_t)((end - start + step - 1) / step);
    return LP_OK;
}

static enum lp_code check_indices(const struct lp_node *node, const struct lp_tensor *indices, uint32_t dim,
                                  struct lp_error *err)
{
    for (uint64_t i = 0; i < indices->count; i++) {
        int64_t index =
            indices->dtype == LP_DTYPE_I64 ? ((const int64_t *)indices->data)[i] : ((const int32_t *)indices->data)[i];
        if (index < 0 || index >= dim)
            return LP_BAD(err, "%s: `%.64s`[%llu] is %lld: the axis has %u", node->where, indices->name,
                          (unsigned long long)i, (long long)index, dim);
    }
    return LP_OK;
}

/* The axis gives way to the axes of the indices; without any axis left: [1]. */
enum lp_code lp_gather_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                            struct lp_op *op, struct lp_error *err)
{
    const struct lp_shape *in = &inputs[0];
    struct lp_shape shape = {.rank = 0};
    LP_TRY(lp_axis_read(node, in, &op->axis, err));
    LP_TRY(lp_weight_read(bundle, node, "indices", 1u << LP_DTYPE_I32 | 1u << LP_DTYPE_I64, &op->indices, err));
    const struct lp_tensor *indices = op->indices;
    if (in->rank - 1 + indices->rank > LP_VALUE_RANK_MAX || indices->count > LP_BUNDLE_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: `%.64s` has rank %u and %llu elements: too many", node->where,
                       indices->name, indices->rank, (unsigned long long)indices->count);
    LP_TRY(check_indices(node, indices, in->dims[op->axis], err));
    LP_TRY(lp_storage_charge(bundle->storage, indices->count, sizeof(uint32_t), err)); /* the plan's copy */
    for (uint32_t i = 0; i < op->axis; i++) shape.dims[shape.rank++] = in->dims[i];
    for (uint32_t i = 0; i < indices->rank; i++) shape.dims[shape.rank++] = (uint32_t)indices->dims[i];
    for (uint32_t i = op->axis + 1; i < in->rank; i++) shape.dims[shape.rank++] = in->dims[i];
    if (shape.rank == 0) shape.dims[shape.rank++] = 1;
    op->shape = shape;
    return LP_OK;
}

enum lp_code lp_reshape_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                             struct lp_op *op, struct lp_error *err)
{
    char texts[2][LP_SHAPE_TEXT_BYTES];
    const json_t *array;
    uint64_t count = 1;
    (void)bundle;
    (void)inputs;
    LP_TRY(lp_node_array(node, "shape", &array, err));
    size_t rank = json_array_size(array);
    if (rank < 1 || rank > LP_VALUE_RANK_MAX)
        return LP_BAD(err, "%s: `shape` has %zu axes: 1 to %d are allowed", node->where, rank, LP_VALUE_RANK_MAX);
    op->shape = (struct lp_shape){.rank = (uint32_t)rank};
    LP_TRY(lp_wholes_read(node, "shape", rank, 1, LP_BUNDLE_COLUMNS_MAX, op->shape.dims, err));
    for (uint32_t i = 0; i < rank && count <= op->in_width; i++) count *= op->shape.dims[i];
    if (count != op->in_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %s has not as many elements as %s", node->where,
                       lp_shape_text(&op->shape, texts[0]), lp_shape_text(&op->in, texts[1]));
    return LP_OK;
}

enum lp_code lp_transpose_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                               struct lp_op *op, struct lp_error *err)
{
    uint32_t seen = 0;
    (void)bundle;
    if (!lp_node_has(node, "perm")) return LP_BAD(err, "%s: `perm` is missing", node->where);
    LP_TRY(lp_wholes_read(node, "perm", op->in.rank, 0, (json_int_t)op->in.rank - 1, op->perm, err));
    for (uint32_t i = 0; i < op->in.rank; i++) {
        if ((seen >> op->perm[i] & 1) != 0)
            return LP_BAD(err, "%s: `perm` has axis %u twice", node->where, op->perm[i]);
        seen |= 1u << op->perm[i];
        op->shape.dims[i] = inputs[0].dims[op->perm[i]];
    }
    return LP_OK;
}
