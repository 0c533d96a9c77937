/*
 * Private to kafka/: messages that the brokers did not take, kept until they do (patient sinks).
 *
 * While a topic has such messages, later ones queue up behind them. They are sent in rounds: one message as a probe,
 * more after each success. A refusal that may be about another message of the same batch (librdkafka and the brokers
 * refuse batches whole) is repeated with half of the round until the message stood alone.
 */
#ifndef LP_KAFKA_SINK_PARK_H
#define LP_KAFKA_SINK_PARK_H

#include "kafka/sink.h"

#include <librdkafka/rdkafka.h>

struct parked;

struct parked_list {
    struct parked *first, *last;
};

struct sink_park {
    struct parked_list returned; /* of the round at hand, to be sent again before all others */
    struct parked_list failed;   /* sent directly and not taken */
    struct parked_list waiting;  /* came later */
    struct parked_list sent;     /* the round at hand, oldest first */
    uint32_t count;              /* of returned, failed and waiting */
    uint32_t outstanding;        /* of sent */
    uint32_t round;              /* messages that the round at hand began with */
    uint32_t window;             /* messages of the next round */
    uint32_t ceiling;            /* above it a round was refused */
    uint32_t pause_ms;
    uint64_t due_ns;
    bool round_failed;
    bool stalled; /* `why` says what keeps all of this back */
    struct lp_error why;
    uint64_t stalled_ns; /* since then */
};

/** Is anything kept back or under way in a round? Then a new message queues up, too. */
static inline bool sink_park_active(const struct sink_park *park) { return park->count + park->outstanding > 0; }
/** Append a copy; takes headers. False: no memory. */
bool sink_park_push(struct sink_park *park, const struct lp_sink_message *message);
/** A direct send failed, now or in its report: keep a copy to send it again; takes headers. False: no memory. */
bool sink_park_fail(struct sink_park *park, const struct lp_sink_message *message, const struct lp_error *why);

enum park_fate {
    PARK_NOT_MINE, /* sent directly */
    PARK_DONE,     /* acknowledged */
    PARK_KEPT,     /* comes again */
    PARK_REFUSED   /* alone, for good: ret_message is the caller's to give to sink_park_drop */
};
/** The report of a message of this topic; `err` NULL: acknowledged. */
enum park_fate sink_park_report(struct sink_park *park, uint64_t ticket, const struct lp_error *err,
                                struct parked **ret_message);
/** As a message, borrowed. */
struct lp_sink_message sink_park_message(const struct parked *parked, struct lp_sink_topic *topic);
void sink_park_drop(struct parked *parked);

/**
 * Send the next round when it is due. `send` takes a message (and its headers) into the producer: LP_OK; LP_RETRY:
 * its queue is full; LP_SKIP_RECORD and LP_FATAL: given to `refused`; else it comes again. `live` false: nobody waits
 * for it any more, `dropped` is told.
 */
struct sink_park_calls {
    void *context;
    enum lp_code (*send)(void *context, const struct lp_sink_message *message, struct lp_error *err);
    bool (*live)(void *context, uint64_t ticket);
    void (*dropped)(void *context, const struct lp_sink_message *message);
    void (*refused)(void *context, struct lp_sink_topic *topic, struct parked *parked, const struct lp_error *err);
};
void sink_park_serve(struct sink_park *park, struct lp_sink_topic *topic, const struct sink_park_calls *calls,
                     uint64_t now_ns);
void sink_park_clear(struct sink_park *park);

#endif
