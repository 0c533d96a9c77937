/* What a lowering reads and leaves: values by node and place, ops appended to the draft's graph. */
#include "import/onnx/private.h"

#include <string.h>

enum lp_code lp_onnx_blame(const struct lp_onnx_node *node, enum lp_code code, struct lp_error *err)
{
    const char *dot = node->domain[0] != '\0' ? "." : "";
    if (code == LP_OK) return LP_OK;
    return lp_error_wrap(err, "node `%.64s` (%.64s%s%.40s, opset %lld)", node->name, node->domain, dot, node->op,
                         (long long)node->opset);
}

struct lp_onnx_value *lp_onnx_input(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i)
{
    if (i >= node->input_count || node->inputs[i] == LP_ONNX_ABSENT) return NULL;
    return &onnx->values[node->inputs[i]];
}

enum lp_code lp_onnx_row(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                         struct lp_onnx_value **ret_value, struct lp_error *err)
{
    struct lp_onnx_value *value = lp_onnx_input(onnx, node, i);
    if (value == NULL) return lp_onnx_bad(node, err, "input %u is missing", i);
    if (value->kind == LP_ONNX_TEXT)
        return lp_onnx_refuse(node, err, "input `%.64s` is texts: an encoder must come first", value->name);
    if (value->kind != LP_ONNX_ROW)
        return lp_onnx_refuse(node, err, "input `%.64s` is a constant, which it cannot have in this release",
                              value->name);
    if (value->is_quantized || value->dynamic != 0)
        return lp_onnx_refuse(node, err, "input `%.64s` is quantized, which it cannot have in this release",
                              value->name);
    if (value->accumulated != 0 && strcmp(node->op, "Cast") != 0)
        return lp_onnx_refuse(node, err, "the product of a row's integers before its scale");
    *ret_value = value;
    return LP_OK;
}

enum lp_code lp_onnx_known(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                           struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    struct lp_onnx_value *value = lp_onnx_input(onnx, node, i);
    if (value == NULL) return lp_onnx_bad(node, err, "input %u is missing", i);
    if (value->kind != LP_ONNX_CONSTANT)
        return lp_onnx_refuse(node, err, "input `%.64s` is computed: it must be a constant in this release",
                              value->name);
    *ret_constant = value->known;
    return LP_OK;
}

enum lp_code lp_onnx_emit(struct lp_onnx *onnx, struct lp_graph_op op, const uint32_t *inputs, uint32_t *ret_value,
                          struct lp_error *err)
{
    op.inputs = (uint32_t *)(uintptr_t)inputs; /* copied, not written */
    return lp_graph_add(&onnx->draft->graph, &op, ret_value, err);
}

enum lp_code lp_onnx_reshape(struct lp_onnx *onnx, uint32_t value, uint32_t from_rank, const uint32_t *from,
                             uint32_t rank, const uint32_t *dims, uint32_t *ret_value, struct lp_error *err)
{
    static const uint32_t one[] = {1};
    const uint32_t *before = from_rank > 0 ? from : one, *after = rank > 0 ? dims : one;
    uint32_t before_rank = from_rank > 0 ? from_rank : 1, after_rank = rank > 0 ? rank : 1;
    if (before_rank == after_rank && memcmp(before, after, before_rank * sizeof *before) == 0) {
        *ret_value = value;
        return LP_OK;
    }
    struct lp_graph_op op = {.kind = LP_GRAPH_RESHAPE, .input_count = 1, .rank = rank};
    if (rank > LP_GRAPH_RANK_MAX)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "%u axes beside the batch, at most %d are in this release",
                       rank, LP_GRAPH_RANK_MAX);
    memcpy(op.dims, dims, rank * sizeof *dims);
    return lp_onnx_emit(onnx, op, &value, ret_value, err);
}

/* NULL: nobody asks for this output. */
static struct lp_onnx_value *output_of(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i)
{
    if (i >= node->output_count || node->outputs[i] == LP_ONNX_ABSENT) return NULL;
    return &onnx->values[node->outputs[i]];
}

void lp_onnx_bind_row(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i, enum lp_onnx_type type,
                      uint32_t graph_value, uint32_t rank, const uint32_t *dims)
{
    struct lp_onnx_value *value = output_of(onnx, node, i);
    if (value == NULL) return;
    value->kind = LP_ONNX_ROW;
    value->type = type;
    value->graph_value = graph_value;
    value->rank = rank;
    memcpy(value->dims, dims, rank * sizeof *dims);
}

void lp_onnx_bind_constant(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                           struct lp_onnx_constant *constant)
{
    struct lp_onnx_value *value = output_of(onnx, node, i);
    if (value == NULL) return;
    value->kind = LP_ONNX_CONSTANT;
    value->type = constant->type;
    value->known = constant;
}

void lp_onnx_bind_value(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                        const struct lp_onnx_value *as)
{
    struct lp_onnx_value *value = output_of(onnx, node, i);
    if (value == NULL) return;
    struct lp_onnx_value old = *value;
    *value = *as;
    value->name = old.name;
    value->producer = old.producer;
    value->use_count = old.use_count;
}

void lp_onnx_bind_text(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i, const uint32_t *columns,
                       uint32_t rank, const uint32_t *dims)
{
    struct lp_onnx_value *value = output_of(onnx, node, i);
    if (value == NULL) return;
    value->kind = LP_ONNX_TEXT;
    value->type = LP_ONNX_STRING;
    value->columns = columns;
    value->rank = rank;
    memcpy(value->dims, dims, rank * sizeof *dims);
}
