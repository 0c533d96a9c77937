/* What is a JSON text and what is none, judged by Python (json_documents.inc) and RFC 8259; faults and their places. */
#include "json_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_read_as_python_reads_them),
        cmocka_unit_test(nesting_stops_at_64),
        cmocka_unit_test(wanted_paths_reach_depth_64_and_no_further),
        cmocka_unit_test(texts_outside_rfc_8259_are_refused),
        cmocka_unit_test(texts_of_rfc_8259_are_accepted),
        cmocka_unit_test(every_cut_and_every_damaged_byte_is_refused),
        cmocka_unit_test(faults_name_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
