/* Ops of ai.onnx.ml. */
#include "import/onnx/onnx.h"

/* The scores of a classifier as they are: the map of labels to scores is only a way to write them. */
static enum lp_code lower_zipmap(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    lp_onnx_bind_value(onnx, node, 0, input);
    return LP_OK;
}

const struct lp_onnx_op lp_onnx_ml_ops[] = {
    {"ZipMap", lower_zipmap, NULL},
    {NULL, NULL, NULL},
};
