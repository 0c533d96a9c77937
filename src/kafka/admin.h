/* Short-lived questions and orders to a cluster. Any thread; each call blocks up to timeout_ms. */
#ifndef LP_KAFKA_ADMIN_H
#define LP_KAFKA_ADMIN_H

#include "core/error.h"

#include <stdint.h>

struct lp_kafka_conf;

/** Partitions of a topic; LP_E_NOT_FOUND when the broker does not know it, LP_RETRY action when none answers. */
LP_MUST_USE enum lp_code lp_admin_partition_count(const struct lp_kafka_conf *conf, const char *topic, int timeout_ms,
                                                  uint32_t *ret_count, struct lp_error *err);

#endif
