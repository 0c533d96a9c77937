#include "model/array.h"

#include "core/utf8.h"

#include <stdlib.h>
#include <string.h>

enum lp_code lp_array_tensor(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                             const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    const char *name;
    LP_TRY(lp_node_word(node, key, &name, err));
    const struct lp_tensor *tensor = lp_bundle_tensor(bundle, name);
    if (tensor == NULL)
        return LP_BAD(err, "%s: `%s` names the tensor `%.64s`, which the file does not have", node->where, key, name);
    *ret_tensor = tensor;
    return LP_OK;
}

static enum lp_code check_inline(const struct lp_node *node, const char *key, const json_t *array, struct lp_error *err)
{
    if (json_array_size(array) > LP_BUNDLE_INLINE_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: `%s` has %zu entries: above %d they must be a tensor",
                       node->where, key, json_array_size(array), LP_BUNDLE_INLINE_MAX);
    return LP_OK;
}

static enum lp_code copy_numbers(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                 const json_t *array, const double **ret_numbers, struct lp_error *err)
{
    size_t count = json_array_size(array);
    double *numbers = lp_storage_take(bundle->storage, count, sizeof *numbers, err);
    if (numbers == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(array, i);
        if (!json_is_number(entry)) return LP_BAD(err, "%s: `%s`[%zu] is not a number", node->where, key, i);
        numbers[i] = json_number_value(entry);
    }
    *ret_numbers = numbers;
    return LP_OK;
}

static enum lp_code tensor_numbers(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                                   const double **ret_numbers, uint32_t *ret_count, struct lp_error *err)
{
    static const char *const members[] = {"tensor", NULL};
    struct lp_node source;
    const struct lp_tensor *tensor;
    LP_TRY(lp_node_object(node, key, members, &source, err));
    LP_TRY(lp_array_tensor(bundle, &source, "tensor", &tensor, err));
    if (tensor->dtype != LP_DTYPE_F64 || tensor->rank != 1 || tensor->count > UINT32_MAX)
        return LP_BAD(err, "%s: tensor `%.64s` must be F64 of rank 1", source.where, tensor->name);
    LP_TRY(lp_storage_charge(bundle->storage, tensor->count, sizeof(double), err));
    *ret_numbers = tensor->data;
    *ret_count = (uint32_t)tensor->count;
    return LP_OK;
}

enum lp_code lp_array_numbers(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                              const double **ret_numbers, uint32_t *ret_count, struct lp_error *err)
{
    if (json_is_object(json_object_get(node->json, key)))
        return tensor_numbers(bundle, node, key, ret_numbers, ret_count, err);
    const json_t *array;
    LP_TRY(lp_node_array(node, key, &array, err));
    LP_TRY(check_inline(node, key, array, err));
    LP_TRY(copy_numbers(bundle, node, key, array, ret_numbers, err));
    *ret_count = (uint32_t)json_array_size(array);
    return LP_OK;
}

enum lp_code lp_array_exact(const struct lp_bundle *bundle, const struct lp_node *node, const char *key, uint32_t count,
                            const double **ret_numbers, struct lp_error *err)
{
    const json_t *array;
    LP_TRY(lp_node_array(node, key, &array, err));
    if (json_array_size(array) != count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: `%s` has %zu entries: %u are needed, one an output",
                       node->where, key, json_array_size(array), count);
    return copy_numbers(bundle, node, key, array, ret_numbers, err);
}

static int64_t offset_at(const struct lp_tensor *offsets, uint64_t i)
{
    return offsets->dtype == LP_DTYPE_I64 ? ((const int64_t *)offsets->data)[i] : ((const int32_t *)offsets->data)[i];
}

static enum lp_code check_texts(const struct lp_node *node, const struct lp_tensor *bytes,
                                const struct lp_tensor *offsets, uint32_t max, struct lp_error *err)
{
    if (bytes->dtype != LP_DTYPE_U8 || bytes->rank != 1)
        return LP_BAD(err, "%s: tensor `%.64s` must be U8 of rank 1", node->where, bytes->name);
    if ((offsets->dtype != LP_DTYPE_I64 && offsets->dtype != LP_DTYPE_I32) || offsets->rank != 1 || offsets->count == 0)
        return LP_BAD(err, "%s: tensor `%.64s` must be I32 or I64 of rank 1, not empty", node->where, offsets->name);
    if (offsets->count - 1 > max)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: %llu texts, at most %u are allowed", node->where,
                       (unsigned long long)offsets->count - 1, max);
    int64_t before = 0;
    for (uint64_t i = 0; i < offsets->count; i++) {
        int64_t at = offset_at(offsets, i);
        if ((i == 0 && at != 0) || at < before || (uint64_t)at > bytes->count)
            return LP_BAD(err, "%s: `%.64s`[%llu] is %lld: offsets rise from 0 to the bytes' count", node->where,
                          offsets->name, (unsigned long long)i, (long long)at);
        before = at;
    }
    if ((uint64_t)before != bytes->count)
        return LP_BAD(err, "%s: the last of `%.64s` is %lld, not the bytes' count %llu", node->where, offsets->name,
                      (long long)before, (unsigned long long)bytes->count);
    return LP_OK;
}

enum lp_code lp_array_texts(const struct lp_bundle *bundle, const struct lp_node *node, uint32_t max,
                            const char *const **ret_texts, uint32_t *ret_count, struct lp_error *err)
{
    const struct lp_tensor *bytes, *offsets;
    LP_TRY(lp_array_tensor(bundle, node, "tensor", &bytes, err));
    LP_TRY(lp_array_tensor(bundle, node, "offsets", &offsets, err));
    LP_TRY(check_texts(node, bytes, offsets, max, err));
    uint32_t count = (uint32_t)(offsets->count - 1);
    const char **texts = lp_storage_take(bundle->storage, count, sizeof *texts, err);
    if (texts == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *text = (const unsigned char *)bytes->data + offset_at(offsets, i);
        uint64_t size = (uint64_t)(offset_at(offsets, i + 1) - offset_at(offsets, i));
        if (!lp_utf8_valid(text, size) || (size > 0 && memchr(text, 0, size) != NULL))
            return LP_BAD(err, "%s: text %u is not UTF-8 without zero bytes", node->where, i);
        texts[i] = lp_storage_text(bundle->storage, text, size, err);
        if (texts[i] == NULL) return lp_failed(err->code);
    }
    *ret_texts = texts;
    *ret_count = count;
    return LP_OK;
}

enum lp_code lp_array_words(const struct lp_bundle *bundle, const struct lp_node *node, const char *key, bool names,
                            const char *const **ret_texts, uint32_t *ret_count, struct lp_error *err)
{
    const json_t *array;
    LP_TRY(lp_node_array(node, key, &array, err));
    LP_TRY(check_inline(node, key, array, err));
    uint32_t count = (uint32_t)json_array_size(array);
    const char **texts = lp_storage_take(bundle->storage, count, sizeof *texts, err);
    if (texts == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(array, i);
        if (!json_is_string(entry)) return LP_BAD(err, "%s: `%s`[%u] is not a text", node->where, key, i);
        size_t size = json_string_length(entry);
        if (names && !lp_name_valid(json_string_value(entry), size, LP_NAME_MAX_BYTES))
            return LP_BAD(err, "%s: `%s`[%u]: 1 to %d bytes without control characters are allowed", node->where, key,
                          i, LP_NAME_MAX_BYTES);
        texts[i] = lp_storage_text(bundle->storage, json_string_value(entry), size, err);
        if (texts[i] == NULL) return lp_failed(err->code);
    }
    *ret_texts = texts;
    *ret_count = count;
    return LP_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum lp_code lp_array_check_distinct(const char *const *texts, uint32_t count, const char *what, struct lp_error *err)
{
    if (count < 2) return LP_OK;
    const char **sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL) return lp_fail_memory(err, count * sizeof *sorted);
    memcpy(sorted, texts, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_texts);
    enum lp_code rc = LP_OK;
    for (uint32_t i = 1; i < count && rc == LP_OK; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0) rc = LP_BAD(err, "%s: `%.64s` is there twice", what, sorted[i]);
    free(sorted);
    return rc;
}
