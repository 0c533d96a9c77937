/* Why a client gets nowhere: its last complaint, for whoever waits for it. Private to kafka/. */
#ifndef LP_KAFKA_TROUBLE_H
#define LP_KAFKA_TROUBLE_H

#include "core/error.h"
#include "kafka/conf.h"

#include <librdkafka/rdkafka.h>

enum { LP_TROUBLE_TEXT_BYTES = 300 };

/** All zero: none. */
struct lp_client_trouble {
    rd_kafka_resp_err_t code;
    char text[LP_TROUBLE_TEXT_BYTES];
};

/** From an error callback. "All brokers are down" is left out: it says less than what came before it. */
void lp_client_note(struct lp_client_trouble *trouble, int code, const char *reason);

/**
 * Fill `err` with "what: what the code means, what to do: the complaint". The action is LP_RETRY: credentials and
 * certificates are mended on the broker's side too.
 */
enum lp_code lp_client_fail_trouble(struct lp_error *err, const struct lp_client_trouble *trouble,
                                    const struct lp_kafka_conf *conf, const char *what) __attribute__((cold, noinline));

#endif
