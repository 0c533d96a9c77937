/* An embedded cluster and a few helpers for tests of the Kafka layer. Functions are static: one program a test file. */
#ifndef LP_TESTS_KAFKA_BED_H
#define LP_TESTS_KAFKA_BED_H

#include "core/clock.h"
#include "kafka/conf.h"
#include "kafka/embedded.h"
#include "kafka/sink.h"
#include "kafka/source.h"

#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Under TSan the program is linked with support/tsan_threads.c (support/tsan.cmake). librdkafka itself is not
 * instrumented, so its atomic reference counts order nothing in TSan's eyes: the last reference's destruction of a
 * topic's lock, and of a fetch buffer that a callback has read on another thread. Narrow on purpose: a suppression by
 * library would also hide races in our callbacks.
 */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
__attribute__((no_sanitize("thread"))) const char *__tsan_default_suppressions(void) /* called before TSan is up */
{
    return "race_top:pthread_rwlock_destroy\nrace_top:^free$\n";
}

#define BED_UNUSED __attribute__((unused))
#define BED_OK(call) bed_ok((call), &bed_err, #call, __LINE__)

enum { BED_SETTINGS = 8 };

static struct lp_error bed_err;

static BED_UNUSED void bed_ok(enum lp_code code, const struct lp_error *err, const char *what, int line)
{
    if (code != LP_OK) fail_msg("line %d: %s: code %d: %s", line, what, (int)code, err->text);
}

/* A whole number from 0 on and nothing behind it but white space, as keys, versions and headers of the tests are. */
static BED_UNUSED int bed_whole(const char *text)
{
    char *end = NULL;
    long value = text != NULL ? strtol(text, &end, 10) : -1;
    if (text == NULL || end == text || end[strspn(end, " \n")] != '\0' || value < 0 || value > INT32_MAX)
        fail_msg("not a whole number: %s", text != NULL ? text : "null");
    return (int)value;
}

struct bed {
    struct lp_embedded *cluster;
    struct lp_kafka_setting settings[BED_SETTINGS];
    struct lp_kafka_conf conf;
};

/* The mock's empty fetches sleep the whole fetch.wait.max.ms, its later joins nearly the session time-out. An outside
 * broker is taken instead where LEPTON_TEST_BOOTSTRAP names one. */
static BED_UNUSED void bed_start(struct bed *bed, const char *assignor)
{
    memset(bed, 0, sizeof *bed);
    const char *bootstrap = getenv("LEPTON_TEST_BOOTSTRAP");
    if (bootstrap == NULL) {
        BED_OK(lp_embedded_new(1, &bed->cluster, &bed_err));
        bootstrap = lp_embedded_bootstrap(bed->cluster);
    }
    uint32_t count = 0;
    bed->settings[count++] = (struct lp_kafka_setting){"bootstrap.servers", bootstrap, LP_KAFKA_BOTH};
    bed->settings[count++] = (struct lp_kafka_setting){"session.timeout.ms", "6000", LP_KAFKA_CONSUMER};
    bed->settings[count++] = (struct lp_kafka_setting){"fetch.wait.max.ms", "10", LP_KAFKA_CONSUMER};
    if (assignor != NULL)
        bed->settings[count++] =
            (struct lp_kafka_setting){"partition.assignment.strategy", assignor, LP_KAFKA_CONSUMER};
    bed->conf = (struct lp_kafka_conf){.settings = bed->settings, .setting_count = count, .commit_interval_ms = 200};
}

/* On an outside broker: an existing topic is taken as it is. */
static BED_UNUSED void bed_topic_outside(struct bed *bed, const char *name, uint32_t partitions)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bed->settings[0].value, text, sizeof text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(client);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, (int)partitions, 1, text, sizeof text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    assert_non_null(event);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
}

static BED_UNUSED void bed_topic(struct bed *bed, const char *name, uint32_t partitions)
{
    if (bed->cluster == NULL) bed_topic_outside(bed, name, partitions);
    else BED_OK(lp_embedded_create_topic(bed->cluster, name, partitions, &bed_err));
}

static BED_UNUSED void bed_stop(struct bed *bed)
{
    lp_embedded_free(bed->cluster);
    bed->cluster = NULL;
}

/* A sink and its topic, for records of the test's own make. */
static BED_UNUSED struct lp_sink *bed_sink(struct bed *bed, const char *topic_name, struct lp_sink_topic **ret_topic)
{
    struct lp_sink *sink = NULL;
    struct lp_sink_options options = {
        .conf = &bed->conf, .client_id = "bed", .queue_max = 1000000, .queue_max_bytes = 1u << 28};
    BED_OK(lp_sink_new(&options, &sink, &bed_err));
    BED_OK(lp_sink_topic(sink, topic_name, ret_topic, &bed_err));
    return sink;
}

/* Partition p gets values "p:0", "p:1", ...; all acknowledged on return. */
static BED_UNUSED void bed_produce(struct bed *bed, const char *topic_name, int32_t partitions, int first, int count)
{
    struct lp_sink_topic *topic = NULL;
    struct lp_sink *sink = bed_sink(bed, topic_name, &topic);
    for (int i = first; i < first + count; i++) {
        for (int32_t p = 0; p < partitions; p++) {
            char value[32];
            int size = snprintf(value, sizeof value, "%d:%d", (int)p, i);
            struct lp_sink_message message = {
                .topic = topic, .partition = p, .value = lp_span_of(value, (size_t)size), .timestamp_ms = 1000 + i};
            BED_OK(lp_sink_send(sink, &message, &bed_err));
        }
        if (i % 256 == 0) lp_sink_poll(sink, 0);
    }
    BED_OK(lp_sink_flush(sink, 30000, &bed_err));
    lp_sink_free(sink);
}

/* Callbacks of a source whose test is about records only. */
static BED_UNUSED void bed_ignore_assigned(void *context, uint32_t slot, uint32_t topic_index, int32_t partition)
{
    (void)context, (void)slot, (void)topic_index, (void)partition;
}

static BED_UNUSED void bed_ignore_revoking(void *context, const uint32_t *slots, uint32_t count, bool lost)
{
    (void)context, (void)slots, (void)count, (void)lost;
}

static BED_UNUSED void bed_ignore_revoked(void *context, const uint32_t *slots, uint32_t count)
{
    (void)context, (void)slots, (void)count;
}

/* A source of one topic in a group named after it. */
static BED_UNUSED struct lp_source *bed_source(struct bed *bed, const char *const *topic, uint32_t partitions_max,
                                               enum lp_source_step (*record)(void *, const struct lp_source_record *))
{
    struct lp_source *source = NULL;
    struct lp_source_options options = {.conf = &bed->conf,
                                        .topics = topic,
                                        .topic_count = 1,
                                        .group_id = *topic,
                                        .client_id = *topic,
                                        .partitions_max = partitions_max};
    struct lp_source_callbacks callbacks = {.record = record,
                                            .assigned = bed_ignore_assigned,
                                            .revoking = bed_ignore_revoking,
                                            .revoked = bed_ignore_revoked};
    BED_OK(lp_source_new(&options, &callbacks, &source, &bed_err));
    return source;
}

static BED_UNUSED uint64_t bed_ms(void) { return lp_clock_ns() / 1000000u; }

#endif
