/* Which nodes numeric outputs need, and in which order: depth first on a stack of its own. */
#include "import/onnx/private.h"

#include <string.h>

enum { OUTPUTS_MAX = 4096 /* values that one concat takes */ };

/* Types that are numbers a bundle can put out; whole numbers and texts beside them are labels. */
static bool is_floating(int32_t type)
{
    return type == LP_ONNX_FLOAT || type == LP_ONNX_DOUBLE || type == LP_ONNX_FLOAT16 || type == LP_ONNX_BFLOAT16;
}

static bool says_whole(const Onnx__ValueInfo *info)
{
    const Onnx__TensorType *tensor = info->type != NULL ? info->type->tensor_type : NULL;
    return tensor != NULL && tensor->has_elem_type && !is_floating(tensor->elem_type);
}

bool lp_onnx_output_counts(const struct lp_onnx *onnx, size_t output)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    if (!says_whole(graph->output[output])) return true;
    for (size_t i = 0; i < graph->n_output; i++)
        if (!says_whole(graph->output[i])) return false;
    return true; /* nothing but whole numbers: they are what it computes */
}

struct walk {
    struct lp_onnx *onnx;
    unsigned char *state; /* [node_count] */
    struct frame {
        uint32_t node, input;
    } * stack; /* [node_count] */
    uint32_t depth, *order, count;
};
enum { STATE_NEW, STATE_OPEN, STATE_DONE };

static enum lp_code enter(struct walk *walk, int32_t value, struct lp_error *err)
{
    int32_t node = value != LP_ONNX_ABSENT ? walk->onnx->values[value].producer : LP_ONNX_ABSENT;
    if (node == LP_ONNX_ABSENT || walk->state[node] == STATE_DONE) return LP_OK;
    if (walk->state[node] == STATE_OPEN)
        return lp_onnx_bad(&walk->onnx->nodes[node], err, "it needs its own output: the graph has a cycle");
    walk->state[node] = STATE_OPEN;
    walk->stack[walk->depth++] = (struct frame){.node = (uint32_t)node};
    return LP_OK;
}

static enum lp_code walk_from(struct walk *walk, int32_t value, struct lp_error *err)
{
    LP_TRY(enter(walk, value, err));
    while (walk->depth > 0) {
        struct frame *top = &walk->stack[walk->depth - 1];
        const struct lp_onnx_node *node = &walk->onnx->nodes[top->node];
        if (top->input < node->input_count) {
            int32_t input = node->inputs[top->input++];
            if (input != LP_ONNX_ABSENT) walk->onnx->values[input].use_count++;
            LP_TRY(enter(walk, input, err));
            continue;
        }
        walk->state[top->node] = STATE_DONE;
        walk->order[walk->count++] = top->node;
        walk->depth--;
    }
    return LP_OK;
}

enum lp_code lp_onnx_order(struct lp_onnx *onnx, const uint32_t **ret_order, uint32_t *ret_count, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    struct walk walk = {.onnx = onnx,
                        .state = lp_onnx_take(onnx, onnx->node_count, 1, err),
                        .stack = lp_onnx_take(onnx, onnx->node_count, sizeof *walk.stack, err),
                        .order = lp_onnx_take(onnx, onnx->node_count, sizeof *walk.order, err)};
    if (walk.state == NULL || walk.stack == NULL || walk.order == NULL) return lp_failed(err->code);
    if (graph->n_output == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "the graph has no outputs");
    if (graph->n_output > OUTPUTS_MAX) /* each of them looks at all */
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu outputs, at most %d are read", graph->n_output, OUTPUTS_MAX);
    for (size_t i = 0; i < graph->n_output; i++) {
        const char *name = graph->output[i]->name != NULL ? graph->output[i]->name : "";
        int32_t value = lp_onnx_find(onnx, name);
        if (value == LP_ONNX_ABSENT)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "nothing makes the output `%.64s`", name);
        if (!lp_onnx_output_counts(onnx, i)) continue;
        onnx->values[value].use_count++;
        LP_TRY(walk_from(&walk, value, err));
    }
    *ret_order = walk.order;
    *ret_count = walk.count;
    return LP_OK;
}
