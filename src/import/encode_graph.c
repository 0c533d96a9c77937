/* A graph's ops as a bundle's manifest has them. */
#include "import/encode_private.h"

#include <math.h>
#include <stdio.h>

enum { NAME_BYTES = 32 };

struct ops {
    struct lp_encode *encode;
    const struct lp_graph *graph;
    uint32_t index; /* of the op that is written */
};

static void value_name(const struct ops *ops, uint32_t value, char *name)
{
    if (value == LP_GRAPH_FEATURES) snprintf(name, NAME_BYTES, "features");
    else if (value == ops->graph->count) snprintf(name, NAME_BYTES, "margin");
    else snprintf(name, NAME_BYTES, "v%u", value);
}

/* A tensor that two ops have is written once. */
static const char *find_name(const struct lp_encode *encode, const struct lp_tensor *tensor)
{
    for (size_t i = 0; i < encode->count; i++) {
        const struct lp_tensor *known = &encode->items[i];
        bool same = known->data == tensor->data && known->dtype == tensor->dtype && known->rank == tensor->rank;
        for (uint32_t k = 0; same && k < tensor->rank; k++) same = known->dims[k] == tensor->dims[k];
        if (same) return known->name;
    }
    return NULL;
}

static bool put_tensor(const struct ops *ops, json_t *op, const char *key, const struct lp_tensor *tensor)
{
    char name[NAME_BYTES];
    if (tensor == NULL) return true;
    const char *known = find_name(ops->encode, tensor);
    if (known == NULL) {
        snprintf(name, sizeof name, "op%u.%.16s", ops->index, key);
        if (!lp_encode_tensor(ops->encode, name, tensor)) return false;
        known = name;
    }
    return json_object_set_new(op, key, json_string(known)) == 0;
}

static bool put_number(json_t *op, const char *key, double number)
{
    return json_object_set_new(op, key, json_real(number)) == 0;
}
static bool put_whole(json_t *op, const char *key, int64_t whole)
{
    return json_object_set_new(op, key, json_integer(whole)) == 0;
}
static bool put_word(json_t *op, const char *key, const char *word)
{
    return json_object_set_new(op, key, json_string(word)) == 0;
}
static bool put_flag(json_t *op, const char *key, bool flag)
{
    return !flag || json_object_set_new(op, key, json_true()) == 0;
}
static bool put_wholes(json_t *op, const char *key, const uint32_t *wholes, uint32_t count)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++) json_array_append_new(array, json_integer(wholes[i]));
    return json_object_set_new(op, key, array) == 0;
}

static bool put_inputs(const struct ops *ops, const struct lp_graph_op *op, json_t *to)
{
    char name[NAME_BYTES];
    bool several = op->kind == LP_GRAPH_CONCAT || op->kind == LP_GRAPH_MATMUL || op->input_count > 1;
    json_t *inputs = several ? json_array() : NULL;
    for (uint32_t i = 0; i < op->input_count; i++) {
        value_name(ops, op->inputs[i], name);
        if (several) json_array_append_new(inputs, json_string(name));
    }
    return several ? json_object_set_new(to, "inputs", inputs) == 0 : put_word(to, "input", name);
}

/* The parameters of an activation, beside its name. */
static bool put_parameters(const struct lp_graph_op *op, json_t *to)
{
    switch (op->function) {
    case LP_GRAPH_LEAKY_RELU:
    case LP_GRAPH_ELU:
    case LP_GRAPH_CELU:
    case LP_GRAPH_THRESHOLDED_RELU: return put_number(to, "alpha", op->alpha);
    case LP_GRAPH_SELU:
    case LP_GRAPH_HARD_SIGMOID: return put_number(to, "alpha", op->alpha) && put_number(to, "beta", op->beta);
    case LP_GRAPH_CLIP:
        return (isinf(op->alpha) || put_number(to, "low", op->alpha)) &&
               (isinf(op->beta) || put_number(to, "high", op->beta));
    default: return true;
    }
}

static bool put_activation(const struct lp_graph_op *op, json_t *to)
{
    return op->function == LP_GRAPH_NONE ||
           (put_word(to, "activation", lp_graph_function_name(op->function)) && put_parameters(op, to));
}

static bool put_dense(const struct ops *ops, const struct lp_graph_op *op, json_t *to)
{
    bool good = put_tensor(ops, to, "weight", op->weight) && put_tensor(ops, to, "bias", op->bias) &&
                put_tensor(ops, to, "weight_scale", op->scale) && put_activation(op, to);
    if (good && op->has_input_scale)
        good = put_number(to, "input_scale", op->input_scale) && put_whole(to, "input_zero_point", op->zero);
    return good;
}

static bool put_window(const struct lp_graph_op *op, json_t *to)
{
    return put_wholes(to, "strides", op->strides, 2) && put_wholes(to, "pads", op->pads, 4) &&
           put_wholes(to, "dilations", op->dilations, 2);
}

static bool put_conv(const struct ops *ops, const struct lp_graph_op *op, json_t *to)
{
    return put_tensor(ops, to, "weight", op->weight) && put_tensor(ops, to, "bias", op->bias) && put_window(op, to) &&
           put_whole(to, "group", op->group) && put_activation(op, to);
}

static bool put_pool(const struct lp_graph_op *op, json_t *to)
{
    bool max = op->function == LP_GRAPH_MAX;
    return put_word(to, "function", lp_graph_function_name(op->function)) && put_wholes(to, "kernel", op->kernel, 2) &&
           put_wholes(to, "strides", op->strides, 2) && put_wholes(to, "pads", op->pads, 4) &&
           (!max || put_wholes(to, "dilations", op->dilations, 2)) && put_flag(to, "ceil", op->ceil) &&
           put_flag(to, "count_pad", op->count_pad);
}

static bool put_embedding(const struct ops *ops, const struct lp_graph_op *op, json_t *to)
{
    return put_tensor(ops, to, "table", op->weight) && put_tensor(ops, to, "table_scale", op->scale) &&
           put_word(to, "pool", lp_graph_function_name(op->function)) &&
           (op->padding_index < 0 || put_whole(to, "padding_index", op->padding_index));
}

static bool put_map(const struct ops *ops, const struct lp_graph_op *op, json_t *to)
{
    return put_tensor(ops, to, "keys", op->keys) && put_tensor(ops, to, "values", op->values) &&
           put_number(to, "default", op->alpha);
}

static bool put_quantize(const struct lp_graph_op *op, json_t *to)
{
    return put_number(to, "scale", op->alpha) && put_whole(to, "zero_point", op->zero) &&
           put_whole(to, "low", op->low) && put_whole(to, "high", op->high);
}

static bool put_norm(const struct ops *ops, const struct lp_graph_op *op, json_t *to)
{
    return put_whole(to, "axis", op->axis) && put_tensor(ops, to, "weight", op->weight) &&
           put_tensor(ops, to, "bias", op->bias) && put_number(to, "epsilon", op->alpha);
}

/* A whole model: what it takes and gives, by its own names. */
static bool put_foreign(const struct ops *ops, const struct lp_graph_op *op, json_t *to)
{
    json_t *names = json_array(), *types = json_array(), *shapes = json_array();
    for (uint32_t i = 0; i < op->foreign->input_count; i++) {
        const struct lp_foreign_input *input = &op->foreign->inputs[i];
        json_t *shape = json_array();
        for (uint32_t k = 0; k < input->shape.rank; k++)
            json_array_append_new(shape, json_integer(input->shape.dims[k]));
        json_array_append_new(names, json_string(input->name));
        json_array_append_new(types, json_string(lp_foreign_type_name(input->type)));
        json_array_append_new(shapes, shape);
    }
    bool good = json_object_set_new(to, "names", names) == 0;
    good &= json_object_set_new(to, "types", types) == 0;
    good &= json_object_set_new(to, "shapes", shapes) == 0;
    return good && put_tensor(ops, to, "model", op->weight) && put_word(to, "from", op->foreign->output) &&
           put_whole(to, "outputs", op->dims[0]);
}

static bool put_members(const struct ops *ops, const struct lp_graph_op *op, json_t *to)
{
    const uint32_t one[] = {1};
    switch (op->kind) {
    case LP_GRAPH_DENSE: return put_dense(ops, op, to);
    case LP_GRAPH_ACTIVATION:
        return put_word(to, "activation", lp_graph_function_name(op->function)) && put_parameters(op, to) &&
               put_tensor(ops, to, "slope", op->constant);
    case LP_GRAPH_SOFTMAX:
    case LP_GRAPH_CONCAT: return put_whole(to, "axis", op->axis);
    case LP_GRAPH_BINARY: return put_tensor(ops, to, "constant", op->constant) && put_flag(to, "reverse", op->reverse);
    case LP_GRAPH_MATMUL: return put_flag(to, "transpose_b", op->transpose_b);
    case LP_GRAPH_SLICE:
        return put_whole(to, "axis", op->axis) && put_whole(to, "start", op->start) && put_whole(to, "end", op->end) &&
               put_whole(to, "step", op->step);
    case LP_GRAPH_GATHER: return put_whole(to, "axis", op->axis) && put_tensor(ops, to, "indices", op->indices);
    case LP_GRAPH_RESHAPE: return put_wholes(to, "shape", op->rank > 0 ? op->dims : one, op->rank > 0 ? op->rank : 1);
    case LP_GRAPH_TRANSPOSE: return put_wholes(to, "perm", op->axes, op->axis_count);
    case LP_GRAPH_REDUCE:
        return put_word(to, "function", lp_graph_function_name(op->function)) &&
               put_wholes(to, "axes", op->axes, op->axis_count) && put_flag(to, "keep", true);
    case LP_GRAPH_EMBEDDING: return put_embedding(ops, op, to);
    case LP_GRAPH_ONEHOT: return put_tensor(ops, to, "values", op->values);
    case LP_GRAPH_MAP: return put_map(ops, op, to);
    case LP_GRAPH_IMPUTE:
        return put_tensor(ops, to, "constant", op->constant) &&
               (isnan(op->alpha) || put_number(to, "missing", op->alpha));
    case LP_GRAPH_UNIT: return put_word(to, "norm", lp_graph_function_name(op->function));
    case LP_GRAPH_NORM: return put_norm(ops, op, to);
    case LP_GRAPH_CONV2D: return put_conv(ops, op, to);
    case LP_GRAPH_POOL: return put_pool(op, to);
    case LP_GRAPH_QUANTIZE: return put_quantize(op, to);
    case LP_GRAPH_TREES: return true;
    case LP_GRAPH_FOREIGN: return put_foreign(ops, op, to);
    case LP_GRAPH_KIND_COUNT: break;
    }
    return false;
}

static json_t *start_op(const struct ops *ops, const struct lp_graph_op *op)
{
    static const char *const names[LP_GRAPH_KIND_COUNT] = {
        [LP_GRAPH_DENSE] = "dense",         [LP_GRAPH_ACTIVATION] = "activation",
        [LP_GRAPH_MATMUL] = "matmul",       [LP_GRAPH_CONCAT] = "concat",
        [LP_GRAPH_SLICE] = "slice",         [LP_GRAPH_GATHER] = "gather",
        [LP_GRAPH_RESHAPE] = "reshape",     [LP_GRAPH_TRANSPOSE] = "transpose",
        [LP_GRAPH_REDUCE] = "reduce",       [LP_GRAPH_EMBEDDING] = "embedding",
        [LP_GRAPH_ONEHOT] = "onehot",       [LP_GRAPH_MAP] = "map",
        [LP_GRAPH_IMPUTE] = "impute",       [LP_GRAPH_UNIT] = "unit",
        [LP_GRAPH_NORM] = "norm",           [LP_GRAPH_CONV2D] = "conv2d",
        [LP_GRAPH_POOL] = "pool",           [LP_GRAPH_QUANTIZE] = "quantize",
        [LP_GRAPH_FOREIGN] = "onnxruntime",
    };
    char prefix[NAME_BYTES];
    if (op->kind != LP_GRAPH_TREES) {
        const char *name = names[op->kind] != NULL ? names[op->kind] : lp_graph_function_name(op->function);
        return json_pack("{s:s}", "op", name);
    }
    snprintf(prefix, sizeof prefix, "op%u.", ops->index);
    const struct lp_encode_trees trees = {.forest = &op->trees->forest,
                                          .compare = op->trees->compare,
                                          .output_count = op->dims[0],
                                          .base = op->trees->base,
                                          .divisor = op->trees->divisor,
                                          .prefix = prefix};
    return lp_encode_trees(ops->encode, &trees);
}

static json_t *encode_op(const struct ops *ops, const struct lp_graph_op *op)
{
    char output[NAME_BYTES];
    json_t *to = start_op(ops, op);
    value_name(ops, ops->index + 1, output);
    if (to != NULL && put_inputs(ops, op, to) && put_members(ops, op, to) && put_word(to, "output", output)) return to;
    json_decref(to);
    return NULL;
}

json_t *lp_encode_graph(struct lp_encode *encode, const struct lp_graph *graph)
{
    struct ops ops = {.encode = encode, .graph = graph};
    json_t *array = json_array();
    for (; ops.index < graph->count; ops.index++) {
        json_t *op = encode_op(&ops, &graph->ops[ops.index]);
        if (op == NULL || json_array_append_new(array, op) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}
