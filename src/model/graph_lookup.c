/* Ops that look numbers up: embedding tables, one-hot columns, maps of keys. */
#include "model/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum lp_code check_vector(const struct lp_node *node, const struct lp_op *op, struct lp_error *err)
{
    char text[LP_SHAPE_TEXT_BYTES];
    if (op->in.rank == 1) return LP_OK;
    return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: `%.64s` is %s: it must have one axis", node->where, op->input,
                   lp_shape_text(&op->in, text));
}

static enum lp_code read_table(struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op,
                               struct lp_error *err)
{
    const unsigned int dtypes = 1u << LP_DTYPE_F32 | 1u << LP_DTYPE_F16 | 1u << LP_DTYPE_BF16 | 1u << LP_DTYPE_I8;
    LP_TRY(lp_weight_read(bundle, node, "table", dtypes, &op->weight, err));
    const struct lp_tensor *table = op->weight;
    if (table->rank != 2)
        return LP_BAD(err, "%s: table `%.64s` must be of rank 2, [rows, width]", node->where, table->name);
    if (table->dims[0] > INT32_MAX || table->dims[1] > LP_BUNDLE_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "%s: table `%.64s` has %llu rows of %llu: at most %d of %d are allowed", node->where,
                       table->name, (unsigned long long)table->dims[0], (unsigned long long)table->dims[1], INT32_MAX,
                       LP_BUNDLE_COLUMNS_MAX);
    /* The kernels may have a copy of their own. */
    LP_TRY(lp_storage_charge(bundle->storage, table->count, lp_dtype_bytes(table->dtype), err));
    if (table->dtype == LP_DTYPE_I8 && !lp_node_has(node, "table_scale"))
        return LP_BAD(err, "%s: table `%.64s` is I8: `table_scale` is missing", node->where, table->name);
    if (table->dtype != LP_DTYPE_I8 && lp_node_has(node, "table_scale"))
        return LP_BAD(err, "%s: `table_scale` has no meaning with a table of %s", node->where,
                      lp_dtype_name(table->dtype));
    return lp_vector_read(bundle, node, "table_scale", table->dims[0], &op->scale, err);
}

enum lp_code lp_embedding_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                               struct lp_op *op, struct lp_error *err)
{
    static const char *const bags[] = {
        [LP_BAG_NONE] = "none", [LP_BAG_SUM] = "sum", [LP_BAG_MEAN] = "mean", [LP_BAG_MAX] = "max"};
    size_t bag = LP_BAG_NONE;
    (void)inputs;
    LP_TRY(check_vector(node, op, err));
    LP_TRY(read_table(bundle, node, op, err));
    uint32_t width = (uint32_t)op->weight->dims[1];
    if (lp_node_has(node, "pool")) LP_TRY(lp_node_choice(node, "pool", LP_CHOICE(bags), NULL, &bag, err));
    op->bag = (enum lp_bag)bag;
    op->work = (uint64_t)op->in.dims[0] * width;
    op->shape = op->bag == LP_BAG_NONE ? (struct lp_shape){2, {op->in.dims[0], width}} : (struct lp_shape){1, {width}};
    if (!lp_node_has(node, "padding_index")) return LP_OK;
    if (op->bag == LP_BAG_NONE) return LP_BAD(err, "%s: `padding_index` has no meaning without pooling", node->where);
    json_int_t padding;
    LP_TRY(lp_node_whole(node, "padding_index", 0, (json_int_t)op->weight->dims[0] - 1, &padding, err));
    op->padding_index = padding;
    return LP_OK;
}

enum lp_code lp_onehot_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                            struct lp_op *op, struct lp_error *err)
{
    (void)inputs;
    LP_TRY(check_vector(node, op, err));
    LP_TRY(lp_weight_read(bundle, node, "values", 1u << LP_DTYPE_F32, &op->constant, err));
    if (op->constant->rank != 1 || op->constant->count > LP_BUNDLE_COLUMNS_MAX)
        return LP_BAD(err, "%s: values `%.64s` must be of rank 1, with at most %d elements", node->where,
                      op->constant->name, LP_BUNDLE_COLUMNS_MAX);
    op->shape = (struct lp_shape){2, {op->in.dims[0], (uint32_t)op->constant->count}};
    return LP_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static enum lp_code check_keys(const struct lp_node *node, const struct lp_tensor *keys, struct lp_error *err)
{
    size_t count = (size_t)keys->count;
    double *sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL) return lp_fail_memory(err, count * sizeof *sorted);
    memcpy(sorted, keys->data, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    enum lp_code rc = LP_OK;
    for (size_t i = 1; i < count && rc == LP_OK; i++)
        if (sorted[i] == sorted[i - 1]) rc = LP_BAD(err, "%s: keys: %.17g is there twice", node->where, sorted[i]);
    free(sorted);
    return rc;
}

enum lp_code lp_map_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                         struct lp_op *op, struct lp_error *err)
{
    (void)inputs;
    LP_TRY(lp_weight_read(bundle, node, "keys", 1u << LP_DTYPE_F64, &op->keys, err));
    if (op->keys->rank != 1 || op->keys->count > INT32_MAX)
        return LP_BAD(err, "%s: keys `%.64s` must be of rank 1", node->where, op->keys->name);
    LP_TRY(lp_storage_charge(bundle->storage, op->keys->count, sizeof(double) + sizeof(float), err));
    LP_TRY(check_keys(node, op->keys, err));
    if (!lp_node_has(node, "values")) return LP_BAD(err, "%s: `values` is missing", node->where);
    LP_TRY(lp_vector_read(bundle, node, "values", op->keys->count, &op->constant, err));
    LP_TRY(lp_node_number(node, "default", &op->filler, err));
    if (!isfinite((float)op->filler))
        return LP_BAD(err, "%s: `default` is %g: it must fit in a float", node->where, op->filler);
    return LP_OK;
}
