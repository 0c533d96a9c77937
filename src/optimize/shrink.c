#include "optimize/shrink.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 48 };

bool lp_shrink_takes_int8(const struct lp_op *op)
{
    return op->kind == LP_OP_DENSE && op->weight->dtype != LP_DTYPE_I8 && op->weight->count > 0 &&
           op->weight->dims[0] <= LP_SHRINK_INT8_INPUTS_MAX;
}

static void quantize_weights(const float *w, size_t in, size_t out, int8_t *q, float *scale)
{
    for (size_t o = 0; o < out; o++) {
        float most = 0;
        for (size_t k = 0; k < in; k++) most = fmaxf(most, fabsf(w[k * out + o]));
        scale[o] = most > 0 ? fmaxf(most / 127.0f, FLT_MIN) : 1.0f;
        for (size_t k = 0; k < in; k++) q[k * out + o] = (int8_t)rintf(w[k * out + o] / scale[o]);
    }
}

static bool set_input(json_t *op, enum lp_int8 kind, const struct lp_range *range)
{
    if (kind == LP_INT8_DYNAMIC) return true;
    float low = kind == LP_INT8_MINMAX ? range->low : range->middle_low;
    float high = kind == LP_INT8_MINMAX ? range->high : range->middle_high;
    float scale = high > low ? fmaxf((high - low) / 255.0f, FLT_MIN) : 1.0f;
    float zero = fminf(fmaxf(rintf(-low / scale), 0.0f), 255.0f);
    return json_object_set_new(op, "input_scale", json_real((double)scale)) == 0 &&
           json_object_set_new(op, "input_zero_point", json_integer((json_int_t)zero)) == 0;
}

enum lp_code lp_shrink_int8(struct lp_draft *draft, uint32_t index, enum lp_int8 kind, const struct lp_range *range,
                            struct lp_error *err)
{
    const struct lp_tensor *weight = draft->parent->ops[index].weight;
    size_t in = weight->dims[0], out = weight->dims[1];
    json_t *op = json_array_get(draft->graph, index);
    float *wide = malloc(weight->count * sizeof *wide), *scale = lp_draft_take(draft, out, sizeof *scale);
    int8_t *q = lp_draft_take(draft, weight->count, 1);
    char *names = lp_draft_take(draft, 2, NAME_BYTES);
    if (wide == NULL || scale == NULL || q == NULL || names == NULL || (kind != LP_INT8_DYNAMIC && !range->known)) {
        free(wide);
        return lp_fail_memory(err, weight->count * sizeof *wide);
    }
    lp_tensor_widen(weight, wide);
    quantize_weights(wide, in, out, q, scale);
    free(wide);
    snprintf(names, NAME_BYTES, "int8.%u.weight", index);
    snprintf(names + NAME_BYTES, NAME_BYTES, "int8.%u.weight_scale", index);
    if (lp_bundle_tensor(draft->parent, names) != NULL || lp_bundle_tensor(draft->parent, names + NAME_BYTES) != NULL)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "the bundle has a tensor `%s` already", names);
    json_object_set_new(op, "weight", json_string(names));
    json_object_set_new(op, "weight_scale", json_string(names + NAME_BYTES));
    if (!set_input(op, kind, range)) return lp_fail_memory(err, 0);
    if (lp_draft_uses(draft, weight->name) == 0) lp_draft_remove(draft, weight->name);
    LP_TRY(lp_draft_put(
        draft,
        &(struct lp_tensor){
            .name = names, .dtype = LP_DTYPE_I8, .rank = 2, .dims = {in, out}, .count = weight->count, .data = q},
        err));
    return lp_draft_put(
        draft,
        &(struct lp_tensor){
            .name = names + NAME_BYTES, .dtype = LP_DTYPE_F32, .rank = 1, .dims = {out}, .count = out, .data = scale},
        err);
}

/* What rounds to infinity stays the largest number: tensors are finite. */
static uint16_t to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((rounded & 0x7FFF) >= 0x7F80 ? (rounded & 0x8000) | 0x7F7F : rounded);
}

static bool is_table(const struct lp_op *op) { return op->kind == LP_OP_EMBEDDING; }

static bool has_float_weight(const struct lp_op *op)
{
    return (op->kind == LP_OP_DENSE || op->kind == LP_OP_CONV2D || is_table(op)) && op->weight->dtype == LP_DTYPE_F32;
}

/* All that use the tensor are ops that take it in fewer bits. */
static bool is_only_weight(const struct lp_draft *draft, const struct lp_tensor *tensor)
{
    uint32_t uses = 0;
    for (uint32_t i = 0; i < draft->parent->op_count; i++)
        uses += has_float_weight(&draft->parent->ops[i]) && draft->parent->ops[i].weight == tensor;
    return uses == lp_draft_uses(draft, tensor->name);
}

enum lp_code lp_shrink_bf16(struct lp_draft *draft, uint32_t *ret_count, struct lp_error *err)
{
    const struct lp_bundle *parent = draft->parent;
    *ret_count = 0;
    for (uint32_t i = 0; i < parent->op_count; i++) {
        const struct lp_op *op = &parent->ops[i];
        if (!has_float_weight(op) || !is_only_weight(draft, op->weight)) continue;
        struct lp_tensor tensor = *op->weight;
        uint16_t *data = lp_draft_take(draft, tensor.count, sizeof *data);
        if (data == NULL) return lp_fail_memory(err, tensor.count * sizeof *data);
        for (uint64_t k = 0; k < tensor.count; k++) data[k] = to_bf16(((const float *)tensor.data)[k]);
        tensor.dtype = LP_DTYPE_BF16;
        tensor.data = data;
        LP_TRY(lp_draft_put(draft, &tensor, err));
        ++*ret_count;
    }
    return LP_OK;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Magnitudes up to the one at `share` go; equal ones beyond the share stay. */
static void prune(const float *from, uint64_t count, double share, float *sorted, float *to)
{
    uint64_t left = (uint64_t)(share * (double)count);
    for (uint64_t k = 0; k < count; k++) sorted[k] = fabsf(from[k]);
    qsort(sorted, count, sizeof *sorted, compare);
    float limit = left > 0 ? sorted[left - 1] : -1.0f;
    for (uint64_t k = 0; k < count; k++) {
        bool goes = left > 0 && fabsf(from[k]) <= limit;
        to[k] = goes ? 0.0f : from[k];
        left -= goes;
    }
}

enum lp_code lp_shrink_prune(struct lp_draft *draft, double share, uint32_t *ret_count, struct lp_error *err)
{
    const struct lp_bundle *parent = draft->parent;
    *ret_count = 0;
    for (uint32_t i = 0; i < parent->op_count; i++) {
        const struct lp_op *op = &parent->ops[i];
        if (op->kind != LP_OP_DENSE || !has_float_weight(op) || !is_only_weight(draft, op->weight)) continue;
        struct lp_tensor tensor = *op->weight;
        float *data = lp_draft_take(draft, tensor.count, sizeof *data);
        float *sorted = malloc((tensor.count + 1) * sizeof *sorted);
        if (data != NULL && sorted != NULL) prune(tensor.data, tensor.count, share, sorted, data);
        free(sorted);
        if (data == NULL || sorted == NULL) return lp_fail_memory(err, tensor.count * sizeof *data);
        tensor.data = data;
        LP_TRY(lp_draft_put(draft, &tensor, err));
        ++*ret_count;
    }
    return LP_OK;
}

/* A tensor's first `count` entries. */
static enum lp_code shorten(struct lp_draft *draft, const json_t *object, const char *key, uint64_t count,
                            struct lp_error *err)
{
    const char *name = json_string_value(json_object_get(object, key));
    const struct lp_tensor *whole = name != NULL ? lp_bundle_tensor(draft->parent, name) : NULL;
    if (whole == NULL) return LP_OK; /* vector leaves have no outputs */
    struct lp_tensor tensor = *whole;
    uint64_t width = tensor.dims[0] > 0 ? tensor.count / tensor.dims[0] : 0;
    tensor.dims[0] = count;
    tensor.count = count * width;
    return lp_draft_put(draft, &tensor, err);
}

enum lp_code lp_shrink_trees(struct lp_draft *draft, uint32_t index, uint32_t keep, struct lp_error *err)
{
    static const char *const node_keys[] = {"column", "threshold", "left", "right", "flags", "index"};
    const struct lp_trees *trees = draft->parent->ops[index].trees;
    json_t *op = json_array_get(draft->graph, index);
    uint32_t nodes = keep < trees->tree_count ? trees->root[keep] : trees->node_count, leaves = 0;
    for (uint32_t n = 0; n < nodes; n++)
        if (trees->column[n] == LP_TREES_LEAF && trees->index[n] >= leaves) leaves = trees->index[n] + 1;
    for (size_t i = 0; i < sizeof node_keys / sizeof *node_keys; i++)
        LP_TRY(shorten(draft, json_object_get(op, "nodes"), node_keys[i], nodes, err));
    LP_TRY(shorten(draft, json_object_get(op, "trees"), "root", keep, err));
    LP_TRY(shorten(draft, json_object_get(op, "trees"), "output", keep, err));
    const json_t *values = json_object_get(op, "leaves");
    if (json_object_get(values, "linear") == NULL) LP_TRY(shorten(draft, values, "value", leaves, err));
    if (trees->divisor != 1)
        json_object_set_new(op, "divisor", json_real(fmax(1, trees->divisor * keep / trees->tree_count)));
    return LP_OK;
}
