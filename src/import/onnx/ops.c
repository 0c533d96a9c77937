/* Ops of the default domain, and of com.microsoft. */
#include "import/onnx/onnx.h"

static enum lp_code same(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0);
    if (input == NULL) return lp_onnx_bad(node, err, "input 0 is missing");
    lp_onnx_bind_value(onnx, node, 0, input);
    return LP_OK;
}

const struct lp_onnx_op lp_onnx_ops[] = {
    {"Identity", same, same},
    {NULL, NULL, NULL},
};

const struct lp_onnx_op lp_onnx_contrib_ops[] = {
    {NULL, NULL, NULL},
};
