/* Activations, layer normalizations and bags that exporters write out in small ops. */
#include "import/graph_match.h"

#include <math.h>
#include <string.h>

static bool near(double a, double b) { return fabs(a - b) <= 1e-5 * fabs(b); }

static bool is_activation(const struct lp_rewrite *rewrite, uint32_t value, enum lp_graph_function function,
                          uint32_t of)
{
    const struct lp_graph_op *op = lp_rewrite_is(rewrite, value, LP_GRAPH_ACTIVATION, function);
    return op != NULL && op->inputs[0] == of;
}

/* --- x * f(x) --- */

static enum lp_graph_function gate_of(const struct lp_rewrite *rewrite, uint32_t x, uint32_t gate)
{
    const struct lp_graph_op *op = lp_rewrite_is(rewrite, gate, LP_GRAPH_ACTIVATION, LP_GRAPH_TANH);
    if (op != NULL && is_activation(rewrite, op->inputs[0], LP_GRAPH_SOFTPLUS, x)) return LP_GRAPH_MISH;
    if (is_activation(rewrite, gate, LP_GRAPH_SIGMOID, x)) return LP_GRAPH_SILU;
    op = lp_rewrite_is(rewrite, gate, LP_GRAPH_ACTIVATION, LP_GRAPH_HARD_SIGMOID);
    if (op != NULL && op->inputs[0] == x && near(op->alpha, 1.0 / 6) && op->beta == 0.5) return LP_GRAPH_HARD_SILU;
    return LP_GRAPH_NONE;
}

static bool match_gate(struct lp_rewrite *rewrite, uint32_t at)
{
    const struct lp_graph_op *op = &rewrite->graph->ops[at];
    if (op->function != LP_GRAPH_MUL || op->input_count != 2) return false;
    for (uint32_t k = 0; k < 2; k++) {
        uint32_t x = op->inputs[k];
        enum lp_graph_function function = gate_of(rewrite, x, op->inputs[1 - k]);
        if (function == LP_GRAPH_NONE) continue;
        lp_rewrite_unary(rewrite, at, LP_GRAPH_ACTIVATION, function, x);
        return true;
    }
    return false;
}

/* --- gelu: x/2 (1 + erf(x / sqrt 2)), or x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) --- */

/* value = k x^power? */
static bool is_power(const struct lp_rewrite *rewrite, uint32_t value, uint32_t x, uint32_t power, double k)
{
    struct lp_product product;
    if (!lp_rewrite_product(rewrite, value, &product) || product.count != power || !near(product.coefficient, k))
        return false;
    for (uint32_t i = 0; i < power; i++)
        if (product.leaves[i] != x) return false;
    return true;
}

/* The sum of the argument of tanh without its factor: x + 0.044715 x^3, or x times 1 + 0.044715 x^2. */
static bool is_cubic(const struct lp_rewrite *rewrite, const struct lp_product *product, uint32_t x)
{
    const double cube = 0.044715;
    double one;
    if (product->count == 1) {
        const struct lp_graph_op *sum = lp_rewrite_is(rewrite, product->leaves[0], LP_GRAPH_BINARY, LP_GRAPH_ADD);
        for (uint32_t k = 0; sum != NULL && sum->input_count == 2 && k < 2; k++)
            if (sum->inputs[k] == x && is_power(rewrite, sum->inputs[1 - k], x, 3, cube)) return true;
        return false;
    }
    for (uint32_t k = 0; product->count == 2 && k < 2; k++) {
        uint32_t square = lp_rewrite_sum(rewrite, product->leaves[1 - k], &one);
        if (product->leaves[k] == x && one == 1 && is_power(rewrite, square, x, 2, cube)) return true;
    }
    return false;
}

static enum lp_graph_function gelu_of(const struct lp_rewrite *rewrite, uint32_t x, uint32_t gate)
{
    double one;
    struct lp_product product;
    uint32_t inner = lp_rewrite_sum(rewrite, gate, &one);
    const struct lp_graph_op *op = lp_rewrite_op(rewrite, inner);
    if (one != 1 || op == NULL || op->kind != LP_GRAPH_ACTIVATION) return LP_GRAPH_NONE;
    if (!lp_rewrite_product(rewrite, op->inputs[0], &product)) return LP_GRAPH_NONE;
    if (op->function == LP_GRAPH_ERF && product.count == 1 && product.leaves[0] == x &&
        near(product.coefficient, M_SQRT1_2))
        return LP_GRAPH_GELU;
    if (op->function == LP_GRAPH_TANH && near(product.coefficient, sqrt(M_2_PI)) && is_cubic(rewrite, &product, x))
        return LP_GRAPH_GELU_TANH;
    return LP_GRAPH_NONE;
}

static bool match_gelu(struct lp_rewrite *rewrite, uint32_t at)
{
    struct lp_product product;
    if (rewrite->graph->ops[at].function != LP_GRAPH_MUL) return false;
    if (!lp_rewrite_product(rewrite, at + 1, &product) || product.count != 2 || product.coefficient != 0.5)
        return false;
    for (uint32_t k = 0; k < 2; k++) {
        enum lp_graph_function function = gelu_of(rewrite, product.leaves[k], product.leaves[1 - k]);
        if (function == LP_GRAPH_NONE) continue;
        lp_rewrite_unary(rewrite, at, LP_GRAPH_ACTIVATION, function, product.leaves[k]);
        return true;
    }
    return false;
}

/* --- layer normalization: (x - mean) / sqrt(mean((x - mean)^2) + epsilon) --- */

/* The mean of x over its last axes, from `*axis` on. */
static bool is_mean(const struct lp_rewrite *rewrite, uint32_t value, uint32_t *ret_of, uint32_t *ret_axis)
{
    const struct lp_graph_op *op = lp_rewrite_is(rewrite, value, LP_GRAPH_REDUCE, LP_GRAPH_MEAN);
    if (op == NULL) return false;
    uint32_t mask = 0, axis = op->rank - op->axis_count;
    for (uint32_t i = 0; i < op->axis_count; i++) mask |= 1u << op->axes[i];
    if (mask != (1u << op->rank) - (1u << axis)) return false;
    *ret_of = op->inputs[0];
    *ret_axis = axis;
    return true;
}

/* value = x - mean(x). */
static bool is_centered(const struct lp_rewrite *rewrite, uint32_t value, uint32_t *ret_x, uint32_t *ret_axis)
{
    const struct lp_graph_op *op = lp_rewrite_is(rewrite, value, LP_GRAPH_BINARY, LP_GRAPH_SUB);
    uint32_t of;
    if (op == NULL || op->input_count != 2 || !is_mean(rewrite, op->inputs[1], &of, ret_axis)) return false;
    *ret_x = op->inputs[0];
    return of == op->inputs[0];
}

static bool is_square_of_centered(const struct lp_rewrite *rewrite, uint32_t value, uint32_t x, uint32_t axis)
{
    const struct lp_graph_op *op = lp_rewrite_op(rewrite, value);
    uint32_t of, over;
    if (op == NULL || op->kind != LP_GRAPH_BINARY) return false;
    bool power = op->function == LP_GRAPH_POW && op->constant != NULL && !op->reverse && op->constant->count == 1 &&
                 ((const float *)op->constant->data)[0] == 2;
    bool product = op->function == LP_GRAPH_MUL && op->input_count == 2 && op->inputs[0] == op->inputs[1];
    return (power || product) && is_centered(rewrite, op->inputs[0], &of, &over) && of == x && over == axis;
}

/* value = sqrt(mean((x - mean)^2) + epsilon). */
static bool is_deviation(const struct lp_rewrite *rewrite, uint32_t value, uint32_t x, uint32_t axis,
                         double *ret_epsilon)
{
    const struct lp_graph_op *op = lp_rewrite_is(rewrite, value, LP_GRAPH_ACTIVATION, LP_GRAPH_SQRT);
    uint32_t of, over;
    if (op == NULL) return false;
    uint32_t variance = lp_rewrite_sum(rewrite, op->inputs[0], ret_epsilon);
    return *ret_epsilon >= 0 && is_mean(rewrite, variance, &of, &over) && over == axis &&
           is_square_of_centered(rewrite, of, x, axis);
}

static bool match_norm(struct lp_rewrite *rewrite, uint32_t at)
{
    const struct lp_graph_op *op = &rewrite->graph->ops[at];
    uint32_t x, axis;
    double epsilon;
    if (op->input_count != 2 || (op->function != LP_GRAPH_DIV && op->function != LP_GRAPH_MUL)) return false;
    for (uint32_t k = 0; k < (op->function == LP_GRAPH_MUL ? 2u : 1u); k++) {
        uint32_t deviation = op->inputs[1 - k];
        if (op->function == LP_GRAPH_MUL) {
            const struct lp_graph_op *inverse =
                lp_rewrite_is(rewrite, deviation, LP_GRAPH_ACTIVATION, LP_GRAPH_RECIPROCAL);
            if (inverse == NULL) continue;
            deviation = inverse->inputs[0];
        }
        if (!is_centered(rewrite, op->inputs[k], &x, &axis) || !is_deviation(rewrite, deviation, x, axis, &epsilon))
            continue;
        lp_rewrite_unary(rewrite, at, LP_GRAPH_NORM, LP_GRAPH_NONE, x);
        rewrite->graph->ops[at].axis = axis;
        rewrite->graph->ops[at].alpha = epsilon;
        return true;
    }
    return false;
}

/* --- bags: rows of a table, folded over the ids; the next op makes [1, width] into [width] --- */

static bool match_bag(struct lp_rewrite *rewrite, uint32_t at)
{
    struct lp_graph_op *reshape = &rewrite->graph->ops[at];
    if (reshape->kind != LP_GRAPH_RESHAPE || !lp_rewrite_single(rewrite, reshape->inputs[0])) return false;
    struct lp_graph_op *reduce = lp_rewrite_op(rewrite, reshape->inputs[0]);
    bool pools =
        reduce->function == LP_GRAPH_SUM || reduce->function == LP_GRAPH_MEAN || reduce->function == LP_GRAPH_MAX;
    if (reduce->kind != LP_GRAPH_REDUCE || !pools || reduce->axis_count != 1 || reduce->axes[0] != 0) return false;
    const struct lp_graph_op *rows = lp_rewrite_is(rewrite, reduce->inputs[0], LP_GRAPH_EMBEDDING, LP_GRAPH_NONE);
    if (rows == NULL || !lp_rewrite_single(rewrite, reduce->inputs[0])) return false;
    uint32_t *inputs = reduce->inputs;
    enum lp_graph_function function = reduce->function;
    rewrite->uses[inputs[0]]--;
    rewrite->uses[rows->inputs[0]]++;
    inputs[0] = rows->inputs[0];
    *reduce = *rows;
    reduce->inputs = inputs;
    reduce->function = function;
    reduce->rank = 1;
    reduce->dims[0] = rows->dims[1];
    rewrite->rewritten++;
    return true;
}

enum lp_code lp_graph_patterns(struct lp_rewrite *rewrite, struct lp_error *err)
{
    (void)err;
    for (uint32_t i = 0; i < rewrite->graph->count; i++) {
        bool binary = rewrite->graph->ops[i].kind == LP_GRAPH_BINARY;
        if (binary && (match_gate(rewrite, i) || match_gelu(rewrite, i) || match_norm(rewrite, i))) continue;
        match_bag(rewrite, i);
    }
    return LP_OK;
}
