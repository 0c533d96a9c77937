/* Graphs of every op: shapes as ONNX's shape inference gives them, and each wrong member refused with its place. */
#include "support.h"

#include "model/tensor.h"
#include "model/write.h"

enum { TEXT_BYTES = 16384 };

/* Tensors that the ops below name. */
static float f32[1024];
static int8_t i8[64];
static uint16_t half[64];
static const double keys[] = {3, 1, 2};
static const int32_t picks[] = {2, 0};
static const int64_t wide_picks[] = {1};
static const struct lp_tensor tensors[] = {
    {.name = "w", .dtype = LP_DTYPE_F32, .rank = 2, .dims = {4, 3}, .count = 12, .data = f32},
    {.name = "w6", .dtype = LP_DTYPE_F32, .rank = 2, .dims = {6, 2}, .count = 12, .data = f32},
    {.name = "q", .dtype = LP_DTYPE_I8, .rank = 2, .dims = {4, 3}, .count = 12, .data = i8},
    {.name = "h", .dtype = LP_DTYPE_F16, .rank = 2, .dims = {4, 3}, .count = 12, .data = half},
    {.name = "bf", .dtype = LP_DTYPE_BF16, .rank = 2, .dims = {4, 3}, .count = 12, .data = half},
    {.name = "v1", .dtype = LP_DTYPE_F32, .rank = 1, .dims = {1}, .count = 1, .data = f32},
    {.name = "v3", .dtype = LP_DTYPE_F32, .rank = 1, .dims = {3}, .count = 3, .data = f32},
    {.name = "v4", .dtype = LP_DTYPE_F32, .rank = 1, .dims = {4}, .count = 4, .data = f32},
    {.name = "c", .dtype = LP_DTYPE_F32, .rank = 2, .dims = {3, 1}, .count = 3, .data = f32},
    {.name = "s", .dtype = LP_DTYPE_F32, .rank = 0, .count = 1, .data = f32},
    {.name = "k", .dtype = LP_DTYPE_F32, .rank = 4, .dims = {2, 1, 2, 2}, .count = 8, .data = f32},
    {.name = "k5", .dtype = LP_DTYPE_F32, .rank = 5, .dims = {1, 1, 1, 1, 1}, .count = 1, .data = f32},
    {.name = "keys", .dtype = LP_DTYPE_F64, .rank = 1, .dims = {3}, .count = 3, .data = keys},
    {.name = "i", .dtype = LP_DTYPE_I32, .rank = 1, .dims = {2}, .count = 2, .data = picks},
    {.name = "i0", .dtype = LP_DTYPE_I64, .rank = 0, .count = 1, .data = wide_picks},
    {.name = "file", .dtype = LP_DTYPE_U8, .rank = 1, .dims = {64}, .count = 64, .data = i8},
    {.name = "none", .dtype = LP_DTYPE_F32, .rank = 1, .dims = {0}, .count = 0, .data = f32},
};

static struct lp_buffer file;
static char text[TEXT_BYTES];

/* A bundle of a vector of `width` and these ops, the last of which makes `m`. */
static const char *golden = ""; /* a member of the manifest, with its comma */
static enum lp_code load(uint32_t width, const char *missing, const char *ops, struct lp_bundle **ret_bundle,
                         struct lp_error *err)
{
    int used =
        snprintf(text, sizeof text,
                 "{\"format\":1,\"name\":\"g\",\"version\":\"1\",\"task\":\"regression\",\"features\":[{\"name\":"
                 "\"a\",\"from\":\"a\",\"kind\":\"number\",\"missing\":{\"policy\":\"reject\"}},{\"name\":\"v\","
                 "\"from\":\"v\",\"kind\":\"vector\",\"width\":%u,\"missing\":{\"policy\":\"%s\"}}],"
                 "\"graph\":[%s],\"output\":{\"link\":\"identity\"}%s}",
                 width - 1, missing, ops, golden);
    assert_true(used > 0 && (size_t)used < sizeof text);
    lp_buffer_init(&file, 1 << 20);
    struct lp_error failed;
    assert_int_equal(lp_bundle_encode(text, tensors, sizeof tensors / sizeof *tensors, &file, &failed), LP_OK);
    enum lp_code rc = lp_bundle_parse(lp_span_of(file.data, file.size), ret_bundle, err);
    lp_buffer_done(&file);
    return rc;
}

#define RESHAPE(shape) "{\"op\":\"reshape\",\"input\":\"features\",\"output\":\"x\",\"shape\":" shape "},"
#define ON(kind, more) "{\"op\":\"" kind "\",\"input\":\"x\",\"output\":\"m\"" more "}"
#define WHOLE(model, types, shapes)                                                                      \
    OF("onnxruntime",                                                                                    \
       ",\"model\":\"" model "\",\"from\":\"y\",\"outputs\":2,\"names\":[\"a\",\"b\"],\"types\":[" types \
       "],\"shapes\":[" shapes "]")
#define OF(kind, more) "{\"op\":\"" kind "\",\"input\":\"features\",\"output\":\"m\"" more "}"
#define TWICE(kind, more) "{\"op\":\"" kind "\",\"inputs\":[\"x\",\"x\"],\"output\":\"m\"" more "}"
#define WITH_ROW(kind, more) "{\"op\":\"" kind "\",\"inputs\":[\"x\",\"features\"],\"output\":\"m\"" more "}"

struct good {
    uint32_t width;
    const char *ops;
    struct lp_shape shape;
};

static void solves_the_shapes_of_every_op(void **state)
{
    (void)state;
    static const struct good cases[] = {
        {4, OF("dense", ",\"weight\":\"w\",\"bias\":\"v3\",\"activation\":\"clip\",\"low\":0,\"high\":6"), {1, {3}}},
        {8, RESHAPE("[2,4]") ON("dense", ",\"weight\":\"w\""), {2, {2, 3}}},
        {4, OF("dense", ",\"weight\":\"h\""), {1, {3}}},
        {4, OF("dense", ",\"weight\":\"bf\""), {1, {3}}},
        {4, OF("dense", ",\"weight\":\"q\",\"weight_scale\":\"v3\""), {1, {3}}},
        {4,
         OF("dense", ",\"weight\":\"q\",\"weight_scale\":\"v1\",\"input_scale\":0.5,\"input_zero_point\":128"),
         {1, {3}}},
        {4, OF("activation", ",\"activation\":\"selu\",\"beta\":1.5"), {1, {4}}},
        {4, OF("activation", ",\"activation\":\"prelu\",\"slope\":\"v4\""), {1, {4}}},
        {8, RESHAPE("[2,4]") ON("softmax", ",\"axis\":0"), {2, {2, 4}}},
        {8, RESHAPE("[2,4]") ON("log_softmax", ",\"axis\":1"), {2, {2, 4}}},
        {8, RESHAPE("[2,1,4]") ON("add", ",\"constant\":\"c\""), {3, {2, 3, 4}}},
        {8, RESHAPE("[2,1,4]") ON("sub", ",\"constant\":\"s\",\"reverse\":true"), {3, {2, 1, 4}}},
        {4, RESHAPE("[4,1]") WITH_ROW("mul", ""), {2, {4, 4}}},
        {4, RESHAPE("[2,2]") TWICE("pow", ""), {2, {2, 2}}},
        {12, RESHAPE("[2,3,2]") TWICE("matmul", ",\"transpose_b\":true"), {3, {2, 3, 3}}},
        {4, RESHAPE("[2,2]") TWICE("matmul", ""), {2, {2, 2}}},
        {12, RESHAPE("[2,3,2]") TWICE("concat", ",\"axis\":1"), {3, {2, 6, 2}}},
        {12, RESHAPE("[2,6]") ON("slice", ",\"axis\":1,\"start\":1,\"end\":6,\"step\":2"), {2, {2, 3}}},
        {12, RESHAPE("[2,6]") ON("gather", ",\"axis\":1,\"indices\":\"i\""), {2, {2, 2}}},
        {12, RESHAPE("[2,6]") ON("gather", ",\"axis\":1,\"indices\":\"i0\""), {1, {2}}},
        {4, OF("gather", ",\"axis\":0,\"indices\":\"i0\""), {1, {1}}},
        {12, RESHAPE("[2,3,2]") ON("transpose", ",\"perm\":[2,0,1]"), {3, {2, 2, 3}}},
        {12, RESHAPE("[2,3,2]") ON("reduce", ",\"function\":\"mean\",\"axes\":[0,2]"), {1, {3}}},
        {12, RESHAPE("[2,3,2]") ON("reduce", ",\"function\":\"l2\",\"axes\":[1],\"keep\":true"), {3, {2, 1, 2}}},
        {12, RESHAPE("[2,3,2]") ON("reduce", ",\"function\":\"max\",\"axes\":[0,1,2]"), {1, {1}}},
        {5, OF("embedding", ",\"table\":\"w\""), {2, {5, 3}}},
        {5, OF("embedding", ",\"table\":\"q\",\"table_scale\":\"v4\",\"pool\":\"mean\",\"padding_index\":0"), {1, {3}}},
        {5, OF("onehot", ",\"values\":\"v3\""), {2, {5, 3}}},
        {5, OF("map", ",\"keys\":\"keys\",\"values\":\"v3\",\"default\":-1"), {1, {5}}},
        {4, OF("impute", ",\"constant\":\"v4\""), {1, {4}}},
        {4, OF("unit", ",\"norm\":\"l2\""), {1, {4}}},
        {8, RESHAPE("[2,4]") ON("norm", ",\"axis\":1,\"weight\":\"v4\",\"bias\":\"v4\",\"epsilon\":0"), {2, {2, 4}}},
        {50,
         RESHAPE("[2,5,5]") ON("conv2d", ",\"weight\":\"k\",\"group\":2,\"pads\":[1,1,1,1],\"strides\":[2,1]"),
         {3, {2, 3, 6}}},
        {25, RESHAPE("[1,5,5]") ON("conv2d", ",\"weight\":\"k\",\"dilations\":[2,3],\"bias\":\"v2\""), {0, {0}}},
        {25, RESHAPE("[1,5,5]") ON("conv2d", ",\"weight\":\"k\",\"dilations\":[2,3]"), {3, {2, 3, 2}}},
        {25, RESHAPE("[1,5,5]") ON("pool", ",\"function\":\"max\",\"kernel\":[2,2],\"strides\":[2,2]"), {3, {1, 2, 2}}},
        {25,
         RESHAPE("[1,5,5]") ON("pool", ",\"function\":\"max\",\"kernel\":[2,2],\"strides\":[2,2],\"ceil\":true"),
         {3, {1, 3, 3}}},
        /* ceil: a third window would begin in the right pad. */
        {25,
         RESHAPE("[1,5,5]")
             ON("pool", ",\"function\":\"average\",\"kernel\":[2,2],\"strides\":[3,3],\"pads\":[1,1,1,1],"
                        "\"ceil\":true,\"count_pad\":true"),
         {3, {1, 2, 2}}},
        {4, OF("quantize", ",\"scale\":0.1,\"low\":-128,\"high\":127"), {1, {4}}},
        {7, WHOLE("file", "\"float\",\"int64\"", "[],[2,3]"), {1, {2}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lp_bundle *bundle = NULL;
        struct lp_error err;
        enum lp_code rc = load(cases[i].width, "reject", cases[i].ops, &bundle, &err);
        if (cases[i].shape.rank == 0) {
            assert_int_equal(rc, LP_E_INVALID); /* v2 is not there */
            continue;
        }
        if (rc != LP_OK) fail_msg("%s: %s", cases[i].ops, err.text);
        const struct lp_op *op = &bundle->ops[bundle->op_count - 1];
        assert_memory_equal(&op->shape, &cases[i].shape, sizeof op->shape);
        assert_int_equal(op->out_width, lp_shape_count(&op->shape));
        assert_int_equal(bundle->output_count, op->out_width);
        assert_true(op->work >= op->out_width);
        lp_bundle_free(bundle);
    }
}

struct bad {
    uint32_t width;
    const char *ops;
    enum lp_code code;
    const char *fragment;
};

static void expect_refused(const struct bad *cases, size_t count, const char *missing)
{
    for (size_t i = 0; i < count; i++) {
        struct lp_bundle *bundle = NULL;
        struct lp_error err;
        enum lp_code rc = load(cases[i].width, missing, cases[i].ops, &bundle, &err);
        test_expect(rc, &err, cases[i].code, cases[i].fragment);
        lp_bundle_free(bundle);
    }
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {4, OF("dense", ",\"weight\":\"w6\""), LP_E_MISMATCH, "weight `w6` takes 6 inputs, `features` has 4"},
        {4, OF("dense", ",\"weight\":\"q\""), LP_E_INVALID, "`weight_scale` is missing"},
        {4, OF("dense", ",\"weight\":\"q\",\"weight_scale\":\"v4\""), LP_E_MISMATCH, "must be F32 [3] or [1]"},
        {4, OF("dense", ",\"weight\":\"w\",\"weight_scale\":\"v3\""), LP_E_INVALID, "no meaning with a weight of F32"},
        {4, OF("dense", ",\"weight\":\"q\",\"weight_scale\":\"v3\",\"input_scale\":0"), LP_E_INVALID, "`input_scale`"},
        {4, OF("dense", ",\"weight\":\"q\",\"weight_scale\":\"v3\",\"input_scale\":1e-42"), LP_E_INVALID,
         "normal float"},
        {4, OF("dense", ",\"weight\":\"q\",\"weight_scale\":\"v3\",\"input_zero_point\":1"), LP_E_INVALID, "without"},
        {4, OF("dense", ",\"weight\":\"q\",\"weight_scale\":\"v3\",\"input_scale\":1,\"input_zero_point\":256"),
         LP_E_INVALID, "allowed is 0 to 255"},
        {4, OF("dense", ",\"weight\":\"w\",\"activation\":\"prelu\""), LP_E_INVALID, "op of its own"},
        {4, OF("dense", ",\"weight\":\"w\",\"slope\":\"v3\""), LP_E_INVALID, "unknown member `slope`"},
        {4, OF("activation", ",\"activation\":\"relu\",\"low\":0"), LP_E_INVALID, "`low` has no meaning"},
        {4, OF("activation", ",\"activation\":\"celu\",\"alpha\":0"), LP_E_INVALID, "divides by it"},
        {4, OF("activation", ",\"activation\":\"prelu\""), LP_E_INVALID, "`slope` is missing"},
        {4, OF("activation", ",\"activation\":\"prelu\",\"slope\":\"v3\""), LP_E_MISMATCH, "do not broadcast"},
        {4, OF("activation", ",\"activation\":\"prelu\",\"slope\":\"k\""), LP_E_MISMATCH, "do not broadcast"},
        {4, OF("activation", ",\"activation\":\"relu\",\"slope\":\"v4\""), LP_E_INVALID, "`slope` has no meaning"},
        {4, OF("softmax", ",\"axis\":1"), LP_E_INVALID, "`axis` is 1: allowed is 0 to 0"},
        {4, OF("softmax", ""), LP_E_INVALID, "`axis` is missing"},
        {4, OF("add", ""), LP_E_INVALID, "`constant` is missing"},
        {4, OF("add", ",\"constant\":\"v3\""), LP_E_MISMATCH, "[4] and [3] do not broadcast"},
        {4, OF("add", ",\"constant\":\"none\""), LP_E_INVALID, "not empty"},
        {4, OF("add", ",\"constant\":\"k5\""), LP_E_LIMIT, "rank 5"},
        {4, OF("add", ",\"inputs\":[\"features\",\"features\"]"), LP_E_INVALID, "unknown member `inputs`"},
        {4, RESHAPE("[2,2]") "{\"op\":\"add\",\"inputs\":[\"x\"],\"output\":\"m\"}", LP_E_INVALID, "has 1 names: 2"},
        {4, RESHAPE("[2,2]") "{\"op\":\"add\",\"inputs\":[\"x\",3],\"output\":\"m\"}", LP_E_INVALID, "not a text"},
        {4, RESHAPE("[2,2]") "{\"op\":\"add\",\"inputs\":[\"x\",\"m\"],\"output\":\"m\"}", LP_E_INVALID, "neither"},
        {4, RESHAPE("[2,2]") TWICE("add", ",\"reverse\":true"), LP_E_INVALID, "unknown member `reverse`"},
        {4, RESHAPE("[2,2]") WITH_ROW("matmul", ""), LP_E_MISMATCH, "two axes or more"},
        {6, RESHAPE("[2,3]") TWICE("matmul", ""), LP_E_MISMATCH, "3 and 2 must be the same"},
        {6, RESHAPE("[2,3]") WITH_ROW("concat", ",\"axis\":0"), LP_E_MISMATCH, "differ beside axis 0"},
        {4, OF("slice", ",\"axis\":0,\"start\":2,\"end\":2"), LP_E_INVALID, "`end` is 2"},
        {4, OF("slice", ",\"axis\":0,\"start\":0,\"end\":5"), LP_E_INVALID, "`end` is 5"},
        {4, OF("slice", ",\"axis\":0,\"start\":0,\"end\":2,\"step\":0"), LP_E_INVALID, "`step` is 0"},
        {2, OF("gather", ",\"axis\":0,\"indices\":\"i\""), LP_E_INVALID, "`i`[0] is 2: the axis has 2"},
        {4, OF("gather", ",\"axis\":0,\"indices\":\"v3\""), LP_E_INVALID, "must be I64, I32"},
        {4, OF("reshape", ",\"shape\":[2,3]"), LP_E_MISMATCH, "[2, 3] has not as many elements as [4]"},
        {4, OF("reshape", ",\"shape\":[]"), LP_E_INVALID, "0 axes"},
        {4, OF("reshape", ",\"shape\":[4,1,1,1,1]"), LP_E_INVALID, "5 axes"},
        {4, OF("reshape", ",\"shape\":[-4]"), LP_E_INVALID, "`shape`[0]"},
        {4, OF("reshape", ",\"shape\":[1048576,1048576,1048576,1048576]"), LP_E_MISMATCH, "not as many"},
        {4, RESHAPE("[2,2]") ON("transpose", ",\"perm\":[0,0]"), LP_E_INVALID, "axis 0 twice"},
        {4, RESHAPE("[2,2]") ON("transpose", ",\"perm\":[0]"), LP_E_INVALID, "1 entries: 2"},
        {4, OF("reduce", ",\"function\":\"sum\",\"axes\":[]"), LP_E_INVALID, "0 entries"},
        {4, RESHAPE("[2,2]") ON("reduce", ",\"function\":\"sum\",\"axes\":[1,1]"), LP_E_INVALID, "1 twice"},
        {4, OF("reduce", ",\"function\":\"median\",\"axes\":[0]"), LP_E_INVALID, "`median`"},
        {4, RESHAPE("[2,2]") ON("embedding", ",\"table\":\"w\""), LP_E_MISMATCH, "one axis"},
        {4, OF("embedding", ",\"table\":\"q\""), LP_E_INVALID, "`table_scale` is missing"},
        {4, OF("embedding", ",\"table\":\"w\",\"table_scale\":\"v4\""), LP_E_INVALID, "no meaning with a table of F32"},
        {4, OF("embedding", ",\"table\":\"v4\""), LP_E_INVALID, "rank 2"},
        {4, OF("embedding", ",\"table\":\"w\",\"padding_index\":1"), LP_E_INVALID, "without pooling"},
        {4, OF("embedding", ",\"table\":\"w\",\"pool\":\"sum\",\"padding_index\":4"), LP_E_INVALID,
         "allowed is 0 to 3"},
        {4, OF("onehot", ",\"values\":\"c\""), LP_E_INVALID, "rank 1"},
        {4, OF("map", ",\"keys\":\"keys\",\"values\":\"v4\",\"default\":0"), LP_E_MISMATCH, "must be F32 [3]"},
        {4, OF("map", ",\"keys\":\"keys\",\"values\":\"v3\""), LP_E_INVALID, "`default` is missing"},
        {4, OF("map", ",\"keys\":\"v3\",\"values\":\"v3\",\"default\":0"), LP_E_INVALID, "must be F64"},
        {4, OF("impute", ",\"constant\":\"c\""), LP_E_MISMATCH, "larger than the input"},
        {4, OF("unit", ",\"norm\":\"l3\""), LP_E_INVALID, "`l3`"},
        {4, OF("norm", ",\"axis\":0,\"weight\":\"v3\""), LP_E_MISMATCH, "has 3 elements, not 4"},
        {4, OF("norm", ",\"axis\":0,\"epsilon\":-1"), LP_E_INVALID, "`epsilon`"},
        {4, OF("conv2d", ",\"weight\":\"k\""), LP_E_MISMATCH, "[C, H, W] is needed"},
        {25, RESHAPE("[1,5,5]") ON("conv2d", ",\"weight\":\"k5\""), LP_E_INVALID, "rank 4"},
        {50, RESHAPE("[2,5,5]") ON("conv2d", ",\"weight\":\"k\""), LP_E_MISMATCH,
         "does not fit 2 channels in 1 groups"},
        {4, RESHAPE("[1,1,4]") ON("conv2d", ",\"weight\":\"k\""), LP_E_MISMATCH, "a kernel of 2 does not fit in 1"},
        {25, RESHAPE("[1,5,5]") ON("conv2d", ",\"weight\":\"k\",\"pads\":[0,3,0,0]"), LP_E_INVALID, "`pads`"},
        {25, RESHAPE("[1,5,5]") ON("conv2d", ",\"weight\":\"k\",\"strides\":[0,1]"), LP_E_INVALID, "`strides`[0]"},
        {25, RESHAPE("[1,5,5]") ON("pool", ",\"function\":\"max\""), LP_E_INVALID, "`kernel` is missing"},
        {25, RESHAPE("[1,5,5]") ON("pool", ",\"function\":\"max\",\"kernel\":[2,2],\"count_pad\":true"), LP_E_INVALID,
         "no meaning with max"},
        {7, WHOLE("v4", "\"float\",\"int64\"", "[],[2,3]"), LP_E_INVALID, "`model`"},
        {7, WHOLE("file", "\"float\",\"half\"", "[],[2,3]"), LP_E_INVALID, "`types`"},
        {7, WHOLE("file", "\"float\"", "[],[2,3]"), LP_E_INVALID, "must be of one length"},
        {7, WHOLE("file", "\"float\",\"int64\"", "[],[2,0]"), LP_E_INVALID, "an axis of 0"},
        {7, WHOLE("file", "\"float\",\"int64\"", "[],[1,1,1,1,1]"), LP_E_INVALID, "at most 4"},
        {7, WHOLE("file", "\"float\",\"int64\"", "[],[1048576,1048576]"), LP_E_INVALID, "an axis of 1048576"},
        {8, WHOLE("file", "\"float\",\"int64\"", "[],[2,3]"), LP_E_MISMATCH, "takes 7 numbers, the features have 8"},
        {7, RESHAPE("[7]") ON("onnxruntime", ",\"model\":\"file\""), LP_E_INVALID, "must be `features`"},
        {4, OF("quantize", ",\"scale\":-1,\"low\":0,\"high\":1"), LP_E_INVALID, "`scale` is -1"},
        {4, OF("quantize", ",\"scale\":1,\"low\":2,\"high\":1"), LP_E_INVALID, "above `high`"},
        {4, OF("quantize", ",\"scale\":1,\"low\":0,\"high\":1,\"zero_point\":2"), LP_E_INVALID, "`zero_point` is 2"},
    };
    expect_refused(cases, sizeof cases / sizeof *cases, "reject");
}

static void refuses_more_elements_and_work_than_a_row_may_have(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {1 << 12, RESHAPE("[4096,1]") WITH_ROW("add", ""), LP_E_LIMIT, "16777216 outputs, at most 1048576"},
        {1 << 19, RESHAPE("[1,524288]") TWICE("matmul", ",\"transpose_b\":true"), LP_OK, ""},
        {1 << 19, OF("onehot", ",\"values\":\"v3\""), LP_E_LIMIT, "1572864 outputs"},
    };
    expect_refused(cases, sizeof cases / sizeof *cases, "reject");
    /* 40 values of 2^20 elements; 70 products of 2^29. */
    static char ops[16384];
    size_t used = 0;
    test_append(ops, sizeof ops, &used,
                "{\"op\":\"reshape\",\"input\":\"features\",\"output\":\"x0\",\"shape\":[1024,1024]}");
    for (int i = 0; i < 40; i++)
        test_append(ops, sizeof ops, &used, ",{\"op\":\"add\",\"inputs\":[\"x%d\",\"x%d\"],\"output\":\"x%d\"}", i, i,
                    i + 1);
    expect_refused(&(const struct bad){1 << 20, ops, LP_E_LIMIT, "33554432 elements"}, 1, "reject");
    used = 0;
    test_append(ops, sizeof ops, &used,
                "{\"op\":\"reshape\",\"input\":\"features\",\"output\":\"x\",\"shape\":[512,2048]}");
    for (int i = 0; i < 70; i++)
        test_append(ops, sizeof ops, &used,
                    ",{\"op\":\"matmul\",\"inputs\":[\"x\",\"x\"],\"output\":\"p%d\",\"transpose_b\":true}", i);
    expect_refused(&(const struct bad){1 << 20, ops, LP_E_LIMIT, "multiply-adds"}, 1, "reject");
}

static void refuses_golden_rows_that_would_take_minutes(void **state)
{
    (void)state;
    static char ops[16384], rows[TEXT_BYTES];
    size_t used = 0;
    test_append(ops, sizeof ops, &used,
                "{\"op\":\"reshape\",\"input\":\"features\",\"output\":\"x\",\"shape\":[512,2048]},"
                "{\"op\":\"matmul\",\"inputs\":[\"x\",\"x\"],\"output\":\"p0\",\"transpose_b\":true}");
    for (int i = 0; i < 20; i++)
        test_append(ops, sizeof ops, &used,
                    ",{\"op\":\"matmul\",\"inputs\":[\"p%d\",\"x\"],\"output\":\"q%d\"},"
                    "{\"op\":\"matmul\",\"inputs\":[\"q%d\",\"x\"],\"output\":\"p%d\","
                    "\"transpose_b\":true}",
                    i, i, i, i + 1);
    test_append(ops, sizeof ops, &used,
                ",{\"op\":\"reduce\",\"input\":\"p20\",\"output\":\"m\",\"function\":\"sum\",\"axes\":[0,1]}");
    for (int count = 40; count <= 60; count += 20) {
        used = 0;
        test_append(rows, sizeof rows, &used, ",\"golden\":{\"source\":\"x\",\"rtol\":0,\"atol\":0,\"rows\":[");
        for (int i = 0; i < count; i++)
            test_append(rows, sizeof rows, &used, "%s{\"record\":{},\"margin\":[0],\"score\":[0]}", i > 0 ? "," : "");
        test_append(rows, sizeof rows, &used, "]}");
        golden = rows;
        /* 41 products of 2^29 a row. */
        const struct bad many = {1 << 20, ops, count > 50 ? LP_E_LIMIT : LP_OK, "golden: 60 rows need more"};
        expect_refused(&many, 1, "reject");
    }
    golden = "";
}

static void nan_of_missing_keep_may_reach_only_ops_that_define_it(void **state)
{
    (void)state;
    /* Column 0 is `a`, never NaN; the others are `v`. */
    static const struct bad cases[] = {
        {4, OF("activation", ",\"activation\":\"relu\""), LP_E_INVALID,
         "feature `v`: missing=keep sends NaN into graph[0] activation"},
        {4, OF("impute", ",\"constant\":\"v4\""), LP_OK, ""},
        {7, WHOLE("file", "\"float\",\"int64\"", "[],[2,3]"), LP_OK, ""},
        {4, OF("onehot", ",\"values\":\"v3\""), LP_E_INVALID, "graph[0] onehot"},
        {4, RESHAPE("[2,2]") ON("softmax", ",\"axis\":0"), LP_E_INVALID, "graph[1] softmax"},
        {4,
         "{\"op\":\"slice\",\"input\":\"features\",\"output\":\"x\",\"axis\":0,\"start\":0,\"end\":1}," ON(
             "activation", ",\"activation\":\"relu\""),
         LP_OK, ""},
        {4,
         "{\"op\":\"slice\",\"input\":\"features\",\"output\":\"x\",\"axis\":0,\"start\":0,\"end\":2}," ON(
             "activation", ",\"activation\":\"relu\""),
         LP_E_INVALID, "graph[1] activation"},
        {4,
         "{\"op\":\"gather\",\"input\":\"features\",\"output\":\"x\",\"axis\":0,\"indices\":\"i\"}," ON(
             "activation", ",\"activation\":\"relu\""),
         LP_E_INVALID, "graph[1] activation"},
        /* Transposed [[a, v], [v, v]]: the first of the first row is clean, the second is not. */
        {4,
         RESHAPE("[2,2]") "{\"op\":\"transpose\",\"input\":\"x\",\"output\":\"t\",\"perm\":[1,0]},"
                          "{\"op\":\"reshape\",\"input\":\"t\",\"output\":\"f\",\"shape\":[4]},"
                          "{\"op\":\"slice\",\"input\":\"f\",\"output\":\"y\",\"axis\":0,\"start\":0,\"end\":1},"
                          "{\"op\":\"activation\",\"input\":\"y\",\"output\":\"m\",\"activation\":\"relu\"}",
         LP_OK, ""},
        {4,
         "{\"op\":\"impute\",\"input\":\"features\",\"output\":\"x\",\"constant\":\"v4\"}," WITH_ROW("concat",
                                                                                                     ",\"axis\":0"),
         LP_OK, ""},
        {4, "{\"op\":\"impute\",\"input\":\"features\",\"output\":\"x\",\"constant\":\"v4\"}," WITH_ROW("add", ""),
         LP_E_INVALID, "graph[1] add"},
    };
    expect_refused(cases, sizeof cases / sizeof *cases, "keep");
}

static void widens_half_floats_exactly(void **state)
{
    (void)state;
    /* 1, -2, the largest, the smallest subnormal and its negative, the largest subnormal, -0. */
    static const uint16_t halves[] = {0x3c00, 0xc000, 0x7bff, 1, 0x8001, 0x03ff, 0x8000};
    static const float want[] = {1, -2, 65504, 0x1p-24f, -0x1p-24f, 1023 * 0x1p-24f, -0.0f};
    static const uint16_t brains[] = {0x3f80, 0xc000, 0x0001};
    static const float want_brains[] = {1, -2, 0x1p-133f};
    float got[7];
    lp_tensor_widen(&(struct lp_tensor){.dtype = LP_DTYPE_F16, .count = 7, .data = halves}, got);
    assert_memory_equal(got, want, sizeof want);
    lp_tensor_widen(&(struct lp_tensor){.dtype = LP_DTYPE_BF16, .count = 3, .data = brains}, got);
    assert_memory_equal(got, want_brains, sizeof want_brains);
}

static void refuses_half_floats_that_are_not_finite(void **state)
{
    (void)state;
    static const struct {
        enum lp_dtype dtype;
        uint16_t bits;
        const char *fragment;
    } cases[] = {{LP_DTYPE_F16, 0x7c00, "`h`[1] is Inf"},  {LP_DTYPE_F16, 0xfc00, "`h`[1] is -Inf"},
                 {LP_DTYPE_F16, 0x7c01, "`h`[1] is NaN"},  {LP_DTYPE_BF16, 0x7f80, "`h`[1] is Inf"},
                 {LP_DTYPE_BF16, 0xffff, "`h`[1] is NaN"}, {LP_DTYPE_F16, 0x7bff, "manifest"},
                 {LP_DTYPE_BF16, 0x7f7f, "manifest"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint16_t bits[] = {0, cases[i].bits};
        const struct lp_tensor tensor = {
            .name = "h", .dtype = cases[i].dtype, .rank = 1, .dims = {2}, .count = 2, .data = bits};
        struct lp_bundle *bundle = NULL;
        struct lp_error err;
        lp_buffer_init(&file, 1 << 20);
        assert_int_equal(lp_bundle_encode("{}", &tensor, 1, &file, &err), LP_OK);
        test_expect(lp_bundle_parse(lp_span_of(file.data, file.size), &bundle, &err), &err, LP_E_INVALID,
                    cases[i].fragment);
        lp_buffer_done(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solves_the_shapes_of_every_op),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(refuses_more_elements_and_work_than_a_row_may_have),
        cmocka_unit_test(refuses_golden_rows_that_would_take_minutes),
        cmocka_unit_test(nan_of_missing_keep_may_reach_only_ops_that_define_it),
        cmocka_unit_test(widens_half_floats_exactly),
        cmocka_unit_test(refuses_half_floats_that_are_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
