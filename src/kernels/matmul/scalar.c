/* Reference: one output at a time. */
#include "kernels/matmul/matmul.h"

static void multiply(const struct lp_matmul *s, const float *a, const float *b, float *y)
{
    size_t a_row = s->a_row != 0 ? s->a_row : s->k, y_row = s->y_row != 0 ? s->y_row : s->n;
    size_t b_row = s->b_row != 0 ? s->b_row : s->transpose_b ? s->k : s->n;
    size_t step = s->transpose_b ? 1 : b_row, next = s->transpose_b ? b_row : 1;
    for (uint32_t i = 0; i < s->m; i++) {
        for (uint32_t j = 0; j < s->n; j++) {
            float sum = 0.0f;
            for (uint32_t p = 0; p < s->k; p++) sum += a[i * a_row + p] * b[j * next + p * step];
            y[i * y_row + j] = sum;
        }
    }
}

static void run(const struct lp_matmul *shape, const float *a, const float *b, uint32_t record_count, float *y)
{
    for (uint32_t r = 0; r < record_count; r++)
        multiply(shape, a + r * shape->a_stride, b + r * shape->b_stride, y + r * shape->y_stride);
}

const struct lp_matmul_kernel lp_matmul_f32_scalar = {"scalar", run};
