/* Constants: elements of every type as the file has them, read one at a time as double or whole number. */
#include "import/onnx/private.h"

#include <math.h>
#include <string.h>

size_t lp_onnx_type_bytes(enum lp_onnx_type type)
{
    switch (type) {
    case LP_ONNX_UINT8:
    case LP_ONNX_INT8:
    case LP_ONNX_BOOL: return 1;
    case LP_ONNX_UINT16:
    case LP_ONNX_INT16:
    case LP_ONNX_FLOAT16:
    case LP_ONNX_BFLOAT16: return 2;
    case LP_ONNX_FLOAT:
    case LP_ONNX_INT32:
    case LP_ONNX_UINT32: return 4;
    case LP_ONNX_DOUBLE:
    case LP_ONNX_INT64:
    case LP_ONNX_UINT64: return 8;
    case LP_ONNX_STRING: return sizeof(struct lp_span);
    default: return 0;
    }
}

bool lp_onnx_type_whole(enum lp_onnx_type type)
{
    return type != LP_ONNX_FLOAT && type != LP_ONNX_DOUBLE && type != LP_ONNX_FLOAT16 && type != LP_ONNX_BFLOAT16 &&
           type != LP_ONNX_STRING;
}

static float from_bits(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* IEEE 754 binary16: exact in float. */
static float from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 0x1fu, fraction = half & 0x3ffu;
    if (exponent == 0x1f) return from_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent > 0) return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return sign != 0 ? -small : small;
}

double lp_onnx_number_at(const struct lp_onnx_constant *constant, uint64_t i)
{
    const void *data = constant->data;
    switch (constant->type) {
    case LP_ONNX_FLOAT: return (double)((const float *)data)[i];
    case LP_ONNX_DOUBLE: return ((const double *)data)[i];
    case LP_ONNX_FLOAT16: return (double)from_half(((const uint16_t *)data)[i]);
    case LP_ONNX_BFLOAT16: return (double)from_bits((uint32_t)((const uint16_t *)data)[i] << 16);
    case LP_ONNX_UINT64: return (double)((const uint64_t *)data)[i];
    default: return (double)lp_onnx_whole_at(constant, i);
    }
}

static int64_t cut(double number)
{
    if (isnan(number)) return 0;
    if (number >= 0x1p63) return INT64_MAX;
    if (number <= -0x1p63) return INT64_MIN;
    return (int64_t)number;
}

int64_t lp_onnx_whole_at(const struct lp_onnx_constant *constant, uint64_t i)
{
    const void *data = constant->data;
    switch (constant->type) {
    case LP_ONNX_UINT8: return ((const uint8_t *)data)[i];
    case LP_ONNX_INT8: return ((const int8_t *)data)[i];
    case LP_ONNX_BOOL: return ((const uint8_t *)data)[i] != 0;
    case LP_ONNX_UINT16: return ((const uint16_t *)data)[i];
    case LP_ONNX_INT16: return ((const int16_t *)data)[i];
    case LP_ONNX_INT32: return ((const int32_t *)data)[i];
    case LP_ONNX_UINT32: return ((const uint32_t *)data)[i];
    case LP_ONNX_INT64: return ((const int64_t *)data)[i];
    case LP_ONNX_UINT64: {
        uint64_t whole = ((const uint64_t *)data)[i];
        return whole > INT64_MAX ? INT64_MAX : (int64_t)whole;
    }
    case LP_ONNX_FLOAT:
    case LP_ONNX_DOUBLE:
    case LP_ONNX_FLOAT16:
    case LP_ONNX_BFLOAT16: return cut(lp_onnx_number_at(constant, i));
    default: return 0;
    }
}

/* Elements of a shape; the most that memory for them can be asked for is checked by whoever takes it. */
static enum lp_code count_elements(uint32_t rank, const uint64_t *dims, uint64_t *ret_count, struct lp_error *err)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < rank; i++)
        if (__builtin_mul_overflow(count, dims[i], &count) || count > INT64_MAX / 16 || dims[i] > INT64_MAX / 16)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "its shape has more elements than memory");
    *ret_count = count;
    return LP_OK;
}

static enum lp_code shape_of(const Onnx__Tensor *proto, struct lp_onnx_constant *constant, struct lp_error *err)
{
    if (proto->n_dims > LP_ONNX_RANK_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu axes, at most %d are read", proto->n_dims, LP_ONNX_RANK_MAX);
    constant->rank = (uint32_t)proto->n_dims;
    for (uint32_t i = 0; i < constant->rank; i++) {
        if (proto->dims[i] < 0)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "a dimension of %lld", (long long)proto->dims[i]);
        constant->dims[i] = (uint64_t)proto->dims[i];
    }
    return count_elements(constant->rank, constant->dims, &constant->count, err);
}

enum lp_code lp_onnx_constant_new(struct lp_onnx *onnx, enum lp_onnx_type type, uint32_t rank, const uint64_t *dims,
                                  struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    struct lp_onnx_constant *constant = lp_onnx_take(onnx, 1, sizeof *constant, err);
    if (constant == NULL) return lp_failed(err->code);
    if (rank > LP_ONNX_RANK_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "a constant of %u axes, at most %d are read", rank, LP_ONNX_RANK_MAX);
    *constant = (struct lp_onnx_constant){.type = type, .rank = rank};
    if (rank > 0) memcpy(constant->dims, dims, rank * sizeof *dims);
    LP_TRY(count_elements(rank, dims, &constant->count, err));
    if (constant->count > LP_ONNX_FOLDED_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "a constant of %llu elements would be computed, at most %d are",
                       (unsigned long long)constant->count, LP_ONNX_FOLDED_MAX);
    constant->data = lp_onnx_take(onnx, constant->count, lp_onnx_type_bytes(type), err);
    if (constant->data == NULL) return lp_failed(err->code);
    *ret_constant = constant;
    return LP_OK;
}

/* --- the fields of a TensorProto that are not raw_data --- */

/* One element of a list of wider numbers, cut to its type; floats of 16 bits are in the low bits of int32_data. */
static void put_whole(struct lp_onnx_constant *constant, void *data, uint64_t i, int64_t whole)
{
    switch (lp_onnx_type_bytes(constant->type)) {
    case 1: ((uint8_t *)data)[i] = (uint8_t)whole; break;
    case 2: ((uint16_t *)data)[i] = (uint16_t)whole; break;
    case 4: ((uint32_t *)data)[i] = (uint32_t)whole; break;
    default: ((uint64_t *)data)[i] = (uint64_t)whole; break;
    }
}

static size_t typed_count(const Onnx__Tensor *proto, enum lp_onnx_type type)
{
    switch (type) {
    case LP_ONNX_FLOAT: return proto->n_float_data;
    case LP_ONNX_DOUBLE: return proto->n_double_data;
    case LP_ONNX_INT64: return proto->n_int64_data;
    case LP_ONNX_UINT32:
    case LP_ONNX_UINT64: return proto->n_uint64_data;
    case LP_ONNX_STRING: return proto->n_string_data;
    default: return proto->n_int32_data;
    }
}

static enum lp_code copy_typed(struct lp_onnx *onnx, const Onnx__Tensor *proto, struct lp_onnx_constant *constant,
                               struct lp_error *err)
{
    size_t have = typed_count(proto, constant->type);
    if (have != constant->count)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%zu elements, its shape says %llu", have,
                       (unsigned long long)constant->count);
    void *data = lp_onnx_take(onnx, constant->count, lp_onnx_type_bytes(constant->type), err);
    if (data == NULL) return lp_failed(err->code);
    constant->data = data;
    for (uint64_t i = 0; i < constant->count; i++) {
        switch (constant->type) {
        case LP_ONNX_FLOAT: ((float *)data)[i] = proto->float_data[i]; break;
        case LP_ONNX_DOUBLE: ((double *)data)[i] = proto->double_data[i]; break;
        case LP_ONNX_INT64: ((int64_t *)data)[i] = proto->int64_data[i]; break;
        case LP_ONNX_STRING:
            ((struct lp_span *)data)[i] = lp_span_of(proto->string_data[i].data, proto->string_data[i].len);
            break;
        case LP_ONNX_UINT32:
        case LP_ONNX_UINT64: put_whole(constant, data, i, (int64_t)proto->uint64_data[i]); break;
        default: put_whole(constant, data, i, proto->int32_data[i]); break;
        }
    }
    return LP_OK;
}

enum { LOCATION_EXTERNAL = 1 };

static enum lp_code read_data(struct lp_onnx *onnx, const Onnx__Tensor *proto, struct lp_onnx_constant *constant,
                              struct lp_error *err)
{
    size_t bytes = constant->count * lp_onnx_type_bytes(constant->type);
    if (proto->data_location == LOCATION_EXTERNAL) {
        void *data = NULL;
        if (constant->type == LP_ONNX_STRING)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "texts cannot be in a file of their own");
        LP_TRY(lp_onnx_external_read(onnx, proto, bytes, &data, err));
        constant->data = data;
        return LP_OK;
    }
    if (!proto->has_raw_data || (proto->raw_data.len == 0 && typed_count(proto, constant->type) > 0))
        return copy_typed(onnx, proto, constant, err);
    if (constant->type == LP_ONNX_STRING || proto->raw_data.len != bytes)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%zu bytes of raw data, its shape says %zu", proto->raw_data.len,
                       bytes);
    constant->data = proto->raw_data.data;
    return LP_OK;
}

enum lp_code lp_onnx_constant_read(struct lp_onnx *onnx, const Onnx__Tensor *proto,
                                   struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    struct lp_onnx_constant *constant = lp_onnx_take(onnx, 1, sizeof *constant, err);
    if (constant == NULL) return lp_failed(err->code);
    constant->type = (enum lp_onnx_type)proto->data_type;
    if (lp_onnx_type_bytes(constant->type) == 0)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "element type %d is not in this release", proto->data_type);
    if (proto->segment != NULL) return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "it is cut into segments");
    LP_TRY(shape_of(proto, constant, err));
    LP_TRY(read_data(onnx, proto, constant, err));
    *ret_constant = constant;
    return LP_OK;
}

/* --- tensors of the draft --- */

enum lp_code lp_onnx_tensor_new(struct lp_onnx *onnx, enum lp_dtype dtype, uint32_t rank, const uint64_t *dims,
                                struct lp_tensor **ret_tensor, void **ret_data, struct lp_error *err)
{
    struct lp_tensor *tensor = lp_onnx_take(onnx, 1, sizeof *tensor, err);
    if (tensor == NULL) return lp_failed(err->code);
    *tensor = (struct lp_tensor){.dtype = dtype, .rank = rank};
    if (rank > 0) memcpy(tensor->dims, dims, rank * sizeof *dims);
    LP_TRY(count_elements(rank, dims, &tensor->count, err));
    void *data = lp_onnx_take(onnx, tensor->count, lp_dtype_bytes(dtype), err);
    if (data == NULL) return lp_failed(err->code);
    tensor->data = data;
    *ret_tensor = tensor;
    *ret_data = data;
    return LP_OK;
}

static enum lp_code check_finite(const float *floats, uint64_t count, struct lp_error *err)
{
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(floats[i]))
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "a constant is not a finite float at element %llu",
                           (unsigned long long)i);
    return LP_OK;
}

enum lp_code lp_onnx_tensor(struct lp_onnx *onnx, struct lp_onnx_constant *constant,
                            const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    if (constant->floats != NULL) {
        *ret_tensor = constant->floats;
        return LP_OK;
    }
    if (constant->type == LP_ONNX_STRING || constant->has_batch)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "a constant of texts, or of the number of rows, in arithmetic");
    struct lp_tensor *tensor;
    if (constant->type == LP_ONNX_FLOAT) { /* the file's own memory, which the draft keeps */
        tensor = lp_onnx_take(onnx, 1, sizeof *tensor, err);
        if (tensor == NULL) return lp_failed(err->code);
        *tensor = (struct lp_tensor){
            .dtype = LP_DTYPE_F32, .rank = constant->rank, .count = constant->count, .data = constant->data};
        memcpy(tensor->dims, constant->dims, sizeof constant->dims);
    } else {
        void *data;
        LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, constant->rank, constant->dims, &tensor, &data, err));
        for (uint64_t i = 0; i < constant->count; i++) ((float *)data)[i] = (float)lp_onnx_number_at(constant, i);
    }
    LP_TRY(check_finite(tensor->data, tensor->count, err));
    constant->floats = tensor;
    *ret_tensor = tensor;
    return LP_OK;
}
