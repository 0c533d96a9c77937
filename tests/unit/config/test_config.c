#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/table.h"
#include "core/log.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BASE                                   \
    "kafka.bootstrap.servers=localhost:9092\n" \
    "input.topics=rides\n"                     \
    "group.id=scorer\n"                        \
    "output.topic=scores\n"                    \
    "model.uri=file:///models/m.safetensors\n"
#define REGISTRY "registry.url=http://localhost:8081\n"
#define GOOD BASE REGISTRY

static char *const no_environment[] = {NULL};

static struct lp_config *load(const char *text)
{
    struct lp_config *config = NULL;
    struct lp_error err = {0};
    if (lp_config_parse(lp_span_text(text), "w", no_environment, NULL, 0, &config, &err) != LP_OK)
        fail_msg("%s", err.text);
    return config;
}

static void refused_in(const char *text, char *const *environment, const char *field, const char *expected)
{
    struct lp_config *config = NULL;
    struct lp_error err = {0};
    enum lp_code rc = lp_config_parse(lp_span_text(text), "w", environment, NULL, 0, &config, &err);
    if (rc == LP_OK) fail_msg("accepted: %s", text);
    assert_null(config);
    assert_int_equal(rc, err.code);
    assert_string_equal(err.field, field);
    if (strstr(err.text, expected) == NULL) fail_msg("\"%s\" does not hold \"%s\"", err.text, expected);
}

static void refused(const char *text, const char *field, const char *expected)
{
    refused_in(text, no_environment, field, expected);
}

static void a_minimal_file_loads_with_the_documented_defaults(void **state)
{
    (void)state;
    struct lp_config *config = load(GOOD);
    assert_int_equal(config->input_topics.count, 1);
    assert_string_equal(config->input_topics.items[0], "rides");
    assert_int_equal(config->input_format, LP_CONFIG_CONFLUENT);
    assert_int_equal(config->input_tombstone, LP_CONFIG_TOMBSTONE_FORWARD);
    assert_int_equal(config->input_start, LP_CONFIG_START_EARLIEST);
    assert_null(config->input_event_time);
    assert_int_equal(config->output_format, LP_CONFIG_AVRO);
    assert_int_equal(config->output_partition, LP_CONFIG_PARTITION_AUTO);
    assert_int_equal(config->output_schema_id, -1);
    assert_int_equal(config->output_fields.count, 0);
    assert_int_equal(config->delivery, LP_CONFIG_AT_LEAST_ONCE);
    assert_int_equal(config->slots.count, 1);
    assert_int_equal(config->drift_window_ms, 300000);
    assert_int_equal(config->drift_min_rows, 1000);
    assert_true(config->drift_psi_warn == 0.1 && config->drift_psi_alert == 0.25);
    assert_int_equal(config->log_level, LP_LOG_INFO);
    assert_string_equal(config->http_listen, "127.0.0.1:8080");
    assert_string_equal(config->model_root_path, "/models");
    assert_int_equal(config->passthrough_count, 1);
    assert_string_equal(config->passthrough[0].key, "kafka.bootstrap.servers");
    assert_in_range(config->lanes, 1, 256);
    assert_in_range(config->fetch_queue_bytes, 1 << 20, 8 << 20);
    assert_in_range(config->inflight_max_records, 1024, 100000);
    assert_true(config->replica_id[0] != '\0');
    lp_config_free(config);
}

static void values_are_parsed_by_type(void **state)
{
    (void)state;
    struct lp_config *config = load(GOOD "input.record.max_bytes = 2048 \n"
                                         "output.fields = scores, label ,version\n"
                                         "output.format=json\nlog.records=true\nlog.level=warn\n"
                                         "drift.window_s=60\ndrift.psi.warn=1e-2\nhttp.listen=[::1]:0\n"
                                         "lanes=3\nmemory.limit_bytes=3221225472\n"
                                         "registry.password= pass \nregistry.user=u\nhttp.token=\\u20ac\n");
    assert_int_equal(config->input_record_max_bytes, 2048);
    assert_int_equal(config->output_fields.count, 3);
    assert_string_equal(config->output_fields.items[1], "label");
    assert_int_equal(config->output_format, LP_CONFIG_JSON);
    assert_true(config->log_records);
    assert_int_equal(config->log_level, LP_LOG_WARN);
    assert_int_equal(config->drift_window_ms, 60000);
    assert_true(config->drift_psi_warn == 0.01);
    assert_int_equal(config->lanes, 3);
    /* A GiB a lane: 6 % of it and a quarter of it by 512 bytes, both capped. */
    assert_int_equal(config->fetch_queue_bytes, 8 << 20);
    assert_int_equal(config->inflight_max_records, 100000);
    assert_string_equal(config->registry_password, "pass "); /* blanks at a secret's end may be meant */
    assert_string_equal(config->http_token, "\xe2\x82\xac");
    lp_config_free(config);
}

static void bad_values_are_refused_with_key_and_origin(void **state)
{
    (void)state;
    refused(GOOD "lanes=two", "lanes", "w:7: lanes=two: write a whole number from 0 to 256");
    refused(GOOD "lanes=-1", "lanes", "whole number");
    refused(GOOD "lanes=257", "lanes", "whole number");
    refused(GOOD "lanes=1.0", "lanes", "whole number");
    refused(GOOD "input.record.max_bytes=99999999999999999999", "input.record.max_bytes", "whole number");
    refused(GOOD "drift.ks.warn=nan", "drift.ks.warn", "number from 0 to 1");
    refused(GOOD "drift.ks.warn=0x1", "drift.ks.warn", "number from 0 to 1");
    refused(GOOD "drift.ks.warn=1.5", "drift.ks.warn", "number from 0 to 1");
    refused(GOOD "log.records=yes", "log.records", "true or false");
    refused(GOOD "input.format=protobuf", "input.format", "confluent single_object avro json");
    refused(GOOD "output.format=confluent", "output.format", "write one of avro json");
    refused(GOOD "dead_letter.topic=a b", "dead_letter.topic", "topic's name");
    refused(GOOD "dead_letter.topic=..", "dead_letter.topic", "topic's name");
    refused(GOOD "drift.topic=^.*", "drift.topic", "topic's name");
    refused(GOOD "output.fields=a,,b", "output.fields", "empty item");
    refused(GOOD "output.fields=a,b,a", "output.fields", "twice");
    refused(GOOD "http.listen=8080", "http.listen", "host:port");
    refused(GOOD "http.listen=::1:80", "http.listen", "host:port");
    refused(GOOD "http.listen=a:65536", "http.listen", "host:port");
    refused(GOOD "model.sha256=abc", "model.sha256", "64 hexadecimal");
    refused(BASE "registry.url=localhost:8081", "registry.url", "http://host:port");
    refused(BASE "registry.url=http://a:1,ftp://b", "registry.url", "http://host:port");
}

static void passwords_never_appear_in_errors(void **state)
{
    (void)state;
    struct lp_config *config;
    struct lp_error err;
    const struct lp_config_override sets[] = {
        {"registry.url", "http://bob:hunter2@registry:8081"},
        {"registry.url", "ftp://bob:hunter2@registry"},
        {"registry.url", "bob:hunter2@registry:8081"},
        {"registry.url", "http://ok:1,,http://bob:hunter2@registry"},
        {"model.uri", "https://bob:hunter2@models/ctr.safetensors"},
        {"model.uri", "s3://bob:hunter2@models/ctr.safetensors"},
        {"http.listen", "bob:hunter2@127.0.0.1"},
        {"output.topic", "bob:hunter2@topic"},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        enum lp_code rc = lp_config_parse(lp_span_text(GOOD), "w", no_environment, &sets[i], 1, &config, &err);
        assert_int_not_equal(rc, LP_OK);
        assert_string_equal(err.field, sets[i].key);
        assert_null(strstr(err.text, "hunter2"));
        if (i == 0) assert_non_null(strstr(err.text, "registry.password"));
    }
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    refused("", "input.topics", "is not set");
    refused("input.topics=a", "group.id", "is not set");
    refused("input.topics=a\ngroup.id=g", "output.topic", "is not set");
    refused("input.topics=a\ngroup.id=g\noutput.topic=b\nmodel.uri=file:///m", "kafka.bootstrap.servers", "is not set");
    refused("input.topics=a\ngroup.id=g\noutput.topic=b\nregistry.url=http://a\nkafka.bootstrap.servers=a", "model.uri",
            "control.topic");
}

static void keys_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    refused(BASE, "input.format", "needs registry.url");
    refused(GOOD "input.format=avro", "input.format", "input.schema.path");
    refused(GOOD "input.format=single_object", "input.format", "input.schema.path");
    refused(GOOD "input.schema.path=/a.avsc", "input.schema.path", "remove");
    refused(BASE "input.format=json", "output.framing", "output.schema.id");
    refused(GOOD "input.schema_id.bytes=5", "input.schema_id.bytes", "4 or 8");
    refused(GOOD "registry.user=u", "registry.user", "other half");
    refused(GOOD "registry.user=u\nregistry.password=p\nregistry.token=t", "registry.token", "remove one");
    refused(GOOD "drift.psi.warn=0.3", "drift.psi.alert", "below");
    refused(GOOD "drift.topic=scores", "drift.topic", "also output.topic");
    refused(GOOD "dead_letter.topic=rides", "dead_letter.topic", "also in input.topics");
    refused(GOOD "inflight.max_records=100", "inflight.max_records", "batch.max_rows");
    refused("kafka.bootstrap.servers=a\ninput.topics=r\ngroup.id=g\noutput.topic=s\ncontrol.topic=c\n" REGISTRY,
            "model.root.path", "control.topic needs it");
    lp_config_free(load(BASE "input.format=json\noutput.format=json"));
    lp_config_free(load(BASE "input.format=json\noutput.framing=none"));
    lp_config_free(load(BASE "input.format=json\noutput.schema.id=7"));
    lp_config_free(load(BASE "input.format=avro\ninput.schema.path=/a.avsc\noutput.format=json"));
}

static void what_this_release_has_not_is_said(void **state)
{
    (void)state;
    struct lp_config *config;
    struct lp_error err;
    static const char *const texts[] = {
        GOOD "slots=a,b",
        "kafka.bootstrap.servers=a\ninput.topics=r\ngroup.id=g\noutput.topic=s\n" REGISTRY
        "model.uri=https://host/m.safetensors",
        "kafka.bootstrap.servers=a\ninput.topics=r\ngroup.id=g\noutput.topic=s\n" REGISTRY "model.uri=kafka:models"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(lp_config_parse(lp_span_text(texts[i]), "w", no_environment, NULL, 0, &config, &err),
                         LP_E_UNSUPPORTED);
        assert_non_null(strstr(err.text, "release"));
    }
}

static void unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    refused(GOOD "input.topcis=a", "input.topcis", "w:7: input.topcis: unknown key: did you mean input.topics?");
    refused(GOOD "batch.maxrows=1", "batch.maxrows", "batch.max_rows?");
    refused(GOOD "bootstrap.servers=a", "bootstrap.servers", "kafka.bootstrap.servers?");
    refused(GOOD "zzzzzzzzzzzzzzzz=a", "zzzzzzzzzzzzzzzz", "--print-reference");
    refused(GOOD "kafka.=a", "kafka.", "unknown key");
    refused(GOOD "kafka.consumer.=a", "kafka.consumer.", "unknown key");
    refused(GOOD "kafka.Acks=a", "kafka.Acks", "unknown key");
}

static void a_key_set_twice_names_both_lines(void **state)
{
    (void)state;
    refused(GOOD "lanes=1\nlanes=2", "lanes", "w:8: lanes is set twice, first at w:7");
    refused(GOOD "kafka.debug=a\nkafka.debug=b", "kafka.debug", "w:8: kafka.debug is set twice, first at w:7");
    refused(GOOD "http.token=a\nhttp.token.file=/nowhere", "http.token.file", "set twice, first at w:7");
}

static void the_environment_overrides_the_file_and_set_overrides_both(void **state)
{
    (void)state;
    char *const environment[] = {"PATH=/bin",
                                 "LEPTON_INPUT_TOPICS=a,b",
                                 "LEPTON_BATCH_MAX_ROWS=16",
                                 "LEPTON_DEAD_LETTER_TOPIC=dead",
                                 "LEPTON_KAFKA_CONSUMER_FETCH_MIN_BYTES=9",
                                 "LEPTON_LANES=",
                                 NULL};
    const struct lp_config_override overrides[] = {
        {"batch.max_rows", "32"}, {"batch.max_rows", "64"}, {"kafka.debug", "cgrp"}};
    struct lp_config *config;
    struct lp_error err;
    assert_int_equal(lp_config_parse(lp_span_text(GOOD "batch.max_rows=8\nlanes=2\n"), "w", environment, overrides, 3,
                                     &config, &err),
                     LP_OK);
    assert_int_equal(config->input_topics.count, 2);
    assert_int_equal(config->batch_max_rows, 64);
    assert_string_equal(config->dead_letter_topic, "dead");
    assert_int_equal(config->passthrough_count, 3);
    assert_string_equal(config->passthrough[1].key, "kafka.consumer.fetch.min.bytes");
    assert_string_equal(config->passthrough[1].origin, "LEPTON_KAFKA_CONSUMER_FETCH_MIN_BYTES");
    assert_string_equal(config->passthrough[2].origin, "--set");
    lp_config_free(config);
}

static void an_empty_value_takes_the_default_back(void **state)
{
    (void)state;
    char *const environment[] = {"LEPTON_BATCH_MAX_ROWS=", "LEPTON_KAFKA_DEBUG=", NULL};
    struct lp_config *config;
    struct lp_error err;
    const char *text = GOOD "batch.max_rows=8\nkafka.debug=all\ninput.start=\n";
    assert_int_equal(lp_config_parse(lp_span_text(text), "w", environment, NULL, 0, &config, &err), LP_OK);
    assert_int_equal(config->batch_max_rows, 256);
    assert_int_equal(config->passthrough_count, 1);
    lp_config_free(config);
    refused(GOOD "group.instance.id=\nlanes=\noutput.topic.file=", "output.topic.file", "set twice");
}

static void service_variables_are_dropped_and_others_collected(void **state)
{
    (void)state;
    char *const environment[] = {"LEPTON_SERVICE_HOST=10.0.0.1",
                                 "LEPTON_SERVICE_PORT=8080",
                                 "LEPTON_SERVICE_PORT_HTTP=8080",
                                 "LEPTON_PORT=tcp://10.0.0.1:8080",
                                 "LEPTON_PORT_8080_TCP=tcp://10.0.0.1:8080",
                                 "LEPTON_PORT_8080_TCP_PROTO=tcp",
                                 "LEPTON_PORT_8080_TCP_ADDR=10.0.0.1",
                                 "LEPTON_KAFKA_SERVICE_HOST=10.0.0.2",
                                 "LEPTON_KAFKA_PORT_9092_TCP_PORT=9092",
                                 "LEPTON_HTTP_PORT=tcp://10.0.0.3:80",
                                 "LEPTON_CPU_DISABLE=avx512",
                                 "LEPTON_=x",
                                 "LEPTON_INPUT_TOPIC=typo",
                                 "LEPTON_input_topics=x",
                                 NULL};
    struct lp_config *config;
    struct lp_error err;
    assert_int_equal(lp_config_parse(lp_span_text(GOOD), "w", environment, NULL, 0, &config, &err), LP_OK);
    const struct lp_config_list *ignored = lp_config_ignored_environment(config);
    assert_int_equal(ignored->count, 2);
    assert_string_equal(ignored->items[0], "LEPTON_INPUT_TOPIC");
    assert_string_equal(ignored->items[1], "LEPTON_input_topics");
    assert_int_equal(config->passthrough_count, 1);
    lp_config_free(config);
    char *const twice[] = {"LEPTON_HTTP_TOKEN=a", "LEPTON_HTTP_TOKEN_FILE=/b", NULL};
    refused_in(GOOD, twice, "http.token.file", "set twice, first at LEPTON_HTTP_TOKEN");
}

static void write_file(char path[64], const char *text, size_t bytes)
{
    snprintf(path, 64, "/tmp/lepton-config-XXXXXX");
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, bytes), bytes);
    close(file);
}

static void secrets_are_read_from_files(void **state)
{
    (void)state;
    char path[64], text[512];
    write_file(path, " hunter2 \r\n", 11);
    snprintf(text, sizeof text, GOOD "http.token.file=%s\nkafka.sasl.password.file=%s\n", path, path);
    struct lp_config *config = load(text);
    assert_string_equal(config->http_token, " hunter2 ");
    assert_string_equal(config->passthrough[1].key, "kafka.sasl.password");
    assert_string_equal(config->passthrough[1].value, " hunter2 ");
    lp_config_free(config);
    unlink(path);
    refused(text, "http.token.file", "cannot be opened");
    refused(GOOD "registry.ca.path.file=/x", "registry.ca.path.file", "write registry.ca.path");
    write_file(path, "\n", 1);
    snprintf(text, sizeof text, GOOD "http.token.file=%s", path);
    refused(text, "http.token.file", "is empty");
    unlink(path);
    char *large = calloc(1, 65537);
    assert_non_null(large);
    memset(large, 'x', 65537);
    write_file(path, large, 65537);
    free(large);
    snprintf(text, sizeof text, GOOD "http.token.file=%s", path);
    refused(text, "http.token.file", "larger than 65536");
    unlink(path);
}

static const char *passed(const struct lp_config *config, const char *key)
{
    for (uint32_t i = 0; i < config->passthrough_count; i++)
        if (strcmp(config->passthrough[i].key, key) == 0) return config->passthrough[i].value;
    return NULL;
}

static void librdkafkas_own_keys_that_end_in_file_are_passed_on(void **state)
{
    (void)state;
    char path[64], text[512];
    write_file(path, "phrase\n", 7);
    snprintf(text, sizeof text,
             GOOD "kafka.sasl.oauthbearer.assertion.private.key.file=/k.pem\n"
                  "kafka.sasl.oauthbearer.assertion.private.key.passphrase.file=%s\n"
                  "kafka.consumer.sasl.oauthbearer.assertion.file=/a\n",
             path);
    struct lp_config *config = load(text);
    assert_string_equal(passed(config, "kafka.sasl.oauthbearer.assertion.private.key.file"), "/k.pem");
    assert_string_equal(passed(config, "kafka.sasl.oauthbearer.assertion.private.key.passphrase"), "phrase");
    assert_string_equal(passed(config, "kafka.consumer.sasl.oauthbearer.assertion.file"), "/a");
    lp_config_free(config);
    unlink(path);
}

static void the_file_is_read_and_named(void **state)
{
    (void)state;
    char path[64];
    write_file(path, GOOD "lanes=5\n", strlen(GOOD "lanes=5\n"));
    struct lp_config *config = NULL;
    struct lp_error err;
    assert_int_equal(lp_config_load(path, no_environment, NULL, 0, &config, &err), LP_OK);
    assert_int_equal(config->lanes, 5);
    lp_config_free(config);
    unlink(path);
    assert_int_equal(lp_config_load(path, no_environment, NULL, 0, &config, &err), LP_E_NOT_FOUND);
    assert_non_null(strstr(err.text, path));
}

/* Not inlined: gcc 12 takes the text for a pointer to the local variable that open_memstream fills. */
static __attribute__((noinline)) char *printed(void (*print)(FILE *out, const void *context), const void *context)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    print(out, context);
    fclose(out);
    return text;
}

static void print_values(FILE *out, const void *config) { lp_config_print(config, NULL, out); }
static bool knows_linger(const char *key) { return strcmp(key, "linger.ms") == 0; }
static void print_known(FILE *out, const void *config) { lp_config_print(config, knows_linger, out); }
static void print_reference(FILE *out, const void *unused)
{
    (void)unused;
    lp_config_print_reference(out);
}

static void effective_values_are_printed_with_origins_and_without_secrets(void **state)
{
    (void)state;
    struct lp_config *config = load(GOOD "http.token=hunter2\nkafka.sasl.password=hunter2\nkafka.ssl.key.pem=hunter2\n"
                                         "kafka.sasl.username=bob\ndrift.window_s=7\nregistry.user=a\\nb\n"
                                         "registry.password=hunter2\n");
    char *text = printed(print_values, config);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "http.token = ******  # w:7\n"));
    assert_non_null(strstr(text, "kafka.sasl.password = ******  # w:8\n"));
    assert_non_null(strstr(text, "kafka.sasl.username = bob  # w:10\n"));
    assert_non_null(strstr(text, "drift.window_s = 7  # w:11\n"));
    assert_non_null(strstr(text, "registry.user = a\\nb  # w:12\n"));
    assert_non_null(strstr(text, "input.topics = rides  # w:2\n"));
    assert_non_null(strstr(text, "input.tombstone = forward  # default\n"));
    assert_non_null(strstr(text, "model.root.path = /models  # derived: the folder of model.uri\n"));
    free(text);
    lp_config_free(config);
}

static void a_misspelt_key_of_librdkafka_may_be_a_secrets(void **state)
{
    (void)state;
    struct lp_config *config = load(GOOD "kafka.producer.linger.ms=5\nkafka.sasl.pasword=hunter2\n"
                                         "kafka.consumer.sasl.pass=hunter2\n");
    char *text = printed(print_known, config);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "kafka.producer.linger.ms = 5  # w:7\n"));
    assert_non_null(strstr(text, "kafka.consumer.sasl.pass = ******  # w:9\n"));
    free(text);
    lp_config_free(config);
}

static void the_reference_has_every_key_once(void **state)
{
    (void)state;
    char *text = printed(print_reference, NULL);
    for (uint32_t i = 0; i < lp_config_key_count; i++) {
        if (lp_config_keys[i].key == NULL) continue;
        char row[128];
        snprintf(row, sizeof row, "| `%s` |", lp_config_keys[i].key);
        char *first = strstr(text, row);
        if (first == NULL) fail_msg("%s is not in the reference", row);
        else assert_null(strstr(first + 1, row));
    }
    free(text);
}

static void names_of_the_table_are_legal_and_spelled_apart(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < lp_config_key_count; i++) {
        const char *key = lp_config_keys[i].key;
        if (key == NULL) continue;
        size_t bytes = strlen(key);
        assert_true(bytes < 64);
        assert_false(bytes > 5 && strcmp(key + bytes - 5, ".file") == 0);
        assert_null(strstr(key, "port"));
        assert_non_null(lp_config_keys[i].help);
        for (uint32_t k = 0; k < i; k++) {
            const char *other = lp_config_keys[k].key;
            bool same = other != NULL && strlen(other) == bytes;
            for (size_t c = 0; same && c < bytes; c++)
                same = (key[c] == '.' ? '_' : key[c]) == (other[c] == '.' ? '_' : other[c]);
            assert_false(same);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minimal_file_loads_with_the_documented_defaults),
        cmocka_unit_test(values_are_parsed_by_type),
        cmocka_unit_test(bad_values_are_refused_with_key_and_origin),
        cmocka_unit_test(passwords_never_appear_in_errors),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(keys_that_contradict_each_other_are_refused),
        cmocka_unit_test(what_this_release_has_not_is_said),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(a_key_set_twice_names_both_lines),
        cmocka_unit_test(the_environment_overrides_the_file_and_set_overrides_both),
        cmocka_unit_test(an_empty_value_takes_the_default_back),
        cmocka_unit_test(service_variables_are_dropped_and_others_collected),
        cmocka_unit_test(secrets_are_read_from_files),
        cmocka_unit_test(librdkafkas_own_keys_that_end_in_file_are_passed_on),
        cmocka_unit_test(the_file_is_read_and_named),
        cmocka_unit_test(effective_values_are_printed_with_origins_and_without_secrets),
        cmocka_unit_test(a_misspelt_key_of_librdkafka_may_be_a_secrets),
        cmocka_unit_test(the_reference_has_every_key_once),
        cmocka_unit_test(names_of_the_table_are_legal_and_spelled_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
