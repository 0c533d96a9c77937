/* Trees ops, good and damaged: what the writer puts into a file the reader checks, entry by entry. */
#include "model/write.h"

#include "support.h"

/*
 * Two trees of LightGBM's kind over two columns: node 0 splits column 0, its right child 2 has the category set 0; tree
 * 1 is a leaf.
 */
struct arrays {
    int32_t root[2], output[2], column[6], left[6], right[6], index[6], begin[2], words[1];
    uint8_t flags[6];
    double threshold[6], value[4], base[1];
};

static const struct arrays good = {
    .root = {0, 5},
    .output = {0, 0},
    .column = {0, -1, 1, -1, -1, -1},
    .left = {1, 0, 3, 0, 0, 0},
    .right = {2, 0, 4, 0, 0, 0},
    .index = {0, 0, 0, 1, 2, 3},
    .begin = {0, 1},
    .words = {5},
    .flags = {9, 0, 2, 0, 0, 0},
    .threshold = {0.5, 0, 0, 0, 0, 0},
    .value = {1, 2, 3, 4},
    .base = {0.25},
};

static const char manifest[] =
    "{\"format\":1,\"name\":\"t\",\"version\":\"1\",\"task\":\"regression\",\"features\":["
    "{\"name\":\"a\",\"from\":\"a\",\"kind\":\"number\",\"missing\":{\"policy\":\"keep\"}},"
    "{\"name\":\"b\",\"from\":\"b\",\"kind\":\"number\",\"missing\":{\"policy\":\"keep\"}}],"
    "\"graph\":[{\"op\":\"trees\",\"input\":\"features\",\"output\":\"m\",\"library\":\"lightgbm\",\"outputs\":1,"
    "\"base\":{\"tensor\":\"base\"},\"divisor\":2,\"trees\":{\"root\":\"root\",\"output\":\"output\"},"
    "\"nodes\":{\"column\":\"column\",\"threshold\":\"threshold\",\"left\":\"left\",\"right\":\"right\","
    "\"flags\":\"flags\",\"index\":\"index\"},\"sets\":{\"begin\":\"begin\",\"words\":\"words\"},"
    "\"leaves\":{\"value\":\"value\"}}],\"output\":{\"link\":\"exp\"}}";

static struct lp_error err;
static struct lp_buffer file;

static void encode(const char *text, const struct arrays *a)
{
#define TENSOR(member, type)                                                                       \
    {                                                                                              \
        .name = #member, .dtype = type, .rank = 1, .dims = {sizeof a->member / sizeof *a->member}, \
        .count = sizeof a->member / sizeof *a->member, .data = a->member                           \
    }
    const struct lp_tensor tensors[] = {
        TENSOR(root, LP_DTYPE_I32),  TENSOR(output, LP_DTYPE_I32),    TENSOR(column, LP_DTYPE_I32),
        TENSOR(left, LP_DTYPE_I32),  TENSOR(right, LP_DTYPE_I32),     TENSOR(index, LP_DTYPE_I32),
        TENSOR(begin, LP_DTYPE_I32), TENSOR(words, LP_DTYPE_I32),     TENSOR(flags, LP_DTYPE_U8),
        TENSOR(value, LP_DTYPE_F64), TENSOR(threshold, LP_DTYPE_F64), TENSOR(base, LP_DTYPE_F64),
    };
    lp_buffer_clear(&file);
    assert_int_equal(lp_bundle_encode(text, tensors, sizeof tensors / sizeof *tensors, &file, &err), LP_OK);
}

static enum lp_code parse(void)
{
    struct lp_bundle *bundle = NULL;
    enum lp_code rc = lp_bundle_parse(lp_buffer_span(&file), &bundle, &err);
    lp_bundle_free(bundle);
    return rc;
}

static void reads_what_was_written(void **state)
{
    (void)state;
    struct lp_bundle *bundle;
    encode(manifest, &good);
    if (lp_bundle_parse(lp_buffer_span(&file), &bundle, &err) != LP_OK) fail_msg("%s", err.text);
    const struct lp_trees *trees = bundle->ops[0].trees;
    assert_int_equal(trees->compare, LP_TREES_LIGHTGBM);
    assert_int_equal(trees->tree_count, 2);
    assert_int_equal(trees->node_count, 6);
    assert_int_equal(trees->leaf_count, 4);
    assert_int_equal(trees->leaf_width, 1);
    assert_int_equal(trees->set_count, 1);
    assert_memory_equal(trees->threshold, good.threshold, sizeof good.threshold);
    assert_true(trees->base[0] == 0.25 && trees->divisor == 2);
    assert_int_equal(bundle->link, LP_LINK_EXP);
    assert_int_equal(bundle->output_count, 1);
    const double row[] = {0.5, 2};
    uint32_t leaves[2];
    lp_trees_leaves(trees, row, leaves);
    assert_int_equal(leaves[0], 1);
    assert_int_equal(leaves[1], 5);
    lp_bundle_free(bundle);
}

static void a_threshold_of_infinity_is_a_flag(void **state)
{
    (void)state;
    struct lp_bundle *bundle;
    struct arrays a = good;
    a.flags[0] |= 16;
    encode(manifest, &a);
    if (lp_bundle_parse(lp_buffer_span(&file), &bundle, &err) != LP_OK) fail_msg("%s", err.text);
    const struct lp_trees *trees = bundle->ops[0].trees;
    assert_true(trees->threshold[0] > 1e308 && trees->flags[0] == 9 && trees->flags[2] == 2);
    lp_bundle_free(bundle);
}

static void refuses_damaged_arrays(void **state)
{
    (void)state;
    struct arrays a;
    const struct {
        int32_t *at;
        int32_t value;
        const char *fragment;
    } cases[] = {
        {&a.column[0], 2, "node 0 splits column 2 of 2"},
        {&a.column[0], -2, "node 0 splits column -2"},
        {&a.column[0], -1, "nothing leads to node 1"},
        {&a.left[0], 0, "its child 0 must be behind it"},
        {&a.left[2], 1, "its child 1 must be behind it"},
        {&a.right[0], 5, "its child 5 must be behind it and before 5"},
        {&a.right[0], INT32_MAX, "its child 2147483647"},
        {&a.right[0], -1, "its child 4294967295"},
        {&a.right[0], 1, "two ways lead to node 1"},
        {&a.right[2], 3, "two ways lead to node 3"},
        {&a.index[1], 4, "node 1 is leaf 4 of 4"},
        {&a.index[5], -1, "node 5 is leaf 4294967295 of 4"},
        {&a.index[2], 1, "node 2 has set 1 of 1"},
        {&a.root[0], 1, "must begin at node 0"},
        {&a.root[1], 0, "tree 0 goes from node 0 to 0"},
        {&a.root[1], 6, "nothing leads to node 5"},
        {&a.root[1], 7, "tree 0 goes from node 0 to 7"},
        {&a.root[1], 4, "its child 4 must be behind it and before 4"},
        {&a.output[1], 1, "tree 1 adds to output 1 of 1"},
        {&a.output[1], -1, "tree 1 adds to output"},
        {&a.begin[0], 1, "`begin` must go from 0 to 1"},
        {&a.begin[1], 2, "`begin` must go from 0 to 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        a = good;
        *cases[i].at = cases[i].value;
        encode(manifest, &a);
        test_expect(parse(), &err, LP_E_INVALID, cases[i].fragment);
    }
    a = good;
    a.flags[0] = 12;
    encode(manifest, &a);
    test_expect(parse(), &err, LP_E_INVALID, "node 0 has flags 12");
    a.flags[0] = 32;
    encode(manifest, &a);
    test_expect(parse(), &err, LP_E_INVALID, "node 0 has flags 32");
    char text[4096];
    test_replace(manifest, "lightgbm", "xgboost", text, sizeof text);
    a = good;
    a.threshold[0] = 0.1;
    encode(text, &a);
    test_expect(parse(), &err, LP_E_INVALID, "is no float");
    a = good;
    a.flags[0] = 1;
    encode(text, &a);
    test_expect(parse(), &err, LP_E_INVALID, "node 0 has flags 1");
}

static void refuses_damaged_manifests(void **state)
{
    (void)state;
    const struct {
        const char *find, *with;
        enum lp_code code;
        const char *fragment;
    } cases[] = {
        {"\"library\":\"lightgbm\"", "\"library\":\"catboost\"", LP_E_INVALID, "catboost"},
        {"\"library\":\"lightgbm\"", "\"library\":\"xgboost\"", LP_OK, ""},
        {"\"outputs\":1", "\"outputs\":0", LP_E_INVALID, "`outputs`"},
        {"\"outputs\":1", "\"outputs\":2", LP_E_MISMATCH, "`base` has 1 numbers, not 2"},
        {"\"divisor\":2", "\"divisor\":0", LP_E_INVALID, "`divisor`"},
        {"\"column\":\"column\"", "\"column\":\"flags\"", LP_E_MISMATCH, "must be I32"},
        {"\"left\":\"left\"", "\"left\":\"root\"", LP_E_MISMATCH, "`left` has 2 entries, not 6"},
        {"\"left\":\"left\"", "\"left\":\"nope\"", LP_E_INVALID, "nope"},
        {"\"root\":\"root\"", "\"root\":\"column\"", LP_E_MISMATCH, "`output` has 2 entries, not 6"},
        {"\"value\":\"value\"", "\"value\":\"column\"", LP_E_MISMATCH, "must be F64"},
        {"\"value\":\"value\"", "\"value\":\"base\"", LP_E_INVALID, "leaf 1 of 1"},
        {",\"sets\":{\"begin\":\"begin\",\"words\":\"words\"}", "", LP_E_INVALID, "set 0 of 0"},
        {"\"op\":\"trees\"", "\"op\":\"trees\",\"depth\":3", LP_E_INVALID, "depth"},
        {"\"input\":\"features\"", "\"input\":\"m\"", LP_E_INVALID, "neither"},
        {"\"link\":\"exp\"", "\"link\":\"softmax\"", LP_E_MISMATCH, "does not fit"},
        {"\"link\":\"exp\"", "\"link\":\"exp\",\"scale\":2", LP_E_INVALID, "`scale` has no meaning"},
        {"\"link\":\"exp\"", "\"link\":\"sigmoid\",\"scale\":0", LP_E_INVALID, "`scale` is 0"},
        {"\"link\":\"exp\"", "\"link\":\"sigmoid\",\"scale\":2.5", LP_OK, ""},
        {"\"policy\":\"keep\"", "\"policy\":\"reject\"", LP_OK, ""},
        {"}],\"output\"",
         "},{\"op\":\"activation\",\"input\":\"m\",\"output\":\"n\",\"activation\":\"relu\"}],\"output\"", LP_OK, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[4096];
        test_replace(manifest, cases[i].find, cases[i].with, text, sizeof text);
        encode(text, &good);
        test_expect(parse(), &err, cases[i].code, cases[i].fragment);
    }
}

/* Packed for the kernels a tree of one leaf takes many times its bytes in the file: 0.4 MB of them are fine, 8 are not.
 */
static enum lp_code parse_leaves(uint32_t count)
{
    int32_t *zero = calloc(count, sizeof *zero), *leaf = malloc(count * sizeof *leaf);
    int32_t *number = malloc(count * sizeof *number);
    uint8_t *flags = calloc(count, 1);
    double *real = calloc(count, sizeof *real);
    assert_true(zero != NULL && leaf != NULL && number != NULL && flags != NULL && real != NULL);
    for (uint32_t i = 0; i < count; i++) {
        leaf[i] = -1;
        number[i] = (int32_t)i;
    }
#define OF(tensor, type, from)                                                                  \
    {                                                                                           \
        .name = tensor, .dtype = type, .rank = 1, .dims = {count}, .count = count, .data = from \
    }
    const struct lp_tensor tensors[] = {
        OF("root", LP_DTYPE_I32, number),    OF("output", LP_DTYPE_I32, zero), OF("column", LP_DTYPE_I32, leaf),
        OF("left", LP_DTYPE_I32, zero),      OF("right", LP_DTYPE_I32, zero),  OF("index", LP_DTYPE_I32, number),
        OF("threshold", LP_DTYPE_F64, real), OF("flags", LP_DTYPE_U8, flags),  OF("value", LP_DTYPE_F64, real),
    };
    char without_base[4096], text[4096];
    test_replace(manifest, "\"base\":{\"tensor\":\"base\"},", "", without_base, sizeof without_base);
    test_replace(without_base, ",\"sets\":{\"begin\":\"begin\",\"words\":\"words\"}", "", text, sizeof text);
    lp_buffer_clear(&file);
    assert_int_equal(lp_bundle_encode(text, tensors, sizeof tensors / sizeof *tensors, &file, &err), LP_OK);
    free(zero);
    free(leaf);
    free(number);
    free(flags);
    free(real);
    return parse();
}

static void trees_are_charged_what_the_kernels_pack(void **state)
{
    (void)state;
    if (parse_leaves(10000) != LP_OK) fail_msg("%s", err.text);
    test_expect(parse_leaves(200000), &err, LP_E_LIMIT, "many times the file's size");
}

static void a_file_is_there_whole_or_not_at_all(void **state)
{
    (void)state;
    char folder[] = "/tmp/lepton-write-XXXXXX", path[64];
    struct lp_bundle *bundle;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.safetensors", folder);
    encode(manifest, &good);
    assert_int_equal(lp_bundle_save(path, lp_buffer_span(&file), &err), LP_OK);
    assert_int_equal(lp_bundle_load(path, 1 << 20, &bundle, &err), LP_OK);
    assert_int_equal(bundle->file_bytes, file.size);
    lp_bundle_free(bundle);
    assert_int_equal(lp_bundle_save("/nonexistent/m", lp_buffer_span(&file), &err), LP_E_IO);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(folder), 0); /* nothing else was left beside it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(a_threshold_of_infinity_is_a_flag),
        cmocka_unit_test(refuses_damaged_arrays),
        cmocka_unit_test(refuses_damaged_manifests),
        cmocka_unit_test(trees_are_charged_what_the_kernels_pack),
        cmocka_unit_test(a_file_is_there_whole_or_not_at_all),
    };
    lp_buffer_init(&file, 16 << 20);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    lp_buffer_done(&file);
    return code;
}
