/* Settings for librdkafka clients: passed through unchanged, save those that lepton owns. */
#ifndef LP_KAFKA_CONF_H
#define LP_KAFKA_CONF_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** One kafka.*, kafka.consumer.* or kafka.producer.* setting, prefix cut. */
struct lp_kafka_setting {
    const char *key;
    const char *value;
    enum { LP_KAFKA_BOTH, LP_KAFKA_CONSUMER, LP_KAFKA_PRODUCER } client;
};

struct lp_kafka_conf {
    const struct lp_kafka_setting *settings; /* borrowed, must hold bootstrap.servers */
    uint32_t setting_count;
    bool exactly_once;
    uint32_t commit_interval_ms;
    size_t fetch_queue_bytes; /* per lane: queued.max.messages.kbytes unless set */
};

/**
 * Is `key` one that lepton owns (enable.auto.commit, enable.idempotence, acks, transactional.id, ...)?
 * Returns the lepton key to use instead ("delivery", "group.id", ...), or NULL when the key passes.
 */
const char *lp_kafka_conf_owned(const char *key);

/** Try every setting on a scratch rd_kafka_conf: LP_E_INVALID with err->field for the first that librdkafka refuses. */
LP_MUST_USE enum lp_code lp_kafka_conf_check(const struct lp_kafka_conf *conf, struct lp_error *err);

/** Does the linked librdkafka know this key? */
bool lp_kafka_conf_known(const char *key);

/** Version of the linked librdkafka as text and number (0x020002ff). */
const char *lp_kafka_version_text(void);
int lp_kafka_version(void);

enum { LP_KAFKA_WARNING_BYTES = 200 };
/** What the linked librdkafka cannot do with these settings and some brokers, with the cure; false: nothing. */
bool lp_kafka_conf_warning(const struct lp_kafka_conf *conf, char *ret_text, size_t bytes);

/** "cooperative-sticky" from librdkafka 2.10, "range" below (see FACTS in the code), unless the settings name one. */
const char *lp_kafka_assignor(const struct lp_kafka_conf *conf);

/**
 * From now on no client's destruction is waited for past this time (monotonic; 0: no such bound), except for a moment;
 * what hangs is left to itself. Any thread.
 */
void lp_kafka_hurry(uint64_t deadline_ns);

/** Clients that were left to themselves: the process should end without tearing down what they use (_exit). */
uint32_t lp_kafka_left_behind(void);

#endif
