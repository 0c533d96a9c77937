#include "import/onnx/private.h"

#include <string.h>

/* AttributeProto.AttributeType, as published. A file before IR version 2 may leave it out. */
enum {
    TYPE_FLOAT = 1,
    TYPE_INT = 2,
    TYPE_STRING = 3,
    TYPE_TENSOR = 4,
    TYPE_FLOATS = 6,
    TYPE_INTS = 7,
    TYPE_STRINGS = 8
};

const Onnx__Attribute *lp_onnx_attribute(const struct lp_onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__Attribute *attribute = node->proto->attribute[i];
        if (attribute->name != NULL && strcmp(attribute->name, name) == 0) return attribute;
    }
    return NULL;
}

/* The attribute, which must be of the type; NULL where absent. */
static enum lp_code find(const struct lp_onnx_node *node, const char *name, int32_t type,
                         const Onnx__Attribute **ret_attribute, struct lp_error *err)
{
    const Onnx__Attribute *attribute = lp_onnx_attribute(node, name);
    if (attribute != NULL && attribute->ref_attr_name != NULL && attribute->ref_attr_name[0] != '\0')
        return lp_onnx_refuse(node, err, "attribute `%s` refers to a function's", name);
    if (attribute != NULL && attribute->has_type && attribute->type != 0 && attribute->type != type)
        return lp_onnx_bad(node, err, "attribute `%s` has type %d, not %d", name, attribute->type, type);
    *ret_attribute = attribute;
    return LP_OK;
}

enum lp_code lp_onnx_int(const struct lp_onnx_node *node, const char *name, int64_t otherwise, int64_t *ret_whole,
                         struct lp_error *err)
{
    const Onnx__Attribute *attribute = NULL;
    LP_TRY(find(node, name, TYPE_INT, &attribute, err));
    *ret_whole = attribute == NULL ? otherwise : attribute->has_i ? attribute->i : 0;
    return LP_OK;
}

enum lp_code lp_onnx_float(const struct lp_onnx_node *node, const char *name, double otherwise, double *ret_number,
                           struct lp_error *err)
{
    const Onnx__Attribute *attribute = NULL;
    LP_TRY(find(node, name, TYPE_FLOAT, &attribute, err));
    *ret_number = attribute == NULL ? otherwise : attribute->has_f ? (double)attribute->f : 0;
    return LP_OK;
}

enum lp_code lp_onnx_text(const struct lp_onnx_node *node, const char *name, const char *otherwise,
                          struct lp_span *ret_text, struct lp_error *err)
{
    const Onnx__Attribute *attribute = NULL;
    LP_TRY(find(node, name, TYPE_STRING, &attribute, err));
    *ret_text = attribute == NULL ? lp_span_text(otherwise) : lp_span_of(attribute->s.data, attribute->s.len);
    return LP_OK;
}

enum lp_code lp_onnx_ints(const struct lp_onnx_node *node, const char *name, const int64_t **ret_wholes,
                          size_t *ret_count, struct lp_error *err)
{
    const Onnx__Attribute *attribute = NULL;
    LP_TRY(find(node, name, TYPE_INTS, &attribute, err));
    *ret_wholes = attribute != NULL ? attribute->ints : NULL;
    *ret_count = attribute != NULL ? attribute->n_ints : 0;
    return LP_OK;
}

enum lp_code lp_onnx_floats(const struct lp_onnx_node *node, const char *name, const float **ret_numbers,
                            size_t *ret_count, struct lp_error *err)
{
    const Onnx__Attribute *attribute = NULL;
    LP_TRY(find(node, name, TYPE_FLOATS, &attribute, err));
    *ret_numbers = attribute != NULL ? attribute->floats : NULL;
    *ret_count = attribute != NULL ? attribute->n_floats : 0;
    return LP_OK;
}

enum lp_code lp_onnx_texts(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *name,
                           const struct lp_span **ret_texts, size_t *ret_count, struct lp_error *err)
{
    const Onnx__Attribute *attribute = NULL;
    LP_TRY(find(node, name, TYPE_STRINGS, &attribute, err));
    size_t count = attribute != NULL ? attribute->n_strings : 0;
    struct lp_span *texts = lp_onnx_take(onnx, count, sizeof *texts, err);
    if (texts == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < count; i++) texts[i] = lp_span_of(attribute->strings[i].data, attribute->strings[i].len);
    *ret_texts = texts;
    *ret_count = count;
    return LP_OK;
}

enum lp_code lp_onnx_tensor_attribute(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *name,
                                      struct lp_onnx_constant **ret_constant, struct lp_error *err)
{
    const Onnx__Attribute *attribute = NULL;
    LP_TRY(find(node, name, TYPE_TENSOR, &attribute, err));
    *ret_constant = NULL;
    if (attribute == NULL) return LP_OK;
    if (attribute->t == NULL) return lp_onnx_bad(node, err, "attribute `%s` has no tensor", name);
    enum lp_code rc = lp_onnx_constant_read(onnx, attribute->t, ret_constant, err);
    return rc == LP_OK ? LP_OK : lp_onnx_blame(node, rc, err);
}
