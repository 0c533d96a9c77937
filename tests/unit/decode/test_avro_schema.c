/*
 * Schema parsing and the canonical form. The primitives' fingerprints are those that the Apache Avro project publishes
 * for all its languages; canonical texts are the specification's transformation by hand, checked with Avro Java.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/avro_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 4096 };

static struct lp_avro_schema *parse(const char *text)
{
    struct lp_avro_schema *schema = NULL;
    struct lp_error err = {0};
    if (lp_avro_schema_parse(lp_span_text(text), &schema, &err) != LP_OK) fail_msg("%s", err.text);
    return schema;
}

static enum lp_code refusal(const char *text, size_t bytes, struct lp_error *err)
{
    struct lp_avro_schema *schema = NULL;
    enum lp_code code = lp_avro_schema_parse(lp_span_of(text, bytes), &schema, err);
    assert_null(schema);
    return code;
}

static void keep(void *to, const char *text, size_t bytes)
{
    char *all = to;
    size_t used = strlen(all);
    assert_true(used + bytes < TEXT_MAX_BYTES);
    memcpy(all + used, text, bytes);
    all[used + bytes] = '\0';
}

static void canonical_is(const char *schema_text, const char *expected)
{
    char text[TEXT_MAX_BYTES] = "";
    struct lp_avro_schema *schema = parse(schema_text);
    lp_avro_canonical(schema->root, keep, text);
    assert_string_equal(text, expected);
    struct lp_avro_schema *again = parse(text);
    assert_true(lp_avro_schema_fingerprint(again) == lp_avro_schema_fingerprint(schema));
    lp_avro_schema_free(schema);
    lp_avro_schema_free(again);
}

static void primitives_have_their_published_fingerprints(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        int64_t fingerprint;
    } rows[] = {
        {"\"null\"", 7195948357588979594},
        {"\"boolean\"", -6970731678124411036},
        {"\"int\"", 8247732601305521295},
        {"\"long\"", -3434872931120570953},
        {"\"float\"", 5583340709985441680},
        {"\"double\"", -8181574048448539266},
        {"\"bytes\"", 5746618253357095269},
        {"\"string\"", -8142146995180207161},
        {"{\"type\": \"int\"}", 8247732601305521295},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lp_avro_schema *schema = parse(rows[i].schema);
        assert_true((int64_t)lp_avro_schema_fingerprint(schema) == rows[i].fingerprint);
        lp_avro_schema_free(schema);
    }
}

static void canonical_form_orders_strips_and_qualifies(void **state)
{
    (void)state;
    canonical_is("{\"doc\":\"d\",\"fields\":[{\"default\":1,\"type\":{\"type\":\"int\",\"logicalType\":\"date\"},"
                 "\"name\":\"a\",\"aliases\":[\"b\"]}],\"namespace\":\"n.s\",\"name\":\"R\",\"type\":\"record\"}",
                 "{\"name\":\"n.s.R\",\"type\":\"record\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}");
    canonical_is("[\"null\",{\"values\":{\"items\":\"long\",\"type\":\"array\"},\"type\":\"map\"}]",
                 "[\"null\",{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"long\"}}]");
    canonical_is("{\"type\":\"enum\",\"symbols\":[\"A\",\"B\"],\"default\":\"A\",\"name\":\"x.E\"}",
                 "{\"name\":\"x.E\",\"type\":\"enum\",\"symbols\":[\"A\",\"B\"]}");
    canonical_is("{\"type\":\"fixed\",\"size\":16,\"name\":\"F\",\"logicalType\":\"uuid\"}",
                 "{\"name\":\"F\",\"type\":\"fixed\",\"size\":16}");
    canonical_is("{\"type\":\"record\",\"name\":\"a.N\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"N\"]},"
                 "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}},{\"name\":\"f\","
                 "\"type\":\"a.E\"}]}",
                 "{\"name\":\"a.N\",\"type\":\"record\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"a.N\"]},"
                 "{\"name\":\"e\",\"type\":{\"name\":\"a.E\",\"type\":\"enum\",\"symbols\":[]}},{\"name\":\"f\","
                 "\"type\":\"a.E\"}]}");
}

static void logical_types_are_read_where_they_fit(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        enum lp_avro_logical logical;
        uint32_t scale;
    } rows[] = {
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2}", LP_AVRO_DECIMAL, 2},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4}", LP_AVRO_DECIMAL, 0},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":5}", LP_AVRO_PLAIN, 0},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":0}", LP_AVRO_PLAIN, 0},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":\"4\"}", LP_AVRO_PLAIN, 0},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":4}", LP_AVRO_DECIMAL,
         0},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":5}", LP_AVRO_PLAIN,
         0},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"logicalType\":\"uuid\"}", LP_AVRO_UUID, 0},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":15,\"logicalType\":\"uuid\"}", LP_AVRO_PLAIN, 0},
        {"{\"type\":\"string\",\"logicalType\":\"uuid\"}", LP_AVRO_UUID, 0},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", LP_AVRO_DATE, 0},
        {"{\"type\":\"long\",\"logicalType\":\"date\"}", LP_AVRO_PLAIN, 0},
        {"{\"type\":\"int\",\"logicalType\":\"time-millis\"}", LP_AVRO_TIME, 0},
        {"{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", LP_AVRO_TIMESTAMP_NANOS, 0},
        {"{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}", LP_AVRO_TIMESTAMP_MICROS, 0},
        {"{\"type\":\"long\",\"logicalType\":5}", LP_AVRO_PLAIN, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lp_avro_schema *schema = parse(rows[i].schema);
        if (schema->root->logical != rows[i].logical || schema->root->scale != rows[i].scale)
            fail_msg("%s", rows[i].schema);
        lp_avro_schema_free(schema);
    }
}

static void aliases_are_full_names_in_the_type_s_namespace(void **state)
{
    (void)state;
    struct lp_avro_schema *schema =
        parse("{\"type\":\"fixed\",\"name\":\"a.b\",\"aliases\":[\"c\",\"x.y\"],\"size\":1}");
    assert_int_equal(schema->root->alias_count, 2);
    assert_true(lp_span_is(schema->root->aliases[0], "a.c") && lp_span_is(schema->root->aliases[1], "x.y"));
    lp_avro_schema_free(schema);
}

static void integers_past_64_bits_do_not_fail_the_schema(void **state)
{
    (void)state;
    struct lp_avro_schema *schema =
        parse("{\"type\":\"record\",\"name\":\"R\",\"note\":\"\\\"123456789012345678901234567890\",\"fields\":["
              "{\"name\":\"a\",\"type\":\"double\",\"default\":-123456789012345678901234567890},"
              "{\"name\":\"b\",\"type\":\"long\",\"default\":9223372036854775807}]}");
    assert_true(json_is_real(schema->root->fields[0].fallback));
    assert_true(json_real_value(schema->root->fields[0].fallback) == -123456789012345678901234567890.0);
    assert_true(json_integer_value(schema->root->fields[1].fallback) == INT64_MAX);
    lp_avro_schema_free(schema);
    struct lp_error err;
    const char *text = "{\"type\":\"int\",\"x\":1e999}";
    assert_int_equal(refusal(text, strlen(text), &err), LP_E_INVALID);
    text = "[12345678901234567890";
    assert_int_equal(refusal(text, strlen(text), &err), LP_E_INVALID);
    text = "[12345678901234567890, \"\\";
    assert_int_equal(refusal(text, strlen(text), &err), LP_E_INVALID);
}

static void schema_past_its_size_is_refused(void **state)
{
    (void)state;
    struct lp_error err;
    char *text = malloc(LP_AVRO_SCHEMA_MAX_BYTES + 1);
    memset(text, ' ', LP_AVRO_SCHEMA_MAX_BYTES + 1);
    memcpy(text, "\"int\"", 5);
    assert_int_equal(refusal(text, LP_AVRO_SCHEMA_MAX_BYTES + 1, &err), LP_E_LIMIT);
    struct lp_avro_schema *schema = NULL;
    assert_int_equal(lp_avro_schema_parse(lp_span_of(text, LP_AVRO_SCHEMA_MAX_BYTES), &schema, &err), LP_OK);
    lp_avro_schema_free(schema);
    free(text);
    assert_int_equal(refusal(NULL, 0, &err), LP_E_INVALID);
    assert_int_equal(refusal("", 0, &err), LP_E_INVALID);
}

/* A record of so many fields, each a union of the eight primitives: nine types a field, and the record. */
static enum lp_code parse_wide(uint32_t fields, struct lp_error *err)
{
    const char *open = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[";
    char *text = malloc(LP_AVRO_SCHEMA_MAX_BYTES);
    struct lp_avro_schema *schema = NULL;
    size_t used = (size_t)snprintf(text, 64, "%s", open);
    for (uint32_t i = 0; i < fields; i++)
        used += (size_t)snprintf(text + used, 128,
                                 "%s{\"name\":\"f%u\",\"type\":[\"null\",\"boolean\",\"int\",\"long\",\"float\","
                                 "\"double\",\"bytes\",\"string\"]}",
                                 i > 0 ? "," : "", (unsigned)i);
    used += (size_t)snprintf(text + used, 8, "]}");
    enum lp_code code = lp_avro_schema_parse(lp_span_of(text, used), &schema, err);
    lp_avro_schema_free(schema);
    free(text);
    return code;
}

static void types_are_counted(void **state)
{
    (void)state;
    struct lp_error err;
    assert_int_equal(parse_wide((LP_AVRO_NODES_MAX - 1) / 9, &err), LP_OK);
    assert_int_equal(parse_wide((LP_AVRO_NODES_MAX - 1) / 9 + 1, &err), LP_E_LIMIT);
}

static void errors_name_what_is_wrong(void **state)
{
    (void)state;
    struct lp_error err = {0};
    const char *text = "{\"type\":\"record\",\"name\":\"n.R\",\"fields\":[{\"name\":\"a\",\"type\":\"nosuch\"}]}";
    assert_int_equal(refusal(text, strlen(text), &err), LP_E_INVALID);
    assert_non_null(strstr(err.text, "n.nosuch"));
    assert_int_equal(err.action, LP_FATAL);
    text = "{\"type\":\n\"record\" \"x\"}";
    assert_int_equal(refusal(text, strlen(text), &err), LP_E_INVALID);
    assert_non_null(strstr(err.text, "line 2"));
}

static size_t put_union(char *text, size_t room, int branches)
{
    size_t used = (size_t)snprintf(text, room, "[");
    for (int i = 0; i < branches; i++)
        used += (size_t)snprintf(text + used, room - used, "%s{\"type\":\"fixed\",\"name\":\"F%d\",\"size\":1}",
                                 i > 0 ? "," : "", i);
    return used + (size_t)snprintf(text + used, room - used, "]");
}

static void a_union_of_too_many_branches_is_a_limit(void **state)
{
    (void)state;
    enum { ROOM = 1 << 18 };
    char *text = malloc(ROOM);
    struct lp_error err;
    struct lp_avro_schema *schema = NULL;
    assert_non_null(text);
    size_t bytes = put_union(text, ROOM, LP_AVRO_BRANCHES_MAX);
    assert_int_equal(lp_avro_schema_parse(lp_span_of(text, bytes), &schema, &err), LP_OK);
    lp_avro_schema_free(schema);
    bytes = put_union(text, ROOM, LP_AVRO_BRANCHES_MAX + 1);
    assert_int_equal(refusal(text, bytes, &err), LP_E_LIMIT);
    assert_non_null(strstr(err.text, "4096"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(primitives_have_their_published_fingerprints),
        cmocka_unit_test(canonical_form_orders_strips_and_qualifies),
        cmocka_unit_test(logical_types_are_read_where_they_fit),
        cmocka_unit_test(aliases_are_full_names_in_the_type_s_namespace),
        cmocka_unit_test(integers_past_64_bits_do_not_fail_the_schema),
        cmocka_unit_test(schema_past_its_size_is_refused),
        cmocka_unit_test(types_are_counted),
        cmocka_unit_test(errors_name_what_is_wrong),
        cmocka_unit_test(a_union_of_too_many_branches_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
