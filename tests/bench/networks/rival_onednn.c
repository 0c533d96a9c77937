/*
 * oneDNN's inner products, one a layer: bias and relu inside, weights in the layout it asks for, the input's conversion
 * counted. int8: the first layer from s8, the others from u8 with the relu and the next layer's scale in the store,
 * scales per output channel; bf16: bf16 between the layers, float at the end. One thread (OMP_NUM_THREADS=1).
 */
#include "rivals.h"

#if defined(BENCH_ONEDNN)

#include <dnnl.h>
#include <math.h>
#include <string.h>

enum { BATCHES_MAX = 8 };
enum kind { FP32, BF16, INT8 };

/* One batch size: primitives in the order they run. */
struct chain {
    uint32_t rows, count;
    dnnl_primitive_t steps[LAYERS_MAX + 1];
    dnnl_exec_arg_t arguments[LAYERS_MAX + 1][4];
    int argument_counts[LAYERS_MAX + 1];
    float *y;
};

struct onednn {
    enum kind kind;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct chain chains[BATCHES_MAX];
};

static void check(dnnl_status_t status, const char *what)
{
    if (status != dnnl_success) fail("oneDNN", what);
}

static dnnl_memory_desc_t matrix(uint32_t a, uint32_t b, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md;
    const dnnl_dims_t dims = {a, b};
    check(dnnl_memory_desc_init_by_tag(&md, 2, dims, type, tag), "memory descriptor");
    return md;
}

static dnnl_memory_t memory(const struct onednn *o, const dnnl_memory_desc_t *md, void *at)
{
    dnnl_memory_t made;
    check(dnnl_memory_create(&made, md, o->engine, at != NULL ? at : DNNL_MEMORY_ALLOCATE), "memory");
    return made;
}

static dnnl_primitive_t reorder(const struct onednn *o, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                                uint32_t scale_count, const float *scales)
{
    dnnl_primitive_attr_t attributes;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t made;
    check(dnnl_primitive_attr_create(&attributes), "attributes");
    if (scale_count > 0)
        check(dnnl_primitive_attr_set_output_scales(attributes, scale_count, scale_count > 1 ? 1 : 0, scales),
              "scales");
    check(dnnl_reorder_primitive_desc_create(&description, from, o->engine, to, o->engine, attributes), "reorder");
    check(dnnl_primitive_create(&made, description), "reorder");
    return made;
}

static void execute_reorder(const struct onednn *o, dnnl_primitive_t step, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    check(dnnl_primitive_execute(step, o->stream, 2, arguments), "reorder");
    check(dnnl_stream_wait(o->stream), "reorder");
}

static dnnl_data_type_t type_of(const struct onednn *o, const struct net *net, uint32_t value)
{
    if (o->kind == FP32 || value == net->layer_count) return dnnl_f32;
    if (o->kind == BF16) return dnnl_bf16;
    return value == 0 ? dnnl_s8 : dnnl_u8;
}

/* Scale of each output channel's weights, the largest to 127. */
static void weight_scales(const struct net *net, uint32_t layer, float *scales)
{
    uint32_t in = net->widths[layer], out = net->widths[layer + 1];
    for (uint32_t n = 0; n < out; n++) {
        float largest = 1e-20f;
        for (uint32_t k = 0; k < in; k++) largest = fmaxf(largest, fabsf(net->weights[layer][(size_t)k * out + n]));
        scales[n] = largest / 127.0f;
    }
}

static dnnl_memory_t packed_weights(const struct onednn *o, const struct net *net, uint32_t layer,
                                    const dnnl_memory_desc_t *wanted, const float *scales)
{
    uint32_t in = net->widths[layer], out = net->widths[layer + 1];
    float *inverse = take(sizeof *inverse * out);
    for (uint32_t n = 0; n < out; n++) inverse[n] = 1.0f / scales[n];
    /* [in][out] is [out][in] transposed. */
    dnnl_memory_desc_t plain = matrix(out, in, dnnl_f32, dnnl_ba);
    dnnl_memory_t from = memory(o, &plain, (void *)(uintptr_t)net->weights[layer]), to = memory(o, wanted, NULL);
    execute_reorder(o, reorder(o, &plain, wanted, o->kind == INT8 ? out : 0, inverse), from, to);
    return to;
}

static dnnl_memory_t add_layer(const struct onednn *o, const struct net *net, struct chain *chain, uint32_t layer,
                               dnnl_memory_t source, const dnnl_memory_desc_t *source_md, dnnl_memory_desc_t *ret_md)
{
    uint32_t in = net->widths[layer], out = net->widths[layer + 1];
    bool last = layer + 1 == net->layer_count;
    float *scales = take(sizeof *scales * out), *bias = take(sizeof *bias * out), *output = take(sizeof *output * out);
    weight_scales(net, layer, scales);
    for (uint32_t n = 0; n < out; n++) {
        /* The bias is added to the integer sum, before the output's scale. */
        float unit = o->kind == INT8 ? net->scales[layer] * scales[n] : 1.0f;
        bias[n] = net->biases[layer][n] / unit;
        output[n] = unit / (last ? 1.0f : net->scales[layer + 1]);
    }
    dnnl_primitive_attr_t attributes;
    dnnl_post_ops_t after;
    check(dnnl_primitive_attr_create(&attributes), "attributes");
    check(dnnl_post_ops_create(&after), "post ops");
    if (!last) check(dnnl_post_ops_append_eltwise(after, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f), "relu");
    check(dnnl_primitive_attr_set_post_ops(attributes, after), "post ops");
    if (o->kind == INT8) check(dnnl_primitive_attr_set_output_scales(attributes, out, 2, output), "output scales");
    dnnl_memory_desc_t weights = matrix(out, in,
                                        o->kind == INT8   ? dnnl_s8
                                        : o->kind == BF16 ? dnnl_bf16
                                                          : dnnl_f32,
                                        dnnl_format_tag_any);
    dnnl_memory_desc_t target = matrix(chain->rows, out, type_of(o, net, layer + 1), dnnl_ab), bias_md;
    const dnnl_dims_t bias_dims = {out};
    check(dnnl_memory_desc_init_by_tag(&bias_md, 1, bias_dims, dnnl_f32, dnnl_a), "bias");
    dnnl_inner_product_desc_t product;
    dnnl_primitive_desc_t description;
    check(
        dnnl_inner_product_forward_desc_init(&product, dnnl_forward_inference, source_md, &weights, &bias_md, &target),
        "inner product");
    check(dnnl_primitive_desc_create(&description, &product, attributes, o->engine, NULL), "inner product");
    check(dnnl_primitive_create(&chain->steps[chain->count], description), "inner product");
    const dnnl_memory_desc_t *wanted = dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0);
    dnnl_memory_t made = memory(o, &target, last ? chain->y : NULL);
    dnnl_exec_arg_t *arguments = chain->arguments[chain->count];
    arguments[0] = (dnnl_exec_arg_t){DNNL_ARG_SRC, source};
    arguments[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, packed_weights(o, net, layer, wanted, scales)};
    arguments[2] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, memory(o, &bias_md, bias)};
    arguments[3] = (dnnl_exec_arg_t){DNNL_ARG_DST, made};
    chain->argument_counts[chain->count++] = 4;
    *ret_md = target;
    return made;
}

static void build(const struct onednn *o, const struct net *net, struct chain *chain, uint32_t rows)
{
    chain->rows = rows;
    chain->y = take(sizeof *chain->y * rows * net->outputs);
    dnnl_memory_desc_t plain = matrix(rows, net->columns, dnnl_f32, dnnl_ab);
    dnnl_memory_desc_t source_md = matrix(rows, net->columns, type_of(o, net, 0), dnnl_ab);
    dnnl_memory_t source = memory(o, &plain, (void *)(uintptr_t)net->rows);
    if (o->kind != FP32) {
        dnnl_memory_t converted = memory(o, &source_md, NULL);
        float scale = 1.0f / net->scales[0];
        chain->steps[0] = reorder(o, &plain, &source_md, o->kind == INT8 ? 1 : 0, &scale);
        chain->arguments[0][0] = (dnnl_exec_arg_t){DNNL_ARG_FROM, source};
        chain->arguments[0][1] = (dnnl_exec_arg_t){DNNL_ARG_TO, converted};
        chain->argument_counts[chain->count++] = 2;
        source = converted;
    }
    for (uint32_t layer = 0; layer < net->layer_count; layer++)
        source = add_layer(o, net, chain, layer, source, &source_md, &source_md);
}

static void run(struct engine *engine, uint32_t rows, float *y)
{
    struct onednn *o = engine->state;
    struct chain *chain = o->chains;
    while (chain->rows != rows && chain->rows != 0) chain++;
    if (chain->rows == 0) build(o, engine->net, chain, rows);
    for (uint32_t i = 0; i < chain->count; i++)
        dnnl_primitive_execute(chain->steps[i], o->stream, chain->argument_counts[i], chain->arguments[i]);
    dnnl_stream_wait(o->stream);
    memcpy(y, chain->y, sizeof *y * rows * engine->net->outputs);
}

uint32_t add_onednn(const struct net *net, struct engine *engines)
{
    static const char *const titles[] = {"oneDNN fp32", "oneDNN bf16", "oneDNN int8"};
    static const double tolerances[] = {1e-4, 0.03, 0.1};
    for (uint32_t i = 0; net->layer_count > 0 && i < 3; i++) {
        struct onednn *o = take(sizeof *o);
        o->kind = (enum kind)i;
        check(dnnl_engine_create(&o->engine, dnnl_cpu, 0), "engine");
        check(dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags), "stream");
        engines[i] = (struct engine){titles[i], tolerances[i], run, net, o, {0}, {0}};
    }
    return net->layer_count > 0 ? 3 : 0;
}

#else

uint32_t add_onednn(const struct net *net, struct engine *engines)
{
    (void)net, (void)engines;
    return 0;
}

#endif
