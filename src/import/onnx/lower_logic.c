/*
 * Comparisons and booleans as numbers, 0 and 1, by ops that a bundle has: a < b is max(0, sign(b - a)). The difference
 * of two floats is 0 for equal ones only; of two infinities of one sign it is NaN, and so is what follows.
 */
#include "import/onnx/lower.h"

#include <math.h>
#include <string.h>

static enum lp_code activate(struct lp_onnx *onnx, enum lp_graph_function function, struct lp_onnx_value *value,
                             struct lp_error *err)
{
    const struct lp_onnx_value input = *value;
    const struct lp_graph_op op = {.kind = LP_GRAPH_ACTIVATION, .function = function};
    return lp_onnx_emit_activation(onnx, op, &input, value, err);
}

/* 1 - x */
static enum lp_code invert(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_onnx_value *value,
                           struct lp_error *err)
{
    const struct lp_onnx_value input = *value;
    struct lp_tensor *one;
    void *data;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, 0, NULL, &one, &data, err));
    *(float *)data = 1;
    return lp_onnx_emit_constant(onnx, node, LP_GRAPH_SUB, &input, one, true, value, err);
}

/* A row's values are floats, which have every whole number up to 2^24 only. */
static enum lp_code check_wholes(const struct lp_onnx_node *node, const struct lp_onnx_value *value,
                                 struct lp_error *err)
{
    if (value->kind != LP_ONNX_CONSTANT || !lp_onnx_type_whole(value->known->type)) return LP_OK;
    for (uint64_t i = 0; i < value->known->count; i++)
        if (fabs(lp_onnx_number_at(value->known, i)) > 0x1p24)
            return lp_onnx_refuse(node, err, "%lld: whole numbers beyond 2^24 are not compared in this release",
                                  (long long)lp_onnx_whole_at(value->known, i));
    return LP_OK;
}

static enum lp_code check(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t count,
                          struct lp_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct lp_onnx_value *value = lp_onnx_input(onnx, node, i);
        if (value == NULL) return lp_onnx_bad(node, err, "an input is missing");
        if (value->kind == LP_ONNX_TEXT || (value->kind == LP_ONNX_CONSTANT && value->type == LP_ONNX_STRING))
            return lp_onnx_refuse(node, err, "texts are not compared in this release");
        if (value->kind == LP_ONNX_ROW && (value->is_quantized || value->dynamic != 0))
            return lp_onnx_refuse(node, err, "quantized numbers");
    }
    return LP_OK;
}

static void bind(struct lp_onnx *onnx, const struct lp_onnx_node *node, enum lp_onnx_type type,
                 struct lp_onnx_value *value)
{
    value->type = type;
    lp_onnx_bind_value(onnx, node, 0, value);
}

enum lp_code lp_onnx_emit_truth(struct lp_onnx *onnx, const struct lp_onnx_value *a, struct lp_onnx_value *ret_value,
                                struct lp_error *err)
{
    *ret_value = *a;
    LP_TRY(activate(onnx, LP_GRAPH_SIGN, ret_value, err));
    return activate(onnx, LP_GRAPH_ABS, ret_value, err);
}

enum lp_code lp_onnx_lower_compare(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    static const struct {
        const char *name;
        bool swaps, inverts;
    } kinds[] = {{"Greater", false, false},
                 {"Less", true, false},
                 {"GreaterOrEqual", true, true},
                 {"LessOrEqual", false, true},
                 {"Equal", false, true}};
    size_t kind = 0;
    struct lp_onnx_value made;
    while (strcmp(kinds[kind].name, node->op) != 0) kind++;
    LP_TRY(check(onnx, node, 2, err));
    const struct lp_onnx_value *a = lp_onnx_input(onnx, node, 0), *b = lp_onnx_input(onnx, node, 1);
    LP_TRY(check_wholes(node, a, err));
    LP_TRY(check_wholes(node, b, err));
    bool swaps = kinds[kind].swaps;
    LP_TRY(lp_onnx_combine(onnx, node, LP_GRAPH_SUB, swaps ? b : a, swaps ? a : b, &made, err));
    LP_TRY(activate(onnx, LP_GRAPH_SIGN, &made, err));
    LP_TRY(activate(onnx, strcmp(node->op, "Equal") == 0 ? LP_GRAPH_ABS : LP_GRAPH_RELU, &made, err));
    if (kinds[kind].inverts) LP_TRY(invert(onnx, node, &made, err));
    bind(onnx, node, LP_ONNX_BOOL, &made);
    return LP_OK;
}

enum lp_code lp_onnx_lower_not(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    LP_TRY(check(onnx, node, 1, err));
    struct lp_onnx_value made = *lp_onnx_input(onnx, node, 0);
    LP_TRY(invert(onnx, node, &made, err));
    bind(onnx, node, LP_ONNX_BOOL, &made);
    return LP_OK;
}

enum lp_code lp_onnx_lower_logic(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value made;
    LP_TRY(check(onnx, node, 2, err));
    LP_TRY(lp_onnx_combine(onnx, node, strcmp(node->op, "And") == 0 ? LP_GRAPH_MUL : LP_GRAPH_MAX,
                           lp_onnx_input(onnx, node, 0), lp_onnx_input(onnx, node, 1), &made, err));
    bind(onnx, node, LP_ONNX_BOOL, &made);
    return LP_OK;
}

/* c x + (1 - c) y: the one that is not chosen must be finite, else the record's score is NaN and it is a bad one. */
enum lp_code lp_onnx_lower_where(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value x, y, made;
    LP_TRY(check(onnx, node, 3, err));
    const struct lp_onnx_value *condition = lp_onnx_input(onnx, node, 0);
    if (condition->kind != LP_ONNX_ROW) return lp_onnx_refuse(node, err, "a condition that is a constant");
    struct lp_onnx_value other = *condition;
    LP_TRY(invert(onnx, node, &other, err));
    LP_TRY(lp_onnx_combine(onnx, node, LP_GRAPH_MUL, condition, lp_onnx_input(onnx, node, 1), &x, err));
    LP_TRY(lp_onnx_combine(onnx, node, LP_GRAPH_MUL, &other, lp_onnx_input(onnx, node, 2), &y, err));
    LP_TRY(lp_onnx_combine(onnx, node, LP_GRAPH_ADD, &x, &y, &made, err));
    bind(onnx, node, lp_onnx_input(onnx, node, 1)->type, &made);
    return LP_OK;
}
