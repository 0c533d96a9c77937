#include "train/pass.h"

#include "train/activate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float norm_epsilon = 1e-5f, norm_momentum = 0.9f;

static float *take_rows(const struct lp_pass *pass, size_t stride)
{
    return lp_train_floats((size_t)pass->rows_max * stride + LP_TRAIN_PAD);
}

static bool take_layer(struct lp_pass *pass, uint32_t i, size_t *widest)
{
    const struct lp_net_dense *d = &pass->net->dense[i];
    bool norm = pass->net->spec.layers[i].batch_norm;
    if (d->out_stride > *widest) *widest = d->out_stride;
    pass->hidden[i] = take_rows(pass, d->out_stride);
    if (d->needs_slope) pass->slope[i] = take_rows(pass, d->out_stride);
    if (norm) pass->standard[i] = take_rows(pass, d->out_stride);
    if (norm) pass->deviation[i] = lp_train_floats(d->out_stride);
    return pass->hidden[i] != NULL && (!d->needs_slope || pass->slope[i] != NULL) &&
           (!norm || (pass->standard[i] != NULL && pass->deviation[i] != NULL));
}

size_t lp_pass_sum_max(const struct lp_net *net)
{
    size_t most = 4;
    for (uint32_t i = 0; i < net->spec.layer_count; i++)
        if (net->spec.layers[i].batch_norm && 2 * net->dense[i].out_stride > most) most = 2 * net->dense[i].out_stride;
    return most;
}

enum lp_code lp_pass_init(struct lp_pass *pass, struct lp_net *net, struct lp_team *team, uint32_t thread,
                          uint32_t rows_max, struct lp_error *err)
{
    *pass = (struct lp_pass){.net = net, .team = team, .thread = thread, .rows_max = rows_max, .label_scale = 1};
    size_t widest = net->input_stride;
    bool good = true;
    pass->kernel = lp_train_select(lp_cpu_get());
    for (uint32_t i = 0; i < net->spec.layer_count; i++) good = good && take_layer(pass, i, &widest);
    pass->input = take_rows(pass, net->input_stride);
    pass->delta[0] = take_rows(pass, widest);
    pass->delta[1] = take_rows(pass, widest);
    pass->gradient = lp_train_floats(net->dense_floats);
    pass->labels = lp_train_floats(rows_max);
    pass->weights = lp_train_floats(rows_max);
    pass->sums = calloc(lp_pass_sum_max(net), sizeof *pass->sums);
    if (good && pass->input != NULL && pass->delta[0] != NULL && pass->delta[1] != NULL && pass->gradient != NULL &&
        pass->labels != NULL && pass->weights != NULL && pass->sums != NULL)
        return LP_OK;
    return lp_fail_memory(err, (size_t)rows_max * widest * sizeof(float));
}

void lp_pass_done(struct lp_pass *pass)
{
    for (uint32_t i = 0; i < LP_NET_LAYERS_MAX; i++) {
        free(pass->hidden[i]);
        free(pass->slope[i]);
        free(pass->standard[i]);
        free(pass->deviation[i]);
    }
    free(pass->input);
    free(pass->delta[0]);
    free(pass->delta[1]);
    free(pass->gradient);
    free(pass->labels);
    free(pass->weights);
    free(pass->sums);
    *pass = (struct lp_pass){.net = NULL};
}

/* The network's input of one row: the plain columns, then a row of each table. */
static void place_row(const struct lp_net *net, const float *x, float *to)
{
    if (net->spec.embedding_count == 0) {
        memcpy(to, x, net->input_width * sizeof *to);
        return;
    }
    for (uint32_t i = 0; i < net->plain_count; i++) to[i] = x[net->plain[i]];
    to += net->plain_count;
    for (uint32_t e = 0; e < net->spec.embedding_count; e++) {
        uint32_t width = net->embeddings[e].width;
        memcpy(to, lp_net_table_row(net, e, (size_t)x[net->embeddings[e].column]), width * sizeof *to);
        to += width;
    }
}

static void place(struct lp_pass *pass, const struct lp_share *share)
{
    enum { AHEAD = 12 };
    const struct lp_train_data *data = share->data;
    size_t stride = pass->net->input_stride;
    for (uint32_t i = 0; i < share->count; i++) {
        if (i + AHEAD < share->count) {
            const char *next = (const char *)lp_train_row(data, share->rows[i + AHEAD]);
            for (size_t at = 0; at < data->column_count * sizeof(float) && at < 512; at += 64)
                __builtin_prefetch(next + at);
        }
        place_row(pass->net, lp_train_row(data, share->rows[i]), pass->input + i * stride);
    }
}

static uint32_t padded(uint32_t width) { return (uint32_t)lp_train_padded(width); }

static void dense(const struct lp_pass *pass, uint32_t i, const float *in, uint32_t rows, bool relu, float *out)
{
    const struct lp_net_dense *d = &pass->net->dense[i];
    const float *weight = pass->net->params + d->weight, *bias = NULL;
    if (d->bias != SIZE_MAX) bias = pass->net->params + d->bias;
    if (d->is_vector) {
        pass->kernel->dot(in, d->in_stride, rows, weight, padded(d->in), bias[0], out, 1);
        return;
    }
    pass->kernel->product(&(struct lp_train_product){.a = in,
                                                     .a_row = d->in_stride,
                                                     .a_step = 1,
                                                     .b = weight,
                                                     .b_row = d->weight_stride,
                                                     .c = out,
                                                     .c_row = d->out_stride,
                                                     .m = rows,
                                                     .k = d->in,
                                                     .n = padded(d->out),
                                                     .first = bias,
                                                     .relu = relu});
}

/* h = gamma (z - mean) inverse + beta with the running statistics. */
static void norm_running(const struct lp_pass *pass, uint32_t i, uint32_t rows, float *h)
{
    const struct lp_net_dense *d = &pass->net->dense[i];
    const float *gamma = pass->net->params + d->gamma, *beta = pass->net->params + d->beta;
    const float *mean = pass->net->running + d->mean, *variance = pass->net->running + d->variance;
    for (uint32_t c = 0; c < d->out; c++) {
        float inverse = 1.0f / sqrtf(variance[c] + norm_epsilon);
        for (uint32_t r = 0; r < rows; r++) {
            float *value = &h[r * d->out_stride + c];
            *value = gamma[c] * ((*value - mean[c]) * inverse) + beta[c];
        }
    }
}

/* f(0) is not 0: the padding behind the columns must be. */
static void clear_padding(const struct lp_net_dense *d, enum lp_activation activation, uint32_t rows, float *h)
{
    if (activation != LP_ACTIVATION_SIGMOID && activation != LP_ACTIVATION_SOFTPLUS) return;
    for (uint32_t r = 0; r < rows; r++) memset(h + r * d->out_stride + d->out, 0, (d->out_stride - d->out) * sizeof *h);
}

const float *lp_pass_score(struct lp_pass *pass, const struct lp_share *share)
{
    const struct lp_net *net = pass->net;
    const float *in = pass->input;
    place(pass, share);
    for (uint32_t i = 0; i < net->spec.layer_count; i++) {
        const struct lp_net_layer *layer = &net->spec.layers[i];
        bool relu = layer->activation == LP_ACTIVATION_RELU && !layer->batch_norm;
        float *out = pass->hidden[i];
        dense(pass, i, in, share->count, relu, out);
        if (layer->batch_norm) norm_running(pass, i, share->count, out);
        if (!relu && layer->activation != LP_ACTIVATION_NONE)
            lp_train_activate(layer->activation, layer->alpha, out, share->count * net->dense[i].out_stride, out, NULL);
        clear_padding(&net->dense[i], layer->activation, share->count, out);
        in = out;
    }
    return in;
}

/* Column means and variances of z over the whole batch: two sums, the second about the first's mean. */
static void norm_statistics(struct lp_pass *pass, const struct lp_net_dense *d, const struct lp_share *share,
                            const float *z, double *mean, double *variance)
{
    memset(mean, 0, d->out * sizeof *mean);
    for (uint32_t r = 0; r < share->count; r++)
        for (uint32_t c = 0; c < d->out; c++) mean[c] += (double)z[r * d->out_stride + c];
    lp_team_sum(pass->team, pass->thread, mean, d->out);
    for (uint32_t c = 0; c < d->out; c++) mean[c] /= share->batch_rows;
    memset(variance, 0, d->out * sizeof *variance);
    for (uint32_t r = 0; r < share->count; r++)
        for (uint32_t c = 0; c < d->out; c++) {
            double e = (double)z[r * d->out_stride + c] - mean[c];
            variance[c] += e * e;
        }
    lp_team_sum(pass->team, pass->thread, variance, d->out);
    for (uint32_t c = 0; c < d->out; c++) variance[c] /= share->batch_rows;
}

static void norm_forward(struct lp_pass *pass, uint32_t i, const struct lp_share *share, float *h)
{
    const struct lp_net_dense *d = &pass->net->dense[i];
    struct lp_net *net = pass->net;
    double *mean = pass->sums, *variance = pass->sums + d->out_stride;
    norm_statistics(pass, d, share, h, mean, variance);
    for (uint32_t c = 0; c < d->out; c++) pass->deviation[i][c] = (float)(1 / sqrt(variance[c] + norm_epsilon));
    for (uint32_t r = 0; r < share->count; r++)
        for (uint32_t c = 0; c < d->out; c++) {
            size_t at = r * d->out_stride + c;
            float standard = (float)((double)h[at] - mean[c]) * pass->deviation[i][c];
            pass->standard[i][at] = standard;
            h[at] = net->params[d->gamma + c] * standard + net->params[d->beta + c];
        }
    if (pass->thread != 0) return;
    for (uint32_t c = 0; c < d->out; c++) {
        float *m = &net->running[d->mean + c], *v = &net->running[d->variance + c];
        *m = norm_momentum * *m + (1 - norm_momentum) * (float)mean[c];
        *v = norm_momentum * *v + (1 - norm_momentum) * (float)variance[c];
    }
}

/* In: gradient by gamma u + beta. Out: by z (Ioffe and Szegedy 2015, section 3). */
static void norm_backward(struct lp_pass *pass, uint32_t i, const struct lp_share *share, float *delta)
{
    const struct lp_net_dense *d = &pass->net->dense[i];
    const float *standard = pass->standard[i], *gamma = pass->net->params + d->gamma;
    double *shift = pass->sums, *tilt = pass->sums + d->out;
    memset(shift, 0, 2 * d->out * sizeof *shift);
    for (uint32_t r = 0; r < share->count; r++)
        for (uint32_t c = 0; c < d->out; c++) {
            size_t at = r * d->out_stride + c;
            shift[c] += (double)delta[at];
            tilt[c] += (double)delta[at] * (double)standard[at];
        }
    for (uint32_t c = 0; c < d->out; c++) {
        pass->gradient[d->beta + c] = (float)shift[c];
        pass->gradient[d->gamma + c] = (float)tilt[c];
    }
    lp_team_sum(pass->team, pass->thread, shift, 2 * d->out);
    for (uint32_t c = 0; c < d->out; c++) {
        float a = (float)(shift[c] / share->batch_rows), b = (float)(tilt[c] / share->batch_rows);
        float scale = gamma[c] * pass->deviation[i][c];
        for (uint32_t r = 0; r < share->count; r++) {
            size_t at = r * d->out_stride + c;
            delta[at] = scale * (delta[at] - a - standard[at] * b);
        }
    }
}

/* Values are kept where 32 bits of a hash of (step, layer, position, column) are at or above the rate. */
static void drop(struct lp_pass *pass, uint32_t i, const struct lp_share *share, float *h)
{
    const struct lp_net_dense *d = &pass->net->dense[i];
    double rate = (double)pass->net->spec.layers[i].dropout;
    const uint64_t bar = (uint64_t)(rate * 4294967296.0);
    const float grow = (float)(1 / (1 - rate));
    uint64_t base = pass->dropout_seed ^ share->step * UINT64_C(0xd1342543de82ef95) ^ (uint64_t)(i + 1) << 56;
    for (uint32_t r = 0; r < share->count; r++) {
        uint64_t state = base + share->positions[r] * UINT64_C(0x2545f4914f6cdd1d), bits = 0;
        for (uint32_t c = 0; c < d->out; c++) {
            bits = c % 2 == 0 ? lp_train_random(&state) : bits >> 32;
            float keep = (bits & UINT32_MAX) >= bar ? grow : 0.0f;
            h[r * d->out_stride + c] *= keep;
            pass->slope[i][r * d->out_stride + c] *= keep;
        }
    }
}

static const float *forward(struct lp_pass *pass, const struct lp_share *share)
{
    const struct lp_net *net = pass->net;
    const float *in = pass->input;
    place(pass, share);
    for (uint32_t i = 0; i < net->spec.layer_count; i++) {
        const struct lp_net_layer *layer = &net->spec.layers[i];
        const struct lp_net_dense *d = &net->dense[i];
        float *out = pass->hidden[i];
        dense(pass, i, in, share->count, d->plain_relu, out);
        if (layer->batch_norm) norm_forward(pass, i, share, out);
        if (d->needs_slope)
            lp_train_activate(layer->activation, layer->alpha, out, share->count * d->out_stride, out, pass->slope[i]);
        clear_padding(d, layer->activation, share->count, out);
        if (layer->dropout > 0) drop(pass, i, share, out);
        in = out;
    }
    return in;
}

/* Gradients of one layer's weights and bias from the gradient by its sums. */
static void weight_gradient(struct lp_pass *pass, uint32_t i, const float *in, const float *delta, uint32_t rows)
{
    const struct lp_net_dense *d = &pass->net->dense[i];
    struct lp_train_product p = {.a = in,
                                 .a_row = 1,
                                 .a_step = d->in_stride,
                                 .b = delta,
                                 .b_row = d->out_stride,
                                 .c = pass->gradient + d->weight,
                                 .c_row = d->weight_stride,
                                 .m = d->in,
                                 .k = rows,
                                 .n = padded(d->out)};
    if (d->is_vector) {
        p = (struct lp_train_product){.a = delta,
                                      .a_row = 0,
                                      .a_step = 1,
                                      .b = in,
                                      .b_row = d->in_stride,
                                      .c = p.c,
                                      .c_row = d->weight_stride,
                                      .m = 1,
                                      .k = rows,
                                      .n = padded(d->in)};
        float sum = 0;
        for (uint32_t r = 0; r < rows; r++) sum += delta[r];
        pass->gradient[d->bias] = sum;
    } else if (d->bias != SIZE_MAX) {
        pass->kernel->column_sums(delta, d->out_stride, rows, p.n, pass->gradient + d->bias);
    }
    pass->kernel->product(&p);
}

/* Gradient by the layer's input; behind a fused relu (`gate` its output) by the sums before it. */
static void input_gradient(struct lp_pass *pass, uint32_t i, const float *delta, uint32_t rows, const float *gate,
                           float *out)
{
    const struct lp_net_dense *d = &pass->net->dense[i];
    struct lp_train_product p = {.a = delta,
                                 .a_row = d->out_stride,
                                 .a_step = 1,
                                 .b_row = d->in_stride,
                                 .c = out,
                                 .c_row = d->in_stride,
                                 .m = rows,
                                 .k = d->out,
                                 .n = padded(d->in),
                                 .gate = gate};
    p.b = d->is_vector ? pass->net->params + d->weight : pass->net->turned + d->turned;
    pass->kernel->product(&p);
}

/* Labels in the network's scale; weights, or NULL where all are 1. */
static const float *gather_labels(struct lp_pass *pass, const struct lp_share *share)
{
    const struct lp_train_data *data = share->data;
    const float shift = pass->label_shift, scale = pass->label_scale;
    for (uint32_t r = 0; r < share->count; r++) {
        float y = data->y[share->rows[r]];
        pass->labels[r] = shift != 0 || scale != 1 ? (y - shift) / scale : y;
    }
    if (data->weight == NULL && pass->class_weight == NULL) return NULL;
    for (uint32_t r = 0; r < share->count; r++) {
        float weight = data->weight != NULL ? data->weight[share->rows[r]] : 1.0f;
        pass->weights[r] = pass->class_weight != NULL ? weight * pass->class_weight[(uint32_t)pass->labels[r]] : weight;
    }
    return pass->weights;
}

double lp_pass_learn(struct lp_pass *pass, const struct lp_train_loss *loss, const struct lp_share *share,
                     const float **ret_input_gradient)
{
    const struct lp_net *net = pass->net;
    uint32_t last = net->spec.layer_count - 1, rows = share->count;
    const float *margins = forward(pass, share);
    float *delta = pass->delta[0], *next = pass->delta[1];
    double sum = lp_loss_run(loss, margins, net->dense[last].out_stride, pass->labels, gather_labels(pass, share), rows,
                             (float)lp_loss_unit(loss) / (float)share->batch_rows, delta);
    for (uint32_t i = last + 1; i-- > 0;) {
        const struct lp_net_dense *d = &net->dense[i];
        const float *in = i > 0 ? pass->hidden[i - 1] : pass->input;
        size_t count = rows * d->out_stride;
        for (size_t k = 0; d->needs_slope && k < count; k++) delta[k] *= pass->slope[i][k];
        if (net->spec.layers[i].batch_norm) norm_backward(pass, i, share, delta);
        weight_gradient(pass, i, in, delta, rows);
        if (i == 0 && net->spec.embedding_count == 0) break;
        input_gradient(pass, i, delta, rows, i > 0 && net->dense[i - 1].plain_relu ? pass->hidden[i - 1] : NULL, next);
        float *swap = delta;
        delta = next;
        next = swap;
    }
    *ret_input_gradient = delta; /* means nothing without embeddings: nobody reads it */
    return sum;
}
