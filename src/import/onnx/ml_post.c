/* What classifiers and regressors of ai.onnx.ml do behind their sums, as ONNX Runtime does it (ml_common.h). */
#include "import/onnx/ml.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_BYTES = 24, LABELS_MAX = LP_BUNDLE_OUTPUTS_MAX };

enum lp_code lp_ml_post_read(const struct lp_onnx_node *node, enum lp_ml_post *ret_post, struct lp_error *err)
{
    static const char *const names[LP_ML_POST_COUNT] = {[LP_ML_NONE] = "NONE",
                                                        [LP_ML_SOFTMAX] = "SOFTMAX",
                                                        [LP_ML_LOGISTIC] = "LOGISTIC",
                                                        [LP_ML_SOFTMAX_ZERO] = "SOFTMAX_ZERO",
                                                        [LP_ML_PROBIT] = "PROBIT"};
    struct lp_span name;
    LP_TRY(lp_onnx_text(node, "post_transform", "NONE", &name, err));
    for (int i = 0; i < LP_ML_POST_COUNT; i++) {
        if (!lp_span_is(name, names[i])) continue;
        if (i == LP_ML_PROBIT) return lp_onnx_refuse(node, err, "post_transform PROBIT is not in this release");
        *ret_post = (enum lp_ml_post)i;
        return LP_OK;
    }
    return lp_onnx_bad(node, err, "post_transform `%.*s`", (int)(name.size < 32 ? name.size : 32),
                       (const char *)name.data);
}

static enum lp_code reduce(struct lp_onnx *onnx, struct lp_ml_row *row, enum lp_graph_function function,
                           struct lp_error *err)
{
    const struct lp_graph_op op = {
        .kind = LP_GRAPH_REDUCE, .function = function, .input_count = 1, .rank = 1, .dims = {1}, .axis_count = 1};
    row->dims[0] = 1;
    return lp_onnx_emit(onnx, op, &row->value, &row->value, err);
}

/* exp(s - max) / sum over the scores that are not within 1e-7 of 0; those stay 0. */
static enum lp_code softmax_zero(struct lp_onnx *onnx, struct lp_ml_row *row, struct lp_error *err)
{
    static const float close = 1e-7f;
    struct lp_ml_row most = *row, mask = *row, sum;
    LP_TRY(reduce(onnx, &most, LP_GRAPH_MAX, err));
    LP_TRY(lp_ml_activate(onnx, &mask, LP_GRAPH_ABS, 0, 0, err));
    LP_TRY(lp_ml_with(onnx, &mask, LP_GRAPH_SUB, false, &close, 1, err));
    LP_TRY(lp_ml_activate(onnx, &mask, LP_GRAPH_SIGN, 0, 0, err));
    LP_TRY(lp_ml_activate(onnx, &mask, LP_GRAPH_RELU, 0, 0, err));
    LP_TRY(lp_ml_binary(onnx, row, LP_GRAPH_SUB, &most, err));
    LP_TRY(lp_ml_activate(onnx, row, LP_GRAPH_EXP, 0, 0, err));
    LP_TRY(lp_ml_binary(onnx, row, LP_GRAPH_MUL, &mask, err));
    sum = *row;
    LP_TRY(reduce(onnx, &sum, LP_GRAPH_SUM, err));
    return lp_ml_binary(onnx, row, LP_GRAPH_DIV, &sum, err);
}

enum lp_code lp_ml_post(struct lp_onnx *onnx, const struct lp_onnx_node *node, enum lp_ml_post post,
                        struct lp_ml_row *row, struct lp_error *err)
{
    const struct lp_graph_op softmax = {
        .kind = LP_GRAPH_SOFTMAX, .function = LP_GRAPH_SOFTMAX_OF, .input_count = 1, .rank = 1, .dims = {row->dims[0]}};
    switch (post) {
    case LP_ML_NONE: return LP_OK;
    case LP_ML_LOGISTIC: return lp_ml_activate(onnx, row, LP_GRAPH_SIGMOID, 0, 0, err);
    case LP_ML_SOFTMAX: return lp_onnx_emit(onnx, softmax, &row->value, &row->value, err);
    case LP_ML_SOFTMAX_ZERO: return softmax_zero(onnx, row, err);
    default: return lp_onnx_refuse(node, err, "its post_transform is not in this release");
    }
}

enum lp_code lp_ml_second_class(struct lp_onnx *onnx, enum lp_ml_post post, bool is_signed, struct lp_ml_row *row,
                                struct lp_error *err)
{
    static const float one = 1;
    struct lp_ml_row both[2] = {*row, *row};
    if (post == LP_ML_LOGISTIC) {
        LP_TRY(lp_ml_activate(onnx, &both[0], LP_GRAPH_NEG, 0, 0, err));
        for (int i = 0; i < 2; i++) LP_TRY(lp_ml_activate(onnx, &both[i], LP_GRAPH_SIGMOID, 0, 0, err));
    } else if (is_signed) {
        LP_TRY(lp_ml_activate(onnx, &both[0], LP_GRAPH_NEG, 0, 0, err));
    } else {
        LP_TRY(lp_ml_with(onnx, &both[0], LP_GRAPH_SUB, true, &one, 1, err));
    }
    return lp_ml_concat(onnx, both, 2, row, err);
}

/* A label as the file has it; one of no bytes has no address there. */
static const char *label_text(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_span label,
                              struct lp_error *err)
{
    if (label.size == 0) return lp_storage_text(&onnx->draft->storage, "", 0, err);
    if (memchr(label.data, '\0', label.size) == NULL)
        return lp_storage_text(&onnx->draft->storage, label.data, label.size, err);
    (void)lp_onnx_bad(node, err, "a label has a zero byte");
    return NULL;
}

enum lp_code lp_ml_labels(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *wholes, const char *texts,
                          size_t *ret_count, struct lp_error *err)
{
    struct lp_draft *draft = onnx->draft;
    const struct lp_span *names;
    const int64_t *numbers;
    size_t name_count, number_count;
    char text[LABEL_BYTES];
    LP_TRY(lp_onnx_texts(onnx, node, texts, &names, &name_count, err));
    LP_TRY(lp_onnx_ints(node, wholes, &numbers, &number_count, err));
    if (name_count > 0 && number_count > 0) return lp_onnx_bad(node, err, "labels of two kinds");
    size_t count = name_count + number_count;
    *ret_count = count;
    if (count == 0) return LP_OK;
    if (count > LABELS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu labels, at most %d are allowed", count, LABELS_MAX);
    const char **labels = lp_storage_take(&draft->storage, count, sizeof *labels, err);
    for (size_t i = 0; labels != NULL && i < count; i++) {
        if (number_count > 0) snprintf(text, sizeof text, "%" PRId64, numbers[i]);
        labels[i] = number_count > 0 ? lp_storage_text(&draft->storage, text, strlen(text), err)
                                     : label_text(onnx, node, names[i], err);
        if (labels[i] == NULL) return lp_failed(err->code);
    }
    if (labels == NULL) return lp_failed(err->code);
    draft->labels = labels;
    draft->label_count = (uint32_t)count;
    return LP_OK;
}
