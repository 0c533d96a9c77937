/* Private to kafka/: librdkafka's log lines go to ours, repeated ones thinned. */
#ifndef LP_KAFKA_CLIENT_LOG_H
#define LP_KAFKA_CLIENT_LOG_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

/** rd_kafka_conf_set_log_cb; any thread, librdkafka's own included. */
void lp_client_log(const rd_kafka_t *client, int level, const char *facility, const char *text);

/**
 * May a line be written now? At most one a LP_CLIENT_LOG_PERIOD_MS for lines that differ in digits only (addresses,
 * counts and times do). Any thread.
 *
 * @param ret_suppressed how many of its kind were held back since the last one
 */
bool lp_client_log_admit(const char *facility, const char *text, uint64_t now_ns, uint32_t *ret_suppressed);

enum { LP_CLIENT_LOG_PERIOD_MS = 10000 };

#endif
