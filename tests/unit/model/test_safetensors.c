/* The container, damaged in every way that its specification forbids. */
#include "support.h"

/* The smallest bundle: one feature, one dense op of 1 x 1, its bias. */
#define MANIFEST                                                                                                 \
    "{\\\"format\\\":1,\\\"name\\\":\\\"m\\\",\\\"version\\\":\\\"1\\\",\\\"task\\\":\\\"regression\\\","        \
    "\\\"features\\\":[{\\\"name\\\":\\\"x\\\","                                                                 \
    "\\\"from\\\":\\\"x\\\",\\\"kind\\\":\\\"number\\\",\\\"missing\\\":{\\\"policy\\\":\\\"reject\\\"}}],"      \
    "\\\"graph\\\":[{\\\"op\\\":\\\"dense\\\","                                                                  \
    "\\\"input\\\":\\\"features\\\",\\\"output\\\":\\\"y\\\",\\\"weight\\\":\\\"w\\\",\\\"bias\\\":\\\"b\\\"}]," \
    "\\\"output\\\":{\\\"link\\\":\\\"identity\\\"}}"
#define METADATA "\"__metadata__\":{\"lepton\":\"" MANIFEST "\"}"
#define WEIGHT "\"w\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}"
#define BIAS "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}"

static struct test_file file;
static const float good_data[] = {2.0f, 0.5f};

static void accepts_the_smallest_bundle(void **state)
{
    (void)state;
    struct lp_error err;
    test_file_set(&file, "{" METADATA "," WEIGHT "," BIAS "}", good_data, sizeof good_data);
    test_expect(test_parse(&file, &err), &err, LP_OK, "");
    /* Padding with spaces is what the reference writer does to align the data. */
    test_file_set(&file, "{" METADATA "," WEIGHT "," BIAS "}     ", good_data, sizeof good_data);
    test_expect(test_parse(&file, &err), &err, LP_OK, "");
}

static void refuses_damaged_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum lp_code code;
        const char *fragment;
    } cases[] = {
        {"{}", LP_E_INVALID, "__metadata__"},
        {"{" WEIGHT "," BIAS "}", LP_E_INVALID, "__metadata__"},
        {"{\"__metadata__\":{\"lepton\":7}," WEIGHT "," BIAS "}", LP_E_INVALID, "__metadata__"},
        {"[" WEIGHT "]", LP_E_INVALID, "does not begin"},
        {"{" METADATA "," WEIGHT "," BIAS, LP_E_INVALID, "not JSON"},
        {"{" METADATA "," WEIGHT "," WEIGHT "}", LP_E_INVALID, "duplicate"},
        {"{" METADATA "," WEIGHT "}", LP_E_INVALID, "belong to none"},
        {"{" METADATA "," BIAS "}", LP_E_INVALID, "hole"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", LP_E_INVALID,
         "overlap"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,12]}}", LP_E_INVALID,
         "cut short"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}", LP_E_INVALID,
         "data_offsets"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,8]}}", LP_E_INVALID,
         "data_offsets"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", LP_E_INVALID,
         "data_offsets"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4.0,8]}}", LP_E_INVALID,
         "data_offsets"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,8]}}", LP_E_MISMATCH,
         "shape"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[4,8]}}", LP_E_MISMATCH,
         "shape"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[4,8]}}", LP_E_INVALID,
         "shape"},
        /* 2^62 * 4 wraps to 0 in 64 bits, 2^32 * 2^32 as well. */
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[8,8]}}",
         LP_E_MISMATCH, "shape"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[8,8]}}",
         LP_E_INVALID, "more elements"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[4,8]}}",
         LP_E_LIMIT, "rank 9"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"U16\",\"shape\":[2],\"data_offsets\":[4,8]}}", LP_E_UNSUPPORTED,
         "U16"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"X\",\"shape\":[1],\"data_offsets\":[4,8]}}", LP_E_INVALID, "`X`"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"data_offsets\":[4,8]}}", LP_E_INVALID,
         "`shape` is missing"},
        {"{" METADATA "," WEIGHT ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8],\"size\":4}}",
         LP_E_INVALID, "unknown member `size`"},
        {"{" METADATA "," WEIGHT ",\"b\":[]}", LP_E_INVALID, "is not an object"},
        {"{" METADATA "," WEIGHT ",\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", LP_E_INVALID,
         "name has 0 bytes"},
        {"{" METADATA "," WEIGHT ",\"a\\nb\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", LP_E_INVALID,
         "control characters"},
        {"{" METADATA "," WEIGHT ",\"c\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", LP_E_INVALID,
         "names the tensor `b`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lp_error err;
        test_file_set(&file, cases[i].header, good_data, sizeof good_data);
        test_expect(test_parse(&file, &err), &err, cases[i].code, cases[i].fragment);
    }
}

static void refuses_every_cut(void **state)
{
    (void)state;
    test_file_set(&file, "{" METADATA "," WEIGHT "," BIAS "}", good_data, sizeof good_data);
    for (size_t whole = file.size, size = 0; size < whole; size++) {
        struct lp_error err;
        file.size = size;
        assert_int_equal(test_parse(&file, &err), LP_E_INVALID);
    }
}

static void names_the_weight_that_is_not_finite(void **state)
{
    (void)state;
    /* NaN of both signs, quiet and signalling, and the infinities. */
    static const uint32_t bad[] = {0x7fc00000, 0xffc00000, 0x7f800001, 0x7f800000, 0xff800000};
    static const char *const words[] = {"NaN", "NaN", "NaN", "Inf", "-Inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lp_error err;
        char fragment[64];
        float data[2] = {2.0f, 0.0f};
        memcpy(&data[1], &bad[i], sizeof bad[i]);
        test_file_set(&file, "{" METADATA "," WEIGHT "," BIAS "}", data, sizeof data);
        snprintf(fragment, sizeof fragment, "tensor `b`[0] is %s:", words[i]);
        test_expect(test_parse(&file, &err), &err, LP_E_INVALID, fragment);
    }
    /* The largest float and a denormal are numbers. */
    struct lp_error err;
    const float extreme[] = {3.4028235e38f, 1e-45f};
    test_file_set(&file, "{" METADATA "," WEIGHT "," BIAS "}", extreme, sizeof extreme);
    test_expect(test_parse(&file, &err), &err, LP_OK, "");
}

static void refuses_a_header_that_claims_more_than_the_file(void **state)
{
    (void)state;
    static const uint64_t claims[] = {UINT64_MAX, (uint64_t)1 << 63, (uint64_t)10 << 30, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        struct lp_error err;
        test_file_set(&file, "{" METADATA "," WEIGHT "," BIAS "}", good_data, sizeof good_data);
        memcpy(file.bytes, &claims[i], sizeof claims[i]);
        test_expect(test_parse(&file, &err), &err, LP_E_INVALID, "claims a header of");
    }
}

static void keeps_unaligned_and_empty_tensors_apart(void **state)
{
    (void)state;
    /* One byte before the floats leaves them unaligned in the file; an empty tensor covers nothing. */
    static const char header[] = "{" METADATA ",\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                 "\"w\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[1,5]},"
                                 "\"e\":{\"dtype\":\"I64\",\"shape\":[0,3],\"data_offsets\":[5,5]},"
                                 "\"s\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[5,9]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[9,13]}}";
    unsigned char data[13] = {0x5a};
    const int32_t scalar = -7;
    memcpy(data + 1, &good_data[0], 4);
    memcpy(data + 5, &scalar, 4);
    memcpy(data + 9, &good_data[1], 4);
    test_file_set(&file, header, data, sizeof data);
    struct lp_bundle *bundle;
    struct lp_error err;
    test_expect(lp_bundle_parse(lp_span_of(file.bytes, file.size), &bundle, &err), &err, LP_OK, "");
    assert_int_equal(bundle->tensor_count, 5);
    for (uint32_t i = 0; i < bundle->tensor_count; i++) assert_int_equal((uintptr_t)bundle->tensors[i].data % 8, 0);
    assert_int_equal(*(const unsigned char *)lp_bundle_tensor(bundle, "a")->data, 0x5a);
    assert_int_equal(*(const int32_t *)lp_bundle_tensor(bundle, "s")->data, -7);
    assert_int_equal(lp_bundle_tensor(bundle, "s")->count, 1);
    assert_int_equal(lp_bundle_tensor(bundle, "e")->count, 0);
    assert_true(*(const float *)lp_bundle_tensor(bundle, "w")->data == 2.0f);
    assert_true(*(const float *)lp_bundle_tensor(bundle, "b")->data == 0.5f);
    assert_null(lp_bundle_tensor(bundle, "none"));
    lp_bundle_free(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_smallest_bundle),
        cmocka_unit_test(refuses_damaged_headers),
        cmocka_unit_test(refuses_every_cut),
        cmocka_unit_test(names_the_weight_that_is_not_finite),
        cmocka_unit_test(refuses_a_header_that_claims_more_than_the_file),
        cmocka_unit_test(keeps_unaligned_and_empty_tensors_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
