/*
 * An interpreter that computes a graph one op at a time in double, each value in memory of its own: what a plan's
 * fusion, views and shared arena must not change.
 */
#ifndef TEST_NAIVE_RUN_H
#define TEST_NAIVE_RUN_H

#include "infer/infer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAIVE_OPS_MAX = 16,
    NAIVE_INPUTS_MAX = 3,
    NAIVE_WIDTH_MAX = 256,
    NAIVE_COLUMNS_MAX = 32,
    NAIVE_ROWS_MAX = 70,
    NAIVE_WEIGHTS = NAIVE_WIDTH_MAX * NAIVE_WIDTH_MAX,
    NAIVE_TABLE_ROWS = 5,
};

struct naive_graph {
    struct lp_bundle bundle;
    struct lp_feature features[NAIVE_COLUMNS_MAX];
    struct lp_op ops[NAIVE_OPS_MAX];
    uint32_t inputs[NAIVE_OPS_MAX][NAIVE_INPUTS_MAX];
    struct lp_tensor tensors[NAIVE_OPS_MAX][3];
    char names[NAIVE_OPS_MAX][8];
    float weights[NAIVE_WEIGHTS];   /* of every op: from its number on */
    uint16_t halves[NAIVE_WEIGHTS]; /* the same as bfloat16 */
    int8_t bytes[NAIVE_WEIGHTS];
    int32_t indices[NAIVE_OPS_MAX][4];
    double keys[NAIVE_TABLE_ROWS];
    uint32_t row_count;
    double rows[NAIVE_ROWS_MAX * NAIVE_COLUMNS_MAX];
    double *values[NAIVE_OPS_MAX + 1]; /* [row_count][width], owned */
};

static inline struct lp_shape naive_shape(const struct naive_graph *g, uint32_t value)
{
    return value > 0 ? g->ops[value - 1].shape : (struct lp_shape){1, {g->bundle.column_count}};
}

static inline uint32_t naive_count(const struct lp_shape *shape) { return (uint32_t)lp_shape_count(shape); }

static inline double naive_activate(const struct lp_op *op, double x, double slope)
{
    switch (op->activation) {
    case LP_ACTIVATION_RELU: return x < 0 ? 0 : x;
    case LP_ACTIVATION_LEAKY_RELU: return x < 0 ? op->alpha * x : x;
    case LP_ACTIVATION_PRELU: return x < 0 ? slope * x : x;
    case LP_ACTIVATION_TANH: return tanh(x);
    case LP_ACTIVATION_SIGMOID: return 1 / (1 + exp(-x));
    case LP_ACTIVATION_CLIP: return fmin(fmax(x, op->low), op->high);
    case LP_ACTIVATION_HARD_SILU: return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case LP_ACTIVATION_ABS: return fabs(x);
    case LP_ACTIVATION_NEG: return -x;
    default: return x;
    }
}

/* Offset of output element `i` in an operand that broadcasts. */
static inline size_t naive_broadcast(const struct lp_shape *operand, const struct lp_shape *out, size_t i)
{
    size_t offset = 0, step = 1;
    for (uint32_t k = 0; k < out->rank; k++) {
        size_t dim = out->dims[out->rank - 1 - k], at = i % dim;
        uint32_t own = k < operand->rank ? operand->dims[operand->rank - 1 - k] : 1;
        if (own > 1) offset += at * step;
        step *= own;
        i /= dim;
    }
    return offset;
}

static inline double naive_binary(enum lp_op_kind kind, double a, double b)
{
    switch (kind) {
    case LP_OP_ADD: return a + b;
    case LP_OP_SUB: return a - b;
    case LP_OP_MUL: return a * b;
    case LP_OP_DIV: return a / b;
    case LP_OP_MIN: return a < b ? a : b;
    case LP_OP_MAX: return a > b ? a : b;
    default: return pow(a, b);
    }
}

static inline uint32_t naive_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float naive_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* To bfloat16: nearest, halves to even. */
static inline double naive_bf16(double x)
{
    uint32_t bits = naive_bits((float)x);
    return isnan(x) ? x : (double)naive_float((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u);
}

/* What an int8 layer makes of its row: (q - z) s, q = clamp(rne(x / s) + z, 0, 255) with s and z of the row. */
static inline void naive_quantize(const double *x, uint32_t count, double *to)
{
    double low = 0, high = 0;
    bool nan = false;
    for (uint32_t k = 0; k < count; k++) {
        low = fmin(low, (double)(float)x[k]);
        high = fmax(high, (double)(float)x[k]);
        nan = nan || isnan(x[k]);
    }
    float scale = high > low ? (float)(high - low) / 255 : 1;
    double zero = fmin(nearbyint(-low / (double)scale), 255);
    for (uint32_t k = 0; k < count; k++) {
        double q = nearbyint((double)((float)x[k] / scale)) + zero;
        to[k] = nan ? NAN : (fmin(fmax(q, 0), 255) - zero) * (double)scale;
    }
}

static inline double naive_weight(const struct lp_op *op, size_t i)
{
    const void *data = op->weight->data;
    if (op->weight->dtype == LP_DTYPE_BF16) return (double)naive_float((uint32_t)((const uint16_t *)data)[i] << 16);
    if (op->weight->dtype == LP_DTYPE_I8)
        return ((const int8_t *)data)[i] *
               (double)((const float *)op->scale->data)[op->scale->count > 1 ? i % op->scale->count : 0];
    return (double)((const float *)data)[i];
}

static inline void naive_dense(const struct lp_op *op, const double *x, double *y)
{
    double inputs[NAIVE_WIDTH_MAX];
    uint32_t in = op->in.dims[op->in.rank - 1], out = op->shape.dims[op->shape.rank - 1];
    for (uint32_t g = 0; g < op->in_width / in; g++) {
        for (uint32_t k = 0; k < in; k++)
            inputs[k] = op->weight->dtype == LP_DTYPE_BF16 ? naive_bf16(x[g * in + k]) : x[g * in + k];
        if (op->weight->dtype == LP_DTYPE_I8) naive_quantize(x + g * in, in, inputs);
        for (uint32_t n = 0; n < out; n++) {
            double sum = op->bias != NULL ? (double)((const float *)op->bias->data)[n] : 0;
            for (uint32_t k = 0; k < in; k++) sum += inputs[k] * naive_weight(op, (size_t)k * out + n);
            y[g * out + n] = naive_activate(op, sum, 0);
        }
    }
}

static inline void naive_matmul(const struct lp_op *op, const struct lp_shape *b_shape, const double *a,
                                const double *b, double *y)
{
    uint32_t rank = op->shape.rank, m = op->shape.dims[rank - 2], n = op->shape.dims[rank - 1];
    uint32_t k_count = op->in.dims[op->in.rank - 1];
    struct lp_shape lead = op->shape, lead_a = op->in, lead_b = *b_shape;
    lead.rank -= 2;
    lead_a.rank -= 2;
    lead_b.rank -= 2;
    for (uint32_t i = 0; i < op->out_width; i++) {
        uint32_t batch = i / (m * n), row = i / n % m, column = i % n;
        const double *left = a + naive_broadcast(&lead_a, &lead, batch) * m * k_count + row * k_count;
        const double *right = b + naive_broadcast(&lead_b, &lead, batch) * k_count * n;
        y[i] = 0;
        for (uint32_t k = 0; k < k_count; k++)
            y[i] += left[k] * (op->transpose ? right[column * k_count + k] : right[k * n + column]);
    }
}

static inline void naive_softmax(const struct lp_op *op, const double *x, double *y)
{
    size_t inner = lp_shape_after(&op->in, op->axis), count = op->in.dims[op->axis];
    for (size_t i = 0; i < op->in_width / count; i++) {
        size_t at = i / inner * inner * count + i % inner;
        double max = -INFINITY, sum = 0;
        for (size_t k = 0; k < count; k++) max = fmax(max, x[at + k * inner]);
        for (size_t k = 0; k < count; k++) sum += exp(x[at + k * inner] - max);
        for (size_t k = 0; k < count; k++) {
            double shifted = x[at + k * inner] - max;
            y[at + k * inner] = op->kind == LP_OP_SOFTMAX ? exp(shifted) / sum : shifted - log(sum);
        }
    }
}

static inline void naive_norm(const struct lp_op *op, const double *x, double *y)
{
    size_t width = op->in_width / lp_shape_before(&op->in, op->axis);
    for (size_t at = 0; at < op->in_width; at += width) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < width; i++) mean += x[at + i] / (double)width;
        for (size_t i = 0; i < width; i++) variance += (x[at + i] - mean) * (x[at + i] - mean) / (double)width;
        for (size_t i = 0; i < width; i++)
            y[at + i] = (x[at + i] - mean) / sqrt(variance + op->epsilon) *
                        (op->weight != NULL ? (double)((const float *)op->weight->data)[i] : 1);
    }
}

/* Index of element `i` of a shape along an axis. */
static inline uint32_t naive_index(const struct lp_shape *shape, size_t i, uint32_t axis)
{
    return (uint32_t)(i / lp_shape_after(shape, axis) % shape->dims[axis]);
}

static inline void naive_reduce(const struct lp_op *op, const double *x, double *y)
{
    bool largest = op->reduce == LP_REDUCE_MAX;
    for (uint32_t i = 0; i < op->out_width; i++) y[i] = largest ? -INFINITY : 0;
    for (uint32_t i = 0; i < op->in_width; i++) {
        size_t to = 0;
        for (uint32_t axis = 0; axis < op->in.rank; axis++)
            if ((op->axes >> axis & 1) == 0) to = to * op->in.dims[axis] + naive_index(&op->in, i, axis);
        y[to] = largest ? fmax(y[to], x[i]) : y[to] + (op->reduce == LP_REDUCE_L2 ? x[i] * x[i] : x[i]);
    }
    for (uint32_t i = 0; i < op->out_width; i++) {
        if (op->reduce == LP_REDUCE_MEAN) y[i] /= op->in_width / op->out_width;
        if (op->reduce == LP_REDUCE_L2) y[i] = sqrt(y[i]);
    }
}

static inline void naive_transpose(const struct lp_op *op, const double *x, double *y)
{
    for (uint32_t i = 0; i < op->out_width; i++) {
        size_t from = 0;
        for (uint32_t axis = 0; axis < op->in.rank; axis++)
            from += naive_index(&op->shape, i, axis) * lp_shape_after(&op->in, op->perm[axis]);
        y[i] = x[from];
    }
}

static inline void naive_pick(const struct lp_op *op, const double *x, double *y)
{
    size_t inner = lp_shape_after(&op->in, op->axis), dim = op->in.dims[op->axis];
    bool slices = op->kind == LP_OP_SLICE;
    size_t kept = slices ? op->shape.dims[op->axis] : op->indices->count;
    for (size_t i = 0; i < op->out_width; i++) {
        size_t k = i / inner % kept;
        size_t index = slices ? op->start + k * op->step : (size_t)((const int32_t *)op->indices->data)[k];
        y[i] = x[(i / inner / kept * dim + index) * inner + i % inner];
    }
}

static inline double naive_window(const struct lp_op *op, const double *x, uint32_t c, uint32_t y0, uint32_t x0)
{
    const struct lp_window *w = &op->window;
    uint32_t height = op->in.dims[1], width = op->in.dims[2];
    double all = op->kind == LP_OP_POOL && !w->average ? -INFINITY : 0;
    uint32_t inside = 0, filters = op->kind == LP_OP_CONV2D ? op->in.dims[0] / w->group : 1;
    uint32_t first = op->kind == LP_OP_CONV2D ? c / (op->shape.dims[0] / w->group) * filters : c;
    for (uint32_t f = 0; f < filters; f++)
        for (uint32_t i = 0; i < w->kernel[0]; i++)
            for (uint32_t j = 0; j < w->kernel[1]; j++) {
                int64_t row = (int64_t)y0 * w->strides[0] + i * w->dilations[0] - w->pads[0];
                int64_t column = (int64_t)x0 * w->strides[1] + j * w->dilations[1] - w->pads[1];
                if (row < 0 || row >= height || column < 0 || column >= width) continue;
                double value = x[((size_t)(first + f) * height + (size_t)row) * width + (size_t)column];
                size_t at = (((size_t)c * filters + f) * w->kernel[0] + i) * w->kernel[1] + j;
                inside++;
                if (op->kind == LP_OP_CONV2D) all += value * (double)((const float *)op->weight->data)[at];
                else all = w->average ? all + value : fmax(all, value);
            }
    return op->kind == LP_OP_POOL && w->average ? all / inside : all;
}

static inline void naive_image(const struct lp_op *op, const double *x, double *y)
{
    for (uint32_t i = 0; i < op->out_width; i++)
        y[i] = naive_activate(op,
                              naive_window(op, x, naive_index(&op->shape, i, 0), naive_index(&op->shape, i, 1),
                                           naive_index(&op->shape, i, 2)),
                              0);
}

static inline void naive_embedding(const struct lp_op *op, const double *x, double *y)
{
    uint32_t width = (uint32_t)op->weight->dims[1], rows = (uint32_t)op->weight->dims[0];
    const float *table = op->weight->data;
    for (uint32_t i = 0; i < op->out_width; i++) y[i] = 0;
    for (uint32_t k = 0; k < op->in_width; k++) {
        bool good = x[k] >= 0 && x[k] < rows && x[k] == floor(x[k]);
        for (uint32_t i = 0; i < width; i++) {
            double value = good ? (double)table[(size_t)x[k] * width + i] : (double)NAN;
            if (op->bag == LP_BAG_NONE) y[k * width + i] = value;
            else y[i] += value / (op->bag == LP_BAG_MEAN ? op->in_width : 1);
        }
    }
}

static inline void naive_concat(const struct naive_graph *g, const struct lp_op *op, uint32_t row, double *y)
{
    size_t inner = lp_shape_after(&op->shape, op->axis);
    for (size_t i = 0; i < op->out_width; i++) {
        size_t along = i / inner % op->shape.dims[op->axis], outer = i / inner / op->shape.dims[op->axis];
        uint32_t k = 0;
        struct lp_shape part = naive_shape(g, op->inputs[0]);
        while (along >= part.dims[op->axis]) {
            along -= part.dims[op->axis];
            part = naive_shape(g, op->inputs[++k]);
        }
        const double *x = g->values[op->inputs[k]] + (size_t)row * naive_count(&part);
        y[i] = x[(outer * part.dims[op->axis] + along) * inner + i % inner];
    }
}

static inline double naive_lookup(const struct lp_op *op, double x)
{
    const float *values = op->constant->data;
    for (uint64_t i = 0; i < op->keys->count; i++)
        if (((const double *)op->keys->data)[i] == x) return (double)values[i];
    return op->filler;
}

static inline void naive_elements(const struct naive_graph *g, const struct lp_op *op, const double *x,
                                  const double *other, double *y)
{
    struct lp_shape b = {1, {1}};
    if (op->input_count == 2) b = naive_shape(g, op->inputs[1]);
    else if (op->constant != NULL)
        b = (struct lp_shape){op->constant->rank, {(uint32_t)op->constant->dims[0], (uint32_t)op->constant->dims[1]}};
    double norm = 0;
    for (uint32_t i = 0; i < op->in_width; i++) norm += fabs(x[i]);
    for (uint32_t i = 0; i < op->out_width; i++) {
        size_t at = naive_broadcast(&b, &op->shape, i);
        double a = op->kind == LP_OP_RESHAPE ? x[i] : x[naive_broadcast(&op->in, &op->shape, i)];
        double z = op->input_count == 2                       ? other[at]
                   : op->constant != NULL && op->keys == NULL ? (double)((const float *)op->constant->data)[at]
                                                              : 0;
        if (op->kind == LP_OP_ACTIVATION) y[i] = naive_activate(op, a, z);
        else if (op->kind == LP_OP_IMPUTE) y[i] = isnan(a) ? z : a;
        else if (op->kind == LP_OP_MAP) y[i] = naive_lookup(op, a);
        else if (op->kind == LP_OP_UNIT) y[i] = norm > 0 ? a / norm : a;
        else if (op->kind == LP_OP_RESHAPE) y[i] = a;
        else y[i] = op->reverse ? naive_binary(op->kind, z, a) : naive_binary(op->kind, a, z);
    }
}

/* One op over every row; its inputs' values are there. */
static inline void naive_run(struct naive_graph *g, uint32_t i)
{
    const struct lp_op *op = &g->ops[i];
    for (uint32_t row = 0; row < g->row_count; row++) {
        const double *x = g->values[op->inputs[0]] + (size_t)row * op->in_width, *other = NULL;
        double *y = g->values[i + 1] + (size_t)row * op->out_width;
        struct lp_shape b = {1, {1}};
        if (op->input_count == 2) {
            b = naive_shape(g, op->inputs[1]);
            other = g->values[op->inputs[1]] + (size_t)row * naive_count(&b);
        }
        switch (op->kind) {
        case LP_OP_DENSE: naive_dense(op, x, y); break;
        case LP_OP_MATMUL: naive_matmul(op, &b, x, other, y); break;
        case LP_OP_SOFTMAX:
        case LP_OP_LOG_SOFTMAX: naive_softmax(op, x, y); break;
        case LP_OP_NORM: naive_norm(op, x, y); break;
        case LP_OP_REDUCE: naive_reduce(op, x, y); break;
        case LP_OP_TRANSPOSE: naive_transpose(op, x, y); break;
        case LP_OP_SLICE:
        case LP_OP_GATHER: naive_pick(op, x, y); break;
        case LP_OP_CONV2D:
        case LP_OP_POOL: naive_image(op, x, y); break;
        case LP_OP_EMBEDDING: naive_embedding(op, x, y); break;
        case LP_OP_CONCAT: naive_concat(g, op, row, y); break;
        default: naive_elements(g, op, x, other, y); break;
        }
    }
}

#endif
