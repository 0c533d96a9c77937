/* Times as files have them: parts may be left out, but nothing else is let through. */
#include "decode/json_time.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void parts_that_are_left_out_are_zero_and_utc(void **context)
{
    (void)context;
    static const struct {
        const char *text;
        double ms;
    } cases[] = {
        {"1970-01-01", 0},
        {"1970-01-02T00:00", 86400000},
        {"1970-01-01 00:01", 60000},
        {"1970-01-01T00:00:01", 1000},
        {"1970-01-01T00:00:01.5", 1500},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1970-01-01T01:00:00+0100", 0},
        {"1970-01-01T01:00+01:00", 0},
        {"2019-11-24 00:00:34.762830+00:00", 1574553634762.83},
        {"2000-02-29T12:00:00Z", 951825600000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double ms = -1;
        assert_true(lp_loose_time_ms(lp_span_text(cases[i].text), &ms));
        assert_true(fabs(ms - cases[i].ms) < 1e-3);
    }
}

static void what_is_no_time_is_refused(void **context)
{
    (void)context;
    static const char *const cases[] = {"",
                                        "1970",
                                        "1970-01",
                                        "1970-13-01",
                                        "2001-02-29",
                                        "1970-01-01T",
                                        "1970-01-01T00",
                                        "1970-01-01T24:00",
                                        "1970-01-01x",
                                        "1970-01-01T00:00:",
                                        "1970-01-01T00:00:00 ",
                                        "01/02/2003",
                                        "1970-01-01T00:00:00+1",
                                        "1970-01-01 +01:00"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double ms = -1;
        assert_false(lp_loose_time_ms(lp_span_text(cases[i]), &ms));
        /* What the loose form refuses the strict one refuses too. */
        assert_false(lp_json_time_ms(lp_span_text(cases[i]), &ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_that_are_left_out_are_zero_and_utc),
        cmocka_unit_test(what_is_no_time_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
