/* Gathering assignments from a file, the environment and overrides, before they are parsed: private to config/. */
#ifndef LP_CONFIG_SETTINGS_H
#define LP_CONFIG_SETTINGS_H

#include "config/config.h"
#include "config/pool.h"
#include "config/properties.h"

enum { LP_SECRET_MAX_BYTES = 1 << 16, LP_PASSTHROUGH_MAX = 4096, LP_IGNORED_MAX = 256 };

/** Sources in the order in which a later one wins. */
enum lp_settings_source { LP_FROM_NOWHERE, LP_FROM_FILE, LP_FROM_ENVIRONMENT, LP_FROM_SET };

struct lp_setting {
    const char *key; /* passthrough only */
    const char *value, *origin;
    enum lp_settings_source source;
};

struct lp_settings {
    struct lp_pool *pool;     /* borrowed; holds every string */
    const char *file_name;    /* for origins */
    struct lp_setting *keys;  /* [lp_config_key_count], in the pool */
    struct lp_setting *kafka; /* [LP_PASSTHROUGH_MAX], in the pool */
    uint32_t kafka_count;
    const char **ignored; /* [LP_IGNORED_MAX], in the pool */
    uint32_t ignored_count;
};

LP_MUST_USE enum lp_code lp_settings_init(struct lp_settings *settings, struct lp_pool *pool, struct lp_error *err);
/** An entry of the file: an lp_properties_entry whose context is the struct lp_settings. */
enum lp_code lp_settings_from_file(void *context, const char *key, const char *value, uint32_t line,
                                   struct lp_error *err);
LP_MUST_USE enum lp_code lp_settings_from_environment(struct lp_settings *settings, char *const *environment,
                                                      struct lp_error *err);
LP_MUST_USE enum lp_code lp_settings_from_override(struct lp_settings *settings,
                                                   const struct lp_config_override *override, struct lp_error *err);

/** Read a whole file of at most max_bytes into the pool, terminated. LP_E_IO, LP_E_NOT_FOUND, LP_E_LIMIT. */
LP_MUST_USE enum lp_code lp_settings_read_file(struct lp_pool *pool, const char *path, size_t max_bytes,
                                               struct lp_span *ret_text, struct lp_error *err);

#endif
