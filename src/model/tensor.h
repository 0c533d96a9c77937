/* One tensor of a bundle file. */
#ifndef LP_MODEL_TENSOR_H
#define LP_MODEL_TENSOR_H

#include <stddef.h>
#include <stdint.h>

enum lp_dtype {
    LP_DTYPE_F32,
    LP_DTYPE_F64,
    LP_DTYPE_I64,
    LP_DTYPE_I32,
    LP_DTYPE_U8,
    LP_DTYPE_I8,
    LP_DTYPE_F16,
    LP_DTYPE_BF16,
    LP_DTYPE_COUNT,
};

enum { LP_BUNDLE_RANK_MAX = 8 };

struct lp_tensor {
    const char *name;
    enum lp_dtype dtype;
    uint32_t rank;
    uint64_t dims[LP_BUNDLE_RANK_MAX];
    uint64_t count;   /* elements */
    const void *data; /* owned by the bundle, 8-byte aligned, finite when floating */
};

/** "F32", as safetensors files name it; static. */
const char *lp_dtype_name(enum lp_dtype dtype);
size_t lp_dtype_bytes(enum lp_dtype dtype);

/** F32, F16, BF16: exactly as float. I8: the whole number. Others must not be asked. O(count). */
void lp_tensor_widen(const struct lp_tensor *tensor, float *ret_values);

#endif
