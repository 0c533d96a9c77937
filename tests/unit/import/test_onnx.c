/*
 * ONNX files that say more than they are: what protobuf's own rules allow, bounded. Files are made here byte by byte by
 * the published field numbers; whole models are compared with ONNX Runtime in tests/networks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/import.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MODEL_GRAPH = 7, MODEL_OPSET = 8, GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { FILE_MAX_BYTES = 16 << 20, FLOAT = 1, INT64 = 7, STRING = 8 };

static struct lp_error err;
static struct lp_draft draft;

/* --- writing messages --- */

static void put_varint(struct lp_buffer *to, uint64_t number)
{
    for (; number > 0x7f; number >>= 7) lp_buffer_append(to, &(unsigned char){(unsigned char)(number | 0x80)}, 1);
    lp_buffer_append(to, &(unsigned char){(unsigned char)number}, 1);
}

static void put_number(struct lp_buffer *to, uint32_t field, uint64_t number)
{
    put_varint(to, field << 3);
    put_varint(to, number);
}

static void put_bytes(struct lp_buffer *to, uint32_t field, const void *bytes, size_t size)
{
    put_varint(to, field << 3 | 2);
    put_varint(to, size);
    lp_buffer_append(to, bytes, size);
}

static void put_text(struct lp_buffer *to, uint32_t field, const char *text)
{
    put_bytes(to, field, text, strlen(text));
}

static void put_message(struct lp_buffer *to, uint32_t field, struct lp_buffer *message)
{
    assert_false(message->failed);
    put_bytes(to, field, message->data, message->size);
    lp_buffer_done(message);
}

static struct lp_buffer start(void)
{
    struct lp_buffer buffer;
    lp_buffer_init(&buffer, FILE_MAX_BYTES);
    return buffer;
}

/* ValueInfoProto `name`, [batch, width]; width 0: [batch]. */
static void put_value(struct lp_buffer *graph, uint32_t field, const char *name, uint64_t type, uint64_t width)
{
    struct lp_buffer info = start(), kind = start(), tensor = start(), shape = start(), batch = start(), dim = start();
    put_text(&batch, 2, "N");
    put_message(&shape, 1, &batch);
    put_number(&dim, 1, width);
    if (width > 0) put_message(&shape, 1, &dim);
    else lp_buffer_done(&dim);
    put_number(&tensor, 1, type);
    put_message(&tensor, 2, &shape);
    put_message(&kind, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &kind);
    put_message(graph, field, &info);
}

static void put_node(struct lp_buffer *graph, const char *op, const char *input, const char *output)
{
    struct lp_buffer node = start();
    put_text(&node, 1, input);
    put_text(&node, 2, output);
    put_text(&node, 4, op);
    put_message(graph, GRAPH_NODE, &node);
}

static void put_node_of_two(struct lp_buffer *graph, const char *op, const char *a, const char *b, const char *output)
{
    struct lp_buffer node = start();
    put_text(&node, 1, a);
    put_text(&node, 1, b);
    put_text(&node, 2, output);
    put_text(&node, 4, op);
    put_message(graph, GRAPH_NODE, &node);
}

/* Initializer `name` [count] of zeros but for the bytes given. */
static void put_tensor(struct lp_buffer *graph, const char *name, uint64_t type, uint64_t count, size_t element_bytes,
                       const void *first)
{
    struct lp_buffer tensor = start();
    unsigned char *bytes = calloc(count, element_bytes);
    assert_non_null(bytes);
    memcpy(bytes, first, element_bytes);
    put_number(&tensor, 1, count);
    put_number(&tensor, 2, type);
    put_text(&tensor, 8, name);
    put_bytes(&tensor, 9, bytes, count * element_bytes);
    put_message(graph, GRAPH_INITIALIZER, &tensor);
    free(bytes);
}

/* x [N, 3] -> Relu -> y */
static struct lp_buffer small_graph(void)
{
    struct lp_buffer graph = start();
    put_node(&graph, "Relu", "x", "y");
    put_value(&graph, GRAPH_INPUT, "x", FLOAT, 3);
    put_value(&graph, GRAPH_OUTPUT, "y", FLOAT, 3);
    return graph;
}

static void put_opset(struct lp_buffer *model, uint64_t version)
{
    struct lp_buffer opset = start();
    put_number(&opset, 2, version);
    put_message(model, MODEL_OPSET, &opset);
}

static enum lp_code read_model(struct lp_buffer *model)
{
    const struct lp_import_options options = {0};
    assert_false(model->failed);
    enum lp_code rc = lp_import_read(lp_buffer_span(model), &options, &draft, &err);
    lp_buffer_done(model);
    return rc;
}

/* --- tests --- */

static void a_small_file_is_a_graph(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = small_graph();
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 13);
    assert_int_equal(read_model(&model), LP_OK);
    assert_true(draft.is_network);
    assert_int_equal(draft.graph.count, 1);
    assert_int_equal(draft.graph.ops[0].function, LP_GRAPH_RELU);
    assert_int_equal(draft.column_count, 3);
    assert_string_equal(draft.features[0].name, "x");
    lp_draft_done(&draft);
}

static void a_graph_in_two_parts_is_one(void **context)
{
    (void)context;
    struct lp_buffer model = start(), first = start(), second = start();
    put_node(&first, "Relu", "x", "a");
    put_node(&first, "Tanh", "a", "y");
    put_value(&second, GRAPH_INPUT, "x", FLOAT, 3);
    put_value(&second, GRAPH_OUTPUT, "y", FLOAT, 3);
    put_opset(&model, 13);
    put_message(&model, MODEL_GRAPH, &first);
    put_message(&model, MODEL_GRAPH, &second);
    assert_int_equal(read_model(&model), LP_OK);
    assert_int_equal(draft.graph.count, 2);
    lp_draft_done(&draft);
}

/* An empty tensor has two bytes here and hundreds in memory. */
static void empty_messages_are_bounded_by_the_file(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = start();
    for (int i = 0; i < 400000; i++) put_bytes(&graph, GRAPH_INITIALIZER, "", 0);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 13);
    assert_int_equal(read_model(&model), LP_E_LIMIT);
}

/* Each part is merged into all before it: their number squared, if nothing bounded it. */
static void a_graph_in_thousands_of_parts_is_bounded(void **context)
{
    (void)context;
    struct lp_buffer model = start();
    clock_t begin = clock();
    put_opset(&model, 13);
    for (int i = 0; i < 60000; i++) put_bytes(&model, MODEL_GRAPH, "\x0a\x00", 2);
    assert_int_equal(read_model(&model), LP_E_LIMIT);
    assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
}

static void a_cut_file_is_invalid_at_every_byte(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = small_graph();
    put_opset(&model, 13);
    put_message(&model, MODEL_GRAPH, &graph);
    const struct lp_import_options options = {0};
    for (size_t size = 0; size < model.size; size++)
        assert_int_not_equal(lp_import_read(lp_span_of(model.data, size), &options, &draft, &err), LP_OK);
    lp_buffer_done(&model);
}

static void an_op_that_is_not_here_is_named(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = start();
    put_node(&graph, "GRU", "x", "y");
    put_value(&graph, GRAPH_INPUT, "x", FLOAT, 3);
    put_value(&graph, GRAPH_OUTPUT, "y", FLOAT, 3);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 14);
    assert_int_equal(read_model(&model), LP_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "(GRU, opset 14)"));
}

static void a_number_a_row_is_a_number_feature(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = start();
    put_node(&graph, "Relu", "x", "y");
    put_value(&graph, GRAPH_INPUT, "x", FLOAT, 0);
    put_value(&graph, GRAPH_OUTPUT, "y", FLOAT, 0);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 21);
    assert_int_equal(read_model(&model), LP_OK);
    assert_int_equal(draft.features[0].width, 0);
    assert_true(draft.features[0].rejects_missing);
    lp_draft_done(&draft);
}

static void texts_without_an_encoder_are_refused(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = start();
    put_node(&graph, "Relu", "x", "y");
    put_value(&graph, GRAPH_INPUT, "x", STRING, 1);
    put_value(&graph, GRAPH_OUTPUT, "y", FLOAT, 1);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 21);
    assert_int_equal(read_model(&model), LP_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "encoder"));
}

/* Elements of a text input are features `x[0]` and so on, which are no value of the model. */
static void texts_are_refused_for_onnx_runtime(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = start();
    const struct lp_import_options options = {.onnxruntime = true};
    put_node(&graph, "Anything", "x", "y");
    put_value(&graph, GRAPH_INPUT, "x", STRING, 2);
    put_value(&graph, GRAPH_OUTPUT, "y", FLOAT, 1);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 21);
    assert_int_equal(lp_import_read(lp_buffer_span(&model), &options, &draft, &err), LP_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "`x[0]`"));
    lp_buffer_done(&model);
}

/* Lists that each node, or each output, goes through: their number squared, if nothing bounded it. */
static void opsets_are_few(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = small_graph();
    put_message(&model, MODEL_GRAPH, &graph);
    for (int i = 0; i < 1000; i++) put_opset(&model, 13);
    assert_int_equal(read_model(&model), LP_E_LIMIT);
}

static void outputs_are_few(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = small_graph();
    for (int i = 0; i < 5000; i++) put_value(&graph, GRAPH_OUTPUT, "y", INT64, 3);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 13);
    assert_int_equal(read_model(&model), LP_E_LIMIT);
}

/* Nodes take a few bytes each; each of them would read all of it. */
static void a_constant_is_not_reduced_by_every_node(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = start();
    put_tensor(&graph, "c", INT64, 1 << 17, sizeof(int64_t), &(int64_t){1});
    put_node(&graph, "ReduceMax", "c", "m");
    put_node_of_two(&graph, "Reshape", "x", "m", "y");
    put_value(&graph, GRAPH_INPUT, "x", FLOAT, 1);
    put_value(&graph, GRAPH_OUTPUT, "y", FLOAT, 1);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 13);
    assert_int_equal(read_model(&model), LP_E_UNSUPPORTED);
}

static void integers_of_64_bits_are_not_dequantized(void **context)
{
    (void)context;
    struct lp_buffer model = start(), graph = start(), node = start();
    put_tensor(&graph, "q", INT64, 1, sizeof(int64_t), &(int64_t){INT64_MAX});
    put_tensor(&graph, "z", INT64, 1, sizeof(int64_t), &(int64_t){-2});
    put_tensor(&graph, "s", FLOAT, 1, sizeof(float), &(float){1});
    put_text(&node, 1, "q");
    put_text(&node, 1, "s");
    put_text(&node, 1, "z");
    put_text(&node, 2, "d");
    put_text(&node, 4, "DequantizeLinear");
    put_message(&graph, GRAPH_NODE, &node);
    put_node_of_two(&graph, "Add", "x", "d", "y");
    put_value(&graph, GRAPH_INPUT, "x", FLOAT, 1);
    put_value(&graph, GRAPH_OUTPUT, "y", FLOAT, 1);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 13);
    assert_int_equal(read_model(&model), LP_E_INVALID);
    assert_non_null(strstr(err.text, "type"));
}

/* A manifest is JSON, which has no infinity. */
static void an_infinite_attribute_is_named(void **context)
{
    (void)context;
    static const unsigned char infinity[] = {0x15, 0, 0, 0x80, 0x7f}; /* f = inf */
    struct lp_buffer model = start(), graph = start(), node = start(), alpha = start();
    put_text(&alpha, 1, "alpha");
    lp_buffer_append(&alpha, infinity, sizeof infinity);
    put_number(&alpha, 20, 1);
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 4, "Elu");
    put_message(&node, 5, &alpha);
    put_message(&graph, GRAPH_NODE, &node);
    put_value(&graph, GRAPH_INPUT, "x", FLOAT, 1);
    put_value(&graph, GRAPH_OUTPUT, "y", FLOAT, 1);
    put_message(&model, MODEL_GRAPH, &graph);
    put_opset(&model, 13);
    assert_int_equal(read_model(&model), LP_E_INVALID);
    assert_non_null(strstr(err.text, "(Elu, opset 13)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_is_a_graph),
        cmocka_unit_test(a_graph_in_two_parts_is_one),
        cmocka_unit_test(empty_messages_are_bounded_by_the_file),
        cmocka_unit_test(a_graph_in_thousands_of_parts_is_bounded),
        cmocka_unit_test(a_cut_file_is_invalid_at_every_byte),
        cmocka_unit_test(an_op_that_is_not_here_is_named),
        cmocka_unit_test(a_number_a_row_is_a_number_feature),
        cmocka_unit_test(texts_without_an_encoder_are_refused),
        cmocka_unit_test(texts_are_refused_for_onnx_runtime),
        cmocka_unit_test(opsets_are_few),
        cmocka_unit_test(outputs_are_few),
        cmocka_unit_test(a_constant_is_not_reduced_by_every_node),
        cmocka_unit_test(integers_of_64_bits_are_not_dequantized),
        cmocka_unit_test(an_infinite_attribute_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
