/*
 * lepton itself: a bundle's plan, as a worker runs it (rows of doubles), and its dense kernels one after the other in
 * the three precisions; int8 with scales of the rows (static) and of each row (dynamic). OpenBLAS beside them: sgemm
 * with the bias in C, relu after it.
 */
#include "rivals.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "infer/infer.h"
#include "kernels/dense/dense.h"
#include "kernels/dense_bf16/dense_bf16.h"
#include "kernels/dense_i8/dense_i8.h"

static void run_plan(struct engine *engine, uint32_t rows, float *y)
{
    static float scores[ROWS_MAX * 64];
    lp_infer_run(engine->state, engine->net->double_rows, rows, y, scores);
}

static uint32_t add_bundle(const struct net *net, const char *folder, const char *name, const char *suffix,
                           const char *title, double tolerance, struct engine *ret_engine)
{
    char path[1024];
    struct lp_bundle *bundle;
    struct lp_plan *plan;
    struct lp_infer *infer = NULL;
    struct lp_error err;
    snprintf(path, sizeof path, "%s/%s%s.bundle", folder, name, suffix);
    if (access(path, R_OK) != 0) return 0;
    if (lp_bundle_load(path, 1u << 30, &bundle, &err) != LP_OK || lp_plan_new(bundle, &plan, &err) != LP_OK ||
        lp_infer_new(plan, ROWS_MAX, &infer, &err) != LP_OK)
        fail(path, err.text);
    *ret_engine = (struct engine){title, tolerance, run_plan, net, infer, {0}, {0}};
    return 1;
}

/* Two buffers in turn, wide enough for every layer; the last layer writes the answers. */
struct chain {
    float *values[2];
    void *scratch;
    struct lp_dense_layer f32[LAYERS_MAX];
    struct lp_dense_i8_layer i8[LAYERS_MAX];
    struct lp_dense_bf16_layer bf16[LAYERS_MAX];
    const struct lp_dense_kernel *f32_kernel;
    const struct lp_dense_i8_kernel *i8_kernel;
    const struct lp_dense_bf16_kernel *bf16_kernel;
};

static struct chain *chain_of(const struct net *net)
{
    struct chain *c = take(sizeof *c);
    uint32_t widest = 0;
    for (uint32_t i = 0; i <= net->layer_count; i++) widest = net->widths[i] > widest ? net->widths[i] : widest;
    for (int i = 0; i < 2; i++) c->values[i] = take(sizeof(float) * ROWS_MAX * widest);
    c->scratch = take((sizeof(float) * widest + 256) * ROWS_MAX + 4096);
    return c;
}

#define CHAIN(name, layers, call)                                         \
    static void name(struct engine *engine, uint32_t rows, float *y)      \
    {                                                                     \
        const struct net *net = engine->net;                              \
        struct chain *c = engine->state;                                  \
        const float *x = net->rows;                                       \
        for (uint32_t i = 0; i < net->layer_count; i++) {                 \
            float *to = i + 1 == net->layer_count ? y : c->values[i % 2]; \
            call;                                                         \
            x = to;                                                       \
        }                                                                 \
    }
CHAIN(run_f32, f32, c->f32_kernel->run(&c->f32[i], x, rows, to))
CHAIN(run_i8, i8, c->i8_kernel->run(&c->i8[i], x, rows, to, c->scratch))
CHAIN(run_bf16, bf16, c->bf16_kernel->run(&c->bf16[i], x, rows, to, c->scratch))

static struct chain *make_f32(const struct net *net)
{
    struct chain *c = chain_of(net);
    c->f32_kernel = lp_dense_select(lp_cpu_get());
    for (uint32_t i = 0; i < net->layer_count; i++) {
        uint32_t in = net->widths[i], out = net->widths[i + 1];
        float *packed = take(c->f32_kernel->packed_floats(in, out) * sizeof(float));
        c->f32_kernel->pack(net->weights[i], net->biases[i], in, out, packed);
        c->f32[i] = (struct lp_dense_layer){
            .packed = packed, .in_width = in, .out_width = out, .relu = i + 1 < net->layer_count};
    }
    return c;
}

static struct chain *make_bf16(const struct net *net)
{
    struct chain *c = chain_of(net);
    c->bf16_kernel = lp_dense_bf16_select(lp_cpu_get());
    for (uint32_t i = 0; i < net->layer_count; i++) {
        uint32_t in = net->widths[i], out = net->widths[i + 1];
        uint16_t *halves = take(sizeof *halves * in * out);
        for (size_t k = 0; k < (size_t)in * out; k++) {
            uint32_t bits;
            memcpy(&bits, &net->weights[i][k], sizeof bits);
            halves[k] = (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
        }
        void *packed = take(c->bf16_kernel->packed_bytes(in, out));
        c->bf16_kernel->pack(halves, net->biases[i], in, out, packed);
        c->bf16[i] = (struct lp_dense_bf16_layer){
            .packed = packed, .in_width = in, .out_width = out, .relu = i + 1 < net->layer_count};
    }
    return c;
}

static void quantize_weights(const struct net *net, uint32_t layer, int8_t *to, float *scales)
{
    uint32_t in = net->widths[layer], out = net->widths[layer + 1];
    for (uint32_t n = 0; n < out; n++) {
        float largest = 1e-20f;
        for (uint32_t k = 0; k < in; k++) largest = fmaxf(largest, fabsf(net->weights[layer][(size_t)k * out + n]));
        scales[n] = largest / 127.0f;
        for (uint32_t k = 0; k < in; k++)
            to[(size_t)k * out + n] = (int8_t)rintf(net->weights[layer][(size_t)k * out + n] / scales[n]);
    }
}

static struct chain *make_i8(const struct net *net, bool dynamic)
{
    struct chain *c = chain_of(net);
    c->i8_kernel = lp_dense_i8_select(lp_cpu_get());
    for (uint32_t i = 0; i < net->layer_count; i++) {
        uint32_t in = net->widths[i], out = net->widths[i + 1];
        int8_t *weights = take((size_t)in * out);
        float *scales = take(sizeof *scales * out);
        quantize_weights(net, i, weights, scales);
        void *packed = take(c->i8_kernel->packed_bytes(in, out));
        c->i8_kernel->pack(weights, scales, out, net->biases[i], in, out, packed);
        c->i8[i] = (struct lp_dense_i8_layer){.packed = packed,
                                              .in_width = in,
                                              .out_width = out,
                                              .relu = i + 1 < net->layer_count,
                                              .dynamic = dynamic,
                                              .input_scale = net->scales[i],
                                              .input_zero_point = i == 0 ? 128 : 0};
    }
    return c;
}

uint32_t add_lepton(const struct net *net, const char *folder, const char *name, struct engine *engines)
{
    uint32_t count = add_bundle(net, folder, name, "", "lepton fp32", 1e-4, engines);
    count += add_bundle(net, folder, name, "-qdq", "lepton int8 QDQ", 0.1, engines + count);
    if (net->layer_count == 0) return count;
    engines[count++] = (struct engine){"lepton kernels fp32", 1e-4, run_f32, net, make_f32(net), {0}, {0}};
    engines[count++] = (struct engine){"lepton kernels bf16", 0.03, run_bf16, net, make_bf16(net), {0}, {0}};
    engines[count++] = (struct engine){"lepton kernels int8 static", 0.1, run_i8, net, make_i8(net, false), {0}, {0}};
    engines[count++] = (struct engine){"lepton kernels int8 dynamic", 0.1, run_i8, net, make_i8(net, true), {0}, {0}};
    return count;
}

static void run_openblas(struct engine *engine, uint32_t rows, float *y)
{
    const struct net *net = engine->net;
    struct chain *c = engine->state;
    const float *x = net->rows;
    for (uint32_t i = 0; i < net->layer_count; i++) {
        int in = (int)net->widths[i], out = (int)net->widths[i + 1];
        float *to = i + 1 == net->layer_count ? y : c->values[i % 2];
        for (uint32_t r = 0; r < rows; r++)
            memcpy(to + (size_t)r * net->widths[i + 1], net->biases[i], sizeof *to * net->widths[i + 1]);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, out, in, 1.0f, x, in, net->weights[i], out,
                    1.0f, to, out);
        size_t count = (size_t)rows * net->widths[i + 1];
        for (size_t k = 0; i + 1 < net->layer_count && k < count; k++) to[k] = to[k] < 0.0f ? 0.0f : to[k];
        x = to;
    }
}

uint32_t add_openblas(const struct net *net, struct engine *engines)
{
    if (net->layer_count == 0) return 0;
    engines[0] = (struct engine){"OpenBLAS fp32", 1e-4, run_openblas, net, chain_of(net), {0}, {0}};
    return 1;
}
