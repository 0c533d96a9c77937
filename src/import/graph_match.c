#include "import/graph_match.h"

#include <math.h>
#include <string.h>

const struct lp_graph_op *lp_rewrite_is(const struct lp_rewrite *rewrite, uint32_t value, enum lp_graph_kind kind,
                                        enum lp_graph_function function)
{
    const struct lp_graph_op *op = lp_rewrite_op(rewrite, value);
    return op != NULL && op->kind == kind && op->function == function ? op : NULL;
}

bool lp_rewrite_single(const struct lp_rewrite *rewrite, uint32_t value)
{
    return value != LP_GRAPH_FEATURES && value != rewrite->value && rewrite->uses[value] == 1;
}

bool lp_graph_same_shape(const struct lp_graph_op *a, const struct lp_graph_op *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

void lp_rewrite_unary(struct lp_rewrite *rewrite, uint32_t at, enum lp_graph_kind kind, enum lp_graph_function function,
                      uint32_t input)
{
    struct lp_graph_op *op = &rewrite->graph->ops[at];
    struct lp_graph_op made = {
        .kind = kind, .function = function, .input_count = 1, .inputs = op->inputs, .rank = op->rank};
    memcpy(made.dims, op->dims, sizeof made.dims);
    for (uint32_t k = 0; k < op->input_count; k++) rewrite->uses[op->inputs[k]]--;
    made.inputs[0] = input;
    rewrite->uses[input]++;
    *op = made;
    rewrite->rewritten++;
}

/* A binary op of a value and one number. */
static bool takes_number(const struct lp_graph_op *op, double *ret_number)
{
    if (op == NULL || op->kind != LP_GRAPH_BINARY || op->constant == NULL || op->constant->count != 1) return false;
    *ret_number = (double)((const float *)op->constant->data)[0];
    return true;
}

static bool is_times(const struct lp_graph_op *op, double *factor)
{
    double number;
    if (!takes_number(op, &number)) return false;
    if (op->function == LP_GRAPH_MUL) *factor = number;
    else if (op->function == LP_GRAPH_DIV && !op->reverse && number != 0) *factor = 1 / number;
    else return false;
    return true;
}

/* x^2 and x^3, as a power. */
static uint32_t exponent_of(const struct lp_graph_op *op)
{
    double number;
    if (!takes_number(op, &number) || op->function != LP_GRAPH_POW || op->reverse) return 0;
    return number == 2 || number == 3 ? (uint32_t)number : 0;
}

bool lp_rewrite_product(const struct lp_rewrite *rewrite, uint32_t value, struct lp_product *ret_product)
{
    struct lp_product product = {.coefficient = 1, .count = 1, .leaves = {value}};
    for (uint32_t i = 0; i < product.count;) {
        uint32_t leaf = product.leaves[i];
        const struct lp_graph_op *op = lp_rewrite_op(rewrite, leaf);
        double factor = 1;
        bool open = leaf == value || lp_rewrite_single(rewrite, leaf);
        uint32_t power = open ? exponent_of(op) : 0;
        bool times =
            open && op != NULL && op->kind == LP_GRAPH_BINARY && op->function == LP_GRAPH_MUL && op->input_count == 2;
        uint32_t more = power > 0 ? power - 1 : times ? 1 : 0;
        if (product.count + more > LP_PRODUCT_LEAVES) return false;
        if (power > 0) {
            for (uint32_t k = 0; k < power; k++) product.leaves[k == 0 ? i : product.count++] = op->inputs[0];
        } else if (times) {
            product.leaves[i] = op->inputs[0];
            product.leaves[product.count++] = op->inputs[1];
        } else if (open && is_times(op, &factor)) {
            product.leaves[i] = op->inputs[0];
            product.coefficient *= factor;
        } else i++;
    }
    *ret_product = product;
    return true;
}

uint32_t lp_rewrite_sum(const struct lp_rewrite *rewrite, uint32_t value, double *ret_number)
{
    const struct lp_graph_op *op = lp_rewrite_op(rewrite, value);
    double number;
    *ret_number = 0;
    if (!takes_number(op, &number)) return value;
    if (op->function == LP_GRAPH_ADD) *ret_number = number;
    else if (op->function == LP_GRAPH_SUB && !op->reverse) *ret_number = -number;
    else return value;
    return op->inputs[0];
}
