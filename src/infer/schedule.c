/*
 * From a graph of values to steps. What does not lead to the margin is dropped; an activation that alone reads a layer
 * joins the layer's step; ops that only rename elements become views; parts of a concatenation are written where they
 * belong; an element-wise op works in place where nothing reads its input any more.
 */
#include "infer/plan.h"

#include <stdlib.h>
#include <string.h>

/* What is known of a value; owners hold elements, others are views of one. */
struct value {
    uint32_t width, readers;
    uint32_t owner; /* itself, or what it is a view of */
    size_t column;  /* in the owner */
    uint32_t host;  /* an owner that is part of another one, LP_PLAN_NONE: none */
    size_t host_column;
    unsigned int part;    /* bits: 1 of the record, 2 of a candidate */
    uint32_t first, last; /* of a root: steps from 1 on */
    bool persistent;      /* a root: kept from chunk to chunk */
    uint32_t root_index;
};

struct graph {
    struct lp_plan *plan;
    const struct lp_op *ops;
    uint32_t op_count;
    struct value *values; /* [op_count + 1] */
    bool *live, *joined;  /* [op_count] */
    uint32_t *joins;      /* [op_count]: the activation that joins this op, or LP_PLAN_NONE */
};

enum { OF_RECORD = 1, OF_ITEM = 2 };

static enum lp_code check_op(const struct graph *graph, uint32_t i, struct lp_error *err)
{
    const struct lp_op *op = &graph->ops[i];
    if (op->input_count == 0) return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u reads nothing", i);
    for (uint32_t k = 0; k < op->input_count; k++)
        if (op->inputs[k] > i)
            return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u reads value %u, which no op before it makes", i,
                           op->inputs[k]);
    uint32_t width = graph->values[op->inputs[0]].width;
    if (op->in_width == 0 || op->in_width != width || lp_shape_count(&op->in) != width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u wants %u values, its input has %u", i, op->in_width,
                       width);
    if (op->out_width == 0 || lp_shape_count(&op->shape) != op->out_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: op %u: its shape has not %u elements", i, op->out_width);
    if (op->kind == LP_OP_ACTIVATION && op->in_width != op->out_width)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                       "plan: op %u: an activation keeps the width, this one goes from %u to %u", i, op->in_width,
                       op->out_width);
    return LP_OK;
}

static enum lp_code read_widths(struct graph *graph, struct lp_error *err)
{
    const struct lp_bundle *bundle = graph->plan->bundle;
    graph->values[0].width = bundle->column_count;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        LP_TRY(check_op(graph, i, err));
        graph->values[i + 1].width = graph->ops[i].out_width;
    }
    if (graph->op_count == 0 || graph->ops[graph->op_count - 1].out_width != bundle->output_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "plan: the graph does not end in %u margins",
                       bundle->output_count);
    return LP_OK;
}

static void mark_live(struct graph *graph)
{
    graph->live[graph->op_count - 1] = true;
    for (uint32_t i = graph->op_count; i-- > 0;) {
        const struct lp_op *op = &graph->ops[i];
        for (uint32_t k = 0; graph->live[i] && k < op->input_count; k++) {
            graph->values[op->inputs[k]].readers++;
            if (op->inputs[k] > 0) graph->live[op->inputs[k] - 1] = true;
        }
    }
}

static void join_activations(struct graph *graph)
{
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct lp_op *op = &graph->ops[i];
        uint32_t input = op->inputs[0];
        if (!graph->live[i] || op->kind != LP_OP_ACTIVATION || input == 0) continue;
        if (op->activation == LP_ACTIVATION_NONE || !lp_activation_is_smooth(op->activation)) continue;
        const struct lp_op *layer = &graph->ops[input - 1];
        bool fits = layer->kind == LP_OP_DENSE || layer->kind == LP_OP_CONV2D;
        if (!fits || layer->activation != LP_ACTIVATION_NONE || graph->values[input].readers != 1 ||
            graph->joined[input - 1] || graph->joins[input - 1] != LP_PLAN_NONE)
            continue;
        graph->joins[input - 1] = i;
        graph->joined[i] = true;
    }
}

/* The value that an op's step makes: the activation's where one joined. */
static uint32_t output_of(const struct graph *graph, uint32_t op)
{
    return (graph->joins[op] != LP_PLAN_NONE ? graph->joins[op] : op) + 1;
}

static int64_t index_at(const struct lp_tensor *indices, uint64_t i)
{
    return indices->dtype == LP_DTYPE_I64 ? ((const int64_t *)indices->data)[i] : ((const int32_t *)indices->data)[i];
}

static bool gathers_a_run(const struct lp_op *op)
{
    for (uint64_t i = 1; i < op->indices->count; i++)
        if (index_at(op->indices, i) != index_at(op->indices, i - 1) + 1) return false;
    return true;
}

/* Axes longer than one keep their order. */
static bool keeps_order(const struct lp_op *op)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i < op->shape.rank; i++) {
        if (op->shape.dims[i] == 1) continue;
        if (op->perm[i] < before) return false;
        before = op->perm[i];
    }
    return true;
}

/* True when the op's output lies in its input as it is, from *ret_column on. */
static bool is_view(const struct lp_op *op, size_t *ret_column)
{
    *ret_column = 0;
    switch (op->kind) {
    case LP_OP_RESHAPE: return true;
    case LP_OP_TRANSPOSE: return keeps_order(op);
    case LP_OP_ACTIVATION: return op->activation == LP_ACTIVATION_NONE;
    case LP_OP_SLICE:
        *ret_column = op->start * lp_shape_after(&op->in, op->axis);
        return lp_shape_before(&op->in, op->axis) == 1 && (op->step == 1 || op->shape.dims[op->axis] == 1);
    case LP_OP_GATHER:
        *ret_column = (size_t)index_at(op->indices, 0) * lp_shape_after(&op->in, op->axis);
        return lp_shape_before(&op->in, op->axis) == 1 && gathers_a_run(op);
    default: return false;
    }
}

static void find_owners(struct graph *graph)
{
    for (uint32_t v = 0; v <= graph->op_count; v++) {
        struct value *value = &graph->values[v];
        value->owner = v;
        value->host = LP_PLAN_NONE;
        size_t column;
        if (v == 0 || !graph->live[v - 1] || !is_view(&graph->ops[v - 1], &column)) continue;
        const struct value *input = &graph->values[graph->ops[v - 1].inputs[0]];
        value->owner = input->owner;
        value->column = input->column + column;
    }
}

static unsigned int part_of_columns(const struct lp_plan *plan, size_t column, uint32_t width)
{
    unsigned int part = 0;
    for (size_t i = column; i < column + width; i++)
        part |= plan->item_columns != NULL && plan->item_columns[i] ? OF_ITEM : OF_RECORD;
    return part;
}

static void find_parts(struct graph *graph)
{
    for (uint32_t v = 0; v <= graph->op_count; v++) {
        struct value *value = &graph->values[v];
        if (value->owner == 0) {
            value->part = part_of_columns(graph->plan, value->column, value->width);
            continue;
        }
        const struct lp_op *op = &graph->ops[v - 1];
        const struct value *input = &graph->values[op->inputs[0]];
        if (op->kind == LP_OP_GATHER && input->owner == 0 && op->in.rank == 1) {
            for (uint64_t i = 0; i < op->indices->count; i++)
                value->part |= part_of_columns(graph->plan, input->column + (size_t)index_at(op->indices, i), 1);
            continue;
        }
        for (uint32_t k = 0; k < op->input_count; k++) value->part |= graph->values[op->inputs[k]].part;
    }
}

/* Parts of a concatenation that are written in place: their owner is nowhere else yet. A record's part is copied into
 * what also depends on candidates: it is made once, the whole for every chunk. */
static void host_parts(struct graph *graph)
{
    for (uint32_t i = graph->op_count; i-- > 0;) {
        const struct lp_op *op = &graph->ops[i];
        size_t column = 0;
        if (!graph->live[i] || op->kind != LP_OP_CONCAT || lp_shape_before(&op->shape, op->axis) != 1) continue;
        for (uint32_t k = 0; k < op->input_count; k++) {
            const struct value *part = &graph->values[op->inputs[k]];
            struct value *owner = &graph->values[part->owner];
            bool whole = part->column == 0 && owner->width == part->width;
            bool made_as_often = graph->values[i + 1].part == OF_RECORD || owner->part != OF_RECORD;
            if (whole && part->owner != 0 && owner->host == LP_PLAN_NONE && made_as_often) {
                owner->host = i + 1;
                owner->host_column = column;
            }
            column += part->width;
        }
    }
}

/* Where a value lies: its root and the column there. */
static uint32_t root_of(const struct graph *graph, uint32_t v, size_t *ret_column)
{
    const struct value *value = &graph->values[v];
    uint32_t owner = value->owner;
    size_t column = value->column;
    while (graph->values[owner].host != LP_PLAN_NONE) {
        column += graph->values[owner].host_column;
        owner = graph->values[owner].host;
    }
    *ret_column = column;
    return owner;
}

static bool all_hosted(const struct graph *graph, const struct lp_op *op, uint32_t value)
{
    size_t want = 0;
    for (uint32_t k = 0; k < op->input_count; k++) {
        const struct value *part = &graph->values[op->inputs[k]];
        const struct value *owner = &graph->values[part->owner];
        bool here = owner->host == value && owner->host_column + part->column == want;
        if (!here) return false;
        want += part->width;
    }
    return true;
}

static bool is_step(const struct graph *graph, uint32_t i)
{
    const struct lp_op *op = &graph->ops[i];
    size_t column;
    if (!graph->live[i] || graph->joined[i] || is_view(op, &column)) return false;
    return op->kind != LP_OP_CONCAT || !all_hosted(graph, op, i + 1);
}

static void list_steps(struct graph *graph, bool record, bool others)
{
    struct lp_plan *plan = graph->plan;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        unsigned int part = graph->values[i + 1].part;
        if (!is_step(graph, i) || !(part == OF_RECORD ? record : others)) continue;
        plan->steps[plan->step_count++] = (struct lp_plan_step){
            .op = i,
            .activation_op = graph->joins[i],
            .part = part == OF_RECORD ? LP_PLAN_RECORD
                    : part == OF_ITEM ? LP_PLAN_ITEM
                                      : LP_PLAN_BOTH,
        };
        if (part == OF_RECORD) plan->record_step_count++;
    }
}

static bool reads_doubles(const struct lp_plan *plan, const struct lp_op *op)
{
    if (op->kind == LP_OP_DENSE) return lp_dense_reads_doubles(plan, op);
    return op->kind == LP_OP_EMBEDDING || op->kind == LP_OP_TREES || op->kind == LP_OP_ONNXRUNTIME;
}

static void use(struct graph *graph, uint32_t v, uint32_t time)
{
    size_t column;
    struct value *root = &graph->values[root_of(graph, v, &column)];
    if (root->first == LP_PLAN_NONE || root->first > time) root->first = time;
    if (root->last == LP_PLAN_NONE || root->last < time) root->last = time;
}

/* Once for each value that a step makes or reads; the row comes first, the margin last. */
static void find_lifetimes(struct graph *graph)
{
    const struct lp_plan *plan = graph->plan;
    for (uint32_t v = 0; v <= graph->op_count; v++) graph->values[v].first = graph->values[v].last = LP_PLAN_NONE;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        uint32_t i = plan->steps[s].op;
        const struct lp_op *op = &graph->ops[i];
        for (uint32_t k = 0; k < op->input_count; k++) {
            if (graph->values[op->inputs[k]].owner == 0 && reads_doubles(plan, op)) continue;
            use(graph, op->inputs[k], s + 1);
        }
        use(graph, output_of(graph, i), s + 1);
    }
    use(graph, graph->op_count, plan->step_count + 1);
    if (graph->values[0].last != LP_PLAN_NONE) use(graph, 0, 0);
}

/* Record values that other steps read are made once: nothing may come to lie over them. */
static void keep_crossings(struct graph *graph)
{
    const struct lp_plan *plan = graph->plan;
    size_t column;
    for (uint32_t s = plan->record_step_count; s < plan->step_count && plan->has_items; s++) {
        const struct lp_op *op = &graph->ops[plan->steps[s].op];
        for (uint32_t k = 0; k < op->input_count; k++)
            if (graph->values[op->inputs[k]].part == OF_RECORD && graph->values[op->inputs[k]].owner != 0)
                graph->values[root_of(graph, op->inputs[k], &column)].persistent = true;
    }
    const struct value *margin = &graph->values[graph->op_count];
    if (plan->has_items && margin->part == OF_RECORD && margin->owner != 0)
        graph->values[root_of(graph, graph->op_count, &column)].persistent = true;
    for (uint32_t v = 0; v <= graph->op_count; v++) {
        if (!graph->values[v].persistent) continue;
        graph->values[v].first = 0;
        graph->values[v].last = plan->step_count + 1;
    }
}

static bool works_in_place(const struct lp_op *op)
{
    switch (op->kind) {
    case LP_OP_ACTIVATION:
    case LP_OP_SOFTMAX:
    case LP_OP_LOG_SOFTMAX:
    case LP_OP_ADD:
    case LP_OP_SUB:
    case LP_OP_MUL:
    case LP_OP_DIV:
    case LP_OP_MIN:
    case LP_OP_MAX:
    case LP_OP_POW:
    case LP_OP_NORM:
    case LP_OP_UNIT:
    case LP_OP_IMPUTE:
    case LP_OP_QUANTIZE: return true;
    default: return false;
    }
}

/* No other input lies across the one that is overwritten. */
static bool others_are_apart(const struct graph *graph, const struct lp_op *op, uint32_t k)
{
    size_t here, there;
    uint32_t root = root_of(graph, op->inputs[k], &here), width = graph->values[op->inputs[k]].width;
    for (uint32_t j = 0; j < op->input_count; j++) {
        if (j == k || root_of(graph, op->inputs[j], &there) != root) continue;
        uint32_t other = graph->values[op->inputs[j]].width;
        bool same = here == there && width == other, apart = here + width <= there || there + other <= here;
        if (!same && !apart) return false;
    }
    return true;
}

/* Put a step's output over an input that nothing reads afterwards. */
static void share_place(struct graph *graph, uint32_t s)
{
    const struct lp_op *op = &graph->ops[graph->plan->steps[s].op];
    uint32_t out = output_of(graph, graph->plan->steps[s].op);
    struct value *value = &graph->values[out];
    size_t column;
    if (!works_in_place(op) || value->host != LP_PLAN_NONE || value->persistent) return;
    for (uint32_t k = 0; k < op->input_count; k++) {
        uint32_t root = root_of(graph, op->inputs[k], &column);
        struct value *under = &graph->values[root];
        if (under->persistent || under->last != s + 1 || graph->values[op->inputs[k]].width != value->width ||
            root == out || !others_are_apart(graph, op, k))
            continue;
        value->host = root;
        value->host_column = column;
        if (value->last > under->last) under->last = value->last;
        return;
    }
}

/* Every root with a lifetime gets a place. */
static enum lp_code place_roots(struct graph *graph, struct lp_error *err)
{
    uint32_t count = 0;
    struct lp_plan_root *roots = calloc((size_t)graph->op_count + 1, sizeof *roots);
    if (roots == NULL) return lp_fail_memory(err, ((size_t)graph->op_count + 1) * sizeof *roots);
    for (uint32_t v = 0; v <= graph->op_count; v++) {
        struct value *value = &graph->values[v];
        if (value->host != LP_PLAN_NONE || value->last == LP_PLAN_NONE) continue;
        value->root_index = count;
        roots[count++] = (struct lp_plan_root){.width = value->width, .first = value->first, .last = value->last};
        graph->plan->unshared_floats += value->width;
    }
    graph->plan->row_floats = lp_arena_place(roots, count);
    for (uint32_t v = 0; v <= graph->op_count; v++) {
        struct value *value = &graph->values[v];
        if (value->host == LP_PLAN_NONE && value->last != LP_PLAN_NONE)
            value->host_column = roots[value->root_index].offset; /* a root's place in the arena */
    }
    free(roots);
    return graph->plan->row_floats != SIZE_MAX ? LP_OK : lp_fail_memory(err, count * sizeof *roots);
}

static struct lp_operand operand_of(const struct graph *graph, uint32_t v)
{
    size_t column;
    const struct value *root = &graph->values[root_of(graph, v, &column)];
    return (struct lp_operand){.offset = root->host_column,
                               .column = column,
                               .stride = root->width,
                               .width = graph->values[v].width,
                               .of_features = graph->values[v].owner == 0};
}

static enum lp_code set_operands(struct graph *graph, struct lp_error *err)
{
    struct lp_plan *plan = graph->plan;
    size_t count = 0;
    for (uint32_t s = 0; s < plan->step_count; s++) count += graph->ops[plan->steps[s].op].input_count;
    plan->operands = calloc(count + 1, sizeof *plan->operands);
    plan->bytes += (count + 1) * sizeof *plan->operands;
    if (plan->operands == NULL) return lp_fail_memory(err, (count + 1) * sizeof *plan->operands);
    struct lp_operand *next = plan->operands;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        struct lp_plan_step *step = &plan->steps[s];
        const struct lp_op *op = &graph->ops[step->op];
        step->inputs = next;
        step->input_count = op->input_count;
        for (uint32_t k = 0; k < op->input_count; k++) *next++ = operand_of(graph, op->inputs[k]);
        step->output = operand_of(graph, output_of(graph, step->op));
    }
    plan->features = operand_of(graph, 0);
    plan->reads_floats = graph->values[0].last != LP_PLAN_NONE;
    plan->margin = operand_of(graph, graph->op_count);
    return LP_OK;
}

static enum lp_code set_crossings(struct graph *graph, struct lp_error *err)
{
    struct lp_plan *plan = graph->plan;
    uint32_t count = 0;
    for (uint32_t v = 0; v <= graph->op_count; v++) count += graph->values[v].persistent;
    if (count == 0) return LP_OK;
    plan->crossings = calloc(count, sizeof *plan->crossings);
    if (plan->crossings == NULL) return lp_fail_memory(err, count * sizeof *plan->crossings);
    plan->bytes += count * sizeof *plan->crossings;
    for (uint32_t v = 0; v <= graph->op_count; v++)
        if (graph->values[v].persistent) plan->crossings[plan->crossing_count++] = operand_of(graph, v);
    return LP_OK;
}

enum lp_code lp_plan_mark_items(struct lp_plan *plan, struct lp_error *err)
{
    const struct lp_bundle *bundle = plan->bundle;
    for (uint32_t i = 0; i < bundle->feature_count; i++)
        if (strstr(bundle->features[i].from, "[]") != NULL) plan->has_items = true;
    if (!plan->has_items) return LP_OK;
    plan->item_columns = calloc(bundle->column_count, 1);
    if (plan->item_columns == NULL) return lp_fail_memory(err, bundle->column_count);
    plan->bytes += bundle->column_count;
    for (uint32_t i = 0; i < bundle->feature_count; i++)
        if (strstr(bundle->features[i].from, "[]") != NULL)
            memset(plan->item_columns + bundle->features[i].column, 1, bundle->features[i].column_count);
    return LP_OK;
}

static enum lp_code schedule(struct graph *graph, struct lp_error *err)
{
    struct lp_plan *plan = graph->plan;
    LP_TRY(read_widths(graph, err));
    mark_live(graph);
    join_activations(graph);
    find_owners(graph);
    find_parts(graph);
    host_parts(graph);
    list_steps(graph, true, !plan->has_items);
    if (plan->has_items) list_steps(graph, false, true);
    find_lifetimes(graph);
    keep_crossings(graph);
    for (uint32_t s = 0; s < plan->step_count; s++) share_place(graph, s);
    LP_TRY(place_roots(graph, err));
    LP_TRY(set_operands(graph, err));
    return set_crossings(graph, err);
}

enum lp_code lp_plan_schedule(struct lp_plan *plan, struct lp_error *err)
{
    size_t count = (size_t)plan->bundle->op_count + 1;
    struct graph graph = {.plan = plan, .ops = plan->bundle->ops, .op_count = plan->bundle->op_count};
    graph.values = calloc(count, sizeof *graph.values);
    graph.live = calloc(count, sizeof *graph.live);
    graph.joined = calloc(count, sizeof *graph.joined);
    graph.joins = malloc(count * sizeof *graph.joins);
    enum lp_code rc = LP_OK;
    if (graph.values == NULL || graph.live == NULL || graph.joined == NULL || graph.joins == NULL)
        rc = lp_fail_memory(err, count * sizeof *graph.values);
    for (size_t i = 0; rc == LP_OK && i < count; i++) graph.joins[i] = LP_PLAN_NONE;
    if (rc == LP_OK) rc = schedule(&graph, err);
    free(graph.values);
    free(graph.live);
    free(graph.joined);
    free(graph.joins);
    return rc;
}
