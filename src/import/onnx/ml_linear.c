/* LinearClassifier and LinearRegressor of ai.onnx.ml: a dense layer and what comes behind it. */
#include "import/onnx/ml.h"

struct linear {
    const float *coefficients, *intercepts;
    size_t coefficient_count, intercept_count;
    enum lp_ml_post post;
    struct lp_ml_row row;
};

static enum lp_code read(const struct lp_onnx *onnx, const struct lp_onnx_node *node, struct linear *linear,
                         struct lp_error *err)
{
    LP_TRY(lp_ml_input(onnx, node, 0, &linear->row, err));
    LP_TRY(lp_onnx_floats(node, "coefficients", &linear->coefficients, &linear->coefficient_count, err));
    LP_TRY(lp_onnx_floats(node, "intercepts", &linear->intercepts, &linear->intercept_count, err));
    return lp_ml_post_read(node, &linear->post, err);
}

/* Two classes as scikit-learn's logistic regression is written: -w and w, so that the second row is enough. */
static bool is_mirrored(const struct linear *linear, size_t targets)
{
    size_t half = linear->coefficient_count / 2;
    if (targets != 2 || linear->post != LP_ML_LOGISTIC || linear->coefficient_count % 2 != 0) return false;
    for (size_t i = 0; i < half; i++)
        if (linear->coefficients[i] != -linear->coefficients[half + i]) return false;
    return linear->intercept_count == 0 || linear->intercepts[0] == -linear->intercepts[1];
}

enum lp_code lp_ml_linear_classifier(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct linear linear;
    size_t labels;
    LP_TRY(read(onnx, node, &linear, err));
    LP_TRY(lp_ml_labels(onnx, node, "classlabels_ints", "classlabels_strings", &labels, err));
    uint32_t width = linear.row.rank > 0 ? linear.row.dims[0] : 1;
    size_t targets = linear.intercept_count > 0 ? linear.intercept_count : linear.coefficient_count / width;
    bool both = targets == 1 && labels == 2;
    if (targets > LP_BUNDLE_OUTPUTS_MAX || (!both && labels != targets))
        return lp_onnx_bad(node, err, "%zu labels of %zu scores", labels, targets);
    if (linear.post == LP_ML_SOFTMAX_ZERO && !both)
        return lp_onnx_refuse(node, err, "post_transform SOFTMAX_ZERO is not in this release");
    if (is_mirrored(&linear, targets)) {
        linear.coefficient_count /= 2;
        linear.coefficients += linear.coefficient_count;
        if (linear.intercept_count > 0) linear.intercepts += 1;
        targets = 1;
        both = true;
    }
    LP_TRY(lp_ml_dense(onnx, node, &linear.row, linear.coefficients, linear.coefficient_count,
                       linear.intercept_count > 0 ? linear.intercepts : NULL, (uint32_t)targets, err));
    if (both) LP_TRY(lp_ml_second_class(onnx, linear.post, false, &linear.row, err));
    else LP_TRY(lp_ml_post(onnx, node, linear.post, &linear.row, err));
    lp_ml_bind(onnx, node, 1, &linear.row);
    return LP_OK;
}

enum lp_code lp_ml_linear_regressor(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct linear linear;
    int64_t targets;
    LP_TRY(read(onnx, node, &linear, err));
    LP_TRY(lp_onnx_int(node, "targets", 1, &targets, err));
    if (targets < 1 || targets > LP_BUNDLE_OUTPUTS_MAX)
        return lp_onnx_bad(node, err, "%lld targets", (long long)targets);
    if (linear.intercept_count != 0 && linear.intercept_count != (uint64_t)targets)
        return lp_onnx_bad(node, err, "%zu intercepts of %lld targets", linear.intercept_count, (long long)targets);
    if (linear.post == LP_ML_SOFTMAX_ZERO)
        return lp_onnx_refuse(node, err, "post_transform SOFTMAX_ZERO is not in this release");
    LP_TRY(lp_ml_dense(onnx, node, &linear.row, linear.coefficients, linear.coefficient_count,
                       linear.intercept_count > 0 ? linear.intercepts : NULL, (uint32_t)targets, err));
    LP_TRY(lp_ml_post(onnx, node, linear.post, &linear.row, err));
    lp_ml_bind(onnx, node, 0, &linear.row);
    return LP_OK;
}
