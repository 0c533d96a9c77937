/* Convolution and pooling over [C, H, W]. */
#include "model/graph.h"

static enum lp_code check_image(const struct lp_node *node, const struct lp_op *op, struct lp_error *err)
{
    char text[LP_SHAPE_TEXT_BYTES];
    if (op->in.rank == 3) return LP_OK;
    return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: `%.64s` is %s: [C, H, W] is needed", node->where, op->input,
                   lp_shape_text(&op->in, text));
}

/* Strides, pads, dilations, with the kernel there; then the output's H and W. */
static enum lp_code read_window(const struct lp_node *node, struct lp_op *op, struct lp_error *err)
{
    struct lp_window *window = &op->window;
    LP_TRY(lp_wholes_read(node, "strides", 2, 1, LP_BUNDLE_COLUMNS_MAX, window->strides, err));
    LP_TRY(lp_wholes_read(node, "dilations", 2, 1, LP_BUNDLE_COLUMNS_MAX, window->dilations, err));
    LP_TRY(lp_wholes_read(node, "pads", 4, 0, LP_BUNDLE_COLUMNS_MAX, window->pads, err));
    for (int i = 0; i < 2; i++) {
        uint64_t reach = (uint64_t)window->dilations[i] * (window->kernel[i] - 1) + 1;
        uint64_t padded = (uint64_t)op->in.dims[1 + i] + window->pads[i] + window->pads[2 + i];
        uint64_t stride = window->strides[i];
        if (reach > padded)
            return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: a kernel of %llu does not fit in %llu", node->where,
                           (unsigned long long)reach, (unsigned long long)padded);
        /* A window of a pool must see the input; of a convolution one may lie in the zeros. */
        uint64_t most = op->kind == LP_OP_CONV2D ? reach : reach - 1;
        if (window->pads[i] > most || window->pads[2 + i] > most)
            return LP_BAD(err, "%s: `pads`: each must be at most %llu, the kernel has %llu", node->where,
                          (unsigned long long)most, (unsigned long long)reach);
        uint64_t count = (padded - reach + (window->ceil ? stride - 1 : 0)) / stride + 1;
        if (window->ceil && (count - 1) * stride >= (uint64_t)op->in.dims[1 + i] + window->pads[i]) count--;
        op->shape.dims[1 + i] = (uint32_t)count;
    }
    return LP_OK;
}

enum lp_code lp_conv2d_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                            struct lp_op *op, struct lp_error *err)
{
    const unsigned int dtypes = 1u << LP_DTYPE_F32 | 1u << LP_DTYPE_F16 | 1u << LP_DTYPE_BF16;
    json_int_t group = 1;
    (void)inputs;
    LP_TRY(check_image(node, op, err));
    LP_TRY(lp_weight_read(bundle, node, "weight", dtypes, &op->weight, err));
    const struct lp_tensor *weight = op->weight;
    if (weight->rank != 4)
        return LP_BAD(err, "%s: weight `%.64s` must be of rank 4, [O, C / group, kh, kw]", node->where, weight->name);
    for (int i = 0; i < 4; i++)
        if (weight->dims[i] > LP_BUNDLE_COLUMNS_MAX)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: weight `%.64s` has %llu along axis %d", node->where,
                           weight->name, (unsigned long long)weight->dims[i], i);
    if (lp_node_has(node, "group")) LP_TRY(lp_node_whole(node, "group", 1, op->in.dims[0], &group, err));
    op->window = (struct lp_window){.kernel = {(uint32_t)weight->dims[2], (uint32_t)weight->dims[3]},
                                    .strides = {1, 1},
                                    .dilations = {1, 1},
                                    .group = (uint32_t)group};
    if (weight->dims[1] * (uint64_t)group != op->in.dims[0] || weight->dims[0] % (uint64_t)group != 0)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                       "%s: weight `%.64s` of %llu x %llu channels does not fit %u channels in %lld groups",
                       node->where, weight->name, (unsigned long long)weight->dims[0],
                       (unsigned long long)weight->dims[1], op->in.dims[0], (long long)group);
    LP_TRY(lp_storage_charge(bundle->storage, weight->count, sizeof(float), err)); /* packed for the kernels later */
    LP_TRY(read_window(node, op, err));
    op->shape.dims[0] = (uint32_t)weight->dims[0];
    /* Each output takes a filter's products: at most 2^40 places times the weights that are in the file. */
    if (__builtin_mul_overflow((uint64_t)op->shape.dims[1] * op->shape.dims[2], weight->count, &op->work))
        op->work = UINT64_MAX;
    LP_TRY(lp_vector_read(bundle, node, "bias", weight->dims[0], &op->bias, err));
    return lp_activation_members(bundle, node, op, err);
}

enum lp_code lp_pool_read(struct lp_bundle *bundle, const struct lp_node *node, const struct lp_shape *inputs,
                          struct lp_op *op, struct lp_error *err)
{
    static const char *const functions[] = {"max", "average"};
    struct lp_window *window = &op->window;
    size_t function;
    (void)bundle;
    (void)inputs;
    *window = (struct lp_window){.strides = {1, 1}, .dilations = {1, 1}};
    LP_TRY(check_image(node, op, err));
    LP_TRY(lp_node_choice(node, "function", LP_CHOICE(functions), NULL, &function, err));
    window->average = function == 1;
    if (!lp_node_has(node, "kernel")) return LP_BAD(err, "%s: `kernel` is missing", node->where);
    LP_TRY(lp_wholes_read(node, "kernel", 2, 1, LP_BUNDLE_COLUMNS_MAX, window->kernel, err));
    LP_TRY(lp_node_flag_or(node, "ceil", &window->ceil, err));
    LP_TRY(lp_node_flag_or(node, "count_pad", &window->count_pad, err));
    if (window->count_pad && !window->average)
        return LP_BAD(err, "%s: `count_pad` has no meaning with max", node->where);
    LP_TRY(read_window(node, op, err));
    uint64_t kernel = (uint64_t)window->kernel[0] * window->kernel[1];
    if (__builtin_mul_overflow(lp_shape_count(&op->shape), kernel, &op->work)) op->work = UINT64_MAX;
    return LP_OK;
}
