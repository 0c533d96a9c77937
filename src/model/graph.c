/* The graph: ops on named values. */
#include "model/array.h"
#include "model/manifest.h"

#include <math.h>
#include <string.h>

static const char *const op_kinds[] = {
    [LP_OP_DENSE] = "dense", [LP_OP_ACTIVATION] = "activation", [LP_OP_TREES] = "trees"};
static const char *const later_op_kinds[] = {"embedding", "concat", "add",    "mul", "dot",
                                             "cross",     "norm",   "conv2d", "pool"};
static const char *const activations[] = {
    [LP_ACTIVATION_NONE] = "none",
    [LP_ACTIVATION_RELU] = "relu",
    [LP_ACTIVATION_LEAKY_RELU] = "leaky_relu",
    [LP_ACTIVATION_ELU] = "elu",
    [LP_ACTIVATION_TANH] = "tanh",
    [LP_ACTIVATION_SIGMOID] = "sigmoid",
    [LP_ACTIVATION_GELU] = "gelu",
    [LP_ACTIVATION_GELU_TANH] = "gelu_tanh",
    [LP_ACTIVATION_SILU] = "silu",
    [LP_ACTIVATION_SOFTPLUS] = "softplus",
};

static const char features_value[] = "features";

/* A named value: the row, or the output of an op before. */
struct value {
    const char *name;
    uint32_t width;
    bool used;
};

static enum lp_code read_activation(const struct lp_node *node, struct lp_op *op, struct lp_error *err)
{
    size_t index = LP_ACTIVATION_NONE;
    if (op->kind == LP_OP_ACTIVATION || lp_node_has(node, "activation"))
        LP_TRY(lp_node_choice(node, "activation", LP_CHOICE(activations), NULL, &index, err));
    op->activation = (enum lp_activation)index;
    bool takes_alpha = op->activation == LP_ACTIVATION_LEAKY_RELU || op->activation == LP_ACTIVATION_ELU;
    if (lp_node_has(node, "alpha") && !takes_alpha)
        return LP_BAD(err, "%s: `alpha` has no meaning with activation %s", node->where, activations[index]);
    if (op->activation == LP_ACTIVATION_LEAKY_RELU) op->alpha = 0.01;
    if (op->activation == LP_ACTIVATION_ELU) op->alpha = 1;
    LP_TRY(lp_node_number_or(node, "alpha", &op->alpha, err));
    if (!isfinite((float)op->alpha))
        return LP_BAD(err, "%s: `alpha` is %g: it must fit in a float", node->where, op->alpha);
    return LP_OK;
}

static enum lp_code read_dense(const struct lp_bundle *bundle, const struct lp_node *node, struct lp_op *op,
                               struct lp_error *err)
{
    LP_TRY(lp_array_tensor(bundle, node, "weight", &op->weight, err));
    const struct lp_tensor *weight = op->weight;
    if (weight->dtype != LP_DTYPE_F32 || weight->rank != 2 || weight->count == 0)
        return LP_BAD(err, "%s: weight `%.64s` must be F32 of rank 2, [in, out]", node->where, weight->name);
    if (weight->dims[0] != op->in_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: weight `%.64s` takes %llu inputs, `%.64s` has %u",
                       node->where, weight->name, (unsigned long long)weight->dims[0], op->input, op->in_width);
    if (weight->dims[1] > LP_BUNDLE_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: %llu outputs, at most %d are allowed", node->where,
                       (unsigned long long)weight->dims[1], LP_BUNDLE_COLUMNS_MAX);
    LP_TRY(lp_storage_charge(bundle->storage, weight->count, sizeof(float), err)); /* packed for the kernels later */
    op->out_width = (uint32_t)weight->dims[1];
    if (!lp_node_has(node, "bias")) return LP_OK;
    LP_TRY(lp_array_tensor(bundle, node, "bias", &op->bias, err));
    if (op->bias->dtype != LP_DTYPE_F32 || op->bias->rank != 1 || op->bias->count != op->out_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: bias `%.64s` must be F32 [%u]", node->where, op->bias->name,
                       op->out_width);
    return LP_OK;
}

static struct value *find_value(struct value *values, uint32_t count, const char *name)
{
    for (uint32_t i = count; i-- > 0;)
        if (strcmp(values[i].name, name) == 0) return &values[i];
    return NULL;
}

static enum lp_code read_ends(struct lp_bundle *bundle, const struct lp_node *node, struct value *values,
                              uint32_t value_count, struct lp_op *op, struct lp_error *err)
{
    LP_TRY(lp_node_text(node, "input", LP_NAME_MAX_BYTES, bundle->storage, &op->input, err));
    LP_TRY(lp_node_text(node, "output", LP_NAME_MAX_BYTES, bundle->storage, &op->output, err));
    struct value *input = find_value(values, value_count, op->input);
    if (input == NULL)
        return LP_BAD(err, "%s: `input` %.64s is neither `features` nor the output of an op before", node->where,
                      op->input);
    if (find_value(values, value_count, op->output) != NULL)
        return LP_BAD(err, "%s: `output` %.64s is there already", node->where, op->output);
    input->used = true;
    op->in_width = input->width;
    return LP_OK;
}

static enum lp_code read_op(struct lp_bundle *bundle, const json_t *json, uint32_t index, struct value *values,
                            struct lp_op *op, struct lp_error *err)
{
    static const char *const dense_members[] = {"op", "input", "output", "weight", "bias", "activation", "alpha", NULL};
    static const char *const activation_members[] = {"op", "input", "output", "activation", "alpha", NULL};
    static const char *const *const members[] = {dense_members, activation_members, lp_trees_members};
    static const struct lp_choice later = {later_op_kinds, sizeof later_op_kinds / sizeof *later_op_kinds};
    struct lp_node node;
    size_t kind;
    LP_TRY(lp_node_init(&node, json, NULL, err, "graph[%u]", index));
    LP_TRY(lp_node_choice(&node, "op", LP_CHOICE(op_kinds), &later, &kind, err));
    op->kind = (enum lp_op_kind)kind;
    LP_TRY(lp_node_init(&node, json, members[kind], err, "graph[%u] %s", index, op_kinds[kind]));
    LP_TRY(read_ends(bundle, &node, values, index + 1, op, err));
    op->out_width = op->in_width;
    if (op->kind == LP_OP_TREES) return lp_trees_read(bundle, &node, op, err);
    if (op->kind == LP_OP_DENSE) LP_TRY(read_dense(bundle, &node, op, err));
    return read_activation(&node, op, err);
}

static enum lp_code check_used(const struct value *values, uint32_t op_count, struct lp_error *err)
{
    /* values[op_count] is the margin. */
    for (uint32_t i = 0; i < op_count; i++)
        if (!values[i].used)
            return LP_BAD(err, "graph: nothing uses `%.64s`: only the last op's output is the margin", values[i].name);
    return LP_OK;
}

/* Trees define what NaN gives; a dense graph does not: every such record would end as a non-finite score. */
static enum lp_code check_keep(const struct lp_bundle *bundle, const struct lp_op *ops, size_t count,
                               struct lp_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (ops[i].kind == LP_OP_TREES && count > 1)
            return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                           "graph[%zu] trees: beside other ops it is not in this release", i);
    for (uint32_t i = 0; i < bundle->feature_count && ops[0].kind != LP_OP_TREES; i++)
        if (bundle->features[i].missing == LP_MISSING_KEEP)
            return LP_BAD(
                err,
                "feature `%.64s`: missing=keep sends NaN into a dense graph, which does not define it: choose "
                "mean, value, indicator or reject",
                bundle->features[i].name);
    return LP_OK;
}

enum lp_code lp_graph_read(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err)
{
    const json_t *array;
    LP_TRY(lp_node_array(manifest, "graph", &array, err));
    size_t count = json_array_size(array);
    if (count == 0) return LP_BAD(err, "%s: `graph` is empty", manifest->where);
    if (count > LP_BUNDLE_OPS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "graph: %zu ops, at most %d are allowed", count, LP_BUNDLE_OPS_MAX);
    struct lp_op *ops = lp_storage_take(bundle->storage, count, sizeof *ops, err);
    struct value *values = lp_storage_take(bundle->storage, count + 1, sizeof *values, err);
    if (ops == NULL || values == NULL) return lp_failed(err->code);
    values[0] = (struct value){.name = features_value, .width = bundle->column_count};
    for (uint32_t i = 0; i < count; i++) {
        LP_TRY(read_op(bundle, json_array_get(array, i), i, values, &ops[i], err));
        values[i + 1] = (struct value){.name = ops[i].output, .width = ops[i].out_width};
    }
    LP_TRY(check_used(values, (uint32_t)count, err));
    LP_TRY(check_keep(bundle, ops, count, err));
    bundle->ops = ops;
    bundle->op_count = (uint32_t)count;
    bundle->output_count = ops[count - 1].out_width;
    if (bundle->output_count > LP_BUNDLE_OUTPUTS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "graph: %u outputs, at most %d are allowed", bundle->output_count,
                       LP_BUNDLE_OUTPUTS_MAX);
    return LP_OK;
}
