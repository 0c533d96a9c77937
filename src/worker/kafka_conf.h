/* From the configuration's kafka.* keys to client settings. */
#ifndef LP_WORKER_KAFKA_CONF_H
#define LP_WORKER_KAFKA_CONF_H

#include "config/config.h"
#include "core/error.h"
#include "kafka/conf.h"

/**
 * Fill *ret_conf from `config` (borrowed for its life) and let librdkafka check every setting.
 * lp_kafka_conf_done frees, also after a failure.
 */
LP_MUST_USE enum lp_code lp_kafka_conf_from_config(const struct lp_config *config, struct lp_kafka_conf *ret_conf,
                                                   struct lp_error *err);
void lp_kafka_conf_done(struct lp_kafka_conf *conf);

#endif
