#include "decode/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct lp_path path;
static struct lp_error err;

static void expect_key(uint32_t step, const char *key)
{
    assert_false(path.steps[step].is_index);
    assert_true(lp_span_is(path.steps[step].key, key));
}

static void expect_index(uint32_t step, uint32_t index)
{
    assert_true(path.steps[step].is_index);
    assert_int_equal(path.steps[step].index, index);
}

static void expect_refused(const char *text, enum lp_code code)
{
    assert_int_equal(lp_path_split(text, &path, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(err.action, LP_FATAL);
}

static void path_splits_names_and_indices(void **state)
{
    (void)state;
    assert_int_equal(lp_path_split("user.tags[12].name", &path, &err), LP_OK);
    assert_int_equal(path.step_count, 4);
    expect_key(0, "user");
    expect_key(1, "tags");
    expect_index(2, 12);
    expect_key(3, "name");
    assert_int_equal(lp_path_split("m[0][16777215]", &path, &err), LP_OK);
    assert_int_equal(path.step_count, 3);
    expect_index(2, 16777215);
    assert_int_equal(lp_path_split("[3].a", &path, &err), LP_OK);
    expect_index(0, 3);
    expect_key(1, "a");
}

static void path_unescapes_dots_brackets_and_backslashes(void **state)
{
    (void)state;
    assert_int_equal(lp_path_split("a\\.b.c\\[0\\]\\\\", &path, &err), LP_OK);
    assert_int_equal(path.step_count, 2);
    expect_key(0, "a.b");
    expect_key(1, "c[0]\\");
    assert_int_equal(lp_path_split("pr\xc3\xa9nom", &path, &err), LP_OK);
    expect_key(0, "pr\xc3\xa9nom");
}

static void path_refuses_what_means_nothing(void **state)
{
    (void)state;
    const char *const bad[] = {"",    ".",     "a.", ".a",  "a..b", "a[",    "a[x]",        "a[-1]",
                               "a[1", "a[1]b", "a]", "a\\", "a\\b", "a[1].", "a[16777216]", "a[99999999999]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) expect_refused(bad[i], LP_E_INVALID);
    expect_refused("items[].price", LP_E_UNSUPPORTED);
    assert_string_equal(err.field, "items[].price");
}

static void path_has_limits(void **state)
{
    (void)state;
    char text[LP_PATH_BYTES_MAX + 2];
    memset(text, 'a', sizeof text);
    text[LP_PATH_BYTES_MAX] = '\0';
    assert_int_equal(lp_path_split(text, &path, &err), LP_OK);
    assert_int_equal(path.steps[0].key.size, LP_PATH_BYTES_MAX);
    text[LP_PATH_BYTES_MAX] = 'a';
    text[LP_PATH_BYTES_MAX + 1] = '\0';
    expect_refused(text, LP_E_LIMIT);
    size_t used = 0;
    for (int i = 0; i <= LP_PATH_STEPS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, i ? ".x" : "x");
    expect_refused(text, LP_E_LIMIT);
    text[used - 2] = '\0';
    assert_int_equal(lp_path_split(text, &path, &err), LP_OK);
    assert_int_equal(path.step_count, LP_PATH_STEPS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_splits_names_and_indices),
        cmocka_unit_test(path_unescapes_dots_brackets_and_backslashes),
        cmocka_unit_test(path_refuses_what_means_nothing),
        cmocka_unit_test(path_has_limits),
    };
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
