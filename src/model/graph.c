/* The graph: ops on named values, shapes solved as they are read. What is particular to a kind is in graph_*.c. */
#include "model/graph.h"

#include "core/hash.h"

#include <stdio.h>
#include <string.h>

enum { INPUTS_MAX = 4096 };

static const char features_value[] = "features";

/* How many inputs a kind has; EITHER: two, or one and a constant. */
enum arity { ONE, EITHER, TWO, MANY };

/* Members beside op, output and the inputs. */
static const struct {
    const char *name;
    lp_op_read *read;
    enum arity arity;
    const char *members[11];
} kinds[LP_OP_COUNT] = {
    [LP_OP_DENSE] = {"dense",
                     lp_dense_read,
                     ONE,
                     {"weight", "bias", "activation", "alpha", "beta", "low", "high", "weight_scale", "input_scale",
                      "input_zero_point"}},
    [LP_OP_ACTIVATION] = {"activation",
                          lp_activation_read,
                          ONE,
                          {"activation", "alpha", "beta", "low", "high", "slope"}},
    [LP_OP_TREES] = {"trees", NULL, ONE, {NULL}}, /* lp_trees_members */
    [LP_OP_SOFTMAX] = {"softmax", lp_softmax_read, ONE, {"axis"}},
    [LP_OP_LOG_SOFTMAX] = {"log_softmax", lp_softmax_read, ONE, {"axis"}},
    [LP_OP_ADD] = {"add", lp_binary_read, EITHER, {NULL}},
    [LP_OP_SUB] = {"sub", lp_binary_read, EITHER, {NULL}},
    [LP_OP_MUL] = {"mul", lp_binary_read, EITHER, {NULL}},
    [LP_OP_DIV] = {"div", lp_binary_read, EITHER, {NULL}},
    [LP_OP_MIN] = {"min", lp_binary_read, EITHER, {NULL}},
    [LP_OP_MAX] = {"max", lp_binary_read, EITHER, {NULL}},
    [LP_OP_POW] = {"pow", lp_binary_read, EITHER, {NULL}},
    [LP_OP_MATMUL] = {"matmul", lp_matmul_read, TWO, {"transpose_b"}},
    [LP_OP_CONCAT] = {"concat", lp_concat_read, MANY, {"axis"}},
    [LP_OP_SLICE] = {"slice", lp_slice_read, ONE, {"axis", "start", "end", "step"}},
    [LP_OP_GATHER] = {"gather", lp_gather_read, ONE, {"axis", "indices"}},
    [LP_OP_RESHAPE] = {"reshape", lp_reshape_read, ONE, {"shape"}},
    [LP_OP_TRANSPOSE] = {"transpose", lp_transpose_read, ONE, {"perm"}},
    [LP_OP_REDUCE] = {"reduce", lp_reduce_read, ONE, {"function", "axes", "keep"}},
    [LP_OP_EMBEDDING] = {"embedding", lp_embedding_read, ONE, {"table", "table_scale", "pool", "padding_index"}},
    [LP_OP_ONEHOT] = {"onehot", lp_onehot_read, ONE, {"values"}},
    [LP_OP_MAP] = {"map", lp_map_read, ONE, {"keys", "values", "default"}},
    [LP_OP_IMPUTE] = {"impute", lp_impute_read, ONE, {"constant", "missing"}},
    [LP_OP_UNIT] = {"unit", lp_unit_read, ONE, {"norm"}},
    [LP_OP_NORM] = {"norm", lp_norm_read, ONE, {"axis", "weight", "bias", "epsilon"}},
    [LP_OP_CONV2D] = {"conv2d",
                      lp_conv2d_read,
                      ONE,
                      {"weight", "bias", "strides", "pads", "dilations", "group", "activation", "alpha", "beta", "low",
                       "high"}},
    [LP_OP_POOL] = {"pool",
                    lp_pool_read,
                    ONE,
                    {"function", "kernel", "strides", "pads", "dilations", "ceil", "count_pad"}},
    [LP_OP_QUANTIZE] = {"quantize", lp_quantize_read, ONE, {"scale", "zero_point", "low", "high"}},
    [LP_OP_ONNXRUNTIME] = {"onnxruntime",
                           lp_foreign_read,
                           ONE,
                           {"model", "from", "outputs", "names", "types", "shapes"}},
};
enum { MEMBERS_MAX = 11, NAMES_MAX = MEMBERS_MAX + 6 };

const char *lp_op_name(enum lp_op_kind kind) { return kinds[kind].name; }

/* The values so far, found by name. */
struct values {
    uint32_t count;
    const char **names;
    struct lp_shape *shapes;
    bool *used;
    uint32_t *slots; /* value + 1; 0: free */
    uint64_t slot_mask;
};

static uint32_t *find_slot(const struct values *values, const char *name)
{
    uint64_t at = lp_fnv1a64(lp_span_text(name)) & values->slot_mask;
    while (values->slots[at] != 0 && strcmp(values->names[values->slots[at] - 1], name) != 0)
        at = (at + 1) & values->slot_mask;
    return &values->slots[at];
}

static void add_value(struct values *values, const char *name, const struct lp_shape *shape)
{
    values->names[values->count] = name;
    values->shapes[values->count] = *shape;
    *find_slot(values, name) = ++values->count;
}

static enum lp_code find_input(struct values *values, const struct lp_node *node, const char *key, const char *name,
                               uint32_t *ret_value, struct lp_error *err)
{
    uint32_t found = *find_slot(values, name);
    if (found == 0)
        return LP_BAD(err, "%s: `%s` %.64s is neither `features` nor the output of an op before", node->where, key,
                      name);
    values->used[found - 1] = true;
    *ret_value = found - 1;
    return LP_OK;
}

static enum lp_code read_inputs(struct lp_bundle *bundle, const struct lp_node *node, struct values *values,
                                enum arity arity, struct lp_op *op, uint32_t *inputs, uint32_t room,
                                struct lp_error *err)
{
    const json_t *array;
    LP_TRY(lp_node_array(node, "inputs", &array, err));
    size_t count = json_array_size(array);
    if (count < 2 || count > room || (arity != MANY && count != 2))
        return LP_BAD(err, "%s: `inputs` has %zu names: %s are needed", node->where, count,
                      arity == MANY ? "2 to 4096" : "2");
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(array, i));
        if (name == NULL) return LP_BAD(err, "%s: `inputs`[%zu] is not a text", node->where, i);
        LP_TRY(find_input(values, node, "inputs", name, &inputs[i], err));
    }
    op->input_count = (uint32_t)count;
    (void)bundle;
    return LP_OK;
}

/* Which values it reads and what it is called. */
static enum lp_code read_ends(struct lp_bundle *bundle, const struct lp_node *node, struct values *values,
                              struct lp_op *op, struct lp_shape *shapes, struct lp_error *err)
{
    uint32_t inputs[INPUTS_MAX];
    enum arity arity = kinds[op->kind].arity;
    LP_TRY(lp_node_text(node, "output", LP_NAME_MAX_BYTES, bundle->storage, &op->output, err));
    if (arity == ONE || (arity == EITHER && lp_node_has(node, "input"))) {
        const char *name;
        LP_TRY(lp_node_word(node, "input", &name, err));
        LP_TRY(find_input(values, node, "input", name, &inputs[0], err));
        op->input_count = 1;
    } else {
        LP_TRY(read_inputs(bundle, node, values, arity, op, inputs, INPUTS_MAX, err));
    }
    if (*find_slot(values, op->output) != 0)
        return LP_BAD(err, "%s: `output` %.64s is there already", node->where, op->output);
    uint32_t *kept = lp_storage_take(bundle->storage, op->input_count, sizeof *kept, err);
    if (kept == NULL) return lp_failed(err->code);
    memcpy(kept, inputs, op->input_count * sizeof *kept);
    op->inputs = kept;
    op->input = values->names[inputs[0]];
    op->in = values->shapes[inputs[0]];
    op->in_width = (uint32_t)lp_shape_count(&op->in);
    for (uint32_t i = 0; i < op->input_count; i++) shapes[i] = values->shapes[inputs[i]];
    return LP_OK;
}

/* The members that this op may have. */
static enum lp_code check_members(const json_t *json, uint32_t index, size_t kind, struct lp_node *node,
                                  struct lp_error *err)
{
    const char *names[NAMES_MAX] = {"op", "output"};
    size_t count = 2;
    enum arity arity = kinds[kind].arity;
    bool alone = arity == ONE || (arity == EITHER && json_object_get(json, "input") != NULL);
    names[count++] = alone ? "input" : "inputs";
    if (arity == EITHER && alone) {
        names[count++] = "constant";
        names[count++] = "reverse";
    }
    for (size_t i = 0; i < MEMBERS_MAX && kinds[kind].members[i] != NULL; i++) names[count++] = kinds[kind].members[i];
    return lp_node_init(node, json, kind == LP_OP_TREES ? lp_trees_members : names, err, "graph[%u] %s", index,
                        kinds[kind].name);
}

static enum lp_code read_kind(const json_t *json, uint32_t index, size_t *ret_kind, struct lp_error *err)
{
    const char *names[LP_OP_COUNT];
    struct lp_node node;
    for (size_t i = 0; i < LP_OP_COUNT; i++) names[i] = kinds[i].name;
    LP_TRY(lp_node_init(&node, json, NULL, err, "graph[%u]", index));
    return lp_node_choice(&node, "op", LP_CHOICE(names), NULL, ret_kind, err);
}

static enum lp_code check_size(const struct lp_node *node, struct lp_op *op, uint64_t *elements, uint64_t *work,
                               struct lp_error *err)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < op->shape.rank; i++)
        if (__builtin_mul_overflow(count, op->shape.dims[i], &count)) count = UINT64_MAX;
    if (count > LP_BUNDLE_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: %llu outputs, at most %d are allowed", node->where,
                       (unsigned long long)count, LP_BUNDLE_COLUMNS_MAX);
    *elements += count;
    if (*elements > LP_BUNDLE_VALUES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: the graph's values have more than %d elements a row together",
                       node->where, LP_BUNDLE_VALUES_MAX);
    if (op->work < count) op->work = count;
    if (__builtin_add_overflow(*work, op->work, work) || *work > (uint64_t)LP_BUNDLE_WORK_GIGA_MAX << 30)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: the graph needs more than %d * 2^30 multiply-adds a row",
                       node->where, LP_BUNDLE_WORK_GIGA_MAX);
    op->out_width = (uint32_t)count;
    return LP_OK;
}

/* What all ops add up to. */
struct totals {
    uint64_t elements, work;
};

static enum lp_code read_op(struct lp_bundle *bundle, const json_t *json, uint32_t index, struct values *values,
                            struct lp_shape *shapes, struct totals *totals, struct lp_op *op, struct lp_error *err)
{
    struct lp_node node;
    size_t kind;
    LP_TRY(read_kind(json, index, &kind, err));
    op->kind = (enum lp_op_kind)kind;
    LP_TRY(check_members(json, index, kind, &node, err));
    LP_TRY(read_ends(bundle, &node, values, op, shapes, err));
    op->shape = op->in;
    op->padding_index = -1;
    if (op->kind == LP_OP_TREES) LP_TRY(lp_trees_read(bundle, &node, op, err));
    else LP_TRY(kinds[kind].read(bundle, &node, shapes, op, err));
    LP_TRY(check_size(&node, op, &totals->elements, &totals->work, err));
    add_value(values, op->output, &op->shape);
    return LP_OK;
}

static enum lp_code check_used(const struct values *values, struct lp_error *err)
{
    /* The last one is the margin. */
    for (uint32_t i = 0; i + 1 < values->count; i++)
        if (!values->used[i])
            return LP_BAD(err, "graph: nothing uses `%.64s`: only the last op's output is the margin",
                          values->names[i]);
    return LP_OK;
}

static enum lp_code take_values(struct lp_bundle *bundle, size_t count, struct values *values, struct lp_error *err)
{
    values->names = lp_storage_take(bundle->storage, count, sizeof *values->names, err);
    values->shapes = lp_storage_take(bundle->storage, count, sizeof *values->shapes, err);
    values->used = lp_storage_take(bundle->storage, count, sizeof *values->used, err);
    size_t slots = 8;
    while (slots < 2 * count) slots *= 2;
    values->slots = lp_storage_take(bundle->storage, slots, sizeof *values->slots, err);
    values->slot_mask = slots - 1;
    if (values->names == NULL || values->shapes == NULL || values->used == NULL || values->slots == NULL)
        return lp_failed(err->code);
    struct lp_shape row = {.rank = 1, .dims = {bundle->column_count}};
    add_value(values, features_value, &row);
    return LP_OK;
}

/* Inputs of the op that has most. */
static size_t widest(const json_t *array)
{
    size_t most = 1;
    for (size_t i = 0; i < json_array_size(array); i++) {
        size_t count = json_array_size(json_object_get(json_array_get(array, i), "inputs"));
        if (count > most) most = count < INPUTS_MAX ? count : INPUTS_MAX;
    }
    return most;
}

static enum lp_code read_ops(struct lp_bundle *bundle, const json_t *array, struct lp_op *ops, struct values *values,
                             struct lp_error *err)
{
    struct lp_shape *shapes = lp_storage_take(bundle->storage, widest(array), sizeof *shapes, err);
    struct totals totals = {.elements = bundle->column_count};
    if (shapes == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < json_array_size(array); i++)
        LP_TRY(read_op(bundle, json_array_get(array, i), i, values, shapes, &totals, &ops[i], err));
    return check_used(values, err);
}

enum lp_code lp_graph_read(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err)
{
    const json_t *array;
    struct values values = {0};
    LP_TRY(lp_node_array(manifest, "graph", &array, err));
    size_t count = json_array_size(array);
    if (count == 0) return LP_BAD(err, "%s: `graph` is empty", manifest->where);
    if (count > LP_BUNDLE_OPS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "graph: %zu ops, at most %d are allowed", count, LP_BUNDLE_OPS_MAX);
    struct lp_op *ops = lp_storage_take(bundle->storage, count, sizeof *ops, err);
    if (ops == NULL) return lp_failed(err->code);
    LP_TRY(take_values(bundle, count + 1, &values, err));
    LP_TRY(read_ops(bundle, array, ops, &values, err));
    LP_TRY(lp_graph_check_missing(bundle, ops, (uint32_t)count, err));
    bundle->ops = ops;
    bundle->op_count = (uint32_t)count;
    bundle->output_count = ops[count - 1].out_width;
    if (bundle->output_count > LP_BUNDLE_OUTPUTS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "graph: %u outputs, at most %d are allowed", bundle->output_count,
                       LP_BUNDLE_OUTPUTS_MAX);
    return LP_OK;
}
