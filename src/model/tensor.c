#include "model/tensor.h"

#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [LP_DTYPE_F32] = {"F32", 4}, [LP_DTYPE_F64] = {"F64", 8},   [LP_DTYPE_I64] = {"I64", 8},
    [LP_DTYPE_I32] = {"I32", 4}, [LP_DTYPE_U8] = {"U8", 1},     [LP_DTYPE_I8] = {"I8", 1},
    [LP_DTYPE_F16] = {"F16", 2}, [LP_DTYPE_BF16] = {"BF16", 2},
};

const char *lp_dtype_name(enum lp_dtype dtype) { return dtypes[dtype].name; }
size_t lp_dtype_bytes(enum lp_dtype dtype) { return dtypes[dtype].bytes; }

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16. A subnormal is its fraction times 2^-24, which float holds exactly. */
static float from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 31u, fraction = half & 0x3ffu;
    if (exponent == 0) return from_bits(sign) + (sign != 0 ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    if (exponent == 31) return from_bits(sign | 0x7f800000u | fraction << 13);
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

void lp_tensor_widen(const struct lp_tensor *tensor, float *ret_values)
{
    switch (tensor->dtype) {
    case LP_DTYPE_F32: memcpy(ret_values, tensor->data, tensor->count * sizeof *ret_values); break;
    case LP_DTYPE_F16:
        for (uint64_t i = 0; i < tensor->count; i++) ret_values[i] = from_half(((const uint16_t *)tensor->data)[i]);
        break;
    case LP_DTYPE_BF16:
        for (uint64_t i = 0; i < tensor->count; i++)
            ret_values[i] = from_bits((uint32_t)((const uint16_t *)tensor->data)[i] << 16);
        break;
    case LP_DTYPE_I8:
        for (uint64_t i = 0; i < tensor->count; i++) ret_values[i] = ((const int8_t *)tensor->data)[i];
        break;
    case LP_DTYPE_F64:
    case LP_DTYPE_I64:
    case LP_DTYPE_I32:
    case LP_DTYPE_U8:
    case LP_DTYPE_COUNT: break;
    }
}
