/* Private to kafka/: the sink's parts. sink.c is the producer, sink_txn.c its transactions, sink_patience.c what it
 * keeps. */
#ifndef LP_KAFKA_SINK_PRIVATE_H
#define LP_KAFKA_SINK_PRIVATE_H

#include "kafka/client.h"
#include "kafka/sink.h"
#include "kafka/sink_park.h"

#include <stdatomic.h>

enum { TOPICS_MAX = 16 };

/* On a message whose timestamp the broker refused and that goes out with the time of now: the old one. */
#define SINK_TIMESTAMP_HEADER "lepton.timestamp"

struct lp_sink_topic {
    char *name;              /* owned */
    rd_kafka_topic_t *topic; /* owned; another one after the producer was made anew */
    struct sink_park park;   /* of a patient sink */
};

struct sink_txn;

/* Transactional: client, queued and the topics' handles belong to the committer's thread while a job is under way. */
struct lp_sink {
    struct lp_sink_options options; /* strings borrowed until lp_sink_new is done; sink_txn keeps its own */
    rd_kafka_t *client;
    lp_sink_report *report;
    void *context;
    uint32_t queued;      /* sent and not reported */
    size_t queued_bytes;  /* keys and values of those */
    int reported;         /* since the poll at hand began */
    bool has_tickets;     /* a report callback was given */
    bool parked;          /* patient: some topic's park is in use */
    bool hangs;           /* a client could not be destroyed: its opaque pointer stays allocated for good */
    atomic_bool crippled; /* the client got no thread for a broker, and does not ask again; set by whom polls it */
    struct lp_error crippled_by; /* written before that */
    uint32_t topic_count;
    struct lp_sink_topic topics[TOPICS_MAX];
    struct sink_txn *txn; /* NULL: not transactional */
};

/* --- sink.c --- */

/** Makes the client and the handles of all known topics. */
LP_MUST_USE enum lp_code sink_open(struct lp_sink *sink, struct lp_error *err);
void sink_close(struct lp_sink *sink);
/** Enqueue in the client. NULL: done, headers taken. */
rd_kafka_error_t *sink_produce(struct lp_sink *sink, const struct lp_sink_message *message);
/** Takes `error`. */
enum lp_code sink_send_failed(rd_kafka_error_t *error, const struct lp_sink_message *message, struct lp_error *err);

/** message.max.bytes, which bounds key, value and headers of a message. */
size_t sink_message_max_bytes(const rd_kafka_conf_t *conf);
/** What a failed report says. */
void sink_describe(const rd_kafka_message_t *message, struct lp_error *err);

/* --- sink_patience.c --- */

/** True: the report was about a kept message, and is dealt with. */
bool sink_deliver_patiently(struct lp_sink *sink, const rd_kafka_message_t *message);
LP_MUST_USE enum lp_code sink_send_patiently(struct lp_sink *sink, const struct lp_sink_message *message,
                                             struct lp_error *err);
/** Send what is due of the kept ones. */
void sink_serve_parks(struct lp_sink *sink);

/* --- sink_txn.c --- */

LP_MUST_USE enum lp_code sink_txn_new(struct lp_sink *sink, struct lp_error *err);
/** The producer's settings for transactions, at most 3. */
uint32_t sink_txn_values(const struct lp_sink *sink, struct lp_client_value *values);
/** False: the committer hangs in the client. */
bool sink_txn_end(struct lp_sink *sink);
void sink_txn_free(struct lp_sink *sink);
/** Does the committer have the client? */
bool sink_txn_away(const struct lp_sink *sink);
void sink_txn_delivered(struct lp_sink *sink, const rd_kafka_message_t *message);
LP_MUST_USE enum lp_code sink_txn_send(struct lp_sink *sink, const struct lp_sink_message *message,
                                       struct lp_error *err);
bool sink_txn_failed(const struct lp_sink *sink, struct lp_error *err);
uint32_t sink_txn_queued(const struct lp_sink *sink);
size_t sink_txn_queued_bytes(const struct lp_sink *sink);

#endif
