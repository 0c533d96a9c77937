/*
 * Plans and inference on graphs small enough to work out by hand; whole networks are compared with numpy in
 * tests/golden.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "infer/infer.h"
#include "infer/plan.h"

enum { OPS_MAX = 16 };

static struct lp_error err;
static struct lp_op ops[OPS_MAX];
static uint32_t inputs[OPS_MAX];
static struct lp_tensor tensors[OPS_MAX * 2];
static struct lp_bundle bundle;
static struct lp_plan *plan;
static struct lp_infer *infer;

static int begin(void **state)
{
    (void)state;
    memset(ops, 0, sizeof ops);
    bundle = (struct lp_bundle){.ops = ops, .column_count = 2, .output_count = 2};
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

/* The value of that name. */
static const uint32_t *value_of(const char *name, uint32_t op)
{
    uint32_t *value = &inputs[op];
    *value = 0;
    for (uint32_t i = 0; i < op; i++)
        if (strcmp(ops[i].output, name) == 0) *value = i + 1;
    return value;
}

static struct lp_op *dense(const char *input, const char *output, uint32_t in, uint32_t out, const float *weight,
                           const float *bias)
{
    uint32_t i = bundle.op_count++;
    tensors[2 * i] =
        (struct lp_tensor){.name = "w", .dtype = LP_DTYPE_F32, .rank = 2, .count = (uint64_t)in * out, .data = weight};
    tensors[2 * i + 1] = (struct lp_tensor){.name = "b", .dtype = LP_DTYPE_F32, .rank = 1, .count = out, .data = bias};
    ops[i] = (struct lp_op){.kind = LP_OP_DENSE,
                            .input = input,
                            .output = output,
                            .input_count = 1,
                            .inputs = value_of(input, i),
                            .in = {1, {in}},
                            .shape = {1, {out}},
                            .weight = &tensors[2 * i],
                            .bias = bias != NULL ? &tensors[2 * i + 1] : NULL,
                            .in_width = in,
                            .out_width = out};
    return &ops[i];
}

static struct lp_op *activation(const char *input, const char *output, uint32_t width, enum lp_activation kind,
                                double alpha)
{
    uint32_t i = bundle.op_count++;
    ops[i] = (struct lp_op){.kind = LP_OP_ACTIVATION,
                            .input = input,
                            .output = output,
                            .input_count = 1,
                            .inputs = value_of(input, i),
                            .in = {1, {width}},
                            .shape = {1, {width}},
                            .activation = kind,
                            .alpha = alpha,
                            .in_width = width,
                            .out_width = width};
    return &ops[i];
}

static void make(uint32_t rows_max)
{
    if (lp_plan_new(&bundle, &plan, &err) != LP_OK) fail_msg("%s", err.text);
    assert_int_equal(lp_infer_new(plan, rows_max, &infer, &err), LP_OK);
}

static const float identity[] = {1, 0, 0, 1}, swap[] = {0, 1, 1, 0}, twice[] = {2, 0, 0, 2};
static const float minus_one_plus_one[] = {-1, 1};

static void a_chain_of_layers_passes_its_values_on(void **state)
{
    (void)state;
    dense("features", "a", 2, 2, twice, minus_one_plus_one)->activation = LP_ACTIVATION_RELU;
    dense("a", "b", 2, 2, swap, NULL);
    dense("b", "c", 2, 2, twice, NULL);
    dense("c", "margin", 2, 2, identity, minus_one_plus_one);
    make(1);
    assert_int_equal(plan->step_count, 4);
    float margins[2], scores[2];
    lp_infer_run(infer, (const double[]){0.25, 3}, 1, margins, scores); /* relu(-0.5, 7) = (0, 7), swapped, doubled */
    assert_true(margins[0] == 13.0f && margins[1] == 1.0f && scores[0] == 13.0f && scores[1] == 1.0f);
}

static void an_activation_joins_the_layer_before_it(void **state)
{
    (void)state;
    dense("features", "a", 2, 2, identity, NULL);
    activation("a", "b", 2, LP_ACTIVATION_RELU, 0);
    activation("b", "c", 2, LP_ACTIVATION_LEAKY_RELU, 0.5);
    dense("c", "d", 2, 2, identity, minus_one_plus_one);
    activation("d", "margin", 2, LP_ACTIVATION_LEAKY_RELU, 0.5);
    make(4);
    assert_int_equal(plan->step_count, 3); /* dense + relu, leaky in place, dense + leaky */
    float scores[2];
    lp_infer_run(infer, (const double[]){-5, 3}, 1, NULL, scores);
    assert_true(scores[0] == -0.5f && scores[1] == 4.0f);
    assert_non_null(strstr(lp_plan_describe(plan), "dense w 2x2"));
    assert_non_null(strstr(lp_plan_describe(plan), "relu fused"));
}

static void ops_that_do_not_lead_to_the_margin_are_dropped(void **state)
{
    (void)state;
    /* "a" is read by an activation first and then by the layer that counts. */
    dense("features", "a", 2, 2, twice, NULL);
    activation("a", "unused", 2, LP_ACTIVATION_RELU, 0);
    dense("unused", "also unused", 2, 2, twice, NULL);
    dense("a", "margin", 2, 2, identity, NULL);
    make(4);
    assert_int_equal(plan->step_count, 2);
    float scores[2];
    lp_infer_run(infer, (const double[]){-5, 3}, 1, NULL, scores);
    assert_true(scores[0] == -10.0f && scores[1] == 6.0f);
}

static void an_activation_alone_works_on_the_features(void **state)
{
    (void)state;
    activation("features", "margin", 2, LP_ACTIVATION_RELU, 0);
    make(4);
    float scores[4];
    lp_infer_run(infer, (const double[]){-1, 2, 3, -4}, 2, NULL, scores);
    assert_memory_equal(scores, ((const float[]){0, 2, 3, 0}), sizeof scores);
}

static void links_are_sigmoid_and_softmax(void **state)
{
    (void)state;
    dense("features", "margin", 2, 2, identity, NULL);
    bundle.link = LP_LINK_SIGMOID;
    make(4);
    float margins[2], scores[2];
    lp_infer_run(infer, (const double[]){0, 2}, 1, margins, scores);
    assert_true(scores[0] == 0.5f && fabs((double)scores[1] - 0.880797077977882) < 1e-7 && margins[1] == 2.0f);
    bundle.link = LP_LINK_SOFTMAX;
    lp_infer_run(infer, (const double[]){1000, 1002}, 1, margins, scores);
    assert_true(fabs((double)scores[0] - 0.119202922022118) < 1e-7 &&
                fabs((double)scores[1] - 0.880797077977882) < 1e-7);
    assert_true(margins[0] == 1000.0f);
}

static void rows_past_a_chunk_give_the_same_bits_as_alone(void **state)
{
    (void)state;
    enum { WIDE = 700, ROWS = 301 };
    static float first[2 * WIDE], last[WIDE * 2], together[ROWS * 2], alone[2];
    static double rows[ROWS * 2];
    for (int i = 0; i < 2 * WIDE; i++) first[i] = (float)(i % 13 - 6) * 0.17f;
    for (int i = 0; i < WIDE * 2; i++) last[i] = (float)(i % 7 - 3) * 0.11f;
    for (int i = 0; i < ROWS * 2; i++) rows[i] = (i % 31 - 15) * 0.3;
    dense("features", "a", 2, WIDE, first, NULL)->activation = LP_ACTIVATION_RELU;
    dense("a", "margin", WIDE, 2, last, NULL);
    make(ROWS);
    assert_true(lp_plan_chunk_rows(plan, ROWS) < ROWS);
    lp_infer_run(infer, rows, ROWS, NULL, together);
    const char *best = plan->steps[0].dense.kernel->name;
    for (int r = 0; r < ROWS; r++) {
        lp_infer_run(infer, rows + r * 2, 1, NULL, alone);
        if (strcmp(best, "openblas") == 0) assert_true(fabsf(alone[0] - together[r * 2]) < 1e-4f);
        else assert_memory_equal(alone, together + r * 2, sizeof alone);
    }
}

static void nan_stays_in_its_row(void **state)
{
    (void)state;
    dense("features", "a", 2, 2, twice, minus_one_plus_one)->activation = LP_ACTIVATION_RELU;
    dense("a", "margin", 2, 2, identity, NULL);
    make(4);
    float scores[6];
    lp_infer_run(infer, (const double[]){1, 1, NAN, 1, 1, 1}, 3, NULL, scores);
    assert_true(scores[0] == 1.0f && scores[1] == 3.0f && scores[4] == 1.0f && scores[5] == 3.0f);
    assert_true(isnan(scores[2]) && isnan(scores[3]));
}

static void a_double_beyond_float_becomes_infinite_not_wrong(void **state)
{
    (void)state;
    dense("features", "margin", 2, 2, identity, NULL);
    make(4);
    float scores[2];
    lp_infer_run(infer, (const double[]){1e300, 16777217.0}, 1, NULL, scores);
    assert_true(!isfinite(scores[0]));
    /* Rounded to float once: 2^24 + 1 is not a float. inf * 0 in the sum makes the neighbour NaN with a full matrix. */
    lp_infer_run(infer, (const double[]){0, 16777217.0}, 1, NULL, scores);
    assert_true(scores[1] == 16777216.0f);
}

#if defined(__x86_64__)
static void denormals_are_flushed_inside_and_the_mode_is_restored(void **state)
{
    (void)state;
    dense("features", "margin", 2, 2, identity, NULL);
    make(4);
    float scores[2];
    uint32_t before = _mm_getcsr();
    lp_infer_run(infer, (const double[]){1e-40, 1}, 1, NULL, scores);
    assert_true(scores[0] == 0.0f && scores[1] == 1.0f);
    assert_int_equal(_mm_getcsr() & ~0x3Fu, before & ~0x3Fu);
    volatile float denormal = FLT_TRUE_MIN;
    assert_true(denormal * 1.0f > 0.0f);
}
#endif

static enum lp_code plan_fails(void)
{
    struct lp_plan *none = NULL;
    enum lp_code rc = lp_plan_new(&bundle, &none, &err);
    assert_null(none);
    return rc;
}

static void graphs_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    assert_int_equal(plan_fails(), LP_E_MISMATCH); /* no ops */
    dense("features", "margin", 2, 2, identity, NULL);
    bundle.output_count = 3;
    assert_int_equal(plan_fails(), LP_E_MISMATCH);
    bundle.output_count = 2;
    bundle.column_count = 3;
    assert_int_equal(plan_fails(), LP_E_MISMATCH);
    bundle.column_count = 2;
    inputs[0] = 1; /* itself */
    assert_int_equal(plan_fails(), LP_E_MISMATCH);
    inputs[0] = 0;
    tensors[0].count = 3;
    assert_int_equal(plan_fails(), LP_E_MISMATCH);
    tensors[0].count = 4;
    tensors[0].dtype = LP_DTYPE_F64;
    assert_int_equal(plan_fails(), LP_E_MISMATCH);
    tensors[0].dtype = LP_DTYPE_F32;
    activation("margin", "wider", 2, LP_ACTIVATION_RELU, 0)->out_width = 3;
    ops[1].shape.dims[0] = bundle.output_count = 3;
    assert_int_equal(plan_fails(), LP_E_MISMATCH);
    ops[1].out_width = ops[1].shape.dims[0] = bundle.output_count = 2;
    ops[1].activation = (enum lp_activation)99;
    assert_int_equal(plan_fails(), LP_E_UNSUPPORTED);
}

static void no_rows_and_no_room_are_handled(void **state)
{
    (void)state;
    dense("features", "margin", 2, 2, identity, NULL);
    make(4);
    float untouched = 7.0f;
    lp_infer_run(infer, NULL, 0, NULL, &untouched);
    assert_true(untouched == 7.0f);
    struct lp_infer *none = NULL;
    assert_int_equal(lp_infer_new(plan, 0, &none, &err), LP_E_INVALID);
    assert_null(none);
}

static void this_openblas_is_the_pthread_build(void **state)
{
    (void)state;
    assert_int_equal(lp_infer_setup(&err), LP_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chain_of_layers_passes_its_values_on),
        TEST(an_activation_joins_the_layer_before_it),
        TEST(ops_that_do_not_lead_to_the_margin_are_dropped),
        TEST(an_activation_alone_works_on_the_features),
        TEST(links_are_sigmoid_and_softmax),
        TEST(rows_past_a_chunk_give_the_same_bits_as_alone),
        TEST(nan_stays_in_its_row),
        TEST(a_double_beyond_float_becomes_infinite_not_wrong),
#if defined(__x86_64__)
        TEST(denormals_are_flushed_inside_and_the_mode_is_restored),
#endif
        TEST(graphs_that_do_not_fit_are_refused),
        TEST(no_rows_and_no_room_are_handled),
        cmocka_unit_test(this_openblas_is_the_pthread_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
