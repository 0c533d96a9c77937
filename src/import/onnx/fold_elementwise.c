/* Arithmetic of constants: in double, or in 64 bits for whole numbers, rounded or cut to the type once. */
#include "import/onnx/lower.h"

#include <math.h>
#include <string.h>

enum { REDUCED_MAX = 1 << 16 /* elements of a reduced constant, which is read again by each node that has it */ };

/* Floats of 16 bits are computed with as floats. */
static enum lp_onnx_type computed(enum lp_onnx_type type)
{
    return type == LP_ONNX_FLOAT16 || type == LP_ONNX_BFLOAT16 ? LP_ONNX_FLOAT : type;
}

static double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double relu_of(double x) { return x > 0 || isnan(x) ? x : 0; }
static double neg_of(double x) { return -x; }
static double reciprocal_of(double x) { return 1 / x; }
static double sigmoid_of(double x) { return 1 / (1 + exp(-x)); }
static double not_of(double x) { return x == 0; }

static double (*unary_of(const char *name))(double)
{
    static const struct {
        const char *name;
        double (*of)(double);
    } unaries[] = {{"Sqrt", sqrt},          {"Neg", neg_of},   {"Exp", exp},   {"Log", log},
                   {"Abs", fabs},           {"Floor", floor},  {"Ceil", ceil}, {"Round", nearbyint},
                   {"Sign", sign_of},       {"Relu", relu_of}, {"Tanh", tanh}, {"Reciprocal", reciprocal_of},
                   {"Sigmoid", sigmoid_of}, {"Erf", erf},      {"Not", not_of}};
    for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++)
        if (strcmp(unaries[i].name, name) == 0) return unaries[i].of;
    return NULL;
}

static enum lp_code check_numbers(const struct lp_onnx_node *node, const struct lp_onnx_constant *constant,
                                  struct lp_error *err)
{
    if (constant->type == LP_ONNX_STRING) return lp_onnx_refuse(node, err, "texts");
    if (constant->has_batch) return lp_onnx_refuse(node, err, "the number of rows in arithmetic");
    return LP_OK;
}

enum lp_code lp_onnx_fold_unary(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *from = NULL, *made = NULL;
    double (*of)(double) = unary_of(node->op);
    LP_TRY(lp_onnx_known(onnx, node, 0, &from, err));
    LP_TRY(check_numbers(node, from, err));
    if (of == NULL) return lp_onnx_refuse(node, err, "it is not computed of constants in this release");
    LP_TRY(lp_onnx_constant_new(onnx, computed(from->type), from->rank, from->dims, &made, err));
    for (uint64_t i = 0; i < made->count; i++) lp_onnx_put_number(made, i, of(lp_onnx_number_at(from, i)));
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* --- broadcast --- */

/* Where the elements of up to three constants meet, walked in order of the result. */
struct meet {
    uint32_t rank, count;
    uint64_t dims[LP_ONNX_RANK_MAX], strides[3][LP_ONNX_RANK_MAX], index[LP_ONNX_RANK_MAX], at[3];
};

static enum lp_code meet_init(struct meet *meet, const struct lp_onnx_node *node, struct lp_onnx_constant *const *parts,
                              uint32_t count, struct lp_error *err)
{
    *meet = (struct meet){.count = count};
    for (uint32_t p = 0; p < count; p++)
        if (parts[p]->rank > meet->rank) meet->rank = parts[p]->rank;
    for (uint32_t i = 0; i < meet->rank; i++) meet->dims[i] = 1;
    for (uint32_t p = 0; p < count; p++) {
        uint64_t stride = 1;
        uint32_t lead = meet->rank - parts[p]->rank;
        for (uint32_t k = parts[p]->rank; k-- > 0;) {
            uint64_t dim = parts[p]->dims[k], *wide = &meet->dims[lead + k];
            if (dim != *wide && dim != 1 && *wide != 1) return lp_onnx_bad(node, err, "shapes that do not fit");
            if (dim != 1) *wide = dim;
            meet->strides[p][lead + k] = dim == 1 ? 0 : stride;
            stride *= dim;
        }
    }
    return LP_OK;
}

static void meet_next(struct meet *meet)
{
    for (uint32_t k = meet->rank; k-- > 0;) {
        bool wraps = ++meet->index[k] == meet->dims[k];
        for (uint32_t p = 0; p < meet->count; p++)
            meet->at[p] =
                wraps ? meet->at[p] - meet->strides[p][k] * (meet->dims[k] - 1) : meet->at[p] + meet->strides[p][k];
        if (!wraps) return;
        meet->index[k] = 0;
    }
}

static double number_of(const char *op, double a, double b)
{
    if (strcmp(op, "Add") == 0 || strcmp(op, "Sum") == 0) return a + b;
    if (strcmp(op, "Sub") == 0) return a - b;
    if (strcmp(op, "Mul") == 0) return a * b;
    if (strcmp(op, "Div") == 0) return a / b;
    if (strcmp(op, "Pow") == 0) return pow(a, b);
    if (isnan(a) || isnan(b)) return NAN;
    return strcmp(op, "Max") == 0 ? (a > b ? a : b) : (a < b ? a : b);
}

static enum lp_code whole_of(const struct lp_onnx_node *node, int64_t a, int64_t b, int64_t *ret_whole,
                             struct lp_error *err)
{
    const char *op = node->op;
    bool overflow = false;
    if (strcmp(op, "Add") == 0 || strcmp(op, "Sum") == 0) overflow = __builtin_add_overflow(a, b, ret_whole);
    else if (strcmp(op, "Sub") == 0) overflow = __builtin_sub_overflow(a, b, ret_whole);
    else if (strcmp(op, "Mul") == 0) overflow = __builtin_mul_overflow(a, b, ret_whole);
    else if (strcmp(op, "Max") == 0) *ret_whole = a > b ? a : b;
    else if (strcmp(op, "Min") == 0) *ret_whole = a < b ? a : b;
    else if (strcmp(op, "Div") == 0 && b != 0 && !(a == INT64_MIN && b == -1)) *ret_whole = a / b;
    else if (strcmp(op, "Pow") == 0 && b >= 0 && fabs(pow((double)a, (double)b)) <= 0x1p53)
        *ret_whole = (int64_t)pow((double)a, (double)b);
    else return lp_onnx_refuse(node, err, "whole numbers %lld and %lld", (long long)a, (long long)b);
    if (overflow) return lp_onnx_bad(node, err, "%lld and %lld overflow", (long long)a, (long long)b);
    return LP_OK;
}

enum lp_code lp_onnx_fold_binary(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *parts[2] = {NULL}, *made = NULL;
    struct meet meet;
    int64_t whole = 0;
    if (node->input_count != 2) return lp_onnx_refuse(node, err, "%u constants", node->input_count);
    for (uint32_t i = 0; i < 2; i++) {
        LP_TRY(lp_onnx_known(onnx, node, i, &parts[i], err));
        LP_TRY(check_numbers(node, parts[i], err));
    }
    if (strcmp(node->op, "Mean") == 0) return lp_onnx_refuse(node, err, "constants");
    LP_TRY(meet_init(&meet, node, parts, 2, err));
    LP_TRY(lp_onnx_constant_new(onnx, computed(parts[0]->type), meet.rank, meet.dims, &made, err));
    if (parts[0]->row_scale != 0 && parts[1]->row_scale != 0) return lp_onnx_refuse(node, err, "two scales of a row");
    made->row_scale = parts[0]->row_scale | parts[1]->row_scale;
    for (uint32_t i = 0; i < 2; i++) made->is_spread |= parts[i]->is_spread && parts[i]->rank == made->rank;
    bool are_whole = lp_onnx_type_whole(parts[0]->type) && lp_onnx_type_whole(parts[1]->type);
    for (uint64_t i = 0; i < made->count; i++, meet_next(&meet)) {
        if (!are_whole) {
            lp_onnx_put_number(
                made, i,
                number_of(node->op, lp_onnx_number_at(parts[0], meet.at[0]), lp_onnx_number_at(parts[1], meet.at[1])));
            continue;
        }
        LP_TRY(whole_of(node, lp_onnx_whole_at(parts[0], meet.at[0]), lp_onnx_whole_at(parts[1], meet.at[1]), &whole,
                        err));
        lp_onnx_put_whole(made, i, whole);
    }
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

static bool compare(const char *op, double a, double b)
{
    if (strcmp(op, "Equal") == 0) return a == b;
    if (strcmp(op, "Greater") == 0) return a > b;
    if (strcmp(op, "GreaterOrEqual") == 0) return a >= b;
    if (strcmp(op, "LessOrEqual") == 0) return a <= b;
    if (strcmp(op, "And") == 0) return a != 0 && b != 0;
    if (strcmp(op, "Or") == 0) return a != 0 || b != 0;
    return a < b;
}

/* Comparisons of whole numbers below 2^53 and floats are exact in double; the number of rows equals nothing else. */
enum lp_code lp_onnx_fold_compare(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *parts[2] = {NULL}, *made = NULL;
    struct meet meet;
    for (uint32_t i = 0; i < 2; i++) {
        LP_TRY(lp_onnx_known(onnx, node, i, &parts[i], err));
        if (parts[i]->type == LP_ONNX_STRING) return lp_onnx_refuse(node, err, "texts");
        if (parts[i]->has_batch && strcmp(node->op, "Equal") != 0)
            return lp_onnx_refuse(node, err, "the number of rows in a comparison");
    }
    LP_TRY(meet_init(&meet, node, parts, 2, err));
    LP_TRY(lp_onnx_constant_new(onnx, LP_ONNX_BOOL, meet.rank, meet.dims, &made, err));
    for (uint64_t i = 0; i < made->count; i++, meet_next(&meet))
        lp_onnx_put_whole(
            made, i,
            compare(node->op, lp_onnx_number_at(parts[0], meet.at[0]), lp_onnx_number_at(parts[1], meet.at[1])));
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

enum lp_code lp_onnx_fold_where(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *parts[3] = {NULL}, *made = NULL;
    struct meet meet;
    for (uint32_t i = 0; i < 3; i++) LP_TRY(lp_onnx_known(onnx, node, i, &parts[i], err));
    if (!lp_onnx_type_whole(parts[0]->type) || parts[1]->type != parts[2]->type)
        return lp_onnx_bad(node, err, "its inputs' types");
    LP_TRY(meet_init(&meet, node, parts, 3, err));
    LP_TRY(lp_onnx_constant_new(onnx, parts[1]->type, meet.rank, meet.dims, &made, err));
    size_t bytes = lp_onnx_type_bytes(made->type);
    for (uint64_t i = 0; i < made->count; i++, meet_next(&meet)) {
        uint32_t from = lp_onnx_whole_at(parts[0], meet.at[0]) != 0 ? 1 : 2;
        memcpy((unsigned char *)(uintptr_t)made->data + i * bytes,
               (const unsigned char *)parts[from]->data + meet.at[from] * bytes, bytes);
    }
    for (uint64_t i = 0; (parts[1]->has_batch || parts[2]->has_batch) && i < made->count; i++)
        made->has_batch |= lp_onnx_whole_at(made, i) == LP_ONNX_BATCH;
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* --- new constants --- */

enum lp_code lp_onnx_fold_range(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *parts[3] = {NULL}, *made = NULL;
    for (uint32_t i = 0; i < 3; i++) {
        LP_TRY(lp_onnx_known(onnx, node, i, &parts[i], err));
        LP_TRY(check_numbers(node, parts[i], err));
        if (parts[i]->count != 1) return lp_onnx_bad(node, err, "input %u is no number", i);
    }
    double start = lp_onnx_number_at(parts[0], 0), end = lp_onnx_number_at(parts[1], 0);
    double step = lp_onnx_number_at(parts[2], 0), count = ceil((end - start) / step);
    if (!(count >= 0)) count = 0;
    if (!(count <= LP_ONNX_FOLDED_MAX)) return lp_onnx_refuse(node, err, "%g numbers", count);
    const uint64_t dims[] = {(uint64_t)count};
    LP_TRY(lp_onnx_constant_new(onnx, computed(parts[0]->type), 1, dims, &made, err));
    for (uint64_t i = 0; i < made->count; i++) lp_onnx_put_number(made, i, start + (double)i * step);
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* ConstantOfShape. */
enum lp_code lp_onnx_fold_filled(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *value = NULL, *made = NULL;
    const int64_t *shape = NULL;
    uint64_t dims[LP_ONNX_RANK_MAX];
    size_t count = 0;
    bool spread = false;
    LP_TRY(lp_onnx_list(onnx, node, "", 0, &shape, &count, err));
    LP_TRY(lp_onnx_tensor_attribute(onnx, node, "value", &value, err));
    if (count > LP_ONNX_RANK_MAX) return lp_onnx_refuse(node, err, "%zu axes", count);
    for (size_t i = 0; i < count; i++) {
        spread |= shape[i] == LP_ONNX_BATCH && i == 0;
        if (shape[i] < 0 && !(spread && i == 0))
            return lp_onnx_refuse(node, err, "axis %zu is the number of rows, or negative", i);
        dims[i] = shape[i] < 0 ? 1 : (uint64_t)shape[i];
    }
    if (value != NULL && (value->count != 1 || value->type == LP_ONNX_STRING))
        return lp_onnx_bad(node, err, "its value is no number");
    LP_TRY(lp_onnx_constant_new(onnx, value != NULL ? computed(value->type) : LP_ONNX_FLOAT, (uint32_t)count, dims,
                                &made, err));
    made->is_spread = spread;
    for (uint64_t i = 0; value != NULL && i < made->count; i++) {
        if (lp_onnx_type_whole(made->type)) lp_onnx_put_whole(made, i, lp_onnx_whole_at(value, 0));
        else lp_onnx_put_number(made, i, lp_onnx_number_at(value, 0));
    }
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}

/* ReduceProd, ReduceSum, ReduceMax and ReduceMin of all elements, as exporters compute sizes. */
enum lp_code lp_onnx_fold_reduce(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err)
{
    struct lp_onnx_constant *data = NULL, *made = NULL;
    const int64_t *axes = NULL;
    size_t count = 0;
    int64_t keep;
    static const char *const names[] = {"ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin"};
    static const char *const ops[] = {"Mul", "Add", "Max", "Min"};
    size_t which = 0;
    while (which < 4 && strcmp(names[which], node->op) != 0) which++;
    LP_TRY(lp_onnx_known(onnx, node, 0, &data, err));
    LP_TRY(check_numbers(node, data, err));
    LP_TRY(lp_onnx_list(onnx, node, "axes", 1, &axes, &count, err));
    LP_TRY(lp_onnx_int(node, "keepdims", 1, &keep, err));
    if (which == 4 || data->rank != 1 || data->count == 0 || data->count > REDUCED_MAX || count > 1)
        return lp_onnx_refuse(node, err, "it is not computed of such constants in this release");
    const uint64_t dims[] = {1};
    LP_TRY(lp_onnx_constant_new(onnx, computed(data->type), keep != 0 ? 1 : 0, dims, &made, err));
    double sum = lp_onnx_number_at(data, 0);
    for (uint64_t i = 1; i < data->count; i++) sum = number_of(ops[which], sum, lp_onnx_number_at(data, i));
    lp_onnx_put_number(made, 0, sum);
    lp_onnx_bind_constant(onnx, node, 0, made);
    return LP_OK;
}
