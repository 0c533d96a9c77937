/*
 * A broker that does not acknowledge predictions for a while, and stops in the middle of a stream.
 *
 * Where everything must arrive, the broker is slow; refusals by the mock prove nothing there: it checks no sequence
 * numbers, so that it takes a second request after refusing the first, and librdkafka, which knows that a real broker
 * would not, counts the first as acknowledged.
 */
// wrap: rd_kafka_mock_cluster_new
#include "support/worker_bed.h"

#include <librdkafka/rdkafka_mock.h>

enum {
    PARTITIONS = 4,
    RECORDS = 1500 /* a partition */,
    IN_FLIGHT_MAX = 512,
    API_PRODUCE = 0,
    MSG_SIZE_TOO_LARGE = 10,
    NOT_ENOUGH_REPLICAS = 19
};

static void send_all(struct wb *wb, int count)
{
    for (int i = 0; i < count; i++)
        for (int32_t p = 0; p < PARTITIONS; p++) wb_send_case(wb, p, i, WB_CASES);
    wb_flush(wb);
}

static rd_kafka_mock_cluster_t *cluster;

rd_kafka_mock_cluster_t *__real_rd_kafka_mock_cluster_new(rd_kafka_t *client, int brokers);
rd_kafka_mock_cluster_t *__wrap_rd_kafka_mock_cluster_new(rd_kafka_t *client, int brokers);
rd_kafka_mock_cluster_t *__wrap_rd_kafka_mock_cluster_new(rd_kafka_t *client, int brokers)
{
    cluster = __real_rd_kafka_mock_cluster_new(client, brokers);
    return cluster;
}

static void set_round_trip(int milliseconds)
{
    assert_int_equal(rd_kafka_mock_broker_set_rtt(cluster, 1, milliseconds), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void what_cannot_be_delivered_waits_within_bounds_and_arrives_later(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    send_all(&wb, RECORDS);
    wb_deploy(&wb, 1, "a", ",\"paused\":true");
    wb_run(&wb, (const char *[]){"inflight.max_records", "512", NULL});
    while (wb_totals(&wb).assigned < PARTITIONS) usleep(10000);
    set_round_trip(1000);
    wb_deploy(&wb, 2, "a", "");
    uint64_t fast_ms = bed_ms() + 6000; /* from then on everything is acknowledged at once */
    uint32_t in_flight_max = 0, samples_full = 0;
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (out.count < RECORDS * PARTITIONS) {
        struct lp_lane_stats stats = wb_totals(&wb);
        const char *reason = "";
        if (fast_ms > 0 && bed_ms() > fast_ms) {
            assert_true(out.count < RECORDS * PARTITIONS / 2);
            set_round_trip(0);
            fast_ms = 0;
        }
        if (bed_ms() > deadline_ms)
            fail_msg("%zu records arrived, %llu predictions, %llu acknowledged, %u in flight", out.count,
                     (unsigned long long)stats.predictions, (unsigned long long)stats.acknowledged, stats.in_flight);
        if (stats.in_flight > in_flight_max) in_flight_max = stats.in_flight;
        samples_full += stats.in_flight == IN_FLIGHT_MAX;
        assert_true(stats.in_flight <= IN_FLIGHT_MAX);
        assert_true(lp_worker_live(wb.worker, &reason));
        wb_log_poll(&out, 20);
    }
    struct lp_lane_stats stats = wb_totals(&wb);
    print_message("in flight %u at most (seen full %u times), %llu loops of backpressure, %llu rebalances\n",
                  in_flight_max, samples_full, (unsigned long long)stats.backpressure_loops,
                  (unsigned long long)stats.rebalances);
    assert_true(samples_full > 0);
    assert_true(stats.backpressure_loops > 10); /* it went on polling while nothing more fitted */
    assert_int_equal(stats.rebalances, 1);
    assert_int_equal(stats.delivery_errors, 0);
    assert_true(wb_log_wait(&out, RECORDS * PARTITIONS));
    int next[PARTITIONS] = {0};
    for (size_t i = 0; i < out.count; i++)
        assert_int_equal(bed_whole(out.records[i].key), next[out.records[i].partition]++);
    wb_log_close(&out);
    wb_end(&wb);
}

static void *send_for_ever(void *context)
{
    struct wb *wb = context;
    for (int i = 0; !atomic_load(&wb->lane_failed) && i < 3000; i++) {
        for (int32_t p = 0; p < PARTITIONS; p++) wb_send_case(wb, p, i, WB_CASES);
        usleep(1000);
    }
    return NULL;
}

/* The mock takes some seconds for a leave of the group; what counts is that it is bounded. */
static void a_stop_during_a_stream_ends_within_its_time_out(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    pthread_t sender;
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, (const char *[]){"shutdown.timeout_ms", "4000", NULL});
    wb_wait_ready(&wb);
    assert_int_equal(pthread_create(&sender, NULL, send_for_ever, &wb), 0);
    while (wb_totals(&wb).records < 1000) usleep(5000);
    uint64_t begin_ms = bed_ms();
    wb_halt(&wb);
    uint64_t took_ms = bed_ms() - begin_ms;
    atomic_store(&wb.lane_failed, true);
    pthread_join(sender, NULL);
    print_message("stopped in %llu ms\n", (unsigned long long)took_ms);
    assert_true(took_ms <= 4000);
    wb_log_close(&out);
    wb_end(&wb);
}

/* The watchdog would end this program: the lanes must give up before. */
static void stop_under_refusals(struct wb *wb)
{
    uint64_t begin_ms = bed_ms();
    wb_halt(wb);
    uint64_t took_ms = bed_ms() - begin_ms;
    print_message("stopped in %llu ms\n", (unsigned long long)took_ms);
    assert_true(took_ms <= 4000);
    wb_end(wb);
}

static void a_stop_while_nothing_can_be_delivered_ends_within_its_time_out(void **state)
{
    (void)state;
    struct wb wb;
    wb_start(&wb, PARTITIONS);
    send_all(&wb, RECORDS);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, (const char *[]){"shutdown.timeout_ms", "4000", "inflight.max_records", "512", "status.topic", "",
                                 "kafka.producer.max.in.flight", "1", NULL});
    lp_embedded_push_errors(wb.bed.cluster, API_PRODUCE, 1000, NOT_ENOUGH_REPLICAS);
    wb_wait_ready(&wb);
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (wb_totals(&wb).in_flight < IN_FLIGHT_MAX && bed_ms() < deadline_ms) usleep(10000);
    assert_int_equal(wb_totals(&wb).in_flight, IN_FLIGHT_MAX);
    stop_under_refusals(&wb);
}

/* Dead letters carry their records: long ones meet the queue's bound in bytes before the bound in records. The lane
 * goes on polling then, too. */
static void large_outputs_wait_within_the_bound_in_bytes(void **state)
{
    (void)state;
    struct wb wb;
    static char garbage[4096];
    wb_start(&wb, PARTITIONS);
    memset(garbage, 'x', sizeof garbage);
    for (int i = 0; i < 1000; i++)
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct wb_message message = {.topic = "in", .partition = p, .value = garbage, .value_size = sizeof garbage};
            wb_send(&wb, &message);
        }
    wb_flush(&wb);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, (const char *[]){"shutdown.timeout_ms", "4000", "memory.limit_bytes", "33554432",
                                 "inflight.max_records", "100000", "status.topic", "", NULL});
    lp_embedded_push_errors(wb.bed.cluster, API_PRODUCE, 1000, NOT_ENOUGH_REPLICAS);
    struct lp_lane_stats stats = {0};
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (stats.backpressure_loops < 50 && bed_ms() < deadline_ms) {
        usleep(10000);
        stats = wb_totals(&wb);
    }
    const char *reason = "";
    size_t queue_bytes = wb.worker->shared.producer_queue_bytes;
    assert_true(stats.backpressure_loops >= 50);
    assert_true(lp_worker_live(wb.worker, &reason));
    assert_true(stats.in_flight > 0 && (size_t)stats.in_flight * sizeof garbage <= queue_bytes);
    print_message("%u dead letters of %zu bytes wait, the queue has %zu bytes\n", stats.in_flight, sizeof garbage,
                  queue_bytes);
    stop_under_refusals(&wb);
}

/* The client waits for an answer without end and reports nothing: the partitions wait, and it shows. */
static void what_no_broker_answers_stalls_its_partitions(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    send_all(&wb, 100);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, (const char *[]){"status.topic", "", NULL});
    assert_int_equal(
        rd_kafka_mock_broker_push_request_error_rtts(cluster, 1, API_PRODUCE, 1, RD_KAFKA_RESP_ERR_NO_ERROR, 9000),
        RD_KAFKA_RESP_ERR_NO_ERROR);
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (wb_totals(&wb).stalled == 0 && bed_ms() < deadline_ms) usleep(10000);
    assert_true(wb_totals(&wb).stalled > 0);
    assert_true(wb_log_wait(&out, 100 * PARTITIONS));
    send_all(&wb, 100);
    assert_true(wb_log_wait(&out, 200 * PARTITIONS));
    while (wb_totals(&wb).stalled > 0 && bed_ms() < deadline_ms) usleep(10000);
    assert_int_equal(wb_totals(&wb).stalled, 0);
    assert_int_equal(wb_totals(&wb).predictions, 200 * PARTITIONS);
    wb_halt(&wb);
    wb_log_close(&out);
    wb_end(&wb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_delivered_waits_within_bounds_and_arrives_later),
        cmocka_unit_test(a_stop_during_a_stream_ends_within_its_time_out),
        cmocka_unit_test(a_stop_while_nothing_can_be_delivered_ends_within_its_time_out),
        cmocka_unit_test(large_outputs_wait_within_the_bound_in_bytes),
        cmocka_unit_test(what_no_broker_answers_stalls_its_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
