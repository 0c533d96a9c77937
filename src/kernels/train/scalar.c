/* Plain C, one product after the other: the reference, and what runs below AVX2. */
#include "kernels/train/train.h"

#include <math.h>

static void product_row(const struct lp_train_product *p, uint32_t i)
{
    const float *a = p->a + i * p->a_row;
    float *c = p->c + i * p->c_row;
    for (uint32_t j = 0; j < p->n; j++) c[j] = p->first != NULL ? p->first[j] : 0.0f;
    for (uint32_t k = 0; k < p->k; k++) {
        const float value = a[k * p->a_step], *b = p->b + k * p->b_row;
        for (uint32_t j = 0; j < p->n; j++) c[j] += value * b[j];
    }
    for (uint32_t j = 0; p->relu && j < p->n; j++) c[j] = c[j] < 0.0f ? 0.0f : c[j];
    for (uint32_t j = 0; p->gate != NULL && j < p->n; j++) c[j] = p->gate[i * p->c_row + j] <= 0.0f ? 0.0f : c[j];
}

static void product(const struct lp_train_product *p)
{
    for (uint32_t i = 0; i < p->m; i++) product_row(p, i);
}

static void dot(const float *x, size_t x_row, uint32_t rows, const float *w, uint32_t k, float bias, float *y,
                size_t y_row)
{
    for (uint32_t r = 0; r < rows; r++) {
        float sum = 0;
        for (uint32_t i = 0; i < k; i++) sum += x[r * x_row + i] * w[i];
        y[r * y_row] = sum + bias;
    }
}

static void column_sums(const float *x, size_t x_row, uint32_t rows, uint32_t n, float *out)
{
    for (uint32_t j = 0; j < n; j++) out[j] = 0;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t j = 0; j < n; j++) out[j] += x[r * x_row + j];
}

static void add(const float *x, size_t count, float *sum)
{
    for (size_t i = 0; i < count; i++) sum[i] += x[i];
}

static void turn(const float *from, size_t from_row, uint32_t rows, uint32_t columns, float *to, size_t to_row)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < columns; c++) to[c * to_row + r] = from[r * from_row + c];
}

static float gradient(const struct lp_train_step *s, float g, float w)
{
    return s->scale * g + s->l2 * w + (w > 0 ? s->l1 : w < 0 ? -s->l1 : 0.0f);
}

static void adam(const struct lp_train_step *s, size_t count, const float *g, float *w, float *m, float *v)
{
    for (size_t i = 0; i < count; i++) {
        float step = gradient(s, g[i], w[i]);
        m[i] = s->beta1 * m[i] + (1 - s->beta1) * step;
        v[i] = s->beta2 * v[i] + (1 - s->beta2) * (step * step);
        w[i] = w[i] * s->keep - s->rate * m[i] / (sqrtf(v[i]) * s->root + s->epsilon);
    }
}

static void momentum(const struct lp_train_step *s, size_t count, const float *g, float *w, float *m)
{
    for (size_t i = 0; i < count; i++) {
        m[i] = s->beta1 * m[i] + gradient(s, g[i], w[i]);
        w[i] = w[i] * s->keep - s->rate * m[i];
    }
}

const struct lp_train_kernel lp_train_f32_scalar = {"scalar", product, dot, column_sums, add, turn, adam, momentum};
