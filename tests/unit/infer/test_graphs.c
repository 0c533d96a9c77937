/* Random graphs: plans against an interpreter that runs every op by itself, whole and in candidates' calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "../../support/naive_graph.h"

enum { GRAPHS = 1500 };

enum { GUARDED_BYTES = 1 << 20 };

static struct naive_graph graph;

/* Memory of the callers, each up to a page that must not be touched. */
struct guarded {
    unsigned char *end;
};
static struct guarded margins_at, scores_at, others_at, rows_at;

static struct guarded guard(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *at = mmap(NULL, GUARDED_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED);
    assert_int_equal(mprotect(at + GUARDED_BYTES, page, PROT_NONE), 0);
    return (struct guarded){at + GUARDED_BYTES};
}

static void *last(struct guarded guarded, size_t bytes)
{
    assert_true(bytes <= GUARDED_BYTES);
    return guarded.end - bytes;
}

static int begin(void **state)
{
    (void)state;
    margins_at = guard();
    scores_at = guard();
    others_at = guard();
    rows_at = guard();
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
    if (lp_plan_new(&graph.bundle, &plan, &err) != LP_OK) fail_msg("seed %lu: %s", (unsigned long)seed, err.text);
    assert_int_equal(lp_infer_new(plan, graph.row_count, &infer, &err), LP_OK);
    size_t bytes = graph.row_count * graph.bundle.output_count * sizeof(float);
    size_t row_bytes = graph.row_count * graph.bundle.column_count * sizeof(double);
    float *margins = last(margins_at, bytes), *scores = last(scores_at, bytes), *others = last(others_at, bytes);
    const double *rows = memcpy(last(rows_at, row_bytes), graph.rows, row_bytes);
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
    return cmocka_run_group_tests(tests, begin, NULL);
}
