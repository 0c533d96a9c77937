/* Texts of the configuration -> typed members, checked against the table: private to config/. */
#ifndef LP_CONFIG_VALUES_H
#define LP_CONFIG_VALUES_H

#include "config/config.h"
#include "config/pool.h"
#include "config/table.h"

/**
 * Parse `text` as the key's type, check range and form, and write the member.
 *
 * @param text   borrowed, terminated; outer white space is cut unless the key is a secret
 * @param origin for error texts: "worker.properties:12"
 * @return LP_E_INVALID with err->field; LP_E_UNSUPPORTED for what this release does not have; LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_config_set(struct lp_config *config, struct lp_pool *pool, const struct lp_config_key *key,
                                       const char *text, const char *origin, struct lp_error *err);

/** LP_CONFIG_LISTEN's form alone, for the checks of http. */
bool lp_config_is_listen(const char *text);

#endif
