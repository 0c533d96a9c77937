/* Status records (schemas/status.schema.json): what a replica runs; written by workers, read by deploy and status. */
#ifndef LP_CONTROL_STATUS_RECORD_H
#define LP_CONTROL_STATUS_RECORD_H

#include "control/desired.h"
#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

enum lp_slot_state {
    LP_SLOT_STARTING,
    LP_SLOT_LOADING,
    LP_SLOT_LIVE,
    LP_SLOT_DEGRADED,
    LP_SLOT_REFUSED,
    LP_SLOT_RETIRED,
    LP_SLOT_STOPPED,
};
const char *lp_slot_state_name(enum lp_slot_state state);

struct lp_status_record {
    char slot[256], replica[256];
    uint64_t generation; /* of which state and reason speak */
    enum lp_slot_state state;
    char reason[LP_ERROR_TEXT_BYTES]; /* empty: null */
    bool serving;
    uint64_t serving_generation;
    char version[256];                 /* of what serves; empty: null */
    char sha256[LP_SHA256_TEXT_BYTES]; /* of what serves; empty: null */
    char *desired_json;                /* owned; the last accepted desired state, NULL: none */
    int64_t time_ms;
};

/** JSON text, owned by the caller (free). NULL: out of memory. */
char *lp_status_record_encode(const struct lp_status_record *record);

/** Parse what another replica wrote; unknown members are ignored. lp_status_record_done frees its desired_json. */
LP_MUST_USE enum lp_code lp_status_record_parse(struct lp_span json, struct lp_status_record *ret_record,
                                                struct lp_error *err);
void lp_status_record_done(struct lp_status_record *record);

#endif
