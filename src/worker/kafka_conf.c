#include "worker/kafka_conf.h"

#include <stdlib.h>
#include <string.h>

/* "kafka.", then "consumer." or "producer." for one kind of client. */
static struct lp_kafka_setting setting(const struct lp_config_passthrough *from)
{
    struct lp_kafka_setting to = {.key = from->key + strlen("kafka."), .value = from->value, .client = LP_KAFKA_BOTH};
    if (strncmp(to.key, "consumer.", 9) == 0) to.client = LP_KAFKA_CONSUMER;
    if (strncmp(to.key, "producer.", 9) == 0) to.client = LP_KAFKA_PRODUCER;
    if (to.client != LP_KAFKA_BOTH) to.key += 9;
    return to;
}

enum lp_code lp_kafka_conf_from_config(const struct lp_config *config, struct lp_kafka_conf *ret_conf,
                                       struct lp_error *err)
{
    struct lp_kafka_setting *settings = calloc(config->passthrough_count + 1, sizeof *settings);
    if (settings == NULL) return lp_fail_memory(err, config->passthrough_count * sizeof *settings);
    for (uint32_t i = 0; i < config->passthrough_count; i++) settings[i] = setting(&config->passthrough[i]);
    *ret_conf = (struct lp_kafka_conf){.settings = settings,
                                       .setting_count = config->passthrough_count,
                                       .exactly_once = config->delivery == LP_CONFIG_EXACTLY_ONCE,
                                       .commit_interval_ms = (uint32_t)config->commit_interval_ms,
                                       .fetch_queue_bytes = (size_t)config->fetch_queue_bytes};
    return lp_kafka_conf_check(ret_conf, err);
}

void lp_kafka_conf_done(struct lp_kafka_conf *conf)
{
    free((void *)conf->settings);
    *conf = (struct lp_kafka_conf){0};
}
