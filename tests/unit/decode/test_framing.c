/* Framing: bytes by hand from Confluent's wire format, Avro's specification (single-object encoding). */
#include "decode/framing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct lp_error err;
static struct lp_span none;

#define BYTES(...) lp_span_of((const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}))

static void expect_bad(enum lp_code code, enum lp_code expected, const char *hint)
{
    assert_int_equal(code, expected);
    assert_int_equal(err.code, expected);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    if (strstr(err.text, hint) == NULL) fail_msg("\"%s\" is not in \"%s\"", hint, err.text);
}

static void confluent_id_is_big_endian(void **state)
{
    (void)state;
    uint64_t id = 0;
    struct lp_span body, value = BYTES(0, 0x01, 0x02, 0x03, 0x04, 0xaa, 0xbb);
    assert_int_equal(lp_framing_confluent(value, none, 4, &id, &body, &err), LP_OK);
    assert_int_equal(id, 0x01020304);
    assert_true(lp_span_equal(body, BYTES(0xaa, 0xbb)));
    value = BYTES(0, 0xff, 0, 0, 0, 0, 0, 0, 0x09, 0xaa);
    assert_int_equal(lp_framing_confluent(value, none, 8, &id, &body, &err), LP_OK);
    assert_true(id == 0xff00000000000009u);
    assert_true(lp_span_equal(body, BYTES(0xaa)));
    value = BYTES(0, 0, 0, 0, 7); /* an empty record has an empty body */
    assert_int_equal(lp_framing_confluent(value, none, 4, &id, &body, &err), LP_OK);
    assert_int_equal(id, 7);
    assert_true(body.data != NULL && body.size == 0);
}

static void id_in_the_header_leaves_the_value_whole(void **state)
{
    (void)state;
    uint64_t id = 0;
    struct lp_span body, value = BYTES(0, 1, 2), header = BYTES(0, 0, 0, 1, 2);
    assert_int_equal(lp_framing_confluent(value, header, 4, &id, &body, &err), LP_OK);
    assert_int_equal(id, 258);
    assert_true(body.data == value.data && body.size == value.size);
    header = BYTES(1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    expect_bad(lp_framing_confluent(value, header, 4, &id, &body, &err), LP_E_UNSUPPORTED, "GUID");
    header = BYTES(0, 0, 0, 1);
    expect_bad(lp_framing_confluent(value, header, 4, &id, &body, &err), LP_E_INVALID, "__value_schema_id");
    header = BYTES(2, 0, 0, 0, 1);
    expect_bad(lp_framing_confluent(value, header, 4, &id, &body, &err), LP_E_INVALID, "__value_schema_id");
    header = lp_span_of("", 0);
    expect_bad(lp_framing_confluent(value, header, 4, &id, &body, &err), LP_E_INVALID, "0 bytes");
}

static void other_values_are_refused_with_a_guess(void **state)
{
    (void)state;
    uint64_t id = 77;
    struct lp_span body;
    expect_bad(lp_framing_confluent(lp_span_of("", 0), none, 4, &id, &body, &err), LP_E_INVALID, "empty");
    expect_bad(lp_framing_confluent(lp_span_text("{\"a\":1}"), none, 4, &id, &body, &err), LP_E_INVALID,
               "input.format=json");
    expect_bad(lp_framing_confluent(BYTES(0xc3, 1, 0, 0, 0, 0, 0, 0, 0, 0), none, 4, &id, &body, &err), LP_E_INVALID,
               "single_object");
    expect_bad(lp_framing_confluent(BYTES(0, 0, 0, 1), none, 4, &id, &body, &err), LP_E_INVALID, "cut short");
    expect_bad(lp_framing_confluent(BYTES(0, 0, 0, 0, 0, 0, 0, 1), none, 8, &id, &body, &err), LP_E_INVALID,
               "cut short");
    expect_bad(
        lp_framing_confluent(BYTES(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), none, 4, &id, &body, &err),
        LP_E_UNSUPPORTED, "GUID");
    expect_bad(lp_framing_confluent(BYTES(3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), none, 4, &id,
                                    &body, &err),
               LP_E_INVALID, "Glue");
    expect_bad(lp_framing_single_object(BYTES(0, 0, 0, 0, 1), &id, &body, &err), LP_E_INVALID,
               "input.format=confluent");
    expect_bad(lp_framing_single_object(BYTES(0xc3), &id, &body, &err), LP_E_INVALID, "C3 01");
    expect_bad(lp_framing_single_object(BYTES(0xc3, 2, 0, 0, 0, 0, 0, 0, 0, 0), &id, &body, &err), LP_E_INVALID,
               "C3 01");
    expect_bad(lp_framing_single_object(BYTES(0xc3, 1, 0, 0, 0, 0, 0, 0, 0), &id, &body, &err), LP_E_INVALID,
               "cut short");
    assert_int_equal(id, 77);
}

static void single_object_fingerprint_is_little_endian(void **state)
{
    (void)state;
    uint64_t fingerprint = 0;
    struct lp_span body;
    assert_int_equal(lp_framing_single_object(BYTES(0xc3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0xaa), &fingerprint, &body, &err),
                     LP_OK);
    assert_true(fingerprint == 0x0807060504030201u);
    assert_true(lp_span_equal(body, BYTES(0xaa)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confluent_id_is_big_endian),
        cmocka_unit_test(id_in_the_header_leaves_the_value_whole),
        cmocka_unit_test(other_values_are_refused_with_a_guess),
        cmocka_unit_test(single_object_fingerprint_is_little_endian),
    };
    return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
