/*
 * The control thread: desired state in, staged models and status records out. It reads the control and status topics to
 * their ends, takes the highest accepted generation, and from then on every newer one; loading and verification happen
 * here, off the lanes.
 */
#ifndef LP_CONTROL_CONTROL_H
#define LP_CONTROL_CONTROL_H

#include "control/status_record.h"
#include "core/error.h"
#include "kafka/conf.h"
#include "score/model.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_control;

/** What the worker does for the control thread; called on that thread. */
struct lp_control_callbacks {
    void *context;
    /** May this model serve the input? Its features against the schemas that are known. */
    enum lp_code (*check)(void *context, const struct lp_model *model, struct lp_error *err);
    /** Hand a model (borrowed; NULL: retire) to the lanes; on failure the old one goes on serving. */
    enum lp_code (*stage)(void *context, struct lp_model *model, uint64_t generation, bool degraded,
                          struct lp_error *err);
    void (*pause)(void *context, bool paused);
};

/** Strings borrowed for the object's life. */
struct lp_control_options {
    const struct lp_kafka_conf *conf;
    const char *client_id;
    const char *control_topic, *status_topic; /* NULL: none */
    const char *slot, *replica;
    const char *root;              /* for file: sources of the control topic */
    const char *trusted_keys_path; /* see control/signature.h; NULL: signatures are not looked at */
    const char *model_uri, *model_sha256, *model_signature; /* generation 0, NULL: none */
    struct lp_model_options model;
    size_t control_max_bytes;
    uint32_t max_loads_per_minute; /* 0: no limit */
    int64_t status_interval_ms;
};

LP_MUST_USE enum lp_code lp_control_new(const struct lp_control_options *options,
                                        const struct lp_control_callbacks *callbacks, struct lp_control **ret_control,
                                        struct lp_error *err);
/** Starts the thread. */
LP_MUST_USE enum lp_code lp_control_start(struct lp_control *control, struct lp_error *err);
/** Stops the thread; `clean` leaves a tombstone on the status topic, bounded by timeout_ms. */
void lp_control_stop(struct lp_control *control, bool clean, int timeout_ms);
void lp_control_free(struct lp_control *control);

/** Has the control topic been read to its end and acted upon? Any thread. */
bool lp_control_replayed(struct lp_control *control);

/** Why the control topic cannot be read any more, as long as the process lives. Any thread. */
LP_MUST_USE enum lp_code lp_control_check(struct lp_control *control, struct lp_error *err);

/** One event of the model's timeline. */
struct lp_control_event {
    int64_t time_ms;
    uint64_t generation;
    enum lp_slot_state state;
    char version[64];
    char reason[256];
};
enum { LP_CONTROL_EVENTS_MAX = 32 };

/** The latest status (desired_json is NULL) and the last events, oldest first. Any thread. Returns the event count. */
uint32_t lp_control_state(struct lp_control *control, struct lp_status_record *ret_status,
                          struct lp_control_event events[LP_CONTROL_EVENTS_MAX]);

#endif
