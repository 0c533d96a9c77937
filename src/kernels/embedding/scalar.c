/* Reference: one value at a time. */
#include "kernels/embedding/embedding.h"

#include <math.h>
#include <string.h>

static float of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16. */
static float of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 0x1Fu, fraction = half & 0x3FFu;
    if (exponent == 0x1F) return of_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent != 0) return of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float value = (float)fraction * 0x1p-24f;
    return sign != 0 ? -value : value;
}

static float value_at(const struct lp_embedding_table *table, uint32_t index, uint32_t column)
{
    size_t at = (size_t)index * table->width + column;
    switch (table->dtype) {
    case LP_EMBEDDING_F16: return of_half(((const uint16_t *)table->values)[at]);
    case LP_EMBEDDING_BF16: return of_bits((uint32_t)((const uint16_t *)table->values)[at] << 16);
    case LP_EMBEDDING_I8: return (float)((const int8_t *)table->values)[at] * table->scales[index];
    case LP_EMBEDDING_F32:
    case LP_EMBEDDING_DTYPES: break;
    }
    return ((const float *)table->values)[at];
}

static void copy(const struct lp_embedding_table *table, const uint32_t *indices, uint32_t id_count, float *y)
{
    for (uint32_t i = 0; i < id_count; i++) {
        for (uint32_t c = 0; c < table->width; c++)
            *y++ = indices[i] < table->row_count ? value_at(table, indices[i], c) : NAN;
    }
}

static float pooled(const struct lp_embedding_table *table, const uint32_t *indices, uint32_t id_count, uint32_t c)
{
    float all = 0.0f, count = 0.0f;
    for (uint32_t i = 0; i < id_count; i++) {
        if (indices[i] == LP_EMBEDDING_PADDING) continue;
        if (indices[i] >= table->row_count) return NAN;
        float value = value_at(table, indices[i], c);
        if (count == 0.0f) all = value;
        else if (table->pool != LP_POOL_MAX) all += value;
        else all = value > all || isnan(value) ? value : all;
        count += 1.0f;
    }
    return table->pool == LP_POOL_MEAN && count > 0.0f ? all / count : all;
}

static void run(const struct lp_embedding_table *table, const uint32_t *indices, uint32_t row_count, uint32_t id_count,
                float *y, size_t y_stride)
{
    for (uint32_t r = 0; r < row_count; r++, indices += id_count, y += y_stride) {
        if (table->pool == LP_POOL_NONE) copy(table, indices, id_count, y);
        else
            for (uint32_t c = 0; c < table->width; c++) y[c] = pooled(table, indices, id_count, c);
    }
}

const struct lp_embedding_kernel lp_embedding_scalar = {"scalar", run};
