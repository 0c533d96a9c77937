#include "import/graph_passes.h"

#include "import/graph_match.h"

enum { ROUNDS_MAX = 16 };

static void count_uses(struct lp_rewrite *rewrite)
{
    for (uint32_t i = 0; i < rewrite->graph->count; i++)
        for (uint32_t k = 0; k < rewrite->graph->ops[i].input_count; k++)
            rewrite->uses[rewrite->graph->ops[i].inputs[k]]++;
}

static enum lp_code one_round(struct lp_graph *graph, uint32_t *value,
                              enum lp_code (*pass)(struct lp_rewrite *, struct lp_error *), uint32_t *rewritten,
                              struct lp_error *err)
{
    struct lp_rewrite rewrite = {.graph = graph, .value = *value};
    LP_TRY(lp_graph_sweep(graph, value, err));
    rewrite.value = *value;
    rewrite.uses = lp_storage_take(graph->storage, (size_t)graph->count + 1, sizeof *rewrite.uses, err);
    if (rewrite.uses == NULL) return lp_failed(err->code);
    count_uses(&rewrite);
    LP_TRY(pass(&rewrite, err));
    *rewritten += rewrite.rewritten;
    return LP_OK;
}

/* A rewritten op never makes way for a pattern before it, so that few rounds end it; their number is bounded. */
enum lp_code lp_graph_simplify(struct lp_graph *graph, uint32_t *value, struct lp_error *err)
{
    for (uint32_t round = 0; round < ROUNDS_MAX; round++) {
        uint32_t rewritten = 0;
        LP_TRY(one_round(graph, value, lp_graph_patterns, &rewritten, err));
        LP_TRY(one_round(graph, value, lp_graph_fuse, &rewritten, err));
        if (rewritten == 0) break;
    }
    return lp_graph_sweep(graph, value, err);
}
