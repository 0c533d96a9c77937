/*
 * A patient sink against the mock's refusals, and every error that a broker can answer a produce request with against
 * its row. Oracle: the Kafka protocol's error numbers, answered by librdkafka's mock.
 */
#include "support/kafka_bed_shared.h"

#include "core/actions.h"

#include <unistd.h>

enum { PRODUCE = 0, WAIT_MS = 20000 };

static struct {
    uint32_t acknowledged, failed, kept, refused, order_breaks;
    uint64_t last_ticket, refused_ticket, dead_below;
    char refused_value[32];
    struct lp_error err, kept_why;
} seen;

static void on_report(void *context, uint64_t ticket, const struct lp_error *err)
{
    (void)context;
    if (err != NULL) {
        seen.failed++;
        seen.err = *err;
        return;
    }
    seen.acknowledged++;
    seen.order_breaks += ticket < seen.last_ticket;
    seen.last_ticket = ticket;
}

static void on_kept(void *context, const struct lp_sink_topic *topic, uint64_t ticket, const struct lp_error *why)
{
    (void)context;
    assert_non_null(topic);
    assert_true(ticket > 0);
    seen.kept++;
    seen.kept_why = *why;
}

static void on_refused(void *context, const struct lp_sink_message *message, const struct lp_error *why)
{
    (void)context;
    seen.refused++;
    seen.refused_ticket = message->ticket;
    snprintf(seen.refused_value, sizeof seen.refused_value, "%.*s", (int)message->value.size, message->value.data);
    seen.err = *why;
}

static bool is_live(void *context, uint64_t ticket)
{
    (void)context;
    return ticket >= seen.dead_below;
}

static const struct lp_sink_patience patience = {.kept = on_kept, .refused = on_refused, .live = is_live};

static struct lp_sink *make_sink(bool patient)
{
    struct lp_sink *sink = NULL;
    memset(&seen, 0, sizeof seen);
    struct lp_sink_options options = {.conf = &bed.conf,
                                      .client_id = "patience",
                                      .queue_max = 10000,
                                      .queue_max_bytes = 1u << 26,
                                      .report = on_report,
                                      .patience = patient ? &patience : NULL};
    BED_OK(lp_sink_new(&options, &sink, &bed_err));
    return sink;
}

static void send_from(struct lp_sink *sink, uint64_t first, uint64_t count)
{
    struct lp_sink_topic *topic = NULL;
    BED_OK(lp_sink_topic(sink, "one", &topic, &bed_err));
    for (uint64_t i = first; i < first + count; i++) {
        char value[24];
        int size = snprintf(value, sizeof value, "v%llu", (unsigned long long)i);
        struct lp_sink_message message = {
            .topic = topic, .value = lp_span_of(value, (size_t)size), .key = lp_span_text("k"), .ticket = i};
        BED_OK(lp_sink_send(sink, &message, &bed_err));
    }
}

static bool try_send(struct lp_sink *sink, uint64_t ticket)
{
    struct lp_sink_topic *topic = NULL;
    BED_OK(lp_sink_topic(sink, "one", &topic, &bed_err));
    struct lp_sink_message message = {.topic = topic, .value = lp_span_text("v"), .ticket = ticket};
    return lp_sink_send(sink, &message, &bed_err) == LP_OK;
}

static void wait_for(struct lp_sink *sink, const uint32_t *counter, uint32_t wanted)
{
    uint64_t deadline_ms = bed_ms() + WAIT_MS;
    while (*counter < wanted) {
        if (bed_ms() > deadline_ms) fail_msg("%u of %u", *counter, wanted);
        lp_sink_poll(sink, 10);
    }
}

static void every_answer_of_a_broker_has_the_action_of_its_row(void **state)
{
    struct lp_sink *sink = NULL;
    int reported = 0, retried = 0;
    (void)state;
    for (int number = 1; number <= 97; number++) {
        const struct lp_kafka_action *row = lp_action_of_kafka(number);
        if (sink == NULL) sink = make_sink(false);
        memset(&seen, 0, sizeof seen);
        uint64_t deadline_ms = bed_ms() + WAIT_MS;
        lp_embedded_push_errors(bed.cluster, PRODUCE, number == 32 ? 2 : 1, number);
        /* What the client has learned of the topic from the error before wears off. */
        while (!try_send(sink, 1) && bed_ms() < deadline_ms) lp_sink_poll(sink, 20);
        while (seen.acknowledged + seen.failed == 0 && bed_ms() < deadline_ms) lp_sink_poll(sink, 10);
        if (seen.acknowledged + seen.failed != 1) fail_msg("%s: no report", row->name);
        reported += (int)seen.failed;
        retried += (int)seen.acknowledged;
        /* The client may try again by itself, or end; what it hands out has the row's action, or ends with it. */
        if (seen.failed == 0 && row->actions[LP_SIDE_PRODUCE] == LP_SKIP_RECORD) fail_msg("%s: written", row->name);
        bool ended = lp_sink_fatal(sink, &bed_err);
        if (seen.failed > 0 && !ended && seen.err.action != row->actions[LP_SIDE_PRODUCE])
            fail_msg("%s: %s: action %d", row->name, seen.err.text, (int)seen.err.action);
        if (!ended) continue;
        lp_sink_free(sink);
        sink = NULL;
    }
    lp_sink_free(sink);
    assert_true(reported > 20 && retried > 5);
}

static void what_is_not_taken_now_is_sent_again_in_order(void **state)
{
    (void)state;
    struct lp_error why;
    uint64_t since_ns;
    struct lp_sink *sink = make_sink(true);
    struct lp_sink_topic *topic = NULL;
    BED_OK(lp_sink_topic(sink, "one", &topic, &bed_err));
    lp_embedded_push_errors(bed.cluster, PRODUCE, 3, 29 /* TOPIC_AUTHORIZATION_FAILED */);
    send_from(sink, 1, 1);
    wait_for(sink, &seen.kept, 1);
    assert_int_equal(seen.kept_why.action, LP_PAUSE);
    assert_true(lp_sink_stalled(sink, topic, &why, &since_ns));
    assert_int_equal(why.code, LP_E_REFUSED);
    assert_int_equal(lp_sink_moving(sink), 0);
    assert_true(lp_sink_keeps(sink));
    send_from(sink, 2, 500); /* behind it */
    assert_int_equal(lp_sink_queued(sink), 501);
    wait_for(sink, &seen.acknowledged, 501);
    assert_int_equal(seen.kept, 3);
    assert_int_equal(seen.failed + seen.refused + seen.order_breaks, 0);
    assert_false(lp_sink_stalled(sink, topic, &why, &since_ns));
    assert_int_equal(lp_sink_queued(sink) + lp_sink_queued_bytes(sink), 0);
    lp_sink_poll(sink, 0);
    assert_false(lp_sink_keeps(sink));
    lp_sink_free(sink);
}

static void a_batch_that_is_refused_for_one_message_is_taken_without_it(void **state)
{
    /* The batch of 100, then 1, 2, 4, ... of it; the mock refuses what it is told to. */
    (void)state;
    struct lp_sink *sink = make_sink(true);
    lp_embedded_push_errors(bed.cluster, PRODUCE, 1, 10 /* MSG_SIZE_TOO_LARGE */);
    send_from(sink, 1, 100);
    BED_OK(lp_sink_flush(sink, WAIT_MS, &bed_err));
    assert_int_equal(seen.acknowledged, 100);
    assert_int_equal(seen.refused + seen.failed, 0);
    assert_int_equal(lp_sink_queued(sink) + lp_sink_queued_bytes(sink), 0);
    lp_sink_free(sink);
}

static void a_message_that_is_refused_alone_is_refused_for_good(void **state)
{
    (void)state;
    struct lp_sink *sink = make_sink(true);
    lp_embedded_push_errors(bed.cluster, PRODUCE, 2, 10);
    send_from(sink, 7, 1);
    wait_for(sink, &seen.refused, 1);
    assert_int_equal(seen.refused_ticket, 7);
    assert_string_equal(seen.refused_value, "v7");
    assert_int_equal(seen.err.action, LP_SKIP_RECORD);
    assert_int_equal(lp_sink_queued(sink) + lp_sink_queued_bytes(sink), 0);
    send_from(sink, 8, 3); /* the others go on */
    BED_OK(lp_sink_flush(sink, WAIT_MS, &bed_err));
    assert_int_equal(seen.acknowledged, 3);
    lp_sink_free(sink);
}

static void what_nobody_waits_for_any_more_is_dropped(void **state)
{
    (void)state;
    struct lp_sink *sink = make_sink(true);
    lp_embedded_push_errors(bed.cluster, PRODUCE, 1, 29);
    send_from(sink, 1, 1);
    wait_for(sink, &seen.kept, 1);
    send_from(sink, 2, 9);
    seen.dead_below = 10;
    wait_for(sink, &seen.acknowledged, 1);
    assert_int_equal(seen.last_ticket, 10);
    assert_int_equal(lp_sink_queued(sink) + lp_sink_queued_bytes(sink), 0);
    lp_sink_free(sink);
}

static void a_flush_does_not_wait_for_what_is_kept_back(void **state)
{
    (void)state;
    struct lp_sink *sink = make_sink(true);
    lp_embedded_push_errors(bed.cluster, PRODUCE, 1000, 29);
    send_from(sink, 1, 5);
    wait_for(sink, &seen.kept, 1);
    uint64_t began_ms = bed_ms();
    assert_int_equal(lp_sink_flush(sink, 10000, &bed_err), LP_E_TIMEOUT);
    assert_true(bed_ms() - began_ms < 5000);
    lp_sink_free(sink);
}

static int setup(void **state)
{
    if (bed_setup(state) != 0) return 1;
    bed_topic(&bed, "one", 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_taken_now_is_sent_again_in_order),
        cmocka_unit_test(a_batch_that_is_refused_for_one_message_is_taken_without_it),
        cmocka_unit_test(a_message_that_is_refused_alone_is_refused_for_good),
        cmocka_unit_test(what_nobody_waits_for_any_more_is_dropped),
        cmocka_unit_test(every_answer_of_a_broker_has_the_action_of_its_row),
        cmocka_unit_test(a_flush_does_not_wait_for_what_is_kept_back), /* leaves refusals behind: the last */
    };
    return cmocka_run_group_tests(tests, setup, bed_teardown);
}
