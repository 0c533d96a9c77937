/* Measures by hand, and which variant is picked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "optimize/optimize.h"

static struct lp_bundle binary(void)
{
    return (struct lp_bundle){
        .task = LP_TASK_BINARY, .output_count = 1, .link = LP_LINK_SIGMOID, .link_scale = 1, .threshold = 0.5};
}

static void ties_count_half_and_the_threshold_says_one(void **state)
{
    (void)state;
    const struct lp_bundle bundle = binary();
    const float scores[] = {0.25f, 0.5f, 0.5f, 0.75f};
    const double y[] = {0, 0, 1, 1};
    struct lp_judged j;
    struct lp_error err;
    assert_int_equal(lp_judge(&bundle, scores, &(struct lp_truth){.y = y, .rows = 4}, &j, &err), LP_OK);
    assert_float_equal(j.quality.auc, 0.875, 1e-15); /* 3 of 4 pairs, and half of one */
    assert_float_equal(j.quality.accuracy, 0.75, 1e-15);
    assert_float_equal(j.quality.loss, -(2 * log(0.75) + 2 * log(0.5)) / 4, 1e-15);
    lp_judged_done(&j);
}

static void a_regression_is_judged_by_its_root_mean_square(void **state)
{
    (void)state;
    const struct lp_bundle bundle = {.task = LP_TASK_REGRESSION, .output_count = 1};
    const float scores[] = {1, 2, 3};
    const double y[] = {1, 4, 3};
    struct lp_judged j;
    struct lp_error err;
    assert_int_equal(lp_judge(&bundle, scores, &(struct lp_truth){.y = y, .rows = 3}, &j, &err), LP_OK);
    assert_float_equal(j.quality.loss, sqrt(4.0 / 3), 1e-15);
    assert_true(isnan(j.quality.auc) && isnan(j.quality.accuracy));
    lp_judged_done(&j);
}

static void a_score_that_is_no_number_is_an_error(void **state)
{
    (void)state;
    const struct lp_bundle bundle = binary();
    const float scores[] = {0.5f, NAN};
    const double y[] = {0, 1};
    struct lp_judged j;
    struct lp_error err;
    assert_int_equal(lp_judge(&bundle, scores, &(struct lp_truth){.y = y, .rows = 2}, &j, &err), LP_E_INVALID);
    assert_non_null(strstr(err.text, "row 2"));
}

/* The same rows are in both arms: a shift that is equal everywhere has no width, though the loss itself varies. */
static void intervals_are_of_paired_rows(void **state)
{
    (void)state;
    enum { ROWS = 400 };
    const struct lp_bundle bundle = {.task = LP_TASK_REGRESSION, .output_count = 1};
    float scores[ROWS];
    double y[ROWS] = {0};
    const struct lp_truth truth = {.y = y, .rows = ROWS};
    struct lp_judged judged[3];
    struct lp_differences d[3];
    struct lp_error err;
    for (int i = 0; i < ROWS; i++) scores[i] = (float)(i % 7);
    assert_int_equal(lp_judge(&bundle, scores, &truth, &judged[0], &err), LP_OK);
    assert_int_equal(lp_judge(&bundle, scores, &truth, &judged[1], &err), LP_OK);
    for (int i = 0; i < ROWS; i++) scores[i] *= 2;
    assert_int_equal(lp_judge(&bundle, scores, &truth, &judged[2], &err), LP_OK);
    assert_int_equal(lp_judge_differences(judged, 3, &truth, true, d, &err), LP_OK);
    assert_true(d[1].loss.difference == 0 && d[1].loss.low == 0 && d[1].loss.high == 0);
    assert_float_equal(d[2].loss.difference, judged[0].quality.loss, 1e-12); /* twice as far off */
    assert_true(d[2].loss.low < d[2].loss.difference && d[2].loss.difference < d[2].loss.high);
    assert_true(d[2].loss.high - d[2].loss.low < 0.5);
    for (int i = 0; i < 3; i++) lp_judged_done(&judged[i]);
}

static void pairs_are_of_one_group_and_ties_count_half(void **state)
{
    (void)state;
    const struct lp_bundle bundle = {.task = LP_TASK_RANKING, .output_count = 1};
    const float scores[] = {2, 1, 3, 5, 5, 9};
    const double y[] = {1, 0, 0, 1, 0, 1};
    const uint32_t group[] = {0, 0, 0, 1, 1, 2}; /* the last has no row of label 0: it is in no pair */
    const struct lp_truth truth = {y, group, 6, 3};
    struct lp_judged j;
    struct lp_error err;
    assert_int_equal(lp_judge(&bundle, scores, &truth, &j, &err), LP_OK);
    double first = (log(1 + exp(-1)) + log(1 + exp(1))) / 2;
    assert_float_equal(j.quality.loss, (first + log(2)) / 2, 1e-12);
    assert_float_equal(j.quality.auc, (1 + 0.5) / 3, 1e-12);
    assert_true(isnan(j.quality.accuracy));
    struct lp_judged both[] = {j, j};
    struct lp_differences d[2];
    assert_int_equal(lp_judge_differences(both, 2, &truth, false, d, &err), LP_OK);
    assert_true(d[1].loss.low == 0 && d[1].loss.high == 0 && d[1].auc.difference == 0);
    lp_judged_done(&j);
}

static struct lp_variant point(double loss, double high, double ns, double p99_ns, bool candidate)
{
    return (struct lp_variant){.judged = {.quality = {.loss = loss}},
                               .differences = {.loss = {loss - 0.5, 0, high}},
                               .speed = {ns, p99_ns},
                               .candidate = candidate};
}

static void the_pick_keeps_to_all_limits(void **state)
{
    (void)state;
    static struct lp_optimized o;
    o.variant_count = 4;
    o.variants[0] = point(0.5, 0, 100, 9000, true);
    o.variants[1] = point(0.501, 0.002, 60, 5000, true);
    o.variants[2] = point(0.51, 0.02, 30, 3000, true);
    o.variants[3] = point(0.4, -0.1, 1, 1, false);
    struct lp_limits limits = {0.002, NAN, NAN, 0};
    assert_ptr_equal(lp_optimize_pick(&o, &limits), &o.variants[1]); /* the fastest that loses no more */
    limits.loss_increase = 0.0019;                                   /* the interval's end counts, not its middle */
    assert_ptr_equal(lp_optimize_pick(&o, &limits), &o.variants[0]);
    limits.p99_ns = 6000;
    assert_null(lp_optimize_pick(&o, &limits));
    limits.loss_increase = NAN;
    assert_ptr_equal(lp_optimize_pick(&o, &limits), &o.variants[1]); /* the least loss in that time */
    limits = (struct lp_limits){NAN, 30.0 / 3.6e6 * 0.5, NAN, 0.5};
    assert_ptr_equal(lp_optimize_pick(&o, &limits), &o.variants[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ties_count_half_and_the_threshold_says_one),
        cmocka_unit_test(a_regression_is_judged_by_its_root_mean_square),
        cmocka_unit_test(a_score_that_is_no_number_is_an_error),
        cmocka_unit_test(pairs_are_of_one_group_and_ties_count_half),
        cmocka_unit_test(intervals_are_of_paired_rows),
        cmocka_unit_test(the_pick_keeps_to_all_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
