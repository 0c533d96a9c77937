/* Desired state: schemas/control.schema.json decides (make_cases.py), lepton may only be stricter where it says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/desired.h"

#define SHA "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIGNATURE \
    "00112233445566ff:Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/Ab+/AQ=="
#define MODEL "{\"uri\":\"file:///m\",\"sha256\":\"" SHA "\"}"

static const struct {
    const char *text;
    bool valid, acted_upon;
} cases[] = {
#include "unit/control/desired_cases.inc"
};

static struct lp_error err;

static enum lp_code parse(const char *text, struct lp_desired **ret_desired)
{
    memset(&err, 0, sizeof err);
    return lp_desired_parse(lp_span_text(text), 65536, ret_desired, &err);
}

static void the_schema_decides(void **state)
{
    (void)state;
    size_t accepted = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lp_desired *desired = NULL;
        enum lp_code rc = parse(cases[i].text, &desired);
        if ((rc == LP_OK) != cases[i].acted_upon)
            fail_msg("%.300s: code %d (%s), by the schema %s", cases[i].text, (int)rc, err.text,
                     cases[i].valid ? "valid" : "invalid");
        if (rc == LP_OK) accepted++;
        else assert_true(err.text[0] != '\0' && desired == NULL);
        if (cases[i].valid && !cases[i].acted_upon) assert_int_equal(rc, LP_E_UNSUPPORTED);
        lp_desired_free(desired);
    }
    assert_true(accepted > 15);
}

static void members_arrive(void **state)
{
    (void)state;
    struct lp_desired *desired = NULL;
    assert_int_equal(parse("{\"format\":1,\"generation\":12,\"active\":" MODEL ",\"previous\":{\"uri\":\"kafka:m\","
                           "\"sha256\":\"" SHA "\"},\"paused\":true}",
                           &desired),
                     LP_OK);
    assert_int_equal(desired->generation, 12);
    assert_string_equal(desired->active.uri, "file:///m");
    assert_string_equal(desired->active.sha256, SHA);
    assert_true(desired->has_previous && desired->paused);
    assert_string_equal(desired->previous.uri, "kafka:m");
    struct lp_desired *again = NULL;
    assert_int_equal(parse(desired->json, &again), LP_OK);
    assert_string_equal(again->json, desired->json);
    lp_desired_free(again);
    lp_desired_free(desired);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field;
    } wrongs[] = {
        {"{\"format\":1,\"generation\":1}", "active"},
        {"{\"format\":1,\"generation\":1,\"active\":" MODEL ",\"paussed\":true}", "paussed"},
        {"{\"format\":1,\"generation\":-1,\"active\":" MODEL "}", "generation"},
        {"{\"format\":1,\"generation\":1,\"active\":" MODEL ",\"previous\":7}", "previous"},
        {"{\"format\":1,\"generation\":1,\"active\":" MODEL ",\"candidate\":{}}", "candidate"},
        {"{\"format\":1,\"generation\":1,\"active\":" MODEL ",\"guards\":{\"min_rows\":1}}", "guards"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        struct lp_desired *desired = NULL;
        assert_int_not_equal(parse(wrongs[i].text, &desired), LP_OK);
        assert_string_equal(err.field, wrongs[i].field);
        assert_non_null(strstr(err.text, wrongs[i].field));
    }
}

static void stricter_than_the_schema_can_say(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "nul",
        "\xff\xfe",
        "{\"format\":1,\"generation\":1,\"active\":" MODEL "}}",
        "{\"format\":1,\"format\":1,\"generation\":1,\"active\":" MODEL "}",
        "{\"format\":1,\"generation\":1,\"generation\":2,\"active\":" MODEL "}",
        "{\"format\":1,\"generation\":1,\"active\":{\"uri\":\"file:///m\\u0000x\",\"sha256\":\"" SHA "\"}}",
        "{\"format\":1,\"generation\":99999999999999999999,\"active\":" MODEL "}",
        "{\"format\":1,\"generation\":1e400,\"active\":" MODEL "}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct lp_desired *desired = NULL;
        assert_int_equal(parse(texts[i], &desired), LP_E_INVALID);
    }
    char text[16384] = "{\"format\":1,\"generation\":1,\"active\":{\"sha256\":\"" SHA "\",\"uri\":\"file:///";
    char *at = text + strlen(text);
    for (int i = 0; i < 2500; i++, at += 2) memcpy(at, "ä", 2); /* 2,508 characters, 5,008 bytes */
    memcpy(at, "\"}}", 4);
    struct lp_desired *desired = NULL;
    assert_int_equal(parse(text, &desired), LP_E_INVALID);
}

static void depth_and_size_are_bounded(void **state)
{
    (void)state;
    enum { DEPTH = 20000 };
    char *deep = malloc(2 * DEPTH + 1);
    assert_non_null(deep);
    memset(deep, '[', DEPTH);
    memset(deep + DEPTH, ']', DEPTH);
    deep[2 * DEPTH] = '\0';
    struct lp_desired *desired = NULL;
    assert_int_equal(parse(deep, &desired), LP_E_INVALID);
    assert_int_equal(lp_desired_parse(lp_span_text(deep), 2 * DEPTH - 1, &desired, &err), LP_E_LIMIT);
    assert_null(desired);
    free(deep);
}

static void what_we_write_we_read(void **state)
{
    (void)state;
    struct lp_model_source active = {.uri = "file:///models/ä \"quoted\".safetensors", .sha256 = SHA};
    struct lp_model_source previous = {.uri = "file:///models/b", .sha256 = SHA, .signature = SIGNATURE}, none = {0};
    for (int i = 0; i < 4; i++) {
        const struct lp_model_source *before = i & 1 ? &previous : i & 2 ? &none : NULL;
        char *text = lp_desired_encode(9007199254740991u, &active, before, i > 1);
        struct lp_desired *desired = NULL;
        assert_non_null(text);
        assert_int_equal(parse(text, &desired), LP_OK);
        assert_true(desired->generation == 9007199254740991u);
        assert_string_equal(desired->active.uri, active.uri);
        assert_int_equal(desired->has_previous, i & 1);
        if (desired->has_previous) assert_string_equal(desired->previous.uri, previous.uri);
        assert_string_equal(desired->active.signature, "");
        if (desired->has_previous) assert_string_equal(desired->previous.signature, SIGNATURE);
        assert_int_equal(desired->paused, i > 1);
        lp_desired_free(desired);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_decides),         cmocka_unit_test(members_arrive),
        cmocka_unit_test(what_is_wrong_is_named),     cmocka_unit_test(stricter_than_the_schema_can_say),
        cmocka_unit_test(depth_and_size_are_bounded), cmocka_unit_test(what_we_write_we_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
