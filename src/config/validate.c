#include "config/storage.h"

#include <string.h>

static enum lp_code refuse(const struct lp_config *config, const char *key, const char *what, struct lp_error *err)
{
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key, "%s: %s %s", lp_config_origin(config, key), key, what);
}

static enum lp_code not_in_this_release(const struct lp_config *config, const char *key, const char *what,
                                        struct lp_error *err)
{
    return lp_fail_field(err, LP_E_UNSUPPORTED, LP_FATAL, key, "%s: %s %s", lp_config_origin(config, key), key, what);
}

static enum lp_code check_input(const struct lp_config *config, struct lp_error *err)
{
    bool files = config->input_format == LP_CONFIG_AVRO || config->input_format == LP_CONFIG_SINGLE_OBJECT;
    if (config->input_schema_id_bytes != 4 && config->input_schema_id_bytes != 8)
        return refuse(config, "input.schema_id.bytes", "must be 4 or 8", err);
    if (config->input_format == LP_CONFIG_CONFLUENT && config->registry_url == NULL)
        return refuse(config, "input.format", "confluent needs registry.url: set it, or choose another input.format",
                      err);
    if (files && config->input_schema_path == NULL)
        return refuse(config, "input.format", "avro and single_object need input.schema.path: set it", err);
    if (!files && config->input_schema_path != NULL)
        return refuse(config, "input.schema.path", "is only for input.format avro and single_object: remove it", err);
    if (config->input_format == LP_CONFIG_JSON && config->input_reader_schema_path != NULL)
        return refuse(config, "input.reader_schema.path", "has no meaning for input.format=json: remove it", err);
    return LP_OK;
}

static enum lp_code check_registry(const struct lp_config *config, struct lp_error *err)
{
    if ((config->registry_user == NULL) != (config->registry_password == NULL))
        return refuse(config, config->registry_user != NULL ? "registry.user" : "registry.password",
                      "needs its other half: set registry.user and registry.password", err);
    if ((config->registry_certificate_path == NULL) != (config->registry_key_path == NULL))
        return refuse(config, config->registry_key_path != NULL ? "registry.key.path" : "registry.certificate.path",
                      "needs its other half: set registry.certificate.path and registry.key.path", err);
    if (config->registry_key_password != NULL && config->registry_key_path == NULL)
        return refuse(config, "registry.key.password", "needs registry.key.path: set it, or remove both", err);
    if (config->registry_user != NULL && config->registry_token != NULL)
        return refuse(config, "registry.token", "and registry.user are both set: remove one", err);
    return LP_OK;
}

static enum lp_code check_output(const struct lp_config *config, struct lp_error *err)
{
    bool framed = config->output_format == LP_CONFIG_AVRO && config->output_framing == LP_CONFIG_FRAMING_CONFLUENT;
    if (framed && config->registry_url == NULL && config->output_schema_id < 0)
        return refuse(config, "output.framing",
                      "confluent needs registry.url or output.schema.id: set one, or output.framing=none, or "
                      "output.format=json",
                      err);
    if (config->inflight_max_records < config->batch_max_rows)
        return refuse(config, "inflight.max_records", "must be at least batch.max_rows", err);
    return LP_OK;
}

static enum lp_code check_model(const struct lp_config *config, struct lp_error *err)
{
    if (config->model_uri == NULL && config->control_topic == NULL)
        return refuse(config, "model.uri", "or control.topic must say what to serve: set one of them", err);
    if (config->model_root_path == NULL)
        return refuse(config, "model.root.path",
                      "is not set: control.topic needs it: the folder models are loaded from", err);
    if (config->model_sha256 != NULL && config->model_uri == NULL)
        return refuse(config, "model.sha256", "needs model.uri: set it, or remove both", err);
    if (config->model_signature != NULL && config->model_uri == NULL)
        return refuse(config, "model.signature", "needs model.uri: set it, or remove both", err);
    if (config->slots.count != 1)
        return not_in_this_release(config, "slots", "names several: this release has one slot a worker", err);
    return LP_OK;
}

/* Reading what we write would never end; two kinds of records in one topic help nobody. */
static enum lp_code check_topics(const struct lp_config *config, struct lp_error *err)
{
    const struct {
        const char *key, *topic;
    } topics[] = {{"output.topic", config->output_topic},
                  {"dead_letter.topic", config->dead_letter_topic},
                  {"control.topic", config->control_topic},
                  {"status.topic", config->status_topic},
                  {"drift.topic", config->drift_topic}};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        if (topics[i].topic == NULL) continue;
        for (uint32_t k = 0; k < config->input_topics.count; k++)
            if (strcmp(topics[i].topic, config->input_topics.items[k]) == 0)
                return refuse(config, topics[i].key, "is also in input.topics: use a topic of its own", err);
        for (size_t k = 0; k < i; k++)
            if (topics[k].topic != NULL && strcmp(topics[i].topic, topics[k].topic) == 0)
                return lp_fail_field(err, LP_E_INVALID, LP_FATAL, topics[i].key,
                                     "%s: %s is also %s: use a topic of its own",
                                     lp_config_origin(config, topics[i].key), topics[i].key, topics[k].key);
    }
    return LP_OK;
}

static enum lp_code check_drift(const struct lp_config *config, struct lp_error *err)
{
    const struct {
        const char *alert_key;
        double warn, alert;
    } pairs[] = {{"drift.psi.alert", config->drift_psi_warn, config->drift_psi_alert},
                 {"drift.js.alert", config->drift_js_warn, config->drift_js_alert},
                 {"drift.ks.alert", config->drift_ks_warn, config->drift_ks_alert},
                 {"drift.rate.alert", config->drift_rate_warn, config->drift_rate_alert}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].alert < pairs[i].warn)
            return refuse(config, pairs[i].alert_key, "is below its warn threshold: raise it", err);
    return LP_OK;
}

enum lp_code lp_config_validate(const struct lp_config *config, struct lp_error *err)
{
    LP_TRY(check_registry(config, err));
    LP_TRY(check_input(config, err));
    LP_TRY(check_output(config, err));
    LP_TRY(check_model(config, err));
    LP_TRY(check_topics(config, err));
    return check_drift(config, err);
}
