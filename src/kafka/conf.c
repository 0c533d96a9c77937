#include "kafka/conf.h"

#include "kafka/client.h"
#include "kafka/client_log.h"

#include <stdio.h>
#include <string.h>

enum {
    TO_SOURCE = 1 << LP_CLIENT_SOURCE,
    TO_SINK = 1 << LP_CLIENT_SINK,
    TO_READER = 1 << LP_CLIENT_READER,
    TO_ADMIN = 1 << LP_CLIENT_ADMIN,
    TO_ALL = TO_SOURCE | TO_SINK | TO_READER | TO_ADMIN,
    ERROR_TEXT_BYTES = 512,
    KEY_TEXT_BYTES = 128,
    FETCH_KBYTES_MAX = 2097151, /* librdkafka's range */
    FETCH_BYTES_MIN = 1048576,
    FETCH_BYTES_MAX = 52428800 /* librdkafka's default */
};

/* Keys that carry a guarantee of ours, and the key of ours to use instead. */
static const struct {
    const char *key, *instead;
} owned_keys[] = {
    {"acks", "delivery"},
    {"request.required.acks", "delivery"},
    {"auto.commit.enable", "delivery"},
    {"auto.commit.interval.ms", "commit.interval_ms"},
    {"auto.offset.reset", "input.start"},
    {"client.id", "replica.id"},
    {"consume.callback.max.messages", "batch.max_rows"},
    {"delivery.report.only.error", "delivery"},
    {"delivery.timeout.ms", "delivery"},
    {"enable.auto.commit", "delivery"},
    {"enable.auto.offset.store", "delivery"},
    {"enable.idempotence", "delivery"},
    {"enable.partition.eof", "input.topics"},
    {"group.id", "group.id"},
    {"group.instance.id", "group.instance.id"},
    {"isolation.level", "delivery"},
    {"log.queue", "log.level"},
    {"message.timeout.ms", "delivery"},
    {"offset.store.method", "delivery"},
    {"partitioner", "output.partition"},
    {"queue.buffering.max.kbytes", "memory.limit_bytes"},
    {"queue.buffering.max.messages", "inflight.max_records"},
    {"queuing.strategy", "delivery"},
    {"transaction.timeout.ms", "transaction.commit_ms"},
    {"transactional.id", "delivery"},
};

/* What we choose unless the user does. Keys that an older librdkafka does not know are left out there. */
static const struct {
    unsigned roles;
    const char *key, *value;
} defaults[] = {
    /* Nagle holds a produce request back until the last one is acknowledged: 40 ms at low rates. */
    {TO_ALL, "socket.nagle.disable", "true"},
    {TO_SINK, "linger.ms", "5"},
    {TO_SINK, "compression.type", "lz4"},
    /* The byte bound governs: a bound below one second of data makes the fetcher back off (below). */
    {TO_SOURCE, "queued.min.messages", "10000000"},
    /* From 2.2.0: an overflow of the fetch queue backs off this long instead of one second. */
    {TO_SOURCE, "fetch.queue.backoff.ms", "10"},
    {TO_READER, "queued.max.messages.kbytes", "4096"},
};

/* Set last, whatever the settings say. */
static const struct {
    unsigned roles;
    const char *key, *value;
} fixed[] = {
    {TO_SOURCE, "enable.auto.offset.store", "false"},
    /* Soon after an offset is given to it; the source keeps commit.interval_ms by giving them that often. */
    {TO_SOURCE, "auto.commit.interval.ms", "200"},
    {TO_SOURCE, "enable.partition.eof", "false"},
    /* An offset out of range goes to the earliest record; the source counts the gap. Partitions without an offset get
     * an explicit start. */
    {TO_SOURCE | TO_READER, "auto.offset.reset", "earliest"},
    {TO_SOURCE | TO_READER, "isolation.level", "read_committed"},
    {TO_SOURCE, "consume.callback.max.messages", "1000"},
    {TO_SINK, "enable.idempotence", "true"},
    {TO_SINK, "acks", "all"},
    {TO_SINK, "message.timeout.ms", "0"},
    {TO_SINK, "partitioner", "murmur2_random"},
    {TO_READER, "enable.partition.eof", "true"},
    {TO_READER | TO_ADMIN, "enable.auto.commit", "false"},
    {TO_READER | TO_ADMIN, "allow.auto.create.topics", "false"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

const char *lp_kafka_conf_owned(const char *key)
{
    for (size_t i = 0; i < COUNT_OF(owned_keys); i++)
        if (strcmp(owned_keys[i].key, key) == 0) return owned_keys[i].instead;
    return NULL;
}

bool lp_kafka_conf_known(const char *key)
{
    char text[ERROR_TEXT_BYTES];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    /* Not rd_kafka_conf_get: what is known and not set is unknown to it. Topic keys are set through this too. */
    bool known = rd_kafka_conf_set(conf, key, NULL, text, sizeof text) != RD_KAFKA_CONF_UNKNOWN;
    rd_kafka_conf_destroy(conf);
    return known;
}

const char *lp_kafka_version_text(void) { return rd_kafka_version_str(); }

int lp_kafka_version(void) { return rd_kafka_version(); }

static bool setting_applies(const struct lp_kafka_setting *setting, enum lp_client_role role)
{
    if (setting->client == LP_KAFKA_BOTH) return true;
    return (setting->client == LP_KAFKA_PRODUCER) == (role == LP_CLIENT_SINK);
}

static const char *setting_find(const struct lp_kafka_conf *conf, enum lp_client_role role, const char *key)
{
    const char *value = NULL;
    for (uint32_t i = 0; i < conf->setting_count; i++)
        if (setting_applies(&conf->settings[i], role) && strcmp(conf->settings[i].key, key) == 0)
            value = conf->settings[i].value;
    return value;
}

/*
 * librdkafka before 2.10 can lose its assignment when a commit falls into a cooperative rebalance (the generation moves
 * under it), which costs duplicates at every scaling step; eager range has no such window.
 */
const char *lp_kafka_assignor(const struct lp_kafka_conf *conf)
{
    const char *named = setting_find(conf, LP_CLIENT_SOURCE, "partition.assignment.strategy");
    if (named != NULL) return named;
    return rd_kafka_version() >= 0x020a0000 ? "cooperative-sticky" : "range";
}

static void setting_name(const struct lp_kafka_setting *setting, char *text, size_t bytes)
{
    static const char *const prefixes[] = {"kafka.", "kafka.consumer.", "kafka.producer."};
    snprintf(text, bytes, "%s%s", prefixes[setting->client], setting->key);
}

static enum lp_code apply_setting(rd_kafka_conf_t *rk_conf, const struct lp_kafka_setting *setting,
                                  struct lp_error *err)
{
    char name[KEY_TEXT_BYTES], text[ERROR_TEXT_BYTES];
    setting_name(setting, name, sizeof name);
    const char *instead = lp_kafka_conf_owned(setting->key);
    if (instead != NULL)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, name, "%s is set by lepton: use %s", name, instead);
    if (rd_kafka_conf_set(rk_conf, setting->key, setting->value, text, sizeof text) != RD_KAFKA_CONF_OK)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, name, "%s: %s", name, text);
    return LP_OK;
}

static enum lp_code apply_fixed(rd_kafka_conf_t *rk_conf, const char *key, const char *value, struct lp_error *err)
{
    char text[ERROR_TEXT_BYTES];
    if (rd_kafka_conf_set(rk_conf, key, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key, "librdkafka %s refuses %s=%s: %s",
                             rd_kafka_version_str(), key, value, text);
    return LP_OK;
}

static void apply_defaults(rd_kafka_conf_t *rk_conf, const struct lp_kafka_conf *conf, enum lp_client_role role)
{
    char text[ERROR_TEXT_BYTES];
    /* The coordinator refuses the next transaction's first request while it still writes the last one's markers; the
     * default of 100 ms is as long as the transaction. */
    if (conf->exactly_once && role == LP_CLIENT_SINK)
        (void)rd_kafka_conf_set(rk_conf, "retry.backoff.ms", "20", text, sizeof text);
    for (size_t i = 0; i < COUNT_OF(defaults); i++)
        if (defaults[i].roles & (1u << role))
            (void)rd_kafka_conf_set(rk_conf, defaults[i].key, defaults[i].value, text, sizeof text);
}

/* The fetch queue is bounded by bytes, and so is one response, which may exceed the queue by its size. */
static enum lp_code apply_fetch_bounds(rd_kafka_conf_t *rk_conf, size_t queue_bytes, struct lp_error *err)
{
    char value[24];
    if (queue_bytes == 0) return LP_OK;
    size_t kbytes = queue_bytes / 1024;
    kbytes = kbytes < 1 ? 1 : kbytes > FETCH_KBYTES_MAX ? FETCH_KBYTES_MAX : kbytes;
    snprintf(value, sizeof value, "%zu", kbytes);
    LP_TRY(apply_fixed(rk_conf, "queued.max.messages.kbytes", value, err));
    size_t bytes = queue_bytes < FETCH_BYTES_MIN ? FETCH_BYTES_MIN : queue_bytes;
    snprintf(value, sizeof value, "%zu", bytes > FETCH_BYTES_MAX ? FETCH_BYTES_MAX : bytes);
    return apply_fixed(rk_conf, "fetch.max.bytes", value, err);
}

static enum lp_code apply_source_defaults(rd_kafka_conf_t *rk_conf, const struct lp_kafka_conf *conf,
                                          struct lp_error *err)
{
    LP_TRY(apply_fetch_bounds(rk_conf, conf->fetch_queue_bytes, err));
    /* The broker assigns under KIP-848: an assignor of ours would be refused there. */
    const char *protocol = setting_find(conf, LP_CLIENT_SOURCE, "group.protocol");
    if (protocol != NULL && strcmp(protocol, "consumer") == 0) return LP_OK;
    return apply_fixed(rk_conf, "partition.assignment.strategy", lp_kafka_assignor(conf), err);
}

static enum lp_code apply_all(rd_kafka_conf_t *rk_conf, const struct lp_kafka_conf *conf, enum lp_client_role role,
                              struct lp_error *err)
{
    apply_defaults(rk_conf, conf, role);
    if (role == LP_CLIENT_SOURCE) LP_TRY(apply_source_defaults(rk_conf, conf, err));
    for (uint32_t i = 0; i < conf->setting_count; i++)
        if (setting_applies(&conf->settings[i], role)) LP_TRY(apply_setting(rk_conf, &conf->settings[i], err));
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        if (fixed[i].roles & (1u << role)) LP_TRY(apply_fixed(rk_conf, fixed[i].key, fixed[i].value, err));
    if (role != LP_CLIENT_SOURCE) return LP_OK;
    return apply_fixed(rk_conf, "enable.auto.commit", conf->exactly_once ? "false" : "true", err);
}

/* librdkafka takes both spellings. */
static bool uses_mechanism(const struct lp_kafka_conf *conf, enum lp_client_role role, const char *prefix)
{
    const char *old_name = setting_find(conf, role, "sasl.mechanisms");
    const char *name = setting_find(conf, role, "sasl.mechanism");
    return (old_name != NULL && strncmp(old_name, prefix, strlen(prefix)) == 0) ||
           (name != NULL && strncmp(name, prefix, strlen(prefix)) == 0);
}

/* Before 2.6.1 librdkafka repeats its nonce where RFC 5802 wants both sides' nonces; brokers check that since 4.0. */
bool lp_kafka_conf_warning(const struct lp_kafka_conf *conf, char *ret_text, size_t bytes)
{
    bool scram = uses_mechanism(conf, LP_CLIENT_SOURCE, "SCRAM-") || uses_mechanism(conf, LP_CLIENT_SINK, "SCRAM-");
    if (!scram || rd_kafka_version() >= 0x020601ff) return false;
    snprintf(
        ret_text, bytes,
        "librdkafka %s cannot do SCRAM with Kafka 4.0 and later: install librdkafka 2.6.1 or later, or use another "
        "sasl.mechanism",
        rd_kafka_version_str());
    return true;
}

enum lp_code lp_client_conf_new(const struct lp_kafka_conf *conf, enum lp_client_role role, const char *client_id,
                                const struct lp_client_value *owned, uint32_t owned_count, rd_kafka_conf_t **ret_conf,
                                struct lp_error *err)
{
    enum lp_code rc = LP_OK;
    rd_kafka_conf_t *rk_conf = rd_kafka_conf_new();
    if (rk_conf == NULL) return lp_fail_memory(err, ERROR_TEXT_BYTES);
    rd_kafka_conf_set_log_cb(rk_conf, lp_client_log);
    LP_GUARD(apply_all(rk_conf, conf, role, err));
    if (client_id != NULL) LP_GUARD(apply_fixed(rk_conf, "client.id", client_id, err));
    for (uint32_t i = 0; i < owned_count; i++) LP_GUARD(apply_fixed(rk_conf, owned[i].key, owned[i].value, err));
    /* A token must be renewed also while no lane polls. */
    if (uses_mechanism(conf, role, "OAUTHBEARER")) rd_kafka_conf_enable_sasl_queue(rk_conf, 1);
    *ret_conf = rk_conf;
    return LP_OK;
out:
    rd_kafka_conf_destroy(rk_conf);
    return rc;
}

enum lp_code lp_kafka_conf_check(const struct lp_kafka_conf *conf, struct lp_error *err)
{
    static const enum lp_client_role roles[] = {LP_CLIENT_SOURCE, LP_CLIENT_SINK, LP_CLIENT_READER, LP_CLIENT_ADMIN};
    const char *servers = setting_find(conf, LP_CLIENT_ADMIN, "bootstrap.servers");
    if (servers == NULL) servers = setting_find(conf, LP_CLIENT_ADMIN, "metadata.broker.list");
    if (servers == NULL || servers[0] == '\0')
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "kafka.bootstrap.servers",
                             "kafka.bootstrap.servers is missing: name a broker, host:port");
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        rd_kafka_conf_t *rk_conf = NULL;
        LP_TRY(lp_client_conf_new(conf, roles[i], NULL, NULL, 0, &rk_conf, err));
        rd_kafka_conf_destroy(rk_conf);
    }
    return LP_OK;
}
