/* Conv and pools over [C, H, W]; over [C, L] as [C, 1, L]. */
#include "import/onnx/lower.h"

#include <string.h>

/* What Conv and pools share, of `axes` spatial axes. */
struct window {
    uint32_t axes;
    uint32_t kernel[2], strides[2], dilations[2], pads[4]; /* the graph's order: one axis lies on the second */
    uint32_t out[2];
    bool ceil, same; /* same: the pads were counted from the input's size */
};

/* `count` positive numbers of an attribute behind each other, one a spatial axis; absent: `otherwise`. */
static enum lp_code read_pair(const struct lp_onnx_node *node, const char *name, uint32_t axes, uint32_t otherwise,
                              uint32_t *ret_pair, struct lp_error *err)
{
    const int64_t *given = NULL;
    size_t count = 0;
    LP_TRY(lp_onnx_ints(node, name, &given, &count, err));
    if (given != NULL && count != axes)
        return lp_onnx_bad(node, err, "%s has %zu entries for %u axes", name, count, axes);
    ret_pair[0] = ret_pair[1] = 1;
    for (uint32_t i = 0; i < axes; i++) {
        int64_t one = given != NULL ? given[i] : otherwise;
        if (one < 1 || one > LP_BUNDLE_COLUMNS_MAX) return lp_onnx_bad(node, err, "%s: %lld", name, (long long)one);
        ret_pair[2 - axes + i] = (uint32_t)one;
    }
    return LP_OK;
}

static enum lp_code read_pads(const struct lp_onnx_node *node, struct window *window, struct lp_error *err)
{
    const int64_t *given = NULL;
    size_t count = 0;
    uint32_t axes = window->axes;
    LP_TRY(lp_onnx_ints(node, "pads", &given, &count, err));
    if (given != NULL && count != 2 * axes)
        return lp_onnx_bad(node, err, "pads has %zu entries for %u axes", count, axes);
    for (uint32_t i = 0; given != NULL && i < 2 * axes; i++) {
        if (given[i] < 0 || given[i] > LP_BUNDLE_COLUMNS_MAX)
            return lp_onnx_refuse(node, err, "a pad of %lld", (long long)given[i]);
        /* ONNX: all begins, then all ends. */
        window->pads[(i / axes) * 2 + 2 - axes + i % axes] = (uint32_t)given[i];
    }
    return LP_OK;
}

/* SAME_UPPER and SAME_LOWER: as many outputs as inputs / stride, the odd pad at the end or the beginning. */
static void pad_same(struct window *window, uint32_t i, uint32_t in, bool lower)
{
    uint64_t out = ((uint64_t)in + window->strides[i] - 1) / window->strides[i];
    uint64_t reach = (uint64_t)(window->kernel[i] - 1) * window->dilations[i] + 1;
    uint64_t need = (out - 1) * window->strides[i] + reach, pad = need > in ? need - in : 0;
    window->pads[i] = (uint32_t)(lower ? pad - pad / 2 : pad / 2);
    window->pads[2 + i] = (uint32_t)pad - window->pads[i];
}

static enum lp_code read_window(const struct lp_onnx_node *node, const struct lp_onnx_value *input,
                                struct window *window, struct lp_error *err)
{
    struct lp_span auto_pad;
    LP_TRY(read_pair(node, "strides", window->axes, 1, window->strides, err));
    LP_TRY(read_pair(node, "dilations", window->axes, 1, window->dilations, err));
    LP_TRY(lp_onnx_text(node, "auto_pad", "NOTSET", &auto_pad, err));
    bool lower = lp_span_is(auto_pad, "SAME_LOWER");
    window->same = lower || lp_span_is(auto_pad, "SAME_UPPER");
    if (lp_span_is(auto_pad, "NOTSET") || auto_pad.size == 0) LP_TRY(read_pads(node, window, err));
    else if (!window->same && !lp_span_is(auto_pad, "VALID")) return lp_onnx_bad(node, err, "its auto_pad");
    for (uint32_t i = 2 - window->axes; i < 2; i++) {
        uint32_t in = input->dims[i + window->axes - 1];
        if (window->same) pad_same(window, i, in, lower);
        uint64_t whole = (uint64_t)in + window->pads[i] + window->pads[2 + i];
        uint64_t reach = (uint64_t)(window->kernel[i] - 1) * window->dilations[i] + 1;
        if (reach > whole)
            return lp_onnx_bad(node, err, "a window of %llu on %llu", (unsigned long long)reach,
                               (unsigned long long)whole);
        uint64_t steps = whole - reach, out = steps / window->strides[i] + 1;
        /* A last window that is not whole counts if it begins inside the input or the pad before it. */
        if (window->ceil && steps % window->strides[i] != 0 &&
            out * window->strides[i] < (uint64_t)in + window->pads[i])
            out++;
        window->out[i] = (uint32_t)out;
    }
    if (window->axes == 1) window->out[0] = 1;
    return LP_OK;
}

/* The image that has zeros around it in `input`, which become pads where a bundle's window may have as many (its
 * reach). */
static struct lp_onnx_value take_zeros(const struct lp_onnx_value *input, struct window *window)
{
    struct lp_onnx_value image = *input;
    const struct lp_onnx_padded *padded = input->padded;
    if (padded == NULL || padded->graph_value != input->graph_value || window->same) return image;
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t reach = (uint64_t)(window->kernel[i % 2] - 1) * window->dilations[i % 2] + 1;
        if ((uint64_t)window->pads[i] + padded->pads[i] > reach) return image;
    }
    for (uint32_t i = 0; i < 4; i++) window->pads[i] += padded->pads[i];
    image.graph_value = padded->image;
    memcpy(image.dims, padded->dims, sizeof image.dims);
    return image;
}

static void set_window(struct lp_graph_op *op, const struct window *window)
{
    memcpy(op->kernel, window->kernel, sizeof op->kernel);
    memcpy(op->strides, window->strides, sizeof op->strides);
    memcpy(op->dilations, window->dilations, sizeof op->dilations);
    memcpy(op->pads, window->pads, sizeof op->pads);
    op->ceil = window->ceil;
    op->rank = 3;
    op->dims[1] = window->out[0];
    op->dims[2] = window->out[1];
}

/* Run `op`, its output in channels given, on the image; the result has the input's number of axes. */
static enum lp_code emit_window(struct lp_onnx *onnx, struct lp_graph_op op, const struct lp_onnx_value *input,
                                struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_onnx_value image = *input, made = {.kind = LP_ONNX_ROW, .type = input->type, .rank = 3};
    if (input->rank == 2) {
        const uint32_t dims[] = {input->dims[0], 1, input->dims[1]};
        LP_TRY(lp_onnx_emit_reshape(onnx, input, 3, dims, &image, err));
    }
    op.input_count = 1;
    LP_TRY(lp_onnx_emit(onnx, op, &image.graph_value, &made.graph_value, err));
    memcpy(made.dims, op.dims, sizeof made.dims);
    if (input->rank == 3) {
        *ret_value = made;
        return LP_OK;
    }
    const uint32_t flat[] = {op.dims[0], op.dims[2]};
    return lp_onnx_emit_reshape(onnx, &made, 2, flat, ret_value, err);
}

static enum lp_code check_image(const struct lp_onnx_node *node, const struct lp_onnx_value *input,
                                struct lp_error *err)
{
    if (input->rank == 2 || input->rank == 3) return LP_OK;
    return lp_onnx_refuse(node, err, "an input of %u axes: one and two beside batch and channels are in this release",
                          input->rank + 1);
}

/* --- Conv --- */

/* The weight as [O, C / group, kh, kw]. */
static enum lp_code read_weight(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                struct lp_onnx_constant *constant, struct lp_graph_op *op, struct window *window,
                                struct lp_error *err)
{
    const struct lp_tensor *given = NULL;
    if (constant->rank != window->axes + 2)
        return lp_onnx_bad(node, err, "a kernel of %u axes for an input of %u", constant->rank, window->axes + 2);
    for (uint32_t i = 0; i < constant->rank; i++)
        if (constant->dims[i] == 0 || constant->dims[i] > LP_BUNDLE_COLUMNS_MAX)
            return lp_onnx_bad(node, err, "a kernel's axis of %llu", (unsigned long long)constant->dims[i]);
    LP_TRY(lp_onnx_tensor(onnx, constant, &given, err));
    struct lp_tensor *weight = lp_storage_take(&onnx->draft->storage, 1, sizeof *weight, err);
    if (weight == NULL) return lp_failed(err->code);
    *weight = *given;
    weight->rank = 4;
    weight->dims[2] = window->axes == 1 ? 1 : given->dims[2];
    weight->dims[3] = given->dims[window->axes + 1];
    op->weight = weight;
    window->kernel[0] = (uint32_t)weight->dims[2];
    window->kernel[1] = (uint32_t)weight->dims[3];
    op->dims[0] = (uint32_t)weight->dims[0];
    return LP_OK;
}

static enum lp_code check_kernel_shape(const struct lp_onnx_node *node, const struct window *window,
                                       struct lp_error *err)
{
    uint32_t said[2];
    if (lp_onnx_attribute(node, "kernel_shape") == NULL) return LP_OK;
    LP_TRY(read_pair(node, "kernel_shape", window->axes, 1, said, err));
    if (said[0] == window->kernel[0] && said[1] == window->kernel[1]) return LP_OK;
    return lp_onnx_bad(node, err, "kernel_shape is not the weight's");
}

enum lp_code lp_onnx_emit_conv(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *input,
                               struct lp_onnx_constant *weight, const struct lp_tensor *bias,
                               struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_CONV2D, .bias = bias};
    struct window window = {.axes = input->rank - 1};
    int64_t group;
    LP_TRY(check_image(node, input, err));
    LP_TRY(read_weight(onnx, node, weight, &op, &window, err));
    LP_TRY(check_kernel_shape(node, &window, err));
    LP_TRY(lp_onnx_int(node, "group", 1, &group, err));
    if (group < 1 || group > input->dims[0] || input->dims[0] % group != 0 || op.dims[0] % group != 0 ||
        weight->dims[1] != input->dims[0] / (uint64_t)group)
        return lp_onnx_bad(node, err, "a kernel [%u, %llu, ..] in %lld groups on %u channels", op.dims[0],
                           (unsigned long long)weight->dims[1], (long long)group, input->dims[0]);
    op.group = (uint32_t)group;
    if (bias != NULL && (bias->rank != 1 || bias->count != op.dims[0]))
        return lp_onnx_bad(node, err, "a bias of %llu for %u channels", (unsigned long long)bias->count, op.dims[0]);
    LP_TRY(read_window(node, input, &window, err));
    const struct lp_onnx_value image = take_zeros(input, &window);
    set_window(&op, &window);
    return emit_window(onnx, op, &image, ret_value, err);
}

enum lp_code lp_onnx_lower_conv(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    struct lp_onnx_constant *weight = NULL, *bias = NULL;
    const struct lp_tensor *offset = NULL;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_known(onnx, node, 1, &weight, err));
    if (lp_onnx_input(onnx, node, 2) != NULL) {
        LP_TRY(lp_onnx_known(onnx, node, 2, &bias, err));
        LP_TRY(lp_onnx_tensor(onnx, bias, &offset, err));
    }
    LP_TRY(lp_onnx_emit_conv(onnx, node, input, weight, offset, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* --- MaxPool and AveragePool --- */

enum lp_code lp_onnx_lower_pool(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    bool max = strcmp(node->op, "MaxPool") == 0;
    struct lp_graph_op op = {.kind = LP_GRAPH_POOL, .function = max ? LP_GRAPH_MAX : LP_GRAPH_AVERAGE};
    int64_t ceil, pads;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(check_image(node, input, err));
    if (node->output_count > 1 && node->outputs[1] != LP_ONNX_ABSENT && onnx->values[node->outputs[1]].use_count > 0)
        return lp_onnx_refuse(node, err, "the places of the maxima as an output");
    struct window window = {.axes = input->rank - 1};
    if (lp_onnx_attribute(node, "kernel_shape") == NULL) return lp_onnx_bad(node, err, "`kernel_shape` is missing");
    LP_TRY(read_pair(node, "kernel_shape", window.axes, 1, window.kernel, err));
    LP_TRY(lp_onnx_int(node, "ceil_mode", 0, &ceil, err));
    LP_TRY(lp_onnx_int(node, "count_include_pad", 0, &pads, err));
    window.ceil = ceil != 0;
    LP_TRY(read_window(node, input, &window, err));
    if (!max && (window.dilations[0] != 1 || window.dilations[1] != 1))
        return lp_onnx_refuse(node, err, "dilations of an average");
    set_window(&op, &window);
    op.count_pad = !max && pads != 0;
    op.dims[0] = input->dims[0];
    LP_TRY(emit_window(onnx, op, input, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}
