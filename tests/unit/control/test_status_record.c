/* Status records: what is written fits schemas/status.schema.json and is read back; what others write is taken with
 * care. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/status_record.h"

#define SHA "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SCHEMA TEST_DATA_DIR "/../../schemas/status.schema.json"

static json_t *schema;
static struct lp_error err;

static int load_schema(void **state)
{
    (void)state;
    schema = json_load_file(SCHEMA, 0, NULL);
    return schema != NULL ? 0 : -1;
}

static int free_schema(void **state)
{
    (void)state;
    json_decref(schema);
    return 0;
}

static bool has_type(const json_t *value, const char *type)
{
    return (strcmp(type, "null") == 0 && json_is_null(value)) ||
           (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "integer") == 0 && json_is_integer(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value));
}

static void check_type(const char *name, const json_t *value, json_t *rule)
{
    json_t *type = json_object_get(rule, "type"), *one;
    size_t i;
    bool fits = type == NULL || (json_is_string(type) && has_type(value, json_string_value(type)));
    json_array_foreach(type, i, one) fits = fits || has_type(value, json_string_value(one));
    if (!fits) fail_msg("%s has the wrong type", name);
}

/* The members of the schema that this record meets: type, enum, const, minimum, minLength, and the one pattern. */
static void check_member(const char *name, const json_t *value, json_t *rule)
{
    json_t *words = json_object_get(rule, "enum"), *word, *only = json_object_get(rule, "const");
    size_t i;
    bool found = words == NULL;
    check_type(name, value, rule);
    json_array_foreach(words, i, word) found = found || json_equal(value, word);
    if (!found) fail_msg("%s is not one of the schema's words", name);
    if (only != NULL) assert_true(json_equal(value, only));
    if (json_is_integer(value) && json_object_get(rule, "minimum") != NULL)
        assert_true(json_integer_value(value) >= json_integer_value(json_object_get(rule, "minimum")));
    if (json_is_string(value) && json_object_get(rule, "minLength") != NULL)
        assert_true(json_string_length(value) >= (size_t)json_integer_value(json_object_get(rule, "minLength")));
    if (json_is_string(value) && json_object_get(rule, "pattern") != NULL) {
        assert_string_equal(json_string_value(json_object_get(rule, "pattern")), "^[0-9a-f]{64}$");
        assert_int_equal(json_string_length(value), 64);
        assert_int_equal(strspn(json_string_value(value), "0123456789abcdef"), 64);
    }
}

static void check_schema(const char *text)
{
    json_t *record = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *name, *value;
    json_t *properties = json_object_get(schema, "properties");
    const char *key;
    size_t i;
    assert_non_null(record);
    json_array_foreach(json_object_get(schema, "required"), i, name)
    {
        if (json_object_get(record, json_string_value(name)) == NULL)
            fail_msg("%s is missing", json_string_value(name));
    }
    json_object_foreach(record, key, value)
    {
        if (json_object_get(properties, key) == NULL) fail_msg("%s is not in the schema", key);
        check_member(key, value, json_object_get(properties, key));
    }
    json_decref(record);
}

static struct lp_status_record full(void)
{
    return (struct lp_status_record){.slot = "ctr",
                                     .replica = "host-1",
                                     .generation = 12,
                                     .state = LP_SLOT_LIVE,
                                     .reason = "tab\t \"quote\" ä",
                                     .serving = true,
                                     .serving_generation = 11,
                                     .version = "1.0",
                                     .sha256 = SHA,
                                     .time_ms = 1700000000123};
}

static void what_is_written_fits_the_schema_and_is_read_back(void **state)
{
    (void)state;
    char desired[] = "{\"format\":1,\"generation\":12,\"active\":{\"uri\":\"file:///m\",\"sha256\":\"" SHA "\"}}";
    for (int i = LP_SLOT_STARTING; i <= LP_SLOT_STOPPED; i++) {
        struct lp_status_record record = full(), read;
        record.state = (enum lp_slot_state)i;
        record.desired_json = i % 2 == 0 ? desired : NULL;
        if (i % 3 == 0) {
            record.serving = false;
            record.serving_generation = 0;
            record.reason[0] = record.version[0] = record.sha256[0] = '\0';
        }
        char *text = lp_status_record_encode(&record);
        assert_non_null(text);
        check_schema(text);
        if (lp_status_record_parse(lp_span_text(text), &read, &err) != LP_OK) fail_msg("%s", err.text);
        assert_string_equal(read.slot, record.slot);
        assert_string_equal(read.replica, record.replica);
        assert_string_equal(read.reason, record.reason);
        assert_string_equal(read.version, record.version);
        assert_string_equal(read.sha256, record.sha256);
        assert_int_equal(read.generation, 12);
        assert_int_equal(read.state, i);
        assert_int_equal(read.serving, record.serving);
        assert_int_equal(read.serving_generation, record.serving_generation);
        assert_true(read.time_ms == record.time_ms);
        assert_int_equal(read.desired_json != NULL, record.desired_json != NULL);
        if (read.desired_json != NULL) assert_string_equal(read.desired_json, desired);
        lp_status_record_done(&read);
        free(text);
    }
}

static void the_time_is_utc_as_iso_8601_has_it(void **state)
{
    (void)state;
    struct lp_status_record record = full();
    char *text = lp_status_record_encode(&record);
    assert_non_null(strstr(text, "\"time\":\"2023-11-14T22:13:20.123Z\"")); /* date -u -d @1700000000 */
    free(text);
}

/* Reasons quote URIs and paths, cut to a length: a character may be cut in two. */
static void a_reason_that_is_no_utf_8_is_still_a_reason(void **state)
{
    (void)state;
    struct lp_status_record record = full(), read;
    memcpy(record.reason, "model file ab\xc3", 15);
    memcpy(record.version, "\xff\xfe", 3);
    char *text = lp_status_record_encode(&record);
    assert_non_null(text);
    check_schema(text);
    assert_int_equal(lp_status_record_parse(lp_span_text(text), &read, &err), LP_OK);
    assert_memory_equal(read.reason, "model file ab", 13);
    assert_true(strlen(read.version) > 0);
    lp_status_record_done(&read);
    free(text);
}

static void records_of_others_are_taken_with_care(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"state\":\"live\"}",
        "{\"generation\":1}",
        "{\"state\":\"zombie\",\"generation\":1}",
        "{\"state\":\"live\",\"generation\":-1}",
        "{\"state\":\"live\",\"generation\":\"1\"}",
        "{\"state\":5,\"generation\":1}",
        "{\"state\":\"live\",\"generation\":1.5}",
        "{\"state\":\"live\",",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lp_status_record read;
        enum lp_code rc = lp_status_record_parse(lp_span_text(bad[i]), &read, &err);
        if (rc != LP_E_INVALID) fail_msg("%s: code %d", bad[i], (int)rc);
    }
    static const char *const good[] = {
        "{\"state\":\"live\",\"generation\":1}",
        "{\"state\":\"live\",\"generation\":1,\"new member\":[1,2],\"desired\":5,\"time\":7,\"slot\":null}",
        "{\"state\":\"live\",\"generation\":1,\"serving_generation\":-5,\"time\":\"yesterday\"}",
        "{\"state\":\"live\",\"generation\":1,\"time\":\"2026-01-01T00:00:00.99999999999999999999999Z\"}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct lp_status_record read;
        if (lp_status_record_parse(lp_span_text(good[i]), &read, &err) != LP_OK) fail_msg("%s: %s", good[i], err.text);
        assert_false(read.serving);
        assert_null(read.desired_json);
        lp_status_record_done(&read);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_fits_the_schema_and_is_read_back),
        cmocka_unit_test(the_time_is_utc_as_iso_8601_has_it),
        cmocka_unit_test(a_reason_that_is_no_utf_8_is_still_a_reason),
        cmocka_unit_test(records_of_others_are_taken_with_care),
    };
    return cmocka_run_group_tests(tests, load_schema, free_schema);
}
