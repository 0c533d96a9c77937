#include "train/net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE SIZE_MAX
#define PARAMS_MAX_FLOATS ((size_t)1 << 31)
static const float norm_epsilon = 1e-5f;

float *lp_train_floats(size_t count)
{
    size_t bytes = (count * sizeof(float) + 63) / 64 * 64 + 64;
    float *data = aligned_alloc(64, bytes);
    if (data != NULL) memset(data, 0, bytes);
    return data;
}

static size_t take(size_t *at, size_t count)
{
    size_t begin = *at;
    *at += count;
    return begin;
}

static void lay_out_dense(struct lp_net *net, uint32_t index, uint32_t in, size_t in_stride)
{
    const struct lp_net_layer *layer = &net->spec.layers[index];
    struct lp_net_dense *d = &net->dense[index];
    bool last = index + 1 == net->spec.layer_count;
    size_t side = lp_train_stride(layer->width);
    *d = (struct lp_net_dense){.in = in,
                               .out = layer->width,
                               .in_stride = in_stride,
                               .gamma = NOWHERE,
                               .beta = NOWHERE,
                               .turned = NOWHERE,
                               .bias = NOWHERE};
    d->is_vector = last && layer->width == 1;
    d->out_stride = d->is_vector ? 1 : side;
    d->weight_rows = d->is_vector ? 1 : in;
    d->weight_stride = d->is_vector ? in_stride : side;
    d->weight = take(&net->dense_floats, d->weight_rows * d->weight_stride);
    if (layer->batch_norm) {
        d->gamma = take(&net->dense_floats, side);
        d->beta = take(&net->dense_floats, side);
        d->mean = take(&net->running_floats, side);
        d->variance = take(&net->running_floats, side);
    } else {
        d->bias = take(&net->dense_floats, side);
    }
    d->plain_relu = layer->activation == LP_ACTIVATION_RELU && !layer->batch_norm && !(layer->dropout > 0);
    d->needs_slope = !d->plain_relu && (layer->activation != LP_ACTIVATION_NONE || layer->dropout > 0);
    bool turned = (index > 0 || net->spec.embedding_count > 0) && !d->is_vector;
    if (turned) d->turned = take(&net->turned_floats, (size_t)d->out * in_stride);
}

static enum lp_code lay_out(struct lp_net *net, struct lp_error *err)
{
    const struct lp_net_spec *spec = &net->spec;
    uint32_t next = 0;
    for (uint32_t c = 0; c < spec->column_count; c++) {
        if (next < spec->embedding_count && net->embeddings[next].column == c) next++;
        else net->plain[net->plain_count++] = c;
    }
    for (uint32_t e = 0; e < spec->embedding_count; e++) net->table_width += net->embeddings[e].width;
    net->input_width = net->plain_count + net->table_width;
    net->input_stride = lp_train_stride(net->input_width);
    uint32_t in = net->input_width;
    size_t stride = net->input_stride;
    for (uint32_t i = 0; i < spec->layer_count; i++) {
        if ((uint64_t)in * spec->layers[i].width > PARAMS_MAX_FLOATS)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "layer %u of %u x %u weights is too large", i + 1, in,
                           spec->layers[i].width);
        lay_out_dense(net, i, in, stride);
        in = net->dense[i].out;
        stride = net->dense[i].out_stride;
    }
    net->param_floats = net->dense_floats;
    for (uint32_t e = 0; e < spec->embedding_count; e++)
        net->tables[e] = take(&net->param_floats, net->embeddings[e].rows * lp_train_padded(net->embeddings[e].width));
    if (net->param_floats > PARAMS_MAX_FLOATS)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu parameters, at most %zu are trained", net->param_floats,
                       PARAMS_MAX_FLOATS);
    return LP_OK;
}

static void set_first(struct lp_net *net, uint64_t seed)
{
    uint64_t state = seed ^ UINT64_C(0x6c6570746f6e0001);
    for (uint32_t i = 0; i < net->spec.layer_count; i++) {
        const struct lp_net_dense *d = &net->dense[i];
        double limit = sqrt(6.0 / (d->in + d->out));
        for (uint32_t r = 0; r < d->in; r++)
            for (uint32_t c = 0; c < d->out; c++) {
                size_t at = d->is_vector ? r : r * d->weight_stride + c;
                net->params[d->weight + at] = (float)((2 * lp_train_uniform(&state) - 1) * limit);
            }
        if (d->gamma == NOWHERE) continue;
        for (uint32_t c = 0; c < d->out; c++) net->params[d->gamma + c] = net->running[d->variance + c] = 1;
    }
    for (uint32_t e = 0; e < net->spec.embedding_count; e++)
        for (uint32_t r = 0; r < net->embeddings[e].rows; r++)
            for (uint32_t c = 0; c < net->embeddings[e].width; c++)
                lp_net_table_row(net, e, r)[c] = (float)((2 * lp_train_uniform(&state) - 1) * 0.05);
}

enum lp_code lp_net_init(struct lp_net *net, const struct lp_net_spec *spec, uint64_t seed, struct lp_error *err)
{
    *net = (struct lp_net){.spec = *spec};
    net->plain = calloc((size_t)spec->column_count + 1, sizeof *net->plain);
    net->embeddings = calloc((size_t)spec->embedding_count + 1, sizeof *net->embeddings);
    net->tables = calloc((size_t)spec->embedding_count + 1, sizeof *net->tables);
    if (net->plain == NULL || net->embeddings == NULL || net->tables == NULL)
        return lp_fail_memory(err, spec->column_count * sizeof *net->plain);
    if (spec->embedding_count > 0)
        memcpy(net->embeddings, spec->embeddings, spec->embedding_count * sizeof *net->embeddings);
    net->spec.embeddings = net->embeddings;
    LP_TRY(lay_out(net, err));
    net->params = lp_train_floats(net->param_floats);
    net->running = lp_train_floats(net->running_floats);
    net->turned = lp_train_floats(net->turned_floats);
    if (net->params == NULL || net->running == NULL || net->turned == NULL)
        return lp_fail_memory(err, (net->param_floats + net->turned_floats) * sizeof(float));
    set_first(net, seed);
    lp_net_turn_all(net);
    return LP_OK;
}

uint32_t lp_net_count(const struct lp_net *net)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < net->spec.layer_count; i++) {
        const struct lp_net_dense *d = &net->dense[i];
        count += (uint64_t)d->in * d->out + d->out * (d->gamma != NOWHERE ? 2u : 1u);
    }
    for (uint32_t e = 0; e < net->spec.embedding_count; e++)
        count += (uint64_t)net->embeddings[e].rows * net->embeddings[e].width;
    return (uint32_t)count;
}

void lp_net_done(struct lp_net *net)
{
    free(net->plain);
    free(net->embeddings);
    free(net->tables);
    free(net->params);
    free(net->running);
    free(net->turned);
    *net = (struct lp_net){.plain = NULL};
}

void lp_net_get_weight(const struct lp_net *net, uint32_t layer, float *ret_weight)
{
    const struct lp_net_dense *d = &net->dense[layer];
    const float *from = net->params + d->weight;
    if (d->is_vector) memcpy(ret_weight, from, d->in * sizeof *from);
    for (uint32_t r = 0; !d->is_vector && r < d->in; r++)
        memcpy(ret_weight + (size_t)r * d->out, from + r * d->weight_stride, d->out * sizeof *from);
}

void lp_net_set_weight(struct lp_net *net, uint32_t layer, const float *weight)
{
    const struct lp_net_dense *d = &net->dense[layer];
    float *to = net->params + d->weight;
    if (d->is_vector) memcpy(to, weight, d->in * sizeof *to);
    for (uint32_t r = 0; !d->is_vector && r < d->in; r++)
        memcpy(to + r * d->weight_stride, weight + (size_t)r * d->out, d->out * sizeof *to);
}

void lp_net_fold(const struct lp_net *net, uint32_t layer, float *ret_weight, float *ret_bias)
{
    const struct lp_net_dense *d = &net->dense[layer];
    lp_net_get_weight(net, layer, ret_weight);
    if (d->gamma == NOWHERE) {
        memcpy(ret_bias, net->params + d->bias, d->out * sizeof *ret_bias);
        return;
    }
    for (uint32_t c = 0; c < d->out; c++) {
        double scale = net->params[d->gamma + c] / sqrt((double)net->running[d->variance + c] + norm_epsilon);
        for (uint32_t r = 0; r < d->in; r++) {
            float *w = &ret_weight[(size_t)r * d->out + c];
            *w = (float)(*w * scale);
        }
        ret_bias[c] = (float)(net->params[d->beta + c] - net->running[d->mean + c] * scale);
    }
}

void lp_net_turn(struct lp_net *net, uint32_t layer, size_t begin, size_t end)
{
    const struct lp_net_dense *d = &net->dense[layer];
    if (d->turned == NOWHERE) return;
    lp_train_select(lp_cpu_get())
        ->turn(net->params + d->weight + begin * d->weight_stride, d->weight_stride, (uint32_t)(end - begin), d->out,
               net->turned + d->turned + begin, d->in_stride);
}

void lp_net_turn_all(struct lp_net *net)
{
    for (uint32_t i = 0; i < net->spec.layer_count; i++) lp_net_turn(net, i, 0, net->dense[i].in);
}
