/* Tensors of a bundle that is written, and the trees op. */
#include "import/encode_private.h"

#include <stdio.h>
#include <stdlib.h>

enum { TENSORS_MAX = 32, NAME_BYTES = 64 };

bool lp_encode_tensor(struct lp_encode *encode, const char *name, const struct lp_tensor *tensor)
{
    if (encode->count == encode->capacity) {
        size_t capacity = encode->capacity * 2 + TENSORS_MAX;
        struct lp_tensor *grown = realloc(encode->items, capacity * sizeof *grown);
        if (grown == NULL) return false;
        encode->items = grown;
        encode->capacity = capacity;
    }
    json_t *text = json_string(name);
    if (json_array_append_new(encode->names, text) != 0) return false;
    encode->items[encode->count] = *tensor;
    encode->items[encode->count++].name = json_string_value(text);
    return true;
}

bool lp_encode_matrix(struct lp_encode *encode, const char *name, enum lp_dtype dtype, const void *data, uint64_t rows,
                      uint64_t columns)
{
    const struct lp_tensor tensor = {.dtype = dtype,
                                     .rank = columns > 0 ? 2 : 1,
                                     .dims = {rows, columns},
                                     .count = rows * (columns > 0 ? columns : 1),
                                     .data = data};
    return lp_encode_tensor(encode, name, &tensor);
}

bool lp_encode_array(struct lp_encode *encode, const char *name, enum lp_dtype dtype, const struct lp_buffer *buffer)
{
    size_t element = dtype == LP_DTYPE_F64 ? 8 : dtype == LP_DTYPE_U8 ? 1 : 4;
    return lp_encode_matrix(encode, name, dtype, buffer->data, buffer->size / element, 0);
}

/* The tensor's name is put at `key` of `object`. */
static bool put(struct lp_encode *encode, const struct lp_encode_trees *trees, json_t *object, const char *key,
                const char *name, enum lp_dtype dtype, const struct lp_buffer *buffer)
{
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s%s", trees->prefix, name);
    return lp_encode_array(encode, full, dtype, buffer) && json_object_set_new(object, key, json_string(full)) == 0;
}

static bool put_nodes(struct lp_encode *encode, const struct lp_encode_trees *trees, json_t *op)
{
    const struct lp_forest *f = trees->forest;
    json_t *nodes = json_object();
    json_object_set_new(op, "nodes", nodes);
    return put(encode, trees, nodes, "column", "nodes.column", LP_DTYPE_I32, &f->column) &&
           put(encode, trees, nodes, "threshold", "nodes.threshold", LP_DTYPE_F64, &f->threshold) &&
           put(encode, trees, nodes, "left", "nodes.left", LP_DTYPE_I32, &f->left) &&
           put(encode, trees, nodes, "right", "nodes.right", LP_DTYPE_I32, &f->right) &&
           put(encode, trees, nodes, "flags", "nodes.flags", LP_DTYPE_U8, &f->flags) &&
           put(encode, trees, nodes, "index", "nodes.index", LP_DTYPE_I32, &f->index);
}

static bool put_sets(struct lp_encode *encode, const struct lp_encode_trees *trees, json_t *op)
{
    const struct lp_forest *f = trees->forest;
    if (f->set_begin.size <= sizeof(uint32_t)) return true;
    json_t *sets = json_object();
    json_object_set_new(op, "sets", sets);
    return put(encode, trees, sets, "begin", "sets.begin", LP_DTYPE_I32, &f->set_begin) &&
           put(encode, trees, sets, "words", "sets.words", LP_DTYPE_I32, &f->set_words);
}

static bool put_leaves(struct lp_encode *encode, const struct lp_encode_trees *trees, json_t *op)
{
    const struct lp_forest *f = trees->forest;
    char name[NAME_BYTES];
    json_t *leaves = json_object(), *linear;
    uint64_t count = f->leaf_value.size / sizeof(double) / f->leaf_width;
    json_object_set_new(op, "leaves", leaves);
    snprintf(name, sizeof name, "%sleaves.value", trees->prefix);
    if (!lp_encode_matrix(encode, name, LP_DTYPE_F64, f->leaf_value.data, count,
                          f->leaf_width > 1 ? f->leaf_width : 0) ||
        json_object_set_new(leaves, "value", json_string(name)) != 0)
        return false;
    if (!f->is_linear) return true;
    json_object_set_new(leaves, "linear", linear = json_object());
    return put(encode, trees, linear, "begin", "linear.begin", LP_DTYPE_I32, &f->linear_begin) &&
           put(encode, trees, linear, "column", "linear.column", LP_DTYPE_I32, &f->linear_column) &&
           put(encode, trees, linear, "coefficient", "linear.coefficient", LP_DTYPE_F64, &f->linear_coefficient) &&
           put(encode, trees, linear, "constant", "linear.constant", LP_DTYPE_F64, &f->linear_constant);
}

static bool put_outputs(struct lp_encode *encode, const struct lp_encode_trees *trees, json_t *op)
{
    const struct lp_forest *f = trees->forest;
    char name[NAME_BYTES];
    json_t *of = json_object();
    json_object_set_new(op, "trees", of);
    if (!put(encode, trees, of, "root", "trees.root", LP_DTYPE_I32, &f->root)) return false;
    if (f->leaf_width == 1 && !put(encode, trees, of, "output", "trees.output", LP_DTYPE_I32, &f->output)) return false;
    if (trees->base == NULL) return true;
    snprintf(name, sizeof name, "%strees.base", trees->prefix);
    return lp_encode_matrix(encode, name, LP_DTYPE_F64, trees->base, trees->output_count, 0) &&
           json_object_set_new(op, "base", json_pack("{s:s}", "tensor", name)) == 0;
}

json_t *lp_encode_trees(struct lp_encode *encode, const struct lp_encode_trees *trees)
{
    json_t *op = json_pack("{s:s, s:s, s:i, s:f}", "op", "trees", "library",
                           trees->compare == LP_TREES_XGBOOST ? "xgboost" : "lightgbm", "outputs",
                           (int)trees->output_count, "divisor", trees->divisor);
    if (op != NULL && put_outputs(encode, trees, op) && put_nodes(encode, trees, op) && put_sets(encode, trees, op) &&
        put_leaves(encode, trees, op))
        return op;
    json_decref(op);
    return NULL;
}
