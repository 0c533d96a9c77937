// wrap: rd_kafka_destroy_flags rd_kafka_conf_set_error_cb
#include "support/kafka_bed_shared.h"

#include <stdatomic.h>
#include <unistd.h>

static atomic_int destroy_delay_ms;
void __real_rd_kafka_destroy_flags(void *client, int flags);
void __wrap_rd_kafka_destroy_flags(void *client, int flags);
void __wrap_rd_kafka_destroy_flags(void *client, int flags)
{
    usleep((unsigned)atomic_load(&destroy_delay_ms) * 1000u);
    __real_rd_kafka_destroy_flags(client, flags);
}

/* librdkafka's error callback as the sink gave it: no test can make a process run out of threads. */
typedef void error_callback(rd_kafka_t *client, int code, const char *reason, void *opaque);
static error_callback *tell_error;
void __real_rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf, error_callback *callback);
void __wrap_rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf, error_callback *callback);
void __wrap_rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf, error_callback *callback)
{
    tell_error = callback;
    __real_rd_kafka_conf_set_error_cb(conf, callback);
}

/* LeakSanitizer's, where it is linked. */
void __lsan_ignore_object(const void *object) __attribute__((weak));

enum { TICKETS = 20000 };

static struct {
    uint32_t acknowledged, failed, order_breaks;
    uint64_t last_ticket;
    struct lp_error err;
} reports;

static void on_report(void *context, uint64_t ticket, const struct lp_error *err)
{
    assert_ptr_equal(context, &reports);
    assert_true(ticket != 0);
    if (err != NULL) {
        reports.failed++;
        reports.err = *err;
        return;
    }
    reports.acknowledged++;
    reports.order_breaks += ticket < reports.last_ticket;
    reports.last_ticket = ticket;
}

static struct lp_sink *make_sink(uint32_t queue_max)
{
    struct lp_sink *sink = NULL;
    memset(&reports, 0, sizeof reports);
    struct lp_sink_options options = {.conf = &bed.conf,
                                      .client_id = "sink",
                                      .queue_max = queue_max,
                                      .queue_max_bytes = 1u << 26,
                                      .report = on_report,
                                      .context = &reports};
    BED_OK(lp_sink_new(&options, &sink, &bed_err));
    return sink;
}

static struct lp_sink_topic *topic_of(struct lp_sink *sink, const char *name)
{
    struct lp_sink_topic *topic = NULL;
    BED_OK(lp_sink_topic(sink, name, &topic, &bed_err));
    return topic;
}

static void every_ticket_is_reported_once_in_the_order_of_a_partition(void **state)
{
    (void)state;
    struct lp_sink *sink = make_sink(TICKETS + 1);
    struct lp_sink_message message = {
        .topic = topic_of(sink, "one"), .value = lp_span_text("v"), .key = lp_span_text("k")};
    for (uint64_t i = 1; i <= TICKETS; i++) {
        message.ticket = i;
        BED_OK(lp_sink_send(sink, &message, &bed_err));
    }
    message.ticket = 0; /* nobody asks for this one */
    BED_OK(lp_sink_send(sink, &message, &bed_err));
    assert_int_equal(lp_sink_queued(sink), TICKETS + 1);
    BED_OK(lp_sink_flush(sink, 20000, &bed_err));
    assert_int_equal(reports.acknowledged, TICKETS);
    assert_int_equal(reports.failed, 0);
    assert_int_equal(reports.order_breaks, 0);
    assert_int_equal(lp_sink_queued(sink), 0);
    assert_false(lp_sink_fatal(sink, &bed_err));
    lp_sink_free(sink);
}

static void a_full_queue_asks_for_a_retry_and_takes_the_message_later(void **state)
{
    (void)state;
    struct lp_sink *sink = make_sink(10);
    struct lp_sink_message message = {.topic = topic_of(sink, "one"), .value = lp_span_text("v"), .ticket = 1};
    enum lp_code code = LP_OK;
    for (int i = 0; i < 11 && code == LP_OK; i++) code = lp_sink_send(sink, &message, &bed_err);
    assert_int_equal(code, LP_E_LIMIT);
    assert_int_equal(bed_err.action, LP_RETRY);
    uint64_t deadline_ms = bed_ms() + 10000;
    while (lp_sink_send(sink, &message, &bed_err) != LP_OK) {
        assert_true(bed_ms() < deadline_ms);
        lp_sink_poll(sink, 10);
    }
    BED_OK(lp_sink_flush(sink, 10000, &bed_err));
    assert_int_equal(reports.acknowledged, 11);
    lp_sink_free(sink);
}

static void a_message_over_the_limit_is_a_bad_record_and_no_other_suffers(void **state)
{
    (void)state;
    static unsigned char big[1100000];
    struct lp_sink *sink = make_sink(100);
    struct lp_sink_message message = {
        .topic = topic_of(sink, "one"), .value = lp_span_of(big, sizeof big), .ticket = 7};
    message.headers = lp_headers_new(1); /* stays ours when the send fails */
    assert_true(lp_headers_add(message.headers, "a", lp_span_text("b")));
    assert_int_equal(lp_sink_send(sink, &message, &bed_err), LP_E_LIMIT);
    assert_int_equal(bed_err.action, LP_SKIP_RECORD);
    assert_int_equal(lp_headers_count(message.headers), 1);
    message.value = lp_span_text("small");
    BED_OK(lp_sink_send(sink, &message, &bed_err));
    BED_OK(lp_sink_flush(sink, 10000, &bed_err));
    assert_int_equal(reports.acknowledged, 1);
    lp_sink_free(sink);
}

/* librdkafka answers "queue full" to a message larger than its queue, for ever. */
static void a_message_larger_than_the_queues_bound_is_taken_where_the_limit_allows_it(void **state)
{
    (void)state;
    static unsigned char big[3000000];
    struct lp_sink *sink = NULL;
    uint32_t count = bed.conf.setting_count;
    memset(&reports, 0, sizeof reports);
    bed.settings[bed.conf.setting_count++] =
        (struct lp_kafka_setting){"message.max.bytes", "3500000", LP_KAFKA_PRODUCER};
    struct lp_sink_options options = {.conf = &bed.conf,
                                      .client_id = "sink",
                                      .queue_max = 100,
                                      .queue_max_bytes = 1u << 20,
                                      .report = on_report,
                                      .context = &reports};
    BED_OK(lp_sink_new(&options, &sink, &bed_err));
    bed.conf.setting_count = count;
    struct lp_sink_message message = {
        .topic = topic_of(sink, "one"), .value = lp_span_of(big, sizeof big), .ticket = 7};
    BED_OK(lp_sink_send(sink, &message, &bed_err));
    BED_OK(lp_sink_flush(sink, 10000, &bed_err));
    assert_int_equal(reports.acknowledged, 1);
    lp_sink_free(sink);
}

static void an_unknown_partition_is_one_to_wait_for(void **state)
{
    (void)state;
    struct lp_sink *sink = make_sink(100);
    struct lp_sink_message message = {.topic = topic_of(sink, "one"), .value = lp_span_text("v"), .ticket = 1};
    BED_OK(lp_sink_send(sink, &message, &bed_err)); /* brings the topic's metadata */
    BED_OK(lp_sink_flush(sink, 10000, &bed_err));
    message.partition = 99;
    assert_int_equal(lp_sink_send(sink, &message, &bed_err), LP_E_NOT_FOUND);
    assert_int_equal(bed_err.action, LP_PAUSE);
    lp_sink_free(sink);
}

static void an_unknown_topic_is_reported_as_one_to_wait_for(void **state)
{
    (void)state;
    if (bed.cluster != NULL) skip(); /* the mock creates what is asked for */
    bed.settings[bed.conf.setting_count++] =
        (struct lp_kafka_setting){"topic.metadata.propagation.max.ms", "1000", LP_KAFKA_PRODUCER};
    struct lp_sink *sink = make_sink(100);
    bed.conf.setting_count--;
    struct lp_sink_message message = {
        .topic = topic_of(sink, "no-such-topic"), .value = lp_span_text("v"), .ticket = 1};
    BED_OK(lp_sink_send(sink, &message, &bed_err));
    BED_OK(lp_sink_flush(sink, 20000, &bed_err));
    assert_int_equal(reports.failed, 1);
    assert_int_equal(reports.err.code, LP_E_NOT_FOUND);
    assert_int_equal(reports.err.action, LP_PAUSE);
    lp_sink_free(sink);
}

static void refusals_of_the_broker_are_reported_with_what_to_do(void **state)
{
    static const struct {
        int error;
        uint32_t times;
        enum lp_code code;
        enum lp_action action;
        const char *field;
    } cases[] = {
        {10, 1, LP_E_LIMIT, LP_SKIP_RECORD, ""},            /* MESSAGE_TOO_LARGE */
        {32, 2, LP_E_INVALID, LP_SKIP_RECORD, "timestamp"}, /* INVALID_TIMESTAMP, also of now */
        {29, 1, LP_E_REFUSED, LP_PAUSE, ""},                /* TOPIC_AUTHORIZATION_FAILED */
    };
    (void)state;
    if (bed.cluster == NULL) skip();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lp_sink *sink = make_sink(100);
        struct lp_sink_message message = {.topic = topic_of(sink, "one"), .value = lp_span_text("v"), .ticket = 3};
        lp_embedded_push_errors(bed.cluster, 0 /* Produce */, cases[i].times, cases[i].error);
        BED_OK(lp_sink_send(sink, &message, &bed_err));
        BED_OK(lp_sink_flush(sink, 10000, &bed_err));
        assert_int_equal(reports.failed, 1);
        assert_int_equal(reports.err.code, cases[i].code);
        assert_int_equal(reports.err.action, cases[i].action);
        assert_string_equal(reports.err.field, cases[i].field);
        assert_non_null(strstr(reports.err.text, "topic one, partition 0"));
        if (cases[i].action == LP_SKIP_RECORD) { /* the idempotent producer goes on after it */
            BED_OK(lp_sink_send(sink, &message, &bed_err));
            BED_OK(lp_sink_flush(sink, 10000, &bed_err));
            assert_int_equal(reports.acknowledged, 1);
        }
        lp_sink_free(sink);
    }
}

static void a_refused_timestamp_becomes_now(void **state)
{
    (void)state;
    if (bed.cluster == NULL) skip();
    struct lp_sink *sink = make_sink(100);
    struct lp_sink_message message = {
        .topic = topic_of(sink, "one"), .value = lp_span_text("v"), .timestamp_ms = 1, .ticket = 7};
    lp_embedded_push_errors(bed.cluster, 0, 1, 32 /* INVALID_TIMESTAMP */);
    BED_OK(lp_sink_send(sink, &message, &bed_err));
    BED_OK(lp_sink_flush(sink, 10000, &bed_err));
    assert_int_equal(reports.failed, 0);
    assert_int_equal(reports.acknowledged, 1);
    assert_int_equal(lp_sink_queued(sink), 0);
    assert_int_equal(lp_sink_queued_bytes(sink), 0);
    lp_sink_free(sink);
}

static void retriable_refusals_are_retried_in_order(void **state)
{
    (void)state;
    if (bed.cluster == NULL) skip();
    struct lp_sink *sink = make_sink(1000);
    struct lp_sink_message message = {.topic = topic_of(sink, "one"), .value = lp_span_text("v")};
    lp_embedded_push_errors(bed.cluster, 0, 3, 6 /* NOT_LEADER_OR_FOLLOWER */);
    for (uint64_t i = 1; i <= 500; i++) {
        message.ticket = i;
        BED_OK(lp_sink_send(sink, &message, &bed_err));
        if (i % 50 == 0) lp_sink_poll(sink, 10);
    }
    BED_OK(lp_sink_flush(sink, 20000, &bed_err));
    assert_int_equal(reports.acknowledged, 500);
    assert_int_equal(reports.order_breaks, 0);
    lp_sink_free(sink);
}

static void keys_go_where_javas_murmur2_sends_them(void **state)
{
    /* Hashes from Apache Kafka's UtilsTest.testMurmur2; partition = (hash & 0x7fffffff) mod count. */
    static const struct {
        const char *key;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    };
    enum { PARTITIONS = 7 };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char topic_name[32];
        snprintf(topic_name, sizeof topic_name, "murmur%zu", i);
        bed_topic(&bed, topic_name, PARTITIONS);
        struct lp_sink *sink = make_sink(100);
        struct lp_sink_message message = {.topic = topic_of(sink, topic_name),
                                          .partition = LP_SINK_PARTITION_BY_KEY,
                                          .key = lp_span_text(cases[i].key),
                                          .value = lp_span_of("", 0),
                                          .ticket = 1};
        BED_OK(lp_sink_send(sink, &message, &bed_err));
        BED_OK(lp_sink_flush(sink, 10000, &bed_err));
        lp_sink_free(sink);
        int32_t expected = (cases[i].hash & 0x7fffffff) % PARTITIONS;
        char command[256], answer[64] = "";
        /* An outside reader says where it is. */
        snprintf(command, sizeof command, "kcat -b %s -C -t %s -o beginning -e -q -f '%%p' 2>/dev/null",
                 bed.conf.settings[0].value, topic_name);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        if (fgets(answer, sizeof answer, pipe) == NULL) answer[0] = '\0';
        if (pclose(pipe) != 0) skip(); /* no kcat here */
        assert_int_equal(bed_whole(answer), expected);
    }
}

static void headers_are_added_removed_and_walked(void **state)
{
    (void)state;
    struct lp_headers *headers = lp_headers_new(2);
    assert_true(lp_headers_add(headers, "a", lp_span_text("1")));
    assert_true(lp_headers_add(headers, "b", lp_span_of(NULL, 0)));
    assert_true(lp_headers_add(headers, "a", lp_span_of("\0x", 2)));
    assert_int_equal(lp_headers_count(headers), 3);
    assert_true(lp_headers_remove(headers, "a"));
    assert_false(lp_headers_remove(headers, "a"));
    assert_int_equal(lp_headers_count(headers), 1);
    assert_int_equal(lp_headers_count(NULL), 0);
    lp_headers_free(headers);
    lp_headers_free(NULL);
}

static void a_client_without_a_thread_is_dead_and_one_without_a_broker_is_not(void **state)
{
    (void)state;
    struct lp_sink *sink = make_sink(10);
    struct lp_error reason;
    tell_error(NULL, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down", sink);
    assert_false(lp_sink_fatal(sink, &reason));
    tell_error(NULL, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "Unable to create broker thread", sink);
    for (int i = 0; i < 2; i++) { /* and stays so */
        assert_true(lp_sink_fatal(sink, &reason));
        assert_int_equal(reason.action, LP_FATAL);
        assert_non_null(strstr(reason.text, "limit on processes"));
        tell_error(NULL, RD_KAFKA_RESP_ERR__TRANSPORT, "gone", sink);
    }
    lp_sink_free(sink);
}

static void free_returns_although_destroy_hangs(void **state)
{
    (void)state;
    struct lp_sink *sink = make_sink(10);
    if (__lsan_ignore_object != NULL) __lsan_ignore_object(sink); /* left behind on purpose */
    atomic_store(&destroy_delay_ms, 8000);
    uint64_t began_ms = bed_ms();
    lp_sink_free(sink);
    atomic_store(&destroy_delay_ms, 0);
    uint64_t took_ms = bed_ms() - began_ms;
    assert_true(took_ms >= 4000 && took_ms < 7000);
    sleep(4); /* let the left-behind thread end before the process does */
}

static int setup(void **state)
{
    int failed = bed_setup(state);
    bed_topic(&bed, "one", 1);
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ticket_is_reported_once_in_the_order_of_a_partition),
        cmocka_unit_test(a_full_queue_asks_for_a_retry_and_takes_the_message_later),
        cmocka_unit_test(a_message_over_the_limit_is_a_bad_record_and_no_other_suffers),
        cmocka_unit_test(a_message_larger_than_the_queues_bound_is_taken_where_the_limit_allows_it),
        cmocka_unit_test(an_unknown_partition_is_one_to_wait_for),
        cmocka_unit_test(an_unknown_topic_is_reported_as_one_to_wait_for),
        cmocka_unit_test(refusals_of_the_broker_are_reported_with_what_to_do),
        cmocka_unit_test(a_refused_timestamp_becomes_now),
        cmocka_unit_test(retriable_refusals_are_retried_in_order),
        cmocka_unit_test(keys_go_where_javas_murmur2_sends_them),
        cmocka_unit_test(headers_are_added_removed_and_walked),
        cmocka_unit_test(a_client_without_a_thread_is_dead_and_one_without_a_broker_is_not),
        cmocka_unit_test(free_returns_although_destroy_hangs),
    };
    return cmocka_run_group_tests(tests, setup, bed_teardown);
}
