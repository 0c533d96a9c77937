/* Messages -> values and nodes with numbers: names resolved once, by a sorted list that no choice of names makes slow.
 */
#include "import/onnx/private.h"

#include <stdlib.h>
#include <string.h>

enum { DOMAINS_MAX = 256 };

void *lp_onnx_take(struct lp_onnx *onnx, uint64_t count, size_t element_bytes, struct lp_error *err)
{
    return lp_storage_take(&onnx->draft->storage, count, element_bytes, err);
}

static int by_name(const void *a, const void *b)
{
    const struct lp_onnx_value *left = a, *right = b;
    return strcmp(left->name, right->name);
}

int32_t lp_onnx_find(const struct lp_onnx *onnx, const char *name)
{
    const struct lp_onnx_value key = {.name = name != NULL ? name : ""};
    const struct lp_onnx_value *found =
        onnx->value_count > 0 ? bsearch(&key, onnx->values, onnx->value_count, sizeof key, by_name) : NULL;
    return found != NULL ? (int32_t)(found - onnx->values) : LP_ONNX_ABSENT;
}

static const char *text_of(const char *text) { return text != NULL ? text : ""; }

/* --- values --- */

static enum lp_code add_value(struct lp_onnx *onnx, const char *name, int32_t producer, struct lp_error *err)
{
    if (strlen(name) > UINT16_MAX) return lp_fail(err, LP_E_LIMIT, LP_FATAL, "a name of %zu bytes", strlen(name));
    onnx->values[onnx->value_count++] = (struct lp_onnx_value){.name = name, .producer = producer};
    return LP_OK;
}

static enum lp_code add_values(struct lp_onnx *onnx, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    uint64_t count = graph->n_input + graph->n_initializer;
    for (size_t i = 0; i < graph->n_node; i++) count += graph->node[i]->n_output;
    if (count > 8 * (uint64_t)LP_ONNX_NODES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%llu values, at most %d are read", (unsigned long long)count,
                       8 * LP_ONNX_NODES_MAX);
    onnx->values = lp_onnx_take(onnx, count, sizeof *onnx->values, err);
    if (onnx->values == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < graph->n_initializer; i++)
        LP_TRY(add_value(onnx, text_of(graph->initializer[i]->name), LP_ONNX_ABSENT, err));
    for (size_t i = 0; i < graph->n_input; i++)
        LP_TRY(add_value(onnx, text_of(graph->input[i]->name), LP_ONNX_ABSENT, err));
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (graph->node[i]->output[k][0] != '\0')
                LP_TRY(add_value(onnx, graph->node[i]->output[k], (int32_t)i, err));
    return LP_OK;
}

/* An initializer may be listed among the inputs too: it is one value. */
static enum lp_code sort_values(struct lp_onnx *onnx, struct lp_error *err)
{
    uint32_t kept = 0;
    qsort(onnx->values, onnx->value_count, sizeof *onnx->values, by_name);
    for (uint32_t i = 0; i < onnx->value_count; i++) {
        const struct lp_onnx_value *last = kept > 0 ? &onnx->values[kept - 1] : NULL;
        if (last == NULL || strcmp(last->name, onnx->values[i].name) != 0) {
            onnx->values[kept++] = onnx->values[i];
            continue;
        }
        if (last->producer != LP_ONNX_ABSENT || onnx->values[i].producer != LP_ONNX_ABSENT)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "value `%.64s` is made twice", last->name);
    }
    onnx->value_count = kept;
    return LP_OK;
}

static enum lp_code read_initializers(struct lp_onnx *onnx, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__Tensor *proto = graph->initializer[i];
        struct lp_onnx_value *value = &onnx->values[lp_onnx_find(onnx, text_of(proto->name))];
        if (value->kind == LP_ONNX_CONSTANT)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "two initializers are named `%.64s`", value->name);
        if (lp_onnx_constant_read(onnx, proto, &value->known, err) != LP_OK)
            return lp_error_wrap(err, "initializer `%.64s`", value->name);
        value->kind = LP_ONNX_CONSTANT;
        value->type = value->known->type;
    }
    return LP_OK;
}

/* --- nodes --- */

static int64_t opset_of(const struct lp_onnx *onnx, const char *domain)
{
    for (size_t i = 0; i < onnx->proto->n_opset_import; i++) {
        const Onnx__OperatorSetId *id = onnx->proto->opset_import[i];
        const char *name = text_of(id->domain);
        if (strcmp(name, "ai.onnx") == 0) name = "";
        if (strcmp(name, domain) == 0) return id->has_version ? id->version : 1;
    }
    return 1;
}

static enum lp_code resolve(struct lp_onnx *onnx, char **names, size_t count, uint32_t *ret_count,
                            const int32_t **ret_values, struct lp_error *err)
{
    int32_t *values = lp_onnx_take(onnx, count, sizeof *values, err);
    if (values == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < count; i++) {
        values[i] = names[i][0] != '\0' ? lp_onnx_find(onnx, names[i]) : LP_ONNX_ABSENT;
        if (names[i][0] != '\0' && values[i] == LP_ONNX_ABSENT)
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "nothing makes its input `%.64s`", names[i]);
    }
    *ret_count = (uint32_t)count;
    *ret_values = values;
    return LP_OK;
}

static enum lp_code read_node(struct lp_onnx *onnx, const Onnx__Node *proto, struct lp_onnx_node *node,
                              struct lp_error *err)
{
    const char *domain = text_of(proto->domain);
    *node = (struct lp_onnx_node){.proto = proto,
                                  .op = text_of(proto->op_type),
                                  .name = text_of(proto->name),
                                  .domain = strcmp(domain, "ai.onnx") == 0 ? "" : domain};
    node->opset = opset_of(onnx, node->domain);
    enum lp_code rc = resolve(onnx, proto->input, proto->n_input, &node->input_count, &node->inputs, err);
    if (rc == LP_OK) rc = resolve(onnx, proto->output, proto->n_output, &node->output_count, &node->outputs, err);
    return rc == LP_OK ? LP_OK : lp_onnx_blame(node, rc, err);
}

static enum lp_code check_opset(const struct lp_onnx *onnx, struct lp_error *err)
{
    int64_t opset = opset_of(onnx, "");
    for (uint32_t i = 0; i < onnx->node_count; i++)
        if (onnx->nodes[i].domain[0] == '\0' && (opset < LP_ONNX_OPSET_MIN || opset > LP_ONNX_OPSET_MAX))
            return lp_onnx_refuse(&onnx->nodes[i], err, "opsets %d to %d are in this release", LP_ONNX_OPSET_MIN,
                                  LP_ONNX_OPSET_MAX);
    return LP_OK;
}

enum lp_code lp_onnx_names_read(struct lp_onnx *onnx, struct lp_error *err)
{
    LP_TRY(add_values(onnx, err));
    return sort_values(onnx, err);
}

enum lp_code lp_onnx_model_read(struct lp_onnx *onnx, struct lp_error *err)
{
    const Onnx__Graph *graph = onnx->proto->graph;
    if (graph == NULL) return lp_fail(err, LP_E_INVALID, LP_FATAL, "there is no graph in it");
    if (onnx->proto->n_opset_import > DOMAINS_MAX) /* each node looks through them */
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu opsets, at most %d are read", onnx->proto->n_opset_import,
                       DOMAINS_MAX);
    if (graph->n_node > LP_ONNX_NODES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu nodes, at most %d are read", graph->n_node, LP_ONNX_NODES_MAX);
    LP_TRY(lp_onnx_names_read(onnx, err));
    LP_TRY(read_initializers(onnx, err));
    onnx->nodes = lp_onnx_take(onnx, graph->n_node, sizeof *onnx->nodes, err);
    if (onnx->nodes == NULL) return lp_failed(err->code);
    onnx->node_count = (uint32_t)graph->n_node;
    for (uint32_t i = 0; i < onnx->node_count; i++) LP_TRY(read_node(onnx, graph->node[i], &onnx->nodes[i], err));
    return check_opset(onnx, err);
}
