/* The onnxruntime op: a whole ONNX model as one op, its file in a tensor; read here, run by infer/ where it can be. */
#include "model/graph.h"

#include <string.h>

static const char *const types[] = {[LP_FOREIGN_FLOAT] = "float",
                                    [LP_FOREIGN_DOUBLE] = "double",
                                    [LP_FOREIGN_INT32] = "int32",
                                    [LP_FOREIGN_INT64] = "int64"};

const char *lp_foreign_type_name(enum lp_foreign_type type) { return types[type]; }

static enum lp_code read_type(const struct lp_node *node, const json_t *json, struct lp_foreign_input *input,
                              struct lp_error *err)
{
    const char *word = json_string_value(json);
    for (size_t i = 0; word != NULL && i < sizeof types / sizeof *types; i++) {
        if (strcmp(word, types[i]) != 0) continue;
        input->type = (enum lp_foreign_type)i;
        return LP_OK;
    }
    return LP_BAD(err, "%s: `types`: float, double, int32 and int64 are allowed", node->where);
}

/* The shape of one row; of no axes where the row is one number. */
static enum lp_code read_shape(const struct lp_node *node, const json_t *json, struct lp_foreign_input *input,
                               struct lp_error *err)
{
    size_t rank = json_array_size(json);
    uint64_t width = 1;
    if (!json_is_array(json) || rank > LP_VALUE_RANK_MAX)
        return LP_BAD(err, "%s: `shapes` must be arrays of at most %d numbers", node->where, LP_VALUE_RANK_MAX);
    for (size_t i = 0; i < rank; i++) {
        json_int_t dim = json_integer_value(json_array_get(json, i));
        if (dim < 1 || dim > LP_BUNDLE_COLUMNS_MAX || (width *= (uint64_t)dim) > LP_BUNDLE_COLUMNS_MAX)
            return LP_BAD(err, "%s: `shapes`: an axis of %lld", node->where, (long long)dim);
        input->shape.dims[i] = (uint32_t)dim;
    }
    input->shape.rank = (uint32_t)rank;
    input->width = (uint32_t)width;
    return LP_OK;
}

static enum lp_code read_inputs(struct lp_bundle *bundle, const struct lp_node *node, struct lp_foreign *foreign,
                                uint32_t column_count, struct lp_error *err)
{
    const json_t *names, *kinds, *shapes;
    LP_TRY(lp_node_array(node, "names", &names, err));
    LP_TRY(lp_node_array(node, "types", &kinds, err));
    LP_TRY(lp_node_array(node, "shapes", &shapes, err));
    size_t count = json_array_size(names);
    if (count < 1 || count > LP_FOREIGN_INPUTS_MAX || json_array_size(kinds) != count ||
        json_array_size(shapes) != count)
        return LP_BAD(err, "%s: `names`, `types` and `shapes` must be of one length, 1 to %d", node->where,
                      LP_FOREIGN_INPUTS_MAX);
    struct lp_foreign_input *inputs = lp_storage_take(bundle->storage, count, sizeof *inputs, err);
    if (inputs == NULL) return lp_failed(err->code);
    uint64_t column = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(names, i);
        if (!json_is_string(name) || json_string_length(name) > LP_NAME_MAX_BYTES)
            return LP_BAD(err, "%s: `names`[%zu] must be a text of at most %d bytes", node->where, i,
                          LP_NAME_MAX_BYTES);
        inputs[i].name = lp_storage_text(bundle->storage, json_string_value(name), json_string_length(name), err);
        if (inputs[i].name == NULL) return lp_failed(err->code);
        LP_TRY(read_type(node, json_array_get(kinds, i), &inputs[i], err));
        LP_TRY(read_shape(node, json_array_get(shapes, i), &inputs[i], err));
        inputs[i].column = (uint32_t)column;
        column += inputs[i].width;
    }
    if (column != column_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: the model takes %llu numbers, the features have %u",
                       node->where, (unsigned long long)column, column_count);
    foreign->inputs = inputs;
    foreign->input_count = (uint32_t)count;
    return LP_OK;
}

enum lp_code lp_foreign_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                             struct lp_op *op, struct lp_error *err)
{
    struct lp_foreign *foreign = lp_storage_take(bundle->storage, 1, sizeof *foreign, err);
    json_int_t outputs;
    (void)inputs;
    if (foreign == NULL) return lp_failed(err->code);
    if (op->inputs[0] != 0) return LP_BAD(err, "%s: `input` must be `features`", node->where);
    LP_TRY(lp_weight_read(bundle, node, "model", 1u << LP_DTYPE_U8, &op->weight, err));
    if (op->weight->rank != 1) return LP_BAD(err, "%s: `model` must be of rank 1: a file's bytes", node->where);
    LP_TRY(lp_node_text(node, "from", LP_NAME_MAX_BYTES, bundle->storage, &foreign->output, err));
    LP_TRY(lp_node_whole(node, "outputs", 1, LP_BUNDLE_OUTPUTS_MAX, &outputs, err));
    LP_TRY(read_inputs(bundle, node, foreign, op->in.dims[0], err));
    LP_TRY(lp_storage_charge(bundle->storage, op->weight->count, 2, err)); /* parsed, and packed by the library */
    op->shape = (struct lp_shape){1, {(uint32_t)outputs}};
    op->work = op->weight->count;
    op->foreign = foreign;
    return LP_OK;
}
