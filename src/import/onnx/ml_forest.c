/* What the tree ops of ai.onnx.ml, old and new, share: splits, and the op at the end. */
#include "import/onnx/ml_forest.h"

#include <math.h>
#include <string.h>

/* value <= t in float is value < the next float. All numbers are at most +infinity: then none is below -infinity, and
 * the two ways change places. */
static void at_most(float t, struct lp_raw_node *raw)
{
    int64_t left = raw->left;
    if (t < INFINITY) {
        raw->threshold = (double)nextafterf(t, INFINITY);
        return;
    }
    raw->threshold = -(double)INFINITY;
    raw->left = raw->right;
    raw->right = left;
    raw->flags ^= LP_TREES_DEFAULT_LEFT;
}

enum lp_code lp_ml_split(const struct lp_onnx_node *node, int64_t mode, double value, bool missing_is_true,
                         int64_t if_true, int64_t if_false, struct lp_raw_node *ret_raw, struct lp_error *err)
{
    static const char *const names[] = {
        [LP_ML_EQ] = "BRANCH_EQ", [LP_ML_NEQ] = "BRANCH_NEQ", [LP_ML_MEMBER] = "BRANCH_MEMBER"};
    if (mode < 0 || mode > LP_ML_MEMBER) return lp_onnx_bad(node, err, "a node of mode %lld", (long long)mode);
    if (mode >= LP_ML_EQ) return lp_onnx_refuse(node, err, "nodes of mode %s are not in this release", names[mode]);
    if (isnan(value)) return lp_onnx_bad(node, err, "a node's value is not a number");
    if ((double)(float)value != value)
        return lp_onnx_refuse(node, err, "the threshold %.17g is no float: doubles are not in this release", value);
    bool below = mode == LP_ML_LEQ || mode == LP_ML_LT; /* holds for what is below */
    bool missing_left = below == missing_is_true;
    *ret_raw = (struct lp_raw_node){
        .flags = (uint8_t)(LP_TREES_MISSING_NAN | (missing_left ? LP_TREES_DEFAULT_LEFT : 0)),
        .threshold = value,
        .left = below ? if_true : if_false,
        .right = below ? if_false : if_true,
    };
    if (mode == LP_ML_LEQ || mode == LP_ML_GT) at_most((float)value, ret_raw);
    return LP_OK;
}

enum lp_code lp_ml_forest_new(struct lp_onnx *onnx, uint32_t leaf_width, struct lp_graph_trees **ret_trees,
                              struct lp_error *err)
{
    LP_TRY(lp_graph_trees_new(&onnx->draft->graph, SIZE_MAX / 2, ret_trees, err));
    (*ret_trees)->compare = LP_TREES_XGBOOST;
    (*ret_trees)->divisor = 1;
    (*ret_trees)->forest.leaf_width = leaf_width;
    (*ret_trees)->forest.allows_infinity = true;
    return LP_OK;
}

enum lp_code lp_ml_forest_emit(struct lp_onnx *onnx, struct lp_graph_trees *trees, uint32_t outputs, const double *base,
                               bool average, struct lp_ml_row *row, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_TREES, .input_count = 1, .rank = 1, .dims = {outputs}, .trees = trees};
    uint32_t width = row->rank > 0 ? row->dims[0] : 1, count = lp_forest_tree_count(&trees->forest);
    LP_TRY(lp_forest_finish(&trees->forest, err));
    if (row->rank > 1)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "%u axes beside the batch: trees have one", row->rank);
    if (average && count > 0) trees->divisor = count;
    if (base != NULL) {
        double *numbers = lp_storage_take(&onnx->draft->storage, outputs, sizeof *numbers, err);
        if (numbers == NULL) return lp_failed(err->code);
        for (uint32_t i = 0; i < outputs; i++) numbers[i] = base[i] * trees->divisor;
        trees->base = numbers;
    }
    LP_TRY(lp_ml_reshape(onnx, row, 1, &width, err));
    LP_TRY(lp_onnx_emit(onnx, op, &row->value, &row->value, err));
    row->dims[0] = outputs;
    return LP_OK;
}
