/* Kernels chosen and weights packed. */
#include "infer/plan.h"

#include "core/buffer.h"
#include "core/cpu.h"

#include <stdlib.h>
#include <string.h>

enum { WEIGHT_ALIGN_FLOATS = 16, DESCRIPTION_MAX_BYTES = LP_BUNDLE_OPS_MAX * 1024 };

static const struct {
    const char *name;
    enum lp_activation_kind kind;
} activations[] = {
    [LP_ACTIVATION_NONE] = {"none", LP_ACT_COUNT},
    [LP_ACTIVATION_RELU] = {"relu", LP_ACT_RELU},
    [LP_ACTIVATION_LEAKY_RELU] = {"leaky_relu", LP_ACT_LEAKY_RELU},
    [LP_ACTIVATION_ELU] = {"elu", LP_ACT_ELU},
    [LP_ACTIVATION_TANH] = {"tanh", LP_ACT_TANH},
    [LP_ACTIVATION_SIGMOID] = {"sigmoid", LP_ACT_SIGMOID},
    [LP_ACTIVATION_GELU] = {"gelu", LP_ACT_GELU},
    [LP_ACTIVATION_GELU_TANH] = {"gelu_tanh", LP_ACT_GELU_TANH},
    [LP_ACTIVATION_SILU] = {"silu", LP_ACT_SILU},
    [LP_ACTIVATION_SOFTPLUS] = {"softplus", LP_ACT_SOFTPLUS},
};

static void describe(struct lp_buffer *text, const struct lp_op *op, const struct lp_op *act, const char *dense_kernel,
                     const char *act_kernel)
{
    if (dense_kernel != NULL)
        lp_buffer_format(text, "dense %s %ux%u %s", op->weight->name, op->in_width, op->out_width, dense_kernel);
    if (act->activation != LP_ACTIVATION_NONE)
        lp_buffer_format(text, "%s%s %s", dense_kernel != NULL ? ", " : "activation ",
                         activations[act->activation].name, act_kernel != NULL ? act_kernel : "fused");
    lp_buffer_text(text, "\n");
}

/* Choose what computes a step; the layer's packed weights are placed later. */
static enum lp_code bind_step(struct lp_plan *plan, struct lp_plan_step *step, struct lp_buffer *text,
                              struct lp_error *err)
{
    const struct lp_cpu *cpu = plan->cpu;
    const struct lp_op *op = &plan->bundle->ops[step->op];
    const struct lp_op *act = step->activation_op != LP_PLAN_NO_OP ? &plan->bundle->ops[step->activation_op] : op;
    const char *act_kernel = NULL;
    if ((size_t)act->activation >= sizeof activations / sizeof *activations)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "plan: op %u has an unknown activation", step->op);
    step->out_width = op->out_width;
    step->alpha = (float)act->alpha;
    if (op->kind == LP_OP_DENSE) {
        step->dense = lp_dense_select(cpu);
        step->layer = (struct lp_dense_layer){.in_width = op->in_width, .out_width = op->out_width};
        step->layer.relu = act->activation == LP_ACTIVATION_RELU;
    }
    if (act->activation != LP_ACTIVATION_NONE && !step->layer.relu)
        step->activation = lp_activation_select(cpu, activations[act->activation].kind, &act_kernel);
    describe(text, op, act, step->dense != NULL ? step->dense->name : NULL, act_kernel);
    return LP_OK;
}

static size_t layer_floats(const struct lp_plan_step *step)
{
    size_t floats = step->dense->packed_floats(step->layer.in_width, step->layer.out_width);
    if (floats == 0 || floats > SIZE_MAX / sizeof(float) / 2) return 0;
    return (floats + WEIGHT_ALIGN_FLOATS - 1) / WEIGHT_ALIGN_FLOATS * WEIGHT_ALIGN_FLOATS;
}

static enum lp_code pack_weights(struct lp_plan *plan, struct lp_error *err)
{
    size_t total = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct lp_plan_step *step = &plan->steps[i];
        size_t floats = step->dense != NULL ? layer_floats(step) : 0;
        if ((step->dense != NULL && floats == 0) || __builtin_add_overflow(total, floats, &total) ||
            total > SIZE_MAX / sizeof(float) / 2)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "plan: op %u: the layer is too large", step->op);
    }
    if (total == 0) return LP_OK;
    plan->weights = aligned_alloc(WEIGHT_ALIGN_FLOATS * sizeof(float), total * sizeof(float));
    if (plan->weights == NULL) return lp_fail_memory(err, total * sizeof(float));
    plan->weight_floats = total;
    float *to = plan->weights;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        struct lp_plan_step *step = &plan->steps[i];
        if (step->dense == NULL) continue;
        const struct lp_op *op = &plan->bundle->ops[step->op];
        step->dense->pack(op->weight->data, op->bias != NULL ? op->bias->data : NULL, op->in_width, op->out_width, to);
        step->layer.packed = to;
        to += layer_floats(step);
    }
    return LP_OK;
}

static void bind_ends(struct lp_plan *plan, struct lp_buffer *text)
{
    const char *kernel = "";
    plan->sigmoid = lp_activation_select(plan->cpu, LP_ACT_SIGMOID, &kernel);
    plan->softmax = lp_softmax_select(plan->cpu);
    static const char *const names[] = {"identity copy",        "sigmoid",        "softmax",     "exp libm",
                                        "signed_square scalar", "log1p_exp libm", "hinge scalar"};
    bool vector = plan->bundle->link == LP_LINK_SIGMOID || plan->bundle->link == LP_LINK_SOFTMAX;
    lp_buffer_format(text, "link %s%s%s\n", names[plan->bundle->link], vector ? " " : "", vector ? kernel : "");
}

static bool is_trees(const struct lp_bundle *bundle)
{
    return bundle->op_count == 1 && bundle->ops[0].kind == LP_OP_TREES;
}

static enum lp_code take_description(struct lp_plan *plan, const struct lp_buffer *text, struct lp_error *err)
{
    /* A line is far shorter than the limit allows each op: only memory can have run out. */
    if (text->failed) return lp_fail_memory(err, text->capacity);
    plan->description = strndup((const char *)text->data, text->size);
    if (plan->description == NULL) return lp_fail_memory(err, text->size + 1);
    plan->bytes += text->size + 1;
    return LP_OK;
}

static enum lp_code build_trees(struct lp_plan *plan, struct lp_buffer *text, struct lp_error *err)
{
    const struct lp_trees *trees = plan->bundle->ops[0].trees;
    plan->bytes = sizeof *plan;
    LP_TRY(lp_trees_new(trees, plan->cpu, NULL, &plan->trees, err));
    plan->bytes += lp_trees_bytes(plan->trees);
    lp_buffer_format(text, "trees %s %u with %u nodes, %s\n",
                     trees->compare == LP_TREES_XGBOOST ? "xgboost" : "lightgbm", trees->tree_count, trees->node_count,
                     lp_trees_describe(plan->trees));
    bind_ends(plan, text);
    return take_description(plan, text, err);
}

static enum lp_code build(struct lp_plan *plan, struct lp_buffer *text, struct lp_error *err)
{
    size_t n = (size_t)plan->bundle->op_count + 1;
    plan->steps = calloc(n, sizeof *plan->steps);
    plan->bytes = sizeof *plan + n * sizeof *plan->steps;
    if (plan->steps == NULL) return lp_fail_memory(err, plan->bytes);
    if (is_trees(plan->bundle)) return build_trees(plan, text, err);
    LP_TRY(lp_plan_schedule(plan, err));
    for (uint32_t i = 0; i < plan->step_count; i++) LP_TRY(bind_step(plan, &plan->steps[i], text, err));
    bind_ends(plan, text);
    LP_TRY(pack_weights(plan, err));
    plan->bytes += plan->weight_floats * sizeof(float);
    return take_description(plan, text, err);
}

enum lp_code lp_plan_new(const struct lp_bundle *bundle, struct lp_plan **ret_plan, struct lp_error *err)
{
    return lp_plan_new_for(bundle, lp_cpu_get(), ret_plan, err);
}

enum lp_code lp_plan_new_for(const struct lp_bundle *bundle, const struct lp_cpu *cpu, struct lp_plan **ret_plan,
                             struct lp_error *err)
{
    struct lp_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return lp_fail_memory(err, sizeof *plan);
    plan->bundle = bundle;
    plan->cpu = cpu;
    struct lp_buffer text;
    lp_buffer_init(&text, DESCRIPTION_MAX_BYTES);
    enum lp_code rc = build(plan, &text, err);
    lp_buffer_done(&text);
    plan->cpu = NULL;
    if (rc == LP_OK) *ret_plan = plan;
    else lp_plan_free(plan);
    return rc;
}

void lp_plan_free(struct lp_plan *plan)
{
    if (plan == NULL) return;
    lp_trees_free(plan->trees);
    free(plan->steps);
    free(plan->weights);
    free(plan->description);
    free(plan);
}

const char *lp_plan_describe(const struct lp_plan *plan) { return plan->description; }

size_t lp_plan_bytes(const struct lp_plan *plan) { return plan->bytes; }

/*
 * A small net's weights stay in L1 or L2 whatever happens: cut the rows so that the values between layers stay in L1.
 * A large net streams its weights once a chunk: take as many rows as L2 holds values for.
 */
uint32_t lp_plan_chunk_rows(const struct lp_plan *plan, uint32_t rows_max)
{
    enum { SMALL_WEIGHT_BYTES = 256 << 10, SMALL_VALUE_BYTES = 24 << 10, LARGE_VALUE_BYTES = 512 << 10, ROWS_MIN = 48 };
    size_t row_bytes = 0;
    for (uint32_t i = 0; i < LP_PLAN_BUFFERS; i++) row_bytes += plan->buffer_widths[i] * sizeof(float);
    bool small = plan->weight_floats * sizeof(float) <= SMALL_WEIGHT_BYTES;
    size_t rows = (small ? SMALL_VALUE_BYTES : LARGE_VALUE_BYTES) / (row_bytes > 0 ? row_bytes : 1);
    rows -= rows % ROWS_MIN;
    if (rows < ROWS_MIN) rows = ROWS_MIN;
    return rows < rows_max ? (uint32_t)rows : rows_max;
}
