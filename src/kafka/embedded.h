/* librdkafka's mock cluster in this process, for the demo and the pipeline tests. Never a durable broker. */
#ifndef LP_KAFKA_EMBEDDED_H
#define LP_KAFKA_EMBEDDED_H

#include "core/error.h"

#include <stdint.h>

struct lp_embedded;

LP_MUST_USE enum lp_code lp_embedded_new(uint32_t broker_count, struct lp_embedded **ret_embedded,
                                         struct lp_error *err);
void lp_embedded_free(struct lp_embedded *embedded);
/** host:port list on 127.0.0.1, owned. */
const char *lp_embedded_bootstrap(const struct lp_embedded *embedded);
LP_MUST_USE enum lp_code lp_embedded_create_topic(struct lp_embedded *embedded, const char *topic,
                                                  uint32_t partition_count, struct lp_error *err);
/** Let the next request of an API key be answered that late (tests). */
void lp_embedded_push_delay(struct lp_embedded *embedded, int16_t api_key, int delay_ms);
/** Let the next `count` requests of an API key fail with a Kafka error code (tests). */
void lp_embedded_push_errors(struct lp_embedded *embedded, int16_t api_key, uint32_t count, int error_code);

#endif
