/* Reads whole topics without a group: control and status topics at start and ever after. One thread. */
#ifndef LP_KAFKA_READER_H
#define LP_KAFKA_READER_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_kafka_conf;
struct lp_reader;

struct lp_reader_record {
    uint32_t topic_index;
    int32_t partition;
    int64_t offset, timestamp_ms;
    struct lp_span key, value; /* data NULL: null */
};
typedef void lp_reader_callback(void *context, const struct lp_reader_record *record);

/** `topics` borrowed. Topics may not exist yet: they are looked for again and again. */
LP_MUST_USE enum lp_code lp_reader_new(const struct lp_kafka_conf *conf, const char *client_id,
                                       const char *const *topics, uint32_t topic_count, struct lp_reader **ret_reader,
                                       struct lp_error *err);
void lp_reader_free(struct lp_reader *reader);

/**
 * Hand over what came, waiting up to timeout_ms (at most a second); ends early for lp_reader_wake. Looking for a topic,
 * once a second while it is missing and once a minute for added partitions, may take 200 ms more.
 * LP_RETRY errors (brokers away) are counted, not returned. A topic that is made anew is read from its beginning.
 * @return LP_E_LIMIT/LP_FATAL: a topic has more than 10,000 partitions; LP_E_IO/LP_FATAL: the client got no thread for
 * a broker, and does not ask again; LP_FATAL: no memory
 */
LP_MUST_USE enum lp_code lp_reader_poll(struct lp_reader *reader, int timeout_ms, lp_reader_callback *callback,
                                        void *context, struct lp_error *err);

/** Has everything that stood in the topics when they were first found been handed over? (A missing topic counts as
 * empty once the broker has said that it does not exist.) */
bool lp_reader_caught_up(const struct lp_reader *reader);

/** Why the reader has not caught up, as far as the client said so, with the cure; false: it said nothing. */
bool lp_reader_trouble(const struct lp_reader *reader, struct lp_error *ret_why);

/** Errors that were counted. Reader's thread. */
uint64_t lp_reader_retries(const struct lp_reader *reader);

/** Wake a poll; any thread. */
void lp_reader_wake(struct lp_reader *reader);

#endif
