/* The demo's proof: reads the predictions and dead letters back and accounts for every record. */
#ifndef LP_DEMO_AUDIT_H
#define LP_DEMO_AUDIT_H

#include "core/error.h"
#include "kafka/conf.h"

#include <stdint.h>

enum { LP_AUDIT_PARTITIONS_MAX = 64 };

struct lp_audit;

struct lp_audit_state {
    uint64_t predictions, dead_letters;
    uint64_t duplicates;    /* of an input offset already seen */
    uint64_t out_of_order;  /* an offset below its partition's last */
    uint64_t version_flips; /* changes of version within a partition, summed */
    uint64_t late_flagged;  /* predictions with label "late" */
};

/** Reads `predictions` (JSON with version, label, partition, offset) and `dead_letters` from their beginnings. */
LP_MUST_USE enum lp_code lp_audit_new(const struct lp_kafka_conf *conf, const char *predictions,
                                      const char *dead_letters, struct lp_audit **ret_audit, struct lp_error *err);
/** Read what has come, waiting up to timeout_ms. */
LP_MUST_USE enum lp_code lp_audit_poll(struct lp_audit *audit, int timeout_ms, struct lp_error *err);
void lp_audit_get_state(const struct lp_audit *audit, struct lp_audit_state *ret_state);
void lp_audit_free(struct lp_audit *audit);

#endif
