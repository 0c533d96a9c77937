/* The control thread's state: private to control/. */
#ifndef LP_CONTROL_CONTROL_PRIVATE_H
#define LP_CONTROL_CONTROL_PRIVATE_H

#include "control/control.h"
#include "control/limiter.h"
#include "kafka/reader.h"
#include "kafka/sink.h"

#include <pthread.h>
#include <stdatomic.h>

struct lp_control {
    struct lp_control_options options;
    struct lp_control_callbacks callbacks;
    struct lp_reader *reader; /* NULL: no control topic */
    struct lp_sink *sink;     /* NULL: no status topic */
    struct lp_sink_topic *status_topic;
    bool status_unsent; /* the last status record was not written; said once */
    pthread_t thread;
    bool started;
    atomic_bool stop, replayed, failing;
    struct lp_error failure; /* written before `failing` is set */

    /* control thread only */
    struct lp_desired *wanted;  /* replay: the control topic's latest; NULL: none */
    bool retired_at_replay;     /* replay: the latest was a null value */
    struct lp_desired *known;   /* replay: the highest that any replica says it accepted */
    char *spoiled;              /* replay: why a control record was refused; NULL: none was */
    struct lp_desired *waiting; /* too many loads: the latest that waits for its turn; NULL: none */
    struct lp_limiter loads, refusals;
    uint64_t untold;   /* refusals that were not reported since the last that was */
    bool paused;       /* by the last state acted upon */
    uint64_t observed; /* highest generation acted upon, its model loaded or not */
    uint64_t next_status_ns, next_trouble_ns;

    pthread_mutex_t mutex;          /* guards what follows */
    struct lp_status_record status; /* owns desired_json */
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    uint32_t event_count;
};

/** One step: log line, timeline, status record. Control thread, as all of these. */
void control_say(struct lp_control *control, uint64_t generation, enum lp_slot_state state, const char *reason);
/**
 * A record changes nothing: said as control_say does, after which the status speaks of what it spoke of before. Bounded
 * in number: what is past the bound is counted and told with the next.
 *
 * @param generation 0: not known
 */
void control_refuse(struct lp_control *control, uint64_t generation, const char *reason);
void control_publish_status(struct lp_control *control);
void control_set_serving(struct lp_control *control, const struct lp_model *model, uint64_t generation);
/** @param json copied; NULL: nothing is accepted any more */
void control_set_accepted(struct lp_control *control, const char *json);
LP_MUST_USE enum lp_code control_open_status(struct lp_control *control, struct lp_error *err);
/** A clean stop takes the replica off the status topic. */
void control_leave_status(struct lp_control *control, int timeout_ms);

#endif
