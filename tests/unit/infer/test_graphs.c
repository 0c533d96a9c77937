/* Random graphs: plans against an interpreter that runs every op by itself, whole and in candidates' calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../kernels/guard.h"
#include "../../support/naive_graph.h"

enum { GRAPHS = 1500 };

enum { GUARDED_BYTES = 1 << 20 };

static struct naive_graph graph;
static uint64_t dense_count[LP_DTYPE_COUNT]; /* layers by the kind of their weights */

/* Memory of the callers, from or up to a page that must not be touched. */
static struct guarded margins_at, scores_at, others_at, rows_at;

static int begin(void **state)
{
    (void)state;
    margins_at = guarded_new(GUARDED_BYTES);
    scores_at = guarded_new(GUARDED_BYTES);
    others_at = guarded_new(GUARDED_BYTES);
    rows_at = guarded_new(GUARDED_BYTES);
    return 0;
}

static int end(void **state)
{
    (void)state;
    guarded_free(&margins_at);
    guarded_free(&scores_at);
    guarded_free(&others_at);
    guarded_free(&rows_at);
    return 0;
}

/* Runs one graph; the steps times rows that both ways computed. */
static void run_one(uint64_t seed, bool items, uint64_t *ret_whole, uint64_t *ret_shared)
{
    struct naive_source in = {.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
    struct lp_plan *plan;
    struct lp_infer *infer;
    struct lp_error err;
    naive_graph_make(&in, &graph, items);
    for (uint32_t i = 0; i < graph.bundle.op_count; i++)
        if (graph.ops[i].kind == LP_OP_DENSE) dense_count[graph.ops[i].weight->dtype]++;
    if (lp_plan_new(&graph.bundle, &plan, &err) != LP_OK) fail_msg("seed %lu: %s", (unsigned long)seed, err.text);
    assert_int_equal(lp_infer_new(plan, graph.row_count, &infer, &err), LP_OK);
    size_t bytes = graph.row_count * graph.bundle.output_count * sizeof(float);
    size_t row_bytes = graph.row_count * graph.bundle.column_count * sizeof(double);
    int at_end = seed % 2 == 0;
    float *margins = guarded_place(&margins_at, bytes, at_end), *scores = guarded_place(&scores_at, bytes, at_end);
    float *others = guarded_place(&others_at, bytes, at_end);
    const double *rows = memcpy(guarded_place(&rows_at, row_bytes, at_end), graph.rows, row_bytes);
    lp_infer_run(infer, rows, graph.row_count, margins, scores);
    if (!naive_same(&graph, margins)) fail_msg("seed %lu:\n%s", (unsigned long)seed, lp_plan_table(plan));
    *ret_whole = lp_infer_step_rows(infer);
    lp_infer_run_candidates(infer, rows, rows, graph.row_count, others, scores);
    *ret_shared = lp_infer_step_rows(infer) - *ret_whole;
    if (items) assert_memory_equal(margins, others, bytes);
    lp_infer_free(infer);
    lp_plan_free(plan);
    naive_done(&graph);
}

static void plans_compute_what_the_ops_do_one_by_one(void **state)
{
    (void)state;
    uint64_t whole, shared;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) run_one(seed, false, &whole, &shared);
    assert_true(dense_count[LP_DTYPE_F32] > 0 && dense_count[LP_DTYPE_BF16] > 0 && dense_count[LP_DTYPE_I8] > 0);
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
    return cmocka_run_group_tests(tests, begin, end);
}
