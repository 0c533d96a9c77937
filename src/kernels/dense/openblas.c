/*
 * OpenBLAS sgemm with the bias as C and the activation after it. It repacks the weights at every call, so it pays where
 * the rows are many and the layer is large. Results may differ in the last bits with the batch size.
 */
#include "kernels/dense/dense.h"

#include <cblas.h>
#include <limits.h>
#include <string.h>

static size_t packed_floats(uint32_t in_width, uint32_t out_width)
{
    return lp_dense_f32_scalar.packed_floats(in_width, out_width);
}

static void pack(const float *weight, const float *bias, uint32_t in_width, uint32_t out_width, float *packed)
{
    lp_dense_f32_scalar.pack(weight, bias, in_width, out_width, packed);
}

static void run(const struct lp_dense_layer *layer, const float *x, uint32_t row_count, float *y)
{
    uint32_t in = layer->in_width, out = layer->out_width;
    if (row_count == 0 || out == 0) return;
    size_t x_stride = lp_dense_x_stride(layer), y_stride = lp_dense_y_stride(layer);
    if (in == 0 || x_stride > INT_MAX || y_stride > INT_MAX || row_count > INT_MAX) {
        lp_dense_f32_scalar.run(layer, x, row_count, y);
        return;
    }
    for (uint32_t r = 0; r < row_count; r++) memcpy(y + r * y_stride, layer->packed, out * sizeof *y);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)row_count, (int)out, (int)in, 1.0f, x, (int)x_stride,
                layer->packed + out, (int)out, 1.0f, y, (int)y_stride);
    for (uint32_t r = 0; layer->relu && r < row_count; r++, y += y_stride)
        for (uint32_t n = 0; n < out; n++) y[n] = y[n] < 0.0f ? 0.0f : y[n];
}

const struct lp_dense_kernel lp_dense_f32_openblas = {"openblas", packed_floats, pack, run, NULL};

bool lp_dense_openblas_setup(const char **ret_build)
{
    enum { PTHREAD = 1 }; /* openblas_get_parallel: 0 serial, 1 pthread, 2 OpenMP */
    *ret_build = openblas_get_config();
    if (openblas_get_parallel() != PTHREAD) return false;
    openblas_set_num_threads(1);
    return true;
}
