/* From a graph of named values to steps over few buffers: dead ops go, activations join their layer, buffers are
 * reused. */
#include "infer/plan.h"

#include <stdlib.h>
#include <string.h>

/* Values: 0 is the features, i + 1 the output of op i. */
struct schedule {
    const struct lp_bundle *bundle;
    uint32_t *input_of;  /* [op_count] the value that op i reads */
    uint32_t *uses;      /* [op_count + 1] readers that are needed */
    uint32_t *last_use;  /* [op_count + 1] the last op that reads the value; op_count for the margin */
    uint32_t *buffer_of; /* [op_count + 1] */
    bool *needed;        /* [op_count] */
    bool *taken;         /* [op_count + 1] buffer holds a value that is still read */
};

static void schedule_done(struct schedule *s)
{
    free(s->input_of);
    free(s->uses);
    free(s->last_use);
    free(s->buffer_of);
    free(s->needed);
    free(s->taken);
}

static enum lp_code schedule_init(struct schedule *s, const struct lp_bundle *bundle, struct lp_error *err)
{
    size_t n = (size_t)bundle->op_count + 1;
    *s = (struct schedule){.bundle = bundle};
    s->input_of = calloc(n, sizeof *s->input_of);
    s->uses = calloc(n, sizeof *s->uses);
    s->last_use = calloc(n, sizeof *s->last_use);
    s->buffer_of = calloc(n, sizeof *s->buffer_of);
    s->needed = calloc(n, sizeof *s->needed);
    s->taken = calloc(n, sizeof *s->taken);
    if (s->input_of == NULL || s->uses == NULL || s->last_use == NULL || s->buffer_of == NULL || s->needed == NULL ||
        s->taken == NULL)
        return lp_fail_memory(err, n * (4 * sizeof(uint32_t) + 2 * sizeof(bool)));
    return LP_OK;
}

static uint32_t width_of(const struct lp_bundle *bundle, uint32_t value)
{
    return value == 0 ? bundle->column_count : bundle->ops[value - 1].out_width;
}

static enum lp_code resolve_input(struct schedule *s, uint32_t i, struct lp_error *err)
{
    const struct lp_op *op = &s->bundle->ops[i];
    uint32_t value = i;
    while (value > 0 && strcmp(s->bundle->ops[value - 1].output, op->input) != 0) value--;
    if (value == 0 && strcmp(op->input, "features") != 0)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u reads %s, which no op before it makes", i, op->input);
    if (op->in_width == 0 || op->out_width == 0 || width_of(s->bundle, value) != op->in_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u wants %u values, %s has %u", i, op->in_width,
                       op->input, width_of(s->bundle, value));
    if (op->kind == LP_OP_DENSE &&
        (op->weight == NULL || op->weight->dtype != LP_DTYPE_F32 ||
         op->weight->count != (uint64_t)op->in_width * op->out_width ||
         (op->bias != NULL && (op->bias->dtype != LP_DTYPE_F32 || op->bias->count != op->out_width))))
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u: weight or bias do not have its shape %u x %u", i,
                       op->in_width, op->out_width);
    if (op->kind == LP_OP_ACTIVATION && op->in_width != op->out_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                       "plan: op %u: an activation keeps the width, this one goes from %u to %u", i, op->in_width,
                       op->out_width);
    s->input_of[i] = value;
    return LP_OK;
}

/* The last op's output is the margin; what does not lead there is not computed. */
static void mark_needed(struct schedule *s)
{
    uint32_t count = s->bundle->op_count;
    s->uses[count] = 1;
    s->last_use[count] = count;
    for (uint32_t i = count; i-- > 0;) {
        if (s->uses[i + 1] == 0) continue;
        uint32_t value = s->input_of[i];
        s->needed[i] = true;
        if (s->uses[value]++ == 0) s->last_use[value] = i;
    }
}

/* An activation op right behind a dense layer that nobody else reads belongs to the layer's step. */
static bool joins(const struct schedule *s, uint32_t i)
{
    const struct lp_op *op = &s->bundle->ops[i];
    uint32_t value = s->input_of[i];
    if (op->kind != LP_OP_ACTIVATION || value == 0 || s->uses[value] != 1) return false;
    const struct lp_op *before = &s->bundle->ops[value - 1];
    return before->kind == LP_OP_DENSE && before->activation == LP_ACTIVATION_NONE;
}

static uint32_t take_buffer(struct schedule *s, struct lp_plan *plan, uint32_t width)
{
    uint32_t buffer = 0;
    while (buffer < plan->buffer_count && s->taken[buffer]) buffer++;
    if (buffer == plan->buffer_count) plan->buffer_widths[plan->buffer_count++] = 0;
    if (plan->buffer_widths[buffer] < width) plan->buffer_widths[buffer] = width;
    s->taken[buffer] = true;
    return buffer;
}

/* The step of an op that has one. */
static struct lp_plan_step *step_of(struct lp_plan *plan, uint32_t op)
{
    uint32_t step = plan->step_count;
    while (step > 1 && plan->steps[step - 1].op != op) step--;
    return &plan->steps[step - 1];
}

static void place_step(struct schedule *s, struct lp_plan *plan, uint32_t i)
{
    const struct lp_op *op = &s->bundle->ops[i];
    uint32_t value = s->input_of[i], input = s->buffer_of[value];
    bool ends = s->last_use[value] == i, in_place = ends && op->kind == LP_OP_ACTIVATION;
    uint32_t output = in_place ? input : take_buffer(s, plan, op->out_width);
    if (ends && !in_place) s->taken[input] = false;
    s->buffer_of[i + 1] = output;
    plan->steps[plan->step_count++] =
        (struct lp_plan_step){.op = i, .input = input, .output = output, .activation_op = LP_PLAN_NO_OP};
}

static void place_steps(struct schedule *s, struct lp_plan *plan)
{
    plan->buffer_widths[0] = s->bundle->column_count;
    plan->buffer_count = 1;
    s->taken[0] = s->uses[0] > 0;
    for (uint32_t i = 0; i < s->bundle->op_count; i++) {
        if (!s->needed[i]) continue;
        if (joins(s, i)) {
            /* The layer's value is gone, its buffer holds what the activation made of it. */
            s->buffer_of[i + 1] = s->buffer_of[s->input_of[i]];
            step_of(plan, s->input_of[i] - 1)->activation_op = i;
        } else {
            place_step(s, plan, i);
        }
    }
    plan->output = s->buffer_of[s->bundle->op_count];
}

enum lp_code lp_plan_schedule(struct lp_plan *plan, struct lp_error *err)
{
    const struct lp_bundle *bundle = plan->bundle;
    struct schedule s;
    enum lp_code rc;
    LP_GUARD(schedule_init(&s, bundle, err));
    for (uint32_t i = 0; i < bundle->op_count; i++) LP_GUARD(resolve_input(&s, i, err));
    if (bundle->op_count == 0 || bundle->ops[bundle->op_count - 1].out_width != bundle->output_count)
        LP_GUARD(
            lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: the graph does not end in %u margins", bundle->output_count));
    mark_needed(&s);
    place_steps(&s, plan);
out:
    schedule_done(&s);
    return rc;
}
