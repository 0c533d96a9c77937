/*
 * Latency at a fixed rate: writes records at an even pace and reads what a worker makes of them, in one process and on
 * one clock. A record's creation time travels in its key (8 bytes, which workers copy), so that nothing else need be
 * decoded.
 *
 *   bench_pace --brokers B --in T --out T --value FILE --rate N --seconds N [--partitions N]
 *
 * FILE holds one record's bytes. The first seconds are not counted. Prints one line of JSON, times in milliseconds.
 */
#include "client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { VALUE_MAX_BYTES = 65536, WARM_UP_S = 3, SILENCE_S = 5 };

struct pace {
    const char *brokers, *in, *out, *value_path;
    int64_t rate, seconds, partitions;
    char value[VALUE_MAX_BYTES];
    size_t value_bytes;
    int64_t total, warm_up; /* records */
    double *latencies_ms;
    _Atomic int64_t received, counted;
    atomic_bool reading, done;
};

static void *read_answers(void *context)
{
    struct pace *pace = context;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bench_set(conf, "bootstrap.servers", pace->brokers);
    bench_set(conf, "group.id", "pace");
    bench_set(conf, "enable.auto.commit", "false");
    rd_kafka_t *consumer = bench_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new((int)pace->partitions);
    for (int32_t partition = 0; partition < pace->partitions; partition++) {
        int64_t low, high;
        if (rd_kafka_query_watermark_offsets(consumer, pace->out, partition, &low, &high, 10000)) {
            bench_fail("no offsets of %s", pace->out);
        }
        rd_kafka_topic_partition_list_add(all, pace->out, partition)->offset = high;
    }
    rd_kafka_assign(consumer, all);
    rd_kafka_topic_partition_list_destroy(all);
    atomic_store(&pace->reading, true);
    while (!atomic_load(&pace->done)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 50);
        if (!message) continue;
        int64_t created_ns;
        if (!message->err && message->key_len == sizeof created_ns) {
            memcpy(&created_ns, message->key, sizeof created_ns);
            int64_t index = atomic_fetch_add(&pace->received, 1);
            if (index >= pace->warm_up && index < pace->total) {
                pace->latencies_ms[atomic_fetch_add(&pace->counted, 1)] =
                    (double)(bench_now_ns(CLOCK_MONOTONIC) - created_ns) / 1e6;
            }
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return NULL;
}

/* Each record has its moment; a late start of the loop is not made up for by waiting less, its time runs from the
 * moment. */
static void write_records(struct pace *pace)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bench_set(conf, "bootstrap.servers", pace->brokers);
    bench_set(conf, "linger.ms", "0");
    bench_set(conf, "acks", "1");
    bench_set(conf, "queue.buffering.max.messages", "1000000");
    rd_kafka_t *producer = bench_client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, pace->in, NULL);
    int64_t begin_ns = bench_now_ns(CLOCK_MONOTONIC) + 100000000;
    for (int64_t index = 0; index < pace->total; index++) {
        int64_t due_ns = begin_ns + index * 1000000000 / pace->rate;
        if (bench_now_ns(CLOCK_MONOTONIC) < due_ns) {
            struct timespec due = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        }
        int64_t created_ns = due_ns;
        while (rd_kafka_produce(topic, (int32_t)(index % pace->partitions), RD_KAFKA_MSG_F_COPY, pace->value,
                                pace->value_bytes, &created_ns, sizeof created_ns, NULL)) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) bench_fail("produce failed");
            rd_kafka_poll(producer, 1);
        }
        if (index % 64 == 0) rd_kafka_poll(producer, 0);
    }
    if (rd_kafka_flush(producer, 30000)) bench_fail("records were not acknowledged");
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print_result(struct pace *pace)
{
    int64_t count = atomic_load(&pace->counted);
    if (count == 0) bench_fail("nothing came back from %s", pace->out);
    qsort(pace->latencies_ms, (size_t)count, sizeof *pace->latencies_ms, ascending);
#define AT(share) pace->latencies_ms[(int64_t)((double)(count - 1) * (share))]
    printf("{\"sent\": %lld, \"received\": %lld, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p999\": %.3f, "
           "\"max\": %.3f}\n",
           (long long)pace->total, (long long)atomic_load(&pace->received), AT(0.5), AT(0.9), AT(0.99), AT(0.999),
           AT(1.0));
#undef AT
}

static void parse(int argc, char **argv, struct pace *pace)
{
    pace->partitions = 4;
    for (int index = 1; index + 1 < argc; index += 2) {
        const char *name = argv[index], *value = argv[index + 1];
        if (!strcmp(name, "--brokers")) pace->brokers = value;
        else if (!strcmp(name, "--in")) pace->in = value;
        else if (!strcmp(name, "--out")) pace->out = value;
        else if (!strcmp(name, "--value")) pace->value_path = value;
        else if (!strcmp(name, "--rate")) pace->rate = bench_integer(value);
        else if (!strcmp(name, "--seconds")) pace->seconds = bench_integer(value);
        else if (!strcmp(name, "--partitions")) pace->partitions = bench_integer(value);
        else bench_fail("unknown option %s", name);
    }
    if (!pace->brokers || !pace->in || !pace->out || !pace->value_path || !pace->rate || !pace->seconds ||
        !pace->partitions) {
        bench_fail("usage: bench_pace --brokers B --in T --out T --value FILE --rate N --seconds N [--partitions N]");
    }
}

static void read_value(struct pace *pace)
{
    FILE *file = fopen(pace->value_path, "rb");
    if (!file) bench_fail("cannot open %s", pace->value_path);
    pace->value_bytes = fread(pace->value, 1, sizeof pace->value, file);
    fclose(file);
    if (pace->value_bytes == 0) bench_fail("%s is empty", pace->value_path);
}

int main(int argc, char **argv)
{
    static struct pace pace;
    parse(argc, argv, &pace);
    read_value(&pace);
    pace.total = pace.rate * (pace.seconds + WARM_UP_S);
    pace.warm_up = pace.rate * WARM_UP_S;
    pace.latencies_ms = calloc((size_t)pace.total, sizeof *pace.latencies_ms);
    if (!pace.latencies_ms) bench_fail("out of memory");

    pthread_t reader;
    if (pthread_create(&reader, NULL, read_answers, &pace)) bench_fail("no thread");
    struct timespec step = {.tv_nsec = 10000000};
    while (!atomic_load(&pace.reading)) nanosleep(&step, NULL);
    write_records(&pace);
    int64_t deadline_ns = bench_now_ns(CLOCK_MONOTONIC) + SILENCE_S * 1000000000LL;
    while (atomic_load(&pace.received) < pace.total && bench_now_ns(CLOCK_MONOTONIC) < deadline_ns)
        nanosleep(&step, NULL);
    atomic_store(&pace.done, true);
    pthread_join(reader, NULL);
    print_result(&pace);
    free(pace.latencies_ms);
    return 0;
}
