/*
 * Graphs: ops over named values made from the input, with branches, dead ops and names used again. What the plan's
 * steps and shared buffers give must be what running every op by itself gives.
 */
// stages: infer
#include "infer/infer.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPS_MAX = 12, WIDTH_MAX = 40, ROWS_MAX = 70, WEIGHTS = WIDTH_MAX * WIDTH_MAX };

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t byte(struct input *in)
{
    if (in->size == 0) return 0;
    in->size--;
    return *in->data++;
}

static const char *const names[] = {"features", "a", "b", "c", "d", "nobody"};
/* Activations that a few lines of double arithmetic reproduce. */
static const enum lp_activation kinds[] = {LP_ACTIVATION_NONE, LP_ACTIVATION_RELU, LP_ACTIVATION_LEAKY_RELU,
                                           LP_ACTIVATION_TANH, LP_ACTIVATION_SIGMOID};

static float weights[WEIGHTS], biases[WIDTH_MAX];

static double activate(const struct lp_op *op, double x)
{
    switch (op->activation) {
    case LP_ACTIVATION_RELU: return x < 0 ? 0 : x;
    case LP_ACTIVATION_LEAKY_RELU: return x < 0 ? op->alpha * x : x;
    case LP_ACTIVATION_TANH: return tanh(x);
    case LP_ACTIVATION_SIGMOID: return 1 / (1 + exp(-x));
    default: return x;
    }
}

static void run_op(const struct lp_op *op, const double *x, double *y)
{
    for (uint32_t n = 0; n < op->out_width; n++) {
        double sum = op->kind == LP_OP_ACTIVATION ? x[n] : op->bias != NULL ? (double)biases[n] : 0.0;
        for (uint32_t k = 0; op->kind == LP_OP_DENSE && k < op->in_width; k++)
            sum += x[k] * (double)weights[(size_t)k * op->out_width + n];
        y[n] = activate(op, sum);
    }
}

/* One row through all ops; the value that an op reads is the latest of that name. */
static const double *reference(const struct lp_bundle *bundle, const double *row)
{
    static double values[OPS_MAX + 1][WIDTH_MAX];
    for (uint32_t i = 0; i < bundle->column_count; i++) values[0][i] = (double)(float)row[i];
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        uint32_t from = i;
        while (from > 0 && strcmp(bundle->ops[from - 1].output, bundle->ops[i].input) != 0) from--;
        run_op(&bundle->ops[i], values[from], values[i + 1]);
    }
    return values[bundle->op_count];
}

static void score(const struct lp_bundle *bundle, const struct lp_plan *plan, uint32_t rows)
{
    static double row[ROWS_MAX * WIDTH_MAX];
    static float margins[ROWS_MAX * WIDTH_MAX], scores[ROWS_MAX * WIDTH_MAX];
    struct lp_infer *infer;
    struct lp_error err;
    for (uint32_t i = 0; i < rows * bundle->column_count; i++) row[i] = (double)((i * 37) % 19) / 10.0 - 0.9;
    if (lp_infer_new(plan, rows, &infer, &err) != LP_OK) abort();
    lp_infer_run(infer, row, rows, margins, scores);
    for (uint32_t r = 0; r < rows; r++) {
        const double *want = reference(bundle, row + r * bundle->column_count);
        for (uint32_t i = 0; i < bundle->output_count; i++) {
            double got = (double)margins[r * bundle->output_count + i];
            if (!(fabs(got - want[i]) <= 1e-3 + 1e-3 * fabs(want[i]))) abort();
        }
    }
    lp_infer_free(infer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct lp_op ops[OPS_MAX];
    struct lp_tensor tensors[OPS_MAX], bias[OPS_MAX];
    struct lp_bundle bundle = {
        .ops = ops, .op_count = byte(&in) % (OPS_MAX + 1), .column_count = byte(&in) % WIDTH_MAX + 1};
    struct lp_plan *plan;
    struct lp_error err;
    uint32_t rows = byte(&in) % ROWS_MAX + 1;
    for (int i = 0; i < WEIGHTS; i++) weights[i] = (float)((i * 31) % 17 - 8) / 40.0f;
    for (int i = 0; i < WIDTH_MAX; i++) biases[i] = (float)(i % 5 - 2) / 10.0f;
    for (uint32_t i = 0; i < bundle.op_count; i++) {
        uint8_t shape = byte(&in), name = byte(&in), act = byte(&in);
        struct lp_op *op = &ops[i];
        *op = (struct lp_op){.kind = shape & 1 ? LP_OP_ACTIVATION : LP_OP_DENSE, .alpha = 0.25};
        op->input = names[name % 6];
        op->output = names[1 + name / 6 % 4];
        op->activation = kinds[act % 5];
        uint32_t from = i;
        while (from > 0 && strcmp(ops[from - 1].output, op->input) != 0) from--;
        op->in_width = from > 0 ? ops[from - 1].out_width : bundle.column_count;
        op->out_width = op->kind == LP_OP_ACTIVATION ? op->in_width : shape / 2u % WIDTH_MAX + 1u;
        tensors[i] = (struct lp_tensor){
            .name = "w", .dtype = LP_DTYPE_F32, .count = (uint64_t)op->in_width * op->out_width, .data = weights};
        bias[i] = (struct lp_tensor){.name = "b", .dtype = LP_DTYPE_F32, .count = op->out_width, .data = biases};
        if (op->kind == LP_OP_DENSE) op->weight = &tensors[i];
        if (op->kind == LP_OP_DENSE && act & 128) op->bias = &bias[i];
    }
    if (bundle.op_count > 0) bundle.output_count = ops[bundle.op_count - 1].out_width;
    if (lp_plan_new(&bundle, &plan, &err) != LP_OK) return 0;
    score(&bundle, plan, rows);
    lp_plan_free(plan);
    return 0;
}
