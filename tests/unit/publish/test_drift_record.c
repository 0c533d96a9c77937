/* Drift records byte by byte (Avro 1.11 specification) and the schema against schemas/drift.avsc. */
#include "publish/drift_record.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const uint64_t counts[2] = {64, 3};
static const double edges[1] = {0.5}, reference[2] = {1, 2};
static const struct lp_span framing = {(const unsigned char *)"\0\0\0\0\7", 5};
static const struct lp_drift_source source = {"s", "r1", "v2", 0x0123456789abcdef};

static struct lp_drift_report a_report(void)
{
    return (struct lp_drift_report){.feature = "age",
                                    .window_start_ms = 60000,
                                    .window_end_ms = 120000,
                                    .rows = 70,
                                    .missing = 3,
                                    .clipped = 1,
                                    .unknown = 2,
                                    .bin_count = 2,
                                    .counts = counts,
                                    .reference_counts = reference,
                                    .edge_count = 1,
                                    .edges = edges,
                                    .statistic_count = 1,
                                    .statistics = {{"psi", 0.5, 0.25, LP_SEVERITY_ALERT}},
                                    .severity = LP_SEVERITY_ALERT};
}

static void encode(enum lp_output_format format, const struct lp_drift_source *who,
                   const struct lp_drift_report *report, struct lp_buffer *out)
{
    lp_buffer_init(out, 1 << 16);
    lp_drift_record_encode(format, framing, who, report, out);
    assert_false(out->failed);
}

static void avro_follows_the_schema(void **state)
{
    (void)state;
    static const char want[] = "\0\0\0\0\7"
                               "\2s\6"
                               "age\4r1\2\4v2"
                               "\2\x01\x23\x45\x67\x89\xab\xcd\xef"
                               "\xc0\xa9\7\x80\xd3\xe\0\0\0\0\0\0\x08\x40" /* 60000, 120000, n_ref 3.0 */
                               "\x8c\1"                                    /* n_cur 70 */
                               "\2\0\0\0\0\0\0\xe0\x3f\0"                  /* edges */
                               "\4\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40\0"
                               "\4\x80\1\6\0"
                               "\6\2\4"
                               "\2\6psi\0\0\0\0\0\0\xe0\x3f\2\0\0\0\0\0\0\xd0\x3f\4\0";
    struct lp_drift_report report = a_report();
    struct lp_buffer out;
    encode(LP_OUTPUT_AVRO, &source, &report, &out);
    assert_int_equal(out.size, sizeof want - 1);
    assert_memory_equal(out.data, want, out.size);
    lp_buffer_done(&out);
}

static void json_has_the_schemas_fields(void **state)
{
    (void)state;
    static const char want[] =
        "{\"slot\":\"s\",\"feature\":\"age\",\"replica\":\"r1\",\"version\":\"v2\","
        "\"model_sha256\":\"0123456789abcdef\",\"window_start\":60000,\"window_end\":120000,\"n_ref\":3,\"n_cur\":70,"
        "\"edges\":[0.5],\"ref_counts\":[1,2],\"counts\":[64,3],\"missing\":3,\"clipped\":1,\"unknown\":2,"
        "\"statistics\":[{\"name\":\"psi\",\"value\":0.5,\"threshold\":0.25,\"severity\":\"alert\"}]}";
    struct lp_drift_report report = a_report();
    struct lp_buffer out;
    encode(LP_OUTPUT_JSON, &source, &report, &out);
    assert_int_equal(out.size, sizeof want - 1);
    assert_memory_equal(out.data, want, out.size);
    lp_buffer_done(&out);
}

static void few_rows_and_no_version_are_written_as_such(void **state)
{
    (void)state;
    const struct lp_drift_source nobody = {.slot = "s", .replica = "r1"};
    struct lp_drift_report report = a_report();
    report.statistic_count = report.edge_count = 0;
    struct lp_buffer out;
    encode(LP_OUTPUT_JSON, &nobody, &report, &out);
    lp_buffer_append(&out, "", 1);
    assert_non_null(strstr((const char *)out.data, "\"version\":null,"));
    assert_non_null(strstr((const char *)out.data, "\"edges\":[],"));
    assert_non_null(strstr((const char *)out.data, "\"statistics\":[]}"));
    lp_buffer_done(&out);
}

static void the_schema_is_the_file(void **state)
{
    (void)state;
    json_t *file = json_load_file(TEST_DATA_DIR "/../../schemas/drift.avsc", 0, NULL);
    json_t *ours = json_loads(lp_drift_record_schema(), 0, NULL);
    assert_non_null(file);
    assert_non_null(ours);
    assert_true(json_equal(file, ours));
    json_decref(file);
    json_decref(ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avro_follows_the_schema),
        cmocka_unit_test(json_has_the_schemas_fields),
        cmocka_unit_test(few_rows_and_no_version_are_written_as_such),
        cmocka_unit_test(the_schema_is_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
