/*
 * missing=keep lets NaN into the row. Trees, impute and a whole ONNX model define it, ops that only move elements pass
 * it on; every other op would make the record's score NaN: refused when the model is loaded. For each value that holds
 * such elements the feature of each is kept, as its index and 1, so that a slice of others is not blamed.
 */
#include "model/graph.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(LP_BUNDLE_FEATURES_MAX < UINT16_MAX, "a feature's index and 1 in 16 bits");

struct taint {
    uint16_t **values; /* [op_count + 1], NULL: none of its elements */
    const struct lp_bundle *bundle;
    const struct lp_op *ops;
};

static uint64_t width_of(const struct taint *taint, uint32_t value)
{
    return value == 0 ? taint->bundle->column_count : taint->ops[value - 1].out_width;
}

/* Elements from `from` on, `count` of them, at `to`; NULL: clean. */
static void move(uint16_t *to, const uint16_t *from, uint64_t offset, uint64_t count)
{
    if (from != NULL) memcpy(to, from + offset, count * sizeof *to);
    else memset(to, 0, count * sizeof *to);
}

static void move_concat(const struct taint *taint, const struct lp_op *op, uint16_t *to)
{
    uint64_t before = lp_shape_before(&op->shape, op->axis);
    for (uint64_t outer = 0; outer < before; outer++)
        for (uint32_t i = 0; i < op->input_count; i++) {
            uint64_t part = width_of(taint, op->inputs[i]) / before;
            move(to, taint->values[op->inputs[i]], outer * part, part);
            to += part;
        }
}

static void move_slice(const struct lp_op *op, const uint16_t *from, uint16_t *to)
{
    uint64_t before = lp_shape_before(&op->in, op->axis), after = lp_shape_after(&op->in, op->axis);
    for (uint64_t outer = 0; outer < before; outer++)
        for (uint64_t i = op->start; i < op->end; i += op->step, to += after)
            move(to, from, (outer * op->in.dims[op->axis] + i) * after, after);
}

static void move_gather(const struct lp_op *op, const uint16_t *from, uint16_t *to)
{
    uint64_t before = lp_shape_before(&op->in, op->axis), after = lp_shape_after(&op->in, op->axis);
    for (uint64_t outer = 0; outer < before; outer++)
        for (uint64_t i = 0; i < op->indices->count; i++, to += after) {
            uint64_t index = op->indices->dtype == LP_DTYPE_I64 ? (uint64_t)((const int64_t *)op->indices->data)[i]
                                                                : (uint64_t)((const int32_t *)op->indices->data)[i];
            move(to, from, (outer * op->in.dims[op->axis] + index) * after, after);
        }
}

static void move_transpose(const struct lp_op *op, const uint16_t *from, uint16_t *to)
{
    uint32_t at[LP_VALUE_RANK_MAX] = {0};
    for (uint64_t i = 0; i < op->out_width; i++) {
        uint64_t offset = 0;
        for (uint32_t axis = 0; axis < op->in.rank; axis++)
            offset += at[axis] * lp_shape_after(&op->in, op->perm[axis]);
        to[i] = from[offset];
        for (uint32_t axis = op->in.rank; axis-- > 0 && ++at[axis] == op->shape.dims[axis];) at[axis] = 0;
    }
}

static void move_elements(const struct taint *taint, const struct lp_op *op, uint16_t *to)
{
    const uint16_t *from = taint->values[op->inputs[0]];
    switch (op->kind) {
    case LP_OP_CONCAT: move_concat(taint, op, to); break;
    case LP_OP_SLICE: move_slice(op, from, to); break;
    case LP_OP_GATHER: move_gather(op, from, to); break;
    case LP_OP_TRANSPOSE: move_transpose(op, from, to); break;
    default: move(to, from, 0, op->out_width); break; /* reshape */
    }
}

static const uint16_t *first_tainted(const uint16_t *elements, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (elements[i] != 0) return &elements[i];
    return NULL;
}

static bool moves(enum lp_op_kind kind)
{
    return kind == LP_OP_CONCAT || kind == LP_OP_SLICE || kind == LP_OP_GATHER || kind == LP_OP_RESHAPE ||
           kind == LP_OP_TRANSPOSE;
}

static enum lp_code refuse(const struct taint *taint, uint32_t i, uint32_t input, struct lp_error *err)
{
    const uint16_t *at = first_tainted(taint->values[input], width_of(taint, input));
    return LP_BAD(err,
                  "feature `%.64s`: missing=keep sends NaN into graph[%u] %s, which does not define it: choose "
                  "mean, value, indicator or reject",
                  taint->bundle->features[*at - 1].name, i, lp_op_name(taint->ops[i].kind));
}

static enum lp_code pass_op(struct taint *taint, uint32_t i, struct lp_error *err)
{
    const struct lp_op *op = &taint->ops[i];
    bool tainted = false;
    for (uint32_t k = 0; k < op->input_count; k++) {
        if (taint->values[op->inputs[k]] == NULL) continue;
        if (!moves(op->kind) && op->kind != LP_OP_TREES && op->kind != LP_OP_IMPUTE && op->kind != LP_OP_ONNXRUNTIME)
            return lp_failed(refuse(taint, i, op->inputs[k], err));
        tainted = true;
    }
    if (!tainted || !moves(op->kind)) return LP_OK;
    uint16_t *elements = malloc(op->out_width * sizeof *elements);
    if (elements == NULL) return lp_fail_memory(err, op->out_width * sizeof *elements);
    move_elements(taint, op, elements);
    if (first_tainted(elements, op->out_width) != NULL) taint->values[i + 1] = elements;
    else free(elements);
    return LP_OK;
}

static bool keeps(const struct lp_bundle *bundle)
{
    for (uint32_t i = 0; i < bundle->feature_count; i++)
        if (bundle->features[i].missing == LP_MISSING_KEEP) return true;
    return false;
}

static enum lp_code taint_row(struct taint *taint, struct lp_error *err)
{
    const struct lp_bundle *bundle = taint->bundle;
    uint16_t *row = calloc(bundle->column_count, sizeof *row);
    if (row == NULL) return lp_fail_memory(err, bundle->column_count * sizeof *row);
    for (uint32_t i = 0; i < bundle->feature_count; i++) {
        const struct lp_feature *feature = &bundle->features[i];
        for (uint32_t k = 0; feature->missing == LP_MISSING_KEEP && k < feature->column_count; k++)
            row[feature->column + k] = (uint16_t)(i + 1);
    }
    taint->values[0] = row;
    return LP_OK;
}

enum lp_code lp_graph_check_missing(const struct lp_bundle *bundle, const struct lp_op *ops, uint32_t count,
                                    struct lp_error *err)
{
    struct taint taint = {.bundle = bundle, .ops = ops};
    if (!keeps(bundle)) return LP_OK;
    taint.values = calloc((size_t)count + 1, sizeof *taint.values);
    if (taint.values == NULL) return lp_fail_memory(err, ((size_t)count + 1) * sizeof *taint.values);
    enum lp_code rc = taint_row(&taint, err);
    for (uint32_t i = 0; i < count && rc == LP_OK; i++) rc = pass_op(&taint, i, err);
    for (uint32_t i = 0; i <= count; i++) free(taint.values[i]);
    free(taint.values);
    return rc;
}
