/* Block pruning: whole hidden units, so that what is left is a smaller dense network and every kernel does less. */
#include "optimize/shrink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16 }; /* kernels compute outputs in blocks of this many: half a block costs a whole one */

struct cut {
    uint32_t consumer; /* op that alone reads the layer's output; 0: the layer stays whole (op 0 reads no layer) */
    uint32_t keep;     /* units */
    uint32_t *units;   /* [keep] rising */
};

static bool is_whole(const struct lp_draft *draft, const struct lp_op *op)
{
    return op->kind == LP_OP_DENSE && op->in.rank == 1 && op->weight->dtype == LP_DTYPE_F32 &&
           lp_draft_uses(draft, op->weight->name) == 1 &&
           (op->bias == NULL || lp_draft_uses(draft, op->bias->name) == 1);
}

static uint32_t find_consumer(const struct lp_draft *draft, uint32_t index)
{
    const struct lp_bundle *parent = draft->parent;
    uint32_t reads = 0, consumer = 0;
    for (uint32_t i = 0; i < parent->op_count; i++)
        for (uint32_t k = 0; k < parent->ops[i].input_count; k++) {
            if (parent->ops[i].inputs[k] != index + 1) continue;
            consumer = i;
            reads++;
        }
    bool alone = reads == 1 && is_whole(draft, &parent->ops[index]) && is_whole(draft, &parent->ops[consumer]);
    return alone ? consumer : 0;
}

struct unit {
    double weight;
    uint32_t index;
};

static int by_weight(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* A unit weighs as much as the norms of what it takes and of what it gives multiply to: of relu, no scale of the one
 * against the other changes that. */
static void weigh(const struct lp_tensor *in, const struct lp_tensor *out, struct unit *units)
{
    const float *a = in->data, *b = out->data;
    size_t width = in->dims[1], next = out->dims[1];
    for (size_t u = 0; u < width; u++) {
        double taken = 0, given = 0;
        for (size_t k = 0; k < in->dims[0]; k++) taken += (double)a[k * width + u] * (double)a[k * width + u];
        for (size_t k = 0; k < next; k++) given += (double)b[u * next + k] * (double)b[u * next + k];
        units[u] = (struct unit){taken * given, (uint32_t)u};
    }
}

static enum lp_code choose(const struct lp_draft *draft, uint32_t index, double share, struct cut *cut,
                           struct lp_error *err)
{
    const struct lp_op *op = &draft->parent->ops[index];
    uint32_t consumer = find_consumer(draft, index), width = op->out_width;
    uint32_t keep = (uint32_t)ceil((1 - share) * width / BLOCK) * BLOCK;
    if (consumer == 0 || keep >= width) return LP_OK;
    struct unit *units = calloc(width, sizeof *units);
    cut->units = calloc(keep, sizeof *cut->units);
    if (units == NULL || cut->units == NULL) {
        free(units);
        return lp_fail_memory(err, width * sizeof *units);
    }
    weigh(op->weight, draft->parent->ops[consumer].weight, units);
    qsort(units, width, sizeof *units, by_weight);
    for (uint32_t i = 0; i < keep; i++) cut->units[i] = units[i].index;
    qsort(cut->units, keep, sizeof *cut->units, by_index);
    free(units);
    cut->consumer = consumer;
    cut->keep = keep;
    return LP_OK;
}

/* Rows that the layer before has left, columns that this one has. */
static enum lp_code narrow(struct lp_draft *draft, const struct lp_op *op, const struct cut *before,
                           const struct cut *own, struct lp_error *err)
{
    struct lp_tensor weight = *op->weight;
    size_t width = weight.dims[1];
    weight.dims[0] = before != NULL ? before->keep : weight.dims[0];
    weight.dims[1] = own != NULL ? own->keep : width;
    weight.count = weight.dims[0] * weight.dims[1];
    float *to = lp_draft_take(draft, weight.count, sizeof *to);
    if (to == NULL) return lp_fail_memory(err, weight.count * sizeof *to);
    for (size_t r = 0; r < weight.dims[0]; r++)
        for (size_t c = 0; c < weight.dims[1]; c++) {
            size_t row = before != NULL ? before->units[r] : r, column = own != NULL ? own->units[c] : c;
            to[r * weight.dims[1] + c] = ((const float *)op->weight->data)[row * width + column];
        }
    weight.data = to;
    LP_TRY(lp_draft_put(draft, &weight, err));
    if (own == NULL || op->bias == NULL) return LP_OK;
    struct lp_tensor bias = *op->bias;
    float *values = lp_draft_take(draft, own->keep, sizeof *values);
    if (values == NULL) return lp_fail_memory(err, own->keep * sizeof *values);
    for (uint32_t c = 0; c < own->keep; c++) values[c] = ((const float *)op->bias->data)[own->units[c]];
    bias.dims[0] = bias.count = own->keep;
    bias.data = values;
    return lp_draft_put(draft, &bias, err);
}

enum lp_code lp_shrink_units(struct lp_draft *draft, double share, uint32_t *ret_count, struct lp_error *err)
{
    const struct lp_bundle *parent = draft->parent;
    struct cut *cuts = calloc((size_t)parent->op_count + 1, sizeof *cuts);
    enum lp_code rc = cuts != NULL ? LP_OK : lp_fail_memory(err, parent->op_count * sizeof *cuts);
    *ret_count = 0;
    for (uint32_t i = 0; rc == LP_OK && i < parent->op_count; i++) {
        rc = choose(draft, i, share, &cuts[i], err);
        *ret_count += cuts[i].consumer != 0 ? parent->ops[i].out_width - cuts[i].keep : 0;
    }
    for (uint32_t i = 0; rc == LP_OK && i < parent->op_count; i++) {
        uint32_t value = parent->ops[i].input_count > 0 ? parent->ops[i].inputs[0] : 0;
        const struct cut *before = value > 0 && cuts[value - 1].consumer == i && i > 0 ? &cuts[value - 1] : NULL;
        const struct cut *own = cuts[i].consumer != 0 ? &cuts[i] : NULL;
        if (before != NULL || own != NULL) rc = narrow(draft, &parent->ops[i], before, own, err);
    }
    for (uint32_t i = 0; cuts != NULL && i < parent->op_count; i++) free(cuts[i].units);
    free(cuts);
    return rc;
}
