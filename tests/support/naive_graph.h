/*
 * Random graphs of every kind of op, and an interpreter that computes them one op at a time in double, each value in
 * memory of its own: what a plan's fusion, views and shared arena must not change. Steps that jump (floor, sign,
 * quantize) are left to the golden bundles: a rounding before them would look like an error.
 */
#ifndef TEST_NAIVE_GRAPH_H
#define TEST_NAIVE_GRAPH_H

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

/* Bytes of a fuzzer, then of a generator. */
struct naive_source {
    const uint8_t *data;
    size_t size;
    uint64_t seed; /* 0: zeros behind the data */
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

static inline uint32_t naive_byte(struct naive_source *in)
{
    if (in->size > 0) {
        in->size--;
        return *in->data++;
    }
    if (in->seed == 0) return 0;
    in->seed ^= in->seed << 13;
    in->seed ^= in->seed >> 7;
    in->seed ^= in->seed << 17;
    return (uint32_t)(in->seed >> 32) & 0xff;
}

static inline struct lp_shape naive_shape(const struct naive_graph *g, uint32_t value)
{
    return value > 0 ? g->ops[value - 1].shape : (struct lp_shape){1, {g->bundle.column_count}};
}

static inline uint32_t naive_count(const struct lp_shape *shape) { return (uint32_t)lp_shape_count(shape); }

/* --- the interpreter ---------------------------------------------------------------------------------------------- */

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

/* --- the generator ------------------------------------------------------------------------------------------------ */

static inline const struct lp_tensor *naive_tensor(struct naive_graph *g, uint32_t op, uint32_t which, uint32_t rank,
                                                   const uint64_t *dims)
{
    struct lp_tensor *tensor = &g->tensors[op][which];
    *tensor = (struct lp_tensor){.name = "t", .dtype = LP_DTYPE_F32, .rank = rank, .count = 1};
    for (uint32_t i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
        tensor->count *= dims[i];
    }
    tensor->data = g->weights + op * 3 + which;
    return tensor;
}
#define NAIVE_DIMS(...) ((const uint64_t[]){__VA_ARGS__})

/* Another value of the same shape, or the same one. */
static inline uint32_t naive_like(struct naive_source *in, const struct naive_graph *g, uint32_t count, uint32_t value)
{
    struct lp_shape want = naive_shape(g, value);
    uint32_t from = naive_byte(in) % count;
    for (uint32_t i = 0; i < count; i++) {
        struct lp_shape got = naive_shape(g, (from + i) % count);
        if (memcmp(&got, &want, sizeof got) == 0) return (from + i) % count;
    }
    return value;
}

static inline void naive_make_activation(struct naive_source *in, struct naive_graph *g, uint32_t i, struct lp_op *op)
{
    static const enum lp_activation kinds[] = {LP_ACTIVATION_NONE,      LP_ACTIVATION_RELU,    LP_ACTIVATION_LEAKY_RELU,
                                               LP_ACTIVATION_TANH,      LP_ACTIVATION_SIGMOID, LP_ACTIVATION_CLIP,
                                               LP_ACTIVATION_HARD_SILU, LP_ACTIVATION_ABS,     LP_ACTIVATION_NEG,
                                               LP_ACTIVATION_PRELU};
    bool layer = op->kind != LP_OP_ACTIVATION;
    op->activation = kinds[naive_byte(in) % (layer ? 9 : 10)];
    op->alpha = 0.25;
    op->low = -0.5;
    op->high = INFINITY;
    if (op->activation == LP_ACTIVATION_PRELU)
        op->constant = naive_tensor(g, i, 2, 1, NAIVE_DIMS(op->in.dims[op->in.rank - 1]));
}

static inline void naive_make_binary(struct naive_source *in, struct naive_graph *g, uint32_t i, struct lp_op *op)
{
    uint32_t last = op->in.dims[op->in.rank - 1], way = naive_byte(in) % 4;
    if (way == 0) {
        g->inputs[i][1] = naive_like(in, g, i + 1, op->inputs[0]);
        op->input_count = 2;
    } else if (way == 1 && op->in.rank == 1 && op->in_width * op->in_width <= NAIVE_WIDTH_MAX) {
        /* [n] with [n, 1], made by a reshape before: look for one. */
        for (uint32_t v = 1; v <= i; v++)
            if (g->ops[v - 1].shape.rank == 2 && g->ops[v - 1].shape.dims[1] == 1) g->inputs[i][1] = v;
        op->input_count = g->inputs[i][1] > 0 ? 2 : 1;
    }
    if (op->input_count == 2) {
        struct lp_shape b = naive_shape(g, g->inputs[i][1]);
        if (b.rank == 2 && b.dims[1] == 1 && op->in.rank == 1) op->shape = (struct lp_shape){2, {b.dims[0], last}};
        return;
    }
    op->reverse = naive_byte(in) % 2;
    op->constant = way == 2 ? naive_tensor(g, i, 2, 1, NAIVE_DIMS(1)) : naive_tensor(g, i, 2, 1, NAIVE_DIMS(last));
}

static inline void naive_make_layout(struct naive_source *in, struct naive_graph *g, uint32_t i, struct lp_op *op)
{
    struct lp_shape *out = &op->shape;
    uint32_t n = op->in_width;
    op->axis = naive_byte(in) % op->in.rank;
    uint32_t dim = op->in.dims[op->axis];
    if (op->kind == LP_OP_SLICE) {
        op->start = naive_byte(in) % dim;
        op->end = op->start + 1 + naive_byte(in) % (dim - op->start);
        op->step = 1 + naive_byte(in) % 2;
        out->dims[op->axis] = (op->end - op->start + op->step - 1) / op->step;
    } else if (op->kind == LP_OP_GATHER) {
        uint32_t count = 1 + naive_byte(in) % 3;
        for (uint32_t k = 0; k < count; k++) g->indices[i][k] = (int32_t)(naive_byte(in) % dim);
        op->indices = naive_tensor(g, i, 0, 1, NAIVE_DIMS(count));
        g->tensors[i][0].dtype = LP_DTYPE_I32;
        g->tensors[i][0].data = g->indices[i];
        out->dims[op->axis] = count;
    } else if (op->kind == LP_OP_RESHAPE) {
        uint32_t by = 2 + naive_byte(in) % 4;
        uint32_t way = naive_byte(in) % 4;
        if (way == 0) *out = (struct lp_shape){1, {n}};
        else if (way == 1) *out = (struct lp_shape){2, {n, 1}};
        else if (n % by == 0 && n / by % by == 0) *out = (struct lp_shape){3, {by, n / by / by, by}};
        else if (n % by == 0) *out = (struct lp_shape){3, {1, by, n / by}};
    } else if (op->kind == LP_OP_TRANSPOSE) {
        for (uint32_t k = 0; k < op->in.rank; k++) op->perm[k] = (k + op->axis) % op->in.rank;
        for (uint32_t k = 0; k < op->in.rank; k++) out->dims[k] = op->in.dims[op->perm[k]];
    } else { /* concat */
        op->input_count = 2 + naive_byte(in) % 2;
        for (uint32_t k = 1; k < op->input_count; k++) g->inputs[i][k] = naive_like(in, g, i + 1, op->inputs[0]);
        out->dims[op->axis] *= op->input_count;
    }
}

static inline bool naive_make_image(struct naive_source *in, struct naive_graph *g, uint32_t i, struct lp_op *op)
{
    struct lp_window *w = &op->window;
    if (op->in.rank != 3) return false;
    *w = (struct lp_window){.strides = {1 + naive_byte(in) % 2, 1}, .dilations = {1, 1}, .group = 1};
    for (int k = 0; k < 2; k++) w->kernel[k] = 1 + naive_byte(in) % (op->in.dims[1 + k] < 3 ? op->in.dims[1 + k] : 3);
    if (w->kernel[0] > 1) w->pads[0] = w->pads[2] = naive_byte(in) % 2;
    w->average = naive_byte(in) % 2;
    op->shape.dims[1] = (op->in.dims[1] + 2 * w->pads[0] - w->kernel[0]) / w->strides[0] + 1;
    op->shape.dims[2] = op->in.dims[2] - w->kernel[1] + 1;
    if (op->kind == LP_OP_POOL) return true;
    if (naive_byte(in) % 2) w->group = op->in.dims[0];
    op->shape.dims[0] = w->group * (1 + naive_byte(in) % 2);
    op->weight =
        naive_tensor(g, i, 0, 4, NAIVE_DIMS(op->shape.dims[0], op->in.dims[0] / w->group, w->kernel[0], w->kernel[1]));
    naive_make_activation(in, g, i, op);
    return true;
}

/* Elements of the row, moved only: what compares for equality must not read what was rounded. */
static inline bool naive_is_row(const struct naive_graph *g, uint32_t value)
{
    while (value > 0 && g->ops[value - 1].kind >= LP_OP_SLICE && g->ops[value - 1].kind <= LP_OP_TRANSPOSE)
        value = g->ops[value - 1].inputs[0];
    return value == 0;
}

/* Weights of fewer bits round the input: to what, must not hang on a rounding before. */
static inline void naive_make_dtype(struct naive_source *in, struct naive_graph *g, uint32_t i, struct lp_op *op)
{
    struct lp_tensor *weight = &g->tensors[i][0];
    uint32_t way = naive_byte(in) % 4;
    if (way > 1 || !naive_is_row(g, op->inputs[0])) return;
    weight->dtype = way == 0 ? LP_DTYPE_BF16 : LP_DTYPE_I8;
    weight->data = way == 0 ? (const void *)(g->halves + i * 3) : (const void *)(g->bytes + i * 3);
    if (way == 1) op->scale = naive_tensor(g, i, 2, 1, NAIVE_DIMS(naive_byte(in) % 2 ? 1 : weight->dims[1]));
}

static inline bool naive_make_rest(struct naive_source *in, struct naive_graph *g, uint32_t i, struct lp_op *op)
{
    uint32_t last = op->in.rank - 1;
    switch (op->kind) {
    case LP_OP_DENSE:
        op->shape.dims[last] = 1 + naive_byte(in) % 40;
        op->weight = naive_tensor(g, i, 0, 2, NAIVE_DIMS(op->in.dims[last], op->shape.dims[last]));
        if (naive_byte(in) % 2) op->bias = naive_tensor(g, i, 1, 1, NAIVE_DIMS(op->shape.dims[last]));
        naive_make_dtype(in, g, i, op);
        naive_make_activation(in, g, i, op);
        return true;
    case LP_OP_MATMUL:
        if (op->in.rank < 2) return false;
        op->transpose = true;
        op->input_count = 2;
        g->inputs[i][1] = naive_like(in, g, i + 1, op->inputs[0]);
        op->shape.dims[last] = op->in.dims[last - 1];
        return true;
    case LP_OP_SOFTMAX:
    case LP_OP_LOG_SOFTMAX: op->axis = naive_byte(in) % op->in.rank; return true;
    case LP_OP_NORM:
        op->axis = naive_byte(in) % op->in.rank;
        op->epsilon = 0.1;
        if (naive_byte(in) % 2)
            op->weight = naive_tensor(g, i, 0, 1, NAIVE_DIMS(op->in_width / lp_shape_before(&op->in, op->axis)));
        return true;
    case LP_OP_REDUCE: {
        static const enum lp_reduce functions[] = {LP_REDUCE_SUM, LP_REDUCE_MEAN, LP_REDUCE_MAX, LP_REDUCE_L2};
        op->reduce = functions[naive_byte(in) % 4];
        op->axes = 1 + naive_byte(in) % ((1u << op->in.rank) - 1);
        op->shape = (struct lp_shape){.rank = 0};
        for (uint32_t k = 0; k < op->in.rank; k++)
            if ((op->axes >> k & 1) == 0) op->shape.dims[op->shape.rank++] = op->in.dims[k];
        if (op->shape.rank == 0) op->shape = (struct lp_shape){1, {1}};
        return true;
    }
    case LP_OP_EMBEDDING: {
        uint32_t width = 1 + naive_byte(in) % 8;
        if (op->in.rank != 1 || !naive_is_row(g, op->inputs[0])) return false;
        op->bag = naive_byte(in) % 2 ? LP_BAG_NONE : LP_BAG_MEAN;
        op->padding_index = -1;
        op->weight = naive_tensor(g, i, 0, 2, NAIVE_DIMS(NAIVE_TABLE_ROWS, width));
        op->shape =
            op->bag == LP_BAG_NONE ? (struct lp_shape){2, {op->in_width, width}} : (struct lp_shape){1, {width}};
        return true;
    }
    case LP_OP_MAP:
        if (!naive_is_row(g, op->inputs[0])) return false;
        op->keys = naive_tensor(g, i, 0, 1, NAIVE_DIMS(NAIVE_TABLE_ROWS));
        g->tensors[i][0].dtype = LP_DTYPE_F64;
        g->tensors[i][0].data = g->keys;
        op->constant = naive_tensor(g, i, 1, 1, NAIVE_DIMS(NAIVE_TABLE_ROWS));
        op->filler = -0.5;
        return true;
    case LP_OP_IMPUTE:
        op->filler = NAN;
        op->constant = naive_tensor(g, i, 2, 1, NAIVE_DIMS(op->in.dims[last]));
        return true;
    case LP_OP_UNIT: return op->in.rank == 1;
    default: return false;
    }
}

static inline bool naive_make(struct naive_source *in, struct naive_graph *g, uint32_t i, enum lp_op_kind kind,
                              uint32_t value)
{
    struct lp_op *op = &g->ops[i];
    struct lp_shape shape = naive_shape(g, value);
    snprintf(g->names[i], sizeof g->names[i], "v%u", i + 1);
    memset(g->inputs[i], 0, sizeof g->inputs[i]);
    g->inputs[i][0] = value;
    *op = (struct lp_op){.kind = kind,
                         .input = value > 0 ? g->names[value - 1] : "features",
                         .output = g->names[i],
                         .input_count = 1,
                         .inputs = g->inputs[i],
                         .in = shape,
                         .shape = shape,
                         .in_width = naive_count(&shape)};
    if (kind == LP_OP_ACTIVATION) naive_make_activation(in, g, i, op);
    else if (kind >= LP_OP_ADD && kind <= LP_OP_POW) naive_make_binary(in, g, i, op);
    else if (kind >= LP_OP_CONCAT && kind <= LP_OP_TRANSPOSE) naive_make_layout(in, g, i, op);
    else if (kind == LP_OP_CONV2D || kind == LP_OP_POOL) {
        if (!naive_make_image(in, g, i, op)) return false;
    } else if (!naive_make_rest(in, g, i, op)) return false;
    if (lp_shape_count(&op->shape) > NAIVE_WIDTH_MAX) return false;
    op->out_width = naive_count(&op->shape);
    op->work = op->out_width;
    return true;
}

/* Everything small enough that roundings stay far below the tolerance; NaN only of ids that are none. */
static inline bool naive_calm(const struct naive_graph *g, uint32_t i)
{
    const struct lp_op *op = &g->ops[i];
    for (size_t k = 0; k < (size_t)g->row_count * op->out_width; k++)
        if (!(fabs(g->values[i + 1][k]) <= 30)) return false;
    for (size_t k = 0; (op->kind == LP_OP_DIV || op->kind == LP_OP_POW || op->kind == LP_OP_UNIT) &&
                       k < (size_t)g->row_count * op->in_width;
         k++)
        if (!(g->values[op->inputs[0]][k] >= 0.1)) return false;
    return op->input_count < 2 || op->kind != LP_OP_DIV || op->inputs[0] == op->inputs[1];
}

static inline void naive_done(struct naive_graph *g)
{
    for (uint32_t i = 0; i <= NAIVE_OPS_MAX; i++) {
        free(g->values[i]);
        g->values[i] = NULL;
    }
}

/* An op that stays calm; else tanh of the same input. */
static inline void naive_add(struct naive_source *in, struct naive_graph *g, uint32_t i)
{
    uint32_t back = naive_byte(in) % 4,
             value = back < 2 || naive_byte(in) % (i + 1) == i ? i : naive_byte(in) % (i + 1);
    enum lp_op_kind kind = (enum lp_op_kind)(naive_byte(in) % LP_OP_COUNT);
    bool made = naive_make(in, g, i, kind, value);
    for (int turn = 0; turn < 2; turn++) {
        if (made) {
            free(g->values[i + 1]);
            g->values[i + 1] = calloc((size_t)g->row_count * g->ops[i].out_width, sizeof(double));
            if (g->values[i + 1] == NULL) abort();
            naive_run(g, i);
            if (turn == 1 || naive_calm(g, i)) return;
        }
        made = naive_make(in, g, i, LP_OP_ACTIVATION, value);
        g->ops[i].activation = LP_ACTIVATION_TANH;
        g->ops[i].constant = NULL;
    }
}

/* Columns: ids 0 to 4 in every third, else numbers from -1 to 1; every second feature is a candidate's with `items`. */
static inline void naive_graph_make(struct naive_source *in, struct naive_graph *g, bool items)
{
    uint32_t op_count = 1 + naive_byte(in) % NAIVE_OPS_MAX, columns = 1 + naive_byte(in) % NAIVE_COLUMNS_MAX;
    memset(g, 0, sizeof *g);
    g->row_count = 1 + naive_byte(in) % NAIVE_ROWS_MAX;
    g->bundle = (struct lp_bundle){.ops = g->ops, .column_count = columns, .features = g->features};
    g->bundle.feature_count = columns;
    for (uint32_t i = 0; i < columns; i++)
        g->features[i] = (struct lp_feature){
            .name = "f", .from = items && i % 2 ? "items[].f" : "f", .width = 1, .column = i, .column_count = 1};
    for (int i = 0; i < NAIVE_WEIGHTS; i++) g->weights[i] = (float)((i * 31) % 17 - 8) / 20.0f;
    for (int i = 0; i < NAIVE_WEIGHTS; i++) {
        g->halves[i] = (uint16_t)(naive_bits(g->weights[i]) >> 16);
        g->bytes[i] = (int8_t)((i * 31) % 17 - 8);
    }
    for (int i = 0; i < NAIVE_TABLE_ROWS; i++) g->keys[i] = NAIVE_TABLE_ROWS - 1 - i;
    g->values[0] = calloc((size_t)g->row_count * columns, sizeof(double));
    if (g->values[0] == NULL) abort();
    for (uint32_t i = 0; i < g->row_count * columns; i++) {
        bool record = i % columns % 2 == 0;
        uint32_t at = items && record ? i % columns : i; /* a record's columns are the same in every row */
        g->rows[i] = i % columns % 3 == 0 ? (at * 7) % NAIVE_TABLE_ROWS : (double)((at * 37) % 19) / 10.0 - 0.9;
        g->values[0][i] = (double)(float)g->rows[i];
    }
    for (uint32_t i = 0; i < op_count; i++) naive_add(in, g, i);
    g->bundle.op_count = op_count;
    g->bundle.output_count = g->ops[op_count - 1].out_width;
}

/* True when every margin of the plan is the interpreter's; else says on stderr what is not. */
static inline bool naive_same(const struct naive_graph *g, const float *margins)
{
    const double *want = g->values[g->bundle.op_count];
    for (size_t i = 0; i < (size_t)g->row_count * g->bundle.output_count; i++) {
        double got = (double)margins[i];
        bool same = isnan(want[i]) ? isnan(got) : fabs(got - want[i]) <= 2e-3 + 2e-3 * fabs(want[i]);
        if (same) continue;
        fprintf(stderr, "margin %zu is %.9g, not %.9g\n", i, got, want[i]);
        return false;
    }
    return true;
}

#endif
