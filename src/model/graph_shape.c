/* Shapes and tensors of ops: what the readers in graph_*.c share. */
#include "model/graph.h"

#include <stdio.h>

const char *lp_shape_text(const struct lp_shape *shape, char *buffer)
{
    int used = snprintf(buffer, LP_SHAPE_TEXT_BYTES, "[");
    for (uint32_t i = 0; i < shape->rank; i++)
        used += snprintf(buffer + used, LP_SHAPE_TEXT_BYTES - (size_t)used, "%s%u", i > 0 ? ", " : "", shape->dims[i]);
    snprintf(buffer + used, LP_SHAPE_TEXT_BYTES - (size_t)used, "]");
    return buffer;
}

enum lp_code lp_axis_read(const struct lp_node *node, const struct lp_shape *shape, uint32_t *ret_axis,
                          struct lp_error *err)
{
    json_int_t axis;
    LP_TRY(lp_node_whole(node, "axis", 0, (json_int_t)shape->rank - 1, &axis, err));
    *ret_axis = (uint32_t)axis;
    return LP_OK;
}

enum lp_code lp_wholes_read(const struct lp_node *node, const char *key, size_t count, json_int_t low, json_int_t high,
                            uint32_t *ret_numbers, struct lp_error *err)
{
    const json_t *array;
    if (!lp_node_has(node, key)) return LP_OK;
    LP_TRY(lp_node_array(node, key, &array, err));
    if (json_array_size(array) != count)
        return LP_BAD(err, "%s: `%s` has %zu entries: %zu are needed", node->where, key, json_array_size(array), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(array, i);
        json_int_t whole = json_integer_value(entry);
        if (!json_is_integer(entry) || whole < low || whole > high)
            return LP_BAD(err, "%s: `%s`[%zu] is not a whole number from %lld to %lld", node->where, key, i,
                          (long long)low, (long long)high);
        ret_numbers[i] = (uint32_t)whole;
    }
    return LP_OK;
}

enum lp_code lp_weight_read(const struct lp_bundle *bundle, const struct lp_node *node, const char *key,
                            unsigned int dtypes, const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    const struct lp_tensor *tensor;
    LP_TRY(lp_array_tensor(bundle, node, key, &tensor, err));
    if ((dtypes >> tensor->dtype & 1) != 0 && tensor->count > 0) {
        *ret_tensor = tensor;
        return LP_OK;
    }
    char names[64] = "";
    size_t used = 0;
    for (int i = 0; i < LP_DTYPE_COUNT && used < sizeof names; i++)
        if ((dtypes >> i & 1) != 0)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "",
                                     lp_dtype_name((enum lp_dtype)i));
    return LP_BAD(err, "%s: `%s` %.64s must be %s and not empty", node->where, key, tensor->name, names);
}

enum lp_code lp_vector_read(const struct lp_bundle *bundle, const struct lp_node *node, const char *key, uint64_t count,
                            const struct lp_tensor **ret_tensor, struct lp_error *err)
{
    const struct lp_tensor *tensor;
    if (!lp_node_has(node, key)) return LP_OK;
    LP_TRY(lp_array_tensor(bundle, node, key, &tensor, err));
    if (tensor->dtype != LP_DTYPE_F32 || tensor->rank != 1 || tensor->count != count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %s `%.64s` must be F32 [%llu]", node->where, key,
                       tensor->name, (unsigned long long)count);
    *ret_tensor = tensor;
    return LP_OK;
}

enum lp_code lp_shape_broadcast(const struct lp_node *node, const struct lp_shape *a, const struct lp_shape *b,
                                struct lp_shape *ret_shape, struct lp_error *err)
{
    struct lp_shape shape = {.rank = a->rank > b->rank ? a->rank : b->rank};
    char texts[2][LP_SHAPE_TEXT_BYTES];
    for (uint32_t i = 0; i < shape.rank; i++) {
        /* From the last axis backwards. */
        uint32_t of_a = i < a->rank ? a->dims[a->rank - 1 - i] : 1, of_b = i < b->rank ? b->dims[b->rank - 1 - i] : 1;
        if (of_a != of_b && of_a != 1 && of_b != 1)
            return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %s and %s do not broadcast", node->where,
                           lp_shape_text(a, texts[0]), lp_shape_text(b, texts[1]));
        shape.dims[shape.rank - 1 - i] = of_a != 1 ? of_a : of_b;
    }
    *ret_shape = shape;
    return LP_OK;
}

enum lp_code lp_constant_shape(const struct lp_node *node, const struct lp_tensor *constant, struct lp_shape *ret_shape,
                               struct lp_error *err)
{
    struct lp_shape shape = {.rank = constant->rank > 0 ? constant->rank : 1, .dims = {1}};
    if (constant->rank > LP_VALUE_RANK_MAX || constant->count > LP_BUNDLE_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "%s: `%.64s` has rank %u and %llu elements: at most %d and %d are allowed", node->where,
                       constant->name, constant->rank, (unsigned long long)constant->count, LP_VALUE_RANK_MAX,
                       LP_BUNDLE_COLUMNS_MAX);
    for (uint32_t i = 0; i < constant->rank; i++) shape.dims[i] = (uint32_t)constant->dims[i];
    *ret_shape = shape;
    return LP_OK;
}
