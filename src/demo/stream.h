/* The demo's producer: the flights at a steady rate, on a thread of its own. */
#ifndef LP_DEMO_STREAM_H
#define LP_DEMO_STREAM_H

#include "core/error.h"
#include "kafka/conf.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_stream;

struct lp_stream_state {
    uint64_t sent;         /* records handed to the producer */
    uint64_t acknowledged; /* of those, stored by the broker */
    uint64_t bad;          /* of those sent, damaged on purpose */
    int64_t sched_ms;      /* of the last one sent */
    bool done;
};

/**
 * @param conf   borrowed for the stream's life
 * @param year_s seconds that the year's records take, steadily
 * @param repeat start the year again (a year later) instead of ending
 */
LP_MUST_USE enum lp_code lp_stream_new(const struct lp_kafka_conf *conf, const char *topic, double year_s, bool repeat,
                                       struct lp_stream **ret_stream, struct lp_error *err);
/** Records that the worker has behind it: the stream stays at most `lead_max` ahead, so that the broker keeps all. */
void lp_stream_consumed(struct lp_stream *stream, uint64_t records);
void lp_stream_get_state(struct lp_stream *stream, struct lp_stream_state *ret_state);
uint32_t lp_stream_count(const struct lp_stream *stream);
/** Stops the thread and waits for the broker's acknowledgements; the state is final then. */
void lp_stream_stop(struct lp_stream *stream, int timeout_ms);
void lp_stream_free(struct lp_stream *stream);

#endif
