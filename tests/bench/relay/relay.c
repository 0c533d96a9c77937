/*
 * The rival of tests/bench/relay: consume and produce with bare librdkafka, nothing in between. It does what any
 * at-least-once program on this client must do and no more: one thread; partition queues forwarded to one queue that is
 * drained by callback (the cheapest way to consume); an idempotent producer, acks=all, the input's partition, key and
 * timestamp; a delivery report a message; offsets stored only for acknowledged outputs; a bound on what is in flight.
 * Its output is the first --out-bytes bytes of the input.
 *
 *   bench_relay --brokers B --in T --out T --group G [--out-bytes N] [--consumer key=value] [--producer key=value]
 *
 * Runs until SIGTERM, then drains, commits and prints one line of JSON.
 */
#include "client.h"

#include <signal.h>
#include <stdbool.h>

enum { PARTITIONS_MAX = 1024, IN_FLIGHT_MAX = 100000, BURST_MAX = 2048, LIBRARY_STEP_MS = 5 };

struct relay {
    rd_kafka_t *consumer, *producer;
    rd_kafka_queue_t *fetched; /* all assigned partitions' queues are forwarded here */
    rd_kafka_topic_t *out;
    const char *in_name;
    size_t out_bytes;
    int64_t done[PARTITIONS_MAX]; /* last offset whose output is acknowledged, -1: none new */
    int64_t in_flight, relayed, acknowledged, failed;
    int burst;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

/* One output partition an input partition and an idempotent producer: reports come in input order. */
static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *context)
{
    struct relay *relay = context;
    uint64_t ticket = (uint64_t)(uintptr_t)message->_private;
    (void)producer;
    relay->in_flight--;
    if (message->err) {
        relay->failed++;
        return;
    }
    relay->acknowledged++;
    relay->done[ticket % PARTITIONS_MAX] = (int64_t)(ticket / PARTITIONS_MAX);
}

static void on_message(rd_kafka_message_t *message, void *context)
{
    struct relay *relay = context;
    if (message->err) bench_fail("consume: %s", rd_kafka_message_errstr(message));
    uint64_t ticket = (uint64_t)message->offset * PARTITIONS_MAX + (uint64_t)message->partition;
    size_t size = message->len < relay->out_bytes ? message->len : relay->out_bytes;
    rd_kafka_timestamp_type_t kind;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &kind);
    rd_kafka_resp_err_t error;
    while ((error = rd_kafka_producev(
                relay->producer, RD_KAFKA_V_RKT(relay->out), RD_KAFKA_V_PARTITION(message->partition),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(message->key, message->key_len),
                RD_KAFKA_V_VALUE(message->payload, size), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
                RD_KAFKA_V_OPAQUE((void *)(uintptr_t)ticket), RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        rd_kafka_poll(relay->producer, 1);
    }
    if (error) bench_fail("produce: %s", rd_kafka_err2str(error));
    relay->relayed++;
    relay->in_flight++;
    // The callback is given all that is queued, 64 MiB at full speed: come up for air, so that reports are served.
    if (++relay->burst >= BURST_MAX || relay->in_flight >= IN_FLIGHT_MAX) rd_kafka_yield(relay->consumer);
}

static void store_offsets(struct relay *relay)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (int32_t partition = 0; partition < PARTITIONS_MAX; partition++) {
        if (relay->done[partition] < 0) continue;
        if (!list) list = rd_kafka_topic_partition_list_new(8);
        rd_kafka_topic_partition_list_add(list, relay->in_name, partition)->offset = relay->done[partition] + 1;
        relay->done[partition] = -1;
    }
    if (!list) return;
    rd_kafka_offsets_store(relay->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t event, rd_kafka_topic_partition_list_t *partitions,
                         void *context)
{
    struct relay *relay = context;
    if (event != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        rd_kafka_flush(relay->producer, 10000);
        store_offsets(relay);
        rd_kafka_assign(consumer, NULL);
        return;
    }
    rd_kafka_assign(consumer, partitions);
    for (int index = 0; index < partitions->cnt; index++) {
        rd_kafka_queue_t *queue =
            rd_kafka_queue_get_partition(consumer, partitions->elems[index].topic, partitions->elems[index].partition);
        rd_kafka_queue_forward(queue, relay->fetched);
        rd_kafka_queue_destroy(queue);
    }
}

static void run(struct relay *relay)
{
    int64_t polled_ns = 0;
    while (!stopping) {
        int64_t now_ns = bench_now_ns(CLOCK_MONOTONIC);
        if (now_ns - polled_ns > LIBRARY_STEP_MS * 1000000LL) {
            rd_kafka_message_t *event = rd_kafka_consumer_poll(relay->consumer, 0);
            if (event) rd_kafka_message_destroy(event);
            polled_ns = now_ns;
        }
        bool full = relay->in_flight >= IN_FLIGHT_MAX;
        rd_kafka_poll(relay->producer, full ? 1 : 0);
        store_offsets(relay);
        relay->burst = 0;
        if (!full) rd_kafka_consume_callback_queue(relay->fetched, LIBRARY_STEP_MS, on_message, relay);
    }
}

struct options {
    const char *brokers, *in, *out, *group;
    int64_t out_bytes;
};

static void parse(int argc, char **argv, struct options *options, rd_kafka_conf_t *consumer, rd_kafka_conf_t *producer)
{
    *options = (struct options){.out_bytes = 29};
    for (int index = 1; index + 1 < argc; index += 2) {
        const char *name = argv[index], *value = argv[index + 1];
        if (!strcmp(name, "--brokers")) options->brokers = value;
        else if (!strcmp(name, "--in")) options->in = value;
        else if (!strcmp(name, "--out")) options->out = value;
        else if (!strcmp(name, "--group")) options->group = value;
        else if (!strcmp(name, "--out-bytes")) options->out_bytes = bench_integer(value);
        else if (!strcmp(name, "--consumer")) bench_set_pair(consumer, value);
        else if (!strcmp(name, "--producer")) bench_set_pair(producer, value);
        else bench_fail("unknown option %s", name);
    }
    if (!options->brokers || !options->in || !options->out || !options->group) {
        bench_fail("usage: bench_relay --brokers B --in T --out T --group G [--out-bytes N] [--consumer k=v] "
                   "[--producer k=v]");
    }
}

static void configure(rd_kafka_conf_t *consumer, rd_kafka_conf_t *producer)
{
    bench_set(consumer, "enable.auto.offset.store", "false");
    bench_set(consumer, "auto.offset.reset", "earliest");
    bench_set(consumer, "auto.commit.interval.ms", "1000");
    bench_set(consumer, "socket.nagle.disable", "true");
    bench_set(producer, "enable.idempotence", "true");
    bench_set(producer, "acks", "all");
    bench_set(producer, "message.timeout.ms", "0");
    bench_set(producer, "linger.ms", "5");
    bench_set(producer, "queue.buffering.max.messages", "200000");
    bench_set(producer, "queue.buffering.max.kbytes", "1048576");
    bench_set(producer, "socket.nagle.disable", "true");
}

static void close_relay(struct relay *relay)
{
    rd_kafka_flush(relay->producer, 10000);
    store_offsets(relay);
    rd_kafka_consumer_close(relay->consumer);
    printf("{\"relayed\": %lld, \"acknowledged\": %lld, \"failed\": %lld}\n", (long long)relay->relayed,
           (long long)relay->acknowledged, (long long)relay->failed);
    rd_kafka_queue_destroy(relay->fetched);
    rd_kafka_topic_destroy(relay->out);
    rd_kafka_destroy(relay->producer);
    rd_kafka_destroy(relay->consumer);
}

int main(int argc, char **argv)
{
    static struct relay relay;
    struct options options;
    rd_kafka_conf_t *consumer = rd_kafka_conf_new(), *producer = rd_kafka_conf_new();
    configure(consumer, producer);
    parse(argc, argv, &options, consumer, producer);
    bench_set(consumer, "bootstrap.servers", options.brokers);
    bench_set(consumer, "group.id", options.group);
    bench_set(producer, "bootstrap.servers", options.brokers);
    rd_kafka_conf_set_opaque(consumer, &relay);
    rd_kafka_conf_set_opaque(producer, &relay);
    rd_kafka_conf_set_rebalance_cb(consumer, on_rebalance);
    rd_kafka_conf_set_dr_msg_cb(producer, on_report);
    relay.in_name = options.in;
    relay.out_bytes = (size_t)options.out_bytes;
    for (int partition = 0; partition < PARTITIONS_MAX; partition++) relay.done[partition] = -1;

    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    relay.consumer = bench_client(RD_KAFKA_CONSUMER, consumer);
    relay.producer = bench_client(RD_KAFKA_PRODUCER, producer);
    rd_kafka_poll_set_consumer(relay.consumer);
    relay.fetched = rd_kafka_queue_new(relay.consumer);
    relay.out = rd_kafka_topic_new(relay.producer, options.out, NULL);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, options.in, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(relay.consumer, topics)) bench_fail("subscribe to %s failed", options.in);
    rd_kafka_topic_partition_list_destroy(topics);
    run(&relay);
    close_relay(&relay);
    return 0;
}
