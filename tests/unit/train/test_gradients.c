/*
 * Every gradient against central differences of the loss, which a plain double-precision network in this file computes
 * (Nocedal and Wright, Numerical Optimization, 8.1): no line of it is shared with src/train/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/pass.h"

enum { ROWS = 24, COLUMNS = 7, LAYERS = 3, WIDTH_MAX = 21, TABLE_ROWS = 5, TABLE_WIDTH = 3 };

/* One case: two hidden layers and an output. */
struct sample {
    enum lp_train_loss_kind loss;
    enum lp_activation activation;
    float alpha;
    bool norm, table, weights, classes;
    float dropout;
    uint32_t outputs, hidden;
};

/* The reference network: weights as [in][out] in double. */
struct reference {
    const struct sample *sample;
    uint32_t in[LAYERS], out[LAYERS];
    double weight[LAYERS][WIDTH_MAX][WIDTH_MAX], bias[LAYERS][WIDTH_MAX];
    double gamma[LAYERS][WIDTH_MAX], beta[LAYERS][WIDTH_MAX];
    double table[TABLE_ROWS][TABLE_WIDTH];
    double mask[LAYERS][ROWS][WIDTH_MAX];
};

static float x[ROWS][COLUMNS], y[ROWS], weight[ROWS];
static const float class_weight[4] = {0.5f, 2.0f, 1.5f, 1.0f};
static uint32_t rows[ROWS];
static struct reference reference;

static double activate(const struct sample *s, double z)
{
    double alpha = (double)s->alpha;
    switch (s->activation) {
    case LP_ACTIVATION_NONE: return z;
    case LP_ACTIVATION_RELU: return z > 0 ? z : 0;
    case LP_ACTIVATION_LEAKY_RELU: return z > 0 ? z : alpha * z;
    case LP_ACTIVATION_ELU: return z > 0 ? z : alpha * expm1(z);
    case LP_ACTIVATION_TANH: return tanh(z);
    case LP_ACTIVATION_SIGMOID: return 1 / (1 + exp(-z));
    case LP_ACTIVATION_GELU: return z / 2 * (1 + erf(z / sqrt(2)));
    case LP_ACTIVATION_GELU_TANH: return z / 2 * (1 + tanh(sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
    case LP_ACTIVATION_SILU: return z / (1 + exp(-z));
    case LP_ACTIVATION_SOFTPLUS: return log1p(exp(z));
    default: break;
    }
    return NAN;
}

static double row_loss(const struct sample *s, const double *z, float label)
{
    double target = (double)label, e = z[0] - target, sum = 0;
    switch (s->loss) {
    case LP_LOSS_SQUARED: return e * e / 2;
    case LP_LOSS_BINARY: return log1p(exp(z[0])) - target * z[0];
    case LP_LOSS_HUBER: return fabs(e) <= 0.75 ? e * e / 2 : 0.75 * (fabs(e) - 0.375);
    case LP_LOSS_POISSON: return exp(z[0]) - target * z[0];
    case LP_LOSS_CATEGORICAL:
        for (uint32_t k = 0; k < s->outputs; k++) sum += exp(z[k]);
        return log(sum) - z[(int)label];
    case LP_LOSS_BPR: break;
    }
    return NAN;
}

static uint32_t set_input(const struct reference *ref, uint32_t row, double *h)
{
    uint32_t width = 0;
    for (uint32_t c = 0; c < COLUMNS; c++)
        if (!ref->sample->table || c != 2) h[width++] = (double)x[row][c];
    for (uint32_t c = 0; ref->sample->table && c < TABLE_WIDTH; c++) h[width++] = ref->table[(int)x[row][2]][c];
    return width;
}

static void normalize(const struct reference *ref, uint32_t layer, double h[ROWS][WIDTH_MAX])
{
    for (uint32_t c = 0; c < ref->out[layer]; c++) {
        double mean = 0, variance = 0;
        for (int r = 0; r < ROWS; r++) mean += h[r][c] / ROWS;
        for (int r = 0; r < ROWS; r++) variance += (h[r][c] - mean) * (h[r][c] - mean) / ROWS;
        for (int r = 0; r < ROWS; r++)
            h[r][c] = ref->gamma[layer][c] * (h[r][c] - mean) / sqrt(variance + 1e-5) + ref->beta[layer][c];
    }
}

static void run_layer(const struct reference *ref, uint32_t layer, double h[ROWS][WIDTH_MAX])
{
    const struct sample *s = ref->sample;
    static double z[ROWS][WIDTH_MAX];
    bool last = layer + 1 == LAYERS;
    for (int r = 0; r < ROWS; r++)
        for (uint32_t c = 0; c < ref->out[layer]; c++) {
            z[r][c] = s->norm && !last ? 0 : ref->bias[layer][c];
            for (uint32_t k = 0; k < ref->in[layer]; k++) z[r][c] += h[r][k] * ref->weight[layer][k][c];
        }
    if (s->norm && !last) normalize(ref, layer, z);
    for (int r = 0; r < ROWS; r++)
        for (uint32_t c = 0; c < ref->out[layer]; c++)
            h[r][c] = last ? z[r][c] : activate(s, z[r][c]) * ref->mask[layer][r][c];
}

static double total_loss(const struct reference *ref)
{
    const struct sample *s = ref->sample;
    static double h[ROWS][WIDTH_MAX];
    double sum = 0;
    for (uint32_t r = 0; r < ROWS; r++) set_input(ref, r, h[r]);
    for (uint32_t layer = 0; layer < LAYERS; layer++) run_layer(ref, layer, h);
    for (int r = 0; r < ROWS; r++) {
        double w = s->weights ? (double)weight[r] : 1;
        if (s->classes) w *= (double)class_weight[(int)y[r]];
        if (s->loss != LP_LOSS_BPR) sum += w * row_loss(s, h[r], y[r]);
        else if (r % 2 == 0) sum += 2 * w * log1p(exp(h[r + 1][0] - h[r][0]));
    }
    return sum / ROWS;
}

static double derivative(double *at)
{
    const double h = 1e-5;
    double before = *at, up, down;
    *at = before + h;
    up = total_loss(&reference);
    *at = before - h;
    down = total_loss(&reference);
    *at = before;
    return (up - down) / (2 * h);
}

static void expect(const char *what, uint32_t layer, double got, double want)
{
    if (fabs(got - want) <= 2e-6 + 2e-4 * fabs(want)) return;
    fail_msg("layer %u, %s: %.9g, by differences %.9g", layer, what, got, want);
}

static void fill(const struct sample *s)
{
    uint64_t random = 12345;
    for (int r = 0; r < ROWS; r++) {
        rows[r] = (uint32_t)r;
        for (int c = 0; c < COLUMNS; c++) x[r][c] = (float)(2 * lp_train_uniform(&random) - 1);
        if (s->table) x[r][2] = (float)lp_train_below(&random, TABLE_ROWS);
        weight[r] = (float)(lp_train_uniform(&random) + 0.25);
        y[r] = (float)(3 * lp_train_uniform(&random) - 1);
        if (s->loss == LP_LOSS_BINARY || s->loss == LP_LOSS_POISSON) y[r] = (float)lp_train_below(&random, 2);
        if (s->loss == LP_LOSS_CATEGORICAL) y[r] = (float)lp_train_below(&random, s->outputs);
    }
}

static void copy_net(const struct lp_net *net, const struct lp_pass *pass)
{
    static float plain[WIDTH_MAX * WIDTH_MAX];
    for (uint32_t i = 0; i < LAYERS; i++) {
        const struct lp_net_dense *d = &net->dense[i];
        reference.in[i] = d->in;
        reference.out[i] = d->out;
        lp_net_get_weight(net, i, plain);
        for (uint32_t c = 0; c < d->out; c++) {
            for (uint32_t k = 0; k < d->in; k++) reference.weight[i][k][c] = (double)plain[k * d->out + c];
            if (d->bias != SIZE_MAX) reference.bias[i][c] = (double)net->params[d->bias + c];
            if (d->gamma != SIZE_MAX) reference.gamma[i][c] = (double)net->params[d->gamma + c];
            if (d->beta != SIZE_MAX) reference.beta[i][c] = (double)net->params[d->beta + c];
            for (int r = 0; r < ROWS; r++) {
                bool dropped = net->spec.layers[i].dropout > 0;
                reference.mask[i][r][c] = dropped ? (double)pass->slope[i][(uint32_t)r * d->out_stride + c] : 1;
            }
        }
    }
    for (uint32_t r = 0; net->spec.embedding_count > 0 && r < TABLE_ROWS; r++)
        for (int c = 0; c < TABLE_WIDTH; c++) reference.table[r][c] = (double)lp_net_table_row(net, 0, r)[c];
}

static void check_layer(const struct lp_net *net, const float *gradient, uint32_t i)
{
    const struct lp_net_dense *d = &net->dense[i];
    for (uint32_t c = 0; c < d->out; c++) {
        for (uint32_t k = 0; k < d->in; k++) {
            size_t at = d->weight + (d->is_vector ? k : k * d->weight_stride + c);
            expect("weight", i, (double)gradient[at], derivative(&reference.weight[i][k][c]));
        }
        if (d->bias != SIZE_MAX) expect("bias", i, (double)gradient[d->bias + c], derivative(&reference.bias[i][c]));
        if (d->gamma == SIZE_MAX) continue;
        expect("gamma", i, (double)gradient[d->gamma + c], derivative(&reference.gamma[i][c]));
        expect("beta", i, (double)gradient[d->beta + c], derivative(&reference.beta[i][c]));
    }
    for (uint32_t r = 0; !d->is_vector && r < d->weight_rows; r++)
        for (size_t c = d->out; c < lp_train_padded(d->out); c++)
            assert_true(gradient[d->weight + r * d->weight_stride + c] == 0.0f);
}

static void check_table(const struct lp_net *net, const float *delta)
{
    for (int row = 0; row < TABLE_ROWS; row++)
        for (uint32_t c = 0; c < TABLE_WIDTH; c++) {
            double sum = 0;
            for (int r = 0; r < ROWS; r++)
                if ((int)x[r][2] == row) sum += (double)delta[(size_t)r * net->input_stride + net->plain_count + c];
            expect("table", 0, sum, derivative(&reference.table[row][c]));
        }
}

static void set_shapes(const struct sample *s, struct lp_net_spec *spec)
{
    static const struct lp_net_embedding table = {.column = 2, .rows = TABLE_ROWS, .width = TABLE_WIDTH};
    struct lp_net_layer hidden = {s->hidden, s->activation, s->alpha, s->dropout, s->norm};
    *spec = (struct lp_net_spec){.column_count = COLUMNS, .layer_count = LAYERS};
    spec->embedding_count = s->table;
    spec->embeddings = &table;
    spec->layers[0] = spec->layers[1] = hidden;
    spec->layers[1].width = s->hidden - 2;
    spec->layers[2] = (struct lp_net_layer){.width = s->outputs};
}

static void check_sample(const struct sample *s)
{
    struct lp_net_spec spec;
    struct lp_net net;
    struct lp_team team;
    struct lp_pass pass;
    struct lp_error err;
    struct lp_train_loss loss = {s->loss, s->outputs, 0.75f};
    const float *delta;
    fill(s);
    set_shapes(s, &spec);
    assert_int_equal(lp_net_init(&net, &spec, 7, &err), LP_OK);
    for (size_t i = 0; i < 2 && s->norm; i++)
        for (uint32_t c = 0; c < net.dense[i].out; c++) net.params[net.dense[i].beta + c] = 0.1f * (float)c;
    for (uint32_t c = 0; c < s->outputs; c++) net.params[net.dense[2].bias + c] = 0.05f * (float)c;
    assert_int_equal(lp_team_init(&team, 1, NULL, lp_pass_sum_max(&net), &err), LP_OK);
    assert_int_equal(lp_pass_init(&pass, &net, &team, 0, ROWS, &err), LP_OK);
    pass.class_weight = s->classes ? class_weight : NULL;
    pass.dropout_seed = 99;
    struct lp_train_data data = {.row_count = ROWS, .column_count = COLUMNS, .x = x[0], .x_row = COLUMNS, .y = y};
    data.weight = s->weights ? weight : NULL;
    struct lp_share share = {&data, rows, rows, ROWS, ROWS, 3};
    double got = lp_pass_learn(&pass, &loss, &share, &delta);
    reference = (struct reference){.sample = s};
    copy_net(&net, &pass);
    double pairs = s->loss == LP_LOSS_BPR ? 2 : 1;
    expect("loss", LAYERS, got * pairs / ROWS, total_loss(&reference));
    for (uint32_t i = 0; i < LAYERS; i++) check_layer(&net, pass.gradient, i);
    if (s->table) check_table(&net, delta);
    lp_pass_done(&pass);
    lp_team_done(&team);
    lp_net_done(&net);
}

static void gradients_of_every_loss_are_differences(void **state)
{
    (void)state;
    for (int loss = LP_LOSS_SQUARED; loss <= LP_LOSS_BPR; loss++)
        for (int weights = 0; weights < 2; weights++)
            check_sample(&(struct sample){.loss = (enum lp_train_loss_kind)loss,
                                          .activation = LP_ACTIVATION_TANH,
                                          .weights = weights,
                                          .outputs = loss == LP_LOSS_CATEGORICAL ? 4 : 1,
                                          .hidden = 9});
}

static void gradients_with_class_weights_are_differences(void **state)
{
    (void)state;
    check_sample(&(struct sample){.loss = LP_LOSS_BINARY,
                                  .activation = LP_ACTIVATION_RELU,
                                  .classes = true,
                                  .weights = true,
                                  .outputs = 1,
                                  .hidden = 8});
    check_sample(&(struct sample){
        .loss = LP_LOSS_CATEGORICAL, .activation = LP_ACTIVATION_RELU, .classes = true, .outputs = 3, .hidden = 8});
}

static void gradients_of_every_activation_are_differences(void **state)
{
    (void)state;
    for (int a = LP_ACTIVATION_NONE; a <= LP_ACTIVATION_SOFTPLUS; a++)
        for (int norm = 0; norm < 2; norm++)
            check_sample(&(struct sample){.loss = LP_LOSS_BINARY,
                                          .activation = (enum lp_activation)a,
                                          .alpha = 0.3f,
                                          .norm = norm,
                                          .outputs = 1,
                                          .hidden = 11});
}

static void gradients_with_dropout_follow_the_mask(void **state)
{
    (void)state;
    check_sample(&(struct sample){.loss = LP_LOSS_CATEGORICAL, .dropout = 0.4f, .outputs = 3, .hidden = 19});
    check_sample(&(struct sample){.loss = LP_LOSS_SQUARED, .dropout = 0.25f, .norm = true, .outputs = 1, .hidden = 20});
}

static void gradients_of_tables_are_differences(void **state)
{
    (void)state;
    check_sample(&(struct sample){
        .loss = LP_LOSS_BINARY, .activation = LP_ACTIVATION_RELU, .table = true, .outputs = 1, .hidden = 16});
    check_sample(&(struct sample){.loss = LP_LOSS_CATEGORICAL,
                                  .activation = LP_ACTIVATION_GELU,
                                  .table = true,
                                  .norm = true,
                                  .outputs = 4,
                                  .hidden = 17});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_loss_are_differences),
        cmocka_unit_test(gradients_with_class_weights_are_differences),
        cmocka_unit_test(gradients_of_every_activation_are_differences),
        cmocka_unit_test(gradients_with_dropout_follow_the_mask),
        cmocka_unit_test(gradients_of_tables_are_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
