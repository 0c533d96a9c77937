/* Element-wise ops of row values. */
#include "import/onnx/lower.h"

#include <math.h>
#include <string.h>

static const struct unary {
    const char *name;
    enum lp_graph_function function;
    double alpha, beta; /* defaults of the attributes */
    const char *beta_name;
    bool takes_alpha;
} unaries[] = {
    {.name = "Relu", .function = LP_GRAPH_RELU},
    {.name = "LeakyRelu", .function = LP_GRAPH_LEAKY_RELU, .alpha = 0.01f, .takes_alpha = true},
    {.name = "Elu", .function = LP_GRAPH_ELU, .alpha = 1, .takes_alpha = true},
    {.name = "Selu",
     .function = LP_GRAPH_SELU,
     .alpha = 1.67326319217681884765625,
     .beta = 1.05070102214813232421875,
     .beta_name = "gamma",
     .takes_alpha = true},
    {.name = "Celu", .function = LP_GRAPH_CELU, .alpha = 1, .takes_alpha = true},
    {.name = "ThresholdedRelu", .function = LP_GRAPH_THRESHOLDED_RELU, .alpha = 1, .takes_alpha = true},
    {.name = "HardSigmoid",
     .function = LP_GRAPH_HARD_SIGMOID,
     .alpha = 0.2f,
     .beta = 0.5,
     .beta_name = "beta",
     .takes_alpha = true},
    {.name = "HardSwish", .function = LP_GRAPH_HARD_SILU},
    {.name = "Tanh", .function = LP_GRAPH_TANH},
    {.name = "Sigmoid", .function = LP_GRAPH_SIGMOID},
    {.name = "Softplus", .function = LP_GRAPH_SOFTPLUS},
    {.name = "Softsign", .function = LP_GRAPH_SOFTSIGN},
    {.name = "Mish", .function = LP_GRAPH_MISH},
    {.name = "Exp", .function = LP_GRAPH_EXP},
    {.name = "Log", .function = LP_GRAPH_LOG},
    {.name = "Sqrt", .function = LP_GRAPH_SQRT},
    {.name = "Abs", .function = LP_GRAPH_ABS},
    {.name = "Neg", .function = LP_GRAPH_NEG},
    {.name = "Reciprocal", .function = LP_GRAPH_RECIPROCAL},
    {.name = "Erf", .function = LP_GRAPH_ERF},
    {.name = "Floor", .function = LP_GRAPH_FLOOR},
    {.name = "Ceil", .function = LP_GRAPH_CEIL},
    {.name = "Round", .function = LP_GRAPH_ROUND},
    {.name = "Sign", .function = LP_GRAPH_SIGN},
    {.name = "Gelu", .function = LP_GRAPH_GELU},
    {.name = "QuickGelu", .function = LP_GRAPH_SILU},
    {.name = NULL},
};

static enum lp_code read_unary(const struct lp_onnx_node *node, struct lp_graph_op *op, struct lp_error *err)
{
    const struct unary *unary = unaries;
    struct lp_span approximate;
    while (unary->name != NULL && strcmp(unary->name, node->op) != 0) unary++;
    op->kind = LP_GRAPH_ACTIVATION;
    op->function = unary->function;
    if (unary->takes_alpha) LP_TRY(lp_onnx_float(node, "alpha", unary->alpha, &op->alpha, err));
    if (unary->beta_name != NULL) LP_TRY(lp_onnx_float(node, unary->beta_name, unary->beta, &op->beta, err));
    if (!isfinite(op->alpha) || !isfinite(op->beta))
        return lp_onnx_bad(node, err, "its attributes, %g and %g, are not finite", op->alpha, op->beta);
    if (op->function == LP_GRAPH_GELU) {
        LP_TRY(lp_onnx_text(node, "approximate", "none", &approximate, err));
        if (lp_span_is(approximate, "tanh")) op->function = LP_GRAPH_GELU_TANH;
        else if (!lp_span_is(approximate, "none")) return lp_onnx_refuse(node, err, "its approximation");
    }
    if (op->function == LP_GRAPH_SILU) { /* x sigmoid(alpha x) */
        LP_TRY(lp_onnx_float(node, "alpha", 1.702f, &op->alpha, err));
        if (op->alpha != 1) return lp_onnx_refuse(node, err, "an alpha of %g", op->alpha);
    }
    return LP_OK;
}

enum lp_code lp_onnx_lower_unary(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    struct lp_graph_op op = {0};
    LP_TRY(read_unary(node, &op, err));
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_emit_activation(onnx, op, input, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* --- two or more operands --- */

static enum lp_graph_function binary_of(const struct lp_onnx_node *node)
{
    static const struct {
        const char *name;
        enum lp_graph_function function;
    } binaries[] = {{"Add", LP_GRAPH_ADD}, {"Sum", LP_GRAPH_ADD}, {"Mean", LP_GRAPH_ADD},
                    {"Sub", LP_GRAPH_SUB}, {"Mul", LP_GRAPH_MUL}, {"Div", LP_GRAPH_DIV},
                    {"Min", LP_GRAPH_MIN}, {"Max", LP_GRAPH_MAX}, {"Pow", LP_GRAPH_POW}};
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        if (strcmp(binaries[i].name, node->op) == 0) return binaries[i].function;
    return LP_GRAPH_NONE;
}

enum lp_code lp_onnx_combine(struct lp_onnx *onnx, const struct lp_onnx_node *node, enum lp_graph_function function,
                             const struct lp_onnx_value *left, const struct lp_onnx_value *right,
                             struct lp_onnx_value *ret_value, struct lp_error *err)
{
    const struct lp_tensor *constant = NULL;
    bool reverse = left->kind == LP_ONNX_CONSTANT;
    uint32_t scale = (left->kind == LP_ONNX_CONSTANT ? left->known->row_scale : 0) |
                     (right->kind == LP_ONNX_CONSTANT ? right->known->row_scale : 0);
    if ((left->accumulated != 0 || right->accumulated != 0) && scale == 0)
        return lp_onnx_refuse(node, err, "the product of a row's integers before its scale");
    if (left->kind == LP_ONNX_ROW && right->kind == LP_ONNX_ROW)
        return lp_onnx_emit_binary(onnx, node, function, left, right, ret_value, err);
    const struct lp_onnx_value *row = reverse ? right : left;
    struct lp_onnx_constant *known = reverse ? left->known : right->known;
    if (known->row_scale != row->accumulated)
        return lp_onnx_refuse(node, err, "a row's own scale times what is not the product of its integers");
    LP_TRY(lp_onnx_operand(onnx, node, known, row->rank + 1, &constant, err));
    return lp_onnx_emit_constant(onnx, node, function, row, constant, reverse, ret_value, err);
}

static enum lp_code check_operand(const struct lp_onnx_node *node, const struct lp_onnx_value *value,
                                  struct lp_error *err)
{
    if (value == NULL) return lp_onnx_bad(node, err, "an input is missing");
    if (value->kind == LP_ONNX_TEXT) return lp_onnx_refuse(node, err, "texts: an encoder must come first");
    if (value->kind == LP_ONNX_ROW && (value->is_quantized || value->dynamic != 0))
        return lp_onnx_refuse(node, err, "quantized numbers");
    if (lp_onnx_type_whole(value->type) && binary_of(node) == LP_GRAPH_DIV)
        return lp_onnx_refuse(node, err, "a division of whole numbers");
    return LP_OK;
}

/* All the same way: ((a op b) op c) ..., constants folded where they meet. Mean divides at the end. */
enum lp_code lp_onnx_lower_binary(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value made = {0};
    enum lp_graph_function function = binary_of(node);
    uint32_t first = 0;
    bool many = strcmp(node->op, "Sum") == 0 || strcmp(node->op, "Mean") == 0 || function == LP_GRAPH_MIN ||
                function == LP_GRAPH_MAX;
    if (!many && node->input_count != 2) return lp_onnx_bad(node, err, "%u inputs", node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++) LP_TRY(check_operand(node, lp_onnx_input(onnx, node, i), err));
    /* Two operands keep their order; of more the order does not matter, and a row value begins. */
    while (node->input_count > 2 && lp_onnx_input(onnx, node, first)->kind != LP_ONNX_ROW) first++;
    made = *lp_onnx_input(onnx, node, first);
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (i == first) continue;
        const struct lp_onnx_value left = made;
        LP_TRY(lp_onnx_combine(onnx, node, function, &left, lp_onnx_input(onnx, node, i), &made, err));
    }
    if (strcmp(node->op, "Mean") == 0 && node->input_count > 1) {
        struct lp_tensor *count;
        void *data = NULL;
        const struct lp_onnx_value sum = made;
        LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 0, NULL, &count, &data, err));
        *(float *)data = (float)node->input_count;
        LP_TRY(lp_onnx_emit_constant(onnx, node, LP_GRAPH_DIV, &sum, count, false, &made, err));
    }
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

/* --- Clip and PRelu --- */

static enum lp_code read_bound(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *name, uint32_t i,
                               double open, double *ret_bound, struct lp_error *err)
{
    struct lp_onnx_constant *bound = NULL;
    if (node->opset < 11) LP_TRY(lp_onnx_float(node, name, open, ret_bound, err));
    else if (lp_onnx_input(onnx, node, i) == NULL) *ret_bound = open;
    else {
        LP_TRY(lp_onnx_known(onnx, node, i, &bound, err));
        if (bound->count != 1 || bound->type == LP_ONNX_STRING || bound->has_batch)
            return lp_onnx_bad(node, err, "`%s` is no number", name);
        *ret_bound = lp_onnx_number_at(bound, 0);
    }
    if (isnan(*ret_bound)) return lp_onnx_refuse(node, err, "`%s` is NaN", name);
    if (fabs(*ret_bound) >= 0x1.fffffep127) *ret_bound = open; /* a float cannot be further out */
    return LP_OK;
}

enum lp_code lp_onnx_lower_clip(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    struct lp_graph_op op = {.kind = LP_GRAPH_ACTIVATION, .function = LP_GRAPH_CLIP};
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(read_bound(onnx, node, "min", 1, -INFINITY, &op.alpha, err));
    LP_TRY(read_bound(onnx, node, "max", 2, INFINITY, &op.beta, err));
    if (isinf(op.alpha) && isinf(op.beta)) return lp_onnx_same(onnx, node, err);
    if (op.alpha > op.beta) op.alpha = op.beta; /* the upper bound is taken last */
    LP_TRY(lp_onnx_emit_activation(onnx, op, input, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

enum lp_code lp_onnx_lower_prelu(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    struct lp_onnx_constant *slope = NULL;
    struct lp_graph_op op = {.kind = LP_GRAPH_ACTIVATION, .function = LP_GRAPH_PRELU};
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_known(onnx, node, 1, &slope, err));
    LP_TRY(lp_onnx_operand(onnx, node, slope, input->rank + 1, &op.constant, err));
    for (uint32_t i = 0; i < op.constant->rank; i++) {
        uint32_t at = input->rank - op.constant->rank + i;
        if (op.constant->dims[i] != 1 && op.constant->dims[i] != input->dims[at])
            return lp_onnx_bad(node, err, "the slope does not fit axis %u", at + 1);
    }
    LP_TRY(lp_onnx_emit_activation(onnx, op, input, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}
