/* A whole model for ONNX Runtime: its inputs are features as ever, the file itself is the one op of the graph. */
#include "import/onnx/private.h"

#include <string.h>

enum { DATA_EXTERNAL = 1 }; /* TensorProto.DataLocation */

/* Fields that are not unpacked and may hold tensors, by their published numbers, as bits. */
#define ATTRIBUTE_FIELDS (1u << 6 | 1u << 10 | 1u << 11 | 1u << 22 | 1u << 23) /* g, tensors, graphs, sparse ones */
#define GRAPH_FIELDS (1u << 15)                                                /* sparse_initializer */
#define MODEL_FIELDS (1u << 20 | 1u << 25)                                     /* training_info, functions */

/* An external tensor in one of these fields has this key, whatever lies around it. */
static enum lp_code check_rest(const ProtobufCMessage *message, uint32_t fields, struct lp_error *err)
{
    static const char key[] = "location";
    for (unsigned int i = 0; i < message->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &message->unknown_fields[i];
        if (field->tag < 32 && (fields >> field->tag & 1) != 0 &&
            memmem(field->data, field->len, key, sizeof key - 1) != NULL)
            return lp_fail(
                err, LP_E_UNSUPPORTED, LP_FATAL,
                "field %u (subgraphs, functions) has the word `location`, as tensors in files of their own have: "
                "save the model as one file, or rename what is called so",
                field->tag);
    }
    return LP_OK;
}

static enum lp_code check_attributes(const Onnx__Node *node, struct lp_error *err)
{
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__Attribute *attribute = node->attribute[i];
        LP_TRY(check_rest(&attribute->base, ATTRIBUTE_FIELDS, err));
        if (attribute->t != NULL && attribute->t->data_location == DATA_EXTERNAL)
            return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                           "attribute `%.64s` of a %.64s is in a file of its own: save the model as one file",
                           attribute->name != NULL ? attribute->name : "", node->op_type != NULL ? node->op_type : "");
    }
    return LP_OK;
}

static enum lp_code check_tensors(const struct lp_onnx *onnx, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->data_location == DATA_EXTERNAL)
            return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                           "initializer `%.64s` is in a file of its own: save the model as one file",
                           graph->initializer[i]->name);
    for (size_t i = 0; i < graph->n_node; i++) LP_TRY(check_attributes(graph->node[i], err));
    LP_TRY(check_rest(&graph->base, GRAPH_FIELDS, err));
    return check_rest(&onnx->proto->base, MODEL_FIELDS, err);
}

/* Names of inputs and initializers; what an initializer holds is the library's. */
static enum lp_code read_names(struct lp_onnx *onnx, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    if (graph == NULL) return lp_fail(err, LP_E_INVALID, LP_FATAL, "there is no graph in it");
    LP_TRY(lp_onnx_names_read(onnx, err));
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const char *name = graph->initializer[i]->name;
        onnx->values[lp_onnx_find(onnx, name != NULL ? name : "")].kind = LP_ONNX_CONSTANT;
    }
    return check_tensors(onnx, err);
}

static enum lp_code read_input(const struct lp_onnx_value *value, struct lp_foreign_input *input, struct lp_error *err)
{
    static const struct {
        enum lp_onnx_type from;
        enum lp_foreign_type to;
    } types[] = {{LP_ONNX_FLOAT, LP_FOREIGN_FLOAT},
                 {LP_ONNX_DOUBLE, LP_FOREIGN_DOUBLE},
                 {LP_ONNX_INT32, LP_FOREIGN_INT32},
                 {LP_ONNX_INT64, LP_FOREIGN_INT64}};
    *input = (struct lp_foreign_input){.name = value->name, .shape = {.rank = value->rank}, .width = 1};
    memcpy(input->shape.dims, value->dims, value->rank * sizeof *value->dims);
    for (uint32_t i = 0; i < value->rank; i++) input->width *= value->dims[i];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].from != value->type) continue;
        input->type = types[i].to;
        return LP_OK;
    }
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                   "input `%.64s`: element type %d is not in this release for ONNX Runtime", value->name, value->type);
}

/* In the order of the features' columns. Whole numbers cannot be missing. */
static enum lp_code read_inputs(struct lp_onnx *onnx, struct lp_foreign *foreign, struct lp_error *err)
{
    struct lp_draft *draft = onnx->draft;
    if (draft->feature_count == 0 || draft->feature_count > LP_FOREIGN_INPUTS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%u inputs: 1 to %d are allowed", draft->feature_count,
                       LP_FOREIGN_INPUTS_MAX);
    struct lp_foreign_input *inputs = lp_onnx_take(onnx, draft->feature_count, sizeof *inputs, err);
    if (inputs == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < draft->feature_count; i++) {
        if (draft->features[i].is_text) /* its name may be an element's, which no value has */
            return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                           "input `%.64s`: texts are not in this release for ONNX Runtime", draft->features[i].name);
        const struct lp_onnx_value *value = &onnx->values[lp_onnx_find(onnx, draft->features[i].name)];
        LP_TRY(read_input(value, &inputs[i], err));
        draft->features[i].rejects_missing = lp_onnx_type_whole(value->type);
    }
    foreign->inputs = inputs;
    foreign->input_count = draft->feature_count;
    return LP_OK;
}

/* Floats a row of an output, or LP_E_UNSUPPORTED. */
static enum lp_code count_outputs(const Onnx__ValueInfo *info, uint32_t *ret_count, struct lp_error *err)
{
    const Onnx__TensorType *tensor = info->type != NULL ? info->type->tensor_type : NULL;
    uint64_t count = 1;
    if (tensor == NULL || tensor->elem_type != LP_ONNX_FLOAT || tensor->shape == NULL || tensor->shape->n_dim == 0)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "output `%.64s` is not a tensor of floats by record",
                       info->name);
    for (size_t i = 1; i < tensor->shape->n_dim; i++) {
        const Onnx__Dimension *dim = tensor->shape->dim[i];
        bool known = dim->value_case == ONNX__DIMENSION__VALUE_DIM_VALUE && dim->dim_value > 0;
        if (!known || __builtin_mul_overflow(count, (uint64_t)dim->dim_value, &count) || count > LP_BUNDLE_OUTPUTS_MAX)
            return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                           "output `%.64s`: axis %zu is not fixed, or too long: save the model with its shapes",
                           info->name, i);
    }
    *ret_count = (uint32_t)count;
    return LP_OK;
}

/* The first output of floats: labels stand beside it. */
static enum lp_code read_output(struct lp_onnx *onnx, struct lp_foreign *foreign, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    struct lp_draft *draft = onnx->draft;
    const Onnx__ValueInfo *found = NULL;
    for (size_t i = 0; i < graph->n_output; i++) {
        const Onnx__ValueInfo *info = graph->output[i];
        bool floats = info->type == NULL || info->type->tensor_type == NULL ||
                      info->type->tensor_type->elem_type == LP_ONNX_FLOAT;
        if (found == NULL && floats) found = info;
        else lp_buffer_format(&draft->notes, "output `%.64s` is left out\n", info->name);
    }
    if (found == NULL || found->name == NULL) return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "no output is of floats");
    foreign->output = found->name;
    return count_outputs(found, &draft->output_count, err);
}

enum lp_code lp_onnx_foreign_read(struct lp_onnx *onnx, struct lp_span bytes, struct lp_error *err)
{
    const uint32_t features = LP_GRAPH_FEATURES;
    struct lp_foreign *foreign = lp_onnx_take(onnx, 1, sizeof *foreign, err);
    struct lp_tensor *file;
    uint32_t value;
    void *data;
    if (foreign == NULL) return lp_failed(err->code);
    LP_TRY(read_names(onnx, err));
    LP_TRY(lp_onnx_inputs_read(onnx, err));
    LP_TRY(read_inputs(onnx, foreign, err));
    LP_TRY(read_output(onnx, foreign, err));
    LP_TRY(lp_onnx_tensor_new(onnx, LP_DTYPE_U8, 1, (const uint64_t[]){bytes.size}, &file, &data, err));
    memcpy(data, bytes.data, bytes.size);
    onnx->draft->graph.count = 0; /* slices of the features, which nothing reads */
    const struct lp_graph_op op = {.kind = LP_GRAPH_FOREIGN,
                                   .input_count = 1,
                                   .rank = 1,
                                   .dims = {onnx->draft->output_count},
                                   .weight = file,
                                   .foreign = foreign};
    return lp_onnx_emit(onnx, op, &features, &value, err);
}
