/* Small files that would cost much memory or time: refused by a named maximum before they do. */
#include "support.h"

#include <time.h>

static struct test_file file;
static char text[TEST_FILE_BYTES], escaped[TEST_FILE_BYTES], header[TEST_FILE_BYTES];
static size_t used;

#define START(...) (used = 0, test_append(text, sizeof text, &used, __VA_ARGS__))
#define APPEND(...) test_append(text, sizeof text, &used, __VA_ARGS__)

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void expect_parse(enum lp_code code, const char *fragment)
{
    struct lp_error err;
    double before = seconds();
    test_expect(test_parse(&file, &err), &err, code, fragment);
    assert_true(seconds() - before < 5); /* generous: sanitizers, loaded machines */
}

/* A bundle of the manifest in `text`, `tensors` (JSON members, may be empty) and data. */
static void set_bundle(const char *tensors, const void *data, size_t data_bytes)
{
    size_t header_used = 0;
    test_escape(text, escaped, sizeof escaped);
    test_append(header, sizeof header, &header_used, "{\"__metadata__\":{\"lepton\":\"%s\"}%s%s}", escaped,
                tensors[0] != '\0' ? "," : "", tensors);
    test_file_set(&file, header, data, data_bytes);
}

static void refuses_deep_nesting(void **state)
{
    (void)state;
    START("{\"a\":");
    memset(text + used, '[', 300000);
    text[used + 300000] = '\0';
    test_file_set(&file, text, "", 0);
    expect_parse(LP_E_LIMIT, "nested 300001 deep");
    memset(text + used, '[', 500000);
    text[used + 500000] = '\0';
    test_file_set(&file, text, "", 0);
    expect_parse(LP_E_LIMIT, "500002 values in 500001 objects and arrays");
    /* Brackets inside a text are no brackets. */
    START("{\"a\":\"\\\"[[");
    memset(text + used, '[', 300000);
    used += 300000;
    APPEND("\"}");
    test_file_set(&file, text, "", 0);
    expect_parse(LP_E_INVALID, "__metadata__");
}

static void refuses_swarms_of_values(void **state)
{
    (void)state;
    static char swarm[3 * LP_BUNDLE_JSON_CONTAINERS_MAX];
    struct lp_bundle *bundle;
    struct lp_error err;
    memcpy(swarm, (uint64_t[]){sizeof swarm - 8}, 8);
    memcpy(swarm + 8, "{\"a\":[{}", 8);
    for (size_t i = 16; i + 3 <= sizeof swarm; i += 3) memcpy(swarm + i, ",{}", 3);
    /* 399,997 objects: read, and found without an end. */
    test_expect(lp_bundle_parse(lp_span_of(swarm, sizeof swarm), &bundle, &err), &err, LP_E_INVALID, "not JSON");
    for (size_t i = 16; i + 3 <= sizeof swarm; i += 3) memcpy(swarm + i, "{}{", 3);
    test_expect(lp_bundle_parse(lp_span_of(swarm, sizeof swarm), &bundle, &err), &err, LP_E_LIMIT,
                "objects and arrays");
}

static void build_with_texts(size_t features, size_t words)
{
    START("{\"format\":1,\"name\":\"m\",\"version\":\"1\",\"task\":\"regression\",\"features\":[");
    for (size_t i = 0; i < features; i++)
        APPEND(
            "%s{\"name\":\"f%zu\",\"from\":\"f\",\"kind\":\"category\",\"missing\":{\"policy\":\"reject\"},\"encode\":"
            "{\"method\":\"index\",\"vocabulary\":{\"tensor\":\"t\",\"offsets\":\"o\"}}}",
            i > 0 ? "," : "", i);
    APPEND("],\"graph\":[],\"output\":{\"link\":\"identity\"}}");
    size_t offsets_bytes = 4 * (words + 1), bytes = offsets_bytes + 4 * words, tensors_used = 0;
    char tensors[256];
    test_append(tensors, sizeof tensors, &tensors_used,
                "\"o\":{\"dtype\":\"I32\",\"shape\":[%zu],\"data_offsets\":[0,%zu]},"
                "\"t\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}",
                words + 1, offsets_bytes, 4 * words, offsets_bytes, bytes);
    unsigned char *data = calloc(1, bytes);
    assert_non_null(data);
    for (uint32_t i = 0; i <= words; i++) memcpy(data + 4 * i, &(uint32_t){4 * i}, 4);
    for (uint32_t i = 0; i < words; i++) {
        char word[9];
        snprintf(word, sizeof word, "%04x", i);
        memcpy(data + offsets_bytes + 4 * (size_t)i, word, 4);
    }
    set_bundle(tensors, data, bytes);
    free(data);
}

static void refuses_a_vocabulary_repeated_by_thousands_of_features(void **state)
{
    (void)state;
    /* 2,000 features of 30,000 words each from one tensor of 120 KB: 60 million strings. */
    build_with_texts(2000, 30000);
    expect_parse(LP_E_LIMIT, "repeats its tensors");
    build_with_texts(3, 30000);
    expect_parse(LP_E_INVALID, "`graph` is empty"); /* three are fine: the next thing wrong is named */
}

static void refuses_a_weight_repeated_by_thousands_of_ops(void **state)
{
    (void)state;
    enum { WEIGHT_BYTES = 200 * 200 * 4 };
    START(
        "{\"format\":1,\"name\":\"m\",\"version\":\"1\",\"task\":\"regression\",\"features\":[{\"name\":\"v\",\"from\":"
        "\"v\",\"kind\":\"vector\",\"width\":200,\"missing\":{\"policy\":\"reject\"}}],\"graph\":["
        "{\"op\":\"dense\",\"input\":\"features\",\"output\":\"h0\",\"weight\":\"w\"}");
    for (size_t i = 0; i < 2000; i++)
        APPEND(",{\"op\":\"dense\",\"input\":\"h%zu\",\"output\":\"h%zu\",\"weight\":\"w\"}", i, i + 1);
    APPEND("],\"output\":{\"link\":\"identity\"}}");
    void *data = calloc(1, WEIGHT_BYTES);
    assert_non_null(data);
    set_bundle("\"w\":{\"dtype\":\"F32\",\"shape\":[200,200],\"data_offsets\":[0,160000]}", data, WEIGHT_BYTES);
    free(data);
    expect_parse(LP_E_LIMIT, "repeats its tensors");
}

static void build_with_inline_words(size_t count)
{
    START(
        "{\"format\":1,\"name\":\"m\",\"version\":\"1\",\"task\":\"regression\",\"features\":[{\"name\":\"c\",\"from\":"
        "\"c\","
        "\"kind\":\"category\",\"missing\":{\"policy\":\"reject\"},\"encode\":{\"method\":\"index\",\"vocabulary\":[");
    for (size_t i = 0; i < count; i++) APPEND("%s\"%zu\"", i > 0 ? "," : "", i);
    APPEND("]}}],\"graph\":[],\"output\":{\"link\":\"identity\"}}");
    set_bundle("", "", 0);
}

static void refuses_inline_arrays_above_a_thousand(void **state)
{
    (void)state;
    build_with_inline_words(1000);
    expect_parse(LP_E_INVALID, "`graph` is empty"); /* a thousand are read: the next thing wrong is named */
    build_with_inline_words(1001);
    expect_parse(LP_E_LIMIT, "`vocabulary` has 1001 entries: above 1000 they must be a tensor");
}

static void refuses_too_many_features_and_ops(void **state)
{
    (void)state;
    START("{\"format\":1,\"name\":\"m\",\"version\":\"1\",\"task\":\"regression\",\"features\":[{}");
    for (size_t i = 0; i < LP_BUNDLE_FEATURES_MAX; i++) APPEND(",{}");
    APPEND("],\"graph\":[],\"output\":{\"link\":\"identity\"}}");
    set_bundle("", "", 0);
    expect_parse(LP_E_LIMIT, "16385 features, at most 16384");
    START("{\"format\":1,\"name\":\"m\",\"version\":\"1\",\"task\":\"regression\",\"features\":[{\"name\":\"x\","
          "\"from\":\"x\","
          "\"kind\":\"number\",\"missing\":{\"policy\":\"reject\"}}],\"graph\":[{}");
    for (size_t i = 0; i < LP_BUNDLE_OPS_MAX; i++) APPEND(",{}");
    APPEND("],\"output\":{\"link\":\"identity\"}}");
    set_bundle("", "", 0);
    expect_parse(LP_E_LIMIT, "4097 ops, at most 4096");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_deep_nesting),
        cmocka_unit_test(refuses_swarms_of_values),
        cmocka_unit_test(refuses_a_vocabulary_repeated_by_thousands_of_features),
        cmocka_unit_test(refuses_a_weight_repeated_by_thousands_of_ops),
        cmocka_unit_test(refuses_inline_arrays_above_a_thousand),
        cmocka_unit_test(refuses_too_many_features_and_ops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
