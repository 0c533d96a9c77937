/* MatMul and Gemm: a constant matrix is a dense layer, two computed ones a matmul. */
#include "import/onnx/lower.h"

#include <string.h>

enum lp_code lp_onnx_emit_dense(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *a,
                                const struct lp_tensor *weight, const struct lp_tensor *bias,
                                struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_DENSE, .input_count = 1, .rank = a->rank, .weight = weight, .bias = bias};
    struct lp_onnx_value made = *a;
    if (a->rank == 0 || a->dims[a->rank - 1] != weight->dims[0])
        return lp_onnx_bad(node, err, "%u numbers times a matrix of %llu rows", a->rank > 0 ? a->dims[a->rank - 1] : 1,
                           (unsigned long long)weight->dims[0]);
    if (weight->dims[1] == 0 || weight->dims[1] > LP_BUNDLE_COLUMNS_MAX)
        return lp_onnx_refuse(node, err, "a matrix of %llu columns", (unsigned long long)weight->dims[1]);
    memcpy(op.dims, a->dims, sizeof op.dims);
    op.dims[a->rank - 1] = made.dims[a->rank - 1] = (uint32_t)weight->dims[1];
    LP_TRY(lp_onnx_emit(onnx, op, &a->graph_value, &made.graph_value, err));
    *ret_value = made;
    return LP_OK;
}

/* --- MatMul --- */

/* A matrix behind leading axes of 1 is a matrix; a vector is one column. */
static enum lp_code matrix_of(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_onnx_constant *constant,
                              struct lp_tensor **ret_matrix, struct lp_error *err)
{
    const struct lp_tensor *whole = NULL;
    LP_TRY(lp_onnx_tensor(onnx, constant, &whole, err));
    struct lp_tensor *matrix = lp_storage_take(&onnx->draft->storage, 1, sizeof *matrix, err);
    if (matrix == NULL) return lp_failed(err->code);
    *matrix = *whole;
    uint32_t rank = constant->rank, ones = rank > 2 ? rank - 2 : 0;
    for (uint32_t i = 0; i < ones; i++)
        if (constant->dims[i] != 1) return lp_onnx_refuse(node, err, "a stack of constant matrices");
    if (rank == 0 || constant->count == 0) return lp_onnx_bad(node, err, "a constant without a row");
    matrix->rank = 2;
    matrix->dims[0] = rank > 1 ? constant->dims[rank - 2] : constant->dims[0];
    matrix->dims[1] = rank > 1 ? constant->dims[rank - 1] : 1;
    *ret_matrix = matrix;
    return LP_OK;
}

/* x [.., k] times [k, n]. */
static enum lp_code times_constant(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *a,
                                   struct lp_onnx_constant *constant, struct lp_error *err)
{
    struct lp_tensor *matrix;
    struct lp_onnx_value made;
    bool done = false;
    LP_TRY(lp_onnx_emit_int8(onnx, node, a, constant, false, &made, &done, err));
    if (done) {
        lp_onnx_bind_value(onnx, node, 0, &made);
        return LP_OK;
    }
    LP_TRY(matrix_of(onnx, node, constant, &matrix, err));
    if (constant->rank > 2 && constant->rank > a->rank + 1)
        return lp_onnx_refuse(node, err, "a constant of %u axes for %u", constant->rank, a->rank + 1);
    LP_TRY(lp_onnx_emit_dense(onnx, node, a, matrix, NULL, &made, err));
    if (constant->rank == 1) LP_TRY(lp_onnx_emit_reshape(onnx, &made, made.rank - 1, made.dims, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* [m, k] times x [.., k, n]: the transposed product of the transposed. */
static enum lp_code constant_times(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                   struct lp_onnx_constant *constant, const struct lp_onnx_value *b,
                                   struct lp_error *err)
{
    struct lp_tensor *matrix;
    const struct lp_tensor *turned = NULL;
    struct lp_onnx_value made;
    uint32_t perm[LP_GRAPH_RANK_MAX] = {0, 1, 2, 3};
    if (b->rank < 2) return lp_onnx_refuse(node, err, "the batch would be summed over");
    LP_TRY(matrix_of(onnx, node, constant, &matrix, err));
    if (constant->rank < 2 || constant->rank > b->rank + 1)
        return lp_onnx_refuse(node, err, "a constant of %u axes before %u", constant->rank, b->rank + 1);
    LP_TRY(lp_onnx_transposed(onnx, matrix, &turned, err));
    perm[b->rank - 2] = b->rank - 1;
    perm[b->rank - 1] = b->rank - 2;
    LP_TRY(lp_onnx_emit_transpose(onnx, b, perm, &made, err));
    const struct lp_onnx_value columns = made;
    LP_TRY(lp_onnx_emit_dense(onnx, node, &columns, turned, NULL, &made, err));
    const struct lp_onnx_value product = made;
    LP_TRY(lp_onnx_emit_transpose(onnx, &product, perm, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

static enum lp_code times_rows(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *a,
                               const struct lp_onnx_value *b, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_MATMUL, .input_count = 2, .rank = a->rank};
    const uint32_t inputs[] = {a->graph_value, b->graph_value};
    uint32_t value = 0, outer = 0;
    if (a->rank < 2 || a->rank != b->rank)
        return lp_onnx_refuse(node, err, "inputs of %u and %u axes: the batch would be summed over", a->rank + 1,
                              b->rank + 1);
    if (a->dims[a->rank - 1] != b->dims[b->rank - 2])
        return lp_onnx_bad(node, err, "%u columns times %u rows", a->dims[a->rank - 1], b->dims[b->rank - 2]);
    LP_TRY(lp_onnx_broadcast(node, a->rank - 2, a->dims, b->rank - 2, b->dims, &outer, op.dims, err));
    op.dims[a->rank - 2] = a->dims[a->rank - 2];
    op.dims[a->rank - 1] = b->dims[b->rank - 1];
    LP_TRY(lp_onnx_emit(onnx, op, inputs, &value, err));
    lp_onnx_bind_row(onnx, node, 0, a->type, value, op.rank, op.dims);
    return LP_OK;
}

enum lp_code lp_onnx_lower_matmul(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *a = lp_onnx_input(onnx, node, 0), *b = lp_onnx_input(onnx, node, 1);
    if (a == NULL || b == NULL) return lp_onnx_bad(node, err, "an input is missing");
    if (a->kind != LP_ONNX_CONSTANT) LP_TRY(lp_onnx_row(onnx, node, 0, &a, err));
    if (b->kind != LP_ONNX_CONSTANT) LP_TRY(lp_onnx_row(onnx, node, 1, &b, err));
    if (b->kind == LP_ONNX_CONSTANT) return times_constant(onnx, node, a, b->known, err);
    if (a->kind == LP_ONNX_CONSTANT) return constant_times(onnx, node, a->known, b, err);
    return times_rows(onnx, node, a, b, err);
}

/* --- Gemm --- */

/* F32 copy of a tensor times a number; itself where that is 1. */
static enum lp_code scaled(struct lp_onnx *onnx, const struct lp_tensor *tensor, double by,
                           const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    struct lp_tensor *made;
    void *data = NULL;
    *ret_tensor = tensor;
    if (by == 1) return LP_OK;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, tensor->rank, tensor->dims, &made, &data, err));
    for (uint64_t i = 0; i < made->count; i++)
        ((float *)data)[i] = (float)((double)((const float *)tensor->data)[i] * by);
    *ret_tensor = made;
    return LP_OK;
}

/* + beta C, where C is absent, a constant or another layer. */
static enum lp_code add_c(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_onnx_value *made,
                          struct lp_error *err)
{
    const struct lp_onnx_value product = *made, *c = lp_onnx_input(onnx, node, 2);
    const struct lp_tensor *constant = NULL, *term = NULL;
    double beta;
    LP_TRY(lp_onnx_float(node, "beta", 1, &beta, err));
    if (c == NULL || beta == 0) return LP_OK;
    if (c->kind == LP_ONNX_CONSTANT) {
        LP_TRY(lp_onnx_operand(onnx, node, c->known, product.rank + 1, &constant, err));
        LP_TRY(scaled(onnx, constant, beta, &term, err));
        return lp_onnx_emit_constant(onnx, node, LP_GRAPH_ADD, &product, term, false, made, err);
    }
    if (beta != 1) return lp_onnx_refuse(node, err, "a computed C with a beta of %g", beta);
    struct lp_onnx_value *row = NULL;
    LP_TRY(lp_onnx_row(onnx, node, 2, &row, err));
    return lp_onnx_emit_binary(onnx, node, LP_GRAPH_ADD, &product, row, made, err);
}

enum lp_code lp_onnx_lower_gemm(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *a = NULL, made;
    struct lp_onnx_constant *b = NULL;
    const struct lp_tensor *weight = NULL;
    int64_t turn_a, turn_b;
    double alpha;
    LP_TRY(lp_onnx_row(onnx, node, 0, &a, err));
    LP_TRY(lp_onnx_known(onnx, node, 1, &b, err));
    LP_TRY(lp_onnx_int(node, "transA", 0, &turn_a, err));
    LP_TRY(lp_onnx_int(node, "transB", 0, &turn_b, err));
    LP_TRY(lp_onnx_float(node, "alpha", 1, &alpha, err));
    if (turn_a != 0) return lp_onnx_refuse(node, err, "transA: the batch would not be the first axis");
    if (a->rank != 1 || b->rank != 2) return lp_onnx_bad(node, err, "inputs of %u and %u axes", a->rank + 1, b->rank);
    bool done = false;
    if (alpha == 1) LP_TRY(lp_onnx_emit_int8(onnx, node, a, b, turn_b != 0, &made, &done, err));
    if (!done) {
        LP_TRY(lp_onnx_tensor(onnx, b, &weight, err));
        if (turn_b != 0) LP_TRY(lp_onnx_transposed(onnx, weight, &weight, err));
        LP_TRY(scaled(onnx, weight, alpha, &weight, err));
        LP_TRY(lp_onnx_emit_dense(onnx, node, a, weight, NULL, &made, err));
    }
    LP_TRY(add_c(onnx, node, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}
