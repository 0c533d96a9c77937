/* JSON records: what is accepted, what is refused and where; documents of json_documents.inc judged by Python. */
#include "json_support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

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

static const struct document_case {
    const char *bytes;
    size_t size;
    bool valid;
    uint64_t a, b;
    const char *t;
    size_t t_size;
} documents[] = {
#include "json_documents.inc"
};
enum { DOCUMENT_COUNT = sizeof documents / sizeof documents[0] };

static void documents_read_as_python_reads_them(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "a", .type = LP_WANT_NUMBER},
                              {.path = "n.b[1]", .type = LP_WANT_NUMBER},
                              {.path = "t", .type = LP_WANT_TEXT}};
    struct lp_json_plan *plan = new_plan(wants, 3);
    size_t valid = 0;
    for (size_t i = 0; i < DOCUMENT_COUNT; i++) {
        const struct document_case *c = &documents[i];
        enum lp_code code = run_bytes(plan, c->bytes, c->size);
        if ((code == LP_OK) != c->valid) fail_msg("document %zu: %.*s", i, (int)c->size, c->bytes);
        if (!c->valid) continue;
        valid++;
        assert_true(isnan(numbers[0]) ? bits_of((double)NAN) == c->a : bits_of(numbers[0]) == c->a);
        assert_true(isnan(numbers[1]) ? bits_of((double)NAN) == c->b : bits_of(numbers[1]) == c->b);
        assert_true((c->t == NULL) == (texts[0].data == NULL));
        if (c->t != NULL) assert_true(lp_span_equal(texts[0], lp_span_of(c->t, c->t_size)));
    }
    assert_true(valid > 200 && DOCUMENT_COUNT - valid > 200);
    lp_json_plan_free(plan);
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

static void text_takes_strings_numbers_and_booleans(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "t", .type = LP_WANT_TEXT}, {.path = "u", .type = LP_WANT_TEXT}};
    struct lp_json_plan *plan = new_plan(wants, 2);
    assert_int_equal(run_text(plan, "{\"t\":true,\"u\":false}"), LP_OK);
    expect_text(0, "true");
    expect_text(1, "false");
    assert_int_equal(run_text(plan, "{\"t\":-1.50e+3,\"u\":\"\"}"), LP_OK);
    expect_text(0, "-1.50e+3");
    expect_text(1, "");
    assert_non_null(texts[1].data);
    assert_int_equal(run_text(plan, "{\"t\":\"a\\n\\\"\\u20ac\\ud83d\\ude00\\/\",\"u\":\"\\u0000\"}"), LP_OK);
    expect_text(0, "a\n\"\xe2\x82\xac\xf0\x9f\x98\x80/");
    assert_true(lp_span_equal(texts[1], lp_span_of("\0", 1)));
    assert_int_equal(run_text(plan, "{\"t\":\"plain text that is longer than sixteen\"}"), LP_OK);
    assert_true(texts[0].data > copy && texts[0].data < copy + 50); /* not copied */
    expect_invalid(plan, "{\"t\":[]}", "t");
    expect_invalid(plan, "{\"u\":{}}", "u");
    lp_json_plan_free(plan);
}

static void escaped_text_beyond_scratch_is_a_limit(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "t", .type = LP_WANT_TEXT}};
    struct lp_json_plan *plan = new_plan(wants, 1);
    char json[600];
    snprintf(json, sizeof json, "{\"t\":\"\\n%0254d\"}", 7);
    assert_int_equal(run_text(plan, json), LP_OK);
    assert_int_equal(texts[0].size, 255);
    snprintf(json, sizeof json, "{\"t\":\"\\n%0255d\"}", 7);
    assert_int_equal(run_text(plan, json), LP_E_LIMIT);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_string_equal(err.field, "t");
    snprintf(json, sizeof json, "{\"t\":\"%0300d\",\"x\":\"\\n%0255d\"}", 7, 7); /* no escape, or not wanted */
    assert_int_equal(run_text(plan, json), LP_OK);
    lp_json_plan_free(plan);
}

static void numbers_take_booleans_and_refuse_the_rest(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "a", .type = LP_WANT_NUMBER}, {.path = "o.a", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 2);
    assert_int_equal(run_text(plan, "{\"a\":true,\"o\":{\"a\":false}}"), LP_OK);
    assert_true(numbers[0] == 1 && numbers[1] == 0);
    expect_invalid(plan, "{\"a\":\"1\"}", "a");
    expect_invalid(plan, "{\"a\":[1]}", "a");
    expect_invalid(plan, "{\"a\":{}}", "a");
    expect_invalid(plan, "{\"o\":{\"a\":\"\"}}", "o.a");
    expect_invalid(plan, "{\"o\":5}", "o.a");
    expect_invalid(plan, "{\"o\":[5]}", "o.a");
    expect_invalid(plan, "{\"a\":tru}", "a");
    expect_invalid(plan, "{\"a\":truE}", "a");
    lp_json_plan_free(plan);
}

static void vectors_have_their_exact_width(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "v", .type = LP_WANT_VECTOR, .width = 3},
                              {.path = "v[1]", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 2);
    assert_int_equal(run_text(plan, "{\"v\": [ 1.5 , null , true ] }"), LP_OK);
    assert_true(numbers[0] == 1.5 && isnan(numbers[1]) && numbers[2] == 1 && isnan(numbers[3]));
    assert_int_equal(run_text(plan, "{\"v\":[1,2,3]}"), LP_OK);
    assert_true(numbers[2] == 3 && numbers[3] == 2);
    const char *const bad[] = {"[]",     "[1,2]",    "[1,2,3,4]", "[1,2,\"3\"]", "[1,[2],3]",
                               "[1,2,3", "[1,2,3,]", "[1 2 3]",   "[,1,2]",      "{}",
                               "7",      "\"x\"",    "[1,2,nul]", "[1,2,1e999]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"v\":%s}", bad[i]);
        assert_int_equal(run_text(plan, json), LP_E_INVALID);
        if (bad[i][0] == '[') assert_string_equal(err.field, "v");
    }
    lp_json_plan_free(plan);
}

static void nesting_stops_at_64(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "a", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 1);
    for (int depth = 62; depth <= 67; depth++) {
        for (int kind = 0; kind < 2; kind++) {
            char json[600] = "{\"x\":";
            size_t used = strlen(json);
            for (int i = 1; i < depth; i++)
                used += (size_t)snprintf(json + used, sizeof json - used, (i + kind) % 2 ? "[" : "{\"k\":");
            used += (size_t)snprintf(json + used, sizeof json - used, "0");
            for (int i = depth - 1; i >= 1; i--)
                used += (size_t)snprintf(json + used, sizeof json - used, (i + kind) % 2 ? "]" : "}");
            snprintf(json + used, sizeof json - used, "}");
            assert_int_equal(run_text(plan, json), depth <= 64 ? LP_OK : LP_E_INVALID);
        }
    }
    /* A long run of openers costs no stack. */
    char *bomb = malloc(1 << 20);
    assert_non_null(bomb);
    memset(bomb, '[', 1 << 20);
    memcpy(bomb, "{\"x\":", 5);
    bomb[(1 << 20) - 1] = '}';
    assert_int_equal(run_bytes(plan, bomb, 1 << 20), LP_E_INVALID);
    free(bomb);
    lp_json_plan_free(plan);
}

static void wanted_paths_reach_depth_64_and_no_further(void **state)
{
    (void)state;
    char path[200] = "p", json[500] = "{\"p\":";
    size_t path_used = 1, used = 5;
    for (int i = 0; i < 63; i++) {
        path_used += (size_t)snprintf(path + path_used, sizeof path - path_used, ".p");
        used += (size_t)snprintf(json + used, sizeof json - used, "{\"p\":");
    }
    struct lp_want wants[] = {{.path = path, .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 1);
    snprintf(json + used, sizeof json - used, "5%.*s", 64,
             "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}");
    assert_int_equal(run_text(plan, json), LP_OK);
    assert_true(numbers[0] == 5);
    lp_json_plan_free(plan);
    wants[0] = (struct lp_want){.path = path, .type = LP_WANT_VECTOR, .width = 1};
    plan = new_plan(wants, 1);
    snprintf(json + used, sizeof json - used, "[5]%.*s", 64,
             "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}");
    assert_int_equal(run_text(plan, json), LP_E_INVALID);
    assert_non_null(strstr(err.text, "64 deep"));
    lp_json_plan_free(plan);
}

/* RFC 8259 by section; each text stands alone. */
static void texts_outside_rfc_8259_are_refused(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "a", .type = LP_WANT_NUMBER}, {.path = "s", .type = LP_WANT_TEXT}};
    struct lp_json_plan *plan = new_plan(wants, 2);
    const char *const bad[] = {
        "",
        " ",
        "[]",
        "1",
        "null",
        "\"\"",
        "{",
        "}",
        "{}}",
        "{}{}",
        "{} x",
        "x{}",
        "{},",
        "{]",
        "[}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{,\"a\":1}",
        "{\"a\":1,,\"b\":2}",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{null:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1;\"b\":2}",
        "{\"b\":[1,]}",
        "{\"b\":[,1]}",
        "{\"b\":[1 2]}",
        "{\"b\":[1,,2]}",
        "{\"b\":[}",
        "{\"b\":[1}",
        "{\"b\":{]}",
        "{\"b\":[{]}]}",
        "{\"b\":{}",
        "{\"b\":[[{}]}",
        "{\"a\":1",
        "{\"b\":\"x}",
        "{\"b\":tru}",
        "{\"b\":True}",
        "{\"b\":nul}",
        "{\"b\":nulll}",
        "{\"b\":fals}",
        "{\"b\":undefined}",
        "{\"b\":nan}",
        "{/**/}",
        "{}//",
        "{\"b\":1}#",
        "\xef\xbb\xbf{}",
        "{\v}",
        "{\f}",
        "{\xc2\xa0}",
        "{\"b\"\xe2\x80\xa8:1}",
        "{\"b\":\"\t\"}",
        "{\"b\":\"\n\"}",
        "{\"b\":\"\x01\"}",
        "{\"b\":\"\x1f\"}",
        "{\"\t\":1}",
        "{\"b\":\"\\x41\"}",
        "{\"b\":\"\\'\"}",
        "{\"b\":\"\\\"}",
        "{\"b\":\"\\u\"}",
        "{\"b\":\"\\u00\"}",
        "{\"b\":\"\\u00g0\"}",
        "{\"b\":\"\\U0041\"}",
        "{\"b\":\"\\u 041\"}",
        "{\"b\":\"\\ud800\"}",
        "{\"b\":\"\\udc00\"}",
        "{\"b\":\"\\ud800\\u0041\"}",
        "{\"b\":\"\\ud800x\"}",
        "{\"b\":\"\\udc00\\ud800\"}",
        "{\"b\":\"\\ud800\\ud800\\udc00\"}",
        "{\"b\":\"\x80\"}",
        "{\"b\":\"\xff\"}",
        "{\"b\":\"\xc3\"}",
        "{\"b\":\"\xc0\x80\"}",
        "{\"b\":\"\xc1\xbf\"}",
        "{\"b\":\"\xe0\x9f\xbf\"}",
        "{\"b\":\"\xed\xa0\x80\"}",
        "{\"b\":\"\xf0\x8f\xbf\xbf\"}",
        "{\"b\":\"\xf4\x90\x80\x80\"}",
        "{\"b\":\"\xf5\x80\x80\x80\"}",
        "{\"b\":\"\xe2\x82\"}",
        "{\"b\":\"\xe2\x28\xa1\"}",
        "{\"\xff\":1}",
        "{\"b\":\"sixteen bytes and \xc3\x28 more\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (run_text(plan, bad[i]) != LP_E_INVALID) fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.action, LP_SKIP_RECORD);
        /* The same in the wanted fields' places. */
        char json[128];
        const char *value = strstr(bad[i], "{\"b\":");
        if (value == NULL) continue;
        snprintf(json, sizeof json, "{\"s\":%s", value + 5);
        if (run_text(plan, json) != LP_E_INVALID) fail_msg("accepted: %s", json);
    }
    assert_int_equal(run_bytes(plan, "{\"b\":\"\0\"}", 9), LP_E_INVALID);
    assert_int_equal(run_bytes(plan, "{}\0", 3), LP_E_INVALID);
    lp_json_plan_free(plan);
}

static void texts_of_rfc_8259_are_accepted(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "zz", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 1);
    const char *const good[] = {
        "{}",
        "{\"\":0}",
        "{\"\":{\"\":[]}}",
        "\r\n\t {\r\n\t }\r\n\t ",
        "{\"b\":[ ]}",
        "{\"b\":[ 1 , 2 ]}",
        "{\"b\":\"\x7f\"}",
        "{\"b\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uABCD\\uabcd\"}",
        "{\"b\":\"\\ud834\\udd1e\"}",
        "{\"b\":\"\\uD834\\uDD1E\"}",
        "{\"b\":\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"}",
        "{\"b\":\"}\"}",
        "{\"}{\":\"][,:\"}",
        "{\"b\":[[],{},[{}],{\"c\":[]}]}",
        "{\"b\":-0.0e-0,\"c\":[true,false,null]}",
        "{\"z\":1,\"zzz\":2,\"Zz\":3}",
        "{\"b\":\"\xe2\x80\xa8\"}",
        "{\"b\":1e99999}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (run_text(plan, good[i]) != LP_OK) fail_msg("%s: %s", good[i], err.text);
    assert_true(isnan(numbers[0]));
    lp_json_plan_free(plan);
}

/* A record cut anywhere, or with a control character anywhere, never reads outside (sanitizers) nor passes as whole. */
static void every_cut_and_every_damaged_byte_is_refused(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "a", .type = LP_WANT_NUMBER},
                              {.path = "n.v", .type = LP_WANT_VECTOR, .width = 2},
                              {.path = "t", .type = LP_WANT_TEXT},
                              {.path = "at", .type = LP_WANT_TIME_MS}};
    struct lp_json_plan *plan = new_plan(wants, 4);
    const char *json =
        "{\"id\":\"u-1\",\"a\":-12.5e-3,\"n\":{\"v\":[1,null],\"w\":{\"x\":[{}]}},\"t\":\"\\u00e9\xc3\xa9\","
        "\"at\":\"2024-02-29T12:34:56Z\",\"z\":[true]}";
    assert_int_equal(run_text(plan, json), LP_OK);
    for (size_t size = 0; size < strlen(json); size++) {
        assert_int_equal(run_bytes(plan, json, size), LP_E_INVALID);
        char changed[256];
        memcpy(changed, json, strlen(json) + 1);
        changed[size] = 1;
        assert_int_equal(run_text(plan, changed), LP_E_INVALID);
    }
    lp_json_plan_free(plan);
}

static void faults_name_the_place(void **state)
{
    (void)state;
    struct lp_want wants[] = {{.path = "o.l[1].x", .type = LP_WANT_NUMBER}};
    struct lp_json_plan *plan = new_plan(wants, 1);
    expect_invalid(plan, "{\"o\":{\"l\":[0,{\"x\":1,\"bad\":01}]}}", "o.l[1].bad");
    assert_non_null(strstr(err.text, "byte 27"));
    expect_invalid(plan, "{\"first\":{\"k\":tru}}", "first");
    expect_invalid(plan, "{\"o\":{\"l\":[0,{\"x\":\"\"}]}}", "o.l[1].x");
    expect_invalid(plan, "{\"o\":{\"l\":[0,1]}}", "o.l[1].x");
    expect_invalid(plan, "nonsense", "");
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
        cmocka_unit_test(documents_read_as_python_reads_them),
        cmocka_unit_test(paths_lead_through_objects_and_arrays),
        cmocka_unit_test(absent_and_null_are_missing),
        cmocka_unit_test(first_of_duplicate_keys_counts),
        cmocka_unit_test(keys_are_found_in_any_order_and_spelling),
        cmocka_unit_test(text_takes_strings_numbers_and_booleans),
        cmocka_unit_test(escaped_text_beyond_scratch_is_a_limit),
        cmocka_unit_test(numbers_take_booleans_and_refuse_the_rest),
        cmocka_unit_test(vectors_have_their_exact_width),
        cmocka_unit_test(nesting_stops_at_64),
        cmocka_unit_test(wanted_paths_reach_depth_64_and_no_further),
        cmocka_unit_test(texts_outside_rfc_8259_are_refused),
        cmocka_unit_test(texts_of_rfc_8259_are_accepted),
        cmocka_unit_test(every_cut_and_every_damaged_byte_is_refused),
        cmocka_unit_test(faults_name_the_place),
        cmocka_unit_test(plans_refuse_bad_wants),
        cmocka_unit_test(thousands_of_wants_find_their_fields),
        cmocka_unit_test(threads_may_share_a_plan),
    };
    int failed = cmocka_run_group_tests_name("json_record", tests, NULL, NULL);
    free(copy);
    return failed;
}
