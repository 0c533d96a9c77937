/* Private to kafka/: what every client shares. Only files of this folder include rdkafka.h. */
#ifndef LP_KAFKA_CLIENT_H
#define LP_KAFKA_CLIENT_H

#include "core/actions.h"
#include "core/error.h"
#include "kafka/conf.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

enum lp_client_role { LP_CLIENT_SOURCE, LP_CLIENT_SINK, LP_CLIENT_READER, LP_CLIENT_ADMIN };

/** One value that lepton sets itself. */
struct lp_client_value {
    const char *key, *value;
};

/** What a transaction commits (kafka/source.h): both owned. */
struct lp_source_offsets {
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_consumer_group_metadata_t *metadata; /* of the moment the list was made */
};

/**
 * A librdkafka configuration: the role's defaults, the user's settings over them, `owned` and the role's own values
 * over both. The caller gives it to rd_kafka_new or destroys it.
 *
 * @param client_id borrowed; NULL: librdkafka's
 * @return LP_E_INVALID/LP_FATAL with err->field naming the setting that librdkafka refuses
 */
LP_MUST_USE enum lp_code lp_client_conf_new(const struct lp_kafka_conf *conf, enum lp_client_role role,
                                            const char *client_id, const struct lp_client_value *owned,
                                            uint32_t owned_count, rd_kafka_conf_t **ret_conf, struct lp_error *err);

/** rd_kafka_new; takes `conf` also on failure. */
LP_MUST_USE enum lp_code lp_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **ret_client,
                                       struct lp_error *err);

/**
 * rd_kafka_destroy_flags in a thread of its own, waited for up to timeout_ms (destroy is known to hang), and no longer
 * than lp_kafka_hurry says. False: it still runs, and whatever the client's callbacks point to must stay alive for
 * good.
 */
bool lp_client_destroy(rd_kafka_t *client, int flags, int timeout_ms);
/** Counts a client that is not destroyed at all, because that would end the process. */
void lp_client_leave_behind(void);

/** Fill `err` from a librdkafka error by the table of core/actions.inc: "what: text of the error[: what to do]". */
enum lp_code lp_client_fail_on(struct lp_error *err, rd_kafka_resp_err_t error, enum lp_side side, const char *what)
    __attribute__((cold, noinline));
/** The same on the consumer's side, which questions to the cluster are on, too. */
enum lp_code lp_client_fail(struct lp_error *err, rd_kafka_resp_err_t error, const char *what)
    __attribute__((cold, noinline));

/** Milliseconds left until a monotonic deadline, 0 when passed, at most an int. */
int lp_client_left_ms(uint64_t deadline_ns);

#endif
