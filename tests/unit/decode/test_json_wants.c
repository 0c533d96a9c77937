/* How wanted paths find their fields: keys, duplicates, plans, threads. */
#include "json_support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void expect_text(uint32_t slot, const char *expected)
{
    if (!lp_span_is(texts[slot], expected))
        fail_msg("\"%.*s\" is not \"%s\"", (int)texts[slot].size, (const char *)texts[slot].data, expected);
}

static void expect_invalid(const struct lp_json_plan *plan, const char *json, const char *field)
{
    if (run_text(plan, json) != LP_E_INVALID) fail_msg("accepted: %s", json);
    assert_int_equal(err.code, LP_E_INVALID);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_string_equal(err.field, field);
}

static void paths_lead_through_objects_and_arrays(void **state)
{
    (void)state;
    struct lp_want wants[] = {
        {.path = "user.age", .type = LP_WANT_NUMBER},       {.path = "user.name", .type = LP_WANT_TEXT},
        {.path = "items[0].price", .type = LP_WANT_NUMBER}, {.path = "items[2].price", .type = LP_WANT_NUMBER},
        {.path = "grid[1][0]", .type = LP_WANT_NUMBER},     {.path = "odd\\.key", .type = LP_WANT_NUMBER},
        {.path = "user.age", .type = LP_WANT_TEXT},
    };
    struct lp_json_plan *plan = new_plan(wants, 7);
    const char *json =
        "{\"grid\":[[1,2],[3,4],[5]],\"odd.key\":7,\"odd\":{\"key\":8},"
        "\"items\":[{\"price\":1.5,\"n\":[{}]},{\"price\":2.5},{\"n\":{},\"price\":3.5},{\"price\":4.5}],"
        "\"user\":{\"x\":{\"age\":1},\"age\":42,\"name\":\"Zo\xc3\xab\"}}";
    assert_int_equal(run_text(plan, json), LP_OK);
    assert_true(numbers[0] == 42 && numbers[1] == 1.5 && numbers[2] == 3.5 && numbers[3] == 3 && numbers[4] == 7);
    expect_text(0, "Zo\xc3\xab");
    expect_text(1, "42");
    lp_json_plan_free(plan);
}

static void absent_and_null_are_missing(void **state)
{
    (void)state;
    struct lp_want wants[] = {
        {.path = "n", .type = LP_WANT_NUMBER},   {.path = "v", .type = LP_WANT_VECTOR, .width = 3},
        {.path = "t", .type = LP_WANT_TEXT},     {.path = "at", .type = LP_WANT_TIME_MS},
        {.path = "o.x", .type = LP_WANT_NUMBER}, {.path = "l[5]", .type = LP_WANT_NUMBER},
    };
    struct lp_json_plan *plan = new_plan(wants, 6);
    const char *const empty[] = {"{}", " {\n} ", "{\"n\":null,\"v\":null,\"t\":null,\"at\":null,\"o\":null,\"l\":null}",
                                 "{\"o\":{},\"l\":[]}", "{\"o\":{\"x\":null},\"l\":[1,2,3,4,5]}"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        assert_int_equal(run_text(plan, empty[i]), LP_OK);
        for (int n = 0; n < 7; n++) assert_true(isnan(numbers[n]));
        assert_null(texts[0].data);
        assert_int_equal(record.scratch_used, 0);
    }
    assert_true(numbers[7] == -777); /* nothing beyond the plan's slots is touched */
    lp_json_plan_free(plan);
}

static void first_of_duplicate_keys_counts(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "a", .type = LP_WANT_NUMBER},
                              {.path = "o.x", .type = LP_WANT_NUMBER},
                              {.path = "o.y", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 3);
    assert_int_equal(run_text(plan, "{\"a\":1,\"a\":2,\"\\u0061\":3,\"o\":{\"x\":4},\"o\":{\"x\":5,\"y\":6}}"), LP_OK);
    assert_true(numbers[0] == 1 && numbers[1] == 4 && isnan(numbers[2]));
    assert_int_equal(run_text(plan, "{\"a\":null,\"a\":2}"), LP_OK);
    assert_true(isnan(numbers[0]));
    /* The later one is not read, but it is checked, and may be of any type. */
    assert_int_equal(run_text(plan, "{\"a\":1,\"a\":[\"x\"]}"), LP_OK);
    expect_invalid(plan, "{\"a\":1,\"a\":[\"x]}", "a");
    lp_json_plan_free(plan);
}

static void keys_are_found_in_any_order_and_spelling(void **state)
{
    (void)state;
    struct lp_want wants[] = {
        {.path = "a", .type = LP_WANT_NUMBER},
        {.path = "seven77", .type = LP_WANT_NUMBER},
        {.path = "eight888", .type = LP_WANT_NUMBER},
        {.path = "fifteen15151515", .type = LP_WANT_NUMBER},
        {.path = "sixteen161616161", .type = LP_WANT_NUMBER},
        {.path = "a_key_of_more_than_thirty_two_bytes", .type = LP_WANT_NUMBER},
        {.path = "quote\"in", .type = LP_WANT_NUMBER},
        {.path = "gr\xc3\xb6\xc3\x9f"
                 "e",
         .type = LP_WANT_NUMBER},
        {.path = "a_key_of_more_than_thirty_two_bytez", .type = LP_WANT_NUMBER},
    };
    enum { COUNT = sizeof wants / sizeof wants[0] };
    const char *const spelled[COUNT][2] = {
        {"a", "\\u0061"},
        {"seven77", "seven7\\u0037"},
        {"eight888", "\\u0065ight888"},
        {"fifteen15151515", "fifteen1515151\\u0035"},
        {"sixteen161616161", "\\u0073ixteen161616161"},
        {"a_key_of_more_than_thirty_two_bytes", "a_key_of_more_than_\\u0074hirty_two_bytes"},
        {"quote\\\"in", "quote\\u0022in"},
        {"gr\xc3\xb6\xc3\x9f"
         "e",
         "gr\\u00f6\\u00DFe"},
        {"a_key_of_more_than_thirty_two_bytez", "a_key_of_more_than_thirty_two_byte\\u007A"},
    };
    struct lp_json_plan *plan = new_plan(wants, COUNT);
    for (int turn = 0; turn < 4 * COUNT; turn++) {
        char json[1024];
        size_t used = 0;
        for (int i = 0; i < COUNT; i++) {
            int k = turn < 2 * COUNT ? (i + turn) % COUNT : (turn - i + 4 * COUNT) % COUNT;
            used += (size_t)snprintf(json + used, sizeof json - used, "%s\"%s\":%d", i ? "," : "{",
                                     spelled[k][turn & 1], k + 100);
            /* between the wanted ones, keys that begin or end like them */
            used += (size_t)snprintf(json + used, sizeof json - used, ",\"%.*s\":\"x\",\"%s_\":{}",
                                     (int)strlen(spelled[k][0]) - 1, spelled[k][0], spelled[k][0]);
        }
        snprintf(json + used, sizeof json - used, "}");
        /* `quote\"i` cut one byte early would leave a lone backslash: that name is not cut there */
        if (run_text(plan, json) != LP_OK) fail_msg("%s: %s", json, err.text);
        for (int i = 0; i < COUNT; i++) assert_true(numbers[i] == i + 100);
    }
    /* A raw quote ends a key, also where a wanted name goes on with one. */
    expect_invalid(plan, "{\"quote\"in\":1,\"xxxxxxxxxxxxxxxxx\":1}", "quote");
    lp_json_plan_free(plan);
}

static void plans_refuse_bad_wants(void **state)
{
    (void)state;
    struct lp_json_plan *plan = NULL;
    struct lp_want want = {.path = "a..b", .type = LP_WANT_NUMBER, .width = 1};
    assert_int_equal(lp_json_plan_new(&want, 1, &plan, &err), LP_E_INVALID);
    assert_string_equal(err.field, "a..b");
    want = (struct lp_want){.path = "a", .type = LP_WANT_VECTOR, .width = 0};
    assert_int_equal(lp_json_plan_new(&want, 1, &plan, &err), LP_E_INVALID);
    want = (struct lp_want){.path = "a", .type = LP_WANT_NUMBER, .width = 1, .slot = UINT32_MAX};
    assert_int_equal(lp_json_plan_new(&want, 1, &plan, &err), LP_E_INVALID);
    want = (struct lp_want){.path = "a[].b", .type = LP_WANT_NUMBER, .width = 1};
    assert_int_equal(lp_json_plan_new(&want, 1, &plan, &err), LP_E_UNSUPPORTED);
    assert_int_equal(lp_json_plan_new(&want, LP_JSON_WANTS_MAX + 1, &plan, &err), LP_E_LIMIT);
    assert_null(plan);
    lp_json_plan_free(NULL);
}

static void thousands_of_wants_find_their_fields(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct lp_want *wants = calloc(COUNT, sizeof *wants);
    char(*paths)[40] = calloc(COUNT, sizeof *paths);
    char *json = malloc(COUNT * 64 + 64);
    double *many = calloc(COUNT, sizeof *many);
    assert_true(wants != NULL && paths != NULL && json != NULL && many != NULL);
    size_t used = 0;
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], sizeof paths[i], "feature_with_number_%05d_of_many", i);
        wants[i] = (struct lp_want){.path = paths[i], .type = LP_WANT_NUMBER, .width = 1, .slot = (uint32_t)i};
        int k = (int)((unsigned)i * 7919u % COUNT);
        used += (size_t)snprintf(json + used, 64, "%s\"feature_with_number_%05d_of_many\":%d", i ? "," : "{", k, k);
    }
    memcpy(json + used, "}", 2);
    struct lp_json_plan *plan = NULL;
    assert_int_equal(lp_json_plan_new(wants, COUNT, &plan, &err), LP_OK);
    struct lp_record wide = {.numbers = many};
    assert_int_equal(lp_json_plan_run(plan, lp_span_text(json), &wide, &err), LP_OK);
    for (int i = 0; i < COUNT; i++) assert_true(many[i] == i);
    lp_json_plan_free(plan);
    free(wants);
    free(paths);
    free(json);
    free(many);
}

enum { SHARED_TURNS = 20000 };

struct sharer {
    const struct lp_json_plan *plan;
    const char *json;
    bool failed;
};

static void *share(void *context)
{
    struct sharer *sharer = context;
    double own[3];
    struct lp_record mine = {.numbers = own};
    struct lp_error error;
    for (int i = 0; i < SHARED_TURNS; i++) {
        enum lp_code code = lp_json_plan_run(sharer->plan, lp_span_text(sharer->json), &mine, &error);
        sharer->failed |= code != LP_OK || own[0] != 1 || own[1] != 2 || own[2] != 3;
    }
    return NULL;
}

/* The plan learns the order of keys; two threads that teach it opposite orders get the right values all the same. */
/* The plan learns the order of keys; two threads that teach it opposite orders get the right values all the same. */
static void threads_may_share_a_plan(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "a", .type = LP_WANT_NUMBER},
                              {.path = "b", .type = LP_WANT_NUMBER},
                              {.path = "c", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 3);
    struct sharer sharers[] = {{.plan = plan, .json = "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}"},
                               {.plan = plan, .json = "{\"c\":3,\"d\":4,\"b\":2,\"a\":1}"}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, share, &sharers[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_false(sharers[0].failed || sharers[1].failed);
    lp_json_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_through_objects_and_arrays),
        cmocka_unit_test(absent_and_null_are_missing),
        cmocka_unit_test(first_of_duplicate_keys_counts),
        cmocka_unit_test(keys_are_found_in_any_order_and_spelling),
        cmocka_unit_test(plans_refuse_bad_wants),
        cmocka_unit_test(thousands_of_wants_find_their_fields),
        cmocka_unit_test(threads_may_share_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
