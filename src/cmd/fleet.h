/* What the control and status topics say about one slot: shared by deploy, rollback and status. */
#ifndef LP_CMD_FLEET_H
#define LP_CMD_FLEET_H

#include "config/config.h"
#include "control/desired.h"
#include "control/status_record.h"
#include "core/error.h"
#include "kafka/conf.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_FLEET_REPLICAS_MAX = 1024 };

struct lp_fleet {
    const struct lp_config *config;
    const char *slot;
    struct lp_kafka_conf kafka;
    struct lp_reader *reader;
    struct lp_desired *desired; /* the control topic's latest, NULL: none or retired */
    struct lp_desired *known;   /* highest that a replica accepted, NULL: none */
    uint64_t generation;        /* highest seen anywhere */
    uint32_t replica_count;
    struct lp_status_record *replicas; /* [LP_FLEET_REPLICAS_MAX], stopped ones left out */
};

/** Connect and read both topics to their ends (bounded by timeout_ms). `slot` NULL: the configuration's first. */
LP_MUST_USE enum lp_code lp_fleet_open(struct lp_fleet *fleet, const struct lp_config *config, const char *slot,
                                       int timeout_ms, struct lp_error *err);
void lp_fleet_close(struct lp_fleet *fleet);

/** Read what is new, waiting up to timeout_ms. */
LP_MUST_USE enum lp_code lp_fleet_poll(struct lp_fleet *fleet, int timeout_ms, struct lp_error *err);

/** A replica counts as live while its heartbeat is younger than three intervals. */
bool lp_fleet_alive(const struct lp_fleet *fleet, const struct lp_status_record *replica);

/** Write a desired state to the control topic and wait for the brokers' acknowledgement. */
LP_MUST_USE enum lp_code lp_fleet_write(struct lp_fleet *fleet, const char *json, int timeout_ms, struct lp_error *err);

/**
 * Wait until every live replica serves `generation`. One line a step on stderr.
 * @return LP_E_REFUSED with the reason when a live replica refuses; LP_E_TIMEOUT
 */
LP_MUST_USE enum lp_code lp_fleet_wait(struct lp_fleet *fleet, uint64_t generation, int64_t timeout_ms,
                                       struct lp_error *err);

#endif
