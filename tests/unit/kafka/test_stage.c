/* Messages that wait for the next transaction: order, bytes, borders of chunks. */
#include "kafka/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A value of the index's own length and bytes; from time to time one larger than any chunk. */
static size_t fill(unsigned char *bytes, uint32_t index)
{
    size_t size = index % 501 == 500 ? 400000 : index * 7919 % 3000;
    memset(bytes, (int)(index % 251), size);
    return size;
}

static void expect(const struct lp_sink_message *message, uint32_t index, unsigned char *bytes)
{
    size_t size = fill(bytes, index);
    assert_int_equal(message->ticket, index + 1);
    assert_int_equal(message->value.size, size);
    if (size > 0) assert_memory_equal(message->value.data, bytes, size);
    assert_int_equal(message->key.size, sizeof index);
    assert_memory_equal(message->key.data, &index, sizeof index);
}

static void messages_come_out_in_order_whatever_their_size(void **state)
{
    enum { MESSAGES = 3000 };
    (void)state;
    struct stage stage = {0};
    struct lp_sink_message message;
    unsigned char *bytes = malloc(400000);
    assert_non_null(bytes);
    uint32_t in = 0, out = 0;
    /* Two in, one out, so that chunks are drained and used again while others are filled. */
    while (out < MESSAGES) {
        for (int i = 0; i < 2 && in < MESSAGES; i++, in++) {
            message = (struct lp_sink_message){.ticket = in + 1, .key = lp_span_of(&in, sizeof in)};
            message.value = lp_span_of(bytes, fill(bytes, in));
            assert_true(stage_push(&stage, &message));
        }
        assert_true(stage_peek(&stage, &message));
        expect(&message, out++, bytes);
        stage_pop(&stage);
        assert_int_equal(stage.count, in - out);
    }
    assert_false(stage_peek(&stage, &message));
    assert_int_equal(stage.bytes, 0);
    stage_done(&stage);
    free(bytes);
}

static void null_and_empty_stay_apart_and_headers_go_with_their_message(void **state)
{
    (void)state;
    struct stage stage = {0};
    struct lp_sink_message message = {.value = lp_span_of(NULL, 0), .key = lp_span_of("", 0)};
    message.headers = lp_headers_new(1);
    assert_true(lp_headers_add(message.headers, "name", lp_span_text("value")));
    assert_true(stage_push(&stage, &message));
    assert_true(stage.bytes >= strlen("name") + strlen("value"));
    memset(&message, 0, sizeof message);
    assert_true(stage_peek(&stage, &message));
    assert_null(message.value.data);
    assert_non_null(message.key.data);
    assert_int_equal(lp_headers_count(message.headers), 1);
    stage_clear(&stage); /* frees the headers: LeakSanitizer looks */
    assert_int_equal(stage.count, 0);
    assert_int_equal(stage.bytes, 0);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_in_order_whatever_their_size),
        cmocka_unit_test(null_and_empty_stay_apart_and_headers_go_with_their_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
