/* What follows a dense layer or a convolution becomes part of it. */
#include "import/graph_match.h"

#include <math.h>
#include <string.h>

/* --- constants along the outputs --- */

static bool has_outputs(const struct lp_graph_op *op)
{
    return op->kind == LP_GRAPH_DENSE || op->kind == LP_GRAPH_CONV2D;
}

/* The axis of a layer's outputs: the last of a dense one, the channels of a convolution. */
static uint32_t output_axis(const struct lp_graph_op *layer)
{
    return layer->kind == LP_GRAPH_DENSE ? layer->rank - 1 : 0;
}

/* Is the constant one number, or one an output? */
static bool lies_on_outputs(const struct lp_graph_op *layer, const struct lp_tensor *constant)
{
    uint32_t axis = output_axis(layer);
    if (constant->count == 1) return true;
    if (constant->rank > layer->rank || constant->count != layer->dims[axis]) return false;
    uint32_t lead = layer->rank - constant->rank;
    return axis >= lead && constant->dims[axis - lead] == layer->dims[axis];
}

static double constant_at(const struct lp_tensor *constant, uint64_t output)
{
    return (double)((const float *)constant->data)[constant->count == 1 ? 0 : output];
}

static float *new_floats(struct lp_graph *graph, uint32_t rank, const uint64_t *dims, struct lp_tensor **ret_tensor,
                         struct lp_error *err)
{
    struct lp_tensor *tensor = lp_storage_take(graph->storage, 1, sizeof *tensor, err);
    if (tensor == NULL) return NULL;
    *tensor = (struct lp_tensor){.dtype = LP_DTYPE_F32, .rank = rank, .count = 1};
    for (uint32_t i = 0; i < rank; i++) tensor->count *= tensor->dims[i] = dims[i];
    float *data = lp_storage_take(graph->storage, tensor->count, sizeof *data, err);
    tensor->data = data;
    *ret_tensor = tensor;
    return data;
}

static bool are_finite(const struct lp_tensor *tensor)
{
    for (uint64_t i = 0; i < tensor->count; i++)
        if (!isfinite(((const float *)tensor->data)[i])) return false;
    return true;
}

/* --- offsets and factors --- */

static enum lp_code offset_bias(struct lp_graph *graph, const struct lp_graph_op *layer, const struct lp_graph_op *op,
                                const struct lp_tensor **ret_bias, struct lp_error *err)
{
    const uint64_t dims[] = {layer->dims[output_axis(layer)]};
    struct lp_tensor *bias = NULL;
    float *data = new_floats(graph, 1, dims, &bias, err);
    if (data == NULL) return lp_failed(err->code);
    for (uint64_t i = 0; i < bias->count; i++) {
        double had = layer->bias != NULL ? (double)((const float *)layer->bias->data)[i] : 0;
        double more = constant_at(op->constant, i);
        data[i] = (float)(op->function == LP_GRAPH_ADD ? had + more : had - more);
    }
    *ret_bias = bias;
    return LP_OK;
}

/* tensor[.., output, ..] times or divided by the constant; `inner` elements of an output follow one another. */
static enum lp_code scale_tensor(struct lp_graph *graph, const struct lp_tensor *tensor, uint64_t outputs,
                                 uint64_t inner, const struct lp_graph_op *op, const struct lp_tensor **ret_tensor,
                                 struct lp_error *err)
{
    struct lp_tensor *made = NULL;
    float *data = new_floats(graph, tensor->rank, tensor->dims, &made, err);
    if (data == NULL) return lp_failed(err->code);
    for (uint64_t i = 0; i < made->count; i++) {
        double had = (double)((const float *)tensor->data)[i], by = constant_at(op->constant, i / inner % outputs);
        data[i] = (float)(op->function == LP_GRAPH_MUL ? had * by : had / by);
    }
    *ret_tensor = made;
    return LP_OK;
}

/* Integers stay, their scales change: one for all, or one an output. */
static enum lp_code scale_scales(struct lp_graph *graph, const struct lp_tensor *scale, uint64_t outputs,
                                 const struct lp_graph_op *op, const struct lp_tensor **ret_scale, struct lp_error *err)
{
    const uint64_t dims[] = {op->constant->count == 1 ? scale->count : outputs};
    struct lp_tensor *made = NULL;
    float *data = new_floats(graph, 1, dims, &made, err);
    if (data == NULL) return lp_failed(err->code);
    for (uint64_t i = 0; i < made->count; i++) {
        double had = constant_at(scale, i), by = constant_at(op->constant, i);
        data[i] = (float)(op->function == LP_GRAPH_MUL ? had * by : had / by);
    }
    *ret_scale = made;
    return LP_OK;
}

/* Op `at` becomes the layer before it, with other tensors or an activation; that one is left unused. */
static void become(struct lp_rewrite *rewrite, uint32_t at, const struct lp_graph_op *layer)
{
    struct lp_graph_op *op = &rewrite->graph->ops[at];
    uint32_t *inputs = op->inputs;
    rewrite->uses[inputs[0]]--;
    inputs[0] = layer->inputs[0];
    *op = *layer;
    op->inputs = inputs;
    rewrite->rewritten++;
}

static enum lp_code fuse_offset(struct lp_rewrite *rewrite, uint32_t at, struct lp_graph_op layer, struct lp_error *err)
{
    LP_TRY(offset_bias(rewrite->graph, &layer, &rewrite->graph->ops[at], &layer.bias, err));
    if (are_finite(layer.bias)) become(rewrite, at, &layer);
    return LP_OK;
}

static enum lp_code fuse_factor(struct lp_rewrite *rewrite, uint32_t at, struct lp_graph_op layer, struct lp_error *err)
{
    const struct lp_graph_op *op = &rewrite->graph->ops[at];
    uint64_t outputs = layer.dims[output_axis(&layer)];
    uint64_t inner = layer.kind == LP_GRAPH_DENSE ? 1 : layer.weight->count / outputs;
    if (layer.scale != NULL) LP_TRY(scale_scales(rewrite->graph, layer.scale, outputs, op, &layer.scale, err));
    else LP_TRY(scale_tensor(rewrite->graph, layer.weight, outputs, inner, op, &layer.weight, err));
    if (layer.bias != NULL) LP_TRY(scale_tensor(rewrite->graph, layer.bias, outputs, 1, op, &layer.bias, err));
    if (are_finite(layer.scale != NULL ? layer.scale : layer.weight) && (layer.bias == NULL || are_finite(layer.bias)))
        become(rewrite, at, &layer);
    return LP_OK;
}

static enum lp_code fuse_constant(struct lp_rewrite *rewrite, uint32_t at, const struct lp_graph_op *layer,
                                  struct lp_error *err)
{
    const struct lp_graph_op *op = &rewrite->graph->ops[at];
    bool offset = op->function == LP_GRAPH_ADD || (op->function == LP_GRAPH_SUB && !op->reverse);
    bool factor = op->function == LP_GRAPH_MUL || (op->function == LP_GRAPH_DIV && !op->reverse);
    if (op->constant == NULL || (!offset && !factor) || !lp_graph_same_shape(op, layer) ||
        !lies_on_outputs(layer, op->constant))
        return LP_OK;
    return offset ? fuse_offset(rewrite, at, *layer, err) : fuse_factor(rewrite, at, *layer, err);
}

/* --- activations --- */

static void fuse_activation(struct lp_rewrite *rewrite, uint32_t at, const struct lp_graph_op *layer)
{
    const struct lp_graph_op *op = &rewrite->graph->ops[at];
    bool clips = op->function == LP_GRAPH_CLIP && layer->kind == LP_GRAPH_CONV2D;
    if (op->function < LP_GRAPH_RELU || op->function > LP_GRAPH_CLIP || op->function == LP_GRAPH_PRELU || clips) return;
    struct lp_graph_op made = *layer;
    made.function = op->function;
    made.alpha = op->alpha;
    made.beta = op->beta;
    become(rewrite, at, &made);
}

/* --- normalizations --- */

static bool fits_norm(const struct lp_graph_op *norm, const struct lp_tensor *constant)
{
    bool same = constant->rank == norm->rank - norm->axis;
    for (uint32_t i = 0; same && i < constant->rank; i++) same = constant->dims[i] == norm->dims[norm->axis + i];
    return same;
}

static void fuse_norm(struct lp_rewrite *rewrite, uint32_t at, const struct lp_graph_op *norm)
{
    const struct lp_graph_op *op = &rewrite->graph->ops[at];
    struct lp_graph_op made = *norm;
    if (op->kind != LP_GRAPH_BINARY || op->constant == NULL || !fits_norm(norm, op->constant) ||
        !lp_graph_same_shape(op, norm))
        return;
    if (op->function == LP_GRAPH_MUL && norm->weight == NULL && norm->bias == NULL) made.weight = op->constant;
    else if (op->function == LP_GRAPH_ADD && norm->bias == NULL) made.bias = op->constant;
    else return;
    become(rewrite, at, &made);
}

/* --- reshapes --- */

/* layer, reshape, element-wise: the element-wise op goes first, so that the layer can take it. */
static enum lp_code swap_reshape(struct lp_rewrite *rewrite, uint32_t at, struct lp_error *err)
{
    struct lp_graph_op *op = &rewrite->graph->ops[at], *reshape = lp_rewrite_op(rewrite, op->inputs[0]);
    const struct lp_graph_op *layer = lp_rewrite_op(rewrite, reshape->inputs[0]);
    if (layer == NULL || !has_outputs(layer) || !lp_rewrite_single(rewrite, reshape->inputs[0])) return LP_OK;
    if (!lp_graph_same_shape(op, reshape) || (op->kind == LP_GRAPH_ACTIVATION && op->constant != NULL)) return LP_OK;
    struct lp_graph_op first = *op, second = *reshape;
    if (op->kind == LP_GRAPH_BINARY && op->constant->count != 1) {
        /* [C, 1] on [C, L] is [C, 1, 1] on [C, 1, L]. */
        const struct lp_tensor *constant = op->constant;
        uint64_t channels = layer->dims[0];
        bool conv = layer->kind == LP_GRAPH_CONV2D && constant->count == channels && constant->rank == op->rank &&
                    constant->dims[0] == channels && op->dims[0] == channels;
        struct lp_tensor *turned = conv ? lp_storage_take(rewrite->graph->storage, 1, sizeof *turned, err) : NULL;
        if (turned == NULL) return conv ? lp_failed(err->code) : LP_OK;
        *turned = *constant;
        turned->rank = 3;
        turned->dims[1] = turned->dims[2] = 1;
        first.constant = turned;
    }
    uint32_t *inputs = reshape->inputs;
    first.rank = layer->rank;
    memcpy(first.dims, layer->dims, sizeof first.dims);
    first.inputs = inputs; /* of the layer */
    second.inputs = op->inputs;
    *reshape = first;
    *op = second;
    rewrite->rewritten++;
    return LP_OK;
}

enum lp_code lp_graph_fuse(struct lp_rewrite *rewrite, struct lp_error *err)
{
    for (uint32_t i = 0; i < rewrite->graph->count; i++) {
        const struct lp_graph_op *op = &rewrite->graph->ops[i];
        bool binary = op->kind == LP_GRAPH_BINARY && op->input_count == 1;
        if ((!binary && op->kind != LP_GRAPH_ACTIVATION) || !lp_rewrite_single(rewrite, op->inputs[0])) continue;
        const struct lp_graph_op *before = lp_rewrite_op(rewrite, op->inputs[0]);
        bool open = has_outputs(before) && before->function == LP_GRAPH_NONE;
        if (open && binary) LP_TRY(fuse_constant(rewrite, i, before, err));
        else if (open) fuse_activation(rewrite, i, before);
        else if (before->kind == LP_GRAPH_NORM) fuse_norm(rewrite, i, before);
        else if (before->kind == LP_GRAPH_RESHAPE) LP_TRY(swap_reshape(rewrite, i, err));
    }
    return LP_OK;
}
