/* The worker's configuration: one table (config/table.inc) drives parsing, --help, the README reference and doctor. */
#ifndef LP_CONFIG_CONFIG_H
#define LP_CONFIG_CONFIG_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** A list of words, as `a,b,c` in the file. */
struct lp_config_list {
    uint32_t count;
    const char *const *items;
};

/** One key that goes to librdkafka unchanged. */
struct lp_config_passthrough {
    const char *key; /* as written: kafka.socket.timeout.ms, kafka.consumer..., kafka.producer... */
    const char *value;
    const char *origin;
};

/** Validated values; strings are owned by the object; an unset optional string is NULL. Immutable after load. */
struct lp_config {
    /* input */
    struct lp_config_list input_topics;
    int input_format;              /* enum below */
    const char *input_schema_path; /* writer schema files, comma separated (avro, single_object) */
    const char *input_reader_schema_path;
    int64_t input_schema_id_bytes; /* 4 or 8 */
    int64_t input_record_max_bytes;
    int input_tombstone;
    int input_start;
    const char *input_event_time; /* path of a field; NULL: the record's Kafka timestamp */
    const char *group_id;
    const char *group_instance_id;
    /* registry */
    const char *registry_url;
    const char *registry_user, *registry_password, *registry_token; /* secrets */
    const char *registry_ca_path, *registry_certificate_path, *registry_key_path;
    const char *registry_key_password; /* secret */
    int64_t registry_timeout_ms, registry_retry_ms, registry_negative_ttl_ms;
    /* output */
    const char *output_topic;
    int output_format;
    int output_framing;                  /* avro: confluent (registry or configured id), none (bare body) */
    struct lp_config_list output_fields; /* empty: the lean set */
    struct lp_config_list output_copy;   /* path or path:type */
    bool output_schema_auto_register;
    const char *output_schema_subject; /* NULL: <topic>-value */
    int64_t output_schema_id;          /* -1: ask the registry */
    int output_partition;
    int output_headers;
    int output_timestamp;
    int64_t output_record_max_bytes;
    const char *dead_letter_topic; /* NULL: a bad record stops its partition's lane with an error */
    int dead_letter_on_error;
    /* model and control */
    struct lp_config_list slots;
    const char *model_uri, *model_root_path, *model_sha256, *model_signature;
    const char *model_trusted_keys_path; /* NULL: signatures are not looked at */
    int64_t model_max_bytes;
    bool model_require_golden;
    const char *control_topic, *status_topic;
    int64_t control_max_bytes, control_max_loads, status_interval_ms;
    const char *replica_id; /* default: host name + group.instance.id */
    /* lane */
    int64_t lanes;              /* 0: from cgroup and affinity */
    int64_t memory_limit_bytes; /* 0: from the cgroup */
    int64_t batch_max_rows, batch_max_wait_us;
    int64_t inflight_max_records; /* per lane */
    int64_t fetch_queue_bytes;    /* per lane; 0: from memory.limit_bytes */
    int delivery;
    int64_t transaction_commit_ms;
    int64_t commit_interval_ms, revoke_timeout_ms, shutdown_timeout_ms, startup_timeout_ms;
    /* drift */
    bool drift_enabled;
    const char *drift_topic;
    int64_t drift_window_ms, drift_lateness_ms, drift_min_rows;
    double drift_psi_warn, drift_psi_alert, drift_js_warn, drift_js_alert, drift_ks_warn, drift_ks_alert;
    double drift_rate_warn, drift_rate_alert; /* rise of the missing, clipped or unknown rate, in absolute share */
    /* http and log */
    const char *http_listen; /* host:port, [v6]:port, or "off" */
    const char *http_token;  /* secret */
    int log_format, log_level;
    bool log_records;
    bool core_dump;

    uint32_t passthrough_count;
    const struct lp_config_passthrough *passthrough;
    struct lp_config_storage *storage; /* private */
};

enum { LP_CONFIG_CONFLUENT, LP_CONFIG_SINGLE_OBJECT, LP_CONFIG_AVRO, LP_CONFIG_JSON }; /* input.format, output.format */
enum { LP_CONFIG_FRAMING_CONFLUENT, LP_CONFIG_FRAMING_NONE };
enum { LP_CONFIG_ON_ERROR_PAUSE, LP_CONFIG_ON_ERROR_STOP };
enum { LP_CONFIG_TOMBSTONE_FORWARD, LP_CONFIG_TOMBSTONE_SKIP, LP_CONFIG_TOMBSTONE_DEAD_LETTER };
enum { LP_CONFIG_START_EARLIEST, LP_CONFIG_START_LATEST, LP_CONFIG_START_FAIL };
enum { LP_CONFIG_PARTITION_AUTO, LP_CONFIG_PARTITION_SOURCE, LP_CONFIG_PARTITION_KEY };
enum { LP_CONFIG_HEADERS_COPY, LP_CONFIG_HEADERS_TRACE, LP_CONFIG_HEADERS_NONE };
enum { LP_CONFIG_TIMESTAMP_SOURCE, LP_CONFIG_TIMESTAMP_NOW };
enum { LP_CONFIG_AT_LEAST_ONCE, LP_CONFIG_EXACTLY_ONCE };

/** One --set; applied last. */
struct lp_config_override {
    const char *key, *value;
};

/**
 * Read a properties file, the environment (LEPTON_*) and overrides, validate, and derive defaults from the machine.
 *
 * @param path        borrowed; NULL: no file
 * @param environment NAME=value strings, NULL-terminated (environ)
 * @return LP_E_INVALID with err->field (the key) and the origin in the text: unknown key (with the nearest name), bad
 * value, out of range, missing, contradiction; LP_E_UNSUPPORTED (not in this release); LP_E_IO, LP_E_NOT_FOUND,
 * LP_E_LIMIT (file). kafka.* keys are checked in form only: lp_kafka_conf_check knows which ones lepton owns.
 */
LP_MUST_USE enum lp_code lp_config_load(const char *path, char *const *environment,
                                        const struct lp_config_override *overrides, uint32_t override_count,
                                        struct lp_config **ret_config, struct lp_error *err);
/** As lp_config_load from text (tests, the demo, fuzzing). */
LP_MUST_USE enum lp_code lp_config_parse(struct lp_span text, const char *text_name, char *const *environment,
                                         const struct lp_config_override *overrides, uint32_t override_count,
                                         struct lp_config **ret_config, struct lp_error *err);
void lp_config_free(struct lp_config *config);

/**
 * "key = value  # origin" for every key; secrets as ******.
 *
 * @param known does librdkafka know this key (without its prefix)? One that it does not may be a secret's, misspelt,
 * and is masked too. NULL: not asked
 */
void lp_config_print(const struct lp_config *config, bool (*known)(const char *key), FILE *out);
/** The reference as Markdown, from the table; tests compare README with it. */
void lp_config_print_reference(FILE *out);
/** Environment names that look like ours and mean nothing; the caller logs them once. Owned by the config. */
const struct lp_config_list *lp_config_ignored_environment(const struct lp_config *config);
/** A key's default as the file would write it, or NULL when it has none or is not known. */
const char *lp_config_default(const char *key);
/** Is the key's value a secret? */
bool lp_config_is_secret(const char *key);

#endif
