#include "model/safetensors.h"

#include "core/checked.h"
#include "model/node.h"
#include "model/storage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are copied as they are in the file");

enum { LENGTH_BYTES = 8 };

/* A tensor and where its bytes are in the data section. */
struct placed {
    struct lp_tensor tensor;
    uint64_t begin, end;
};

static const char *const later_dtypes[] = {"BOOL", "U16", "I16", "U32", "U64", "F8_E4M3", "F8_E5M2"};

static enum lp_code split_header(struct lp_span bytes, struct lp_span *ret_header, struct lp_span *ret_data,
                                 struct lp_error *err)
{
    if (bytes.size < LENGTH_BYTES) return LP_BAD(err, "not a safetensors file: only %zu bytes", bytes.size);
    uint64_t size = 0;
    for (int i = LENGTH_BYTES; i-- > 0;) size = size << 8 | bytes.data[i];
    size_t left = bytes.size - LENGTH_BYTES;
    if (size > left)
        return LP_BAD(err, "not a safetensors file, or cut short: it claims a header of %llu bytes and has %zu",
                      (unsigned long long)size, left);
    if (size > LP_BUNDLE_HEADER_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "header of %llu bytes, at most %d are read: put long arrays in tensors",
                       (unsigned long long)size, LP_BUNDLE_HEADER_MAX_BYTES);
    if (size == 0 || bytes.data[LENGTH_BYTES] != '{')
        return LP_BAD(err, "not a safetensors file: its header does not begin with {");
    *ret_header = lp_span_of(bytes.data + LENGTH_BYTES, (size_t)size);
    *ret_data = lp_span_of(bytes.data + LENGTH_BYTES + size, left - (size_t)size);
    return LP_OK;
}

static enum lp_code read_shape(const struct lp_node *node, struct lp_tensor *tensor, struct lp_error *err)
{
    const json_t *shape;
    LP_TRY(lp_node_array(node, "shape", &shape, err));
    if (json_array_size(shape) > LP_BUNDLE_RANK_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: rank %zu, at most %d is allowed", node->where,
                       json_array_size(shape), LP_BUNDLE_RANK_MAX);
    tensor->rank = (uint32_t)json_array_size(shape);
    size_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return LP_BAD(err, "%s: `shape`[%u] is not a whole number from 0", node->where, i);
        tensor->dims[i] = (uint64_t)json_integer_value(dim);
        if (!lp_checked_mul(count, tensor->dims[i], &count))
            return LP_BAD(err, "%s: its shape has more elements than can be counted", node->where);
    }
    tensor->count = count;
    return LP_OK;
}

static enum lp_code read_offsets(const struct lp_node *node, struct placed *at, uint64_t data_bytes,
                                 struct lp_error *err)
{
    const json_t *offsets;
    LP_TRY(lp_node_array(node, "data_offsets", &offsets, err));
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return LP_BAD(err, "%s: `data_offsets` is not [begin, end]", node->where);
    at->begin = (uint64_t)json_integer_value(begin);
    at->end = (uint64_t)json_integer_value(end);
    if (at->end > data_bytes)
        return LP_BAD(err, "%s: ends at byte %llu of %llu: the file is cut short or its header is wrong", node->where,
                      (unsigned long long)at->end, (unsigned long long)data_bytes);
    size_t bytes;
    if (!lp_checked_mul(at->tensor.count, lp_dtype_bytes(at->tensor.dtype), &bytes) || bytes != at->end - at->begin)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                       "%s: its shape needs %llu elements of %zu bytes, it has %llu bytes", node->where,
                       (unsigned long long)at->tensor.count, lp_dtype_bytes(at->tensor.dtype),
                       (unsigned long long)(at->end - at->begin));
    return LP_OK;
}

static enum lp_code read_tensor(struct lp_bundle *bundle, const char *name, const json_t *json, uint64_t data_bytes,
                                struct placed *at, struct lp_error *err)
{
    static const char *const members[] = {"dtype", "shape", "data_offsets", NULL};
    static const struct lp_choice later = {later_dtypes, sizeof later_dtypes / sizeof *later_dtypes};
    const char *dtypes[LP_DTYPE_COUNT];
    struct lp_node node;
    size_t dtype;
    for (int i = 0; i < LP_DTYPE_COUNT; i++) dtypes[i] = lp_dtype_name((enum lp_dtype)i);
    if (!lp_name_valid(name, strlen(name), LP_NAME_MAX_BYTES))
        return LP_BAD(err, "a tensor's name has %zu bytes: 1 to %d without control characters are allowed",
                      strlen(name), LP_NAME_MAX_BYTES);
    LP_TRY(lp_node_init(&node, json, members, err, "tensor `%.64s`", name));
    LP_TRY(lp_node_choice(&node, "dtype", LP_CHOICE(dtypes), &later, &dtype, err));
    at->tensor.dtype = (enum lp_dtype)dtype;
    LP_TRY(read_shape(&node, &at->tensor, err));
    LP_TRY(read_offsets(&node, at, data_bytes, err));
    at->tensor.name = lp_storage_text(bundle->storage, name, strlen(name), err);
    return at->tensor.name != NULL ? LP_OK : err->code;
}

static int compare_places(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static enum lp_code check_cover(struct placed *places, size_t count, uint64_t data_bytes, struct lp_error *err)
{
    if (count > 0) qsort(places, count, sizeof *places, compare_places);
    uint64_t covered = 0;
    for (size_t i = 0; i < count; i++) {
        if (places[i].begin != covered)
            return LP_BAD(err, "tensor `%.64s` begins at byte %llu, the one before it ends at %llu: %s",
                          places[i].tensor.name, (unsigned long long)places[i].begin, (unsigned long long)covered,
                          places[i].begin < covered ? "they overlap" : "there is a hole");
        covered = places[i].end;
    }
    if (covered != data_bytes)
        return LP_BAD(err, "%llu bytes after the last tensor belong to none",
                      (unsigned long long)(data_bytes - covered));
    return LP_OK;
}

/* NaN and infinities have every bit of the exponent set: 5 bits of F16, 8 of BF16. */
static double element(const struct lp_tensor *tensor, uint64_t i)
{
    uint16_t half;
    switch (tensor->dtype) {
    case LP_DTYPE_F32: return (double)((const float *)tensor->data)[i];
    case LP_DTYPE_F64: return ((const double *)tensor->data)[i];
    case LP_DTYPE_F16:
    case LP_DTYPE_BF16: {
        uint16_t exponent = tensor->dtype == LP_DTYPE_F16 ? 0x7c00 : 0x7f80;
        half = ((const uint16_t *)tensor->data)[i];
        if ((half & exponent) != exponent) return 0;
        if ((half & 0x7fff) != exponent) return (double)NAN;
        return half >> 15 != 0 ? (double)-INFINITY : (double)INFINITY;
    }
    default: return 0;
    }
}

static enum lp_code check_finite(const struct lp_tensor *tensor, struct lp_error *err)
{
    bool floating = tensor->dtype == LP_DTYPE_F32 || tensor->dtype == LP_DTYPE_F64 || tensor->dtype == LP_DTYPE_F16 ||
                    tensor->dtype == LP_DTYPE_BF16;
    for (uint64_t i = 0; floating && i < tensor->count; i++) {
        double x = element(tensor, i);
        if (!isfinite(x))
            return LP_BAD(err, "tensor `%.64s`[%llu] is %s: all must be finite", tensor->name, (unsigned long long)i,
                          isnan(x) ? "NaN"
                          : x < 0  ? "-Inf"
                                   : "Inf");
    }
    return LP_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct lp_tensor *)a)->name, ((const struct lp_tensor *)b)->name);
}

static enum lp_code copy_tensors(struct lp_bundle *bundle, const struct placed *places, size_t count,
                                 struct lp_span data, struct lp_error *err)
{
    struct lp_tensor *tensors = lp_storage_take(bundle->storage, count, sizeof *tensors, err);
    if (tensors == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = (size_t)(places[i].end - places[i].begin);
        unsigned char *copy = lp_storage_take(bundle->storage, bytes, 1, err);
        if (copy == NULL) return lp_failed(err->code);
        if (bytes > 0) memcpy(copy, data.data + places[i].begin, bytes);
        tensors[i] = places[i].tensor;
        tensors[i].data = copy;
        LP_TRY(check_finite(&tensors[i], err));
    }
    qsort(tensors, count, sizeof *tensors, compare_names);
    bundle->tensors = tensors;
    bundle->tensor_count = (uint32_t)count;
    return LP_OK;
}

static enum lp_code read_table(struct lp_bundle *bundle, const json_t *header, struct lp_span data,
                               struct placed *places, struct lp_error *err)
{
    size_t count = 0;
    json_t *object = (json_t *)(uintptr_t)header; /* iterated, not changed */
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        const char *name = json_object_iter_key(at);
        if (strcmp(name, "__metadata__") == 0) continue;
        LP_TRY(read_tensor(bundle, name, json_object_iter_value(at), data.size, &places[count], err));
        count++;
    }
    LP_TRY(check_cover(places, count, data.size, err));
    return copy_tensors(bundle, places, count, data, err);
}

static enum lp_code read_metadata(struct lp_bundle *bundle, const json_t *header, struct lp_span *ret_manifest,
                                  struct lp_error *err)
{
    const json_t *text = json_object_get(json_object_get(header, "__metadata__"), "lepton");
    if (!json_is_string(text))
        return LP_BAD(err, "a safetensors file, but no bundle: its header has no text __metadata__.lepton");
    size_t size = json_string_length(text);
    const char *manifest = lp_storage_text(bundle->storage, json_string_value(text), size, err);
    if (manifest == NULL) return lp_failed(err->code);
    *ret_manifest = lp_span_of(manifest, size);
    return LP_OK;
}

enum lp_code lp_safetensors_parse(struct lp_bundle *bundle, struct lp_span bytes, struct lp_span *ret_manifest,
                                  struct lp_error *err)
{
    struct lp_span header_text, data;
    json_t *header = NULL;
    struct placed *places = NULL;
    enum lp_code rc;
    LP_TRY(split_header(bytes, &header_text, &data, err));
    LP_TRY(lp_node_parse(header_text, "header", &header, err));
    LP_GUARD(read_metadata(bundle, header, ret_manifest, err));
    size_t count = json_object_size(header) - 1;
    if (count > LP_BUNDLE_TENSORS_MAX) {
        rc = lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu tensors, at most %d are read", count, LP_BUNDLE_TENSORS_MAX);
        goto out;
    }
    places = calloc(count > 0 ? count : 1, sizeof *places);
    rc = places != NULL ? read_table(bundle, header, data, places, err) : lp_fail_memory(err, count * sizeof *places);
out:
    free(places);
    json_decref(header);
    return rc;
}
