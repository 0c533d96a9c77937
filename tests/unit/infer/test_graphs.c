/* Random graphs: plans against an interpreter that runs every op by itself, whole and in candidates' calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../support/naive_graph.h"

enum { GRAPHS = 1500 };

static float margins[NAIVE_ROWS_MAX * NAIVE_WIDTH_MAX], scores[NAIVE_ROWS_MAX * NAIVE_WIDTH_MAX],
    others[NAIVE_ROWS_MAX * NAIVE_WIDTH_MAX];
static struct naive_graph graph;

/* Runs one graph; the steps times rows that both ways computed. */
static void run_one(uint64_t seed, bool items, uint64_t *ret_whole, uint64_t *ret_shared)
{
    struct naive_source in = {.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
    struct lp_plan *plan;
    struct lp_infer *infer;
    struct lp_error err;
    naive_graph_make(&in, &graph, items);
    if (lp_plan_new(&graph.bundle, &plan, &err) != LP_OK) fail_msg("seed %lu: %s", (unsigned long)seed, err.text);
    assert_int_equal(lp_infer_new(plan, graph.row_count, &infer, &err), LP_OK);
    lp_infer_run(infer, graph.rows, graph.row_count, margins, scores);
    if (!naive_same(&graph, margins)) fail_msg("seed %lu:\n%s", (unsigned long)seed, lp_plan_table(plan));
    *ret_whole = lp_infer_step_rows(infer);
    lp_infer_run_candidates(infer, graph.rows, graph.rows, graph.row_count, others, scores);
    *ret_shared = lp_infer_step_rows(infer) - *ret_whole;
    if (items) assert_memory_equal(margins, others, graph.row_count * graph.bundle.output_count * sizeof *margins);
    lp_infer_free(infer);
    lp_plan_free(plan);
    naive_done(&graph);
}

static void plans_compute_what_the_ops_do_one_by_one(void **state)
{
    (void)state;
    uint64_t whole, shared;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) run_one(seed, false, &whole, &shared);
}

static void candidates_give_the_same_bits_and_share_the_records_steps(void **state)
{
    (void)state;
    uint64_t saved = 0;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        uint64_t whole, shared;
        run_one(seed, true, &whole, &shared);
        assert_true(shared <= whole);
        saved += whole - shared;
    }
    assert_true(saved > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_compute_what_the_ops_do_one_by_one),
        cmocka_unit_test(candidates_give_the_same_bits_and_share_the_records_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
