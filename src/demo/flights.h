/* The year of departures, unpacked: one Avro record of schemas/flights.avsc at a time. */
#ifndef LP_DEMO_FLIGHTS_H
#define LP_DEMO_FLIGHTS_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/span.h"

#include <stdint.h>

struct lp_flights;

LP_MUST_USE enum lp_code lp_flights_new(struct lp_flights **ret_flights, struct lp_error *err);
void lp_flights_free(struct lp_flights *flights);
uint32_t lp_flights_count(const struct lp_flights *flights);

/**
 * Encode departure `index` with its schedule moved by `shift_ms`.
 * @param out           appended; @param key out: the carrier and flight number, valid until the next call
 * @param ret_sched_ms  scheduled departure, milliseconds since the epoch
 */
void lp_flights_encode(struct lp_flights *flights, uint32_t index, int64_t shift_ms, struct lp_buffer *out,
                       struct lp_span *ret_key, int64_t *ret_sched_ms);

/**
 * Departures of the months `first` to `last` (1 to 12) as rows to learn from: a CSV file with the features, `day` of
 * the schedule and `late`, 1 for more than 15 minutes; those that never departed are left out.
 * @return LP_E_IO naming the path
 */
LP_MUST_USE enum lp_code lp_flights_write(const struct lp_flights *flights, int first, int last, const char *path,
                                          struct lp_error *err);

#endif
