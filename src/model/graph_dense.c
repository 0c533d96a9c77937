/* Dense layers, activations, softmax, products of two values. */
#include "model/graph.h"

#include <float.h>
#include <math.h>

static const char *const activations[LP_ACTIVATION_COUNT] = {
    [LP_ACTIVATION_NONE] = "none",
    [LP_ACTIVATION_RELU] = "relu",
    [LP_ACTIVATION_LEAKY_RELU] = "leaky_relu",
    [LP_ACTIVATION_ELU] = "elu",
    [LP_ACTIVATION_TANH] = "tanh",
    [LP_ACTIVATION_SIGMOID] = "sigmoid",
    [LP_ACTIVATION_GELU] = "gelu",
    [LP_ACTIVATION_GELU_TANH] = "gelu_tanh",
    [LP_ACTIVATION_SILU] = "silu",
    [LP_ACTIVATION_SOFTPLUS] = "softplus",
    [LP_ACTIVATION_SELU] = "selu",
    [LP_ACTIVATION_CELU] = "celu",
    [LP_ACTIVATION_PRELU] = "prelu",
    [LP_ACTIVATION_SOFTSIGN] = "softsign",
    [LP_ACTIVATION_HARD_SIGMOID] = "hard_sigmoid",
    [LP_ACTIVATION_HARD_SILU] = "hard_silu",
    [LP_ACTIVATION_MISH] = "mish",
    [LP_ACTIVATION_THRESHOLDED_RELU] = "thresholded_relu",
    [LP_ACTIVATION_CLIP] = "clip",
    [LP_ACTIVATION_EXP] = "exp",
    [LP_ACTIVATION_LOG] = "log",
    [LP_ACTIVATION_SQRT] = "sqrt",
    [LP_ACTIVATION_ABS] = "abs",
    [LP_ACTIVATION_NEG] = "neg",
    [LP_ACTIVATION_RECIPROCAL] = "reciprocal",
    [LP_ACTIVATION_ERF] = "erf",
    [LP_ACTIVATION_FLOOR] = "floor",
    [LP_ACTIVATION_CEIL] = "ceil",
    [LP_ACTIVATION_ROUND] = "round",
    [LP_ACTIVATION_SIGN] = "sign",
};

const char *lp_activation_name(enum lp_activation activation) { return activations[activation]; }

enum { INT8_INPUTS_MAX = 65536 }; /* 255 * 128 * 65536 < 2^31: the sum stays in int32 */

/* Which numbers an activation takes, and what they are where absent. */
enum { ALPHA = 1, BETA = 2, BOUNDS = 4 };
static const struct {
    enum lp_activation activation;
    int takes;
    double alpha, beta;
} defaults[] = {
    {LP_ACTIVATION_LEAKY_RELU, ALPHA, 0.01, 0},
    {LP_ACTIVATION_ELU, ALPHA, 1, 0},
    {LP_ACTIVATION_SELU, ALPHA | BETA, 1.67326319217681884765625, 1.05070102214813232421875},
    {LP_ACTIVATION_CELU, ALPHA, 1, 0},
    {LP_ACTIVATION_HARD_SIGMOID, ALPHA | BETA, 0.2, 0.5},
    {LP_ACTIVATION_THRESHOLDED_RELU, ALPHA, 1, 0},
    {LP_ACTIVATION_CLIP, BOUNDS, 0, 0},
};

static enum lp_code read_number(const struct lp_node *node, const struct lp_op *op, const char *key, bool takes,
                                double *number, struct lp_error *err)
{
    if (lp_node_has(node, key) && !takes)
        return LP_BAD(err, "%s: `%s` has no meaning with activation %s", node->where, key, activations[op->activation]);
    if (!lp_node_has(node, key)) return LP_OK;
    LP_TRY(lp_node_number(node, key, number, err));
    if (!isfinite((float)*number))
        return LP_BAD(err, "%s: `%s` is %g: it must fit in a float", node->where, key, *number);
    return LP_OK;
}

static enum lp_code read_slope(struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op,
                               struct lp_error *err)
{
    struct lp_shape slope, shape;
    if (op->kind != LP_OP_ACTIVATION) return LP_BAD(err, "%s: prelu has a slope and is an op of its own", node->where);
    LP_TRY(lp_weight_read(bundle, node, "slope", 1u << LP_DTYPE_F32, &op->constant, err));
    LP_TRY(lp_constant_shape(node, op->constant, &slope, err));
    LP_TRY(lp_shape_broadcast(node, &op->in, &slope, &shape, err));
    if (shape.rank != op->in.rank || lp_shape_count(&shape) != op->in_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: slope `%.64s` is larger than the input", node->where,
                       op->constant->name);
    return LP_OK;
}

enum lp_code lp_activation_members(struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op,
                                   struct lp_error *err)
{
    size_t index = LP_ACTIVATION_NONE;
    int takes = 0;
    if (op->kind == LP_OP_ACTIVATION || lp_node_has(node, "activation"))
        LP_TRY(lp_node_choice(node, "activation", LP_CHOICE(activations), NULL, &index, err));
    op->activation = (enum lp_activation)index;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        if (defaults[i].activation != op->activation) continue;
        takes = defaults[i].takes;
        op->alpha = defaults[i].alpha;
        op->beta = defaults[i].beta;
    }
    op->low = -INFINITY;
    op->high = INFINITY;
    LP_TRY(read_number(node, op, "alpha", (takes & ALPHA) != 0, &op->alpha, err));
    LP_TRY(read_number(node, op, "beta", (takes & BETA) != 0, &op->beta, err));
    LP_TRY(read_number(node, op, "low", (takes & BOUNDS) != 0, &op->low, err));
    LP_TRY(read_number(node, op, "high", (takes & BOUNDS) != 0, &op->high, err));
    if (op->activation == LP_ACTIVATION_CELU && op->alpha == 0)
        return LP_BAD(err, "%s: `alpha` is 0: celu divides by it", node->where);
    if (op->activation == LP_ACTIVATION_PRELU) return read_slope(bundle, node, op, err);
    if (lp_node_has(node, "slope"))
        return LP_BAD(err, "%s: `slope` has no meaning with activation %s", node->where, activations[index]);
    return LP_OK;
}

enum lp_code lp_activation_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                                struct lp_op *op, struct lp_error *err)
{
    (void)inputs;
    return lp_activation_members(bundle, node, op, err);
}

static enum lp_code read_quantization(struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op,
                                      struct lp_error *err)
{
    static const char *const keys[] = {"weight_scale", "input_scale", "input_zero_point"};
    json_int_t zero = 0;
    for (size_t i = 0; op->weight->dtype != LP_DTYPE_I8 && i < sizeof keys / sizeof *keys; i++)
        if (lp_node_has(node, keys[i]))
            return LP_BAD(err, "%s: `%s` has no meaning with a weight of %s", node->where, keys[i],
                          lp_dtype_name(op->weight->dtype));
    if (op->weight->dtype != LP_DTYPE_I8) return LP_OK;
    LP_TRY(lp_weight_read(bundle, node, "weight_scale", 1u << LP_DTYPE_F32, &op->scale, err));
    if (op->weight->dims[0] > INT8_INPUTS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "%s: weight `%.64s` is I8 and takes %llu inputs: at most %d are allowed", node->where,
                       op->weight->name, (unsigned long long)op->weight->dims[0], INT8_INPUTS_MAX);
    if (op->scale->rank != 1 || (op->scale->count != 1 && op->scale->count != op->weight->dims[1]))
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: weight_scale `%.64s` must be F32 [%llu] or [1]", node->where,
                       op->scale->name, (unsigned long long)op->weight->dims[1]);
    if (lp_node_has(node, "input_zero_point") && !lp_node_has(node, "input_scale"))
        return LP_BAD(err, "%s: `input_zero_point` without `input_scale`", node->where);
    if (!lp_node_has(node, "input_scale")) return LP_OK;
    LP_TRY(lp_node_number(node, "input_scale", &op->input_scale, err));
    if (!((float)op->input_scale >= FLT_MIN && isfinite((float)op->input_scale)))
        return LP_BAD(err, "%s: `input_scale` is %g: it must be a normal float above 0", node->where, op->input_scale);
    if (lp_node_has(node, "input_zero_point")) LP_TRY(lp_node_whole(node, "input_zero_point", 0, 255, &zero, err));
    op->input_zero = (int32_t)zero;
    return LP_OK;
}

enum lp_code lp_dense_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                           struct lp_op *op, struct lp_error *err)
{
    const unsigned int dtypes = 1u << LP_DTYPE_F32 | 1u << LP_DTYPE_F16 | 1u << LP_DTYPE_BF16 | 1u << LP_DTYPE_I8;
    uint32_t last = op->in.rank - 1;
    (void)inputs;
    LP_TRY(lp_weight_read(bundle, node, "weight", dtypes, &op->weight, err));
    const struct lp_tensor *weight = op->weight;
    if (weight->rank != 2)
        return LP_BAD(err, "%s: weight `%.64s` must be of rank 2, [in, out]", node->where, weight->name);
    if (weight->dims[0] != op->in.dims[last])
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: weight `%.64s` takes %llu inputs, `%.64s` has %u",
                       node->where, weight->name, (unsigned long long)weight->dims[0], op->input, op->in.dims[last]);
    if (weight->dims[1] > LP_BUNDLE_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: %llu outputs, at most %d are allowed", node->where,
                       (unsigned long long)weight->dims[1], LP_BUNDLE_COLUMNS_MAX);
    LP_TRY(lp_storage_charge(bundle->storage, weight->count, sizeof(float), err)); /* packed for the kernels later */
    op->shape.dims[last] = (uint32_t)weight->dims[1];
    op->work = lp_shape_before(&op->in, last) * weight->count;
    LP_TRY(lp_vector_read(bundle, node, "bias", weight->dims[1], &op->bias, err));
    LP_TRY(read_quantization(bundle, node, op, err));
    return lp_activation_members(bundle, node, op, err);
}

enum lp_code lp_softmax_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                             struct lp_op *op, struct lp_error *err)
{
    (void)bundle;
    (void)inputs;
    return lp_axis_read(node, &op->in, &op->axis, err);
}

/* The axes before the last two broadcast. */
static enum lp_code broadcast_leading(const struct lp_node *node, const struct lp_shape *a, const struct lp_shape *b,
                                      struct lp_shape *ret_shape, struct lp_error *err)
{
    struct lp_shape left = *a, right = *b;
    left.dims[a->rank - 2] = left.dims[a->rank - 1] = 1;
    right.dims[b->rank - 2] = right.dims[b->rank - 1] = 1;
    return lp_shape_broadcast(node, &left, &right, ret_shape, err);
}

enum lp_code lp_matmul_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                            struct lp_op *op, struct lp_error *err)
{
    const struct lp_shape *a = &inputs[0], *b = &inputs[1];
    char texts[2][LP_SHAPE_TEXT_BYTES];
    (void)bundle;
    LP_TRY(lp_node_flag_or(node, "transpose_b", &op->transpose, err));
    if (a->rank < 2 || b->rank < 2)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %s and %s: both must have two axes or more", node->where,
                       lp_shape_text(a, texts[0]), lp_shape_text(b, texts[1]));
    uint32_t k = b->dims[b->rank - (op->transpose ? 1 : 2)], n = b->dims[b->rank - (op->transpose ? 2 : 1)];
    if (a->dims[a->rank - 1] != k)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %s and %s: %u and %u must be the same", node->where,
                       lp_shape_text(a, texts[0]), lp_shape_text(b, texts[1]), a->dims[a->rank - 1], k);
    LP_TRY(broadcast_leading(node, a, b, &op->shape, err));
    op->shape.dims[op->shape.rank - 2] = a->dims[a->rank - 2];
    op->shape.dims[op->shape.rank - 1] = n;
    op->work = 1;
    for (uint32_t i = 0; i < op->shape.rank; i++)
        if (__builtin_mul_overflow(op->work, op->shape.dims[i], &op->work)) op->work = UINT64_MAX;
    if (__builtin_mul_overflow(op->work, k, &op->work)) op->work = UINT64_MAX;
    return LP_OK;
}
