#include "optimize/tune.h"

#include <stdlib.h>
#include <string.h>

static const double rate = 0.0005; /* half of what training begins with: it is near a minimum */

static bool is_layer(const struct lp_op *op)
{
    return op->kind == LP_OP_DENSE && op->in.rank == 1 && op->weight->dtype == LP_DTYPE_F32 && op->bias != NULL &&
           op->activation <= LP_ACTIVATION_SOFTPLUS;
}

/* A tensor that several ops share would be learned twice. */
static bool is_shared(const struct lp_bundle *bundle, const struct lp_tensor *tensor)
{
    uint32_t uses = 0;
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        const struct lp_op *op = &bundle->ops[i];
        const struct lp_tensor *const named[] = {op->weight, op->bias, op->scale, op->constant};
        for (size_t k = 0; k < sizeof named / sizeof *named; k++) uses += named[k] == tensor;
    }
    return uses != 1;
}

/* From the margin back; *ret_value is what the first layer reads. */
static bool find_layers(const struct lp_bundle *bundle, struct lp_chain *c, uint32_t *ret_value)
{
    uint32_t value = bundle->op_count, count = 0;
    while (value > 0 && is_layer(&bundle->ops[value - 1])) {
        const struct lp_op *op = &bundle->ops[value - 1];
        if (count == LP_NET_LAYERS_MAX || is_shared(bundle, op->weight) || is_shared(bundle, op->bias)) return false;
        c->dense[count++] = value - 1;
        value = op->inputs[0];
    }
    for (uint32_t i = 0; i < count / 2; i++) {
        uint32_t swap = c->dense[i];
        c->dense[i] = c->dense[count - 1 - i];
        c->dense[count - 1 - i] = swap;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct lp_op *op = &bundle->ops[c->dense[i]];
        c->spec.layers[i] =
            (struct lp_net_layer){.width = op->out_width, .activation = op->activation, .alpha = (float)op->alpha};
    }
    c->spec.layer_count = count;
    c->spec.column_count = bundle->column_count;
    *ret_value = value;
    return count > 0 && bundle->ops[bundle->op_count - 1].activation == LP_ACTIVATION_NONE;
}

static const struct lp_op *slice_at(const struct lp_bundle *bundle, uint32_t value)
{
    const struct lp_op *op = value > 0 ? &bundle->ops[value - 1] : NULL;
    bool good = op != NULL && op->kind == LP_OP_SLICE && op->inputs[0] == 0 && op->in.rank == 1 && op->step == 1;
    return good ? op : NULL;
}

/* One part of the first layer's input; false: training knows none like it. *used counts ops. */
static bool take_part(const struct lp_bundle *bundle, uint32_t value, struct lp_chain *c, uint32_t *used)
{
    const struct lp_op *op = value > 0 ? &bundle->ops[value - 1] : NULL, *slice = slice_at(bundle, value);
    if (slice != NULL && c->spec.embedding_count > 0) return false;
    for (uint32_t i = 0; slice != NULL && i < slice->out_width; i++) c->plain[c->plain_count++] = slice->start + i;
    *used += slice != NULL ? 1 : 2;
    if (slice != NULL || op == NULL) return slice != NULL;
    slice = op->kind == LP_OP_EMBEDDING ? slice_at(bundle, op->inputs[0]) : NULL;
    bool good = slice != NULL && slice->out_width == 1 && op->bag == LP_BAG_SUM && op->padding_index < 0 &&
                op->weight->dtype == LP_DTYPE_F32 && !is_shared(bundle, op->weight);
    uint32_t e = c->spec.embedding_count;
    if (!good || e == LP_NET_EMBEDDINGS_MAX || (e > 0 && slice->start <= c->embeddings[e - 1].column)) return false;
    c->embeddings[e] = (struct lp_net_embedding){
        .column = slice->start, .rows = (uint32_t)op->weight->dims[0], .width = (uint32_t)op->weight->dims[1]};
    c->tables[e] = value - 1;
    c->spec.embedding_count++;
    return true;
}

/* The columns must be those and in the order in which a net of this shape has them. */
static bool fits(const struct lp_chain *c)
{
    uint32_t next = 0, at = 0;
    for (uint32_t column = 0; column < c->spec.column_count; column++) {
        if (next < c->spec.embedding_count && c->embeddings[next].column == column) next++;
        else if (at < c->plain_count && c->plain[at] == column) at++;
        else return false;
    }
    return next == c->spec.embedding_count && at == c->plain_count;
}

static bool find_input(const struct lp_bundle *bundle, uint32_t value, struct lp_chain *c)
{
    uint32_t used = c->spec.layer_count;
    if (value == 0) return used == bundle->op_count;
    const struct lp_op *concat = &bundle->ops[value - 1];
    if (concat->kind != LP_OP_CONCAT || concat->shape.rank != 1) return false;
    c->plain = calloc((size_t)concat->out_width + 1, sizeof *c->plain);
    c->embeddings = calloc((size_t)concat->input_count + 1, sizeof *c->embeddings);
    c->tables = calloc((size_t)concat->input_count + 1, sizeof *c->tables);
    if (c->plain == NULL || c->embeddings == NULL || c->tables == NULL) return false;
    used++;
    for (uint32_t i = 0; i < concat->input_count; i++)
        if (!take_part(bundle, concat->inputs[i], c, &used)) return false;
    c->spec.embeddings = c->embeddings;
    return used == bundle->op_count && fits(c);
}

bool lp_chain_read(const struct lp_bundle *bundle, struct lp_chain *ret_chain)
{
    struct lp_chain c = {.embeddings = NULL};
    uint32_t value;
    if (find_layers(bundle, &c, &value) && find_input(bundle, value, &c)) {
        *ret_chain = c;
        return true;
    }
    lp_chain_done(&c);
    return false;
}

void lp_chain_done(struct lp_chain *chain)
{
    free(chain->embeddings);
    free(chain->tables);
    free(chain->plain);
    *chain = (struct lp_chain){.embeddings = NULL};
}

/* The net learns (label - mean) / deviation: its output layer is the bundle's in these units. */
static void scale(float *values, size_t count, double by)
{
    for (size_t i = 0; by != 1 && i < count; i++) values[i] = (float)((double)values[i] * by);
}

static void shift(float *values, size_t count, double by)
{
    for (size_t i = 0; by != 0 && i < count; i++) values[i] = (float)((double)values[i] + by);
}

static enum lp_code set_first(const struct lp_learn *learn, const struct lp_bundle *bundle, const struct lp_chain *c,
                              struct lp_net *net, struct lp_error *err)
{
    for (uint32_t i = 0; i < c->spec.layer_count; i++) {
        const struct lp_op *op = &bundle->ops[c->dense[i]];
        double by = i + 1 == c->spec.layer_count ? learn->link_scale / learn->label_scale : 1;
        float *weight = malloc(op->weight->count * sizeof *weight + 1), *bias = net->params + net->dense[i].bias;
        if (weight == NULL) return lp_fail_memory(err, op->weight->count * sizeof *weight);
        memcpy(weight, op->weight->data, op->weight->count * sizeof *weight);
        scale(weight, op->weight->count, by);
        lp_net_set_weight(net, i, weight);
        free(weight);
        memcpy(bias, op->bias->data, op->out_width * sizeof *bias);
        scale(bias, op->out_width, by);
        if (i + 1 == c->spec.layer_count) shift(bias, op->out_width, -learn->label_mean / learn->label_scale);
    }
    for (uint32_t e = 0; e < c->spec.embedding_count; e++) {
        const struct lp_tensor *table = bundle->ops[c->tables[e]].weight;
        for (uint64_t r = 0; r < table->dims[0]; r++)
            memcpy(lp_net_table_row(net, e, r), (const float *)table->data + r * table->dims[1],
                   table->dims[1] * sizeof(float));
    }
    lp_net_turn_all(net);
    return LP_OK;
}

static enum lp_code put(struct lp_draft *draft, const struct lp_tensor *as, float *data, struct lp_error *err)
{
    struct lp_tensor tensor = *as;
    tensor.data = data;
    return lp_draft_put(draft, &tensor, err);
}

static enum lp_code take_learned(const struct lp_learn *learn, const struct lp_chain *c, const struct lp_net *net,
                                 struct lp_draft *draft, struct lp_error *err)
{
    for (uint32_t i = 0; i < c->spec.layer_count; i++) {
        const struct lp_op *op = &draft->parent->ops[c->dense[i]];
        bool last = i + 1 == c->spec.layer_count;
        double by = last ? learn->label_scale / learn->link_scale : 1;
        float *weight = lp_draft_take(draft, op->weight->count, sizeof *weight);
        float *bias = lp_draft_take(draft, op->out_width, sizeof *bias);
        if (weight == NULL || bias == NULL) return lp_fail_memory(err, op->weight->count * sizeof *weight);
        lp_net_fold(net, i, weight, bias);
        scale(weight, op->weight->count, by);
        scale(bias, op->out_width, by);
        if (last) shift(bias, op->out_width, learn->label_mean / learn->link_scale);
        LP_TRY(put(draft, op->weight, weight, err));
        LP_TRY(put(draft, op->bias, bias, err));
    }
    for (uint32_t e = 0; e < c->spec.embedding_count; e++) {
        const struct lp_tensor *table = draft->parent->ops[c->tables[e]].weight;
        float *data = lp_draft_take(draft, table->count, sizeof *data);
        if (data == NULL) return lp_fail_memory(err, table->count * sizeof *data);
        for (uint64_t r = 0; r < table->dims[0]; r++)
            memcpy(data + r * table->dims[1], lp_net_table_row(net, e, r), table->dims[1] * sizeof *data);
        LP_TRY(put(draft, table, data, err));
    }
    return LP_OK;
}

static enum lp_code train(const struct lp_learn *learn, const struct lp_chain *c, const struct lp_knobs *knobs,
                          struct lp_draft *draft, struct lp_error *err)
{
    struct lp_train_options options;
    struct lp_trainer *trainer;
    LP_TRY(lp_learn_new(learn, &c->spec, knobs, &options, &trainer, err));
    enum lp_code rc = set_first(learn, draft->parent, c, lp_trainer_net(trainer), err);
    if (rc == LP_OK) rc = lp_trainer_run(trainer, err);
    if (rc == LP_OK) rc = take_learned(learn, c, lp_trainer_net(trainer), draft, err);
    lp_trainer_free(trainer);
    return rc;
}

enum lp_code lp_tune(const struct lp_learn *learn, const struct lp_bundle *bundle, uint32_t epochs, bool hold_zeros,
                     struct lp_bundle **ret_tuned, struct lp_error *err)
{
    const struct lp_knobs knobs = {.rate = rate, .epochs = epochs, .hold_zeros = hold_zeros};
    struct lp_chain chain;
    struct lp_draft *draft = NULL;
    struct lp_buffer bytes;
    enum lp_code rc;
    if (!lp_chain_read(bundle, &chain))
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "the graph is no chain of dense layers");
    lp_buffer_init(&bytes, SIZE_MAX / 2);
    LP_GUARD(lp_draft_new(bundle, &draft, err));
    LP_GUARD(train(learn, &chain, &knobs, draft, err));
    LP_GUARD(lp_draft_encode(draft, &bytes, err));
    rc = lp_bundle_parse(lp_buffer_span(&bytes), ret_tuned, err);
out:
    lp_buffer_done(&bytes);
    lp_draft_free(draft);
    lp_chain_done(&chain);
    return rc;
}
