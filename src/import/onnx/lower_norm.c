/* Softmax and normalizations. */
#include "import/onnx/lower.h"

#include <math.h>
#include <string.h>

/* Before opset 13 everything from the axis on is one axis, and the default is 1; after it the axis alone, the last. */
enum lp_code lp_onnx_lower_softmax(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made, flat;
    struct lp_graph_op op = {.kind = LP_GRAPH_SOFTMAX,
                             .function =
                                 strcmp(node->op, "Softmax") == 0 ? LP_GRAPH_SOFTMAX_OF : LP_GRAPH_LOG_SOFTMAX_OF};
    bool old = node->opset < 13;
    int64_t axis;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_int(node, "axis", old ? 1 : -1, &axis, err));
    LP_TRY(lp_onnx_row_axis(node, input, axis, &op.axis, err));
    flat = *input;
    if (old && op.axis + 1 < input->rank) {
        uint32_t dims[LP_GRAPH_RANK_MAX];
        memcpy(dims, input->dims, sizeof dims);
        for (uint32_t i = op.axis + 1; i < input->rank; i++) dims[op.axis] *= dims[i];
        LP_TRY(lp_onnx_emit_reshape(onnx, input, op.axis + 1, dims, &flat, err));
    }
    LP_TRY(lp_onnx_emit_activation(onnx, op, &flat, &made, err));
    const struct lp_onnx_value done = made;
    LP_TRY(lp_onnx_emit_reshape(onnx, &done, input->rank, input->dims, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* --- BatchNormalization --- */

/* A constant [C] as F32 [C, 1, ...] of a row of `rank` axes. */
static enum lp_code channels(struct lp_onnx *onnx, const struct lp_onnx_value *input, struct lp_tensor **ret_tensor,
                             float **ret_data, struct lp_error *err)
{
    uint64_t dims[LP_GRAPH_RANK_MAX] = {input->dims[0], 1, 1, 1};
    void *data = NULL;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, input->rank, dims, ret_tensor, &data, err));
    *ret_data = data;
    return LP_OK;
}

static enum lp_code check_moment(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                                 const struct lp_onnx_value *input, struct lp_onnx_constant **ret_constant,
                                 struct lp_error *err)
{
    LP_TRY(lp_onnx_known(onnx, node, i, ret_constant, err));
    if ((*ret_constant)->rank != 1 || (*ret_constant)->count != input->dims[0] ||
        (*ret_constant)->type == LP_ONNX_STRING)
        return lp_onnx_bad(node, err, "input %u must have %u numbers", i, input->dims[0]);
    return LP_OK;
}

/* x * (scale / sqrt(var + epsilon)) + (bias - mean * that), as ONNX Runtime folds it; in double, rounded once. */
enum lp_code lp_onnx_lower_batch_norm(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, scaled, made;
    struct lp_onnx_constant *moments[4] = {NULL};
    struct lp_tensor *factor, *offset;
    float *factors = NULL, *offsets = NULL;
    int64_t training;
    double epsilon;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_int(node, "training_mode", 0, &training, err));
    LP_TRY(lp_onnx_float(node, "epsilon", 1e-5f, &epsilon, err));
    if (training != 0) return lp_onnx_refuse(node, err, "it is in training mode");
    if (input->rank == 0) return lp_onnx_refuse(node, err, "an input of one axis");
    for (uint32_t i = 0; i < 4; i++) LP_TRY(check_moment(onnx, node, i + 1, input, &moments[i], err));
    LP_TRY(channels(onnx, input, &factor, &factors, err));
    LP_TRY(channels(onnx, input, &offset, &offsets, err));
    for (uint32_t c = 0; c < input->dims[0]; c++) {
        double by = lp_onnx_number_at(moments[0], c) / sqrt(lp_onnx_number_at(moments[3], c) + epsilon);
        factors[c] = (float)by;
        offsets[c] = (float)(lp_onnx_number_at(moments[1], c) - lp_onnx_number_at(moments[2], c) * by);
        if (!isfinite(factors[c]) || !isfinite(offsets[c]))
            return lp_onnx_bad(node, err, "channel %u is not finite", c);
    }
    LP_TRY(lp_onnx_emit_constant(onnx, node, LP_GRAPH_MUL, input, factor, false, &scaled, err));
    LP_TRY(lp_onnx_emit_constant(onnx, node, LP_GRAPH_ADD, &scaled, offset, false, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* --- LayerNormalization --- */

/* A constant that fits the axes from `axis` on, spread over all of them. */
static enum lp_code normalized(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_onnx_constant *constant,
                               const struct lp_onnx_value *input, uint32_t axis, const struct lp_tensor **ret_tensor,
                               struct lp_error *err)
{
    const struct lp_tensor *given = NULL;
    uint64_t dims[LP_GRAPH_RANK_MAX], count = 1;
    uint32_t rank = input->rank - axis;
    LP_TRY(lp_onnx_tensor(onnx, constant, &given, err));
    for (uint32_t i = 0; i < rank; i++) count *= dims[i] = input->dims[axis + i];
    bool same = given->rank == rank;
    for (uint32_t i = 0; same && i < rank; i++) same = given->dims[i] == dims[i];
    if (!same && given->count != 1)
        return lp_onnx_refuse(node, err, "a scale of another shape than what it normalizes");
    *ret_tensor = given;
    if (same) return LP_OK;
    struct lp_tensor *made;
    void *data = NULL;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, rank, dims, &made, &data, err));
    for (uint64_t i = 0; i < count; i++) ((float *)data)[i] = ((const float *)given->data)[0];
    *ret_tensor = made;
    return LP_OK;
}

enum lp_code lp_onnx_lower_layer_norm(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    struct lp_onnx_constant *constant = NULL;
    struct lp_graph_op op = {.kind = LP_GRAPH_NORM};
    int64_t axis;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_int(node, "axis", -1, &axis, err));
    LP_TRY(lp_onnx_float(node, "epsilon", 1e-5f, &op.alpha, err));
    if (!(op.alpha >= 0 && isfinite(op.alpha))) return lp_onnx_bad(node, err, "an epsilon of %g", op.alpha);
    LP_TRY(lp_onnx_row_axis(node, input, axis, &op.axis, err));
    LP_TRY(lp_onnx_known(onnx, node, 1, &constant, err));
    LP_TRY(normalized(onnx, node, constant, input, op.axis, &op.weight, err));
    if (lp_onnx_input(onnx, node, 2) != NULL) {
        LP_TRY(lp_onnx_known(onnx, node, 2, &constant, err));
        LP_TRY(normalized(onnx, node, constant, input, op.axis, &op.bias, err));
    }
    LP_TRY(lp_onnx_emit_activation(onnx, op, input, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}
