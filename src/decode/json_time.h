/* RFC 3339 date-times. */
#ifndef LP_DECODE_JSON_TIME_H
#define LP_DECODE_JSON_TIME_H

#include "core/span.h"

#include <stdbool.h>

/**
 * Milliseconds since 1970-01-01T00:00:00Z of `2024-02-29T12:34:56.789+01:00`; false when the text is anything else.
 * `T` and `Z` in either case, a blank for `T`; a zone is required; second 60 only where a leap second can be (23:59:60
 * UTC), and equal to the second after it.
 */
bool lp_json_time_ms(struct lp_span text, double *ret_ms);

/**
 * As lp_json_time_ms for the times of files: a date may stand alone, seconds and the zone may be absent (then it is
 * UTC), and a zone may be written without its colon.
 */
bool lp_loose_time_ms(struct lp_span text, double *ret_ms);

#endif
