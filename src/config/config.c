#include "config/config.h"

#include "config/settings.h"
#include "config/storage.h"
#include "config/values.h"

#include <stdlib.h>
#include <string.h>

static struct lp_config *new_config(struct lp_error *err)
{
    struct lp_config *config = calloc(1, sizeof *config);
    struct lp_config_storage *storage = calloc(1, sizeof *storage);
    if (config == NULL || storage == NULL) goto failed;
    config->storage = storage;
    storage->origins = lp_pool_take(&storage->pool, lp_config_key_count * sizeof *storage->origins);
    if (storage->origins == NULL) goto failed;
    return config;
failed:
    free(config);
    free(storage);
    lp_fail_memory(err, sizeof *config);
    return NULL;
}

void lp_config_free(struct lp_config *config)
{
    if (config == NULL) return;
    lp_pool_done(&config->storage->pool);
    free(config->storage);
    free(config);
}

const char *lp_config_origin(const struct lp_config *config, const char *key)
{
    int index = lp_config_find(key, strlen(key));
    const char *origin = index >= 0 ? config->storage->origins[index] : NULL;
    return origin != NULL ? origin : "default";
}

void lp_config_set_origin(struct lp_config *config, const char *key, const char *origin)
{
    int index = lp_config_find(key, strlen(key));
    if (index >= 0) config->storage->origins[index] = origin;
}

const struct lp_config_list *lp_config_ignored_environment(const struct lp_config *config)
{
    return &config->storage->ignored;
}

static enum lp_code missing(const char *key, const struct lp_settings *settings, struct lp_error *err)
{
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key, "%s: %s is not set: it has no default", settings->file_name,
                         key);
}

/* An empty value stands for the default, so that a variable set to nothing takes a file's value back. */
static bool is_set(const struct lp_setting *setting)
{
    return setting->value != NULL && setting->value[strspn(setting->value, " \t\f\r\n")] != '\0';
}

static enum lp_code apply_keys(struct lp_config *config, const struct lp_settings *settings, struct lp_error *err)
{
    for (uint32_t i = 0; i < lp_config_key_count; i++) {
        const struct lp_config_key *key = &lp_config_keys[i];
        if (key->key == NULL || key->type == LP_CONFIG_PASSTHROUGH) continue;
        bool set = is_set(&settings->keys[i]);
        const char *value = set ? settings->keys[i].value : key->default_text;
        const char *origin = set ? settings->keys[i].origin : "default";
        if (value == NULL && key->required) return missing(key->key, settings, err);
        config->storage->origins[i] = origin;
        if (value != NULL) LP_TRY(lp_config_set(config, &config->storage->pool, key, value, origin, err));
    }
    return LP_OK;
}

static enum lp_code apply_kafka(struct lp_config *config, const struct lp_settings *settings, struct lp_error *err)
{
    struct lp_config_passthrough *passthrough =
        lp_pool_take(&config->storage->pool, settings->kafka_count * sizeof *passthrough);
    if (passthrough == NULL) return lp_fail_memory(err, settings->kafka_count * sizeof *passthrough);
    bool bootstrap = false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < settings->kafka_count; i++) {
        const struct lp_setting *setting = &settings->kafka[i];
        if (!is_set(setting)) continue;
        const char *value = setting->value;
        size_t bytes = strlen(value);
        if (!lp_config_is_secret(setting->key)) {
            value += strspn(value, " \t\f");
            for (bytes = strlen(value); strchr(" \t\f", value[bytes - 1]) != NULL; bytes--) {
            }
        }
        value = lp_pool_copy(&config->storage->pool, value, bytes);
        if (value == NULL) return lp_fail_memory(err, bytes);
        passthrough[count++] =
            (struct lp_config_passthrough){.key = setting->key, .value = value, .origin = setting->origin};
        bootstrap = bootstrap || strcmp(setting->key, "kafka.bootstrap.servers") == 0;
    }
    config->passthrough = passthrough;
    config->passthrough_count = count;
    return bootstrap ? LP_OK : missing("kafka.bootstrap.servers", settings, err);
}

static enum lp_code build(struct lp_config *config, struct lp_settings *settings, char *const *environment,
                          const struct lp_config_override *overrides, uint32_t override_count, struct lp_error *err)
{
    LP_TRY(lp_settings_from_environment(settings, environment, err));
    for (uint32_t i = 0; i < override_count; i++) LP_TRY(lp_settings_from_override(settings, &overrides[i], err));
    config->storage->ignored = (struct lp_config_list){.count = settings->ignored_count, .items = settings->ignored};
    LP_TRY(apply_keys(config, settings, err));
    LP_TRY(apply_kafka(config, settings, err));
    struct lp_limits limits;
    lp_limits_get("/", &limits);
    LP_TRY(lp_config_derive(config, &limits, err));
    return lp_config_validate(config, err);
}

/* `path` or `text`: whichever is there. */
static enum lp_code load(const char *path, struct lp_span text, const char *name, char *const *environment,
                         const struct lp_config_override *overrides, uint32_t override_count,
                         struct lp_config **ret_config, struct lp_error *err)
{
    struct lp_config *config = new_config(err);
    if (config == NULL) return LP_E_MEMORY;
    struct lp_settings settings;
    enum lp_code rc = LP_OK;
    LP_GUARD(lp_settings_init(&settings, &config->storage->pool, err));
    settings.file_name = name;
    if (path != NULL)
        LP_GUARD(lp_settings_read_file(&config->storage->pool, path, LP_PROPERTIES_MAX_BYTES, &text, err));
    LP_GUARD(lp_properties_read(text, name, lp_settings_from_file, &settings, err));
    LP_GUARD(build(config, &settings, environment, overrides, override_count, err));
    *ret_config = config;
    config = NULL;
out:
    lp_config_free(config);
    return rc;
}

enum lp_code lp_config_load(const char *path, char *const *environment, const struct lp_config_override *overrides,
                            uint32_t override_count, struct lp_config **ret_config, struct lp_error *err)
{
    return load(path, (struct lp_span){0}, path != NULL ? path : "configuration", environment, overrides,
                override_count, ret_config, err);
}

enum lp_code lp_config_parse(struct lp_span text, const char *text_name, char *const *environment,
                             const struct lp_config_override *overrides, uint32_t override_count,
                             struct lp_config **ret_config, struct lp_error *err)
{
    return load(NULL, text, text_name, environment, overrides, override_count, ret_config, err);
}
