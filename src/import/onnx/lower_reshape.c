/* Ops that give the same elements another shape. Rows stay whole: a shape that would cut or join them is refused. */
#include "import/onnx/lower.h"

#include <string.h>

/* Row and text values alike. */
static enum lp_code reshape_value(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t rank,
                                  const uint32_t *dims, struct lp_error *err)
{
    const struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0);
    struct lp_onnx_value made;
    uint32_t elements;
    LP_TRY(lp_graph_elements(rank, dims, &elements, err));
    if (input->kind == LP_ONNX_TEXT) {
        lp_onnx_bind_text(onnx, node, 0, input->columns, rank, dims);
        return LP_OK;
    }
    LP_TRY(lp_onnx_emit_reshape(onnx, input, rank, dims, &made, err));
    made.is_quantized = input->is_quantized;
    made.scale = input->scale;
    made.zero = input->zero;
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

static enum lp_code shaped_input(const struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                 const struct lp_onnx_value **ret_value, struct lp_error *err)
{
    const struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0);
    if (input == NULL) return lp_onnx_bad(node, err, "input 0 is missing");
    if (input->kind == LP_ONNX_CONSTANT) return lp_onnx_refuse(node, err, "a constant in a shape that is computed");
    if (input->dynamic != 0 || input->accumulated != 0)
        return lp_onnx_refuse(node, err, "a row's integers, without their scale, in another shape");
    *ret_value = input;
    return LP_OK;
}

/* --- Reshape --- */

/* One entry of a target behind the first; 0 for -1. */
static enum lp_code target_dim(const struct lp_onnx_node *node, const struct lp_onnx_value *input, size_t i,
                               int64_t entry, bool zero_is_zero, uint64_t *ret_dim, struct lp_error *err)
{
    if (entry == LP_ONNX_BATCH) return lp_onnx_refuse(node, err, "the batch would become axis %zu", i);
    if (entry == 0 && !zero_is_zero) {
        if (i > input->rank) return lp_onnx_bad(node, err, "axis %zu of the input, which has %u", i, input->rank + 1);
        *ret_dim = input->dims[i - 1];
        return LP_OK;
    }
    if (entry < -1 || entry == 0 || entry > LP_BUNDLE_COLUMNS_MAX)
        return lp_onnx_bad(node, err, "a target dimension of %lld", (long long)entry);
    *ret_dim = entry == -1 ? 0 : (uint64_t)entry;
    return LP_OK;
}

static enum lp_code check_first(const struct lp_onnx *onnx, const struct lp_onnx_node *node, int64_t first,
                                bool has_open, struct lp_error *err)
{
    if (first == -1 && has_open) return lp_onnx_bad(node, err, "the target has two dimensions of -1");
    if (first == -1 || first == 0 || first == LP_ONNX_BATCH || first == 1 || first == onnx->batch) return LP_OK;
    return lp_onnx_refuse(node, err, "the first axis would be %lld: rows would be cut or joined", (long long)first);
}

enum lp_code lp_onnx_lower_reshape(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_value *input = NULL;
    const int64_t *target = NULL;
    int64_t zero_is_zero;
    size_t count = 0, open = 0;
    uint64_t product = 1, dim = 0;
    uint32_t dims[LP_GRAPH_RANK_MAX], total = 0;
    LP_TRY(shaped_input(onnx, node, &input, err));
    LP_TRY(lp_onnx_list(onnx, node, "shape", 1, &target, &count, err));
    LP_TRY(lp_onnx_int(node, "allowzero", 0, &zero_is_zero, err));
    LP_TRY(lp_graph_elements(input->rank, input->dims, &total, err));
    if (count == 0) return lp_onnx_refuse(node, err, "to a scalar");
    if (count > LP_GRAPH_RANK_MAX + 1) return lp_onnx_refuse(node, err, "to %zu axes", count);
    for (size_t i = 1; i < count; i++) {
        LP_TRY(target_dim(node, input, i, target[i], zero_is_zero != 0, &dim, err));
        if (dim == 0 && open > 0) return lp_onnx_bad(node, err, "the target has two dimensions of -1");
        if (dim == 0) open = i;
        else product *= dim;
        dims[i - 1] = (uint32_t)dim;
        if (product > LP_BUNDLE_COLUMNS_MAX) return lp_onnx_bad(node, err, "the target has too many elements");
    }
    LP_TRY(check_first(onnx, node, target[0], open > 0, err));
    if (open > 0 && total % product == 0) {
        dims[open - 1] = (uint32_t)(total / product);
        product = total;
    }
    if (product != total)
        return lp_onnx_refuse(node, err, "%u elements a row into %llu: rows would be cut or joined", total,
                              (unsigned long long)product);
    return reshape_value(onnx, node, (uint32_t)count - 1, dims, err);
}

static enum lp_code bind_reshaped(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t rank,
                                  const uint64_t *dims, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL, *made = NULL;
    uint64_t count = 1;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    for (uint32_t i = 0; i < rank; i++)
        if (__builtin_mul_overflow(count, dims[i], &count)) return lp_onnx_bad(node, err, "the shape overflows");
    if (count != data->count)
        return lp_onnx_bad(node, err, "%llu elements into %llu", (unsigned long long)data->count,
                           (unsigned long long)count);
    LP_TRY(lp_onnx_reshaped(onnx, data, rank, dims, &made, err));
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

enum lp_code lp_onnx_fold_reshape(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL;
    const int64_t *target = NULL;
    int64_t zero_is_zero;
    uint64_t dims[LP_ONNX_RANK_MAX], product = 1;
    size_t count = 0, open = SIZE_MAX;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(lp_onnx_list(onnx, node, "shape", 1, &target, &count, err));
    LP_TRY(lp_onnx_int(node, "allowzero", 0, &zero_is_zero, err));
    if (count > LP_ONNX_RANK_MAX) return lp_onnx_refuse(node, err, "to %zu axes", count);
    for (size_t i = 0; i < count; i++) {
        bool copied = target[i] == 0 && zero_is_zero == 0;
        if (target[i] < -1 || (copied && i >= data->rank))
            return lp_onnx_bad(node, err, "a target dimension of %lld", (long long)target[i]);
        if (target[i] == -1 && open != SIZE_MAX) return lp_onnx_bad(node, err, "two dimensions of -1");
        if (target[i] == -1) open = i;
        dims[i] = target[i] == -1 ? 1 : copied ? data->dims[i] : (uint64_t)target[i];
        if (__builtin_mul_overflow(product, dims[i], &product)) return lp_onnx_bad(node, err, "the shape overflows");
    }
    if (open != SIZE_MAX && product > 0) dims[open] = data->count / product;
    return bind_reshaped(onnx, node, (uint32_t)count, dims, err);
}

/* --- Flatten --- */

enum lp_code lp_onnx_lower_flatten(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_value *input = NULL;
    int64_t axis;
    uint32_t at = 0, total = 0, before = 1;
    LP_TRY(shaped_input(onnx, node, &input, err));
    LP_TRY(lp_onnx_int(node, "axis", 1, &axis, err));
    if (axis == input->rank + 1) at = input->rank + 1; /* everything on the first axis */
    else LP_TRY(lp_onnx_axis(node, axis, input->rank + 1, &at, err));
    LP_TRY(lp_graph_elements(input->rank, input->dims, &total, err));
    for (uint32_t i = 1; i < at; i++) before *= input->dims[i - 1];
    if (at == 0 || before != 1)
        return lp_onnx_refuse(node, err, "axis %lld: rows would be cut or joined", (long long)axis);
    return reshape_value(onnx, node, 1, &total, err);
}

enum lp_code lp_onnx_fold_flatten(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL;
    int64_t axis;
    uint64_t dims[] = {1, 1};
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(lp_onnx_int(node, "axis", 1, &axis, err));
    if (axis < 0) axis += data->rank;
    if (axis < 0 || axis > data->rank) return lp_onnx_bad(node, err, "axis %lld of %u", (long long)axis, data->rank);
    for (uint32_t i = 0; i < data->rank; i++) dims[i >= axis] *= data->dims[i];
    return bind_reshaped(onnx, node, 2, dims, err);
}

/* --- Squeeze and Unsqueeze --- */

/* Bit i: ONNX axis i of `rank`. */
static enum lp_code read_axes(struct lp_onnx *onnx, const struct lp_onnx_node *node, const int64_t *axes, size_t count,
                              uint32_t rank, uint32_t *ret_mask, struct lp_error *err)
{
    uint32_t mask = 0, at = 0;
    (void)onnx;
    for (size_t i = 0; i < count; i++) {
        LP_TRY(lp_onnx_axis(node, axes[i], rank, &at, err));
        if ((mask >> at & 1) != 0) return lp_onnx_bad(node, err, "axis %u is there twice", at);
        mask |= 1u << at;
    }
    *ret_mask = mask;
    return LP_OK;
}

/* Which axes go: those listed, or all of 1; the batch stays. */
static enum lp_code squeezed_axes(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t rank,
                                  const uint64_t *dims, uint32_t *ret_mask, struct lp_error *err)
{
    const int64_t *axes = NULL;
    size_t count = 0;
    uint32_t mask = 0;
    LP_TRY(lp_onnx_list(onnx, node, "axes", 1, &axes, &count, err));
    LP_TRY(read_axes(onnx, node, axes, count, rank, &mask, err));
    for (uint32_t i = 0; axes == NULL && i < rank; i++) mask |= (uint32_t)(dims[i] == 1) << i;
    for (uint32_t i = 0; i < rank; i++)
        if ((mask >> i & 1) != 0 && dims[i] != 1)
            return lp_onnx_bad(node, err, "axis %u is %llu, not 1", i, (unsigned long long)dims[i]);
    *ret_mask = mask;
    return LP_OK;
}

enum lp_code lp_onnx_lower_squeeze(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_value *input = NULL;
    uint64_t wide[LP_GRAPH_RANK_MAX + 1] = {0}; /* the batch: no axis of 1 */
    uint32_t dims[LP_GRAPH_RANK_MAX], rank = 0, mask = 0;
    LP_TRY(shaped_input(onnx, node, &input, err));
    for (uint32_t i = 0; i < input->rank; i++) wide[i + 1] = input->dims[i];
    LP_TRY(squeezed_axes(onnx, node, input->rank + 1, wide, &mask, err));
    for (uint32_t i = 0; i < input->rank; i++)
        if ((mask >> (i + 1) & 1) == 0) dims[rank++] = input->dims[i];
    return reshape_value(onnx, node, rank, dims, err);
}

enum lp_code lp_onnx_fold_squeeze(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL;
    uint64_t dims[LP_ONNX_RANK_MAX];
    uint32_t rank = 0, mask = 0;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(squeezed_axes(onnx, node, data->rank, data->dims, &mask, err));
    for (uint32_t i = 0; i < data->rank; i++)
        if ((mask >> i & 1) == 0) dims[rank++] = data->dims[i];
    return bind_reshaped(onnx, node, rank, dims, err);
}

static enum lp_code unsqueezed_axes(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t rank,
                                    uint32_t *ret_rank, uint32_t *ret_mask, struct lp_error *err)
{
    const int64_t *axes = NULL;
    size_t count = 0;
    LP_TRY(lp_onnx_list(onnx, node, "axes", 1, &axes, &count, err));
    if (count == 0 || count > LP_ONNX_RANK_MAX || rank + count > LP_ONNX_RANK_MAX)
        return lp_onnx_refuse(node, err, "%zu axes more than %u", count, rank);
    *ret_rank = rank + (uint32_t)count;
    return read_axes(onnx, node, axes, count, *ret_rank, ret_mask, err);
}

enum lp_code lp_onnx_lower_unsqueeze(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_value *input = NULL;
    uint32_t dims[LP_ONNX_RANK_MAX], rank = 0, mask = 0, from = 0;
    LP_TRY(shaped_input(onnx, node, &input, err));
    LP_TRY(unsqueezed_axes(onnx, node, input->rank + 1, &rank, &mask, err));
    if ((mask & 1) != 0) return lp_onnx_refuse(node, err, "axis 0: the batch would not be the first axis");
    for (uint32_t i = 1; i < rank; i++) dims[i - 1] = (mask >> i & 1) != 0 ? 1 : input->dims[from++];
    return reshape_value(onnx, node, rank - 1, dims, err);
}

enum lp_code lp_onnx_fold_unsqueeze(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL;
    uint64_t dims[LP_ONNX_RANK_MAX];
    uint32_t rank = 0, mask = 0, from = 0;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(unsqueezed_axes(onnx, node, data->rank, &rank, &mask, err));
    for (uint32_t i = 0; i < rank; i++) dims[i] = (mask >> i & 1) != 0 ? 1 : data->dims[from++];
    return bind_reshaped(onnx, node, rank, dims, err);
}

/* --- Expand --- */

/* x * 1, in the wider shape: exact for every number. */
enum lp_code lp_onnx_lower_expand(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    const int64_t *target = NULL;
    uint64_t dims[LP_GRAPH_RANK_MAX];
    size_t count = 0;
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_list(onnx, node, "shape", 1, &target, &count, err));
    if (count > input->rank + 1)
        return lp_onnx_refuse(node, err, "to %zu axes: the batch would not be the first axis", count);
    bool whole = count == input->rank + 1;
    if (whole && target[0] != 1 && target[0] != LP_ONNX_BATCH && target[0] != onnx->batch)
        return lp_onnx_refuse(node, err, "the batch would be repeated");
    uint32_t rank = (uint32_t)count - (whole ? 1 : 0);
    for (uint32_t i = 0; i < rank; i++) {
        int64_t dim = target[i + (whole ? 1 : 0)];
        if (dim < 1 || dim > LP_BUNDLE_COLUMNS_MAX) return lp_onnx_bad(node, err, "an axis of %lld", (long long)dim);
        dims[i] = (uint64_t)dim;
    }
    struct lp_tensor *ones;
    void *data = NULL;
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_F32, rank, dims, &ones, &data, err));
    for (uint64_t i = 0; i < ones->count; i++) ((float *)data)[i] = 1;
    LP_TRY(lp_onnx_emit_constant(onnx, node, LP_GRAPH_MUL, input, ones, false, &made, err));
    bool same = made.rank == input->rank && memcmp(made.dims, input->dims, made.rank * sizeof *made.dims) == 0;
    lp_onnx_bind_value(onnx, node, 0, same ? input : &made);
    return LP_OK;
}

enum lp_code lp_onnx_fold_expand(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL, *made = NULL;
    const int64_t *target = NULL;
    uint64_t dims[LP_ONNX_RANK_MAX], strides[LP_ONNX_RANK_MAX] = {0}, at[LP_ONNX_RANK_MAX] = {0}, stride = 1;
    size_t count = 0;
    bool spread = false;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(lp_onnx_list(onnx, node, "shape", 1, &target, &count, err));
    uint32_t rank =
        count > data->rank ? (uint32_t)(count < LP_ONNX_RANK_MAX ? count : LP_ONNX_RANK_MAX + 1) : data->rank;
    if (rank > LP_ONNX_RANK_MAX) return lp_onnx_refuse(node, err, "to %zu axes", count);
    for (uint32_t i = rank; i-- > 0;) {
        uint64_t have = i + data->rank >= rank ? data->dims[i + data->rank - rank] : 1;
        int64_t want = i + count >= rank ? target[i + count - rank] : 1;
        spread |= i == 0 && want == LP_ONNX_BATCH && have == 1;
        if (i == 0 && spread) want = 1;
        if (want < 0 || (have != 1 && want != 1 && have != (uint64_t)want))
            return lp_onnx_refuse(node, err, "axis %u of %llu to %lld", i, (unsigned long long)have, (long long)want);
        dims[i] = have == 1 ? (uint64_t)want : have;
        strides[i] = have == 1 ? 0 : stride;
        stride *= have;
    }
    LP_TRY(lp_onnx_constant_new(onnx, data->type, rank, dims, &made, err));
    made->is_spread = spread;
    size_t bytes = lp_onnx_type_bytes(data->type);
    unsigned char *to = (unsigned char *)(uintptr_t)made->data;
    for (uint64_t i = 0; i < made->count; i++, to += bytes) {
        uint64_t from = 0;
        for (uint32_t k = 0; k < rank; k++) from += at[k] * strides[k];
        memcpy(to, (const unsigned char *)data->data + from * bytes, bytes);
        for (uint32_t k = rank; k-- > 0 && ++at[k] == dims[k];) at[k] = 0;
    }
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}
