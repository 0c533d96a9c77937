/* Measures against scikit-learn's (tests/data/train/references.json, made by tests/train/make_references.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/calibrate.h"
#include "train/metrics.h"

static float *numbers(const json_t *array)
{
    float *made = calloc(json_array_size(array) + 1, sizeof *made);
    for (size_t i = 0; i < json_array_size(array); i++) made[i] = (float)json_number_value(json_array_get(array, i));
    return made;
}

static enum lp_train_loss_kind kind_of(const char *name)
{
    if (strcmp(name, "binary") == 0) return LP_LOSS_BINARY;
    return strcmp(name, "categorical") == 0 ? LP_LOSS_CATEGORICAL : LP_LOSS_SQUARED;
}

static void check_case(const json_t *item, size_t number)
{
    const json_t *want = json_object_get(item, "want"), *weight = json_object_get(item, "weight");
    float *margins = numbers(json_object_get(item, "margins")), *y = numbers(json_object_get(item, "y"));
    float *weights = json_is_null(weight) ? NULL : numbers(weight);
    struct lp_metrics_rows rows = {.margins = margins, .y = y, .weight = weights};
    rows.rows = (uint32_t)json_array_size(json_object_get(item, "y"));
    rows.outputs = (uint32_t)json_integer_value(json_object_get(item, "outputs"));
    rows.threshold = json_number_value(json_object_get(item, "threshold"));
    struct lp_train_loss loss = {kind_of(json_string_value(json_object_get(item, "kind"))), rows.outputs, 1};
    struct lp_metrics got;
    struct lp_error err;
    assert_int_equal(lp_metrics_run(&loss, &rows, &got, &err), LP_OK);
    int checked = 0;
    for (int m = 0; m < LP_METRICS_COUNT; m++) {
        const json_t *value = json_object_get(want, lp_metrics_names[m]);
        double is = lp_metrics_at(&got, m), should = json_number_value(value);
        if (value == NULL) continue;
        checked++;
        /* The loss is summed in float, row by row. */
        double bound = (m == 0 ? 2e-6 : 1e-9) * fmax(1, fabs(should));
        if (!(fabs(is - should) <= bound))
            fail_msg("case %zu, %s: %.12g, scikit-learn's %.12g", number, lp_metrics_names[m], is, should);
    }
    assert_true(checked >= 4);
    free(margins);
    free(y);
    free(weights);
}

static void measures_are_those_of_scikit_learn(void **state)
{
    json_t *root = json_load_file(TEST_DATA_DIR "/train/references.json", 0, NULL), *item;
    size_t i;
    (void)state;
    assert_non_null(root);
    assert_true(json_array_size(json_object_get(root, "metrics")) >= 14);
    json_array_foreach(json_object_get(root, "metrics"), i, item) check_case(item, i);
    json_decref(root);
}

static struct lp_metrics run(enum lp_train_loss_kind kind, const float *margins, const float *y, const uint32_t *group,
                             uint32_t count)
{
    struct lp_train_loss loss = {kind, 1, 1};
    const struct lp_metrics_rows rows = {
        .margins = margins, .y = y, .group = group, .rows = count, .outputs = 1, .threshold = 0.5};
    struct lp_metrics got;
    struct lp_error err;
    assert_int_equal(lp_metrics_run(&loss, &rows, &got, &err), LP_OK);
    return got;
}

static void one_class_has_no_auc_and_no_rows_nothing(void **state)
{
    static const float margins[] = {1, 2, -3}, ones[] = {1, 1, 1}, zeros[] = {0, 0, 0};
    (void)state;
    struct lp_metrics got = run(LP_LOSS_BINARY, margins, ones, NULL, 3);
    assert_true(isnan(got.auc) && isfinite(got.log_loss) && isfinite(got.f1));
    got = run(LP_LOSS_BINARY, (const float[]){-1, -2, -3}, zeros, NULL, 3);
    assert_true(isnan(got.auc) && isnan(got.f1) && got.accuracy == 1);
    got = run(LP_LOSS_SQUARED, margins, ones, NULL, 3);
    assert_true(isnan(got.r2) && isfinite(got.rmse));
    got = run(LP_LOSS_BINARY, margins, ones, NULL, 0);
    for (int m = 0; m < LP_METRICS_COUNT; m++) assert_true(isnan(lp_metrics_at(&got, m)));
}

static void auc_of_groups_counts_pairs_within_them(void **state)
{
    /* Group 0: 1 above 0 (right); group 1: a tie (half) and a wrong pair; group 2: one class. 1.5 of 3 pairs. */
    static const float margins[] = {5, 4, 1, 1, 0.5f, 9, 9.5f}, y[] = {1, 0, 0, 1, 1, 1, 1};
    static const uint32_t group[] = {0, 0, 1, 1, 1, 2, 2};
    (void)state;
    assert_true(fabs(run(LP_LOSS_BPR, margins, y, group, 7).auc - 0.5) < 1e-12);
}

static void order_sorts_signs_zeros_and_nan(void **state)
{
    static const float margins[] = {NAN, 0.0f, -1e-40f, INFINITY, -INFINITY, 3, -0.0f, -7};
    static const uint32_t want[] = {4, 7, 2, 1, 6, 5, 3, 0};
    (void)state;
    uint32_t *order = lp_metrics_order(margins, 8);
    assert_memory_equal(order, want, sizeof want);
    free(order);
}

static double f1_at(const struct lp_metrics_rows *rows, double threshold)
{
    struct lp_metrics_rows at = *rows;
    struct lp_train_loss loss = {LP_LOSS_BINARY, 1, 1};
    struct lp_metrics got;
    struct lp_error err;
    at.threshold = threshold;
    assert_int_equal(lp_metrics_run(&loss, &at, &got, &err), LP_OK);
    return got.f1;
}

static void the_best_threshold_has_the_best_f1(void **state)
{
    enum { COUNT = 300 };
    float margins[COUNT], y[COUNT];
    uint64_t random = 77;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        margins[i] = (float)(random >> 40) / (float)(1 << 23) * 3 - 4;
        random = random * 6364136223846793005u + 1442695040888963407u;
        y[i] = (float)((double)(random >> 11) * 0x1p-53 < lp_train_sigmoid((double)margins[i]));
    }
    const struct lp_metrics_rows rows = {.margins = margins, .y = y, .rows = COUNT, .outputs = 1};
    struct lp_error err;
    double best, tried = 0;
    assert_int_equal(lp_metrics_best_threshold(&rows, &best, &err), LP_OK);
    for (int i = 0; i < 1000; i++) tried = fmax(tried, f1_at(&rows, i / 1000.0));
    assert_true(f1_at(&rows, best) >= tried);
    assert_true(fabs(best - 0.5) > 1e-3);
}

/* Scores that are too sure by a factor of 3 and shifted by 1: Platt's a and b undo it. */
static void platt_undoes_a_scale_and_a_shift(void **state)
{
    enum { COUNT = 20000 };
    static float margins[COUNT], y[COUNT];
    uint64_t random = 3;
    double a, b;
    struct lp_error err;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        double z = (double)(random >> 11) * 0x1p-53 * 6 - 3;
        random = random * 6364136223846793005u + 1442695040888963407u;
        y[i] = (float)((double)(random >> 11) * 0x1p-53 < lp_train_sigmoid(z));
        margins[i] = (float)(3 * z + 1);
    }
    struct lp_metrics_rows rows = {.margins = margins, .y = y, .rows = COUNT, .outputs = 1};
    assert_int_equal(lp_platt_fit(&rows, &a, &b, &err), LP_OK);
    assert_true(fabs(a - 1.0 / 3) < 0.02 && fabs(b + 1.0 / 3) < 0.05);
    for (int i = 0; i < COUNT; i++) margins[i] = -margins[i];
    assert_int_equal(lp_platt_fit(&rows, &a, &b, &err), LP_E_INVALID);
    for (int i = 0; i < COUNT; i++) y[i] = 1;
    assert_int_equal(lp_platt_fit(&rows, &a, &b, &err), LP_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures_are_those_of_scikit_learn),
        cmocka_unit_test(one_class_has_no_auc_and_no_rows_nothing),
        cmocka_unit_test(auc_of_groups_counts_pairs_within_them),
        cmocka_unit_test(order_sorts_signs_zeros_and_nan),
        cmocka_unit_test(the_best_threshold_has_the_best_f1),
        cmocka_unit_test(platt_undoes_a_scale_and_a_shift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
