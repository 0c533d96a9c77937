/*
 * Random graphs of every kind of op for the interpreter of naive_run.h. Steps that jump (floor, sign, quantize) are
 * left to the golden bundles: a rounding before them would look like an error.
 */
#ifndef TEST_NAIVE_GRAPH_H
#define TEST_NAIVE_GRAPH_H

#include "naive_run.h"

/* Bytes of a fuzzer, then of a generator. */
struct naive_source {
    const uint8_t *data;
    size_t size;
    uint64_t seed; /* 0: zeros behind the data */
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
