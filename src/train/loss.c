#include "train/loss.h"

#include "kernels/activation/activation.h"

#include <math.h>

enum { CHUNK = 256 };

/* log(1 + exp(x)) without overflow. */
static float softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }
static float sigmoid(float x)
{
    float e = expf(-fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

static float weight_of(const float *weight, uint32_t r) { return weight != NULL ? weight[r] : 1.0f; }

/* One output: value and slope of one row. */
static float single(const struct lp_train_loss *loss, float z, float y, float *slope)
{
    float e = z - y;
    switch (loss->kind) {
    case LP_LOSS_HUBER:
        *slope = e > loss->delta ? loss->delta : e < -loss->delta ? -loss->delta : e;
        return fabsf(e) <= loss->delta ? 0.5f * e * e : loss->delta * (fabsf(e) - 0.5f * loss->delta);
    case LP_LOSS_POISSON: {
        float mean = expf(z);
        *slope = mean - y;
        return mean - y * z;
    }
    case LP_LOSS_BINARY:
    case LP_LOSS_CATEGORICAL:
    case LP_LOSS_BPR:
    case LP_LOSS_SQUARED: break;
    }
    *slope = e;
    return 0.5f * e * e;
}

static double run_single(const struct lp_train_loss *loss, const float *z, size_t z_row, const float *y,
                         const float *weight, uint32_t rows, float scale, float *dz)
{
    double sum = 0;
    for (uint32_t r = 0; r < rows; r++) {
        float slope, w = weight_of(weight, r);
        sum += (double)(w * single(loss, z[r * z_row], y[r], &slope));
        if (dz != NULL) dz[r * z_row] = scale * w * slope;
    }
    return sum;
}

/*
 * Contiguous margins. With p = sigmoid(|z|) the loss is max(z, 0) - y z - log(p): one vector sigmoid, and the logs of
 * eight rows are one log of a product (each factor is from 1/2 to 1).
 */
static double run_binary(const float *z, const float *y, const float *weight, uint32_t rows, float scale, float *dz)
{
    enum { GROUP = 8 };
    lp_activation_run *sigmoids = lp_activation_select(lp_cpu_get(), LP_ACT_SIGMOID, NULL);
    double sum = 0;
    for (uint32_t first = 0; first < rows; first += CHUNK) {
        uint32_t count = rows - first < CHUNK ? rows - first : CHUNK, r = 0;
        const float *zs = z + first, *ys = y + first, *ws = weight != NULL ? weight + first : NULL;
        float p[CHUNK], part = 0, linear[CHUNK];
        sigmoids(zs, count, 0, 0, p);
        for (uint32_t i = 0; i < count; i++) linear[i] = (zs[i] > 0 ? zs[i] : 0.0f) - ys[i] * zs[i];
        for (; ws == NULL && count - r >= GROUP; r += GROUP) {
            float product = 1;
            for (uint32_t i = r; i < r + GROUP; i++) {
                product *= p[i] < 0.5f ? 1 - p[i] : p[i];
                part += linear[i];
            }
            part -= logf(product);
        }
        for (; r < count; r++) part += weight_of(ws, r) * (linear[r] + softplus(-fabsf(zs[r])));
        for (uint32_t i = 0; dz != NULL && i < count; i++) dz[first + i] = scale * weight_of(ws, i) * (p[i] - ys[i]);
        sum += (double)part;
    }
    return sum;
}

static double run_categorical(uint32_t outputs, const float *z, size_t z_row, const float *y, const float *weight,
                              uint32_t rows, float scale, float *dz)
{
    double sum = 0;
    lp_softmax_run *softmax = lp_softmax_select(lp_cpu_get());
    for (uint32_t r = 0; r < rows; r++) {
        const float *row = z + r * z_row;
        float top = row[0], total = 0, w = weight_of(weight, r);
        uint32_t class = (uint32_t)y[r];
        for (uint32_t i = 1; i < outputs; i++) top = row[i] > top ? row[i] : top;
        for (uint32_t i = 0; i < outputs; i++) total += expf(row[i] - top);
        sum += (double)(w * (logf(total) + top - row[class]));
        if (dz == NULL) continue;
        float *to = dz + r * z_row;
        softmax(row, 1, outputs, to);
        to[class] -= 1;
        for (uint32_t i = 0; i < outputs; i++) to[i] *= scale * w;
        for (size_t i = outputs; i < z_row; i++) to[i] = 0;
    }
    return sum;
}

static double run_bpr(const float *z, size_t z_row, const float *weight, uint32_t rows, float scale, float *dz)
{
    double sum = 0;
    for (uint32_t r = 0; r + 1 < rows; r += 2) {
        float margin = z[r * z_row] - z[(r + 1) * z_row], w = weight_of(weight, r);
        sum += (double)(w * softplus(-margin));
        if (dz == NULL) continue;
        float slope = scale * w * sigmoid(-margin);
        dz[r * z_row] = -slope;
        dz[(r + 1) * z_row] = slope;
    }
    return sum;
}

double lp_loss_run(const struct lp_train_loss *loss, const float *z, size_t z_row, const float *y, const float *weight,
                   uint32_t rows, float scale, float *dz)
{
    switch (loss->kind) {
    case LP_LOSS_CATEGORICAL: return run_categorical(loss->outputs, z, z_row, y, weight, rows, scale, dz);
    case LP_LOSS_BPR: return run_bpr(z, z_row, weight, rows, scale, dz);
    case LP_LOSS_BINARY: return run_binary(z, y, weight, rows, scale, dz);
    case LP_LOSS_SQUARED:
    case LP_LOSS_HUBER:
    case LP_LOSS_POISSON: break;
    }
    return run_single(loss, z, z_row, y, weight, rows, scale, dz);
}
