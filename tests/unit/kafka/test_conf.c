// wrap: rd_kafka_new rd_kafka_version
#include "kafka/client.h"
#include "kafka/client_log.h"
#include "kafka/conf.h"
#include "kafka/embedded.h"
#include "kafka/reader.h"
#include "kafka/sink.h"
#include "kafka/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lp_error err;
static bool clients_fail;

rd_kafka_t *__real_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t bytes);
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t bytes);
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t bytes)
{
    if (!clients_fail) return __real_rd_kafka_new(type, conf, text, bytes);
    snprintf(text, bytes, "planted");
    return NULL;
}

static int claimed_version; /* 0: the linked one's */

int __real_rd_kafka_version(void);
int __wrap_rd_kafka_version(void);
int __wrap_rd_kafka_version(void) { return claimed_version != 0 ? claimed_version : __real_rd_kafka_version(); }

static struct lp_kafka_conf conf_of(struct lp_kafka_setting *settings, uint32_t count)
{
    return (struct lp_kafka_conf){
        .settings = settings, .setting_count = count, .commit_interval_ms = 1000, .fetch_queue_bytes = 1u << 24};
}

static void keys_with_a_guarantee_are_owned_and_others_pass(void **state)
{
    static const char *const owned[] = {"acks",
                                        "request.required.acks",
                                        "enable.idempotence",
                                        "enable.auto.commit",
                                        "enable.auto.offset.store",
                                        "transactional.id",
                                        "isolation.level",
                                        "enable.partition.eof",
                                        "message.timeout.ms",
                                        "delivery.timeout.ms"};
    static const char *const passing[] = {"bootstrap.servers", "sasl.password",      "linger.ms",
                                          "compression.type",  "session.timeout.ms", "partition.assignment.strategy",
                                          "ssl.ca.location"};
    (void)state;
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) assert_non_null(lp_kafka_conf_owned(owned[i]));
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) assert_null(lp_kafka_conf_owned(passing[i]));
    assert_string_equal(lp_kafka_conf_owned("group.id"), "group.id");
    assert_string_equal(lp_kafka_conf_owned("acks"), "delivery");
    assert_string_equal(lp_kafka_conf_owned("auto.offset.reset"), "input.start");
}

static void every_owned_key_is_one_that_librdkafka_knows(void **state)
{
    static const char *const keys[] = {"acks",
                                       "auto.commit.interval.ms",
                                       "auto.offset.reset",
                                       "client.id",
                                       "consume.callback.max.messages",
                                       "partitioner",
                                       "queuing.strategy",
                                       "queue.buffering.max.messages",
                                       "queue.buffering.max.kbytes",
                                       "log.queue",
                                       "offset.store.method",
                                       "delivery.report.only.error"};
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char value[512];
        size_t size = sizeof value;
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        rd_kafka_topic_conf_t *topic_conf = rd_kafka_topic_conf_new();
        assert_non_null(lp_kafka_conf_owned(keys[i]));
        assert_true(rd_kafka_conf_get(conf, keys[i], value, &size) == RD_KAFKA_CONF_OK ||
                    rd_kafka_topic_conf_get(topic_conf, keys[i], value, &size) == RD_KAFKA_CONF_OK);
        rd_kafka_topic_conf_destroy(topic_conf);
        rd_kafka_conf_destroy(conf);
    }
}

static void a_setting_that_librdkafka_refuses_is_named_with_its_prefix(void **state)
{
    struct lp_kafka_setting settings[] = {{"bootstrap.servers", "127.0.0.1:1", LP_KAFKA_BOTH},
                                          {"linger.ms", "soon", LP_KAFKA_PRODUCER}};
    struct lp_kafka_conf conf = conf_of(settings, 2);
    (void)state;
    assert_int_equal(lp_kafka_conf_check(&conf, &err), LP_E_INVALID);
    assert_string_equal(err.field, "kafka.producer.linger.ms");
    settings[1] = (struct lp_kafka_setting){"no.such.key", "1", LP_KAFKA_CONSUMER};
    assert_int_equal(lp_kafka_conf_check(&conf, &err), LP_E_INVALID);
    assert_string_equal(err.field, "kafka.consumer.no.such.key");
    settings[1] = (struct lp_kafka_setting){"enable.idempotence", "false", LP_KAFKA_BOTH};
    assert_int_equal(lp_kafka_conf_check(&conf, &err), LP_E_INVALID);
    assert_string_equal(err.field, "kafka.enable.idempotence");
    assert_non_null(strstr(err.text, "use delivery"));
    settings[1] = (struct lp_kafka_setting){"linger.ms", "0", LP_KAFKA_PRODUCER};
    assert_int_equal(lp_kafka_conf_check(&conf, &err), LP_OK);
    conf.setting_count = 0;
    assert_int_equal(lp_kafka_conf_check(&conf, &err), LP_E_INVALID);
    assert_string_equal(err.field, "kafka.bootstrap.servers");
}

static void expect_setting(enum lp_client_role role, const struct lp_kafka_conf *conf, const char *key,
                           const char *expected)
{
    rd_kafka_conf_t *rk_conf = NULL;
    char value[128] = "";
    size_t size = sizeof value;
    assert_int_equal(lp_client_conf_new(conf, role, "c", NULL, 0, &rk_conf, &err), LP_OK);
    assert_int_equal(rd_kafka_conf_get(rk_conf, key, value, &size), RD_KAFKA_CONF_OK);
    assert_string_equal(value, expected);
    rd_kafka_conf_destroy(rk_conf);
}

static void defaults_yield_to_settings_and_guarantees_do_not(void **state)
{
    struct lp_kafka_setting settings[] = {{"bootstrap.servers", "127.0.0.1:1", LP_KAFKA_BOTH},
                                          {"linger.ms", "50", LP_KAFKA_PRODUCER},
                                          {"queued.max.messages.kbytes", "777", LP_KAFKA_CONSUMER}};
    struct lp_kafka_conf conf = conf_of(settings, 1);
    (void)state;
    expect_setting(LP_CLIENT_SINK, &conf, "linger.ms", "5");
    expect_setting(LP_CLIENT_SINK, &conf, "compression.type", "lz4");
    expect_setting(LP_CLIENT_SINK, &conf, "enable.idempotence", "true");
    expect_setting(LP_CLIENT_SINK, &conf, "acks", "-1");
    expect_setting(LP_CLIENT_SINK, &conf, "message.timeout.ms", "0");
    expect_setting(LP_CLIENT_SINK, &conf, "socket.nagle.disable", "true");
    expect_setting(LP_CLIENT_SOURCE, &conf, "queued.max.messages.kbytes", "16384");
    expect_setting(LP_CLIENT_SOURCE, &conf, "fetch.max.bytes", "16777216");
    expect_setting(LP_CLIENT_SOURCE, &conf, "enable.auto.commit", "true");
    expect_setting(LP_CLIENT_SOURCE, &conf, "enable.auto.offset.store", "false");
    expect_setting(LP_CLIENT_SOURCE, &conf, "auto.commit.interval.ms", "200");
    expect_setting(LP_CLIENT_READER, &conf, "enable.partition.eof", "true");
    conf.exactly_once = true;
    expect_setting(LP_CLIENT_SOURCE, &conf, "enable.auto.commit", "false");
    conf.setting_count = 3;
    expect_setting(LP_CLIENT_SINK, &conf, "linger.ms", "50");
    expect_setting(LP_CLIENT_SOURCE, &conf, "queued.max.messages.kbytes", "777");
}

static void the_assignor_follows_the_version_and_the_user(void **state)
{
    struct lp_kafka_setting settings[] = {
        {"partition.assignment.strategy", "roundrobin", LP_KAFKA_CONSUMER},
        {"partition.assignment.strategy", "range", LP_KAFKA_PRODUCER}, /* not the consumer's */
    };
    struct lp_kafka_conf conf = conf_of(settings, 0);
    (void)state;
    assert_string_equal(lp_kafka_assignor(&conf), lp_kafka_version() >= 0x020a0000 ? "cooperative-sticky" : "range");
    conf.setting_count = 2;
    assert_string_equal(lp_kafka_assignor(&conf), "roundrobin");
    assert_non_null(strchr(lp_kafka_version_text(), '.'));
}

static void scram_with_a_librdkafka_that_kafka_4_refuses_is_warned_of_with_the_cure(void **state)
{
    static const struct {
        struct lp_kafka_setting setting;
        int version;
        bool warns;
    } cases[] = {
        {{"sasl.mechanism", "SCRAM-SHA-256", LP_KAFKA_BOTH}, 0x020002ff, true},
        {{"sasl.mechanisms", "SCRAM-SHA-512", LP_KAFKA_BOTH}, 0x020600ff, true},
        {{"sasl.mechanisms", "SCRAM-SHA-512", LP_KAFKA_PRODUCER}, 0x020600ff, true},
        {{"sasl.mechanism", "SCRAM-SHA-256", LP_KAFKA_BOTH}, 0x020601ff, false},
        {{"sasl.mechanism", "SCRAM-SHA-256", LP_KAFKA_BOTH}, 0x020c01ff, false},
        {{"sasl.mechanism", "PLAIN", LP_KAFKA_BOTH}, 0x020002ff, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[LP_KAFKA_WARNING_BYTES] = "";
        struct lp_kafka_setting setting = cases[i].setting;
        struct lp_kafka_conf conf = conf_of(&setting, 1);
        claimed_version = cases[i].version;
        assert_int_equal(lp_kafka_conf_warning(&conf, text, sizeof text), cases[i].warns);
        if (cases[i].warns) assert_non_null(strstr(text, "install librdkafka 2.6.1 or later"));
    }
    claimed_version = 0;
}

static void keys_of_librdkafka_are_known_and_misspelt_ones_are_not(void **state)
{
    (void)state;
    static const char *const known[] = {"bootstrap.servers", "sasl.password", "linger.ms", "message.timeout.ms"};
    static const char *const unknown[] = {"sasl.pasword", "", "linger", "kafka.linger.ms"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) assert_true(lp_kafka_conf_known(known[i]));
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) assert_false(lp_kafka_conf_known(unknown[i]));
}

static void lines_that_differ_in_digits_only_are_thinned(void **state)
{
    uint32_t suppressed = 99;
    uint64_t now_ns = 1000000000000u;
    (void)state;
    assert_true(lp_client_log_admit("FAIL", "127.0.0.1:9092 down after 1ms", now_ns, &suppressed));
    assert_int_equal(suppressed, 0);
    for (int i = 0; i < 7; i++)
        assert_false(lp_client_log_admit("FAIL", "127.0.0.1:9093 down after 22ms", now_ns + 1000, &suppressed));
    assert_true(lp_client_log_admit("FAIL", "127.0.0.1:9092 up", now_ns + 1000, &suppressed));
    now_ns += LP_CLIENT_LOG_PERIOD_MS * UINT64_C(1000000);
    assert_true(lp_client_log_admit("FAIL", "127.0.0.1:9092 down after 1ms", now_ns, &suppressed));
    assert_int_equal(suppressed, 7);
    assert_true(lp_client_log_admit("FAIL", "refused (after 0ms in state CONNECT)", now_ns, &suppressed));
    assert_false(lp_client_log_admit("FAIL", "refused (after 0ms in state CONNECT, 1 identical error(s) suppressed)",
                                     now_ns, &suppressed));
}

static void a_client_that_cannot_be_made_is_an_error_everywhere(void **state)
{
    static const char *const topics[] = {"t"};
    struct lp_kafka_setting settings[] = {{"bootstrap.servers", "127.0.0.1:1", LP_KAFKA_BOTH}};
    struct lp_kafka_conf conf = conf_of(settings, 1);
    struct lp_source *source = NULL;
    struct lp_sink *sink = NULL;
    struct lp_reader *reader = NULL;
    struct lp_embedded *embedded = NULL;
    struct lp_source_callbacks callbacks = {.context = NULL};
    struct lp_source_options source_options = {
        .conf = &conf, .topics = topics, .topic_count = 1, .group_id = "g", .client_id = "c", .partitions_max = 1};
    struct lp_sink_options sink_options = {.conf = &conf, .client_id = "c", .queue_max = 1, .queue_max_bytes = 1024};
    (void)state;
    clients_fail = true;
    assert_int_equal(lp_source_new(&source_options, &callbacks, &source, &err), LP_E_INVALID);
    assert_int_equal(err.action, LP_FATAL);
    assert_non_null(strstr(err.text, "planted"));
    assert_int_equal(lp_sink_new(&sink_options, &sink, &err), LP_E_INVALID);
    assert_int_equal(lp_reader_new(&conf, "c", topics, 1, &reader, &err), LP_E_INVALID);
    assert_int_equal(lp_embedded_new(1, &embedded, &err), LP_E_INVALID);
    clients_fail = false;
    assert_true(source == NULL && sink == NULL && reader == NULL && embedded == NULL);
    lp_source_free(NULL);
    lp_sink_free(NULL);
    lp_reader_free(NULL);
    lp_embedded_free(NULL);
}

static void contradictions_that_only_the_client_sees_are_errors(void **state)
{
    static const char *const topics[] = {"t"};
    struct lp_kafka_setting settings[] = {{"bootstrap.servers", "127.0.0.1:1", LP_KAFKA_BOTH},
                                          {"session.timeout.ms", "600000", LP_KAFKA_CONSUMER},
                                          {"max.poll.interval.ms", "10000", LP_KAFKA_CONSUMER}};
    struct lp_kafka_conf conf = conf_of(settings, 3);
    struct lp_source *source = NULL;
    struct lp_source_callbacks callbacks = {.context = NULL};
    struct lp_source_options options = {
        .conf = &conf, .topics = topics, .topic_count = 1, .group_id = "g", .client_id = "c", .partitions_max = 1};
    (void)state;
    assert_int_equal(lp_source_new(&options, &callbacks, &source, &err), LP_E_INVALID);
    assert_non_null(strstr(err.text, "max.poll.interval.ms"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_with_a_guarantee_are_owned_and_others_pass),
        cmocka_unit_test(every_owned_key_is_one_that_librdkafka_knows),
        cmocka_unit_test(a_setting_that_librdkafka_refuses_is_named_with_its_prefix),
        cmocka_unit_test(defaults_yield_to_settings_and_guarantees_do_not),
        cmocka_unit_test(the_assignor_follows_the_version_and_the_user),
        cmocka_unit_test(scram_with_a_librdkafka_that_kafka_4_refuses_is_warned_of_with_the_cure),
        cmocka_unit_test(keys_of_librdkafka_are_known_and_misspelt_ones_are_not),
        cmocka_unit_test(lines_that_differ_in_digits_only_are_thinned),
        cmocka_unit_test(a_client_that_cannot_be_made_is_an_error_everywhere),
        cmocka_unit_test(contradictions_that_only_the_client_sees_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
