/* The manifest: what is read, and that everything else is refused with its place named. */
#include "support.h"

#include <math.h>

static const char manifest[] =
    "{\"format\":1,\"name\":\"shop\",\"version\":\"7b\",\"task\":\"binary\",\"labels\":[\"no\",\"yes\"],\"created\":"
    "\"2026-01-01T00:00:00Z\","
    "\"lineage\":{\"parent\":null,\"steps\":[\"x\"]},\"training\":{\"rows\":5,\"metrics\":{\"auc\":0.5}},"
    "\"features\":["
    "{\"name\":\"n\",\"from\":\"a.n\",\"kind\":\"number\",\"missing\":{\"policy\":\"indicator\",\"value\":1.5},"
    "\"outlier\":{\"policy\":\"clip\",\"low\":-2,\"high\":9},\"normalize\":{\"method\":\"minmax\",\"min\":-2,\"max\":6}"
    ","
    "\"baseline\":{\"edges\":[0,1.5],\"counts\":[10,20,30],\"missing_rate\":0.25}},"
    "{\"name\":\"c\",\"from\":\"c\",\"kind\":\"category\",\"missing\":{\"policy\":\"value\",\"value\":\"blue\"},"
    "\"encode\":{\"method\":\"onehot\",\"vocabulary\":[\"red\",\"blue\"]},\"baseline\":{\"counts\":[1,2,3]}},"
    "{\"name\":\"h\",\"from\":\"h\",\"kind\":\"category\",\"missing\":{\"policy\":\"value\",\"value\":\"foobar\"},"
    "\"encode\":{\"method\":\"hash\",\"buckets\":1000}},"
    "{\"name\":\"i\",\"from\":\"i\",\"kind\":\"category\",\"missing\":{\"policy\":\"reject\"},"
    "\"encode\":{\"method\":\"index\",\"vocabulary\":[\"a\",\"\"],\"unknown\":false}},"
    "{\"name\":\"v\",\"from\":\"v\",\"kind\":\"vector\",\"width\":2,\"missing\":{\"policy\":\"mean\",\"value\":3},"
    "\"normalize\":{\"method\":\"zscore\",\"mean\":3,\"std\":0}}],"
    "\"graph\":[{\"op\":\"dense\",\"input\":\"features\",\"output\":\"h1\",\"weight\":\"w1\",\"bias\":\"b1\","
    "\"activation\":\"elu\"},"
    "{\"op\":\"activation\",\"input\":\"h1\",\"output\":\"h2\",\"activation\":\"leaky_relu\",\"alpha\":0.2},"
    "{\"op\":\"dense\",\"input\":\"h2\",\"output\":\"m\",\"weight\":\"w2\"}],"
    "\"output\":{\"link\":\"sigmoid\",\"threshold\":0.3,\"calibration\":null,\"baseline\":{\"edges\":[],\"counts\":[4]}"
    "},"
    "\"golden\":{\"source\":\"numpy 2\",\"rtol\":0.001,\"atol\":0.01,\"rows\":["
    "{\"record\":{\"c\":\"red\",\"v\":[1,2.5]},\"margin\":[0.5],\"score\":[0.62]}]}}";

/* w1 [9, 2], b1 [2], w2 [2, 1], numbers F64 [2], words U8 [6] "abcdef", cuts I32 [3] 0 2 6. */
static const char tensors[] = "\"w1\":{\"dtype\":\"F32\",\"shape\":[9,2],\"data_offsets\":[0,72]},"
                              "\"b1\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[72,80]},"
                              "\"w2\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[80,88]},"
                              "\"numbers\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[88,104]},"
                              "\"cuts\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[104,116]},"
                              "\"words\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[116,122]}";

#define GOLDEN_ROWS "[{\"record\":{\"c\":\"red\",\"v\":[1,2.5]},\"margin\":[0.5],\"score\":[0.62]}]"
#define TENSOR_ROWS(records, margins, scores)                                                           \
    "{\"records\":{\"tensor\":\"" records "\",\"offsets\":\"cuts\"},\"margins\":{\"tensor\":\"" margins \
    "\"},\"scores\":"                                                                                   \
    "{\"tensor\":\"" scores "\"}}"
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct test_file file;

static void build(const char *text, const char *words, const int32_t *cuts)
{
    static char escaped[8192], header[16384];
    unsigned char data[122] = {0};
    const double numbers[] = {0.25, 7};
    test_escape(text, escaped, sizeof escaped);
    int used = snprintf(header, sizeof header, "{\"__metadata__\":{\"lepton\":\"%s\"},%s}", escaped, tensors);
    assert_true(used > 0 && (size_t)used < sizeof header);
    memcpy(data + 88, numbers, sizeof numbers);
    memcpy(data + 104, cuts, 3 * sizeof *cuts);
    memcpy(data + 116, words, 6);
    test_file_set(&file, header, data, sizeof data);
}

static const int32_t good_cuts[] = {0, 2, 6};

static struct lp_bundle *parse_good(const char *text)
{
    struct lp_bundle *bundle = NULL;
    struct lp_error err;
    build(text, "abcdef", good_cuts);
    test_expect(lp_bundle_parse(lp_span_of(file.bytes, file.size), &bundle, &err), &err, LP_OK, "");
    return bundle;
}

static void reads_the_features(void **state)
{
    (void)state;
    struct lp_bundle *bundle = parse_good(manifest);
    const struct lp_feature *f = bundle->features;
    assert_int_equal(bundle->feature_count, 5);
    assert_int_equal(bundle->column_count, 9);
    assert_string_equal(f[0].name, "n");
    assert_string_equal(f[0].from, "a.n");
    assert_int_equal(f[0].missing, LP_MISSING_INDICATOR);
    assert_true(f[0].missing_value == 1.5 && f[0].low == -2 && f[0].high == 9 && f[0].center == -2 && f[0].scale == 8);
    assert_int_equal(f[0].column_count, 2);
    assert_int_equal(f[0].baseline.edge_count, 2);
    assert_int_equal(f[0].baseline.bin_count, 3);
    assert_true(f[0].baseline.edges[1] == 1.5 && f[0].baseline.counts[2] == 30 && f[0].baseline.missing_rate == 0.25);

    assert_int_equal(f[1].column, 2);
    assert_int_equal(f[1].column_count, 3);
    assert_true(f[1].unknown_bucket && f[1].missing_value == 1);
    assert_string_equal(f[1].vocabulary[1], "blue");
    assert_int_equal(f[1].baseline.edge_count, 0);
    assert_int_equal(f[1].baseline.bin_count, 3);

    /* FNV-1a 64 of "foobar" is 0x85944171f73967e8 (the authors' test vectors): 9625390261332436968 mod 1000. */
    assert_true(f[2].missing_value == 968 && f[2].vocabulary == NULL && f[2].vocabulary_count == 1000);
    assert_int_equal(f[2].column_count, 1);

    assert_false(f[3].unknown_bucket);
    assert_string_equal(f[3].vocabulary[1], "");
    assert_int_equal(f[3].missing, LP_MISSING_REJECT);
    assert_int_equal(f[4].column, 7);
    assert_int_equal(f[4].width, 2);
    assert_true(f[4].low == -INFINITY && f[4].high == INFINITY && f[4].scale == 0);
    assert_int_equal(f[4].outlier, LP_OUTLIER_KEEP);
    lp_bundle_free(bundle);
}

static void reads_graph_output_and_golden_rows(void **state)
{
    (void)state;
    struct lp_bundle *bundle = parse_good(manifest);
    assert_string_equal(bundle->name, "shop");
    assert_string_equal(bundle->version, "7b");
    assert_string_equal(bundle->created, "2026-01-01T00:00:00Z");
    assert_string_equal(bundle->manifest_json, manifest);
    assert_string_equal(bundle->labels[1], "yes");
    assert_int_equal(bundle->op_count, 3);
    assert_ptr_equal(bundle->ops[0].weight, lp_bundle_tensor(bundle, "w1"));
    assert_ptr_equal(bundle->ops[0].bias, lp_bundle_tensor(bundle, "b1"));
    assert_int_equal(bundle->ops[0].activation, LP_ACTIVATION_ELU);
    assert_true(bundle->ops[0].alpha == 1 && bundle->ops[1].alpha == 0.2);
    assert_int_equal(bundle->ops[1].kind, LP_OP_ACTIVATION);
    assert_int_equal(bundle->ops[0].in_width, 9);
    assert_int_equal(bundle->ops[1].in_width, 2);
    assert_int_equal(bundle->ops[1].out_width, 2);
    assert_string_equal(bundle->ops[2].input, "h2");
    assert_null(bundle->ops[2].bias);
    assert_int_equal(bundle->output_count, 1);
    assert_int_equal(bundle->link, LP_LINK_SIGMOID);
    assert_true(bundle->threshold == 0.3);
    assert_int_equal(bundle->score_baseline.bin_count, 1);
    assert_string_equal(bundle->golden_source, "numpy 2");
    assert_true(bundle->golden_rtol == 0.001 && bundle->golden_atol == 0.01);
    assert_int_equal(bundle->golden_count, 1);
    assert_string_equal(bundle->golden[0].record, "{\"c\":\"red\",\"v\":[1,2.5]}");
    assert_true(bundle->golden[0].margin[0] == 0.5 && bundle->golden[0].score[0] == 0.62);
    lp_bundle_free(bundle);
}

struct edit {
    const char *find, *with;
    enum lp_code code;
    const char *fragment;
};

static void check_edits(const struct edit *edits, size_t count)
{
    static char text[8192];
    for (size_t i = 0; i < count; i++) {
        struct lp_error err;
        test_replace(manifest, edits[i].find, edits[i].with, text, sizeof text);
        build(text, "abcdef", good_cuts);
        test_expect(test_parse(&file, &err), &err, edits[i].code, edits[i].fragment);
    }
}
#define CHECK_EDITS(edits) check_edits(edits, sizeof(edits) / sizeof *(edits))

static void refuses_unknown_members_by_name(void **state)
{
    (void)state;
    static const struct edit edits[] = {
        {"\"created\"", "\"creatd\"", LP_E_INVALID, "manifest: unknown member `creatd`"},
        {"\"parent\"", "\"parents\"", LP_E_INVALID, "manifest: lineage: unknown member `parents`"},
        {"\"rows\":5", "\"row\":5", LP_E_INVALID, "manifest: training: unknown member `row`"},
        {"\"outlier\":{\"policy\":\"clip\"", "\"outliers\":{\"policy\":\"clip\"", LP_E_INVALID,
         "feature `n`: unknown member `outliers`"},
        {"\"low\":-2", "\"lo\":-2", LP_E_INVALID, "feature `n`: outlier: unknown member `lo`"},
        {"\"value\":1.5", "\"valu\":1.5", LP_E_INVALID, "feature `n`: missing: unknown member `valu`"},
        {"\"min\":-2", "\"mean\":-2", LP_E_INVALID, "feature `n`: normalize: unknown member `mean`"},
        {"\"edges\":[0,1.5]", "\"edge\":[0,1.5]", LP_E_INVALID, "feature `n`: baseline: unknown member `edge`"},
        {"\"counts\":[1,2,3]", "\"edges\":[],\"counts\":[1,2,3]", LP_E_INVALID,
         "feature `c`: baseline: unknown member `edges`"},
        {"\"buckets\":1000", "\"buckets\":1000,\"unknown\":true", LP_E_INVALID,
         "feature `h`: encode: unknown member `unknown`"},
        {"\"width\":2", "\"width\":2,\"baseline\":{}", LP_E_INVALID, "feature `v`: unknown member `baseline`"},
        {"\"bias\"", "\"biass\"", LP_E_INVALID, "graph[0] dense: unknown member `biass`"},
        {"\"activation\":\"leaky_relu\"", "\"activation\":\"leaky_relu\",\"weight\":\"w2\"", LP_E_INVALID,
         "graph[1] activation: unknown member `weight`"},
        {"\"threshold\"", "\"treshold\"", LP_E_INVALID, "output: unknown member `treshold`"},
        {"\"atol\"", "\"tol\"", LP_E_INVALID, "golden: unknown member `tol`"},
        {"\"margin\"", "\"margins\"", LP_E_INVALID, "golden row 0: unknown member `margins`"},
    };
    CHECK_EDITS(edits);
}

static void refuses_malformed_history(void **state)
{
    (void)state;
    static const struct edit edits[] = {
        {"\"parent\":null", "\"parent\":\"abc\"", LP_E_INVALID, "`parent` is not a SHA-256"},
        {"\"parent\":null", "\"parent\":7", LP_E_INVALID, "`parent` is not a text"},
        {"\"parent\":null", "\"parent\":\"" HASH "\"", LP_OK, ""},
        {"\"steps\":[\"x\"]", "\"steps\":\"x\"", LP_E_INVALID, "`steps` is not an array"},
        {"\"steps\":[\"x\"]", "\"steps\":[1]", LP_E_INVALID, "`steps`[0] is not a text"},
        {"\"rows\":5", "\"rows\":-5", LP_E_INVALID, "`rows` is -5"},
        {"\"rows\":5", "\"seed\":0.5", LP_E_INVALID, "`seed` is not a whole number"},
        {"\"rows\":5", "\"tool\":5", LP_E_INVALID, "`tool` is not a text"},
        {"\"rows\":5", "\"data_sha256\":\"x\"", LP_E_INVALID, "`data_sha256`"},
        {"\"auc\":0.5", "\"auc\":\"0.5\"", LP_E_INVALID, "`auc` is not a number"},
        {"\"lineage\":{\"parent\":null,\"steps\":[\"x\"]}", "\"lineage\":[]", LP_E_INVALID,
         "lineage: is not an object"},
    };
    CHECK_EDITS(edits);
}

static void refuses_bad_features(void **state)
{
    (void)state;
    static const struct edit edits[] = {
        {"\"name\":\"c\"", "\"name\":\"n\"", LP_E_INVALID, "features: `n` is there twice"},
        {"\"name\":\"c\"", "\"name\":\"\"", LP_E_INVALID, "features[1]: `name` has 0 bytes"},
        {"\"name\":\"c\",", "", LP_E_INVALID, "features[1]: `name` is missing"},
        {"\"from\":\"c\"", "\"from\":\"items[].c\"", LP_E_UNSUPPORTED, "candidate lists"},
        {"\"kind\":\"vector\"", "\"kind\":\"image\"", LP_E_INVALID, "`image`: allowed are number, category, vector"},
        {"\"width\":2", "\"width\":0", LP_E_INVALID, "`width` is 0"},
        {"\"width\":2", "\"width\":1048577", LP_E_INVALID, "`width` is 1048577"},
        {"\"width\":2", "\"width\":1048570", LP_E_LIMIT, "columns"},
        {"\"width\":2", "\"width\":3", LP_E_MISMATCH, "weight `w1` takes 9 inputs, `features` has 10"},
        {"{\"policy\":\"mean\",\"value\":3}", "{\"policy\":\"keep\"}", LP_E_INVALID,
         "feature `v`: missing=keep sends NaN"},
        {"\"missing\":{\"policy\":\"mean\",\"value\":3},", "", LP_E_INVALID, "feature `v`: missing=keep sends NaN"},
        {"{\"policy\":\"reject\"}", "{\"policy\":\"keep\"}", LP_E_INVALID, "feature `i`: missing=keep"},
        {"{\"policy\":\"reject\"}", "{\"policy\":\"mean\",\"value\":1}", LP_E_INVALID, "allowed are value, indicator"},
        {"{\"policy\":\"reject\"}", "{\"policy\":\"value\",\"value\":\"z\"}", LP_E_INVALID,
         "`z` is not in the vocabulary"},
        {"{\"policy\":\"reject\"}", "{\"policy\":\"reject\",\"value\":\"a\"}", LP_E_INVALID,
         "no meaning with policy reject"},
        {"\"policy\":\"mean\",\"value\":3", "\"policy\":\"mean\"", LP_E_INVALID, "`value` is missing"},
        {"\"policy\":\"mean\",\"value\":3", "\"policy\":\"mean\",\"value\":\"3\"", LP_E_INVALID,
         "`value` is not a number"},
        {"\"policy\":\"clip\"", "\"policy\":\"keep\"", LP_E_INVALID, "bounds have no meaning"},
        {"\"low\":-2", "\"low\":9.5", LP_E_INVALID, "above `high`"},
        {"\"max\":6", "\"max\":-3", LP_E_INVALID, "spread"},
        {"\"min\":-2,\"max\":6", "\"min\":-1e308,\"max\":1e308", LP_E_INVALID, "spread"},
        {"\"std\":0", "\"std\":-1", LP_E_INVALID, "spread"},
        {"\"std\":0", "\"std\":1e999", LP_E_INVALID, "not JSON"},
        {"{\"method\":\"zscore\",\"mean\":3,\"std\":0}", "{\"method\":\"rank\"}", LP_E_INVALID, "`rank`"},
        {"{\"method\":\"minmax\",\"min\":-2,\"max\":6}", "{\"method\":\"log1p\"}", LP_OK, ""},
        {"\"value\":1.5},\"outlier\":{\"policy\":\"clip\",\"low\":-2,\"high\":9},\"normalize\":{\"method\":\"minmax\","
         "\"min\":-2,\"max\":6}",
         "\"value\":-1},\"normalize\":{\"method\":\"log1p\"}", LP_E_INVALID, "no log1p"},
        {"[\"red\",\"blue\"]", "[\"blue\",\"blue\"]", LP_E_INVALID, "feature `c`: encode: `blue` is there twice"},
        {"[\"red\",\"blue\"]", "[]", LP_E_INVALID, "`vocabulary` is empty"},
        {"[\"red\",\"blue\"]", "[\"red\",7]", LP_E_INVALID, "`vocabulary`[1] is not a text"},
        {"\"unknown\":false", "\"unknown\":0", LP_E_INVALID, "not true or false"},
        {"\"buckets\":1000", "\"buckets\":2147483648", LP_E_INVALID, "`buckets` is 2147483648"},
        {"\"method\":\"hash\"", "\"method\":\"embed\"", LP_E_INVALID, "`embed`"},
        {"\"edges\":[0,1.5]", "\"edges\":[1.5,1.5]", LP_E_INVALID, "`edges`[1]"},
        {"\"edges\":[0,1.5]", "\"edges\":[1.5]", LP_E_MISMATCH, "3 counts for 2 bins"},
        {"[10,20,30]", "[10,-1,30]", LP_E_INVALID, "`counts`[1] is negative"},
        {"[10,20,30]", "[0,0,0]", LP_E_INVALID, "add up to 0"},
        {"\"missing_rate\":0.25", "\"missing_rate\":1.25", LP_E_INVALID, "`missing_rate`"},
        {"\"counts\":[1,2,3]", "\"counts\":[1,2]", LP_E_MISMATCH, "2 counts for 3 bins"},
        {"\"features\":[", "\"features\":[7,", LP_E_INVALID, "features[0]: is not an object"},
    };
    CHECK_EDITS(edits);
}

static void refuses_bad_graphs_and_outputs(void **state)
{
    (void)state;
    static const struct edit edits[] = {
        {"\"op\":\"activation\"", "\"op\":\"lstm\"", LP_E_INVALID, "graph[1]: `op` is `lstm`: allowed are dense"},
        {"\"op\":\"activation\"", "\"op\":\"dens\"", LP_E_INVALID, "`dens`"},
        {"\"input\":\"h1\"", "\"input\":\"h2\"", LP_E_INVALID, "`input` h2 is neither"},
        {"\"input\":\"h1\"", "\"input\":\"m\"", LP_E_INVALID, "`input` m is neither"},
        {"\"output\":\"h2\"", "\"output\":\"features\"", LP_E_INVALID, "`output` features is there already"},
        {"\"output\":\"h2\"", "\"output\":\"h1\"", LP_E_INVALID, "`output` h1 is there already"},
        {"\"input\":\"h2\"", "\"input\":\"h1\"", LP_E_INVALID, "nothing uses `h2`"},
        {"\"weight\":\"w2\"", "\"weight\":\"w3\"", LP_E_INVALID, "names the tensor `w3`"},
        {"\"weight\":\"w2\"", "\"weight\":\"b1\"", LP_E_INVALID, "rank 2"},
        {"\"weight\":\"w2\"", "\"weight\":\"numbers\"", LP_E_INVALID, "must be F32"},
        {"\"weight\":\"w2\"", "\"weight\":\"w2\",\"bias\":\"b1\"", LP_E_MISMATCH, "bias `b1` must be F32 [1]"},
        {"\"weight\":\"w1\"", "\"weight\":\"w2\"", LP_E_MISMATCH, "takes 2 inputs"},
        {"\"activation\":\"elu\"", "\"activation\":\"relu6\"", LP_E_INVALID, "`relu6`"},
        {"\"activation\":\"elu\"", "\"activation\":\"relu\",\"alpha\":1", LP_E_INVALID, "`alpha` has no meaning"},
        {"\"activation\":\"leaky_relu\",\"alpha\":0.2", "\"activation\":\"none\"", LP_OK, ""},
        {"\"alpha\":0.2", "\"alpha\":1e300", LP_E_INVALID, "graph[1] activation: `alpha` is 1e+300"},
        {"\"alpha\":0.2", "\"alpha\":-3.5e38", LP_E_INVALID, "graph[1] activation: `alpha` is -3.5e+38"},
        {"\"alpha\":0.2", "\"alpha\":3.4e38", LP_OK, ""},
        {"\"link\":\"sigmoid\"", "\"link\":\"softmax\"", LP_E_MISMATCH, "does not fit task binary"},
        {"\"link\":\"sigmoid\"", "\"link\":\"exp\"", LP_E_MISMATCH, "does not fit task binary"},
        {"\"task\":\"binary\"", "\"task\":\"multiclass\"", LP_E_MISMATCH, "does not fit task multiclass"},
        {"\"task\":\"binary\"", "\"task\":\"regression\"", LP_E_INVALID, "only binary models have a threshold"},
        {"\"task\":\"binary\"", "\"task\":\"survival\"", LP_E_INVALID, "`survival`"},
        {"\"threshold\":0.3", "\"threshold\":1.3", LP_E_INVALID, "`threshold` is 1.3"},
        {"\"calibration\":null", "\"calibration\":{}", LP_E_INVALID, "margins"},
        {"\"calibration\":null", "\"calibration\":7", LP_E_INVALID, "calibration"},
        {"\"calibration\":null", "\"calibration\":{\"margins\":[1],\"scores\":[1]}", LP_E_MISMATCH, "two points"},
        {"\"calibration\":null", "\"calibration\":{\"margins\":[1,2],\"scores\":[0]}", LP_E_MISMATCH, "1 scores"},
        {"\"calibration\":null", "\"calibration\":{\"margins\":[1,1],\"scores\":[0,1]}", LP_E_INVALID, "point 1"},
        {"\"calibration\":null", "\"calibration\":{\"margins\":[1,2],\"scores\":[1,0]}", LP_E_INVALID, "point 1"},
        {"\"calibration\":null", "\"calibration\":{\"margins\":[1,2],\"scores\":[0,1.5]}", LP_E_INVALID, "1.5"},
        {"[\"no\",\"yes\"]", "[\"no\"]", LP_E_MISMATCH, "1 labels"},
        {"[\"no\",\"yes\"]", "[\"no\",\"no\"]", LP_E_INVALID, "`no` is there twice"},
        {"\"format\":1", "\"format\":2", LP_E_UNSUPPORTED, "format 2"},
        {"\"format\":1", "\"format\":\"1\"", LP_E_INVALID, "`format`"},
        {"\"format\":1,", "", LP_E_INVALID, "`format` is missing"},
        {"\"name\":\"shop\",", "", LP_E_INVALID, "`name` is missing"},
        {"\"version\":\"7b\"", "\"version\":7", LP_E_INVALID, "`version` is not a text"},
        {"\"margin\":[0.5]", "\"margin\":[0.5,0.5]", LP_E_MISMATCH, "golden row 0: `margin` has 2 entries"},
        {"\"score\":[0.62]", "\"score\":[null]", LP_E_INVALID, "`score`[0] is not a number"},
        {"\"rtol\":0.001,", "", LP_E_INVALID, "`rtol` is missing"},
        {"\"rtol\":0.001", "\"rtol\":-1", LP_E_INVALID, "`rtol`"},
        {"\"source\":\"numpy 2\"", "\"source\":\"none\"", LP_E_INVALID, "rows without a source"},
        {"\"record\":{\"c\":\"red\",\"v\":[1,2.5]}", "\"record\":[]", LP_E_INVALID, "`record` is not an object"},
    };
    CHECK_EDITS(edits);
}

static void reads_arrays_from_tensors(void **state)
{
    (void)state;
    static char text[8192], more[8192];
    test_replace(manifest, "[\"red\",\"blue\"]", "{\"tensor\":\"words\",\"offsets\":\"cuts\"}", text, sizeof text);
    test_replace(text, "\"value\":\"blue\"", "\"value\":\"cdef\"", more, sizeof more);
    test_replace(more, "[0,1.5]", "{\"tensor\":\"numbers\"}", text, sizeof text);
    struct lp_bundle *bundle = parse_good(text);
    assert_string_equal(bundle->features[1].vocabulary[0], "ab");
    assert_string_equal(bundle->features[1].vocabulary[1], "cdef");
    assert_true(bundle->features[1].missing_value == 1);
    assert_true(bundle->features[0].baseline.edges[0] == 0.25 && bundle->features[0].baseline.edges[1] == 7);
    lp_bundle_free(bundle);
}

static void refuses_tensors_of_the_wrong_type(void **state)
{
    (void)state;
    static const struct edit edits[] = {
        {"[0,1.5]", "{\"tensor\":\"b1\"}", LP_E_INVALID, "tensor `b1` must be F64 of rank 1"},
        {"[0,1.5]", "{\"tensor\":\"none\"}", LP_E_INVALID, "names the tensor `none`"},
        {"[0,1.5]", "{\"tensors\":\"numbers\"}", LP_E_INVALID, "unknown member `tensors`"},
        {"[0,1.5]", "7", LP_E_INVALID, "`edges` is not an array"},
        {"[\"red\",\"blue\"]", "{\"tensor\":\"cuts\",\"offsets\":\"cuts\"}", LP_E_INVALID, "`cuts` must be U8"},
        {"[\"red\",\"blue\"]", "{\"tensor\":\"words\",\"offsets\":\"words\"}", LP_E_INVALID,
         "`words` must be I32 or I64"},
        {"[\"red\",\"blue\"]", "{\"tensor\":\"words\"}", LP_E_INVALID, "`offsets` is missing"},
        {GOLDEN_ROWS, TENSOR_ROWS("words", "numbers", "numbers"), LP_E_MISMATCH, "`numbers` must be F64 [2, 1]"},
        {GOLDEN_ROWS, TENSOR_ROWS("words", "w2", "numbers"), LP_E_MISMATCH, "`w2` must be F64 [2, 1]"},
        {GOLDEN_ROWS, TENSOR_ROWS("b1", "numbers", "numbers"), LP_E_INVALID, "`b1` must be U8"},
        {GOLDEN_ROWS, "[]", LP_E_INVALID, "golden: no rows"},
    };
    CHECK_EDITS(edits);
}

static void a_task_takes_the_links_that_fit_it(void **state)
{
    (void)state;
#define OUTPUT "\"output\":{\"link\":\"sigmoid\",\"threshold\":0.3,"
    static char unlabelled[8192], text[8192], edited[8192];
    static const struct {
        const char *task, *output;
        enum lp_code code;
        const char *fragment;
    } cases[] = {
        {"\"task\":\"regression\"", "\"output\":{\"link\":\"identity\",", LP_OK, ""},
        {"\"task\":\"regression\"", "\"output\":{\"link\":\"sigmoid\",", LP_OK, ""},
        {"\"task\":\"regression\"", "\"output\":{\"link\":\"softmax\",", LP_E_MISMATCH, "does not fit"},
        {"\"task\":\"ranking\"", "\"output\":{\"link\":\"identity\",", LP_OK, ""},
        {"\"task\":\"ranking\"", "\"output\":{\"link\":\"softmax\",", LP_E_MISMATCH, "does not fit"},
        {"\"task\":\"multiclass\"", "\"output\":{\"link\":\"identity\",", LP_E_MISMATCH, "with 1 outputs"},
        {"\"labels\":[\"a\",\"b\"],\"task\":\"ranking\"", "\"output\":{\"link\":\"identity\",", LP_E_INVALID,
         "task ranking has no labels"},
    };
    test_replace(manifest, "\"labels\":[\"no\",\"yes\"],", "", unlabelled, sizeof unlabelled);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lp_error err;
        test_replace(unlabelled, "\"task\":\"binary\"", cases[i].task, text, sizeof text);
        test_replace(text, OUTPUT, cases[i].output, edited, sizeof edited);
        build(edited, "abcdef", good_cuts);
        test_expect(test_parse(&file, &err), &err, cases[i].code, cases[i].fragment);
    }
}

static void a_bundle_may_have_no_golden_rows(void **state)
{
    (void)state;
    static char text[8192];
    test_replace(manifest, ",\"golden\":{\"source\":\"numpy 2\",\"rtol\":0.001,\"atol\":0.01,\"rows\":" GOLDEN_ROWS "}",
                 "", text, sizeof text);
    struct lp_bundle *bundle = parse_good(text);
    assert_string_equal(bundle->golden_source, "none");
    assert_int_equal(bundle->golden_count, 0);
    lp_bundle_free(bundle);
}

static void refuses_bad_text_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int32_t cuts[3];
        const char *fragment;
    } cases[] = {
        {"abcdef", {1, 2, 6}, "`cuts`[0] is 1"},
        {"abcdef", {0, 4, 2}, "`cuts`[2] is 2"},
        {"abcdef", {0, 2, 7}, "`cuts`[2] is 7"},
        {"abcdef", {0, 2, 5}, "not the bytes' count"},
        {"abcdef", {0, -1, 6}, "`cuts`[1] is -1"},
        {"ab\0def", {0, 2, 6}, "text 1 is not UTF-8"},            /* zero byte */
        {"abc\xc3zz", {0, 2, 6}, "text 1 is not UTF-8"},          /* continuation missing */
        {"a\xc3\xa9zzz", {0, 2, 6}, "text 0 is not UTF-8"},       /* cut between the two bytes of a letter */
        {"ab\xc0\xaf..", {0, 2, 6}, "text 1 is not UTF-8"},       /* overlong slash */
        {"a.\xed\xa0\x80.", {0, 2, 6}, "text 1 is not UTF-8"},    /* surrogate */
        {"ab\xf4\x90\x80\x80", {0, 2, 6}, "text 1 is not UTF-8"}, /* above U+10FFFF */
        {"ab\xff...", {0, 2, 6}, "text 1 is not UTF-8"},
        {"ab\x80...", {0, 2, 6}, "text 1 is not UTF-8"},
        {"abcabc", {0, 3, 6}, "`abc` is there twice"},
    };
    static char text[8192];
    test_replace(manifest,
                 "\"missing\":{\"policy\":\"value\",\"value\":\"blue\"},\"encode\":{\"method\":\"onehot\","
                 "\"vocabulary\":[\"red\",\"blue\"]}",
                 "\"missing\":{\"policy\":\"reject\"},\"encode\":{\"method\":\"onehot\",\"vocabulary\":{\"tensor\":"
                 "\"words\",\"offsets\":\"cuts\"}}",
                 text, sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lp_error err;
        build(text, cases[i].words, cases[i].cuts);
        test_expect(test_parse(&file, &err), &err, LP_E_INVALID, cases[i].fragment);
    }
    struct lp_error err;
    build(text, "\xf0\x9f\x98\x80\xc3\xa9", (const int32_t[]){0, 4, 6});
    test_expect(test_parse(&file, &err), &err, LP_OK, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_features),
        cmocka_unit_test(reads_graph_output_and_golden_rows),
        cmocka_unit_test(refuses_unknown_members_by_name),
        cmocka_unit_test(refuses_malformed_history),
        cmocka_unit_test(refuses_bad_features),
        cmocka_unit_test(refuses_bad_graphs_and_outputs),
        cmocka_unit_test(reads_arrays_from_tensors),
        cmocka_unit_test(refuses_tensors_of_the_wrong_type),
        cmocka_unit_test(a_task_takes_the_links_that_fit_it),
        cmocka_unit_test(a_bundle_may_have_no_golden_rows),
        cmocka_unit_test(refuses_bad_text_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
