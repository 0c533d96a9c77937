/* PSI, KS and JS against numpy and SciPy; the cases' generator is tests/oracle/make_drift_cases.py. */
#include "drift/drift.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { BINS_MAX = 64 };

static const struct {
    const char *name;
    uint32_t bin_count;
    uint64_t counts[BINS_MAX];
    double reference[BINS_MAX];
    double psi, ks, js;
} cases[] = {
#include "statistics_cases.inc"
};

static void expect_close(const char *name, const char *statistic, double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 + 1e-12 * fabs(want)))
        fail_msg("%s: %s is %.17g, want %.17g", name, statistic, got, want);
}

static void statistics_equal_scipy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t n = cases[i].bin_count;
        expect_close(cases[i].name, "psi", lp_drift_psi(cases[i].counts, cases[i].reference, n), cases[i].psi);
        expect_close(cases[i].name, "ks", lp_drift_ks(cases[i].counts, cases[i].reference, n), cases[i].ks);
        expect_close(cases[i].name, "js", lp_drift_js(cases[i].counts, cases[i].reference, n), cases[i].js);
    }
}

static void an_empty_side_is_no_evidence(void **state)
{
    (void)state;
    const uint64_t none[2] = {0, 0}, some[2] = {3, 4};
    const double no_reference[2] = {0, 0}, reference[2] = {1, 2};
    assert_true(lp_drift_psi(none, reference, 2) == 0 && lp_drift_psi(some, no_reference, 2) == 0);
    assert_true(lp_drift_ks(none, reference, 2) == 0 && lp_drift_ks(some, no_reference, 2) == 0);
    assert_true(lp_drift_js(none, reference, 2) == 0 && lp_drift_js(some, no_reference, 2) == 0);
    assert_true(lp_drift_psi(some, reference, 2) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_equal_scipy),
        cmocka_unit_test(an_empty_side_is_no_evidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
