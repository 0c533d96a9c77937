/* What a configuration owns beside its values: private to config/. */
#ifndef LP_CONFIG_STORAGE_H
#define LP_CONFIG_STORAGE_H

#include "config/config.h"
#include "config/limits.h"
#include "config/pool.h"
#include "config/table.h"

struct lp_config_storage {
    struct lp_pool pool;
    const char **origins; /* [lp_config_key_count] "worker.properties:12", "default", ... */
    struct lp_config_list ignored;
};

/** Where the value of a key (of the table) came from. */
const char *lp_config_origin(const struct lp_config *config, const char *key);
void lp_config_set_origin(struct lp_config *config, const char *key, const char *origin);

/** What one value demands of another, and what this release has not: LP_E_INVALID, LP_E_UNSUPPORTED with err->field. */
LP_MUST_USE enum lp_code lp_config_validate(const struct lp_config *config, struct lp_error *err);

/** Fill in what depends on the machine and on other keys; writes the origins. */
LP_MUST_USE enum lp_code lp_config_derive(struct lp_config *config, const struct lp_limits *limits,
                                          struct lp_error *err);

#endif
