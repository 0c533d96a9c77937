/* Expectations from the description of Prometheus's text format 0.0.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/exposition.h"

#include <math.h>

static struct lp_buffer out;

static int open_buffer(void **state)
{
    (void)state;
    lp_buffer_init(&out, 1 << 16);
    return 0;
}

static int close_buffer(void **state)
{
    (void)state;
    lp_buffer_done(&out);
    return 0;
}

static void gives(const char *expected)
{
    assert_false(out.failed);
    lp_buffer_append(&out, "", 1);
    assert_string_equal((const char *)out.data, expected);
}

static void a_family_has_help_and_type(void **state)
{
    (void)state;
    lp_exposition_family(&out, "lepton_records_total", "counter", "Records \\ read\nso \"far\".");
    gives("# HELP lepton_records_total Records \\\\ read\\nso \"far\".\n# TYPE lepton_records_total counter\n");
}

static void labels_are_escaped(void **state)
{
    (void)state;
    const struct lp_label labels[] = {{"topic", "a\"b\\c\nd"}, {"empty", NULL}, {"gr\xc3\xbc", ""}, {NULL, NULL}};
    lp_exposition_sample(&out, "m", labels, 1);
    gives("m{topic=\"a\\\"b\\\\c\\nd\",empty=\"\",gr\xc3\xbc=\"\"} 1\n");
}

static void values_are_go_floats(void **state)
{
    (void)state;
    const double values[] = {
        0, 3, -2.5, 0.1, 1e300, 9007199254740991.0, (double)NAN, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) lp_exposition_sample(&out, "m", NULL, values[i]);
    gives("m 0\nm 3\nm -2.5\nm 0.1\nm 1e+300\nm 9007199254740991\nm NaN\nm +Inf\nm -Inf\n");
}

static void a_histogram_is_cumulative_and_ends_at_infinity(void **state)
{
    (void)state;
    const double bounds[] = {0.005, 0.1, 10};
    const uint64_t counts[] = {1, 0, 2, 4};
    const struct lp_label labels[] = {{"stage", "infer"}, {NULL, NULL}};
    lp_exposition_histogram(&out, "s", labels, bounds, 3, counts, 61.5);
    lp_exposition_histogram(&out, "t", NULL, bounds, 1, counts, 0.25);
    gives("s_bucket{stage=\"infer\",le=\"0.005\"} 1\n"
          "s_bucket{stage=\"infer\",le=\"0.1\"} 1\n"
          "s_bucket{stage=\"infer\",le=\"10\"} 3\n"
          "s_bucket{stage=\"infer\",le=\"+Inf\"} 7\n"
          "s_sum{stage=\"infer\"} 61.5\n"
          "s_count{stage=\"infer\"} 7\n"
          "t_bucket{le=\"0.005\"} 1\n"
          "t_bucket{le=\"+Inf\"} 1\n"
          "t_sum 0.25\n"
          "t_count 1\n");
}

int main(void)
{
#define WITH_BUFFER(test) cmocka_unit_test_setup_teardown(test, open_buffer, close_buffer)
    const struct CMUnitTest tests[] = {WITH_BUFFER(a_family_has_help_and_type), WITH_BUFFER(labels_are_escaped),
                                       WITH_BUFFER(values_are_go_floats),
                                       WITH_BUFFER(a_histogram_is_cumulative_and_ends_at_infinity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
