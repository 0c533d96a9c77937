/* Which records have headers is told without asking librdkafka; what is told must be what was sent. */
// wrap: rd_kafka_message_detach_headers
#include "support/kafka_bed.h"

enum { ROUNDS = 8, SIZES = 10, KEYS = 4, COUNTS = 3, RECORDS = ROUNDS * SIZES * KEYS * COUNTS };

static const size_t sizes[SIZES] = {0, 1, 2, 63, 64, 127, 2048, 8191, 8192, 20000};
static const struct lp_span keys[KEYS] = {
    {NULL, 0},
    {(const unsigned char *)"", 0},
    {(const unsigned char *)"k", 1},
    {(const unsigned char *)"a key of seventy bytes, so that its length takes two bytes of a varint", 70}};

static struct bed bed;
static uint32_t records, wrong, bare, asked_for_bare;
static bool is_bare;

rd_kafka_resp_err_t __real_rd_kafka_message_detach_headers(rd_kafka_message_t *message, rd_kafka_headers_t **headers);
rd_kafka_resp_err_t __wrap_rd_kafka_message_detach_headers(rd_kafka_message_t *message, rd_kafka_headers_t **headers);

rd_kafka_resp_err_t __wrap_rd_kafka_message_detach_headers(rd_kafka_message_t *message, rd_kafka_headers_t **headers)
{
    if (is_bare) asked_for_bare++;
    return __real_rd_kafka_message_detach_headers(message, headers);
}

/* The timestamp says how many headers were sent. */
static enum lp_source_step on_record(void *context, const struct lp_source_record *record)
{
    (void)context;
    uint32_t expected = (uint32_t)(record->timestamp_ms % 10);
    is_bare = expected == 0;
    if (is_bare) bare++;
    struct lp_headers *headers = lp_headers_take(record->message);
    if (lp_headers_count(headers) != expected) wrong++;
    lp_headers_free(headers);
    records++;
    return LP_SOURCE_NEXT;
}

/* Values begin with bytes that could be taken for lengths and counts: zeros, and what a null key's length is. */
static void produce(const char *topic_name)
{
    static unsigned char value[20000];
    struct lp_sink_topic *topic = NULL;
    struct lp_sink *sink = bed_sink(&bed, topic_name, &topic);
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint32_t count = i % COUNTS;
        memset(value, (int)(i / 7 % 3), sizeof value);
        struct lp_sink_message message = {.topic = topic,
                                          .partition = 0,
                                          .key = keys[i / COUNTS % KEYS],
                                          .value = lp_span_of(value, sizes[i / COUNTS / KEYS % SIZES]),
                                          .timestamp_ms = 1000 + count};
        if (i % 97 == 0) message.value = lp_span_of(NULL, 0);
        if (count > 0) message.headers = lp_headers_new(count);
        for (uint32_t h = 0; h < count; h++)
            assert_true(lp_headers_add(message.headers, "h", lp_span_of(value, h * 9)));
        BED_OK(lp_sink_send(sink, &message, &bed_err));
        if (i % 64 == 0) lp_sink_poll(sink, 0);
    }
    BED_OK(lp_sink_flush(sink, 30000, &bed_err));
    lp_sink_free(sink);
}

static void consume(const char *topic_name)
{
    records = wrong = bare = asked_for_bare = 0;
    struct lp_source *source = bed_source(&bed, &topic_name, 4, on_record);
    uint64_t deadline_ms = bed_ms() + 60000;
    while (records < RECORDS && bed_ms() < deadline_ms) BED_OK(lp_source_poll(source, 50, true, &bed_err));
    BED_OK(lp_source_close(source, 10000, &bed_err));
    lp_source_free(source);
}

static void every_record_has_the_headers_it_was_sent_with(const char *topic, const char *codec)
{
    bed_start(&bed, NULL);
    bed.settings[bed.conf.setting_count++] = (struct lp_kafka_setting){"compression.type", codec, LP_KAFKA_PRODUCER};
    bed_topic(&bed, topic, 1);
    produce(topic);
    consume(topic);
    assert_int_equal(records, RECORDS);
    assert_int_equal(wrong, 0);
    /* librdkafka is asked for null and empty values and at the borders of pages only. */
    assert_true(bare >= RECORDS / COUNTS);
    assert_true(asked_for_bare < bare / 6);
    bed_stop(&bed);
}

static void headers_are_told_in_fetched_bytes(void **state)
{
    (void)state;
    every_record_has_the_headers_it_was_sent_with("plain", "none");
}

static void headers_are_told_in_decompressed_bytes(void **state)
{
    (void)state;
    every_record_has_the_headers_it_was_sent_with("packed", "lz4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_told_in_fetched_bytes),
        cmocka_unit_test(headers_are_told_in_decompressed_bytes),
    };
    return cmocka_run_group_tests_name("headers", tests, NULL, NULL);
}
