/* Everything that must be known before the first record: schemas, ids, partition counts, limits. */
#include "worker/worker_private.h"

#include "control/signature.h"
#include "core/clock.h"
#include "core/log.h"
#include "decode/avro.h"
#include "decode/decoder.h"
#include "decode/registry.h"
#include "infer/infer.h"
#include "kafka/admin.h"
#include "publish/drift_record.h"
#include "worker/kafka_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PARTITION_BYTES = 1600,
    ASK_TIMEOUT_MS = 5000,
    SAY_AGAIN_NS = 30 * 1000 * 1000 * 1000LL,
    CHECK_TIMEOUT_MS = 1000,
    RETRY_MS = 500
};

/* One question that is asked again until it is answered, the start is given up, or time is over. */
struct wait {
    struct lp_worker *worker;
    lp_worker_interrupted *interrupted;
    void *context;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    uint64_t say_ns;      /* when to say again what is waited for */
};

/* Of "waiting for KEY". */
static const char *key_of(const char *what) { return what + sizeof "waiting for " - 1; }

/* `what`: static, "waiting for ...". */
static bool again(struct wait *wait, const char *what, const struct lp_error *err)
{
    atomic_store(&wait->worker->waiting_for, what);
    uint64_t now_ns = lp_clock_ns();
    if (now_ns >= wait->say_ns) {
        LP_LOG(LP_LOG_WARN, "waiting", lp_kv("for", key_of(what)), lp_kv("reason", err->text));
        wait->say_ns = now_ns + (uint64_t)SAY_AGAIN_NS;
    }
    for (int i = 0; i < 10; i++) {
        if (wait->interrupted != NULL && wait->interrupted(wait->context)) return false;
        struct timespec pause = {.tv_nsec = RETRY_MS / 10 * 1000000L};
        nanosleep(&pause, NULL);
    }
    return lp_clock_ns() < wait->deadline_ns;
}

/* A stop is noticed between two questions: none may take longer than half of its time. */
static int ask_timeout_ms(const struct wait *wait)
{
    uint64_t now_ns = lp_clock_ns();
    int64_t most_ms = wait->worker->shared.config->shutdown_timeout_ms / 2;
    if (most_ms > (int64_t)ASK_TIMEOUT_MS) most_ms = ASK_TIMEOUT_MS;
    int64_t left_ms = wait->deadline_ns > now_ns ? (int64_t)((wait->deadline_ns - now_ns) / 1000000u) : 0;
    if (left_ms < most_ms) most_ms = left_ms;
    return most_ms > 100 ? (int)most_ms : 100;
}

/* A topic that is not there yet may come; a broker that is away may come back. */
static enum lp_code ask_partitions(struct wait *wait, const char *topic, const char *what, uint32_t *ret_count,
                                   struct lp_error *err)
{
    const char *key = key_of(what), *right = strcmp(key, "input.topics") == 0 ? "Read" : "Write";
    enum lp_code rc;
    wait->say_ns = 0;
    do {
        int timeout_ms = ask_timeout_ms(wait);
        rc = lp_admin_partition_count(&wait->worker->shared.kafka, topic, timeout_ms, ret_count, err);
        if (rc == LP_E_REFUSED && err->action == LP_PAUSE)
            rc = lp_fail_field(err, LP_E_REFUSED, LP_PAUSE, key, "topic %s: not authorized: grant %s on it", topic,
                               right);
        bool wait_for_it =
            rc == LP_E_NOT_FOUND || (rc != LP_OK && (err->action == LP_RETRY || err->action == LP_PAUSE));
        if (!wait_for_it) return rc;
    } while (again(wait, what, err));
    return lp_error_wrap(err, "start: %s", key);
}

/* Each lane's clients keep every partition of their topics: 1.5 KB, measured with 100,000 of them. */
static enum lp_code check_partition_memory(const struct lp_shared *shared, uint64_t partition_count,
                                           struct lp_error *err)
{
    uint64_t limit_bytes = (uint64_t)shared->config->memory_limit_bytes;
    uint64_t bytes = partition_count * PARTITION_BYTES * shared->lane_count;
    if (bytes <= limit_bytes / 2) return LP_OK;
    return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, "memory.limit_bytes",
                         "the topics have %llu partitions: the clients of %u lanes need about %llu MB for them, and "
                         "memory.limit_bytes is %llu MB: raise it to twice that, or run fewer lanes",
                         (unsigned long long)partition_count, shared->lane_count, (unsigned long long)(bytes >> 20),
                         (unsigned long long)(limit_bytes >> 20));
}

static enum lp_code find_topics(struct wait *wait, struct lp_error *err)
{
    struct lp_shared *shared = &wait->worker->shared;
    const struct lp_config *config = shared->config;
    uint32_t output_count = 0, input_count = 0, widest = 0;
    uint64_t total;
    bool equal = true;
    LP_TRY(ask_partitions(wait, config->output_topic, "waiting for output.topic", &output_count, err));
    total = output_count;
    for (uint32_t i = 0; i < config->input_topics.count; i++) {
        LP_TRY(ask_partitions(wait, config->input_topics.items[i], "waiting for input.topics", &input_count, err));
        equal = equal && input_count == output_count;
        widest = input_count > widest ? input_count : widest;
        total += input_count;
    }
    shared->keep_partition = config->output_partition == LP_CONFIG_PARTITION_SOURCE ||
                             (config->output_partition == LP_CONFIG_PARTITION_AUTO && equal);
    if (config->output_partition == LP_CONFIG_PARTITION_SOURCE && widest > output_count)
        return lp_fail_field(err, LP_E_MISMATCH, LP_FATAL, "output.partition",
                             "output.partition=source: %s has %u partitions, fewer than the input's %u: add partitions "
                             "or choose key",
                             config->output_topic, output_count, widest);
    if (config->dead_letter_topic == NULL) return check_partition_memory(shared, total, err);
    LP_TRY(ask_partitions(wait, config->dead_letter_topic, "waiting for dead_letter.topic",
                          &shared->dead_letter_partitions, err));
    return check_partition_memory(shared, total + shared->dead_letter_partitions, err);
}

enum lp_code lp_worker_check_partitions(struct lp_worker *worker, struct lp_error *err)
{
    const struct lp_config *config = worker->shared.config;
    uint32_t output_count = 0, input_count = 0;
    struct lp_error ignored;
    if (config->output_partition != LP_CONFIG_PARTITION_AUTO || !worker->shared.keep_partition) return LP_OK;
    if (lp_admin_partition_count(&worker->shared.kafka, config->output_topic, CHECK_TIMEOUT_MS, &output_count,
                                 &ignored) != LP_OK)
        return LP_OK;
    for (uint32_t i = 0; i < config->input_topics.count; i++) {
        const char *topic = config->input_topics.items[i];
        if (lp_admin_partition_count(&worker->shared.kafka, topic, CHECK_TIMEOUT_MS, &input_count, &ignored) == LP_OK &&
            input_count != output_count)
            return lp_fail_field(
                err, LP_E_MISMATCH, LP_FATAL, "output.partition",
                "%s has %u partitions now, %s has %u: predictions would move to other partitions: make "
                "the counts equal, or set output.partition",
                topic, input_count, config->output_topic, output_count);
    }
    return LP_OK;
}

static enum lp_code load_schemas(const char *paths, struct lp_avro_schema **schemas, uint32_t max, uint32_t *ret_count,
                                 struct lp_error *err)
{
    char *list = paths != NULL ? strdup(paths) : NULL, *rest = list;
    enum lp_code rc = LP_OK;
    uint32_t count = 0;
    for (char *path; rc == LP_OK && (path = strsep(&rest, ",")) != NULL;) {
        path += strspn(path, " ");
        if (*path == '\0') continue;
        if (count == max) rc = lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %u schema files", max);
        else rc = lp_schema_load_file(path, &schemas[count], err);
        if (rc == LP_OK) count++;
    }
    free(list);
    *ret_count = count;
    return rc;
}

static enum lp_code open_registry(struct lp_shared *shared, struct lp_error *err)
{
    const struct lp_config *config = shared->config;
    if (config->registry_url == NULL) return LP_OK;
    struct lp_registry_options options = {
        .url = config->registry_url,
        .user = config->registry_user,
        .password = config->registry_password,
        .token = config->registry_token,
        .ca_path = config->registry_ca_path,
        .certificate_path = config->registry_certificate_path,
        .key_path = config->registry_key_path,
        .key_password = config->registry_key_password,
        .timeout_ms = (long)config->registry_timeout_ms,
        .retry_ms = (long)config->registry_retry_ms,
        .negative_ttl_ms = (long)config->registry_negative_ttl_ms,
        .cache_max = 4096,
    };
    return lp_registry_new(&options, &shared->registry, err);
}

static void frame(unsigned char *framing, uint32_t *ret_bytes, uint64_t id)
{
    framing[0] = 0;
    for (int i = 0; i < 4; i++) framing[1 + i] = (unsigned char)(id >> (24 - 8 * i));
    *ret_bytes = 5;
}

/* The id of one of our schemas: registered, or looked up where registering is off. */
static enum lp_code schema_id(struct wait *wait, const char *subject, const char *schema, uint64_t *ret_id,
                              struct lp_error *err)
{
    struct lp_shared *shared = &wait->worker->shared;
    int timeout_ms = (int)shared->config->registry_timeout_ms;
    enum lp_code rc;
    wait->say_ns = 0;
    do {
        rc = shared->config->output_schema_auto_register
                 ? lp_registry_register(shared->registry, subject, lp_span_text(schema), timeout_ms, ret_id, err)
                 : lp_registry_lookup(shared->registry, subject, lp_span_text(schema), timeout_ms, ret_id, err);
        if (rc == LP_OK || (err->action != LP_RETRY && rc != LP_E_TIMEOUT)) return rc;
    } while (again(wait, "waiting for the registry", err));
    return lp_error_wrap(err, "start: subject %s", subject);
}

static enum lp_code find_output_ids(struct wait *wait, struct lp_error *err)
{
    struct lp_shared *shared = &wait->worker->shared;
    const struct lp_config *config = shared->config;
    uint64_t id = 0;
    char subject[600];
    if (config->output_format == LP_CONFIG_JSON || config->output_framing == LP_CONFIG_FRAMING_NONE) return LP_OK;
    if (config->output_schema_id >= 0) {
        frame(shared->framing, &shared->framing_bytes, (uint64_t)config->output_schema_id);
    } else {
        snprintf(subject, sizeof subject, "%s-value", config->output_topic);
        LP_TRY(schema_id(wait, config->output_schema_subject != NULL ? config->output_schema_subject : subject,
                         lp_encoder_schema(shared->encoder), &id, err));
        frame(shared->framing, &shared->framing_bytes, id);
    }
    if (!config->drift_enabled || config->drift_topic == NULL || shared->registry == NULL) return LP_OK;
    snprintf(subject, sizeof subject, "%s-value", config->drift_topic);
    LP_TRY(schema_id(wait, subject, lp_drift_record_schema(), &id, err));
    frame(shared->drift_framing, &shared->drift_framing_bytes, id);
    return LP_OK;
}

static void derive(struct lp_worker *worker)
{
    struct lp_shared *shared = &worker->shared;
    const struct lp_config *config = shared->config;
    shared->lane_count = (uint32_t)config->lanes;
    size_t per_lane = (size_t)config->memory_limit_bytes / shared->lane_count;
    /* Predictions are small; a quarter of the lane's share bounds them even when they are not. */
    shared->producer_queue_bytes = per_lane / 4 < ((size_t)8 << 20) ? (size_t)8 << 20 : per_lane / 4;
    shared->drift = (struct lp_drift_options){
        .window_ms = config->drift_window_ms,
        .lateness_ms = config->drift_lateness_ms,
        .min_rows = config->drift_min_rows,
        .psi_warn = config->drift_psi_warn,
        .psi_alert = config->drift_psi_alert,
        .js_warn = config->drift_js_warn,
        .js_alert = config->drift_js_alert,
        .ks_warn = config->drift_ks_warn,
        .ks_alert = config->drift_ks_alert,
        .rate_warn = config->drift_rate_warn,
        .rate_alert = config->drift_rate_alert,
    };
    worker->poll_interval_ns = (uint64_t)300000 * 1000000;
    for (uint32_t i = 0; i < shared->kafka.setting_count; i++)
        if (strcmp(shared->kafka.settings[i].key, "max.poll.interval.ms") == 0)
            worker->poll_interval_ns = strtoull(shared->kafka.settings[i].value, NULL, 10) * 1000000;
}

void lp_worker_name_replica(struct lp_shared *shared)
{
    if (shared->config->replica_id != NULL)
        snprintf(shared->replica, sizeof shared->replica, "%s", shared->config->replica_id);
    else if (gethostname(shared->replica, sizeof shared->replica - 1) != 0)
        snprintf(shared->replica, sizeof shared->replica, "pid-%d", (int)getpid());
}

/* Said before the first connection: brokers answer what the client cannot do with "invalid credentials". */
static void warn_of_client(const struct lp_kafka_conf *kafka)
{
    char warning[LP_KAFKA_WARNING_BYTES];
    if (lp_kafka_conf_warning(kafka, warning, sizeof warning))
        LP_LOG(LP_LOG_WARN, "kafka_client_old", lp_kv("reason", warning));
}

enum lp_code lp_worker_prepare(struct lp_worker *worker, lp_worker_interrupted *interrupted, void *context,
                               struct lp_error *err)
{
    struct lp_shared *shared = &worker->shared;
    const struct lp_config *config = shared->config;
    struct wait wait = {.worker = worker,
                        .interrupted = interrupted,
                        .context = context,
                        .deadline_ns = config->startup_timeout_ms > 0
                                           ? lp_clock_ns() + (uint64_t)config->startup_timeout_ms * 1000000
                                           : UINT64_MAX};
    uint32_t reader_count = 0, key_count = 0;
    LP_TRY(lp_infer_setup(err));
    LP_TRY(lp_kafka_conf_from_config(config, &shared->kafka, err));
    warn_of_client(&shared->kafka);
    if (config->model_trusted_keys_path != NULL)
        LP_TRY(lp_signature_count_keys(config->model_trusted_keys_path, &key_count, err));
    derive(worker);
    LP_TRY(load_schemas(config->input_schema_path, shared->writers, LP_WRITERS_MAX, &shared->writer_count, err));
    LP_TRY(load_schemas(config->input_reader_schema_path, &shared->reader, 1, &reader_count, err));
    LP_TRY(open_registry(shared, err));
    LP_TRY(lp_encoder_new(config->output_format == LP_CONFIG_JSON ? LP_OUTPUT_JSON : LP_OUTPUT_AVRO,
                          config->output_fields.items, config->output_fields.count, &shared->encoder, err));
    LP_TRY(lp_encoder_copy(shared->encoder, config->output_copy.items, config->output_copy.count, err));
    LP_TRY(find_topics(&wait, err));
    LP_TRY(find_output_ids(&wait, err));
    atomic_store(&worker->waiting_for, NULL);
    return LP_OK;
}

void lp_worker_unprepare(struct lp_worker *worker)
{
    struct lp_shared *shared = &worker->shared;
    lp_encoder_free(shared->encoder);
    lp_registry_free(shared->registry);
    for (uint32_t i = 0; i < shared->writer_count; i++) lp_avro_schema_free(shared->writers[i]);
    lp_avro_schema_free(shared->reader);
    lp_kafka_conf_done(&shared->kafka);
}

/* --- may a model serve this input? --- */

static enum lp_code check_schema(const struct lp_shared *shared, const struct lp_model *model,
                                 const struct lp_avro_schema *writer, struct lp_error *err)
{
    struct lp_avro_plan *plan = NULL;
    enum lp_code rc = lp_avro_plan_new(writer, shared->reader, model->wants, model->want_count, &plan, err);
    lp_avro_plan_free(plan);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "the model's features against the input's schema");
}

/* The schemas that the lanes have seen, else the registry's latest for the topic. One that cannot be had proves
 * nothing. */
static enum lp_code check_registry(struct lp_worker *worker, const struct lp_model *model, struct lp_error *err)
{
    struct lp_shared *shared = &worker->shared;
    struct lp_error ignored;
    const struct lp_avro_schema *schema;
    bool seen = false;
    for (uint32_t i = 0; i < shared->lane_count; i++) {
        struct lp_lane_stats stats;
        uint32_t lags;
        lp_lane_snapshot(worker->lanes[i], &stats, NULL, 0, &lags);
        if (stats.schema_id == 0 || lp_registry_get(shared->registry, stats.schema_id, &schema, &ignored) != LP_OK)
            continue;
        seen = true;
        LP_TRY(check_schema(shared, model, schema, err));
    }
    for (uint32_t i = 0; !seen && i < shared->config->input_topics.count; i++) {
        char subject[600];
        uint64_t id;
        snprintf(subject, sizeof subject, "%s-value", shared->config->input_topics.items[i]);
        if (lp_registry_latest(shared->registry, subject, (int)shared->config->registry_timeout_ms, &schema, &id,
                               &ignored) == LP_OK)
            LP_TRY(check_schema(shared, model, schema, err));
    }
    return LP_OK;
}

enum lp_code lp_worker_check_model(void *context, const struct lp_model *model, struct lp_error *err)
{
    struct lp_worker *worker = context;
    struct lp_shared *shared = &worker->shared;
    if (shared->config->input_format == LP_CONFIG_JSON) return LP_OK; /* JSON records carry no schema */
    for (uint32_t i = 0; i < shared->writer_count; i++) LP_TRY(check_schema(shared, model, shared->writers[i], err));
    if (shared->config->input_format == LP_CONFIG_CONFLUENT) return check_registry(worker, model, err);
    return LP_OK;
}
