/* What the int8 kernels share: packed layers for products of u8 x s8 in fours, and quantized rows. Private. */
#ifndef LP_KERNELS_DENSE_I8_PRIVATE_H
#define LP_KERNELS_DENSE_I8_PRIVATE_H

#include "kernels/dense_i8/dense_i8.h"

enum { LP_DENSE_I8_ROW_ALIGN = 64 };

/**
 * Rows in scratch: [row_count] scales (NaN: the row has no result), [row_count] zero points, each padded to 64 bytes,
 * then the values, row_bytes apart, zeros behind in_width.
 */
struct lp_dense_i8_rows {
    float *scales;
    int32_t *zeros;
    unsigned char *values;
    size_t row_bytes;
};

struct lp_dense_i8_rows lp_dense_i8_rows_at(void *scratch, uint32_t row_count, size_t value_bytes, uint32_t in_width);
size_t lp_dense_i8_rows_bytes(uint32_t row_count, size_t value_bytes, uint32_t in_width);

/**
 * x * inverse lies within 2^-15 of x / scale, rounded to float, while either is below 256; above both are clamped. So
 * they round to the same whole number unless the product is further than this from one: then, and for NaN, divide.
 */
#define LP_DENSE_I8_SURE (0.5f - 0x1p-13f)

/** 1 / scale; NaN where that would be denormal. */
static inline float lp_dense_i8_inverse(float scale) { return scale <= 0x1p126f ? 1.0f / scale : __builtin_nanf(""); }

/** Rows to u8. */
void lp_dense_i8_quantize_avx512(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count,
                                 const struct lp_dense_i8_rows *rows);
void lp_dense_i8_quantize_avx2(const struct lp_dense_i8_layer *layer, const float *x, uint32_t row_count,
                               const struct lp_dense_i8_rows *rows);

/**
 * Packed for products in fours: [columns] bias, [columns] factor, [columns] sum of the column's weights (int32),
 * columns padded to `lanes`; then blocks of 2 * lanes columns (the last of `lanes` where no more are left), each
 * [fours][columns of the block][4], where the inputs are padded with zeros to a multiple of `inputs` (4 or 64).
 */
struct lp_dense_i8_fours {
    const float *bias, *factor;
    const int32_t *sum;
    const int8_t *weight;
    size_t fours; /* padded inputs / 4 */
};

size_t lp_dense_i8_fours_bytes(uint32_t in_width, uint32_t out_width, uint32_t lanes, uint32_t inputs);
void lp_dense_i8_fours_pack(const int8_t *weight, const float *weight_scale, uint32_t weight_scale_count,
                            const float *bias, uint32_t in_width, uint32_t out_width, uint32_t lanes, uint32_t inputs,
                            void *packed);
struct lp_dense_i8_fours lp_dense_i8_fours_of(const struct lp_dense_i8_layer *layer, uint32_t lanes, uint32_t inputs);

/** The VNNI kernel over a layer packed with 16 lanes and any padding of the inputs. */
void lp_dense_i8_run_vnni(const struct lp_dense_i8_layer *layer, const struct lp_dense_i8_fours *fours, const float *x,
                          uint32_t row_count, float *y, void *scratch);

#endif
