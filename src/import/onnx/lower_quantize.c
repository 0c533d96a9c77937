/*
 * Integers of 8 bits. A quantized row value is in the graph as the floats it stands for (a quantize op), so that what
 * joins nothing is right as it is; a dense layer between two of them is computed in integers.
 */
#include "import/onnx/lower.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct quantum {
    double scale;
    int32_t zero, low, high;
};

static bool range_of(enum lp_onnx_type type, int32_t *ret_low, int32_t *ret_high)
{
    static const struct {
        enum lp_onnx_type type;
        int32_t low, high;
    } ranges[] = {{LP_ONNX_UINT8, 0, UINT8_MAX},
                  {LP_ONNX_INT8, INT8_MIN, INT8_MAX},
                  {LP_ONNX_UINT16, 0, UINT16_MAX},
                  {LP_ONNX_INT16, INT16_MIN, INT16_MAX}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (ranges[i].type != type) continue;
        *ret_low = ranges[i].low;
        *ret_high = ranges[i].high;
        return true;
    }
    return false;
}

/* Scale and zero point of a whole tensor: inputs i and i + 1. */
static enum lp_code read_quantum(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                                 enum lp_onnx_type *type, struct quantum *quantum, struct lp_error *err)
{
    struct lp_onnx_constant *scale = NULL, *zero = NULL;
    LP_TRY(lp_onnx_known(onnx, node, i, &scale, err));
    if (scale->count != 1) return lp_onnx_refuse(node, err, "a computed value with a scale for each of its parts");
    quantum->scale = lp_onnx_number_at(scale, 0);
    if (!((float)quantum->scale >= FLT_MIN && isfinite((float)quantum->scale)))
        return lp_onnx_bad(node, err, "a scale of %g", quantum->scale);
    quantum->zero = 0;
    if (lp_onnx_input(onnx, node, i + 1) != NULL) {
        LP_TRY(lp_onnx_known(onnx, node, i + 1, &zero, err));
        if (zero->count != 1) return lp_onnx_bad(node, err, "%llu zero points", (unsigned long long)zero->count);
        *type = zero->type;
        quantum->zero = (int32_t)lp_onnx_whole_at(zero, 0);
    }
    if (!range_of(*type, &quantum->low, &quantum->high))
        return lp_onnx_refuse(node, err, "integers of element type %d", (int)*type);
    return LP_OK;
}

static enum lp_code bind_quantized(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                   const struct lp_onnx_value *input, enum lp_onnx_type type, struct quantum quantum,
                                   struct lp_error *err)
{
    struct lp_onnx_value made;
    const struct lp_graph_op op = {.kind = LP_GRAPH_QUANTIZE,
                                   .alpha = quantum.scale,
                                   .zero = quantum.zero,
                                   .low = quantum.low,
                                   .high = quantum.high};
    LP_TRY(lp_onnx_emit_activation(onnx, op, input, &made, err));
    made.type = type;
    made.is_quantized = true;
    made.scale = quantum.scale;
    made.zero = quantum.zero;
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

enum lp_code lp_onnx_lower_quantize(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL;
    enum lp_onnx_type type;
    struct quantum quantum;
    int64_t to;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_int(node, "output_dtype", LP_ONNX_UINT8, &to, err));
    type = to == 0 ? LP_ONNX_UINT8 : (enum lp_onnx_type)to;
    LP_TRY(read_quantum(onnx, node, 1, &type, &quantum, err));
    return bind_quantized(onnx, node, input, type, quantum, err);
}

/* A quantized row value, of this scale and zero point, as floats. */
static enum lp_code read_quantized(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i, uint32_t scale,
                                   struct lp_onnx_value *ret_value, struct lp_error *err)
{
    const struct lp_onnx_value *input = lp_onnx_input(onnx, node, i);
    struct quantum quantum = {0};
    if (input == NULL || input->kind != LP_ONNX_ROW || !input->is_quantized)
        return lp_onnx_refuse(node, err, "an input that no QuantizeLinear made");
    enum lp_onnx_type type = input->type;
    LP_TRY(read_quantum(onnx, node, scale, &type, &quantum, err));
    if (quantum.scale != input->scale || quantum.zero != input->zero)
        return lp_onnx_refuse(node, err, "another scale than the QuantizeLinear's before it");
    *ret_value = *input;
    ret_value->is_quantized = false;
    ret_value->type = LP_ONNX_FLOAT;
    return LP_OK;
}

/* A number for each part of attribute `axis`, as constant that is broadcast along it. */
static enum lp_code along_axis(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *input,
                               struct lp_onnx_constant **constant, struct lp_error *err)
{
    uint64_t dims[LP_GRAPH_RANK_MAX] = {1, 1, 1, 1};
    int64_t axis;
    uint32_t at = 0;
    if ((*constant)->count == 1) return LP_OK;
    LP_TRY(lp_onnx_int(node, "axis", 1, &axis, err));
    LP_TRY(lp_onnx_row_axis(node, input, axis, &at, err));
    if ((*constant)->rank != 1 || (*constant)->count != input->dims[at])
        return lp_onnx_refuse(node, err, "%llu scales for axis %u", (unsigned long long)(*constant)->count, at + 1);
    dims[at] = (*constant)->count;
    return lp_onnx_reshaped(onnx, *constant, input->rank, dims, constant, err);
}

/* Whole numbers of the record: (x - zero) scale. */
static enum lp_code dequantize_wholes(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                      const struct lp_onnx_value *input, struct lp_error *err)
{
    struct lp_onnx_value moved = *input, made;
    struct lp_onnx_constant *scale = NULL, *zero = NULL;
    const struct lp_tensor *constant = NULL;
    LP_TRY(lp_onnx_known(onnx, node, 1, &scale, err));
    LP_TRY(along_axis(onnx, node, input, &scale, err));
    if (lp_onnx_input(onnx, node, 2) != NULL) {
        LP_TRY(lp_onnx_known(onnx, node, 2, &zero, err));
        LP_TRY(along_axis(onnx, node, input, &zero, err));
        LP_TRY(lp_onnx_operand(onnx, node, zero, input->rank + 1, &constant, err));
        LP_TRY(lp_onnx_emit_constant(onnx, node, LP_GRAPH_SUB, input, constant, false, &moved, err));
    }
    LP_TRY(lp_onnx_operand(onnx, node, scale, input->rank + 1, &constant, err));
    LP_TRY(lp_onnx_emit_constant(onnx, node, LP_GRAPH_MUL, &moved, constant, false, &made, err));
    made.type = LP_ONNX_FLOAT;
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

enum lp_code lp_onnx_lower_dequantize(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0), made;
    if (input == NULL || !input->is_quantized) {
        LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
        return dequantize_wholes(onnx, node, input, err);
    }
    LP_TRY(read_quantized(onnx, node, 0, 1, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* --- constants --- */

static bool is_narrow(const struct lp_onnx_constant *data)
{
    return lp_onnx_type_whole(data->type) && lp_onnx_type_bytes(data->type) <= sizeof(int32_t);
}

static enum lp_code dequantized(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                const struct lp_onnx_constant *data, const struct lp_onnx_constant *scale,
                                const struct lp_onnx_constant *zero, uint32_t axis,
                                struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    struct lp_onnx_constant *made = NULL;
    uint64_t inner = 1, parts = scale->count;
    bool several = parts != 1;
    /* Integers of 64 bits, which the standard does not have here, could overflow as they are moved. */
    if (!is_narrow(data) || (zero != NULL && !is_narrow(zero))) return lp_onnx_bad(node, err, "its integers' type");
    if (scale->type == LP_ONNX_STRING || (zero != NULL && zero->count != parts) || parts == 0 ||
        (several && (axis >= data->rank || data->dims[axis] != parts)))
        return lp_onnx_refuse(node, err, "%llu scales for axis %u of a constant", (unsigned long long)parts, axis);
    for (uint32_t i = axis + 1; several && i < data->rank; i++) inner *= data->dims[i];
    LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_FLOAT, data->rank, data->dims, &made, err));
    for (uint64_t i = 0; i < made->count; i++) {
        uint64_t part = several ? i / inner % parts : 0;
        double whole = (double)(lp_onnx_whole_at(data, i) - (zero != NULL ? lp_onnx_whole_at(zero, part) : 0));
        lp_onnx_put_number(made, i, (double)((float)whole * (float)lp_onnx_number_at(scale, part)));
    }
    made->quantized = data;
    made->quantized_scale = scale;
    made->quantized_zero = zero;
    made->quantized_axis = several ? axis : 0;
    *ret_constant = made;
    return LP_OK;
}

static enum lp_code dequantize_inputs(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i, int64_t axis,
                                      struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL, *scale = NULL, *zero = NULL;
    uint32_t at = 0;
    LP_TRY(lp_onnx_known(onnx, node, i, &data, err));
    LP_TRY(lp_onnx_known(onnx, node, i + 1, &scale, err));
    if (lp_onnx_input(onnx, node, i + 2) != NULL) LP_TRY(lp_onnx_known(onnx, node, i + 2, &zero, err));
    if (scale->count != 1) LP_TRY(lp_onnx_axis(node, axis, data->rank, &at, err));
    return dequantized(onnx, node, data, scale, zero, at, ret_constant, err);
}

enum lp_code lp_onnx_fold_dequantize(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *made = NULL;
    int64_t axis, block;
    LP_TRY(lp_onnx_int(node, "axis", 1, &axis, err));
    LP_TRY(lp_onnx_int(node, "block_size", 0, &block, err));
    if (block != 0) return lp_onnx_refuse(node, err, "blocks of %lld", (long long)block);
    LP_TRY(dequantize_inputs(onnx, node, 0, axis, &made, err));
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* --- dense layers in integers --- */

/* Weights are signed and without a zero point in a bundle: those of uint8 around 128 are moved there. */
static bool fits_int8(const struct lp_onnx_constant *matrix, bool turned)
{
    const struct lp_onnx_constant *data = matrix->quantized, *zero = matrix->quantized_zero;
    if (data == NULL || matrix->rank != 2 || (data->type != LP_ONNX_INT8 && data->type != LP_ONNX_UINT8)) return false;
    if (matrix->quantized_scale->count != 1 && matrix->quantized_axis != (turned ? 0u : 1u)) return false;
    int64_t middle = data->type == LP_ONNX_UINT8 ? 128 : 0;
    if (zero == NULL) return middle == 0;
    for (uint64_t i = 0; i < zero->count; i++)
        if (lp_onnx_whole_at(zero, i) != middle) return false;
    return true;
}

static enum lp_code int8_weight(struct lp_onnx *onnx, const struct lp_onnx_constant *data, bool turned,
                                const struct lp_tensor **ret_weight, struct lp_error *err)
{
    const uint64_t dims[] = {data->dims[turned], data->dims[!turned]};
    int64_t middle = data->type == LP_ONNX_UINT8 ? 128 : 0;
    struct lp_tensor *weight;
    void *to = NULL;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_I8, 2, dims, &weight, &to, err));
    for (uint64_t i = 0; i < weight->count; i++) {
        uint64_t from = turned ? i % dims[1] * dims[0] + i / dims[1] : i;
        ((int8_t *)to)[i] = (int8_t)(lp_onnx_whole_at(data, from) - middle);
    }
    *ret_weight = weight;
    return LP_OK;
}

static enum lp_code int8_scale(struct lp_onnx *onnx, const struct lp_onnx_constant *scale,
                               const struct lp_tensor **ret_scale, struct lp_error *err)
{
    const uint64_t dims[] = {scale->count};
    struct lp_tensor *made;
    void *to = NULL;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 1, dims, &made, &to, err));
    for (uint64_t i = 0; i < made->count; i++) ((float *)to)[i] = (float)lp_onnx_number_at(scale, i);
    *ret_scale = made;
    return LP_OK;
}

/* The layer's input is the graph's value `from`; the shape is of `a`. */
static enum lp_code emit_layer(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_graph_op op,
                               const struct lp_onnx_value *a, uint32_t from, struct lp_onnx_value *ret_value,
                               struct lp_error *err)
{
    struct lp_onnx_value made = *a;
    if (a->rank == 0 || a->dims[a->rank - 1] != op.weight->dims[0])
        return lp_onnx_bad(node, err, "%u numbers times a matrix of %llu rows", a->rank > 0 ? a->dims[a->rank - 1] : 1,
                           (unsigned long long)op.weight->dims[0]);
    if (op.weight->dims[1] == 0 || op.weight->dims[1] > LP_BUNDLE_COLUMNS_MAX)
        return lp_onnx_refuse(node, err, "a matrix of %llu columns", (unsigned long long)op.weight->dims[1]);
    op.kind = LP_GRAPH_DENSE;
    op.input_count = 1;
    op.rank = a->rank;
    memcpy(op.dims, a->dims, sizeof op.dims);
    op.dims[a->rank - 1] = made.dims[a->rank - 1] = (uint32_t)op.weight->dims[1];
    LP_TRY(lp_onnx_emit(onnx, op, &from, &made.graph_value, err));
    *ret_value = made;
    return LP_OK;
}

enum lp_code lp_onnx_emit_int8(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *a,
                               const struct lp_onnx_constant *matrix, bool turned, struct lp_onnx_value *ret_value,
                               bool *ret_done, struct lp_error *err)
{
    const struct lp_graph *graph = &onnx->draft->graph;
    struct lp_graph_op op = {0};
    if (a->graph_value == LP_GRAPH_FEATURES || !fits_int8(matrix, turned)) return LP_OK;
    const struct lp_graph_op quantize = graph->ops[a->graph_value - 1];
    if (quantize.kind != LP_GRAPH_QUANTIZE || quantize.high - quantize.low != UINT8_MAX) return LP_OK;
    LP_TRY(int8_weight(onnx, matrix->quantized, turned, &op.weight, err));
    LP_TRY(int8_scale(onnx, matrix->quantized_scale, &op.scale, err));
    op.has_input_scale = true;
    op.input_scale = quantize.alpha;
    op.zero = quantize.zero - quantize.low; /* int8 moved to uint8: the same differences */
    LP_TRY(emit_layer(onnx, node, op, a, quantize.inputs[0], ret_value, err));
    *ret_done = true;
    return LP_OK;
}

enum lp_code lp_onnx_lower_qlinear_matmul(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value input, made;
    struct lp_onnx_constant *matrix = NULL;
    const struct lp_tensor *weight = NULL;
    enum lp_onnx_type type = LP_ONNX_UINT8;
    struct quantum quantum;
    bool done = false;
    LP_TRY(read_quantized(onnx, node, 0, 1, &input, err));
    LP_TRY(dequantize_inputs(onnx, node, 3, -1, &matrix, err));
    LP_TRY(read_quantum(onnx, node, 6, &type, &quantum, err));
    if (matrix->rank != 2) return lp_onnx_refuse(node, err, "a constant of %u axes", matrix->rank);
    LP_TRY(lp_onnx_emit_int8(onnx, node, &input, matrix, false, &made, &done, err));
    if (!done) {
        LP_TRY(lp_onnx_tensor(onnx, matrix, &weight, err));
        LP_TRY(lp_onnx_emit_dense(onnx, node, &input, weight, NULL, &made, err));
    }
    return bind_quantized(onnx, node, &made, type, quantum, err);
}

/* The bias: 32-bit integers of scale x_scale * w_scale. */
static enum lp_code read_bias(struct lp_onnx *onnx, const struct lp_onnx_node *node, double input_scale,
                              const struct lp_tensor **ret_bias, struct lp_error *err)
{
    struct lp_onnx_constant *given = NULL, *scale = NULL;
    struct lp_tensor *bias;
    void *data = NULL;
    *ret_bias = NULL;
    if (lp_onnx_input(onnx, node, 8) == NULL) return LP_OK;
    LP_TRY(lp_onnx_known(onnx, node, 8, &given, err));
    LP_TRY(lp_onnx_known(onnx, node, 4, &scale, err));
    if (given->rank != 1 || (scale->count != 1 && scale->count != given->count))
        return lp_onnx_bad(node, err, "a bias of %llu for %llu scales", (unsigned long long)given->count,
                           (unsigned long long)scale->count);
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 1, given->dims, &bias, &data, err));
    for (uint64_t i = 0; i < bias->count; i++)
        ((float *)data)[i] =
            (float)(lp_onnx_number_at(given, i) * input_scale * lp_onnx_number_at(scale, scale->count == 1 ? 0 : i));
    *ret_bias = bias;
    return LP_OK;
}

enum lp_code lp_onnx_lower_qlinear_conv(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value input, made;
    struct lp_onnx_constant *weight = NULL;
    const struct lp_tensor *bias = NULL;
    enum lp_onnx_type type = LP_ONNX_UINT8;
    struct quantum quantum;
    LP_TRY(read_quantized(onnx, node, 0, 1, &input, err));
    LP_TRY(dequantize_inputs(onnx, node, 3, 0, &weight, err));
    LP_TRY(read_quantum(onnx, node, 6, &type, &quantum, err));
    LP_TRY(read_bias(onnx, node, input.scale, &bias, err));
    LP_TRY(lp_onnx_emit_conv(onnx, node, &input, weight, bias, &made, err));
    return bind_quantized(onnx, node, &made, type, quantum, err);
}

/* --- dynamic quantization: the layer finds each row's scale itself --- */

static enum lp_code unit_constant(struct lp_onnx *onnx, enum lp_onnx_type type, uint32_t row_scale,
                                  struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    LP_TRY(lp_onnx_constant_new(onnx, type, 0, NULL, ret_constant, err));
    lp_onnx_put_whole(*ret_constant, 0, 1);
    (*ret_constant)->row_scale = row_scale;
    return LP_OK;
}

enum lp_code lp_onnx_lower_dynamic_quantize(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    struct lp_onnx_constant *scale = NULL, *zero = NULL;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    made = *input;
    made.type = LP_ONNX_UINT8;
    made.dynamic = input->graph_value + 1;
    LP_TRY(unit_constant(onnx, LP_ONNX_FLOAT, made.dynamic, &scale, err));
    LP_TRY(unit_constant(onnx, LP_ONNX_UINT8, made.dynamic, &zero, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    lp_onnx_bind_constant(onnx, node, 1, scale);
    lp_onnx_bind_constant(onnx, node, 2, zero);
    lp_buffer_format(&onnx->draft->notes, "node `%.64s`: each row is quantized by itself, not with its batch\n",
                     node->name);
    return LP_OK;
}

/* A zero point for each column, as tools write it: taken where they are one number. */
static enum lp_code single_zero(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                const struct lp_onnx_constant *zeros, struct lp_onnx_constant **ret_zero,
                                struct lp_error *err)
{
    struct lp_onnx_constant *made = NULL;
    if (zeros->count == 0 || !lp_onnx_type_whole(zeros->type)) return lp_onnx_bad(node, err, "a zero point is missing");
    for (uint64_t i = 1; i < zeros->count; i++)
        if (lp_onnx_whole_at(zeros, i) != lp_onnx_whole_at(zeros, 0))
            return lp_onnx_refuse(node, err, "a zero point for each column");
    LP_TRY(lp_onnx_constant_new(onnx, zeros->type, 0, NULL, &made, err));
    lp_onnx_put_whole(made, 0, lp_onnx_whole_at(zeros, 0));
    *ret_zero = made;
    return LP_OK;
}

enum lp_code lp_onnx_lower_matmul_integer(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_value *a = lp_onnx_input(onnx, node, 0);
    struct lp_onnx_value input, made;
    struct lp_onnx_constant *data = NULL, *zero = NULL, *matrix = NULL, *one = NULL, *a_zero = NULL;
    struct lp_graph_op op = {0};
    if (a == NULL || a->dynamic == 0) return lp_onnx_refuse(node, err, "an input that no DynamicQuantizeLinear made");
    LP_TRY(lp_onnx_known(onnx, node, 2, &a_zero, err));
    if (a_zero->row_scale != a->dynamic) return lp_onnx_refuse(node, err, "another zero point than the input's");
    LP_TRY(lp_onnx_known(onnx, node, 1, &data, err));
    if (lp_onnx_input(onnx, node, 3) != NULL) LP_TRY(lp_onnx_known(onnx, node, 3, &zero, err));
    if (zero != NULL) LP_TRY(single_zero(onnx, node, zero, &zero, err));
    LP_TRY(unit_constant(onnx, LP_ONNX_FLOAT, 0, &one, err));
    LP_TRY(dequantized(onnx, node, data, one, zero, 0, &matrix, err));
    if (!fits_int8(matrix, false)) return lp_onnx_refuse(node, err, "weights with a zero point, or of more axes");
    LP_TRY(int8_weight(onnx, data, false, &op.weight, err));
    LP_TRY(int8_scale(onnx, one, &op.scale, err));
    input = *a;
    input.dynamic = 0;
    input.type = LP_ONNX_FLOAT;
    LP_TRY(emit_layer(onnx, node, op, &input, input.graph_value, &made, err));
    made.type = LP_ONNX_INT32;
    made.accumulated = a->dynamic;
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}
