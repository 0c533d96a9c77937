/* Transpose, Concat, Split, Slice: of rows, of texts (their columns are moved now) and of constants. */
#include "import/onnx/lower.h"

#include <string.h>

/* --- Transpose --- */

static enum lp_code read_perm(const struct lp_onnx_node *node, uint32_t rank, uint32_t *ret_perm, struct lp_error *err)
{
    const int64_t *perm = NULL;
    size_t count = 0;
    uint32_t seen = 0;
    LP_TRY(lp_onnx_ints(node, "perm", &perm, &count, err));
    if (perm != NULL && count != rank) return lp_onnx_bad(node, err, "perm has %zu entries for %u axes", count, rank);
    for (uint32_t i = 0; i < rank; i++) {
        int64_t axis = perm != NULL ? perm[i] : rank - 1 - i;
        if (axis < 0 || axis >= rank || (seen >> axis & 1) != 0)
            return lp_onnx_bad(node, err, "perm is no permutation of %u axes", rank);
        seen |= 1u << axis;
        ret_perm[i] = (uint32_t)axis;
    }
    return LP_OK;
}

enum lp_code lp_onnx_lower_transpose(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, made;
    uint32_t perm[LP_GRAPH_RANK_MAX + 1], inner[LP_GRAPH_RANK_MAX];
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(read_perm(node, input->rank + 1, perm, err));
    if (perm[0] != 0) return lp_onnx_refuse(node, err, "the batch would not be the first axis");
    for (uint32_t i = 0; i < input->rank; i++) inner[i] = perm[i + 1] - 1;
    LP_TRY(lp_onnx_emit_transpose(onnx, input, inner, &made, err));
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

enum lp_code lp_onnx_fold_transpose(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL, *made = NULL;
    uint32_t perm[LP_ONNX_RANK_MAX];
    uint64_t dims[LP_ONNX_RANK_MAX], strides[LP_ONNX_RANK_MAX], at[LP_ONNX_RANK_MAX] = {0}, stride = 1;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(read_perm(node, data->rank, perm, err));
    for (uint32_t i = data->rank; i-- > 0;) {
        for (uint32_t k = 0; k < data->rank; k++)
            if (perm[k] == i) strides[k] = stride;
        stride *= data->dims[i];
    }
    for (uint32_t i = 0; i < data->rank; i++) dims[i] = data->dims[perm[i]];
    LP_TRY(lp_onnx_constant_new(onnx, data->type, data->rank, dims, &made, err));
    size_t bytes = lp_onnx_type_bytes(data->type);
    unsigned char *to = (unsigned char *)(uintptr_t)made->data;
    for (uint64_t i = 0; i < made->count; i++, to += bytes) {
        uint64_t from = 0;
        for (uint32_t k = 0; k < data->rank; k++) from += at[k] * strides[k];
        memcpy(to, (const unsigned char *)data->data + from * bytes, bytes);
        for (uint32_t k = data->rank; k-- > 0 && ++at[k] == dims[k];) at[k] = 0;
    }
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* --- Concat --- */

static enum lp_code join_texts(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t axis,
                               struct lp_error *err)
{
    struct lp_onnx_constant **parts = lp_storage_take(&onnx->draft->storage, node->input_count, sizeof *parts, err),
                            *made = NULL;
    if (parts == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct lp_onnx_value *input = lp_onnx_input(onnx, node, i);
        if (input == NULL || input->kind != LP_ONNX_TEXT) return lp_onnx_refuse(node, err, "texts and other values");
        LP_TRY(lp_onnx_text_columns(onnx, input, &parts[i], err));
    }
    LP_TRY(lp_onnx_join(onnx, node, parts, node->input_count, axis, &made, err));
    lp_onnx_bind_columns(onnx, node, 0, made);
    return LP_OK;
}

static enum lp_code join_rows(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t axis,
                              struct lp_error *err)
{
    struct lp_onnx_value *input = NULL, *first = NULL;
    uint32_t *inputs = lp_storage_take(&onnx->draft->storage, node->input_count, sizeof *inputs, err), value = 0;
    struct lp_graph_op op = {.kind = LP_GRAPH_CONCAT, .input_count = node->input_count, .axis = axis};
    if (inputs == NULL) return lp_failed(err->code);
    struct lp_onnx_value spread;
    for (uint32_t i = node->input_count; i-- > 0;)
        if (lp_onnx_input(onnx, node, i) != NULL && lp_onnx_input(onnx, node, i)->kind == LP_ONNX_ROW)
            first = lp_onnx_input(onnx, node, i);
    op.rank = first->rank;
    memcpy(op.dims, first->dims, sizeof op.dims);
    op.dims[axis] = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        input = lp_onnx_input(onnx, node, i);
        if (input != NULL && input->kind == LP_ONNX_CONSTANT) {
            LP_TRY(lp_onnx_spread(onnx, node, input->known, &spread, err));
            input = &spread;
        } else LP_TRY(lp_onnx_row(onnx, node, i, &input, err));
        bool fits = input->rank == op.rank;
        for (uint32_t k = 0; fits && k < op.rank; k++) fits = k == axis || input->dims[k] == op.dims[k];
        if (!fits) return lp_onnx_bad(node, err, "input %u has another shape than the first", i);
        if (input->dims[axis] > LP_BUNDLE_COLUMNS_MAX - op.dims[axis])
            return lp_onnx_refuse(node, err, "more than %d elements", LP_BUNDLE_COLUMNS_MAX);
        op.dims[axis] += input->dims[axis];
        inputs[i] = input->graph_value;
    }
    if (node->input_count == 1) value = inputs[0];
    else LP_TRY(lp_onnx_emit(onnx, op, inputs, &value, err));
    lp_onnx_bind_row(onnx, node, 0, first->type, value, op.rank, op.dims);
    return LP_OK;
}

enum lp_code lp_onnx_lower_concat(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_value *first = NULL;
    int64_t axis;
    uint32_t at = 0;
    for (uint32_t i = node->input_count; i-- > 0;) {
        const struct lp_onnx_value *input = lp_onnx_input(onnx, node, i);
        if (input == NULL) return lp_onnx_bad(node, err, "input %u is missing", i);
        if (input->kind != LP_ONNX_CONSTANT) first = input;
    }
    if (first == NULL) return lp_onnx_bad(node, err, "it has no inputs");
    if (lp_onnx_attribute(node, "axis") == NULL) return lp_onnx_bad(node, err, "`axis` is missing");
    LP_TRY(lp_onnx_int(node, "axis", 0, &axis, err));
    LP_TRY(lp_onnx_row_axis(node, first, axis, &at, err));
    return first->kind == LP_ONNX_TEXT ? join_texts(onnx, node, at, err) : join_rows(onnx, node, at, err);
}

/* The number of rows is only known in 64 bits: what it is joined with is widened too. */
static enum lp_code widen_shapes(struct lp_onnx *onnx, struct lp_onnx_constant **parts, uint32_t count,
                                 struct lp_error *err)
{
    bool batch = false;
    for (uint32_t i = 0; i < count; i++) batch |= parts[i]->has_batch;
    for (uint32_t i = 0; batch && i < count; i++) {
        struct lp_onnx_constant *wide = NULL;
        if (parts[i]->type == LP_ONNX_INT64 || !lp_onnx_type_whole(parts[i]->type)) continue;
        LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_INT64, parts[i]->rank, parts[i]->dims, &wide, err));
        for (uint64_t k = 0; k < wide->count; k++) lp_onnx_put_whole(wide, k, lp_onnx_whole_at(parts[i], k));
        parts[i] = wide;
    }
    return LP_OK;
}

enum lp_code lp_onnx_fold_concat(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant **parts = lp_storage_take(&onnx->draft->storage, node->input_count, sizeof *parts, err),
                            *made = NULL;
    int64_t axis;
    uint32_t at = 0;
    if (parts == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < node->input_count; i++) LP_TRY(lp_onnx_known(onnx, node, i, &parts[i], err));
    LP_TRY(widen_shapes(onnx, parts, node->input_count, err));
    LP_TRY(lp_onnx_int(node, "axis", 0, &axis, err));
    LP_TRY(lp_onnx_axis(node, axis, parts[0]->rank, &at, err));
    LP_TRY(lp_onnx_join(onnx, node, parts, node->input_count, at, &made, err));
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* --- ranges of an axis --- */

/* begin, begin + step, ... (count of them) of an axis of output i. */
struct range {
    int64_t begin, step;
    uint64_t count;
};

static enum lp_code pick_known(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                               const struct lp_onnx_constant *data, uint32_t axis, struct range range,
                               struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    if (range.count > LP_ONNX_FOLDED_MAX) return lp_onnx_refuse(node, err, "a constant of too many elements");
    int64_t *indices = lp_storage_take(&onnx->draft->storage, range.count, sizeof *indices, err);
    if (indices == NULL) return lp_failed(err->code);
    for (uint64_t i = 0; i < range.count; i++) indices[i] = range.begin + (int64_t)i * range.step;
    return lp_onnx_pick(onnx, node, data, axis, indices, range.count, ret_constant, err);
}

/* Rows: a slice, or for a step backwards the picked indices. */
static enum lp_code pick_rows(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *input,
                              uint32_t axis, struct range range, struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_graph_op op = {.kind = LP_GRAPH_SLICE, .input_count = 1, .rank = input->rank, .axis = axis};
    if (range.count == 0) return lp_onnx_refuse(node, err, "nothing would be left of axis %u", axis + 1);
    *ret_value = *input;
    if (range.step == 1 && range.count == input->dims[axis]) return LP_OK;
    memcpy(op.dims, input->dims, sizeof op.dims);
    op.dims[axis] = ret_value->dims[axis] = (uint32_t)range.count;
    op.start = (uint32_t)range.begin;
    op.end = (uint32_t)(range.begin + (int64_t)(range.count - 1) * range.step + 1);
    op.step = (uint32_t)range.step;
    if (range.step < 0) {
        const uint64_t dims[] = {range.count};
        struct lp_tensor *indices;
        void *data = NULL;
        LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_I64, 1, dims, &indices, &data, err));
        for (uint64_t i = 0; i < range.count; i++) ((int64_t *)data)[i] = range.begin + (int64_t)i * range.step;
        op.kind = LP_GRAPH_GATHER;
        op.indices = indices;
    }
    return lp_onnx_emit(onnx, op, &input->graph_value, &ret_value->graph_value, err);
}

/* --- Split --- */

/* Sizes of the parts of an axis of `length`. */
static enum lp_code read_parts(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint64_t length,
                               const int64_t **ret_sizes, struct lp_error *err)
{
    const int64_t *given = NULL;
    size_t count = 0;
    uint64_t parts = node->output_count, sum = 0;
    LP_TRY(lp_onnx_list(onnx, node, "split", 1, &given, &count, err));
    int64_t *sizes = lp_storage_take(&onnx->draft->storage, parts, sizeof *sizes, err);
    if (sizes == NULL) return lp_failed(err->code);
    if (parts == 0 || (given != NULL && count != parts))
        return lp_onnx_bad(node, err, "%zu sizes for %llu parts", count, (unsigned long long)parts);
    uint64_t each = (length + parts - 1) / parts;
    for (uint64_t i = 0; i < parts; i++) {
        uint64_t left = length - sum, size = given != NULL ? (uint64_t)given[i] : each < left ? each : left;
        if (size > left) return lp_onnx_bad(node, err, "its parts are more than %llu", (unsigned long long)length);
        sizes[i] = (int64_t)size;
        sum += size;
    }
    if (sum != length)
        return lp_onnx_bad(node, err, "its parts are %llu of %llu", (unsigned long long)sum,
                           (unsigned long long)length);
    *ret_sizes = sizes;
    return LP_OK;
}

static enum lp_code split_known(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                const struct lp_onnx_constant *data, uint32_t axis, bool are_columns,
                                struct lp_error *err)
{
    const int64_t *sizes = NULL;
    struct range range = {.step = 1};
    LP_TRY(read_parts(onnx, node, data->dims[axis], &sizes, err));
    for (uint32_t i = 0; i < node->output_count; i++) {
        struct lp_onnx_constant *made = NULL;
        range.count = (uint64_t)sizes[i];
        LP_TRY(pick_known(onnx, node, data, axis, range, &made, err));
        if (are_columns) lp_onnx_bind_columns(onnx, node, i, made);
        else lp_onnx_bind_constant(onnx, node, i, made);
        range.begin += sizes[i];
    }
    return LP_OK;
}

enum lp_code lp_onnx_lower_split(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0), made;
    struct lp_onnx_constant *columns = NULL;
    const int64_t *sizes = NULL;
    struct range range = {.step = 1};
    int64_t axis;
    uint32_t at = 0;
    LP_TRY(lp_onnx_int(node, "axis", 0, &axis, err));
    if (input == NULL || input->kind != LP_ONNX_TEXT) LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    LP_TRY(lp_onnx_row_axis(node, input, axis, &at, err));
    if (input->kind == LP_ONNX_TEXT) {
        LP_TRY(lp_onnx_text_columns(onnx, input, &columns, err));
        return split_known(onnx, node, columns, at, true, err);
    }
    LP_TRY(read_parts(onnx, node, input->dims[at], &sizes, err));
    for (uint32_t i = 0; i < node->output_count; i++) {
        range.count = (uint64_t)sizes[i];
        LP_TRY(pick_rows(onnx, node, input, at, range, &made, err));
        lp_onnx_bind_value(onnx, node, i, &made);
        range.begin += sizes[i];
    }
    return LP_OK;
}

enum lp_code lp_onnx_fold_split(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL;
    int64_t axis;
    uint32_t at = 0;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(lp_onnx_int(node, "axis", 0, &axis, err));
    LP_TRY(lp_onnx_axis(node, axis, data->rank, &at, err));
    return split_known(onnx, node, data, at, false, err);
}

/* --- Slice --- */

struct slice {
    const int64_t *starts, *ends, *axes, *steps;
    size_t count;
};

static enum lp_code read_slice(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct slice *ret_slice,
                               struct lp_error *err)
{
    size_t starts = 0, ends = 0, axes = 0, steps = 0;
    LP_TRY(lp_onnx_list(onnx, node, "starts", 1, &ret_slice->starts, &starts, err));
    LP_TRY(lp_onnx_list(onnx, node, "ends", 2, &ret_slice->ends, &ends, err));
    LP_TRY(lp_onnx_list(onnx, node, "axes", 3, &ret_slice->axes, &axes, err));
    LP_TRY(lp_onnx_list(onnx, node, "steps", 4, &ret_slice->steps, &steps, err));
    bool fits = starts == ends && starts > 0 && starts <= LP_ONNX_RANK_MAX;
    if (!fits || (ret_slice->axes != NULL && axes != starts) || (ret_slice->steps != NULL && steps != starts))
        return lp_onnx_bad(node, err, "%zu starts, %zu ends, %zu axes, %zu steps", starts, ends, axes, steps);
    ret_slice->count = starts;
    return LP_OK;
}

/* As the specification clamps. */
static enum lp_code clamp(const struct lp_onnx_node *node, const struct slice *slice, size_t i, uint64_t length,
                          struct range *ret_range, struct lp_error *err)
{
    int64_t n = (int64_t)length, step = slice->steps != NULL ? slice->steps[i] : 1;
    int64_t start = slice->starts[i], end = slice->ends[i], low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    if (step == 0 || step < -INT32_MAX || start == LP_ONNX_BATCH || end == LP_ONNX_BATCH)
        return lp_onnx_refuse(node, err, "a slice by %lld, or up to the number of rows", (long long)step);
    if (step > n) step = n > 0 ? n : 1; /* one element, or none */
    if (start < 0) start = start < -n ? low : start + n;
    if (end < 0) end = end < -n ? -1 : end + n;
    if (step < 0 && start < 0) start = low;
    if (step > 0 && start < 0) start = 0;
    if (step > 0 && end < 0) end = 0;
    start = start > high ? high : start;
    end = end > high ? (step < 0 ? n - 1 : n) : end;
    int64_t span = step > 0 ? end - start : start - end, size = step > 0 ? step : -step;
    *ret_range =
        (struct range){.begin = start, .step = step, .count = span > 0 ? (uint64_t)((span + size - 1) / size) : 0};
    return LP_OK;
}

static enum lp_code slice_known(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct slice *slice,
                                struct lp_onnx_constant *data, uint32_t batch, struct lp_onnx_constant **ret_constant,
                                struct lp_error *err)
{
    for (size_t i = 0; i < slice->count; i++) {
        uint32_t at = 0;
        struct range range = {0};
        LP_TRY(lp_onnx_axis(node, slice->axes != NULL ? slice->axes[i] : (int64_t)i, data->rank + batch, &at, err));
        if (at < batch) return lp_onnx_refuse(node, err, "axis 0 is the batch: it cannot be cut");
        LP_TRY(clamp(node, slice, i, data->dims[at - batch], &range, err));
        LP_TRY(pick_known(onnx, node, data, at - batch, range, &data, err));
    }
    *ret_constant = data;
    return LP_OK;
}

/* The batch may be sliced from its start to its end only. */
static bool takes_all(const struct slice *slice, size_t i)
{
    return slice->starts[i] == 0 && slice->ends[i] >= INT32_MAX && (slice->steps == NULL || slice->steps[i] == 1);
}

enum lp_code lp_onnx_lower_slice(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0), made;
    struct lp_onnx_constant *columns = NULL;
    struct slice slice = {0};
    LP_TRY(read_slice(onnx, node, &slice, err));
    if (input != NULL && input->kind == LP_ONNX_TEXT) {
        LP_TRY(lp_onnx_text_columns(onnx, input, &columns, err));
        LP_TRY(slice_known(onnx, node, &slice, columns, 1, &columns, err));
        lp_onnx_bind_columns(onnx, node, 0, columns);
        return LP_OK;
    }
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    made = *input;
    for (size_t i = 0; i < slice.count; i++) {
        uint32_t at = 0;
        struct range range = {0};
        LP_TRY(lp_onnx_axis(node, slice.axes != NULL ? slice.axes[i] : (int64_t)i, input->rank + 1, &at, err));
        if (at == 0 && takes_all(&slice, i)) continue;
        if (at == 0) return lp_onnx_refuse(node, err, "axis 0 is the batch: it cannot be cut");
        LP_TRY(clamp(node, &slice, i, made.dims[at - 1], &range, err));
        const struct lp_onnx_value from = made;
        LP_TRY(pick_rows(onnx, node, &from, at - 1, range, &made, err));
    }
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

enum lp_code lp_onnx_fold_slice(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL;
    struct slice slice = {0};
    LP_TRY(read_slice(onnx, node, &slice, err));
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(slice_known(onnx, node, &slice, data, 0, &data, err));
    lp_onnx_bind_constant(onnx, node, 0, data);
    return LP_OK;
}
