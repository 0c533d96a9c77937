/* Isotonic steps by hand, and the points that serving reads a score off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "infer/calibrate.h"
#include "train/calibrate.h"

static uint32_t fit(const float *margins, const float *y, const float *weight, uint32_t count, double *m, double *s)
{
    const struct lp_metrics_rows rows = {.margins = margins, .y = y, .weight = weight, .rows = count, .outputs = 1};
    uint32_t points = 0;
    struct lp_error err;
    assert_int_equal(lp_isotonic_fit(&rows, m, s, &points, &err), LP_OK);
    return points;
}

static void violators_are_pooled_and_ties_share_a_step(void **state)
{
    /* In order of margin: 0 | 1 0 tied | 1 | 0 1 1: steps 1/8 (kept off 0), 1/2 over four rows, 7/8. */
    static const float margins[] = {3, -2, 0, 0, 1, 2, 4}, y[] = {1, 0, 1, 0, 1, 0, 1};
    static const double want_m[] = {-2, 0, 2, 3, 4}, want_s[] = {1.0 / 9, 0.5, 0.5, 8.0 / 9, 8.0 / 9};
    double m[LP_ISOTONIC_POINTS_MAX], s[LP_ISOTONIC_POINTS_MAX];
    (void)state;
    assert_int_equal(fit(margins, y, NULL, 7, m, s), 5);
    for (int i = 0; i < 5; i++) assert_true(m[i] == want_m[i] && fabs(s[i] - want_s[i]) < 1e-12);
}

static void weights_weigh(void **state)
{
    static const float margins[] = {0, 1, 2}, y[] = {0, 1, 0}, weight[] = {1, 3, 1};
    double m[LP_ISOTONIC_POINTS_MAX], s[LP_ISOTONIC_POINTS_MAX];
    (void)state;
    assert_int_equal(fit(margins, y, weight, 3, m, s), 3);
    assert_true(fabs(s[0] - 0.2) < 1e-12 && fabs(s[1] - 0.75) < 1e-12 && fabs(s[2] - 0.75) < 1e-12);
}

static void many_steps_are_thinned_to_points_that_rise(void **state)
{
    enum { COUNT = 60000 };
    static float margins[COUNT], y[COUNT], weight[COUNT];
    double m[LP_ISOTONIC_POINTS_MAX], s[LP_ISOTONIC_POINTS_MAX];
    (void)state;
    /* Two rows a margin, a 1 of rising weight beside a 0: 30,000 steps. */
    for (uint32_t i = 0; i < COUNT; i++) {
        margins[i] = (float)(i / 2);
        y[i] = (float)(i % 2);
        weight[i] = i % 2 == 1 ? (float)(i / 2 + 1) : 20000;
    }
    uint32_t points = fit(margins, y, weight, COUNT, m, s);
    assert_true(points > 200 && points <= LP_ISOTONIC_POINTS_MAX);
    for (uint32_t i = 1; i < points; i++) assert_true(m[i] > m[i - 1] && s[i] >= s[i - 1]);
    assert_true(m[0] == 0 && m[points - 1] == COUNT / 2 - 1);
}

static void nothing_to_calibrate_on_is_said(void **state)
{
    static const float margins[] = {0, 1, 2}, ones[] = {1, 1, 1}, falling[] = {1, 0, 0};
    double m[LP_ISOTONIC_POINTS_MAX], s[LP_ISOTONIC_POINTS_MAX];
    uint32_t points;
    struct lp_error err;
    (void)state;
    struct lp_metrics_rows rows = {.margins = margins, .y = ones, .rows = 3, .outputs = 1};
    assert_int_equal(lp_isotonic_fit(&rows, m, s, &points, &err), LP_E_INVALID);
    rows.y = falling;
    assert_int_equal(lp_isotonic_fit(&rows, m, s, &points, &err), LP_E_INVALID);
}

static void scores_are_read_off_lines_and_level_beyond(void **state)
{
    static const double m[] = {-1, 0, 2}, s[] = {0.1, 0.3, 0.9};
    static const float margins[] = {-INFINITY, -1, -0.5f, 0, 1, 2, 7, INFINITY, NAN};
    static const float want[] = {0.1f, 0.1f, 0.2f, 0.3f, 0.6f, 0.9f, 0.9f, 0.9f};
    const struct lp_calibration calibration = {3, m, s};
    float got[9];
    (void)state;
    lp_calibrate(&calibration, margins, 9, got);
    for (int i = 0; i < 8; i++) assert_true(fabsf(got[i] - want[i]) < 1e-6f);
    assert_true(isnan(got[8]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(violators_are_pooled_and_ties_share_a_step), cmocka_unit_test(weights_weigh),
        cmocka_unit_test(many_steps_are_thinned_to_points_that_rise), cmocka_unit_test(nothing_to_calibrate_on_is_said),
        cmocka_unit_test(scores_are_read_off_lines_and_level_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
