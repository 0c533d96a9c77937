#include "cmd/check.h"

#include "cmd/bundles.h"
#include "control/source.h"
#include "decode/decoder.h"
#include "decode/json.h"
#include "kafka/conf.h"
#include "publish/prediction.h"
#include "worker/kafka_conf.h"
#include "worker/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCHEMAS_MAX = 64 };

/* The schema files that the configuration names. */
struct schemas {
    struct lp_avro_schema *writers[SCHEMAS_MAX];
    uint32_t writer_count;
    struct lp_avro_schema *reader;
};

static void free_schemas(struct schemas *schemas)
{
    for (uint32_t i = 0; i < schemas->writer_count; i++) lp_avro_schema_free(schemas->writers[i]);
    lp_avro_schema_free(schemas->reader);
}

static struct lp_avro_schema *load_schema(const char *path, struct lp_findings *findings)
{
    struct lp_avro_schema *schema = NULL;
    struct lp_error err;
    if (lp_schema_load_file(path, &schema, &err) == LP_OK)
        lp_findings_add(findings, LP_FINDING_PASS, "schema", "%s", path);
    else lp_findings_fail(findings, "schema", &err);
    return schema;
}

static void load_writers(const char *list, struct schemas *schemas, struct lp_findings *findings)
{
    char *paths = strdup(list), *save = NULL;
    for (char *path = paths != NULL ? strtok_r(paths, ",", &save) : NULL; path != NULL;
         path = strtok_r(NULL, ",", &save)) {
        path += strspn(path, " \t");
        for (size_t end = strlen(path); end > 0 && strchr(" \t", path[end - 1]) != NULL; end--) path[end - 1] = '\0';
        if (schemas->writer_count == SCHEMAS_MAX) {
            lp_findings_add(findings, LP_FINDING_FAIL, "schema", "input.schema.path names more than %d files",
                            SCHEMAS_MAX);
            break;
        }
        struct lp_avro_schema *schema = load_schema(path, findings);
        if (schema != NULL) schemas->writers[schemas->writer_count++] = schema;
    }
    free(paths);
}

static void check_kafka(const struct lp_config *config, struct lp_findings *findings)
{
    struct lp_kafka_conf kafka = {0};
    struct lp_error err;
    char warning[LP_KAFKA_WARNING_BYTES];
    bool good = lp_kafka_conf_from_config(config, &kafka, &err) == LP_OK;
    if (good)
        lp_findings_add(findings, LP_FINDING_PASS, "kafka", "librdkafka %s takes all %u settings",
                        lp_kafka_version_text(), config->passthrough_count);
    else lp_findings_fail(findings, "kafka", &err);
    if (good && lp_kafka_conf_warning(&kafka, warning, sizeof warning))
        lp_findings_add(findings, LP_FINDING_WARN, "kafka", "%s", warning);
    lp_kafka_conf_done(&kafka);
}

/* The key at fault is named when it fails. */
static enum lp_code new_encoder(const struct lp_config *config, struct lp_encoder **ret_encoder, const char **ret_key,
                                struct lp_error *err)
{
    enum lp_output_format format = config->output_format == LP_CONFIG_JSON ? LP_OUTPUT_JSON : LP_OUTPUT_AVRO;
    struct lp_encoder *encoder = NULL;
    *ret_key = "output.fields";
    LP_TRY(lp_encoder_new(format, config->output_fields.items, config->output_fields.count, &encoder, err));
    *ret_key = "output.copy";
    enum lp_code rc = lp_encoder_copy(encoder, config->output_copy.items, config->output_copy.count, err);
    if (rc == LP_OK) *ret_encoder = encoder;
    else lp_encoder_free(encoder);
    return rc;
}

static void check_output(const struct lp_config *config, struct lp_findings *findings)
{
    struct lp_encoder *encoder = NULL;
    struct lp_error err;
    const char *key = NULL;
    if (new_encoder(config, &encoder, &key, &err) == LP_OK)
        lp_findings_add(findings, LP_FINDING_PASS, "output", "%s to %s",
                        config->output_format == LP_CONFIG_JSON ? "JSON" : "Avro", config->output_topic);
    else lp_findings_fail(findings, key, &err);
    lp_encoder_free(encoder);
    if (config->dead_letter_topic == NULL)
        lp_findings_add(findings, LP_FINDING_WARN, "dead_letter.topic", "not set: a bad record stops the worker");
}

static void check_signature(const struct lp_config *config, const char *sha256, struct lp_findings *findings)
{
    const char *signature = config->model_signature != NULL ? config->model_signature : "";
    struct lp_error err;
    if (lp_signature_verify(config->model_trusted_keys_path, sha256, signature, &err) == LP_OK)
        lp_findings_add(findings, LP_FINDING_PASS, "model.signature", "by key %.16s, which is trusted", signature);
    else lp_findings_fail(findings, "model.signature", &err);
}

static struct lp_model *load_model(const struct lp_config *config, struct lp_findings *findings)
{
    if (config->model_uri == NULL) return NULL;
    char path[LP_PATH_MAX_BYTES];
    struct lp_model *model = NULL;
    struct lp_error err;
    const struct lp_model_options options = {.bundle_max_bytes = (uint64_t)config->model_max_bytes,
                                             .require_golden = config->model_require_golden};
    enum lp_code rc = lp_infer_setup(&err);
    if (rc == LP_OK) rc = lp_source_uri_path(config->model_uri, NULL, path, &err);
    if (rc == LP_OK) rc = lp_model_load(path, &options, &model, &err);
    if (rc != LP_OK) {
        lp_findings_fail(findings, "model.uri", &err);
        return NULL;
    }
    char sha256[LP_SHA256_TEXT_BYTES];
    lp_sha256_text(model->bundle->sha256, sha256);
    if (config->model_sha256 != NULL && strcasecmp(sha256, config->model_sha256) != 0)
        lp_findings_add(findings, LP_FINDING_FAIL, "model.sha256", "the file's is %s: another file, or an old key",
                        sha256);
    if (config->model_trusted_keys_path != NULL) check_signature(config, sha256, findings);
    lp_check_model(model, findings);
    return model;
}

static void check_path(const char *key, const char *path, struct lp_findings *findings)
{
    if (path == NULL) return;
    if (access(path, R_OK) != 0)
        lp_findings_add(findings, LP_FINDING_FAIL, key, "%s cannot be read: mount it, or correct the key", path);
}

/* A path of the configuration, not of the model: is it one, and has the schema (NULL: the input is JSON) such a field?
 */
static void check_want(const char *key, const struct lp_want *want, const struct lp_avro_schema *writer,
                       const struct lp_avro_schema *reader, struct lp_findings *findings)
{
    struct lp_avro_plan *plan = NULL;
    struct lp_json_plan *json = NULL;
    struct lp_error err;
    enum lp_code rc = writer != NULL ? lp_avro_plan_new(writer, reader, want, 1, &plan, &err)
                                     : lp_json_plan_new(want, 1, &json, &err);
    if (rc != LP_OK) lp_findings_fail(findings, key, &err);
    lp_avro_plan_free(plan);
    lp_json_plan_free(json);
}

static void check_paths(const struct lp_config *config, const struct lp_avro_schema *writer,
                        const struct lp_avro_schema *reader, struct lp_findings *findings)
{
    struct lp_encoder *encoder = NULL;
    struct lp_error said; /* by check_output */
    const char *key;
    uint32_t count;
    if (config->input_event_time != NULL)
        check_want("input.event_time",
                   &(struct lp_want){.path = config->input_event_time, .type = LP_WANT_TIME_MS, .width = 1}, writer,
                   reader, findings);
    if (new_encoder(config, &encoder, &key, &said) != LP_OK) return;
    const struct lp_copied_field *copied = lp_encoder_copied(encoder, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct lp_want want = lp_kit_copied_want(&copied[i]);
        check_want("output.copy", &want, writer, reader, findings);
    }
    lp_encoder_free(encoder);
}

static void check_input(const struct lp_config *config, const struct lp_model *model, struct lp_findings *findings)
{
    struct schemas schemas = {0};
    if (config->input_schema_path != NULL) load_writers(config->input_schema_path, &schemas, findings);
    if (config->input_reader_schema_path != NULL)
        schemas.reader = load_schema(config->input_reader_schema_path, findings);
    for (uint32_t i = 0; i < schemas.writer_count; i++) {
        check_paths(config, schemas.writers[i], schemas.reader, findings);
        if (model != NULL)
            lp_check_features(model, schemas.writers[i], schemas.reader, config->input_schema_path, findings);
    }
    if (config->input_format == LP_CONFIG_JSON) check_paths(config, NULL, NULL, findings);
    if (config->input_format == LP_CONFIG_CONFLUENT)
        lp_findings_add(
            findings, LP_FINDING_WARN, "schema",
            "writers' schemas are in the registry: try `lepton check BUNDLE --schema FILE` with one of them");
    free_schemas(&schemas);
}

void lp_check_config(const struct lp_config *config, struct lp_findings *findings)
{
    lp_findings_add(findings, LP_FINDING_PASS, "configuration", "%u input topics, %lld lanes, %lld MiB",
                    config->input_topics.count, (long long)config->lanes,
                    (long long)(config->memory_limit_bytes >> 20));
    const struct lp_config_list *ignored = lp_config_ignored_environment(config);
    for (uint32_t i = 0; i < ignored->count; i++)
        lp_findings_add(findings, LP_FINDING_WARN, "environment", "%s means nothing to lepton", ignored->items[i]);
    check_kafka(config, findings);
    check_path("registry.ca.path", config->registry_ca_path, findings);
    check_path("registry.certificate.path", config->registry_certificate_path, findings);
    check_path("registry.key.path", config->registry_key_path, findings);
    check_path("model.root.path", config->model_root_path, findings);
    check_output(config, findings);
    struct lp_model *model = load_model(config, findings);
    check_input(config, model, findings);
    lp_model_unref(model);
}
