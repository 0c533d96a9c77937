/* A fetch queue much smaller than what a second brings is kept filled: librdkafka before 2.2.0 alone rests a second. */
#include "support/kafka_bed.h"

#include <unistd.h>

enum { VALUE_BYTES = 1000, RECORDS = 14000, PARTITIONS = 4, QUEUE_BYTES = 256 * 1024, BUSY_MS = 20, RESTING_MS = 4000 };

static struct bed bed;
static uint32_t records;
static int64_t next_offset[PARTITIONS];

static enum lp_source_step on_record(void *context, const struct lp_source_record *record)
{
    (void)context;
    assert_int_equal(record->offset, next_offset[record->partition]++);
    records++;
    return LP_SOURCE_NEXT;
}

static void produce(const char *topic_name)
{
    static unsigned char value[VALUE_BYTES];
    struct lp_sink_topic *topic = NULL;
    struct lp_sink *sink = bed_sink(&bed, topic_name, &topic);
    for (int32_t i = 0; i < RECORDS; i++) {
        struct lp_sink_message message = {
            .topic = topic, .partition = i % PARTITIONS, .value = lp_span_of(value, VALUE_BYTES)};
        BED_OK(lp_sink_send(sink, &message, &bed_err));
    }
    BED_OK(lp_sink_flush(sink, 30000, &bed_err));
    lp_sink_free(sink);
}

static void a_small_fetch_queue_does_not_rest(void **state)
{
    const char *topic = "refill";
    (void)state;
    bed_start(&bed, NULL);
    bed.conf.fetch_queue_bytes = QUEUE_BYTES;
    bed.settings[bed.conf.setting_count++] = (struct lp_kafka_setting){"compression.type", "none", LP_KAFKA_PRODUCER};
    bed.settings[bed.conf.setting_count++] =
        (struct lp_kafka_setting){"fetch.message.max.bytes", "131072", LP_KAFKA_CONSUMER};
    bed_topic(&bed, topic, PARTITIONS);
    produce(topic);
    struct lp_source *source = bed_source(&bed, &topic, 8, on_record);
    uint64_t begin_ms = 0, deadline_ms = bed_ms() + 90000;
    while (records < RECORDS && bed_ms() < deadline_ms) {
        usleep(BUSY_MS * 1000); /* the lane scores; meanwhile the queue reaches its bound */
        BED_OK(lp_source_poll(source, 50, true, &bed_err));
        if (begin_ms == 0 && records > 0) begin_ms = bed_ms();
    }
    uint64_t took_ms = bed_ms() - begin_ms;
    assert_int_equal(records, RECORDS);
    /* 14 MB through 256 KiB, filled by each response: thirty rests of a second, or none. */
    if (took_ms > RESTING_MS) fail_msg("%u records took %llu ms", records, (unsigned long long)took_ms);
    BED_OK(lp_source_close(source, 10000, &bed_err));
    lp_source_free(source);
    bed_stop(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_small_fetch_queue_does_not_rest)};
    return cmocka_run_group_tests_name("source_refill", tests, NULL, NULL);
}
