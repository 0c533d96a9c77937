/*
 * Pad with a constant: on each padded axis a concatenation of a block, the value, and a block. Zeros around an image
 * become the padding of a convolution that reads it.
 */
#include "import/onnx/lower.h"

#include <math.h>
#include <string.h>

/* Of a row value: before and behind each of its axes. */
struct amounts {
    uint32_t begin[LP_GRAPH_RANK_MAX], end[LP_GRAPH_RANK_MAX];
};

static enum lp_code put_amount(const struct lp_onnx_node *node, uint32_t axis, int64_t begin, int64_t end,
                               struct amounts *amounts, struct lp_error *err)
{
    if (begin < 0 || end < 0)
        return lp_onnx_refuse(node, err, "a pad of %lld, which cuts", (long long)(begin < 0 ? begin : end));
    if (axis == 0 && (begin > 0 || end > 0)) return lp_onnx_refuse(node, err, "a pad of the batch");
    if (begin > LP_BUNDLE_COLUMNS_MAX || end > LP_BUNDLE_COLUMNS_MAX)
        return lp_onnx_refuse(node, err, "more than %d elements", LP_BUNDLE_COLUMNS_MAX);
    if (axis == 0) return LP_OK;
    amounts->begin[axis - 1] = (uint32_t)begin;
    amounts->end[axis - 1] = (uint32_t)end;
    return LP_OK;
}

/* All begins, then all ends, of all axes or of those that input 3 lists; the batch is the first axis. */
static enum lp_code read_amounts(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t rank,
                                 struct amounts *ret_amounts, struct lp_error *err)
{
    const int64_t *pads = NULL, *axes = NULL;
    size_t count = 0, axis_count = (size_t)rank + 1;
    bool listed = lp_onnx_input(onnx, node, 3) != NULL, seen[LP_GRAPH_RANK_MAX + 1] = {false};
    *ret_amounts = (struct amounts){0};
    LP_TRY(lp_onnx_list(onnx, node, "pads", 1, &pads, &count, err));
    if (listed) LP_TRY(lp_onnx_list(onnx, node, "axes", 3, &axes, &axis_count, err));
    if (pads == NULL || axis_count > (size_t)rank + 1 || count != 2 * axis_count)
        return lp_onnx_bad(node, err, "%zu pads for %zu axes of %u", count, axis_count, rank + 1);
    for (size_t i = 0; i < axis_count; i++) {
        uint32_t axis = (uint32_t)i;
        if (listed) LP_TRY(lp_onnx_axis(node, axes[i], rank + 1, &axis, err));
        if (seen[axis]) return lp_onnx_bad(node, err, "axis %u twice", axis);
        seen[axis] = true;
        LP_TRY(put_amount(node, axis, pads[i], pads[axis_count + i], ret_amounts, err));
    }
    return LP_OK;
}

static enum lp_code read_filler(struct lp_onnx *onnx, const struct lp_onnx_node *node, double *ret_filler,
                                struct lp_error *err)
{
    struct lp_span mode;
    struct lp_onnx_constant *constant = NULL;
    LP_TRY(lp_onnx_text(node, "mode", "constant", &mode, err));
    if (!lp_span_is(mode, "constant"))
        return lp_onnx_refuse(node, err, "mode %.*s: only `constant` is in this release",
                              mode.size < 16 ? (int)mode.size : 16, mode.data);
    LP_TRY(lp_onnx_float(node, "value", 0, ret_filler, err));
    if (lp_onnx_input(onnx, node, 2) != NULL) {
        LP_TRY(lp_onnx_known(onnx, node, 2, &constant, err));
        if (constant->count != 1 || constant->type == LP_ONNX_STRING)
            return lp_onnx_bad(node, err, "its filler is not one number");
        *ret_filler = lp_onnx_number_at(constant, 0);
    }
    if (!isfinite((float)*ret_filler)) return lp_onnx_refuse(node, err, "a filler of %g", *ret_filler);
    return LP_OK;
}

/* A block beside `value`, `length` long on the axis. */
static enum lp_code emit_block(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *value,
                               uint32_t axis, uint32_t length, float filler, uint32_t *ret_value, struct lp_error *err)
{
    uint64_t dims[LP_ONNX_RANK_MAX] = {1};
    struct lp_onnx_constant *block = NULL;
    struct lp_onnx_value made;
    for (uint32_t i = 0; i < value->rank; i++) dims[i + 1] = i == axis ? length : value->dims[i];
    LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_FLOAT, value->rank + 1, dims, &block, err));
    float *floats = (float *)(uintptr_t)block->data;
    for (uint64_t i = 0; i < block->count; i++) floats[i] = filler;
    block->is_spread = true;
    LP_TRY(lp_onnx_spread(onnx, node, block, &made, err));
    *ret_value = made.graph_value;
    return LP_OK;
}

static enum lp_code pad_axis(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t axis, uint32_t begin,
                             uint32_t end, float filler, struct lp_onnx_value *value, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_CONCAT, .axis = axis, .rank = value->rank};
    uint32_t inputs[3];
    uint64_t length = (uint64_t)begin + value->dims[axis] + end;
    if (length > LP_BUNDLE_COLUMNS_MAX)
        return lp_onnx_refuse(node, err, "more than %d elements", LP_BUNDLE_COLUMNS_MAX);
    if (begin > 0) LP_TRY(emit_block(onnx, node, value, axis, begin, filler, &inputs[op.input_count++], err));
    inputs[op.input_count++] = value->graph_value;
    if (end > 0) LP_TRY(emit_block(onnx, node, value, axis, end, filler, &inputs[op.input_count++], err));
    memcpy(op.dims, value->dims, sizeof op.dims);
    op.dims[axis] = value->dims[axis] = (uint32_t)length;
    return lp_onnx_emit(onnx, op, inputs, &value->graph_value, err);
}

/* What a convolution needs to read the image itself: [C, L] is [C, 1, L]. */
static enum lp_code note_zeros(struct lp_onnx *onnx, const struct lp_onnx_value *image, const struct amounts *amounts,
                               struct lp_onnx_value *made, struct lp_error *err)
{
    bool fits = (image->rank == 2 || image->rank == 3) && amounts->begin[0] == 0 && amounts->end[0] == 0;
    if (!fits) return LP_OK;
    struct lp_onnx_padded *padded = lp_storage_take(&onnx->draft->storage, 1, sizeof *padded, err);
    if (padded == NULL) return lp_failed(err->code);
    *padded = (struct lp_onnx_padded){.graph_value = made->graph_value, .image = image->graph_value};
    memcpy(padded->dims, image->dims, sizeof padded->dims);
    for (uint32_t i = 1; i < image->rank; i++) {
        padded->pads[2 - image->rank + i] = amounts->begin[i];
        padded->pads[2 + 2 - image->rank + i] = amounts->end[i];
    }
    made->padded = padded;
    return LP_OK;
}

enum lp_code lp_onnx_lower_pad(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL;
    struct amounts amounts;
    double filler;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(read_filler(onnx, node, &filler, err));
    LP_TRY(read_amounts(onnx, node, input->rank, &amounts, err));
    struct lp_onnx_value made = *input;
    for (uint32_t i = 0; i < input->rank; i++)
        if (amounts.begin[i] > 0 || amounts.end[i] > 0)
            LP_TRY(pad_axis(onnx, node, i, amounts.begin[i], amounts.end[i], (float)filler, &made, err));
    if (filler == 0 && made.graph_value != input->graph_value) LP_TRY(note_zeros(onnx, input, &amounts, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}
