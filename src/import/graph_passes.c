#include "import/graph_passes.h"

enum lp_code lp_graph_simplify(struct lp_graph *graph, uint32_t *value, struct lp_error *err)
{
    return lp_graph_sweep(graph, value, err);
}
