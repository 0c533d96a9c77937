/* What a plan makes of a graph, and the rules of single steps, on graphs small enough to work out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/infer.h"
#include "infer/plan.h"

enum { OPS_MAX = 16, INPUTS_MAX = 3, COLUMNS_MAX = 64 };

static struct lp_error err;
static struct lp_op ops[OPS_MAX];
static uint32_t inputs[OPS_MAX][INPUTS_MAX];
static struct lp_feature features[COLUMNS_MAX];
static struct lp_bundle bundle;
static struct lp_plan *plan;
static struct lp_infer *infer;

static int begin(void **state)
{
    (void)state;
    memset(ops, 0, sizeof ops);
    memset(inputs, 0, sizeof inputs);
    bundle = (struct lp_bundle){.ops = ops, .features = features};
    plan = NULL;
    infer = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    lp_infer_free(infer);
    lp_plan_free(plan);
    return 0;
}

/* `columns` features of a record, from `items` on of candidates. */
static void columns(uint32_t count, uint32_t items)
{
    assert_true(count <= COLUMNS_MAX);
    bundle.column_count = bundle.feature_count = count;
    for (uint32_t i = 0; i < count; i++)
        features[i] = (struct lp_feature){
            .name = "f", .from = i >= items ? "items[].f" : "f", .width = 1, .column = i, .column_count = 1};
}

/* An op on values a, b, c (as many as are at least 0); shape as given. */
static struct lp_op *add(enum lp_op_kind kind, int a, int b, int c, struct lp_shape shape)
{
    uint32_t i = bundle.op_count++;
    const int from[INPUTS_MAX] = {a, b, c};
    struct lp_op *op = &ops[i];
    *op = (struct lp_op){.kind = kind, .output = "value", .input = "input", .inputs = inputs[i], .shape = shape};
    for (uint32_t k = 0; k < INPUTS_MAX && from[k] >= 0; k++) inputs[i][op->input_count++] = (uint32_t)from[k];
    op->in = a > 0 ? ops[a - 1].shape : (struct lp_shape){1, {bundle.column_count}};
    op->in_width = (uint32_t)lp_shape_count(&op->in);
    op->out_width = (uint32_t)lp_shape_count(&op->shape);
    op->padding_index = -1;
    op->work = op->out_width;
    bundle.output_count = op->out_width;
    return op;
}

static struct lp_op *dense(int input, const struct lp_tensor *weight, uint32_t out)
{
    struct lp_op *op = add(LP_OP_DENSE, input, -1, -1, (struct lp_shape){1, {out}});
    op->weight = weight;
    op->work = weight->count;
    return op;
}

static struct lp_op *activation(int input, enum lp_activation kind)
{
    struct lp_shape shape = input > 0 ? ops[input - 1].shape : (struct lp_shape){1, {bundle.column_count}};
    struct lp_op *op = add(LP_OP_ACTIVATION, input, -1, -1, shape);
    op->activation = kind;
    return op;
}

static struct lp_op *slice(int input, uint32_t start, uint32_t count)
{
    struct lp_op *op = add(LP_OP_SLICE, input, -1, -1, (struct lp_shape){1, {count}});
    op->start = start;
    op->end = start + count;
    op->step = 1;
    return op;
}

static void make(uint32_t rows)
{
    if (lp_plan_new(&bundle, &plan, &err) != LP_OK) fail_msg("%s", err.text);
    assert_int_equal(lp_infer_new(plan, rows, &infer, &err), LP_OK);
}

static float ones[64 * 64];
static const struct lp_tensor square = {
    .name = "s", .dtype = LP_DTYPE_F32, .rank = 2, .dims = {64, 64}, .count = 4096, .data = ones};
static const struct lp_tensor two_by_two = {
    .name = "w", .dtype = LP_DTYPE_F32, .rank = 2, .dims = {2, 2}, .count = 4, .data = (const float[]){1, 2, 3, 4}};

static void values_share_the_arena_once_they_are_read(void **state)
{
    (void)state;
    columns(64, 64);
    for (int i = 0; i < 10; i++) dense(i, &square, 64)->activation = LP_ACTIVATION_TANH;
    make(4);
    assert_int_equal(plan->step_count, 10);
    assert_int_equal(plan->row_floats, 128); /* two at a time */
    assert_int_equal(plan->unshared_floats, 11 * 64);
}

static void a_residual_is_not_overwritten(void **state)
{
    (void)state;
    columns(2, 2);
    dense(0, &two_by_two, 2);                            /* v1 */
    activation(1, LP_ACTIVATION_NEG);                    /* v2: v1 is read again */
    add(LP_OP_ADD, 2, 1, -1, (struct lp_shape){1, {2}}); /* v3 = 0 */
    add(LP_OP_ADD, 3, 1, -1, (struct lp_shape){1, {2}}); /* v4 = v1 */
    make(4);
    assert_int_equal(plan->step_count, 4);
    float scores[4];
    lp_infer_run(infer, (const double[]){1, 10, 2, 20}, 2, NULL, scores);
    assert_memory_equal(scores, ((const float[]){31, 42, 62, 84}), sizeof scores);
}

static void views_take_no_step_and_parts_are_written_in_place(void **state)
{
    (void)state;
    columns(4, 4);
    slice(0, 0, 2);
    slice(0, 2, 2);
    dense(1, &two_by_two, 2);                                    /* v3 */
    add(LP_OP_RESHAPE, 3, -1, -1, (struct lp_shape){2, {2, 1}}); /* v4 */
    add(LP_OP_TRANSPOSE, 4, -1, -1, (struct lp_shape){2, {1, 2}})->perm[0] = 1;
    add(LP_OP_RESHAPE, 5, -1, -1, (struct lp_shape){1, {2}});  /* v6: v3 */
    dense(2, &two_by_two, 2)->activation = LP_ACTIVATION_RELU; /* v7 */
    add(LP_OP_CONCAT, 6, 7, 1, (struct lp_shape){1, {6}});     /* v8: v3, v7, the first two columns */
    make(4);
    /* Two layers, and a concatenation that copies the columns only. */
    assert_int_equal(plan->step_count, 3);
    assert_int_equal(plan->steps[0].output.column, 0);
    assert_int_equal(plan->steps[1].output.column, 2);
    assert_int_equal(plan->steps[0].output.offset, plan->steps[1].output.offset);
    float scores[6];
    lp_infer_run(infer, (const double[]){1, 1, -1, 0.5}, 1, NULL, scores);
    assert_memory_equal(scores, ((const float[]){4, 6, 0.5f, 0, 1, 1}), sizeof scores);
}

static void the_same_part_twice_is_copied_once(void **state)
{
    (void)state;
    columns(2, 2);
    dense(0, &two_by_two, 2);
    add(LP_OP_CONCAT, 1, 1, -1, (struct lp_shape){1, {4}});
    make(2);
    float scores[4];
    lp_infer_run(infer, (const double[]){1, 0}, 1, NULL, scores);
    assert_memory_equal(scores, ((const float[]){1, 2, 1, 2}), sizeof scores);
}

static void a_graph_of_views_gives_the_row(void **state)
{
    (void)state;
    columns(3, 3);
    slice(0, 1, 2);
    make(2);
    assert_int_equal(plan->step_count, 0);
    float scores[4];
    lp_infer_run(infer, (const double[]){1, 2, 3, 4, 5, 6}, 2, NULL, scores);
    assert_memory_equal(scores, ((const float[]){2, 3, 5, 6}), sizeof scores);
}

static struct lp_tensor table(uint64_t rows, uint64_t width, const void *data, enum lp_dtype dtype)
{
    return (struct lp_tensor){
        .name = "t", .dtype = dtype, .rank = 2, .dims = {rows, width}, .count = rows * width, .data = data};
}

static void bad_ids_are_nan_in_their_row_alone(void **state)
{
    (void)state;
    static const float values[] = {0, 10, 1, 11, 2, 12};
    const struct lp_tensor rows = table(3, 2, values, LP_DTYPE_F32);
    const double ids[] = {2, -1, 1, 0.5, 0, 3, 1, NAN, 2, 1e300, 0};
    enum { COUNT = sizeof ids / sizeof *ids };
    float scores[COUNT * 2];
    columns(1, 1);
    add(LP_OP_EMBEDDING, 0, -1, -1, (struct lp_shape){2, {1, 2}})->weight = &rows;
    make(COUNT);
    lp_infer_run(infer, ids, COUNT, NULL, scores);
    for (int i = 0; i < COUNT; i++) {
        bool good = i % 2 == 0;
        assert_true(good ? scores[2 * i] == (float)ids[i] && scores[2 * i + 1] == (float)ids[i] + 10
                         : isnan(scores[2 * i]) && isnan(scores[2 * i + 1]));
    }
}

static void ids_of_the_row_are_exact_above_2_to_the_24(void **state)
{
    (void)state;
    enum { ROWS = (1 << 24) + 4 };
    int8_t *values = calloc(ROWS, 1);
    float *scales = malloc(ROWS * sizeof *scales);
    assert_non_null(values);
    assert_non_null(scales);
    for (size_t i = 0; i < ROWS; i++) scales[i] = 1;
    for (int i = 0; i < 4; i++) values[(1 << 24) + i] = (int8_t)(i + 1);
    const struct lp_tensor rows = table(ROWS, 1, values, LP_DTYPE_I8);
    const struct lp_tensor scale = {.dtype = LP_DTYPE_F32, .rank = 1, .dims = {ROWS}, .count = ROWS, .data = scales};
    columns(2, 2);
    slice(0, 1, 1);
    struct lp_op *op = add(LP_OP_EMBEDDING, 1, -1, -1, (struct lp_shape){2, {1, 1}});
    op->weight = &rows;
    op->scale = &scale;
    make(4);
    float scores[4];
    lp_infer_run(infer, (const double[]){0, 16777216, 0, 16777217, 0, 16777218, 0, 16777219}, 4, NULL, scores);
    assert_memory_equal(scores, ((const float[]){1, 2, 3, 4}), sizeof scores);
    free(values);
    free(scales);
}

static void keys_that_are_no_floats_are_met_by_the_rows_doubles(void **state)
{
    (void)state;
    const struct lp_tensor keys = {
        .dtype = LP_DTYPE_F64, .rank = 1, .dims = {2}, .count = 2, .data = (const double[]){16777217, -3}};
    const struct lp_tensor values = {
        .dtype = LP_DTYPE_F32, .rank = 1, .dims = {2}, .count = 2, .data = (const float[]){5, 6}};
    columns(1, 1);
    struct lp_op *op = add(LP_OP_MAP, 0, -1, -1, (struct lp_shape){1, {1}});
    op->keys = &keys;
    op->constant = &values;
    op->filler = 9;
    make(4);
    float scores[4];
    lp_infer_run(infer, (const double[]){16777216, 16777217, -3, NAN}, 4, NULL, scores);
    assert_memory_equal(scores, ((const float[]){9, 5, 6, 9}), sizeof scores);
}

/* x < 0.5: 1, else 2; missing: 2. */
static const struct lp_trees *stump(void)
{
    static const int32_t column[] = {0, LP_TREES_LEAF, LP_TREES_LEAF};
    static const double threshold[] = {0.5, 0, 0}, leaves[] = {1, 2};
    static const uint32_t left[] = {1, 0, 0}, right[] = {2, 0, 0}, index[] = {0, 0, 1}, root[] = {0}, output[] = {0};
    static const uint8_t flags[] = {LP_TREES_MISSING_NAN, 0, 0};
    static const struct lp_trees trees = {.compare = LP_TREES_XGBOOST,
                                          .column_count = 1,
                                          .output_count = 1,
                                          .tree_count = 1,
                                          .root = root,
                                          .output = output,
                                          .node_count = 3,
                                          .column = column,
                                          .threshold = threshold,
                                          .left = left,
                                          .right = right,
                                          .flags = flags,
                                          .index = index,
                                          .leaf_count = 2,
                                          .leaf_width = 1,
                                          .leaf_value = leaves,
                                          .divisor = 1};
    return &trees;
}

static void trees_work_beside_other_ops(void **state)
{
    (void)state;
    columns(2, 2);
    slice(0, 1, 1);                                                          /* v1: the row's doubles */
    add(LP_OP_TREES, 1, -1, -1, (struct lp_shape){1, {1}})->trees = stump(); /* v2 */
    slice(0, 0, 1);
    activation(3, LP_ACTIVATION_NEG);
    add(LP_OP_TREES, 4, -1, -1, (struct lp_shape){1, {1}})->trees = stump(); /* v5: of computed floats */
    add(LP_OP_CONCAT, 2, 5, 4, (struct lp_shape){1, {3}});
    make(3);
    float scores[9];
    lp_infer_run(infer, (const double[]){0, 0.4, -1, NAN, 1, 0.6}, 3, NULL, scores);
    assert_memory_equal(scores, ((const float[]){1, 1, -0.0f, 2, 2, 1, 2, 1, -1}), sizeof scores);
}

static void denormals_decide_outside_of_layers(void **state)
{
    (void)state;
    columns(1, 1);
    activation(0, LP_ACTIVATION_SIGN);
    activation(0, LP_ACTIVATION_LOG);
    activation(0, LP_ACTIVATION_CEIL);
    add(LP_OP_CONCAT, 1, 2, 3, (struct lp_shape){1, {3}});
    make(1);
    float scores[3];
    lp_infer_run(infer, (const double[]){1e-40}, 1, NULL, scores);
    assert_true(scores[0] == 1 && fabs((double)scores[1] + 92.1034037) < 1e-4 && scores[2] == 1);
}

/* A record's tower of two columns, a candidate's of two, and what joins them. */
static void two_towers(void)
{
    columns(4, 2);
    slice(0, 0, 2);                                            /* v1: record */
    slice(0, 2, 2);                                            /* v2: item */
    dense(1, &two_by_two, 2)->activation = LP_ACTIVATION_TANH; /* v3: record */
    dense(3, &two_by_two, 2);                                  /* v4: record, crosses */
    dense(2, &two_by_two, 2);                                  /* v5: item */
    add(LP_OP_CONCAT, 4, 5, 1, (struct lp_shape){1, {6}});     /* v6: both */
    add(LP_OP_ADD, 4, 5, -1, (struct lp_shape){1, {2}});       /* v7: both */
    add(LP_OP_CONCAT, 6, 7, -1, (struct lp_shape){1, {8}});
}

static void a_records_steps_are_computed_once_for_its_candidates(void **state)
{
    (void)state;
    enum { ITEMS = 300 }; /* more than a chunk */
    static double items[ITEMS * 4], whole[ITEMS * 4];
    static float want[ITEMS * 8], got[ITEMS * 8], want_scores[ITEMS * 8], scores[ITEMS * 8];
    const double record[] = {0.3, -0.7, NAN, NAN}; /* a candidate's columns are not read of it */
    for (int i = 0; i < ITEMS; i++) {
        items[4 * i] = items[4 * i + 1] = NAN;
        items[4 * i + 2] = i * 0.01;
        items[4 * i + 3] = 1 - i * 0.02;
        memcpy(whole + 4 * i, record, 2 * sizeof *record);
        memcpy(whole + 4 * i + 2, items + 4 * i + 2, 2 * sizeof *items);
    }
    two_towers();
    make(ITEMS);
    assert_true(lp_plan_chunk_rows(plan, ITEMS) < ITEMS);
    lp_infer_run(infer, whole, ITEMS, want, want_scores);
    uint64_t of_all = lp_infer_step_rows(infer);
    lp_infer_run_candidates(infer, record, items, ITEMS, got, scores);
    uint64_t of_candidates = lp_infer_step_rows(infer) - of_all;
    assert_memory_equal(got, want, sizeof want);
    assert_memory_equal(scores, want_scores, sizeof scores);
    assert_int_equal(plan->record_step_count, 2);
    assert_int_equal(of_all, (uint64_t)ITEMS * plan->step_count);
    assert_int_equal(of_all - of_candidates, 2 * (ITEMS - 1));
    assert_non_null(strstr(lp_plan_table(plan), "2 of 5 steps are computed once a record"));
    assert_non_null(strstr(lp_plan_table(plan), " item "));
}

static void candidates_of_a_model_without_item_features_score_alike(void **state)
{
    (void)state;
    columns(2, 2);
    dense(0, &two_by_two, 2);
    make(2);
    float margins[6], scores[6];
    lp_infer_run_candidates(infer, (const double[]){1, 1}, NULL, 3, margins, scores);
    assert_memory_equal(scores, ((const float[]){4, 6, 4, 6, 4, 6}), sizeof scores);
    assert_memory_equal(margins, scores, sizeof scores);
    assert_int_equal(lp_infer_step_rows(infer), 1);
    lp_infer_run_candidates(infer, (const double[]){1, 1}, NULL, 0, margins, scores);
    assert_int_equal(lp_infer_step_rows(infer), 1);
}

static void an_ensemble_alone_scores_each_candidate(void **state)
{
    (void)state;
    enum { ITEMS = 70000 }; /* more than a chunk */
    static double items[ITEMS];
    static float margins[ITEMS], scores[ITEMS];
    const double record = NAN;
    for (uint32_t i = 0; i < ITEMS; i++) items[i] = i % 3 == 0;
    columns(1, 0);
    add(LP_OP_TREES, 0, -1, -1, (struct lp_shape){1, {1}})->trees = stump();
    make(ITEMS);
    lp_infer_run_candidates(infer, &record, items, ITEMS, margins, scores);
    for (uint32_t i = 0; i < ITEMS; i++) assert_true(scores[i] == (i % 3 == 0 ? 2.0f : 1.0f));
    assert_memory_equal(margins, scores, sizeof scores);
    lp_infer_run_candidates(infer, &record, items, 3, NULL, scores);
    assert_memory_equal(scores, ((const float[]){2, 1, 1}), 3 * sizeof *scores);
}

static void steps_are_told_to_benches(void **state)
{
    (void)state;
    struct lp_plan_step_info info;
    double ns[2] = {-1, -1};
    columns(2, 2);
    dense(0, &two_by_two, 2);
    activation(1, LP_ACTIVATION_SQRT);
    make(2);
    assert_int_equal(lp_plan_step_count(plan), 2);
    lp_plan_step(plan, 0, &info);
    assert_string_equal(info.op, "dense");
    assert_string_equal(info.name, "w");
    assert_true(info.multiplies && info.flops == 8 && info.weight_bytes > 0);
    lp_infer_time(infer, (const double[]){1, 1, 2, 2}, 2, ns);
    assert_true(ns[0] >= 0 && ns[1] >= 0);
}

static void lifetimes_that_overlap_never_share_a_place(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    struct lp_plan_root roots[COUNT];
    uint64_t seed = 7;
    for (int i = 0; i < COUNT; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t first = (uint32_t)(seed >> 40) % 50;
        roots[i] = (struct lp_plan_root){
            .width = 1 + (uint32_t)(seed >> 33) % 100, .first = first, .last = first + (uint32_t)(seed >> 50) % 8};
    }
    size_t total = lp_arena_place(roots, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(roots[i].offset % LP_PLAN_ALIGN_FLOATS, 0);
        assert_true(roots[i].offset + roots[i].width <= total);
        for (int j = 0; j < i; j++) {
            bool together = roots[i].first <= roots[j].last && roots[j].first <= roots[i].last;
            bool apart = roots[i].offset + roots[i].width <= roots[j].offset ||
                         roots[j].offset + roots[j].width <= roots[i].offset;
            assert_true(!together || apart);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_share_the_arena_once_they_are_read),
        TEST(a_residual_is_not_overwritten),
        TEST(views_take_no_step_and_parts_are_written_in_place),
        TEST(the_same_part_twice_is_copied_once),
        TEST(a_graph_of_views_gives_the_row),
        TEST(bad_ids_are_nan_in_their_row_alone),
        TEST(ids_of_the_row_are_exact_above_2_to_the_24),
        TEST(keys_that_are_no_floats_are_met_by_the_rows_doubles),
        TEST(trees_work_beside_other_ops),
        TEST(an_ensemble_alone_scores_each_candidate),
        TEST(denormals_decide_outside_of_layers),
        TEST(a_records_steps_are_computed_once_for_its_candidates),
        TEST(candidates_of_a_model_without_item_features_score_alike),
        TEST(steps_are_told_to_benches),
        TEST(lifetimes_that_overlap_never_share_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
