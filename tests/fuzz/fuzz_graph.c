/*
 * Graphs of every kind of op made from the input, with branches and dead ops. What the plan's steps, views and shared
 * arena give must be what running every op by itself gives, and candidates must give a whole run's bits.
 */
// stages: infer
#include "../support/naive_graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static float margins[NAIVE_ROWS_MAX * NAIVE_WIDTH_MAX], scores[NAIVE_ROWS_MAX * NAIVE_WIDTH_MAX],
    others[NAIVE_ROWS_MAX * NAIVE_WIDTH_MAX];

static void score(const struct naive_graph *graph, const struct lp_plan *plan, bool items)
{
    struct lp_infer *infer;
    struct lp_error err;
    size_t outputs = (size_t)graph->row_count * graph->bundle.output_count;
    if (lp_infer_new(plan, graph->row_count, &infer, &err) != LP_OK) abort();
    lp_infer_run(infer, graph->rows, graph->row_count, margins, scores);
    if (!naive_same(graph, margins)) {
        fputs(lp_plan_table(plan), stderr);
        abort();
    }
    if (items) lp_infer_run_candidates(infer, graph->rows, graph->rows, graph->row_count, others, scores);
    if (items && memcmp(margins, others, outputs * sizeof *margins) != 0) abort();
    lp_infer_free(infer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct naive_graph graph;
    struct naive_source in = {.data = data, .size = size};
    struct lp_plan *plan;
    struct lp_error err;
    bool items = naive_byte(&in) % 2;
    naive_graph_make(&in, &graph, items);
    if (lp_plan_new(&graph.bundle, &plan, &err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    score(&graph, plan, items);
    lp_plan_free(plan);
    naive_done(&graph);
    return 0;
}
