/* Ops that leave their input as it is, casts, and what is known of shapes. */
#include "import/onnx/lower.h"

#include <math.h>
#include <string.h>

enum lp_code lp_onnx_same(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0);
    if (input == NULL) return lp_onnx_bad(node, err, "input 0 is missing");
    lp_onnx_bind_value(onnx, node, 0, input);
    return LP_OK;
}

enum lp_code lp_onnx_dropout(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *training = NULL;
    if (lp_onnx_input(onnx, node, 2) != NULL) {
        LP_TRY(lp_onnx_known(onnx, node, 2, &training, err));
        if (training->count != 1 || lp_onnx_whole_at(training, 0) != 0)
            return lp_onnx_refuse(node, err, "it is in training mode");
    }
    return lp_onnx_same(onnx, node, err);
}

/* --- Cast --- */

/* Towards zero, by what a bundle has: sign(x) floor(|x|). */
static enum lp_code cut(struct lp_onnx *onnx, const struct lp_onnx_node *node, const struct lp_onnx_value *input,
                        struct lp_onnx_value *ret_value, struct lp_error *err)
{
    struct lp_onnx_value size, whole, sign;
    LP_TRY(lp_onnx_emit_activation(onnx, (struct lp_graph_op){.kind = LP_GRAPH_ACTIVATION, .function = LP_GRAPH_ABS},
                                   input, &size, err));
    LP_TRY(lp_onnx_emit_activation(onnx, (struct lp_graph_op){.kind = LP_GRAPH_ACTIVATION, .function = LP_GRAPH_FLOOR},
                                   &size, &whole, err));
    LP_TRY(lp_onnx_emit_activation(onnx, (struct lp_graph_op){.kind = LP_GRAPH_ACTIVATION, .function = LP_GRAPH_SIGN},
                                   input, &sign, err));
    return lp_onnx_emit_binary(onnx, node, LP_GRAPH_MUL, &sign, &whole, ret_value, err);
}

static enum lp_code read_to(const struct lp_onnx_node *node, enum lp_onnx_type *ret_type, struct lp_error *err)
{
    int64_t to;
    LP_TRY(lp_onnx_int(node, "to", 0, &to, err));
    if (to < 0 || to > LP_ONNX_BFLOAT16 || lp_onnx_type_bytes((enum lp_onnx_type)to) == 0)
        return lp_onnx_refuse(node, err, "to element type %lld", (long long)to);
    *ret_type = (enum lp_onnx_type)to;
    return LP_OK;
}

enum lp_code lp_onnx_cast(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    enum lp_onnx_type to = LP_ONNX_UNDEFINED;
    struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0), made;
    LP_TRY(read_to(node, &to, err));
    if (input != NULL && input->kind == LP_ONNX_TEXT && to == LP_ONNX_STRING) return lp_onnx_same(onnx, node, err);
    LP_TRY(lp_onnx_row(onnx, node, 0, &input, err));
    if (to == LP_ONNX_STRING) return lp_onnx_refuse(node, err, "numbers as texts");
    if (input->accumulated != 0 && lp_onnx_type_whole(to)) /* the graph has them times their scale: no whole numbers */
        return lp_onnx_refuse(node, err, "the product of a row's integers before its scale");
    made = *input;
    if (to == LP_ONNX_BOOL && input->type != LP_ONNX_BOOL) LP_TRY(lp_onnx_emit_truth(onnx, input, &made, err));
    else if (lp_onnx_type_whole(to) && !lp_onnx_type_whole(input->type)) LP_TRY(cut(onnx, node, input, &made, err));
    made.type = to;
    lp_onnx_bind_value(onnx, node, 0, &made);
    return LP_OK;
}

enum lp_code lp_onnx_fold_cast(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    enum lp_onnx_type to = LP_ONNX_UNDEFINED;
    struct lp_onnx_constant *from = NULL, *made = NULL;
    LP_TRY(read_to(node, &to, err));
    LP_TRY(lp_onnx_known(onnx, node, 0, &from, err));
    if (from->type == to) return lp_onnx_same(onnx, node, err);
    if (to == LP_ONNX_STRING || from->type == LP_ONNX_STRING) return lp_onnx_refuse(node, err, "texts and numbers");
    if (from->has_batch) {
        if (to != LP_ONNX_INT32) return lp_onnx_refuse(node, err, "the number of rows in arithmetic");
        to = LP_ONNX_INT64;
    }
    if (to == LP_ONNX_FLOAT16 || to == LP_ONNX_BFLOAT16) to = LP_ONNX_FLOAT;
    LP_TRY(lp_onnx_constant_new(onnx, to, from->rank, from->dims, &made, err));
    bool whole = lp_onnx_type_whole(to) && lp_onnx_type_whole(from->type);
    for (uint64_t i = 0; i < made->count; i++) {
        if (to == LP_ONNX_BOOL) lp_onnx_put_whole(made, i, lp_onnx_number_at(from, i) != 0);
        else if (whole) lp_onnx_put_whole(made, i, lp_onnx_whole_at(from, i));
        else lp_onnx_put_number(made, i, lp_onnx_number_at(from, i));
    }
    made->has_batch = from->has_batch;
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* --- Constant --- */

static enum lp_code constant_of_texts(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                      const Onnx__Attribute *attribute, struct lp_onnx_constant **ret_constant,
                                      struct lp_error *err)
{
    const struct lp_span *texts = NULL;
    struct lp_span one;
    size_t count = 1;
    bool several = strcmp(attribute->name, "value_strings") == 0;
    if (several) LP_TRY(lp_onnx_texts(onnx, node, attribute->name, &texts, &count, err));
    else LP_TRY(lp_onnx_text(node, attribute->name, "", &one, err));
    const uint64_t dims[] = {count};
    LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_STRING, several ? 1 : 0, dims, ret_constant, err));
    if (count > 0) memcpy((void *)(uintptr_t)(*ret_constant)->data, several ? texts : &one, count * sizeof one);
    return LP_OK;
}

static enum lp_code constant_of_numbers(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                        const Onnx__Attribute *attribute, struct lp_onnx_constant **ret_constant,
                                        struct lp_error *err)
{
    const char *name = attribute->name;
    const int64_t *wholes = &attribute->i;
    const float *numbers = &attribute->f;
    bool several = name[strlen(name) - 1] == 's', whole = strncmp(name, "value_int", 9) == 0;
    size_t count = 1;
    if (several && whole) LP_TRY(lp_onnx_ints(node, name, &wholes, &count, err));
    if (several && !whole) LP_TRY(lp_onnx_floats(node, name, &numbers, &count, err));
    const uint64_t dims[] = {count};
    LP_TRY(lp_onnx_constant_new(onnx, whole ? LP_ONNX_INT64 : LP_ONNX_FLOAT, several ? 1 : 0, dims, ret_constant, err));
    for (size_t i = 0; i < count; i++) {
        if (whole) lp_onnx_put_whole(*ret_constant, i, wholes[i]);
        else lp_onnx_put_number(*ret_constant, i, (double)numbers[i]);
    }
    return LP_OK;
}

enum lp_code lp_onnx_constant(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    static const char *const numbers[] = {"value_float", "value_floats", "value_int", "value_ints"};
    static const char *const texts[] = {"value_string", "value_strings"};
    struct lp_onnx_constant *constant = NULL;
    LP_TRY(lp_onnx_tensor_attribute(onnx, node, "value", &constant, err));
    for (size_t i = 0; constant == NULL && i < sizeof numbers / sizeof *numbers; i++)
        if (lp_onnx_attribute(node, numbers[i]) != NULL)
            LP_TRY(constant_of_numbers(onnx, node, lp_onnx_attribute(node, numbers[i]), &constant, err));
    for (size_t i = 0; constant == NULL && i < sizeof texts / sizeof *texts; i++)
        if (lp_onnx_attribute(node, texts[i]) != NULL)
            LP_TRY(constant_of_texts(onnx, node, lp_onnx_attribute(node, texts[i]), &constant, err));
    if (constant == NULL) return lp_onnx_refuse(node, err, "a constant without a dense value");
    lp_onnx_bind_constant(onnx, node, 0, constant);
    return LP_OK;
}

/* --- Shape and Size --- */

enum lp_code lp_onnx_shape(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    const struct lp_onnx_value *input = lp_onnx_input(onnx, node, 0);
    int64_t dims[LP_ONNX_RANK_MAX], start, end;
    struct lp_onnx_constant *made = NULL;
    if (input == NULL) return lp_onnx_bad(node, err, "input 0 is missing");
    bool known = input->kind == LP_ONNX_CONSTANT;
    int64_t rank = known ? input->known->rank : input->rank + 1;
    for (int64_t i = 0; i < rank; i++)
        dims[i] = known ? (int64_t)input->known->dims[i] : i == 0 ? LP_ONNX_BATCH : input->dims[i - 1];
    LP_TRY(lp_onnx_int(node, "start", 0, &start, err));
    LP_TRY(lp_onnx_int(node, "end", rank, &end, err));
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    const uint64_t count[] = {(uint64_t)(end - start)};
    LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_INT64, 1, count, &made, err));
    for (int64_t i = start; i < end; i++) {
        lp_onnx_put_whole(made, (uint64_t)(i - start), dims[i]);
        made->has_batch |= dims[i] == LP_ONNX_BATCH;
    }
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* Of a constant only: of a row value it depends on the number of rows. */
enum lp_code lp_onnx_size(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *of = NULL, *made = NULL;
    LP_TRY(lp_onnx_known(onnx, node, 0, &of, err));
    LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_INT64, 0, of->dims, &made, err));
    lp_onnx_put_whole(made, 0, (int64_t)of->count);
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}
