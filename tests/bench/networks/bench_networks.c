/*
 * Nanoseconds a row of whole networks on one core, from rows of doubles to scores: lepton's plan beside plain OpenBLAS
 * (sgemm with the bias in C, relu, the C library's exp in the link) in the same run, answers compared first.
 *
 *     bench_networks [--quick]
 *
 * Best of several repetitions, the two sides in turn; LEPTON_CPU_DISABLE=avx512 measures the lower levels.
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/cpu.h"
#include "infer/infer.h"

enum { LAYERS_MAX = 5, ROWS_MAX = 1024 };

struct net {
    const char *name;
    uint32_t widths[LAYERS_MAX + 1];
    uint32_t layer_count;
};

static const struct net nets[] = {
    {"10-64-64-1", {10, 64, 64, 1}, 3},
    {"784-32-32-10", {784, 32, 32, 10}, 3},
    {"512-1024-512-256-1", {512, 1024, 512, 256, 1}, 4},
};

/* The same weights in a bundle for lepton and in bare arrays for OpenBLAS. */
struct bench {
    const struct net *net;
    float *weights[LAYERS_MAX], *biases[LAYERS_MAX];
    struct lp_tensor tensors[2 * LAYERS_MAX];
    struct lp_op ops[LAYERS_MAX];
    uint32_t inputs[LAYERS_MAX]; /* op i reads value i */
    struct lp_bundle bundle;
    double *rows;
    float *values[2];
};

static float random_float(void) { return (float)(drand48() - 0.5); }

static void *take(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (p == NULL) abort();
    return p;
}

static void make_layer(struct bench *b, uint32_t i)
{
    static const char *const values[] = {"features", "h1", "h2", "h3", "h4", "h5"};
    uint32_t in = b->net->widths[i], out = b->net->widths[i + 1];
    b->weights[i] = take(sizeof(float) * in * out);
    b->biases[i] = take(sizeof(float) * out);
    for (size_t k = 0; k < (size_t)in * out; k++) b->weights[i][k] = random_float() * 4.0f / sqrtf((float)in);
    for (size_t n = 0; n < out; n++) b->biases[i][n] = random_float();
    b->tensors[2 * i] = (struct lp_tensor){
        .name = "weight", .dtype = LP_DTYPE_F32, .rank = 2, .count = (uint64_t)in * out, .data = b->weights[i]};
    b->tensors[2 * i + 1] =
        (struct lp_tensor){.name = "bias", .dtype = LP_DTYPE_F32, .rank = 1, .count = out, .data = b->biases[i]};
    b->inputs[i] = i;
    b->ops[i] = (struct lp_op){.kind = LP_OP_DENSE,
                               .input = values[i],
                               .input_count = 1,
                               .inputs = &b->inputs[i],
                               .in = {.rank = 1, .dims = {in}},
                               .shape = {.rank = 1, .dims = {out}},
                               .output = values[i + 1],
                               .weight = &b->tensors[2 * i],
                               .bias = &b->tensors[2 * i + 1],
                               .activation = i + 1 < b->net->layer_count ? LP_ACTIVATION_RELU : LP_ACTIVATION_NONE,
                               .in_width = in,
                               .out_width = out};
}

static void make(struct bench *b, const struct net *net)
{
    uint32_t widest = 0, outputs = net->widths[net->layer_count];
    *b = (struct bench){.net = net};
    for (uint32_t i = 0; i < net->layer_count; i++) make_layer(b, i);
    for (uint32_t i = 0; i <= net->layer_count; i++) widest = net->widths[i] > widest ? net->widths[i] : widest;
    b->bundle = (struct lp_bundle){.column_count = net->widths[0],
                                   .op_count = net->layer_count,
                                   .ops = b->ops,
                                   .output_count = outputs,
                                   .link = outputs == 1 ? LP_LINK_SIGMOID : LP_LINK_SOFTMAX};
    b->rows = take(sizeof(double) * ROWS_MAX * net->widths[0]);
    for (size_t i = 0; i < (size_t)ROWS_MAX * net->widths[0]; i++) b->rows[i] = drand48() * 2 - 1;
    for (int i = 0; i < 2; i++) b->values[i] = take(sizeof(float) * ROWS_MAX * widest);
}

static void clear(struct bench *b)
{
    for (uint32_t i = 0; i < b->net->layer_count; i++) {
        free(b->weights[i]);
        free(b->biases[i]);
    }
    free(b->rows);
    free(b->values[0]);
    free(b->values[1]);
}

static void plain_link(const float *margins, uint32_t rows, uint32_t width, float *scores)
{
    for (uint32_t r = 0; r < rows; r++, margins += width, scores += width) {
        float top = margins[0], sum = 0;
        for (uint32_t i = 1; i < width; i++) top = margins[i] > top ? margins[i] : top;
        for (uint32_t i = 0; i < width; i++) sum += scores[i] = expf(margins[i] - top);
        for (uint32_t i = 0; i < width; i++) scores[i] /= sum;
        if (width == 1) scores[0] = 1.0f / (1.0f + expf(-margins[0]));
    }
}

static void plain_openblas(struct bench *b, uint32_t rows, float *scores)
{
    float *x = b->values[0], *y = b->values[1];
    const uint32_t *widths = b->net->widths;
    for (size_t i = 0; i < (size_t)rows * widths[0]; i++) x[i] = (float)b->rows[i];
    for (uint32_t l = 0; l < b->net->layer_count; l++) {
        int in = (int)widths[l], out = (int)widths[l + 1];
        for (uint32_t r = 0; r < rows; r++)
            memcpy(y + (size_t)r * widths[l + 1], b->biases[l], sizeof(float) * widths[l + 1]);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, out, in, 1.0f, x, in, b->weights[l], out,
                    1.0f, y, out);
        size_t count = (size_t)rows * widths[l + 1];
        for (size_t i = 0; l + 1 < b->net->layer_count && i < count; i++) y[i] = y[i] < 0.0f ? 0.0f : y[i];
        float *swap = x;
        x = y;
        y = swap;
    }
    plain_link(x, rows, b->bundle.output_count, scores);
}

static double ours(struct bench *b, struct lp_infer *infer, uint32_t rows, uint32_t calls, float *scores)
{
    uint64_t start = lp_clock_ns();
    for (uint32_t i = 0; i < calls; i++) lp_infer_run(infer, b->rows, rows, NULL, scores);
    return (double)(lp_clock_ns() - start) / calls / rows;
}

static double theirs(struct bench *b, uint32_t rows, uint32_t calls, float *scores)
{
    uint64_t start = lp_clock_ns();
    for (uint32_t i = 0; i < calls; i++) plain_openblas(b, rows, scores);
    return (double)(lp_clock_ns() - start) / calls / rows;
}

static int differ(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-5f)) return 1;
    return 0;
}

static int measure(struct bench *b, const struct lp_plan *plan, uint32_t rows, double budget_ns, int repeats)
{
    struct lp_infer *infer;
    struct lp_error err;
    size_t outputs = (size_t)rows * b->bundle.output_count;
    float *mine = take(sizeof(float) * outputs), *other = take(sizeof(float) * outputs);
    if (lp_infer_new(plan, rows, &infer, &err) != LP_OK) return 1;
    double once = ours(b, infer, rows, 3, mine) * rows, best_ours = 1e99, best_theirs = 1e99;
    theirs(b, rows, 3, other);
    uint32_t calls = (uint32_t)(budget_ns / once) + 1;
    for (int i = 0; i < repeats; i++) {
        best_ours = fmin(best_ours, ours(b, infer, rows, calls, mine));
        best_theirs = fmin(best_theirs, theirs(b, rows, calls, other));
    }
    int failed = differ(mine, other, outputs);
    printf("%-20s %5u %11.1f %11.1f %7.2f%s\n", b->net->name, rows, best_ours, best_theirs, best_theirs / best_ours,
           failed ? "  ANSWERS DIFFER" : "");
    lp_infer_free(infer);
    free(mine);
    free(other);
    return failed;
}

static int run_net(const struct net *net, double budget_ns, int repeats)
{
    static const uint32_t batches[] = {1, 2, 4, 8, 16, 64, 256, 1024};
    struct bench b;
    struct lp_plan *plan;
    struct lp_error err;
    int failed = 0;
    make(&b, net);
    if (lp_plan_new(&b.bundle, &plan, &err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        failed |= measure(&b, plan, batches[i], budget_ns, repeats);
    lp_plan_free(plan);
    clear(&b);
    return failed;
}

int main(int argc, char **argv)
{
    int quick = argc > 1 && strcmp(argv[1], "--quick") == 0, failed = 0;
    struct lp_error err;
    if (lp_infer_setup(&err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("cpu level %s, OpenBLAS %s\n", lp_cpu_level(), openblas_get_corename());
    printf("%-20s %5s %11s %11s %7s\n", "network", "batch", "lepton ns", "OpenBLAS ns", "ratio");
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        failed |= run_net(&nets[i], quick ? 1e5 : 5e6, quick ? 1 : 12);
    return failed;
}
